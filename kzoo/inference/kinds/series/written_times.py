"""How the cells of a time column are written, so that the times of a forecast are written alike. Imports only NumPy."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from kzoo.inference.tables.dates import month_named, to_dates
from kzoo.inference.tables.values import Cells, plain
from kzoo.utils.formatting import moments as moments_as_text

_SAMPLE = 200  # cells that show the format
_TOKEN = re.compile(r"\d+|[^\W\d_]+|.", re.S)
_ZONE = re.compile(r"(.*[:T\s]\d.*?)(\s*)(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)", re.S)
_WIDTHS = {
    "Y": 4,
    "y": 2,
    "q": 1,
}  # of a number that is always written with all digits; others may begin with a zero
# Fields of a number, the likelier first; those of one line exclude each other.
_DATES = ("Y", "m", "d", "y", "q")
_CLOCK = ("H", "I", "M", "S", "f")
_JOINED = {8: ("Ymd",), 6: ("Ym", "HMS"), 4: ("HM",)}
_ENGLISH = {
    "B": "January February March April May June July August September October November December",
    "A": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
}
_EXCLUSIVE = {"y": "Y", "I": "H"}  # a field that stands for another one


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A part of a written time.

    Args:
        name: "Y", "m", "d", "q" (quarter), "H", "I" (hour of 12), "M", "S", "f" (of a second), "p" (AM or PM),
            "B" (name of the month), "A" (name of the day), "z" (zone), several for digits without a sign between them;
            empty for a fixed text.
        width: number of digits, filled up with zeros; 0 for as few as possible.
        text: the fixed text, or an example of the zone.
        names: number -> name, of months, days and halves of the day.
    """

    name: str = ""
    width: int = 0
    text: str = ""
    names: Mapping[int, str] = field(default_factory=dict)

    def write(self, time: datetime) -> str | None:
        """Return this part of a time; None if it cannot be written so."""
        if not self.name:
            return self.text
        if self.name == "z":
            return _zone_text(time.utcoffset(), self.text)
        if self.name in _NAMED:
            return self.names.get(_NAMED[self.name](time))
        if self.name == "f":
            return f"{time.microsecond:06d}"[: self.width].ljust(self.width, "0")
        if len(self.name) > 1:
            return "".join(f"{_number(name, time):0{_WIDTHS.get(name, 2)}d}" for name in self.name)
        return f"{_number(self.name, time):0{self.width or 1}d}"


_NAMED = {
    "B": lambda time: time.month,
    "A": lambda time: time.weekday(),
    "p": lambda time: time.hour // 12,
}


def _number(name: str, time: datetime) -> int:
    """Return a field of a time as a number."""
    if name == "q":
        return (time.month + 2) // 3
    if name == "I":
        return time.hour % 12 or 12
    if name == "y":
        return time.year % 100
    names = {"Y": "year", "m": "month", "d": "day", "H": "hour", "M": "minute", "S": "second"}
    return int(getattr(time, names[name]))


def _zone_text(offset: timedelta | None, example: str) -> str | None:
    """Return an offset from UTC, written like an example; None if it is not known, or the example is UTC and it is not.

    Offsets of whole hours, such as +01, are written with minutes where there are some.
    """
    if offset is None:
        return None
    if example[0] not in "+-":
        return example if not offset else None
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = (
        "-" if minutes < 0 or (not minutes and example[0] == "-" and not int(example[1:3])) else "+"
    )
    if len(example) == 3 and not rest:
        return f"{sign}{hours:02d}"
    return f"{sign}{hours:02d}{':' if ':' in example or len(example) == 3 else ''}{rest:02d}"


@dataclass(frozen=True, kw_only=True)
class WrittenTimes:
    """The format of the cells of a time column.

    Args:
        parts: of a cell, in order.
        are_numbers: whether the cells are numbers, such as 20240131.
    """

    parts: tuple[_Part, ...]
    are_numbers: bool = False

    def write(self, times: Sequence[Any]) -> list[Any]:
        """Return times as the cells of the column; in the form 2024-01-31 if one of them would be read otherwise."""
        if not all(isinstance(time, datetime) for time in times):
            return moments_as_text(times)
        # Most series end together. In the hour that a clock shows twice, two times compare as equal.
        different = {(time, time.fold): time for time in times}
        texts = {key: self._text(time) for key, time in different.items()}
        cells = list(texts.values())
        if None in cells or not self._are_read_back(cells, list(different.values())):
            return moments_as_text(times)
        words = [texts[time, time.fold] for time in times]
        return [int(word or 0) for word in words] if self.are_numbers else words

    def _text(self, time: datetime) -> str | None:
        has_zone = any(part.name == "z" for part in self.parts)
        if has_zone != (time.utcoffset() is not None):
            return None
        words = [part.write(time) for part in self.parts]
        return None if None in words else "".join(word for word in words if word is not None)

    def _are_read_back(self, texts: Sequence[str | None], times: Sequence[datetime]) -> bool:
        """Return whether each text is read as its time: none has a part, such as a day, that the format leaves out."""
        order = [part.name for part in self.parts if part.name in ("d", "m")]
        read = to_dates(np.array(texts, object), day_first=order[:1] == ["d"], wall_clock=True)
        walls = np.array([time.replace(tzinfo=None) for time in times], "datetime64[us]")
        return bool((read == walls).all())


