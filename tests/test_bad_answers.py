"""Bad input around targets, row weights, splits, objectives and decisions, alone and combined.

As in `test_bad_input`, each is a clear line that names the value and the fix, and no file is lost, changed or left.
"""

import os
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses, warns
from shortcuts import undrawn, untraced
from test_bad_input import assert_names, assert_refused, image, snapshot

import kzoo
from kzoo.cli import main

QUICK = dict(callbacks="quick", progress=False, epochs=1, check=False, baselines=False)
ROWS, IMAGES = 60, 12
LEVELS = (0.1, 0.9)


def table():
    """Return a table with a target of every task, and columns of weights, times, groups, labels and texts."""
    rng = np.random.default_rng(0)
    words = [[f"word{rng.integers(99)}" for _ in range(5)] for _ in range(ROWS)]
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(ROWS)],
            "size": rng.normal(size=ROWS).round(2),
            "colour": ["red", "blue", "green"] * 20,
            "day": pd.date_range("2024-01-01", periods=ROWS).astype(str),
            "note": list(map(" ".join, words)),
            "w": [1.0, 2.0, 3.0] * 20,
            "cold": ["yes", "no"] * 30,
            "wet": ["yes", "no", "no"] * 20,
            "tags": ["a;b", "b", "a;c", "c"] * 15,
            "price": np.exp(rng.normal(size=ROWS)).round(2),
            "visits": rng.poisson(3, ROWS),
            "sold": ["yes", "no"] * 30,
        }
    )


OTHERS = ["id", "day", "note", "colour", "cold", "wet", "tags", "price", "visits", "sold"]


