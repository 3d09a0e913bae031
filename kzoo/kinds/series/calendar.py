"""The step of a series in the calendar: learned from its times, stored with a run, continued by its forecasts.

A step is a number of seconds (an hour, 15 minutes), of days, of business days (Monday to Friday, or the days that the
rows of another week are of), of months (by the day
of the month, which is cut off where a month is shorter, so that 31 is the end of each; or its first or last business
day), or of a column of numbers. Seconds go on along the time that passes, the others along the wall clock. NumPy only.
"""

import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from kzoo.kinds.series.time_formats import times_and_zone
from kzoo.kinds.series.times import MONDAY_TO_FRIDAY, week_in_words, working_days
from kzoo.sources.tables.raw import rows_of
from kzoo.sources.tables.values import not_missing
from kzoo.sources.tables.zones import offset_of, offset_written, zone_named
from kzoo.utils.errors import KzooError

_STEPS = ("seconds", "days", "business days", "months", "numbers")
_EVEN = 0.9  # share of the steps that must be alike: the others are gaps
_JITTER = 0.25  # by which share of it a step of less than a day may vary
_FEW = 3  # times, below which there is no telling
_ENOUGH = 2_000  # to read dates takes time
_DAY = 86_400
_WEEK = re.compile("(?=.*1)[01]{7}")
_LIKE = 0.3  # of a step: how far one of new rows may be off and count as one


