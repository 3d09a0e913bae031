"""Encoding of raw rows as numbers, by the columns that `columns.py` has learned. Does not import pandas."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.inference.kinds.rows.column_options import check_target_options, column_options
from kzoo.inference.kinds.rows.input_parts import frequent_categories
from kzoo.inference.kinds.rows.input_parts import parts as parts
from kzoo.inference.kinds.rows.input_parts import typical as typical
from kzoo.inference.kinds.rows.texts import encode_texts
from kzoo.inference.sources.arrays import check_count, check_whole_numbers, numeric_array
from kzoo.inference.tables.dates import date_parts, day_first_of_new_rows
from kzoo.inference.tables.numbers import StoredFormat, possible_numbers, unseen_thousands
from kzoo.inference.tables.raw import (
    MOST,
    Rows,
    TableSource,
    as_names,
    check_keys,
    checked_rows,
    find_target,
    received_rows,
    require,
    rows_of,
    single_table,
)
from kzoo.inference.tables.values import (
    MISSING,
    Column,
    Texts,
    category_word,
    plain,
    texts_in,
    to_words,
    unreadable_cells,
)
from kzoo.inference.tables.zones import offset_of, zone_notes
from kzoo.problems.kinds import Shown
from kzoo.problems.layout import InputFacts, RawInputs
from kzoo.problems.preprocessors import LearnedColumn, TablePreprocessor
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import hint, listed, percent, plural, shown

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.inference.tables.arrow import TablePieces
    from kzoo.problems.data_arguments import DataArguments

FormField: TypeAlias = dict[str, Any]  # name, kind and default of a column, and what it may be
_MAX_SHOWN_COLUMNS = 16
_DECIMAL_NAMES = {",": "commas", ".": "points"}
_SHOWN = 3  # unreadable cells in a message
_MIN_UNREAD = 5  # unreadable cells: fewer are never too many
_BLOCK_ROWS = 2**13  # stacked at once: they fit into the processor's cache


def read(reader: TablePreprocessor, raw: TableSource) -> tuple[np.ndarray, TableSource]:
    """Encode raw rows (DataFrame, dict, list of dicts, path of a table) as `x`, or check an encoded array."""
    columns = reader["columns"]
    if isinstance(raw, np.ndarray):
        x = np.atleast_2d(numeric_array(raw, "Rows"))
        names = feature_names(columns)
        if x.ndim != 2 or x.shape[1] != len(names):
            raise KzooError(
                f"The rows have {plural(x.shape[-1], 'column')}, but the model expects {len(names)}: "
                f"{listed(names, MOST)}."
            )
        check(reader, x)
        return x.astype(np.float32), raw
    rows = checked_rows(raw, reader.get("targets", ()))
    if not len(rows):
        raise KzooError("There are no rows to encode. Pass at least one.")
    notes: list[str] = []
    x, unread = encode_new_rows(reader, rows, notes)
    for line in (*notes, *unread_notes(columns, rows, unread)):
        warn(line)
    return x, raw


def encode_new_rows(
    reader: TablePreprocessor, rows: Rows, notes: list[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Encode new rows, from any source.

    Args:
        reader: preprocessor learned in training.
        rows: `Rows`.
        notes: list that notes for the user are appended to, except those about unreadable cells.

    Returns:
        (x, name -> indices of unreadable cells).

    Raises:
        KzooError: a column is missing, in all rows or by another spelling in one, or most of its cells are unreadable.
    """
    check_columns(reader["columns"], rows)
    notes += check_keys(
        rows, [column["name"] for column in reader["columns"]], reader.get("targets", ())
    )
    unread: dict[str, np.ndarray] = {}
    missing: dict[str, int] = {}
    x = apply_columns(with_date_formats(reader, rows, notes), rows, unread, missing)
    for column in reader["columns"]:
        if (name := column["name"]) not in missing:
            continue
        examples = _first_cells(rows[name], unread[name])
        check_readable(column, len(unread[name]), len(rows) - missing[name], examples)
        if not column["missing"]:
            notes += missing_note(name, missing[name], len(rows))
        if (number_format := column.get("writing")) and rows.decimal is not None:
            notes += _thousands_note(
                name,
                unseen_thousands(texts_in(rows[name]), number_format, rows.decimal),
                number_format["decimal"],
            )
    return x, unread


