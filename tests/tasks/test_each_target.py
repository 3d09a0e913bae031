"""Scores of several targets, and of forecasts compared with simple forecasts that need no network.

The fault: a single number for targets of unlike units, compared only with the mean of the training data, hid a target
that was several times worse than the same hour of yesterday. The reference is computed here with NumPy and pandas.
"""

import csv
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses
from shortcuts import undrawn, untraced
from sklearn import metrics as sk
from sklearn.datasets import load_linnerud

import kzoo
import kzoo.cli
from kzoo import get_preset
from kzoo.data import load_data
from kzoo.data.inputs.series.simple_forecasts import simple_forecasts
from kzoo.export.card import card
from kzoo.inference.exported import Manifest
from kzoo.inference.tasks.target_scores import mixes_units, target_table
from kzoo.training.scores.values import doubts, headline
from kzoo.zoo.registry import with_settings

pytestmark = pytest.mark.usefixtures("untraced")
ROWS, STEPS, HORIZON = 900, 30, 26  # the last steps lie more than a day ahead


def house():
    """Load follows the hour and the weekday; temperature wanders. Their units are unlike."""
    random = np.random.default_rng(0)
    hours = np.arange(ROWS)
    load = (
        300
        + 80 * np.sin(2 * np.pi * hours / 24)
        + 20 * (hours // 24 % 7 < 5)
        + random.normal(0, 2, ROWS)
    )
    temperature = np.cumsum(random.normal(0, 0.3, ROWS))
    when = pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="Europe/Berlin")
    return pd.DataFrame({"when": when, "load": load, "temperature": temperature})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with untraced(), undrawn():
        return kzoo.train(
            "series_gru",
            house(),
            target=["load", "temperature"],
            out=tmp_path_factory.mktemp("house") / "run",
            epochs=1,
            units=(4,),
            batch_size=128,
            input_shape=(STEPS, 1),
            horizon=HORIZON,
            progress=False,
        )


def by_hand(answers):
    """Return target -> name -> mean absolute error, from the table: a row for each window and step."""
    table = house().drop(columns="when").astype("float32")
    first = int(ROWS * 0.8)
    starts = range(first, ROWS - HORIZON + 1)
    assert len(starts) == len(answers)
    rows = np.array(starts)[:, None] + np.arange(HORIZON)
    back = np.arange(HORIZON) // 24
    errors = {}
    for i, name in enumerate(table):
        values = table[name].to_numpy("float64")
        guesses = {
            "last value": values[np.array(starts) - 1][:, None],
            "same hour yesterday": values[rows - 24 * (1 + back)],
            "same hour last week": values[rows - 168],
            "training mean": values[: int(ROWS * 0.7)].mean(),
            "model": answers[..., i],
        }
        errors[name] = {
            forecast: np.abs(guess - values[rows]).mean() for forecast, guess in guesses.items()
        }
    return errors


def test_each_target_is_compared_with_simple_forecasts(run):
    scores = run.summary["test"]
    stored = run.answers
    errors = by_hand(stored["answers"])
    for i, (name, target) in enumerate(scores["targets"].items()):
        assert {
            forecast: simple["mae"] for forecast, simple in target["beside"].items()
        } == pytest.approx(
            {forecast: error for forecast, error in errors[name].items() if forecast != "model"},
            rel=1e-5,
        )
        truth, answers = stored["truth"][..., i], stored["answers"][..., i]
        assert target["mae"] == pytest.approx(errors[name]["model"], rel=1e-5)
        assert target["rmse"] == pytest.approx(
            sk.mean_squared_error(truth.ravel(), answers.ravel()) ** 0.5, rel=1e-5
        )
        assert target["r2"] == pytest.approx(sk.r2_score(truth, answers), rel=1e-4)
        for simple in target["beside"].values():
            assert simple["ratio"] == pytest.approx(target["mae"] / simple["mae"]) and simple[
                "examples"
            ] == len(truth)
    worst = [
        max(simple["ratio"] for simple in target["beside"].values())
        for target in scores["targets"].values()
    ]
    assert scores["relative_mae"] == pytest.approx(np.mean(worst))


