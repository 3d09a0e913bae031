"""Windows of series, and the values that follow them: of the splits of a panel, and of new rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.dataset import Split
from kzoo.data.store.windows import SeriesOfWindows, Windows
from kzoo.data.tables.frame import as_frame
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.covariates import covariates_of, window_columns
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.one_series import (
    check_not_empty,
    check_step,
    learned_series,
    learned_time_format,
    read_times,
    time_column_notes,
)
from kzoo.inference.kinds.series.panel import Panel, listed_series, panel_of
from kzoo.inference.kinds.series.steps import LONGEST_GAP, WindowRules, window_notes
from kzoo.inference.kinds.series.times import Times
from kzoo.inference.kinds.series.windows import PanelValues, padded, panel_values
from kzoo.inference.tables.numbers import learned_from_texts
from kzoo.inference.tables.raw import require, rows_of
from kzoo.problems.kinds import Fresh
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.problems.stored_types import Config
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.zoo.registry.preset import Preset

if TYPE_CHECKING:
    from pandas import DataFrame

# windows without a value to forecast that was filled in, from which a split is scored on these alone
_ENOUGH_TO_SCORE = 20
Limits = tuple[
    int | None, int | None
]  # first step number of the targets of a split, and its end; None for no limit


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitWindows:
    """The windows of the splits of a panel.

    Args:
        parts: split -> its windows, of those that have some.
        notes: about windows that are left out, and series that are padded.
        over_jumps: number of windows with missing rows in the forecast horizon that are used.
    """

    parts: dict[str, Split]
    notes: list[str]
    over_jumps: int


def split_windows(
    panel: Panel, content: PanelValues, steps: int, horizon: int, limits: Mapping[str, Limits]
) -> SplitWindows:
    """Return the windows of each split of a panel.

    Series of a panel with few rows get the first row repeated before it, so that they have a window of the full length.
    Among the values to forecast, training windows may have a few that were filled in (see `WindowRules`): without them,
    few windows of a series with gaps would be left to learn from. A split that is scored has such windows, or some with
    a gap that was not filled in, only if it has fewer than 20 others, and these are less than half.

    Args:
        panel, content: the `Panel` and its `PanelValues`.
        steps, horizon: sizes of a window.
        limits: split -> its `Limits`.
    """
    padding = padded(panel, content.observed, steps, horizon)
    source, is_row = padding.source, padding.is_row
    targets = content.filled.shape[1]
    rows = np.arange(len(source), dtype=source.dtype)
    numbers = panel.numbers[source]
    last = np.minimum(rows + horizon, len(rows)) - 1
    complete = (rows - padding.firsts >= steps) & (rows + horizon <= padding.ends) & is_row
    complete &= content.is_past[source[last]]
    begins = np.unique(padding.own_firsts)
    if len(breaks := np.setdiff1d(panel.parts, panel.bounds)):
        breaks = np.flatnonzero(is_row & np.isin(source, breaks))
        begins = np.union1d(begins, breaks)
        complete &= ~_reach_over(breaks, rows, 1 - steps, horizon)
    rules = WindowRules(
        filled=content.filled[source] & is_row[:, None], steps=steps, horizon=horizon
    )
    values = window_columns(content.values, content.covariates, source, padding.ends, horizon)
    y = np.ascontiguousarray(content.values[source, :targets])
    measured = ~content.filled[source] & is_row[:, None]
    series = None
    if panel.is_padded:
        names = tuple(panel.names)
        series = SeriesOfWindows(panel.codes[source], padding.own_firsts, names, numbers)
    last_numbers = numbers[last]
    parts = dict[str, Split]()
    shares = dict[str, float]()
    left_out = over_jumps = 0
    for part, (low, high) in limits.items():
        inside = complete if low is None else complete & (numbers >= low)
        every = np.flatnonzero(inside if high is None else inside & (last_numbers < high)).astype(
            rows.dtype
        )
        strict, usable = rules.usable(every - steps)
        over_jump = _reach_over(panel.jumps, every, 0, horizon)
        if panel.fill and part == "train":  # runs of earlier versions keep their windows
            strict = usable
        strict = strict & ~over_jump
        is_strict = 2 * strict.sum() >= usable.sum()
        if panel.fill and part != "train":
            is_strict |= strict.sum() >= _ENOUGH_TO_SCORE
        starts = every[strict if is_strict else usable]
        left_out += len(every) - len(starts)
        over_jumps += 0 if is_strict else int(over_jump.sum())
        if len(starts):
            shares[part] = rules.share_filled(starts - steps)
            own = None if series is None else series.part(starts)
            ahead = (content.covariates.shape[1], horizon)
            x = Windows(values, starts - steps, steps, own, begins=begins, ahead=ahead)  # type: ignore[arg-type]  # or `WindowRows`
            parts[part] = Split(x=x, y=Windows(y, starts, horizon, own, measured))
    notes = window_notes(left_out, shares)
    for short, of_series in (
        (
            padding.short,
            f"have few rows ({{}}): the first is repeated to fill a window of {plural(steps, 'step')}.",
        ),
        (
            padding.too_short,
            f"have no more than {plural(horizon, 'row')} with targets and are left out ({{}}).",
        ),
    ):
        if short:
            notes.append(
                f"{len(short)} of {len(panel)} series {of_series.format(listed_series(short))}"
            )
    if over_jumps:
        notes.append(
            f"{plural(over_jumps, 'window')} with missing rows in the forecast horizon: excluding them would remove "
            "more than half of a split, so the rows are treated as consecutive."
        )
    return SplitWindows(parts=parts, notes=notes, over_jumps=over_jumps)


def _reach_over(gaps: np.ndarray, starts: np.ndarray, first: int, end: int) -> np.ndarray:
    """Return whether a gap is before one of the steps from `first` to before `end` of each window (N,)."""
    return np.searchsorted(gaps, starts + first) != np.searchsorted(gaps, starts + end)


def no_window(
    part: str, start: int, end: int, steps: int, horizon: int, name: str, fix: str
) -> KzooError:
    """Return the error of a split of one series without a window.

    Args:
        part: name of the split.
        start, end: its rows.
        steps, horizon: sizes of a window.
        name: of the series.
        fix: what to do if the split has too few rows.
    """
    if max(0, start - steps) > end - steps - horizon:
        return KzooError(
            f"The {part} part of {name!r} has {plural(end - start, 'row')}, which is too few for a window of "
            f"{plural(steps, 'step')} and a horizon of {horizon}; {fix}."
        )
    return KzooError(
        f"No {horizon} consecutive rows of {name!r}{'' if part == 'all' else f' ({part})'} after a window of "
        f"{plural(steps, 'step')} have values of all targets: there is nothing to "
        f"{'train on' if part == 'train' else 'score'}."
    )


def shorter_sizes(
    parts: Iterable[tuple[int, int]], steps: int, horizon: int, preset: Preset | None
) -> str:
    """Return the fix for an error about windows that do not fit: sizes that fit, with several windows to train on.

    Args:
        parts: (first row, end) of each split, of the series that it is cut from.
        steps, horizon: those of the windows that do not fit.
        preset: preset that the data is for; one that cuts windows into patches needs at least one patch.
    """
    parts = list(parts)
    # Windows of the training rows and of a test series have all their steps there; others begin in the part before.
    shortest = min(end for start, end in parts if start == 0)
    max_horizon = min(
        [horizon, shortest // 4, *(end - start for start, end in parts if end > start)]
    )
    min_steps = 1 if preset is None else preset.config.get("patch_size") or 1
    max_steps = min(steps, max((shortest - max_horizon) // 2, min_steps))
    if max_horizon < 1 or max_steps + max_horizon > shortest:
        return "provide more rows"
    return f"provide more rows, or use input_shape={max_steps}, horizon={max_horizon}"


_MOST_FRESH = 1_000_000  # new rows that are checked


@dataclass(frozen=True, kw_only=True, eq=False)
class NewSeries:
    """New rows of series, read as the training rows were, for scoring.

    Args:
        panel, content: their `Panel` and its `PanelValues`.
        notes: about them.
        where: the series, for messages.
    """

    panel: Panel
    content: PanelValues
    notes: list[str]
    where: str

    @classmethod
    def of(cls, reader: Preprocessor, source: RawInputs, where: str) -> "NewSeries":
        """Return the series of a table.

        Args:
            reader: the preprocessor.
            source: the table.
            where: the series, for messages.
        """
        notes = list[str]()
        frame, times = _sorted_frame(reader, source, notes)
        if not reader.get("series_id"):
            require(frame, reader["columns"], where)
            notes += [*time_column_notes(reader, times), *check_step(reader, times, where)]
        panel, content = _read(reader, frame, times, notes, where)
        if not reader.get("series_id"):
            check_not_empty(content.missing, len(frame), where)
        unread = unread_notes(reader["columns"], frame, content.unread)
        return cls(
            panel=panel,
            content=content,
            notes=[*notes, *panel.gap_notes(), *unread, *content.notes],
            where=where,
        )

    def windows(
        self, steps: int, horizon: int, name: str, part: str = "all", fix: str = "provide more rows"
    ) -> SplitWindows:
        """Return all windows, and the values that follow them.

        Args:
            steps, horizon: sizes of a window.
            name: of the data, for messages.
            part: name of the split.
            fix: what to do if there are too few rows.

        Raises:
            KzooError: no window has all of its targets.
        """
        windows = split_windows(self.panel, self.content, steps, horizon, {part: (None, None)})
        if windows.parts:
            return windows
        if self.panel.is_padded:
            raise KzooError(
                f"No series of {self.where} has {plural(horizon, 'consecutive row')} with all targets after a first "
                "row: there is nothing to score."
            )
        raise no_window(part, 0, len(self.content.values), steps, horizon, name, fix)


def labelled(
    reader: Preprocessor, source: RawInputs, *, targets: Sequence[str], config: Config
) -> Split:
    """Return all windows of new series and the values that follow them, except those with missing targets."""
    name = Path(source).name if isinstance(source, str | Path) else "the table"
    new = NewSeries.of({**reader, "outputs": config["outputs"]}, source, name)
    windows = new.windows(reader["steps"], config["horizon"], name)
    for line in (*new.notes, *windows.notes):
        warn(line)
    return windows.parts["all"]


def fresh(reader: Preprocessor, source: RawInputs, *, targets: Sequence[str]) -> Fresh:
    """Return new rows of series, which may lack columns, for the checks."""
    ids = reader.get("series_id") or ()
    frame, times = _sorted_frame(reader, source, None)
    names = [*reader["columns"], *ids, *(covariate.name for covariate in covariates_of(reader))]
    missing = [name for name in names if name not in frame.columns]
    if not ids:
        check_step(reader, times, "the new series")
    if missing or not len(frame):
        return Fresh(frame=frame, missing=missing, seen=time_facts(times, {}))
    panel, content = _read(reader, frame, times, [], "the series")
    ends = np.repeat(panel.bounds[1:], panel.sizes)
    rows = np.arange(len(panel.numbers))
    horizon = reader.get("horizon") or 0
    x = window_columns(content.values, content.covariates, rows, ends, horizon)
    seen = time_facts(times, {} if ids else content.missing)
    return Fresh(x=np.asarray(x[-_MOST_FRESH:]), frame=frame, missing=missing, seen=seen)


def _sorted_frame(
    reader: Preprocessor, source: RawInputs, notes: list[str] | None
) -> tuple["DataFrame", Times | None]:
    """Return a table and, of one series, its `Times`, the rows in order of them without the time column."""
    frame = as_frame(with_index(source, reader.get("time")), _text_columns(reader))
    if reader.get("series_id"):
        return frame, None
    return sort_by_time(frame, reader.get("time"), [], learned_time_format(reader), notes)


def _read(
    reader: Preprocessor,
    frame: "DataFrame",
    times: Times | None,
    notes: list[str],
    where: str,
) -> tuple[Panel, PanelValues]:
    """Return the panel of a table of `_sorted_frame`, and its values."""
    rows = rows_of(frame)
    if not reader.get("series_id"):
        return learned_series(reader, rows, times, where=where)
    panel = panel_of(reader, rows, notes, longest=LONGEST_GAP)
    return panel, panel_values(reader, rows, panel)


def _text_columns(reader: Preprocessor) -> list[str]:
    """Return the names of columns of a new series that must be read from a file as text, as in training."""
    formats = reader.get("writings") or {}
    ids = reader.get("series_id") or ()
    return [
        *ids,
        *(name for name, number_format in formats.items() if learned_from_texts(number_format)),
    ]


def sort_by_time(
    frame: "DataFrame",
    column: str | None,
    notes: list[str],
    learned: str | None = None,
    time_notes: list[str] | None = None,
    date_order: str | None = None,
) -> tuple["DataFrame", Times | None]:
    """Return the rows in order of time without the time column, the one of the training or else the first of dates.

    Args:
        frame: the table.
        column, notes, learned, time_notes, date_order: see `read_times`.

    Returns:
        (the table, its `Times` or None without a time column).
    """
    times = read_times(
        rows_of(frame), column, notes, learned=learned, time_notes=time_notes, date_order=date_order
    )
    if times is None:
        return frame, None
    if not times.is_sorted:
        frame = frame.iloc[times.order].reset_index(drop=True)
    return frame.drop(columns=times.column), times


def time_facts(times: Times | None, missing: Mapping[str, np.ndarray]) -> JsonObject:
    """Return facts for the checks about the times of a series and its missing values."""
    return {
        "time": times.json() if times is not None and len(times.timestamps) else None,
        "gone": {
            name: _longest_run(indices, times) for name, indices in missing.items() if len(indices)
        },
    }


def _longest_run(indices: np.ndarray, times: Times | None) -> JsonObject:
    """Return the `count` of cells without a number, and `longest`, `first` and `last`: length and rows of the longest
    run.

    Rows are named by their time, or without a time column by their index.
    """
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    run = max(runs, key=len)
    names = [str(row) if times is None else times.at(row) for row in (run[0], run[-1])]
    return {"count": len(indices), "longest": len(run), "first": names[0], "last": names[1]}
