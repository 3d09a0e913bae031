"""From the arguments of a call to a compiled network: `plan_training` makes a `TrainingPlan`, `ready` builds it.

Used by `train`, `check`, `tune`, each trial of a search and the learning-rate range test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras

from kzoo.callbacks.monitor import reported_metrics
from kzoo.callbacks.rate import has_settable_rate
from kzoo.data import Dataset
from kzoo.data.inputs.image import photo_encoder
from kzoo.data.inputs.text import sentence_encoder
from kzoo.data.load import load
from kzoo.data.options import DataOptions
from kzoo.problems.stored_types import Config, Overrides, Spec, TrainingSettings
from kzoo.training.adapt import adapt_fit, adapt_monitor, adapt_to_data
from kzoo.training.custom_model import check_shape, custom_model_settings, match_loss
from kzoo.training.decision import adapt_decision, adapt_objective
from kzoo.training.device import computes_bfloat16, prepare_device
from kzoo.training.features import feature_bytes, frozen_below, head_above, with_features
from kzoo.training.gram_ridge import has_grams
from kzoo.training.initial_weights import initialize_from_data, load_initial_weights
from kzoo.training.linear_probe import linear_probe
from kzoo.training.masked_labels import has_unknown_labels, refuse_unknown_labels, with_known_labels
from kzoo.training.ridge import fit_ridge
from kzoo.training.score import gives_logits
from kzoo.training.setup import TrainingSetup, class_weights, core_of, target_scaling, weighs_series
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.utils.memory import too_large
from kzoo.utils.version import __version__
from kzoo.zoo import contract
from kzoo.zoo.families.protocol import PIECES, RIDGE, frozen_stem, is_scale_free, layer_with
from kzoo.zoo.loss_info import loss_info
from kzoo.zoo.registry import (
    Preset,
    build,
    get_preset,
    rebuild,
    requested_settings,
    resolve,
    spec_of,
    with_settings,
)
from kzoo.zoo.weights import INSTALLED, Freeze, Weights, check_freeze, check_linear_probe

if TYPE_CHECKING:
    from kzoo.data.dataset import Loadable, Split


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A preset or a custom model, with settings adapted to the data.

    Args:
        preset: the preset as it was requested; None for a model that was not built from one.
        custom_model: the user's compiled model, or None.
        config, training: the settings of the network and of training.
        requested: names of the settings that the user has set.
        data: the `Dataset`.
        seed: seed of weights, order, dropout and augmentation.
        notes: lines to print; those about the data are in `data.notes`.
        devices: number of devices that share each batch; None for the one that Keras chooses.
        as_built: whether `custom_model` is compiled as `kzoo.build` did it, so that it may be compiled again.
    """

    preset: Preset | None
    custom_model: "keras.Model | Any" = None
    config: dict
    training: dict
    requested: frozenset[str]
    data: Dataset
    seed: int = 0
    notes: tuple[str, ...] = ()
    devices: int | None = None
    as_built: bool = False

    @property
    def adapted_preset(self) -> Preset:
        """The preset with these settings, for this data."""
        preset: Any = self.preset  # not None: only presets are adapted
        return replace(preset, task=self.data.task, config=self.config, training=self.training)

    def changed(
        self, overrides: Overrides, *, data: Dataset | None = None, seed: int | None = None
    ) -> "TrainingPlan":
        """Return the plan with other settings: a trial of a search.

        Args:
            overrides: the settings that differ.
            data: other data, such as a fold; None for the same.
            seed: another seed; None for the same.

        Raises:
            KzooError: the preset does not take a setting or its value.
        """
        data = self.data if data is None else data
        seed = self.seed if seed is None else seed
        requested = self.requested | frozenset(overrides)
        return _adapted_plan(
            self.adapted_preset, *resolve(self.adapted_preset, overrides), requested, data, seed
        )

    def continued(self, config: Config) -> "TrainingPlan":
        """Return the plan of a training that was stopped, for the network that it began with.

        Args:
            config: the stored settings of the network; those of earlier versions have no `scale_free`.
        """
        if "scale_free" in config or "scale_free" not in self.config:
            return self
        return replace(self, config=self.config | {"scale_free": False})

    def count(self, overrides: Overrides) -> int:
        """Return the number of parameters of the network with other settings.

        Raises:
            KzooError: the network cannot be built.
        """
        return build(self.changed(overrides).adapted_preset, compile=False).count_params()

    def with_training(self, **values: object) -> "TrainingPlan":
        """Return the plan with other training settings, which are neither checked nor adapted."""
        return replace(self, training=self.training | values)

    def with_monitor(self) -> "TrainingPlan":
        """Return the plan with the name of the metric to monitor on this data.

        Raises:
            KzooError: a validation metric was requested, and there is no validation data.
        """
        training = dict(self.training)
        notes = adapt_monitor(training, self.requested, self.data)
        return replace(self, training=training, notes=(*self.notes, *notes))

    def with_freeze(self, freeze: Freeze | None) -> "TrainingPlan":
        """Return the plan without augmentation if the backbone is frozen: its features are computed once per image.

        Args:
            freeze: see `kzoo.train`; with glob patterns, and if the user has set it, augmentation is unchanged.
        """
        if freeze is not True or "backbone" not in self.config or "augment" in self.requested:
            return self
        note = "The backbone is frozen: its features are computed once, before the first epoch, without augmentation."
        return replace(self, training=self.training | {"augment": ()}, notes=(*self.notes, note))

    @property
    def spec(self) -> Spec:
        """The specification that a run or a search stores; that of the `TrainingSetup` has the full config."""
        return Spec(
            preset=self.preset.name if self.preset else self.custom_model.name,
            revision=self.preset.revision if self.preset else None,
            family=self.preset.family if self.preset else None,
            task=self.data.task,
            config=self.config,
            training=self.training,
            seed=self.seed,
        )

    def policy(self, precision: str = "auto", *, deterministic: bool = False) -> str:
        """Return the dtype policy to train with: the requested one, else the settings' if the device supports it.

        Raises:
            KzooError: see `prepare_device`.
        """
        device = prepare_device(precision, deterministic=deterministic)
        requested = self.training.get("precision", "auto")
        if precision != "auto" or requested == "auto":
            return device
        return "float32" if self._emulates_bfloat16 else requested

    @property
    def _emulates_bfloat16(self) -> bool:
        """Whether the settings ask for bfloat16 and the device would only emulate it."""
        return self.training.get("precision") == "mixed_bfloat16" and not computes_bfloat16()

    def split_over(self, devices: int) -> "TrainingPlan":
        """Return the plan for several devices, which share each batch evenly.

        Raises:
            KzooError: the batch size is not divisible by the number of devices, or larger than the training split.
        """
        size = self.training["batch_size"]
        if size % devices:
            sizes = ", ".join(str(devices * n) for n in (size // devices, size // devices + 1) if n)
            raise KzooError(
                f"is not divisible by devices={devices}. Use one of: {sizes}.",
                argument="batch_size",
                value=size,
            )
        remainder = len(self.data.train) % size
        if remainder == len(self.data.train):
            raise KzooError(
                f"needs a full batch, but batch_size={size} exceeds the {remainder} training rows.",
                argument="devices",
                value=devices,
            )
        note = f"Skipping {plural(remainder, 'row')} at the end of each epoch: too few for a batch to split evenly."
        return replace(self, devices=devices, notes=(*self.notes, *([note] if remainder else ())))

    def ready(
        self,
        policy: str,
        *,
        weights: "Weights | None" = None,
        freeze: Freeze | None = None,
        resumed: bool = False,
        for_checks: bool = False,
    ) -> TrainingSetup:
        """Return the `TrainingSetup`: the network built, with its initial weights, and compiled.

        Args:
            policy: the dtype policy to train with (see `policy`).
            weights, freeze: see `kzoo.train`.
            resumed: skip the linear probe, as a journal will replace all trained weights.
            for_checks: skip everything that takes a pass over the data, as nothing will be fitted.

        Raises:
            KzooError: the network cannot be built, or `weights` do not fit it.
        """
        if self.custom_model is not None:
            return self._custom_model_setup()
        check_freeze(freeze, weights)
        check_linear_probe(
            "linear_probe" in self.requested and self.training["linear_probe"], weights
        )
        model = _built(self.spec, policy)
        spec = replace(self.spec, config=spec_of(model)["config"], kzoo=__version__)
        notes = []
        core = core_of(model)
        features = None
        if policy == "float32" and self._emulates_bfloat16:
            notes.append(
                "Training in float32: the preset's mixed_bfloat16 would only be emulated on this processor."
            )
        if weights is not None:
            # First, for parameters that `weights` do not have, such as words of the new data.
            initialize_from_data(model, self.data, self.seed)
            if weights == INSTALLED:
                notes.append(photo_encoder.WHEEL.licence)
            notes += load_initial_weights(weights, model, spec, self.data, freeze=freeze)
            if not for_checks:
                # `compiled` has features
                later = self.training.get("augment") or layer_with(model, RIDGE) is not None
                frozen = None if later else frozen_below(model)
                inputs = model.input
                train = self.data.train
                if frozen is not None and too_large(
                    feature_bytes(frozen, train, self.data.validation)
                ):
                    frozen = None
                    notes.append(
                        "The backbone's features do not fit into memory: they are computed in every epoch."
                    )
                if frozen is not None:
                    core = head_above(frozen, core)
                    features = self._features_of(frozen)
                    inputs = frozen.output
                    train = features[0]
                if self.training.get("linear_probe") and not resumed:
                    note = linear_probe(
                        model,
                        inputs,
                        train,
                        batch_size=self.training["batch_size"],
                        standardize=target_scaling(model, self.config),
                    )
                    notes += [note] if note else []
        elif "backbone" in self.config:
            notes.append(
                "Without weights=, the backbone starts from random weights and needs many more images: "
                f"{photo_encoder.WHEEL.command} brings pretrained ones, weights='imagenet' downloads them, and "
                "weights=FILE loads a .keras file."
            )
        saved = model if policy == "float32" else _built(replace(spec, seed=None), "float32")
        return self.compiled(
            model,
            core,
            saved=saved,
            spec=spec,
            notes=notes,
            features=features,
            for_checks=for_checks,
        )

    def _features_of(self, frozen: keras.Model) -> "tuple[Split, Split | None]":
        """Return the training and the validation split with the features of the frozen part of the network."""
        size = self.training["batch_size"]
        validation = self.data.validation
        return (
            with_features(frozen, self.data.train, batch_size=size),
            validation and with_features(frozen, validation, batch_size=size),
        )

    def compiled(
        self,
        model: keras.Model,
        core: keras.Model,
        *,
        saved: keras.Model,
        spec: Spec,
        notes: Sequence[str] = (),
        features: "tuple[Split, Split | None] | None" = None,
        for_checks: bool = False,
    ) -> TrainingSetup:
        """Compile a built network, and return its `TrainingSetup`.

        Args:
            model: the whole network.
            core: the part of it that is trained (see `core_of`).
            saved, spec, features: see `TrainingSetup`.
            notes: lines to print in addition to the plan's.
            for_checks: see `ready`.
        """
        initialize_from_data(model, self.data, self.seed)
        notes = [*self.notes, *notes]
        if layer_with(model, PIECES) is not None:
            notes.append(sentence_encoder.WHEEL.licence)
        if frozen_stem(model) is not None:
            notes.append(photo_encoder.WHEEL.licence)
        if layer_with(model, RIDGE) is not None and not for_checks:
            features, note = fit_ridge(
                model,
                self.data,
                batch_size=self.training["batch_size"],
                standardize=target_scaling(model, self.config),
                class_weight=class_weights(self.training, self.data),
            )
            if has_grams(model):  # its head reads the pieces, too
                features = None
            else:
                core = head_above(frozen_below(model), core)
            notes.append(note)
        norm_bias_rate = self.training.get("norm_bias_rate", 1.0)
        if norm_bias_rate != 1.0 and not any(
            v.name == contract.NORM_BIAS for v in core.trainable_variables
        ):
            notes.append(
                f"norm_bias_rate={norm_bias_rate:g} has no effect: no normalisation layer of this network has a "
                "trainable bias."
            )
        # The loss is computed on standardised targets; the layer "unscale" on top restores their unit.
        standardize = target_scaling(model, self.config)
        if standardize is not None:
            transformed = (
                "standardised targets"
                if any(standardize[0])
                else "targets divided by their deviation"
                if is_scale_free(self.config)
                else "targets divided by their mean"
            )
            notes.append(
                f"Loss and metrics during training are of {transformed}; scores are in the targets' unit."
            )
        if weighs_series(self.data, self.config):
            notes.append(
                "Each series counts in the loss in inverse proportion to the scale of its errors; in scores and "
                "metrics all windows count alike."
            )
        if has_unknown_labels(self.data):
            core = with_known_labels(core)
        training, onehot = contract.with_labels(self.data.task, self.config, self.training)
        setup = TrainingSetup(
            model=model,
            core=core,
            saved=saved,
            data=self.data,
            spec=spec,
            standardize=standardize,
            onehot=onehot,
            training=training,
            notes=tuple(notes),
            features=features,
            whole_batches=self.devices is not None,
        )
        setup.compile()
        return setup

    def _loss_needs_onehot(self) -> bool:
        loss = loss_info(self.custom_model)
        outputs: Sequence[Any] = getattr(self.custom_model, "outputs", None) or ()
        if loss is None or "numbered" not in self.data.problem.facts:
            return False
        has_output_per_class = (
            len(outputs) == 1 and outputs[0].shape[-1] == self.data.outputs > 1
        )  # as many outputs as classes
        return loss.labels == "one-hot" or (loss.labels == "values" and has_output_per_class)

    def _custom_model_setup(self) -> TrainingSetup:
        keras.utils.set_random_seed(self.seed)
        model = self.custom_model
        spec = replace(self.spec, kzoo=__version__)
        if self.as_built:
            return self.compiled(
                model, core_of(model), saved=model, spec=spec, notes=other_precision(model, spec)
            )
        refuse_unknown_labels(self.data, f"The loss of model {model.name!r}")
        if self.training["on_nan"] == "rollback" and not has_settable_rate(model.optimizer):
            raise KzooError(
                f"halves the learning rate, which follows a schedule in model {model.name!r}. "
                "Compile it with a number as its learning_rate, or leave on_nan='rollback' out.",
                argument="on_nan",
                value="rollback",
            )
        return TrainingSetup(
            model=model,
            core=model,
            saved=model,
            data=self.data,
            spec=spec,
            standardize=None,
            onehot=self.data.outputs
            if self.training.get("labels") == "onehot" or self._loss_needs_onehot()
            else None,
            training=self.training,
            notes=self.notes,
            as_given=True,
        )


def other_precision(model: keras.Model, spec: Spec) -> list[str]:
    """Return a note if a built network has another dtype policy than `kzoo.train` would build it with."""
    requested = spec.training.get("precision", "auto")
    policy = model.dtype_policy.name
    if requested in ("auto", policy):
        return []
    return [
        f"kzoo.train computes {spec.preset} in {requested}, but this network was built in {policy}. Call "
        f"keras.config.set_dtype_policy({requested!r}) before kzoo.build to get the same."
    ]


def plan_training(
    preset_or_model: str | Preset | keras.Model,
    source: "Loadable | None",
    options: DataOptions,
    overrides: Overrides,
    *,
    seed: int = 0,
    requested: frozenset[str] = frozenset(),
) -> TrainingPlan:
    """Return the `TrainingPlan` for a preset or custom model and a source of data.

    Args:
        preset_or_model: a preset's name, a `Preset`, or a compiled custom model.
        source: anything that `kzoo.load_data` takes; None is the preset's own data set.
        options: how the source is read and split.
        overrides: the user's settings.
        seed: seed of weights, order, dropout and augmentation.
        requested: names of settings that the user has set before, and that the preset has already.

    Raises:
        KzooError: settings or data do not exist, or do not fit each other.
    """
    preset, model, config, training = settings_for(preset_or_model, overrides)
    data = load_for(source, preset, config, training, options)
    requested = frozenset(overrides) | requested
    if preset is not None and model is None:
        return _adapted_plan(preset, config, training, requested, data, seed)
    assert model is not None
    if preset is None:
        has_task = isinstance(source, Dataset) or options.task is not None
        data = match_loss(
            model,
            data,
            None if has_task else lambda task: load(source, None, replace(options, task=task)),
        )
    check_shape(model, data)
    if preset is None and data.config.get("quantiles"):
        raise KzooError(
            f"needs a preset, whose last layer follows the levels, and "
            f"{model.name!r} is a custom model. Leave quantiles= out, or train a preset.",
            argument="quantiles",
            value=tuple(data.config["quantiles"]),
        )
    requested |= requested_settings(model)
    logits = gives_logits(model)
    notes = adapt_decision(training, requested, data, logits=logits)
    notes += adapt_objective(training, requested, data, reported_metrics(model) or ())
    notes += adapt_fit(training, requested, data, logits=logits)
    return TrainingPlan(
        preset=preset,
        custom_model=model,
        config=config,
        training=training,
        requested=requested,
        data=data,
        seed=seed,
        notes=tuple(notes),
        as_built=preset is not None and contract.is_compiled_unchanged(model, preset.training),
    )


def _adapted_plan(
    preset: Preset,
    config: Config,
    training: TrainingSettings,
    requested: frozenset[str],
    data: Dataset,
    seed: int,
) -> TrainingPlan:
    config, training, notes = adapt_to_data(preset, config, training, requested, data)
    return TrainingPlan(
        preset=preset,
        config=config,
        training=training,
        requested=requested,
        data=data,
        seed=seed,
        notes=tuple(notes),
    )


def settings_for(
    preset_or_model: str | Preset | keras.Model, overrides: Overrides
) -> tuple[Preset | None, keras.Model | None, JsonObject, JsonObject]:
    """Return (preset or None, custom model or None, config, training) before any data is read."""
    if isinstance(preset_or_model, str | Preset):
        named = get_preset(preset_or_model)
        return named, None, *resolve(named, overrides)
    if not isinstance(preset_or_model, keras.Model):
        raise KzooError(
            f"kzoo.train takes a preset's name or a keras.Model, not {type(preset_or_model).__name__}."
        )
    preset, config, training = custom_model_settings(preset_or_model, overrides)
    return preset, preset_or_model, config, training


def load_for(
    source: "Loadable | None",
    preset: Preset | None,
    config: Config,
    training: TrainingSettings,
    options: DataOptions,
) -> Dataset:
    """Return a source as a `Dataset`, read as these settings need it; None is the preset's own data set."""
    if source is None:
        if preset is None or preset.dataset is None:
            raise KzooError(
                "No data to train on: set data= to a named data set, a file, a folder or arrays."
            )
        source = preset.dataset
    options.check_loaded(source)
    return load(source, with_settings(preset, config, training) if preset else None, options)


def _built(spec: Spec, policy: str) -> keras.Model:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return rebuild(spec.json(), compile=False)
    finally:
        keras.config.set_dtype_policy(previous)
