"""A served baseline: the server answers rows as the baseline predicts them, with its sets."""

import numpy as np
import pandas as pd
import pytest
from served import serving

import kzoo


def test_the_server_answers_rows_as_the_baseline_does(tmp_path):
    pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {"size": random.normal(50, 9, 300).round(1), "kind": random.choice(list("abc"), 300)}
    )
    table["sold"] = np.where((table["size"] > 52) ^ (table["kind"] == "b"), "yes", "no")
    run = kzoo.baselines.train("trees", table, target="sold", out=tmp_path / "run", baselines=False)
    exported = kzoo.export(run, tmp_path / "shop", formats="onnx", progress=False)
    rows = [{"size": 70.0, "kind": "a"}, {"size": 70.0, "kind": "b"}, {"size": 30.0, "kind": "c"}]
    expected = kzoo.predict(run, pd.DataFrame(rows))
    with serving(tmp_path, exported.path) as server:
        predictions = server.post("/v1/models/shop/answer", json={"inputs": rows}).json()[
            "predictions"
        ]
        assert [row["label"] for row in predictions] == expected.labels == ["yes", "no", "no"]
        about = server.get("/v1/models/shop/about").json()
        assert about["score"]["name"] == "accuracy"
