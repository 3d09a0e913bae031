"""Predict for new images, table rows, texts or series with a run or an export.

A language model predicts the next token of each text or, with --length or
another of the options for generation, continues one text.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from kzoo.cli import keras_import, shared
from kzoo.inference.encode import Inputs, encode_named, local_inputs
from kzoo.inference.postprocessors.abstention import UNSURE
from kzoo.inference.predictions import Predictions, set_text
from kzoo.inference.sources.unreadable import MAX_SHARE_EVALUATION
from kzoo.problems.kinds import kind as get_kind
from kzoo.problems.kinds import kind_of
from kzoo.utils.address import is_remote_address
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import duration, listed, plural, spelled
from kzoo.utils.spreadsheets import write_rows
from kzoo.utils.table_path import check_sheet, with_sheet
from kzoo.zoo.untracked import as_run

_SHOWN = 5  # predictions that are printed if all are written to a file
_SAMPLING = ("length", "temperature", "top_k", "top_p", "seed")  # options that continue a text
Numbers: TypeAlias = "float | list[Numbers]"

EXAMPLES = """\
examples:
  kzoo predict runs/image_cnn-01 cat.jpg dog.png           image files
  kzoo predict runs/image_cnn-01 holiday/ --out out.csv    a folder of images
  kzoo predict runs/tabular_fnn-01 customers.csv           rows of a table
  kzoo predict runs/tabular_fnn-01 new.csv --keep id --out out.csv
  kzoo predict runs/tabular_fnn-01 june.xlsx --sheet Orders
  kzoo predict runs/tabular_fnn-01 new.csv --confidence .9  sets or intervals
  kzoo predict runs/tabular_fnn-01 new.csv --accuracy-when-answered .95
  kzoo predict runs/text_cnn-01 "a wonderful film" "dull"  texts
  kzoo predict runs/text_cnn-01 - < sentences.txt          one text per line
  kzoo predict runs/image_cnn-01 cat.jpg --top 5           the five best
  kzoo predict runs/image_cnn-01 cat.jpg --tta mirror      with its mirror image
  kzoo predict runs/series_gru-01 power.csv --plot ahead.png   a forecast
  kzoo predict runs/series_linear-01 shops.csv --make-future next.csv
  kzoo predict runs/series_linear-01 shops.csv --total series --confidence .8
  kzoo predict runs/series_linear-01 shops.csv --samples 500 --out paths.csv
  kzoo predict cifar_speed photo.jpg                       a preset with weights
  kzoo predict char_gru "Once upon a time" --length 200    continue a text
  kzoo predict exports/cats cat.jpg                        an exported model
  kzoo predict exports/cats cat.jpg --format onnx_int8
  kzoo predict exports/churn customers/ --out scores/    many .parquet files
  kzoo predict exports/churn s3://b/in --out s3://b/out --scheduler tcp://h:8786
exit code:
  0  success   1  more than 5 % of the files are unreadable   2  invalid input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_model_argument(parser)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="image files or folders, a table (CSV), text files, or texts; - reads lines from standard input",
    )
    shared.add_weights_option(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write all predictions to a .csv file, or the continued text to a .txt file; or to a folder or an address "
        "(s3://...), a file for each .parquet or .csv file below the folder or address INPUT",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="plot series and their forecasts (.png, .svg, .pdf)"
    )
    parser.add_argument(
        "--format", metavar="NAME", help="exported format to use, such as onnx_int8 (default onnx)"
    )
    parser.add_argument(
        "--tta",
        metavar="NAME",
        help="for images: test-time augmentation (mirror or shift), which averages the predictions for several "
        "views of each image",
    )
    parser.add_argument(
        "--top", type=int, default=1, metavar="N", help="show the N most likely classes (default 1)"
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="copy a column of the table, such as an id, to the output; repeat for more",
    )
    parser.add_argument(
        "--make-future",
        metavar="FILE",
        help="write the rows of the steps to forecast to a .csv file; known columns are to be filled in",
    )
    parser.add_argument(
        "--spreadsheet-safe",
        action="store_true",
        help="put an apostrophe in front of texts in .csv files that a spreadsheet would run as formulas",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="for --out FOLDER: number of processes, with one thread each (default: one per core)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="for --out FOLDER: predict on the workers of this Dask scheduler: tcp://HOST:PORT or tls://HOST:PORT",
    )
    shared.add_data_options(parser, ("sheet", "header_row"))
    shared.add_promise_options(parser)
    parser.add_argument(
        "--samples",
        type=int,
        metavar="N",
        help="for forecasts: write N paths, joint over series and steps, to the file of --out: a row for each path, "
        "series and step",
    )
    parser.add_argument(
        "--total",
        metavar="OVER",
        help="for forecasts: add them up over series (at each step), steps (of each series) or all, with mean, "
        "quantiles and the band of --confidence",
    )
    group = parser.add_argument_group("generation of text by language models")
    group.add_argument(
        "--length",
        type=int,
        metavar="N",
        help="continue the text by N characters or words (default 200 with another of these options)",
    )
    group.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="0 always takes the most likely token, 1 samples by the probabilities of the model (default 1)",
    )
    group.add_argument(
        "--top-k", type=int, metavar="N", help="sample from the N most likely tokens (default: all)"
    )
    group.add_argument(
        "--top-p",
        type=float,
        metavar="P",
        help="sample from the most likely tokens that together have the probability P (default 1)",
    )
    group.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the sampling, also of --samples and --total (default 0)",
    )


