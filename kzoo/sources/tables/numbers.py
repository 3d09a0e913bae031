"""Numbers as people and spreadsheets write them: `1,234.5`, `1.234,50 €`, `1 234`, `12 %`, `(5)`, `3.2万`.

How a column writes its numbers is learned once, on the training rows, and stored with it: the same text is the same
number ever after, and a text that the column's way does not read is no number. NumPy and the standard library alone.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

_SPOKEN = {"true": "1", "false": "0"}
DECIMALS, THOUSANDS = (".", ","), (",", ".", " ", "'")
_TIMES = {"千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8}
_CURRENCIES = (
    r"(?:US|A|C|NZ|HK|S|NT|R)?\$|[€£¥₹₩₽₺₫฿₪₦₱₴元圆圓円]|(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|TWD|KRW|"
    r"SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|BRL|MXN|ZAR|RUB|UAH|ILS|THB|IDR|MYR|PHP|VND|SFr|Fr|Rs|kr|zł|Kč|Ft)\.?"
)
# Spaces are possessive, and those among the digits count only before another one: a cell is read in linear time.
_CELL = re.compile(
    rf"(?P<sign>[+-]?)\s*+(?P<before>{_CURRENCIES})?\s*+(?P<inner>[+-]?)\s*+"
    rf"(?P<digits>[\d.](?:[\d.,'e]|e[+-]|\ ++(?=[\d.,'e]))*?)(?P<cents>[.,][-–—]{{1,2}})?"
    rf"\s*+(?P<times>[{''.join(_TIMES)}])?\s*+(?P<percent>%)?\s*+(?P<after>{_CURRENCIES})?(?P<rupees>/-)?(?P<behind>-)?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST = 500  # characters of a cell that may be a number with anything but digits and separators in it
# Words and signs of one currency; a sign of several, such as "¥", is one of its own.
_SAME = {
    "€": "EUR", "US$": "USD", "$": "USD", "£": "GBP", "RMB": "CNY", "元": "CNY", "圆": "CNY", "圓": "CNY", "円": "JPY",
    "₹": "INR", "Rs": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₴": "UAH", "₪": "ILS", "฿": "THB", "₫": "VND",
    "₱": "PHP", "A$": "AUD", "C$": "CAD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "NT$": "TWD", "R$": "BRL",
    "SFr": "CHF", "Fr": "CHF", "zł": "PLN", "Kč": "CZK", "Ft": "HUF",
}  # fmt: skip
_SAME = {word.upper(): code for word, code in _SAME.items()}
_UNITLESS = frozenset(("%", "()", "5-", *_TIMES))  # marks that are no currency
_BARE = re.compile(r"[+-]?\d[\d.,']*", re.ASCII)
_NO_MARKS: frozenset = frozenset()
_MINUS = str.maketrans({"−": "-", "‒": "-", "﹣": "-", "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'"})


@dataclass(frozen=True)
class Writing:
    """How the numbers of a column are written.

    Args:
        decimal: the decimal sign, "." or ","; empty where only whole numbers were seen: a cell that the two read as
            different numbers, such as `1.234`, is none then.
        thousands: what may stand between groups of digits, of `THOUSANDS`, one sign to a cell; empty for nothing.
        marks: what else stands in its cells: "%", a currency such as "€", "()" for minus, "万".
    """

    decimal: str = "."
    thousands: str = ""
    marks: frozenset = frozenset()

    @classmethod
    def of(cls, stored: dict) -> "Writing":
        """Return what `json` gave."""
        return cls(stored.get("decimal", ""), stored.get("thousands", ""), frozenset(stored.get("marks", ())))

    def json(self) -> dict:
        """Return it as plain data."""
        return {"decimal": self.decimal, "thousands": self.thousands, "marks": sorted(self.marks)}

    def read(self, value) -> float:
        """Return the number that a cell holds; NaN where it holds none, or is written in another way."""
        cell = _Cell.of(value)
        if cell is None or not cell.marks <= self.marks:
            return np.nan
        if self.decimal:
            return cell.number(self)
        read = {number for sign in DECIMALS if (number := cell.number(_grouped(self, sign))) == number}
        return read.pop() if len(read) == 1 else np.nan


PLAIN = Writing()


@dataclass(frozen=True)
class _Certain:
    """A way of writing that reads only the cells that no other decimal sign reads as another number."""

    writing: Writing

    def read(self, value) -> float:
        """Return the number that a cell holds; NaN where it holds none, or two signs read two numbers in it."""
        number = self.writing.read(value)
        return np.nan if number == number and len(_readings(value, self.writing.marks)) > 1 else number


def _readings(value, marks) -> set:
    """Return the numbers that a cell holds by one decimal sign or the other."""
    read = {_grouped(Writing(marks=marks), sign).read(value) for sign in DECIMALS}
    return {number for number in read if number == number}


def readings(value, stored) -> list:
    """Return the two numbers that an unreadable cell may hold, in order; none where it is unreadable for another cause.

    Args:
        value: the cell.
        stored: see `ways`.
    """
    found = _readings(value, frozenset((stored or {}).get("marks", ()))) if isinstance(value, str) else ()
    return sorted(found) if len(found) > 1 else []


def new_groups(texts, stored, decimal) -> tuple:
    """Return (text, its number, the other one that it may hold) of a cell in which a sign is taken for thousands.

    Empty without one, where training saw such signs, or where the file tells nothing: then such a cell is no number.

    Args:
        texts: the cells of a column.
        stored, decimal: see `ways`.
    """
    learned = (stored or {}).get("decimal")
    if not learned or len(number_formats(stored)) < 2 or decimal is None:
        return ()
    doubtful = [text for text in texts if _other(learned) in text and len(readings(text, stored)) > 1]
    if not doubtful or (decimal or shown_sign(texts, stored)) != learned:
        return ()
    if any(contradicts(text, stored, learned) for text in texts):
        return ()
    low, high = readings(doubtful[0], stored)
    return doubtful[0], high, low


def contradicts(text, stored, decimal) -> bool:
    """Say whether a cell is a number, and none by the decimal sign of its file.

    Args:
        text: the cell.
        stored: see `ways`.
        decimal: the decimal sign of the file.
    """
    other = _other(decimal)
    if other not in text and text.count(decimal) < 2:
        return False
    way = Writing(marks=frozenset((stored or {}).get("marks", ())))
    own = _grouped(way, decimal).read(text)
    return own != own and (read := _grouped(way, other).read(text)) == read


def shown_sign(texts, stored) -> str | None:
    """Return the decimal sign that the cells of a column show; None where they show none, or both.

    Args:
        texts: the cells.
        stored: see `ways`.
    """
    found = [sign for sign in DECIMALS if any(contradicts(text, stored, _other(sign)) for text in texts)]
    return found[0] if len(found) == 1 else None


def _other(sign) -> str:
    return DECIMALS[sign == DECIMALS[0]]


@cache
def _grouped(writing: Writing, decimal: str) -> Writing:
    """Return a way of writing with a decimal sign, and any other sign between groups of digits."""
    return replace(writing, decimal=decimal, thousands="".join(sign for sign in THOUSANDS if sign != decimal))


def number_formats(stored=None, decimal=None) -> tuple:
    """Return the ways of writing that are tried on the cells of a column, in order.

    Args:
        stored: what `Writing.json` gave of the texts that training saw; or the decimal sign alone, `{"decimal": ","}`,
            where a file's reader has made numbers of them; None where nothing was learned.
        decimal: the decimal sign of the file that holds the cells, which counts before that of training's file; None
            or empty where it shows none.

    Where training saw nothing between thousands, and the file does not show its decimal sign, a cell such as `4.455` is
    no number in a column of decimal commas: it may be 4455, and 4.455 written by a program.
    """
    if in_texts(stored):
        learned = Writing.of(stored)
        if not _may_group(learned) or learned.decimal == decimal:
            return (learned,)
        return (replace(learned, thousands=""), _Certain(learned))
    if decimal == ",":
        return (_grouped(PLAIN, ","), PLAIN)
    if (stored or {}).get("decimal") != ",":
        return (PLAIN,)
    if decimal == ".":
        return (PLAIN, _Certain(Writing(",")))
    return (Writing(","), _Certain(_grouped(PLAIN, ",")), _Certain(PLAIN))


def _may_group(learned) -> bool:
    """Say whether a column may have any sign between thousands, for training saw none: see `learn`."""
    return learned.decimal != "" and len(learned.thousands) > 1


def in_texts(stored) -> bool:
    """Say whether training saw the numbers of a column as texts, by what it stored for `ways`."""
    return "thousands" in (stored or {})


@dataclass(frozen=True)
class _Cell:
    """A text that may be a number: its digits and separators, and what stands around them."""

    digits: str
    factor: float
    marks: frozenset

    @classmethod
    def of(cls, value) -> "_Cell | None":
        text = str(value).strip()
        if _BARE.fullmatch(text):  # most are: this takes a third of the time
            return cls(text.lstrip("+-"), -1.0 if text[0] == "-" else 1.0, _NO_MARKS)
        if len(text) > _LONGEST:  # to normalise accents takes the square of their number
            return None
        text = unicodedata.normalize("NFKC", text).translate(_MINUS).strip()
        if text.lower() in _SPOKEN:
            return cls(_SPOKEN[text.lower()], 1.0, frozenset())
        marks, factor = set(), 1.0
        if text.startswith("(") and text.endswith(")"):
            text, factor = text[1:-1].strip(), -1.0
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
        if match["times"]:
            marks.add(match["times"])
            factor *= _TIMES[match["times"]]
        return cls(match["digits"].strip(), factor, frozenset(marks))

    def number(self, writing) -> float:
        match = _pattern(writing.decimal, writing.thousands).fullmatch(self.digits)
        if match is None:
            return np.nan
        whole = "".join(filter(str.isdigit, match[1] or "0"))
        number = float(f"{whole}.{match[2] or 0}{match[3] or ''}") * self.factor
        return number if abs(number) != np.inf else np.nan


@cache
def _pattern(decimal, thousands):
    """Return (whole part, digits behind the decimal sign, exponent); groups of three, or as in India, of two."""
    point, ways = re.escape(decimal), [r"\d+"]
    ways += [rf"[1-9]\d{{0,2}}(?:{re.escape(between)}\d{{3}})+" for between in thousands]
    if "," in thousands:
        ways.append(r"[1-9]\d?(?:,\d{2})+,\d{3}")
    return re.compile(
        rf"(?=[^e])({'|'.join(ways)})?(?:{point}(\d*))?(?<=[\d{point}])(?<!^{point})(e[+-]?\d+)?",
        re.ASCII | re.IGNORECASE,
    )


def shown_by(decimal) -> str:
    """Return a pattern of figures that a decimal sign alone explains: before three digits it may mean thousands."""
    sign = re.escape(decimal)
    return rf"(?:\d+{sign}(?:\d{{1,2}}|\d{{4,}})|(?:0|\d{{4,}}){sign}\d{{3}})"


_SHOWN = re.compile(rf"[+-]?(?:{'|'.join(map(shown_by, DECIMALS))})", re.ASCII)
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:[.,]\d{3})+", re.ASCII)


def is_shown(text) -> bool:
    """Say whether a text is a number whose decimal sign can be read in one way only."""
    return _SHOWN.fullmatch(text.strip()) is not None


_PADDED = re.compile(r"0\d{2,}", re.ASCII)


def is_padded(text) -> bool:
    """Say whether a text is a whole number with zeros in front, as codes have them: `01067`, but not `05` or `000`."""
    text = text.strip()
    return _PADDED.fullmatch(text) is not None and text.strip("0") != ""


def is_doubtful(texts, usual=None) -> bool:
    """Say whether another way of writing reads all texts of a column too, as other numbers: `1.234`, but no `1.5`.

    Args:
        texts: of which a file's reader makes numbers.
        usual: the decimal sign of the file.
    """
    grouped, others = None, []
    for text in map(str.strip, texts):
        if is_shown(text):
            return False
        if _GROUPS.fullmatch(text):
            grouped = text  # one stands for all
        elif not text.isdecimal():
            others.append(text)
    return grouped is not None and learn([grouped, *others], usual).other is not None


@dataclass(frozen=True)
class Learned:
    """What `learn` found.

    Args:
        writing: how the numbers are written.
        other: another way that reads all of them too, and some as other numbers; None without one.
        example: a text that the two read differently.
        units: two texts whose numbers are of two units, of which the writing says nothing: `37%` and `0.31`, `$5` and
            `€5`; empty without such.
    """

    writing: Writing
    other: Writing | None = None
    example: str = ""
    units: tuple = ()


def learn(values: Iterable[str], usual: str | None = None, *, decimal=None, thousands=None) -> Learned:
    """Find the way of writing that reads most of the texts of a column.

    Of ways that read as many, the first counts: a decimal point before a comma, none between thousands before any.

    Args:
        values: the texts.
        usual: the decimal sign of the file, which is tried first.
        decimal, thousands: the only ones that are tried, where a user names them.
    """
    cells = {text: _Cell.of(text) for text in dict.fromkeys(values)}
    there = {text: cell for text, cell in cells.items() if cell is not None}
    marks = frozenset().union(*(cell.marks for cell in there.values()))
    signs = (decimal,) if decimal else (",", ".") if usual == "," else DECIMALS
    groups = ("", thousands) if thousands else ("", *THOUSANDS)
    ways = [Writing(sign, between, marks) for sign in signs for between in groups if between != sign]
    read = {way: np.array([cell.number(way) for cell in there.values()]) for way in ways}
    count = {way: int(np.isfinite(numbers).sum()) for way, numbers in read.items()}
    best = max(ways, key=lambda way: count[way])
    units = _units({text: cell for text, cell in there.items() if abs(cell.number(best)) > 0})
    for other in ways:
        differs = np.isfinite(read[other]) & (read[other] != read[best])
        if count[other] == count[best] and differs.any():
            return Learned(best, other, list(there)[int(np.flatnonzero(differs)[0])], units)
    if not best.thousands:  # no number was large enough for groups so far: new ones may be
        known = decimal or usual == "," or any(best.decimal in cell.digits for cell in there.values())
        best = _grouped(best, best.decimal) if known else replace(best, decimal="")
    return Learned(best, units=units)


def _units(cells):
    """Return two texts, of cells by text, of which one is in percent and the other is not, or of two currencies."""
    percent: dict = {}
    money: dict = {}
    for text, cell in cells.items():
        percent.setdefault("%" in cell.marks, text)
        for word in cell.marks - _UNITLESS:
            money.setdefault(_SAME.get(word.upper(), word.upper()), text)
    return next((tuple(found.values())[:2] for found in (percent, money) if len(found) > 1), ())
