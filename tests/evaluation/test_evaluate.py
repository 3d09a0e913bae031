"""Scores: equal to those of scikit-learn, on new data of every kind, and refused where they would mislead."""

import json

import keras
import library
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns
from scipy import stats
from sklearn import datasets, metrics
from trained import draw, fit, shops, waves

import kzoo
from kzoo.cli import main

# conftest.py's runs, each trained once for both files; a pass over some rows takes less time than to trace it
pytestmark = [pytest.mark.xdist_group("small runs"), pytest.mark.usefixtures("untraced")]


def test_classes_are_scored_as_scikit_learn_does(iris_run):
    data = kzoo.load_data("iris", preset="iris_fnn")
    model = keras.saving.load_model(iris_run.path / "best.keras", compile=False)
    p = model.predict(data.test.x, verbose=0)
    truth = data.test.y
    scores = kzoo.evaluate(iris_run)
    assert (
        scores
        == kzoo.evaluate(str(iris_run.path))
        == kzoo.evaluate(iris_run, data)
        == iris_run.summary["test"]
    )
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(truth, p.argmax(1)))
    assert scores["f1"] == pytest.approx(metrics.f1_score(truth, p.argmax(1), average="macro"))
    assert scores["auc"] == pytest.approx(metrics.roc_auc_score(truth, p, multi_class="ovr"))
    assert scores["loss"] == pytest.approx(metrics.log_loss(truth, p), rel=1e-4)
    low, high = scores["accuracy_interval"]
    assert low < scores["accuracy"] < high or scores["accuracy"] in (0, 1)
    assert (scores["majority"], scores["examples"]) == (pytest.approx(1 / 3), 30)


