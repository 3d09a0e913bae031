"""Every engine tries the preset first, repeats no point, is reproducible, and loses nothing when it is killed."""

import ast
import json
import math
import random
from pathlib import Path
from statistics import median

import keras_tuner
import pytest
from messages import refuses
from stand_in import Killed, StandIn

import kzoo
from kzoo.tuning.engines import ENGINES, choose_engine, engine_named
from kzoo.tuning.engines.base import BaseEngine, make_oracle
from kzoo.tuning.plan import size_of
from kzoo.tuning.records import read_trials

NAMES = ("layers", "activation", "norm")  # a finite space


@pytest.fixture(params=ENGINES[1:])
def engine(request):
    if request.param == "optuna":
        pytest.importorskip("optuna")
    return request.param


def space_for(engine):
    return kzoo.space("iris_fnn").only(*NAMES) if engine == "grid" else "standard"


def points_of(search):
    return [
        json.dumps([r["hyperparameters"], r.get("hyperband", {}).get("until")])
        for r in search.trials
    ]


def test_9_trial_0_is_the_preset(search, engine):
    tuned = search(engine=engine, space=space_for(engine), trials=3, epochs=3)
    first = tuned.trials[0]
    assert first["baseline"] and first["overrides"] == {} and first["epochs"] == 3
    assert not any(r["baseline"] for r in tuned.trials[1:])
    assert all(r["overrides"] for r in tuned.trials[1:])


def test_10_no_point_comes_twice(search, engine):
    tuned = search(engine=engine, space=space_for(engine), trials=16)
    points = points_of(tuned)
    assert len(set(points)) == len(points) >= 16


@pytest.mark.parametrize("seed", [0])
def test_8_the_same_seed_gives_the_same_leaderboard(search, engine, seed):
    first, second = (
        search(name, engine=engine, space=space_for(engine), seed=seed)
        for name in ("first", "second")
    )
    assert (first.path / "leaderboard.csv").read_bytes() == (
        second.path / "leaderboard.csv"
    ).read_bytes()


def test_8_every_seed_gives_different_points(search):
    points = [
        points_of(search(f"seed{seed}", engine="random", seed=seed))[1:] for seed in (0, 1, 2)
    ]
    assert points[0] != points[1] != points[2]


def test_2_a_search_killed_in_any_trial_resumes_to_the_same_result(search, engine):
    options = dict(engine=engine, space=space_for(engine))
    whole = search("whole", **options)
    for moment in (0, 1, 4, 5, 9, 11):
        StandIn.kill_at = moment
        with pytest.raises(Killed):
            search("killed", **options)
    StandIn.kill_at = None
    StandIn.trained = ()
    tuned = search("killed", **options)
    assert tuned.trials == whole.trials
    assert (tuned.path / "leaderboard.csv").read_bytes() == (
        whole.path / "leaderboard.csv"
    ).read_bytes()
    assert len(StandIn.trained) == len(whole.trials) - 11  # trials 0 to 10 were stored


def test_2_a_finished_search_is_returned_without_training(search, engine):
    options = dict(engine=engine, space=space_for(engine), trials=5)
    before = search(**options)
    StandIn.trained = ()
    again = search(**options)
    assert StandIn.trained == () and again.trials == before.trials and again.finished


def test_19_more_trials_continue_a_search_in_order(search, engine):
    if engine == "hyperband":
        pytest.skip("it computes its own number")
    few = search(engine=engine, space=space_for(engine), trials=8)
    more = search(engine=engine, space=space_for(engine), trials=14)
    assert [r["trial"] for r in more.trials] == list(range(14))
    assert more.trials[:8] == few.trials[:8] and len(set(points_of(more))) == 14


@pytest.mark.parametrize("engine", ["random", "bayesian", "optuna"])
def test_10_a_search_ends_when_a_small_space_is_exhausted(search, engine):
    space = kzoo.space("iris_fnn").only("layers", "norm")
    tuned = search(engine=engine, space=space, trials=50)
    assert len(tuned.trials) == space.finite_size() == len(set(points_of(tuned))) < 50
    assert tuned.finished


def test_the_grid_has_every_value_of_conditional_hyperparameters(search):
    space = kzoo.space("iris_fnn", "full").only("residual", "units_shape", "schedule", "warmup")
    tuned = search(engine="grid", space=space, trials=1000)
    assert len(set(points_of(tuned))) == len(tuned.trials) == space.finite_size()
    assert tuned.trials == search("again", engine="grid", space=space, trials=1000).trials


@pytest.mark.parametrize(
    ("epochs", "trials", "most"), [(10, 30, 120), (27, 70, 375), (50, 90, 922), (100, 254, 2672)]
)
def test_17_the_cost_of_hyperband_is_exact(epochs, trials, most):
    shape = dict(
        trials=1,
        epochs=epochs,
        space=kzoo.space("iris_fnn"),
        objective=("val_loss", "min"),
        folds=None,
    )
    assert size_of("hyperband", baseline=False, **shape)[:2] == (trials, most)
    assert size_of("hyperband", baseline=True, **shape)[:2] == (trials + 1, most + epochs)


