"""A small upload cannot fill the memory: short rows and repeated texts are expanded only up to a limit."""

import csv
import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.inference.kinds.rows import inference as light
from kzoo.inference.kinds.text.tokenizer import Tokenizer
from kzoo.inference.sources.arrays import as_array
from kzoo.inference.tables import files
from kzoo.utils.errors import KzooWarning

NAMES = [f"n{number}" for number in range(10_000)]
SHORT = ",".join(NAMES) + "\n" + "1\n" * 8_000
READER = {
    "kind": "table",
    "columns": [{"name": "n0", "kind": "number", "median": 0.0, "missing": []}],
}
MEASURED = """
import json, resource, sys
from kzoo.utils.errors import KzooError
from kzoo.inference.kinds.rows import inference as light
from kzoo.inference.tables import files
from kzoo.inference.kinds.text.tokenizer import Tokenizer
names = ",".join(f"n{number}" for number in range(10_000))
reader = json.loads(sys.argv[2])
UPLOADS = {
    "short rows": lambda: [f"{names}\\n{'1' + chr(10):}".encode() + b"1\\n" * 8_000],
    "very many rows": lambda: [b"n0,n1\\n" + b"1\\n" * 1_000_000],
    "very many columns": lambda: [b"n0," + b"x," * 500_000 + b"\\n1\\n"],
    "very many columns below a blank line": lambda: [b"\\nn0," + b"x," * 500_000 + b"\\n1\\n"],
    "very many columns of the same name": lambda: [b" \\n" + b"n0," * 300_000 + b"\\n1\\n"],
    "objects of different columns": lambda: [{f"{row} {cell}": 0 for cell in range(9)} for row in range(9_000)],
    "very many objects": lambda: [{"n0": 1}] * 200_000,
    "very many cells": lambda: {"n0": [0] * 500_000},
    "a long text among numbers": lambda: [["a" * 100_000, 1.0], *[[1.0, 2.0]] * 9_999],
}
upload = UPLOADS[sys.argv[1]]()
try:
    files.read_content(b"a,b\\n1,2\\n")
    light.read(reader, light.received(reader, [{"n0": 1}], 10_000))
    before = resource.getrusage(resource.RUSAGE_SELF)
    light.received(reader, upload, 10_000)
except KzooError as error:
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([str(error), (after.ru_maxrss - before.ru_maxrss) / 1024, after.ru_utime - before.ru_utime]))
"""
WRONG = {
    "short rows": ("10,000 columns", "8,001 rows", "80,010,000"),
    "very many rows": ("1,000,000", "10,000", "request"),
    "very many columns": ("500,002 columns", "10,000"),
    "very many columns below a blank line": ("500,002 columns", "10,000"),
    "very many columns of the same name": ("300,001 columns", "10,000"),
    "objects of different columns": ("9,000 rows", "81,000 values", "81,000 columns"),
    "very many objects": ("200,000", "10,000", "request"),
    "very many cells": ("500,000", "10,000", "request"),
    "a long text among numbers": ("numbers", "texts", "11 GiB"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="sizes are counted in other units elsewhere")
@pytest.mark.parametrize("case", WRONG)
def test_oversized_uploads_are_refused_before_they_take_memory(case):
    """Earlier versions took up to 3 GB and 15 s."""
    command = [sys.executable, "-c", MEASURED, case, json.dumps(READER)]
    message, grown, seconds = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    assert_mentions(message, *WRONG[case])
    assert "\n" not in message
    assert grown < 100 and seconds < 5, (grown, seconds)


def write(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("memory", ["1GiB", "1KiB"])
def test_a_file_of_short_rows_is_refused_by_every_reader(memory, end, tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", memory)
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "a.csv"
    file.write_bytes(SHORT.replace("\n", end).encode())
    for read in (files.read_rows, files.read_table, lambda path: kzoo.load_data(path, target="n0")):
        with refuses("'a.csv'", "10,000 columns", "8,000 rows", "80,000,000"):
            read(file)


def test_wide_tables_and_tables_of_short_rows_are_read(tmp_path):
    # A row for each sample, a column for each gene: written in full, any number of cells is read.
    genes = write(
        tmp_path / "genes.csv",
        [f"g{n}" for n in range(20_000)],
        ([*"1" * 20_000] for _ in range(100)),
    )
    assert len(files.read_rows(genes)) == len(files.read_table(genes)) == 100
    # Empty cells at the end of each row, as a spreadsheet leaves them out; baskets of a shop.
    basket = write(
        tmp_path / "basket.csv",
        [f"item {n}" for n in range(30)],
        (["milk"] * (1 + n % 9) for n in range(5000)),
    )
    for rows in (
        files.read_rows(basket),
        files.read_table(basket),
        files.read_content(basket.read_bytes(), most=5000),
    ):
        assert len(rows) == 5000 and len(rows.columns) == 30
    # Texts of many short lines.
    poem = write(tmp_path / "poems.csv", ["text", "label"], [["O\n" * 1_000_000, "sad"]] * 12)
    assert len(files.read_rows(poem)) == len(files.read_table(poem)) == 12
    with refuses("5,000", "4,999", "request"):
        files.read_content(basket.read_bytes(), most=4_999)
    with refuses("quotation mark"):
        files.read_content(b'a\n1\n2\n"3\n', most=2)
    assert files.read_content(b"a,b\n1\n2\n3", most=3)["b"].tolist() == [None] * 3


def test_columns_of_the_same_name_give_few_warnings():
    with pytest.warns(KzooWarning) as warned:
        rows = files.read_content(b"a," * 9_000 + b"b\n" + b"1," * 9_000 + b"2\n")
    assert len(rows.columns) == 9_001 and len(warned) == 21
    assert_mentions(str(warned[-1].message), "8,979", "columns", "table")


def test_objects_of_different_columns_are_read_where_they_are_few():
    objects = [{f"n{row % 300}": 1, "n0": row} for row in range(2_000)]
    assert light.received(READER, objects, 10_000)["n0"].tolist()[1] == 1
    # 1.8 million cells, none of them missing
    wide = [{f"n{number}": 1 for number in range(2_000)}] * 900
    assert len(light.received(READER, wide, 10_000).columns) == 2_000
    assert as_array([["a", 1.0]] * 100, "Rows").dtype.kind == "U"
    lengths = {f"c{n}": [0] * n for n in range(1, 2000)}
    with refuses("columns", "c12 12", "1987 more"):
        light.received(READER, lengths, 10_000)


def test_texts_that_parquet_stores_once_are_expanded_piece_by_piece(tmp_path, monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from kzoo.inference.tables.files import parquet

    words = [None, "x" * 50_000, "yes", "", "é"]
    codes = np.random.default_rng(0).integers(1, 5, 4_000)
    codes[::2] = 1
    texts = pa.array([words[code] for code in codes[:7]] + [None])
    table = pa.table(
        {
            "t": pa.DictionaryArray.from_arrays(pa.array(codes - 1), pa.array(words[1:])),
            "y": codes % 2,
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 60_000
    pieces = [piece.table for piece in parquet.Pieces(tmp_path / "a.parquet")]
    assert len(pieces) == 2 and max(piece.nbytes for piece in pieces) < 70 << 20
    frame = files.read_table(tmp_path / "a.parquet")
    pd.testing.assert_series_equal(
        frame["t"], table.to_pandas()["t"].astype(frame["t"].dtype), check_names=False
    )
    monkeypatch.setattr(parquet, "_LARGE", 80 << 20)
    monkeypatch.setenv("KZOO_MEMORY", "1GiB")
    assert len(files.read_rows(tmp_path / "a.parquet")) == 4_000
    monkeypatch.setenv("KZOO_MEMORY", "1MiB")
    for read in (files.read_rows, files.read_table):
        with refuses("'a.parquet'", "80 MiB", "texts"):
            read(tmp_path / "a.parquet")
    pq.write_table(pa.table({"t": texts}), tmp_path / "b.parquet")
    assert files.read_rows(tmp_path / "b.parquet")["t"][7] is None


def test_very_many_columns_of_parquet_are_read(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    took = []
    for count in (2_000, 8_000):
        pq.write_table(pa.table({f"c{n}": [1.0] for n in range(count)}), tmp_path / "a.parquet")
        began = time.process_time()
        assert len(files.read_rows(tmp_path / "a.parquet").columns) == count
        took.append(time.process_time() - began)
    assert took[1] < 8 * max(took[0], 0.1), took  # no loop over all names for each name


def test_an_archive_of_arrays_larger_than_memory_is_refused(tmp_path, monkeypatch):
    from kzoo.data import arrays

    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((4_000, 500)), y=np.arange(4_000) % 2)
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    monkeypatch.setenv("KZOO_MEMORY", "1MiB")
    with refuses("'a.npz'", "15 MiB", "1.0 MiB"):
        kzoo.load_data(tmp_path / "a.npz")
    monkeypatch.setenv("KZOO_MEMORY", "1GiB")
    assert kzoo.load_data(tmp_path / "a.npz").outputs == 2


@pytest.mark.parametrize("level", ["words", "characters"])
def test_a_long_text_read_in_pieces_gives_the_same_tokens(level, monkeypatch):
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(list("abcdé"), size)) for size in (1, 3, 400, 90, 0)]
    vocabulary = [*"abcd", "a b", "b c", "d é", "a b c", "c c d", "ab", " a", "a b"]
    tokenizer = Tokenizer(level=level, ngrams=3, vocabulary=vocabulary)
    whole = [tokenizer.numbers(text) for text in texts]
    rows = tokenizer.encode(texts, 20)
    assert len(whole[2]) > 5
    monkeypatch.setattr("kzoo.inference.kinds.text.tokenizer._MAX_TOKENS", 7)
    for text, ids in zip(texts, whole, strict=True):
        np.testing.assert_array_equal(tokenizer.numbers(text), ids)
    np.testing.assert_array_equal(tokenizer.encode(texts, 20), rows)
