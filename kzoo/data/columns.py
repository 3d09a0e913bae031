"""Columns of a table: what kind each one is, learned on training rows, and the numbers they become."""

import re

import numpy as np
import pandas as pd
from pandas.api import types

from kzoo.errors import KzooError

# What a date becomes -> the pandas attribute.
_DATE_PARTS = {"year": "year", "month": "month", "day": "day", "weekday": "day_of_week", "hour": "hour"}
_MOSTLY = 0.95  # share of the values that must parse for a text column to count as numbers or dates
_MOST_CATEGORIES = 1000
_DATE = re.compile(r"\s*(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})")
# Day and month in front, once slashes have become dashes: which of them comes first?
_SHORT_DATE = r"^(\d{1,2})([-.])(\d{1,2})[-.](\d{4})"
# No month is above 12: 31-12-2024, 12-31-2024.
_CLEAR_DATES = {
    r"^(1[3-9]|[23]\d)[-.](\d{1,2})[-.](\d{4})": r"\3-\2-\1",
    r"^(\d{1,2})[-.](1[3-9]|[23]\d)[-.](\d{4})": r"\3-\1-\2",
}
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
    if types.is_datetime64_any_dtype(values) or looks_like_dates(known):
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
    parts = {part: getattr(dates.dt, a).to_numpy(float, na_value=np.nan) for part, a in _DATE_PARTS.items()}
    medians = {part: float(np.nanmedian(v)) for part, v in parts.items() if np.unique(v[~np.isnan(v)]).size > 1}
    if not medians:
        notes.append(f"Column {name!r} varies neither in date nor in hour and is left out.")
        return None
    order = {"day_first": True} if day_first else {}
    return {"name": name, "kind": "date", **order, "medians": medians, "missing": bool(dates.isna().any())}


def looks_like_dates(known):
    if types.is_numeric_dtype(known) or types.is_bool_dtype(known):
        return False
    text = known.astype(str)
    return text.str.match(_DATE).mean() >= _MOSTLY and to_dates(known).notna().mean() >= _MOSTLY


def _looks_like_id(name, numbers):
    if not _ID_NAME.fullmatch(name) or not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        return False
    return len(np.unique(numbers)) == len(numbers)


def to_numbers(values):
    """Return a column as float64; what is no finite number becomes NaN."""
    if not (types.is_numeric_dtype(values) or types.is_bool_dtype(values)):
        text = values.astype("string").str.strip().str.lower().replace({"true": "1", "false": "0"})
        values = pd.to_numeric(text, errors="coerce")
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def day_comes_first(name, values, notes) -> bool:
    """Tell whether 3/2/2024 is February 3 in a column: a number above 12 is a day; else a dot says so, a slash not.

    A column that leaves it open is read as pandas reads it, month first, and `notes` gets a line.
    """
    if types.is_datetime64_any_dtype(values):
        return False
    parts = _date_text(values.dropna()).str.extract(_SHORT_DATE).dropna()
    one, other = (pd.to_numeric(parts[place]) > 12 for place in (0, 2))
    if one.sum() != other.sum():
        return bool(one.sum() > other.sum())
    dotted = bool((parts[1] == ".").any())
    if len(parts) and not dotted:
        notes.append(f"Dates in {name!r} are read month first, for no number tells. If wrong, write them 2024-02-03.")
    return dotted


def _date_text(values):
    return values.astype("string").str.strip().str.replace("[年月/]", "-", regex=True).str.replace("日", "")


def to_dates(values, day_first=False):
    """Return a column as times without zone; what is no date becomes NaT.

    Args:
        day_first: whether 3/2/2024 is February 3. A number above 12 is a day all the same.
    """
    if types.is_datetime64_any_dtype(values):
        dates = values
    else:
        text = _date_text(values)
        short = {_SHORT_DATE: r"\4-\3-\1" if day_first else r"\4-\1-\3"}
        for pattern, ordered in (_CLEAR_DATES | short).items():
            text = text.str.replace(pattern, ordered, regex=True)
        dates = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
        if dates.isna().sum() > text.isna().sum():
            dates = pd.to_datetime(text, format="mixed", errors="coerce", utc=True)
    return dates.dt.tz_localize(None) if dates.dt.tz is not None else dates


def to_words(values):
    """Return a column as an array of stripped strings, None where a value is missing."""
    codes, distinct = pd.factorize(values)  # each different value is turned into a string once
    words = np.array([*(str(value).strip() for value in distinct), None], object)
    return words[codes]  # a missing value has the code -1


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


def apply_columns(columns, frame):
    """Turn raw rows into numbers.

    Returns:
        float32 (N, F): numbers, dates in parts and 0/1 missing marks first, then category codes from 1,
        0 for a category that is missing or was not among the training rows.

    Raises:
        KzooError: a column is missing.
    """
    present = list(frame.columns)
    if lost := [column["name"] for column in columns if column["name"] not in present]:
        raise KzooError(f"Column {lost[0]!r} is missing; the columns given are: {listed(present)}.")
    features = [feature for column in columns for feature in _features(column, frame[column["name"]])]
    return np.stack(features, axis=1).astype(np.float32) if features else np.zeros((len(frame), 0), np.float32)


def _features(column, values):
    if column["kind"] == "category":
        codes = {word: code for code, word in enumerate(column["values"], start=1)}
        return [np.array([codes.get(word, 0) for word in to_words(values)], np.float32)]
    if column["kind"] == "date":
        dates = to_dates(values, column.get("day_first", False))
        missing = dates.isna().to_numpy()
        parts = [(getattr(dates.dt, _DATE_PARTS[part]), median) for part, median in column["medians"].items()]
        features = [part.to_numpy(np.float64, na_value=median) for part, median in parts]
    else:
        numbers = to_numbers(values)
        missing = np.isnan(numbers)
        numbers = np.where(missing, column["median"], numbers)
        features = [np.clip(numbers, column["low"], column["high"]) if "low" in column else numbers]
    return [*features, missing.astype(np.float64)] if column["missing"] else features


def listed(names, most=12):
    """Join names for an error message, the first few of them."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
