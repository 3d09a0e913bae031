"""List the presets, by task; or rank those that were measured on some data."""

import math

from kzoo import results
from kzoo.cli import common, tables
from kzoo.registry import get_preset, is_general, list_presets
from kzoo.results.suggest import start_with
from kzoo.tasks import problems
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.weights import words_of

SORTS = ("score", "seconds", "parameters")
_RANKED = ("preset", "baseline", "metric", "score", "sd", "over", "epochs", "seconds", "parameters", "date", "command")

EXAMPLES = """\
examples:
  kzoo list                                  everything
  kzoo list "cifar_*" iris_fnn               by name, with * and ?
  kzoo list mine.toml "acme.*"               of a file, and of a package
  kzoo list --task text_classification       for a task
  kzoo list --family lstm                    of a family
  kzoo list --max-params 100k --exclude "*_rnn"
  kzoo list --data digits                    what was measured there, best first
  kzoo list --data sine --sort seconds       the quickest first
  kzoo list --json
"""


def add_arguments(parser):
    parser.add_argument("pattern", nargs="*", default=["*"], help="names, with * and ?, or a TOML file")
    parser.add_argument("--family", help="such as fnn, cnn, lstm or transformer")
    parser.add_argument("--task", help="such as image_classification")
    parser.add_argument("--dataset", help="presets whose own data set this is, such as cifar10")
    parser.add_argument("--max-params", metavar="N", help="at most this many parameters: 50000, 100k, 2M")
    parser.add_argument("--data", metavar="NAME", help="rank what was measured on these data, such as digits")
    parser.add_argument("--sort", choices=SORTS, help="by what to rank it (default score)")
    parser.add_argument("--exclude", metavar="PATTERN", action="append", default=[], help="leave out; repeatable")


def run(args):
    names = list_presets(
        args.pattern,
        family=args.family,
        task=args.task,
        dataset=args.dataset,
        max_params=None if args.max_params is None else _number(args.max_params),
        exclude=args.exclude,
    )
    if args.data is not None:
        return _ranked(args, names)
    if args.sort in ("score", "seconds"):
        raise KzooError(
            f"--sort {args.sort} compares what was measured on the same data; add --data: {_measured_on()}."
        )
    if args.sort:
        names.sort(key=lambda name: get_preset(name).params or math.inf)
    return [_described(get_preset(name)) for name in names]


def _described(preset):
    fields = ("name", "family", "task", "params", "dataset", "summary", "reference")
    return {field: getattr(preset, field) for field in fields} | dict(weights=list(words_of(preset.name)))


def _ranked(args, names):
    """Return what was measured on some data, of these presets, beside what needs no network there; in order."""
    there = [row for row in results.rows() if results.set_of(row["data"]) == results.set_of(args.data)]
    if not there:
        raise KzooError(f"Nothing was measured on {args.data!r}. --data takes one of: {_measured_on()}.")
    there = [row for row in there if row["preset"] in names]
    found = [*there, *results.baseline_rows(there)]
    if args.sort in ("seconds", "parameters"):
        found.sort(key=lambda row: (row.get(args.sort, math.inf), -results.sortable_score(row)))
    else:
        first = _to_start_with(there)
        found.sort(key=lambda row: (-results.sortable_score(row), row.get("preset") not in first))
    return [{field: row.get(field) for field in _RANKED} for row in found]


def _to_start_with(rows):
    """Return the presets to start with on data for the tasks of measured rows."""
    names = list_presets()
    general = [name for name in names if is_general(name)]
    tasks = dict.fromkeys(row["task"] for row in rows)
    firsts = (start_with(task, general) or start_with(task, names) for task in tasks)
    return [name for name in firsts if name is not None]


def _measured_on():
    return ", ".join(sorted({row["data"] for row in results.rows()}))


def _render_ranked(document, args):
    rows: list[tuple[str, ...]] = [("", "score", "over", "epochs", "seconds", "parameters")]
    for one in document:
        rest = [f"{one[name]:,.0f}" if one[name] is not None else "" for name in ("epochs", "seconds", "parameters")]
        rows.append((one["preset"] or f"({one['baseline']})", results.score(one), one["over"] or "", *rest))
    said = f"measured on {args.data}, by {args.sort or 'score'}; how each was trained: kzoo show NAME"
    there = [row for row in results.rows() if results.set_of(row["data"]) == results.set_of(args.data)]
    others = [f"to start with on other data for this task: {name}" for name in _to_start_with(there)]
    return "\n".join([common.bold(said), *tables.columns(rows, align="<<<>>>"), *others])


def render(document, args):
    if not document:
        return "No preset matches. `kzoo list` shows them all."
    if args.data is not None:
        return _render_ranked(document, args)
    lines, wide = [], max(len(preset["name"]) for preset in document)
    for task in sorted({preset["task"] for preset in document}, key=list(problems()).index):
        lines.append(common.bold(task.replace("_", " ")))
        for preset in (preset for preset in document if preset["task"] == task):
            parameters = f"{preset['params']:,}" if preset["params"] else ""
            lines += common.hanging(
                f"  {preset['name']:{wide}}  {parameters:>10}  ", preset["summary"] + _weights(preset)
            )
        lines.append("")
    lines.append(f"{plural(len(document), 'preset')}, with the number of parameters. More about one: kzoo show NAME")
    return "\n".join(lines)


def _weights(preset):
    """Say which weights of a preset are in the package."""
    return f" Weights: {', '.join(preset['weights'])}." if preset["weights"] else ""


def _number(text):
    units = {"k": 1e3, "m": 1e6}
    digits, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        return float(digits) * unit
    except ValueError:
        raise KzooError(f"--max-params {text!r} is not a number. Write 50000, 100k or 2M.") from None
