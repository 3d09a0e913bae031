"""Checks of token ids: beyond the vocabulary, cut, empty, unknown, padded in front."""

import numpy as np
from keras import layers

from kzoo.checks.finding import check, error, warning
from kzoo.checks.probe import nodes_in
from kzoo.checks.subject import values_of
from kzoo.storage.windows import blocks
from kzoo.utils.formatting import listed

_CUT, _UNKNOWN = 0.25, 0.3  # shares of the training texts, and of their tokens


@check("data", "tokens", "model")
def tokens_outside(subject):
    """Token ids that the embedding has no row for."""
    size = _vocabulary(subject.model)
    for split, part in subject.splits.items() if size else ():
        if (ids := values_of(part.x)) is None:
            continue
        bad = ((ids < 0) | (ids >= size)) & np.isfinite(ids)  # another check looks for NaN
        if not bad.any():
            continue
        row = int(np.flatnonzero(bad.reshape(len(ids), -1).any(axis=1))[0])
        yield error(
            f"{int(bad.sum())} token ids lie outside 0..{size - 1}, the first is {ids[bad][0]}",
            where=f"{split}, row {row}",
            why="The embedding has no row for them: an error on a CPU, zeros on a GPU, NaN on JAX.",
            fix=f"Give the embedding {max(int(ids[bad].max()) + 1, size)} rows, or make rare tokens unknown (1).",
        )


def _vocabulary(model):
    """Return the number of ids of the embedding that reads the inputs; None where there is none."""
    for node in nodes_in(model):
        if isinstance(node.operation, layers.Embedding) and node.arguments.keras_tensors[0] is model.inputs[0]:
            return node.operation.input_dim
    return None


@check("data", "texts")
def sequences_cut(subject):
    """Texts that are longer than a row."""
    _, x = subject.sample
    cut = subject.data.seen.get("cut")  # known where kzoo cut them
    if cut is None:
        padded = (x == 0).any(axis=1)
        if not padded.any():  # rows of one length, nothing tells whether more came after
            return
        cut = float(1 - padded.mean())
    if cut > _CUT:
        yield warning(
            f"{cut:.0%} of the training texts are longer than the {x.shape[1]} tokens of a row",
            where="train x",
            why="What comes after is never read, and an opinion often stands at the end.",
            fix="Make rows longer: input_shape.",
        )


@check("data", "texts")
def empty_texts(subject):
    """Rows of padding alone."""
    for split, part in subject.splits.items():
        empty = np.flatnonzero(np.concatenate([~rows.any(axis=1) for rows in blocks(part.x)]))
        if len(empty):
            yield warning(
                f"{len(empty)} rows are padding alone",
                where=f"{split}, rows {listed(empty)}",
                why="There is nothing to read in them, and a mean over no words is 0 / 0 in many networks.",
                fix="Leave these rows out.",
            )


@check("data", "tokens")
def unknown_tokens(subject):
    """Training texts of which much is outside the vocabulary."""
    if "vocabulary" not in subject.data.preprocessing:
        return
    _, x = subject.sample
    share = float((x == 1).sum() / max((x != 0).sum(), 1))
    if share > _UNKNOWN:
        yield warning(
            f"{share:.0%} of the training tokens are unknown",
            where="train x",
            why="All unknown words look the same to the network.",
            fix="Raise vocabulary_size, or use tokenizer='characters'.",
        )
