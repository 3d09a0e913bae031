"""`TrainingSetup`: a compiled network with the batches, callbacks and class weights for its `fit`."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo import callbacks as bundles
from kzoo.data import Dataset
from kzoo.data.dataset import Split
from kzoo.data.pipeline import Batches
from kzoo.data.sample import class_counts, sample_split
from kzoo.problems.kinds import kind
from kzoo.problems.stored_types import Config, Spec, TrainingSettings
from kzoo.training.adapt import balanced_class_weights, class_weights_of
from kzoo.training.masked_labels import has_unknown_labels
from kzoo.training.members import Members
from kzoo.training.score import gives_logits
from kzoo.zoo import contract
from kzoo.zoo.families.protocol import MEMBERS, RIDGE, UNSCALE, is_scale_free, layer_with
from kzoo.zoo.registry import steps_of, steps_of_epoch

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """A network ready to fit.

    Args:
        model: the whole network.
        core: the part of it that is trained.
        saved: the network that is saved: in float32, with outputs in the targets' unit.
        data: the `Dataset`.
        spec: the `Spec` that it was built from, with the full config.
        standardize, onehot: transformations of the labels (see `kzoo.data.pipeline.Batches`).
        training: the training settings that it was compiled with: those of `spec`, with the label format of the loss.
        notes: lines to print; those about the data are in `data.notes`.
        features: the training and the validation split with the features of the frozen part, if `core` is the rest.
        whole_batches: whether an incomplete batch at the end of an epoch is skipped.
        as_given: whether the core is compiled by the user, and not by kzoo.
    """

    model: keras.Model
    core: keras.Model
    saved: keras.Model
    data: Dataset
    spec: Spec
    standardize: tuple | None
    onehot: int | None
    training: dict
    notes: tuple[str, ...] = ()
    features: tuple[Split, Split | None] | None = None
    whole_batches: bool = False
    as_given: bool = False

    @property
    def closed_form(self) -> bool:
        """Whether ridge regression sets the last layer, so that nothing is trained by gradients."""
        return layer_with(self.model, RIDGE) is not None

    @property
    def examples(self) -> int:
        """Number of training examples in an epoch."""
        count = len(self.data.train)
        return count - count % self.training["batch_size"] if self.whole_batches else count

    def compile(self, *, slower: float = 1.0) -> None:
        """Compile the core by its training settings, with the learning rate multiplied by `slower`."""
        training = self.training | {"learning_rate": self.training["learning_rate"] * slower}
        steps = steps_of(training, self.examples)
        weighted = self.data.train.weight is not None or has_unknown_labels(self.data)
        # for the checks before training
        also_compiled = () if self.features is None else (self.model,)
        for model in (self.core, *also_compiled):
            contract.compile_model(
                model,
                task=self.data.task,
                config=self.spec.config,
                training=training,
                steps=steps,
                weighted=weighted,
            )

    def batches(self, split: Split, **options: Any) -> Batches:
        """Return the batches of a split for the core; `options` are those of `Batches`."""
        options = {"weight": split.weight} | options
        return Batches(
            split,
            batch_size=self.training["batch_size"],
            onehot=self.onehot,
            standardize=self.standardize,
            **options,
        )

    def training_batches(self) -> Batches:
        """Return the batches to train on, shuffled and augmented as a function of the seed."""
        augment = self.training.get("augment", ())
        train = self.data.train if self.features is None else self.features[0]
        max_batches = steps_of_epoch(self.training, self.examples)
        weight = self._loss_weights(self.data.train) if train.weight is None else train.weight
        # `fit` takes either row weights or class weights: multiply them.
        if weight is not None and (class_weights := self._class_weight()) is not None:
            weight = (
                weight
                * np.array([class_weights[i] for i in range(self.data.outputs)], "float32")[
                    np.asarray(train.y[:])
                ]
            )
        return self.batches(
            train,
            shuffle=True,
            seed=self.spec.seed,
            augment=augment,
            most=max_batches,
            weight=weight,
        )

    def validation_batches(self) -> Batches | None:
        """Return the batches to validate on, in the order of the split; None without a validation split."""
        validation = self.data.validation if self.features is None else self.features[1]
        if validation is None or self.data.validation is None:
            return None
        validation = sample_split(validation)
        weighted = self.data.train.weight is not None
        # of a second source without weights: the compiled metrics take some
        if weighted and validation.weight is None:
            return self.batches(validation, weight=np.ones(len(validation), "float32"))
        if (weight := self._loss_weights(sample_split(self.data.validation))) is not None:
            return self.batches(validation, weight=weight)
        return self.batches(validation)

    def _loss_weights(self, split: Split) -> np.ndarray | None:
        """Return how much the rows of a split count in the loss, by the scale of their series; None for the same.

        Scores and metrics do not have these weights.
        """
        if not weighs_series(self.data, self.spec.config):
            return None
        degree = self.data.problem.task.fitting.loss_degree(self.training.get("loss", "auto"))
        return kind(self.data.inputs).fitting.loss_weights(self.data, split, degree)

    def class_weight(self) -> dict[int, float] | None:
        """Return the `class_weight` of `fit`; None without class weights, or if they are part of the row weights."""
        return None if self.data.train.weight is not None else self._class_weight()

    def _class_weight(self) -> dict[int, float] | None:
        """Return class number -> weight, by the setting or balanced; None without class weights."""
        return class_weights(self.training, self.data)

    def callbacks(self, folder: Path | None) -> list[keras.callbacks.Callback]:
        """Return the callback bundle of the training settings, which writes into `folder`; None writes nothing."""
        training = self.training
        sample = (
            {"sample": self.training_batches().batch(0, 0)[:2]}
            if training["callbacks"] == "debug"
            else {}
        )
        return bundles.get_bundle(training["callbacks"])(
            folder,
            **sample,
            monitor=training["monitor"],
            mode=training.get("mode"),
            patience=training["patience"],
            stop_early=contract.stops_early(training) if "schedule" in training else None,
            reduce_on_plateau=training.get("schedule") == "plateau",
            save=self.save,
        )

    def save(self, path: str | Path) -> None:
        """Write the model to a path, in float32 and with outputs in the targets' unit."""
        self.saved_weights().save(path)

    @property
    def gives_logits(self) -> bool | None:
        """Whether outputs for classes or labels are logits (see `kzoo.training.score.gives_logits`)."""
        logits = gives_logits(self.core, self.training.get("loss"))
        separate = self.data.problem.separate_probabilities
        return False if logits is None and separate else logits

    @property
    def corrects_mean(self) -> bool:
        """Whether predictions are medians until they are corrected (see `kzoo.training.mean_correction`)."""
        return not self.as_given and bool(
            self.data.problem.task.log_losses.get(str(self.training.get("loss")))
        )

    def saved_weights(self) -> keras.Model:
        """Return the model that is saved, with the current weights."""
        if self.saved is not self.model:
            self.saved.set_weights(self.model.get_weights())
        return self.saved


