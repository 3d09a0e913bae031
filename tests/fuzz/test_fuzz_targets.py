"""Fuzz targets run on their seeds, and for a second each on damaged seeds. `run_fuzz.py` runs them with a fuzzer."""

import io
import random
import time
import zipfile

import pytest

pytest.importorskip("onnx", reason="pip install 'kzoo[onnx]'")
pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")

import fuzz_targets
from fuzz_targets import REFUSED, TARGETS
from run_fuzz import write_seeds

SECONDS = 1.0


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted(name):
    """A fuzzer that starts from refused inputs would only test the refusals."""
    for seed in TARGETS[name].seeds():
        REFUSED.clear()
        TARGETS[name].run(seed)
        assert REFUSED == []


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_seeds_are_read_or_refused(name):
    generator = random.Random(name)
    seeds = TARGETS[name].seeds()
    end = time.monotonic() + SECONDS
    count = 0
    while time.monotonic() < end or count < 5:
        damaged = mutated(generator.choice(seeds), generator)
        try:
            TARGETS[name].run(damaged)
        except Exception as error:
            pytest.fail(f"{damaged!r}: {type(error).__name__}: {error}")
        count += 1


def test_a_workbook_of_an_unknown_version_of_zip_is_refused():
    """Found by the fuzzer: zipfile raises NotImplementedError."""
    (seed,) = [seed for seed in TARGETS["table_files"].seeds() if b"xl/workbook.xml" in seed]
    data = bytearray(seed)
    data[data.index(b"PK\x01\x02") + 6] = 255
    REFUSED.clear()
    TARGETS["table_files"].run(bytes(data))
    assert len(REFUSED) == 3 and "not a workbook" in REFUSED[0]


def test_a_file_without_a_name_in_an_archive_is_ignored():
    """Found by the fuzzer: `ZipInfo.is_dir` raises IndexError."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x", "")
        archive.writestr("table.csv", "a,b\n1,2\n")
        archive.infolist()[0].filename = ""
    REFUSED.clear()
    TARGETS["table_files"].run(b"\2" + stream.getvalue())
    assert REFUSED == []


def mutated(data, generator):
    """Return bytes with one to four bytes changed, a part removed, repeated, or put in from elsewhere."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        start = generator.randrange(len(data) + 1)
        part = data[start : start + generator.choice((1, 1, 4, 40))]
        change = generator.choice(("byte", "remove", "repeat", "move", "digit"))
        if change == "byte" and part:
            data[start] = generator.randrange(256)
        elif change == "digit" and part:
            data[start : start + 1] = generator.choice(
                (b"-1", b"1e999", b"null", b'"', b"[", b"\0")
            )
        elif change == "remove":
            del data[start : start + len(part)]
        elif change == "repeat":
            data[start:start] = part * generator.randint(1, 20)
        else:
            to = generator.randrange(len(data) + 1)
            data[to:to] = part
    return bytes(data)


def test_a_target_reports_other_errors(monkeypatch):
    def read(path, find):
        raise TypeError

    monkeypatch.setattr(fuzz_targets, "read_presets", read)
    with pytest.raises(TypeError):
        TARGETS["presets"].run(b"")


def test_the_corpus_is_written(tmp_path):
    write_seeds("csv", TARGETS["csv"], tmp_path / "csv")
    assert [p.read_bytes() for p in sorted((tmp_path / "csv").iterdir())] == TARGETS["csv"].seeds()
