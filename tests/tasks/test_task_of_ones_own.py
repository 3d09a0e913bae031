"""A task of another package, ordinal classes, works in all of kzoo without a change there."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions

import kzoo

JOURNEY = """
import json, shutil, sys
import numpy as np
import kzoo, kzoo.runtime
from kzoo.cli import main

options = dict(target="stars", task="ordinal", units=(16,), batch_size=32, learning_rate=0.03, progress=False)
shutil.copy("stars.csv", "more.csv")
run = kzoo.train("tabular_fnn", "stars.csv", out="run", epochs=6, **options)
new = kzoo.train("tabular_fnn", "stars.csv", out="new", seed=1, epochs=1, **options)
answers = kzoo.predict(run, "stars.csv")
results = dict(
    task=run.config["data"]["task"],
    test=run.summary["test"],
    again=kzoo.evaluate(run, "more.csv"),
    labels=answers.labels,
    p=answers.probabilities.tolist(),
    checks=[f.check for f in kzoo.check("tabular_fnn", "stars.csv", target="stars", task="ordinal", deep=False)],
    ranked=kzoo.compare(["run", "new"], baselines=False)[["run", "metric", "score"]].values.tolist(),
    beside=sorted(kzoo.compare(["run", "new"]).query("baseline").run),
    page=kzoo.report(run).read_text(encoding="utf-8"),
    # Of another kind of input too, without more code.
    texts=kzoo.load_data("texts.csv", preset="text_cnn", target="stars", task="ordinal").task,
)
exported = kzoo.export(run, "exported", formats=["onnx", "litert"])
results["exports"] = {key: entry["status"] for key, entry in exported.exports.items()}
for format in ("onnx", "litert"):
    results[format] = kzoo.runtime.load("exported", format).predict("stars.csv").labels
results["versus"] = main(["compare", "new", "run", "--data", "more.csv", "--json"])
json.dump(results, open("results.json", "w"))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory, warm_python):
    """The results of a process in which the package is installed as pip does it: a folder and its dist-info."""
    folder = tmp_path_factory.mktemp("ordinal")
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    stars = np.clip(
        np.round(3 + x[:, 0] + 0.5 * x[:, 1] + 0.3 * random.normal(size=400)), 1, 5
    ).astype(int)
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "stars": stars}).to_csv(
        folder / "stars.csv", index=False
    )
    texts = [
        f"{word} food and service number {i}"
        for i, word in enumerate(["bad", "fine", "great"] * 20)
    ]
    pd.DataFrame({"text": texts, "stars": [1, 2, 3] * 20}).to_csv(folder / "texts.csv", index=False)
    info = folder / "kzoo_ordinal-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kzoo-ordinal\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kzoo.tasks]\nordinal = kzoo_ordinal:TASK\n")
    path = os.pathsep.join(
        [str(folder), str(Path(__file__).parent), str(Path(kzoo.__file__).parent.parent)]
    )
    done = subprocess.run(
        [warm_python, "-c", JOURNEY],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "results.json").read_text()) | {"stars": stars}


def test_it_trains_and_has_the_scores_of_its_package(results):
    assert results["task"] == "tabular_ordinal"
    assert set(results["test"]) == {"rank_error", "rank_error_of_median", "accuracy", "examples"}
    assert results["test"]["rank_error"] < 0.7 * results["test"]["rank_error_of_median"]
    assert results["again"]["examples"] == 400


def test_its_labels_are_the_medians(results):
    p = np.array(results["p"])
    medians = np.array([int(np.searchsorted(np.cumsum(row), 0.5)) for row in p])
    assert results["labels"] == [str(median + 1) for median in medians]
    assert results["again"]["rank_error"] == pytest.approx(
        np.abs(medians + 1 - results["stars"]).mean()
    )
    assert (medians != p.argmax(axis=1)).any()  # else the median would show nothing


def test_checks_ranking_and_report_support_it(results):
    assert [row[1] for row in results["ranked"]] == ["rank_error"] * 2
    assert results["ranked"][0][2] <= results["ranked"][1][2]
    # where they are installed
    beside = [name for name in results["beside"] if name not in ("CatBoost", "LightGBM")]
    assert beside == ["gradient-boosted trees", "logistic regression", "most frequent class"]
    # as the package words it
    assert f"It is off by {results['test']['rank_error']:.2f} ranks" in results["page"]
    assert_mentions(results["page"], "always the median", "confusion matrix")
    assert results["versus"] == 0


def test_it_is_exported_and_answers_without_keras(results):
    assert results["exports"]["onnx"] == results["exports"]["litert"] == "ok"
    assert results["onnx"] == results["litert"] == results["labels"]


def test_other_kinds_of_input_support_it(results):
    assert results["texts"] == "text_ordinal"
