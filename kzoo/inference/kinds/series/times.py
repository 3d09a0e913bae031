"""Times of the rows of a series: their step, gaps, repeats, and daylight saving time.

Imports only NumPy and the standard library: the runtime of exported models checks new rows, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from kzoo.inference.tables.zones import format_offset
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural

# share of a step by which intervals may differ from it when its unit is chosen
_UNIT_TOLERANCE = 0.01
_MIN_GAP_STEPS = 1.5  # intervals above this are gaps
_MAX_LISTED = 20  # gaps, repeats and clock changes
_MAX_HOLIDAYS = 7  # consecutive working days that may be missing without being a gap
# share of the average rows per weekday; weekdays with fewer rows are days off
_MIN_WORKDAY_SHARE = 0.1
_SECONDS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}

# Changes to and from daylight saving time: month, which of its Sundays (-1 is the last), and the local hour that is
# skipped or repeated. Other regions have the dates of one of these, or their changes count as gaps and repeats.
_DST_RULES = (
    ("Central Europe", (3, -1, 2), (10, -1, 2)),
    ("Western Europe", (3, -1, 1), (10, -1, 1)),
    ("Eastern Europe", (3, -1, 3), (10, -1, 3)),
    ("North America", (3, 2, 2), (11, 1, 1)),
    ("Australia", (10, 1, 2), (4, 1, 2)),
    ("New Zealand", (9, -1, 2), (4, 1, 2)),
)
_HOUR = np.timedelta64(3600, "s")


@dataclass(frozen=True)
class Step:
    """The usual interval between the rows of a series.

    Args:
        count: number of units.
        unit: "seconds", "months", "working days", or "" for a time column of numbers.
        week: working days of the week, "1" or "0" for each from Monday.
    """

    count: float = 1.0
    unit: str = ""
    week: str = "1111111"

    @classmethod
    def of(cls, times: np.ndarray) -> "Step":
        """Return the step that most rows have.

        Args:
            times: (N,) sorted times, at least two.
        """
        steps = np.diff(times)
        if times.dtype.kind != "M":
            return cls(float(np.median(steps)))
        candidates = [cls(float(np.median(steps / np.timedelta64(1, "s"))), "seconds")]
        if (days := candidates[0].count / _SECONDS["day"]) >= 27:
            months = np.median(np.diff(times.astype("M8[M]").astype(int)))
            candidates.append(cls(float(max(months, 1)), "months"))
        elif days == 1 and (week := working_days(times.astype("M8[D]"))):
            candidates.append(cls(1.0, "working days", week))
        return min(
            candidates,
            key=lambda step: int((np.abs(step.intervals(times) - 1) > _UNIT_TOLERANCE).sum()),
        )

    def intervals(self, times: np.ndarray) -> np.ndarray:
        """Return the number of steps from each row to the next (N - 1,)."""
        if self.unit == "months":
            return np.diff(times.astype("M8[M]").astype(int)) / self.count
        if self.unit == "working days":
            days = times.astype("M8[D]")
            return np.busday_count(days[:-1], days[1:], weekmask=self.week) / self.count
        steps = np.diff(times)
        steps = steps / np.timedelta64(1, "s") if self.unit else steps
        return steps / self.count if self.count else (steps > 0) * 2.0

    @property
    def seconds(self) -> float | None:
        """Length of the step in seconds; None if it varies or is unknown."""
        return self.count if self.unit == "seconds" else None

    def duration(self, count: float) -> str:
        """Return the duration of a number of steps in words: "41 hours", "3 months"."""
        if self.unit == "seconds":
            return format_duration(self.count * count)
        if self.unit == "months":
            years, months = divmod(round(self.count * count), 12)
            return (
                plural(years, "year")
                if years and not months
                else plural(round(self.count * count), "month")
            )
        return plural(round(count), "day") if self.unit else f"{self.count * count:.12g}"

    def __str__(self) -> str:
        return week_in_words(self.week) if self.unit == "working days" else self.duration(1)


MONDAY_TO_FRIDAY = "1111100"


def working_days(days: np.ndarray) -> str:
    """Return the days of the week that have rows, "1" or "0" for each from Monday; "" if all have.

    Args:
        days: (N,) datetime64[D].
    """
    counts = np.bincount((days.astype(int) + 3) % 7, minlength=7)
    week = "".join("01"[int(count > _MIN_WORKDAY_SHARE * counts.mean())] for count in counts)
    return week if "0" in week else ""


def week_in_words(week: str) -> str:
    """Return a step of one working day in words: "1 business day" if these are Monday to Friday."""
    if week == MONDAY_TO_FRIDAY:
        return "1 business day"
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return (
        f"1 day ({' '.join(name for name, flag in zip(names, week, strict=True) if flag == '1')})"
    )


def format_duration(seconds: float) -> str:
    """Return seconds as text, in the largest unit that divides them, or else the largest with at least two of it."""
    for unit, length in _SECONDS.items():
        if seconds >= length and not seconds % length:
            return plural(int(seconds // length), unit)
    unit = next(
        (unit for unit, length in _SECONDS.items() if unit != "week" and seconds >= 2 * length),
        "second",
    )
    return f"{seconds / _SECONDS[unit]:.3g} {unit}s"


@dataclass(frozen=True)
class Moments:
    """The values of a time column.

    Args:
        times: (N,) datetime64[us] in UTC, or local times if no zone is known; or numbers.
        wall: (N,) the same as local times.
        zone: "Europe/Berlin", "+01:00" (of the last row, if rows differ), or empty.
    """

    times: np.ndarray
    wall: np.ndarray
    zone: str = ""

    @classmethod
    def of(cls, times: np.ndarray, offsets: np.ndarray, zone: str) -> "Moments":
        """Return times in UTC as moments.

        Args:
            times: (N,) of a time column.
            offsets: (N,) UTC offsets in minutes, NaN if missing.
            zone: of the column, or its UTC offsets.
        """
        if times.dtype.kind != "M" or not len(offsets) or not np.isfinite(offsets).all():
            return cls(times, times)
        zone = format_offset(offsets[int(np.argmax(times))]) if not zone or "," in zone else zone
        return cls(times, times + offsets.astype("m8[m]"), zone)

    def part(self, rows: np.ndarray | slice) -> "Moments":
        """Return those of some rows."""
        return Moments(self.times[rows], self.wall[rows], self.zone)


@dataclass(frozen=True, eq=False, kw_only=True)
class Times:
    """The times of the rows of a series.

    Args:
        column: name of the time column.
        timestamps: (N,) times in the order of the table: datetime64, in UTC or without time zone, or numbers.
        standard: (N,) the same in standard time, without daylight saving time.
        dst_region: region of the daylight saving time that was removed, if there are no offsets; "" if none was.
        offsets: (N,) UTC offsets in minutes as written in the table, NaN if missing.
        time_format: format of the column (see `kzoo.inference.kinds.series.time_formats`).
        zone: time zone of the column (see `kzoo.inference.tables.zones`).
    """

    column: str
    timestamps: np.ndarray
    standard: np.ndarray
    dst_region: str = ""
    time_format: str | None = None
    offsets: np.ndarray = field(default_factory=lambda: np.empty(0))
    zone: str = ""

    @classmethod
    def of(
        cls,
        column: str,
        timestamps: np.ndarray,
        offsets: np.ndarray | None = None,
        time_format: str | None = None,
        zone: str = "",
    ) -> "Times":
        """Return the times of rows, converted to standard time.

        With daylight saving time an hour is skipped in spring and repeated in autumn. If the rules of a region explain
        gaps and repeats, the times are assumed to be local times there.
        """
        offsets = np.empty(0) if offsets is None else offsets
        times = cls(
            column=column,
            timestamps=timestamps,
            standard=timestamps,
            offsets=offsets,
            time_format=time_format,
            zone=zone,
        )
        if timestamps.dtype.kind != "M" or len(timestamps) < 3 or np.isfinite(times.offsets).any():
            return times
        irregularities = times.irregularity_count
        if (
            not irregularities
            or times.step.unit != "seconds"
            or times.step.count >= _SECONDS["day"]
        ):
            return times
        candidates = [
            replace(times, standard=_to_standard_time(timestamps, *changes), dst_region=name)
            for name, *changes in _DST_RULES
        ]
        best = min(candidates, key=lambda candidate: candidate.irregularity_count)
        return best if best.irregularity_count < irregularities else times

    def take(self, indices: np.ndarray | slice) -> "Times":
        """Return the times of the rows with these indices."""
        offsets = self.offsets[indices] if len(self.offsets) else self.offsets
        return replace(
            self,
            timestamps=self.timestamps[indices],
            standard=self.standard[indices],
            offsets=offsets,
        )

    @property
    def moments(self) -> Moments:
        """The times in UTC and as local times."""
        return Moments.of(self.timestamps, self.offsets, self.zone)

    @property
    def wall(self) -> np.ndarray:
        """(N,) local times as written in the table, if it states UTC offsets."""
        return (
            self.timestamps
            if self.timestamps.dtype.kind != "M" or not len(self.offsets)
            else self.timestamps + _as_minutes(self.offsets)
        )

    @cached_property
    def order(self) -> np.ndarray:
        """(N,) indices that sort the rows by time."""
        return np.argsort(self.standard, kind="stable")

    def format_time(self, time: Any) -> str:
        """Return a time as text: the date, with the time of day if rows have different ones."""
        if self.timestamps.dtype.kind != "M":
            return f"{time:.15g}"
        day, _, time_of_day = str(time.astype("M8[s]")).partition("T")
        zone = " UTC" if np.isfinite(self.offsets).any() else ""
        return (
            day
            if self._are_days
            else f"{day} {time_of_day[:5] if time_of_day.endswith(':00') else time_of_day}{zone}"
        )

    def at(self, row: int) -> str:
        """Return the time of a row, counted in order of time, as text."""
        return self.format_time(self.timestamps[self.order[row]])

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last time as text."""
        first, last = self.timestamps[self.order[[0, -1]]]
        return self.format_time(first), self.format_time(last)

    @cached_property
    def _are_days(self) -> bool:
        """Whether all times are at midnight."""
        return bool((self.timestamps == self.timestamps.astype("M8[D]")).all())

    @property
    def is_sorted(self) -> bool:
        """Whether the rows are in order of time."""
        return bool((self.standard[1:] >= self.standard[:-1]).all())

    @cached_property
    def step(self) -> Step:
        """The usual interval between the rows."""
        return Step.of(self.standard[self.order]) if len(self.standard) > 1 else Step()

    @cached_property
    def intervals(self) -> np.ndarray:
        """(N - 1,) number of steps from each row to the next, in order of time."""
        return (
            self.step.intervals(self.standard[self.order])
            if len(self.standard) > 1
            else np.empty(0)
        )

    @cached_property
    def gaps(self) -> np.ndarray:
        """Indices, in order of time, of the rows before which rows are missing."""
        longest_allowed = 1 + _MAX_HOLIDAYS if self.step.unit == "working days" else 0
        return (
            np.flatnonzero(
                (self.intervals > max(_MIN_GAP_STEPS, longest_allowed)) & ~self.is_repeat
            )
            + 1
        )

    @cached_property
    def uneven_share(self) -> float:
        """Share of intervals that are more than half a step off; holidays do not count."""
        off = np.abs(self.intervals - 1) > 0.5
        if self.step.unit == "working days":
            off &= (self.intervals > 1 + _MAX_HOLIDAYS) | self.is_repeat
        return float(off.mean()) if len(off) else 0.0

    @cached_property
    def is_repeat(self) -> np.ndarray:
        """(N - 1,) whether a row has the same time as the row before it, in order of time."""
        times = self.standard[self.order]
        return times[1:] == times[:-1]

    @property
    def irregularity_count(self) -> int:
        """Number of gaps and repeats."""
        return len(self.gaps) + int(self.is_repeat.sum())

    def json(self) -> JsonObject:
        """Return the facts about the times as JSON data, for the checks and the data summary.

        Returns:
            `column`, `rows`, `step` (in words), `seconds` (its length, None if it varies), `first`, `last`; `disorder`,
            number of rows that are earlier than the row before; `uneven`, share of intervals more than half a step off;
            `longest`, the longest interval (in words); `repeats`, number of rows with the time of the row before, and
            `repeated`, their times; `holes`, number of gaps, `missing`, number of missing rows, and `worst`, the
            longest gaps: `after` and `before` (times of the rows around the gap), `lasts` (in words), `missing` (rows);
            `clock`, `forward` and `back`: region or offsets of the clock, and when it was changed; `offsets`, whether
            times have UTC offsets. Lists have at most 20 entries; times are texts.
        """
        timestamps = self.timestamps[self.order]
        gaps = sorted(self.gaps.tolist(), key=lambda row: -self.intervals[row - 1])
        clock, forward, back = self._clock_changes()
        return {
            "column": self.column,
            "rows": len(timestamps),
            "step": str(self.step),
            "seconds": self.step.seconds,
            "first": self.ends[0],
            "last": self.ends[1],
            "disorder": int((self.standard[1:] < self.standard[:-1]).sum()),
            "uneven": self.uneven_share,
            "longest": self.step.duration(self.intervals.max()) if len(self.intervals) else "",
            "repeats": int(self.is_repeat.sum()),
            "repeated": [
                self.format_time(time)
                for time in np.unique(timestamps[1:][self.is_repeat])[:_MAX_LISTED]
            ],
            "holes": len(gaps),
            "missing": sum(self._missing_before(row) for row in gaps),
            "worst": [
                {
                    "after": self.format_time(timestamps[row - 1]),
                    "before": self.format_time(timestamps[row]),
                    "lasts": self.step.duration(self.intervals[row - 1]),
                    "missing": self._missing_before(row),
                }
                for row in gaps[:_MAX_LISTED]
            ],
            "clock": clock,
            "offsets": bool(np.isfinite(self.offsets).any()),
            "forward": [self.format_time(time) for time in forward],
            "back": [self.format_time(time) for time in back],
        }

    def _missing_before(self, row: int) -> int:
        """Return the number of rows missing before a row."""
        return max(round(float(self.intervals[row - 1])) - 1, 1)

    def _clock_changes(
        self,
    ) -> tuple[str, Sequence[np.datetime64] | np.ndarray, Sequence[np.datetime64] | np.ndarray]:
        """Return (region or offsets, times of changes forward, times of changes back) within the series."""
        timestamps = self.timestamps[self.order]
        if np.isfinite(self.offsets).any():
            offsets = self.offsets[self.order]
            changes = np.diff(offsets)
            return (
                " and ".join(
                    _format_offset(offset) for offset in np.unique(offsets[np.isfinite(offsets)])
                ),
                timestamps[1:][changes > 0][:_MAX_LISTED],
                timestamps[1:][changes < 0][:_MAX_LISTED],
            )
        if not self.dst_region:
            return "", (), ()
        changes, forward = _dst_changes(
            timestamps, *next(rules for name, *rules in _DST_RULES if name == self.dst_region)
        )
        inside = (changes > timestamps[0]) & (changes <= timestamps[-1])
        return (
            self.dst_region,
            changes[inside & forward][:_MAX_LISTED],
            changes[inside & ~forward][:_MAX_LISTED],
        )


