"""Time zones of date columns: offsets stated by cells, and conversion to the training zone. NumPy only.

A zone is a string: "" if no cell states one, "UTC", an offset such as "+01:00", a name such as "Europe/Berlin", or
several offsets with commas, "+01:00,+02:00": local time of a clock with daylight saving, which is kept as written. In
such a list, "none" stands for cells without an offset.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from kzoo.inference.tables.dates import to_dates
from kzoo.inference.tables.values import Cells, Texts, plain, to_words
from kzoo.utils.errors import KzooError

_NO_ZONE = "none"  # in a list of offsets: cells without an offset
_UTC_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
# endings of texts in UTC
_ZERO = ("Z", "UTC", "GMT", "+00:00", "-00:00", "+0000", "-0000", "+00", "-00")
_MINUTE = np.timedelta64(1, "m")


def offset_of(name: str) -> timedelta | None:
    """Return the offset from UTC of a zone name; None if it is the name of a place."""
    if name == "UTC":
        return timedelta()
    match = _UTC_OFFSET.fullmatch(name)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -offset if match[1] == "-" else offset


def zone_named(name: str) -> tzinfo:
    """Return the zone with a name or an offset.

    Raises:
        KzooError: this computer does not know it.
    """
    try:
        if name == "UTC":
            return UTC
        offset = offset_of(name)
        return ZoneInfo(name) if offset is None else timezone(offset)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise KzooError(
            f"Unknown time zone {name!r}. If the name is correct, run: pip install tzdata",
            value=name,
        ) from None


def format_offset(minutes: float) -> str:
    """Return minutes from UTC as a zone: "UTC", "+01:00"."""
    hours, remainder = divmod(abs(int(minutes)), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{remainder:02}" if minutes else "UTC"


def zone_of(minutes: np.ndarray) -> str:
    """Return the zone of cells with these offsets in minutes; NaN for cells that state no offset."""
    offsets = np.unique(minutes)  # np.unique puts NaN last, once
    names = [_NO_ZONE if np.isnan(offset) else format_offset(offset) for offset in offsets]
    return ",".join(names) if names != [_NO_ZONE] else ""


_MANY = 1_000_000  # cells, from which an array of equal numbers is not worth its memory


def aware(series: Cells) -> tuple[np.ndarray, str] | None:
    """Return (minutes from UTC (N,), zone) of a pandas Series or Index of times with a zone; None for anything else."""
    categories = getattr(getattr(series, "dtype", None), "categories", None)
    if categories is not None and not hasattr(categories, "tz"):
        return None  # pandas would copy all values to see that they are no times
    times: Any = getattr(series, "dt", series)
    if (zone := getattr(times, "tz", None)) is None:
        return None
    if hasattr(series.dtype, "pyarrow_dtype"):
        times = series.astype(f"datetime64[us, {series.dtype.pyarrow_dtype.tz}]").dt
    moved = times.tz_convert("UTC")
    local, utc = (
        np.asarray(moments.tz_localize(None), "M8[us]")
        for moments in (times, getattr(moved, "dt", moved))
    )
    minutes = (local - utc) / _MINUTE
    name = (
        getattr(zone, "key", None)
        or getattr(zone, "zone", None)
        or ("UTC" if str(zone) == "UTC" else None)
    )
    return minutes, name or zone_of(minutes[np.isfinite(minutes)])


def minutes_in(
    values: Cells, day_first: bool = False, wall: Callable[[], np.ndarray] | None = None
) -> np.ndarray:
    """Return the offset from UTC in minutes that each cell of a column states (N,), NaN if it states none.

    Args:
        values: a column of texts; times of NumPy state no offset.
        day_first: see `to_dates`.
        wall: a function that returns the times as written, if they are parsed anyway.
    """
    values = plain(values)
    if values.dtype != object:
        return np.full(len(values), np.nan)
    words = (
        values.different
        if isinstance(values, Texts)
        else ["" if word is None else word for word in to_words(values)]
    )
    if not any(map(_may_be_zoned, words)):
        return (
            np.broadcast_to(np.nan, len(values))
            if len(values) > _MANY
            else np.full(len(values), np.nan)
        )
    local = to_dates(values, day_first, wall_clock=True) if wall is None else wall()
    minutes = (local - to_dates(values, day_first)) / _MINUTE
    is_utc = np.array([word.strip().endswith(_ZERO) for word in words], bool)
    is_utc = values.each(is_utc, False, bool) if isinstance(values, Texts) else is_utc
    minutes[(minutes == 0) & ~is_utc] = np.nan
    return minutes


def _may_be_zoned(text: str) -> bool:
    """Return True if a text may end in a zone. A quick check, with false positives."""
    return text.strip()[-1:] in ("Z", "C", "T") or "+" in text or "-" in text[10:]


def in_utc(wall: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """Return times (N,) in UTC; those without a known offset (NaN) are unchanged."""
    has_offset = np.isfinite(minutes) & ~np.isnat(wall)
    times = wall.copy()
    times[has_offset] -= minutes[has_offset].astype("m8[m]")
    return times


def on_clock(wall: np.ndarray, minutes: np.ndarray, zone: str) -> np.ndarray:
    """Return times (N,) as local times of a zone.

    Args:
        wall: the times as written.
        minutes: the offset of each from UTC, NaN if unknown: such times are assumed to be in the zone.
        zone: see the module; with no zone, or several offsets, times stay as written.
    """
    has_offset = np.isfinite(minutes) & ~np.isnat(wall)
    if not zone or "," in zone or not has_offset.any():
        return wall
    times = in_utc(wall, minutes)
    times[has_offset] += _offsets_at(times[has_offset], zone)
    return times


def _offsets_at(utc: np.ndarray, name: str) -> np.ndarray | np.timedelta64:
    """Return the offset of a zone from UTC at each of several times in UTC."""
    zone, offset = zone_named(name), offset_of(name)
    if offset is not None:
        return np.timedelta64(offset)
    moments, indices = np.unique(utc.astype("M8[m]"), return_inverse=True)
    return np.array([_offset_at(moment.item(), zone) for moment in moments], "m8[us]")[indices]


def _offset_at(moment: datetime, zone: tzinfo) -> timedelta | None:
    try:
        return moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    except (OverflowError, AttributeError, TypeError):  # at the limits of datetime, and NaT
        return timedelta()


def zone_notes(name: str, zone: str | None, minutes: np.ndarray) -> list[str]:
    """Return notes if new times of a column are in a zone that does not match that of the training.

    Args:
        name: of the column.
        zone: of the training; None if a run of an earlier version did not store it.
        minutes: of the new cells that hold a time (see `on_clock`).
    """
    new = zone_of(minutes)
    parts, learned = (new or _NO_ZONE).split(","), (zone or _NO_ZONE).split(",")
    if zone is None or not len(minutes) or set(parts) <= set(learned):
        return []
    offsets = " and ".join(part for part in parts if part != _NO_ZONE)
    if not zone:
        line = f"state {offsets}, but those of the training stated no zone, which is assumed to be the same"
        return [
            f"Times of {name!r} {line}. If that is wrong, convert them to the zone of the training."
        ]
    if len(learned) > 1:
        missing = [part for part in parts if part not in learned]
        difference = "state no zone" if missing == [_NO_ZONE] or not offsets else f"state {offsets}"
        stated = " and ".join(part for part in learned if part != _NO_ZONE)
        line = f"{difference}, but those of the training stated {stated}"
        return [
            f"Times of {name!r} {line}. They are read as written. If that is wrong, convert them to that clock."
        ]
    if _NO_ZONE in parts:
        difference = "state no zone" if not offsets else "do not all state a zone"
        line = f"{difference}, but those of the training stated {zone}, which is assumed for them"
        return [
            f"Times of {name!r} {line}. If that is wrong, add their offset, as in 2024-01-31T10:00+02:00."
        ]
    if offset_of(zone):  # the new offset may be that of the other half of the year
        line = f"state {offsets}, but those of the training stated {zone}. They are converted to {zone}"
        return [
            f"Times of {name!r} {line}. If the training clock has daylight saving, train on a full year."
        ]
    return []
