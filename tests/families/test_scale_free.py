"""Forecasts are free of scale: k times a window has k times its forecast, and a shifted one a shifted forecast."""

import keras
import numpy as np
import pytest

from kzoo.zoo.registry import family_builder, get_preset, list_presets

PRESETS = [name for name in list_presets() if get_preset(name).task == "forecasting"]
STEPS, HORIZON, TARGETS, COLUMNS, KNOWN = 24, 6, 2, 3, 2
LEVELS = (0.1, 0.5, 0.9)
NEAR = 1e-3  # of a window's deviation


def network(preset, norm, levels=None, **overrides):
    """Return a network for two targets, a further column and two known ones, whose weights are random."""
    builder, fixed = family_builder(get_preset(preset).family)
    config = get_preset(preset).config | dict(
        input_shape=(STEPS, COLUMNS + 2 * KNOWN),
        outputs=TARGETS,
        horizon=HORIZON,
        covariates=KNOWN,
        reversible_norm=norm,
        scale_free=True,
        quantiles=levels,
        scale=[0.05, 0.5, 2.0, *[1.5] * (2 * KNOWN)],
        offset=[-2.0, 3.0, 1.0, *[-0.5] * (2 * KNOWN)],
        target_scale=[20.0, 2.0],
        target_offset=[40.0, -6.0],
    )
    keras.utils.set_random_seed(1)
    model = builder(name=preset, **fixed, **config | overrides)
    random = np.random.default_rng(1)
    model.set_weights([w + random.normal(0, 0.02, w.shape) for w in model.get_weights()])
    return model


def windows(seed=0):
    """Return windows (6, STEPS, COLUMNS) of counts, whose sizes span six decades, and known columns."""
    random = np.random.default_rng(seed)
    size = 10.0 ** np.arange(-3, 3)[:, None, None]
    past = size * (random.poisson(3, (6, STEPS, COLUMNS)) + random.uniform(0, 1, (1, 1, COLUMNS)))
    return past, random.integers(0, 2, (6, STEPS, 2 * KNOWN))


def forecast(model, past, known):
    x = np.concatenate([past, known], axis=2).astype("float32")
    return keras.ops.convert_to_numpy(model(x, training=False)).astype("float64")


def allowed(past, levels):
    """Return the largest error (6, 1, outputs): a thousandth of the deviation of each window and target."""
    return NEAR * np.repeat(past.std(axis=1, keepdims=True)[..., :TARGETS], len(levels or [0]), -1)


@pytest.mark.parametrize("levels", [None, LEVELS], ids=["values", "quantiles"])
@pytest.mark.parametrize("norm", ["last", True, "log"])
@pytest.mark.parametrize("preset", PRESETS)
def test_forecasts_grow_and_move_with_their_window(preset, norm, levels):
    model = network(preset, norm, levels)
    past, known = windows()
    reference = forecast(model, past, known)
    limit = allowed(past, levels)
    assert reference.shape == (6, HORIZON, TARGETS * len(levels or [0]))
    # it is no constant, and known columns count
    assert (np.abs(reference - forecast(model, past, 1 - known)) > limit).any(axis=(1, 2)).all()
    for k in (1e-3, 0.1, 10, 1e3):
        assert (np.abs(forecast(model, k * past, known) / k - reference) <= limit).all(), k
    if norm != "log":
        shift = 100 * past.std(axis=1, keepdims=True)
        moved = forecast(model, past + shift, known)
        moved -= np.repeat(shift[..., :TARGETS], len(levels or [0]), -1)
        assert (np.abs(moved - reference) <= limit).all()
    # Constant windows, and windows of zeros.
    constant = 10.0 ** np.arange(-3, 3)[:, None, None] * np.ones((6, STEPS, COLUMNS))
    known = np.repeat(known[:1], 6, axis=0)
    answers = forecast(model, constant, known)
    if norm == "log":  # all constants are alike
        np.testing.assert_allclose(
            answers / constant[:, :1, :1], answers[3:4].repeat(6, 0), rtol=2e-3
        )
    else:  # the spread is 1e-4 of the level
        assert (np.abs(answers / constant[:, :1, :1] - 1) < 5e-3).all()
    assert (np.abs(forecast(model, 0 * constant, known)) < 1e-6).all()
    assert np.isfinite(answers).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_networks_of_before_are_built_as_before(preset):
    """Without the setting, level and spread are inputs, and scaling has an offset."""
    model = network(preset, True, scale_free=False)
    _, *offsets = (layer.offset for layer in model.layers if layer.name in ("scaling", "unscale"))
    assert list(offsets[0]) == [40.0, -6.0]
    past, known = windows()
    reference = forecast(model, past, known)
    changed = np.abs(forecast(model, 10 * past, known) / 10 - reference)
    assert (changed > allowed(past, None)).any()
