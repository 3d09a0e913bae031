"""`tune`: search for hyperparameters of a preset or of a build function."""

import os
import signal
import sys
import tempfile
import time as clock
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import keras
import keras_tuner

from kzoo.callbacks.monitor import reported_metrics
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.inputs.image.photo_encoder import with_installed_weights
from kzoo.data.options import DataOptions
from kzoo.data.summary import summary_line
from kzoo.problems.data_arguments import with_data_options
from kzoo.problems.stored_types import Overrides, Spec, plain
from kzoo.training.custom_model import CUSTOM_MODEL
from kzoo.training.folder import check_resume
from kzoo.training.plan import plan_training
from kzoo.training.resume import Signals
from kzoo.training.suggestions import window_of
from kzoo.training.train import print_notes
from kzoo.training.workers.pool import checked_threads, worker_pool
from kzoo.training.workers.worker import InProcess, Worker, can_be_sent
from kzoo.tuning.engines import choose_engine, engine_named
from kzoo.tuning.folder import check_same_networks, claimed, clear_search, with_provenance
from kzoo.tuning.folds import check_folds
from kzoo.tuning.initial_weights import InitialWeights
from kzoo.tuning.loop import Loop
from kzoo.tuning.plan import (
    AutoPlan,
    Plan,
    Requested,
    Size,
    default_objective,
    make_plan,
    objective_of_function,
    resolve_objective,
    scored_settings,
    size_of,
)
from kzoo.tuning.progress import Progress
from kzoo.tuning.records import Objective, Request
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.function_space import (
    Build,
    FunctionSpace,
    builds_models,
    name_of,
    unexplored,
)
from kzoo.tuning.spaces.space import Space
from kzoo.tuning.spaces.space import space as space_of
from kzoo.utils.argument_checks import (
    checked_arguments,
    checked_count,
    checked_seconds,
    checked_seed,
)
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import JsonObject, write_json
from kzoo.zoo.contract import metrics_for
from kzoo.zoo.registry import AUTO, Preset, get_preset
from kzoo.zoo.results.speed import faster_than
from kzoo.zoo.run import Run

Tuned: TypeAlias = str | Preset | Build | keras_tuner.HyperModel

_FEW_ROWS = 200  # validation rows: with fewer, the standard error of an accuracy is several percent