def test_the_accuracy_interval_is_that_of_wilson():
    from scipy.stats import binomtest

    from kzoo.inference.tasks.wilson import wilson

    # 81 of 263: the example of Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<857
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert all(wilson(0, n)[0] == 0 and wilson(n, n)[1] == 1 for n in range(1, 100))
    for n in (1, 2, 7, 360, 10_000_019):
        for right in {0, 1, n // 3, n - 1, n}:
            expected = binomtest(right, n).proportion_ci(method="wilson")
            assert wilson(right, n) == pytest.approx((expected.low, expected.high), rel=1e-14)


def test_regression_is_scored_in_the_unit_of_the_target(diabetes_run):
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    values = kzoo.predict(diabetes_run, data.test.x).values
    scores = kzoo.evaluate(diabetes_run)
    assert scores["mae"] == pytest.approx(
        metrics.mean_absolute_error(data.test.y, values), rel=1e-5
    )
    assert scores["rmse"] == pytest.approx(
        metrics.mean_squared_error(data.test.y, values) ** 0.5, rel=1e-5
    )
    assert scores["r2"] == pytest.approx(metrics.r2_score(data.test.y, values), abs=1e-5)
    scale = data.train.y.std()
    assert scores["mse_standardised"] == pytest.approx((scores["rmse"] / scale) ** 2, rel=1e-4)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_split_of_the_training_set_can_be_scored(iris_run, split):
    data = kzoo.load_data("iris", preset="iris_fnn")
    part = getattr(data, split)
    answers = kzoo.predict(iris_run, part.x).labels
    truth = np.array(data.class_names)[part.y]
    assert kzoo.evaluate(iris_run, split=split)["accuracy"] == pytest.approx(
        (np.array(answers) == truth).mean()
    )


def test_new_tables_are_scored(table_run, tmp_path):
    new = shops(50, seed=7).assign(extra=1)
    new.to_csv(tmp_path / "new.csv", index=False)
    share = (np.array(kzoo.predict(table_run, new).labels) == new["open"]).mean()
    renamed = new.rename(columns={"open": "opened"})
    for scores in (
        kzoo.evaluate(table_run, tmp_path / "new.csv"),
        kzoo.evaluate(table_run, new),
        kzoo.evaluate(table_run, renamed, target="opened"),
    ):
        assert scores["accuracy"] == pytest.approx(share) and scores["examples"] == 50
    # one class alone is no reason to fail
    only = kzoo.evaluate(table_run, new[new["open"] == "no"])
    assert only["auc"] is None and only["majority"] == 1


def test_the_file_of_the_training_is_split_as_in_training(
    table_run, image_run, text_run, series_run, language_run, sources, tmp_path, recwarn
):
    """Scores of the whole file would be mostly scores of training rows."""
    for run, name in (
        (table_run, "shops.csv"),
        (image_run, "photos"),
        (text_run, "texts"),
        (series_run, "waves.csv"),
        (language_run, "book.txt"),
    ):
        assert kzoo.evaluate(run, sources / name) == run.summary["test"], name
    frame = pd.read_csv(sources / "shops.csv")
    for target in (None, "open"):
        assert kzoo.evaluate(table_run, frame, target=target) == table_run.summary["test"]
    assert (
        kzoo.evaluate(table_run, sources / "shops.csv", split="train")["examples"]
        == table_run.data.train
    )
    assert not recwarn
    # Fewer rows, or a file of another name, count as new data; other rows in a file of the same name get a warning.
    assert kzoo.evaluate(table_run, frame[:60])["examples"] == 60 and not recwarn
    with refuses("split='train'", "Dataset"):
        kzoo.evaluate(table_run, frame[:60], split="train")
    pd.concat([frame, shops(30, seed=7)]).to_csv(tmp_path / "shops.csv", index=False)
    with warns("shops.csv", str(table_run.path)):
        assert kzoo.evaluate(table_run, tmp_path / "shops.csv")["examples"] == 150


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_the_arrays_of_the_training_are_split_as_in_training(tmp_path):
    x, y = datasets.load_iris(return_X_y=True)
    np.savez(tmp_path / "iris.npz", x=x, y=y)
    for source in ((x, y), tmp_path / "iris.npz"):
        run = fit("iris_fnn", source, tmp_path / str(len(str(source))), units=(8,), epochs=2)
        assert (
            kzoo.evaluate(run, source) == run.summary["test"]
            and run.summary["test"]["examples"] < 150
        )
        assert kzoo.evaluate(run, (x[::-1], y[::-1]))["examples"] == 150


def test_a_pair_of_table_and_targets_is_matched_by_column_names(table_run):
    new = shops(50, seed=7)
    pair = new[["town", "size"]], new["open"]
    assert kzoo.evaluate(table_run, pair) == kzoo.evaluate(table_run, new)
    assert kzoo.check(table_run, pair) == kzoo.check(table_run, new)
    data = kzoo.load_data(pair, test=(new[["size", "town"]], new["open"].tolist()))
    assert (len(data.test), data.test.x.tolist()) == (
        50,
        kzoo.load_data(pair, test=new).test.x.tolist(),
    )
    several = kzoo.load_data((new[["town"]], new[["size"]].assign(twice=2 * new["size"])))
    assert several.target_names == ("size", "twice") and several.train.y.shape[1] == 2
    with refuses("x", "50", "y", "49"):
        kzoo.load_data((new[["town"]], new["size"][1:]))
    one_hot = pd.get_dummies(pd.cut(new["size"], 3, labels=["low", "middle", "high"]))
    assert notes_with(
        kzoo.load_data((new[["town"]], one_hot)).notes, "exactly one", "y.idxmax(axis=1)"
    )


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_evaluate_refuses_targets_that_do_not_fit_the_run(diabetes_run, table_run, series_run):
    x, y = datasets.load_diabetes(return_X_y=True)
    with refuses("2", "values", "1"):
        kzoo.evaluate(diabetes_run, (x, np.stack([y, y], axis=1)))
    for run, data, target, parts in (
        (diabetes_run, None, "age", ("tables",)),
        (diabetes_run, kzoo.load_data("diabetes", preset="diabetes_fnn"), "age", ("tables",)),
        (table_run, shops(30), ["open", "town"], (str(table_run.path), "'open'")),
        (series_run, waves(100), "b", (str(series_run.path), "'a', 'b'")),
    ):
        with refuses(f"target={target!r}") as caught:
            kzoo.evaluate(run, data, target=target)
        assert_mentions(str(caught.value).replace(f"target={target!r}", ""), *parts)


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_new_arrays_and_npz_files_are_scored(iris_run, tmp_path):
    x, y = datasets.load_iris(return_X_y=True)
    names = np.array(iris_run.class_names)[y]
    np.savez(tmp_path / "new.npz", x=x, y=names)
    scores = kzoo.evaluate(iris_run, (x, names))
    assert scores["examples"] == 150 and scores == kzoo.evaluate(
        iris_run, str(tmp_path / "new.npz")
    )
    assert scores["accuracy"] == pytest.approx(
        (np.array(kzoo.predict(iris_run, x).labels) == names).mean()
    )


def test_new_images_are_scored(image_run, tmp_path):
    draw(tmp_path / "new", {"dark": 40, "light": 210}, 4, size=(30, 30))
    scores = kzoo.evaluate(image_run, tmp_path / "new")
    answers = kzoo.predict(
        image_run, [*(tmp_path / "new" / "dark").iterdir(), *(tmp_path / "new" / "light").iterdir()]
    )
    right = np.array(answers.labels) == ["dark"] * 4 + ["light"] * 4
    assert scores["examples"] == 8 and scores["accuracy"] == pytest.approx(right.mean())
    draw(tmp_path / "new", {".ipynb_checkpoints": 40}, 1)  # which training skips, too
    assert kzoo.evaluate(image_run, tmp_path / "new") == scores
    for name in ("dark/a.heic", "light/b.heic"):
        (tmp_path / "new" / name).write_bytes(b"of a phone")
    with warns("2 .heic", "jpg jpeg"):
        assert kzoo.evaluate(image_run, tmp_path / "new") == scores
    (tmp_path / "new" / "dark" / "0.png").rename(tmp_path / "new" / "loose.png")
    (tmp_path / "new" / "dark" / "a.heic").unlink()
    (tmp_path / "new" / "light" / "b.heic").unlink()
    with warns("1 image", "loose.png"):
        assert kzoo.evaluate(image_run, tmp_path / "new")["examples"] == 7


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_new_texts_series_and_books_are_scored(
    text_run, series_run, language_run, sources, tmp_path
):
    rows = [
        ("the goal of the match", "sport"),
        ("bread and soup", "food"),
        ("a judge in court", "law"),
    ]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    labels = kzoo.predict(text_run, frame["text"].tolist()).labels
    scores = kzoo.evaluate(text_run, frame, target="label")
    assert scores["accuracy"] == pytest.approx((np.array(labels) == frame["label"]).mean())
    whole = library.copied(sources / "texts", tmp_path / "more")
    assert kzoo.evaluate(text_run, whole)["examples"] == 90
    holes = pd.concat(
        [frame, pd.DataFrame({"text": [None, " ", "the team"], "label": ["law", "law", None]})]
    )
    with warns("3 rows", "text", "label"):
        assert kzoo.evaluate(text_run, holes, target="label") == scores
    strange = pd.concat([holes, pd.DataFrame({"text": ["qwrt"], "label": ["law"]})])
    with warns("1 of 4 texts", "row 7"):
        assert kzoo.evaluate(text_run, strange, target="label")["examples"] == 4
    with warns("3 rows", "text", "label"), refuses("row", "text", "'label'"):
        kzoo.evaluate(text_run, holes.iloc[3:], target="label")

    frame = waves(60)
    frame.to_csv(tmp_path / "new.csv", index=False)
    scores = kzoo.evaluate(series_run, tmp_path / "new.csv")
    windows = np.stack([frame.to_numpy()[i : i + 8] for i in range(50)]).astype("float32")
    truth = np.stack([frame.to_numpy()[i + 8 : i + 11] for i in range(50)])
    error = kzoo.predict(series_run, windows).values - truth
    assert (scores["examples"], scores["mae"]) == (
        50,
        pytest.approx(np.abs(error).mean(), rel=1e-4),
    )

    frame.loc[58:, "a"] = np.nan
    with warns("2 windows", "missing"):
        scores = kzoo.evaluate(series_run, frame)
    assert (scores["examples"], scores["mae"]) == (
        48,
        pytest.approx(np.abs(error[:48]).mean(), rel=1e-4),
    )

    scores = kzoo.evaluate(language_run, sources / "book.txt")
    assert scores["bits_per_token"] == pytest.approx(scores["loss"] / np.log(2))
    assert scores["perplexity"] == pytest.approx(np.exp(scores["loss"]))


def test_a_model_without_a_run_is_scored(iris_run):
    data = kzoo.load_data("iris", preset="iris_fnn")
    assert kzoo.evaluate(iris_run.model, data) == kzoo.evaluate(iris_run)
    assert kzoo.evaluate(kzoo.build("iris_fnn"), "iris")["examples"] == 30


def test_logits_are_logits_whatever_their_values():
    """A logit of 0.3 means class 1; read as a probability it would mean class 0."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    x = np.linspace(0.1, 0.4, 30, dtype="float32")[:, None]
    data = kzoo.load_data((x, np.arange(30) % 2), task="classification")
    scores = kzoo.evaluate(model, data)
    p = 1 / (1 + np.exp(-data.test.x[:, 0]))
    assert scores["accuracy"] == (data.test.y == 1).mean()
    assert scores["loss"] == pytest.approx(metrics.log_loss(data.test.y, p), rel=1e-5)


def test_the_run_stores_the_options_of_a_named_set(tmp_path):
    target = "petal width (cm)"
    options = dict(
        epochs=1, units=(4,), callbacks="quick", progress=False, test=0.3, validation=0.2
    )
    run = kzoo.train("tabular_fnn", "iris", out="run", target=target, drop=["target"], **options)
    assert kzoo.evaluate(run) == run.summary["test"] and run.summary["test"]["examples"] == 45
    assert "--test 0.3" in run.config["command"] and "--validation 0.2" in run.config["command"]


def test_the_run_stores_the_options_of_a_loaded_data_set(tmp_path):
    data = kzoo.load_data("iris", validation=0.3, test=0.4, seed=5)
    run = kzoo.train(
        "iris_fnn", data, out=tmp_path / "run", epochs=1, callbacks="quick", progress=False
    )
    assert (
        kzoo.evaluate(kzoo.Run(run.path)) == run.summary["test"]
        and run.summary["test"]["examples"] == 60
    )


@pytest.mark.parametrize(
    "options", [dict(test=np.float32(0.4)), dict(validation=np.float32(0.3), drop=np.array([]))]
)
def test_numpy_options_are_stored_as_plain_values(tmp_path, options):
    data = kzoo.load_data("iris", seed=np.int64(5), **options)
    run = kzoo.train(
        "iris_fnn", data, out=tmp_path / "run", epochs=1, callbacks="quick", progress=False
    )
    assert kzoo.evaluate(kzoo.Run(run.path)) == run.summary["test"]


def test_a_separate_test_source_is_not_stored_among_the_options():
    x = np.arange(300.0).reshape(100, 3)
    data = kzoo.load_data((x, np.arange(100) % 2), test=(x[::5], np.arange(20) % 2))
    assert json.loads(json.dumps(data.loaded))["options"]["test"] is None and len(data.test) == 20


def test_evaluate_refuses_what_cannot_be_scored(
    iris_run, table_run, image_run, language_run, text_run, tmp_path
):
    draw(tmp_path / "new", {"dark": 40, "green": 90}, 2)
    unknown = shops(20).assign(open="maybe")
    (tmp_path / "short.txt").write_text("to")
    for run, options, parts in (
        (iris_run, dict(split="tset"), ("split='tset'", "train", "validation", "test")),
        (table_run, {}, ("'shops.csv'", "data=")),
        (table_run, dict(data=unknown), ("'maybe'", "class")),
        (table_run, dict(data=shops(20), target="opne"), ("'opne'", "'open'", "size, town, open")),
        (table_run, dict(data=shops(20).drop(columns="size")), ("'size'", "town, open")),
        (table_run, dict(data=shops(20).assign(open=np.nan)), ("target", "open")),
        (table_run, dict(data="nowhere.csv"), ("'nowhere.csv'",)),
        (iris_run, dict(data="wine"), ("wine", str(iris_run.path))),
        (iris_run, dict(data=kzoo.load_data("wine")), ("wine", str(iris_run.path))),
        (iris_run, dict(data=(np.ones((3, 5)), [0, 1, 2])), ("5 columns", "4")),
        (iris_run, dict(data=(np.ones((3, 4)), [0, 1])), ("x", "3", "y", "2")),
        (image_run, dict(data=tmp_path / "new"), ("'green'", "class")),
        (language_run, dict(data=tmp_path / "short.txt"), ("2 tokens", "11")),
        (text_run, dict(data=tmp_path / "short.txt"), ("labels", ".csv")),
        (tmp_path, {}, (str(tmp_path), "config.json")),
        (kzoo.build("iris_fnn"), {}, ("data=",)),
        (3, {}, ("3", "run", "keras.Model")),
    ):
        with refuses(*parts) as caught:
            kzoo.evaluate(run, **options)
        assert "\n" not in str(caught.value)


def customers(n=400, seed=3):
    """A table whose target cannot be predicted in the north, with a column that is not an input."""
    random = np.random.default_rng(seed)
    frame = shops(n, seed).assign(
        region=random.choice(["north", "south", "west"], n, p=[0.5, 0.48, 0.02])
    )
    frame["age"] = random.integers(20, 80, n).astype(float)
    frame.loc[::40, "age"] = np.nan
    north = frame["region"] == "north"
    frame.loc[north, "open"] = random.choice(["yes", "no"], int(north.sum()))
    return frame


def test_subgroups_by_a_column_that_is_not_an_input(tmp_path, capsys):
    settings = dict(target="open", units=(8,), epochs=20, learning_rate=0.03)
    table_run = fit("tabular_fnn", shops(300), tmp_path / "learned", **settings)
    frame = customers()
    frame.to_csv(tmp_path / "new.csv", index=False)
    scores = kzoo.evaluate(table_run, tmp_path / "new.csv", by="region")
    by = scores["by"]
    assert (by["column"], by["of"]) == ("region", "accuracy")
    assert by["baselines"] == ["majority", "accuracy_default"]
    assert {name: group["examples"] for name, group in by["groups"].items()} == dict(
        frame["region"].value_counts()
    )
    predicted = np.array(kzoo.predict(table_run, frame).labels)
    for name in ("north", "south"):
        rows = (frame["region"] == name).to_numpy()
        group = by["groups"][name]
        right = predicted == frame["open"].to_numpy()
        interval = stats.binomtest(int(right[rows].sum()), int(rows.sum())).proportion_ci(
            method="wilson"
        )
        assert group["mean"] == group["scores"]["accuracy"] == pytest.approx(right[rows].mean())
        assert group["interval"] == pytest.approx([interval.low, interval.high])
        assert group["difference"] == pytest.approx(right[rows].mean() - right[~rows].mean())
    assert (by["groups"]["north"]["verdict"], by["groups"]["south"]["verdict"]) == (
        "worse",
        "better",
    )
    assert by["groups"]["west"] == {"examples": int((frame["region"] == "west").sum())}  # too few
    overall = {name: score for name, score in scores.items() if name != "by"}
    assert overall == kzoo.evaluate(table_run, frame)
    assert kzoo.evaluate(table_run, frame, by="region")["by"] == by
    assert (
        main(
            ["evaluate", str(table_run.path), "--data", str(tmp_path / "new.csv"), "--by", "region"]
        )
        == 0
    )
    assert_mentions(capsys.readouterr().out, "north", "worse", "west", "too few")
    page = kzoo.report(table_run, out=tmp_path / "r.html", data=frame, by="region").read_text(
        encoding="utf-8"
    )
    assert_mentions(page, "region", "north", "worse")


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_subgroups_of_rows_with_weights_are_weighted(tmp_path, capsys):
    frame = customers()
    random = np.random.default_rng(1)
    frame["importance"] = random.integers(0, 4, len(frame)) * random.uniform(0.5, 2, len(frame))
    frame.loc[:50, ["region", "importance"]] = "east", 0.0
    frame.loc[51:53, ["region", "importance"]] = "east", 1.0
    settings = dict(target="open", units=(8,), epochs=5, learning_rate=0.03, drop=["region"])
    run = fit("tabular_fnn", frame, tmp_path / "weighted", sample_weight="importance", **settings)
    frame.to_csv(tmp_path / "new.csv", index=False)
    by = kzoo.evaluate(run, tmp_path / "new.csv", by="region")["by"]
    right = np.array(kzoo.predict(run, frame).labels) == frame["open"].to_numpy()
    weight = frame["importance"].to_numpy()
    for name in ("north", "south"):
        rows = (frame["region"] == name).to_numpy()
        group = by["groups"][name]
        mean = np.average(right[rows], weights=weight[rows])
        n = weight[rows].sum() ** 2 / (weight[rows] ** 2).sum()
        assert [group["mean"], group["scores"]["accuracy"]] == pytest.approx([mean, mean])
        others = np.average(right[~rows], weights=weight[~rows])
        assert group["difference"] == pytest.approx(mean - others)
        assert (group["examples"], group["effective_examples"]) == (
            rows.sum(),
            pytest.approx(n, abs=0.06),
        )
        center = (mean + 1.96**2 / (2 * n)) / (1 + 1.96**2 / n)  # Wilson's interval for n rows
        assert sum(group["interval"]) / 2 == pytest.approx(center, abs=1e-4)
        unweighted = group["unweighted"]
        assert unweighted["mean"] == pytest.approx(right[rows].mean())
        assert group["scores"]["unweighted"]["accuracy"] == pytest.approx(right[rows].mean())
        interval = stats.binomtest(int(right[rows].sum()), int(rows.sum())).proportion_ci(
            method="wilson"
        )
        assert unweighted["interval"] == pytest.approx([interval.low, interval.high])
    assert by["groups"]["east"] == {"examples": 54, "effective_examples": 3.0}  # too few count
    assert (
        main(["evaluate", str(run.path), "--data", str(tmp_path / "new.csv"), "--by", "region"])
        == 0
    )
    assert_mentions(capsys.readouterr().out, "accuracy, unweighted", "effective", "east", "too few")


def test_subgroups_of_numbers_are_quarters(table_run):
    frame = customers()
    groups = kzoo.evaluate(table_run, frame, by="age")["by"]["groups"]
    ranges = pd.qcut(frame["age"], 4)
    assert sorted(
        group["examples"] for name, group in groups.items() if name != "(missing)"
    ) == sorted(ranges.value_counts())
    assert groups["(missing)"]["examples"] == frame["age"].isna().sum()


def test_subgroups_of_the_runs_own_test_split(table_run, sources, iris_run):
    own = kzoo.evaluate(table_run, sources / "shops.csv", by="town")
    frame = pd.read_csv(sources / "shops.csv")
    part = kzoo.load_data(sources / "shops.csv", target="open").test
    counts = frame["town"].iloc[part.rows].value_counts()
    assert {name: group["examples"] for name, group in own["by"]["groups"].items()} == dict(counts)
    flowers = kzoo.evaluate(iris_run, by="petal length (cm)")["by"]["groups"]
    assert sum(group["examples"] for group in flowers.values()) == 30


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_intervals_of_weighted_errors_are_those_of_the_effective_number_of_rows(diabetes_run):
    part = kzoo.load_data("diabetes").train
    x, y = part.x[:], part.y[:]
    weight = np.random.default_rng(0).choice([0.5, 1.0, 4.0], len(x))
    groups = kzoo.evaluate(diabetes_run, (x, y, weight), by="sex")["by"]["groups"]
    plain = kzoo.evaluate(diabetes_run, (x, y), by="sex")["by"]["groups"]
    error = np.abs(kzoo.predict(diabetes_run, x).values[:, 0] - y[:, 0])
    sex = list(diabetes_run.data.feature_names).index("sex")
    values = dict(zip(sorted(groups, key=float), np.unique(x[:, sex]), strict=True))
    for name, group in groups.items():
        rows = x[:, sex] == values[name]
        w = weight[rows]
        n = weight[rows].sum() ** 2 / (weight[rows] ** 2).sum()
        mean = np.average(error[rows], weights=w)
        variance = np.average((error[rows] - mean) ** 2, weights=w) * n / (n - 1)
        reach = 1.959964 * np.sqrt(variance / n)
        assert [group["mean"], group["scores"]["mae"]] == pytest.approx([mean, mean], rel=1e-4)
        assert group["interval"] == pytest.approx([mean - reach, mean + reach], rel=1e-4)
        assert group["unweighted"] == {
            key: pytest.approx(plain[name][key]) for key in group["unweighted"]
        }


def test_subgroups_of_values_compare_errors(diabetes_run):
    by = kzoo.evaluate(diabetes_run, split="train", by="sex")["by"]
    assert by["of"] == "mae"
    for group in by["groups"].values():
        assert group["mean"] == pytest.approx(group["scores"]["mae"])
        low, high = group["interval"]
        assert low < group["mean"] < high


def test_subgroups_that_cannot_be_scored(table_run, image_run, series_run, sources):
    with refuses("by='regoin'", "'region'", "town"):
        kzoo.evaluate(table_run, customers(), by="regoin")
    with refuses("by='region'", "size", "town", "data="):
        kzoo.evaluate(
            table_run, (np.zeros((40, 2), "float32"), np.array(["yes", "no"] * 20)), by="region"
        )
    with refuses("by='town'", "tables", "image"):
        kzoo.evaluate(image_run, sources / "photos", by="town")
    with refuses("by='a'", "tables", "series"):
        kzoo.evaluate(series_run, sources / "waves.csv", by="a")
    with refuses("by='town'", "Dataset"):
        kzoo.evaluate(table_run, kzoo.load_data(sources / "shops.csv", target="open"), by="town")
