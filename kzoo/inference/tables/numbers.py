"""Number formats of people and spreadsheets: `1,234.5`, `1.234,50 €`, `12 %`, `(5)`, `3.2万`, `2 TEUR`, `18:25`.

The format of a column is learned once, on the training rows, and stored: the same text always gives the same number,
and a text that does not match the format is not a number. NumPy and the standard library only.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias, TypedDict

import numpy as np

_SPOKEN = {"true": "1", "false": "0"}
DECIMALS = (".", ",")
THOUSANDS = (",", ".", " ", "'")
_MULTIPLIERS = {"千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8}
# Letters count next to a decimal sign or a currency only: "4K" may be a category.
_LETTERS = {"k": 1e3, "K": 1e3, "T": 1e3, "M": 1e6}
_WORDS = {
    "tsd": 1e3,
    "thousand": 1e3,
    "lakh": 1e5,
    "lakhs": 1e5,
    "mio": 1e6,
    "mln": 1e6,
    "mn": 1e6,
    "million": 1e6,
    "millions": 1e6,
    "crore": 1e7,
    "crores": 1e7,
    "mrd": 1e9,
    "bn": 1e9,
    "billion": 1e9,
    "billions": 1e9,
}
_CURRENCIES = (
    r"(?:US|A|C|NZ|HK|S|NT|R)?\$|[€£¥₹₩₽₺₫฿₪₦₱₴元圆圓円]|(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|TWD|KRW|"
    r"SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|BRL|MXN|ZAR|RUB|UAH|ILS|THB|IDR|MYR|PHP|VND|SFr|Fr|Rs|kr|zł|Kč|Ft)\.?"
)
# Spaces are possessive, and a space among digits must precede another digit: a cell is parsed in linear time.
_CELL = re.compile(
    rf"(?P<sign>[+-]?)\s*+(?P<before>{_CURRENCIES})?\s*+(?P<inner>[+-]?)\s*+"
    rf"(?P<digits>[\d.](?:[\d.,'e]|e[+-]|\ ++(?=[\d.,'e]))*?)(?P<cents>[.,][-–—]{{1,2}})?"
    rf"\s*+(?P<times>[{''.join(_MULTIPLIERS)}]|(?:{'|'.join(_WORDS)})\.?|[KM]|T(?={_CURRENCIES}))?\s*+(?P<percent>%)?\s*+(?P<after>{_CURRENCIES})?(?P<rupees>/-)?(?P<behind>-)?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST = 500  # characters of a cell with more than digits and separators that may be a number
# Words and signs of each currency. Signs of several currencies, such as "¥", are not merged.
_CURRENCY_CODES = {
    "€": "EUR",
    "US$": "USD",
    "$": "USD",
    "£": "GBP",
    "RMB": "CNY",
    "元": "CNY",
    "圆": "CNY",
    "圓": "CNY",
    "円": "JPY",
    "₹": "INR",
    "Rs": "INR",
    "₩": "KRW",
    "₽": "RUB",
    "₺": "TRY",
    "₴": "UAH",
    "₪": "ILS",
    "฿": "THB",
    "₫": "VND",
    "₱": "PHP",
    "A$": "AUD",
    "C$": "CAD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "NT$": "TWD",
    "R$": "BRL",
    "SFr": "CHF",
    "Fr": "CHF",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
}
_CURRENCY_CODES = {word.upper(): code for word, code in _CURRENCY_CODES.items()}
_LETTER, _WORD, CLOCK = "k", "million", ":"  # marks of `_LETTERS`, of `_WORDS`, and of `18:25`
# marks that are not currencies
_UNITLESS = frozenset(("%", "()", "5-", _LETTER, _WORD, CLOCK, *_MULTIPLIERS))
_CLOCK_TIME = re.compile(
    r"(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:[.,](\d{1,9}))?)?\s*+(?:([AP])\.?M\.?)?",
    re.ASCII | re.IGNORECASE,
)
_BARE = re.compile(r"[+-]?\d[\d.,']*", re.ASCII)
_NO_MARKS: frozenset = frozenset()
_MINUS = str.maketrans(
    {"−": "-", "‒": "-", "﹣": "-", "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'"}
)


class StoredFormat(TypedDict, total=False):
    """A number format as plain data (see `NumberFormat`), or only the decimal sign."""

    decimal: str
    thousands: str
    marks: list[str]


@dataclass(frozen=True)
class NumberFormat:
    """The number format of a column.

    Args:
        decimal: the decimal sign, "." or ","; empty if only integers were seen. Then a cell that the two signs read as
            different numbers, such as `1.234`, is not a number.
        thousands: the separators allowed between groups of digits, from `THOUSANDS`, one kind per cell; empty for none.
        marks: other marks in the cells: "%", a currency such as "€", "()" for minus, "万"; "k" and "million" for all
            letters and words of that kind; ":" for hours and minutes.
    """

    decimal: str = "."
    thousands: str = ""
    marks: frozenset = frozenset()

    @classmethod
    def of(cls, stored: StoredFormat) -> "NumberFormat":
        """Return the format from the data that `json` returned."""
        return cls(
            stored.get("decimal", ""),
            stored.get("thousands", ""),
            frozenset(stored.get("marks", ())),
        )

    def json(self) -> StoredFormat:
        """Return the format as plain data."""
        return {"decimal": self.decimal, "thousands": self.thousands, "marks": sorted(self.marks)}

    def read(self, value: object) -> float:
        """Return the number in a cell; NaN if the cell is not a number in this format."""
        cell = _Cell.of(value)
        if cell is None or not cell.marks <= self.marks:
            return np.nan
        if self.decimal:
            return cell.number(self)
        read = {
            number for sign in DECIMALS if (number := cell.number(_grouped(self, sign))) == number
        }
        return read.pop() if len(read) == 1 else np.nan


PLAIN = NumberFormat()


@dataclass(frozen=True)
class _UnambiguousWriting:
    """A number format that reads only cells to which the other decimal sign does not give another number."""

    writing: NumberFormat

    @property
    def decimal(self) -> str:
        return self.writing.decimal

    def read(self, value: object) -> float:
        """Return the number in a cell; NaN if there is none, or if the two decimal signs give different numbers."""
        number = self.writing.read(value)
        return (
            np.nan if number == number and len(_readings(value, self.writing.marks)) > 1 else number
        )


NumberReader: TypeAlias = NumberFormat | _UnambiguousWriting


def _readings(value: object, marks: frozenset[str]) -> set:
    """Return the numbers that the two decimal signs give for a cell."""
    read = {_grouped(NumberFormat(marks=marks), sign).read(value) for sign in DECIMALS}
    return {number for number in read if number == number}


def possible_numbers(value: object, stored: StoredFormat | None) -> list[float]:
    """Return the two possible numbers of an ambiguous cell, sorted; an empty list if it is unreadable for another
    reason.

    Args:
        value: the cell.
        stored: see `number_formats`.
    """
    numbers = (
        _readings(value, frozenset((stored or {}).get("marks", ())))
        if isinstance(value, str)
        else ()
    )
    return sorted(numbers) if len(numbers) > 1 else []


def unseen_thousands(
    texts: Iterable[str], stored: StoredFormat | None, decimal: str | None
) -> tuple[str, float, float] | tuple[()]:
    """Return (text, its number, the other possible number) of a cell in which a sign is read as a thousands separator.

    Empty if there is none, if training saw such separators, or if the file does not decide: then the cell is not a
    number.

    Args:
        texts: the cells of a column.
        stored, decimal: see `number_formats`.
    """
    learned = (stored or {}).get("decimal")
    if not learned or len(number_formats(stored)) < 2 or decimal is None:
        return ()
    doubtful = [
        text
        for text in texts
        if _other(learned) in text and len(possible_numbers(text, stored)) > 1
    ]
    if not doubtful or (decimal or shown_sign(texts, stored)) != learned:
        return ()
    if any(contradicts(text, stored, learned) for text in texts):
        return ()
    low, high = possible_numbers(doubtful[0], stored)
    return doubtful[0], high, low


def contradicts(text: str, stored: StoredFormat | None, decimal: str) -> bool:
    """Return True if a cell is a number, but not with the decimal sign of its file.

    Args:
        text: the cell.
        stored: see `number_formats`.
        decimal: the decimal sign of the file.
    """
    other = _other(decimal)
    if other not in text and text.count(decimal) < 2:
        return False
    writing = NumberFormat(marks=frozenset((stored or {}).get("marks", ())))
    number = _grouped(writing, decimal).read(text)
    return number != number and (read := _grouped(writing, other).read(text)) == read


def shown_sign(texts: Iterable[str], stored: StoredFormat | None) -> str | None:
    """Return the decimal sign that the cells of a column show; None if they show none, or both.

    Args:
        texts: the cells.
        stored: see `number_formats`.
    """
    signs = [
        sign for sign in DECIMALS if any(contradicts(text, stored, _other(sign)) for text in texts)
    ]
    return signs[0] if len(signs) == 1 else None


def _other(sign: str) -> str:
    return DECIMALS[sign == DECIMALS[0]]


@cache
def _grouped(writing: NumberFormat, decimal: str) -> NumberFormat:
    """Return a format with a decimal sign, in which any other sign may separate groups of digits."""
    return replace(
        writing, decimal=decimal, thousands="".join(sign for sign in THOUSANDS if sign != decimal)
    )


def number_formats(
    stored: StoredFormat | None = None, decimal: str | None = None
) -> tuple[NumberReader, ...]:
    """Return the number formats to try on the cells of a column, in order.

    Args:
        stored: the result of `Writing.json` for the texts seen in training; or only the decimal sign, `{"decimal":
            ","}`, if the reader of the file converted them to numbers; None if nothing was learned.
        decimal: the decimal sign of the file that holds the cells, which takes precedence over that of the training
            file; None or empty if the file shows none.

    If training saw no thousands separators, and the file does not show its decimal sign, a cell such as `4.455` in a
    column with decimal commas is not a number: it may be 4455, or 4.455 written by a program.
    """
    if stored is not None and learned_from_texts(stored):
        learned = NumberFormat.of(stored)
        if not _has_unseen_grouping(learned) or learned.decimal == decimal:
            return (learned,)
        return (replace(learned, thousands=""), _UnambiguousWriting(learned))
    if decimal == ",":
        return (_grouped(PLAIN, ","), PLAIN)
    if (stored or {}).get("decimal") != ",":
        return (PLAIN,)
    if decimal == ".":
        return (PLAIN, _UnambiguousWriting(NumberFormat(",")))
    return (
        NumberFormat(","),
        _UnambiguousWriting(_grouped(PLAIN, ",")),
        _UnambiguousWriting(PLAIN),
    )


def _has_unseen_grouping(learned: NumberFormat) -> bool:
    """Return True if a column may have any thousands separator because training saw none: see `learn`."""
    return learned.decimal != "" and len(learned.thousands) > 1


def learned_from_texts(stored: StoredFormat | None) -> bool:
    """Return True if the numbers of a column were texts in training, judged by the data stored for `number_formats`."""
    return "thousands" in (stored or {})


@dataclass(frozen=True)
class _Cell:
    """A text that may be a number: its digits and separators, and the marks around them."""

    digits: str
    factor: float
    marks: frozenset
    hours: float | None = None  # of a time of day or a duration such as 18:25

    @classmethod
    def of(cls, value: object) -> "_Cell | None":
        text = str(value).strip()
        if _BARE.fullmatch(text):  # most cells: takes a third of the time
            return cls(text.lstrip("+-"), -1.0 if text[0] == "-" else 1.0, _NO_MARKS)
        if len(text) > _LONGEST:  # normalization is quadratic in the number of accents
            return None
        text = unicodedata.normalize("NFKC", text).translate(_MINUS).strip()
        if text.lower() in _SPOKEN:
            return cls(_SPOKEN[text.lower()], 1.0, frozenset())
        if (match := _CLOCK_TIME.fullmatch(text)) is not None:
            return cls._of_clock(*match.groups())
        marks = set()
        factor = 1.0
        if text.startswith("(") and text.endswith(")"):
            text = text[1:-1].strip()
            factor = -1.0
            marks.add("()")
        match = _CELL.fullmatch(text)
        if match is None:
            return None
        signs = [sign for sign in (match["sign"], match["inner"], match["behind"]) if sign]
        currencies = [word for word in (match["before"], match["after"]) if word]
        if len(signs) > 1 or len(currencies) > 1 or (signs and factor < 0):
            return None
        factor *= -1.0 if signs == ["-"] else 1.0
        if match["behind"]:
            marks.add("5-")
        marks |= {word.rstrip(".") for word in currencies}
        if match["percent"]:
            marks.add("%")
        if times := match["times"]:
            mark, multipliers = (
                (_LETTER, _LETTERS)
                if len(times) == 1 and times.isascii()
                else (times, _MULTIPLIERS)
                if len(times) == 1
                else (_WORD, _WORDS)
            )
            times = times.lower().rstrip(".") if mark == _WORD else times
            if times not in multipliers:  # m and t are not M and T
                return None
            marks.add(mark)
            factor *= multipliers[times]
        return cls(match["digits"].strip(), factor, frozenset(marks))

    @classmethod
    def _of_clock(
        cls, hour: str, minute: str, second: str | None, fraction: str | None, half: str | None
    ) -> "_Cell | None":
        hours = int(hour)
        if half:
            if not 1 <= hours <= 12:
                return None
            hours = hours % 12 + (12 if half in "pP" else 0)
        seconds = float(f"{second or 0}.{fraction or 0}")
        return cls("", 1.0, frozenset({CLOCK}), hours + int(minute) / 60 + seconds / 3600)

    def number(self, writing: NumberFormat) -> float:
        if self.hours is not None:
            return self.hours
        match = _pattern(writing.decimal, writing.thousands).fullmatch(self.digits)
        if match is None:
            return np.nan
        whole = "".join(filter(str.isdigit, match[1] or "0"))
        number = float(f"{whole}.{match[2] or 0}{match[3] or ''}") * self.factor
        return number if abs(number) != np.inf else np.nan


@cache
def _pattern(decimal: str, thousands: str) -> re.Pattern:
    """Return a pattern of (whole part, decimals, exponent); groups of three digits, or of two as in India."""
    point = re.escape(decimal)
    alternatives = [r"\d+"]
    alternatives += [
        rf"[1-9]\d{{0,2}}(?:{re.escape(separator)}\d{{3}})+" for separator in thousands
    ]
    if "," in thousands:
        alternatives.append(r"[1-9]\d?(?:,\d{2})+,\d{3}")
    return re.compile(
        rf"(?=[^e])({'|'.join(alternatives)})?(?:{point}(\d*))?(?<=[\d{point}])(?<!^{point})(e[+-]?\d+)?",
        re.ASCII | re.IGNORECASE,
    )


@cache
def simple_number(decimal: str) -> re.Pattern:
    """Return a pattern of numbers that begin with a digit and have neither marks nor separators of thousands.

    Every format with this decimal sign reads them alike.

    Args:
        decimal: the decimal sign; empty for integers.
    """
    point = re.escape(decimal)
    return re.compile(rf"[+-]?\d+(?:{point}\d*)?" if decimal else r"[+-]?\d+", re.ASCII)


def shown_by(decimal: str) -> str:
    """Return a pattern of numbers that show a decimal sign: before exactly three digits it may separate thousands."""
    sign = re.escape(decimal)
    return rf"(?:\d+{sign}(?:\d{{1,2}}|\d{{4,}})|(?:0|\d{{4,}}){sign}\d{{3}})"


_SHOWN = re.compile(rf"[+-]?(?:{'|'.join(map(shown_by, DECIMALS))})", re.ASCII)
_GROUP = 3  # digits
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:[.,]\d{3})+", re.ASCII)


def is_unambiguous(text: str) -> bool:
    """Return True if a text is a number whose decimal sign is unambiguous."""
    return _SHOWN.fullmatch(text.strip()) is not None


_PADDED = re.compile(r"0\d{2,}", re.ASCII)


def is_padded(text: str) -> bool:
    """Return True if a text is an integer with leading zeros, as codes have: `01067`, but not `05` or `000`."""
    text = text.strip()
    return _PADDED.fullmatch(text) is not None and text.strip("0") != ""


def are_ambiguous(texts: Iterable[str], decimal: str | None = None) -> bool:
    """Return True if all texts may also be other numbers: `1.234` alone, which may be 1234, but not next to `1.5`.

    Args:
        texts: cells that the reader of the file converts to numbers.
        decimal: the decimal sign of the file.
    """
    grouped = None
    other_texts = []
    for text in map(str.strip, texts):
        if is_unambiguous(text):  # it shows the decimal sign of the column
            return False
        if _GROUPS.fullmatch(text):
            grouped = text  # one example is enough
        elif not text.isdecimal():
            other_texts.append(text)
    return (
        grouped is not None
        and learn_number_format([grouped, *other_texts], decimal).other is not None
    )


@dataclass(frozen=True)
class LearnedFormat:
    """The result of `learn`.

    Args:
        writing: the number format.
        other: another format that also reads all texts, some of them as other numbers; None if there is none.
        example: a text that the two formats read differently.
        units: two texts with different units, which the format does not store: `37%` and `0.31`, `$5` and `€5`; empty
            if there are none.
    """

    writing: NumberFormat
    other: NumberFormat | None = None
    example: str = ""
    units: tuple = ()


def learn_number_format(
    values: Iterable[str],
    file_decimal: str | None = None,
    *,
    decimal: str | None = None,
    thousands: str | None = None,
) -> LearnedFormat:
    """Return the number format that reads most texts of a column.

    Ties go to the first format: a decimal point before a comma, no thousands separator before any.

    Args:
        values: the texts.
        file_decimal: the decimal sign of the file, which is tried first.
        decimal, thousands: the only signs to try, if the user specifies them.
    """
    cells = {text: _Cell.of(text) for text in dict.fromkeys(values)}
    numeric = {text: cell for text, cell in cells.items() if cell is not None}
    if not any(_LETTER in cell.marks and _shows_amount(cell) for cell in numeric.values()):
        numeric = {text: cell for text, cell in numeric.items() if _LETTER not in cell.marks}
    marks = frozenset().union(*(cell.marks for cell in numeric.values()))
    signs = (decimal,) if decimal else (",", ".") if file_decimal == "," else DECIMALS
    separators = ("", thousands) if thousands else ("", *THOUSANDS)
    writings = [
        NumberFormat(sign, separator, marks)
        for sign in signs
        for separator in separators
        if separator != sign
    ]
    read = {
        writing: np.array([cell.number(writing) for cell in numeric.values()])
        for writing in writings
    }
    count = {writing: int(np.isfinite(numbers).sum()) for writing, numbers in read.items()}
    best = max(writings, key=lambda writing: count[writing])
    units = _units({text: cell for text, cell in numeric.items() if abs(cell.number(best)) > 0})
    for other in writings:
        is_different = np.isfinite(read[other]) & (read[other] != read[best])
        if count[other] == count[best] and is_different.any():
            return LearnedFormat(
                best, other, list(numeric)[int(np.flatnonzero(is_different)[0])], units
            )
    if not best.thousands:  # no number so far was large enough for grouping; new ones may be
        is_decimal_known = (
            decimal
            or file_decimal == ","
            or any(best.decimal in cell.digits for cell in numeric.values())
        )
        best = _grouped(best, best.decimal) if is_decimal_known else replace(best, decimal="")
    return LearnedFormat(best, units=units)


def _shows_amount(cell: _Cell) -> bool:
    """Return whether a cell with a letter for thousands has a decimal sign or a currency, too."""
    return not cell.digits.isdecimal() or len(cell.marks) > 1


def thousands_beside_integers(texts: Iterable[str]) -> tuple[str, ...]:
    """Return two texts, such as `1.900` and `656`, if all with a decimal point may have a thousands separator.

    Empty if another text shows that they have none, or if no integer is beside them.
    """
    grouped = whole = None
    for text in map(str.strip, texts):
        if text.lstrip("+-").isdecimal() and len(text.lstrip("+-")) <= _GROUP:
            whole = whole or text
        elif _GROUPS.fullmatch(text) and "," not in text:
            grouped = grouped or text
        else:
            return ()
    return (grouped, whole) if grouped and whole else ()


def _units(cells: Mapping[str, _Cell]) -> tuple[str, ...]:
    """Return two texts of `cells`: one in percent and one not, of two currencies, or of hours with and without seconds.

    Empty if there are none.
    """
    percent: dict = {}
    clock: dict = {}
    money: dict = {}
    for text, cell in cells.items():
        percent.setdefault("%" in cell.marks, text)
        clock.setdefault(text.count(":"), text)
        for currency in cell.marks - _UNITLESS:
            money.setdefault(_CURRENCY_CODES.get(currency.upper(), currency.upper()), text)
    return next(
        (tuple(examples.values())[:2] for examples in (percent, money, clock) if len(examples) > 1),
        (),
    )
