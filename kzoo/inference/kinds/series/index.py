"""The index of a DataFrame, with times or the name of a series, as columns. Does not import pandas."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kzoo.inference.kinds.series.time_formats import are_digit_dates
from kzoo.inference.tables.dates import are_dates
from kzoo.inference.tables.raw import TableSource

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def with_index(table: TableSource, time: str | None = None) -> TableSource:
    """Return a table whose index of times, or index of several levels, has become columns; periods become timestamps.

    These columns come first, so that they are the time column if none is requested; without a name they are "time".
    Other indexes, levels with the name of a column, and tables that are not from pandas are left unchanged.

    Args:
        table: a DataFrame, a Series, or a table of another type.
        time: name of the time column; an index of this name becomes a column, too.
    """
    if hasattr(table, "to_frame") and hasattr(table, "iloc"):
        table = table.to_frame()
    if not (hasattr(table, "columns") and hasattr(table, "iloc")):
        return table
    levels = [
        table.index.get_level_values(position).to_series()
        for position in range(table.index.nlevels)
    ]
    levels = [values.reset_index(drop=True) for values in levels]
    if len(levels) > 1 or _are_times(levels[0]) or (time is not None and levels[0].name == time):
        table = _with_levels(table, levels)
    period_positions = [
        position for position, dtype in enumerate(table.dtypes) if _is_period_dtype(dtype)
    ]
    table = table.copy(deep=False) if period_positions else table
    for position in period_positions:
        table.isetitem(position, table.iloc[:, position].dt.to_timestamp())
    return table


def _with_levels(table: "DataFrame", levels: "Sequence[Series]") -> "DataFrame":
    """Return a DataFrame with the levels of its index as first columns."""
    if table.columns.nlevels > 1 or str(table.columns.dtype) == "category":  # cannot take new names
        table = table.set_axis([str(name) for name in table.columns], axis=1)
    names = {str(name).strip() for name in table.columns}
    columns = {}
    for position, values in enumerate(levels):
        name = values.name
        if name is None:
            time_names = ("time", "index") if _are_times(values) else ()
            name = next(
                candidate
                for candidate in (*time_names, f"level_{position}", f"index_{position}")
                if candidate not in names
            )
        if str(name).strip() not in names:
            names.add(str(name).strip())
            columns[name] = values
    table = table.reset_index(drop=True)
    for position, (name, values) in enumerate(columns.items()):
        table.insert(position, name, values)
    return table


def _are_times(values: "Series") -> bool:
    """Return whether the values of an index are times."""
    if getattr(values.dtype, "tz", None) is not None or _is_period_dtype(values.dtype):
        return True
    return are_dates(values) or are_digit_dates(values)


def _is_period_dtype(dtype: object) -> bool:
    """Return whether a dtype is one of periods."""
    return str(dtype).startswith("period[")
