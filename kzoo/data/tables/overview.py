"""How the columns of a table were read, for display: their kinds, missing cells, and why some are left out."""

from collections.abc import Collection, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, TypeAlias

from kzoo.inference.tables.numbers import PLAIN, NumberFormat, StoredFormat
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import (
    MISSING,
    Cells,
    Column,
    not_missing,
    plain,
    texts_in,
    value_counts,
)
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.utils.formatting import plural, shown

if TYPE_CHECKING:
    from pandas import DataFrame

ColumnSummary: TypeAlias = dict[str, Any]  # see `kzoo.data.summary`
_MOST_LOOKED_AT = 1000  # unique texts searched for one that shows how numbers are written


def describe_columns(
    table: "Rows | DataFrame",
    columns: Sequence[LearnedColumn],
    unread: Mapping[str, Sized],
    *,
    targets: Collection[str] = (),
    apart: Mapping[str, tuple[str, str]] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> list[ColumnSummary]:
    """Describe each column of a table.

    Args:
        table: all rows, `Rows` or a DataFrame.
        columns: what was learned about the input columns (see `learn_columns`).
        unread: name -> indices of the cells that could not be read.
        targets: names of the target columns.
        apart: name -> (kind, reason) of columns that were excluded explicitly.
        left_out: name -> reason.

    Returns:
        A list of dicts in the order of the file (see `kzoo.data.summary`).
    """
    learned = {column["name"]: column for column in columns}
    excluded = dict(apart or {})
    excluded |= {name: ("left out", why) for name, why in (left_out or {}).items()}
    descriptions = []
    for name in table.columns:
        column = {
            "name": name,
            "missing": missing_in(values := plain(table[name])),
            "unreadable": len(unread.get(name, ())),
        }
        if name in targets:
            column |= {"kind": "target", "about": ""}
        elif name in excluded:
            kind, why = excluded[name]
            column |= {"kind": kind, "about": why}
        elif name in learned:
            column |= _as_learned(learned[name], values)
        else:
            continue
        descriptions.append(column)
    return descriptions


def _as_learned(column: LearnedColumn, values: Column) -> ColumnSummary:
    description = {"kind": column["kind"], "about": ""}
    if column["kind"] == "category":
        count = len(column["values"])
        return description | {"categories": count, "about": plural(count, "category")}
    if column["kind"] == "date":
        return description | {
            "parts": list(column["medians"]),
            "about": f"read as {', '.join(column['medians'])}",
        }
    if "buckets" in column:
        return description | {
            "about": f"hashed words and pairs of words, at most {column['length']} per text"
        }
    return description | number_example(values, column.get("writing"))


def number_example(values: Cells, writing: StoredFormat | None) -> dict[str, str]:
    """Return `about`, and `written`, a cell that shows how numbers are written, if that is not plain.

    Args:
        values: the column.
        writing: the stored number format of the column, or None.
    """
    if writing is None:
        return {}
    for text in texts_in(plain(values))[:_MOST_LOOKED_AT]:
        number = NumberFormat.of(writing).read(text)
        if number == number and PLAIN.read(text) != number:
            return {"written": text, "about": f"written as {shown(text)}, which is {number:.12g}"}
    return {}


def missing_in(values: Cells) -> int:
    """Return the number of cells of a column that are empty or hold a word for a missing value."""
    values = plain(values)
    counts = value_counts(values) if values.dtype == object else {}
    words = sum(
        count for text, count in counts.items() if isinstance(text, str) and text.strip() in MISSING
    )
    return int((~not_missing(values)).sum()) + words
