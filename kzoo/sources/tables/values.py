"""Conversion of a column of raw values to numbers, times or words: the same in training and prediction, without pandas.

A column is an array (N,): numbers or times of NumPy, or objects with None for missing values; or `Texts`, which behaves
like such an array. Text is parsed only here: a cell of a CSV file, a dict or a DataFrame has the same meaning.
"""

import re
from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from kzoo.sources.tables.numbers import PLAIN, contradicts, number_formats, shown_sign

# Words for a missing value.
MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
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
_SECOND = np.timedelta64(1, "s")


class Texts:
    """A column (N,) of texts that stores each unique text once, so that it is also processed once.

    Args:
        different: list of the unique strings.
        codes: (N,) the index of each text in this list, -1 for a missing value.
    """

    dtype = np.dtype(object)

    def __init__(self, different, codes):
        self.different, self.codes = different, codes

    def __len__(self):
        return len(self.codes)

    def __iter__(self):
        return map([*self.different, None].__getitem__, self.codes.tolist())

    def __getitem__(self, index):
        codes = self.codes[index]
        if isinstance(codes, np.ndarray):
            return Texts(self.different, codes)
        return None if codes < 0 else self.different[codes]

    def each(self, per_text, missing, dtype) -> np.ndarray:
        """Return an array (N,): the item of `per_text` for each text, `missing` for missing values."""
        values = np.empty(len(self.different) + 1, dtype)
        values[:-1], values[-1] = per_text, missing
        return values[self.codes]

    @property
    def counts(self) -> np.ndarray:
        """The number of occurrences of each unique text."""
        return np.bincount(self.codes + 1, minlength=len(self.different) + 1)[1:]

    @property
    def seen(self) -> list:
        """The unique texts that occur, in order of appearance."""
        first = np.full(len(self.different) + 1, len(self))
        np.minimum.at(first, self.codes, np.arange(len(self)))
        order = np.argsort(first[:-1], kind="stable")
        return [self.different[code] for code in order if first[code] < len(self)]


def plain(values) -> "np.ndarray | Texts":
    """Return a column of any type (an array, a list, a pandas Series) as an array (N,).

    Numbers, booleans and times keep their NumPy type; durations become seconds; a Series of texts only becomes `Texts`;
    everything else becomes objects, with None for missing values.
    """
    if isinstance(values, Texts):
        return values
    if not isinstance(values, np.ndarray) and hasattr(values, "notna"):  # a Series: pandas is already imported
        if str(values.dtype).startswith("datetime64") and getattr(values.dt, "tz", None) is not None:
            values = values.dt.tz_localize(None)
        if (texts := _texts(values)) is not None:
            return texts
        if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "biufmM":
            values = values.astype(object).where(values.notna(), None)
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind == "m":
        return values / _SECOND
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufM":
        return values
    out = np.empty(len(values), object)
    out[:] = [
        None if _is_missing(value) else value / _SECOND if isinstance(value, timedelta | np.timedelta64) else value
        for value in values
    ]
    return out


def _texts(series):
    """Return a Series of texts as `Texts`; None for any other Series."""
    if type(series.dtype).__name__ == "CategoricalDtype":
        different = list(series.cat.categories)
        is_text = all(isinstance(text, str) for text in different)
        return Texts(different, series.cat.codes.to_numpy().astype(np.int32, copy=False)) if is_text else None
    is_string_dtype = type(series.dtype).__name__ == "StringDtype"
    # A column of objects may hold texts and missing values, which are None or a float (NaN).
    if not is_string_dtype and (series.dtype != object or {type(cell) for cell in series} - {str, float, type(None)}):
        return None
    codes, different = series.factorize()
    if not all(isinstance(text, str) for text in different):  # a float that is not NaN
        return None
    return Texts(list(different), codes.astype(np.int32))


def _is_missing(value):
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # of pandas, which need not be installed
        return True
    return isinstance(value, float | np.floating | np.datetime64 | np.timedelta64) and bool(value != value)


def not_missing(values) -> np.ndarray:
    """Return a boolean array (N,) that is True where a plain column has a value."""
    if isinstance(values, Texts):
        return values.codes >= 0
    if values.dtype == object:
        return np.array([value is not None for value in values], bool)
    if values.dtype.kind == "M":
        return ~np.isnat(values)
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)


