"""Cross-validation: folds as in scikit-learn, nothing learned from a fold before it is scored, no repeated training."""

import contextlib
import io
import json
import re
import shutil
from concurrent import futures
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from messages import assert_mentions, missing_from, refuses
from shortcuts import untraced
from sklearn import datasets, model_selection
from trained import draw, shops, waves

import kzoo
from kzoo.data.splits import Fold
from kzoo.evaluation.cross_validate import CrossValidation, _summarize

QUICK = dict(epochs=1, batch_size=64, callbacks="quick", progress=False)


@pytest.fixture(autouse=True, scope="module")
def _without_graphs():
    with untraced():
        yield


class Raise(keras.callbacks.Callback):
    """Raise in the n-th training from now on, after its first epoch."""

    def __init__(self, error, training):
        super().__init__()
        self.error = error
        self.training = training
        self.begun = 0

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_epoch_end(self, epoch, logs=None):
        if self.begun == self.training:
            raise self.error


def stamps(out):
    return {p.parent.name: p.stat().st_mtime_ns for p in sorted(out.glob("fold-*/best.keras"))}


@pytest.fixture(scope="module")
def shop_folds(tmp_path_factory):
    home = tmp_path_factory.mktemp("shops")
    table = shops(90).assign(town=[*["Bern", "Genf"] * 44, "Chur", "Visp"])
    table.loc[[3, 40], "open"] = None  # left out, so that rows are numbered among the 88 others
    table.to_csv(home / "shops.csv", index=False)
    options = dict(
        folds=4, seed=3, target="open", units=(8,), learning_rate=0.03, out=home / "out", **QUICK
    )
    result = kzoo.cross_validate("tabular_fnn", home / "shops.csv", **options | dict(epochs=4))
    return table.dropna().reset_index(drop=True), result, home / "out"


@pytest.fixture(scope="module")
def iris_folds(tmp_path_factory):
    """A cross-validation without `out`: its working folder, its result, and its output on stderr."""
    home = tmp_path_factory.mktemp("iris")
    output = io.StringIO()
    with contextlib.chdir(home), contextlib.redirect_stderr(output):
        result = kzoo.cross_validate("iris_fnn", folds=2, units=(4,), **QUICK | dict(progress=True))
    return home, result, output.getvalue()


# ---------------------------------------------------------------- the folds


@pytest.mark.parametrize(
    ("stratified", "grouped", "kind"),
    [
        (True, False, model_selection.StratifiedKFold),
        (False, False, model_selection.KFold),
        (True, True, model_selection.StratifiedGroupKFold),
        (False, True, model_selection.GroupKFold),
    ],
)
def test_folds_are_those_of_scikit_learn(stratified, grouped, kind):
    x, y = datasets.load_iris(return_X_y=True)
    groups = np.arange(150) % 40 if grouped else None
    wanted = [test for _, test in kind(5, shuffle=True, random_state=7).split(x, y, groups)]
    for i, rows in enumerate(wanted):
        data = kzoo.load_data(
            (x, y), preset="iris_fnn", test=Fold(i, 5, stratified, 7), group=groups, seed=1
        )
        np.testing.assert_array_equal(data.test.rows, rows)
        np.testing.assert_array_equal(data.test.x, x[rows].astype("float32"))
        parts = [data.train.rows, data.validation.rows, data.test.rows]
        assert sorted(np.concatenate(parts)) == list(range(150)) and len(parts[1]) == pytest.approx(
            12, abs=4
        )
        if grouped:
            assert not any(
                set(groups[a]) & set(groups[b]) for a, b in ((parts[0], parts[1]), (parts[1], rows))
            )


def test_folds_of_a_regression_are_not_stratified(tmp_path):
    result = kzoo.cross_validate("diabetes_fnn", "diabetes", folds=2, units=(4,), **QUICK)
    wanted = model_selection.KFold(2, shuffle=True, random_state=0).split(np.zeros(442))
    for run, (_, rows) in zip(result["runs"], wanted, strict=True):
        np.testing.assert_array_equal(kzoo.Run(run).answers["source_rows"], rows)
    truth = datasets.load_diabetes().target
    np.testing.assert_allclose(result["out_of_fold"]["truth"][:, 0], truth)
    assert result["out_of_fold"]["answers"].shape == (442, 1) and set(result["mean"]) >= {
        "mae",
        "rmse",
        "r2",
    }


