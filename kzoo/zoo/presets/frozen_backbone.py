"""A pretrained image network, frozen, with a ridge regression."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="image_frozen", family="frozen_backbone", task="image_classification", dataset="shapes",
    summary="Your own photos, even if there are few: a frozen pretrained network and a ridge regression.",
    reference="https://arxiv.org/abs/1905.11946", params=3_425_834,
    config=dict(inputs="image", input_shape=(160, 160, 3), outputs=10, output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=1, precision="float32",
                  metrics=("accuracy",)),
))
