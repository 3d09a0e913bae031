"""Parquet: a table whose columns have types."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
from messages import refuses

import kzoo
from kzoo.inference.tables.dates import to_dates
from kzoo.inference.tables.files import is_table, pieces_of, read_header, read_rows, read_table
from kzoo.inference.tables.values import to_numbers, to_words

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def columns():
    """Return a column of each type that is read, the last cell of each missing."""
    when = datetime.datetime(2024, 2, 3, 4, 5, 6)
    return {
        "whole": pa.array([1, 2, None]),
        "small": pa.array([1, 255, None], pa.uint8()),
        "number": pa.array([1.5, -2.0, None], pa.float32()),
        "half": pa.array(np.array([1.5, -2.0, 0], np.float16), mask=np.array([False, False, True])),
        "exact": pa.array([decimal.Decimal("1.25"), decimal.Decimal("-3.50"), None]),
        "truth": pa.array([True, False, None]),
        "text": pa.array(["b", " a ", None]),
        "large": pa.array(["b", "a", None], pa.large_string()),
        "coded": pa.array(["b", "a", None]).dictionary_encode(),
        "coded numbers": pa.array([3, 4, None]).dictionary_encode(),
        "day": pa.array([when.date(), datetime.date(1999, 12, 31), None]),
        "time": pa.array([when, when, None], pa.timestamp("ns")),
        "zone": pa.array([when, when, None], pa.timestamp("us", "Asia/Tokyo")),
        "nothing": pa.nulls(3),
    }


@pytest.fixture
def file(tmp_path):
    pq.write_table(pa.table(columns()), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def test_training_and_new_rows_get_the_same_cells(file):
    frame, rows = read_table(file), read_rows(file)
    (piece,) = pieces_of(file)
    assert (
        list(frame.columns)
        == rows.columns
        == piece.columns
        == read_header(file).columns
        == list(columns())
    )
    for name in rows.columns:
        for read in (rows, piece):
            np.testing.assert_array_equal(to_words(read[name]), to_words(frame[name]))
            np.testing.assert_array_equal(read.numbers(name), to_numbers(frame[name]))
            np.testing.assert_array_equal(read.dates(name), to_dates(frame[name]))
    assert (
        to_numbers(frame["exact"])[:2].tolist() == [1.25, -3.5]
        and to_words(frame["text"])[1] == "a"
    )
    assert str(to_dates(frame["zone"])[0]) == "2024-02-03T13:05:06.000000"  # as its clock shows it


def example(rows, seed):
    draw = np.random.default_rng(seed)
    a = draw.normal(size=rows).round(3)
    b = draw.integers(0, 4, rows)
    return pd.DataFrame(
        {"a": a, "b": [f"b{value}" for value in b], "y": np.where(a + b > 1.5, "yes", "no")}
    )


def test_a_file_and_a_folder_are_read_like_the_same_csv(tmp_path):
    frame = example(300, 0)
    frame.to_csv(tmp_path / "a.csv", index=False)
    # whose index is no column
    frame.set_index(np.arange(300) * 2).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "_SUCCESS").touch()
    for number in range(3):
        frame[number * 100 : (number + 1) * 100].to_parquet(
            tmp_path / "parts" / f"part-{number}.parquet", index=False
        )
    csv, *others = (
        kzoo.load_data(tmp_path / name, target="y") for name in ("a.csv", "a.parquet", "parts")
    )
    for data in others:
        assert data.preprocessing == csv.preprocessing and data.config == csv.config
        np.testing.assert_array_equal(data.train.x, csv.train.x)
        np.testing.assert_array_equal(data.test.y, csv.test.y)
    assert kzoo.load_data(
        tmp_path / "a.csv", target="y", test=tmp_path / "a.parquet"
    ).test.x.shape == (300, 2)
    assert is_table(tmp_path / "parts") and not is_table(tmp_path)  # in which there are other files
    assert is_table(str(tmp_path / "a.parquet"))


def test_invalid_files_are_refused(tmp_path, file, monkeypatch):
    pq.write_table(pa.table({"a": [[1], [2]]}), tmp_path / "lists.parquet")
    with refuses("'a'", "'lists.parquet'", "list<", "number", "text", "date"):
        read_table(tmp_path / "lists.parquet")
    pq.write_table(pa.table([[1], [2]], names=["a", " a"]), tmp_path / "twice.parquet")
    with refuses("columns", "'twice.parquet'", "'a'", "name"):
        read_table(tmp_path / "twice.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    with refuses("'broken.parquet'", "magic bytes"):  # as pyarrow words it
        read_rows(tmp_path / "broken.parquet")
    parts = tmp_path / "parts"
    parts.mkdir()
    pq.write_table(pa.table({"a": [1, 2]}), parts / "1.parquet")
    pq.write_table(pa.table({"b": [1, 2]}), parts / "2.parquet")
    with refuses("'2.parquet'", "columns", "'1.parquet'"):
        read_table(parts)
    pq.write_table(pa.table({"a": ["x"]}), parts / "2.parquet")
    with refuses("'a'", "'2.parquet'", "string", "'1.parquet'", "int64"):
        read_table(parts)
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    with refuses("'empty.parquet'", "rows"):
        read_table(tmp_path / "empty.parquet")
    monkeypatch.setattr("kzoo.utils.optional.is_installed", lambda name: name != "pyarrow")
    with refuses("pyarrow", 'pip install "kzoo[arrow]"'):
        read_rows(file)
