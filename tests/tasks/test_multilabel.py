"""Labels: any number of labels per row, from every door to every prediction."""

import json
import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns
from shortcuts import tune_here
from sklearn import metrics as sk

import kzoo
from kzoo.data import splits
from kzoo.data.options import DataOptions
from kzoo.data.stratified import divide
from kzoo.evaluation.comparison import compare_runs
from kzoo.inference.postprocessors import label_thresholds
from kzoo.inference.tables.label_cells import flags, likely_separator
from kzoo.problems.kinds import kind
from kzoo.problems.tasks import Target, problem
from kzoo.runtime import load
from kzoo.training.masked_labels import with_known_labels
from kzoo.training.plan import plan_training
from kzoo.training.scores import labels as score
from kzoo.training.setup import core_of
from kzoo.tuning.plan import resolve_objective
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("untraced_module")

NAMES = ["blue", "dark red", "green"]
INPUTS = ["a", "b", "c"]


def inputs_and_labels(rows=300, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype("float32")
    return x, (x + draw.normal(0, 0.4, x.shape) > (0.3, 0.6, 1.0)).astype(int)


def frame_of(cells, rows=300):
    """A table with the labels as columns named after them, or in the column `tags`."""
    x, y = inputs_and_labels(rows)
    frame = pd.DataFrame(x, columns=INPUTS)
    if cells is None:
        return frame.assign(**dict(zip(NAMES, y.T, strict=True)))
    return frame.assign(
        tags=[cells([name for name, one in zip(NAMES, row, strict=True) if one]) for row in y]
    )


def sorted_labels(data):
    """The labels of all rows, in the order of the source, with their names sorted."""
    order = np.argsort(data.class_names)
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    rows, y = (
        np.concatenate(column)
        for column in zip(*((part.rows, part.y) for part in parts), strict=True)
    )
    return y[np.argsort(rows)][:, order], [data.class_names[i] for i in order]


DOORS = {
    "0 and 1": (lambda: frame_of(None), NAMES),
    "truth": (lambda: frame_of(None).astype(dict.fromkeys(NAMES, bool)), NAMES),
    "yes and no": (
        lambda: frame_of(None).replace({name: {0: "no", 1: "Yes"} for name in NAMES}),
        NAMES,
    ),
    "lists": (lambda: frame_of(list), "tags"),
    "sets": (lambda: frame_of(set), "tags"),
    "arrays": (lambda: frame_of(np.array), "tags"),
    "semicolons": (lambda: frame_of(";".join), "tags"),
    "bars": (lambda: frame_of(" | ".join), "tags"),
    "commas": (lambda: frame_of(", ".join), "tags"),
    "pair": (lambda: (frame_of(None)[INPUTS], inputs_and_labels()[1]), None),
    "pair of lists": (lambda: (frame_of(None)[INPUTS], list(frame_of(list)["tags"])), None),
    "matrix": (inputs_and_labels, None),
    "lists in memory": (lambda: (inputs_and_labels()[0], list(frame_of(list)["tags"])), None),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_door_reads_the_same_labels_and_says_so(door):
    source, target = DOORS[door]
    data = kzoo.load_data(source(), target=target)
    labels, names = sorted_labels(data)
    np.testing.assert_array_equal(labels, inputs_and_labels()[1])
    assert data.task == "tabular_multilabel_classification" and data.outputs == 3
    if door not in ("pair", "matrix"):
        assert names == NAMES
    assert notes_with(data.notes, "no label") and re.search(
        "multilabel|Labels", " ".join(data.notes)
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("cells", [None, ";".join])
def test_files_are_read_like_frames(suffix, cells, tmp_path):
    frame = frame_of(cells)
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(file := tmp_path / "t.parquet")
    else:
        frame.to_csv(file := tmp_path / "t.csv", index=False)
    data = kzoo.load_data(file, target=NAMES if cells is None else "tags")
    np.testing.assert_array_equal(sorted_labels(data)[0], inputs_and_labels()[1])


@pytest.mark.parametrize(
    "cells,separator",
    [
        (["a;b", "a", "b", "a;b;c", "c"], ";"),
        (["a|b", "a", "b", "c|a", "b|c"], "|"),
        (["x", "y", "z", "x,y", "y,z", "x,z", "x,y,z", "z,x"], ","),
        (["x", "y", "z", "x y", "y z", "x z", "x y z", "z x"], " "),
        (["Smith, John", "Doe, Jane", "Roe, Max", "Poe, Eva"], ""),  # names
        (["red, large", "red, small", "blue, large", "blue, small"], ""),  # always two
        (["1,5", "2,5", "1", "2", "5", "1,2,5", "5,1", "5,2"], ""),  # numbers
        (["a dog barks", "a cat sleeps", "the dog sleeps", "the cat"], ""),
        (["no", "yes; a bit", "yes; a lot"], ""),
        ([], ""),
    ],
)
def test_a_separator_is_learned_only_if_cells_are_combinations(cells, separator):
    assert likely_separator(cells * 3) == separator


def test_a_separator_can_be_requested_and_the_cells_declared_as_classes(tmp_path):
    frame = frame_of("/".join)
    assert kzoo.load_data(frame, target="tags").task == "tabular_classification"
    data = kzoo.load_data(frame, target="tags", columns={"tags": {"separator": "/"}})
    np.testing.assert_array_equal(sorted_labels(data)[0], inputs_and_labels()[1])
    assert data.preprocessing["separator"] == "/"
    classes = kzoo.load_data(
        frame_of(lambda s: ";".join(s) or "none"), target="tags", columns={"tags": "category"}
    )
    assert classes.task == "tabular_classification"


@pytest.mark.parametrize(
    "source,options,parts",
    [
        (
            frame_of(";".join),
            dict(columns={"a": {"separator": ";"}}),
            ("'a'", "separator", "target"),
        ),
        (
            frame_of(";".join),
            dict(columns={"tags": {"separator": "x"}}),
            ("'tags'", "separator='x'"),
        ),
        (
            frame_of(";".join),
            dict(columns={"tags": {"separator": ";", "decimal": ","}}),
            ("separator=", "category"),
        ),
        (
            frame_of(lambda s: s[0] if s else "none"),
            dict(task="labels"),
            ("task='labels'", "'tags'", "separator"),
        ),
        (frame_of(list), dict(task="regression"), ("Row 1", "'tags'", "A cell must be")),
        (frame_of(list).assign(more=[[1]] * 300), {}, ("Row 1", "'more'", "A cell must be")),
    ],
)
def test_what_holds_no_labels_is_refused(source, options, parts):
    with refuses(*parts):
        kzoo.load_data(source, target="tags", **options)


def test_task_decides_between_labels_values_and_classes():
    x, y = inputs_and_labels()
    frame = frame_of(None)
    one_hot = np.eye(3)[y.argmax(1)]
    assert kzoo.load_data((x, y), task="regression").task == "tabular_regression"
    assert kzoo.load_data(frame, target=NAMES, task="regression").task == "tabular_regression"
    assert kzoo.load_data((x, one_hot)).task == "tabular_classification"
    data = kzoo.load_data((x, one_hot), task="labels")
    assert data.task == "tabular_multilabel_classification" and notes_with(
        data.notes, "exactly one label"
    )
    with refuses("task='labels'", "0, 1 and NaN"):
        kzoo.load_data((x, y + 1), task="labels")
    with refuses("'a'", "0 and 1"):
        kzoo.load_data(frame, target=["a", "green"], task="multilabel")
    with refuses("row 0", "series", "y[:, k]"):
        kzoo.load_data((np.zeros((20, 6, 2)), np.ones((20, 2), int)))
    with refuses("two labels", "'only'"):
        kzoo.load_data((x, [["only"]] * 299 + [[]]))


def test_flags():
    np.testing.assert_array_equal(flags(["Yes", "no", None, "TRUE"]), [1, 0, np.nan, 1])
    np.testing.assert_array_equal(flags(np.array([0.0, 1.0, np.nan])), [0, 1, np.nan])
    assert flags([0, 2]) is None and flags(["maybe", "no"]) is None and flags([None, None]) is None


def test_splits_keep_the_share_of_each_label_and_name_the_labels_that_they_lack():
    draw = np.random.default_rng(0)
    y = (draw.random((1000, 6)) < (0.5, 0.3, 0.1, 0.03, 0.9, 0.01)).astype("float32")
    parts = divide(y, (0.7, 0.1, 0.2), np.random.default_rng(0))
    for part, share in enumerate((0.7, 0.1, 0.2)):
        assert abs((parts == part).mean() - share) < 0.01
        np.testing.assert_allclose(y[parts == part].sum(0), share * y.sum(0), atol=1.6)
        np.testing.assert_allclose(
            (1 - y)[parts == part, 4].sum(), share * (1 - y)[:, 4].sum(), atol=1.6
        )
    np.testing.assert_array_equal(parts, divide(y, (0.7, 0.1, 0.2), np.random.default_rng(0)))
    x = draw.normal(size=(1000, 2))
    y[:, 5] = 0
    y[[3, 7], 5] = 1
    notes = kzoo.load_data((x, y)).notes
    assert notes_with(notes, "validation", "'5'") and notes_with(notes, "test", "'5'")
    assert not notes_with(notes, "train row", "'5'")


def test_groups_stay_together_and_folds_hold_each_row_once():
    x, y = inputs_and_labels()
    groups = np.arange(300) // 6
    data = kzoo.load_data((x, y), group=groups)
    found = [set(groups[part.rows]) for part in (data.train, data.validation, data.test)]
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]
    tested = []
    for index in range(4):
        parts, _ = splits.split_rows(
            300, labels=y.astype("float32"), test=splits.Fold(index, 4), validation=0.1
        )
        tested += parts["test"].tolist()
        np.testing.assert_allclose(y[parts["test"]].mean(0), y.mean(0), atol=0.02)
        assert not set(parts["train"]) & set(parts["validation"])
    assert sorted(tested) == list(range(300))


def test_label_names_come_from_training_rows_and_others_are_named():
    frame = frame_of(list)
    frame.loc[0, "tags"].append("new")
    frame["group"] = np.where(frame.index == 0, "held out", "g") + (frame.index % 7).astype(str)
    test = frame.iloc[:40].drop(columns="group")
    data = kzoo.load_data(frame.iloc[40:].drop(columns="group"), target="tags", test=test)
    assert list(data.class_names) == NAMES and notes_with(data.notes, "'new'", "1 row", "left out")


# Scores


def outputs_and_truth(unknown=True):
    draw = np.random.default_rng(1)
    truth = (draw.random((200, 4)) < (0.5, 0.3, 0.1, 0.0)).astype("float32")
    p = np.clip(0.5 * truth + draw.random((200, 4)) * 0.6, 0.01, 0.99)
    p[:, 3] *= 0.3
    if unknown:
        truth[draw.random(truth.shape) < 0.2] = np.nan
    return p, truth


TARGET = Target(classes=("a", "b", "c", "d"), thresholds=(0.5, 0.4, 0.6, 0.5))


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_scikit_learn(weighted):
    p, truth = outputs_and_truth(unknown=False)
    weight = np.random.default_rng(2).random(200) if weighted else None
    scores = score.score(
        [(p[:90], truth[:90]), (p[90:], truth[90:])], TARGET, logits=False, weight=weight
    ).scores
    chosen = p >= np.array(TARGET.thresholds)
    options = dict(sample_weight=weight, zero_division=np.nan)
    np.testing.assert_allclose(
        scores["f1_macro"], sk.f1_score(truth, chosen, average="macro", **options)
    )
    np.testing.assert_allclose(
        scores["f1_micro"], sk.f1_score(truth, chosen, average="micro", **options)
    )
    precision = sk.average_precision_score(truth[:, :3], p[:, :3], sample_weight=weight)
    # no row has the last label
    np.testing.assert_allclose(scores["average_precision_macro"], precision)
    np.testing.assert_allclose(
        scores["exact_match"], sk.accuracy_score(truth, chosen, sample_weight=weight)
    )
    losses = [
        sk.log_loss(t, q, labels=[0, 1], sample_weight=weight)
        for t, q in zip(truth.T, p.T, strict=True)
    ]
    np.testing.assert_allclose(scores["loss"], np.mean(losses))
    always = sk.f1_score(truth[:, :3], np.ones((200, 3)), average="macro", sample_weight=weight)
    np.testing.assert_allclose(scores["always_all"], always)
    assert (
        scores["labels"]["d"]["support"] == 0 and scores["labels"]["d"]["average_precision"] is None
    )


def test_unknown_labels_are_left_out_of_scores():
    p, truth = outputs_and_truth()
    scores = score.score([(p, truth)], TARGET, logits=False).scores
    for name, t, q, threshold in zip("abc", truth.T, p.T, TARGET.thresholds, strict=False):
        known = ~np.isnan(t)
        label = scores["labels"][name]
        np.testing.assert_allclose(label["f1"], sk.f1_score(t[known], q[known] >= threshold))
        np.testing.assert_allclose(
            label["average_precision"], sk.average_precision_score(t[known], q[known])
        )
        assert label["support"] == int((t == 1).sum()) and label["threshold"] == threshold
    known = ~np.isnan(truth)
    right = ((p >= np.array(TARGET.thresholds)) == (truth == 1)) | ~known
    np.testing.assert_allclose(scores["exact_match"], right.all(1)[known.any(1)].mean())
    np.testing.assert_allclose(scores["loss"], sk.log_loss(truth[known], p[known]))
    logits = np.log(p / (1 - p))
    assert score.score([(logits, truth)], TARGET, logits=True).scores["f1_macro"] == pytest.approx(
        scores["f1_macro"]
    )


def test_the_interval_of_a_difference_contains_it_and_is_0_for_equal_models():
    p, truth = outputs_and_truth()
    same = score.paired(truth, (p, TARGET), (p, TARGET), "f1_macro")
    assert same["difference"] == 0 and same["interval"] == [0, 0]
    worse = score.paired(truth, (p, TARGET), (1 - p, TARGET), "f1_macro")
    assert 0 < worse["interval"][0] < worse["difference"] < worse["interval"][1]


# Thresholds


def f1_over(thresholds, truth, p):
    """Return the F1 score at each threshold, as scikit-learn's, which takes a millisecond for each."""
    chosen = p >= thresholds[:, None]
    scores = 2 * (chosen & (truth == 1)).sum(1) / np.maximum(1, chosen.sum(1) + truth.sum())
    for index in (0, len(thresholds) // 4, -1):
        expected = sk.f1_score(truth, chosen[index], zero_division=0)
        assert scores[index] == pytest.approx(expected, abs=1e-12)
    return scores


def test_frequent_labels_have_their_own_threshold_and_rare_ones_share_one():
    draw = np.random.default_rng(0)
    truth = (draw.random((400, 4)) < (0.4, 0.3, 0.05, 0.03)).astype("float32")
    p = np.clip(0.3 * truth + draw.random(truth.shape) * 0.5, 0, 1)
    learned = label_thresholds.learn(p, truth, target=None, logits=False)
    assert (
        learned["shared"] == [False, False, True, True]
        and learned["positives"] == truth.sum(0).tolist()
    )
    assert learned["thresholds"][2] == learned["thresholds"][3]
    grid = np.linspace(0, 1, 2001)
    scores = np.transpose([f1_over(grid, truth[:, label], p[:, label]) for label in range(4)])
    for label in range(2):
        own = sk.f1_score(truth[:, label], p[:, label] >= learned["thresholds"][label])
        assert own >= scores[:, label].max() - 1e-9
    rare = scores[::8, 2:].mean(axis=1)
    shared = np.mean(
        [sk.f1_score(truth[:, k], p[:, k] >= learned["thresholds"][2]) for k in (2, 3)]
    )
    assert shared >= max(rare) - 0.02


def test_unknown_labels_do_not_move_a_threshold():
    p, truth = outputs_and_truth(unknown=False)
    hidden = truth.copy()
    hidden[:50] = np.nan
    learned = label_thresholds.learn(p, hidden, target=None, logits=False)
    assert learned == label_thresholds.learn(p[50:], truth[50:], target=None, logits=False)
    assert (
        label_thresholds.best_threshold(np.array([0.2, 0.3]), np.zeros(2, bool), np.ones(2)) == 0.5
    )
    twice = np.arange(200) % 3 == 0
    repeated = [np.concatenate([array, array[twice]]) for array in (p, truth)]
    weighted = label_thresholds.learn(p, truth, target=None, logits=False, weight=1.0 + twice)
    counted_twice = label_thresholds.learn(*repeated, target=None, logits=False)
    own = [k for k in range(4) if not weighted["shared"][k]]
    assert own and [weighted["thresholds"][k] for k in own] == [
        counted_twice["thresholds"][k] for k in own
    ]


# Training

TABLE = frame_of(None).astype(dict.fromkeys(NAMES, float))
TABLE.loc[:20, "green"] = np.nan


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on data with unknown labels, with members."""
    folder = tmp_path_factory.mktemp("labels")
    return kzoo.train(
        "tabular_tabm",
        TABLE,
        target=NAMES,
        out=folder / "run",
        epochs=30,
        learning_rate=0.02,
        members=4,
        units=(16,),
        progress=False,
    )


@pytest.fixture(scope="module")
def tags_run(tmp_path_factory):
    """A run on a column of texts such as `a;b`, without validation data."""
    folder = tmp_path_factory.mktemp("tags")
    return kzoo.train(
        "tabular_fnn",
        frame_of(";".join),
        target="tags",
        out=folder / "run",
        epochs=3,
        units=(8,),
        validation=0,
        baselines=False,
        progress=False,
    )


def test_a_run_scores_labels_beside_baselines_with_thresholds_of_their_own(run):
    test = run.summary["test"]
    assert test["f1_macro"] > 0.6 and list(test["labels"]) == NAMES
    results = {row["name"]: row["scores"] for row in run.summary["baselines"]}
    assert set(results) == {"most_frequent_set", "logistic", "label_forest", "trees"}
    assert (
        results["most_frequent_set"]["loss"] is None
        and results["most_frequent_set"]["f1_macro"] < 0.3
    )
    assert {row["threshold"] for row in results["logistic"]["labels"].values()} != {0.5}
    (step,) = run.postprocessing
    thresholds = [row["threshold"] for row in test["labels"].values()]
    assert step["name"] == "label_thresholds" and step["rows"] == "validation"
    assert step["learned"]["thresholds"] == thresholds and list(run.target.thresholds) == thresholds


def test_predictions_are_sets_of_labels_in_every_form(run, tmp_path):
    predictions = kzoo.predict(run, TABLE)
    chosen = predictions.probabilities >= np.array(run.target.thresholds)
    assert predictions.labels == [tuple(np.array(NAMES)[row]) for row in chosen]
    frame = predictions.to_frame()
    assert list(frame) == ["input", "labels", "p_blue", "p_dark red", "p_green"]
    with open(tmp_path / "p.csv", "w", encoding="utf-8", newline="") as file:
        predictions.write_csv(file)
    written = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert written["labels"].tolist() == [";".join(labels) for labels in predictions.labels]
    row = predictions.rows()[0]
    assert (
        row["labels"] == list(predictions.labels[0])
        and "label" not in row
        and len(row["classes"]) == 3
    )
    json.dumps(predictions.rows())
    assert_mentions(repr(predictions), "300 inputs", "3 labels", "none", "blue")
    unread = predictions.with_unread(range(301), {300: "torn"})
    assert (
        unread.labels[300] is None
        and unread.rows()[300]["labels"] is None
        and unread.columns()["error"][300] == "torn"
    )


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_a_run_is_scored_on_new_rows_and_on_its_own(run, tags_run):
    assert kzoo.evaluate(run, TABLE)["f1_macro"] == pytest.approx(run.summary["test"]["f1_macro"])
    new = TABLE.iloc[:60]
    scores = kzoo.evaluate(run, new)
    p = kzoo.predict(run, new).probabilities
    expected = score.score([(p, new[NAMES].to_numpy("float32"))], run.target, logits=False).scores
    assert scores["f1_macro"] == pytest.approx(expected["f1_macro"]) and scores["examples"] == 60
    tags = frame_of(";".join).iloc[:50]
    assert kzoo.evaluate(tags_run, tags)["examples"] == 50
    with warns("'odd'", "1 row", "left out"):
        kzoo.evaluate(tags_run, tags.assign(tags=["odd", *tags["tags"][1:]]))
    with refuses("'green'", "0 or 1"):
        kzoo.evaluate(run, new.assign(green=3))


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_subgroups_are_scored_by_the_thresholds_and_columns_are_kept(run):
    table = TABLE.assign(place=np.where(np.arange(300) % 2, "north", "south"))
    groups = kzoo.evaluate(run, table, by="place")["by"]
    for name, rows in (("north", table[1::2]), ("south", table[::2])):
        assert groups["of"] == "exact_match"
        assert groups["groups"][name]["mean"] == pytest.approx(
            kzoo.evaluate(run, rows)["exact_match"]
        )
    kept = kzoo.predict(run, table, keep="place")
    assert list(kept.to_frame())[:3] == ["input", "place", "labels"] and "north" in repr(kept)


def test_without_validation_data_a_half_decides_and_a_note_says_so(tags_run):
    assert tags_run.postprocessing == [] and tags_run.target.thresholds == ()
    predictions = kzoo.predict(tags_run, frame_of(";".join))
    assert predictions.labels[0] == tuple(np.array(NAMES)[predictions.probabilities[0] >= 0.5])
    assert {row["threshold"] for row in tags_run.summary["test"]["labels"].values()} == {0.5}


def test_biases_begin_at_the_logits_of_the_shares():
    data = kzoo.load_data(TABLE, target=NAMES)
    share = np.nanmean(data.train.y, axis=0)
    for preset in ("tabular_fnn", "tabular_tabm"):
        bias = kzoo.build(preset, data=data).get_layer("outputs").get_weights()[1]
        np.testing.assert_allclose(
            bias, np.broadcast_to(np.log(share / (1 - share)), bias.shape), rtol=1e-5
        )


@pytest.mark.parametrize("preset", ["tabular_fnn", "tabular_tabm"])
def test_the_loss_is_that_of_the_known_labels(preset):
    data = kzoo.load_data(TABLE, target=NAMES)
    model = kzoo.build(preset, data=data, dropout=0)
    core = with_known_labels(core_of(model))
    core.compile(loss=model.loss, loss_weights=3.0)
    x = data.train.x[:64]
    y = data.train.y[:64]
    weight = np.random.default_rng(0).random(64).astype("float32")
    p = np.asarray(model(x))
    losses = np.nan_to_num(
        -np.where(y == 1, np.log(p), np.log(1 - p)) * np.where(np.isnan(y), 0, 1)
    )
    assert np.isnan(y).any()
    loss = float(
        core.compute_loss(
            x, keras.ops.convert_to_tensor(y), core(x), keras.ops.convert_to_tensor(weight)
        )
    )
    np.testing.assert_allclose(loss, (weight[:, None] * losses).sum() / 64, rtol=1e-4)


def test_a_weight_of_2_equals_the_row_twice(tmp_path):
    x, y = inputs_and_labels(120)
    y = y.astype("float32")
    y[5, 1] = np.nan
    twice = np.arange(120) % 3 == 0
    weight = np.where(twice, 2.0, 1.0)
    options = dict(
        validation=0,
        test=(x, y),
        epochs=2,
        dropout=0,
        norm=None,
        rescale=False,
        schedule="constant",
        batch_size=500,
        baselines=False,
        progress=False,
        check=False,
    )
    weighted = kzoo.train(
        "tabular_fnn", (x, y, weight), out=tmp_path / "w", **options | dict(test=(x, y, weight))
    )
    repeated = (np.concatenate([x, x[twice]]), np.concatenate([y, y[twice]]))
    doubled = kzoo.train(
        "tabular_fnn", repeated, out=tmp_path / "d", **options | dict(test=repeated)
    )
    for name in ("f1_macro", "average_precision_macro", "loss", "exact_match"):
        assert weighted.summary["test"][name] == pytest.approx(
            doubled.summary["test"][name], abs=1e-4
        )
    np.testing.assert_allclose(
        kzoo.predict(weighted, x).probabilities, kzoo.predict(doubled, x).probabilities, atol=1e-4
    )


def test_settings_that_do_not_suit_labels_are_refused(tmp_path):
    options = dict(target=NAMES, out=tmp_path / "r", progress=False)
    with refuses("class_weight", "classes"):
        kzoo.train("tabular_fnn", TABLE, class_weight="balanced", **options)
    with refuses("loss='hinge'", "crossentropy or focal"):
        kzoo.train("tabular_fnn", TABLE, loss="hinge", **options)
    with refuses("tanh", "output_activation='sigmoid'"):
        kzoo.train("tabular_fnn", TABLE, output_activation="tanh", **options)
    model = kzoo.build("tabular_fnn", data=kzoo.load_data(TABLE, target=NAMES))
    with refuses("unknown labels", "kzoo.train"):
        kzoo.fit_arguments(model, TABLE, target=NAMES, progress=False)
    assert not (tmp_path / "r").exists()


def test_a_saved_network_opens_without_kzoo_and_predicts_the_same(run):
    model = keras.models.load_model(run.path / "best.keras")
    x = kzoo.load_data(TABLE, target=NAMES).test.x
    np.testing.assert_allclose(
        model.predict(x, verbose=0), run.model.predict(x, verbose=0), atol=1e-6
    )


def test_exports_and_the_runtime_give_the_same_labels(run, tmp_path):
    pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    exported = kzoo.export(run, tmp_path / "e", formats="onnx")
    predictions = load(exported).predict(TABLE)
    expected = kzoo.predict(run, TABLE)
    np.testing.assert_allclose(predictions.probabilities, expected.probabilities, atol=1e-5)
    assert predictions.labels == expected.labels
    card = (exported.path / "README.md").read_text(encoding="utf-8")
    assert_mentions(
        card, "probabilities of blue, dark red, green", "test, green", "threshold", "gets no label"
    )


def test_the_report_has_each_label(run, tmp_path):
    page = kzoo.report(run, out=tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (
        "Each label",
        "average precision",
        "threshold",
        "precision and recall of each label",
        "green?",
    ):
        assert text in page


def test_runs_are_compared_and_combined(run, tmp_path):
    other = kzoo.train(
        "tabular_fnn",
        TABLE,
        target=NAMES,
        out=tmp_path / "o",
        epochs=2,
        units=(4,),
        baselines=False,
        progress=False,
    )
    difference = compare_runs(run, other, TABLE)
    low, high = difference["test"]["interval"]
    assert difference["metric"] == "f1_macro" and low <= difference["difference"] <= high
    mean = kzoo.ensemble([run, other], out=tmp_path / "m")
    (step,) = mean.postprocessing
    expected = np.mean([list(one.target.thresholds) for one in (run, other)], axis=0)
    np.testing.assert_allclose(step["learned"]["thresholds"], expected, atol=1e-6)
    p = [kzoo.predict(one, TABLE).probabilities for one in (run, other, mean)]
    np.testing.assert_allclose(p[2], (p[0] + p[1]) / 2, atol=1e-5)
    # Without data=, scores come from the stored predictions of the members, by these thresholds.
    test = kzoo.load_data(TABLE, target=NAMES).test
    scores = kzoo.evaluate(mean, TABLE.iloc[test.rows])
    for name in ("f1_macro", "average_precision_macro", "exact_match", "loss"):
        assert mean.summary["test"][name] == pytest.approx(scores[name], abs=1e-4)
    weighted = kzoo.ensemble([run, other], out=tmp_path / "w", data=TABLE, method="weighted")
    assert (
        weighted.postprocessing[0]["rows"] == "validation"
        and weighted.summary["test"]["f1_macro"] > 0
    )
    with refuses("'vote'", "mean"):
        kzoo.ensemble([run, other], out=tmp_path / "v", method="vote")


def test_a_search_and_folds_score_labels(tmp_path):
    options = dict(target=NAMES, epochs=1, progress=False)
    search = tune_here("tabular_fnn", TABLE, out=tmp_path / "s", trials=1, folds=2, **options)
    assert search.objective == ("val_f1_macro", "max") and search.best_trial().score > 0
    scores = kzoo.cross_validate(
        "tabular_fnn", TABLE, out=tmp_path / "c", folds=2, baselines=False, **options
    )
    assert "f1_macro" in scores["mean"] and scores["out_of_fold"]["answers"].shape == (300, 3)


def test_a_search_optimises_the_primary_score_by_the_thresholds_of_each_epoch(tmp_path, capsys):
    options = dict(target=NAMES, epochs=2, units=(8,), baseline=True, trials=1, engine="random")
    search = tune_here("tabular_fnn", TABLE, out=tmp_path / "s", **options)
    assert search.objective == ("val_f1_macro", "max")
    # The rows that thresholds are learned on are kept, unless the user wants all rows to be trained on.
    again = search.retrain(TABLE, out=tmp_path / "r", progress=False, baselines=False)
    assert again.summary["monitor"] == "val_f1_macro"
    score = search.best_trial().score
    assert score == pytest.approx(again.summary["best_value"], abs=1e-6)
    assert score == pytest.approx(again.summary["validation"]["f1_macro"], abs=1e-6)
    validation = kzoo.load_data(TABLE, target=NAMES).validation
    p = kzoo.predict(again, TABLE.iloc[validation.rows]).probabilities
    known = ~np.isnan(validation.y)
    f1 = [
        sk.f1_score(truth[rows], chosen[rows])
        for truth, chosen, rows in zip(
            validation.y.T, (p >= again.target.thresholds).T, known.T, strict=True
        )
    ]
    assert score == pytest.approx(np.mean(f1), abs=1e-6)
    capsys.readouterr()
    all_rows = search.retrain(TABLE, on="train+validation", out=tmp_path / "all", baselines=False)
    assert all_rows.data.validation == 0 and not all_rows.postprocessing
    assert_mentions(capsys.readouterr().err, "no validation data", "label_thresholds", "a half")


def test_the_share_of_right_labels_is_not_watched():
    """It is high for labels that are never predicted. Presets for images and texts watch the accuracy of classes."""
    texts = pd.DataFrame(
        {"text": ["a b c", "b d", "c a", "d"] * 30, "x": [1, 0, 1, 0] * 30, "y": [0, 1, 1, 0] * 30}
    )
    options = DataOptions(target=["x", "y"])
    plan = plan_training(kzoo.get_preset("text_transformer"), texts, options, {})
    assert plan.training["monitor"] == "val_loss" and notes_with(
        plan.notes, "val_accuracy", "val_loss"
    )
    wanted = plan_training(
        kzoo.get_preset("text_transformer"), texts, options, {"monitor": "val_accuracy"}
    )
    assert wanted.training["monitor"] == "val_accuracy"
    assert resolve_objective(None, plan.config, plan.training, plan.data) == ("val_f1_macro", "max")
    assert (
        resolve_objective(None, plan.config, plan.training, plan.data, requested=("metrics",))[0]
        == "val_accuracy"
    )


# Larger than memory, texts, images


def test_tables_larger_than_memory(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    TABLE.to_csv(file := tmp_path / "t.csv", index=False)
    frame_of(";".join).to_csv(tags := tmp_path / "tags.csv", index=False)
    wrong = TABLE.copy()
    wrong.loc[299, "blue"] = 2
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    data = kzoo.load_data(file, target=NAMES)
    assert data.task == "tabular_multilabel_classification" and list(data.class_names) == NAMES
    total = sum(
        np.nansum(np.asarray(part.y[:]), 0) for part in (data.train, data.validation, data.test)
    )
    np.testing.assert_array_equal(total, np.nansum(TABLE[NAMES].to_numpy(), 0))
    trained = kzoo.train(
        "tabular_fnn", file, target=NAMES, epochs=1, units=(8,), out=tmp_path / "r", progress=False
    )
    assert trained.summary["test"]["f1_macro"] is not None
    with refuses("'tags'", "larger than memory", "column of 0 and 1"):
        kzoo.load_data(tags, target="tags")


SENTENCES = {"warm": "the sun shines", "wet": "the rain falls", "loud": "a storm roars"}


def weather(rows=120):
    draw = np.random.default_rng(0)
    y = draw.random((rows, 3)) < 0.4
    names = list(SENTENCES)
    frame = pd.DataFrame(
        {
            "text": [
                ". ".join(["day", *(SENTENCES[names[k]] for k in range(3) if row[k])]) for row in y
            ]
        }
    )
    return frame, y, names


@pytest.mark.parametrize("form", ["columns", "cells", "lists"])
def test_texts_with_labels(form, tmp_path):
    frame, y, names = weather()
    if form == "columns":
        frame = frame.assign(**dict(zip(names, y.T.astype(int), strict=True)))
        target = names
    else:
        sets = [[name for name, one in zip(names, row, strict=True) if one] for row in y]
        frame = frame.assign(tags=sets if form == "lists" else list(map(";".join, sets)))
        target = "tags"
    run = kzoo.train(
        "text_ngrams", frame, target=target, out=tmp_path / "r", epochs=8, progress=False
    )
    assert (
        run.data.task == "text_multilabel_classification" and run.summary["test"]["f1_macro"] > 0.8
    )
    assert {row["name"] for row in run.summary["baselines"]} == {"most_frequent_set", "tfidf"}
    (labels,) = kzoo.predict(run, ["the sun shines. a storm roars"]).labels
    assert set(labels) == {"warm", "loud"}
    assert kzoo.evaluate(run, frame.iloc[:30])["examples"] == 30


def test_other_columns_of_texts_have_no_options():
    frame, y, names = weather()
    frame["tags"] = [";".join(np.array(names)[row]) for row in y]
    with refuses("columns=", "separator", "'text'"):
        kzoo.load_data(frame, preset="text_cnn", target="tags", columns={"text": "category"})
    data = kzoo.load_data(
        frame, preset="text_cnn", target="tags", columns={"tags": {"separator": ";"}}
    )
    assert data.outputs == 3


def test_images_as_arrays(tmp_path):
    draw = np.random.default_rng(0)
    y = (draw.random((80, 3)) < 0.4).astype(int)
    x = draw.integers(0, 60, (80, 8, 8, 1)).astype("uint8")
    for k in range(3):
        x[y[:, k] == 1, 2 * k : 2 * k + 2] += 150
    run = kzoo.train("digits_cnn", (x, y), out=tmp_path / "r", epochs=2, progress=False)
    assert run.data.task == "image_multilabel_classification" and run.summary["test"]["loss"] < 1
    assert all(isinstance(labels, tuple) for labels in kzoo.predict(run, x[:5]).labels)
    assert {row["name"] for row in run.summary["baselines"]} == {
        "most_frequent_set",
        "colors",
        "pixels",
    }


# The public names


def test_tasks_of_labels_have_names_for_each_kind_of_input():
    for name, inputs in (("tabular", "rows"), ("text", "tokens"), ("image", "image")):
        public = problem(f"{name}_multilabel_classification")
        assert public.kind == kind(inputs).name and public.hub == f"{name}-classification"
        assert "labels" in public.facts and public.headline == "f1_macro"


@pytest.mark.parametrize("preset", ["text_ngrams", "cifar_speed", "tabular_fnn"])
def test_a_network_starts_from_the_shares_of_the_labels(preset):
    random = np.random.default_rng(0)
    y = (random.random((60, 3)) < (0.05, 0.3, 0.6)).astype(int)
    y[0] = 1
    if preset == "text_ngrams":
        words = [" ".join(random.choice(["good", "bad", "slow", "fast"], 6)) for _ in y]
        source = pd.DataFrame(
            {
                "text": words,
                "tags": [[n for n, v in zip("abc", row, strict=True) if v] for row in y],
            }
        )
        data = kzoo.load_data(source, target="tags", preset=preset)
    else:
        x = 255 * random.random((60, 32, 32, 3) if preset == "cifar_speed" else (60, 4)).astype(
            "float32"
        )
        data = kzoo.load_data((x, y), task="labels", preset=preset)
    # notes about adapted settings
    with warnings.catch_warnings(action="ignore", category=KzooWarning):
        model = kzoo.build(preset, data=data)
    if preset == "text_ngrams":  # the bias alone: all token vectors are zero
        p = model.predict(data.train.x[:4], verbose=0)
    else:
        last = model.get_layer("outputs")
        scale = model.get_layer("output_scaling").scale if preset == "cifar_speed" else 1.0
        p = 1 / (1 + np.exp(-np.atleast_2d(last.get_weights()[1]) * scale))
    np.testing.assert_allclose(
        p, np.broadcast_to(np.asarray(data.train.y).mean(axis=0), p.shape), rtol=1e-3
    )
