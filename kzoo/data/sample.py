"""Samples of data that is not in memory: one limit, and one way to draw that many rows.

Validation, scores, baselines, checks and statistics use a sample of a split that is read from disk, the same rows every
time. A split in memory is used whole.
"""

from dataclasses import replace
from typing import overload

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.row_files import StoredRows
from kzoo.data.store.windows import blocks, is_mapped, sample_indices, series_of
from kzoo.inference.sources.arrays import class_numbers
from kzoo.utils.formatting import listed

# rows of a split: the accuracy is then within a quarter of a percent of that on all rows
MOST = 200_000
_SPLITS = ("train", "validation", "test")


def in_memory(values: object) -> bool:
    """Return whether inputs or targets are in memory, rather than in files that are read on demand."""
    values = values if (series := series_of(values)) is None else series
    return isinstance(values, np.ndarray) and not is_mapped(values)


@overload
def sample_split(part: Split, most: int | None = None) -> Split: ...


@overload
def sample_split(part: None, most: int | None = None) -> None: ...


def sample_split(part: Split | None, most: int | None = None) -> Split | None:
    """Return a sample of `most` rows of a split that is not in memory and has more; other splits are returned
    unchanged.

    Rows stored by kzoo are read into memory.

    Args:
        part: a `Split`, or None.
        most: maximum number of rows; `MOST` by default.
    """
    most = most or MOST
    if part is not None and isinstance(
        part.x, StoredRows
    ):  # its rows were shuffled when written: the first are a random sample
        weight = None if part.weight is None else part.weight[:most]
        return Split(x=part.x.first(most), y=part.y.first(most), weight=weight)
    if part is None or len(part) <= most or (in_memory(part.x) and in_memory(part.y)):
        return part
    indices = sample_indices(len(part), most)
    sample = part.select(indices)
    return sample if part.rows is not None else replace(sample, rows=indices)


def even_sample(split: Split, most: int) -> Split:
    """Return `most` rows of a split at even distances; the split itself if it has no more."""
    return (
        split
        if len(split) <= most
        else split.select(np.linspace(0, len(split) - 1, most).astype(int))
    )


def sample_dataset(data: Dataset) -> Dataset:
    """Return a data set with `sampled` splits, for functions that need all rows of a split in memory."""
    parts = {
        name: sample_split(part) for name in _SPLITS if (part := getattr(data, name)) is not None
    }
    return (
        replace(data, **parts)
        if any(part is not getattr(data, name) for name, part in parts.items())
        else data
    )


def class_counts(data: Dataset, name: str) -> np.ndarray:
    """Return the number of rows of each class in a split (classes,).

    The counts that were made while reading are used if there are any; else the labels (class numbers (N,) or one-hot),
    which are in memory then.
    """
    if (counts := data.seen.get("of_class")) is not None:
        return np.array(counts[name])
    labels = class_numbers(getattr(data, name).y)
    return np.bincount(labels, minlength=data.outputs)


def token_counts(data: Dataset) -> np.ndarray:
    """Return how often each token occurs in the training texts (tokens,)."""
    y = sample_split(data.train).y
    token_blocks = blocks(y if (series := series_of(y)) is None else series)
    counts = (np.bincount(tokens.reshape(-1), minlength=data.outputs) for tokens in token_blocks)
    return sum(counts, np.zeros(data.outputs, int))


def most_frequent(data: Dataset) -> int | None:
    """Return the number of the most frequent class or token of the training rows; None for tasks of values."""
    facts = data.problem.facts
    if "classes" in facts:
        if data.train.weight is not None and "of_class" not in data.seen:
            return int(
                np.bincount(
                    class_numbers(data.train.y), data.train.weight, minlength=data.outputs
                ).argmax()
            )
        return int(class_counts(data, "train").argmax())
    return int(token_counts(data).argmax()) if "continues" in facts else None


def sampling_note(data: Dataset) -> str | None:
    """Return a line that names the splits of which only a sample is used; None if there are none."""
    parts = {name: part for name in _SPLITS if (part := getattr(data, name)) is not None}
    large = {
        name: part
        for name, part in parts.items()
        if sample_split(part) is not part and len(part) > MOST
    }
    if not large:
        return None
    sizes = listed((f"{len(part):,} {name} rows" for name, part in large.items()), len(large))
    return f"Scores, baselines and checks use a fixed sample of {MOST:,} of {sizes}."
