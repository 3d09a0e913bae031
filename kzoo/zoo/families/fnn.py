"""Feed-forward networks: table rows, images flattened into rows, texts as bags of tokens."""

from collections.abc import Sequence
from statistics import NormalDist

import keras
import numpy as np
from keras import layers, ops

from kzoo.zoo.families import parts
from kzoo.zoo.families.protocol import LOG_RATIOS, OUTPUT_BIAS, OUTPUT_SCALING

# relative to the edges: narrower bins are dropped, because float32 has seven digits
_MIN_RELATIVE_WIDTH = 1e-5
NEEDS = {
    "activation": {"units": "any"},
    "dropout": {"units": "any"},
    "norm": {"units": "any"},
    "l1": {"units": "any"},
    "l2": {"units": "any"},
    "output_bias": {"log_ratios": (True,)},
}
AXES = {"rows": ("columns",), "image": ("height", "width", "channels"), "tokens": ("tokens",)}


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "rows",
    units: tuple[int, ...] = (64, 32),
    activation: str | None = "relu",
    output_activation: str | None = "softmax",
    dropout: float = 0.0,
    norm: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    residual: bool = False,
    rescale: bool = True,
    scale: tuple[float, ...] | None = None,
    offset: tuple[float, ...] | None = None,
    input_clip: float | None = None,
    bins: int = 0,
    bins_dim: int = 8,
    edges: Sequence[float] | None = None,
    categories: tuple[int, ...] = (),
    text_buckets: tuple[int, ...] = (),
    text_lengths: tuple[int, ...] = (),
    text_dim: int = 32,
    members: int | None = None,
    vocabulary_size: int = 20_000,
    embedding_dim: int = 64,
    embedding_dropout: float = 0.0,
    log_ratios: bool = False,
    output_bias: bool = False,
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
    quantiles: tuple[float, ...] | None = None,
) -> keras.Model:
    """Build a feed-forward network.

    Every hidden layer is Dense, activation, normalisation, dropout. `residual=True` makes pre-norm
    residual blocks of them instead, the "ResNet" for tables of https://arxiv.org/abs/2106.11959: a
    linear stem to the common width, then one block `x + Dense(dropout(activation(Dense(norm(x)))))`
    per entry of `units`, then norm and activation before the output.

    `members=8` makes an ensemble in one network, TabM-mini of https://arxiv.org/abs/2410.24210: all members share the
    hidden layers, and each has its own factors of the inputs and its own output layer. The output is the mean over the
    members; `kzoo.train` computes the loss of each member separately, which keeps them different. Dropout drops the
    same features of a row in all members.

    Texts are bags of tokens: the token vectors are summed and divided by the square root of their number, so that the
    sums have the same scale for short and long texts. With `log_ratios=True` these sums are the output: a linear model
    that is initialized as naive Bayes (https://aclanthology.org/P12-2018) and trained like fastText
    (https://arxiv.org/abs/1607.01759). Otherwise hidden layers process them, as in a deep averaging network
    (https://aclanthology.org/P15-1162).

    Args:
        name: name of the model.
        input_shape: (columns,) for rows, (height, width, channels) for images, (tokens,) for texts.
        outputs: number of classes or targets; 1 for two classes with a sigmoid.
        inputs: type of the inputs: `"rows"` for raw table rows; `"image"` for raw pixels 0..255, which are flattened;
            `"tokens"`, ids with 0 for padding.
        units: width of every hidden layer; empty for a linear model.
        activation: activation of the hidden layers.
        output_activation: activation of the output; None for logits and real-valued targets.
        dropout: dropout after the hidden layers: one rate for all layers, or one rate per layer.
        norm: normalisation in the hidden layers.
        l1: L1 penalty on the weights (not the biases) of the hidden layers.
        l2: L2 penalty on the same weights.
        residual: use residual blocks; all hidden layers must then have the same width.
        rescale: scale the inputs inside the model; False for inputs that are already scaled.
        scale: per numeric column, 1 / standard deviation in the training split; inputs become `x * scale + offset`.
        offset: per numeric column, -mean / standard deviation; None, as for `scale`, for no change.
        input_clip: soft limit (tanh) on scaled numeric columns; 0 for no limit; None to choose it from the data: 3 if
            any column of the training split has heavy tails.
        bins: number of bins for each numeric column, used instead of scaling; 0 for no bins. A bin is 0 below it,
            1 above it, and rises linearly within: the piecewise-linear encoding of https://arxiv.org/abs/2203.05556.
            Each column becomes an embedding of its bins, and one number that is nearly normally distributed.
        bins_dim: width of the bin embedding of each column.
        edges: bin edges, `bins + 1` ascending numbers for each numeric column in turn: quantiles of the training
            split. There is no bin between equal edges. None for columns that are normally distributed already.
        categories: number of codes for each categorical column, including 0 for unknown. These are the
            last columns of a row before the texts, and each gets its own embedding.
        text_buckets: number of ids for each text column, including 0 for padding. The vectors of the ids of a text are
            summed and divided by the square root of their number.
        text_lengths: for each text column, the number of ids. They are the last columns of a row.
        text_dim: width of the vector of a text.
        members: number of networks with shared weights, whose predictions are averaged; None for a single network.
        vocabulary_size: number of token ids, including padding (0) and unknown (1).
        embedding_dim: width of the vector of a token.
        embedding_dropout: dropout after the token vectors.
        log_ratios: initialize as naive Bayes; only without hidden layers. A token has a weight for each class: the log
            ratio of its shares in the training texts of the class and of the others. `train`, or `build` with `data`,
            sets these weights. For labels they start at 0, as rare labels are not learned from log ratios.
        output_bias: with `log_ratios=True`, whether each output has a bias; `train` sets it for labels. Other networks
            always have it.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, AXES, name="inputs")
    parts.check_shape(input_shape, AXES[inputs])
    if log_ratios and units:
        raise ValueError(
            f"log_ratios=True has no hidden layers: units={tuple(units)} must be empty."
        )
    rates = parts.per_layer(dropout, len(units), name="dropout")
    regularizer = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None

    input_tensor = keras.Input(
        input_shape, dtype="int32" if inputs == "tokens" else "float32", name="inputs"
    )
    if inputs == "tokens":
        width = parts.head_width(outputs, output_activation) * parts.levels_of(quantiles)
        width = width if log_ratios else embedding_dim
        x = _token_bag(input_tensor, vocabulary_size, width, embedding_dropout, log_ratios)
        if log_ratios and output_bias:
            x = layers.Add(dtype=x.dtype, name="with_output_bias")([x, _bias(input_tensor, width)])
    elif inputs == "rows":
        x = _join_columns(
            input_tensor,
            categories,
            text_buckets,
            text_lengths,
            text_dim,
            rescale=rescale,
            scale=scale,
            offset=offset,
            clip=input_clip,
            bins=bins,
            bins_dim=bins_dim,
            edges=edges,
        )
    else:
        if categories or text_buckets or scale is not None or offset is not None:
            raise ValueError("categories, text_buckets, scale and offset need inputs='rows'.")
        x = layers.Rescaling(1 / 255, name="scaling")(input_tensor) if rescale else input_tensor
        x = layers.Flatten(name="flatten")(x)  # (B, H * W * C)

    if members is not None:
        if residual:
            raise ValueError(
                f"members={members} cannot be combined with residual=True. Remove one of them."
            )
        x = _member_layers(
            x, members, units, activation, rates=rates, norm=norm, regularizer=regularizer
        )
        x = parts.members_head(x, outputs, output_activation, quantiles=quantiles)
        x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
        return keras.Model(input_tensor, x, name=name)
    if residual:
        x = _residual_blocks(x, units, activation, rates=rates, norm=norm, regularizer=regularizer)
    else:
        for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
            x = parts.dense_block(
                x,
                width,
                activation,
                name=f"hidden{i}",
                dropout=rate,
                norm=norm,
                regularizer=regularizer,
            )
    if not log_ratios:
        x = parts.head(x, outputs, output_activation, quantiles=quantiles)
    else:
        x = parts.activate(
            x, output_activation, name=f"output_{output_activation}", dtype=parts.answer_dtype()
        )
        x = parts.ascending(x, quantiles)
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)


def _token_bag(
    ids: keras.KerasTensor, vocabulary_size: int, width: int, dropout: float, log_ratios: bool
) -> keras.KerasTensor:
    """Return the sum of the vectors of real tokens of (B, T), divided by the root of their number: (B, width)."""
    # Zeros until `kzoo.training.initial_weights` sets them. The sums are the output, which is float32.
    settings = dict(name=LOG_RATIOS, embeddings_initializer="zeros", dtype=parts.answer_dtype())
    x = layers.Embedding(
        vocabulary_size, width, **settings if log_ratios else dict(name="embedding")
    )(ids)  # (B, T, D)
    if dropout:
        x = layers.Dropout(dropout, dtype=x.dtype, name="embedding_dropout")(x)
    return parts.bag(x, ids)


# About what a token has in a text of 25: the learning rate of tokens is too high for a bias that all texts share.
_BIAS_SCALE = 0.2


def _bias(ids: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Return a trainable bias for each text of (B, T): (B, width)."""
    settings = dict(embeddings_initializer="zeros", dtype=parts.answer_dtype(), name=OUTPUT_BIAS)
    bias = layers.Embedding(1, width, **settings)(ops.zeros_like(ids[:, 0]))
    return layers.Rescaling(_BIAS_SCALE, dtype=parts.answer_dtype(), name=OUTPUT_SCALING)(bias)