@overload
def tune(
    preset_or_build: Tuned,
    data: "Loadable | None" = None,
    *,
    dry_run: Literal[True],
    **options: Any,
) -> Plan | AutoPlan: ...
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
    previous: Run | str | os.PathLike[str] | None = None,
    prefer: Literal["simple", "score"] = "simple",
    one_network: bool = False,
    progress: bool = True,
    **overrides: Any,
) -> Search: ...
@checked_arguments
@with_data_options()
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
    previous: Run | str | os.PathLike[str] | None = None,
    prefer: Literal["simple", "score"] = "simple",
    one_network: bool = False,
    progress: bool = True,
    **overrides: Any,
) -> Search | Plan | AutoPlan:
    """Search for better hyperparameters of a preset or a build function, and return the `Search`.

    Trial 0 is the preset itself, or the function's defaults. No point is repeated, and the test split is never used.
    Each trial is trained as by `kzoo.train`, in a separate process; its score is that of its best epoch. A search that
    was stopped or killed continues when the call is repeated; with more `trials`, it is extended.

    The hyperparameters of a function are discovered by calling it: a few dozen models are built and discarded.
    Conditional hyperparameters are found too; if one depends on a combination of several values, request it
    unconditionally or in a HyperModel's `declare_hyperparameters`. One named batch_size, class_weight or patience sets
    that training setting; `epochs` is not searched. A search is identified by the function's hyperparameters, defaults
    and source, not by what the function calls or reads elsewhere. A function of a module is trained in a separate
    process; one of a script or a notebook, or a lambda, in this process, which cannot free the memory of trials.

    Args:
        preset_or_build: a preset's name, a `Preset`, a function `build(hp)` that returns a compiled model, or a
            `keras_tuner.HyperModel` without its own `fit`. "auto" compares baselines and presets on folds, and chooses
            the simplest model that is not worse than the best: `Search.winner`, with its lead as `Search.verdict`. It
            takes `max_time` (by default ten minutes), `objective`, `folds`, `previous`, `prefer`, `one_network`,
            `parallel`, `threads`, `executor`, `seed`, `out`, `resume`, `dry_run`, the data options, and for series
            `horizon` and `input_shape` (steps of a window), and refuses the other arguments.
        data: anything `kzoo.load_data` takes; the default is the preset's data set.
        engine: "bayesian" (a Gaussian process, https://arxiv.org/abs/1206.2944), "grid", "hyperband"
            (https://arxiv.org/abs/1603.06560), "optuna" (TPE,
            https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization, needs `kzoo[optuna]`),
            "random"; "auto" uses the grid if the space has at most `trials` points, otherwise bayesian.
        trials: number of trials, including the preset. Hyperband computes its own number from `epochs`.
        epochs: of each trial, instead of the preset's; schedules are scaled to it. For a function the default is 10.
        max_time: seconds, or "90s", "30m", "2h": no training step starts after it.
        space: "quick", "standard" or "full", or a `Space` (see `kzoo.space`); for presets only.
        objective: a score of the whole validation split, such as "f1", "auc" or "recall@precision=0.9"; a function
            with its direction, `kzoo.objective(function)`; or a metric that Keras reports, such as "val_accuracy" or
            "val_loss". The default is the primary score for labels, counts and quantiles, and else the first metric;
            for "auto" the AUC of tables with two classes, else the primary score. For a custom metric
            a pair, such as ("val_gain", "max").
        baseline: whether trial 0 is the preset.
        prune: "median" stops a trial that is worse than half of the others at the same epoch, once three have ended
            (https://doi.org/10.1145/3097983.3098043); None disables it. Hyperband stops trials in its own way.
        folds: score each trial by cross-validation over this many folds of the training and validation rows.
        parallel: number of concurrent trials. The proposals depend on it, but not on which worker trains, its speed or
            its failures. Ctrl-C stops all trials.
        threads: threads of each trial's training; None is one with `parallel`, otherwise Keras' default. Weights depend
            on it in their last bits, so it is part of the search.
        executor: trains in its processes instead of local ones: any `concurrent.futures.Executor`, such as
            `dask.distributed.Client(...).get_executor()`. They need kzoo and the backend, but no shared folder. After
            Ctrl-C, running trials are trained again when the call is repeated.
        weights: initial weights of every trial, as in `kzoo.train`: a run, a file or the name of stored weights. They
            determine the network: layers and widths are not searched.
        freeze: layers that stay frozen in every trial; see `kzoo.train`.
        seed: of the proposals; trial n is trained with the seed `seed + n`.
        out: the search's folder; the default is `searches/NAME-NN`.
        resume: "auto" continues the same search in `out`; "must" continues it or raises, "never" starts over.
        dry_run: return the `Plan` (numbers of trials and epochs, sizes, estimated time) and write nothing.
        {data_options}
        previous: for "auto", an earlier run. Options of its data are taken where none are set, and the winner is
            compared with it on the same test rows.
        prefer: for "auto": "simple" chooses the simplest kind of model that ties with the highest score, "score" the
            model with the highest score.
        one_network: for "auto": if the choice is a mean of models, train a single network, of classes on the answers of
            the mean (distillation, https://arxiv.org/abs/1503.02531), and return that.
        progress: False to print nothing.
        overrides: settings of the preset, which are fixed and not searched; for a function, training settings as for a
            custom model in `kzoo.train`.

    Returns:
        The `Search`; with `dry_run`, the `Plan`.

    Raises:
        KzooError: an invalid argument, raised before the first trial; or no trial succeeded, with the causes.
        Interrupted: Ctrl-C; its `run` is the `Search`, which is returned instead in a notebook.

    Examples:
        >>> search = kzoo.tune("iris_fnn", "iris", trials=4, epochs=5, out="searches/iris")
        >>> len(search.trials), search.finished
        (4, True)
        >>> run = search.retrain(out="runs/best")
        >>> run.summary["test"]["examples"]
        30

        A function that builds a model:

        >>> import keras
        >>> def build(hp):
        ...     units = hp.Int("units", 8, 32, step=8)
        ...     layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(3)]
        ...     model = keras.Sequential([keras.Input((4,)), *layers])
        ...     rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
        ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        ...     model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        ...     return model
        >>> search = kzoo.tune(build, "iris", trials=2, epochs=2, out="searches/mine")
        >>> sorted(search.best_config())
        ['rate', 'units']
    """
    # 1. Check the arguments.
    started = clock.time()
    options = DataOptions.popped(overrides)
    _check_arguments(trials, seed, prune, baseline, dry_run, one_network)
    threads = checked_threads(parallel, threads, executor)
    check_resume(resume)
    if prefer not in ("simple", "score"):
        raise KzooError("is unknown. Use one of: simple, score.", argument="prefer", value=prefer)
    if reserved := [name for name in ("monitor", "mode") if overrides.get(name) is not None]:
        raise KzooError(
            f"{reserved[0]}={overrides[reserved[0]]!r} is not supported by kzoo.tune. Use objective=, such as "
            "'val_loss', or ('val_gain', 'max') for a custom metric."
        )
    budget = None if max_time is None else checked_seconds("max_time", max_time)
    if epochs is not None:
        overrides["epochs"] = epochs
    # 2. Load the data, and adapt the preset or explore the function.
    if isinstance(preset_or_build, str) and preset_or_build == AUTO:
        window = window_of(overrides, options)
        _refuse_settings(
            dict(
                engine=engine != "auto",
                trials=trials != 20,
                epochs=epochs is not None,
                space=space != "standard",
                baseline=not baseline,
                prune=prune != "median",
                weights=weights is not None,
                freeze=freeze is not None,
            )
            | dict.fromkeys(overrides.keys() - window.keys(), True)
        )
        searched: Search | AutoPlan = import_module("kzoo.auto.auto").auto(
            data,
            options,
            max_time=max_time,
            objective=objective,
            folds=folds,
            previous=previous,
            prefer=prefer,
            one_network=one_network,
            parallel=parallel,
            threads=threads,
            executor=executor,
            seed=seed,
            out=out,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
            window=window,
        )
        return searched
    for name, is_set, purpose in (
        (
            "previous",
            previous is not None,
            "compares the model that it chooses with an earlier one",
        ),
        ("prefer", prefer != "simple", "chooses among several kinds of models"),
        ("one_network", one_network, "may choose a mean of models"),
    ):
        if is_set:
            raise KzooError(f"is for 'auto', which {purpose}. Leave it out.", argument=name)
    weights, overrides = with_installed_weights(preset_or_build, weights, overrides)
    initial_weights = InitialWeights.from_arguments(preset_or_build, weights, freeze, executor)
    requested: dict[str, Any] = dict(space=space, objective=objective, folds=folds, seed=seed)
    if builds_models(preset_or_build):
        subject = _function_subject(preset_or_build, data, options, overrides, **requested)
    else:
        subject = _preset_subject(
            preset_or_build, data, options, overrides, initial_weights=initial_weights, **requested
        )
    data = subject.data
    notes = list(subject.notes)
    if subject.spec.config.get("target_scale") is not None and subject.scored is None:
        notes.append(
            "Scores of trials are for standardised targets; test scores are in the unit of the targets."
        )
    if "backbone" in subject.spec.config and weights is None:
        notes.append(
            "Trials start from random weights, including the backbone, so the result does not apply to training with "
            "weights=. Pass weights= to the search."
        )
    if (callbacks := overrides.get("callbacks", "quick")) not in ("standard", "quick", "tuning"):
        notes.append(
            f"callbacks={callbacks!r} applies to the run of retrain() only, not to trials."
        )
    if folds is not None:
        check_folds(folds, data)
    elif data.validation is not None and len(data.validation) < _FEW_ROWS:
        notes.append(
            f"{len(data.validation)} validation rows are few for choosing the best trial. folds=5 scores "
            f"each trial on all {len(data.train) + len(data.validation)} rows."
        )
    # 3. Describe the search, and set up the workers.
    chosen, size = _engine_and_size(
        engine,
        trials=trials,
        epochs=subject.trained.training["epochs"],
        baseline=baseline,
        space=subject.space,
        objective=subject.objective,
        folds=folds,
    )
    request = Request(
        data=options.describe(data).json(),
        spec=plain(subject.spec.json()),
        space=plain(subject.space.to_json()),
        engine=chosen,
        objective=subject.objective,
        epochs=subject.trained.training["epochs"],
        prune=None if engine_named(chosen).in_rounds else prune,
        folds=folds,
        baseline=baseline,
        seed=seed,
        backend=keras.backend.backend(),
        trials=size.trials,
        max_time=budget,
        parallel=parallel,
        threads=threads,
        **initial_weights.identity(),
    )
    setup: dict[str, Any] = dict(  # for the workers, which never get the test rows
        trainer="kzoo.tuning.trial:Trainer",
        threads=threads,
        preset=subject.trained,
        data=replace(data, test=None, notes=[]),
        objective=subject.objective,
        folds=folds,
        fold_seed=options.seed,
        overridden=frozenset(overrides),
        scored=subject.scored,
        weights=initial_weights.weights,
        freeze=initial_weights.freeze,
    )
    worker_class: type[Worker | InProcess] = Worker
    if (build := subject.build) is not None and not can_be_sent(build):
        worker_class = InProcess
        if threads is not None or executor is not None:
            raise KzooError(
                f"{name_of(build)} is not in a module that another process can import, so it trains in this process. "
                f"Omit parallel=, threads= and executor=, or move it to a module."
            )
        notes.append(
            f"{name_of(build)} is not in a module that another process can import. Trials train in this "
            f"process, and its memory grows with each trial."
        )
    # 4. Plan and run the search.
    if dry_run:
        with (
            tempfile.TemporaryDirectory() as scratch,
            worker_class(Path(scratch) / "worker.log", **setup) as worker,
        ):
            plan = make_plan(request, subject.space, size, worker)
        print_notes([*notes, str(plan)], progress)
        return plan
    with claimed(out, request, resume=resume) as (folder, earlier):
        if earlier is not None and earlier.finished and earlier.request.trials >= size.trials:
            return Search(earlier, data, build, initial_weights.weights)
        if earlier is not None and subject.spec is not None:
            check_same_networks(earlier, subject.spec.config)
        with worker_class(folder / "worker.log", **setup) as worker:
            plan = make_plan(request, subject.space, size, worker)
            print_notes([summary_line(data.overview), *data.notes, *notes, str(plan)], progress)
            if earlier is None:
                clear_search(folder)
                if subject.build is None:
                    print_notes(faster_than(request.backend, subject.spec.preset), progress)
            write_json(folder / "preprocessing.json", plain(data.preprocessing))
            with_provenance(request).write(folder)
            signals = Signals()
            deadline = None if budget is None else started + budget
            with (
                signals.watched(),
                Progress(plan, deadline=deadline, silent=not progress) as display,
                worker_pool(worker, display, parallel, executor) as pool,
            ):
                loop = Loop(
                    folder,
                    request,
                    subject.space,
                    worker=worker,
                    pool=pool,
                    signals=signals,
                    deadline=deadline,
                    progress=display,
                )
                reason = loop.run()
    return _conclude(
        Search(folder, data, build, initial_weights.weights), loop, reason, signals, progress
    )


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """The preset or function to search, adapted to the data.

    Args:
        trained: builds the networks of trials: a preset, or the space of a function.
        space: the space.
        spec: the specification of the default point's network.
        data: the `Dataset`.
        objective: the `Objective`.
        notes: lines to print, without those of the data.
        build: the user's function; None for a preset.
        scored: training settings for an objective that Keras does not report, or None.
    """

    trained: Preset | FunctionSpace
    space: Space | FunctionSpace
    spec: Spec
    data: Dataset
    objective: Objective
    notes: tuple[str, ...] = ()
    build: Any = None
    scored: Any = None


