"""Write an HTML report of a run or a search: scores, curves, settings."""

import argparse

from kzoo.cli import keras_import, shared
from kzoo.tuning.search import is_search
from kzoo.utils.files import JsonObject
from kzoo.zoo.untracked import as_run

EXAMPLES = """\
examples:
  kzoo report runs/digits_cnn-01                      report.html in the run
  kzoo report runs/digits_cnn-01 --out digits.html
  kzoo report runs/tabular_fnn-01 --data march.csv    also scores it on new data
  kzoo report runs/tabular_fnn-01 --explain --data churn.csv
  kzoo report searches/digits_cnn-01                  the trials of a search
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="folder of a run or a search")
    parser.add_argument(
        "--out", metavar="FILE", help="output file; default: report.html in the folder of the run"
    )
    parser.add_argument(
        "--data", metavar="SOURCE", help="new data with a target, scored in a separate section"
    )
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="score subgroups of --data: rows with equal values in a column",
    )
    shared.add_data_options(parser, ("sheet", "header_row"))
    parser.add_argument(
        "--explain",
        action="store_true",
        help="explain which columns the run uses, and three examples (see kzoo explain); tables need --data, what the "
        "run was trained on, unless it is a named data set",
    )


def run(args: argparse.Namespace) -> JsonObject:
    target = args.run if is_search(args.run) else as_run(args.run, stored=False)
    path = keras_import.import_quietly("kzoo.reports").report(
        target,
        out=args.out,
        data=args.data,
        by=args.by,
        sheet=args.sheet,
        header_row=args.header_row,
        explain=args.explain,
    )
    return dict(run=args.run, report=str(path), bytes=path.stat().st_size)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    return f"{document['report']} ({document['bytes'] / 1000:,.0f} kB)"
