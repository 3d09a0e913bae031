"""One series: a panel without ids, whose rows need neither a time column nor a regular step. Imports only NumPy.

Its rows are in order of time before they become a panel, and those at the end without a target are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.calendar import Calendar, learn_calendar
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.panel import NO_MOMENTS, Panel
from kzoo.inference.kinds.series.steps import (
    LONGEST_GAP,
    MAX_FILLED,
    SEVERAL_SEASONS,
    Steps,
)
from kzoo.inference.kinds.series.time_formats import (
    DAY_FIRST,
    NUMBERS,
    are_digit_dates,
    require_times,
    time_format_of,
    times_and_zone,
)
from kzoo.inference.kinds.series.times import Moments, Times
from kzoo.inference.kinds.series.windows import PanelValues, far_notes, panel_values, target_count
from kzoo.inference.kinds.series.written_times import WrittenTimes, written_times
from kzoo.inference.tables.dates import are_dates
from kzoo.inference.tables.raw import MOST, Rows, TableSource, checked_rows, require, rows_of
from kzoo.inference.tables.values import plain, to_words
from kzoo.inference.tables.zones import zone_notes
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural

# windows of steps before a forecast that are read: a gap is filled in from the season before it
_SEASONS_READ = 4
_MIN_STEP_ROWS = 4  # rows that a step is computed from, so that a single gap does not decide it
_MIN_REPEATED_SHARE = 0.2  # of the rows, from which they may belong to several series


@dataclass(frozen=True, kw_only=True, eq=False)
class OneSeries(Panel):
    """The panel of one series.

    Args:
        steps: the `Steps` of its rows.
        times: the `Times` of its rows, in order; None without a time column.
    """

    steps: Steps
    times: Times | None
    is_padded: ClassVar[bool] = False

    @classmethod
    def of(
        cls,
        times: Times | None,
        rows: int,
        calendar: Calendar | None,
        *,
        where: str = "the series",
        last: int | None = None,
        least: int = 0,
        uneven: bool = False,
        fill: str = SEVERAL_SEASONS,
    ) -> "OneSeries":
        """Return the panel of rows in order of time.

        Args:
            times: their `Times`, in order or in that of the table that was sorted; or None.
            rows: number of rows.
            calendar: the step of the training; None if rows are steps.
            where, last: see `Steps.of_series`.
            least: number of steps that are needed: those before the first row are missing if seasons tell their values.
            fill: from how many seasons targets are filled in (see `fill_targets`).
            uneven: whether rows are steps in any case, because a run was trained on consecutive rows across gaps.
        """
        times = times and times.take(times.order)
        moments = NO_MOMENTS if times is None else times.moments
        if (
            times is None
            or calendar is None
            or uneven
            or not rows
            or not calendar.fits(times.timestamps)
        ):
            steps = Steps.consecutive(rows)
            jumps = np.empty(0, int) if times is None or uneven else times.gaps
            calendar = None
        else:
            longest = max(LONGEST_GAP, last or 0)
            standard = Moments(times.standard, times.wall)
            steps = Steps.of_series(calendar, standard, longest, where, last)
            if fill == SEVERAL_SEASONS and (calendar.season or len(steps)) < len(steps) < least:
                steps = steps.preceded(least - len(steps))
            jumps = np.empty(0, int)
            moments = steps.moments(calendar, times.moments)
        return cls(
            names=[""],
            bounds=np.array([0, len(steps)]),
            order=np.where(steps.since == 0, steps.rows, -1),
            numbers=np.arange(len(steps)),
            moments=moments,
            calendar=calendar,
            parts=steps.parts,
            steps=steps,
            times=times,
            jumps=jumps,
            fill=fill,
        )

    def last_observed(self, observed: np.ndarray) -> np.ndarray:
        """Return the last row: the future was left out before."""
        return np.array([len(observed) - 1])

    def past(self, first: int, last: int) -> Moments:
        """Return the times of all rows."""
        assert self.times is not None
        return self.times.moments

    def time(self, row: int) -> str:
        """Return the time of the row of a step as text."""
        assert self.times is not None
        return self.times.at(self.steps.rows[row])

    def gap_notes(
        self, first: np.ndarray | None = None, last: np.ndarray | None = None
    ) -> list[str]:
        """Return notes about steps without a row, and about rows with the time of another row."""
        start = 0 if first is None else int(first[0])
        times = self.times
        if times is None:
            return []
        lines = self.steps.notes(times.at, self.fill_rule, start)
        first_row = self.steps.rows[start - 1] + 1 if start else 0
        unused = self.steps.unused[self.steps.unused >= first_row]
        kept = (
            np.flatnonzero(times.is_repeat[first_row:]) + first_row
            if not len(self.steps.unused)
            else unused
        )
        if len(kept):
            rows = "1 row repeats" if len(kept) == 1 else f"{len(kept):,} rows repeat"
            rule = "The last row of each is used" if len(unused) else "Each row counts as a step"
            lines.append(
                f"{rows} a time step in {times.column!r} (first: {times.at(kept[0])}). {rule}."
            )
        return lines


def detect_time_column(table: TableSource, time: str | None = None) -> str | None:
    """Return the requested time column, or else the first column of dates; None without one."""
    rows = rows_of(table)
    if time is not None:
        require(rows, [time], "the series")
        return time
    candidates = (
        (is_time, name) for is_time in (are_dates, are_digit_dates) for name in rows.columns
    )
    return next((name for is_time, name in candidates if is_time(rows[name])), None)


def learned_time_format(reader: Preprocessor) -> str:
    """Return the format of the time column in training, empty if it is not stored (see `time_format_of`)."""
    calendar = reader.get("calendar")
    are_numbers = (
        isinstance(calendar, Mapping) and calendar.get("step") == "numbers"
    )  # runs of earlier versions do not store it
    return reader.get("times") or (NUMBERS if are_numbers else "")


def read_times(
    rows: Rows,
    column: str | None,
    notes: list[str],
    *,
    learned: str | None = None,
    time_notes: list[str] | None = None,
    date_order: str | None = None,
) -> Times | None:
    """Return the times of the rows of a series, from the column of the training or else the first column of dates.

    Args:
        rows: `Rows`.
        column: name of the time column, or None.
        notes: list that notes for the user are appended to.
        learned: format of the column in training.
        time_notes: list that notes about an ambiguous format are appended to; `notes` by default.
        date_order: see `kzoo.load_data`.

    Returns:
        `Times`; None without a time column.

    Raises:
        KzooError: a row without a time, or rows of several series.
    """
    column = column if column in rows.columns else detect_time_column(rows)
    if column is None:
        notes.append("There is no time column: the rows are assumed to be in order of time.")
        return None
    time_format = time_format_of(
        column, rows[column], notes if time_notes is None else time_notes, learned, date_order
    )
    timestamps, offsets, zone = times_and_zone(rows, column, time_format)
    require_times(rows, column, timestamps)
    times = Times.of(column, timestamps, offsets, time_format, zone)
    if repeated := int(times.is_repeat.sum()):
        _refuse_several_series(rows, column, timestamps, repeated, new=learned is not None)
    if not times.is_sorted:
        notes.append(f"The rows were not in order of {column!r} and were sorted.")
    return times


def _refuse_several_series(
    rows: Rows, column: str, timestamps: np.ndarray, repeated: int, *, new: bool
) -> None:
    """Refuse a table of several series in rows: sorted by time, they would be mixed up to noise."""
    if repeated < _MIN_REPEATED_SHARE * len(timestamps):
        return
    line = f"{repeated:,} of {len(timestamps):,} rows repeat a time in {column!r}"
    if not (ids := id_columns(rows, column, timestamps)):
        raise KzooError(
            f"{line}, and no columns tell several series apart. A series has one row per time: keep one, or use the "
            "mean or sum of them."
        )
    count = len(set(zip(*(to_words(rows[name]) for name in ids), strict=True)))
    advice = "Pass the rows of one of them."
    if not new:
        argument = repr(ids[0]) if len(ids) == 1 else repr(ids)
        advice = f"Set series_id={argument} to forecast each of them, or pass the rows of one."
    raise KzooError(
        f"{line}: the table has {count:,} series, told apart by {listed(map(repr, ids), MOST)}. {advice}"
    )


def time_column_notes(reader: Preprocessor, times: Times | None) -> list[str]:
    """Return notes about the time column of a new series: another column than in training, or in an unknown time zone.

    Args:
        reader: preprocessor.
        times: the `Times` of the series, or None.
    """
    column = reader.get("time")
    if column is None:
        return []
    if times is None:
        return [f"There is no time column {column!r}. The rows are assumed to be in order of time."]
    lines = (
        []
        if times.column == column
        else [f"There is no time column {column!r}. {times.column!r} is used instead."]
    )
    zone = (reader.get("zones") or {}).get(column)
    is_uncertain = zone == "" or np.isnan(times.offsets).any()  # otherwise times are in UTC
    return lines + (zone_notes(times.column, zone, times.offsets) if is_uncertain else [])


def check_step(
    reader: Preprocessor, times: Times | None, where: str, *, last: int | None = None
) -> list[str]:
    """Refuse a series if most of its intervals are not the step of the training, which the network has learned.

    Args:
        reader: preprocessor, with its `Calendar`.
        times: the `Times` of the series, or None.
        where: the series, for the message.
        last: number of rows to check, the last ones; all by default.

    Returns:
        A list with a note if there is a single interval only, which is another, or if types of times differ; or [].

    Raises:
        KzooError: most intervals are others.
    """
    calendar = Calendar.of(reader)
    if calendar is None or times is None:
        return []
    if not calendar.fits(times.timestamps):
        new_type, learned_type = (
            ("numbers", "dates") if calendar.step != "numbers" else ("dates", "numbers")
        )
        return [
            f"Times of {times.column!r} are {new_type} in {where}, but were {learned_type} in training. Their steps "
            "may differ."
        ]
    times = times.take(times.order[-max(last or 0, _MIN_STEP_ROWS) :] if last else times.order)
    moments = Moments(times.timestamps, times.wall)
    matches = calendar.matching_steps(moments)
    if not len(matches) or 2 * matches.sum() >= len(matches):
        return []
    new_calendar = learn_calendar(moments, times.column)
    new_step = times.step if new_calendar is None else new_calendar.description
    line = f"The rows of {where} are {new_step} apart, but the training rows were {calendar.description} apart"
    if len(matches) == 1:
        return [f"{line}. The forecast assumes the step of the training."]
    raise KzooError(f"{line}. Pass rows {calendar.description} apart, or train on rows like these.")


def check_not_empty(missing: Mapping[str, np.ndarray], rows: int, where: str) -> None:
    """Refuse a series with a column without numbers: there is no earlier value to fill in.

    Args:
        missing: name -> numbers of rows without a number (see `PanelValues`).
        rows: number of rows.
        where: the series, for the message.

    Raises:
        KzooError: there is such a column.
    """
    if rows and (empty := [name for name, indices in missing.items() if len(indices) == rows]):
        raise KzooError(f"Column {empty[0]!r} of {where} has no number in any row.")


def past_rows(
    reader: Preprocessor, raw: RawInputs, notes: list[str]
) -> tuple[Rows, Times | None, int]:
    """Return the past of a series: its rows without those at the end that have no target, which are the future.

    Args:
        reader: the preprocessor.
        raw: a table.
        notes: list that notes about ambiguous times are appended to.

    Returns:
        (its `Rows` in order of time, their `Times` or None, number of future rows).
    """
    table = with_index(raw, reader.get("time"))
    writings = reader.get("writings") or {}
    rows = checked_rows(table)
    times = read_times(
        rows, reader.get("time"), [], learned=learned_time_format(reader), time_notes=notes
    )
    require(rows, reader["columns"], "the series")
    order = np.arange(len(rows)) if times is None else times.order
    has_target = np.zeros(len(rows), bool)
    for name in reader["columns"][: target_count(reader)]:
        has_target |= np.isfinite(rows.numbers(name, writings.get(name)))
    if len(rows) and not has_target.any():
        raise KzooError(f"No row of the series has a number in {_targets(reader)}.")
    future = int(np.argmax(has_target[order][::-1])) if len(rows) else 0
    order = order[: len(order) - future]
    return rows.take(order), times if times is None else times.take(order), future


def learned_series(
    reader: Preprocessor,
    rows: Rows,
    times: Times | None,
    *,
    last: int | None = None,
    least: int = 0,
    where: str = "the series",
) -> tuple[OneSeries, PanelValues]:
    """Return the panel of new rows in order of time, and its values, read as the training rows were.

    Args:
        reader: the preprocessor.
        rows, times: the rows, and their `Times` or None.
        last: number of steps that are read, the last ones; all by default.
        least: number of steps that are needed (see `OneSeries.of`).
        where: the series, for messages.
    """
    panel = OneSeries.of(
        times,
        len(rows),
        Calendar.of(reader),
        where=where,
        last=last,
        least=least,
        uneven=bool(reader.get("uneven")),
        fill=reader.get("fill") or "",
    )
    return panel, panel_values(reader, rows, panel)


def read_series(
    reader: Preprocessor, raw: RawInputs, notes: list[str]
) -> tuple[np.ndarray, OneSeries, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the last window of a series, its panel, its first and last row, and which targets were measured.

    See `read_panel` of `windows`.

    Args:
        reader: the preprocessor.
        raw: a table; rows after the last one with a target are the future, and are not read.
        notes: list that notes are appended to.

    Raises:
        KzooError: too few rows, a column without numbers, or more than half of the targets are missing.
    """
    steps = reader["steps"]
    rows, times, future = past_rows(reader, raw, notes)
    notes += [] if times is None else time_column_notes(reader, times)
    notes += check_step(reader, times, "the series", last=steps)
    panel, content = learned_series(reader, rows, times, last=_SEASONS_READ * steps, least=steps)
    if times is not None:
        panel = replace(panel, written=_written(rows, times))
    count = len(content.values)
    if count < steps:
        requirement = f" with a value of {_targets(reader)}" if future else ""
        raise KzooError(f"A forecast needs the last {steps} rows{requirement}; got {count}.")
    check_not_empty(content.missing, len(rows), "the series")
    first = count - steps
    _check_filled(panel, content, first)
    notes += [
        *unread_notes(reader["columns"], rows, content.unread),
        *_future_note(reader, rows, times, future),
        *_missing_note(panel, content, first),
        *_gap_notes(reader, panel, first),
        *far_notes(
            reader,
            content.values[first:],
            lambda step: (
                f"in step {step + 1}" if times is None else f"at {panel.time(first + step)}"
            ),
        ),
    ]
    rows_of_window = np.array([first]), np.array([count - 1])
    return content.values[None, first:], panel, rows_of_window, ~content.filled[None, first:]


