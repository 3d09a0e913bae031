"""The values of the series of a panel: read, and missing ones filled in. Imports only NumPy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kzoo.inference.kinds.series.covariates import Channels, Covariate, covariates_of
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.kinds.series.steps import fill_rule, fill_targets
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import unreadable_cells
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural

_FAR = 3.0  # times the range of a column in training, by which a value of new rows is outside of it


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelValues:
    """The values of a panel.

    Args:
        values: (R, F) of the columns of the past, targets first, missing ones filled.
        covariates: (R, K) `Channels` of the known and static columns and of the calendar; NaN where a cell is empty.
        observed: (R,) whether all targets are present.
        filled: (R, targets) whether each target was filled in.
        is_past: (R,) whether each row is at or before the last observed one of its series.
        missing: name of a column of the past -> numbers of the rows of the table without a number in it.
        unread: name of such a column -> numbers of the rows with an unreadable cell.
        notes: about missing values and unknown categories.
        empty_ahead: names of known columns without any value in the rows to forecast.
    """

    values: np.ndarray
    covariates: Channels
    observed: np.ndarray
    filled: np.ndarray
    is_past: np.ndarray
    missing: dict[str, np.ndarray]
    unread: dict[str, np.ndarray]
    notes: list[str]
    empty_ahead: tuple[str, ...] = ()


def panel_values(
    reader: Mapping[str, Any], rows: Rows, panel: Panel, *, fill: bool = True
) -> PanelValues:
    """Return the values of a panel as a stored preprocessor reads them.

    Args:
        reader: the preprocessor.
        rows: the table.
        panel: its `Panel`.
        fill: whether empty cells of known and static columns get the last value before in their series.

    Raises:
        KzooError: a static column that changes within a series, or a series without any value of a known column or of
            a static column of numbers.
    """
    names = reader["columns"]
    formats = reader.get("writings") or {}
    targets = target_count(reader)
    raw = np.empty((len(panel.numbers), len(names)))
    missing, unread = {}, {}
    for i, name in enumerate(names):
        numbers = rows.numbers(name, formats.get(name))
        unread[name] = unreadable_cells(rows[name], numbers)
        missing[name] = np.flatnonzero(np.isnan(numbers))
        raw[:, i] = panel.of_rows(numbers)
    present = ~np.isnan(raw)
    fill_targets(raw[:, :targets], panel.parts, panel.season)
    values, _ = filled(raw, panel)
    observed = np.asarray(present[:, :targets].all(axis=1))
    past = _past_rows(observed, panel)
    known_rows = past & panel.has_row
    notes = missing_notes(int((~present[known_rows]).sum()), panel)
    channels: list[np.ndarray] = []
    empty = dict[str, int]()
    empty_ahead = list[str]()
    for covariate in covariates_of(reader):
        column, more = covariate.values(rows)
        column = panel.of_rows(column)
        notes += more
        if len(without := _without_values(column, panel)):
            notes += _check_without(covariate, [panel.names[series] for series in without])
        if covariate.role == "static":
            column = _static(column, panel)
            check_constant(panel, column, covariate.name)
        if covariate.role == "known" and not past.all() and np.isnan(column[~past]).all():
            empty_ahead.append(covariate.name)
        if covariate.role == "known" and (
            count := int(np.isnan(column[known_rows]).any(axis=1).sum())
        ):
            empty[covariate.name] = count
        channels.append(filled(column, panel)[0] if fill or covariate.role == "static" else column)
    if empty:
        counts = listed(f"{name!r} {count}" for name, count in empty.items())
        notes.append(
            f"Empty cells of known columns have the last value before in the same series, or its first: {counts}."
        )
    own = np.concatenate(channels, axis=1) if channels else np.empty((len(panel.numbers), 0))
    return PanelValues(
        values=values,
        covariates=Channels(own, panel.calendar if "covariates" in reader else None, panel.numbers),
        observed=observed,
        filled=~present[:, :targets],
        is_past=past,
        missing=missing,
        unread=unread,
        notes=notes,
        empty_ahead=tuple(empty_ahead),
    )


def target_count(reader: Mapping[str, Any]) -> int:
    """Return the number of columns that are forecast, the first ones; all if an earlier version stored no number."""
    return max(reader.get("outputs") or len(reader["columns"]), 1)


def missing_notes(count: int, panel: Panel) -> list[str]:
    """Return a note about a number of values that are filled in, in a list; [] for none."""
    was = "was" if count == 1 else "were"
    line = f"{plural(count, 'missing value')} {was} filled in. {fill_rule(panel.season)}"
    return [line] if count else []


def _without_values(column: np.ndarray, panel: Panel) -> np.ndarray:
    """Return the series in which a column (R, channels) is empty."""
    present = ~np.isnan(column).any(axis=1)
    return np.flatnonzero(~np.logical_or.reduceat(present, panel.bounds[:-1]))


def _check_without(covariate: Covariate, names: list[str]) -> list[str]:
    """Return a note about series in which a static column of texts is empty.

    Raises:
        KzooError: the column is another one.
    """
    count = "" if len(names) == 1 else f" ({len(names)} such series)"
    line = f"{covariate.role.capitalize()} column {covariate.name!r} has no value for series {names[0]!r}{count}"
    if covariate.role == "known" or not covariate.categories:
        raise KzooError(f"{line}. Fill it in, or leave the series or the column out.")
    return [f"{line}: it counts as none of the values of the others."]


def _past_rows(observed: np.ndarray, panel: Panel) -> np.ndarray:
    """Return whether each row is at or before the last observed one of its series."""
    if observed.all():
        return observed
    return np.arange(len(observed)) <= np.repeat(panel.last_observed(observed), panel.sizes)


def _static(column: np.ndarray, panel: Panel) -> np.ndarray:
    """Return a static column whose empty cells have the value of their series."""
    values, present = filled(column, panel)
    return np.where(present.any() | np.isfinite(values), values, np.nan).astype(np.float64)


def filled(values: np.ndarray, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return values (R, F), missing ones replaced by the last before in their series, or else its first.

    Returns:
        The values as float32, and whether each was present. A column without any value in a series is 0 there.
    """
    present = ~np.isnan(values)
    if present.all():
        return np.ascontiguousarray(values, np.float32), present
    rows = np.arange(len(values))[:, None]
    firsts = panel.firsts[:, None]
    last = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    ends = np.repeat(panel.bounds[1:], panel.sizes)[:, None]
    following = np.minimum.accumulate(np.where(present, rows, len(values))[::-1], axis=0)[::-1]
    source = np.where(last >= firsts, last, np.where(following < ends, following, -1))
    result = np.take_along_axis(values, np.maximum(source, 0), axis=0)
    result[source < 0] = 0
    return np.ascontiguousarray(result, np.float32), present


