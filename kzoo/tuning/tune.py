"""`tune`: the settings of a preset searched for on data."""

import os
import signal
import sys
import tempfile
import time as clock
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import keras
import keras_tuner
from numpy.typing import ArrayLike

from kzoo import __version__
from kzoo.dataset.dataset import Dataset, Loadable
from kzoo.dataset.options import DataOptions
from kzoo.dataset.splits import Fold
from kzoo.dataset.summary import one_line
from kzoo.registry import Preset, get_preset
from kzoo.results.speed import faster_than
from kzoo.stored_types import Spec, plain
from kzoo.training.custom_model import CUSTOM_MODEL
from kzoo.training.folder import check_resume
from kzoo.training.plan import plan_training
from kzoo.training.provenance import provenance
from kzoo.training.resume import Signals
from kzoo.tuning.engines import choose_engine, engine_named
from kzoo.tuning.folder import begin_anew, claimed
from kzoo.tuning.folds import check_folds
from kzoo.tuning.initial_weights import InitialWeights
from kzoo.tuning.loop import Loop
from kzoo.tuning.plan import Plan, Size, make_plan, objective_of_function, resolve_objective, size_of
from kzoo.tuning.progress import Progress
from kzoo.tuning.records import Objective, Request
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.function_space import Build, FunctionSpace, builds_models, name_of, unexplored
from kzoo.tuning.spaces.space import Space
from kzoo.tuning.spaces.space import space as space_of
from kzoo.utils.argument_checks import checked_arguments, checked_count, checked_seconds, checked_seed
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import write_json
from kzoo.utils.formatting import printable, spelled
from kzoo.workers.pool import checked_pool, worker_pool
from kzoo.workers.worker import InProcess, Worker, can_be_sent

Tuned: TypeAlias = str | Preset | Build | keras_tuner.HyperModel

_FEW = 200  # validation rows: with fewer, an accuracy's standard error is some percent


