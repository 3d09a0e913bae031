"""Faults in inputs and targets: each is planted and found, and its neighbour without the fault is not."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from small_models import CANCER, DIABETES, DIGITS, IRIS, dense, find, images, net, one

import kzoo

X, Y = IRIS


def spoiled(x, value, row=5, column=2):
    x = np.array(x, "float64")
    x[row, column] = value
    return x


def test_nan_and_infinity_in_inputs_and_targets():
    found = one("not_finite", dense(), (spoiled(X, np.nan), Y))
    assert found.level == "error" and found.where == "train x, row 5, 'column 2'"
    assert one("not_finite", dense(), (spoiled(X, np.inf), Y)).level == "error"
    found = one("not_finite", dense(), (X, Y), test=(spoiled(X, -np.inf), Y))
    assert found.where.startswith("test x, row 5")
    target = DIABETES[1].copy()
    target[9] = np.nan
    found = one("not_finite", dense(10, 1, None, loss="mse"), (DIABETES[0], target))
    assert found.where == "train y, row 9"
    assert find("not_finite", dense(), (X, Y)) == []
    assert find("not_finite", dense(), (X * 1e37, Y)) == []  # large is not infinite


def test_columns_and_targets_with_one_value():
    x = X.copy()
    x[:, 1] = 3
    found = one("constant_columns", dense(), (x, Y))
    assert found.level == "warning" and "column 1" in found.where
    regression = dense(10, 1, None, loss="mse", metrics=())
    found = one("constant_targets", regression, (DIABETES[0], np.full(442, 7.0)))
    assert found.level == "error"
    assert find("constant_targets", regression, DIABETES) == find("constant_columns", dense(), (X, Y)) == []


def test_numbers_that_can_be_read_in_two_ways_or_not_at_all():
    rows = {"n": range(0, 400, 2), "size": [f"{i + 0.5:.3f}" for i in range(200)], "y": ["u", "v"] * 100}

    def found(**columns):
        data = kzoo.load_data(pd.DataFrame(rows | columns), target="y")
        looked = kzoo.check("tabular_fnn", data, deep=False)
        return [finding for finding in looked if finding.check == "numbers_in_doubt"]

    assert found() == []
    (doubt,) = found(size=[f"{i + 1}.500" for i in range(200)])
    assert doubt.level == "warning" and "'1.500' is taken for 1.5, not 1500" in doubt.what
    (unread,) = found(size=[*rows["size"][:-1], "much"])
    assert "1 of 200 values of column 'size'" in unread.what and unread.where == "row 200"
    assert found(size=[*rows["size"][:-1], ""]) == []  # nothing is there to be read


def test_images_of_one_colour():
    x = DIGITS[0].copy()
    x[::20] = 0
    found = one("blank_images", images(), (x, DIGITS[1]))
    assert found.level == "warning"
    assert find("blank_images", images(), DIGITS) == []


def test_pixels_divided_by_255_twice():
    found = one("scaled_twice", images(), (DIGITS[0] / 255, DIGITS[1]))
    assert found.level == "error" and "0..255" in found.fix
    assert find("scaled_twice", images(), DIGITS) == []
    assert find("scaled_twice", images(scaled=False), (DIGITS[0] / 255, DIGITS[1])) == []


def test_raw_pixels_into_a_network_without_scaling():
    found = one("not_scaled", images(scaled=False), DIGITS)
    assert found.level == "warning" and "255" in found.what and "Rescaling" in found.fix
    for first in ([layers.Rescaling(1 / 255)], [layers.BatchNormalization()]):
        inside = [*first, layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10, "softmax")]
        assert find("not_scaled", net((8, 8, 1), *inside), DIGITS) == []


def test_scaling_inside_a_network_in_the_network_counts():
    backbone = keras.Sequential([layers.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)])
    inside = [backbone, layers.Flatten(), layers.Dense(10, "softmax")]
    assert find("not_scaled", net((8, 8, 1), *inside), DIGITS) == []
    bare = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3)])
    assert one("not_scaled", net((8, 8, 1), bare, layers.Flatten(), layers.Dense(10, "softmax")), DIGITS)


def test_large_columns_unscaled():
    found = one("not_scaled", dense(30, 2), CANCER)
    assert "column 23" in found.what  # the worst area, about 1000
    normal = (CANCER[0] - CANCER[0].mean(0)) / CANCER[0].std(0)
    assert find("not_scaled", dense(30, 2), (normal, CANCER[1])) == find("not_scaled", dense(), (X, Y)) == []


def test_targets_of_a_size_that_no_first_answer_has():
    found = one("target_scale", dense(10, 1, None, loss="mse", metrics=("mae",)), DIABETES)
    assert found.level == "warning" and "deviation" in found.fix
    scaled = (DIABETES[1] - DIABETES[1].mean()) / DIABETES[1].std()
    assert find("target_scale", dense(10, 1, None, loss="mse"), (DIABETES[0], scaled)) == []
    assert find("target_scale", "diabetes_fnn") == []


def test_targets_of_another_shape():
    found = one("targets_form", dense(10, 3, None, loss="mse", metrics=()), DIABETES)
    assert found.level == "error" and "(3,)" in found.what
    for y in (DIABETES[1], DIABETES[1][:, None]):
        assert find("targets_form", dense(10, 1, None, loss="mse", metrics=()), (DIABETES[0], y)) == []


@pytest.mark.parametrize("end", ["sigmoid", "tanh"])
def test_targets_that_the_last_activation_cannot_give(end):
    found = one("targets_out_of_reach", dense(10, 1, end, loss="mse"), DIABETES)
    assert found.level == "error" and end in found.what
    share = DIABETES[1] / DIABETES[1].max()
    assert find("targets_out_of_reach", dense(10, 1, end, loss="mse"), (DIABETES[0], share)) == []


def test_copies_of_a_few_rows():
    x, y = np.tile(X[:3], (50, 1)), np.tile(Y[::50], 50)
    assert one("one_row_again", dense(), (x, y)).level == "warning"
    assert find("one_row_again", dense(), (X, Y)) == []
