"""Texts become token ids, without pandas."""

from pathlib import Path

import numpy as np

from kzoo.errors import KzooError
from kzoo.kinds.files import read_text
from kzoo.kinds.tables.raw import Rows, listed, rows_of
from kzoo.kinds.text.tokenizer import Tokenizer


def preprocessing_of(kind, tokenizer, length, *, column=None):
    """Return what `encode_text` needs, as JSON data."""
    return {"kind": kind, "length": length, "column": column, **tokenizer.settings()}


def tokenizer_of(preprocessing):
    """Return the tokenizer that made a text data set."""
    return Tokenizer(**{key: preprocessing[key] for key in ("level", "lowercase", "punctuation", "vocabulary")})


def encode_text(preprocessing, inputs):
    """Turn a string, several, a table with the text column, or a `.txt`/`.csv` file into ids (N, length).

    A language model gets the *last* tokens of each text, since what follows them is asked for.
    """
    length = preprocessing["length"]
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "iu":
        return np.atleast_2d(inputs).astype(np.int32)
    texts = _texts(inputs, preprocessing.get("column"))
    if not texts:
        raise KzooError("There are no texts to encode.")
    tokenizer = tokenizer_of(preprocessing)
    if preprocessing["kind"] == "text":
        return tokenizer.encode(texts, length)
    out = np.zeros((len(texts), length), np.int32)
    for row, text in zip(out, texts, strict=True):
        if ids := tokenizer.ids(text)[-length:]:
            row[-len(ids) :] = ids  # padding in front: the answer wanted is the one after the last token
    return out


def _texts(inputs, column):
    if isinstance(inputs, str | Path) and str(inputs).endswith((".csv", ".tsv", ".txt")) and Path(inputs).is_file():
        if str(inputs).endswith(".txt"):
            return [line for line in read_text(inputs).split("\n") if line.strip()]
        inputs = rows_of(inputs)
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, list | tuple | np.ndarray) and len(inputs) and all(isinstance(t, str) for t in inputs):
        return [str(t) for t in inputs]
    dicts = isinstance(inputs, list) and all(isinstance(row, dict) for row in inputs)
    if dicts or isinstance(inputs, dict | Rows) or hasattr(inputs, "iloc"):
        return _column(rows_of(inputs), column or "text")
    raise KzooError(f"Text is a string, a list of strings, or a table with a text column; got {type(inputs).__name__}.")


def _column(rows, name):
    if name not in rows:
        if len(rows.columns) != 1:
            raise KzooError(f"Column {name!r} is missing; the columns are: {listed(rows.columns)}.")
        name = rows.columns[0]
    return ["" if value is None or value != value else str(value) for value in rows[name]]
