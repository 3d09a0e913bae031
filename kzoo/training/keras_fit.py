"""`fit_arguments`: the arguments with which Keras' own `fit` trains like `kzoo.train`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kzoo.data.dataset import Loadable
from kzoo.data.options import DataOptions
from kzoo.data.summary import summary_line
from kzoo.problems.data_arguments import with_data_options
from kzoo.problems.stored_types import Overrides, Request, Spec, plain, plain_value
from kzoo.training.fit import Fit
from kzoo.training.identity import identity
from kzoo.training.masked_labels import refuse_unknown_labels
from kzoo.training.plan import TrainingPlan, other_precision, plan_training
from kzoo.training.resume import seed_epoch
from kzoo.training.setup import TrainingSetup, make_variables, unscaled
from kzoo.training.train import print_notes, user_callbacks, write_config, write_summary
from kzoo.utils.argument_checks import checked_arguments, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, check_writable, path_of
from kzoo.utils.formatting import hint, listed
from kzoo.zoo import contract
from kzoo.zoo.families.protocol import MEMBERS, layer_with
from kzoo.zoo.registry import built_models, preset_of, remember_data, requested_settings, spec_of
from kzoo.zoo.registry.arguments import ARGUMENTS, SYNONYMS, TRAINING
from kzoo.zoo.weights import check_linear_probe

if TYPE_CHECKING:
    from kzoo.data.pipeline import Batches


@checked_arguments
@with_data_options()
def fit_arguments(
    model: keras.Model,
    data: "Loadable | None" = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    callbacks: str | keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    baselines: bool = True,
    progress: bool = True,
    **overrides: Any,
) -> JsonObject:
    """Return the arguments with which Keras' own `fit` trains like `kzoo.train`.

    They result in the same weights as `kzoo.train(preset, data, steps_per_call=1)`, bit for bit. The arguments contain
    batches (whose order and augmentation are a function of seed and epoch), validation data, epochs, the callback
    bundle and class weights; labels have the format that the loss needs. Only `train` has checks before the first
    epoch, resuming, signal handling, and many steps in one call.

    A model from `kzoo.build` is compiled again with a new optimizer, because learning-rate schedules need the number of
    steps. A model that you have compiled yourself is not compiled again.

    Args:
        model: from `kzoo.build`, or any compiled `keras.Model`. A network whose last layer is "unscale" is trained
            below it, on standardised targets: pass `keras.Model(model.input, model.get_layer("unscale").input)` here,
            and fit that; `model` shares its weights. A network with `members` needs `kzoo.train`.
        data: anything `kzoo.load_data` takes; the default is the preset's own data set.
        out: folder for a run, which `fit` writes, for `kzoo.predict`, `report`, `export` and the others. The default
            writes nothing.
        epochs: number of passes over the training split, instead of the preset's; schedules are adapted.
        seed: seed of order and augmentation; the default is the one that the model was built with, else 0.
        callbacks: the name of a bundle, which replaces the preset's, or a list, which is added to it.
        {data_options}
        baselines: also score baselines for comparison with the run in `out`, as `kzoo.train` does.
        progress: False prints no notes. The output of `fit` itself depends on its `verbose`.
        overrides: training settings, named as in `kzoo.build`; those of the network cannot be changed any more.

    Returns:
        x, validation_data, epochs, callbacks, class_weight and shuffle, for a single `fit` of this model.

    Raises:
        KzooError: the model was not built for this data, `out` has a run, or plain `fit` does not support a setting.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> model = kzoo.build("tabular_fnn", data=data, seed=0)
        >>> arguments = kzoo.fit_arguments(model, data, out="runs/mine", epochs=2)
        >>> sorted(arguments)
        ['callbacks', 'class_weight', 'epochs', 'shuffle', 'validation_data', 'x']
        >>> history = model.fit(**arguments, verbose=0)
        >>> kzoo.Run("runs/mine").finished
        True
    """
    options = DataOptions.popped(overrides)
    if options.calibration is not None:
        raise KzooError(
            "has no effect: sets and intervals are learned by kzoo.train, not by fit. Remove it.",
            argument="calibration",
            value=options.calibration,
        )
    seed = None if seed is None else checked_seed("seed", seed)
    extra = user_callbacks(callbacks, epochs, overrides)
    folder = None if out is None else _new_run_folder(path_of(out, "a folder for the run"))
    setup = _prepare(model, data, options, overrides, seed)
    if setup.training.get("on_nan") == "rollback":
        raise KzooError(
            "needs the journal of kzoo.train, which plain fit does not write. Use 'stop'.",
            argument="on_nan",
            value="rollback",
        )
    if setup.corrects_mean:
        raise KzooError(
            "predicts medians, which kzoo.train corrects to means after training, and "
            "plain fit does not. Use kzoo.train, or loss='gamma'.",
            argument="loss",
            value=setup.training["loss"],
        )
    print_notes(
        [
            summary_line(setup.data.overview),
            *setup.data.notes,
            *setup.notes,
            *other_precision(setup.model, setup.spec),
        ],
        progress,
    )
    fit = Fit(setup, folder, extra=extra)
    # Before `fit`: on TensorFlow the first step would be traced twice otherwise.
    make_variables(setup.core, fit.train.batch(0, 0))
    request = Request(
        data=options.describe(setup.data),
        spec=setup.spec,
        precision=setup.model.dtype_policy.name,
        backend=keras.backend.backend(),
        **identity(setup.core if setup.as_given else None, None, setup.spec.preset, extra),
    )
    remember_data(setup.model, plain(request.json()), setup.data.preprocessing)
    run_writer = [] if folder is None else [_RunWriter(fit, request, baselines)]
    return fit.arguments() | {
        "callbacks": [_EpochOrder(fit.train), *fit.objective, *fit.bundle, *extra, *run_writer]
    }


class _EpochOrder(keras.callbacks.Callback):
    """Set the epoch of the batches; first in the list of callbacks."""

    def __init__(self, batches: "Batches") -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.batches.epoch = epoch
        seed_epoch(self.batches.seed, epoch)


class _RunWriter(keras.callbacks.Callback):
    """Write the run's folder, and its scores after the best weights are restored; last in the list of callbacks."""

    def __init__(self, fit: Fit, request: Request, baselines: bool) -> None:
        super().__init__()
        self.training, self.request, self.baselines = fit, request, baselines

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.training.folder.mkdir(parents=True, exist_ok=True)
        write_config(self.training.folder, self.training.job, self.request, command=None)
        self.training.start()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.training.end()
        write_summary(self.training, baselines=self.baselines)


