"""Searches side by side, and one search alone: from its files, without Keras."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_search import LOSS, make_search
from test_compare import call, make_run  # noqa: F401

import kzoo


def test_a_search_ranks_by_its_best_trial_among_searches_only():
    for name, count in (("a", 6), ("b", 20)):
        make_search(f"searches/{name}", count, seed=count)
    make_search("searches/by_loss", 6, objective=LOSS)
    make_search("searches/by_folds", 6, folds=5)
    make_run("runs/x", 0.99)
    make_run("runs/y", 0.98)
    rows = kzoo.compare(["searches", "runs"])
    groups = [{row["run"] for row in rows if row["group"] == g} for g in sorted({row["group"] for row in rows})]
    assert sorted(map(sorted, groups)) == [
        ["runs/x", "runs/y"], ["searches/a", "searches/b"], ["searches/by_folds"], ["searches/by_loss"],
    ]  # fmt: skip
    by_name = {row["run"]: row for row in rows}
    best = kzoo.Search("searches/b").best_trial()
    row = by_name["searches/b"]
    assert (row["score"], row["trials"], row["parameters"]) == (best["score"], 20, best["params"])
    assert (row["metric"], row["split"], row["seconds"]) == ("accuracy", "validation", 60.0)
    assert row["differs"]["search_seed"] == 20 and by_name["runs/x"]["trials"] is None
    order = [row["run"] for row in rows if row["run"] in ("searches/a", "searches/b")]
    scores = [by_name[name]["score"] for name in order]
    assert scores == sorted(scores, reverse=True)


def test_the_command_says_that_it_is_validation_data(call):  # noqa: F811
    make_search("searches/a", 6)
    make_search("searches/b", 20, seed=1)
    make_search("searches/unfinished", 3, planned=9)
    make_search("searches/lost", 3, status=lambda number: "diverged")
    code, out, err = call("searches")
    assert (code, err) == (0, "") and "best trials on validation data; higher is better" in out
    assert "3 trials, the best 95.2%" in out and max(map(len, out.splitlines())) <= 80
    rows = json.loads(call("searches", "--json")[1])["rows"]
    assert next(row for row in rows if row["run"] == "lost")["score"] is None
    printed = list(csv.DictReader(call("searches", "--csv")[1].splitlines()))
    assert {row["trials"] for row in printed} == {"6", "20", "3"}


def test_one_search_prints_its_leaderboard(call):  # noqa: F811
    search = make_search("searches/a", 20)
    code, out, err = call("searches/a")
    assert (code, err) == (0, "") and out.startswith("iris_fnn on iris, val_accuracy; higher is better\n")
    lines = [line.split() for line in out.splitlines()]
    best = search.best_trial()
    assert lines[2][:4] == ["1", str(best["trial"]), best["status"], f"{best['score']:.4f}"]
    assert "the preset" in out and "loss was nan" in out and "retrain the winner for a test score" in out
    assert max(map(len, out.splitlines())) <= 80
    document = json.loads(call("searches/a", "--json")[1])
    assert [row["trial"] for row in document["rows"]] == search.leaderboard()["trial"].tolist()
    rows = list(csv.DictReader(call("searches/a", "--csv")[1].splitlines()))
    assert [int(row["trial"]) for row in rows] == search.leaderboard()["trial"].tolist() and "hp.optimizer" in rows[0]
    assert call("searches/a", "--csv", "t.csv", "--plot", "t.png")[0] == 0
    assert Path("t.csv").read_text(encoding="utf-8-sig").startswith("rank,trial,")
    assert Path("t.png").read_bytes()[:4] == b"\x89PNG"
    make_search("searches/b", 3, planned=9)
    assert "Not finished: 3 of 9 trials" in call("searches/b")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["searches/a", "--metric", "f1"], "--metric ranks runs"),
        (["searches/a", "searches/b", "--metric", "f1"], "a search for 'accuracy', and has no 'f1'"),
        (["searches/a", "searches/b", "--data", "iris"], "is a search, and no run"),
        (["searches/none"], "has no trial yet"),
        (["searches/damaged", "searches/a"], "damaged"),
    ],
)
def test_bad_input_is_one_line(call, words, says):  # noqa: F811
    for name in "ab":
        make_search(f"searches/{name}", 4)
    make_search("searches/none", 0)
    make_search("searches/damaged", 4)
    Path("searches/damaged/search.json").write_text("{")
    code, out, err = call(*words)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


def test_one_search_has_nothing_to_be_compared_with_in_python():
    make_search("a", 4)
    with pytest.raises(kzoo.KzooError, match=r"one search only.*leaderboard\(\)"):
        kzoo.compare("a")
    with pytest.raises(kzoo.KzooError, match="is a search, and no run"):
        kzoo.ensemble(["a", "a"])


def test_it_needs_nothing_heavy():
    for name in "ab":
        make_search(f"searches/{name}", 12)
    heavy = "{'keras', 'tensorflow', 'numpy', 'pandas', 'matplotlib', 'sklearn', 'scipy'}"
    check = (
        "import sys; from kzoo.cli import main; main(['compare', 'searches']); main(['compare', 'searches/a']); "
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": str(Path(kzoo.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", check], env=env, check=True, capture_output=True)
