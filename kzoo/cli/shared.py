"""Helpers that commands share: options, values of `--set`, JSON, text that fits the terminal, errors on one line."""

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
from collections.abc import Collection, Iterable, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from kzoo.cli.option_names import suggestion
from kzoo.problems.data_arguments import DEFAULTS, FLAGS, NAMES, OPTIONS, flag_names
from kzoo.problems.kinds import kind as get_kind
from kzoo.problems.tasks import problem
from kzoo.utils.address import (
    check_copies,
    local,
    local_data,
    local_model_or_data,
    local_weights,
    refuse_remote_output,
)
from kzoo.utils.errors import KzooError, is_out_of_memory
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line, printable, spelled
from kzoo.utils.optional import missing
from kzoo.utils.table_path import as_written

if TYPE_CHECKING:
    from kzoo.data.options import DataOptions
    from kzoo.inference.postprocessors.prediction_options import PredictionOptions
    from kzoo.zoo.registry.preset import Preset

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = (
    Scalar | tuple[Scalar, ...] | dict[str, Scalar]
)  # of a setting, as --set reads it

PICTURES = (".png", ".svg", ".pdf")
DECISION_OPTIONS = ("objective", "decision", "positive", "cost")
# Arguments that a shell completes with file names; in those of NAMED_FILES `~` is expanded.
NAMED_FILES = (
    "data",
    "out",
    "weights",
    "plot",
    "csv",
    *(name for name, flag in FLAGS.items() if flag.metavar in ("SOURCE", "FILE")),
)
FILES = (*NAMED_FILES, "run", "inputs", "exported", "sign", "allowed_signers")
# arguments that name a model, which may be on a hub or in a bucket
_MODELS = {"preset": local_model_or_data, "run": local, "weights": local_weights}
_WRITTEN = ("out", "weights", "plot", "csv")  # those of `NAMED_FILES` that are no data
_WORDS = dict(nargs="+", action="extend")  # of an option with several words
_PIPE_WIDTH = 10_000  # columns: output in a pipe is read by programs, so rows are not wrapped


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `KzooError` with a message on one line."""

    def error(self, message: str) -> NoReturn:
        raise KzooError(f"{message}. See: {self.prog} --help")

    def options(self) -> list[str]:
        """Return the names of its options, such as `--target`."""
        return [option for action in self._actions for option in action.option_strings]

    def refuse(self, word: str, argv: Sequence[str]) -> NoReturn:
        """Raise KzooError for an unknown word, with the closest option or setting as a suggestion."""
        match = suggestion(word, argv, self.options())
        if match is None and "--data" in self.options() and os.path.exists(word):
            match = f"--data {quote(word)}"
        did_you_mean = f"Did you mean {match!r}? " if match else ""
        raise KzooError(f"Unknown argument {word!r}. {did_you_mean}See: {self.prog} --help")


def replace_unencodable() -> None:
    """Print `?` for characters that the terminal cannot encode (Windows code pages), instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def add_data_options(parser: argparse.ArgumentParser, names: Iterable[str] = FLAGS) -> None:
    """Add options of data, all by default."""
    for name in names:
        option, flag = OPTIONS[NAMES[name]], FLAGS[name]
        settings: dict[str, Any] = dict(dest=name, help=flag.help, default=DEFAULTS[NAMES[name]])
        if flag.several:
            settings |= dict(action="append") if flag.several == "repeated" else _WORDS
            settings["default"] = None
        if flag.type is not None:
            settings["type"] = flag.type
        if flag.metavar is not None:
            settings["metavar"] = flag.metavar
        elif option.choices:
            settings["choices"] = option.choices
        parser.add_argument(*flag_names(name), **settings)


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a run, an exported model or a preset with pretrained weights."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="folder of a run or of an exported model, a preset with pretrained weights, hub:PLACE/NAME, or an address "
        "such as s3://bucket/runs/1",
    )


def pull_models(args: argparse.Namespace) -> None:
    """Replace addresses on hubs by folders of the download cache, in arguments that name models."""
    for name in _MODELS:
        words = getattr(args, name, None)
        if isinstance(words, list):
            setattr(args, name, [*map(_MODELS[name], words)])
        elif words is not None:
            setattr(args, name, _MODELS[name](words))


def copy_data(args: argparse.Namespace) -> None:
    """Replace data at addresses by its copy in the download cache, in arguments that name data."""
    names = [name for name in NAMED_FILES if name not in _WRITTEN]
    for name in (*names, "preset") if args.command == "check" else names:
        if isinstance(getattr(args, name, None), str):
            setattr(args, name, local_data(getattr(args, name)))
    words = vars(args).values()
    check_copies(chain.from_iterable(w if isinstance(w, list) else [w] for w in words))


