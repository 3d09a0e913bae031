"""The closed form of frozen features: thresholds from training series, and a ridge regression as the last layer.

Networks with a layer "ridge" are not trained by gradients: their convolutions are frozen, and ridge regression on the
layer "features" sets the last layer. Leave-one-out errors choose its strength. For classes, each has a score, 1 for its
rows and -1 for the others; scores are no probabilities, so the softmax above gets them times a factor that is fitted to
the leave-one-out scores (temperature scaling, arXiv:1706.04599).
"""

import math
from typing import Any

import keras
import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.sample import even_sample
from kzoo.training.features import frozen_below, with_features
from kzoo.training.gram_ridge import MOST_ROWS, Grams, gram_ridge, has_grams
from kzoo.training.leave_one_out import ALPHAS_OF_UNIT, Ridge, row_weights
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.utils.memory import SHARE, free_memory
from kzoo.zoo.families.protocol import FEATURES, RIDGE, is_shares, layer_with

# Strengths for features with a standard deviation of 1, from almost none to the means alone.
_ALPHAS = np.logspace(-3, 6, 19)
# of that of vectors of unit length, whose time grows with the cube of their width
_MOST_UNIT_ROWS = 50_000
_MOST_SERIES = 64  # whose responses determine thresholds
# above a quantile: responses to constant stretches are 0 up to rounding, and must not decide
_MARGIN = 1e-4
_SMALLEST_SPREAD = 1e-6  # of a feature that is not constant
_BLOCK = 2_000  # features at a time
_GOLDEN_RATIO = (5**0.5 - 1) / 2


def set_thresholds(model: keras.Model, data: Dataset, seed: int) -> None:
    """Set the thresholds of the layers "shares1", ... to quantiles of responses, unless they are set already.

    Each kernel gets the quantiles of its responses to one random training series, at levels of a low-discrepancy
    sequence, as in MiniRocket (arXiv:2012.08791).

    Args:
        model: the network.
        data: the `Dataset`.
        seed: of the choice of series.
    """
    layers = [layer for layer in model.layers if is_shares(layer.name)]
    if not layers or all(np.any(layer.get_weights()[1]) for layer in layers):
        return
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(data.train))[:_MOST_SERIES])
    raw = np.asarray(data.train.x[rows], np.float32)
    scaled = keras.Model(model.input, layers[0].input)(raw, training=False)
    series = np.asarray(keras.ops.convert_to_numpy(scaled), np.float64)
    real = raw[..., -1] > 0 if data.config.get("padded") else np.ones(raw.shape[:2], bool)
    position = 1
    for layer in layers:
        kernel, _ = layer.get_weights()
        inside = layer.padding == "valid"
        first = _first_of_kernels(kernel)
        count = kernel.shape[-1] // len(first)
        responses = _convolved(series, kernel[..., first], layer.dilation_rate[0], inside)
        biases = np.empty((len(first), count))
        for i in range(len(first)):
            levels = (position + np.arange(count)) * _GOLDEN_RATIO % 1
            position += count
            row = random.integers(len(series))
            values = responses[row, :, i] if inside else responses[row, real[row], i]
            biases[i] = np.quantile(values, levels) if len(values) else 0.0
        layer.set_weights([kernel, -(biases + _MARGIN).reshape(-1)])


