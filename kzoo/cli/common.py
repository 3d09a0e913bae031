"""What the commands share: values of `--set`, JSON, texts that fit a terminal, and errors on one line."""

import argparse
import errno
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

from kzoo.cli.option_names import suggestion
from kzoo.kinds import kind as kind_named
from kzoo.tasks import problem
from kzoo.utils.errors import KzooError, is_out_of_memory
from kzoo.utils.formatting import first_line, printable, spelled
from kzoo.utils.optional import missing

PICTURES = (".png", ".svg", ".pdf")
DATA_OPTIONS = ("target", "data_seed", "validation", "test", "drop", "group", "task", "time", "columns")

# Arguments that a shell completes with file names.
NAMED_FILES = ("data", "test", "out", "weights", "plot", "csv")
FILES = (*NAMED_FILES, "run", "inputs", "exported")
_IN_A_PIPE = 10_000  # columns: whoever reads a pipe wants a row on a line


class Parser(argparse.ArgumentParser):
    """argparse, with errors on one line."""

    def error(self, message):
        raise KzooError(f"{message}. See: {self.prog} --help")

    def options(self):
        """Return the options it takes, such as `--target`."""
        return [option for action in self._actions for option in action.option_strings]

    def refuse(self, word, argv):
        """Say that a word means nothing here, with the nearest option or the setting that it means."""
        found = suggestion(word, argv, self.options())
        if found is None and "--data" in self.options() and os.path.exists(word):
            found = f"--data {quote(word)}"
        guess = f"Did you mean {found!r}? " if found else ""
        raise KzooError(f"{self.prog} does not know {word!r}. {guess}See: {self.prog} --help")


def forgive_encoding():
    """Print `?` for a character that the terminal cannot show, instead of failing (Windows code pages)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def add_data_options(parser):
    """Add the options that say how the data is read and split: those of `kzoo.load_data`."""
    add = parser.add_argument
    add("--target", metavar="COLUMN", action="append", help="column to predict; repeat it for several")
    add("--data-seed", type=int, default=0, metavar="N", help="of the split into train and test (default 0)")
    add("--validation", type=float, default=0.1, metavar="SHARE", help="share for validation (default 0.1)")
    add("--test", metavar="SOURCE", help="share for the test, or a source of its own")
    add("--drop", nargs="+", action="extend", default=[], metavar="COLUMN", help="columns to leave out")
    add("--group", metavar="COLUMN", help="rows with the same value stay in one split")
    add("--task", help="overrides the rule that tells classes from values, such as tabular_regression")
    add("--time", metavar="COLUMN", help="time column of a series")
    add(
        "--column", nargs="+", action="extend", default=[], metavar="NAME=KIND", dest="columns",
        help="what columns are: zip=category when=date price=number:decimal=,:thousands=.",
    )  # fmt: skip


def add_weights_option(parser):
    """Add the word for weights in the package, where a command takes a preset in place of a run."""
    parser.add_argument("--weights", metavar="NAME", help="which weights, of a preset that has several: see kzoo show")


def data_options(args) -> dict:
    """Return what `kzoo.train` calls the options that say how the data is read and split."""
    given = {name: getattr(args, name) for name in DATA_OPTIONS}
    if given["target"] is not None and len(given["target"]) == 1:
        given["target"] = given["target"][0]
    columns = dict(_column(word) for word in given["columns"]) or None
    return given | dict(test=_share(given["test"]), drop=tuple(given["drop"]), columns=columns)


def requested_data_options(args, **other):
    """Return the same as `DataOptions`, with other values where they are named."""
    named = data_options(args) | other
    return import_module("kzoo.dataset.options").DataOptions(seed=named.pop("data_seed"), **named)


def _column(word):
    """Read a word of `--column`: zip=category, or price=number:decimal=,:thousands=."""
    name, _, how = word.partition("=")
    kind, *signs = how.split(":")
    said = [sign.partition("=") for sign in signs]
    if not name or not kind or not all(sign[1] for sign in said):
        raise KzooError(f"--column takes NAME=KIND, such as zip=category or price=number:decimal=, and not {word!r}.")
    return name, {"kind": kind} | {sign: value for sign, _, value in said} if said else kind


def _share(text):
    """Read `--test`: a share such as 0.2, or the name of a source."""
    try:
        return text if text is None else float(text)
    except ValueError:
        return text


def train_command(args, preset, data, *, words=(), **options) -> str:
    """Return the command that trains a preset on the data that this command was given, by the paths it was given.

    Args:
        args: of the command, with the data options.
        preset: the `Preset`.
        data: the source, as it was given; None for the preset's own.
        words: settings, each as --set takes it.
        options: others of `kzoo.command.command_of`.
    """
    test = _share(args.test)
    # Of a path, a command that is stored has the name alone.
    asked = requested_data_options(args, test=None if isinstance(test, str) else test)
    none = dict(weights=None, freeze=None, precision=None, backend=None)
    line = import_module("kzoo.command").command_of(preset, None, {}, asked, **none | options)
    line += f" --data {quote(data)}" if data is not None else ""
    line += f" --test {quote(test)}" if isinstance(test, str) else ""
    return f"{line} --set {' '.join(map(quote, words))}" if words else line


def quote(path) -> str:
    """Quote a path for the user's shell."""
    return subprocess.list2cmdline([path]) if os.name == "nt" else shlex.quote(path)


