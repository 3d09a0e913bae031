"""Labelled series of a table: each of them, or of its segments, with its target and group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kzoo.inference.kinds.labelled_series.inference import cut_segments, series_of
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import Cells, not_missing, plain, to_words
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown

_SHOWN = 3  # series in a note


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSeries:
    """Series of a table with the raw target of each.

    Args:
        names: of the series, or of the segments.
        series: (T, F) float32 each.
        targets: target column -> (N,) raw values.
        groups: (N,) the group of each; None without groups.
    """

    names: list[str]
    series: list
    targets: dict[str, np.ndarray]
    groups: np.ndarray | None


def labelled_series(
    reader: Preprocessor,
    rows: Rows,
    panel: Panel,
    targets: Sequence[str],
    notes: list[str],
    unread: dict[str, np.ndarray],
    group: str | None = None,
) -> LabelledSeries:
    """Return the series of a table, or their segments, with the raw targets.

    Args:
        reader: the preprocessor, perhaps without steps.
        rows: `Rows`.
        panel: its `Panel`.
        targets: names of the target columns.
        notes: list that notes for the user are appended to.
        unread: dict that gets name -> indices of unreadable cells.
        group: the group column, or None.

    Raises:
        KzooError: a target or a group that is not constant in a series, or no series has a target.
    """
    series = series_of(reader, rows, panel, notes, unread)
    cells = {column: _cells(rows[column])[panel.order] for column in targets}
    names, starts = panel.names, panel.bounds[:-1]
    recordings = np.arange(len(panel))
    groups = None if group is None else _constant(group, rows, panel)
    if segment := reader.get("segment"):
        series, names, places = cut_segments(series, names, segment[0], segment[1], notes)
        recordings = np.array([number for number, _ in places])
        starts = panel.bounds[recordings] + [start for _, start in places]
        groups = np.array(panel.names) if groups is None else groups
    kept = list[int]()
    raw = {column: list[Any]() for column in targets}
    unlabelled, mixed = list[str](), list[str]()
    for row, start in enumerate(starts):
        span = slice(start, start + len(series[row]))
        values_of = {column: _single(cells[column][span]) for column in targets}
        different = next(
            (column for column, (_, other) in values_of.items() if other is not None), None
        )
        if different is not None:
            if segment:
                mixed.append(names[row])
                continue
            value, other = values_of[different]
            raise KzooError(
                f"Target {different!r} is not constant in series {names[row]!r}: {shown(value)} and {shown(other)}. "
                "Each series needs one label. Correct it, set segment= if the label changes, or use a preset for "
                "forecasts to forecast it."
            )
        if any(value is None for value, _ in values_of.values()):
            unlabelled.append(names[row])
            continue
        kept.append(row)
        for column, (value, _) in values_of.items():
            raw[column].append(value)
    noun = "segment" if segment else "series"
    for which, reason in (
        (unlabelled, "without a target"),
        (mixed, "with several values of the target"),
    ):
        if which:
            notes.append(
                f"{plural(len(which), noun)} {reason} left out: {listed(map(repr, which), _SHOWN)}."
            )
    if not kept and mixed:
        raise KzooError(
            f"Every {noun} has several values of {listed(map(repr, targets))}, the first is {mixed[0]!r}. Use a "
            "smaller segment=, or omit it to forecast the target."
        )
    if not kept:
        raise KzooError(
            f"No {noun} has a value of {listed(map(repr, targets))}. Fill it in, or choose another target=."
        )
    return LabelledSeries(
        names=[names[row] for row in kept],
        series=[series[row] for row in kept],
        targets={column: _column(values) for column, values in raw.items()},
        groups=None if groups is None else groups[recordings[kept]],
    )


def _column(values: list[Any]) -> np.ndarray:
    """Return values (N,) as numbers if all of them are numbers, else as objects."""
    array = np.empty(len(values), object)
    array[:] = values
    is_number = all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool)
        for value in values
    )
    return np.array(values) if is_number else array


def _cells(values: Cells) -> np.ndarray:
    """Return the cells of a column as an array (N,), texts as objects."""
    values = plain(values)
    return values if isinstance(values, np.ndarray) else np.array(list(values), object)


def _single(cells: np.ndarray) -> tuple[Any, Any]:
    """Return (the value of cells, None), or two different values; (None, None) if all are missing."""
    present = cells[not_missing(cells)]
    if not len(present):
        return None, None
    first = present[0]
    different = np.flatnonzero(present != first)
    return (first, None) if not len(different) else (first, present[different[0]])


def _constant(column: str, rows: Rows, panel: Panel) -> np.ndarray:
    """Return the value of a column in each series (N,) as words.

    Raises:
        KzooError: it is missing in a row, or not constant in a series.
    """
    words = to_words(rows[column])[panel.order]
    if any(missing := [word is None for word in words]):
        row = int(panel.order[missing.index(True)])
        raise KzooError(
            f"is missing in row {row + 1}. Fill it in, or omit group=.",
            argument="group",
            value=column,
        )
    words = words.astype(str)
    first = words[panel.firsts]
    changed = words != first
    if changed.any():
        row = int(np.argmax(changed))
        raise KzooError(
            f"is not constant in series {panel.names[panel.codes[row]]!r}: {str(first[row])!r} and "
            f"{str(words[row])!r}. Name a column of the whole series.",
            argument="group",
            value=column,
        )
    return first[panel.bounds[:-1]]