def test_folds_record_their_rows_for_every_kind_of_source(tmp_path):
    draw(tmp_path / "photos", {"dark": 40, "light": 210}, 10)
    for name, words in {"food": "soup bread", "law": "court judge"}.items():
        (tmp_path / "texts").mkdir(exist_ok=True)
        (tmp_path / "texts" / f"{name}.txt").write_text(
            "".join(f"{words} {i}\n" for i in range(10))
        )
    table = pd.DataFrame({"text": [f"line {i} of it" for i in range(20)], "label": ["a", "b"] * 10})
    x = np.arange(20.0)[:, None]
    y = np.arange(20) % 2
    for source, preset in (
        (tmp_path / "photos", "image_cnn"),
        (tmp_path / "texts", "text_cnn"),
        (table, "text_cnn"),
        (shops(20), "tabular_fnn"),
        ((x, y), "iris_fnn"),
        (tf.data.Dataset.from_tensor_slices((x, y)), "iris_fnn"),
    ):
        options = (
            dict(preset=preset, target="open") if preset == "tabular_fnn" else dict(preset=preset)
        )
        loaded = [kzoo.load_data(source, test=Fold(i, 2), **options) for i in range(2)]
        rows = np.concatenate([data.test.rows for data in loaded])
        assert sorted(rows) == list(range(20)), (source, rows)
        whole = np.concatenate([data.test.y for data in loaded])[np.argsort(rows)].reshape(-1)
        if preset in ("image_cnn", "text_cnn") and source is not table:
            # class after class, files and lines in order
            assert whole.tolist() == [0] * 10 + [1] * 10


def test_a_separate_test_split_stays_out_of_the_folds(tmp_path):
    x = np.arange(40.0)[:, None]
    y = np.arange(40) % 2
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x + 1000, y_test=y)
    draw(tmp_path / "photos" / "train", {"dark": 40, "light": 210}, 10)
    draw(tmp_path / "photos" / "test", {"dark": 40, "light": 210}, 3)
    for part, count in (("train", 10), ("test", 3)):
        for name in ("food", "law"):
            folder = tmp_path / "texts" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.txt").write_text(f"{part} {name} {i}")
    data = kzoo.load_data(tmp_path / "own.npz", preset="iris_fnn", test=Fold(0, 4))
    assert (
        len(data.test) == 10
        and max(p.x.max() for p in (data.train, data.validation, data.test)) < 1000
    )
    photos = kzoo.load_data(tmp_path / "photos", preset="image_cnn", test=Fold(0, 4))
    assert sum(len(p) for p in (photos.train, photos.validation, photos.test)) == 20
    texts = kzoo.load_data(tmp_path / "texts", preset="text_cnn", test=Fold(0, 4))
    assert len(texts.test) == 5 and "test" not in texts.preprocessing["vocabulary"]


# ---------------------------------------------------------------- nothing is learned from a fold


def test_categories_are_learned_from_the_training_rows(shop_folds):
    table, result, _ = shop_folds
    for run in map(kzoo.Run, result["runs"]):
        column = next(c for c in run.preprocessing["columns"] if c["name"] == "town")
        held_out = set(table["town"][run.answers["source_rows"]])
        for rare in ("Chur", "Visp"):
            assert not (rare in held_out and rare in column["values"])
    values = [
        next(c for c in kzoo.Run(r).preprocessing["columns"] if c["name"] == "town")["values"]
        for r in result["runs"]
    ]
    assert any("Chur" in v for v in values) and any("Chur" not in v for v in values)


def test_the_vocabulary_is_learned_from_the_training_rows(tmp_path):
    texts = [f"{'soup bread' if i % 2 else 'court judge'} only{i} once" for i in range(24)]
    table = pd.DataFrame({"text": texts, "label": np.arange(24) % 2})
    shape = dict(input_shape=(6,), embedding_dim=4, filters=(4,), kernel_size=(2,))
    result = kzoo.cross_validate(
        "text_cnn", table, folds=3, target="label", validation=0, **shape, **QUICK
    )
    for run in map(kzoo.Run, result["runs"]):
        held_out = {f"only{i}" for i in run.answers["source_rows"]}
        vocabulary = set(run.preprocessing["vocabulary"])
        assert len(held_out) == 8 and not held_out & vocabulary
        # learned from all training rows
        assert {f"only{i}" for i in range(24)} - held_out <= vocabulary


