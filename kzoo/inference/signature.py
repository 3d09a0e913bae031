"""Sign the manifest of an exported model with an SSH key, and verify the signature. Standard library only.

The manifest `kzoo.json` has the sha256 of every other file. `ssh-keygen -Y` of OpenSSH (8.2 or later) signs its bytes
in the namespace "kzoo", into `kzoo.json.sig` beside it, so that `ssh-keygen` alone can verify it too
(https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kzoo.inference.exported import MANIFEST, SIGNATURE, Manifest
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_regular, expand_user, whole_file

NAMESPACE = "kzoo"
_PROGRAM = "ssh-keygen"


class SignatureError(KzooError):
    """A signature is missing, or it is not that of these files and of an allowed key."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A valid signature of a manifest.

    Args:
        fingerprint: "SHA256:" and the hash of the public key, as `ssh-keygen -l` shows it.
        key_type: such as "ED25519".
        signer: the name that the file of allowed signers gives the key; "" without such a file.
    """

    fingerprint: str
    key_type: str
    signer: str = ""


def is_available() -> bool:
    """Return whether `ssh-keygen` is installed."""
    return shutil.which(_PROGRAM) is not None


def check_key(key: str | os.PathLike[str]) -> None:
    """Raise `KzooError` if a key cannot sign; one whose passphrase a terminal asks for later is accepted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MANIFEST
        file.touch()
        try:
            _signature_of(file, key, ask=False)
        except _NeedsPassphrase:
            if not _has_terminal():
                raise


def sign(path: str | os.PathLike[str], key: str | os.PathLike[str]) -> Signature:
    """Sign the manifest of an exported folder, which then names the key, and write `kzoo.json.sig`.

    Args:
        path: the folder, or an `ExportedModel`.
        key: path of a private SSH key, or of a public key whose private key the SSH agent has.

    Returns:
        The signature.

    Raises:
        KzooError: `ssh-keygen` or the key is missing, or the key cannot be used. Nothing is written.
    """
    folder = Path(path)
    manifest = replace(Manifest.open(folder), signing_key=fingerprint(key))
    with tempfile.TemporaryDirectory() as work:
        manifest.write(work)
        file = Path(work) / MANIFEST
        signature = _signature_of(file, key, ask=True)
        content = file.read_bytes()
    for name, written in ((SIGNATURE, signature), (MANIFEST, content)):
        with whole_file(folder / name) as temporary:
            temporary.write_bytes(written)
    verified = verify(folder)
    assert verified is not None
    return verified


def verify(
    path: str | os.PathLike[str], allowed_signers: str | os.PathLike[str] | None = None
) -> Signature | None:
    """Verify the signature of an exported folder's manifest.

    The signature covers the manifest. That the other files are those of the manifest is checked by
    `ExportedModel.damage`.

    Args:
        path: the folder, or an `ExportedModel`.
        allowed_signers: a file with a line "NAME KEYTYPE KEY" for each person whose signature is accepted, as for
            `git` (`man ssh-keygen`, "ALLOWED SIGNERS"). None accepts any key: compare the fingerprint.

    Returns:
        The signature; None if there is none, and neither the manifest nor `allowed_signers` asks for one.

    Raises:
        SignatureError: the signature is missing, not valid, or of another key than the manifest names or
            `allowed_signers` allows.
        KzooError: `ssh-keygen` is missing, or a file cannot be read.
    """
    folder = Path(path)
    expected = Manifest.open(folder).signing_key
    file = folder / SIGNATURE
    if allowed_signers is not None:
        allowed_signers = _existing(allowed_signers, "allowed_signers")
    if not os.path.lexists(file):
        if expected:
            raise SignatureError(
                f"{folder} was signed with the key {expected}, but {SIGNATURE} is missing. Copy the folder again."
            )
        if allowed_signers is not None:
            raise SignatureError(f"{folder} is not signed. Ask for a signed export.")
        return None
    check_regular(file)
    content = (folder / MANIFEST).read_bytes()
    lines = _verified(["check-novalidate"], file, content)
    if not lines:
        raise SignatureError(
            f"{file} is not a signature of {MANIFEST}: one of them was changed. Copy the folder again."
        )
    signature = _parsed(lines)
    if expected and signature.fingerprint != expected:
        raise SignatureError(
            f"{file} is a signature with the key {signature.fingerprint}, but {MANIFEST} names the key {expected}. "
            "Copy the folder again."
        )
    if allowed_signers is None:
        return signature
    for signer in _principals(file, allowed_signers):
        if _verified(["verify", "-f", os.fspath(allowed_signers), "-I", signer], file, content):
            return replace(signature, signer=signer)
    raise SignatureError(
        f"{folder} is signed with the {signature.key_type} key {signature.fingerprint}, which {allowed_signers} does "
        "not allow. Add the key if you trust its owner."
    )


