"""Row weights from a column of a table: not an input, in training, scores and baselines; both scores are shown."""

import json

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses, warns
from sklearn import metrics as sk

import kzoo
from kzoo.cli import main
from kzoo.data.splits import Fold
from kzoo.reports.scores import baseline_rows, primary_score, score_rows

pytestmark = pytest.mark.usefixtures("untraced")

N = 160
PLAIN = dict(
    units=(8,),
    dropout=0.0,
    optimizer="sgd",
    learning_rate=0.05,
    schedule="constant",
    warmup=0.0,
    ema=0.0,
    min_steps=0,
    epochs=4,
    progress=False,
    baselines=False,
    check=False,
    validation=0,
    test=0,
    weight_decay=0.0,
    loss="auto",
)


def table(rows=N, seed=0):
    draw = np.random.default_rng(seed)
    a = draw.normal(size=rows)
    frame = pd.DataFrame(
        {"a": a, "b": draw.normal(size=rows), "kind": draw.choice(list("xyz"), rows)}
    )
    frame["w"] = draw.integers(0, 4, rows).astype("float64")
    frame["value"] = 2 * a + draw.normal(size=rows)
    frame["y"] = np.where(a + 0.7 * draw.normal(size=rows) > 0, "yes", "no")
    return frame


def classes(**columns):
    return table().drop(columns="value").assign(**columns)


def test_a_column_of_weights_is_no_input_and_weighs_each_split():
    frame = classes()
    data = kzoo.load_data(frame, target="y", sample_weight="w")
    assert data.feature_names == ("a", "b", "kind")
    assert data.train.weight.mean() == pytest.approx(1, abs=1e-6)
    scale = frame["w"].to_numpy()[data.train.rows].mean()
    for part in (data.train, data.validation, data.test):
        assert np.allclose(part.weight * scale, frame["w"].to_numpy()[part.rows])
    assert {"name": "w", "kind": "weight"}.items() <= data.overview["columns"][3].items()
    assert notes_with(data.notes, "column 'w'", "mean 1")
    assert data.loaded["options"]["sample_weight"] == "w"
    assert "sample_weight" not in kzoo.load_data(frame, target="y").loaded["options"]


def test_rows_of_weight_0_are_left_out_of_the_training_split_only():
    frame = classes()
    plain, data = (
        kzoo.load_data(frame, target="y", drop="w", **more) for more in ({}, {"sample_weight": "w"})
    )
    zero = frame["w"].to_numpy() == 0
    assert np.array_equal(data.train.rows, plain.train.rows[~zero[plain.train.rows]])
    assert np.array_equal(data.test.rows, plain.test.rows) and (data.test.weight == 0).any()
    # Nothing is learned from them: neither scales, nor categories.
    odd = frame.assign(a=frame["a"].where(~zero, 1e6), kind=frame["kind"].where(~zero, "other"))
    odd.loc[data.test.rows, ["a", "kind"]] = frame.loc[data.test.rows, ["a", "kind"]]
    odd.loc[data.validation.rows, ["a", "kind"]] = frame.loc[data.validation.rows, ["a", "kind"]]
    other = kzoo.load_data(odd, target="y", sample_weight="w")
    assert other.preprocessing == data.preprocessing
    assert other.config == data.config


@pytest.mark.parametrize(
    ("preset", "target"),
    [
        ("tabular_fnn", "y"),
        ("tabular_fnn", "value"),
        ("tabular_tabm", "y"),
        ("tabular_tabm", "value"),
    ],
)
def test_a_row_of_weight_2_equals_the_row_twice(preset, target, tmp_path):
    """In one full batch, without dropout and batch normalisation; inputs and targets are scaled with weights too.

    Without clipping: TensorFlow clips the gradient of an embedding by a norm that depends on how often a row occurs.
    """
    frame = table()[["a", "b", "kind", "w", target]]
    settings = PLAIN | (dict(bins=0, members=2) if preset == "tabular_tabm" else dict(norm=None))
    settings |= dict(global_clipnorm=None)
    weighted = kzoo.train(
        preset,
        frame,
        target=target,
        sample_weight="w",
        out=tmp_path / "w",
        batch_size=N,
        **settings,
    )
    twice = frame.loc[np.repeat(np.arange(N), frame["w"].astype(int))].drop(columns="w")
    repeated = kzoo.train(
        preset, twice, target=target, out=tmp_path / "r", batch_size=len(twice), **settings
    )
    answers = [kzoo.predict(run, frame.drop(columns=[target, "w"])) for run in (weighted, repeated)]
    first, second = (a.values if a.probabilities is None else a.probabilities for a in answers)
    assert np.abs(first - second).max() < 1e-5 * max(1, np.abs(second).max())
    assert weighted.history["loss"] == pytest.approx(repeated.history["loss"], rel=1e-5)


