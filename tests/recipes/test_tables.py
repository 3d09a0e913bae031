"""`recipes/tables.py`: paired differences of measured runs, and the data of a row loaded again."""

import csv
import io
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from messages import assert_mentions, refuses
from scipy import stats

import kzoo
from kzoo.problems.tasks import score_named


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(Path(__file__).parents[2] / "recipes" / "tables.py"))


def run(preset, seed, score, trees, epochs=9):
    data = dict(
        name="shop.csv",
        task="tabular_classification",
        data_seed=seed,
        options={"test": None},
        train=80,
        test=20,
    )
    baseline = dict(label="gradient-boosted trees", split="test", scores={"accuracy": trees})
    summary = {
        "test": {"accuracy": score},
        "baselines": [baseline, dict(label="slow", split="test", scores=None)],
    }
    spec = dict(preset=preset, seed=seed, config={}, training=dict(epochs=epochs))
    return SimpleNamespace(
        path=f"runs/{preset}-{epochs}/{seed}", config=dict(data=data, spec=spec), summary=summary
    )


def test_candidates_are_compared_split_by_split(tables):
    trees = [0.90, 0.80, 0.85]
    runs = [
        run("tabular_fnn", i, t + gain, t)
        for i, (t, gain) in enumerate(zip(trees, (0.01, 0.02, 0.03), strict=True))
    ]
    runs.append(run("tabular_once", 0, 0.5, 0.9))
    head, *lines = tables["pairs_on"]("shop.csv", "accuracy", runs)
    assert_mentions(head, "shop.csv", "accuracy", "gradient-boosted trees", "95 %")
    assert [line.split()[0] for line in lines] == [
        "tabular_fnn",
        "gradient-boosted",
        "tabular_once",
    ]
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
    row = next(row for row in kzoo.zoo.results.rows() if row["preset"] == "iris_fnn")
    first, second, *_ = tables["splits_of"](row, Path())
    assert (
        first.fingerprint
        == kzoo.load_data("iris", preset="iris_fnn", seed=0).fingerprint
        != second.fingerprint
    )
    row = next(row for row in kzoo.zoo.results.rows() if row["preset"] == "adding_gru")
    (data,) = tables["splits_of"](row, Path())
    assert data.input_shape == (100, 2) and len(data.test) == row["examples"]
    (data,) = tables["splits_of"](
        row | {"command": f"{row['command']} --set input_shape=50,2"}, Path()
    )
    assert data.input_shape == (50, 2) and len(data.test) == row["examples"]


def read_results(tables):
    """Return name of a file of results -> its rows."""
    return {
        file.stem: list(csv.DictReader(io.StringIO(text)))
        for file, text in tables["result_files"]().items()
    }


def test_every_measured_score_is_a_line_of_its_data_set_best_first(tables):
    files = read_results(tables)
    rows = kzoo.zoo.results.rows()
    assert sum(line["kind"] == "preset" for lines in files.values() for line in lines) == len(rows)
    for name, lines in files.items():
        metric = list(lines[0])[2]
        scores = [float(line[metric]) for line in lines]
        lower = score_named(metric).best == "min"
        assert scores == sorted(scores, reverse=not lower), name
        assert any(line["kind"] == "baseline" for line in lines), name
    assert set(files) >= {
        "results-telco_customer_churn",
        "results-pydocs-accuracy",
        "results-pydocs-bits_per_token",
    }
    line = next(
        line for line in files["results-telco_customer_churn"] if line["model"] == "tabular_tabm"
    )
    row = next(row for row in rows if line["source"] == row["command"])
    assert (float(line["accuracy"]), int(line["parameters"])) == (row["score"], row["parameters"])
    help_text = (Path(__file__).parents[2] / "results" / "README.md").read_text(encoding="utf-8")
    assert_mentions(help_text, *(f"`{column}`" for column in line))


def test_the_interval_of_a_row_is_students_or_wilsons(tables):
    row = dict(
        metric="accuracy",
        score=0.82,
        scores=[0.8, 0.82, 0.84],
        over="3 seeds",
        examples=50,
        train=100,
    )
    interval_of = tables["interval_of"]
    low, high = stats.t.interval(0.95, 2, 0.82, stats.sem(row["scores"]))
    assert interval_of(row) == pytest.approx((low, high), abs=1e-5)
    for over, overlap in (("3 splits", 50 / 100), ("3 folds", 1 / 2)):  # Nadeau and Bengio
        half = stats.t.ppf(0.975, 2) * np.sqrt((1 / 3 + overlap) * np.var(row["scores"], ddof=1))
        expected = 0.82 - half, 0.82 + half
        assert interval_of(row | {"over": over}) == pytest.approx(expected, abs=1e-5)
    once = row | dict(score=0.8, scores=[0.8], over="1 run")
    expected = stats.binomtest(40, 50).proportion_ci(0.95, "wilson")
    assert interval_of(once) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert (
        interval_of(once | {"metric": "r2"}) is None
        and interval_of(once | {"examples": None}) is None
    )


def test_size_and_latency_are_those_of_the_network_of_the_row(tables):
    light = kzoo.zoo.results.light_of(dict(preset="iris_fnn", data="iris", parameters=2499))
    assert (
        light["threads"] == 1
        and light["ms"] > 0
        and light["machine"]
        and light["versions"]["onnxruntime"]
    )
    assert 4 * 2499 < light["bytes"] < 4 * 2499 + 5000
    assert kzoo.zoo.results.light_of(dict(preset="iris_fnn", data="iris", parameters=2500)) is None
    for lines in read_results(tables).values():
        for line in lines:
            # weights of four bytes; some of batch normalization become part of others
            if line["onnx_bytes"]:
                assert int(line["onnx_bytes"]) > 4 * int(line["parameters"]) * 0.9, line
                assert float(line["onnx_ms"]) > 0 and line["threads"] == "1"
            assert line["kind"] == "preset" or not line["parameters"]
    row = next(row for row in kzoo.zoo.results.rows() if row["preset"] == "iris_fnn")
    assert tables["network_of"](row, Path()).count_params() == row["parameters"]
