"""Panels: a table of many series in rows, told apart by id columns. Imports only NumPy.

The rows are sorted by series and time. A panel is cut into windows, none of which crosses the border of two series. A
single series is a panel of one (see `kzoo.inference.kinds.series.one_series`). Besides the past of the columns, windows
of a panel have covariates (see `kzoo.inference.kinds.series.covariates`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from kzoo.inference.kinds.series.calendar import Calendar, learn_calendar
from kzoo.inference.kinds.series.covariates import covariates_of
from kzoo.inference.kinds.series.steps import Steps, fill_rule
from kzoo.inference.kinds.series.time_formats import (
    DAY_FIRST,
    require_times,
    time_format_of,
    times_and_zone,
)
from kzoo.inference.kinds.series.times import Moments
from kzoo.inference.kinds.series.written_times import WrittenTimes, written_times
from kzoo.inference.tables.raw import MOST, Rows, require
from kzoo.inference.tables.values import Cells, Texts, category_word, not_missing, plain, to_words
from kzoo.inference.tables.zones import zone_notes
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.formatting import moments as moments_as_text

_MIN_ROWS = 4  # of a series whose step is compared with that of the panel
NO_MOMENTS = Moments(np.empty(0), np.empty(0))
_EPOCH = np.datetime64("1970-01-01", "D")


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The rows of many series, sorted by series and time.

    Args:
        names: (S,) the series.
        bounds: (S + 1,) rows of series s are `bounds[s]` to `bounds[s + 1]`.
        order: (R,) row numbers in the table.
        numbers: (R,) step numbers (see `step_numbers`).
        moments: the times, in this order; empty if they are not known.
        calendar: the step of the rows; None if it is not known.
        parts: (P + 1,) first rows of the parts of series between gaps that are not filled in, and the number of rows;
            `bounds` by default.
        jumps: rows before which some are missing that are not filled in, because one series has no regular step.
        fill: from how many seasons targets are filled in (see `fill_targets`).
        ids: of new rows: id column -> its cell (S,) of each series.
        written: of new rows: how the cells of the time column are written, if they have a format.
    """

    is_padded: ClassVar[bool] = True  # whether the first rows of short series are repeated

    names: list[str]
    bounds: np.ndarray
    order: np.ndarray
    numbers: np.ndarray
    moments: Moments = NO_MOMENTS
    calendar: Calendar | None = None
    parts: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    jumps: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    fill: str = ""
    ids: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    written: WrittenTimes | None = None

    def __post_init__(self) -> None:
        """Set the parts to whole series by default."""
        if not len(self.parts):
            object.__setattr__(self, "parts", self.bounds)

    def with_missing_steps(self, longest: int) -> "Panel":
        """Return the panel with a row for each step without one, whose row number in the table is -1.

        Args:
            longest: number of missing rows from which a gap is not filled in.
        """
        if not len(self.gaps()):
            return self
        assert self.calendar is not None
        steps = Steps.of(self.numbers, self.bounds, longest)
        has_row = steps.since == 0
        return replace(
            self,
            bounds=np.append(steps.of_rows[self.bounds[:-1]], len(steps)),
            parts=steps.parts,
            order=np.where(has_row, self.order[steps.rows], -1),
            moments=steps.moments(self.calendar, self.moments),
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
        return self.parts[np.searchsorted(self.parts, rows, side="right") - 1]

    def last_observed(self, observed: np.ndarray) -> np.ndarray:
        """Return the last row of each series (S,) that is observed (R,), -1 for none: the future is after it."""
        rows = np.where(observed, np.arange(len(observed)), -1)
        return np.maximum.reduceat(rows, self.bounds[:-1])

    def past(self, first: int, last: int) -> Moments:
        """Return the times of the rows of a series that decide the zone of its forecast."""
        return self.moments.part(slice(first, last + 1))

    @property
    def season(self) -> int | None:
        """Steps of the season that targets are filled in from, or None."""
        return None if self.calendar is None else self.calendar.season

    @property
    def fill_rule(self) -> str:
        """How missing values are filled in, as a sentence."""
        return fill_rule(self.season, self.fill, covariates=self.is_padded)

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

    def write_times(self, times: Sequence[Any]) -> list[Any]:
        """Return times as the cells of the time column are written."""
        return moments_as_text(times) if self.written is None else self.written.write(times)

    def gaps(self) -> np.ndarray:
        """Return the rows before which rows of the same series are missing."""
        jump = np.diff(self.numbers) != 1
        jump[self.bounds[1:-1] - 1] = False  # the next series
        return np.flatnonzero(jump) + 1

    def gap_notes(
        self, first: np.ndarray | None = None, last: np.ndarray | None = None
    ) -> list[str]:
        """Return notes about missing rows, with the series and the times of the longest gap; [] without any.

        Args:
            first, last: (S,) first and last row of each series that count; all by default.
        """
        notes = []
        missing = self._between(np.flatnonzero(~self.has_row), first, last)
        if len(missing):
            starts = np.flatnonzero(np.diff(missing, prepend=-2) != 1)
            lengths = np.diff(starts, append=len(missing))
            longest = missing[starts[lengths.argmax()]]
            count = len(missing)
            name = self.names[self.codes[longest]]
            notes.append(
                f"{plural(count, 'row')} {'is' if count == 1 else 'are'} missing in "
                f"{len(np.unique(self.codes[missing]))} of {len(self)} series, most in a row in {name!r} between "
                f"{self.time(longest - 1)} and {self.time(longest + lengths.max())}. {self.fill_rule}"
            )
        gaps = self._between(self.gaps(), first, last)
        if len(gaps):
            row = gaps[np.argmax(self.numbers[gaps] - self.numbers[gaps - 1])]
            notes.append(
                f"Rows are missing in {plural(len(gaps), 'gap')} too long to be filled in, the longest in "
                f"{self.names[self.codes[row]]!r} between {self.time(row - 1)} and {self.time(row)}. No window crosses "
                "such a gap."
            )
        return notes

    def _between(
        self, rows: np.ndarray, first: np.ndarray | None, last: np.ndarray | None
    ) -> np.ndarray:
        """Return those of some rows that are after the first and up to the last row of their series (S,)."""
        if first is None or last is None or not len(rows):
            return rows
        codes = self.codes[rows]
        return rows[(rows > first[codes]) & (rows <= last[codes])]


def _as_text(times: np.ndarray) -> list[str]:
    return moments_as_text(
        times.astype("M8[us]").tolist() if times.dtype.kind == "M" else times.tolist()
    )


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


def _factorized(column: Cells, name: str, notes: list[str]) -> tuple[np.ndarray, list[str]]:
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
        calendar=calendar,
    )


