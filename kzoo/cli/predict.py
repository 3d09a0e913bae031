"""Answer new inputs with a run or an export: images, table rows, texts, series."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from kzoo.cli import common, keras_import
from kzoo.data.encode import encode_named
from kzoo.kinds import kind as kind_named
from kzoo.sources.unreadable import ANSWERED
from kzoo.untracked import as_run
from kzoo.utils.errors import KzooError

EXAMPLES = """\
examples:
  kzoo predict runs/image_cnn-01 cat.jpg dog.png           image files
  kzoo predict runs/image_cnn-01 holiday/ --out out.csv    a folder of them
  kzoo predict runs/tabular_fnn-01 customers.csv           rows of a table
  kzoo predict runs/text_cnn-01 "a wonderful film" "dull"  texts
  kzoo predict runs/text_cnn-01 - < sentences.txt          a text per line
  kzoo predict runs/image_cnn-01 cat.jpg --top 5
  kzoo predict runs/image_cnn-01 cat.jpg --tta mirror     and its mirror image
  kzoo predict runs/series_gru-01 power.csv --plot ahead.png   what comes next
  kzoo predict cifar_speed photo.jpg                       a preset with weights
  kzoo predict exports/cats cat.jpg                        an exported model
  kzoo predict exports/cats cat.jpg --format onnx_int8
exit code:
  0  answered   1  more than one file in twenty could not be read   2  bad input
"""


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or one that kzoo export wrote; or a preset")
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="image files or folders, a table (CSV), text files, or texts; - reads lines",
    )
    common.add_weights_option(parser)
    parser.add_argument("--out", metavar="FILE.csv", help="write all answers to a CSV file")
    parser.add_argument("--plot", metavar="FILE", help="draw a series and its forecast (.png, .svg, .pdf)")
    parser.add_argument("--format", metavar="NAME", help="which exported file to run, such as onnx_int8 (default onnx)")
    parser.add_argument("--tta", metavar="NAME", help="images: the mean answer to several views, mirror or shift")
    parser.add_argument("--top", type=int, default=1, metavar="N", help="show the N likeliest classes (default 1)")


def run(args):
    if args.top < 1:
        raise KzooError(f"--top {args.top} must be at least 1.")
    if args.out is not None:
        _check_out(args.out)
    if args.plot is not None:
        common.check_file("plot", args.plot, common.PICTURES)
        if find_spec("matplotlib") is None:  # an exported model answers without it
            raise KzooError("--plot needs matplotlib, which is not installed: pip install matplotlib")
    answers = _by_exported(args) if (Path(args.run) / "kzoo.json").is_file() else _by_run(args)
    if args.plot is not None and answers.history is None:
        raise KzooError(f"--plot draws a series and its forecast, and {args.run} forecasts none.")
    if args.top > 1 and answers.targets:
        raise KzooError(f"--top {args.top} shows classes, and {args.run} answers with values: leave it out.")
    document = dict(run=args.run, predictions=answers.rows(args.top))
    if len(answers.unread) > ANSWERED * len(answers):
        document["exit_code"] = 1
    if args.out is not None:
        _write(answers, args.out)
        document["out"] = args.out
    if args.plot is not None:
        _plot(answers, args)
        document["plot"] = args.plot
    return document


def _plot(answers, args):
    figure = import_module("kzoo.plots").ahead(
        answers.history[0],
        answers.values[0] if answers.values is not None else answers.quantiles[0, ..., len(answers.levels) // 2],
        times=answers.times[0] if answers.times else (),
        history_times=answers.history_times[0] if answers.times else (),
        names=answers.target_names,
    )
    with import_module("kzoo.utils.files").whole_file(args.plot, sync=False) as temporary:
        figure.savefig(temporary, dpi=120)


def _by_run(args):
    if args.format is not None:
        raise KzooError(
            f"--format {args.format} is for exported models, and {args.run} is a run: kzoo export {args.run}"
        )
    named = as_run(args.run, args.weights)
    # Read before the seconds that Keras takes to import: what is wrong with the inputs is said at once.
    inputs = encode_named(named.preprocessing, gather(named.config["data"]["inputs"], args.inputs))
    return keras_import.import_quietly("kzoo.evaluation.predict").predict_encoded(named, inputs, tta=args.tta)


def _by_exported(args):
    if args.weights is not None:
        raise KzooError(f"--weights {args.weights} is for presets, and {args.run} is an exported model: leave it out.")
    if args.tta is not None:
        raise KzooError(f"--tta {args.tta} is for runs, and {args.run} is an exported model: leave it out.")
    with keras_import.silence():
        model = import_module("kzoo.runtime").load(args.run, args.format)
    return model.predict(gather(model.inputs, args.inputs))


def _write(answers, file):
    with (
        import_module("kzoo.utils.files").whole_file(file) as temporary,
        # With a BOM, without which spreadsheets read UTF-8 as something else.
        open(temporary, "w", encoding="utf-8-sig", newline="") as written,
    ):
        answers.write_csv(written)


def gather(kind, words):
    """Turn the words of the command line into what `kzoo.predict` takes.

    Args:
        kind: the name of what the model reads (see `kzoo.kinds`).
        words: files, folders or texts.

    Raises:
        KzooError: a file that is not there, or several tables.
    """
    light = kind_named(kind).inference
    if words == ["-"]:
        lines = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        if not lines:
            raise KzooError("Nothing came in on standard input.")
        return getattr(light, "gather_lines", light.gather)(lines)
    return light.gather(words)


def _check_out(file):
    path = Path(file)
    if path.suffix.lower() != ".csv":
        raise KzooError(f"--out {file!r} must end in .csv.")
    if not path.parent.is_dir():
        raise KzooError(f"--out {file!r}: there is no folder {str(path.parent)!r}.")


def render(document, args):
    rows, forecasts = [], []
    for row in document["predictions"]:
        if row.get("targets"):
            forecasts += _forecast(row)
            continue
        shown = common.short(" ".join(str(row["input"]).split()), 44)
        if "error" in row:
            answer = f"not read: {row['error']}"
        else:
            answer = ", ".join(map(_class, row["classes"])) if "classes" in row else _numbers(row["values"])
        rows.append((shown, answer))
    wide = max((len(shown) for shown, _ in rows), default=0)
    lines = [line for shown, answer in rows for line in common.hanging(f"{shown:{wide}}  ", answer)] + forecasts
    lines += [f"Written to {document[what]}" for what in ("out", "plot") if what in document]
    return "\n".join(lines)


def _forecast(row):
    """Return a table: a row for each step ahead, with its time or its number."""
    steps = row.get("times") or range(1, len(row["values"]) + 1)
    head = ["time" if "times" in row else "step", *row["targets"]]
    cells = [[str(step), *map(_numbers, values)] for step, values in zip(steps, row["values"], strict=True)]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ["  ".join(map(str.rjust, line, widths)) for line in (head, *cells)]  # rich may not be installed
    return [f"{row['input']}:", *(f"  {line}" for line in lines)]


def _class(said):
    if "score" in said:  # no probability: percent would lie
        return f"{said['label']} (score {said['score']:.3g})"
    return f"{said['label']} {said['probability']:.1%}"


def _numbers(values):
    if isinstance(values, list):
        texts = [_numbers(v) for v in values]
        return ("; " if values and isinstance(values[0], list) else ", ").join(texts)
    return f"{values:.0f}" if 1e5 <= abs(values) < 1e15 else f"{values:.5g}"
