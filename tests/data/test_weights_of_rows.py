"""Weights of rows: a row of weight 2 counts like the row twice, in loss, metrics, scores and baselines."""

import numpy as np
import pytest
from messages import refuses
from sklearn import metrics as sk

import kzoo
from kzoo.data.dataset import Split
from kzoo.problems.tasks import Target, problem

pytestmark = pytest.mark.usefixtures("untraced")

N = 40
PLAIN = dict(
    units=(8,),
    dropout=0.0,
    norm=None,
    rescale=False,
    optimizer="adam",
    learning_rate=0.01,
    schedule="constant",
    warmup=0.0,
    ema=0.0,
    min_steps=0,
    epochs=5,
    progress=False,
    baselines=False,
    check=False,
    validation=0,
    test=0,
    weight_decay=0.0,
)


def rows(classes, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, 3)).astype("float32")
    y = x[:, 0] + 0.5 * random.normal(size=N)
    y = (y > 0).astype(int) if classes else y.astype("float32")
    return x, y, random.integers(1, 4, N).astype("float64")


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("preset", ["tabular_fnn", "tabular_tabm"])
def test_a_row_of_weight_2_trains_like_the_row_twice(preset, classes, tmp_path):
    x, y, weight = rows(classes)
    times = weight.astype(int)
    more = dict(bins=0, members=2) if preset == "tabular_tabm" else {}
    settings = PLAIN | more | dict(task="classification" if classes else "regression")
    if preset == "tabular_tabm":
        settings.pop("norm")
    weighted = kzoo.train(
        preset, (x, y, weight), out=tmp_path / "weighted", batch_size=N, **settings
    )
    twice = np.repeat(x, times, axis=0), np.repeat(y, times)
    repeated = kzoo.train(
        preset, twice, out=tmp_path / "repeated", batch_size=len(twice[0]), **settings
    )
    plain = kzoo.train(preset, (x, y), out=tmp_path / "plain", batch_size=N, **settings)

    def answers(run):
        predictions = kzoo.predict(run, x)
        return (
            predictions.values if predictions.probabilities is None else predictions.probabilities
        )

    assert np.abs(answers(weighted) - answers(repeated)).max() < 1e-4
    assert np.abs(answers(weighted) - answers(plain)).max() > 1e-3
    assert weighted.history["loss"] == pytest.approx(repeated.history["loss"], rel=1e-4)
    metric = next(name for name in weighted.history if name in ("accuracy", "mae"))
    assert weighted.history[metric] == pytest.approx(repeated.history[metric], rel=1e-4)
    data = ((weighted, (x, y, weight)), (repeated, twice))
    scores, same = (kzoo.evaluate(run, rows, split="train") for run, rows in data)
    for name in ("accuracy", "f1", "auc", "loss", "mae", "rmse", "r2"):
        assert scores.get(name) == (
            None if same.get(name) is None else pytest.approx(same[name], rel=1e-4)
        ), name


@pytest.mark.usefixtures("traced")
def test_weights_give_the_same_loss_with_many_steps_a_call_and_with_single_steps(tmp_path):
    x, y, weight = rows(True)
    settings = PLAIN | dict(batch_size=8)
    histories = [
        kzoo.train(
            "tabular_fnn",
            (x, y, weight),
            out=tmp_path / str(steps),
            steps_per_call=steps,
            **settings,
        ).history
        for steps in ("auto", 1)
    ]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)


def test_class_weights_multiply_those_of_rows(tmp_path):
    x, y, weight = rows(True)
    both = kzoo.train(
        "tabular_fnn",
        (x, y, weight),
        out=tmp_path / "both",
        class_weight={"1": 3.0},
        batch_size=N,
        **PLAIN,
    )
    product = weight * np.where(y == 1, 3.0, 1.0)
    one = kzoo.train("tabular_fnn", (x, y, product), out=tmp_path / "one", batch_size=N, **PLAIN)
    # weights of rows are scaled to a mean of 1, those of classes are not
    scale = product.mean() / weight.mean()
    assert both.history["loss"][0] == pytest.approx(one.history["loss"][0] * scale, rel=1e-5)


def test_scores_of_classes_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 200)
    p = random.dirichlet([1, 1, 1], 200)
    weight = random.uniform(0.1, 3, 200)
    scored = problem("tabular_classification").task.scoring.score(
        [(p, truth)], Target(), logits=False, weight=weight
    )
    scores = scored.scores
    guess = p.argmax(1)
    assert scores["accuracy"] == pytest.approx(
        sk.accuracy_score(truth, guess, sample_weight=weight)
    )
    assert scores["f1"] == pytest.approx(
        sk.f1_score(truth, guess, average="macro", sample_weight=weight)
    )
    assert scores["loss"] == pytest.approx(sk.log_loss(truth, p, sample_weight=weight))
    each = [sk.roc_auc_score(truth == k, p[:, k], sample_weight=weight) for k in range(3)]
    assert scores["auc"] == pytest.approx(np.mean(each))
    rare = (random.uniform(size=200) < 0.05).astype(int)
    q = np.stack([1 - p[:, 0], p[:, 0]], axis=1)
    scores = (
        problem("tabular_classification")
        .task.scoring.score([(q, rare)], Target(), logits=False, weight=weight)
        .scores
    )
    assert scores["average_precision"] == pytest.approx(
        sk.average_precision_score(rare, q[:, 1], sample_weight=weight)
    )


