"""The values of a panel, its last windows, and the steps after them. Imports only NumPy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.kinds.series.covariates import (
    Channels,
    Covariate,
    are_events,
    calendar_values,
    covariates_of,
    fill_events,
)
from kzoo.inference.kinds.series.panel import Panel, listed_series, panel_of
from kzoo.inference.kinds.series.steps import (
    LONGEST_GAP,
    MAX_FILLED,
    SEVERAL_SEASONS,
    fill_targets,
)
from kzoo.inference.kinds.series.times import Moments
from kzoo.inference.tables.raw import MOST, Rows
from kzoo.inference.tables.values import unreadable_cells
from kzoo.inference.tables.zones import offset_of
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.formatting import moments as moments_as_text

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
    reader: Preprocessor, rows: Rows, panel: Panel, *, fill: bool = True
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
    fill_targets(raw[:, :targets], panel.parts, panel.season, panel.fill)
    values, _ = filled(raw, panel)
    observed = np.asarray(present[:, :targets].all(axis=1))
    past = _past_rows(observed, panel)
    known_rows = past & panel.has_row
    notes = missing_notes(int((~present[known_rows]).sum()), panel)
    channels: list[np.ndarray] = []
    empty = dict[str, int]()
    events = dict[str, int]()
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
        if covariate.role == "known" and (gone := past & np.isnan(column).any(axis=1)).any():
            is_usual = panel.fill == SEVERAL_SEASONS and panel.season and are_events(column)
            if count := int((gone & panel.has_row).sum()):
                (events if is_usual else empty)[covariate.name] = count
            if is_usual and panel.season:
                fill_events(column, gone, panel.codes, panel.numbers % panel.season)
        channels.append(filled(column, panel)[0] if fill or covariate.role == "static" else column)
    if empty:
        counts = listed(f"{name!r} {count}" for name, count in empty.items())
        notes.append(
            f"Empty cells of known columns have the last value before in the same series, or its first: {counts}."
        )
    if events:
        counts = listed(f"{name!r} {count}" for name, count in events.items())
        notes.append(
            "Empty cells of known columns of events have the most frequent value at the same step of the season in the "
            f"same series: {counts}."
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


def target_count(reader: Preprocessor) -> int:
    """Return the number of columns that are forecast, the first ones; all if an earlier version stored no number."""
    return max(reader.get("outputs") or len(reader["columns"]), 1)


def missing_notes(count: int, panel: Panel) -> list[str]:
    """Return a note about a number of values that are filled in, in a list; [] for none."""
    was = "was" if count == 1 else "were"
    line = f"{plural(count, 'missing value')} {was} filled in. {panel.fill_rule}"
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
        return _as_float32(values), present
    rows = np.arange(len(values))[:, None]
    firsts = panel.firsts[:, None]
    last = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    ends = np.repeat(panel.bounds[1:], panel.sizes)[:, None]
    following = np.minimum.accumulate(np.where(present, rows, len(values))[::-1], axis=0)[::-1]
    source = np.where(last >= firsts, last, np.where(following < ends, following, -1))
    result = np.take_along_axis(values, np.maximum(source, 0), axis=0)
    result[source < 0] = 0
    return _as_float32(result), present


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Return values as float32, infinity for those that are too large: loading refuses them by name."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32)


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
    reader: Preprocessor, values: np.ndarray, position: Callable[[int], str]
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Padded:
    """The rows of a panel with the first rows of short series repeated.

    Args:
        source: (P,) the row of the panel that each row is.
        is_row: (P,) whether it is that row, not a repetition.
        firsts, ends: (P,) first row and end of the series of each row.
        own_firsts: (S,) first row of each series that is not a repetition.
        short: names of the series whose windows need the repetition.
        too_short: names of series without any window.
    """

    source: np.ndarray
    is_row: np.ndarray
    firsts: np.ndarray
    ends: np.ndarray
    own_firsts: np.ndarray
    short: list[str]
    too_short: list[str]


def padded(panel: Panel, observed: np.ndarray, steps: int, horizon: int) -> Padded:
    """Return the rows of a panel, with short series padded for windows of `steps` rows and `horizon` rows after them.

    A window has at least as many rows of its own as there are steps to forecast, or fewer in a series without as many.
    """
    counts = np.add.reduceat(observed.astype(int), panel.bounds[:-1])
    if not panel.is_padded:
        counts = np.full(len(panel), 2 * steps + horizon)
    own = np.minimum(min(steps, horizon), np.maximum(counts - horizon, 1))
    pad = np.where(counts < 2 * steps + horizon, steps - own, 0)
    bounds = np.concatenate([[0], np.cumsum(panel.sizes + pad)])
    sizes = np.diff(bounds)
    kind = np.int32 if bounds[-1] < 2**31 else np.int64
    position = np.arange(bounds[-1], dtype=kind) - np.repeat(
        (bounds[:-1] + pad).astype(kind), sizes
    )
    is_row = position >= 0
    source = np.repeat(panel.bounds[:-1].astype(kind), sizes) + np.maximum(position, 0)
    named = np.array(panel.names, object)
    return Padded(
        source=source,
        is_row=is_row,
        firsts=np.repeat(bounds[:-1].astype(kind), sizes),
        ends=np.repeat(bounds[1:].astype(kind), sizes),
        own_firsts=bounds[:-1] + pad,
        short=named[(counts < steps + horizon) & (counts > horizon)].tolist(),
        too_short=named[counts <= horizon].tolist(),
    )


def read_panel(
    reader: Preprocessor, rows: Rows, notes: list[str]
) -> tuple[np.ndarray, Panel, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the last window of each series of a table, its panel, and which of its targets were measured.

    Args:
        reader: the preprocessor.
        rows: the table; rows after the last one with all targets are the future, whose known columns are read.
        notes: list that notes are appended to.

    Returns:
        (windows (S, steps, F + 2 K), the `Panel`, (first row, last row with targets) (S,) of each window, whether each
        target (S, steps, targets) was neither filled in nor is repeated).

    Raises:
        KzooError: a series without a row with targets, or a known column that is empty in a step to forecast.
    """
    steps, horizon = reader["steps"], reader["horizon"]
    panel = panel_of(reader, rows, notes, longest=max(steps, LONGEST_GAP))
    content = panel_values(reader, rows, panel, fill=False)
    last = panel.last_observed(content.observed)
    if (last < 0).any():
        nothing = [panel.names[i] for i in np.flatnonzero(last < 0)]
        targets = listed(map(repr, reader["columns"][: reader["outputs"]]), separator=" or ")
        raise KzooError(
            f"Series {listed_series(nothing)} {'has' if len(nothing) == 1 else 'have'} no row with {targets}. Add the "
            "rows before the forecast, or remove the series."
        )
    _check_ends(reader, rows, panel, last, content.unread)
    notes += [
        *content.notes,
        *unread_notes(reader["columns"], rows, content.unread),
        *_end_notes(panel, last, steps, horizon),
    ]
    window_firsts, after_gap = _window_firsts(panel, content.filled, last, steps)
    covariates, future = _with_future(reader, panel, content, last)
    # Rows of the windows (S, steps), the first repeated, and `horizon` rows later, of which the last are the future.
    unpadded = last[:, None] - np.arange(steps)[::-1]
    positions = np.maximum(unpadded, window_firsts[:, None])
    # runs of earlier versions have the covariates of the first row `horizon` rows later in all repetitions
    later = (unpadded if reader.get("padded_ahead") else positions) + horizon
    later = np.maximum(later, window_firsts[:, None])
    beyond = later - last[:, None] - 1  # step of the forecast, below 0 in the past
    ahead = np.where(
        (beyond >= 0)[..., None],
        np.take_along_axis(future, np.maximum(beyond, 0)[..., None], axis=1),
        covariates[np.minimum(later, last[:, None])],
    )
    windows = np.concatenate(
        [content.values[positions], covariates[positions], ahead], axis=2, dtype=np.float32
    )
    own = np.unique(positions)
    notes += far_notes(
        reader,
        content.values[own],
        lambda row: f"in series {panel.names[panel.codes[own[row]]]!r} at {panel.time(own[row])}",
    )
    if after_gap.any():
        names = listed_series([panel.names[i] for i in np.flatnonzero(after_gap)])
        notes.append(
            f"{int(after_gap.sum())} of {len(panel)} series ({names}) have no values in more than half of the last "
            f"{plural(steps, 'step')}, or a longer gap before: only the rows after their last gap are read, the first "
            "of which is repeated before them."
        )
    short = [
        panel.names[i] for i in np.flatnonzero((last + 1 - window_firsts < steps) & ~after_gap)
    ]
    if short:
        notes.append(
            f"{len(short)} of {len(panel)} series have fewer than {plural(steps, 'row')} ({listed_series(short)}): the "
            "first is repeated before it."
        )
    if (known := reader.get("ids")) and (
        new := [name for name in panel.names if name not in set(known)]
    ):
        notes.append(f"{len(new)} series not in the training rows: {listed_series(new)}.")
    measured = ~content.filled[positions] & (unpadded == positions)[..., None]
    return windows, panel, (window_firsts, last), measured


