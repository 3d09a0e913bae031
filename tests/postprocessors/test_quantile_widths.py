"""Quantiles of forecasts cover what their levels say, although networks know the past better than the future.

The class of faults: a band is as narrow as the errors of rows that a network was fitted to, or a correction changes the
median, the order of the quantiles, or the answers of an export.
"""

import json
import shutil
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from shortcuts import undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.inference.encode import encode
from kzoo.inference.postprocessors.clustered import Clusters
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.quantile_widths import NAME, apply, learned_widths
from kzoo.training.conformal import learned_conformal
from kzoo.utils.errors import KzooWarning

HORIZON, SERIES, DAYS = 7, 24, 160
LEVELS = [0.1, 0.3, 0.5, 0.7, 0.9]
NORMAL = np.array([-1.2816, -0.5244, 0, 0.5244, 1.2816])  # quantiles of the normal distribution
COLUMNS = dict(series_id="shop", time="day", target="sales")


def shops(factor=1.0):
    draw = np.random.default_rng(0)
    level = 10 ** draw.uniform(1, 3, (SERIES, 1))
    week = 0.2 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
    sales = factor * level * (1 + week + 0.1 * draw.normal(size=(SERIES, DAYS)))
    day = pd.date_range("2024-01-01", periods=DAYS)
    ids = np.repeat([f"s{number:02d}" for number in range(SERIES)], DAYS)
    return pd.DataFrame(dict(shop=ids, day=np.tile(day, SERIES), sales=sales.ravel()))


def trained(folder, **settings):
    with untraced(), undrawn():
        return kzoo.train(
            "series_linear",
            shops(),
            out=folder,
            horizon=HORIZON,
            input_shape=21,
            quantiles=LEVELS,
            epochs=2,
            progress=False,
            baselines=False,
            check=False,
            **COLUMNS,
            **settings,
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("widths") / "run")


def learned_of(run):
    return next(step for step in run.postprocessing if step["name"] == NAME)["learned"]


def forecasts(draw, width, *, origins=6, series=40, shared=0.0):
    """Quantiles of normal errors whose band is `width` times as wide as it should be, and their truth and scale."""
    count = origins * series
    scale = np.tile(10 ** draw.uniform(-3, 6, series), origins)[:, None]
    center = 5 * scale[:, None]
    quantiles = center[..., None] + width * scale[:, None, :, None] * NORMAL
    quantiles = np.broadcast_to(quantiles, (count, HORIZON, 1, len(LEVELS)))
    common = shared * np.repeat(draw.normal(size=origins), series)[:, None, None]
    truth = center + scale[:, None] * (draw.normal(size=(count, HORIZON, 1)) + common)
    blocks = np.repeat(np.arange(origins), series)
    return (
        quantiles,
        truth,
        scale,
        Clusters(series=np.tile(np.arange(series), origins), blocks=blocks),
    )


def coverage(quantiles, truth):
    return ((truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])).mean()


def loss(quantiles, truth, scale):
    error = (truth[..., None] - quantiles) / scale[:, None, :, None]
    return np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error).mean()


def corrected(learned, quantiles):
    flat = quantiles.reshape(*quantiles.shape[:2], -1)
    return apply(learned, flat, logits=None).reshape(quantiles.shape)


@pytest.mark.parametrize(
    ("width", "low", "high"), [(0.4, 0.66, 0.84), (1.0, 0.76, 0.86), (2.0, 0.9, 0.98)]
)
def test_bands_that_are_too_narrow_cover_other_rows(width, low, high):
    draw = np.random.default_rng(1)
    learned = learned_widths(*_arguments(forecasts(draw, width)))
    quantiles, truth, scale, _ = forecasts(draw, width)
    better = corrected(learned, quantiles)
    assert low < coverage(better, truth) < high
    assert loss(better, truth, scale) < 1.005 * loss(quantiles, truth, scale)
    if width != 1:
        assert loss(better, truth, scale) < 0.99 * loss(quantiles, truth, scale)
    np.testing.assert_allclose(better[..., 2], quantiles[..., 2], rtol=1e-6)
    assert (np.diff(better, axis=-1) >= 0).all()


def _arguments(rows):
    quantiles, truth, scale, clusters = rows
    return quantiles, LEVELS, truth, scale, clusters


