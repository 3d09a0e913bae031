"""Pipes, sockets and devices instead of files are refused in one line by functions and commands, without waiting."""

import os
import signal
import socket
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from messages import assert_mentions
from PIL import Image

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.utils.files import whole_file

GOLDEN = Path(__file__).parent / "golden"
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture(autouse=True)
def _nothing_waits(tmp_path, monkeypatch):
    """Work in a new folder, and fail where a call waits for a pipe."""
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
    """Return the folder that holds a run and an export of a model of rows, and a run of a model of images."""
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


def assert_refused(call, path, kind="pipe"):
    """Fail unless a call is refused in one line with the path and the kind of the file."""
    with pytest.raises(kzoo.KzooError) as caught:
        call()
    assert_mentions(str(caught.value), repr(path), kind)
    assert "\n" not in str(caught.value)


ENDINGS = ("csv", "tsv", "parquet", "npz", "txt", "md", "png")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("make", "kind"),
    [(pipe, "pipe"), (device, "device"), (listening, "socket")],
    ids=["pipe", "device", "socket"],
)
def test_data_to_train_on(ending, make, kind):
    name = make(f"data.{ending}")
    assert_refused(lambda: kzoo.load_data(name), name, kind)


@pytest.mark.parametrize(
    "words",
    [
        "check --data {}.csv",
        "check --data /dev/zero",
        "train tabular_fnn --data {}.csv --target y",
        "train tabular_fnn --data {}.parquet --target y",
        "train tabular_fnn --data good.csv --test {}.csv --target y",
        "train tabular_fnn --data good.csv --target y --weights {}.keras",
        "tune tabular_fnn --data {}.csv --target y",
        "predict table/run {}.csv",
        "predict table/run /dev/zero",
        "predict table/run /dev/stdin",
        "predict images/run {}.png",
        "predict table/export {}.csv",
        "evaluate table/run --data {}.csv",
        "predict {}.csv good.csv",
        "show {}.toml",
        "serve {}.onnx",
    ],
)
def test_the_command_line(words, made, capsys, monkeypatch):
    for ending in ("csv", "parquet", "png", "keras", "toml", "onnx"):
        pipe(f"p.{ending}")
    Path("good.csv").write_text("a,y\n" + "1,u\n2,v\n" * 30)
    ends = os.pipe()  # no process writes into this standard input
    before = os.dup(0)
    os.dup2(ends[0], 0)
    try:
        assert main(words.format("p").split()) == 2
    finally:
        os.dup2(before, 0)
        for end in (*ends, before):
            os.close(end)
    (line,) = capsys.readouterr().err.strip().splitlines()
    (path,) = (word for word in words.format("p").split() if word.startswith(("p.", "/dev/")))
    assert_mentions(line, repr(path), "device" if path == "/dev/zero" else "pipe")


def test_inputs_of_an_export(made):
    model = kzoo.runtime.load(made / "table" / "export")
    assert_refused(lambda: model.predict(pipe("p.csv")), "p.csv")
    assert_refused(lambda: model.predict(device("z.csv")), "z.csv", "device")


def test_a_file_of_an_export(made):
    (file,) = (made / "table" / "export" / "onnx").glob("model.onnx")
    file.unlink()
    pipe(file)
    assert_refused(lambda: kzoo.runtime.load(made / "table" / "export", "onnx"), str(file))


def test_a_pipe_in_place_of_a_file_of_a_run_or_an_image(made):
    """It is called one, not damaged JSON or an unreadable image."""
    for file, call in (
        (made / "table" / "run" / "summary.json", lambda: kzoo.Run(made / "table" / "run").summary),
        (Path("p.png"), lambda: kzoo.predict(made / "images" / "run", "p.png")),
    ):
        file.unlink(missing_ok=True)
        pipe(file)
        with pytest.raises(kzoo.KzooError) as caught:
            call()
        assert str(caught.value).startswith(f"{str(file)!r} is a pipe")


def test_a_pipe_with_the_name_of_a_model_or_preset_file():
    assert_refused(lambda: kzoo.load_model(pipe("p.keras")), "p.keras")
    assert_refused(lambda: kzoo.load_presets(pipe("p.toml")), "p.toml")


def test_a_pipe_among_images_and_texts():
    """In a folder with other files it is skipped, as any file that is no image."""
    rng = np.random.default_rng(0)
    for name in "ab":
        Path("images", name).mkdir(parents=True)
        Path("texts", name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype("uint8")).save(
                f"images/{name}/{number}.png"
            )
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


def test_a_dash_still_reads_the_standard_input(made, monkeypatch):
    """`-` is no path."""
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("images/new.png\n"))
    Image.new("RGB", (8, 8)).save("images/new.png")
    assert main(["predict", "images/run", "-"]) == 0


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "none" / "a.json"):
        pass
    assert caught.value.filename == str(tmp_path / "none" / "a.json")
    with (
        pytest.raises(OSError, match="full") as caught,
        whole_file(tmp_path / "a.json") as temporary,
    ):
        raise OSError(28, "full", str(temporary))
    assert caught.value.filename == str(tmp_path / "a.json")
    with pytest.raises(OSError, match="large") as caught, whole_file(tmp_path / "a.json"):
        raise OSError(27, "File too large")  # as a write raises it, which knows no name
    assert caught.value.filename == str(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())