def run(args: argparse.Namespace) -> JsonObject:
    if args.top < 1:
        raise KzooError(f"--top {args.top} must be at least 1.")
    settings = {name: getattr(args, name) for name in _SAMPLING if getattr(args, name) is not None}
    of_paths = args.samples is not None or args.total is not None
    if settings and not (of_paths and settings.keys() == {"seed"}):
        return import_module("kzoo.cli.generation").continue_text(args, settings)
    if args.make_future is not None:
        return _make_future(args)
    if _is_folder(args.out):
        return _score_partitions(args)
    for name in ("workers", "scheduler"):
        if (value := getattr(args, name)) is not None:
            raise KzooError(f"--{name} {value} is for partitions. Add --out FOLDER, or remove it.")
    shared.check_output_file("out", args.out, (".csv",))
    if args.spreadsheet_safe and args.out is None:
        raise KzooError("--spreadsheet-safe is for a file: add --out FILE.csv, or remove it.")
    if args.samples is not None and args.out is None:
        raise KzooError(
            "is for a file: add --out FILE.csv.", argument="samples", value=args.samples
        )
    shared.promise_options(args)  # refuses values before anything is read
    if args.plot is not None:
        shared.check_output_file("plot", args.plot, shared.PICTURES)
        if find_spec("matplotlib") is None:  # exported models predict without it
            raise KzooError(
                "--plot needs matplotlib, which is not installed: pip install matplotlib"
            )
    predictions = (
        _predict_exported(args) if (Path(args.run) / "kzoo.json").is_file() else _predict_run(args)
    )
    if args.plot is not None and predictions.history is None:
        raise KzooError(
            f"--plot is for forecasts of series, and {args.run} does not forecast. Remove --plot."
        )
    if args.top > 1 and predictions.separator:
        raise KzooError(
            f"--top {args.top} is for classes, and {args.run} predicts all labels of an input. Remove --top."
        )
    if args.top > 1 and predictions.targets:
        raise KzooError(
            f"--top {args.top} is for classes, and {args.run} predicts numbers. Remove --top."
        )
    top = None if predictions.separator else args.top
    document = dict(run=args.run, predictions=predictions.rows(top))
    if predictions.promise:
        document["promise"] = spelled(predictions.promise)
    if len(predictions.unread) > MAX_SHARE_EVALUATION * len(predictions):
        document["exit_code"] = 1
    if args.out is not None:
        _save_csv(predictions, args.out, args.spreadsheet_safe)
        document["out"] = args.out
        if args.samples is not None:
            document["samples"] = args.samples
    if args.plot is not None:
        _save_plot(predictions, args)
        document["plot"] = args.plot
    return document


def _is_folder(out: str | None) -> bool:
    """Return whether predictions are written to a folder: an address, a path without a suffix, or one that exists."""
    if out is None:
        return False
    is_csv_file = Path(out).suffix.lower() == ".csv" and not os.path.isdir(out)
    has_suffix = Path(out).suffix and not out.endswith(("/", os.sep))
    return (is_remote_address(out) and not is_csv_file) or os.path.isdir(out) or not has_suffix


