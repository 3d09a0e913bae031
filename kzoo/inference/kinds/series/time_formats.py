"""Formats of a time column: numbers, dates written as digits, or dates with the day or the month first.

The format is learned in training and stored: few new rows cannot show whether 3/2/2024 is in February. Does not import
pandas.
"""

import numpy as np

from kzoo.inference.tables.dates import (
    DIGIT_FORMATS,
    are_short_dates,
    dates_of_digits,
    day_first_of_new_rows,
    detect_day_first,
    to_dates,
    writing_notes,
)
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import Cells, Column, not_missing, plain, to_numbers
from kzoo.inference.tables.zones import in_utc, zone_of
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

NUMBERS, DAY_FIRST, MONTH_FIRST = "numbers", "day first", "month first"
_MIN_DATE_SHARE = 0.95  # of the numbers; the others are mistakes
_MIN_DISTINCT = 3  # numbers; fewer show no format


def are_digit_dates(values: Cells) -> bool:
    """Return whether a column contains whole numbers that are dates, such as 20240131."""
    numbers = _all_numbers(plain(values))
    return numbers is not None and _format_of_numbers(numbers, [], "") != NUMBERS


def time_format_of(
    name: str,
    values: Cells,
    notes: list[str],
    learned: str | None = None,
    date_order: str | None = None,
) -> str | None:
    """Return the format of a time column; None if its dates are unambiguous, such as 2024-01-31.

    Args:
        name: name of the column.
        values: the column.
        notes: list that notes for the user are appended to.
        learned: the format in training, empty if its dates were unambiguous; None in training.
        date_order: see `kzoo.load_data`.

    Returns:
        "numbers", "YYYYMMDD" or "YYYYMM" for whole numbers that are dates, "day first", "month first", or None.

    Raises:
        KzooError: dates that may be day first or month first.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return None
    if (numbers := _all_numbers(values)) is not None:
        return (
            learned
            if learned in (NUMBERS, *DIGIT_FORMATS)
            else _format_of_numbers(numbers, notes, name)
        )
    if not are_short_dates(values):
        return None if date_order is None else date_order.replace("-", " ")  # for new rows
    if learned in (DAY_FIRST, MONTH_FIRST):
        day_first = day_first_of_new_rows(name, values, notes, learned == DAY_FIRST)
    else:
        day_first = detect_day_first(name, values, notes, date_order, required=learned is None)
        notes += writing_notes(name, values, day_first)
    return DAY_FIRST if day_first else MONTH_FIRST


def times_of(values: Cells, time_format: str | None) -> np.ndarray:
    """Return a time column (N,) as numbers or as datetime64, NaN or NaT for unreadable cells.

    Args:
        values: the column.
        time_format: see `time_format_of`.
    """
    values = plain(values)
    if time_format == NUMBERS:
        return to_numbers(values)
    return (
        dates_of_digits(to_numbers(values), time_format)
        if time_format in DIGIT_FORMATS
        else to_dates(values, time_format == DAY_FIRST)
    )


def times_and_zone(
    rows: Rows, column: str, time_format: str | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return (times, UTC offsets in minutes, zone) of a column of `Rows`; times (N,) are in UTC if they state a zone.

    Args:
        rows: `Rows`.
        column: name of the column.
        time_format: see `time_format_of`.
    """
    times = times_of(rows[column], time_format)
    minutes = rows.minutes(column, time_format == DAY_FIRST)
    if (dtype_zone := rows.typed_zone(column)) is None:
        return times, minutes, zone_of(minutes[not_missing(times)])
    return in_utc(times, minutes), minutes, dtype_zone[1]


def require_times(rows: Rows, column: str, times: np.ndarray) -> None:
    """Raise `KzooError` if a time column has cells without a time.

    Args:
        rows: `Rows`.
        column: name of the column.
        times: (N,) as `times_and_zone` returns them.
    """
    without = np.flatnonzero(~not_missing(times))
    if not len(without):
        return
    is_number = np.isfinite(to_numbers(plain(rows[column])))
    if is_number.any() and not is_number.all():  # a single text among numbers is what is wrong
        without = np.flatnonzero(~is_number)
    cells = plain(rows[column])
    row = int(without[0])
    content = f": {shown(cells[row])}" if not_missing(cells)[row] else ""
    raise KzooError(
        f"Time column {column!r} contains no time in row {row + 1}{content}. Correct it, or remove the row."
    )


def _all_numbers(values: Column) -> np.ndarray | None:
    """Return a column as numbers; None if a value is not a number."""
    if values.dtype.kind == "M":
        return None
    numbers = to_numbers(values)
    return (
        numbers
        if values.dtype.kind in "biuf" or np.isfinite(numbers[not_missing(values)]).all()
        else None
    )


def _format_of_numbers(numbers: np.ndarray, notes: list[str], name: str) -> str:
    """Return the format of numbers: dates if all are dates. If nearly all are, a note names one that is not."""
    finite = numbers[np.isfinite(numbers)]
    for time_format, (low, end) in DIGIT_FORMATS.items():
        if (
            not len(finite)
            or ((finite >= low) & (finite < end)).mean() < _MIN_DATE_SHARE
            or len(np.unique(finite)) < _MIN_DISTINCT
        ):
            continue
        is_invalid = np.isnat(dates_of_digits(finite, time_format))
        if not is_invalid.any():
            return time_format
        if is_invalid.mean() <= 1 - _MIN_DATE_SHARE:
            notes.append(
                f"{name!r} is read as numbers, not as dates ({time_format}): {finite[is_invalid][0]:.15g} is not a "
                "date."
            )
    return NUMBERS
