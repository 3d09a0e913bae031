"""A model whose members are trained separately and predict their mean (TabM)."""

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from kzoo.zoo.gradients import Tensor


class Members(keras.Model):
    """The part of a network up to the layer "members", for training.

    In training it outputs the predictions of each member, and the loss is the mean of the members' losses, as if there
    were `members` times as many examples. Metrics, validation and inference use the mean of the members, as the saved
    network does. `save` writes a plain model of the same layers.

    Args:
        inputs: inputs of the network.
        mean: output of its layer "members", (B, outputs).
        each: input of that layer, (B, members, outputs).
        name: name of the network.
    """

    def __init__(
        self,
        inputs: keras.KerasTensor,
        mean: keras.KerasTensor,
        each: keras.KerasTensor,
        *,
        name: str,
    ) -> None:
        super().__init__(inputs, mean, name=name)
        self.each_output = each
        # only the method: Keras would track the layers of a model twice
        self.each = keras.Model(inputs, each).call

    def call(
        self, inputs: "Tensor", training: bool | None = None, mask: "Tensor | None" = None
    ) -> "Tensor":
        return (self.each if training else super().call)(inputs, training=training, mask=mask)

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
        if len(y_pred.shape) == 3:  # (B, members, outputs): each member counts as an example
            members = y_pred.shape[1]
            y, sample_weight = (
                None if v is None else ops.repeat(v, members, axis=0) for v in (y, sample_weight)
            )
            y_pred = ops.reshape(y_pred, (-1, y_pred.shape[2]))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(
        self,
        x: "Tensor | None",
        y: "Tensor | None",
        y_pred: "Tensor",
        sample_weight: "Tensor | None" = None,
    ) -> "dict[str, Tensor]":
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)
