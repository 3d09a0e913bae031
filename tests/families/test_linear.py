"""Linear forecasts: the arithmetic, the first answers, the columns that are used, and refusals."""

import keras
import numpy as np
import pandas as pd
import pytest
from messages import refuses

import kzoo
from kzoo.families import linear
from kzoo.registry import get_preset
from kzoo.training.score import forward

rng = np.random.default_rng(0)


def build(**overrides):
    small = dict(input_shape=(12, 3), outputs=2, horizon=5)
    return linear.build(name="series_linear", **get_preset("series_linear").config | small | overrides)


def randomize(model):
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def predict(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def test_it_is_one_matrix_for_all_columns_around_the_last_value():
    numbers = dict(scale=[2.0, 0.5, 1.0], offset=[1.0, -1.0, 0.0], target_scale=[0.5, 2.0], target_offset=[-0.5, 2.0])
    model, x = randomize(build(**numbers)), rng.normal(size=(4, 12, 3)).astype("float32")
    kernel, bias = model.get_weights()
    assert kernel.shape == (12, 5)
    z = (x * [2.0, 0.5, 1.0] + [1.0, -1.0, 0.0])[:, :, :2]
    expected = np.einsum("btf,th->bhf", z - z[:, -1:], kernel) + bias[:, None] + z[:, -1:]
    np.testing.assert_allclose(predict(model, x), expected * [0.5, 2.0] + [-0.5, 2.0], atol=1e-4)


def test_it_begins_with_the_last_value_and_ignores_other_columns():
    x = rng.normal(size=(4, 12, 3)).astype("float32")
    np.testing.assert_allclose(predict(build(), x), np.repeat(x[:, -1:, :2], 5, axis=1), atol=1e-6)
    mean = np.repeat(x[:, :, :2].mean(axis=1, keepdims=True), 5, axis=1)
    np.testing.assert_allclose(predict(build(reversible_norm=True), x), mean, atol=1e-6)
    model, other = randomize(build()), x.copy()
    other[..., 2] = 9
    np.testing.assert_array_equal(predict(model, other), predict(model, x))
    np.testing.assert_allclose(predict(model, x + 40), predict(model, x) + 40, atol=1e-3)
    other[..., 1] += rng.normal(size=(4, 12))
    np.testing.assert_array_equal(predict(model, other)[..., 0], predict(model, x)[..., 0])


def test_one_answer_for_a_whole_series_comes_from_all_of_it():
    model, x = randomize(build(horizon=None, reversible_norm=False)), rng.normal(size=(4, 12, 3)).astype("float32")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(predict(model, x), x.reshape(4, -1) @ kernel + bias, atol=1e-5)


def test_training_comes_near_to_ridge_in_closed_form(tmp_path):
    """On windows of two columns that follow the same law, with a third column of noise."""
    t, random = np.arange(900), np.random.default_rng(1)
    level = random.normal(0, 0.05, (900, 2)).cumsum(axis=0)
    waves = np.stack([np.sin(2 * np.pi * t / 12), 40 * np.cos(2 * np.pi * t / 12)], axis=1)
    values = waves + [1, 40] * (level + random.normal(0, 0.2, (900, 2)))
    frame = pd.DataFrame({"load": values[:, 0], "heat": values[:, 1], "noise": random.normal(size=900)})
    run = kzoo.train(
        "series_linear", frame, target="load,heat", out=tmp_path / "run", horizon=6, progress=False, check=False,
        input_shape=36,
    )  # fmt: skip
    z = (values - values[:630].mean(axis=0)) / values[:630].std(axis=0)

    def windows(first, end):
        starts = np.arange(max(first - 36, 0), end - 36 - 6 + 1)[:, None]
        x, y = z[starts + np.arange(36)], z[starts + 36 + np.arange(6)]
        return (x - x[:, -1:]).swapaxes(1, 2).reshape(-1, 36), (y - x[:, -1:]).swapaxes(1, 2).reshape(-1, 6)

    x, y = windows(0, 630)
    weights = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(36), x.T @ (y - y.mean(axis=0)))
    tested, truth = windows(720, 900)
    ridge = ((tested @ weights + y.mean(axis=0) - truth) ** 2).mean()
    assert run.summary["test"]["mse_standardised"] < 1.05 * ridge < 0.7 * (truth**2).mean()


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (dict(input_shape=(12,)), ("input_shape=(12,)", "2", "steps", "features")),
        (dict(outputs=4), ("outputs=4", "input_shape=(12, 3)", "3 features")),
        (dict(horizon=None), ("reversible_norm='last'", "horizon")),
        (dict(reversible_norm="first"), ("reversible_norm='first'", "True", "False", "last")),
        (dict(reversible_norm=1), ("reversible_norm=1", "True", "False", "last")),
        (dict(inputs="rows", horizon=None), ("inputs='rows'", "series")),
        (dict(inputs="rows"), ("horizon", "inputs='series'", "'rows'")),
        (dict(units=(3,)), ("'units'", "series_linear")),
    ],
)  # fmt: skip
def test_bad_values_are_named(values, parts):
    with refuses(*parts):
        kzoo.build("series_linear", **dict(input_shape=(12, 3), outputs=2, horizon=5) | values)


@pytest.mark.parametrize("preset", ["series_linear", "series_gru", "series_tcn", "series_transformer"])
def test_a_batch_of_as_many_windows_as_steps_is_forecast_like_any_other(preset):
    """Keras on TensorFlow adds (B, 1, 1) to (B, B, 1) as a bias of the second axis."""
    model = randomize(kzoo.build(preset, input_shape=(32, 1), outputs=1, horizon=8))
    x = np.random.default_rng(0).normal(5, 2, size=(9, 32, 1)).astype("float32")
    expected = np.concatenate([predict(model, x[i : i + 1]) for i in range(8)])
    np.testing.assert_allclose(predict(model, x[:8]), expected, atol=1e-5)


def test_networks_of_earlier_versions_forecast_as_many_windows_as_steps_right():
    inputs = keras.Input((8, 1))
    level = keras.ops.mean(inputs, axis=1, keepdims=True)
    old = keras.Model(inputs, keras.ops.add(inputs - level, level))  # in this order, as they were stored
    x = np.random.default_rng(0).normal(size=(8, 8, 1)).astype("float32")
    np.testing.assert_allclose(forward(old, x, 8), x, atol=1e-6)
