"""Score a run on its test split, on another split, or on new data."""

import argparse

from kzoo.cli import keras_import, shared, tables
from kzoo.inference.tasks.target_scores import mixes_units
from kzoo.inference.tasks.weighted import by_weighting
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, plural
from kzoo.utils.table_path import check_sheet, with_sheet
from kzoo.zoo.untracked import as_run

EXAMPLES = """\
examples:
  kzoo evaluate runs/digits_cnn-01                      on its test split
  kzoo evaluate runs/digits_cnn-01 --split validation
  kzoo evaluate runs/image_cnn-01 --data new_photos/    one folder per class
  kzoo evaluate runs/image_cnn-01 --tta mirror          with mirror images
  kzoo evaluate runs/tabular_fnn-01 --data year.csv     only its test rows
  kzoo evaluate runs/tabular_fnn-01 --data march.csv --target churned
  kzoo evaluate runs/tabular_fnn-01 --data march.csv --by region
  kzoo evaluate runs/tabular_fnn-01 --confidence .9     coverage of sets
  kzoo evaluate runs/char_gru-01 --stateful             keep the state
"""

_SHOWN_APART = (
    "targets",
    "labels",
    "by",
    "series",
    "windows",
    "spread",
    "conformal",
    "totals",
    "band",
    "simple_forecasts",
)  # scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="folder of a run, or a preset with pretrained weights"
    )
    shared.add_weights_option(parser)
    parser.add_argument(
        "--data",
        metavar="SOURCE",
        help="new data with a target, or the data that the run was trained on",
    )
    parser.add_argument(
        "--split",
        default="test",
        help="split of the run's own data: test (default), validation or train",
    )
    parser.add_argument("--target", metavar="COLUMN", help="target column")
    parser.add_argument(
        "--backtest",
        type=int,
        metavar="N",
        help="of forecasts: also score those from each of the last N moments, and the spread of the scores",
    )
    parser.add_argument(
        "--step-size", type=int, metavar="N", help="steps between these moments (default: horizon)"
    )
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="also score each subgroup: rows with equal values in a column",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        action="append",
        metavar="LEVEL",
        help="also measure the coverage of sets or intervals at this level, such as 0.9; repeat for more",
    )
    shared.add_data_options(parser, ("sheet", "header_row"))
    parser.add_argument(
        "--tta",
        metavar="NAME",
        help="for images: test-time augmentation (mirror or shift), which averages the predictions for several "
        "views of each image",
    )
    parser.add_argument(
        "--stateful",
        action="store_true",
        help="for language models: read the whole text in one pass, keeping the state",
    )


def run(args: argparse.Namespace) -> JsonObject:
    if args.split not in ("train", "validation", "test"):
        raise KzooError(f"--split {args.split!r} must be train, validation or test.")
    run = as_run(args.run, args.weights)
    evaluate = keras_import.import_quietly("kzoo.evaluation").evaluate
    # If --data is what the run was trained on, only the rows of the split are scored, never training rows.
    data = (
        None
        if args.data is None
        else with_sheet(args.data, args.sheet, args.header_row, run.data.options)
    )
    check_sheet(data, args.sheet, args.header_row)
    own_data = (
        None
        if args.data is None
        else keras_import.import_quietly("kzoo.data.reload").matching_run_data(
            run, data, target=args.target
        )
    )
    # subgroups need the table itself
    source = data if own_data is None or args.by is not None else own_data
    scores = evaluate(
        run,
        source,
        split=args.split,
        target=args.target,
        stateful=args.stateful,
        tta=args.tta,
        by=args.by,
        confidence=args.confidence,
        n_windows=args.backtest,
        step_size=args.step_size,
    )
    name = args.data or run.config["data"]["name"]
    # The split is named unless `--data` is new data.
    data = name if args.data is not None and own_data is None else f"{name}, {args.split} split"
    return dict(
        run=args.run,
        data=data,
        scores=scores,
        doubts=run.problem.task.score_warnings(scores),
        in_units=run.problem.task.in_units(scores, run.target),
    )


def render(document: JsonObject, args: argparse.Namespace) -> str:
    lines = [f"{shared.path_text(document['run'])} on {document['data']}:"]
    scores = document["scores"]
    if "band" in scores:  # of forecasts, whose errors depend on each other
        scores = scores | {"coverage_interval": scores["band"]["interval"]}
    columns = by_weighting(scores)
    lines += shared.hanging_indent("  ", document["in_units"]) if document["in_units"] else []
    rows = [] if len(columns) == 1 else [("", *columns)]
    for name in next(iter(columns.values())):
        if name not in _SHOWN_APART and not mixes_units(name, document["scores"]):
            cells = (_cell(scores[name]) if name in scores else "" for scores in columns.values())
            rows.append((name.replace("_", " "), *cells))
    lines += [*tables.columns(rows), *tables.target_lines(document["scores"], document["doubts"])]
    lines += tables.coverage_lines(document["scores"].get("conformal"))
    lines += tables.totals_lines(document["scores"].get("totals"))
    lines += tables.subgroup_lines(document["scores"])
    if spread := document["scores"].get("spread"):
        lines.append(f"Forecasts from {plural(len(document['scores']['windows']), 'moment')}:")
        lines += tables.columns(
            [("", "mean", "sd", "min", "max")]
            + [(name.replace("_", " "), *map(_cell, row.values())) for name, row in spread.items()]
        )
    return "\n".join(lines)


def _cell(value: str | float | list[float] | tuple[float, ...] | None) -> str:
    """Return a score, an interval or a setting as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return " to ".join(map(number, value))
    return "not available" if value is None else number(value)