def test_few_independent_rows_change_little():
    def learned(**more):
        return learned_widths(*_arguments(forecasts(np.random.default_rng(2), 0.3, **more)))

    many, few = learned(origins=8), learned(origins=1, series=12)
    assert few["independent"] < many["independent"]
    assert 1.1 < few["factors"][0][-1] < 2 < many["factors"][0][-1] < 1 / 0.3
    # errors that all series share say less
    assert learned(origins=8, shared=3.0)["independent"] < many["independent"]
    assert learned(origins=1, series=8) is None


def test_factors_do_not_depend_on_the_unit():
    rows = forecasts(np.random.default_rng(3), 0.5)
    first = learned_widths(*_arguments(rows))
    quantiles, truth, scale, clusters = rows
    larger = learned_widths(1000 * quantiles, LEVELS, 1000 * truth, 1000 * scale, clusters)
    assert larger == first


def test_quantiles_ascend_whatever_the_factors():
    learned = dict(levels=LEVELS, factors=[[0.5, 3, 1, 4, 0.25]])
    outputs = np.sort(np.random.default_rng(4).normal(size=(20, HORIZON, 5)), axis=-1)
    better = apply(learned, outputs.astype("float32"), logits=None)
    assert (np.diff(better, axis=-1) >= 0).all()
    np.testing.assert_array_equal(better[..., 2], outputs[..., 2].astype("float32"))


def test_levels_on_one_side_of_the_median_have_no_factors():
    quantiles, truth, scale, clusters = forecasts(np.random.default_rng(5), 0.5)
    assert learned_widths(quantiles[..., 3:], LEVELS[3:], truth, scale, clusters) is None


def test_a_run_its_scores_and_its_exports_have_the_corrected_quantiles(run, tmp_path):
    frame = shops()
    learned = learned_of(run)
    raw = run.model.predict(encode(run.preprocessing, frame), verbose=0)
    predictions = kzoo.predict(run, frame)
    expected = np.maximum(apply(learned, raw, logits=None), 0)
    quantiles = predictions.quantiles.reshape(expected.shape)
    np.testing.assert_allclose(quantiles, expected, rtol=1e-6)
    assert np.abs(quantiles / raw - 1).max() > 0.001  # otherwise nothing is tested
    assert kzoo.evaluate(run, frame)["coverage"] == pytest.approx(run.summary["test"]["coverage"])
    export = kzoo.export(run, tmp_path / "export", formats=["onnx"])
    answers = kzoo.runtime.load(export.path).predict(frame)
    np.testing.assert_allclose(answers.quantiles, predictions.quantiles, rtol=1e-5)
    names = [step["name"] for step in run.postprocessing]
    assert names.index(NAME) < min(names.index("conformal"), names.index("error_vectors"))
    assert any("multiplied" in line for line in Postprocessor.read(run.postprocessing).describe())


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_forecasts_stay_equivariant_to_scale(run, factor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)  # far from the training rows
        first, larger = (kzoo.predict(run, shops(times)).quantiles for times in (1.0, factor))
    np.testing.assert_allclose(larger, factor * first, rtol=1e-3)


def test_runs_without_the_step_answer_as_before(run):
    frame = shops()
    file = run.path / "postprocessing.json"
    stored = file.read_text()
    steps = [step for step in json.loads(stored) if step["name"] != NAME]
    try:
        file.write_text(json.dumps(steps))
        quantiles = kzoo.predict(run.path, frame).quantiles
    finally:
        file.write_text(stored)
    raw = run.model.predict(encode(run.preprocessing, frame), verbose=0)
    np.testing.assert_allclose(quantiles.reshape(raw.shape), np.maximum(raw, 0), rtol=1e-6)


class StopOnce(keras.callbacks.Callback):
    """Stop the training in the second epoch, once in this process."""

    stopped = False

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and not StopOnce.stopped:
            StopOnce.stopped = True
            raise RuntimeError("power cut")


def test_a_resumed_training_learns_the_same_factors(run, tmp_path):
    StopOnce.stopped = False
    with pytest.raises(RuntimeError, match="power cut"):
        trained(tmp_path / "cut", callbacks=[StopOnce()])
    resumed = trained(tmp_path / "cut", callbacks=[StopOnce()])
    assert resumed.summary["resumed"] == 1
    np.testing.assert_allclose(
        learned_of(resumed)["factors"], learned_of(run)["factors"], rtol=1e-3
    )