def test_scores_of_values_are_those_of_scikit_learn():
    random = np.random.default_rng(2)
    truth = random.normal(size=(100, 2)).astype("float32")
    weight = random.uniform(0.1, 3, 100)
    answers = (truth + random.normal(size=truth.shape)).astype("float32")
    scores = (
        problem("tabular_regression")
        .task.scoring.score(
            [(answers, truth)],
            Target(names=("a", "b"), config={"target_offset": [0, 0], "target_scale": [1, 1]}),
            weight=weight,
        )
        .scores
    )
    assert scores["mae"] == pytest.approx(
        sk.mean_absolute_error(truth, answers, sample_weight=weight)
    )
    assert scores["rmse"] ** 2 == pytest.approx(
        sk.mean_squared_error(truth, answers, sample_weight=weight)
    )
    assert scores["r2"] == pytest.approx(sk.r2_score(truth, answers, sample_weight=weight))
    assert scores["targets"]["b"]["mae"] == pytest.approx(
        sk.mean_absolute_error(truth[:, 1], answers[:, 1], sample_weight=weight)
    )


@pytest.mark.parametrize(
    ("classes", "names"), [(True, ["majority", "logistic"]), (False, ["mean", "ridge"])]
)
def test_baselines_weigh_rows(classes, names, monkeypatch):
    # C is relative to the sum of the weights
    monkeypatch.setattr("kzoo.baselines.rows.INVERSE_STRENGTHS", (0.01,))
    x, y, weight = rows(classes)
    times = weight.astype(int)
    task = "classification" if classes else "regression"
    split = dict(validation=0, test=0, task=task)
    weighted = kzoo.load_data((x, y, weight), **split)
    twice = kzoo.load_data((np.repeat(x, times, axis=0), np.repeat(y, times)), **split)
    weighted.test, twice.test = weighted.train, twice.train
    for first, second in zip(
        *(kzoo.baselines.score(data, names=names) for data in (weighted, twice)), strict=True
    ):
        assert first.name == second.name
        assert first.value == pytest.approx(second.value, rel=1e-3), first.name


def test_weights_follow_their_rows_into_splits_and_samples():
    x, y, weight = rows(True)
    data = kzoo.load_data((x, y, weight), validation=0.25, test=0.25)
    for part in (data.train, data.validation, data.test):
        assert np.array_equal(part.x, x[part.rows])
        assert np.allclose(part.weight * weight[data.train.rows].mean(), weight[part.rows])
    assert (
        data.train.weight.mean() == pytest.approx(1, abs=1e-6)
        and data.train.weight.dtype == "float32"
    )
    some = data.train.select([3, 1])
    assert isinstance(some, Split) and some.weight.tolist() == data.train.weight[[3, 1]].tolist()
    assert data.fingerprint != kzoo.load_data((x, y), validation=0.25, test=0.25).fingerprint


@pytest.mark.parametrize(
    ("weight", "parts"),
    [
        (np.ones(N - 1), ("weight", "(39,)", "40 rows")),
        (np.ones((N, 1)), ("weight", "(40, 1)", "40 rows")),
        (-np.ones(N), ("weight", "-1", "row 1", "0")),
        (np.full(N, np.nan), ("NaN",)),
        (np.zeros(N), ("weight", "0", "training")),
        (np.array(["a"] * N), ("weight", "numbers")),
    ],
)
def test_invalid_weights_are_refused(weight, parts):
    x, y, _ = rows(True)
    with refuses(*parts):
        kzoo.load_data((x, y, weight))


def test_a_test_pair_needs_weights_where_the_training_rows_have_them():
    x, y, weight = rows(True)
    with refuses("weights", "training", "test", "(x, y, weight)"):
        kzoo.load_data((x, y, weight), test=(x, y))
    with refuses("weights", "training", "test", "(x, y, weight)"):
        kzoo.load_data((x, y), test=(x, y, weight))
    assert kzoo.load_data((x, y, weight), test=(x, y, weight)).test.weight.shape == (N,)


def test_a_weight_that_is_nan_is_named_as_a_weight():
    x, y, weight = rows(True)
    weight = weight.astype(float)
    weight[3] = np.nan
    with refuses("Weight 4", "NaN"):
        kzoo.load_data((x, y, weight))
