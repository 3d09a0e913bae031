"""Columns of a table: what kind each one is, learned on training rows; `inference.py` applies it."""

import re
from collections import Counter

import numpy as np

from kzoo.sources.tables.numbers import Writing, is_padded, learn
from kzoo.sources.tables.raw import MOST
from kzoo.sources.tables.values import (
    Texts,
    are_dates,
    are_short_dates,
    counted,
    date_parts,
    day_comes_first,
    may_be_zoned,
    not_missing,
    plain,
    to_dates,
    to_numbers,
    to_words,
    word_of,
)
from kzoo.tasks.values.inference import Extent
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed
from kzoo.utils.optional import pandas as pd

_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers
MOST_CATEGORIES = 1000
_WEIGHT_NAMES = ("sample_weight", "sample_weights")
_INFINITE = re.compile(r"\s*+[+-]?inf(inity)?\s*+", re.IGNORECASE)
_ID_NAME = re.compile(r"(.*[_ ])?((?i:id|uuid|guid|index)|Unnamed: 0)|[A-Za-z]*[a-z](Id|ID)|.*(编号|序号)")


def learn_columns(table, train, *, decimal=None, clip=False, notes, asked=(), doubts=None, left_out=None):
    """Describe each useful column of the training rows as JSON data.

    Args:
        table: `Rows`, without target.
        train: places of the training rows.
        decimal: the decimal sign of the file.
        clip: cut numbers off at their 0.1 and 99.9 percentiles.
        notes: a list that gets a line for each thing to know.
        asked: what the user says of columns, see `asked_columns`.
        doubts: a list that gets one line for each column whose numbers can be read in two ways.
        left_out: a dict that gets name -> why of each column that is of no use.

    Returns:
        A list of dicts: numbers and dates in the order of the file, then categories.
    """
    said, doubts = dict(asked), [] if doubts is None else doubts
    described = {
        name: _describe(name, table[name][train], clip, notes, said.get(name), doubts, decimal)
        for name in table.columns
    }
    notes += (
        f"Column {name!r} is left out, though columns= names it: {described[name]}."
        for name in said
        if isinstance(described.get(name), str)
    )
    if left_out is not None:
        left_out |= {name: column for name, column in described.items() if isinstance(column, str)}
    kept = [column for column in described.values() if not isinstance(column, str)]
    notes += about_weights(column["name"] for column in kept)
    return sorted(kept, key=lambda column: column["kind"] == "category")


def about_weights(inputs) -> list[str]:
    """Return a line for each input that is called like weights of rows, which no training takes from a table."""
    return [
        f"Column {name!r} is an input like any other: rows are not weighted by it. Leave it out with drop={name!r} "
        "unless new rows have it too."
        for name in inputs
        if name.lower() in _WEIGHT_NAMES
    ]


def check_some(columns, targets, left_out):
    """Raise `KzooError` where `learn_columns` has left no column, with why it left them out."""
    if columns:
        return
    why = "; ".join(f"{name!r}: {reason}" for name, reason in list(left_out.items())[:MOST])
    raise KzooError(
        f"No usable column is left beside the target {', '.join(targets)!r}." + (f" Left out: {why}." if why else "")
    )


def _describe(name, values, clip, notes, said, doubts, decimal):
    """Return what is learned of a column, or why it is left out."""
    filled, wanted = not_missing(values), (said or {}).get("kind")
    if not filled.any():
        return "empty in the training rows"
    there = values[filled]
    if filled.all() and _is_constant(there):
        return "constant"
    if wanted == "date" or (wanted is None and are_dates(there)):
        return _describe_date(name, values, notes, asked=wanted == "date")
    found: list = []
    learned = writing_of(name, values, said, found, decimal)
    numbers = to_numbers(values, *([] if learned is None else [learned]))
    read = np.isfinite(numbers[filled])
    if wanted == "number" and not read.any():
        raise KzooError(f"columns: {name!r} is to be a number, and no value is one, such as {there[0]!r}.")
    floats = _are_numbers(there)  # what of it is no finite number is infinite, and never a category
    if floats and not read.any():
        return "infinite in every row"
    if wanted == "number" or (wanted is None and (floats or _share_of_numbers(there, read) >= _MOSTLY)):
        if wanted is None and _looks_like_id(name, numbers):
            return "numbers the rows"
        doubts += found
        return _describe_numbers(name, numbers, clip, stored_writing(learned, decimal), notes) | _mostly_unread(read)
    seen = _words_in(there)
    if wanted is None and len(seen) > 0.9 * len(there):
        return "a different text in nearly every row"
    if len(seen) > MOST_CATEGORIES:
        notes.append(f"Column {name!r} has {len(seen)} categories; the {MOST_CATEGORIES} most frequent count.")
    best = sorted(seen, key=lambda word: (-seen[word], word))[:MOST_CATEGORIES]
    return {"name": name, "kind": "category", "values": sorted(best)}