@pytest.mark.parametrize(("target", "names"), [("y", ["majority"]), ("value", ["mean", "ridge"])])
def test_baselines_of_weighted_rows_equal_those_of_repeated_rows(target, names):
    frame = table()[["a", "b", "w", target]]
    twice = frame.loc[np.repeat(np.arange(N), frame["w"].astype(int))].drop(columns="w")
    options = dict(target=target, validation=0, test=frame)
    weighted, repeated = (
        kzoo.baselines.score(kzoo.load_data(data, **options, **more), names=names)
        for data, more in ((frame, {"sample_weight": "w"}), (twice, {}))
    )
    for first, second in zip(weighted, repeated, strict=True):
        for score in ("accuracy", "auc", "loss", "mae", "rmse", "r2"):
            one = first.scores["unweighted"].get(score)
            other = second.scores.get(score)
            assert one == (None if other is None else pytest.approx(other, rel=1e-5)), (
                first.name,
                score,
            )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    settings = dict(epochs=2, min_steps=0, progress=False)
    return kzoo.train(
        "tabular_fnn", classes(), target="y", sample_weight="w", out=folder / "run", **settings
    )


def test_scores_are_shown_weighted_and_unweighted_as_scikit_learn_computes_them(run):
    data = kzoo.load_data(classes(), target="y", sample_weight="w")
    stored = run.answers
    p = stored["answers"]
    guess = stored["answers"].argmax(1)
    truth = stored["truth"]
    scores = run.summary["test"]
    for values, weight in ((scores, data.test.weight), (scores["unweighted"], None)):
        assert values["accuracy"] == pytest.approx(
            sk.accuracy_score(truth, guess, sample_weight=weight)
        )
        assert values["f1"] == pytest.approx(
            sk.f1_score(truth, guess, average="macro", sample_weight=weight)
        )
        assert values["auc"] == pytest.approx(
            sk.roc_auc_score(truth, p[:, 1], sample_weight=weight)
        )
        assert values["loss"] == pytest.approx(
            sk.log_loss(truth, p, sample_weight=weight), rel=1e-5
        )
    assert scores["accuracy"] != scores["unweighted"]["accuracy"]
    trees = next(row for row in run.summary["baselines"] if row["name"] == "logistic")
    assert trees["scores"]["accuracy"] != trees["scores"]["unweighted"]["accuracy"]


def test_reports_have_both_scores_and_a_sentence_about_whole_rows(run):
    scores = run.summary["test"]
    table_of_scores = score_rows(run, {"test": scores})
    assert table_of_scores["columns"] == ["test, weighted", "test, unweighted"]
    head = primary_score(scores, run, "test ")
    assert head["label"].endswith(", weighted") and head["sentence"].startswith(
        "Without the row weights: "
    )
    right = round(scores["unweighted"]["accuracy"] * scores["examples"])
    assert f"predicts {right} of {scores['examples']}" in head["sentence"]
    assert len(baseline_rows(run.summary)["columns"]) == 3


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_new_rows_have_both_scores_and_may_lack_the_column(run):
    new = classes().head(60)
    both = kzoo.evaluate(run, new)
    with warns("'w'", "count equally"):
        plain = kzoo.evaluate(run, new.drop(columns="w"))
    assert both["unweighted"] == plain and "unweighted" not in plain
    truth = (new["y"] == "yes").to_numpy()
    weight = new["w"]
    guess = kzoo.predict(run, new).probabilities.argmax(1)
    assert both["accuracy"] == pytest.approx(sk.accuracy_score(truth, guess, sample_weight=weight))
    pair = new.drop(columns=["y", "w"]), new["y"], weight
    assert kzoo.evaluate(run, pair) == both
    assert kzoo.predict(run, new).labels == kzoo.predict(run, new.drop(columns=["y", "w"])).labels
    for bad, parts in ((-1, ("row 3", "-1")), (np.nan, ("row 3", "no weight"))):
        with refuses("'w'", *parts):
            kzoo.evaluate(run, new.assign(w=np.where(np.arange(60) == 2, bad, new["w"])))
    with refuses("0", "nothing to score", "positive"):
        kzoo.evaluate(run, new.assign(w=0))


