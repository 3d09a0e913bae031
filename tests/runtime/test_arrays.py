"""Arrays in place of raw inputs, to Keras and to a runtime alike.

The class of faults: an array that is no answerable input, and is answered all the same.
"""

import numpy as np
import pytest

import kzoo
import kzoo.runtime
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("untraced")
SHAPE = (12, 12, 3)
PIXELS = np.full((2, *SHAPE), 90.0)


class Broken:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array today")


def spoiled(x, value, place):
    x = np.array(x, np.result_type(x, type(value)))
    x[place] = value
    return x


def both(pair):
    model = kzoo.runtime.load(pair.exported)
    return lambda x: kzoo.predict(pair.run, x), model.predict


def refused(pair, inputs, says):
    for predict in both(pair):
        with pytest.raises(kzoo.KzooError, match=says) as caught:
            predict(inputs)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (spoiled(PIXELS, np.nan, (1, 3, 4, 0)), "Input 2 holds NaN"),
        (
            spoiled(np.zeros((2, 20, 30, 3)), np.inf, (0, 0, 0, 0)),
            "Input 1 holds NaN or infinity",
        ),  # which a resize would hide
        ([PIXELS[0], spoiled(PIXELS[0], np.nan, 0)], "An input holds NaN"),
        (np.zeros((0, *SHAPE)), "no inputs were given"),
        (np.zeros((2, 0, 12, 3)), "Images are missing"),
        (PIXELS.astype(complex), "complex numbers"),
        (PIXELS.astype(object), "objects"),
        (np.array([["a", "b"]]), "texts"),
        (PIXELS / 255, r"divided by 255 .*pass the raw pixels, or x \* 255"),
        (list(np.concatenate([PIXELS * 0, PIXELS]) / 255), "divided by 255"),
        (PIXELS / 127.5 - 1, r"lie in -0.294118\.\.-0.294118: scaled to -1\.\.1, .* by \(x \+ 1\) \* 127.5"),
        (PIXELS.astype("uint16") * 257, r"0\.\.255; these lie in 23130\.\.23130: divide those of 16 bits by 257"),
        (np.full((2, 20, 30, 3), 4000, "uint16"), "these lie in 4000..4000"),  # which a resize would cut off
        ([PIXELS[0], spoiled(PIXELS[0], -5.0, 0)], r"these lie in -5\.\.90: bring them back"),
        (spoiled(PIXELS, 1e9, 0), "these lie in 90..1e"),
        (np.moveaxis(PIXELS, -1, 1), r"\(2, 3, 12, 12\) have their channels first: pass np.moveaxis\(x, -3, -1\)\."),
        (np.moveaxis(PIXELS[0], -1, 0), r"channels first: .*; 3 grey images are x\[\.\.\., None\]"),
    ],
)
def test_images(images, inputs, says):
    refused(images, inputs, says)


def test_dark_images_are_answered_and_black_and_white_ones_with_a_word(images):
    """An honest image may be black, or all but black; whole numbers up to 1 may be a mask that is to be 0 and 255."""
    for predict in both(images):
        for dark in (PIXELS * 0, PIXELS * 0 + 1, spoiled(PIXELS * 0, 2, 0), PIXELS / 255 * 255.00001 + 165.001):
            assert len(predict(dark)) == 2
        with pytest.warns(KzooWarning, match=r"All pixels are 0 or 1, .* pass x \* 255"):
            predict(spoiled(PIXELS * 0, 1, 0))
        assert len(predict([PIXELS[0] / 255, PIXELS[0]])) == 2  # together they are no 0..1


def test_images_are_scored_as_they_are_answered(images):
    x = np.concatenate([PIXELS, PIXELS * 2])
    y = ["dark", "dark", "light", "light"]
    assert kzoo.evaluate(images.run, (x, y))["examples"] == 4
    for wrong, says in ((x / 255, "divided by 255"), (x / 127.5 - 1, "-1..1"), (x * 257, "these lie in 23130..46260")):
        with pytest.raises(kzoo.KzooError, match=says):
            kzoo.evaluate(images.run, (wrong, y))


def test_rows(rows):
    x = kzoo.load_data(rows.run.path.parent.parent / "customers.csv", target="open").test.x
    for predict in both(rows):
        assert len(predict(x)) == len(x)
    codes = x.shape[1] - 2
    refused(rows, spoiled(x, -1.0, (0, codes)), r"Codes of '\w+' are whole numbers, 0 to \d+; \[0\] holds -1")
    refused(rows, spoiled(x, 1e9, (1, -1)), "holds 1000000000")
    refused(rows, spoiled(x, 0.5, (1, -1)), "holds 0.5")
    refused(rows, spoiled(x, np.nan, (1, 0)), "Input 2 holds NaN")
    refused(rows, x.astype(object), "objects")
    refused(rows, x.astype(complex), "complex")


def test_tokens_and_windows(texts, series):
    refused(texts, np.ones((2, 7), int), "have length 8")
    refused(texts, np.full((2, 8), -1), "whole numbers, 0 to")
    refused(texts, np.full((2, 8), 10**6), "whole numbers, 0 to")
    refused(texts, np.full((2, 8), 1.5), "holds 1.5")
    refused(series, np.full((1, 8, 2), np.nan), "Input 1 holds NaN")
    refused(
        series, spoiled(np.zeros((1, 8, 2)), 9.96921e36, (0, -1)), "gives NaN or infinity for"
    )  # netCDF's "missing"
    refused(series, np.full((1, 8, 2), 1j), "complex")


def test_ids_that_a_network_has_no_vector_of():
    """What is in the network answered with a traceback on TensorFlow, and with NaN elsewhere."""
    small = dict(input_shape=6, vocabulary_size=9, embedding_dim=4, filters=4)
    model = kzoo.build("text_cnn", compile=False, **small)
    assert len(kzoo.predict(model, np.full((2, 6), 8)).labels) == 2
    with pytest.raises(kzoo.KzooError, match=r"Token ids run from 9 to 9; the model knows 0 to 8\."):
        kzoo.predict(model, np.full((2, 6), 9))


def test_what_training_is_given():
    y = np.arange(30) % 3
    for x, says in (
        ([[1, 2], [3]], "cannot be read as an array"),
        (Broken(), "no array today"),
        (np.zeros((30, 4), complex), "complex"),
    ):
        with pytest.raises(kzoo.KzooError, match=says) as caught:
            kzoo.load_data((x, y))
        assert "\n" not in str(caught.value)
    with pytest.warns(KzooWarning, match="All pixels are 0 or 1"):
        kzoo.load_data((np.arange(30 * 64, dtype="uint8").reshape(30, 8, 8) % 2, y))
    with pytest.raises(kzoo.KzooError, match="y cannot be read"):
        kzoo.load_data((np.zeros((2, 4)), [[1, 2], [3]]))
