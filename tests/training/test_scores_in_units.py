"""Scores of forecasts in the unit of the target and in percent, beside the best simple forecast."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions
from shortcuts import undrawn, untraced

import kzoo
from kzoo.cli import main
from kzoo.utils.formatting import number, percent

COMMAND = ["--target", "trips", "--series-id", "city", "--time", "month", "--no-baselines"]
SETTINGS = ["--set", "horizon=3", "input_shape=12", "epochs=1", "batch_size=16"]


@pytest.fixture(scope="module", params=["values", "quantiles"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    random = np.random.default_rng(0)
    months = pd.date_range("2015-01-01", periods=72, freq="MS").strftime("%Y-%m-%d")
    season = 20 * np.sin(np.arange(72) * np.pi / 6)
    frames = [
        pd.DataFrame(dict(city=c, month=months, trips=100 * i + season + random.normal(0, 5, 72)))
        for i, c in enumerate("ab", start=1)
    ]
    pd.concat(frames).to_csv(folder / "trips.csv", index=False)
    more = ["--quantiles", "0.1,0.5,0.9"] if request.param == "quantiles" else []
    data = ["--data", str(folder / "trips.csv"), "--out", str(folder / "run"), "--quiet"]
    with untraced(), undrawn():
        assert main(["train", "series_linear", *data, *COMMAND, *more, *SETTINGS]) == 0
    return folder


def test_the_first_line_of_scores_is_in_units(folder, capsys):
    run = kzoo.Run(folder / "run")
    truth, answers = run.answers["truth"], run.answers["answers"]
    point = answers[..., 1] if answers.ndim > truth.ndim else answers
    error = np.abs(point.astype("float64") - truth)
    stored = run.summary["test"]["simple_forecasts"]
    assert stored["forecast"]["mae"] == pytest.approx(error.mean(), rel=1e-5)
    assert stored["forecast"]["wape"] == pytest.approx(error.sum() / truth.sum(), rel=1e-5)
    # the same month last year, from the table
    frame = pd.read_csv(folder / "trips.csv")
    values = {city: rows.trips.to_numpy() for city, rows in frame.groupby("city")}
    naive = []
    for window in truth[..., 0]:
        city = "a" if window.mean() < 150 else "b"
        first = int(np.argmin(np.abs(values[city] - window[0])))
        naive.append(np.abs(values[city][first - 12 : first - 9] - window))
    assert stored["same month last year"]["mae"] == pytest.approx(np.mean(naive), rel=1e-4)
    assert main(["evaluate", str(run.path), "--data", str(folder / "trips.csv")]) == 0
    first = " ".join(capsys.readouterr().out.split("pinball ")[0].split("mae ")[0].split())
    best = min((name for name in stored if name != "forecast"), key=lambda n: stored[n]["mae"])
    for name in ("forecast", best):
        assert_mentions(first, number(stored[name]["mae"]), percent(stored[name]["wape"]), best)
    assert "'trips'" in first


def test_a_report_says_it_first(folder):
    page = Path(kzoo.report(folder / "run", out=folder / "report.html")).read_text(encoding="utf-8")
    stored = kzoo.Run(folder / "run").summary["test"]["simple_forecasts"]
    assert f"off by {number(stored['forecast']['mae'])} on average" in page


def test_comparisons_have_it(folder, capsys):
    other = folder / "other"
    if not other.exists():
        shutil.copytree(folder / "run", other)
    own = kzoo.Run(folder / "run").summary["test"]["simple_forecasts"]["forecast"]
    table = kzoo.compare([folder / "run", other])
    assert table[~table.baseline].mae.tolist() == [own["mae"]] * 2
    assert table[~table.baseline].wape.tolist() == [own["wape"]] * 2
    assert main(["compare", str(folder / "run"), str(other)]) == 0
    text = capsys.readouterr().out
    assert f"{own['mae']:.3g}" in text and percent(own["wape"]) in text
    frame = pd.read_csv(folder / "trips.csv", parse_dates=["month"])
    later = frame.assign(month=frame.month + pd.DateOffset(years=6), trips=frame.trips + 7)
    later.to_csv(folder / "later.csv", index=False)
    words = ["compare", str(folder / "run"), str(other), "--data", str(folder / "later.csv")]
    assert main(words) == 0
    scores = kzoo.evaluate(folder / "run", folder / "later.csv")["simple_forecasts"]["forecast"]
    text = " ".join(capsys.readouterr().out.split())
    assert text.count(f"'trips' are off by {number(scores['mae'])} on average") == 2


def test_model_cards_have_it(folder, tmp_path):
    run = kzoo.Run(folder / "run")
    kzoo.export(run, tmp_path / "exported", ["onnx"], progress=False)
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    own = run.summary["test"]["simple_forecasts"]["forecast"]
    share = percent(own["wape"]).replace("\xa0", " ")
    expected = (f"off by {number(own['mae'])} on average", f"{share} of the total")
    assert_mentions(card, "* test: Forecasts of 'trips'", *expected)


def test_several_targets_have_no_common_unit(tmp_path, capsys):
    hours = np.arange(120)
    table = pd.DataFrame(dict(hour=hours, load=np.sin(hours) + 5, heat=np.cos(hours) + 9))
    table.to_csv(tmp_path / "two.csv", index=False)
    out = str(tmp_path / "run")
    with untraced(), undrawn():
        data = ["--data", str(tmp_path / "two.csv"), "--target", "load,heat", "--time", "hour"]
        words = ["train", "series_linear", *data, "--out", out, "--no-baselines", *SETTINGS]
        assert main([*words, "--quiet"]) == 0
    assert "simple_forecasts" not in json.dumps(kzoo.Run(out).summary["test"])
    assert "off by" not in capsys.readouterr().out
