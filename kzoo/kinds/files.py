"""Files of inputs: text whose encoding is found out, and what the command line names. Standard library only."""

from pathlib import Path

from kzoo.errors import KzooError


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
