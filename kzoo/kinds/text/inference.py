"""Texts become token ids, without pandas."""

import os
import re
from pathlib import Path

import numpy as np

from kzoo.kinds import Shown
from kzoo.kinds.text.folders import (
    check_classes,
    classes_below,
    files_named,
    folder_of_new,
    missing,
    names_file,
    split_folders,
)
from kzoo.kinds.text.tokenizer import PADDING, UNKNOWN, Tokenizer
from kzoo.sources.arrays import check_count, numbers_in, whole_in
from kzoo.sources.files import add_notes, joined_notes, read_text
from kzoo.sources.tables.files import is_table
from kzoo.sources.tables.raw import (
    MOST,
    Rows,
    as_names,
    check_keys,
    checked_rows,
    find_target,
    is_arrow,
    is_text,
    received_rows,
    require,
    rows_of,
)
from kzoo.sources.tables.values import MISSING
from kzoo.sources.unreadable import Unread
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed, shown

_NAMED = 5  # texts that a line names
_LONG = 40  # characters, of which the name of a column has fewer
_NOT_KNOWN = "[?]"  # what stands for an unknown token where people read


class AsTexts(list):
    """Texts none of which is the path of a file, whatever they look like.

    Args:
        texts: of them.
        rows: their numbers where they come from, from 1; None: as they stand here, and none where it is empty.
    """

    def __init__(self, texts, rows=None):
        super().__init__(texts)
        self.rows = range(1, len(self) + 1) if rows is None else rows


class _Files(list):
    """The names of files that texts were read from, and an `Unread` for one that holds none."""


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
    """Turn texts into ids (N, length).

    Args:
        reader: from `preprocessing_of`.
        raw: a text, several, or a table with a column of them; the path of a table, of a file (a text a line), or of
            a folder or several files (a text each); or ids.

    Returns:
        (x, items): a file that holds no text has no row in x, and is an `Unread` among the items.

    Raises:
        KzooError: no texts, a file that is not there, or half of a character.
    """
    length = reader["length"]
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "iuf":
        ids = np.atleast_2d(numbers_in(raw, "Token ids"))
        if ids.shape[1:] != (length,):
            raise KzooError(f"Rows of token ids have length {length}; got {raw.shape}.")
        whole_in(ids, "Token ids", len(reader["vocabulary"]) + 1 if "vocabulary" in reader else None)
        return ids.astype(np.int32), raw
    texts, items = _texts(raw, reader.get("column"))
    if not texts and not isinstance(items, _Files):
        raise KzooError("There are no texts to encode.")
    if (half := next((place for place, text in enumerate(texts) if not is_text(text)), None)) is not None:
        raise KzooError(
            f"Text {half + 1} holds half of a character (a lone surrogate): mend it, such as with "
            "text.encode('utf-8', 'replace').decode()."
        )
    tokenizer = tokenizer_of(reader)
    if not reads_the_end(reader):
        x = tokenizer.encode(texts, length)
    else:
        x = np.zeros((len(texts), length), np.int32)
        for row, text in zip(x, texts, strict=True):
            if ids := tokenizer.ids(text)[-length:]:
                row[-len(ids) :] = ids  # padding in front: the answer wanted is the one after the last token
    _look_for_known(x, reader, items)
    return x, items


def glance(source, form, asked):
    """Refuse a table for the names of its columns, a folder for those of its files."""
    if form == "tabular":
        group = [asked.group] if isinstance(asked.group, str) else []
        require(source, [*find_target(source, asked.target), *as_names(asked.drop), *group], "the table")
    elif form == "folder":
        for part in split_folders(source).values():
            check_classes(part, classes_below(part)[0])


def glance_new(reader, source, targets):
    """Refuse new texts with answers for the names of columns or files."""
    if reads_the_end(reader):
        return
    if isinstance(source, Rows):
        require(source, targets, "the table")
    elif source.is_dir():
        folder = folder_of_new(source)
        check_classes(folder, classes_below(folder)[0])


def gather(words):
    """Return the texts that the words of a command line are; or paths, where one of them names a file or a folder."""
    if not any(names_file(word) or os.path.exists(word) for word in words):
        return AsTexts(words)
    return words[0] if len(words) == 1 else [Path(word) for word in words]


def gather_lines(lines):
    """Return the lines of standard input, texts or paths of files."""
    return lines


