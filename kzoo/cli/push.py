"""Push an exported model to a hub: a folder, or the Hugging Face Hub.

A hub is a folder with NAME/REVISION/ for each push, and index.json. Any web
server can serve it: python -m http.server. Revisions are numbers, from 1.
Names from the training data leave with a model, such as those of classes,
categories and words: --dry-run lists them with their numbers of rows.
"""

import argparse
from collections.abc import Iterator

from kzoo.cli import shared
from kzoo.hub.contents import FEWEST
from kzoo.hub.push import check_target, prepared, push
from kzoo.inference.exported import ExportedModel
from kzoo.utils.address import parse_hub_address
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import in_bytes, listed, plural

EXAMPLES = """\
examples:
  kzoo push exports/iris hub:models/iris --dry-run   what would leave
  kzoo push exports/iris hub:models/iris             folder models/iris/1
  kzoo push exports/shop hub:models/shop --min-count 5
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
    add(
        "--dry-run",
        action="store_true",
        help="push nothing; list the files, and the names and numbers of the training data in them",
    )
    add(
        "--min-count",
        type=int,
        metavar="N",
        help="drop categories and words that fewer than N training rows have: the model reads them as unknown",
    )
    add("--sign", metavar="KEY", help="sign what is pushed with this SSH key")


def run(args: argparse.Namespace) -> JsonObject:
    address = parse_hub_address(args.address)
    check_target(address)
    minimum = 0 if args.min_count is None else checked_count("min_count", args.min_count)
    with prepared(ExportedModel(args.exported), min_count=minimum, key=args.sign) as outgoing:
        revision = outgoing.revision
        document = dict(
            address=str(address),
            sha256=revision.sha256,
            bytes=revision.bytes,
            files={name: facts["bytes"] for name, facts in revision.files.items()},
            contents=[names.json() for names in outgoing.contents],
            dropped=[names.json() for names in outgoing.dropped],
            staying=[names.json() for names in outgoing.staying],
        )
        lines = [names.line(minimum or FEWEST) for names in outgoing.contents]
        if args.dry_run:
            return document | dict(pushed=False, lines=lines)
        pushed = push(outgoing, args.address)
        return document | dict(address=str(pushed.address), pushed=pushed.is_new, lines=lines)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    return "\n".join(_lines(document, args))


def _lines(document: JsonObject, args: argparse.Namespace) -> Iterator[str]:
    size = f"{plural(len(document['files']), 'file')}, {in_bytes(document['bytes'])}"
    if args.dry_run:
        yield f"{document['address']}: {size}; nothing was pushed"
        yield from (f"  {bytes:>13,}  {name}" for name, bytes in document["files"].items())
        yield "From the training data, in kzoo.json and the files made of it (all of them: --json):"
        for line in document["lines"]:
            yield from shared.hanging_indent("  ", line)
    else:
        note = size if document["pushed"] else "the hub has these files already"
        yield f"{document['address']}: {note}"
        yield f"  sha256 {document['sha256']}"
    if args.min_count is None:
        return
    for title, groups in (("dropped", document["dropped"]), ("stays", document["staying"])):
        for group in groups:
            names = [name["name"] for name in group["names"]]
            text = f"{title}: {group['what']}, {len(names):,}: {listed(names)}"
            yield from shared.hanging_indent("  ", text)
