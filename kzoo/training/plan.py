"""The road from a call's arguments to a network ready to fit: `assign` settles what is trained, `ready` builds it.

`train`, `check`, `tune`, each of its trials and the learning-rate range walk it; cross-validation through `train`.
"""

from dataclasses import dataclass, replace
from typing import Any

import keras

from kzoo import __version__, contract
from kzoo.callbacks.rate import has_settable_rate
from kzoo.checks.losses import loss_info
from kzoo.data import Dataset
from kzoo.data.load import load
from kzoo.dataset.options import DataOptions
from kzoo.registry import Preset, build, get_preset, rebuild, requested_settings, resolve, spec_of, with_settings
from kzoo.stored_types import Spec
from kzoo.training.adapt import adapt_fit, adapt_monitor, adapt_to_data
from kzoo.training.custom_model import as_compiled_for, check_shape, settings_of
from kzoo.training.device import computes_bfloat16, prepare_device
from kzoo.training.features import above, frozen_below, with_features
from kzoo.training.initial_weights import initialize_from_data, load_initial_weights
from kzoo.training.linear_probe import linear_probe
from kzoo.training.setup import TrainingSetup, core_of, unscaled
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.weights import check_freeze, check_linear_probe


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What is to be trained: a preset or a model of one's own, with settings that fit the data.

    Args:
        preset: as it was named; None for a model that did not come from one.
        own: a compiled model of the user's, or None.
        config, training: the settings.
        asked: names that the user has set.
        data: the `Dataset`.
        seed: of weights, order, dropout and augmentation.
        notes: a line for each thing to know; those of the data are the data's.
        devices: over how many each batch is shared out; None for one that Keras chooses.
        as_built: whether `own` is as `kzoo.build` compiled it, so that it may be compiled anew.
    """

    preset: Preset | None
    own: "keras.Model | Any" = None
    config: dict
    training: dict
    asked: frozenset[str]
    data: Dataset
    seed: int = 0
    notes: tuple[str, ...] = ()
    devices: int | None = None
    as_built: bool = False

    @property
    def settled(self) -> Preset:
        """The preset with these settings, for this data."""
        preset: Any = self.preset  # there is one: a model of one's own is not settled
        return replace(preset, task=self.data.task, config=self.config, training=self.training)

    def changed(self, overrides, *, data=None, seed=None) -> "TrainingPlan":
        """Return what other settings make of it, from these on: a trial of a search.

        Args:
            overrides: settings that differ.
            data: other data, such as a fold of it.
            seed: another one.

        Raises:
            KzooError: a name or value that the preset does not take.
        """
        data, seed = self.data if data is None else data, self.seed if seed is None else seed
        asked = self.asked | frozenset(overrides)
        return _settle(self.settled, *resolve(self.settled, overrides), asked, data, seed)

    def count(self, overrides) -> int:
        """Return the number of parameters of the network that other settings make.

        Raises:
            KzooError: it cannot be built.
        """
        return build(self.changed(overrides).settled, compile=False).count_params()

    def training_with(self, **values) -> "TrainingPlan":
        """Return it with other training settings, which are taken as they are."""
        return replace(self, training=self.training | values)

    def watching(self) -> "TrainingPlan":
        """Return it with a name for what is watched on this data.

        Raises:
            KzooError: a validation value was asked for, and there is no validation data.
        """
        training = dict(self.training)
        notes = adapt_monitor(training, self.asked, self.data)
        return replace(self, training=training, notes=(*self.notes, *notes))

    def freezing(self, freeze) -> "TrainingPlan":
        """Return it without augmentation where a backbone is frozen: it then sees each image once.

        Args:
            freeze: see `kzoo.train`; globs leave augmentation as it is, and so does one that was asked for.
        """
        if freeze is not True or "backbone" not in self.config or "augment" in self.asked:
            return self
        note = "The backbone is frozen, and sees each image once, before the first epoch: without augmentation."
        return replace(self, training=self.training | {"augment": ()}, notes=(*self.notes, note))

    @property
    def spec(self) -> Spec:
        """The specification that a run or a search stores; the job's has all of the config."""
        return Spec(
            preset=self.preset.name if self.preset else self.own.name,
            revision=self.preset.revision if self.preset else None,
            family=self.preset.family if self.preset else None,
            task=self.data.task,
            config=self.config,
            training=self.training,
            seed=self.seed,
        )

    def policy(self, precision="auto", *, deterministic=False) -> str:
        """Return the dtype policy to train with: what is asked, else the settings' where the device computes with it.

        Raises:
            KzooError: see `prepare_device`.
        """
        device = prepare_device(precision, deterministic=deterministic)
        wanted = self.training.get("precision", "auto")
        if precision != "auto" or wanted == "auto":
            return device
        return "float32" if self._would_imitate else wanted

    @property
    def _would_imitate(self) -> bool:
        """Whether the settings want bfloat16, with which the device does not compute."""
        return self.training.get("precision") == "mixed_bfloat16" and not computes_bfloat16()

    def shared_out(self, devices) -> "TrainingPlan":
        """Return it for several devices, each of which gets as much of every batch.

        Raises:
            KzooError: a batch that cannot be shared out, or no whole batch.
        """
        size = self.training["batch_size"]
        if size % devices:
            fit = ", ".join(str(devices * n) for n in (size // devices, size // devices + 1) if n)
            raise KzooError(f"devices={devices}: batch_size={size} cannot be shared out evenly. Use one of: {fit}.")
        left = len(self.data.train) % size
        if left == len(self.data.train):
            raise KzooError(f"devices={devices}: batch_size={size} is more than all {left} training rows.")
        note = f"{plural(left, 'row')} of each epoch's order, less than a batch, cannot be shared out: left out there."
        return replace(self, devices=devices, notes=(*self.notes, *([note] if left else ())))

    def ready(self, policy, *, weights=None, freeze=None, resumed=False, look=False) -> "TrainingSetup":
        """Return the network built, begun with trained weights, and compiled.

        Args:
            policy: the dtype policy to train with (see `policy`).
            weights, freeze: see `kzoo.train`.
            resumed: all that learns is about to be replaced by what a journal holds: without the linear probe.
            look: nothing will be fitted: without what takes a pass over the data.

        Raises:
            KzooError: a network that cannot be built, or weights that do not fit.
        """
        if self.own is not None:
            return self._own_job()
        check_freeze(freeze, weights)
        check_linear_probe("linear_probe" in self.asked and self.training["linear_probe"], weights)
        model = _built(self.spec, policy)
        spec = replace(self.spec, config=spec_of(model)["config"], kzoo=__version__)
        notes, core, features = [], core_of(model), None
        if policy == "float32" and self._would_imitate:
            notes.append("In float32: mixed_bfloat16 is the preset's, and this processor would only imitate it.")
        if weights is not None:
            initialize_from_data(
                model, self.data.train
            )  # which is for what `weights` lack, such as words of the new data
            notes += load_initial_weights(weights, model, spec, self.data, freeze=freeze)
            if not look:
                below = None if self.training.get("augment") else frozen_below(model)
                given, train = model.input, self.data.train
                if below is not None:
                    core, features = above(below, core), self._seen_by(below)
                    given, train = below.output, features[0]
                if self.training.get("linear_probe") and not resumed:
                    notes += filter(None, [linear_probe(model, given, train, batch_size=self.training["batch_size"])])
        elif "backbone" in self.config:
            notes.append(
                "No weights=: the backbone begins at random, and needs many more photos so. weights='imagenet' "
                "downloads trained ones, weights=FILE brings those of a .keras file."
            )
        saved = model if policy == "float32" else _built(replace(spec, seed=None), "float32")
        return self.compiled(model, core, saved=saved, spec=spec, notes=notes, features=features)

    def _seen_by(self, below):
        """Return the training and the validation split as a frozen part of the network sees them."""
        splits = self.data.train, self.data.validation
        return tuple(s and with_features(below, s, batch_size=self.training["batch_size"]) for s in splits)

    def compiled(self, model, core, *, saved, spec, notes=(), features=None) -> "TrainingSetup":
        """Compile a network that has been built, and return the job.

        Args:
            model: the whole network.
            core: what is trained of it (see `core_of`).
            saved, spec, features: see `Job`.
            notes: what there is to know beside its own.
        """
        initialize_from_data(model, self.data.train)
        notes, standardize = [*self.notes, *notes], None
        hurry = self.training.get("norm_bias_rate", 1.0)
        if hurry != 1.0 and not any(v.name == contract.NORM_BIAS for v in core.trainable_variables):
            notes.append(f"norm_bias_rate={hurry:g} has no effect: no norm of this network has a bias that learns.")
        if unscaled(model) is not None:
            # The loss sees standardised targets; the layer on top puts the answers back into their own unit.
            standardize = (self.config["target_offset"], self.config["target_scale"])
            notes.append("While training, loss and metrics are of standardised targets; scores are in their own unit.")
        training, onehot = contract.with_labels(self.data.task, self.config, self.training)
        job = TrainingSetup(
            model=model, core=core, saved=saved, data=self.data, spec=spec, standardize=standardize, onehot=onehot,
            training=training, notes=tuple(notes), features=features, whole_batches=self.devices is not None,
        )  # fmt: skip
        job.compile()
        return job

    def _loss_wants_onehot(self):
        loss, gives = loss_info(self.own), getattr(self.own, "outputs", None) or ()
        if loss is None or "numbered" not in self.data.problem.facts:
            return False
        each = len(gives) == 1 and gives[0].shape[-1] == self.data.outputs > 1  # has an answer of its own
        return loss.labels == "one-hot" or (loss.labels == "values" and each)

    def _own_job(self):
        keras.utils.set_random_seed(self.seed)
        own, spec = self.own, replace(self.spec, kzoo=__version__)
        if self.as_built:
            return self.compiled(own, core_of(own), saved=own, spec=spec, notes=other_precision(own, spec))
        if self.training["on_nan"] == "rollback" and not has_settable_rate(own.optimizer):
            raise KzooError(
                f"on_nan='rollback' halves the learning rate, and that of your model {own.name!r} follows a schedule: "
                "compile it with a number, or leave on_nan='rollback' out."
            )
        return TrainingSetup(
            model=own, core=own, saved=own, data=self.data, spec=spec, standardize=None,
            onehot=self.data.outputs if self.training.get("labels") == "onehot" or self._loss_wants_onehot() else None,
            training=self.training, notes=self.notes, as_given=True,
        )  # fmt: skip


def other_precision(model, spec: Spec) -> list[str]:
    """Say that a built network computes in something else than its settings let `kzoo.train` build it in."""
    wanted, policy = spec.training.get("precision", "auto"), model.dtype_policy.name
    if wanted in ("auto", policy):
        return []
    return [
        f"kzoo.train computes {spec.preset} in {wanted}, and this network is built in {policy}: "
        f"keras.config.set_dtype_policy({wanted!r}) before kzoo.build makes them alike."
    ]


def plan_training(what, source, options: DataOptions, overrides, *, seed=0, asked=frozenset()) -> TrainingPlan:
    """Settle what is to be trained on what.

    Args:
        what: a preset's name, a `Preset`, or a compiled model of one's own.
        source: anything that `kzoo.load_data` takes; None is the preset's own data set.
        options: how the source is read and split.
        overrides: settings that the user has set.
        seed: of weights, order, dropout and augmentation.
        asked: names that the user has set before, and that the preset has.

    Raises:
        KzooError: settings or data that do not exist, or do not fit each other.
    """
    preset, own, config, training = settings_for(what, overrides)
    data = load_for(source, preset, config, training, options)
    asked = frozenset(overrides) | asked
    if own is None:
        return _settle(preset, config, training, asked, data, seed)
    if preset is None:
        said = isinstance(source, Dataset) or options.task is not None
        data = as_compiled_for(
            own, data, None if said else lambda task: load(source, None, replace(options, task=task))
        )
    check_shape(own, data)
    asked |= requested_settings(own)
    notes = adapt_fit(training, asked, data)
    return TrainingPlan(
        preset=preset, own=own, config=config, training=training, asked=asked, data=data, seed=seed,
        notes=tuple(notes), as_built=preset is not None and contract.is_compiled_unchanged(own, preset.training),
    )  # fmt: skip


def _settle(preset, config, training, asked, data, seed):
    config, training, notes = adapt_to_data(preset, config, training, asked, data)
    return TrainingPlan(
        preset=preset, config=config, training=training, asked=asked, data=data, seed=seed, notes=tuple(notes)
    )


def settings_for(what, overrides):
    """Return (preset or None, model of one's own or None, config, training) before any data is seen."""
    if isinstance(what, str | Preset):
        preset = get_preset(what)
        return preset, None, *resolve(preset, overrides)
    if not isinstance(what, keras.Model):
        raise KzooError(f"kzoo.train takes a preset's name or a keras.Model, not {type(what).__name__}.")
    preset, config, training = settings_of(what, overrides)
    return preset, what, config, training


def load_for(source, preset, config, training, options: DataOptions) -> Dataset:
    """Return a source as a `Dataset`, read as these settings want it; None is the preset's own data."""
    if source is None:
        if preset is None or preset.dataset is None:
            raise KzooError("Say what to train on: data= takes a named set, a file, a folder or arrays.")
        source = preset.dataset
    options.check_loaded(source)
    return load(source, with_settings(preset, config, training) if preset else None, options)


def _built(spec, policy):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return rebuild(spec.json(), compile=False)
    finally:
        keras.config.set_dtype_policy(previous)
