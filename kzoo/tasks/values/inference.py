"""Values: what is learned of targets, and what outputs say to people. NumPy only."""

from dataclasses import dataclass

import numpy as np

from kzoo.predictions import Predictions
from kzoo.sources.tables.values import to_numbers
from kzoo.tasks import Target
from kzoo.utils.errors import KzooError

_COARSE = 0.1  # deviations between neighbours among the numbers of float32, above which too little of a column is left
_HEAVY = 6.0  # deviations: in a million normally distributed rows there is none


@dataclass(frozen=True)
class Extent:
    """What is known of columns of numbers, an array (columns,) each.

    Args:
        mean, sd: zero deviation counted as 1.
        low, high: the least and the largest.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, values) -> "Extent":
        """Return those of values (N, columns)."""
        mean, sd = map(np.array, spread(values))
        return cls(mean, sd, np.min(values, axis=0), np.max(values, axis=0))

    @property
    def tails(self) -> np.ndarray:
        """Which columns have heavy tails: a value further from its mean than 6 standard deviations."""
        return np.maximum(self.high - self.mean, self.mean - self.low) > _HEAVY * self.sd

    def coarse(self, names) -> list:
        """Return a line for each column, by name, of whose numbers float32 tells too few apart."""
        largest = np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float32)
        steps = np.where(self.high > self.low, np.spacing(largest), 0)
        return [
            f"{name!r} varies by {sd:.2g} around {mean:.9g}, where float32, in which networks compute, has steps of "
            f"{step:.2g}: take {mean:.9g} off it first."
            for name, mean, sd, step in zip(names, self.mean, self.sd, steps, strict=True)
            if step > _COARSE * sd
        ]


def learn(values, names=(), *, known=None) -> Target:
    """Learn the scale of training targets.

    Args:
        values: (N,) or (N, targets) numbers, or columns of a DataFrame.
        names: of the targets; y1, y2, ... by default.
        known: the `Extent` of all targets, where these are a few of them.

    Raises:
        KzooError: a value that is not a number, or a target of which float32 tells too few values apart.
    """
    y = encode(None, values)
    known = known or Extent.of(y)
    names = tuple(names) or tuple(f"y{i + 1}" for i in range(y.shape[1]))
    if len(known.mean) == len(names) and (coarse := known.coarse(names)):
        raise KzooError(f"Target {coarse[0]}")
    robust = {"loss": "huber"} if known.tails.any() else {}  # a few squares would outweigh all others
    scales = {"target_offset": known.mean.tolist(), "target_scale": known.sd.tolist()}
    config = {"outputs": y.shape[1], **scales} | robust
    return Target(names=names, config=config)


def encode(target, values) -> np.ndarray:
    """Return targets as float32 (N, targets); more axes stay as they are.

    Raises:
        KzooError: a value that is not a number.
    """
    if not hasattr(values, "columns"):
        y = np.asarray(values)
        if y.dtype.kind not in "biuf":
            raise KzooError(f"A regression takes numbers; y holds {y.dtype}.")
        return (y if y.ndim > 2 else y.reshape(len(y), -1)).astype(np.float32)
    y = np.stack([to_numbers(values[name]) for name in values.columns], axis=1)
    bad = np.flatnonzero(np.isnan(y).any(axis=1))
    if bad.size:
        raise KzooError(
            f"A regression target must be a number; row {bad[0] + 1} holds "
            f"{values.iloc[bad[0]].tolist()!r} ({bad.size} such rows)."
        )
    return y.astype(np.float32)


def answer(target, outputs, *, inputs, reader=None, logits=None) -> Predictions:
    """Return outputs as they are, in the targets' own unit, under the targets' names."""
    return Predictions(values=outputs, target_names=target.names, inputs=inputs)


def spread(values):
    """Return mean and standard deviation per column as lists of floats, zero spread counted as 1."""
    values = np.asarray(values, np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    std = np.where(std <= 1e-9 * np.maximum(1e-30, np.abs(mean)), 1.0, std)
    return mean.tolist(), std.tolist()
