"""A run stores the scores of baselines on its split, and every view of the run shows them.

These tests guard against scores without a baseline, baselines of other rows, and baselines that take minutes.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from image_folders import load_images
from messages import assert_mentions, missing_from
from PIL import Image
from sklearn.metrics import r2_score

import kzoo
from kzoo import baselines
from kzoo.cli import main
from kzoo.data.store.windows import sample_indices
from kzoo.problems.tasks import Target
from kzoo.training import baselines as module
from kzoo.training.scores.classes import headline
from kzoo.zoo.results import row_of

pytestmark = pytest.mark.usefixtures("untraced")


def train(*words, code=0):
    assert main(["train", "iris_fnn", "--quiet", "--epochs", "1", *words]) == code


def test_baselines_are_stored_and_shown_with_a_run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # lines are not broken
    train("--out", "runs/a", "--data-seed", "3")
    output = capsys.readouterr().out
    run = kzoo.Run("runs/a")
    data = kzoo.load_data("iris", preset="iris_fnn", seed=3)
    stored = {baseline["name"]: baseline["scores"] for baseline in run.summary["baselines"]}
    assert (
        stored == {b.name: dict(b.scores) for b in baselines.score(data)}
        and list(stored)[-1] == "majority"
    )
    accuracies = {
        baseline["label"]: baseline["scores"]["accuracy"] for baseline in run.summary["baselines"]
    }
    labels = list(accuracies)
    best = max(accuracies.values())
    assert accuracies[labels[0]] == best and run.summary["baselines"][-1]["name"] == "majority"
    (line,) = [line for line in output.splitlines() if not missing_from(line, labels)]
    assert_mentions(line, "accuracy", f"{best:.1%}", "33.3%")
    # The best baseline is named once more in a warning, where the network is no better.
    assert " ".join(output.split()).count(labels[0]) == (
        2 if best >= run.summary["test"]["accuracy"] else 1
    )

    page = kzoo.report(run).read_text(encoding="utf-8")
    assert_mentions(page, *labels, f"{100 * best:.1f} %", "33.3 %")
    assert row_of([run])["baselines"][labels[-1]] == 0.33333

    train("--out", "runs/b", "--data-seed", "3", "--no-baselines")
    output = capsys.readouterr().out
    assert (
        not any(label in output for label in labels)
        and "baselines" not in kzoo.Run("runs/b").summary
    )
    assert labels[0] not in kzoo.report("runs/b").read_text(encoding="utf-8")
    rows = kzoo.compare("runs").to_dict("records")
    assert sorted(row["run"] for row in rows) == sorted(["a", "b", *labels])
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert {row["run"] for row in rows if row["baseline"]} == {
        row["run"] for row in rows if pd.isna(row["path"])
    }
    alone = kzoo.compare("runs", baselines=False)
    assert list(alone.run) == [row["run"] for row in rows if not row["baseline"]]
    assert (
        kzoo.ensemble(["runs/a", "runs/b"], out="both").summary["baselines"]
        == run.summary["baselines"]
    )
    assert main(["show", "runs/a"]) == 0
    assert_mentions(capsys.readouterr().out, "accuracy", *labels, f"{best:.1%}", "33.3%")
    assert main(["compare", "runs", "--plot", "curves.png"]) == 0
    assert_mentions(capsys.readouterr().out, *labels, f"{best:.1%}", "33.3%")
    assert main(["compare", "runs", "--no-baselines", "--csv"]) == 0
    output = capsys.readouterr().out
    assert "runs/a" in output and not any(label in output for label in labels)


def test_cross_validation_averages_the_baselines_of_its_folds():
    result = kzoo.cross_validate("iris_fnn", "iris", folds=2, epochs=1, out="folds", progress=False)
    each = [
        next(
            b["scores"]["accuracy"]
            for b in kzoo.Run(path).summary["baselines"]
            if b["name"] == "trees"
        )
        for path in result["runs"]
    ]
    assert result["baselines"]["trees"]["mean"]["accuracy"] == pytest.approx(sum(each) / 2)
    stored = json.loads(Path("folds/cross_validation.json").read_text())
    assert stored["baselines"] == result["baselines"]


def test_slow_baselines_are_skipped_and_failing_ones_do_not_stop_the_run(monkeypatch, tmp_path):
    data = kzoo.load_data("iris")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_MIN_SECONDS", 0.01)
    scored = {baseline["name"]: baseline for baseline in module.score_baselines(data, 0.0)}
    assert scored["majority"]["scores"]["accuracy"] == pytest.approx(1 / 3)
    assert scored["trees"]["scores"] is None and re.search(
        r"\b0\.\d+ s\b", scored["trees"]["notes"][0]
    )  # its time
    all_of_them = module.score_baselines(data, 10_000.0)  # two percent of it are enough
    assert (
        all(baseline["scores"] for baseline in all_of_them)
        and module.score_baselines(data, 0.0) == all_of_them
    )
    other = module.score_baselines(kzoo.load_data("iris", seed=1), 10_000.0)
    assert [baseline["scores"] for baseline in other] != [
        baseline["scores"] for baseline in all_of_them
    ]

    def broken(*arguments, **options):
        raise ValueError("singular")

    monkeypatch.setattr(baselines, "score", broken)
    train("--out", "runs/c", "--data-seed", "7")
    (baseline,) = kzoo.Run("runs/c").summary["baselines"]
    (note,) = baseline["notes"]
    assert baseline["scores"] is None
    assert_mentions(note, "singular")
    assert main(["report", "runs/c"]) == 0


def test_baselines_are_cached_for_the_next_process(monkeypatch, tmp_path):
    cache = tmp_path / "cache"
    real = baselines.score
    calls = []
    monkeypatch.setenv("KZOO_CACHE", str(cache))
    monkeypatch.setattr(
        baselines, "score", lambda data, **options: calls.append(1) or real(data, **options)
    )
    data = kzoo.load_data("iris")
    truth = module.score_baselines(data, 10_000.0)
    assert module.score_baselines(kzoo.load_data("iris"), 10_000.0) == truth and len(calls) == 1
    (file,) = (cache / "baselines").iterdir()
    # a full disk, a kill
    for broken in ("", "[1", '{"baselines": 3, "seconds": 1}', '{"seconds": 1e9}', "[]"):
        file.write_text(broken)
        assert (
            module.score_baselines(data, 10_000.0) == truth
            and json.loads(file.read_text())["baselines"] == truth
        )
    assert len(calls) == 6
    module.score_baselines(kzoo.load_data("iris", seed=1), 10_000.0)
    assert len(calls) == 7 and len(list((cache / "baselines").iterdir())) == 2
    monkeypatch.setattr(module, "_code_version", lambda: "another version of what scores them")
    module.score_baselines(data, 10_000.0)
    assert len(calls) == 8
    monkeypatch.setattr(module, "_MAX_FILES", 1)
    module.score_baselines(kzoo.load_data("iris", seed=2), 10_000.0)
    assert len(list((cache / "baselines").iterdir())) == 1
    monkeypatch.setenv("KZOO_CACHE", str(file))  # no folder, and none can be made there
    assert module.score_baselines(data, 10_000.0) == truth


def paragraphs_of(report):
    return re.findall(r"<p\b[^>]*>(.*?)</p>", report.read_text(encoding="utf-8"), flags=re.DOTALL)


def constant_test_values():
    """Return rows with values that follow from them, and test rows whose value is always the same."""
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 2)).astype("float32")
    new = random.normal(size=(20, 2)).astype("float32")
    return (x, x @ np.float32([1, 2])), (new, np.full(20, 0.1, "float32"))


def test_constant_test_values_have_no_r2_and_are_compared_by_mae(capsys):
    data, test = constant_test_values()
    a, b = (
        kzoo.train(
            "tabular_fnn",
            data,
            test=test,
            out=out,
            epochs=2,
            seed=seed,
            check=False,
            progress=False,
        )
        for seed, out in enumerate("ab")
    )
    scores, stored = a.summary["test"], a.summary["baselines"]
    assert scores["r2"] is None and {(b["metric"], b["scores"]["r2"]) for b in stored} == {
        ("mae", None)
    }
    errors = [baseline["scores"]["mae"] for baseline in stored]
    assert stored[0]["name"] == "mean" and errors == sorted(errors) and errors[0] < scores["mae"]
    paragraphs = paragraphs_of(kzoo.report(a))
    warning = ("MAE", f"{scores['mae']:.3g}", f"{errors[0]:.3g}", stored[0]["label"])
    assert any(not missing_from(text, warning) for text in paragraphs)
    assert not any("R²" in text for text in paragraphs)
    rows = kzoo.compare(["a", "b"]).to_dict("records")
    assert rows[0]["run"] == stored[0]["label"] and {row["metric"] for row in rows} == {"mae"}
    assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)
    both = kzoo.ensemble([a, b], out="both").summary
    assert both["ensemble"]["metric"] == "mae"
    least = min(run.summary["test"]["mae"] for run in (a, b))
    assert both["ensemble"]["gain"] == pytest.approx(least - both["test"]["mae"])
    np.savez("new.npz", x=test[0], y=test[1])
    capsys.readouterr()
    assert main(["evaluate", "a", "--data", "new.npz"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if re.search(r"\br2\b", line)]
    assert not re.search(r"\d", line.replace("r2", "")), "R2 of a constant has a value"


def test_r2_of_several_targets_averages_those_that_vary(undrawn):
    (x, y), (new, constant) = constant_test_values()
    truth = np.stack([constant, new @ np.float32([1, 2])], 1)
    run = kzoo.train(
        "tabular_fnn",
        (x, np.stack([y, y], 1)),
        test=(new, truth),
        out="a",
        epochs=1,
        check=False,
        progress=False,
    )
    scores = run.summary["test"]
    expected = r2_score(truth[:, 1], run.answers["answers"][:, 1])
    assert scores["r2"] == pytest.approx(expected, rel=1e-5) == scores["targets"]["y2"]["r2"]
    assert scores["targets"]["y1"]["r2"] is None


def test_the_most_frequent_class_comes_from_training_rows(undrawn):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 2)).astype("float32")
    new = random.normal(size=(20, 2)).astype("float32")
    y = np.where(np.arange(60) < 45, "often", "rarely")
    constant = np.array(["rarely"] * 20)
    run, other = (
        kzoo.train(
            "tabular_fnn",
            (x, y),
            test=(new, constant),
            out=out,
            seed=seed,
            epochs=1,
            check=False,
            progress=False,
        )
        for seed, out in enumerate("ab")
    )
    (majority,) = baselines.score((x, y), test=(new, constant), names="majority")
    assert (
        run.summary["test"]["majority"]
        == majority.scores["accuracy"]
        == majority.scores["majority"]
        == 0
    )
    both = kzoo.ensemble([run, other], out="both")
    for scored in (run, both):
        assert (
            kzoo.evaluate(scored, (new, constant))["majority"]
            == scored.summary["test"]["majority"]
            == 0
        )
        sentence = ("20", "most frequent class", "0", "0.0 %")
        assert any(not missing_from(text, sentence) for text in paragraphs_of(kzoo.report(scored)))
    # A model without its training rows is compared with the rows that it is scored on, and the sentence differs.
    assert kzoo.evaluate(run.model, (new, np.ones(20, int)))["majority"] == 1
    unknown, trained = (
        headline(run.summary["test"], target, split="test ")["sentence"]
        for target in (Target(classes=run.target.classes), run.target)
    )
    assert unknown != trained
    assert_mentions(unknown, "most frequent class")


def test_the_most_frequent_token_comes_from_the_training_text(undrawn):
    Path("t.txt").write_text("aaab\n" * 640 + "abbb\n" * 160, encoding="utf-8")
    run = kzoo.train(
        "char_gru",
        "t.txt",
        out="a",
        epochs=1,
        units=(4,),
        input_shape=(8,),
        batch_size=256,
        check=False,
        progress=False,
    )
    scores = run.summary["test"]
    data = kzoo.load_data("t.txt", preset="char_gru")
    assert (
        scores["majority"] == pytest.approx(0.2, abs=0.02)
        and run.config["statistics"]["common"] == 2
    )  # "a"
    assert baselines.score(data, names="frequency")[0].scores["accuracy"] == pytest.approx(
        0.2, abs=0.02
    )
    Path("new.txt").write_text("abbb\n" * 40, encoding="utf-8")
    assert kzoo.evaluate(run, "new.txt")["majority"] == pytest.approx(0.2, abs=0.02)


def test_baselines_of_very_many_images_are_not_cached(tmp_path, monkeypatch):
    """The fingerprint of very many images leaves out the content of most: nothing is cached under it."""
    monkeypatch.setattr("kzoo.data.inputs.image.fitting._MAX_HASHED", 1)
    files = [
        tmp_path / "photos" / name / f"{number:02}.bmp"
        for name in ("ant", "bee")
        for number in range(30)
    ]
    colours = {"ant": (200, 30, 30), "bee": (30, 200, 30)}
    results = []
    for mixed in (False, True):  # files of the same names and sizes, of other colours
        for number, file in enumerate(files):
            other = mixed and number not in sample_indices(len(files), 1)
            file.parent.mkdir(parents=True, exist_ok=True)
            name = ("ant", "ant", "bee")[number % 3] if other else file.parent.name
            Image.new("RGB", (12, 10), colours[name]).save(file)
        data = load_images(tmp_path / "photos", image_shape=(8, 8, 3), validation=0.2, test=0.3)
        results.append(
            (data.fingerprint, {b["name"]: b["scores"] for b in module.score_baselines(data, 0.0)})
        )
    assert results[0][0] == results[1][0] and results[0][1] != results[1][1]