def received(reader, given, most=None):
    """Return texts that came from elsewhere: a text or several, never paths; rows with a column of them; or ids."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        texts = received_rows(given, "A text of a table", most)
    check_count(len(texts), most)
    return AsTexts(texts) if isinstance(texts, list) else texts


def form(reader):
    """Return how much of a text is read, and the column that a table of texts has it in."""
    return {name: reader.get(name) for name in ("length", "level", "column")}


def example(reader, x):
    """Return a text of words, or characters, that training has seen often."""
    words = [word for word in reader["vocabulary"] if word.isalpha()]
    return ("" if reader["level"] == "characters" else " ").join(words[:8])


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


def texts_in(reader, table) -> list[str]:
    """Return the texts of a table, empty ones where there are none.

    Raises:
        KzooError: it has no column of texts.
    """
    return _column(checked_rows(table), reader.get("column") or "text")


def _look_for_known(x, reader, items):
    """Warn of texts without a token that training has seen."""
    strange = np.flatnonzero(~(x > UNKNOWN).any(axis=1)).tolist()
    if not strange:
        return
    what = "character" if reader["level"] == "characters" else "word"
    if len(x) == 1:
        _warn(f"The text holds no {what} the model knows: its answer says nothing.")
        return
    one = len(strange) == 1
    names = items.rows if isinstance(items, AsTexts) else range(1, len(x) + 1)
    where = f" (row{'' if one else 's'} {listed((names[row] for row in strange), _NAMED)})" if len(names) else ""
    if isinstance(items, _Files):
        read = [item for item in items if not isinstance(item, Unread)]
        where = f" ({listed((read[row] for row in strange), _NAMED)})"
    holds, says = ("holds", "its answer says") if one else ("hold", "their answers say")
    _warn(f"{len(strange):,} of {len(x):,} texts {holds} no {what} the model knows{where}: {says} nothing.")


def _texts(raw, column):
    """Return texts, and what each of them was read from."""
    if isinstance(raw, AsTexts):
        return raw, raw
    if isinstance(raw, str | Path):
        if not names_file(raw) and not os.path.exists(raw):
            return [raw], raw
        if os.path.isdir(raw) and not is_table(raw):
            return _of_files([raw])
        if not os.path.exists(raw):
            raise missing(raw)
        return (_column(rows_of(raw), column or "text") if is_table(raw) else _lines(raw)), raw
    if isinstance(raw, list | tuple | np.ndarray) and len(raw) and all(isinstance(one, str | Path) for one in raw):
        return _of_files(raw) if any(map(names_file, raw)) else ([str(one) for one in raw], raw)
    dicts = isinstance(raw, list) and all(isinstance(row, dict) for row in raw)
    if dicts or isinstance(raw, dict | Rows) or hasattr(raw, "iloc") or is_arrow(raw):
        return _column(checked_rows(raw), column or "text"), raw
    raise KzooError(f"Text is a string, a list of strings, or a table with a text column; got {type(raw).__name__}.")


def _lines(path):
    said: list = []
    lines = [line for line in read_text(path, said).split("\n") if line.strip()]
    add_notes(said)
    if len(lines) > 1:
        each = "several files, or a folder, are a text each"
        _warn(f"{Path(path).name!r} is read as {len(lines):,} texts, one a line; {each}.")
    return lines


def _of_files(paths):
    """Return the texts of files, and their names, with an `Unread` for a file without text."""
    files, notes = files_named(paths)
    for line in notes:
        _warn(line)
    texts, items, said = [], _Files(), []
    for file in files:
        try:
            text = read_text(file, said).strip()
        except KzooError as error:
            items.append(Unread(file, str(error)))
            continue
        if text:
            texts.append(text)
        items.append(file if text else Unread(file, f"{Path(file).name!r} is empty."))
    add_notes(joined_notes(said))
    return texts, items


def _warn(line):
    warn(line)


def _column(rows, name):
    for line in check_keys(rows, [name]):
        _warn(line)
    if name not in rows:
        if len(rows.columns) != 1:
            raise KzooError(f"Column {name!r} is missing; the columns are: {listed(rows.columns, MOST)}.")
        name = _only_column(rows.columns[0], name)
    return ["" if value is None or value != value else str(value) for value in rows.cells(name, MISSING)]


def _only_column(only, name):
    """Return the name of the only column of a table, which may be its first text, where the header line is missing.

    Args:
        only: the name.
        name: what it is called in the training data.

    Raises:
        KzooError: it looks like a text.
    """
    if re.search(r"\s|[.!?。！？…]$", only) or len(only) > _LONG:
        raise KzooError(
            f"The only column is called {shown(only)}: if that is a text, put the header line {name!r} above it; if it "
            f"is a name, call the column {name!r}."
        )
    if only != "text":
        _warn(
            f"The texts are read from {only!r}, the only column, and training had them in {name!r}: if {only!r} is a "
            f"text itself, put the header line {name!r} above it."
        )
    return only
