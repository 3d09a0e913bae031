"""Honest files pass: what Keras saves, kzoo loads, with the same weights and answers."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import kzoo

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="string layers are TensorFlow's"
)


def passes(model, name="honest.keras"):
    """Save, load with kzoo, and compare with what Keras loads."""
    model.save(name)
    loaded = kzoo.load_model(name)
    alone = keras.saving.load_model(name, compile=False)
    assert not loaded.compiled
    for a, b in zip(loaded.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return loaded


def sequential(*parts, shape=(4,), **options):
    return keras.Sequential([keras.Input(shape, **options), *parts])


def compiled():
    model = sequential(
        layers.Dense(3, "relu", kernel_regularizer="l2"), layers.Dropout(0.1), layers.Dense(2)
    )
    model.compile("adamw", "mse", metrics=["mae"])
    model.train_on_batch(np.zeros((8, 4)), np.zeros((8, 2)))
    return model


def masked(recurrent):
    tokens = keras.Input((9,), dtype="int32")
    return keras.Model(
        tokens, layers.Dense(2)(recurrent(layers.Embedding(50, 8, mask_zero=True)(tokens)))
    )


def transformer():
    tokens = keras.Input((9,), dtype="int32")
    x = layers.Embedding(50, 8, mask_zero=True)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def shared():
    same = layers.Dense(4)
    a = keras.Input((4,))
    b = keras.Input((4,))
    return keras.Model([a, b], layers.Concatenate()([same(a), same(b)]))


def operations():
    x = keras.Input((4,))
    y = ops.mean(ops.relu(x) * 2 - x, axis=-1, keepdims=True)[:, None, :]
    y = ops.one_hot(ops.argmax(ops.concatenate([y, 1 - y], -1), -1), 3)
    y = ops.where(y > 0.5, ops.exp(y), 0.0) @ np.ones((3, 2), "float32")
    return keras.Model(x, y)


def named_inputs():
    inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
    return keras.Model(inputs, {"sum": layers.Add()(list(inputs.values()))})


def normalised():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).random((10, 4)))
    return sequential(layer, layers.Dense(2))


def quantised(mode):
    model = sequential(layers.Dense(30), layers.Dense(2), shape=(40,))
    model.quantize(mode)
    return model


def parts():
    layer = layers.Dense(
        3,
        kernel_constraint=keras.constraints.MaxNorm(2),
        kernel_initializer=keras.initializers.Orthogonal(),
        bias_initializer=keras.initializers.Constant(0.1),
        activity_regularizer=keras.regularizers.L1L2(0.1, 0.1),
        activation=keras.activations.gelu,
    )
    return sequential(layer, layers.PReLU(), layers.LeakyReLU(0.1))


def attention():
    x = keras.Input((5, 8))
    dot, additive = layers.Attention()([x, x]), layers.AdditiveAttention()([x, x])
    return keras.Model(
        x, layers.Average()([dot, additive, layers.GroupQueryAttention(4, 4, 2)(x, x)])
    )


IMAGE = dict(shape=(8, 8, 4))
HONEST = {
    "dense, compiled and fitted": compiled,
    "functions by name": lambda: sequential(
        layers.Dense(3, ops.softmax), layers.Activation("gelu")
    ),
    "all the parts of a layer": parts,
    "nested and compiled": lambda: sequential(compiled(), layers.Dense(2)),
    "deeply nested": lambda: sequential(sequential(sequential(sequential(layers.Dense(4))))),
    "masked bidirectional": lambda: masked(layers.Bidirectional(layers.LSTM(5))),
    "masked GRU": lambda: masked(layers.GRU(5)),
    "masked Transformer": transformer,
    "unrolled": lambda: sequential(layers.GRU(4, unroll=True), shape=(9, 5)),
    "stateful": lambda: keras.Sequential(
        [keras.Input(batch_shape=(4, 9, 5)), layers.LSTM(4, stateful=True)]
    ),
    "cells": lambda: sequential(layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)]), shape=(9, 5)),
    "convolution over time": lambda: sequential(layers.ConvLSTM2D(4, 3), shape=(3, 8, 8, 2)),
    "time distributed": lambda: sequential(
        layers.TimeDistributed(layers.Conv2D(4, 3)), shape=(3, 8, 8, 3)
    ),
    "attention": attention,
    "shared layer": shared,
    "operations": operations,
    "named inputs and outputs": named_inputs,
    "normalisation adapted": normalised,
    "normalisations": lambda: sequential(
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.RMSNormalization(),
        layers.BatchNormalization(),
        layers.SpectralNormalization(layers.Conv2D(3, 3)),
        **IMAGE,
    ),
    "convolutions": lambda: sequential(
        layers.SeparableConv2D(3, 3),
        layers.DepthwiseConv2D(3),
        layers.Conv2DTranspose(3, 3),
        layers.Flatten(),
        **IMAGE,
    ),
    "augmentation": lambda: sequential(
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.Rescaling(1 / 255),
        layers.Resizing(4, 4),
        **IMAGE,
    ),
    "einsum": lambda: sequential(
        layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), shape=(5, 8)
    ),
    "adapted weights": lambda: sequential(layers.Dense(30, lora_rank=4), shape=(40,)),
    "int8": lambda: quantised("int8"),
    "int4": lambda: quantised("int4"),
    "float8": lambda: quantised("float8"),
    "mixed_bfloat16": lambda: sequential(
        layers.Dense(3, dtype="mixed_bfloat16"), layers.BatchNormalization()
    ),
    "bfloat16": lambda: sequential(layers.Dense(3, dtype="bfloat16")),
    "float16": lambda: sequential(layers.Dense(3, dtype="float16")),
}


@pytest.mark.parametrize("name", HONEST)
def test_models_that_keras_saves_are_loaded(name):
    passes(HONEST[name]())


@tensorflow_only
def test_models_with_a_vocabulary_file_are_loaded():
    import tensorflow as tf

    for mode in ("int", "tf_idf"):
        words = layers.TextVectorization(output_mode=mode)
        words.adapt(["a b c", "d e"])
        model = sequential(words, shape=(1,), dtype="string")
        some = tf.constant([["a e unknown"]])
        np.testing.assert_array_equal(model(some), passes(model)(some))
    keys = layers.StringLookup(), layers.StringLookup(vocabulary=["x", "y"], name="fixed")
    keys[0].adapt(["x", "y"])
    for key in keys:
        passes(sequential(key, shape=(1,), dtype="string"))
    numbers = layers.IntegerLookup(output_mode="multi_hot")
    numbers.adapt([3, 4, 5])
    passes(sequential(numbers, layers.Dense(2), shape=(1,), dtype="int64"))
    passes(sequential(layers.Discretization([0.0, 1.0]), layers.CategoryEncoding(3), shape=(1,)))


SMALL = (
    "iris_fnn",
    "digits_cnn",
    "series_lstm",
    "series_gru",
    "adding_rnn",
    "series_transformer",
    "series_tcn",
    "series_linear",
)


@pytest.mark.parametrize(
    "name",
    [
        name if name in SMALL else pytest.param(name, marks=pytest.mark.slow)
        for name in kzoo.list_presets()
    ],
)
def test_presets_are_loaded(name):
    passes(kzoo.build(name))


APPLICATIONS = (
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "NASNetMobile",
    "DenseNet121",
    "ResNet50",
    "ResNet50V2",
    "Xception",
    "InceptionV3",
    "ConvNeXtTiny",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_networks_of_keras_applications_are_loaded(name):
    passes(getattr(keras.applications, name)(weights=None, classes=10))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends(backend):
    pytest.importorskip(backend, reason=f"pip install 'kzoo[{backend}]'")
    here = Path(__file__).parent
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(here.parents[1])}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        str(here),
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=here.parents[1]
    )
    assert done.returncode == 0, done.stdout[-3000:]
