"""Feed-forward networks: table rows, images flattened into rows, texts as bags of tokens."""

from statistics import NormalDist

import keras
import numpy as np
from keras import layers, ops

from kzoo.families import parts
from kzoo.families.protocol import LOG_RATIOS

_NARROW = 1e-5  # of its numbers: a narrower bin is none, for float32 has seven digits
NEEDS = {
    "activation": {"units": "any"},
    "dropout": {"units": "any"},
    "norm": {"units": "any"},
    "l1": {"units": "any"},
    "l2": {"units": "any"},
}
AXES = {"rows": ("columns",), "image": ("height", "width", "channels"), "tokens": ("tokens",)}


def build(
    *,
    name,
    input_shape,
    outputs,
    inputs="rows",
    units=(64, 32),
    activation="relu",
    output_activation="softmax",
    dropout=0.0,
    norm=None,
    l1=0.0,
    l2=0.0,
    residual=False,
    rescale=True,
    scale=None,
    offset=None,
    input_clip=None,
    bins=0,
    bins_dim=8,
    edges=None,
    categories=(),
    members=None,
    vocabulary_size=20_000,
    embedding_dim=64,
    embedding_dropout=0.0,
    log_ratios=False,
    target_scale=None,
    target_offset=None,
):
    """Build a feed-forward network.

    Every hidden layer is Dense, activation, normalisation, dropout. `residual=True` makes pre-norm
    residual blocks of them instead, the "ResNet" for tables of https://arxiv.org/abs/2106.11959: a
    linear stem to the common width, then one block `x + Dense(dropout(activation(Dense(norm(x)))))`
    per entry of `units`, then norm and activation before the answer.

    `members=8` makes an ensemble in one network, TabM-mini of https://arxiv.org/abs/2410.24210: all members share the
    hidden layers, and each has factors of its own for their inputs, and an answer of its own. The network answers by
    their mean; `kzoo.train` takes the loss of each member by itself, which is what keeps them different. Dropout leaves
    out the same features of a row in all members.

    Texts are bags: the vectors of their tokens are added up, whatever their order, and divided by the root of how many
    there are, so that neither long nor short texts have large sums. With `log_ratios=True` these sums are the answer: a
    linear model that begins as naive Bayes (https://aclanthology.org/P12-2018) and is trained as fastText is
    (https://arxiv.org/abs/1607.01759). Otherwise hidden layers read them, as in a deep averaging network
    (https://aclanthology.org/P15-1162).

    Args:
        name: name of the model.
        input_shape: (columns,) for rows, (height, width, channels) for images, (tokens,) for texts.
        outputs: number of classes or targets; 1 with a sigmoid for two classes.
        inputs: what goes in: `"rows"`, raw table rows; `"image"`, raw pixels 0..255 that are flattened; `"tokens"`, ids
            with 0 for padding.
        units: width of every hidden layer; empty for a linear model.
        activation: activation of the hidden layers.
        output_activation: activation of the answer; None for logits and real-valued targets.
        dropout: dropout after the hidden layers, one rate for all or one each.
        norm: normalisation in the hidden layers.
        l1: L1 penalty on the weights (not the biases) of the hidden layers.
        l2: L2 penalty on the same weights.
        residual: residual blocks; all `units` must then be equal.
        rescale: scale the inputs inside the model; False for inputs that are scaled already.
        scale: per numeric column, 1 / standard deviation of the training split: `x * scale + offset`.
        offset: per numeric column, -mean / standard deviation; None for the identity, as in `scale`.
        input_clip: size within which scaled numeric columns are bent; 0 for none, None for what the data asks for: 3
            where a column of the training split has heavy tails.
        bins: bins of every numeric column, in place of its scaling; 0 for none. A bin is 0 below, 1 above, and rises
            within: the piecewise-linear encoding of https://arxiv.org/abs/2203.05556. Each column becomes an embedding
            of its bins, and one number that is nearly normally distributed.
        bins_dim: width of the embedding of each column's bins.
        edges: the ends of the bins, `bins + 1` rising numbers of the first numeric column, then of the next: quantiles
            of the training split. Where two are equal there is no bin between them. None for columns that are normally
            distributed already.
        categories: number of codes (0 = unknown among them) of each categorical column. These are the
            last columns of a row, and each gets an embedding of its own.
        members: networks that share their weights and answer by their mean; None for a single one.
        vocabulary_size: number of token ids, padding (0) and unknown (1) among them.
        embedding_dim: width of a token's vector.
        embedding_dropout: dropout after the token vectors.
        log_ratios: begin as naive Bayes, without hidden layers. A token has a weight for each class: the log ratio of
            its shares in the training texts of the class and of the others. They come from the data where `train`, or
            `build` with `data`, sees it.
        target_scale: per target, standard deviation of the training split: `y * scale + offset`.
        target_offset: per target, mean of the training split.

    Raises:
        ValueError: a value does not fit the family, or another value.
    """
    parts.check_choice(inputs, AXES, name="inputs")
    parts.check_shape(input_shape, AXES[inputs])
    if log_ratios and units:
        raise ValueError(
            f"log_ratios=True is a linear model, without hidden layers: units={tuple(units)} must be empty."
        )
    rates = parts.per_layer(dropout, len(units), name="dropout")
    regularizer = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None

    given = keras.Input(input_shape, dtype="int32" if inputs == "tokens" else "float32", name="inputs")
    if inputs == "tokens":
        x = _bag(given, vocabulary_size, outputs if log_ratios else embedding_dim, embedding_dropout, log_ratios)
    elif inputs == "rows":
        x = _columns(
            given, categories, rescale=rescale, scale=scale, offset=offset, clip=input_clip, bins=bins,
            bins_dim=bins_dim, edges=edges,
        )  # fmt: skip
    else:
        if categories or scale is not None or offset is not None:
            raise ValueError("categories, scale and offset belong to inputs='rows'; pixels have none.")
        x = layers.Rescaling(1 / 255, name="scaling")(given) if rescale else given
        x = layers.Flatten(name="flatten")(x)  # (B, H * W * C)

    if members is not None:
        if residual:
            raise ValueError(f"members={members} share plain layers: residual=True has none. Leave one of them out.")
        x = _members(x, members, units, activation, rates=rates, norm=norm, regularizer=regularizer)
        x = parts.members_head(x, outputs, output_activation)
        x = parts.unscale_targets(x, target_scale, target_offset)
        return keras.Model(given, x, name=name)
    if residual:
        x = _residual_blocks(x, units, activation, rates=rates, norm=norm, regularizer=regularizer)
    else:
        for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
            x = parts.dense_block(
                x, width, activation, name=f"hidden{i}", dropout=rate, norm=norm, regularizer=regularizer
            )
    if not log_ratios:
        x = parts.head(x, outputs, output_activation)
    else:
        x = parts.activate(x, output_activation, name=f"output_{output_activation}", dtype=parts.answer_dtype())
    x = parts.unscale_targets(x, target_scale, target_offset)
    return keras.Model(given, x, name=name)


