"""Errors of whole forecasts: means beside medians, and paths of all series and steps together. NumPy only.

The step stores the error vectors of past origins: the errors of all series and steps of the forecasts that were made at
one moment, so that those that are high together stay together. A quantile is not additive, and neither is a median:
sums need means, and their bands need joint paths (residual bootstrap of whole vectors: Hyndman and Athanasopoulos,
https://otexts.com/fpp3/prediction-intervals.html).

Errors are in units of the forecast: above the centre, of the distance to the outer quantile above it; below it, of the
one below, at least a share of the series' own scale of errors. Vectors of a wide forecast thus fit a narrow one.
"""

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kzoo.inference.postprocessors.clustered import latest_apart
from kzoo.inference.predictions import Predictions
from kzoo.inference.tasks.central import central, nearest
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kzoo.inference.postprocessors import Learned

NAME = "error_vectors"
STAGE = "intervals"
FACTS = frozenset({"values", "kept", "ordered"})
MOST_ORIGINS = 50
FEWEST_ORIGINS = 20  # that are kept if there are many series
MOST_STORED = 1_000_000  # numbers of all vectors, 2 MB
FLOOR = 0.1  # share of a series' own scale of errors, below which a distance does not fall
_LARGEST = 60_000.0  # error that float16 can store
# A series keeps its own errors in half of the paths at most: in n of this number plus n, from n origins. With a single
# origin, its one error in half of the paths made bands of totals of 80 % cover 56 %.
_SHRUNK = 20.0
MOST_OWN = 0.5
_MOST_WIDENED = 2.0


class Center(NamedTuple):
    """The centre of forecasts and their distances to the outer quantiles, each (N, horizon, targets)."""

    center: np.ndarray
    below: np.ndarray
    above: np.ndarray


def center_of(predictions: Predictions, never_negative: "Sequence[bool]") -> Center:
    """Return the median of forecasts, or their values, and the units of errors below and above it.

    The median lies between the two quantiles around it if it is not one of them; where all levels are on one side, it
    is the nearest quantile.

    Args:
        predictions: N forecasts.
        never_negative: (targets,) whether values below 0 count as 0.
    """
    lowest = np.where(never_negative, 0.0, -np.inf)
    if predictions.quantiles is None:
        center = np.maximum(np.asarray(predictions.values, np.float64), lowest)
        below = above = np.zeros_like(center)
    else:
        quantiles = np.maximum(np.asarray(predictions.quantiles, np.float64), lowest[:, None])
        median = central(quantiles, predictions.levels)
        center = quantiles[..., nearest(predictions.levels)] if median is None else median
        below, above = center - quantiles[..., 0], quantiles[..., -1] - center
    least = _least(predictions)
    return Center(center, np.maximum(below, least), np.maximum(above, least))


def _least(predictions: Predictions) -> np.ndarray:
    """Return what distances to the outer quantiles are at least: (N, 1, targets), or a 0."""
    if predictions.error_scale is None:
        return np.zeros(())
    return FLOOR * np.asarray(predictions.error_scale, np.float64)[:, None]


def learn(
    predictions: Predictions,
    truth: np.ndarray,
    *,
    origins: np.ndarray,
    series: np.ndarray,
    names: "Sequence[str]",
    target_facts: "Mapping[str, Sequence[bool]]",
    means: bool,
) -> JsonObject | None:
    """Return the error vectors of forecasts, and the ratios of their means; None without any.

    Args:
        predictions: N forecasts of rows that were not trained on.
        truth: (N, horizon, targets).
        origins: (N,) moment at which each forecast was made.
        series: (N,) series of each, an index into `names`.
        names: of the series.
        target_facts: see `kzoo.inference.postprocessors.target_range.target_facts`.
        means: whether the centre is not a mean, so that predictions get one.
    """
    if not len(truth) or (predictions.quantiles is None and predictions.error_scale is None):
        return None
    center, below, above = center_of(predictions, target_facts["never_negative"])
    errors = np.asarray(truth, np.float64) - center
    ratios = [
        _ratio(np.maximum(side, 0), unit) for side, unit in ((-errors, below), (errors, above))
    ]
    moments, at = np.unique(origins, return_inverse=True)
    at = at.reshape(-1)
    stored_series, stored_origins = _stored(at, np.asarray(series), len(moments), errors[0].size)
    unit = np.where(errors < 0, below, above)
    units = np.divide(errors, unit, out=np.zeros_like(errors), where=unit > 0)
    units *= np.where(errors < 0, *_widening(predictions, units, below, above))
    vectors = np.full((len(stored_origins), len(stored_series), *errors.shape[1:]), np.nan)
    row = np.full(len(moments), -1)
    row[stored_origins] = np.arange(len(stored_origins))
    column = np.full(len(names), -1)
    column[stored_series] = np.arange(len(stored_series))
    kept = (row[at] >= 0) & (column[series] >= 0)
    vectors[row[at[kept]], column[np.asarray(series)[kept]]] = units[kept]
    apart = len(latest_apart(moments, errors.shape[1]))
    return {
        "means": means,
        "below": ratios[0],
        "above": ratios[1],
        "own": min(apart / (apart + _SHRUNK), MOST_OWN),
        **target_facts,
        "names": [str(names[code]) for code in stored_series.tolist()],
        "series": len(np.unique(series)),
        "origins": apart,
        "shape": list(vectors.shape),
        "vectors": _packed(vectors),
    }


