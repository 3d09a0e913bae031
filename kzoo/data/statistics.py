"""Statistics of the training split, as a small block of JSON data, with which new data is compared."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.dataset import Dataset
from kzoo.data.sample import MOST, in_memory, sample_dataset
from kzoo.data.store.windows import flat, sample_rows
from kzoo.problems.kinds import kind
from kzoo.problems.layout import categories_of, code_columns, text_columns
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    pass


_DECILES = np.arange(1, 10) / 10
_HASHES, _BYTES = 256, 6  # stored hashes of rows; JSON numbers of 48 bits are exact everywhere
# share of distinct training rows, below which rows of other data are equal by chance
_DISTINCT = 0.95


def statistics(data: Dataset) -> JsonObject:
    """Describe the training split.

    Returns:
        `features`: name, mean, sd, low, high, edges (deciles) and shares between them, for each number; `categories`:
        name and the share of each code; `texts`: name and the share of empty ones; `word_rows`: of each word of a
        vocabulary, the number of texts that have it, as far as the network reads them; `targets`: the same as for
        `features`, or `classes` or `labels`, their shares, or `common`, the id of the most frequent token, or of the
        class with most weight if rows have weights; `row_hashes` and `distinct_rows` (see `rows_in_training`); and
        `columns`, those of the whole table.
    """
    data = sample_dataset(data)
    categories = data.config.get("categories", ())
    names, numbers = kind(data.inputs).fitting.describe(
        data.train.x, data.feature_names, code_columns(data.config)
    )
    stats: JsonObject = {"features": _described(names, numbers)}
    if categories:
        codes = categories_of(sample_rows(data.train.x), data.config).astype(int)
        stats["categories"] = [
            {
                "name": name,
                "shares": (np.bincount(column, minlength=count)[:count] / len(column)).tolist(),
            }
            for name, column, count in zip(_category_names(data), codes.T, categories, strict=True)
        ]
    if data.config.get("text_lengths"):
        stats["texts"] = _empty_texts(data)
    if data.preprocessing.get("level") == "words" and "continues" not in data.problem.facts:
        stats["word_rows"] = _word_rows(data)
    if "classes" in data.problem.facts:
        labels = np.asarray(data.train.y)
        labels = labels.argmax(axis=-1) if labels.ndim > 1 else labels
        stats["classes"] = [
            float(np.mean(labels == number)) for number in range(len(data.class_names))
        ]
        if data.train.weight is not None:  # the shares are of rows
            stats["common"] = data.target.common
    elif "labels" in data.problem.facts:
        y = np.asarray(data.train.y)
        known = np.maximum((~np.isnan(y)).sum(axis=0), 1)
        stats["labels"] = (np.nansum(y, axis=0, dtype="float64") / known).tolist()
    elif "values" in data.problem.facts:
        stats["targets"] = _described(data.target_names, flat(data.train.y))
    elif "continues" in data.problem.facts:
        stats["common"] = data.target.common
    if (
        "unordered" in data.problem.facts
        and in_memory(data.train.x)
        and 0 < len(data.train) <= MOST
    ):
        hashes = np.unique(_row_hashes(data.train.x))
        if len(hashes) >= _DISTINCT * len(data.train):
            stats |= {"row_hashes": hashes[:_HASHES].tolist(), "distinct_rows": len(hashes)}
    return stats | {name: data.seen[name] for name in ("columns",) if name in data.seen}


def rows_in_training(known: JsonObject | None, x: np.ndarray) -> int:
    """Return about how many rows of new inputs (N, ...) are training rows; 0 if that is unknown.

    The smallest hashes of the training rows are a random sample of these (Broder, 1997,
    https://doi.org/10.1109/SEQUEN.1997.666900): the share of them that new rows have is that of all training rows.

    Args:
        known: the stored `statistics`.
        x: encoded inputs.
    """
    if not known or "row_hashes" not in known or not in_memory(x) or not 0 < len(x) <= MOST:
        return 0
    hashes = np.array(known["row_hashes"], np.int64)
    share = np.isin(hashes, _row_hashes(x)).mean()
    return min(round(share * known["distinct_rows"]), len(x))


def _row_hashes(x: np.ndarray) -> np.ndarray:
    """Return a hash of each row of inputs (N, ...) as int64 (N,), the same in every process."""
    hashed = [
        hashlib.blake2b(row.astype("<f4").tobytes(), digest_size=_BYTES).digest() for row in x
    ]
    return np.array([int.from_bytes(digest, "little") for digest in hashed], np.int64)


def _category_names(data: Dataset) -> Sequence[str]:
    """Return the names of the categorical columns of a table."""
    end = len(data.feature_names) - text_columns(data.config)
    return data.feature_names[end - len(data.config["categories"]) : end]


def _empty_texts(data: Dataset) -> list[JsonObject]:
    """Return the name of each text column of a table, and the share of its texts without words."""
    names = [column["name"] for column in data.preprocessing["columns"] if "buckets" in column]
    lengths = data.config["text_lengths"]
    firsts = [data.train.x.shape[1] - sum(lengths[i:]) for i in range(len(lengths))]
    x = sample_rows(data.train.x)
    return [
        {"name": n, "empty": float(np.mean(x[:, i] == 0))}
        for n, i in zip(names, firsts, strict=True)
    ]


def _word_rows(data: Dataset) -> list[int]:
    """Return the number of texts that have each word of the vocabulary, whose ids begin with 2."""
    ids = np.sort(sample_rows(data.train.x), axis=1)
    is_first = np.ones(ids.shape, bool)
    is_first[:, 1:] = ids[:, 1:] != ids[:, :-1]  # each word of a text once
    size = len(data.preprocessing["vocabulary"]) + 2
    return np.bincount(ids[is_first].astype(int), minlength=size)[2:size].tolist()


def _described(names: Sequence[str], columns: np.ndarray) -> list[JsonObject]:
    """Describe each column that has finite numbers: JSON has no NaN."""
    finite = [
        (name, column[np.isfinite(column)]) for name, column in zip(names, columns.T, strict=False)
    ]
    return [describe(name, column) for name, column in finite if len(column)]


def describe(name: str, values: np.ndarray) -> JsonObject:
    """Describe a column of finite numbers."""
    values = np.asarray(values, "float64")
    edges = np.unique(np.quantile(values, _DECILES))
    return dict(
        name=name,
        mean=float(values.mean()),
        sd=float(values.std()),
        low=float(values.min()),
        high=float(values.max()),
        edges=edges.tolist(),
        shares=shares_between(edges, values).tolist(),
        count=len(values),
    )


def shares_between(edges: Sequence[float] | np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the share of values up to the first edge, between each two edges, and above the last."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / len(
        values
    )
