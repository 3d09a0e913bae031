"""Paths of forecasts, and totals over series and steps with their bands. NumPy only.

A path is the centre of the forecasts plus a whole error vector of a past origin (see `error_vectors`), which all series
and steps share: errors that were high together are high together. At least half of the series of a path take the errors
of another series at the same origin, more of them with fewer origins: a series alone has as many errors as there are
origins, and a single one is no distribution.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.postprocessors import error_vectors
from kzoo.inference.postprocessors.clustered import latest_apart
from kzoo.inference.postprocessors.prediction_options import TOTALS
from kzoo.inference.predictions import Predictions
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural, short_percent

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned

PATHS = 1_000  # from which bands of totals are taken
MOST_NUMBERS = 50_000_000  # of paths that are returned
_PATHS_JUDGED, _MOST_JUDGED = 400, 20  # paths and origins from which coverage is measured
_AT_ONCE = 2**23  # numbers


def paths(
    learned: "Learned", predictions: Predictions, count: int, *, seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield blocks (B, N, horizon, targets) of paths of forecasts, `count` in all.

    Args:
        learned: the return value of `error_vectors.learn`.
        predictions: N forecasts, whose `inputs` are the names of the series.
        count: number of paths.
        seed: of the drawing.
    """
    vectors = error_vectors.vectors_of(learned)
    center, below, above = error_vectors.center_of(predictions, learned["never_negative"])
    own_share = learned.get("own", error_vectors.MOST_OWN)
    random = np.random.default_rng(seed)
    own = _own_columns(learned["names"], predictions.inputs, len(center))
    with_forecast = [np.flatnonzero(row) for row in ~np.isnan(vectors[:, :, 0, 0])]
    present = ~np.isnan(vectors[:, :, 0, 0])
    # each origin as often as any other
    origins = random.permutation(np.arange(count) % len(vectors))
    at_once = max(_AT_ONCE // max(center.size, 1), 1)
    whole = np.asarray(learned["whole"])
    for start in range(0, count, at_once):
        some = origins[start : start + at_once]
        columns = np.empty((len(some), len(center)), int)
        for path, origin in enumerate(some.tolist()):
            others = with_forecast[origin]
            drawn = others[random.integers(len(others), size=len(center))]
            keeps = (
                (own >= 0) & present[origin, own] & (random.random(len(center)) >= 1 - own_share)
            )
            columns[path] = np.where(keeps, own, drawn)
        units = vectors[some[:, None], columns]
        block = center + np.where(units < 0, units * below, units * above)
        block = error_vectors.within(learned, block)
        yield np.where(whole, np.round(block), block)


def _own_columns(names: Sequence[str], inputs: Sequence[Any], count: int) -> np.ndarray:
    """Return the column of the vectors of each series (N,), -1 for one that has none."""
    if len(names) == 1:
        return np.zeros(count, int)
    column = {name: index for index, name in enumerate(names)}
    return np.array([column.get(str(name), -1) for name in inputs], int)


def sampled(
    learned: "Learned", predictions: Predictions, count: int, *, seed: int = 0
) -> Predictions:
    """Return predictions with `samples`, so many paths.

    Raises:
        KzooError: more numbers than fit into memory.
    """
    size = predictions.targets * (predictions.horizon or 1) * len(predictions)
    if count * size > MOST_NUMBERS:
        raise KzooError(
            f"times {plural(len(predictions), 'series')} of {plural(predictions.horizon or 1, 'step')} is "
            f"more than {MOST_NUMBERS:,} numbers. Ask for {max(MOST_NUMBERS // size, 1):,} paths at most, or pass "
            "fewer series.",
            argument="samples",
            value=count,
        )
    samples = np.concatenate(list(paths(learned, predictions, count, seed=seed)))
    return replace(predictions, samples=samples.astype(np.float32))


def summed(values: np.ndarray, total: str, axis: int = 0) -> np.ndarray:
    """Return the sums of values (..., N, horizon, targets) over series, steps or both, which keep an axis of one.

    Args:
        values: the values.
        total: one of `kzoo.inference.postprocessors.prediction_options.TOTALS`.
        axis: that of the series.
    """
    axes = tuple(axis + number for number in TOTALS[total])
    return np.asarray(values, np.float64).sum(axis=axes, keepdims=True)


def point_of(predictions: Predictions) -> np.ndarray:
    """Return the means of forecasts: beside their quantiles, or their values."""
    point = predictions.values if predictions.mean is None else predictions.mean
    assert point is not None
    return point


def total_quantiles(
    learned: "Learned",
    predictions: Predictions,
    total: str,
    levels: Sequence[float],
    *,
    seed: int = 0,
    count: int = PATHS,
) -> np.ndarray:
    """Return quantiles (..., levels) of the totals of forecasts, from paths whose mean is that of the forecasts."""
    blocks = paths(learned, predictions, count, seed=seed)
    sums = np.concatenate([summed(block, total, axis=1) for block in blocks])
    mean, of_paths = summed(point_of(predictions), total), sums.mean(axis=0)
    if all(learned["never_negative"]):
        sums *= np.divide(mean, of_paths, out=np.ones_like(mean), where=of_paths > 0)
    else:
        sums += mean - of_paths
    return np.moveaxis(np.quantile(sums, levels, axis=0), 0, -1)


def totalled(
    learned: "Learned",
    predictions: Predictions,
    total: str,
    *,
    confidence: float | None = None,
    seed: int = 0,
) -> Predictions:
    """Return the totals of forecasts as predictions: their mean, quantiles and band.

    Args:
        learned: see `paths`.
        predictions: the forecasts, with `samples` if the paths of the totals are wanted too.
        total: one of those of `summed`: over all series at each step, over all steps of each series, or over both.
        confidence: level of the band, or None.
        seed: of the drawing.

    Raises:
        KzooError: a total over series whose forecasts begin at different times.
    """
    _check_same_times(predictions, total)
    over_series, by_step = 0 in TOTALS[total], 1 not in TOTALS[total]
    sums = summed(point_of(predictions), total).astype(np.float32)
    ends = () if confidence is None else ((1 - confidence) / 2, (1 + confidence) / 2)
    levels = () if predictions.quantiles is None else tuple(predictions.levels)
    bands = total_quantiles(learned, predictions, total, (*levels, *ends), seed=seed)
    bands = bands.astype(np.float32)
    names: Sequence[Any] = predictions.inputs
    ids = predictions.ids
    if over_series:
        names = (f"total of {plural(len(predictions), 'series')}",)
        ids = None if ids is None else {name: ["total"] for name in ids}
    times = predictions.times if len(predictions.times) else ()
    more = {}
    if not by_step and len(times):
        ahead = times[:1] if over_series else times
        more = {
            name: np.array(predictions.write_times([row[index] for row in ahead]))
            for name, index in (("first", 0), ("last", -1))
        }
    history = predictions.history
    return replace(
        predictions,
        values=sums if predictions.quantiles is None else None,
        mean=None if predictions.quantiles is None else sums,
        quantiles=bands[..., : len(levels)] if levels else None,
        lower=bands[..., -2] if ends else None,
        upper=bands[..., -1] if ends else None,
        confidence=confidence,
        samples=None
        if predictions.samples is None
        else summed(predictions.samples, total, axis=1).astype(np.float32),
        inputs=names,
        kept={} if over_series else predictions.kept,
        ids=ids,
        more=more,
        times=times[:1] if by_step else (),
        history=history.sum(axis=0, keepdims=True) if by_step and history is not None else None,
        history_times=predictions.history_times[:1] if by_step else (),
        error_scale=None,
        promise=_promise(learned, total, confidence),
        summed_steps=None if by_step else predictions.horizon,
    )


def coverage(
    learned: "Learned",
    predictions: Predictions,
    truth: np.ndarray,
    origins: np.ndarray,
    confidence: float,
) -> list[JsonObject]:
    """Return how many totals of forecasts are in their bands, a dict for each of the totals over series and steps.

    Forecasts of origins that do not overlap count, at which at least half of the series have one.

    Args:
        learned: see `paths`.
        predictions: N forecasts, whose `inputs` are the names of the series.
        truth: (N, horizon, targets).
        origins: (N,) moment at which each forecast was made.
        confidence: level of the bands.

    Returns:
        `total`, `confidence`, `covered` and `of`, the numbers of totals; `bias`, the median of abs(forecast / truth -
        1) of the totals, None if all true ones are 0; and `origins`, how many there are.
    """
    chosen = _apart(origins, truth.shape[1])
    results = []
    several = len(set(predictions.inputs)) > 1
    for total in TOTALS if several else ("steps",):
        inside, ratios = list[np.ndarray](), list[np.ndarray]()
        for origin in chosen:
            rows = np.flatnonzero(origins == origin)
            part = _rows(predictions, rows)
            levels = ((1 - confidence) / 2, (1 + confidence) / 2)
            band = total_quantiles(learned, part, total, levels, count=_PATHS_JUDGED)
            actual, expected = summed(truth[rows], total), summed(point_of(part), total)
            inside.append(((band[..., 0] <= actual) & (actual <= band[..., 1])).ravel())
            known = actual != 0
            ratios.append(expected[known] / actual[known] - 1)
        covered, off = np.concatenate(inside), np.abs(np.concatenate(ratios))
        results.append(
            {
                "total": total,
                "confidence": float(confidence),
                "covered": int(covered.sum()),
                "of": len(covered),
                "bias": float(np.median(off)) if len(off) else None,
                "origins": len(chosen),
            }
        )
    return results


def _apart(origins: np.ndarray, horizon: int) -> list[int]:
    """Return the latest moments whose forecasts do not overlap, and at which at least half of the series have one."""
    moments, counts = np.unique(origins, return_counts=True)
    usable = moments[counts >= counts.max() / 2] if len(moments) else moments
    return latest_apart(usable, horizon)[-_MOST_JUDGED:]


def _rows(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """Return some of the forecasts."""
    names = ("values", "quantiles", "mean", "error_scale")
    arrays: dict[str, Any] = {name: getattr(predictions, name) for name in names}
    some: Any = {name: None if array is None else array[rows] for name, array in arrays.items()}
    return replace(predictions, inputs=[predictions.inputs[row] for row in rows.tolist()], **some)


def _check_same_times(predictions: Predictions, total: str) -> None:
    """Refuse a total over series whose forecasts begin at different times."""
    if 0 not in TOTALS[total] or len(predictions.times) < 2:
        return
    first = predictions.times[0][0]
    other = [i for i, times in enumerate(predictions.times) if times[0] != first]
    if other:
        names = listed([repr(str(predictions.inputs[i])) for i in other], 3)
        raise KzooError(
            f"adds forecasts of the same times, and those of {plural(len(other), 'series')} ({names}) begin "
            f"at another time than those of {str(predictions.inputs[0])!r}. Leave out series that end earlier, or use "
            "total='steps'.",
            argument="total",
            value=total,
        )


def _promise(learned: "Learned", total: str, confidence: float | None) -> str:
    """Return what bands of totals rest on."""
    what = {
        "series": "each step over all series",
        "steps": "each series over all steps",
        "all": "all",
    }
    count = learned["origins"]
    line = (
        f"Totals of {what[total]}. Their quantiles come from {PATHS:,} paths with whole error vectors of past "
        f"forecasts ({plural(count, 'origin')} that do not overlap)"
    )
    stored = len(learned["names"])
    if stored < learned["series"]:
        line += f", of {stored:,} of {learned['series']:,} series"
    band = "" if confidence is None else f"; the band is to cover {short_percent(confidence)}"
    return f"{line}{band}."
