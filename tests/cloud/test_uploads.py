"""Runs and exported models at addresses: written here, uploaded whole, resumed and opened on another machine."""

import json
import shutil
from pathlib import Path

import keras
import library
import numpy as np
import pytest
from messages import assert_mentions, refuses

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.cloud import storage, uploads
from kzoo.cloud.storage import FolderStorage, storage_of
from kzoo.serve.model_repository import _named
from kzoo.utils.errors import KzooError
from kzoo.zoo import uploaded

OPTIONS = dict(epochs=2, batch_size=24, progress=False, check=False, baselines=False)
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch, undrawn, untraced):
    """A function that goes to another machine: to an empty cache and an empty folder."""

    def go_to(name):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / name / "cache"))

    monkeypatch.setattr(uploads, "_SETTLED", 0.0)
    go_to("first")
    return go_to


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """The address of an empty bucket, which is a folder."""

    def storage_at(address):
        return storage.FolderStorage(tmp_path / address.bucket / address.key)

    monkeypatch.setattr(storage, "storage_at", storage_at)
    return "s3://bucket"


class Refusing:
    """A storage that refuses to write some objects, with its own error or another one."""

    def __init__(self, monkeypatch):
        self.names, self.error, self.written = (), KzooError("s3://bucket: no permission."), []
        real = FolderStorage.put

        def put(storage, name, path):  # which put_bytes calls, too
            if name.startswith(self.names or "-"):
                raise self.error
            self.written.append(name)
            return real(storage, name, path)

        monkeypatch.setattr(FolderStorage, "put", put)


@pytest.fixture
def writes(monkeypatch):
    """What is written to addresses, and what is refused."""
    return Refusing(monkeypatch)


class Stop(keras.callbacks.Callback):
    """Act in an epoch; instances have no attributes that a resumed run would compare."""

    epoch = None
    action = None

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2 and Stop.epoch == Stop.current:
            Stop.epoch = None
            Stop.action()

    def on_epoch_begin(self, epoch, logs=None):
        Stop.current = epoch


def cut_power():
    raise RuntimeError("power cut")


def go(out, **options):
    return kzoo.train("iris_fnn", "iris", out=out, callbacks=[Stop()], **OPTIONS | options)


def stop_in(epoch, out, action=cut_power, **options):
    Stop.epoch, Stop.action = epoch, action
    with pytest.raises(RuntimeError, match="power cut"):
        go(out, journal_steps=1, **options)


def weights(run):
    return run.model.get_weights()


def assert_same_weights(a, b):
    for x, y in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(x, y)


def names(word):
    return [each.name for each in storage_of(word).list()]


def test_a_run_is_uploaded_whole_and_opened_on_another_machine(bucket, machine, writes, capsys):
    word = f"{bucket}/runs/iris"
    run = go(word)
    assert writes.written[-1] == "config.json" and ".unfinished" not in str(names(word))
    assert run.path.name == "iris" and str(run.path.address) == word
    assert go(word).summary == run.summary  # finished: it is returned
    with refuses(f"out='{word}'", "different run", "epochs", "overwrite=True"):
        go(word, epochs=3)
    machine("second")
    again = kzoo.Run(word)
    assert again.summary == run.summary and again.config == run.config
    assert_same_weights(again, run)
    assert not (again.path / "tensorboard").exists()  # what no reader opens
    writes.names = ("",)  # readers write nothing
    assert kzoo.predict(word, ROWS).labels == kzoo.predict(run, ROWS).labels
    assert kzoo.evaluate(word)["accuracy"] == run.summary["test"]["accuracy"]
    assert main(["predict", word, "rows.csv"]) == 2
    Path("rows.csv").write_text(
        "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
    )
    for words in (["predict", word, "rows.csv"], ["evaluate", word], ["show", word]):
        capsys.readouterr()
        assert main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
    assert main(["report", word]) == 2
    assert_mentions(capsys.readouterr().err, word, "--out report.html")
    assert main(["report", word, "--out", "page.html"]) == 0 and Path("page.html").is_file()
    assert main(["check", word, "--data", "iris"]) == 0
    assert kzoo.check(word, "iris") == []
    assert repr(again) == f"<Run {word}: iris_fnn on iris>"
    run.folder.rename("copy")
    capsys.readouterr()
    assert main(["compare", word, "copy"]) == 0
    table = capsys.readouterr().out
    assert f"  {word}  " in table and "  copy  " in table
    shutil.rmtree("copy")
    assert sorted(p.name for p in Path().iterdir()) == ["cache", "page.html", "rows.csv"]


