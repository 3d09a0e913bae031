"""List the presets by task, or rank the presets that were measured on a data set."""

import argparse
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import import_module

from kzoo.cli import shared, tables
from kzoo.problems.tasks import problems
from kzoo.utils.address import parse_place
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import cut, in_bytes, plural
from kzoo.zoo import results
from kzoo.zoo.registry import Preset, get_preset, is_general, list_presets
from kzoo.zoo.results.suggest import first
from kzoo.zoo.weights import weights_names

SORTS = ("score", "seconds", "parameters")
_RANKED_FIELDS = (
    "preset",
    "baseline",
    "metric",
    "score",
    "sd",
    "over",
    "epochs",
    "seconds",
    "parameters",
    "date",
    "command",
)

EXAMPLES = """\
examples:
  kzoo list                                  all presets
  kzoo list "cifar_*" iris_fnn               by name, with wildcards
  kzoo list mine.toml "acme.*"               from a file, and from a package
  kzoo list --task text_classification       for one task
  kzoo list --family lstm                    of one family
  kzoo list --max-params 100k --exclude "*_rnn"
  kzoo list --data digits                    measured on digits, best first
  kzoo list --data sine --sort seconds       fastest training first
  kzoo list --hub models                     models on a hub (kzoo push)
  kzoo list --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pattern",
        nargs="*",
        default=["*"],
        help="preset names (* and ? are wildcards), or a TOML file",
    )
    parser.add_argument(
        "--family",
        help="only presets of this network family, such as fnn, cnn, lstm or transformer",
    )
    parser.add_argument("--task", help="only presets for this task, such as image_classification")
    parser.add_argument(
        "--dataset", help="only presets whose default data set is this one, such as cifar10"
    )
    parser.add_argument(
        "--max-params", metavar="N", help="maximum number of parameters, such as 50000, 100k or 2M"
    )
    parser.add_argument(
        "--data", metavar="NAME", help="rank the presets measured on this data set, such as digits"
    )
    parser.add_argument(
        "--hub",
        metavar="PLACE",
        help="instead: list the models on a hub: a folder, https://host/path or hf://USER",
    )
    parser.add_argument("--sort", choices=SORTS, help="sort by this column (default score)")
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="exclude these presets; repeatable",
    )


def run(args: argparse.Namespace) -> list[JsonObject]:
    if args.hub is not None:
        return _list_hub(args)
    names = list_presets(
        args.pattern,
        family=args.family,
        task=args.task,
        dataset=args.dataset,
        max_params=None if args.max_params is None else _number(args.max_params),
        exclude=args.exclude,
    )
    if args.data is not None:
        return _rank(args, names)
    if args.sort in ("score", "seconds"):
        raise KzooError(
            f"--sort {args.sort} compares scores measured on the same data. Add --data with one of: {_measured_data()}."
        )
    if args.sort:
        # Presets with an unknown number of parameters come last.
        names.sort(key=lambda name: get_preset(name).params or math.inf)
    return [_describe(get_preset(name)) for name in names]


def _list_hub(args: argparse.Namespace) -> list[JsonObject]:
    """Return the revisions of the models on a hub, those of a model newest first."""
    for name in ("family", "task", "dataset", "max_params", "data", "sort"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise KzooError(f"{option} is for presets, not for the models of --hub. Remove it.")
    models = import_module("kzoo.hub.readers").reader_of(parse_place(args.hub)).models()
    return [
        dict(name=name, bytes=revision.bytes)
        | {key: value for key, value in revision.json().items() if key != "files"}
        for name in sorted(models)
        if any(fnmatchcase(name, pattern) for pattern in args.pattern)
        and not any(fnmatchcase(name, pattern) for pattern in args.exclude)
        for revision in reversed(models[name])
    ]


def _render_hub(document: Sequence[JsonObject], args: argparse.Namespace) -> str:
    if not document:
        return f"No model on {args.hub} matches."
    rows = [("", "task", "size", "pushed", "licence of the data", "signed with")]
    rows += [
        (
            f"{row['name']}@{shared.shorten(row['revision'], 12)}",
            row["task"].replace("_", " "),
            in_bytes(row["bytes"]),
            row["pushed"],
            cut(row["licence"]) or "unknown",
            cut(row["signer"], 60) or "not signed",
        )
        for row in document
    ]
    count = len({row["name"] for row in document})
    place = parse_place(args.hub)
    return "\n".join(
        [*tables.columns(rows), f"{plural(count, 'model')}. Use one: kzoo predict hub:{place}/NAME"]
    )


def _describe(preset: Preset) -> JsonObject:
    fields = ("name", "family", "task", "params", "dataset", "summary", "reference")
    return {field: getattr(preset, field) for field in fields} | dict(
        weights=list(weights_names(preset.name))
    )


def _rank(args: argparse.Namespace, names: Sequence[str]) -> list[JsonObject]:
    """Return the measured results of these presets on a data set, together with its baselines, in order.

    Raises:
        KzooError: nothing was measured on this data set.
    """
    measured = [
        row for row in results.rows() if results.set_of(row["data"]) == results.set_of(args.data)
    ]
    if not measured:
        raise KzooError(
            f"No preset was measured on {args.data!r}. --data takes one of: {_measured_data()}."
        )
    # Filtered after the check above, so that its error is about the data set and not about the pattern.
    measured = [row for row in measured if row["preset"] in names]
    rows = [*measured, *results.baseline_rows(measured)]
    if args.sort in ("seconds", "parameters"):
        rows.sort(key=lambda row: (row.get(args.sort, math.inf), -results.sortable_score(row)))
    else:
        # Among equal scores, recommended presets come first.
        recommended = _recommended(measured)
        rows.sort(
            key=lambda row: (-results.sortable_score(row), row.get("preset") not in recommended)
        )
    return [{field: row.get(field) for field in _RANKED_FIELDS} for row in rows]


def _recommended(rows: Sequence[JsonObject]) -> list[str]:
    """Return the presets recommended as a start for the tasks of measured rows."""
    names = list_presets()
    general = [name for name in names if is_general(name)]
    tasks = dict.fromkeys(row["task"] for row in rows)
    candidates = (first(task, general, names) for task in tasks)
    return [name for name in dict.fromkeys(candidates) if name is not None]


def _measured_data() -> str:
    return ", ".join(sorted({row["data"] for row in results.rows()}))


def _render_ranked(document: Sequence[JsonObject], args: argparse.Namespace) -> str:
    rows: list[tuple[str, ...]] = [("", "score", "over", "epochs", "seconds", "parameters")]
    for row in document:
        numbers = [
            f"{row[name]:,.0f}" if row[name] is not None else ""
            for name in ("epochs", "seconds", "parameters")
        ]
        rows.append(
            (
                row["preset"] or f"({row['baseline']})",
                results.score(row),
                row["over"] or "",
                *numbers,
            )
        )
    title = f"measured on {args.data}, by {args.sort or 'score'}; training commands: kzoo show NAME"
    measured = [
        row for row in results.rows() if results.set_of(row["data"]) == results.set_of(args.data)
    ]
    hints = [
        f"recommended for your own data of this task: {name}" for name in _recommended(measured)
    ]
    return "\n".join([shared.bold(title), *tables.columns(rows, align="<<<>>>"), *hints])


def render(document: Sequence[JsonObject], args: argparse.Namespace) -> str:
    if args.hub is not None:
        return _render_hub(document, args)
    if not document:
        return "No preset matches. `kzoo list` shows all presets."
    if args.data is not None:
        return _render_ranked(document, args)
    lines = []
    name_width = max(len(preset["name"]) for preset in document)
    for task in sorted({preset["task"] for preset in document}, key=list(problems()).index):
        lines.append(shared.bold(task.replace("_", " ")))
        presets = [preset for preset in document if preset["task"] == task]
        for preset in presets:
            parameters = f"{preset['params']:,}" if preset["params"] else ""
            lines += shared.hanging_indent(
                f"  {preset['name']:{name_width}}  {parameters:>10}  ",
                preset["summary"] + _weights(preset),
            )
        lines.append("")
    lines.append(
        f"{plural(len(document), 'preset')}, with the number of parameters. Details: kzoo show NAME"
    )
    return "\n".join(lines)


def _weights(preset: JsonObject) -> str:
    """Return a sentence with the names of the packaged weights of a preset, or an empty string."""
    return f" Weights: {', '.join(preset['weights'])}." if preset["weights"] else ""


def _number(text: str) -> float:
    units = {"k": 1e3, "m": 1e6}
    digits, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        return float(digits) * unit
    except ValueError:
        raise KzooError(
            f"--max-params {text!r} is not a number. Write 50000, 100k or 2M."
        ) from None
