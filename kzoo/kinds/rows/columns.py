"""Columns of a table: what kind each one is, learned on training rows; `encode_table.py` applies it."""

import re

import numpy as np
import pandas as pd

from kzoo.kinds.tables.values import date_parts, day_comes_first, looks_like_dates, to_dates, to_numbers, to_words

_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers
_MOST_CATEGORIES = 1000
_ID_NAME = re.compile(r"(.*[_ ])?((?i:id|uuid|guid|index)|Unnamed: 0)|[A-Za-z]*[a-z](Id|ID)|.*(编号|序号)")


def learn_columns(frame, *, clip=False, notes):
    """Describe each useful column of the training rows as JSON data.

    Args:
        frame: the training rows, without target.
        clip: cut numbers off at their 0.1 and 99.9 percentiles.
        notes: a list that gets one line for each column left out.

    Returns:
        A list of dicts: numbers and dates in the order of the file, then categories.
    """
    described = [_describe(name, frame[name], clip, notes) for name in frame.columns]
    kept = [column for column in described if column]
    return sorted(kept, key=lambda column: column["kind"] == "category")


def _describe(name, values, clip, notes):
    filled = values.notna()
    if not filled.any():
        notes.append(f"Column {name!r} is empty in the training rows and left out.")
        return None
    known = values[filled]
    if known.nunique() == 1 and filled.all():
        notes.append(f"Column {name!r} is constant and left out.")
        return None
    if looks_like_dates(known):
        return _describe_date(name, values, notes)
    numbers = to_numbers(values)
    if np.isfinite(numbers[filled.to_numpy()]).mean() >= _MOSTLY:
        if _looks_like_id(name, numbers):
            notes.append(f"Column {name!r} numbers the rows (a different value in each) and is left out.")
            return None
        return _describe_numbers(name, numbers, clip)
    words = to_words(values)
    seen = pd.Series(words)[filled.to_numpy()].value_counts()
    if len(seen) > 0.9 * len(known):
        notes.append(f"Column {name!r} has a different text in nearly every row and is left out.")
        return None
    if len(seen) > _MOST_CATEGORIES:
        notes.append(f"Column {name!r} has {len(seen)} categories; the {_MOST_CATEGORIES} most frequent count.")
    best = sorted(seen.index, key=lambda word: (-seen[word], word))[:_MOST_CATEGORIES]
    return {"name": name, "kind": "category", "values": sorted(best)}


def _describe_numbers(name, numbers, clip):
    known = numbers[np.isfinite(numbers)]
    column = {"name": name, "kind": "number", "median": float(np.median(known))}
    column["missing"] = len(known) < len(numbers)
    if clip:
        column["low"], column["high"] = (float(v) for v in np.percentile(known, (0.1, 99.9)))
    return column


def _describe_date(name, values, notes):
    day_first = day_comes_first(name, values, notes)
    dates = to_dates(values, day_first)
    medians = {part: float(np.nanmedian(v)) for part, v in date_parts(dates).items() if np.nanmin(v) < np.nanmax(v)}
    if not medians:
        notes.append(f"Column {name!r} varies neither in date nor in hour and is left out.")
        return None
    order = {"day_first": True} if day_first else {}
    return {"name": name, "kind": "date", **order, "medians": medians, "missing": bool(np.isnat(dates).any())}


def _looks_like_id(name, numbers):
    if not _ID_NAME.fullmatch(name) or not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        return False
    return len(np.unique(numbers)) == len(numbers)
