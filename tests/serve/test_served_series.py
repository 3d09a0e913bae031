"""Models of labelled series: exported, in the runtime without Keras, on the server and on its page."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_series import LENGTHS, OPTIONS, long_table
from messages import assert_mentions, refuses, warns
from page_visit import Visit, browsing, text
from served import serving

import kzoo
from kzoo.runtime import load

NEW = long_table(9, LENGTHS, seed=1).drop(columns=["state", "subject"])
NAMES = list(dict.fromkeys(NEW["sensor"]))
SERIES = [NEW[NEW["sensor"] == name].sort_values("step")[["x0", "x1"]].to_numpy() for name in NAMES]
PRESETS = {
    "series_rocket": dict(shares=168, groups=4, kernels_per_group=4),
    "series_gru": dict(epochs=2, units=(8,)),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        preset: kzoo.train(
            preset,
            long_table(40, LENGTHS),
            **OPTIONS,
            out=folder / preset,
            baselines=False,
            progress=False,
            **settings,
        )
        for preset, settings in PRESETS.items()
    }


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("exports")
    return {
        preset: kzoo.export(run, folder / preset, formats=["onnx"], progress=False).path
        for preset, run in runs.items()
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_an_export_predicts_as_the_run(preset, runs, exports):
    expected = kzoo.predict(runs[preset], NEW)
    exported = load(exports[preset])
    for rows in (NEW, NEW.sample(frac=1, random_state=1)):
        predictions = exported.predict(rows)
        order = [list(predictions.inputs).index(name) for name in expected.inputs]
        np.testing.assert_allclose(
            predictions.probabilities[order], expected.probabilities, atol=1e-5
        )
        assert list(np.array(predictions.labels)[order]) == list(expected.labels)
    of_arrays = exported.predict(SERIES)
    order = [list(expected.inputs).index(name) for name in NAMES]
    np.testing.assert_allclose(of_arrays.probabilities, expected.probabilities[order], atol=1e-5)
    # padding and other series do not matter
    alone = exported.predict(NEW[NEW["sensor"] == NAMES[1]])
    np.testing.assert_allclose(alone.probabilities[0], expected.probabilities[order[1]], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_litert_predicts_as_the_run(preset, runs, tmp_path):
    exported = kzoo.export(runs[preset], tmp_path / preset, formats=["litert"], progress=False).path
    expected = kzoo.predict(runs[preset], NEW).probabilities
    np.testing.assert_allclose(load(exported).predict(NEW).probabilities, expected, atol=1e-5)


def test_the_runtime_needs_no_keras(exports):
    code = f"""
import csv, json, sys
from kzoo.runtime import load
model = load({str(exports["series_rocket"])!r})
rows = list(csv.DictReader(sys.stdin))
labels = model.predict(rows).labels
print(json.dumps([labels, [name for name in ("keras", "tensorflow", "pandas") if name in sys.modules]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=NEW.to_csv(index=False),
        capture_output=True,
        text=True,
        check=True,
    )
    labels, imported = json.loads(done.stdout)
    assert labels == [name[0] for name in NAMES] and imported == []


def test_the_runtime_refuses_as_the_run_does(exports):
    model = load(exports["series_rocket"])
    for rows, parts in (
        (NEW.drop(columns="x1"), ("'x1'",)),
        (pd.concat([NEW, NEW]), ("two rows", "'step'")),
        (NEW.assign(x1="red"), ("no number", "'x1'")),
        (np.zeros((3, 20, 3)), ("2 columns", "got 3")),
    ):
        with refuses(*parts):
            model.predict(rows)
    with warns("1 series", "20 steps", "cut"):
        assert len(model.predict([np.zeros((30, 2))])) == 1


@pytest.fixture(scope="module")
def server(exports, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server"), exports["series_rocket"]) as running:
        yield running


def test_the_server_answers_for_each_series(server, exports):
    expected = load(exports["series_rocket"]).predict(NEW)
    body = NEW.to_csv(index=False)
    response = server.post(
        "/v1/models/series_rocket/answer", data=body, headers={"Content-Type": "text/csv"}
    )
    predictions = response.json()["predictions"]
    assert [row["input"] for row in predictions] == NAMES and [
        row["label"] for row in predictions
    ] == expected.labels
    rows = NEW.to_dict("records")
    assert (
        server.post("/v1/models/series_rocket/answer", json={"inputs": rows}).json()["predictions"]
        == predictions
    )
    lists = [values.tolist() for values in SERIES]
    answers = server.post("/v1/models/series_rocket/answer", json={"inputs": lists}).json()[
        "predictions"
    ]
    assert [row["label"] for row in answers] == expected.labels
    table = server.post(
        "/v1/models/series_rocket/answer",
        data=body,
        headers={"Content-Type": "text/csv", "Accept": "text/csv"},
    ).text
    assert [row["input"] for row in csv.DictReader(io.StringIO(table))] == NAMES
    about = server.get("/v1/models/series_rocket/about").json()
    assert about["answer"]["classes"] == ["a", "b"] and about["input"]["form"]["series_id"] == [
        "sensor"
    ]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([{"sensor": "a0", "step": 0, "x0": 1}], ("'x1'",)),
        ([{"sensor": "a0", "step": 0, "x0": 1, "x1": 1}] * 2, ("'a0'", "two rows")),
        ([{"sensor": "a0", "step": "soon", "x0": 1, "x1": 1}], ("'soon'",)),
        ([[[1, 2]], [[1, 2, 3]]], ("3",)),
        ([[["red", "blue"]]], ("numbers",)),
        ([], ("No inputs",)),
    ],
)
def test_the_server_refuses_in_a_line(server, rows, parts):
    response = server.post("/v1/models/series_rocket/answer", json={"inputs": rows})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert_mentions(error if isinstance(error, str) else json.dumps(error), *parts)


@pytest.mark.slow
def test_the_page(server, exports):
    expected = load(exports["series_rocket"]).predict(NEW)
    with browsing() as browser:
        context = browser.new_context(locale="en-GB")
        context.set_default_timeout(15_000)
        tab = Visit(context.new_page(), server.url)
        page = tab.open("series_rocket")
        hint = text("labelledSeries", n=20, columns="x0, x1", ids="sensor")
        assert hint in page.locator("main").inner_text()
        page.locator("textarea").fill(NEW.to_csv(index=False))
        tab.click()
        answer = tab.answer()
        for name, label in zip(NAMES, expected.labels, strict=True):
            assert any(name in line and label in line for line in answer.splitlines()), answer
        page.locator("textarea").fill("sensor,step,x0\na0,0,1\n")
        tab.click()
        assert "x1" in tab.error()
        tab.behaved(refused=True)
        context.close()
