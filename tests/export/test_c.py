"""C99 source code: the same outputs as Keras, without a warning, and names from data that stay comments."""

import shutil
import subprocess

import keras
import numpy as np
import pytest
from custom_networks import network_of_both_directions, odd_network
from messages import assert_mentions, refuses
from test_matrix import with_random_weights

import kzoo
from kzoo.cli import main
from kzoo.export.formats import c
from kzoo.utils.errors import KzooError

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
OTHER_COMPILERS = ("clang", "arm-none-eabi-gcc")  # which compile the same file, where they are
PRESETS = {
    "iris_fnn": {},
    "tabular_tabm": {},
    "series_linear": {},
    "digits_cnn": {},
    "cifar_mobile": {},
    "series_rnn": {"input_shape": (24, 2)},
    "series_gru": {"input_shape": (24, 2)},
    "series_lstm": {"input_shape": (24, 2)},
    "series_tcn": {"input_shape": (24, 2)},
}

# bytes: recurrent layers keep no outputs but the last, and read one step of the input at a time
RAM = {"series_rnn": 4_000, "series_gru": 8_000, "series_lstm": 8_000}

pytestmark = pytest.mark.skipif(c.compiler() is None, reason="no C compiler")


def exported(model, path, **options):
    return kzoo.export(model, path, formats=["c"], progress=False, **options)


def run_main(folder, *flags, name="main"):
    """Compile the program that compares golden inputs, and return its output."""
    program = folder / name
    model = name.replace("main", "model")
    files = [str(folder / f"{each}.c") for each in (name, model)]
    subprocess.run([c.compiler(), *STRICT, *flags, *files, "-o", str(program), "-lm"], check=True)
    return subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("iris_fnn", "series_gru") else pytest.mark.slow)
        for name in PRESETS
    ],
)
def test_presets_compute_what_keras_computes(name, tmp_path):
    overrides = PRESETS[name]
    model = with_random_weights(name, **overrides)
    result = exported(model, tmp_path / "e")
    assert result.exports["c"]["difference"] <= 1e-5
    assert 0 < result.exports["c"]["ram"] < RAM.get(name, np.inf)
    assert "largest difference" in run_main(tmp_path / "e" / "c", *SANITIZED)
    for compiler in filter(shutil.which, OTHER_COMPILERS):
        source = tmp_path / "e" / "c" / "model.c"
        subprocess.run([compiler, *STRICT, "-c", source, "-o", tmp_path / "model.o"], check=True)


@pytest.mark.parametrize("network", [odd_network, network_of_both_directions])
def test_operations_of_custom_networks(network, tmp_path):
    assert exported(network(), tmp_path / "e").exports["c"]["difference"] <= 1e-5
    run_main(tmp_path / "e" / "c", *SANITIZED)


@pytest.mark.parametrize("name", ["3d_model", "a.b-c", "int"])
def test_any_name_of_a_network_is_a_name_in_c(name, tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs), name=name)
    assert exported(model, tmp_path / "e").exports["c"]["status"] == "ok"
    run_main(tmp_path / "e" / "c")


def test_weights_of_eight_bits_take_a_quarter(tmp_path):
    model = with_random_weights("digits_cnn")
    result = exported(model, tmp_path / "e", quantize=["int8"])
    full, small = (result.exports[key] for key in ("c", "c_int8"))
    assert small["status"] == "ok"
    assert small["agreement"] >= 0.98
    assert small["flash"] < 0.3 * full["flash"]
    run_main(tmp_path / "e" / "c", name="main_int8")


def test_the_header_names_columns_categories_and_classes(tmp_path):
    hostile = '*/ int evil; /* "??/'
    rows = 60
    table = {
        "age": np.arange(rows) * 1.37 + 20.0,
        hostile: [("red", hostile, "blue\n#define x 1")[i % 3] for i in range(rows)],
        "bought": ["no" if i % 7 < 3 else 'yes*/" \\' for i in range(rows)],
    }
    frame = __import__("pandas").DataFrame(table)
    run = kzoo.train(
        "tabular_fnn",
        frame,
        target="bought",
        epochs=1,
        out=tmp_path / "r",
        progress=False,
        check=False,
        baselines=False,
    )
    exported(run, tmp_path / "e")
    header = (tmp_path / "e" / "c" / "model.h").read_text("utf-8")
    assert_mentions(
        header, "x[0]: age, a number", "0 unknown", "red", "y[0]: no", "TABULAR_FNN_RAM_BYTES"
    )
    assert header.count("*/") == header.count("/*")
    run_main(tmp_path / "e" / "c")


def test_texts_and_large_networks_are_refused(tmp_path, monkeypatch):
    with refuses("tokenizer", "onnx or litert"):
        exported(kzoo.build("text_cnn"), tmp_path / "t")
    monkeypatch.setattr(c, "_MOST_NUMBERS", 100)  # in this process only: the worker has its own
    program = type("P", (), {"constants": {0: np.zeros(101)}})
    network = type("N", (), {"program": program, "name": "big"})
    with refuses("source file", "cifar_mobile"):
        c.write(network, tmp_path / "model.c", None)


def test_without_a_compiler_it_is_written_and_not_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    entry = exported(kzoo.build("iris_fnn"), tmp_path / "e").exports["c"]
    assert entry["status"] == "unchecked"
    assert_mentions(entry["note"], "C compiler", "main.c")
    with pytest.raises(KzooError):
        c.Session(tmp_path / "e" / "c" / "model.c", name="c")


def test_code_of_others_is_not_run_and_files_stay_together(tmp_path, capsys):
    model = kzoo.build("iris_fnn", seed=0)
    exported(model, tmp_path / "e")
    kzoo.export(model, tmp_path / "e", formats=["keras"], progress=False)
    assert {"model.c", "model.h", "main.c"} == {f.name for f in (tmp_path / "e" / "c").iterdir()}
    assert main(["check", str(tmp_path / "e")]) == 0
    assert_mentions(capsys.readouterr().out, "not again")