def _written(rows: Rows, times: Times) -> WrittenTimes | None:
    """Return how the times of rows are written."""
    return written_times(
        rows[times.column],
        times.wall,
        has_zone=bool(len(times.offsets)) and bool(np.isfinite(times.offsets).all()),
        day_first=times.time_format == DAY_FIRST,
    )


def past(
    reader: Preprocessor, raw: RawInputs, horizon: int, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return earlier windows of a series, and the values that followed them as far as they are known.

    Args:
        reader: the preprocessor.
        raw: an input of `read`.
        horizon: number of steps of a forecast.
        most: largest number of windows, the latest ones.

    Returns:
        ((N, steps, F) windows, (N, horizon, targets) values, NaN where they are missing or not known yet, whether each
        target (N, steps, targets) of the windows was measured), in order of time, one step apart; None for an array,
        which is only the window, and for a table of many series.
    """
    if isinstance(raw, np.ndarray) or reader.get("series_id"):
        return None
    steps = reader["steps"]
    rows, times, _ = past_rows(reader, raw, [])
    _, content = learned_series(reader, rows, times, last=_SEASONS_READ * steps + most)
    values = content.values
    truth = np.where(content.filled, np.nan, values[:, : content.filled.shape[1]])
    truth = np.concatenate([truth, np.full((horizon, truth.shape[1]), np.nan, truth.dtype)])
    # the steps of the first values that are forecast
    first = np.arange(max(steps, len(values) - most), len(values))[:, None]
    before = first - steps + np.arange(steps)
    return values[before], truth[first + np.arange(horizon)], ~content.filled[before]


def _targets(reader: Preprocessor) -> str:
    """Return the quoted names of the targets, joined by "or"."""
    return listed(map(repr, reader["columns"][: target_count(reader)]), separator=" or ")


def _check_filled(panel: OneSeries, content: PanelValues, first: int) -> None:
    """Refuse a forecast if more than half of the targets that it is based on would be filled in.

    Raises:
        KzooError: this is so.
    """
    filled = content.filled[first:]
    if filled.mean() <= MAX_FILLED:
        return
    window = "" if panel.times is None else f", from {panel.time(first)} on"
    raise KzooError(
        f"{int(filled.sum())} of the {filled.size} targets in the last {plural(len(filled), 'step')}, which the "
        f"forecast is based on{window}, are missing. At most half of them are filled in: add the rows or the values."
    )


def _future_note(
    reader: Preprocessor, rows: Rows, times: Times | None, future: int
) -> Iterator[str]:
    """Yield a note if there are `future` rows without targets at the end, after these rows."""
    if not future:
        return
    last = f"row {len(rows)}" if times is None else times.format_time(times.timestamps[-1])
    subject = "The last row has" if future == 1 else f"The last {future} rows have"
    ignored = (
        ""
        if target_count(reader) == len(reader["columns"])
        else " Values of other columns in these rows are ignored."
    )
    yield (
        f"{subject} no number in {_targets(reader)}: the forecast starts after {last}, the last "
        f"row with one.{ignored}"
    )


def _missing_note(panel: OneSeries, content: PanelValues, first: int) -> Iterator[str]:
    """Yield a note if cells are empty from a step on."""
    row = panel.steps.rows[first]
    counts = {name: int((rows >= row).sum()) for name, rows in content.missing.items()}
    if total := sum(counts.values()):
        per_column = listed(f"{name!r} {count}" for name, count in counts.items() if count)
        yield (
            f"{total} of the {(len(content.values) - first) * len(counts)} values that the forecast is based on "
            f"{'is' if total == 1 else 'are'} missing ({per_column}). {panel.fill_rule}"
        )


def _gap_notes(reader: Preprocessor, panel: OneSeries, first: int) -> Iterator[str]:
    """Yield notes if rows are missing from a step on.

    Of a run of an earlier version that was trained on consecutive rows across gaps, new rows are consecutive, too.
    """
    times = panel.times
    if times is None:
        return
    steps = f"the last {plural(len(panel.numbers) - first, 'step')}, which the forecast is based on"
    yield from (f"Of {steps}: {note}" for note in panel.gap_notes(np.array([first])))
    gaps = times.gaps if reader.get("uneven") else panel.jumps
    gaps = gaps[gaps > first]
    # the notes of the training say so
    if len(gaps) and not (reader.get("uneven") and Calendar.of(reader) is None):
        reason = (
            "as in training"
            if reader.get("uneven")
            else "because no regular step was found in training"
        )
        yield (
            f"Rows are missing in {steps}: there is none between {times.at(gaps[-1] - 1)} and "
            f"{times.at(gaps[-1])}. The rows around the gap count as consecutive, {reason}."
        )


_MAX_IDS = 4  # columns that tell series apart together
_MAX_CANDIDATES = 12
_MAX_ROWS = 20_000  # rows that columns are tried on


def id_columns(rows: Rows, time: str | None, timestamps: np.ndarray) -> list[str]:
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


def _are_different(times: np.ndarray, columns: Iterable[np.ndarray]) -> bool:
    """Return whether no two rows have the same time and the same values of columns, as codes (N,)."""
    codes = times
    for column in columns:
        codes = np.unique(codes * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[
            1
        ].reshape(-1)
    return len(np.unique(codes)) == len(codes)
