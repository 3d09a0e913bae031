"""`kzoo.tune("auto")` of forecasts: several origins, and means of the quantiles of models that tie."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from in_process import auto_in_process
from messages import assert_mentions

import kzoo
from kzoo import runtime
from kzoo.auto.auto import result_of
from kzoo.auto.candidates import Candidate
from kzoo.auto.conclusion import Conclusion
from kzoo.auto.contender import Contender
from kzoo.auto.parts import Parts
from kzoo.auto.schedule import Schedule, groups_of
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.auto.winner import write_mean
from kzoo.baselines.data import as_asked
from kzoo.baselines.fitted import fit
from kzoo.baselines.score import select
from kzoo.data.options import DataOptions
from kzoo.data.store.longer import longer_split, longer_windows
from kzoo.inference.postprocessors import error_vectors
from kzoo.inference.postprocessors.postprocessor import with_step
from kzoo.training.baseline_run import train_baseline
from kzoo.training.error_vectors import learned_error_vectors
from kzoo.training.suggestions import preset_with_window

HORIZON = 4
OPTIONS = dict(target="sales", series_id="shop", time="month", quantiles=(0.1, 0.5, 0.9))


def shops(count=10, months=60, seed=0):
    """Return monthly sales of some shops, with a season and a level that wanders."""
    rng = np.random.default_rng(seed)
    season = rng.normal(size=(count, 12))[:, np.arange(months) % 12]
    level = 50 * np.exp(np.cumsum(rng.normal(0, 0.05, (count, months)), axis=1))
    sales = level * np.exp(0.2 * season + 0.05 * rng.normal(size=(count, months)))
    return pd.DataFrame(
        dict(
            shop=np.repeat([f"s{number}" for number in range(count)], months),
            month=np.tile(pd.date_range("2019-01-01", periods=months, freq="MS"), count),
            sales=sales.ravel(),
        )
    )


@pytest.fixture(scope="module")
def data():
    return kzoo.load_data(
        shops(), preset=preset_with_window("series_linear", {"horizon": HORIZON}), **OPTIONS
    )


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    with auto_in_process("series_linear", "series_fnn", epochs=8, horizon=HORIZON):
        return kzoo.tune(
            "auto",
            shops(),
            max_time="10m",
            horizon=HORIZON,
            out=tmp_path_factory.mktemp("auto") / "search",
            progress=False,
            **OPTIONS,
        )


def test_forecasts_are_judged_from_several_origins_before_the_test_rows(data):
    assert len(np.unique(data.validation.y.moments)) < 4  # a validation split of one horizon
    parts = Parts.of(data, 5, seed=0)
    part = parts.part(data, 0)
    moments = part.test.y.moments
    assert moments.max() == data.validation.y.moments.max() < data.test.y.moments.min()
    assert moments.max() - moments.min() >= 3 * HORIZON // 2
    assert set(groups_of(parts.judged(data), part.test.rows)) == {0, 1}
    # no target that a candidate is fitted to, or stops on, reaches into those that it is judged on
    assert part.train.y.moments.max() + HORIZON <= part.validation.y.moments.min()
    assert part.validation.y.moments.max() + HORIZON <= moments.min()


@pytest.mark.parametrize(
    ("count", "months", "horizon", "steps", "remarks"),
    [
        (6, 180, 24, None, ["4 origins"]),  # windows of 49 moments
        (6, 96, 24, 12, ["4 origins", "overlap"]),  # of 13
        (10, 96, 24, 48, ["4 origins", "other series"]),  # of one
        (1, 96, 24, 48, ["4 origins", "other series"]),  # a single one
    ],
)
def test_a_short_panel_has_fewer_origins_but_rows_to_train_on(
    count, months, horizon, steps, remarks
):
    window = {"horizon": horizon} | ({} if steps is None else {"input_shape": steps})
    preset = preset_with_window("series_linear", window)
    data = kzoo.load_data(shops(count, months), preset=preset, **OPTIONS)
    parts = Parts.of(data, 5, seed=0)
    part = parts.part(data, 0)
    assert len(part.train) >= 0.2 * len(data.train)
    assert part.train.y.moments.max() + horizon <= part.test.y.moments.min()
    if part.validation is not None:
        assert part.validation.y.moments.max() + horizon <= part.test.y.moments.min()
        rows = [set(np.asarray(split.y.starts)) for split in (part.train, part.validation)]
        assert not rows[0] & rows[1]
    assert (part.validation is None) == (len(data.train) == 1)
    notes = parts.notes(data)
    assert len(notes) == len(remarks)
    for note, remark in zip(notes, remarks, strict=True):
        assert_mentions(note, remark)
    fitted = fit(part, "ets")
    assert np.isfinite(fitted.predict(part.test)[0]).all()


def test_a_panel_with_enough_rows_has_no_such_note():
    preset = preset_with_window("series_linear", {"horizon": HORIZON})
    data = kzoo.load_data(shops(months=120), preset=preset, **OPTIONS)
    assert Parts.of(data, 5, seed=0).notes(data) == []


def test_a_validation_split_with_several_origins_stays_as_it_is():
    data = kzoo.load_data("sine", preset="series_linear")
    judged = Parts.of(data, 5, seed=0).judged(data)
    assert judged is data.validation


def test_the_winner_forecasts_quantiles(search):
    winner = search.winner
    predictions = kzoo.predict(winner, shops())
    assert predictions.quantiles.shape == (10, HORIZON, 1, 3)
    assert (np.diff(predictions.quantiles, axis=-1) >= 0).all()
    label = result_of(search.path)["label"]
    assert (" and " in label) == bool(winner.spec.members)
    total = kzoo.predict(winner, shops(), total="steps", confidence=0.8)
    assert (total.lower < total.mean).all() and (total.mean < total.upper).all()
    assert kzoo.predict(winner, shops(), samples=7).samples.shape == (7, 10, HORIZON, 1)


def answers_for(judged, outputs):
    truth = np.asarray(judged.y[:])
    outputs = np.asarray(outputs, np.float32).reshape(*truth.shape, 3)
    return Answers(outputs=outputs, truth=truth, rows=np.arange(len(truth)))


def errors_of_past(run):
    """Return the stored vectors of a run by origin and series, and check what they were learned on."""
    steps = {step["name"]: step for step in run.postprocessing}
    assert steps["error_vectors"]["rows"] == steps["conformal"]["rows"] == "out of fold"
    return error_vectors.vectors_of(steps["error_vectors"]["learned"])


def test_errors_out_of_fold_are_those_of_quantiles_that_are_widened_once(data):
    judged = Parts.of(data, 5, seed=0).judged(data)
    truth = np.asarray(judged.y[:])
    answers = answers_for(judged, truth[..., None] * np.array([0.8, 0.9, 1.2]))
    factors = dict(levels=OPTIONS["quantiles"], factors=[[3.0, 1.0, 3.0]])
    widened = with_step(None, "quantile_widths", factors, rows="validation")
    learned = [
        learned_error_vectors(
            {rows: [(answers.of_network, truth)]}, {rows: judged}, data, steps, None, logits=None
        ).step("error_vectors")
        for rows, steps in (("out of fold", widened), ("validation", None), ("validation", widened))
    ]
    assert learned[0].learned == learned[1].learned != learned[2].learned


def test_a_baseline_that_is_fitted_to_all_rows_has_the_errors_of_its_answers_out_of_fold(
    data, tmp_path
):
    parts = Parts.of(data, 5, seed=0)
    part = parts.part(data, 0)
    (baseline,) = select(data, ["ets"])
    data = as_asked(baseline, data)
    judged = parts.judged(data)
    answers = answers_for(judged, fit(part, "ets").predict(part.test)[0])
    run = train_baseline(
        "ets",
        data,
        out=tmp_path / "run",
        overwrite=False,
        seconds=None,
        seed=0,
        baselines=False,
        out_of_fold=(answers.of_network, answers.truth, None),
        judged=judged,
    )
    vectors = errors_of_past(run)
    assert vectors.shape[:2] == (len(np.unique(judged.y.moments)), 10)
    error = answers.truth - answers.outputs[..., 1]
    moments = np.unique(judged.y.moments, return_inverse=True)[1]
    np.testing.assert_array_equal(
        np.sign(vectors[moments, judged.y.series.codes]), np.sign(error.astype(np.float16))
    )
    total = kzoo.predict(run, shops(), total="all", confidence=0.8)
    assert total.lower.item() < total.mean.item() < total.upper.item()


def test_forecasts_of_a_single_origin_have_no_interval(tmp_path):
    with auto_in_process("series_linear", epochs=1, horizon=12):
        search = kzoo.tune(
            "auto",
            shops(4, 84),
            max_time="10m",
            horizon=12,
            out=tmp_path / "search",
            progress=False,
            **OPTIONS,
        )
    result = result_of(search.path)
    if result["difference"] is not None and "judged rows" in result["verdict"]:
        assert result["difference"]["low"] is result["difference"]["high"] is None
    causes = " ".join(trial.error for trial in search.trials)
    assert "Error" not in causes and "index" not in causes


# of three models at six origins, none of which is clearly the best; their mean is better than each
ERRORS = np.array(
    [[1.0, -2, 1, -2, 1, -2], [-2, 1, -2, 1, -2, 1], [1.6, -1.6, 1.6, -1.6, 1.6, -1.6]]
)


def models_of(data, errors, has_network=True):
    """Return the models of a search among candidates whose answers are the truth and errors (models, origins)."""
    rng = np.random.default_rng(0)
    count, origins = 10, errors.shape[1]
    truth = rng.normal(100, 1, (origins * count, HORIZON, 1))
    groups = np.repeat(np.arange(origins), count)
    score = PrimaryScore(data)
    contenders = []
    for number, error in enumerate(errors):
        outputs = truth[..., None] + error[groups].reshape(-1, 1, 1, 1) + np.zeros(3)
        answers = Answers(outputs=outputs, truth=truth, rows=np.arange(len(truth)))
        candidate = Candidate(name=f"m{number}", label=f"m{number}", is_baseline=True)
        contenders.append(Contender(candidate, None, answers={0: answers}, has_network=has_network))

    def difference(first, second):
        return score.difference([first[0]], [second[0]], groups)

    schedule = SimpleNamespace(
        folder=None,
        data=data,
        score=score,
        difference=difference,
        parts=SimpleNamespace(folds=1),
        contenders=contenders,
        complete=lambda parts: contenders,
    )
    for name in ("mean_score", "members", "answers_of"):
        setattr(schedule, name, partial(getattr(Schedule, name), schedule))
    return Conclusion(schedule, None, None, 0)._models()


def members(models):
    return [
        {contender.candidate.name for contender in model.contenders}
        for model in models
        if len(model.contenders) > 1
    ]


def test_models_that_tie_are_averaged_with_equal_weights(data):
    models = models_of(data, np.concatenate([ERRORS, np.full((1, 6), 20.0)]))
    assert [len(each) for each in members(models)] == [2, 3]
    mean = models[-1]
    assert members(models)[-1] == {"m0", "m1", "m2"}  # the last one is clearly worse
    assert mean.weights == pytest.approx(1 / 3)
    each = [contender.answers[0].outputs for contender in mean.contenders]
    assert mean.answers[0].outputs == pytest.approx(np.mean(each, axis=0), rel=1e-6)


def test_a_clear_leader_is_not_averaged(data):
    assert members(models_of(data, ERRORS * [[0.1], [1], [1]])) == []


def test_a_model_that_cannot_be_stored_is_no_member(data):
    assert members(models_of(data, ERRORS, has_network=False)) == []


@pytest.fixture(scope="module")
def networks(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    options = dict(epochs=3, min_steps=0, progress=False, baselines=False, check=False)
    return [
        kzoo.train(name, data, out=folder / name, horizon=HORIZON, **options)
        for name in ("series_linear", "series_fnn")
    ]


@pytest.fixture(scope="module")
def mean(data, networks, tmp_path_factory):
    judged = Parts.of(data, 5, seed=0).judged(data)
    outputs = np.mean([run.model.predict(judged.x[:], verbose=0) for run in networks], axis=0)
    rows = np.arange(len(judged))
    truth = np.asarray(judged.y[:])
    answers = Answers(outputs=outputs.reshape(*truth.shape, 3), truth=truth, rows=rows)
    return write_mean(
        tmp_path_factory.mktemp("mean") / "run",
        data,
        networks,
        [0.5, 0.5],
        [answers],
        description=DataOptions(**OPTIONS).describe(data),
        backend="tensorflow",
        judged=judged,
    )


def test_a_mean_forecasts_the_mean_of_its_members_quantiles(mean, networks, tmp_path):
    each = [kzoo.predict(run, shops()).quantiles for run in networks]
    predicted = kzoo.predict(mean, shops())
    assert predicted.quantiles == pytest.approx(np.mean(each, axis=0), rel=1e-4)
    assert list(predicted.inputs) == [f"s{number}" for number in range(10)]
    pytest.importorskip("onnxruntime")
    kzoo.export(mean, tmp_path / "exported", formats=["onnx"])
    light = runtime.load(tmp_path / "exported").predict(shops())
    assert light.quantiles == pytest.approx(predicted.quantiles, rel=1e-3)


def test_totals_of_a_mean_rest_on_its_answers_out_of_fold(mean, data, tmp_path):
    moments = Parts.of(data, 5, seed=0).judged(data).y.moments
    assert errors_of_past(mean).shape[:2] == (len(np.unique(moments)), 10)
    total = kzoo.predict(mean, shops(), total="steps", confidence=0.8)
    pytest.importorskip("onnxruntime")
    kzoo.export(mean, tmp_path / "exported", formats=["onnx"])
    light = runtime.load(tmp_path / "exported").predict(shops(), total="steps", confidence=0.8)
    for name in ("mean", "lower", "upper"):
        assert getattr(light, name) == pytest.approx(getattr(total, name), rel=1e-3)


def test_a_mean_reads_the_longest_windows_of_its_members(data, networks, tmp_path):
    longer = longer_windows(data, 36)
    smooth = kzoo.baselines.train("ets", longer, out=tmp_path / "ets", baselines=False)
    runs = [networks[0], smooth]
    steps = [run.preprocessing["steps"] for run in runs]
    assert steps == [data.input_shape[0], 36] and steps[0] < 36
    judged = Parts.of(data, 5, seed=0).judged(data)
    splits = [judged, longer_split(judged, 36)]
    outputs = np.mean(
        [
            run.model.predict(split.x[:], verbose=0).reshape(len(judged), -1)
            for run, split in zip(runs, splits, strict=True)
        ],
        axis=0,
    )
    truth = np.asarray(judged.y[:])
    answers = Answers(
        outputs=outputs.reshape(*truth.shape, 3), truth=truth, rows=np.arange(len(judged))
    )
    mean = write_mean(
        tmp_path / "run",
        data,
        runs,
        [0.5, 0.5],
        [answers],
        description=DataOptions(**OPTIONS).describe(data),
        backend="tensorflow",
        judged=judged,
    )
    np.testing.assert_array_equal(mean.answers["truth"], data.test.y[:])
    assert errors_of_past(mean).shape[:2] == (len(np.unique(judged.y.moments)), 10)
    each = [kzoo.predict(run, shops()).quantiles for run in runs]
    predicted = kzoo.predict(mean, shops())
    assert predicted.quantiles == pytest.approx(np.mean(each, axis=0), rel=1e-4)
    pytest.importorskip("onnxruntime")
    kzoo.export(mean, tmp_path / "exported", formats=["onnx"])
    light = runtime.load(tmp_path / "exported").predict(shops())
    assert light.quantiles == pytest.approx(predicted.quantiles, rel=1e-3)
