"""Images with a class each: their colours, or a few pixels, under a linear model."""

import numpy as np

from kzoo.baselines.baseline import baseline
from kzoo.baselines.linear import INVERSE_STRENGTHS, classifier, seconds_of

_BINS, _GREYS = 8, 64  # of each colour; of grey alone
_SIDE = 16  # pixels of a small image
_RANGE_OF = 256  # images, by which it is told in which range the pixels lie


def _levels(given):
    """Return the lowest value and the range of pixels: 0 and 255, unless the user has scaled them."""
    if "levels" not in given.shared:
        some = np.asarray(given.data.train.x[: min(_RANGE_OF, len(given.data.train))])
        low, high = float(some.min()), float(some.max())
        given.shared["levels"] = (0.0, 255.0) if low >= 0 and 1 < high <= 255 else (low, max(high - low, 1e-9))
    return given.shared["levels"]


def histogram(x, low, spread):
    """Return for each image (B, H, W, C) the square roots of the shares of its colours (B, bins).

    The square roots make a straight line between two images the Hellinger distance of their colours.
    """
    colours = x[..., :3] if x.shape[-1] >= 3 else x[..., :1]  # transparency, or whatever a second channel is, is none
    bins = _BINS if colours.shape[-1] == 3 else _GREYS
    steps = np.clip((colours.astype("float32") - low) * (bins / spread), 0, bins - 1).astype(np.int64)
    codes = steps @ bins ** np.arange(colours.shape[-1])
    count = bins ** colours.shape[-1]
    places = codes.reshape(len(x), -1) + count * np.arange(len(x))[:, None]
    shares = np.bincount(places.reshape(-1), minlength=count * len(x)).reshape(len(x), count)
    return np.sqrt(shares / shares.sum(axis=1, keepdims=True)).astype("float32")


def small(x, low, spread):
    """Return images (B, H, W, C) with at most 16 pixels a side, means of what lay there, as (B, numbers)."""
    x = (x.astype("float32") - low) / spread
    for axis in (1, 2):
        step = -(-x.shape[axis] // _SIDE)
        starts = np.arange(0, x.shape[axis], step)
        sizes = np.diff(np.append(starts, x.shape[axis])).astype("float32")
        x = np.add.reduceat(x, starts, axis=axis) / sizes.reshape(-1, *[1] * (x.ndim - axis - 1))
    return x.reshape(len(x), -1)


def _seconds(width):
    def seconds(given):
        parts = (given.train, given.data.validation, given.data.test)
        images = sum(len(part) for part in parts if part is not None)
        each = getattr(given.data.train.x, "seconds", 2e-8 * np.prod(given.shape))
        return images * each + seconds_of(len(given.train), width(given), given.outputs)

    return seconds


def _linear(given, look):
    """Fit a linear model of the log odds on a look at the images, of which files are read once."""
    low, spread = _levels(given)

    def looked(part):
        key = look.__name__, id(part)
        if key not in given.shared:
            looks = ((look(x, low, spread), truth) for x, truth in given.blocks(part))
            given.shared[key] = [np.concatenate(column) for column in zip(*looks, strict=True)]
        return given.shared[key]

    if "files" in given.data.seen:  # other presets bring them to other sizes
        given.notes.append(f"of images of {given.shape[0]}x{given.shape[1]} pixels")
    x, y = looked(given.train)
    middle, scale = x.mean(axis=0), x.std(axis=0).mean() or 1.0

    def fitted(c):
        answer = classifier(
            (x - middle) / scale, y, given.outputs, inverse_strength=c, seed=given.seed, weight=given.weight
        )

        def answers(part):
            x, truth = looked(part)
            yield answer((x - middle) / scale), truth

        return answers

    return given.best({f"C={c:g}": fitted(c) for c in INVERSE_STRENGTHS})


@baseline(
    "colour histogram and logistic regression", "pixels", "classes", reference="https://doi.org/10.1007/BF00130487",
    seconds=_seconds(lambda given: _BINS**3 if given.shape[-1] >= 3 else _GREYS),
)  # fmt: skip
def colors(given):
    """Count the colours of each image, wherever they are, and fit a linear model of the log odds."""
    return _linear(given, histogram)


@baseline(
    "small image and logistic regression", "pixels", "classes",
    reference="https://scikit-learn.org/stable/modules/linear_model.html",
    seconds=_seconds(lambda given: np.prod([min(side, _SIDE) for side in given.shape[:2]]) * given.shape[2]),
)  # fmt: skip
def pixels(given):
    """Bring each image to at most 16 pixels a side, and fit a linear model of the log odds."""
    return _linear(given, small)