def _preset_subject(
    preset: str | Preset,
    source: "Loadable | None",
    options: DataOptions,
    overrides: JsonObject,
    *,
    initial_weights: InitialWeights,
    space: str | Space,
    objective: "Requested",
    folds: int | None,
    seed: int,
) -> _Subject:
    named_preset = get_preset(preset)
    requested_space = _checked_space(space, named_preset)
    plan = plan_training(named_preset, source, options, overrides, seed=seed).with_freeze(
        initial_weights.freeze
    )
    adapted, data = plan.adapted_preset, plan.data
    if objective is None:
        objective = default_objective(adapted.training, data, frozenset(overrides))
    resolved = resolve_objective(
        objective,
        adapted.config,
        adapted.training,
        data,
        folds=folds,
        requested=frozenset(overrides),
    )
    reported = ["loss", *metrics_for(data.task, adapted.config)]
    scored = scored_settings(objective, reported, adapted.training, data, frozenset(overrides))
    adapted_space = _adapt_space(requested_space, named_preset, adapted, overrides)
    notes = plan.notes
    if initial_weights.weights is not None:
        adapted_space, weights_notes = initial_weights.restrict(adapted_space, data)
        notes = (*notes, *weights_notes)
    return _Subject(
        trained=adapted,
        space=adapted_space,
        spec=plan.spec,
        data=data,
        objective=resolved,
        notes=notes,
        scored=_computed(scored),
    )


