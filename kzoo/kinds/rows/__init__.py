"""Rows of a table: numbers and categories, one example a row."""

from kzoo.kinds import Kind, Source

KIND = Kind(
    name="rows",
    room=__name__,
    dtype="float32",
    axes=("features",),
    meaning="raw table rows, float32: numeric columns first, then one integer code per category column",
    facts=frozenset({"columns"}),
    readers={"table": frozenset({"columns"})},
    sources=(
        Source(
            name="a table",
            form="tabular",
            options=("target", "drop", "group", "task", "columns", "clip"),
            rest="a table of rows that have no order",
        ),
    ),
    example="ROWS.csv",
    batch=128,  # a row costs next to nothing
)