def _bag(ids, vocabulary_size, width, dropout, log_ratios):
    """Add the vectors of the real tokens of (B, T), and divide by the root of their number: (B, width)."""
    # Zeros are weights that are not set yet (`kzoo.training.initial_weights`). The sums are answers, which are float32.
    settings = dict(name=LOG_RATIOS, embeddings_initializer="zeros", dtype=parts.answer_dtype())
    x = layers.Embedding(vocabulary_size, width, **settings if log_ratios else dict(name="embedding"))(ids)  # (B, T, D)
    if dropout:
        x = layers.Dropout(dropout, dtype=x.dtype, name="embedding_dropout")(x)
    real = ops.cast(ops.not_equal(ids, 0), x.dtype)  # (B, T)
    count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)  # there is no text in padding alone
    return ops.sum(x * ops.expand_dims(real, -1), axis=1) / ops.sqrt(count)


def _columns(x, categories, *, rescale, scale, offset, clip, bins, bins_dim, edges):
    """Scale the numeric columns or embed their bins, embed the categorical ones, and join all: (B, features)."""
    numeric = x.shape[-1] - len(categories)
    if numeric < 0:
        raise ValueError(f"categories names {len(categories)} columns, but a row has only {x.shape[-1]}.")
    numbers = x if not categories else x[:, :numeric]
    columns = []
    if numeric and bins:
        columns += _binned(numbers, bins, bins_dim, edges)
    elif numeric:
        columns.append(parts.scale_inputs(numbers, scale, offset, clip=clip) if rescale else numbers)
    for i, count in enumerate(categories):
        codes = ops.cast(x[:, numeric + i], "int32")  # (B,)
        width = min(16, (count + 1) // 2)
        columns.append(layers.Embedding(count, width, name=f"category{i + 1}")(codes))  # (B, width)
    return columns[0] if len(columns) == 1 else layers.Concatenate(name="columns")(columns)


def _binned(numbers, bins, dim, edges):
    """Return each number as one that is nearly normally distributed (B, F), and the embeddings of its bins (B, F * D).

    Args:
        numbers: (B, F).
        bins, edges: see `build`.
        dim: D, width of the embedding of a column.
    """
    columns = numbers.shape[-1]
    normal = [NormalDist().inv_cdf((place + 0.5) / (bins + 1)) for place in range(bins + 1)]
    if edges is None:
        edges = normal * columns
    if len(edges) != columns * (bins + 1):
        raise ValueError(
            f"edges has {len(edges)} numbers; {columns} columns of {bins} bins need {columns * (bins + 1)}."
        )
    each = [_bins(edges[at : at + bins + 1], normal) for at in range(0, len(edges), bins + 1)]
    scale, offset, steps, lowest = np.stack(each, axis=-1).tolist()  # (bins, F)
    exact = dict(dtype=parts.answer_dtype())  # raw numbers
    x = layers.RepeatVector(bins, name="bins_repeat", **exact)(numbers)  # (B, bins, F)
    x = layers.Rescaling(scale, offset, name="bins_scaling", **exact)(x)
    x = layers.ReLU(max_value=1.0, name="bins", **exact)(x)
    # A mean over the bins of their number times each step is the sum of the steps that a number has climbed.
    z = layers.Rescaling(steps, lowest, name="quantiles_steps", **exact)(x)
    z = layers.GlobalAveragePooling1D(name="quantiles", **exact)(z)  # (B, F)
    x = layers.EinsumDense(
        "bnf,nfd->bfd",
        output_shape=(columns, dim),
        bias_axes="fd",
        kernel_initializer="he_normal",
        name="bins_embedding",
    )(x)
    return [z, layers.Flatten(name="bins_flatten")(x)]


def _bins(edges, normal):
    """Return of each bin of a column scale and offset, by which it goes from 0 to 1, `bins` times the step that it is
    in a normal distribution, and where that begins: (4, bins). What is no bin, between two edges that are one, stays 0.

    Args:
        edges: the ends of its bins, rising.
        normal: where they would lie in a normal distribution.
    """
    ends, heights = [edges[0]], [[normal[0]]]
    for edge, height in zip(edges[1:], normal[1:], strict=True):
        if edge - ends[-1] > _NARROW * max(abs(edge), abs(ends[-1])):
            ends.append(edge)
            heights.append([])
        heights[-1].append(height)
    widths, steps = np.diff(ends), np.diff([np.mean(of_one) for of_one in heights])
    found = np.zeros((4, len(edges) - 1))
    found[:3, : len(widths)] = 1 / widths, -np.array(ends[:-1]) / widths, found.shape[1] * steps
    found[3] = np.mean(heights[0])
    return found


def _members(x, members, units, activation, *, rates, norm, regularizer):
    """Let the members share hidden layers, with factors of their own for the inputs: (B, members, width)."""
    features = x.shape[-1]
    # What a `Dense` makes of a 1 is its weights, which are the same for all rows. An `EinsumDense("bki,ki->bki")` would
    # be one layer instead of three, and takes TensorFlow ten times as long.
    one = ops.ones_like(x[:1, :1])  # (1, 1)
    begin = keras.initializers.RandomNormal(stddev=1.0)  # which makes the members different
    factors = layers.Dense(members * features, use_bias=False, kernel_initializer=begin, name="members_factors")(one)
    factors = layers.Reshape((members, features), name="members_each")(factors)  # (1, members, features)
    x = layers.RepeatVector(members, name="members_inputs")(x)  # (B, members, features)
    x = layers.Multiply(name="members_scaling")([x, factors])
    for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
        x = layers.Dense(width, kernel_regularizer=regularizer, name=f"hidden{i}_dense")(x)
        x = parts.activate(x, activation, name=f"hidden{i}_{activation}")
        x = parts.normalize(x, norm, name=f"hidden{i}_norm")
        if rate:  # one draw for all members: random numbers took a fifth of a step
            x = layers.Dropout(rate, noise_shape=(None, 1, width), name=f"hidden{i}_dropout")(x)
    return x


def _residual_blocks(x, units, activation, *, rates, norm, regularizer):
    """Stem, one pre-norm block per entry of `units`, then norm and activation: (B, width)."""
    if len(set(units)) != 1:
        raise ValueError(f"units={tuple(units)} must all be equal with residual=True, such as (128, 128).")
    width = units[0]
    x = layers.Dense(width, kernel_regularizer=regularizer, name="stem_dense")(x)
    for i, rate in enumerate(rates, start=1):
        y = parts.normalize(x, norm, name=f"block{i}_norm")
        y = parts.dense_block(y, width, activation, name=f"block{i}_hidden", dropout=rate, regularizer=regularizer)
        y = layers.Dense(width, kernel_regularizer=regularizer, name=f"block{i}_dense")(y)
        x = layers.Add(name=f"block{i}_add")([x, y])
    x = parts.normalize(x, norm, name="final_norm")
    return parts.activate(x, activation, name=f"final_{activation}")