def add_promise_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for sets, intervals and abstention of predictions."""
    add = parser.add_argument
    add(
        "--confidence",
        type=float,
        metavar="LEVEL",
        help="sets of classes or intervals that contain the truth for this share of new rows, such as 0.9",
    )
    add(
        "--conformal",
        metavar="NAME",
        help="how sets are made: lac (default; small ones), raps (never empty) or class (the level holds for each "
        "class)",
    )
    add(
        "--min-probability",
        type=float,
        metavar="P",
        help="answer unsure for rows whose class has a lower probability",
    )
    add(
        "--accuracy-when-answered",
        type=float,
        metavar="SHARE",
        help="answer unsure for as many rows as it takes for this share of the others to be right",
    )


def promise_options(args: argparse.Namespace) -> "PredictionOptions":
    """Return the options for sets, intervals and abstention as `PredictionOptions`."""
    options = import_module("kzoo.inference.postprocessors.prediction_options").PredictionOptions
    names = (
        "confidence",
        "conformal",
        "min_probability",
        "accuracy_when_answered",
        "samples",
        "total",
        "seed",
    )
    return options(**{name: getattr(args, name) for name in names})


def add_decision_options(parser: argparse.ArgumentParser, *, objective: bool = True) -> None:
    """Add the options for what is watched and what decides.

    Args:
        objective: whether to add --objective too.
    """
    add = parser.add_argument
    if objective:
        add(
            "--objective",
            metavar="SCORE",
            help="score of the validation data that determines the best epoch, such as f1, auc or "
            "recall@precision=0.9; default: the loss",
        )
    add(
        "--decision",
        metavar="RULE",
        help="how labels follow from probabilities: default (most probable class), objective, cost, or a score such as "
        "f1, for which a threshold is learned on the validation data",
    )
    add(
        "--positive",
        metavar="CLASS",
        help="positive class of two, for f1 and thresholds; default: the rarer one",
    )
    add(
        "--cost",
        action="append",
        metavar="ACTUAL:PREDICTED=COST",
        help="cost of a mistake, such as yes:no=5; repeat the option for the others; implies --decision cost",
    )


def _costs(words: Sequence[str]) -> dict[str, float]:
    """Parse the words of --cost, such as yes:no=5."""
    costs = {}
    for word in words:
        pair, equals, text = word.rpartition("=")
        try:
            cost = float(text)
        except ValueError:
            cost = None
        if not equals or ":" not in pair or cost is None:
            raise KzooError(
                f"--cost {word!r} is invalid. Write ACTUAL:PREDICTED=COST, such as yes:no=5"
            )
        if pair in costs:
            raise KzooError(f"--cost {word!r}: {pair} is given twice. Remove one of them.")
        costs[pair] = cost
    return costs


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    """Add --weights to a command that takes a run or a preset with packaged weights."""
    parser.add_argument(
        "--weights",
        metavar="NAME",
        help="name of the weights, if the preset has several (`kzoo show PRESET` lists them)",
    )


def data_options(args: argparse.Namespace) -> JsonObject:
    """Return the data options of a command as keyword arguments of `kzoo.train`."""
    options = {}
    for name, flag in FLAGS.items():
        value = getattr(args, name)
        if value is None:
            value = DEFAULTS[NAMES[name]]
        elif flag.read is not None:
            value = flag.read(value)
        options[name] = value
    return options


def requested_data_options(args: argparse.Namespace, **overrides: Any) -> "DataOptions":
    """Return the data options of a command as a `DataOptions`; `overrides` replace single options."""
    options = import_module("kzoo.data.options").DataOptions
    return options.popped(data_options(args) | overrides)


def train_command(
    args: argparse.Namespace,
    preset: "Preset",
    data: str | None,
    *,
    words: Sequence[str] = (),
    **options: object,
) -> str:
    """Return the `kzoo train` command for this command's data, with the paths as the user wrote them.

    Args:
        args: the arguments of the command, with the data options.
        preset: the `Preset`.
        data: the source as the user wrote it; None for the preset's own data set.
        words: settings, each as --set takes it.
        options: further options of `kzoo.training.command.command_of`.
    """
    parts = {name: getattr(args, name) for name in NAMED_FILES if name in FLAGS}
    paths = {name: part for name, part in parts.items() if isinstance(part, str)}
    # `command_of` is made for stored commands and keeps file names only: paths are added below.
    requested = requested_data_options(args, **dict.fromkeys(paths))
    unset = dict(weights=None, freeze=None, precision=None, backend=None)
    command = import_module("kzoo.training.command").command_of(
        preset, None, {}, requested, **unset | options
    )
    command += f" --data {quote(data)}" if data is not None else ""
    command += "".join(f" --{name} {quote(path)}" for name, path in paths.items())
    return f"{command} --set {' '.join(map(quote, words))}" if words else command


def quote(path: str | os.PathLike[str]) -> str:
    """Quote a path for the user's shell; a copy of data at an address as that address."""
    path = as_written(os.fspath(path))
    return subprocess.list2cmdline([path]) if os.name == "nt" else shlex.quote(path)


