"""Arrays instead of raw inputs, for a run and for an exported model alike.

The class of faults: an array that cannot be an input, and is answered all the same.
"""

import numpy as np
import pytest
from messages import refuses, warns

import kzoo
import kzoo.runtime

pytestmark = pytest.mark.usefixtures("untraced")
SHAPE = (12, 12, 3)
PIXELS = np.full((2, *SHAPE), 90.0)


class Broken:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array today")


def spoiled(x, value, index):
    x = np.array(x, np.result_type(x, type(value)))
    x[index] = value
    return x


def both(pair):
    model = kzoo.runtime.load(pair.exported)
    return lambda x: kzoo.predict(pair.run, x), model.predict


def assert_refused(pair, inputs, *parts):
    for predict in both(pair):
        with refuses(*parts) as caught:
            predict(inputs)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        (spoiled(PIXELS, np.nan, (1, 3, 4, 0)), ("input 2", "NaN")),
        # which a resize would hide
        (spoiled(np.zeros((2, 20, 30, 3)), np.inf, (0, 0, 0, 0)), ("input 1", "infinity")),
        ([PIXELS[0], spoiled(PIXELS[0], np.nan, 0)], ("input", "NaN")),
        (np.zeros((0, *SHAPE)), ("predict", "inputs")),
        (np.zeros((2, 0, 12, 3)), ("images", "(2, 0, 12, 3)")),
        (PIXELS.astype(complex), ("images", "complex")),
        (PIXELS.astype(object), ("images", "objects")),
        (np.array([["a", "b"]]), ("images", "texts")),
        (PIXELS / 255, ("pixels", "0..1", "0..255", "x * 255")),
        (list(np.concatenate([PIXELS * 0, PIXELS]) / 255), ("pixels", "0..1", "0..255", "x * 255")),
        (PIXELS / 127.5 - 1, ("0..255", "-0.294118..-0.294118", "-1..1", "(x + 1) * 127.5")),
        (PIXELS.astype("uint16") * 257, ("0..255", "23130..23130", "16-bit", "257")),
        # which a resize would cut off
        (np.full((2, 20, 30, 3), 4000, "uint16"), ("0..255", "4000..4000")),
        ([PIXELS[0], spoiled(PIXELS[0], -5.0, 0)], ("0..255", "-5..90")),
        (spoiled(PIXELS, 1e9, 0), ("0..255", "90..1e+09")),
        (np.moveaxis(PIXELS, -1, 1), ("(2, 3, 12, 12)", "channels", "np.moveaxis(x, -3, -1)")),
        (
            np.moveaxis(PIXELS[0], -1, 0),
            ("(3, 12, 12)", "channels", "np.moveaxis(x, -3, -1)", "x[..., None]"),
        ),
    ],
)
def test_images(images, inputs, parts):
    assert_refused(images, inputs, *parts)


def test_dark_images_are_answered_and_black_and_white_ones_with_a_warning(images):
    """An honest image may be black, or all but black; whole numbers up to 1 may be a mask that is to be 0 and 255."""
    for predict in both(images):
        for dark in (
            PIXELS * 0,
            PIXELS * 0 + 1,
            spoiled(PIXELS * 0, 2, 0),
            PIXELS / 255 * 255.00001 + 165.001,
        ):
            assert len(predict(dark)) == 2
        with warns("pixels", "0 or 1", "x * 255"):
            predict(spoiled(PIXELS * 0, 1, 0))
        assert len(predict([PIXELS[0] / 255, PIXELS[0]])) == 2  # together they are no 0..1


def test_images_are_scored_as_they_are_answered(images):
    x = np.concatenate([PIXELS, PIXELS * 2])
    y = ["dark", "dark", "light", "light"]
    assert kzoo.evaluate(images.run, (x, y))["examples"] == 4
    for wrong, parts in (
        (x / 255, ("0..1", "x * 255")),
        (x / 127.5 - 1, ("-1..1", "127.5")),
        (x * 257, ("0..255", "23130..46260")),
    ):
        with refuses(*parts):
            kzoo.evaluate(images.run, (wrong, y))


def test_rows(rows, sources):
    x = kzoo.load_data(sources / "customers.csv", target="open").test.x
    for predict in both(rows):
        assert len(predict(x)) == len(x)
    codes = x.shape[1] - 2
    assert_refused(rows, spoiled(x, -1.0, (0, codes)), "'code'", "0", "5", "[0]", "-1")
    assert_refused(rows, spoiled(x, 1e9, (1, -1)), "'town'", "0", "5", "[1]", "1000000000")
    assert_refused(rows, spoiled(x, 0.5, (1, -1)), "'town'", "0", "5", "[1]", "0.5")
    assert_refused(rows, spoiled(x, np.nan, (1, 0)), "input 2", "NaN")
    assert_refused(rows, x.astype(object), "rows", "objects")
    assert_refused(rows, x.astype(complex), "rows", "complex")


def test_tokens_and_windows(texts, series):
    assert_refused(texts, np.ones((2, 7), int), "8", "(2, 7)")
    assert_refused(texts, np.full((2, 8), -1), "0", "42", "[0, 0]", "-1")
    assert_refused(texts, np.full((2, 8), 10**6), "0", "42", "[0, 0]", "1000000")
    assert_refused(texts, np.full((2, 8), 1.5), "0", "42", "[0, 0]", "1.5")
    assert_refused(series, np.full((1, 8, 2), np.nan), "input 1", "NaN")
    missing = spoiled(np.zeros((1, 8, 2)), 9.96921e36, (0, -1))  # as netCDF marks it
    assert_refused(series, missing, "series_gru", "NaN")
    assert_refused(series, np.full((1, 8, 2), 1j), "complex")


def test_ids_beyond_the_vocabulary_are_refused():
    """The network itself answers with a traceback on TensorFlow, and with NaN on other backends."""
    small = dict(input_shape=6, vocabulary_size=9, embedding_dim=4, filters=4)
    model = kzoo.build("text_cnn", compile=False, **small)
    assert len(kzoo.predict(model, np.full((2, 6), 8)).labels) == 2
    with refuses("ids", "9", "0", "8"):
        kzoo.predict(model, np.full((2, 6), 9))


def test_arrays_for_training():
    y = np.arange(30) % 3
    for x, parts in (
        ([[1, 2], [3]], ("x: 2", "y: 30")),  # two series of unequal lengths
        (Broken(), ("x", "no array today")),
        (np.zeros((30, 4), complex), ("x", "complex128")),
    ):
        with refuses(*parts) as caught:
            kzoo.load_data((x, y))
        assert "\n" not in str(caught.value)
    with warns("pixels", "0 or 1", "x * 255"):
        kzoo.load_data((np.arange(30 * 64, dtype="uint8").reshape(30, 8, 8) % 2, y))
    with refuses("y", "array", "inhomogeneous"):
        kzoo.load_data((np.zeros((2, 4)), [[1, 2], 3]))
