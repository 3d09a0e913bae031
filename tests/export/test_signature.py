"""Signatures of exported models by keys of SSH: made, verified, and refused with the reason."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.inference import exported, signature
from kzoo.inference.exported import Manifest, files_below
from kzoo.utils.files import described

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)


def made_key(path, passphrase=""):
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", path]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Return a folder with the keys of alice, of bob, and a locked one; and files that allow one of the first two."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob"):
        public = made_key(folder / name).with_suffix(".pub").read_text()
        (folder / f"allowed_{name}").write_text(f"{name}@example.org {public}")
    made_key(folder / "locked", "secret")
    return folder


@pytest.fixture
def unsigned(table_exported, tmp_path):
    shutil.copytree(table_exported.path, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def signed(unsigned, keys):
    signature.sign(unsigned, keys / "alice")
    return unsigned


def checked(capsys, *words):
    """Return exit code and document of `kzoo check`."""
    code = main(["check", *map(str, words), "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else captured.err


def rewrite(folder, **changed):
    """Change a manifest as somebody does who knows that it has a checksum."""
    document = json.loads((folder / "kzoo.json").read_text("utf-8")) | changed
    document.pop("sha256")
    Manifest.read(document).write(folder)


def test_a_run_is_exported_with_a_signature(table_run, tmp_path, keys, capsys):
    path = tmp_path / "out"
    kzoo.export(table_run, path, "keras", verify=False, progress=False, sign=keys / "alice")
    made = kzoo.ExportedModel(path).signature()
    assert made == signature.Signature(
        fingerprint=signature.fingerprint(keys / "alice.pub"), key_type="ED25519", signer=""
    )
    # every other file is in the manifest, with its hash
    below = set(files_below(path)) - {exported.MANIFEST, exported.SIGNATURE}
    files = kzoo.ExportedModel(path).manifest.files
    assert files == {name: described(path / name) for name in below} and len(files) > 3
    kzoo.export(table_run, path, "keras", verify=False)
    assert_mentions(capsys.readouterr().err, "signed", "sign=")
    assert kzoo.ExportedModel(path).signature() is None
    assert kzoo.ExportedModel(path).damage() == []


def test_a_signature_is_verified_with_the_name_of_its_key(signed, keys, capsys):
    code, document = checked(capsys, signed)
    assert (code, document["signature"]["status"]) == (0, "ok")
    fingerprint = signature.fingerprint(keys / "alice")
    assert_mentions(document["signature"]["note"], "ED25519", fingerprint, "--allowed-signers")
    code, document = checked(capsys, signed, "--allowed-signers", keys / "allowed_alice")
    assert (code, document["signature"]["signer"]) == (0, "alice@example.org")
    assert main(["check", str(signed)]) == 0
    assert_mentions(capsys.readouterr().out, "signature", fingerprint)
    # without kzoo
    command = ["ssh-keygen", "-Y", "verify", "-n", "kzoo", "-I", "alice@example.org"]
    command += ["-f", keys / "allowed_alice", "-s", signed / "kzoo.json.sig"]
    with open(signed / "kzoo.json", "rb") as manifest:
        assert (
            b"Good"
            in subprocess.run(command, stdin=manifest, capture_output=True, check=True).stdout
        )


def test_an_unsigned_export_is_only_refused_if_a_signer_is_required(unsigned, keys, capsys):
    code, document = checked(capsys, unsigned)
    assert (code, document["signature"]["status"]) == (0, "none")
    code, document = checked(capsys, unsigned, "--allowed-signers", keys / "allowed_alice")
    assert code == 1 and document["exports"] == {}
    assert_mentions(document["signature"]["note"], "not signed")


def spoil_manifest(folder, keys):
    rewrite(folder, name="another")


def spoil_signature(folder, keys):
    (folder / "kzoo.json.sig").write_text("not a signature")


def sign_with_another_key(folder, keys):
    shutil.copy(folder / "kzoo.json", folder.parent / "kept.json")
    signature.sign(folder, keys / "bob")
    shutil.copy(folder.parent / "kept.json", folder / "kzoo.json")
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", "kzoo", "-f", keys / "bob"]
    (folder / "kzoo.json.sig").unlink()
    subprocess.run([*words, folder / "kzoo.json"], check=True, capture_output=True)


def sign_for_git(folder, keys):
    (folder / "kzoo.json.sig").unlink()
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", keys / "alice"]
    subprocess.run([*words, folder / "kzoo.json"], check=True, capture_output=True)


def remove_signature(folder, keys):
    (folder / "kzoo.json.sig").unlink()


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (spoil_manifest, ("kzoo.json", "changed")),
        (spoil_signature, ("kzoo.json.sig", "changed")),
        (sign_for_git, ("kzoo.json.sig", "changed")),
        (sign_with_another_key, ("SHA256:", "names the key")),
        (remove_signature, ("kzoo.json.sig", "missing")),
    ],
)
def test_a_signature_that_does_not_fit_is_refused_before_a_file_is_run(
    signed, keys, capsys, spoil, parts
):
    spoil(signed, keys)
    code, document = checked(capsys, signed)
    assert (code, document["signature"]["status"], document["exports"]) == (1, "failed", {})
    assert_mentions(document["signature"]["note"], *parts)
    with refuses(*parts, error=signature.SignatureError):
        kzoo.ExportedModel(signed).signature()
    assert main(["check", str(signed)]) == 1
    assert_mentions(capsys.readouterr().out, *parts)


def test_a_changed_file_of_a_signed_export_is_named(signed, capsys):
    (signed / "README.md").write_text("Changed.")
    (signed / "onnx" / "model.onnx").write_bytes(b"other")
    code, document = checked(capsys, signed)
    assert code == 1 and document["exports"]["onnx"]["status"] == "failed"
    assert [line.partition(":")[0] for line in document["damage"]] == [
        "README.md",
        "onnx/model.onnx",
    ]


def test_a_key_that_is_not_allowed_is_named(signed, keys, capsys):
    code, document = checked(capsys, signed, "--allowed-signers", keys / "allowed_bob")
    assert code == 1
    fingerprint = signature.fingerprint(keys / "alice")
    assert_mentions(document["signature"]["note"], fingerprint, "allowed_bob", "not allow")
    code, line = checked(capsys, signed, "--allowed-signers", keys / "nothing")
    assert code == 2
    assert_mentions(line, "--allowed-signers", "nothing", "does not exist")


def test_allowed_signers_are_for_exported_models(capsys):
    code, line = checked(capsys, "iris_fnn", "--allowed-signers", "signers.txt")
    assert code == 2
    assert_mentions(line, "--allowed-signers", "exported")


def test_keys_that_cannot_sign_are_refused_before_anything_is_written(unsigned, keys, tmp_path):
    no_key = tmp_path / "no_key"
    no_key.write_text("hello")
    public = shutil.copy(keys / "bob.pub", tmp_path / "bob.pub")
    open_key = shutil.copy(keys / "alice", tmp_path / "alice")
    os.chmod(open_key, 0o644)
    for key, *parts in (
        (tmp_path / "nothing", "nothing", "does not exist"),
        (no_key, "no_key", "not an SSH key"),
        (tmp_path, "is not a file"),
        (public, "bob.pub", "agent", "ssh-add"),
        (keys / "locked", "locked", "passphrase", "ssh-add"),
        (open_key, "chmod 600"),
    ):
        with refuses("sign=", *parts):
            signature.check_key(key)
        with refuses("sign=", *parts):
            signature.sign(unsigned, key)
    assert not (unsigned / "kzoo.json.sig").exists()
    assert kzoo.ExportedModel(unsigned).manifest.signing_key == ""


def test_without_ssh_keygen_a_signature_is_not_verified_and_none_is_made(
    signed, keys, capsys, monkeypatch
):
    monkeypatch.setattr(signature, "_PROGRAM", "ssh-keygen-that-is-missing")
    code, document = checked(capsys, signed)
    assert (code, document["signature"]["status"]) == (0, "unchecked")
    assert_mentions(document["signature"]["note"], "not installed", "OpenSSH")
    code, line = checked(capsys, signed, "--allowed-signers", keys / "allowed_alice")
    assert code == 2
    assert_mentions(line, "not installed", "OpenSSH")
    with refuses("not installed", "OpenSSH"):
        signature.check_key(keys / "alice")


@pytest.fixture
def agent(monkeypatch):
    """Start an SSH agent without keys."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed")
    # in the foreground; its socket's path must be short
    process = subprocess.Popen(["ssh-agent", "-D"], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    monkeypatch.setenv("SSH_AUTH_SOCK", line.split("=", 1)[1].split(";")[0])
    yield
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_private_key_may_be_in_the_agent_only(unsigned, keys, agent, tmp_path):
    public = shutil.copy(keys / "bob.pub", tmp_path / "bob.pub")
    subprocess.run(["ssh-add", "-q", keys / "bob"], check=True, capture_output=True)
    signature.check_key(public)
    assert signature.sign(unsigned, public).fingerprint == signature.fingerprint(keys / "bob")


# Run in a process of its own, since the process of the tests has threads, which a fork does not survive.
ANSWER_A_PROMPT = """
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    from kzoo.inference import signature
    signature.check_key(sys.argv[2])
    print(signature.sign(sys.argv[1], sys.argv[2]).key_type)
    sys.exit()
shown, asked = b"", False
while True:
    try:
        piece = os.read(terminal, 1000)
    except OSError:  # the end, on Linux
        break
    if not piece:
        break
    shown += piece
    if b"passphrase" in shown and not asked:
        asked = True
        os.write(terminal, b"secret\\n")
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(find_spec("pty") is None, reason="no pseudo-terminals")
def test_a_terminal_is_asked_for_the_passphrase(unsigned, keys):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("SSH_AUTH_SOCK", None)
    done = subprocess.run(
        [sys.executable, "-c", ANSWER_A_PROMPT, unsigned, keys / "locked"],
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    assert_mentions(done.stdout.decode(), "passphrase", "ED25519")
    assert kzoo.ExportedModel(unsigned).signature() is not None
