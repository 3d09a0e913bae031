"""`load_data`: the data set that each source becomes, and the line that refuses a source that does not fit."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses
from PIL import Image

import kzoo
from kzoo import get_preset
from kzoo.data import Dataset, load_data
from kzoo.inference.encode import encode
from kzoo.zoo.registry import with_settings

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (60, 8, 8), np.uint8)
LABELS = np.arange(60) % 3
ROWS = RANDOM.normal(5, 2, (60, 4))


def unscaled(name):
    preset = get_preset(name)
    return with_settings(preset, {**preset.config, "rescale": False}, preset.training)


class FakeTf:
    """What kzoo uses of a `tf.data.Dataset`."""

    def __init__(self, items, cardinality=3):
        self.items = items
        self.cardinality = lambda: cardinality

    def as_numpy_iterator(self):
        return iter(self.items)


def test_a_dataset_passes_through():
    data = load_data("iris")
    assert load_data(data) is data


def test_arrays_by_preset():
    data = load_data((PIXELS, LABELS), preset="digits_cnn")
    assert (
        data.task == "image_classification" and data.input_shape == (8, 8, 1) and data.outputs == 3
    )
    data = load_data((ROWS, LABELS), preset="tabular_fnn")
    assert data.inputs == "rows" and data.train.x.dtype == np.float32 and data.outputs == 3
    standard = data.train.x * data.config["scale"] + data.config["offset"]
    np.testing.assert_allclose(standard.std(axis=0), 1, atol=1e-4)
    data = load_data((ROWS, ROWS @ [1, 2, 3, 4]), preset="tabular_fnn")
    assert data.task == "tabular_regression" and data.train.y.shape == (len(data.train), 1)
    data = load_data((np.arange(60 * 12).reshape(60, 12) % 50, LABELS), preset="text_cnn")
    assert (
        data.inputs == "tokens"
        and data.config["vocabulary_size"] <= 50
        and data.train.x.dtype == np.int32
    )
    assert data.input_shape == (12,)
    data = load_data(
        (RANDOM.normal(size=(60, 100, 2)), RANDOM.normal(size=60)), preset="adding_gru"
    )
    assert data.task == "sequence_regression" and data.outputs == 1


def test_labels_of_any_kind():
    onehot = load_data((PIXELS, np.eye(3)[LABELS]), preset="digits_cnn")
    plain = load_data((PIXELS, LABELS), preset="digits_cnn")
    np.testing.assert_array_equal(onehot.train.y, plain.train.y)
    assert notes_with(onehot.notes, "one-hot") and not notes_with(plain.notes, "one-hot")
    gaps = load_data((PIXELS, LABELS * 10 + 5), preset="digits_cnn")
    assert gaps.class_names == ("5", "15", "25") and set(gaps.train.y) == {0, 1, 2}
    words = load_data((PIXELS, np.array(["cat", "ant", "bee"])[LABELS]), preset="digits_cnn")
    assert words.class_names == ("ant", "bee", "cat")
    column = load_data((PIXELS, LABELS[:, None].astype(float)), preset="digits_cnn")
    np.testing.assert_array_equal(column.train.y, plain.train.y)


@pytest.mark.parametrize("preset", [None, "series_gru"])
def test_a_note_says_that_a_few_whole_numbers_of_series_are_classes(preset):
    x = RANDOM.normal(size=(60, 24, 2))
    override = "task='regression'"
    for labels, parts in (
        (LABELS, ("3 distinct", override)),
        (LABELS[:, None].astype(float), ("3 distinct", override)),
        (LABELS > 0, ("not numbers", override)),
        (np.eye(3)[LABELS], ("classes", override)),
        (np.array(["cat", "ant"])[LABELS % 2], ("not numbers",)),
    ):
        data = load_data((x, labels), preset=preset)
        assert data.task == "series_classification" and notes_with(data.notes, "y", *parts)
    values = load_data((x, LABELS), preset=preset, task="regression")
    assert values.task == "sequence_regression" and not notes_with(
        values.notes, "task='regression'"
    )
    assert load_data((x, RANDOM.normal(size=60)), preset=preset).task == "sequence_regression"


def test_classes_as_the_target_of_a_series_are_refused_or_noted():
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=300, freq="h"),
            "state": ["on", "off", "on"] * 100,
            "open": [1, 0, 0] * 100,
            "load": RANDOM.normal(size=300),
        }
    )
    with refuses("'state'", "'on'", "classes"):
        load_data(frame, preset="series_linear", target="state")
    assert notes_with(
        load_data(frame, preset="series_linear", target="open").notes,
        "'open'",
        "0 and 1",
        "classes",
    )
    assert not notes_with(load_data(frame, preset="series_linear", target="load").notes, "'load'")


def test_rows_are_scaled_from_training_rows_only():
    data = load_data((ROWS, LABELS), preset="tabular_fnn")
    held = ~np.isin(ROWS[:, 0].astype(np.float32), data.train.x[:, 0])
    changed = np.where(held[:, None], 1e6, ROWS)
    again = load_data((changed, LABELS), preset="tabular_fnn")
    assert held.sum() == 17 and again.config == data.config


def test_pixels_divided_by_255():
    with refuses("0..1", "0..255", "255", "rescale=False"):
        load_data((PIXELS / 255, LABELS), preset="digits_cnn")
    data = load_data((PIXELS / 255, LABELS), preset=unscaled("digits_cnn"))
    assert data.train.x.max() <= 1
    np.testing.assert_array_equal(encode(data.preprocessing, data.test.x), data.test.x)


@pytest.mark.parametrize(
    "items",
    [
        [(PIXELS[i : i + 20, ..., None], LABELS[i : i + 20]) for i in (0, 20, 40)],
        [(PIXELS[i, ..., None], LABELS[i]) for i in range(60)],
    ],
)
def test_tf_data(items):
    expected = load_data((PIXELS, LABELS), preset="digits_cnn")
    assert load_data(FakeTf(items), preset="digits_cnn").fingerprint == expected.fingerprint
    with refuses("tf.data.Dataset", "take(n)"):
        load_data(FakeTf(items, cardinality=-1), preset="digits_cnn")


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=PIXELS, y=LABELS)
    assert len(load_data(tmp_path / "a.npz", preset="digits_cnn").test) == 12
    np.savez(
        tmp_path / "b.npz",
        x_train=PIXELS[:30],
        y_train=LABELS[:30],
        x_test=PIXELS[30:],
        y_test=LABELS[30:],
    )
    assert len(load_data(tmp_path / "b.npz", preset="digits_cnn").test) == 30
    np.savez(tmp_path / "c.npz", images=PIXELS)
    with refuses("'c.npz'", "images", "x_train"):
        load_data(tmp_path / "c.npz")
    (tmp_path / "d.npz").write_bytes(b"nonsense")
    with refuses("'d.npz'", ".npz"):
        load_data(tmp_path / "d.npz")


def test_frame_and_labels():
    frame = pd.DataFrame(ROWS, columns=list("abcd"))
    data = load_data((frame, pd.Series(LABELS)), preset="tabular_fnn")
    assert data.feature_names == tuple("abcd") and data.outputs == 3


def test_second_arrays_for_test():
    data = load_data(
        (PIXELS[:40], LABELS[:40]), preset="digits_cnn", test=(PIXELS[40:], LABELS[40:])
    )
    np.testing.assert_array_equal(data.test.x[..., 0], PIXELS[40:])


def test_missing_groups_are_refused_and_large_groups_noted():
    groups = (np.arange(60) // 6).astype(float)
    for missing in (np.nan, None):
        some = groups.astype(object)
        some[:7] = missing
        with refuses("group=", "missing", "7"):
            load_data((ROWS, ROWS[:, 0]), preset="diabetes_fnn", group=some)
    large = np.where(np.arange(60) < 45, 0, np.arange(60) // 5)
    loaded = (
        load_data((ROWS, ROWS[:, 0]), preset="diabetes_fnn", group=large, seed=seed)
        for seed in range(50)
    )
    data = next(data for data in loaded if len(data.test) == 45)
    (note,) = data.notes
    assert_mentions(note, "group=", "75%", "test", "20%", "seed")
    assert not load_data((ROWS, ROWS[:, 0]), preset="diabetes_fnn", group=groups).notes


def test_groups_of_arrays():
    data = load_data((ROWS, ROWS[:, 0]), preset="diabetes_fnn", group=np.arange(60) // 6)
    parts = [
        set(np.flatnonzero(np.isin(ROWS[:, 0].astype("f4"), s.y)) // 6)
        for s in (data.train, data.validation, data.test)
    ]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_folder_of_images(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.fromarray(PIXELS[i]).save(tmp_path / label / f"{i}.png")
    data = load_data(tmp_path, preset="digits_cnn")
    assert data.class_names == ("cat", "dog") and data.input_shape == (8, 8, 1)
    with refuses("images", "text_cnn", "tokens"):
        load_data(tmp_path, preset="text_cnn")


@pytest.mark.parametrize(
    "source,options,parts",
    [
        ("iriss", {}, ("'iriss'", "'iris'")),
        ("no/such/folder", {}, ("'no/such/folder'", "file", "data set", "iris")),
        ("digits", {"preset": "iris_fnn"}, ("'digits'", "image", "iris_fnn", "rows", "image_cnn")),
        # refused before any download
        ("mnist", {"preset": "text_cnn"}, ("'mnist'", "image", "text_cnn", "tokens")),
        ("iris", {"preset": "iris_fn"}, ("preset", "'iris_fn'", "'iris_fnn'")),
        ("iris", {"time": "date"}, ("time='date'", "iris")),
        (42, {}, ("int", "(x, y)")),
        ((ROWS, LABELS[:-1]), {"preset": "tabular_fnn"}, ("x", "60", "y", "59")),
        (
            (pd.DataFrame(ROWS), pd.Series(LABELS, name=1)),
            {"preset": "tabular_fnn"},
            ("x", "'1'", "y.rename"),
        ),
        (
            (ROWS, 1.7e9 + 30 * ROWS[:, 0]),
            {"preset": "diabetes_fnn"},
            ("'y1'", "1.3e+02", "1.70000014e+09"),
        ),
        ((np.zeros((60, 3, 8, 8), np.uint8), LABELS), {}, ("(60, 3, 8, 8)", "np.moveaxis")),
        ((np.zeros((60, 1, 8, 8), np.uint8), LABELS), {}, ("(60, 1, 8, 8)", "np.moveaxis")),
        ((ROWS, LABELS + 0.5), {"preset": "iris_fnn"}, ("whole numbers", "strings", "y", "0.5")),
        (
            (np.where(ROWS[7, 1] == ROWS, np.nan, ROWS), LABELS),
            {"preset": "iris_fnn"},
            ("x", "1", "NaN", "row 7"),
        ),
        (
            (ROWS, np.where(LABELS == 2, np.nan, LABELS)),
            {"preset": "iris_fnn"},
            ("y", "20", "NaN", "row 2"),
        ),
        ((ROWS, LABELS), {"preset": "digits_cnn"}, ("image", "shape", "(N, H, W, C)", "(60, 4)")),
        ((PIXELS * 2.0, LABELS), {"preset": "digits_cnn"}, ("0..255", "0..510", "rescale=False")),
        ((ROWS, LABELS * 0), {"preset": "iris_fnn"}, ("labels", "'0'")),
        ((ROWS[:5], LABELS[:5] * 0), {"preset": "diabetes_fnn"}, ("5", "rows", "10")),
        ((ROWS - 100, LABELS), {"preset": "text_cnn"}, ("token ids", "whole numbers", "x")),
        ((ROWS.astype(int) - 100, LABELS), {"preset": "text_cnn"}, ("token ids", "-102")),
        ((ROWS.astype(str), LABELS), {}, ("x", "<U32", "DataFrame")),
        ((ROWS, LABELS), {"target": "y"}, ("target='y'", "arrays")),
        (
            (ROWS, LABELS),
            {"task": "forecasting"},
            ("task='forecasting'", "rows", "classification", "labels"),
        ),
    ],
)
def test_bad_sources(source, options, parts):
    with refuses(*parts) as caught:
        load_data(source, **options)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_fit(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 20)
    with refuses("'a.csv'", "table", "cifar_cnn", "image", "tabular_fnn"):
        load_data(tmp_path / "a.csv", preset="cifar_cnn")
    (tmp_path / "a.txt").write_text("hello\n" * 50)
    with refuses("'a.txt'", "language_modeling", "text_cnn", "text_classification", "char_gru"):
        load_data(tmp_path / "a.txt", preset="text_cnn")
    (tmp_path / "empty.csv").write_text("")
    with refuses("'empty.csv'", "empty"):
        load_data(tmp_path / "empty.csv", target="a")
    (tmp_path / "head.csv").write_text("a,b\n")
    with refuses("'head.csv'", "rows"):
        load_data(tmp_path / "head.csv", target="a")
    (tmp_path / "a.docx").write_bytes(b"PK")
    with refuses("'a.docx'", ".csv, .tsv", ".parquet", ".xlsx"):
        load_data(tmp_path / "a.docx")
    (tmp_path / "nothing").mkdir()
    with refuses("'nothing'", "images", ".txt"):
        load_data(tmp_path / "nothing")


def test_no_keras_and_the_same_fingerprint_in_another_process():
    code = (
        "import sys, json; from kzoo.data import encode; assert 'pandas' not in sys.modules;"
        "from kzoo.data import load_data;"
        "prints = [load_data(n).fingerprint for n in ('iris', 'digits', 'pydocs', 'sine')];"
        "assert not {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules), 'heavy';"
        "print(json.dumps(prints))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == [
        load_data(n).fingerprint for n in ("iris", "digits", "pydocs", "sine")
    ]
    assert isinstance(load_data("iris"), Dataset)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (dict(validation=0.3), "validation=0.3"),
        (dict(test="other.csv"), "test='other.csv'"),
        (dict(target="species"), "target='species'"),
        (dict(drop=["petal width (cm)"]), "drop="),
        (dict(group=np.arange(150)), "group="),
        (dict(task="regression"), "task='regression'"),
        (dict(data_seed=1), "data_seed=1"),
    ],
)
def test_options_of_loading_are_refused_for_a_loaded_dataset(options, part):
    data = load_data("iris", validation=0.2)
    with refuses(part, "'iris'", "Dataset", "kzoo.load_data"):
        kzoo.train("iris_fnn", data, **options)
    assert load_data(data, validation=0.2) is data is load_data(data)


def test_rows_with_several_labels_are_labels_and_weights_in_tf_data_are_refused():
    x = np.random.default_rng(0).normal(size=(30, 4))
    y = np.eye(3)[np.arange(30) % 3]
    assert load_data((x, y)).task == "tabular_classification"
    y[7, :2] = 1
    for labels in (y, y.astype(bool), y.astype("int64")):
        data = load_data((x, labels))
        assert data.task == "tabular_multilabel_classification" and data.class_names == (
            "0",
            "1",
            "2",
        )
    assert load_data((x, y), task="regression").outputs == 3


def test_a_tf_data_set_may_have_weights_of_rows():
    x = np.random.default_rng(0).normal(size=(30, 4))
    y = np.arange(30) % 3
    weight = np.arange(1, 31.0)
    halves = [(x[:20], y[:20], weight[:20]), (x[20:], y[20:], weight[20:])]
    data = load_data(Batched(halves))
    arrays = load_data((x, y, weight))
    assert data.fingerprint == arrays.fingerprint
    assert np.array_equal(data.test.weight, arrays.test.weight)
    with refuses("(x, y, weight)", "4"):
        load_data(Batched([(x, y, weight, weight)]))


class Batched:
    """What kzoo uses of a `tf.data.Dataset`."""

    def __init__(self, items):
        self.items = items

    def as_numpy_iterator(self):
        return iter(self.items)
