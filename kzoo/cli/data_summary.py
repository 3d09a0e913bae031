"""The part of the output of `kzoo check` that shows how data was read."""

from collections.abc import Sequence

from kzoo.cli import shared, tables
from kzoo.data.summary import examples
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import format_value, plural, printable, spelled

_MAX_COLUMNS, _MAX_CLASSES = 30, 20  # listed at most
_MAX_NAME_LENGTH = 24  # characters
_ORDINARY_KINDS = ("number", "category", "date", "text")


def summary_lines(summary: JsonObject) -> list[str]:
    """Return the lines that show a summary of data: splits, columns, classes and notes.

    Args:
        summary: what `kzoo.data.summary.summarize` returned.
    """
    sizes = " / ".join(f"{count:,} {name}" for name, count in summary["splits"].items())
    description = f"{summary['task'].replace('_', ' ')}, {examples(summary)}"
    lines = [
        shared.bold(_cell(summary["name"])),
        *shared.hanging_indent("  ", f"{description}: {sizes}"),
    ]
    if summary["about"]:
        lines += tables.columns(
            [(_cell(name), _cell(format_value(value))) for name, value in summary["about"].items()]
        )
    if summary["columns"]:
        lines += ["", *_columns(summary["columns"], summary["rows"])]
    if summary["classes"]:
        lines += ["", *_classes(summary["classes"], summary["splits"], "class")]
    if summary["labels"]:
        lines += ["", *_classes(summary["labels"], summary["splits"], "label")]
    notes = [
        line
        for note in summary["notes"]
        for line in shared.hanging_indent("  ", printable(spelled(note)))
    ]
    return [*lines, *(["", *notes] if notes else [])]


def _columns(columns: Sequence[JsonObject], rows: int) -> list[str]:
    """Return the lines of the table of columns, in their order.

    If there are too many, columns with missing or unreadable cells and unusual kinds are preferred.
    """
    ordinary = [
        column["kind"] in _ORDINARY_KINDS
        and not column.get("missing")
        and not column.get("unreadable")
        for column in columns
    ]
    # The inner sort is stable: it moves ordinary columns to the end, where they are cut off first.
    indices = sorted(sorted(range(len(columns)), key=lambda index: ordinary[index])[:_MAX_COLUMNS])
    shown = [columns[index] for index in indices]
    headings = (
        "column",
        "kind",
        *(
            name
            for name in ("missing", "unreadable")
            if any(column.get(name) for column in columns)
        ),
        "",
    )
    lines = tables.columns(
        [headings, *(_row(column, headings, rows) for column in shown)],
        align="<<" + ">" * (len(headings) - 3),
    )
    if len(columns) > len(shown):
        other_kinds = [
            column["kind"] for index, column in enumerate(columns) if index not in indices
        ]
        kinds = ", ".join(
            plural(other_kinds.count(kind), kind) for kind in dict.fromkeys(other_kinds)
        )
        lines.append(f"  and {plural(len(other_kinds), 'more column')} ({kinds}); --json lists all")
    return lines


def _row(column: JsonObject, headings: Sequence[str], rows: int) -> tuple[str, ...]:
    counts = (column.get(name) or 0 for name in headings[2:-1])
    cells = (
        f"{count:,}{f' ({count / rows:.0%})' if count >= 0.01 * rows else ''}" if count else ""
        for count in counts
    )
    return (
        shared.fit_terminal(_cell(column["name"]), _MAX_NAME_LENGTH),
        column["kind"],
        *cells,
        _cell(column.get("about", "")),
    )


def _classes(classes: Sequence[JsonObject], splits: JsonObject, noun: str) -> list[str]:
    rows = [
        (
            shared.fit_terminal(_cell(row["name"]), _MAX_NAME_LENGTH),
            *(f"{row[name]:,}" for name in splits),
            "",
        )
        for row in classes[:_MAX_CLASSES]
    ]
    lines = tables.columns([(noun, *splits, ""), *rows], align="<" + ">" * len(splits))
    if len(classes) > _MAX_CLASSES:
        count, nouns = plural(len(classes) - _MAX_CLASSES, noun).split(" ")
        lines.append(f"  and {count} more {nouns}; --json lists all")
    return lines


def _cell(text: str) -> str:
    """Return a text of the data on one line, with control characters escaped."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
