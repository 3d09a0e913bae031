"""Cells that hold labels: columns of yes and no, lists, and texts such as `a;b`. Does not import pandas."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kzoo.sources.tables.values import MISSING, Texts, plain, to_numbers

SEPARATORS = (";", "|", ",", " ")
_SURE = (";", "|")  # separators that are rarely part of a name
_WORDS = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0, "y": 1.0, "n": 0.0, "t": 1.0, "f": 0.0}
_LISTS = (list, tuple, set, frozenset, np.ndarray)
_FEWEST_SPLIT = 0.05  # share of the cells with several labels, from which on a separator is likely
_MOST_CHARACTERS = 40  # of the mean label; longer ones are sentences


def flags(values: Any) -> np.ndarray | None:
    """Return a column of 0 and 1, booleans, or yes and no as float64 (N,), NaN for missing cells.

    None if it has other values, or none at all.
    """
    values = plain(values)
    if isinstance(values, Texts):
        number_of = [_flag(text) for text in values.different]
        if any(number is None for text, number in zip(values.different, number_of, strict=True)):
            return None
        numbers = values.each(number_of, np.nan, np.float64)
    elif values.dtype == object:
        cells = [np.nan if value is None else _flag(value) for value in values]
        if any(cell is None for cell in cells):
            return None
        numbers = np.array(cells, np.float64)
    elif values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
    else:
        return None
    present = numbers[~np.isnan(numbers)]
    return numbers if present.size and np.isin(present, (0, 1)).all() else None


def _flag(value: Any) -> float | None:
    """Return 0, 1 or NaN for a cell; None if it is none of them."""
    if isinstance(value, str):
        word = value.strip()
        if word in MISSING:
            return np.nan
        if word.lower() in _WORDS:
            return _WORDS[word.lower()]
        number = to_numbers([word])[0]
    elif isinstance(value, bool | np.bool_ | int | float | np.number):
        number = float(value)
    else:
        return None
    return float(number) if number in (0, 1) else None


def has_lists(values: Any) -> bool:
    """Return whether the cells of a column (N,) are lists, tuples, sets or arrays, apart from missing ones."""
    cells = [value for value in values if not _is_none(value)]
    return bool(cells) and all(isinstance(cell, _LISTS) for cell in cells)


def label_sets(values: Iterable[Any], separator: str = "") -> list[tuple[str, ...] | None]:
    """Return the labels of each cell, each once, in the order of the cell; None for a missing list.

    Args:
        values: cells: lists, tuples, sets or arrays of labels, or texts; numbers are the name of a label.
        separator: between the labels of a text; empty if a text is one label. Without text there are no labels.
    """
    sets: list[tuple[str, ...] | None] = []
    is_list_column = has_lists(values := list(values))
    for value in values:
        if isinstance(value, _LISTS):
            sets.append(_distinct(sorted(value, key=str) if isinstance(value, set | frozenset) else value))
        elif _is_none(value):
            sets.append(None if is_list_column else ())
        else:
            sets.append(split_cell(_name(value), separator))
    return sets


def split_cell(text: str, separator: str) -> tuple[str, ...]:
    """Return the labels of a text such as `a;b`, each once."""
    return _distinct(text.split(separator) if separator.strip() else text.split() if separator else [text])


def _distinct(labels: Iterable[Any]) -> tuple[str, ...]:
    names = (_name(label) for label in labels if not _is_none(label))
    return tuple(dict.fromkeys(name for name in names if name))


def _name(value: Any) -> str:
    """Return the name of a label: 3.0 is `3`."""
    if isinstance(value, float | np.floating) and value == int(value):
        return str(int(value))
    return str(value).strip()


def _is_none(value: Any) -> bool:
    """Return whether a cell is missing."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def likely_separator(texts: Sequence[Any], *, sure: bool = False) -> str:
    """Return the separator of a column of texts such as `a;b`; empty if none is likely.

    A separator is likely if the cells are combinations of fewer labels: many cells have several, cells differ in their
    number of labels, and labels occur in several combinations. `,` and a blank are also part of names and sentences, so
    they need more combinations. Numbers such as `1,5` are not split.

    Args:
        texts: (N,) the cells; missing ones are None.
        sure: whether the column is known to have labels, so that any separator that occurs is the one.
    """
    cells = [text.strip() for text in texts if isinstance(text, str) and text.strip() not in MISSING]
    counts = Counter(cells)
    if not counts:
        return ""
    for separator in SEPARATORS:
        with_it = sum(count for cell, count in counts.items() if separator in cell)
        if not with_it:
            continue
        if sure and separator.strip():
            return separator
        if with_it >= _FEWEST_SPLIT * len(cells) and _is_combined(counts, separator, strict=separator not in _SURE):
            return separator
    return ""


def _is_combined(counts: Counter, separator: str, *, strict: bool) -> bool:
    """Return whether distinct cells are combinations of fewer labels.

    Args:
        counts: cell -> number of rows.
        separator: between the labels.
        strict: whether there must be more combinations.
    """
    sets = {cell: split_cell(cell, separator) for cell in counts}
    combinations = Counter(label for labels in sets.values() for label in labels)
    sizes = {len(labels) for labels in sets.values()}
    if not combinations or len(sizes) < 2 or max(map(len, combinations)) > 2 * _MOST_CHARACTERS:
        return False
    if any(
        len(labels) != len(re.split(re.escape(separator) + "+", cell.strip(separator))) for cell, labels in sets.items()
    ):
        return False  # a label twice in a cell: words of a sentence
    if not strict:
        return len(combinations) < len(sets)
    if separator == "," and np.isfinite(to_numbers(list(combinations))).all():
        return False  # decimal commas
    in_several = sum(count > 1 for count in combinations.values())
    return len(sets) >= 2 * len(combinations) and in_several >= 0.9 * len(combinations)


def free_separator(names: Iterable[str]) -> str:
    """Return a separator that is in none of the names, with which predictions are written."""
    names = list(names)
    return next((sign for sign in (*SEPARATORS[:3], "\t") if not any(sign in name for name in names)), "\n")
