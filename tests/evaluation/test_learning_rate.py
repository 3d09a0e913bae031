"""The learning rate range test: the suggested rate trains, divergence is detected, and no file is written."""

import numpy as np
import pytest
from messages import refuses

import kzoo

pytestmark = pytest.mark.usefixtures("untraced_module")


@pytest.fixture(scope="module")
def result():
    return kzoo.learning_rate_range("line_fnn", low=1e-4, high=100.0)


def test_the_suggested_rate_trains_and_the_rate_of_divergence_does_not(result, tmp_path, undrawn):
    def loss_after_training(rate):
        run = kzoo.train(
            "line_fnn",
            "line",
            out=tmp_path / f"{rate}",
            learning_rate=rate,
            epochs=10,
            progress=False,
        )
        return run.summary["test"]["mse_standardised"]

    assert result["rates"][0] < result["suggested"] < result["diverged"]
    assert loss_after_training(result["suggested"]) < 0.4  # 1 is the mean of the training targets
    assert loss_after_training(result["suggested"] / 1000) > 0.6
    with refuses("loss", "learning_rate", "global_clipnorm=1.0"):
        loss_after_training(100.0)


def test_the_rates_rise_by_a_constant_factor_and_the_test_stops_at_divergence(result):
    steps = len(result["rates"])
    assert steps == len(result["losses"]) == len(result["smoothed"]) < 100
    np.testing.assert_allclose(result["rates"], np.geomspace(1e-4, 100.0, 100)[:steps])
    assert result["diverged"] == pytest.approx(result["rates"][-1])
    assert result["losses"].max() < 2 * result["losses"][0], "it stops long before infinity"
    low = kzoo.learning_rate_range("line_fnn", low=1e-4, high=0.01)
    assert low["diverged"] is None and len(low["rates"]) == 100


def test_the_losses_are_those_of_gradient_descent_by_hand():
    """A linear model: the loss before each step, with the rate of that step, in NumPy."""
    data = kzoo.load_data("line", preset="line_fnn")
    result = kzoo.learning_rate_range(
        "line_fnn", data, units=(), batch_size=len(data.train), low=1e-3, high=0.1, steps=30, seed=4
    )
    weights = kzoo.build("line_fnn", units=(), seed=4).get_weights()
    w, b = float(weights[0].squeeze()), float(weights[1].squeeze())
    x, y = ((part - part.mean()) / part.std() for part in (data.train.x[:, 0], data.train.y[:, 0]))
    expected = []
    for rate in np.geomspace(1e-3, 0.1, 30):
        error = w * x + b - y
        expected.append((error**2).mean())
        w = w - rate * 2 * (error * x).mean()
        b = b - rate * 2 * error.mean()
    np.testing.assert_allclose(result["losses"], expected, rtol=1e-3)


def test_smoothing_neither_lags_nor_bends():
    from kzoo.evaluation.learning_rate import _smooth

    np.testing.assert_allclose(_smooth(np.full(50, 2.5), 100), 2.5)
    step = _smooth(np.repeat([1.0, 0.0], 50), 100)
    assert step[49] > 0.5 > step[50]
    np.testing.assert_allclose(step + step[::-1], 1)


def test_the_same_seed_gives_the_same_losses_and_settings_change_them():
    first, second = (kzoo.learning_rate_range("line_fnn", steps=20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first["losses"], second["losses"])
    other = kzoo.learning_rate_range(
        "line_fnn", steps=20, seed=3, units=(3,), schedule="cosine", learning_rate=7.0
    )
    assert not np.array_equal(first["losses"], other["losses"])
    np.testing.assert_allclose(other["rates"], first["rates"][: len(other["rates"])])


def test_binary_classes_and_images_work_too(tmp_path):
    for preset, small in {
        "cancer_fnn": dict(units=(8,)),
        "digits_cnn": dict(filters=(4,), units=(8,)),
    }.items():
        result = kzoo.learning_rate_range(preset, steps=40, low=1e-5, batch_size=32, **small)
        assert 1e-5 < result["suggested"] < 0.5
    assert not list(tmp_path.iterdir())  # the working folder: nothing is written


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(low=0.0), ("low=0.0", "learning rate")),
        (dict(low=-1), ("low=-1", "learning rate")),
        (dict(low=float("nan")), ("low=nan", "learning rate")),
        (dict(high="1"), ("high='1'", "learning rate")),
        (dict(high=float("inf")), ("high=inf", "learning rate")),
        (dict(low=0.1, high=0.1), ("low=0.1", "high=0.1")),
        (dict(steps=5), ("steps=5", "20")),
        (dict(steps=30.0), ("steps=30.0", "20")),
        (dict(unit=(4,)), ("'unit'", "line_fnn", "'units'")),
        (dict(data="no such file"), ("'no such file'", "iris, wine")),
        (dict(data="digits"), ("'digits'", "line_fnn", "rows")),
        (dict(low=50.0, high=1000.0), ("loss", "50", "low=")),
    ],
)
def test_bad_arguments_are_refused(options, parts):
    with refuses(*parts) as caught:
        kzoo.learning_rate_range("line_fnn", **options)
    assert "\n" not in str(caught.value)