def _score_partitions(args: argparse.Namespace) -> JsonObject:
    """Write the predictions for the partitions of a table."""
    for name, value in (
        ("weights", args.weights),
        ("tta", args.tta),
        ("plot", args.plot),
        ("samples", args.samples),
        ("total", args.total),
        ("seed", args.seed),
        ("sheet", args.sheet),
        ("header_row", args.header_row),
        ("top", None if args.top == 1 else args.top),
    ):
        if value is not None:
            option = name.replace("_", "-")
            raise KzooError(
                f"--{option} {value} is not for partitions (--out {args.out} is a folder). Remove it, or write to "
                "a .csv file."
            )
    if not (Path(args.run) / "kzoo.json").is_file():
        raise KzooError(
            f"--out {args.out} is a folder, for the predictions of an exported model, and {args.run} is a run. "
            f"Export it first: kzoo export {args.run}. Or write to a .csv file."
        )
    if len(args.inputs) > 1:
        raise KzooError(
            f"--out {args.out} is a folder: name one folder or address of .parquet or .csv files, not "
            f"{len(args.inputs)} inputs. Or write to a .csv file."
        )
    if args.workers is not None:
        checked_count("workers", args.workers)
        if args.scheduler is not None:
            raise KzooError(
                f"--workers {args.workers} is for processes of this machine, and --scheduler for those of a cluster. "
                "Remove one of them."
            )
    options = shared.promise_options(args)
    if args.scheduler is not None:
        import_module("kzoo.utils.dask_cluster").check_address(args.scheduler)
    with keras_import.silence():
        module = import_module("kzoo.scoring.job")
    scored = module.score_partitions(
        args.run,
        args.inputs[0],
        args.out,
        format=args.format,
        keep=args.keep,
        options=options,
        spreadsheet_safe=args.spreadsheet_safe,
        workers=args.workers,
        scheduler=args.scheduler,
    )
    for note in scored.notes:
        warn(note)
    if scored.failed:
        name, reason = next(iter(scored.failed.items()))
        more = len(scored.failed) - 1
        others = f" {plural(more, 'other partition')} failed too." if more else ""
        raise KzooError(
            f"Partition {name!r} has no predictions: {reason}{others} {scored.done:,} of {scored.partitions:,} were "
            "written now; run the same command again for the rest."
        )
    return dict(run=args.run, out=args.out, scored=vars(scored), promise=spelled(scored.promise))


def _render_scored(document: JsonObject) -> str:
    return "\n".join(filter(None, (document["promise"], _written_line(document))))


def _written_line(document: JsonObject) -> str:
    scored = document["scored"]
    partitions, rows = plural(scored["partitions"], "partition"), plural(scored["rows"], "row")
    if not scored["done"]:
        return f"{partitions} ({rows}) are already in {document['out']}"
    already = scored["partitions"] - scored["done"]
    seconds = max(scored["seconds"], 1e-9)
    return (
        f"{plural(scored['done'], 'partition')} ({plural(scored['done_rows'], 'row')}) written to {document['out']} "
        f"in {duration(seconds)}: {scored['done_rows'] / seconds:,.0f} rows/s by "
        f"{plural(scored['workers'], 'worker')}"
        + (f"; {already:,} were already there" if already else "")
    )


def _make_future(args: argparse.Namespace) -> JsonObject:
    """Write the rows of the steps to forecast."""
    shared.check_output_file("make_future", args.make_future, (".csv",))
    if (Path(args.run) / "kzoo.json").is_file():
        exported = import_module("kzoo.inference.exported").ExportedModel(args.run)
        reader, spec, options = exported.preprocessing or {}, exported.spec, None
    else:
        run = as_run(args.run, args.weights)
        reader, spec, options = run.preprocessing, run.spec.json(), run.data.options
    horizon = (spec.get("config") or {}).get("horizon")
    inference = kind_of(reader).inference if reader else None
    if inference is None or not hasattr(inference, "make_future") or horizon is None:
        raise KzooError(
            f"--make-future is for forecasts of series, and {args.run} does not forecast. Remove it."
        )
    inputs = _at_sheet(collect_inputs(kind_of(reader).name, args.inputs), args, options)
    columns = inference.make_future(reader, inputs, horizon)
    with (
        import_module("kzoo.utils.files").whole_file(args.make_future) as temporary,
        open(temporary, "w", encoding="utf-8-sig", newline="") as stream,
    ):
        cells = (
            ["" if cell is None else cell for cell in row]
            for row in zip(*columns.values(), strict=True)
        )
        write_rows(stream, chain([columns], cells), args.spreadsheet_safe)
    rows = len(next(iter(columns.values())))
    covariates = inference.form(reader).get("covariates", [])
    known = [covariate["name"] for covariate in covariates if covariate["role"] == "known"]
    return dict(run=args.run, predictions=[], make_future=args.make_future, rows=rows, known=known)


