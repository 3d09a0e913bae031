"""The signer of a model is remembered: another one is refused until it is trusted."""

import shutil
import subprocess

import pytest
from hub.conftest import changed, push
from messages import assert_mentions, refuses

from kzoo.cli import main
from kzoo.hub.pull import local_copy, pull
from kzoo.inference.exported import SIGNATURE
from kzoo.inference.signature import fingerprint, sign
from kzoo.utils.errors import KzooError

pytestmark = pytest.mark.skipif(
    not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed"
)


@pytest.fixture
def keys(tmp_path):
    for name in ("ann", "bob"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name]
        subprocess.run(command, check=True)
    return tmp_path / "ann", tmp_path / "bob"


def signed(exported, key, **changes):
    (exported.path / SIGNATURE).unlink(missing_ok=True)
    changes = {"signing_key": fingerprint(key)} | changes
    model = changed(exported, **changes)
    sign(model, key)
    return type(model)(model.path)


def test_the_first_signer_is_accepted_and_shown(exported, keys, capsys):
    push(signed(exported, keys[0]), "hub:models/shops")
    local_copy("hub:models/shops")
    assert_mentions(capsys.readouterr().err, f"signed with {fingerprint(keys[0])}")
    assert main(["list", "--hub", "models", "--json"]) == 0
    assert_mentions(capsys.readouterr().out, fingerprint(keys[0]))
    assert (pull("hub:models/shops", "mine").path / SIGNATURE).is_file()


def test_another_signer_is_refused_until_it_is_trusted(exported, keys, capsys):
    ann, bob = map(fingerprint, keys)
    push(signed(exported, keys[0]), "hub:models/shops")
    local_copy("hub:models/shops")
    push(signed(exported, keys[1]), "hub:models/shops")
    for word in ("hub:models/shops", "hub:models/shops@2", "hub:models/shops@2"):
        with refuses(ann, bob, "--trust-new-key"):
            local_copy(word)
    assert local_copy("hub:models/shops@1").sha256  # still that of Ann
    assert main(["pull", "hub:models/shops", "--trust-new-key"]) == 0
    assert local_copy("hub:models/shops").address.revision == "2"
    with refuses(ann, bob):  # now Ann is another signer
        local_copy("hub:models/shops@1")


def test_an_unsigned_revision_after_a_signed_one_is_refused(exported, keys):
    unsigned = push(exported, "hub:models/shops")
    local_copy("hub:models/shops")
    push(signed(exported, keys[0]), "hub:models/shops")
    assert local_copy("hub:models/shops").address.revision == "2"
    with refuses("is not signed", fingerprint(keys[0])):
        local_copy("hub:models/shops@1")
    assert unsigned.is_new
    # the same name elsewhere is another model
    push(signed(exported, keys[1], author="Bob"), "hub:elsewhere/shops")
    assert local_copy("hub:elsewhere/shops").address.revision == "1"


def test_a_signature_that_is_not_valid(exported, keys, cache):
    model = signed(exported, keys[0])
    (model.path / SIGNATURE).write_text("x", encoding="utf-8")
    with pytest.raises(KzooError, match="signature"):
        push(model, "hub:models/shops")
    sign(model, keys[0])
    push(model, "hub:models/shops")
    file = cache.parent / "work" / "models" / "shops" / "1" / SIGNATURE
    file.write_text(file.read_text(encoding="utf-8").lower(), encoding="utf-8")
    with refuses(SIGNATURE, "changed"):
        local_copy("hub:models/shops")


def test_damaged_known_signers_accept_nobody(exported, keys, cache):
    push(signed(exported, keys[0]), "hub:models/shops")
    local_copy("hub:models/shops")
    (cache / "hub" / "known_signers.json").write_text("[]", encoding="utf-8")
    with refuses("known_signers.json", "Remove it"):
        local_copy("hub:models/shops")
