"""Linear forecasting models."""

from kzoo.registry import Preset, register

register(Preset(
    name="series_linear", family="linear", task="forecasting", dataset="sine",
    summary="NLinear: one matrix, shared by all columns, maps the past of a column to its future.",
    reference="https://arxiv.org/abs/2205.13504", params=2_328,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, reversible_norm="last"),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="cosine", ema=0.99, batch_size=32, epochs=30,
                  loss="mse", metrics=("mae",), patience=5),
))