def usage_example(
    run: str | os.PathLike[str], task: str | None, inputs: str, options: str = ""
) -> tuple[str, str]:
    """Return a word for the use of a trained model ("predict" or "generate"), and a command that does it.

    Args:
        run: the path of a run, or the name of a preset with weights.
        task: the public name of the task; None if unknown.
        inputs: the kind of input (see `kzoo.problems.kinds`).
        options: options of `kzoo predict`.
    """
    if task and problem(task).continues_inputs:
        # without a prompt: its words may not be in the vocabulary
        name, example = "generate", '"" --length 200'
    else:
        name = "predict"
        example = get_kind(inputs).example
    return name, " ".join(
        ["kzoo predict", quote(os.fspath(run)), *([options] if options else []), example]
    )


def print_output(output: str | Iterable[str]) -> None:
    """Print a text, or pieces of a text as they come; meanwhile what libraries print goes to stderr."""
    stdout = sys.stdout
    if isinstance(output, str):
        print(printable(as_written(output)), file=stdout)
        return
    with redirect_stdout(sys.stderr):
        try:
            for piece in output:
                stdout.write(printable(as_written(piece)))
                stdout.flush()
        finally:  # also before the line of an error
            stdout.write("\n")


def print_note(line: str) -> None:
    """Print a line on stderr."""
    print(printable(as_written(f"kzoo: {spelled(line)}")), file=sys.stderr)


def exit_code_and_line(error: BaseException) -> tuple[int, str]:
    """Return the exit code of an exception and a one-line message with a fix."""
    text = " ".join(str(error).split())
    if isinstance(error, KzooError):
        return 2, text
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("kzoo"):
        return 2, missing(error.name.partition(".")[0])
    if isinstance(error, OSError):
        path = f"{error.filename}: " if error.filename is not None else ""
        if error.errno == errno.ENOSPC:
            return 2, f"{path}the disk is full. Free some space, or choose another --out."
        if isinstance(error, FileNotFoundError):
            return 2, f"{path}no such file or folder."
        if isinstance(error, PermissionError):
            return 2, f"{path}no permission."
        return 2, f"{path}{error.strerror or text}."
    if isinstance(error, ValueError):
        return 2, f"{first_line(error)} (--debug shows the traceback)"
    # Backends raise out-of-memory errors of different types.
    if is_out_of_memory(error):
        return 2, "out of memory. Try a smaller batch: --set batch_size=16"
    return (
        1,
        f"{type(error).__name__}: {text[:300]} (an internal error of kzoo; --debug shows the traceback)",
    )


def settings_of(args: argparse.Namespace, options: Collection[str] = ()) -> JsonObject:
    """Return the settings of the preset that the command changes, by --set or by options such as --epochs.

    Args:
        args: the arguments of the command.
        options: other options of the command, which --set must not contain.

    Raises:
        KzooError: --set contains one of `options`, or a setting is given twice.
    """
    settings = parse_settings(args.set)
    for name in settings:
        if name in options:
            raise KzooError(
                f"{name!r} is not a setting: use the option --{name.replace('_', '-')} VALUE, without --set."
            )
    for name in ("epochs", "max_steps", "callbacks", *DECISION_OPTIONS):
        # `kzoo tune` passes it as an argument of its own
        if name == "objective" and name in options:
            continue
        if (value := getattr(args, name, None)) is not None:
            value = _costs(value) if name == "cost" else value
            if name in settings:
                raise KzooError(
                    f"{name} is given twice, by --{name.replace('_', '-')} and by --set. Remove one of them."
                )
            settings[name] = value
    return settings


def parse_settings(words: Sequence[str]) -> JsonObject:
    """Parse `["filters=32,64", "dropout=0.2"]` into `{"filters": (32, 64), "dropout": 0.2}`.

    The last value of a name wins.

    Raises:
        KzooError: a word without a name or without `=`.
    """
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise KzooError(
                f"--set takes name=value, not {word!r}. Put other arguments before --set."
            )
        settings[name] = parse_value(value)
    return settings


