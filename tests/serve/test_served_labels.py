"""A model of labels, served: sets of labels in JSON and CSV, in the description of the API, and on the page."""

import csv
import io
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from served import ROOT, serving

import kzoo
from kzoo.runtime import load

NAMES = ["rain", "wind"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("labels")
    x = np.random.default_rng(0).normal(size=(200, 2))
    table = pd.DataFrame(x, columns=["a", "b"]).assign(
        rain=(x[:, 0] > 0.5) * 1, wind=(x[:, 1] > 0) * 1
    )
    run = kzoo.train(
        "tabular_fnn",
        table,
        target=NAMES,
        out=folder / "run",
        epochs=20,
        units=(8,),
        baselines=False,
        progress=False,
    )
    return kzoo.export(run, folder / "weather", formats="onnx", progress=False)


def test_the_server_answers_with_sets_of_labels(exported, tmp_path):
    rows = [{"a": 2.0, "b": 2.0}, {"a": -2.0, "b": -2.0}]
    expected = load(exported).predict(pd.DataFrame(rows))
    with serving(tmp_path, exported.path) as server:
        predictions = server.post("/v1/models/weather/answer?top=1", json={"inputs": rows}).json()[
            "predictions"
        ]
        assert [tuple(row["labels"]) for row in predictions] == expected.labels
        # also with top=1
        assert all(len(row["classes"]) == 2 and "label" not in row for row in predictions)
        text = server.post(
            "/v1/models/weather/answer", json=rows, headers={"Accept": "text/csv"}
        ).text
        table = list(csv.DictReader(io.StringIO(text)))
        assert [row["labels"] for row in table] == [";".join(labels) for labels in expected.labels]
        assert list(table[0]) == ["input", "labels", "p_rain", "p_wind"]
        about = server.get("/v1/models/weather/about").json()
        assert about["answer"]["classes"] == NAMES and about["score"]["name"] == "f1_macro"
        schema = server.get("/openapi.json").json()["components"]["schemas"]["Answers"]
        assert "labels" in schema["properties"]["predictions"]["items"]["properties"]


def test_the_modules_of_the_page_are_valid():
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    for file in sorted((ROOT / "kzoo" / "serve" / "page").glob("*.js")):
        checked = subprocess.run(
            ["node", "--input-type=module", "--check"],
            input=file.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stderr
