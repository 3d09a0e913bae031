"""Bad input to the task recipes: one clear line that names the value and the fix, exit code 2, and nothing written."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kzoo

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Be among bad files, without a network and without anything that was downloaded before."""
    for name in (
        "loose/0",
        "loose/1",
        "lonely/cat/0",
        "lonely/cat/1",
        "lonely/cat/2",
        "lonely/dog/0",
        "one_class/cat/0",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((9, 9, 3), "uint8")).save(tmp_path / f"{name}.png")
    (tmp_path / "one_text").mkdir()
    (tmp_path / "one_text/positive.txt").write_text("a joy\nfun\n" * 9)
    (tmp_path / "lonely_text").mkdir()
    (tmp_path / "lonely_text/positive.txt").write_text("a joy\nfun\n" * 9)
    (tmp_path / "lonely_text/negative.txt").write_text("a bore\n")
    (tmp_path / "three.txt").write_text("To be\nor not\nto be\n")
    rows = pd.DataFrame({"size": np.arange(30) / 7, "colour": ["red", "blue", "red"] * 10, "sold": ["yes", "no"] * 15})
    rows.drop(columns="sold").to_csv("no_target.csv", index=False)
    rows.assign(sold="yes").to_csv("all_the_same.csv", index=False)
    rows.assign(sold=[*["yes", "no"] * 14, "yes", "perhaps"]).to_csv("single.csv", index=False)
    rows.to_csv("rows.csv", index=False)
    pd.DataFrame({"load": np.sin(np.arange(40))}).to_csv("short.csv", index=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KZOO_DATA", raising=False)

    def blocked(*args, **kwargs):
        raise OSError("the network is unreachable")

    monkeypatch.setattr(socket, "create_connection", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    return tmp_path


CASES = [
    # Known before anything is trained.
    ("char_gru", "--top-k 0", "'0'", "at least 1"),
    ("tune_digits", "--trials many", "'many'", "at least 1"),
    # A folder without classes.
    ("digits_cnn", "--data loose", "loose", "one folder per class"),
    ("cifar_cnn", "--data one_class", "'cat'", "two are needed"),
    ("image_finetune", "--data loose --weights none", "loose", "one folder per class"),
    ("text_reviews", "--data one_text", "'positive'", "a .txt file or folder for each"),
    ("imdb_lstm", "--data nowhere", "'nowhere'", "Data sets by name"),
    # A table without the target, or with a formula that is none.
    ("tabular_fnn", "--data no_target.csv --target sold", "'sold'", "Columns: size, colour"),
    ("tabular_fnn", "--data rows.csv --target sold --feature area=width*2", "area=width*2", "'width'"),
    ("tabular_fnn", "--data rows.csv --target sold --feature size", "'size'", "name = formula"),
    # Too little to learn from.
    ("char_gru", "--data three.txt", "three.txt", "a longer text"),
    ("series_forecast", "--data short.csv", "rows", "input_shape"),
    # A class with one example.
    ("mnist_cnn", "--data lonely", "'dog'", "at least two"),
    ("imdb_rnn", "--data lonely_text", "'negative'", "at least two"),
    ("tabular_fnn", "--data single.csv --target sold", "'perhaps'", "at least two"),
    # Labels all the same.
    ("tabular_fnn", "--data all_the_same.csv --target sold", "'yes'", "at least two classes"),
    # No network.
    ("mnist_cnn", "", "mnist.npz", "KZOO_DATA"),
    ("cifar_cnn", "", "cifar-10-python.tar.gz", "KZOO_DATA"),
    ("imdb_rnn", "", "imdb.npz", "KZOO_DATA"),
    ("imdb_lstm", "", "imdb.npz", "KZOO_DATA"),
    ("imdb_transformer", "", "imdb.npz", "KZOO_DATA"),
    ("image_finetune", "", "--weights imagenet", "or none"),
    ("image_finetune", "--weights nowhere.h5", "nowhere.h5", "or none"),
]


@pytest.mark.parametrize(("name", "words", "value", "fix"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_one_line(here, monkeypatch, name, words, value, fix):
    monkeypatch.setattr(sys, "argv", [name, *words.split(), "--out", "made"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(kzoo.KzooError) as caught:
        runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")
    line = str(caught.value)
    assert value in line and fix in line and "\n" not in line and len(line) < 600, line
    assert not (here / "made").exists()


def test_a_way_out_where_nothing_can_be_downloaded(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["imdb_lstm", "--out", "made"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(kzoo.KzooError) as caught:
        runpy.run_path(str(RECIPES / "imdb_lstm.py"), run_name="__main__")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:  # what Python does with an error that nobody catches
        sys.excepthook(caught.type, caught.value, caught.tb)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith("kzoo: error: ") and not (here / "made").exists()
    assert all(word in line for word in ("imdb.npz", "KZOO_DATA", "--data", "--smoke")), line


@pytest.mark.parametrize(
    ("name", "words", "backend", "said"),
    [
        pytest.param(  # its line is looked at above, and the exit code of such a line just here
            "tabular_fnn",
            "--data no_target.csv --target sold",
            "tensorflow",
            ("'sold'", "Columns: size, colour"),
            marks=pytest.mark.slow,
        ),
        ("iris_fnn", "--backend mxnet", "tensorflow", ("'mxnet'", "'jax'", "recipes/iris_fnn.py --help")),
        ("imdb_lstm", "--smok", "tensorflow", ("'--smok'", "Did you mean '--smoke'")),
        ("digits_cnn", "--smoke", "mxnet", ("KERAS_BACKEND", "mxnet", "jax")),
    ],
)
def test_exit_code(here, name, words, backend, said):
    env = os.environ | {"KERAS_BACKEND": backend}
    command = [sys.executable, str(RECIPES / f"{name}.py"), *words.split(), "--out", "made"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("kzoo: error: ") and all(word in done.stderr for word in said), done.stderr
    assert not (here / "made").exists()
