"""Objectives: names, directions, levels and functions; scores of labels; costs in the user's words."""

from functools import partial
from pickle import dumps, loads

import numpy as np
import pytest
from messages import refuses
from sklearn import metrics as sk

import kzoo
from kzoo.inference.postprocessors.threshold import Decision
from kzoo.inference.tasks.confusion import confusion, cost_interval
from kzoo.problems import costs
from kzoo.problems.objectives import Objective, names, resolve
from kzoo.problems.tasks import problem, score_named
from kzoo.training.objective import score_of
from kzoo.training.scores.classes import score

CLASSES = problem("tabular_classification")
VALUES = problem("tabular_regression")
LABELS = problem("tabular_multilabel_classification")


@pytest.mark.parametrize(
    "name, of, best",
    [
        ("f1", CLASSES, "max"),
        ("val_f1", CLASSES, "max"),
        ("auc", CLASSES, "max"),
        ("loss", CLASSES, "min"),
        ("balanced_accuracy", CLASSES, "max"),
        ("recall@precision=0.9", CLASSES, "max"),
        ("mae", VALUES, "min"),
        ("expected_cost", CLASSES, "min"),
        ("rmse", VALUES, "min"),
        ("r2", VALUES, "max"),
        ("perplexity", problem("language_modeling"), "min"),
    ],
)
def test_an_objective_has_the_direction_of_its_score(name, of, best):
    objective = resolve(name, of)
    assert objective == name.removeprefix("val_") and objective.best == best
    assert score_named(objective).best == best