def _function_subject(
    build: Build | keras_tuner.HyperModel,
    source: "Loadable | None",
    options: DataOptions,
    overrides: JsonObject,
    *,
    space: str | Space,
    objective: "Requested",
    folds: int | None,
    seed: int,
) -> _Subject:
    if space != "standard":
        raise KzooError(
            "is for presets only. A build function defines its own hyperparameters.",
            argument="space",
        )
    function_space = unexplored(build, overrides)
    model = function_space.first_model()
    plan = plan_training(model, source, options, overrides, seed=seed)
    training = {name: plan.training[name] for name in CUSTOM_MODEL if name in plan.training}
    spec = replace(plan.spec, preset=function_space.name, family=None, config={}, training=training)
    resolved = objective_of_function(objective, model, plan.data, folds=folds)
    # Last, because it is slow: all other errors have been raised by now.
    explored = replace(
        function_space.explored(),
        settings={**overrides, "epochs": training["epochs"]},
        training=training,
    )
    return _Subject(
        trained=explored,
        space=explored,
        spec=spec,
        data=plan.data,
        objective=resolved,
        notes=plan.notes,
        build=build,
        scored=_computed(scored_settings(objective, reported_metrics(model), {}, plan.data, ())),
    )


def _computed(scored: JsonObject | None) -> JsonObject | None:
    """Return the settings of an objective if a callback computes it in the trials, else None.

    Raises:
        KzooError: it is a function that the process of a trial cannot import.
    """
    if scored is None or scored["mode"] is None:
        return None
    if not can_be_sent(scored["objective"]):
        raise KzooError(
            "is a function that other processes cannot import. Move it to a module.",
            argument="objective",
            value=str(scored["objective"]),
        )
    return scored


