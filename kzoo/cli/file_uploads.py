"""Files that commands write to addresses: each is written into the cache, and uploaded when the command has ended."""

import argparse
import secrets
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from kzoo.cli import shared
from kzoo.utils.address import RemoteAddress, is_remote_address, parse_remote_address
from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder

# Options that name a file -> its endings, and the commands whose option it is
_FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "out": ((".csv", ".txt", ".json", ".html"), ("predict", "explain", "report")),
    "plot": (shared.PICTURES, ("predict", "explain", "show", "compare")),
    "csv": ((".csv",), ("compare",)),
    "make_future": ((".csv",), ("predict",)),
}
# Commands that write a folder to the address of --out themselves
_FOLDERS = ("train", "export", "predict")


def prepare(args: argparse.Namespace) -> dict[str, RemoteAddress]:
    """Return option -> address of the files that a command is to upload.

    Raises:
        KzooError: it would write to a folder that has the name of an address.
    """
    addresses = {}
    for name, (endings, commands) in _FILES.items():
        word = getattr(args, name, None)
        if not is_remote_address(word):
            continue
        address = parse_remote_address(word)
        is_file = Path(address.name).suffix.lower() in endings and not address.is_folder
        if args.command in commands and is_file:
            import_module("kzoo.cloud.storage").storage_of(word)  # its package is installed
            addresses[name] = address
        elif name != "out" or args.command not in _FOLDERS:
            shared.refuse_remote_output(name, word)
    return addresses


def run(
    command: Callable[[argparse.Namespace], Any],
    args: argparse.Namespace,
    addresses: dict[str, RemoteAddress],
) -> Any:
    """Run a command that writes files to addresses, and return its document.

    Raises:
        KzooError: of the command; or a file cannot be uploaded, which stays in the cache.
    """
    folder = cache_folder() / "uploads" / f"files-{secrets.token_hex(8)}"
    written: dict[str, RemoteAddress] = {}
    try:
        for name, address in addresses.items():
            (folder / name).mkdir(parents=True)
            path = str(folder / name / address.name)
            written[path] = address
            setattr(args, name, path)
        document = command(args)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, KzooError):
            for path, address in written.items():
                error.replaced(path, str(address))
        raise
    for path, address in written.items():
        try:
            if Path(path).is_file():
                _upload(path, address)
        except KzooError as error:
            raise KzooError(f"{str(error).rstrip('.')}. What was written is in {path}.") from None
    shutil.rmtree(folder, ignore_errors=True)
    for name, address in addresses.items():
        setattr(args, name, str(address))
    return _renamed(document, {path: str(address) for path, address in written.items()})


def _upload(path: str, address: RemoteAddress) -> None:
    parent = address.at(address.key.rpartition("/")[0], is_folder=True)
    import_module("kzoo.cloud.storage").storage_of(str(parent)).put(address.name, path)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Return a document with other names of files."""
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
