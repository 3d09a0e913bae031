"""Panels: a table of many series in rows, told apart by id columns. Imports only NumPy.

The rows are sorted by series and time. A panel is cut into windows as one series is, but no window crosses the border
of two series. Besides the past of the columns, windows have *covariates*, which are known ahead of time: the known and
the static columns of the user, and the calendar. Each has two channels: its value at a step, and its value `horizon`
steps later, so that the last `horizon` steps of a window have those of the steps to forecast.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.calendar import Calendar, Moments, learn_calendar
from kzoo.inference.kinds.series.steps import (
    LONGEST_GAP,
    MAX_FILLED,
    Steps,
    fill_rule,
    fill_targets,
)
from kzoo.inference.kinds.series.time_formats import require_times, time_format_of, times_and_zone
from kzoo.inference.tables.raw import MOST, Rows, require
from kzoo.inference.tables.values import (
    Texts,
    are_filled,
    category_word,
    not_missing,
    plain,
    to_words,
    unreadable_cells,
)
from kzoo.inference.tables.zones import format_offset, offset_of, zone_notes
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.formatting import moments as moments_as_text

MAX_CATEGORIES = 20  # of a known or static column of texts: each has a channel
_HARMONICS = 3  # pairs of sine and cosine for each season of the calendar
# steps of a year, where it is no season of the calendar
_YEAR = {"days": 365.2425, "business days": 261.0}
YEAR_OF_WEEKS = {"days": 364, "business days": 260}  # a year of whole weeks
_YEAR_HARMONICS = 2
_FAR = 3.0  # times the range of a column in training, by which a value of new rows is outside of it
_MIN_ROWS = 4  # of a series whose step is compared with that of the panel
_MOST_BYTES = 128 << 20  # of the columns of windows that are kept in memory
_ROWS_AT_ONCE = 200_000
_EPOCH = np.datetime64("1970-01-01", "D")


@dataclass(frozen=True, kw_only=True)
class Covariate:
    """A column that is known ahead of time.

    Args:
        name: of the column.
        role: "known" or "static".
        categories: its values, each of which has a channel; empty for a column of numbers.
        number_format: how a column of texts writes its numbers (see `kzoo.inference.tables.numbers`), or None.
    """

    name: str
    role: str
    categories: tuple[str, ...] = ()
    number_format: Any = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Covariate":
        """Return a covariate that `json` stored."""
        return cls(
            name=stored["name"],
            role=stored["role"],
            categories=tuple(stored.get("categories", ())),
            number_format=stored.get("writing"),
        )

    def json(self) -> dict[str, Any]:
        """Return it as plain data, as a preprocessor stores it."""
        stored: dict[str, Any] = {"name": self.name, "role": self.role}
        stored |= {"categories": list(self.categories)} if self.categories else {}
        return stored | ({"writing": self.number_format} if self.number_format else {})

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels."""
        return tuple(f"{self.name}={value}" for value in self.categories) or (self.name,)

    def values(self, rows: Rows) -> tuple[np.ndarray, list[str]]:
        """Return the channels of rows (N, channels), NaN where a cell is empty; and notes about unknown values.

        Raises:
            KzooError: a cell of a column of numbers that is not a number.
        """
        if not self.categories:
            numbers = rows.numbers(self.name, self.number_format)
            if len(bad := unreadable_cells(rows[self.name], numbers)):
                raise KzooError(
                    f"{self.role.capitalize()} column {self.name!r} has {shown(rows[self.name][bad[0]])} in row "
                    f"{bad[0] + 1}, which is not a number. Correct it."
                )
            return numbers[:, None], []
        words = to_words(rows[self.name])
        values = np.stack([words == category for category in self.categories], axis=1).astype(
            np.float64
        )
        empty = ~are_filled(rows[self.name]) & ~(values == 1).any(axis=1)
        values[empty] = np.nan
        unknown = sorted({str(word) for word in words[~empty & ~(values == 1).any(axis=1)]})
        notes = [
            f"{self.role.capitalize()} column {self.name!r} has values that no training row has "
            f"({listed(map(repr, unknown), 5)}): they count as none of the others."
        ]
        return values, notes if unknown else []