def _adapt_space(space: Space, preset: Preset, adapted: Preset, overrides: Overrides) -> Space:
    """Return the space for a preset adapted to the data, with all overridden settings fixed.

    Raises:
        KzooError: no hyperparameter is left to search.
    """
    fixed = {
        name: (adapted.config | adapted.training)[name] for name in overrides if name != "epochs"
    }
    # Settings are fixed in a space of the preset's values: a different optimizer has its own learning rate.
    config, training = (
        current | {name: original[name] for name in original if name in fixed and name in current}
        for original, current in (
            (preset.config, adapted.config),
            (preset.training, adapted.training),
        )
    )
    searched = space.for_preset(replace(adapted, config=config, training=training)).fix(**fixed)
    if not searched.names:
        raise KzooError("Nothing to search: all hyperparameters of this space are fixed.")
    return searched


def _engine_and_size(
    engine: str, *, trials: int, space: Space | FunctionSpace, folds: int | None, **shape: Any
) -> tuple[str, Size]:
    """Return the engine's name and the size of the search.

    Raises:
        KzooError: Hyperband with folds, or with a space that is too small.
    """
    points = space.finite_size()
    chosen = choose_engine(engine, trials, points)
    in_rounds = engine_named(chosen).in_rounds
    if not in_rounds and points is not None:
        trials = min(trials, points)
    if in_rounds and folds is not None:
        raise KzooError(
            "continues trials in rounds and cannot be combined with folds=. Use only one of them.",
            argument="engine",
            value=chosen,
        )
    size = size_of(chosen, trials=trials, space=space, folds=folds, **shape)
    if in_rounds and points is not None and size.random >= points:
        raise KzooError(
            f"needs more than {size.random} different points, but the space has {points}. "
            f"Use engine='grid' or fewer epochs.",
            argument="engine",
            value=chosen,
        )
    return chosen, size


