"""A text too long for memory: read piece by piece, and kept as files of token ids that are mapped into memory.

The ids are made once, in the user's cache folder. Pieces end where a line does, so that the tokens are those of the
whole: none goes across a line's end, no accent follows it, and no letter is written otherwise because of it.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kzoo.data import splits
from kzoo.data.progress import followed
from kzoo.data.stored import check_room, making, read_about, write_about
from kzoo.errors import KzooError
from kzoo.kinds.files import open_text
from kzoo.kinds.text.tokenizer import UNKNOWN, Tokenizer, learn_from_pieces
from kzoo.words import in_bytes

_PIECE = 2**20  # characters
_TOKEN = 4  # characters of a word with what is around it, at the least on average
FEWEST_LINES = 3
_FORMAT = 1  # of the files
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


def ends_of(characters, lines, *, name, validation, test, tested) -> tuple[int, ...]:
    """Return where the parts of a text end, all but the last.

    Raises:
        KzooError: too few lines, or fractions that leave nothing.
    """
    if lines < FEWEST_LINES:
        raise KzooError(f"{name!r} has fewer than {FEWEST_LINES} lines of text: too little for a language model.")
    ends = splits.split_time(characters, validation=validation, test=test)
    return ends if tested is None else ends[:1]


def lines_in(text) -> int:
    """Return how many lines of a text are not blank."""
    return sum(1 for line in text.splitlines() if line.strip())


def digest_of(text) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pieces_of(path: Path, ends: tuple[int, ...] = ()) -> Iterator[tuple[int, str]]:
    """Yield the number of a part of a text file, and a piece of it, which ends where a line or the part does.

    Args:
        path: the file.
        ends: characters before which the parts end, all but the last.
    """
    bounds, done, part, held = [*ends, math.inf], 0, 0, [""]
    with open_text(path) as stream:
        while text := stream.read(_PIECE):
            while text:
                room = bounds[part] - done
                now, text = (text, "") if len(text) <= room else (text[:room], text[room:])
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


def tokens_on_disk(path, tested, *, name, validation, test, level, size) -> Tokens:
    """Return the tokens of the parts of a text file, and of a second one, as files that are mapped into memory.

    Args:
        path: the file.
        tested: the second file, or None.
        name: of the first, for messages.
        validation, test: fractions of the first.
        level, size: see `learn_tokenizer`.

    Raises:
        KzooError: too few lines; the cache folder cannot be written, or its disk is full.
    """
    files = [file for file in (path, tested) if file is not None]
    known = [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    asked = dict(validation=validation, test=test, level=level, size=size)
    key = hashlib.sha256(repr([_FORMAT, known, sorted(asked.items())]).encode()).hexdigest()[:16]
    with making(f"text-{key}") as (folder, new):
        if new is not None:
            _make(new, files, name=name, **asked)
    about = read_about(folder)
    dtype = np.dtype(about["dtype"])
    stored = in_bytes(sum(about["tokens"]) * dtype.itemsize)
    note = f"The text stays on disk: its token ids, {stored}, are kept in {str(folder)!r} and are read as needed."
    contents = about["digests"]
    if sum(about["characters"]) <= TAKEN:
        contents = [""] * len(contents)
        for part, text in _texts(files, about["ends"]):
            contents[part] += text
    return Tokens(
        tokenizer=Tokenizer(**about["tokenizer"]),
        ids=[
            np.memmap(folder / f"{part}.ids", dtype, "r", shape=(tokens,)) if tokens else np.zeros(0, dtype)
            for part, tokens in enumerate(about["tokens"])
        ],
        characters=about["characters"],
        unknown=about["unknown"],
        contents=contents,
        notes=[note, *about["notes"]],
    )


def _make(folder, files, *, name, level, size, **fractions):
    """Write the ids of each part into a folder, and what is known of them."""
    sizes = [file.stat().st_size for file in files]
    total = lines = 0
    for _, text in followed(pieces_of(files[0]), "reading the text", sizes[0], _length):
        total += len(text)
        lines += lines_in(text) if lines < FEWEST_LINES else 0
    ends = ends_of(total, lines, name=name, tested=files[1] if files[1:] else None, **fractions)
    learned = itertools.takewhile(lambda one: one[0] == 0, pieces_of(files[0], ends))
    learned = (text for _, text in followed(learned, "learning the vocabulary", sizes[0], _length))
    tokenizer, exact = learn_from_pieces(learned, level=level, size=size, lowercase=level == "words")
    dtype = next(np.dtype(name) for name in ("uint8", "uint16", "int32") if len(tokenizer) <= np.iinfo(name).max + 1)
    check_room(folder, sum(sizes) * dtype.itemsize // (1 if level == "characters" else _TOKEN))
    parts = range(len(ends) + len(files))
    tokens, characters, digests, unknown = [0 for _ in parts], [0 for _ in parts], [hashlib.sha256() for _ in parts], 0
    with ExitStack() as stack:
        out = [stack.enter_context(open(folder / f"{part}.ids", "wb")) for part in parts]
        for part, text in followed(_texts(files, ends), "numbering the tokens", sum(sizes), _length):
            ids = tokenizer.numbers(text)
            ids.astype(dtype).tofile(out[part])
            digests[part].update(text.encode("utf-8", "surrogatepass"))
            tokens[part] += len(ids)
            characters[part] += len(text)
            unknown += int(np.count_nonzero(ids == UNKNOWN)) if part == 0 else 0
    write_about(folder, {
        "made of": list(map(str, files)),
        "tokenizer": tokenizer.settings(),
        "dtype": dtype.name,
        "ends": list(ends),
        "tokens": tokens,
        "characters": characters,
        "unknown": unknown / max(tokens[0], 1),
        "digests": [digest.hexdigest() for digest in digests],
        "notes": [] if exact else ["More words differ than can be counted at once: the rarest were let go meanwhile."],
    })  # fmt: skip


def _texts(files, ends):
    """Yield number and piece of each part of a file, and of a second one behind it."""
    yield from pieces_of(files[0], ends)
    for file in files[1:]:
        yield from ((len(ends) + 1, text) for _, text in pieces_of(file))


def _length(piece):
    return len(piece[1])
