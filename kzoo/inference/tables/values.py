"""Conversion of a column of raw values to numbers or words: the same in training and prediction, without pandas.

A column is an array (N,): numbers or times of NumPy, or objects with None for missing values; or `Texts`, which behaves
like such an array. Text is parsed only here and in `dates.py`: a cell of a CSV file, a dict or a DataFrame has the same
meaning.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import time, timedelta
from typing import Any, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from kzoo.inference.tables.numbers import (
    PLAIN,
    NumberReader,
    StoredFormat,
    contradicts,
    number_formats,
    shown_sign,
    simple_number,
)

# Words for a missing value.
MISSING = frozenset(
    (
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    )
)
# types of cells that are read without a call for each
NUMBERS = frozenset((bool, int, float, type(None)))
_SECOND = np.timedelta64(1, "s")
_CONVERTED = (timedelta, np.timedelta64, time)


class Texts:
    """A column (N,) of texts that stores each unique text once, so that it is also processed once.

    Args:
        different: list of the unique strings.
        codes: (N,) the index of each text in this list, -1 for a missing value.
    """

    dtype = np.dtype(object)

    def __init__(self, different: list[str], codes: np.ndarray) -> None:
        self.different, self.codes = different, codes

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str | None]:
        return map([*self.different, None].__getitem__, self.codes.tolist())

    def __getitem__(self, index: Any) -> Any:
        codes = self.codes[index]
        if isinstance(codes, np.ndarray):
            return Texts(self.different, codes)
        return None if codes < 0 else self.different[codes]

    def each(
        self, per_text: Sequence[object] | np.ndarray, missing: object, dtype: DTypeLike
    ) -> np.ndarray:
        """Return an array (N,): the item of `per_text` for each text, `missing` for missing values."""
        values = np.empty(len(self.different) + 1, dtype)
        values[:-1], values[-1] = per_text, missing
        return values[self.codes]

    @property
    def counts(self) -> np.ndarray:
        """The number of occurrences of each unique text."""
        return np.bincount(self.codes + 1, minlength=len(self.different) + 1)[1:]

    @property
    def seen(self) -> list[str]:
        """The unique texts that occur, in order of appearance."""
        first = np.full(len(self.different) + 1, len(self))
        np.minimum.at(first, self.codes, np.arange(len(self)))
        order = np.argsort(first[:-1], kind="stable")
        return [self.different[code] for code in order if first[code] < len(self)]


Column: TypeAlias = np.ndarray | Texts  # a plain column
# a column of any type: an array, a list, a Series of pandas, which have no type in common
Cells: TypeAlias = Any


def plain(values: Cells) -> "np.ndarray | Texts":
    """Return a column of any type (an array, a list, a pandas Series) as an array (N,).

    Numbers, booleans and times keep their NumPy type; durations become seconds, and times of day texts; a Series of
    texts only becomes `Texts`; everything else becomes objects, with None for missing values.
    """
    if isinstance(values, Texts):
        return values
    # a Series: pandas is already imported
    if not isinstance(values, np.ndarray) and hasattr(values, "notna"):
        if (
            str(values.dtype).startswith("datetime64")
            and getattr(values.dt, "tz", None) is not None
        ):
            values = values.dt.tz_localize(None)
        if (texts := texts_of(values)) is not None:
            return texts
        if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "biufmM":
            values = values.astype(object).where(values.notna(), None)
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind == "m":
        return values / _SECOND
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufM":
        return values
    out = np.empty(len(values), object)
    cells = list(values)
    if set(map(type, cells)) <= NUMBERS | {str}:
        out[:] = cells
        out[out != out] = None
    else:
        out[:] = [
            None
            if is_missing(cell)
            else cell
            if not isinstance(cell, _CONVERTED)
            else _converted(cell)
            for cell in cells
        ]
    return out


def _converted(value: timedelta | np.timedelta64 | time) -> str | float:
    """Return a duration as seconds, and a time of day as text."""
    return value.isoformat() if isinstance(value, time) else value / _SECOND


def texts_of(values: Cells) -> "Texts | None":
    """Return a column of texts, `Texts` or a Series, as `Texts`; None for any other column."""
    if isinstance(values, Texts) or not hasattr(values, "notna"):
        return values if isinstance(values, Texts) else None
    if type(values.dtype).__name__ == "CategoricalDtype":
        different = list(values.cat.categories)
        is_text = all(isinstance(text, str) for text in different)
        return (
            Texts(different, values.cat.codes.to_numpy().astype(np.int32, copy=False))
            if is_text
            else None
        )
    is_string_dtype = getattr(values.dtype, "type", None) is str
    # A column of objects may hold texts and missing values, which are None or a float (NaN).
    if not is_string_dtype and (
        values.dtype != object or set(map(type, values)) - {str, float, type(None)}
    ):
        return None
    codes, different = values.factorize()
    if not all(isinstance(text, str) for text in different):  # a float that is not NaN
        return None
    return Texts(list(different), codes.astype(np.int32))


def is_missing(value: object) -> bool:
    """Return whether a cell of any type is missing."""
    # of pandas, which need not be installed
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | np.datetime64 | np.timedelta64) and bool(
        value != value
    )


def not_missing(values: Column) -> np.ndarray:
    """Return a boolean array (N,) that is True where a plain column has a value."""
    if isinstance(values, Texts):
        return values.codes >= 0
    if values.dtype == object:
        return np.array([value is not None for value in values], bool)
    if values.dtype.kind == "M":
        return ~np.isnat(values)
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)


def are_filled(values: Column) -> np.ndarray:
    """Return which cells (N,) of a plain column are not missing, nor a word for a missing value."""
    if isinstance(values, Texts):
        return values.each([text.strip() not in MISSING for text in values.different], False, bool)
    present = not_missing(values)
    if values.dtype == object:
        present[[isinstance(cell, str) and cell.strip() in MISSING for cell in values]] = False
    return present


def texts_in(values: Column) -> list[str]:
    """Return the different texts of a plain column, in order of appearance; none of numbers and times."""
    if isinstance(values, Texts):
        return values.seen
    if values.dtype != object:
        return []
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def to_numbers(values: Cells, *writings: NumberReader) -> np.ndarray:
    """Return a column as float64; cells that are not finite numbers become NaN.

    Args:
        writings: formats of numbers in texts; the first one that can read a cell is used. The plain format by default.
    """
    values = plain(values)
    writings = writings or (PLAIN,)
    if isinstance(values, Texts):
        return values.each(_text_numbers(values.different, writings), np.nan, np.float64)
    if values.dtype == object:
        if set(map(type, values)) <= NUMBERS:
            with suppress(OverflowError):  # a large int
                return to_numbers(values.astype(np.float64))
        texts = texts_in(values)  # texts repeat: each unique one is parsed once
        read = dict(zip(texts, _text_numbers(texts, writings), strict=True))
        return np.array(
            [read[v] if isinstance(v, str) else _number(v, (PLAIN,)) for v in values], np.float64
        )
    if values.dtype.kind == "M":
        return np.full(len(values), np.nan)
    numbers = values.astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def read_numbers(
    values: Cells, stored: StoredFormat | None = None, decimal: str | None = None
) -> np.ndarray:
    """Return a column as `to_numbers` does, with the number format learned in training.

    If some cells contradict the decimal sign of the file, the sign is not used for ambiguous cells; if the file shows
    no sign, the other cells of the column may show it.

    Args:
        stored: see `kzoo.inference.tables.numbers.number_formats`.
        decimal: the decimal sign of the file; empty if its first lines show none, None if there is no file.
    """
    by_file = number_formats(stored, decimal)
    doubting = number_formats(stored or ({"decimal": decimal} if decimal else None))
    if decimal is None or len(doubting) < 2 or (by_file == doubting and decimal):
        return to_numbers(values, *by_file)
    values = values if isinstance(values, np.ndarray) else plain(values)
    if values.dtype != object:
        return to_numbers(values)
    texts = texts_in(values)
    if not decimal:
        return to_numbers(values, *number_formats(stored, shown_sign(texts, stored)))
    if any(contradicts(text, stored, decimal) for text in texts):
        return to_numbers(values, *doubting)
    return to_numbers(values, *by_file)


def _text_numbers(texts: Iterable[str], writings: Sequence[NumberReader]) -> list[float]:
    """Return the number in each text: most have digits and the decimal sign only, which every format reads alike."""
    decimal = writings[0].decimal
    is_simple = simple_number(decimal).fullmatch
    return [
        _finite(text.replace(decimal, ".") if decimal else text)
        if is_simple(text)
        else _number(text, writings)
        for text in texts
    ]


def _finite(value: SupportsFloat | str) -> float:
    number = float(value)
    return number if abs(number) != np.inf else np.nan


def _number(value: object, writings: Sequence[NumberReader]) -> float:
    if value is None:
        return np.nan
    if isinstance(value, int | float | np.integer | np.floating):
        try:
            return _finite(value)
        except OverflowError:  # a large int
            return np.nan
    return next(
        (number for number in (writing.read(value) for writing in writings) if number == number),
        np.nan,
    )


def unreadable_cells(values: Cells, numbers: np.ndarray) -> np.ndarray:
    """Return the indices of cells that hold something other than a number; words for missing values do not count.

    Args:
        values: the original column.
        numbers: (N,) the result of `to_numbers` for it.
    """
    indices = np.flatnonzero(np.isnan(numbers))
    return indices[are_filled(plain(values)[indices])]


def category_word(text: str) -> str:
    """Return the category named by a cell: surrounding blanks and the kind of line ends do not matter."""
    return text.strip().replace("\r\n", "\n")


def to_words(values: Cells) -> np.ndarray:
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


def _is_whole_float(values: np.ndarray) -> np.ndarray:
    """Return a boolean array (N,) that is True where a plain column has an integer stored as a float."""
    if values.dtype.kind == "f":
        return (values == np.round(values)) & (np.abs(values) < 2**53)
    if values.dtype == object:
        floats: list[Any] = [
            value if isinstance(value, float | np.floating) else 0.5 for value in values
        ]
        return np.array([value.is_integer() and abs(value) < 2**53 for value in floats], bool)
    return np.zeros(len(values), bool)


def distinct(values: Cells) -> list[Any]:
    """Return the cells of a column of any type, missing ones too: equal cells of one type once, lists each time."""
    if (texts := texts_of(values)) is not None:
        return [*texts.seen, *([None] if (texts.codes < 0).any() else [])]
    dtype = getattr(values, "dtype", np.dtype(object))
    if dtype.kind in "biufmM" or type(dtype).__name__ == "CategoricalDtype":
        return list(values.unique() if hasattr(values, "notna") else np.unique(values))
    cells = list(values)
    try:
        return [cell for _, cell in dict.fromkeys(zip(map(type, cells), cells, strict=True))]
    except TypeError:  # a list has no hash
        return cells


def each_distinct(function: Callable[[Any], Any], values: Cells) -> list[Any]:
    """Return `function` of each cell of a column (N,) of any type, called once for equal cells (see `distinct`)."""
    if (texts := texts_of(values)) is not None:
        results = [*map(function, texts.different), function(None)]
        return list(map(results.__getitem__, texts.codes.tolist()))
    cells = list(values)
    keys = list(zip(map(type, cells), cells, strict=True))
    once = distinct(cells)
    if len(once) == len(cells):
        return list(map(function, cells))
    result_of = {(type(cell), cell): function(cell) for cell in once}
    return list(map(result_of.__getitem__, keys))


def value_counts(values: Cells) -> dict[Any, int]:
    """Return unique value -> number of occurrences for the values of a column that are not missing."""
    values = plain(values)
    if isinstance(values, Texts):
        return {
            text: int(count)
            for text, count in zip(values.different, values.counts, strict=True)
            if count
        }
    return Counter(values[not_missing(values)].tolist())
