"""Explain a run: which columns it uses, or why it predicts a number for a row.

Without ROWS, the columns of a table are ranked on the validation rows of
--data. With ROWS, each table row, text or image is explained.
"""

import argparse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.cli import keras_import, shared
from kzoo.cli.predict import collect_inputs
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.untracked import as_run

if TYPE_CHECKING:
    from kzoo.inference.explanations.explanation import Explanation


EXAMPLES = """\
examples:
  kzoo explain runs/tabular_fnn-01 --data churn.csv        which columns it uses
  kzoo explain runs/tabular_fnn-01 --data churn.csv --plot columns.png
  kzoo explain runs/tabular_fnn-01 customers.csv           the first rows
  kzoo explain runs/tabular_fnn-01 customers.csv --data churn.csv
  kzoo explain runs/tabular_fnn-01 customers.csv --of yes  of this class
  kzoo explain runs/text_ngrams-01 "a wonderful film"      its words
  kzoo explain runs/image_cnn-01 cat.jpg --plot cat.png    its pixels
  kzoo explain exports/churn customers.csv                 an exported model
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_model_argument(parser)
    parser.add_argument(
        "inputs",
        metavar="ROWS",
        nargs="*",
        help="inputs to explain: a table (CSV), texts or image files; - reads lines from standard input",
    )
    shared.add_weights_option(parser)
    parser.add_argument(
        "--data",
        metavar="SOURCE",
        help="the data that the run was trained on, or other data with a target; without ROWS it is needed, unless the "
        "run is of a named data set",
    )
    parser.add_argument(
        "--of", metavar="NAME", help="class, label or target to explain; default: the predicted one"
    )
    parser.add_argument("--target", metavar="COLUMN", help="target column of --data")
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="permutations of each column (default 10)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of permutations and samples (default 0)",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="plot the explanation, of ROWS the first (.png, .svg, .pdf)"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the explanation to a .json or .html file"
    )
    shared.add_data_options(parser, ("sheet", "header_row"))


def run(args: argparse.Namespace) -> JsonObject:
    shared.check_output_file("out", args.out, (".json", ".html"))
    if args.plot is not None:
        shared.check_output_file("plot", args.plot, shared.PICTURES)
        if find_spec("matplotlib") is None:  # exported models explain without it
            raise KzooError(
                "--plot needs matplotlib, which is not installed: pip install matplotlib"
            )
    is_exported = (Path(args.run) / "kzoo.json").is_file()
    explanation = _explain_exported(args) if is_exported else _explain_run(args)
    document = explanation.to_dict()
    files = {
        name: getattr(args, name) for name in ("out", "plot") if getattr(args, name) is not None
    }
    if args.out is not None:
        _write(explanation, document, args.out)
    if args.plot is not None:
        with import_module("kzoo.utils.files").whole_file(args.plot, sync=False) as temporary:
            explanation.plot().savefig(temporary, dpi=120)
    elif explanation.picture is not None:
        raise KzooError("Images are explained by a picture. Add --plot FILE.")
    args.explanation = explanation
    return document | files


def _explain_run(args: argparse.Namespace) -> "Explanation":
    run = as_run(args.run, args.weights)
    inputs = collect_inputs(run.config["data"]["inputs"], args.inputs) if args.inputs else None
    return keras_import.import_quietly("kzoo.evaluation.explain").explain(
        run,
        inputs,
        data=args.data,
        of=args.of,
        target=args.target,
        repeats=args.repeats,
        seed=args.seed,
        sheet=args.sheet,
        header_row=args.header_row,
    )


def _explain_exported(args: argparse.Namespace) -> "Explanation":
    for name in ("weights", "data", "target", "repeats"):
        if getattr(args, name) is not None:
            raise KzooError(
                f"--{name} is for runs, and {args.run} is an exported model. Remove --{name}."
            )
    if not args.inputs:
        raise KzooError(
            f"{args.run} is an exported model, which explains inputs: name a table or texts behind it."
        )
    with keras_import.silence():
        model = import_module("kzoo.runtime").load(args.run)
    return model.explain(
        collect_inputs(model.inputs, args.inputs),
        of=args.of,
        seed=args.seed,
        sheet=args.sheet,
        header_row=args.header_row,
    )


def _write(explanation: "Explanation", document: JsonObject, path: str) -> None:
    if path.endswith(".json"):
        text = shared.to_json(document)
    else:
        head = f"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>{explanation.method}</title>\n"
        text = f"{head}{explanation._repr_html_()}\n</html>\n"
    import_module("kzoo.utils.files").write_text(Path(path), text, sync=False)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    lines = [args.explanation.to_text(_mark if shared.terminal_has_styles() else None)]
    lines += [f"Written to {document[key]}" for key in ("out", "plot") if key in document]
    return "\n".join(lines)


def _mark(text: str, share: float) -> str:
    """Return a piece of a text, bold and green if it speaks for the prediction, underlined and red against it."""
    if abs(share) < 0.1:
        return text
    style = "1;32" if share > 0 else "4;31"
    return f"\033[{style}m{text}\033[0m"
