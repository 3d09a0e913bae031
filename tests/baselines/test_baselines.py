"""What any network has to beat, computed as it would be by hand: on the same split, from the training rows alone.

The class of faults: a score that stands alone, or beside one that saw the test rows, other rows, or half of them.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from importlib import import_module
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

import kzoo
from kzoo import KzooError, baselines
from kzoo.baselines.baseline import BASELINES
from kzoo.baselines.given import Given
from kzoo.baselines.images import histogram, small
from kzoo.baselines.language import Grams
from kzoo.baselines.linear import Sums, with_bias
from kzoo.baselines.texts import Counts
from kzoo.data import load_data

SENTENCES = {
    "en": ("a {} film with {} actors .", ["fine", "great", "warm"], ["bad", "dull", "cold"]),
    "zh": ("这家店的菜{}，服务{}。", ["很好吃", "热情", "不错"], ["难吃", "太慢", "糟糕"]),
}


def shop(rows=400, seed=0):
    """A table with numbers, a category, a date and missing values, and two targets."""
    random = np.random.default_rng(seed)
    size, kind = random.normal(50, 9, rows), random.choice(["a", "b", "c"], rows)
    frame = pd.DataFrame({"size": size, "kind": kind, "since": pd.date_range("2020-01-01", periods=rows, freq="3D")})
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


def load(rows=900):
    hours = np.arange(rows)
    return pd.DataFrame({
        "hour": pd.date_range("2024-01-01", periods=rows, freq="h"),
        "load": 10 + np.sin(hours * np.pi / 12) + np.random.default_rng(0).normal(0, 0.1, rows),
        "heat": hours / 100.0,
    })  # fmt: skip


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


def made(name, tmp_path):
    """Return a small data set of each kind and task."""
    if name in ("en", "zh"):
        return load_data(texts(name), target="mood", preset=window("text_cnn", input_shape=(16,)))
    if name == "forecast":
        asked = dict(time="hour", target=["load", "heat"])
        return load_data(load(), preset=window("series_gru", input_shape=(24, 2), horizon=6), **asked)
    if name == "photos":
        return load_data(photos(tmp_path), preset=window("image_cnn", input_shape=(24, 24, 3)))
    if name == "language":
        (tmp_path / "text.txt").write_text("the cat sat on the mat.\nthe dog sat on the log.\nwho sat?\n" * 60)
        return load_data(tmp_path / "text.txt", preset=window("char_gru", input_shape=(30,)))
    if name == "arrays":
        x = np.random.default_rng(0).normal(size=(200, 12, 2)).astype("float32")
        return load_data((x, x[:, 3, :1] - x[:, 5, 1:]))
    target = {"classes": "kind", "value": "price", "values": ["price", "rent"]}[name]
    return load_data(shop(), target=target, drop=[c for c in ("price", "rent") if name == "value" and c not in target])


EACH = {
    # data -> the baselines that it gets, and one that has to be the best or as good
    "classes": ("majority logistic trees", "logistic"),
    "value": ("mean ridge trees", "ridge"),
    "values": ("mean ridge trees", "ridge"),
    "en": ("majority tfidf nbsvm", "nbsvm"),
    "zh": ("majority tfidf nbsvm", "tfidf"),
    "forecast": ("mean last_value seasonal ridge_windows", "ridge_windows"),
    "arrays": ("mean ridge_windows", "ridge_windows"),
    "photos": ("majority colors pixels", "colors"),
    "language": ("frequency ngrams", "ngrams"),
}


@pytest.mark.parametrize("name", EACH)
def test_every_kind_of_input_and_task_has_some(name, tmp_path):
    data = made(name, tmp_path)
    results = baselines.score(data, seed=3)
    names, best = EACH[name]
    assert sorted(one.name for one in results) == sorted(names.split())
    values = {one.name: one.value for one in results}
    assert values[best] == results[0].value
    assert {one.split for one in results} == {"test"} and {one.metric for one in results} == {results[0].metric}
    simplest = values[names.split()[0]]
    assert values[best] < 0.7 * simplest if results[0].metric.startswith(("m", "b")) else values[best] > simplest + 0.2
    again = baselines.score(data, seed=3)
    assert [(one.name, one.scores, one.notes) for one in again] == [
        (one.name, one.scores, one.notes) for one in results
    ]


@pytest.mark.parametrize("name", EACH)
def test_they_learn_from_training_rows_and_choose_on_validation_rows_alone(name, tmp_path):
    """Without a test split they learn the same, and their choice follows the validation split."""
    data = made(name, tmp_path)
    apart = replace(data, test=None)
    for one in baselines.listed(data.problem):
        answers, alone = (one.function(Given(d, logits=one.logits)) for d in (data, apart))
        for (ours, truth), (theirs, _) in zip(answers(data.test), alone(data.test), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert len(ours) == len(truth)
        assert sum(len(truth) for _, truth in answers(data.test)) == np.asarray(data.test.y[:]).shape[0] * (
            data.input_shape[0] if name == "language" else 1
        )


def test_all_say_what_they_are():
    assert len(baselines.listed()) == len(BASELINES) > 10
    for one in baselines.listed():
        assert one.label and one.reference.startswith("https://") and one.function.__doc__.strip().endswith(".")


def test_ridge_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(90, 7)) + 3, random.normal(size=(90, 2))
    sums = Sums()
    for rows in np.array_split(np.arange(90), 4):
        sums.add(x[rows], y[rows])
    scale = (x**2).sum(axis=0).mean()
    known = Ridge(alpha=0.5 * scale).fit(x, y)
    np.testing.assert_allclose(with_bias(x) @ sums.weights(0.5), known.predict(x), rtol=1e-9)


def test_trees_and_logistic_regression_are_those_of_scikit_learn():
    data = load_data(shop(), target="price", drop="rent")
    x, y = data.train.x, data.train.y[:, 0]
    known = HistGradientBoostingRegressor(random_state=0, categorical_features=[*[False] * (x.shape[1] - 1), True])
    known = known.fit(x, y).predict(data.test.x)
    (found,) = baselines.score(data, names="trees")
    assert found.scores["mae"] == pytest.approx(np.abs(known - data.test.y[:, 0]).mean(), rel=1e-6)
    data = load_data("iris")
    scaled = [
        (part.x - data.train.x.mean(0)) / data.train.x.std(0) for part in (data.train, data.validation, data.test)
    ]
    models = [LogisticRegression(C=c, max_iter=200).fit(scaled[0], data.train.y) for c in (0.01, 0.1, 1, 10)]
    best = max(models, key=lambda model: model.score(scaled[1], data.validation.y))  # the first of equals
    (found,) = baselines.score(data, names=["logistic"])
    assert found.scores["accuracy"] == best.score(scaled[2], data.test.y)
    assert found.notes == (f"C={best.C:g}, chosen on validation data",)


def test_nb_svm_is_that_of_the_paper():
    """Word by word: binary counts of words and pairs, log ratios with alpha = 1, beta = 0.25."""
    data = load_data(texts("en"), target="mood", preset=window("text_cnn", input_shape=(16,)))
    data = replace(data, validation=None)

    def grams(ids):
        words = [i for i in ids.tolist() if i]
        return {*words, *pairwise(words)}

    train, test = ([grams(row) for row in part.x] for part in (data.train, data.test))
    columns = {gram: place for place, gram in enumerate(sorted({g for row in train for g in row}, key=str))}

    def matrix(rows):
        f = np.zeros((len(rows), len(columns)))
        for i, row in enumerate(rows):
            f[i, [columns[gram] for gram in row if gram in columns]] = 1
        return f

    f, y = matrix(train), data.train.y
    p, q = 1 + f[y == 1].sum(0), 1 + f[y == 0].sum(0)
    r = np.log((p / p.sum()) / (q / q.sum()))
    model = LinearSVC(C=0.01, random_state=0).fit(f * r, y)
    w = model.coef_[0]
    w = 0.75 * np.abs(w).sum() / len(w) + 0.25 * w
    one = BASELINES["nbsvm"]
    ((answers, _),) = one.function(Given(data, logits=None))(data.test)
    np.testing.assert_allclose(answers[:, 0], (matrix(test) * r) @ w + model.intercept_[0], atol=1e-4)


def test_nb_svm_takes_the_model_alone_where_validation_says_so():
    """Six kinds of sentences: a mean weight of each class is no common measure of them."""
    data = load_data("pydocs", preset="text_ngrams")
    (found,) = baselines.score(data, names="nbsvm")
    assert found.notes == ("C=1 and beta=1, chosen on validation data",)
    (two,) = baselines.score(load_data(texts("en"), target="mood", preset="text_ngrams"), names="nbsvm")
    assert two.notes[0].endswith("and beta=0.25, chosen on validation data")


def test_what_a_baseline_of_texts_costs_follows_their_words_and_not_the_padding():
    frame = texts("en")
    short, long = (load_data(frame, target="mood", preset=window("text_cnn", input_shape=(n,))) for n in (64, 512))
    assert short.train.x.shape[1] == 64 and long.train.x.shape[1] == 512
    for name in ("tfidf", "nbsvm"):
        assert BASELINES[name].seconds(Given(short)) == pytest.approx(BASELINES[name].seconds(Given(long)))


def test_runs_that_the_tokenizer_counts_are_not_paired_again():
    frame = texts("en")
    plain = load_data(frame, target="mood", preset=window("text_cnn", input_shape=(16,)))
    counted = load_data(frame, target="mood", preset=window("text_ngrams", input_shape=(64,)))
    assert counted.preprocessing["ngrams"] == 2
    columns = [len(Counts(Given(data)).codes) for data in (plain, counted)]
    assert columns[0] == columns[1] > len(plain.preprocessing["vocabulary"])


def test_counted_n_grams_are_smoothed_as_witten_and_bell_do():
    """By tables of counts, one token after the other."""
    random = np.random.default_rng(0)
    text, new = (np.cumsum(random.integers(0, 3, size)) % 7 for size in (400, 60))
    grams, places = Grams(text, 8, 3), np.arange(3, 60)
    contexts = list(grams.contexts(new, places))
    for order in range(4):
        counts = [defaultdict(Counter) for _ in range(order + 1)]
        for k, table in enumerate(counts):
            for i in range(k, len(text)):
                table[tuple(text[i - k : i])][text[i]] += 1
        found = grams.after(contexts[: order + 1])
        np.testing.assert_allclose(found.sum(axis=1), 1)
        for row, i in zip(found, places, strict=True):
            p = 1 / 8
            for k, table in enumerate(counts):
                if not (seen := table.get(tuple(new[i - k : i]))):
                    break
                p = (seen[new[i]] + len(seen) * p) / (seen.total() + len(seen))
            assert row[new[i]] == pytest.approx(p, rel=1e-12)


def test_what_linear_models_see_of_images():
    image = np.zeros((1, 33, 20, 3), "uint8")
    image[0, :, :5] = (255, 0, 128)
    bins = histogram(image, 0.0, 255.0)
    assert bins.shape == (1, 512) and np.flatnonzero(bins).tolist() == [0, 7 + 4 * 64]
    np.testing.assert_allclose(bins[bins > 0] ** 2, [0.75, 0.25])
    assert small(image, 0.0, 255.0).shape == (1, 11 * 10 * 3)
    np.testing.assert_allclose(small(image, 0.0, 255.0).reshape(11, 10, 3)[0, :4, 0], [1, 1, 0.5, 0])


def test_a_season_is_that_of_the_times_else_the_one_that_the_training_rows_show():
    preset, table = window("series_gru", input_shape=(30, 1), horizon=6), load()[["hour", "load"]]
    timed = load_data(table, preset=preset, time="hour")
    plain = load_data(table[["load"]], preset=preset)
    seasons = {
        "same hour yesterday, chosen on validation data": 24,
        "same hour last week, chosen on validation data": 168,
    }
    for data, known in ((timed, seasons), (plain, {"24 steps before, which the training rows show": 24})):
        (found,) = baselines.score(data, names="seasonal")
        starts, truth = data.test.y.starts, data.test.y[:]
        before = data.test.y.values[starts[:, None] + np.arange(6) - known[found.notes[0]]]
        assert found.scores["mae"] == pytest.approx(np.abs(before - truth).mean(), rel=1e-6)
    noise = pd.DataFrame({"load": np.random.default_rng(0).normal(size=400)})
    (found,) = baselines.score(load_data(noise, preset=preset), names="seasonal")
    assert found.value is None and found.notes == ("left out: neither its times nor its training rows show a season",)


def test_of_many_rows_some_are_taken_and_of_little_time_the_cheapest(monkeypatch):
    data = load_data("digits")
    monkeypatch.setattr(
        import_module("kzoo.baselines.score"), "_LONGEST", BASELINES["pixels"].seconds(Given(data)) * 0.9
    )
    found = {one.name: one for one in baselines.score(data)}
    assert "learned from 1,156 of 1,294 training rows" in found["pixels"].notes
    assert found["pixels"].value > 0.9
    whole = {one.name: one for one in baselines.score(data, seconds=1e9)}
    assert not any("learned from" in note for note in whole["pixels"].notes)  # who says how long has all rows
    none = {one.name: one for one in baselines.score(data, seconds=0.01)}
    assert none["majority"].value is not None and none["pixels"].value is None
    assert none["pixels"].notes[0].startswith("left out: it takes about 0.") and none["pixels"].scores == {}


def test_what_it_refuses():
    data = load_data("iris")
    for asked, said in (
        (dict(names=["tree"]), "No baseline 'tree' for tabular_classification. Did you mean 'trees'?"),
        (dict(split="train"), "split='train' must be validation or test"),
        (dict(target="y"), "target= says how data is loaded, and this is a Dataset"),
        (dict(seed=-1), "seed=-1 must be a whole number"),
    ):
        with pytest.raises(KzooError, match=said):
            baselines.score(data, **asked)
    with pytest.raises(KzooError, match="has no validation split"):
        baselines.score(replace(data, validation=None), split="validation")
    with pytest.raises(KzooError, match="neither a test nor a validation split"):
        baselines.score(replace(data, validation=None, test=None))
    assert baselines.score("iris", names="majority", split="validation")[0].split == "validation"


def test_a_baseline_that_would_take_a_little_longer_learns_from_fewer_rows():
    """Left out was then the strongest: TF-IDF of 50,000 sentences, trees of many classes."""
    random = np.random.default_rng(0)
    x = random.normal(size=(4_000, 6)).astype("float32")
    data = load_data((x, (np.tanh(x) @ random.normal(size=(6, 3))).argmax(axis=1)))
    costs = {name: BASELINES[name].seconds(Given(data)) for name in ("logistic", "trees")}
    whole, few = costs["trees"], BASELINES["trees"].seconds(Given(data, most=1_000))
    assert costs["logistic"] < few < whole
    found = {one.name: one for one in baselines.score(data, seconds=(few + whole) / 2)}
    rows = found["trees"].rows
    assert found["trees"].value > found["majority"].value + 0.3 and 0.4 < rows / len(data.train) < 0.8
    assert f"learned from {rows:,} of {len(data.train):,} training rows" in found["trees"].notes
    assert found["logistic"].rows is None and found["logistic"].notes[0].startswith("C=")
    none = {one.name: one for one in baselines.score(data, seconds=few * 0.9)}
    assert none["trees"].value is None and none["trees"].notes[0].startswith("left out: it takes about")


def test_baselines_of_images_that_a_preset_resized_say_at_which_size(tmp_path):
    folder = photos(tmp_path)
    for side in (24, 16):
        data = load_data(folder, preset=window("image_cnn", input_shape=(side, side, 3)))
        for one in baselines.score(data, names=["colors", "pixels"]):
            assert f"of images of {side}x{side} pixels" in one.notes
    assert not any("of images" in note for one in baselines.score("digits", names="pixels") for note in one.notes)