def piece_encoder(reader: TablePreprocessor, pieces: "TablePieces", keep: Sequence[str]) -> Any:
    """Return a `PieceEncoder` for the pieces of a table, whose rows are predicted one by one."""
    module = import_module("kzoo.inference.kinds.rows.pieces")
    return module.PieceEncoder(reader, pieces, keep)


def piece_notes(reader: TablePreprocessor, *counts: Any) -> list[str]:
    """Return notes about the cells of tables that were encoded in pieces; see `pieces.notes_of`."""
    return import_module("kzoo.inference.kinds.rows.pieces").notes_of(reader, *counts)


def _thousands_note(
    name: str, ambiguous: tuple[str, float, float] | tuple[()], sign: str
) -> list[str]:
    """Return a note about a cell whose sign is read as a thousands separator, which training has not seen; [] without
    one.

    Args:
        name: name of the column.
        ambiguous: the result of `new_groups`: (cell, its number, its number by the other sign), or empty.
        sign: decimal sign of the column.
    """
    if not ambiguous:
        return []
    cell, number, other_number = ambiguous
    return [
        f"Column {name!r}: {cell!r} is read as {number:.12g}, because the file uses decimal {_DECIMAL_NAMES[sign]}; "
        f"the training data has no thousands separators. If it is {other_number:.12g}, write "
        f"{f'{other_number:.12g}'.replace('.', sign)}."
    ]


def missing_note(name: str, count: int, rows: int) -> list[str]:
    """Return a note if most cells of a column without missing values in training are missing; [] otherwise.

    Args:
        name: name of the column.
        count, rows: number of missing cells, and of all cells.
    """
    if count <= rows / 2:
        return []
    are, replaced = ("is", "It is replaced") if count == 1 else ("are", "They are replaced")
    return [
        f"Column {name!r}: {count} of {plural(rows, 'value')} {are} missing, but none was missing in training. "
        f"{replaced} by the median of the training rows."
    ]


@contextmanager
def in_table(part: str = "test") -> Iterator[None]:
    """Prefix `KzooError`s with a mention of the table of the test or of the validation rows."""
    try:
        yield
    except KzooError as error:
        raise error.within(f"In the {part} table: ") from None


def check(reader: TablePreprocessor, x: np.ndarray) -> None:
    """Refuse encoded rows of the right shape with codes that are not codes of a category, or ids that no text has."""
    categories, texts = (
        [c for c in reader["columns"] if c["kind"] == kind] for kind in ("category", "text")
    )
    start = x.shape[1] - sum(column["length"] for column in texts)
    for codes, column in zip(x.T[start - len(categories) : start], categories, strict=True):
        check_whole_numbers(codes, f"Codes of {column['name']!r}", len(column["values"]))
    for column in texts:
        check_whole_numbers(
            x[:, start : start + column["length"]],
            f"Ids of {column['name']!r}",
            column["buckets"] - 1,
        )
        start += column["length"]


def with_date_formats(
    reader: TablePreprocessor, rows: Rows, notes: list[str]
) -> list[LearnedColumn]:
    """Return the learned columns; date columns get the order of day and month of the new rows, and their time zone.

    Args:
        reader: preprocessor, with the order of day and month in training where it is known, and the time zones.
        rows: `Rows`.
        notes: list that notes are appended to if the order or the zone is ambiguous or differs from training.
    """
    columns = []
    for column in reader["columns"]:
        name = column["name"]
        if column["kind"] == "date" and name in rows:
            learned = column.get("day_first") or (
                False if name in reader.get("month_first", ()) else None
            )
            day_first = day_first_of_new_rows(name, rows[name], notes, learned)
            zone = reader.get("zones", {}).get(name)
            column = column | {"day_first": day_first, "zone": zone}
            minutes = None if zone is None else rows.minutes(name, day_first)
            if minutes is not None and (zone or np.isfinite(minutes).any()):
                notes += zone_notes(name, zone, rows.of_times(name, minutes, day_first))
        columns.append(column)
    return columns