def check_constant(panel: Panel, channels: np.ndarray, name: str) -> None:
    """Refuse a static column that changes within a series.

    Args:
        panel: the panel.
        channels: (R, channels) of the column, in order of the panel.
        name: of the column.

    Raises:
        KzooError: a series in which it changes.
    """
    first = channels[panel.firsts]
    changed = np.flatnonzero(
        ~((channels == first) | (np.isnan(channels) & np.isnan(first))).all(axis=1)
    )
    if len(changed):
        raise KzooError(
            f"Static column {name!r} changes within series {panel.names[panel.codes[changed[0]]]!r} at "
            f"{panel.time(changed[0])}. Correct it, name it in known_covariates=, or leave it out with drop=."
        )


def ranges_of(names: Sequence[str], values: np.ndarray) -> dict[str, list[float]]:
    """Return name -> lowest and highest value of columns (N, F), as a preprocessor stores them."""
    pairs = zip(values.min(axis=0).tolist(), values.max(axis=0).tolist(), strict=True)
    return {name: list(pair) for name, pair in zip(names, pairs, strict=True)}


def far_notes(
    reader: Mapping[str, Any], values: np.ndarray, position: Callable[[int], str]
) -> list[str]:
    """Return notes about values of windows that are far from those of the training rows: three times their range.

    Args:
        reader: preprocessor; those of earlier versions do not store the ranges of their columns.
        values: (N, F) of the columns of the past.
        position: function that returns where a row is, in words.
    """
    notes = []
    for name, column in zip(reader["columns"], values.T, strict=False):
        low, high = reader.get("ranges", {}).get(name, (-np.inf, np.inf))
        width = _FAR * ((high - low) or abs(high) or 1.0)
        far = np.flatnonzero((column < low - width) | (column > high + width))
        if len(far):
            row = far[np.abs(column[far]).argmax()]
            more = f"; {len(far)} such values" if len(far) > 1 else ""
            notes.append(
                f"{name!r} is {column[row]:.6g} {position(row)}{more}, far from the training rows ({low:.6g} to "
                f"{high:.6g}). The forecast follows from it: correct it if it is a mistake."
            )
    return notes
