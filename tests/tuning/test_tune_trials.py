"""A single trial: equal to `kzoo.train`, pruned, interrupted, continued or diverged; in this process, on real data."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from messages import missing_from

import kzoo
from kzoo.data.store.pooled import pooled, with_all_rows
from kzoo.training.adapt import adapt_to_data
from kzoo.training.workers.worker import Stop
from kzoo.tuning.folds import fold_of
from kzoo.tuning.records import Objective, Outcome
from kzoo.tuning.trial import (
    Median,
    Trainer,
    below_median,
    estimate_all_folds,
    peers_of,
    running_best,
)
from kzoo.zoo.registry import resolve

pytestmark = pytest.mark.usefixtures("untraced")

GOAL, LOSS = Objective("val_accuracy", "max"), Objective("val_loss", "min")
RESULTS = ("score", "best_epoch", "epochs", "history")


@pytest.fixture(scope="module")
def data():
    return kzoo.load_data("iris", preset="iris_fnn")


@pytest.fixture
def trainer(data):
    def make(goal=GOAL, folds=None, stop=None, **settings):
        preset = kzoo.get_preset("iris_fnn")
        config, training = resolve(
            preset, {"units": (8,), "epochs": 4, "batch_size": 32} | settings
        )
        config, training, _ = adapt_to_data(preset, config, training, set(settings), data)
        settled = replace(preset, config=config, training=training)
        held_back = replace(data, test=None)
        return Trainer(
            preset=settled, data=held_back, objective=goal, folds=folds, fold_seed=0, stop=stop
        )

    return make


@pytest.fixture
def folder(tmp_path):
    def make(number):
        path = tmp_path / f"{number:04d}"
        path.mkdir(exist_ok=True)
        return path

    return make


def results(outcome):
    return {name: getattr(outcome, name) for name in RESULTS}


@pytest.mark.usefixtures("traced")
def test_a_trial_trains_its_overrides_as_train_does(trainer, folder, data):
    changes = dict(learning_rate=0.01, dropout=0.1)
    result = trainer().train(folder=folder(0), overrides=changes, seed=3)
    run = kzoo.train(
        "iris_fnn",
        data,
        out="run",
        seed=3,
        units=(8,),
        epochs=4,
        batch_size=32,
        monitor="val_accuracy",
        callbacks="quick",
        progress=False,
        **changes,
    )
    assert (
        result.history["val_loss"] == run.history["val_loss"]
        and result.history["loss"] == run.history["loss"]
    )
    assert (result.score, result.best_epoch) == (
        run.summary["best_value"],
        run.summary["best_epoch"],
    )
    assert result.params == run.model.count_params()
    assert sorted(p.name for p in folder(0).iterdir()) == ["best.keras"]


@pytest.mark.slow
def test_8_and_21_a_trial_does_not_affect_the_next(trainer, folder):
    changes = [dict(learning_rate=0.02, dropout=0.3), dict(learning_rate=0.001)]
    shared = trainer()
    both = [shared.train(folder=folder(n), overrides=c, seed=n) for n, c in enumerate(changes)]
    alone = trainer().train(folder=folder(2), overrides=changes[1], seed=1)
    assert results(both[1]) == results(alone)


@pytest.mark.parametrize(
    "changes",
    [
        dict(learning_rate=1e30, optimizer="sgd"),
        pytest.param(dict(l2=1e38), marks=pytest.mark.slow),
    ],
)
def test_7_nan_and_infinity_are_diverged_without_a_score(trainer, folder, changes):
    result = trainer().train(folder=folder(0), overrides=changes, seed=0)
    assert result.status == "diverged" and result.score is None
    assert any(
        not missing_from(result.error, (value,)) for value in ("nan", "inf", "infinite", "finite")
    )
    assert not (folder(0) / "best.keras").exists()


@pytest.mark.parametrize(
    "changes",
    [
        dict(schedule="cosine", warmup=0.1),
        *(
            pytest.param(c, marks=pytest.mark.slow)
            for c in ({}, dict(ema=0.9), dict(schedule="plateau"))
        ),
    ],
)
def test_13_a_later_round_of_hyperband_continues_a_trial_exactly(trainer, folder, changes):
    same = trainer(**changes)
    whole = same.train(folder=folder(0), overrides={}, seed=1)
    first = same.train(folder=folder(1), overrides={}, seed=1, until=2, keep_journal=True)
    assert (first.epochs, (folder(1) / "journal").exists()) == (2, True)
    second = same.train(
        folder=folder(2), overrides={}, seed=1, until=4, parent=str(folder(1)), keep_journal=True
    )
    assert results(second) == results(whole)


@pytest.mark.usefixtures("traced")
def test_14_a_time_budget_ends_a_trial_within_a_step_and_it_can_continue(trainer, folder):
    stop = Stop()
    ended = []
    cutting = trainer(stop=stop, epochs=400, patience=400)

    def tell(epoch, value):
        ended.append(time.time())
        # starts after the first step, which is slow to trace
        stop.deadline = stop.deadline or ended[0] + 0.4

    cutting.tell = tell
    cut = cutting.train(folder=folder(1), overrides={}, seed=0)
    assert sum(moment > stop.deadline for moment in ended) <= 1 and len(ended) == cut.epochs
    assert cut.status == "interrupted" and 0 < cut.epochs < 400 and cut.score is not None
    assert {"best.keras", "journal"} <= {p.name for p in folder(1).iterdir()}
    stop.deadline = None
    whole = trainer(epochs=cut.epochs + 3, patience=400).train(
        folder=folder(2), overrides={}, seed=0
    )
    on = trainer(epochs=cut.epochs + 3, patience=400).train(folder=folder(1), overrides={}, seed=0)
    assert results(on) == results(whole) and on.status == "completed"
    assert sorted(p.name for p in folder(1).iterdir()) == ["best.keras"]


@pytest.mark.slow
def test_a_hopeless_trial_is_pruned_after_the_grace(trainer, folder):
    good = [([0.999] * 6, True)] * 3
    result = trainer(epochs=6).train(
        folder=folder(0), overrides=dict(learning_rate=1e-6), seed=0, peers=good
    )
    assert (result.status, result.epochs) == ("pruned", 3) and result.score < 0.999
    bad = [([0.0] * 6, True)] * 3
    assert (
        trainer(epochs=6).train(folder=folder(1), overrides={}, seed=0, peers=bad).status
        == "completed"
    )


def test_the_median_is_that_of_the_others_at_the_same_epoch():
    records = [
        Outcome(status="completed", history={"val_accuracy": [0.1, 0.5, 0.4]}),
        Outcome(status="pruned", history={"val_accuracy": [0.2, 0.2]}),
        Outcome(status="completed", history={"val_accuracy": [0.3, None, 0.9]}),
        Outcome(status="diverged", history={"val_accuracy": [0.9, None]}),
    ]
    peers = peers_of(records, GOAL, folds=False)
    assert peers == [([0.1, 0.5, 0.5], True), ([0.2, 0.2], False), ([0.3, 0.3, 0.9], True)]
    assert below_median(GOAL, peers, 1, 0.29) and not below_median(GOAL, peers, 1, 0.3)
    # Pruned trials count among the worse half: among the survivors alone, half of the good trials would be pruned too.
    assert below_median(GOAL, peers, 2, 0.49) and not below_median(GOAL, peers, 2, 0.5)
    # half are gone: the rest may all end
    assert not below_median(GOAL, [*peers, ([0.1], False)], 2, -9.0)
    assert below_median(LOSS, [([0.5], False), ([0.2, 0.1], True), ([0.3, 0.2], True)], 1, 0.3)
    assert peers_of(records[:2], GOAL, folds=False) == []
    assert running_best([3.0, float("nan"), 2.0], "min") == [3.0, 3.0, 2.0]


@pytest.mark.parametrize(("epochs", "trained"), [(2, 2), (3, 3), (4, 3), (60, 7)])
def test_no_trial_is_pruned_in_its_first_epochs_or_after_its_last(epochs, trained):
    median = Median(GOAL, [([0.5] * epochs, True)] * 3, epochs)
    median.set_model(SimpleNamespace(stop_training=False))
    done = 0
    while done < epochs and not median.pruned:
        median.on_epoch_end(done, {"val_accuracy": 0.4})
        done += 1
    assert (done, median.pruned) == (trained, trained < epochs)


def test_folds_score_every_row_once_and_use_no_test_row(trainer, folder, data):
    rows = pooled(data)
    tested = {tuple(row) for row in np.asarray(data.test.x).round(4)}
    seen = []
    for number in range(3):
        fold = fold_of(replace(data, test=None), number, 3, 0)
        assert len(fold.train) + len(fold.validation) == len(rows) and fold.test is None
        assert np.bincount(fold.validation.y).min() >= 12  # stratified
        seen.append(np.asarray(fold.validation.x))
    assert sorted(map(tuple, np.concatenate(seen))) == sorted(map(tuple, rows.x))
    overlap = {tuple(row) for row in rows.x.round(4)} & tested  # iris has rows that are the same
    assert len(overlap) <= 2
    result = trainer(folds=3, epochs=2).train(folder=folder(0), overrides={}, seed=0)
    assert len(result.folds) == 3 and result.score == pytest.approx(np.mean(result.folds))
    assert result.status == "completed" and result.epochs == 6
    assert list(folder(0).iterdir()) == []


@pytest.mark.slow
def test_a_finished_fold_is_not_trained_again(trainer, folder):
    stop = SimpleNamespace(caught=None)
    stopped = trainer(folds=3, stop=stop)
    whole = trainer(folds=3).train(folder=folder(0), overrides={}, seed=0)
    epochs = []

    def tell(epoch, value):
        epochs.append(epoch)
        stop.caught = True if len(epochs) == 6 else None  # in the second fold

    stopped.tell = tell
    assert stopped.train(folder=folder(1), overrides={}, seed=0).status == "interrupted"
    stop.caught, before = None, len(epochs)
    again = stopped.train(folder=folder(1), overrides={}, seed=0)
    assert results(again) == results(whole) and again.folds == whole.folds
    assert len(epochs) - before == 6  # two epochs of the second fold, and the third


@pytest.mark.slow
def test_a_trial_that_loses_over_folds_is_pruned_between_them(trainer, folder):
    peers = [([1.0, 0.9, 0.8], True)] * 3
    result = trainer(folds=3, epochs=2).train(
        folder=folder(0), overrides=dict(learning_rate=1e-6), seed=0, peers=peers
    )
    assert result.status == "pruned" and len(result.folds) == 1
    assert result.score == pytest.approx(result.folds[0] - 0.2)


def test_a_trial_that_was_pruned_after_an_easy_fold_is_not_the_winner():
    peers = [
        ([0.96, 0.84, 0.81], True),
        ([0.95, 0.85, 0.80], True),
        ([0.97, 0.86, 0.82], True),
        ([0.9], False),
    ]
    assert below_median(GOAL, peers, 0, 0.94)
    # not .94, above all final scores
    assert estimate_all_folds(GOAL, peers, 0, 0.94) == pytest.approx(0.94 - 0.15)
    assert (
        estimate_all_folds(
            GOAL, [([0.95, 0.99], True), ([0.5, 0.9], True), ([0.96, 0.98], True)], 0, 0.949
        )
        == 0.98
    )
    assert estimate_all_folds(LOSS, [([0.5, 0.8], True)] * 3, 0, 0.6) == pytest.approx(0.9)


def test_the_final_training_uses_all_rows_except_the_test_rows(data):
    every = with_all_rows(data)
    assert len(every.train) == len(data.train) + len(data.validation) and every.validation is None
    assert every.test is data.test and every.fingerprint != data.fingerprint


def test_folds_of_data_that_is_read_on_demand(tmp_path):
    class OnDemand:
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __getitem__(self, indices):
            return self.values[np.asarray(indices)]

    data = kzoo.load_data("iris", preset="iris_fnn")
    lazy = replace(
        data,
        train=replace(data.train, x=OnDemand(data.train.x)),
        validation=replace(data.validation, rows=None),
    )
    plain, demand = fold_of(data, 1, 4, 0), fold_of(lazy, 1, 4, 0)
    every = np.arange(len(plain.train))
    assert np.array_equal(plain.train.x[every], demand.train.x[every])
    assert np.array_equal(plain.validation.y, demand.validation.y)


def test_the_objective_is_reported(trainer, folder):
    result = trainer(goal=("val_top5", "max")).train(folder=folder(0), overrides={}, seed=0)
    assert result.score == 1.0 and "val_top5" in result.history


@pytest.mark.usefixtures("traced")
def test_the_probe_counts_parameters_and_times_a_step(trainer):
    result = trainer().probe({}, [dict(units=(4,)), dict(units=(16, 16))])
    model = kzoo.build("iris_fnn", units=(8,))
    assert result.params == model.count_params()
    assert result.counts == [
        kzoo.build("iris_fnn", units=u).count_params() for u in ((4,), (16, 16))
    ]
    assert 0 < result.step <= result.first
