"""MiniRocket and Hydra: equal to loops in NumPy, masked, and fitted by ridge regression as scikit-learn does it."""

import itertools

import keras
import numpy as np
import pytest
from messages import refuses
from sklearn.linear_model import Ridge, RidgeCV

import kzoo
from kzoo.training.ridge import ridge_regression, score_factor
from kzoo.zoo.families.protocol import layer_with

pytestmark = pytest.mark.usefixtures("untraced_module")

SMALL = dict(shares=84 * 6, groups=3, kernels_per_group=4)


def small_network(steps=40, columns=1, **settings):
    return kzoo.build(
        "series_rocket", seed=0, compile=False, input_shape=(steps, columns), **SMALL | settings
    )


def features_of(model, x):
    return np.asarray(
        keras.ops.convert_to_numpy(
            keras.Model(model.input, layer_with(model, "features").output)(x)
        )
    )


def convolved(series, kernel, dilation):
    """The response of one series (T, C) to a kernel (9, C) at each step, with zeros around, as a loop."""
    steps = len(series)
    out = []
    for t in range(steps):
        total = 0.0
        for tap in range(9):
            s = t + (tap - 4) * dilation
            if 0 <= s < steps:
                total += float(series[s].astype("float64") @ kernel[tap])
        out.append(total)
    return np.array(out)


def test_kernels_are_the_84_of_minirocket():
    model = small_network()
    kernel = layer_with(model, "shares1").get_weights()[0][:, 0]
    each = np.unique(kernel.T, axis=0)
    assert len(each) == 84 and set(np.unique(each)) == {-1.0, 2.0}
    assert {tuple(np.flatnonzero(row == 2)) for row in each} == set(
        itertools.combinations(range(9), 3)
    )


@pytest.mark.parametrize("columns", [1, 3])
def test_shares_above_thresholds_equal_a_loop(columns):
    model = small_network(columns=columns)
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 40, columns)).astype("float32")
    features = features_of(model, x)
    start = 0
    for layer in [layer for layer in model.layers if layer.name.startswith("shares")]:
        kernel, _ = layer.get_weights()
        bias = random.normal(size=kernel.shape[-1]).astype("float32")
        layer.set_weights([kernel, bias])
        features = features_of(model, x)
        dilation = layer.dilation_rate[0]
        filters = kernel.shape[-1]
        for i in range(0, filters, 37):
            for row in range(2):
                responses = convolved(x[row], kernel[..., i], dilation) + bias[i]
                if layer.padding == "valid":
                    responses = responses[4 * dilation : 40 - 4 * dilation]
                assert features[row, start + i] == pytest.approx(np.mean(responses > 0), abs=1e-6)
        start += filters
    assert {layer.padding for layer in model.layers if layer.name.startswith("shares")} == {
        "same",
        "valid",
    }


def test_winners_of_hydra_equal_a_loop():
    model = small_network(columns=2)
    x = np.random.default_rng(1).normal(size=(2, 40, 2)).astype("float32")
    features = features_of(model, x)
    groups = SMALL["groups"]
    kernels = SMALL["kernels_per_group"]
    start = 84 * 6
    for name, series in (("hydra", x), ("hydra_differences", np.diff(x, axis=1))):
        for number in itertools.count(1):
            if (layer := layer_with(model, f"{name}{number}")) is None:
                break
            kernel = layer.get_weights()[0].reshape(9, 2, groups, kernels)
            np.testing.assert_allclose(kernel.mean(axis=0), 0, atol=1e-6)
            np.testing.assert_allclose(np.abs(kernel).sum(axis=(0, 1)), 1, atol=1e-5)
            for row in range(2):
                responses = np.array(
                    [
                        [
                            convolved(series[row], kernel[..., g, k], 2 ** (number - 1))
                            for k in range(kernels)
                        ]
                        for g in range(groups)
                    ]
                )
                for g in range(groups):
                    for k in range(kernels):
                        wins = responses[g].argmax(axis=0) == k
                        strength = np.where(wins, np.maximum(responses[g, k], 0), 0).mean()
                        losses = (responses[g].argmin(axis=0) == k).mean()
                        at = start + g * kernels + k
                        assert features[row, at] == pytest.approx(np.sqrt(strength), abs=1e-4)
                        assert features[row, at + groups * kernels] == pytest.approx(
                            np.sqrt(losses), abs=1e-4
                        )
            start += 2 * groups * kernels
    assert start == features.shape[1]


def test_padding_does_not_count():
    model = small_network(columns=3, padded=True)
    random = np.random.default_rng(0)
    x = np.zeros((2, 40, 3), "float32")
    x[:, :25, :2], x[:, :25, 2] = random.normal(size=(1, 25, 2)), 1
    x[1, 25:, :2] = 9.0  # what a padded step holds is never read
    features = features_of(model, x)
    np.testing.assert_allclose(features[0], features[1], atol=1e-6)
    short = small_network(steps=25, columns=2)
    kernels = [layer for layer in model.layers if layer.name.startswith("hydra") and layer.weights]
    for layer in kernels:
        if (other := layer_with(short, layer.name)) is not None:
            other.set_weights(layer.get_weights())
    expected = features_of(short, x[:1, :25, :2])
    groups = SMALL["groups"] * SMALL["kernels_per_group"]
    np.testing.assert_allclose(
        features[0, 84 * 6 : 84 * 6 + 2 * groups],
        expected[0, 84 * 6 : 84 * 6 + 2 * groups],
        atol=1e-5,
    )


