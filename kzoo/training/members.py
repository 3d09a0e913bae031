"""A model whose members are trained separately and predict their mean (TabM)."""

from typing import Any

import keras
from keras import ops


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

    def __init__(self, inputs: Any, mean: Any, each: Any, *, name: str) -> None:
        super().__init__(inputs, mean, name=name)
        self.each_output = each
        # only the method: Keras would track the layers of a model twice
        self.each = keras.Model(inputs, each).call

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return (self.each if training else super().call)(inputs, training=training, mask=mask)

    def save(self, *arguments: Any, **options: Any) -> None:
        keras.Model(self.inputs, self.outputs, name=self.name).save(*arguments, **options)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if len(y_pred.shape) == 3:  # (B, members, outputs): each member counts as an example
            members = y_pred.shape[1]
            y, sample_weight = (
                None if v is None else ops.repeat(v, members, axis=0) for v in (y, sample_weight)
            )
            y_pred = ops.reshape(y_pred, (-1, y_pred.shape[2]))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)
