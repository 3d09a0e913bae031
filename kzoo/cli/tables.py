"""Tables in text, laid out by rich, which is imported with the first; plainly where it is not installed."""

import io
from importlib.util import find_spec

from kzoo.cli.common import hanging, width
from kzoo.tasks.target_scores import target_table
from kzoo.utils.formatting import spelled


def columns(rows, *, align="", indent=2) -> list[str]:
    """Lay rows out in columns two blanks apart; the last column is wrapped to the width of the terminal.

    Args:
        rows: sequences of strings, all of one length.
        align: a letter per column, `<` or `>`; left where it is silent.
    """
    rows = [[str(cell) for cell in row] for row in rows]
    if not rows:
        return []
    sides = align.ljust(len(rows[0]), "<")
    return (_plain if find_spec("rich") is None else _by_rich)(rows, sides, indent)


def _plain(rows, sides, indent):
    wide = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for *first, last in rows:
        cells = [_padded(*cell) + "  " for cell in zip(first, wide, sides, strict=False)]
        lines += hanging(" " * indent + "".join(cells), _padded(last, wide[-1], sides[-1]).rstrip())
    return [line.rstrip() for line in lines]


def _padded(cell, wide, side):
    return cell.rjust(wide) if side == ">" else cell.ljust(wide)


def _by_rich(rows, sides, indent):
    from rich.cells import cell_len
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    last = len(rows[0]) - 1
    table = Table.grid(padding=(0, 2, 0, 0))
    for i, side in enumerate(sides):
        table.add_column(justify="right" if side == ">" else "left", no_wrap=i < last)
    for row in rows:
        table.add_row(*map(Text, row))
    # rich would cut what does not fit: where the last column has no room, the terminal breaks the line instead.
    least = indent + 20 + sum(max(cell_len(row[i]) for row in rows) + 2 for i in range(last))
    paper = io.StringIO()
    page = Console(file=paper, width=max(width(), least), color_system=None, legacy_windows=False)
    page.print(Padding(table, (0, 0, 0, indent), expand=False))
    return [line.rstrip() for line in paper.getvalue().rstrip("\n").split("\n")]


def of_targets(scores, doubts=()) -> list[str]:
    """Return the table of each target's scores, beside what needs no network, and what warns of them."""
    rows, warned = target_table(scores), [line for sentence in doubts for line in _warned(sentence)]
    if not rows:
        return warned
    head = "each target, and the mean absolute error of what needs no network on the same examples:"
    return [head, *columns(rows, align="<" + ">" * (len(rows[0]) - 1)), *warned]


def _warned(sentence):
    return hanging("warning: ", spelled(sentence))
