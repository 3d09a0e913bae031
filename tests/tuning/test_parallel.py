"""Several trials at once: proposals depend only on their number, not on the workers, their speed or their deaths."""

import multiprocessing
import pickle
import random
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from messages import assert_mentions, refuses
from stand_in import StandIn

import kzoo
from kzoo.cli import main
from kzoo.training.workers import pool

ENGINES = ("bayesian", "optuna", "random", "grid", "hyperband")


class Crowd(Executor):
    """Workers that train nothing and have random durations.

    Args:
        count: of workers.
        chance: seed of their durations and deaths.
        deaths: number of workers that die of their trial. A new worker without the search replaces it, as in Dask.
        ends: the number of trials after which the executor is shut down.
    """

    def __init__(self, count, chance=0, deaths=0, ends=10**9):
        self.threads = ThreadPoolExecutor(count)
        self.random = random.Random(chance)
        self.workers = {}
        self.dying = set(self.random.sample(range(12), deaths))
        self.submitted = 0
        self.ends = ends

    def submit(self, function, key, sent, job):
        assert function is pool.train_in_child
        self.submitted += 1
        if self.submitted > self.ends:
            raise RuntimeError("cannot schedule new futures after shutdown")
        dies = self.submitted in self.dying
        return self.threads.submit(self._train, key, sent, job, self.random.random() / 50, dies)

    def _train(self, key, sent, job, seconds, dies):
        time.sleep(seconds)
        if dies:
            self.workers.clear()
        if sent is not None:
            self.workers[key] = StandIn(None, **pickle.loads(sent))
        worker = self.workers.get(key)
        return worker and pickle.dumps((worker.train(folder="0000", **job.arguments), {}))


def board(search):
    """Return the contents of a leaderboard."""
    return [
        (t.number, t.status, t.score, t.seed, dict(t.hyperparameters), t.hyperband)
        for t in search.trials
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_leaderboard_depends_only_on_parallel(search, engine):
    options = dict(engine=engine, parallel=3, space="standard")
    boards = [
        board(search(f"search-{number}", executor=crowd, **options))
        for number, crowd in enumerate([Crowd(1), Crowd(2, 1), Crowd(4, 3, deaths=3)])
    ]
    assert boards[1] == boards[2] == boards[0]
    default = search("default", trials=1, space="standard").trials[0]
    assert boards[0][0][4] == default.hyperparameters and default.baseline
    if engine != "hyperband":  # its trials continue the points of others
        points = [str(sorted(row[4].items())) for row in boards[0]]
        assert len(set(points)) == len(points) == 12


@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_whose_executor_ended_resumes_to_the_same_leaderboard(search, engine):
    options = dict(engine=engine, parallel=3, space="standard")
    whole = board(search("whole", executor=Crowd(2), **options))
    for ends in (2, 4, 5):
        with refuses("executor", "RuntimeError: cannot schedule new futures after shutdown"):
            search("torn", executor=Crowd(3, ends, ends=ends), **options)
    assert board(search("torn", executor=Crowd(2, 9), **options)) == whole


def test_another_number_of_parallel_trials_does_not_resume_a_search(search):
    search("first", executor=Crowd(2), parallel=2)
    for other, parts in (
        (dict(parallel=3), ("parallel", "2", "3")),
        (dict(parallel=2, threads=2), ("threads", "1", "2")),
        (dict(), ("parallel", "2", "1")),
    ):
        with refuses("first", *parts, "resume='never'"):
            search("first", executor=Crowd(2), **other)


def test_an_executor_with_single_trials_changes_no_proposal(search):
    """With single trials, an executor gets the points of a search without an executor."""
    alone = search("alone", engine="bayesian")
    elsewhere = search("elsewhere", engine="bayesian", executor=Crowd(3))
    assert [t.hyperparameters for t in alone.trials] == [
        t.hyperparameters for t in elsewhere.trials
    ]


def test_an_exception_fails_the_trial_without_a_retry(search, stand_in):
    failures = []

    class Broken(Crowd):
        def _train(self, key, sent, job, *chance):
            if sent is None and job.arguments["overrides"] and len(failures) < 3:
                failures.append(1)
                raise ValueError("no such thing\nand more")
            return super()._train(key, sent, job, *chance)

    tuned = search("search", executor=Broken(1), parallel=2, trials=6)
    failed = [t for t in tuned.trials if t.status == "failed"]
    assert len(failed) == 3 and {t.error for t in failed} == {"ValueError: no such thing"}


def test_bad_requests_are_refused_on_a_single_line(search, capsys, tmp_path):
    for wrong, parts in (
        (dict(parallel=0), ("parallel=0", "1")),
        (dict(parallel=2, threads=0), ("threads=0", "1")),
        (dict(executor=4), ("executor=4", "concurrent.futures.Executor")),
    ):
        with refuses(*parts):
            search("no", **wrong)
    for address in ("host:8786", "http://host:8786", "tcp://host", "tls://:1", "tcp://host:port"):
        assert main(["tune", "iris_fnn", "--scheduler", address]) == 2
        message = capsys.readouterr().err
        assert_mentions(message, f"--scheduler {address}", "tcp://HOST:PORT", "tls://HOST:PORT")
        assert message.count("\n") == 1
    with refuses("lambda", "module", "parallel=", "threads=", "executor="):
        kzoo.tune(
            lambda hp: _network(hp),
            "iris",
            parallel=2,
            trials=2,
            epochs=1,
            progress=False,
            out=tmp_path / "s",
        )


def _network(hp):
    import keras

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(hp.Int("units", 3, 9)), keras.layers.Dense(3)]
    )
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model


# With processes that train

REAL = dict(
    trials=5,
    epochs=2,
    space="quick",
    parallel=2,
    progress=False,
    units=(8,),
    batch_size=32,
    min_steps=0,
)


@pytest.fixture(scope="module")
def here(tmp_path_factory, warm_children_of_the_module):
    """A search with two processes on this machine."""
    return kzoo.tune("wine_fnn", out=tmp_path_factory.mktemp("here") / "search", **REAL)


def test_processes_of_this_machine_train_the_trials(here):
    assert here.finished and [t.status for t in here.trials].count("failed") == 0
    assert here.config["parallel"] == 2 and here.config["threads"] == 1
    assert here.best_model().count_params() == here.best_trial().params
    assert len(list(here.path.glob("trials/*/best.keras"))) == 3


@pytest.mark.slow
def test_a_process_pool_gives_the_same_leaderboard_and_files(here, tmp_path):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        search = kzoo.tune("wine_fnn", out=tmp_path / "search", executor=pool, **REAL)
    assert board(search) == board(here)
    for trial in search.trials:
        mine, other = (each.path / "trials" / f"{trial.number:04d}" for each in (search, here))
        assert {p.name for p in mine.iterdir()} == {p.name for p in other.iterdir()}
    same = zip(search.best_model().get_weights(), here.best_model().get_weights(), strict=True)
    assert all((a == b).all() for a, b in same)
