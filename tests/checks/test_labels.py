"""Faults in the labels: each is planted and found, and its neighbour without the fault is not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import CANCER, DIGITS, IRIS, dense, find, images, one

import kzoo
from kzoo.dataset.dataset import Dataset, Split

X, Y = IRIS
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("shift, row", [(1, 100), (-1, 0)])
def test_labels_that_are_no_class(shift, row):
    found = one("labels_outside", dense(), (X, Y + shift))
    assert found.level == "error" and found.where == f"train, row {row}" and "50 labels" in found.what
    assert find("labels_outside", dense(), (X, Y)) == []


def test_labels_that_are_no_whole_numbers_or_beyond_one_sigmoid():
    assert "0.5" in one("labels_outside", dense(), (X, np.where(np.arange(150) == 7, 0.5, Y))).what
    binary = dense(30, 1, "sigmoid", loss="binary_crossentropy")
    assert "0..1" in one("labels_outside", binary, (CANCER[0], CANCER[1] + 1)).what
    hinge = dense(30, 1, "tanh", loss="hinge")
    assert find("labels_outside", hinge, (CANCER[0], CANCER[1] * 2 - 1)) == []


def test_too_few_outputs_stop_training_before_it_begins(tmp_path):
    with pytest.raises(kzoo.KzooError, match=r"labels are none of the classes 0..1.*check=False"):
        kzoo.train(dense(outputs=2), "iris", out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_labels_that_jax_gives_a_loss_of_nothing(backend):
    """On JAX `fit` goes on with a loss of 0.0 for such a row; the check stops it on every backend."""
    pytest.importorskip(backend)
    program = """
import sys
sys.path.insert(0, "tests/checks")
import numpy as np, keras, kzoo
from small_models import IRIS, dense, one
X, Y = IRIS
model = dense(loss="sparse_categorical_crossentropy")
found = one("labels_outside", model, (X, Y + 3))
assert found.level == "error", found
if keras.backend.backend() == "jax":
    # What it guards against: rows of no class at all are learned perfectly.
    assert model.evaluate(X, Y + 3, verbose=0)[0] == 0.0
try:
    kzoo.train(dense(outputs=2), "iris", out="run", progress=False)
except kzoo.KzooError as error:
    assert "none of the classes" in str(error)
else:
    raise AssertionError("trained")
assert kzoo.check("iris_fnn", deep=True) == []
"""
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)


def test_one_hot_labels_for_a_sparse_loss_and_the_reverse():
    found = one("labels_form", dense(), (X, np.eye(3)[Y]))
    assert "one class number" in found.what and "labels='onehot'" in found.fix
    onehot = dense(loss="categorical_crossentropy")
    assert "one-hot" in one("labels_form", onehot, (X, Y)).what
    assert find("labels_form", onehot, (X, np.eye(3)[Y])) == find("labels_form", dense(), (X, Y)) == []
    # kzoo.train makes one-hot rows itself where a preset's loss wants them.
    assert find("labels_form", "iris_fnn", label_smoothing=0.1) == []


def test_a_class_without_rows():
    some = Y != 1
    found = one("class_missing", dense(), (X[some], Y[some]))
    assert found.level == "warning" and found.where == "train split" and ": 1" in found.what
    found = one("class_missing", dense(), (X, Y), test=(X[some], Y[some]))
    assert found.where == "test split"
    assert find("class_missing", dense(), (X, Y), test=(X, Y)) == []


def test_classes_far_from_equal():
    rare = np.concatenate([np.arange(100), np.arange(100, 105)])
    found = one("imbalance", dense(), (X[rare], Y[rare]))
    assert "50 rows" in found.what and "5" in found.what and "class_weight" in found.fix
    assert find("imbalance", dense(), (X[rare], Y[rare]), class_weight="balanced") == []
    assert find("imbalance", dense(), (X[:105], Y[:105])) != []
    assert find("imbalance", dense(), (X[:115], Y[:115])) == []  # 50 of one, 15 of another


def test_the_same_input_with_two_labels():
    x, y = DIGITS[0].copy(), DIGITS[1]
    threes, eights = np.flatnonzero(y == 3)[:40], np.flatnonzero(y == 8)[:40]
    x[eights] = x[threes]
    found = one("conflicting_labels", images(), (x, y))
    assert found.level == "warning" and str(threes[0]) in found.where
    assert find("conflicting_labels", images(), DIGITS) == []


def test_equal_rows_of_a_few_categories_are_no_conflict():
    random = np.random.default_rng(0)
    x, y = random.integers(0, 3, (400, 4)).astype("float32"), random.integers(0, 3, 400)
    assert find("conflicting_labels", dense(), (x, y)) == []


def test_a_data_set_of_ones_own_is_looked_at_as_it_is():
    data = Dataset(
        name="mine", task="tabular_classification", inputs="rows", train=Split(x=X.astype("float32"), y=Y + 1),
        config={"input_shape": (4,), "outputs": 3}, class_names=("a", "b", "c"),
        preprocessing={"kind": "array", "inputs": "rows", "shape": [4]},
    )  # fmt: skip
    assert one("labels_outside", "iris_fnn", data).level == "error"
