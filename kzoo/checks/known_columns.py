"""Checks of the known columns of many series: one that is recorded together with the target is not known ahead."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kzoo.checks.finding import Finding, check, warning
from kzoo.checks.subject import Subject
from kzoo.data.store.windows import Windows, series_of
from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.kinds.series.covariates import calendar_names, covariates_of
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import percent

_MOST_ROWS = 200_000
_FEWEST = 30  # rows without a sale, or changes, from which a column is judged
_MANY_VALUES = 10  # distinct values of a column of quantities
# rank correlation of the changes of a column and of the target on the same step
_MOVES_WITH_TARGET = 0.75
# share of the expected values that a column has at steps whose target is 0, below which it is a trace
_STAYS = 0.25
# share of a column's zeros that the calendar explains, from which its zeros are planned
_SEASONAL = 0.5


@check("data", "series")
def known_column_is_a_trace(subject: Subject) -> Iterator[Finding]:
    """Find known columns that are recorded with the target, so that their future values will not be known.

    Three signs: the cells are empty in the rows to forecast; the column is 0 at steps whose target is 0, although it is
    not at the steps before and after; its changes from both neighbouring steps follow those of the target.
    """
    reader = subject.data.preprocessing or {}
    if not reader.get("series_id"):
        return
    windows = subject.data.train.y
    targets = series_of(windows)
    if targets is None or windows.series is None:
        return
    known = [covariate for covariate in covariates_of(reader) if covariate.role == "known"]
    empty = (subject.data.seen.get("series") or {}).get("empty_ahead", ())
    for name in empty:
        yield _finding(name, "is empty in the rows to forecast")
    known = [covariate for covariate in known if covariate.name not in empty]
    if not known:
        return
    matrix: Any = series_of(subject.data.train.x)
    channel = len(reader["columns"])
    middle = _middle_rows(windows)
    phase = _phase(reader, matrix, middle)
    for covariate in covariates_of(reader):
        columns = matrix[:, channel : channel + len(covariate.channels)]
        channel += len(covariate.channels)
        if covariate in known and (sign := _sign(columns, targets, middle, phase)):
            yield _finding(covariate.name, sign)


def _finding(name: str, sign: str) -> Finding:
    return warning(
        f"Known column {name!r} {sign}: it looks recorded together with the target",
        where=f"train, column {name!r}",
        why="Its values for the steps to forecast would not be known, and scores are too optimistic.",
        fix="Remove it from known_covariates= unless it is planned ahead. Its past stays an input.",
    )


def _middle_rows(windows: Windows) -> np.ndarray:
    """Return rows of the training windows' targets whose neighbours belong to the same series."""
    first = int(windows.starts.min())
    last = int(windows.starts.max()) + windows.length
    rows = np.arange(max(first, 1), min(last, len(windows.values) - 1))
    assert windows.series is not None  # as those of a panel
    border = np.isin(rows, windows.series.firsts) | np.isin(rows + 1, windows.series.firsts)
    rows = rows[~border]
    return rows[:: -(-len(rows) // _MOST_ROWS)] if len(rows) else rows


def _phase(reader: JsonObject, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the phase of each row in the shortest season, as a number (N,); 0 without a season."""
    names = calendar_names(Calendar.of(reader))
    if not names:
        return np.zeros(len(rows), int)
    first = len(reader["columns"]) + sum(len(c.channels) for c in covariates_of(reader))
    return np.unique(matrix[rows, first : first + 2].round(3), axis=0, return_inverse=True)[
        1
    ].reshape(-1)


def _sign(
    columns: np.ndarray, targets: np.ndarray, rows: np.ndarray, phase: np.ndarray
) -> str | None:
    """Return what betrays a column (R, channels), or None."""
    target = np.abs(targets).sum(axis=1).astype("float64")
    for values in columns.T.astype("float64"):
        if sign := _zero_sign(values, target, rows, phase) or _change_sign(
            values, target, rows, phase
        ):
            return sign
    return None


def _zero_sign(
    values: np.ndarray, target: np.ndarray, rows: np.ndarray, phase: np.ndarray
) -> str | None:
    """Return the first sign: the column is 0 wherever the target is, against its neighbours."""
    if not (values == 0).any() or not (target == 0).any():
        return None
    active = values != 0
    usual = np.bincount(phase, active[rows]) / np.maximum(np.bincount(phase), 1)
    planned = usual[phase] < 0.1  # such as Sundays
    zeros = ~active[rows]
    if zeros.any() and planned[zeros].mean() > _SEASONAL:
        return None
    inside = active[rows - 1] & active[rows + 1] & ~planned
    without = inside & (target[rows] == 0)
    with_target = inside & (target[rows] != 0)
    if without.sum() < _FEWEST or with_target.sum() < _FEWEST:
        return None
    stays = active[rows][without].mean()
    expected = active[rows][with_target].mean()
    if stays > _STAYS * expected:
        return None
    return (
        f"is 0 at {percent(1 - stays)} of the {without.sum():,} steps whose target is 0, although it is not before and "
        f"after (at other steps: {percent(1 - expected)})"
    )


def _change_sign(
    values: np.ndarray, target: np.ndarray, rows: np.ndarray, phase: np.ndarray
) -> str | None:
    """Return the second sign: a quantity changes with the target of the same step."""
    if len(np.unique(values[rows])) < _MANY_VALUES:
        return None
    changes = [
        series[rows] - (series[rows - 1] + series[rows + 1]) / 2 for series in (values, target)
    ]
    changes = [_without_season(change, phase) for change in changes]
    moving = (changes[0] != 0) & (changes[1] != 0)
    if moving.sum() < _FEWEST:
        return None
    ranks = [
        np.argsort(np.argsort(change[moving], kind="stable"), kind="stable") for change in changes
    ]
    correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    if abs(correlation) < _MOVES_WITH_TARGET:
        return None
    return f"changes with the target of the same step (rank correlation {correlation:.2f})"


def _without_season(change: np.ndarray, phase: np.ndarray) -> np.ndarray:
    means = np.bincount(phase, change) / np.maximum(np.bincount(phase), 1)
    return change - means[phase]
