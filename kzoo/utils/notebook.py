"""HTML of objects in notebooks, for `_repr_html_`: a title, facts and tables. Standard library only.

Every text is escaped, unless a function of this module returned it. Colours are those of the notebook's theme. A click
on the head of a column sorts a table; where a notebook removes scripts or styles, the tables stay readable.
"""

import sys
from collections.abc import Iterable, Sequence
from html import escape
from importlib import import_module
from typing import Any, TypeGuard

from kzoo.utils.formatting import number, plural, printable

MOST_ROWS = 200  # rows of a table in a page
_MOST_LINES = 100  # epochs below a progress bar, which is sent again several times a second
_MISSING = ("", "-", "None")  # cells of a column of numbers without one

_FAINT = "color-mix(in srgb,currentColor 22%,transparent)"
_STYLE = f"""
.kzoo-card{{font-size:13px;line-height:1.45;color:inherit}}
.kzoo-card p{{margin:0 0 .35em}}
.kzoo-card.kzoo-card a{{color:inherit;text-decoration:underline}}
.kzoo-card .kzoo-note{{opacity:.75}}
.kzoo-card .kzoo-facts span{{margin-right:1.3em;display:inline-block}}
.kzoo-card .kzoo-facts i{{opacity:.75;font-style:normal}}
.kzoo-card .kzoo-scroll{{overflow:auto;max-height:26em;margin:0 0 .5em}}
.kzoo-card .kzoo-scroll table{{border-collapse:collapse;border:0;margin:0;width:auto;font-size:inherit;color:inherit}}
.kzoo-card.kzoo-card tbody tr:nth-child(n){{background:none}}
.kzoo-card.kzoo-card table :is(th,td){{text-align:left;vertical-align:top;padding:.15em 1.4em .15em 0;border:0;
border-bottom:1px solid {_FAINT};max-width:30em;white-space:normal;overflow-wrap:break-word;background:none}}
.kzoo-card.kzoo-card table .kzoo-number{{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}}
.kzoo-card table th{{font-weight:600;cursor:pointer;white-space:nowrap}}
.kzoo-card th button{{all:unset;cursor:pointer;font:inherit}}
.kzoo-card th button:focus-visible{{outline:2px solid}}
.kzoo-card th[aria-sort=ascending] button::after{{content:" \\2191"}}
.kzoo-card th[aria-sort=descending] button::after{{content:" \\2193"}}
.kzoo-card summary{{cursor:pointer;margin:0 0 .3em}}
.kzoo-card ul{{margin:0 0 .5em;padding-left:1.3em;white-space:pre-line}}
.kzoo-card progress{{width:16em;vertical-align:middle;margin-right:.7em}}
.kzoo-card pre{{margin:0;padding:0;background:none;color:inherit;font-size:12px;white-space:pre;overflow-x:auto}}
"""
# A handler and not a script element: notebooks run it without identifiers, also in copies and after they are reopened.
_SORT = """\
const head=event.target.closest('th');if(head){const body=head.closest('table').tBodies[0],column=head.cellIndex,\
numeric=head.classList.contains('kzoo-number'),down=head.getAttribute('aria-sort')=='ascending'?-1:1,\
value=row=>{const cell=row.cells[column];return numeric?parseFloat(cell.dataset.value):cell.textContent};\
for(const other of head.parentNode.cells)other.removeAttribute('aria-sort');\
head.setAttribute('aria-sort',down>0?'ascending':'descending');\
[...body.rows].sort((first,second)=>{const a=value(first),b=value(second);\
return numeric?isNaN(a)-isNaN(b)||down*(a-b):down*a.localeCompare(b,undefined,{numeric:true})})\
.forEach(row=>body.append(row))}"""


class Html(str):
    """HTML that a function of this module returned; other texts are escaped."""


def text(content: object) -> Html:
    """Return a user's text as HTML."""
    return content if isinstance(content, Html) else Html(escape(printable(content)))


def print_lines(lines: Sequence[str]) -> None:
    """Print lines on stderr; in a notebook, which shows stderr as errors, as a list."""
    if lines and is_notebook():
        Display().show(
            f'<div class="kzoo-card"><style>{_STYLE}</style>{bullets(lines)}</div>',
            "\n".join(lines),
        )
    else:
        for line in lines:
            print(line, file=sys.stderr)


