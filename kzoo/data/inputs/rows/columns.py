"""Columns of a table, learned on training rows: kinds, number formats, statistics. `inference.py` applies them."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.inputs.rows.column_kind import MAX_CATEGORIES, column_kind
from kzoo.data.tables.cell_notes import measure_notes, sentinel_notes, spelling_notes
from kzoo.inference.kinds.rows.texts import cell_texts, learn_texts
from kzoo.inference.tables.dates import (
    date_parts,
    detect_day_first,
    may_have_offset,
    to_dates,
    writing_notes,
)
from kzoo.inference.tables.numbers import (
    CLOCK,
    NumberFormat,
    StoredFormat,
    is_padded,
    learn_number_format,
)
from kzoo.inference.tables.raw import MOST, Rows
from kzoo.inference.tables.values import (
    MISSING,
    Cells,
    Column,
    are_filled,
    not_missing,
    plain,
    texts_in,
    value_counts,
)
from kzoo.inference.tasks.values import ColumnStatistics
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed

if TYPE_CHECKING:
    from pandas import DataFrame

# share of the training cells, below which new rows with more unreadable cells are not refused
_MIN_READABLE = 0.75
_LAST = ("category", "text")  # kinds of the last features of a row, in this order
_WEIGHT_NAMES = ("sample_weight", "sample_weights")
_WEIGHTS = "If it says how much each row counts, set sample_weight={!r}. "
_ID_NAME = re.compile(
    r"(.*[_ ])?((?i:id|uuid|guid|index)|Unnamed: 0)|[A-Za-z]*[a-z](Id|ID)|.*(编号|序号)"
)


def learn_columns(
    table: Rows,
    train: np.ndarray,
    *,
    decimal: str | None = None,
    clip: bool = False,
    notes: list[str],
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    format_warnings: list[str] | None = None,
    excluded: dict[str, str] | None = None,
    file: bool = False,
    date_order: str | None = None,
) -> list[LearnedColumn]:
    """Learn each useful column on the training rows, as JSON data.

    Args:
        table: `Rows` without target.
        train: indices of the training rows.
        decimal: decimal sign of the file.
        clip: clip numbers at their 0.1 and 99.9 percentiles.
        notes: list that notes for the user are appended to.
        overrides: column options of the user, see `column_options`.
        format_warnings: list that a line is appended to for each column with ambiguous numbers or mixed units, or whose
            categories are mostly numbers.
        excluded: dict that gets name -> reason for each column that is not useful.
        file: whether the cells come from a CSV file, or are read like those of one.
        date_order: see `kzoo.load_data`.

    Returns:
        A list of dicts: numbers and dates in the order of the table, then categories, then texts.
    """
    requested = dict(overrides or {})
    format_warnings = [] if format_warnings is None else format_warnings
    learned = {
        name: _learn_column(
            name,
            table[name][train],
            clip,
            notes,
            requested.get(name),
            format_warnings,
            decimal,
            file,
            date_order,
        )
        for name in table.columns
    }
    notes += (
        f"Column {name!r} is excluded although columns= lists it: {learned[name]}."
        for name in requested
        if isinstance(learned.get(name), str)
    )
    if excluded is not None:
        excluded |= {name: column for name, column in learned.items() if isinstance(column, str)}
    useful = [column for column in learned.values() if not isinstance(column, str)]
    notes += weight_column_notes(column["name"] for column in useful)
    notes += text_column_notes(useful, requested)
    return sorted_by_kind(useful)


def sorted_by_kind(columns: Iterable[LearnedColumn]) -> list[LearnedColumn]:
    """Return learned columns in the order of their features: numbers and dates, categories, texts."""
    return sorted(
        columns, key=lambda column: _LAST.index(column["kind"]) if column["kind"] in _LAST else -1
    )


def text_column_notes(columns: Iterable[LearnedColumn], requested: Collection[str]) -> list[str]:
    """Return a note about the columns that are read as texts without a request.

    Args:
        columns: the learned columns.
        requested: names of columns with options of the user.
    """
    names = [
        column["name"]
        for column in columns
        if column["kind"] == "text" and column["name"] not in requested
    ]
    if not names:
        return []
    columns_are = ("Column", "is") if len(names) == 1 else ("Columns", "are")
    example = names[0]
    return [
        f"{columns_are[0]} {listed(map(repr, names), MOST)} {columns_are[1]} read as text: hashed words and pairs of "
        f"words. Exclude with drop={example!r}, or use columns={{{example!r}: 'category'}}."
    ]


def weight_column_notes(inputs: Iterable[str], *, weighted: bool = True) -> list[str]:
    """Return a note for each input that is named like sample weights: it may be meant as `sample_weight=`."""
    return [
        f"Column {name!r} is used as an input, not as sample weights. {_WEIGHTS.format(name) if weighted else ''}"
        f"Exclude it with drop={name!r} unless new rows have it too."
        for name in inputs
        if name.lower() in _WEIGHT_NAMES
    ]


def _learn_column(
    name: str,
    values: Column,
    clip: bool,
    notes: list[str],
    override: Mapping[str, str] | None,
    format_warnings: list[str],
    decimal: str | None,
    file: bool,
    date_order: str | None,
) -> LearnedColumn | str:
    """Return what is learned of a column, or the reason why it is excluded."""
    values = plain(values)
    requested = (override or {}).get("kind")
    if requested == "text":
        return _learn_text_column(name, values)
    column_warnings: list = []
    learn_format = partial(number_format_of, name, values, override, column_warnings, decimal)
    detected = column_kind(values, learn_format, requested=requested, file=file)
    if requested is None and not detected.mostly:
        notes += measure_notes(name, detected.categories)
    if detected.excluded:
        return detected.excluded
    if detected.kind == "text":
        return _learn_text_column(name, values)
    if detected.kind == "date":
        return _learn_date_column(name, values, notes, date_order, requested=requested == "date")
    if (numbers := detected.numbers) is not None:
        if not detected.readable:
            example = next(iter(value_counts(values[are_filled(values)])))
            raise KzooError(
                f"columns: {name!r} is declared as a number, but no value can be read as one, for example {example!r}."
            )
        if requested is None and _is_row_id(name, numbers):
            return "unique in all rows, like a row number or ID"
        format_warnings += column_warnings
        number_format = stored_number_format(detected.number_format, decimal)
        column = _learn_number_column(name, numbers, clip, number_format, notes)
        return column | _unreadable_flag(detected.readable)
    format_warnings += filter(None, [detected.finding(name)])
    counts = detected.categories
    if len(counts) > MAX_CATEGORIES:
        notes.append(
            f"Column {name!r} has {len(counts)} categories; only the {MAX_CATEGORIES} most frequent are used."
        )
    categories = sorted(counts, key=lambda category: (-counts[category], category))[:MAX_CATEGORIES]
    notes += spelling_notes(f"Categories of {name!r}", categories)
    return {"name": name, "kind": "category", "values": sorted(categories)}


def _learn_text_column(name: str, values: Column) -> LearnedColumn | str:
    """Return a text column, or the reason why it is excluded."""
    if not any(map(str.strip, cell_texts(values))):
        return "empty in the training rows"
    return {"name": name, "kind": "text", **learn_texts(values)}


def _unreadable_flag(readable: float) -> LearnedColumn:
    """Return the mark of a column with many unreadable training cells, so that new rows are not refused for it."""
    return {"unreadable": True} if readable < _MIN_READABLE else {}


def missing_value_notes(
    words: Mapping[str, Collection[str]],
    columns: Iterable[LearnedColumn],
    targets: Sequence[str] = (),
    classes: Collection[str] = (),
    *,
    file: bool = True,
) -> list[str]:
    """Return a note about words such as `NA` that are missing values in a file and may be categories, or the reverse.

    Args:
        words: name of a column -> words that the reader of the file took for missing values.
        columns: columns of `learn_columns`.
        targets, classes: names of targets that are classes, and of the classes.
        file: whether the table is a CSV file, or is read like one.
    """
    categories = {
        column["name"]: column["values"] for column in columns if column["kind"] == "category"
    }
    if not file:
        words = {name: MISSING.intersection(values) for name, values in categories.items()}
        words |= {name: MISSING.intersection(classes) for name in targets}
    names = [name for name in (*targets, *categories) if words.get(name)]
    examples = listed([f"{listed(map(repr, sorted(words[name])))} in {name!r}" for name in names])
    if not examples:
        return []
    if not file:
        return [
            f"Read as categories: {examples}. In a CSV file these are missing values. If they are missing here, "
            "replace them by None."
        ]
    return [
        f"Read as missing values, as is usual for CSV files: {examples}. If these are categories, pass a "
        "DataFrame of pandas.read_csv(..., keep_default_na=False)."
    ]


def zero_padding_notes(
    table: Rows, names: Iterable[str], converted: Mapping[str, str]
) -> Iterator[str]:
    """Yield a note for each number column with leading zeros, such as `01067`: its cells may be codes.

    Args:
        table: the rows.
        names: names of the number columns.
        converted: name -> such a cell, for columns that the reader of the file has converted to whole numbers.
    """
    for name in names:
        values = plain(table[name])
        cell = next(filter(is_padded, texts_in(values)), None)
        if values.dtype != object:
            cell = converted.get(name)
        if cell is not None:
            yield (
                f"Column {name!r} is read as a number, {cell!r} as {int(cell)}. If its cells are codes, use "
                f"columns={{{name!r}: 'category'}}."
            )


def number_format_of(
    name: str,
    values: Cells,
    override: Mapping[str, str] | None = None,
    format_warnings: list[str] | None = None,
    decimal: str | None = None,
) -> NumberFormat | None:
    """Return the format of the numbers in a text column; None if the column contains no texts.

    Args:
        name: name of the column.
        values: the column.
        override: the user's options of the column.
        format_warnings: list that a line is appended to if the numbers are ambiguous or have two units.
        decimal: decimal sign of the file.
    """
    values = plain(values)
    if values.dtype != object:
        return None
    texts = [text for text in texts_in(values) if text.strip() not in MISSING]
    if not texts:
        return None
    override = override or {}
    learned = learn_number_format(
        texts, decimal, decimal=override.get("decimal"), thousands=override.get("thousands")
    )
    if learned.other is not None and format_warnings is not None:
        number = learned.writing.read(learned.example)
        other_number = learned.other.read(learned.example)
        sign = learned.other.decimal
        format_warnings.append(
            f"Numbers of {name!r} are ambiguous: {learned.example!r} is read as {number:.12g}, not "
            f"{other_number:.12g}. If that is wrong, use columns={{{name!r}: {{'decimal': {sign!r}}}}}."
        )
    if learned.units and format_warnings is not None:
        (cell, value), (other_cell, other_value) = (
            (text, f"{learned.writing.read(text):.12g}") for text in learned.units
        )
        format_warnings.append(
            f"Numbers of {name!r} have two units: {cell!r} is read as {value}, {other_cell!r} as {other_value}. If "
            "that is wrong, convert them to one unit."
        )
    return learned.writing


def stored_number_format(
    number_format: NumberFormat | None, decimal: str | None
) -> StoredFormat | None:
    """Return the number format of a column as a preprocessor stores it, the argument of `number_formats`.

    Args:
        number_format: the result of `number_format_of`.
        decimal: decimal sign of the file, whose reader has already converted a column without texts.
    """
    if number_format is not None:
        return number_format.json()
    return {"decimal": ","} if decimal == "," else None


def number_formats_of(
    table: "Rows | DataFrame",
    names: Iterable[str],
    overrides: Mapping[str, Mapping[str, str]],
    format_warnings: list[str],
    decimal: str | None,
) -> dict[str, StoredFormat]:
    """Return name -> the number format of each column, as it is stored; columns of plain numbers have none.

    Args:
        table: `Rows` or a DataFrame.
        names: of the columns.
        overrides: column options of the user by name.
        format_warnings, decimal: see `number_format_of`.
    """
    formats = {}
    for name in names:
        learned = number_format_of(name, table[name], overrides.get(name), format_warnings, decimal)
        if (stored := stored_number_format(learned, decimal)) is not None:
            formats[name] = stored
    return formats


def _learn_number_column(
    name: str, numbers: np.ndarray, clip: bool, number_format: StoredFormat | None, notes: list[str]
) -> LearnedColumn:
    """Return a number column: its median, number format, limits, and whether values are missing."""
    finite = numbers[np.isfinite(numbers)]
    notes += [*ColumnStatistics.of(finite[:, None]).coarse([name]), *sentinel_notes(name, finite)]
    if number_format is not None and CLOCK in number_format.get("marks", ()):
        notes.append(f"Times of day in {name!r} are read as hours, 18:30 as 18.5.")
    column: LearnedColumn = {"name": name, "kind": "number", "median": float(np.median(finite))}
    if number_format is not None:
        column["writing"] = number_format
    column["missing"] = len(finite) < len(numbers)
    if clip:
        column["low"], column["high"] = (float(v) for v in np.percentile(finite, (0.1, 99.9)))
    return column


def _learn_date_column(
    name: str, values: Column, notes: list[str], date_order: str | None, requested: bool
) -> LearnedColumn | str:
    """Return a date column, with the medians of the parts of the date that vary, or the reason why it is excluded.

    Args:
        date_order: see `kzoo.load_data`.
        requested: whether the user has declared it a date, so that it must contain some.
    """
    day_first = detect_day_first(name, values, notes, date_order)
    notes += writing_notes(name, values, day_first)
    dates = to_dates(values, day_first, wall_clock=True)
    is_date = not_missing(dates)[are_filled(values)]
    if requested and not is_date.any():
        example = next(iter(value_counts(values)))
        raise KzooError(
            f"columns: {name!r} is declared as a date, but no value can be read as one, for example {example!r}."
        )
    parts = date_parts(dates).items()
    medians = {part: float(np.nanmedian(v)) for part, v in parts if np.nanmin(v) < np.nanmax(v)}
    if not medians:
        return "constant date and hour"
    order: LearnedColumn = {"day_first": True} if day_first else {}
    missing = np.isnat(dates)
    zoned = may_have_offset(values) and bool((dates != to_dates(values, day_first))[~missing].any())
    column: LearnedColumn = {
        "name": name,
        "kind": "date",
        **order,
        "zoned": zoned,
        "medians": medians,
    }
    return column | {"missing": bool(missing.any())} | _unreadable_flag(is_date.mean())


def fingerprint_columns(columns: Iterable[LearnedColumn]) -> list[dict[str, object]]:
    """Return columns as they enter the fingerprint of the data.

    Entries that older versions did not store are removed, so that fingerprints stay the same.
    """
    added_later = (("zoned", False), ("blank", True), ("unreadable", True))
    return [
        {key: value for key, value in column.items() if (key, value) not in added_later}
        for column in columns
    ]


def _is_row_id(name: str, numbers: np.ndarray) -> bool:
    """Return whether a column is named like an ID and contains different whole numbers."""
    if (
        not _ID_NAME.fullmatch(name)
        or not (np.isfinite(numbers) & (numbers == np.round(numbers))).all()
    ):
        return False
    return len(np.unique(numbers)) == len(numbers)
