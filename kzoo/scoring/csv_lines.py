"""Lines of a CSV file from columns of Arrow, equal to those of Python's `csv.writer` byte by byte."""

from collections.abc import Sequence
from typing import IO

import numpy as np

from kzoo.inference.tables.arrow import Array, arrow
from kzoo.utils.formatting import csv_cell

_FORMULA = r"^[=+\-@\t\r]"


def csv_lines(file: IO[bytes], columns: Sequence[Array], separator: str) -> None:
    """Write the rows of columns.

    Args:
        file: a binary file.
        columns: arrays (N,) of numbers and texts; missing values are empty cells.
        separator: between the cells.
    """
    pa = arrow()
    compute = arrow("pyarrow.compute")
    cells = [
        _cells(column, separator, len(columns) == 1).cast(pa.large_string()) for column in columns
    ]
    lines = (
        compute.binary_join_element_wise(*cells, pa.scalar(separator, pa.large_string()))
        if len(cells) > 1
        else cells[0]
    )
    ended = compute.binary_join_element_wise(
        lines, pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string())
    )
    for chunk in ended.chunks if hasattr(ended, "chunks") else [ended]:
        if len(chunk):
            offsets = np.frombuffer(chunk.buffers()[1], np.int64, len(chunk) + 1, 8 * chunk.offset)
            file.write(memoryview(chunk.buffers()[2])[int(offsets[0]) : int(offsets[-1])])


def _cells(column: Array, separator: str, alone: bool) -> Array:
    """Return the cells of a column as texts, in quotation marks where they need them."""
    pa = arrow()
    compute = arrow("pyarrow.compute")
    if pa.types.is_floating(column.type):
        return _numbers(column)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return compute.fill_null(column.cast(pa.string()), "")
    column = compute.fill_null(column.cast(pa.string()), "")
    needs = compute.match_substring_regex(column, f'[{separator}"\r\n]')
    if alone:
        needs = compute.or_(needs, compute.equal(column, ""))
    if not compute.any(needs).as_py():
        return column
    doubled = compute.replace_substring(column, '"', '""')
    quoted = compute.binary_join_element_wise('"', doubled, '"', "")
    return compute.if_else(needs, quoted, column)


def _numbers(column: Array) -> Array:
    """Return floats as the shortest texts that stand for them, as `str` writes them; NaN is an empty cell."""
    pa = arrow()
    compute = arrow("pyarrow.compute")
    values = column.to_numpy(zero_copy_only=False)
    texts = compute.cast(column, pa.string())
    size = np.abs(values)
    # `str` writes the others with an exponent, or in other words.
    other = ~((size >= 1e-4) & (size < 1e16))
    if not other.any():
        return texts
    corrected = texts.to_numpy(zero_copy_only=False)
    corrected = corrected.copy()
    corrected[other] = ["" if value != value else str(value) for value in values[other]]
    return pa.array(corrected, pa.string())


def formulas_in(column: Array) -> int:
    """Return how many cells of a column of texts a spreadsheet would run."""
    compute = arrow("pyarrow.compute")
    begins = compute.match_substring_regex(column, _FORMULA)
    if not compute.any(begins).as_py():
        return 0
    return sum(text != csv_cell(text) for text in column.filter(begins).to_pylist())


def without_formulas(column: Array) -> Array:
    """Return a column of texts in which those that a spreadsheet would run have an apostrophe in front."""
    compute = arrow("pyarrow.compute")
    if not formulas_in(column):
        return column
    encoded = column.dictionary_encode()
    texts = arrow().array([csv_cell(text) for text in encoded.dictionary.to_pylist()], column.type)
    return compute.take(texts, encoded.indices)
