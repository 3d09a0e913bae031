"""DataFrames for training, from files and from callers, with the requested columns."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from kzoo.inference.tables.files import read_table
from kzoo.inference.tables.label_cells import has_lists
from kzoo.inference.tables.raw import (
    MOST,
    TableSource,
    check_cells,
    check_names,
    columns_of_lists,
    is_arrow,
    is_list_of_rows,
)
from kzoo.problems.layout import RawLabels
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes, listed, plural, shown
from kzoo.utils.memory import too_large
from kzoo.utils.optional import of_pandas
from kzoo.utils.optional import pandas as pd

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.inference.tables.arrow import Table
    from kzoo.inference.tables.values import Cells

_MOST_PARTS = 3  # of (x, y, weight)
# approximate memory of a DataFrame and its derived arrays, as a multiple of the bytes of an Arrow table
_FRAME = 4


def as_frame(
    source: TableSource,
    text: Collection[str] = (),
    notes: list[str] | None = None,
    lists: Collection[str] = (),
    *,
    compact: bool = False,
) -> "DataFrame":
    """Return a DataFrame, an Arrow table or a table file as a DataFrame with string column names.

    Durations become seconds. A DataFrame of the caller is not changed.

    Args:
        text: names of columns whose cells stay as written in the file.
        notes: a list that gets notes on how a file was read, see `read_table`.
        lists: names of columns whose cells may be lists: targets with several labels.
        compact: whether columns of texts of a large file may become categories.
    """
    if of_pandas(source, "DataFrame"):
        names = [str(c).strip() for c in source.columns]
        # first: pandas may fail to make an index of names with lone surrogates
        check_cells(source, names, lists)
        check_names(names)
        frame = source.set_axis(names, axis=1).reset_index(drop=True)
        durations = [name for name in names if frame[name].dtype.kind == "m"]
        return (
            frame.assign(**{name: frame[name].dt.total_seconds() for name in durations})
            if durations
            else frame
        )
    if is_arrow(source):
        return as_frame(_arrow_to_frame(source), lists=lists)
    if not isinstance(source, str | os.PathLike):
        raise KzooError(
            f"Expected a table, got {shown(source)}. Pass a DataFrame, an Arrow table, or the path of a file.",
            value=source,
        )
    return read_table(source, text, notes, compact=compact)


def as_table(source: TableSource, *, dicts: bool = True) -> TableSource:
    """Return rows in memory as a DataFrame, and a stream of Arrow, which can be read once, as a table of pyarrow.

    Args:
        source: a list of dicts; a list of more than three lists, of which the first has the column names (of two or
            three, it is a pair (x, y) or (x, y, weight)); a dict of columns; or an object with `__arrow_c_stream__`.
            Anything else is returned unchanged.
        dicts: whether a list of dicts becomes a DataFrame, which no longer tells a missing key from an empty cell.

    Raises:
        KzooError: rows or columns of different lengths, or without names.
    """
    if is_arrow(source):
        return import_module("kzoo.inference.tables.arrow").table_of(source)
    if isinstance(source, list) and source and all(isinstance(row, dict) for row in source):
        if not dicts:
            return source
        for row in source:
            check_names(row)
        return pd.DataFrame(
            [{str(name).strip(): cell for name, cell in row.items()} for row in source]
        )
    if isinstance(source, Mapping) and source and all(isinstance(name, str) for name in source):
        for name, values in source.items():
            if not hasattr(values, "__len__"):
                raise KzooError(
                    f"A dict must have a list of values for each column, but {name!r} is "
                    f"{shown(values)}.",
                    value=source,
                )
        lengths = {name: len(values) for name, values in source.items()}
        if len(set(lengths.values())) > 1 or any(
            isinstance(values, str) for values in source.values()
        ):
            columns = listed((f"{name} {length}" for name, length in lengths.items()), MOST)
            raise KzooError(
                f"A dict must have columns of the same length: {columns}.", value=source
            )
        return pd.DataFrame({name: list(values) for name, values in source.items()})
    if (
        is_list_of_rows(source)
        and len(source) > _MOST_PARTS
        and all(isinstance(name, str) for name in source[0])
    ):
        return pd.DataFrame(columns_of_lists(source))
    return source


def is_pair(source: object) -> "TypeGuard[Sequence[Any]]":
    """Return True if this is (x, y) or (x, y, weight), and x is a DataFrame."""
    return (
        isinstance(source, tuple | list)
        and len(source) in (2, 3)
        and of_pandas(source[0], "DataFrame")
    )


def join_targets(
    x: TableSource, y: RawLabels, names: Collection[str] = ()
) -> "tuple[DataFrame, list[str]]":
    """Return a DataFrame of inputs with the targets added as columns, and the names of the target columns.

    Args:
        x: a DataFrame.
        y: (N,), (N, targets), a list of lists of labels, or a DataFrame, in the row order of x.
        names: names for the target columns; columns of a DataFrame that have these names are selected by name. If
            empty, the columns keep their names, or are called "target".

    Raises:
        KzooError: the number of rows or columns does not match, or a name is already used in x.
    """
    frame = as_frame(x)
    y_name = getattr(y, "name", None)
    if of_pandas(y, "DataFrame"):
        targets = as_frame(y, lists=[str(name).strip() for name in y.columns])
    elif isinstance(y, list | tuple) and has_lists(y):
        targets = pd.DataFrame({"labels": list(y)})
    else:
        values = np.asarray(y)
        values = values.reshape(len(values) if values.ndim else 1, -1)
        default_names = [f"y{i + 1}" for i in range(values.shape[1])]
        targets = pd.DataFrame(
            values,
            columns=default_names if len(default_names) != 1 else [str(y_name or "target").strip()],
        )
    if len(frame) != len(targets):
        raise KzooError(
            f"x and y must have the same number of rows (x: {len(frame)}, y: {len(targets)})."
        )
    if names and set(names) <= set(targets):
        targets = targets[list(names)]
    elif names and targets.shape[1] != len(names):
        raise KzooError(
            f"y has {plural(targets.shape[1], 'column')}, but must have {len(names)}: {listed(map(repr, names))}."
        )
    elif names:
        targets = targets.set_axis(list(names), axis=1)
    for name in () if names else targets:
        if name in frame and not frame[name].astype(object).equals(targets[name].astype(object)):
            raise KzooError(
                f"y and a column of x are both named {name!r} but differ. Rename one to keep both: y.rename('target')."
            )
    return frame.assign(**{name: targets[name] for name in targets}), list(targets)


def with_weights(
    frame: "DataFrame", weight: "Cells", name: str | None = None
) -> "tuple[DataFrame, str]":
    """Return a DataFrame with row weights as a column, and the name of that column.

    Args:
        frame: the table.
        weight: (N,) weights in the order of its rows; a Series that equals the column of its name is that column.
        name: of the new column; by default "sample_weight", or a similar name that is not used yet.

    Raises:
        KzooError: the number of weights is not that of the rows.
    """
    if (values := np.asarray(weight)).shape != (len(frame),):
        raise KzooError(
            f"must have one number for each of the {len(frame)} rows. Got an array of shape "
            f"{values.shape}.",
            argument="sample_weight",
        )
    own_name = str(getattr(weight, "name", None)).strip()
    if name is None and own_name in frame and np.array_equal(frame[own_name].to_numpy(), values):
        return frame, own_name
    if name is None:
        name = "sample_weight"
        while name in frame:
            name += "_"
    return frame.assign(**{name: values}), name


def index_notes(source: object) -> Iterator[str]:
    """Yield a note if a DataFrame has a meaningful index, which is ignored."""
    index: Any = getattr(source, "index", None)
    if not of_pandas(index, "Index"):
        return
    names = [str(name) for name in index.names if name is not None]
    if names or (len(index) and index.dtype.kind not in "iu"):
        description = listed(map(repr, names)) if names else type(index).__name__
        yield f"The index of the DataFrame ({description}) is ignored. DataFrame.reset_index() turns it into columns."


def _arrow_to_frame(table: "Table") -> "DataFrame":
    """Return an Arrow table as the DataFrame that its Parquet file would be read as.

    Raises:
        KzooError: it does not fit into memory.
    """
    arrow = import_module("kzoo.inference.tables.arrow")
    table = arrow.table_of(table)
    if too_large(_FRAME * table.nbytes):
        raise KzooError(
            f"This Arrow table ({in_bytes(table.nbytes)}) does not fit into memory as a DataFrame. Write it with "
            "pyarrow.parquet.write_table, and pass the path of the .parquet file, which is read piece by piece."
        )
    return arrow.frame_of_normalized(arrow.normalize_table(table, "the table"))
