"""Targets that were never negative, or always whole, before the test rows stay so in every forecast, and in scores.

The class of faults: a network, a band or a mean of models answers with numbers that the target cannot have.
"""

import numpy as np
import pandas as pd
import pytest
from messages import notes_with
from shortcuts import undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.inference.encode import encode
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.target_range import apply, finished, target_facts
from kzoo.inference.predictions import Predictions

HORIZON = 7
COLUMNS = dict(series_id="shop", time="day", target="sales")


def shops(days=120):
    """Counts of 0 to 4, intermittent ones, a series of zeros, and one that falls to 0 at its end."""
    draw = np.random.default_rng(0)
    falling = np.maximum(60 - np.arange(days) * 60 // (days - 12), 0)
    series = {
        "counts": draw.integers(0, 5, days),
        "intermittent": draw.poisson(3, days) * (draw.random(days) < 0.2),
        "zeros": np.zeros(days, int),
        "falling": falling,
    }
    day = pd.date_range("2024-01-01", periods=days)
    return pd.concat(
        [pd.DataFrame(dict(shop=shop, day=day, sales=sales)) for shop, sales in series.items()],
        ignore_index=True,
    )


def trained(folder, frame, **settings):
    with untraced(), undrawn():
        return kzoo.train(
            settings.pop("preset", "series_linear"),
            frame,
            out=folder,
            horizon=HORIZON,
            input_shape=14,
            epochs=2,
            progress=False,
            baselines=False,
            check=False,
            **COLUMNS,
            **settings,
        )


@pytest.fixture(scope="module")
def quantiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantiles") / "run"
    return trained(folder, shops(), quantiles=[0.1, 0.5, 0.9])


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("values") / "run", shops())


def numbers_of(predictions):
    arrays = (predictions.values, predictions.quantiles, predictions.lower, predictions.upper)
    return np.concatenate([array.ravel() for array in arrays if array is not None])


def raw_outputs(run, frame):
    return run.model.predict(encode(run.preprocessing, frame), verbose=0)


@pytest.mark.parametrize("name", ["quantiles", "values"])
def test_forecasts_are_whole_and_not_negative(name, request, tmp_path):
    run = request.getfixturevalue(name)
    frame = shops()
    raw = raw_outputs(run, frame)
    assert (raw < 0).any() and (raw != np.round(raw)).any()  # otherwise nothing is tested
    model = kzoo.runtime.load(kzoo.export(run, tmp_path / "export", formats=["onnx"]).path)
    predictions = kzoo.predict(run, frame, confidence=0.8)
    for answer in (predictions, model.predict(frame, confidence=0.8), kzoo.predict(run, frame)):
        numbers = numbers_of(answer)
        assert (numbers >= 0).all() and (numbers == np.round(numbers)).all()
        point = answer.values if name == "values" else answer.quantiles[..., 1]
        assert (point[answer.inputs.index("zeros")] == 0).all()
        if answer.lower is not None:
            assert ((answer.lower <= point) & (point <= answer.upper)).all()
    np.testing.assert_array_equal(
        numbers_of(model.predict(frame, confidence=0.8)), numbers_of(predictions)
    )


def test_scores_are_those_of_the_forecasts(quantiles, values):
    for run in (quantiles, values):
        stored = run.answers["answers"]
        assert (stored >= 0).all() and (stored == np.round(stored)).all()
        scores = kzoo.evaluate(run, shops())
        point = stored if run is values else stored[..., 1]
        error = np.abs(point - run.answers["truth"]).sum() / np.abs(run.answers["truth"]).sum()
        assert scores["wape"] == pytest.approx(error) == run.summary["test"]["wape"]
    lines = Postprocessor.read(values.postprocessing).describe()
    assert notes_with(lines, "'sales'", "negative") and notes_with(lines, "'sales'", "whole")


def test_an_ensemble_and_a_baseline_keep_the_range(values, tmp_path):
    frame = shops()
    other = trained(tmp_path / "other", frame, seed=1)
    ensemble = kzoo.ensemble([values, other], out=tmp_path / "ensemble")
    ridge = kzoo.baselines.train("ridge_windows", frame, out=tmp_path / "ridge", **COLUMNS)
    for run in (ensemble, ridge):
        numbers = kzoo.predict(run, frame).values
        assert (numbers >= 0).all() and (numbers == np.round(numbers)).all()


def test_other_targets_are_not_changed(tmp_path):
    frame = shops()
    frame["sales"] = frame["sales"] - 0.5
    run = trained(tmp_path / "run", frame)
    assert "target_range" not in [step["name"] for step in run.postprocessing]
    np.testing.assert_array_equal(kzoo.predict(run, frame).values, raw_outputs(run, frame))


def test_facts_are_those_of_known_rows_before_the_test_rows():
    whole = np.array([[0.0, -1, 0.5], [3, 2, 1], [1.5, 4, 2]])
    filled = np.array([[False] * 3, [False] * 3, [True, False, False]])
    assert target_facts(whole, filled) == {
        "never_negative": [True, False, True],
        "whole": [True, True, False],
    }
    data = kzoo.load_data(shops().query("day != '2024-02-10'"), preset="series_linear", **COLUMNS)
    assert data.seen["target_range"] == {"never_negative": [True], "whole": [True]}
    late = shops().astype({"sales": float})
    late.loc[late["day"] > "2024-04-20", "sales"] = -0.5  # in the test rows only
    data = kzoo.load_data(late, preset="series_linear", **COLUMNS)
    assert data.seen["target_range"] == {"never_negative": [True], "whole": [True]}
    late.loc[
        late["day"].between("2024-04-01", "2024-04-12"), "sales"
    ] = -0.5  # in the validation rows, too
    data = kzoo.load_data(late, preset="series_linear", **COLUMNS)
    assert data.seen["target_range"] == {"never_negative": [False], "whole": [False]}
    alone = shops(400).query("shop == 'counts'").drop(columns="shop").astype({"sales": float})
    alone.loc[alone["day"].between("2024-10-20", "2024-10-31"), "sales"] = -0.5
    data = kzoo.load_data(alone, preset="series_linear", time="day", target="sales")
    assert data.seen["target_range"] == {"never_negative": [False], "whole": [False]}


def test_rounded_intervals_cover_the_same_whole_numbers():
    draw = np.random.default_rng(0)
    truth = draw.poisson(2, (500, 3, 1))
    values = draw.gamma(2, 1, (500, 3, 1)).astype("float32")
    lower, upper = values - draw.random(values.shape) * 2, values + draw.random(values.shape) * 2
    learned = dict(never_negative=[True], whole=[True], levels=None, names=["y"])
    rounded = finished(learned, Predictions(values=values, lower=lower, upper=upper))
    contained = (lower <= truth) & (truth <= upper)
    again = (rounded.lower <= truth) & (truth <= rounded.upper)
    is_point = truth == rounded.values
    np.testing.assert_array_equal(contained | is_point, again)
    np.testing.assert_array_equal(rounded.values, np.floor(values + 0.5))
    some = Predictions(values=values, mean=values - 3, samples=np.stack([values - 3, values]))
    others = finished(learned, some)
    np.testing.assert_array_equal(others.mean, np.maximum(values - 3, 0))
    assert set(np.unique(others.samples)) <= set(range(20))
    large = np.array([[1e6 + 0.25, 123456.4, 2.5, -0.4]], "float32")
    four = dict(never_negative=[False] * 4, whole=[True] * 4, levels=None, names=list("abcd"))
    assert apply(four, large, logits=None).tolist() == [[1e6, 123456, 3, 0]]
