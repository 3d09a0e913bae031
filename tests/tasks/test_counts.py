"""Counts (Poisson): the network's rate, its scores, the baselines beside it, and targets that are no counts."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance, root_mean_squared_error

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.problems.tasks import Target, problem, problem_for
from kzoo.training.scores.counts import judge, score

pytestmark = pytest.mark.usefixtures("untraced_module")


def table(rows, seed):
    """Return a table of visits, Poisson distributed, whose mean is some 7."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    kind = random.choice(["x", "y", "z"], rows)
    visits = random.poisson(np.exp(1.5 + 0.8 * a + 0.5 * (kind == "x")))
    return pd.DataFrame(dict(a=a, b=b, kind=kind, visits=visits))


QUICK = dict(batch_size=32, learning_rate=0.01, progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of members (TabM), whose rates are averaged."""
    folder = tmp_path_factory.mktemp("counts")
    data = kzoo.load_data(table(600, 0), target="visits", task="count")
    return kzoo.train(
        "tabular_tabm", data, out=folder / "run", epochs=8, units=(32,), members=4, bins=8, **QUICK
    )


def test_the_scores_are_those_of_scikit_learn(run):
    new = table(200, 1)
    scores = kzoo.evaluate(run, new)
    rate = kzoo.predict(run, new).values[:, 0]
    assert (rate > 0).all()
    assert scores["poisson_deviance"] == pytest.approx(
        mean_poisson_deviance(new.visits, rate), rel=1e-5
    )
    assert scores["mae"] == pytest.approx(mean_absolute_error(new.visits, rate), rel=1e-5)
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(new.visits, rate), rel=1e-5)
    of_mean = mean_poisson_deviance(new.visits, np.full(200, run.target.config["target_offset"][0]))
    assert scores["poisson_deviance"] < 0.5 * of_mean
    assert (run.data.task, run.spec.training["loss"]) == ("tabular_count", "poisson")
    assert tuple(run.spec.training["metrics"]) == ("rmse",)


def test_a_search_optimises_the_deviance():
    options = dict(target="visits", task="count", dry_run=True, trials=2, epochs=1) | QUICK
    assert kzoo.tune("tabular_fnn", table(300, 0), **options).objective == (
        "val_poisson_deviance",
        "min",
    )
    assert kzoo.tune("tabular_fnn", table(300, 0), metrics="mae", **options).objective == (
        "val_mae",
        "min",
    )


def test_weights_count_as_repeated_rows():
    random = np.random.default_rng(0)
    truth = random.poisson(3, (50, 2)).astype("float32")
    rate = random.uniform(0.5, 6, (50, 2)).astype("float32")
    weight = random.integers(0, 3, 50)
    target = Target(names=("y1", "y2"))
    weighted = score([(rate, truth)], target, weight=weight).scores
    repeated = score(
        [(np.repeat(rate, weight, axis=0), np.repeat(truth, weight, axis=0))], target
    ).scores
    for name in ("poisson_deviance", "mae", "rmse"):
        assert weighted[name] == pytest.approx(repeated[name], rel=1e-6)
    assert list(weighted["targets"]) == ["y1", "y2"]
    errors = judge(truth, rate, target)
    assert errors.error.mean() == pytest.approx(
        mean_poisson_deviance(truth.reshape(-1), rate.reshape(-1)), rel=1e-6
    )


def test_the_untrained_network_predicts_the_training_mean(run):
    data = kzoo.load_data(table(600, 0), target="visits", task="count")
    model = kzoo.build("tabular_fnn", data=data, units=(), seed=0)
    weights = [
        np.zeros_like(weight) if "output" in variable.path else weight
        for weight, variable in zip(model.get_weights(), model.weights, strict=True)
    ]
    model.set_weights(weights)
    rates = model.predict(data.train.x[:50], verbose=0)
    assert np.allclose(rates, data.train.y.mean(), rtol=1e-5)
    # Inputs far outside the training data give a large finite rate.
    model.set_weights([np.full_like(weight, 100.0) for weight in weights])
    assert np.isfinite(model.predict(data.train.x[:50] * np.array([100, 100, 1]), verbose=0)).all()


def test_the_baselines_have_a_poisson_loss(run):
    baselines = {baseline["name"]: baseline["scores"] for baseline in run.summary["baselines"]}
    assert set(baselines) == {"mean", "poisson_regression", "trees"}
    data = kzoo.load_data(table(600, 0), target="visits", task="count")
    trees = HistGradientBoostingRegressor(
        loss="poisson", random_state=0, categorical_features=[False, False, True], max_iter=100
    ).fit(data.train.x, data.train.y[:, 0])
    deviance = mean_poisson_deviance(data.test.y[:, 0], trees.predict(data.test.x))
    assert baselines["trees"]["poisson_deviance"] == pytest.approx(deviance, rel=1e-4)
    mean = mean_poisson_deviance(data.test.y[:, 0], np.full(len(data.test), data.train.y.mean()))
    assert baselines["mean"]["poisson_deviance"] == pytest.approx(mean, rel=1e-4)
    assert baselines["poisson_regression"]["poisson_deviance"] < 0.5 * mean


def test_an_export_and_the_report_are_of_counts(run, tmp_path):
    exported = kzoo.export(run, tmp_path / "exported", formats=["onnx"])
    new = table(50, 2)
    opened = kzoo.runtime.load(exported).predict(new)
    assert np.allclose(opened.values, kzoo.predict(run, new).values, rtol=1e-4)
    assert_mentions(
        kzoo.report(run).read_text(encoding="utf-8"), "Poisson deviance", "Poisson regression"
    )


def test_whole_numbers_that_may_be_counts_are_mentioned_and_nothing_else():
    data = table(300, 0)
    (note,) = notes_with(kzoo.load_data(data, target="visits").notes, "task='count'")
    assert_mentions(note, str(data.visits.max()))
    arrays = (data[["a", "b"]].to_numpy(), data.visits.to_numpy())
    assert notes_with(kzoo.load_data(arrays).notes, "task='count'")
    for others in (data.visits + 1900, data.visits - 1, data.visits + 0.5):
        assert not notes_with(
            kzoo.load_data(data.assign(visits=others), target="visits").notes, "task='count'"
        )
    assert not notes_with(
        kzoo.load_data(data, target="visits", task="count").notes, "may be counts"
    )


def test_few_different_counts_are_mentioned_although_they_are_classes():
    random = np.random.default_rng(0)
    frame = table(500, 0).drop(columns="visits")
    rows = 500
    for counts in (
        random.poisson(2.5, rows),
        np.minimum(random.negative_binomial(1, 0.4, rows), 8),
    ):
        data = kzoo.load_data(frame.assign(visits=counts), target="visits")
        (note,) = notes_with(data.notes, "task='count'")
        assert "classes" in data.problem.facts
        assert_mentions(note, f"0 to {counts.max()}")
        assert notes_with(
            kzoo.load_data((frame[["a", "b"]].to_numpy(), counts)).notes, "task='count'"
        )
    texts = pd.DataFrame(
        {"text": [f"word{i % 7} word{i % 5}" for i in range(rows)], "visits": counts}
    )
    assert notes_with(
        kzoo.load_data(texts, target="visits", preset="text_cnn").notes, "task='count'"
    )
    # Numbers of classes, marks from 1 to 5, and three species
    for classes in (
        random.integers(0, 9, rows),
        1 + random.binomial(4, 0.2, rows),
        random.integers(0, 3, rows) // 2,
    ):
        assert not notes_with(
            kzoo.load_data(frame.assign(visits=classes), target="visits").notes, "task='count'"
        )


@pytest.mark.parametrize(("change", "value"), [(-100.0, "-100"), (0.5, "0.5")])
def test_targets_that_are_no_counts_are_refused(change, value, tmp_path, capsys):
    data = table(100, 0).assign(visits=lambda data: data.visits * 0 + change)
    with refuses(value, "task='regression'"):
        kzoo.load_data(data, target="visits", task="count")
    data.to_csv(tmp_path / "table.csv", index=False)
    command = [
        "train",
        "tabular_fnn",
        "--data",
        str(tmp_path / "table.csv"),
        "--target",
        "visits",
        "--task",
        "count",
    ]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    assert_mentions(capsys.readouterr().err, value, "--task regression")


def test_other_losses_and_layers_are_refused(tmp_path):
    data = kzoo.load_data(table(100, 0), target="visits", task="count")
    with refuses("mse", "poisson"):
        kzoo.train("tabular_fnn", data, out=tmp_path / "run", loss="mse", progress=False)
    with refuses("tanh", "exponential"):
        kzoo.train(
            "tabular_fnn", data, out=tmp_path / "run", output_activation="tanh", progress=False
        )


def test_softplus_outputs_are_scaled_by_the_mean_too(tmp_path):
    run = kzoo.train(
        "tabular_fnn",
        table(200, 0),
        target="visits",
        task="count",
        output_activation="softplus",
        epochs=2,
        out=tmp_path / "run",
        baselines=False,
        **QUICK,
    )
    assert (
        run.spec.config["target_offset"] == [0.0]
        and (kzoo.predict(run, table(50, 1)).values > 0).all()
    )


def test_values_remain_the_task_of_plain_numbers():
    assert problem_for("rows", "values").name == "tabular_regression"
    assert problem("tabular_count").facts >= {"values", "kept", "counts"}
