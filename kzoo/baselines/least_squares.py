"""Many small nonlinear least-squares problems at once, by the Levenberg-Marquardt method. NumPy only."""

from collections.abc import Callable

import numpy as np

_ITERATIONS = 60
_ENOUGH = 1e-7  # relative decrease of the loss below which a problem is solved
_PERTURBATION = 1e-6
_FIRST_DAMPING = 1e-2
_LEAST_DAMPING, _MOST_DAMPING = 1e-8, 1e8
_LONGEST_MOVE = 3.0  # of a parameter in an iteration


def least_squares(
    residuals_of: Callable[[np.ndarray, np.ndarray], np.ndarray], guesses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the sum of squared residuals of each problem.

    Args:
        residuals_of: function of parameters (P, B, S) and the numbers of the problems (S,) that returns residuals
            (T, B, S); those of parameters that are not allowed are not finite.
        guesses: (P, G, problems) parameters to begin with; the best one of a problem is taken.

    Returns:
        Parameters (P, problems) and sums of squares (problems,).
    """
    size, _, count = guesses.shape
    problems = np.arange(count)
    losses = _squares(residuals_of(guesses, problems))
    best = losses.argmin(axis=0)
    z = guesses[:, best, problems]
    loss = losses[best, problems]
    shifts = np.concatenate([np.zeros((size, 1)), np.eye(size) * _PERTURBATION], axis=1)
    damping = np.full(count, _FIRST_DAMPING)
    hessian = np.zeros((count, size, size))
    gradient = np.zeros((count, size))
    candidate = z
    active = problems
    for _ in range(_ITERATIONS):
        residuals = residuals_of(candidate[:, None] + shifts[..., None], active)
        base = residuals[:, 0]
        new = _squares(base)
        with np.errstate(all="ignore"):
            jacobian = (residuals[:, 1:] - base[:, None]) / _PERTURBATION
            new_hessian = np.einsum("tps,tqs->spq", jacobian, jacobian, optimize=True)
            new_gradient = np.einsum("tps,ts->sp", jacobian, base)
        usable = np.isfinite(new_hessian).all(axis=(1, 2)) & np.isfinite(new_gradient).all(axis=1)
        better = usable & (new <= loss[active])
        moved = (candidate != z[:, active]).any(axis=0)
        with np.errstate(invalid="ignore"):
            solved = better & moved & (loss[active] - new < _ENOUGH * new)
        improved = active[better]
        z[:, improved] = candidate[:, better]
        loss[improved] = new[better]
        hessian[improved] = new_hessian[better]
        gradient[improved] = new_gradient[better]
        damping[active] = np.maximum(damping[active] * np.where(better, 0.2, 4.0), _LEAST_DAMPING)
        active = active[~solved & (damping[active] < _MOST_DAMPING)]
        if not len(active):
            break
        diagonal = np.einsum("spp->sp", hessian[active])
        floor = 1e-6 * diagonal.max(axis=1, keepdims=True) + 1e-8
        ridge = damping[active, None] * (diagonal + floor)
        matrix = hessian[active] + ridge[:, :, None] * np.eye(size)
        move = -np.linalg.solve(matrix, gradient[active][..., None])[..., 0].T
        candidate = z[:, active] + np.clip(move, -_LONGEST_MOVE, _LONGEST_MOVE)
    return z, loss


def _squares(residuals: np.ndarray) -> np.ndarray:
    """Return sums of squares (...) of residuals (T, ...): infinite if one of them is not finite."""
    with np.errstate(all="ignore"):
        squares = (residuals**2).sum(axis=0)
    return np.where(np.isfinite(squares), squares, np.inf)
