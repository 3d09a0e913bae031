"""Means, paths and totals of forecasts through the public functions, the command line and an export."""

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from shortcuts import undrawn, untraced

import kzoo
from kzoo import cli
from kzoo.evaluation.evaluate import data_to_score
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.runtime import load
from kzoo.training.score import run_gives_logits, score_split

OPTIONS = dict(target="sales", series_id="shop", time="day", horizon=4, input_shape=14)
TRAIN = dict(OPTIONS, epochs=4, batch_size=32, baselines=False, progress=False, seed=3)
QUANTILES = dict(quantiles=(0.1, 0.5, 0.9))
SHOPS, DAYS = 6, 160


def shops(seed=0):
    """Return skewed sales of shops, whose errors have a shock in common."""
    random = np.random.default_rng(seed)
    shock = 0.4 * random.normal(size=DAYS)
    days = pd.date_range("2024-06-30", periods=DAYS, freq="-1D")[::-1].strftime("%Y-%m-%d")
    frames = []
    for number in range(SHOPS):
        week = 1 + 0.3 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
        sales = 10.0 * (number + 1) * week * np.exp(shock + 0.6 * random.normal(size=DAYS))
        frames.append(pd.DataFrame(dict(shop=f"s{number}", day=days, sales=sales.round(2))))
    return pd.concat(frames, ignore_index=True)


def fit(folder, **options):
    with untraced(), undrawn():
        return kzoo.train("series_linear", shops(), out=folder / "run", **TRAIN | options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("quantiles"), **QUANTILES)


@pytest.fixture(scope="module")
def medians(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("medians"), loss="mae")


