"""Scores of language models, added up batch by batch: a whole split, a column for each token, would not fit."""

import math
from typing import Any

import numpy as np

from kzoo.predictions import probabilities
from kzoo.tasks import Judged, Scored
from kzoo.words import number, percent


def score(batches, target, *, logits=None) -> Scored:
    """Score answers, which are not kept.

    Args:
        batches: pairs (outputs, truth): (B, tokens) or (B, steps, tokens), and ids (B,) or (B, steps).
        target: the `Target`; `majority` is what its `common` token gets, or that of these.
        logits: whether outputs are logits; None decides by the values.
    """
    loss, right, tokens = 0.0, 0, 0
    counts: Any = 0
    for outputs, truth in batches:
        p, truth = probabilities(outputs, logits).reshape(-1, outputs.shape[-1]), truth.reshape(-1)
        loss -= float(np.log(np.clip(p[np.arange(len(truth)), truth], 1e-9, 1)).sum(dtype="float64"))
        right += int((p.argmax(-1) == truth).sum())
        counts = counts + np.bincount(truth, minlength=p.shape[-1])
        tokens += len(truth)
    loss /= tokens
    return Scored(
        scores=dict(
            loss=loss,
            bits_per_token=loss / math.log(2),
            perplexity=math.exp(min(loss, 700)),
            accuracy=right / tokens,
            majority=float((counts.max() if target.common is None else counts[target.common]) / tokens),
            tokens=tokens,
        )
    )


def judge(truth, answers, target, *, metric=None) -> Judged:
    """Say of each place the probability of the token that came, and whether it was the first guess."""
    p, truth = answers.reshape(-1, answers.shape[-1]), truth.reshape(-1)
    return Judged(quality=p[np.arange(len(truth)), truth], right=p.argmax(-1) == truth)


def headline(scores, target, *, split, answers=None, outputs=None) -> dict:
    """Return the bits per token, and a sentence beside guessing blindly and the most frequent token.

    Args:
        scores: of one split.
        split: "test " or another word before "tokens".
        answers: not needed here.
        outputs: how many tokens the network tells apart.
    """
    here = " of this text" if target.common is None else ""
    beside = f"; guessing blindly among {number(outputs)} takes {math.log2(outputs):.2f}" if outputs else ""
    return dict(
        value=f"{scores['bits_per_token']:.3f}",
        label=f"bits per token on {number(scores['tokens'])} {split}tokens",
        interval=None,
        scale=None,
        sentence=f"It needs {scores['bits_per_token']:.2f} bits to tell the next token{beside}. Its first guess is "
        f"right in {percent(scores['accuracy'])} of the places; always guessing the most frequent token{here}, in "
        f"{percent(scores['majority'])}.",
        useless=f"Its first guess is right no more often than the most frequent token{here}."
        if scores["accuracy"] <= scores["majority"]
        else None,
    )
