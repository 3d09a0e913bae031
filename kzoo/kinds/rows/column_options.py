"""What a user says of columns: `columns=`, checked against the names of a table. No pandas."""

from collections.abc import Mapping

from kzoo.sources.tables.numbers import DECIMALS, THOUSANDS
from kzoo.sources.tables.raw import require
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint

KINDS = ("number", "category", "date")
_WRITING = ("decimal", "thousands")


def named_columns(columns) -> list:
    """Return the names of columns that a user says something of: a file's cells of these stay as they are written."""
    return list(columns) if isinstance(columns, Mapping) else []


def column_options(columns, table) -> dict:
    """Return what a user says of columns as name -> {"kind": ..., "decimal": ..., "thousands": ...}, all optional.

    Args:
        columns: name -> a word of `KINDS`, or such a dict; None for nothing.
        table: `Rows` or a DataFrame.

    Raises:
        KzooError: no such column, or something that cannot be said of one.
    """
    if not isinstance(columns or {}, Mapping):
        raise KzooError(f"columns={columns!r} must be a dict such as {{'zip': 'category'}}.")
    said = {}
    for name, how in (columns or {}).items():
        require(table, [name], "the table")
        how = {"kind": how} if isinstance(how, str) else how
        if not isinstance(how, Mapping) or set(how) - {"kind", *_WRITING}:
            raise KzooError(f"columns: {name!r} is {how!r}; say one of {', '.join(KINDS)}, or {{'decimal': ','}}.")
        kind = how.get("kind", "number")
        if kind not in KINDS:
            raise KzooError(f"columns: {name!r} is {kind!r}. {hint(kind, KINDS)}Use: {', '.join(KINDS)}.")
        signs = {sign: how[sign] for sign in _WRITING if sign in how}
        if signs and kind != "number":
            raise KzooError(f"columns: {name!r} is a {kind}; {' and '.join(signs)} are for numbers.")
        for sign, legal in (("decimal", DECIMALS), ("thousands", THOUSANDS)):
            if sign in signs and signs[sign] not in legal:
                raise KzooError(
                    f"columns: {name!r} has {sign}={signs[sign]!r}; it is one of {' '.join(map(repr, legal))}."
                )
        if len(set(signs.values())) < len(signs):
            raise KzooError(f"columns: {name!r} cannot have {signs['decimal']!r} for both decimal and thousands.")
        said[name] = {"kind": kind, **signs}
    return said
