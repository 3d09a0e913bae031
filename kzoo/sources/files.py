"""Files of inputs: text whose encoding is found out, and what the command line names. Standard library only."""

import codecs
import io
import re
from pathlib import Path

from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import check_regular
from kzoo.utils.formatting import plural

_PIECE = 2**20  # bytes
_NAMES = {"gb18030": "GB18030 (Chinese)", "cp1252": "Windows-1252 (Western European)"}
_RUN = re.compile(rb"[\x80-\xff]+")
# What is no ASCII stands alone between ASCII letters in Western European text, and in pairs and longer runs in Chinese.
# A pair is two letters (größe) where Latin ones touch it on both sides, or on one and its first byte is none of those
# that frequent Chinese characters begin with.
_LATIN = re.compile(
    rb"(?<![\x80-\xff])(?:[\x80\x85\x91-\x97\xa0-\xff](?![\x80-\xff])|(?<=[A-Za-z])[\xc0-\xff]{2}(?=[a-z])"
    rb"|(?<=[a-z])[\xd8-\xff]{2}(?![\x80-\xff])|(?<![A-Za-z\x80-\xff])[\xd8-\xff]{2}(?=[a-z]))"
)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def read_text(path, notes=None):
    """Return a text file as a string: UTF-8 or UTF-16 with a mark, UTF-8 without, else GB18030 or Windows-1252.

    Args:
        notes: a list that gets a line to know where which one was found out by what is likely.

    Raises:
        KzooError: no such file, or none of these.
    """
    return decoded(read_bytes(path), Path(path).name, notes)


def read_bytes(path, most=-1):
    """Return the bytes of a file, or its first ones.

    Raises:
        KzooError: it cannot be read.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise KzooError(f"Cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from None


class TextFile:
    """A text file that is read piece by piece, as `read_text` reads a whole one. What it is, is found out once.

    Args:
        path: the file.
        notes: see `read_text`.

    Attributes:
        encoding: as Python calls it.
        size: in bytes.
        line_ends: how many line feeds and carriage returns it has: lines, at the most.

    Raises:
        KzooError: no such file, or none of the encodings.
    """

    def __init__(self, path, notes=None):
        read_bytes(path, 1)
        self.path, self.size = Path(path), Path(path).stat().st_size
        self.name = self.path.name
        with open(path, "rb") as file:
            self.encoding, self.line_ends = _encoding(file, self.name, notes)

    def open(self):
        """Return a stream of the text from its beginning."""
        if self.encoding == "utf-16":
            return open(self.path, encoding="utf-16", errors="replace", newline="")
        return _Lines(open(self.path, encoding={"utf-8": "utf-8-sig"}.get(self.encoding, self.encoding), newline=""))


def _encoding(file, name, notes):
    """Return the encoding of a stream of bytes, and how many line feeds and carriage returns it has."""
    mark = file.read(2)
    is_utf_8, line_ends = _scanned("utf-8", file)
    if mark in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", line_ends
    if is_utf_8:
        return "utf-8", line_ends
    chinese, _ = _scanned("gb18030", file)
    likely = "cp1252" if _looks_latin(file) and _scanned("cp1252", file)[0] else "gb18030" if chinese else None
    if likely is None:
        raise KzooError(f"{name!r} is neither UTF-8 nor GB18030 text, nor Windows-1252; save it as UTF-8.")
    if notes is not None:
        notes.append(f"{name!r} is not UTF-8: it is read as {_NAMES[likely]}. If letters look wrong, save it as UTF-8.")
    return likely, line_ends


def _scanned(encoding, file):
    """Return whether a stream of bytes is text in an encoding from beginning to end, and how many line ends it has."""
    decoder, is_text, line_ends = codecs.getincrementaldecoder(encoding)(), True, 0
    file.seek(0)
    while piece := file.read(_PIECE):
        line_ends += piece.count(b"\n") + piece.count(b"\r")
        if is_text and (not piece.isascii() or decoder.getstate()[0]):
            is_text = _decodes(decoder, piece)
    return is_text and _decodes(decoder, b"", final=True), line_ends


def _decodes(decoder, piece, *, final=False):
    """Say whether the next piece of a stream of bytes is text."""
    try:
        decoder.decode(piece, final)
    except ValueError:
        return False
    return True


def _looks_latin(file):
    """Say whether most of what is no ASCII in a stream of bytes stands as accents and umlauts do."""
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


class _Lines(io.TextIOBase):
    """A stream of text whose lines end in a line feed, where they end in it and a carriage return."""

    def __init__(self, file):
        self._file = file

    def read(self, size=-1):
        text = self._file.read(size)
        while text.endswith("\r") and (more := self._file.read(1)):
            text += more
        return text.replace("\r\n", "\n")

    def readline(self, size=-1):
        return self._file.readline(size).replace("\r\n", "\n")

    def close(self):
        self._file.close()
        super().close()


def decoded(data, name, notes=None):
    """Return the bytes of a text file of this name as `read_text` does."""
    try:
        text = data.decode("utf-8-sig")  # as most are
    except ValueError:
        encoding, _ = _encoding(io.BytesIO(data), name, notes)
        if encoding == "utf-16":
            return data.decode(encoding, "replace")
        text = data.decode(encoding)
    return text.replace("\r\n", "\n") if "\r" in text else text


def add_notes(lines, notes=None):
    """Append lines to notes; without any, warn."""
    if notes is not None:
        notes += lines
        return
    for line in lines:
        warn(line)


def joined_notes(said) -> list:
    """Return lines that are said of one file each as one line, where there are any."""
    more = len(said) - 1
    return [f"{said[0]} So it is with {plural(more, 'more file')}." if more else said[0]] if said else []


def existing(word):
    """Return the path that a word of the command line is.

    Raises:
        KzooError: there is no such file or folder.
    """
    if not Path(word).exists():
        raise KzooError(f"{word!r} does not exist; this run reads files.")
    check_regular(word)
    return word
