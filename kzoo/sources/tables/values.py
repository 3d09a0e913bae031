"""One column of raw values becomes numbers, times or words: the same in training and in prediction, without pandas.

A column is an array (N,): numbers or times of NumPy, or objects with None where a value is missing; or `Texts`, which
is like such an array. Text is read here and nowhere else: a row from a CSV file, a dict or a DataFrame means the same.
"""

import re
from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from kzoo.sources.tables.numbers import PLAIN, contradicts, number_formats, shown_sign

# What stands for a missing value.
MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers or dates
_DATE = re.compile(r"\s*+(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})")
# Day and month in front, once slashes have become dashes: which of them comes first?
_SHORT_DATE = re.compile(r"(\d{1,2})([-.])(\d{1,2})[-.](\d{4})", re.ASCII)
_TIME = (  # what repeats is possessive: a cell is read in linear time
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
_SIGN_OF_ZONE = re.compile(
    r"[^T\s]*+[T\s].*[-+/年月]", re.S
)  # after the day; slashes become dashes before a date is read
_NO_TIME = np.datetime64("NaT", "us")
_SECOND = np.timedelta64(1, "s")


class Texts:
    """A column (N,) of texts, each different one kept once: what is asked of a text is asked once.

    Args:
        different: list of strings.
        codes: (N,) the place of each text among them, -1 where a value is missing.
    """

    dtype = np.dtype(object)

    def __init__(self, different, codes):
        self.different, self.codes = different, codes

    def __len__(self):
        return len(self.codes)

    def __iter__(self):
        return map([*self.different, None].__getitem__, self.codes.tolist())

    def __getitem__(self, where):
        codes = self.codes[where]
        if isinstance(codes, np.ndarray):
            return Texts(self.different, codes)
        return None if codes < 0 else self.different[codes]

    def each(self, found, missing, dtype) -> np.ndarray:
        """Return what was found of each different text, and of a missing one, at its places: (N,)."""
        values = np.empty(len(self.different) + 1, dtype)
        values[:-1], values[-1] = found, missing
        return values[self.codes]

    @property
    def counts(self) -> np.ndarray:
        """How often each different text occurs."""
        return np.bincount(self.codes + 1, minlength=len(self.different) + 1)[1:]

    @property
    def seen(self) -> list:
        """Those that occur, in order of appearance."""
        first = np.full(len(self.different) + 1, len(self))
        np.minimum.at(first, self.codes, np.arange(len(self)))
        order = np.argsort(first[:-1], kind="stable")
        return [self.different[place] for place in order if first[place] < len(self)]


def plain(values) -> "np.ndarray | Texts":
    """Return a column of any kind (an array, a list, a pandas Series) as an array (N,).

    Numbers, booleans and times keep their NumPy type; durations become seconds; a Series of nothing but texts becomes
    `Texts`; anything else objects, None where a value is missing.
    """
    if isinstance(values, Texts):
        return values
    if not isinstance(values, np.ndarray) and hasattr(values, "notna"):  # a Series: pandas is there already
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
    """Return a Series of texts as `Texts`, None of anything else."""
    if type(series.dtype).__name__ != "StringDtype" and (
        series.dtype != object or not {type(value) for value in series} <= {str, float, type(None)}
    ):
        return None
    codes, different = series.factorize()
    if not all(isinstance(text, str) for text in different):  # a number among them
        return None
    return Texts(list(different), codes.astype(np.int32))


def _is_missing(value):
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas', which need not be installed
        return True
    return isinstance(value, float | np.floating | np.datetime64 | np.timedelta64) and bool(value != value)


def not_missing(values) -> np.ndarray:
    """Return where a plain column has a value."""
    if isinstance(values, Texts):
        return values.codes >= 0
    if values.dtype == object:
        return np.array([value is not None for value in values], bool)
    if values.dtype.kind == "M":
        return ~np.isnat(values)
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)


