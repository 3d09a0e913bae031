"""Exponential smoothing and the Theta method as baselines: models of windows, and of each series. NumPy and SciPy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from kzoo.baselines import exponential_smoothing, theta
from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.data import Predictor
from kzoo.baselines.simple import past_of_targets
from kzoo.baselines.window_smoothing import WindowSmoothing
from kzoo.baselines.windows import has_own_past
from kzoo.data.inputs.series.season import detect_season
from kzoo.data.store.windows import Windows, series_of
from kzoo.inference.kinds.series.calendar import Calendar

if TYPE_CHECKING:
    from kzoo.baselines.data import BaselineData
    from kzoo.data.dataset import Split

_MOST_STEPS, _MOST_SEASONS, _FEWEST_STEPS = 240, 10, 100  # of a window
_SETS, _SETS_OF_THETA = 36, 8
_MOST_FITTED = 400  # last steps of a series that its model is fitted to
_FEWEST_FITTED = 4  # steps with a value that a series must have
_SAMPLES = 400  # paths of a forecast
_BLOCK = 2_000_000  # numbers of paths at once
_COMMON_FORMS = 3  # forms that are fitted to all series if there is no time for all forms
_STEP_SECONDS, _NUMBER_SECONDS = (
    1e-4,
    1e-6,
)  # of a step of a form, and of a parameter of a series in it


def _seconds(forms: int) -> Any:
    """Return the function that estimates the seconds of fitting so many forms."""

    def seconds(subset: "BaselineData") -> float:
        windows = subset.data.train.y
        if (values := series_of(windows)) is None or values.ndim != 2:
            return 1e-3
        firsts, ends = _bounds(windows)
        steps = min(int((ends - firsts).max()), _MOST_FITTED)
        numbers = len(firsts) * values.shape[1] * ((_season(subset, windows) or 1) + 4)
        share = len(subset.train) / len(subset.data.train)
        common = 0 if share == 1 else _COMMON_FORMS * (_STEP_SECONDS + _NUMBER_SECONDS * numbers)
        of_all = forms * (_STEP_SECONDS + _NUMBER_SECONDS * numbers * share)
        return 1e-2 + steps * (of_all + common)

    return seconds


def _window_steps(subset: "BaselineData") -> int:
    """Return how many steps of the past a forecast should follow from: ten seasons, or fewer of short series."""
    windows = subset.data.train.y
    if series_of(windows) is None:
        return subset.shape[0]
    firsts, ends = _bounds(windows)
    typical = int(np.median(ends - firsts))
    if windows.series is None:
        typical = (typical - windows.length) // 2  # the other half is to be forecast in training
    wanted = max(_MOST_SEASONS * (_season(subset, windows) or 1), _FEWEST_STEPS)
    return min(wanted, _MOST_STEPS, typical)


def _window_seconds(sets: int) -> Any:
    """Return the function that estimates the seconds of forecasts of windows with so many sets of parameters."""

    def seconds(subset: "BaselineData") -> float:
        steps, horizon = min(subset.shape[0], _MOST_STEPS), subset.data.train.y.shape[1]
        parts = (subset.data.validation, subset.data.test)
        windows = sum(len(part) for part in parts if part is not None)
        numbers = windows * subset.data.train.y.shape[-1] * steps * (steps + horizon)
        return 0.05 + sets * (3e-7 * steps**2 + 2e-9 * numbers)

    return seconds


@baseline(
    "exponential smoothing (ETS)",
    "values",
    "ordered",
    reference="https://doi.org/10.1016/j.ijforecast.2010.04.006",
    seconds=_window_seconds(_SETS),
    steps=_window_steps,
)
def ets(subset: "BaselineData") -> Predictor:
    """Smooth each window exponentially, with many forms and smoothing parameters, averaged by their Akaike weights.

    Errors are additive, relative, or those of logarithms; there may be a trend, damped or not, and a season. Starting
    values are estimated in each window, so that nothing is learned from the training rows but the season. Quantiles
    are those of normal errors.
    """
    return _of_windows(subset, WindowSmoothing.of)


@baseline(
    "Theta method",
    "values",
    "ordered",
    reference="https://doi.org/10.1016/S0169-2070(00)00066-2",
    seconds=_window_seconds(_SETS_OF_THETA),
    steps=_window_steps,
)
def theta_method(subset: "BaselineData") -> Predictor:
    """Forecast each window by the Theta method, with several smoothing parameters, averaged by their Akaike weights.

    Windows may be adjusted for a season first, by summands or, in the logarithms, by factors. Quantiles are those of
    normal errors.
    """
    return _of_windows(subset, WindowSmoothing.of_theta)


def _of_windows(
    subset: "BaselineData", method: Callable[[int, int, int], WindowSmoothing]
) -> Predictor:
    """Return the predictor, with a network, of a method for windows."""
    if not has_own_past(subset):
        raise Unfit("the inputs do not have the past of the targets")
    train = subset.data.train.y
    horizon, targets = train.shape[1], train.shape[-1]
    smoothing = method(min(subset.shape[0], _MOST_STEPS), horizon, _season(subset, train) or 1)
    levels = subset.levels
    columns = subset.shape[1] - (subset.data.config.get("covariates") or 0)  # without those ahead
    season = f"a season of {smoothing.season} steps" if smoothing.season > 1 else "no season"
    subset.notes.append(f"windows of {smoothing.steps} steps, {season}")
    return subset.by_blocks(
        lambda x: smoothing.predict(x[..., :columns], targets, levels),
        network=lambda x: smoothing.network(past_of_targets(subset, x), x[..., :columns], levels),
        wide=smoothing.numbers(levels) * targets,
    )


@baseline(
    "exponential smoothing of each series (AutoETS)",
    "values",
    "ordered",
    reference="https://otexts.com/fpp3/ets.html",
    seconds=_seconds(len(exponential_smoothing.FORMS)),
)
def auto_ets(subset: "BaselineData") -> Predictor:
    """Fit exponential smoothing to each series; errors, trend and season are chosen by AICc.

    Quantiles are those of sample paths. Parameters are those of the training rows, the state that of all rows before a
    window. Series of other sources are fitted to their rows before the first window.
    """
    return _predictor(subset, exponential_smoothing)


@baseline(
    "Theta method of each series (AutoTheta)",
    "values",
    "ordered",
    reference="https://doi.org/10.1016/j.ijforecast.2016.02.005",
    seconds=_seconds(len(theta.FORMS)),
)
def auto_theta(subset: "BaselineData") -> Predictor:
    """Fit the Theta method to each series, seasonally adjusted if it has a season; its form is chosen by AICc.

    Quantiles are those of sample paths.
    """
    return _predictor(subset, theta)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fits:
    """The models of series.

    Args:
        fits: those of each form, of all columns.
        best: (columns,) number of the form of each column; -1 for a column that has too few steps.
        firsts: (series,) row at which the fitted steps of each series begin.
        ends: (series,) row after them.
        lowest: (columns,) lowest value of each column.
    """

    fits: list[Any]
    best: np.ndarray
    firsts: np.ndarray
    ends: np.ndarray
    lowest: np.ndarray


def _predictor(subset: "BaselineData", method: ModuleType) -> Predictor:
    """Return the predictor of a method, `exponential_smoothing` or `theta`."""
    train = subset.data.train.y
    values = series_of(train)
    if values is None or values.ndim != 2:
        raise Unfit("the windows are not cut from series")
    season = _season(subset, train) or 1
    share = len(subset.train) / len(subset.data.train)
    fitted = _fitted(train, _bounds(train), method, season, share=share)
    if (fitted.best < 0).all():
        raise Unfit(f"no series has {_FEWEST_FITTED} values")
    if share < 1:
        subset.notes.append(
            f"{_COMMON_FORMS} forms for all series, chosen on {max(1, round(share * len(fitted.best)))} of them"
        )
    levels = subset.levels

    def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        windows: Windows = part.y
        models = fitted
        if series_of(windows) is not values:
            models = _fitted(windows, _first_windows(windows), method, season, share=share)
        yield _forecasts(models, windows, levels), np.asarray(windows[:])

    return Predictor(predict)


def _season(subset: "BaselineData", windows: Windows) -> int | None:
    """Return the longest season of the calendar that a model can have; without a calendar, one that is detected."""
    most = exponential_smoothing.MOST_STEPS
    if (calendar := Calendar.of(subset.data.preprocessing)) is not None and calendar.seasons:
        return max((steps for steps in calendar.seasons.values() if steps <= most), default=None)
    firsts, ends = _bounds(windows)
    longest = int((ends - firsts).argmax())
    rows = np.asarray(windows.values[firsts[longest] : ends[longest]])
    return detect_season(rows, min(most, len(rows) // 3)) if len(rows) > 3 else None


def _bounds(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each series, and the row after the last one that a window covers."""
    starts = np.asarray(windows.starts)
    if windows.series is None:
        return np.zeros(1, int), np.array([int(starts.max()) + windows.length])
    ends = np.array(windows.series.firsts)
    np.maximum.at(ends, windows.series.codes, starts + windows.length)
    return np.asarray(windows.series.firsts), ends


