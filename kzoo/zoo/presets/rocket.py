"""Random convolutions of series with a ridge regression."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="series_rocket", family="rocket", task="series_classification", dataset="cbf",
    summary="MiniRocket and Hydra: frozen convolutions of whole series, and a ridge regression.",
    reference="https://arxiv.org/abs/2012.08791", params=173_202,
    config=dict(inputs="series", input_shape=(None, 1), outputs=2, target_scale=None),
    training=dict(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=1, precision="float32",
                  metrics=("accuracy",)),
))
