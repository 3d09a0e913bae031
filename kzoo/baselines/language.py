"""Counted n-grams, smoothed as Witten and Bell do: what comes next by the few tokens before."""

from importlib import import_module

import numpy as np

from kzoo.baselines.baseline import Unfit, baseline
from kzoo.storage.windows import read, series_of

_LONGEST = 6  # tokens before, at the most
_USUAL = 3  # tokens before, where there is no validation data
_MOST_TOKENS = 5_000_000  # of the training text, the last ones
_BLOCK = 4_000_000  # probabilities that are held at once
_CHOSEN_ON = 20_000  # tokens of the validation text


class Grams:
    """How often each token came after each context of 0 to `longest` tokens.

    P(token | context) = (its count + the number of different tokens there * P(token | shorter context)) / (all of the
    counts + that number), down to all tokens alike (doi:10.1109/18.87000, method C).

    Args:
        tokens: (N,) of the training text.
        count: how many ids there are.
        longest: tokens of the longest context.
    """

    def __init__(self, tokens, count, longest):
        matrix = import_module("scipy.sparse").csr_matrix
        self.count, self.known, self.counts = count, [], []
        context = np.zeros(len(tokens), np.int64)  # the number of the context before each token
        for order in range(longest + 1):
            if order:
                code = self._longer(context, tokens)
                known, context[order:] = np.unique(code[order:], return_inverse=True)
                self.known.append(known)
            rows, columns = context[order:], tokens[order:]
            shape = (1 + int(rows.max(initial=0)), count)
            self.counts.append(matrix((np.ones(len(rows)), (rows, columns)), shape=shape))
        self.totals = [np.asarray(one.sum(axis=1)).reshape(-1) for one in self.counts]
        self.kinds = [np.diff(one.indptr) for one in self.counts]

    def _longer(self, context, tokens):
        """Return the code of the context before each token that is one token longer, of the one before the last."""
        code = np.full(len(tokens), -1, np.int64)
        there = context[:-1] >= 0
        code[1:][there] = context[:-1][there] * self.count + tokens[:-1][there]
        return code

    def contexts(self, tokens, places):
        """Yield for each order the number of the context before each place of a text, -1 for an unknown one."""
        context = np.zeros(len(tokens), np.int64)
        for order in range(len(self.counts)):
            if order:
                known, code = self.known[order - 1], self._longer(context, tokens)
                at = np.minimum(np.searchsorted(known, code), len(known) - 1)
                context = np.where((known[at] == code) & (code >= 0), at, -1)
                context[:order] = -1
            yield context[places]

    def after(self, contexts):
        """Return the probabilities (B, count) after contexts, as `contexts` yields them for B places."""
        p = np.full((len(contexts[0]), self.count), 1 / self.count)
        for order, context in enumerate(contexts):
            seen = np.flatnonzero(context >= 0)
            rows = context[seen]
            kinds, totals = self.kinds[order][rows, None], self.totals[order][rows, None]
            p[seen] = (self.counts[order][rows].toarray() + kinds * p[seen]) / (totals + kinds)
        return p


def _seconds(given):
    parts = (given.data.test, given.data.validation)
    tokens, count = sum(len(part) * _ahead(part) for part in parts if part is not None), given.data.outputs
    text = series_of(given.data.train.x)
    learned = 0 if text is None else min(len(text), _MOST_TOKENS)
    return 0.02 + _LONGEST * (3e-7 * learned + 4e-9 * (tokens + _LONGEST * _CHOSEN_ON) * count)


def _ahead(part):
    return int(np.prod(part.y.shape[1:]))


@baseline(
    "counted n-grams (Witten-Bell)", "ids", "continues", reference="https://doi.org/10.1109/18.87000", seconds=_seconds
)  # fmt: skip
def ngrams(given):
    """Count what came after the tokens before it; how many of them are looked at is chosen on validation data.

    They are those before in the text, also where a window has only begun.
    """
    if (text := series_of(given.data.train.x)) is None:
        raise Unfit("the windows were not cut from one text")
    tokens = np.asarray(text[-_MOST_TOKENS:], np.int64)
    if len(tokens) < len(text):
        given.notes.append(f"learned from the last {_MOST_TOKENS:,} tokens")
    grams = Grams(tokens, given.data.outputs, min(_LONGEST, len(tokens) - 1))

    def of_order(order, most=None):
        def answers(part):
            step = max(1, _BLOCK // (grams.count * _ahead(part)))
            for start in range(0, len(part) if most is None else -(-most // _ahead(part)), step):
                text, places = _around(part, slice(start, start + step), len(grams.counts) - 1)
                places = places[: None if most is None else most - start * _ahead(part)]
                yield grams.after(list(grams.contexts(text, places))[: order + 1]), text[places]

        return answers

    orders = {f"{order + 1}-grams": order for order in range(len(grams.counts))}
    if given.validation is None:
        return of_order(min(_USUAL, len(grams.counts) - 1))
    return of_order(orders[given.choose({name: of_order(order, _CHOSEN_ON) for name, order in orders.items()})])


def _around(part, rows, before):
    """Return the tokens (N,) around those that are to be told in some windows, and the places of these among them.

    Args:
        part: the `Split`.
        rows: a slice of its windows.
        before: tokens that are needed before each; -1 stands before the beginning of the text.
    """
    text = series_of(part.x)
    first = part.x.starts[rows] + part.x.length if series_of(part.y) is None else part.y.starts[rows]
    around = np.asarray(first)[:, None] + np.arange(-before, _ahead(part))
    tokens = np.where(around < 0, -1, read(text, np.clip(around, 0, len(text) - 1)).astype(np.int64))
    places = np.arange(around.size).reshape(around.shape)[:, before:]
    return tokens.reshape(-1), places.reshape(-1)
