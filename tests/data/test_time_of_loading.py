"""`kzoo.load_data` takes no more processor time than pandas and scikit-learn for the same steps; run by `.ci/slow`."""

import gc
import time

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.utils.optional import is_installed

pytestmark = pytest.mark.slow

MOST = 1.1  # processor time of `load_data`, as a multiple of that of pandas and scikit-learn
ROUNDS = {200_000: 7, 1_000_000: 3}
NUMBERS = [f"n{n}" for n in range(20)]
CATEGORIES = {"size": 3, "town": 40, "product": 300}
TARGET = "churned"


def table(rows):
    """Return twenty columns of numbers, three of categories, and a target of two classes."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        draw.normal(0, 10.0 ** (np.arange(20) % 4), (rows, 20)).round(4), columns=NUMBERS
    )
    for name, count in CATEGORIES.items():
        frame[name] = draw.choice([f"{name} {n}" for n in range(count)], rows)
    return frame.assign(**{TARGET: draw.choice(["yes", "no"], rows)})


def peer(frame):
    """Split a table, learn scales and categories on its training rows, and encode all rows, with scikit-learn."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import LabelEncoder, OrdinalEncoder, StandardScaler

    x = frame.drop(columns=TARGET)
    y = LabelEncoder().fit_transform(frame[TARGET])
    x, x_test, y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    x, x_validation, _, _ = train_test_split(x, y, test_size=0.1, stratify=y, random_state=0)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    transformer = ColumnTransformer(
        [("numbers", numbers, NUMBERS), ("categories", encoder, list(CATEGORIES))]
    )
    return (
        transformer.fit_transform(x),
        transformer.transform(x_validation),
        transformer.transform(x_test),
    )


def csv_file(frame, folder):
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv", pd.read_csv


def parquet_file(frame, folder):
    frame.to_parquet(folder / "table.parquet", index=False)
    return folder / "table.parquet", pd.read_parquet


DOORS = {"CSV": csv_file, "DataFrame": lambda frame, folder: (frame, lambda frame: frame)}
if is_installed("pyarrow"):
    DOORS["Parquet"] = parquet_file


def times_in_turns(functions, rounds):
    """Return the least processor time of each function, in seconds; each round calls all of them once."""
    least = [np.inf] * len(functions)
    for _ in range(rounds):
        for index, function in enumerate(functions):
            gc.collect()
            began = time.process_time()
            function()
            least[index] = min(least[index], time.process_time() - began)
    return least


@pytest.mark.parametrize("rows", ROUNDS)
@pytest.mark.parametrize("door", DOORS)
def test_loading_a_table_takes_no_longer_than_pandas_and_scikit_learn(door, rows, tmp_path):
    source, read = DOORS[door](table(rows), tmp_path)
    functions = [lambda: kzoo.load_data(source, target=TARGET), lambda: peer(read(source))]
    for function in functions:
        function()  # what is imported once
    own, theirs = times_in_turns(functions, ROUNDS[rows])
    print(
        f"{door}, {rows:,} rows: {own:.2f} s, pandas and scikit-learn {theirs:.2f} s, ratio {own / theirs:.2f}"
    )
    assert own <= MOST * theirs, f"{own:.2f} s against {theirs:.2f} s: {own / theirs:.2f} times"