def fingerprint(key: str | os.PathLike[str]) -> str:
    """Return the fingerprint of a key, "SHA256:..."; a private key need not be unlocked.

    Args:
        key: path of a private or public SSH key.

    Raises:
        KzooError: `ssh-keygen` is missing, or the file is not a key.
    """
    done = _run(["-l", "-E", "sha256", "-f", os.fspath(_existing(key, "sign"))])
    match = re.search(r"SHA256:\S+", done.stdout)
    if done.returncode or match is None:
        raise _not_a_key(key)
    return match[0]


class _NeedsPassphrase(KzooError):
    pass


def _signature_of(file: Path, key: str | os.PathLike[str], *, ask: bool) -> bytes:
    """Return the signature of a file; `ask` for a passphrase if there is a terminal."""
    ask = ask and _has_terminal()
    path = os.fspath(_existing(key, "sign"))
    fingerprint(key)  # not a key: the messages of -Y sign are the same for other faults
    done = _run(["-Y", "sign", "-n", NAMESPACE, "-f", path, os.fspath(file)], ask=ask)
    written = file.with_name(f"{file.name}.sig")
    if done.returncode == 0 and written.is_file():
        return written.read_bytes()
    if "passphrase" in done.stderr:
        problem = "has another passphrase" if ask else "has a passphrase, and no terminal to ask"
        raise _NeedsPassphrase(
            f"{problem}. Run: ssh-add {path}, and pass its public key.", argument="sign", value=path
        )
    if "for public key" in done.stderr:
        raise KzooError(
            "is a public key whose private key the SSH agent does not have. Run ssh-add with the private key.",
            argument="sign",
            value=path,
        )
    if "too open" in done.stderr:
        raise KzooError(
            f"can be read by others, so that OpenSSH refuses it. Run: chmod 600 {path}",
            argument="sign",
            value=path,
        )
    reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
    raise KzooError(
        f"cannot sign: {_PROGRAM} says {reason!r}. Pass another key.", argument="sign", value=path
    )


def _verified(operation: Sequence[str], signature: Path, content: bytes) -> str:
    """Return the line of `ssh-keygen` about a valid signature; "" if it is not valid."""
    words = ["-Y", operation[0], "-n", NAMESPACE, "-s", os.fspath(signature), *operation[1:]]
    done = _run(words, content)
    return done.stdout if done.returncode == 0 else ""


def _principals(signature: Path, allowed_signers: Path) -> list[str]:
    """Return the names that a file of allowed signers gives the key of a signature."""
    done = _run(
        [
            "-Y",
            "find-principals",
            "-s",
            os.fspath(signature),
            "-f",
            os.fspath(allowed_signers),
        ]
    )
    return done.stdout.splitlines() if done.returncode == 0 else []


def _parsed(line: str) -> Signature:
    match = re.search(r"with (\S+) key (SHA256:\S+)", line)
    if match is None:
        raise KzooError(f"{_PROGRAM} says {line.strip()!r}, which kzoo cannot read. Update kzoo.")
    return Signature(key_type=match[1], fingerprint=match[2])


def _existing(path: str | os.PathLike[str], argument: str) -> Path:
    file = Path(expand_user(path))
    if not file.is_file():
        fix = (
            "the path of an SSH key, such as ~/.ssh/id_ed25519"
            if argument == "sign"
            else "a file of lines NAME KEYTYPE KEY"
        )
        problem = "is not a file" if file.exists() else "does not exist"
        raise KzooError(f"{problem}. Pass {fix}.", argument=argument, value=str(path))
    return file


def _not_a_key(key: str | os.PathLike[str]) -> KzooError:
    return KzooError(
        "is not an SSH key. Pass a private key, such as ~/.ssh/id_ed25519, or a public one.",
        argument="sign",
        value=str(key),
    )


def _has_terminal() -> bool:
    """Return whether a person can be asked: the input is a terminal, and that of this process' session."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    if os.name == "nt":
        return True
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def _run(
    arguments: Sequence[str], content: bytes | None = None, *, ask: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run `ssh-keygen`, which asks for a passphrase on the terminal only if `ask`, and never in a window."""
    program = shutil.which(_PROGRAM)
    if program is None:
        raise KzooError(
            f"{_PROGRAM} is not installed, by which signatures are made and verified. Install OpenSSH."
        )
    with tempfile.TemporaryFile() as stream:
        stream.write(content or b"")
        stream.seek(0)
        done = subprocess.run(
            [program, *arguments],
            stdin=None if ask else stream,
            capture_output=True,
            env=os.environ | {"SSH_ASKPASS_REQUIRE": "never"},
            # without a terminal of its own it cannot ask
            start_new_session=not ask,
            check=False,
        )
    out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)
