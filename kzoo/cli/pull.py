"""Pull an exported model from a hub into a folder.

PLACE is a folder, https://host/path, http://host/path of this machine or a
private network, or hf://USER. REVISION is a number, or the first 7 or more
digits of the sha256; without it, the newest is pulled. Other commands take
hub:PLACE/NAME themselves, and keep the files in the download cache.
"""

import argparse

from kzoo.hub.pull import pull, sha256_of
from kzoo.utils.files import JsonObject

EXAMPLES = """\
examples:
  kzoo pull hub:models/iris                          to exports/iris
  kzoo pull hub:https://example.org/models/iris@3 --out iris
  kzoo pull hub:hf://USER/iris@main                  needs kzoo[hub]
  kzoo predict hub:models/iris@3 rows.csv            without pull
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "address",
        metavar="hub:PLACE/NAME[@REVISION]",
        help="a model that `kzoo list --hub PLACE` lists",
    )
    add("--out", metavar="FOLDER", help="output folder; default: exports/NAME")
    add("--overwrite", action="store_true", help="replace another exported model in this folder")
    add(
        "--trust-new-key",
        action="store_true",
        help="accept that another key signed the model than before",
    )


def run(args: argparse.Namespace) -> JsonObject:
    exported = pull(
        args.address, args.out, overwrite=args.overwrite, trust_new_key=args.trust_new_key
    )
    return dict(address=args.address, sha256=sha256_of(exported.path), exported=exported.path)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    return f"{document['exported']}"
