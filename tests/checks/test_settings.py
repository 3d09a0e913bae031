"""Each fault in the settings is reported; settings without it have no finding."""

import keras
import numpy as np
import pytest
from keras import layers
from messages import assert_mentions
from small_models import CANCER, IRIS, dense, find, finding_of

import kzoo

X, Y = IRIS


def test_an_epoch_without_steps():
    finding = finding_of("zero_steps", dense(), (X[:0], Y[:0]))
    assert finding.level == "error"
    assert_mentions(finding.where, "train")
    assert_mentions(finding.fix, "validation=", "test=")
    assert kzoo.check(dense(), (X[:0], Y[:0])) == [finding]  # checks that need data are skipped


def test_a_batch_larger_than_the_data():
    finding = finding_of("large_batch", "iris_fnn", batch_size=200)
    assert finding.level == "warning"
    assert_mentions(finding.what, "200", "108")
    assert_mentions(finding.fix, "batch_size", "10")
    assert find("large_batch", "iris_fnn", batch_size=108) == []


@pytest.mark.parametrize(
    "metrics", [["accuracy"], [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]]
)
def test_a_monitor_that_is_not_reported(metrics):
    finding = finding_of("wrong_monitor", dense(metrics=metrics), (X, Y), monitor="val_acc")
    assert finding.level == "error"
    assert_mentions(finding.what, "monitor='val_acc'")
    assert_mentions(finding.fix, "val_loss, val_accuracy")
    assert find("wrong_monitor", dense(metrics=metrics), (X, Y), monitor="val_accuracy") == []


@pytest.mark.parametrize(
    "optimizer, parts, better",
    [
        (keras.optimizers.Adam(3.0), ("3", "high", "Adam"), "0.001"),
        (keras.optimizers.SGD(0.0), ("0", "low", "SGD"), "0.01"),
        (keras.optimizers.SGD(50.0), ("50", "high", "SGD"), "0.01"),
    ],
)
def test_an_extreme_learning_rate(optimizer, parts, better):
    finding = finding_of("learning_rate", dense(optimizer=optimizer), (X, Y))
    assert_mentions(finding.what, *parts)
    assert_mentions(finding.fix, better, "kzoo.learning_rate_range")
    assert find("learning_rate", dense(optimizer=keras.optimizers.SGD(0.5)), (X, Y)) == []


def test_a_schedule_that_starts_at_0_is_not_reported():
    rising = keras.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=5)
    assert find("learning_rate", dense(optimizer=keras.optimizers.SGD(rising)), (X, Y)) == []


def test_a_network_without_trainable_weights():
    model = dense()
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    assert finding_of("nothing_to_train", model, (X, Y)).level == "error"
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
    assert finding_of("logits_or_probabilities", model, (X, Y)).level == "error"


def test_a_softmax_over_one_output():
    assert (
        finding_of(
            "softmax_of_one", dense(30, 1, "softmax", loss="binary_crossentropy"), CANCER
        ).level
        == "error"
    )
    assert find("softmax_of_one", dense(30, 1, "sigmoid", loss="binary_crossentropy"), CANCER) == []


def test_a_sigmoid_for_each_of_several_classes():
    assert finding_of("sigmoid_for_many", dense(end="sigmoid"), (X, Y)).level == "warning"
    several = np.eye(3)[Y]
    assert (
        find("sigmoid_for_many", dense(end="sigmoid", loss="binary_crossentropy"), (X, several))
        == []
    )
