"""Scores of language models, accumulated over batches: the outputs of a whole split would not fit into memory."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kzoo.inference.predictions import probabilities
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.utils.formatting import number, percent


def score(batches: Pairs, target: Target, *, logits: bool | None = None) -> Scored:
    """Return the scores of predictions, which are not kept.

    Args:
        batches: pairs (outputs, truth): (B, tokens) or (B, steps, tokens), and ids (B,) or (B, steps).
        target: the `Target`; `majority` is the accuracy of always predicting its `common` token, or the most frequent
            token of these batches if that is unknown.
        logits: True if outputs are logits, False if they are probabilities, None if they are other scores; then only
            the accuracy is computed.
    """
    loss: Any = 0.0 if logits is not None else None
    right, tokens = 0, 0
    counts: Any = 0
    for outputs, truth in batches:
        p = (outputs if logits is None else probabilities(outputs, logits)).reshape(
            -1, outputs.shape[-1]
        )
        truth = truth.reshape(-1)
        if loss is not None:
            loss -= float(
                np.log(np.clip(p[np.arange(len(truth)), truth], 1e-9, 1)).sum(dtype="float64")
            )
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
            majority=float(
                (counts.max() if target.common is None else counts[target.common]) / tokens
            ),
            tokens=tokens,
        )
    )


def judge(
    truth: np.ndarray, answers: np.ndarray, target: Target, *, metric: str | None = None
) -> Judged:
    """Return per-token errors: the probability of the true token, and whether it was the likeliest."""
    p = answers.reshape(-1, answers.shape[-1])
    truth = truth.reshape(-1)
    return Judged(quality=p[np.arange(len(truth)), truth], right=p.argmax(-1) == truth)


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the bits per token, or else the accuracy, and a sentence that compares it with two baselines.

    These are uniform guessing and always predicting the most frequent token.

    Args:
        scores: of one split.
        split: a word before "tokens", such as "test ".
        answers: not used here.
        outputs: size of the vocabulary.
    """
    of_text = " of this text" if target.common is None else ""
    chance_level = (
        f"; uniform guessing among {number(outputs)} tokens needs {math.log2(outputs):.2f}"
        if outputs
        else ""
    )
    bits = scores["bits_per_token"]
    suffix = f"on {number(scores['tokens'])} {split}tokens"
    bits_sentence = "" if bits is None else f"It needs {bits:.2f} bits per token{chance_level}. "
    right, majority = percent(scores["accuracy"]), percent(scores["majority"])
    return dict(
        value=percent(scores["accuracy"]) if bits is None else f"{bits:.3f}",
        label=f"{'accuracy' if bits is None else 'bits per token'} {suffix}",
        interval=None,
        scale=None,
        sentence=f"{bits_sentence}Its likeliest token is correct at {right} of the positions; always predicting the "
        f"most frequent token{of_text} is correct at {majority}.",
        useless=f"Its likeliest token is correct no more often than the most frequent token{of_text}."
        if scores["accuracy"] <= scores["majority"]
        else None,
    )
