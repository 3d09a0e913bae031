"""Arrays in place of raw inputs, to Keras and to a runtime alike.

The class of faults: an array that is no answerable input, and is answered all the same.
"""

import numpy as np
import pytest

import kzoo
import kzoo.runtime

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
    ],
)
def test_images(images, inputs, says):
    refused(images, inputs, says)


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
    refused(series, np.full((1, 8, 2), 1j), "complex")


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
    with pytest.raises(kzoo.KzooError, match="y cannot be read"):
        kzoo.load_data((np.zeros((2, 4)), [[1, 2], [3]]))
