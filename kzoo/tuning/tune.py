"""`tune`: the settings of a preset searched for on data."""

import signal
import sys
import tempfile
import time as clock
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kzoo import __version__
from kzoo.data.options import DataOptions
from kzoo.errors import Interrupted, KzooError
from kzoo.files import write_json
from kzoo.nouns import plain
from kzoo.registry import get_preset
from kzoo.training.record import provenance
from kzoo.training.resume import Signals
from kzoo.training.road import assign
from kzoo.tuning.conduct import Conductor
from kzoo.tuning.engines import choose_engine
from kzoo.tuning.folds import check_folds
from kzoo.tuning.objective import settle_objective
from kzoo.tuning.place import begin_anew, check_resume, claimed
from kzoo.tuning.plan import Plan, parse_time, samples_of, size_of
from kzoo.tuning.process import TrialFailed, Worker
from kzoo.tuning.progress import Progress
from kzoo.tuning.search import Search
from kzoo.tuning.space import Space
from kzoo.tuning.space import space as space_of

_FEW = 200  # validation rows: with fewer, an accuracy's standard error is some percent


def tune(
    preset,
    data=None,
    *,
    engine="auto",
    trials=20,
    epochs=None,
    max_time=None,
    space="standard",
    objective=None,
    baseline=True,
    prune="median",
    folds=None,
    seed=0,
    out=None,
    resume="auto",
    dry_run=False,
    data_seed=0,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    group=None,
    task=None,
    time=None,
    progress=True,
    **overrides,
):
    """Search for better settings of a preset, and return the `Search`.

    Trial 0 is the preset itself, no point comes twice, and the test split is never looked at. Each trial is trained as
    `kzoo.train` would, in a process of its own; its score is that of its best epoch. However a search was stopped, be
    it killed, the same call goes on with it; asked for more `trials`, it goes on longer.

    Args:
        preset: a preset's name, or a `Preset`.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        engine: "grid", "random", "bayesian" (a Gaussian process), "hyperband", "optuna" (TPE, needs `kzoo[optuna]`);
            "auto" takes the grid where no more than `trials` points are to be had, else bayesian.
        trials: how many, the preset among them. Hyperband computes its own number from `epochs`.
        epochs: of each trial, in place of the preset's; schedules follow.
        max_time: seconds, or "90s", "30m", "2h": no step is begun after it.
        space: "quick", "standard" or "full", or a `Space` (see `kzoo.space`).
        objective: such as "val_accuracy" or "val_loss"; the default is the first of the preset's metrics.
        baseline: whether trial 0 is the preset.
        prune: "median" stops a trial that is worse than half of the others at the same epoch, from the third on; None
            for never. Hyperband has its own way.
        folds: score each trial by cross-validation over so many parts of the training and validation rows.
        seed: of the proposals; trial n is trained with the seed `seed + n`.
        out: the search's folder; the default is `searches/PRESET-NN`.
        resume: "auto" goes on with the same search in `out`; "must" does so or refuses, "never" begins anew.
        dry_run: return the `Plan` (numbers of trials and epochs, sizes, an estimate of the time), and write nothing.
        data_seed: of the split into training, validation and test data.
        target, validation, test, drop, group, task, time: see `kzoo.load_data`.
        progress: False for silence.
        overrides: settings of the preset, which are fixed and not searched.

    Raises:
        KzooError: anything that can be known before the first trial; or no trial succeeded, with the causes.
        Interrupted: Ctrl-C; its `run` is the `Search`, which a notebook gets as the return value.
    """
    began = clock.time()
    _check(trials, seed, data_seed, prune, baseline, dry_run)
    check_resume(resume)
    budget = parse_time(max_time)
    if epochs is not None:
        overrides["epochs"] = epochs
    named = get_preset(preset)
    asked = _space(space, named)
    options = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time, seed=data_seed,
    )  # fmt: skip
    assigned = assign(named, data, options, overrides, seed=seed)
    data, config, training = assigned.data, assigned.config, assigned.training
    notes = list(assigned.notes)
    if config.get("target_scale") is not None:
        notes.append("What is compared is of standardised targets; the test scores are in their own unit.")
    goal = settle_objective(objective, config, training, data, folds=folds)
    if folds is not None:
        check_folds(folds, data, group)
    elif data.validation is not None and len(data.validation) < _FEW:
        rows = len(data.train) + len(data.validation)
        notes.append(
            f"{len(data.validation)} validation rows choose the winner, so luck has a say. folds=5 scores "
            f"each trial on all {rows}."
        )
    settled = assigned.settled
    fixed = {name: (config | training)[name] for name in overrides if name != "epochs"}
    # What is fixed is fixed in a space of the preset's own values: another optimizer has a learning rate of its own.
    own = {name: value for name, value in (*named.config.items(), *named.training.items()) if name in fixed}
    basis = replace(
        settled,
        config=config | {name: value for name, value in own.items() if name in config},
        training=training | {name: value for name, value in own.items() if name in training},
    )
    searched = asked.for_preset(basis).fix(**fixed)
    if not searched.names:
        raise KzooError("Nothing is left to search: every hyperparameter of this space is fixed.")
    points = searched.finite_size()
    chosen = choose_engine(engine, trials, points)
    if chosen != "hyperband" and points is not None:
        trials = min(trials, points)
    shape = dict(
        trials=trials, epochs=training["epochs"], baseline=baseline, space=searched, objective=goal, folds=folds
    )
    if chosen == "hyperband" and folds is not None:
        raise KzooError("engine='hyperband' goes on with trainings, and folds= scores whole ones. Choose one of them.")
    trials, most, random, brackets = size_of(chosen, **shape)
    if chosen == "hyperband" and points is not None and random >= points:
        raise KzooError(
            f"engine='hyperband' needs {random} different points to begin with, and the space has {points}. "
            f"Use engine='grid', or fewer epochs."
        )
    request = dict(  # in the order in which a difference is explained best
        data=options.describe(data).json(),
        spec=assigned.spec.json(),
        space=searched.to_json(),
        engine=chosen,
        objective=dict(name=goal[0], direction=goal[1]),
        epochs=training["epochs"],
        prune=None if chosen == "hyperband" else prune,
        folds=folds,
        baseline=baseline,
        seed=seed,
        backend=keras.backend.backend(),
        trials=trials,
        max_time=budget,
    )
    setup = dict(
        preset=settled, data=replace(data, test=None, notes=[]), objective=goal, folds=folds, fold_seed=data_seed
    )
    planned = dict(
        preset=named.name, engine=chosen, objective=goal, trials=trials, epochs=most, random=random,
        brackets=brackets, folds=folds, space=searched, seed=seed,
    )  # fmt: skip
    if dry_run:
        with tempfile.TemporaryDirectory() as folder, Worker(Path(folder) / "worker.log", **setup) as worker:
            plan = _plan(worker, data, training["batch_size"], **planned)
        _say([*notes, str(plan)], progress)
        return plan
    with claimed(out, request, resume=resume) as (folder, before):
        if before is not None and before.finished and before.config["trials"] >= trials:
            before._data = data
            return before
        with Worker(folder / "worker.log", **setup) as worker:
            plan = _plan(worker, data, training["batch_size"], **planned)
            _say([*data.notes, *notes, str(plan)], progress)
            if before is None:
                begin_anew(folder)
            write_json(folder / "preprocessing.json", plain(data.preprocessing))
            document = {"kzoo_search": 1} | plain(request | provenance())
            document["spec"]["kzoo"] = __version__
            write_json(folder / "search.json", document)
            return _conduct(folder, worker, data, plan, searched, seed, prune, folds, baseline, settled, began, budget,
                            progress)  # fmt: skip


