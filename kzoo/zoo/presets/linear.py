"""Forecasting models of one dense network that all columns share: linear, and with hidden layers."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="series_linear", family="linear", task="forecasting", dataset="sine",
    summary="NLinear: one matrix, shared by all columns, maps the past of a column to its future.",
    reference="https://arxiv.org/abs/2205.13504", params=2_328,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, reversible_norm="last"),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="cosine", ema=0.99, batch_size=32, epochs=30,
                  loss="mse", metrics=("mae",), patience=5, min_steps=1500),
))

register(Preset(
    name="series_fnn", family="linear", task="forecasting", dataset="sine",
    summary="A dense network of the past and the calendar, shared by all columns and series: for many series.",
    reference="https://arxiv.org/abs/2304.08424", params=32_280,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, dense_units=(128, 128),
                activation="relu", dropout=0.2, reversible_norm=True),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="cosine", warmup=0.05, ema=0.99, batch_size=64,
                  epochs=20, loss="mse", metrics=("mae",), patience=5),
))
