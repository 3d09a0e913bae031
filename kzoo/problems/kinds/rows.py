"""Kind of input "rows": rows of a table, with numbers, dates, categories and texts as columns."""

from kzoo.problems.kinds import Kind, Source
from kzoo.problems.preprocessors import TablePreprocessor


def _makes(reader: TablePreprocessor) -> dict[str, list[int]]:
    """Return the settings that the columns fix: the number of features, the codes of each category column, and the ids.

    A number column is one feature, a date column one per part; a missing indicator is one more; a text has a fixed
    number of ids.
    """
    columns = reader["columns"]
    width = sum(
        column.get("length", len(column.get("medians", " "))) + column.get("missing", False)
        for column in columns
    )
    counts = [len(column["values"]) + 1 for column in columns if column["kind"] == "category"]
    texts = [column for column in columns if column["kind"] == "text"]
    return {
        "input_shape": [width],
        "categories": counts,
        "text_buckets": [column["buckets"] for column in texts],
        "text_lengths": [column["length"] for column in texts],
    }


KIND = Kind(
    name="rows",
    room=__name__,
    dtype="float32",
    axes=("features",),
    meaning="raw table rows, float32: numeric columns first, then one integer code per category column, then the "
    "ids of texts",
    facts=frozenset({"columns"}),
    makes=_makes,
    readers={"table": TablePreprocessor},
    sources=(
        Source(
            name="a table",
            form="tabular",
            key="rows",
            rest="a table of rows that have no order",
        ),
    ),
    example="ROWS.csv",
    batch=128,  # rows are cheap
    fitted_to_preset=False,
)
