"""`fit_arguments`: what Keras' own `fit` takes to train as `kzoo.train` does."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from numpy.typing import ArrayLike

from kzoo import contract
from kzoo.dataset.dataset import Loadable
from kzoo.dataset.options import DataOptions
from kzoo.dataset.splits import Fold
from kzoo.dataset.summary import one_line
from kzoo.families.protocol import MEMBERS, layer_with
from kzoo.registry import built_models, preset_of, remember_data, requested_settings, spec_of
from kzoo.registry.arguments import TRAINING
from kzoo.stored_types import Request, Spec, plain
from kzoo.training.fit import Fit
from kzoo.training.identity import identity
from kzoo.training.plan import TrainingPlan, other_precision, plan_training
from kzoo.training.resume import seed_epoch
from kzoo.training.setup import TrainingSetup, make_variables, unscaled
from kzoo.training.train import describe, print_notes, summarise, user_callbacks
from kzoo.utils.argument_checks import checked_arguments, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_writable, path_of
from kzoo.utils.formatting import listed
from kzoo.weights import check_linear_probe


@checked_arguments
def fit_arguments(
    model: keras.Model,
    data: "Loadable | None" = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    data_seed: int = 0,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | Fold | Loadable | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    baselines: bool = True,
    progress: bool = True,
    **overrides: Any,
) -> dict[str, Any]:
    """Return the arguments with which Keras' own `fit` trains as `kzoo.train` does.

        data = kzoo.load_data("churn.csv", target="churned")
        model = kzoo.build("tabular_fnn", data=data, seed=0)
        model.fit(**kzoo.fit_arguments(model, data, out="runs/mine"))

    ends in the weights of `kzoo.train("tabular_fnn", data, steps_per_call=1)`, to the bit. There are batches (their
    order and augmentation are a function of seed and epoch), validation data, epochs, the callback bundle and class
    weights, and labels are as the loss wants them. What `train` has beside that is its own: checks before the first
    epoch, resuming, signals, and many steps in one call.

    A model of `kzoo.build` is compiled anew, with a fresh optimizer, as its contract says: the learning rate's course
    gets its length here. A model that you have compiled yourself stays as it is.

    Args:
        model: from `kzoo.build`, or any compiled `keras.Model`. A network whose last layer is "unscale" is trained
            below it, on standardised targets: pass `keras.Model(model.input, model.get_layer("unscale").input)` here,
            and fit that; `model` shares its weights. One with `members` is for `kzoo.train` alone.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        out: a folder, which `fit` makes a run of: `kzoo.predict`, `report`, `export` and the others take it. The
            default writes nothing.
        epochs: passes over the training split, in place of the preset's; schedules follow.
        seed: of order and augmentation; the default is the one that the model was built with, else 0.
        data_seed: of the split into training, validation and test data.
        callbacks: the name of a bundle, which replaces the preset's, or a list, which is added to it.
        target, validation, test, drop, group, task, time, columns: see `kzoo.load_data`.
        baselines: score what needs no network beside the run in `out`, as `kzoo.train` does.
        progress: False prints no notes. What `fit` prints is its own `verbose`.
        overrides: settings of training, by the names that `kzoo.build` takes; those of the network are built into it.

    Returns:
        x, validation_data, epochs, callbacks, class_weight and shuffle. They are for one `fit` of this very model.

    Raises:
        KzooError: the model was not built for this data, `out` holds a run, or a setting that plain `fit` cannot keep.
    """
    seed = None if seed is None else checked_seed("seed", seed)
    options = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time, columns=columns,
        seed=checked_seed("data_seed", data_seed),
    )  # fmt: skip
    extra = user_callbacks(callbacks, epochs, overrides)
    folder = None if out is None else _new(path_of(out, "a folder for the run"))
    job = _job(model, data, options, overrides, seed)
    if job.training.get("on_nan") == "rollback":
        raise KzooError("on_nan='rollback' goes back to the journal of kzoo.train, and plain fit has none: use 'stop'.")
    print_notes(
        [one_line(job.data.overview), *job.data.notes, *job.notes, *other_precision(job.model, job.spec)], progress
    )
    fit = Fit(job, folder, extra=extra)
    make_variables(job.core, fit.train.batch(0, 0))
    request = Request(
        data=options.describe(job.data),
        spec=job.spec,
        precision=job.model.dtype_policy.name,
        backend=keras.backend.backend(),
        **identity(job.core if job.as_given else None, None, job.spec.preset, extra),
    )
    remember_data(job.model, plain(request.json()), job.data.preprocessing)
    kept = [] if folder is None else [_Kept(fit, request, baselines)]
    return fit.arguments() | {"callbacks": [_Order(fit.train), *fit.bundle, *extra, *kept]}


class _Order(keras.callbacks.Callback):
    """First in the list: tell the batches which epoch it is."""

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.epoch = epoch
        seed_epoch(self.batches.seed, epoch)


class _Kept(keras.callbacks.Callback):
    """Last in the list: make a run of the folder, and write its scores once the best weights are back."""

    def __init__(self, fit: Fit, request: Request, baselines: bool) -> None:
        super().__init__()
        self.training, self.request, self.baselines = fit, request, baselines

    def on_train_begin(self, logs: Any = None) -> None:
        self.training.folder.mkdir(parents=True, exist_ok=True)
        describe(self.training.folder, self.training.job, self.request, command=None)
        self.training.start()

    def on_train_end(self, logs: Any = None) -> None:
        self.training.end()
        summarise(self.training, baselines=self.baselines)


def _new(folder: Path) -> Path:
    if (folder / "config.json").is_file():
        raise KzooError(f"out={str(folder)!r} holds a run already: give another folder.")
    check_writable(folder, folder)
    return folder


def _job(model: Any, data: Any, options: DataOptions, overrides: dict[str, Any], seed: int | None) -> TrainingSetup:
    """Return the job of a model that is there: compiled by its contract, if that is how it was compiled before."""
    if not isinstance(model, keras.Model):
        raise KzooError(f"kzoo.fit_arguments takes a keras.Model, not {type(model).__name__}.")
    whole = _whole(model)
    try:
        spec = spec_of(whole)
    except KzooError:
        spec = None
    if spec is None or (whole is model and model.compiled and not contract.compiled_by_contract(model)):
        return plan_training(model, data, options, overrides, seed=seed or 0).watching().ready(None)
    if layer_with(whole, MEMBERS) is not None:
        raise KzooError(
            f"{whole.name!r} learns each of its members by itself, which Keras' own fit does not: use kzoo.train."
        )
    if whole is model and unscaled(model) is not None:
        raise KzooError(
            f"{model.name!r} is trained below its layer 'unscale', on standardised targets. Fit that part, and the "
            "whole model has its weights: core = keras.Model(model.input, model.get_layer('unscale').input); "
            "core.fit(**kzoo.fit_arguments(core, data))."
        )
    for name in overrides:
        if name == "precision":
            raise KzooError("precision= is how a network is built: keras.config.set_dtype_policy before kzoo.build.")
        if name not in TRAINING:
            raise KzooError(f"{name}= is a setting of the network, which is built: give it to kzoo.build.")
    check_linear_probe(bool(overrides.get("linear_probe")), None)
    _check_rate(model, spec, overrides)
    seed = (spec["seed"] or 0) if seed is None else seed
    asked = requested_settings(whole)
    assigned = plan_training(preset_of(spec), data, options, overrides, seed=seed, asked=asked).watching()
    _check_built_for(assigned, spec)
    return assigned.compiled(whole, model, saved=whole, spec=Spec.read(spec | assigned.spec.json()))


def _whole(model: keras.Model) -> keras.Model:
    """Return the network of which a model is the part below "unscale"; else the model itself."""
    tensor = model.outputs[0] if getattr(model, "outputs", None) else None
    return next((one for one in built_models() if tensor is not None and unscaled(one) is tensor), model)


def _check_rate(model: keras.Model, spec: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Refuse to undo a learning rate that somebody has set on the optimizer."""
    trained = model.compiled and int(model.optimizer.iterations)
    if (
        "learning_rate" in overrides
        or not model.compiled
        or trained
        or contract.is_compiled_unchanged(model, spec["training"])
    ):
        return
    rate = float(model.optimizer.learning_rate)
    raise KzooError(f"The optimizer's learning rate was set to {rate:g} by hand: give learning_rate={rate:g} here.")


def _check_built_for(assigned: TrainingPlan, spec: Mapping[str, Any]) -> None:
    """Refuse a network that data of this look would not have got."""
    built, data = plain(spec["config"]), assigned.data
    other = [name for name, value in assigned.config.items() if plain(value) != built.get(name)]
    if other:
        raise KzooError(
            f"{spec['preset']} was built without {data.name} in view: {listed(other)} would differ. Build it with "
            f"data = kzoo.load_data(...); kzoo.build({spec['preset']!r}, data=data)."
        )
