"""Image networks with pretrained weights."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="image_pretrained", family="pretrained", task="image_classification", dataset="shapes",
    summary="Your own photos, even if there are few: a network pretrained on a million others, with a new head.",
    reference="https://arxiv.org/abs/2104.00298", params=5_932_122,
    config=dict(inputs="image", input_shape=(128, 128, 3), outputs=10, backbone="efficientnet_v2_b0", dropout=0.2,
                output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=3e-4, layer_decay=0.97, linear_probe=True, schedule="cosine",
                  warmup=0.1, weight_decay=1e-4, batch_size=32, epochs=10, metrics=("accuracy",),
                  monitor="val_accuracy", augment=("flip", "shift", "zoom")),
))