def use_of(run, task, inputs, options="") -> tuple[str, str]:
    """Return what a trained model is for, in a word, and the line that asks it.

    Args:
        run: the path of a run, or the name of a preset with weights.
        task: by its public name; None where it is not known.
        inputs: the name of what is read (see `kzoo.kinds`).
        options: of `kzoo predict`.
    """
    if task and "continues" in problem(task).facts:
        code = f"import kzoo; print(kzoo.generate({os.fspath(run)!r}))"
        plain = re.fullmatch(r"[\w ./:()';,-]+", code)  # nothing that a shell changes between double quotes
        return "generate", f'python -c "{code}"' if plain else f"python -c {quote(code)}"
    words = ["kzoo predict", quote(os.fspath(run)), *([options] if options else []), kind_named(inputs).example]
    return "predict", " ".join(words)


def require(name):
    """Import an optional package by name.

    Raises:
        KzooError: not installed; the message is the line that installs it.
    """
    try:
        return import_module(name)
    except ImportError:
        raise KzooError(f"This needs {name}: python -m pip install {name}") from None


def print_note(line):
    """Print a line for people on stderr."""
    print(printable(f"kzoo: {spelled(line)}"), file=sys.stderr)


def exit_code_and_line(error):
    """Return the exit code for an exception and one line that says what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, KzooError):
        return 2, text
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("kzoo"):
        return 2, missing(error.name.partition(".")[0])
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
    if is_out_of_memory(error):
        return 2, "out of memory. Try a smaller batch: --set batch_size=16"
    return 1, f"{type(error).__name__}: {text[:300]} (a fault of kzoo; --debug shows where)"


def settings_of(args, options=()) -> dict:
    """Return the preset's settings that a command changes, by --set or by an option of their own.

    Args:
        options: other options of the command, which --set must not shadow.

    Raises:
        KzooError: one of these; a setting that is given twice.
    """
    settings = parse_settings(args.set)
    for name in settings:
        if name in options:
            raise KzooError(f"{name!r} is an option of its own: write --{name.replace('_', '-')} VALUE, without --set.")
    for name in ("epochs", "max_steps", "callbacks"):
        if (value := getattr(args, name, None)) is not None:
            if name in settings:
                raise KzooError(f"{name} is given twice: by --{name.replace('_', '-')} and by --set. Leave one out.")
            settings[name] = value
    return settings


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

    Quotes keep a word a word (`'1'`, `"a,b"`); brackets around a list, and its last comma, are optional. Braces hold a
    value for each of some names: `{no:1,yes:5}`.

    Raises:
        KzooError: a name in braces without a value.
    """
    text = text.strip()
    if text[:1] + text[-1:] == "{}":
        return dict(_named(part) for part in _parts(text[1:-1]))
    bracketed = text[:1] + text[-1:] in ("()", "[]") and len(text) > 1
    inner = text[1:-1].strip() if bracketed else text
    parts = _parts(inner)
    if bracketed or not parts or len(parts) > 1 or inner.endswith(","):
        return tuple(_scalar(part) for part in parts)
    return _scalar(parts[0])


def _parts(text):
    parts = [part.strip() for part in re.findall(r"""((?:"[^"]*"|'[^']*'|[^,])*)(?:,|$)""", text)]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _named(part):
    name, colon, value = part.rpartition(":")
    if not colon:
        raise KzooError(f"{part!r} in braces has no value: write {{name:value}}, such as {{no:1,yes:5}}.")
    name = name.strip()
    return name[1:-1] if _is_quoted(name) else name, _scalar(value.strip())


def _is_quoted(text):
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _scalar(text):
    if _is_quoted(text):
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
    """Return how many columns to fill: the terminal's, at most 120; in a pipe as many as a row needs."""
    found = shutil.get_terminal_size((0, 0)).columns
    return max(min(found, 120), 40) if found else _IN_A_PIPE


def bold(text) -> str:
    """Make a heading bold on a terminal that can; plain text in a pipe or with NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name == "nt"
    return text if plain or not sys.stdout.isatty() else f"\033[1m{text}\033[0m"


def hanging(start, text) -> list[str]:
    """Wrap a text to the terminal, its first line behind `start` and the others below it."""
    return textwrap.wrap(start + text, width(), subsequent_indent=" " * len(start))


def short(text, room) -> str:
    """Cut a text in its middle so that it fits."""
    if len(text) <= room:
        return text
    left = (room - 2) // 2
    return f"{text[:left]}..{text[len(text) - (room - 2 - left) :]}"


def fitted(text, room) -> str:
    """Cut a text in its middle on a terminal; in a pipe it stays whole."""
    return text if width() == _IN_A_PIPE else short(text, room)


def count(number) -> str:
    """Write a large number as people say it: 40.8 million."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,}"


def check_file(option, file, endings):
    """Raise `KzooError` unless a file can have this name; nothing, and - for the terminal, are names enough."""
    if file in (None, "-"):
        return
    if Path(file).suffix.lower() not in endings:
        hint = " Runs go before --csv." if option == "csv" and Path(file).is_dir() else ""
        raise KzooError(f"--{option} {file!r} must end in {' or '.join(endings)}.{hint}")
    if not Path(file).parent.is_dir():
        raise KzooError(f"--{option} {file!r}: there is no folder {str(Path(file).parent)!r}.")
