"""The explanation of single inputs: rows, windows and texts. NumPy only, for runs and for exported models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kzoo.explanations.explanation import Explanation, Reason, Reasons, strongest_first
from kzoo.explanations.outputs import explained_outputs, named_numbers
from kzoo.explanations.shapley import PREDICTIONS, shapley_values
from kzoo.explanations.words import additive_scale, reasons_of_tokens, reasons_without, token_weights
from kzoo.kinds import kind_of, takes_ready_arrays
from kzoo.predictions import Predictions
from kzoo.utils.errors import KzooError, warn

MOST = 20  # inputs that are explained
NOT_THE_WORLD = "This explains the model, not the world: what it uses need not be a cause."
_SHARED = "Columns that contain the same information share their amounts, and rows that never occur are predicted too."
_ONE_ROW = "The background is one row of medians and most frequent categories, so the amounts depend on that row."
TYPICAL = "a row of medians and most frequent categories"
_NOT_A_SUM = "Words are left out one by one: what several of them say together is not divided among them."
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
        return inference.parts(self.reader, self.config, self.feature_names) if hasattr(inference, "parts") else []


def first_inputs(count: int) -> int:
    """Return how many of `count` inputs are explained; warn if these are not all."""
    if count > MOST:
        warn(f"Only the first {MOST} of {count:,} inputs are explained. Pass those that you want explained.")
    return min(count, MOST)


def explain_rows(
    subject: Subject, x: np.ndarray, names: Sequence[Any], background: np.ndarray, *, of: str | None, rows: str,
    seed: int = 0, most: int = PREDICTIONS,
) -> Explanation:  # fmt: skip
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
    outputs, parts = named_numbers(predictions)[0], subject.parts()
    chosen, explained = explained_outputs(outputs, predictions, of), []
    features, is_exact = [part.features for part in parts], True
    for row, name, indices in zip(x, names, chosen, strict=True):
        values = shapley_values(row, background, features, subject.numbers, seed=seed, most=most)
        is_exact = values.errors is None
        cells = [part.cell(row.reshape(-1)[part.features]) for part in parts]
        for index in indices:
            reasons = [
                Reason(
                    name=part.name, value=cell, amount=float(values.amounts[number, index]),
                    error=None if values.errors is None else float(values.errors[number, index]),
                )
                for number, (part, cell) in enumerate(zip(parts, cells, strict=True))
            ]  # fmt: skip
            explained.append(
                Reasons(
                    input=_input_name(name), output=output_name(outputs[index], predictions),
                    prediction=float(values.prediction[index]), base=float(values.base[index]),
                    reasons=strongest_first(reasons),
                )
            )  # fmt: skip
    method = "Shapley values" if is_exact else "Shapley values by sampling"
    start = f"mean prediction of {rows}" if len(background) > 1 else f"prediction for {rows}"
    about = f"What each column adds to the {start}. The sum is the prediction."
    limits = (NOT_THE_WORLD, _SHARED, *([_ONE_ROW] if len(background) == 1 else []))
    return Explanation(model=subject.name, method=method, about=about, limits=limits, rows=tuple(explained))


def explain_texts(subject: Subject, texts: Sequence[str], *, of: str | None) -> Explanation:
    """Return what each word adds to the prediction of some texts.

    Of a linear model of tokens (`log_ratios`), these are the exact weights of its tokens. For others, each word is left
    out in turn.

    Args:
        subject: the model.
        texts: the texts.
        of: the output to explain; None for the default, see `explained_outputs`.

    Raises:
        KzooError: there is no such output, or the model reads ids without a vocabulary.
    """
    reader, inference = subject.reader, kind_of(subject.reader).inference
    if takes_ready_arrays(reader):
        raise KzooError(f"{subject.name} reads token ids without a vocabulary, so its words cannot be explained.")
    x = inference.tokenizer_of(reader).encode(list(texts), reader["length"])
    predictions = subject.predictions(x)
    outputs = named_numbers(predictions)[0]
    chosen = explained_outputs(outputs, predictions, of)
    weights = _token_reasons(subject, texts, chosen, predictions) if subject.config.get("log_ratios") else None
    if weights is not None:
        about = "What each token, one or more words, adds to the output. The sum is the output before its activation."
        return Explanation(
            model=subject.name, method="weights of tokens", about=about, limits=(NOT_THE_WORLD, _OF_TOKENS),
            rows=tuple(weights),
        )  # fmt: skip
    explained = []
    for text, indices, predicted in zip(texts, chosen, named_numbers(predictions)[1], strict=True):
        pieces, without = inference.left_out(reader, text)
        numbers = subject.numbers(without) if len(pieces) else np.empty((0, len(outputs)))
        for index in indices:
            output = output_name(outputs[index], predictions)
            amounts = predicted[index] - numbers[:, index]
            explained.append(reasons_without(text, pieces, amounts, float(predicted[index]), output))
    about = "By how much the prediction falls when a word is left out."
    return Explanation(
        model=subject.name, method="words left out", about=about, limits=(NOT_THE_WORLD, _NOT_A_SUM),
        rows=tuple(explained),
    )  # fmt: skip


def _token_reasons(subject, texts, chosen, predictions):
    """Return the reasons of texts by the weights of their tokens; None if the model is not linear in them."""
    scale = additive_scale(predictions)
    if scale is None:
        return None
    outputs, inference = named_numbers(predictions)[0], kind_of(subject.reader).inference
    explained = []
    for text, indices in zip(texts, chosen, strict=True):
        bag = inference.bag(subject.reader, text)
        weights = token_weights(bag, subject.reader["length"], subject.predictions, scale)
        if weights is None:
            return None
        amounts, sums, starts = weights
        for index in indices:
            name = scale.name.format(outputs[index])
            explained.append(
                reasons_of_tokens(text, bag, amounts[:, index], float(sums[index]), float(starts[index]), name)
            )
    return explained


def _input_name(name: Any) -> str:
    return f"row {name + 1}" if isinstance(name, int) else str(name)


def output_name(name: str, predictions: Predictions) -> str:
    """Return what an output is called in an explanation."""
    if predictions.horizon is not None:
        return f"mean {name} of the forecast"
    return name if predictions.probabilities is None else f"probability of {name}"
