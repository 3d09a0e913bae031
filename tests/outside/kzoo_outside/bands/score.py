"""The pinball loss of all levels, and how many rows lie between the outer ones."""

import numpy as np

from kzoo.tasks import Judged, Scored
from kzoo_outside.bands import LEVELS


def _parts(outputs, truth):
    outputs = np.sort(outputs.reshape(len(outputs), -1, len(LEVELS)).astype("float64"), axis=-1)
    return outputs, truth.reshape(outputs.shape).astype("float64")


def _pinball(outputs, truth):
    off = truth - outputs
    levels = np.array(LEVELS)
    return np.maximum(levels * off, (levels - 1) * off)


def score(batches, target, *, logits=None):
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    quantiles, true = _parts(outputs, truth)
    inside = (quantiles[..., 0] <= true[..., 0]) & (true[..., 0] <= quantiles[..., -1])
    scores = dict(pinball=float(_pinball(quantiles, true).mean()), inside=float(inside.mean()))
    return Scored(scores=scores, truth=truth, answers=outputs.reshape(truth.shape))


def judge(truth, answers, target, *, metric=None):
    error = _pinball(*_parts(answers, truth)).mean(axis=(1, 2))
    return Judged(quality=-error, error=error, of="pinball")


def headline(scores, target, *, split, answers=None, outputs=None):
    return dict(
        value=f"{scores['pinball']:.3f}",
        label=f"pinball loss on {split}rows",
        interval=None,
        scale=None,
        useless=None,
        sentence=f"{scores['inside']:.0%} of the rows lie between the outer quantiles.",
    )
