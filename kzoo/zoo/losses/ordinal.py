"""The head of ordered classes, and its loss. Keras."""

from functools import partial

import keras
from keras import layers, ops

from kzoo.zoo.losses.classes import make_loss as make_loss
from kzoo.zoo.losses.classes import make_metric as make_metric
from kzoo.zoo.losses.classes import metrics_for as metrics_for


def head_width(outputs: int) -> int:
    """Return the number of cumulative logits: one for each class but the last."""
    return outputs - 1


def make_head(x: keras.KerasTensor, *, name: str, dtype: str | None) -> keras.KerasTensor:
    """Return the probabilities of K ordered classes (B, ..., K) from K - 1 numbers (B, ..., K - 1).

    The first number is the mean of the cumulative logits, of which that of k is for a class above k (McCullagh, 1980,
    doi:10.1111/j.2517-6161.1980.tb01109.x); the softplus of each other number is by how much the next logit is lower,
    so that no probability is negative. The difference of the sigmoids of two logits a > b is
    sigmoid(a) sigmoid(-b) (1 - exp(b - a)), where the last factor is the sigmoid of the number whose softplus is a - b:
    all logarithms are those of sigmoids.
    """
    log_sigmoid = partial(_log_sigmoid, name=name, dtype=dtype)
    joined = partial(layers.Concatenate, dtype=dtype)
    none = ops.zeros_like(x[..., :1])
    above = x
    if several := x.shape[-1] > 1:  # more than two classes
        gaps = layers.Activation("softplus", name=f"{name}_gaps", dtype=dtype)(x[..., 1:])
        falls = ops.cumsum(joined(name=f"{name}_falls")([none, gaps]), axis=-1)
        above = x[..., :1] + ops.mean(falls, axis=-1, keepdims=True) - falls  # (B, ..., K - 1)
    log_p = joined(name=f"{name}_above")([none, log_sigmoid(above, of="above_lower")])
    log_p += joined(name=f"{name}_below")([log_sigmoid(-above, of="below_upper"), none])
    if several:
        between = log_sigmoid(x[..., 1:], of="between_both")
        log_p += joined(name=f"{name}_between")([none, between, none])
    return layers.Activation("softmax", name=name, dtype=dtype)(log_p)


def _log_sigmoid(
    x: keras.KerasTensor, *, of: str, name: str, dtype: str | None
) -> keras.KerasTensor:
    return -layers.Activation("softplus", name=f"{name}_{of}", dtype=dtype)(-x)
