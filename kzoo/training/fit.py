"""One call of `fit`: the network made ready, the callbacks, and the files, however it ends."""

import math
import time
from dataclasses import dataclass

import keras
import numpy as np

from kzoo import __version__, contract
from kzoo import callbacks as bundles
from kzoo.data import Dataset
from kzoo.data.pipeline import Batches
from kzoo.errors import KzooError
from kzoo.files import whole_file, write_json
from kzoo.plots.curves import curves
from kzoo.registry import rebuild, spec_of
from kzoo.run import Run
from kzoo.training.answers import score_and_keep
from kzoo.training.folder import finite, name_of, plain, provenance, replaced
from kzoo.training.progress import ProgressBar
from kzoo.training.start import copy_weights, freeze_layers, load_start


@dataclass(kw_only=True)
class Job:
    """A network ready to fit: `core` is trained, `saved` is what goes to disk (float32, own units)."""

    model: keras.Model
    core: keras.Model
    saved: keras.Model
    data: Dataset
    spec: dict
    standardize: tuple | None
    onehot: int | None


def prepare(own, spec, data, policy, start, freeze, notes):
    """Build, start and compile the network; `spec` gets its resolved config, `notes` a line for what to know.

    Args:
        own: a compiled model of the user's, which is taken as it is, or None.
        policy: the dtype policy to train with.
    """
    training, config = spec["training"], spec["config"]
    spec["kzoo"] = __version__
    if own is not None:
        keras.utils.set_random_seed(spec["seed"])
        onehot = data.outputs if training.get("labels") == "onehot" else None
        return Job(model=own, core=own, saved=own, data=data, spec=spec, standardize=None, onehot=onehot)
    if freeze is not None and start is None:
        raise KzooError("freeze= needs start=: fresh layers would stay random.")
    model = _build(spec, policy)
    spec["config"] = spec_of(model)["config"]
    if start is not None:
        _start(model, spec, data, start, freeze, notes)
    saved = model if policy == "float32" else rebuild(spec | {"seed": None}, compile=False)
    core, standardize = model, None
    if any(layer.name == "unscale" for layer in model.layers):
        # The loss sees standardised targets; the layer on top puts the answers back into their own unit.
        core = keras.Model(model.inputs, model.get_layer("unscale").input, name=model.name)
        standardize = (config["target_offset"], config["target_scale"])
        notes.append("While training, loss and metrics are of standardised targets; scores are in their own unit.")
    onehot = None
    wanted = training.get("labels") == "onehot" or contract.needs_onehot(data.task, config, training)
    if wanted and contract.head_of(data.task, config) == "classes":
        training, onehot = training | {"labels": "onehot"}, config["outputs"]
    steps = math.ceil(len(data.train) / training["batch_size"]) * training["epochs"]
    contract.compile_model(core, task=data.task, config=config, training=training, steps=steps)
    return Job(model=model, core=core, saved=saved, data=data, spec=spec, standardize=standardize, onehot=onehot)


def _build(spec, policy):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return rebuild(spec, compile=False)
    finally:
        keras.config.set_dtype_policy(previous)


def _start(model, spec, data, start, freeze, notes):
    source, vocabulary = load_start(start)
    copied, fresh = copy_weights(
        source, model, old_vocabulary=vocabulary, new_vocabulary=data.preprocessing.get("vocabulary")
    )
    if not copied:
        raise KzooError(f"start={name_of(start)!r} has no layer in common with {spec['preset']}.")
    notes.append(f"Start: copied {len(copied)} layers" + (f"; new: {', '.join(fresh)}." if fresh else "."))
    if freeze is not None:
        freeze_layers(model, freeze, copied)


class _SetEpoch(keras.callbacks.Callback):
    """Tell the pipeline which epoch it is: the order and the augmentation depend on it."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


class Fit:
    """One call of `fit`, its files and its ending, however it ends."""

    def __init__(self, job, folder, request, extra, progress):
        self.job, self.folder, self.request = job, folder, request
        training = job.spec["training"]
        shared = dict(batch_size=training["batch_size"], onehot=job.onehot, standardize=job.standardize)
        self.train = Batches(
            job.data.train, shuffle=True, seed=job.spec["seed"], augment=training.get("augment", ()), **shared
        )
        self.validation = None if job.data.validation is None else Batches(job.data.validation, **shared)
        self.monitor = training["monitor"]
        self.bundle = getattr(bundles, training["callbacks"])(
            folder,
            monitor=self.monitor,
            mode=training.get("mode"),
            patience=training["patience"],
            stop_early=training["schedule"] in ("constant", "plateau") if "schedule" in training else None,
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

    def _save(self, path):
        if self.job.saved is not self.job.model:
            self.job.saved.set_weights(self.job.model.get_weights())
        self.job.saved.save(path)

    def run(self):
        with replaced(self.folder):
            self._run()
        return Run(self.folder)

    def _run(self):
        write_json(self.folder / "preprocessing.json", plain(self.job.data.preprocessing))
        write_json(self.folder / "config.json", plain(self.request | provenance()))
        began, interrupted = time.perf_counter(), False
        try:
            self._fit()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self.bar.close()
            if self.best.model is not None and not getattr(self.best, "finished", True):
                self.best.finish()
        self._summarise(time.perf_counter() - began, interrupted)

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
            raise KeyboardInterrupt("stopped before the first epoch ended; nothing was kept")
        if self.best.best_epoch is None:
            reason = self.best.stopped_because or "no epoch had a finite value"
            raise KzooError(f"Training failed: {reason}.")
        trained = len(history) * len(job.data.train)
        model = job.model
        if job.saved is not job.model:
            model = job.saved
            model.set_weights(job.model.get_weights())
        summary = dict(
            **score_and_keep(model, job.data, self.folder, batch_size=max(job.spec["training"]["batch_size"], 128)),
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
        write_json(self.folder / "summary.json", finite(summary))