def others(*targets):
    """Return the columns to drop, so that `size` and `w` are left beside the targets."""
    return [name for name in OTHERS if name not in targets]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tables, images and tiny runs: classes, labels from cells, and weighted values."""
    home = tmp_path_factory.mktemp("answers")
    before = Path.cwd()
    rows = table()
    os.chdir(home)
    rows.to_csv("rows.csv", index=False)
    rows.drop(columns="w").to_csv("no_weights.csv", index=False)
    rows.assign(w=0).to_csv("zero_weights.csv", index=False)
    rows.assign(w=np.where(rows["sold"] == "yes", 0, 1)).to_csv(
        "yes_without_weight.csv", index=False
    )
    rows.assign(visits=-1).to_csv("negative.csv", index=False)
    rows.assign(tags="x;y").to_csv("other_tags.csv", index=False)
    for i in range(IMAGES):
        image(Path("classes") / ("cat" if i % 2 else "dog") / f"{i}.png")
        image(Path("images") / f"{i}.png")
    files = [f"{i}.png" for i in range(IMAGES)]
    labels = pd.DataFrame(
        {"file": files, "age": np.arange(IMAGES) / 7, "kind": ["x", "y"] * 6, "w": 1.0}
    )
    labels.to_csv("images/labels.csv", index=False)
    with undrawn(), untraced():
        for out, target, options in (
            ("classes_run", "sold", {}),
            ("labels_run", "tags", {}),
            ("values_run", "price", {"sample_weight": "w"}),
        ):
            kzoo.train(
                "tabular_fnn",
                "rows.csv",
                target=target,
                drop=others(target),
                out=out,
                units=(4,),
                **QUICK,
                **options,
            )
    os.chdir(before)
    return home


@pytest.fixture
def here(world, monkeypatch):
    """Be among the files; nothing there may change."""
    monkeypatch.chdir(world)
    before = snapshot(world)
    yield world
    assert snapshot(world) == before, "bad input changed files"


def load(source="rows.csv", target=None, **options):
    return kzoo.load_data(source, target=target, **options)


def train(target=None, source="rows.csv", preset="tabular_fnn", out="new", **options):
    drop = others(*([target] if isinstance(target, str) else target or ()))
    return kzoo.train(preset, source, target=target, out=out, **QUICK | {"drop": drop} | options)


def constant(truth, predictions):
    return 1.0


def failing(truth, predictions):
    return 1 / 0


def nothing(truth, predictions):
    return float("nan")


FRAME = table()
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
Y = np.arange(ROWS) % 2
FLAGS = ["cold", "wet"]
FLAGS_OF_ROWS = np.random.default_rng(0).integers(0, 2, (ROWS, 3))

# A call, the wrong value as the message shows it, and the fix: the other parts that the message must name.
CALLS = [
    # labels
    (
        lambda: load(target="cold", task="labels"),
        "task='labels'",
        "'cold'",
        "separator",
        "task='classification'",
    ),
    (lambda: load(target=["cold", "price"], task="labels"), "'price'", "0 and 1", "yes and no"),
    (lambda: load(target=["cold", "colour"]), "'colour'", "target='cold'", "drop=", "0 and 1"),
    (lambda: load(target="tags", columns={"tags": {"separator": "ab"}}), "'ab'", "'tags'", "';'"),
    (
        lambda: load(target="tags", columns={"tags": {"separator": "|"}}),
        "'|'",
        "'tags'",
        "task='classification'",
    ),
    (
        lambda: load(target="sold", columns={"tags": {"separator": ";"}}),
        "'tags'",
        "separator",
        "target",
        "remove",
    ),
    (
        lambda: load(target=FLAGS, columns={"cold": {"separator": ";"}}),
        "'cold'",
        "separator",
        "single target",
    ),
    (
        lambda: load(target="tags", columns={"tags": {"separator": ";"}}, task="classification"),
        "task='classification'",
        "'tags'",
        "separator",
        "labels",
        "remove",
    ),
    (
        lambda: load(target="price", columns={"price": {"separator": ";"}}, quantiles=LEVELS),
        "quantiles=(0.1, 0.9)",
        "'price'",
        "separator",
        "labels",
        "remove",
    ),
    (lambda: load((X, np.full((ROWS, 2), np.nan)), task="labels"), "NaN", "unknown", "1", "0"),
    (
        lambda: load((X, FLAGS_OF_ROWS), validation=(X, FLAGS_OF_ROWS[:, :2])),
        "(2,)",
        "(3,)",
        "validation targets",
    ),
    (lambda: load((X, Y[:, None] * [1, 7]), task="labels"), "7", "y", "0, 1 and NaN"),
    (
        lambda: kzoo.evaluate("labels_run", FRAME, target="cold"),
        "'no' (30 rows)",
        "a, b, c",
        "target",
        "separator",
    ),
    (
        lambda: load(target="tags", validation="other_tags.csv"),
        "'x' (60 rows)",
        "validation",
        "a, b, c",
        "separator",
    ),
    (
        lambda: train(FLAGS, loss="mae"),
        "loss='mae'",
        "tabular_multilabel_classification",
        "crossentropy",
        "focal",
    ),
    # counts and quantiles
    (lambda: load(target="visits", task="counts"), "task='counts'", "'count'"),
    (lambda: load(target="sold", task="count"), "task='count'", "'sold'", "'yes'", "numbers"),
    (lambda: load(target="price", task="count"), "0.", "whole numbers", "task='regression'"),
    (lambda: load("negative.csv", "visits", task="count"), "-1", "0 or more", "task='regression'"),
    (
        lambda: load(target="visits", task="count", validation="negative.csv"),
        "-1",
        "0 or more",
        "task='regression'",
    ),
    (lambda: load(target="price", quantiles=0.5), "quantiles=0.5", "quantiles=(0.1, 0.5, 0.9)"),
    (lambda: load(target="price", quantiles=(10, 90)), "quantiles=(10, 90)", "between 0 and 1"),
    (
        lambda: load(target="price", quantiles=(0.9, 0.1)),
        "quantiles=(0.9, 0.1)",
        "ascending",
        "sort",
    ),
    (
        lambda: load(target=FLAGS, quantiles=LEVELS),
        "quantiles=(0.1, 0.9)",
        "'cold'",
        "'yes'",
        "numbers",
    ),
    (
        lambda: load(target="tags", quantiles=LEVELS),
        "quantiles=(0.1, 0.9)",
        "'tags'",
        "'a;b'",
        "numbers",
    ),
    (lambda: load("iris", quantiles=LEVELS), "quantiles=(0.1, 0.9)", "'setosa'", "numbers"),
    (
        lambda: load(target="visits", task="count", quantiles=LEVELS),
        "task='count'",
        "quantiles=(0.1, 0.9)",
        "remove",
    ),
    (
        lambda: load(target="tags", task="labels", quantiles=LEVELS),
        "task='labels'",
        "quantiles=(0.1, 0.9)",
        "remove",
    ),
    (lambda: load("images", "kind", quantiles=LEVELS), "quantiles=(0.1, 0.9)", "'kind'", "numbers"),
    (
        lambda: load("images", "age", task="count", quantiles=LEVELS),
        "task='count'",
        "quantiles=(0.1, 0.9)",
        "remove",
    ),
    (
        lambda: train("price", quantiles=LEVELS, loss="mae"),
        "loss='mae'",
        "tabular_quantiles",
        "pinball",
    ),
    (
        lambda: kzoo.evaluate("values_run", FRAME.assign(price="dear")),
        "'dear'",
        "'price'",
        "row 1",
        "numbers",
    ),
    # row weights
    (
        lambda: load(target="price", sample_weight="price"),
        "sample_weight='price'",
        "target",
        "another",
    ),
    (
        lambda: load(target=["price", "size"], sample_weight="size"),
        "sample_weight='size'",
        "target",
        "another",
    ),
    (
        lambda: load(target="price", sample_weight="note"),
        "sample_weight='note'",
        "row 1",
        "numbers",
    ),
    (
        lambda: load(target="price", sample_weight="w", columns={"w": "text"}),
        "'w'",
        "sample_weight=",
        "remove",
    ),
    (
        lambda: load(target="price", sample_weight="w", columns={"w": {"decimal": ","}}),
        "'w'",
        "sample_weight=",
    ),
    (
        lambda: load("zero_weights.csv", FLAGS, sample_weight="w"),
        "all training rows",
        "sample_weight=",
        "positive",
    ),
    (
        lambda: load("yes_without_weight.csv", "sold", sample_weight="w"),
        "'yes'",
        "sample_weight=",
        "positive",
    ),
    (
        lambda: load(target="price", sample_weight="w", validation="zero_weights.csv"),
        "0 for all validation rows",
        "sample_weight=",
        "positive",
    ),
    (lambda: load((X, Y), sample_weight="w"), "sample_weight='w'", "array (N,)"),
    (
        lambda: load((X, Y), sample_weight=-np.ones(ROWS)),
        "-1",
        "row 1",
        "sample_weight=",
        "0 or more",
    ),
    (
        lambda: load((X, Y, np.ones(ROWS)), sample_weight=np.ones(ROWS)),
        "(x, y, weight)",
        "sample_weight=",
        "one",
    ),
    (lambda: load("images", "age", sample_weight="w"), "sample_weight='w'", "images", "remove"),
    (
        lambda: kzoo.evaluate("values_run", "zero_weights.csv"),
        "0 for all rows",
        "sample_weight=",
        "positive",
    ),
    (
        lambda: train("sold", sample_weight="w", objective=kzoo.objective(constant)),
        "objective='constant'",
        "weights",
        "sample_weight",
    ),
    # splits
    (lambda: load(target="price", split="time"), "split='time'", "time="),
    (
        lambda: load(target=FLAGS, split="time", time="day", group="colour"),
        "split='time'",
        "group=",
        "omit",
    ),
    (
        lambda: load(target="price", split="time", time="note"),
        "time='note'",
        "row 1",
        "date or number",
        "another",
    ),
    (lambda: load(target="price", split="time", time="price"), "time='price'", "target", "another"),
    (lambda: load((X, Y), split="time"), "split='time'", "arrays", "remove"),
    (lambda: load("images", "age", split="time", time="w"), "'w'", "images", "remove"),
    (
        lambda: kzoo.cross_validate(
            "tabular_fnn", "rows.csv", target="price", validation="no_weights.csv", out="new"
        ),
        "validation=",
        "fraction",
        "fold",
    ),
    (
        lambda: kzoo.cross_validate(
            "tabular_fnn", "rows.csv", target=FLAGS, split="time", time="day", out="new"
        ),
        "split='time'",
        "folds",
        "kzoo.train",
    ),
    (
        lambda: load(target="price", validation="none.csv"),
        "validation='none.csv'",
        "exist",
        "validation=0.2",
    ),
    (
        lambda: load("images", "age", test="images/labels.csv"),
        "test='images/labels.csv'",
        "training data",
        "other",
    ),
    (lambda: load(target="price", group="price"), "group='price'", "target", "another"),
    (lambda: load("images", "file"), "'file'", "'labels.csv'", "target", "another"),
    (lambda: load("images", "age", group="file"), "'file'", "'labels.csv'", "group", "another"),
    # text columns
    (
        lambda: load(target="price", columns={"price": "text"}),
        "'price'",
        "target",
        "number",
        "category",
    ),
    # objectives, decisions and costs
    (
        lambda: train("price", objective="f1"),
        "objective='f1'",
        "tabular_regression",
        "rmse",
        "kzoo.objective",
    ),
    (
        lambda: train("price", quantiles=LEVELS, objective="rmse"),
        "objective='rmse'",
        "tabular_quantiles",
        "pinball",
    ),
    (
        lambda: train(FLAGS, objective="auc"),
        "objective='auc'",
        "tabular_multilabel_classification",
        "f1_macro",
    ),
    (
        lambda: train("sold", objective="recall@precision"),
        "objective='recall@precision'",
        "recall@precision=0.9",
    ),
    (
        lambda: train("sold", objective=constant),
        "constant",
        "direction",
        "kzoo.objective(function, best='max')",
    ),
    (
        lambda: train("price", loss="poisson"),
        "loss='poisson'",
        "tabular_regression",
        "values",
        "log_mse",
        "gamma",
    ),
    (
        lambda: train("size", loss="gamma"),
        "loss='gamma'",
        "above 0",
        "-",
        "loss='mse'",
        "task='count'",
    ),
    (lambda: train(FLAGS, class_weight="balanced"), "class_weight='balanced'", "labels", "leave"),
    (
        lambda: train(FLAGS, preset="diabetes_fnn"),
        "tabular_multilabel_classification",
        "diabetes_fnn",
        "tabular_fnn",
    ),
    (
        lambda: train("price", preset="iris_fnn", quantiles=LEVELS),
        "quantiles=(0.1, 0.9)",
        "iris_fnn",
        "tabular_fnn",
    ),
    (lambda: train("sold", objective="f1", validation=0), "objective='f1'", "validation"),
    (lambda: train("sold", decision="f1", validation=0), "decision='f1'", "validation"),
    (lambda: train("sold", decision="objective"), "decision='objective'", "objective='f1'"),
    (lambda: train("sold", decision="cost"), "decision='cost'", "cost="),
    (
        lambda: train("visits", task="count", decision="f1"),
        "decision='f1'",
        "tabular_count",
        "leave",
    ),
    (
        lambda: train("price", quantiles=LEVELS, positive="yes"),
        "positive='yes'",
        "tabular_quantiles",
        "leave",
    ),
    (
        lambda: train(FLAGS, cost={"yes:no": 5}),
        "cost=",
        "tabular_multilabel_classification",
        "leave",
    ),
    (lambda: train("sold", cost={"ye:no": 5}), "'ye'", "cost=", "no, yes"),
    (lambda: train("sold", cost={"yes:no": 5}), "'yes'", "cost=", "no:yes=1"),
    (lambda: train("colour", decision="f1"), "decision='f1'", "two classes", "cost="),
    (lambda: train("sold", positive="ye"), "positive='ye'", "'yes'"),
    # predict and evaluate
    (lambda: kzoo.predict("classes_run", FRAME, keep="idd"), "'idd'", "'id'"),
    (lambda: kzoo.predict("classes_run", X[:, :2], keep="id"), "keep='id'", "table", "remove"),
    (lambda: kzoo.evaluate("classes_run", "rows.csv", by="clour"), "by='clour'", "'colour'"),
    (
        lambda: kzoo.evaluate("classes_run", "rows.csv", by=["colour", "wet"]),
        "by=['colour', 'wet']",
        "column",
    ),
]


@pytest.mark.parametrize(
    ("call", "parts"),
    [(call, parts) for call, *parts in CALLS],
    ids=[f"{i}-{c[1]}" for i, c in enumerate(CALLS)],
)
def test_python(here, call, parts):
    assert_refused(call, parts)


# A command, the wrong value and the fix. TRAIN is `train tabular_fnn --data rows.csv --out new --target`.
TRAIN = "train tabular_fnn --data rows.csv --out new --target "
COMMANDS = [
    (TRAIN + "price --quantiles low,high", "--quantiles 'low,high'", "--quantiles 0.1,0.5,0.9"),
    (TRAIN + "price --quantiles .5", "--quantiles 0.5", "two", "--quantiles 0.1,0.5,0.9"),
    (TRAIN + "tags --quantiles .1,.9", "--quantiles 0.1,0.9", "'tags'", "'a;b'", "numbers"),
    (
        "train image_cnn --data images --target kind --out new --quantiles .1,.9",
        "--quantiles 0.1,0.9",
        "'kind'",
    ),
    (TRAIN + "price --set quantiles=.1,.9", "'quantiles'", "--quantiles VALUE", "--set"),
    (
        TRAIN + "cold --task labels",
        "--task 'labels'",
        "--column 'cold=category:separator=;'",
        "--task classification",
    ),
    (TRAIN + "tags --column 'tags=category:separator=|'", "'|'", "'tags'", "--task classification"),
    (TRAIN + "cold --target cold", "'cold'", "--target", "once"),
    (TRAIN + "sold --cost yes=5", "--cost 'yes=5'", "ACTUAL:PREDICTED=COST", "yes:no=5"),
    (
        TRAIN + "sold --cost yes:no=much",
        "--cost 'yes:no=much'",
        "ACTUAL:PREDICTED=COST",
        "yes:no=5",
    ),
    (TRAIN + "sold --cost yes:no=5 --cost yes:no=2", "--cost 'yes:no=2'", "yes:no", "remove"),
    (
        TRAIN + "cold --target wet --cost yes:no=5",
        "--cost",
        "tabular_multilabel_classification",
        "leave",
    ),
    (
        TRAIN + "sold --objective f1 --set objective=auc",
        "objective",
        "--objective",
        "--set",
        "remove",
    ),
    (TRAIN + "price --objective f1", "--objective 'f1'", "tabular_regression", "rmse"),
    (TRAIN + "sold --decision f2", "--decision 'f2'", "default", "cost", "f1"),
    (TRAIN + "price --split time", "--split 'time'", "--time"),
    (TRAIN + "price --split date", "--split 'date'", "random", "time"),
    (TRAIN + "price --sample-weight size", "--sample-weight 'size'", "0 or more", "row"),
    (
        "train image_cnn --data classes --out new --sample-weight w",
        "--sample-weight 'w'",
        "classes",
        "remove",
    ),
    (
        "tune tabular_fnn --data rows.csv --target price --objective f1 --out new",
        "--objective 'f1'",
        "rmse",
    ),
    (
        "tune tabular_fnn --data rows.csv --target tags --decision f1 --out new",
        "--decision 'f1'",
        "leave",
    ),
    (
        "tune tabular_fnn --data rows.csv --target price --split time --time day --folds 3 --out new",
        "--split 'time'",
        "--folds",
    ),
    (
        "check classes_run --data rows.csv --quantiles .1,.9",
        "--quantiles",
        "classes_run",
        "trained",
        "omit",
    ),
    ("predict classes_run rows.csv --keep idd", "'idd'", "'id'"),
    ("predict labels_run rows.csv --top 3", "--top 3", "labels_run", "remove"),
    ("evaluate classes_run --data rows.csv --by clour", "--by 'clour'", "'colour'"),
    ("report classes_run --data rows.csv --by clour --out new.html", "--by 'clour'", "'colour'"),
    ("compare values_run classes_run --metric f2", "'f2'", "values_run", "rmse"),
]


@pytest.mark.parametrize(
    ("words", "parts"), [(words, parts) for words, *parts in COMMANDS], ids=[c[0] for c in COMMANDS]
)
def test_command_line(here, capsys, words, parts):
    code = main(shlex.split(words))
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("kzoo: warning: ")]
    assert (code, out) == (2, ""), err
    assert len(lines) == 1 and lines[0].startswith("kzoo: error: "), err
    assert_names(lines[0], *parts)


def test_a_table_without_the_column_of_weights(here):
    data = load(
        target="price", sample_weight="w", validation="no_weights.csv", drop=others("price")
    )
    assert notes_with(data.notes, "validation", "'w'", "count equally")
    assert data.validation.weight is None and data.train.weight is not None
    with warns("'w'", "sample_weight=", "count equally"):
        scores = kzoo.evaluate("values_run", "no_weights.csv")
    assert "unweighted" not in scores


def test_a_column_of_weights_may_be_dropped_too(here):
    data = load(target="price", sample_weight="w", drop=["w"])
    assert "w" not in data.feature_names and data.train.weight is not None


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(target=FLAGS, quantiles=LEVELS), ("quantiles=(0.1, 0.9)", "'cold'", "'yes'")),
        (dict(target="tags", quantiles=LEVELS), ("quantiles=(0.1, 0.9)", "'tags'", "'a;b'")),
        (dict(target="sold", task="count"), ("task='count'", "'sold'", "'yes'")),
        (dict(target="tags", columns={"tags": {"separator": "|"}}), ("'|'", "'tags'")),
        (dict(target="price", sample_weight="w", columns={"w": "text"}), ("'w'", "sample_weight=")),
        (
            dict(target=FLAGS, validation="negative.csv", sample_weight="visits"),
            ("-1", "validation", "'visits'"),
        ),
        (
            dict(target="price", sample_weight="w", test="zero_weights.csv"),
            ("for all test rows", "sample_weight="),
        ),
        (
            dict(target="visits", task="count", validation="negative.csv"),
            ("-1", "task='regression'"),
        ),
    ],
)
def test_tables_larger_than_memory(here, tmp_path, monkeypatch, options, parts):
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    with refuses(*parts) as caught:
        load(**options)
    assert "\n" not in str(caught.value)


def test_a_label_whose_rows_have_no_weight(here):
    data = load(
        FRAME.assign(w=np.where(FRAME["tags"] == "a;c", 0, 1)),
        "tags",
        sample_weight="w",
        drop=others("tags"),
    )
    assert data.class_names == ("a", "b", "c") and notes_with(
        data.notes, "weight 0", "not trained on"
    )
    with_c = FRAME["tags"].str.contains("c")
    data = load(
        FRAME.assign(w=np.where(with_c, 0, 1)), "tags", sample_weight="w", drop=others("tags")
    )
    assert data.class_names == ("a", "b") and notes_with(data.notes, "'c' (30 rows)", "left out")


def test_a_user_objective_that_is_never_a_number(here, tmp_path):
    with refuses("val_nothing", "never finite"):
        train("sold", objective=kzoo.objective(nothing), out=tmp_path / "new")


def test_a_user_objective_that_fails_leaves_no_finished_run(here, tmp_path):
    with refuses("objective='failing'", "ZeroDivisionError"):
        train("sold", objective=kzoo.objective(failing), out=tmp_path / "new")
    with pytest.raises(kzoo.KzooError):
        kzoo.predict(tmp_path / "new", FRAME)
