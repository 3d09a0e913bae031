"""The tokens of one text, in memory or, if it is too long, piece by piece from a file.

The ids of such a file are computed once, stored in the user's cache folder and mapped into memory. Pieces end at line
ends, so that they have the same tokens as the whole text: no token spans a line end, no combining accent follows it,
and it does not change how a letter is normalized.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kzoo.data import splits
from kzoo.data.store.progress import track_progress
from kzoo.data.store.row_files import (
    FileHashes,
    building_folder,
    check_disk_space,
    read_metadata,
    write_metadata,
)
from kzoo.inference.kinds.text.tokenizer import UNKNOWN, AnyTokenizer, Tokenizer, learn_from_pieces
from kzoo.inference.sources.files import TextFile, add_notes, read_text
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import in_bytes
from kzoo.utils.memory import too_large

if TYPE_CHECKING:
    pass


_PIECE = 2**20  # characters
_MEMORY_PER_BYTE = 12  # bytes of memory per byte of text while it is loaded
_TOKEN = 4  # minimum average characters per word, including separators
_MIN_LINES = 3
_HEAD = 2**16  # characters that are searched first for that many lines
_FORMAT = 2  # version of the stored files
# characters of all texts up to which the fingerprint includes the texts themselves
MAX_HASHED_TEXT = 2**26


class Tokens(NamedTuple):
    """The parts of a text as a language model reads them, followed by separate texts if there are some.

    Args:
        tokenizer: learned on the first part.
        ids: (tokens,) of each part.
        characters: of each part.
        unknown: share of unknown tokens in the first part.
        contents: of each part, for the fingerprint.
        notes: on the texts.
    """

    tokenizer: Tokenizer
    ids: list[np.ndarray]
    characters: list[int]
    unknown: float
    contents: list[str]
    notes: list[str]


def _text_digest(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pieces_of(text: str | TextFile, ends: tuple[int, ...] = ()) -> Iterator[tuple[int, str]]:
    """Yield (part number, piece) of a text; pieces end where a line or the part ends.

    Args:
        text: in memory, with a single piece for each part, or in a file.
        ends: character positions at which the parts end, except the last.
    """
    if isinstance(text, str):
        yield from (
            (part, text[start:end])
            for part, (start, end) in enumerate(pairwise((0, *ends, len(text))))
        )
        return
    bounds = [*ends, math.inf]
    done = 0
    part = 0
    pending = [""]
    with text.open() as stream:
        while read := stream.read(_PIECE):
            while read:
                remaining = int(min(bounds[part] - done, len(read)))
                chunk, read = read[:remaining], read[remaining:]
                done += len(chunk)
                if done == bounds[part]:
                    yield part, "".join([*pending, chunk])
                    part = part + 1
                    pending = [""]
                elif cut := chunk.rfind("\n") + 1:
                    yield part, "".join([*pending, chunk[:cut]])
                    pending = [chunk[cut:]]
                else:
                    pending.append(chunk)
    if last := "".join(pending):
        yield part, last


def part_names(more: Iterable[str]) -> list[str]:
    """Return the names of the parts of a text, in their order; those of the separate texts `more` are last."""
    return ["train", *(part for part in ("validation", "test") if part not in more), *more]


def tokens_of(
    text: str | TextFile,
    more: Mapping[str, str | TextFile],
    *,
    name: str,
    validation: splits.RequestedSplit,
    test: splits.RequestedSplit,
    level: str,
    size: int,
) -> Tokens:
    """Return the tokens of the parts of a text, and of separate texts, in the order of `part_names`.

    Args:
        text: the text; a `TextFile` does not fit into memory: its token ids are mapped from files.
        more: split -> a separate text of the same type.
        name: of the first, for messages.
        validation, test: fractions of the first.
        level, size: see `learn_and_encode`.

    Raises:
        KzooError: too few lines; a vocabulary size that is too small; the cache folder cannot be written, or its disk
            is full.
    """
    texts: list[Any] = [text, *more.values()]

    def learn() -> tuple[tuple[int, ...], Tokenizer, list[str]]:
        """Return where the parts end, all but the last, the tokenizer, and lines to know."""
        total = lines = 0
        for _, piece in _followed(pieces_of(text), "reading the text", texts[:1]):
            total += len(piece)
            lines += _lines_in(piece) if lines < _MIN_LINES else 0
        if lines < _MIN_LINES:
            raise KzooError(
                f"{name!r} has fewer than {_MIN_LINES} lines of text, which is too few for a language model."
            )
        first = dict(
            zip(
                ("validation", "test"),
                splits.split_time(total, validation=validation, test=test),
                strict=True,
            )
        )
        ends = tuple(start for part, start in first.items() if part not in more)
        train_pieces: Any = itertools.takewhile(lambda part: part[0] == 0, pieces_of(text, ends))
        train_pieces = (
            piece for _, piece in _followed(train_pieces, "learning the vocabulary", texts[:1])
        )
        tokenizer, exact = learn_from_pieces(
            train_pieces, level=level, size=size, lowercase=level == "words"
        )
        notes = (
            []
            if exact
            else [
                "The text has too many different words to count them all: rare ones were dropped while counting."
            ]
        )
        return ends, tokenizer, notes

    def write(folder: Path) -> JsonObject:
        ends, tokenizer, notes = learn()
        return _write(folder, texts, ends, tokenizer) | {"notes": notes}

    if isinstance(text, str):
        ends, tokenizer, notes = learn()
        contents = [part for _, part in _texts(texts, ends)]
        characters = list(map(len, contents))
        ids = list(map(tokenizer.numbers, contents))
        unknown = float(np.mean(ids[0] == UNKNOWN)) if len(ids[0]) else 0.0
        contents = (
            contents
            if sum(characters) <= MAX_HASHED_TEXT
            else [_text_digest(part) for part in contents]
        )
        return Tokens(tokenizer, ids, characters, unknown, contents, notes)
    folder, about = _stored(texts, write, validation=validation, test=test, level=level, size=size)
    id_size = in_bytes(sum(about["tokens"]) * np.dtype(about["dtype"]).itemsize)
    note = f"The text stays on disk: its token ids ({id_size}) are cached in {str(folder)!r} and read on demand."
    contents = about["digests"]
    if sum(about["characters"]) <= MAX_HASHED_TEXT:
        contents = [""] * len(contents)
        for part, piece in _texts(texts, about["ends"]):
            contents[part] += piece
    return Tokens(
        tokenizer=Tokenizer(**about["tokenizer"]),
        ids=_mapped(folder, about),
        characters=about["characters"],
        unknown=about["unknown"],
        contents=contents,
        notes=[note, *about["notes"]],
    )


def _lines_in(piece: str) -> int:
    """Return the number of non-blank lines of a text; for a long one, of its head if that has enough of them."""
    head = sum(1 for line in piece[:_HEAD].splitlines() if line.strip())
    if head >= _MIN_LINES or len(piece) <= _HEAD:
        return head
    return sum(1 for line in piece.splitlines() if line.strip())


def token_ids_of_file(tokenizer: AnyTokenizer, path: str | Path) -> np.ndarray:
    """Return the ids of a text file, mapped from a file of ids if the text does not fit into memory.

    Raises:
        KzooError: it is not a text; the cache folder cannot be written, or its disk is full.
    """
    notes: list[str] = []
    if not is_too_long([Path(path)]):
        text = read_text(path, notes)
        add_notes(notes)
        return tokenizer.numbers(text)
    file = TextFile(path, notes)
    add_notes(notes)
    folder, about = _stored(
        [file], lambda folder: _write(folder, [file], (), tokenizer), **tokenizer.settings()
    )
    return _mapped(folder, about)[0]


def is_too_long(files: Iterable[Path]) -> bool:
    """Return True if text files do not fit into memory."""
    return too_large(
        _MEMORY_PER_BYTE * sum(file.stat().st_size for file in files if file.is_file())
    )


def _stored(
    files: Sequence[TextFile], build: Callable[[Path], JsonObject], **settings: Json
) -> tuple[Path, JsonObject]:
    """Return the folder with the tokens of files, and its metadata; build it if it does not exist."""
    content = FileHashes([file.path for file in files])
    key = repr([_FORMAT, content.hashes, sorted(settings.items())]).encode("utf-8", "surrogatepass")
    with building_folder(f"text-{hashlib.sha256(key).hexdigest()[:16]}") as (folder, build_folder):
        if build_folder is not None:
            about = build(build_folder)
            if content.changed():
                raise KzooError(
                    f"{files[0].name!r} changed while it was being read. Start again once the file is complete."
                )
            write_metadata(build_folder, about)
    return folder, read_metadata(folder)


def _write(
    folder: Path, files: Sequence[TextFile], ends: tuple[int, ...], tokenizer: AnyTokenizer
) -> JsonObject:
    """Write the ids of each part to a folder, and return the metadata."""
    dtype = next(
        np.dtype(name)
        for name in ("uint8", "uint16", "int32")
        if len(tokenizer) <= np.iinfo(name).max + 1
    )
    size = sum(file.size for file in files)
    check_disk_space(
        folder, size * dtype.itemsize // (1 if tokenizer.level == "characters" else _TOKEN)
    )
    parts = range(len(ends) + len(files))
    tokens = [0 for _ in parts]
    characters = [0 for _ in parts]
    digests = [hashlib.sha256() for _ in parts]
    unknown = 0
    with ExitStack() as stack:
        out = [stack.enter_context(open(folder / f"{part}.ids", "wb")) for part in parts]
        for part, text in _followed(_texts(files, ends), "numbering the tokens", files):
            ids = tokenizer.numbers(text)
            ids.astype(dtype).tofile(out[part])
            digests[part].update(text.encode("utf-8", "surrogatepass"))
            tokens[part] += len(ids)
            characters[part] += len(text)
            unknown += int(np.count_nonzero(ids == UNKNOWN)) if part == 0 else 0
    return {
        "made of": [str(file.path) for file in files],
        "tokenizer": tokenizer.settings(),
        "dtype": dtype.name,
        "ends": list(ends),
        "tokens": tokens,
        "characters": characters,
        "unknown": unknown / max(tokens[0], 1),
        "digests": [digest.hexdigest() for digest in digests],
    }


def _mapped(folder: Path, about: JsonObject) -> list[np.ndarray]:
    """Return the ids of each part, mapped from files."""
    dtype = np.dtype(about["dtype"])
    return [
        np.memmap(folder / f"{part}.ids", dtype, "r", shape=(tokens,))
        if tokens
        else np.zeros(0, dtype)
        for part, tokens in enumerate(about["tokens"])
    ]


def _texts(texts: Sequence[str | TextFile], ends: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Yield part number and piece for the parts of a text, and for the separate texts after it."""
    yield from pieces_of(texts[0], ends)
    for number, text in enumerate(texts[1:], start=len(ends) + 1):
        yield from ((number, piece) for _, piece in pieces_of(text))


def _followed(
    pieces: Iterable[tuple[int, str]], description: str, texts: Sequence[str | TextFile]
) -> Iterator[tuple[int, str]]:
    total = sum(len(text) if isinstance(text, str) else text.size for text in texts)
    return track_progress(pieces, description, total, lambda piece: len(piece[1]))
