"""`train`: a preset and data become a run."""

import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import keras
from numpy.typing import ArrayLike

from kzoo.checks import check_before_training
from kzoo.command import command_of
from kzoo.data.statistics import statistics
from kzoo.dataset.dataset import Loadable
from kzoo.dataset.options import DataOptions
from kzoo.dataset.splits import Fold
from kzoo.dataset.summary import one_line
from kzoo.loading import registered_in
from kzoo.network import table_of
from kzoo.plots.curves import curves
from kzoo.predictions import ANSWERS
from kzoo.registry import Preset
from kzoo.results.speed import faster_than
from kzoo.run import POSTPROCESSING, Run, has_journal
from kzoo.stored_types import Request, to_stored
from kzoo.training.baselines import score_baselines
from kzoo.training.custom_model import check_custom_model
from kzoo.training.device import shared_by, spread_over
from kzoo.training.fit import Fit
from kzoo.training.folder import claimed, replaced
from kzoo.training.identity import identity
from kzoo.training.initial_weights import checked_name
from kzoo.training.journal import remove_journal
from kzoo.training.plan import plan_training
from kzoo.training.provenance import provenance
from kzoo.training.resume import Cadence, Signals, StopRequest
from kzoo.training.score import learned_postprocessor
from kzoo.training.setup import TrainingSetup
from kzoo.training.stored_predictions import score_and_store
from kzoo.training.strip_optimizer import strip_optimizer
from kzoo.utils import onednn
from kzoo.utils.argument_checks import checked_arguments, checked_seed, checked_steps_per_call
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import finite, whole_file, write_json
from kzoo.utils.formatting import plural, printable, spelled
from kzoo.weights import frozen