def covariates_of(reader: Mapping[str, Any]) -> list[Covariate]:
    """Return the known and static columns of a stored preprocessor."""
    return [Covariate.of(stored) for stored in reader.get("covariates", ())]


def channel_names(covariates: Sequence[Covariate], calendar: Calendar | None) -> list[str]:
    """Return the names of the channels of covariates and of the calendar."""
    return [name for covariate in covariates for name in covariate.channels] + calendar_names(
        calendar
    )


def input_width(reader: Mapping[str, Any]) -> int:
    """Return the number of columns of a window that a stored preprocessor makes: the past, and two channels each."""
    columns = len(reader["columns"])
    if "covariates" not in reader:  # one series, or labelled series
        return columns
    return columns + 2 * len(channel_names(covariates_of(reader), Calendar.of(reader)))


# Times.


def step_numbers(calendar: Calendar, moments: Moments) -> np.ndarray:
    """Return the number of each step of a calendar since a fixed time, int64 (N,)."""
    every = calendar.every
    if calendar.step == "numbers":
        return np.round(np.asarray(moments.times, "float64") / every).astype(np.int64)
    if calendar.step == "seconds":
        return np.floor_divide(
            moments.times.astype("M8[us]").astype(np.int64), round(every * 1_000_000)
        )
    days = moments.wall.astype("M8[D]")
    if calendar.step == "months":
        return days.astype("M8[M]").astype(np.int64) // int(every)
    if calendar.step == "business days":
        week = calendar.week or "1111100"
        return np.busday_count(_EPOCH, days, weekmask=week).astype(np.int64) // int(every)
    return days.astype(np.int64) // int(every)


