"""What the commands share: values of `--set`, JSON, tables in text, and errors on one line."""

import argparse
import errno
import json
import math
import os
import re
import shutil
import sys
import textwrap
from importlib import import_module

from kzoo.errors import KzooError
from kzoo.words import first_line, hint

# Arguments that a shell completes with file names.
FILES = ("data", "test", "out", "start", "plot", "run", "inputs")


class Parser(argparse.ArgumentParser):
    """argparse, with errors on one line."""

    def error(self, message):
        raise KzooError(f"{message}. See: {self.prog} --help")

    def refuse(self, word):
        """Say that a word means nothing here, with the nearest option."""
        legal = [option for action in self._actions for option in action.option_strings]
        guess = hint(word.split("=")[0], legal) if word.startswith("-") else ""
        raise KzooError(f"{self.prog} does not know {word!r}. {guess}See: {self.prog} --help")


def forgive_encoding():
    """Print `?` for a character that the terminal cannot show, instead of failing (Windows code pages)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def require(name):
    """Import an optional package by name.

    Raises:
        KzooError: not installed; the message is the line that installs it.
    """
    try:
        return import_module(name)
    except ImportError:
        raise KzooError(f"This needs {name}: python -m pip install {name}") from None


def say(line):
    """Print a line for people on stderr."""
    print(f"kzoo: {line}", file=sys.stderr)


def explain(error):
    """Return the exit code for an exception and one line that says what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, KzooError):
        return 2, text
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        if error.errno == errno.ENOSPC:
            return 2, f"{where}the disk is full. Make room, or choose another --out."
        if isinstance(error, FileNotFoundError):
            return 2, f"{where}no such file or folder."
        if isinstance(error, PermissionError):
            return 2, f"{where}no permission."
        return 2, f"{where}{error.strerror or text}."
    if isinstance(error, ValueError):
        return 2, f"{first_line(error)} (--debug shows where)"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return 2, "out of memory. Try a smaller batch: --set batch_size=16"
    return 1, f"{type(error).__name__}: {text[:300]} (a fault of kzoo; --debug shows where)"


def parse_settings(words) -> dict:
    """Turn `["filters=32,64", "dropout=0.2"]` into `{"filters": (32, 64), "dropout": 0.2}`; the last wins.

    Raises:
        KzooError: a word without a name or without `=`.
    """
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise KzooError(f"--set takes name=value, not {word!r}. Write other words before --set.")
        settings[name] = parse_value(value)
    return settings


def parse_value(text):
    """Read one value: a number, true, false, none, a word, or several with commas, which make a tuple.

    Quotes keep a word a word (`'1'`, `"a,b"`); brackets around a list, and its last comma, are optional.
    """
    text = text.strip()
    bracketed = text[:1] + text[-1:] in ("()", "[]") and len(text) > 1
    inner = text[1:-1].strip() if bracketed else text
    parts = [part.strip() for part in re.findall(r"""((?:"[^"]*"|'[^']*'|[^,])*)(?:,|$)""", inner)]
    while parts and not parts[-1]:
        parts.pop()
    if bracketed or not parts or len(parts) > 1 or inner.endswith(","):
        return tuple(_scalar(part) for part in parts)
    return _scalar(parts[0])


def _scalar(text):
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    named = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def show_value(value):
    """Write a value as `--set` reads it, to its last digit."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(show_value(v) for v in value) + ("," if len(value) == 1 else "") if value else "()"
    if isinstance(value, float):
        return repr(float(value))
    return str(value)


def to_json(document) -> str:
    """Write a document as JSON that every console can print; numbers that JSON lacks become null."""
    return json.dumps(_plain(document), indent=1, allow_nan=False)


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy
        return _plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def width() -> int:
    """Return how many columns to fill: the terminal's, at most 100; 80 in a pipe."""
    return max(min(shutil.get_terminal_size((80, 24)).columns, 100), 40)


def bold(text) -> str:
    """Make a heading bold on a terminal that can; plain text in a pipe or with NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name == "nt"
    return text if plain or not sys.stdout.isatty() else f"\033[1m{text}\033[0m"


def columns(rows, *, align="", indent=2) -> list[str]:
    """Lay rows out in columns two blanks apart; the last column is wrapped to the width of the terminal.

    Args:
        rows: sequences of strings, all of one length.
        align: a letter per column, `<` or `>`; left where it is silent.
    """
    rows = [[str(cell) for cell in row] for row in rows]
    if not rows:
        return []
    align = align.ljust(len(rows[0]), "<")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{cell:{side}{size}}" for cell, side, size in zip(row, align, widths, strict=True)]
        start = " " * indent + "  ".join(cells[:-1]) + "  "
        last = cells[-1].rstrip() if align[-1] == "<" else cells[-1]
        room = max(width() - len(start), 20)
        if len(last) <= room:
            lines.append((start + last).rstrip())
        else:
            lines += textwrap.wrap(last, room + len(start), initial_indent=start, subsequent_indent=" " * len(start))
    return lines


def short(text, room) -> str:
    """Cut a text in its middle so that it fits."""
    if len(text) <= room:
        return text
    left = (room - 2) // 2
    return f"{text[:left]}..{text[len(text) - (room - 2 - left) :]}"


def count(number) -> str:
    """Write a large number as people say it: 40.8 million."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,}"
