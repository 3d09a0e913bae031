"""Text files and the shape of CSV files: encoding, separator and decimal sign found out, errors in one line."""

import re
from pathlib import Path

from kzoo.errors import KzooError


def read_text(path):
    """Return a text file as a string: UTF-8 or UTF-16 with a mark, UTF-8 without, else GB18030.

    Raises:
        KzooError: no such file, or neither encoding.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise KzooError(f"Cannot read {str(path)!r}: {error.strerror}.") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    raise KzooError(f"{Path(path).name!r} is neither UTF-8 nor GB18030 text; save it as UTF-8.")


def read_csv_text(path):
    """Return (text, separator, decimal sign) of a CSV file; a comma, semicolon or tab is found in the first line.

    Raises:
        KzooError: not a table.
    """
    text, name = read_text(path), Path(path).name
    if "\0" in text[:1000]:
        raise KzooError(f"{name!r} is not a text file; kzoo reads tables as CSV.")
    head = text.lstrip().split("\n", 6)[:6]
    if not head[0].strip():
        raise KzooError(f"{name!r} is empty.")
    bare = re.sub(r'"[^"]*"', "", head[0])
    separator = max(",;\t", key=bare.count)
    # Where a comma is no separator it may be the decimal point: 1,5;2,5
    decimal = "," if separator != "," and re.search(r"(^|[;\t])-?\d+,\d+(?=[;\t]|$)", "\n".join(head), re.M) else "."
    return text, separator, decimal
