"""Files of inputs: text whose encoding is found out, and what the command line names. Standard library only."""

import codecs
import io
from pathlib import Path

from kzoo.errors import KzooError

_PIECE = 2**20  # bytes


def read_text(path):
    """Return a text file as a string: UTF-8 or UTF-16 with a mark, UTF-8 without, else GB18030.

    Raises:
        KzooError: no such file, or neither encoding.
    """
    return decoded(read_bytes(path), Path(path).name)


def read_bytes(path, most=-1):
    """Return the bytes of a file, or its first ones.

    Raises:
        KzooError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise KzooError(f"Cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from None


def open_text(path):
    """Return a stream of what `read_text` returns, which is read piece by piece.

    Raises:
        KzooError: no such file, or neither encoding.
    """
    encoding = encoding_of(path)
    if encoding == "utf-16":
        return open(path, encoding=encoding, errors="replace", newline="")
    if encoding == "gb18030" and not _is(encoding, path):
        return io.StringIO(read_text(path))  # which says what it is not
    return _Lines(open(path, encoding={"utf-8": "utf-8-sig"}.get(encoding, encoding), newline=""))


def encoding_of(path) -> str:
    """Return the encoding that `read_text` reads a file in, as Python calls it."""
    if _is("utf-8", path):
        return "utf-8"
    return "utf-16" if read_bytes(path, 2) in (b"\xff\xfe", b"\xfe\xff") else "gb18030"


def _is(encoding, path):
    """Say whether a file is text in an encoding from beginning to end; of one that cannot be read, no."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                if not piece.isascii() or decoder.getstate()[0]:
                    decoder.decode(piece)
            decoder.decode(b"", final=True)
    except (OSError, ValueError):  # ValueError: other bytes than those of the encoding, or a NUL in the name
        return False
    return True


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
        return self._file.readline(size)

    def close(self):
        self._file.close()
        super().close()


def decoded(data, name):
    """Return the bytes of a text file of this name as `read_text` does."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    raise KzooError(f"{name!r} is neither UTF-8 nor GB18030 text; save it as UTF-8.")


def existing(word):
    """Return the path that a word of the command line is.

    Raises:
        KzooError: there is no such file or folder.
    """
    if not Path(word).exists():
        raise KzooError(f"{word!r} does not exist; this run reads files.")
    return word