def parse_value(text: str) -> Value:
    """Parse a value: a number, true, false, none, a word, or several values separated by commas, which make a tuple.

    Quotes keep text as it is (`'1'`, `"a,b"`). Brackets around a list and a trailing comma are optional. Braces hold a
    dict: `{no:1,yes:5}`.

    Raises:
        KzooError: a name in braces without a value.
    """
    text = text.strip()
    if text[:1] + text[-1:] == "{}":
        return dict(_named_value(part) for part in _split_commas(text[1:-1]))
    bracketed = text[:1] + text[-1:] in ("()", "[]") and len(text) > 1
    inner = text[1:-1].strip() if bracketed else text
    parts = _split_commas(inner)
    if bracketed or not parts or len(parts) > 1 or inner.endswith(","):
        return tuple(_scalar(part) for part in parts)
    return _scalar(parts[0])


def _split_commas(text: str) -> list[str]:
    # Split at commas outside of quotes.
    parts = [part.strip() for part in re.findall(r"""((?:"[^"]*"|'[^']*'|[^,])*)(?:,|$)""", text)]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _named_value(part: str) -> tuple[str, Scalar]:
    name, colon, value = part.rpartition(":")
    if not colon:
        raise KzooError(f"{part!r} has no value. Write {{name:value}}, such as {{no:1,yes:5}}.")
    name = name.strip()
    return name[1:-1] if _is_quoted(name) else name, _scalar(value.strip())


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _scalar(text: str) -> Scalar:
    if _is_quoted(text):
        return text[1:-1]
    constants = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in constants:
        return constants[text.lower()]
    for type_ in (int, float):
        try:
            return type_(text)
        except ValueError:
            continue
    return text


def show_value(value: object) -> str:
    """Format a value as `--set` reads it, with all its digits."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return (
            ",".join(show_value(v) for v in value) + ("," if len(value) == 1 else "")
            if value
            else "()"
        )
    if isinstance(value, float):
        return repr(float(value))
    return str(value)


def to_json(document: object) -> str:
    """Return a document as ASCII-only JSON; numbers that JSON does not have (NaN, infinity) become null."""
    return as_written(json.dumps(_plain(document), indent=1, allow_nan=False))


def path_text(path: os.PathLike[str]) -> str:
    """Return the address whose copy a folder is, else its path."""
    return str(getattr(path, "address", None) or os.fspath(path))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy
        return _plain(value.tolist())
    if isinstance(value, os.PathLike):
        return path_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def terminal_width() -> int:
    """Return the number of columns to fill: those of the terminal, 40 to 120; in a pipe `_PIPE_WIDTH`."""
    columns = shutil.get_terminal_size((0, 0)).columns
    return max(min(columns, 120), 40) if columns else _PIPE_WIDTH


def bold(text: str) -> str:
    """Return a heading in bold; unchanged in a pipe, with NO_COLOR, or if the terminal has no bold."""
    return f"\033[1m{text}\033[0m" if terminal_has_styles() else text


def terminal_has_styles() -> bool:
    """Return whether texts can be bold or coloured: not in a pipe, with NO_COLOR, or on some terminals."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name == "nt"
    return not plain and sys.stdout.isatty()


def hanging_indent(prefix: str, text: str) -> list[str]:
    """Wrap a text to the terminal: the first line starts with `prefix`, the others are indented by its length."""
    return textwrap.wrap(prefix + text, terminal_width(), subsequent_indent=" " * len(prefix))


def shorten(text: str, max_length: int) -> str:
    """Replace the middle of a text by `..` if it is longer than `max_length`."""
    if len(text) <= max_length:
        return text
    head_length = (max_length - 2) // 2
    return f"{text[:head_length]}..{text[len(text) - (max_length - 2 - head_length) :]}"


def fit_terminal(text: str, max_length: int) -> str:
    """Shorten a text on a terminal; in a pipe return it unchanged."""
    return text if terminal_width() == _PIPE_WIDTH else shorten(text, max_length)


def format_count(number: float) -> str:
    """Format a large number in words: 40.8 million."""
    for unit, unit_name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {unit_name}"
    return f"{number:,}"


def check_output_file(option: str, path: str | None, suffixes: Collection[str]) -> None:
    """Raise KzooError if the path of an output file has a wrong suffix or its folder does not exist.

    None is accepted, and for the option "csv" also "-", the terminal.
    """
    if path is None or (option == "csv" and path == "-"):
        return
    refuse_remote_output(option, path)
    if Path(path).suffix.lower() not in suffixes:
        hint = " Put runs before --csv." if option == "csv" and Path(path).is_dir() else ""
        raise KzooError(f"--{option} {path!r} must end in {' or '.join(suffixes)}.{hint}")
    if not Path(path).parent.is_dir():
        raise KzooError(
            f"--{option} {path!r}: the folder {str(Path(path).parent)!r} does not exist."
        )