def unread_notes(
    columns: Iterable[LearnedColumn | str],
    table: "Rows | DataFrame",
    unread: Mapping[str, np.ndarray],
    guessed: Collection[str] = (),
) -> Iterator[str]:
    """Yield a note for each column with unreadable cells or unknown categories, which count as missing.

    Args:
        columns: the learned columns, or names of number columns.
        table: `Rows`.
        unread: name -> indices of the cells that could not be read, see `apply_columns`.
        guessed: names of columns whose kind was detected: their notes say how to set it.
    """
    learned = {column["name"]: column for column in columns if isinstance(column, Mapping)}
    for name, indices in unread.items():
        if len(indices):
            column = learned.get(name, {})
            yield unread_note(
                name,
                column.get("kind", "number"),
                len(indices),
                len(table[name]),
                _first_cells(plain(table[name]), indices),
                column.get("writing"),
                name in guessed,
            )


def _first_cells(values: Column, indices: np.ndarray) -> list[tuple[int, Any]]:
    """Return (row, cell) for the first of the cells of a plain column that messages show."""
    return [(int(row), values[row]) for row in indices[:_SHOWN]]


def unread_note(
    name: str,
    kind: str,
    count: int,
    rows: int,
    cells: Sequence[tuple[int, Any]],
    number_format: StoredFormat | None = None,
    guessed: bool = False,
) -> str:
    """Return a note about unreadable cells of a column.

    Args:
        name, kind: name and kind of the column.
        count, rows: number of these cells, and of all cells.
        cells: the first of them: (row, value).
        number_format: stored number format of the column.
        guessed: whether the kind was detected, so that the note says how to set it.
    """
    single = count == 1
    examples = _cell_examples(cells)
    if kind == "category":
        reason = f"{'is a category' if single else 'are categories'} not seen in training"
    else:
        reason = f"cannot be read as a {kind}"
    more = f" and {count - len(examples)} more" if count > len(examples) else ""
    option = ""
    if guessed and any(isinstance(cell, str) for _, cell in cells):
        option = (
            f" {'It is' if single else 'They are'} {percent(count / rows)} of the column: if its cells are categories, "
            f"use columns={{{name!r}: 'category'}}."
        )
    return (
        f"Column {name!r}: {count} of {plural(rows, 'value')} {reason} and {'counts' if single else 'count'} as "
        f"missing ({', '.join(examples)}{more}).{ambiguity_hint(cells, number_format)}{option}"
    )


def _cell_examples(cells: Sequence[tuple[int, Any]]) -> list[str]:
    """Return descriptions of the first cells (row, value), such as "row 3: 'x'"."""
    return [f"row {row + 1}: {shown(cell)}" for row, cell in cells[:_SHOWN]]


def ambiguity_hint(cells: Sequence[tuple[int, Any]], number_format: StoredFormat | None) -> str:
    """Return a sentence about the first cell that may be one of two numbers, and how to write either; "" if none is."""
    for _, cell in cells:
        if numbers := possible_numbers(cell, number_format):
            low, high = (f"{number:.12g}" for number in numbers)
            sign = (number_format or {}).get("decimal", "")
            fix = f"{low.replace('.', sign)} or {high}" if sign else high
            return f" {shown(cell)} may be {low} or {high}: write {fix}, or pass numbers instead of texts."
    return ""


def is_unreadable(column: LearnedColumn, count: int, filled_count: int) -> bool:
    """Return whether most of the cells of a column that are not empty are unreadable, which they were not in training.

    Args:
        column: the learned column.
        count, filled_count: number of unreadable cells, and of cells that are not empty.
    """
    if column["kind"] in ("category", "text") or column.get("unreadable"):
        return False
    return count >= _MIN_UNREAD and count > filled_count / 2


def check_readable(
    column: LearnedColumn, count: int, filled_count: int, cells: Sequence[tuple[int, Any]]
) -> None:
    """Raise `KzooError` if most of the cells of a column in new rows are unreadable, which they were not in training.

    Args:
        column, count, filled_count: see `is_unreadable`.
        cells: the first unreadable cells: (row, value).
    """
    if not is_unreadable(column, count, filled_count):
        return
    examples = f", such as {listed(_cell_examples(cells))}" if cells else ""
    raise KzooError(
        f"The model reads column {column['name']!r} as a {column['kind']}, but {count} of "
        f"{plural(filled_count, 'value')} cannot be read as "
        f"one{examples}.{ambiguity_hint(cells, column.get('writing'))} Write them as in the training data, and leave "
        "cells without a value empty."
    )


