"""Tables of many files: columns in the names of folders (`year=2024`), and parts of CSV and Parquet tables."""

import os
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses

import kzoo
from kzoo.inference.tables.files import (
    is_table,
    pieces_of,
    read_header,
    read_rows,
    read_table,
    size_of,
)
from kzoo.inference.tables.values import to_words

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")


def sales(rows=240, seed=0):
    draw = np.random.default_rng(seed)
    month = np.sort(draw.integers(1, 4, rows))
    frame = pd.DataFrame(
        {"price": draw.normal(size=rows).round(3), "count": draw.integers(0, 50, rows)}
    )
    return frame.assign(
        sold=np.where(frame["price"] + month > 2, "yes", "no"),
        month=month,
        shop=draw.choice(["Köln Süd", "a/b=c", "50%"], rows),
    )


def hive(frame, folder, write):
    """Write a table as pyarrow and Spark do: a folder for each month and shop."""
    from urllib.parse import quote

    for (month, shop), rows in frame.groupby(["month", "shop"], sort=False, dropna=False):
        names = [
            f"{name}={'__HIVE_DEFAULT_PARTITION__' if pd.isna(value) else quote(str(value), safe='')}"
            for name, value in (("month", month), ("shop", shop))
        ]
        part = folder.joinpath(*names)
        part.mkdir(parents=True)
        write(rows.drop(columns=["month", "shop"]), part / "part-00000-c000")
    (folder / "_SUCCESS").touch()
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "part-9.csv").write_text("a\n1\n")
    (folder / ".part-0.crc").write_bytes(b"crc")
    return folder


def to_parquet(rows, file):
    rows.to_parquet(f"{file}.parquet", index=False)


def to_csv(rows, file):
    rows.to_csv(f"{file}.csv", index=False)


def test_partitions_are_those_of_pyarrow(tmp_path):
    folder = hive(sales(), tmp_path / "sales", to_parquet)
    expected = ds.dataset(folder, partitioning="hive").to_table().to_pandas()
    frame, rows = read_table(folder, notes=(notes := [])), read_rows(folder)
    assert notes_with(notes, "'sales'", "'month'", "'shop'", "folders")
    assert list(frame.columns) == list(expected.columns) == read_header(folder).columns
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert frame["month"].dtype.kind == "i" and set(frame["shop"]) == {"Köln Süd", "a/b=c", "50%"}
    pieces = pa.concat_tables([piece.table for piece in pieces_of(folder)]).to_pandas()
    pd.testing.assert_frame_equal(pieces, frame, check_dtype=False)
    for name in rows.columns:
        np.testing.assert_array_equal(to_words(rows[name]), to_words(frame[name]))
    assert size_of(folder) > 0


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        (["k=1", "k=-20", "k=0"], [-20, 0, 1]),
        (["k=05", "k=11"], ["05", "11"]),
        (["k=1", "k=01"], ["01", "1"]),
        (["k=2A", "k=01"], ["01", "2A"]),
        (["k=2024-01-31"], ["2024-01-31"]),
        (["k=1.5", "k=2"], ["1.5", "2"]),
        (["k=true"], ["true"]),
        (["k=a%20b%2Fc", "k=%E4%B8%AD"], ["a b/c", "中"]),
        (["k=a=b"], ["a=b"]),
        (["k=99999999999999999999"], ["99999999999999999999"]),
        (["_k=3"], [3]),
        (["sub/k=4/below"], [4]),
    ],
)
def test_values_in_names_of_folders(names, cells, tmp_path):
    for name in names:
        (tmp_path / "t" / name).mkdir(parents=True)
        to_parquet(pd.DataFrame({"a": [1.0]}), tmp_path / "t" / name / "1")
    frame = read_table(tmp_path / "t")
    assert sorted(frame.iloc[:, 1].tolist()) == cells and len(frame.columns) == 2


