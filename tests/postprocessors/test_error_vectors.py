"""Means, paths and totals of forecasts: their numbers beside NumPy, and bands of totals that cover."""

from dataclasses import replace

import numpy as np
import pytest
from messages import assert_mentions

from kzoo.inference.postprocessors import error_vectors, sample_paths
from kzoo.inference.postprocessors.clustered import Clusters, ratio_interval
from kzoo.inference.postprocessors.target_range import target_facts
from kzoo.inference.predictions import Predictions
from kzoo.utils.errors import KzooError
from kzoo.zoo.results.bias import bias_findings

LEVELS = (0.1, 0.5, 0.9)
SERIES, HORIZON = 25, 6


def panel(origins, seed, shock=0.6):
    """Return forecasts with the true quantiles of skewed demand, and its truth, by series within origins.

    Series differ in size by a factor of a thousand, a third of them sells on half of the days, and a shock is shared by
    all series of an origin. The forecasts know the quantiles of each cell, not the shock.
    """
    random = np.random.default_rng(seed)
    size = 10 ** np.linspace(0, 3, SERIES)
    spread = np.where(np.arange(SERIES) % 2, 0.5, 0.9)
    share = np.where(np.arange(SERIES) % 3, 1.0, 0.5)
    shape = (origins, SERIES, HORIZON)
    total_spread = np.hypot(spread, shock)[:, None]
    common = shock * random.normal(size=(origins, 1, 1))
    sells = random.random(shape) < share[:, None]
    truth = size[:, None] * np.exp(common + spread[:, None] * random.normal(size=shape)) * sells
    many = size[:, None] * np.exp(total_spread * random.normal(size=(SERIES, 20_000)))
    many *= random.random((SERIES, 20_000)) < share[:, None]
    quantiles = np.quantile(many, LEVELS, axis=1).T  # (SERIES, levels)
    quantiles = np.broadcast_to(quantiles[None, :, None, None], (*shape, 1, 3))
    scale = np.broadcast_to((size * spread)[None, :, None], (*shape[:2], 1))
    predictions = Predictions(
        quantiles=quantiles.reshape(-1, HORIZON, 1, 3),
        levels=LEVELS,
        target_names=("sales",),
        inputs=[f"s{number}" for number in range(SERIES)] * origins,
        error_scale=scale.reshape(-1, 1),
    )
    moments = np.repeat(np.arange(origins) * HORIZON, SERIES)
    return predictions, truth.reshape(-1, HORIZON, 1), moments


