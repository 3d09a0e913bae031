"""Images: a linear model of the colour histogram, or of a few pixels."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kzoo.baselines import networks
from kzoo.baselines.baseline import baseline
from kzoo.baselines.data import Predictor
from kzoo.baselines.linear import (
    INVERSE_STRENGTHS,
    STRENGTHS,
    RidgeFits,
    classifier,
    classifier_seconds,
)

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData
    from kzoo.data.dataset import Split


_BINS, _GREYS = 8, 64  # of each colour; of grey alone
_SIDE = 16  # pixels of a small image
_HISTOGRAM = "https://doi.org/10.1007/BF00130487"
_LINEAR = "https://scikit-learn.org/stable/modules/linear_model.html"
_SAMPLED_IMAGES = 256  # images used to find the range of pixel values


# a function of images, their lowest value and their range, that returns features
_Features: TypeAlias = Callable[[np.ndarray, ArrayLike, float], np.ndarray]


def _levels(subset: "BaselineData") -> tuple[float, float]:
    """Return (lowest value, range) of the pixels: (0, 255), unless the user has scaled them."""
    if "levels" not in subset.shared:
        sample = np.asarray(subset.data.train.x[: min(_SAMPLED_IMAGES, len(subset.data.train))])
        low, high = float(sample.min()), float(sample.max())
        subset.shared["levels"] = (
            (0.0, 255.0) if low >= 0 and 1 < high <= 255 else (low, max(high - low, 1e-9))
        )
    return subset.shared["levels"]


def histogram(x: np.ndarray, low: ArrayLike, pixel_range: float) -> np.ndarray:
    """Return the square roots of the shares of the colours of each image (B, H, W, C), as (B, bins).

    With square roots, the Euclidean distance of two images is the Hellinger distance of their colours.
    """
    # ignores transparency and other channels
    colours = x[..., :3] if x.shape[-1] >= 3 else x[..., :1]
    bins = _BINS if colours.shape[-1] == 3 else _GREYS
    steps = np.clip((colours.astype("float32") - low) * (bins / pixel_range), 0, bins - 1).astype(
        np.int64
    )
    codes = steps @ bins ** np.arange(colours.shape[-1])
    count = bins ** colours.shape[-1]
    bin_indices = codes.reshape(len(x), -1) + count * np.arange(len(x))[:, None]
    shares = np.bincount(bin_indices.reshape(-1), minlength=count * len(x)).reshape(len(x), count)
    return np.sqrt(shares / shares.sum(axis=1, keepdims=True)).astype("float32")


def small(x: np.ndarray, low: ArrayLike, pixel_range: float) -> np.ndarray:
    """Return images (B, H, W, C) averaged down to at most 16 pixels a side, as (B, numbers)."""
    x = (x.astype("float32") - low) / pixel_range
    for axis in (1, 2):
        step = -(-x.shape[axis] // _SIDE)
        starts = np.arange(0, x.shape[axis], step)
        sizes = np.diff(np.append(starts, x.shape[axis])).astype("float32")
        x = np.add.reduceat(x, starts, axis=axis) / sizes.reshape(-1, *[1] * (x.ndim - axis - 1))
    return x.reshape(len(x), -1)


def _colour_count(subset: "BaselineData") -> int:
    return _BINS**3 if subset.shape[-1] >= 3 else _GREYS


def _pixel_count(subset: "BaselineData") -> int:
    return math.prod(min(side, _SIDE) for side in subset.shape[:2]) * subset.shape[2]


def _reading_seconds(subset: "BaselineData") -> float:
    parts = (subset.train, subset.data.validation, subset.data.test)
    images = sum(len(part) for part in parts if part is not None)
    return images * getattr(subset.data.train.x, "seconds", 2e-8 * np.prod(subset.shape))


def _seconds(width: "Callable[[BaselineData], float]") -> "Callable[[BaselineData], float]":
    def seconds(subset: "BaselineData") -> float:
        return _reading_seconds(subset) + classifier_seconds(
            len(subset.train), width(subset), subset.outputs
        )

    return seconds


def _ridge_seconds(width: "Callable[[BaselineData], float]") -> "Callable[[BaselineData], float]":
    return lambda subset: (
        _reading_seconds(subset) + 0.01 + 1e-9 * len(subset.train) * float(width(subset)) ** 2
    )


def _reader_of_features(
    subset: "BaselineData", features: _Features
) -> "Callable[[Split], tuple[np.ndarray, np.ndarray]]":
    """Return a function of a split that returns features and targets; image files are read only once."""
    low, pixel_range = _levels(subset)

    def features_of(part: "Split") -> tuple[np.ndarray, np.ndarray]:
        key = features.__name__, id(part)
        if key not in subset.shared:
            blocks = ((features(x, low, pixel_range), truth) for x, truth in subset.blocks(part))
            # With the split itself: another one may get the id of one that no longer exists.
            subset.shared[key] = (
                part,
                [np.concatenate(column) for column in zip(*blocks, strict=True)],
            )
        return subset.shared[key][1]

    if "files" in subset.data.seen:  # presets may resize them differently
        subset.notes.append(f"of images of {subset.shape[0]}x{subset.shape[1]} pixels")
    return features_of


class _NetworkFeatures:
    """Features of images in a network.

    Args:
        subset: the `BaselineData`.
        features: `histogram` or `small`.
        center, scale: the features are standardised by these.
    """

    def __init__(
        self,
        subset: "BaselineData",
        features: Callable[..., Any],
        center: np.ndarray,
        scale: ArrayLike,
    ) -> None:
        self.subset = subset
        self.features = features
        self.center = center
        self.scale = scale

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor":
        """Return the network of the standardised features times a kernel."""
        kernel = kernel / self.scale
        bias = bias - np.asarray(self.center, "float64") @ kernel
        low, pixel_range = _levels(self.subset)
        if self.features is small:
            sides = inputs.shape[1:3]
            steps = [-(-side // _SIDE) for side in sides]
            # An average of a filled square is too small by the share that is filled.
            row, column = (_fill(side, step) for side, step in zip(sides, steps, strict=True))
            filled = np.repeat(np.outer(row, column).reshape(-1), inputs.shape[-1])
            x = networks.pooled(inputs, low, pixel_range, steps)
            return networks.dense(x, kernel * filled[:, None], bias, name="linear")
        colours = inputs[..., :3] if inputs.shape[-1] >= 3 else inputs[..., :1]
        bins = _BINS if colours.shape[-1] == 3 else _GREYS
        return networks.dense(
            networks.histogram(colours, low, pixel_range, bins), kernel, bias, name="linear"
        )


def _fill(side: int, step: int) -> np.ndarray:
    """Return for each block of pixels of a side the length of a block divided by the number of its pixels."""
    starts = np.arange(0, side, step)
    return step / np.diff(np.append(starts, side))


def _linear(subset: "BaselineData", features: _Features) -> Predictor:
    """Fit logistic regression on features of the images."""
    features_of = _reader_of_features(subset, features)
    x, y = features_of(subset.train)
    center, scale = x.mean(axis=0), x.std(axis=0).mean() or 1.0
    in_network = _NetworkFeatures(subset, features, center, scale)

    def fitted(c: float) -> Predictor:
        classify = classifier(
            (x - center) / scale,
            y,
            subset.outputs,
            inverse_strength=c,
            seed=subset.seed,
            weight=subset.weight,
        )

        def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
            part_features, truth = features_of(part)
            yield classify((part_features - center) / scale), truth

        return Predictor(predict, lambda inputs: classify.linear.network(in_network, inputs))

    return subset.best({f"C={c:g}": fitted(c) for c in INVERSE_STRENGTHS})


def _ridge(subset: "BaselineData", features: _Features) -> Predictor:
    """Fit ridge regression on features of the images."""
    features_of = _reader_of_features(subset, features)
    ridge = RidgeFits(*features_of(subset.train), subset.weight)
    in_network = _NetworkFeatures(subset, features, ridge.center, ridge.spread)

    def fitted(strength: float) -> Predictor:
        predict_rows, linear = ridge.fitted(strength)

        def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
            x, truth = features_of(part)
            yield predict_rows(x), truth

        return Predictor(predict, lambda inputs: linear.network(in_network, inputs, ridge.shape))

    return subset.best(
        {f"alpha={strength:g} per training row": fitted(strength) for strength in STRENGTHS}
    )


@baseline(
    "colour histogram and logistic regression",
    "pixels",
    "probabilities",
    "kept",
    reference=_HISTOGRAM,
    seconds=_seconds(_colour_count),
)
def colors(subset: "BaselineData") -> Predictor:
    """Fit logistic regression on the colour histogram of each image."""
    return _linear(subset, histogram)


@baseline(
    "small image and logistic regression",
    "pixels",
    "probabilities",
    "kept",
    reference=_LINEAR,
    seconds=_seconds(_pixel_count),
)
def pixels(subset: "BaselineData") -> Predictor:
    """Fit logistic regression on each image reduced to at most 16 pixels a side."""
    return _linear(subset, small)


@baseline(
    "colour histogram and ridge regression",
    "pixels",
    "values",
    lacks=("counts", "quantiles"),
    reference=_HISTOGRAM,
    seconds=_ridge_seconds(_colour_count),
)
def color_ridge(subset: "BaselineData") -> Predictor:
    """Fit ridge regression on the colour histogram of each image."""
    return _ridge(subset, histogram)


@baseline(
    "small image and ridge regression",
    "pixels",
    "values",
    lacks=("counts", "quantiles"),
    reference=_LINEAR,
    seconds=_ridge_seconds(_pixel_count),
)
def pixel_ridge(subset: "BaselineData") -> Predictor:
    """Fit ridge regression on each image reduced to at most 16 pixels a side."""
    return _ridge(subset, small)
