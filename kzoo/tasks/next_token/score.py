"""Scores of language models, added up batch by batch: a whole split, a column for each token, would not fit."""

import math
from typing import Any

import numpy as np

from kzoo.predictions import probabilities
from kzoo.tasks import Judged, Scored
from kzoo.utils.formatting import number, percent


def score(batches, target, *, logits=None) -> Scored:
    """Score answers, which are not kept.

    Args:
        batches: pairs (outputs, truth): (B, tokens) or (B, steps, tokens), and ids (B,) or (B, steps).
        target: the `Target`; `majority` is what its `common` token gets, or that of these.
        logits: whether outputs are logits, or else probabilities; None: neither, and then nothing but first guesses is
            scored.
    """
    loss: Any = 0.0 if logits is not None else None
    right, tokens = 0, 0
    counts: Any = 0
    for outputs, truth in batches:
        p = (outputs if logits is None else probabilities(outputs, logits)).reshape(-1, outputs.shape[-1])
        truth = truth.reshape(-1)
        if loss is not None:
            loss -= float(np.log(np.clip(p[np.arange(len(truth)), truth], 1e-9, 1)).sum(dtype="float64"))
        right += int((p.argmax(-1) == truth).sum())
        counts = counts + np.bincount(truth, minlength=p.shape[-1])
        tokens += len(truth)
    loss = None if loss is None else loss / tokens
    return Scored(
        scores=dict(
            loss=loss,
            bits_per_token=None if loss is None else loss / math.log(2),
            perplexity=None if loss is None else math.exp(min(loss, 700)),
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
    """Return the bits per token, else the accuracy, and a sentence beside guessing blindly and the most frequent token.

    Args:
        scores: of one split.
        split: "test " or another word before "tokens".
        answers: not needed here.
        outputs: how many tokens the network tells apart.
    """
    here = " of this text" if target.common is None else ""
    beside = f"; guessing blindly among {number(outputs)} takes {math.log2(outputs):.2f}" if outputs else ""
    bits, on = scores["bits_per_token"], f"on {number(scores['tokens'])} {split}tokens"
    needs = "" if bits is None else f"It needs {bits:.2f} bits to tell the next token{beside}. "
    right, most = percent(scores["accuracy"]), percent(scores["majority"])
    return dict(
        value=percent(scores["accuracy"]) if bits is None else f"{bits:.3f}",
        label=f"{'accuracy' if bits is None else 'bits per token'} {on}",
        interval=None,
        scale=None,
        sentence=f"{needs}Its first guess is right in {right} of the places; always guessing the most frequent "
        f"token{here}, in {most}.",
        useless=f"Its first guess is right no more often than the most frequent token{here}."
        if scores["accuracy"] <= scores["majority"]
        else None,
    )
