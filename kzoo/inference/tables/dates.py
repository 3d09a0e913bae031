"""Conversion of a column of raw values to times: the same in training and prediction, without pandas."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import get_args

import numpy as np

from kzoo.inference.tables.values import (
    MISSING,
    NUMBERS,
    Cells,
    Column,
    Texts,
    distinct,
    not_missing,
    plain,
    to_numbers,
    to_words,
    value_counts,
)
from kzoo.problems.data_arguments import DateOrder
from kzoo.utils.errors import KzooError

_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers or dates
# What cells of a column of dates begin with; a time of day may follow a date of three parts. Numbers and codes such as
# 2024, 2024.08 and 17/2024 do not match.
_DATE = re.compile(
    r"\s*+(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}"
    r"|(?:19|20)\d\d(?:[-/]\d{1,2}\s*+$|年\d{1,2}月)|(?:0?[1-9]|1[0-2])[-/](?:19|20)\d\d\s*+$)"
)
# Day and month before the year, once slashes have become dashes; their order is ambiguous.
_SHORT_DATE = re.compile(r"(\d{1,2})([-.])(\d{1,2})[-.](\d{4}|\d{2})(?!\d)", re.ASCII)
_MONTH_AND_YEAR = re.compile(r"(\d{1,2})-(\d{4})", re.ASCII)
_TIME = (  # possessive quantifiers: a cell is parsed in linear time
    r"(?:(?:T|\s++)(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d++))?)?)?\s*+([AaPp][Mm])?"
    r"\s*+(Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?)?"
)
_YEAR_FIRST = re.compile(rf"(\d{{4}})(?:[-.](\d{{1,2}})(?:[-.](\d{{1,2}}){_TIME})?)?", re.ASCII)
_COMPACT = re.compile(rf"(\d{{4}})(\d{{2}})(\d{{2}}){_TIME}", re.ASCII)
_QUARTER = re.compile(
    r"Q([1-4])[-\s]?((?:19|20)\d\d)|((?:19|20)\d\d)[-\s]?Q([1-4])", re.ASCII | re.I
)
_YEAR_AND_MONTH = re.compile(r"((?:19|20)\d\d)(\d{2})", re.ASCII)
# First letters of the months in English, German, French, Spanish, Italian, Portuguese and Dutch.
_MONTHS = {
    letters: month
    for month, names in enumerate(
        (
            "jan jän ene gen",
            "feb fev fév",
            "mar mär mrz maa",
            "apr abr avr",
            "may mai mag mei",
            "jun giu juin",
            "jul lug juil",
            "aug ago aou aoû",
            "sep set",
            "oct okt ott out",
            "nov",
            "dec déc dez dic",
        ),
        start=1,
    )
    for letters in names.split()
}
_MONTH_NAME = re.compile("|".join(_MONTHS), re.I)
_WEEKDAY = re.compile(r"([^\W\d_]{2,12})(?:\.?,?\s++|,)(?=\d{1,2}(?!\d)|[^\W\d_]{3,12}\.?\s++\d)")
_LONGEST = 50  # characters of a date with the name of a month
_NAMED = re.compile(
    r"(?:(\d{1,2})(?:st|nd|rd|th|er|\.)?[-\s]*+(?:de\s++)?)?([^\W\d_]{3,12})\.?([-'’]|,?\s++(?:de\s++)?|)"
    r"(?:(\d{1,2})(?:st|nd|rd|th)?(?:,\s*+|\s++))?(\d{4}|\d{2})(?!\d)",
    re.I,
)
_YEAR_FIRST_NAMED = re.compile(r"(\d{4})[-\s]([^\W\d_]{3,12})\.?[-\s](\d{1,2})(?!\d)")
# first number, end of the range
DIGIT_FORMATS = {"YYYYMMDD": (1900_00_00, 2101_00_00), "YYYYMM": (1900_00, 2101_00)}
_FEWEST_DIGITS = {"YYYYMMDD": 3, "YYYYMM": 12}  # different numbers that show the format
_LAST_YEAR = 68  # of two digits, in this century: as in POSIX
_MAY_HAVE_OFFSET = re.compile(
    r"[^T\s]*+[T\s].*[-+/年月]", re.S
)  # a sign after the day; slashes become dashes before a date is parsed
_NO_TIME = np.datetime64("NaT", "us")
DATE_ORDERS: tuple[str, str] = get_args(DateOrder)  # the first: days come first
_SHORTEST_MONTH = 27  # days of a step, from which it is counted in months
_WEEKEND = 3  # days by which the first working day of a month may move
_MAX_MISSING = 0.5  # steps per row that may be missing in a regular series


def are_dates(values: Cells, share: float = _MOSTLY) -> bool:
    """Return True if at least this share of the values of a column are dates, or all are digits such as 20240818."""
    values = plain(values)
    if values.dtype.kind == "M":
        return True
    if len(values) and are_whole_dates(values):
        return True
    if values.dtype != object or (
        not isinstance(values, Texts) and set(map(type, values)) <= NUMBERS
    ):
        return False
    values = values[not_missing(values)]
    if not len(values) or not _may_be_dates(values, share):
        return False
    return not_missing(to_dates(values)).mean() >= share


def _may_be_dates(values: Column, share: float) -> bool:
    """Return whether at least a share of the values look like dates. The first others decide about most columns."""
    others = 0
    for value, count in value_counts(values).items():
        if not _may_be_date(str(value)):
            others += count
            if 1 - others / len(values) < share:
                return False
    return True


def _may_be_date(text: str) -> bool:
    if _DATE.match(text) or _QUARTER.fullmatch(text.strip()):
        return True
    may_have_name = len(text) <= _LONGEST and _MONTH_NAME.search(text)
    return bool(may_have_name) and _named_date(_date_text(text)) is not None


def are_whole_dates(values: Column) -> bool:
    """Return True if all values of a plain column are whole numbers that are dates, such as 20240131 or 202401."""
    low, end = DIGIT_FORMATS["YYYYMM"][0], DIGIT_FORMATS["YYYYMMDD"][1]
    if values.dtype != object and (values.dtype.kind == "b" or values[0] < low or values[0] >= end):
        return False  # most columns of numbers
    if values.dtype == object and not all(map(_are_digits, distinct(values))):
        return False
    numbers = to_numbers(values)
    different = np.unique(numbers[np.isfinite(numbers)])
    return any(
        len(different) >= fewest and not np.isnat(dates_of_digits(different, digit_format)).any()
        for digit_format, fewest in _FEWEST_DIGITS.items()
    )


def _are_digits(cell: object) -> bool:
    """Return whether a cell of a column of digits may be it: a whole number, or missing."""
    if isinstance(cell, str):
        return cell.strip().isdecimal() or cell.strip() in MISSING
    return cell is None or isinstance(cell, int | np.integer)


def dates_of_digits(numbers: np.ndarray, digit_format: str) -> np.ndarray:
    """Return numbers such as 20240131 as datetime64[us]; NaT for numbers that are no date from 1900 to 2100.

    Args:
        numbers: (N,) float64.
        digit_format: one of `DIGIT_FORMATS`.
    """
    low, end = DIGIT_FORMATS[digit_format]
    is_valid = (numbers >= low) & (numbers < end) & (numbers == np.floor(numbers))  # False for NaN
    integers = np.where(is_valid, numbers, 0).astype(np.int64)
    months, day = (
        (integers // 100, integers % 100)
        if digit_format == "YYYYMMDD"
        else (integers, np.ones_like(integers))
    )
    year = months // 100
    month = months % 100
    start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates = start.astype("datetime64[D]") + (day - 1)
    is_valid &= (month >= 1) & (month <= 12) & (day >= 1) & (dates.astype("datetime64[M]") == start)
    return np.where(is_valid, dates.astype("datetime64[us]"), _NO_TIME)


def writing_notes(name: str, values: Cells, day_first: bool) -> list[str]:
    """Return notes on how the dates of a column are read, where cells may mean something else.

    Args:
        name, values: of the column.
        day_first: see `to_dates`.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return []
    if len(values) and are_whole_dates(values):
        number = np.nanmax(to_numbers(values))
        date = _shown(to_dates(np.array([number])).max())
        return [
            f"Column {name!r} is read as dates, {number:.0f} as {date}. If its cells are numbers, use "
            f"columns={{{name!r}: 'number'}}."
        ]
    short = [text for text in map(str, value_counts(values)) if _has_short_year(_date_text(text))]
    if not short:
        return []
    dates = to_dates(np.array(short, object), day_first)
    if np.isnat(dates).all():
        return []
    last = int(
        np.nanargmax(np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(float)))
    )
    return [
        f"Years of two digits in {name!r} are read as 1969 to 2068, {short[last]!r} as {_shown(dates[last])}. If that "
        "is wrong, write four digits."
    ]


