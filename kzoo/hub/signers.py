"""The signers of models on hubs, which are remembered like the keys of hosts in SSH's `known_hosts`."""

import time
from contextlib import suppress
from pathlib import Path

from kzoo.inference.signature import verify
from kzoo.utils.address import HubAddress
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, cache_folder, read_json, write_json
from kzoo.utils.formatting import shown
from kzoo.utils.locks import locked

_FILE = "known_signers.json"


def check(address: HubAddress, folder: Path, *, trust_new_key: bool = False) -> str:
    """Return the fingerprint of the key that signed a model; "" if it is not signed.

    The signer of a model that was not pulled before is accepted and remembered.

    Args:
        address: of the model.
        folder: its files.
        trust_new_key: accept another signer than before.

    Raises:
        KzooError: the signature is not valid, or the signer is another one than before.
    """
    signer = signer_of(folder)
    before = _known().get(address.identity, {}).get("signer")
    if before == signer:
        return signer
    if before and not trust_new_key:
        now = f"is signed with {signer}" if signer else "is not signed"
        raise KzooError(
            f"{address} {now}, and was signed with {before} before. If its owner says that this is right: kzoo pull "
            f"{address} --trust-new-key"
        )
    path = _path()
    with suppress(OSError):  # a cache that cannot be written
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            entry = {"signer": signer, "since": time.strftime("%Y-%m-%d")}
            write_json(path, _known() | {address.identity: entry})
    return signer


def signer_of(folder: Path) -> str:
    """Return the fingerprint of the key whose valid signature a model has; "" if it is not signed."""
    signature = verify(folder)
    return "" if signature is None else signature.fingerprint


def _path() -> Path:
    return cache_folder() / "hub" / _FILE


def _known() -> dict[str, JsonObject]:
    """Return the remembered signers.

    Raises:
        KzooError: the file is damaged; without it, any signer would be accepted.
    """
    path = _path()
    if not path.exists():
        return {}
    try:
        signers = read_json(path)
        if all(isinstance(entry["signer"], str) for entry in signers.values()):
            return dict(signers)
    except (KzooError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise KzooError(f"{shown(str(path), 200)} is damaged. Remove it, and compare the next signers.")
