"""Tables that training learns from, as DataFrames: from files and from callers, with the columns that are asked for."""

import os

import pandas as pd

from kzoo.errors import KzooError
from kzoo.kinds.tables.files import read_table
from kzoo.kinds.tables.raw import check_cells
from kzoo.words import shown


def as_frame(source, text=()):
    """Return a table as a DataFrame with string column names; the caller's own is never changed.

    Args:
        text: names of columns whose cells stay as a file writes them.
    """
    if isinstance(source, pd.DataFrame):
        frame = source.set_axis([str(c).strip() for c in source.columns], axis=1).reset_index(drop=True)
        if twice := [str(name) for name in frame.columns[frame.columns.duplicated()]]:
            raise KzooError(f"Two columns of the table are called {twice[0]!r}; give each a name of its own.")
        check_cells(frame, frame.columns)
        return frame
    if not isinstance(source, str | os.PathLike):
        raise KzooError(f"{shown(source)} is not a table: give a DataFrame, or the path of a file.")
    return read_table(source, text)