def test_an_upload_that_was_killed_is_not_opened_and_is_completed(bucket, machine, writes, capsys):
    word = f"{bucket}/iris"
    writes.names, writes.error = ("config.json",), SystemExit(143)
    with pytest.raises(SystemExit):
        go(word)
    assert "best.keras" in names(word) and "config.json" not in names(word)
    with refuses(word, "not complete", "same command"):
        kzoo.Run(word)
    machine("second")  # which has no state, and trains again
    writes.names, writes.error = ("best.keras",), KzooError("s3://bucket: no permission.")
    with refuses("no permission", "same command uploads it", "uploads") as caught:
        go(word)
    folder = Path(str(caught.value).partition("is in ")[2].partition(";")[0])
    trained = kzoo.Run(folder)
    writes.names = ()
    Stop.epoch, Stop.action = 0, cut_power  # it is not trained again
    run = go(word)
    Stop.epoch = None
    assert run.summary == trained.summary if folder.exists() else run.summary["epochs"] == 2
    machine("third")
    assert kzoo.Run(word).summary == run.summary


def test_a_stopped_run_is_resumed_on_another_machine(bucket, machine, capsys):
    whole = go(Path("whole").resolve())
    word = f"{bucket}/iris"
    stop_in(1, word)
    assert "the same command continues it, on any machine" in capsys.readouterr().err
    assert all(name.startswith(".unfinished/") for name in names(word))
    with refuses(word, "not complete"):
        kzoo.Run(word)
    machine("second")
    with refuses(f"out='{word}'", "different run", "epochs"):
        go(word, epochs=3)
    assert "is uploaded" not in capsys.readouterr().err  # nothing has changed
    run = go(word, journal_steps=1)
    assert run.summary["resumed"] == 1
    assert_same_weights(run, whole)
    assert ".unfinished" not in str(names(word))
    machine("first")
    assert go(word).summary == run.summary


def test_a_killed_run_is_resumed_elsewhere_once_its_lock_is_old(
    bucket, machine, monkeypatch, undrawn
):
    whole = go(Path("whole").resolve())
    word = f"{bucket}/iris"
    monkeypatch.setattr(uploaded, "_INTERVAL", 0.0)
    monkeypatch.setattr(uploaded, "_SHARE", 1.0)
    with monkeypatch.context() as killed:  # nothing runs after a SIGKILL
        killed.setattr(uploads, "_keep_state", lambda target: None)
        killed.setattr(uploads.Target, "_release", lambda target: None)
        stop_in(1, word)
    assert ".unfinished/lock.json" in names(word) and ".unfinished/state.json" in names(word)
    machine("second")
    with refuses(word, "Another process writes to", "ago", "same command"):
        go(word)
    monkeypatch.setattr(uploads, "_STALE", 0.0)
    run = go(word, journal_steps=1)
    assert run.summary["resumed"] == 1
    assert_same_weights(run, whole)


def test_the_same_machine_does_not_wait_for_its_own_lock(bucket, monkeypatch):
    word = f"{bucket}/iris"
    with monkeypatch.context() as killed:
        killed.setattr(uploads, "_keep_state", lambda target: None)
        killed.setattr(uploads.Target, "_release", lambda target: None)
        stop_in(1, word)
    assert go(word, journal_steps=1).summary["resumed"] == 1


def test_a_run_that_was_taken_over_stops(bucket, machine, monkeypatch):
    word = f"{bucket}/iris"
    monkeypatch.setattr(uploaded, "_INTERVAL", 0.0)

    def take_over():
        lock = {"token": "another", "renewed": 0}
        storage_of(word).put_bytes(".unfinished/lock.json", json.dumps(lock).encode())

    Stop.epoch, Stop.action = 1, take_over
    with refuses("Another process has taken", word, "What it has is in"):
        go(word, journal_steps=1)
    assert json.loads(storage_of(word).read(".unfinished/lock.json", 999))["token"] == "another"
    assert "config.json" not in names(word)


