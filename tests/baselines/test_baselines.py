"""Baselines that any network should beat: equal to plain implementations, learned from the training rows only.

The faults to prevent: a score without a baseline, or next to a baseline that used the test rows or other rows.
"""

import re
from collections import Counter, defaultdict
from dataclasses import replace
from importlib import import_module
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses, warns
from PIL import Image
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC

import kzoo
from kzoo import baselines
from kzoo.baselines.baseline import BASELINES
from kzoo.baselines.data import BaselineData
from kzoo.baselines.images import histogram, small
from kzoo.baselines.language import Grams
from kzoo.baselines.linear import Sums, folds_of_few, with_bias
from kzoo.baselines.texts import Counts
from kzoo.data import load_data
from kzoo.utils.deprecation import KzooDeprecationWarning

SENTENCES = {
    "en": ("a {} film with {} actors .", ["fine", "great", "warm"], ["bad", "dull", "cold"]),
    "zh": ("这家店的菜{}，服务{}。", ["很好吃", "热情", "不错"], ["难吃", "太慢", "糟糕"]),
}


def shop(rows=400, seed=0):
    """A table with numbers, a category, a date and missing values, and two targets."""
    random = np.random.default_rng(seed)
    size = random.normal(50, 9, rows)
    kind = random.choice(["a", "b", "c"], rows)
    frame = pd.DataFrame(
        {"size": size, "kind": kind, "since": pd.date_range("2020-01-01", periods=rows, freq="3D")}
    )
    frame["price"] = 2 * size + 10 * (kind == "b") + random.normal(0, 1, rows)
    frame["rent"] = np.where(kind == "c", 5.0, 1.0) + random.normal(0, 0.1, rows)
    frame.loc[::9, "size"] = np.nan
    return frame


def texts(language):
    form, good, bad = SENTENCES[language]
    random = np.random.default_rng(0)
    rows = [
        (form.format(*random.choice(words, 2)), name)
        for name, words in (("good", good), ("bad", bad))
        for _ in range(90)
    ]
    return pd.DataFrame(rows, columns=["text", "mood"])


def table_with_texts():
    """A table whose targets depend on the words of a text and on a number."""
    frame = texts("en")
    draw = np.random.default_rng(1)
    frame["remark"] = [
        f"{text} seen {number} times" for number, text in enumerate(frame.pop("text"))
    ]
    frame["age"] = draw.normal(40, 9, len(frame)).round(1)
    frame["score"] = 3 * (frame["mood"] == "good") + (frame["age"] - 40) / 9
    return frame


def load(rows=900):
    hours = np.arange(rows)
    return pd.DataFrame(
        {
            "hour": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "load": 10 + np.sin(hours * np.pi / 12) + np.random.default_rng(0).normal(0, 0.1, rows),
            "heat": hours / 100.0,
        }
    )


