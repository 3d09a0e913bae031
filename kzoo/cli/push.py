"""Push an exported model to a hub: a folder, or the Hugging Face Hub.

A hub is a folder with NAME/REVISION/ for each push, and index.json. Any web
server can serve it: python -m http.server. Revisions are numbers, from 1.
"""

import argparse

from kzoo.hub.push import push
from kzoo.inference.exported import ExportedModel
from kzoo.utils.files import JsonObject

EXAMPLES = """\
examples:
  kzoo push exports/iris hub:models/iris --dry-run   what would leave
  kzoo push exports/iris hub:models/iris             folder models/iris/1
  kzoo push exports/iris hub:hf://USER/iris          needs kzoo[hub]
then:
  kzoo predict hub:models/iris rows.csv
  kzoo list --hub models
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("exported", metavar="EXPORTED", help="folder written by kzoo export")
    add(
        "address",
        metavar="hub:PLACE/NAME",
        help="PLACE: a folder, or hf://USER; NAME: the name of the model there",
    )


def run(args: argparse.Namespace) -> JsonObject:
    pushed = push(ExportedModel(args.exported), args.address)
    return dict(address=str(pushed.address), sha256=pushed.sha256, new=pushed.is_new)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    note = "" if document["new"] else ", which has these files already"
    return f"{document['address']}{note}\n  sha256 {document['sha256']}"
