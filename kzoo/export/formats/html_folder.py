"""The HTML page as files for a web server: the same page as `html`, which loads its parts by relative addresses."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.export.formats import html
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.export.worker import Network

_NAME = "html_folder"
_FRAME = '<iframe src="html_folder/index.html" width="100%" height="900"></iframe>'


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
    """Write the folder of the page."""
    stored, facts, weights = html.parts(network)
    files = import_module("kzoo.export.formats.html.bundle").files(stored, facts, weights)
    html.check_size(sum(len(content) for content in files.values()))
    file.mkdir()
    for name, content in files.items():
        (file / name).write_bytes(content)
    return dict(weights=len(weights), note=f"in another page: {_FRAME}")


FORMAT = replace(html.FORMAT, name=_NAME, order=71, file=_NAME, write=write)
