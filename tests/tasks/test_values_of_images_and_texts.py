"""Values from images and texts: which targets are values, every preset, baselines, and all ways to a prediction."""

import warnings
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses, warns
from PIL import Image
from shortcuts import tune_here
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline

import kzoo
import kzoo.runtime as kzoo_runtime
from kzoo import load_data
from kzoo.baselines.data import BaselineData
from kzoo.baselines.images import color_ridge, histogram, pixel_ridge, small
from kzoo.baselines.texts import Counts, tfidf_ridge
from kzoo.cli import main
from kzoo.data.dataset import Split
from kzoo.problems.tasks import problem
from kzoo.training.adapt import adapt_to_data
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("untraced_module")

WORDS = ["bad", "poor", "dull", "plain", "fair", "good", "fine", "great", "lovely", "perfect"]


def digits():
    """Return scikit-learn's digits as pixels (N, 8, 8, 1), and how much ink each has, with some noise."""
    x = np.asarray(load_data("digits", validation=0, test=0).train.x)
    return x, x.mean(axis=(1, 2, 3)) / 255 * 100 + np.random.default_rng(0).normal(0, 0.2, len(x))


def reviews(count=300):
    """Return texts of 4 to 12 words, each of which adds to a rating and a price, and some of which add nothing."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        words = random.choice(
            [*WORDS, "the", "a", "shirt", "shoe"], random.integers(4, 12)
        ).tolist()
        worth = [WORDS.index(word) for word in words if word in WORDS]
        rows.append(
            (
                " ".join(words),
                round(float(np.mean(worth or [4.5])), 2),
                10.0 * len(words) + random.normal(),
            )
        )
    return pd.DataFrame(rows, columns=["review", "rating", "price"])


# ---------------------------------------------------------------- which targets are values


def test_problems_and_their_tags():
    for name, kind in (("image_regression", "image"), ("text_regression", "tokens")):
        values = problem(name)
        assert (values.kind, values.headline, values.hub) == (kind, "r2", name.replace("_", "-"))
        assert (
            values.facts >= {"values", "unordered"}
            and values.task is problem("tabular_regression").task
        )
        classes = name.replace("regression", "classification")
        assert kzoo.list_presets(task=name) == kzoo.list_presets(task=classes)


@pytest.mark.parametrize("cells", ["{:,.1f}", "${:.0f}", "{:.2f}%", "{:.1f} €"])
@pytest.mark.parametrize("task", [None, "regression"])
@pytest.mark.parametrize("inputs", ["texts", "frame", "images"])
def test_numbers_with_signs_are_refused_with_the_plain_ones(cells, task, inputs, tmp_path):
    numbers = 1000 + 37.5 * np.arange(40)
    frame = pd.DataFrame(
        dict(
            x=[f"shirt number {i} of the shop.png" for i in range(40)], y=map(cells.format, numbers)
        )
    )
    preset = "text_cnn"
    source = frame
    if inputs == "images":
        preset = "digits_cnn"
        source = tmp_path
        for name in frame["x"]:
            Image.new("L", (8, 8), 100).save(tmp_path / name)
    if inputs != "frame":
        frame.to_csv(tmp_path / "labels.csv", index=False)
        source = tmp_path if inputs == "images" else tmp_path / "labels.csv"
    with refuses("'y'", cells.format(1000), "1000", "task='classification'"):
        load_data(source, preset=preset, target="y", task=task)
    if inputs != "frame":
        assert (
            main(
                [
                    "train",
                    preset,
                    "--data",
                    str(source),
                    "--target",
                    "y",
                    "--out",
                    str(tmp_path / "run"),
                ]
            )
            == 2
        )


def test_a_few_formatted_numbers_are_class_names_and_counts_are_plain():
    frame = reviews(60).assign(rating=[f"{10 * (i % 3)}%" for i in range(60)])
    data = load_data(frame, preset="text_cnn", target="rating", drop="price")
    assert data.class_names == ("0%", "10%", "20%")
    with refuses("'rating'", "0%", "task='classification'"):
        load_data(frame, preset="text_cnn", target="rating", drop="price", task="count")


def test_fractions_of_arrays_are_values_and_integers_are_classes():
    x, ink = digits()
    data = load_data((x, ink))
    assert data.task == "image_regression" and notes_with(data.notes, "image regression", "task=")
    assert load_data((x, ink), preset="digits_cnn").task == "image_regression"
    ages = np.arange(len(x)) % 40  # as in Keras, integers are classes, whatever their number
    data = load_data((x, ages))
    assert (data.task, data.outputs) == ("image_classification", 40) and notes_with(
        data.notes, "40", "regression"
    )
    assert load_data((x, ages), preset="digits_cnn").notes == data.notes
    assert load_data((x, ages), task="regression").task == "image_regression"
    assert load_data((x, ages.astype(float))).task == "image_regression"
    assert load_data((x, ages.astype(float) % 10)).task == "image_classification"
    two = load_data((x, np.stack([ink, -ink], axis=1)), preset="digits_cnn")
    assert two.outputs == 2 and two.config["target_offset"] == pytest.approx(
        two.train.y.mean(axis=0)
    )
    ids = np.random.default_rng(0).integers(2, 50, (len(x), 12))
    assert load_data((ids, ink), preset="text_cnn").task == "text_regression"
    with refuses("'regression'", "'digits'"):
        load_data("digits", task="regression")


def test_npz_and_tf_data(tmp_path):
    tf = pytest.importorskip("tensorflow")
    x, ink = digits()
    expected = load_data((x, ink), preset="digits_cnn")
    np.savez(tmp_path / "ink.npz", x=x, y=ink)
    assert load_data(tmp_path / "ink.npz", preset="digits_cnn").fingerprint == expected.fingerprint
    dataset = tf.data.Dataset.from_tensor_slices((x, ink))
    for source in (dataset, dataset.batch(100)):
        assert load_data(source, preset="digits_cnn").fingerprint == expected.fingerprint


def test_texts_with_numbers(tmp_path):
    frame = reviews()
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    for source in (frame, tmp_path / "reviews.csv"):
        data = load_data(source, preset="text_cnn", target="rating")
        assert (data.task, data.target_names) == (
            "text_regression",
            ("rating",),
        ) and data.class_names == ()
        assert notes_with(data.notes, "text regression of rating", "task=")
        assert data.train.y.dtype == np.float32
        assert data.train.y[:, 0] == pytest.approx(frame["rating"].to_numpy()[data.train.rows])
        both = load_data(source, preset="text_cnn", target=["price", "rating"])
        assert both.target_names == ("price", "rating") and both.outputs == 2
        assert both.test.y == pytest.approx(
            frame[["price", "rating"]].to_numpy()[both.test.rows], abs=1e-4
        )
    stars = frame.assign(rating=(frame["rating"] > 4).astype(int) + 4)
    assert load_data(stars, preset="text_cnn", target="rating").task == "text_classification"
    assert (
        load_data(stars, preset="text_cnn", target="rating", task="regression").task
        == "text_regression"
    )
    second = load_data(frame, preset="text_cnn", target=["price", "rating"], test=frame[:20])
    assert second.test.y[:, 1] == pytest.approx(frame["rating"][:20].to_numpy())
    missing = load_data(
        frame.assign(price=[None, *frame["price"][1:]]), preset="text_cnn", target="price,rating"
    )
    assert notes_with(missing.notes, "1 rows without text or label")
    with refuses("numbers", "good"):
        load_data(
            frame.assign(rating="good"), preset="text_cnn", target="rating", task="regression"
        )
    flags = frame.assign(a=[0, 1] * 150, b=[1, 0, 0] * 100)
    assert (
        load_data(flags, preset="text_cnn", target=["a", "b"]).task
        == "text_multilabel_classification"
    )
    with refuses("'a', 'b'", "classes", "0 and 1", "task='regression'"):
        load_data(flags.assign(a=flags["a"] + 1), preset="text_cnn", target=["a", "b"])
    with refuses("one target", "price, rating"):
        load_data(frame, preset="text_cnn", target=["price", "rating"], task="classification")


# ---------------------------------------------------------------- presets

# `image_frozen` needs its encoder: see tests/families/test_frozen_backbone.py.
IMAGE_PRESETS = kzoo.list_presets(
    task="image_regression", exclude=("image_pretrained", "image_frozen")
)
# These take no ids, but those of their own tokenizer: see tests/families/test_sentence_encoder.py.
TEXT_PRESETS = kzoo.list_presets(task="text_regression", exclude="text_pretrained*")


def some(inputs):
    """Return data of two targets that fits a preset, without its size having been read from the preset."""
    rng = np.random.default_rng(0)
    targets = rng.normal((3, 1000), (0.5, 200), (40, 2)).astype("float32")
    shape = inputs.config["input_shape"]
    if inputs.config["inputs"] == "image":
        return load_data(
            (rng.integers(0, 255, (40, *shape)).astype("uint8"), targets), preset=inputs
        )
    return load_data((rng.integers(0, 60, (40, shape[0])), targets), preset=inputs)


@pytest.mark.parametrize("name", IMAGE_PRESETS + TEXT_PRESETS)
def test_every_preset_gets_a_linear_head_in_the_targets_unit(name):
    preset = kzoo.get_preset(name)
    data = some(preset)
    config, training, _ = adapt_to_data(preset, preset.config, preset.training, frozenset(), data)
    assert (
        config["outputs"] == 2 and config["output_activation"] is None and training["loss"] == "mse"
    )
    assert training.get("label_smoothing", 0) == 0
    assert set(training["metrics"]) <= {"mae", "rmse"} and training["monitor"] in (
        "val_loss",
        "val_mae",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)  # the notes
        model = kzoo.build(preset, data=data, compile=False)
    assert model.layers[-1].name == "unscale"
    assert np.ravel(model.layers[-1].scale) == pytest.approx(data.config["target_scale"])
    assert np.ravel(model.layers[-1].offset) == pytest.approx(data.config["target_offset"])
    assert tuple(model(np.asarray(data.test.x[:3], model.input.dtype), training=False).shape) == (
        3,
        2,
    )


def test_the_rate_of_gradient_descent_follows_the_loss():
    preset = kzoo.get_preset("text_ngrams")
    data = load_data(reviews(), preset=preset, target="rating")
    _, training, notes = adapt_to_data(preset, preset.config, preset.training, frozenset(), data)
    assert training["learning_rate"] == preset.training["learning_rate"] / 8 and notes_with(
        notes, "1.25", "eighth"
    )
    rate = preset.training | {"learning_rate": 3.0}
    assert (
        adapt_to_data(preset, preset.config, rate, {"learning_rate"}, data)[1]["learning_rate"]
        == 3.0
    )
    with warns("learning_rate=1.25"):
        model = kzoo.build(preset, data=data, compile=False)
    assert not np.any(model.get_layer("log_ratios").get_weights()[0])  # naive Bayes is for classes


def test_settings_for_classes_are_refused():
    x, ink = digits()
    for name, value in {
        "label_smoothing": 0.1,
        "class_weight": "balanced",
        "augment": "mixup",
        "loss": "hinge",
        "metrics": "accuracy",
        "labels": "onehot",
    }.items():
        with refuses(name, str(value)):
            kzoo.train("digits_cnn", (x, ink), **{name: value})
    with refuses("log_ratios=True", "classes", "values"):
        kzoo.train("text_ngrams", reviews(), target="rating", log_ratios=True)
    mixing = replace(
        kzoo.get_preset("digits_cnn"), training={"augment": ("shift", "cutmix"), "labels": "onehot"}
    )
    data = load_data((x, ink), preset=mixing)
    _, training, notes = adapt_to_data(mixing, mixing.config, mixing.training, frozenset(), data)
    assert training["augment"] == ("shift",) and notes_with(notes, "cutmix", "values")


# ---------------------------------------------------------------- baselines


def test_ridge_regression_on_images_is_that_of_scikit_learn():
    x, ink = digits()
    data = load_data((x, np.stack([ink, ink**2], axis=1)), preset="digits_cnn")
    for baseline, features in ((pixel_ridge, small), (color_ridge, histogram)):
        subset = BaselineData(data, seed=0)
        outputs, truth = next(iter(baseline(subset)(data.test)))
        strength = float(subset.notes[-1].split("=")[1].split()[0])
        train, test = (
            features(np.asarray(split.x[:]), 0.0, 255.0) for split in (data.train, data.test)
        )
        center = train.mean(axis=0)
        spread = train.std(axis=0).mean()
        train, test = (train - center) / spread, (test - center) / spread
        mean, deviation = data.train.y.mean(axis=0), data.train.y.std(axis=0)
        alpha = strength * (train.astype("float64") ** 2).sum(axis=0).mean()
        model = Ridge(alpha=alpha).fit(train.astype("float64"), (data.train.y - mean) / deviation)
        assert outputs / deviation == pytest.approx(
            model.predict(test) + mean / deviation, abs=1e-3
        )
        assert (truth == data.test.y).all()


def test_ridge_regression_on_texts_is_that_of_scikit_learn():
    data = load_data(reviews(), preset="text_cnn", target=["price", "rating"])
    subset = BaselineData(data, seed=0)
    outputs, _ = next(iter(tfidf_ridge(subset)(data.test)))
    alpha = float(subset.notes[-1].split("=")[1].split(",")[0])
    counts = Counts(BaselineData(data))
    mean, deviation = data.train.y.mean(axis=0), data.train.y.std(axis=0)
    model = make_pipeline(TfidfTransformer(sublinear_tf=True), Ridge(alpha=alpha, tol=1e-8))
    model.fit(counts(data.train.x), (data.train.y - mean) / deviation)
    expected = model.predict(counts(data.test.x)) + mean / deviation
    assert outputs / deviation == pytest.approx(expected, abs=1e-2)


def test_weights_of_rows_count_in_the_baselines():
    x, ink = digits()
    x, ink = x[:200], ink[:200]
    twice = np.arange(200) % 2 + 1.0
    data = load_data((x, ink, twice), preset="digits_cnn")
    train = data.train
    rows = np.repeat(np.arange(len(train)), np.rint(train.weight / train.weight.min()).astype(int))
    repeated = replace(data, train=Split(x=train.x[rows], y=train.y[rows]), seen={})
    for baseline in (pixel_ridge,):
        weighted, plain = (
            next(iter(baseline(BaselineData(d))(data.test)))[0] for d in (data, repeated)
        )
        assert np.corrcoef(weighted[:, 0], plain[:, 0])[0, 1] > 0.999


def test_all_baselines_are_scored_on_the_same_split():
    x, ink = digits()
    results = {
        result.name: result for result in kzoo.baselines.score((x, ink), preset="digits_cnn")
    }
    assert set(results) == {"pixel_ridge", "color_ridge", "mean"}
    assert results["pixel_ridge"].value > 0.9 and abs(results["mean"].value) < 0.05
    texts = {r.name: r for r in kzoo.baselines.score(reviews(), preset="text_cnn", target="rating")}
    assert set(texts) == {"tfidf_ridge", "mean"} and texts["tfidf_ridge"].value > 0.6


# ---------------------------------------------------------------- training and predictions


@pytest.fixture(scope="module")
def image_run(tmp_path_factory):
    x, ink = digits()
    out = tmp_path_factory.mktemp("ink")
    return kzoo.train(
        "digits_cnn",
        (x, ink),
        epochs=8,
        min_steps=0,
        filters=(8, 16),
        depth=1,
        units=(32,),
        units_dropout=0.1,
        dropout=0.0,
        out=out / "run",
    )


@pytest.fixture(scope="module")
def text_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("texts")
    return kzoo.train(
        "text_ngrams", reviews(), target=["rating", "price"], epochs=15, out=out / "run"
    )


def test_an_image_run(image_run):
    stored = image_run.answers
    assert stored["answers"].shape == stored["truth"].shape == (359, 1)
    scores = image_run.summary["test"]
    assert scores["r2"] == pytest.approx(r2_score(stored["truth"], stored["answers"]), abs=1e-5)
    assert scores["mae"] == pytest.approx(
        mean_absolute_error(stored["truth"], stored["answers"]), rel=1e-4
    )
    assert scores["r2"] > 0.5
    x, _ = digits()
    assert kzoo.predict(image_run, x[:5]).values.shape == (5, 1)
    assert (image_run.path / "curves.png").exists()


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_a_text_run(text_run):
    assert text_run.summary["test"]["targets"]["rating"]["r2"] > 0.5
    predictions = kzoo.predict(text_run, ["great lovely perfect shirt", "bad poor dull shirt"])
    assert (
        predictions.target_names == ("rating", "price")
        and predictions.values[0, 0] > predictions.values[1, 0] + 1
    )
    frame = reviews(40)
    scores = kzoo.evaluate(text_run, frame)
    values = kzoo.predict(text_run, frame["review"].tolist()).values
    assert scores["targets"]["price"]["mae"] == pytest.approx(
        np.abs(values[:, 1] - frame["price"]).mean(), rel=1e-4
    )
    renamed = kzoo.evaluate(
        text_run, frame.rename(columns={"price": "cost"}), target=["rating", "cost"]
    )
    assert renamed["mae"] == pytest.approx(scores["mae"])
    with refuses("'price'"):
        kzoo.evaluate(text_run, frame.drop(columns="price"))


def test_reports_show_the_worst_predictions(image_run, text_run):
    for run, words in (
        (image_run, ("R²", "small image and ridge regression")),
        (text_run, ("rating", "price")),
    ):
        page = kzoo.report(run).read_text(encoding="utf-8")
        assert all(word in page for word in words)
        assert run.answers["shown"].size > 12  # examples, then those with the largest errors


@pytest.mark.parametrize(("kind", "form"), [("image", "onnx"), ("text", "litert")])
def test_exports_and_the_runtime_predict_the_same(kind, form, request, tmp_path):
    run = request.getfixturevalue(f"{kind}_run")
    inputs = digits()[0][:9] if kind == "image" else ["a lovely shirt", "poor shoe bad bad"]
    kzoo.export(run, tmp_path / "export", [form], verify=False, progress=False)
    model = kzoo_runtime.load(tmp_path / "export")
    assert model.predict(inputs).values == pytest.approx(
        kzoo.predict(run, inputs).values, rel=1e-4, abs=1e-4
    )
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert f"- {kind}-regression" in card and run.data.target_names[-1] in card


def test_an_ensemble_and_folds(image_run, tmp_path):
    x, ink = digits()
    settings = dict(epochs=1, min_steps=0, filters=(4,), depth=1, units=(8,))
    folds = kzoo.cross_validate(
        "digits_cnn", (x[:200], ink[:200]), folds=2, out=tmp_path / "folds", **settings
    )
    assert "mae of pixel_ridge" in str(folds)
    other = kzoo.train("digits_cnn", (x, ink), out=tmp_path / "other", baselines=False, **settings)
    both = kzoo.ensemble([image_run, other], data=(x, ink), out=tmp_path / "both")
    mean = np.mean([kzoo.predict(run, x[:7]).values for run in (image_run, other)], axis=0)
    assert kzoo.predict(both, x[:7]).values == pytest.approx(mean, rel=1e-4)


def test_a_search(tmp_path):
    x, ink = digits()
    search = tune_here(
        "digits_cnn",
        (x[:200], ink[:200]),
        trials=1,
        engine="random",
        epochs=1,
        min_steps=0,
        filters=(4,),
        depth=1,
        units=(8,),
        out=tmp_path / "search",
        space="quick",
    )
    assert len(search.trials) == 1 and search.trials[0].score is not None
    names = {parameter.name for parameter in search.parameters}
    assert (
        "learning_rate" in {name[:13] for name in names}
        and not {"label_smoothing", "class_weight"} & names
    )


def test_weights_of_a_classification_begin_a_regression(tmp_path):
    x, ink = digits()
    labels = np.asarray(load_data("digits", validation=0, test=0).train.y)
    settings = dict(epochs=1, min_steps=0, filters=(8, 8), depth=1, units=(16,), baselines=False)
    kzoo.train("digits_cnn", (x, labels), out=tmp_path / "classes", **settings)
    run = kzoo.train(
        "digits_cnn", (x, ink), weights=tmp_path / "classes", out=tmp_path / "ink", **settings
    )
    assert run.model.output_shape == (None, 1)


def test_plain_keras_with_the_same_numbers(image_run):
    """A regression is what Keras makes of it: `unscale` is a linear layer with the mean and the deviation."""
    x, ink = digits()
    data = load_data((x, ink), preset="digits_cnn")
    unscale = image_run.model.layers[-1]
    inner = keras.Model(image_run.model.input, unscale.input)
    standardised = inner.predict(np.asarray(data.test.x[:20], "float32"), verbose=0)
    expected = standardised * data.train.y.std() + data.train.y.mean()
    assert kzoo.predict(image_run, data.test.x[:20]).values == pytest.approx(expected, rel=1e-4)
