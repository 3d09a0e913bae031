"""`train`: a preset and data become a run."""

import sys
from dataclasses import replace

import keras
import numpy as np

from kzoo.arguments import TRAINING
from kzoo.checks import before_training
from kzoo.data import Dataset, load_data
from kzoo.data.statistics import statistics
from kzoo.errors import KzooError
from kzoo.nouns import Request, Spec
from kzoo.registry import Preset, get_preset, hint, preset_of, resolve, spec_of, with_settings
from kzoo.run import Run
from kzoo.training.claim import claimed
from kzoo.training.device import prepare_device
from kzoo.training.fit import Fit
from kzoo.training.folder import command, describe, name_of
from kzoo.training.prepare import prepare
from kzoo.training.settle import settle, settle_monitor

# What a model of your own is trained with; the rest is in its `compile`.
_OWN_MODEL = dict(
    batch_size=32,
    epochs=10,
    augment=(),
    class_weight=None,
    monitor=None,
    mode=None,
    patience=10,
    callbacks="standard",
    on_nan="stop",
)


def train(
    preset_or_model,
    data=None,
    *,
    out=None,
    epochs=None,
    seed=0,
    data_seed=0,
    callbacks=None,
    start=None,
    freeze=None,
    precision="auto",
    deterministic=False,
    overwrite=False,
    resume="auto",
    journal_seconds=30.0,
    journal_steps=None,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    group=None,
    task=None,
    time=None,
    check=True,
    progress=True,
    **overrides,
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
        start: a run, a `.keras` file or a model to take weights from, layer by layer.
        freeze: layers that keep their weights: a glob, several, or True for all that `start` gave.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16"; saved models are float32.
        deterministic: refuse or replace operations whose bits differ from run to run, which a CPU hardly has and a GPU
            does; slower. With TensorFlow it then holds for the whole process.
        overwrite: replace a different run in `out`.
        resume: "auto" goes on, bit for bit, with the same run where it was stopped in `out` (with `out=None`: in the
            newest of `runs/PRESET-NN`); "must" does so or refuses; "never" trains anew.
        journal_seconds: between two journals inside an epoch, at the least; there is one after each epoch too, but
            never so many that they cost more than one percent of the time.
        journal_steps: write one after every so many steps, and after each epoch, whatever it costs.
        target, validation, test, drop, group, task, time: see `kzoo.load_data`.
        check: run the quick checks of `kzoo.check` first; an error stops, a warning is printed.
        progress: False for silence.
        overrides: any name in the preset's `config` or `training`.

    Raises:
        KzooError: anything that can be known before the first epoch; nothing has been written then.
        Interrupted: Ctrl-C; the step was finished and everything written. Its `run` is what there is, which a notebook
            gets as the return value. SIGTERM ends the process with exit code 143 in the same way.
    """
    seed = _seed("seed", seed)
    _check_journal(journal_seconds, journal_steps)
    own = None if isinstance(preset_or_model, str | Preset) else preset_or_model
    if epochs is not None:
        overrides["epochs"] = epochs
    extra = []
    if isinstance(callbacks, str):
        overrides["callbacks"] = callbacks
    elif callbacks is not None:
        extra = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
        if wrong := [c for c in extra if not isinstance(c, keras.callbacks.Callback)]:
            raise KzooError(f"callbacks= takes a bundle's name or a list of keras callbacks, not {wrong[0]!r}.")
    preset, config, training = settings_for(own, preset_or_model, overrides)
    if own is not None and (start is not None or freeze is not None):
        raise KzooError("start= and freeze= are for presets; set the weights of your own model before training.")
    source = data
    options = dict(target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time)
    data = load_for(source, preset, config, training, **options, seed=_seed("data_seed", data_seed))
    notes = list(data.notes)
    if own is None:
        config, training, more = settle(preset, config, training, set(overrides), data)
        notes += more
    else:
        check_shape(own, data)
    notes += settle_monitor(training, set(overrides), data)
    policy = prepare_device(precision, deterministic=deterministic)
    spec = Spec(
        preset=preset.name if preset else own.name, family=preset.family if preset else None, task=data.task,
        config=config, training=training, seed=seed,
    )  # fmt: skip
    request = Request(
        data=describe(data, data_seed, options),
        spec=spec,
        start=name_of(start),
        freeze=freeze if freeze is None or isinstance(freeze, bool | str) else tuple(freeze),
        precision=policy,
        backend=keras.backend.backend(),
        deterministic=bool(deterministic),
        callbacks=tuple(type(c).__name__ for c in extra),
    )
    repeat = command(
        preset, source, overrides, seed=seed, data_seed=data_seed, **options, start=name_of(start), freeze=freeze,
        precision=precision,
    )  # fmt: skip
    with claimed(out, request, overwrite=overwrite, resume=resume) as claim:
        if claim.done is not None:
            return claim.done
        job = prepare(own, spec, data, policy, start, freeze, notes)
        if check:
            notes += before_training(job, command=repeat)
        _say(notes + claim.notes, progress)
        config = replace(request, spec=job.spec).json() | {"command": repeat, "statistics": statistics(data)}
        journal = dict(seconds=journal_seconds, steps=journal_steps)
        return Fit(job, claim, config, extra, progress=progress, journal=journal).run()


def _seed(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**32:
        raise KzooError(f"{name}={value!r} must be a whole number from 0 to 4294967295.")
    return int(value)


def _check_journal(seconds, steps):
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise KzooError(f"journal_seconds={seconds!r} must be a number of seconds, 0 or more.")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise KzooError(f"journal_steps={steps!r} must be a whole number of steps, or None.")


def settings_for(own, preset_or_model, overrides):
    """Return (preset or None, config, training) for a preset, or for a compiled model of one's own."""
    if own is None:
        preset = get_preset(preset_or_model)
        return preset, *resolve(preset, overrides)
    if not isinstance(own, keras.Model):
        raise KzooError(f"kzoo.train takes a preset's name or a keras.Model, not {type(own).__name__}.")
    if not own.compiled:
        raise KzooError(f"Model {own.name!r} is not compiled: call model.compile(optimizer, loss) first.")
    training = dict(_OWN_MODEL)
    for name, value in overrides.items():
        if name not in training:
            known = ", ".join(training)
            raise KzooError(f"Unknown argument {name!r} for a model of your own. {hint(name, training)}Use: {known}.")
        training[name] = TRAINING[name].check(name, value)
    try:
        spec = spec_of(own)
    except KzooError:
        return None, {}, training
    changed = {name: training[name] for name in overrides}
    preset = preset_of(spec | {"training": spec["training"] | changed})
    return preset, dict(preset.config), dict(preset.training)


def load_for(source, preset, config, training, **options):
    """Return a source as a `Dataset`, read as these settings want it; None is the preset's own data."""
    if source is None:
        if preset is None or preset.dataset is None:
            raise KzooError("Say what to train on: data= takes a named set, a file, a folder or arrays.")
        source = preset.dataset
    if isinstance(source, Dataset):
        return source
    return load_data(source, preset=with_settings(preset, config, training) if preset else None, **options)


def check_shape(own, data):
    """Refuse data of another shape than a model of one's own takes."""
    inputs = getattr(own, "inputs", None) or ()
    if len(inputs) != 1:
        return
    takes, gives = tuple(inputs[0].shape[1:]), data.input_shape
    if len(takes) != len(gives) or any(a not in (None, b) for a, b in zip(takes, gives, strict=True)):
        raise KzooError(f"Model {own.name!r} takes inputs of shape {takes}, and {data.name} gives {gives}.")


def _say(notes, progress):
    if progress:
        for note in notes:
            print(note, file=sys.stderr)