def is_notebook() -> bool:
    """Return whether a notebook shows the outputs of this process."""
    if "ipykernel" not in sys.modules:
        return False
    shell = import_module("IPython").get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Display:
    """An output of the running cell that is replaced in place. It needs IPython, which notebooks have."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, content: str, plain: str) -> None:
        """Show HTML; where a notebook does not show HTML, the plain text."""
        display = import_module("IPython.display").display
        formats = {"text/html": content, "text/plain": plain}
        if self.handle is None:
            self.handle = display(formats, raw=True, display_id=True)
        else:
            self.handle.update(formats, raw=True)


def card(
    title: object, *parts: object, facts: Iterable[tuple[str, object]] = (), note: object = ""
) -> str:
    """Return the HTML of an object.

    Args:
        title: in bold.
        parts: below the facts: what the functions of this module return; empty parts are left out.
        facts: pairs of a name and a value; values that are None or empty are left out.
        note: a sentence after the title.
    """
    head = f"<p><b>{text(title)}</b>{f' <span class=kzoo-note>{text(note)}</span>' if note else ''}</p>"
    pairs = [(name, value) for name, value in facts if value is not None and value != ""]
    listed = " ".join(
        f"<span><i>{text(name)}</i> {text(_shown(value))}</span>" for name, value in pairs
    )
    body = "".join(text(part) for part in parts if part)
    facts_html = f"<p class=kzoo-facts>{listed}</p>" if listed else ""
    return f'<div class="kzoo-card"><style>{_STYLE}</style>{head}{facts_html}{body}</div>'


def table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[str] = ()
) -> Html:
    """Return a table that a click on a head sorts; empty if it has no rows.

    Args:
        heads: names of the columns.
        rows: cells: texts, numbers or None. Columns without texts are sorted as numbers.
        numbers: heads of columns that may contain numbers as text, such as "93.3%"; one with other texts is not
            sorted as numbers.
    """
    rows = [list(row) for row in rows]
    if not rows:
        return Html()
    numeric = [
        (
            head in numbers
            and all(_parsed(row[i]) is not None or str(row[i]) in _MISSING for row in rows)
        )
        or (
            all(_is_number(row[i]) or row[i] is None for row in rows)
            and any(row[i] is not None for row in rows)
        )
        for i, head in enumerate(heads)
    ]
    head_cells = "".join(
        f"<th{' class=kzoo-number' if is_numeric else ''}><button type=button>{text(head)}</button></th>"
        for head, is_numeric in zip(heads, numeric, strict=True)
    )
    lines = "".join(f"<tr>{''.join(map(_cell, row, numeric))}</tr>" for row in rows[:MOST_ROWS])
    more = (
        f"<p class=kzoo-note>and {text(plural(len(rows) - MOST_ROWS, 'more row'))}</p>"
        if rows[MOST_ROWS:]
        else ""
    )
    return Html(
        f'<div class="kzoo-scroll"><table><thead onclick="{escape(_SORT)}"><tr>{head_cells}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>{more}"
    )


def folded(summary: object, *parts: object, is_open: bool = False) -> Html:
    """Return parts that a click on their summary shows or hides; empty if all parts are."""
    body = "".join(text(part) for part in parts if part)
    return Html(
        f"<details{' open' * is_open}><summary>{text(summary)}</summary>{body}</details>"
        if body
        else ""
    )


def paragraph(content: object) -> Html:
    """Return a paragraph; empty without content."""
    return Html(f"<p>{text(content)}</p>" if content else "")


def bullets(contents: Iterable[object]) -> Html:
    """Return a list with a line for each text; empty without texts."""
    lines = "".join(f"<li>{text(content)}</li>" for content in contents)
    return Html(f"<ul>{lines}</ul>" if lines else "")


def link(address: str) -> Html:
    """Return a web address as a link; any other address as text."""
    if not address.startswith(("https://", "http://")):
        return text(address)
    return Html(
        f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{text(address)}</a>'
    )


def progress(share: float | None, line: str, earlier: Sequence[str] = ()) -> str:
    """Return a progress bar with a line beside it.

    Args:
        share: between 0 and 1; None for no bar.
        line: the text beside the bar.
        earlier: lines of the epochs, which are shown after a click.
    """
    bar = "" if share is None else f"<progress value={share:.4f} max=1></progress>"
    dots = ["..."] if len(earlier) > _MOST_LINES else []
    lines = (
        Html(f"<pre>{text(chr(10).join([*dots, *earlier[-_MOST_LINES:]]))}</pre>")
        if earlier
        else ""
    )
    content = f"<p>{bar}{text(line)}</p>{folded(plural(len(earlier), 'epoch'), lines)}"
    return f'<div class="kzoo-card"><style>{_STYLE}</style>{content}</div>'


def setting(value: object) -> str:
    """Return a setting as text, such as `32, 64`; cut if it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    shown = (
        ", ".join(map(setting, value)) if isinstance(value, list | tuple) else str(_shown(value))
    )
    return shown if len(shown) <= 80 else f"{shown[:79]}…"


def _shown(value: object) -> object:
    return number(value) if _is_number(value) else value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(cell: object, is_numeric: bool) -> str:
    if not is_numeric:
        return f"<td>{'' if cell is None else text(_shown(cell))}</td>"
    value = _parsed(cell)
    shown = "" if cell is None else "-" if cell != cell else _shown(cell)
    return f'<td class=kzoo-number data-value="{"" if value is None or value != value else value}">{text(shown)}</td>'


def _parsed(cell: object) -> float | None:
    """Return the number in a cell; None without one."""
    try:
        return cell if _is_number(cell) else float(str(cell).replace(",", "").rstrip("%\u00a0 "))
    except ValueError:
        return None
