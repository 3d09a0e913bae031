"""The command line: `kzoo list | show | check | train | tune | evaluate | predict | explain | report | ...`.

Each command is a module with `add_arguments(parser)`, `run(args) -> document` and `render(document, args)`. It is
imported only when the command is called. The document is plain data: `--json` prints it, `render` formats it as text,
or returns an iterator over pieces of text, which are printed as they come.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module

from kzoo.cli import file_uploads, preflight, shared
from kzoo.cli.choices import OPTION_VALUES, values_of
from kzoo.cli.option_names import with_option_names
from kzoo.problems.data_arguments import FLAGS, flag_names
from kzoo.utils import fast_import
from kzoo.utils.errors import KzooError, KzooWarning
from kzoo.utils.files import expand_user
from kzoo.utils.formatting import hint, spelled, spelling
from kzoo.utils.i18n import language, translator
from kzoo.utils.optional import require
from kzoo.utils.version import __version__
from kzoo.zoo.registry import AUTO, list_presets
from kzoo.zoo.registry.arguments import ARGUMENTS

# Command (and name of its module) -> summary shown by --help.
COMMANDS = {
    "list": "list the presets, by task",
    "show": "show a preset or a run (layers, settings, data), or draw its network",
    "check": "check data, settings and network before training; or check new data after training, or an exported model",
    "train": "train a preset on its own data set or on your data; writes a run (a folder)",
    "tune": "search for better hyperparameters of a preset",
    "evaluate": "score a run on its test split or on new data",
    "predict": "predict for new images, table rows, texts or series",
    "explain": "explain which columns a run uses, or why it predicts a number for a row",
    "report": "write an HTML report of a run: scores, curves, mistakes, settings",
    "export": "export a run as SavedModel, ONNX, LiteRT or .keras, and check each file in its own runtime",
    "serve": "serve exported models over HTTP, without Keras",
    "push": "push an exported model to a hub: a folder, or the Hugging Face Hub",
    "pull": "pull an exported model from a hub: a folder, a web server, or the Hugging Face Hub",
    "compare": "rank runs, best first, or compare a new run with an old one",
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

`kzoo COMMAND --help` shows examples of each command.

KZOO_LANG=zh shows the help and the output of --callbacks teaching in Chinese; everything else stays in English.
"""
# bash adds a space after a completed word, but after `--set learning_rate=` the value must follow at once.
_NO_SPACE_AFTER_EQUALS = """\
_kzoo() {
  _shtab_kzoo
  if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o bashdefault -F _kzoo kzoo"""


def make_parser(command_names: Collection[str]) -> shared.Parser:
    """Return the parser of the command line.

    Args:
        command_names: the commands whose arguments are added. Modules of other commands are not imported.
    """
    parser = shared.Parser(
        prog="kzoo",
        description="A Keras model zoo: list the presets, train one on your data, use the model.",
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
        help="print a shell completion script",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=shared.Parser)
    for name, summary in COMMANDS.items():
        if name not in command_names:
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
        command.add_argument(
            "--json", action="store_true", help="print one JSON document instead of text"
        )
        command.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of an error",
        )
    if language() != "en":
        import_module("kzoo.cli.translation").translate(parser, translator("help"))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: success; 1: an internal error of kzoo; 2: invalid input; 130: Ctrl-C; 143: SIGTERM. Some commands, such as those
    that check or compare, set another as `exit_code` in the dict that they return.

    Args:
        argv: the words after `kzoo`; None for those of this process, which then imports Keras without its optional
            packages (see `kzoo.utils.fast_import`).
    """
    if argv is None:
        fast_import.mark_kzoo_process()
        argv = sys.argv[1:]
    argv = [str(word) for word in argv]
    shared.replace_unencodable()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warning_printer(warnings.showwarning)
            warnings.simplefilter("always", KzooWarning)
            return _run_command(argv)
    except SystemExit as error:  # raised by argparse after --help and --version
        return error.code or 0  # type: ignore[return-value]  # argparse sets an int
    except BrokenPipeError:
        # The reader of the pipe (`| head`) has closed it. Python would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as interrupt:
        shared.print_note(f"interrupted: {interrupt}" if str(interrupt) else "interrupted")
        return 130
    except Exception as error:
        if "--debug" in argv:
            raise
        code, line = shared.exit_code_and_line(error)
        shared.print_note(f"error: {line}")
        return code


def _warning_printer(show_other: Callable[..., None]) -> Callable[..., None]:
    """Return a `warnings.showwarning` that prints kzoo's warnings on one line and passes others to `show_other`."""

    def show_warning(
        message: Warning | str, category: type[Warning], *args: object, **kwargs: object
    ) -> None:
        if issubclass(category, KzooWarning):
            shared.print_note(f"warning: {message}")
        else:
            show_other(message, category, *args, **kwargs)

    return show_warning


def _run_command(argv: Sequence[str]) -> int:
    command = next((command for command in argv if not command.startswith("-")), None)
    if "--print-completion" in argv or any(word.startswith("--print-completion=") for word in argv):
        return _print_completion(argv)
    if command is not None and command not in COMMANDS:
        raise KzooError(
            f"Unknown command {command!r}. {hint(command, COMMANDS)}Commands: {', '.join(COMMANDS)}."
        )
    parser = make_parser(() if command is None else (command,))
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        _subparser(parser, args.command).refuse(unknown[0], argv)
    if args.command is None:
        parser.print_help()
        return 0
    for name in shared.NAMED_FILES:
        if name in vars(args):
            setattr(args, name, expand_user(getattr(args, name)))
    module = import_module(f"kzoo.cli.{args.command}")
    # `kzoo predict` names those of training
    of_data = (option for name in FLAGS for option in flag_names(name))
    with spelling(
        partial(with_option_names, options=[*_subparser(parser, args.command).options(), *of_data])
    ):
        try:
            # What libraries print goes to stderr: stdout holds the document alone.
            with redirect_stdout(sys.stderr):
                addresses = file_uploads.prepare(args)
                shared.pull_models(args)
                shared.copy_data(args)
                preflight.preflight(args)
                document = (
                    file_uploads.run(module.run, args, addresses) if addresses else module.run(args)
                )
            if args.json:
                print(shared.to_json(document))
            else:
                shared.print_output(module.render(document, args))
        except KzooError as error:
            error.args = (spelled(error), *error.args[1:])
            raise
    sys.stdout.flush()
    if not isinstance(document, dict):
        return 0
    return 130 if document.get("interrupted") else document.get("exit_code", 0)


def _print_completion(argv: Sequence[str]) -> int:
    shtab = require("shtab")
    parser = make_parser(COMMANDS)
    shell = parser.parse_args(argv).print_completion
    for name in COMMANDS:
        actions = _subparser(parser, name)._actions
        options = {action.dest for action in actions}
        for action in actions:
            if action.dest == "preset":
                action.choices = [*list_presets(), *([AUTO] if name in ("train", "tune") else [])]
            elif action.dest == "set":
                action.choices = [f"{setting}=" for setting in ARGUMENTS]
            elif action.dest in OPTION_VALUES:
                # Not `list(...)`: here this name is the module `kzoo.cli.list`.
                action.choices = [*values_of(action.dest, options)]
            elif action.dest in shared.FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # read by shtab
    print(shtab.complete(parser, shell=shell))
    if shell == "bash":
        print(_NO_SPACE_AFTER_EQUALS)
    return 0


def _subparser(parser: shared.Parser, command: str | None) -> shared.Parser:
    """Return the parser of a command, or the top-level parser if there is no such command."""
    subparsers = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return parser if command is None else subparsers.choices.get(command, parser)