@dataclass(frozen=True)
class Moments:
    """A time column as it was read.

    Args:
        at: (N,) datetime64[us] in UTC, or on the wall clock where no zone is said; or numbers.
        wall: (N,) the same on the wall clock.
        zone: "Europe/Berlin", "+01:00" (that of the last row, where it is not the same in all), or empty.
    """

    at: np.ndarray
    wall: np.ndarray
    zone: str = ""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """The step of a series.

    Args:
        column: its time column.
        step: what is counted, one of `_STEPS`.
        every: how many of them make a step.
        day: of the month, for months: 31 is the end of each.
        business: for months: "first" or "last" where the day is moved on, or back, to a business day.
        zone: as `Moments` has it.
        week: of business days: which days of the week, "1" or "0" for each from Monday; empty for Monday to Friday.
    """

    column: str
    step: str
    every: float
    day: int = 1
    business: str = ""
    zone: str = ""
    week: str = ""

    @classmethod
    def of(cls, reader) -> "Calendar | None":
        """Return that of a stored reader; None where it has none, or none that can be true."""
        said = reader.get("calendar")
        try:
            calendar = cls(**said)
            whole = calendar.step in ("seconds", "numbers") or calendar.every == int(calendar.every)
            sound = 0 < calendar.every < 1e12 and whole and calendar.step in _STEPS and 1 <= calendar.day <= 31
            sound = sound and (calendar.week == "" or _WEEK.fullmatch(calendar.week) is not None)
            return calendar if sound and isinstance(calendar.zone, str) and isinstance(calendar.column, str) else None
        except (TypeError, ValueError, OverflowError):
            return None

    def json(self) -> dict:
        """Return it as it is stored, without what is not said."""
        said = {name: value for name, value in asdict(self).items() if value != ""}
        return said if self.step == "months" else {name: value for name, value in said.items() if name != "day"}

    @property
    def words(self) -> str:
        """The step in words: "1 hour", "15 minutes", "1 business day", "1 day (Mon Tue Wed Thu Sun)"."""
        if self.step == "business days" and self.every == 1:
            return week_in_words(self._week)
        every, unit = self.every, {"numbers": "", "months": "month", "business days": "business day"}.get(self.step)
        for step, size, name in (
            ("seconds", 3600, "hour"), ("seconds", 60, "minute"), ("seconds", 1, "second"), ("days", 7, "week"),
            ("days", 1, "day"), ("months", 12, "year"), ("months", 3, "quarter"),
        ):  # fmt: skip
            if step == self.step and every % size == 0:
                every, unit = every / size, name
                break
        else:
            unit = "second" if unit is None else unit
        return f"{every:.12g} {unit}{'' if every == 1 or not unit else 's'}".rstrip()

    @property
    def seasons(self) -> dict[str, int]:
        """Name of each season that may repeat itself -> its length in steps."""
        every = self.every
        if self.step == "months":
            unit = {1: "month", 3: "quarter"}.get(int(every), "time")
            return {f"same {unit} last year": int(12 // every)} if 12 % every == 0 and every < 12 else {}
        if self.step == "business days":
            return {"same weekday last week": self._week.count("1")} if every == 1 else {}
        if self.step == "days":
            names = {1: ("same weekday last week", 7), 7: ("same week last year", 52)}
            return dict([names[int(every)]]) if every in names else {}
        if self.step == "seconds" and _DAY % every == 0 and every < _DAY:
            unit, day = "hour" if every == 3600 else "time", int(_DAY // every)
            return {f"same {unit} yesterday": day, f"same {unit} last week": 7 * day}
        return {}

    @property
    def _week(self) -> str:
        return self.week or MONDAY_TO_FRIDAY

    @cached_property
    def _zone(self):
        return zone_named(self.zone) if self.zone else None

    def fits(self, moments: Moments) -> np.ndarray:
        """Say of each step of a series, from one time to the next other one, whether it is one of these (N,)."""
        at, first = np.unique(moments.at, return_index=True)
        wall = moments.wall[first]
        if self.step == "numbers":
            steps = np.diff(at)
        elif self.step == "business days":
            days = wall.astype("datetime64[D]")
            steps = np.busday_count(days[:-1], days[1:], weekmask=self._week)
        elif self.step == "months":
            steps = np.diff(wall.astype("datetime64[M]").astype(int))
        else:
            steps = np.diff(at) / np.timedelta64(1, "s") / (_DAY if self.step == "days" else 1)
        return np.abs(steps / self.every - 1) <= _LIKE

    def after(self, moments: Moments, count: int) -> list:
        """Return the times of the next steps: `datetime`s in the zone, or numbers.

        Args:
            moments: times that were seen, of which the latest counts.
            count: how many.

        Raises:
            KzooError: they lie beyond the years that have a date.
        """
        latest = int(np.argmax(moments.at))
        if self.step == "numbers":
            return [float(moments.at[latest] + self.every * (i + 1)) for i in range(count)]
        zone = self._clock(moments)
        try:
            wall = self._on_the_wall(moments, latest, zone)
            if self.step != "seconds":
                return [day.replace(tzinfo=zone) for day in self._days_after(wall, count)]
            passed = [timedelta(seconds=self.every * (i + 1)) for i in range(count)]
            if zone is None:
                return [wall + some for some in passed]
            began = wall.replace(tzinfo=zone, fold=0) if not moments.zone else _python(moments.at[latest], UTC)
            return [(began.astimezone(UTC) + some).astimezone(zone) for some in passed]
        except (OverflowError, ValueError):
            raise KzooError(f"A step of {self.words} leads out of the years that have a date.") from None

    def shown(self, moments: Moments, count: int) -> list:
        """Return the latest times that were seen, as `after` writes them."""
        latest = np.argsort(moments.at, kind="stable")[-count:]
        if self.step == "numbers":
            return [float(moments.at[place]) for place in latest]
        zone = self._clock(moments)
        return [self._on_the_wall(moments, place, zone).replace(tzinfo=zone) for place in latest]

    def _clock(self, moments):
        """Return the zone by whose clock steps are counted and written; None where none is known.

        It is that of the training. An offset that its last row had may be that of the other half of the year, though:
        by it the first day of a month is the last of the one before. Where more of the rows keep the step on a clock of
        their own, it is theirs.
        """
        if self._zone is None or not moments.zone:
            return self._zone or (zone_named(moments.zone) if moments.zone else None)
        offset = offset_of(self.zone)
        if offset is None:
            return self._zone
        there, own = (self._keeps(wall).mean() for wall in (moments.at + np.timedelta64(offset), moments.wall))
        return zone_named(moments.zone) if own > there else self._zone

    def _keeps(self, wall):
        """Say of times on a clock (N,) whether they are days that the step leads to, at the usual time of the day."""
        days = wall.astype("datetime64[D]")
        hours, counts = np.unique(wall - days, return_counts=True)
        usual = wall - days == hours[counts.argmax()]
        if self.step == "months":
            return usual & (days == day_of(days.astype("datetime64[M]"), self.day, self.business))
        if self.step == "business days":
            return usual & np.is_busday(days, weekmask=self._week)
        return usual & (self.step == "days")

    def _on_the_wall(self, moments, place, zone):
        """Return the latest time as the clocks of the zone show it, without a zone."""
        if zone is None or not moments.zone:
            return _python(moments.wall[place])
        return _python(moments.at[place], UTC).astimezone(zone).replace(tzinfo=None)

    def _days_after(self, wall, count):
        hour = wall - datetime(wall.year, wall.month, wall.day)
        every, today = int(self.every), np.datetime64(wall.date(), "D")
        if self.step == "days":
            days = today + every * np.arange(1, count + 1)
        elif self.step == "business days":
            ahead = every * np.arange(1, count + 1)
            days = np.busday_offset(today, ahead, roll="backward", weekmask=self._week)
        else:
            months = today.astype("datetime64[M]") + every * np.arange(1, count + 1)
            days = day_of(months, self.day, self.business)
        return [_python(day.astype("datetime64[us]")) + hour for day in days]


def _python(moment, zone=None):
    found = moment.astype("datetime64[us]").item()
    if not isinstance(found, datetime):  # NumPy has more years than Python
        raise OverflowError
    return found.replace(tzinfo=zone)


def day_of(months, day, business=""):
    """Return the day (N,) of each month, its last where it is shorter."""
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(int)
    days = first + np.minimum(day, length) - 1
    roll = {"first": "forward", "last": "backward"}.get(business)
    return np.busday_offset(days, 0, roll=roll) if roll else days


def moments_of(raw, column, way, told=None) -> Moments | None:
    """Read the time column of a table of any kind; None where a row has no time.

    Args:
        raw: a DataFrame, or what `rows_of` takes.
        column: its name.
        way: how it is written (see `kzoo.kinds.series.time_formats`).
        told: its times, where they have been read.
    """
    if hasattr(raw, "columns") and hasattr(raw, "iloc"):
        raw = raw.iloc[:, [[str(name).strip() for name in raw.columns].index(column)]]
    at, minutes, zone = times_and_zone(rows_of(raw), column, way)
    at = at if told is None else told
    if not len(at) or not not_missing(at).all():
        return None
    if at.dtype.kind != "M" or not np.isfinite(minutes).all():
        return Moments(at, at)
    zone = offset_written(minutes[int(np.argmax(at))]) if not zone or "," in zone else zone
    return Moments(at, at + minutes.astype("m8[m]"), zone)


def calendar_of(frame, times, rows) -> Calendar | None:
    """Find the step that the training rows of a DataFrame keep, in the first of them where these tell it.

    Args:
        times: its `Times`.
        rows: how many are trained on, the earliest.
    """
    column = times.column
    few = learn(moments_of(frame.iloc[: min(rows, _ENOUGH)], column, times.way), column)
    return few or learn(moments_of(frame, column, times.way), column, rows=rows)


def learn(moments: Moments | None, column, *, rows=None) -> Calendar | None:
    """Find the step of a series; None where there is none that most of its times keep.

    Args:
        moments: its times, in any order.
        column: the name of the time column.
        rows: how many of them, the earliest, to look at; all by default.
    """
    if moments is None or len(moments.at) < _FEW:
        return None
    first = np.argsort(moments.at, kind="stable")[:rows]
    moments = Moments(moments.at[first], moments.wall[first], moments.zone)
    if moments.at.dtype.kind != "M":
        every = _usual(np.diff(np.unique(moments.at)), 1e-6)
        return None if every is None else Calendar(column=column, step="numbers", every=every)
    wall = np.unique(moments.wall)
    days, seconds = wall.astype("datetime64[D]"), np.diff(np.unique(moments.at)) / np.timedelta64(1, "s")
    found = None
    if len(np.unique(wall - days)) == 1 and len(days) >= _FEW:  # always at the same time of day
        found = _of_months(days) or _of_days(days)
    elif len(seconds):
        every = _usual(seconds, _JITTER if np.median(seconds) < _DAY else 1e-6)
        found = None if every is None else dict(step="seconds", every=every)
    return None if found is None else Calendar(column=column, zone=moments.zone, **found)


def _usual(steps, jitter):
    """Return the usual step, if nearly all are like it."""
    if len(steps) < _FEW - 1:
        return None
    usual = float(np.median(steps))
    even = (np.abs(steps - usual) <= jitter * usual).mean() >= _EVEN
    return usual if even and usual > 0 and math.isfinite(usual) else None


def _of_months(days):
    months = days.astype("datetime64[M]")
    every = np.diff(months.astype(int))
    if not (every > 0).all() or (usual := _usual(every, 0)) is None:
        return None
    last = int((days - months.astype("datetime64[D]")).astype(int).max()) + 1
    for day, business in ((last, ""), (31, "last"), (1, "first")):
        if (days == day_of(months, day, business)).mean() >= _EVEN:
            return dict(step="months", every=usual, day=day, business=business)
    return None


def _of_days(days):
    steps, week = np.diff(days).astype(int), working_days(days)
    daily = len(steps) and np.median(steps) == 1 and (steps > 1).any()  # else no days off were seen
    if week and daily and _usual(np.busday_count(days[:-1], days[1:], weekmask=week), 0) == 1:
        return dict(step="business days", every=1.0, week="" if week == MONDAY_TO_FRIDAY else week)
    every = _usual(steps, 0)
    return None if every is None else dict(step="days", every=every)
