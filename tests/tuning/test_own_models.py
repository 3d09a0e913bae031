"""A function `build(hp)` or a HyperModel in the place of a preset: all that a search promises holds for it too.

Its hyperparameters are written nowhere, so most here is about finding them, and about knowing a search again by them.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import keras
import keras_tuner as kt
import numpy as np
import pytest
from shortcuts import untraced
from stand_in import Killed, StandIn
from tutorial_networks import Dense, WithFit, build_dense, compiled

import kzoo
from kzoo.cli import main
from kzoo.tuning import importance
from kzoo.tuning import tune as module
from kzoo.tuning.engines import ENGINES
from kzoo.tuning.engines.steady import random_points
from kzoo.tuning.importance import importance_of
from kzoo.tuning.records import Objective, Trial
from kzoo.tuning.spaces.own import own_space
from kzoo.tuning.trial import Trainer
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.workers.worker import Here, can_be_sent

QUIET = dict(progress=False)
RATES = ["good", "fair", "slow", "none"]


@pytest.fixture(scope="module")
def iris():
    return kzoo.load_data("iris")


@pytest.fixture(scope="module")
def one():
    """A model to return where only the hyperparameters are looked at."""
    return compiled([])


@pytest.fixture
def nested(one):
    """A function with 258 points: each layer has 2 widths, and no dropout or one of 2 rates."""

    def build(hp):
        for i in range(hp.Int("layers", 1, 3)):
            hp.Int(f"units_{i}", 8, 16, step=8)
            if hp.Boolean(f"drop_{i}"):
                hp.Choice(f"share_{i}", [0.1, 0.2])
        return one

    return build


@pytest.fixture
def broad(one):
    """A function with a scope of KerasTuner's, ranges of every kind, and a name that has one value."""

    def build(hp):
        kind = hp.Choice("optimizer", ["adam", "sgd"])
        with hp.conditional_scope("optimizer", ["sgd"]):
            momentum = hp.Float("momentum", 0.0, 0.9, default=0.5)
        assert (momentum is None) == (kind == "adam")
        hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
        hp.Int("width", 2, 500, sampling="log")
        hp.Float("share", 0.0, 0.5, step=0.1)
        hp.Fixed("depth", 3)
        return one

    return build


