"""Conversion of a column of raw values to times: the same in training and prediction, without pandas."""

import re
from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from kzoo.sources.tables.values import Texts, not_missing, plain, to_words, value_counts

_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers or dates
_DATE = re.compile(r"\s*+(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})")
# Day and month before the year, once slashes have become dashes; their order is ambiguous.
_SHORT_DATE = re.compile(r"(\d{1,2})([-.])(\d{1,2})[-.](\d{4})", re.ASCII)
_TIME = (  # possessive quantifiers: a cell is parsed in linear time
    r"(?:(?:T|\s++)(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d++))?)?)?\s*+([AaPp][Mm])?"
    r"\s*+(Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?)?"
)
_YEAR_FIRST = re.compile(rf"(\d{{4}})(?:[-.](\d{{1,2}})(?:[-.](\d{{1,2}}){_TIME})?)?", re.ASCII)
_COMPACT = re.compile(rf"(\d{{4}})(\d{{2}})(\d{{2}}){_TIME}", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = re.compile(
    rf"(?:(\d{{1,2}})[-\s]++)?({'|'.join(_MONTHS)})[a-z]*+\.?[-\s]++(?:(\d{{1,2}}),?\s++)?(\d{{4}})",
    re.ASCII | re.I,
)
_MAY_HAVE_OFFSET = re.compile(
    r"[^T\s]*+[T\s].*[-+/年月]", re.S
)  # a sign after the day; slashes become dashes before a date is parsed
_NO_TIME = np.datetime64("NaT", "us")


def are_dates(values) -> bool:
    """Return True if nearly all values of a column are numeric dates."""
    values = plain(values)
    if values.dtype != object:
        return values.dtype.kind == "M"
    values = values[not_missing(values)]
    if not len(values) or _share_of_dates(values) < _MOSTLY:
        return False
    return not_missing(to_dates(values)).mean() >= _MOSTLY


def _share_of_dates(values):
    if isinstance(values, Texts):
        return np.mean(values.each([bool(_DATE.match(text)) for text in values.different], False, bool))
    return np.mean([bool(_DATE.match(str(value))) for value in values])


def detect_day_first(name, values, notes) -> bool:
    """Return True if 3/2/2024 is February 3 in a column.

    A number above 12 must be a day; without one, dates with dots are day first and dates with slashes month first. In
    the latter case `notes` gets a line.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return False
    texts = (
        value_counts(values)
        if isinstance(values, Texts)
        else Counter(str(value) for value in values[not_missing(values)])
    )
    matches = [(match.groups(), n) for text, n in texts.items() if (match := _SHORT_DATE.match(_date_text(text)))]
    first_is_day, second_is_day = (sum(n for parts, n in matches if int(parts[position]) > 12) for position in (0, 2))
    if first_is_day != second_is_day:
        return first_is_day > second_is_day
    dotted = any(parts[1] == "." for parts, _ in matches)
    if matches and not dotted:
        notes.append(
            f"Dates in {name!r} are ambiguous and were read month first. If that is wrong, write them as 2024-02-03."
        )
    return dotted


def are_short_dates(values) -> bool:
    """Return True if any date of a column has day and month before the year, in either order."""
    values = plain(values)
    return values.dtype.kind != "M" and any(_SHORT_DATE.match(_date_text(text)) for text in value_counts(values))


def day_first_of_new_rows(name, values, notes, learned=None) -> bool:
    """Return True if 3/2/2024 is February 3 in new rows: as in training, unless the new rows contradict it.

    Args:
        learned: the result in training; None if the dates of training did not decide.
    """
    if not are_short_dates(values):
        return bool(learned)
    if learned is None:
        return detect_day_first(name, values, notes)
    # With slashes, only numbers above 12 decide; `doubt` gets a note if there are none.
    slashed, ambiguous = (
        np.array([str(value).replace(".", "/") for value in value_counts(plain(values))], object),
        list[str](),
    )
    day_first = detect_day_first(name, slashed, ambiguous)
    if ambiguous or day_first == learned:
        return learned
    current, previous = ("day first", "month first") if day_first else ("month first", "day first")
    notes.append(f"Dates in {name!r} are {current} here but were {previous} in training. Each is read as written.")
    return day_first


def may_have_offset(values) -> bool:
    """Return True if a date of a column may state an offset from UTC. A quick check, with false positives."""
    values = plain(values)
    if values.dtype.kind == "M":
        return False
    texts = values.different if isinstance(values, Texts) else (str(value) for value in values)
    return any(map(_MAY_HAVE_OFFSET.match, texts))


def to_dates(values, day_first=False, wall_clock=False) -> np.ndarray:
    """Return a column as times (datetime64) without zone; cells that are not dates become NaT.

    Args:
        day_first: whether 3/2/2024 is February 3. A number above 12 is a day in any case.
        wall_clock: whether 10:00+02:00 becomes 10:00, the local time, rather than 8:00, the time in UTC. Times of NumPy
            are unchanged.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    if isinstance(values, Texts):
        dates = [_date(_date_text(text), day_first, wall_clock) for text in values.different]
        return values.each(dates, _NO_TIME, "datetime64[us]")
    # Dates repeat: each unique text is parsed once. Not each unique value: datetimes of a zone that lie in the hour
    # which a clock shows twice compare as equal.
    texts = ["" if word is None else word for word in to_words(values)]
    read = {text: _date(_date_text(text), day_first, wall_clock) for text in dict.fromkeys(texts)}
    return np.array([read[text] for text in texts], "datetime64[us]")


def _date_text(value):
    return re.sub("[年月/]", "-", str(value).strip()).replace("日", "")


def _date(text, day_first, wall_clock):
    """Return the time that a text states, in UTC or as local time, or NaT."""
    if match := _SHORT_DATE.match(text):
        day, month = (match[1], match[3]) if day_first else (match[3], match[1])
        if int(month) > 12:
            day, month = month, day
        text = f"{match[4]}-{month}-{day}{text[match.end() :]}"
    elif match := _NAMED.match(text):
        month = _MONTHS.index(match[2].lower()) + 1
        text = f"{match[4]}-{month}-{match[1] or match[3] or 1}{text[match.end() :]}"
    text = re.sub(r":(\d)(?!\d)", r":0\1", text)  # 1:2 is 01:02
    match = _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text)
    if not match:
        return _NO_TIME
    year, month, day, hour, minute, second, fraction, am_pm, zone = match.groups()
    hour = int(hour or 0)
    if am_pm:
        if not 1 <= hour <= 12:
            return _NO_TIME
        hour = hour % 12 + (12 if am_pm.lower() == "pm" else 0)
    try:
        moment = datetime(int(year), int(month or 1), int(day or 1), hour, int(minute or 0), int(second or 0))
        moment += timedelta(microseconds=int(f"{fraction or 0:0<6}"[:6]))
        return np.datetime64(moment if wall_clock else moment - _offset(zone), "us")
    except (ValueError, OverflowError):  # no such day, or a year out of range
        return _NO_TIME


def _offset(zone):
    if not zone or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def date_parts(dates) -> dict:
    """Return year, month, day, weekday (Monday is 0) and hour of times as float64, with NaN for NaT."""
    days, months, years = (dates.astype(f"datetime64[{unit}]") for unit in "DMY")
    parts = {
        "year": years.astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months).astype(np.int64) + 1,
        "weekday": (days.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday
        "hour": (dates.astype("datetime64[h]") - days).astype(np.int64),
    }
    return {name: np.where(np.isnat(dates), np.nan, part.astype(np.float64)) for name, part in parts.items()}