def _has_short_year(text: str) -> bool:
    """Return whether a date, as `_date_text` returns it, has a year of two digits."""
    if match := _SHORT_DATE.match(text):
        return len(match[4]) == 2
    match = _NAMED.match(text)
    return match is not None and len(match[5]) == 2 and _named_date(text) is not None


def _shown(date: np.datetime64) -> str:
    """Return a time as text, without an empty time of day."""
    return str(date.astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")


def detect_day_first(
    name: str,
    values: Cells,
    notes: list[str],
    date_order: str | None = None,
    *,
    required: bool = False,
) -> bool:
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
    short = {
        text: (match, n)
        for text, n in texts.items()
        if (match := _SHORT_DATE.match(_date_text(text)))
    }
    is_day = [
        {text: n for text, (match, n) in short.items() if int(match[group]) > 12}
        for group in (1, 3)
    ]
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


def _day_first_by_step(
    name: str, short: Mapping[str, tuple[re.Match[str], int]], notes: list[str], required: bool
) -> bool:
    """Return the order of dates whose numbers do not decide it (see `detect_day_first`)."""
    example = next(
        (text for text, (match, _) in short.items() if int(match[1]) != int(match[3])), None
    )
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


def _spoken(order: str) -> str:
    return order.replace("-", " ")


def _has_regular_step(dates: np.ndarray) -> bool:
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
    return bool(
        (counts == counts.round()).mean() >= _MOSTLY and (counts - 1).mean() <= _MAX_MISSING
    )


def are_short_dates(values: Cells) -> bool:
    """Return True if any date of a column has day and month before the year, in either order."""
    values = plain(values)
    return values.dtype.kind != "M" and any(
        _SHORT_DATE.match(_date_text(text)) for text in value_counts(values)
    )


def day_first_of_new_rows(
    name: str, values: Cells, notes: list[str], learned: bool | None = None
) -> bool:
    """Return True if 3/2/2024 is February 3 in new rows: as in training, unless the new rows contradict it.

    Args:
        learned: the result in training; None if the dates of training did not decide.
    """
    if not are_short_dates(values):
        return bool(learned)
    if learned is None:
        return detect_day_first(name, values, notes)
    # With slashes, only numbers above 12 decide; `doubt` gets a note if there are none.
    slashed = np.array(
        [str(value).replace(".", "/") for value in value_counts(plain(values))], object
    )
    ambiguous = list[str]()
    day_first = detect_day_first(name, slashed, ambiguous)
    if ambiguous or day_first == learned:
        return learned
    current, previous = ("day first", "month first") if day_first else ("month first", "day first")
    notes.append(
        f"Dates in {name!r} are {current} here but were {previous} in training. Each is read as written."
    )
    return day_first


def may_have_offset(values: Cells) -> bool:
    """Return True if a date of a column may state an offset from UTC. A quick check, with false positives."""
    values = plain(values)
    if values.dtype.kind == "M":
        return False
    texts = values.different if isinstance(values, Texts) else (str(value) for value in values)
    return any(map(_MAY_HAVE_OFFSET.match, texts))


def to_dates(values: Cells, day_first: bool = False, wall_clock: bool = False) -> np.ndarray:
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


def _date_text(value: object) -> str:
    text = re.sub("[年月/]", "-", str(value).strip()).replace("日", "").removesuffix("-")
    match = _WEEKDAY.match(text)
    return text if match is None or month_named(match[1]) else text[match.end() :]


def month_named(name: str) -> int | None:
    """Return the number of a month, given its name or the first letters of it; None if it is no month."""
    return _MONTHS.get(name[:4].casefold()) or _MONTHS.get(name[:3].casefold())


def _named_date(text: str) -> "tuple[str, int, int | str, int] | None":
    """Return (year, month, day, index of what follows) of a date with the name of a month; None if it is not one."""
    if match := _YEAR_FIRST_NAMED.match(text):
        year, name, day = match.groups()
    elif match := _NAMED.match(text):
        day_before, name, sign, day_after, year = match.groups()
        day = day_before or day_after or 1
        if len(year) == 2 and day_before is None and day_after is None and not sign.strip():
            return None  # Aug 18 may be a day or a year
    else:
        return None
    month = month_named(name)
    return None if month is None else (_full_year(year), month, day, match.end())


def _full_year(digits: str) -> str:
    """Return a year of four digits, given two or four."""
    return digits if len(digits) == 4 else f"{20 if int(digits) <= _LAST_YEAR else 19}{digits}"


def _date(text: str, day_first: bool, wall_clock: bool) -> np.datetime64:
    """Return the time that a text states, in UTC or as local time, or NaT."""
    if match := _SHORT_DATE.match(text):
        day, month = (match[1], match[3]) if day_first else (match[3], match[1])
        if int(month) > 12:
            day, month = month, day
        text = f"{_full_year(match[4])}-{month}-{day}{text[match.end() :]}"
    elif match := _MONTH_AND_YEAR.fullmatch(text):
        text = f"{match[2]}-{match[1]}"
    elif match := _YEAR_AND_MONTH.fullmatch(text):
        text = f"{match[1]}-{match[2]}"
    elif match := _QUARTER.fullmatch(text):
        text = f"{match[2] or match[3]}-{3 * int(match[1] or match[4]) - 2}"
    elif named := _named_date(text):
        year, month, day, end = named
        text = f"{year}-{month}-{day}{text[end:]}"
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
        moment = datetime(
            int(year), int(month or 1), int(day or 1), hour, int(minute or 0), int(second or 0)
        )
        moment += timedelta(microseconds=int(f"{fraction or 0:0<6}"[:6]))
        return np.datetime64(moment if wall_clock else moment - _offset(zone), "us")
    except (ValueError, OverflowError):  # no such day, or a year out of range
        return _NO_TIME


def _offset(zone: str | None) -> timedelta:
    if not zone or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def date_parts(dates: np.ndarray) -> dict[str, np.ndarray]:
    """Return year, month, day, weekday (Monday is 0) and hour of times as float64, with NaN for NaT."""
    days, months, years = (dates.astype(f"datetime64[{unit}]") for unit in "DMY")
    parts = {
        "year": years.astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months).astype(np.int64) + 1,
        "weekday": (days.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday
        "hour": (dates.astype("datetime64[h]") - days).astype(np.int64),
    }
    return {
        name: np.where(np.isnat(dates), np.nan, part.astype(np.float64))
        for name, part in parts.items()
    }
