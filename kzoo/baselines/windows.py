"""Series: ridge regression on the window, in closed form."""

from abc import abstractmethod
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import baseline
from kzoo.baselines.linear import STRENGTHS, Sums, unscaled, with_bias
from kzoo.data.store.windows import RowArray, sample_indices, series_of

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData, Predictor


# rows of a series that is not in memory, from which their scale is computed
_MOST_SAMPLED = 200_000
_MOST_AT_ONCE = 20_000_000  # numbers
# steps times columns of a window; only the last steps of larger windows are used
_MOST_FEATURES = 1_500


@baseline(
    "ridge regression on the window",
    "columns",
    "steps",
    "values",
    lacks=("quantiles",),
    reference="https://arxiv.org/abs/2205.13504",
    seconds=lambda subset: (
        0.01 + 4e-10 * len(subset.train) * _products(subset) + 2e-7 * _predicted_values(subset)
    ),
)
def ridge_windows(subset: "BaselineData") -> "Predictor":
    """Fit the steps ahead as a linear function of the window, in closed form.

    For series, two variants are tried: each target from its own past only, with the last value subtracted and the same
    weights for all targets (the linear models of "Are Transformers Effective for Time Series Forecasting?"), and from
    all columns. The variant and the strength of the ridge penalty are chosen on validation data.
    """
    all_columns = _AllColumns(subset)
    variants: dict[str, _Variant] = {} if all_columns.cut else {"all columns": all_columns}
    if has_own_past(subset):
        variants["its own past"] = _OwnPast(subset)
    if not variants:
        variants = {f"the last {all_columns.steps} steps": all_columns}
    for x, y in subset.blocks():
        for variant in variants.values():
            variant.add(x.astype("float64"), y.astype("float64"))
    return subset.best(
        {
            f"{name}, alpha={strength:g} n": variant.fitted(strength)
            for name, variant in variants.items()
            for strength in STRENGTHS
        }
    )


def has_own_past(subset: "BaselineData") -> bool:
    """Return whether the first columns of a window are the past of the targets."""
    x, y = subset.data.train.x, subset.data.train.y
    columns, targets = series_of(x), series_of(y)
    if columns is None or targets is None or targets.ndim != 2:
        return False
    return bool(
        np.array_equal(columns[: 2 * x.length, : targets.shape[1]], targets[: 2 * x.length])
    )


def _products(subset: "BaselineData") -> int:
    steps, columns = subset.shape
    own_past = steps**2 * subset.data.train.y.shape[-1] if has_own_past(subset) else 0
    return min(steps * columns, _MOST_FEATURES) ** 2 + own_past


def _predicted_values(subset: "BaselineData") -> int:
    """Return how many values are predicted to choose a strength."""
    validation = subset.validation
    return (
        0 if validation is None else len(STRENGTHS) * len(validation) * prod(validation.y.shape[1:])
    )


class _Variant:
    """Base of the variants: standardised windows as features, standardised targets relative to the last value."""

    def __init__(self, subset: "BaselineData") -> None:
        self.subset = subset
        self.sums = Sums()
        x, y = subset.train.x, subset.train.y
        rows = (_rows_of(part) for part in (x, y))
        (self.middle, self.spread), (self.offset, self.scale) = (
            _moments(values) for values in rows
        )
        self.targets = y.shape[-1]

    @abstractmethod
    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add windows (B, T, F) and their targets (B, horizon, targets) to the sums."""

    @abstractmethod
    def answer(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the targets of windows."""

    @abstractmethod
    def network(self, inputs: "keras.KerasTensor", weights: np.ndarray) -> "keras.KerasTensor":
        """Return the network of `answer`."""

    def fitted(self, strength: float) -> "Predictor":
        weights = self.sums.weights(strength)
        return self.subset.by_blocks(
            lambda x: self.answer(np.asarray(x, "float64"), weights),
            network=lambda inputs: self.network(inputs, weights),
        )


class _AllColumns(_Variant):
    """Each target from all columns of the window."""

    def __init__(self, subset: "BaselineData") -> None:
        super().__init__(subset)
        steps, columns = subset.shape
        self.steps = min(steps, max(1, _MOST_FEATURES // columns))
        self.cut = self.steps < steps

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        self.sums.add(self._features(x), ((y - self.offset) / self.scale).reshape(len(y), -1))

    def answer(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        y = with_bias(self._features(x)) @ weights
        return y.reshape(len(x), *self.subset.data.train.y.shape[1:]) * self.scale + self.offset

    def network(self, inputs: "keras.KerasTensor", weights: np.ndarray) -> "keras.KerasTensor":
        shape = self.subset.data.train.y.shape[1:]
        copies = weights.shape[1] // self.targets
        linear = unscaled(weights, np.tile(self.scale, copies), np.tile(self.offset, copies))
        return linear.network(self, inputs, shape)

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor":
        """Return the network of the features times a kernel."""
        x = networks.standardised(inputs[:, -self.steps :], self.middle, self.spread, name="window")
        return networks.dense(networks.flat(x), kernel, bias, name="linear")

    def _features(self, x: np.ndarray) -> np.ndarray:
        return ((x[:, -self.steps :] - self.middle) / self.spread).reshape(len(x), -1)


class _OwnPast(_Variant):
    """Each target from its own past, with the last value subtracted; the same weights for all targets."""

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        past, last = self._past(x)
        ahead = np.moveaxis((y - self.offset) / self.scale, 1, 2) - last
        self.sums.add(past.reshape(-1, past.shape[-1]), ahead.reshape(-1, ahead.shape[-1]))

    def answer(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        past, last = self._past(x)
        ahead = (with_bias(past.reshape(-1, past.shape[-1])) @ weights).reshape(
            *past.shape[:2], -1
        ) + last
        return np.moveaxis(ahead, 1, 2) * self.scale + self.offset

    def network(self, inputs: "keras.KerasTensor", weights: np.ndarray) -> "keras.KerasTensor":
        past = networks.standardised(
            inputs[..., : self.targets], self.offset, self.scale, name="window"
        )
        past = networks.swapped(past, name="targets_first")
        last = past[..., -1:]
        ahead = networks.dense(past - last, weights[:-1], weights[-1], name="linear") + last
        return networks.head(
            networks.unscaled(networks.swapped(ahead, name="steps_first"), self.scale, self.offset),
            "linear",
        )

    def _past(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the past (B, targets, steps) with the last value subtracted, and the last value (B, targets, 1)."""
        past = np.moveaxis((x[..., : self.targets] - self.offset) / self.scale, 1, 2)
        last = past[..., -1:]
        return past - last, last


def _rows_of(part: RowArray) -> np.ndarray:
    """Return the rows of a series, a sample of them if they are not in memory, or all of the windows."""
    if (series := series_of(part)) is None:
        return np.asarray(part[:])
    return (
        series
        if isinstance(series, np.ndarray)
        else series[sample_indices(len(series), _MOST_SAMPLED)]
    )


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = values.reshape(-1, values.shape[-1])
    if (
        values.size > _MOST_AT_ONCE and values.shape[1] > 1
    ):  # column by column: a copy of all in double precision is large
        mean, spread = (
            np.concatenate(parts)
            for parts in zip(*(_moments(c[:, None]) for c in values.T), strict=True)
        )
        return mean, spread
    values = np.asarray(values, "float64")
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)
