"""Training with unknown labels, which are NaN: they count neither in the loss nor in metrics."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from kzoo.data.dataset import Dataset
from kzoo.training.members import Members
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.zoo.gradients import Tensor


def has_unknown_labels(data: Dataset) -> bool:
    """Return whether labels of training or validation rows are unknown."""
    if "labels" not in data.problem.facts:
        return False
    if (unknown := data.seen.get("unknown_labels")) is not None:
        return bool(unknown)
    return any(
        part is not None and bool(np.isnan(np.asarray(part.y)).any())
        for part in (data.train, data.validation)
    )


def refuse_unknown_labels(data: Dataset, subject: str) -> None:
    """Raise `KzooError` if labels are unknown: the subject, such as "Keras' own fit", would make NaN of them."""
    if has_unknown_labels(data):
        raise KzooError(
            f"{subject} cannot leave out unknown labels, which {data.name} has. Train a preset with kzoo.train, or "
            "fill in the labels."
        )


class _KnownLabels(keras.Model):
    """A network with an output for each label, for training: each known label of a row counts as an example.

    Keras then sees a column of labels, with the weight 0 for unknown ones. `save` writes a plain model of the same
    layers.
    """

    def save(self, *arguments: Any, **options: Any) -> None:
        keras.Model(self.inputs, self.outputs, name=self.name).save(*arguments, **options)

    def compute_loss(
        self,
        x: "Tensor | None" = None,
        y: "Tensor | None" = None,
        y_pred: "Tensor" = None,
        sample_weight: "Tensor | None" = None,
        training: bool = True,
    ) -> "Tensor":
        return super().compute_loss(x, *_each_label(y, y_pred, sample_weight), training)

    def compute_metrics(
        self,
        x: "Tensor | None",
        y: "Tensor | None",
        y_pred: "Tensor",
        sample_weight: "Tensor | None" = None,
    ) -> "dict[str, Tensor]":
        return super().compute_metrics(x, *_each_label(y, y_pred, sample_weight))


class _KnownLabelsOfMembers(Members, _KnownLabels):
    """The same for a network with members: `Members` makes each member an example first."""


def _each_label(
    y: "Tensor", y_pred: "Tensor", sample_weight: "Tensor | None"
) -> "tuple[Tensor, Tensor, Tensor]":
    """Return labels and outputs as columns (B * labels, 1), and the weight of each, 0 for unknown labels."""
    y = ops.cast(y, y_pred.dtype)
    unknown = ops.isnan(y)
    weight = ops.cast(ops.logical_not(unknown), y_pred.dtype)
    if sample_weight is not None:
        weight = weight * ops.reshape(ops.cast(sample_weight, y_pred.dtype), (-1, 1))
    y = ops.where(unknown, ops.zeros_like(y), y)
    return ops.reshape(y, (-1, 1)), ops.reshape(y_pred, (-1, 1)), ops.reshape(weight, (-1,))


def with_known_labels(core: keras.Model) -> keras.Model:
    """Return the part of a network to train as a model that leaves out unknown labels, with the same layers."""
    if isinstance(core, Members):
        return _KnownLabelsOfMembers(
            core.inputs[0], core.outputs[0], core.each_output, name=core.name
        )
    return _KnownLabels(core.inputs, core.outputs, name=core.name)