def test_kernels_follow_the_seed():
    one, same = small_network(columns=2), small_network(columns=2)
    other = kzoo.build("series_rocket", seed=1, compile=False, input_shape=(40, 2), **SMALL)
    for a, b, c in zip(one.get_weights(), same.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == c.shape
    assert any(
        not np.array_equal(a, c)
        for a, c in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def test_ridge_regression_equals_that_of_scikit_learn():
    random = np.random.default_rng(0)
    features = random.normal(size=(30, 80)).astype("float32") * 3 + 5
    features[:, 7] = 2.0  # constant
    targets = features[:, :2] @ random.normal(size=(2, 3)) + random.normal(size=(30, 3))
    fitted = ridge_regression(features, targets)
    spread = features.std(axis=0, dtype="float64")
    standardised = np.where(
        spread > 0,
        (features - features.mean(axis=0, dtype="float64")) / np.where(spread > 0, spread, 1),
        0,
    )
    reference = RidgeCV(np.logspace(-3, 6, 19), store_cv_results=True).fit(standardised, targets)
    assert fitted.alpha == pytest.approx(reference.alpha_)
    np.testing.assert_allclose(
        features @ fitted.kernel + fitted.bias, reference.predict(standardised), atol=1e-6
    )
    # Leave-one-out predictions, by leaving each row out.
    for row in (0, 11):
        rest = np.arange(30) != row
        model = Ridge(fitted.alpha).fit(standardised[rest], targets[rest])
        np.testing.assert_allclose(
            fitted.left_out[row], model.predict(standardised[row : row + 1])[0], atol=1e-6
        )
    assert not fitted.kernel[7].any()


def test_a_row_of_weight_two_counts_twice_and_one_of_weight_zero_not_at_all():
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(12, 20)), random.normal(size=(12, 2))
    weight = np.r_[2.0, np.ones(10), 0.0]
    weighted = ridge_regression(features, targets, weight)
    rows = np.r_[0, 0, 1:11]
    middle, spread = features[rows].mean(axis=0), features[rows].std(axis=0)
    standardised = (features - middle) / spread
    scaled = weighted.alpha * weight.sum() / 12  # weights are scaled to a mean of 1
    reference = Ridge(scaled).fit(standardised[rows], targets[rows])
    np.testing.assert_allclose(
        features @ weighted.kernel + weighted.bias, reference.predict(standardised), atol=1e-8
    )


def test_the_factor_of_scores_minimises_the_crossentropy():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 500)
    scores = (
        np.where(np.arange(3) == labels[:, None], 0.4, -0.4) + random.normal(size=(500, 3)) * 0.5
    )
    factor = score_factor(scores, labels)

    def loss(value):
        logits = value * scores
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(500), labels])

    assert loss(factor) <= min(loss(factor * 0.9), loss(factor * 1.1)) + 1e-4
    assert score_factor(np.eye(3)[labels], labels) < 1e3  # without a mistake it stays finite


def test_training_settings_without_effect_are_refused():
    for name, value in (
        ("learning_rate", 0.1),
        ("optimizer", "sgd"),
        ("epochs", 5),
        ("label_smoothing", 0.1),
    ):
        with refuses(name, "series_rocket", "ridge regression"):
            kzoo.train("series_rocket", "cbf", **{name: value})
    with refuses("series_rocket", "nothing to search"):
        kzoo.space("series_rocket")
    with refuses("shares=10", "84"):
        kzoo.train("series_rocket", "cbf", shares=10)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rocket") / "run"
    return kzoo.train("series_rocket", "cbf", out=folder, progress=False, shares=840, groups=8)


def test_a_run_beats_its_baselines_and_its_probabilities_are_calibrated(run):
    scores = run.summary["test"]
    assert scores["accuracy"] > 0.97
    assert scores["loss"] < 0.15
    labels = {result["label"] for result in run.summary["baselines"]}
    assert {
        "nearest neighbour",
        "summary statistics and logistic regression",
        "most frequent class",
    } <= labels


def test_the_same_seed_gives_the_same_run(run, tmp_path):
    again = kzoo.train(
        "series_rocket",
        "cbf",
        out=tmp_path / "run",
        progress=False,
        shares=840,
        groups=8,
        baselines=False,
    )
    for a, b in zip(run.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_values_are_fitted_and_class_weights_reach_the_regression(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 30, 1)).cumsum(axis=1).astype("float32")
    y = 100 + 10 * x.max(axis=(1, 2))
    run = kzoo.train(
        "series_rocket", (x, y), out=tmp_path / "v", progress=False, shares=840, groups=8, test=0.3
    )
    assert run.spec.task == "sequence_regression" and run.summary["test"]["r2"] > 0.5
    labels = (random.random(80) < 0.3 + 0.4 * (x[:, -1, 0] > 0)).astype(int)
    few = dict(progress=False, shares=84, groups=0, baselines=False, test=0.3)
    plain = kzoo.train("series_rocket", (x, labels), out=tmp_path / "c", **few)
    heavy = kzoo.train(
        "series_rocket", (x, labels), out=tmp_path / "w", class_weight={"0": 1, "1": 20}, **few
    )
    share = [np.mean(np.array(kzoo.predict(r, x).labels) == "1") for r in (plain, heavy)]
    assert share[1] > share[0]
