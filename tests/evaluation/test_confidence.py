"""Sets, intervals and abstention of runs: in predict, evaluate, exports, the runtime and on the command line."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from trained import fit

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.utils.errors import KzooWarning


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def points(n=900, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3)).round(3)
    noise = random.normal(size=n)
    kinds = np.array(["low", "middle", "high"])[np.digitize(x[:, 0] + 0.4 * noise, [-0.6, 0.6])]
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    return frame.assign(kind=kinds, value=(3 * x[:, 0] + (1 + np.abs(x[:, 0])) * noise).round(3))


def small(name, data, home, **options):
    settings = (
        dict(units=(16,), epochs=8, learning_rate=0.03, batch_size=16, baselines=False, check=False)
        | options
    )
    return fit("tabular_fnn", data, home / name, **settings)


@pytest.fixture(scope="module")
def kinds_run(home):
    data = points().drop(columns="value")
    return small("kinds", data, home, target="kind", calibration=0.25)


@pytest.fixture(scope="module")
def values_run(home):
    return small("values", points().drop(columns="kind"), home, target="value")


@pytest.fixture(scope="module")
def new():
    return points(200, seed=1)


def quietly(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)
        return kzoo.predict(*arguments, **options)


def covered(predictions, kinds):
    return np.mean([kind in chosen for kind, chosen in zip(kinds, predictions.sets, strict=True)])


def test_sets_cover_and_say_what_they_promise(kinds_run, values_run, new):
    for method in ("lac", "raps", "class"):
        predictions = kzoo.predict(kinds_run, new, confidence=0.8, conformal=method)
        assert 0.7 < covered(predictions, new["kind"]) <= 1
    assert kinds_run.data.calibration == 180
    assert_mentions(predictions.promise, "80\xa0% of new rows")
    assert "approximate" not in predictions.promise
    predictions = quietly(values_run, new, confidence=0.8)
    inside = (new["value"] >= predictions.lower[:, 0]) & (new["value"] <= predictions.upper[:, 0])
    assert 0.65 < inside.mean() < 0.95
    assert_mentions(predictions.promise, "approximate", "validation rows", "calibration=")
    assert list(predictions.to_frame().columns) == ["input", "value", "value_lower", "value_upper"]


def test_predictions_without_a_question_stay_as_they_are(kinds_run, new):
    predictions = kzoo.predict(kinds_run, new)
    assert predictions.confidence is None and not predictions.sets and not predictions.promise
    asked = kzoo.predict(kinds_run, new, confidence=0.9)
    assert (
        asked.labels == predictions.labels
        and (asked.probabilities == predictions.probabilities).all()
    )


def test_unsure_rows(kinds_run, new):
    predictions = kzoo.predict(kinds_run, new, min_probability=0.7)
    expected = predictions.probabilities.max(axis=1) < 0.7
    assert [label == "unsure" for label in predictions.labels] == expected.tolist()
    predictions = kzoo.predict(kinds_run, new, accuracy_when_answered=0.6)
    assert_mentions(
        predictions.promise,
        "60\xa0% are right",
        "at most 10\xa0%",
        "samples that give none count as kept",
    )
    with refuses("accuracy_when_answered=0.99", "cannot be promised", "180 rows", "calibration="):
        kzoo.predict(kinds_run, new, accuracy_when_answered=0.99)


def test_coverage_is_measured(kinds_run, values_run):
    data = points().drop(columns="value")
    coverage = kzoo.evaluate(kinds_run, data, confidence=(0.8, 0.9))["conformal"]
    assert {(entry["confidence"], entry["method"]) for entry in coverage} == {
        (level, method) for level in (0.8, 0.9) for method in ("lac", "raps", "class")
    }
    stored = {entry["confidence"]: entry for entry in kinds_run.summary["conformal"]}
    assert stored[0.9]["coverage"] == next(
        entry["coverage"]
        for entry in coverage
        if entry["confidence"] == 0.9 and entry["method"] == "lac"
    )
    assert set(stored[0.9]["classes"]) == set(kinds_run.class_names)
    low, high = stored[0.9]["expected"]
    assert 0.8 < low < 0.9 < high < 1
    assert [entry["rows"] for entry in values_run.summary["conformal"]] == ["validation"] * 3
    with refuses("confidence=0.999", "999 validation rows"):
        kzoo.evaluate(values_run, points().drop(columns="kind"), confidence=0.999)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(min_probability=0.8), ("min_probability=0.8", "classes", "numbers")),
        (dict(accuracy_when_answered=0.9), ("accuracy_when_answered=0.9", "classes")),
        (dict(confidence=0.8, conformal="raps"), ("conformal='raps'", "classes")),
        (dict(confidence=0.999), ("confidence=0.999", "999")),
    ],
)
def test_what_numbers_cannot_have_is_refused(values_run, new, options, words):
    with refuses(*words):
        kzoo.predict(values_run, new, **options)


def test_runs_that_promise_nothing_refuse(home, new):
    few = small("few", points(60).drop(columns="value"), home, target="kind")
    hinge = small("hinge", points(200).drop(columns="value"), home, target="kind", loss="hinge")
    for run in (few, hinge):
        with refuses("confidence=0.9", "Train again", "calibration=0.1"):
            kzoo.predict(run, new, confidence=0.9)
    with refuses("min_probability=0.5", "scores"):
        kzoo.predict(hinge, new, min_probability=0.5)
    with refuses("postprocess='conformal'", "unknown"):
        small(
            "named",
            points(100).drop(columns="value"),
            home,
            target="kind",
            postprocess=("conformal",),
        )
    two = points(200)
    labels = small(
        "labels",
        two.assign(a=two.a > 0, b=two.b > 0).drop(columns=["kind", "value"]),
        home,
        target=["a", "b"],
        task="labels",
    )
    for name in ("min_probability", "accuracy_when_answered"):
        with refuses(f"{name}=0.9", "is for classes, and", "predicts labels"):
            kzoo.predict(labels, new, **{name: 0.9})
    with refuses("3 calibration rows", "at least 10", "calibration="):
        small("fewer", points(200).drop(columns="value"), home, target="kind", calibration=0.02)
    with refuses("confidence=0.9", "is for classes and numbers", "predicts labels"):
        kzoo.predict(labels, two, confidence=0.9)


@pytest.fixture(scope="module")
def exported(kinds_run, values_run, home):
    return [
        kzoo.export(run, home / f"export-{name}", "onnx", verify=False, progress=False)
        for name, run in (("kinds", kinds_run), ("values", values_run))
    ]


def test_exports_promise_the_same(kinds_run, values_run, exported, new):
    models = [kzoo.runtime.load(model) for model in exported]
    for options in (
        dict(confidence=0.9),
        dict(confidence=0.8, conformal="raps"),
        dict(min_probability=0.6),
        dict(accuracy_when_answered=0.6),
    ):
        expected = kzoo.predict(kinds_run, new, **options)
        same = models[0].predict(new, **options)
        assert same.labels == expected.labels and list(same.sets) == list(expected.sets)
        assert same.promise == expected.promise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)
        expected, same = (model.predict(new, confidence=0.8) for model in (models[1], models[1]))
        expected = kzoo.predict(values_run, new, confidence=0.8)
    assert same.lower == pytest.approx(expected.lower, abs=1e-4)
    with refuses("min_probability=0.5", "numbers"):
        models[1].predict(new, min_probability=0.5)
    assert "drift" in (exported[0].path / "README.md").read_text(encoding="utf-8")


def test_the_command_line(kinds_run, values_run, exported, new, home, capsys):
    new.to_csv(home / "new.csv", index=False)
    file = str(home / "new.csv")
    assert (
        main(
            [
                "predict",
                str(kinds_run.path),
                file,
                "--confidence",
                ".9",
                "--out",
                str(home / "out.csv"),
            ]
        )
        == 0
    )
    assert_mentions(capsys.readouterr().out, "set {", "90\xa0% of new rows")
    table = pd.read_csv(home / "out.csv")
    assert table["set"].str.fullmatch(r"\{[\w; ]*\}").all()
    assert main(["predict", str(exported[1].path), file, "--confidence", ".8", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (
        document["predictions"][0]["lower"] < document["predictions"][0]["values"]
        and document["promise"]
    )
    assert main(["predict", str(kinds_run.path), file, "--min-probability", ".9"]) == 0
    assert_mentions(capsys.readouterr().out, "unsure (")
    assert main(["predict", str(kinds_run.path), file, "--confidence", "1.5"]) == 2
    assert_mentions(capsys.readouterr().err, "1.5", "below 1")


def test_forecasts_have_a_band_that_adapts(home):
    steps = np.arange(900)
    noise = np.random.default_rng(0).normal(size=900) * np.where(steps < 700, 0.1, 0.6)
    series = pd.DataFrame({"y": np.sin(steps / 4) + noise})
    run = fit(
        "series_linear",
        series,
        home / "adaptive",
        input_shape=16,
        horizon=3,
        epochs=2,
        calibration=0.1,
        baselines=False,
        check=False,
    )
    short, long = (kzoo.predict(run, series[-rows:], confidence=0.8) for rows in (16, 300))
    assert short.values == pytest.approx(long.values)
    assert_mentions(short.promise, "approximate")
    assert_mentions(long.promise, "follows the errors")
    # 80 % of the late noise are within 1.28 standard deviations
    assert long.upper - long.lower == pytest.approx(2 * 1.28 * 0.6, rel=0.3)
    assert ((short.upper - short.lower) > 2 * 2 * 1.28 * 0.1).all()  # its window is of late rows
    static, adaptive = kzoo.evaluate(run, series, confidence=0.8)["conformal"]
    assert adaptive["method"] == "adaptive" and abs(adaptive["coverage"] - 0.8) < abs(
        static["coverage"] - 0.8
    )
    model = kzoo.runtime.load(
        kzoo.export(run, home / "export-series", "onnx", verify=False, progress=False)
    )
    same = model.predict(series[-300:], confidence=0.8)
    assert same.upper == pytest.approx(long.upper, abs=1e-4)


def test_a_further_step_is_applied_once_to_scores_and_sets(home):
    data = points().drop(columns="value")
    run = small(
        "platt_scaling",
        data[data["kind"] != "middle"],
        home,
        target="kind",
        calibration=0.25,
        postprocess=("platt_scaling",),
    )
    assert [step["name"] for step in run.postprocessing] == ["platt_scaling", "conformal"]
    after = run.summary["calibration"]["test"]["after"]["log_loss"]
    assert after == pytest.approx(run.summary["test"]["loss"], rel=1e-5)
    coverage = kzoo.evaluate(run, data[data["kind"] != "middle"], confidence=0.9)["conformal"][0]
    assert coverage["coverage"] == run.summary["conformal"][1]["coverage"]


def panel(count=12, days=160, seed=0):
    """Return daily rows of series whose sizes differ by six decades."""
    random = np.random.default_rng(seed)
    times = pd.date_range("2024-01-01", periods=days, freq="D")
    frames = []
    for number, size in enumerate(np.geomspace(1e-3, 1e3, count)):
        values = 10 + np.sin(np.arange(days) * 2 * np.pi / 7) + random.normal(0, 0.5, days)
        frames.append(pd.DataFrame({"id": f"s{number}", "day": times, "y": size * values}))
    return pd.concat(frames)


def test_the_outer_quantiles_of_forecasts_are_judged(home):
    frame = panel()
    run = fit(
        "series_linear",
        frame,
        home / "judged-quantiles",
        series_id="id",
        time="day",
        target="y",
        quantiles=[0.1, 0.5, 0.9],
        input_shape=14,
        horizon=3,
        epochs=1,
        baselines=False,
        check=False,
    )
    scores = run.summary["test"]
    band = scores["band"]
    assert band["confidence"] == pytest.approx(0.8) and band["coverage"] == scores["coverage"]
    assert [part["series"] for part in band["sizes"]] == [3, 2, 3, 2, 2]
    low, high = band["interval"]
    rows = scores["examples"]
    # not that of independent rows
    share = scores["coverage"]
    assert high - low > 1.3 * 1.96 * np.sqrt(share * (1 - share) / rows) and low <= share <= high
    found = run.problem.task.score_warnings(scores)
    outside = not band["expected"][0] <= band["coverage"] <= band["expected"][1]
    outside |= any(part["coverage"] < part["expected"][0] for part in band["sizes"])
    assert bool(found) == outside
    smallest = band["sizes"][0] | {"coverage": 0.27, "expected": [0.6, 0.95]}
    band = band | {"expected": [0, 1], "sizes": [smallest]}
    (sentence,) = run.problem.task.score_warnings(scores | {"band": band})
    assert_mentions(sentence, "outer quantiles", "27", "smallest fifth")
    assert "band" in kzoo.evaluate(run, frame)
    kzoo.report(run.path)


def test_the_coverage_of_forecasts_is_judged_by_size(home, capsys):
    frame = panel()
    run = fit(
        "series_linear",
        frame,
        home / "by-size",
        series_id="id",
        time="day",
        target="y",
        input_shape=14,
        horizon=3,
        epochs=2,
        baselines=False,
        check=False,
    )
    for entry in run.summary["conformal"]:
        low, high = entry["expected"]
        assert 0 <= low < entry["confidence"] < high <= 1
        assert entry["probability"] == 0.95
        assert [part["series"] for part in entry["sizes"]] == [3, 2, 3, 2, 2]
        # windows of a series have equal rights, and fifths have nearly as many series
        mean = np.average([part["coverage"] for part in entry["sizes"]], weights=[3, 2, 3, 2, 2])
        assert mean == pytest.approx(entry["coverage"], abs=0.02)
    # the series of a panel have no band that follows the errors before: `predict` makes none
    (static,) = kzoo.evaluate(run, frame, confidence=0.8)["conformal"]
    assert static["expected"] is not None

    file = run.path / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8"))
    entry = summary["conformal"][0] | {"coverage": 0.8, "expected": [0.7, 0.9]}
    sizes = [{"coverage": 0.8, "expected": [0.6, 0.95], "series": 2}] * 4
    entry["sizes"] = [{"coverage": 0.27, "expected": [0.6, 0.95], "series": 3}, *sizes]
    file.write_text(json.dumps(summary | {"conformal": [entry]}), encoding="utf-8")
    (finding,) = [
        found for found in kzoo.check(run.path, frame) if found.check == "bands_that_do_not_cover"
    ]
    assert_mentions(finding.what, "80", "27", "60", "95", "smallest fifth", "3")
    report = kzoo.report(run.path)
    assert_mentions(report.read_text(encoding="utf-8"), "smallest fifth")
