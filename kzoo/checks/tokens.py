"""Checks of token ids: outside the vocabulary, truncated texts, empty texts, unknown tokens."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

from kzoo.checks.finding import Finding, check, error, warning
from kzoo.checks.probe import nodes_in
from kzoo.checks.subject import Subject, values_of
from kzoo.data.store.windows import blocks
from kzoo.utils.formatting import listed, plural

_CUT, _UNKNOWN = 0.25, 0.3  # shares of truncated texts, and of unknown tokens


@check("data", "tokens", "model")
def tokens_outside(subject: Subject) -> Iterator[Finding]:
    """Find token ids without a row in the embedding."""
    size = _vocabulary(subject.model)
    if not size:
        return
    for split, part in subject.splits.items():
        if (ids := values_of(part.x)) is None:
            continue
        bad = ((ids < 0) | (ids >= size)) & np.isfinite(ids)  # `not_finite` checks for NaN
        if not bad.any():
            continue
        row = int(np.flatnonzero(bad.reshape(len(ids), -1).any(axis=1))[0])
        yield error(
            f"{int(bad.sum())} token ids are outside 0..{size - 1}, the first one is {ids[bad][0]}",
            where=f"{split}, row {row}",
            why="The embedding has no row for them: an error on CPUs, zeros on GPUs, NaN on JAX.",
            fix=f"Give the embedding {max(int(ids[bad].max()) + 1, size)} rows, or map rare tokens to unknown (1).",
        )


def _vocabulary(model: keras.Model) -> int | None:
    """Return the number of rows of the embedding that reads the inputs; None if there is none."""
    for node in nodes_in(model):
        if (
            isinstance(node.operation, layers.Embedding)
            and node.arguments.keras_tensors[0] is model.inputs[0]
        ):
            return node.operation.input_dim
    return None


@check("data", "texts")
def sequences_cut(subject: Subject) -> Iterator[Finding]:
    """Find training texts that are longer than a row."""
    _, x = subject.sample
    # known if kzoo truncated them
    cut, longer = (subject.data.seen.get(name) for name in ("cut", "longer"))
    if cut is None:
        padded = (x == 0).any(axis=1)
        if not padded.any():  # rows without padding: it is unknown whether texts were truncated
            return
        cut = float(1 - padded.mean())
    if cut > _CUT:
        yield warning(
            f"{cut:.0%} of the training texts are longer than {x.shape[1]} tokens and are truncated",
            where="train x",
            why="The rest is not read, although the conclusion is often at the end of a text.",
            fix="Set a larger input_shape." if longer is None else f"Use input_shape={longer}.",
        )


@check("data", "texts")
def empty_texts(subject: Subject) -> Iterator[Finding]:
    """Find rows that consist of padding only."""
    for split, part in subject.splits.items():
        empty = np.flatnonzero(np.concatenate([~rows.any(axis=1) for rows in blocks(part.x)]))
        if len(empty):
            yield warning(
                f"{plural(len(empty), 'row')} {'consists' if len(empty) == 1 else 'consist'} of padding only",
                where=f"{split}, rows {listed(empty)}",
                why="They contain no tokens, and a mean over no tokens is 0 / 0 in many networks.",
                fix="Remove these rows.",
            )


@check("data", "tokens")
def unknown_tokens(subject: Subject) -> Iterator[Finding]:
    """Find training texts with many tokens outside the vocabulary."""
    if "vocabulary" not in subject.data.preprocessing:
        return
    _, x = subject.sample
    share = float((x == 1).sum() / max((x != 0).sum(), 1))
    if share > _UNKNOWN:
        yield warning(
            f"{share:.0%} of the training tokens are unknown",
            where="train x",
            why="The network cannot distinguish unknown tokens.",
            fix="Increase vocabulary_size, or use tokenizer='characters'.",
        )
