"""The index of a DataFrame says when a row was, or which series it is of: it is read as columns. Without pandas."""

from kzoo.kinds.series.time_formats import are_dates_in_figures
from kzoo.sources.tables.values import are_dates


def with_index(table, time=None):
    """Return a DataFrame, also of a Series, with an index of times or of several levels as columns, periods as times.

    Times come first, and so count as the time column where none is asked for; without a name they are "time". An index
    of anything else is left alone, as is what is no DataFrame, and a level that has the name of a column.

    Args:
        time: the name of the time column, by which an index is one too.
    """
    if hasattr(table, "to_frame") and hasattr(table, "iloc"):
        table = table.to_frame()
    if not (hasattr(table, "columns") and hasattr(table, "iloc")):
        return table
    levels = [table.index.get_level_values(place).to_series() for place in range(table.index.nlevels)]
    levels = [values.reset_index(drop=True) for values in levels]
    if len(levels) > 1 or _are_times(levels[0]) or (time is not None and levels[0].name == time):
        table = _taken_in(table, levels)
    periods = [place for place, kind in enumerate(table.dtypes) if _are_periods(kind)]
    table = table.copy(deep=False) if periods else table
    for place in periods:
        table.isetitem(place, table.iloc[:, place].dt.to_timestamp())
    return table


def _taken_in(table, levels):
    if table.columns.nlevels > 1 or str(table.columns.dtype) == "category":  # which take no other names
        table = table.set_axis([str(name) for name in table.columns], axis=1)
    taken, columns = {str(name).strip() for name in table.columns}, {}
    for place, values in enumerate(levels):
        name = values.name
        if name is None:
            usual = ("time", "index") if _are_times(values) else ()
            name = next(one for one in (*usual, f"level_{place}", f"index_{place}") if one not in taken)
        if str(name).strip() not in taken:
            taken.add(str(name).strip())
            columns[name] = values
    table = table.reset_index(drop=True)
    for place, (name, values) in enumerate(columns.items()):
        table.insert(place, name, values)
    return table


def _are_times(values):
    if getattr(values.dtype, "tz", None) is not None or _are_periods(values.dtype):
        return True
    return are_dates(values) or are_dates_in_figures(values)


def _are_periods(kind):
    return str(kind).startswith("period[")