@pytest.fixture
def tuned(stand_in, iris):
    """Return a function that searches without training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Here", StandIn)

        def call(build, out="search", **options):
            return kzoo.tune(build, iris, out=out, **{"trials": 8, "epochs": 9, **QUIET} | options)

        yield call


def asked(build, values):
    """Return the names that a function asks for with some values, as KerasTuner sees it."""
    hp = kt.HyperParameters()
    hp.values = dict(values)
    build(hp)
    return {each.name for each in hp.space if hp.is_active(each)}


# What is searched


def test_names_met_only_while_building_are_found_with_what_they_depend_on(nested):
    space = own_space(nested, {})
    by_name = {p.name: p for p in space.parameters}
    assert set(by_name) == {"layers", *(f"{word}_{i}" for word in ("units", "drop", "share") for i in range(3))}
    assert by_name["units_0"].when is None and by_name["units_1"].when == ("layers", (2, 3))
    assert by_name["share_2"].when == ("drop_2", (True,)) and by_name["drop_2"].when == ("layers", (3,))
    layer = 2 * (1 + 2)
    assert space.finite_size() == layer + layer**2 + layer**3 == 258
    assert space.default() == {"layers": 1, "units_0": 8, "drop_0": False}


def test_ranges_are_those_of_keras_tuner_with_their_upper_ends(broad):
    space = own_space(broad, {})
    by_name = {p.name: p for p in space.parameters}
    assert by_name["share"].values == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # KerasTuner's own leaves 0.5 out
    assert by_name["momentum"].when == ("optimizer", ("sgd",)) and space.fixed == {"depth": 3}
    assert (by_name["width"].log, by_name["width"].whole, by_name["rate"].log) == (True, True, True)
    assert space.finite_size() is None and "depth=3" in str(space)


def test_what_only_a_combination_brings_up_is_searched_too(one):
    def build(hp):
        if hp.Boolean("a") and hp.Boolean("b"):
            hp.Choice("both", [1, 2])
        if hp.Int("n", 1, 4) + hp.Int("m", 1, 4) > 5:
            hp.Choice("many", [1, 2])
        return one

    assert own_space(build, {}).names == ("a", "n", "m", "b", "both", "many")


def test_a_hypermodel_may_declare_what_it_asks_for_later(one):
    class Declared(kt.HyperModel):
        def declare_hyperparameters(self, hp):
            with hp.name_scope("deep"):
                hp.Choice("rare", [1, 2])

        def build(self, hp):
            hp.Int("a", 1, 90)
            return one

    assert own_space(Declared(), {}).names == ("deep/rare", "a")


def test_a_point_that_cannot_be_built_hides_no_other(one):
    def build(hp):
        if hp.Choice("size", ["small", "large", "huge"]) == "huge":
            raise ValueError("too large")
        hp.Choice("units", [1, 2])
        return one

    assert own_space(build, {}).names == ("size", "units")


# Every engine


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("function", ["nested", "broad"])
def test_the_default_first_nothing_twice_and_no_loss_when_killed(function, engine, tuned, request):
    if engine == "optuna":
        pytest.importorskip("optuna")
    build = request.getfixturevalue(function)
    whole = tuned(build, "whole", engine=engine)
    first = whole.trials[0]
    assert first.baseline and first.hyperparameters == own_space(build, {}).default()
    points = [json.dumps([t["hyperparameters"], t.get("hyperband", {}).get("until")]) for t in whole.trials]
    assert len(set(points)) == len(points) >= 8
    for trial in whole.trials:  # no value that does not count, and none that is missing
        assert set(trial.hyperparameters) == asked(build, trial.hyperparameters) - {"depth"}
    for moment in (0, 3, 6):
        StandIn.kill_at = moment
        with pytest.raises(Killed):
            tuned(build, "killed", engine=engine)
    StandIn.kill_at = None
    assert tuned(build, "killed", engine=engine).trials == whole.trials


def test_the_grid_is_each_point_that_builds_another_network(one, tuned):
    def build(hp):
        for i in range(hp.Int("layers", 1, 2)):
            hp.Choice(f"units_{i}", [1, 2])
        return one

    found = tuned(build, trials=100)
    assert found.request.engine == "grid" and found.finished
    seen = {tuple(t.hyperparameters[f"units_{i}"] for i in range(t.hyperparameters["layers"])) for t in found.trials}
    assert seen == {*itertools.product([1, 2]), *itertools.product([1, 2], [1, 2])} and len(found.trials) == 6


def test_the_plan_speaks_of_the_default(nested, tuned, tmp_path):
    plan = tuned(nested, dry_run=True, engine="random")
    assert "10 hyperparameters, 258 points" in str(plan) and "the default 100" in str(plan)
    assert plan.preset == "build" and "share_2" in plan.space and not (tmp_path / "search").exists()


# Which search it is


def test_another_default_range_or_source_is_another_search(one, tuned):
    def make(default, *more):
        def build(hp):
            hp.Choice("units", [8, 16, *more], default=default)
            return one

        return build

    tuned(make(8))
    assert tuned(make(8)).finished
    with pytest.raises(KzooError, match=r"space.hyperparameters.units: 8, 16; 8 there, 8, 16; 16 now"):
        tuned(make(16))
    with pytest.raises(KzooError, match=r"units: 8, 16; 8 there, 8, 16, 32; 8 now"):
        tuned(make(8, 32))

    def build(hp):
        hp.Choice("units", [8, 16], default=8)
        print("another body")
        return one

    with pytest.raises(KzooError, match=r"space\.code: \w+ there, \w+ now"):
        tuned(build)


@pytest.mark.parametrize(
    ("options", "says"),
    [(dict(batch_size=8), "batch_size: 32 there, 8 now"), (dict(epochs=3), "epochs: 9 there, 3 now")],
)
def test_other_settings_are_another_search(nested, tuned, options, says):
    tuned(nested)
    with pytest.raises(KzooError, match=says):
        tuned(nested, **options)


def test_the_folder_has_the_name_of_the_function(nested, tuned):
    assert tuned(nested, None, trials=1).path.name == "build-01"
    assert tuned(partial(nested), None, trials=1).path.name == "build-02"
    assert tuned(Dense("relu"), None, trials=1).path.name == "dense-01"
    assert tuned(lambda hp: nested(hp), None, trials=1).path.name == "lambda-01"


# What is refused


class Odd(kt.HyperModel):
    pass


class Nameless(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.compile("adam", "sparse_categorical_crossentropy")


REFUSED = {
    "one model": (lambda one: one, r"build\(hp\) that returns a compiled one"),
    "a class": (lambda one: Dense, "Dense is a class: give an object of it"),
    "a preset's": (lambda one: kzoo.hypermodel("iris_fnn"), r"kzoo.tune\('iris_fnn', space=...\) searches it"),
    "fit": (lambda one: WithFit("relu"), "dense has a fit of its own.*called batch_size, class_weight or patience"),
    "nothing": (lambda one: lambda hp: None, r"lambda\(hp\) returned NoneType: it must return a compiled keras.Model"),
    "not compiled": (lambda one: lambda hp: keras.Sequential(), "not compiled: call model.compile in it"),
    "no name": (lambda one: lambda hp: one, r"lambda\(hp\) asks for no hyperparameter"),
    "no build": (lambda one: Odd(), r"Odd\(hp\) failed: NotImplementedError"),
    "no get_config": (
        lambda one: lambda hp: Nameless(hp.Choice("units", [1, 2])),
        "returns a Nameless, which no file can keep",
    ),
    "raises": (lambda one: lambda hp: 1 / 0, r"lambda\(hp\) failed: ZeroDivisionError: division by zero"),
    "epochs": (lambda one: lambda hp: hp.Int("epochs", 1, 9) and one, "epochs is not searched"),
    "twice": (lambda one: lambda hp: hp.Int("batch_size", 8, 9) and one, "leave batch_size= out"),
    "default": (lambda one: lambda hp: hp.Int("units", 8, 9, default=2) and one, "default 2, outside 8 to 9"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_searched_is_refused_in_one_line(case, one, tuned, tmp_path):
    make, says = REFUSED[case]
    with pytest.raises(KzooError, match=says) as caught:
        tuned(make(one), batch_size=16)
    assert "\n" not in str(caught.value) and not (tmp_path / "search").exists()


def test_wrong_data_and_settings_are_refused_before_the_function_is_explored(one):
    calls = []

    def build(hp):
        hp.Int("units", 1, 9)
        calls.append(hp)
        return one

    for data, options in (("no/such.csv", {}), ("iris", dict(learning_rate=0.1)), ("iris", dict(objective="val_f9"))):
        with pytest.raises(KzooError):
            kzoo.tune(build, data, **options)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(space="quick"), "space= is of presets"),
        (dict(learning_rate=0.1), "Unknown argument 'learning_rate'"),
        (dict(objective="val_acuracy"), "Did you mean 'val_accuracy'"),
        (dict(objective="accuracy"), "measured on the training data"),
        (dict(engine="hyperband", folds=2), "folds= scores whole ones"),
    ],
)
def test_options_that_do_not_go_with_it(nested, tuned, options, says):
    with pytest.raises(KzooError, match=says):
        tuned(nested, **options)


def test_a_metric_of_ones_own_needs_a_direction(tuned):
    def gain(truth, said):
        return keras.ops.mean(keras.ops.max(said, axis=-1))

    model = compiled([])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[gain])

    def build(hp):
        hp.Choice("units", [1, 2])
        return model

    with pytest.raises(KzooError, match=r"\('val_gain', 'max'\)"):
        tuned(build)
    assert tuned(build, objective=("val_gain", "max")).objective == ("val_gain", "max")


# Where it is trained


def test_only_what_can_be_imported_is_sent(nested):
    assert can_be_sent(build_dense) and can_be_sent(Dense("relu")) and can_be_sent(partial(build_dense))
    assert not can_be_sent(nested) and not can_be_sent(lambda hp: None)
    script = "from kzoo.workers.worker import can_be_sent\ndef build(hp): pass\nprint(can_be_sent(build))"
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert said.stdout.strip() == "False", said.stderr


@pytest.fixture(scope="module")
def found(iris, tmp_path_factory):
    """A real search, trained here: the function is a closure."""

    def build(hp):
        hp.Choice("batch_size", [36, 54])
        return build_dense(hp)

    out = tmp_path_factory.mktemp("own") / "search"
    with untraced():
        return kzoo.tune(build, iris, out=out, trials=3, epochs=2, engine="random", seed=1, **QUIET), build


def test_a_trial_is_what_train_makes_of_its_model(found, iris, untraced):
    search, build = found
    trial = search.trials[2]
    hp = kt.HyperParameters()
    hp.values = dict(trial.hyperparameters)
    keras.utils.set_random_seed(trial.seed)
    run = kzoo.train(
        build(hp), iris, out="run", seed=trial.seed, epochs=2, batch_size=trial.hyperparameters["batch_size"],
        monitor="val_accuracy", check=False, **QUIET,
    )  # fmt: skip
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(run.history[name], trial.history[name], rtol=1e-5)


def test_the_best_model_gives_the_score_again(found, iris):
    search, _ = found
    best, again = search.best_trial(), kzoo.Search(search.path)
    for model in (search.best_model(), again.best_model()):
        said = model.predict(iris.validation.x, verbose=0).argmax(-1)
        assert (said == iris.validation.y).mean() == pytest.approx(best.score)
    hp = kt.HyperParameters()
    hp.values = search.best_config()
    assert build_dense(hp).count_params() == best.params


def test_its_models_are_built_in_the_policy_of_the_user_again(found):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layers = found[0].best_model().layers
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}


def test_the_winner_is_retrained_by_the_function(found, iris, untraced, undrawn, tmp_path):
    search, build = found
    again = kzoo.Search(search.path)
    with pytest.raises(KzooError, match="models that a function builds: give it, with build=build"):
        again.retrain(iris, out="none")
    with pytest.raises(KzooError, match=r"build=build_dense is not what .*: that was build"):
        again.retrain(iris, out="none", build=build_dense)
    assert not (tmp_path / "none").exists()
    one, two = search.retrain(out="one", **QUIET), again.retrain(iris, out="two", build=build, **QUIET)
    assert one.summary["test"] == two.summary["test"]
    assert one.spec.training["batch_size"] == search.best_config()["batch_size"]


def test_names_that_keras_numbers_are_the_same_in_each_trial(iris, untraced):
    def build(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Choice("units", [2, 4])), keras.layers.Dense(3)])
        scored = [keras.metrics.AUC(from_logits=True, multi_label=True)]
        model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=scored)
        return model

    search = kzoo.tune(build, iris, out="auc", trials=2, epochs=1, batch_size=108, **QUIET)
    assert search.objective == ("val_auc", "max")
    assert [t.status for t in search.trials] == ["completed", "completed"]
    assert search.best_model().built


def test_a_preset_cannot_be_made_of_it(found):
    with pytest.raises(KzooError, match="build is a function: keep best_config"):
        found[0].save_preset("mine")


def test_compare_report_and_pictures_speak_of_the_default(found, capsys):
    search, _ = found
    assert main(["compare", str(search.path)]) == 0
    assert "changed from the default" in " ".join(capsys.readouterr().out.split())
    page = kzoo.report(search).read_text(encoding="utf-8")
    assert "the preset" not in page and "hp.values = search.best_config()" in page
    texts = [text.get_text() for text in search.plot("history").findobj(lambda a: hasattr(a, "get_text"))]
    assert any(text.startswith("the default: ") for text in texts)
    assert (search.path / "tensorboard/0000").is_dir() == (find_spec("tensorboard") is not None)
    shutil.copytree(search.path, "copy")
    assert [row["preset"] for row in kzoo.compare([search, "copy"])] == ["build", "build"]


def test_ctrl_c_keeps_everything_where_this_process_trains(iris, untraced, tmp_path):
    def build(hp):
        layer = keras.layers.Dense(hp.Int("units", 2, 9), activation="tanh")
        if (tmp_path / "stopped/trials/0001").is_dir() and not (tmp_path / "pressed").exists():
            (tmp_path / "pressed").touch()
            os.kill(os.getpid(), signal.SIGINT)
        return compiled([layer])

    options = dict(trials=2, epochs=2, batch_size=54, engine="random", **QUIET)
    with pytest.raises(Interrupted):
        kzoo.tune(build, iris, out="stopped", **options)
    assert [t.status for t in kzoo.Search("stopped").trials] == ["completed", "interrupted"]
    found = kzoo.tune(build, iris, out="stopped", **options)
    whole = kzoo.tune(build, iris, out="whole", **options)
    told = ("hyperparameters", "status", "score", "best_epoch", "epochs", "history")
    assert [[t[name] for name in told] for t in found.trials] == [[t[name] for name in told] for t in whole.trials]


def test_importance_keeps_the_names_of_a_function_apart(one, monkeypatch):
    monkeypatch.setattr(importance, "REPEATS", 3)

    def build(hp):
        for i in range(1, hp.Int("layers", 1, 3) + 1):
            hp.Choice(f"units_{i}", [1, 2, 4])
        return one

    space, random = own_space(build, {}), np.random.default_rng(0)
    trials = []
    for number, values in enumerate(random_points(space, 0, 60)):
        score = values["layers"] + random.normal(0, 0.1)
        trials.append(Trial(number=number, status="completed", score=score, best_epoch=1, epochs=1, seed=0,
                            hyperparameters=values, overrides=values, baseline=False))  # fmt: skip
    rows = importance_of(trials, Objective("val_accuracy", "max"), space.parameters)
    assert rows.rows[0].name == "layers"
    assert {row.name for row in rows.rows} | {name for name, _ in rows.left_out} == set(space.names)


def test_a_poor_trial_is_pruned(iris, untraced):
    def build(hp):
        return compiled([], {"good": 0.05, "fair": 0.04, "slow": 0.03, "none": 0.0}[hp.Choice("rate", RATES)])

    options = dict(epochs=5, batch_size=54, objective="val_loss", engine="grid")
    search = kzoo.tune(build, iris, out="pruned", **options, **QUIET)
    assert [t.hyperparameters["rate"] for t in search.trials] == RATES
    assert [t.status for t in search.trials] == ["completed", "completed", "completed", "pruned"]
    assert search.trials[3].epochs < 5 == search.trials[0].epochs


def test_folds_score_its_models_too(iris, untraced):
    def build(hp):
        return compiled([keras.layers.Dense(hp.Int("units", 2, 8))])

    search = kzoo.tune(build, iris, out="folds", trials=2, epochs=1, folds=2, batch_size=60, **QUIET)
    assert [len(t.folds) for t in search.trials] == [2, 2] and search.finished


def test_a_model_of_kzoo_build_keeps_its_own_contract(iris):
    def build(hp):
        return kzoo.build("iris_fnn", units=(4,), batch_size=hp.Choice("rows", [8, 64]))

    space = module._own_subject(
        build, iris, module.DataOptions(), {"epochs": 2}, space="standard", objective=None, folds=None, seed=0
    ).space
    trainer = Trainer(preset=space, data=iris, objective=("val_accuracy", "max"), folds=None, fold_seed=0)
    assert [trainer.job({"rows": rows}, 0).training["batch_size"] for rows in (8, 64)] == [8, 64]


def test_the_policy_of_this_process_stays_and_is_that_of_the_models(iris, untraced):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        setup = dict(preset=own_space(build_dense, {"epochs": 1}), data=iris, objective=("val_loss", "min"), folds=None)
        with Here(None, trainer="kzoo.tuning.trial:Trainer", fold_seed=0, **setup) as here:
            keras.config.set_dtype_policy("float32")
            here.ask("count", overrides={})
            here.ask("probe", overrides={}, samples=[])
            assert keras.config.dtype_policy().name == "float32"
            assert here.trainer.job({}, 0).model.layers[0].dtype_policy.name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
