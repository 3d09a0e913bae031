"""Linear forecasts: the arithmetic, the first answers, the columns that are used, and refusals."""

import keras
import numpy as np
import pandas as pd
import pytest
from messages import refuses

import kzoo
from kzoo.training.score import forward
from kzoo.zoo.families import linear
from kzoo.zoo.registry import get_preset

rng = np.random.default_rng(0)


def build(**overrides):
    small = dict(input_shape=(12, 3), outputs=2, horizon=5)
    return linear.build(
        name="series_linear", **get_preset("series_linear").config | small | overrides
    )


def randomize(model):
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def predict(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def test_it_is_one_matrix_for_all_columns_around_the_last_value():
    numbers = dict(
        scale=[2.0, 0.5, 1.0],
        offset=[1.0, -1.0, 0.0],
        target_scale=[0.5, 2.0],
        target_offset=[-0.5, 2.0],
    )
    model = randomize(build(**numbers))
    x = rng.normal(size=(4, 12, 3)).astype("float32")
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
    model = randomize(build())
    other = x.copy()
    other[..., 2] = 9
    np.testing.assert_array_equal(predict(model, other), predict(model, x))
    np.testing.assert_allclose(predict(model, x + 40), predict(model, x) + 40, atol=1e-3)
    other[..., 1] += rng.normal(size=(4, 12))
    np.testing.assert_array_equal(predict(model, other)[..., 0], predict(model, x)[..., 0])


def test_windows_in_the_logarithm_of_their_size_equal_numpy():
    """An untrained network forecasts the level of the window: its mean after the inverse hyperbolic sine."""
    scaling = dict(scale=[0.5, 2.0, 1.0], offset=[-1.0, -3.0, 0.0])
    x = rng.poisson(0.7, size=(6, 12, 3)).astype("float32")
    x[0] = 0  # a series without any sale
    scaled = x * scaling["scale"] + scaling["offset"]
    sizes = (scaled - scaling["offset"])[:, :, :2]
    usual = np.where(sizes > 0, sizes, 0).sum(axis=1, keepdims=True) / np.maximum(
        (sizes > 0).sum(1, keepdims=True), 1
    )
    usual = usual + 1e-4
    level = np.arcsinh(2 * sizes / usual).mean(axis=1, keepdims=True)
    expected = np.repeat(np.sinh(level) * usual / 2, 5, axis=1) + scaling["offset"][:2]
    model = build(reversible_norm="log", **scaling)
    np.testing.assert_allclose(predict(model, x), expected, rtol=1e-4, atol=1e-5)
    kernel, bias = (0.3 * w for w in randomize(model).get_weights())
    model.set_weights([kernel, bias])
    logs = np.arcsinh(2 * sizes / usual)
    forecast = np.einsum("bto,th->bho", logs - level, kernel) + bias[:, None] + level
    expected = np.sinh(forecast) * usual / 2 + scaling["offset"][:2]
    np.testing.assert_allclose(predict(model, x), expected, rtol=1e-3, atol=1e-4)


def test_forecasts_in_the_logarithm_grow_with_the_series_and_stay_finite():
    x = rng.poisson(3, size=(4, 12, 3)).astype("float32") + 1
    model = build(reversible_norm="log", quantiles=(0.1, 0.5, 0.9))
    model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
    small = predict(model, x)
    large = predict(model, 1000 * x)
    np.testing.assert_allclose(large, 1000 * small, rtol=2e-3, atol=0.5)
    assert (np.diff(small.reshape(4, 5, 2, 3), axis=-1) >= 0).all()
    model.set_weights([1000 * w for w in model.get_weights()])
    assert np.isfinite(predict(model, x)).all()


def dense(**overrides):
    """Return a small `series_fnn` of two targets and a further column, with a known column and two phases."""
    small = dict(
        input_shape=(12, 3 + 2 * 3),
        outputs=2,
        horizon=5,
        covariates=3,
        calendar=2,
        dense_units=(7, 6),
    )
    return linear.build(name="series_fnn", **get_preset("series_fnn").config | small | overrides)


def test_a_dense_network_reads_window_calendar_and_known_columns_and_nothing_else():
    model, x = randomize(dense(dropout=0.0)), rng.normal(size=(4, 12, 9)).astype("float32")
    reference = predict(model, x)

    def changed(step, column):
        other = x.copy()
        other[:, step, column] += 1
        return np.abs(predict(model, other) - reference).max(axis=0) > 1e-5  # (horizon, targets)

    assert changed(3, 0)[:, 0].all()  # its own past
    assert not changed(3, 2).any()  # a column that is no target
    known = changed(-2, 6)  # the known column four steps ahead
    assert known[3].all() and not np.delete(known, 3, axis=0).any()
    assert changed(-5, 7).all()  # the phase at the first step to forecast
    assert not changed(-1, 7).any()  # that of later steps follows from it
    alone = randomize(dense(dropout=0.0, covariates=2, input_shape=(12, 3 + 2 * 2)))
    x, other = x[..., :7], x[..., :7].copy()
    other[:, 3, 0] += 1
    # no other target
    assert np.array_equal(predict(alone, other)[..., 1], predict(alone, x)[..., 1])
    assert model.get_layer("window_features").output.shape[1:] == (2, 12 + 2 + 2)


def test_a_dense_network_without_calendar_or_normalisation_is_dense_layers():
    model = randomize(
        dense(
            covariates=None, calendar=None, input_shape=(12, 3), reversible_norm=False, dropout=0.0
        )
    )
    x = rng.normal(size=(4, 12, 3)).astype("float32")
    first, first_bias, second, second_bias, last, last_bias = model.get_weights()
    hidden = np.maximum(np.swapaxes(x[:, :, :2], 1, 2) @ first + first_bias, 0)
    hidden = np.maximum(hidden @ second + second_bias, 0)
    np.testing.assert_allclose(
        predict(model, x), np.swapaxes(hidden @ last + last_bias, 1, 2), rtol=1e-4, atol=1e-4
    )


def test_one_answer_for_a_whole_series_comes_from_all_of_it():
    model = randomize(build(horizon=None, reversible_norm=False))
    x = rng.normal(size=(4, 12, 3)).astype("float32")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(predict(model, x), x.reshape(4, -1) @ kernel + bias, atol=1e-5)


def test_training_comes_near_to_ridge_in_closed_form(tmp_path):
    """On windows of two columns that follow the same law, with a third column of noise."""
    t = np.arange(900)
    random = np.random.default_rng(1)
    level = random.normal(0, 0.05, (900, 2)).cumsum(axis=0)
    waves = np.stack([np.sin(2 * np.pi * t / 12), 40 * np.cos(2 * np.pi * t / 12)], axis=1)
    values = waves + [1, 40] * (level + random.normal(0, 0.2, (900, 2)))
    frame = pd.DataFrame(
        {"load": values[:, 0], "heat": values[:, 1], "noise": random.normal(size=900)}
    )
    run = kzoo.train(
        "series_linear",
        frame,
        target="load,heat",
        out=tmp_path / "run",
        horizon=6,
        progress=False,
        check=False,
        input_shape=36,
    )
    z = (values - values[:630].mean(axis=0)) / values[:630].std(axis=0)

    def windows(first, end):
        starts = np.arange(max(first - 36, 0), end - 36 - 6 + 1)[:, None]
        x = z[starts + np.arange(36)]
        y = z[starts + 36 + np.arange(6)]
        return (x - x[:, -1:]).swapaxes(1, 2).reshape(-1, 36), (y - x[:, -1:]).swapaxes(
            1, 2
        ).reshape(-1, 6)

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
        (dict(filters=(3,)), ("'filters'", "series_linear")),
        (dict(dense_units=(3, 3), dropout=(0.1,)), ("dropout has 1", "2 layers")),
    ],
)
def test_bad_values_are_named(values, parts):
    with refuses(*parts):
        kzoo.build("series_linear", **dict(input_shape=(12, 3), outputs=2, horizon=5) | values)


@pytest.mark.parametrize(
    "preset", ["series_linear", "series_gru", "series_tcn", "series_transformer"]
)
def test_a_batch_of_as_many_windows_as_steps_is_forecast_like_any_other(preset):
    """Keras on TensorFlow adds (B, 1, 1) to (B, B, 1) as a bias of the second axis."""
    model = randomize(kzoo.build(preset, input_shape=(32, 1), outputs=1, horizon=8))
    x = np.random.default_rng(0).normal(5, 2, size=(9, 32, 1)).astype("float32")
    expected = np.concatenate([predict(model, x[i : i + 1]) for i in range(8)])
    # Random weights of many layers give numbers of up to 10^7.
    np.testing.assert_allclose(
        predict(model, x[:8]), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


def test_networks_of_earlier_versions_forecast_as_many_windows_as_steps_right():
    inputs = keras.Input((8, 1))
    level = keras.ops.mean(inputs, axis=1, keepdims=True)
    # in this order, as they were stored
    old = keras.Model(inputs, keras.ops.add(inputs - level, level))
    x = np.random.default_rng(0).normal(size=(8, 8, 1)).astype("float32")
    np.testing.assert_allclose(forward(old, x, 8), x, atol=1e-6)
