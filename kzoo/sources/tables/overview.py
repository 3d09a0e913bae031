"""How the columns of a table were read, for people: their kinds, what is missing, why some are left out."""

from kzoo.sources.tables.numbers import PLAIN, Writing
from kzoo.sources.tables.values import MISSING, Texts, counted, not_missing, plain
from kzoo.utils.formatting import plural, shown

_MOST_LOOKED_AT = 1000  # different texts, in the search for one that shows how numbers are written


def columns_read(table, columns, unread, *, targets=(), apart=(), left_out=None):
    """Describe each column of a table.

    Args:
        table: all of its rows, `Rows` or a DataFrame.
        columns: what was learned of those that are inputs (see `learn_columns`).
        unread: name -> places of the cells that hold something that could not be read.
        targets: names of what is to be predicted.
        apart: name -> (kind, why) of columns that were put aside because somebody said so.
        left_out: name -> why.

    Returns:
        A list of dicts in the order of the file (see `kzoo.dataset.summary`).
    """
    learned, apart = {column["name"]: column for column in columns}, dict(apart)
    apart |= {name: ("left out", why) for name, why in (left_out or {}).items()}
    found = []
    for name in table.columns:
        column = {
            "name": name,
            "missing": missing_in(values := plain(table[name])),
            "unreadable": len(unread.get(name, ())),
        }
        if name in targets:
            column |= {"kind": "target", "about": ""}
        elif name in apart:
            kind, why = apart[name]
            column |= {"kind": kind, "about": why}
        elif name in learned:
            column |= _as_learned(learned[name], values)
        else:
            continue
        found.append(column)
    return found


def _as_learned(column, values):
    said = {"kind": column["kind"], "about": ""}
    if column["kind"] == "category":
        count = len(column["values"])
        return said | {"categories": count, "about": plural(count, "category")}
    if column["kind"] == "date":
        return said | {"parts": list(column["medians"]), "about": f"read as {', '.join(column['medians'])}"}
    return said | written(values, column.get("writing"))


def written(values, writing) -> dict:
    """Return `about`, and `written`, a cell that shows how a column writes its numbers, where that is not plain.

    Args:
        values: the column.
        writing: how it writes its numbers, as it is stored, or None.
    """
    if writing is None:
        return {}
    values = plain(values)
    texts = values.seen if isinstance(values, Texts) else dict.fromkeys(values)
    for text in filter(lambda value: isinstance(value, str), list(texts)[:_MOST_LOOKED_AT]):
        number = Writing.of(writing).read(text)
        if number == number and PLAIN.read(text) != number:
            return {"written": text, "about": f"written as {shown(text)}, which is {number:.12g}"}
    return {}


def missing_in(values) -> int:
    """Return how many cells of a column hold nothing, or a word for it."""
    values = plain(values)
    counts = counted(values) if values.dtype == object else {}
    words = sum(count for text, count in counts.items() if isinstance(text, str) and text.strip() in MISSING)
    return int((~not_missing(values)).sum()) + words