def panel_moments(
    rows: Rows,
    column: str,
    notes: list[str],
    learned: str | None = None,
    zone_learned: str | None = None,
    date_order: str | None = None,
) -> tuple[Moments, str | None, str]:
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
    moments = Moments.of(times, minutes, zone)
    return moments, time_format, moments.zone or zone


def panel_of(reader: Preprocessor, rows: Rows, notes: list[str], *, longest: int) -> Panel:
    """Return the panel of new rows, with the steps that have none.

    Args:
        reader: the preprocessor.
        rows: the table.
        notes: list that notes are appended to.
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
    moments, time_format, _ = panel_moments(rows, column, notes, reader.get("times", ""), zone)
    if (moments.times.dtype.kind == "M") == (calendar.step == "numbers"):
        types = ("dates", "numbers") if calendar.step == "numbers" else ("numbers", "dates")
        raise KzooError(
            f"Times of {column!r} are {types[0]}, such as {shown(rows[column][0])}, but were {types[1]} in training. "
            "Write them as in training."
        )
    panel = replace(sorted_panel(codes, names, moments, calendar), fill=reader.get("fill") or "")
    check_steps(panel, "the training rows were")
    last = panel.order[panel.bounds[1:] - 1]
    panel = replace(
        panel,
        ids={
            name: np.asarray(plain(rows[name])[last], object).tolist()
            for name in reader["series_id"]
        },
        written=written_times(
            rows[column],
            moments.wall,
            has_zone=bool(moments.zone),
            day_first=time_format == DAY_FIRST,
        ),
    )
    # of a run of an earlier version that counts rows across gaps as consecutive
    return panel if reader.get("uneven") else panel.with_missing_steps(longest)


def check_steps(panel: Panel, others: str) -> None:
    """Refuse a panel in which most intervals of a series are not the step of its calendar.

    Args:
        panel: the panel.
        others: the rows that have this step, with a verb, for the message.

    Raises:
        KzooError: there is such a series.
    """
    if len(panel.numbers) < 2 or panel.calendar is None:
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
            f"Rows of series {series!r} are {step}, but {others} {panel.calendar.description} apart "
            f"({len(other)} such series). Bring all series to one step, or remove it."
        )


def listed_series(names: Sequence[str]) -> str:
    """Return the names of some series for a message."""
    return listed(map(repr, names), MOST)