def _conclude(search: Search, loop: Loop, reason: str, signals: Signals, progress: bool) -> Search:
    """Print the result of a search and return it; raise an error if it was stopped or no trial succeeded."""
    if signals.caught == signal.SIGTERM:
        print(
            f"{search.path}: stopped by SIGTERM. Repeat the same call to continue.", file=sys.stderr
        )
        raise SystemExit(128 + signal.SIGTERM)
    if reason == "stopped":
        # in a notebook, the next cells can use the unfinished search
        if "ipykernel" in sys.modules:
            return search
        raise Interrupted(search)
    best = loop.best
    finished = len(loop.finished)
    lines = []
    if best is None and reason != "max_time":
        raise KzooError(f"No trial succeeded: {loop.causes()}. The trials are in {search.path}.")
    if reason == "max_time":
        requested = loop.request.trials
        lines.append(
            f"Time is up after {finished} of {requested} trials. Repeat the call with more time to continue."
        )
    if reason == "exhausted":
        lines.append(
            f"The space has no more points within its limits. The search ended after {finished} trials."
        )
    if best is not None:
        lines.append(f"best: trial {best.number}, {search.objective.name} {best.score:.4f}")
    print_notes(lines, progress)
    return search


def _refuse_settings(settings: Mapping[str, bool]) -> None:
    """Raise KzooError for the first of some arguments that is set: `auto` decides it itself.

    Args:
        settings: name of an argument of `kzoo.tune` -> whether it is set.
    """
    if changed := [name for name, is_set in settings.items() if is_set]:
        raise KzooError(
            f"{changed[0]}= is not available for 'auto', which tries several presets. Tune a preset with it."
        )


def _checked_space(space: object, preset: Preset) -> Space:
    """Return the `Space` for the argument of `tune`.

    Raises:
        KzooError: it is neither a size nor a `Space`, or is of another preset.
    """
    if isinstance(space, Space):
        if space.preset.name != preset.name:
            raise KzooError(
                f"is for {space.preset.name!r}, not for {preset.name!r}. Use kzoo.space({preset.name!r}).",
                argument="space",
            )
        return space
    if not isinstance(space, str):
        raise KzooError(
            "must be 'quick', 'standard', 'full', or a Space from kzoo.space.",
            argument="space",
            value=space,
        )
    return space_of(preset, space)


def _check_arguments(
    trials: object,
    seed: object,
    prune: object,
    baseline: object,
    dry_run: object,
    one_network: object,
) -> None:
    flags = (("baseline", baseline), ("dry_run", dry_run), ("one_network", one_network))
    for name, value in flags:
        if not isinstance(value, bool):
            raise KzooError("must be True or False.", argument=name, value=value)
    checked_count("trials", trials)
    checked_seed("seed", seed)
    if prune not in ("median", None):
        raise KzooError("must be 'median' or None.", argument="prune", value=prune)