@pytest.fixture(scope="module")
def means(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("means"), loss="mse")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    for module in ("tf2onnx", "onnxruntime"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("exported") / "shops"
    return kzoo.export(run, folder, formats=["onnx"], verify=False, progress=False).path


@pytest.fixture
def table(tmp_path):
    shops().to_csv(tmp_path / "shops.csv", index=False)
    return tmp_path / "shops.csv"


def command(capsys, *words):
    code = cli.main([*map(str, words), "--json"])
    out, error = capsys.readouterr()
    return json.loads(out) if code == 0 else error


def test_quantiles_have_a_mean_beside_them(run):
    predictions = kzoo.predict(run, shops())
    columns = predictions.columns()
    assert predictions.mean.shape == (SHOPS, 4, 1)
    assert list(columns)[-4:] == ["sales_mean", "sales_q0.1", "sales_q0.5", "sales_q0.9"]
    np.testing.assert_array_equal(columns["sales_mean"], predictions.mean.reshape(-1))
    assert predictions.mean.sum() > predictions.quantiles[..., 1].sum()
    assert predictions.rows()[2]["mean"] == predictions.mean[2].tolist()
    assert "sales_mean" in repr(predictions)


def test_medians_have_a_mean_and_means_have_none(medians, means):
    predictions = kzoo.predict(medians, shops())
    assert predictions.mean.sum() > predictions.values.sum()
    assert list(predictions.columns())[-2:] == ["sales", "sales_mean"]
    predictions = kzoo.predict(means, shops())
    assert predictions.mean is None and "sales_mean" not in predictions.columns()
    total = kzoo.predict(means, shops(), total="all", confidence=0.8)
    assert total.values.item() == pytest.approx(predictions.values.sum(), rel=1e-5)
    assert total.lower.item() < total.values.item() < total.upper.item()


def test_the_bias_is_that_of_the_means_and_totals_are_judged(run):
    _, data = data_to_score(run, shops(), None)
    part = data.test
    frame = shops()
    errors, truths = 0.0, 0.0
    days = sorted(frame.day.unique())
    names = part.y.series.names
    for row in range(0, len(part), 7):
        name = names[part.y.codes[row]]
        own = frame[frame["shop"] == name]
        truth = part.y[row]
        position = next(
            i
            for i in range(DAYS - 3)
            if np.allclose(own.sales.to_numpy()[i : i + 4], truth[:, 0], rtol=1e-5)
        )
        predictions = kzoo.predict(run, own[own.day < days[position]])
        errors += float((predictions.mean[0] - truth).sum())
        truths += float(np.abs(truth).sum())
    rows = np.arange(0, len(part), 7)
    scored = kzoo.evaluate(run, shops(), confidence=(0.5, 0.8))
    assert abs(scored["bias"]) < 0.3
    assert scored["bias"] == pytest.approx(run.summary["test"]["bias"], abs=1e-5)
    steps = Postprocessor.read(run.postprocessing)
    some = score_split(
        run.model, part.select(rows), data, logits=run_gives_logits(run), postprocessor=steps
    )
    assert some.scores["bias"] == pytest.approx(errors / truths, abs=1e-3)
    assert [(e["total"], e["confidence"]) for e in scored["totals"]] == [
        (total, level) for level in (0.5, 0.8) for total in ("series", "steps", "all")
    ]
    for entry, stored in zip(scored["totals"][3:], run.summary["totals"], strict=True):
        assert entry | {"bias": None} == stored | {"bias": None}
        assert entry["bias"] == pytest.approx(stored["bias"], rel=1e-3)
    for entry in scored["totals"]:
        assert 0 <= entry["covered"] <= entry["of"] and entry["of"] > 0


@pytest.mark.parametrize("total", ["series", "steps", "all"])
def test_an_export_has_the_means_paths_and_totals_of_its_run(total, run, exported):
    model = load(exported)
    expected = kzoo.predict(run, shops(), samples=20, seed=4)
    predictions = model.predict(shops(), samples=20, seed=4)
    near = dict(rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(predictions.mean, expected.mean, **near)
    np.testing.assert_allclose(predictions.samples, expected.samples, **near)
    expected = kzoo.predict(run, shops(), total=total, confidence=0.7)
    predictions = model.predict(shops(), total=total, confidence=0.7)
    for name in ("mean", "quantiles", "lower", "upper"):
        np.testing.assert_allclose(getattr(predictions, name), getattr(expected, name), **near)
    assert predictions.promise == expected.promise
    shape = {"series": (1, 4, 1), "steps": (SHOPS, 1, 1), "all": (1, 1, 1)}[total]
    assert predictions.mean.shape == predictions.lower.shape == shape


def test_a_bias_is_found_by_the_check(run, tmp_path):
    low, high = run.summary["test"]["bias_interval"]
    assert low < run.summary["test"]["bias"] < high
    folder = shutil.copytree(run.path, tmp_path / "biased")
    summary = json.loads((folder / "summary.json").read_text())
    summary["test"] |= dict(bias=0.4, bias_interval=[0.3, 0.5])
    scores = {name: summary["test"][name] for name in ("pinball", "coverage", "examples")}
    baseline = dict(name="ets", label="a baseline", split="test", metric="pinball", notes=[])
    summary["baselines"] = [baseline | dict(best="min", scores=scores | dict(bias=0.1))]
    (folder / "summary.json").write_text(json.dumps(summary))
    found = [f for f in kzoo.check(folder, shops()) if f.check == "forecasts_with_a_bias"]
    assert len(found) == 1
    assert_mentions(found[0].what, "40", "too high", "a baseline")
    assert_mentions(kzoo.report(folder).read_text(encoding="utf-8"), "too high in total")
    assert not [f for f in kzoo.check(run, shops()) if f.check == "forecasts_with_a_bias"]


def test_paths_are_written_a_row_for_each_path_series_and_step(run, table, tmp_path, capsys):
    out = tmp_path / "paths.csv"
    document = command(
        capsys, "predict", run.path, table, "--samples", 5, "--seed", 2, "--out", out
    )
    assert document["samples"] == 5 and document["out"] == str(out)
    frame = pd.read_csv(out)
    samples = kzoo.predict(run, table, samples=5, seed=2).samples
    np.testing.assert_allclose(frame["sales"], samples.reshape(-1), rtol=1e-5)
    assert frame["sample"].tolist() == np.repeat(np.arange(1, 6), SHOPS * 4).tolist()
    assert frame["day"].iloc[:4].tolist() == [
        "2024-07-01",
        "2024-07-02",
        "2024-07-03",
        "2024-07-04",
    ]
    first = out.read_bytes()
    words = ("predict", run.path, table, "--samples", 5, "--seed", 2, "--out", out)
    assert cli.main([str(word) for word in words]) == 0
    assert_mentions(capsys.readouterr().out, "5 paths of the forecasts of 6 series, 4 steps each")
    assert out.read_bytes() == first


def test_totals_on_the_command_line(run, table, tmp_path, capsys):
    out = tmp_path / "totals.csv"
    words = ("predict", run.path, table, "--total", "series", "--confidence", 0.8)
    document = command(capsys, *words, "--out", out)
    (row,) = document["predictions"]
    assert row["input"] == "total of 6 series" and len(row["mean"]) == 4 and "lower" in row
    assert_mentions(document["promise"], "80 %", "error vectors")
    frame = pd.read_csv(out)
    total = kzoo.predict(run, table, total="series", confidence=0.8)
    np.testing.assert_allclose(frame["sales_mean"], total.mean.reshape(-1), rtol=1e-5)
    np.testing.assert_allclose(frame["sales_upper"], total.upper.reshape(-1), rtol=1e-5)
    assert cli.main([str(word) for word in words]) == 0
    assert_mentions(capsys.readouterr().out, "sales_mean", "total of 6 series")
    assert (
        cli.main(["predict", str(run.path), str(table), "--total", "all", "--out", str(out)]) == 0
    )
    assert_mentions(capsys.readouterr().out, "1 to 4", f"Forecast of 4 steps written to {out}")
    names = ["shop", "sales_mean", "sales_q0.1", "sales_q0.5", "sales_q0.9", "first", "last"]
    assert list(pd.read_csv(out)) == names  # no step: it is a sum over all of them
    assert cli.main(["evaluate", str(run.path), "--data", str(table), "--confidence", "0.8"]) == 0
    assert_mentions(capsys.readouterr().out, "totals of forecasts", "over series, each step")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(samples=0), ("samples=0", "1", "10,000")),
        (dict(samples=True), ("samples=True",)),
        (dict(samples=2.5), ("samples=2.5", "whole number")),
        (dict(samples=10_001), ("samples=10001", "10,000")),
        (dict(total="shops"), ("total='shops'", "series, steps, all")),
        (dict(total="all", seed=-1), ("seed=-1", "whole number")),
        (dict(seed=3), ("seed=3", "samples=")),
    ],
)
def test_bad_options_are_refused(options, parts, run, exported):
    with refuses(*parts):
        kzoo.predict(run, shops(), **options)
    with refuses(*parts):
        load(exported).predict(shops(), **options)


