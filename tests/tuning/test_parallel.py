"""Several trials at once: what a search proposes follows from how many, whoever trains, however fast, whoever dies."""

import multiprocessing
import pickle
import random
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from stand_in import StandIn

import kzoo
from kzoo.cli import main
from kzoo.workers import crew

ENGINES = ("bayesian", "optuna", "random", "grid", "hyperband")


class Crowd(Executor):
    """Workers that train nothing and take as long as chance has it.

    Args:
        count: of workers.
        chance: seed of their speed, and of who dies.
        deaths: how many die of their trial; another one, which knows nothing of the search, is asked, as Dask does.
        ends: the number of trials after which all is over.
    """

    def __init__(self, count, chance=0, deaths=0, ends=10**9):
        self.threads, self.random, self.known = ThreadPoolExecutor(count), random.Random(chance), {}
        self.dying = set(self.random.sample(range(12), deaths))
        self.asked, self.ends = 0, ends

    def submit(self, function, key, sent, job):
        assert function is crew.train_here
        self.asked += 1
        if self.asked > self.ends:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return self.threads.submit(self._train, key, sent, job, self.random.random() / 50, self.asked in self.dying)

    def _train(self, key, sent, job, seconds, dies):
        time.sleep(seconds)
        if dies:
            self.known.clear()
        if sent is not None:
            self.known[key] = StandIn(None, **pickle.loads(sent))
        worker = self.known.get(key)
        return worker and pickle.dumps((worker.train(folder="0000", **job.arguments), {}))


def board(found):
    """Return all that a leaderboard says of trials."""
    return [(t.number, t.status, t.score, t.seed, dict(t.hyperparameters), t.hyperband) for t in found.trials]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_leaderboard_follows_from_parallel_alone(search, engine):
    options = dict(engine=engine, parallel=3, space="standard")
    boards = [
        board(search(f"search-{number}", executor=crowd, **options))
        for number, crowd in enumerate([Crowd(1), Crowd(2, 1), Crowd(4, 3, deaths=3)])
    ]
    assert all(one == boards[0] for one in boards[1:])
    default = search("default", trials=1, space="standard").trials[0]
    assert boards[0][0][4] == default.hyperparameters and default.baseline
    if engine != "hyperband":  # whose trials go on with others' points
        points = [str(sorted(row[4].items())) for row in boards[0]]
        assert len(set(points)) == len(points) == 12


@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_that_ended_with_all_its_workers_goes_on_to_the_same_leaderboard(search, engine):
    options = dict(engine=engine, parallel=3, space="standard")
    whole = board(search("whole", executor=Crowd(2), **options))
    for ends in (2, 4, 5):
        with pytest.raises(kzoo.KzooError, match="The executor trains no more"):
            search("torn", executor=Crowd(3, ends, ends=ends), **options)
    assert board(search("torn", executor=Crowd(2, 9), **options)) == whole


def test_a_search_with_another_number_at_once_is_another_search(search):
    search("one", executor=Crowd(2), parallel=2)
    for other, said in (
        (dict(parallel=3), "parallel: 2 there, 3 now"),
        (dict(parallel=2, threads=2), "threads: 1 there, 2 now"),
        (dict(), "parallel: 2 there, 1 now"),
    ):
        with pytest.raises(kzoo.KzooError, match=said):
            search("one", executor=Crowd(2), **other)


def test_models_are_made_of_what_was_told_and_of_nothing_else(search):
    """With one at a time, an executor proposes what the search itself would."""
    alone, elsewhere = search("alone", engine="bayesian"), search("elsewhere", engine="bayesian", executor=Crowd(3))
    assert [t.hyperparameters for t in alone.trials] == [t.hyperparameters for t in elsewhere.trials]


def test_an_exception_is_a_trials_result_and_is_not_tried_again(search, stand_in):
    asked = []

    class Broken(Crowd):
        def _train(self, key, sent, job, *chance):
            if sent is None and job.arguments["overrides"] and len(asked) < 3:
                asked.append(1)
                raise ValueError("no such thing\nand more")
            return super()._train(key, sent, job, *chance)

    found = search("one", executor=Broken(1), parallel=2, trials=6)
    failed = [t for t in found.trials if t.status == "failed"]
    assert len(failed) == 3 and {t.error for t in failed} == {"ValueError: no such thing"}


def test_bad_requests_are_one_line(search, capsys, tmp_path):
    for wrong, said in (
        (dict(parallel=0), "parallel=0 must be"),
        (dict(parallel=2, threads=0), "threads=0 must be"),
        (dict(executor=4), "executor=4 must be a concurrent.futures.Executor"),
    ):
        with pytest.raises(kzoo.KzooError, match=said):
            search("no", **wrong)
    for address in ("host:8786", "http://host:8786", "tcp://host", "tls://:1", "tcp://host:port"):
        assert main(["tune", "iris_fnn", "--scheduler", address]) == 2
        said = capsys.readouterr().err
        assert f"--scheduler {address}: write tcp://HOST:PORT or tls://HOST:PORT" in said and said.count("\n") == 1
    with pytest.raises(kzoo.KzooError, match="leave parallel=, threads= and executor= out"):
        kzoo.tune(lambda hp: _network(hp), "iris", parallel=2, trials=2, epochs=1, progress=False, out=tmp_path / "s")


def _network(hp):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 3, 9)), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


# With processes that train

REAL = dict(trials=5, epochs=2, space="quick", parallel=2, progress=False, units=(8,), batch_size=32, min_steps=0)


@pytest.fixture(scope="module")
def here(tmp_path_factory, warm_children_of_the_module):
    """A search with two processes of this machine."""
    return kzoo.tune("wine_fnn", out=tmp_path_factory.mktemp("here") / "search", **REAL)


def test_processes_of_this_machine(here):
    assert here.finished and [t.status for t in here.trials].count("failed") == 0
    assert here.config["parallel"] == 2 and here.config["threads"] == 1
    assert here.best_model().count_params() == here.best_trial().params
    assert len(list(here.path.glob("trials/*/best.keras"))) == 3


@pytest.mark.slow
def test_a_pool_of_processes_has_the_same_leaderboard_and_its_files_come_back(here, tmp_path):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = kzoo.tune("wine_fnn", out=tmp_path / "search", executor=pool, **REAL)
    assert board(found) == board(here)
    for trial in found.trials:
        mine, other = (one.path / "trials" / f"{trial.number:04d}" for one in (found, here))
        assert {p.name for p in mine.iterdir()} == {p.name for p in other.iterdir()}
    same = zip(found.best_model().get_weights(), here.best_model().get_weights(), strict=True)
    assert all((a == b).all() for a, b in same)
