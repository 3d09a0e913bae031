"""A recipe script: its command line, and how it ends. Standard library until Keras is asked for."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kzoo.cli import common, keras_import, tables
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import expand_user, read_json, whole_file, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_began = time.perf_counter()


def arguments(
    name: str,
    doc: str | None,
    *,
    data: str | None = None,
    stand_in: str | None = None,
    backend: str | Sequence[str] | None = None,
    **options: Any,
) -> argparse.Namespace:
    """Read the command line of a recipe: --out, --smoke, --data where it takes data, and its own options.

    In a notebook there is no command line: the defaults are returned. From here on a `KzooError` that reaches the
    top ends the script with one line and exit code 2, as on kzoo's own command line. Keras is imported here, without
    the lines that its backend writes while it starts.

    Args:
        name: the recipe's name, which is its folder under `runs/`.
        doc: the script's docstring, printed by --help.
        data: the default of --data; None: the recipe takes no data.
        stand_in: the generated set that takes the place of the default data with --smoke, which downloads nothing.
        backend: the Keras backend that the script is for, or a tuple of them: --backend chooses, the first is the
            default. None: as `KERAS_BACKEND` or Keras' own settings say.
        options: further options: a default, whose type the option takes, or a dict of argparse's keywords. Where
            the default is a whole number above 0, another one must be too.

    Returns:
        A namespace with `name`, `out` (None unless given), `smoke` and the rest.

    Raises:
        KzooError: the backend is not installed; the message is the line that installs it.
    """
    parser = common.Parser(
        prog=f"recipes/{name}.py",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(name=name)
    if data is not None:
        parser.add_argument("--data", default=data, help=f"your own files, or the name of a data set (default: {data})")
    parser.add_argument("--out", default=None, type=expand_user, help="folder for what it makes")
    parser.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    for option, given in options.items():
        keywords = given if isinstance(given, dict) else dict(default=given, type=_type_of(given))
        parser.add_argument(f"--{option.replace('_', '-')}", **keywords)
    if backend is not None:
        choices = (backend,) if isinstance(backend, str) else backend
        parser.add_argument("--backend", choices=choices, default=choices[0])
    notebook = "ipykernel" in sys.modules
    if not notebook:
        sys.excepthook = _one_line
    args, unknown = parser.parse_known_args([] if notebook else None)
    if unknown:
        parser.refuse(unknown[0], sys.argv[1:])
    if args.smoke and args.out is None:
        args.out = f"runs/{name.replace('/', '-')}-smoke"  # never in the way of the whole run
    if stand_in is not None and args.smoke and args.data == data:
        print(f"smoke: generated {stand_in} stand in for {data}")
        args.data = stand_in
    if backend is not None:
        os.environ["KERAS_BACKEND"] = args.backend  # read once, when Keras is first imported
        with keras_import.silence():
            common.require(args.backend)
    keras_import.import_quietly("keras")
    return args


def _type_of(default: Any) -> Callable[[str], Any]:
    return _count if type(default) is int and default > 0 else type(default)


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} must be a whole number of at least 1")
    return int(word)


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KzooError):
        way_out = " --data takes your own files; --smoke needs no download." if issubclass(kind, DownloadError) else ""
        common.print_note(f"error: {common.exit_code_and_line(error)[1]}{way_out}")
        raise SystemExit(2)
    if issubclass(kind, KeyboardInterrupt):
        common.print_note("interrupted")
        raise SystemExit(130)
    sys.__excepthook__(kind, error, trace)


def finish(
    args: argparse.Namespace,
    rows: Iterable[Mapping[str, Any]] = (),
    figure: "Figure | None" = None,
    *,
    folder: str | os.PathLike[str] | None = None,
) -> None:
    """Print a recipe's table and keep it, with its picture, as `NAME.json` and `NAME.png`.

    Args:
        args: what `arguments` returned.
        rows: dicts with the same keys: what was measured. Numbers stay numbers.
        figure: a matplotlib `Figure`.
        folder: where to put both; the default is `--out`, else `runs/NAME`.
    """
    folder = Path(folder or args.out or Path("runs") / args.name.replace("/", "-"))
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(args.name).name
    rows = [dict(row) for row in rows]
    if rows:
        shown = [list(rows[0]), *([_short(v) for v in row.values()] for row in rows)]
        print("\n".join(tables.columns(shown)))
        kept = dict(
            recipe=args.name,
            smoke=args.smoke,
            command=_command(args.name, sys.argv[1:]),
            rows=rows,
            seconds=round(max(time.perf_counter() - _began, _trained(folder)), 1),
            **keras_import.import_quietly("kzoo.training.provenance").provenance(),
        )
        write_json(folder / f"{stem}.json", kept)
    if figure is not None:
        with whole_file(folder / f"{stem}.png", sync=False) as temporary:
            figure.savefig(temporary, dpi=110)
    print(f"{folder}: {', '.join(sorted(p.name for p in folder.glob(f'{stem}.*')))}")


def _trained(folder: Path) -> float:
    """Return the seconds of the runs in a recipe's folder: an earlier start counts, whose runs are not repeated."""
    return sum(read_json(file).get("seconds") or 0 for file in folder.rglob("summary.json"))


def _command(name: str, words: Iterable[str]) -> str:
    """Return the line that repeats a recipe, with names of files only and without the folder for what it makes.

    A folder's name has a slash after it: what is called as a data set is not that set.
    """
    if "ipykernel" in sys.modules:
        return f"python recipes/{name}.py"
    kept, skip = [], False
    for word in words:
        if not skip and word != "--out" and not word.startswith("--out="):
            kept.append(Path(word).name + "/" * Path(word).is_dir() if os.sep in word else word)
        skip = word == "--out"
    return shlex.join(["python", f"recipes/{name}.py", *kept])


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