def _new_run_folder(folder: Path) -> Path:
    if (folder / "config.json").is_file():
        raise KzooError("already has a run. Use another folder.", argument="out", value=str(folder))
    check_writable(folder, folder)
    return folder


def _prepare(
    model: keras.Model,
    data: "Loadable | None",
    options: DataOptions,
    overrides: JsonObject,
    seed: int | None,
) -> TrainingSetup:
    """Return the `TrainingSetup` of a built model, compiled again if `kzoo.build` compiled it."""
    if not isinstance(model, keras.Model):
        raise KzooError(f"kzoo.fit_arguments takes a keras.Model, not {type(model).__name__}.")
    network = _full_network(model)
    try:
        spec = spec_of(network)
    except KzooError:
        spec = None
    if spec is None or (
        network is model and model.compiled and not contract.compiled_by_contract(model)
    ):
        return (
            plan_training(model, data, options, overrides, seed=seed or 0)
            .with_monitor()
            .ready(model.dtype_policy.name)
        )
    if layer_with(network, MEMBERS) is not None:
        raise KzooError(
            f"{network.name!r} trains each of its members separately, which Keras' own fit does not support. Use "
            "kzoo.train."
        )
    if network is model and unscaled(model) is not None:
        raise KzooError(
            f"{model.name!r} is trained below its layer 'unscale', on standardised targets. Fit that part, which "
            "shares its weights with the whole model: "
            "core = keras.Model(model.input, model.get_layer('unscale').input); "
            "core.fit(**kzoo.fit_arguments(core, data))."
        )
    for name in overrides:
        if name == "precision":
            raise KzooError(
                "applies when a network is built. Call keras.config.set_dtype_policy before kzoo.build.",
                argument="precision",
            )
        if name not in ARGUMENTS:
            guess = SYNONYMS.get(name.lower())
            guess_text = f"Did you mean {guess!r}? " if guess in TRAINING else hint(name, TRAINING)
            raise KzooError(
                f"Unknown argument {name!r}. {guess_text}Use one of: {', '.join(TRAINING)}.",
                argument=name,
                value=overrides[name],
                complete=True,
            )
        if name not in TRAINING:
            raise KzooError(
                "is a setting of the network, which is built already. Pass it to kzoo.build.",
                argument=name,
            )
    check_linear_probe(bool(overrides.get("linear_probe")), None)
    _check_rate(model, spec, overrides)
    seed = (spec["seed"] or 0) if seed is None else seed
    requested = requested_settings(network)
    plan = plan_training(
        preset_of(spec), data, options, overrides, seed=seed, requested=requested
    ).with_monitor()
    _check_built_for(plan, spec)
    refuse_unknown_labels(plan.data, "Keras' own fit")
    return plan.compiled(network, model, saved=network, spec=Spec.read(spec | plan.spec.json()))


def _full_network(model: keras.Model) -> keras.Model:
    """Return the built network whose part below "unscale" is this model; else the model itself."""
    tensor = model.outputs[0] if getattr(model, "outputs", None) else None
    return next(
        (
            network
            for network in built_models()
            if tensor is not None and unscaled(network) is tensor
        ),
        model,
    )


def _check_rate(model: keras.Model, spec: JsonObject, overrides: Overrides) -> None:
    """Raise KzooError if compiling again would discard a learning rate that was set on the optimizer."""
    steps = model.compiled and int(model.optimizer.iterations)
    if (
        "learning_rate" in overrides
        or not model.compiled
        or steps
        or contract.is_compiled_unchanged(model, spec["training"])
    ):
        return
    rate = float(model.optimizer.learning_rate)
    raise KzooError(
        f"The optimizer's learning rate was changed to {rate:g} after kzoo.build. Pass learning_rate={rate:g} here."
    )


def _check_built_for(plan: TrainingPlan, spec: JsonObject) -> None:
    """Raise KzooError if the network would be built differently for this data."""
    built = plain(spec["config"])
    data = plan.data
    differing = [
        name for name, value in plan.config.items() if plain_value(value) != built.get(name)
    ]
    if differing:
        raise KzooError(
            f"{spec['preset']} was not built for {data.name}: {listed(differing)} would differ. Build it with "
            f"data = kzoo.load_data(...); kzoo.build({spec['preset']!r}, data=data)."
        )
