"""The next token: ids are what they are; outputs become the likeliest token. NumPy only."""

import numpy as np

from kzoo.predictions import Predictions, probabilities
from kzoo.tasks import Target


def learn(values, names=("next token",), *, known=None) -> Target:
    """Return the target of a text.

    Args:
        values: token ids of the training text.
        names: for people.
        known: the number of ids that the network is to know; by default those that occur.
    """
    return Target(names=tuple(names), config={"outputs": known or int(np.max(values)) + 1})


def encode(target, values) -> np.ndarray:
    """Return token ids as int32."""
    return np.asarray(values, np.int32)


def answer(target, outputs, *, inputs, reader=None, logits=None) -> Predictions:
    """Turn outputs into the likeliest next token, with the probabilities of all.

    Args:
        outputs: (N, tokens), or (N, steps, tokens), of which the last step counts.
        inputs: what each row was made from.
        reader: what turned raw inputs into rows; its `vocabulary` names the tokens.
        logits: whether outputs are logits, or else probabilities; None: neither, and what it gives are scores.
    """
    last = outputs[:, -1] if outputs.ndim == 3 else outputs
    tokens, count = ["<pad>", "<unk>", *(reader or {}).get("vocabulary", ())], last.shape[-1]
    tokens += [str(number) for number in range(len(tokens), count)]  # where only ids are known
    given = last if logits is None else probabilities(last, logits)
    labels = [tokens[place] for place in given.argmax(-1)]
    p, scores = (None, given) if logits is None else (given, None)
    return Predictions(labels=labels, probabilities=p, scores=scores, class_names=tuple(tokens[:count]), inputs=inputs)
