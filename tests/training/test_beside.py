"""No score stands alone: a run keeps what needs no network on its split, and whoever shows the run shows it beside.

The class of faults: a number that nobody can judge; a baseline on other rows than the network's; minutes for baselines.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import r2_score

import kzoo
from kzoo import baselines
from kzoo.cli import main
from kzoo.kinds.image.fitting import load_image_folder
from kzoo.results import row_of
from kzoo.storage.windows import places_of_few
from kzoo.tasks import Target
from kzoo.tasks.classes.score import headline
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


def test_what_would_take_long_is_left_out_and_what_fails_costs_no_run(monkeypatch, tmp_path):
    data = kzoo.load_data("iris")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    kept = {one["name"]: one for one in module.beside(data, 0.0)}
    assert kept["majority"]["scores"]["accuracy"] == pytest.approx(1 / 3)
    assert kept["trees"]["scores"] is None and kept["trees"]["notes"][0].startswith("left out: it takes about 0.")
    all_of_them = module.beside(data, 10_000.0)  # two percent of it are enough
    assert all(one["scores"] for one in all_of_them) and module.beside(data, 0.0) == all_of_them
    other = kzoo.load_data("iris", seed=1)
    assert [one["scores"] for one in module.beside(other, 10_000.0)] != [one["scores"] for one in all_of_them]

    def broken(*arguments, **options):
        raise ValueError("singular")

    monkeypatch.setattr(baselines, "score", broken)
    train("--out", "runs/c", "--data-seed", "7")
    (one,) = kzoo.Run("runs/c").summary["baselines"]
    assert one["scores"] is None and one["notes"] == ["failed: singular"]
    assert main(["report", "runs/c"]) == 0


def test_they_are_computed_once_and_kept_for_the_next_process(monkeypatch, tmp_path):
    cache, real, asked = tmp_path / "cache", baselines.score, []
    monkeypatch.setenv("KZOO_CACHE", str(cache))
    monkeypatch.setattr(baselines, "score", lambda data, **options: asked.append(1) or real(data, **options))
    data = kzoo.load_data("iris")
    truth = module.beside(data, 10_000.0)
    assert module.beside(kzoo.load_data("iris"), 10_000.0) == truth and len(asked) == 1
    (file,) = (cache / "baselines").iterdir()
    for broken in ("", "[1", '{"baselines": 3, "seconds": 1}', '{"seconds": 1e9}', "[]"):  # a full disk, a kill
        file.write_text(broken)
        assert module.beside(data, 10_000.0) == truth and json.loads(file.read_text())["baselines"] == truth
    assert len(asked) == 6
    module.beside(kzoo.load_data("iris", seed=1), 10_000.0)
    assert len(asked) == 7 and len(list((cache / "baselines").iterdir())) == 2
    monkeypatch.setattr(module, "_code", lambda: "another version of what scores them")
    module.beside(data, 10_000.0)
    assert len(asked) == 8
    monkeypatch.setattr(module, "_MOST", 1)
    module.beside(kzoo.load_data("iris", seed=2), 10_000.0)
    assert len(list((cache / "baselines").iterdir())) == 1
    monkeypatch.setenv("KZOO_CACHE", str(file))  # no folder, and none can be made there
    assert module.beside(data, 10_000.0) == truth


def of_a_constant():
    """Return rows with values that follow from them, and test rows whose value is always the same."""
    random = np.random.default_rng(0)
    x, new = random.normal(size=(80, 2)).astype("float32"), random.normal(size=(20, 2)).astype("float32")
    return (x, x @ np.float32([1, 2])), (new, np.full(20, 0.1, "float32"))


def test_beside_a_constant_there_is_no_r2_and_mae_decides(capsys):
    data, test = of_a_constant()
    a, b = (
        kzoo.train("tabular_fnn", data, test=test, out=out, epochs=2, seed=seed, check=False, progress=False)
        for seed, out in enumerate("ab")
    )
    scores, kept = a.summary["test"], a.summary["baselines"]
    assert scores["r2"] is None and {(one["metric"], one["scores"]["r2"]) for one in kept} == {("mae", None)}
    errors = [one["scores"]["mae"] for one in kept]
    assert kept[0]["name"] == "mean" and errors == sorted(errors) and errors[0] < scores["mae"]
    page = kzoo.report(a).read_text(encoding="utf-8")
    assert "R² is not above 0" not in page and "against MAE" in page
    rows = kzoo.compare(["a", "b"])
    assert rows[0]["run"] == "training mean" and {row["metric"] for row in rows} == {"mae"}
    assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)
    both = kzoo.ensemble([a, b], out="both").summary
    assert both["ensemble"]["metric"] == "mae"
    least = min(one.summary["test"]["mae"] for one in (a, b))
    assert both["ensemble"]["gain"] == pytest.approx(least - both["test"]["mae"])
    np.savez("new.npz", x=test[0], y=test[1])
    capsys.readouterr()
    assert main(["evaluate", "a", "--data", "new.npz"]) == 0
    assert re.search(r"r2 +cannot be computed here", capsys.readouterr().out)


def test_of_several_targets_r2_is_the_mean_of_those_that_vary(undrawn):
    (x, y), (new, constant) = of_a_constant()
    truth = np.stack([constant, new @ np.float32([1, 2])], 1)
    run = kzoo.train("tabular_fnn", (x, np.stack([y, y], 1)), test=(new, truth), out="a", epochs=1, check=False,
                     progress=False)  # fmt: skip
    scores = run.summary["test"]
    expected = r2_score(truth[:, 1], run.answers["answers"][:, 1])
    assert scores["r2"] == pytest.approx(expected, rel=1e-5) == scores["targets"]["y2"]["r2"]
    assert scores["targets"]["y1"]["r2"] is None


def test_the_most_frequent_class_is_that_of_training_rows(undrawn):
    random = np.random.default_rng(0)
    x, new = random.normal(size=(60, 2)).astype("float32"), random.normal(size=(20, 2)).astype("float32")
    y, constant = np.where(np.arange(60) < 45, "often", "rarely"), np.array(["rarely"] * 20)
    run, other = (
        kzoo.train("tabular_fnn", (x, y), test=(new, constant), out=out, seed=seed, epochs=1, check=False,
                   progress=False)
        for seed, out in enumerate("ab")
    )  # fmt: skip
    found = {one.name: one.scores for one in baselines.score((x, y), test=(new, constant), names="majority")}
    assert run.summary["test"]["majority"] == found["majority"]["accuracy"] == found["majority"]["majority"] == 0
    both = kzoo.ensemble([run, other], out="both")
    for one in (run, both):
        assert kzoo.evaluate(one, (new, constant))["majority"] == one.summary["test"]["majority"] == 0
        page = kzoo.report(one).read_text(encoding="utf-8")
        assert "always naming the most frequent class would get 0 right" in page
    # Of a model that does not know its training rows it is that of the rows it is scored on, and the words say so.
    assert kzoo.evaluate(run.model, (new, np.ones(20, int)))["majority"] == 1
    said = headline(run.summary["test"], Target(classes=run.target.classes), split="test ")
    assert "the most frequent class of these examples" in said["sentence"]


def test_the_most_frequent_token_is_that_of_the_training_text(undrawn):
    Path("t.txt").write_text("aaab\n" * 640 + "abbb\n" * 160, encoding="utf-8")
    run = kzoo.train("char_gru", "t.txt", out="a", epochs=1, units=(4,), input_shape=(8,), batch_size=256, check=False,
                     progress=False)  # fmt: skip
    scores, data = run.summary["test"], kzoo.load_data("t.txt", preset="char_gru")
    assert scores["majority"] == pytest.approx(0.2, abs=0.02) and run.config["statistics"]["common"] == 2  # "a"
    assert baselines.score(data, names="frequency")[0].scores["accuracy"] == pytest.approx(0.2, abs=0.02)
    Path("new.txt").write_text("abbb\n" * 40, encoding="utf-8")
    assert kzoo.evaluate(run, "new.txt")["majority"] == pytest.approx(0.2, abs=0.02)


def test_baselines_of_very_many_images_are_those_of_the_images_that_are_there(tmp_path, monkeypatch):
    """The fingerprint of very many does not take the content of each: nothing is kept under it."""
    monkeypatch.setattr("kzoo.kinds.image.fitting._DIGESTED", 1)
    files = [tmp_path / "photos" / name / f"{place:02}.bmp" for name in ("ant", "bee") for place in range(30)]
    colours, found = {"ant": (200, 30, 30), "bee": (30, 200, 30)}, []
    for mixed in (False, True):  # files of the same names and sizes, of other colours
        for place, file in enumerate(files):
            other = mixed and place not in places_of_few(len(files), 1)
            file.parent.mkdir(parents=True, exist_ok=True)
            name = ("ant", "ant", "bee")[place % 3] if other else file.parent.name
            Image.new("RGB", (12, 10), colours[name]).save(file)
        data = load_image_folder(tmp_path / "photos", image_shape=(8, 8, 3), validation=0.2, test=0.3)
        found.append((data.fingerprint, {one["name"]: one["scores"] for one in module.beside(data, 0.0)}))
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1]
