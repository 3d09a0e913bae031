"""Tables of SQLite databases: `sqlite:FILE?TABLE`, or `sqlite:FILE?SELECT ...`. Standard library only.

The database is opened for reading only, and a query may only read, within limits of time and memory, because a view in
the file may compute anything. What identifies the data is its rows.
"""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import plain
from kzoo.inference.tables.written import CsvText, CsvWriter
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, hint, in_bytes, listed
from kzoo.utils.table_path import name_of_table

SUFFIXES = (".sqlite", ".sqlite3", ".db")
_FIX = "Select fewer rows or columns."
_SECONDS = 30.0  # for a query, and a second more for each `_TEXT_PER_SECOND` characters of its rows
_TEXT_PER_SECOND = 500_000
_STEPS = 50_000  # of SQLite's virtual machine between two looks at the clock: some milliseconds
_HEAP = 128 << 20  # bytes that SQLite may take; sorting uses files beyond its cache
_MOST_CELL = 16 << 20  # bytes of a cell
_MOST_PATTERN = 1_000  # characters of a pattern of LIKE and GLOB
_MOST_INSTRUCTIONS = 1_000_000  # of a query: views of views may double at each level
_SHOWN = 12  # tables named in a message
_QUERY = re.compile(r"\s*(select|with)\b", re.I)
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    getattr(sqlite3, "SQLITE_RECURSIVE", 33),
}


def written(path: str | Path) -> CsvText:
    """Return a table of a database, or the rows of a query, as the text of a CSV file.

    Raises:
        KzooError: it is no database, has no such table, or the query is not a single SELECT.
    """
    name = name_of_table(path)
    with _opened(path, name) as (database, clock):
        cursor = database.execute(_query(database, path, name))
        names = [column[0] for column in cursor.description or ()]
        writer = CsvWriter(name, _FIX)
        writer.header([" ".join(column.split()) for column in names])
        for number, row in enumerate(cursor, start=1):
            writer.row(
                [_text(value, names[index], number, name) for index, value in enumerate(row)]
            )
            clock.text = writer.length
    return CsvText(writer.text(), name)


def header(path: str | Path) -> Rows:
    """Return the columns of a table of a database without its rows.

    Raises:
        KzooError: see `written`.
    """
    name = name_of_table(path)
    with _opened(path, name) as (database, _):
        cursor = database.execute(_query(database, path, name))
        return Rows(
            {" ".join(column[0].split()): plain([]) for column in cursor.description or ()}, ""
        )


@contextmanager
def _opened(path: str | Path, name: str) -> Iterator[tuple[sqlite3.Connection, "_Clock"]]:
    """Yield a connection that can only read, and its `_Clock`; SQLite's errors become `KzooError`."""
    if not Path(path).is_file():
        raise KzooError(f"{name!r}: there is no file {str(path)!r}.")
    database = None
    clock = _Clock()
    try:
        database = sqlite3.connect(f"file:{quote(str(Path(path).absolute()))}?mode=ro", uri=True)
        database.set_progress_handler(clock.is_over, _STEPS)
        database.execute("PRAGMA query_only = ON")
        database.execute("SELECT 1 FROM sqlite_master").fetchone()  # not every file is a database
        _check_whole(database, path, name)
        _limit(database)
        yield database, clock
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        if "interrupted" in str(error) and not clock.over:
            # SQLite has ended the query because `is_over` raised it
            raise KeyboardInterrupt from None
        raise KzooError(f"{name!r} cannot be read: {_reason(error, clock)}") from None
    finally:
        if database is not None:
            database.set_authorizer(None)
            database.execute("PRAGMA hard_heap_limit = 0")  # a limit of the process
            database.close()


class _Clock:
    """The time that a query may take.

    Attributes:
        text: characters of the rows so far.
        over: whether the time is over.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.text = 0
        self.over = False

    def is_over(self) -> bool:
        """Return True if the query must end; SQLite calls this now and then."""
        self.over = time.monotonic() - self._began > _SECONDS + self.text / _TEXT_PER_SECOND
        return self.over


def _check_whole(database: sqlite3.Connection, path: str | Path, name: str) -> None:
    """Raise `KzooError` if the file is shorter than its pages: SQLite reads what is missing as zeros."""
    (pages,), (size,) = (
        database.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size")
    )
    # newer pages are in there
    if Path(path).stat().st_size < pages * size and not Path(f"{path}-wal").exists():
        raise KzooError(f"{name!r} is cut off: it ends inside a page. Copy the file again.")


def _limit(database: sqlite3.Connection) -> None:
    """Limit what a query may do and how much memory it may take."""
    for limit, most in (
        (sqlite3.SQLITE_LIMIT_LENGTH, _MOST_CELL),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _MOST_PATTERN),
        (sqlite3.SQLITE_LIMIT_VDBE_OP, _MOST_INSTRUCTIONS),
    ):
        database.setlimit(limit, most)
    database.execute(f"PRAGMA hard_heap_limit = {_HEAP}")
    database.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
    )


def _query(database: sqlite3.Connection, path: str | Path, name: str) -> str:
    """Return the SELECT that reads the table."""
    query = getattr(path, "query", None)
    if query and _QUERY.match(query):
        return query
    tables = [
        row[0]
        for row in database.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
        )
    ]
    tables = [table for table in tables if not table.startswith("sqlite_")]
    if query is None and len(tables) == 1:
        query = tables[0]
    if not tables:
        raise KzooError(f"{name!r} has no tables.")
    named = listed(map(repr, tables), _SHOWN)
    if query is None:
        raise KzooError(
            f"{name!r} has {len(tables)} tables: {named}. Name one: 'sqlite:{Path(path).name}?{tables[0]}'."
        )
    exact = [table for table in tables if table == query] or [
        t for t in tables if t.lower() == query.lower()
    ]
    if not exact:
        select = " Only a SELECT is allowed as a query." if " " in query else ""
        raise KzooError(
            f"{name!r}: there is no table {query!r}.{select} {hint(query, tables)}Its tables: {named}."
        )
    return 'SELECT * FROM "{}"'.format(exact[0].replace('"', '""'))


def _text(value: object, column: str, number: int, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        raise KzooError(
            f"{name!r}: {column!r} holds bytes in row {number}. Leave the column out of the SELECT."
        )
    return value if isinstance(value, str) else repr(value)


def _reason(error: BaseException, clock: "_Clock") -> str:
    """Return why SQLite refused to read, and what to do about it."""
    why = first_line(error) if str(error) else type(error).__name__
    if clock.over:
        return f"its query takes more than {_SECONDS:g} seconds. Store its result: CREATE TABLE ... AS SELECT ..."
    if isinstance(error, MemoryError):
        return f"a query may take {in_bytes(_HEAP)} of memory. {_FIX}"
    if "too big" in why:
        return f"a cell has more than {in_bytes(_MOST_CELL)}. Leave the column out of the SELECT."
    fixes = {
        "not a database": "Pass a file that SQLite wrote.",
        "malformed": "Copy the file again.",
        "no such": "Correct the name in the query.",
        "locked": "Close the program that writes to it, or copy it.",
        "unable to open": "Close the program that writes to it, or copy it.",
        "too ": "Store the result of its views as a table.",
    }
    fix = next(
        (fix for part, fix in fixes.items() if part in why),
        "Only one SELECT is allowed, and nothing that writes.",
    )
    return f"{why}. {fix}"
