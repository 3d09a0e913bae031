"""Push, list and pull: a folder, and the same folder behind an HTTP server."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import keras
import library
import numpy as np
import pytest
from hub.conftest import changed, push
from hub.file_server import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import assert_mentions, refuses

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.hub import push as push_module
from kzoo.hub import readers
from kzoo.hub.index import Index, Revision
from kzoo.hub.pull import local_copy, pull
from kzoo.inference.exported import ExportedModel
from kzoo.serve.model_repository import _named
from kzoo.utils.address import parse_hub_address
from kzoo.utils.errors import DownloadError, KzooError

ROWS = library.folder("data") / "customers.csv"


@pytest.fixture
def folder_hub(tmp_path):
    """The same, of a folder alone."""
    (tmp_path / "models").mkdir()
    return Hub(tmp_path / "models", str(tmp_path / "models"), None)


@pytest.fixture(params=["folder", "http"])
def hub(request, tmp_path):
    """A function from NAME[@REVISION] to an address, on a hub to which nothing was pushed yet."""
    folder = tmp_path / "models"
    folder.mkdir()
    if request.param == "folder":
        yield Hub(folder, str(folder), None)
    else:
        with serving(folder) as server:
            yield Hub(folder, server.url, server)


class Hub:
    def __init__(self, folder, place, server):
        self.folder, self.place, self.server = folder, place, server

    def __call__(self, name):
        return f"hub:{self.place}/{name}"

    def push(self, exported, name="shops"):
        return push(exported, f"hub:{self.folder}/{name}")

    def change_index(self, change):
        path = self.folder / "index.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document["models"]["shops"][-1], document)
        path.write_text(json.dumps(document), encoding="utf-8")

    def vanish(self):
        if self.server is not None:
            self.server.http.server_close()
            self.server.http.shutdown()
        self.folder.rename(self.folder.with_name("gone"))


def nothing_visible(folder):
    """Return the names in a hub, but for the index, its models, and hidden ones."""
    return [path.name for path in folder.iterdir() if path.name not in ("index.json", "shops")]


def test_pushed_listed_and_pulled(hub, exported, capsys):
    assert main(["push", str(exported.path), f"hub:{hub.folder}/shops"]) == 0
    assert main(["list", "--hub", hub.place, "--json"]) == 0
    assert main(["pull", hub("shops"), "--out", "mine"]) == 0
    out, err = capsys.readouterr()
    (listed,) = json.loads(out[out.index("[") : out.rindex("]") + 1])
    assert (listed["name"], listed["revision"], listed["preset"]) == ("shops", "1", exported.name)
    assert listed["bytes"] == sum(
        path.stat().st_size for path in exported.path.rglob("*") if path.is_file()
    )
    assert_mentions(err, f"{hub('shops@1')}: for", "licence of the data: unknown", "not signed")
    pulled = ExportedModel("mine")
    assert pulled.config == exported.config and pulled.damage() == []
    assert nothing_visible(hub.folder) == []
    for name in ("onnx/model.onnx", "kzoo.json"):
        assert (hub.folder / "shops" / "1" / name).read_bytes() == (
            exported.path / name
        ).read_bytes()


def test_revisions(hub, exported, capsys):
    first = hub.push(exported)
    assert hub.push(exported) == first.__class__(first.address, first.sha256, False)
    second = hub.push(changed(exported, author="Ann"))
    assert [str(each.address).rpartition("@")[2] for each in (first, second)] == ["1", "2"]
    assert local_copy(hub("shops")).sha256 == second.sha256
    assert local_copy(hub("shops@1")).sha256 == first.sha256
    assert local_copy(hub(f"shops@{first.sha256[:7]}")).address.revision == "1"
    with refuses("'9'", "2, 1"):
        local_copy(hub("shops@9"))
    with refuses("'shop'", "Did you mean 'shops'?"):
        local_copy(hub("shop"))
    capsys.readouterr()
    assert main(["list", "sh*", "--hub", hub.place]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["shops@2", "shops@1"]
    assert main(["list", "other", "--hub", hub.place]) == 0
    assert_mentions(capsys.readouterr().out, hub.place, "No model")


def test_the_cache_stands_in_for_a_hub_that_is_gone(hub, exported, capsys):
    first = hub.push(exported)
    local_copy(hub("shops"))
    second = hub.push(changed(exported, author="Ann"))
    local_copy(hub("shops"))
    hub.vanish()
    capsys.readouterr()
    assert local_copy(hub("shops")).sha256 == second.sha256
    assert_mentions(
        capsys.readouterr().err, "cannot be read", f"using {hub('shops@2')} of the cache"
    )
    assert local_copy(hub("shops@1")).sha256 == first.sha256
    assert "cannot be read" not in capsys.readouterr().err  # it was not looked for
    with refuses("and the cache has no other"):
        local_copy(hub("other"))
    with refuses("and the cache has no shops"):
        local_copy(hub("shops@3"))


def test_every_door_takes_an_address(hub, exported, tmp_path, capsys):
    hub.push(exported)
    folder = local_copy(hub("shops"), announce=False)
    truth = kzoo.runtime.load(exported).predict(ROWS)
    for door in (kzoo.runtime.load(hub("shops@1")), kzoo.runtime.load(ExportedModel(folder))):
        assert door.predict(ROWS).labels == truth.labels
    x = np.zeros((1, *library.run("customer_table").model.input_shape[1:]))
    np.testing.assert_array_equal(
        kzoo.load_model(hub("shops")).predict_on_batch(x),
        kzoo.load_model(exported.path).predict_on_batch(x),
    )
    assert _named(hub("shops@1")) == ("shops", folder)
    assert _named(f"mine={hub('shops')}") == ("mine", folder)
    capsys.readouterr()
    assert main(["predict", hub("shops@1"), str(ROWS), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["run"] == hub("shops@1")
    assert [row["label"] for row in document["predictions"]] == list(truth.labels)
    for words in (["evaluate"], ["report"], ["export"]):
        assert main([*words, hub("shops")]) == 2
        assert_mentions(capsys.readouterr().err, hub("shops@1"), "not a run")


def test_a_run_on_pulled_weights_resumes_and_predicts_when_the_hub_is_gone(
    folder_hub, exported, undrawn, untraced, capsys
):
    hub = folder_hub
    pushed = hub.push(exported)
    options = dict(target="open", callbacks="quick", progress=False, weights=hub("shops"))
    preset = library.run("customer_table").spec.preset
    run = kzoo.train(preset, ROWS, epochs=1, out="run", **options)
    stored = run.config.get("request", run.config)
    assert stored["weights_sha256"] == pushed.sha256
    address = local_copy(hub("shops@1")).address
    assert stored["weights"] == address.stored and address.stored in stored["command"]
    assert str(hub.folder.parent) not in (run.path / "config.json").read_text(encoding="utf-8")
    hub.vanish()
    again = kzoo.train(preset, ROWS, epochs=1, out="run", **options)
    assert again.summary == run.summary
    longer = kzoo.train(preset, ROWS, epochs=1, out="other", **options)
    assert longer.config["weights_sha256"] == pushed.sha256
    labels = kzoo.predict(run, ROWS).labels
    assert main(["predict", "run", str(ROWS), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in document["predictions"]] == list(labels)


class PowerCut(keras.callbacks.Callback):
    """Raise an error at a step; instances have no attributes that a resumed run would compare."""

    at = None

    def on_epoch_begin(self, epoch, logs=None):
        PowerCut.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if PowerCut.at == (PowerCut.epoch, batch):
            raise RuntimeError("power cut")


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_run_on_pulled_weights_is_resumed_without_them(
    folder_hub, exported, undrawn, untraced, cache, epoch
):
    hub = folder_hub
    hub.push(exported)
    options = dict(target="open", progress=False, journal_steps=1, epochs=2, batch_size=16)
    options |= dict(weights=hub("shops@1"), baselines=False, check=False)
    preset = library.run("customer_table").spec.preset

    def go(out):
        return kzoo.train(preset, ROWS, out=out, callbacks=[PowerCut()], **options)

    PowerCut.at = None
    whole = go("whole")
    PowerCut.at = (epoch, 2)
    with pytest.raises(RuntimeError, match="power cut"):
        go("cut")
    PowerCut.at = None
    hub.vanish()
    shutil.rmtree(cache)
    resumed = go("cut")
    assert resumed.summary["resumed"] == 1
    assert resumed.config["weights_sha256"] == whole.config["weights_sha256"]
    for a, b in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with refuses("does not exist", "the cache has no shops"):
        go("new")
    assert not Path("new").exists()


def test_the_command_resumes_without_the_pulled_weights(
    folder_hub, exported, undrawn, untraced, cache, capsys
):
    hub = folder_hub
    hub.push(exported)
    preset = library.run("customer_table").spec.preset
    command = ["train", preset, "--data", str(ROWS), "--target", "open", "--out", "run", "--quiet"]
    command += ["--epochs", "1", "--weights", hub("shops@1"), "--no-baselines", "--no-check"]
    assert main(command) == 0
    trained = kzoo.Run("run")
    hub.vanish()
    shutil.rmtree(cache)
    capsys.readouterr()
    assert main([*command, "--json"]) == 0  # finished: the run is returned
    assert json.loads(capsys.readouterr().out)["summary"] == trained.summary
    command[command.index("run")] = "new"
    assert main(command) == 2
    assert_mentions(capsys.readouterr().err, "does not exist", "the cache has no shops")
    assert not Path("new").exists()


def test_a_changed_file_is_refused_with_both_sums(hub, exported):
    hub.push(exported)
    file = hub.folder / "shops" / "1" / "onnx" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    with refuses("model.onnx", exported.manifest.files["onnx/model.onnx"]["sha256"]) as caught:
        local_copy(hub("shops"))
    assert readers.hashlib.sha256(file.read_bytes()).hexdigest() in str(caught.value)
    file.write_bytes(content[:-1])
    with refuses(readers.hashlib.sha256(content[:-1]).hexdigest()):
        local_copy(hub("shops"))
    file.write_bytes(content + b"x")
    with refuses("larger than"):
        local_copy(hub("shops"))
    file.unlink()
    with refuses("model.onnx", error=DownloadError):
        local_copy(hub("shops"))
    assert [*Path(os.environ["KZOO_CACHE"]).glob("downloads/*/kzoo.json")] == []
    file.write_bytes(content)
    assert local_copy(hub("shops")).is_dir()


def test_a_replaced_revision_is_refused_with_both_sums(hub, exported, cache):
    first = hub.push(exported)
    local_copy(hub("shops"))
    shutil.rmtree(hub.folder / "shops")
    (hub.folder / "index.json").unlink()
    second = hub.push(changed(exported, author="Ann"))
    assert local_copy(hub("shops@1")).sha256 == first.sha256  # that of the cache
    with refuses(first.sha256, second.sha256, f"@{second.sha256[:12]}"):
        local_copy(hub("shops"))
    assert local_copy(hub(f"shops@{second.sha256[:12]}")).sha256 == second.sha256


def test_an_entry_of_the_cache_that_was_changed_is_pulled_again(hub, exported, cache):
    hub.push(exported)
    folder = local_copy(hub("shops@1"))
    (folder / "kzoo.json").write_text("{}", encoding="utf-8")
    assert ExportedModel(hub("shops@1")).name == exported.name
    (folder / "onnx" / "model.onnx").write_bytes(b"x")
    with refuses("onnx/model.onnx"):
        kzoo.runtime.load(hub("shops@1"))
    with refuses("changed", "pull it again"):
        pull(hub("shops@1"), "mine")
    assert not Path("mine").exists()
    assert pull(hub("shops@1"), "mine").damage() == []


def outside(name):
    def change(revision, document):
        revision["files"][name] = revision["files"].pop("onnx/model.onnx")

    return change


def size(value):
    def change(revision, document):
        revision["files"]["onnx/model.onnx"]["bytes"] = value

    return change


BAD_INDEXES = {
    "..": (outside("../../model.onnx"), ["../../model.onnx", "inside"]),
    "absolute": (outside("/etc/cron.d/x"), ["/etc/cron.d/x"]),
    "drive": (outside("C:/x"), ["C:/x"]),
    "backslash": (outside("a\\..\\x"), ["inside"]),
    "control": (outside("a\nb"), ["inside"]),
    "case": (lambda r, d: r["files"].update({"KZOO.json": r["files"]["kzoo.json"]}), ["same path"]),
    "folder": (lambda r, d: r["files"].update({"onnx": r["files"]["kzoo.json"]}), ["same path"]),
    "negative": (size(-1), ["no size"]),
    "huge": (size(1 << 45), ["32", "KZOO_CACHE_SIZE"]),
    "text": (size("12"), ["no size"]),
    "sum": (lambda r, d: r.update(sha256="0" * 64), ["sha256"]),
    "no sum": (lambda r, d: r.update(sha256="12"), ["'12'"]),
    "number": (lambda r, d: r.update(revision="../1"), ["number"]),
    "twice": (lambda r, d: d["models"]["shops"].append(r), ["same number"]),
    "empty": (lambda r, d: d["models"].update(shops=[]), ["no list"]),
    "version": (lambda r, d: d.update(format_version=9), ["9", "Update kzoo"]),
    "no models": (lambda r, d: d.pop("models"), ["index of a hub"]),
}


@pytest.mark.parametrize("case", BAD_INDEXES)
def test_a_bad_index_is_refused_in_one_line(hub, exported, case):
    change, parts = BAD_INDEXES[case]
    hub.push(exported)
    hub.change_index(change)
    with pytest.raises(KzooError) as caught:
        local_copy(hub("shops"))
    assert_mentions(str(caught.value), *parts)
    assert len(str(caught.value).splitlines()) == 1
    assert not Path(os.environ["KZOO_CACHE"], "downloads").exists()


def test_an_index_that_is_none(hub, exported, tmp_path):
    with refuses("index.json"):  # nothing was pushed
        local_copy(hub("shops"))
    for content in (b"{", b"[" * 100_000, b"\xff", b"{}"):
        (hub.folder / "index.json").write_bytes(content)
        with refuses("index.json"):
            local_copy(hub("shops"))
    with open(hub.folder / "index.json", "wb") as file:
        file.truncate(17 << 20)
    with refuses("larger than 16 MiB"):
        local_copy(hub("shops"))


def test_a_manifest_of_other_files_than_the_index(hub, exported):
    hub.push(exported)
    hub.change_index(lambda revision, document: revision["files"].pop("onnx/model.onnx"))
    with refuses("onnx/model.onnx", "index of the hub"):
        local_copy(hub("shops"))


# Folders and pushes


def test_what_cannot_be_pushed(exported, tmp_path):
    for word, parts in {
        "hub:https://example.org/models/shops": ["only be read", "hub:FOLDER/shops"],
        "hub:models/shops@3": ["@3"],
        f"hub:{exported.path / 'kzoo.json'}/shops": ["kzoo.json", "Nothing was pushed"],
    }.items():
        with refuses(*parts):
            push(exported, word)
    push(exported, "hub:models/shops")
    with refuses("'shops'", "'Shops'"):
        push(exported, "hub:models/Shops")
    (exported.path / "answers.npz").write_bytes(b"x")
    with refuses("answers.npz", "not in kzoo.json"):
        push(exported, "hub:models/other")
    assert sorted(os.listdir("models")) == ["index.json", "shops"]


def test_a_full_disk(exported, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    push(exported, "hub:models/shops")
    before = Path("models/index.json").read_bytes()
    other = changed(exported, author="Ann")
    with monkeypatch.context() as patch:
        patch.setattr(push_module, "write_json", full)
        with refuses("No space left", "Nothing was pushed", "Free some space"):
            push(other, "hub:models/shops")
    with monkeypatch.context() as patch:
        patch.setattr(readers.os, "fsync", full)
        with refuses("No space left", "Nothing was pushed"):
            push(other, "hub:models/new")
    assert Path("models/index.json").read_bytes() == before
    assert sorted(os.listdir("models")) == ["index.json", "shops"]
    assert os.listdir("models/shops") == ["1"]


def test_what_a_killed_push_left_is_skipped_and_removed(exported, monkeypatch):
    staging = Path("models/.pushing-0123")
    staging.mkdir(parents=True)
    Path("models/shops/1").mkdir(parents=True)
    Path("models/.index.lock").write_text("dead", encoding="ascii")
    monkeypatch.setattr(push_module, "_STALE", 0.1)
    assert str(push(exported, "hub:models/shops").address) == "hub:models/shops@2"
    assert staging.is_dir()  # it may be another push
    os.utime(staging, (1e9, 1e9))
    push(changed(exported, author="Ann"), "hub:models/shops")
    assert sorted(os.listdir("models")) == ["index.json", "shops"]


PUSH = """
import sys
from dataclasses import replace
from kzoo.hub.push import prepared, push
from kzoo.inference.exported import ExportedModel, Manifest

