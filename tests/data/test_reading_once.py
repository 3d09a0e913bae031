"""A file that fits into memory is opened once, and a larger file is parsed twice."""

import builtins
import importlib
import os

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions

import kzoo
from kzoo.utils.optional import is_installed


def table():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {"size": random.random(80).round(3), "code": ["0107"] * 80, "kind": ["small", "large"] * 40}
    )


def series():
    return pd.DataFrame(
        {"when": pd.date_range("2024-01-01", periods=300, freq="h").astype(str), "load": range(300)}
    )


def texts():
    return pd.DataFrame(
        {"text": [f"good film number {i}" for i in range(60)], "label": ["a", "b"] * 30}
    )


SOURCES = {
    "a table": ("table.csv", table, dict(target="kind")),
    "a table in which 1.234 may be 1234": (
        "doubts.csv",
        lambda: table().assign(size=["1.234", "2.345"] * 40),
        dict(target="kind"),
    ),
    "a table that is not UTF-8": (
        "latin.csv",
        lambda: table().assign(kind=["größe", "maß"] * 40),
        dict(target="kind"),
    ),
    "a series": ("series.csv", series, dict(preset="series_linear")),
    "texts with labels": ("texts.csv", texts, dict(preset="text_cnn")),
    "a text": ("book.txt", None, dict(preset="char_gru")),
}


def count_openings(monkeypatch, name):
    """Return a list that gets an item each time Python opens a file of this name."""
    opened = []
    real = builtins.open

    def counting(file, *arguments, **more):
        if isinstance(file, str | os.PathLike) and os.path.basename(file) == name:
            opened.append(file)
        return real(file, *arguments, **more)

    monkeypatch.setattr(builtins, "open", counting)
    monkeypatch.setattr("io.open", counting)
    return opened


@pytest.mark.parametrize("case", SOURCES)
def test_a_file_is_opened_once(case, tmp_path, monkeypatch):
    name, make, options = SOURCES[case]
    if make is None:
        (tmp_path / name).write_text("one two three four\nfive six seven\n" * 400, encoding="utf-8")
    else:
        make().to_csv(
            tmp_path / name, index=False, encoding="cp1252" if name == "latin.csv" else "utf-8"
        )
    opened = count_openings(monkeypatch, name)
    data = kzoo.load_data(tmp_path / name, **options)
    assert len(data.train) > 0
    assert len(opened) == 1, opened


@pytest.mark.skipif(not is_installed("pyarrow"), reason="pyarrow reads such a table")
def test_a_table_that_does_not_fit_into_memory_is_parsed_twice(tmp_path, monkeypatch):
    pd.concat([table()] * 100).to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    csv = importlib.import_module("pyarrow.csv")
    parsed = []
    real = csv.open_csv
    monkeypatch.setattr(
        csv, "open_csv", lambda path, *more: parsed.append(path) or real(path, *more)
    )
    opened = count_openings(monkeypatch, "table.csv")
    assert_mentions(
        kzoo.load_data(tmp_path / "table.csv", target="kind").notes[0],
        "'table.csv'",
        "memory",
        "1.0 KiB",
    )
    assert len(parsed) == 2  # a sample and the counts, then the cells
    # its sum; a test whether it exists; how it is written; its beginning, twice
    assert len(opened) == 5, opened
