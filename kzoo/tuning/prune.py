"""Median pruning: a trial that is worse than half of the others were at the same epoch is not worth its time."""

import math
from statistics import median

import keras

_STARTUP = 3  # trials before one can be pruned
_GRACE = (2, 0.1)  # epochs, or this share of them, in which none is: what starts slowly may end well


def so_far(values, direction):
    """Return the best of a list of values up to each place; None and NaN count for nothing."""
    best, curve = None, []
    better = max if direction == "max" else min
    for value in values:
        if value is not None and math.isfinite(value):
            best = value if best is None else better(best, value)
        curve.append(best)
    return curve


def peers_of(records, objective, *, folds):
    """Return what other trials had reached after each epoch (or fold), as `Median` wants it.

    Args:
        records: finished trials.
        objective: (name, direction).
        folds: whether a step is a fold, and no epoch.

    Returns:
        A list of (curve, whole): a curve that is whole stays at its last value, one that was cut off says no more.
    """
    name, direction = objective
    peers = []
    for record in records:
        if record["status"] not in ("completed", "pruned"):
            continue
        whole = record["status"] == "completed"
        if folds:
            scores = record["folds"]
            curve = [sum(scores[: i + 1]) / (i + 1) for i in range(len(scores))]
        else:
            curve = so_far(record["history"].get(name, ()), direction)
        if curve:
            peers.append((curve, whole))
    return peers if len(peers) >= _STARTUP else []


def below_median(objective, peers, step, value) -> bool:
    """Say whether a value at a step (from 0) is worse than the median of the others there.

    Those that were pruned before count as worse: among the survivors alone, half of the good ones would go too.
    """
    worst = -math.inf if objective[1] == "max" else math.inf
    there = [c[min(step, len(c) - 1)] if whole or step < len(c) else worst for c, whole in peers]
    there = [v for v in there if v is not None]
    if len(there) < _STARTUP:
        return False
    middle = median(there)
    return value < middle if objective[1] == "max" else value > middle


def comparable(objective, peers, step, value) -> float:
    """Return what the mean over some folds says of the mean over all: folds differ in how hard they are.

    Args:
        peers: as for `below_median`; one of them is whole.
        step: the last fold that was trained, from 0.
        value: the mean up to it, which was below the median there: so it is no better than the median at the end.
    """
    whole = [curve for curve, complete in peers if complete]
    moved = value + median(curve[-1] - curve[step] for curve in whole)
    worse = min if objective[1] == "max" else max
    return worse(moved, median(curve[-1] for curve in whole))


class Median(keras.callbacks.Callback):
    """Stop a trial whose best value so far is worse than the median of what the others had reached by then.

    Args:
        objective: (name, direction).
        peers: what `peers_of` returned.
        epochs: of the whole training.
    """

    def __init__(self, objective, peers, epochs):
        super().__init__()
        self.objective, self.peers = objective, peers
        self.grace, self.last = max(_GRACE[0], round(_GRACE[1] * epochs)), epochs - 1
        self.best, self.pruned = None, False

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.objective[0])
        self.best = so_far([self.best, value if value is None else float(value)], self.objective[1])[-1]
        if self.best is None or not self.grace <= epoch < self.last:
            return
        if below_median(self.objective, self.peers, epoch, self.best):
            self.pruned = self.model.stop_training = True
