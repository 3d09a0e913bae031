"""How a time column is written: numbers, numbers that are dates, or dates and which of day and month comes first.

Training learns it and a run keeps it: a few new rows cannot tell whether 3/2/2024 is in February. Without pandas.
"""

import numpy as np

from kzoo.sources.tables.values import are_short_dates, day_first_again, not_missing, plain, to_dates, to_numbers
from kzoo.sources.tables.zones import in_utc, zone_of

NUMBERS, DAY_FIRST, MONTH_FIRST = "numbers", "day first", "month first"
_IN_FIGURES = {"YYYYMMDD": (1900_00_00, 2101_00_00), "YYYYMM": (1900_00, 2101_00)}  # the least number, and the end
_MOSTLY = 0.95  # share of numbers that are dates above which the others are mistakes
_FEW = 3  # different numbers, below which there is no telling


def are_dates_in_figures(values) -> bool:
    """Tell whether a column holds whole numbers that are dates, such as 20240131."""
    numbers = _all_numbers(plain(values))
    return numbers is not None and _of_numbers(numbers, [], "") != NUMBERS


def time_format_of(name, values, notes, learned=None) -> str | None:
    """Return how a time column is written; None where dates need no telling, as 2024-01-31 does not.

    Args:
        name: of the column.
        values: the column.
        notes: a list that gets a line for each thing to know.
        learned: what training found.

    Returns:
        "numbers", "YYYYMMDD" or "YYYYMM" for whole numbers that are dates, "day first", "month first", or None.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return None
    if (numbers := _all_numbers(values)) is not None:
        return learned if learned in (NUMBERS, *_IN_FIGURES) else _of_numbers(numbers, notes, name)
    if not are_short_dates(values):
        return None
    was = {DAY_FIRST: True, MONTH_FIRST: False}.get(learned)
    return DAY_FIRST if day_first_again(name, values, notes, was) else MONTH_FIRST


def times_of(values, way) -> np.ndarray:
    """Return a time column as numbers or as times, NaN or NaT where a cell holds none.

    Args:
        way: see `way_of`.
    """
    values = plain(values)
    if way == NUMBERS:
        return to_numbers(values)
    return _dates_in(to_numbers(values), way) if way in _IN_FIGURES else to_dates(values, way == DAY_FIRST)


def times_and_zone(rows, column, way) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the times of `Rows`, in UTC where they say a zone; the minutes from UTC that they say, and their zone.

    Args:
        way: see `way_of`.
    """
    times, minutes = times_of(rows[column], way), rows.minutes(column, way == DAY_FIRST)
    if (typed := rows.typed_zone(column)) is None:
        return times, minutes, zone_of(minutes[not_missing(times)])
    return in_utc(times, minutes), minutes, typed[1]


def _all_numbers(values):
    """Return a column as numbers, None where one of its values is none."""
    if values.dtype.kind == "M":
        return None
    numbers = to_numbers(values)
    return numbers if values.dtype.kind in "biuf" or np.isfinite(numbers[not_missing(values)]).all() else None


def _of_numbers(numbers, notes, name):
    """Tell whether numbers are dates: all of them are; where nearly all are, a line names one that is not."""
    there = numbers[np.isfinite(numbers)]
    for way, (low, end) in _IN_FIGURES.items():
        if not len(there) or ((there >= low) & (there < end)).mean() < _MOSTLY or len(np.unique(there)) < _FEW:
            continue
        wrong = np.isnat(_dates_in(there, way))
        if not wrong.any():
            return way
        if wrong.mean() <= 1 - _MOSTLY:
            notes.append(f"{name!r} counts as numbers, not as dates ({way}): {there[wrong][0]:.15g} is no date.")
    return NUMBERS


def _dates_in(numbers, way):
    """Return whole numbers such as 20240131 as times (datetime64), NaT for what is no date of 1900 to 2100."""
    low, end = _IN_FIGURES[way]
    there = (numbers >= low) & (numbers < end) & (numbers == np.floor(numbers))  # not where it is NaN
    whole = np.where(there, numbers, 0).astype(np.int64)
    months, day = (whole // 100, whole % 100) if way == "YYYYMMDD" else (whole, np.ones_like(whole))
    year, month = months // 100, months % 100
    start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates = start.astype("datetime64[D]") + (day - 1)
    there &= (month >= 1) & (month <= 12) & (day >= 1) & (dates.astype("datetime64[M]") == start)
    return np.where(there, dates.astype("datetime64[us]"), np.datetime64("NaT", "us"))
