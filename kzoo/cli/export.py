"""Turn a run into files that work elsewhere, each checked in its own runtime."""

from pathlib import Path

import kzoo.export
from kzoo.cli import common, keras_import, tables
from kzoo.export.format import QUANTIZED
from kzoo.export.formats import formats, parse
from kzoo.untracked import as_run
from kzoo.utils.errors import ExportError
from kzoo.utils.formatting import spelled

EXAMPLES = """\
examples:
  kzoo export runs/digits_cnn-01                   for TensorFlow Serving
  kzoo export runs/digits_cnn-01 --formats onnx,litert --quantize int8
  kzoo export runs/churn-01 --formats onnx --quantize int8 --data churn.csv
  kzoo check exports/digits_cnn-01                 compare again, anywhere
exit code:
  0  every file works   1  a format failed its check   2  bad input
"""


def add_arguments(parser):
    add = parser.add_argument
    add("run", metavar="RUN", help="a run's folder, or a preset with weights of its own")
    common.add_weights_option(parser)
    add("--formats", default="saved_model", metavar="A,B", help=f"{', '.join(formats())} (default: saved_model)")
    add("--quantize", default="", metavar="A,B", help=f"also write smaller files: {', '.join(QUANTIZED)}")
    add("--out", metavar="FOLDER", help="where to write it; default: exports/ and the run's name")
    add("--data", metavar="SOURCE", help="what the run was trained on, for int8; not needed for named sets")
    add("--overwrite", action="store_true", help="replace what was exported of another model")
    add("--no-verify", action="store_true", help="skip the checks: then nothing shows that a file works")
    add("--timeout", type=float, default=600.0, metavar="SECONDS", help="for one conversion or check; default: 600")


def run(args):
    keras_import.silence_tensorflow()
    named = as_run(args.run, args.weights)
    names, quantize = parse(_words(args.formats), _words(args.quantize))
    if named.config["spec"]["family"] is None or named.folder is None:
        keras_import.import_quietly(
            "keras"
        )  # what is looked at here: an ensemble, a model of one's own, weights in the package
    out = args.out or Path("exports") / named.path.resolve().name
    try:
        exported = kzoo.export(
            named, out, names, quantize=quantize, verify=not args.no_verify,
            data=args.data, overwrite=args.overwrite, timeout=args.timeout,
        )  # fmt: skip
    except ExportError as error:
        return dict(exported=None, exports=error.exports, predict_ms=None, exit_code=1)
    exports = exported.exports
    failed = any(entry["status"] == "failed" for entry in exports.values())
    return dict(
        exported=exported.path, exports=exports, predict_ms=exported.config["predict_ms"], exit_code=int(failed)
    )


def _words(text):
    return [word.strip() for word in text.split(",") if word.strip()]


def render(document, args):
    lines = table(document["exports"])
    if document["predict_ms"]:
        lines += [f"  Keras' predict() takes {' and '.join(f'{ms:.3g}' for ms in document['predict_ms'].values())} ms"]
    lines += problems(document["exports"])
    return "\n".join([*lines, f"{document['exported']}" if document["exported"] else "nothing was written"])


def table(exports) -> list[str]:
    """Return a line for each exported file."""
    rows = [("format", "", "difference", "same", "score", "bytes", "ms for 1", "for 32")]
    for key, entry in exports.items():
        ms = entry["latency_ms"] or {}
        rows.append(
            (
                key,
                entry["status"],
                _number(entry["difference"], ".1e"),
                _number(entry["agreement"], ".1%"),
                _number(entry["score"], ".4g"),
                _number(entry["bytes"], ","),
                _number(ms.get("1"), ".3g"),
                _number(ms.get("32"), ".3g"),
            )
        )
    return tables.columns(rows, align="<<>>>>>>")


def problems(exports) -> list[str]:
    """Return a line for each file that failed, and for each that has a note."""
    return [
        f"  {key}: {spelled(entry.get('error') or entry.get('note'))}"
        for key, entry in exports.items()
        if entry.get("error") or entry.get("note")
    ]


def _number(value, form):
    return "-" if value is None else format(value, form)
