"""Sentences about leads: how far a model is ahead of another one, with an interval."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kzoo.auto.choice import Difference
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.zoo.run import Run

LEVEL = 0.95  # of intervals that are stated


def test_answers(run: Run) -> Answers | None:
    """Return the stored answers of a run for test rows; None without these."""
    answers = run.answers
    return None if answers is None or answers["split"] != "test" else stored_answers(answers)


def stored_answers(stored: Mapping[str, np.ndarray]) -> Answers:
    """Return the answers that a run has stored."""
    return Answers(
        outputs=stored["answers"],
        truth=stored["truth"],
        rows=stored["rows"],
        weight=stored.get("weight"),
    )


def lead_over(label: str, score: PrimaryScore, difference: Difference) -> str:
    """Return the lead over a model as text, such as "1.8 points (0.9 to 2.7) ahead of logistic regression"."""
    low, high = difference.interval(LEVEL)
    if low > 0:
        return f"{points(score, difference)} ahead of {label}"
    if high < 0:
        return f"{points(score, replace(difference, mean=-difference.mean))} behind {label}"
    return f"no clear lead over {label}, {points(score, difference)},"


def points(score: PrimaryScore, difference: Difference) -> str:
    """Return a difference with its 95 % interval as text, such as "1.8 points (0.9 to 2.7)"."""
    factor, unit = (
        (100.0, " points") if score.is_share else (1.0, f" {score.metric.replace('_', ' ')}")
    )
    digits = "{:.1f}" if score.is_share else "{:.3g}"
    numbers = (
        digits.format(factor * value) for value in (difference.mean, *difference.interval(LEVEL))
    )
    mean, low, high = (text.removeprefix("-") if float(text) == 0 else text for text in numbers)
    return f"{mean}{unit} ({low} to {high})" if np.isfinite(difference.error) else f"{mean}{unit}"