@checked_arguments
def train(
    preset_or_model: str | Preset | keras.Model,
    data: "Loadable | None" = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    data_seed: int = 0,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    weights: Run | str | os.PathLike[str] | keras.Model | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto",
    deterministic: bool = False,
    devices: int | None = None,
    overwrite: bool = False,
    resume: Literal["auto", "must", "never"] = "auto",
    journal_seconds: float = 30.0,
    journal_steps: int | None = None,
    steps_per_call: int | Literal["auto"] = "auto",
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | Fold | Loadable | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    check: bool = True,
    baselines: bool = True,
    progress: bool = True,
    **overrides: Any,
) -> Run:
    """Train a preset, or a compiled model of your own, and return the run.

    The head follows the data: number of classes or targets, loss and metrics. The epoch with the best
    validation value is kept; the test split is looked at once, at the end.

    Args:
        preset_or_model: a preset's name, a `Preset`, or a compiled `keras.Model`.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        out: the run's folder; the default is `runs/PRESET-NN`. A folder that holds the same run, finished,
            is returned as it is.
        epochs: passes over the training split, in place of the preset's; schedules follow.
        seed: of weights, order, dropout and augmentation.
        data_seed: of the split into training, validation and test data.
        callbacks: the name of a bundle, which replaces the preset's, or a list, which is added to it.
        weights: to begin with, taken layer by layer: of a run, a `.keras` or `.weights.h5` file or a model, or stored
            ones of this preset by their name (`kzoo show PRESET` lists them); "imagenet" downloads those of a backbone.
            They follow words, classes, columns and categories by name; files that are no run's, by place.
        freeze: layers that keep their weights: a glob, several, or True for all that `weights` gave.
        precision: "float32", "mixed_bfloat16" or "mixed_float16"; "auto" is the preset's where the device computes
            with it, which a line says where not, and the device's own where the preset has none. Saved models are
            float32. A model of your own computes in what it was built in.
        deterministic: refuse or replace operations whose bits differ from run to run, which a CPU hardly has and a GPU
            does; slower. With TensorFlow it then holds for the whole process.
        devices: how many of this machine share each batch (JAX); the same number gives the same bits. What is less
            than a batch at the end of an epoch's order is left out there.
        overwrite: replace a different run in `out`.
        resume: "auto" goes on, bit for bit, with the same run where it was stopped in `out` (with `out=None`: in the
            newest of `runs/PRESET-NN`); "must" does so or refuses; "never" starts over.
        journal_seconds: between two journals inside an epoch, at the least; there is one after each epoch too, but
            never so often that they cost more than one percent of the time.
        journal_steps: write one after this many steps, and after each epoch, whatever it costs.
        steps_per_call: how many steps one compiled call makes, at the most. "auto" is a quarter of a second's worth
            where network, data and backend allow it (TensorFlow and JAX; arrays in memory, not augmented), which is
            what makes small networks fast; 1 is Keras' own single step, from which the other differs by rounding. A
            callback of yours that looks at single steps sees each.
        target, validation, test, drop, group, task, time, columns: see `kzoo.load_data`.
        check: run the quick checks of `kzoo.check` first; an error stops, a warning is printed.
        baselines: score what needs no network beside it, on the same split (`kzoo.baselines`): in about five seconds
            each, or two percent of the training's time. What would take longer learns from fewer rows, and says so.
        progress: False for silence.
        overrides: any name in the preset's `config` or `training`.

    Raises:
        KzooError: anything that can be known before the first epoch; nothing has been written then.
        Interrupted: Ctrl-C; the step was finished and everything written. Its `run` is what there is, which a notebook
            gets as the return value. SIGTERM ends the process with exit code 143 in the same way.
    """
    seed = checked_seed("seed", seed)
    cadence = Cadence(seconds=journal_seconds, steps=journal_steps)
    calls = checked_steps_per_call(steps_per_call)
    options = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time, columns=columns,
        seed=checked_seed("data_seed", data_seed),
    )  # fmt: skip
    extra = user_callbacks(callbacks, epochs, overrides)
    freeze = frozen(freeze)
    check_custom_model(preset_or_model, weights=weights, freeze=freeze, precision=precision, devices=devices)
    assigned = plan_training(preset_or_model, data, options, overrides, seed=seed).watching().freezing(freeze)
    policy, distribution = assigned.policy(precision, deterministic=deterministic), spread_over(devices)
    if distribution is not None:
        assigned = assigned.shared_out(devices)
    name = checked_name(weights, assigned.spec.preset)
    request = Request(
        data=options.describe(assigned.data),
        spec=assigned.spec,
        weights=name,
        freeze=freeze,
        precision=policy if assigned.own is None else assigned.own.dtype_policy.name,
        backend=keras.backend.backend(),
        deterministic=bool(deterministic),
        devices=devices,
        **identity(assigned.own, weights, assigned.spec.preset, extra),
    )
    # A built model may have other weights and settings than a command can say.
    repeat = command_of(
        None if assigned.own is not None else assigned.preset, data, overrides, options, seed=seed,
        weights=request.weights, freeze=freeze, precision=precision, backend=request.backend, devices=devices,
        deterministic=request.deterministic,
    )  # fmt: skip
    with claimed(out, request, overwrite=overwrite, resume=resume) as claim:
        if claim.done is not None:
            print_notes(claim.notes, progress)
            return claim.done
        with shared_by(distribution):
            job = assigned.ready(policy, weights=weights, freeze=freeze, resumed=claim.state is not None)
        warnings = check_before_training(job, command=repeat) if check else []
        fit = Fit(
            job, claim.folder, state=claim.state, extra=extra, progress=progress, cadence=cadence,
            steps_per_call=calls, distribution=distribution,
        )  # fmt: skip
        notes = [one_line(job.data.overview), *job.data.notes, *job.notes, *warnings]
        print_notes([*notes, *claim.notes, *fit.notes, *onednn.advice()], progress)
        if claim.state is not None:
            return _finished(fit, baselines)
        if assigned.preset is not None:
            samples = assigned.training["epochs"] * len(assigned.data.train)
            print_notes(faster_than(keras.backend.backend(), assigned.preset.name, samples), progress)
        with replaced(claim.folder):
            describe(
                claim.folder, job, request, command=repeat, overrides=overrides,
                notes=notes if isinstance(test, Fold) else (),
            )  # fmt: skip
            return _finished(fit, baselines)


def user_callbacks(callbacks: Any, epochs: int | None, overrides: dict[str, Any]) -> list[keras.callbacks.Callback]:
    """Return the user's own callbacks; a bundle's name, and the epochs, become overrides.

    Raises:
        KzooError: `callbacks` is neither.
    """
    if epochs is not None:
        overrides["epochs"] = epochs
    if isinstance(callbacks, str):
        overrides["callbacks"] = callbacks
        return []
    extra = list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]
    if wrong := [c for c in extra if not isinstance(c, keras.callbacks.Callback)]:
        raise KzooError(f"callbacks= takes a bundle's name or a list of keras callbacks, not {wrong[0]!r}.")
    return extra