def _ratio(errors: np.ndarray, units: np.ndarray) -> list[float]:
    """Return the sum of errors over that of their units, of each target: series count by their size."""
    sums = errors.sum(axis=(0, 1)), units.sum(axis=(0, 1))
    return np.divide(*sums, out=np.zeros_like(sums[0]), where=sums[1] > 0).tolist()


def _widening(
    predictions: Predictions, units: np.ndarray, below: np.ndarray, above: np.ndarray
) -> list[list[float]]:
    """Return the factors, 1 or more, by which errors below and above the centre are widened, of each target.

    The errors of a few past origins may be smaller than what the outer quantiles say, which are learned from many.
    Paths are then as wide as the quantiles; they are never narrower than past errors.

    Args:
        predictions: N forecasts.
        units: (N, horizon, targets) errors in units of the distance on their side.
        below, above: these distances; see `center_of`. Those at their least are of no quantile, and do not count.
    """
    targets = range(units.shape[-1])
    if predictions.quantiles is None:
        return [[1.0 for _ in targets]] * 2
    least = np.broadcast_to(_least(predictions), units.shape)
    factors = []
    # of errors below the centre, the sign is changed
    ends = 1 - predictions.levels[0], predictions.levels[-1]
    for sign, distance, level in zip((-1, 1), (below, above), ends, strict=True):
        counts = distance > least
        factors.append(
            [_factor(sign * units[..., target][counts[..., target]], level) for target in targets]
        )
    return factors


def _factor(units: np.ndarray, level: float) -> float:
    """Return the factor for errors (M,) in units of the distance to the quantile of a level."""
    distance = float(np.quantile(units, level)) if len(units) else 0.0
    return min(max(1 / distance, 1.0), _MOST_WIDENED) if distance > 0 else 1.0


def _stored(
    at: np.ndarray, series: np.ndarray, moments: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the series and of the origins to store, evenly spaced, within `MOST_STORED`.

    Origins at which less than half of the series have a forecast are left out.

    Args:
        at: (N,) number of the origin of each forecast.
        series: (N,) series of each.
        moments: number of origins.
        size: numbers of a forecast.
    """
    counts = np.bincount(at, minlength=moments)
    usable = np.flatnonzero(counts >= counts.max() / 2)
    codes = np.unique(series)
    most = MOST_STORED // max(size * len(codes), 1)
    origins = _evenly(usable, int(np.clip(most, FEWEST_ORIGINS, MOST_ORIGINS)))
    return _evenly(codes, max(MOST_STORED // (size * len(origins)), 1)), origins


def _evenly(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of some values at even distances, the last one included."""
    if len(values) <= most:
        return values
    return values[np.linspace(len(values) - 1, 0, most).round().astype(int)[::-1]]


def _packed(vectors: np.ndarray) -> str:
    """Return vectors as text: float16, little-endian, in base64."""
    numbers = np.clip(vectors, -_LARGEST, _LARGEST).astype("<f2")
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def vectors_of(learned: "Learned") -> np.ndarray:
    """Return the stored vectors (origins, series, horizon, targets), NaN where a series has no forecast."""
    numbers = np.frombuffer(base64.b64decode(learned["vectors"]), "<f2")
    return numbers.reshape(learned["shape"]).astype(np.float32)


def apply(learned: "Learned", predictions: Predictions) -> Predictions:
    """Return predictions with their `mean`, unless their values are means."""
    if not learned["means"] or predictions.horizon is None or not len(predictions):
        return predictions
    center, below, above = center_of(predictions, learned["never_negative"])
    mean = center - np.asarray(learned["below"]) * below + np.asarray(learned["above"]) * above
    return replace(predictions, mean=within(learned, mean).astype(np.float32))


def within(learned: "Learned", values: np.ndarray) -> np.ndarray:
    """Return values (..., targets), at least 0 where no training value was negative."""
    return np.where(learned["never_negative"], np.maximum(values, 0), values)


def describe(learned: "Learned") -> list[str]:
    """Return no line: forecasts stay as they are."""
    return []
