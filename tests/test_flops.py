"""`forward_flops` against counts by hand, the literature, and TensorFlow's own profiler."""

import keras
import numpy as np
import pytest
from keras import layers
from messages import refuses

import kzoo
from kzoo.zoo.flops import forward_flops


def model_of(shape, *stack):
    inputs = keras.Input(shape)
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("shape", "layer", "multiply_adds"),
    [
        ((5,), layers.Dense(7), 5 * 7),
        ((9, 5), layers.Dense(7), 9 * 5 * 7),
        ((8, 8, 3), layers.Conv2D(4, 3, padding="same"), 64 * 9 * 3 * 4),
        ((8, 8, 3), layers.Conv2D(4, 3, padding="valid", strides=2), 9 * 9 * 3 * 4),
        ((8, 8, 4), layers.Conv2D(6, 3, padding="same", groups=2), 64 * 9 * 2 * 6),
        ((8, 8, 3), layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 64 * 9 * 3 * 2),
        ((8, 8, 3), layers.SeparableConv2D(5, 3, padding="same"), 64 * 9 * 3 + 64 * 3 * 5),
        ((8, 8, 3), layers.Conv2DTranspose(5, 2, strides=2), 64 * 4 * 3 * 5),
        ((10, 3), layers.Conv1D(4, 3, padding="causal", dilation_rate=2), 10 * 3 * 3 * 4),
        ((10, 3), layers.SimpleRNN(4), 10 * (3 * 4 + 4 * 4)),
        ((10, 3), layers.LSTM(4), 10 * 4 * (3 * 4 + 4 * 4)),
        ((10, 3), layers.GRU(4, return_sequences=True), 10 * 3 * (3 * 4 + 4 * 4)),
        ((10, 3), layers.Bidirectional(layers.LSTM(4)), 2 * 10 * 4 * (3 * 4 + 4 * 4)),
        ((10, 3), layers.TimeDistributed(layers.Dense(4)), 10 * 3 * 4),
        ((6, 4), layers.EinsumDense("btd,de->bte", output_shape=(6, 5)), 6 * 4 * 5),
        ((6, 4), layers.EinsumDense("...x,xy->...y", output_shape=5), 6 * 4 * 5),
        ((8, 8, 3), layers.MaxPooling2D(2), 0),
    ],
)
def test_a_layer_costs_two_per_multiply_add(shape, layer, multiply_adds):
    assert forward_flops(model_of(shape, layer)) == 2 * multiply_adds


def test_attention_counts_projections_scores_and_sum():
    query, memory = keras.Input((6, 8)), keras.Input((9, 10))
    layer = layers.MultiHeadAttention(2, 4, value_dim=3, output_shape=5)
    model = keras.Model([query, memory], layer(query, memory))
    projections = 6 * 8 * 8 + 9 * 10 * 8 + 9 * 10 * 6 + 6 * 6 * 5
    assert forward_flops(model) == 2 * (projections + 2 * 6 * 9 * 4 + 2 * 6 * 9 * 3)


def test_attention_over_one_of_two_axes():
    x = keras.Input((6, 3, 8))  # six steps of three series
    model = keras.Model(x, layers.MultiHeadAttention(2, 4, attention_axes=(1,))(x, x))
    assert forward_flops(model) == 2 * (4 * 18 * 8 * 8 + 18 * 6 * 2 * (4 + 4))


def test_a_layer_used_twice_and_a_nested_model_count_twice():
    inputs = keras.Input((5,))
    inner = model_of((5,), layers.Dense(5))
    assert forward_flops(keras.Model(inputs, inner(inner(inputs)))) == 2 * (2 * 5 * 5)
    assert forward_flops(keras.Sequential([keras.Input((5,)), layers.Dense(5)])) == 2 * 5 * 5


def test_resnet_20_matches_the_literature():
    """40.8 million multiply-adds, as published for ResNet-20 on 32x32 images."""
    flops = forward_flops(kzoo.build("cifar_resnet", compile=False))
    assert abs(flops / 2 / 40.8e6 - 1) < 0.01


def test_a_whole_network_matches_what_tensorflow_counts():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("counts a TensorFlow graph")
    model = kzoo.build("digits_cnn", compile=False)
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec((1, *model.input_shape[1:]))
    )
    counted = 0
    for op in graph.graph.get_operations():
        if op.type == "MatMul":
            counted += 2 * np.prod(op.inputs[0].shape) * op.outputs[0].shape[-1]
        elif op.type == "Conv2D":
            counted += 2 * np.prod(op.outputs[0].shape) * np.prod(op.inputs[1].shape[:-1])
    assert forward_flops(model) == counted > 1e6


def test_an_unknown_length_and_a_model_without_a_graph_are_refused():
    endless = model_of((None, 3), layers.LSTM(4))
    unbuilt = keras.Sequential([layers.Dense(3)])
    with refuses(repr(endless.name), "input", "length", "shape"):
        forward_flops(endless)
    with refuses(f"Sequential {unbuilt.name!r}", "functional"):
        forward_flops(unbuilt)