def test_a_target_that_is_worse_than_yesterday_is_a_warning(run):
    simple = run.summary["test"]["targets"]["load"]["beside"]
    assert simple["same hour yesterday"]["ratio"] > 1.5  # after an epoch
    message = next(line for line in doubts(run.summary["test"]) if "'load'" in line)
    best = min(("same hour yesterday", "same hour last week"), key=lambda name: simple[name]["mae"])
    assert_mentions(
        message, "'load'", best, f"{simple[best]['ratio']:.3g}", f"{simple[best]['examples']}"
    )
    assert message in kzoo.report(run, out="r.html").read_text(encoding="utf-8").replace(
        "&#39;", "'"
    )


def test_the_headline_mixes_no_units(run):
    scores = run.summary["test"]
    parts = headline(scores, run.target, split="test ", answers=run.answers)
    assert_mentions(parts["label"], "R²", "2 targets")
    assert_mentions(
        parts["sentence"], f"{100 * scores['relative_mae']:.1f} %", "'load'", "'temperature'"
    )
    assert (
        mixes_units("mae", scores) and mixes_units("rmse", scores) and not mixes_units("r2", scores)
    )


def test_the_command_line_has_a_table(run, capsys, tmp_path):
    house().to_csv(tmp_path / "house.csv", index=False)
    assert kzoo.cli.main(["evaluate", str(run.path), "--data", str(tmp_path / "house.csv")]) == 0
    text = capsys.readouterr().out
    head = next(line for line in text.splitlines() if line.split()[:1] == ["target"])
    assert "last value" in head and "same hour yesterday" in head and "same hour last week" in head
    assert "(!)" in text and not re.search(r"^\s+(mae|rmse) +\d", text, re.M)
    assert any(not missing_from(line, ["warning", "'load'"]) for line in text.splitlines())


def test_windows_without_a_week_before_them_are_not_compared_with_last_week(run):
    """In a new series, the first windows have no week before them."""
    short = house()[:200]
    simple = kzoo.evaluate(run, short)["targets"]["temperature"]["beside"]
    windows = 200 - STEPS - HORIZON + 1
    assert simple["last value"]["examples"] == simple["same hour yesterday"]["examples"] == windows
    week = simple["same hour last week"]
    starts = np.arange(STEPS, 200 - HORIZON + 1)
    assert week["examples"] == (starts >= 168).sum() > 0
    values = short["temperature"].to_numpy("float32")
    rows = starts[starts >= 168][:, None] + np.arange(HORIZON)
    assert week["mae"] == pytest.approx(np.abs(values[rows] - values[rows - 168]).mean(), rel=1e-5)


def test_runs_are_compared_target_by_target(run, tmp_path, capsys):
    shutil.copytree(run.path, tmp_path / "runs" / "one")
    shutil.copytree(run.path, tmp_path / "runs" / "two")
    rows = kzoo.compare(tmp_path / "runs", baselines=False).to_dict("records")
    scores = run.summary["test"]
    assert rows[0]["rmse"] is None and rows[0]["metric"] == "mse_standardised"
    assert rows[0]["targets"] == {name: target["mae"] for name, target in scores["targets"].items()}
    assert rows[0]["relative_mae"] == scores["relative_mae"]
    assert (
        kzoo.cli.main(["compare", str(tmp_path / "runs"), "--csv", "out.csv", "--no-baselines"])
        == 0
    )
    assert_mentions(capsys.readouterr().out, "relative MAE")
    with open("out.csv", encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["mae.load"]) == scores["targets"]["load"]["mae"] and row["rmse"] == ""


def test_two_targets_of_a_table(tmp_path, untraced, undrawn):
    frame = load_linnerud(as_frame=True).frame  # 20 rows: weight in pounds, waist in inches
    base = get_preset("diabetes_fnn")
    targets = ["Weight", "Waist"]
    run = kzoo.train(
        base,
        frame,
        target=targets,
        drop="Pulse",
        out=tmp_path / "run",
        epochs=2,
        check=False,
        progress=False,
    )
    scores = run.summary["test"]
    truth = run.answers["truth"]
    answers = run.answers["answers"]
    offset = run.spec.config["target_offset"]
    for i, name in enumerate(targets):
        target = scores["targets"][name]
        assert target["mae"] == pytest.approx(
            sk.mean_absolute_error(truth[:, i], answers[:, i]), rel=1e-5
        )
        assert target["beside"]["training mean"]["mae"] == pytest.approx(
            np.abs(truth[:, i] - offset[i]).mean()
        )
    sentence = headline(scores, run.target, split="test ")["sentence"]
    assert_mentions(sentence, f"{100 * scores['relative_mae']:.1f} %", "'Weight'", "'Waist'")


