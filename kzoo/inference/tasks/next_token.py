"""Next token: token ids, and the likeliest token of outputs. NumPy only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.predictions import Predictions, probabilities
from kzoo.problems.layout import Preprocessor
from kzoo.problems.tasks import Target

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def learn(
    values: "ArrayLike", names: Sequence[str] = ("next token",), *, known: int | None = None
) -> Target:
    """Return the target of a text.

    Args:
        values: token ids of the training text.
        names: for people.
        known: size of the vocabulary; the default is the largest id + 1.
    """
    return Target(names=tuple(names), config={"outputs": known or int(np.max(values)) + 1})


def encode(target: Target, values: "ArrayLike") -> np.ndarray:
    """Return token ids as int32."""
    return np.asarray(values, np.int32)


def answer(
    target: Target,
    outputs: np.ndarray,
    *,
    inputs: Sequence[Any],
    reader: Preprocessor | None = None,
    logits: bool | None = None,
) -> Predictions:
    """Return the likeliest next token of each row, with the probabilities of all tokens.

    Args:
        outputs: (N, tokens), or (N, steps, tokens), of which the last step is used.
        inputs: the raw input of each row.
        reader: the preprocessor that turned raw inputs into rows; its `vocabulary` names the tokens.
        logits: True if outputs are logits, False if they are probabilities, None if they are other scores.
    """
    last = outputs[:, -1] if outputs.ndim == 3 else outputs
    tokens = ["<pad>", "<unk>", *(reader or {}).get("vocabulary", ())]
    count = last.shape[-1]
    tokens += [str(number) for number in range(len(tokens), count)]  # if there is no vocabulary
    likelihoods = last if logits is None else probabilities(last, logits)
    labels = [tokens[index] for index in likelihoods.argmax(-1)]
    p, scores = (None, likelihoods) if logits is None else (likelihoods, None)
    return Predictions(
        labels=labels,
        probabilities=p,
        scores=scores,
        class_names=tuple(tokens[:count]),
        inputs=inputs,
    )