def test_without_permission_nothing_is_trained(bucket, writes, capsys):
    writes.names = (".unfinished",)
    Stop.epoch, Stop.action = 0, cut_power
    with refuses("no permission"):
        go(f"{bucket}/iris")
    Stop.epoch = None
    assert main(["train", "iris_fnn", "--out", f"{bucket}/iris", "--quiet"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert names(f"{bucket}/iris") == []


def test_other_files_are_never_overwritten(bucket):
    storage_of(f"{bucket}/mine").put_bytes("notes.txt", b"x")
    for overwrite in (False, True):
        with refuses("out=", f"{bucket}/mine", "other files"):
            go(f"{bucket}/mine", overwrite=overwrite)
    with refuses(f"{bucket}/mine", "other files"):
        kzoo.Run(f"{bucket}/mine")
    with refuses(f"{bucket}/none", "no files"):
        kzoo.runtime.load(f"{bucket}/none")
    assert names(f"{bucket}/mine") == ["notes.txt"]


def test_a_state_of_a_stranger_writes_nowhere_else(bucket, machine):
    word = f"{bucket}/iris"
    stop_in(1, word)
    state = json.loads(storage_of(word).read(".unfinished/state.json", 1 << 20))
    files = state["files"]
    for name in ("../../out.txt", "/out.txt", "a\\b", "a//b"):
        bad = state | {"files": {name: files["config.json"]}}
        storage_of(word).put_bytes(".unfinished/state.json", json.dumps(bad).encode())
        machine("second")
        with refuses(word, "no path on this machine"):
            go(word)
    machine("second")
    changed = {"sha256": files["config.json"]["sha256"], "bytes": 3}
    bad = state | {"files": files | {"journal": changed}}
    storage_of(word).put_bytes(".unfinished/state.json", json.dumps(bad).encode())
    with refuses("journal", "changed", changed["sha256"]):
        go(word)


def test_a_cache_that_is_too_small_is_refused_and_nothing_is_left(bucket, machine, monkeypatch):
    word = f"{bucket}/iris"
    go(word)
    machine("second")
    monkeypatch.setenv("KZOO_CACHE_SIZE", "1KiB")
    with refuses("KZOO_CACHE_SIZE", "cache"):
        kzoo.Run(word)
    monkeypatch.delenv("KZOO_CACHE_SIZE")
    full = shutil.disk_usage(".")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with refuses("free", "KZOO_CACHE"):
        kzoo.Run(word)
    monkeypatch.undo()


def test_initial_weights_at_an_address_are_pinned_and_not_needed_to_resume(bucket, machine):
    start = f"{bucket}/start"
    first = go(start)
    whole = go(Path("whole").resolve(), weights=start, journal_steps=1)
    assert whole.config["weights"] == start
    assert whole.config["weights_sha256"]
    stop_in(1, "cut", weights=start)
    storage_of(start).remove("config.json")
    with refuses(start):
        go("new", weights=start)
    run = go("cut", weights=start, journal_steps=1)
    assert run.summary["resumed"] == 1
    assert_same_weights(run, whole)
    assert first.summary["epochs"] == 2


def test_an_exported_model_is_uploaded_and_opened(bucket, machine, writes, capsys):
    word = f"{bucket}/models/iris"
    run = go(Path("run").resolve())
    exported = kzoo.export(run, word, formats="onnx", progress=False)
    assert str(exported.path.address) == word and writes.written[-1] == "kzoo.json"
    with refuses(word, "another model", "overwrite=True"):
        kzoo.export(go("other", units=(3,)), word, formats="onnx", progress=False)
    assert main(["export", "run", "--formats", "litert", "--out", word]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == word
    assert ".unfinished" not in str(names(word)) and "kzoo.json" in names(word)
    machine("second")
    writes.names = ("",)
    model = kzoo.runtime.load(word)
    assert list(model.predict(ROWS).labels) == list(kzoo.predict(run, ROWS).labels)
    assert sorted(kzoo.ExportedModel(word).exports) == ["litert", "onnx"]
    assert kzoo.ExportedModel(word).damage() == []
    for argument, name in ((word, "iris"), (f"mine={word}", "mine")):
        served, folder = _named(argument)
        assert served == name and (folder / "kzoo.json").is_file()
    assert main(["check", word]) == 0


def test_files_of_commands_are_uploaded(bucket, writes, capsys):
    go(Path("run").resolve())
    Path("rows.csv").write_text(
        "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
    )
    before = {*Path().iterdir(), Path("cache")}
    word = f"{bucket}/out/scores.csv"
    assert main(["predict", "run", "rows.csv", "--out", word]) == 0
    assert word in capsys.readouterr().out
    content = storage_of(f"{bucket}/out").read("scores.csv", 999)
    assert main(["predict", "run", "rows.csv", "--out", "local.csv"]) == 0
    assert content == Path("local.csv").read_bytes()
    Path("local.csv").unlink()
    for words in (
        ["predict", "run", "rows.csv", "--out", f"{bucket}/out/scores.csv", "--json"],
        ["report", "run", "--out", f"{bucket}/out/report.html", "--json"],
        ["show", "run", "--plot", f"{bucket}/out/network.png", "--json"],
        ["explain", "run", "--data", "iris", "--out", f"{bucket}/out/why.json", "--json"],
    ):
        capsys.readouterr()
        assert main(words) == 0, words
        printed = capsys.readouterr().out
        assert words[-2] in printed and "files-" not in printed
    written = ["network.png", "report.html", "scores.csv", "why.json"]
    assert names(f"{bucket}/out") == written
    assert main(["predict", "run", "no.csv", "--out", f"{bucket}/none.csv"]) == 2
    assert not any(Path("cache/uploads").glob("files-*"))
    writes.names = ("scores",)
    capsys.readouterr()
    assert main(["predict", "run", "rows.csv", "--out", word]) == 2
    line = capsys.readouterr().err
    assert_mentions(line, "no permission", "What was written is in")
    assert Path(line.rstrip().rstrip(".").rpartition(" is in ")[2]).read_bytes() == content
    assert {*Path().iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ["tune", "iris_fnn", "--trials", "1", "--out", "s3://bucket/x"],
        ["tune", "auto", "--data", "iris", "--out", "s3://bucket/x"],
        ["train", "iris_fnn", "--folds", "2", "--out", "s3://bucket/x"],
        ["train", "iris_fnn", "--ensemble", "2", "--out", "s3://bucket/x"],
        ["check", "iris_fnn", "--learning-curve", "--out", "s3://bucket/x"],
        ["check", "iris_fnn", "--wrong-labels", "--out", "s3://bucket/x"],
        ["predict", "run", "x.csv", "--plot", "s3://bucket/x.gif"],
        ["predict", "run", "x.csv", "--make-future", "s3://bucket/x/"],
        ["explain", "run", "--out", "s3://bucket/x"],
        ["compare", "a", "b", "--csv", "s3://bucket/x.xlsx"],
        ["report", "run", "--out", "s3://bucket/x"],
        ["check", "iris_fnn", "--learning-curve", "--out", "s3://bucket/x.csv"],
        ["pull", "hub:x/y", "--out", "s3://bucket/x"],
    ],
)
def test_what_is_not_uploaded_is_refused(words, capsys):
    assert main(words) == 2
    assert_mentions(capsys.readouterr().err, words[-2], words[-1], "is an address")
    assert not any(Path().iterdir())


def test_arguments_in_python_that_are_not_uploaded_are_refused(monkeypatch):
    for call in (
        lambda out: kzoo.tune("iris_fnn", "iris", trials=1, out=out),
        lambda out: kzoo.cross_validate("iris_fnn", "iris", out=out),
        lambda out: kzoo.ensemble(["a", "b"], out=out),
        lambda out: kzoo.report("run", out=out),
        lambda out: kzoo.check("iris_fnn", learning_curve=True, out=out),
        lambda out: kzoo.baselines.train("boosting", "iris", out=out),
        lambda run_dir: kzoo.callbacks.standard(run_dir),
    ):
        with refuses("s3://bucket/x", "is an address"):
            call("s3://bucket/x")
    run = library.run("customer_table")
    for call in (go, lambda out: kzoo.tune("iris_fnn", "iris", trials=1, out=out)):
        with refuses("'s3:/bucket/x'", "as text", "'s3://bucket/x'"):
            call(Path("s3://bucket/x"))
    with refuses("'s3:/bucket/x'", "as text", "'s3://bucket/x'"):
        kzoo.export(run, Path("s3://bucket/x"), formats="onnx")
    assert not any(Path().iterdir())