def written_times(
    cells: Cells, walls: np.ndarray, *, has_zone: bool, day_first: bool
) -> WrittenTimes | None:
    """Return how the cells of a time column are written.

    Args:
        cells: (N,) the column.
        walls: (N,) its times as datetime64, local as written; or numbers.
        has_zone: whether all cells state an offset from UTC.
        day_first: whether 3/2/2024 is February 3.

    Returns:
        None if the cells are no texts or digits, if there is no such format, or not a single one.
    """
    cells = plain(cells)
    if walls.dtype.kind != "M" or cells.dtype.kind == "M" or not len(walls):
        return None
    sample = np.unique(np.linspace(0, len(walls) - 1, _SAMPLE).astype(int))
    own = np.asarray(cells[sample], object).tolist()
    times = walls[sample].astype("datetime64[us]").tolist()
    if not all(isinstance(time, datetime) for time in times):
        return None
    are_numbers = not any(isinstance(cell, str) for cell in own)
    if are_numbers and not all(isinstance(cell, int | float) and cell == int(cell) for cell in own):
        return None  # other objects, such as dates
    if not are_numbers and not all(isinstance(cell, str) for cell in own):
        return None
    texts = [str(int(cell)) if are_numbers else cell.strip() for cell in own]
    zone: tuple[_Part, ...] = ()
    if has_zone:
        matches = [_ZONE.fullmatch(text) for text in texts]
        with_zone = [match for match in matches if match is not None]
        if len(with_zone) < len(texts) or len({match[2] for match in with_zone}) > 1:
            return None
        zone = (_Part(text=with_zone[0][2]), _Part(name="z", text=with_zone[-1][3]))
        texts = [match[1] for match in with_zone]
    tokens = [_TOKEN.findall(text) for text in texts]
    if len({len(row) for row in tokens}) > 1:
        return None
    columns = list(zip(*tokens, strict=True))
    parts = next(_assignments(columns, times, day_first, frozenset()), None)
    if parts is None or not any("Y" in part.name or part.name == "y" for part in parts):
        return None
    return WrittenTimes(parts=(*parts, *zone), are_numbers=are_numbers)


def _assignments(
    columns: Sequence[Sequence[str]],
    times: Sequence[datetime],
    day_first: bool,
    used: frozenset[str],
) -> Iterator[tuple[_Part, ...]]:
    """Yield the parts that the tokens of cells may be, the likeliest first; no field is used twice."""
    if not columns:
        yield ()
        return
    for part in _parts_of(columns[0], times, day_first):
        fields = {_EXCLUSIVE.get(name, name) for name in part.name}
        fields = {"m"} if fields == {"B"} else fields
        if not fields & used:
            for rest in _assignments(columns[1:], times, day_first, used | fields):
                yield (part, *rest)


def _parts_of(words: Sequence[str], times: Sequence[datetime], day_first: bool) -> Iterator[_Part]:
    """Yield what a token may be, given its texts in the cells and their times."""
    if not words[0].isdecimal():
        for name, number in _NAMED.items() if words[0].isalpha() else ():
            names = {number(time): word for word, time in zip(words, times, strict=True)}
            if len(set(names.values())) < len(names) or not _are_names(name, names):
                continue
            part = _Part(name=name, names=_all_names(name, names))
            if _fits(part, words, times):
                yield part
        if len(set(words)) == 1:
            yield _Part(text=words[0])
        return
    widths = {len(word) for word in words}
    for joined in _JOINED.get(len(words[0]), ()) if len(widths) == 1 else ():
        if _fits(_Part(name=joined), words, times):
            yield _Part(name=joined)
    dates = ("Y", "d", "m", "y", "q") if day_first else _DATES
    for name in (*dates, *_CLOCK):
        width = _WIDTHS.get(name, 0)
        width = max(widths) if name == "f" else width
        candidates = (width,) if width else (2, 0)
        for digits in candidates:
            if _fits(_Part(name=name, width=digits), words, times):
                yield _Part(name=name, width=digits)
                break


def _are_names(name: str, names: Mapping[int, str]) -> bool:
    """Return whether words may be the names of months, days or halves of the day."""
    if name == "B":
        return all(month_named(text) == number for number, text in names.items())
    return len(names) > 1 or _all_names(name, names) is not names


def _all_names(name: str, names: Mapping[int, str]) -> Mapping[int, str]:
    """Return the names of all months or days if those of some are English, else those that are known."""
    words = _ENGLISH.get(name, "").split()
    first = name == "B"  # months are counted from 1
    for length in (3, None):
        for change in (str.title, str.upper, str.lower):
            all_names = {number: change(word[:length]) for number, word in enumerate(words, first)}
            if words and names.items() <= all_names.items():
                return all_names
    return names


def _fits(part: _Part, words: Sequence[str], times: Sequence[datetime]) -> bool:
    return all(part.write(time) == word for word, time in zip(words, times, strict=True))
