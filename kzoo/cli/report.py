"""Write the report of a run or a search, one HTML page: scores, curves, settings."""

from kzoo.cli import keras_import
from kzoo.tuning.search import is_search
from kzoo.untracked import as_run

EXAMPLES = """\
examples:
  kzoo report runs/digits_cnn-01                      report.html, in the run
  kzoo report runs/digits_cnn-01 --out digits.html
  kzoo report runs/tabular_fnn-01 --data march.csv    scored on new data too
  kzoo report searches/digits_cnn-01                  a search: its trials
"""


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="folder of a run, or of a search")
    parser.add_argument("--out", metavar="FILE", help="the page to write; default: report.html in the run's folder")
    parser.add_argument("--data", metavar="SOURCE", help="new data with answers, scored in a section of its own")


def run(args):
    named = args.run if is_search(args.run) else as_run(args.run, stored=False)
    file = keras_import.import_quietly("kzoo.reports").report(named, out=args.out, data=args.data)
    return dict(run=args.run, report=str(file), bytes=file.stat().st_size)


def render(document, args):
    return f"{document['report']} ({document['bytes'] / 1000:,.0f} kB)"
