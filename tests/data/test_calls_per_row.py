"""Tables are read column by column: what a cell means is decided once for all equal cells, not in each row."""

import sys

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.utils.optional import is_installed

FEW, MANY = 500, 1_500
MOST_CALLS = 0.5  # of Python's functions and of methods, for each more row
TARGETS = {
    "classes": (["class"], {}),
    "numbers": (["length"], {}),
    "formatted numbers": (["price"], {}),
    "whole numbers as values": (["count"], dict(task="regression")),
    "several numbers": (["length", "count"], {}),
    "labels in texts": (["tags"], {}),
    "labels in columns": (["flag", "mark"], {}),
}


def table(rows):
    """Return a table with the target columns of `TARGETS`, and numbers, texts, dates and missing cells."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({f"number {n}": draw.normal(size=rows).round(3) for n in range(3)})
    frame.iloc[0] = 1.0  # whole numbers among others are looked at twice, in few rows and in many
    frame["color"] = draw.choice(["red", "green", "blue"], rows)
    frame["cost"] = draw.choice([f"{n}.50 EUR" for n in range(40)], rows)
    frame["day"] = draw.choice(
        [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 6)], rows
    )
    frame.loc[draw.random(rows) < 0.1, ["number 1", "color", "cost"]] = None
    frame["class"], frame["flag"] = (
        draw.choice(["yes", "no"], rows),
        draw.choice(["yes", "no"], rows),
    )
    frame["mark"], frame["count"] = draw.integers(0, 2, rows), draw.integers(0, 50, rows)
    frame["length"], frame["price"] = (
        draw.normal(size=rows),
        draw.choice([f"{n},25 €" for n in range(40)], rows),
    )
    frame["tags"] = draw.choice(["a;b", "b", "c;a", "c", "a"], rows)
    return frame


def texts_as(kind):
    return lambda frame, folder: frame.astype(
        {name: kind for name in frame if frame[name].dtype.kind == "O"}
    )


def csv_file(frame, folder):
    frame.to_csv(folder / f"{len(frame)}.csv", index=False)
    return folder / f"{len(frame)}.csv"


def parquet_file(frame, folder):
    frame.to_parquet(folder / f"{len(frame)}.parquet", index=False)
    return folder / f"{len(frame)}.parquet"


DOORS = {
    "a CSV file": csv_file,
    "a DataFrame": lambda frame, folder: frame,
    "a DataFrame of objects": texts_as("object"),
    "a DataFrame of categories": texts_as("category"),
    "columns as lists": lambda frame, folder: {name: frame[name].tolist() for name in frame},
}
if is_installed("pyarrow"):
    DOORS |= {
        "a DataFrame of Arrow's texts": texts_as("string[pyarrow]"),
        "a Parquet file": parquet_file,
        "an Arrow table": lambda frame, folder: __import__("pyarrow").Table.from_pandas(frame),
    }


def calls(function):
    """Return the number of functions and methods that Python calls in a function."""
    count, before = 0, sys.getprofile()

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_called_for_each_row_of_a_table(door, target, tmp_path):
    names, options = TARGETS[target]
    others = {name for names, _ in TARGETS.values() for name in names}.difference(names)
    few, many = (DOORS[door](table(rows), tmp_path) for rows in (FEW, MANY))

    def load(source):
        return kzoo.load_data(source, target=names, drop=sorted(others), **options)

    # what is imported and compiled once
    assert all(len(load(source).train) > 0 for source in (few, many))
    more = (calls(lambda: load(many)) - calls(lambda: load(few))) / (MANY - FEW)
    assert more < MOST_CALLS, f"{more:.1f} calls for each row"
