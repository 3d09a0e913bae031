"""Bad input to the task recipes: a line with the value and the fix, exit code 2, and nothing written."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from PIL import Image

import kzoo

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with bad files, offline and without earlier downloads."""
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
    rows = pd.DataFrame(
        {
            "size": np.arange(30) / 7,
            "colour": ["red", "blue", "red"] * 10,
            "sold": ["yes", "no"] * 15,
        }
    )
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
    # Values that are refused before anything is trained.
    ("char_gru", "--top-k 0", ("--top-k", "'0'", "1")),
    ("tune_digits", "--trials many", ("--trials", "'many'", "1")),
    # A folder without classes.
    ("digits_cnn", "--data loose", ("'loose'", "2 images", "folder", "class")),
    ("cifar_cnn", "--data one_class", ("'cat'", "'one_class'", "two")),
    ("image_finetune", "--data loose --weights none", ("'loose'", "2 images", "folder", "class")),
    ("text_reviews", "--data one_text", ("'one_text'", "'positive'", ".txt", "folder")),
    ("imdb_lstm", "--data nowhere", ("'nowhere'", "data sets", "iris", "imdb")),
    # A table without the target, or a formula that cannot be read.
    ("tabular_fnn", "--data no_target.csv --target sold", ("'sold'", "columns", "size", "colour")),
    (
        "tabular_fnn",
        "--data rows.csv --target sold --feature area=width*2",
        ("--feature", "area=width*2", "'width'"),
    ),
    (
        "tabular_fnn",
        "--data rows.csv --target sold --feature size",
        ("--feature", "'size'", "name = formula"),
    ),
    ("tabular_counts", "--data rows.csv --target sold", ("'sold'", "numbers")),
    ("tabular_quantiles", "--data rows.csv --target colour", ("'colour'", "numbers")),
    # Too little to learn from.
    ("char_gru", "--data three.txt", ("'three.txt'", "17", "101", "input_shape")),
    (
        "series_forecast",
        "--data short.csv",
        ("'short.csv'", "4 rows", "2", "24", "input_shape=12", "horizon=4"),
    ),
    # A class with a single example.
    ("mnist_cnn", "--data lonely", ("'dog'", "1 of 2", "two")),
    ("imdb_rnn", "--data lonely_text", ("'negative'", "1 of 2", "two")),
    ("tabular_fnn", "--data single.csv --target sold", ("'perhaps'", "1 of 3", "two")),
    # Labels all the same.
    ("tabular_fnn", "--data all_the_same.csv --target sold", ("'yes'", "two classes")),
    # No network.
    ("mnist_cnn", "", ("'mnist.npz'", "KZOO_DATA", "digits_cnn")),
    ("cifar_cnn", "", ("'cifar-10-python.tar.gz'", "KZOO_DATA", "digits_cnn")),
    ("imdb_rnn", "", ("'imdb.npz'", "KZOO_DATA", "text_cnn")),
    ("imdb_lstm", "", ("'imdb.npz'", "KZOO_DATA", "text_cnn")),
    ("imdb_transformer", "", ("'imdb.npz'", "KZOO_DATA", "text_cnn")),
    ("image_finetune", "", ("--weights imagenet", ".weights.h5", "none")),
    (
        "image_finetune",
        "--weights nowhere.h5",
        ("--weights nowhere.h5", "imagenet", ".weights.h5", "none"),
    ),
]


@pytest.mark.parametrize(("name", "words", "parts"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_the_message_is_a_line_with_the_value_and_the_fix(folder, monkeypatch, name, words, parts):
    monkeypatch.setattr(sys, "argv", [name, *words.split(), "--out", "made"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with refuses(*parts) as caught:
        runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")
    line = str(caught.value)
    assert "\n" not in line and len(line) < 600, line
    assert not (folder / "made").exists()


def test_without_a_network_the_options_for_local_data_are_named(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["imdb_lstm", "--out", "made"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(kzoo.KzooError) as caught:
        runpy.run_path(str(RECIPES / "imdb_lstm.py"), run_name="__main__")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:  # as Python does with an uncaught error
        sys.excepthook(caught.type, caught.value, caught.tb)
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        ended.value.code == 2
        and line.startswith("kzoo: error: ")
        and not (folder / "made").exists()
    )
    assert_mentions(line, "'imdb.npz'", "KZOO_DATA", "--data", "--smoke")


@pytest.mark.parametrize(
    ("name", "words", "backend", "parts"),
    [
        pytest.param(  # the line is tested above, and its exit code here
            "tabular_fnn",
            "--data no_target.csv --target sold",
            "tensorflow",
            ("'sold'", "columns", "size", "colour"),
            marks=pytest.mark.slow,
        ),
        (
            "iris_fnn",
            "--backend mxnet",
            "tensorflow",
            ("'mxnet'", "'jax'", "recipes/iris_fnn.py --help"),
        ),
        ("imdb_lstm", "--smok", "tensorflow", ("'--smok'", "'--smoke'")),
        ("digits_cnn", "--smoke", "mxnet", ("KERAS_BACKEND", "mxnet", "jax")),
    ],
)
def test_the_exit_code_is_2(folder, name, words, backend, parts):
    env = os.environ | {"KERAS_BACKEND": backend}
    command = [sys.executable, str(RECIPES / f"{name}.py"), *words.split(), "--out", "made"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("kzoo: error: ")
    assert_mentions(done.stderr, *parts)
    assert not (folder / "made").exists()