def to_numbers(values, *writings) -> np.ndarray:
    """Return a column as float64; what is not a finite number becomes NaN.

    Args:
        writings: how numbers that are text are written; of several, the first that reads a cell. Plainly by default.
    """
    values = plain(values)
    if isinstance(values, Texts):
        return values.each([_number(text, writings or (PLAIN,)) for text in values.different], np.nan, np.float64)
    if values.dtype == object:
        # The same text comes again and again: each different one is read once.
        texts = dict.fromkeys(value for value in values if isinstance(value, str))
        read = {text: _number(text, writings or (PLAIN,)) for text in texts}
        return np.array([read[v] if isinstance(v, str) else _number(v, (PLAIN,)) for v in values], np.float64)
    if values.dtype.kind == "M":
        return np.full(len(values), np.nan)
    numbers = values.astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def read_numbers(values, stored=None, decimal=None) -> np.ndarray:
    """Return a column as `to_numbers` does, read by what training learned of it.

    A file whose decimal sign some of the cells contradict tells nothing of the doubtful ones among them; of a file that
    shows none, the other cells of the column may tell.

    Args:
        stored: see `kzoo.sources.tables.numbers.number_formats`.
        decimal: the decimal sign of the file; empty where its first lines show none, None where there is no file.
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
        except OverflowError:  # of Python's whole numbers
            return np.nan
        return number if abs(number) != np.inf else np.nan
    return next((number for number in (writing.read(value) for writing in writings) if number == number), np.nan)


def unreadable(values, numbers) -> np.ndarray:
    """Return the places of cells that hold something that is no number; what stands for a missing value is nothing.

    Args:
        values: a column as it stands.
        numbers: (N,) what `to_numbers` made of it.
    """
    values = plain(values)
    places = np.flatnonzero(np.isnan(numbers))
    places = places[not_missing(values[places])]
    if isinstance(values, Texts):
        words = values[places]
        return places[words.each([text.strip() not in MISSING for text in words.different], False, bool)]
    said = [not isinstance(values[place], str) or values[place].strip() not in MISSING for place in places]
    return places[np.array(said, bool)]


def word_of(text) -> str:
    """Return the category that a cell names: blanks around it, and how its lines end, make no other one."""
    return text.strip().replace("\r\n", "\n")


def to_words(values) -> np.ndarray:
    """Return a column as an array of strings (see `word_of`), None where a value is missing; 1067.0 is "1067".

    A column of whole numbers is one of decimals to pandas as soon as one of them is missing.
    """
    values = plain(values)
    if isinstance(values, Texts):
        return values.each([word_of(text) for text in values.different], None, object)
    words = np.empty(len(values), object)
    there = not_missing(values)
    if values.dtype.kind in "biuf":
        words[there] = values[there].astype(str).astype(object)
    else:
        words[there] = [word_of(str(value)) for value in values[there]]
    for place in np.flatnonzero(there & _whole(values)):
        words[place] = str(int(values[place]))
    return words


def _whole(values):
    """Say which values of a plain column are whole numbers that are stored as decimals."""
    if values.dtype.kind == "f":
        return (values == np.round(values)) & (np.abs(values) < 2**53)
    if values.dtype == object:
        decimals = (value if isinstance(value, float | np.floating) else 0.5 for value in values)
        return np.array([value.is_integer() and abs(value) < 2**53 for value in decimals], bool)
    return np.zeros(len(values), bool)


def counted(values) -> dict:
    """Return each different value of a column that is not missing, and how often it occurs."""
    values = plain(values)
    if isinstance(values, Texts):
        return {text: int(count) for text, count in zip(values.different, values.counts, strict=True) if count}
    return Counter(values[not_missing(values)].tolist())


def are_dates(values) -> bool:
    """Tell whether nearly all values of a column are dates in figures."""
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


def day_comes_first(name, values, notes) -> bool:
    """Tell whether 3/2/2024 is February 3 in a column: a number above 12 is a day; else a dot says so, a slash not.

    A column that leaves it open is read month first, and `notes` gets a line.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return False
    texts = (
        counted(values) if isinstance(values, Texts) else Counter(str(value) for value in values[not_missing(values)])
    )
    found = [(match.groups(), n) for text, n in texts.items() if (match := _SHORT_DATE.match(_date_text(text)))]
    one, other = (sum(n for parts, n in found if int(parts[place]) > 12) for place in (0, 2))
    if one != other:
        return one > other
    dotted = any(parts[1] == "." for parts, _ in found)
    if found and not dotted:
        notes.append(f"Dates in {name!r} are read month first, for no number tells. If wrong, write them 2024-02-03.")
    return dotted


