"""Sets, intervals and abstention, served: by raw inputs and by tensors as the runtime makes them."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from served import serving

import kzoo
from kzoo.runtime import load


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("sets")
    random = np.random.default_rng(0)
    x = random.normal(size=(800, 2))
    noisy = x[:, 0] + 0.3 * random.normal(size=800)
    table = pd.DataFrame(x, columns=["a", "b"])
    settings = dict(
        calibration=0.2, epochs=5, units=(8,), learning_rate=0.03, baselines=False, progress=False
    )
    paths = []
    for name, target in (("kinds", np.where(noisy > 0, "up", "down")), ("heights", noisy)):
        run = kzoo.train(
            "tabular_fnn",
            table.assign(y=target),
            target="y",
            out=folder / f"run-{name}",
            **settings,
        )
        paths.append(
            kzoo.export(run, folder / name, formats="onnx", verify=False, progress=False).path
        )
    return paths


def test_the_server_promises_what_the_runtime_does(exported, tmp_path):
    rows = [{"a": 2.0, "b": 0.0}, {"a": 0.05, "b": 0.3}, {"a": -2.0, "b": 1.0}]
    kinds, heights = map(load, exported)
    with serving(tmp_path, *exported) as server:
        for options in (
            {"confidence": 0.9},
            {"confidence": 0.95, "conformal": "raps"},
            {"min_probability": 0.8},
        ):
            expected = kinds.predict(rows, **options)
            document = server.post("/v1/models/kinds/answer", params=options, json=rows).json()
            assert [row["label"] for row in document["predictions"]] == expected.labels
            if "confidence" in options:
                assert [tuple(row["set"]) for row in document["predictions"]] == list(expected.sets)
                assert document["promise"] == expected.promise
        assert "unsure" in expected.labels
        expected = heights.predict(rows, confidence=0.8)
        document = server.post("/v1/models/heights/answer?confidence=0.8", json=rows).json()
        assert np.array([row["lower"] for row in document["predictions"]]) == pytest.approx(
            expected.lower
        )
        text = server.post(
            "/v1/models/heights/answer?confidence=0.8", json=rows, headers={"Accept": "text/csv"}
        ).text
        assert next(csv.DictReader(io.StringIO(text))).keys() == {
            "input",
            "y",
            "y_lower",
            "y_upper",
        }
        # The Open Inference Protocol: further tensors.
        x = kinds.receive(rows).x
        tensor = {
            "name": kinds.inputs,
            "datatype": "FP32",
            "shape": list(x.shape),
            "data": x.ravel().tolist(),
        }
        reply = server.post(
            "/v2/models/kinds/infer", json={"inputs": [tensor], "parameters": {"confidence": 0.9}}
        ).json()
        expected = kinds.predict(rows, confidence=0.9)
        outputs = {output["name"]: output for output in reply["outputs"]}
        inside = np.reshape(outputs["set"]["data"], outputs["set"]["shape"])
        assert [tuple(np.array(["down", "up"])[row]) for row in inside] == list(expected.sets)
        assert (
            outputs["label"]["data"] == expected.labels
            and reply["parameters"]["promise"] == expected.promise
        )
        # What cannot be honoured is refused.
        for path, body, part in (
            ("/v1/models/kinds/answer?confidence=2", rows, "confidence=2"),
            ("/v1/models/kinds/answer?confidence=x", rows, "must be a number"),
            ("/v1/models/kinds/answer?confidence=.9&confidence=.8", rows, "'confidence' twice"),
            ("/v1/models/kinds/answer", '[{"a": 1, "b": 2, "a": 3}]', "'a' twice"),
            ("/v1/models/heights/answer?min_probability=0.5", rows, "predicts numbers"),
            (
                "/v1/models/kinds:predict?confidence=0.9",
                {"instances": x.tolist()},
                "TensorFlow Serving",
            ),
            (
                "/v1/models/kinds:predict",
                {"instances": x.tolist(), "min_probability": 0.5},
                "TensorFlow Serving",
            ),
            ("/v2/models/kinds/infer?confidence=0.9", {"inputs": [tensor]}, "parameters"),
        ):
            refused = (
                server.post(path, data=body)
                if isinstance(body, str)
                else server.post(path, json=body)
            )
            assert refused.status_code == 400 and part in refused.json()["error"]
        about = server.get("/v1/models/kinds/about").json()
        assert about["answer"]["confidence"] is True
        path = server.get("/openapi.json").json()["paths"]["/v1/models/{name}/answer"]
        names = {parameter["name"] for parameter in path["parameters"]}
        assert {"confidence", "conformal", "min_probability", "accuracy_when_answered"} <= names
