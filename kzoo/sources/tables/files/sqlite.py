"""Tables of SQLite databases: `sqlite:FILE?TABLE`, or `sqlite:FILE?SELECT ...`. Standard library only.

The database is opened for reading only, and a query may do nothing but read. What identifies the data is its rows.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from kzoo.sources.tables.raw import Rows
from kzoo.sources.tables.values import plain
from kzoo.sources.tables.written import CsvText, CsvWriter
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, hint, listed
from kzoo.utils.table_path import name_of_table

SUFFIXES = (".sqlite", ".sqlite3", ".db")
_FIX = "Select fewer rows or columns."
_SHOWN = 12  # tables named in a message
_QUERY = re.compile(r"\s*(select|with)\b", re.I)
_ALLOWED = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, getattr(sqlite3, "SQLITE_RECURSIVE", 33),
}  # fmt: skip


def written(path) -> CsvText:
    """Return a table of a database, or the rows of a query, as the text of a CSV file.

    Raises:
        KzooError: it is no database, has no such table, or the query is not a single SELECT.
    """
    name = name_of_table(path)
    with closing(_opened(path, name)) as database, _sqlite_errors(name):
        cursor = database.execute(_query(database, path, name))
        names = [column[0] for column in cursor.description or ()]
        writer = CsvWriter(name, _FIX)
        writer.header([" ".join(column.split()) for column in names])
        for number, row in enumerate(cursor, start=1):
            writer.row([_text(value, names[index], number, name) for index, value in enumerate(row)])
    return CsvText(writer.text(), name)


def header(path) -> Rows:
    """Return the columns of a table of a database without its rows.

    Raises:
        KzooError: see `written`.
    """
    name = name_of_table(path)
    with closing(_opened(path, name)) as database, _sqlite_errors(name):
        cursor = database.execute(_query(database, path, name))
        return Rows({" ".join(column[0].split()): plain([]) for column in cursor.description or ()}, "")


def _opened(path, name):
    """Return a connection that can only read."""
    if not Path(path).is_file():
        raise KzooError(f"{name!r}: there is no file {str(path)!r}.")
    with _sqlite_errors(name):
        database = sqlite3.connect(f"file:{quote(str(Path(path).absolute()))}?mode=ro", uri=True)
        database.execute("PRAGMA query_only = ON")
        database.execute("SELECT 1 FROM sqlite_master").fetchone()  # not every file is a database
        database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
        return database


def _query(database, path, name):
    """Return the SELECT that reads the table."""
    query = getattr(path, "query", None)
    if query and _QUERY.match(query):
        return query
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    tables = [table for table in tables if not table.startswith("sqlite_")]
    if query is None and len(tables) == 1:
        query = tables[0]
    if not tables:
        raise KzooError(f"{name!r} has no tables.")
    named = listed(map(repr, tables), _SHOWN)
    if query is None:
        raise KzooError(f"{name!r} has {len(tables)} tables: {named}. Name one: 'sqlite:{path.name}?{tables[0]}'.")
    exact = [table for table in tables if table == query] or [t for t in tables if t.lower() == query.lower()]
    if not exact:
        select = " Only a SELECT is allowed as a query." if " " in query else ""
        raise KzooError(f"{name!r}: there is no table {query!r}.{select} {hint(query, tables)}Its tables: {named}.")
    return 'SELECT * FROM "{}"'.format(exact[0].replace('"', '""'))


def _text(value, column, number, name):
    if value is None:
        return ""
    if isinstance(value, bytes):
        raise KzooError(f"{name!r}: {column!r} holds bytes in row {number}. Leave the column out of the SELECT.")
    return value if isinstance(value, str) else repr(value)


class _sqlite_errors:
    """Context manager that turns SQLite's errors into `KzooError`."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, sqlite3.Error | sqlite3.Warning):
            why = first_line(error) if str(error) else type(error).__name__
            fix = "Only one SELECT is allowed, and nothing that writes."
            if "not a database" in why:
                fix = "Pass a file that SQLite wrote."
            elif "no such" in why:
                fix = "Correct the name in the query."
            elif "locked" in why or "unable to open" in why:
                fix = "Close the program that writes to it, or copy it."
            raise KzooError(f"{self.name!r} cannot be read: {why}. {fix}") from None