exported = ExportedModel(sys.argv[1])
for number in range(4):
    replace(exported.manifest, author=f"{sys.argv[2]} {number}").write(exported.path)
    exported = ExportedModel(sys.argv[1])
    with prepared(exported) as outgoing:
        push(outgoing, "hub:models/shops")
"""


def test_pushes_at_once_lose_nothing(exported, tmp_path):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    processes = []
    for name in ("ann", "bob", "eve"):
        folder = shutil.copytree(exported.path, tmp_path / name)
        processes.append(subprocess.Popen([sys.executable, "-c", PUSH, folder, name], env=env))
    assert [process.wait() for process in processes] == [0, 0, 0]
    revisions = json.loads(Path("models/index.json").read_text(encoding="utf-8"))["models"]["shops"]
    assert [each["revision"] for each in revisions] == [str(n) for n in range(1, 13)]
    assert len({each["sha256"] for each in revisions}) == 12
    assert sorted(os.listdir("models")) == ["index.json", "shops"]
    for each in revisions:
        assert ExportedModel(f"models/shops/{each['revision']}").damage() == []


def test_the_standard_server_of_python_serves_a_hub(exported, tmp_path):
    push(exported, f"hub:{tmp_path / 'models'}/shops")
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        command,
        cwd=tmp_path / "models",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = server.stdout.readline().split("port ")[1].split()[0]
        folder = local_copy(f"hub:http://127.0.0.1:{port}/shops")
    finally:
        server.kill()
        server.wait()
    assert ExportedModel(folder).damage() == []


KILLED = """
import sys
from kzoo.hub.index import Index, Revision
from kzoo.hub.pull import local_copy
print(local_copy(sys.argv[1]), flush=True)
"""


def test_a_killed_pull_is_continued(exported, tmp_path, cache):
    folder = tmp_path / "models"
    push(exported, f"hub:{folder}/shops")
    with serving(folder) as server:
        server.stall = ("/shops/1/onnx/model.onnx", 5000)
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, f"hub:{server.url}/shops"], env=env
        )
        assert server.stalled.wait(60)
        while sum(p.stat().st_size for p in cache.rglob("model.onnx")) < 5000:
            assert process.poll() is None
        process.kill()
        process.wait()
        server.stall = None
        server.requests.clear()
        assert ExportedModel(local_copy(f"hub:{server.url}/shops")).damage() == []
    assert ("/shops/1/onnx/model.onnx", "bytes=5000-") in server.requests
    assert "/shops/1/kzoo.json" not in [path for path, _ in server.requests]


def test_where_a_pull_may_write(exported, tmp_path):
    push(exported, "hub:models/shops")
    Path("mine").mkdir()
    assert pull("hub:models/shops", "mine").damage() == []
    with refuses("mine", "overwrite=True"):
        pull("hub:models/shops", "mine")
    assert pull("hub:models/shops", "mine", overwrite=True).damage() == []
    Path("other").mkdir()
    Path("other/notes.txt").touch()
    with refuses("other", "new folder"):
        pull("hub:models/shops", "other", overwrite=True)
    assert pull("hub:models/shops").path == Path("exports/shops")


FIELDS = st.sampled_from([field.name for field in fields(Revision)])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=4), inner)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(st.dictionaries(FIELDS, JSON)) | JSON))
def test_any_index_is_read_or_refused_in_one_line(models):
    content = json.dumps({"format_version": 1, "models": models}).encode()
    try:
        Index.read(content, "index.json")
    except KzooError as error:
        assert len(str(error).splitlines()) == 1


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40) | st.from_regex(r"(https?|hf|s3)://[a-z:@/.?#\\%]{0,20}/x", fullmatch=True)
)
def test_any_address_is_parsed_or_refused_in_one_line(text):
    try:
        address = parse_hub_address(f"hub:{text}")
    except KzooError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert ".." not in (address.name, address.revision) and "/" not in address.name
