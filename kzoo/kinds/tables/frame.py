"""Tables that training learns from, as DataFrames: from files and from callers, with the columns that are asked for."""

from collections.abc import Iterable

import pandas as pd

from kzoo.errors import KzooError
from kzoo.kinds.tables.files import read_table
from kzoo.kinds.tables.raw import check_cells, require
from kzoo.words import listed

_TARGET_NAMES = ("target", "label", "class", "y")


def as_frame(source):
    """Return a table as a DataFrame with string column names; the caller's own is never changed."""
    if isinstance(source, pd.DataFrame):
        frame = source.set_axis([str(c).strip() for c in source.columns], axis=1).reset_index(drop=True)
        if twice := [str(name) for name in frame.columns[frame.columns.duplicated()]]:
            raise KzooError(f"Two columns of the table are called {twice[0]!r}; give each a name of its own.")
        check_cells(frame, frame.columns)
        return frame
    return read_table(source)


def as_names(names):
    """Return `None`, one name, `"a,b"` or a sequence as a list of names."""
    if names is None:
        return []
    if isinstance(names, str):
        return [part.strip() for part in names.split(",")]
    return [str(name) for name in names] if isinstance(names, Iterable) else [str(names)]


def find_target(frame, target):
    """Return the target columns: as asked, else a last column called target, label, class or y."""
    if target is None:
        last = frame.columns[-1]
        if last.lower() not in _TARGET_NAMES:
            raise KzooError(f"Say which column to predict with target=. Columns: {listed(frame.columns, 40)}.")
        return [last]
    # A column's own name may hold a comma.
    targets = [target] if isinstance(target, str) and target in list(frame.columns) else as_names(target)
    if not targets:
        raise KzooError(f"Say which column to predict with target=. Columns: {listed(frame.columns, 40)}.")
    require(frame, targets, "the table")
    if len(set(targets)) < len(targets):
        raise KzooError(f"target= names {next(name for name in targets if targets.count(name) > 1)!r} twice.")
    return targets
