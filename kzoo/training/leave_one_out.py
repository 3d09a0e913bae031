"""What ridge regressions that are chosen by leave-one-out errors share."""

from dataclasses import dataclass

import numpy as np

# for vectors of unit length; leave-one-out errors of few rows are noisy
ALPHAS_OF_UNIT = np.logspace(-0.5, 1, 7)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ridge:
    """A fitted ridge regression.

    Args:
        kernel: (features, outputs), of the features as they are.
        bias: (outputs,).
        alpha: the strength with the smallest leave-one-out error.
        left_out: (N, outputs) predictions of each training row by the regression without it.
    """

    kernel: np.ndarray
    bias: np.ndarray
    alpha: float
    left_out: np.ndarray


def row_weights(rows: int, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which rows count, the square roots of their weights, whose mean is 1, and their shares; each (N,)."""
    weight = np.ones(rows) if weight is None else np.maximum(np.asarray(weight, np.float64), 0)
    return weight > 0, np.sqrt(weight * (rows / weight.sum())), weight / weight.sum()