def _first_windows(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each series, and that of its first window."""
    starts = np.asarray(windows.starts)
    if windows.series is None:
        return np.zeros(1, int), np.array([int(starts.min())])
    firsts = np.asarray(windows.series.firsts)
    ends = np.full(len(firsts), len(windows.values))
    np.minimum.at(ends, windows.series.codes, starts)
    has_window = np.isin(np.arange(len(firsts)), windows.series.codes)
    return firsts, np.where(has_window, ends, firsts)


def _columns(windows: Windows, firsts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return rows of series as columns (steps, series * targets), NaN after the end of each."""
    targets = windows.values.shape[1]
    y = np.full((int((ends - firsts).max()), len(firsts) * targets), np.nan)
    for number, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        y[: end - first, number * targets : (number + 1) * targets] = windows.values[first:end]
    return y


def _fitted(
    windows: Windows,
    bounds: tuple[np.ndarray, np.ndarray],
    method: ModuleType,
    season: int,
    *,
    share: float,
) -> _Fits:
    """Return the models of series, fitted to their last steps before `ends`.

    Args:
        bounds: first row of each series, and the row after its last one.
        share: of the series that all forms are fitted to; the others have those that are most frequent among them.
    """
    firsts, ends = bounds
    firsts = np.maximum(firsts, ends - _MOST_FITTED)
    y = _columns(windows, firsts, ends)
    usable = np.isfinite(y).sum(axis=0) >= _FEWEST_FITTED
    best = np.full(y.shape[1], -1)
    columns = np.flatnonzero(usable)
    fits: list[Any] = []
    if len(columns):
        forms = method.FORMS
        if share < 1:
            some = columns[:: max(1, round(1 / share))]
            fits = method.fit(y[:, some], season)
            criteria = np.stack([fit.criterion for fit in fits])
            wins = np.bincount(criteria.argmin(axis=0), minlength=len(fits))
            common = np.argsort(-wins, kind="stable")[:_COMMON_FORMS]
            forms = [fits[i].form for i in sorted(common)]
        fits = method.fit(np.where(usable, y, 0.0), season, forms)
        criteria = np.stack([fit.criterion for fit in fits])
        best[columns] = criteria[:, columns].argmin(axis=0)
        best[~np.isfinite(criteria.min(axis=0))] = -1
    lowest = np.where(np.isfinite(y), y, np.inf).min(axis=0, initial=np.inf)
    return _Fits(fits=fits, best=best, firsts=firsts, ends=ends, lowest=lowest)


def _forecasts(models: _Fits, windows: Windows, levels: tuple[float, ...] | None) -> np.ndarray:
    """Return forecasts (N, horizon, targets), or their quantiles (N, horizon, targets, levels).

    Raises:
        Unfit: a window begins before the last step that its model was fitted to.
    """
    targets = windows.values.shape[1]
    starts = np.asarray(windows.starts)
    codes = windows.codes
    if (starts < models.ends[codes]).any():
        raise Unfit("its windows begin before the end of the rows that it was fitted to")
    steps = windows.length
    shape = (len(starts), steps, targets, *([] if levels is None else [len(levels)]))
    forecasts = np.empty(shape)
    last = np.maximum(starts - 1, models.firsts[codes])
    forecasts[:] = windows.values[last].reshape(len(starts), 1, targets, *(1,) * (len(shape) - 3))
    ends = models.firsts.copy()
    np.maximum.at(ends, codes, starts)
    y = _columns(windows, models.firsts, ends)
    normal = _normal(steps) if levels is not None else np.zeros((steps, 1))
    block = max(1, _BLOCK // normal.size)
    column_of = codes[:, None] * targets + np.arange(targets)  # (N, targets)
    begins = starts - models.firsts[codes]
    for form, fit in enumerate(models.fits):
        columns = np.flatnonzero(models.best == form)
        rows, target = np.nonzero(models.best[column_of] == form)
        if not len(rows):
            continue
        order = np.argsort(begins[rows], kind="stable")
        rows, target = rows[order], target[order]
        series = np.searchsorted(columns, column_of[rows, target])
        own = fit.of(columns)
        states = []
        for step, state in enumerate(own.states(y[:, columns]), 1):
            begin, end = np.searchsorted(begins[rows], [step, step + 1])
            if begin < end:
                states.append(state.of(series[begin:end]))
        state = type(states[0]).joined(states)
        for begin in range(0, len(rows), block):
            some = np.arange(begin, min(begin + block, len(rows)))
            paths = own.of(series[some]).paths(state.of(some), normal[:, :, None])
            positive = models.lowest[columns[series[some]]] >= 0
            paths = np.where(positive, np.maximum(paths, 0), paths)
            # (steps, pairs), or (levels, steps, pairs)
            values = paths[:, 0] if levels is None else np.quantile(paths, levels, axis=1)
            forecasts[rows[some], :, target[some]] = values.T
    return forecasts


def _normal(steps: int) -> np.ndarray:
    """Return (steps, samples) standard normal numbers: at each step the same quantiles, in another order."""
    quantiles = norm.ppf((np.arange(_SAMPLES) + 0.5) / _SAMPLES)
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(quantiles) for _ in range(steps)])
