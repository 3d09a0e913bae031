"""Arguments that `kzoo.export` refuses in a line, before it writes anything; and converters that fail."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.export import make
from kzoo.export.formats import formats
from kzoo.export.processes import run_steps
from kzoo.utils import optional

FORMATS = tuple(formats())
QUANTIZABLE = tuple(name for name, format in formats().items() if format.quantize)


def two_inputs():
    a, b = keras.Input((2,)), keras.Input((2,))
    return keras.Model([a, b], keras.layers.Add()([a, b]), name="two")


def other_digits():
    return kzoo.load_data("digits", seed=1)


def of_strings():
    text = keras.Input((1,), dtype="string")
    return keras.Model(text, keras.layers.StringLookup(vocabulary=["a"])(text), name="words")


@pytest.mark.parametrize(
    ("model", "options", "parts"),
    [
        ("run", dict(formats="onx"), ("formats", "'onx'", "'onnx'", *FORMATS)),
        ("run", dict(formats=[]), ("formats=[]", *FORMATS)),
        ("run", dict(formats=3), ("formats=3", *FORMATS)),
        ("run", dict(formats="onnx", quantize="int4"), ("quantize", "'int4'", "float16", "int8")),
        (
            "run",
            dict(formats="saved_model", quantize="int8"),
            ("quantize='int8'", *QUANTIZABLE, "formats"),
        ),
        ("run", dict(timeout=0), ("timeout=0",)),
        (
            "run",
            dict(data=other_digits, formats="onnx", quantize="int8"),
            ("data='digits'", "trained on"),
        ),
        ("no/such/run", {}, ("no/such/run", "kzoo.train")),
        (3, {}, ("run", "Keras model", "int")),
        (two_inputs, {}, ("'two'", "2 inputs", "1 output")),
        (of_strings, {}, ("strings", "numbers")),
        (
            lambda: kzoo.build("text_lstm", stateful=True, pooling=None, input_shape=(1,)),
            {},
            ("text_lstm", "stateful=False"),
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(model, options, parts, digits_run, tmp_path):
    model = digits_run if model == "run" else model() if callable(model) else model
    options = {name: value() if callable(value) else value for name, value in options.items()}
    with refuses(*parts) as caught:
        kzoo.export(model, tmp_path / "exported", **options, progress=False)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    digits_run, tmp_path, monkeypatch
):
    find_spec = optional.find_spec
    monkeypatch.setattr(
        optional, "find_spec", lambda name: None if name == "ai_edge_litert" else find_spec(name)
    )
    with refuses("ai_edge_litert", 'pip install "kzoo[litert]"'):
        kzoo.export(digits_run, tmp_path / "exported", "litert", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_left_alone(digits_run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with refuses(str(tmp_path / "mine"), "exported model", "new folder"):
        kzoo.export(digits_run, tmp_path / "mine", progress=False)
    with refuses(str(tmp_path / "mine" / "letter.txt"), "file", "new folder"):
        kzoo.export(digits_run, tmp_path / "mine" / "letter.txt", progress=False)
    with refuses("path=None", "folder"):
        kzoo.export(digits_run, None, progress=False)


def test_an_exported_model_of_another_model_is_replaced_with_overwrite_only(
    digits_run, table_exported, tmp_path
):
    folder = tmp_path / "exported"
    shutil.copytree(table_exported.path, folder)
    with refuses(str(folder), "tabular_fnn", "overwrite=True"):
        kzoo.export(digits_run, folder, progress=False)
    assert kzoo.ExportedModel(folder).damage() == []


def test_a_full_disk_is_one_line_and_leaves_nothing(digits_run, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(make, "write_json", full)
    with refuses(str(tmp_path / "exported"), "disk", "full"):
        kzoo.export(digits_run, tmp_path / "exported", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def converter(monkeypatch, table_exported):
    """Return a function that sets how the process that converts ends at ONNX: "killed" or "hangs"."""

    def ends(end):
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        monkeypatch.setenv("EXPORTED", str(table_exported.path))
        monkeypatch.setenv("END", end)
        monkeypatch.setattr(
            make,
            "run_steps",
            lambda module, *rest, **options: run_steps("converting", *rest, **options),
        )

    return ends


def test_a_converter_that_crashes_fails_alone_and_is_named(converter, table_run, tmp_path, capsys):
    converter("killed")
    words = [
        "export",
        table_run.path,
        "--out",
        tmp_path / "exported",
        "--formats",
        "onnx,litert",
        "--no-verify",
    ]
    assert main([str(word) for word in words]) == 1
    out = capsys.readouterr().out
    assert_mentions(out, "onnx", "SIGKILL", "litert", "failed", "unchecked", "predict()")
    exported = kzoo.ExportedModel(tmp_path / "exported")
    statuses = {key: entry["status"] for key, entry in exported.exports.items()}
    assert statuses == {"onnx": "failed", "litert": "unchecked"}
    assert not (exported.path / "onnx").exists()
    assert exported.damage() == []
    assert [p.name for p in tmp_path.iterdir()] == ["exported"]


def test_a_converter_that_hangs_is_stopped(converter, table_run, tmp_path, capsys):
    converter("hangs")
    words = [
        "export",
        table_run.path,
        "--out",
        tmp_path / "exported",
        "--formats",
        "onnx",
        "--timeout",
        "0.001",
    ]
    assert main([str(word) for word in words]) == 1
    out = capsys.readouterr().out
    assert_mentions(out, "onnx", "failed", "0.001 seconds")
    assert str(tmp_path) not in out  # the folder is printed where something was written
    assert list(tmp_path.iterdir()) == []


def test_data_without_quantize_is_refused(digits_run, tmp_path):
    with refuses("data=", "quantize="):
        kzoo.export(digits_run, tmp_path / "exported", "onnx", data=other_digits(), progress=False)
    assert not list(tmp_path.iterdir())


def test_files_of_a_killed_export_are_cleared_away(digits_run, digits_exported, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".exported-exporting-{ended.pid}"
    running = tmp_path / f".exported-exporting-{os.getppid()}"
    for folder in (left, running):
        (folder / "exported").mkdir(parents=True)
    # It was killed after it had moved the old exported model and before it had moved the new model there.
    shutil.copytree(digits_exported.path, left / "before")
    with refuses("data='digits'", "trained on"):
        kzoo.export(
            digits_run,
            tmp_path / "exported",
            "onnx",
            quantize="int8",
            data=other_digits(),
            progress=False,
        )
    assert kzoo.ExportedModel(tmp_path / "exported").damage() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [running.name, "exported"]


@pytest.mark.slow
def test_the_same_model_again_adds_formats_and_another_one_is_refused(
    text_run, text_exported, tmp_path
):
    folder = tmp_path / "exported"
    shutil.copytree(text_exported.path, folder)
    exported = kzoo.export(text_run, folder, "saved_model", verify=False, progress=False)
    assert [p.name for p in (folder / "saved_model").iterdir()] == ["2"]
    assert set(exported.exports) == {"saved_model", "keras", "onnx", "litert"}
    assert exported.exports["onnx"] == text_exported.exports["onnx"]
    assert exported.damage() == []
    model = kzoo.zoo.registry.rebuild(kzoo.spec_of(text_run), compile=False)
    with refuses(str(folder), "weights", "overwrite=True"):
        kzoo.export(model, folder, "keras", progress=False)
    assert kzoo.ExportedModel(folder).exports == exported.exports


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
def test_the_process_that_converts_ends_with_the_export_that_was_killed(tmp_path):
    """The class of faults: a process of kzoo that goes on without its parent."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}
    )
    try:
        child = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
        assert running(child)
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not running(child))


def until(condition, seconds=60):
    """Wait until a condition is true, and return its value."""
    end = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


def running(pid):
    """Return whether a process exists and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_check_without_runtimes_names_the_one_to_install(tmp_path, monkeypatch, capsys):
    golden = Path(__file__).parents[1] / "golden" / "table" / "made.zip"
    shutil.unpack_archive(golden, tmp_path)
    for name in ("keras", "tensorflow", "onnxruntime", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["check", str(tmp_path / "export")]) == 2
    assert_mentions(capsys.readouterr().err, "onnxruntime", "pip install onnxruntime")