def _seasons(calendar: Calendar) -> list[tuple[str, float, int]]:
    """Return (name, steps, number of harmonics) of the seasons whose phase the network reads."""
    seasons = [
        (f"season of {steps} steps", float(steps), min(_HARMONICS, steps // 2))
        for steps in sorted(set(calendar.seasons.values()))
        if steps > 1
    ]
    if calendar.every == 1 and calendar.step in _YEAR:
        seasons.append(("year", _YEAR[calendar.step], _YEAR_HARMONICS))
    return seasons


def calendar_names(calendar: Calendar | None) -> list[str]:
    """Return the names of the channels of a calendar."""
    return (
        []
        if calendar is None
        else [
            f"{name}, {function} {k}"
            for name, _, harmonics in _seasons(calendar)
            for k in range(1, harmonics + 1)
            for function in ("sine", "cosine")
        ]
    )


def calendar_values(calendar: Calendar | None, numbers: np.ndarray) -> np.ndarray:
    """Return sine and cosine of the phase of step numbers (N,) in each season: (N, channels)."""
    if calendar is None:
        return np.empty((len(numbers), 0))
    columns = []
    for _, steps, harmonics in _seasons(calendar):
        phase = 2 * np.pi * np.mod(numbers, steps) / steps
        for k in range(1, harmonics + 1):
            columns += [np.sin(k * phase), np.cos(k * phase)]
    return np.stack(columns, axis=1) if columns else np.empty((len(numbers), 0))


class Channels:
    """Covariates of the rows of a panel (R, K) as float32: those of the user, and the calendar, computed on demand.

    Args:
        own: (R, channels) of known and static columns.
        calendar: the `Calendar`, or None.
        numbers: (R,) step numbers.
    """

    def __init__(self, own: np.ndarray, calendar: Calendar | None, numbers: np.ndarray) -> None:
        self.own = np.ascontiguousarray(own, np.float32)
        self.numbers = numbers
        self.different = np.unique(numbers)
        self.values = calendar_values(calendar, self.different).astype(np.float32)
        self.shape = len(self.own), self.own.shape[1] + self.values.shape[1]

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = np.searchsorted(self.different, self.numbers[rows])
        return np.concatenate([self.own[rows], self.values[places]], axis=-1)


class WindowRows:
    """The columns of windows (P, F + 2 K) of a large panel, computed when they are read: see `window_columns`.

    Args:
        values: (R, F) of the past.
        channels: the `Channels` (R, K).
        source: (P,) the row of the panel that each row is.
        ends: (P,) end of the series of each row.
        horizon: steps to forecast.
    """

    ndim = 2
    dtype = np.dtype("float32")

    def __init__(
        self,
        values: np.ndarray,
        channels: Channels,
        source: np.ndarray,
        ends: np.ndarray,
        horizon: int,
    ):
        self.values = values
        self.channels = channels
        self.source = source
        self.ends = ends
        self.horizon = horizon
        self.shape = len(source), values.shape[1] + 2 * channels.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        index, columns = index if isinstance(index, tuple) else (index, slice(None))
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        # in parts, so that the other columns take little memory
        if columns != slice(None) and rows.ndim == 1:
            parts = [
                self[rows[i : i + _ROWS_AT_ONCE]][:, columns]
                for i in range(0, len(rows), _ROWS_AT_ONCE)
            ]
            return np.concatenate(parts) if parts else self[rows][:, columns]
        now = self.source[rows]
        ahead = self.source[np.minimum(rows + self.horizon, self.ends[rows] - 1)]
        return np.concatenate([self.values[now], self.channels[now], self.channels[ahead]], axis=-1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def _as_text(times: np.ndarray) -> list[str]:
    return moments_as_text(
        times.astype("M8[us]").tolist() if times.dtype.kind == "M" else times.tolist()
    )


# Rows.


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The rows of many series, sorted by series and time.

    Args:
        names: (S,) the series.
        bounds: (S + 1,) rows of series s are `bounds[s]` to `bounds[s + 1]`.
        order: (R,) row numbers in the table.
        numbers: (R,) step numbers (see `step_numbers`).
        moments: the times, in this order.
        parts: (P + 1,) first rows of the parts of series between gaps that are not filled in; `bounds` by default.
    """

    names: list[str]
    bounds: np.ndarray
    order: np.ndarray
    numbers: np.ndarray
    moments: Moments
    parts: Any = None

    def with_missing_steps(self, calendar: Calendar, longest: int) -> "Panel":
        """Return the panel with a row for each step without one, whose row number in the table is -1.

        Args:
            calendar: its step.
            longest: number of missing rows from which a gap is not filled in.
        """
        if not len(self.gaps()):
            return self
        steps = Steps.of(self.numbers, self.bounds, longest)
        has_row = steps.since == 0
        return replace(
            self,
            bounds=np.append(steps.of_rows[self.bounds[:-1]], len(steps)),
            parts=steps.parts,
            order=np.where(has_row, self.order[steps.rows], -1),
            moments=steps.moments(calendar, self.moments),
            numbers=(self.numbers[steps.rows] + steps.since).astype(self.numbers.dtype),
        )

    @property
    def has_row(self) -> np.ndarray:
        """(R,) whether the table has a row for each step."""
        return self.order >= 0

    def of_rows(self, column: np.ndarray) -> np.ndarray:
        """Return a column (N,) or (N, K) of numbers of the table in order of the panel, NaN where it has no row."""
        values = column[self.order]
        if not self.has_row.all():
            values[~self.has_row] = np.nan
        return values

    def part_firsts(self, rows: np.ndarray) -> np.ndarray:
        """Return the first row of the part that each of some rows is in."""
        parts = self.bounds if self.parts is None else self.parts
        return parts[np.searchsorted(parts, rows, side="right") - 1]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> np.ndarray:
        """(S,) number of rows of each series."""
        return np.diff(self.bounds)

    @property
    def codes(self) -> np.ndarray:
        """(R,) index of the series of each row."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    @property
    def firsts(self) -> np.ndarray:
        """(R,) first row of the series of each row."""
        return np.repeat(self.bounds[:-1], self.sizes)

    def time(self, row: int) -> str:
        """Return the time of a row as text."""
        return _as_text(self.moments.wall[row : row + 1])[0]

    def gaps(self) -> np.ndarray:
        """Return the rows before which rows of the same series are missing."""
        jump = np.diff(self.numbers) != 1
        jump[self.bounds[1:-1] - 1] = False  # the next series
        return np.flatnonzero(jump) + 1


def series_names(
    rows: Rows, columns: Sequence[str], notes: list[str]
) -> tuple[np.ndarray, list[str]]:
    """Return the series of each row (N,), as the index of its name, and the names in order of the table.

    Args:
        rows: the table.
        columns: the id columns.
        notes: list that notes about ids that are nearly the same are appended to.

    Raises:
        KzooError: a row without an id.
    """
    codes: np.ndarray | None = None
    parts: list[tuple[str, ...]] = []
    for column in columns:
        own, words = _factorized(rows[column], column, notes)
        if own.min(initial=0) < 0:
            row = int(np.argmax(own < 0)) + 1
            raise KzooError(
                f"Row {row} has no {column!r}, which tells the series apart. Fill it in."
            )
        if codes is None:
            codes = own
            parts = [(word,) for word in words]
            continue
        both, codes = np.unique(codes.astype(np.int64) * len(words) + own, return_inverse=True)
        parts = [(*parts[code // len(words)], words[code % len(words)]) for code in both.tolist()]
    assert codes is not None
    codes = codes.reshape(-1)
    first = np.full(len(parts), len(codes))
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    # those that have rows
    order = np.argsort(first, kind="stable")[: int((first < len(codes)).sum())]
    rank = np.zeros(len(parts), np.int32)
    rank[order] = np.arange(len(order))
    names = [", ".join(parts[code]) for code in order.tolist()]
    lower: dict[str, str] = {}
    for name in names:
        if (other := lower.setdefault(name.lower(), name)) != name:
            notes.append(
                f"{other!r} and {name!r} are two series. If they are one, write its id in one way."
            )
            break
    return rank[codes], names


def _factorized(column: Any, name: str, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return the index of the id in each row of a column (N,), -1 for none, and the ids."""
    values = plain(column)
    if isinstance(values, Texts):
        texts = list(values.different)
        codes = values.codes
    elif values.dtype == object:
        places: dict[str, int] = {}
        words = [
            None if missing else str(value)
            for value, missing in zip(values, ~not_missing(values), strict=True)
        ]
        shortened = to_words(values)  # 3.0 is 3
        words = [
            word if word is None or word.strip() == short else short
            for word, short in zip(words, shortened, strict=True)
        ]
        codes = np.array(
            [-1 if word is None else places.setdefault(word, len(places)) for word in words],
            np.int64,
        )
        texts = list(places)
    else:
        present = not_missing(values)
        distinct, inverse = np.unique(values[present], return_inverse=True)
        codes = np.full(len(values), -1)
        codes[present] = inverse.reshape(-1)
        texts = [str(word) for word in to_words(distinct)]
    index: dict[str, int] = {}
    stripped = [category_word(text) for text in texts]
    of_text = np.array(
        [index.setdefault(word, len(index)) if word else -1 for word in stripped] + [-1], np.int32
    )
    codes = of_text[codes]  # the last one is for empty cells
    used = {text for text, code in zip(texts, of_text, strict=False) if code >= 0}
    if len(used) > len(index):
        twice = next(
            word
            for text, word in zip(texts, stripped, strict=True)
            if word and text != word and word in used
        )
        notes.append(
            f"Values of {name!r} that differ only in blanks around them, such as {twice!r}, are one series."
        )
    return codes, list(index)


def sorted_panel(
    codes: np.ndarray, names: list[str], moments: Moments, calendar: Calendar
) -> Panel:
    """Return the panel of rows in any order.

    Args:
        codes, names: see `series_names`.
        moments: the times of the rows.
        calendar: their step.

    Raises:
        KzooError: two rows of a series at the same step.
    """
    numbers = step_numbers(calendar, moments)
    if len(numbers) and numbers.min() > -(2**31) and numbers.max() < 2**31 - 2**20:
        numbers = numbers.astype(np.int32)
    order = np.lexsort((numbers, codes))
    order = order.astype(np.int32) if len(order) < 2**31 else order
    codes, numbers = codes[order], numbers[order]
    repeated = np.flatnonzero((np.diff(codes) == 0) & (np.diff(numbers) == 0))
    if len(repeated):
        row = repeated[0]
        pair = _as_text(moments.wall[order[row : row + 2]])
        at = (
            f"at {pair[0]}"
            if pair[0] == pair[1]
            else f"at {pair[0]} and {pair[1]}, within a step of {calendar.description}"
        )
        raise KzooError(
            f"Series {names[codes[row]]!r} has two rows {at} ({plural(len(repeated), 'such pair')}): a series has one "
            "row per step. Remove one of them, or name the columns that tell the series apart in series_id=."
        )
    starts = np.append(0, np.flatnonzero(np.diff(codes)) + 1) if len(codes) else np.empty(0, int)
    times = moments.times[order]
    wall = times if moments.wall is moments.times else moments.wall[order]
    return Panel(
        names=[names[code] for code in codes[starts]],
        bounds=np.append(starts, len(codes)),
        order=order,
        numbers=numbers,
        moments=Moments(times, wall, moments.zone),
    )


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


def window_columns(
    values: np.ndarray, channels: Channels, source: np.ndarray, ends: np.ndarray, horizon: int
) -> Any:
    """Return the columns of windows (P, F + 2 K): values, covariates, and covariates `horizon` rows later.

    At the end of a series, the last covariates are repeated. Those of a large panel are `WindowRows`.

    Args:
        values: (R, F) of the past.
        channels: the `Channels` (R, K).
        source: (P,) the row of the panel that each row is.
        ends: (P,) end of the series of each row.
        horizon: steps to forecast.
    """
    rows = WindowRows(values, channels, source, ends, horizon)
    return rows if 4 * rows.shape[0] * rows.shape[1] > _MOST_BYTES else rows[:]


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


def panel_moments(
    rows: Rows,
    column: str,
    notes: list[str],
    learned: str | None = None,
    zone_learned: Any = None,
    date_order: str | None = None,
):
    """Return the times of the rows of a panel, in order of the table, their format, and their zone.

    Args:
        rows: the table.
        column: name of the time column.
        notes: list that notes about an ambiguous format are appended to.
        learned: the format in training, if it is known.
        zone_learned: the zone of the training, for a note about another one; None for no note.
        date_order: see `kzoo.load_data`.

    Raises:
        KzooError: a row without a time.
    """
    time_format = time_format_of(column, rows[column], notes, learned, date_order)
    times, minutes, zone = times_and_zone(rows, column, time_format)
    require_times(rows, column, times)
    notes += zone_notes(column, zone_learned, minutes)
    if times.dtype.kind != "M" or not np.isfinite(minutes).all():
        return Moments(times, times), time_format, zone
    zone = format_offset(minutes[int(np.argmax(times))]) if not zone or "," in zone else zone
    return Moments(times, times + minutes.astype("m8[m]"), zone), time_format, zone


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelValues:
    """The values of a panel.

    Args:
        values: (R, F) of the columns of the past, targets first, missing ones filled.
        covariates: (R, K) `Channels` of the known and static columns and of the calendar; NaN where a cell is empty.
        observed: (R,) whether all targets are present.
        filled: (R, targets) whether each target was filled in.
        is_past: (R,) whether each row is at or before the last observed one of its series.
        targets: number of targets.
        notes: about missing values and unknown categories.
        empty_ahead: names of known columns without any value in the rows to forecast.
    """

    values: np.ndarray
    covariates: Channels
    observed: np.ndarray
    filled: np.ndarray
    is_past: np.ndarray
    targets: int
    notes: list[str]
    empty_ahead: tuple[str, ...] = ()


def panel_values(
    reader: Mapping[str, Any],
    rows: Rows,
    panel: Panel,
    unread: dict[str, Any],
    *,
    fill: bool = True,
) -> PanelValues:
    """Return the values of a panel as a stored preprocessor reads them.

    Args:
        reader: the preprocessor.
        rows: the table.
        panel: its `Panel`.
        unread: dict that gets name -> indices of unreadable cells.
        fill: whether empty cells of known and static columns get the last value before in their series.

    Raises:
        KzooError: a static column that changes within a series, or a series without any value of a known column or of
            a static column of numbers.
    """
    names = reader["columns"]
    formats = reader.get("writings") or {}
    raw = np.empty((len(panel.numbers), len(names)))
    for i, name in enumerate(names):
        numbers = rows.numbers(name, formats.get(name))
        unread[name] = unreadable_cells(rows[name], numbers)
        raw[:, i] = panel.of_rows(numbers)
    del numbers
    targets = reader["outputs"]
    notes = list[str]()
    calendar = Calendar.of(reader)
    present = ~np.isnan(raw)
    season = calendar and calendar.season
    fill_targets(raw[:, :targets], panel.bounds if panel.parts is None else panel.parts, season)
    values, _ = filled(raw, panel)
    observed = np.asarray(present[:, :targets].all(axis=1))
    past = _past_rows(observed, panel)
    known_rows = past & panel.has_row
    if missing := int((~present[known_rows]).sum()):
        was = "was" if missing == 1 else "were"
        notes.append(f"{plural(missing, 'missing value')} {was} filled in. {fill_rule(season)}")
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
        covariates=Channels(own, calendar, panel.numbers),
        observed=observed,
        filled=~present[:, :targets],
        is_past=past,
        targets=targets,
        notes=notes,
        empty_ahead=tuple(empty_ahead),
    )


def _without_values(column, panel):
    """Return the series in which a column (R, channels) is empty."""
    present = ~np.isnan(column).any(axis=1)
    return np.flatnonzero(~np.logical_or.reduceat(present, panel.bounds[:-1]))


def _check_without(covariate, names):
    """Return a note about series in which a static column of texts is empty.

    Raises:
        KzooError: the column is another one.
    """
    count = "" if len(names) == 1 else f" ({len(names)} such series)"
    line = f"{covariate.role.capitalize()} column {covariate.name!r} has no value for series {names[0]!r}{count}"
    if covariate.role == "known" or not covariate.categories:
        raise KzooError(f"{line}. Fill it in, or leave the series or the column out.")
    return [f"{line}: it counts as none of the values of the others."]


def _past_rows(observed, panel):
    """Return whether each row is at or before the last observed one of its series."""
    if observed.all():
        return observed
    return np.arange(len(observed)) <= np.repeat(_last_observed(observed, panel), panel.sizes)


def _last_observed(observed, panel):
    """Return the last observed row of each series (S,), -1 for none."""
    return np.maximum.reduceat(np.where(observed, np.arange(len(observed)), -1), panel.bounds[:-1])


def _static(column, panel):
    """Return a static column whose empty cells have the value of their series."""
    values, present = filled(column, panel)
    return np.where(present.any() | np.isfinite(values), values, np.nan).astype(np.float64)


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


# New rows.


def read_panel(reader: Mapping[str, Any], rows: Rows, notes: list[str]):
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
    panel, calendar = panel_of(reader, rows, notes, longest=max(steps, LONGEST_GAP))
    unread: dict[str, Any] = {}
    content = panel_values(reader, rows, panel, unread, fill=False)
    last = _last_observed(content.observed, panel)
    if (last < 0).any():
        nothing = [panel.names[i] for i in np.flatnonzero(last < 0)]
        targets = listed(map(repr, reader["columns"][: reader["outputs"]]), separator=" or ")
        raise KzooError(
            f"Series {listed_series(nothing)} {'has' if len(nothing) == 1 else 'have'} no row with {targets}. Add the "
            "rows before the forecast, or remove the series."
        )
    _check_ends(reader, rows, panel, last, unread)
    notes += [
        *content.notes,
        *unread_notes(reader["columns"], rows, unread),
        *_end_notes(panel, last, steps, horizon, calendar),
    ]
    window_firsts, after_gap = _window_firsts(panel, content.filled, last, steps)
    covariates, future = _with_future(reader, panel, content, last, calendar)
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


def _window_firsts(panel, filled, last, steps) -> tuple[np.ndarray, np.ndarray]:
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


def panel_of(
    reader: Mapping[str, Any], rows: Rows, notes: list[str], *, longest: int
) -> tuple[Panel, Calendar]:
    """Return the panel of new rows, with the steps that have none, and the calendar of the training.

    Args:
        reader, rows, notes: see `read_panel`.
        longest: see `Panel.with_missing_steps`.

    Raises:
        KzooError: a missing column, a row without an id or a time, times of another type, or another step.
    """
    calendar = Calendar.of(reader)
    column = reader["time"]
    if calendar is None:
        raise KzooError("The step of the series is not stored with this model: train it again.")
    require(rows, [*reader["series_id"], column, *reader["columns"]], "the panel")
    require(rows, [covariate.name for covariate in covariates_of(reader)], "the panel")
    codes, names = series_names(rows, reader["series_id"], notes)
    zone = (reader.get("zones") or {}).get(column)
    moments, _, _ = panel_moments(rows, column, notes, reader.get("times", ""), zone)
    if (moments.times.dtype.kind == "M") == (calendar.step == "numbers"):
        types = ("dates", "numbers") if calendar.step == "numbers" else ("numbers", "dates")
        raise KzooError(
            f"Times of {column!r} are {types[0]}, such as {shown(rows[column][0])}, but were {types[1]} in training. "
            "Write them as in training."
        )
    panel = sorted_panel(codes, names, moments, calendar)
    check_steps(panel, calendar, "the training rows were")
    # of a run of an earlier version that counts rows across gaps as consecutive
    if not reader.get("uneven"):
        panel = panel.with_missing_steps(calendar, longest)
    return panel, calendar


def check_steps(panel: Panel, calendar: Calendar, others: str) -> None:
    """Refuse a panel in which most intervals of a series are not the step of the calendar.

    Args:
        panel, calendar: the panel, and its calendar.
        others: the rows that have this step, with a verb, for the message.

    Raises:
        KzooError: there is such a series.
    """
    if len(panel.numbers) < 2:
        return
    single = np.append(np.diff(panel.numbers) == 1, False)
    single[panel.bounds[1:] - 1] = False
    shares = np.add.reduceat(single, panel.bounds[:-1]) / np.maximum(panel.sizes - 1, 1)
    other = np.flatnonzero((shares < 0.5) & (panel.sizes >= _MIN_ROWS))
    if len(other):
        series = panel.names[other[0]]
        rows = slice(panel.bounds[other[0]], panel.bounds[other[0] + 1])
        own = learn_calendar(panel.moments.part(rows), "")
        step = "not at regular times" if own is None else f"{own.description} apart"
        raise KzooError(
            f"Rows of series {series!r} are {step}, but {others} {calendar.description} apart "
            f"({len(other)} such series). Bring all series to one step, or remove it."
        )


def gap_notes(
    panel: Panel, calendar: Calendar, first: np.ndarray | None = None, last: Any = None
) -> list[str]:
    """Return notes about missing rows, with the series and the times of the longest gap; [] without any.

    Args:
        panel: the panel.
        calendar: its step.
        first, last: (S,) first and last row of each series that count; all by default.
    """
    notes = []
    missing = _between(panel, np.flatnonzero(~panel.has_row), first, last)
    if len(missing):
        starts = np.flatnonzero(np.diff(missing, prepend=-2) != 1)
        lengths = np.diff(starts, append=len(missing))
        longest = missing[starts[lengths.argmax()]]
        count = len(missing)
        name = panel.names[panel.codes[longest]]
        notes.append(
            f"{plural(count, 'row')} {'is' if count == 1 else 'are'} missing in "
            f"{len(np.unique(panel.codes[missing]))} of {len(panel)} series, most in a row in {name!r} between "
            f"{panel.time(longest - 1)} and {panel.time(longest + lengths.max())}. {fill_rule(calendar.season)}"
        )
    gaps = _between(panel, panel.gaps(), first, last)
    if len(gaps):
        row = gaps[np.argmax(panel.numbers[gaps] - panel.numbers[gaps - 1])]
        notes.append(
            f"Rows are missing in {plural(len(gaps), 'gap')} too long to be filled in, the longest in "
            f"{panel.names[panel.codes[row]]!r} between {panel.time(row - 1)} and {panel.time(row)}. No window crosses "
            "such a gap."
        )
    return notes


def _between(panel, rows, first, last):
    """Return those of some rows that are after the first and up to the last row of their series (S,)."""
    if first is None or not len(rows):
        return rows
    codes = panel.codes[rows]
    return rows[(rows > first[codes]) & (rows <= last[codes])]


def _check_ends(reader, rows, panel, last, unread) -> None:
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


def _end_notes(panel, last, steps, horizon, calendar) -> list[str]:
    """Return notes about gaps among the last rows, series that end before the others, and rows after the forecast."""
    notes = gap_notes(panel, calendar, np.maximum(last - steps + 1, panel.bounds[:-1]), last)
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


def _with_future(reader, panel, content, last, calendar):
    """Return the covariates (R, K), empty cells of the past filled, and those of the steps to forecast (S, horizon, K).

    Raises:
        KzooError: a known column is empty in a step to forecast.
    """
    horizon = reader["horizon"]
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


def times_ahead(reader, panel, windows, steps):
    """Return the times of the next steps of each series, and of its window, given its (first row, last row) (S,)."""
    calendar = Calendar.of(reader)
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
                calendar.next_times(moments, steps),
                [times[0]] * (reader["steps"] - len(times)) + times,
            )
        ahead.append(known[key][0])
        history.append(known[key][1])
    return ahead, history


def listed_series(names: Sequence[str]) -> str:
    """Return the names of some series for a message."""
    return listed(map(repr, names), MOST)


def future_rows(reader: Mapping[str, Any], rows: Rows) -> dict[str, list[Any]]:
    """Return the rows of the steps to forecast, name -> cells: ids, times and static values; the others are empty.

    Args:
        reader: the preprocessor.
        rows: the table of the past; rows after the last one with all targets are left out.

    Raises:
        KzooError: the model has no series ids; and as `read_panel`.
    """
    if not reader.get("series_id"):
        raise KzooError(
            "The rows to forecast are those of a table of many series, and this model has one series."
        )
    without_known = dict(reader) | {
        "covariates": [stored for stored in reader["covariates"] if stored["role"] == "static"]
    }
    _, panel, windows = read_panel(without_known, rows, [])
    times, _ = times_ahead(reader, panel, windows, reader["horizon"])
    horizon = reader["horizon"]
    source = panel.order[windows[1]]
    static = [covariate.name for covariate in covariates_of(reader) if covariate.role == "static"]
    columns: dict[str, list[Any]] = {
        name: np.repeat(np.asarray(rows[name], object)[source], horizon).tolist()
        for name in reader["series_id"]
    }
    columns[reader["time"]] = _as_written(
        [moment for series in times for moment in series], reader.get("times")
    )
    columns |= {
        name: np.repeat(np.asarray(rows[name], object)[source], horizon).tolist() for name in static
    }
    empty = [c.name for c in covariates_of(reader) if c.role == "known"] + list(reader["columns"])
    return columns | {
        name: [None] * len(columns[reader["time"]]) for name in empty if name not in columns
    }


def _as_written(times, time_format):
    """Return times as the time column writes them."""
    if time_format in ("YYYYMMDD", "YYYYMM"):
        return [
            int(time.strftime("%Y%m%d" if time_format == "YYYYMMDD" else "%Y%m")) for time in times
        ]
    return moments_as_text(times)


def example_rows(reader: Mapping[str, Any], x: np.ndarray) -> list[dict[str, Any]]:
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
    written = _as_written(
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
