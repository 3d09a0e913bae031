"""Networks with operations that presets do not have."""

import keras
import numpy as np


def with_random_values(model, scale):
    random = np.random.default_rng(0)
    model.set_weights([random.normal(scale=scale, size=w.shape) for w in model.get_weights()])
    return model


def odd_network():
    """Strides, dilations, depthwise kernels, paddings, pooling, gathered rows, and broadcasting."""
    inputs = keras.Input((12, 10, 4))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="elu")(inputs)
    x = keras.layers.Conv2D(6, 2, activation="leaky_relu")(x)
    x = keras.layers.DepthwiseConv2D(2, dilation_rate=2, padding="same", activation="softplus")(x)
    x = keras.layers.AveragePooling2D(2, padding="same")(x)
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.MaxPooling2D(2, strides=1)(x)
    x = keras.layers.LayerNormalization()(x)
    x = x[:, ::-1, 1:] * keras.ops.sigmoid(keras.ops.max(x, axis=(1, 2), keepdims=True))
    x = keras.layers.Flatten()(x)
    x = keras.ops.sign(x) * keras.ops.log(1 + keras.ops.abs(x))
    y = keras.layers.Dense(3, activation="tanh")(x)
    return with_random_values(keras.Model(inputs, y, name="odd"), 0.3)


def network_of_both_directions():
    """LSTM layers that read series in both directions."""
    inputs = keras.Input((7, 3))
    x = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(inputs)
    x = keras.layers.Bidirectional(keras.layers.LSTM(5))(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x), name="both")
    return with_random_values(model, 0.4)


def network_of_masked_words():
    """Recurrent layers over words, in both directions, that skip padding."""
    inputs = keras.Input((9,), dtype="int32")
    x = keras.layers.Embedding(100, 5, mask_zero=True)(inputs)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(x)
    x = keras.layers.SimpleRNN(4)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x), name="words")
    return with_random_values(model, 0.4)
