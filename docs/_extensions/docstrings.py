"""Docstrings of kzoo (Markdown with sections of Google style) as reStructuredText, for autodoc and napoleon."""

import re
from functools import cache

import api_pages

_SECTIONS = (
    "Args:",
    "Attributes:",
    "Example:",
    "Examples:",
    "Note:",
    "Raises:",
    "Returns:",
    "Yields:",
)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
_ITEM = re.compile(r"\s*(?:[*-]|\d+\.) ")


def rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText.

    Backticks become literals, or links of public names; tables with bars become list tables, and indented blocks
    outside of sections code.
    """
    result: list[str] = []
    number, in_section = 0, False
    while number < len(lines):
        line = lines[number]
        indent = len(line) - len(line.lstrip())
        if line.strip() and not indent:
            in_section = line.strip() in _SECTIONS
        previous = result[-1] if result else ""
        if line.strip() in (
            "Returns:",
            "Yields:",
        ):  # napoleon would take the words before a colon for a type
            end = _end(lines, number + 1, lambda text: not text.strip() or text.startswith(" "))
            result += [f":{line.strip()}", *_returned(lines[number + 1 : end]), ""]
            number = end
        elif line.lstrip().startswith("|"):
            end = _end(lines, number, lambda text: text.lstrip().startswith("|"))
            result += ["", *_table(lines[number:end], indent), ""]
            number = end
        elif line.lstrip().startswith(">>> "):
            end = _end(lines, number, lambda text: bool(text.strip()))
            result += ["", " " * indent + ".. code-block:: pycon", ""]
            result += ["    " + text for text in lines[number:end]] + [""]
            number = end
        elif indent >= 4 and not in_section and not previous.strip() and not _ITEM.match(line):
            end = _end(lines, number, lambda text: not text.strip() or text.startswith("    "))
            result += [".. code-block:: python", "", *lines[number:end], ""]
            number = end
        else:
            result.append(_inline(line))
            number += 1
    return result


def _end(lines, start, belongs):
    """Return the number of the first line after `start` that does not belong to its block."""
    end = start
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return end


def _returned(lines):
    """Return the lines below `Returns:`; entries with hanging indents become a list."""
    lines = [line.rstrip() for line in lines]
    base = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    is_hanging = [line.startswith(" " * (base + 2)) for line in lines]
    if not any(is_hanging) or any(_ITEM.match(line) for line in lines):
        return [_inline(line) for line in lines]
    result = []
    for line, hangs in zip(lines, is_hanging, strict=True):
        text = _inline(line.strip())
        result.append(f"    {'  ' if hangs else '* '}{text}" if line else "")
    return result


def _table(lines, indent):
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if not re.fullmatch(r"[\s|:-]+", line)
    ]
    pad = " " * indent
    result = [f"{pad}.. list-table::", f"{pad}   :header-rows: 1", ""]
    for row in rows:
        for number, cell in enumerate(row):
            result.append(f"{pad}   {'* -' if not number else '  -'} {_inline(cell)}")
    return result


def _inline(text):
    """Return a line with literals and links, and everything else that reStructuredText would read escaped."""
    marker = _ITEM.match(text)
    head = marker[0] if marker else ""
    result, position = [head], len(head)
    for match in re.finditer(rf"{_CODE.pattern}|{_LINK.pattern}", text[len(head) :]):
        result.append(_escaped(text[position : match.start() + len(head)]))
        if match[1] is not None:
            target = _target(match[1])
            result.append(f":py:obj:`{match[1]} <{target}>`" if target else f"``{match[1]}``")
        else:
            result.append(f"`{match[2]} <{match[3]}>`__")
        position = match.end() + len(head)
        if position < len(text) and text[position].isalnum():
            result.append("\\ ")
    result.append(_escaped(text[position:]))
    return "".join(result)


def _target(text):
    """Return the full name of what a literal such as `kzoo.train`, `Run` or `Search.winner` names; None if unknown."""
    first, dot, attribute = text.partition(".")
    if text in _full_names():
        return text
    return f"{_classes()[first]}{dot}{attribute}" if first in _classes() else None


@cache
def _full_names():
    names = api_pages.public_names()
    return [f"{module}.{name}" for module in names for name in names[module]]


@cache
def _classes():
    """Return the name of each class of the reference -> its full name."""
    return {
        full_name.rpartition(".")[2]: full_name
        for full_name in _full_names()
        if full_name.rpartition(".")[2][0].isupper()
    }


def _escaped(text):
    text = re.sub(r"\\(?!\\)", r"\\\\", text)
    text = re.sub(
        r"(\*\*?|\|)(?=\S)", lambda match: match[1].replace("*", r"\*").replace("|", r"\|"), text
    )
    return re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
