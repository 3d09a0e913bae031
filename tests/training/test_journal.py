"""The journal's file is read as it was written, a flipped bit is detected, and the previous journal is then used."""

import os

import numpy as np
import pytest
from messages import assert_mentions, refuses

from kzoo.training.journal import (
    is_plain,
    pack,
    read_journal,
    remove_journal,
    unpack,
    write_journal,
)
from kzoo.utils.errors import KzooError

STATE = {
    "epoch": 3,
    "value": float("inf"),
    "text": "Größe",
    "none": None,
    "pair": (1, [2.5, True]),
    "by number": {0: "a", 7: "b"},
    "weights": [
        np.arange(6, dtype="float32").reshape(2, 3),
        np.zeros((0,), "int64"),
        np.float32(0.1),
    ],
}


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for name in a:
            assert_same(a[name], b[name])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


def test_a_journal_is_read_as_it_was_written(tmp_path):
    write_journal(tmp_path, STATE)
    state, lines = read_journal(tmp_path)
    assert lines == []
    assert_same(state, STATE)


def test_a_change_of_any_byte_is_detected():
    content = pack({"epoch": 1, "weights": [np.ones(50, "float32")]})
    for position in range(0, len(content), 37):
        broken = bytearray(content)
        broken[position] ^= 1
        with pytest.raises(KzooError):
            unpack(bytes(broken))
    with refuses("checksum"):
        unpack(content[:-1])


def test_a_damaged_journal_is_replaced_by_the_previous_journal(tmp_path):
    write_journal(tmp_path, STATE | {"epoch": 1})
    write_journal(tmp_path, STATE | {"epoch": 2})
    write_journal(tmp_path, STATE | {"epoch": 3})
    file = tmp_path / "journal"
    whole = file.read_bytes()
    for content in (
        whole[: len(whole) // 2],
        b"",
        whole.replace(b"kzoo-journal 1", b"kzoo-journal 9"),
    ):
        file.write_bytes(content)
        state, lines = read_journal(tmp_path)
        assert state["epoch"] == 2
        assert len(lines) == 1
        assert_mentions(lines[0], str(file), "damaged")
    (tmp_path / "journal.previous").write_bytes(b"\n")
    assert read_journal(tmp_path)[0] is None


def test_a_failed_write_leaves_both_journals_unchanged(tmp_path, monkeypatch):
    write_journal(tmp_path, STATE | {"epoch": 1})
    write_journal(tmp_path, STATE | {"epoch": 2})

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_journal(tmp_path, STATE | {"epoch": 3})
    monkeypatch.undo()
    assert read_journal(tmp_path)[0]["epoch"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal", "journal.previous"]
    remove_journal(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_arrays_and_plain_python_values_can_be_stored():
    assert is_plain(STATE)
    assert (
        not is_plain({"function": len}) and not is_plain([object()]) and not is_plain({(1, 2): 3})
    )
