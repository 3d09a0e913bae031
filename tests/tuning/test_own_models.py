"""A search tunes a function `build(hp)` or a HyperModel with the same guarantees as a preset.

Its hyperparameters appear only while it builds. Most tests check that all of them are discovered, and that a search
resumes only with the same hyperparameters.
"""

import itertools
import json
import os
import re
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
from messages import assert_mentions, missing_from, refuses
from shortcuts import untraced
from stand_in import Killed, StandIn
from tutorial_networks import Dense, WithFit, build_dense, compiled

import kzoo
from kzoo.cli import main
from kzoo.training.workers.worker import InProcess, can_be_sent
from kzoo.tuning import importance
from kzoo.tuning import tune as module
from kzoo.tuning.engines import ENGINES
from kzoo.tuning.engines.base import random_points
from kzoo.tuning.importance import importance_of
from kzoo.tuning.records import Objective, Trial
from kzoo.tuning.spaces.function_space import function_space
from kzoo.tuning.trial import Trainer
from kzoo.utils.errors import Interrupted

QUIET = dict(progress=False)
RATES = ["good", "fair", "slow", "none"]


@pytest.fixture(scope="module")
def iris():
    return kzoo.load_data("iris")


@pytest.fixture(scope="module")
def model():
    """A model to return where only the hyperparameters count."""
    return compiled([])


@pytest.fixture
def nested(model):
    """A function with 258 points: each layer has 2 widths, and no dropout or one of 2 rates."""

    def build(hp):
        for i in range(hp.Int("layers", 1, 3)):
            hp.Int(f"units_{i}", 8, 16, step=8)
            if hp.Boolean(f"drop_{i}"):
                hp.Choice(f"share_{i}", [0.1, 0.2])
        return model

    return build


@pytest.fixture
def broad(model):
    """A function with a conditional scope, ranges of every kind, and a name with a single value."""

    def build(hp):
        kind = hp.Choice("optimizer", ["adam", "sgd"])
        with hp.conditional_scope("optimizer", ["sgd"]):
            momentum = hp.Float("momentum", 0.0, 0.9, default=0.5)
        assert (momentum is None) == (kind == "adam")
        hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
        hp.Int("width", 2, 500, sampling="log")
        hp.Float("share", 0.0, 0.5, step=0.1)
        hp.Fixed("depth", 3)
        return model

    return build


