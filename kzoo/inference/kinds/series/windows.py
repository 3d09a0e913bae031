"""The windows of a panel: where short series are padded, and the last window of each series. Imports only NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.covariates import Channels, calendar_values, covariates_of
from kzoo.inference.kinds.series.panel import Panel, gap_notes, listed_series, panel_of
from kzoo.inference.kinds.series.steps import LONGEST_GAP, MAX_FILLED
from kzoo.inference.kinds.series.values import PanelValues, far_notes, filled, panel_values
from kzoo.inference.tables.raw import MOST, Rows
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.formatting import moments as moments_as_text


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
    reader: Mapping[str, Any], rows: Rows, notes: list[str]
) -> tuple[np.ndarray, Panel, tuple[np.ndarray, np.ndarray]]:
    """Return the last window of each series of a table, and its panel.

    Args:
        reader: the preprocessor.
        rows: the table; rows after the last one with all targets are the future, whose known columns are read.
        notes: list that notes are appended to.

    Returns:
        (windows (S, steps, F + 2 K), the `Panel`, (first row, last row with targets) (S,) of each window).

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
    positions = np.maximum(last[:, None] - np.arange(steps)[::-1], window_firsts[:, None])
    later = positions + horizon
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
    return windows, panel, (window_firsts, last)


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
    reader: Mapping[str, Any],
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
    notes = gap_notes(panel, np.maximum(last - steps + 1, panel.bounds[:-1]), last)
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
    reader: Mapping[str, Any], panel: Panel, content: PanelValues, last: np.ndarray
) -> tuple[Channels, np.ndarray]:
    """Return the covariates (R, K), empty cells of the past filled, and those of the steps to forecast (S, horizon, K).

    Raises:
        KzooError: a known column is empty in a step to forecast.
    """
    horizon = reader["horizon"]
    calendar = panel.calendar
    assert calendar is not None and panel.moments is not None
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
        values[panel.codes[rows], offset[rows] - 1] = own[rows][:, column]
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
    return past, np.concatenate(parts, axis=2).astype(np.float32)
