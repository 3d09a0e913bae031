"""Kind of input "rows": rows of a table, with numbers, dates, categories and texts as columns."""

from collections.abc import Callable

from kzoo.problems.kinds import Kind, Source
from kzoo.problems.layout import Preprocessor
from kzoo.utils.schema import Each, Words

# format of the numbers in a text column
_NUMBER_FORMAT = {"decimal?": str, "thousands?": str, "marks?": [str]}
_DATE_PARTS = ("year", "month", "day", "weekday", "hour")


def _count(high: int) -> Callable[[object, str], str | None]:
    """Return the schema of a whole number from 2 to `high`."""

    def check(value: object, where: str) -> str | None:
        is_count = isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= high
        return None if is_count else f"{where} is {value!r:.40}"

    return check


_COLUMN = (
    {
        "kind": Words(("number",)),
        "name": str,
        "median": float,
        "missing": bool,
        "low?": float,
        "high?": float,
        "writing?": (_NUMBER_FORMAT, None),
        "unreadable?": bool,
    },
    {
        "kind": Words(("date",)),
        "name": str,
        "medians": Each(float, _DATE_PARTS),
        "missing": bool,
        "day_first?": bool,
        "zoned?": bool,
        "unreadable?": bool,
    },
    {"kind": Words(("category",)), "name": str, "values": [str]},
    {"kind": Words(("text",)), "name": str, "buckets": _count(2**24), "length": _count(2**16)},
)


def _makes(reader: Preprocessor) -> dict[str, list[int]]:
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
    readers={
        "table": {
            "columns": [_COLUMN],
            "targets?": [str],
            "classes?": [str],
            "zones?": Each(str),
            "separator?": str,
        }
    },
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
