"""Prediction sets, intervals and abstention: their numbers beside independent loops, and their coverage."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from messages import assert_mentions, refuses, warns
from scipy import stats

from kzoo.inference.postprocessors import (
    abstention,
    adaptive_band,
    clustered,
    conformal,
    conformal_scores,
    coverage,
)
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.zoo.results.coverage import coverage_findings, coverage_note, coverage_table

CLASSES = ("a", "b", "c", "d")
OF_CLASSES = problem("tabular_classification")
OF_VALUES = problem("tabular_regression")


def drawn(count, seed=0):
    """Return probabilities (N, 4), and classes that are drawn from a sharper distribution."""
    random = np.random.default_rng(seed)
    p = random.dirichlet([0.4] * 4, count)
    truth = np.array([random.choice(4, p=row**1.5 / (row**1.5).sum()) for row in p])
    return p, truth


def of_classes(p):
    labels = [CLASSES[number] for number in p.argmax(axis=1)]
    return Predictions(labels=labels, probabilities=p, class_names=CLASSES, inputs=range(len(p)))


def of_values(values):
    return Predictions(values=values, target_names=("y",), inputs=range(len(values)))


def learn_classes(p, truth, tuning=None):
    return conformal.learn(of_classes(p), truth, problem=OF_CLASSES, tuning=tuning)


def loop_quantile(scores, confidence):
    return sorted(scores)[math.ceil((len(scores) + 1) * confidence - 1e-9) - 1]


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
def test_lac_and_class_sets_are_those_of_a_loop(confidence):
    p, truth = drawn(300)
    new, _ = drawn(50, seed=1)
    learned = learn_classes(p, truth)
    limit = loop_quantile([1 - row[k] for row, k in zip(p, truth, strict=True)], confidence)
    expected = [[1 - q <= limit for q in row] for row in new]
    assert conformal.class_sets(learned, new, confidence, "lac")[0].tolist() == expected
    limits = [loop_quantile([1 - row[k] for row in p[truth == k]], confidence) for k in range(4)]
    expected = [[1 - q <= limit for q, limit in zip(row, limits, strict=True)] for row in new]
    assert conformal.class_sets(learned, new, confidence, "class")[0].tolist() == expected


@pytest.mark.parametrize("u", [None, "random"])
def test_raps_scores_are_those_of_the_article(u):
    p, _ = drawn(40)
    random = np.ones(40) if u is None else np.random.default_rng(2).random(40)
    scores = conformal_scores.raps_scores(
        p, penalty=0.1, size=2, **({} if u is None else {"u": random})
    )
    for row, row_scores, own in zip(p, scores, random, strict=True):
        order = sorted(range(4), key=lambda k: -row[k])
        for rank, k in enumerate(order, 1):
            before = sum(row[j] for j in order[: rank - 1])
            expected = before + (1 - own) * row[k] + 0.1 * max(rank - 2, 0)
            assert row_scores[k] == pytest.approx(expected, abs=1e-12)


def test_raps_sets_are_never_empty_and_cover():
    p, truth = drawn(2_000)
    learned = learn_classes(
        p[:1000], truth[:1000], tuning=(of_classes(p[1000:1500]), truth[1000:1500])
    )
    inside, _ = conformal.class_sets(learned, p[1500:], 0.9, "raps")
    assert inside.any(axis=1).all()
    assert inside[np.arange(500), truth[1500:]].mean() > 0.86


def test_coverage_over_many_cuts_is_beta_binomial():
    """Mean and spread over 400 cuts of the same stored probabilities."""
    p, truth = drawn(3_000)
    random = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        rows = random.permutation(len(p))[:500]
        learned = conformal_scores.stored(1 - p[rows[:200], truth[rows[:200]]])
        limit = conformal_scores.score_at(learned, 0.9)
        covered.append((1 - p[rows[200:], truth[rows[200:]]] <= limit).mean())
    probabilities = coverage.coverage_probabilities(200, 300, 0.9)
    shares = np.arange(301) / 300
    mean = (probabilities * shares).sum()
    spread = math.sqrt((probabilities * (shares - mean) ** 2).sum())
    assert np.mean(covered) == pytest.approx(mean, abs=4 * spread / 20)
    assert np.std(covered) == pytest.approx(spread, rel=0.15)
    low, high = coverage.observed_interval(200, 300, 0.9)
    assert np.mean([low <= share <= high for share in covered]) > 0.85


def test_bounds_and_ranges_are_those_of_scipy():
    for errors, rows in ((0, 45), (3, 50), (20, 500)):
        expected = stats.beta.ppf(0.9, errors + 1, rows - errors)
        assert coverage.upper_bound(errors, rows, 0.1) == pytest.approx(expected, abs=1e-9)
    for rows, confidence in ((50, 0.9), (500, 0.95)):
        k = coverage.corrected_rank(rows, confidence)
        expected = stats.beta.ppf([0.05, 0.95], k, rows + 1 - k)
        assert coverage.coverage_interval(rows, confidence) == pytest.approx(expected, abs=1e-7)
        expected = stats.betabinom.pmf(np.arange(301), 300, k, rows + 1 - k)
        assert coverage.coverage_probabilities(rows, 300, confidence) == pytest.approx(
            expected, abs=1e-9
        )


def test_the_rank_is_corrected_and_too_few_rows_are_refused():
    assert [coverage.rows_needed(level) for level in (0.8, 0.9, 0.95)] == [4, 9, 19]
    assert coverage.corrected_rank(9, 0.9) == 9 and coverage.corrected_rank(18, 0.95) == 19
    p, truth = drawn(18)
    learned = learn_classes(p, truth)
    with refuses("confidence=0.95", "19 calibration rows", "has 18", "0.947"):
        conformal.answered(
            learned, "calibration", of_classes(p), PredictionOptions(confidence=0.95)
        )
    with warns("confidence=0.9", "18 calibration rows"):
        conformal.answered(learned, "calibration", of_classes(p), PredictionOptions(confidence=0.9))
    with refuses("conformal='class'", "19 rows of a class", "lac"):
        options = PredictionOptions(confidence=0.95, conformal="class")
        conformal.answered(learn_classes(*drawn(40)), "calibration", of_classes(p), options)


def test_thinned_scores_round_up():
    scores = np.random.default_rng(0).random(30_000)
    thinned = conformal_scores.stored(scores)
    assert len(thinned["values"]) < 600 and thinned["count"] == 30_000
    for confidence in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        exact = loop_quantile(scores, confidence)
        rounded = conformal_scores.score_at(thinned, confidence)
        assert exact <= rounded <= exact + 0.03 * (1 - confidence)


def test_intervals_follow_the_spread_and_cover():
    random = np.random.default_rng(0)
    values = random.uniform(1, 10, (3_000, 1))
    truth = values + values * random.standard_normal((3_000, 1))
    seen = slice(500, 1_500)
    tuning = (of_values(values[:500]), truth[:500])
    learned = conformal.learn(
        of_values(values[seen]), truth[seen], problem=OF_VALUES, tuning=tuning
    )
    assert learned["spread"][0] is not None
    lower, upper = conformal.intervals(learned, of_values(values[1_500:]), 0.9)
    assert 0.87 < ((truth[1_500:] >= lower) & (truth[1_500:] <= upper)).mean() < 0.93
    width = (upper - lower)[:, 0]
    small = values[1_500:, 0] < 3
    assert width[~small].mean() > 2 * width[small].mean()
    even = values + random.standard_normal(values.shape)
    assert conformal.learn(of_values(values), even, problem=OF_VALUES)["spread"] == [None]


def test_counts_are_not_below_zero():
    random = np.random.default_rng(0)
    rates = random.uniform(0.1, 3, (400, 1))
    learned = conformal.learn(
        of_values(rates), random.poisson(rates), problem=problem("tabular_count")
    )
    lower, _ = conformal.intervals(learned, of_values(rates), 0.9)
    assert lower.min() == 0


def test_quantiles_are_conformalised_with_the_nearest_heads():
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert [conformal_scores.nearest_heads(levels, c) for c in (0.9, 0.5, 0.8)] == [
        (0, 4),
        (1, 3),
        (0, 4),
    ]
    random = np.random.default_rng(0)
    truth = random.standard_normal((2_000, 1))
    heads = np.tile(np.array([-1.0, -0.4, 0, 0.4, 1.0]), (2_000, 1, 1))  # too narrow
    predictions = Predictions(
        quantiles=heads, levels=levels, target_names=("y",), inputs=range(2_000)
    )
    learned = conformal.learn(predictions, truth, problem=problem("tabular_quantiles"))
    lower, upper = conformal.intervals(learned, predictions, 0.9)
    scores = [max(-1 - y, y - 1) for y in truth[:, 0]]
    assert upper[0, 0] == pytest.approx(1 + loop_quantile(scores, 0.9), abs=1e-6)
    assert ((truth >= lower) & (truth <= upper)).mean() == pytest.approx(0.9, abs=0.01)


def forecasts(seed=0, *, moments=60, series=50, horizon=4, quantiles=False, own=0.0, keep=None):
    """Return forecasts of series whose sizes differ by six decades, their truth, and the first step of each.

    Errors grow with the step, and are `own` times as large, as a logarithm, in some series as their scale says.
    """
    random = np.random.default_rng(seed)
    size = 10 ** random.uniform(-3, 3, series)
    factor = np.exp(own * random.standard_normal(series))
    codes, starts = (grid.reshape(-1) for grid in np.mgrid[:series, :moments])
    scale = size[codes] * np.exp(0.2 * random.standard_normal(len(codes)))
    spread = (scale * factor[codes])[:, None] * np.sqrt(np.arange(1, horizon + 1))
    truth = (10 * size[codes][:, None] + spread * random.standard_normal(spread.shape))[..., None]
    values = np.broadcast_to(10 * size[codes][:, None, None], truth.shape)
    answers = {"values": values}
    if quantiles:
        ends = scale[:, None, None] * np.array([-1.0, 0, 1])
        answers = {"quantiles": values[..., None] + ends[:, None], "levels": (0.1, 0.5, 0.9)}
    rows = np.flatnonzero(np.ones(len(codes), bool) if keep is None else keep(codes, starts))
    part = {
        name: value[rows] if isinstance(value, np.ndarray) else value
        for name, value in answers.items()
    }
    names = [f"s{code}" for code in codes[rows]]
    predictions = Predictions(**part, error_scale=scale[rows, None], inputs=names)
    return predictions, truth[rows], starts[rows], np.argsort(np.argsort(size))[codes[rows]]


OF_FORECASTS = {False: problem("forecasting"), True: problem("quantile_forecasting")}


@pytest.mark.parametrize("quantiles", [False, True])
def test_bands_of_all_sizes_cover_new_series_and_moments(quantiles):
    options = dict(quantiles=quantiles)
    early, early_truth, moments, _ = forecasts(
        **options, keep=lambda code, start: (code % 5 > 0) & (start < 30)
    )
    learned = conformal.learn(early, early_truth, problem=OF_FORECASTS[quantiles], moments=moments)
    assert conformal.follows_scale(learned)
    late, truth, _, rank = forecasts(**options, keep=lambda code, start: start >= 34)
    lower, upper = conformal.intervals(learned, late, 0.8)
    covered = ((truth >= lower) & (truth <= upper))[..., 0]
    fifths = [covered[rank // 10 == fifth].mean() for fifth in range(5)]
    assert min(fifths) > 0.75 and max(fifths) < 0.85
    new = np.array([int(name[1:]) % 5 == 0 for name in late.inputs])
    assert covered[new].mean() == pytest.approx(0.8, abs=0.03)
    # one width in the unit of the target covers none of the large series
    plain = replace(early, error_scale=None)
    unscaled = conformal.learn(plain, early_truth, problem=OF_FORECASTS[quantiles])
    assert not conformal.follows_scale(unscaled)
    lower, upper = conformal.intervals(unscaled, late, 0.8)
    assert ((truth >= lower) & (truth <= upper))[rank >= 40].mean() < 0.7


@pytest.mark.parametrize("quantiles", [False, True])
def test_the_width_of_a_pooled_band_is_that_of_a_loop(quantiles):
    predictions, truth, moments, _ = forecasts(series=9, moments=20, quantiles=quantiles)
    learned = conformal.learn(predictions, truth, problem=OF_FORECASTS[quantiles], moments=moments)
    lower, upper = conformal.intervals(learned, predictions, 0.8)
    low = high = predictions.values
    if quantiles:
        low, high = predictions.quantiles[..., 0], predictions.quantiles[..., 2]
    for step in range(4):
        scores = np.maximum(low - truth, truth - high)[:, step] / predictions.error_scale
        width = loop_quantile(scores[:, 0], 0.8) * predictions.error_scale
        np.testing.assert_allclose(upper[:, step], high[:, step] + width, rtol=1e-8)
        np.testing.assert_allclose(lower[:, step], low[:, step] - width, rtol=1e-8)


@pytest.mark.parametrize("quantiles", [False, True])
def test_series_have_widths_of_their_own_where_these_persist(quantiles):
    def spread_of_coverage(own, stored=True):
        options = dict(quantiles=quantiles, own=own, moments=120)
        early, truth, moments, _ = forecasts(**options, keep=lambda _, start: start < 60)
        learned = conformal.learn(
            early,
            truth,
            problem=OF_FORECASTS[quantiles],
            moments=moments if stored else None,
        )
        late, truth, _, _ = forecasts(**options, keep=lambda _, start: start >= 64)
        lower, upper = conformal.intervals(learned, late, 0.8)
        covered = (truth >= lower) & (truth <= upper)
        names = np.array(late.inputs)
        of_series = [covered[names == name].mean() for name in sorted(set(names))]
        assert np.mean(of_series) == pytest.approx(0.8, abs=0.03)
        scale = (learned if not quantiles else learned["pairs"][0])["scale"]
        return np.std(of_series), len(scale["series"])

    pooled, none = spread_of_coverage(0.8, stored=False)
    own, all_of_them = spread_of_coverage(0.8)
    assert (none, all_of_them) == (0, 50) and own < 0.6 * pooled
    # where the differences between series are noise, the pooled width stays
    pooled, _ = spread_of_coverage(0.0, stored=False)
    own, _ = spread_of_coverage(0.0)
    assert own < 1.1 * pooled


def misses(*, series, origins, horizon, memory, shared, seed):
    """Return which steps of forecasts are outside a band of 80 %, and their clusters; errors are autoregressive."""
    random = np.random.default_rng(seed)
    length = origins + horizon + 50

    def errors(count):
        noise = random.standard_normal((count, length)) * np.sqrt(1 - memory**2)
        result = np.zeros((count, length))
        for step in range(1, length):
            result[:, step] = memory * result[:, step - 1] + noise[:, step]
        return result

    total = np.sqrt(1 - shared) * errors(series) + np.sqrt(shared) * errors(1)
    starts = np.arange(origins) + 50
    inside = np.abs(total) <= stats.norm.ppf(0.9)
    covered = inside[:, starts[:, None] + np.arange(horizon)].reshape(-1, horizon)
    codes = np.repeat(np.arange(series), origins)
    return covered, clustered.Clusters.of(codes, np.tile(starts, series), horizon)


@pytest.mark.parametrize(
    ("series", "origins", "horizon", "memory", "shared"),
    [(1, 100, 6, 0.7, 0), (1, 300, 24, 0.9, 0), (40, 35, 12, 0.7, 0.3), (40, 13, 4, 0.7, 0.3)],
)
def test_the_expected_range_of_dependent_errors_holds_the_coverage(
    series, origins, horizon, memory, shared
):
    held = []
    binomial = []
    for seed in range(200):
        covered, clusters = misses(
            series=series, origins=origins, horizon=horizon, memory=memory, shared=shared, seed=seed
        )
        low, high = clustered.expected_range(covered, clusters, 0.8)
        held.append(low <= covered.mean() <= high)
        half = 1.96 * math.sqrt(0.16 / covered.size)
        binomial.append(abs(covered.mean() - 0.8) <= half)
    assert np.mean(held) >= 0.9
    assert np.mean(binomial) < 0.5


def test_the_expected_range_needs_more_than_one_horizon_of_origins():
    covered, clusters = misses(series=30, origins=6, horizon=6, memory=0.5, shared=0.1, seed=0)
    assert clustered.expected_range(covered, clusters, 0.8) is None
    all_of_them = np.ones((40, 3), bool)
    clusters = clustered.Clusters.of(np.zeros(40, int), np.arange(40), 3)
    low, high = clustered.expected_range(all_of_them, clusters, 0.8)
    assert low < 0.8 < high
    # a band that was learned on few rows has a wider range
    wider = clustered.expected_range(all_of_them, clusters, 0.8, effective=4)
    assert wider[0] < low


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 20, 200])
def test_students_distribution_is_that_of_scipy(freedom):
    for probability in (0.9, 0.95, 0.99):
        expected = stats.t.ppf((1 + probability) / 2, freedom)
        assert clustered.student(probability, freedom) == pytest.approx(expected, rel=1e-9)


def test_bands_that_miss_the_small_series_are_found():
    early, early_truth, _, _ = forecasts(keep=lambda _, start: start < 30)
    late, truth, moments, rank = forecasts(keep=lambda _, start: start >= 34)
    scaled = conformal.learn(early, early_truth, problem=OF_FORECASTS[False])
    assert (
        coverage_findings(
            conformal.coverage(scaled, "validation", late, truth, ordered=True, moments=moments)
        )
        == []
    )
    # a band that suits large series is too narrow for small ones
    scales = np.where(rank < 10, 0.15, 1.0)[:, None] * late.error_scale
    entries = conformal.coverage(
        scaled,
        "validation",
        replace(late, error_scale=scales),
        truth,
        [0.8],
        ordered=True,
        moments=moments,
    )
    sizes = entries[0]["sizes"]
    assert [part["series"] for part in sizes] == [10] * 5
    np.testing.assert_allclose(
        sizes[0]["coverage"],
        covered_by(scaled, replace(late, error_scale=scales), truth)[rank < 10].mean(),
    )
    found = coverage_findings(entries)
    assert_mentions(" ".join(found[-1]), "80", "smallest fifth", "10", "expected")
    assert "The 80\u00a0% band covers" in found[-1][0]
    # the same of a run of before, whose band has one width
    plain = conformal.learn(
        replace(early, error_scale=None), early_truth, problem=OF_FORECASTS[False]
    )
    entries = conformal.coverage(plain, "validation", late, truth, ordered=True, moments=moments)
    assert_mentions(" ".join(coverage_findings(entries)[-1]), "largest fifth", "earlier")
    assert_mentions(coverage_note(entries), "95", "clustered")
    assert "sizes" not in conformal.coverage(plain, "validation", late, truth, ordered=True)[0]


def covered_by(learned, predictions, truth):
    lower, upper = conformal.intervals(learned, predictions, 0.8)
    return (truth >= lower) & (truth <= upper)


def test_bands_follow_the_unit_of_the_target():
    predictions, truth, moments, _ = forecasts(own=0.5)
    learned = conformal.learn(predictions, truth, problem=OF_FORECASTS[False], moments=moments)
    lower, upper = conformal.intervals(learned, predictions, 0.8)
    for factor in (1e-3, 1e3):
        scaled = replace(
            predictions,
            values=factor * predictions.values,
            error_scale=factor * predictions.error_scale,
        )
        ends = conformal.intervals(learned, scaled, 0.8)
        np.testing.assert_allclose(ends, (factor * lower, factor * upper), rtol=1e-9)
    with refuses("confidence", "windows"):
        conformal.intervals(learned, replace(predictions, error_scale=None), 0.8)


def test_the_adaptive_band_uses_only_known_truths_and_covers():
    random = np.random.default_rng(0)
    noise = np.where(np.arange(1_500) < 700, 1.0, 4.0)  # errors grow suddenly
    scores = np.abs(random.standard_normal((1_500, 3, 1)) * noise[:, None, None])
    initial = np.abs(random.standard_normal((adaptive_band.LATEST, 3, 1)))
    starts = np.arange(1_500)
    sizes = adaptive_band.adaptive_sizes(scores, starts, 0.8, initial)
    assert (scores <= sizes).mean() == pytest.approx(0.8, abs=0.02)
    assert (scores[1_000:] <= sizes[1_000:]).mean() == pytest.approx(0.8, abs=0.03)
    static = np.quantile(initial, 0.8, axis=0)
    assert (scores[700:] <= static).mean() < 0.4
    # A truth h steps ahead is known h + 1 forecasts later: changing later ones changes nothing before.
    changed = scores.copy()
    changed[800:] = 100
    again = adaptive_band.adaptive_sizes(changed, starts, 0.8, initial)
    for step in range(3):
        assert (again[: 801 + step, step] == sizes[: 801 + step, step]).all()
        assert (again[801 + step, step] != sizes[801 + step, step]).any()


def test_the_threshold_keeps_its_accuracy_in_nine_of_ten_cuts():
    p, truth = drawn(12_000)
    p = p**1.5 / (p**1.5).sum(axis=1, keepdims=True)
    confidence = p.max(axis=1)
    right = p.argmax(axis=1) == truth
    random = np.random.default_rng(0)
    broken = 0
    shares = []
    for _ in range(100):
        rows = random.permutation(len(p))
        curve = abstention.learned_curve(confidence[rows[:1500]], right[rows[:1500]])
        threshold, share = abstention.threshold_for(curve, 0.85)
        answered = confidence[rows[1500:]] >= threshold
        broken += right[rows[1500:]][answered].mean() < 0.85
        shares.append(share)
    assert broken <= 10 and np.mean(shares) > 0.2
    with refuses("accuracy_when_answered=0.999", "1,500 rows"):
        abstention.threshold_for(curve, 0.999)


def offered_and_broken(share_right, accuracy, rows=200, draws=2_000):
    """Return in how many draws of rows a threshold is offered, and in how many of these the accuracy is lower.

    Args:
        share_right: function of (N,) confidences that returns the probabilities of being right.
        accuracy: which is promised.
        rows: number of calibration rows.
        draws: number of draws.
    """
    new = np.sort(np.random.default_rng(1).uniform(0.5, 1, 200_000))[::-1]
    kept = np.cumsum(share_right(new)) / np.arange(1, len(new) + 1) >= accuracy - 1e-12
    offered = broken = 0
    for seed in range(draws):
        random = np.random.default_rng(seed)
        confidence = random.uniform(0.5, 1, rows)
        curve = abstention.learned_curve(confidence, random.random(rows) < share_right(confidence))
        try:
            threshold, _ = abstention.threshold_for(curve, accuracy)
        except KzooError:
            continue
        offered += 1
        broken += not kept[max(int((new >= threshold).sum()) - 1, 0)]
    return offered, broken


def test_a_broken_threshold_is_offered_in_at_most_a_tenth_of_the_draws(monkeypatch):
    """Of the draws that offer one, more may be broken: all of them where no threshold is true, as `promise` says."""
    monkeypatch.setattr(abstention, "upper_bound", cache(coverage.upper_bound))
    easy, hard, never = (
        offered_and_broken(share, 0.8)
        for share in (
            lambda p: p,
            lambda p: 0.5 + 0.62 * (p - 0.5),
            lambda p: np.full(len(p), 0.79),
        )
    )
    for _, broken in (easy, hard, never):
        assert broken <= 0.1 * 2_000 + 3 * np.sqrt(2_000 * 0.1 * 0.9)
    assert easy[0] > 1_000 and easy[1] < 0.1 * easy[0]
    assert 0 < never[0] == never[1]
    line = abstention.answers_line(0.8, 0.5).replace("\xa0", " ")
    assert_mentions(line, "at least 80 %", "at most 10 %", "samples that give none count as kept")


def test_sets_state_the_class_that_they_hold_least_often():
    """A model that never names the rare class: the sets hold 90 % of all rows, and few of its rows."""
    random = np.random.default_rng(0)
    truth = random.choice(4, 2_000, p=[0.5, 0.3, 0.15, 0.05])
    p = (
        0.55 * np.eye(4)[np.where(truth == 3, 0, truth)]
        + 0.4 * random.dirichlet(np.ones(4), 2_000)
        + 0.0125
    )
    learned = learn_classes(p[:1_000], truth[:1_000])
    new = of_classes(p[1_000:])
    (entry,) = conformal.coverage(learned, "calibration", new, truth[1_000:], (0.9,))
    assert (
        0.87 < entry["coverage"] < 0.93
        and entry["classes"]["d"] < 0.4
        and entry["classes"]["a"] > 0.9
    )
    limit = loop_quantile((1 - p[np.arange(1_000), truth[:1_000]]).tolist(), 0.9)
    expected = np.mean(
        [1 - row[3] <= limit for row, k in zip(p[:1_000], truth[:1_000], strict=True) if k == 3]
    )
    options = dict(confidence=0.9)
    answered = conformal.answered(learned, "calibration", new, PredictionOptions(**options))
    assert_mentions(
        answered.promise, "together", "class 'd'", f"{100 * expected:.1f}", "conformal='class'"
    )
    (row,) = coverage_table([entry])[1:]
    assert row[0] == "90\u00a0%"
    assert row[-1].endswith("(d)") and "conformal='class'" in coverage_note([entry])
    by_class = conformal.answered(
        learned, "calibration", new, PredictionOptions(conformal="class", **options)
    )
    assert "together" not in by_class.promise
    assert (
        np.mean(
            [
                "d" in chosen
                for chosen, k in zip(by_class.sets, truth[1_000:], strict=True)
                if k == 3
            ]
        )
        > 0.8
    )
    even = learn_classes(*drawn(1_000))
    assert (
        "conformal="
        not in conformal.answered(even, "calibration", new, PredictionOptions(**options)).promise
    )


def test_rows_below_a_probability_are_unsure():
    p = np.array([[0.9, 0.1, 0, 0], [0.4, 0.3, 0.2, 0.1]])
    predictions = conformal.with_unsure(of_classes(p), 0.5)
    assert (
        predictions.labels == ["a", "unsure"]
        and predictions.rows()[1]["classes"][0]["label"] == "a"
    )
    with refuses("'unsure'", "Rename"):
        conformal.with_unsure(
            Predictions(
                labels=["unsure"], probabilities=p[:1, :2], class_names=("unsure", "b"), inputs=[0]
            ),
            0.5,
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(confidence=1), ("confidence=1", "below 1")),
        (dict(confidence=True), ("confidence=True",)),
        (dict(confidence=float("nan")), ("confidence=nan",)),
        (dict(min_probability=0), ("min_probability=0", "above 0")),
        (dict(accuracy_when_answered=1.0), ("accuracy_when_answered=1.0", "below 1")),
        (dict(conformal="raps"), ("conformal='raps'", "confidence=0.9")),
        (dict(confidence=0.9, conformal="aps"), ("conformal='aps'", "lac, raps, class")),
        (
            dict(min_probability=0.8, accuracy_when_answered=0.9),
            ("min_probability=0.8", "exclude each other"),
        ),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with refuses(*words):
        PredictionOptions(**options)


def test_columns_and_rows_have_sets_and_intervals():
    p, truth = drawn(200)
    learned = learn_classes(p, truth)
    predictions = conformal.answered(
        learned, "calibration", of_classes(p[:3]), PredictionOptions(confidence=0.9)
    )
    assert predictions.columns()["set"] == list(predictions.sets)
    assert (
        predictions.rows()[0]["set"] == list(predictions.sets[0])
        and predictions.rows()[0]["confidence"] == 0.9
    )
    assert (
        "90 %" in predictions.promise.replace("\xa0", " ")
        and "approximate" not in predictions.promise
    )
    values = np.arange(200.0)[:, None]
    learned = conformal.learn(of_values(values), values + 1, problem=OF_VALUES)
    predictions = conformal.answered(
        learned, "validation", of_values(values[:2]), PredictionOptions(confidence=0.5)
    )
    assert list(predictions.columns()) == ["input", "y", "y_lower", "y_upper"]
    assert (
        predictions.rows()[1]["upper"] == pytest.approx([2.0])
        and "approximate" in predictions.promise
    )
    assert predictions.with_unread(["x", "y", "z"], {1: "why"}).columns()["y_lower"][
        2
    ] == pytest.approx(0.0)
