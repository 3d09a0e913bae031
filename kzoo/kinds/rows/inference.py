"""Raw rows become numbers, by what training learned of each column (`columns.py`), without pandas."""

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np

from kzoo.kinds import Shown
from kzoo.kinds.rows.column_options import column_options
from kzoo.sources.arrays import check_count, numbers_in, whole_in
from kzoo.sources.tables.numbers import new_groups, readings
from kzoo.sources.tables.raw import (
    MOST,
    as_names,
    check_keys,
    checked_rows,
    find_target,
    received_rows,
    require,
    rows_of,
    single_table,
)
from kzoo.sources.tables.values import (
    MISSING,
    Texts,
    date_parts,
    day_first_again,
    plain,
    to_words,
    unreadable,
    word_of,
)
from kzoo.sources.tables.zones import about_zone, offset_of
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import hint, listed, plural, shown

_MOST_COLUMNS = 16  # that are shown
_SIGNS = {",": "commas", ".": "points"}
_FEW_UNREAD = 5  # cells that cannot be read, or are missing: fewer are never too many
_BLOCK = 2**13  # rows that are put together at once: they stay in the processor's cache


def read(reader, raw):
    """Turn raw rows (DataFrame, dict, list of dicts, path of a table) into `x`; a ready array passes through."""
    columns = reader["columns"]
    if isinstance(raw, np.ndarray):
        x = np.atleast_2d(numbers_in(raw, "Rows"))
        names = feature_names(columns)
        if x.ndim != 2 or x.shape[1] != len(names):
            raise KzooError(f"Rows have {x.shape[-1]} columns, the model takes {len(names)}: {listed(names, MOST)}.")
        check(reader, x)
        return x.astype(np.float32), raw
    rows = checked_rows(raw)
    if not len(rows):
        raise KzooError("There are no rows to encode.")
    notes = []
    x, unread = read_new(reader, rows, notes)
    for line in (*notes, *unread_notes(columns, rows, unread)):
        warn(line)
    return x, raw


def read_new(reader, rows, notes):
    """Return new rows as (x, name -> places of cells that could not be read), whichever way they came.

    Args:
        reader: from training.
        rows: `Rows`.
        notes: a list that gets a line for each thing to know, other than of cells that could not be read.

    Raises:
        KzooError: a column is missing, in all rows or under another name in one, or most of its cells cannot be read.
    """
    check_columns(reader["columns"], rows)
    notes += check_keys(rows, [column["name"] for column in reader["columns"]], reader.get("targets", ()))
    unread, missing = {}, {}
    x = apply_columns(as_dated(reader, rows, notes), rows, unread, missing)
    for column in reader["columns"]:
        if (name := column["name"]) not in missing:
            continue
        if is_unreadable(column, len(unread[name]), len(rows) - missing[name]):
            values = plain(rows[name])
            cells = [(int(place), values[place]) for place in unread[name][:3]]
            check_share(column, len(unread[name]), len(rows) - missing[name], cells)
        if not column["missing"]:
            notes += empty_line(name, missing[name], len(rows))
        if (writing := column.get("writing")) and rows.decimal is not None:
            notes += _grouped_line(name, new_groups(rows.texts(name), writing, rows.decimal), writing["decimal"])
    return x, unread


def _grouped_line(name, found, sign) -> list:
    if not found:
        return []
    text, number, other = found
    return [
        f"Column {name!r}: {text!r} is read as {number:.12g}, for the file writes decimal {_SIGNS[sign]}; training saw "
        f"nothing between thousands. If it is {other:.12g}, write {f'{other:.12g}'.replace('.', sign)}."
    ]


def empty_line(name, count, rows) -> list:
    """Return a line where most cells of a column are missing, of which training saw none.

    Args:
        name: of the column.
        count, rows: how many of how many cells are missing.
    """
    if count < _FEW_UNREAD or count <= rows / 2:
        return []
    return [
        f"Column {name!r}: {count} of {plural(rows, 'value')} are missing, and none was in training: the median of the "
        "training rows stands in."
    ]


@contextmanager
def in_test_table():
    """Say of an error that it is about the test table."""
    try:
        yield
    except KzooError as error:
        raise KzooError(f"In the test table: {error}") from None


