"""Data sets by name: those that need no download, and all others offline."""

import json
import pickle
import time

import numpy as np
import pytest
from messages import refuses
from processor import in_units
from sklearn import datasets

from kzoo import get_preset
from kzoo.data import downloads, load_data
from kzoo.data.named import NAMES
from kzoo.inference.encode import encode


def test_digits_are_raw_pixels():
    data = load_data("digits", preset="digits_cnn")
    assert (
        data.task == "image_classification" and data.input_shape == (8, 8, 1) and data.outputs == 10
    )
    assert data.train.x.max() == 255 and data.train.x.min() == 0
    assert (len(data.train), len(data.validation), len(data.test)) == (1294, 144, 359)
    total = sum(float(s.x.sum(dtype=np.float64)) for s in (data.train, data.validation, data.test))
    assert total == pytest.approx(datasets.load_digits().data.sum() * 255 / 16, rel=1e-6)


@pytest.mark.parametrize(
    "name,shape,outputs", [("iris", 4, 3), ("wine", 13, 3), ("breast_cancer", 30, 2)]
)
def test_sklearn_tables(name, shape, outputs):
    data = load_data(name)
    assert data.input_shape == (shape,) and data.outputs == outputs
    original = getattr(datasets, f"load_{name}")()
    rows = np.concatenate([data.train.x, data.validation.x, data.test.x])
    np.testing.assert_allclose(np.sort(rows[:, 0]), np.sort(original.data[:, 0].astype(np.float32)))
    assert set(data.class_names) == set(map(str, original.target_names))


@pytest.mark.parametrize("name", [name for name in NAMES if NAMES[name] != "rows"])
def test_a_task_that_does_not_suit_the_data_set_is_refused(name):
    for task in ("language_modeling", "tabular_regression"):
        with refuses(f"task='{task}'"):
            load_data(name, task=task)


@pytest.mark.parametrize("name", ["digits", "shapes", "adding", "sine", "pydocs", "opinions"])
def test_a_data_set_can_be_loaded_with_the_name_of_its_task(name):
    task = load_data(name).task
    assert load_data(name, task=task).task == task


def test_line_has_the_numbers_of_the_tutorial():
    data = load_data("line", preset="line_fnn")
    x = np.concatenate([data.train.x, data.validation.x, data.test.x])
    random = np.random.RandomState(42)
    np.testing.assert_allclose(np.sort(x[:, 0]), np.sort(2 * random.rand(100)).astype(np.float32))


def test_adding_is_the_sum_of_two():
    preset = get_preset("adding_gru")
    data = load_data("adding", preset=preset)
    assert len(data.train) == 20_000 and data.input_shape == (100, 2) and "scale" not in data.config
    x, y = data.test.x[:50], data.test.y[:50]
    assert (x[..., 1].sum(axis=1) == 2).all()
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True), y, rtol=1e-6)
    assert data.fingerprint == load_data("adding", preset=preset).fingerprint


def test_sine_can_be_forecast():
    data = load_data("sine", preset="series_gru")
    x, y = data.test.x[:], data.test.y[:]
    yesterday = np.mean((x[:, -24:] - y) ** 2)
    assert yesterday < 0.3 * y.var()


def test_pydocs_sentences():
    data = load_data("pydocs", preset="text_cnn")
    assert data.outputs == 6 and len(data.train) > 1000
    counts = np.bincount(np.concatenate([data.train.y, data.validation.y, data.test.y]))
    assert counts.min() > 100
    assert encode(data.preprocessing, "the debugger prompt").shape == (1, 64)
    language = load_data("pydocs", preset="char_transformer")
    assert language.task == "language_modeling" and language.train.y[np.arange(2)].shape == (2, 128)


def test_no_network(monkeypatch, tmp_path, capsys):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(downloads.downloads, "open_url", refuse)
    monkeypatch.setattr(downloads.downloads.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KZOO_DATA", str(tmp_path / "data"))
    started = time.process_time()
    for name, file in (
        ("mnist", "mnist.npz"),
        ("cifar10", "cifar-10-python.tar.gz"),
        ("imdb", "imdb.npz"),
    ):
        with refuses(f"'{file}'", "KZOO_DATA", "no route to host", "digits_cnn") as caught:
            load_data(name)
        assert "\n" not in str(caught.value)
    assert in_units(time.process_time() - started) < 500 and capsys.readouterr().out == ""


def test_files_in_kzoo_data(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_DATA", str(tmp_path))
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (60, 28, 28), np.uint8)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=pixels[:40],
        y_train=np.arange(40) % 10,
        x_test=pixels[40:],
        y_test=np.arange(20) % 10,
    )
    data = load_data("mnist", preset="mnist_cnn", validation=0.25)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 20)
    np.testing.assert_array_equal(data.test.x[..., 0], pixels[40:])


def test_california(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_DATA", str(tmp_path))
    x = np.random.default_rng(0).normal(size=(50, 8))
    np.savez(tmp_path / "california_housing.npz", x=x, y=x[:, 0] * 1e5)
    data = load_data("california_housing", preset="tabular_fnn")
    assert data.task == "tabular_regression" and data.input_shape == (8,) and len(data.test) == 10


def test_imdb_ids_are_those_of_the_tokenizer(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_DATA", str(tmp_path))
    words = {"the": 1, "film": 2, "good": 3, "bad": 4, "it's": 5}
    (tmp_path / "imdb_word_index.json").write_text(json.dumps(words))
    rows = np.empty(20, object)
    rows[:] = [[1, 2, 3, 99999]] * 10 + [[5, 4]] * 10
    labels = np.array([1] * 10 + [0] * 10)
    np.savez(tmp_path / "imdb.npz", x_train=rows, y_train=labels, x_test=rows, y_test=labels)
    data = load_data("imdb", preset="imdb_lstm")
    good = data.test.x[data.test.y == 1][0]
    # the, film, good, unknown, padding
    assert good[:5].tolist() == [2, 3, 4, 1, 0] and data.input_shape == (200,)
    np.testing.assert_array_equal(encode(data.preprocessing, "The film: good zebra")[0], good)
    assert data.class_names == ("negative", "positive") and data.config["vocabulary_size"] == 7


def test_cifar_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_DATA", str(tmp_path))
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        batch = {
            b"data": random.integers(0, 256, (20, 3072), np.uint8),
            b"labels": list(range(10)) * 2,
        }
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(
        pickle.dumps({b"label_names": [f"class{i}".encode() for i in range(10)]})
    )
    data = load_data("cifar10", preset="cifar_cnn")
    assert (len(data.train), len(data.validation), len(data.test)) == (90, 10, 20)
    assert data.class_names[3] == "class3"
    # the blue of the first row
    np.testing.assert_array_equal(data.test.x[0, 0, :, 2], batch[b"data"][0, 2048:2080])


def test_a_pickle_that_runs_code_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_DATA", str(tmp_path))

    class Hostile:
        def __reduce__(self):
            return (print, ("run",))

    rows = np.empty(1, object)
    rows[0] = Hostile()
    np.savez(tmp_path / "imdb.npz", x_train=rows)
    with refuses("builtins.print"):
        load_data("imdb")


def test_target_is_refused_for_a_data_set_without_columns():
    with refuses("'digits'", "target=", "drop=", "group="):
        load_data("digits", target="x")
