"""Which columns tell the series of a table apart, if it was read as one series. Imports only NumPy."""

from itertools import combinations
from typing import Any

import numpy as np

from kzoo.inference.tables.values import plain, to_words

_MAX_IDS = 4  # columns that tell series apart together
_MAX_CANDIDATES = 12
_MAX_ROWS = 20_000  # rows that columns are tried on


def id_columns(rows, time, timestamps) -> list[str]:
    """Return the columns that tell the series of a table apart: the fewest with which no time is repeated.

    Columns of texts come before columns of whole numbers, and those with few different values before those with many.

    Args:
        rows: `Rows`.
        time: name of the time column.
        timestamps: (N,) its times.

    Returns:
        Names in the order of the table; [] if there are none.
    """
    times = np.unique(timestamps, return_inverse=True)[1].reshape(-1)
    codes = {}
    for name in rows.columns:
        column: Any = plain(rows[name])
        if name == time or (column.dtype.kind == "f" and (np.nan_to_num(column) % 1).any()):
            continue
        own = np.unique(to_words(rows[name]).astype(str), return_inverse=True)[1].reshape(-1)
        if 2 <= (count := int(own.max()) + 1) <= len(times) // 2:
            codes[name] = own, (column.dtype.kind in "iuf", count)
    names = sorted(codes, key=lambda name: codes[name][1])[:_MAX_CANDIDATES]
    some = times < np.searchsorted(np.cumsum(np.bincount(times)), _MAX_ROWS) + 1
    for size in range(1, _MAX_IDS + 1):
        for columns in combinations(names, size):
            chosen = [codes[name][0] for name in columns]
            if _are_different(times[some], [code[some] for code in chosen]) and _are_different(
                times, chosen
            ):
                return [name for name in rows.columns if name in columns]
    return []


def _are_different(times, columns) -> bool:
    """Return whether no two rows have the same time and the same values of columns, as codes (N,)."""
    codes = times
    for column in columns:
        codes = np.unique(codes * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[
            1
        ].reshape(-1)
    return len(np.unique(codes)) == len(codes)
