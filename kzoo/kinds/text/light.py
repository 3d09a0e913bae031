"""Texts become token ids, without pandas."""

from pathlib import Path

import numpy as np

from kzoo.errors import KzooError
from kzoo.kinds import Shown
from kzoo.kinds.arrays import check_count, numbers_in, whole_in
from kzoo.kinds.files import existing, read_text, say
from kzoo.kinds.tables.files import is_table
from kzoo.kinds.tables.raw import (
    MOST,
    Rows,
    as_names,
    find_target,
    from_elsewhere,
    given_rows,
    require,
    rows_of,
)
from kzoo.kinds.tables.values import MISSING
from kzoo.kinds.text.tokenizer import PADDING, UNKNOWN, Tokenizer
from kzoo.words import listed

_NOT_KNOWN = "[?]"  # what stands for an unknown token where people read


def preprocessing_of(kind, tokenizer, length, *, column=None):
    """Return a reader of texts, as JSON data."""
    return {"kind": kind, "length": length, "column": column, **tokenizer.settings()}


def tokenizer_of(preprocessing):
    """Return the tokenizer that made a text data set."""
    settings = {key: preprocessing[key] for key in ("level", "lowercase", "punctuation", "vocabulary")}
    return Tokenizer(**settings, ngrams=preprocessing.get("ngrams"))  # older readers say nothing of it


def reads_the_end(reader) -> bool:
    """Say whether the last tokens of a text are read, since what follows them is asked for, not the first."""
    return reader["kind"] == "language"


def read(reader, raw):
    """Turn a string, several, a table with the text column, or the path of one or of a `.txt` file into ids."""
    length = reader["length"]
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "iuf":
        ids = np.atleast_2d(numbers_in(raw, "Token ids"))
        if ids.shape[1:] != (length,):
            raise KzooError(f"Rows of token ids have length {length}; got {raw.shape}.")
        whole_in(ids, "Token ids", len(reader["vocabulary"]) + 1 if "vocabulary" in reader else None)
        return ids.astype(np.int32), raw
    texts = _texts(raw, reader.get("column"))
    if not texts:
        raise KzooError("There are no texts to encode.")
    tokenizer = tokenizer_of(reader)
    if not reads_the_end(reader):
        return tokenizer.encode(texts, length), raw
    x = np.zeros((len(texts), length), np.int32)
    for row, text in zip(x, texts, strict=True):
        if ids := tokenizer.ids(text)[-length:]:
            row[-len(ids) :] = ids  # padding in front: the answer wanted is the one after the last token
    return x, raw


def glance(source, form, asked):
    """Refuse a table for the names of its columns, a folder for those of its files."""
    if form == "tabular":
        group = [asked.group] if isinstance(asked.group, str) else []
        require(source, [*find_target(source, asked.target), *as_names(asked.drop), *group], "the table")
    elif form == "folder":
        for part in split_folders(source).values():
            check_classes(part, classes_below(part))


def glance_new(reader, source, targets):
    """Refuse new texts with answers for the names of columns or files."""
    if reads_the_end(reader):
        return
    if isinstance(source, Rows):
        require(source, targets, "the table")
    elif source.is_dir():
        check_classes(source, classes_below(source))


def gather(words):
    """Return the texts that the words of a command line are, or the one file of texts that they name."""
    lone_file = len(words) == 1 and (is_table(words[0]) or words[0].lower().endswith(".txt"))
    return existing(words[0]) if lone_file else words


