"""What a column of cells is: numbers, dates, categories or texts. One rule for every source and size of a table.

Cells that are empty or blank, and words such as `NA` (`MISSING`), are missing beside numbers and dates. Among
categories, a word such as `NA` is missing in CSV files and what is read like them, and a category elsewhere; a note
says which.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kzoo.inference.kinds.rows.texts import are_texts
from kzoo.inference.tables.dates import are_dates, to_dates
from kzoo.inference.tables.numbers import NumberFormat
from kzoo.inference.tables.values import (
    MISSING,
    Column,
    Texts,
    are_filled,
    category_word,
    not_missing,
    to_numbers,
    to_words,
    value_counts,
)
from kzoo.utils.formatting import listed, percent, shown
from kzoo.utils.optional import pandas as pd

MAX_CATEGORIES = 1000
_SURE = 0.95  # share of numbers from which on the other cells are mistakes
# share above which a column is one of numbers or dates, unless it has few different cells
_MOSTLY = 0.5
# at most so many different cells, each so often on average, are better read as categories
_FEW, _REPEATS = 20, 5
_SHOWN = 3  # cells in a message


@dataclass(frozen=True)
class ColumnKind:
    """What a column of cells is.

    Args:
        kind: "number", "date", "category" or "text".
        excluded: why the column is of no use; empty if it is.
        number_format, numbers: the format of a column of numbers (None without texts), and its numbers (N,), NaN where
            a cell is none.
        readable: share of these numbers among the cells that are not missing.
        categories: category -> number of cells, of a category, a text, or a different text in nearly every row.
        mostly, others: "number" or "date" if most cells of a category are, and the other cells: cell -> number.
    """

    kind: str = ""
    excluded: str = ""
    number_format: NumberFormat | None = None
    numbers: np.ndarray | None = field(default=None, compare=False)
    readable: float = 1.0
    categories: Mapping[str, int] = field(default_factory=dict)
    mostly: str = ""
    others: Mapping[Any, int] = field(default_factory=dict)

    def finding(self, name: str) -> str:
        """Return a line on a category whose cells are mostly numbers or dates; empty for other columns."""
        if not self.mostly:
            return ""
        rows, count = sum(self.categories.values()), sum(self.others.values())
        cells = sorted(self.others, key=lambda cell: (-self.others[cell], str(cell)))
        examples = listed([f"{shown(cell)} ({self.others[cell]:,})" for cell in cells], _SHOWN)
        return (
            f"Column {name!r} is read as categories, although {rows - count:,} of {rows:,} cells "
            f"({percent((rows - count) / rows)}) are {self.mostly}s. The others are {examples}. If that is wrong, use "
            f"columns={{{name!r}: {self.mostly!r}}}, and they count as missing."
        )


def column_kind(
    values: Column,
    learn_format: Callable[[], NumberFormat | None],
    *,
    requested: str | None = None,
    file: bool = False,
) -> ColumnKind:
    """Return what a column of cells is.

    If more than half of its cells are numbers, or dates, it is a column of these, and the others count as missing. But
    it is a category if more than 5 % of the cells are others and it has few different cells: at most 20, each five
    times on average. Other columns are texts or categories.

    Args:
        values: the training cells, a plain column (N,).
        learn_format: function that returns the format of the numbers in the column, None without texts.
        requested: the kind that the user has set, or None.
        file: whether the cells come from a CSV file, or are read like those of one.
    """
    is_filled = are_filled(values)
    filled = values if is_filled.all() else values[is_filled]
    if not len(filled):
        return ColumnKind(excluded="empty in the training rows")
    if len(filled) == len(values) and _is_constant(filled):
        return ColumnKind(excluded="constant")
    if requested == "category":
        return ColumnKind("category", categories=category_counts(values, file=file))
    if requested == "date" or (requested is None and are_dates(filled)):
        return ColumnKind("date")
    number_format = learn_format()
    numbers = to_numbers(values, *([] if number_format is None else [number_format]))
    is_number = np.isfinite(numbers)
    is_number = is_number if len(filled) == len(values) else is_number[is_filled]
    readable = float(is_number.mean())
    as_numbers = ColumnKind(
        "number", number_format=number_format, numbers=numbers, readable=readable
    )
    if requested == "number":
        return as_numbers
    others = {} if is_number.all() else value_counts(filled[~is_number])
    infinite = sum(count for cell, count in others.items() if _is_infinite(cell))
    if infinite == len(filled):
        return ColumnKind(excluded="infinite in all training rows")
    share = is_number.sum() / (len(filled) - infinite)
    if share >= _SURE:
        return as_numbers
    categories = category_counts(values, file=file)
    total = sum(categories.values())
    if share > _MOSTLY and _have_digits(filled[is_number]):
        as_category = ColumnKind("category", categories=categories, mostly="number", others=others)
        return as_numbers if decides(share, len(categories), total) else as_category
    if are_dates(filled, _MOSTLY) and (is_date := not_missing(to_dates(filled))).mean() > _MOSTLY:
        others = value_counts(filled[~is_date])
        as_category = ColumnKind("category", categories=categories, mostly="date", others=others)
        return (
            ColumnKind("date") if decides(is_date.mean(), len(categories), total) else as_category
        )
    if are_texts(categories, total, MAX_CATEGORIES):
        return ColumnKind("text", categories=categories)
    if len(categories) > 0.9 * total:
        return ColumnKind(excluded="a different text in nearly every row", categories=categories)
    return ColumnKind("category", categories=categories)


def decides(share: float, different: int, cells: float) -> bool:
    """Return whether a column is one of numbers, or of dates, because of the share of its cells that are.

    Args:
        share: that share.
        different, cells: how many different cells there are, and how many in all.
    """
    are_few = different <= min(_FEW, cells / _REPEATS)
    return share >= _SURE or (share > _MOSTLY and not are_few)


def missing_categories(file: bool) -> frozenset:
    """Return the words that are missing in a column of categories: of a CSV file all of `MISSING`, else blank cells."""
    return MISSING if file else frozenset({""})


def category_counts(values: Column, *, file: bool = False) -> Counter:
    """Return category -> number of cells of a plain column.

    Args:
        file: see `column_kind`.
    """
    categories: Counter = Counter()
    if isinstance(values, Texts):
        for text, count in value_counts(values).items():
            categories[category_word(text)] += count
    else:
        categories.update(to_words(values)[not_missing(values)].tolist())
    for word in missing_categories(file):
        categories.pop(word, None)
    return categories


def _is_constant(values: Column) -> bool:
    """Return whether all values of a column without missing values are equal."""
    if values.dtype == object:
        return (
            len(value_counts(values)) == 1
            if isinstance(values, Texts)
            else pd.Series(values).nunique() == 1
        )
    return bool((values == values[0]).all())


def _have_digits(cells: Column) -> bool:
    """Return whether some numbers are written in digits: a column of `True` and `False` is not one of numbers."""
    return any(any(map(str.isdigit, str(cell))) for cell in value_counts(cells))


def _is_infinite(cell: object) -> bool:
    """Return whether a cell that cannot be read as a finite number is infinite as float64: `inf`, `1e400`, 10**400."""
    if isinstance(cell, str):
        try:
            return math.isinf(float(cell))
        except ValueError:
            return False
    return isinstance(cell, int | float | np.number)