def weighs_series(data: Dataset, config: Config) -> bool:
    """Return whether each series counts in the loss by the scale of its errors: with networks that are free of it."""
    fitting = kind(data.inputs).fitting
    has_degree = hasattr(data.problem.task.fitting, "loss_degree")
    return is_scale_free(config) and has_degree and fitting.weighs_series(data)


def class_weights(training: TrainingSettings, data: Dataset) -> dict[int, float] | None:
    """Return class number -> weight, by the setting `class_weight` or balanced; None without class weights."""
    requested = training.get("class_weight")
    if requested is None:
        return None
    if requested != "balanced":
        weights = class_weights_of(requested, data)
        return {i: weights.get(i, 1.0) for i in range(data.outputs)}
    if data.train.weight is not None:
        return balanced_class_weights(
            np.bincount(data.train.y[:], data.train.weight, minlength=data.outputs)
        )
    return balanced_class_weights(class_counts(data, "train"))


def unscaled(model: keras.Model) -> keras.KerasTensor | None:
    """Return the input of the layer "unscale", on the scale of standardised targets; None without such a layer."""
    layer = layer_with(model, UNSCALE)
    return None if layer is None else layer.input


def target_scaling(
    model: keras.Model, config: Config
) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return offset and scale of the targets that the layer "unscale" undoes; None without such a layer."""
    if unscaled(model) is None:
        return None
    scale = config["target_scale"]
    return [0.0] * len(scale) if is_scale_free(config) else config["target_offset"], scale


def core_of(model: keras.Model) -> keras.Model:
    """Return the part of a network to train: all of it, the part below "unscale", or the part with its "members"."""
    unscaled_output = unscaled(model)
    mean = layer_with(model, MEMBERS)
    if mean is not None:
        return Members(
            model.input,
            model.output if unscaled_output is None else unscaled_output,
            mean.input,
            name=model.name,
        )
    return (
        model
        if unscaled_output is None
        else keras.Model(model.input, unscaled_output, name=model.name)
    )


def make_variables(model: keras.Model, batch: Sequence[np.ndarray]) -> None:
    """Create the variables of optimizer and metrics before `fit`.

    Keras on TensorFlow would create them inside the first step, and trace that step a second time: without that, two
    epochs of a small network take a quarter to a half less CPU time. With a distribution, Keras compiles for the
    variables that exist. In other cases `fit` creates them early enough.

    Args:
        model: a compiled network.
        batch: (x, y) of one step.
    """
    if keras.backend.backend() == "tensorflow" or keras.distribution.distribution() is not None:
        x, y, *weight = keras.tree.map_structure(lambda rows: rows[:2], batch)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "The structure of `inputs`"
            )  # `fit` accepts x for a model of [x] without a warning
            outputs = model(x, training=False)
        model.compute_metrics(x, y, outputs, *(weight or [None]))
        model.optimizer.build(model.trainable_variables)
        model.reset_metrics()