def test_a_single_target_has_no_table(tmp_path):
    scores = dict(mae=1.0, rmse=2.0, r2=0.5, examples=3)
    assert target_table(scores) == [] and not mixes_units("mae", scores) and doubts(scores) == []


def test_a_simple_forecast_without_errors_cannot_be_beaten():
    beside = {"last value": dict(mae=0.0, ratio=None, examples=4)}
    scores = dict(targets={"a": dict(mae=1.0, rmse=1.0, r2=None, beside=beside)})
    assert_mentions(doubts(scores)[0], "'a'", "4 examples", "last value", "(0)")
    assert "(!)" in target_table(scores)[1][-1]


@pytest.mark.parametrize(
    ("frequency", "season", "name"),
    [
        ("D", 7, "same weekday last week"),
        ("B", 5, "same weekday last week"),
        ("ME", 12, "same month last year"),
        ("QS", 4, "same quarter last year"),
        ("15min", 96, "same time yesterday"),
        ("W-SUN", 52, "same week last year"),
    ],
)
def test_the_season_follows_from_the_step(frequency, season, name):
    base = get_preset("series_gru")
    values = np.arange(300.0) ** 1.5
    preset = with_settings(
        base, {**base.config, "input_shape": (12, 1), "horizon": 3}, base.training
    )
    when = pd.date_range("1900-01-01", periods=300, freq=frequency)
    data = load_data(pd.DataFrame({"when": when, "value": values}), preset=preset, time="when")
    simple = dict(simple_forecasts(data.preprocessing, data.test))
    starts = data.test.y.starts
    np.testing.assert_allclose(simple[name][:, 1, 0], values[starts + 1 - season], rtol=1e-6)
    np.testing.assert_allclose(simple["last value"][:, 1, 0], values[starts - 1], rtol=1e-6)


@pytest.fixture
def new(tmp_path):
    file = tmp_path / "new.csv"
    house()[:500].assign(when=lambda f: f["when"].dt.strftime("%Y-%m-%dT%H:%M:%S%z")).to_csv(
        file, index=False
    )
    return file


def expected_times():
    return [
        str(time) for time in pd.date_range(house()["when"][499], periods=HORIZON + 1, freq="h")[1:]
    ]


def test_a_forecast_is_dated(run, new):
    forecast = kzoo.predict(run, new)
    assert [
        str(time) for time in forecast.times[0]
    ] == expected_times() and forecast.history.shape == (1, STEPS, 2)
    frame = forecast.to_frame()
    assert list(frame) == ["when", "step", "load", "temperature"]
    assert str(frame["when"][0]) == expected_times()[0]


