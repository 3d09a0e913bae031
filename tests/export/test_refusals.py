"""What `kzoo.export` refuses, in one line, before it writes anything; and what a converter that fails costs."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

import kzoo
from kzoo.cli import main
from kzoo.export import make
from kzoo.export.formats import formats
from kzoo.export.processes import run_steps
from kzoo.utils import optional

KNOWN = ", ".join(formats())
QUANTIZABLE = " or ".join(name for name, format in formats().items() if format.quantize)


def two_inputs():
    a, b = keras.Input((2,)), keras.Input((2,))
    return keras.Model([a, b], keras.layers.Add()([a, b]), name="two")


def other_digits():
    return kzoo.load_data("digits", seed=1)


def of_strings():
    text = keras.Input((1,), dtype="string")
    return keras.Model(text, keras.layers.StringLookup(vocabulary=["a"])(text), name="words")


@pytest.mark.parametrize(
    ("thing", "options", "says"),
    [
        ("run", dict(formats="onx"), r"Unknown formats 'onx'\. Did you mean 'onnx'\?"),
        ("run", dict(formats=[]), f"names none. Use: {KNOWN}"),
        ("run", dict(formats=3), "formats=3 must be a name or a list"),
        ("run", dict(formats="onnx", quantize="int4"), "Unknown quantize 'int4'"),
        ("run", dict(formats="saved_model", quantize="int8"), f"add {QUANTIZABLE} to formats"),
        ("run", dict(timeout=0), "timeout=0 must be"),
        ("run", dict(data=other_digits, formats="onnx", quantize="int8"), "is not what .* was trained on"),
        ("no/such/run", {}, "is not a run: it does not exist"),
        (3, {}, "takes a run, its path, or a Keras model, not int"),
        (two_inputs, {}, "has 2 inputs and 1 outputs"),
        (of_strings, {}, "takes strings"),
        (lambda: kzoo.build("text_lstm", stateful=True, pooling=None, input_shape=(1,)), {}, "stateful=False"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(thing, options, says, digits_run, tmp_path):
    thing = digits_run if thing == "run" else thing() if callable(thing) else thing
    options = {name: value() if callable(value) else value for name, value in options.items()}
    with pytest.raises(kzoo.KzooError, match=says) as caught:
        kzoo.export(thing, tmp_path / "exported", **options, progress=False)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_what_installs_it(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(kzoo.KzooError, match=r'pip install "kzoo\[litert\]"'):
        kzoo.export(digits_run, tmp_path / "exported", "litert", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_left_alone(digits_run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(kzoo.KzooError, match="holds other files and is not an exported model"):
        kzoo.export(digits_run, tmp_path / "mine", progress=False)
    with pytest.raises(kzoo.KzooError, match="is a file"):
        kzoo.export(digits_run, tmp_path / "mine" / "letter.txt", progress=False)
    with pytest.raises(kzoo.KzooError, match="path=None must be the folder"):
        kzoo.export(digits_run, None, progress=False)


def test_an_exported_model_of_another_model_is_not_replaced_unasked(digits_run, table_exported, tmp_path):
    there = tmp_path / "exported"
    shutil.copytree(table_exported.path, there)
    with pytest.raises(kzoo.KzooError, match="holds another model"):
        kzoo.export(digits_run, there, progress=False)
    assert kzoo.ExportedModel(there).damage() == []


def test_a_full_disk_is_one_line_and_leaves_nothing(digits_run, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(make, "write_json", full)
    with pytest.raises(kzoo.KzooError, match="the disk is full"):
        kzoo.export(digits_run, tmp_path / "exported", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def converter(monkeypatch, table_exported):
    """Return a function that says how the process that converts will end at ONNX: "killed" or "hangs"."""

    def ends(end):
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        monkeypatch.setenv("EXPORTED", str(table_exported.path))
        monkeypatch.setenv("END", end)
        monkeypatch.setattr(
            make, "run_steps", lambda module, *rest, **options: run_steps("converting", *rest, **options)
        )

    return ends


def test_a_converter_that_crashes_fails_alone_and_the_table_says_so(converter, table_run, tmp_path, capsys):
    converter("killed")
    words = ["export", table_run.path, "--out", tmp_path / "exported", "--formats", "onnx,litert", "--no-verify"]
    assert main([str(word) for word in words]) == 1
    out = capsys.readouterr().out
    assert "onnx: the process was killed by SIGKILL" in out
    assert "unchecked" in out and "predict() takes" in out
    exported = kzoo.ExportedModel(tmp_path / "exported")
    statuses = {key: entry["status"] for key, entry in exported.exports.items()}
    assert statuses == {"onnx": "failed", "litert": "unchecked"}
    assert not (exported.path / "onnx").exists()
    assert exported.damage() == []
    assert [p.name for p in tmp_path.iterdir()] == ["exported"]


def test_a_converter_that_hangs_is_stopped(converter, table_run, tmp_path, capsys):
    converter("hangs")
    words = ["export", table_run.path, "--out", tmp_path / "exported", "--formats", "onnx", "--timeout", "0.001"]
    assert main([str(word) for word in words]) == 1
    out = capsys.readouterr().out
    assert "onnx: no answer within 0.001 seconds; it was stopped" in out
    assert "nothing was written" in out
    assert list(tmp_path.iterdir()) == []


def test_data_that_nothing_would_look_at(digits_run, tmp_path):
    with pytest.raises(kzoo.KzooError, match="data= calibrates and scores what quantize= writes"):
        kzoo.export(digits_run, tmp_path / "exported", "onnx", data=other_digits(), progress=False)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_export_left_is_cleared_away(digits_run, digits_exported, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".exported-exporting-{ended.pid}"
    running = tmp_path / f".exported-exporting-{os.getppid()}"
    for folder in (left, running):
        (folder / "exported").mkdir(parents=True)
    # It was killed between setting the old exported model aside and putting the new one in its place.
    shutil.copytree(digits_exported.path, left / "before")
    with pytest.raises(kzoo.KzooError, match="was trained on"):
        kzoo.export(digits_run, tmp_path / "exported", "onnx", quantize="int8", data=other_digits(), progress=False)
    assert kzoo.ExportedModel(tmp_path / "exported").damage() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [running.name, "exported"]


@pytest.mark.slow
def test_the_same_model_again_adds_formats_and_another_one_is_refused(text_run, text_exported, tmp_path):
    there = tmp_path / "exported"
    shutil.copytree(text_exported.path, there)
    exported = kzoo.export(text_run, there, "saved_model", verify=False, progress=False)
    assert [p.name for p in (there / "saved_model").iterdir()] == ["2"]
    assert set(exported.exports) == {"saved_model", "keras", "onnx", "litert"}
    assert exported.exports["onnx"] == text_exported.exports["onnx"]
    assert exported.damage() == []
    model = kzoo.registry.rebuild(kzoo.spec_of(text_run), compile=False)
    with pytest.raises(kzoo.KzooError, match="the same network with other weights"):
        kzoo.export(model, there, "keras", progress=False)
    assert kzoo.ExportedModel(there).exports == exported.exports


SLEEPER = """
import os, sys, time
from kzoo.export.processes import serve_steps

def sleep(step):
    with open(sys.argv[1], "w") as file:
        file.write(str(os.getpid()))
    time.sleep(120)

serve_steps(sys.argv[2:], sleep)
"""
PARENT = "from kzoo.export.processes import run_steps; list(run_steps('sleeper', ['pid'], ['onnx'], timeout=100))"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")
def test_what_converts_does_not_outlive_the_export_that_was_killed(tmp_path):
    """The class of faults: a process of ours that works on for nobody."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths})
    try:
        child = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
        assert running(child)
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not running(child))


def until(found, seconds=60):
    """Wait for something that is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := found()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


def running(pid):
    """Say whether a process is there and is not one that only waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
