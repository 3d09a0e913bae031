"""The rate is the prediction."""

import numpy as np

from kzoo.predictions import Predictions
from kzoo.tasks import Target
from kzoo.tasks.values.inference import encode as encode_numbers
from kzoo.utils.errors import KzooError


def learn(values, names=(), *, known=None):
    y = encode(None, values)
    return Target(names=tuple(names), config={"outputs": y.shape[1]})


def encode(target, values):
    y = encode_numbers(target, values)
    if (y < 0).any() or (y != np.round(y)).any():
        raise KzooError("A count is a whole number, 0 or more.")
    return y


def answer(target, outputs, *, inputs, reader=None, logits=None):
    more = {"p_zero": np.exp(-outputs[:, 0])}
    return Predictions(values=outputs, target_names=target.names, inputs=inputs, more=more)