@overload
def tune(preset_or_build: Tuned, data: "Loadable | None" = None, *, dry_run: Literal[True], **asked: Any) -> Plan: ...
@overload
def tune(
    preset_or_build: Tuned,
    data: "Loadable | None" = None,
    *,
    engine: str = "auto",
    trials: int = 20,
    epochs: int | None = None,
    max_time: float | str | None = None,
    space: str | Space = "standard",
    objective: str | None = None,
    baseline: bool = True,
    prune: Literal["median"] | None = "median",
    folds: int | None = None,
    parallel: int = 1,
    threads: int | None = None,
    executor: Executor | None = None,
    weights: str | os.PathLike[str] | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: Literal["auto", "must", "never"] = "auto",
    dry_run: Literal[False] = False,
    data_seed: int = 0,
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | Fold | Loadable | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    progress: bool = True,
    **overrides: Any,
) -> Search: ...
@checked_arguments
def tune(
    preset_or_build: Tuned,
    data: "Loadable | None" = None,
    *,
    engine: str = "auto",
    trials: int = 20,
    epochs: int | None = None,
    max_time: float | str | None = None,
    space: str | Space = "standard",
    objective: str | None = None,
    baseline: bool = True,
    prune: Literal["median"] | None = "median",
    folds: int | None = None,
    parallel: int = 1,
    threads: int | None = None,
    executor: Executor | None = None,
    weights: str | os.PathLike[str] | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: Literal["auto", "must", "never"] = "auto",
    dry_run: bool = False,
    data_seed: int = 0,
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | Fold | Loadable | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    progress: bool = True,
    **overrides: Any,
) -> Search | Plan:
    """Search for better settings of a preset, or of a function that builds models, and return the `Search`.

    Trial 0 is the preset itself, or the function's defaults; no point comes twice, and the test split is never looked
    at. Each trial is trained as `kzoo.train` would, in a process of its own; its score is that of its best epoch.
    However a search was stopped, be it killed, the same call continues it; asked for more `trials`, it goes on longer.

        def build(hp):
            model = keras.Sequential([keras.layers.Dense(hp.Int("units", 16, 128, step=16), "relu"), ...])
            model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-2, sampling="log")), "mse")
            return model

        search = kzoo.tune(build, data, batch_size=64, epochs=20)

    A function's hyperparameters are found by calling it: some dozen models are built and thrown away. Those that only
    some values of others bring up are found too; where it takes a combination of several, ask for it in any case, or in
    a HyperModel's `declare_hyperparameters`. One called batch_size, class_weight or patience is that setting of the
    training; `epochs` is not searched. A search is known again by the function's hyperparameters, defaults and source,
    not by what it calls and reads elsewhere. A function of a module is trained in a process of its own, one of a script
    or a notebook, and a lambda, in this one, which then cannot give back the memory of trials.

    Args:
        preset_or_build: a preset's name, a `Preset`, a function `build(hp)` that returns a compiled model, or a
            `keras_tuner.HyperModel` without a `fit` of its own.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        engine: "bayesian" (a Gaussian process), "grid", "hyperband", "optuna" (TPE, needs `kzoo[optuna]`), "random";
            "auto" takes the grid where no more than `trials` points are to be had, else bayesian.
        trials: how many, the preset among them. Hyperband computes its own number from `epochs`.
        epochs: of each trial, in place of the preset's; schedules follow. A function's models: 10.
        max_time: seconds, or "90s", "30m", "2h": no step is begun after it.
        space: "quick", "standard" or "full", or a `Space` (see `kzoo.space`); of presets only.
        objective: such as "val_accuracy" or "val_loss"; the default is the first of the metrics. Of a metric of your
            own a pair, such as ("val_gain", "max").
        baseline: whether trial 0 is the preset.
        prune: "median" stops a trial that is worse than half of the others at the same epoch, from the third on; None
            for never. Hyperband has its own way.
        folds: score each trial by cross-validation over this many parts of the training and validation rows.
        parallel: how many trials are under way at once. What is proposed follows from this number, and not from who
            trains, how fast, or who dies on the way. A Ctrl-C stops all of them.
        threads: of each trial's training; None is one with `parallel`, else as many as Keras takes. The bits of weights
            depend on it, so it belongs to the search.
        executor: whose processes train, in place of ones of this machine: any `concurrent.futures.Executor`, such as
            `dask.distributed.Client(...).get_executor()`. They need kzoo and the backend, and no folder in common with
            this one. After a Ctrl-C what is under way there is trained again by the same call.
        weights: what every trial begins with, as in `kzoo.train`: of a run or a file, or stored ones by a word. The
            network is that of the weights: layers and widths are not searched.
        freeze: layers that keep their weights in every trial; see `kzoo.train`.
        seed: of the proposals; trial n is trained with the seed `seed + n`.
        out: the search's folder; the default is `searches/NAME-NN`.
        resume: "auto" continues the same search in `out`; "must" does so or refuses, "never" starts over.
        dry_run: return the `Plan` (numbers of trials and epochs, sizes, an estimate of the time), and write nothing.
        data_seed: of the split into training, validation and test data.
        target, validation, test, drop, group, task, time, columns: see `kzoo.load_data`.
        progress: False for silence.
        overrides: settings of the preset, which are fixed and not searched; with a function, settings of training as
            for a model of your own in `kzoo.train`.

    Raises:
        KzooError: anything that can be known before the first trial; or no trial succeeded, with the causes.
        Interrupted: Ctrl-C; its `run` is the `Search`, which a notebook gets as the return value.
    """
    began = clock.time()
    _check(trials, seed, data_seed, prune, baseline, dry_run)
    threads = checked_pool(parallel, threads, executor)
    check_resume(resume)
    if watching := [name for name in ("monitor", "mode") if overrides.get(name) is not None]:
        raise KzooError(
            f"{watching[0]}={overrides[watching[0]]!r}: what a search watches is its objective=, such as 'val_loss', "
            "or ('val_gain', 'max') for a metric of your own."
        )
    budget = None if max_time is None else checked_seconds("max_time", max_time)
    if epochs is not None:
        overrides["epochs"] = epochs
    options = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time,
        columns=columns, seed=data_seed,
    )  # fmt: skip
    start = InitialWeights.of(preset_or_build, weights, freeze, executor)
    asked: dict[str, Any] = dict(space=space, objective=objective, folds=folds, seed=seed)
    if builds_models(preset_or_build):
        what = _own_subject(preset_or_build, data, options, overrides, **asked)
    else:
        what = _preset_subject(preset_or_build, data, options, overrides, start=start, **asked)
    data, notes = what.data, list(what.notes)
    if what.spec.config.get("target_scale") is not None:
        notes.append("The scores of trials are of standardised targets; test scores are in the targets' own unit.")
    if "backbone" in what.spec.config and weights is None:
        notes.append(
            "Trials begin with random weights, the backbone too: what a search finds so is not for training with "
            "weights=. Give them to the search."
        )
    if (bundle := overrides.get("callbacks", "quick")) not in ("standard", "quick", "tuning"):
        notes.append(f"callbacks={bundle!r} is for the run of retrain(): trials write and say nothing themselves.")
    if folds is not None:
        check_folds(folds, data)
    elif data.validation is not None and len(data.validation) < _FEW:
        notes.append(
            f"{len(data.validation)} validation rows choose the winner, so luck has a say. folds=5 scores "
            f"each trial on all {len(data.train) + len(data.validation)}."
        )
    chosen, size = _sized(
        engine, trials=trials, epochs=what.trained.training["epochs"], baseline=baseline, space=what.space,
        objective=what.objective, folds=folds,
    )  # fmt: skip
    request = Request(
        data=options.describe(data).json(), spec=plain(what.spec.json()), space=plain(what.space.to_json()),
        engine=chosen, objective=what.objective, epochs=what.trained.training["epochs"],
        prune=None if engine_named(chosen).in_rounds else prune, folds=folds, baseline=baseline, seed=seed,
        backend=keras.backend.backend(), trials=size.trials, max_time=budget, parallel=parallel, threads=threads,
        **start.identity(),
    )  # fmt: skip
    setup: dict[str, Any] = dict(  # of those who train: they never have the test rows
        trainer="kzoo.tuning.trial:Trainer", threads=threads, preset=what.trained,
        data=replace(data, test=None, notes=[]), objective=what.objective, folds=folds, fold_seed=data_seed,
        asked=frozenset(overrides), weights=start.weights, freeze=start.freeze,
    )  # fmt: skip
    process: type[Worker | InProcess] = Worker
    if (build := what.build) is not None and not can_be_sent(build):
        process = InProcess
        if threads is not None or executor is not None:
            raise KzooError(
                f"{name_of(build)} is in no module that another process could import, so that this one has to train: "
                f"leave parallel=, threads= and executor= out, or move it into a module."
            )
        notes.append(
            f"{name_of(build)} is in no module that another process could import: this one trains, and grows with each "
            f"trial."
        )
    if dry_run:
        with tempfile.TemporaryDirectory() as folder, process(Path(folder) / "worker.log", **setup) as worker:
            plan = make_plan(request, what.space, size, worker)
        _say([*notes, str(plan)], progress)
        return plan
    with claimed(out, request, resume=resume) as (folder, before):
        if before is not None and before.finished and before.request.trials >= size.trials:
            return Search(before, data, build, start.weights)
        with process(folder / "worker.log", **setup) as worker:
            plan = make_plan(request, what.space, size, worker)
            _say([one_line(data.overview), *data.notes, *notes, str(plan)], progress)
            if before is None:
                begin_anew(folder)
                if what.build is None:
                    _say(faster_than(request.backend, what.spec.preset), progress)
            write_json(folder / "preprocessing.json", plain(data.preprocessing))
            _stamped(request).write(folder)
            signals, deadline = Signals(), None if budget is None else began + budget
            with (
                signals.watched(),
                Progress(plan, deadline=deadline, silent=not progress) as show,
                worker_pool(worker, show, parallel, executor) as crew,
            ):
                loop = Loop(
                    folder, request, what.space, worker=worker, crew=crew, signals=signals, deadline=deadline, show=show
                )
                because = loop.run()
    return _ended(Search(folder, data, build, start.weights), loop, because, signals, progress)


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is searched, settled for the data.

    Args:
        trained: what makes the networks of trials: a preset, or the space of a function.
        space: the points.
        spec: the specification of the default point's network.
        data: the `Dataset`.
        objective: the `Objective`.
        notes: a line for each thing to know; those of the data are the data's.
        build: the user's function; None for a preset.
    """

    trained: Preset | FunctionSpace
    space: Space | FunctionSpace
    spec: Spec
    data: Dataset
    objective: Objective
    notes: tuple[str, ...] = ()
    build: Any = None


def _preset_subject(
    preset: Any, source: Any, options: DataOptions, overrides: dict[str, Any], *,
    start: InitialWeights, space: Any, objective: Any, folds: Any, seed: int,
) -> _Subject:  # fmt: skip
    named = get_preset(preset)
    asked = _space(space, named)
    assigned = plan_training(named, source, options, overrides, seed=seed).freezing(start.freeze)
    settled, data = assigned.settled, assigned.data
    goal = resolve_objective(objective, settled.config, settled.training, data, folds=folds)
    searched, notes = _searched(asked, named, settled, overrides), assigned.notes
    if start.weights is not None:
        searched, more = start.left_in(searched, data)
        notes = (*notes, *more)
    return _Subject(trained=settled, space=searched, spec=assigned.spec, data=data, objective=goal, notes=notes)


def _own_subject(
    build: Any, source: Any, options: DataOptions, overrides: dict[str, Any], *,
    space: Any, objective: Any, folds: Any, seed: int,
) -> _Subject:  # fmt: skip
    if space != "standard":
        raise KzooError("space= is of presets: a function's hyperparameters are those that it asks for.")
    named = unexplored(build, overrides)
    model = named.first_model()
    assigned = plan_training(model, source, options, overrides, seed=seed)
    own = {name: assigned.training[name] for name in CUSTOM_MODEL if name in assigned.training}
    spec = replace(assigned.spec, preset=named.name, family=None, config={}, training=own)
    goal = objective_of_function(objective, model, assigned.data, folds=folds)
    # Last, because it takes a while: whatever else is wrong has been said by now.
    found = replace(named.explored(), settings={**overrides, "epochs": own["epochs"]}, training=own)
    return _Subject(
        trained=found, space=found, spec=spec, data=assigned.data, objective=goal, notes=assigned.notes, build=build
    )


def _searched(asked: Space, named: Preset, settled: Preset, overrides: Mapping[str, Any]) -> Space:
    """Return the space for a settled preset; what is overridden is fixed in it.

    Raises:
        KzooError: nothing is left to search.
    """
    fixed = {name: (settled.config | settled.training)[name] for name in overrides if name != "epochs"}
    # What is fixed is fixed in a space of the preset's own values: another optimizer has a learning rate of its own.
    config, training = (
        now | {name: own[name] for name in own if name in fixed and name in now}
        for own, now in ((named.config, settled.config), (named.training, settled.training))
    )
    searched = asked.for_preset(replace(settled, config=config, training=training)).fix(**fixed)
    if not searched.names:
        raise KzooError("Nothing is left to search: every hyperparameter of this space is fixed.")
    return searched


def _sized(
    engine: str, *, trials: int, space: Space | FunctionSpace, folds: int | None, **shape: Any
) -> tuple[str, Size]:
    """Return the engine that is meant, and the size of the search.

    Raises:
        KzooError: Hyperband with folds, or in a space that is too small for it.
    """
    points = space.finite_size()
    chosen = choose_engine(engine, trials, points)
    in_rounds = engine_named(chosen).in_rounds
    if not in_rounds and points is not None:
        trials = min(trials, points)
    if in_rounds and folds is not None:
        raise KzooError(f"engine={chosen!r} continues trainings, and folds= scores whole ones. Choose one of them.")
    size = size_of(chosen, trials=trials, space=space, folds=folds, **shape)
    if in_rounds and points is not None and size.random >= points:
        raise KzooError(
            f"engine={chosen!r} needs {size.random} different points to begin with, and the space has {points}. "
            f"Use engine='grid', or fewer epochs."
        )
    return chosen, size


def _stamped(request: Request) -> Request:
    """Return the request with where and when it is carried out."""
    made = provenance()
    spec = dict(request.spec) | {"kzoo": __version__}
    where = {name: made[name] for name in ("versions", "machine", "onednn", "created")}
    return replace(request, spec=spec, **where)


def _ended(search: Search, loop: Loop, because: str, signals: Signals, progress: bool) -> Search:
    """Return the search, or raise what its end calls for; say what came out."""
    if signals.caught == signal.SIGTERM:
        print(f"{search.path}: stopped by SIGTERM; the same call goes on from there.", file=sys.stderr)
        raise SystemExit(128 + signal.SIGTERM)
    if because == "stopped":
        if "ipykernel" in sys.modules:
            return search
        raise Interrupted(search)
    best, done, lines = loop.best, len(loop.finished), []
    if best is None and because != "max_time":
        raise KzooError(f"No trial succeeded: {loop.causes()}. {search.path} has the trials.")
    if because == "max_time":
        asked = loop.request.trials
        lines.append(f"Time is up after {done} of {asked} trials. The same call with more time goes on.")
    if because == "exhausted":
        lines.append(f"The space has no further point within its limits: the search ends after {done} trials.")
    if best is not None:
        lines.append(f"best: trial {best.number}, {search.objective.name} {best.score:.4f}")
    _say(lines, progress)
    return search


def _space(space: Any, preset: Preset) -> Space:
    """Return the `Space` that is meant.

    Raises:
        KzooError: it is neither, or of another preset.
    """
    if isinstance(space, Space):
        if space.preset.name != preset.name:
            raise KzooError(
                f"space= is of {space.preset.name!r}, and {preset.name!r} is tuned. Use kzoo.space({preset.name!r})."
            )
        return space
    if not isinstance(space, str):
        raise KzooError(f"space={space!r} must be 'quick', 'standard', 'full', or what kzoo.space returns.")
    return space_of(preset, space)


def _check(trials: Any, seed: Any, data_seed: Any, prune: Any, baseline: Any, dry_run: Any) -> None:
    for name, value in (("baseline", baseline), ("dry_run", dry_run)):
        if not isinstance(value, bool):
            raise KzooError(f"{name}={value!r} must be True or False.")
    checked_count("trials", trials)
    for name, value in (("seed", seed), ("data_seed", data_seed)):
        checked_seed(name, value)
    if prune not in ("median", None):
        raise KzooError(f"prune={prune!r} must be 'median' or None.")


def _say(notes: Iterable[str], progress: bool) -> None:
    if progress:
        for note in notes:
            print(printable(spelled(note)), file=sys.stderr)