def test_paths_on_the_command_line_need_a_file(run, table, capsys):
    assert cli.main(["predict", str(run.path), str(table), "--samples", "5"]) == 2
    assert_mentions(capsys.readouterr().err, "--samples 5", "--out")


def test_a_run_of_before_has_neither_and_answers_as_before(run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "before")
    steps = json.loads((folder / "postprocessing.json").read_text())
    steps = [step for step in steps if step["name"] != "error_vectors"]
    (folder / "postprocessing.json").write_text(json.dumps(steps))
    before, now = kzoo.predict(folder, shops()), kzoo.predict(run, shops())
    assert before.mean is None and list(before.columns())[-3:] == list(now.columns())[-3:]
    np.testing.assert_array_equal(before.quantiles, now.quantiles)
    for options in (dict(samples=3), dict(total="all")):
        with refuses(*(f"{name}={value!r}" for name, value in options.items()), "Train again"):
            kzoo.predict(folder, shops(), **options)


def test_other_models_do_not_add_up(tmp_path):
    frame = pd.DataFrame(dict(x=np.arange(60.0), y=np.arange(60.0) * 2))
    run = kzoo.train(
        "tabular_fnn",
        frame,
        target="y",
        out=tmp_path / "rows",
        epochs=1,
        baselines=False,
        progress=False,
    )
    with refuses("total='all'", "is for forecasts"):
        kzoo.predict(run, frame, total="all")


def test_one_series_of_several_columns(tmp_path):
    t = np.arange(200)
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        dict(
            a=5 + np.sin(t / 4) + np.exp(random.normal(size=200)),
            b=np.cos(t / 4) + random.normal(size=200),
        )
    )
    with untraced(), undrawn():
        run = kzoo.train(
            "series_linear",
            frame,
            target=("a", "b"),
            horizon=3,
            input_shape=12,
            out=tmp_path / "run",
            epochs=1,
            baselines=False,
            progress=False,
            **QUANTILES,
        )
    predictions = kzoo.predict(run, frame)
    assert predictions.mean.shape == (1, 3, 2)
    names = list(predictions.columns())
    assert names[-8:] == [f"{n}_{end}" for n in "ab" for end in ("mean", "q0.1", "q0.5", "q0.9")]
    total = kzoo.predict(run, frame, total="steps", confidence=0.8)
    np.testing.assert_allclose(total.mean[0, 0], predictions.mean[0].sum(axis=0), rtol=1e-5)
    assert [entry["total"] for entry in run.summary["totals"]] == ["steps"]
    stream = io.StringIO()
    kzoo.predict(run, frame, samples=2).write_samples_csv(stream)
    assert pd.read_csv(io.StringIO(stream.getvalue())).columns[-3:].tolist() == ["sample", "a", "b"]
