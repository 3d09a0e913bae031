"""The explanation of single inputs: rows, windows and texts. NumPy only, for runs and for exported models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kzoo.inference.explanations.explanation import Explanation, Reason, Reasons, strongest_first
from kzoo.inference.explanations.outputs import explained_outputs, named_numbers
from kzoo.inference.explanations.shapley import PREDICTIONS, shapley_values
from kzoo.inference.explanations.words import (
    additive_scale,
    reasons_of_tokens,
    reasons_without,
    token_weights,
)
from kzoo.inference.predictions import Predictions
from kzoo.problems.kinds import Bag, kind_of
from kzoo.utils.errors import warn

MOST = 10  # inputs that are explained
NOT_THE_WORLD = "This explains the model, not the world: what it uses need not be a cause."
_SHARED = "Columns that contain the same information share their amounts, and rows that never occur are predicted too."
_ONE_ROW = "The background is one row of medians and most frequent categories, so the amounts depend on that row."
TYPICAL = "a row of medians and most frequent categories"
_NOT_A_SUM = (
    "Words are left out one by one: what several of them say together is not divided among them."
)
_OF_TOKENS = "The weights are those of the model's own tokens; a word outside its vocabulary says nothing to it."


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model whose predictions are explained.

    Args:
        name: of the run or the exported model.
        reader: its preprocessor.
        config: settings of the network.
        feature_names: of the columns of inputs without a preprocessor.
        predictions: function from encoded inputs (N, ...) to `Predictions`.
    """

    name: str
    reader: Mapping[str, Any]
    config: Mapping[str, Any]
    feature_names: Sequence[str]
    predictions: Callable[[np.ndarray], Predictions]

    def numbers(self, x: np.ndarray) -> np.ndarray:
        """Return the predictions of encoded inputs as numbers (N, outputs)."""
        return named_numbers(self.predictions(x))[1]

    def parts(self) -> list[Any]:
        """Return the `InputPart`s of an input; empty if its kind has none."""
        inference = kind_of(self.reader).inference
        return (
            inference.parts(self.reader, self.config, self.feature_names)
            if hasattr(inference, "parts")
            else []
        )


def first_inputs(count: int) -> int:
    """Return how many of `count` inputs are explained; warn if these are not all."""
    if count > MOST:
        warn(
            f"Only the first {MOST} of {count:,} inputs are explained. Pass those that you want explained."
        )
    return min(count, MOST)


def explain_rows(
    subject: Subject,
    x: np.ndarray,
    names: Sequence[Any],
    background: np.ndarray,
    *,
    of: str | None,
    rows: str,
    seed: int = 0,
    most: int = PREDICTIONS,
) -> Explanation:
    """Return the Shapley values of the columns of some inputs.

    Args:
        subject: the model.
        x: (N, ...) encoded inputs.
        names: (N,) of the inputs: texts, or numbers from 0.
        background: (B, ...) encoded inputs; of a single one, the explanation says that it is no training row.
        of: the output to explain; None for the default, see `explained_outputs`.
        rows: what the background rows are, such as "100 training rows".
        seed: of the sampling.
        most: about how many predictions to make for each input with more than 12 columns.

    Raises:
        KzooError: there is no such output.
    """
    predictions = subject.predictions(x)
    outputs = named_numbers(predictions)[0]
    parts = subject.parts()
    chosen = explained_outputs(outputs, predictions, of)
    explained = []
    features = [part.features for part in parts]
    is_exact = True
    for row, name, indices in zip(x, names, chosen, strict=True):
        values = shapley_values(row, background, features, subject.numbers, seed=seed, most=most)
        is_exact = values.errors is None
        cells = [part.cell(row.reshape(-1)[part.features]) for part in parts]
        for index in indices:
            reasons = [
                Reason(
                    name=part.name,
                    value=cell,
                    amount=float(values.amounts[number, index]),
                    error=None if values.errors is None else float(values.errors[number, index]),
                )
                for number, (part, cell) in enumerate(zip(parts, cells, strict=True))
            ]
            explained.append(
                Reasons(
                    input=_input_name(name),
                    output=outputs[index],
                    scale=scale_of(predictions),
                    prediction=float(values.prediction[index]),
                    base=float(values.base[index]),
                    reasons=strongest_first(reasons),
                )
            )
    method = "Shapley values" if is_exact else "Shapley values by sampling"
    start = f"mean prediction of {rows}" if len(background) > 1 else f"prediction for {rows}"
    about = f"What each column adds to the {start}. The sum is the prediction."
    limits = (NOT_THE_WORLD, _SHARED, *([_ONE_ROW] if len(background) == 1 else []))
    return Explanation(
        model=subject.name, method=method, about=about, limits=limits, rows=tuple(explained)
    )


