"""What the training split looks like, as a small block of JSON data: what new data is compared with later."""

import numpy as np

from kzoo.data.dataset import Dataset
from kzoo.data.windows import Windows

_MOST_ROWS, _MOST_IMAGES = 100_000, 300
_DECILES = np.arange(1, 10) / 10
_COLOURS = ("red", "green", "blue", "opacity")


def statistics(data: Dataset) -> dict:
    """Describe the training split.

    Returns:
        `features`: name, mean, sd, low, high, edges (deciles) and shares between them, of each number; `categories`:
        name and the share of each code; `targets`: the same of what is predicted, or `classes`, their shares; and
        `columns`, those of the whole table.
    """
    names, numbers = features(data.inputs, data.train.x, data.feature_names, len(data.config.get("categories", ())))
    found = {"features": _described(names, numbers)}
    if categories := data.config.get("categories"):
        codes = _few(data.train.x)[:, -len(categories) :].astype(int)
        found["categories"] = [
            {"name": name, "shares": (np.bincount(column, minlength=count)[:count] / len(column)).tolist()}
            for name, column, count in zip(data.feature_names[-len(categories) :], codes.T, categories, strict=True)
        ]
    if "classes" in data.problem.facts:
        labels = np.asarray(data.train.y)
        labels = labels.argmax(axis=-1) if labels.ndim > 1 else labels
        found["classes"] = [float(np.mean(labels == number)) for number in range(len(data.class_names))]
    elif "values" in data.problem.facts:
        found["targets"] = _described(data.target_names, _flat(data.train.y))
    return found | {name: data.seen[name] for name in ("columns",) if name in data.seen}


def features(inputs, x, names=(), categories=0) -> tuple:
    """Return names and numbers (N, F) that describe raw inputs of any kind.

    Rows and series are their columns, without categories; texts their length and their share of unknown tokens;
    images their brightness, contrast and colours.
    """
    if inputs in ("rows", "series"):
        values = _flat(x)
        values = values[:, : values.shape[1] - categories]
        known = list(names)[: values.shape[1]]
        return known + [f"column {i}" for i in range(len(known), values.shape[1])], values
    if inputs == "tokens":
        ids = _few(x)
        real = (ids != 0).sum(axis=1)
        return ["tokens", "unknown share"], np.stack([real, (ids == 1).sum(axis=1) / np.maximum(real, 1)], axis=1)
    images = _few(x, _MOST_IMAGES).astype("float32")
    colours = images.mean(axis=(1, 2))
    columns = [images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))]
    if images.shape[-1] == 1:
        return ["brightness", "contrast"], np.stack(columns, axis=1)
    return ["brightness", "contrast", *_COLOURS[: images.shape[-1]]], np.stack([*columns, *colours.T], axis=1)


def _described(names, columns):
    """Describe each column of which there is anything to say: JSON has no NaN."""
    finite = [(name, column[np.isfinite(column)]) for name, column in zip(names, columns.T, strict=False)]
    return [describe(name, column) for name, column in finite if len(column)]


def describe(name, values) -> dict:
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


def shares_between(edges, values):
    """Return the share of values up to the first edge, between each two, and above the last."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / len(values)


def _few(values, most=_MOST_ROWS):
    rows = np.arange(len(values))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    return np.asarray(values[rows])


def _flat(x):
    """Return values (N, columns); of windows, the rows that they cover, each once."""
    if isinstance(x, Windows):
        x = x.values[int(x.starts.min()) : int(x.starts.max()) + x.length]
        return x.reshape(len(x), -1)[-_MOST_ROWS:]
    x = _few(x)
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x[:, None]
