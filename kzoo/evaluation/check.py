"""`check`: what is wrong with data, settings or network, before the first epoch; what is new in new data."""

import os
from pathlib import Path

import keras
import numpy as np

from kzoo.checks import look
from kzoo.checks.losses import loss_of
from kzoo.checks.new_data import NewData
from kzoo.checks.subject import Subject
from kzoo.data.dataset import Dataset, Split
from kzoo.data.reload import preset_for, reload
from kzoo.errors import KzooError
from kzoo.registry import Preset, names_a_preset
from kzoo.run import Run
from kzoo.tasks import pair
from kzoo.training.device import prepare_device
from kzoo.training.prepare import prepare
from kzoo.training.settle import settle
from kzoo.training.train import check_shape, load_for, settings_for

_QUICK = ("settings", "data", "network")


def check(
    preset_or_model_or_run,
    data=None,
    *,
    deep=True,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    group=None,
    task=None,
    time=None,
    seed=0,
    data_seed=0,
    start=None,
    freeze=None,
    precision="auto",
    epochs=None,
    **overrides,
) -> list:
    """Look for what is wrong before training, or for what new data has that a run has not seen.

    Args:
        preset_or_model_or_run: what `kzoo.train` takes: a preset's name, a `Preset` or a compiled model of your own;
            or a run, or its path.
        data: what `kzoo.train` takes. A pair of arrays for a model of your own is looked at as `model.fit` would get
            it. With a run, new data, labelled or not, which is compared with what the run was trained on; without
            it the run's own data and settings are looked at.
        deep: also the checks that take gradient steps, some seconds; `kzoo.train` runs all others by itself.
        target, validation, test, drop, group, task, time: see `kzoo.load_data`.
        seed, data_seed, start, freeze, precision, epochs, overrides: see `kzoo.train`.

    Returns:
        A list of findings (`kzoo.checks.Finding`), errors first: check, level, what, where, why, fix. Empty is good.

    Raises:
        KzooError: what `kzoo.train` or `kzoo.evaluate` refuses on sight.
    """
    if epochs is not None:
        overrides["epochs"] = epochs
    columns = dict(target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time)
    return examine(
        preset_or_model_or_run, data, deep=deep, columns=columns, seed=seed, data_seed=data_seed,
        prepared=dict(start=start, freeze=freeze), precision=precision, overrides=overrides,
    )[0]  # fmt: skip


def examine(what, data, *, deep, columns, seed, data_seed, prepared, precision, overrides):
    """Do what `check` says; return (findings, names of the checks that were run)."""
    run = run_of(what)
    if run is not None and data is not None:
        return look(NewData(run, data, target=columns["target"]), ("new",))
    kinds = (*_QUICK, "steps") if deep else _QUICK
    if run is not None:
        spec = run.config["spec"]
        loaded = reload(spec, run.config["data"], run.preprocessing)
        preset = preset_for(spec)
        if preset is None:
            return look(Subject(loaded, None, spec["training"]), _QUICK)
        what, data = preset, loaded
    own = None if isinstance(what, str | Preset) else what
    preset, config, training = settings_for(own, what, overrides)
    if own is not None and _are_arrays(data):
        return look(Subject(_as_given(own, data, columns["test"]), own, training), kinds)
    loaded = load_for(data, preset, config, training, **columns, seed=data_seed)
    if own is None:
        config, training, _ = settle(preset, config, training, set(overrides), loaded)
    else:
        check_shape(own, loaded)
    spec = dict(
        preset=preset.name if preset else own.name, family=preset.family if preset else None, task=loaded.task,
        config=config, training=training, seed=seed,
    )  # fmt: skip
    job = prepare(own, spec, loaded, prepare_device(precision), notes=[], **prepared)
    subject = Subject(loaded, job.core, spec["training"], onehot=job.onehot, standardize=job.standardize)
    return look(subject, kinds)


def run_of(what):
    """Return the run that is meant; None for a preset or a model."""
    if isinstance(what, Run):
        return what
    name = os.fspath(what) if isinstance(what, str | os.PathLike) else None
    if name is None or names_a_preset(name):
        return None
    return Run(what) if Path(name).exists() or os.sep in name or isinstance(what, os.PathLike) else None


def _are_arrays(data):
    return isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], str) and hasattr(
        data[0], "shape"
    ) and not hasattr(data[0], "columns")  # fmt: skip


def _as_given(model, arrays, test):
    """Return arrays as a `Dataset` in which nothing is changed, moved or refused."""
    parts = {"train": Split(x=np.asarray(arrays[0]), y=np.asarray(arrays[1]))}
    if _are_arrays(test):
        parts["test"] = Split(x=np.asarray(test[0]), y=np.asarray(test[1]))
    for name, part in parts.items():
        if part.x.dtype.kind not in "biuf" or part.y.dtype.kind not in "biuf":
            raise KzooError(f"{name} holds {part.x.dtype} and {part.y.dtype}: a model takes numbers.")
        if part.x.ndim < 1 or len(part.x) != part.y.shape[0]:
            raise KzooError(f"{name} x has {len(part.x)} rows and y has {len(part.y)}; they must be as many.")
    x = parts["train"].x
    reads = any(isinstance(layer, keras.layers.Embedding) for layer in model.layers) and x.ndim == 2
    inputs = "tokens" if reads else {4: "image", 3: "series"}.get(x.ndim, "rows")
    loss = loss_of(model)
    fact = "classes" if loss is not None and loss.labels != "values" else "values"
    made = Dataset(
        name="arrays",
        task=pair(inputs, fact).name,
        inputs=inputs,
        **parts,
        config={"input_shape": x.shape[1:]},
    )
    check_shape(model, made)
    return made