def test_the_command_line_shows_both(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes().to_csv("t.csv", index=False)
    arguments = (
        "train tabular_fnn --data t.csv --target y --sample-weight w --epochs 1 --out run --quiet"
    )
    assert main(arguments.split()) == 0
    shown = capsys.readouterr().out
    assert (
        "test, weighted" in shown
        and "test, unweighted" in shown
        and "baselines, unweighted" in shown
    )
    run = kzoo.Run("run")
    assert "--sample-weight w" in run.config["command"]
    assert main(["evaluate", "run", "--data", "t.csv", "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out)["scores"]["unweighted"]
        == run.summary["test"]["unweighted"]
    )


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        (-0.5, ("row 5", "-0.5", "0 or more")),
        (np.nan, ("row 5", "no weight")),
        (np.inf, ("row 5", "inf")),
        ("heavy", ("row 5", "'heavy'")),
    ],
)
def test_invalid_weights_name_the_row(cell, parts):
    weight = classes()["w"].astype(object)
    weight[4] = cell
    with refuses("sample_weight='w'", *parts):
        kzoo.load_data(classes(w=weight), target="y", sample_weight="w")


def test_weights_that_leave_nothing_are_refused():
    with refuses("0", "training", "positive"):
        kzoo.load_data(classes(w=0.0), target="y", sample_weight="w")
    with refuses("class 'yes'", "0", "positive"):
        kzoo.load_data(
            classes(w=(classes()["y"] == "no").astype(float)), target="y", sample_weight="w"
        )
    with refuses("0", "test rows", "positive"):
        kzoo.load_data(classes(), target="y", sample_weight="w", test=classes(w=0.0))


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(sample_weight="weights"), ("'weights'", "not in the table")),
        (dict(sample_weight="y"), ("sample_weight='y'", "target")),
        (dict(sample_weight=np.ones(3)), ("sample_weight", "160", "(3,)")),
        (dict(sample_weight=classes()), ("sample_weight", "DataFrame")),
        (dict(sample_weight=3), ("sample_weight", "160")),
        (dict(sample_weight="w", time="a"), ("time='a'", "split='time'")),
    ],
)
def test_options_that_do_not_fit_a_table_are_refused(options, parts):
    with refuses(*parts):
        kzoo.load_data(classes(), target="y", preset="tabular_fnn", **options)


def test_weights_of_a_frame_may_be_an_array_or_the_third_of_a_triple():
    frame = classes()
    x = frame[["a", "b", "kind"]]
    y = frame["y"]
    weight = frame["w"]
    named = kzoo.load_data(frame, target="y", sample_weight="w")
    triple = kzoo.load_data((x, y, weight))
    array = kzoo.load_data(x.assign(y=y), target="y", sample_weight=weight.to_numpy())
    same = kzoo.load_data(frame, target="y", sample_weight=frame["w"])
    for data in (triple, array, same):
        assert data.feature_names == named.feature_names
        assert np.array_equal(data.train.weight, named.train.weight)
    assert same.fingerprint == named.fingerprint
    both = kzoo.load_data((x, y, weight), test=(x, y, weight), validation=(x, y))
    assert both.validation.weight is None and both.test.weight is not None
    with refuses("(x, y, weight)", "sample_weight"):
        kzoo.load_data((x, y, weight), sample_weight=weight)
    with refuses("test", "(x, y, weight)"):
        kzoo.load_data((x, y), test=(x, y, weight))


def test_weights_of_arrays_may_be_an_option():
    frame = table()
    x = frame[["a", "b"]].to_numpy()
    y = frame["value"].to_numpy()
    weight = frame["w"].to_numpy()
    triple = kzoo.load_data((x, y, weight))
    option = kzoo.load_data((x, y), sample_weight=weight)
    assert option.fingerprint == triple.fingerprint and np.array_equal(
        option.train.weight, triple.train.weight
    )
    assert len(option.train) < len(kzoo.load_data((x, y)).train)
    with refuses("'w'", "column", "array"):
        kzoo.load_data((x, y), sample_weight="w")


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("digits", ("sample_weight", "'digits'", "not a table")),
        ("sine", ("sample_weight", "'sine'")),
    ],
)
def test_other_sources_refuse_a_column(source, parts):
    with refuses(*parts):
        kzoo.load_data(source, sample_weight="w")


def test_a_series_refuses_weights():
    frame = pd.DataFrame(
        {"when": pd.date_range("2024", periods=90), "load": np.arange(90.0), "w": 1.0}
    )
    with refuses("sample_weight='w'", "not available", "series"):
        kzoo.load_data(frame, time="when", target="load", sample_weight="w")