def glance(table: TableSource, form: str, asked: "DataArguments") -> None:
    """Refuse a table by the names of its columns."""
    targets = find_target(table, asked.target)
    named = (asked.group, asked.sample_weight, asked.time)
    require(
        table,
        [*targets, *as_names(asked.drop), *(name for name in named if isinstance(name, str))],
        "the table",
    )
    check_target_options(column_options(asked.columns, table), targets)


def glance_new(
    reader: TablePreprocessor, table: "Rows | DataFrame", targets: Sequence[str]
) -> None:
    """Refuse new labelled rows by the names of their columns."""
    require(table, targets, "the table")
    check_columns(reader["columns"], table)


def check_columns(columns: Sequence[LearnedColumn], rows: "Rows | DataFrame") -> None:
    """Raise `KzooError` if a learned column is missing."""
    if missing := [column["name"] for column in columns if column["name"] not in rows]:
        names = {column["name"] for column in columns}
        suggestion = hint(missing[0], [name for name in rows.columns if name not in names])
        raise KzooError(
            f"Column {missing[0]!r} is missing. The columns are: {listed(rows.columns, MOST)}. {suggestion}".rstrip()
        )


def gather(words: Sequence[str]) -> Path:
    """Return the table that command-line arguments name."""
    return single_table(words)


def received(reader: TablePreprocessor, given: RawInputs, most: int | None = None) -> RawInputs:
    """Return the rows of a request: the bytes of a CSV file, objects by column, or rows of features."""
    rows = received_rows(given, "A row", most)
    check_count(len(rows), most)
    return rows


def form(
    reader: TablePreprocessor, typical_row: Sequence[float] = ()
) -> dict[str, list[FormField]]:
    """Return the fields of an input form, one per column, with their defaults.

    Args:
        reader: the preprocessor.
        typical_row: an encoded row (F,) whose categories are the defaults; empty for the first of each column.
    """
    zones = reader.get("zones", {})
    fields = [_field(column, zones.get(column["name"], "")) for column in reader["columns"]]
    frequent = frequent_categories(reader, typical_row) if len(typical_row) else {}
    for field in fields:
        field |= {"default": frequent[field["name"]]} if field["name"] in frequent else {}
    return {"columns": fields}


def _field(column: LearnedColumn, zone: str) -> FormField:
    """Return the form field of a column: its name, kind and default, and the categories or limits."""
    field = {"name": column["name"], "kind": column["kind"]}
    if column["kind"] == "category":
        return field | {"values": column["values"], "default": next(iter(column["values"]), None)}
    if column["kind"] == "text":
        return field | {"default": ""}
    if column["kind"] == "date":
        parts = {"year": 2000, "month": 1, "day": 1} | {
            part: round(median) for part, median in column["medians"].items()
        }
        time = " {hour:02}:00" if "hour" in parts else ""
        default = ("{year:04}-{month:02}-{day:02}" + time).format_map(parts)
        offset = "Z" if zone == "UTC" else zone if offset_of(zone) else ""
        zoned = {"offset": offset} if offset and time else {}  # appended to a time
        return field | {"default": default, "missing": column["missing"]} | zoned
    limits = {name: column[name] for name in ("low", "high") if name in column}
    return field | {"default": column["median"], "missing": column["missing"]} | limits


def example(reader: TablePreprocessor, x: np.ndarray) -> JsonObject:
    """Return a row of medians, of the first category of each category column, and of texts without words."""
    fields = form(reader)["columns"]
    return {
        field["name"]: f"{field['default']}{field['offset']}"
        if "offset" in field
        else field["default"]
        for field in fields
    }


def show(reader: TablePreprocessor, x: np.ndarray, names: Sequence[str]) -> Shown:
    """Return rows as they were in the table: with names of categories, and missing values marked."""
    columns = reader.get("columns", ())
    names = list(feature_names(columns)) or list(names) or [f"x{i + 1}" for i in range(x.shape[1])]
    rows = [_displayed_row(names, row, columns) for row in x]
    heads = list(rows[0])[:_MAX_SHOWN_COLUMNS]
    return Shown(form="row", heads=heads, cells=[[row[name] for name in heads] for row in rows])


