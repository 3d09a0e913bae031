"""Answer over HTTP with exported models, without Keras; a page at /.

It speaks what clients speak already: the Open Inference Protocol (/v2),
TensorFlow Serving's REST interface (/v1), and uploads of images, rows, texts
and series. A new version beside the old (EXPORTED/2) takes over by itself.
Ctrl-C or SIGTERM ends it, once what it has accepted is answered.
"""

import os
from importlib import import_module

from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import check_installed

EXAMPLES = """\
examples:
  kzoo serve exports/digits_cnn                  http://127.0.0.1:8000
  kzoo serve exports/digits_cnn cats=exports/c7  two models, one named
  kzoo serve exports/digits_cnn --format onnx_int8 --port 9000
  KZOO_TOKEN=... kzoo serve exports/digits_cnn --host 0.0.0.0
and then:
  curl http://127.0.0.1:8000/v1/models/digits_cnn/answer -F file=@digit.png
"""
_TOKEN = "KZOO_TOKEN"


def add_arguments(parser):
    add = parser.add_argument
    add("exported", metavar="EXPORTED", nargs="+", help="folders that kzoo export wrote; NAME=FOLDER names one")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default 127.0.0.1: this machine only)")
    add("--port", type=int, default=8000, metavar="N", help="where to listen (default 8000; 0 takes a free one)")
    add("--token", metavar="TEXT", help=f"requests must bring it as a bearer token (default: ${_TOKEN}, else none)")
    add(
        "--allow-host", action="append", metavar="NAME",
        help="another name that requests may call this server by, such as a proxy's",
    )  # fmt: skip
    add("--format", metavar="NAME", help="which exported file to run, such as onnx_int8 (default onnx)")
    add("--threads", type=int, default=1, metavar="N", help="threads that compute a model's answers (default 1)")
    add("--max-batch", type=int, default=64, metavar="N", help="rows that go through a model together (default 64)")
    add("--max-waiting", type=int, default=256, metavar="N", help="requests that wait for a model (default 256)")


def run(args):
    for package in ("starlette", "uvicorn"):
        check_installed(package, extra="serve")
    if not 0 <= args.port < 2**16:
        raise KzooError(f"port={args.port} must be 0 to 65535.")
    token = args.token if args.token is not None else os.environ.get(_TOKEN) or None
    if token is not None and (len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token):
        raise KzooError("The token is to have at least 8 letters, digits and signs, all of them ASCII and no blanks.")
    limits = import_module("kzoo.serve.limits").Limits(
        batch=checked_count("max_batch", args.max_batch), waiting=checked_count("max_waiting", args.max_waiting)
    )
    log = import_module("kzoo.serve.log").Log()
    process = import_module("kzoo.serve.process")
    only_here = import_module("kzoo.serve.middleware").is_loopback(args.host)
    hosts = args.allow_host or ([] if only_here and token is None else None)
    app = import_module("kzoo.serve.app").make_app(
        args.exported, format=args.format, threads=args.threads, token=token, hosts=hosts, limits=limits, log=log
    )
    if token is None and not only_here:
        log("warning", text=f"Whoever reaches {args.host} may ask: set ${_TOKEN}, or listen on 127.0.0.1.")
    return dict(requests=process.serve(app, host=args.host, port=args.port, limits=limits, log=log))


def render(document, args):
    return f"{document['requests']:,} requests answered"