def check(reader, x):
    """Refuse an x that comes from elsewhere, of the network's own shape, with codes that stand for no category."""
    categories = [column for column in reader["columns"] if column["kind"] == "category"]
    for codes, column in zip(x.T[x.shape[1] - len(categories) :], categories, strict=True):
        whole_in(codes, f"Codes of {column['name']!r}", len(column["values"]))


def as_dated(reader, rows, doubts) -> list:
    """Return the learned columns, those of dates with the order of day and month that new rows show, and their zone.

    Args:
        reader: from training, which says of dates with day and month in front which of them came first, and their zone.
        rows: `Rows`.
        doubts: a list that gets a line where that is in doubt, or is another than in training.
    """
    columns = []
    for column in reader["columns"]:
        name = column["name"]
        if column["kind"] == "date" and name in rows:
            learned = column.get("day_first") or (False if name in reader.get("month_first", ()) else None)
            day_first, zone = day_first_again(name, rows[name], doubts, learned), reader.get("zones", {}).get(name)
            column = column | {"day_first": day_first, "zone": zone}
            minutes = None if zone is None else rows.minutes(name, day_first)
            if minutes is not None and (zone or np.isfinite(minutes).any()):
                doubts += about_zone(name, zone, rows.of_times(name, minutes, day_first))
        columns.append(column)
    return columns


def unread_notes(columns, table, unread):
    """Return a line for each column with cells that could not be read, or that training has not seen: they are missing.

    Args:
        columns: what was learned of them, or names of columns of numbers.
        unread: what `apply_columns` found.
    """
    learned = {column["name"]: column for column in columns if isinstance(column, Mapping)}
    for name, places in unread.items():
        if len(places):
            values, column = plain(table[name]), learned.get(name, {})
            cells = [(int(place), values[place]) for place in places[:3]]
            kind = column.get("kind", "number")
            yield unread_line(name, kind, len(places), len(values), cells, column.get("writing"))


def unread_line(name, kind, count, rows, cells, writing=None) -> str:
    """Say that cells of a column could not be read.

    Args:
        name, kind: of the column.
        count, rows: how many of how many cells.
        cells: the first of them: (place, value).
        writing: how training found its numbers to be written.
    """
    one, where = count == 1, _where(cells)
    if kind == "category":
        wrong = f"{'is a category' if one else 'are categories'} that training has not seen"
    else:
        wrong = f"cannot be read as a {kind}"
    more = f" and {count - len(where)} more" if count > len(where) else ""
    return (
        f"Column {name!r}: {count} of {plural(rows, 'value')} {wrong} and {'counts' if one else 'count'} as missing "
        f"({', '.join(where)}{more}).{two_readings(cells, writing)}"
    )


def _where(cells) -> list:
    return [f"row {place + 1}: {shown(value)}" for place, value in cells[:3]]


def two_readings(cells, writing) -> str:
    """Return a sentence on the first cell that may be one of two numbers, and how to write either; "" without one."""
    for _, value in cells:
        if found := readings(value, writing):
            low, high = (f"{number:.12g}" for number in found)
            sign = (writing or {}).get("decimal", "")
            fix = f"{low.replace('.', sign)} or {high}" if sign else high
            return f" {shown(value)} may be {low} or {high}: write {fix}, or give numbers instead of texts."
    return ""


def is_unreadable(column, count, there) -> bool:
    """Say whether a column is to be refused: see `check_share`."""
    if column["kind"] == "category" or column.get("unreadable"):
        return False
    return count >= _FEW_UNREAD and count > there / 2


def check_share(column, count, there, cells):
    """Raise `KzooError` where most of the cells of new rows cannot be read, where training's could.

    Args:
        column: what was learned of it.
        count, there: how many cells cannot be read, of how many that are not empty.
        cells: the first of them: (place, value).
    """
    if not is_unreadable(column, count, there):
        return
    examples = f", such as {listed(_where(cells))}" if cells else ""
    raise KzooError(
        f"Column {column['name']!r} is a {column['kind']} to the model, and {count} of {plural(there, 'value')} cannot "
        f"be read as one{examples}.{two_readings(cells, column.get('writing'))} Write them as in the training data, "
        "and leave a cell empty where there is no value."
    )


def glance(table, form, asked):
    """Refuse a table for what the names of its columns show."""
    group = [asked.group] if isinstance(asked.group, str) else []
    require(table, [*find_target(table, asked.target), *as_names(asked.drop), *group], "the table")
    column_options(asked.columns, table)


