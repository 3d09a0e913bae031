"""Export a run to files that work without kzoo; each is checked in its runtime."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import kzoo.export
from kzoo.cli import keras_import, shared, tables
from kzoo.export.format import QUANTIZED
from kzoo.export.formats import formats, parse
from kzoo.utils.errors import ExportError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import spelled
from kzoo.zoo.untracked import as_run

EXAMPLES = """\
examples:
  kzoo export runs/digits_cnn-01                   for TensorFlow Serving
  kzoo export runs/digits_cnn-01 --formats onnx,litert --quantize int8
  kzoo export runs/churn-01 --formats onnx --quantize int8 --data churn.csv
  kzoo export runs/digits_cnn-01 --sign ~/.ssh/id_ed25519
  kzoo check exports/digits_cnn-01                 check again, on any machine
exit code:
  0  every file works   1  a format failed its check   2  invalid input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, or a preset with pretrained weights")
    shared.add_weights_option(parser)
    add(
        "--formats",
        default="saved_model",
        metavar="A,B",
        help=f"{', '.join(formats())} (default: saved_model)",
    )
    add(
        "--quantize",
        default="",
        metavar="A,B",
        help=f"also write smaller files: {', '.join(QUANTIZED)}",
    )
    add(
        "--out",
        metavar="FOLDER",
        help="output folder, or an address to which it is uploaded, such as s3://bucket/models/1; default: "
        "exports/NAME, where NAME is the name of the run",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="the data that the run was trained on; needed for int8, unless it is a named data set",
    )
    add("--author", metavar="NAME", help="your name, for the model card and the page")
    add(
        "--sign",
        metavar="KEY",
        help="sign the manifest by ssh-keygen: path of an SSH key, or of a public key whose private key the SSH agent "
        "has",
    )
    add("--overwrite", action="store_true", help="replace an export of another model")
    add("--no-verify", action="store_true", help="do not check that the files work")
    add(
        "--timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="time limit for each conversion and each check (default 600)",
    )


def run(args: argparse.Namespace) -> JsonObject:
    keras_import.silence_tensorflow()
    source_run = as_run(args.run, args.weights)
    names, quantize = parse(_split_commas(args.formats), _split_commas(args.quantize))
    if source_run.config["spec"]["family"] is None or source_run.folder is None:
        # An ensemble, a custom model or packaged weights: the network itself is inspected below.
        keras_import.import_quietly("keras")
    out = args.out or Path("exports") / source_run.path.resolve().name
    try:
        exported = kzoo.export(
            source_run,
            out,
            names,
            quantize=quantize,
            verify=not args.no_verify,
            data=args.data,
            overwrite=args.overwrite,
            author=args.author,
            sign=args.sign,
            timeout=args.timeout,
        )
    except ExportError as error:
        return dict(exported=None, exports=error.exports, predict_ms=None, exit_code=1)
    exports = exported.exports
    failed = any(export["status"] == "failed" for export in exports.values())
    return dict(
        exported=exported.path,
        exports=exports,
        predict_ms=exported.config["predict_ms"],
        exit_code=int(failed),
    )


def _split_commas(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def render(document: JsonObject, args: argparse.Namespace) -> str:
    lines = table(document["exports"])
    if document["predict_ms"]:
        lines += [
            f"  Keras' predict() takes {' and '.join(f'{ms:.3g}' for ms in document['predict_ms'].values())} ms"
        ]
    lines += problems(document["exports"])
    return "\n".join(
        [
            *lines,
            shared.path_text(document["exported"])
            if document["exported"]
            else "No files were written.",
        ]
    )


def table(exports: Mapping[str, JsonObject]) -> list[str]:
    """Return the lines of a table with a row for each exported file."""
    rows = [("format", "", "difference", "same", "score", "bytes", "ms for 1", "for 32")]
    for key, export in exports.items():
        ms = export["latency_ms"] or {}
        rows.append(
            (
                key,
                export["status"],
                tables.cell(export["difference"], ".1e"),
                tables.cell(export["agreement"], ".1%"),
                tables.cell(export["score"], ".4g"),
                tables.cell(export["bytes"], ","),
                tables.cell(ms.get("1"), ".3g"),
                tables.cell(ms.get("32"), ".3g"),
            )
        )
    return tables.columns(rows, align="<<>>>>>>")


def problems(exports: Mapping[str, JsonObject]) -> list[str]:
    """Return a line for each file that failed or has a note."""
    return [
        f"  {key}: {spelled(export.get('error') or export.get('note'))}"
        for key, export in exports.items()
        if export.get("error") or export.get("note")
    ]
