"""Each fault in the labels is reported; data without it has no finding."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from messages import assert_mentions, refuses
from PIL import Image
from small_models import CANCER, DIGITS, IRIS, dense, find, finding_of, images

import kzoo
from kzoo.data.dataset import Dataset, Split

pytestmark = pytest.mark.usefixtures("untraced_module")

X, Y = IRIS
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("shift, row", [(1, 100), (-1, 0)])
def test_labels_that_are_not_classes(shift, row):
    finding = finding_of("labels_outside", dense(), (X, Y + shift))
    assert finding.level == "error"
    assert_mentions(finding.where, "train", f"row {row}")
    assert_mentions(finding.what, "50", "0..2", str(int((Y + shift)[row])))
    assert find("labels_outside", dense(), (X, Y)) == []


def test_fractional_labels_and_labels_beyond_a_single_sigmoid():
    half = finding_of("labels_outside", dense(), (X, np.where(np.arange(150) == 7, 0.5, Y)))
    assert_mentions(half.what, "0.5", "0..2")
    assert_mentions(half.where, "row 7")
    binary = dense(30, 1, "sigmoid", loss="binary_crossentropy")
    assert_mentions(
        finding_of("labels_outside", binary, (CANCER[0], CANCER[1] + 1)).what, "0..1", "2"
    )
    hinge = dense(30, 1, "tanh", loss="hinge")
    assert find("labels_outside", hinge, (CANCER[0], CANCER[1] * 2 - 1)) == []


def test_too_few_outputs_stop_training_before_it_begins(tmp_path):
    with refuses("36", "0..1", "2", "row 72", "check=False"):
        kzoo.train(dense(outputs=2), "iris", out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_labels_outside_the_classes_are_refused_on_other_backends(backend):
    """On JAX `fit` goes on with a loss of 0.0 for such a row; the check stops it on every backend."""
    pytest.importorskip(backend)
    program = """
import sys
sys.path[:0] = ["tests", "tests/checks"]
import numpy as np, keras, kzoo
from messages import assert_mentions
from small_models import IRIS, dense, finding_of
X, Y = IRIS
model = dense(loss="sparse_categorical_crossentropy")
finding = finding_of("labels_outside", model, (X, Y + 3))
assert finding.level == "error", finding
if keras.backend.backend() == "jax":
    # Without the check, rows of no class at all seem to be learned perfectly.
    assert model.evaluate(X, Y + 3, verbose=0)[0] == 0.0
try:
    kzoo.train(dense(outputs=2), "iris", out="run", progress=False)
except kzoo.KzooError as error:
    assert_mentions(str(error), "36", "0..1", "2", "check=False")
else:
    raise AssertionError("trained")
assert kzoo.check("iris_fnn", deep=True) == []
"""
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)


def test_one_hot_labels_for_a_sparse_loss_and_the_reverse():
    finding = finding_of("labels_form", dense(), (X, np.eye(3)[Y]))
    assert_mentions(finding.what, "3", "class")
    assert_mentions(finding.fix, "labels='onehot'", "categorical_crossentropy", "y.argmax(axis=1)")
    onehot = dense(loss="categorical_crossentropy")
    reverse = finding_of("labels_form", onehot, (X, Y))
    assert_mentions(reverse.what, "one-hot", "class")
    assert_mentions(reverse.fix, "sparse_categorical_crossentropy", "keras.utils.to_categorical(y)")
    assert (
        find("labels_form", onehot, (X, np.eye(3)[Y])) == find("labels_form", dense(), (X, Y)) == []
    )
    # kzoo.train makes one-hot rows itself where a preset's loss wants them.
    assert find("labels_form", "iris_fnn", label_smoothing=0.1) == []


def test_a_class_without_rows():
    some = Y != 2
    finding = finding_of("class_missing", dense(), (X[some], Y[some]))
    assert finding.level == "warning"
    assert_mentions(finding.where, "train")
    assert_mentions(finding.what, "1", "3", "2")  # 1 of 3 classes: number 2
    finding = finding_of("class_missing", dense(), (X, Y), test=(X[some], Y[some]))
    assert_mentions(finding.where, "test")
    assert find("class_missing", dense(), (X, Y), test=(X, Y)) == []


def test_imbalanced_classes():
    rare = np.concatenate([np.arange(100), np.arange(100, 105)])
    finding = finding_of("imbalance", dense(), (X[rare], Y[rare]))
    assert_mentions(finding.what, "0", "50", "2", "5")
    assert_mentions(finding.fix, "class_weight='balanced'", "loss='focal'")
    assert find("imbalance", dense(), (X[rare], Y[rare]), class_weight="balanced") == []
    assert find("imbalance", dense(), (X[:105], Y[:105])) != []
    assert find("imbalance", dense(), (X[:115], Y[:115])) == []  # 50 of class 0, 15 of class 2


def test_the_same_input_with_two_labels():
    x = DIGITS[0].copy()
    y = DIGITS[1]
    threes, eights = np.flatnonzero(y == 3)[:40], np.flatnonzero(y == 8)[:40]
    x[eights] = x[threes]
    finding = finding_of("conflicting_labels", images(), (x, y))
    assert finding.level == "warning"
    assert_mentions(finding.where, str(threes[0]), str(eights[0]))
    assert find("conflicting_labels", images(), DIGITS) == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_photo_in_two_classes_contradicts_itself_and_is_no_duplicate(kept, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    photos = tmp_path / "photos"
    for name in "ab":
        (photos / name).mkdir(parents=True)
        for number in range(30):
            Image.fromarray(random.integers(0, 255, (8, 8, 3)).astype("uint8")).save(
                photos / name / f"{number}.png"
            )
    if not kept:
        monkeypatch.setenv("KZOO_MEMORY", "1")  # read from their files

    def findings(copy_into):
        for number in range(20):
            shutil.copy(photos / "a" / f"{number}.png", photos / copy_into / f"copy{number}.png")
        found = {finding.check: finding for finding in kzoo.check("digits_cnn", photos, deep=False)}
        for number in range(20):
            (photos / copy_into / f"copy{number}.png").unlink()
        return found

    same, other = findings("a"), findings("b")
    assert "duplicates_across_splits" in same and "conflicting_labels" not in same
    assert "group=" not in same["duplicates_across_splits"].fix  # photos in folders have no columns
    assert "conflicting_labels" in other and "duplicates_across_splits" not in other
    if not kept:
        assert "b/copy" in other["conflicting_labels"].where


def test_equal_rows_of_a_few_categories_do_not_conflict():
    random = np.random.default_rng(0)
    x = random.integers(0, 3, (400, 4)).astype("float32")
    y = random.integers(0, 3, 400)
    assert find("conflicting_labels", dense(), (x, y)) == []


def test_a_custom_data_set_is_checked_without_changes():
    data = Dataset(
        name="mine",
        task="tabular_classification",
        inputs="rows",
        train=Split(x=X.astype("float32"), y=Y + 1),
        config={"input_shape": (4,), "outputs": 3},
        class_names=("a", "b", "c"),
        preprocessing={"kind": "array", "inputs": "rows", "shape": [4]},
    )
    assert finding_of("labels_outside", "iris_fnn", data).level == "error"