def test_texts_of_a_table_have_weights(tmp_path):
    draw = np.random.default_rng(0)
    words = np.array(["good", "bad", "fine", "poor", "great", "awful"])
    frame = pd.DataFrame(
        {"text": [" ".join(draw.choice(words, 5)) for _ in range(80)], "w": draw.integers(0, 3, 80)}
    )
    frame["label"] = np.where(frame["text"].str.contains("good"), "up", "down")
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = dict(preset="text_cnn", target="label", sample_weight="w")
    data = kzoo.load_data(tmp_path / "t.csv", **options)
    weight = frame["w"].to_numpy()
    assert (weight[data.train.rows] > 0).all()
    assert np.allclose(data.test.weight * weight[data.train.rows].mean(), weight[data.test.rows])
    assert data.train.weight.mean() == pytest.approx(1, abs=1e-6)
    fold = kzoo.load_data(tmp_path / "t.csv", **options, test=Fold(0, 4))
    assert len(fold.test) == 20 and fold.test.weight is not None
    frame.assign(w=2).to_csv(tmp_path / "later.csv", index=False)
    second = kzoo.load_data(tmp_path / "t.csv", **options, test=tmp_path / "later.csv")
    # on the scale of the training rows
    assert np.allclose(second.test.weight, 2 / weight[second.train.rows].mean())
    frame.assign(w=0).to_csv(tmp_path / "nothing.csv", index=False)
    with refuses("0 for all test rows", "sample_weight=", "positive"):
        kzoo.load_data(tmp_path / "t.csv", **options, test=tmp_path / "nothing.csv")


def test_balanced_class_weights_count_the_weights_of_rows(tmp_path):
    frame = table()[["a", "b", "w", "y"]]
    twice = frame.loc[np.repeat(np.arange(N), frame["w"].astype(int))].drop(columns="w")
    settings = PLAIN | dict(norm=None, class_weight="balanced", target="y")
    weighted = kzoo.train(
        "tabular_fnn", frame, sample_weight="w", out=tmp_path / "w", batch_size=N, **settings
    )
    repeated = kzoo.train(
        "tabular_fnn", twice, out=tmp_path / "r", batch_size=len(twice), **settings
    )
    assert weighted.history["loss"] == pytest.approx(repeated.history["loss"], rel=1e-4)


def test_folds_of_a_search_do_not_train_on_rows_of_weight_0():
    from kzoo.data.store.pooled import with_all_rows
    from kzoo.tuning.folds import fold_of

    data = kzoo.load_data(classes(), target="y", sample_weight="w")
    assert (fold_of(data, 0, 3, 0).train.weight > 0).all()
    assert (with_all_rows(data).train.weight > 0).all()


def test_a_model_without_a_run_is_scored_on_all_rows():
    import keras

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    frame = table()
    x = frame[["a", "b"]].to_numpy("float32")
    y = frame["value"].to_numpy("float32")
    weight = frame["w"].to_numpy()
    scores = kzoo.evaluate(model, (x, y, weight))
    plain = kzoo.evaluate(model, (x, y))
    assert scores["unweighted"] == plain and plain["examples"] == N
    answers = model.predict(x, verbose=0)[:, 0]
    assert scores["mae"] == pytest.approx(
        sk.mean_absolute_error(y, answers, sample_weight=weight), rel=1e-5
    )


@pytest.mark.parametrize("inputs", ["rows", "texts"])
@pytest.mark.parametrize(
    ("weight", "parts"), [(0, ["0 for all rows"]), (-2, ["'w'", "row 1", "-2"]), (None, ["'w'"])]
)
def test_a_check_of_new_data_refuses_its_weights_as_training_does(
    inputs, weight, parts, tmp_path, capsys
):
    frame = classes(w=1.0).iloc[:60]
    if inputs == "texts":
        frame = frame.assign(
            text=[f"the word {row} of {kind}" for row, kind in enumerate(frame["kind"])]
        )
        frame = frame[["text", "w", "y"]]
    preset, more = (
        ("tabular_fnn", PLAIN)
        if inputs == "rows"
        else ("text_ngrams", {"epochs": 1, "progress": False})
    )
    run = kzoo.train(preset, frame, target="y", sample_weight="w", out=tmp_path / "run", **more)
    kzoo.check(run, frame)
    bad = frame.assign(w=np.nan if weight is None else weight)
    with refuses(*parts):
        kzoo.check(run, bad)
    with refuses(*parts):
        kzoo.evaluate(run, bad)
    bad.to_csv(tmp_path / "bad.csv", index=False)
    assert main(["check", str(tmp_path / "run"), "--data", str(tmp_path / "bad.csv")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert all(part in line for part in parts)
