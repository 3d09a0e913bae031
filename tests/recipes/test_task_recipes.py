"""Claims of the task recipes, beyond running, from their variables."""

import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest

import kzoo
from kzoo.data.generated import shapes

RECIPES = Path(__file__).parents[2] / "recipes"
pytestmark = pytest.mark.usefixtures("undrawn", "untraced")


@pytest.fixture
def recipe(monkeypatch):
    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        return runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")

    return run


def test_cifar_trains_without_the_test_images_and_reuses_a_finished_run(recipe, tmp_path):
    images, classes, _ = shapes(60)
    for i, (pixels, number) in enumerate(zip(images[:, ::2, ::2], classes % 2, strict=True)):
        file = (
            tmp_path
            / "photos"
            / ("test" if i < 20 else "train")
            / ("cat", "frog")[number]
            / f"{i:02}.png"
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    words = ("--data", tmp_path / "photos", "--epochs", 1, "--out", tmp_path / "run")
    names = recipe("cifar_cnn", *words, "--chinese")
    data = names["data"]
    # by class, as the classes are numbered
    files = sorted((tmp_path / "photos/test").rglob("*.png"))
    assert (data.test.x == np.stack([np.asarray(Image.open(file)) for file in files])).all()
    # a tenth of the training images, none of the test's
    assert len(data.train) == 36 and len(data.validation) == 4
    assert set(names["true"]) == {"猫", "青蛙"}
    titles = [axes.get_title() for axes in names["figure"].axes]
    assert len(titles) == 10 and all("猫" in title or "青蛙" in title for title in titles)
    assert names["row"]["accuracy"] == names["run"].summary["test"]["accuracy"]
    before = (tmp_path / "run/best.keras").stat().st_mtime_ns
    assert recipe("cifar_cnn", *words)["row"] == names["row"]
    assert (tmp_path / "run/best.keras").stat().st_mtime_ns == before


def test_counting_words_reaches_an_accuracy_of_1(recipe, tmp_path):
    (tmp_path / "mine").mkdir()
    for name, words in (("positive", "a joy"), ("negative", "a bore")):
        (tmp_path / "mine" / f"{name}.txt").write_text(
            "\n".join(f"{words} {i}" for i in range(120))
        )
    words = (
        "--data",
        tmp_path / "mine",
        "--smoke",
        "--out",
        tmp_path / "out",
        "--presets",
        "text_cnn",
    )
    counting = recipe("text_reviews", *words)["rows"][0]
    # or a little less, by rounding
    assert counting["accuracy"] == 1 and counting["high"] == pytest.approx(1)


def test_text_families_are_tested_on_the_same_sentences(recipe, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "mine").mkdir()
    for name, words in (("positive", "a joy"), ("negative", "a bore")):
        lines = [
            f"{' '.join(rng.choice(list('abcdefgh'), 4))} {words if i % 4 else ''} {i}"
            for i in range(60)
        ]
        (tmp_path / "mine" / f"{name}.txt").write_text("\n".join(lines))
    words = (
        "--data",
        tmp_path / "mine",
        "--smoke",
        "--out",
        tmp_path / "out",
        "--presets",
        "text_gru",
        "text_cnn",
    )
    names = recipe("text_reviews", *words)
    first, second = names["data"].values()
    assert (first.test.y == second.test.y).all() and len(first.test) == 24
    assert [row["preset"] for row in names["rows"]] == ["counting words", "text_gru", "text_cnn"]
    for row in names["rows"]:
        interval = binomtest(round(row["accuracy"] * 24), 24).proportion_ci(method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert names["rows"][0]["accuracy"] > 0.7  # three in four sentences have a word of their class


def test_random_convolutions_learn_from_thirty_series(smoke):
    rows = smoke("series_classes").left["rows"]
    assert rows[0]["model"] == "series_rocket" and rows[0]["series"] == 30
    assert rows[0]["accuracy"] > 0.75  # of three classes; .93 when this was written


def test_a_table_is_cleaned_and_gets_its_column(smoke):
    names = smoke("tabular_fnn").left
    cut, added = names["data"].values()
    frame = names["frame"]
    assert frame["stops"].isna().any() and "stops is missing" in cut.feature_names
    assert not any("order_id" in name for name in cut.feature_names)
    column = cut.feature_names.index("distance")
    assert (
        max(part.x[:, column].max() for part in (cut.train, cut.validation, cut.test))
        < frame["distance"].max()
    )
    assert "hours" in added.feature_names and "hours" not in cut.feature_names
    hours, distance, speed = (
        added.train.x[:, added.feature_names.index(n)] for n in ("hours", "distance", "speed")
    )
    whole = distance < distance.max()  # those not cut off
    assert np.median(np.abs(hours - distance / speed)[whole]) < 1e-4
    assert [row["metric"] for row in names["rows"]] == ["r2"] * 2


def test_another_table_with_classes(recipe, tmp_path):
    size = np.random.default_rng(0).normal(size=80)
    pd.DataFrame({"size": size, "big": np.where(size > 0, "yes", "no")}).to_csv(
        tmp_path / "my.csv", index=False
    )
    words = ("--data", tmp_path / "my.csv", "--target", "big", "--out", tmp_path / "out")
    rows = recipe("tabular_fnn", "--smoke", *words)["rows"]
    assert [(row["table"], row["metric"]) for row in rows] == [("outliers cut off", "accuracy")]
    assert rows[0]["trees"] > 0.8


def test_rates_are_compared_with_the_true_ones_of_the_same_rows(smoke):
    names = smoke("tabular_counts").left
    # another order of the rows would be worse than the mean
    assert names["rows"][0]["model"] == "the true rates"
    poisson, squares = (names["runs"][name, 0].answers for name in ("Poisson", "squared error"))
    np.testing.assert_array_equal(poisson["truth"], squares["truth"])
    assert poisson["answers"].min() > 0


def test_a_table_of_other_counts_has_no_true_rates(recipe, tmp_path):
    random = np.random.default_rng(0)
    size = random.uniform(0, 3, 200)
    pd.DataFrame({"size": size, "visits": random.poisson(size)}).to_csv(
        tmp_path / "my.csv", index=False
    )
    words = ("--data", tmp_path / "my.csv", "--target", "visits", "--out", tmp_path / "out")
    models = {row["model"] for row in recipe("tabular_counts", "--smoke", *words)["rows"]}
    assert {
        "network, Poisson",
        "network, squared error",
    } <= models and "the true rates" not in models


def test_coverage_is_that_of_evaluate_and_the_mean_of_its_fifths(smoke):
    names = smoke("tabular_quantiles").left
    (data,), (run,) = names["data"].values(), names["runs"].values()
    scores = kzoo.evaluate(run, data)
    row = names["scores"][0]
    assert row["model"] == "network"
    assert (row["coverage"], row["pinball"], row["width"]) == pytest.approx(
        tuple(scores[name] for name in ("coverage", "pinball", "band_width")), rel=1e-5
    )
    shares = [value for name, value in names["fifths"][0].items() if name != "model"]
    assert np.mean(shares) == pytest.approx(row["coverage"]) and len(data.test) % 5 == 0
    assert names["scores"][1]["model"] == "network's median, same width"


def test_the_error_of_a_digit_is_that_of_its_own_images(smoke):
    names = smoke("image_values").left
    (test,), (table,) = (data.test for data in names["data"].values()), names["answers"]
    np.testing.assert_allclose(table.truth, names["angles"][test.rows], rtol=1e-5)
    for image, row in zip(test.x[:3], test.rows[:3], strict=True):
        np.testing.assert_array_equal(image, names["x"][row])
    assert (table.digit == names["digits"][test.rows]).all()


def few_layers(input_shape, *, include_top, weights, pooling, minimalistic=False):
    """Stand in for MobileNetV3Small: a few layers with the same names each time."""
    assert not include_top and not minimalistic and pooling == "avg"
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(inputs)
    for i in range(12):
        x = keras.layers.Conv2D(
            4, 3, strides=2 if i < 3 else 1, padding="same", name=f"convolution_{i}"
        )(x)
        x = keras.layers.BatchNormalization(name=f"normalization_{i}")(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="average")(x))
    if weights is not None:
        model.load_weights(weights)
    return model


def test_finetuning_changes_the_top_layers_alone(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNetV3Small", few_layers)
    source = few_layers((64, 64, 3), include_top=False, weights=None, pooling="avg")
    source.save_weights(tmp_path / "mine.weights.h5")
    before = {layer.name: layer.get_weights() for layer in source.layers}
    names = recipe(
        "image_finetune",
        "--smoke",
        "--weights",
        tmp_path / "mine.weights.h5",
        "--out",
        tmp_path / "out",
    )
    assert names["data"].train.x.max() > 1  # raw pixels: the network scales them

    def moved(model):
        """Return the names of layers whose weights are no longer those of the file."""
        pairs = {
            layer.name: (layer.get_weights(), before[layer.name])
            for layer in model.layers
            if layer.name in before
        }
        return [
            name
            for name, (now, then) in pairs.items()
            if any((a != b).any() for a, b in zip(now, then, strict=True))
        ]

    assert moved(names["head"].model) == []
    tuned = names["tuned"].model
    layers = [layer.name for layer in tuned.layers]
    # no batch normalisation
    top = [name for name in layers[len(layers) * 3 // 4 :] if name.startswith("convolution")]
    assert len(top) > 1 and moved(tuned) == top
    assert kzoo.evaluate(names["tuned"], names["data"])["accuracy"] == names["rows"][1]["accuracy"]
