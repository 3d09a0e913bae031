"""Tables that training learns from, as DataFrames: from files and from callers, with the columns that are asked for."""

import os
from collections import Counter
from importlib import import_module

import pandas as pd

from kzoo.data.memory import too_large
from kzoo.errors import KzooError
from kzoo.kinds.tables.files import read_table
from kzoo.kinds.tables.raw import check_cells, is_arrow
from kzoo.words import in_bytes, listed, shown

_FRAME = 4  # times the bytes of a table of Arrow that a DataFrame and what is made of it take, about


def as_frame(source, text=(), notes=None):
    """Return a table, also one of Arrow, as a DataFrame with string column names; the caller's own is never changed.

    Durations become seconds.

    Args:
        text: names of columns whose cells stay as a file writes them.
        notes: a list that gets lines to know of how a file was read, see `read_table`.
    """
    if isinstance(source, pd.DataFrame):
        names = [str(c).strip() for c in source.columns]
        check_cells(source, names)  # before pandas makes an index of the names: of half a character it may be unable to
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise KzooError(f"Two columns of the table are called {twice[0]!r}; give each a name of its own.")
        frame = source.set_axis(names, axis=1).reset_index(drop=True)
        durations = [name for name in names if frame[name].dtype.kind == "m"]
        return frame.assign(**{name: frame[name].dt.total_seconds() for name in durations}) if durations else frame
    if is_arrow(source):
        return as_frame(_read(source))
    if not isinstance(source, str | os.PathLike):
        raise KzooError(f"{shown(source)} is not a table: give a DataFrame, a table of Arrow, or the path of a file.")
    return read_table(source, text, notes)


def about_index(source):
    """Yield a line about an index of a DataFrame that says something, and is not read."""
    index = getattr(source, "index", None)
    if not isinstance(index, pd.Index):
        return
    names = [str(name) for name in index.names if name is not None]
    if names or (len(index) and index.dtype.kind not in "iu"):
        what = listed(map(repr, names)) if names else type(index).__name__
        yield f"The index of the DataFrame ({what}) is not read: DataFrame.reset_index() makes columns of it."


def _read(table):
    """Return a table of Arrow as the DataFrame that a Parquet file of it is.

    Raises:
        KzooError: memory has no room for it.
    """
    if too_large(_FRAME * table.nbytes):
        raise KzooError(
            f"This table of Arrow takes {in_bytes(table.nbytes)}, and memory has no room for a DataFrame: write it "
            "with pyarrow.parquet.write_table, and give the path of the .parquet file, which is read piece by piece."
        )
    return import_module("kzoo.kinds.tables.arrow").settled(table, "the table").to_pandas(ignore_metadata=True)