def _displayed_row(
    names: Sequence[str], values: np.ndarray, columns: Sequence[LearnedColumn]
) -> dict[str, str]:
    """Return name -> displayed cell of an encoded row; missing indicators are merged into their columns.

    Args:
        names, values: of the features (F,).
        columns: the learned columns.
    """
    if not columns:
        return {name: f"{value:.6g}" for name, value in zip(names, values, strict=True)}
    cells: dict[str, str] = {}
    for column, part in zip(
        columns, parts({"kind": "table", "columns": list(columns)}, {}, ()), strict=True
    ):
        cell = part.cell(values[part.features])
        if column["kind"] == "date":  # a cell for each of its parts
            numbers = zip(column["medians"], values[part.features], strict=False)
            cells |= {
                f"{part.name} {name}": cell if cell == "missing" else f"{number:.6g}"
                for name, number in numbers
            }
        else:
            cells[part.name] = cell
    return cells


def draw(given: InputFacts, random: "np.random.Generator", shape: tuple[int, ...]) -> np.ndarray:
    """Return random rows (shape) around the mean of each column, with random categories and ids of texts."""
    rows = np.clip(random.standard_normal(shape), -3, 3) * column_deviations(
        given, shape
    ) + column_means(given, shape)
    counts = _code_counts(given)
    for column, count in enumerate(counts, start=shape[-1] - len(counts)):
        rows[..., column] = random.integers(0, count, shape[0])
    return rows


def _code_counts(given: InputFacts) -> list[int]:
    """Return the number of codes or ids of each of the last columns, which contain no numbers (see `draw`)."""
    texts = zip(given.get("text_buckets", ()), given.get("text_lengths", ()), strict=True)
    return [*given["categories"], *(buckets for buckets, length in texts for _ in range(length))]


def edges(given: InputFacts, rows: np.ndarray) -> np.ndarray:
    """Return a row of zeros, a row of high values and a row of low values, followed by `rows`."""
    mean = column_means(given, rows.shape)
    deviation = column_deviations(given, rows.shape)
    high = mean + 3 * deviation
    low = mean - 3 * deviation
    counts = _code_counts(given)
    for column, count in enumerate(counts, start=rows.shape[-1] - len(counts)):
        high[..., column], low[..., column] = count - 1, 0
    extreme = np.stack(
        [np.broadcast_to(row, rows.shape[1:]) for row in (np.zeros_like(mean), high, low)]
    )
    return np.concatenate([extreme, rows])


def column_means(statistics: Mapping[str, Json], shape: tuple[int, ...]) -> np.ndarray:
    """Return the mean of each column (F,), 0 if unknown. `statistics` has `mean` and `sd`, like those of `draw`."""
    return np.broadcast_to(statistics["mean"] or 0.0, shape[-1:]).astype(float).copy()


def column_deviations(statistics: Mapping[str, Json], shape: tuple[int, ...]) -> np.ndarray:
    """Return the standard deviation of each column (F,), 1 if unknown; see `column_means`."""
    return np.broadcast_to(statistics["sd"] or 1.0, shape[-1:]).astype(float).copy()


def feature_names(columns: Iterable[LearnedColumn]) -> tuple[str, ...]:
    """Return the name of each column of `x`."""
    names = []
    for column in columns:
        if column["kind"] == "date":
            names += [f"{column['name']} {part}" for part in column["medians"]]
        elif column["kind"] == "text":
            names += [f"{column['name']} id {i}" for i in range(1, column["length"] + 1)]
        else:
            names.append(column["name"])
        if column.get("missing"):
            names.append(f"{column['name']} is missing")
    # Missing indicators follow their numbers, and so precede all categories and texts.
    return tuple(names)


def apply_columns(
    columns: Sequence[LearnedColumn],
    table: "Rows | DataFrame",
    unread: dict[str, np.ndarray] | None = None,
    missing: dict[str, int] | None = None,
) -> np.ndarray:
    """Encode raw rows as numbers.

    Args:
        columns: columns of `learn_columns`.
        table: `Rows` or a DataFrame.
        unread: dict that gets name -> indices of cells that are not a number, a date or a category of the training
            rows.
        missing: dict that gets name -> number of empty cells of a number or date column.

    Returns:
        float32 (N, F): numbers, parts of dates and 0/1 missing indicators, then category codes from 1, then the ids of
        texts (see `texts.py`). Code 0 is a category that is missing or was not in the training rows; a missing text
        has no ids.

    Raises:
        KzooError: a column is missing.
    """
    rows = rows_of(table)
    check_columns(columns, rows)
    unread = {} if unread is None else unread
    missing = {} if missing is None else missing
    texts = [column for column in columns if column["kind"] == "text"]
    features = [
        feature.astype(np.float32, copy=False)
        for column in columns[: len(columns) - len(texts)]
        for feature in _features(column, rows, unread, missing)
    ]
    x = np.empty((len(rows), len(features) + sum(column["length"] for column in texts)), np.float32)
    for start in range(0, len(x) if features else 0, _BLOCK_ROWS):
        np.stack(
            [feature[start : start + _BLOCK_ROWS] for feature in features],
            axis=1,
            out=x[start : start + _BLOCK_ROWS, : len(features)],
        )
    start = len(features)
    for column in texts:
        x[:, start : start + column["length"]] = text_ids(column, rows)
        start += column["length"]
        unread[column["name"]] = np.empty(0, int)
    return x


