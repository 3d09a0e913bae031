"""N-gram language models with Witten-Bell smoothing."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines.baseline import Unfit, baseline
from kzoo.data.store.windows import read, series_of

if TYPE_CHECKING:
    from kzoo.baselines.data import BaselineData, PredictSplit
    from kzoo.data.dataset import Split


_LONGEST = 6  # tokens of context, at most
_DEFAULT_LONGEST = 3  # tokens of context if there is no validation data
_MOST_TOKENS = 5_000_000  # last tokens of the training text that are counted
_BLOCK = 4_000_000  # probabilities held in memory at once
_CHOSEN_ON = 20_000  # tokens of the validation text used to choose the order


class Grams:
    """Counts of tokens after each context of 0 to `longest` tokens.

    P(token | context) = (its count + the number of distinct tokens after the context * P(token | shorter context)) /
    (all counts + that number), down to the uniform distribution (doi:10.1109/18.87000, method C).

    Args:
        tokens: (N,) ids of the training text.
        count: size of the vocabulary.
        longest: tokens in the longest context.
    """

    def __init__(self, tokens: np.ndarray, count: int, longest: int) -> None:
        matrix = import_module("scipy.sparse").csr_matrix
        self.count = count
        self.contexts_seen = []
        self.counts = []
        context = np.zeros(len(tokens), np.int64)  # the number of the context before each token
        for order in range(longest + 1):
            if order:
                code = self._longer(context, tokens)
                codes, context[order:] = np.unique(code[order:], return_inverse=True)
                self.contexts_seen.append(codes)
            rows, columns = context[order:], tokens[order:]
            shape = (1 + int(rows.max(initial=0)), count)
            self.counts.append(matrix((np.ones(len(rows)), (rows, columns)), shape=shape))
        self.totals = [np.asarray(matrix.sum(axis=1)).reshape(-1) for matrix in self.counts]
        self.kinds = [np.diff(matrix.indptr) for matrix in self.counts]

    def _longer(self, context: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the code of the context one token longer than `context` before each token; -1 for unknown ones."""
        code = np.full(len(tokens), -1, np.int64)
        valid = context[:-1] >= 0
        code[1:][valid] = context[:-1][valid] * self.count + tokens[:-1][valid]
        return code

    def contexts(self, tokens: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
        """Yield, for each order, the number of the context before each position of a text; -1 for unknown ones."""
        context = np.zeros(len(tokens), np.int64)
        for order in range(len(self.counts)):
            if order:
                codes = self.contexts_seen[order - 1]
                code = self._longer(context, tokens)
                index = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
                context = np.where((codes[index] == code) & (code >= 0), index, -1)
                context[:order] = -1
            yield context[positions]

    def after(self, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the probabilities (B, count) after contexts, as `contexts` yields them for B positions."""
        p = np.full((len(contexts[0]), self.count), 1 / self.count)
        for order, context in enumerate(contexts):
            valid = np.flatnonzero(context >= 0)
            rows = context[valid]
            kinds, totals = self.kinds[order][rows, None], self.totals[order][rows, None]
            p[valid] = (self.counts[order][rows].toarray() + kinds * p[valid]) / (totals + kinds)
        return p


def _seconds(subset: "BaselineData") -> float:
    parts = (subset.data.test, subset.data.validation)
    tokens = sum(len(part) * _predicted_tokens(part) for part in parts if part is not None)
    count = subset.data.outputs
    text = series_of(subset.data.train.x)
    learned = 0 if text is None else min(len(text), _MOST_TOKENS)
    return 0.02 + _LONGEST * (3e-7 * learned + 4e-9 * (tokens + _LONGEST * _CHOSEN_ON) * count)


def _predicted_tokens(part: "Split") -> int:
    return int(np.prod(part.y.shape[1:]))


@baseline(
    "counted n-grams (Witten-Bell)",
    "ids",
    "continues",
    reference="https://doi.org/10.1109/18.87000",
    seconds=_seconds,
)
def ngrams(subset: "BaselineData") -> "PredictSplit":
    """Predict from the counts of what followed the previous tokens; the order is chosen on validation data.

    The previous tokens are those of the text, also at the start of a window.
    """
    if (text := series_of(subset.data.train.x)) is None:
        raise Unfit("the windows are not from a single text")
    tokens = np.asarray(text[-_MOST_TOKENS:], np.int64)
    if len(tokens) < len(text):
        subset.notes.append(f"learned from the last {_MOST_TOKENS:,} tokens")
    grams = Grams(tokens, subset.data.outputs, min(_LONGEST, len(tokens) - 1))

    def predictor(order: int, most: int | None = None) -> "PredictSplit":
        def predict(part: "Split") -> Iterator[tuple[np.ndarray, np.ndarray]]:
            step = max(1, _BLOCK // (grams.count * _predicted_tokens(part)))
            for start in range(
                0, len(part) if most is None else -(-most // _predicted_tokens(part)), step
            ):
                text, positions = _tokens_around(
                    part, slice(start, start + step), len(grams.counts) - 1
                )
                positions = positions[
                    : None if most is None else most - start * _predicted_tokens(part)
                ]
                yield (
                    grams.after(list(grams.contexts(text, positions))[: order + 1]),
                    text[positions],
                )

        return predict

    default = min(_DEFAULT_LONGEST, len(grams.counts) - 1)
    default_first = sorted(range(len(grams.counts)), key=lambda order: order != default)
    orders = {f"{order + 1}-grams": order for order in default_first}
    return predictor(
        orders[
            subset.choose({name: predictor(order, _CHOSEN_ON) for name, order in orders.items()})
        ]
    )


def _tokens_around(part: "Split", rows: slice, before: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens (N,) around those to predict in some windows, and the positions of these among them.

    Args:
        part: the `Split`.
        rows: a slice of its windows.
        before: number of previous tokens needed; before the start of the text they are -1.
    """
    text = series_of(part.x)
    assert text is not None
    first = (
        part.x.starts[rows] + part.x.length if series_of(part.y) is None else part.y.starts[rows]
    )
    positions = np.asarray(first)[:, None] + np.arange(-before, _predicted_tokens(part))
    tokens = np.where(
        positions < 0, -1, read(text, np.clip(positions, 0, len(text) - 1)).astype(np.int64)
    )
    predicted = np.arange(positions.size).reshape(positions.shape)[:, before:]
    return tokens.reshape(-1), predicted.reshape(-1)
