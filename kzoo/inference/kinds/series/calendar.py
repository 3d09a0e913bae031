"""The step of a series in the calendar: learned from its times, stored with a run, and continued by forecasts.

A step is a number of seconds (an hour, 15 minutes), of days, of business days (Monday to Friday, or other days of the
week that have rows), of months (on a day of the month, or the last day of shorter months, so that 31 is the end of
each; or on its first or last business day), or a difference of numbers. Seconds count elapsed time, the others local
time. Imports only NumPy.
"""

import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

import numpy as np

from kzoo.inference.kinds.series.times import (
    MONDAY_TO_FRIDAY,
    Moments,
    Times,
    week_in_words,
    working_days,
)
from kzoo.inference.tables.zones import offset_of, zone_named
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

_STEPS = ("seconds", "days", "business days", "months", "numbers")
_MIN_REGULAR_SHARE = 0.9  # of the intervals; the others are gaps
# of the steps, from which fewer intervals are enough, and the share of these, if the others are gaps of whole steps
_MIN_ROWS_SHARE, _MIN_SINGLE_SHARE = 0.75, 0.6
_JITTER = 0.25  # share of a step of less than a day by which it may vary
_MIN_TIMES = 3  # fewer show no step
_MAX_FIRST_ROWS = 2_000  # of the table, tried first
_DAY = 86_400
_WEEK = re.compile("(?=.*1)[01]{7}")
STEP_TOLERANCE = 0.3  # share of a step by which rows may be off


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """The step of a series.

    Args:
        column: name of the time column.
        step: unit, one of `_STEPS`.
        every: number of units per step.
        day: for months: day of the month; 31 is the end of each.
        business: for months: "first" or "last" if the day is moved forward or backward to a business day.
        zone: time zone, see `Moments`.
        week: for business days: days of the week, "1" or "0" for each from Monday; empty for Monday to Friday.
    """

    column: str
    step: str
    every: float
    day: int = 1
    business: str = ""
    zone: str = ""
    week: str = ""

    @classmethod
    def of(cls, reader: Preprocessor) -> "Calendar | None":
        """Return the calendar of a stored preprocessor; None if it has none, or an invalid one."""
        stored: Any = reader.get("calendar")
        try:
            calendar = cls(**stored)
            is_whole = calendar.step in ("seconds", "numbers") or calendar.every == int(
                calendar.every
            )
            is_valid = (
                0 < calendar.every < 1e12
                and is_whole
                and calendar.step in _STEPS
                and 1 <= calendar.day <= 31
            )
            is_valid = is_valid and (
                calendar.week == "" or _WEEK.fullmatch(calendar.week) is not None
            )
            return (
                calendar
                if is_valid and isinstance(calendar.zone, str) and isinstance(calendar.column, str)
                else None
            )
        except (TypeError, ValueError, OverflowError):
            return None

    def json(self) -> JsonObject:
        """Return the calendar as it is stored, without empty fields."""
        fields = {name: value for name, value in asdict(self).items() if value != ""}
        return (
            fields
            if self.step == "months"
            else {name: value for name, value in fields.items() if name != "day"}
        )

    @property
    def description(self) -> str:
        """The step in words: "1 hour", "15 minutes", "1 business day", "1 day (Mon Tue Wed Thu Sun)"."""
        if self.step == "business days" and self.every == 1:
            return week_in_words(self._week)
        every = self.every
        unit = {"numbers": "", "months": "month", "business days": "business day"}.get(self.step)
        for step, size, name in (
            ("seconds", 3600, "hour"),
            ("seconds", 60, "minute"),
            ("seconds", 1, "second"),
            ("days", 7, "week"),
            ("days", 1, "day"),
            ("months", 12, "year"),
            ("months", 3, "quarter"),
        ):
            if step == self.step and every % size == 0:
                every = every / size
                unit = name
                break
        else:
            unit = "second" if unit is None else unit
        return f"{every:.12g} {unit}{'' if every == 1 or not unit else 's'}".rstrip()

    @property
    def seasons(self) -> dict[str, int]:
        """Name of each possible season -> its length in steps."""
        every = self.every
        if self.step == "months":
            unit = {1: "month", 3: "quarter"}.get(int(every), "time")
            return (
                {f"same {unit} last year": int(12 // every)}
                if 12 % every == 0 and every < 12
                else {}
            )
        if self.step == "business days":
            return {"same weekday last week": self._week.count("1")} if every == 1 else {}
        if self.step == "days":
            names = {1: ("same weekday last week", 7), 7: ("same week last year", 52)}
            return dict([names[int(every)]]) if every in names else {}
        if self.step == "seconds" and _DAY % every == 0 and every < _DAY:
            unit = "hour" if every == 3600 else "time"
            day = int(_DAY // every)
            return {f"same {unit} yesterday": day, f"same {unit} last week": 7 * day}
        return {}

    @property
    def season(self) -> int | None:
        """Length of the shortest season in steps; None without any."""
        return min(self.seasons.values(), default=None)

    @property
    def _week(self) -> str:
        """The days of the week with business days, "1" or "0" for each from Monday."""
        return self.week or MONDAY_TO_FRIDAY

    @cached_property
    def _zone(self) -> tzinfo | None:
        """The `tzinfo` of the training; None if no zone is known."""
        return zone_named(self.zone) if self.zone else None

    def fits(self, times: np.ndarray) -> bool:
        """Return whether times are of the type of the calendar: dates or numbers."""
        return (times.dtype.kind == "M") != (self.step == "numbers")

    def intervals(self, moments: Moments) -> np.ndarray:
        """Return the number of steps from each row to the next (N - 1,), in order of time."""
        if self.step == "numbers":
            steps = np.diff(moments.times)
        elif self.step == "business days":
            days = moments.wall.astype("datetime64[D]")
            steps = np.busday_count(days[:-1], days[1:], weekmask=self._week)
        elif self.step == "months":
            steps = np.diff(moments.wall.astype("datetime64[M]").astype(int))
        else:
            steps = (
                np.diff(moments.times)
                / np.timedelta64(1, "s")
                / (_DAY if self.step == "days" else 1)
            )
        return steps / self.every

    def matching_steps(self, moments: Moments) -> np.ndarray:
        """Return whether each interval between distinct times of a series matches the step (distinct times - 1,)."""
        _, first_rows = np.unique(moments.times, return_index=True)
        return np.abs(self.intervals(moments.part(first_rows)) - 1) <= STEP_TOLERANCE

    def later(self, wall: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return the local times (N,) some steps after others, without changes of the clocks; or numbers."""
        if self.step in ("numbers", "seconds"):
            size = steps * self.every
            return wall + (size if self.step == "numbers" else (size * 1e6).astype("m8[us]"))
        days = wall.astype("datetime64[D]")
        steps = steps.astype(int) * int(self.every)
        if self.step == "days":
            return wall + steps.astype("m8[D]")
        if self.step == "business days":
            later = np.busday_offset(days, steps, roll="backward", weekmask=self._week)
        else:
            later = day_of_month(days.astype("datetime64[M]") + steps, self.day, self.business)
        return later + (wall - days)

    def next_times(self, moments: Moments, count: int) -> list[Any]:
        """Return the times of the next steps: `datetime`s in the zone, or numbers.

        Args:
            moments: the times of the series; steps continue from the latest.
            count: number of steps.

        Raises:
            KzooError: the times are beyond the years that have a date.
        """
        latest = int(np.argmax(moments.times))
        if self.step == "numbers":
            return [float(moments.times[latest] + self.every * (i + 1)) for i in range(count)]
        zone = self._zone_to_count_in(moments)
        try:
            wall = self._wall_time(moments, latest, zone)
            if self.step != "seconds":
                return [day.replace(tzinfo=zone) for day in self._next_days(wall, count)]
            # Seconds are counted in UTC, so that daylight saving time does not shift them.
            elapsed = [timedelta(seconds=self.every * (i + 1)) for i in range(count)]
            if zone is None:
                return [wall + duration for duration in elapsed]
            start = (
                wall.replace(tzinfo=zone, fold=0)
                if not moments.zone
                else _to_datetime(moments.times[latest], UTC)
            )
            return [(start.astimezone(UTC) + duration).astimezone(zone) for duration in elapsed]
        except (OverflowError, ValueError):
            raise KzooError(
                f"A step of {self.description} leads beyond the supported years (1 to 9999). Check the dates in "
                f"{self.column!r}, and the step of the training."
            ) from None

    def last_times(self, moments: Moments, count: int) -> list[Any]:
        """Return the latest `count` times of a series, in the format of `next_times`."""
        latest = np.argsort(moments.times, kind="stable")[-count:]
        if self.step == "numbers":
            return [float(moments.times[row]) for row in latest]
        zone = self._zone_to_count_in(moments)
        return [self._wall_time(moments, row, zone).replace(tzinfo=zone) for row in latest]

    def _zone_to_count_in(self, moments: Moments) -> tzinfo | None:
        """Return the zone in which steps are counted and times are written; None if none is known.

        This is the zone of the training, with one exception. If that is a UTC offset, it may be the offset of the other
        half of the year, in which the first day of a month would be the last of the month before. If more rows match
        the step in their own local time, their zone is used.
        """
        if self._zone is None or not moments.zone:
            return self._zone or (zone_named(moments.zone) if moments.zone else None)
        offset = offset_of(self.zone)
        if offset is None:
            return self._zone
        training_share, own_share = (
            self._matches(wall).mean()
            for wall in (moments.times + np.timedelta64(offset), moments.wall)
        )
        return zone_named(moments.zone) if own_share > training_share else self._zone

    def _matches(self, wall: np.ndarray) -> np.ndarray:
        """Return whether local times (N,) are on days of this calendar and at the most frequent time of day."""
        days = wall.astype("datetime64[D]")
        hours, counts = np.unique(wall - days, return_counts=True)
        at_usual_time = wall - days == hours[counts.argmax()]
        if self.step == "months":
            return at_usual_time & (
                days == day_of_month(days.astype("datetime64[M]"), self.day, self.business)
            )
        if self.step == "business days":
            return at_usual_time & np.is_busday(days, weekmask=self._week)
        return at_usual_time & (self.step == "days")

    def _wall_time(self, moments: Moments, row: int, zone: tzinfo | None) -> datetime:
        """Return the time of a row in the local time of a zone, as a `datetime` without zone."""
        if zone is None or not moments.zone:
            return _to_datetime(moments.wall[row])
        return _to_datetime(moments.times[row], UTC).astimezone(zone).replace(tzinfo=None)

    def _next_days(self, wall: datetime, count: int) -> list[datetime]:
        """Return the days of the next steps after a local time, as `datetime`s at the same time of day."""
        time_of_day = wall - datetime(wall.year, wall.month, wall.day)
        every = int(self.every)
        today = np.datetime64(wall.date(), "D")
        if self.step == "days":
            days = today + every * np.arange(1, count + 1)
        elif self.step == "business days":
            steps = every * np.arange(1, count + 1)
            days = np.busday_offset(today, steps, roll="backward", weekmask=self._week)
        else:
            months = today.astype("datetime64[M]") + every * np.arange(1, count + 1)
            days = day_of_month(months, self.day, self.business)
        return [_to_datetime(day.astype("datetime64[us]")) + time_of_day for day in days]


def _to_datetime(time: np.datetime64, zone: tzinfo | None = None) -> datetime:
    """Return a datetime64 as `datetime` in a zone."""
    converted = time.astype("datetime64[us]").item()
    if not isinstance(converted, datetime):  # NumPy supports more years than Python
        raise OverflowError
    return converted.replace(tzinfo=zone)


def day_of_month(months: np.ndarray, day: int, business: str = "") -> np.ndarray:
    """Return a day of each month (N,), or its last day if it is shorter, moved to a business day if requested."""
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(int)
    days = first + np.minimum(day, length) - 1
    roll: Any = {"first": "forward", "last": "backward"}.get(business)
    return np.busday_offset(days, 0, roll=roll) if roll else days


def calendar_of(times: Times, rows: int, *, gaps: bool = True) -> Calendar | None:
    """Return the calendar of the earliest rows of a series, learned on the first of the table if these show a step.

    Args:
        times: of the rows.
        rows: number of rows to learn from.
        gaps: see `learn_calendar`.
    """
    first = times.take(slice(min(rows, _MAX_FIRST_ROWS)))
    calendar = learn_calendar(first.moments, times.column, gaps=gaps)
    return calendar or learn_calendar(times.moments, times.column, rows=rows, gaps=gaps)


def learn_calendar(
    moments: Moments, column: str, *, rows: int | None = None, gaps: bool = True
) -> Calendar | None:
    """Return the calendar of a series; None if most of its intervals are not one step.

    Args:
        moments: its times, in any order.
        column: name of the time column.
        rows: number of rows to learn from, the earliest; all by default.
        gaps: whether rows may be missing here and there (see `_regular_step`); earlier versions did not know them.
    """
    if len(moments.times) < _MIN_TIMES:
        return None
    order = np.argsort(moments.times, kind="stable")[:rows]
    moments = moments.part(order)
    if moments.times.dtype.kind != "M":
        every = _regular_step(np.diff(np.unique(moments.times)), 1e-6, gaps)
        return None if every is None else Calendar(column=column, step="numbers", every=every)
    wall = np.unique(moments.wall)
    days = wall.astype("datetime64[D]")
    seconds = np.diff(np.unique(moments.times)) / np.timedelta64(1, "s")
    fields = None
    if len(np.unique(wall - days)) == 1 and len(days) >= _MIN_TIMES:  # all at the same time of day
        fields = _monthly_step(days, gaps) or _daily_step(days, gaps)
    elif len(seconds):
        every = _regular_step(seconds, _JITTER if np.median(seconds) < _DAY else 1e-6, gaps)
        fields = None if every is None else dict(step="seconds", every=every)
    return None if fields is None else Calendar(column=column, zone=moments.zone, **fields)


def _regular_step(steps: np.ndarray, jitter: float, gaps: bool) -> float | None:
    """Return the median of intervals, if nearly all are within `jitter` (a share of it); None otherwise.

    Of rows that are missing here and there, each is an interval of two steps: fewer intervals are enough if nearly all
    are whole numbers of steps, and three quarters of the steps have a row. Without `gaps`, they are not.
    """
    if len(steps) < _MIN_TIMES - 1:
        return None
    step = float(np.median(steps))
    if step <= 0 or not math.isfinite(step):
        return None
    share = (np.abs(steps - step) <= jitter * step).mean()
    if share >= _MIN_REGULAR_SHARE:
        return step
    if not gaps:
        return None
    counts = np.maximum(np.round(steps / step), 1)
    is_whole = np.abs(steps - counts * step) <= jitter * step
    has_gaps = share >= _MIN_SINGLE_SHARE and is_whole.mean() >= _MIN_REGULAR_SHARE
    return step if has_gaps and len(steps) >= _MIN_ROWS_SHARE * counts.sum() else None


def _monthly_step(days: np.ndarray, gaps: bool) -> JsonObject | None:
    """Return the fields of a calendar of months for sorted days (N,); None if they do not have one."""
    months = days.astype("datetime64[M]")
    steps = np.diff(months.astype(int))
    if not (steps > 0).all() or (step := _regular_step(steps, 0, gaps)) is None:
        return None
    last = int((days - months.astype("datetime64[D]")).astype(int).max()) + 1
    for day, business in ((last, ""), (31, "last"), (1, "first")):
        if (days == day_of_month(months, day, business)).mean() >= _MIN_REGULAR_SHARE:
            return dict(step="months", every=step, day=day, business=business)
    return None


def _daily_step(days: np.ndarray, gaps: bool) -> JsonObject | None:
    """Return the fields of a calendar of days or business days for sorted days (N,); None if they do not have one."""
    steps = np.diff(days).astype(int)
    week = working_days(days)
    # otherwise rows show no days off
    has_days_off = len(steps) and np.median(steps) == 1 and (steps > 1).any()
    if (
        week
        and has_days_off
        and _regular_step(np.busday_count(days[:-1], days[1:], weekmask=week), 0, gaps) == 1
    ):
        return dict(step="business days", every=1.0, week="" if week == MONDAY_TO_FRIDAY else week)
    every = _regular_step(steps, 0, gaps)
    return None if every is None else dict(step="days", every=every)
