"""Faults in the settings: each is planted and found, and its neighbour without the fault is not."""

import keras
import numpy as np
import pytest
from keras import layers
from small_models import CANCER, IRIS, dense, find, one

import kzoo

X, Y = IRIS


def test_an_epoch_without_steps():
    found = one("zero_steps", dense(), (X[:0], Y[:0]))
    assert (found.level, found.where) == ("error", "train")
    assert kzoo.check(dense(), (X[:0], Y[:0])) == [found]  # what reads data has nothing to read


def test_a_batch_larger_than_the_data():
    found = one("large_batch", "iris_fnn", batch_size=200)
    assert found.level == "warning" and "200" in found.what and "108" in found.what
    assert find("large_batch", "iris_fnn", batch_size=108) == []


@pytest.mark.parametrize("metrics", [["accuracy"], [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]])
def test_a_monitor_that_nobody_reports(metrics):
    found = one("wrong_monitor", dense(metrics=metrics), (X, Y), monitor="val_acc")
    assert found.level == "error" and "val_loss, val_accuracy" in found.fix
    assert find("wrong_monitor", dense(metrics=metrics), (X, Y), monitor="val_accuracy") == []


@pytest.mark.parametrize(
    "optimizer, word",
    [(keras.optimizers.Adam(3.0), "high"), (keras.optimizers.SGD(0.0), "low"), (keras.optimizers.SGD(50.0), "high")],
)
def test_a_learning_rate_that_nobody_trains_with(optimizer, word):
    assert word in one("learning_rate", dense(optimizer=optimizer), (X, Y)).what
    assert find("learning_rate", dense(optimizer=keras.optimizers.SGD(0.5)), (X, Y)) == []


def test_a_schedule_is_no_learning_rate_of_nothing():
    rising = keras.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=5)
    assert find("learning_rate", dense(optimizer=keras.optimizers.SGD(rising)), (X, Y)) == []


def test_nothing_to_train():
    model = dense()
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    assert one("nothing_to_train", model, (X, Y)).level == "error"
    assert find("nothing_to_train", dense(), (X, Y)) == []


SPARSE = keras.losses.SparseCategoricalCrossentropy
BINARY = keras.losses.BinaryCrossentropy


@pytest.mark.parametrize(
    "end, loss, wrong",
    [
        ("softmax", SPARSE(from_logits=True), True),
        (None, SPARSE(), True),
        (None, "sparse_categorical_crossentropy", True),
        (None, SPARSE(from_logits=True), False),
        ("softmax", keras.losses.sparse_categorical_crossentropy, False),
    ],
)
def test_logits_and_probabilities(end, loss, wrong):
    levels = [f.level for f in find("logits_or_probabilities", dense(end=end, loss=loss), (X, Y))]
    assert levels == ["error"] * wrong


@pytest.mark.parametrize(
    "end, logits, wrong", [("sigmoid", True, True), (None, False, True), ("sigmoid", False, False)]
)
def test_logits_and_probabilities_of_two_classes(end, logits, wrong):
    model = dense(30, 1, end, loss=BINARY(from_logits=logits))
    assert len(find("logits_or_probabilities", model, CANCER)) == wrong


def test_an_activation_layer_at_the_end_counts_too():
    model = dense(end=None, loss=SPARSE(from_logits=True))
    model = keras.Sequential([*model.layers, layers.Softmax(), layers.Dropout(0.1)])
    model.compile("adam", SPARSE(from_logits=True))
    assert one("logits_or_probabilities", model, (X, Y)).level == "error"


def test_a_softmax_over_one_output():
    assert one("softmax_of_one", dense(30, 1, "softmax", loss="binary_crossentropy"), CANCER).level == "error"
    assert find("softmax_of_one", dense(30, 1, "sigmoid", loss="binary_crossentropy"), CANCER) == []


def test_a_sigmoid_for_each_of_several_classes():
    assert one("sigmoid_for_many", dense(end="sigmoid"), (X, Y)).level == "warning"
    several = np.eye(3)[Y]
    assert find("sigmoid_for_many", dense(end="sigmoid", loss="binary_crossentropy"), (X, several)) == []
