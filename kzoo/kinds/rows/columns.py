"""Columns of a table: what kind each one is, learned on training rows; `encode_table.py` applies it."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kzoo.errors import KzooError
from kzoo.kinds.tables.numbers import DECIMALS, THOUSANDS, Writing, learn
from kzoo.kinds.tables.raw import require
from kzoo.kinds.tables.values import (
    date_parts,
    day_comes_first,
    looks_like_dates,
    plain,
    to_dates,
    to_numbers,
    to_words,
)
from kzoo.words import hint

_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers
_MOST_CATEGORIES = 1000
_ID_NAME = re.compile(r"(.*[_ ])?((?i:id|uuid|guid|index)|Unnamed: 0)|[A-Za-z]*[a-z](Id|ID)|.*(编号|序号)")


KINDS = ("number", "category", "date")
_WRITING = ("decimal", "thousands")


def asked_columns(columns, frame) -> dict:
    """Return what a user says of columns as name -> {"kind": ..., "decimal": ..., "thousands": ...}, all optional.

    Args:
        columns: name -> a word of `KINDS`, or such a dict; None for nothing.
        frame: the table.

    Raises:
        KzooError: no such column, or something that cannot be said of one.
    """
    if not isinstance(columns or {}, Mapping):
        raise KzooError(f"columns={columns!r} must be a dict such as {{'zip': 'category'}}.")
    said = {}
    for name, how in (columns or {}).items():
        require(frame, [name], "the table")
        how = {"kind": how} if isinstance(how, str) else how
        if not isinstance(how, Mapping) or set(how) - {"kind", *_WRITING}:
            raise KzooError(f"columns: {name!r} is {how!r}; say one of {', '.join(KINDS)}, or {{'decimal': ','}}.")
        kind = how.get("kind", "number")
        if kind not in KINDS:
            raise KzooError(f"columns: {name!r} is {kind!r}. {hint(kind, KINDS)}Use: {', '.join(KINDS)}.")
        signs = {sign: how[sign] for sign in _WRITING if sign in how}
        if signs and kind != "number":
            raise KzooError(f"columns: {name!r} is a {kind}; {' and '.join(signs)} are for numbers.")
        for sign, legal in (("decimal", DECIMALS), ("thousands", THOUSANDS)):
            if sign in signs and signs[sign] not in legal:
                raise KzooError(
                    f"columns: {name!r} has {sign}={signs[sign]!r}; it is one of {' '.join(map(repr, legal))}."
                )
        if len(set(signs.values())) < len(signs):
            raise KzooError(f"columns: {name!r} cannot have {signs['decimal']!r} for both decimal and thousands.")
        said[name] = {"kind": kind, **signs}
    return said


def learn_columns(frame, *, clip=False, notes, asked=(), doubts=None, left_out=None):
    """Describe each useful column of the training rows as JSON data.

    Args:
        frame: the training rows, without target.
        clip: cut numbers off at their 0.1 and 99.9 percentiles.
        notes: a list that gets a line for each thing to know.
        asked: what the user says of columns, see `asked_columns`.
        doubts: a list that gets one line for each column whose numbers can be read in two ways.
        left_out: a dict that gets name -> why of each column that is of no use.

    Returns:
        A list of dicts: numbers and dates in the order of the file, then categories.
    """
    said, doubts = dict(asked), [] if doubts is None else doubts
    described = {name: _describe(name, frame[name], clip, notes, said.get(name), doubts) for name in frame.columns}
    if left_out is not None:
        left_out |= {name: column for name, column in described.items() if isinstance(column, str)}
    kept = [column for column in described.values() if not isinstance(column, str)]
    return sorted(kept, key=lambda column: column["kind"] == "category")


def _describe(name, values, clip, notes, said, doubts):
    """Return what is learned of a column, or why it is left out."""
    filled, wanted = values.notna(), (said or {}).get("kind")
    if not filled.any():
        return "empty in the training rows"
    known = values[filled]
    if known.nunique() == 1 and filled.all():
        return "constant"
    if wanted == "date" or (wanted is None and looks_like_dates(known)):
        return _describe_date(name, values, notes)
    learned = writing_of(name, values, said, doubts)
    numbers = to_numbers(values, *([] if learned is None else [learned]))
    there = np.isfinite(numbers[filled.to_numpy()])
    if wanted == "number" and not there.any():
        raise KzooError(f"columns: {name!r} is to be a number, and no value is one, such as {known.iloc[0]!r}.")
    if wanted == "number" or (wanted is None and there.mean() >= _MOSTLY):
        if wanted is None and _looks_like_id(name, numbers):
            return "numbers the rows"
        return _describe_numbers(name, numbers, clip, learned)
    words = to_words(values)
    seen = pd.Series(words)[filled.to_numpy()].value_counts()
    if wanted is None and len(seen) > 0.9 * len(known):
        return "a different text in nearly every row"
    if len(seen) > _MOST_CATEGORIES:
        notes.append(f"Column {name!r} has {len(seen)} categories; the {_MOST_CATEGORIES} most frequent count.")
    best = sorted(seen.index, key=lambda word: (-seen[word], word))[:_MOST_CATEGORIES]
    return {"name": name, "kind": "category", "values": sorted(best)}


def writing_of(name, values, said=None, doubts=None) -> Writing | None:
    """Return how a column of texts writes its numbers; None where it holds no texts.

    Args:
        values: the column, a Series; the decimal sign of its file is in its `attrs`.
        said: what the user says of it.
        doubts: a list that gets a line where another way reads all of it too.
    """
    texts = [value for value in plain(values) if isinstance(value, str)]
    if not texts:
        return None
    said = said or {}
    learned = learn(texts, values.attrs.get("decimal"), decimal=said.get("decimal"), thousands=said.get("thousands"))
    if learned.other is not None and doubts is not None:
        one, other = learned.writing.read(learned.example), learned.other.read(learned.example)
        sign = learned.other.decimal
        doubts.append(
            f"Numbers of {name!r} can be read in two ways: {learned.example!r} is taken for {one:.12g}, not "
            f"{other:.12g}. If that is wrong, say columns={{{name!r}: {{'decimal': {sign!r}}}}}."
        )
    return learned.writing


def _describe_numbers(name, numbers, clip, writing):
    known = numbers[np.isfinite(numbers)]
    column = {"name": name, "kind": "number", "median": float(np.median(known))}
    if writing is not None:
        column["writing"] = writing.json()
    column["missing"] = len(known) < len(numbers)
    if clip:
        column["low"], column["high"] = (float(v) for v in np.percentile(known, (0.1, 99.9)))
    return column


def _describe_date(name, values, notes):
    day_first = day_comes_first(name, values, notes)
    dates = to_dates(values, day_first)
    medians = {part: float(np.nanmedian(v)) for part, v in date_parts(dates).items() if np.nanmin(v) < np.nanmax(v)}
    if not medians:
        return "varies neither in date nor in hour"
    order = {"day_first": True} if day_first else {}
    return {"name": name, "kind": "date", **order, "medians": medians, "missing": bool(np.isnat(dates).any())}


def _looks_like_id(name, numbers):
    if not _ID_NAME.fullmatch(name) or not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        return False
    return len(np.unique(numbers)) == len(numbers)
