"""By how many ranks the median of the distribution is off."""

import numpy as np

from kzoo.predictions import probabilities
from kzoo.tasks import Judged, Scored
from kzoo_ordinal.inference import median


def score(batches, target, *, logits=None):
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    p = probabilities(outputs, logits)
    off = np.abs(median(p) - truth)
    scores = dict(
        rank_error=float(off.mean()),
        rank_error_of_median=float(np.abs(np.median(truth) - truth).mean()),
        accuracy=float((off == 0).mean()),
        examples=len(truth),
    )
    return Scored(scores=scores, truth=truth, answers=p)


def judge(truth, answers, target, *, metric=None):
    off = np.abs(median(answers) - truth)
    return Judged(quality=-off.astype("float64"), error=off.astype("float64"), of="rank_error")


def headline(scores, target, *, split, answers=None, outputs=None):
    return dict(
        value=f"{scores['rank_error']:.2f}",
        label=f"ranks off on {scores['examples']} {split}examples",
        interval=None,
        scale=None,
        sentence=f"It is off by {scores['rank_error']:.2f} ranks; the median by {scores['rank_error_of_median']:.2f}.",
        useless=None
        if scores["rank_error"] < scores["rank_error_of_median"]
        else "The median does as well.",
    )
