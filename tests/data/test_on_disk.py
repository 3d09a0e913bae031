"""Data that does not fit into memory is read as it is needed, with the same results as from memory."""

import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.data import load_data
from kzoo.data.inputs.text import language, long_text
from kzoo.data.pipeline import Batches
from kzoo.data.store import shuffle
from kzoo.data.store.windows import Mapped, RangeArray, Windows, blocks
from kzoo.inference.kinds.text import tokenizer

WORDS = [
    "the",
    "cat",
    "sat",
    "Élan",
    "e\u0301t\u00e9",
    "ΟΔΟΣ",
    "中文",
    "said:",
    '"it\'s"',
    "so",
    "-",
    "quick",
]
TINY = "1"  # byte: no data fits


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def both(monkeypatch, load):
    """Return what `load` gives with enough memory, and with too little."""
    results = []
    for memory in ("8GiB", TINY):
        monkeypatch.setenv("KZOO_MEMORY", memory)
        results.append(load())
    return results


def check_alike(memory, disk, **options):
    """Check that batches and all that was learned are the same, and that only the first lies in memory."""
    assert disk.fingerprint == memory.fingerprint
    for name in ("config", "preprocessing", "class_names", "target_names"):
        assert getattr(disk, name) == getattr(memory, name)
    for name in ("train", "validation", "test"):
        parts = getattr(memory, name), getattr(disk, name)
        one, other = (
            Batches(part, batch_size=7, seed=3, shuffle=name == "train", **options)
            for part in parts
        )
        assert len(one) == len(other) and one.in_memory and not other.in_memory
        for epoch, step in ((0, 0), (0, len(one) - 1), (5, len(one) // 2)):
            for left, right in zip(one.batch(epoch, step), other.batch(epoch, step), strict=True):
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)


@pytest.fixture
def book(tmp_path):
    draw = np.random.default_rng(0)
    lines = (" ".join(draw.choice(WORDS, draw.integers(1, 12))) for _ in range(900))
    (tmp_path / "book.txt").write_bytes(
        "".join(line + draw.choice(["\n", "\r\n"]) for line in lines).encode()
    )
    return tmp_path / "book.txt"


@pytest.mark.parametrize(
    "settings",
    [{}, {"tokenizer": "words", "vocabulary_size": 9}, {"pooling": "last"}],
    ids=["characters", "words", "one token"],
)
def test_a_text_on_disk_is_the_text(book, monkeypatch, settings, cache):
    monkeypatch.setattr(long_text, "_PIECE", 97)
    preset = kzoo.get_preset("char_gru")
    preset = kzoo.Preset(
        name="mine",
        family="gru",
        task=preset.task,
        summary="",
        config=preset.config
        | {"input_shape": (9,)}
        | {k: v for k, v in settings.items() if k != "tokenizer"},
        training=preset.training | {k: v for k, v in settings.items() if k == "tokenizer"},
    )
    memory, disk = both(monkeypatch, lambda: load_data(book, preset=preset))
    check_alike(memory, disk)
    assert isinstance(disk.train.x.starts, RangeArray)
    (folder,) = cache.iterdir()
    (note,) = (line for line in disk.notes if line not in memory.notes)
    assert_mentions(note, repr(str(folder)), "KiB")
    written = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    check_alike(memory, load_data(book, preset=preset))
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == written  # made once
    book.write_text(book.read_text() + "more\n")
    assert (
        load_data(book, preset=preset).fingerprint != memory.fingerprint
        and len(list(cache.iterdir())) == 2
    )


def test_a_changed_text_of_the_same_size_and_time_gets_new_tokens(
    book, tmp_path, monkeypatch, cache
):
    monkeypatch.setenv("KZOO_MEMORY", TINY)
    first = load_data(book, preset="char_gru")
    times = book.stat()
    book.write_bytes(book.read_bytes().replace(b"cat", b"dog"))
    os.utime(book, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert book.stat().st_size == times.st_size
    data = load_data(book, preset="char_gru")
    assert data.fingerprint != first.fingerprint and "d" in data.preprocessing["vocabulary"]
    shutil.copy(book, tmp_path / "copy.txt")
    assert load_data(tmp_path / "copy.txt", preset="char_gru").fingerprint == data.fingerprint
    assert len(list(cache.iterdir())) == 2  # a copy has the tokens already


def test_a_second_text_and_long_fingerprints(book, tmp_path, monkeypatch):
    monkeypatch.setattr(long_text, "MAX_HASHED_TEXT", 1000)
    (tmp_path / "other.txt").write_text("a second text, about the cat\n" * 30)
    check_alike(
        *both(monkeypatch, lambda: load_data(book, preset="char_gru", test=tmp_path / "other.txt"))
    )
    for memory in ("8GiB", TINY):
        monkeypatch.setenv("KZOO_MEMORY", memory)
        (tmp_path / "short.txt").write_text("one line\n" * 2)
        with refuses("'short.txt'", "3 lines"):
            load_data(tmp_path / "short.txt", preset="char_gru")
        (tmp_path / "short.txt").write_text("a few lines\n" * 20)
        with refuses("validation", "'short.txt'", "24 characters", "101", "input_shape"):
            load_data(tmp_path / "short.txt", preset="char_gru")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_every_encoding_is_read_in_pieces(book, encoding, monkeypatch):
    book.write_bytes(book.read_bytes().decode().encode(encoding))
    monkeypatch.setattr("kzoo.inference.sources.files.read_text", None)  # nobody reads a whole file
    monkeypatch.setattr(long_text, "_PIECE", 1000)
    memory, disk = both(monkeypatch, lambda: load_data(book, preset="char_gru"))
    check_alike(memory, disk)


def test_a_new_text_that_does_not_fit_into_memory_has_the_same_windows(book, monkeypatch):
    reader = load_data(book, preset="char_gru").preprocessing
    memory, disk = both(monkeypatch, lambda: language.labelled_windows(reader, book, per_step=True))
    assert isinstance(disk.x.values, np.memmap) and not isinstance(memory.x.values, np.memmap)
    np.testing.assert_array_equal(memory.x[:], disk.x[:])
    np.testing.assert_array_equal(memory.y[:], disk.y[:])
    np.testing.assert_array_equal(
        *both(monkeypatch, lambda: language.cut_into_windows(reader, book))
    )


@pytest.mark.parametrize("memory", ["8GiB", TINY])
def test_a_vocabulary_that_is_too_small_is_refused(book, monkeypatch, memory):
    monkeypatch.setenv("KZOO_MEMORY", memory)
    with refuses("vocabulary_size=2", "3"):
        kzoo.train("char_gru", book, vocabulary_size=2, progress=False)


def test_rare_words_are_forgotten_where_too_many_differ(monkeypatch):
    pieces = ["a b c d a b", " a b e f", " g a b"]
    options = dict(level="words", size=4, lowercase=True)
    exact, counted = tokenizer.learn_from_pieces(pieces, **options)
    monkeypatch.setattr(tokenizer, "_MAX_COUNTED", 4)
    bounded, all_counted = tokenizer.learn_from_pieces(pieces, **options)
    assert exact.vocabulary == bounded.vocabulary == ["a", "b"] and counted and not all_counted


def test_the_order_of_very_many_rows_can_be_computed_in_parts(monkeypatch):
    for count in (1, 2, 3, 17, 1000, 4097):
        shuffled = shuffle.shuffled(np.arange(count), count, 1, 2)
        np.testing.assert_array_equal(np.sort(shuffled), np.arange(count))
        np.testing.assert_array_equal(
            shuffled[3:9], shuffle.shuffled(np.arange(count)[3:9], count, 1, 2)
        )
    assert abs(np.corrcoef(shuffled, np.arange(4097))[0, 1]) < 0.06
    assert (shuffled == shuffle.shuffled(np.arange(4097), 4097, 1, 3)).mean() < 0.01
    monkeypatch.setattr("kzoo.data.pipeline.MOST", 20)
    part = kzoo.data.dataset.Split(x=np.arange(50), y=np.arange(50))
    batches = Batches(part, batch_size=8, shuffle=True)
    seen = np.concatenate([batches.batch(1, step)[1] for step in range(len(batches))])
    np.testing.assert_array_equal(seen, batches.order(1))
    assert len(np.unique(seen)) == 50


def test_spaced_numbers_are_those_of_an_array():
    numbers = RangeArray(range(3, 40, 4))
    array = np.arange(3, 40, 4)
    for index in (
        0,
        -1,
        slice(2, 7),
        slice(None, None, -3),
        np.array([4, -2, 0]),
        (slice(1, 3), None),
    ):
        np.testing.assert_array_equal(np.asarray(numbers[index]), array[index])
    np.testing.assert_array_equal(np.asarray(numbers + 5), array + 5)
    assert (numbers.min(), numbers.max(), len(numbers), numbers.shape) == (3, 39, 10, (10,))


def mapped(tmp_path, values):
    np.save(tmp_path / "values.npy", values)
    return np.load(tmp_path / "values.npy", mmap_mode="r")


ARRAYS = {
    "tabular_fnn": lambda draw: draw.normal(size=(120, 5)),
    "iris_fnn": lambda draw: draw.integers(0, 9, (120, 4)),
    "text_cnn": lambda draw: draw.integers(0, 40, (120, 64)).astype("uint8"),
    None: lambda draw: draw.normal(size=(120, 30, 2)),  # series
    "image_cnn": lambda draw: draw.integers(0, 256, (120, 6, 6, 3)).astype("float64"),
}


@pytest.mark.parametrize("preset", ARRAYS, ids=str)
def test_a_mapped_array_stays_in_its_file(preset, tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    x = ARRAYS[preset](draw)
    y = draw.integers(0, 3, 120)
    if preset == "text_cnn":
        x[0, 0] = 90  # an id that training may lack
    on_disk = mapped(tmp_path, x)
    memory, disk = (load_data((array, y), preset=preset) for array in (x, on_disk))
    check_alike(memory, disk)
    assert isinstance(disk.train.x, Mapped) and disk.notes == memory.notes
    assert (
        load_data((on_disk, y), preset=preset, test=(x[:20], y[:20])).fingerprint
        == load_data((x, y), preset=preset, test=(x[:20], y[:20])).fingerprint
    )
    monkeypatch.setenv("KZOO_MEMORY", TINY)
    with refuses("x", "test", "KiB", "memory", "test="):
        load_data((on_disk, y), preset=preset, test=(x[:20], y[:20]))


def test_pages_that_were_read_are_freed(tmp_path):
    """Half a gigabyte is read here and there, then gone through, and the process does not grow by it."""
    # written, for what the system maps around a hole is less
    with open(tmp_path / "zeros", "wb") as file:
        for _ in range(64):
            file.write(bytes(2**23))
    code = (
        "import sys, numpy as np\n"
        "from kzoo.data.store.windows import Windows, RangeArray, blocks\n"
        "held = lambda: next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM')) >> 10\n"
        "values = np.memmap(sys.argv[1], 'uint8', 'r'); before = held()\n"
        "windows = Windows(values, RangeArray(range(len(values) - 100)), 100)\n"
        "for seed in range(4): windows[np.random.default_rng(seed).integers(0, len(windows), 4096)]\n"
        "assert sum(len(block) for block in blocks(values)) == len(values)\n"
        "print(held() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "zeros")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200, f"grew by {done.stdout} MiB"


def test_a_mapped_file_is_pickled_as_its_path(tmp_path):
    values = mapped(tmp_path, np.arange(400_000.0).reshape(-1, 4))
    for x in (
        Mapped(values[5:, 1:3]),
        Windows(values[::-2, 1], np.arange(30), 7),
        Windows(values[..., None], [3], 2),
    ):
        pickled = pickle.dumps(x)
        assert len(pickled) < 10_000 + 8 * len(x)
        np.testing.assert_array_equal(pickle.loads(pickled)[:], x[:])
    copy = np.load(tmp_path / "values.npy", mmap_mode="c")
    copy[0] = -1  # which is in no file
    assert (pickle.loads(pickle.dumps(Mapped(copy)))[0] == -1).all()


def test_changes_of_a_copy_on_write_array_survive_reading(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros(2**21))
    copy = np.load(tmp_path / "v.npy", mmap_mode="c")
    copy[:] = 1
    assert sum(float(block.sum()) for block in blocks(copy)) == float(copy.sum()) == 2**21
    for _ in range(40):
        Windows(copy, np.arange(0, 2**21, 512), 1)[:]
    assert float(copy.sum()) == 2**21


def test_a_table_of_arrow_is_read_like_its_data_frame(monkeypatch):
    arrow = pytest.importorskip("pyarrow")
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": draw.normal(size=60),
            "b": draw.choice(["x", "y"], 60),
            "c": draw.choice(["p", "q"], 60),
        }
    )
    table = arrow.Table.from_pandas(frame)
    for test in (0.2, "a second one"):
        tests = (frame, table) if test != 0.2 else (0.2, 0.2)
        one, other = (
            load_data(t, target="c", test=test)
            for t, test in zip((frame, table), tests, strict=True)
        )
        check = other.fingerprint, other.config, other.preprocessing
        assert check == (one.fingerprint, one.config, one.preprocessing)
    monkeypatch.setenv("KZOO_MEMORY", TINY)
    with refuses("Arrow", "KiB", "memory", "DataFrame", "pyarrow.parquet", ".parquet"):
        load_data(table, target="c")