def _mostly_unread(read):
    """Return what a column says where most of its training cells cannot be read, which then is no fault of new ones."""
    return {"unreadable": True} if read.mean() <= 0.5 else {}


def missing_words(words, columns, targets=()) -> list:
    """Return a line on words of a file that count as missing values and might be categories, where there are any.

    Args:
        words: name -> those that its reader took for missing values.
        columns: what `learn_columns` found.
        targets: names of those that are classes.
    """
    names = [*targets, *(column["name"] for column in columns if column["kind"] == "category")]
    found = [f"{listed(map(repr, sorted(words[name])))} in {name!r}" for name in names if words.get(name)]
    if not found:
        return []
    return [
        f"Taken for missing values, as in any CSV file: {listed(found)}. Where these are categories, give a DataFrame "
        "that has them: pandas.read_csv(..., keep_default_na=False)."
    ]


def padded_cells(table, names, of_file=()) -> dict:
    """Return name -> a cell with zeros in front, such as `01067`, of the columns of numbers that have one.

    Args:
        table: `Rows`.
        names: of the columns.
        of_file: the same of columns of which a file's reader has made whole numbers.
    """
    columns = {name: plain(table[name]) for name in names}
    texts = {name: counted(values) for name, values in columns.items() if values.dtype == object}
    found = {name: next((text for text in cells if isinstance(text, str) and is_padded(text)), None)
             for name, cells in texts.items()}  # fmt: skip
    found |= {name: cell for name, cell in dict(of_file).items() if name not in texts}
    return {name: found[name] for name in names if found.get(name)}


def padded_notes(cells):
    """Yield a line for each column of numbers that may be codes, by `padded_cells`."""
    for name, text in cells.items():
        yield (
            f"Column {name!r} is read as a number, {text!r} as {int(text)}. If its cells are codes, say "
            f"columns={{{name!r}: 'category'}}."
        )


def _is_constant(values):
    if values.dtype == object:
        return len(counted(values)) == 1 if isinstance(values, Texts) else pd.Series(values).nunique() == 1
    return bool((values == values[0]).all())


def _are_numbers(values):
    """Say whether a column without missing values holds numbers, some of them decimals, and no texts."""
    values = plain(values)
    if isinstance(values, Texts) or values.dtype != object:
        return values.dtype.kind == "f"
    types = set(map(type, values))
    decimals = any(issubclass(kind, float | np.floating) for kind in types)
    return decimals and bool not in types and all(issubclass(kind, int | float | np.number) for kind in types)


def _share_of_numbers(values, read):
    """Return the share of numbers in a column without missing values, where an infinite one is no word.

    Args:
        values: the column.
        read: (N,) whether a cell is a finite number.
    """
    if read.all() or not read.any():
        return read.mean()
    unread = counted(values[~read])
    infinite = sum(count for text, count in unread.items() if isinstance(text, str) and _INFINITE.fullmatch(text))
    return read.sum() / (len(read) - infinite)


def _words_in(values) -> Counter:
    """Return how often each word occurs in a column without missing values."""
    if not isinstance(values, Texts):
        return Counter(to_words(values).tolist())
    words: Counter = Counter()
    for text, count in counted(values).items():
        words[word_of(text)] += count
    return words


