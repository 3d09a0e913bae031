"""Claims of the foundation recipes, in numbers, from the variables of their smoke runs."""

import numpy as np
import pytest


def test_the_neuron_is_keras_dense(smoke):
    names = smoke("foundations/neuron").left
    assert 0 < names["difference"] < 1e-6
    by_hand = 1 / (1 + np.exp(-(0.2 * 1 - 0.4 * 2 + 0.1)))
    assert names["neuron"](np.array([[1.0, 2.0]]), np.array([0.2, -0.4]), 0.1) == pytest.approx(
        [by_hand]
    )


def test_activations_and_derivatives_agree_with_keras(smoke):
    names = smoke("foundations/activations").left
    assert len(names["rows"]) == 7
    assert max(row["largest_difference"] for row in names["rows"]) < 1e-6
    assert max(row["of_derivative"] for row in names["rows"]) < 1e-6
    assert 1e-4 < names["gelu_gap"] < 1e-3
    assert names["keras_slope"] == pytest.approx(0.2)
    # and the derivative is that of the function: by differences
    for value, slope, _ in names["formulas"].values():
        middle = (names["x"][1:] + names["x"][:-1]) / 2
        smooth = np.abs(middle) > 0.01
        quotient = np.diff(value) / np.diff(names["x"])
        assert np.allclose(
            quotient[smooth], np.interp(middle, names["x"], slope)[smooth], atol=1e-4
        )


def test_losses_agree_with_keras(smoke):
    rows = {row["loss"]: row for row in smoke("foundations/losses").left["rows"]}
    assert len(rows) == 6
    assert max(row["difference"] for row in rows.values()) < 1e-6
    assert rows["hinge, labels 0 and 1"]["keras"] == rows["hinge, labels -1 and 1"]["keras"]


@pytest.fixture
def descent(smoke):
    return smoke("foundations/gradient_descent").left


def test_batch_descent_reaches_least_squares(descent):
    ends = np.array([path[-1] for path in descent["paths"]["batch"]])
    assert ends.shape == (8, 2)
    assert np.allclose(ends, [4.215096, 2.770113], atol=1e-5)
    assert descent["keras_gap"] < 1e-5


def test_a_constant_rate_does_not_settle_and_a_decaying_one_does(descent):
    intercepts = {name: [path[-1][0] for path in paths] for name, paths in descent["paths"].items()}
    constant = intercepts["stochastic"]
    decaying = intercepts["stochastic, decaying rate"]
    # as drawn in the tutorial
    assert (min(constant), max(constant)) == pytest.approx((4.05, 4.95), abs=0.01)
    assert np.std(decaying) < np.std(constant) / 5
    assert np.allclose(decaying, 4.215, atol=0.1)


def test_gradients_by_hand_are_those_of_keras_and_twice_the_tutorials(smoke):
    names = smoke("foundations/backprop").left
    assert len(names["by_hand"]) == 31
    assert np.abs(names["in_keras"]).max() > 1  # gradients that could differ
    assert np.allclose(names["by_hand"], names["in_keras"], atol=1e-5)
    assert names["factor"] == pytest.approx(2, abs=1e-5)
    assert names["curve"][-1] < names["curve"][0] / 10
    assert np.allclose(names["curve"], names["keras_curve"], rtol=1e-4)
