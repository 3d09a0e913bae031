"""A file that memory has room for is opened once, whatever is learned of it."""

import builtins
import os

import numpy as np
import pandas as pd
import pytest

import kzoo


def table():
    random = np.random.default_rng(0)
    return pd.DataFrame({"size": random.random(80).round(3), "code": ["0107"] * 80, "kind": ["small", "large"] * 40})


def series():
    return pd.DataFrame({"when": pd.date_range("2024-01-01", periods=300, freq="h").astype(str), "load": range(300)})


def texts():
    return pd.DataFrame({"text": [f"good film number {i}" for i in range(60)], "label": ["a", "b"] * 30})


SOURCES = {
    "a table": ("table.csv", table, dict(target="kind")),
    "a table in which 1.234 may be 1234": (
        "doubts.csv", lambda: table().assign(size=["1.234", "2.345"] * 40), dict(target="kind"),
    ),
    "a table that is not UTF-8": ("latin.csv", lambda: table().assign(kind=["größe", "maß"] * 40), dict(target="kind")),
    "a series": ("series.csv", series, dict(preset="series_linear")),
    "texts with labels": ("texts.csv", texts, dict(preset="text_cnn")),
    "a text": ("book.txt", None, dict(preset="char_gru")),
}  # fmt: skip


@pytest.mark.parametrize("what", SOURCES)
def test_a_file_is_opened_once(what, tmp_path, monkeypatch):
    name, make, options = SOURCES[what]
    if make is None:
        (tmp_path / name).write_text("one two three four\nfive six seven\n" * 400, encoding="utf-8")
    else:
        make().to_csv(tmp_path / name, index=False, encoding="cp1252" if name == "latin.csv" else "utf-8")
    opened, real = [], builtins.open

    def counting(file, *arguments, **more):
        if isinstance(file, str | os.PathLike) and os.path.basename(file) == name:
            opened.append(file)
        return real(file, *arguments, **more)

    monkeypatch.setattr(builtins, "open", counting)
    monkeypatch.setattr("io.open", counting)
    data = kzoo.load_data(tmp_path / name, **options)
    assert len(data.train) > 0
    assert len(opened) == 1, opened
