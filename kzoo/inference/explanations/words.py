"""What each word adds to the prediction of a text: exact for bags of tokens, else by leaving words out. NumPy only."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kzoo.inference.explanations.explanation import Reason, Reasons, strongest_first
from kzoo.inference.explanations.outputs import named_numbers
from kzoo.inference.predictions import Predictions
from kzoo.problems.kinds import Bag

_TOLERANCE = 1e-3  # of the sum of the weights, relative to the largest of them and to 1
_TINY = 1e-9
_AT_ONCE = 512  # tokens that are predicted in one call


class Scale(NamedTuple):
    """A scale on which the outputs of a linear model are sums.

    Args:
        name: of the numbers, see `Reasons.scale`.
        numbers: function from predictions to numbers (N, outputs).
    """

    name: str
    numbers: Callable[[Predictions], np.ndarray]


def additive_scale(predictions: Predictions) -> Scale | None:
    """Return the scale on which outputs of a linear model are sums; None for quantiles, which ascend."""
    if predictions.quantiles is not None:
        return None
    if predictions.probabilities is None:
        return Scale("", lambda predictions: named_numbers(predictions)[1])
    if predictions.separator:
        return Scale("log odds", lambda predictions: _log_odds(named_numbers(predictions)[1]))
    if len(predictions.class_names) == 2:
        return Scale(
            "log odds", lambda predictions: _difference(_log(named_numbers(predictions)[1]))
        )
    return Scale("centred logit", lambda p: _centred(_log(named_numbers(p)[1])))


def _log(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(p)


def _log_odds(p: np.ndarray) -> np.ndarray:
    return _log(p) - _log(1 - p)


def _difference(logs: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return logs - logs[:, ::-1]


def _centred(logs: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return logs - logs.mean(axis=1, keepdims=True)


def token_weights(
    bag: Bag, length: int, predictions_of: Callable[[np.ndarray], Predictions], scale: Scale
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return what each token of a bag adds to the outputs (tokens, outputs), their sum and their start (outputs,).

    The outputs of such a model are the sum of the weights of the tokens, divided by the root of their number. The
    weight of a token is the prediction for it alone, less that for no token.

    Args:
        bag: the text.
        length: ids of an input.
        predictions_of: function from ids (N, length) to predictions.
        scale: on which the outputs are sums.

    Returns:
        None if the sum of the weights is not the prediction of the text, so that the model is another one.
    """
    ids = np.zeros((len(bag.ids) + 2, length), np.int32)
    ids[0, : len(bag.ids)] = bag.ids
    ids[2:, 0] = bag.ids
    numbers = np.concatenate(
        [
            scale.numbers(predictions_of(ids[start : start + _AT_ONCE]))
            for start in range(0, len(ids), _AT_ONCE)
        ]
    )
    if not np.isfinite(numbers).all():
        return None
    # a sum of rounded logarithms
    text = numbers[0]
    start = np.where(np.abs(numbers[1]) < _TINY, 0.0, numbers[1])
    amounts = (numbers[2:] - start) / np.sqrt(max(len(bag.ids), 1))
    largest = max(1.0, float(np.abs(amounts).max(initial=0)), float(np.abs(text).max()))
    if np.abs(amounts.sum(axis=0) - (text - start)).max() > _TOLERANCE * largest:
        return None
    return amounts, text, start


def reasons_of_tokens(
    text: str,
    bag: Bag,
    amounts: np.ndarray,
    prediction: float,
    base: float,
    output: str,
    scale: str,
) -> Reasons:
    """Return the reasons of a text from the amounts (tokens,) of the tokens of its bag; they are marked in its pieces.

    The amount of a token is divided among all words that it consists of, wherever it occurs.
    """
    marks = np.zeros(len(bag.pieces))
    for amount, members in zip(amounts, bag.members, strict=True):
        for piece in members:
            marks[piece] += amount / len(members)
    reasons = [
        Reason(name=name, value="", amount=float(a))
        for name, a in zip(bag.names, amounts, strict=True)
    ]
    return Reasons(
        input=text,
        output=output,
        scale=scale,
        prediction=prediction,
        base=base,
        reasons=strongest_first(reasons),
        pieces=tuple(zip(bag.pieces, marks.tolist(), strict=True)),
    )


def reasons_without(
    text: str, pieces: list[str], amounts: np.ndarray, prediction: float, output: str, scale: str
) -> Reasons:
    """Return the reasons of a text from the changes (pieces,) of the prediction when each piece is left out."""
    reasons = [
        Reason(name=piece.strip(), value="", amount=float(a))
        for piece, a in zip(pieces, amounts, strict=True)
    ]
    return Reasons(
        input=text,
        output=output,
        scale=scale,
        prediction=prediction,
        base=None,
        reasons=strongest_first(reasons),
        pieces=tuple(zip(pieces, amounts.tolist(), strict=True)),
    )
