"""`recipes/tables.py`: paired differences of measured runs, and the data of a row loaded again."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from messages import assert_mentions, refuses

import kzoo


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(Path(__file__).parents[2] / "recipes" / "tables.py"))


def run(preset, seed, score, trees, epochs=9):
    data = dict(
        name="shop.csv", task="tabular_classification", data_seed=seed, options={"test": None}, train=80, test=20
    )
    baseline = dict(label="gradient-boosted trees", split="test", scores={"accuracy": trees})
    summary = {"test": {"accuracy": score}, "baselines": [baseline, dict(label="slow", split="test", scores=None)]}
    spec = dict(preset=preset, seed=seed, config={}, training=dict(epochs=epochs))
    return SimpleNamespace(path=f"runs/{preset}-{epochs}/{seed}", config=dict(data=data, spec=spec), summary=summary)


def test_candidates_are_compared_split_by_split(tables):
    trees = [0.90, 0.80, 0.85]
    runs = [
        run("tabular_fnn", i, t + gain, t) for i, (t, gain) in enumerate(zip(trees, (0.01, 0.02, 0.03), strict=True))
    ]
    runs.append(run("tabular_once", 0, 0.5, 0.9))
    head, *lines = tables["pairs_on"]("shop.csv", "accuracy", runs)
    assert_mentions(head, "shop.csv", "accuracy", "gradient-boosted trees", "95 %")
    assert [line.split()[0] for line in lines] == ["tabular_fnn", "gradient-boosted", "tabular_once"]
    # 4.303 * 0.01 * sqrt(1 / 3 + 20 / 80)
    assert_mentions(lines[0], "0.8700", "+0.0200", "-0.0129", "+0.0529", "3 pairs")
    assert_mentions(lines[2], "0.5000", "-0.4000", "1 pairs")
    assert len(re.findall(r"\d\.\d{4}", lines[2])) == 2  # without an interval
    against = tables["pairs_on"]("shop.csv", "accuracy", runs, "tabular_fnn")
    assert "-0.0200" in against[2]
    longer = [run("tabular_fnn", i, t, t, epochs=99) for i, t in enumerate(trees)]
    labels = "\n".join(tables["pairs_on"]("shop.csv", "accuracy", [*runs, *longer]))
    assert "tabular_fnn (tabular_fnn-9)" in labels and "tabular_fnn (tabular_fnn-99)" in labels
    with refuses("runs/tabular_fnn-9/0", "split", "seed", "settings"):
        tables["pairs_on"]("shop.csv", "accuracy", [*runs, runs[0]])
    with refuses("--against 'tree'", "tabular_fnn", "gradient-boosted trees", "tabular_once"):
        tables["pairs_on"]("shop.csv", "accuracy", runs, "tree")


def test_the_splits_of_a_row_are_loaded_as_by_its_command(tables):
    row = next(row for row in kzoo.results.rows() if row["preset"] == "iris_fnn")
    first, second, *_ = tables["splits_of"](row, Path())
    assert first.fingerprint == kzoo.load_data("iris", preset="iris_fnn", seed=0).fingerprint != second.fingerprint
    row = next(row for row in kzoo.results.rows() if row["preset"] == "adding_gru")
    (data,) = tables["splits_of"](row, Path())
    assert data.input_shape == (100, 2) and len(data.test) == row["examples"]
    (data,) = tables["splits_of"](row | {"command": f"{row['command']} --set input_shape=50,2"}, Path())
    assert data.input_shape == (50, 2) and len(data.test) == row["examples"]
