"""`Job`: a network ready to fit, with what its `fit` takes; which part of a network it is that trains."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np

from kzoo import callbacks as bundles
from kzoo import contract
from kzoo.data import Dataset
from kzoo.data.pipeline import Batches
from kzoo.dataset.dataset import Split
from kzoo.dataset.sample import class_counts, sampled
from kzoo.families.protocol import MEMBERS, UNSCALE, layer_with
from kzoo.registry import steps_of, steps_of_epoch
from kzoo.stored_types import Spec
from kzoo.training.adapt import balanced, class_weights_of
from kzoo.training.members import Members
from kzoo.training.score import gives_logits


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """A network ready to fit.

    Args:
        model: the whole network.
        core: what is trained of it.
        saved: what goes to disk: float32, and answers in their own unit.
        data: the `Dataset`.
        spec: from what it was built, all of its config resolved.
        standardize, onehot: what the pipeline does to the labels (see `kzoo.data.pipeline.Batches`).
        training: the contract as it was compiled: the spec's, with labels as the loss wants them.
        notes: a line for each thing to know; those of the data are the data's.
        features: the training and the validation split as a frozen network sees them, where `core` is the rest of it.
        whole_batches: whether what is less than a batch at the end of an epoch is left out.
        as_given: whether the core is compiled as its user did it, and not as the contract says.
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
    def examples(self) -> int:
        """How many rows an epoch trains on."""
        count = len(self.data.train)
        return count - count % self.training["batch_size"] if self.whole_batches else count

    def compile(self, *, slower=1.0):
        """Compile the core as its contract says, with the learning rate times `slower`."""
        training = self.training | {"learning_rate": self.training["learning_rate"] * slower}
        steps, weighted = steps_of(training, self.examples), self.data.train.weight is not None
        whole = () if self.features is None else (self.model,)  # which checks look at
        for model in (self.core, *whole):
            contract.compile_model(
                model, task=self.data.task, config=self.spec.config, training=training, steps=steps, weighted=weighted
            )

    def batches(self, split, **options) -> Batches:
        """Return the batches of a split as the core takes them; `options` are those of `Batches`."""
        options = {"weight": split.weight} | options
        return Batches(
            split, batch_size=self.training["batch_size"], onehot=self.onehot, standardize=self.standardize, **options
        )

    def training_batches(self) -> Batches:
        """Return the batches to train on: shuffled and augmented, a function of the seed."""
        augment = self.training.get("augment", ())
        train = self.data.train if self.features is None else self.features[0]
        most = steps_of_epoch(self.training, self.examples)
        weight = train.weight
        if weight is not None and (of_classes := self._class_weight()) is not None:  # `fit` takes one of the two
            weight = weight * np.array([of_classes[i] for i in range(self.data.outputs)], "float32")[train.y]
        return self.batches(train, shuffle=True, seed=self.spec.seed, augment=augment, most=most, weight=weight)

    def validation_batches(self) -> Batches | None:
        """Return the batches to validate on, in the split's own order, where there are any."""
        validation = self.data.validation if self.features is None else self.features[1]
        return None if validation is None else self.batches(sampled(validation))

    def class_weight(self) -> dict[int, float] | None:
        """Return what `fit` takes to weigh classes; None where it is not asked, or rows have weights, which hold it."""
        return None if self.data.train.weight is not None else self._class_weight()

    def _class_weight(self):
        """Return number of a class -> weight, as is said or by how rare it is; None where it is not asked."""
        asked = self.training.get("class_weight")
        if asked is None or "classes" not in self.data.problem.facts:
            return None
        if asked != "balanced":
            said = class_weights_of(asked, self.data)
            return {i: said.get(i, 1.0) for i in range(self.data.outputs)}
        return balanced(class_counts(self.data, "train"))

    def callbacks(self, folder) -> list[keras.callbacks.Callback]:
        """Return the bundle that the contract names, which writes into `folder`; into none where that is None."""
        training = self.training
        sample = {"sample": self.training_batches().batch(0, 0)[:2]} if training["callbacks"] == "debug" else {}
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

    def save(self, path):
        """Write the model, in float32 and with answers in their own unit."""
        self.saved_weights().save(path)

    @property
    def gives_logits(self) -> bool | None:
        """What the answers are, where they name classes (see `kzoo.training.score.gives_logits`)."""
        return gives_logits(self.core, self.training.get("loss"))

    def saved_weights(self) -> keras.Model:
        """Return the model that goes to disk, with the weights that training has reached."""
        if self.saved is not self.model:
            self.saved.set_weights(self.model.get_weights())
        return self.saved


def unscaled(model):
    """Return the tensor below the layer "unscale", in standardised targets; None where a network has no such layer."""
    layer = layer_with(model, UNSCALE)
    return None if layer is None else layer.input


def core_of(model):
    """Return what is trained of a network: all of it, what lies below "unscale", or each of its "members"."""
    below = unscaled(model)
    mean = layer_with(model, MEMBERS)
    if mean is not None:
        return Members(model.input, model.output if below is None else below, mean.input, name=model.name)
    return model if below is None else keras.Model(model.input, below, name=model.name)


def make_variables(model, batch):
    """Make the variables of optimizer and metrics, which Keras on TensorFlow makes inside the first step otherwise.

    TensorFlow would trace that step a second time for them: without it, two epochs of a small network take a quarter to
    a half less processor time. Where devices share the batches, Keras compiles for the variables that there are.
    Elsewhere its `fit` sees to it.

    Args:
        model: a compiled network.
        batch: (x, y) of one step.
    """
    if keras.backend.backend() == "tensorflow" or keras.distribution.distribution() is not None:
        x, y, *weight = keras.tree.map_structure(lambda rows: rows[:2], batch)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The structure of `inputs`")  # a model of [x] takes x in `fit`, silently
            answers = model(x, training=False)
        model.compute_metrics(x, y, answers, *(weight or [None]))
        model.optimizer.build(model.trainable_variables)
        model.reset_metrics()
