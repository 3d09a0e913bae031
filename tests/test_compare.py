"""Runs are compared: ranked from their files alone, and a new run against an old run with an exit code."""

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from processor import in_units
from shortcuts import undrawn, untraced
from sklearn import datasets, metrics

import kzoo
from kzoo.cli import main
from kzoo.evaluation.comparison import compare_runs, mcnemar
from kzoo.tuning.ranking import advantage, ranked

pytestmark = pytest.mark.usefixtures("untraced")
ROOT = Path(__file__).parents[1]


def make_run(
    folder,
    accuracy=0.9,
    *,
    data="cats",
    task="image_classification",
    finished=True,
    epochs=3,
    **settings,
):
    """Write the files that `kzoo.train` leaves behind, as far as `compare` reads them."""
    config = dict(
        spec=dict(
            preset=settings.pop("preset", "image_cnn"),
            family="cnn",
            task=task,
            seed=settings.pop("seed", 0),
            config=dict(filters=[8]),
            training=dict(learning_rate=0.001) | settings,
        ),
        data=dict(
            name=data,
            task=task,
            fingerprint=f"{data} {task}",
            class_names=[],
            data_seed=0,
            options={},
            inputs="image",
            train=80,
            validation=10,
            test=10,
        ),
        precision="float32",
        backend="tensorflow",
        created="2026-05-01T12:00:00+0000",
    )
    scores = dict(
        accuracy=accuracy,
        accuracy_interval=[accuracy - 0.1, accuracy + 0.05],
        f1=1 - accuracy,
        loss=accuracy,
        majority=0.5,
        examples=10,
    )
    if task == "tabular_regression":
        scores = dict(r2=accuracy, rmse=10 * (1 - accuracy), mae=accuracy, examples=10)
    summary = dict(
        test=scores,
        validation=scores,
        best_epoch=2,
        epochs=epochs,
        seconds=1.5,
        samples_per_second=99.0,
        parameters=1234,
        interrupted=False,
    )
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    rows = [f"{i},{1 / (i + 1)},{1 / (i + 1) + accuracy}" for i in range(1, epochs + 1)]
    (folder / "history.csv").write_text("\n".join(["epoch,loss,val_loss", *rows]) + "\n")
    if finished:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def call(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        capsys.readouterr()
        code = main(["compare", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


# ---------------------------------------------------------------- the table


def test_the_best_run_of_a_group_comes_first_and_unfinished_runs_last():
    for name, accuracy in (("a", 0.8), ("b", 0.95), ("c", 0.9)):
        make_run(
            f"runs/{name}", accuracy, seed=ord(name), learning_rate=0.001 if name == "c" else 0.01
        )
    make_run("runs/deep/dog", 0.99, data="dogs")
    make_run("runs/never", finished=False, epochs=2)
    rows = ranked("runs")
    assert [row["run"] for row in rows] == ["b", "c", "a", "deep/dog", "never"]
    assert [row["group"] for row in rows] == [1, 1, 1, 2, 1]
    best = rows[0]
    never = rows[-1]
    assert best["differs"] == {"learning_rate": 0.01, "seed": ord("b")} and rows[3]["differs"] == {}
    assert (best["score"], best["interval"], best["validation"]) == (0.95, [0.85, 1.0], 0.95)
    assert (best["preset"], best["parameters"], best["best_epoch"], best["epochs"]) == (
        "image_cnn",
        1234,
        2,
        3,
    )
    assert (best["seconds"], best["samples_per_second"], best["date"]) == (1.5, 99.0, "2026-05-01")
    assert (never["finished"], never["score"], never["epochs"]) == (False, None, 2)
    paths = ["runs/a", kzoo.Run("runs/b"), Path("runs/c"), "runs/[ab]"]
    assert [row["path"] for row in ranked(paths)] == ["runs/b", "runs/c", "runs/a"]


def test_the_metric_decides_the_order_and_smaller_errors_come_first():
    for name, r2 in (("a", 0.2), ("b", 0.7)):
        make_run(f"runs/{name}", r2, task="tabular_regression")
    assert [(r["run"], r["metric"], r["rmse"]) for r in ranked("runs")] == [
        ("b", "r2", pytest.approx(3)),
        ("a", "r2", pytest.approx(8)),
    ]
    for metric in ("mae", "rmse", "mse"):
        scores = [row["score"] for row in ranked("runs", metric=metric)]
        assert scores == sorted(scores) and scores[0] < scores[1]
    assert advantage(0.9, 0.8, "accuracy") > 0 > advantage(0.9, 0.8, "perplexity")


def test_average_precision_of_a_rare_class_counts_where_all_runs_have_it(
    capsys, monkeypatch, tmp_path
):
    """Runs of older versions have accuracy alone: all are then compared by accuracy."""
    monkeypatch.setenv("COLUMNS", "300")
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(900, 3)), columns=list("abc"))
    frame["fraud"] = np.where(frame["a"] + frame["b"] > 3, "yes", "no")
    frame.to_csv(file := tmp_path / "rare.csv", index=False)
    for name in ("first", "second"):
        words = [
            "train",
            "tabular_fnn",
            "--data",
            str(file),
            "--target",
            "fraud",
            "--epochs",
            "1",
            "--no-check",
        ]
        assert (
            main(
                [
                    *words,
                    "--out",
                    str(tmp_path / name),
                    "--seed",
                    str(len(name)),
                    "--callbacks",
                    "quick",
                ]
            )
            == 0
        )
    assert_mentions(
        capsys.readouterr().out, "average precision: logistic regression", "probability", "0.5"
    )
    rows = ranked([tmp_path / "first", tmp_path / "second"])
    assert {row["metric"] for row in rows} == {"average_precision"} and sum(
        row["baseline"] for row in rows
    ) >= 3
    scores = kzoo.Run(tmp_path / "first").summary["test"]
    assert {row["score"] for row in rows} >= {scores["average_precision"]}
    stored = tmp_path / "first" / "summary.json"
    summary = json.loads(stored.read_text(encoding="utf-8"))
    for split in ("test", "validation"):
        del summary[split]["average_precision"]
    stored.write_text(json.dumps(summary), encoding="utf-8")
    rows = ranked([tmp_path / "first", tmp_path / "second"])
    assert {row["metric"] for row in rows} == {"accuracy"} and scores["accuracy"] in {
        row["score"] for row in rows
    }


def test_the_same_data_for_another_task_is_another_group(call):
    make_run("runs/a", data="x")
    make_run("runs/b", data="x", task="tabular_regression")
    assert [row["group"] for row in ranked("runs")] == [1, 2]
    out = call("runs")[1]
    assert_mentions(out, "a image_cnn x accuracy 90.0%", "b image_cnn x R2 0.900")
    assert_mentions(out, "data", "splits", "tasks", "ranked")


def test_only_settings_that_several_runs_have_can_differ():
    make_run("runs/a", momentum=0.9)
    make_run("runs/b", units=[64])
    make_run("runs/c", units=[32])
    assert {r["run"]: r["differs"] for r in ranked("runs")} == {
        "a": {},
        "b": {"units": [64]},
        "c": {"units": [32]},
    }


def test_twenty_runs_take_no_time_and_nothing_heavy():
    for i in range(20):
        make_run(f"runs/{i:02}", 0.5 + i / 50, seed=i)
    heavy = "{'keras', 'tensorflow', 'numpy', 'pandas', 'matplotlib', 'sklearn', 'scipy'}"
    check = (
        "import sys, time; from kzoo.cli import main; main(['compare', 'runs']); "
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules); print(time.process_time())"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", check], env=env, check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[2].split()[:2] == ["19", "88.0%"]
    assert in_units(float(lines[-1])) < 60


