"""Each fault in inputs and targets is reported; data without it has no finding."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from messages import assert_mentions
from small_models import CANCER, DIABETES, DIGITS, IRIS, dense, find, finding_of, images, net

import kzoo

X, Y = IRIS


def spoiled(x, value, row=5, column=2):
    x = np.array(x, "float64")
    x[row, column] = value
    return x


def test_nan_and_infinity_in_inputs_and_targets():
    finding = finding_of("not_finite", dense(), (spoiled(X, np.nan), Y))
    assert finding.level == "error"
    assert_mentions(finding.where, "train", "x", "row 5", "'column 2'")
    assert_mentions(finding.what, "1 value", "is")
    assert finding_of("not_finite", dense(), (spoiled(X, np.inf), Y)).level == "error"
    finding = finding_of("not_finite", dense(), (X, Y), test=(spoiled(X, -np.inf), Y))
    assert_mentions(finding.where, "test", "x", "row 5")
    target = DIABETES[1].copy()
    target[9] = np.nan
    finding = finding_of("not_finite", dense(10, 1, None, loss="mse"), (DIABETES[0], target))
    assert_mentions(finding.where, "train", "y", "row 9")
    assert find("not_finite", dense(), (X, Y)) == []
    assert find("not_finite", dense(), (X * 1e37, Y)) == []  # large is not infinite


def test_constant_columns_and_targets():
    x = X.copy()
    x[:, 1] = 3
    finding = finding_of("constant_columns", dense(), (x, Y))
    assert finding.level == "warning"
    assert_mentions(finding.where, "column 1")
    regression = dense(10, 1, None, loss="mse", metrics=())
    finding = finding_of("constant_targets", regression, (DIABETES[0], np.full(442, 7.0)))
    assert finding.level == "error"
    assert (
        find("constant_targets", regression, DIABETES)
        == find("constant_columns", dense(), (X, Y))
        == []
    )


def test_ambiguous_and_unreadable_numbers():
    rows = {
        "n": range(0, 400, 2),
        "size": [f"{i + 0.5:.3f}" for i in range(200)],
        "y": ["u", "v"] * 100,
    }

    def findings(**columns):
        data = kzoo.load_data(pd.DataFrame(rows | columns), target="y")
        return find("numbers_in_doubt", "tabular_fnn", data)

    assert findings() == []
    (ambiguous,) = findings(size=[f"{i + 1}.500" for i in range(200)])
    assert ambiguous.level == "warning"
    assert_mentions(ambiguous.what, "'size'", "'1.500'", "1.5", "1500")
    assert_mentions(ambiguous.fix, "columns={'size': {'decimal': ','}}")
    (unreadable,) = findings(size=[*rows["size"][:-1], "much"])
    assert_mentions(unreadable.what, "1", "200", "'size'")
    assert_mentions(unreadable.where, "row 200")
    assert findings(size=[*rows["size"][:-1], ""]) == []  # an empty cell is missing, not unreadable


def test_images_of_one_colour():
    x = DIGITS[0].copy()
    x[::20] = 0
    finding = finding_of("blank_images", images(), (x, DIGITS[1]))
    assert finding.level == "warning"
    assert find("blank_images", images(), DIGITS) == []


def test_pixels_divided_by_255_twice():
    finding = finding_of("scaled_twice", images(), (DIGITS[0] / 255, DIGITS[1]))
    assert finding.level == "error"
    assert_mentions(finding.what, "255")
    assert_mentions(finding.fix, "0..255", "rescale=False")
    assert find("scaled_twice", images(), DIGITS) == []
    assert find("scaled_twice", images(scaled=False), (DIGITS[0] / 255, DIGITS[1])) == []


def test_raw_pixels_into_a_network_without_scaling():
    finding = finding_of("not_scaled", images(scaled=False), DIGITS)
    assert finding.level == "warning"
    assert_mentions(finding.what, "255")
    assert_mentions(finding.fix, "Rescaling")
    for first in ([layers.Rescaling(1 / 255)], [layers.BatchNormalization()]):
        inside = [*first, layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10, "softmax")]
        assert find("not_scaled", net((8, 8, 1), *inside), DIGITS) == []


def test_scaling_inside_a_nested_network_counts():
    backbone = keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)]
    )
    inside = [backbone, layers.Flatten(), layers.Dense(10, "softmax")]
    assert find("not_scaled", net((8, 8, 1), *inside), DIGITS) == []
    bare = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3)])
    assert finding_of(
        "not_scaled", net((8, 8, 1), bare, layers.Flatten(), layers.Dense(10, "softmax")), DIGITS
    )


def test_large_unscaled_columns():
    finding = finding_of("not_scaled", dense(30, 2), CANCER)
    assert_mentions(finding.what, "column 23")  # the worst area, about 1000
    normal = (CANCER[0] - CANCER[0].mean(0)) / CANCER[0].std(0)
    assert (
        find("not_scaled", dense(30, 2), (normal, CANCER[1]))
        == find("not_scaled", dense(), (X, Y))
        == []
    )


def test_targets_far_larger_than_the_first_predictions():
    finding = finding_of("target_scale", dense(10, 1, None, loss="mse", metrics=("mae",)), DIABETES)
    assert finding.level == "warning"
    assert_mentions(finding.what, "164")
    assert_mentions(finding.fix, "deviation")
    scaled = (DIABETES[1] - DIABETES[1].mean()) / DIABETES[1].std()
    assert find("target_scale", dense(10, 1, None, loss="mse"), (DIABETES[0], scaled)) == []
    assert find("target_scale", "diabetes_fnn") == []


def test_targets_of_a_wrong_shape():
    finding = finding_of("targets_form", dense(10, 3, None, loss="mse", metrics=()), DIABETES)
    assert finding.level == "error"
    assert_mentions(finding.what, "()", "(3,)")
    for y in (DIABETES[1], DIABETES[1][:, None]):
        assert (
            find("targets_form", dense(10, 1, None, loss="mse", metrics=()), (DIABETES[0], y)) == []
        )


@pytest.mark.parametrize("end", ["sigmoid", "tanh"])
def test_targets_outside_the_range_of_the_last_activation(end):
    finding = finding_of("targets_out_of_reach", dense(10, 1, end, loss="mse"), DIABETES)
    assert finding.level == "error"
    assert_mentions(finding.what, end)
    share = DIABETES[1] / DIABETES[1].max()
    assert find("targets_out_of_reach", dense(10, 1, end, loss="mse"), (DIABETES[0], share)) == []


def test_copies_of_a_few_rows():
    x = np.tile(X[:3], (50, 1))
    y = np.tile(Y[::50], 50)
    assert finding_of("one_row_again", dense(), (x, y)).level == "warning"
    assert find("one_row_again", dense(), (X, Y)) == []