@pytest.fixture
def tuned(stand_in, iris):
    """Return a function that searches without training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "InProcess", StandIn)

        def call(build, out="search", **options):
            return kzoo.tune(build, iris, out=out, **{"trials": 8, "epochs": 9, **QUIET} | options)

        yield call


def requested(build, values):
    """Return the names that a function requests with some values, according to KerasTuner."""
    hp = kt.HyperParameters()
    hp.values = dict(values)
    build(hp)
    return {each.name for each in hp.space if hp.is_active(each)}


# Hyperparameters


def test_hyperparameters_are_discovered_with_their_conditions(nested):
    space = function_space(nested, {})
    by_name = {p.name: p for p in space.parameters}
    assert set(by_name) == {
        "layers",
        *(f"{word}_{i}" for word in ("units", "drop", "share") for i in range(3)),
    }
    assert by_name["units_0"].when is None and by_name["units_1"].when == ("layers", (2, 3))
    assert by_name["share_2"].when == ("drop_2", (True,)) and by_name["drop_2"].when == (
        "layers",
        (3,),
    )
    layer = 2 * (1 + 2)
    assert space.finite_size() == layer + layer**2 + layer**3 == 258
    assert space.default() == {"layers": 1, "units_0": 8, "drop_0": False}


def test_ranges_are_those_of_kerastuner_and_include_the_upper_end(broad):
    space = function_space(broad, {})
    by_name = {p.name: p for p in space.parameters}
    assert by_name["share"].values == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # KerasTuner leaves 0.5 out
    assert by_name["momentum"].when == ("optimizer", ("sgd",)) and space.fixed == {"depth": 3}
    assert (by_name["width"].log, by_name["width"].whole, by_name["rate"].log) == (True, True, True)
    assert space.finite_size() is None and "depth=3" in str(space)


def test_hyperparameters_of_a_combination_of_values_are_discovered(model):
    def build(hp):
        if hp.Boolean("a") and hp.Boolean("b"):
            hp.Choice("both", [1, 2])
        if hp.Int("n", 1, 4) + hp.Int("m", 1, 4) > 5:
            hp.Choice("many", [1, 2])
        return model

    assert function_space(build, {}).names == ("a", "n", "m", "b", "both", "many")


def test_a_hypermodel_may_declare_hyperparameters_in_advance(model):
    class Declared(kt.HyperModel):
        def declare_hyperparameters(self, hp):
            with hp.name_scope("deep"):
                hp.Choice("rare", [1, 2])

        def build(self, hp):
            hp.Int("a", 1, 90)
            return model

    assert function_space(Declared(), {}).names == ("deep/rare", "a")


def test_a_point_that_fails_to_build_hides_no_other_point(model):
    def build(hp):
        if hp.Choice("size", ["small", "large", "huge"]) == "huge":
            raise ValueError("too large")
        hp.Choice("units", [1, 2])
        return model

    assert function_space(build, {}).names == ("size", "units")


# Every engine


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("function", ["nested", "broad"])
def test_the_default_comes_first_points_are_unique_and_a_killed_search_resumes(
    function, engine, tuned, request
):
    if engine == "optuna":
        pytest.importorskip("optuna")
    build = request.getfixturevalue(function)
    whole = tuned(build, "whole", engine=engine)
    first = whole.trials[0]
    assert first.baseline and first.hyperparameters == function_space(build, {}).default()
    points = [
        json.dumps([t["hyperparameters"], t.get("hyperband", {}).get("until")])
        for t in whole.trials
    ]
    assert len(set(points)) == len(points) >= 8
    for trial in whole.trials:  # no inactive value, and no missing value
        assert set(trial.hyperparameters) == requested(build, trial.hyperparameters) - {"depth"}
    for moment in (0, 3, 6):
        StandIn.kill_at = moment
        with pytest.raises(Killed):
            tuned(build, "killed", engine=engine)
    StandIn.kill_at = None
    assert tuned(build, "killed", engine=engine).trials == whole.trials


def test_the_grid_has_every_distinct_point_once(model, tuned):
    def build(hp):
        for i in range(hp.Int("layers", 1, 2)):
            hp.Choice(f"units_{i}", [1, 2])
        return model

    search = tuned(build, trials=100)
    assert search.request.engine == "grid" and search.finished
    seen = {
        tuple(t.hyperparameters[f"units_{i}"] for i in range(t.hyperparameters["layers"]))
        for t in search.trials
    }
    assert (
        seen == {*itertools.product([1, 2]), *itertools.product([1, 2], [1, 2])}
        and len(search.trials) == 6
    )


def test_the_plan_names_the_default_instead_of_a_preset(nested, tuned, tmp_path):
    plan = tuned(nested, dry_run=True, engine="random")
    assert_mentions(str(plan), "10 hyperparameters", "258 points")
    sizes = ("parameters", "100", "101", "default")
    assert any(not missing_from(line, sizes) for line in str(plan).splitlines())
    assert plan.preset == "build" and "share_2" in plan.space and not (tmp_path / "search").exists()


# Resuming


def test_another_default_range_or_source_does_not_resume_a_search(model, tuned):
    def make(default, *more):
        def build(hp):
            hp.Choice("units", [8, 16, *more], default=default)
            return model

        return build

    tuned(make(8))
    assert tuned(make(8)).finished
    with refuses("space.hyperparameters.units", "8, 16; 8", "8, 16; 16", "resume='never'"):
        tuned(make(16))
    with refuses("space.hyperparameters.units", "8, 16; 8", "8, 16, 32; 8", "resume='never'"):
        tuned(make(8, 32))

    def build(hp):
        hp.Choice("units", [8, 16], default=8)
        print("another body")
        return model

    with refuses("space.code", "resume='never'") as caught:
        tuned(build)
    assert len(set(re.findall(r"\b[0-9a-f]{12}\b", str(caught.value)))) == 2  # both hashes


@pytest.mark.parametrize(
    ("options", "parts"),
    [(dict(batch_size=8), ("batch_size", "32", "8")), (dict(epochs=3), ("epochs", "9", "3"))],
)
def test_other_settings_do_not_resume_a_search(nested, tuned, options, parts):
    tuned(nested)
    with refuses(*parts, "resume='never'"):
        tuned(nested, **options)


def test_the_folder_has_the_name_of_the_function(nested, tuned):
    assert tuned(nested, None, trials=1).path.name == "build-01"
    assert tuned(partial(nested), None, trials=1).path.name == "build-02"
    assert tuned(Dense("relu"), None, trials=1).path.name == "dense-01"
    assert tuned(lambda hp: nested(hp), None, trials=1).path.name == "lambda-01"


# Refused input


class Odd(kt.HyperModel):
    pass


class Nameless(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.compile("adam", "sparse_categorical_crossentropy")


REFUSED = {
    "a model": (lambda model: model, ("Sequential", "build(hp)", "compiled")),
    "a class": (lambda model: Dense, ("Dense", "class", "build(hp)")),
    "a preset's": (
        lambda model: kzoo.hypermodel("iris_fnn"),
        ("preset", "kzoo.tune('iris_fnn', space=...)"),
    ),
    "fit": (
        lambda model: WithFit("relu"),
        ("dense", "fit", "batch_size", "class_weight", "patience"),
    ),
    "nothing": (
        lambda model: lambda hp: None,
        ("lambda(hp)", "NoneType", "compiled", "keras.Model"),
    ),
    "not compiled": (lambda model: lambda hp: keras.Sequential(), ("lambda(hp)", "model.compile")),
    "no name": (lambda model: lambda hp: model, ("lambda(hp)", "hyperparameter")),
    "no build": (lambda model: Odd(), ("Odd(hp)", "NotImplementedError")),
    "no get_config": (
        lambda model: lambda hp: Nameless(hp.Choice("units", [1, 2])),
        ("lambda(hp)", "Nameless", "get_config"),
    ),
    "raises": (
        lambda model: lambda hp: 1 / 0,
        ("lambda(hp)", "ZeroDivisionError: division by zero"),
    ),
    "epochs": (
        lambda model: lambda hp: hp.Int("epochs", 1, 9) and model,
        ("hyperparameter", "epochs", "epochs="),
    ),
    "twice": (
        lambda model: lambda hp: hp.Int("batch_size", 8, 9) and model,
        ("hyperparameter", "lambda", "batch_size="),
    ),
    "default": (
        lambda model: lambda hp: hp.Int("units", 8, 9, default=2) and model,
        ("units", "default", "2", "8", "9"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_functions_that_cannot_be_searched_are_refused_on_a_single_line(
    case, model, tuned, tmp_path
):
    make, parts = REFUSED[case]
    with refuses(*parts) as caught:
        tuned(make(model), batch_size=16)
    assert "\n" not in str(caught.value) and not (tmp_path / "search").exists()


def test_wrong_data_and_settings_are_refused_before_the_function_is_explored(model):
    calls = []

    def build(hp):
        hp.Int("units", 1, 9)
        calls.append(hp)
        return model

    for data, options, wrong in (
        ("no/such.csv", {}, "'no/such.csv'"),
        ("iris", dict(learning_rate=0.1), "'learning_rate'"),
        ("iris", dict(objective="val_f9"), "'val_f9'"),
    ):
        with refuses(wrong):
            kzoo.tune(build, data, **options)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(space="quick"), ("space=", "function", "hyperparameters")),
        (dict(learning_rate=0.1), ("'learning_rate'", "batch_size", "class_weight", "patience")),
        (dict(objective="val_acuracy"), ("objective='val_acuracy'", "'val_accuracy'")),
        (dict(objective="rmse"), ("objective='rmse'", "accuracy")),
        (dict(engine="hyperband", folds=2), ("engine='hyperband'", "folds=")),
    ],
)
def test_options_that_do_not_suit_a_function(nested, tuned, options, parts):
    with refuses(*parts):
        tuned(nested, **options)


def test_a_custom_metric_needs_a_direction(tuned):
    def gain(truth, predicted):
        return keras.ops.mean(keras.ops.max(predicted, axis=-1))

    model = compiled([])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[gain])

    def build(hp):
        hp.Choice("units", [1, 2])
        return model

    with refuses("objective='val_gain'", "('val_gain', 'max')", "('val_gain', 'min')"):
        tuned(build)
    assert tuned(build, objective=("val_gain", "max")).objective == ("val_gain", "max")


# Training


def test_only_importable_functions_are_sent(nested):
    assert (
        can_be_sent(build_dense)
        and can_be_sent(Dense("relu"))
        and can_be_sent(partial(build_dense))
    )
    assert not can_be_sent(nested) and not can_be_sent(lambda hp: None)
    script = "from kzoo.training.workers.worker import can_be_sent\ndef build(hp): pass\nprint(can_be_sent(build))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert result.stdout.strip() == "False", result.stderr


@pytest.fixture(scope="module")
def searched(iris, tmp_path_factory):
    """A real search in this process, because the function is a closure; and the function."""

    def build(hp):
        hp.Choice("batch_size", [36, 54])
        return build_dense(hp)

    out = tmp_path_factory.mktemp("function") / "search"
    with untraced():
        return kzoo.tune(
            build, iris, out=out, trials=3, epochs=2, engine="random", seed=1, **QUIET
        ), build


def test_a_trial_trains_its_model_as_train_does(searched, iris, untraced):
    search, build = searched
    trial = search.trials[2]
    hp = kt.HyperParameters()
    hp.values = dict(trial.hyperparameters)
    keras.utils.set_random_seed(trial.seed)
    run = kzoo.train(
        build(hp),
        iris,
        out="run",
        seed=trial.seed,
        epochs=2,
        batch_size=trial.hyperparameters["batch_size"],
        monitor="val_accuracy",
        check=False,
        **QUIET,
    )
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(run.history[name], trial.history[name], rtol=1e-5)


def test_the_best_model_reproduces_the_score(searched, iris):
    search, _ = searched
    best = search.best_trial()
    again = kzoo.Search(search.path)
    for model in (search.best_model(), again.best_model()):
        predicted = model.predict(iris.validation.x, verbose=0).argmax(-1)
        assert (predicted == iris.validation.y).mean() == pytest.approx(best.score)
    hp = kt.HyperParameters()
    hp.values = search.best_config()
    assert build_dense(hp).count_params() == best.params


def test_the_best_model_has_the_dtype_policy_of_the_user(searched):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layers = searched[0].best_model().layers
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}


def test_retraining_the_winner_needs_the_same_function(searched, iris, untraced, undrawn, tmp_path):
    search, build = searched
    again = kzoo.Search(search.path)
    with refuses(str(search.path), "function", "build=build"):
        again.retrain(iris, out="none")
    with refuses("build=build_dense", str(search.path)) as caught:
        again.retrain(iris, out="none", build=build_dense)
    # the function that was tuned
    assert_mentions(str(caught.value).replace("build=build_dense", ""), "build")
    assert not (tmp_path / "none").exists()
    first = search.retrain(out="first", **QUIET)
    second = again.retrain(iris, out="second", build=build, **QUIET)
    assert first.summary["test"] == second.summary["test"]
    assert first.spec.training["batch_size"] == search.best_config()["batch_size"]


def test_numbered_names_of_keras_are_equal_in_all_trials(iris, untraced):
    def build(hp):
        model = keras.Sequential(
            [keras.layers.Dense(hp.Choice("units", [2, 4])), keras.layers.Dense(3)]
        )
        scored = [keras.metrics.AUC(from_logits=True, multi_label=True)]
        model.compile(
            "adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=scored
        )
        return model

    search = kzoo.tune(build, iris, out="auc", trials=2, epochs=1, batch_size=108, **QUIET)
    assert search.objective == ("val_auc", "max")
    assert [t.status for t in search.trials] == ["completed", "completed"]
    assert search.best_model().built


def test_save_preset_refuses_a_function(searched):
    with refuses("preset", "build", "function", "best_config()", "retrain()"):
        searched[0].save_preset("mine")


def test_compare_report_and_plots_name_the_default_instead_of_a_preset(searched, capsys):
    search, _ = searched
    assert main(["compare", str(search.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (baseline,) = (line for line in lines[2:5] if line.split()[1] == "0")
    for line in (lines[1], baseline):  # the column names, and trial 0
        assert_mentions(line, "default")
        assert "preset" not in line
    page = kzoo.report(search).read_text(encoding="utf-8")
    assert "preset" not in page and "hp.values = search.best_config()" in page
    texts = [
        text.get_text() for text in search.plot("history").findobj(lambda a: hasattr(a, "get_text"))
    ]
    score = search.trials[0].score
    assert any(not missing_from(text, ("default", f"{score:.4f}")) for text in texts)
    assert (search.path / "tensorboard/0000").is_dir() == (find_spec("tensorboard") is not None)
    shutil.copytree(search.path, "copy")
    assert [row["preset"] for row in kzoo.compare([search, "copy"]).to_dict("records")] == [
        "build",
        "build",
    ]


def test_ctrl_c_loses_nothing_when_this_process_trains(iris, untraced, tmp_path):
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
    resumed = kzoo.tune(build, iris, out="stopped", **options)
    whole = kzoo.tune(build, iris, out="whole", **options)
    names = ("hyperparameters", "status", "score", "best_epoch", "epochs", "history")
    assert [[t[name] for name in names] for t in resumed.trials] == [
        [t[name] for name in names] for t in whole.trials
    ]


def test_importance_lists_every_name_of_a_function(model, monkeypatch):
    monkeypatch.setattr(importance, "REPEATS", 3)

    def build(hp):
        for i in range(1, hp.Int("layers", 1, 3) + 1):
            hp.Choice(f"units_{i}", [1, 2, 4])
        return model

    space = function_space(build, {})
    random = np.random.default_rng(0)
    trials = []
    for number, values in enumerate(random_points(space, 0, 60)):
        score = values["layers"] + random.normal(0, 0.1)
        trials.append(
            Trial(
                number=number,
                status="completed",
                score=score,
                best_epoch=1,
                epochs=1,
                seed=0,
                hyperparameters=values,
                overrides=values,
                baseline=False,
            )
        )
    rows = importance_of(trials, Objective("val_accuracy", "max"), space.parameters)
    assert rows.rows[0].name == "layers"
    assert {row.name for row in rows.rows} | {name for name, _ in rows.left_out} == set(space.names)


def test_a_poor_trial_is_pruned(iris, untraced):
    def build(hp):
        return compiled(
            [], {"good": 0.05, "fair": 0.04, "slow": 0.03, "none": 0.0}[hp.Choice("rate", RATES)]
        )

    options = dict(epochs=5, batch_size=54, objective="val_loss", engine="grid")
    search = kzoo.tune(build, iris, out="pruned", **options, **QUIET)
    assert [t.hyperparameters["rate"] for t in search.trials] == RATES
    assert [t.status for t in search.trials] == ["completed", "completed", "completed", "pruned"]
    assert search.trials[3].epochs < 5 == search.trials[0].epochs


def test_models_can_be_scored_over_folds(iris, untraced):
    def build(hp):
        return compiled([keras.layers.Dense(hp.Int("units", 2, 8))])

    search = kzoo.tune(
        build, iris, out="folds", trials=2, epochs=1, folds=2, batch_size=60, **QUIET
    )
    assert [len(t.folds) for t in search.trials] == [2, 2] and search.finished


def test_the_batch_size_of_a_model_of_kzoo_build_is_used(iris):
    def build(hp):
        return kzoo.build("iris_fnn", units=(4,), batch_size=hp.Choice("rows", [8, 64]))

    space = module._function_subject(
        build,
        iris,
        module.DataOptions(),
        {"epochs": 2},
        space="standard",
        objective=None,
        folds=None,
        seed=0,
    ).space
    trainer = Trainer(
        preset=space, data=iris, objective=("val_accuracy", "max"), folds=None, fold_seed=0
    )
    assert [trainer.job({"rows": rows}, 0).training["batch_size"] for rows in (8, 64)] == [8, 64]


def test_models_have_the_dtype_policy_of_this_process_which_stays_unchanged(iris, untraced):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        setup = dict(
            preset=function_space(build_dense, {"epochs": 1}),
            data=iris,
            objective=("val_loss", "min"),
            folds=None,
        )
        with InProcess(None, trainer="kzoo.tuning.trial:Trainer", fold_seed=0, **setup) as here:
            keras.config.set_dtype_policy("float32")
            here.call("count", overrides={})
            here.call("probe", overrides={}, samples=[])
            assert keras.config.dtype_policy().name == "float32"
            assert here.trainer.job({}, 0).model.layers[0].dtype_policy.name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
