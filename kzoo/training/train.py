"""`train`: train a preset or a custom model on data, and write a run."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from kzoo.checks import FINDING, check_before_training
from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.inputs.image.photo_encoder import with_installed_weights
from kzoo.data.load import load
from kzoo.data.options import DataOptions, Origin
from kzoo.data.splits import Fold
from kzoo.data.statistics import statistics
from kzoo.data.summary import summary_line
from kzoo.data.tables.frame import as_table
from kzoo.inference.predictions import ANSWERS
from kzoo.plots.curves import curves
from kzoo.problems.data_arguments import with_data_options
from kzoo.problems.kinds import kind
from kzoo.problems.stored_types import Overrides, Request, to_stored
from kzoo.training.baselines import score_baselines
from kzoo.training.calibration import before_and_after, calibrate
from kzoo.training.command import command_of
from kzoo.training.custom_model import check_custom_model
from kzoo.training.device import data_parallel, distribution_scope
from kzoo.training.fit import Fit
from kzoo.training.folder import claimed, run_set_aside
from kzoo.training.identity import identity
from kzoo.training.initial_weights import checked_name, weights_of_resumed
from kzoo.training.journal import remove_journal
from kzoo.training.max_time import (
    Clock,
    Length,
    TimeLimit,
    measure,
    repeating_settings,
    steps_per_epoch,
    with_length,
)
from kzoo.training.mean_correction import correct_files
from kzoo.training.plan import plan_training
from kzoo.training.provenance import provenance
from kzoo.training.quantile_widths import with_quantile_widths
from kzoo.training.repair_gain import add_gain
from kzoo.training.resume import Cadence, Signals, StopRequest
from kzoo.training.score import learned_postprocessor
from kzoo.training.setup import TrainingSetup
from kzoo.training.stored_predictions import score_and_store
from kzoo.training.strip_optimizer import strip_optimizer
from kzoo.training.suggestions import suggested_preset, window_of
from kzoo.training.target_range import with_target_range
from kzoo.training.uploads import with_uploaded_run
from kzoo.utils import notebook, onednn
from kzoo.utils.argument_checks import checked_arguments, checked_seed, checked_steps_per_call
from kzoo.utils.errors import Interrupted, KzooError, warn
from kzoo.utils.files import JsonObject, finite, whole_file, write_json
from kzoo.utils.formatting import plural, printable, spelled
from kzoo.zoo.loading import custom_objects_of
from kzoo.zoo.network import table_of
from kzoo.zoo.registry import AUTO, Preset, get_preset
from kzoo.zoo.registry.arguments import plain_settings
from kzoo.zoo.results.repairs import gain_line
from kzoo.zoo.results.speed import faster_than
from kzoo.zoo.run import POSTPROCESSING, Run, has_journal
from kzoo.zoo.weights import stored_freeze

_draws_curves: ContextVar[bool] = ContextVar("draws_curves", default=True)


@contextmanager
def without_curves() -> Iterator[None]:
    """Let trainings in the block draw no curves.png, which nobody sees if their folder is removed."""
    token = _draws_curves.set(False)
    try:
        yield
    finally:
        _draws_curves.reset(token)


_observer: ContextVar[Callable[[Request], None] | None] = ContextVar("observer", default=None)


@contextmanager
def observed_request(observe: Callable[[Request], None]) -> Iterator[None]:
    """Call a function with the request of each training in the block, before anything is written."""
    token = _observer.set(observe)
    try:
        yield
    finally:
        _observer.reset(token)


@checked_arguments
@with_uploaded_run
@with_data_options()
def train(
    preset_or_model: str | Preset | keras.Model,
    data: "Loadable | None" = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    max_time: float | str | None = None,
    seed: int = 0,
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
    check: bool = True,
    baselines: bool = True,
    progress: bool = True,
    **overrides: Any,
) -> Run:
    """Train a preset or a custom compiled model, and return the run.

    The head is adapted to the data: number of classes or targets, loss and metrics. The weights of the epoch with the
    best validation value are kept; the test split is used once, at the end.

    Args:
        preset_or_model: a preset's name, a `Preset`, or a compiled `keras.Model`. "auto" takes the first suggestion for
            the data (`kzoo.check` lists them), and prints which and why; the run is an ordinary run of that preset.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        out: the run's folder; the default is `runs/PRESET-NN`. If the folder has the same run, finished, that run is
            returned. Or an address such as "s3://bucket/runs/1": the run is written into the cache and uploaded whole,
            and its state meanwhile, so that the same call resumes it on another machine.
        epochs: number of passes over the training split, instead of the preset's; schedules are adapted.
        max_time: seconds, or a string such as "90s", "5m" or "1h30m", for the whole call, with reading, compiling,
            baselines and scores: a probe of some seconds measures the training, which gets as many epochs (at most its
            usual number) or steps as fit, and schedules of this length. A training that is slower than its probe is
            stopped in time. A resumed run keeps the epochs that were chosen.
        seed: seed of weights, order, dropout and augmentation.
        callbacks: the name of a bundle, which replaces the preset's, or a list, which is added to it.
        weights: initial weights, copied layer by layer from a run, an exported model, a `.keras` or `.weights.h5` file
            or a model; from "hub:PLACE/NAME@REVISION" or an address such as "s3://bucket/runs/1"; or pretrained weights
            of this preset by their name (`kzoo show PRESET` lists them); "imagenet" downloads those of a backbone, and
            "efficientnet_lite0" are those of the extra `kzoo[image]`, the default of image_pretrained where it is
            installed. They are matched by the names of words, classes, columns and categories; those of files that are
            not a run's, by position.
        freeze: layers to freeze: one or several glob patterns of layer names, or True for all copied layers.
        precision: "float32", "mixed_bfloat16" or "mixed_float16". "auto" is the preset's if the device supports it
            (else a note is printed), and depends on the device if the preset has none. Saved models are in float32. A
            custom model computes in the precision that it was built with.
        deterministic: replace or refuse operations whose results differ from run to run, which is rare on a CPU and
            common on a GPU; slower. With TensorFlow it then applies to the whole process.
        devices: number of local devices that share each batch (JAX only); the same number gives the same bits. An
            incomplete batch at the end of an epoch is skipped.
        overwrite: replace a different run in `out`.
        resume: "auto" resumes the same run, bit for bit, if it was stopped in `out` (with `out=None`: in the newest of
            `runs/PRESET-NN`); "must" does so or raises; "never" starts over.
        journal_seconds: minimum seconds between two journals inside an epoch. There is also one after each epoch, but
            journals take at most one percent of the time.
        journal_steps: write a journal after this many steps and after each epoch instead, whatever it costs.
        steps_per_call: maximum number of steps per compiled call. "auto" makes calls of about a quarter of a second,
            if network, data and backend allow it (TensorFlow and JAX; arrays in memory, not augmented), which speeds up
            small networks; 1 uses Keras' own step, whose results differ by rounding. If a custom callback has batch
            hooks, "auto" makes single steps.
        {data_options}
        check: run the quick checks of `kzoo.check` first; an error is raised, a warning is printed.
        baselines: also score baselines on the same split (`kzoo.baselines`), for about five seconds each, or two
            percent of the training time. Baselines that would take longer are fitted on fewer rows, and note it.
        progress: False prints nothing; findings of the checks are then warnings (`KzooWarning`).
        overrides: any setting in the preset's `config` or `training`.

    Raises:
        KzooError: anything that is wrong before the first epoch; nothing has been written then.
        Interrupted: Ctrl-C; the current step was finished and everything written. Its `run` is the run so far, which is
            returned in a notebook. SIGTERM has the same effect, and ends the process with exit code 143.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> run.summary["test"]["examples"], run.summary["test"]["accuracy"] > 0.5
        (30, True)
        >>> kzoo.predict(run, np.array([[5.1, 3.5, 1.4, 0.2]])).labels
        ['setosa']

        A table of your own, and settings of the preset:

        >>> run = kzoo.train(
        ...     "tabular_fnn", "churn.csv", target="churned", dropout=0.2, epochs=2
        ... )
    """
    # 1. Check the arguments, read the data, and adapt the settings to it.
    seed = checked_seed("seed", seed)
    cadence = Cadence(seconds=journal_seconds, steps=journal_steps)
    clock = None if max_time is None else Clock(max_time)
    max_steps = checked_steps_per_call(steps_per_call)
    options = DataOptions.popped(overrides)
    extra = user_callbacks(callbacks, epochs, overrides)
    freeze = stored_freeze(freeze)
    if isinstance(preset_or_model, str) and preset_or_model == AUTO:
        data = as_table(data)  # a stream can be read once
        preset_or_model, reason = suggested_preset(
            data, options, weights=weights is not None, window=window_of(overrides, options)
        )
        print_notes([reason], progress)
    weights, overrides = with_installed_weights(preset_or_model, weights, overrides)
    check_custom_model(
        preset_or_model, weights=weights, freeze=freeze, precision=precision, devices=devices
    )
    options.check_loaded(data)
    source, options, data = _as_loaded(preset_or_model, data, options)
    if clock is not None and isinstance(options.test, Fold):
        raise KzooError(
            "is for one training, and folds are several. Use epochs=.",
            argument="max_time",
            value=max_time,
        )
    plan = (
        plan_training(preset_or_model, data, options, overrides, seed=seed)
        .with_monitor()
        .with_freeze(freeze)
    )
    policy = plan.policy(precision, deterministic=deterministic)
    distribution = data_parallel(devices)
    if devices is not None:
        plan = plan.split_over(devices)
    # 2. Identify the run: the same request finds the same run again.
    name = checked_name(weights, plan.spec.preset)
    request = Request(
        data=options.describe(plan.data),
        spec=plan.spec,
        weights=name,
        freeze=freeze,
        precision=policy if plan.custom_model is None else plan.custom_model.dtype_policy.name,
        backend=keras.backend.backend(),
        deterministic=bool(deterministic),
        devices=devices,
        **identity(plan.custom_model, weights, plan.spec.preset, extra),
        max_time=None if clock is None else clock.request(Length.of(plan.training)),
    )
    if (observe := _observer.get()) is not None:
        observe(request)
    # Only for presets: a command cannot express the weights and settings of a built model, nor a function.
    is_function = getattr(plan.training.get("objective"), "function", None) is not None
    command_preset = None if plan.custom_model is not None or is_function else plan.preset
    command_options = dict(
        seed=seed,
        weights=request.weights,
        freeze=freeze,
        precision=precision,
        backend=request.backend,
        devices=devices,
        deterministic=request.deterministic,
        steps_per_call=steps_per_call,
    )
    command = command_of(command_preset, source, overrides, options, **command_options)

    def with_gain(run: Run) -> Run:
        """Return a run with what its repairs bring. Folds are compared by their scores; a built model has no twin."""
        if (
            options.repairs is None
            or isinstance(options.test, Fold)
            or plan.custom_model is not None
        ):
            return run
        # A data set without its source does not have the recorded labels, and a time limit is not for two trainings.
        if isinstance(source, Dataset) or clock is not None or run.summary["interrupted"]:
            return run

        def before(folder: Path) -> Run:
            print_notes(["Training the same without repairs, to state what they bring"], progress)
            unrepaired = replace(options, repairs=None)
            arguments = {"callbacks": extra or None} | overrides
            again: Loadable | None = source
            if isinstance(data, Dataset):
                again = load(
                    source, None if data.origin is None else data.origin.preset, unrepaired
                )
            else:
                arguments |= unrepaired.given()
            return train(
                preset_or_model,
                again,
                out=folder,
                seed=seed,
                weights=weights,
                freeze=freeze,
                precision=precision,
                deterministic=deterministic,
                devices=devices,
                overwrite=overwrite,
                steps_per_call=steps_per_call,
                check=False,
                baselines=False,
                progress=False,
                **arguments,
            )

        run = add_gain(run, request, options.repairs, plan.data.seen["unrepaired"], before)
        print_notes([line for line in [gain_line(run.summary)] if line], progress)
        return run

    # 3. Claim the folder, build the network, and train it, resuming from a journal if there is one.
    with claimed(out, request, overwrite=overwrite, resume=resume) as claim:
        if claim.done is not None:
            print_notes(claim.notes, progress)
            return with_gain(claim.done)
        if claim.state is not None and claim.stopped is not None:
            plan = plan.continued(claim.stopped.spec.config)
        with distribution_scope(distribution):
            initial = weights
            if claim.state is not None:
                initial = weights_of_resumed(weights, claim.folder, plan.spec.preset, freeze)
            setup = plan.ready(
                policy, weights=initial, freeze=freeze, resumed=claim.state is not None
            )
        warnings = check_before_training(setup, command=command) if check else []
        notes = [summary_line(setup.data.overview), *setup.data.notes, *setup.notes, *warnings]
        if not isinstance(options.test, Fold):  # `cross_validate` prints those of the first fold
            print_notes([*notes, *claim.notes], progress)
        fit_options: dict[str, Any] = dict(steps_per_call=max_steps, distribution=distribution)
        scored: bool | list[dict[str, Any]] = baselines
        limit = None
        if clock is not None:
            if baselines:
                scored = _scored_baselines(setup, clock.baseline_seconds)
            if claim.stopped is not None:
                setup = with_length(setup, Length.of(claim.stopped.spec.training))
                limit = clock.limit(before=0.0 if claim.state is None else claim.state.seconds)
            else:
                setup, limit, note = _fitted_to(clock, setup, fit_options)
                print_notes([note], progress)
            chosen = overrides | repeating_settings(setup.training, plan.preset)
            command = command_of(command_preset, source, chosen, options, **command_options)
        fit = Fit(
            setup,
            claim.folder,
            state=claim.state,
            extra=extra,
            progress=progress,
            cadence=cadence,
            limit=limit,
            **fit_options,
        )
        print_notes([*fit.notes, *onednn.advice()], progress)
        if claim.state is not None:
            return with_gain(_train_and_score(fit, scored))
        if plan.preset is not None:
            samples = setup.training["epochs"] * len(plan.data.train)
            print_notes(faster_than(keras.backend.backend(), plan.preset.name, samples), progress)
        with run_set_aside(claim.folder):
            write_config(
                claim.folder,
                setup,
                request,
                command=command,
                overrides=overrides,
                notes=notes if isinstance(options.test, Fold) else (),
            )
            run = _train_and_score(fit, scored)
        return with_gain(run)


def _as_loaded(
    preset_or_model: str | Preset | keras.Model, data: "Loadable | None", options: DataOptions
) -> "tuple[Loadable | None, DataOptions, Loadable | None]":
    """Return the source of the data, how it is read, and what to train on: the source or the data set.

    A data set is what it was loaded from: the run has the same request and command either way. One that was loaded
    without a preset is read again from its source where the preset determines how inputs are read.
    """
    origin = Origin.of(data) if isinstance(preset_or_model, str | Preset) else None
    if origin is None or not isinstance(data, Dataset):
        return data, options, data
    preset = get_preset(preset_or_model)
    is_ready = data.inputs == preset.config["inputs"] and not kind(data.inputs).fitted_to_preset
    if is_ready or origin.preset == preset:
        return origin.source, origin.options, data
    # A stream is not read twice, and data that was loaded for another preset is taken as it is.
    if origin.preset is not None or hasattr(origin.source, "as_numpy_iterator"):
        return data, options, data
    return origin.source, origin.options, origin.source


def _fitted_to(
    clock: Clock, setup: TrainingSetup, options: JsonObject
) -> tuple[TrainingSetup, TimeLimit, str]:
    """Return a setup whose training fits into a clock, the callback that keeps the limit, and the note about it.

    Raises:
        KzooError: not even one step fits.
    """
    longest = Length.of(setup.training)
    steps = steps_per_epoch(setup)
    speed = measure(setup, clock, **options)
    length = clock.choose(speed, longest, steps)
    return (
        with_length(setup, length),
        clock.limit(speed=speed),
        clock.note(length, longest, speed, steps),
    )


def _scored_baselines(setup: TrainingSetup, time_limit: float) -> list[dict[str, Any]]:
    if setup.data.test is None and setup.data.validation is None:
        return []
    return score_baselines(setup.data, 0.0, setup.training, time_limit=time_limit)


def user_callbacks(
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None,
    epochs: int | None,
    overrides: JsonObject,
) -> list[keras.callbacks.Callback]:
    """Return the user's callbacks; the name of a bundle and the epochs are added to `overrides`, in place.

    Raises:
        KzooError: `callbacks` is neither a name nor callbacks.
    """
    overrides.update(plain_settings(overrides))
    if epochs is not None:
        overrides["epochs"] = epochs
    if isinstance(callbacks, str):
        overrides["callbacks"] = callbacks
        return []
    user_list = (
        list(callbacks)
        if isinstance(callbacks, list | tuple)
        else []
        if callbacks is None
        else [callbacks]
    )
    if invalid := [c for c in user_list if not isinstance(c, keras.callbacks.Callback)]:
        raise KzooError(
            f"must be the name of a bundle or a list of Keras callbacks, not {invalid[0]!r}.",
            argument="callbacks",
        )
    return user_list


def write_config(
    folder: Path,
    setup: TrainingSetup,
    request: Request,
    *,
    command: str | None,
    overrides: Overrides | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write the `config.json` and `preprocessing.json` of a run.

    Args:
        folder: the run's folder.
        setup: the `TrainingSetup`.
        request: the `Request`.
        command: the command that repeats the run, or None.
        overrides: the user's settings; None if a model was built with them.
        notes: notes of a fold, which cross-validation prints.
    """
    config = replace(request, spec=setup.spec).json() | {
        "command": command,
        "statistics": statistics(setup.data),
    }
    config |= {} if overrides is None else {"overrides": to_stored(overrides)}
    config |= {"network": table_of(setup.saved)} | ({"notes": list(notes)} if notes else {})
    if setup.data.problem.gives_probabilities:
        config["answers"] = next(
            name for name, logits in ANSWERS.items() if logits is setup.gives_logits
        )
    write_json(folder / "preprocessing.json", setup.data.preprocessing)
    write_json(folder / "config.json", config | provenance())