def _join_columns(
    x: keras.KerasTensor,
    categories: tuple[int, ...],
    text_buckets: tuple[int, ...],
    text_lengths: tuple[int, ...],
    text_dim: int,
    *,
    rescale: bool,
    scale: tuple[float, ...] | None,
    offset: tuple[float, ...] | None,
    clip: float | None,
    bins: int,
    bins_dim: int,
    edges: Sequence[float] | None,
) -> keras.KerasTensor:
    """Scale the numeric columns or embed their bins, embed categories and texts, and join all: (B, features)."""
    numbers, numeric = parts.split_columns(x, categories, text_buckets, text_lengths)
    columns = []
    if numbers is not None and bins:
        columns += _binned_columns(numbers, bins, bins_dim, edges)
    elif numbers is not None:
        columns.append(
            parts.scale_inputs(numbers, scale, offset, clip=clip) if rescale else numbers
        )
    for i, count in enumerate(categories):
        codes = ops.cast(x[:, numeric + i], "int32")  # (B,)
        width = min(16, (count + 1) // 2)
        columns.append(layers.Embedding(count, width, name=f"category{i + 1}")(codes))  # (B, width)
    columns += parts.text_vectors(x, text_buckets, text_lengths, text_dim)
    return columns[0] if len(columns) == 1 else layers.Concatenate(name="columns")(columns)


def _binned_columns(
    numbers: keras.KerasTensor, bins: int, dim: int, edges: Sequence[float] | None
) -> "list[keras.KerasTensor]":
    """Return columns that are nearly normally distributed (B, F), and the embeddings of their bins (B, F * D).

    Args:
        numbers: (B, F).
        bins, edges: see `build`.
        dim: D, width of a column's embedding.
    """
    columns = numbers.shape[-1]
    normal_quantiles = [
        NormalDist().inv_cdf((index + 0.5) / (bins + 1)) for index in range(bins + 1)
    ]
    if edges is None:
        edges = normal_quantiles * columns
    if len(edges) != columns * (bins + 1):
        raise ValueError(
            f"edges has {len(edges)} numbers, but {columns} columns of {bins} bins need {columns * (bins + 1)}."
        )
    per_column = [
        _bin_table(edges[start : start + bins + 1], normal_quantiles)
        for start in range(0, len(edges), bins + 1)
    ]
    scale, offset, steps, lowest = np.stack(per_column, axis=-1).tolist()  # (bins, F)
    float32 = dict(dtype=parts.answer_dtype())  # raw numbers need full precision
    x = layers.RepeatVector(bins, name="bins_repeat", **float32)(numbers)  # (B, bins, F)
    x = layers.Rescaling(scale, offset, name="bins_scaling", **float32)(x)
    x = layers.ReLU(max_value=1.0, name="bins", **float32)(x)
    # `steps` is multiplied by the number of bins, so that the mean over bins is the sum of the steps up to a number.
    z = layers.Rescaling(steps, lowest, name="quantiles_steps", **float32)(x)
    z = layers.GlobalAveragePooling1D(name="quantiles", **float32)(z)  # (B, F)
    x = layers.EinsumDense(
        "bnf,nfd->bfd",
        output_shape=(columns, dim),
        bias_axes="fd",
        kernel_initializer="he_normal",
        name="bins_embedding",
    )(x)
    return [z, layers.Flatten(name="bins_flatten")(x)]


def _bin_table(edges: Sequence[float], normal_quantiles: Sequence[float]) -> np.ndarray:
    """Return the table (4, bins) of a column's bins.

    Its rows are the scale and the offset that map a bin to 0..1, `bins` times the width of the bin in a normal
    distribution, and the start of the first bin in that distribution. Empty bins between equal edges are 0.

    Args:
        edges: ascending edges of the bins.
        normal_quantiles: the edges in a normal distribution.
    """
    ends = [edges[0]]
    heights = [[normal_quantiles[0]]]
    for edge, height in zip(edges[1:], normal_quantiles[1:], strict=True):
        if edge - ends[-1] > _MIN_RELATIVE_WIDTH * max(abs(edge), abs(ends[-1])):
            ends.append(edge)
            heights.append([])
        heights[-1].append(height)
    widths = np.diff(ends)
    steps = np.diff([np.mean(quantiles) for quantiles in heights])
    table = np.zeros((4, len(edges) - 1))
    table[:3, : len(widths)] = 1 / widths, -np.array(ends[:-1]) / widths, table.shape[1] * steps
    table[3] = np.mean(heights[0])
    return table


def _member_layers(
    x: keras.KerasTensor,
    members: int,
    units: tuple[int, ...],
    activation: str | None,
    *,
    rates: Sequence[float],
    norm: str | None,
    regularizer: keras.Regularizer | None,
) -> keras.KerasTensor:
    """Return the outputs of hidden layers that all members share: (B, members, width).

    Only the inputs differ: each member scales them by factors of its own.
    """
    features = x.shape[-1]
    # A `Dense` layer returns its weights if its input is 1. They are the factors, the same for all rows. One
    # `EinsumDense("bki,ki->bki")` could replace these layers, but TensorFlow needs ten times as long for it.
    ones = ops.ones_like(x[:1, :1])  # (1, 1)
    # random factors make the members different
    initializer = keras.initializers.RandomNormal(stddev=1.0)
    factors = layers.Dense(
        members * features, use_bias=False, kernel_initializer=initializer, name="members_factors"
    )(ones)
    # (1, members, features)
    factors = layers.Reshape((members, features), name="members_each")(factors)
    x = layers.RepeatVector(members, name="members_inputs")(x)  # (B, members, features)
    x = layers.Multiply(name="members_scaling")([x, factors])
    for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
        x = layers.Dense(width, kernel_regularizer=regularizer, name=f"hidden{i}_dense")(x)
        x = parts.activate(x, activation, name=f"hidden{i}_{activation}")
        x = parts.normalize(x, norm, name=f"hidden{i}_norm")
        if rate:  # one mask for all members: drawing them separately took a fifth of a step
            x = layers.Dropout(rate, noise_shape=(None, 1, width), name=f"hidden{i}_dropout")(x)
    return x


def _residual_blocks(
    x: keras.KerasTensor,
    units: tuple[int, ...],
    activation: str | None,
    *,
    rates: Sequence[float],
    norm: str | None,
    regularizer: keras.Regularizer | None,
) -> keras.KerasTensor:
    """Apply a stem, one pre-norm block per entry of `units`, then norm and activation: (B, width)."""
    if len(set(units)) != 1:
        raise ValueError(
            f"units={tuple(units)} must all be equal with residual=True, such as (128, 128)."
        )
    width = units[0]
    x = layers.Dense(width, kernel_regularizer=regularizer, name="stem_dense")(x)
    for i, rate in enumerate(rates, start=1):
        y = parts.normalize(x, norm, name=f"block{i}_norm")
        y = parts.dense_block(
            y, width, activation, name=f"block{i}_hidden", dropout=rate, regularizer=regularizer
        )
        y = layers.Dense(width, kernel_regularizer=regularizer, name=f"block{i}_dense")(y)
        x = layers.Add(name=f"block{i}_add")([x, y])
    x = parts.normalize(x, norm, name="final_norm")
    return parts.activate(x, activation, name=f"final_{activation}")