def _first_of_kernels(kernel: np.ndarray) -> np.ndarray:
    """Return the indices at which another kernel begins: each is repeated for its thresholds."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    return np.flatnonzero(np.r_[True, (flat[:, 1:] != flat[:, :-1]).any(axis=0)])


def _convolved(series: np.ndarray, kernel: np.ndarray, dilation: int, inside: bool) -> np.ndarray:
    """Return the responses (N, T', kernels) of series (N, T, C) to kernels (9, C, kernels)."""
    taps = len(kernel)
    reach = dilation * (taps - 1) // 2
    padded = series if inside else np.pad(series, ((0, 0), (reach, reach), (0, 0)))
    steps = padded.shape[1] - 2 * reach
    return sum(
        padded[:, tap * dilation : tap * dilation + steps] @ kernel[tap] for tap in range(taps)
    )


def fit_ridge(
    model: keras.Model,
    data: Dataset,
    *,
    batch_size: int,
    standardize: tuple[Any, Any] | None = None,
    class_weight: dict[int, float] | None = None,
) -> tuple[tuple[Split, Split | None], str]:
    """Set the layer "ridge" of a network, and return the features of the splits, and a note.

    Args:
        model: the network, with frozen layers below "features".
        data: the `Dataset`.
        batch_size: series per step.
        standardize: offset and scale of values; None for classes.
        class_weight: class number -> factor of the weight of its rows; None for 1.

    Returns:
        The training and validation splits with features as inputs, of an even sample if there are too many rows; and a
        note.

    Raises:
        KzooError: fewer than two training rows.
    """
    layer = layer_with(model, RIDGE)
    frozen = frozen_below(model)
    if frozen is None:
        raise KzooError(f"{model.name} has trainable layers below {FEATURES!r}. Freeze them.")
    unit = isinstance(layer_with(model, FEATURES), keras.layers.UnitNormalization)
    if len(data.train) < 2:
        raise KzooError("Ridge regression needs at least two training rows.")
    most = _most_rows(frozen.output_shape[-1], unit and not has_grams(model))
    train = even_sample(data.train, most)
    features = with_features(frozen, train, batch_size=batch_size)
    y = np.asarray(train.y[:])
    weight = None if train.weight is None else np.asarray(train.weight, np.float64)
    is_class = data.problem.classes_of(y) is not None
    is_labels = data.problem.separate_probabilities
    if is_labels:
        targets = np.nan_to_num(2.0 * y - 1.0)  # an unknown label counts as a half
    elif is_class:
        count = max(layer.units, 2)
        targets = np.where(np.arange(count) == y[:, None], 1.0, -1.0)
        if class_weight is not None:
            factors = np.array([class_weight[number] for number in range(count)])[y]
            weight = factors if weight is None else weight * factors
    else:
        offset, scale = (np.asarray(part, np.float64) for part in standardize or (0.0, 1.0))
        targets = (y.reshape(len(y), -1) - offset) / scale
    grams = Grams.of(model, np.asarray(train.x[:])) if has_grams(model) else None
    if grams is not None:
        of_grams = grams(np.asarray(train.x[:]))
        fitted = gram_ridge(features.x, of_grams, targets, weight)
    else:
        fitted = (ridge_of_unit_vectors if unit else ridge_regression)(features.x, targets, weight)
    kernel, bias = fitted.kernel, fitted.bias
    note = (
        f"Ridge regression on {len(kernel):,} features of {plural(len(y), 'training row')}: "
        f"alpha={fitted.alpha:.3g} has the smallest leave-one-out error."
    )
    if is_class:
        factor = score_factor(fitted.left_out, y, weight)
        kernel, bias = kernel * factor, bias * factor
        right = float(np.mean(fitted.left_out.argmax(axis=1) == y))
        note = f"{note[:-1]}, with an accuracy of {right:.1%}."
        if layer.units == 1:
            kernel = kernel[:, 1:] - kernel[:, :1]
            bias = bias[1:] - bias[:1]
    if is_labels:
        factors = np.array(
            [
                _label_factor(scores, truth, weight)
                for scores, truth in zip(fitted.left_out.T, y.T, strict=True)
            ]
        )
        kernel, bias = kernel * factors, bias * factors
    width = features.x.shape[1]
    if grams is not None:
        grams.set_tables(model, kernel[width:])
    layer.set_weights([kernel[:width], bias])
    if len(train) < len(data.train):
        note = f"{note} There are {len(data.train):,} training rows; it learns from an even sample of them."
    validation = data.validation and with_features(
        frozen, even_sample(data.validation, most), batch_size=batch_size
    )
    return (features, validation), note


def _most_rows(width: int, unit: bool) -> int:
    """Return the number of rows of the regression, which needs at least two: fewer if memory is short.

    Args:
        width: number of features.
        unit: whether they are vectors of unit length.
    """
    memory = SHARE * free_memory()
    if unit:  # copies of the features, and their squares
        return max(2, min(_MOST_UNIT_ROWS, int(memory / (8 * 5 * width))))
    # Features of training and validation rows, blocks of them, and five matrices of (rows, rows).
    of_row = 2 * 4 * width + 8 * 5 * min(width, _BLOCK)
    of_pair = 8 * 5
    return max(
        2,
        min(MOST_ROWS, int((math.sqrt(of_row**2 + 4 * of_pair * memory) - of_row) / (2 * of_pair))),
    )


def _label_factor(scores: np.ndarray, truth: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the factor of the scores (N,) of a label with which their sigmoid has the smallest crossentropy."""
    known = ~np.isnan(truth)
    if not known.any():
        return 1.0
    both = np.stack([-scores, scores], axis=1)[known] / 2
    return score_factor(both, truth[known].astype(int), None if weight is None else weight[known])


def ridge_of_unit_vectors(
    features: np.ndarray, targets: np.ndarray, weight: np.ndarray | None = None
) -> Ridge:
    """Return the ridge regression of vectors of unit length whose strength has the smallest leave-one-out error.

    The vectors are centred but not scaled: directions in which they hardly differ are noise. Embeddings have the same
    length in all data, so that few strengths are candidates.

    Args:
        features: (N, F).
        targets: (N, outputs).
        weight: (N,) row weights, 0 or more; None for 1.
    """
    rows = len(features)
    counted, root, share = row_weights(rows, weight)
    middle, average = share @ features, share @ targets
    x, y = root[:, None] * (features - middle), root[:, None] * (targets - average)
    if rows < x.shape[1]:  # other eigenvalues are 0
        values, left = np.linalg.eigh(x @ x.T)
        scales = np.sqrt(np.maximum(values, 0))
        turned = left * scales
        vectors = (x.T @ left) / np.where(scales > 0, scales, 1)
    else:
        values, vectors = np.linalg.eigh(x.T @ x)
        turned = x @ vectors
    values = np.maximum(values, 0)
    projected = turned.T @ y  # the squares of a column of "turned" have the sum of an eigenvalue
    best: tuple[float, float, Any, Any] | None = None
    for alpha in ALPHAS_OF_UNIT:
        inverse = 1 / (values + alpha)
        solution = inverse[:, None] * projected
        leverage = turned**2 @ inverse + share  # and of the intercept
        errors = (y - turned @ solution)[counted] / np.maximum(1 - leverage[counted], 1e-9)[:, None]
        loss = float(np.mean(np.sum(errors**2, axis=1)))
        if best is None or loss < best[0]:
            best = loss, float(alpha), solution, errors
    assert best is not None
    _, alpha, solution, errors = best
    kernel = vectors @ solution
    left_out = np.broadcast_to(average, targets.shape).copy()
    left_out[counted] = targets[counted] - errors / root[counted, None]
    return Ridge(kernel=kernel, bias=average - middle @ kernel, alpha=alpha, left_out=left_out)


def ridge_regression(
    features: np.ndarray, targets: np.ndarray, weight: np.ndarray | None = None
) -> Ridge:
    """Return the ridge regression of standardised features whose strength has the smallest leave-one-out error.

    It is solved in the space of the rows, which are fewer than the features. Constant features get no weight.

    Args:
        features: (N, F).
        targets: (N, outputs).
        weight: (N,) row weights, 0 or more; None for 1.
    """
    rows = len(features)
    counted, root, share = row_weights(rows, weight)
    middle, spread = np.empty(features.shape[1]), np.empty(features.shape[1])
    gram = np.zeros((rows, rows))
    for start in range(0, features.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        values = features[:, block].astype(np.float64)
        middle[block] = share @ values
        spread[block] = np.sqrt(share @ (values - middle[block]) ** 2)
        values = root[:, None] * _standardised(values, middle[block], spread[block])
        gram += values @ values.T
    average = share @ targets
    centred = root[:, None] * (targets - average)
    # The direction of the intercept is not shrunk: a huge eigenvalue takes it out of every inverse below.
    direction = root / np.linalg.norm(root)
    gram += np.outer(direction, direction) * 1e6 * max(np.trace(gram), 1.0)
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0)
    projected = vectors.T @ centred
    squares = vectors**2
    best: tuple[float, float, Any, Any] | None = None
    for alpha in _ALPHAS:
        inverse = 1 / (values + alpha)
        dual = vectors @ (inverse[:, None] * projected)
        # leave-one-out, times the root of the weight
        errors = dual[counted] / (squares @ inverse)[counted, None]
        loss = float(np.mean(np.sum(errors**2, axis=1)))
        if best is None or loss < best[0]:
            best = loss, float(alpha), dual, errors
    assert best is not None
    _, alpha, dual, errors = best
    kernel = np.empty((features.shape[1], targets.shape[1]))
    for start in range(0, features.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        values = _standardised(features[:, block].astype(np.float64), middle[block], spread[block])
        usable = np.where(spread[block] > _SMALLEST_SPREAD, spread[block], 1)
        kernel[block] = (values.T @ (root[:, None] * dual)) / usable[:, None]
    left_out = np.broadcast_to(average, targets.shape).copy()
    left_out[counted] = targets[counted] - errors / root[counted, None]
    return Ridge(kernel=kernel, bias=average - middle @ kernel, alpha=alpha, left_out=left_out)


def _standardised(values: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return features with mean 0 and standard deviation 1; constant ones are 0."""
    return np.where(spread > _SMALLEST_SPREAD, values - middle, 0) / np.where(
        spread > _SMALLEST_SPREAD, spread, 1
    )


def score_factor(scores: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the factor of scores with which their softmax has the smallest crossentropy: 1 / temperature.

    Each label counts as 1 - 1 / (rows + 2), so that scores without a mistake do not make every prediction certain
    (the targets of Platt scaling).

    Args:
        scores: (N, classes), of rows that their regression has not seen.
        labels: (N,) class numbers.
        weight: (N,) row weights; None for 1.
    """
    rows, classes = scores.shape
    weight = np.ones(rows) if weight is None else weight
    uncertain = 1 / (rows + 2)
    truth = np.full(scores.shape, uncertain / max(classes - 1, 1))
    truth[np.arange(rows), labels] = 1 - uncertain
    expected = np.sum(truth * scores, axis=1)

    def slope(factor: float) -> float:
        logits = factor * scores
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return float(weight @ (np.sum(shares * scores, axis=1) - expected))

    low, high = 1e-3, 1e3  # the crossentropy is convex in the factor
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(np.sqrt(low * high))
