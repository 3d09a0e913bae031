"""Cells that hold labels: columns of yes and no, lists, and texts such as `a;b`. Does not import pandas."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from kzoo.inference.tables.values import (
    MISSING,
    Cells,
    distinct,
    each_distinct,
    is_missing,
    plain,
    to_numbers,
    value_counts,
)

SEPARATORS = (";", "|", ",", " ")
_SURE = (";", "|")  # separators that are rarely part of a name
_WORDS = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0, "y": 1.0, "n": 0.0, "t": 1.0, "f": 0.0}
_LISTS = (list, tuple, set, frozenset, np.ndarray)
_FEWEST_SPLIT = 0.05  # share of the cells with several labels, from which on a separator is likely
_MOST_CHARACTERS = 40  # of the mean label; longer ones are sentences


def flags(values: Cells) -> np.ndarray | None:
    """Return a column of 0 and 1, booleans, or yes and no as float64 (N,), NaN for missing cells.

    None if it has other values, or none at all.
    """
    values = plain(values)
    if values.dtype == object:
        flags_of_cells = each_distinct(lambda cell: np.nan if cell is None else _flag(cell), values)
        if None in flags_of_cells:
            return None
        numbers = np.array(flags_of_cells, np.float64)
    elif values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
    else:
        return None
    present = numbers[~np.isnan(numbers)]
    return numbers if present.size and np.isin(present, (0, 1)).all() else None


def _flag(value: object) -> float | None:
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


def has_lists(values: Cells) -> bool:
    """Return whether the cells of a column (N,) are lists, tuples, sets or arrays, apart from missing ones."""
    cells = distinct(values)
    if not any(issubclass(cell_type, _LISTS) for cell_type in set(map(type, cells))):
        return False
    return all(isinstance(cell, _LISTS) or is_missing(cell) for cell in cells)


def label_sets(values: Iterable[Any], separator: str = "") -> list[tuple[str, ...] | None]:
    """Return the labels of each cell, each once, in the order of the cell; None for a missing list.

    Args:
        values: cells: lists, tuples, sets or arrays of labels, or texts; numbers are the name of a label.
        separator: between the labels of a text; empty if a text is one label. Without text there are no labels.
    """
    is_list_column = has_lists(values := values if hasattr(values, "__len__") else list(values))

    def labels_of(cell: object) -> tuple[str, ...] | None:
        if isinstance(cell, _LISTS):
            return _label_names(
                sorted(cell, key=str) if isinstance(cell, set | frozenset) else cell
            )
        if is_missing(cell):
            return None if is_list_column else ()
        return split_cell(_name(cell), separator)

    return each_distinct(labels_of, values)


def split_cell(text: str, separator: str) -> tuple[str, ...]:
    """Return the labels of a text such as `a;b`, each once."""
    return _label_names(
        text.split(separator) if separator.strip() else text.split() if separator else [text]
    )


def _label_names(labels: Iterable[Any]) -> tuple[str, ...]:
    names = (_name(label) for label in labels if not is_missing(label))
    return tuple(dict.fromkeys(name for name in names if name))


def _name(value: object) -> str:
    """Return the name of a label: 3.0 is `3`."""
    if isinstance(value, float | np.floating) and value == int(value):
        return str(int(value))
    return str(value).strip()


def likely_separator(texts: Cells, *, sure: bool = False) -> str:
    """Return the separator of a column of texts such as `a;b`; empty if none is likely.

    A separator is likely if the cells are combinations of fewer labels: many cells have several, cells differ in their
    number of labels, and labels occur in several combinations. `,` and a blank are also part of names and sentences, so
    they need more combinations. Numbers such as `1,5` are not split.

    Args:
        texts: (N,) the cells; missing ones are None.
        sure: whether the column is known to have labels, so that any separator that occurs is the one.
    """
    counts: Counter[str] = Counter()
    for text, count in value_counts(texts).items():
        if isinstance(text, str) and (cell := text.strip()) not in MISSING:
            counts[cell] += count
    if not counts:
        return ""
    for separator in SEPARATORS:
        with_it = sum(count for cell, count in counts.items() if separator in cell)
        if not with_it:
            continue
        if sure and separator.strip():
            return separator
        if with_it >= _FEWEST_SPLIT * counts.total() and _is_combined(
            counts, separator, strict=separator not in _SURE
        ):
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
        len(labels) != len(re.split(re.escape(separator) + "+", cell.strip(separator)))
        for cell, labels in sets.items()
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
    return next(
        (sign for sign in (*SEPARATORS[:3], "\t") if not any(sign in name for name in names)), "\n"
    )
