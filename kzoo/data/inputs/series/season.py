"""Default length of a window: at least two seasons, of the calendar or detected in the rows. Imports only NumPy."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kzoo.problems.kinds import DEFAULT_STEPS

if TYPE_CHECKING:
    from kzoo.inference.kinds.series.calendar import Calendar
    from kzoo.inference.kinds.series.times import Times


# default windows are no longer: the time of recurrent networks grows with the length
_MAX_STEPS = 1_000
# steps times columns of a window: the checks read 5,000 windows, 1 GB of float32
_MAX_VALUES = 50_000
_MIN_SEASONS = 2  # seasons in a window, so that it shows what repeats
_MAX_ROWS, _MAX_COLUMNS = 20_000, 16  # used to detect a season
_MIN_AUTOCORRELATION = 0.1  # at a season
# standard deviations that the autocorrelation of noise has, which a season must exceed
_NOISE_DEVIATIONS = 4.0
_TIE_TOLERANCE = 0.05  # share of the highest peak by which peaks at its multiples may differ


def window_length(
    values: np.ndarray,
    horizon: int,
    *,
    columns: int = 1,
    times: "Times | None" = None,
    calendar: "Calendar | None" = None,
    typical: int | None = None,
    max_steps: int = _MAX_STEPS,
    min_steps: int = 1,
) -> tuple[int, str]:
    """Return the default length of a window, and a note with the reason.

    It is `STEPS` or two of the longest season, whichever is more, in whole seasons; but at most half of the training
    rows, less the horizon. If two of the shortest season exceed this, a window has them nevertheless if windows begin
    at as many rows of the training rows as a season has. Seasons are those of the calendar if the step of the rows is
    known, or else the one detected in the training rows.

    Args:
        values: (rows, F) of the training split, targets only.
        horizon: steps to forecast.
        columns: number of columns of a window, targets and others.
        times: the `Times` of the rows, or None.
        calendar: the `Calendar` of the rows, or None.
        typical: number of training rows of a typical series of several; a window has at most half as many steps.
        max_steps: upper limit of the length.
        min_steps: number of steps that the network needs.

    Returns:
        (number of steps, note).
    """
    rows = len(values)
    typical = rows if typical is None else typical
    limits = {
        f"the limit of {_MAX_STEPS:,} steps": _MAX_STEPS,
        f"the limit of {_MAX_VALUES:,} numbers": _MAX_VALUES // columns,
        "the length of the test series": max_steps,
    }
    bounds = limits | {
        f"half of the {rows:,} training rows": (rows - horizon) // 2,
        f"half of the {typical:,} training rows of a typical series": max(typical // 2, 1),
    }

    def limit_reason(steps: int) -> str:
        """Return the reason why a window cannot have so many steps."""
        return f"{steps:,} steps would exceed {next(name for name, limit in bounds.items() if limit < steps)}"

    longest = max(min(bounds.values()), min_steps, 1)
    calendar_seasons = [] if calendar is None else sorted(calendar.seasons.values())
    detected = (
        []
        if calendar_seasons
        else [season]
        if (season := detect_season(values, longest // _MIN_SEASONS))
        else []
    )
    format_steps = _steps_formatter(times if calendar_seasons else None)
    min_counts = {
        season: max(_MIN_SEASONS, math.ceil(min_steps / season))
        for season in calendar_seasons + detected
    }
    fitting = [season for season in min_counts if min_counts[season] * season <= longest]
    if not fitting and calendar_seasons:
        shortest = calendar_seasons[0]
        steps = min_counts[shortest] * shortest
        begins = min(rows, typical) - horizon - steps + 1  # rows at which windows begin
        if steps <= min(limits.values()) and begins >= shortest:
            fitting, longest = [shortest], steps
    if not fitting:
        steps = min(DEFAULT_STEPS, longest)
        reason = "the training rows show no season"
        if calendar_seasons:
            reason = f"twice the season, {format_steps(calendar_seasons[0])}, does not fit"
        shortened = f", and {limit_reason(DEFAULT_STEPS)}" if steps < DEFAULT_STEPS else ""
        return steps, f"The window length is {format_steps(steps)}: {reason}{shortened}."
    season = max(fitting)
    count = min(max(min_counts[season], math.ceil(DEFAULT_STEPS / season)), longest // season)
    steps = count * season
    line = f"The window length is {format_steps(steps)}: {count} times the season, {format_steps(season)}"
    if detected:
        return steps, line + ", detected in the training rows."
    longest_season = max(calendar_seasons)
    if longest_season == season:
        return steps, line + "."
    needed = min_counts[longest_season] * longest_season
    return (
        steps,
        f"{line}, the longest that fits: {limit_reason(needed)}. To use them anyway, set input_shape={needed}.",
    )


def detect_season(values: np.ndarray, longest: int) -> int | None:
    """Return the lag at which a series repeats itself.

    It is the first of the nearly highest peaks of the autocorrelation of the series without trend. Differences must
    correlate at this lag, too: a random walk has such peaks by chance.

    Args:
        values: (rows, F).
        longest: maximum lag.

    Returns:
        The lag in rows, or None if there is no season.
    """
    values = np.asarray(values[-_MAX_ROWS:, :_MAX_COLUMNS], float)
    if longest < 3 or len(values) < 3 * longest:
        longest = len(values) // 3
    if longest < 3:
        return None
    time = np.linspace(-1, 1, len(values))[:, None]
    centred = values - values.mean(axis=0)
    # Without its linear trend, with which any long lag would correlate.
    correlation = _autocorrelation(
        centred - time * (time * centred).mean(axis=0) / (time**2).mean(), longest
    )
    if correlation is None or not len(rises := np.flatnonzero(np.diff(correlation) > 0)):
        return None
    noise = _NOISE_DEVIATIONS / math.sqrt(len(values))
    # Local maxima after the decay from lag 0.
    lags = np.arange(max(rises[0] + 1, 2), longest)
    lags = lags[
        (correlation[lags] > correlation[lags - 1]) & (correlation[lags] >= correlation[lags + 1])
    ]
    peaks = [
        int(lag)
        for lag in lags[correlation[lags] > max(_MIN_AUTOCORRELATION, noise)]
        if _differences_correlate(values, int(lag))
    ]
    highest = max(correlation[peaks], default=0.0)
    return next(
        (
            lag
            for lag in peaks
            if correlation[lag] >= highest - max(noise, _TIE_TOLERANCE * highest)
        ),
        None,
    )


def _differences_correlate(values: np.ndarray, lag: int) -> bool:
    """Return whether changes within a quarter of a lag correlate with those one lag later."""
    quarter = max(lag // 4, 1)
    differences = values[quarter:] - values[:-quarter]
    differences = _without_constants(differences - differences.mean(axis=0))
    correlation = (differences[lag:] * differences[:-lag]).mean(axis=0) / (differences**2).mean(
        axis=0
    )
    return differences.shape[1] > 0 and correlation.mean() > _NOISE_DEVIATIONS * math.sqrt(
        quarter / len(values)
    )


def _autocorrelation(values: np.ndarray, longest: int) -> np.ndarray | None:
    """Return the mean autocorrelation of columns (longest + 1,) at lags from 0; None if all columns are constant."""
    values = _without_constants(values - values.mean(axis=0))
    if not values.shape[1]:
        return None
    rows = len(values)
    spectrum = np.abs(np.fft.rfft(values, 2 * rows, axis=0)) ** 2
    products = np.fft.irfft(spectrum, 2 * rows, axis=0)[: longest + 1]
    return (products / products[0]).mean(axis=1) * rows / (rows - np.arange(longest + 1))


def _without_constants(centred: np.ndarray) -> np.ndarray:
    """Return the columns of centred values (rows, F) that are not constant."""
    return centred[:, (centred**2).sum(axis=0) > 0]


def _steps_formatter(times: "Times | None") -> Callable[[int], str]:
    """Return a function that formats a number of steps, with their duration if it is known."""
    if times is None or not times.step.unit:
        return lambda steps: f"{steps} steps"
    return lambda steps: f"{steps} steps ({times.step.duration(steps)})"
