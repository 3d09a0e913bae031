"""How much is looked at of data that does not lie in memory: one bound, and one way to take so many rows.

Validation, scores, baselines, checks and statistics take a sample of a split that is read from a disk: the same rows
each time. A split that lies in memory is taken whole.
"""

from dataclasses import replace

import numpy as np

from kzoo.dataset.dataset import Dataset, Split
from kzoo.sources.arrays import class_numbers
from kzoo.storage.row_files import StoredRows
from kzoo.storage.windows import blocks, is_mapped, sample_indices, series_of
from kzoo.utils.formatting import listed

MOST = 200_000  # rows of a split: an accuracy is within a quarter of a percent of that of any number of rows then
_SPLITS = ("train", "validation", "test")


def in_memory(values) -> bool:
    """Say whether inputs or answers lie in memory, rather than in files that are read as they are asked for."""
    values = values if (series := series_of(values)) is None else series
    return isinstance(values, np.ndarray) and not is_mapped(values)


def sampled(part, most=None):
    """Return a split of `most` rows of one that does not lie in memory and has more; else the split as it is.

    Rows that kzoo has stored are read.

    Args:
        part: a `Split`, or None.
        most: rows, at the most; `MOST` by default.
    """
    most = most or MOST
    if part is not None and isinstance(part.x, StoredRows):  # its rows were shuffled: the first are as good as any
        return Split(x=part.x.first(most), y=part.y.first(most))
    if part is None or len(part) <= most or (in_memory(part.x) and in_memory(part.y)):
        return part
    places = sample_indices(len(part), most)
    some = part.select(places)
    return some if part.rows is not None else replace(some, rows=places)


def with_samples(data) -> Dataset:
    """Return a data set with `sampled` splits, for what looks at all rows of one that lies in memory."""
    parts = {name: sampled(part) for name in _SPLITS if (part := getattr(data, name)) is not None}
    return replace(data, **parts) if any(part is not getattr(data, name) for name, part in parts.items()) else data


def class_counts(data, name) -> np.ndarray:
    """Return how many rows of a split each class has (classes,), of labels that are class numbers (N,) or one-hot.

    Of what was counted when it was read, that; else of its labels, which lie in memory.
    """
    if (counted := data.seen.get("of_class")) is not None:
        return np.array(counted[name])
    labels = class_numbers(getattr(data, name).y)
    return np.bincount(labels, minlength=data.outputs)


def token_counts(data) -> np.ndarray:
    """Return how often the training texts have each token (tokens,)."""
    y = sampled(data.train).y
    some = blocks(y if (series := series_of(y)) is None else series)
    counts = (np.bincount(tokens.reshape(-1), minlength=data.outputs) for tokens in some)
    return sum(counts, np.zeros(data.outputs, int))


def most_frequent(data) -> int | None:
    """Return the number of the class or token that the training rows have most often; None where they have values."""
    facts = data.problem.facts
    if "classes" in facts:
        return int(class_counts(data, "train").argmax())
    return int(token_counts(data).argmax()) if "continues" in facts else None


def sampling_note(data) -> str | None:
    """Say of which splits a sample is looked at; None where that is of none."""
    parts = {name: part for name in _SPLITS if (part := getattr(data, name)) is not None}
    large = {name: part for name, part in parts.items() if sampled(part) is not part and len(part) > MOST}
    if not large:
        return None
    sizes = listed((f"{len(part):,} {name} rows" for name, part in large.items()), len(large))
    return f"Scores, baselines and checks look at {MOST:,} of {sizes}, the same ones each time."
