"""Fitted baselines as Keras networks: functions of Keras tensors, from built-in layers and operations only.

Large arrays are weights of layers. Whole numbers in them are exact, as float32 has those up to 2^24. Keras is imported
on first use.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.baselines.baseline import Unfit
from kzoo.baselines.trees import Tree, with_numeric_splits
from kzoo.utils.optional import keras

if TYPE_CHECKING:
    from keras import KerasTensor
    from numpy.typing import ArrayLike


OUTPUTS = "outputs"  # the last layer
_LARGEST = np.finfo("float32").max
_MOST_COMPARED = 256  # words of a text that are compared with all of its words at once
_PIXELS_AT_ONCE, _MOST_PIXELS = 4_096, 65_536  # of an image, whose colours are counted
_MOST_EXACT = 2**24  # whole numbers in float32


# of pairs of words: the first words, the second ones, and the rows of a kernel
_WordPairs: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


def head(x: "KerasTensor", activation: str, shape: Sequence[int] = ()) -> "KerasTensor":
    """Return outputs in the layer "outputs": an activation, and their shape without the batch if it is not flat."""
    if activation == "exponential":
        x = keras.ops.exp(x)
        activation = "linear"
    if tuple(shape) in ((), tuple(x.shape[1:])):
        return keras.layers.Activation(activation, name=OUTPUTS)(x)
    return keras.layers.Reshape(shape, name=OUTPUTS)(
        keras.layers.Activation(activation, name="activation")(x)
    )


def constant(inputs: "KerasTensor", values: np.ndarray) -> "KerasTensor":
    """Return the same values for each input, (B, *values.shape)."""
    values = np.asarray(values, "float32")
    numbers = _first_row(inputs, values.reshape(1, -1), name="values")
    return head(numbers, "linear", values.shape)


def dense(
    x: "KerasTensor", kernel: np.ndarray, bias: "ArrayLike | None" = None, *, name: str
) -> "KerasTensor":
    """Return `x @ kernel + bias`.

    Args:
        x: (B, ..., F).
        kernel: (F, outputs).
        bias: (outputs,); None for 0.
    """
    layer = keras.layers.Dense(kernel.shape[1], use_bias=bias is not None, name=name)
    y = layer(x)
    layer.set_weights([np.asarray(part, "float32") for part in (kernel, bias) if part is not None])
    return y


def table(values: np.ndarray, *, name: str) -> "Callable[[KerasTensor], KerasTensor]":
    """Return a function from whole numbers (B, ...) to the rows (B, ..., W) of a table (rows, W)."""
    layer = keras.layers.Embedding(*values.shape, trainable=False, name=name)
    layer.build((None,))
    layer.set_weights([np.asarray(values, "float32")])
    return layer


def standardised(
    x: "KerasTensor", center: np.ndarray, spread: np.ndarray, *, name: str
) -> "KerasTensor":
    """Return `(x - center) / spread` of x (B, ..., F); exact also for values far from zero, such as years.

    The part of the center that float32 does not have is subtracted from the difference.
    """
    center, spread = (
        np.broadcast_to(np.asarray(part, "float64"), x.shape[-1:]) for part in (center, spread)
    )
    near = center.astype("float32")
    x = keras.layers.Rescaling(1.0, (-near).tolist(), name=f"{name}_center")(x)
    rest = ((near - center) / spread).tolist()
    return keras.layers.Rescaling((1 / spread).tolist(), rest, name=f"{name}_scaling")(x)


def unscaled(x: "KerasTensor", scale: np.ndarray, offset: np.ndarray | float) -> "KerasTensor":
    """Return `x * scale + offset` of x (B, ..., F)."""
    scale, offset = (
        np.broadcast_to(np.asarray(part, "float64"), x.shape[-1:]).tolist()
        for part in (scale, offset)
    )
    return keras.layers.Rescaling(scale, offset, name="unscale")(x)


def clipped(x: "KerasTensor", limit: float) -> "KerasTensor":
    """Return x between -limit and limit."""
    return keras.ops.clip(x, -limit, limit)


def shifted(x: "KerasTensor", offset: "ArrayLike") -> "KerasTensor":
    """Return x (B, outputs) plus an offset for each output."""
    return keras.layers.Rescaling(1.0, np.asarray(offset, "float32").tolist(), name="offset")(x)


def nearest(x: "KerasTensor", examples: np.ndarray, values: np.ndarray) -> "KerasTensor":
    """Return the values of the example with the smallest Euclidean distance, (B, *shape).

    Args:
        x: (B, F).
        examples: (N, F).
        values: (N, *shape).
    """
    distances = dense(
        x, -2 * examples.T, np.einsum("nd,nd->n", examples, examples), name="distances"
    )
    index = _first_true(distances <= keras.ops.min(distances, axis=-1, keepdims=True))
    rows = table(values.reshape(len(values), -1), name="values")(index)
    return head(rows, "linear", values.shape[1:])


def most_probable(logits: "KerasTensor") -> "KerasTensor":
    """Return 1 for the first of the largest logits of each row and 0 for the others, (B, classes)."""
    index = _first_true(logits >= keras.ops.max(logits, axis=-1, keepdims=True))
    return head(keras.ops.one_hot(index, logits.shape[-1]), "linear")


def rounded_class(x: "KerasTensor", classes: int) -> "KerasTensor":
    """Return 1 for the class whose number is nearest to x (B, 1) and 0 for the others, (B, classes)."""
    number = keras.ops.clip(keras.ops.round(x[:, 0]), 0, classes - 1)
    return head(keras.ops.one_hot(whole_numbers(number), classes), "linear")


def _first_true(x: "KerasTensor") -> "KerasTensor":
    """Return the index of the first true entry of each row (B,); `argmax` of Keras has no form in ONNX."""
    ops = keras.ops
    none_yet = ops.cumsum(ops.cast(x, "float32"), axis=-1) < 0.5
    return whole_numbers(ops.sum(ops.cast(none_yet, "float32"), axis=-1))


def stretched(x: "KerasTensor", real: "KerasTensor") -> "KerasTensor":
    """Return series (B, T, F) interpolated from their real steps, which come first, to all steps.

    Args:
        real: (B, T, 1).
    """
    ops = keras.ops
    steps = x.shape[1]
    # (B, 1, 1)
    last = ops.maximum(ops.sum(ops.cast(real, "float32"), axis=1, keepdims=True), 1.0) - 1
    number = ops.cumsum(ops.ones_like(x), axis=1) - 1
    position = number * last / max(steps - 1, 1)
    low = ops.floor(position)
    high = ops.minimum(low + 1, last)
    lower, upper = (
        ops.take_along_axis(x, ops.cast(index, "int32"), axis=1) for index in (low, high)
    )
    return lower * (1 - (position - low)) + upper * (position - low)


def flat(x: "KerasTensor") -> "KerasTensor":
    """Return x (B, ...) as (B, numbers)."""
    return keras.layers.Flatten(name="flat")(x)


def swapped(x: "KerasTensor", *, name: str) -> "KerasTensor":
    """Return x (B, S, T) as (B, T, S)."""
    return keras.layers.Permute((2, 1), name=name)(x)


def earlier_steps(x: "KerasTensor", lags: np.ndarray) -> "KerasTensor":
    """Return the mean of earlier steps of windows: (B, horizon, F).

    Args:
        x: (B, T, F).
        lags: (count, horizon) how many steps before the end of the window, from 1.

    Raises:
        Unfit: a step is before the start of the window.
    """
    values = _earlier_values(x, lags)
    return values[0] if len(values) == 1 else sum(values[1:], values[0]) / len(values)


def quantiles_of_earlier_steps(
    x: "KerasTensor", lags: np.ndarray, levels: Sequence[float]
) -> "KerasTensor":
    """Return the quantiles of earlier steps of windows: (B, horizon, F * levels); see `earlier_steps`."""
    # (B, horizon, F, count)
    ordered = keras.ops.sort(keras.ops.stack(_earlier_values(x, lags), axis=-1), axis=-1)
    last = len(lags) - 1
    quantiles = []
    for level in levels:
        below = min(int(level * last), max(last - 1, 0))
        lower = ordered[..., below]
        upper = ordered[..., min(below + 1, last)]
        quantiles.append(lower + (upper - lower) * (level * last - below))
    stacked = keras.ops.stack(quantiles, axis=-1)
    return head(stacked, "linear", (stacked.shape[1], stacked.shape[2] * len(levels)))


def _earlier_values(x: "KerasTensor", lags: np.ndarray) -> "list[KerasTensor]":
    """Return the values (B, horizon, F) of each row of lags; see `earlier_steps`."""
    steps = x.shape[1]
    longest = int(np.max(lags))
    if longest > steps:
        raise Unfit(f"it needs the value {longest:,} steps ago, and a window has {steps:,} steps")
    return [keras.ops.take(x, (steps - row).tolist(), axis=1) for row in lags]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits (B, classes), by NumPy."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def with_offsets(x: "KerasTensor", offsets: np.ndarray) -> "KerasTensor":
    """Return quantiles of forecasts, (B, horizon, targets * levels): a value (B, horizon, targets) plus each offset.

    Args:
        offsets: (horizon, targets, levels).
    """
    repeated = keras.ops.repeat(x, offsets.shape[-1], axis=-1)
    shifts = offsets.reshape(*offsets.shape[:-2], -1)
    return head(keras.layers.Rescaling(1.0, shifts.tolist(), name="offset")(repeated), "linear")


def pooled(x: "KerasTensor", low: float, span: float, step: Sequence[int]) -> "KerasTensor":
    """Return pixels scaled to 0..1 and averaged over squares, (B, numbers); squares at the edge are filled with zeros.

    Args:
        x: (B, H, W, C).
        low, span: the lowest pixel value, and the range.
        step: (rows, columns) of a square.
    """
    x = keras.layers.Rescaling(1 / span, -low / span, name="pixels")(x)
    missing = [-x.shape[axis + 1] % step[axis] for axis in (0, 1)]
    if any(missing):
        x = keras.layers.ZeroPadding2D(tuple((0, count) for count in missing), name="padding")(x)
    return flat(
        keras.layers.AveragePooling2D(tuple(step), name="squares")(x) if max(step) > 1 else x
    )


def histogram(x: "KerasTensor", low: float, span: float, bins: int) -> "KerasTensor":
    """Return the square roots of the shares of colours, (B, bins ** channels).

    Args:
        x: (B, H, W, 1 or 3).
        low, span: the lowest pixel value, and the range.
        bins: of a channel.
    """
    ops = keras.ops
    count = x.shape[1] * x.shape[2]
    if count > _MOST_PIXELS:
        raise Unfit(
            f"a network counts the colours of at most {_MOST_PIXELS:,} pixels, and images have {count:,}"
        )
    levels = ops.clip((x - low) * (bins / span), 0, bins - 1)
    levels = ops.cast(keras.layers.Reshape((count, x.shape[-1]), name="colours")(levels), "int32")
    totals = 0.0
    for start in range(0, count, _PIXELS_AT_ONCE):
        block = levels[:, start : start + _PIXELS_AT_ONCE]
        if x.shape[-1] == 1:
            totals = totals + ops.sum(ops.one_hot(block[..., 0], bins), axis=1)
        else:  # the counts of all three colours as a product of matrices
            # (B, pixels, bins²)
            blue_green = ops.one_hot(block[..., 2] * bins + block[..., 1], bins * bins)
            red = ops.one_hot(block[..., 0], bins)
            totals = totals + ops.matmul(ops.transpose(blue_green, (0, 2, 1)), red)
    return flat(ops.sqrt(totals / count))


def summary_statistics(
    x: "KerasTensor", real: "KerasTensor | None", quantiles: Sequence[float]
) -> "KerasTensor":
    """Return statistics of each column of series, (B, F * (len(quantiles) + 6) + 1).

    Args:
        x: (B, T, F).
        real: (B, T, 1) which steps are real; they come first. None for all.
        quantiles: their levels.
    """
    ops = keras.ops
    real = ops.ones_like(x[..., :1]) if real is None else ops.cast(real, "float32")
    number = ops.cumsum(ops.ones_like(real), axis=1) - 1  # (B, T, 1)
    real = ops.maximum(real, ops.cast(number < 1, "float32"))  # at least one step
    count = ops.sum(real, axis=1, keepdims=True)  # (B, 1, 1)

    def mean(values: "KerasTensor") -> "KerasTensor":
        return ops.sum(values * real, axis=1, keepdims=True) / count

    near = x[:, :1]  # differences from the first step have no large common part to round
    center = mean(x - near)
    around = (x - near - center) * real
    spread = ops.sqrt(mean(around * around))
    step = (number - (count - 1) / 2) * real
    slope = ops.sum(step * around, axis=1) / ops.maximum(ops.sum(step * step, axis=1), 1e-12)
    both = real[:, 1:] * real[:, :-1]
    change = ops.sum(ops.abs(x[:, 1:] - x[:, :-1]) * both, axis=1) / ops.maximum(
        count[:, 0] - 1, 1.0
    )
    squares = ops.maximum(ops.sum(around * around, axis=1), 1e-12)
    neighbours = ops.sum(around[:, 1:] * around[:, :-1], axis=1) / squares
    ordered = ops.sort(ops.where(real > 0, x, _LARGEST), axis=1)

    def at(values: "KerasTensor", position: "KerasTensor") -> "KerasTensor":
        index = ops.cast(position + ops.zeros_like(values[:, :1]), "int32")  # (B, 1, F)
        return ops.take_along_axis(values, index, axis=1)[:, 0]

    parts = []
    for level in quantiles:
        position = (count - 1) * level
        low = ops.floor(position)
        lower = at(ordered, low)
        upper = at(ordered, ops.minimum(low + 1, count - 1))
        parts.append(lower + (upper - lower) * (position - low)[:, 0])
    parts += [
        (center + near)[:, 0],
        spread[:, 0],
        slope,
        change,
        neighbours,
        at(x, count - 1),
        count[:, 0],
    ]
    return ops.concatenate(parts, axis=-1)


def whole_numbers(x: "KerasTensor") -> "KerasTensor":
    """Return x as int32."""
    return keras.ops.cast(x, "int32")


def quantiles(x: "KerasTensor", levels: int) -> "KerasTensor":
    """Return quantiles (B, targets * levels) that ascend for each target."""
    count = x.shape[-1]
    x = keras.layers.Reshape((count // levels, levels), name="levels")(x)
    return keras.layers.Reshape((count,), name=OUTPUTS)(keras.ops.sort(x, axis=-1))


def logits_of_all(
    x: "KerasTensor", present: np.ndarray, classes: int, absent: float
) -> "KerasTensor":
    """Return logits of all classes (B, classes), from those of the classes that occur: (B, C), or (B, 1) for two.

    Args:
        present: the class numbers that occur.
        absent: the logit of the others.
    """
    kernel = np.zeros((x.shape[-1], classes))
    bias = np.full(classes, absent)
    bias[present] = 0.0
    kernel[np.arange(x.shape[-1]), present[-x.shape[-1] :]] = 1.0
    return dense(x, kernel, bias, name="classes")


def with_constants(
    x: "KerasTensor", models: Sequence[Any], logit: Callable[[float], float]
) -> "KerasTensor":
    """Return logits (B, labels) from those of labels that have a model, (B, M).

    Args:
        models: of each label, a number for those whose probability is constant.
        logit: function from a probability to a logit.
    """
    constants = [isinstance(model, float) for model in models]
    kernel = np.zeros((x.shape[-1], len(models)))
    kernel[np.arange(x.shape[-1]), np.flatnonzero(~np.array(constants))] = 1.0
    return dense(
        x,
        kernel,
        [logit(m) if c else 0.0 for m, c in zip(models, constants, strict=True)],
        name="labels",
    )


def codes_sum(codes: "KerasTensor", tables: Sequence[np.ndarray], *, name: str) -> "KerasTensor":
    """Return the sum of the rows of tables at codes: (B, W).

    Args:
        codes: (B, C) whole numbers, as floats.
        tables: C arrays (codes of the column, W).
    """
    starts = np.cumsum([0, *(len(values) for values in tables[:-1])])
    positions = keras.layers.Rescaling(
        1.0, starts.astype("float32").tolist(), name=f"{name}_starts"
    )(codes)
    rows = table(np.concatenate(tables), name=name)(keras.ops.cast(positions, "int32"))  # (B, C, W)
    return keras.ops.sum(rows, axis=1)


def forest(
    x: "KerasTensor", groups: Sequence[Sequence[Tree]], *, name: str = "trees"
) -> "KerasTensor":
    """Return the sum of the values of decision trees, for each group of trees: (B, groups * values of a leaf).

    All trees are descended together: at each depth, the node that a row has reached in each tree looks up its feature,
    threshold, left child and value. Node 0 of each depth is below a leaf: its value is 0.

    Args:
        x: (B, F).
        groups: lists of `kzoo.baselines.trees.Tree`.
    """
    ops = keras.ops
    most = max(map(len, groups))
    trees, splits = with_numeric_splits([tree for trees in groups for tree in trees], x.shape[-1])
    if splits:
        x = ops.concatenate([x, _goes_right(x, splits, name=f"{name}_categories")], axis=-1)
    roots = []
    start = 1
    for of_group in groups:  # those with fewer trees are filled up with trees of the value 0
        roots += [*range(start, start + len(of_group)), *[0] * (most - len(of_group))]
        start += len(of_group)
    node = _first_row(x, np.array([roots]), name=f"{name}_roots")  # (B, T)
    total: Any = 0.0
    depths = _levels(trees)
    for depth, level in enumerate(depths):
        if len(level) > _MOST_EXACT:
            raise Unfit(
                f"its trees have {len(level):,} nodes, more than the {_MOST_EXACT:,} that float32 can number"
            )
        row = table(level, name=f"{name}_{depth}")(node)  # (B, T, 3 + W)
        total = total + row[..., 3:]
        if depth + 1 < len(depths):
            value = ops.take_along_axis(x, ops.cast(row[..., 0], "int32"), axis=1)
            node = row[..., 2] + ops.cast(value > row[..., 1], "float32")
    width = total.shape[-1]
    grouped = keras.layers.Reshape((len(groups), most, width), name=f"{name}_of_outputs")(total)
    return keras.layers.Reshape((len(groups) * width,), name=f"{name}_outputs")(
        ops.sum(grouped, axis=2)
    )


def _levels(trees: Sequence[Tree]) -> list[np.ndarray]:
    """Return the nodes of all trees at each depth, as `Tree.levels` has them; node 0 is below the leaves."""
    each = [list(tree.levels()) for tree in trees]
    depths = []
    for depth in range(max(map(len, each))):
        levels = []  # of the children
        start = 1
        for tree in each:
            if depth < len(tree):
                level = tree[depth]
                level[:, 2] = np.where(level[:, 2] < 0, 0, level[:, 2] + start)
                levels.append(level)
            start += len(tree[depth + 1]) if depth + 1 < len(tree) else 0
        below = np.zeros((1, levels[0].shape[1]))
        below[0, 1] = _LARGEST
        depths.append(np.concatenate([below, *levels]))
    return depths


def _goes_right(
    x: "KerasTensor", splits: Sequence[tuple[int, np.ndarray]], *, name: str
) -> "KerasTensor":
    """Return whether the category of each row goes right, (B, splits) 0 or 1.

    Args:
        splits: (column, (codes,) whether a category goes right) of each split.
    """
    columns, tables = zip(*splits, strict=True)
    starts = np.cumsum([0, *map(len, tables[:-1])])
    if sum(map(len, tables)) > _MOST_EXACT:
        raise Unfit(f"its splits of categories have more than {_MOST_EXACT:,} entries")
    column = keras.ops.cast(_first_row(x, np.array([columns]), name=f"{name}_columns"), "int32")
    codes = keras.ops.take_along_axis(x, column, axis=1)
    positions = codes + _first_row(x, starts[None], name=f"{name}_starts")
    return table(np.concatenate(tables)[:, None], name=name)(keras.ops.cast(positions, "int32"))[
        ..., 0
    ]


def tfidf(
    ids: "KerasTensor", words: np.ndarray, pairs: _WordPairs | None = None, *, name: str = "tfidf"
) -> "KerasTensor":
    """Return the product of the TF-IDF features of texts with a kernel: (B, outputs).

    The features are those of scikit-learn with `sublinear_tf` and Euclidean norms: `(1 + log(count)) * idf`, divided by
    their norm. Each occurrence adds its share of the feature, 1 / count.

    Args:
        ids: (B, T) whole numbers, 0 for padding.
        words: (ids, 1 + outputs), for each word its IDF, and its IDF times its row of the kernel; 0 for others.
        pairs: the same for pairs of neighbouring words: (first (P,), second (P,), (P, 1 + outputs)), in ascending
            order; None for no pairs.
    """
    ops = keras.ops
    total = squares = 0.0
    for features, count, present in _grams(ids, words, pairs, name):
        frequency = 1 + ops.log(count)
        share = ops.expand_dims(frequency / count * present, -1)
        total = total + ops.sum(features[..., 1:] * share, axis=1)
        squared = ops.square(features[..., 0] * frequency) / count * present
        squares = squares + ops.sum(squared, axis=1, keepdims=True)
    return total / ops.sqrt(ops.maximum(squares, 1e-30))


def occurrences(
    ids: "KerasTensor",
    words: np.ndarray,
    pairs: _WordPairs | None = None,
    *,
    name: str = "occurrences",
) -> "KerasTensor":
    """Return the sum of the rows of a kernel for the words and pairs that occur in texts: (B, outputs).

    Args:
        ids, pairs: see `tfidf`; the pairs have (P, outputs).
        words: (ids, outputs), 0 for unknown words.
    """
    ops = keras.ops
    total = 0.0
    for features, count, present in _grams(ids, words, pairs, name):
        total = total + ops.sum(features * ops.expand_dims(present / count, -1), axis=1)
    return total


def _grams(
    ids: "KerasTensor", words: np.ndarray, pairs: _WordPairs | None, name: str
) -> "Iterator[tuple[KerasTensor, KerasTensor, KerasTensor]]":
    """Yield features (B, T, W), counts (B, T) and presence (B, T) of words, and of pairs; see `tfidf`."""
    real = keras.ops.cast(ids > 0, "float32")
    yield table(words, name=f"{name}_words")(ids), _counts([ids], real), real
    if pairs is not None and len(pairs[0]):
        first = ids[:, :-1]
        second = ids[:, 1:]
        both = real[:, :-1] * real[:, 1:]
        features = _of_pairs(
            first, second, *pairs, vocabulary_size=len(words), name=f"{name}_pairs"
        )
        yield features, _counts([first, second], both), both


def _counts(columns: "Sequence[KerasTensor]", present: "KerasTensor") -> "KerasTensor":
    """Return how often each entry occurs in its row, (B, T), at least 1.

    Args:
        columns: arrays (B, T), which must all be equal.
        present: (B, T), 1 for entries that count, else 0.
    """
    ops = keras.ops
    counts = []
    for start in range(0, present.shape[1], _MOST_COMPARED):
        same = ops.expand_dims(present, 1)  # (B, 1, T)
        for column in columns:
            block = ops.expand_dims(column[:, start : start + _MOST_COMPARED], 2)
            same = same * ops.cast(ops.equal(block, ops.expand_dims(column, 1)), "float32")
        counts.append(ops.sum(same, axis=2))
    return ops.maximum(counts[0] if len(counts) == 1 else ops.concatenate(counts, axis=1), 1.0)


def _of_pairs(
    first: "KerasTensor",
    second: "KerasTensor",
    firsts: np.ndarray,
    seconds: np.ndarray,
    features: np.ndarray,
    *,
    vocabulary_size: int,
    name: str,
) -> "KerasTensor":
    """Return the features (B, T, W) of pairs of words; 0 for unknown pairs.

    A word has a range in the sorted table of pairs that begin with it, in which the second word is searched by
    bisection: a pair as one number would exceed 32 bits.

    Args:
        first, second: (B, T) the words.
        firsts, seconds, features: the known pairs (see `tfidf`).
        vocabulary_size: number of word ids.
    """
    if (count := len(firsts)) > _MOST_EXACT:
        raise Unfit(
            f"it has {count:,} pairs of words, more than the {_MOST_EXACT:,} that float32 can number"
        )
    ops = keras.ops
    words = np.arange(vocabulary_size)
    starts, ends = (np.searchsorted(firsts, words, side=side) for side in ("left", "right"))
    bounds = table(np.stack([starts - 1, ends], axis=1), name=f"{name}_ranges")(first)  # (B, T, 2)
    before, end = bounds[..., 0], bounds[..., 1]
    second_of = table(np.append(seconds, 0)[:, None], name=f"{name}_second")
    wanted = ops.cast(second, "float32")
    position = before
    for step in reversed([2**power for power in range(int((ends - starts).max()).bit_length())]):
        probe = position + step
        second_there = second_of(ops.cast(ops.minimum(probe, count), "int32"))[..., 0]
        position = ops.where(ops.logical_and(probe < end, second_there <= wanted), probe, position)
    second_there = second_of(ops.cast(ops.maximum(position, 0), "int32"))[..., 0]
    known = ops.logical_and(position > before, ops.equal(second_there, wanted))
    rows = np.concatenate([features, np.zeros((1, features.shape[1]))])
    return table(rows, name=f"{name}_features")(
        ops.cast(ops.where(known, position, count), "int32")
    )


def _first_row(inputs: "KerasTensor", values: np.ndarray, *, name: str) -> "KerasTensor":
    """Return the values (1, W) for each input, (B, W)."""
    flat = inputs if len(inputs.shape) == 2 else keras.layers.Flatten(name=f"{name}_flat")(inputs)
    return table(values, name=name)(keras.ops.cast(keras.ops.zeros_like(flat[:, 0]), "int32"))
