"""How many steps a window has where nobody says it: two seasons at least, found on the training rows. NumPy only."""

import math

import numpy as np

from kzoo.kinds import STEPS

_MOST = 1_000  # steps of a window that nobody asked for: recurrent networks take a time that grows with them
_NUMBERS = 50_000  # in a window: the checks read 5,000 of them, a gigabyte
_TWICE = 2  # seasons, from which a network can tell what comes again
_GAPS = 0.05  # share of rows that may be missing where a season is counted in rows
_ROWS, _COLUMNS = 20_000, 16  # that are looked at
_ALIKE = 0.1  # least autocorrelation at a season
_SURE = 4.0  # standard deviations of it in noise
_TIED = 0.05  # of the highest one, by which its multiples may differ from it


def window(values, horizon, *, columns=1, times=None, calendar=None, room=_MOST, least=1) -> tuple[int, str]:
    """Choose the length of a window.

    It is `STEPS` or two of the longest season, whichever is more, in whole seasons; and so short that half of the
    training rows begin one. The seasons are those of the calendar where the step of the rows is known, else what the
    rows show.

    Args:
        values: (rows, F) of the training split, targets only.
        horizon: steps to forecast.
        columns: how many a window has, targets and others.
        times: their `Times`, from the first row on, or None.
        calendar: their `Calendar`, or None.
        room: steps that it may have at most.
        least: steps that the network needs.

    Returns:
        The number of steps, and a line that says why.
    """
    rows = len(values)
    bounds = {
        f"{_MOST:,} steps": _MOST,
        f"{_NUMBERS:,} numbers": _NUMBERS // columns,
        f"half of {rows:,} training rows": (rows - horizon) // 2,
        "the test series has": room,
    }

    def too_many(steps):
        return f"{steps:,} steps would be more than {next(said for said, limit in bounds.items() if limit < steps)}"

    most = max(min(bounds.values()), least, 1)
    known = [] if calendar is None or not _even(times, rows) else sorted(calendar.seasons.values())
    shown = [] if known else [found] if (found := season_of(values, most // _TWICE)) else []
    said = _length(times if known else None)
    fewest = {season: max(_TWICE, math.ceil(least / season)) for season in known + shown}
    fitting = [season for season in fewest if fewest[season] * season <= most]
    if not fitting:
        steps = min(STEPS, most)
        why = f"twice the season, {said(known[0])}, does not fit" if known else "the training rows show no season"
        short = f", and {too_many(STEPS)}" if steps < STEPS else ""
        return steps, f"A window is {said(steps)}: {why}{short}."
    season = max(fitting)
    count = min(max(fewest[season], math.ceil(STEPS / season)), most // season)
    steps = count * season
    line = f"A window is {said(steps)}: {count} times the {'longest ' if known else ''}season, {said(season)}"
    if shown:
        return steps, line + ", which the training rows show."
    longest = max(known)
    if longest == season:
        return steps, line + "."
    asked = fewest[longest] * longest
    return steps, f"{line} that fits: {too_many(asked)}. For that, use input_shape={asked}."


def season_of(values, longest) -> int | None:
    """Find the lag at which a series is like itself again.

    It is the first peak of the autocorrelation, without a trend, that is nearly the highest. Moves must be alike there
    too: a random walk has such peaks, which mean nothing.

    Args:
        values: (rows, F).
        longest: lag that is looked at.

    Returns:
        Rows, or None where nothing comes again.
    """
    values = np.asarray(values[-_ROWS:, :_COLUMNS], float)
    if longest < 3 or len(values) < 3 * longest:
        longest = len(values) // 3
    if longest < 3:
        return None
    time = np.linspace(-1, 1, len(values))[:, None]
    centred = values - values.mean(axis=0)
    alike = _autocorrelation(centred - time * (time * centred).mean(axis=0) / (time**2).mean(), longest)
    if alike is None or not len(rises := np.flatnonzero(np.diff(alike) > 0)):
        return None
    sure = _SURE / math.sqrt(len(values))
    lags = np.arange(max(rises[0] + 1, 2), longest)
    lags = lags[(alike[lags] > alike[lags - 1]) & (alike[lags] >= alike[lags + 1])]
    peaks = [int(lag) for lag in lags[alike[lags] > max(_ALIKE, sure)] if _moves_alike(values, int(lag))]
    highest = max(alike[peaks], default=0.0)
    return next((lag for lag in peaks if alike[lag] >= highest - max(sure, _TIED * highest)), None)


def _moves_alike(values, lag):
    """Say whether what changes within a quarter of a lag is alike a lag later."""
    quarter = max(lag // 4, 1)
    moves = values[quarter:] - values[:-quarter]
    moves = _changing(moves - moves.mean(axis=0))
    alike = (moves[lag:] * moves[:-lag]).mean(axis=0) / (moves**2).mean(axis=0)
    return moves.shape[1] > 0 and alike.mean() > _SURE * math.sqrt(quarter / len(values))


def _autocorrelation(values, longest):
    """Return the mean autocorrelation of columns at lags 0..longest; None of columns that never change."""
    values = _changing(values - values.mean(axis=0))
    if not values.shape[1]:
        return None
    rows = len(values)
    spectrum = np.abs(np.fft.rfft(values, 2 * rows, axis=0)) ** 2
    products = np.fft.irfft(spectrum, 2 * rows, axis=0)[: longest + 1]
    return (products / products[0]).mean(axis=1) * rows / (rows - np.arange(longest + 1))


def _changing(centred):
    """Return the columns of (rows, F) that are not always the same."""
    return centred[:, (centred**2).sum(axis=0) > 0]


def _even(times, rows):
    """Say whether hardly a row is missing among the first."""
    return times is not None and float(times.between[: rows - 1].sum()) <= (1 + _GAPS) * (rows - 1)


def _length(times):
    """Return a function that says how long so many steps are."""
    if times is None or not times.step.unit:
        return lambda steps: f"{steps} steps"
    return lambda steps: f"{steps} steps ({times.step.times(steps)})"