def _window_firsts(
    panel: Panel, filled: np.ndarray, last: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of the window of each series (S,), and whether a gap before it is too long to be filled in.

    Args:
        panel: the `Panel`.
        filled: (R, T) whether each target was filled in.
        last: (S,) last row of each window.
        steps: length of a window.
    """
    firsts = np.maximum(panel.part_firsts(last), last + 1 - steps)
    after_gap = (firsts > last + 1 - steps) & (firsts > panel.bounds[:-1])
    counts = np.append(0, np.cumsum(filled.sum(axis=1)))
    is_sparse = counts[last + 1] - counts[firsts] > MAX_FILLED * steps * filled.shape[1]
    unknown = np.maximum.accumulate(np.where(filled.any(axis=1), np.arange(len(filled)), -1))
    firsts = np.where(is_sparse, unknown[last] + 1, firsts)
    return firsts, after_gap | is_sparse


def _check_ends(
    reader: Preprocessor,
    rows: Rows,
    panel: Panel,
    last: np.ndarray,
    unread: Mapping[str, np.ndarray],
) -> None:
    """Refuse texts and infinity in the target after the last row with all targets: the forecast would begin there.

    Raises:
        KzooError: there is such a cell.
    """
    own = np.flatnonzero(panel.has_row)
    place = np.empty(len(own), np.int64)
    place[panel.order[own]] = own
    for name in reader["columns"][: reader["outputs"]]:
        cells = place[unread.get(name, np.empty(0, int))]
        later = cells[cells > last[panel.codes[cells]]]
        if len(later):
            row = int(later.min())
            cell = shown(rows[name][panel.order[row]])
            series = panel.names[panel.codes[row]]
            raise KzooError(
                f"{name!r} of series {series!r} at {panel.time(row)} is {cell}, which is not a number, so that the "
                "forecast would begin there. Correct it, or leave it empty."
            )


def _end_notes(panel: Panel, last: np.ndarray, steps: int, horizon: int) -> list[str]:
    """Return notes about gaps among the last rows, series that end before the others, and rows after the forecast."""
    notes = panel.gap_notes(np.maximum(last - steps + 1, panel.bounds[:-1]), last)
    notes = [
        f"Among the last {plural(steps, 'row')} of the series: {note[0].lower()}{note[1:]}"
        for note in notes
    ]
    early = np.flatnonzero(panel.numbers[last] < panel.numbers[last].max())
    if len(early):
        names = listed(
            [f"{panel.names[i]!r} at {panel.time(last[i])}" for i in early[: MOST + 1]], MOST
        )
        notes.append(
            f"{len(early)} of {len(panel)} series end before the others ({names}). Their forecasts begin there."
        )
    beyond = np.flatnonzero(
        panel.has_row & (panel.numbers > panel.numbers[last][panel.codes] + horizon)
    )
    if len(beyond):
        notes.append(
            f"{plural(len(beyond), 'row')} after the {plural(horizon, 'step')} of the forecast are not read, such as "
            f"{panel.names[panel.codes[beyond[0]]]!r} at {panel.time(beyond[0])}."
        )
    return notes


def _with_future(
    reader: Preprocessor, panel: Panel, content: PanelValues, last: np.ndarray
) -> tuple[Channels, np.ndarray]:
    """Return the covariates (R, K), empty cells of the past filled, and those of the steps to forecast (S, horizon, K).

    Raises:
        KzooError: a known column is empty in a step to forecast.
    """
    horizon = reader["horizon"]
    calendar = panel.calendar
    assert calendar is not None
    covariates = covariates_of(reader)
    own = content.covariates.own
    past = Channels(filled(own.astype(np.float64), panel)[0], calendar, panel.numbers)
    numbers = panel.numbers[last][:, None] + np.arange(1, horizon + 1)  # (S, horizon)
    channel = 0
    parts = []
    for covariate in covariates:
        width = len(covariate.channels)
        column = slice(channel, channel + width)
        channel += width
        if covariate.role == "static":
            parts.append(np.repeat(past.own[last][:, None, column], horizon, axis=1))
            continue
        values = np.full((len(panel), horizon, width), np.nan, np.float32)
        offset = panel.numbers - np.repeat(panel.numbers[last], panel.sizes)
        rows = np.flatnonzero((offset >= 1) & (offset <= horizon))
        values[panel.codes[rows], offset[rows] - 1] = _as_float32(own[rows][:, column])
        if len(empty := np.argwhere(np.isnan(values).any(axis=2))):
            series, step = empty[0]
            moments = panel.moments.part(slice(panel.bounds[series], last[series] + 1))
            time = moments_as_text(calendar.next_times(moments, int(step) + 1))[-1]
            raise KzooError(
                f"Known column {covariate.name!r} has no value for series {panel.names[series]!r} at {time} "
                f"({plural(len(empty), 'such step')}). Add rows for the {plural(horizon, 'step')} to forecast, with "
                "the targets left empty: kzoo predict --make-future writes them."
            )
        parts.append(values)
    parts.append(calendar_values(calendar, numbers.reshape(-1)).reshape(*numbers.shape, -1))
    return past, _as_float32(np.concatenate(parts, axis=2))


def times_ahead(
    reader: Preprocessor, panel: Panel, windows: tuple[np.ndarray, np.ndarray], steps: int
) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the times of the next steps of each series, and of its window, given its (first row, last row) (S,)."""
    calendar = Calendar.of(reader)
    assert calendar is not None
    ahead = []
    history = []
    known = {}
    # else all rows of a series decide its zone
    shared = offset_of(calendar.zone) is None or not panel.moments.zone
    for series, (first, end) in enumerate(zip(*windows, strict=True)):
        moments = panel.moments.part(slice(first, end + 1))
        window = slice(-reader["steps"], None)
        key = (
            (moments.times[window].tobytes(), moments.wall[window].tobytes()) if shared else series
        )
        if key not in known:  # most series end together
            times = calendar.last_times(moments, reader["steps"])
            known[key] = (
                calendar.next_times(panel.past(first, end), steps),
                [times[0]] * (reader["steps"] - len(times)) + times,
            )
        ahead.append(known[key][0])
        history.append(known[key][1])
    return ahead, history


def future_rows(reader: Preprocessor, rows: Rows) -> dict[str, list[Any]]:
    """Return the rows of the steps to forecast, name -> cells: ids, times and static values; the others are empty.

    Args:
        reader: the preprocessor.
        rows: the table of the past; rows after the last one with all targets are left out.

    Raises:
        KzooError: as `read_panel`.
    """
    without_known = dict(reader) | {
        "covariates": [stored for stored in reader["covariates"] if stored["role"] == "static"]
    }
    _, panel, windows, _ = read_panel(without_known, rows, [])
    times, _ = times_ahead(reader, panel, windows, reader["horizon"])
    horizon = reader["horizon"]
    source = panel.order[windows[1]]
    static = [covariate.name for covariate in covariates_of(reader) if covariate.role == "static"]
    columns: dict[str, list[Any]] = {
        name: [cell for cell in cells for _ in range(horizon)] for name, cells in panel.ids.items()
    }
    columns[reader["time"]] = panel.write_times([time for series in times for time in series])
    columns |= {
        name: np.repeat(np.asarray(rows[name], object)[source], horizon).tolist() for name in static
    }
    empty = [c.name for c in covariates_of(reader) if c.role == "known"] + list(reader["columns"])
    return columns | {
        name: [None] * len(columns[reader["time"]]) for name in empty if name not in columns
    }


def as_written(times: list[Any], time_format: str | None) -> list[Any]:
    """Return times as the time column writes them."""
    if time_format in ("YYYYMMDD", "YYYYMM"):
        return [
            int(time.strftime("%Y%m%d" if time_format == "YYYYMMDD" else "%Y%m")) for time in times
        ]
    return moments_as_text(times)


def example_rows(reader: Preprocessor, x: np.ndarray) -> list[dict[str, Any]]:
    """Return rows of one series that a window may come from, those to forecast last.

    Args:
        reader: the preprocessor.
        x: (steps, F + 2 K) a window.
    """
    calendar = Calendar.of(reader)
    covariates = covariates_of(reader)
    horizon = reader["horizon"]
    assert calendar is not None
    past = len(reader["columns"])
    width = (x.shape[1] - past) // 2
    start = np.array(["2023-12-31"], "M8[us]") if calendar.step != "numbers" else np.zeros(1)
    times = calendar.next_times(Moments(start, start), len(x) + horizon)
    written = as_written(
        [time.replace(tzinfo=None) if hasattr(time, "tzinfo") else time for time in times],
        reader.get("times"),
    )
    # (steps + horizon, K)
    values = np.concatenate([x[:, past : past + width], x[-horizon:, past + width :]])
    rows = []
    for i, time in enumerate(written):
        row: dict[str, Any] = dict.fromkeys(reader["series_id"], "example") | {reader["time"]: time}
        row |= {
            name: round(float(x[i, j]), 4) if i < len(x) else None
            for j, name in enumerate(reader["columns"])
        }
        channel = 0
        for covariate in covariates:
            cells = values[
                0 if covariate.role == "static" else i, channel : channel + len(covariate.channels)
            ]
            channel += len(covariate.channels)
            row[covariate.name] = (
                covariate.categories[int(cells.argmax())]
                if covariate.categories
                else round(float(cells[0]), 4)
            )
        rows.append(row)
    return rows
