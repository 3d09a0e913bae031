"""Several searches compared, and the leaderboard of a single search: from their files, without Keras."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from made_search import LOSS, make_search
from messages import assert_mentions, refuses
from test_compare import call, make_run  # noqa: F401

import kzoo


def test_searches_are_ranked_by_their_best_trials_and_not_with_runs():
    for name, count in (("a", 6), ("b", 20)):
        make_search(f"searches/{name}", count, seed=count)
    make_search("searches/by_loss", 6, objective=LOSS)
    make_search("searches/by_folds", 6, folds=5)
    make_run("runs/x", 0.99)
    make_run("runs/y", 0.98)
    rows = kzoo.compare(["searches", "runs"]).to_dict("records")
    groups = [
        {row["run"] for row in rows if row["group"] == g}
        for g in sorted({row["group"] for row in rows})
    ]
    assert sorted(map(sorted, groups)) == [
        ["runs/x", "runs/y"],
        ["searches/a", "searches/b"],
        ["searches/by_folds"],
        ["searches/by_loss"],
    ]
    by_name = {row["run"]: row for row in rows}
    best = kzoo.Search("searches/b").best_trial()
    row = by_name["searches/b"]
    assert (row["score"], row["trials"], row["parameters"]) == (best["score"], 20, best["params"])
    assert (row["metric"], row["split"], row["seconds"]) == ("accuracy", "validation", 60.0)
    assert row["differs"]["search_seed"] == 20 and pd.isna(by_name["runs/x"]["trials"])
    order = [row["run"] for row in rows if row["run"] in ("searches/a", "searches/b")]
    scores = [by_name[name]["score"] for name in order]
    assert scores == sorted(scores, reverse=True)


def test_the_command_names_validation_data_as_that_of_the_scores(call):  # noqa: F811
    make_search("searches/a", 6)
    make_search("searches/b", 20, seed=1)
    make_search("searches/unfinished", 3, planned=9)
    make_search("searches/lost", 3, status=lambda number: "diverged")
    code, out, err = call("searches")
    assert (code, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    assert_mentions(out.splitlines()[0], "iris_fnn", "iris", "validation", "higher")
    (unfinished,) = (
        line for line in out.splitlines() if line.split()[:2] == ["unfinished", "iris_fnn"]
    )
    assert_mentions(unfinished, "3 trials", "95.2%")
    rows = json.loads(call("searches", "--json")[1])["rows"]
    assert next(row for row in rows if row["run"] == "lost")["score"] is None
    printed = list(csv.DictReader(call("searches", "--csv")[1].splitlines()))
    assert {row["trials"] for row in printed} == {"6", "20", "3"}


def test_one_search_prints_its_leaderboard(call):  # noqa: F811
    search = make_search("searches/a", 20)
    code, out, err = call("searches/a")
    assert (code, err) == (0, "")
    assert_mentions(out.splitlines()[0], "iris_fnn", "iris", "val_accuracy", "higher")
    lines = [line.split() for line in out.splitlines()]
    best = search.best_trial()
    assert lines[2][:4] == ["1", str(best["trial"]), best["status"], f"{best['score']:.4f}"]
    assert_mentions(" ".join(lines[2]), "preset")
    assert_mentions(out, "loss was nan", "retrain", "test score")
    assert max(map(len, out.splitlines())) <= 80
    document = json.loads(call("searches/a", "--json")[1])
    assert [row["trial"] for row in document["rows"]] == search.leaderboard()["trial"].tolist()
    rows = list(csv.DictReader(call("searches/a", "--csv")[1].splitlines()))
    assert [int(row["trial"]) for row in rows] == search.leaderboard()[
        "trial"
    ].tolist() and "hp.optimizer" in rows[0]
    assert call("searches/a", "--csv", "t.csv", "--plot", "t.png")[0] == 0
    assert Path("t.csv").read_text(encoding="utf-8-sig").startswith("rank,trial,")
    assert Path("t.png").read_bytes()[:4] == b"\x89PNG"
    make_search("searches/b", 3, planned=9)
    assert_mentions(call("searches/b")[1], "3 of 9 trials")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["searches/a", "--metric", "f1"], ("--metric", "runs", "objective")),
        (
            ["searches/a", "searches/b", "--metric", "f1"],
            ("searches/a", "'accuracy'", "'f1'", "retrain"),
        ),
        (
            ["searches/a", "searches/b", "--data", "iris"],
            ("searches/a", "Search('searches/a').retrain()"),
        ),
        (["searches/none"], ("searches/none", "trials", "kzoo.tune")),
        (["searches/damaged", "searches/a"], ("searches/damaged/search.json", "JSON")),
    ],
)
def test_bad_input_is_one_line(call, words, parts):  # noqa: F811
    for name in "ab":
        make_search(f"searches/{name}", 4)
    make_search("searches/none", 0)
    make_search("searches/damaged", 4)
    Path("searches/damaged/search.json").write_text("{")
    code, out, err = call(*words)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert_mentions(err, *parts)


def test_a_single_search_is_refused_in_python():
    make_search("a", 4)
    with refuses("a", "two", "leaderboard()"):
        kzoo.compare("a")
    with refuses("Search('a').retrain()"):
        kzoo.ensemble(["a", "a"])


def test_no_heavy_module_is_imported():
    for name in "ab":
        make_search(f"searches/{name}", 12)
    heavy = "{'keras', 'tensorflow', 'numpy', 'pandas', 'matplotlib', 'sklearn', 'scipy'}"
    check = (
        "import sys; from kzoo.cli import main; main(['compare', 'searches']); main(['compare', 'searches/a']); "
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": str(Path(kzoo.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", check], env=env, check=True, capture_output=True)