def _save_plot(predictions: Predictions, args: argparse.Namespace) -> None:
    figure = import_module("kzoo.plots").forecasts(predictions)
    with import_module("kzoo.utils.files").whole_file(args.plot, sync=False) as temporary:
        figure.savefig(temporary, dpi=120)


def _predict_run(args: argparse.Namespace) -> Predictions:
    if args.format is not None:
        raise KzooError(
            f"--format {args.format} is for exported models, and {args.run} is a run. "
            f"Export it first: kzoo export {args.run}"
        )
    run = as_run(args.run, args.weights)
    # Inputs are read before Keras is imported, which takes seconds: errors in the inputs are reported at once.
    inputs = _at_sheet(
        collect_inputs(run.config["data"]["inputs"], args.inputs), args, run.data.options
    )
    options = shared.promise_options(args)
    import_module("kzoo.inference.postprocessors.postprocessor").Postprocessor.read(
        run.postprocessing
    ).check(options, run.problem)
    encoded = encode_named(run.preprocessing, inputs, keep=args.keep)
    predict_encoded = keras_import.import_quietly("kzoo.evaluation.predict").predict_encoded
    return predict_encoded(run, encoded, tta=args.tta, options=options)


def _predict_exported(args: argparse.Namespace) -> Predictions:
    if args.weights is not None:
        raise KzooError(
            f"--weights {args.weights} is for presets, and {args.run} is an exported model. Remove --weights."
        )
    if args.tta is not None:
        raise KzooError(
            f"--tta {args.tta} is for runs, and {args.run} is an exported model. Remove --tta."
        )
    with keras_import.silence():
        model = import_module("kzoo.runtime").load(args.run, args.format)
    options = shared.promise_options(args).given
    return model.predict(
        _at_sheet(collect_inputs(model.inputs, args.inputs), args), keep=args.keep, **options
    )


def _at_sheet(
    inputs: Inputs, args: argparse.Namespace, options: Mapping[str, object] | None = None
) -> Inputs:
    """Return inputs, a workbook at the sheet of the command or else of the training."""
    inputs = with_sheet(inputs, args.sheet, args.header_row, options)
    check_sheet(inputs, args.sheet, args.header_row)
    return inputs


def _save_csv(predictions: Predictions, path: str, spreadsheet_safe: bool) -> None:
    with (
        import_module("kzoo.utils.files").whole_file(path) as temporary,
        # Spreadsheets recognize UTF-8 by the BOM.
        open(temporary, "w", encoding="utf-8-sig", newline="") as stream,
    ):
        write = (
            predictions.write_csv if predictions.samples is None else predictions.write_samples_csv
        )
        write(stream, spreadsheet_safe=spreadsheet_safe)


def collect_inputs(kind: str, words: Sequence[str]) -> Inputs:
    """Return what `kzoo.predict` takes for the words of a command line.

    Args:
        kind: the kind of input of the model (see `kzoo.problems.kinds`).
        words: files, folders or texts; ["-"] reads lines from standard input.

    Raises:
        KzooError: a file does not exist, there are several tables, or standard input is empty.
    """
    inference = get_kind(kind).inference
    words = [local_inputs(get_kind(kind), word) for word in words]
    if words == ["-"]:
        lines = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        if not lines:
            raise KzooError("Standard input is empty. Write one input per line.")
        return getattr(inference, "gather_lines", inference.gather)(lines)
    return inference.gather(words)


def render(document: JsonObject, args: argparse.Namespace) -> str | Iterator[str]:
    if "pieces" in document:
        return document["pieces"]
    if "scored" in document:
        return _render_scored(document)
    rows, forecasts = [], []
    for row in document["predictions"][: _SHOWN if "out" in document else None]:
        if row.get("targets"):
            forecasts += _forecast_lines(row)
            continue
        cells = [row["input"], *row.get("kept", {}).values()]
        label = shared.shorten(
            "  ".join(" ".join(_format_cell(cell).split()) for cell in cells), 44
        )
        if "error" in row:
            prediction = f"not read: {row['error']}"
        elif "labels" in row:
            chosen = [entry for entry in row["classes"] if entry["label"] in row["labels"]]
            prediction = ", ".join(map(_format_class, chosen)) or "no label"
        else:
            prediction = (
                ", ".join(map(_format_class, row["classes"]))
                if "classes" in row
                else _format_numbers(_numbers(row))
            )
            prediction = _with_promise(row, prediction)
        rows.append((label, prediction))
    label_width = max((len(label) for label, _ in rows), default=0)
    lines = [
        line
        for label, prediction in rows
        for line in shared.hanging_indent(f"{label:{label_width}}  ", prediction)
    ] + forecasts
    count = len(document["predictions"])
    lines += [f"... and {count - _SHOWN:,} more"] if "out" in document and count > _SHOWN else []
    lines += [document["promise"]] if "promise" in document else []
    if "out" in document:
        lines.append(f"{_written(document)} written to {document['out']}")
    lines += [f"Written to {document['plot']}"] if "plot" in document else []
    if "make_future" in document:
        known = listed(map(repr, document["known"]))
        advice = (
            f"Fill in {known}, and add the rows to the table."
            if known
            else "The model has no known columns to fill in: it forecasts these steps without the rows."
        )
        lines.append(
            f"{plural(document['rows'], 'row')} written to {document['make_future']}. {advice}"
        )
    return "\n".join(lines)


