"""Input files: text files whose encoding is detected, and files named on the command line. Standard library only."""

import codecs
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from kzoo.inference.sources.shards import read_member
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import check_regular
from kzoo.utils.formatting import plural
from kzoo.utils.table_path import locate

_PIECE = 2**20  # bytes
_NAMES = {"gb18030": "GB18030 (Chinese)", "cp1252": "Windows-1252 (Western European)"}
_RUN = re.compile(rb"[\x80-\xff]+")
# Non-ASCII bytes stand alone between ASCII letters in Western European text, and in pairs and longer runs in Chinese.
# A pair counts as two Latin letters (größe) if ASCII letters touch it on both sides, or on one side and its first byte
# does not begin frequent Chinese characters.
_LATIN = re.compile(
    rb"(?<![\x80-\xff])(?:[\x80\x85\x91-\x97\xa0-\xff](?![\x80-\xff])|(?<=[A-Za-z])[\xc0-\xff]{2}(?=[a-z])"
    rb"|(?<=[a-z])[\xd8-\xff]{2}(?![\x80-\xff])|(?<![A-Za-z\x80-\xff])[\xd8-\xff]{2}(?=[a-z]))"
)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def read_text(path: str | Path, notes: list[str] | None = None) -> str:
    """Return a text file as a string.

    Encodings are UTF-8 or UTF-16 with a byte order mark, UTF-8 without, else GB18030 or Windows-1252.

    Args:
        notes: a list that gets a line if the encoding is a guess.

    Raises:
        KzooError: the file does not exist, or has none of these encodings.
    """
    return decode_text(read_bytes(path), Path(path).name, notes)


def read_bytes(path: str | Path, most: int = -1) -> bytes:
    """Return the bytes of a file, or its first `most` bytes.

    Raises:
        KzooError: it cannot be read.
    """
    check_regular(path)
    try:
        if (content := read_member(path, most)) is not None:
            return content
        with open(path, "rb") as file:
            return file.read(most)
    except KzooError:  # of a part of a table at an address
        raise
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise KzooError(
            f"Cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}."
        ) from None


class TextFile:
    """A text file that is read piece by piece, with the encodings of `read_text`. The encoding is detected once.

    Args:
        path: the file.
        notes: see `read_text`.

    Attributes:
        encoding: Python's name of the encoding.
        size: in bytes.
        line_ends: number of line feeds and carriage returns, an upper bound of the number of lines.

    Raises:
        KzooError: the file does not exist, or has none of the encodings.
    """

    def __init__(self, path: str | Path, notes: list[str] | None = None) -> None:
        read_bytes(path, 1)
        self.path = path if isinstance(path, Path) else Path(path)
        self.size = self.path.stat().st_size
        self.name = self.path.name
        with open(path, "rb") as file:
            self.encoding, self.line_ends = _encoding(file, self.name, notes)

    def open(self) -> io.TextIOBase:
        """Return a stream of the text from the beginning."""
        if self.encoding == "utf-16":
            return open(self.path, encoding="utf-16", errors="replace", newline="")
        return _UniversalNewlines(
            open(
                self.path,
                encoding={"utf-8": "utf-8-sig"}.get(self.encoding, self.encoding),
                newline="",
            )
        )


def _encoding(file: BinaryIO, name: str, notes: list[str] | None) -> tuple[str, int]:
    """Return the encoding of a stream of bytes, and the number of its line feeds and carriage returns."""
    byte_order_mark = file.read(2)
    is_utf_8, line_ends = _scan("utf-8", file)
    if byte_order_mark in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", line_ends
    if is_utf_8:
        return "utf-8", line_ends
    chinese, _ = _scan("gb18030", file)
    likely = (
        "cp1252"
        if _is_mostly_latin(file) and _scan("cp1252", file)[0]
        else "gb18030"
        if chinese
        else None
    )
    if likely is None:
        raise KzooError(
            f"Cannot detect the encoding of {name!r}: it is not UTF-8, GB18030 or Windows-1252. Save it as UTF-8."
        )
    if notes is not None:
        notes.append(
            f"{name!r} is not UTF-8 and was read as {_NAMES[likely]}. If letters look wrong, save it as UTF-8."
        )
    return likely, line_ends


def _scan(encoding: str, file: BinaryIO) -> tuple[bool, int]:
    """Return whether a whole stream of bytes is text in an encoding, and the number of its line ends."""
    decoder = codecs.getincrementaldecoder(encoding)()
    is_text = True
    line_ends = 0
    file.seek(0)
    while piece := file.read(_PIECE):
        line_ends += piece.count(b"\n") + piece.count(b"\r")
        if is_text and (not piece.isascii() or decoder.getstate()[0]):
            is_text = _decodes(decoder, piece)
    return is_text and _decodes(decoder, b"", final=True), line_ends


def _decodes(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> bool:
    """Return True if the next piece of a stream of bytes can be decoded."""
    try:
        decoder.decode(piece, final)
    except ValueError:
        return False
    return True


def _is_mostly_latin(file: BinaryIO) -> bool:
    """Return True if most non-ASCII bytes of a stream are placed like accented letters and umlauts."""
    file.seek(0)
    runs = latin = 0
    while piece := file.read(_PIECE):
        piece += file.readline()
        if _NO_TEXT.search(piece):
            return False
        if not piece.isascii():
            runs += sum(1 for _ in _RUN.finditer(piece))
            latin += sum(1 for _ in _LATIN.finditer(piece))
    return latin > 2 * runs / 3


class _UniversalNewlines(io.TextIOBase):
    """A text stream in which CR LF becomes LF."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> str:
        text = self._file.read(-1 if size is None else size)
        while text.endswith("\r") and (more := self._file.read(1)):
            text += more
        return text.replace("\r\n", "\n")

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]  # of bytes in the stubs
        return self._file.readline(-1 if size is None else size).replace("\r\n", "\n")

    def close(self) -> None:
        self._file.close()
        super().close()


def decode_text(data: bytes, name: str, notes: list[str] | None = None) -> str:
    """Return the text of the bytes of a file, decoded as in `read_text`."""
    try:
        text = data.decode("utf-8-sig")  # most files are UTF-8
    except ValueError:
        encoding, _ = _encoding(io.BytesIO(data), name, notes)
        if encoding == "utf-16":
            return data.decode(encoding, "replace")
        text = data.decode(encoding)
    return text.replace("\r\n", "\n") if "\r" in text else text


def add_notes(lines: Iterable[str], notes: list[str] | None = None) -> None:
    """Append lines to `notes`; if it is None, issue them as warnings."""
    if notes is not None:
        notes += lines
        return
    for line in lines:
        warn(line)


def joined_notes(notes: Sequence[str]) -> list[str]:
    """Return notes that each concern one file as a single line, in a list; an empty list if there are none."""
    more = len(notes) - 1
    return (
        [f"{notes[0]} The same applies to {plural(more, 'more file')}." if more else notes[0]]
        if notes
        else []
    )


def existing_path(path: str | Path) -> Path:
    """Return a path from the command line.

    Raises:
        KzooError: the file or folder does not exist.
    """
    located = locate(path)
    if not Path(located).exists():
        raise KzooError(f"{path!r} does not exist. The inputs of this run are files.")
    check_regular(located)
    return located