def _train_and_score(fit: Fit, baselines: bool | list[dict[str, Any]]) -> Run:
    """Train until the end or an interrupt, score the best weights, and return the run.

    Raises:
        Interrupted: Ctrl-C, except in a notebook.
        SystemExit: SIGTERM.
    """
    signals = Signals()
    interrupted = False
    try:
        with signals.watched():
            fit.train_until_end(signals)
    except (StopRequest, KeyboardInterrupt):
        interrupted = True
    if fit.limit is not None and fit.limit.reason:
        print_notes(
            [f"Stopped after {plural(len(fit.history), 'epoch')}: {fit.limit.reason}."],
            fit.progress,
        )
    if signals.caught == signal.SIGTERM:
        print(
            f"{fit.folder}: stopped by SIGTERM. Run the same call again to resume.", file=sys.stderr
        )
        raise SystemExit(128 + signal.SIGTERM)
    write_summary(fit, baselines=baselines, interrupted=interrupted)
    run = Run(
        fit.folder, trusted=custom_objects_of(fit.job.saved) if fit.job.spec.family is None else ()
    )
    if not interrupted:
        remove_journal(fit.folder)
    elif "ipykernel" not in sys.modules:
        raise Interrupted(run)
    return run


def write_summary(
    fit: Fit, *, baselines: bool | list[dict[str, Any]] = True, interrupted: bool = False
) -> None:
    """Write the scores of the best weights and of baselines, and the curves, which completes the run.

    Args:
        fit: the `Fit`, after its training.
        baselines: whether to score baselines, or their scores.
        interrupted: whether the training was interrupted.
    """
    setup, best, history = fit.job, fit.best, fit.history
    if not history:
        outcome = (
            "run the same call again to resume" if has_journal(fit.folder) else "nothing was saved"
        )
        raise KeyboardInterrupt(f"stopped before the first epoch ended; {outcome}")
    if best.best_epoch is None:
        raise KzooError(
            f"Training failed: {best.stopped_because or f'{best.monitor} was never finite'}."
        )
    # 1. Score the best weights.
    model = setup.saved_weights()
    batch_size = max(setup.training["batch_size"], 128)
    examples = min(setup.examples, len(fit.train) * setup.training["batch_size"])
    settings = setup.training
    options: dict[str, Any] = dict(
        logits=setup.gives_logits, settings=settings, batch_size=batch_size
    )
    if setup.corrects_mean:
        correct_files(setup, fit.folder, batch_size=batch_size)
    calibrated = calibrate(setup, fit.folder, batch_size=batch_size)
    steps = tuple(setup.training.get("postprocess", ()))
    if calibrated is not None and calibrated.step is not None:
        steps = (*steps, calibrated.step)
    postprocessor = learned_postprocessor(model, setup.data, steps, **options) if steps else None
    postprocessor = with_quantile_widths(postprocessor, model, setup.data, batch_size=batch_size)
    if (postprocessor := with_target_range(postprocessor, setup.data)) is not None:
        options["postprocessor"] = postprocessor
        write_json(fit.folder / POSTPROCESSING, options["postprocessor"].json())
        print_notes(options["postprocessor"].describe(), fit.progress)
    else:
        (fit.folder / POSTPROCESSING).unlink(missing_ok=True)  # of an interrupted training
    comparison: dict[str, Any] = {}
    if calibrated is not None and setup.data.problem.keeps_predictions:

        def observe(name: str, split: Split, outputs: np.ndarray, truth: np.ndarray) -> None:
            comparison[name] = before_and_after(
                setup, calibrated, split, outputs, truth, postprocessor, batch_size=batch_size
            )

        options["observe"] = observe
    summary = dict(
        **score_and_store(model, setup.data, fit.folder, **options),
        monitor=best.monitor,
        best_epoch=best.best_epoch + 1,
        best_value=best.best * best.sign,
        epochs=len(history),
        interrupted=interrupted,
        stopped_because="interrupted" if interrupted else best.stopped_because or _stop_reason(fit),
        seconds=round(fit.seconds(), 2),
        resumed=fit.resumed,
        rollbacks=fit.rollbacks,
        samples_per_second=round(
            len(history) * examples / max(sum(r["seconds"] for r in history), 1e-9), 1
        ),
        parameters=model.count_params(),
    )
    if calibrated is not None:
        summary["calibration"] = calibrated.json() | comparison
        print_notes(calibrated.notes(comparison), fit.progress)
    # 2. Score baselines for comparison.
    if (
        baselines
        and not interrupted
        and (setup.data.test is not None or setup.data.validation is not None)
    ):
        is_scored = isinstance(baselines, list)
        summary["baselines"] = (
            baselines if is_scored else score_baselines(setup.data, fit.seconds(), settings)
        )
    # 3. Write the curves, and last the summary: a folder with a summary is a finished run.
    rows = {name: [row.get(name) for row in history] for name in history[0]}
    if _draws_curves.get():
        with whole_file(fit.folder / "curves.png", sync=False) as temporary:
            curves(rows, monitor=best.monitor, best_epoch=best.best_epoch + 1).savefig(
                temporary, dpi=120
            )
    write_json(fit.folder / "summary.json", finite(summary))
    if not interrupted:
        strip_optimizer(fit.folder)


def _stop_reason(fit: Fit) -> str:
    """Return why a training ended that kzoo did not stop: all epochs are done, or a user's callback stopped it."""
    if fit.limit is not None and fit.limit.reason:
        return fit.limit.reason
    epochs = len(fit.history)
    return (
        "all epochs done"
        if epochs >= fit.until
        else f"a callback stopped it after {plural(epochs, 'epoch')}"
    )


def print_notes(notes: Iterable[str], progress: bool) -> None:
    """Print notes, a line each, if `progress` is set: on stderr, or as a list in a notebook.

    Otherwise only findings of the checks are shown, as warnings: a leak, for example, changes what scores mean.
    """
    if progress:
        notebook.print_lines([printable(spelled(note)) for note in notes])
        return
    for note in notes:
        if note.startswith(FINDING):
            warn(note)
