"""Labelled series: whole series, or segments of recordings, are examples with a label or values. NumPy only.

Their rows are told apart by the columns of `series_id`. All series have the same number of steps, or the shorter ones
are padded with zeros at the end, and a last feature is 1 for real steps and 0 for padding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.inference import (
    draw,
    edges,
    gather,
    glance,
    glance_new,
    parts,
    show,
)
from kzoo.inference.kinds.series.inference import received as received_table
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.kinds.series.time_formats import require_times, time_format_of, times_and_zone
from kzoo.inference.kinds.series.windows import filled
from kzoo.inference.sources.arrays import as_array, check_count
from kzoo.inference.tables.raw import MOST, Rows, checked_rows, require
from kzoo.inference.tables.values import to_words, unreadable_cells
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural, shown

_SHOWN = 3  # series named in a note
_UNEVEN = 1.5  # times the usual step of a series, from which rows are missing

__all__ = [
    "draw",
    "edges",
    "example",
    "form",
    "gather",
    "glance",
    "glance_new",
    "parts",
    "read",
    "received",
    "show",
]


def read(reader: Preprocessor, raw: RawInputs) -> tuple[np.ndarray, Any]:
    """Encode series: a table with their id columns, an array (N, T, F), or a list of arrays (T, F)."""
    steps = reader["steps"]
    columns = reader["columns"]
    notes = list[str]()
    if _holds_arrays(raw):
        series = arrays_of(raw)
        wrong = next(
            (values.shape[1] for values in series if values.shape[1] != len(columns)), None
        )
        if wrong is not None:
            raise KzooError(
                f"A series must have {plural(len(columns), 'column')} ({listed(columns, MOST)}); got {wrong}."
            )
        names: list[str] = []
    else:
        series, names = _series_of_table(reader, raw, notes)
    if segment := reader.get("segment"):
        length, stride = segment
        series, names, _ = cut_segments(
            series, names or list(map(str, range(len(series)))), length, stride, notes
        )
    x = encoded(series, names, steps, reader["padded"], notes)
    for line in notes:
        warn(line)
    return x, names or raw


def _holds_arrays(raw: RawInputs) -> bool:
    """Return whether raw inputs are arrays, not a table."""
    if isinstance(raw, np.ndarray):
        return True
    return (
        isinstance(raw, list | tuple)
        and bool(raw)
        and all(isinstance(part, np.ndarray | list) for part in raw)
    )


def _series_of_table(
    reader: Preprocessor, raw: RawInputs, notes: list[str]
) -> tuple[list[np.ndarray], list[str]]:
    """Return the series of a table (T, F) each, and their names; a table without the id columns is one series."""
    rows = checked_rows(with_index(raw, reader.get("time")))
    require(rows, reader["columns"], "the series")
    if not len(rows):
        raise KzooError("The table has no rows.")
    ids = [name for name in reader["series_id"] if name in rows.columns]
    if ids:
        require(rows, reader["series_id"], "the series")
    time = reader.get("time")
    if time is not None and time not in rows.columns:
        notes.append(
            f"There is no time column {time!r}. The rows are assumed to be in order of time."
        )
        time = None
    panel, _ = panel_of_rows(rows, ids, time, notes, learned=reader.get("times", ""))
    unread: dict[str, np.ndarray] = {}
    lines = list[str]()
    series = series_of(reader, rows, panel, lines, unread, new=True)
    notes += [*unread_notes(reader["columns"], rows, unread), *lines]
    return series, panel.names


def received(reader: Preprocessor, given: RawInputs, most: int | None = None) -> RawInputs:
    """Return the series of a request: lists of the steps of several series, or a table or windows as of a forecast."""
    if isinstance(given, list) and given and all(isinstance(part, list) and part for part in given):
        check_count(len(given), most)
        return arrays_of(given)
    return received_table(reader, given, most)


def arrays_of(raw: RawInputs) -> list[np.ndarray]:
    """Return series in memory as arrays (T, F) in float32, without missing steps at their ends.

    Args:
        raw: (N, T, F), (T, F) for one series, or a list of arrays (T,) or (T, F). Steps without any number at the end
            of a series are padding.

    Raises:
        KzooError: a series that is not numeric, has no steps or another number of columns, or misses numbers.
    """
    if isinstance(raw, np.ndarray) and raw.dtype != object:
        raw = raw[None] if raw.ndim == 2 else raw
    series: list[np.ndarray] = []
    for number, values in enumerate(raw):
        array = as_array(values, f"Series {number + 1}")
        if array.dtype.kind not in "biuf":
            raise KzooError(f"Series {number + 1} must be an array of numbers (steps, columns).")
        array = array.astype(np.float32)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2:
            raise KzooError(
                f"Series {number + 1} must have the shape (steps, columns), not {array.shape}."
            )
        present = np.flatnonzero(~np.isnan(array).all(axis=1))
        array = array[: present[-1] + 1 if len(present) else 0]
        if not len(array):
            raise KzooError(f"Series {number + 1} has no steps with numbers. Leave it out.")
        if not np.isfinite(array).all():
            step = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise KzooError(
                f"Series {number + 1} has NaN or infinity in step {step + 1}. Fill it in."
            )
        if series and array.shape[1] != series[0].shape[1]:
            raise KzooError(
                f"Series {number + 1} has {plural(array.shape[1], 'column')}, but the first has {series[0].shape[1]}."
            )
        series.append(array)
    if not series:
        raise KzooError("There are no series.")
    return series


def panel_of_rows(
    rows: Rows,
    ids: Sequence[str],
    time: str | None,
    notes: list[str],
    *,
    learned: str | None = None,
    date_order: str | None = None,
) -> tuple[Panel, str | None]:
    """Return the panel of a table, in the order in which its series appear, and the format of its times.

    Args:
        rows: `Rows`.
        ids: names of the id columns; without any, all rows are one series.
        time: name of the time column; None for the order of the rows.
        notes: list that notes for the user are appended to.
        learned: format of the time column in training.
        date_order: see `kzoo.load_data`.

    Raises:
        KzooError: a row without an id or a time, or a series with two rows of one time.
    """
    require(rows, [*ids, *([] if time is None else [time])], "the series")
    words = [to_words(rows[name]) for name in ids]
    for name, column in zip(ids, words, strict=True):
        if any(missing := [word is None for word in column]):
            raise KzooError(
                f"is missing in row {missing.index(True) + 1}. Fill it in.",
                argument="series_id",
                value=name,
            )
    numbers: dict[Any, int] = {}
    keys = zip(*words, strict=True) if words else [()] * len(rows)
    code = np.array([numbers.setdefault(key, len(numbers)) for key in keys], int)
    names = [" / ".join(key) for key in numbers] if words else ["1"]
    if time is None:
        order = np.argsort(code, kind="stable")
        time_format = None
    else:
        time_format = time_format_of(time, rows[time], notes, learned, date_order)
        stamps, _, _ = times_and_zone(rows, time, time_format)
        require_times(rows, time, stamps)
        order = np.lexsort((stamps, code))
        same_series = np.diff(code[order]) == 0
        steps = np.diff(stamps[order].astype("int64" if stamps.dtype.kind == "M" else float))
        if (repeated := same_series & (steps == 0)).any():
            first = int(np.argmax(repeated))
            series = (
                f"Series {names[code[order[first]]]!r}"
                if ids
                else "Without an id column the table is a series, which"
            )
            raise KzooError(
                f"{series} has two rows with {time!r} = "
                f"{shown(str(rows[time][order[first]]))}: rows {order[first] + 1} and {order[first + 1] + 1}. Remove "
                "one, or name all columns that tell series apart with series_id=."
            )
        notes += _gap_notes(steps, same_series, code[order][1:], names)
    ends = np.cumsum(np.bincount(code, minlength=len(names)))
    panel = Panel(
        names=names,
        bounds=np.append(0, ends),
        order=order,
        numbers=np.arange(len(order)),
    )
    return panel, time_format


def _gap_notes(
    steps: np.ndarray, same_series: np.ndarray, codes: np.ndarray, names: list[str]
) -> list[str]:
    """Return a note about series in which steps are missing, in a list; [] without such series."""
    if not same_series.any():
        return []
    usual = np.median(steps[same_series])
    uneven = same_series & (steps > _UNEVEN * usual)
    if not uneven.any():
        return []
    which = np.unique(codes[uneven])
    shown_names = listed((repr(names[number]) for number in which), _SHOWN)
    return [
        f"Rows are missing in {plural(len(which), 'series')} ({shown_names}): the rows around a gap are "
        "treated as consecutive."
    ]


def series_of(
    reader: Preprocessor,
    rows: Rows,
    panel: Panel,
    notes: list[str],
    unread: dict[str, np.ndarray],
    *,
    new: bool = False,
) -> list[np.ndarray]:
    """Return the series of a table (T, F) in float32, missing values replaced by the last before, or else the next.

    Args:
        reader: the preprocessor, perhaps without steps.
        rows: the table.
        panel: which of its rows belong to which series.
        notes: list that a note about missing values is appended to.
        unread: dict that gets name -> indices of unreadable cells.
        new: whether a trained network reads them, so that no column can be left out.

    Raises:
        KzooError: a series without any number in a column.
    """
    columns, formats = reader["columns"], reader.get("writings") or {}
    values = np.stack([rows.numbers(name, formats.get(name)) for name in columns], axis=1)
    unread |= {
        name: unreadable_cells(rows[name], column)
        for name, column in zip(columns, values.T, strict=True)
    }
    values[~np.isfinite(values)] = np.nan
    full, present = filled(values[panel.order], panel)
    if count := int((~present).sum()):
        empty = np.argwhere(~np.logical_or.reduceat(present, panel.bounds[:-1]))
        if len(empty):
            series, column = empty[0]
            raise KzooError(
                f"Series {panel.names[series]!r} has no number in column {columns[column]!r}. Remove the series"
                f"{'' if new else ', or the column with drop='}."
            )
        was, them = ("was", "it") if count == 1 else ("were", "them")
        notes.append(
            f"{plural(count, 'missing value')} {was} replaced by the last value before {them}."
        )
    return np.split(full, panel.bounds[1:-1]) if len(panel) else []


def cut_segments(
    series: Sequence[np.ndarray], names: Sequence[str], length: int, stride: int, notes: list[str]
) -> tuple[list[np.ndarray], list[str], list[tuple[int, int]]]:
    """Return segments of recordings, their names, and (recording, first step) of each.

    Args:
        series: arrays (T, F).
        names: of the recordings.
        length, stride: steps of a segment, and from one segment to the next.
        notes: list that a note about steps in no segment is appended to.

    Raises:
        KzooError: all recordings are shorter than a segment.
    """
    segments = []
    segment_names = []
    places = []
    short = []
    lost = 0
    for number, (name, values) in enumerate(zip(names, series, strict=True)):
        starts = range(0, len(values) - length + 1, stride)
        if not starts:
            short.append(name)
            continue
        lost += len(values) - (starts[-1] + length)
        segments += [values[start : start + length] for start in starts]
        segment_names += [f"{name} from {start}" for start in starts]
        places += [(number, start) for start in starts]
    if not segments:
        raise KzooError(
            f"is longer than every series: the longest has {max(map(len, series))} steps. Use a "
            "smaller segment.",
            argument="segment",
            value=length,
        )
    if short:
        notes.append(
            f"{plural(len(short), 'series')} shorter than segment={length} left out: "
            f"{listed(map(repr, short), _SHOWN)}."
        )
    if lost:
        notes.append(f"{plural(lost, 'step')} at the ends of series are in no segment.")
    return segments, segment_names, places


def encoded(
    series: Sequence[np.ndarray], names: Sequence[str], steps: int, padded: bool, notes: list[str]
) -> np.ndarray:
    """Return series as float32 (N, steps, F), or (N, steps, F + 1) if they are padded.

    Args:
        series: arrays (T, F).
        names: of the series; empty for numbers from 1.
        steps: number of steps of the network.
        padded: whether shorter series are padded.
        notes: list that a note about series that are too long is appended to.

    Raises:
        KzooError: a series with another number of steps, if series are not padded.
    """
    lengths = np.array([len(values) for values in series])

    def named(number: int) -> str:
        return repr(names[number]) if names else str(number + 1)

    wrong = np.flatnonzero(lengths > steps if padded else lengths != steps).tolist()
    if len(wrong) and not padded:
        raise KzooError(
            f"Series {named(wrong[0])} has {plural(int(lengths[wrong[0]]), 'step')}, but all series of the training "
            f"have {steps}. Pass series of {steps} steps."
        )
    if len(wrong):
        notes.append(
            f"{plural(len(wrong), 'series')} longer than the {steps} steps of the training cut at the end: "
            f"{listed(map(named, wrong), _SHOWN)}."
        )
    columns = series[0].shape[1]
    x = np.zeros((len(series), steps, columns + padded), np.float32)
    for number, values in enumerate(series):
        count = min(len(values), steps)
        x[number, :count, :columns] = values[:count]
        if padded:
            x[number, :count, columns] = 1.0
    return x


def form(reader: Preprocessor) -> JsonObject:
    """Return the number of steps of a series, and its columns."""
    return {
        "steps": reader["steps"],
        "columns": reader["columns"],
        "time": reader.get("time"),
        "series_id": reader["series_id"],
    }


def example(reader: Preprocessor, x: np.ndarray | None) -> list[dict[str, Any]] | None:
    """Return the rows of a series without ids and times."""
    if x is None:
        return None
    count = round(float(x[:, -1].sum())) if reader["padded"] else len(x)
    rows = x[: max(count, 1), : len(reader["columns"])]
    return [
        dict(zip(reader["columns"], row, strict=True))
        for row in rows.round(4).astype(float).tolist()
    ]
