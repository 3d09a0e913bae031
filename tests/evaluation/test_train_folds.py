"""`kzoo train --folds` and `--ensemble`: several runs, and one that predicts by their mean."""

import json

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("untraced_module")

QUICK = ("--epochs", "2", "--quiet", "--no-check", "--no-baselines")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows whose categories and columns differ between folds: rare cities, and a column with a single other value."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(50, 10, 90).round(1),
            "flag": np.where(np.arange(90) == 4, 1.5, 0.0),
            "city": random.choice(["Bern", "Basel", "Genf"], 90),
        }
    )
    frame.loc[[1, 30, 61], "city"] = ["Chur", "Sion", "Thun"]
    frame["sold"] = np.where(frame["size"] + 10 * (frame["city"] == "Bern") > 54, "yes", "no")
    path = tmp_path_factory.mktemp("folds") / "homes.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folds(table):
    out = table.parent / "cross"
    words = [
        "train",
        "tabular_fnn",
        "--data",
        str(table),
        "--target",
        "sold",
        "--folds",
        "3",
        "--out",
        str(out),
    ]
    assert main([*words, *QUICK]) == 0
    return out


def test_the_run_of_folds_predicts_by_their_mean(folds, table):
    members = [kzoo.Run(folds / f"fold-0{i}") for i in (1, 2, 3)]
    cities = [run.preprocessing["columns"][-1]["values"] for run in members]
    assert len({tuple(sorted(values)) for values in cities}) > 1  # else nothing is merged
    assert len({len(run.preprocessing["columns"]) for run in members}) > 1
    run = kzoo.Run(folds / "ensemble")
    rows = pd.read_csv(table).drop(columns="sold")
    rows.loc[0, "city"] = "Zug"  # in no fold
    with pytest.warns(KzooWarning):
        mean = np.mean([kzoo.predict(member, rows).probabilities for member in members], axis=0)
        np.testing.assert_allclose(kzoo.predict(run, rows).probabilities, mean, atol=1e-6)
        kzoo.export(run, folds / "export", formats="onnx", progress=False)
        exported = kzoo.runtime.load(folds / "export").predict(rows).probabilities
    np.testing.assert_allclose(exported, mean, atol=1e-5)


def test_the_same_command_resumes(folds, table, capsys):
    before = (folds / "fold-02" / "summary.json").stat().st_mtime_ns
    words = [
        "train",
        "tabular_fnn",
        "--data",
        str(table),
        "--target",
        "sold",
        "--folds",
        "3",
        "--out",
        str(folds),
    ]
    assert main([*words, *QUICK, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (folds / "fold-02" / "summary.json").stat().st_mtime_ns == before
    stored = json.loads((folds / "cross_validation.json").read_text())
    assert document["scores"]["mean"] == pytest.approx(stored["mean"])
    assert document["run"] == str(folds / "ensemble")


def test_seeds_are_combined(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "tabular_fnn", "--data", str(table), "--target", "sold", "--ensemble", "2"]
    assert main([*words, "--seed", "5", "--out", "e", *QUICK]) == 0
    output = capsys.readouterr().out
    assert_mentions(output, "seed-05", "seed-06", "ensemble", "accuracy", "e/ensemble")
    members = [kzoo.Run(tmp_path / "e" / f"seed-0{i}") for i in (5, 6)]
    rows = pd.read_csv(table).drop(columns="sold")
    with pytest.warns(KzooWarning):  # cities that are not in the training rows
        mean = np.mean([kzoo.predict(member, rows).probabilities for member in members], axis=0)
        combined = kzoo.predict(tmp_path / "e" / "ensemble", rows).probabilities
    np.testing.assert_allclose(combined, mean, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--folds 3 --test .2", ["--test 0.2", "--folds"]),
        ("--folds 3 --data-seed 4", ["--data-seed 4", "--seed"]),
        ("--folds 3 --ensemble 2", ["--folds", "--ensemble", "remove"]),
        ("--folds 1", ["--folds 1", "at least 2"]),
        ("--folds 3 --validation homes.csv", ["validation", "fraction"]),
        ("--ensemble 1", ["--ensemble 1", "from 2"]),
        ("--ensemble 2 --resume must", ["--resume must", "--ensemble", "remove"]),
        ("--set folds=3", ["'folds'", "--folds"]),
    ],
)
def test_bad_options(words, parts, table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(table.parent)
    out = tmp_path / "new"
    code = main(
        [
            "train",
            "tabular_fnn",
            "--data",
            "homes.csv",
            "--target",
            "sold",
            "--out",
            str(out),
            *words.split(),
        ]
    )
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1 and not out.exists()
    assert_mentions(error, *parts)


def test_folds_that_read_a_column_in_different_ways_are_refused(folds, tmp_path):
    from kzoo.data.inputs.rows.merged import merge_preprocessors

    readers = [
        json.loads((folds / f"fold-0{i}" / "preprocessing.json").read_text()) for i in (1, 2)
    ]
    readers[1]["columns"][0] |= {"kind": "date"}
    with refuses("'size'", "kind", "columns="):
        merge_preprocessors(readers)
