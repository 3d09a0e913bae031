"""Serve exported models over HTTP without Keras. The path / is a web page.

Protocols: the Open Inference Protocol (/v2), TensorFlow Serving's REST
API (/v1), and uploads of images, rows, texts and series. A new version in
the folder (EXPORTED/2) is loaded automatically. Ctrl-C or SIGTERM stops
the server after it has answered all accepted requests.
"""

import argparse
import os
from importlib import import_module

from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.optional import check_installed

EXAMPLES = """\
examples:
  kzoo serve exports/digits_cnn                  http://127.0.0.1:8000
  kzoo serve exports/digits_cnn cats=exports/c7  two models, one renamed
  kzoo serve exports/digits_cnn --format onnx_int8 --port 9000
  KZOO_TOKEN=... kzoo serve exports/digits_cnn --host 0.0.0.0
then:
  curl http://127.0.0.1:8000/v1/models/digits_cnn/answer -F file=@digit.png
"""
_TOKEN_VARIABLE = "KZOO_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "exported",
        metavar="EXPORTED",
        nargs="+",
        help="folders written by kzoo export, hub:PLACE/NAME, or addresses such as s3://bucket/models/1; NAME=FOLDER "
        "sets the name of the model",
    )
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default 127.0.0.1: this machine only)",
    )
    add(
        "--port",
        type=int,
        default=8000,
        metavar="N",
        help="port to listen on (default 8000; 0: any free port)",
    )
    add(
        "--token",
        metavar="TEXT",
        help=f"bearer token that requests must send (default: ${_TOKEN_VARIABLE} if set, otherwise no token)",
    )
    add(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="another host name that requests may use for this server, such as the name of a proxy",
    )
    add("--format", metavar="NAME", help="exported format to use, such as onnx_int8 (default onnx)")
    add("--threads", type=int, default=1, metavar="N", help="threads per model (default 1)")
    add(
        "--max-batch",
        type=int,
        default=64,
        metavar="N",
        help="maximum number of rows in a batch (default 64)",
    )
    add(
        "--max-waiting",
        type=int,
        default=256,
        metavar="N",
        help="maximum number of requests waiting for a model (default 256)",
    )


def run(args: argparse.Namespace) -> JsonObject:
    for package in ("starlette", "uvicorn"):
        check_installed(package, extra="serve")
    if not 0 <= args.port < 2**16:
        raise KzooError("must be between 0 and 65535.", argument="port", value=args.port)
    token = args.token if args.token is not None else os.environ.get(_TOKEN_VARIABLE) or None
    # The token is sent in an HTTP header, which cannot hold other characters.
    if token is not None and (
        len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise KzooError("The token must have at least 8 printable ASCII characters and no spaces.")
    limits = import_module("kzoo.serve.limits").Limits(
        batch=checked_count("max_batch", args.max_batch),
        waiting=checked_count("max_waiting", args.max_waiting),
    )
    log = import_module("kzoo.serve.log").Log()
    process = import_module("kzoo.serve.process")
    is_local = import_module("kzoo.serve.middleware").is_loopback(args.host)
    hosts = args.allow_host or ([] if is_local and token is None else None)
    app = import_module("kzoo.serve.app").make_app(
        args.exported,
        format=args.format,
        threads=args.threads,
        token=token,
        hosts=hosts,
        limits=limits,
        log=log,
    )
    if token is None and not is_local:
        log(
            "warning",
            text=f"No token: everyone can use {args.host}. Set ${_TOKEN_VARIABLE}, or listen on 127.0.0.1.",
        )
    return dict(requests=process.serve(app, host=args.host, port=args.port, limits=limits, log=log))


def render(document: JsonObject, args: argparse.Namespace) -> str:
    return f"{document['requests']:,} requests answered"