def learn(predictions, truth, moments, **options):
    codes = np.tile(np.arange(SERIES), len(truth) // SERIES)
    names = [f"s{number}" for number in range(SERIES)]
    facts = target_facts(truth.reshape(-1, 1), np.zeros((truth.size, 1), bool))
    defaults = dict(target_facts=facts, means=True)
    return error_vectors.learn(
        predictions, truth, origins=moments, series=codes, names=names, **defaults | options
    )


@pytest.fixture(scope="module")
def learned():
    return learn(*panel(40, seed=1))


def test_vectors_are_errors_in_units_of_the_distance_to_the_outer_quantile(learned):
    predictions, truth, _ = panel(40, seed=1)
    low, median, high = (predictions.quantiles[..., i] for i in range(3))
    least = 0.1 * predictions.error_scale[:, None]
    error = truth - median
    units = np.where(
        error < 0, error / np.maximum(median - low, least), error / np.maximum(high - median, least)
    )
    # widened, so that one in ten is beyond the distance to the outer quantile at least
    beyond = np.quantile(-units, 0.9), np.quantile(units, 0.9)
    assert beyond == pytest.approx((1, 0.92), abs=0.01)
    units /= np.where(units < 0, min(beyond[0], 1), min(beyond[1], 1))
    stored = error_vectors.vectors_of(learned)
    assert stored.shape == (40, SERIES, HORIZON, 1)
    np.testing.assert_allclose(stored.reshape(units.shape), units, rtol=1e-3, atol=1e-4)


def test_means_of_skewed_and_intermittent_series_are_those_of_the_truth(learned):
    predictions, truth, _ = panel(300, seed=2)
    with_means = error_vectors.apply(learned, predictions)
    medians = predictions.quantiles[..., 1]
    assert medians.sum() < 0.8 * truth.sum()
    assert with_means.mean.sum() == pytest.approx(truth.sum(), rel=0.1)
    assert (with_means.mean >= 0).all()
    # on the rows that they were learned on, the sum is exact
    predictions, truth, _ = panel(40, seed=1)
    assert error_vectors.apply(learned, predictions).mean.sum() == pytest.approx(
        truth.sum(), rel=1e-5
    )


def covered(learned, predictions, truth, moments):
    entries = sample_paths.coverage(learned, predictions, truth, moments, 0.8)
    count = sum(entry["of"] for entry in entries if entry["total"] != "steps")
    assert [entry["total"] for entry in entries] == ["series", "steps", "all"]
    return sum(e["covered"] for e in entries if e["total"] != "steps") / count, entries


def test_bands_of_totals_cover_because_errors_of_an_origin_stay_together(learned):
    predictions, truth, moments = panel(20, seed=3)
    predictions = error_vectors.apply(learned, predictions)
    share, entries = covered(learned, predictions, truth, moments)
    assert sum(entry["of"] for entry in entries) >= 100
    assert sum(e["covered"] for e in entries) / sum(e["of"] for e in entries) == pytest.approx(
        0.785, abs=0.135
    )
    assert 0.65 <= share <= 0.92
    # each series with errors of an origin of its own: the shock is lost
    vectors = error_vectors.vectors_of(learned).copy()
    random = np.random.default_rng(0)
    for series in range(SERIES):
        for step in range(HORIZON):
            vectors[:, series, step] = vectors[random.permutation(len(vectors)), series, step]
    apart = learned | {"vectors": error_vectors._packed(vectors)}
    assert covered(apart, predictions, truth, moments)[0] < 0.62


def test_a_single_origin_is_enough_for_bands_of_the_totals_of_each_series():
    inside = {"new": [], "before": []}
    for seed in range(12):
        learned = learn(*panel(1, seed=seed, shock=0))
        assert learned["own"] == pytest.approx(1 / 21)
        before = {name: value for name, value in learned.items() if name != "own"}
        predictions, truth, _ = panel(1, seed=100 + seed, shock=0)
        actual = truth.sum(axis=1)[:, 0]
        for name, each in (("new", learned), ("before", before)):
            new = error_vectors.apply(each, predictions)
            total = sample_paths.totalled(each, new, "steps", confidence=0.8)
            low, high = total.lower[:, 0, 0], total.upper[:, 0, 0]
            inside[name].append((low <= actual) & (actual <= high))
    # half of the paths of a series had its only error
    assert np.mean(inside["before"]) < 0.7
    assert np.mean(inside["new"]) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("factor", [1, 1.5, 10])
def test_paths_are_as_wide_as_quantiles_that_are_wider_than_past_errors(factor):
    predictions, truth, moments = panel(40, seed=1)
    learned = learn(predictions, truth, moments)
    median = predictions.quantiles[..., 1:2]
    wide = replace(predictions, quantiles=median + factor * (predictions.quantiles - median))
    may_be_negative = {"never_negative": [False], "whole": [False]}
    learned = learn(wide, truth, moments, target_facts=may_be_negative)
    low, high = np.quantile(error_vectors.vectors_of(learned), (0.1, 0.9))
    if factor < 2:
        assert low <= -1 + 1e-3 and high >= 1 - 1e-3
    else:  # at most twice as wide as past errors
        assert -low < 0.3 and high < 0.3


def test_totals_are_sums_of_means_with_quantiles_of_summed_paths(learned):
    predictions, *_ = panel(1, seed=4)
    predictions = error_vectors.apply(learned, predictions)
    paths = sample_paths.sampled(learned, predictions, 1_000, seed=5).samples.astype(float)
    axes = {"series": (1, (1, HORIZON)), "steps": (2, (SERIES, 1)), "all": ((1, 2), (1, 1))}
    for total, (axis, shape) in axes.items():
        result = sample_paths.totalled(learned, predictions, total, confidence=0.9, seed=5)
        sums = paths.sum(axis=axis).reshape(1_000, *shape)
        mean = result.mean[..., 0]
        assert result.mean.shape == (*shape, 1) and result.quantiles.shape == (*shape, 1, 3)
        expected = predictions.mean.sum(axis={"series": 0, "steps": 1, "all": (0, 1)}[total])
        np.testing.assert_allclose(mean.reshape(-1), expected.reshape(-1), rtol=1e-5)
        sums *= mean / sums.mean(axis=0)
        for values, level in (
            (result.lower, 0.05),
            (result.upper, 0.95),
            (result.quantiles[..., 1], 0.5),
        ):
            np.testing.assert_allclose(values[..., 0], np.quantile(sums, level, axis=0), rtol=1e-4)
        assert list(result.inputs) == (
            list(predictions.inputs) if total == "steps" else ["total of 25 series"]
        )


def test_a_seed_repeats_paths(learned):
    predictions, *_ = panel(1, seed=4)
    one, same, other = (
        sample_paths.sampled(learned, predictions, 7, seed=seed).samples for seed in (1, 1, 2)
    )
    assert one.shape == (7, SERIES, HORIZON, 1)
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert (one >= 0).all()


def test_paths_of_targets_that_were_whole_are_whole():
    predictions, truth, moments = panel(10, seed=1)
    learned = learn(predictions, np.round(truth), moments)
    samples = sample_paths.sampled(learned, panel(1, seed=2)[0], 5).samples
    assert learned["whole"] == [True] and np.array_equal(samples, np.round(samples))
    may_be_negative = {"never_negative": [False], "whole": [False]}
    learned = learn(predictions, truth, moments, target_facts=may_be_negative)
    assert learned["whole"] == learned["never_negative"] == [False]
    assert (sample_paths.sampled(learned, panel(1, seed=2)[0], 50).samples < 0).any()


def test_new_series_have_the_errors_of_others_at_the_same_origin(learned):
    predictions, *_ = panel(1, seed=4)
    vectors = error_vectors.vectors_of(learned)
    vectors = np.broadcast_to(np.arange(len(vectors))[:, None, None, None] / 10, vectors.shape)
    one = learned | {"vectors": error_vectors._packed(vectors)}
    new = Predictions(
        **{
            name: getattr(predictions, name)
            for name in ("quantiles", "levels", "target_names", "error_scale")
        },
        inputs=[f"new {number}" for number in range(SERIES)],
    )
    center, _, above = error_vectors.center_of(new, [True])
    origins = (sample_paths.sampled(one, new, 40).samples - center) / above
    assert np.ptp(origins, axis=(1, 2, 3)) == pytest.approx(0, abs=0.01)
    assert np.allclose(np.sort(origins[:, 0, 0, 0]), np.arange(40) / 10, atol=0.01)


@pytest.mark.parametrize("levels", [(0.1, 0.9), (0.6, 0.9), (0.5,), ()])
def test_the_center_without_a_median(levels):
    numbers = np.arange(12.0).reshape(2, 3, 2, 1) + np.array(levels or (0,)) * 10
    predictions = Predictions(
        values=None if levels else numbers[..., 0],
        quantiles=numbers if levels else None,
        levels=levels,
        error_scale=np.full((2, 2), 5.0),
    )
    center, below, above = error_vectors.center_of(predictions, [False, False])
    expected = {
        (0.1, 0.9): (numbers[..., 0] + numbers[..., -1]) / 2,
        (0.6, 0.9): numbers[..., 0],
    }
    np.testing.assert_allclose(center, expected.get(levels, numbers[..., 0]))
    np.testing.assert_allclose(below, np.maximum(center - numbers[..., 0], 0.5) if levels else 0.5)
    np.testing.assert_allclose(above, np.maximum(numbers[..., -1] - center, 0.5) if levels else 0.5)


def test_what_is_stored_is_bounded_and_said():
    count, origins = 6_000, 30
    random = np.random.default_rng(0)
    values = random.normal(size=(count * origins, 12, 1)).astype("float32")
    predictions = Predictions(
        values=values, inputs=range(len(values)), error_scale=np.ones((len(values), 1))
    )
    learned = error_vectors.learn(
        predictions,
        values + 1,
        origins=np.repeat(np.arange(origins), count),
        series=np.tile(np.arange(count), origins),
        names=[f"s{number}" for number in range(count)],
        target_facts=target_facts(values[0], np.zeros((12, 1), bool)),
        means=True,
    )
    assert np.prod(learned["shape"]) <= error_vectors.MOST_STORED
    assert learned["shape"][0] == 20 and learned["series"] == count
    assert learned["origins"] == 3  # of twelve steps each, in thirty
    one = Predictions(values=values[:2], inputs=["s0", "s1"], error_scale=np.ones((2, 1)))
    one = error_vectors.apply(learned, one)
    np.testing.assert_allclose(one.mean, one.values + 1, rtol=1e-5)
    total = sample_paths.totalled(learned, one, "all")
    assert f"of {learned['shape'][1]:,} of 6,000 series" in total.promise


def test_the_interval_of_a_bias_is_clustered_by_series_and_origin():
    """A shock of an origin makes it wider than independent errors; of these, it is that of the ratio of means."""
    random = np.random.default_rng(0)
    sizes = random.lognormal(3, 1, (40, 30))  # blocks of origins, series
    series, blocks = np.tile(np.arange(30), 40), np.repeat(np.arange(40), 30)
    clusters = Clusters(series=series, blocks=blocks)
    apart = 0.1 * sizes * random.normal(size=sizes.shape)
    together = apart + 0.1 * sizes * random.normal(size=(40, 1))
    widths = []
    for errors in (apart, together):
        low, high = ratio_interval(errors.ravel(), sizes.ravel(), clusters)
        assert (low + high) / 2 == pytest.approx(errors.sum() / sizes.sum(), abs=1e-9)
        widths.append(high - low)
    deviations = apart - apart.sum() / sizes.sum() * sizes
    plain = 2 * 1.96 * deviations.std() / np.sqrt(sizes.size) / sizes.mean()
    # blocks may be correlated, which is estimated and widens it
    assert 0.8 * plain < widths[0] < 2.5 * plain
    assert widths[1] > 2 * widths[0]
    ends = []
    for _ in range(200):
        errors = 0.1 * sizes * (random.normal(size=sizes.shape) + random.normal(size=(40, 1)))
        ends.append(ratio_interval(errors.ravel(), sizes.ravel(), clusters))
    assert 0.9 <= np.mean([low <= 0 <= high for low, high in ends]) <= 1
    one = Clusters(series=series, blocks=np.zeros_like(series))
    assert ratio_interval(apart.ravel(), sizes.ravel(), one) is None


def biased(**test):
    rows = [
        dict(
            label="seasonal naive",
            split="test",
            metric="pinball",
            scores=dict(pinball=2.0, bias=-0.05),
        )
    ]
    scores = dict(pinball=1.0, bias=-0.2, bias_interval=[-0.3, -0.1])
    return dict(test=scores | test, baselines=rows)


def test_a_bias_is_judged_beside_that_of_the_best_baseline():
    (finding,) = bias_findings(biased())
    assert_mentions(finding[0], "20", "too low", "seasonal naive", "test")
    (finding,) = bias_findings(biased(bias=0.2, bias_interval=[0.09, 0.3]))
    assert_mentions(finding[0], "too high")
    for known in (
        dict(bias_interval=[-0.3, -0.06]),
        dict(bias_interval=None),
        dict(bias_interval=[-0.1, 0.3]),
    ):
        assert bias_findings(biased(**known)) == []
    before = biased()
    del before["test"]["bias_interval"]
    assert bias_findings(before) == bias_findings({}) == []
    assert bias_findings(before | {"baselines": []}) == []


def test_too_many_numbers_are_refused(learned, monkeypatch):
    monkeypatch.setattr(sample_paths, "MOST_NUMBERS", 1_000)
    with pytest.raises(KzooError, match=r"25 series.*6 steps.*6 paths at most") as caught:
        sample_paths.sampled(learned, panel(1, seed=4)[0], 7)
    assert caught.value.argument == "samples" and caught.value.value == 7


def test_series_that_begin_apart_are_not_added(learned):
    predictions, *_ = panel(1, seed=4)
    times = [list(range(10, 16))] * SERIES
    times[3] = list(range(9, 15))
    apart = error_vectors.apply(learned, Predictions(**vars(predictions) | {"times": times}))
    for total in ("series", "all"):
        with pytest.raises(KzooError, match=r"s3.*total='steps'"):
            sample_paths.totalled(learned, apart, total)
    steps = sample_paths.totalled(learned, apart, "steps")
    assert steps.more["first"][2:5].tolist() == ["10", "9", "10"]
    assert steps.more["last"][2:5].tolist() == ["15", "14", "15"]
