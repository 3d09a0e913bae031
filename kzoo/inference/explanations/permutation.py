"""Permutation importance of columns (arXiv:1801.01489), with intervals over rows and repeats. NumPy only."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from kzoo.inference.explanations.explanation import Importance
from kzoo.utils.errors import KzooError

_BLOCKS = 50  # of rows, for the jackknife
_FEWEST_BLOCKS = 10
_LEVEL = 0.05


def permutation_importance(
    x: np.ndarray,
    groups: Sequence[tuple[Sequence[str], np.ndarray]],
    outputs_of: Callable[[np.ndarray], np.ndarray],
    quality: Callable[[np.ndarray, np.ndarray], float | None],
    *,
    repeats: int = 10,
    seed: int = 0,
    blocks: int | None = None,
) -> tuple[list[Importance], float]:
    """Return by how much a score gets worse when the values of columns are exchanged between rows.

    The interval is Student's, with a standard error by the jackknife over blocks of rows. All permuted copies of a row
    are in the same block, so that the error includes both the choice of the rows and that of the permutations. A group
    is noise unless its importance is above 0 by a one-sided test, at 5 % for all groups together (Holm's method).

    Args:
        x: (N, ...) encoded inputs.
        groups: names of columns, and the indices of their numbers in a flattened input; they are permuted together.
        outputs_of: function from inputs (M, ...) to outputs (M, ...).
        quality: function from outputs (M, ...) and the indices of their rows (M,) to a score, higher is better; None
            where it is not defined.
        repeats: number of permutations of each group.
        seed: of the permutations.
        blocks: number of blocks of successive rows, if neighbours are not independent; None for random blocks.

    Returns:
        The groups, most important first, and the score of the unchanged rows.

    Raises:
        KzooError: the score is not defined for these rows.
    """
    random = np.random.default_rng(seed)
    rows = np.arange(len(x))
    outputs = outputs_of(x)
    score = quality(outputs, rows)
    if score is None or len(x) < 2:
        raise KzooError(
            f"The score is not defined for these {len(x)} rows. Pass more rows, or rows of all classes."
        )
    if blocks is None:
        block_of = random.permutation(rows % min(_BLOCKS, len(x)))
    else:
        block_of = rows * min(_BLOCKS, max(blocks, 1)) // len(x)
    count = block_of.max() + 1
    without = (
        [np.flatnonzero(block_of != block) for block in range(count)]
        if count >= _FEWEST_BLOCKS
        else []
    )
    scores = [quality(outputs[kept], kept) for kept in without]
    flat = x.reshape(len(x), -1)
    measured = []
    for names, features in groups:
        permuted = []
        for _ in range(repeats):
            changed = flat.copy()
            changed[:, features] = flat[random.permutation(len(x))][:, features]
            permuted.append(outputs_of(changed.reshape(x.shape)))
        losses = tuple(_difference(score, quality(each, rows)) for each in permuted)
        jackknife = [
            _difference(
                base,
                quality(np.concatenate([each[kept] for each in permuted]), np.tile(kept, repeats)),
            )
            for base, kept in zip(scores, without, strict=True)
        ]
        mean = _difference(score, quality(np.concatenate(permuted), np.tile(rows, repeats)))
        measured.append((tuple(names), mean, *_spread(jackknife), losses))
    noise = _noise([(mean, error, blocks) for _, mean, error, blocks, _ in measured])
    importances = []
    for (columns, mean, error, count, losses), is_noise in zip(measured, noise, strict=True):
        reach = None if error is None else student_quantile(1 - _LEVEL / 2, count - 1) * error
        interval = None if reach is None else (mean - reach, mean + reach)
        importances.append(
            Importance(
                columns=columns, mean=mean, interval=interval, noise=is_noise, repeats=losses
            )
        )
    return sorted(importances, key=lambda each: (each.noise is not False, -each.mean)), score


def _difference(score: float | None, other: float | None) -> float:
    return math.nan if score is None or other is None else score - other


def _spread(jackknife: Sequence[float]) -> tuple[float | None, int]:
    """Return the jackknife's standard error, None if too few blocks have a score; and the number of blocks."""
    values = np.array([value for value in jackknife if not math.isnan(value)])
    if len(values) < _FEWEST_BLOCKS:
        return None, len(values)
    return math.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()), len(
        values
    )


def _noise(measured: Sequence[tuple[float, float | None, int]]) -> list[bool | None]:
    """Return for each (mean, standard error, blocks) whether it is not above 0; None without a standard error."""
    p_values = {}
    for index, (mean, error, blocks) in enumerate(measured):
        if error is not None and not math.isnan(mean):
            certain = error <= 1e-12 * max(abs(mean), 1e-12)
            p_values[index] = (
                (0.0 if mean > 0 else 1.0) if certain else student_tail(mean / error, blocks - 1)
            )
    result: list[bool | None] = [
        True if index in p_values else None for index in range(len(measured))
    ]
    for step, index in enumerate(sorted(p_values, key=p_values.__getitem__)):
        if p_values[index] > _LEVEL / (len(p_values) - step):
            break
        result[index] = False
    return result


def student_tail(t: float, freedom: int) -> float:
    """Return the probability that a variable of Student's distribution is above `t` (Abramowitz and Stegun 26.7.3, 4).

    Args:
        t: any number.
        freedom: degrees of freedom, at least 1.
    """
    angle = math.atan(t / math.sqrt(freedom))
    sine = math.sin(angle)
    square = math.cos(angle) ** 2
    if freedom % 2:
        term = math.cos(angle)
        total = 0.0
        for k in range(1, freedom, 2):
            total += term
            term *= square * (k + 1) / (k + 2)
        inside = 2 / math.pi * (angle + sine * total)
    else:
        term, total = 1.0, 0.0
        for k in range(0, freedom, 2):
            total += term
            term *= square * (k + 1) / (k + 2)
        inside = sine * total
    return (1 - inside) / 2


def student_quantile(share: float, freedom: int) -> float:
    """Return the number below which a variable of Student's distribution is with a probability of at least a half."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - student_tail(middle, freedom) < share else (low, middle)
    return high
