"""No score stands alone: a run keeps what needs no network on its split, and whoever shows the run shows it beside.

The class of faults: a number that nobody can judge; a baseline on other rows than the network's; minutes for baselines.
"""

import json
import re
from pathlib import Path

import pytest

import kzoo
from kzoo import baselines
from kzoo.cli import main
from kzoo.results import row_of
from kzoo.training import beside as module

pytestmark = pytest.mark.usefixtures("untraced")


def train(*words, code=0):
    assert main(["train", "iris_fnn", "--quiet", "--epochs", "1", *words]) == code


def test_a_run_and_all_that_show_it_have_the_baselines_of_its_split(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # lines are not broken
    train("--out", "runs/a", "--data-seed", "3")
    said = capsys.readouterr().out
    run = kzoo.Run("runs/a")
    data = kzoo.load_data("iris", preset="iris_fnn", seed=3)
    kept = {one["name"]: one["scores"] for one in run.summary["baselines"]}
    assert kept == {one.name: dict(one.scores) for one in baselines.score(data)} and list(kept)[-1] == "majority"
    best = next(iter(kept))
    assert re.search(rf"beside it +accuracy: .* {kept[best]['accuracy']:.1%}, .*most frequent class 33.3%\n", said)
    assert ("no better than what needs no network" in said) == (
        kept[best]["accuracy"] >= run.summary["test"]["accuracy"]
    )

    page = kzoo.report(run).read_text(encoding="utf-8")
    assert "Without a network" in page and "gradient-boosted trees" in page
    assert row_of([run])["baselines"]["most frequent class"] == 0.33333

    train("--out", "runs/b", "--data-seed", "3", "--no-baselines")
    assert "beside it" not in capsys.readouterr().out and "baselines" not in kzoo.Run("runs/b").summary
    assert "Without a network" not in kzoo.report("runs/b").read_text(encoding="utf-8")
    rows = kzoo.compare("runs")
    assert sorted(row["run"] for row in rows) == sorted(
        ["a", "b", "gradient-boosted trees", "logistic regression", "most frequent class"]
    )
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert {row["run"] for row in rows if row["baseline"]} == {row["run"] for row in rows if row["path"] is None}
    assert [row["run"] for row in kzoo.compare("runs", baselines=False)] == [
        r["run"] for r in rows if not r["baseline"]
    ]
    assert kzoo.ensemble(["runs/a", "runs/b"], out="both").summary["baselines"] == run.summary["baselines"]
    assert main(["show", "runs/a"]) == 0 and "without a network  accuracy: " in capsys.readouterr().out
    assert main(["compare", "runs", "--plot", "curves.png"]) == 0
    assert "most frequent class (no network)" in capsys.readouterr().out
    assert main(["compare", "runs", "--no-baselines", "--csv"]) == 0
    assert "most frequent" not in capsys.readouterr().out


def test_folds_keep_them():
    found = kzoo.cross_validate("iris_fnn", "iris", folds=2, epochs=1, out="folds", progress=False)
    each = [
        next(one["scores"]["accuracy"] for one in kzoo.Run(path).summary["baselines"] if one["name"] == "trees")
        for path in found["runs"]
    ]
    assert found["baselines"]["trees"]["mean"]["accuracy"] == pytest.approx(sum(each) / 2)
    stored = json.loads(Path("folds/cross_validation.json").read_text())
    assert stored["baselines"] == found["baselines"]


def test_what_would_take_long_is_left_out_and_what_fails_costs_no_run(monkeypatch):
    data = kzoo.load_data("iris")
    monkeypatch.setattr(module, "_known", {})
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    kept = {one["name"]: one for one in module.beside(data, 0.0)}
    assert kept["majority"]["scores"]["accuracy"] == pytest.approx(1 / 3)
    assert kept["trees"]["scores"] is None and kept["trees"]["notes"][0].startswith("left out: it takes about 0.")
    all_of_them = module.beside(data, 10_000.0)  # two percent of it are enough
    assert all(one["scores"] for one in all_of_them) and module.beside(data, 0.0) is all_of_them
    other = kzoo.load_data("iris", seed=1)
    assert [one["scores"] for one in module.beside(other, 10_000.0)] != [one["scores"] for one in all_of_them]

    def broken(*arguments, **options):
        raise ValueError("singular")

    monkeypatch.setattr(baselines, "score", broken)
    module._known.clear()
    train("--out", "runs/c")
    (one,) = kzoo.Run("runs/c").summary["baselines"]
    assert one["scores"] is None and one["notes"] == ["failed: singular"]
    assert main(["report", "runs/c"]) == 0