def test_the_command_line_dates_and_draws_it(run, new, capsys):
    assert (
        kzoo.cli.main(
            ["predict", str(run.path), str(new), "--out", "out.csv", "--plot", "ahead.png"]
        )
        == 0
    )
    assert capsys.readouterr().out.splitlines()[1].split() == ["time", "load", "temperature"]
    with open("out.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    as_in_table = [pd.Timestamp(time).strftime("%Y-%m-%dT%H:%M:%S%z") for time in expected_times()]
    assert [row["when"] for row in rows] == as_in_table
    with open("ahead.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"
    assert kzoo.cli.main(["predict", str(run.path), str(new), "--json"]) == 0
    times = json.loads(capsys.readouterr().out)["predictions"][0]["times"]
    assert times == as_in_table


def test_an_invalid_path_of_a_plot_is_refused(run, new, capsys):
    for plot, parts in (
        ("ahead.jpg", (".png", ".svg", ".pdf")),
        ("none/ahead.png", ("folder", "'none'")),
    ):
        assert kzoo.cli.main(["predict", str(run.path), str(new), "--plot", plot]) == 2
        assert_mentions(capsys.readouterr().err, "--plot", repr(plot), *parts)


def test_the_picture(run, new):
    forecast = kzoo.predict(run, new)
    figure = kzoo.plots.ahead(
        forecast.history[0],
        forecast.values[0],
        times=forecast.times[0],
        history_times=forecast.history_times[0],
        names=forecast.target_names,
    )
    past, _, future = figure.axes[0].lines[:3]
    np.testing.assert_array_equal(
        past.get_ydata(), house()["load"][500 - STEPS : 500].astype("float32")
    )
    np.testing.assert_array_equal(future.get_ydata(), forecast.values[0][:, 0])
    assert [axes.get_ylabel() for axes in figure.axes] == ["load", "temperature"]
    assert [
        line.get_label() for line in figure.axes[0].lines if not line.get_label().startswith("_")
    ] == [
        "history",
        "forecast",
    ]
    assert_mentions(
        kzoo.plots.ahead(np.zeros((4, 1)), np.ones((2, 1))).axes[0].get_xlabel(), "steps"
    )
    with refuses("(4, 2)", "(2, 1)", "(steps, targets)"):
        kzoo.plots.ahead(np.zeros((4, 2)), np.ones((2, 1)))
    with refuses("names: 3", "1"):
        kzoo.plots.ahead(np.zeros((4, 1)), np.ones((2, 1)), names=["a", "b", "c"])


def test_an_ensemble_of_stored_answers_is_compared_with_the_same_forecasts(run, tmp_path):
    """It has no data: the errors of the simple forecasts on these windows are those of the runs."""
    other = kzoo.Run(shutil.copytree(run.path, tmp_path / "other"))
    joined = kzoo.ensemble([run, other], out=tmp_path / "joined")
    ours, theirs = joined.summary["test"], run.summary["test"]
    for name, target in theirs["targets"].items():
        assert ours["targets"][name]["beside"]["last value"] == pytest.approx(
            target["beside"]["last value"]
        )
    assert ours["relative_mae"] == pytest.approx(theirs["relative_mae"])


def test_cross_validation_has_each_target(tmp_path, undrawn):
    frame = load_linnerud(as_frame=True).frame
    scores = kzoo.cross_validate(
        "diabetes_fnn",
        frame,
        target=["Weight", "Waist"],
        drop="Pulse",
        folds=2,
        epochs=1,
        out=tmp_path / "folds",
        check=False,
        progress=False,
    )
    errors = [fold["targets"]["Waist"]["mae"] for fold in scores["folds"]]
    assert scores["targets"]["Waist"]["mean"]["mae"] == pytest.approx(np.mean(errors))


def test_the_card_of_an_export_mixes_no_units(run):
    manifest = Manifest(
        name="house",
        created="2026-11-26",
        spec=run.config["spec"],
        parameters=1,
        inputs=[dict(name="series", dtype="float32", shape=[None, STEPS, 2], meaning="raw values")],
        outputs=[dict(name="values", shape=[None, HORIZON, 2], kind="values")],
        labels=[],
        targets=["load", "temperature"],
        preprocessing=run.preprocessing,
        data=run.config["data"],
        metrics={"test": run.summary["test"]},
        versions={},
        predict_ms={"1": None, "32": None},
        exports={},
        files={},
    )
    lines = [line for line in card(manifest).splitlines() if line.startswith("* test")]
    assert re.search(r"[:,] r2 ", lines[0]) and not re.search(r"[:,] (mae|rmse) \d", lines[0])
    assert_mentions(lines[1], "test", "load", "MAE", "last value")


def test_a_target_without_baselines_has_no_empty_list():
    targets = {name: dict(mae=1.0, rmse=2.0, r2=0.5, beside={}) for name in ("load", "wind")}
    scores = dict(mae=1.0, rmse=2.0, r2=0.5, examples=3, targets=targets)
    sentence = headline(scores, None, split="test ")["sentence"]
    assert_mentions(sentence, "'load'", "'wind'")
    assert "baselines" not in sentence