def test_scaling_is_learned_from_the_training_rows(shop_folds):
    table, result, _ = shop_folds
    for number, run in enumerate(map(kzoo.Run, result["runs"])):
        data = kzoo.load_data(
            table, preset="tabular_fnn", target="open", test=Fold(number, 4, True, 3)
        )
        np.testing.assert_array_equal(data.test.rows, run.answers["source_rows"])
        config = run.config["spec"]["config"]
        column = table["size"][data.train.rows].astype("float32")
        assert -config["offset"][0] / config["scale"][0] == pytest.approx(column.mean(), abs=1e-5)
        assert 1 / config["scale"][0] == pytest.approx(column.std(ddof=0), rel=1e-5)


# ---------------------------------------------------------------- results


def test_mean_deviation_and_out_of_fold(shop_folds):
    table, result, out = shop_folds
    scores = [fold["accuracy"] for fold in result["folds"]]
    assert result["mean"]["accuracy"] == pytest.approx(np.mean(scores))
    assert result["std"]["accuracy"] == pytest.approx(np.std(scores, ddof=1))
    answered = result["out_of_fold"]
    assert answered["rows"].tolist() == list(range(88)) and answered["answers"].shape == (88, 2)
    assert answered["truth"].tolist() == (table["open"] == "yes").astype(int).tolist()
    sizes = [fold["examples"] for fold in result["folds"]]
    assert (answered["answers"].argmax(1) == answered["truth"]).mean() == pytest.approx(
        np.average(scores, weights=sizes)
    )
    run = kzoo.Run(result["runs"][1])
    rows = run.answers["source_rows"]
    answers = kzoo.predict(run, table.iloc[rows].drop(columns="open"))
    np.testing.assert_allclose(answered["answers"][rows], answers.probabilities, atol=1e-5)

    written = json.loads((out / "cross_validation.json").read_text())
    assert (
        written["mean"] == result["mean"]
        and written["std"] == result["std"]
        and written["scores"] == result["folds"]
    )
    assert [written[k] for k in ("preset", "data", "folds", "repeats", "seed")] == [
        "tabular_fnn",
        "shops.csv",
        4,
        1,
        3,
    ]
    assert written["seconds"] > 0 and written["versions"]["keras"] == keras.__version__
    with np.load(out / "out_of_fold.npz") as file:
        for name in ("rows", "truth", "answers"):
            np.testing.assert_array_equal(file[name], answered[name])
    call = "kzoo.cross_validate('tabular_fnn', 'shops.csv', folds=4, seed=3, target='open', "
    assert written["command"].startswith(call) and str(out.parent) not in json.dumps(written)
    assert {kzoo.Run(r).config["command"] for r in result["runs"]} == {written["command"]}


@pytest.mark.slow
def test_repeats_draw_new_folds_and_are_averaged(tmp_path):
    options = dict(folds=2, units=(4,), seed=5, **QUICK)
    once = kzoo.cross_validate("iris_fnn", out="out", **options)
    before = stamps(tmp_path / "out")
    twice = kzoo.cross_validate("iris_fnn", out="out", repeats=2, **options)
    assert twice["runs"][:2] == once["runs"] and len(twice["runs"]) == 4
    assert before.items() <= stamps(tmp_path / "out").items()  # the first two are unchanged
    other = kzoo.cross_validate("iris_fnn", out="other", **options | dict(seed=6))
    average = (once["out_of_fold"]["answers"] + other["out_of_fold"]["answers"]) / 2
    np.testing.assert_allclose(twice["out_of_fold"]["answers"], average, atol=1e-6)
    assert twice["mean"]["loss"] == pytest.approx(
        (once["mean"]["loss"] + other["mean"]["loss"]) / 2
    )
    assert twice["std"]["loss"] == pytest.approx(
        np.std([f["loss"] for f in twice["folds"]], ddof=1)
    )


def test_folds_of_a_named_set_are_scored_without_data(iris_folds, monkeypatch):
    home, result, _ = iris_folds
    monkeypatch.chdir(home)
    assert [p.as_posix() for p in result["runs"]] == [
        f"runs/cross-iris_fnn/fold-0{i}" for i in (1, 2)
    ]
    for run, scores in zip(result["runs"], result["folds"], strict=True):
        assert kzoo.evaluate(run) == scores