def to_numbers(values, *writings) -> np.ndarray:
    """Return a column as float64; cells that are not finite numbers become NaN.

    Args:
        writings: formats of numbers in texts; the first one that can read a cell is used. The plain format by default.
    """
    values = plain(values)
    if isinstance(values, Texts):
        return values.each([_number(text, writings or (PLAIN,)) for text in values.different], np.nan, np.float64)
    if values.dtype == object:
        # Texts repeat: each unique one is parsed once.
        texts = dict.fromkeys(value for value in values if isinstance(value, str))
        read = {text: _number(text, writings or (PLAIN,)) for text in texts}
        return np.array([read[v] if isinstance(v, str) else _number(v, (PLAIN,)) for v in values], np.float64)
    if values.dtype.kind == "M":
        return np.full(len(values), np.nan)
    numbers = values.astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def read_numbers(values, stored=None, decimal=None) -> np.ndarray:
    """Return a column as `to_numbers` does, with the number format learned in training.

    If some cells contradict the decimal sign of the file, the sign is not used for ambiguous cells; if the file shows
    no sign, the other cells of the column may show it.

    Args:
        stored: see `kzoo.sources.tables.numbers.number_formats`.
        decimal: the decimal sign of the file; empty if its first lines show none, None if there is no file.
    """
    by_file, doubting = number_formats(stored, decimal), number_formats(stored or (decimal and {"decimal": decimal}))
    if decimal is None or len(doubting) < 2 or (by_file == doubting and decimal):
        return to_numbers(values, *by_file)
    values = values if isinstance(values, np.ndarray) else plain(values)
    if values.dtype != object:
        return to_numbers(values)
    texts = values.seen if isinstance(values, Texts) else {value for value in values if isinstance(value, str)}
    if not decimal:
        return to_numbers(values, *number_formats(stored, shown_sign(texts, stored)))
    if any(contradicts(text, stored, decimal) for text in texts):
        return to_numbers(values, *doubting)
    return to_numbers(values, *by_file)


def _number(value, writings):
    if value is None:
        return np.nan
    if isinstance(value, int | float | np.integer | np.floating):
        try:
            number = float(value)
        except OverflowError:  # a large int
            return np.nan
        return number if abs(number) != np.inf else np.nan
    return next((number for number in (writing.read(value) for writing in writings) if number == number), np.nan)


def unreadable_cells(values, numbers) -> np.ndarray:
    """Return the indices of cells that hold something other than a number; words for missing values do not count.

    Args:
        values: the original column.
        numbers: (N,) the result of `to_numbers` for it.
    """
    values = plain(values)
    indices = np.flatnonzero(np.isnan(numbers))
    indices = indices[not_missing(values[indices])]
    if isinstance(values, Texts):
        words = values[indices]
        return indices[words.each([text.strip() not in MISSING for text in words.different], False, bool)]
    is_unreadable = [not isinstance(values[index], str) or values[index].strip() not in MISSING for index in indices]
    return indices[np.array(is_unreadable, bool)]


def category_word(text) -> str:
    """Return the category named by a cell: surrounding blanks and the kind of line ends do not matter."""
    return text.strip().replace("\r\n", "\n")


def to_words(values) -> np.ndarray:
    """Return a column as an array of strings (see `word_of`), with None for missing values; 1067.0 becomes "1067".

    To pandas, a column of integers becomes one of floats as soon as a value is missing.
    """
    values = plain(values)
    if isinstance(values, Texts):
        return values.each([category_word(text) for text in values.different], None, object)
    words = np.empty(len(values), object)
    present = not_missing(values)
    if values.dtype.kind in "biuf":
        words[present] = values[present].astype(str).astype(object)
    else:
        words[present] = [category_word(str(value)) for value in values[present]]
    for index in np.flatnonzero(present & _is_whole_float(values)):
        words[index] = str(int(values[index]))
    return words


def _is_whole_float(values):
    """Return a boolean array (N,) that is True where a plain column has an integer stored as a float."""
    if values.dtype.kind == "f":
        return (values == np.round(values)) & (np.abs(values) < 2**53)
    if values.dtype == object:
        floats = (value if isinstance(value, float | np.floating) else 0.5 for value in values)
        return np.array([value.is_integer() and abs(value) < 2**53 for value in floats], bool)
    return np.zeros(len(values), bool)


def value_counts(values) -> dict:
    """Return unique value -> number of occurrences for the values of a column that are not missing."""
    values = plain(values)
    if isinstance(values, Texts):
        return {text: int(count) for text, count in zip(values.different, values.counts, strict=True) if count}
    return Counter(values[not_missing(values)].tolist())


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