def test_17_hyperband_follows_its_plan(search):
    plan = search(engine="hyperband", dry_run=True)
    tuned = search(engine="hyperband")
    trained = sum(
        r["epochs"] - (tuned.trials[p]["epochs"] if (p := parent(r)) is not None else 0)
        for r in tuned.trials
    )
    assert (len(tuned.trials), trained) == (plan.trials, plan.epochs)


def parent(record):
    return record.get("hyperband", {}).get("parent")


def test_hyperband_continues_the_best_of_a_round(search):
    trials = search(engine="hyperband").trials
    promoted = [r for r in trials if parent(r) is not None]
    assert promoted
    for record in promoted:
        before = trials[parent(record)]
        assert (
            record["hyperparameters"] == before["hyperparameters"]
            and record["seed"] == before["seed"]
        )
        assert record["hyperband"]["until"] > before["hyperband"]["until"]
        peers = [
            r["score"]
            for r in trials
            if "hyperband" in r
            and (r["hyperband"]["bracket"], r["hyperband"]["round"])
            == (before["hyperband"]["bracket"], before["hyperband"]["round"])
        ]
        assert before["score"] >= sorted(peers)[len(peers) // 2]


def test_15_conditional_values_exist_only_where_they_count(search):
    tuned = search(engine="random", space="full", trials=30)
    optimizers = {r["hyperparameters"]["optimizer"] for r in tuned.trials}
    assert len(optimizers) > 1
    for record in tuned.trials:
        rates = [n for n in record["hyperparameters"] if n.startswith("learning_rate")]
        assert len(rates) == 1
        assert ("warmup" in record["hyperparameters"]) == (
            record["hyperparameters"]["schedule"] in ("constant", "cosine")
        )


@pytest.mark.parametrize("engine", ["grid", "random", "bayesian", "hyperband"])
def test_a_limit_of_parameters_is_checked_before_training(search, engine):
    space = kzoo.space("iris_fnn").only(
        "units_scale", "layers", "norm", "dropout" if engine != "grid" else "activation"
    )
    tuned = search(engine=engine, space=space.limit(params=9_700), trials=8)
    assert len(tuned.trials) >= 8
    for overrides in StandIn.trained:
        assert 100 * sum(overrides.get("units", (1,))) <= 9_700


def test_a_grid_has_each_point_once_with_the_preset_first(search):
    space = kzoo.space("iris_fnn").only("norm", "activation")
    tuned = search(engine="auto", space=space, trials=50)
    assert tuned.config["engine"] == "grid"
    assert len(tuned.trials) == space.finite_size() == len(set(points_of(tuned)))


def test_a_grid_over_a_range_has_its_default_once(search):
    space = kzoo.space("iris_fnn").only("dropout")
    tuned = search(engine="grid", space=space, trials=50)
    values = [r["hyperparameters"]["dropout"] for r in tuned.trials]
    assert (
        values[0] == 0.0
        and values[1:] == sorted(values[1:])
        and min(abs(v) for v in values[1:]) > 1e-3
    )


def test_auto_chooses_the_grid_for_few_points():
    assert choose_engine("auto", 20, 20) == "grid"
    assert choose_engine("auto", 20, 21) == choose_engine("auto", 3, None) == "bayesian"


@pytest.mark.parametrize("engine", ["bayesian", "optuna"])
def test_random_starts_leave_most_of_a_search_to_the_model(engine):
    if engine == "optuna":
        pytest.importorskip("optuna")
    assert engine_named(engine).startup_count_of(30, 18) == 7  # KerasTuner itself would draw 54
    assert engine_named(engine).startup_count_of(12, 1) == 3
    assert engine_named("random").startup_count_of(12, 5) == 12


@pytest.mark.parametrize("engine", ["bayesian", "optuna"])
def test_starts_lie_around_the_preset_and_evenly(search, engine):
    if engine == "optuna":
        pytest.importorskip("optuna")
    space = kzoo.space("iris_fnn", "standard").fix(optimizer="adam")
    StandIn.kill_at = 11
    with pytest.raises(Killed):
        search("starts", engine=engine, space=space, trials=44)  # a quarter, the preset among them
    trials = read_trials("starts")[1:11]
    assert len(trials) == 10
    default = space.default()
    rate = next(p for p in space.parameters if p.name == "learning_rate")
    equal = [value == default[name] for r in trials for name, value in r["hyperparameters"].items()]
    assert 0.4 < sum(equal) / len(equal) < 0.75  # half, and a drawn value may be equal too
    drawn = [
        v
        for r in trials
        if (v := r["hyperparameters"]["learning_rate"]) != default["learning_rate"]
    ]
    low, high = math.log10(rate.low), math.log10(rate.high)
    parts = [int(10 * (math.log10(v) - low) / (high - low)) for v in drawn]
    assert len(parts) == len(set(parts)) > 2  # each in another tenth
    assert {r["hyperparameters"]["norm"] for r in trials} == {"none", "batch", "layer"}


def proposed(engine, seed, luck=0.0, trials=25):
    """Return the distance of each proposal of KerasTuner's oracle from the best: a bowl over a real space."""
    space = kzoo.space("iris_fnn").only("learning_rate", "dropout").fix(optimizer="adam")
    oracle = make_oracle(
        engine,
        space=space,
        seed=seed,
        objective=("val_loss", "min"),
        trials=trials,
        epochs=1,
        baseline=False,
    )
    draw = random.Random(seed)
    distances = []
    while (trial := oracle.create_trial("t")).status == "RUNNING":
        values = trial.hyperparameters.values
        distances.append(
            (values["dropout"] - 0.37) ** 2 + 0.1 * math.log10(values["learning_rate"] / 2e-3) ** 2
        )
        oracle.update_trial(trial.trial_id, {"val_loss": distances[-1] + luck * draw.gauss(0, 1)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return distances


def test_a_model_of_the_space_is_better_than_chance_on_the_same_budget():
    for engine in ("bayesian", "optuna"):
        if engine == "optuna":
            pytest.importorskip("optuna")
        pairs = [(min(proposed(engine, seed)), min(proposed("random", seed))) for seed in range(3)]
        assert sorted(a for a, _ in pairs)[1] < sorted(b for _, b in pairs)[1]


def test_noise_in_the_scores_does_not_mislead_the_model():
    """With KerasTuner's settings, which take a score for exact, the first median is half of the second, or more."""
    close, chance = (
        [min(proposed(engine, seed, luck=0.03, trials=20)) for seed in range(5)]
        for engine in ("bayesian", "random")
    )
    assert median(close) < median(chance) / 4


def test_the_model_is_fitted_to_a_limited_number_of_trials(monkeypatch):
    from kzoo.tuning.engines import bayesian as engines

    monkeypatch.setattr(engines, "_MODELLED", 10)
    sizes = []
    fit = engines.GaussianProcessRegressor.fit
    monkeypatch.setattr(
        engines.GaussianProcessRegressor,
        "fit",
        lambda self, x, y: sizes.append(len(x)) or fit(self, x, y),
    )
    best = min(proposed("bayesian", 0, trials=30))
    assert max(sizes) == 10 and best < 0.01


def test_3_a_damaged_record_is_trained_again_and_a_damaged_engine_file_is_ignored(search):
    whole = search(engine="bayesian")
    (whole.path / "trials/0004/trial.json").write_text('{"trial": 4, "sta')
    (whole.path / "engine/oracle.json").write_text("")
    (whole.path / "end.json").unlink()
    assert len(read_trials(whole.path)) == 11
    StandIn.trained = ()
    again = search(engine="bayesian")
    assert (
        len(StandIn.trained) == 1
        and again.trials[4] == search("other", engine="bayesian").trials[4]
    )


def private_of_keras_tuner():
    """Return the private names of KerasTuner's oracles."""
    private = set()
    for name in ("RandomSearch", "BayesianOptimization", "Hyperband"):
        oracle = getattr(keras_tuner.oracles, f"{name}Oracle")(
            objective=keras_tuner.Objective("val_loss", "min")
        )
        private |= {n for n in dir(oracle) if n.startswith("_") and not n.endswith("__")}
    return private


def touches(source):
    """Return the private names of KerasTuner that a source defines, reads or sets."""
    nodes = list(ast.walk(ast.parse(source)))
    private = private_of_keras_tuner()
    names = {n.attr for n in nodes if isinstance(n, ast.Attribute)} | {
        n.name for n in nodes if isinstance(n, ast.FunctionDef)
    }
    return names & private


def test_private_names_of_kerastuner_are_used_in_a_single_file():
    folder = Path(kzoo.__file__).parent / "tuning"
    files = {path.name: touches(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")}
    assert {name for name, private in files.items() if private} == {"keras_tuner_private.py"}
    assert touches("class X:\n    def _save_trial(self): self._seed_state = 1") == {
        "_save_trial",
        "_seed_state",
    }


def test_an_engine_is_a_file(engine):
    """Nothing else names it: the fixture, the messages and the help of the command list the files of the folder."""
    folder = Path(kzoo.__file__).parent / "tuning" / "engines"
    others = {"__init__", "base", "keras_tuner_private"}
    assert set(ENGINES) - {"auto"} == {path.stem for path in folder.glob("*.py")} - others
    assert issubclass(engine_named(engine), BaseEngine)
    with refuses("engine", "'none'", engine):
        choose_engine("none", 1, 1)