def explain_texts(subject: Subject, texts: Sequence[str], *, of: str | None = None) -> Explanation:
    """Return what each word adds to the prediction of some texts.

    Of a linear model of tokens (`log_ratios`), these are the exact weights of its tokens. For others, each word is left
    out in turn.

    Args:
        subject: the model.
        texts: the texts.
        of: the output to explain; None for the default, see `explained_outputs`.

    Raises:
        KzooError: there is no such output.
    """
    inference = kind_of(subject.reader).inference
    ids = inference.tokenizer_of(subject.reader).encode(list(texts), subject.reader["length"])
    bags = [partial(inference.bag, subject.reader, text) for text in texts]
    return _weights_of_tokens(subject, texts, ids, bags, of) or _words_left_out(
        subject, texts, ids, of
    )


def explain_ids(subject: Subject, ids: np.ndarray, names: Sequence[str]) -> Explanation | None:
    """Return what each word adds to the prediction of texts of which only the ids (N, length) are known.

    Args:
        subject: the model.
        ids: of the texts.
        names: (N,) of the texts.

    Returns:
        None if no words can be made of the ids: a word may be outside the vocabulary.
    """
    reader = subject.reader
    inference = kind_of(subject.reader).inference
    bags = [partial(inference.bag_of_ids, reader, row) for row in ids]
    if (weights := _weights_of_tokens(subject, names, ids, bags, None)) is not None:
        return weights
    texts = [inference.text_of_ids(reader, row) for row in ids]
    found = [row for row, text in enumerate(texts) if text is not None]
    return (
        _words_left_out(subject, [texts[row] for row in found], ids[found], None) if found else None
    )


def _weights_of_tokens(
    subject: "Subject",
    texts: Sequence[str],
    ids: np.ndarray,
    bags: Sequence[Callable[[], Bag]],
    of: str | None,
) -> Explanation | None:
    """Return the explanation of texts by the weights of their tokens; None if the model is not linear in them.

    Args:
        subject, of: see `explain_texts`.
        texts: (N,) names of the texts.
        ids: (N, length) encoded texts.
        bags: (N,) functions that return the `Bag` of each text.
    """
    predictions = subject.predictions(ids)
    outputs = named_numbers(predictions)[0]
    chosen = explained_outputs(outputs, predictions, of)  # refuses another `of`
    scale = additive_scale(predictions) if subject.config.get("log_ratios") else None
    if scale is None:
        return None
    explained = []
    for text, make_bag, indices in zip(texts, bags, chosen, strict=True):
        bag = make_bag()
        weights = token_weights(bag, subject.reader["length"], subject.predictions, scale)
        if weights is None:
            return None
        amounts, sums, starts = weights
        explained += [
            reasons_of_tokens(
                text,
                bag,
                amounts[:, index],
                float(sums[index]),
                float(starts[index]),
                outputs[index],
                scale.name,
            )
            for index in indices
        ]
    return Explanation(
        model=subject.name,
        method="weights of tokens",
        rows=tuple(explained),
        limits=(NOT_THE_WORLD, _OF_TOKENS),
        about="What each token, one or more words, adds to the output before its activation. The sum is that output.",
    )


def _words_left_out(
    subject: "Subject", texts: Sequence[str], ids: np.ndarray, of: str | None
) -> Explanation:
    """Return the explanation of texts by leaving out each word; for the arguments see `_weights_of_tokens`."""
    predictions = subject.predictions(ids)
    inference = kind_of(subject.reader).inference
    outputs, numbers = named_numbers(predictions)
    chosen = explained_outputs(outputs, predictions, of)
    explained = []
    for text, indices, predicted in zip(texts, chosen, numbers, strict=True):
        pieces, without = inference.left_out(subject.reader, text)
        changed = subject.numbers(without) if len(pieces) else np.empty((0, len(outputs)))
        for index in indices:
            amounts = predicted[index] - changed[:, index]
            prediction = float(predicted[index])
            reasons = reasons_without(
                text, pieces, amounts, prediction, outputs[index], scale_of(predictions)
            )
            explained.append(reasons)
    return Explanation(
        model=subject.name,
        method="words left out",
        rows=tuple(explained),
        limits=(NOT_THE_WORLD, _NOT_A_SUM),
        about="By how much the prediction falls when a word is left out.",
    )


def _input_name(name: object) -> str:
    return f"row {name + 1}" if isinstance(name, int) else str(name)


def scale_of(predictions: Predictions) -> str:
    """Return what the explained numbers of predictions are, see `Reasons.scale`."""
    if predictions.horizon is not None:
        return "mean forecast"
    return "" if predictions.probabilities is None else "probability"
