"""Notes on cells that may mean something else: numbers for missing values, spellings, units that are not read."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from kzoo.utils.formatting import listed

_MOSTLY = 0.95  # share of the cells
_MOST_SHOWN = 3
_MIN_DISTINCT = 20  # texts of a column that may be numbers; fewer are likely categories
# A number, a time or a date with signs and a few letters around it, such as "12 kg", "Q3 2024" or "12-13".
_MEASURE = re.compile(
    r"\s*+(?:[^\W\d_]{1,3}[.:]?\s++)?[^\w\s]{0,2}\s*+\d(?:[\d.,:/'’_ -]|[^\W\d_]{1,8}\.?(?![^\W\d_])|[^\w\s]){0,40}",
)


def sentinel_notes(name: str, numbers: np.ndarray) -> list[str]:
    """Return a note, in a list, if the lowest or the highest number of a column may stand for a missing value.

    That is a number of nines, such as -999 or 99999, in several rows, further from all others than these from each
    other.

    Args:
        name: of the column.
        numbers: its finite numbers (N,).
    """
    notes = []
    for value in {float(numbers.min()), float(numbers.max())} if len(numbers) else ():
        if not (value.is_integer() and abs(value) < 1e15 and set(str(abs(int(value)))) == {"9"}):
            continue
        others = numbers[numbers != value]
        count = len(numbers) - len(others)
        if count < 2 or not len(others):
            continue
        low, high = float(others.min()), float(others.max())
        if max(value - high, low - value) > high - low:
            notes.append(
                f"Column {name!r} has {value:.0f} in {count:,} rows, far from all others ({low:.6g} to {high:.6g}). If "
                "it stands for a missing value, leave these cells empty."
            )
    return notes


def spelling_notes(what: str, words: Iterable[str]) -> list[str]:
    """Return a note, in a list, if words differ only in case or in blanks.

    Args:
        what: the words, at the beginning of a sentence: "Classes".
        words: the different words.
    """
    spellings: dict[str, list[str]] = {}
    for word in words:
        spellings.setdefault("".join(str(word).casefold().split()), []).append(str(word))
    same = [
        " and ".join(map(repr, sorted(group))) for group in spellings.values() if len(group) > 1
    ]
    if not same:
        return []
    return [
        f"{what} differ only in case or blanks: {listed(same, _MOST_SHOWN)}. If they are the same, write them alike."
    ]


def measure_notes(name: str, counts: Mapping[str, int]) -> list[str]:
    """Return a note, in a list, if texts that are not read as numbers or dates look like them.

    Args:
        name: of the column.
        counts: text -> number of its rows.
    """
    if len(counts) < _MIN_DISTINCT:
        return []
    rows = sum(counts.values())
    others = 0
    for text, count in counts.items():
        others += 0 if _MEASURE.fullmatch(text) else count
        if 1 - others / rows < _MOSTLY:
            return []
    return [
        f"Column {name!r} has {len(counts):,} texts that look like numbers or dates, and is not read as such: "
        f"{listed(map(repr, counts), _MOST_SHOWN)}. Write plain numbers of one unit, or dates as 2024-02-03. If they "
        f"are codes, use columns={{{name!r}: 'category'}}."
    ]
