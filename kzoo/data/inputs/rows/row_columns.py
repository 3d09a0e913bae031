"""Columns that describe the rows of a table and are no features: row weights and moments in time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.inputs.rows.columns import number_format_of
from kzoo.data.targets.weights import weights_to_score
from kzoo.inference.tables.dates import are_dates, detect_day_first, to_dates
from kzoo.inference.tables.raw import decimal_of
from kzoo.inference.tables.values import Column, not_missing, plain, to_numbers
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import plural, shown

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def row_weights(
    frame: "DataFrame",
    name: str,
    keep: np.ndarray,
    *,
    part: str | None = None,
    decimal: str | None = None,
) -> np.ndarray:
    """Return the weights of the rows that are used, as float64.

    Args:
        frame: the table.
        name: of the column of weights.
        keep: (N,) booleans: which rows are used.
        part: the split of another table than the training table, for messages.
        decimal: decimal sign of the file.

    Raises:
        KzooError: a weight that is missing, not a number, negative or infinite; rows are counted from 1.
    """
    values = plain(frame[name])
    weight = _numbers(name, values, decimal)
    bad = np.flatnonzero(keep & ~((weight >= 0) & np.isfinite(weight)))
    if not bad.size:
        return weight[keep]
    cell = values[bad[0]] if not_missing(values)[bad[0]] else None
    raise invalid_weight(name, int(bad[0]), cell, part=part, count=len(bad))


def invalid_weight(
    name: str, row: int, cell: object, *, part: str | None = None, count: int = 1
) -> KzooError:
    """Return the error for a weight that is missing, not a number, negative or infinite.

    Args:
        name: of the column.
        row: its index; messages count from 1.
        cell: the cell, or None if it is missing.
        part: the split of another table than the training table.
        count: number of such weights.
    """
    where = "" if part is None else f"In the {part} table: "
    contains, fix = (
        ("has no weight", "Fill it in") if cell is None else (f"has {shown(cell)}", "Correct it")
    )
    others = f" ({count} such rows)" if count > 1 else ""
    return KzooError(
        f"{where}Weights in sample_weight={name!r} must be numbers, 0 or more: row {row + 1} {contains}{others}. "
        f"{fix}, or omit sample_weight=."
    )


def new_weights(frame: "DataFrame", name: str | None, keep: np.ndarray) -> np.ndarray | None:
    """Return the weights of new labelled rows as float32; None, with a warning, if the table has no column `name`.

    Raises:
        KzooError: see `row_weights`; or all weights are 0.
    """
    if name is None:
        return None
    if name not in frame.columns:
        warn(
            f"The table has no column {name!r} of weights (sample_weight=): its rows count equally."
        )
        return None
    return weights_to_score(row_weights(frame, name, keep, decimal=decimal_of(frame)))


def _numbers(name: str, values: Column, decimal: str | None) -> np.ndarray:
    """Return a column as float64, by the format of its texts."""
    learned = number_format_of(name, values, None, None, decimal)
    return to_numbers(values, *([] if learned is None else [learned]))


def moments(
    frame: "DataFrame",
    name: str,
    keep: np.ndarray,
    notes: list[str],
    *,
    decimal: str | None = None,
    date_order: str | None = None,
) -> np.ndarray:
    """Return when the rows that are used happened, as numbers that increase with time (float64).

    Args:
        frame, name, keep, decimal: see `row_weights`; the column has dates or numbers.
        notes: list that a note about ambiguous dates is appended to.
        date_order: see `kzoo.load_data`.

    Raises:
        KzooError: a row without a date or a number.
    """
    values = plain(frame[name])
    present = not_missing(values)
    if values.dtype.kind == "M" or are_dates(values):
        dates = to_dates(values, detect_day_first(name, values, notes, date_order))
        known = ~np.isnat(dates)
        noun = "date"
        numbers = np.where(known, dates.astype("datetime64[us]").astype(np.int64), 0).astype(
            np.float64
        )
    else:
        numbers = _numbers(name, values, decimal)
        noun = "date or number"
        known = np.isfinite(numbers)
    if (gone := np.flatnonzero(keep & ~present)).size:
        raise KzooError(
            f"is missing in {plural(len(gone), 'row')}, the first in row {gone[0] + 1}: rows without a "
            "time have no place in order of time. Fill in the missing values, or remove these rows.",
            argument="time",
            value=name,
        )
    if (bad := np.flatnonzero(keep & ~known)).size:
        raise KzooError(
            f"is not a {noun} in {plural(len(bad), 'row')}: row {bad[0] + 1} has "
            f"{shown(values[bad[0]])}. Correct it, or use another column.",
            argument="time",
            value=name,
        )
    return numbers[keep]


def time_note(
    values: "Series",
    name: str | None,
    times: np.ndarray,
    parts: Mapping[str, np.ndarray | None],
    is_input: bool,
) -> str:
    """Return a note on where the splits begin in time.

    Args:
        values: (N,) cells of the column, as a Series.
        name: of the column.
        times: (N,) the same as numbers (see `moments`).
        parts: split -> numbers of its rows, or None.
        is_input: whether the column is an input too.
    """
    starts = [
        f"{part} from {str(values.iloc[rows[times[rows].argmin()]]).removesuffix(' 00:00:00')}"
        for part in ("validation", "calibration", "test")
        if (rows := parts.get(part)) is not None and len(rows)
    ]
    use = (
        "is an input too; drop= excludes it from the inputs only" if is_input else "is not an input"
    )
    return f"Split in order of {name!r}: {', '.join(starts) or 'all rows are for training'}. The column {use}."
