"""Files of JSON objects, one a line: each is a row, its keys are the columns. Standard library only."""

import json
from pathlib import Path

from kzoo.inference.sources.files import decode_text, read_bytes
from kzoo.inference.tables.written import CsvText, CsvWriter, check_filled, most_text
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes, shown
from kzoo.utils.memory import free_memory
from kzoo.utils.table_path import name_of_table

SUFFIXES = (".jsonl", ".ndjson")
_BYTES_OF_CELL = 160  # as an object of Python
_ALWAYS = 1_000_000  # cells that a table may always have
_FIX = "Write it as CSV or Parquet, which are read piece by piece."


def written(path: str | Path) -> CsvText:
    """Return a file of JSON objects as the text of a CSV file.

    Raises:
        KzooError: a line is not an object of numbers, texts, true, false and null.
    """
    name = name_of_table(path)
    if (size := Path(path).stat().st_size if Path(path).is_file() else 0) > (most := most_text()):
        raise KzooError(
            f"{name!r} ({in_bytes(size)}) does not fit into memory: at most {in_bytes(most)}. {_FIX}"
        )
    return written_content(read_bytes(path), name)


def written_content(content: bytes, name: str) -> CsvText:
    """Return lines of JSON objects as the text of a CSV file (see `written`)."""
    notes: list[str] = []
    rows: list[dict[str, str]] = []
    names: dict[str, None] = {}
    cells = 0
    most = max(_ALWAYS, free_memory() // _BYTES_OF_CELL)
    for number, line in enumerate(decode_text(content, name, notes).split("\n"), start=1):
        if not line.strip():
            continue
        row = _row(line, number, name)
        rows.append(row)
        names |= dict.fromkeys(row)
        cells += len(row)
        if cells > most:
            raise KzooError(
                f"{name!r} has more than {most:,} cells, more than fit into memory. {_FIX}"
            )
    if not names:
        raise KzooError(f"{name!r} is empty. It should have a JSON object on each line.")
    check_filled(name, len(rows), len(names), cells)
    writer = CsvWriter(name, _FIX)
    writer.header(list(names))
    for row in rows:
        writer.row([row.get(column, "") for column in names])
    return CsvText(writer.text(), name, tuple(notes))


def _row(line: str, number: int, name: str) -> dict[str, str]:
    """Return a line as a dict of texts."""
    where = f"{name!r}, line {number}"
    try:
        # Numbers stay as written: the rules of CSV files read them.
        values = json.loads(
            line, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_Pairs
        )
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise KzooError(f"{where} is not JSON: {why}. Write an object on each line.") from None
    if not isinstance(values, _Pairs):
        raise KzooError(f'{where} is {shown(values)}, not an object such as {{"age": 34}}.')
    row = {}
    for key, value in values:
        if key in row:
            raise KzooError(f"{where} has {key!r} twice. Keep one of them.")
        if isinstance(value, list | _Pairs):
            nested = "an object" if isinstance(value, _Pairs) else "a list"
            raise KzooError(
                f"{where}: {key!r} is {nested}. A cell must be a number, a text, true, false or null."
            )
        row[key] = "" if value is None else str(value)
    return row


class _Pairs(tuple):
    """The pairs of an object, in which a key may repeat."""