def test_bands_are_learned_on_forecasts_out_of_fold_as_they_are(run):
    """Answers out of fold, from which a mean of `auto` learns, have the factors of their models."""
    data = kzoo.load_data(
        shops(),
        preset="series_linear",
        quantiles=LEVELS,
        **COLUMNS,
    )
    draw = np.random.default_rng(6)
    truth = draw.normal(100, 1, (60, data.config["horizon"], 1)).astype("float32")
    answers = (truth[..., None] + draw.normal(size=truth.shape)[..., None] + NORMAL).astype(
        "float32"
    )
    answers = np.sort(answers.reshape(*truth.shape[:2], -1), axis=-1)
    widened = Postprocessor.read(
        [
            dict(
                name=NAME,
                stage="calibrate",
                rows="validation",
                learned=dict(levels=LEVELS, factors=[[3.0] * 5]),
            )
        ]
    )
    learned = [
        learned_conformal({name: [(answers, truth)]}, data, steps, logits=None, splits={})[0]
        for name, steps in [("out of fold", widened), ("validation", None), ("validation", widened)]
    ]
    bands = [steps.step("conformal").learned for steps in learned]
    assert bands[0] == bands[1] != bands[2]


def test_an_ensemble_forecasts_the_mean_of_the_corrected_quantiles_of_its_members(run, tmp_path):
    other = trained(tmp_path / "other", seed=1)
    # quantiles that their own factors would cross, and a member without the step
    crossing = tmp_path / "crossing"
    shutil.copytree(other.path, crossing)
    _replace_factors(crossing, [0.5, 3, 1, 4, 0.25])
    without = tmp_path / "without"
    shutil.copytree(other.path, without)
    _replace_factors(without, None)
    members = [run, other, kzoo.Run(crossing), kzoo.Run(without)]
    ensemble = kzoo.ensemble(members, out=tmp_path / "ensemble")
    each = [kzoo.predict(member, shops()).quantiles for member in members]
    quantiles = kzoo.predict(ensemble, shops()).quantiles
    np.testing.assert_allclose(quantiles, np.mean(each, axis=0), rtol=1e-4)
    assert NAME not in [step["name"] for step in ensemble.postprocessing]
    export = kzoo.export(ensemble, tmp_path / "export", formats=["onnx"])
    answers = kzoo.runtime.load(export.path).predict(shops())
    np.testing.assert_allclose(answers.quantiles, quantiles, rtol=1e-4)


def _replace_factors(folder, factors):
    file = folder / "postprocessing.json"
    steps = json.loads(file.read_text())
    for step in steps:
        if step["name"] == NAME:
            step["learned"]["factors"] = [factors]
    file.write_text(json.dumps([s for s in steps if factors or s["name"] != NAME]))


def test_a_baseline_and_its_run_have_the_corrected_quantiles(tmp_path):
    data = kzoo.load_data(shops(), preset="series_linear", quantiles=LEVELS, **COLUMNS)
    fitted = kzoo.baselines.fit(data, "theta_method")
    forecasts, _ = fitted.predict(fitted.data.test)
    raw, _ = next(iter(fitted.predictor.pairs(fitted.data.test)))
    flat = raw.reshape(*raw.shape[:2], -1)
    expected = apply(fitted.widths.learned, flat, logits=None).reshape(raw.shape)
    np.testing.assert_allclose(forecasts[: len(raw)], expected, rtol=1e-6)
    assert np.abs(expected / raw - 1).max() > 0.001  # otherwise nothing is tested
    # with windows as long as the baseline asks for
    run = kzoo.baselines.train("theta_method", fitted.data, out=tmp_path / "run", baselines=False)
    assert learned_of(run) == fitted.widths.learned
    rows = run.answers["rows"]
    np.testing.assert_allclose(
        run.answers["answers"], np.maximum(forecasts, 0)[rows], rtol=1e-4, atol=1e-3
    )
    (result,) = kzoo.baselines.score(data, names="theta_method")
    assert run.summary["test"]["pinball"] == pytest.approx(result.scores["pinball"], rel=1e-3)
    # fitted again to all rows, it keeps what was learned on rows that it had not seen
    again = kzoo.baselines.fit(data, "theta_method", all_rows=True)
    assert again.widths == fitted.widths
