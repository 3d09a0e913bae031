"""Values: learn the scale of targets, encode them, and turn outputs into predictions. NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.predictions import Predictions
from kzoo.inference.tables.values import to_numbers
from kzoo.problems.layout import Preprocessor, RawLabels
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, plural, shown

if TYPE_CHECKING:
    from kzoo.inference.postprocessors.threshold import Decision


# standard deviations between neighbouring float32 numbers, above which a column loses too much precision
_COARSE = 0.1
_SHOWN = 6  # numbers of an example
_HEAVY = 6.0  # standard deviations: a million normally distributed rows have none beyond


@dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of numeric columns, an array (columns,) each.

    Args:
        mean, sd: mean and standard deviation; a standard deviation of zero is replaced by 1.
        low, high: minimum and maximum.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "ColumnStatistics":
        """Return the statistics of values (N, columns)."""
        mean, sd = map(np.array, spread(values))
        return cls(mean, sd, np.min(values, axis=0), np.max(values, axis=0))

    @property
    def tails(self) -> np.ndarray:
        """Which columns have heavy tails: a value more than 6 standard deviations from the mean."""
        return np.maximum(self.high - self.mean, self.mean - self.low) > _HEAVY * self.sd

    def coarse(self, names: Sequence[str]) -> list[str]:
        """Return a message for each column whose values float32 cannot distinguish well enough."""
        largest = np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float32)
        steps = np.where(self.high > self.low, np.spacing(largest), 0)
        return [
            f"{name!r} varies by {sd:.2g} around {mean:.9g}, where float32, in which networks compute, has steps of "
            f"{step:.2g}: subtract {mean:.9g} first."
            for name, mean, sd, step in zip(names, self.mean, self.sd, steps, strict=True)
            if step > _COARSE * sd
        ]


def learn(
    values: RawLabels, names: Sequence[str] = (), *, known: ColumnStatistics | None = None
) -> Target:
    """Learn the scale of training targets.

    Args:
        values: (N,) or (N, targets) numbers, or columns of a DataFrame.
        names: of the targets; the default is y1, y2, ...
        known: the `Extent` of all targets, if `values` are only a few of their rows.

    Raises:
        KzooError: a value that is not a number, or a target whose values float32 cannot distinguish well enough.
    """
    y = encode(Target(), values)
    known = known or ColumnStatistics.of(y)
    names = tuple(names) or tuple(f"y{i + 1}" for i in range(y.shape[1]))
    if len(known.mean) == len(names) and (coarse := known.coarse(names)):
        raise KzooError(f"Target {coarse[0]}")
    # a few squared errors would outweigh all others
    robust = {"loss": "huber"} if known.tails.any() else {}
    scales = {"target_offset": known.mean.tolist(), "target_scale": known.sd.tolist()}
    config = {"outputs": y.shape[1], **scales} | robust
    return Target(names=names, config=config)


def encode(target: Target, values: RawLabels) -> np.ndarray:
    """Return targets as float32 (N, targets); additional axes are kept.

    Raises:
        KzooError: a value that is not a number.
    """
    if not hasattr(values, "columns"):
        y = np.asarray(values)
        if y.dtype.kind not in "biuf":
            raise KzooError(
                f"Targets must be numbers, but y has dtype {y.dtype}. Use task='classification' for classes."
            )
        return (y if y.ndim > 2 else y.reshape(len(y), -1)).astype(np.float32)
    y = np.stack([to_numbers(values[name]) for name in values.columns], axis=1)
    bad = np.flatnonzero(np.isnan(y).any(axis=1))
    if bad.size:
        row = bad[0]
        column = int(np.argmax(np.isnan(y[bad[0]])))
        raise KzooError(
            f"Targets must be numbers, but row {row + 1} of {values.columns[column]!r} contains "
            f"{shown(values.iloc[row, column])} ({plural(bad.size, 'such row')}). Correct it, or remove the row."
        )
    return y.astype(np.float32)


def answer(
    target: Target,
    outputs: np.ndarray,
    *,
    inputs: Sequence[Any],
    reader: Preprocessor | None = None,
    logits: bool | None = None,
) -> Predictions:
    """Return outputs unchanged, in the targets' own units, under the targets' names."""
    return Predictions(values=outputs, target_names=target.names, inputs=inputs)


def spread(values: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per column as lists of floats; zero deviation is replaced by 1."""
    values = np.asarray(values, np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    std = np.where(std <= 1e-9 * np.maximum(1e-30, np.abs(mean)), 1.0, std)
    return mean.tolist(), std.tolist()


def example(
    truth: np.ndarray,
    answer: np.ndarray,
    target: Target,
    *,
    scores: bool,
    decision: "Decision | None",
) -> JsonObject:
    """Return the cells of an example (see `Problem.example`), with the error of each target as its confidence.

    The errors are listed, because targets may have different units.
    """
    if answer.ndim > truth.ndim:  # quantiles: the distance from the band between the outer ones
        error = np.maximum(np.maximum(answer[..., 0] - truth, truth - answer[..., -1]), 0.0)
    else:
        error = np.abs(truth.astype("float64") - answer.reshape(truth.shape))
    return dict(truth=_text(truth), predicted=_text(answer), confidence=_text(error), right=True)


def _text(values: np.ndarray) -> str:
    return ", ".join(number(float(value)) for value in np.ravel(values)[:_SHOWN])