def text_ids(column: LearnedColumn, rows: Rows) -> np.ndarray:
    """Return the ids of a text column, float32 (N, length).

    Args:
        column: the learned column.
        rows: `Rows`.
    """
    return encode_texts(rows[column["name"]], column["buckets"], column["length"])


def codes_of(categories: Iterable[str]) -> dict[str, int]:
    """Return category -> code, from 1.

    `1067.0` is `1067`: a DataFrame has floats where a cell is missing. Earlier versions stored it so, and other line
    breaks: both spellings are included.
    """
    codes = {category: code for code, category in enumerate(categories, start=1)}
    integers = {category[:-2]: code for category, code in codes.items() if category.endswith(".0")}
    floats = {f"{category}.0": code for category, code in codes.items() if category.isdecimal()}
    return (
        floats
        | integers
        | {category_word(category): code for category, code in codes.items()}
        | codes
    )


def missing_value_categories(column: LearnedColumn) -> frozenset[str]:
    """Return the words for missing values, such as `NA`, that are categories of a column.

    An empty cell is not, if training learned the blank category from a CSV file, in which empty cells are missing.
    """
    categories = MISSING.intersection(column.get("values", ()))
    return categories - {""} if column.get("blank") else categories


def _features(
    column: LearnedColumn, rows: Rows, unread: dict[str, np.ndarray], missing: dict[str, int]
) -> list[np.ndarray]:
    """Return the features of a column, a list of arrays (N,); update `unread` and `missing` (see `apply_columns`)."""
    if column["kind"] != "category":
        values = cells_of(column, rows, unread)
        missing[column["name"]] = int(np.isnan(values[0]).sum()) - len(unread[column["name"]])
        return fill_missing(column, values)
    code_of = codes_of(column["values"])
    cells = rows.cells(column["name"], missing_value_categories(column))
    if isinstance(cells, Texts):
        codes = cells.each(
            [code_of.get(category_word(text), 0) for text in cells.different], 0, np.float32
        )
    else:
        codes = np.array([code_of.get(category, 0) for category in to_words(cells)], np.float32)
    unread[column["name"]] = unreadable_cells(cells, np.where(codes, codes, np.nan))
    return [codes]


def cells_of(column: LearnedColumn, rows: Rows, unread: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the values of a number column, or the parts of a date column, as arrays (N,); NaN for unreadable cells.

    Args:
        column: the learned column.
        rows: `Rows`.
        unread: dict that gets the column's name -> indices of its unreadable cells.
    """
    name = column["name"]
    if column["kind"] == "date":
        # Runs of earlier versions lack "zoned": they read texts with a time zone in UTC.
        read = partial(rows.local, zone=column.get("zone")) if "zoned" in column else rows.dates
        parts = date_parts(read(name, column.get("day_first", False)))
        # the parts, such as "year", that were learned
        values = [parts[part] for part in column["medians"]]
    else:
        values = [rows.numbers(name, column.get("writing"))]
    unread[name] = (
        unreadable_cells(rows[name], values[0]) if np.isnan(values[0]).any() else np.empty(0, int)
    )
    return values


def fill_missing(column: LearnedColumn, cells: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the features of a column, given the result of `cells_of`.

    Missing values are filled with medians, and an indicator is added if training had missing values.
    """
    missing = np.isnan(cells[0])
    medians = column["medians"].values() if column["kind"] == "date" else [column["median"]]
    features = [
        np.where(missing, median, values) for values, median in zip(cells, medians, strict=True)
    ]
    if "low" in column:
        features = [np.clip(values, column["low"], column["high"]) for values in features]
    return [*features, missing.astype(np.float64)] if column["missing"] else features
