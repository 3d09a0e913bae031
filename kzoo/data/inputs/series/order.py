"""Whether a table of many series is one to forecast, or one of labelled series: the target decides."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.inputs.rows.columns import number_formats_of
from kzoo.data.inputs.series.panel_rows import named_targets
from kzoo.data.tables.frame import as_frame
from kzoo.inference.kinds.rows.column_options import column_options, named_columns
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.tables.raw import MOST, TARGET_NAMES, as_names, check_distinct, require, rows_of
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural
from kzoo.utils.optional import pandas as pd
from kzoo.utils.table_path import Source

if TYPE_CHECKING:
    from pandas import DataFrame


_NUMERIC = 0.5  # share of the filled cells of a target that are numbers
_MAX_ROWS = 1_000_000  # that are compared: loading checks the labels of all rows


def order_of(
    source: Source,
    *,
    series_id: str | Sequence[str],
    target: str | Sequence[str] | None,
    time: str | None,
    columns: Mapping[str, str | Mapping[str, str]] | None,
    forecasts: bool,
) -> tuple[Source, str, list[str]]:
    """Return whether the rows of a series follow one another to be forecast, or are an example with a label.

    Numbers that change within most series are forecast. A target that is constant within every series, or not numeric,
    is a label.

    Args:
        source: a DataFrame, or the path of a table.
        series_id, target, time, columns: see `kzoo.load_data`.
        forecasts: whether all numeric columns are forecast if no target is named.

    Returns:
        The source, a DataFrame if it was the path of a table; "ordered" or "unordered"; and notes.

    Raises:
        KzooError: no target, an unknown column, or a target that is constant in some series and changes in others.
    """
    in_memory = hasattr(source, "iloc")
    notes = list[str]()
    ids = as_names(series_id)
    frame = as_frame(with_index(source, time), [*named_columns(columns), *ids], notes, compact=True)
    require(frame, ids, "the series")
    names = named_targets(target, frame.columns)
    if (
        not names
        and not forecasts
        and len(frame.columns)
        and frame.columns[-1].lower() in TARGET_NAMES
    ):
        names = [frame.columns[-1]]
    if not names and not forecasts:
        raise KzooError(
            "Say with target= which column to forecast, or which is the label of a series. Columns: "
            f"{listed(frame.columns, MOST)}."
        )
    require(frame, names, "the series")
    check_distinct(names)
    if clash := [name for name in names if name in ids]:
        raise KzooError(
            "is a column of series_id=. Use another column.", argument="target", value=clash[0]
        )
    order, reason = (
        _order(frame.head(_MAX_ROWS), ids, names, columns)
        if names and len(frame)
        else ("ordered", "")
    )
    if order == "unordered":
        notes.append(f"Labelled series: {reason}.")
    elif reason and not forecasts:
        notes.append(
            f"Many series to forecast: {reason}. If it is a label that changes, set segment=."
        )
    return (source if in_memory else frame), order, notes


def _order(
    frame: "DataFrame",
    ids: Sequence[str],
    names: Sequence[str],
    columns: Mapping[str, str | Mapping[str, str]] | None,
) -> tuple[str, str]:
    """Return "ordered" or "unordered", and the reason."""
    codes = frame.groupby(ids, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    count = int(codes.max()) + 1
    overrides = column_options(columns, frame)
    decimal = frame.attrs.get("decimal")
    formats = number_formats_of(frame, names, overrides, [], decimal)
    rows = rows_of(frame)
    changing = {}
    for name in names:
        numbers = rows.numbers(name, formats.get(name))
        filled = pd.notna(frame[name]).to_numpy()
        is_number = np.isfinite(numbers)
        if pd.api.types.is_bool_dtype(frame[name]) or is_number.sum() <= _NUMERIC * filled.sum():
            return "unordered", f"{name!r} is not numeric"
        lowest = np.full(count, np.inf)
        highest = np.full(count, -np.inf)
        np.minimum.at(lowest, codes[is_number], numbers[is_number])
        np.maximum.at(highest, codes[is_number], numbers[is_number])
        comparable = np.bincount(codes[is_number], minlength=count) > 1
        changing[name] = (lowest < highest)[comparable]
    which = listed(map(repr, names), MOST)
    if not any(values.any() for values in changing.values()):
        verb = "is" if len(names) == 1 else "are"
        return (
            "unordered",
            f"{which} {verb} constant within each series; task='forecasting' overrides",
        )
    if all(values.mean() > 0.5 for values in changing.values()):
        return "ordered", f"{which} {'changes' if len(names) == 1 else 'change'} within series"
    name = next(name for name, values in changing.items() if not values.mean() > 0.5)
    raise KzooError(
        f"Target {name!r} changes within {int(changing[name].sum()):,} of {plural(len(changing[name]), 'series')}: set "
        "task='forecasting' to forecast it, or task='classification' if it is a label that must be corrected there."
    )