def writing_of(name, values, said=None, doubts=None, decimal=None) -> Writing | None:
    """Return how a column of texts writes its numbers; None where it holds no texts.

    Args:
        values: the column.
        said: what the user says of it.
        doubts: a list that gets a line where another way reads all of it too, and where it is in two units.
        decimal: the decimal sign of its file.
    """
    values = plain(values)
    if values.dtype != object:
        return None
    texts = values.seen if isinstance(values, Texts) else [value for value in values if isinstance(value, str)]
    if not texts:
        return None
    said = said or {}
    learned = learn(texts, decimal, decimal=said.get("decimal"), thousands=said.get("thousands"))
    if learned.other is not None and doubts is not None:
        one, other = learned.writing.read(learned.example), learned.other.read(learned.example)
        sign = learned.other.decimal
        doubts.append(
            f"Numbers of {name!r} can be read in two ways: {learned.example!r} is taken for {one:.12g}, not "
            f"{other:.12g}. If that is wrong, say columns={{{name!r}: {{'decimal': {sign!r}}}}}."
        )
    if learned.units and doubts is not None:
        (one, figure), (other, figures) = ((text, f"{learned.writing.read(text):.12g}") for text in learned.units)
        doubts.append(
            f"Numbers of {name!r} are in two units: {one!r} is taken for {figure}, {other!r} for {figures}. If that is "
            "wrong, write all in one unit."
        )
    return learned.writing


def stored_writing(learned, decimal) -> dict | None:
    """Return what a reader stores of how a column writes its numbers, for `ways`.

    Args:
        learned: what `writing_of` returned.
        decimal: the decimal sign of the file, whose reader has made numbers of a column that holds no texts.
    """
    if learned is not None:
        return learned.json()
    return {"decimal": ","} if decimal == "," else None


def _describe_numbers(name, numbers, clip, writing, notes):
    finite = numbers[np.isfinite(numbers)]
    notes += Extent.of(finite[:, None]).coarse([name])
    column = {"name": name, "kind": "number", "median": float(np.median(finite))}
    if writing is not None:
        column["writing"] = writing
    column["missing"] = len(finite) < len(numbers)
    if clip:
        column["low"], column["high"] = (float(v) for v in np.percentile(finite, (0.1, 99.9)))
    return column


def _describe_date(name, values, notes, asked):
    day_first = day_comes_first(name, values, notes)
    dates = to_dates(values, day_first, wall_clock=True)
    read = not_missing(dates)[not_missing(values)]
    if asked and not read.any():
        example = next(iter(counted(values)))
        raise KzooError(f"columns: {name!r} is to be a date, and no value is one, such as {example!r}.")
    medians = {part: float(np.nanmedian(v)) for part, v in date_parts(dates).items() if np.nanmin(v) < np.nanmax(v)}
    if not medians:
        return "varies neither in date nor in hour"
    order = {"day_first": True} if day_first else {}
    missing = np.isnat(dates)
    zoned = may_be_zoned(values) and bool((dates != to_dates(values, day_first))[~missing].any())
    column = {"name": name, "kind": "date", **order, "zoned": zoned, "medians": medians}
    return column | {"missing": bool(missing.any())} | _mostly_unread(read)


def month_first(columns, table, train) -> dict:
    """Return, for a reader, which columns had dates with the month first in training.

    Args:
        columns: what `learn_columns` found.
        table: `Rows`.
        train: places of the training rows.
    """
    dates = [column["name"] for column in columns if column["kind"] == "date" and not column.get("day_first")]
    found = [name for name in dates if are_short_dates(table[name][train])]
    return {"month_first": found} if found else {}


def zones_of(columns, table) -> dict:
    """Return, for a reader, the time zone of each column of dates (see `kzoo.sources.tables.zones`).

    Args:
        columns: what `learn_columns` found.
        table: `Rows` of the source.
    """
    dates = [column for column in columns if column["kind"] == "date"]
    found = {column["name"]: table.zone(column["name"], column.get("day_first", False)) for column in dates}
    return {"zones": found} if found else {}


def with_blanks(columns, table=None) -> list:
    """Return columns of a CSV file, where empty cells are missing; those with a category of blanks say so.

    Args:
        columns: what `learn_columns` found.
        table: `Rows`, in which pandas may have left empty cells of very large numbers: a category like any other.
    """

    def has_blanks(column):
        return "" in column.get("values", ()) and (table is None or "" not in counted(table[column["name"]]))

    return [column | {"blank": True} if has_blanks(column) else column for column in columns]


def fingerprinted(columns):
    """Return columns as a fingerprint is told of them: as it was before it was said of zones, of blanks and of
    cells that cannot be read."""
    later = (("zoned", False), ("blank", True), ("unreadable", True))
    return [{key: said for key, said in column.items() if (key, said) not in later} for column in columns]


def _looks_like_id(name, numbers):
    if not _ID_NAME.fullmatch(name) or not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        return False
    return len(np.unique(numbers)) == len(numbers)
