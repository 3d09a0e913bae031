"""Conversion of a column of raw values to times: the same in training and prediction, without pandas."""

import re
from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from kzoo.sources.tables.values import NUMBERS, Texts, not_missing, plain, to_words, value_counts
from kzoo.utils.errors import KzooError

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
DATE_ORDERS = ("day-first", "month-first")  # values of date_order=
_SHORTEST_MONTH = 27  # days of a step, from which it is counted in months
_WEEKEND = 3  # days by which the first working day of a month may move
_MAX_MISSING = 0.5  # steps per row that may be missing in a regular series


def are_dates(values, share=_MOSTLY) -> bool:
    """Return True if at least this share of the values of a column are numeric dates."""
    values = plain(values)
    if values.dtype != object:
        return values.dtype.kind == "M"
    values = values[not_missing(values)]
    if not len(values) or _share_of_dates(values) < share:
        return False
    return not_missing(to_dates(values)).mean() >= share


def _share_of_dates(values):
    if isinstance(values, Texts):
        return np.mean(values.each([bool(_DATE.match(text)) for text in values.different], False, bool))
    if set(map(type, values)) <= NUMBERS:
        return 0.0
    return np.mean([bool(_DATE.match(str(value))) for value in values])


def detect_day_first(name, values, notes, date_order=None, *, required=False) -> bool:
    """Return True if 3/2/2024 is February 3 in a column.

    A number above 12 must be a day. Without one, it is the only order that gives a regular step. If both or neither do,
    dates with dots are day first and dates with slashes month first, which `notes` gets a line about.

    Args:
        name, values: of the column.
        notes: list that notes for the user are appended to.
        date_order: the order that the user has set, one of `DATE_ORDERS`.
        required: refuse dates with slashes if neither numbers above 12 nor the step decide.

    Raises:
        KzooError: the order is required, and it is not known.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return False
    texts = (
        value_counts(values)
        if isinstance(values, Texts)
        else Counter(str(value) for value in values[not_missing(values)])
    )
    short = {text: (match, n) for text, n in texts.items() if (match := _SHORT_DATE.match(_date_text(text)))}
    is_day = [{text: n for text, (match, n) in short.items() if int(match[group]) > 12} for group in (1, 3)]
    first_is_day, second_is_day = (sum(counts.values()) for counts in is_day)
    if date_order is not None:
        day_first = date_order == DATE_ORDERS[0]
    elif first_is_day != second_is_day:
        day_first = first_is_day > second_is_day
    else:
        return _day_first_by_step(name, short, notes, required)
    if contrary := is_day[day_first]:
        order, other = DATE_ORDERS if day_first else DATE_ORDERS[::-1]
        count = f"{sum(contrary.values()):,} of {sum(n for _, n in short.values()):,} dates"
        notes.append(
            f"Dates in {name!r} are read {_spoken(order)}, except {count} that can only be {_spoken(other)}, such as "
            f"{next(iter(contrary))!r}. Write all in one order."
        )
    return day_first


def _day_first_by_step(name, short, notes, required):
    """Return the order of dates whose numbers do not decide it (see `detect_day_first`)."""
    example = next((text for text, (match, _) in short.items() if int(match[1]) != int(match[3])), None)
    if example is None:  # there are none, or both orders give the same dates
        return False
    cells = np.array([*short], object)
    is_regular = [_has_regular_step(to_dates(cells, day_first)) for day_first in (True, False)]
    dotted = any(match[2] == "." for match, _ in short.values())
    order, other = DATE_ORDERS if is_regular[0] > is_regular[1] else DATE_ORDERS[::-1]
    if is_regular[0] != is_regular[1]:
        notes.append(
            f"Dates in {name!r} are read {_spoken(order)}: only that order gives a regular step. If that is wrong, set "
            f"date_order={other!r}."
        )
        return is_regular[0]
    if required and not dotted:
        raise KzooError(
            f"Dates in {name!r} may be day first or month first, such as {example!r}: "
            f"{'both orders give' if is_regular[0] else 'neither order gives'} a regular step. Set "
            "date_order='day-first' (or 'month-first'), or write them as 2024-02-03."
        )
    if not dotted:
        notes.append(
            f"Dates in {name!r} are ambiguous and were read month first. If that is wrong, set date_order='day-first' "
            "in training, or write them as 2024-02-03."
        )
    return dotted


def _spoken(order):
    return order.replace("-", " ")


def _has_regular_step(dates):
    """Return whether days have a step: at most half as many are missing as there are. Two dates show no step."""
    days = np.unique(dates[~np.isnat(dates)].astype("datetime64[D]"))
    if len(days) < 3:
        return False
    steps = np.diff(days).astype(int)
    if np.median(steps) >= _SHORTEST_MONTH:
        months = days.astype("datetime64[M]")
        day_of_month = (days - months).astype(int)
        if np.ptp(day_of_month) > _WEEKEND:
            return False
        steps = np.diff(months.astype(int))
    counts = steps / max(np.median(steps), 1)
    return bool((counts == counts.round()).mean() >= _MOSTLY and (counts - 1).mean() <= _MAX_MISSING)


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
