"""When the rows of a series are: how far apart, and where time stumbles: holes, repeats, a clock put forward or back.

NumPy and the standard library alone: a model's runtime asks too, whether new rows follow one another.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from kzoo.utils.formatting import plural

_EVEN = 0.01  # of a step: what counts as the same distance when a unit is chosen
_HOLE = 1.5  # steps from one row to the next above which rows are missing between them
_MOST = 20  # holes and repeats that are named
_HOLIDAYS = 7  # days of work in a row that may be missing from a calendar of them
_RARE = 0.1  # of the rows that an average day of the week has: below that, it is no day of work
_SECONDS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}

# Where clocks are put forward and back: month and which of its Sundays (-1 is the last), and the hour that is left out
# or comes twice. Other zones keep to the dates of one of these, or their changes are taken for holes and repeats.
_CLOCKS = (
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
    """How far apart the rows of a series usually are.

    Args:
        count: how many of the unit.
        unit: "seconds", "months", "days of work" or "" for a time column of numbers.
        week: of days of work: which ones, "1" or "0" for each from Monday.
    """

    count: float = 1.0
    unit: str = ""
    week: str = "1111111"

    @classmethod
    def of(cls, when) -> "Step":
        """Find the step that most rows keep.

        Args:
            when: (N,) times in order, at least two.
        """
        steps = np.diff(when)
        if when.dtype.kind != "M":
            return cls(float(np.median(steps)))
        candidates = [cls(float(np.median(steps / np.timedelta64(1, "s"))), "seconds")]
        if (days := candidates[0].count / _SECONDS["day"]) >= 27:
            months = np.median(np.diff(when.astype("M8[M]").astype(int)))
            candidates.append(cls(float(max(months, 1)), "months"))
        elif days == 1 and (week := working_days(when.astype("M8[D]"))):
            candidates.append(cls(1.0, "days of work", week))
        return min(candidates, key=lambda step: int((np.abs(step.between(when) - 1) > _EVEN).sum()))

    def between(self, when) -> np.ndarray:
        """Return how many steps each row is behind the one before it, (N - 1,)."""
        if self.unit == "months":
            return np.diff(when.astype("M8[M]").astype(int)) / self.count
        if self.unit == "days of work":
            days = when.astype("M8[D]")
            return np.busday_count(days[:-1], days[1:], weekmask=self.week) / self.count
        steps = np.diff(when)
        steps = steps / np.timedelta64(1, "s") if self.unit else steps
        return steps / self.count if self.count else (steps > 0) * 2.0

    @property
    def seconds(self) -> float | None:
        """Its length in seconds; None where that differs, or is not known."""
        return self.count if self.unit == "seconds" else None

    def times(self, count) -> str:
        """Say how long so many steps are: "41 hours", "3 months"."""
        if self.unit == "seconds":
            return span(self.count * count)
        if self.unit == "months":
            years, months = divmod(round(self.count * count), 12)
            return plural(years, "year") if years and not months else plural(round(self.count * count), "month")
        return plural(round(count), "day") if self.unit else f"{self.count * count:.12g}"

    def __str__(self):
        return week_in_words(self.week) if self.unit == "days of work" else self.times(1)


MONDAY_TO_FRIDAY = "1111100"


def working_days(days) -> str:
    """Return the days of the week that rows are of, "1" or "0" for each from Monday; "" where they are of all.

    Args:
        days: (N,) datetime64[D].
    """
    rows = np.bincount((days.astype(int) + 3) % 7, minlength=7)
    week = "".join("01"[int(count > _RARE * rows.mean())] for count in rows)
    return week if "0" in week else ""


def week_in_words(week) -> str:
    """Return a step of a day of some days of the week, in words: "1 business day" from Monday to Friday."""
    if week == MONDAY_TO_FRIDAY:
        return "1 business day"
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return f"1 day ({' '.join(name for name, works in zip(names, week, strict=True) if works == '1')})"


def span(seconds) -> str:
    """Write a length of time in the largest unit that says it in whole numbers, or of which it has at least two."""
    for unit, length in _SECONDS.items():
        if seconds >= length and not seconds % length:
            return plural(int(seconds // length), unit)
    unit = next((unit for unit, length in _SECONDS.items() if unit != "week" and seconds >= 2 * length), "second")
    return f"{seconds / _SECONDS[unit]:.3g} {unit}s"


@dataclass(frozen=True, eq=False, kw_only=True)
class Times:
    """The times of the rows of a series.

    Args:
        column: their name.
        told: (N,) as they stand in the table, row by row: datetime64 in UTC or without a zone, or numbers.
        real: (N,) the same by a clock that is never changed.
        clock: whose clock it is that was put forward and back, where there are no offsets; "" where it was not.
        offsets: (N,) minutes from UTC that the table says, NaN where it says none.
        way: how the column is written (see `kzoo.kinds.series.time_formats`).
        zone: of the column (see `kzoo.sources.tables.zones`).
    """

    column: str
    told: np.ndarray
    real: np.ndarray
    clock: str = ""
    way: str | None = None
    offsets: np.ndarray = field(default_factory=lambda: np.empty(0))
    zone: str = ""

    @classmethod
    def of(cls, column, told, offsets=None, way=None, zone="") -> "Times":
        """Return the times of rows, by a clock that is never changed.

        A clock that was put forward and back leaves out an hour in spring and shows one twice in autumn. Where one of
        the usual calendars explains holes and repeats, it is taken to be the clock that the times were read from.
        """
        offsets = np.empty(0) if offsets is None else offsets
        times = cls(column=column, told=told, real=told, offsets=offsets, way=way, zone=zone)
        if told.dtype.kind != "M" or len(told) < 3 or np.isfinite(times.offsets).any():
            return times
        stumbles = times.stumbles
        if not stumbles or times.step.unit != "seconds" or times.step.count >= _SECONDS["day"]:
            return times
        tries = [replace(times, real=_standard(told, *changes), clock=name) for name, *changes in _CLOCKS]
        best = min(tries, key=lambda one: one.stumbles)
        return best if best.stumbles < stumbles else times

    def take(self, places) -> "Times":
        """Return those of some of the rows."""
        offsets = self.offsets[places] if len(self.offsets) else self.offsets
        return replace(self, told=self.told[places], real=self.real[places], offsets=offsets)

    @property
    def wall(self) -> np.ndarray:
        """(N,) the times as the table has them, where they say how far they are from UTC."""
        return self.told if self.told.dtype.kind != "M" or not len(self.offsets) else self.told + _minutes(self.offsets)

    @cached_property
    def order(self) -> np.ndarray:
        """(N,) places of the rows in order of time."""
        return np.argsort(self.real, kind="stable")

    def said(self, when) -> str:
        """Write one of the times: the day, and the time of the day where rows have different ones."""
        if self.told.dtype.kind != "M":
            return f"{when:.15g}"
        day, _, clock = str(when.astype("M8[s]")).partition("T")
        zone = " UTC" if np.isfinite(self.offsets).any() else ""
        return day if self._whole_days else f"{day} {clock[:5] if clock.endswith(':00') else clock}{zone}"

    @property
    def ends(self) -> tuple[str, str]:
        """The first time and the last, as words."""
        first, last = self.told[self.order[[0, -1]]]
        return self.said(first), self.said(last)

    @cached_property
    def _whole_days(self):
        return bool((self.told == self.told.astype("M8[D]")).all())

    @property
    def sorted(self) -> bool:
        """Whether the rows are in order of time as they stand."""
        return bool((self.real[1:] >= self.real[:-1]).all())

    @cached_property
    def step(self) -> Step:
        """How far apart the rows usually are."""
        return Step.of(self.real[self.order]) if len(self.real) > 1 else Step()

    @cached_property
    def between(self) -> np.ndarray:
        """(N - 1,) steps from each row to the next, in order of time."""
        return self.step.between(self.real[self.order]) if len(self.real) > 1 else np.empty(0)

    @cached_property
    def holes(self) -> np.ndarray:
        """Places in order of time of the rows before which others are missing."""
        longest = 1 + _HOLIDAYS if self.step.unit == "days of work" else 0
        return np.flatnonzero((self.between > max(_HOLE, longest)) & ~self.same) + 1

    @cached_property
    def uneven(self) -> float:
        """The share of steps that are more than half a step off; holidays are none of them."""
        off = np.abs(self.between - 1) > 0.5
        if self.step.unit == "days of work":
            off &= (self.between > 1 + _HOLIDAYS) | self.same
        return float(off.mean()) if len(off) else 0.0

    @cached_property
    def same(self) -> np.ndarray:
        """(N - 1,) whether a row has the time of the one before it, in order of time."""
        when = self.real[self.order]
        return when[1:] == when[:-1]

    @property
    def stumbles(self) -> int:
        """Holes and repeats."""
        return len(self.holes) + int(self.same.sum())

    def json(self) -> dict:
        """Return what is known of them as plain data, which the checks and the description of the data are made of.

        Returns:
            `column`, `rows`, `step` (in words), `seconds` (its length, None where that differs), `first`, `last`;
            `disorder`, the rows that come before the one above; `uneven`, the share of steps more than half a step
            off; `longest`, the longest step (in words); `repeats`, rows that have the time of one before, and
            `repeated`, their times; `holes`, how many, `missing`, rows in all of them, and the `worst`, longest first:
            `after` and `before` (the times of the rows around it), `lasts` (in words), `missing` (rows); `clock`,
            `forward` and `back`: whose clock was changed and when; `offsets`, whether the times say theirs. Of
            lists the first 20; times are words.
        """
        told = self.told[self.order]
        holes = sorted(self.holes.tolist(), key=lambda row: -self.between[row - 1])
        clock, forward, back = self._changes()
        return {
            "column": self.column,
            "rows": len(told),
            "step": str(self.step),
            "seconds": self.step.seconds,
            "first": self.ends[0],
            "last": self.ends[1],
            "disorder": int((self.real[1:] < self.real[:-1]).sum()),
            "uneven": self.uneven,
            "longest": self.step.times(self.between.max()) if len(self.between) else "",
            "repeats": int(self.same.sum()),
            "repeated": [self.said(when) for when in np.unique(told[1:][self.same])[:_MOST]],
            "holes": len(holes),
            "missing": sum(self._missing(row) for row in holes),
            "worst": [
                {
                    "after": self.said(told[row - 1]),
                    "before": self.said(told[row]),
                    "lasts": self.step.times(self.between[row - 1]),
                    "missing": self._missing(row),
                }
                for row in holes[:_MOST]
            ],
            "clock": clock,
            "offsets": bool(np.isfinite(self.offsets).any()),
            "forward": [self.said(when) for when in forward],
            "back": [self.said(when) for when in back],
        }

    def _missing(self, row):
        """Return how many rows are missing before one."""
        return max(round(float(self.between[row - 1])) - 1, 1)

    def _changes(self):
        """Return (whose clock, when it was put forward, when back) in the span of the series."""
        told = self.told[self.order]
        if np.isfinite(self.offsets).any():
            offsets = self.offsets[self.order]
            by = np.diff(offsets)
            return (
                " and ".join(_offset(one) for one in np.unique(offsets[np.isfinite(offsets)])),
                told[1:][by > 0][:_MOST],
                told[1:][by < 0][:_MOST],
            )
        if not self.clock:
            return "", (), ()
        moments, forward = _changes(told, *next(rest for name, *rest in _CLOCKS if name == self.clock))
        inside = (moments > told[0]) & (moments <= told[-1])
        return self.clock, moments[inside & forward][:_MOST], moments[inside & ~forward][:_MOST]


def _minutes(offsets):
    return np.nan_to_num(offsets).astype("m8[m]")


def _offset(minutes):
    hours, rest = divmod(abs(int(minutes)), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def _standard(told, forward, back):
    """Return times by the clock of winter, of times by a clock that is put forward and back."""
    moments, to_summer = _changes(told, forward, back)
    starts = np.where(to_summer, moments, moments + _HOUR)  # the hour that comes twice is of summer the first time
    last = np.searchsorted(starts, told, side="right") - 1
    summer = to_summer[np.maximum(last, 0)] & (last >= 0)
    descending = (told[1:] < told[:-1]).mean() > 0.5  # files with the newest row on top
    order = np.argsort(told[::-1] if descending else told, kind="stable")
    order = len(told) - 1 - order if descending else order
    again = np.zeros(len(told), bool)
    again[order[1:]] = told[order[1:]] == told[order[:-1]]
    twice = np.isin(told.astype("M8[h]"), moments[~to_summer].astype("M8[h]"))
    return told - _HOUR * (summer & ~(again & twice)).astype(int)


def _changes(told, forward, back):
    """Return the times at which a clock is changed, in order, and whether it is put forward."""
    years = np.unique(told.astype("M8[Y]").astype(int)).tolist()
    years = sorted({*years, *(year - 1 for year in years)})  # as the year before left the clock, so a year begins
    found = sorted((_sunday(year, *rule), rule is forward) for year in years for rule in (forward, back))
    return np.array([when for when, _ in found], "M8[us]"), np.array([is_forward for _, is_forward in found])


def _sunday(year, month, which, hour):
    """Return an hour of one of the Sundays of a month of a year (1970 is 0)."""
    start = np.datetime64(year * 12 + month - (which > 0), "M").astype("M8[D]")  # of the month, or of the next one
    sunday = np.busday_offset(start, which - (which > 0), roll="forward", weekmask="0000001")
    return sunday.astype("M8[us]") + hour * _HOUR
