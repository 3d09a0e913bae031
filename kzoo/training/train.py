"""`train`: a preset and data become a run."""

import math
import os
import platform
import re
import shlex
import shutil
import sys
import time as clock
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from kzoo import __version__, contract
from kzoo import callbacks as bundles
from kzoo.arguments import TRAINING
from kzoo.data import Dataset, load_data
from kzoo.data.pipeline import Batches
from kzoo.errors import KzooError
from kzoo.files import read_json, whole_file, write_json
from kzoo.plots.curves import curves
from kzoo.registry import Preset, get_preset, hint, rebuild, resolve, spec_of, with_settings
from kzoo.training.device import prepare_device
from kzoo.training.progress import ProgressBar
from kzoo.training.run import Run
from kzoo.training.score import score_split
from kzoo.training.settle import settle
from kzoo.training.start import copy_weights, freeze_layers, load_start

# What a model of your own is trained with; the rest is in its `compile`.
_OWN_MODEL = dict(
    batch_size=32,
    epochs=10,
    augment=(),
    class_weight=None,
    monitor="val_loss",
    patience=10,
    callbacks="standard",
)
_COMMAND_DEFAULTS = dict(seed=0, data_seed=0, validation=0.1, precision="auto")


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
    overwrite=False,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    group=None,
    task=None,
    time=None,
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
        overwrite: replace a different run in `out`.
        target, validation, test, drop, group, task, time: see `kzoo.load_data`.
        progress: False for silence.
        overrides: any name in the preset's `config` or `training`.

    Raises:
        KzooError: anything that can be known before the first epoch; nothing has been written then.
    """
    seed = _seed("seed", seed)
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
    preset, config, training = _settings(own, preset_or_model, overrides)
    if own is not None and (start is not None or freeze is not None):
        raise KzooError("start= and freeze= are for presets; set the weights of your own model before training.")
    source = data
    options = dict(target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time)
    data = _load(source, preset, config, training, **options, seed=_seed("data_seed", data_seed))
    notes = list(data.notes)
    if own is None:
        config, training, more = settle(preset, config, training, set(overrides), data)
        notes += more
    else:
        _check_shape(own, data)
    policy = prepare_device(precision)
    spec = dict(
        preset=preset.name if preset else own.name, family=preset.family if preset else None, task=data.task,
        config=config, training=training, seed=seed,
    )  # fmt: skip
    request = dict(  # in the order in which a difference is explained best: other data change the config too
        data=_describe(data, data_seed, {k: v for k, v in options.items() if k != "group" or isinstance(v, str)}),
        spec=spec,
        start=_name_of(start),
        freeze=freeze if freeze is None or isinstance(freeze, bool | str) else list(freeze),
        precision=policy,
        callbacks=[type(c).__name__ for c in extra],
    )
    command = _command(
        preset, source, overrides, seed=seed, data_seed=data_seed, **options, start=_name_of(start), freeze=freeze,
        precision=precision,
    )  # fmt: skip
    folder, done = _claim(out, request, overwrite)
    if done is not None:
        return done
    job = _prepare(own, spec, data, policy, start, freeze, notes)
    _say(notes, progress)
    return _Fit(job, folder, request | {"command": command}, extra, progress).run()


def _seed(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**32:
        raise KzooError(f"{name}={value!r} must be a whole number from 0 to 4294967295.")
    return int(value)


def _settings(own, preset_or_model, overrides):
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
    fields = {k: spec[k] for k in ("family", "task", "config")}
    merged = spec["training"] | {k: training[k] for k in overrides}
    preset = Preset(name=spec["preset"], summary="", training=merged, **fields)
    return preset, dict(preset.config), dict(preset.training)


def _load(source, preset, config, training, **options):
    if source is None:
        if preset is None or preset.dataset is None:
            raise KzooError("Say what to train on: data= takes a named set, a file, a folder or arrays.")
        source = preset.dataset
    if isinstance(source, Dataset):
        return source
    return load_data(source, preset=with_settings(preset, config, training) if preset else None, **options)


def _check_shape(own, data):
    inputs = getattr(own, "inputs", None) or ()
    if len(inputs) != 1:
        return
    takes, gives = tuple(inputs[0].shape[1:]), data.input_shape
    if len(takes) != len(gives) or any(a not in (None, b) for a, b in zip(takes, gives, strict=True)):
        raise KzooError(f"Model {own.name!r} takes inputs of shape {takes}, and {data.name} gives {gives}.")


def _describe(data, data_seed, options):
    if not isinstance(options["test"], int | float | None):
        options = options | {"test": None}  # a second source: its path stays out of the run
    parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
    return dict(
        name=data.name,
        data_seed=data_seed,
        options=options,
        fingerprint=data.fingerprint,
        task=data.task,
        inputs=data.inputs,
        **{name: 0 if part is None else len(part) for name, part in parts.items()},
        class_names=list(data.class_names),
        feature_names=list(data.feature_names),
        target_names=list(data.target_names),
    )


def _name_of(start):
    if start is None:
        return None
    if not isinstance(start, str | os.PathLike | keras.Model):
        raise KzooError(f"start={start!r} is none. Give a run's folder, a .keras file or a model.")
    return getattr(start, "name", None) or Path(start).name


def _command(preset, source, overrides, **options):
    """Return the command line that repeats the run, with names of files only; None where there is none."""
    named = all(isinstance(v, str | os.PathLike | int | float | None) for v in (source, options["test"]))
    if preset is None or not named:
        return None
    words = ["kzoo", "train", preset.name]
    if source is not None:
        words += ["--data", Path(source).name]
    for name, value in options.items():
        if value is None or value == _COMMAND_DEFAULTS.get(name) or value in ((), []):
            continue
        values = [str(v) for v in (value if isinstance(value, list | tuple) else [value]) if v is not True]
        if name == "test":
            values = [Path(values[0]).name]
        option = f"--{name.replace('_', '-')}"
        words += [word for v in values for word in (option, v)] if name == "target" else [option, *values]
    if overrides:
        shown = {k: ",".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in overrides.items()}
        words += ["--set", *(f"{name}={value}" for name, value in shown.items())]
    return shlex.join(words)


def _plain(value):
    """The JSON form of a value, so that what was asked can be compared with what is on disk."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _claim(out, request, overwrite):
    """Return the folder to write, and the finished run where it already holds the same one."""
    if out is None:
        base = Path("runs")
        name = re.compile(re.escape(request["spec"]["preset"]) + r"-(\d+)")
        taken = [int(found[1]) for path in base.glob("*") if (found := name.fullmatch(path.name))]
        return base / f"{request['spec']['preset']}-{max(taken, default=0) + 1:02d}", None
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise KzooError(f"out={str(out)!r} is a file. Name a folder for the run.")
    above = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "may not be written" if above.is_dir() else "is a file"
        raise KzooError(f"out={str(out)!r} cannot be made: {str(above)!r} {why}. Choose another folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return folder, None
    if not _holds_run(folder):
        raise KzooError(f"out={str(out)!r} holds other files and no run. Name a new folder.")
    if overwrite:
        return folder, None
    run = Run(folder)
    stored, asked = ({k: c.get(k) for k in request} for c in (run.config, _plain(request)))
    stored["spec"] = {k: v for k, v in stored["spec"].items() if k in asked["spec"]}
    difference = _first_difference(stored, asked)
    if difference is None and run.finished:
        return folder, run
    what = f"a different run ({difference})" if difference else "an unfinished run"
    raise KzooError(f"{folder} holds {what}. Pass overwrite=True (--overwrite), or another folder.")


def _holds_run(folder):
    """Say whether a folder is a run's, be it a damaged one; other programs have a config.json too."""
    try:
        config = read_json(folder / "config.json")
    except FileNotFoundError:
        return False
    except ValueError:
        return (folder / "preprocessing.json").is_file()
    return isinstance(config, dict) and "spec" in config


def _first_difference(stored, asked, path=""):
    for name, value in asked.items():
        was = stored.get(name)
        if isinstance(value, dict) and isinstance(was, dict):
            inner = _first_difference(was, value, f"{path}{name}.")
            if inner:
                return inner
        elif was != value:
            return f"{path}{name}: {_short(was)} there, {_short(value)} now"
    return None


def _short(value):
    text = str(value)
    return text if len(text) < 40 else text[:37] + "..."


@dataclass(kw_only=True)
class _Job:
    """A network ready to fit: `core` is trained, `saved` is what goes to disk (float32, own units)."""

    model: keras.Model
    core: keras.Model
    saved: keras.Model
    data: Dataset
    spec: dict
    standardize: tuple | None
    onehot: int | None


def _prepare(own, spec, data, policy, start, freeze, notes):
    training, config = spec["training"], spec["config"]
    spec["kzoo"] = __version__
    if own is not None:
        keras.utils.set_random_seed(spec["seed"])
        onehot = data.outputs if training.get("labels") == "onehot" else None
        return _Job(model=own, core=own, saved=own, data=data, spec=spec, standardize=None, onehot=onehot)
    steps = math.ceil(len(data.train) / training["batch_size"]) * training["epochs"]
    onehot = None
    wanted = training.get("labels") == "onehot" or contract.needs_onehot(data.task, config, training)
    if wanted and contract.head_of(data.task, config) == "classes":
        training, onehot = training | {"labels": "onehot"}, config["outputs"]
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = rebuild(spec, compile=False)
    finally:
        keras.config.set_dtype_policy(previous)
    spec["config"] = spec_of(model)["config"]
    if start is not None:
        source, old_vocabulary = load_start(start)
        copied, fresh = copy_weights(
            source, model, old_vocabulary=old_vocabulary, new_vocabulary=data.preprocessing.get("vocabulary")
        )
        if not copied:
            raise KzooError(f"start={_name_of(start)!r} has no layer in common with {spec['preset']}.")
        notes.append(f"Start: copied {len(copied)} layers" + (f"; new: {', '.join(fresh)}." if fresh else "."))
        if freeze is not None:
            freeze_layers(model, freeze, copied)
    elif freeze is not None:
        raise KzooError("freeze= needs start=: fresh layers would stay random.")
    saved = model if policy == "float32" else rebuild(spec | {"seed": None}, compile=False)
    core, standardize = model, None
    if any(layer.name == "unscale" for layer in model.layers):
        # The loss sees standardised targets; the layer on top puts the answers back into their own unit.
        core = keras.Model(model.inputs, model.get_layer("unscale").input, name=model.name)
        standardize = (config["target_offset"], config["target_scale"])
    contract.compile_model(core, task=data.task, config=config, training=training, steps=steps)
    return _Job(model=model, core=core, saved=saved, data=data, spec=spec, standardize=standardize, onehot=onehot)


def _say(notes, progress):
    if progress:
        for note in notes:
            print(note, file=sys.stderr)


class _SetEpoch(keras.callbacks.Callback):
    """Tell the pipeline which epoch it is: the order and the augmentation depend on it."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


class _Fit:
    """One call of `fit`, its files and its ending, however it ends."""

    def __init__(self, job, folder, request, extra, progress):
        self.job, self.folder, self.request = job, folder, request
        training = job.spec["training"]
        shared = dict(batch_size=training["batch_size"], onehot=job.onehot, standardize=job.standardize)
        self.train = Batches(
            job.data.train, shuffle=True, seed=job.spec["seed"], augment=training.get("augment", ()), **shared
        )
        self.validation = None if job.data.validation is None else Batches(job.data.validation, **shared)
        self.monitor = self._monitor(training)
        self.bundle = getattr(bundles, training["callbacks"])(
            folder,
            monitor=self.monitor,
            patience=training["patience"],
            stop_early=training.get("schedule", "constant") in ("constant", "plateau"),
            reduce_on_plateau=training.get("schedule") == "plateau",
            save=self._save,
        )
        self.best = next(c for c in self.bundle if isinstance(c, bundles.BestModel))
        self.bar = ProgressBar(
            epochs=training["epochs"],
            steps=len(self.train),
            samples=len(job.data.train),
            monitor=self.monitor,
        )
        self.callbacks = [_SetEpoch(self.train), *self.bundle, *extra, *([self.bar] if progress else [])]

    def _monitor(self, training):
        monitor = training["monitor"]
        return monitor.removeprefix("val_") if self.validation is None else monitor

    def _save(self, path):
        if self.job.saved is not self.job.model:
            self.job.saved.set_weights(self.job.model.get_weights())
        self.job.saved.save(path)

    def run(self):
        self.fresh = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("summary.json", "best.keras", "last.keras", "curves.png", "history.csv"):
            (self.folder / name).unlink(missing_ok=True)
        for old in (self.folder / "tensorboard").rglob("events.out*"):
            old.unlink()
        write_json(self.folder / "preprocessing.json", _plain(self.job.data.preprocessing))
        write_json(self.folder / "config.json", _plain(self.request | _provenance()))
        began, interrupted = clock.perf_counter(), False
        try:
            self._fit()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self.bar.close()
            if self.best.model is not None and not getattr(self.best, "finished", True):
                self.best.finish()
        self._summarise(clock.perf_counter() - began, interrupted)
        return Run(self.folder)

    def _fit(self):
        training = self.job.spec["training"]
        self.job.core.fit(
            self.train.dataset(),
            validation_data=None if self.validation is None else self.validation.dataset(),
            epochs=training["epochs"],
            callbacks=self.callbacks,
            class_weight=self._class_weight(training),
            shuffle=False,
            verbose=0,
        )

    def _class_weight(self, training):
        if training.get("class_weight") != "balanced" or not self.job.data.class_names:
            return None
        labels = np.asarray(self.job.data.train.y)
        counts = np.bincount(labels, minlength=self.job.data.outputs)
        return {i: len(labels) / (len(counts) * max(int(n), 1)) for i, n in enumerate(counts)}

    def _summarise(self, seconds, interrupted):
        job, history = self.job, self.bundle[0].rows
        if not history:
            if self.fresh:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise KeyboardInterrupt("stopped before the first epoch ended; nothing was kept")
        if self.best.best_epoch is None:
            reason = self.best.stopped_because or "no epoch had a finite value"
            raise KzooError(f"Training failed: {reason}. The log is in {self.folder / 'history.csv'}.")
        trained = len(history) * len(job.data.train)
        model = job.model
        if job.saved is not job.model:
            model = job.saved
            model.set_weights(job.model.get_weights())
        scores = {
            name: score_split(
                model,
                getattr(job.data, name),
                job.data,
                batch_size=max(job.spec["training"]["batch_size"], 128),
            )
            for name in ("validation", "test")
            if getattr(job.data, name) is not None
        }
        summary = dict(
            **scores,
            monitor=self.monitor,
            best_epoch=self.best.best_epoch + 1,
            best_value=self.best.best * self.best.sign,
            epochs=len(history),
            interrupted=interrupted,
            stopped_because="interrupted" if interrupted else self.best.stopped_because or "all epochs done",
            seconds=round(seconds, 2),
            samples_per_second=round(trained / max(sum(r["seconds"] for r in history), 1e-9), 1),
            parameters=model.count_params(),
        )
        rows = {name: [row.get(name) for row in history] for name in history[0]}
        with whole_file(self.folder / "curves.png", sync=False) as temporary:
            curves(rows, monitor=self.monitor, best_epoch=self.best.best_epoch + 1).savefig(temporary, dpi=120)
        write_json(self.folder / "summary.json", _finite(summary))


def _finite(value):
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _provenance():
    backend = keras.backend.backend()
    packages = (
        "keras",
        "numpy",
        {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}.get(backend, backend),
    )
    versions = {"kzoo": __version__, "python": platform.python_version()} | {p: metadata.version(p) for p in packages}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return dict(
        format_version=1,
        backend=backend,
        versions=versions,
        machine=machine,
        created=clock.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