def test_progress_is_a_line_for_each_fold(iris_folds):
    _, result, output = iris_folds
    lines = [line for line in output.splitlines() if re.search(r"\b[12]/2\b", line)]
    assert len(lines) == 2
    scores = [fold["accuracy"] for fold in result["folds"]]
    for number, line in enumerate(lines, 1):
        values = f"{scores[number - 1]:.4f}", f"{np.mean(scores[:number]):.4f}"
        assert_mentions(line, "fold", f"{number}/2", "accuracy", "mean", *values)
    seconds_left = [bool(re.search(r"\d s\b", line)) for line in lines]
    assert seconds_left == [True, False]
    (sizes,) = [
        line
        for line in output.splitlines()
        if not missing_from(line, ["train", "validation", "test"])
    ]
    assert_mentions(sizes, "150 rows")
    assert re.search(r"\b67\b.*\b8\b.*\b75\b", sizes)


def test_a_data_set_that_shuffles_itself_is_read_once(tmp_path):
    x, y = datasets.load_iris(return_X_y=True)
    source = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(150).batch(32)
    result = kzoo.cross_validate("iris_fnn", source, folds=2, units=(4,), **QUICK)
    assert result["out_of_fold"]["rows"].tolist() == list(range(150))
    assert np.bincount(result["out_of_fold"]["truth"]).tolist() == [50, 50, 50]


# ---------------------------------------------------------------- stopped and resumed


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RuntimeError("power cut"), RuntimeError),
        pytest.param(KeyboardInterrupt(), None, marks=pytest.mark.slow),
    ],
)
def test_finished_folds_are_not_trained_again(tmp_path, error, raised):
    options = dict(folds=3, out="out", units=(4,), **QUICK | dict(epochs=2))
    options.pop("callbacks")
    with pytest.raises(raised or KeyboardInterrupt):
        kzoo.cross_validate("iris_fnn", callbacks=[Raise(error, 3)], **options)
    before = stamps(tmp_path / "out")
    assert {"fold-01", "fold-02"} <= set(before)
    assert not (tmp_path / "out" / "cross_validation.json").exists()
    result = kzoo.cross_validate("iris_fnn", callbacks=[Raise(error, 9)], **options)
    after = stamps(tmp_path / "out")
    assert [name for name in before if after[name] == before[name]] == ["fold-01", "fold-02"]
    assert len(after) == 3 and not any(kzoo.Run(r).summary["interrupted"] for r in result["runs"])
    third = Fold(2, 3, True, 0)
    alone = kzoo.train("iris_fnn", test=third, out="alone", units=(4,), **QUICK | dict(epochs=2))
    assert alone.summary["test"] == result["folds"][2]  # as if nothing had happened


def test_a_fold_that_was_killed_at_its_start_is_trained_again(tmp_path):
    (tmp_path / "out" / "fold-01" / ".before").mkdir(parents=True)
    (tmp_path / "out" / "fold-01" / "preprocessing.json").write_text("{")
    assert (
        len(kzoo.cross_validate("iris_fnn", folds=2, units=(4,), out="out", **QUICK)["runs"]) == 2
    )


def test_different_settings_are_refused_and_named(iris_folds, tmp_path):
    options = dict(folds=2, units=(4,), out="out", **QUICK)
    shutil.copytree(iris_folds[0] / "runs" / "cross-iris_fnn", "out")
    before = stamps(tmp_path / "out")
    for change, parts in (
        (dict(folds=4), ("folds", "2", "4")),
        (dict(stratified=False), ("stratified", "True", "False")),
        (dict(seed=1), ("seed", "0", "1")),
        (dict(units=(5,)), ("units", "[4]", "[5]")),
    ):
        with refuses("out/fold-01", "overwrite=True", *parts) as caught:
            kzoo.cross_validate("iris_fnn", **options | change)
        assert "\n" not in str(caught.value)
    assert stamps(tmp_path / "out") == before
    shutil.copytree(tmp_path / "out" / "fold-02", tmp_path / "out" / "fold-03")
    (tmp_path / "out" / "fold-notes").mkdir()
    kzoo.cross_validate("iris_fnn", overwrite=True, **options | dict(units=(5,)))
    assert not set(stamps(tmp_path / "out").values()) & set(before.values())
    assert {path.name for path in (tmp_path / "out").glob("fold-*")} == {
        "fold-01",
        "fold-02",
        "fold-notes",
    }


def test_fold_refuses_bad_arguments():
    for arguments, parts in (
        (dict(index=5), ("index=5", "0", "4")),
        (dict(index=-1), ("index=-1", "0", "4")),
        (dict(index=1.0), ("index=1.0", "4")),
        (dict(index=0, stratified="no"), ("stratified='no'", "True", "False")),
    ):
        with refuses(*parts):
            Fold(**arguments)


# ---------------------------------------------------------------- bad arguments