def _conduct(folder, worker, data, plan, space, seed, prune, folds, baseline, preset, began, budget, progress):
    """Run the search in its folder, and return it, however it ended."""
    signals, deadline = Signals(), None if budget is None else began + budget
    with signals.watched(), Progress(plan, deadline=deadline, silent=not progress) as show:
        conductor = Conductor(
            folder, engine=plan.engine, space=space, seed=seed, objective=plan.objective, trials=plan.trials,
            epochs=preset.training["epochs"], baseline=baseline, prune=prune, folds=folds, worker=worker,
            signals=signals, deadline=deadline, show=show,
        )  # fmt: skip
        because = conductor.run()
    search = Search(folder)
    search._data = data
    if signals.caught == signal.SIGTERM:
        print(f"{folder}: stopped by SIGTERM; the same call goes on from there.", file=sys.stderr)
        raise SystemExit(128 + signal.SIGTERM)
    if because == "stopped":
        if "ipykernel" in sys.modules:
            return search
        raise Interrupted(search)
    if conductor.best() is None and because != "max_time":
        raise KzooError(f"No trial succeeded: {conductor.causes()}. {folder} has the trials.")
    _say(_ending(conductor, because, plan), progress)
    return search


def _ending(conductor, because, plan):
    """Return lines about what came out."""
    best, lines = conductor.best(), []
    done = len(conductor.finished)
    if because == "max_time":
        lines.append(f"The time is over after {done} of {plan.trials} trials. The same call with more time goes on.")
    if because == "exhausted":
        lines.append(f"The space has no other point within its limits: it ends after {done} trials.")
    if best is not None:
        lines.append(f"best: trial {best['trial']}, {plan.objective[0]} {best['score']:.4f}")
    return lines


def _plan(worker, data, batch_size, *, preset, space, seed, trials, epochs, **rest):
    """Have the default point built and one step timed, and return the `Plan`."""
    samples = [space.overrides(values) for values in samples_of(space, seed)]
    try:
        found = worker.ask("probe", overrides=space.overrides(space.default()), samples=samples)
    except TrialFailed as error:
        raise KzooError(f"{preset} cannot be trained: {error}") from None
    own = found["params"]
    if space.max_params is not None and own > space.max_params:
        raise KzooError(
            f"limit(params={space.max_params:,}) is less than the preset's own {own:,} parameters. Raise it, or "
            f"override the preset's size."
        )
    counts = [own, *(c for c in found["counts"] if c is not None)]
    counts = [c for c in counts if space.max_params is None or c <= space.max_params]
    steps = -(-len(data.train) // batch_size)
    seconds = epochs * steps * found["step"] + trials * found["first"]
    return Plan(
        preset=preset, data=data.name, trials=trials, epochs=epochs, hyperparameters=len(space.names),
        points=space.finite_size(), params=(min(counts), own, max(counts)), sampled=len(counts),
        step=found["step"], seconds=seconds, space=str(space), **rest,
    )  # fmt: skip


def _space(space, preset):
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


def _check(trials, seed, data_seed, prune, baseline, dry_run):
    for name, value in (("baseline", baseline), ("dry_run", dry_run)):
        if not isinstance(value, bool):
            raise KzooError(f"{name}={value!r} must be True or False.")
    if isinstance(trials, bool) or not isinstance(trials, int | np.integer) or trials < 1:
        raise KzooError(f"trials={trials!r} must be a whole number of at least 1.")
    for name, value in (("seed", seed), ("data_seed", data_seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**32:
            raise KzooError(f"{name}={value!r} must be a whole number from 0 to 4294967295.")
    if prune not in ("median", None):
        raise KzooError(f"prune={prune!r} must be 'median' or None.")


def _say(notes, progress):
    if progress:
        for note in notes:
            print(note, file=sys.stderr)
