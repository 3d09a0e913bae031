"""The command line of a recipe script, and the output at its end. Standard library only, until Keras is needed."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kzoo.cli import keras_import, shared, tables
from kzoo.utils.address import refuse_remote_output
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import expand_user, read_json, whole_file, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_start_time = time.perf_counter()


def arguments(
    name: str,
    doc: str | None,
    *,
    data: str | None = None,
    stand_in: str | None = None,
    backend: str | Sequence[str] | None = None,
    **options: Any,
) -> argparse.Namespace:
    """Parse the command line of a recipe: --out, --smoke, --data if the recipe takes data, and its own options.

    In a notebook there is no command line, and the defaults are returned. After this call, an uncaught `KzooError` ends
    the script with a one-line message and exit code 2, like kzoo's own command line. Keras is imported here, without
    the log output of its backend.

    Args:
        name: the name of the recipe, which is its folder under `runs/`.
        doc: the docstring of the script, printed by --help.
        data: the default of --data; None: the recipe takes no data.
        stand_in: the generated data set that --smoke uses in place of the default data, so that nothing is downloaded.
        backend: the Keras backend of the script, or several to choose from with --backend; the first is the default.
            None: determined by `KERAS_BACKEND` or the Keras configuration.
        options: further options: a default value, whose type is the type of the option, or a dict of keyword arguments
            of `add_argument`. If the default is an integer above 0, values must be too.

    Returns:
        A namespace with `name`, `out` (None by default), `smoke` and the other options.

    Raises:
        KzooError: the backend is not installed; the message has the command that installs it.

    Examples:
        >>> import sys
        >>> sys.argv = ["digits.py", "--smoke"]
        >>> args = kzoo.recipes.arguments("digits", "Train on digits.", data="digits", seeds=3)
        >>> args.data, args.seeds, args.smoke
        ('digits', 3, True)
    """
    parser = shared.Parser(
        prog=f"recipes/{name}.py",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(name=name)
    if data is not None:
        parser.add_argument(
            "--data", default=data, help=f"files, or the name of a data set (default: {data})"
        )
    parser.add_argument("--out", default=None, type=expand_user, help="output folder")
    parser.add_argument("--smoke", action="store_true", help="a quick test run of a few seconds")
    for option, default in options.items():
        keywords = (
            default
            if isinstance(default, dict)
            else dict(default=default, type=_argument_type(default))
        )
        parser.add_argument(f"--{option.replace('_', '-')}", **keywords)
    if backend is not None:
        choices = (backend,) if isinstance(backend, str) else backend
        parser.add_argument("--backend", choices=choices, default=choices[0])
    in_notebook = "ipykernel" in sys.modules
    if not in_notebook:
        sys.excepthook = _print_error
    args, unknown = parser.parse_known_args([] if in_notebook else None)
    if unknown:
        parser.refuse(unknown[0], sys.argv[1:])
    refuse_remote_output("out", args.out)
    if args.smoke and args.out is None:
        args.out = f"runs/{name.replace('/', '-')}-smoke"  # does not overwrite a full run
    if stand_in is not None and args.smoke and args.data == data:
        print(f"smoke: generated data {stand_in} is used in place of {data}")
        args.data = stand_in
    if backend is not None:
        os.environ["KERAS_BACKEND"] = args.backend  # Keras reads it once, at import
        with keras_import.silence():
            _import_backend(args.backend)
    keras_import.import_quietly("keras")
    return args


def _import_backend(name: str) -> None:
    try:
        import_module(name)
    except ImportError:
        raise KzooError(
            f"This recipe needs {name}. Install it with: python -m pip install {name}"
        ) from None


def _argument_type(default: object) -> Callable[[str], Any]:
    return _positive_int if type(default) is int and default > 0 else type(default)


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return int(text)


def _print_error(
    error_type: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(error_type, KzooError):
        advice = (
            " Use --data with your own files, or --smoke, which needs no download."
            if issubclass(error_type, DownloadError)
            else ""
        )
        shared.print_note(f"error: {shared.exit_code_and_line(error)[1]}{advice}")
        raise SystemExit(2)
    if issubclass(error_type, KeyboardInterrupt):
        shared.print_note("interrupted")
        raise SystemExit(130)
    sys.__excepthook__(error_type, error, traceback)


def finish(
    args: argparse.Namespace,
    rows: Iterable[Mapping[str, Any]] = (),
    figure: "Figure | None" = None,
    *,
    folder: str | os.PathLike[str] | None = None,
) -> None:
    """Print the table of a recipe, and write it with its figure to `NAME.json` and `NAME.png`.

    Args:
        args: the result of `arguments`.
        rows: dicts with the same keys; numbers stay numbers in the JSON file.
        figure: a matplotlib `Figure`.
        folder: the folder of both files; the default is `--out`, else `runs/NAME`.

    Raises:
        KzooError: a file cannot be written.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> import sys
        >>> sys.argv = ["iris.py"]
        >>> args = kzoo.recipes.arguments("iris", "Train on iris.")
        >>> rows = [{"preset": run.spec.preset, "epochs": run.summary["epochs"]}]
        >>> kzoo.recipes.finish(args, rows, folder="runs/table")
          preset    epochs
          iris_fnn  20
        runs/table: iris.json
    """
    folder = Path(folder or args.out or Path("runs") / args.name.replace("/", "-"))
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(args.name).name
    rows = [dict(row) for row in rows]
    if rows:
        table = [list(rows[0]), *([_format_cell(v) for v in row.values()] for row in rows)]
        print("\n".join(tables.columns(table)))
        document = dict(
            recipe=args.name,
            smoke=args.smoke,
            command=_command(args.name, sys.argv[1:]),
            rows=rows,
            # On a second start finished runs are not repeated, but their time counts.
            seconds=round(max(time.perf_counter() - _start_time, _training_seconds(folder)), 1),
            **keras_import.import_quietly("kzoo.training.provenance").provenance(),
        )
        write_json(folder / f"{stem}.json", document)
    if figure is not None:
        with whole_file(folder / f"{stem}.png", sync=False) as temporary:
            figure.savefig(temporary, dpi=110)
    print(f"{folder}: {', '.join(sorted(p.name for p in folder.glob(f'{stem}.*')))}")


def _training_seconds(folder: Path) -> float:
    """Return the total training time of the runs in a folder, also of earlier starts, whose runs are not repeated."""
    return sum(read_json(file).get("seconds") or 0 for file in folder.rglob("summary.json"))


def _command(name: str, words: Iterable[str]) -> str:
    """Return the command that repeats a recipe, without --out and with file names instead of paths.

    A slash is appended to the name of a folder, so that it is not taken for a named data set.
    """
    if "ipykernel" in sys.modules:
        return f"python recipes/{name}.py"
    command_words = []
    skip_next = False
    for word in words:
        if not skip_next and word != "--out" and not word.startswith("--out="):
            command_words.append(
                Path(word).name + "/" * Path(word).is_dir() if os.sep in word else word
            )
        skip_next = word == "--out"
    return shlex.join(["python", f"recipes/{name}.py", *command_words])


def _format_cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
