"""Pipes, sockets and devices where files are expected: one line, by every door, and nothing waits for them."""

import os
import signal
import socket
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kzoo
import kzoo.runtime
from kzoo.cli import main

GOLDEN = Path(__file__).parent / "golden"
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture(autouse=True)
def _nothing_waits(tmp_path, monkeypatch):
    """Work in a folder of one's own, and fail where a call waits for a pipe."""
    monkeypatch.chdir(tmp_path)

    def waits(number, frame):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, waits)
    signal.setitimer(signal.ITIMER_REAL, 240)  # a machine that is busy imports Keras for a while
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def made():
    """Return the folder of a run and an export of a model of rows, and of a run of one of images."""
    for name in ("table", "images"):
        with zipfile.ZipFile(GOLDEN / name / "made.zip") as archive:
            archive.extractall(name)
    return Path.cwd()


def pipe(name):
    os.mkfifo(name)
    return name


def device(name):
    os.symlink("/dev/zero", name)
    return name


def listening(name):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(name)
    return name


def says(call, name, what="pipe"):
    with pytest.raises(kzoo.KzooError) as error:
        call()
    assert f"{name!r} is a {what}" in str(error.value) and "\n" not in str(error.value), error.value


ENDINGS = ("csv", "tsv", "parquet", "npz", "txt", "md", "png")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("make", "what"), [(pipe, "pipe"), (device, "device"), (listening, "socket")],
                         ids=["pipe", "device", "socket"])  # fmt: skip
def test_data_to_train_on(ending, make, what):
    name = make(f"data.{ending}")
    says(lambda: kzoo.load_data(name), name, what)


@pytest.mark.parametrize("words", [
    "check --data {}.csv", "check --data /dev/zero", "train tabular_fnn --data {}.csv --target y",
    "train tabular_fnn --data {}.parquet --target y", "train tabular_fnn --data good.csv --test {}.csv --target y",
    "train tabular_fnn --data good.csv --target y --weights {}.keras", "tune tabular_fnn --data {}.csv --target y",
    "predict table/run {}.csv", "predict table/run /dev/zero", "predict table/run /dev/stdin",
    "predict images/run {}.png", "predict table/export {}.csv",
    "evaluate table/run --data {}.csv", "predict {}.csv good.csv", "show {}.toml", "serve {}.onnx",
])  # fmt: skip
def test_the_command_line(words, made, capsys, monkeypatch):
    for ending in ("csv", "parquet", "png", "keras", "toml", "onnx"):
        pipe(f"p.{ending}")
    Path("good.csv").write_text("a,y\n" + "1,u\n2,v\n" * 30)
    ends = os.pipe()  # nobody writes into what stands for the standard input
    before = os.dup(0)
    os.dup2(ends[0], 0)
    try:
        assert main(words.format("p").split()) == 2
    finally:
        os.dup2(before, 0)
        for end in (*ends, before):
            os.close(end)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and (" is a pipe, " in said[0] or " is a device, " in said[0] or "is not a run" in said[0]), (
        said
    )


def test_inputs_of_an_export(made):
    model = kzoo.runtime.load(made / "table" / "export")
    says(lambda: model.predict(pipe("p.csv")), "p.csv")
    says(lambda: model.predict(device("z.csv")), "z.csv", "device")


def test_a_file_of_an_export(made):
    (file,) = (made / "table" / "export" / "onnx").glob("model.onnx")
    file.unlink()
    pipe(file)
    says(lambda: kzoo.runtime.load(made / "table" / "export", "onnx"), str(file))


def test_a_pipe_called_a_model():
    says(lambda: kzoo.load_model(pipe("p.keras")), "p.keras")
    says(lambda: kzoo.load_presets(pipe("p.toml")), "p.toml")


def test_a_pipe_among_images_and_texts():
    """In a folder of many it is not read, like any file that is no image."""
    rng = np.random.default_rng(0)
    for name in "ab":
        Path("images", name).mkdir(parents=True)
        Path("texts", name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype("uint8")).save(f"images/{name}/{number}.png")
            Path("texts", name, f"{number}.txt").write_text(f"words of {name} and {number}")
    pipe("images/a/p.png"), device("images/a/z.png"), pipe("texts/a/p.txt"), device("texts/b/z.txt")
    assert len(kzoo.load_data("images").train.x) > 0
    assert len(kzoo.load_data("texts").train.x) > 0


def test_a_pipe_among_the_files_of_a_table():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table({"a": range(60), "y": ["u", "v"] * 30})
    Path("parts").mkdir()
    parquet.write_table(table, "parts/1.parquet")
    pipe("parts/2.parquet")
    assert len(kzoo.load_data("parts", target="y").train.x) > 0


def test_standard_input_is_read_by_its_sign(made, monkeypatch):
    """`-` goes on to work: it is no path."""
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("images/new.png\n"))
    Image.new("RGB", (8, 8)).save("images/new.png")
    assert main(["predict", "images/run", "-"]) == 0
