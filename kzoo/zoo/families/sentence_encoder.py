"""A pretrained text encoder, frozen, with a linear head: the convolutional universal sentence encoder."""

import keras
from keras import layers, ops

from kzoo.zoo.families import parts
from kzoo.zoo.families.protocol import FEATURES, PIECES

CLOSED_FORM = True  # no gradients: ridge regression sets the last layer
# tokens that a convolution reads: it begins at the token, or one or two before it
ORDERS = (2, 3, 5)
CHUNKS = 17  # parts of the embedding with an offset of their own: the piece i is in part i % 17
_WIDTH = 512  # of the embedding of a token, and of a text
_ORDER_WIDTH = 256  # of the convolutions of an order
_HIDDEN = 320
_EPSILON = 1e-6


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "tokens",
    vocabulary_size: int = 128_001,
    output_activation: str | None = "softmax",
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
) -> keras.Model:
    """Build the multilingual universal sentence encoder (https://aclanthology.org/2020.acl-demos.12) and a dense layer.

    The embeddings of pieces of words, and convolutions of two, three and five of them, are averaged over the text. A
    residual network of two blocks makes a vector of unit length of the average. No layer is trained by gradients:
    `kzoo.train`, and `kzoo.build` with `data`, load the weights of the encoder, which the extra `kzoo[text]` installs,
    and training sets the last layer by ridge regression; see `kzoo.training.ridge`.

    Args:
        name: name of the model.
        input_shape: (tokens,); longer texts are truncated.
        outputs: number of classes or targets.
        inputs: `"tokens"`, ids of pieces of words with 0 for padding.
        vocabulary_size: number of token ids, including padding (0) and unknown (1).
        output_activation: activation of the output; None for real-valued targets.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, ("tokens",), name="inputs")
    parts.check_shape(input_shape, ("tokens",))
    dtype = parts.answer_dtype()
    ids = keras.Input(input_shape, dtype="int32", name="inputs")
    real = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), dtype), -1)  # (B, T, 1)
    x = _embedded(ids, vocabulary_size, dtype)  # (B, T, 512)
    # (B, T, 1280)
    x = layers.Concatenate(name="ngrams", dtype=dtype)([x, *_ngrams(x, real, dtype)])
    x = (
        layers.LayerNormalization(
            epsilon=_EPSILON, trainable=False, dtype=dtype, name="encoder_norm"
        )(x)
        * real
    )
    count = ops.maximum(ops.sum(real, axis=1), 1.0)  # (B, 1): a row of padding has no token
    root = ops.sqrt(count)
    x = layers.Concatenate(name="mean_and_root", dtype=dtype)([ops.sum(x, axis=1) / root, root])
    x = _dense(_WIDTH, "encoder_mean", dtype)(x)
    x = ops.relu(_residual(x, 1, _HIDDEN, dtype))
    x = ops.tanh(_residual(x, 2, _WIDTH, dtype))
    x = layers.UnitNormalization(dtype=dtype, name=FEATURES)(x)
    x = parts.ridge_head(x, outputs, output_activation, target_scale, target_offset)
    return keras.Model(ids, x, name=name)


def _embedded(ids: keras.KerasTensor, vocabulary_size: int, dtype: str) -> keras.KerasTensor:
    """Return the vectors of ids (B, T): whole numbers from 0 to 63, times a scale, plus the offset of a chunk."""
    frozen = dict(embeddings_initializer="zeros", trainable=False)
    x = layers.Embedding(
        vocabulary_size, _WIDTH, dtype=f"int8_from_{dtype}", name=PIECES, **frozen
    )(ids)
    chunk = ops.mod(ids + (CHUNKS - 1), CHUNKS)  # the id of piece i is i + 1
    return x + layers.Embedding(CHUNKS, 1, dtype=dtype, name="piece_offset", **frozen)(chunk)


def _ngrams(x: keras.KerasTensor, real: keras.KerasTensor, dtype: str) -> keras.KerasTensor:
    """Return the features (B, T, 256) of runs of tokens of each order: two convolutions with residual connections."""
    x = layers.Dense(
        len(ORDERS) * _ORDER_WIDTH, trainable=False, dtype=dtype, name="ngrams_projection"
    )(x)
    x = (
        layers.LayerNormalization(
            epsilon=_EPSILON, trainable=False, dtype=dtype, name="ngrams_norm"
        )(x)
        * real
    )
    features = []
    for order, part in zip(ORDERS, ops.split(x, len(ORDERS), axis=-1), strict=True):
        for number in (1, 2):
            convolution = layers.Conv1D(
                _ORDER_WIDTH,
                order,
                padding="same",
                activation="relu",
                trainable=False,
                dtype=dtype,
                name=f"ngrams{order}_conv{number}",
            )
            part = (part + convolution(part)) * real  # beyond the text there is nothing
        features.append(part)
    return features


def _residual(x: keras.KerasTensor, number: int, width: int, dtype: str) -> keras.KerasTensor:
    """Return the sum of a network with one hidden layer and of a linear map."""
    name = f"residual{number}"
    hidden = ops.relu(_dense(_HIDDEN if number == 1 else _WIDTH, f"{name}_hidden", dtype)(x))
    return _dense(width, f"{name}_skip", dtype)(x) + _dense(width, f"{name}_output", dtype)(hidden)


def _dense(units: int, name: str, dtype: str) -> keras.Layer:
    return layers.Dense(units, use_bias=False, trainable=False, dtype=dtype, name=name)