def are_short_dates(values) -> bool:
    """Tell whether any date of a column has its day and its month in front, in one order or the other."""
    values = plain(values)
    return values.dtype.kind != "M" and any(_SHORT_DATE.match(_date_text(text)) for text in counted(values))


def day_first_again(name, values, notes, learned=None) -> bool:
    """Tell whether 3/2/2024 is February 3 in new rows: as training found it, unless these show that it is otherwise.

    Args:
        learned: what training found; None where its dates left nothing to tell.
    """
    if not are_short_dates(values):
        return bool(learned)
    if learned is None:
        return day_comes_first(name, values, notes)
    # With slashes alone it is numbers above 12 that tell, and a note says where none does.
    slashed, doubt = np.array([str(value).replace(".", "/") for value in counted(plain(values))], object), list[str]()
    own = day_comes_first(name, slashed, doubt)
    if doubt or own == learned:
        return learned
    first, was = ("day first", "month first") if own else ("month first", "day first")
    notes.append(f"Dates in {name!r} have the {first} here, and had the {was} in training: each is read as written.")
    return own


def may_be_zoned(values) -> bool:
    """Tell whether a date of a column may say how far it is from UTC: a quick look, which some others pass too."""
    values = plain(values)
    if values.dtype.kind == "M":
        return False
    texts = values.different if isinstance(values, Texts) else (str(value) for value in values)
    return any(map(_SIGN_OF_ZONE.match, texts))


def to_dates(values, day_first=False, wall_clock=False) -> np.ndarray:
    """Return a column as times (datetime64) without zone; what is not a date becomes NaT.

    Args:
        day_first: whether 3/2/2024 is February 3. A number above 12 is a day all the same.
        wall_clock: whether 10:00+02:00 is 10:00, as a clock there showed it, and not 8:00, in UTC. Times of NumPy are
            what they are.
    """
    values = plain(values)
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    if isinstance(values, Texts):
        found = [_date(_date_text(text), day_first, wall_clock) for text in values.different]
        return values.each(found, _NO_TIME, "datetime64[us]")
    # The same day comes again and again: each different text is read once. Not each different value: the hour that a
    # clock shows twice is equal to itself, as Python compares times of one zone.
    texts = ["" if word is None else word for word in to_words(values)]
    read = {text: _date(_date_text(text), day_first, wall_clock) for text in dict.fromkeys(texts)}
    return np.array([read[text] for text in texts], "datetime64[us]")


def _date_text(value):
    return re.sub("[年月/]", "-", str(value).strip()).replace("日", "")


def _date(text, day_first, wall_clock):
    """Return a moment, in UTC or on the clock that a text speaks of, or NaT."""
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
    year, month, day, hour, minute, second, fraction, half, zone = match.groups()
    hour = int(hour or 0)
    if half:
        if not 1 <= hour <= 12:
            return _NO_TIME
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    try:
        when = datetime(int(year), int(month or 1), int(day or 1), hour, int(minute or 0), int(second or 0))
        when += timedelta(microseconds=int(f"{fraction or 0:0<6}"[:6]))
        return np.datetime64(when if wall_clock else when - _offset(zone), "us")
    except (ValueError, OverflowError):  # no such day; or out of all years
        return _NO_TIME


def _offset(zone):
    if not zone or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def date_parts(dates) -> dict:
    """Return year, month, day, weekday (Monday is 0) and hour of times as float64, NaN where there is no time."""
    days, months, years = (dates.astype(f"datetime64[{unit}]") for unit in "DMY")
    parts = {
        "year": years.astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months).astype(np.int64) + 1,
        "weekday": (days.astype(np.int64) + 3) % 7,  # the epoch began on a Thursday
        "hour": (dates.astype("datetime64[h]") - days).astype(np.int64),
    }
    return {name: np.where(np.isnat(dates), np.nan, part.astype(np.float64)) for name, part in parts.items()}