def glance_new(reader, table, targets):
    """Refuse new rows with answers for what the names of their columns show."""
    require(table, targets, "the table")
    check_columns(reader["columns"], table)


def check_columns(columns, rows):
    """Raise `KzooError` for a learned column that is missing."""
    if lost := [column["name"] for column in columns if column["name"] not in rows]:
        names = {column["name"] for column in columns}
        near = hint(lost[0], [name for name in rows.columns if name not in names])
        raise KzooError(
            f"Column {lost[0]!r} is missing; the columns given are: {listed(rows.columns, MOST)}. {near}".rstrip()
        )


def gather(words):
    """Return the table that the words of a command line name."""
    return single_table(words)


def received(reader, given, most=None):
    """Return rows that came from elsewhere: the bytes of a CSV file, objects by column, or rows of features."""
    rows = received_rows(given, "A row", most)
    check_count(len(rows), most)
    return rows


def form(reader):
    """Return the columns that are to be filled in, each with what stands for it where nothing is known."""
    zones = reader.get("zones", {})
    return {"columns": [_field(column, zones.get(column["name"], "")) for column in reader["columns"]]}


def _field(column, zone):
    field = {"name": column["name"], "kind": column["kind"]}
    if column["kind"] == "category":
        return field | {"values": column["values"], "default": next(iter(column["values"]), None)}
    if column["kind"] == "date":
        usual = {"year": 2000, "month": 1, "day": 1} | {part: round(value) for part, value in column["medians"].items()}
        time = " {hour:02}:00" if "hour" in usual else ""
        written = ("{year:04}-{month:02}-{day:02}" + time).format_map(usual)
        offset = "Z" if zone == "UTC" else zone if offset_of(zone) else ""
        zoned = {"offset": offset} if offset and time else {}  # which goes behind a time
        return field | {"default": written, "missing": column["missing"]} | zoned
    limits = {name: column[name] for name in ("low", "high") if name in column}
    return field | {"default": column["median"], "missing": column["missing"]} | limits


def example(reader, x):
    """Return a row of medians, and of the first category of each column."""
    fields = form(reader)["columns"]
    return {one["name"]: f"{one['default']}{one['offset']}" if "offset" in one else one["default"] for one in fields}


def show(reader, x, names):
    """Show rows as they stood in the table: names of categories, and what was missing."""
    columns = reader.get("columns", ())
    names = list(feature_names(columns)) or list(names) or [f"x{i + 1}" for i in range(x.shape[1])]
    rows = [_as_it_stood(dict(zip(names, row, strict=True)), columns) for row in x]
    heads = list(rows[0])[:_MOST_COLUMNS]
    return Shown(form="row", heads=heads, cells=[[row[name] for name in heads] for row in rows])


def _as_it_stood(row, columns):
    cells = {name: f"{value:.6g}" for name, value in row.items()}
    for column in columns:
        name = column["name"]
        if column["kind"] == "category":
            cells[name] = ["unknown or missing", *column["values"]][int(row[name])]
        elif column["missing"]:
            del cells[mark := f"{name} is missing"]
            if row[mark]:
                parts = [f"{name} {part}" for part in column["medians"]] if column["kind"] == "date" else [name]
                cells |= dict.fromkeys(parts, "missing")
    return cells


def draw(given, random, shape):
    """Draw rows around the mean of each column, and any of its categories."""
    rows = np.clip(random.standard_normal(shape), -3, 3) * spread(given, shape) + middle(given, shape)
    categories = given["categories"]
    for column, count in enumerate(categories, start=shape[-1] - len(categories)):
        rows[..., column] = random.integers(0, count, shape[0])
    return rows


def edges(given, rows):
    """Return a row of zeros, one of all that is high and one of all that is low, and the rows."""
    about, around = middle(given, rows.shape), spread(given, rows.shape)
    high, low = about + 3 * around, about - 3 * around
    categories = given["categories"]
    for column, count in enumerate(categories, start=rows.shape[-1] - len(categories)):
        high[..., column], low[..., column] = count - 1, 0
    extreme = np.stack([np.broadcast_to(row, rows.shape[1:]) for row in (np.zeros_like(about), high, low)])
    return np.concatenate([extreme, rows])


def middle(given, shape):
    """Return the mean of each column, 0 where it is not known."""
    return np.broadcast_to(given["mean"] or 0.0, shape[-1:]).astype(float).copy()


