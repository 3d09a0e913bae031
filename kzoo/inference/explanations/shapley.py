"""Shapley values of the parts of one input (arXiv:1705.07874), interventional, exact or by sampling. NumPy only."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kzoo.inference.explanations.outputs import Predict

EXACT = 12  # parts up to which all coalitions are tried
PREDICTIONS = 60_000  # of a sampled explanation
_NUMBERS_AT_ONCE = 2**24  # of inputs that are predicted in one call: 64 MB


class Shapley(NamedTuple):
    """Shapley values of an input.

    Args:
        amounts: (parts, outputs); their sum is `prediction - base`.
        prediction: (outputs,) of the input.
        base: (outputs,) mean prediction of the background rows.
        errors: (parts, outputs) standard errors by sampling; None for exact values.
    """

    amounts: np.ndarray
    prediction: np.ndarray
    base: np.ndarray
    errors: np.ndarray | None


def shapley_values(
    x: np.ndarray,
    background: np.ndarray,
    parts: Sequence[np.ndarray],
    predict: Predict,
    *,
    seed: int = 0,
    most: int = PREDICTIONS,
) -> Shapley:
    """Return the Shapley values of the parts of an input.

    The value of a coalition of parts is the mean prediction of the background rows with these parts of the input. Up
    to 12 parts all coalitions are tried. Of more parts, each background row turns into the input part by part, in
    random orders and their reverses (antithetic sampling, arXiv:2104.12199).

    Args:
        x: (...,) one encoded input.
        background: (B, ...) encoded inputs.
        parts: for each part the indices of its numbers in a flattened input. Numbers in no part are those of the
            background.
        predict: function from encoded inputs (N, ...) to predictions (N, outputs).
        seed: of the orders.
        most: about how many predictions to make by sampling, though at least four orders for each background row.
    """
    ends = predict(np.concatenate([x[None], background])).astype("float64")
    prediction = ends[0]
    starts = ends[1:]
    if len(parts) <= EXACT:
        amounts = _exact(x, background, parts, predict, prediction, starts.mean(axis=0))
        return Shapley(amounts, prediction, starts.mean(axis=0), None)
    amounts, errors = _sampled(x, background, parts, predict, prediction, starts, seed, most)
    return Shapley(amounts, prediction, starts.mean(axis=0), errors)


def _exact(
    x: np.ndarray,
    background: np.ndarray,
    parts: Sequence[np.ndarray],
    predict: Predict,
    prediction: np.ndarray,
    base: np.ndarray,
) -> np.ndarray:
    count, size = len(parts), len(background)
    coalitions = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1  # (2**parts, parts)
    values = np.empty((len(coalitions), *prediction.shape))
    values[0], values[-1] = base, prediction
    if count > 1:
        rows = np.tile(np.arange(size), len(coalitions) - 2)
        predicted = _predicted(
            x, background, rows, lambda index: coalitions[1 + index // size], parts, predict
        )
        values[1:-1] = predicted.reshape(len(coalitions) - 2, size, *prediction.shape).mean(axis=1)
    members = coalitions.sum(axis=1)
    orders = [math.factorial(size) * math.factorial(count - size - 1) for size in range(count)]
    weights = np.array(orders) / math.factorial(count)
    amounts = np.empty((count, *prediction.shape))
    for part in range(count):
        without = np.flatnonzero(~coalitions[:, part])
        gains = values[without + (1 << part)] - values[without]
        amounts[part] = (weights[members[without]][:, None] * gains).sum(axis=0)
    return amounts


def _sampled(
    x: np.ndarray,
    background: np.ndarray,
    parts: Sequence[np.ndarray],
    predict: Predict,
    prediction: np.ndarray,
    starts: np.ndarray,
    seed: int,
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    random, count, size = np.random.default_rng(seed), len(parts), len(background)
    # of an order and its reverse, for each background row
    pairs = max(most // (2 * (count - 1) * size), 2)
    orders = np.stack([random.permutation(count) for _ in range(size * pairs)])
    # (size * pairs * 2, parts)
    orders = np.stack([orders, orders[:, ::-1]], axis=1).reshape(-1, count)
    rows = np.repeat(np.arange(size), 2 * pairs)
    position = orders.argsort(axis=1)  # of each part in each order

    def members(index: np.ndarray) -> np.ndarray:
        order, step = np.divmod(index, count - 1)  # the last step needs no prediction
        return position[order] <= step[:, None]

    predicted = _predicted(x, background, np.repeat(rows, count - 1), members, parts, predict)
    path = np.empty((len(orders), count + 1, *prediction.shape))
    path[:, 0], path[:, -1] = starts[rows], prediction
    path[:, 1:-1] = predicted.reshape(len(orders), count - 1, *prediction.shape)
    # (orders, parts, outputs)
    gains = np.take_along_axis(np.diff(path, axis=1), position[:, :, None], axis=1)
    of_pairs = gains.reshape(size, pairs, 2, count, -1).mean(axis=2)
    errors = np.sqrt((of_pairs.var(axis=1, ddof=1) / pairs).sum(axis=0)) / size
    return of_pairs.mean(axis=(0, 1)), errors


def _predicted(
    x: np.ndarray,
    background: np.ndarray,
    rows: np.ndarray,
    members: Callable[[np.ndarray], np.ndarray],
    parts: Sequence[np.ndarray],
    predict: Predict,
) -> np.ndarray:
    """Return the predictions (M, outputs) of background rows with some parts of the input.

    Args:
        x, background, parts, predict: see `shapley_values`.
        rows: (M,) numbers of the background rows.
        members: function from indices (K,) below M to booleans (K, parts): which parts are those of the input.
    """
    flat = background.reshape(len(background), -1)
    own = x.reshape(-1)
    # of each number; those in no part are in one that never joins
    part_of = np.full(flat.shape[1], len(parts))
    for part, features in enumerate(parts):
        part_of[features] = part
    at_once = max(_NUMBERS_AT_ONCE // max(flat.shape[1], 1), 1)
    chunks = []
    for start in range(0, len(rows), at_once):
        joined = members(np.arange(start, min(start + at_once, len(rows))))
        joined = np.concatenate([joined, np.zeros((len(joined), 1), bool)], axis=1)
        mixed = np.where(joined[:, part_of], own, flat[rows[start : start + at_once]])
        chunks.append(predict(mixed.reshape(-1, *x.shape)).astype("float64"))
    return np.concatenate(chunks)
