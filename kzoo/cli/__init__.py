"""The command line: `kzoo list | show | check | train | tune | evaluate | predict | report | export | serve | compare`.

Each command is a module with `add_arguments(parser)`, `run(args) -> document` and `render(document, args)`,
imported only when it is called. The document is plain data: `--json` prints it, `render` puts it in words.
"""

import argparse
import os
import sys
import warnings
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module

from kzoo import __version__
from kzoo.cli import common, preflight
from kzoo.cli.choices import VALUES
from kzoo.cli.option_names import with_option_names
from kzoo.registry import list_presets
from kzoo.registry.arguments import ARGUMENTS
from kzoo.utils import fast_import as lean
from kzoo.utils.errors import KzooError, KzooWarning
from kzoo.utils.files import expand_user
from kzoo.utils.formatting import hint, printable, spelled, spelling
from kzoo.utils.i18n import language, translator
from kzoo.utils.optional import require

# Command -> what it does; the module has the same name.
COMMANDS = {
    "list": "the presets, by task",
    "show": "a preset in full: layers, settings, data; draws it too",
    "check": "look at data, settings and network before training; at new data after it; at an export",
    "train": "train a preset on its own data or on yours",
    "tune": "search for better settings of a preset",
    "evaluate": "score a run on its test split or on new data",
    "predict": "answers for images, table rows or texts",
    "report": "a run as one HTML page: scores, curves, mistakes, settings",
    "export": "a run as SavedModel, ONNX, LiteRT or .keras, each checked in its own runtime",
    "serve": "answer over HTTP with exported models, without Keras",
    "compare": "runs side by side, best first; a new one against an old one",
}

EXAMPLES = """\
examples:
  kzoo list --task text_classification
  kzoo show cifar_cnn --plot cifar_cnn.png
  kzoo train digits_cnn
  kzoo train image_cnn --data photos/
  kzoo train tabular_fnn --data churn.csv --target churned
  kzoo tune digits_cnn --max-time 30m
  kzoo predict runs/digits_cnn-01 digit.png

`kzoo COMMAND --help` teaches each command by example.

KZOO_LANG=zh: help and --callbacks teaching in Chinese; all else is English.
"""
# bash puts a blank after what it has completed; behind `--set learning_rate=` the value comes.
_NO_BLANK_AFTER_EQUALS = """\
_kzoo() {
  _shtab_kzoo
  if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o bashdefault -F _kzoo kzoo"""


def make_parser(called) -> argparse.ArgumentParser:
    """Return the parser with the arguments of the `called` commands; the others are not imported."""
    parser = common.Parser(
        prog="kzoo",
        description="A Keras model zoo: list the presets, train one on your data, use it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kzoo {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(
        "--print-completion",
        metavar="SHELL",
        choices=("bash", "zsh", "tcsh", "fish"),
        help="print a completion script",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=common.Parser)
    for name, summary in COMMANDS.items():
        if name not in called:
            commands.add_parser(name, help=summary, add_help=False)
            continue
        module = import_module(f"kzoo.cli.{name}")
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", help="print one JSON document instead of text")
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )
    if language() != "en":
        import_module("kzoo.cli.translation").translate(parser, translator("help"))
    return parser


def main(argv=None) -> int:
    """Run a command and return its exit code: 0, 2 for bad input, 130 after Ctrl-C, 143 after SIGTERM,
    1 for a fault of kzoo's.

    A command whose answer is yes or no puts its `exit_code` into the document.

    Args:
        argv: words after `kzoo`; the default is the process' own, which is kzoo's then: Keras is imported lean.
    """
    if argv is None:
        lean.mark_kzoo_process()
        argv = sys.argv[1:]
    argv = [str(word) for word in argv]
    common.forgive_encoding()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _showing(warnings.showwarning)
            warnings.simplefilter("always", KzooWarning)
            return _run(argv)
    except SystemExit as done:  # argparse, after --help and --version
        return done.code or 0  # type: ignore[return-value]  # argparse gives a number
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        common.print_note(f"interrupted: {stop}" if str(stop) else "interrupted")
        return 130
    except Exception as error:
        if "--debug" in argv:
            raise
        code, line = common.exit_code_and_line(error)
        common.print_note(f"error: {line}")
        return code


def _showing(others):
    """Return what shows a warning: one of kzoo's as one line, those of libraries as `others` does."""

    def show(message, category, *rest, **more):
        if issubclass(category, KzooWarning):
            common.print_note(f"warning: {message}")
        else:
            others(message, category, *rest, **more)

    return show


def _run(argv):
    word = next((word for word in argv if not word.startswith("-")), None)
    if "--print-completion" in argv or any(w.startswith("--print-completion=") for w in argv):
        return _print_completion(argv)
    if word is not None and word not in COMMANDS:
        raise KzooError(f"Unknown command {word!r}. {hint(word, COMMANDS)}Commands: {', '.join(COMMANDS)}.")
    parser = make_parser({word})
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        _called(parser, args.command).refuse(unknown[0], argv)
    if args.command is None:
        parser.print_help()
        return 0
    for name in common.NAMED_FILES:
        if name in vars(args):
            setattr(args, name, expand_user(getattr(args, name)))
    module = import_module(f"kzoo.cli.{args.command}")
    with spelling(partial(with_option_names, options=_called(parser, args.command).options())):
        try:
            # Whatever a library prints while it works must not mix with the document.
            with redirect_stdout(sys.stderr):
                preflight.preflight(args)
                document = module.run(args)
        except KzooError as error:
            error.args = (spelled(error), *error.args[1:])
            raise
        print(common.to_json(document) if args.json else printable(module.render(document, args)))
    sys.stdout.flush()
    if not isinstance(document, dict):
        return 0
    return 130 if document.get("interrupted") else document.get("exit_code", 0)


def _print_completion(argv):
    shtab = require("shtab")
    parser = make_parser(COMMANDS)
    shell = parser.parse_args(argv).print_completion
    for name in COMMANDS:
        for action in _called(parser, name)._actions:
            if action.dest == "preset":
                action.choices = list_presets()
            elif action.dest == "set":
                action.choices = [f"{setting}=" for setting in ARGUMENTS]
            elif action.dest in VALUES:
                action.choices = [*VALUES[action.dest]()]  # `list` is a command here
            elif action.dest in common.FILES:
                action.complete = shtab.FILE
    print(shtab.complete(parser, shell=shell))
    if shell == "bash":
        print(_NO_BLANK_AFTER_EQUALS)
    return 0


def _called(parser, command):
    """Return a command's own parser; the top one where there is no command."""
    subparsers = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return subparsers.choices.get(command, parser)