def _written(document: JsonObject) -> str:
    """Return what a file of predictions contains."""
    rows = document["predictions"]
    forecast = next((row for row in rows if row.get("targets")), None)
    if forecast is None:
        return plural(len(rows), "prediction")
    steps = plural(forecast.get("summed_steps") or len(_numbers(forecast)), "step")
    text = (
        f"forecast of {steps}"
        if len(rows) == 1
        else f"forecasts of {len(rows):,} series, {steps} each,"
    )
    if "samples" in document:
        return f"{plural(document['samples'], 'path')} of the {text}"
    return text.capitalize()


def _with_promise(row: JsonObject, prediction: str) -> str:
    """Return the text of a prediction with its label if that is `unsure`, its set, and its interval."""
    if "classes" in row and row["label"] == UNSURE:
        prediction = f"{UNSURE} ({prediction})"
    if "set" in row:
        prediction += f"  set {set_text(row['set'])}"
    if "lower" in row:
        ends = zip(_flat(row["lower"]), _flat(row["upper"]), strict=True)
        prediction += "  " + ", ".join(
            f"[{_format_numbers(low)} to {_format_numbers(high)}]" for low, high in ends
        )
    return prediction


def _forecast_lines(row: JsonObject) -> list[str]:
    """Return a table of a forecast: a row for each step, with its time or number."""
    numbers = [list(map(_format_numbers, _flat(values))) for values in _numbers(row)]
    steps = row.get("times") or range(1, len(numbers) + 1)
    names = row["targets"]
    if "values" not in row:
        names = [f"{name}_q{level:g}" for name in names for level in row["levels"]]
    if "mean" in row:
        names = [*(f"{name}_mean" for name in row["targets"]), *names]
        numbers = [
            [*map(_format_numbers, means), *texts]
            for means, texts in zip(row["mean"], numbers, strict=True)
        ]
    if "lower" in row:
        for end in ("lower", "upper"):
            names = [*names, *(f"{name}_{end}" for name in row["targets"])]
            for texts, values in zip(numbers, row[end], strict=True):
                texts += map(_format_numbers, values)
    header = ["time" if "times" in row else "step", *names]
    if "summed_steps" in row:
        header, steps = ["steps", *names], [f"1 to {row['summed_steps']}"]
    cells = [[str(step), *values] for step, values in zip(steps, numbers, strict=True)]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    # rich may not be installed
    lines = ["  ".join(map(str.rjust, line, widths)) for line in (header, *cells)]
    return [f"{row['input']}:", *(f"  {line}" for line in lines)]


def _format_cell(cell: object) -> str:
    return "-" if cell is None else str(cell)


def _numbers(row: JsonObject) -> list[Any]:
    """Return the values of a prediction, or its quantiles."""
    return row["values"] if "values" in row else row["quantiles"]


def _flat(values: Iterable[float | list[float]]) -> list[float]:
    """Return numbers, or the quantiles of several targets, as one list."""
    return [
        number for value in values for number in (value if isinstance(value, list) else [value])
    ]


def _format_class(prediction: JsonObject) -> str:
    if "score" in prediction:  # a score is not a probability: no percent
        return f"{prediction['label']} (score {prediction['score']:.3g})"
    return f"{prediction['label']} {prediction['probability']:.1%}"


def _format_numbers(values: Numbers) -> str:
    if isinstance(values, list):
        texts = [_format_numbers(v) for v in values]
        return ("; " if values and isinstance(values[0], list) else ", ").join(texts)
    return f"{values:.0f}" if 1e5 <= abs(values) < 1e15 else f"{values:.5g}"
