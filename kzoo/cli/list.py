"""List the presets, by task."""

from kzoo.cli import common
from kzoo.errors import KzooError
from kzoo.registry import get_preset, list_presets
from kzoo.tasks import problems
from kzoo.words import plural

EXAMPLES = """\
examples:
  kzoo list                                  everything
  kzoo list "cifar_*" iris_fnn               by name, with * and ?
  kzoo list mine.toml "acme.*"               of a file, and of a package
  kzoo list --task text_classification       for a task
  kzoo list --family lstm                    one of six families
  kzoo list --max-params 100k --exclude "*_rnn"
  kzoo list --json
"""


def add_arguments(parser):
    parser.add_argument("pattern", nargs="*", default=["*"], help="names, with * and ?, or a TOML file")
    parser.add_argument("--family", help="fnn, cnn, rnn, lstm, gru or transformer")
    parser.add_argument("--task", help="such as image_classification")
    parser.add_argument("--dataset", help="presets whose own data set this is, such as cifar10")
    parser.add_argument("--max-params", metavar="N", help="at most this many parameters: 50000, 100k, 2M")
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
    fields = ("name", "family", "task", "params", "dataset", "summary", "reference")
    return [{field: getattr(get_preset(name), field) for field in fields} for name in names]


def render(document, args):
    if not document:
        return "No preset matches. `kzoo list` shows them all."
    lines, wide = [], max(len(preset["name"]) for preset in document)
    for task in sorted({preset["task"] for preset in document}, key=list(problems()).index):
        lines.append(common.bold(task.replace("_", " ")))
        for preset in (preset for preset in document if preset["task"] == task):
            parameters = f"{preset['params']:,}" if preset["params"] else ""
            lines += common.hanging(f"  {preset['name']:{wide}}  {parameters:>10}  ", preset["summary"])
        lines.append("")
    lines.append(f"{plural(len(document), 'preset')}, with the number of parameters. More about one: kzoo show NAME")
    return "\n".join(lines)


def _number(text):
    units = {"k": 1e3, "m": 1e6}
    digits, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        return float(digits) * unit
    except ValueError:
        raise KzooError(f"--max-params {text!r} is not a number. Write 50000, 100k or 2M.") from None
