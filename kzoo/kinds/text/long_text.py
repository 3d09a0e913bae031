"""The tokens of one text: of one that lies in memory, or of a file that is too long for it, piece by piece.

The ids of such a file are made once, in the user's cache folder, and are mapped into memory. Pieces end where a line
does, so that the tokens are those of the whole: none goes across a line's end, no accent follows it, and no letter is
written otherwise because of it.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kzoo.dataset import splits
from kzoo.kinds.text.tokenizer import UNKNOWN, Tokenizer, learn_from_pieces
from kzoo.sources.files import TextFile, add_notes, read_text
from kzoo.storage.memory import too_large
from kzoo.storage.progress import followed
from kzoo.storage.row_files import Content, check_room, making, read_about, write_about
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes

_PIECE = 2**20  # characters
_MEMORY = 12  # bytes that a byte of text takes while it is read into memory
_TOKEN = 4  # characters of a word with what is around it, at the least on average
_FEWEST_LINES = 3
_HEAD = 2**16  # characters, in which that many are looked for first
_FORMAT = 2  # of the files
TAKEN = 2**26  # characters of all texts, up to which the fingerprint takes them as they are


class Tokens(NamedTuple):
    """Texts as a language model reads them: the parts of one, and a second one behind them where it is the test set.

    Args:
        tokenizer: learned on the first.
        ids: (tokens,) of each text.
        characters: of each text.
        unknown: the share of unknown tokens in the first.
        contents: what the fingerprint takes of each text.
        notes: lines to know.
    """

    tokenizer: Tokenizer
    ids: list[np.ndarray]
    characters: list[int]
    unknown: float
    contents: list[str]
    notes: list[str]


def _digest_of(text) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pieces_of(text: str | TextFile, ends: tuple[int, ...] = ()) -> Iterator[tuple[int, str]]:
    """Yield the number of a part of a text, and a piece of it, which ends where a line or the part does.

    Args:
        text: which lies in memory, and has one piece for each part, or in a file.
        ends: characters before which the parts end, all but the last.
    """
    if isinstance(text, str):
        yield from ((part, text[start:end]) for part, (start, end) in enumerate(pairwise((0, *ends, len(text)))))
        return
    bounds, done, part, held = [*ends, math.inf], 0, 0, [""]
    with text.open() as stream:
        while read := stream.read(_PIECE):
            while read:
                room = bounds[part] - done
                now, read = (read, "") if len(read) <= room else (read[:room], read[room:])
                done += len(now)
                if done == bounds[part]:
                    yield part, "".join([*held, now])
                    part, held = part + 1, [""]
                elif cut := now.rfind("\n") + 1:
                    yield part, "".join([*held, now[:cut]])
                    held = [now[cut:]]
                else:
                    held.append(now)
    if last := "".join(held):
        yield part, last


def tokens_of(text, tested, *, name, validation, test, level, size) -> Tokens:
    """Return the tokens of the parts of a text, and of a second one.

    Args:
        text: the text; a `TextFile` is too long for memory: its token ids are files that are mapped into it.
        tested: the second one, of the same type, or None.
        name: of the first, for messages.
        validation, test: fractions of the first.
        level, size: see `learn_and_encode`.

    Raises:
        KzooError: too few lines; a vocabulary without room; the cache folder cannot be written, or its disk is full.
    """
    texts = [text] if tested is None else [text, tested]

    def learn():
        """Return where the parts end, all but the last, the tokenizer, and lines to know."""
        total = lines = 0
        for _, piece in _followed(pieces_of(text), "reading the text", texts[:1]):
            total += len(piece)
            lines += _lines_in(piece) if lines < _FEWEST_LINES else 0
        if lines < _FEWEST_LINES:
            raise KzooError(f"{name!r} has fewer than {_FEWEST_LINES} lines of text: too little for a language model.")
        ends = splits.split_time(total, validation=validation, test=test)
        ends = ends if tested is None else ends[:1]
        learned = itertools.takewhile(lambda part: part[0] == 0, pieces_of(text, ends))
        learned = (piece for _, piece in _followed(learned, "learning the vocabulary", texts[:1]))
        tokenizer, exact = learn_from_pieces(learned, level=level, size=size, lowercase=level == "words")
        notes = [] if exact else ["More words differ than can be counted at once: the rarest were let go meanwhile."]
        return ends, tokenizer, notes

    def write(folder):
        ends, tokenizer, notes = learn()
        return _write(folder, texts, ends, tokenizer) | {"notes": notes}

    if isinstance(text, str):
        ends, tokenizer, notes = learn()
        contents = [part for _, part in _texts(texts, ends)]
        characters, ids = list(map(len, contents)), list(map(tokenizer.numbers, contents))
        unknown = float(np.mean(ids[0] == UNKNOWN)) if len(ids[0]) else 0.0
        contents = contents if sum(characters) <= TAKEN else [_digest_of(part) for part in contents]
        return Tokens(tokenizer, ids, characters, unknown, contents, notes)
    folder, about = _stored(texts, write, validation=validation, test=test, level=level, size=size)
    taken = in_bytes(sum(about["tokens"]) * np.dtype(about["dtype"]).itemsize)
    note = f"The text stays on disk: its token ids, {taken}, are kept in {str(folder)!r} and are read as needed."
    contents = about["digests"]
    if sum(about["characters"]) <= TAKEN:
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


def _lines_in(piece) -> int:
    """Return how many lines of a text are not blank; of a long one, whose head nearly always tells, some of them."""
    head = sum(1 for line in piece[:_HEAD].splitlines() if line.strip())
    if head >= _FEWEST_LINES or len(piece) <= _HEAD:
        return head
    return sum(1 for line in piece.splitlines() if line.strip())


def numbers_of(tokenizer, path) -> np.ndarray:
    """Return the ids of a text file; of one that is too long for memory, a file of them that is mapped into it.

    Raises:
        KzooError: no text; the cache folder cannot be written, or its disk is full.
    """
    notes: list[str] = []
    if not is_too_long([Path(path)]):
        text = read_text(path, notes)
        add_notes(notes)
        return tokenizer.numbers(text)
    file = TextFile(path, notes)
    add_notes(notes)
    folder, about = _stored([file], lambda folder: _write(folder, [file], (), tokenizer), **tokenizer.settings())
    return _mapped(folder, about)[0]


def is_too_long(files) -> bool:
    """Say whether memory has no room for reading text files."""
    return too_large(_MEMORY * sum(file.stat().st_size for file in files if file.is_file()))


def _stored(files, make, **asked):
    """Return the folder that holds the tokens of files, and what is known of them; make it where it is not there."""
    content = Content([file.path for file in files])
    key = repr([_FORMAT, content.hashes, sorted(asked.items())]).encode("utf-8", "surrogatepass")
    with making(f"text-{hashlib.sha256(key).hexdigest()[:16]}") as (folder, new):
        if new is not None:
            about = make(new)
            if content.changed():
                raise KzooError(f"{files[0].name!r} was changed while it was read: start again once it is complete.")
            write_about(new, about)
    return folder, read_about(folder)


def _write(folder, files, ends, tokenizer) -> dict:
    """Write the ids of each part into a folder, and return what is known of them."""
    dtype = next(np.dtype(name) for name in ("uint8", "uint16", "int32") if len(tokenizer) <= np.iinfo(name).max + 1)
    size = sum(file.size for file in files)
    check_room(folder, size * dtype.itemsize // (1 if tokenizer.level == "characters" else _TOKEN))
    parts = range(len(ends) + len(files))
    tokens, characters, digests, unknown = [0 for _ in parts], [0 for _ in parts], [hashlib.sha256() for _ in parts], 0
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


def _mapped(folder, about):
    """Return the ids of each part."""
    dtype = np.dtype(about["dtype"])
    return [
        np.memmap(folder / f"{part}.ids", dtype, "r", shape=(tokens,)) if tokens else np.zeros(0, dtype)
        for part, tokens in enumerate(about["tokens"])
    ]


def _texts(texts, ends):
    """Yield number and piece of each part of a text, and of a second one behind it."""
    yield from pieces_of(texts[0], ends)
    for text in texts[1:]:
        yield from ((len(ends) + 1, piece) for _, piece in pieces_of(text))


def _followed(pieces, what, texts):
    total = sum(len(text) if isinstance(text, str) else text.size for text in texts)
    return followed(pieces, what, total, lambda piece: len(piece[1]))
