"""Losses and metrics of values. Keras."""

import keras

from kzoo.utils.errors import KzooError

_LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
}


def make_loss(name, definition, *, task, config, training):
    """Return the loss of this name; "auto" is the squared error (see `kzoo.contract.make_loss`).

    Raises:
        KzooError: a loss of another task.
    """
    if name not in ("auto", *definition.losses):
        raise KzooError(f"loss={name!r} is for classes, but {task} predicts values. Use mse, mae or huber.")
    return _LOSSES["mse" if name == "auto" else name]()


def make_metric(name, definition, *, config, training):
    """Return the metric of this name, as Keras takes it."""
    return keras.metrics.RootMeanSquaredError(name="rmse") if name == "rmse" else name
