"""Text tables, laid out by rich if it is installed. rich is imported on first use."""

import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from kzoo.cli.shared import hanging_indent, terminal_width
from kzoo.inference.tasks.target_scores import subgroup_table, target_table
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import spelled
from kzoo.zoo.results.coverage import (
    coverage_note,
    coverage_table,
    coverage_warnings,
    totals_note,
    totals_table,
)


def columns(rows: Iterable[Iterable[object]], *, align: str = "", indent: int = 2) -> list[str]:
    """Return the lines of a table, with two spaces between columns; the last column wraps at the width of the terminal.

    Args:
        rows: sequences of strings, all of the same length.
        align: `<` or `>` for each column; left-aligned where it is shorter.
        indent: number of spaces before each line.
    """
    texts = [[str(cell) for cell in row] for row in rows]
    if not texts:
        return []
    alignments = align.ljust(len(texts[0]), "<")
    return (_layout if find_spec("rich") is None else _layout_with_rich)(texts, alignments, indent)


def _layout(rows: Sequence[Sequence[str]], alignments: str, indent: int) -> list[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for *first, last in rows:
        cells = [_pad(*cell) + "  " for cell in zip(first, widths, alignments, strict=False)]
        lines += hanging_indent(
            " " * indent + "".join(cells), _pad(last, widths[-1], alignments[-1]).rstrip()
        )
    return [line.rstrip() for line in lines]


def _pad(cell: str, width: int, alignment: str) -> str:
    return cell.rjust(width) if alignment == ">" else cell.ljust(width)


def _layout_with_rich(rows: Sequence[Sequence[str]], alignments: str, indent: int) -> list[str]:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    last = len(rows[0]) - 1
    table = Table.grid(padding=(0, 2, 0, 0))
    for i, alignment in enumerate(alignments):
        table.add_column(justify="right" if alignment == ">" else "left", no_wrap=i < last)
    for row in rows:
        table.add_row(*map(Text, row))
    # rich would cut cells that do not fit: if the last column has no space left, the terminal wraps the line instead.
    min_width = indent + 20 + sum(max(cell_len(row[i]) for row in rows) + 2 for i in range(last))
    buffer = io.StringIO()
    width = max(terminal_width(), min_width)
    # In a notebook rich would show the table instead of writing it to the buffer.
    console = Console(
        file=buffer, width=width, color_system=None, legacy_windows=False, force_jupyter=False
    )
    console.print(Padding(table, (0, 0, 0, indent), expand=False))
    return [line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n")]


def cell(value: float | None, format_spec: str) -> str:
    """Return a number as a table cell; "-" for None."""
    return "-" if value is None else format(value, format_spec)


def target_lines(scores: JsonObject, score_warnings: Iterable[str] = ()) -> list[str]:
    """Return the table of the scores of each target or label, with baselines, and the warnings about scores."""
    rows = target_table(scores)
    warning_lines = [line for sentence in score_warnings for line in _warning_lines(sentence)]
    if not rows:
        return warning_lines
    heading = "each target, and the mean absolute error of the baselines on the same examples:"
    if "labels" in scores:
        heading = "each label, and the probability from which on it is predicted:"
    return [heading, *columns(rows, align="<" + ">" * (len(rows[0]) - 1)), *warning_lines]


def coverage_lines(coverage: Sequence[JsonObject] | None) -> list[str]:
    """Return the table of the coverage of sets or intervals; no lines without any."""
    if not coverage:
        return []
    rows = coverage_table(coverage)
    return [
        "",
        "coverage of sets or intervals:",
        *columns(rows, align="><>>>"),
        *_note_lines(coverage_note(coverage)),
        *(line for finding in coverage_warnings(coverage) for line in _warning_lines(finding)),
    ]


def totals_lines(totals: Sequence[JsonObject] | None) -> list[str]:
    """Return the table of the totals of forecasts; no lines without any."""
    if not totals:
        return []
    return [
        "",
        "totals of forecasts:",
        *columns(totals_table(totals), align="<>>>>"),
        *_note_lines(totals_note(totals)),
    ]


def _note_lines(sentence: str) -> list[str]:
    return hanging_indent("note: ", spelled(sentence))


def subgroup_lines(scores: JsonObject) -> list[str]:
    """Return the table of the scores of subgroups; no lines without any."""
    heading, rows = subgroup_table(scores)
    align = "<" + ">" * (len(rows[0]) - 2) + "<" if rows else ""
    return ["", heading, *columns(rows, align=align)] if rows else []


def _warning_lines(sentence: str) -> list[str]:
    return hanging_indent("warning: ", spelled(sentence))