def describe(
    folder: Path, job: TrainingSetup, request: Request, *, command: str | None,
    overrides: Mapping[str, Any] | None = None, notes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write what makes a folder a run's: what is trained on what, and what reads new inputs.

    Args:
        folder: the run's.
        job, request: what is trained, and what was asked for.
        command: that repeats it.
        overrides: settings that were changed; None where a model was built with them.
        notes: of a fold, which whoever trains all of them says.
    """
    config = replace(request, spec=job.spec).json() | {"command": command, "statistics": statistics(job.data)}
    config |= {} if overrides is None else {"overrides": to_stored(overrides)}
    config |= {"network": table_of(job.saved)} | ({"notes": list(notes)} if notes else {})
    if "probabilities" in job.data.problem.facts:
        config["answers"] = next(word for word, logits in ANSWERS.items() if logits is job.gives_logits)
    write_json(folder / "preprocessing.json", job.data.preprocessing)
    write_json(folder / "config.json", config | provenance())


def _finished(fit: Fit, baselines: bool) -> Run:
    """Train, however it ends, score the best weights, and return the run.

    Raises:
        Interrupted: Ctrl-C, except in a notebook.
        SystemExit: SIGTERM.
    """
    signals, interrupted = Signals(), False
    try:
        with signals.watched():
            fit.train_until_end(signals)
    except (StopRequest, KeyboardInterrupt):
        interrupted = True
    if signals.caught == signal.SIGTERM:
        print(f"{fit.folder}: stopped by SIGTERM; the same call goes on from there.", file=sys.stderr)
        raise SystemExit(128 + signal.SIGTERM)
    summarise(fit, baselines=baselines, interrupted=interrupted)
    run = Run(fit.folder, trusted=registered_in(fit.job.saved) if fit.job.spec.family is None else ())
    if not interrupted:
        remove_journal(fit.folder)
    elif "ipykernel" not in sys.modules:
        raise Interrupted(run)
    return run


def summarise(fit: Fit, *, baselines: bool = True, interrupted: bool = False) -> None:
    """Write the scores of the best weights beside those of baselines, and the curves: the run is finished."""
    job, best, history = fit.job, fit.best, fit.history
    if not history:
        more = "the same call goes on from there" if has_journal(fit.folder) else "nothing was kept"
        raise KeyboardInterrupt(f"stopped before the first epoch ended; {more}")
    if best.best_epoch is None:
        raise KzooError(f"Training failed: {best.stopped_because or 'no epoch had a finite value'}.")
    model, batch_size = job.saved_weights(), max(job.training["batch_size"], 128)
    seen = min(job.examples, len(fit.train) * job.training["batch_size"])
    how: dict[str, Any] = dict(logits=job.gives_logits, batch_size=batch_size)
    if steps := job.training.get("postprocess"):
        how["postprocessor"] = learned_postprocessor(model, job.data, steps, **how)
        write_json(fit.folder / POSTPROCESSING, how["postprocessor"].json())
    summary = dict(
        **score_and_store(model, job.data, fit.folder, **how),
        monitor=best.monitor,
        best_epoch=best.best_epoch + 1,
        best_value=best.best * best.sign,
        epochs=len(history),
        interrupted=interrupted,
        stopped_because="interrupted" if interrupted else best.stopped_because or _how_it_ended(fit),
        seconds=round(fit.seconds(), 2),
        resumed=fit.resumed,
        rollbacks=fit.rollbacks,
        samples_per_second=round(len(history) * seen / max(sum(r["seconds"] for r in history), 1e-9), 1),
        parameters=model.count_params(),
    )
    if baselines and not interrupted and (job.data.test is not None or job.data.validation is not None):
        summary["baselines"] = score_baselines(job.data, fit.seconds())
    rows = {name: [row.get(name) for row in history] for name in history[0]}
    with whole_file(fit.folder / "curves.png", sync=False) as temporary:
        curves(rows, monitor=best.monitor, best_epoch=best.best_epoch + 1).savefig(temporary, dpi=120)
    write_json(fit.folder / "summary.json", finite(summary))
    if not interrupted:
        strip_optimizer(fit.folder)


def _how_it_ended(fit: Fit) -> str:
    """Say how a training ended that nothing of kzoo's stopped: a callback of the user's may have."""
    done = len(fit.history)
    return "all epochs done" if done >= fit.until else f"a callback stopped it after {plural(done, 'epoch')}"


def print_notes(notes: Iterable[str], progress: bool) -> None:
    """Print notes, a line each, where there is to be progress."""
    if progress:
        for note in notes:
            print(printable(spelled(note)), file=sys.stderr)
