"""Conversion of texts to token ids, without pandas."""

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.kinds.text.folders import (
    check_classes,
    classes_below,
    expand_files,
    is_file_name,
    missing_file_error,
    new_data_folder,
    split_folders,
)
from kzoo.inference.kinds.text.pieces import END, SPACE, stored_pieces
from kzoo.inference.kinds.text.pieces import LEVEL as PIECES
from kzoo.inference.kinds.text.tokenizer import PADDING, UNKNOWN, AnyTokenizer, Tokenizer
from kzoo.inference.sources.arrays import check_count, check_whole_numbers, numeric_array
from kzoo.inference.sources.files import add_notes, joined_notes, read_text
from kzoo.inference.sources.shards import folder_at
from kzoo.inference.sources.unreadable import Unread
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.raw import (
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
from kzoo.inference.tables.values import MISSING
from kzoo.problems.kinds import Bag, Shown
from kzoo.problems.layout import InputFacts, Preprocessor, RawInputs
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, shown
from kzoo.utils.table_path import locate

if TYPE_CHECKING:
    from kzoo.problems.data_arguments import DataArguments


_NAMED = 5  # texts named in a line
_LONG = 40  # characters; the name of a column is shorter
_MOST_PIECES = 300  # of a text that are left out one by one
_LETTERS = 8_000  # of a long text that are explained, or as many more as are read
_IDEOGRAPHS = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_PIECES = re.compile(rf"\s*(?:[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+|[^\w\s])|\s+$")
_UNKNOWN_MARK = "[?]"  # unknown tokens in displayed texts


class AsTexts(list):
    """A list of texts, none of which is treated as the path of a file.

    Args:
        texts: the texts.
        rows: their row numbers in the source, from 1; None numbers them in order, an empty sequence leaves them
            unnumbered.
    """

    def __init__(
        self, texts: Sequence[str], rows: Sequence[Any] | np.ndarray | None = None
    ) -> None:
        super().__init__(texts)
        self.rows = range(1, len(self) + 1) if rows is None else rows


class _Files(list):
    """The names of files from which texts were read, with an `Unread` for a file without text."""


def preprocessing_of(
    kind: str, tokenizer: AnyTokenizer, length: int, *, column: str | None = None
) -> JsonObject:
    """Return a reader of texts, as JSON data."""
    return {"kind": kind, "length": length, "column": column, **tokenizer.settings()}


def tokenizer_of(preprocessing: Preprocessor) -> AnyTokenizer:
    """Return the tokenizer stored in a reader."""
    if preprocessing["level"] == PIECES:
        return stored_pieces(preprocessing)
    settings = {
        key: preprocessing[key] for key in ("level", "lowercase", "punctuation", "vocabulary")
    }
    return Tokenizer(**settings, ngrams=preprocessing.get("ngrams"))  # missing in older readers


def reads_last_tokens(reader: Preprocessor) -> bool:
    """Return True if the last tokens of a text are read rather than the first, to predict the next token."""
    return reader["kind"] == "language"


def read(reader: Preprocessor, raw: RawInputs) -> tuple[np.ndarray, RawInputs]:
    """Return texts as token ids (N, length).

    Args:
        reader: from `preprocessing_of`.
        raw: a text, a list of texts, or a table with a text column; the path of a table, of a file (one text per line),
            or of a folder or several files (one text each); or ids.

    Returns:
        (x, items): a file without text has no row in x, and is an `Unread` among the items.

    Raises:
        KzooError: there are no texts, a file does not exist, or a text has a lone surrogate.
    """
    length = reader["length"]
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "iuf":
        ids = np.atleast_2d(numeric_array(raw, "Token ids"))
        if ids.shape[1:] != (length,):
            raise KzooError(
                f"Rows of token ids must have length {length}. Got an array of shape {raw.shape}."
            )
        check_whole_numbers(
            ids, "Token ids", len(reader["vocabulary"]) + 1 if "vocabulary" in reader else None
        )
        return ids.astype(np.int32), raw
    texts, items = _texts(raw, reader.get("column"))
    if not texts and not isinstance(items, _Files):
        raise KzooError("No texts to encode.")
    if (
        invalid := next((index for index, text in enumerate(texts) if not is_text(text)), None)
    ) is not None:
        raise KzooError(
            f"Text {invalid + 1} contains a lone surrogate (half of a character). Repair it, for example with "
            "text.encode('utf-8', 'replace').decode()."
        )
    tokenizer = tokenizer_of(reader)
    if not reads_last_tokens(reader):
        x = tokenizer.encode(texts, length)
    else:
        x = np.zeros((len(texts), length), np.int32)
        for row, text in zip(x, texts, strict=True):
            if last_ids := tokenizer.ids(text)[-length:]:
                # padded in front: the prediction is for the token after the last one
                row[-len(last_ids) :] = last_ids
    _warn_of_unknown_texts(x, reader, items)
    return x, items


def glance(source: RawInputs, form: str, asked: "DataArguments") -> None:
    """Raise KzooError if the column names of a table, or the file names of a folder, do not fit."""
    if form == "tabular":
        named = [
            name for name in (asked.group, asked.sample_weight, asked.time) if isinstance(name, str)
        ]
        require(
            source, [*find_target(source, asked.target), *as_names(asked.drop), *named], "the table"
        )
    elif form == "folder":
        for part in split_folders(source).values():
            check_classes(part, classes_below(part)[0])


def glance_new(reader: Preprocessor, source: RawInputs, targets: Sequence[str]) -> None:
    """Raise KzooError if the column or file names of new labelled texts do not fit."""
    if reads_last_tokens(reader):
        return
    if isinstance(source, Rows):
        require(source, targets, "the table")
    elif (source := folder_at(source)).is_dir():
        folder = new_data_folder(source)
        check_classes(folder, classes_below(folder)[0])


def gather(words: Sequence[str]) -> RawInputs:
    """Return command-line arguments as texts; or as paths, if one of them names a file or a folder."""
    if not any(is_file_name(word) or os.path.exists(word) for word in words):
        return AsTexts(words)
    return words[0] if len(words) == 1 else [Path(word) for word in words]


def gather_lines(lines: list[str]) -> list[str]:
    """Return the lines of standard input, which are texts or paths of files."""
    return lines


def received(reader: Preprocessor, given: RawInputs, most: int | None = None) -> RawInputs:
    """Return uploaded inputs: one or several texts, never paths; rows with a text column; or ids."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        texts = received_rows(given, "A text of a table", most)
    check_count(len(texts), most)
    return AsTexts(texts) if isinstance(texts, list) else texts


def form(reader: Preprocessor) -> JsonObject:
    """Return how much of a text is read, and the name of the text column of a table."""
    return {name: reader.get(name) for name in ("length", "level", "column")}


def example(reader: Preprocessor, x: np.ndarray) -> str | list[int]:
    """Return a text of frequent words, or characters, of the training texts."""
    words = reader["vocabulary"]
    if reader["level"] == PIECES:  # of them, those that are whole words
        words = [piece[1:] for piece in words if piece.startswith(SPACE)]
    words = [word for word in words if word.isalpha()]
    return ("" if reader["level"] == "characters" else " ").join(words[:8])


def show(reader: Preprocessor, x: np.ndarray, names: Sequence[str]) -> Shown:
    """Return texts as the network reads them, or ids if there is no vocabulary."""
    if "vocabulary" in reader:
        tokenizer = tokenizer_of(reader)
        cells = [[tokenizer.decode(ids, _UNKNOWN_MARK)] for ids in x]
        unit = "character" if tokenizer.level == "characters" else "word"
        legend = (
            f"{_UNKNOWN_MARK} is a {unit} that is not in the vocabulary."
            f" All such {unit}s are one token to the model."
        )
        return Shown(
            form="text",
            heads=["text, as the model reads it"],
            cells=cells,
            mark=_UNKNOWN_MARK,
            legend=legend,
        )
    cells = [[" ".join(str(i) for i in np.trim_zeros(ids, "b"))] for ids in x]
    return Shown(form="text", heads=["token ids"], cells=cells)


def texts_of(reader: Preprocessor, raw: RawInputs) -> list[str]:
    """Return raw inputs as texts, without files that cannot be read; see `read`."""
    return list(_texts(raw, reader.get("column"))[0])


def left_out(reader: Preprocessor, text: str) -> tuple[list[str], np.ndarray]:
    """Return the pieces of a text, and its ids without each of them, (pieces, length).

    A piece is a word with the space before it, or an ideograph; of a long text it is several of them.
    """
    tokenizer = tokenizer_of(reader)
    length = reader["length"]
    pieces = _PIECES.findall(_beginning(tokenizer, text, length))
    if len(pieces) > _MOST_PIECES:
        ends = np.linspace(0, len(pieces), _MOST_PIECES + 1).round().astype(int).tolist()
        pieces = ["".join(pieces[start:end]) for start, end in pairwise(ends)]
    texts = ["".join(pieces[:index] + pieces[index + 1 :]) for index in range(len(pieces))]
    return pieces, tokenizer.encode(texts, length)


def bag(reader: Preprocessor, text: str) -> Bag:
    """Return a text as the set of the tokens that a network without order reads: each n-gram once, or all tokens."""
    tokenizer = tokenizer_of(reader)
    length = reader["length"]
    text = _beginning(tokenizer, text, length)
    tokens = tokenizer.split(text)
    between = "" if tokenizer.level == "characters" else " "
    ids = tokenizer.ids(text)[:length]
    pieces, of_token = _pieces_of(text, tokens, between)
    if not tokenizer.ngrams:
        read = zip(ids, tokens, strict=False)
        names = [token if number > UNKNOWN else f"{token} (unknown)" for number, token in read]
        return Bag(
            pieces=pieces, ids=ids, names=names, members=[[piece] for piece in of_token[: len(ids)]]
        )
    members: dict = {number: [] for number in ids}
    name_of = {UNKNOWN: "(unknown words)"}
    for size, runs in enumerate(tokenizer.runs([tokens]), start=1):
        for start, run in enumerate(runs):
            number = tokenizer.id_of(run) if run is not None else PADDING
            number = UNKNOWN if number == PADDING and size == 1 else number
            if number in members:
                name_of.setdefault(number, str(run))
                members[number] += of_token[start : start + size]
    return Bag(
        pieces=pieces,
        ids=ids,
        names=[name_of[number] for number in ids],
        members=list(members.values()),
    )


def bag_of_ids(reader: Preprocessor, ids: np.ndarray) -> Bag:
    """Return encoded ids of a text, whose words are not known, as the set of its tokens."""
    tokenizer = tokenizer_of(reader)
    read = [int(number) for number in ids if number != PADDING]
    names = [tokenizer.decode([number], "(unknown)") for number in read]
    pieces = [piece for name in names for piece in (name, " · ")][:-1]
    return Bag(
        pieces=pieces, ids=read, names=names, members=[[2 * index] for index in range(len(read))]
    )


def text_of_ids(reader: Preprocessor, ids: np.ndarray) -> str | None:
    """Return a text that is encoded as these ids; None if there is none that can be made of the vocabulary."""
    tokenizer = tokenizer_of(reader)
    text = tokenizer.decode(ids)
    return text if np.array_equal(tokenizer.encode([text], len(ids))[0], ids) else None


def _beginning(tokenizer: AnyTokenizer, text: str, length: int) -> str:
    """Return the beginning of a text, as much of it as the network reads or more."""
    ids = tokenizer.encode([text], length)
    most = _LETTERS
    while most < len(text) and not np.array_equal(tokenizer.encode([text[:most]], length), ids):
        most *= 2
    return text[:most]


def _pieces_of(text: str, tokens: Sequence[str], between: str) -> tuple[list[str], list[int]]:
    """Return a text cut at the ends of its tokens, and the index of the piece of each token.

    Where the tokens are not in the text, because it was normalized, the pieces are the tokens.
    """
    lowered = text.lower()
    pieces = []
    of_token = []
    end = 0
    for token in tokens:
        start = lowered.find(token.lower(), end)
        if start < 0 or len(lowered) != len(text):
            pieces = [piece for token in tokens for piece in (token, between)]
            return pieces, list(range(0, len(pieces), 2))
        pieces += [text[end:start], text[start : start + len(token)]]
        of_token.append(len(pieces) - 1)
        end = start + len(token)
    return [*pieces, text[end:]], of_token


def draw(given: InputFacts, random: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Return random ids, small ones more often, as in a learned vocabulary, followed by padding."""
    vocabulary_size = given["vocabulary_size"]
    length = shape[1]
    ids = np.minimum((2 + vocabulary_size ** random.random(shape)).astype(int), vocabulary_size - 1)
    lengths = random.integers(1, length + 1, len(ids))
    return ids * (
        np.arange(length).reshape(1, length, *[1] * (len(shape) - 2)) < lengths.reshape(-1, 1)
    )


def edges(given: InputFacts, rows: np.ndarray) -> np.ndarray:
    """Return texts that are empty, longest, shortest, padded in front and unknown, and some of the rows."""
    vocabulary_size = given["vocabulary_size"]
    length = rows.shape[1]
    extreme = np.full((7, length), PADDING)  # the first text stays empty
    # longest
    extreme[1] = np.arange(length) % max(vocabulary_size - 2, 1) + min(2, vocabulary_size - 1)
    extreme[2, 0] = vocabulary_size - 1  # shortest
    extreme[3, length // 2 :] = rows[1].max()  # padding in front
    extreme[4, : length // 2 + 1] = min(UNKNOWN, vocabulary_size - 1)
    extreme[5:] = rows[2:4]
    return np.minimum(extreme, vocabulary_size - 1)


def texts_in(reader: Preprocessor, table: RawInputs) -> list[str]:
    """Return the texts of a table, empty ones for missing values.

    Raises:
        KzooError: it has no text column.
    """
    return _column_of(table, reader.get("column") or "text")


def _warn_of_unknown_texts(x: np.ndarray, reader: Preprocessor, items: RawInputs) -> None:
    """Warn of texts without any token from the vocabulary."""
    special = END if reader["level"] == PIECES else UNKNOWN
    unknown = np.flatnonzero(~(x > special).any(axis=1)).tolist()
    if not unknown:
        return
    unit = "character" if reader["level"] == "characters" else "word"
    if len(x) == 1:
        _warn(f"The text has no {unit} that the model knows: its prediction is meaningless.")
        return
    is_single = len(unknown) == 1
    row_numbers = items.rows if isinstance(items, AsTexts) else range(1, len(x) + 1)
    where = (
        f" (row{'' if is_single else 's'} {listed((row_numbers[row] for row in unknown), _NAMED)})"
        if len(row_numbers)
        else ""
    )
    if isinstance(items, _Files):
        readable = [item for item in items if not isinstance(item, Unread)]
        where = f" ({listed((readable[row] for row in unknown), _NAMED)})"
    verb, predictions = (
        ("has", "its prediction is") if is_single else ("have", "their predictions are")
    )
    _warn(
        f"{len(unknown):,} of {len(x):,} texts {verb} no {unit} that the model knows{where}: {predictions} meaningless."
    )


def _texts(raw: RawInputs, column: str | None) -> tuple[Sequence[str], RawInputs]:
    """Return texts, and the items that each was read from."""
    if isinstance(raw, AsTexts):
        return raw, raw
    raw = locate(raw)
    if isinstance(raw, str | Path):
        if not is_file_name(raw) and not os.path.exists(raw):
            return [str(raw)], raw
        if folder_at(raw).is_dir() and not is_table(raw):
            return _texts_of_files([raw])
        if not os.path.exists(raw):
            raise missing_file_error(raw)
        return (_column(rows_of(raw), column or "text") if is_table(raw) else _lines(raw)), raw
    if (
        isinstance(raw, list | tuple | np.ndarray)
        and len(raw)
        and all(isinstance(element, str | Path) for element in raw)
    ):
        return (
            _texts_of_files(list(raw))
            if any(map(is_file_name, raw))
            else ([str(element) for element in raw], raw)
        )
    is_dicts = isinstance(raw, list) and all(isinstance(row, dict) for row in raw)
    if is_dicts or isinstance(raw, dict | Rows) or hasattr(raw, "iloc") or is_arrow(raw):
        return _column_of(raw, column or "text"), raw
    raise KzooError(
        f"Text must be a string, a list of strings, or a table with a text column. Got {type(raw).__name__}."
    )


def _lines(path: str | Path) -> list[str]:
    encoding_notes: list = []
    lines = [line for line in read_text(path, encoding_notes).split("\n") if line.strip()]
    add_notes(encoding_notes)
    if len(lines) > 1:
        hint = "To read whole files as texts, pass several files or a folder"
        _warn(f"{Path(path).name!r} is read as {len(lines):,} texts, one per line. {hint}.")
    return lines


def _texts_of_files(paths: Sequence[str | Path]) -> tuple[list[str], list[Any]]:
    """Return the texts of files, and their names, with an `Unread` for each file without text."""
    files, notes = expand_files(paths)
    for line in notes:
        _warn(line)
    texts = []
    items = _Files()
    encoding_notes: list[str] = []
    for file in files:
        try:
            text = read_text(file, encoding_notes).strip()
        except KzooError as error:
            items.append(Unread(file, str(error)))
            continue
        if text:
            texts.append(text)
        items.append(file if text else Unread(file, f"{Path(file).name!r} is empty."))
    add_notes(joined_notes(encoding_notes))
    return texts, items


def _warn(line: str) -> None:
    warn(line)


def _column_of(table: RawInputs, column: str) -> list[str]:
    """Return the texts of a table; cells of other columns may be lists, such as labels."""
    names = [str(name).strip() for name in getattr(table, "columns", ())]
    return _column(checked_rows(table, [name for name in names if name != column]), column)


def _column(rows: Rows, name: str) -> list[str]:
    for line in check_keys(rows, [name]):
        _warn(line)
    if name not in rows:
        if len(rows.columns) != 1:
            raise KzooError(f"Column {name!r} is missing. Columns: {listed(rows.columns, MOST)}.")
        name = _check_only_column(rows.columns[0], name)
    return [
        "" if value is None or value != value else str(value) for value in rows.cells(name, MISSING)
    ]


def _check_only_column(column: str, name: str) -> str:
    """Return the name of the only column of a table, which may be a text if the header line is missing.

    Args:
        column: name of the only column.
        name: name of the text column in training.

    Raises:
        KzooError: the name looks like a text.
    """
    if re.search(r"\s|[.!?。！？…]$", column) or len(column) > _LONG:
        raise KzooError(
            f"The only column is called {shown(column)}. If that is a text, add the header line {name!r} above it. If "
            f"it is a name, rename the column to {name!r}."
        )
    if column != "text":
        _warn(
            f"The texts are read from {column!r}, the only column, but training had them in {name!r}. If {column!r} is "
            f"a text itself, add the header line {name!r} above it."
        )
    return column