def spread(given, shape):
    """Return the deviation of each column, 1 where it is not known."""
    return np.broadcast_to(given["sd"] or 1.0, shape[-1:]).astype(float).copy()


def feature_names(columns):
    """Return the name of each column of `x`."""
    names = []
    for column in columns:
        if column["kind"] == "date":
            names += [f"{column['name']} {part}" for part in column["medians"]]
        else:
            names.append(column["name"])
        if column.get("missing"):
            names.append(f"{column['name']} is missing")
    # The 0/1 columns stay beside their numbers: all of these come before the first category.
    return tuple(names)


def apply_columns(columns, table, unread=None, missing=None):
    """Turn raw rows into numbers.

    Args:
        columns: what `learn_columns` found.
        table: `Rows` or a DataFrame.
        unread: a dict that gets name -> places of the cells that hold something that is no number, no date, or no
            category of the training rows.
        missing: a dict that gets name -> how many cells of a column of numbers or dates hold nothing.

    Returns:
        float32 (N, F): numbers, dates in parts and 0/1 missing marks first, then category codes from 1,
        0 for a category that is missing or was not among the training rows.

    Raises:
        KzooError: a column is missing.
    """
    rows = rows_of(table)
    check_columns(columns, rows)
    unread, missing = {} if unread is None else unread, {} if missing is None else missing
    features = [
        feature.astype(np.float32, copy=False)
        for column in columns
        for feature in _features(column, rows, unread, missing)
    ]
    x = np.empty((len(rows), len(features)), np.float32)
    for start in range(0, len(x) if features else 0, _BLOCK):
        np.stack([feature[start : start + _BLOCK] for feature in features], axis=1, out=x[start : start + _BLOCK])
    return x


def codes_of(categories) -> dict:
    """Return category -> its code, from 1; earlier versions stored `1067.0` for `1067`, and other line breaks."""
    codes = {word: code for code, word in enumerate(categories, start=1)}
    whole = {word[:-2]: code for word, code in codes.items() if word.endswith(".0")}
    return whole | {word_of(word): code for word, code in codes.items()} | codes


def missing_value_categories(column) -> frozenset:
    """Return the words for missing values, such as `NA`, that are categories of a column.

    An empty cell is none where training knew the category of blanks from a CSV file, whose empty cells were missing.
    """
    kept = MISSING.intersection(column.get("values", ()))
    return kept - {""} if column.get("blank") else kept


def _features(column, rows, unread, missing):
    if column["kind"] != "category":
        cells = cells_of(column, rows, unread)
        missing[column["name"]] = int(np.isnan(cells[0]).sum()) - len(unread[column["name"]])
        return filled(column, cells)
    codes, values = codes_of(column["values"]), rows.cells(column["name"], missing_value_categories(column))
    if isinstance(values, Texts):
        found = values.each([codes.get(word_of(text), 0) for text in values.different], 0, np.float32)
    else:
        found = np.array([codes.get(word, 0) for word in to_words(values)], np.float32)
    unread[column["name"]] = unreadable(values, np.where(found, found, np.nan))
    return [found]


def cells_of(column, rows, unread) -> list:
    """Return what the cells of a column hold: numbers, or parts of dates; NaN where that is neither.

    Args:
        column: what was learned of one of numbers or dates.
        rows: `Rows`.
        unread: see `apply_columns`.
    """
    name = column["name"]
    if column["kind"] == "date":
        # Where nothing is said of zones, the run is an old one, which read texts with a zone in UTC.
        read = partial(rows.local, zone=column.get("zone")) if "zoned" in column else rows.dates
        parts = date_parts(read(name, column.get("day_first", False)))
        found = [parts[part] for part in column["medians"]]
    else:
        found = [rows.numbers(name, column.get("writing"))]
    unread[name] = unreadable(rows[name], found[0]) if np.isnan(found[0]).any() else np.empty(0, int)
    return found


def filled(column, cells) -> list:
    """Return the features of a column of what `cells_of` found: holes are filled, and marked where training had any."""
    missing = np.isnan(cells[0])
    middles = column["medians"].values() if column["kind"] == "date" else [column["median"]]
    features = [np.where(missing, middle, values) for values, middle in zip(cells, middles, strict=True)]
    if "low" in column:
        features = [np.clip(values, column["low"], column["high"]) for values in features]
    return [*features, missing.astype(np.float64)] if column["missing"] else features