def photos(folder):
    random = np.random.default_rng(0)
    for name, colour in (("sky", (90, 120, 220)), ("field", (70, 190, 60))):
        (folder / name).mkdir()
        for i in range(20):
            side = (int(random.integers(20, 40)), int(random.integers(20, 40)))
            pixels = np.clip(random.normal(colour, 25, (*side, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def window(preset, **config):
    base = kzoo.get_preset(preset)
    return replace(base, config=base.config | config)


def small_data(name, tmp_path):
    """Return a small data set for a name in `EACH`."""
    if name in ("en", "zh"):
        return load_data(texts(name), target="mood", preset=window("text_cnn", input_shape=(16,)))
    if name == "forecast":
        options = dict(time="hour", target=["load", "heat"])
        return load_data(
            load(), preset=window("series_gru", input_shape=(24, 2), horizon=6), **options
        )
    if name == "photos":
        return load_data(photos(tmp_path), preset=window("image_cnn", input_shape=(24, 24, 3)))
    if name == "language":
        (tmp_path / "text.txt").write_text(
            "the cat sat on the mat.\nthe dog sat on the log.\nwho sat?\n" * 60
        )
        return load_data(tmp_path / "text.txt", preset=window("char_gru", input_shape=(30,)))
    if name == "arrays":
        x = np.random.default_rng(0).normal(size=(200, 12, 2)).astype("float32")
        return load_data((x, x[:, 3, :1] - x[:, 5, 1:]))
    if name == "labelled":
        random = np.random.default_rng(0)
        y = random.integers(0, 2, 200)
        x = random.normal(size=(200, 30, 1)) * np.where(y, 3.0, 1.0)[:, None, None]
        return load_data(
            ([values[: 30 - n % 9] for n, values in enumerate(x.astype("float32"))], y)
        )
    if name.startswith("texts_"):
        target, other = ("mood", "score") if name == "texts_classes" else ("score", "mood")
        return load_data(table_with_texts(), target=target, drop=other)
    target = {"classes": "kind", "value": "price", "values": ["price", "rent"]}[name]
    return load_data(
        shop(),
        target=target,
        drop=[c for c in ("price", "rent") if name == "value" and c not in target],
    )


BOOSTERS = {"lightgbm", "catboost"}  # baselines where they are installed
EACH = {
    # data -> its baselines, and the name of the best of them
    "classes": ("majority logistic trees", "logistic"),
    "value": ("mean ridge trees", "ridge"),
    "values": ("mean ridge trees", "ridge"),
    "texts_classes": ("majority logistic trees texts_logistic", "texts_logistic"),
    "texts_value": ("mean ridge trees texts_ridge", "texts_ridge"),
    "en": ("majority tfidf nbsvm", "nbsvm"),
    "zh": ("majority tfidf nbsvm", "tfidf"),
    "forecast": (
        "mean last_value seasonal seasonal_mean ridge_windows ets auto_ets theta_method auto_theta",
        "auto_ets",
    ),
    "arrays": ("mean nearest_series summary_ridge ridge_windows", "ridge_windows"),
    "labelled": ("majority nearest_series summary_logistic", "summary_logistic"),
    "photos": ("majority colors pixels", "colors"),
    "language": ("frequency ngrams", "ngrams"),
}


@pytest.mark.parametrize("name", EACH)
def test_every_kind_of_input_and_task_has_baselines(name, tmp_path):
    data = small_data(name, tmp_path)
    results = baselines.score(data, seed=3)
    names, best = EACH[name]
    results = [result for result in results if result.name not in BOOSTERS]
    assert sorted(result.name for result in results) == sorted(names.split())
    values = {result.name: result.value for result in results}
    assert values[best] == results[0].value
    assert {result.split for result in results} == {"test"} and {
        result.metric for result in results
    } == {results[0].metric}
    simplest = values[names.split()[0]]
    assert (
        values[best] < 0.7 * simplest
        if results[0].metric.startswith(("m", "b"))
        else values[best] > simplest + 0.2
    )
    again = [result for result in baselines.score(data, seed=3) if result.name not in BOOSTERS]
    assert [(result.name, result.scores, result.notes) for result in again] == [
        (result.name, result.scores, result.notes) for result in results
    ]


@pytest.mark.parametrize("name", EACH)
def test_baselines_learn_without_the_test_rows(name, tmp_path):
    """Without a test split they learn the same and choose the same on the validation split."""
    data = small_data(name, tmp_path)
    without_test = replace(data, test=None)
    for baseline in baselines.list_baselines(data.problem):
        if baseline.setting and not data.config.get(baseline.setting):
            continue
        answers, alone = (
            baseline.function(BaselineData(d, logits=baseline.logits)) for d in (data, without_test)
        )
        for (ours, truth), (theirs, _) in zip(answers(data.test), alone(data.test), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert len(ours) == len(truth)
        assert sum(len(truth) for _, truth in answers(data.test)) == np.asarray(
            data.test.y[:]
        ).shape[0] * (data.input_shape[0] if name == "language" else 1)


def test_every_baseline_has_a_label_a_reference_and_a_docstring():
    assert len(baselines.list_baselines()) == len(BASELINES) > 10
    for baseline in baselines.list_baselines():
        assert baseline.label and baseline.reference.startswith("https://")
        assert baseline.function.__doc__.strip().endswith(".")


def test_ridge_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 7)) + 3
    y = random.normal(size=(90, 2))
    sums = Sums()
    for rows in np.array_split(np.arange(90), 4):
        sums.add(x[rows], y[rows])
    scale = (x**2).sum(axis=0).mean()
    expected = Ridge(alpha=0.5 * scale).fit(x, y)
    np.testing.assert_allclose(with_bias(x) @ sums.weights(0.5), expected.predict(x), rtol=1e-9)


def test_trees_and_logistic_regression_are_those_of_scikit_learn():
    data = load_data(shop(), target="price", drop="rent")
    x = data.train.x
    y = data.train.y[:, 0]
    expected = HistGradientBoostingRegressor(
        random_state=0, categorical_features=[*[False] * (x.shape[1] - 1), True]
    )
    expected = expected.fit(x, y).predict(data.test.x)
    (result,) = baselines.score(data, names="trees")
    assert result.scores["mae"] == pytest.approx(
        np.abs(expected - data.test.y[:, 0]).mean(), rel=1e-6
    )
    # enough validation rows to choose a strength by
    data = load_data("breast_cancer", validation=0.45)
    scaled = [
        np.clip((part.x - data.train.x.mean(0)) / data.train.x.std(0), -5, 5)
        for part in (data.train, data.validation, data.test)
    ]
    models = [
        LogisticRegression(C=c, max_iter=200).fit(scaled[0], data.train.y)
        for c in (0.01, 0.1, 1, 10)
    ]
    # the first of equals
    best = max(models, key=lambda model: model.score(scaled[1], data.validation.y))
    (result,) = baselines.score(data, names=["logistic"])
    assert result.scores["accuracy"] == best.score(scaled[2], data.test.y)
    (note,) = result.notes
    assert_mentions(note, f"C={best.C:g}", "validation")


def test_few_validation_rows_leave_the_choice_of_a_strength_to_folds():
    data = load_data("wine")
    (result,) = baselines.score(data, names=["logistic"])
    scaled = (data.train.x - data.train.x.mean(0)) / data.train.x.std(0)
    y = data.train.y
    models = {c: LogisticRegression(C=c, max_iter=200) for c in (0.01, 0.1, 1, 10)}
    losses = {
        c: -cross_val_score(
            model,
            scaled,
            y,
            cv=StratifiedKFold(5, shuffle=True, random_state=1),
            scoring="neg_log_loss",
        )
        for c, model in models.items()
    }
    chosen = float(
        re.search(r"C=([\d.]+), chosen by 5 folds of the training rows", result.notes[0])[1]
    )
    best = min(losses, key=lambda c: losses[c].mean())
    # other folds may choose a neighbour
    assert (losses[chosen] - losses[best]).mean() < losses[best].std()
    # the first of equal accuracies on the validation rows
    assert losses[0.01].mean() > 2 * losses[chosen].mean()
    # Equal rows are in one fold: each row twice gives the same folds, and the same strength as each row once.
    twice = replace(data, train=data.train.select(np.repeat(np.arange(len(y)), 2)))
    halves = [folds_of_few(BaselineData(each)) for each in (data, twice)]
    for (_, held_out), (_, pairs) in zip(*halves, strict=True):
        assert sorted(np.repeat(2 * held_out, 2) + np.tile([0, 1], len(held_out))) == sorted(pairs)


def test_nb_svm_is_that_of_the_paper():
    """Binary counts of words and pairs, log ratios with alpha = 1, beta = 0.25."""
    data = load_data(texts("en"), target="mood", preset=window("text_cnn", input_shape=(16,)))
    data = replace(data, validation=None)

    def grams(ids):
        words = [i for i in ids.tolist() if i]
        return {*words, *pairwise(words)}

    train, test = ([grams(row) for row in part.x] for part in (data.train, data.test))
    columns = {
        gram: number
        for number, gram in enumerate(sorted({g for row in train for g in row}, key=str))
    }

    def matrix(rows):
        f = np.zeros((len(rows), len(columns)))
        for i, row in enumerate(rows):
            f[i, [columns[gram] for gram in row if gram in columns]] = 1
        return f

    f = matrix(train)
    y = data.train.y
    p, q = 1 + f[y == 1].sum(0), 1 + f[y == 0].sum(0)
    r = np.log((p / p.sum()) / (q / q.sum()))
    model = LinearSVC(C=0.01, random_state=0).fit(f * r, y)
    w = model.coef_[0]
    w = 0.75 * np.abs(w).sum() / len(w) + 0.25 * w
    baseline = BASELINES["nbsvm"]
    ((answers, _),) = baseline.function(BaselineData(data, logits=None))(data.test)
    np.testing.assert_allclose(
        answers[:, 0], (matrix(test) * r) @ w + model.intercept_[0], atol=1e-4
    )


def test_nb_svm_chooses_beta_on_validation_data():
    """Six kinds of sentences need beta = 1; two classes of them keep the beta of the paper."""
    data = load_data("pydocs", preset="text_ngrams")
    (result,) = baselines.score(data, names="nbsvm")
    (note,) = result.notes
    assert_mentions(note, "C=1", "beta=1", "validation")
    (two,) = baselines.score(
        load_data(texts("en"), target="mood", preset="text_ngrams"), names="nbsvm"
    )
    assert_mentions(two.notes[0], "beta=0.25", "validation")


def test_the_cost_of_text_baselines_ignores_padding():
    frame = texts("en")
    short, long = (
        load_data(frame, target="mood", preset=window("text_cnn", input_shape=(n,)))
        for n in (64, 512)
    )
    assert short.train.x.shape[1] == 64 and long.train.x.shape[1] == 512
    for name in ("tfidf", "nbsvm"):
        assert BASELINES[name].seconds(BaselineData(short)) == pytest.approx(
            BASELINES[name].seconds(BaselineData(long))
        )


def test_ngrams_of_the_tokenizer_are_not_paired_again():
    frame = texts("en")
    plain = load_data(frame, target="mood", preset=window("text_cnn", input_shape=(16,)))
    counted = load_data(frame, target="mood", preset=window("text_ngrams", input_shape=(64,)))
    assert counted.preprocessing["ngrams"] == 2
    columns = [len(Counts(BaselineData(data)).codes) for data in (plain, counted)]
    assert columns[0] == columns[1] > len(plain.preprocessing["vocabulary"])


def test_ngrams_are_smoothed_as_by_witten_and_bell():
    """Compared with tables of counts, token by token."""
    random = np.random.default_rng(0)
    text, new = (np.cumsum(random.integers(0, 3, size)) % 7 for size in (400, 60))
    grams = Grams(text, 8, 3)
    positions = np.arange(3, 60)
    contexts = list(grams.contexts(new, positions))
    for order in range(4):
        counts = [defaultdict(Counter) for _ in range(order + 1)]
        for k, table in enumerate(counts):
            for i in range(k, len(text)):
                table[tuple(text[i - k : i])][text[i]] += 1
        probabilities = grams.after(contexts[: order + 1])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        for row, i in zip(probabilities, positions, strict=True):
            p = 1 / 8
            for k, table in enumerate(counts):
                if not (seen := table.get(tuple(new[i - k : i]))):
                    break
                p = (seen[new[i]] + len(seen) * p) / (seen.total() + len(seen))
            assert row[new[i]] == pytest.approx(p, rel=1e-12)


def test_image_features_are_histograms_of_colours_and_small_images():
    image = np.zeros((1, 33, 20, 3), "uint8")
    image[0, :, :5] = (255, 0, 128)
    bins = histogram(image, 0.0, 255.0)
    assert bins.shape == (1, 512) and np.flatnonzero(bins).tolist() == [0, 7 + 4 * 64]
    np.testing.assert_allclose(bins[bins > 0] ** 2, [0.75, 0.25])
    assert small(image, 0.0, 255.0).shape == (1, 11 * 10 * 3)
    np.testing.assert_allclose(
        small(image, 0.0, 255.0).reshape(11, 10, 3)[0, :4, 0], [1, 1, 0.5, 0]
    )


def test_the_season_comes_from_the_times_or_from_the_training_rows():
    preset = window("series_gru", input_shape=(30, 1), horizon=6)
    table = load()[["hour", "load"]]
    timed = load_data(table, preset=preset, time="hour")
    plain = load_data(table[["load"]], preset=preset)
    for data, seasons in ((timed, {"yesterday": 24, "week": 168}), (plain, {"24 steps": 24})):
        (result,) = baselines.score(data, names="seasonal")
        (note,) = result.notes
        (steps,) = [steps for word, steps in seasons.items() if not missing_from(note, [word])]
        assert bool(missing_from(note, ["validation"])) is (data is plain)
        starts = data.test.y.starts
        truth = data.test.y[:]
        times = 4 if note.startswith("mean of 4") else 1
        before = [
            data.test.y.values[starts[:, None] + np.arange(6) - steps * (1 + back)]
            for back in range(times)
        ]
        assert result.scores["mae"] == pytest.approx(
            np.abs(np.mean(before, axis=0) - truth).mean(), rel=1e-6
        )
    noise = pd.DataFrame({"load": np.random.default_rng(0).normal(size=400)})
    (result,) = baselines.score(load_data(noise, preset=preset), names="seasonal")
    (note,) = result.notes
    assert result.value is None
    assert_mentions(note, "season")


def has_note(result, *parts):
    """Say whether a note of the result mentions all of `parts`."""
    return any(not missing_from(note, parts) for note in result.notes)


def has_duration(note):
    return re.search(r"\d (s|min|h)\b", note) is not None


def test_little_time_means_fewer_rows_and_cheaper_baselines(monkeypatch):
    data = load_data("digits")
    monkeypatch.setattr(
        import_module("kzoo.baselines.score"),
        "LONGEST",
        BASELINES["pixels"].seconds(BaselineData(data)) * 0.9,
    )
    results = {result.name: result for result in baselines.score(data)}
    assert has_note(results["pixels"], "1,156", "1,294")
    assert results["pixels"].value > 0.9
    whole = {result.name: result for result in baselines.score(data, seconds=1e9)}
    # with `seconds`, all rows
    assert whole["pixels"].rows is None and not has_note(whole["pixels"], "1,294")
    none = {result.name: result for result in baselines.score(data, seconds=0.01)}
    assert none["majority"].value is not None and none["pixels"].value is None
    assert has_duration(none["pixels"].notes[0]) and none["pixels"].scores == {}
    assert re.search(r"\b0\.\d", none["pixels"].notes[0])


def test_score_refuses_bad_arguments():
    data = load_data("iris")
    for arguments, parts in (
        (
            dict(names=["tree"]),
            ("'tree'", "tabular_classification", "'trees'", "logistic, trees", "majority"),
        ),
        (dict(split="train"), ("split='train'", "validation", "test")),
        (dict(target="y"), ("target=", "Dataset", "load_data")),
        (dict(seed=-1), ("seed=-1",)),
    ):
        with refuses(*parts):
            baselines.score(data, **arguments)
    with refuses("iris", "validation") as caught:
        baselines.score(replace(data, validation=None), split="validation")
    assert missing_from(str(caught.value), ["test"])  # has a test split
    with refuses("iris", "test", "validation"):
        baselines.score(replace(data, validation=None, test=None))
    assert baselines.score("iris", names="majority", split="validation")[0].split == "validation"


def test_a_baseline_that_would_take_a_little_longer_learns_from_fewer_rows():
    """Otherwise the strongest would be left out: TF-IDF of 50,000 sentences, trees of many classes."""
    random = np.random.default_rng(0)
    x = random.normal(size=(4_000, 6)).astype("float32")
    data = load_data((x, (np.tanh(x) @ random.normal(size=(6, 3))).argmax(axis=1)))
    costs = {name: BASELINES[name].seconds(BaselineData(data)) for name in ("logistic", "trees")}
    whole = costs["trees"]
    few = BASELINES["trees"].seconds(BaselineData(data, most=1_000))
    assert costs["logistic"] < few < whole
    results = {result.name: result for result in baselines.score(data, seconds=(few + whole) / 2)}
    rows = results["trees"].rows
    assert (
        results["trees"].value > results["majority"].value + 0.3
        and 0.4 < rows / len(data.train) < 0.8
    )
    assert has_note(results["trees"], f"{rows:,}", f"{len(data.train):,}")
    assert results["logistic"].rows is None and results["logistic"].notes[0].startswith("C=")
    none = {result.name: result for result in baselines.score(data, seconds=few * 0.9)}
    assert none["trees"].value is None and has_duration(none["trees"].notes[0])


def test_baselines_of_resized_images_note_the_size(tmp_path):
    folder = photos(tmp_path)
    for side in (24, 16):
        data = load_data(folder, preset=window("image_cnn", input_shape=(side, side, 3)))
        for result in baselines.score(data, names=["colors", "pixels"]):
            assert has_note(result, f"{side}x{side}")
    assert not any(
        re.search(r"\d+x\d+", note)
        for result in baselines.score("digits", names="pixels")
        for note in result.notes
    )


def test_the_former_name_of_list_baselines_warns_and_works():
    with warns(
        "kzoo.baselines.listed()",
        "kzoo.baselines.list_baselines()",
        category=KzooDeprecationWarning,
    ):
        assert baselines.listed() == baselines.list_baselines()


def test_nearest_series_and_statistics_equal_plain_ones():
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 14, 2)).astype("float32") * [1, 50]
    y = np.arange(60) % 3
    data = load_data((x.astype("float32"), y))
    predict = BASELINES["nearest_series"].function(BaselineData(data))
    train, test = (part.x.reshape(-1, 2) for part in (data.train, data.test))
    spread = train.std(axis=0)
    train, test = ((rows / spread).reshape(-1, 28) for rows in (train, test))
    nearest = ((train[None] - test[:, None]) ** 2).sum(-1).argmin(axis=1)
    found = np.concatenate([outputs for outputs, _ in predict(data.test)])
    np.testing.assert_array_equal(found.argmax(axis=1), data.train.y[nearest])

    from kzoo.baselines.series import summary_statistics

    values = x[:1]
    real = np.arange(14)[None] < 9
    (row,) = summary_statistics(values, real)
    one = values[0, :9, 1].astype("float64")
    expected = [
        *np.quantile(one, (0, 0.25, 0.5, 0.75, 1)),
        one.mean(),
        one.std(),
        np.polyfit(np.arange(9), one, 1)[0],
        np.abs(np.diff(one)).mean(),
        ((one[1:] - one.mean()) * (one[:-1] - one.mean())).sum() / (9 * one.var()),
        one[-1],
    ]
    np.testing.assert_allclose(row[1:-1:2], expected, rtol=1e-6)
    assert row[-1] == 9