def test_the_mean_squared_error_is_computed_from_its_root():
    """The primary score of sequence regression, which is not stored itself."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 8, 1))
    y = draw.normal(size=60)
    outputs = draw.normal(size=(60, 1))
    data = kzoo.load_data((x, y), preset="adding_gru")
    objective = resolve("mse", problem("sequence_regression"))
    value = score_of(objective, [(outputs, y[:, None])], data, {}, logits=None)
    assert value == pytest.approx(sk.mean_squared_error(y, outputs[:, 0]))


def test_a_level_is_a_part_of_the_name():
    objective = resolve("recall@precision=0.85", CLASSES)
    assert (objective.score, objective.level) == ("recall@precision", 0.85)
    assert resolve("f1", CLASSES).level is None


@pytest.mark.parametrize(
    "value, of, parts",
    [
        ("f2", CLASSES, ("objective='f2'", "f1", "kzoo.objective")),
        ("f1", LABELS, ("objective='f1'", "'f1_macro'")),
        ("f1_macro", CLASSES, ("objective='f1_macro'", "'f1'")),
        ("roc_auc", CLASSES, ("objective='roc_auc'", "'auc'")),
        ("acuracy", CLASSES, ("'accuracy'",)),
        ("rmse", CLASSES, ("objective='rmse'", "tabular_classification", "accuracy")),
        ("f1", VALUES, ("objective='f1'", "tabular_regression", "mae")),
        ("majority", CLASSES, ("objective='majority'",)),
        ("accuracy_interval", CLASSES, ("objective='accuracy_interval'",)),
        ("recall@precision", CLASSES, ("recall@precision=0.9",)),
        ("recall@precision=90", CLASSES, ("'90'", "below 1")),
        ("recall@precision=", CLASSES, ("above 0",)),
        ("f1=0.5", CLASSES, ("objective='f1=0.5'", "objective='f1'")),
        (7, CLASSES, ("objective=7", "'f1'", "kzoo.objective")),
        (len, CLASSES, ("direction", "best='max'", "best='min'")),
        (
            kzoo.objective(len),
            problem("language_modeling"),
            ("objective='len'", "language_modeling"),
        ),
    ],
)
def test_a_wrong_objective_is_refused(value, of, parts):
    with refuses(*parts):
        resolve(value, of)


def test_legal_names_are_those_that_are_accepted():
    assert all(resolve(name, of) == name for of in (CLASSES, VALUES) for name in names(of))


def test_a_function_becomes_an_objective_that_is_stored_by_its_name():
    f2 = kzoo.objective(partial(sk.fbeta_score, beta=2), name="f2")
    assert resolve(f2, CLASSES) is f2 and f"{f2}" == "f2" and f2.best == "max"
    copy = loads(
        dumps(kzoo.objective(sk.brier_score_loss, best="min", response_method="predict_proba"))
    )
    assert (copy, copy.best, copy.function) == ("brier_score_loss", "min", sk.brier_score_loss)
    assert resolve((sk.hamming_loss, "min"), CLASSES).best == "min"
    for arguments, parts in (
        (dict(score_func="f1"), ("score_func='f1'",)),
        (dict(score_func=len, best="up"), ("best='up'", "'max'")),
        (dict(score_func=len, response_method="p"), ("response_method='p'", "predict_proba")),
        (dict(score_func=lambda a, b: 0), ("name=",)),
        (dict(score_func=len, name="a b"), ("name='a b'",)),
    ):
        with refuses(*parts):
            kzoo.objective(**arguments)


# ---------------------------------------------------------------- scores of labels


def sample(classes=2, rows=300, weighted=False):
    random = np.random.default_rng(classes)
    truth = random.integers(0, classes, rows)
    p = random.dirichlet(np.ones(classes), rows) + 0.7 * np.eye(classes)[truth]
    p = (p / p.sum(axis=1, keepdims=True)).astype("float32")
    return p, truth, random.uniform(0, 3, rows) if weighted else None


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_by_a_threshold_are_those_of_scikit_learn(weighted):
    p, truth, weight = sample(weighted=weighted)
    cost = [[0, 1], [5, 0]]
    decision = Decision(
        positive=1, threshold=0.3, cost=cost, objective=Objective("recall@precision=0.8")
    )
    scores = score([(p, truth)], None, logits=False, weight=weight, decision=decision).scores
    guess = (p[:, 1] >= 0.3).astype(int)
    options = dict(sample_weight=weight)
    for name, expected in (
        ("accuracy", sk.accuracy_score),
        ("balanced_accuracy", sk.balanced_accuracy_score),
        ("f1", partial(sk.f1_score, average="macro")),
        ("f1_positive", sk.f1_score),
        ("precision_positive", sk.precision_score),
        ("recall_positive", sk.recall_score),
    ):
        assert scores[name] == pytest.approx(expected(truth, guess, **options)), name
        assert scores[f"{name}_default"] == pytest.approx(
            expected(truth, p.argmax(1), **options)
        ), name
    assert scores["expected_cost"] == pytest.approx(
        1000 * np.average(np.array(cost)[truth, guess], weights=weight)
    )
    precision, recall, _ = sk.precision_recall_curve(truth, p[:, 1], **options)
    assert scores["recall@precision=0.8"] == pytest.approx(recall[precision >= 0.8].max())
    low, high = scores["expected_cost_interval"]
    assert low < scores["expected_cost"] < high


def test_the_positive_class_may_be_the_first():
    p, truth, _ = sample()
    scores = score(
        [(p, truth)], None, logits=False, decision=Decision(positive=0, threshold=0.6)
    ).scores
    guess = 1 - (p[:, 0] >= 0.6)
    assert scores["f1_positive"] == pytest.approx(sk.f1_score(truth, guess, pos_label=0))
    f2 = kzoo.objective(partial(sk.fbeta_score, beta=2), name="f2")
    of_function = score(
        [(p, truth)], None, logits=False, decision=Decision(positive=0, objective=f2)
    ).scores
    assert of_function["f2"] == pytest.approx(
        sk.fbeta_score(truth, p.argmax(1), beta=2, pos_label=0)
    )


def test_the_class_with_the_least_expected_cost_is_predicted():
    p, truth, _ = sample(classes=3)
    cost = np.array([[0, 1, 9], [2, 0, 1], [1, 4, 0]], float)
    decision = Decision(cost=cost, by_cost=True)
    expected = np.array(
        [[sum(row[j] * cost[j, k] for j in range(3)) for k in range(3)] for row in p]
    ).argmin(1)
    assert np.array_equal(decision.numbers(p), expected)
    scores = score([(p, truth)], None, logits=False, decision=decision).scores
    assert scores["expected_cost"] == pytest.approx(1000 * cost[truth, expected].mean())
    assert scores["expected_cost_default"] == pytest.approx(1000 * cost[truth, p.argmax(1)].mean())
    macro = Decision(objective=Objective("average_precision"))
    onehot = np.eye(3)[truth]
    assert score([(p, truth)], None, logits=False, decision=macro).scores[
        "average_precision"
    ] == pytest.approx(sk.average_precision_score(onehot, p, average="macro"))


@pytest.mark.parametrize("positive", [None, 0, 1])
def test_average_precision_as_the_objective_of_a_rare_class_is_that_of_the_positive(positive):
    p, truth, _ = sample()
    # the second class is rare
    kept = np.flatnonzero((truth == 0) | (np.arange(len(truth)) % 20 == 0))
    p = p[kept]
    truth = truth[kept]
    number = 1 if positive is None else positive
    assert (truth == 1).mean() < 0.1
    decision = Decision(positive=positive, objective=Objective("average_precision"))
    scores = score([(p, truth)], None, logits=False, decision=decision).scores
    assert scores["average_precision"] == pytest.approx(
        sk.average_precision_score(truth == number, p[:, number])
    )


def test_without_a_decision_scores_have_no_more_names():
    p, truth, _ = sample()
    assert set(score([(p, truth)], None, logits=False).scores) == {
        "accuracy",
        "accuracy_interval",
        "f1",
        "auc",
        "loss",
        "majority",
        "examples",
    }


@pytest.mark.parametrize("rates", [(0.004, 0.03), (0.05, 0.1), (0.0006, 0.0003)])
def test_the_interval_of_the_cost_holds_in_nine_of_ten_samples(rates):
    """Over 400 samples of 2,000 rows, the standard deviation of the share is 1.5 %."""
    random = np.random.default_rng(0)
    cost = np.array([[0, 1], [5, 0]])
    shares = np.array([0.9 - rates[1], rates[1], rates[0], 0.1 - rates[0]])
    expected = 1000 * (shares * cost.ravel()).sum()
    hits = []
    for counts in random.multinomial(2_000, shares, 400):
        low, high = cost_interval(counts.reshape(2, 2).astype(float), cost)
        hits.append(low <= expected <= high)
    assert 0.85 <= np.mean(hits) <= 0.95


def test_the_interval_of_new_rows_is_wider_and_that_without_an_error_is_not_empty():
    counts = np.array([[900.0, 50], [10, 40]])
    cost = np.array([[0, 1], [5, 0]])
    (low, high), (new_low, new_high) = (
        cost_interval(counts, cost),
        cost_interval(counts, cost, rows=1000),
    )
    assert new_low < low < high < new_high
    low, high = cost_interval(np.array([[950.0, 0], [0, 50]]), cost)
    assert 0 <= low < 1 < high < 20


def test_counts_of_pairs_are_those_of_scikit_learn():
    _, truth, weight = sample(classes=3, weighted=True)
    guess = np.roll(truth, 7)
    assert np.allclose(
        confusion(truth, guess, 3, weight), sk.confusion_matrix(truth, guess, sample_weight=weight)
    )


# ---------------------------------------------------------------- costs


def test_costs_are_read_from_words_and_from_a_matrix():
    read = costs.read({("yes", "no"): 5, "no:yes": np.float32(1)})
    assert read == {"yes:no": 5.0, "no:yes": 1.0}
    assert costs.matrix(read, ["no", "yes"]) == (((0, 1), (5, 0)), [])
    assert costs.matrix(costs.read(np.array([[0, 1], [5, 0]])), ["no", "yes"])[0] == (
        (0, 1),
        (5, 0),
    )
    table, notes = costs.matrix(costs.read({("a:b", "c"): 3}), ["a:b", "c", "d"])
    assert table == ((0, 3, 1), (1, 0, 1), (1, 1, 0)) and len(notes) == 1
    assert costs.matrix(costs.read({(1, 0): 5, (0, 1): 1}), ["0", "1"])[0] == ((0, 1), (5, 0))


@pytest.mark.parametrize(
    "cost, parts",
    [
        ({}, ("cost={}", "('yes', 'no'): 5")),
        ({"yes": 5}, ("'yes'", "'yes:no'")),
        ({("yes", "no"): -5, ("no", "yes"): 1}, ("yes:no", "-5", "at least 0")),
        ({("yes", "no"): "much"}, ("yes:no", "'much'", "number")),
        ({("yes", "no"): float("inf")}, ("yes:no", "inf")),
        ({("yes", "no"): 5}, ("'yes'", "no:yes=1")),
        ({("yes", "no"): 0, ("no", "yes"): 0}, ("free", "yes:no=1")),
        ({("yes", "yes"): 5, ("no", "yes"): 1, ("yes", "no"): 1}, ("yes:yes", "5", "set it to 0")),
        ({("yes", "nope"): 5}, ("'yes:nope'", "'nope'", "no, yes")),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], ("3 x 3", "2 classes", "no, yes")),
        ([[0, 1]], ("1 x 2", "2 classes")),
        (5, ("cost=5", "('yes', 'no')")),
    ],
)
def test_wrong_costs_are_refused(cost, parts):
    with refuses(*parts):
        costs.matrix(costs.read(cost), ["no", "yes"])


def test_a_pair_that_can_be_read_in_two_ways_is_refused():
    with refuses("'a:b:c'", "matrix"):
        costs.matrix(costs.read({"a:b:c": 1}), ["a", "b:c", "a:b", "c"])
