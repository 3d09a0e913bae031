"""Members that answer by their mean, and learn each by itself."""

from typing import Any

import keras
from keras import ops


class Members(keras.Model):
    """The part of a network that ends in the layer "members", to be fitted.

    In training it answers with each member, and the loss is the mean over the members of the loss of each: as if there
    were `members` times as many examples. Otherwise it answers with their mean, as the network that is saved does, and
    so do its metrics and what validation gives. What it saves is a plain model of the same layers.

    Args:
        inputs: of the network.
        mean: what its layer "members" gives, (B, outputs).
        each: what goes into it, (B, members, outputs).
        name: of the network.
    """

    def __init__(self, inputs: Any, mean: Any, each: Any, *, name: str) -> None:
        super().__init__(inputs, mean, name=name)
        self.each = keras.Model(inputs, each).call  # a function: the same layers, which would be tracked twice

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return (self.each if training else super().call)(inputs, training=training, mask=mask)

    def save(self, *arguments: Any, **options: Any) -> None:
        keras.Model(self.inputs, self.outputs, name=self.name).save(*arguments, **options)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        if len(y_pred.shape) == 3:  # (B, members, outputs): each is an example
            members = y_pred.shape[1]
            y, sample_weight = (None if v is None else ops.repeat(v, members, axis=0) for v in (y, sample_weight))
            y_pred = ops.reshape(y_pred, (-1, y_pred.shape[2]))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)
