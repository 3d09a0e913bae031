"""The calculations of explanations, on functions that are known, against definitions written out and against SciPy."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from messages import refuses
from scipy import stats

from kzoo.inference.explanations.association import association_matrix, cramers_v, related_groups
from kzoo.inference.explanations.dependence import partial_dependence
from kzoo.inference.explanations.permutation import (
    permutation_importance,
    student_quantile,
    student_tail,
)
from kzoo.inference.explanations.shapley import shapley_values
from kzoo.problems.kinds import InputPart


def part(name, type, *features, missing=False):
    return InputPart(
        name=name,
        type=type,
        features=np.array(features),
        missing=missing,
        cell=lambda values: f"{values[0]:g}",
    )


def curved(x):
    """Return two outputs with products of up to three columns."""
    first = (
        x[:, 0] * x[:, 1]
        + np.sin(x[:, 2]) * x[:, 3] * x[:, 4]
        - x[:, 5] ** 2
        + np.tanh(x[:, 6] + x[:, 7])
    )
    return np.stack([first, np.maximum(x[:, 0], x[:, 7])], axis=1)


def brute_force(x, background, predict):
    """Return Shapley values by their definition: a sum over all sets of other columns."""
    count = len(x)

    def value(columns):
        mixed = background.copy()
        mixed[:, list(columns)] = x[list(columns)]
        return predict(mixed).mean(axis=0)

    values = {
        columns: value(columns)
        for size in range(count + 1)
        for columns in combinations(range(count), size)
    }
    amounts = np.zeros((count, values[()].shape[0]))
    for column in range(count):
        others = [other for other in range(count) if other != column]
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for columns in combinations(others, size):
                amounts[column] += weight * (
                    values[tuple(sorted((*columns, column)))] - values[columns]
                )
    return amounts


def columns_of(count):
    return [np.array([index]) for index in range(count)]


def test_shapley_values_of_8_columns_are_those_of_all_256_coalitions():
    random = np.random.default_rng(0)
    background = random.normal(size=(20, 8))
    x = random.normal(size=8)
    values = shapley_values(x, background, columns_of(8), curved)
    np.testing.assert_allclose(values.amounts, brute_force(x, background, curved), atol=1e-6)
    np.testing.assert_allclose(
        values.amounts.sum(axis=0), values.prediction - values.base, atol=1e-9
    )
    assert values.errors is None


def test_sampled_shapley_values_approach_the_exact_ones_within_their_errors():
    random = np.random.default_rng(1)
    weights = random.normal(size=16)

    def predict(x):
        return np.stack(
            [x @ weights + x[:, 0] * x[:, 1] * x[:, 2], np.maximum(x[:, 3], x[:, 4])], axis=1
        )

    background = random.normal(size=(30, 16))
    x = random.normal(size=16)
    values = shapley_values(x, background, columns_of(16), predict)
    np.testing.assert_allclose(
        values.amounts.sum(axis=0), values.prediction - values.base, atol=1e-9
    )
    # A linear column has its weight times the distance from the mean of the background, without an error.
    linear = weights[5:] * (x - background.mean(axis=0))[5:]
    np.testing.assert_allclose(values.amounts[5:, 0], linear, atol=1e-9)
    exact = brute_force(x[:3], background[:, :3], lambda x: x.prod(axis=1, keepdims=True))[:, 0]
    exact += weights[:3] * (x - background.mean(axis=0))[:3]
    error = values.errors[:3, 0]
    assert (error > 0).all() and (error < 0.03).all()
    assert (np.abs(values.amounts[:3, 0] - exact) < 4 * error).all()


def test_a_part_of_several_numbers_is_one_player():
    random = np.random.default_rng(2)
    background, x = random.normal(size=(5, 3)), random.normal(size=3)
    values = shapley_values(
        x, background, [np.array([0, 2]), np.array([1])], lambda x: x.prod(axis=1, keepdims=True)
    )

    def value(columns):
        mixed = background.copy()
        mixed[:, columns] = x[columns]
        return mixed.prod(axis=1).mean()

    both = value([0, 1, 2]) - value([1]) + value([0, 2]) - value([])
    assert values.amounts[0, 0] == pytest.approx(both / 2, abs=1e-12)


def test_windows_keep_their_shape():
    background = np.zeros((4, 3, 2))
    x = np.ones((3, 2))
    shapes = set()

    def predict(x):
        shapes.add(x.shape[1:])
        return x.sum(axis=(1, 2))[:, None]

    values = shapley_values(x, background, [np.array([0, 2, 4]), np.array([1, 3, 5])], predict)
    assert shapes == {(3, 2)}
    assert values.amounts.ravel().tolist() == [3.0, 3.0]


def accuracy(truth):
    return lambda outputs, rows: float(np.mean((outputs[:, 0] > 0) == truth[rows]))


def planted(n=400, seed=0):
    """Return a true column, its copy, three of noise, and labels."""
    random = np.random.default_rng(seed)
    true = random.normal(size=n)
    x = np.column_stack([true, 2 * true + 1, random.normal(size=(n, 3))])
    return x, true + 0.3 * random.normal(size=n) > 0


PARTS = [
    part(name, "number", index) for index, name in enumerate(["true", "copy", "n1", "n2", "n3"])
]


def test_a_true_column_and_its_copy_are_found_and_noise_is_noise():
    """The model uses noise too, as one that fits too closely does. At 5 %, a few of 20 tables may be wrong."""
    wrong = 0
    for seed in range(20):
        x, truth = planted(seed=seed)
        groups = related_groups(x, PARTS)
        assert groups == [[0, 1], [2], [3], [4]]
        named = [([PARTS[i].name for i in group], np.array(group)) for group in groups]
        (best, *others), score = permutation_importance(
            x,
            named,
            lambda x: 3 * x[:, :1] + 0.3 * x[:, 2:].sum(axis=1, keepdims=True),
            accuracy(truth),
            seed=seed,
        )
        assert best.columns == ("true", "copy") and best.noise is False
        assert score > 0.75 and 0.2 < best.mean < 0.6
        assert best.interval[0] < best.mean < best.interval[1]
        assert best.mean == pytest.approx(np.mean(best.repeats), abs=1e-9)
        wrong += any(each.noise is not True for each in others)
    assert wrong <= 3


def test_the_interval_is_of_rows_too_and_not_only_of_repeats():
    """With many repeats, the standard error is that of the difference of two means over rows."""
    x, truth = planted(200)

    def outputs_of(x):
        return x[:, :1]

    groups = [(["true"], np.array([0]))]
    (importance,), _ = permutation_importance(x, groups, outputs_of, accuracy(truth), repeats=100)
    right = (x[:, 0] > 0) == truth
    permuted = np.array([np.mean((x[:, 0] > 0) == label) for label in truth])
    expected = np.std(right - permuted, ddof=1) / math.sqrt(200)
    error = (importance.interval[1] - importance.interval[0]) / 2 / stats.t.ppf(0.975, 49)
    assert error == pytest.approx(expected, rel=0.25)
    assert error > 2 * np.std(importance.repeats) / 10  # that of the mean of the repeats alone


def test_of_many_columns_of_noise_few_are_called_important():
    """At 5 % for all columns together, at most some of the tables have one."""
    wrong = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        x, truth = random.normal(size=(150, 12)), random.integers(0, 2, 150) == 1
        groups = [([str(index)], np.array([index])) for index in range(12)]
        importances, _ = permutation_importance(
            x, groups, lambda x: x.sum(axis=1, keepdims=True), accuracy(truth), repeats=5, seed=seed
        )
        wrong += any(each.noise is False for each in importances)
    assert wrong <= 3


def test_a_column_that_is_not_used_has_no_importance():
    x, truth = planted()
    groups = [(["true"], np.array([0])), (["n1"], np.array([2]))]
    importances, _ = permutation_importance(x, groups, lambda x: x[:, :1], accuracy(truth))
    assert importances[1].mean == 0 and importances[1].interval == (0, 0)
    assert importances[1].noise is True


def test_a_score_that_is_not_defined_is_refused_and_few_rows_have_no_interval():
    with refuses("400 rows", "more rows"):
        permutation_importance(planted()[0], [], lambda x: x, lambda outputs, rows: None)
    x, truth = planted(8)
    (importance,), _ = permutation_importance(
        x, [(["true"], np.array([0]))], lambda x: x[:, :1], accuracy(truth)
    )
    assert importance.interval is None and importance.noise is None


def test_student_s_distribution_is_scipy_s():
    for freedom in (1, 2, 3, 8, 49):
        for t in (-3.0, -0.2, 0.0, 1.0, 4.5):
            assert student_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), abs=1e-12)
        assert student_quantile(0.975, freedom) == pytest.approx(
            stats.t.ppf(0.975, freedom), rel=1e-9
        )


def test_associations_are_scipy_s():
    random = np.random.default_rng(3)
    a = random.integers(0, 3, 300)
    b = np.where(random.random(300) < 0.7, a, random.integers(0, 4, 300))
    number = a + random.normal(size=300)
    x = np.column_stack([a, b, number, number**3, np.zeros(300)])
    kinds = ["category", "category", "number", "number", "number"]
    strength = association_matrix(x, [part(str(i), kind, i) for i, kind in enumerate(kinds)])
    assert strength[2, 3] == pytest.approx(1)  # a monotone function
    assert strength[0, 4] == strength[2, 4] == 0  # constant
    table = np.array([[np.sum((a == i) & (b == j)) for j in range(4)] for i in range(3)])
    phi = stats.chi2_contingency(table, correction=False).statistic / 300 - 2 * 3 / 299
    expected = math.sqrt(phi / min(3 - 4 / 299 - 1, 4 - 9 / 299 - 1))
    assert strength[0, 1] == pytest.approx(expected)
    assert cramers_v(a, b) == pytest.approx(expected)
    assert 0.3 < strength[0, 2] < 0.9
    noisy = np.column_stack([number.round(), number + random.normal(size=300)])  # with ties
    spearman = stats.spearmanr(*noisy.T).statistic
    assert association_matrix(noisy, [part("a", "number", 0), part("b", "number", 1)])[
        0, 1
    ] == pytest.approx(spearman)


def test_all_columns_of_a_group_are_related():
    """A chain of related columns is not one group: its ends are not related."""
    random = np.random.default_rng(4)
    start = random.normal(size=2000)
    chain = [start]
    for _ in range(5):
        chain.append(chain[-1] + 0.55 * chain[-1].std() * random.normal(size=2000))
    x = np.column_stack(chain)
    parts = [part(str(index), "number", index) for index in range(6)]
    groups, strength = related_groups(x, parts), association_matrix(x, parts)
    assert 1 < len(groups) < 6
    assert all(strength[i, j] >= 0.8 for group in groups for i, j in permutations(group, 2))


def test_partial_dependence_is_the_mean_with_one_value_for_all_rows():
    random = np.random.default_rng(5)
    x = np.column_stack(
        [random.normal(size=50), np.arange(50) % 10, random.integers(0, 3, 50), np.zeros(50)]
    )

    def predict(x):
        return (x[:, 0] * x[:, 1] + x[:, 2])[:, None]

    result = partial_dependence(x, part("b", "number", 1), predict, ["y"])
    assert result.values == tuple(float(v) for v in range(10))
    expected = [np.mean(x[:, 0] * value + x[:, 2]) for value in result.values]
    np.testing.assert_allclose([mean for (mean,) in result.means], expected)
    categories = partial_dependence(x, part("c", "category", 2), predict, ["y"])
    counts = np.bincount(x[:, 2].astype(int))
    assert categories.values == tuple(f"{code}" for code in np.argsort(-counts, kind="stable"))
    assert partial_dependence(x, part("d", "number", 3), predict, ["y"]) is None  # constant
    assert partial_dependence(x, part("e", "text", 0, 1), predict, ["y"]) is None


def test_missing_numbers_are_no_points_of_a_partial_dependence():
    x = np.array([[1.0, 0], [2, 0], [9, 1], [3, 0]])
    result = partial_dependence(
        x, part("a", "number", 0, 1, missing=True), lambda x: x[:, :1] + 10 * x[:, 1:], ["y"]
    )
    assert result.values == (1.0, 2.0, 3.0)
    assert [mean for (mean,) in result.means] == [1, 2, 3]