def test_the_table_fits_the_terminal(call):
    make_run("runs/a", 0.912, learning_rate=0.1, warmup=0.25, weight_decay=0.001, dropout=0.5)
    make_run(
        "runs/b",
        0.9,
        preset="image_big",
        learning_rate=0.2,
        warmup=0.5,
        weight_decay=0.01,
        dropout=0.1,
    )
    make_run("runs/z", finished=False)
    make_run("runs/y", 0.8, edges=[[0.5 + i for i in range(300)]])
    code, out, err = call("runs")
    assert (code, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) < 30 and "299.5" not in out
    lines = out.splitlines()
    assert_mentions(lines[0], "cats", "test split", "higher")
    assert lines[1].split()[:3] == ["run", "preset", "accuracy"] and "differs" in lines[1]
    for row in (
        "a image_cnn 91.2%",
        "81.2% to 96.2%",
        "91.2% learning_rate=0.1",
        "z image_cnn 3 epochs",
    ):
        assert_mentions(out, row)


def test_csv_json_and_curves(call):
    make_run("runs/a", 0.9, learning_rate=0.1)
    make_run("runs/b", 0.8, learning_rate=0.2)
    (make_run("runs/e", 0.7, preset="ensemble") / "history.csv").unlink()
    code, printed, _ = call("runs", "--csv")
    rows = list(csv.DictReader(printed.splitlines()))
    assert [(r["run"], float(r["score"]), r["set.learning_rate"]) for r in rows][:2] == [
        ("a", 0.9, "0.1"),
        ("b", 0.8, "0.2"),
    ]
    assert float(rows[0]["interval_low"]) == pytest.approx(0.8) and code == 0
    assert call("runs", "--csv", "table.csv", "--plot", "curves.png", "--metric", "f1")[0] == 0
    rows = list(csv.DictReader(Path("table.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [r["run"] for r in rows] == ["e", "b", "a"]
    assert Path("curves.png").read_bytes()[:4] == b"\x89PNG"
    document = json.loads(call("runs", "--json", "--plot", "curves.png")[1])
    (note,) = document["notes"]
    assert_mentions(note, "e", "curves")
    assert [row["score"] for row in document["rows"]] == list(kzoo.compare("runs").score)
    assert document["rows"] == ranked("runs")
    Path("curves.png").unlink()
    Path("table.csv").unlink()
    call("runs")
    assert sorted(os.listdir()) == ["runs"]  # no file is written by default


def test_runs_of_unlike_tasks_are_not_drawn_into_one_chart(call, monkeypatch):
    """The class of faults: curves that have nothing in common, each named "validation loss"."""
    drawn, plots = [], import_module("kzoo.plots")
    whole = plots.overlay
    monkeypatch.setattr(
        plots, "overlay", lambda runs, **more: drawn.extend(runs) or whole(runs, **more)
    )
    for name, data in (("a", "cats"), ("b", "cats"), ("c", "dogs")):
        make_run(f"runs/{name}", data=data)
    make_run("runs/rent", task="tabular_regression", data="rents")
    document = json.loads(call("runs", "--json", "--plot", "curves.png")[1])
    assert sorted(drawn) == ["a", "b", "c"]
    (note,) = document["notes"]
    assert_mentions(note, "rent", "task")
    assert {row["run"] for row in document["rows"]} == {"a", "b", "c", "rent"}


def test_files_and_folders_that_are_no_runs_are_left_out(call):
    make_run("runs/a")
    make_run("runs/b")
    Path("runs/notes.txt").write_text("x")
    Path("runs/empty").mkdir()
    (make_run("runs/damaged") / "config.json").write_text("{")
    code, out, _ = call("runs/a", "runs/b", "runs/notes.txt", "runs/empty")
    assert code == 0
    assert_mentions(out, "runs/notes.txt", "runs/empty")
    assert len(kzoo.compare("runs")) == 2
    for folder, *parts in (
        ("runs/empty", "runs/empty", "kzoo.train"),
        ("runs/notes.txt", "runs/notes.txt", "file", "kzoo.train"),
        ("runs/damaged", "runs/damaged/config.json", "JSON"),
    ):
        with refuses(*parts):
            kzoo.compare(["runs/a", folder])


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["runs/a"], ("runs/a", "two")),
        (["runs/a", "runs/a/"], ("runs/a", "two")),
        (["runs/a", "nowhere"], ("nowhere", "exist", "kzoo.train")),
        (["runs/a", "runs/x*"], ("runs/x*", "kzoo.train")),
        (["runs/a", "empty"], ("empty", "kzoo.train")),
        (["runs", "--metric", "f2"], ("runs/a", "'f2'", "accuracy, f1, loss")),
        (["runs", "--fail-if-worse"], ("--fail-if-worse", "--data")),
        (["runs", "--target", "x"], ("--target", "--data")),
        (["runs", "--tolerance", "0.1"], ("--tolerance", "--data")),
        (["runs", "--tolerance", "-2.5"], ("--tolerance -2.5", "0")),
        (
            ["runs/a", "runs/b", "runs/c", "--data", "iris", "--fail-if-worse"],
            ("--data", "NEW", "OLD", "two runs", "3"),
        ),
        (["runs/a", "runs", "--data", "iris"], ("--data", "NEW", "OLD", "two runs", "4")),
        (["runs/a", "runs/b", "--data", "iris", "--csv"], ("--csv", "table", "--data")),
        (["--csv", "runs/a", "runs/b"], ("--csv 'runs/a'", ".csv", "before --csv")),
        (["runs", "--plot", "curves.txt"], ("--plot 'curves.txt'", ".png", ".svg", ".pdf")),
        (["runs", "--plot", "no/curves.png"], ("--plot 'no/curves.png'", "folder", "'no'")),
    ],
)
def test_bad_input_is_one_line(call, words, parts):
    for name in "abc":
        make_run(f"runs/{name}")
    Path("empty").mkdir()
    code, out, err = call(*words)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert_mentions(err, *parts)


