"""Each fault of a network before its first step is reported; a network without it has no finding."""

import keras
import numpy as np
from keras import layers
from messages import assert_mentions
from small_models import CANCER, DIABETES, DIGITS, IRIS, dense, find, finding_of, images, net

X, Y = IRIS


def test_a_first_loss_far_above_that_of_guessing():
    loud = keras.initializers.RandomNormal(stddev=30, seed=0)
    inside = [layers.Dense(16, "relu"), layers.Dense(3, "softmax", kernel_initializer=loud)]
    finding = finding_of("initial_loss", net((4,), *inside), (X, Y))
    assert finding.level == "warning"
    assert_mentions(finding.what, "ln(3)", "1.10")
    assert find("initial_loss", dense(), (X, Y)) == []


def test_a_first_loss_that_is_nan():
    model = net((4,), layers.Lambda(lambda x: keras.ops.log(x - 100)), layers.Dense(3, "softmax"))
    finding = finding_of("initial_loss", model, (X, Y))
    assert finding.level == "error"
    assert_mentions(finding.what, "nan")
    model = net(
        (10,),
        layers.Lambda(lambda x: keras.ops.log(x - 100)),
        layers.Dense(1),
        loss="mse",
        metrics=(),
    )
    assert finding_of("first_answers", model, DIABETES).level == "error"
    assert find("first_answers", dense(10, 1, None, loss="mse", metrics=()), DIABETES) == []


def test_batch_norm_runs_in_training_mode():
    """Its running mean and variance mean nothing yet: with them a deep network seems to begin with a loss of 13."""
    inside = [
        part
        for i in range(12)
        for part in (layers.Dense(64), layers.BatchNormalization(), layers.ReLU())
    ]
    model = net((4,), *inside, layers.Dense(3, "softmax"))
    before = model.get_weights()
    assert find("initial_loss", model, (X * 20, Y)) == []
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_dead_units():
    low = keras.initializers.Constant(-50.0)
    finding = finding_of(
        "dead_units",
        net((4,), layers.Dense(16, "relu", bias_initializer=low), layers.Dense(3, "softmax")),
        IRIS,
    )
    assert finding.level == "error"
    assert_mentions(finding.what, "100%")
    bias = [-50.0] * 13 + [0.0] * 3
    model = dense()
    model.layers[0].bias.assign(bias)
    assert finding_of("dead_units", model, (X, Y)).level == "warning"
    assert find("dead_units", dense(), (X, Y)) == find("dead_units", images(), DIGITS) == []


def test_saturated_units():
    model = net((30,), layers.Dense(16, "tanh"), layers.Dense(2, "softmax"))
    finding = finding_of("saturated_units", model, CANCER)  # raw areas of a thousand
    assert finding.level == "warning"
    normal = (CANCER[0] - CANCER[0].mean(0)) / CANCER[0].std(0)
    assert find("saturated_units", model, (normal, CANCER[1])) == []


def test_equal_predictions_for_all_rows():
    inside = [
        layers.Rescaling(0.0),
        layers.Dense(8, "tanh", bias_initializer="ones"),
        layers.Dense(3, "softmax"),
    ]
    finding = finding_of("answers_all_alike", net((4,), *inside), (X, Y))
    assert finding.level == "warning"
    zeros = net(
        (4,), layers.Dense(8, "tanh"), layers.Dense(3, "softmax", kernel_initializer="zeros")
    )
    assert (
        find("answers_all_alike", zeros, (X, Y)) == find("answers_all_alike", dense(), (X, Y)) == []
    )


def test_a_network_that_raises_an_error():
    class Broken(keras.Model):
        def build(self, shape):
            self.dense = layers.Dense(3)
            self.dense.build(shape)

        def call(self, x):
            raise ValueError("\x1b[1mthis layer\x1b[0m is out of order")

    model = Broken(name="broken")
    model.compile("adam", "sparse_categorical_crossentropy")
    finding = finding_of("cannot_be_run", model, (X, Y))
    assert finding.level == "warning"
    assert "this layer is out of order" in finding.what  # the text of the exception
    # Keras prints some words in bold
    assert "\x1b" not in finding.what and "[1m" not in finding.what
    assert find("cannot_be_run", dense(), (X, Y)) == []
