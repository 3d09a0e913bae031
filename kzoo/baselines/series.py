"""Series with a label or values: nearest neighbour, and linear models of summary statistics."""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import baseline
from kzoo.baselines.linear import (
    INVERSE_STRENGTHS,
    STRENGTHS,
    RidgeFits,
    best_logistic,
    classifier_seconds,
)

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData, Predictor


_NEIGHBOUR = "https://doi.org/10.1007/s10618-016-0483-9"
_SUMMARY = "https://scikit-learn.org/stable/modules/linear_model.html"
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_STATISTICS = len(_QUANTILES) + 6  # of each column
_BLOCK = 4_000_000  # numbers in a block of distances
_FIRST = 1.0  # inverse strength without validation rows


def _parts(subset: "BaselineData", x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return series (B, T, F) and which steps are real (B, T)."""
    x = np.asarray(x, "float32")
    if subset.data.config.get("padded"):
        return x[..., :-1], x[..., -1] > 0
    return x, np.ones(x.shape[:2], bool)


def _stretched(subset: "BaselineData", x: np.ndarray) -> np.ndarray:
    """Return series as vectors (B, T * F); padded ones are interpolated to the full number of steps."""
    values, real = _parts(subset, x)
    if not real.all():
        steps = values.shape[1]
        lengths = np.maximum(real.sum(axis=1), 1)
        positions = np.arange(steps)[None] * (lengths[:, None] - 1) / max(steps - 1, 1)  # (B, T)
        low = np.floor(positions).astype(int)
        high = np.minimum(low + 1, lengths[:, None] - 1)
        share = (positions - low)[..., None].astype("float32")
        rows = np.arange(len(values))[:, None]
        values = values[rows, low] * (1 - share) + values[rows, high] * share
    return values.reshape(len(values), -1)


def _pairs(subset: "BaselineData") -> int:
    parts = (subset.data.validation, subset.data.test)
    return sum(len(part) for part in parts if part is not None) * len(subset.train)


@baseline(
    "nearest neighbour",
    "columns",
    "steps",
    "unordered",
    lacks=("quantiles", "labels", "counts"),
    reference=_NEIGHBOUR,
    logits=None,
    seconds=lambda subset: 1e-2 + 1e-9 * _pairs(subset) * float(np.prod(subset.shape)),
)
def nearest_series(subset: "BaselineData") -> "Predictor":
    """Predict the target of the training series with the smallest Euclidean distance, columns standardised.

    Series of different lengths are interpolated to the same number of steps.
    """
    values, real = _parts(subset, subset.x)
    spread = np.maximum(values[real].std(axis=0, dtype="float64"), 1e-12)
    factor = np.tile(1 / spread, values.shape[1]).astype("float32")
    train = _stretched(subset, subset.x) * factor
    y = subset.y
    squares = np.einsum("nd,nd->n", train, train)
    classes = subset.classes

    def predict(x: np.ndarray) -> np.ndarray:
        rows = _stretched(subset, x) * factor
        nearest = []
        step = max(1, _BLOCK // len(train))
        for start in range(0, len(rows), step):
            # without the square of the row itself
            distances = squares - 2 * rows[start : start + step] @ train.T
            nearest.append(distances.argmin(axis=1))
        found = y[np.concatenate(nearest)]
        return found if classes is None else np.eye(classes, dtype="float32")[found]

    def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
        padded = subset.data.config.get("padded")
        values = networks.stretched(inputs[..., :-1], inputs[..., -1:] > 0) if padded else inputs
        rows = networks.flat(networks.unscaled(values, 1 / spread, 0.0))
        return networks.nearest(rows, train, y if classes is None else np.eye(classes)[y])

    return subset.by_blocks(predict, network=network)


def summary_statistics(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return statistics of each column of series, (B, F * 11 + 1).

    They are the quartiles and extremes, mean, standard deviation, slope, mean absolute step, correlation of
    neighbours, and last value; and the number of steps of the series.

    Args:
        values: (B, T, F).
        real: (B, T) which steps are real; they come first.
    """
    rows = []
    for series, mask in zip(values.astype("float64"), real, strict=True):
        x = series[: max(int(mask.sum()), 1)]
        center, spread = x.mean(axis=0), x.std(axis=0)
        around = x - center
        step = np.arange(len(x)) - (len(x) - 1) / 2
        slope = step @ around / max(float(step @ step), 1e-12)
        change = np.abs(np.diff(x, axis=0)).mean(axis=0) if len(x) > 1 else np.zeros_like(center)
        neighbours = (around[1:] * around[:-1]).sum(axis=0) / np.maximum(
            (around**2).sum(axis=0), 1e-12
        )
        quantiles = np.quantile(x, _QUANTILES, axis=0)
        rows.append(
            np.concatenate([*quantiles, center, spread, slope, change, neighbours, x[-1], [len(x)]])
        )
    return np.stack(rows)


class _Summary:
    """Standardised summary statistics of series."""

    def __init__(self, subset: "BaselineData") -> None:
        self.subset = subset
        statistics = self._statistics(subset.x)
        self.center, spread = statistics.mean(axis=0), statistics.std(axis=0)
        self.spread = np.where(spread > 1e-9, spread, 1.0)

    def _statistics(self, x: np.ndarray) -> np.ndarray:
        return summary_statistics(*_parts(self.subset, x))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (self._statistics(x) - self.center) / self.spread

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor":
        """Return the network of `self(x) @ kernel + bias`."""
        padded = self.subset.data.config.get("padded")
        values, real = (inputs[..., :-1], inputs[..., -1:] > 0) if padded else (inputs, None)
        statistics = networks.summary_statistics(values, real, _QUANTILES)
        x = networks.standardised(statistics, self.center, self.spread, name="statistics")
        return networks.dense(x, kernel, bias, name="linear")


def _width(subset: "BaselineData") -> int:
    return subset.shape[-1] * _STATISTICS + 1


def _reading_seconds(subset: "BaselineData") -> float:
    parts = (subset.train, subset.data.validation, subset.data.test)
    return 3e-4 * sum(len(part) for part in parts if part is not None)


@baseline(
    "summary statistics and logistic regression",
    "columns",
    "steps",
    "unordered",
    "classes",
    reference=_SUMMARY,
    seconds=lambda subset: (
        _reading_seconds(subset)
        + classifier_seconds(len(subset.train), _width(subset), subset.outputs)
    ),
)
def summary_logistic(subset: "BaselineData") -> "Predictor":
    """Fit logistic regression on statistics of each column; its strength is chosen on validation data."""
    features = _Summary(subset)
    strengths = (_FIRST, *(c for c in INVERSE_STRENGTHS if c != _FIRST))
    return best_logistic(subset, features(subset.x), features, strengths)


@baseline(
    "summary statistics and ridge regression",
    "columns",
    "steps",
    "unordered",
    "values",
    lacks=("counts", "quantiles"),
    reference=_SUMMARY,
    seconds=lambda subset: (
        _reading_seconds(subset) + 0.01 + 1e-9 * len(subset.train) * _width(subset) ** 2
    ),
)
def summary_ridge(subset: "BaselineData") -> "Predictor":
    """Fit ridge regression on statistics of each column; its strength is chosen on validation data."""
    features = _Summary(subset)
    fits = RidgeFits(features(subset.x), subset.y, subset.weight)

    def fitted(strength: float) -> "Predictor":
        predict, linear = fits.fitted(strength)
        of_features = linear.before_scaling(fits.center, fits.spread)
        return subset.by_blocks(
            lambda rows: predict(features(rows)),
            network=lambda inputs: of_features.network(features, inputs, fits.shape),
        )

    return subset.best({f"alpha={strength:g} n": fitted(strength) for strength in STRENGTHS})
