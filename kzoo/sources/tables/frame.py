"""Tables that training learns from, as DataFrames: from files and from callers, with the columns that are asked for."""

import os
from collections import Counter
from importlib import import_module

import numpy as np

from kzoo.sources.tables.files import read_table
from kzoo.sources.tables.raw import check_cells, is_arrow
from kzoo.storage.memory import too_large
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes, listed, shown
from kzoo.utils.optional import of_pandas
from kzoo.utils.optional import pandas as pd

_FRAME = 4  # times the bytes of a table of Arrow that a DataFrame and what is made of it take, about


def as_frame(source, text=(), notes=None):
    """Return a table, also one of Arrow, as a DataFrame with string column names; the caller's own is never changed.

    Durations become seconds.

    Args:
        text: names of columns whose cells stay as a file writes them.
        notes: a list that gets lines to know of how a file was read, see `read_table`.
    """
    if of_pandas(source, "DataFrame"):
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


def is_pair(source) -> bool:
    """Say whether this is a pair (x, y) whose x has columns with names."""
    return isinstance(source, tuple | list) and len(source) == 2 and of_pandas(source[0], "DataFrame")


def with_answers(x, y, names=()):
    """Return a DataFrame of inputs with the answers as columns of it, and the names of these.

    Args:
        x: a DataFrame.
        y: (N,), (N, answers) or a DataFrame, row by row those of x.
        names: what its columns are to be called; a DataFrame's that are called so are found by name. Empty for their
            own names, "target" where they have none.

    Raises:
        KzooError: other rows or columns than there are, rows of 0 and 1, or a name that a column of x has already.
    """
    frame, own = as_frame(x), getattr(y, "name", None)
    if of_pandas(y, "DataFrame"):
        answers = as_frame(y)
    else:
        values = np.asarray(y)
        values = values.reshape(len(values) if values.ndim else 1, -1)
        several = [f"y{i + 1}" for i in range(values.shape[1])]
        answers = pd.DataFrame(values, columns=several if len(several) != 1 else [str(own or "target").strip()])
    if len(frame) != len(answers):
        raise KzooError(f"x has {len(frame)} rows and y has {len(answers)}; they must be as many.")
    if names and set(names) <= set(answers):
        answers = answers[list(names)]
    elif names and answers.shape[1] != len(names):
        raise KzooError(f"y has {answers.shape[1]} columns, and {listed(map(repr, names))} are asked for.")
    elif names:
        answers = answers.set_axis(list(names), axis=1)
    elif answers.shape[1] > 1 and answers.isin([0, 1]).all(axis=None):
        raise KzooError(
            "y is a matrix of 0 and 1: give a column of it, or the labels of one-hot rows, y.idxmax(axis=1). Several "
            "labels to a row are no task of kzoo yet."
        )
    for name in () if names else answers:
        if name in frame and not frame[name].astype(object).equals(answers[name].astype(object)):
            raise KzooError(
                f"y and a column of x are both called {name!r}, and hold different values: y.rename('target') keeps "
                "both."
            )
    return frame.assign(**{name: answers[name] for name in answers}), list(answers)


def about_index(source):
    """Yield a line about an index of a DataFrame that says something, and is not read."""
    index = getattr(source, "index", None)
    if not of_pandas(index, "Index"):
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
    arrow = import_module("kzoo.sources.tables.arrow")
    return arrow.frame_of_settled(arrow.settled(table, "the table"))
