"""Score a run: on the split that it was not trained on, or on data of your own."""

from kzoo.cli import common, keras_import, tables
from kzoo.cli.train import score_warnings_of
from kzoo.tasks.target_scores import mixes_units
from kzoo.untracked import as_run
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import number

EXAMPLES = """\
examples:
  kzoo evaluate runs/digits_cnn-01                      its own test split
  kzoo evaluate runs/digits_cnn-01 --split validation
  kzoo evaluate runs/image_cnn-01 --data new_photos/    a folder per class
  kzoo evaluate runs/image_cnn-01 --tta mirror          with mirror images
  kzoo evaluate runs/tabular_fnn-01 --data year.csv   its own: the test rows
  kzoo evaluate runs/tabular_fnn-01 --data march.csv --target churned
  kzoo evaluate runs/char_gru-01 --stateful            one pass, nothing lost
"""


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="a run's folder, or a preset with weights of its own")
    common.add_weights_option(parser)
    parser.add_argument("--data", metavar="SOURCE", help="new data with answers, or what it was trained on")
    parser.add_argument("--split", default="test", help="test (default), validation or train of the run's own data")
    parser.add_argument("--target", metavar="COLUMN", help="column with the answers")
    parser.add_argument("--tta", metavar="NAME", help="images: the mean answer to several views, mirror or shift")
    parser.add_argument("--stateful", action="store_true", help="language models: read the whole text in one pass")


def run(args):
    if args.split not in ("train", "validation", "test"):
        raise KzooError(f"--split {args.split!r} must be train, validation or test.")
    named = as_run(args.run, args.weights)
    evaluate = keras_import.import_quietly("kzoo.evaluation").evaluate
    own = (
        None
        if args.data is None
        else keras_import.import_quietly("kzoo.data.reload").data_of_run(named, args.data, target=args.target)
    )
    given = args.data if own is None else own
    scores = evaluate(named, given, split=args.split, target=args.target, stateful=args.stateful, tta=args.tta)
    name = args.data or named.config["data"]["name"]
    data = name if given is args.data is not None else f"{name}, {args.split} split"
    return dict(run=args.run, data=data, scores=scores, doubts=score_warnings_of(named, scores))


def render(document, args):
    lines = [f"{document['run']} on {document['data']}:"]
    rows = []
    for name, value in document["scores"].items():
        if name == "targets" or mixes_units(name, document["scores"]):
            continue
        if isinstance(value, list | tuple):
            text = " to ".join(map(number, value))
        elif value is None:
            text = "cannot be computed here"
        elif isinstance(value, str):
            text = value
        else:
            text = number(value)
        rows.append((name.replace("_", " "), text))
    lines += [*tables.columns(rows), *tables.of_targets(document["scores"], document["doubts"])]
    return "\n".join(lines)