def _as_minutes(offsets: np.ndarray) -> np.ndarray:
    """Return UTC offsets (N,) as timedelta64[m], 0 if missing."""
    return np.nan_to_num(offsets).astype("m8[m]")


def _format_offset(minutes: float) -> str:
    """Return a UTC offset in minutes as text such as "+01:00"."""
    hours, remainder = divmod(abs(int(minutes)), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{remainder:02d}"


def _to_standard_time(
    timestamps: np.ndarray, forward: tuple[int, int, int], back: tuple[int, int, int]
) -> np.ndarray:
    """Return local times (N,) in standard time, given the rules of the changes forward and back."""
    changes, to_summer = _dst_changes(timestamps, forward, back)
    starts = np.where(to_summer, changes, changes + _HOUR)  # the repeated hour is first summer time
    previous_change = np.searchsorted(starts, timestamps, side="right") - 1
    is_summer = to_summer[np.maximum(previous_change, 0)] & (previous_change >= 0)
    descending = (timestamps[1:] < timestamps[:-1]).mean() > 0.5  # newest row first
    order = np.argsort(timestamps[::-1] if descending else timestamps, kind="stable")
    order = len(timestamps) - 1 - order if descending else order
    # Of two equal times in the repeated hour, the second is standard time.
    is_repeat = np.zeros(len(timestamps), bool)
    is_repeat[order[1:]] = timestamps[order[1:]] == timestamps[order[:-1]]
    in_repeated_hour = np.isin(timestamps.astype("M8[h]"), changes[~to_summer].astype("M8[h]"))
    return timestamps - _HOUR * (is_summer & ~(is_repeat & in_repeated_hour)).astype(int)


def _dst_changes(
    timestamps: np.ndarray, forward: tuple[int, int, int], back: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted times of the clock changes in the years of `timestamps`, and whether each is forward (bool)."""
    years = np.unique(timestamps.astype("M8[Y]").astype(int)).tolist()
    # a year begins with the clock of the year before
    years = sorted({*years, *(year - 1 for year in years)})
    changes = sorted(
        (_nth_sunday(year, *rule), rule is forward) for year in years for rule in (forward, back)
    )
    return np.array([time for time, _ in changes], "M8[us]"), np.array(
        [is_forward for _, is_forward in changes]
    )


def _nth_sunday(year: int, month: int, n: int, hour: int) -> np.datetime64:
    """Return an hour of the n-th Sunday (-1: the last) of a month of a year (1970 is 0)."""
    start = np.datetime64(year * 12 + month - (n > 0), "M").astype(
        "M8[D]"
    )  # this month, or the next one to count back from
    sunday = np.busday_offset(start, n - (n > 0), roll="forward", weekmask="0000001")
    return sunday.astype("M8[us]") + hour * _HOUR