def test_a_missing_value(tmp_path):
    frame = sales()
    frame["month"] = frame["month"].astype("Int64").where(frame["month"] != 2)
    folder = hive(frame, tmp_path / "t", to_parquet)
    expected = ds.dataset(folder, partitioning="hive").to_table().to_pandas()
    pd.testing.assert_frame_equal(read_table(folder), expected, check_dtype=False)
    assert read_table(folder)["month"].isna().sum() == frame["month"].isna().sum() > 0


def _files(*names, columns=("a",)):
    def write(folder):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            to_parquet(pd.DataFrame({key: [1.0] for key in columns}), folder / name)

    return write


BAD = {
    "a file without the key": (_files("k=1/a", "b"), ["'b.parquet'", "'k'", "none"]),
    "other keys": (_files("k=1/a", "l=1/a"), ["'l=1/a.parquet'", "'l'", "'k'"]),
    "more keys": (_files("k=1/a", "k=1/m=2/a"), ["'m'", "'k'"]),
    "another order": (_files("k=1/m=1/a", "m=1/k=1/a"), ["order", "'m', 'k'", "'k', 'm'"]),
    "another case": (_files("k=1/a", "K=2/a"), ["'K'", "'k'", "case"]),
    "the same key twice": (_files("k=1/k=2/a"), ["'k'", "two"]),
    "twice in another case": (_files("k=1/K=2/a"), ["'k'", "two"]),
    "a column of the file": (_files("k=1/a", columns=("k", "b")), ["'k'", "'a.parquet'", "Rename"]),
    "a column in another case": (_files("k=1/a", columns=("K", "b")), ["'k'", "'K'", "Rename"]),
    "no key": (_files("=1/a"), ["'=1'", "column"]),
    "no value": (_files("k=/a"), ["'k='", "k=__HIVE_DEFAULT_PARTITION__"]),
    "not UTF-8": (_files("k=%FF/a"), ["k=%FF", "UTF-8"]),
    "a key that is not UTF-8": (_files("%C3%28=1/a"), ["%C3%28=1", "UTF-8"]),
    "the folder above": (_files("k=%2E%2E/a"), ["k=%2E%2E", "'..'"]),
    "a control character": (_files("k=a%00b/a"), ["k=a%00b", "Rename"]),
    "a line end": (_files("k=a%0Ab/a"), ["k=a%0Ab", "Rename"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_partitions_are_refused_in_one_line(case, tmp_path):
    write, words = BAD[case]
    try:
        write(tmp_path / "t")
    except OSError:
        pytest.skip("this file system cannot hold such names")
    for read in (read_table, read_rows, read_header, pieces_of):
        with refuses("'t'", *words):
            read(tmp_path / "t")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    _files("k=1/a")(tmp_path / "t")
    try:
        (tmp_path / "t" / "k=1").rename(tmp_path / "t" / os.fsdecode(b"k=\xff"))
    except OSError:
        pytest.skip("this file system cannot hold such names")
    with refuses("'t'", "UTF-8"):
        read_table(tmp_path / "t")


def _same(one, other):
    assert one.fingerprint == other.fingerprint and one.config == other.config
    for part in ("train", "validation", "test"):
        for name in ("x", "y"):
            np.testing.assert_array_equal(
                getattr(getattr(one, part), name)[:], getattr(getattr(other, part), name)[:]
            )


def test_a_partitioned_table_is_split_and_encoded_as_one_file(tmp_path):
    folder = hive(sales(), tmp_path / "sales", to_parquet)
    whole = read_table(folder)
    whole.to_parquet(tmp_path / "whole.parquet", index=False)
    _same(
        kzoo.load_data(folder, target="sold"),
        kzoo.load_data(tmp_path / "whole.parquet", target="sold"),
    )
    data = kzoo.load_data(folder, target="sold", drop=["shop"])
    assert data.feature_names == ("price", "count", "month")
    # the folder of a pattern has no columns; those below have
    pattern = kzoo.load_data(str(tmp_path / "s*" / "*" / "*" / "*.parquet"), target="sold")
    _same(pattern, kzoo.load_data(folder, target="sold"))


def test_a_partitioned_table_larger_than_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    folder = hive(sales(), tmp_path / "sales", to_parquet)
    monkeypatch.setenv("KZOO_MEMORY", "1GiB")
    read_table(folder).to_parquet(tmp_path / "whole.parquet", index=False)
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    data = kzoo.load_data(folder, target="sold")
    assert notes_with(data.notes, "memory") and notes_with(data.notes, "'month'", "folders")
    _same(data, kzoo.load_data(tmp_path / "whole.parquet", target="sold"))
    # another value in a name is another table
    next(folder.glob("month=3")).rename(folder / "month=7")
    changed = kzoo.load_data(folder, target="sold")
    assert changed.fingerprint != data.fingerprint


def parts_of(frame, folder, count=3, **options):
    """Write a table as CSV files, as Spark names them."""
    folder.mkdir()
    bounds = np.linspace(0, len(frame), count + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(bounds)):
        frame[start:stop].to_csv(
            folder / f"part-{number:05d}-6f1c-c000.csv", index=False, **options
        )
        (folder / f".part-{number:05d}-6f1c-c000.csv.crc").write_bytes(b"crc")
    (folder / "_SUCCESS").touch()
    return folder


@pytest.mark.parametrize("memory", ["1GiB", "1KiB"])
@pytest.mark.parametrize("written", [{}, {"sep": ";", "decimal": ","}])
def test_parts_of_a_csv_table_are_read_as_one_file(written, memory, tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KZOO_MEMORY", memory)
    frame = sales()
    frame.loc[frame.index % 7 == 0, "shop"] = None
    frame.to_csv(tmp_path / "whole.csv", index=False, **written)
    folder = parts_of(frame, tmp_path / "parts", **written)
    whole = kzoo.load_data(tmp_path / "whole.csv", target="sold")
    for source in (folder, str(folder / "part-*.csv")):
        data = kzoo.load_data(source, target="sold")
        assert notes_with(data.notes, "3 files", "one table")
        assert bool(notes_with(data.notes, "memory")) == (memory == "1KiB")
        _same(data, whole)


@pytest.mark.parametrize("memory", ["1GiB", "1KiB"])
def test_partitioned_csv_files_are_read_as_one_file(memory, tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KZOO_MEMORY", "1GiB")
    frame = sales()
    frame["shop"] = frame["shop"].where(frame["shop"] != "50%")
    folder = hive(frame, tmp_path / "parts", to_csv)
    read = read_table(folder, notes=[])
    assert (
        list(read.columns)
        == ["price", "count", "sold", "month", "shop"]
        == read_rows(folder).columns
    )
    assert read_header(folder).columns == list(read.columns)
    assert read["shop"].isna().sum() == frame["shop"].isna().sum() > 0
    read.to_csv(tmp_path / "whole.csv", index=False)
    monkeypatch.setenv("KZOO_MEMORY", memory)
    data = kzoo.load_data(folder, target="sold")
    assert notes_with(data.notes, "'month'", "'shop'", "folders")
    _same(data, kzoo.load_data(tmp_path / "whole.csv", target="sold"))


def test_pieces_of_parts_are_those_of_the_joined_text(tmp_path):
    texts = [
        'a,b\n1,"x\ny"\n2\n',  # a text with a line end, and a short row
        "a,b\r\n3,ä\r\n\r\n4,NA",  # other line ends, a blank line, and no line end
        "a,b\n",  # no rows
        "a,b\n5,ü\n".encode("cp1252"),
    ]
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, text in enumerate(texts):
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{number}.csv").write_bytes(content)
    frame = read_table(folder, notes=(notes := []))
    assert notes_with(notes, "'3.csv'", "Windows-1252")
    pieces = pieces_of(folder)
    assert notes_with(pieces.notes, "'3.csv'", "Windows-1252") and notes_with(
        pieces.notes, "4 files"
    )
    rows = pa.concat_tables([piece.table for piece in pieces]).to_pylist()
    expected = [{"a": "1", "b": "x\ny"}, {"a": "3", "b": "ä"}, {"a": "4", "b": None}]
    assert rows == [*expected, {"a": "5", "b": "ü"}, {"a": "2", "b": None}]
    assert frame["a"].tolist() == [1, 2, 3, 4, 5] == sorted(int(row["a"]) for row in rows)
    assert size_of(folder) > 0


def _texts(**files):
    def write(folder):
        for name, text in files.items():
            path = folder / (name.replace("__", "/").replace("_eq_", "=") + ".csv")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


BAD_PARTS = {
    "other columns": (_texts(a="x,y\n1,2\n", b="x,z\n1,2\n"), ["'b.csv'", "'z'", "'y'"]),
    "more columns": (_texts(a="x,y\n1,2\n", b="x,y,z\n1,2,3\n"), ["'b.csv'", "3 columns"]),
    "another order": (_texts(a="x,y\n1,2\n", b="y,x\n1,2\n"), ["'b.csv'", "order"]),
    "another separator": (_texts(a="x,y\n1,2\n", b="x;y\n1;2\n"), ["'b.csv'", "separator"]),
    "another decimal sign": (_texts(a="x;y\n1,5;2\n", b="x;y\n1.5;2\n"), ["'b.csv'", "decimal"]),
    "an empty file": (_texts(a="x,y\n1,2\n", b=""), ["'b.csv'", "empty"]),
    "a row that is too long": (_texts(a="x,y\n1,2\n", b="x,y\n1,2\n1,2,3\n"), ["table"]),
    "a key in the file": (_texts(k_eq_1__a="k,y\n1,2\n"), ["'k'", "'a.csv'", "Rename"]),
    "a file without the key": (_texts(k_eq_1__a="x,y\n1,2\n", b="x,y\n1,2\n"), ["'k'", "none"]),
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_parts_that_do_not_fit_are_refused_in_one_line(case, tmp_path):
    write, words = BAD_PARTS[case]
    write(tmp_path / "t")
    with refuses(*words):
        read_table(tmp_path / "t")
    with refuses(*words):
        read_rows(tmp_path / "t")
    with refuses(*words):
        list(pieces_of(tmp_path / "t"))


@pytest.mark.parametrize(
    "names",
    [
        ["train.csv", "test.csv"],
        ["labels.csv"],
        ["cat/1.csv", "dog/1.csv"],
        ["1.csv", "2.png"],
        ["1.csv", "class/2.csv"],
        ["README.md", "_SUCCESS"],
    ],
)
def test_other_folders_are_no_table(names, tmp_path):
    for name in names:
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_text("x,y\n1,2\n")
    assert not is_table(tmp_path / "t")
    assert is_table(tmp_path / "t" / "1.csv")


def test_a_folder_of_separate_tables_is_refused_with_the_way_out(tmp_path):
    _texts(train="x,y\n1,2\n", test="x,y\n1,2\n")(tmp_path / "t")
    with refuses("'t'", "test.csv", "test="):
        kzoo.load_data(tmp_path / "t", target="y")


def test_compressed_parts_and_parts_of_several_types(tmp_path):
    frame = sales(60)
    (tmp_path / "gz").mkdir()
    for number in range(2):
        part = frame[number * 30 : number * 30 + 30]
        part.to_csv(tmp_path / "gz" / f"part-{number}.csv.gz", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "gz", notes=[]), frame, check_dtype=False)
    (tmp_path / "gz" / "part-2.tsv").write_text("a\tb\n")
    with refuses("'gz'", ".gz", ".tsv"):
        read_table(tmp_path / "gz")


def test_new_rows_are_read_from_parts(tmp_path):
    run = kzoo.train(
        "tabular_fnn", hive(sales(), tmp_path / "old", to_parquet), target="sold", epochs=1,
        out=tmp_path / "run", seed=0,
    )  # fmt: skip
    new = sales(50, seed=1)
    folders = [hive(new, tmp_path / "p", to_parquet), hive(new, tmp_path / "c", to_csv)]
    read_table(folders[1], notes=[]).to_csv(tmp_path / "new.csv", index=False)
    expected = kzoo.predict(run, tmp_path / "new.csv")
    for folder in folders:
        predictions = kzoo.predict(run, folder)
        np.testing.assert_array_equal(predictions.probabilities, expected.probabilities)
