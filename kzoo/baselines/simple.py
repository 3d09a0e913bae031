"""What needs no fit: the most frequent class, the mean, the last value, the same season before. NumPy only."""

import numpy as np

from kzoo.baselines.baseline import Unfit, baseline
from kzoo.dataset.sample import token_counts
from kzoo.kinds.series.season import season_of
from kzoo.kinds.series.simple_forecasts import season_before
from kzoo.storage.windows import series_of

_LAST = "last value"  # as `simple_forecasts` calls it
_BLOCK = 4_000_000  # probabilities that are held at once
_DUMMY = "https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators"
_NAIVE = "https://otexts.com/fpp3/simple-methods.html"


def _little(given):
    return 1e-3 + 1e-7 * len(given.train)


@baseline("most frequent class", "classes", reference=_DUMMY, seconds=_little)
def majority(given):
    """Answer the shares of the classes among the training rows."""
    counts = np.bincount(given.y, given.weight, minlength=given.outputs)
    shares = counts / counts.sum()
    return given.by_blocks(lambda x: np.broadcast_to(shares, (len(x), len(shares))))


@baseline("training mean", "values", reference=_DUMMY, seconds=_little)
def mean(given):
    """Answer the mean of each target over the training rows."""
    y = given.y
    average = y.mean(axis=tuple(range(y.ndim - 1)), dtype="float64")
    if given.weight is not None:
        each = y.reshape(len(y), -1, y.shape[-1]).mean(axis=1, dtype="float64")  # a row's own, (N, targets)
        average = np.average(each, axis=0, weights=given.weight)
    return given.by_blocks(lambda x: np.broadcast_to(average, (len(x), *y.shape[1:])))


@baseline("token frequencies", "continues", reference="https://web.stanford.edu/~jurafsky/slp3/3.pdf", seconds=_little)
def frequency(given):
    """Answer the shares of the tokens in the training text."""
    count, found = given.data.outputs, token_counts(given.data)
    shares = (found + 1) / (found.sum() + count)

    def answers(part):
        step = max(1, _BLOCK // (count * int(np.prod(part.y.shape[1:]))))
        for start in range(0, len(part), step):
            truth = np.asarray(part.y[start : start + step]).reshape(-1)
            yield np.broadcast_to(shares, (len(truth), count)), truth

    return answers


@baseline("last value", "values", "ordered", reference=_NAIVE, seconds=lambda given: 1e-3 + 1e-8 * _numbers(given))
def last_value(given):
    """Answer the last value of each target, however far ahead."""
    return _of_windows(given, _named(given, _LAST))


@baseline(
    "same season before", "values", "ordered", reference=_NAIVE, seconds=lambda given: 1e-3 + 5e-8 * _numbers(given)
)  # fmt: skip
def seasonal(given):
    """Answer what was there a season ago: the same hour yesterday, the same month last year.

    Where the times of a series say nothing, the season is the one that its training rows show.
    """
    train = given.data.train
    if names := [name for name, _ in _simple(given, train) if name != _LAST]:
        return given.best({name: _of_windows(given, _named(given, name)) for name in names})
    season = None
    if (series := series_of(train.y)) is not None:
        rows = series[: int(train.y.starts.max()) + train.y.length]  # what comes after is to be forecast
        season = season_of(rows, len(rows) // 3)
    if season is None:
        raise Unfit("neither its times nor its training rows show a season")
    given.notes.append(f"{season} steps before, which the training rows show")
    return _of_windows(given, lambda part: season_before(part, season))


def _numbers(given):
    """Count the numbers that are forecast, of all splits."""
    parts = (given.data.train, given.data.validation, given.data.test)
    return sum(len(part) for part in parts if part is not None) * given.outputs


def _simple(given, part):
    simple = getattr(given.kind.fitting, "simple_forecasts", None)
    return [] if simple is None else simple(given.data.preprocessing, part)


def _named(given, name):
    """Return the function of a split that gives the simple forecasts of this name (see `kzoo.kinds`)."""

    def forecast(part):
        found = dict(_simple(given, part))
        if name not in found:
            raise Unfit("the windows were not cut from one series")
        return found[name]

    return forecast


def _of_windows(given, forecast):
    """Return the function of a split that answers what `forecast` gives for it, the last value where that is NaN."""

    def answers(part):
        values = forecast(part)
        if not (there := np.isfinite(values)).all():
            values = np.where(there, values, _named(given, _LAST)(part))
        if not np.isfinite(values).all():
            raise Unfit("the series does not reach back far enough")
        yield values, np.asarray(part.y[:])

    return answers