# ---------------------------------------------------------------- a new run and an old run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained")
    options = dict(callbacks="quick", progress=False, units=(8,), batch_size=54)
    with undrawn(), untraced():
        kzoo.train("iris_fnn", "iris", out=home / "good", epochs=12, learning_rate=0.05, **options)
        kzoo.train(
            "iris_fnn", "iris", out=home / "bad", epochs=1, learning_rate=1e-4, seed=1, **options
        )
        kzoo.train("iris_fnn", "iris", out=home / "elsewhere", epochs=1, data_seed=1, **options)
        options |= dict(batch_size=177, learning_rate=0.02)
        kzoo.train("diabetes_fnn", "diabetes", out=home / "values", epochs=10, **options)
        kzoo.train("diabetes_fnn", "diabetes", out=home / "worse", epochs=1, **options)
    return home


@pytest.fixture
def holdout(trained):
    x, y = datasets.load_iris(return_X_y=True)
    x = x[::2] + 0.01  # no rows of the training
    y = y[::2]
    np.savez("may.npz", x=x, y=np.array(kzoo.Run(trained / "good").class_names)[y])
    return x, y


def test_the_exit_code_shows_whether_the_new_run_is_worse(trained, holdout, call):
    good, bad = trained / "good", trained / "bad"
    code, out, err = call(good, bad, "--data", "may.npz", "--fail-if-worse")
    assert (code, err) == (0, "")
    assert_mentions(out, "McNemar")
    code, worse, _ = call(bad, good, "--data", "may.npz", "--fail-if-worse")
    assert code == 1
    better, worse = (text.splitlines()[-1] for text in (out, worse))
    assert better != worse
    assert_mentions(worse, "worse")
    assert call(bad, good, "--data", "may.npz")[0] == 0
    assert call(bad, good, "--data", "may.npz", "--fail-if-worse", "--metric", "loss")[0] == 1
    document = json.loads(call(bad, good, "--data", "may.npz", "--fail-if-worse", "--json")[1])
    assert (
        document["worse"]
        and not json.loads(call(good, bad, "--data", "may.npz", "--json")[1])["worse"]
    )
    worse_by = -document["difference"]
    # rounding is no loss
    for tolerance, code in ((worse_by - 1e-12, 0), (worse_by - 1e-6, 1), (1, 0)):
        assert (
            call(bad, good, "--data", "may.npz", "--fail-if-worse", "--tolerance", tolerance)[0]
            == code
        )

    x, y = holdout
    labels = [kzoo.predict(run, x).probabilities.argmax(1) for run in (bad, good)]
    assert document["new"]["accuracy"] == metrics.accuracy_score(y, labels[0])
    assert document["difference"] == pytest.approx(
        (labels[0] == y).mean() - (labels[1] == y).mean()
    )
    only = ((labels[0] == y) & (labels[1] != y)).sum(), ((labels[1] == y) & (labels[0] != y)).sum()
    assert (document["test"]["only_new_right"], document["test"]["only_old_right"]) == only

    for metric in ("accuracy", "loss"):  # a run is never worse than a copy of itself
        shutil.copytree(good, "copy", dirs_exist_ok=True)
        assert (
            call("copy", good, "--data", "may.npz", "--fail-if-worse", "--metric", metric)[0] == 0
        )