def received(reader, given, most=None):
    """Return texts that came from elsewhere: a text or several, never paths; rows with a column of them; or ids."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        texts = from_elsewhere(given, "A text of a table")
    check_count(len(texts), most)
    return texts


def form(reader):
    """Return how much of a text is read, and the column that a table of texts has it in."""
    return {name: reader.get(name) for name in ("length", "level", "column")}


def example(reader, x):
    """Return a text of words, or characters, that training has seen often."""
    words = [word for word in reader["vocabulary"] if word.isalpha()]
    return ("" if reader["level"] == "characters" else " ").join(words[:8])


def split_folders(path) -> dict:
    """Return {"train": folder, ...} of a folder with `train/` in it; just the folder as "train" of any other."""
    if not (path / "train").is_dir():
        return {"train": path}
    names = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
    return {part: path / name for part, words in names.items() for name in words if (path / name).is_dir()}


def classes_below(folder) -> dict:
    """Return class -> its documents, a list of `.txt` files, or its one `.txt` file, which has an example a line.

    Raises:
        KzooError: it is no folder.
    """
    if not folder.is_dir():
        raise KzooError(f"{folder.name!r} is not a folder of text.")
    folders = {child.name: sorted(child.glob("*.txt")) for child in sorted(folder.iterdir()) if child.is_dir()}
    folders = {name: files for name, files in folders.items() if files}
    files = [file for file in sorted(folder.glob("*.txt")) if not file.stem.lower().startswith("readme")]
    return folders or {file.stem: file for file in files}


def check_classes(folder, classes):
    """Raise `KzooError` for a folder with fewer than two classes."""
    if not classes:
        raise KzooError(f"{folder.name!r} holds no text: expected a .txt file, or a folder of them, for each class.")
    if len(classes) < 2:
        raise KzooError(
            f"{folder.name!r} holds one class only ({next(iter(classes))!r}): it takes a .txt file or folder for each."
        )


def show(reader, x, names):
    """Show texts as the network reads them, or ids where nothing says what they stand for."""
    if "vocabulary" in reader:
        tokenizer = tokenizer_of(reader)
        cells = [[tokenizer.decode(ids, _NOT_KNOWN)] for ids in x]
        what = "character" if tokenizer.level == "characters" else "word"
        legend = f"{_NOT_KNOWN} is a {what} that is not in the vocabulary: the model reads all such {what}s as one."
        return Shown(form="text", heads=["text, as the model reads it"], cells=cells, mark=_NOT_KNOWN, legend=legend)
    cells = [[" ".join(str(i) for i in np.trim_zeros(ids, "b"))] for ids in x]
    return Shown(form="text", heads=["token ids"], cells=cells)


def draw(given, random, shape):
    """Draw ids of which the small ones are frequent, as in a vocabulary that was learned, and padding after them."""
    known, length = given["vocabulary_size"], shape[1]
    ids = np.minimum((2 + known ** random.random(shape)).astype(int), known - 1)
    lengths = random.integers(1, length + 1, len(ids))
    return ids * (np.arange(length).reshape(1, length, *[1] * (len(shape) - 2)) < lengths.reshape(-1, 1))


def edges(given, rows):
    """Return texts that are empty, longest, shortest, padded in front and unknown, and some of the rows."""
    known, length = given["vocabulary_size"], rows.shape[1]
    extreme = np.full((7, length), PADDING)  # the first stays that
    extreme[1] = np.arange(length) % max(known - 2, 1) + min(2, known - 1)  # longest
    extreme[2, 0] = known - 1  # shortest
    extreme[3, length // 2 :] = rows[1].max()  # padding in front
    extreme[4, : length // 2 + 1] = min(UNKNOWN, known - 1)
    extreme[5:] = rows[2:4]
    return np.minimum(extreme, known - 1)


def _texts(inputs, column):
    lines = str(inputs).endswith(".txt") if isinstance(inputs, str | Path) else False
    if (lines or is_table(inputs)) and Path(inputs).is_file():
        if lines:
            said: list = []
            text = read_text(inputs, said)
            say(said)
            return [line for line in text.split("\n") if line.strip()]
        inputs = rows_of(inputs)
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, list | tuple | np.ndarray) and len(inputs) and all(isinstance(t, str) for t in inputs):
        return [str(t) for t in inputs]
    dicts = isinstance(inputs, list) and all(isinstance(row, dict) for row in inputs)
    if dicts or isinstance(inputs, dict | Rows) or hasattr(inputs, "iloc"):
        return _column(given_rows(inputs), column or "text")
    raise KzooError(f"Text is a string, a list of strings, or a table with a text column; got {type(inputs).__name__}.")


def _column(rows, name):
    if name not in rows:
        if len(rows.columns) != 1:
            raise KzooError(f"Column {name!r} is missing; the columns are: {listed(rows.columns, MOST)}.")
        name = rows.columns[0]
    return ["" if value is None or value != value else str(value) for value in rows.cells(name, MISSING)]