def test_bad_arguments_are_refused_and_nothing_is_written(tmp_path):
    waves(200).to_csv("waves.csv", index=False)
    (tmp_path / "book.txt").write_text("to be or not to be that is the question\n" * 40)
    x = np.arange(60.0)[:, None]
    y = np.arange(60) % 3
    rare = np.where(np.arange(60) < 4, 1, 0)
    for preset, source, options, parts in (
        ("iris_fnn", "iris", dict(folds=1), ("folds=1", "2")),
        ("iris_fnn", "iris", dict(folds=2.5), ("folds=2.5",)),
        ("iris_fnn", "iris", dict(repeats=0), ("repeats=0", "1")),
        ("iris_fnn", "iris", dict(seed=-1), ("seed=-1",)),
        ("iris_fnn", "iris", dict(folds=51), ("folds=51", "50", "class", "stratified=False")),
        ("iris_fnn", "iris", dict(folds=151, stratified=False), ("folds=151", "150", "rows")),
        ("iris_fnn", (x, rare), {}, ("folds=5", "4", "class", "stratified=False")),
        ("iris_fnn", (x, y), dict(group=np.arange(60) % 4), ("folds=5", "4", "group=")),
        ("iris_fnn", (x, y * 0), {}, ("'0'", "classes")),
        ("iris_fnn", "iris", dict(test=0.3), ("test=", "fold")),
        ("iris_fnn", kzoo.load_data("iris"), {}, ("iris", "split")),
        ("iris_fnn", "digits", {}, ("'digits'", "iris_fnn", "rows", "image_cnn")),
        ("iris_fnnn", "iris", {}, ("'iris_fnnn'", "'iris_fnn'")),
        ("iris_fnn", "nowhere.csv", {}, ("'nowhere.csv'",)),
        ("iris_fnn", "iris", dict(unitz=(4,)), ("'unitz'", "'units'")),
        ("series_gru", "waves.csv", {}, ("validation part", "too few", "horizon=7")),
        ("char_gru", "book.txt", {}, ("folds", "kzoo.train")),
    ):
        with refuses(*parts) as caught:
            kzoo.cross_validate(preset, source, **QUICK | options)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_folds_can_be_trained_in_parallel_processes(tmp_path, warm_children_of_the_module):
    """Scores are those of a single thread in any process; finished folds are not trained again."""
    options = dict(
        folds=3,
        units=(8,),
        seed=1,
        epochs=2,
        callbacks="quick",
        progress=False,
        min_steps=0,
        validation=0.2,
    )
    result = kzoo.cross_validate("iris_fnn", "iris", parallel=2, out=tmp_path / "two", **options)
    assert len(result["folds"]) == 3 and all(
        (run / "best.keras").exists() for run in result["runs"]
    )
    before = stamps(tmp_path / "two")
    shutil.rmtree(tmp_path / "two/fold-02")
    with futures.ThreadPoolExecutor(2) as executor:  # `train_here` itself starts another process
        again = kzoo.cross_validate(
            "iris_fnn", "iris", executor=executor, out=tmp_path / "two", **options
        )
    assert again["folds"] == result["folds"]
    after = stamps(tmp_path / "two")
    assert [name for name in before if after[name] == before[name]] == ["fold-01", "fold-03"]
    with refuses("fold", "optimizer='addam'", "adamw") as caught:
        kzoo.cross_validate(
            "iris_fnn", "iris", parallel=2, out=tmp_path / "no", **options | dict(optimizer="addam")
        )
    assert re.search(r"\bfold [123]\b", str(caught.value))
    with refuses("function", "parallel=", "threads=", "executor="):
        kzoo.cross_validate(
            "iris_fnn", "iris", parallel=2, loss=lambda y, p: y, out=tmp_path / "no", **options
        )


def test_folds_that_share_no_score_are_shown_without_one(tmp_path):
    folds = [dict(accuracy=None, examples=3), dict(accuracy=0.5, examples=3)]
    scores = dict(
        mean={},
        std={},
        folds=folds,
        runs=[str(tmp_path / "1")],
        baselines={"mean": dict(mean={}, std={})},
    )
    assert_mentions(repr(CrossValidation(scores)), "2 folds")


def test_targets_that_a_fold_lacks_are_not_summarized():
    one = dict(mae=1.0, targets={"load": dict(mae=1.0)})
    runs = [SimpleNamespace(summary=dict(test=test)) for test in (one, dict(mae=1.0))]
    assert _summarize(runs)["targets"] == {}