def test_mcnemar_is_the_exact_test_of_the_textbook():
    """Agresti, Categorical Data Analysis: 2 * sum of binomial probabilities in the smaller tail."""
    from math import comb

    right = np.array([True] * 3 + [False] * 12 + [True] * 20)
    other = np.array([False] * 3 + [True] * 12 + [True] * 20)
    result = mcnemar(right, other)
    assert (result["only_new_right"], result["only_old_right"]) == (3, 12)
    assert result["p_value"] == pytest.approx(2 * sum(comb(15, k) for k in range(4)) / 2**15)
    assert mcnemar(right, right)["p_value"] == 1


def test_values_get_an_interval_of_the_paired_difference(trained, call):
    words = (trained / "values", trained / "worse", "--data", "diabetes", "--fail-if-worse")
    document = json.loads(call(*words, "--json")[1])
    data = kzoo.load_data("diabetes", preset="diabetes_fnn").test
    errors = [((kzoo.predict(run, data.x).values - data.y) ** 2)[:, 0] for run in words[:2]]
    test = document["test"]
    assert test["of"] == "mse" and test["difference"] == pytest.approx(
        np.mean(errors[0] - errors[1]), rel=1e-5
    )
    d = errors[0] - errors[1]
    # the same to a few per cent
    normal = d.mean() + np.array([-1.96, 1.96]) * d.std() / len(d) ** 0.5
    assert test["interval"] == pytest.approx(normal, abs=0.15 * (normal[1] - normal[0]))
    assert json.loads(call(*words, "--json")[1]) == document and document["exit_code"] == 0
    assert_mentions(call(*words)[1], "paired bootstrap", "MSE")
    assert call(*reversed(words[:2]), *words[2:], "--metric", "mae")[0] == 1


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_two_runs_are_compared_only_on_the_same_targets_and_scale(call, monkeypatch):
    random = np.random.default_rng(0)
    a = random.normal(size=300)
    frame = pd.DataFrame(
        {"a": a, "rent": a + 0.1 * random.normal(size=300), "price": random.normal(size=300)}
    )
    frame.to_csv("old.csv", index=False)
    may = frame.assign(a=frame["a"] + 0.001)  # no rows of the training
    may.to_csv("may.csv", index=False)
    frame.assign(rent=frame["rent"].where(frame.index != 7, 500)).to_csv("spike.csv", index=False)
    options = dict(callbacks="quick", progress=False, baselines=False, epochs=1, batch_size=300)
    small = dict(task="regression", units=(4,), **options)
    with undrawn(), untraced():
        for out, data, target, drop in (
            ("old", "old.csv", "rent", "price"),
            ("new", "spike.csv", "rent", "price"),
            ("other", "old.csv", "price", "rent"),
        ):
            kzoo.train("diabetes_fnn", data, target=target, drop=drop, out=out, **small)
        for horizon, steps in ((2, 5), (3, 4)):  # as many windows of either
            linear = dict(input_shape=steps, horizon=horizon, out=f"ahead{horizon}")
            kzoo.train(
                "series_linear", "old.csv", target="rent", drop=["a", "price"], **linear, **options
            )
    # rows that test a run may have trained the other
    with refuses("new", "old.csv", "split", "file or folder"):
        compare_runs("new", "old", "old.csv")
    result = compare_runs("new", "old", "may.csv", metric="mse_standardised")
    errors = [
        ((kzoo.predict(run, may).values[:, 0] - may["rent"]) ** 2).mean() for run in ("new", "old")
    ]
    assert result["new"]["mse_standardised"] / result["old"]["mse_standardised"] == pytest.approx(
        errors[0] / errors[1]
    )
    for new, old, *parts in (
        ("other", "old", "other", "price", "old", "rent"),
        ("ahead3", "ahead2", "ahead3", "3 x 1", "ahead2", "2 x 1"),
    ):
        code, out, err = call(new, old, "--data", "may.csv", "--fail-if-worse")
        assert (code, out) == (2, "") and err.count("\n") == 1
        assert_mentions(err, *parts)
    # Errors of 1e-11 are no rounding.
    new, old = ({"mae": error, "examples": 300} for error in (7e-12, 5e-13))
    tiny = dict(metric="mae", new=new, old=old, difference=6.5e-12, advantage=-6.5e-12, test=None)
    monkeypatch.setattr("kzoo.evaluation.compare_runs", lambda *_, **__: tiny)
    code, _, err = call("new", "old", "--data", "old.csv", "--fail-if-worse")
    assert (code, err) == (1, "")


def test_runs_that_cannot_be_compared_on_a_holdout(trained, holdout, call):
    good, bad = trained / "good", trained / "bad"
    for words, *parts in (
        (
            [good, trained / "values", "--data", "may.npz"],
            "tabular_classification",
            "tabular_regression",
        ),
        (
            [good, trained / "elsewhere", "--data", "iris"],
            str(trained / "elsewhere"),
            "iris",
            "split",
            "file or folder",
        ),
        ([good, bad, "--data", "may.npz", "--metric", "r2"], "--metric 'r2'", "accuracy, f1, auc"),
        (
            [good, bad, "--data", "june.npz", "--fail-if-worse"],
            "'june.npz'",
            "iris, wine, breast_cancer",
        ),
    ):
        code, out, err = call(*words)
        assert (code, out) == (2, "") and err.count("\n") == 1
        assert_mentions(err, *parts)
    assert call(good, trained / "elsewhere", "--data", "may.npz")[0] == 0


def test_kzoo_compare_is_the_function_after_imports_of_its_modules():
    check = (
        "import kzoo.cli.compare, kzoo.tuning.ranking; import kzoo; assert callable(kzoo.compare)"
    )
    subprocess.run(
        [sys.executable, "-c", check], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True
    )
