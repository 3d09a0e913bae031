"""Time zones of columns of dates: what the cells say, and new cells brought to the zone of the training. NumPy only.

A zone is a string: "" where no cell says one, "UTC", an offset such as "+01:00", a name such as "Europe/Berlin", or
several offsets with commas, "+01:00,+02:00": local time by a clock that is put forward and back, which is read as it is
written. Among several, "none" stands for cells without an offset.
"""

import re
from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from kzoo.sources.tables.values import Texts, plain, to_dates, to_words
from kzoo.utils.errors import KzooError

_NONE = "none"  # among several offsets: of cells without one
_UTC_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_ZERO = ("Z", "UTC", "GMT", "+00:00", "-00:00", "+0000", "-0000", "+00", "-00")  # ends of texts that are in UTC
_MINUTE = np.timedelta64(1, "m")


def offset_of(name) -> timedelta | None:
    """Return how far a zone is from UTC, by its name; None where that is the name of a place."""
    if name == "UTC":
        return timedelta()
    match = _UTC_OFFSET.fullmatch(name)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -offset if match[1] == "-" else offset


def zone_named(name):
    """Return a zone by its name or its offset.

    Raises:
        KzooError: this computer does not know it.
    """
    try:
        if name == "UTC":
            return UTC
        offset = offset_of(name)
        return ZoneInfo(name) if offset is None else timezone(offset)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise KzooError(f"The time zone {name!r} is not known here: pip install tzdata") from None


def offset_written(minutes) -> str:
    """Write minutes from UTC as a zone: "UTC", "+01:00"."""
    hours, rest = divmod(abs(int(minutes)), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "UTC"


def zone_of(minutes) -> str:
    """Return the zone of cells that are so many minutes from UTC; NaN stands for cells that say no zone."""
    offsets = np.unique(minutes)  # NaN comes last, once
    names = [_NONE if np.isnan(one) else offset_written(one) for one in offsets]
    return ",".join(names) if names != [_NONE] else ""


def aware(series) -> tuple[np.ndarray, str] | None:
    """Return (minutes from UTC (N,), zone) of a pandas Series or Index of times with a zone; None of anything else."""
    times = getattr(series, "dt", series)
    if (zone := getattr(times, "tz", None)) is None:
        return None
    if hasattr(series.dtype, "pyarrow_dtype"):
        times = series.astype(f"datetime64[us, {series.dtype.pyarrow_dtype.tz}]").dt
    moved = times.tz_convert("UTC")
    local, utc = (np.asarray(one.tz_localize(None), "M8[us]") for one in (times, getattr(moved, "dt", moved)))
    minutes = (local - utc) / _MINUTE
    name = getattr(zone, "key", None) or getattr(zone, "zone", None) or ("UTC" if str(zone) == "UTC" else None)
    return minutes, name or zone_of(minutes[np.isfinite(minutes)])


def minutes_in(values, day_first=False, wall=None) -> np.ndarray:
    """Return how many minutes from UTC each cell of a column says to be (N,), NaN where it does not say so.

    Args:
        values: a column of texts; times of NumPy say nothing.
        day_first: see `to_dates`.
        wall: a function that returns the times as they are written, where somebody reads them anyway.
    """
    values = plain(values)
    if values.dtype != object:
        return np.full(len(values), np.nan)
    words = values.different if isinstance(values, Texts) else ["" if one is None else one for one in to_words(values)]
    if not any(map(_may_be_zoned, words)):
        return np.full(len(values), np.nan)
    local = to_dates(values, day_first, wall_clock=True) if wall is None else wall()
    minutes = (local - to_dates(values, day_first)) / _MINUTE
    zero = np.array([word.strip().endswith(_ZERO) for word in words], bool)
    zero = values.each(zero, False, bool) if isinstance(values, Texts) else zero
    minutes[(minutes == 0) & ~zero] = np.nan
    return minutes


def _may_be_zoned(text):
    """Say whether a text may end in a zone: a quick look, which some others pass too."""
    return text.strip()[-1:] in ("Z", "C", "T") or "+" in text or "-" in text[10:]


def in_utc(wall, minutes) -> np.ndarray:
    """Return times (N,) in UTC; those of which no offset is known (NaN) as they are."""
    there = np.isfinite(minutes) & ~np.isnat(wall)
    found = wall.copy()
    found[there] -= minutes[there].astype("m8[m]")
    return found


def on_clock(wall, minutes, zone) -> np.ndarray:
    """Return times (N,) as the clock of a zone shows them.

    Args:
        wall: as they are written.
        minutes: how far each is from UTC, NaN where that is not known: it is taken to be of the zone.
        zone: see the module; where it is none, or several offsets, times stay as they are written.
    """
    there = np.isfinite(minutes) & ~np.isnat(wall)
    if not zone or "," in zone or not there.any():
        return wall
    found = in_utc(wall, minutes)
    found[there] += _offsets_at(found[there], zone)
    return found


def _offsets_at(utc, name):
    """Return how far a zone is from UTC at each of several times in UTC."""
    zone, offset = zone_named(name), offset_of(name)
    if offset is not None:
        return np.timedelta64(offset)
    moments, places = np.unique(utc.astype("M8[m]"), return_inverse=True)
    return np.array([_offset_at(moment.item(), zone) for moment in moments], "m8[us]")[places]


def _offset_at(moment, zone):
    try:
        return moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    except (OverflowError, AttributeError, TypeError):  # at the ends of the years that have a date, and beyond
        return timedelta()


def about_zone(name, zone, minutes) -> list:
    """Return a line where new times of a column are in a zone that does not go with that of the training.

    Args:
        name: of the column.
        zone: of the training; None where a run of an earlier version does not say.
        minutes: of the new cells that hold a time (see `on_clock`).
    """
    new = zone_of(minutes)
    parts, was = (new or _NONE).split(","), (zone or _NONE).split(",")
    if zone is None or not len(minutes) or set(parts) <= set(was):
        return []
    here = " and ".join(part for part in parts if part != _NONE)
    if not zone:
        line = f"say {here} here, and those of the training said no zone: it is taken to be theirs too"
        return [f"Times of {name!r} {line}. If it is not, bring them to the zone of the training."]
    if len(was) > 1:
        missing = [part for part in parts if part not in was]
        what = "say no zone" if missing == [_NONE] or not here else f"say {here}"
        line = f"{what} here, and those of the training said {' and '.join(part for part in was if part != _NONE)}"
        return [f"Times of {name!r} {line}: they are read as written. If that is wrong, write them by that clock."]
    if _NONE in parts:
        which = "say no zone here" if not here else "do not all say their zone here"
        line = f"{which}, and those of the training said {zone}: they are taken to be of that zone"
        return [f"Times of {name!r} {line}. If that is wrong, write their offset, as in 2024-01-31T10:00+02:00."]
    if offset_of(zone):  # which may be that of the other half of the year
        line = f"say {here} here, and those of the training said {zone}: they are brought to {zone}"
        return [f"Times of {name!r} {line}. If the clock of the training is put forward and back, train on a year."]
    return []
