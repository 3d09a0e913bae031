"""A stopped training resumes to the same bits. Signals, crashes and NaN that stop it, and calls that are refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses
from PIL import Image
from sklearn import datasets

import kzoo
from kzoo.cli import main
from kzoo.training.folder import locked
from kzoo.training.keras_fit import _EpochOrder
from kzoo.training.resume import restore_callbacks
from kzoo.utils import onednn
from kzoo.utils.processor import instruction_sets

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

QUICK = dict(progress=False, check=False, journal_steps=3)
DIGITS = datasets.load_digits()
# An average of weights, a schedule by the step and dropout: all of them have a state that could be lost.
SMALL = dict(
    units=(6,), dropout=0.2, schedule="cosine", warmup=0.2, ema=0.9, epochs=3, batch_size=24
)


class Stop(keras.callbacks.Callback):
    """Act at `Stop.at = (epoch, step)`. Instances have no attributes that a resumed run would compare."""

    at = None
    action = None
    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        Stop.epoch = epoch
        Stop.step = 0

    def on_train_batch_end(self, batch, logs=None):
        Stop.step += 1
        if Stop.at == (Stop.epoch, Stop.step):
            Stop.at = None
            Stop.action()


def cut_power():
    raise RuntimeError("power cut")


@pytest.fixture(autouse=True)
def _nothing_stops_by_itself():
    Stop.at = None
    Stop.action = cut_power


def go(out, preset="iris_fnn", data="iris", **options):
    small = SMALL if preset == "iris_fnn" else {}
    return kzoo.train(preset, data, out=out, callbacks=[Stop()], **QUICK | small | options)


def stopped(out, at, *, error=RuntimeError, action=cut_power, **options):
    """Train up to a moment, and stop there."""
    Stop.at, Stop.action = at, action
    with pytest.raises(error):
        go(out, **options)
    return Path(out)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a function that trains for the first test that calls it, and gives later tests the same run."""
    runs = {}

    def make(train, *arguments, **options):
        key = repr((train.__name__, arguments, options))
        if key not in runs:
            runs[key] = train(tmp_path_factory.mktemp("made") / "run", *arguments, **options)
        return runs[key]

    return make


@pytest.fixture
def whole(made):
    """The run that was not stopped."""
    return made(go)


@pytest.fixture
def power_cut(made):
    """Return a function that returns a folder, `cut`, whose training had a power cut in its second epoch."""
    return lambda: Path(shutil.copytree(made(stopped, (1, 4)), "cut"))


def columns(run):
    return {name: values for name, values in run.history.items() if name != "seconds"}


def assert_same_run(a, b):
    assert columns(a) == columns(b)
    for name in ("best.keras", "last.keras"):
        pair = [
            keras.saving.load_model(run.path / name, compile=False).get_weights() for run in (a, b)
        ]
        for x, y in zip(*pair, strict=True):
            np.testing.assert_array_equal(x, y)
    summaries = [
        {
            k: v
            for k, v in run.summary.items()
            if k not in ("seconds", "samples_per_second", "resumed")
        }
        for run in (a, b)
    ]
    assert summaries[0] == summaries[1]


CASES = {
    "dropout, warm-up and averaged weights": SMALL,
    "an objective of the whole validation split": SMALL | dict(objective="f1"),
    "regression, and a plateau": dict(
        preset="diabetes_fnn",
        data="diabetes",
        units=(4,),
        batch_size=80,
        schedule="plateau",
        patience=2,
        learning_rate=0.2,
    ),
    "augmentation and batch norm, no validation data": dict(
        preset="digits_cnn",
        data=(DIGITS.images[:250] * 15.9, DIGITS.target[:250]),
        filters=(4,),
        units=(),
        augment=("shift",),
        batch_size=40,
        validation=0,
        optimizer="momentum",
    ),
    "filters set from the data, alternating mirrors and a separate rate for norm biases, in bfloat16": dict(
        preset="cifar_speed",
        data=(np.tile(DIGITS.images[:120, ..., None] * 15.9, 3), DIGITS.target[:120]),
        filters=(4,),
        augment=("alternate", "nudge"),
        batch_size=16,
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if "bfloat16" in name else name for name in CASES],
)
def test_a_run_stopped_twice_ends_in_the_same_bits(name, request):
    # as users train: many steps to a call, and single ones
    if "warm-up" in name or "bfloat16" in name:
        request.getfixturevalue("traced")
    options = CASES[name] | dict(epochs=4)
    whole = go("whole", **options)
    stopped("cut", (1, 4), **options)
    # a count that starts with the process' first step of that epoch
    stopped("cut", (2, 2), **options)
    run = go("cut", **options)
    assert run.summary["resumed"] == 2 and whole.summary["resumed"] == 0
    assert_same_run(whole, run)
    assert not list(run.path.glob("journal*"))
    rates = run.history["learning_rate"]
    assert rates[-1] < rates[1]  # the schedule or the plateau went on too


def photos(folder):
    for number, image in enumerate(DIGITS.images[:60]):
        (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).save(
            folder / str(number % 2) / f"{number}.png"
        )
    return folder


def book(folder):
    folder.mkdir()
    (folder / "book.txt").write_text("the cat sat on the mat, and said so\n" * 60)
    return folder / "book.txt"


def mapped(folder):
    folder.mkdir()
    np.save(folder / "x.npy", DIGITS.data[:200])
    return np.load(folder / "x.npy", mmap_mode="r"), DIGITS.target[:200] % 3


# With SGD, whose steps take a third of AdamW's time: what an optimizer remembers is in CASES.
LARGE = {
    "images": (
        photos,
        dict(
            preset="digits_cnn",
            filters=(4,),
            units=(),
            batch_size=8,
            augment=("shift",),
            optimizer="sgd",
        ),
    ),
    "text": (
        book,
        dict(
            preset="char_transformer",
            input_shape=(9,),
            width=4,
            depth=1,
            num_heads=1,
            intermediate_dim=4,
            batch_size=8,
            optimizer="sgd",
        ),
    ),
    "rows": (mapped, dict(preset="iris_fnn", batch_size=16)),
}


@pytest.mark.parametrize("kind", LARGE)
def test_data_read_from_disk_gives_the_same_run_as_data_in_memory(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    make, options = LARGE[kind]
    data = make(tmp_path / "data")
    options |= dict(epochs=2, max_steps=7, steps_per_call=1)
    in_memory = (np.array(data[0]), data[1]) if kind == "rows" else data
    whole = go("whole", data=in_memory, **options)
    monkeypatch.setenv("KZOO_MEMORY", "1")
    stopped("cut", (0, 5), data=data, **options)
    run = go("cut", data=data, **options)
    assert run.summary["resumed"] == 1 and run.data.fingerprint == whole.data.fingerprint
    assert_same_run(whole, run)


def test_an_unreadable_image_during_training_is_named_in_a_single_line(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "1")
    folder = photos(tmp_path / "data")
    data = kzoo.load_data(folder, preset="digits_cnn")
    broken = data.train.x.path(3)
    content = bytearray(broken.read_bytes())
    content[45] ^= 255  # amid the pixels: neither the beginning nor the end tells
    broken.write_bytes(content)
    with refuses(f"'{broken.parent.name}/{broken.name}'", "image", "remove") as caught:
        go("run", preset="digits_cnn", data=folder, filters=(4,), units=(), epochs=1, batch_size=8)
    assert "\n" not in str(caught.value)


def test_a_compiled_keras_model_resumes_too():
    def model():
        keras.utils.set_random_seed(3)
        net = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
        )
        net.compile(
            "adam",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        net.name = "mine"
        return net

    options = dict(epochs=2, batch_size=24)
    whole = go("whole", model(), **options)
    stopped("cut", (1, 4), preset=model(), **options)
    assert_same_run(whole, go("cut", model(), **options))


def test_seconds_of_a_resumed_epoch_cover_both_of_its_parts():
    def slow():
        time.sleep(1)
        Stop.at = (1, 4)
        Stop.action = cut_power

    stopped("cut", (1, 2), action=slow)
    run = go("cut")
    assert 1 < run.history["seconds"][1] < run.summary["seconds"]
    # three epochs, in more than a second
    assert run.summary["samples_per_second"] < 3 * run.config["data"]["train"]


def test_early_stopping_survives_a_kill_before_the_scores():
    """Killed between the last epoch and the scores, it must not train on."""
    options = dict(
        epochs=30, patience=1, learning_rate=1.0, schedule="constant", warmup=0, dropout=0, ema=0
    )
    whole = go("whole", **options)
    assert whole.summary["epochs"] < 30
    module = import_module("kzoo.training.train")  # its name is the function's too
    real = module.score_and_store
    module.score_and_store = lambda *a, **k: cut_power()
    try:
        with pytest.raises(RuntimeError):
            go("cut", **options)
    finally:
        module.score_and_store = real
    assert_same_run(whole, go("cut", **options))


def test_a_damaged_journal_is_reported_and_the_previous_journal_used(whole, power_cut, capsys):
    folder = power_cut()
    content = bytearray((folder / "journal").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "journal").write_bytes(content)
    run = go("cut", progress=True)
    assert_mentions(
        capsys.readouterr().err, "cut/journal", "checksum", "epoch 2 of 3", "resume='never'"
    )
    assert_same_run(whole, run)


def test_without_a_readable_journal_training_begins_again(whole, power_cut):
    for file in power_cut().glob("journal*"):
        file.write_bytes(b"nonsense")
    run = go("cut")
    assert run.summary["resumed"] == 0
    assert_same_run(whole, run)


# Settings of another call, and the names and values that the refusal has: those of the run, then those of the call.
OTHER = {
    "seed": (dict(seed=1), ("spec.seed", "0", "1")),
    "epochs": (dict(epochs=9), ("spec.training.epochs", "3", "9")),
    "config": (dict(units=(3,)), ("spec.config.units", "[6]", "[3]")),
    "data": (dict(data_seed=5), ("data.data_seed", "0", "5")),
    "two settings": (
        dict(seed=2, dropout=0.5),
        ("spec.config.dropout", "0.2", "0.5", "spec.seed", "0", "2"),
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_call_is_refused_and_the_differences_are_named(name, power_cut):
    changes, parts = OTHER[name]
    folder = power_cut()
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with refuses("cut", *parts, "overwrite=True"):
        go("cut", **changes)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_another_kind_of_processor_is_reported(power_cut, capsys):
    path = power_cut() / "config.json"
    config = json.loads(path.read_text())
    assert config["processor"] == list(instruction_sets())
    path.write_text(json.dumps(config | {"processor": ["avx", "avx1024"]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kzoo.training.provenance.instruction_sets", lambda: ("avx", "avx2"))
        assert go("cut", progress=True).finished
    assert_mentions(capsys.readouterr().err, "processor", "avx1024", "avx2", "bits")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or onednn.enabled() is None,
    reason="only TensorFlow on x86-64 Linux has the setting",
)
def test_another_setting_of_onednn_is_reported(power_cut, capsys):
    path = power_cut() / "config.json"
    config = json.loads(path.read_text())
    now = onednn.enabled()
    assert config["onednn"] == now and now in (True, False)
    path.write_text(json.dumps(config | {"onednn": not now}))
    assert go("cut", progress=True).finished
    assert_mentions(
        capsys.readouterr().err,
        "oneDNN",
        "on",
        "off",
        "bits",
        f"TF_ENABLE_ONEDNN_OPTS={int(not now)}",
    )


def test_another_backend_is_refused_and_another_version_is_reported(power_cut, capsys):
    config = power_cut() / "config.json"
    text = config.read_text()
    config.write_text(
        text.replace(f'"backend": "{keras.backend.backend()}"', '"backend": "abacus"')
    )
    with refuses("backend", "abacus", keras.backend.backend(), "overwrite=True"):
        go("cut")
    config.write_text(text.replace(f'"keras": "{keras.__version__}"', '"keras": "3.0.0"'))
    assert go("cut", progress=True).finished
    assert_mentions(capsys.readouterr().err, "keras", "3.0.0", keras.__version__, "bits")


def test_resume_must_and_never(power_cut):
    with refuses("resume='must'", "cut", "journal", "resume='auto'"):
        go("cut", resume="must")
    assert not Path("cut").exists()
    with refuses("resume='maybe'", "auto, must, never"):
        go("cut", resume="maybe")
    power_cut()
    assert go("cut", resume="never").summary["resumed"] == 0
    shutil.rmtree("cut")
    power_cut()
    run = go("cut", resume="must")
    assert run.summary["resumed"] == 1
    assert go("cut", resume="must").summary == run.summary  # finished: it is returned


def test_without_out_the_newest_folder_that_can_resume_is_used():
    def go_on(**options):
        return go(None, epochs=1, **options)

    Stop.at = (0, 4)
    with pytest.raises(RuntimeError):
        go_on()
    (first,) = Path("runs").iterdir()
    assert first == Path("runs/iris_fnn-01")
    shutil.copytree(first, "runs/iris_fnn-02")
    run = go_on()
    assert run.path.name == "iris_fnn-02" and run.summary["resumed"] == 1
    run = go_on(resume="never")
    assert run.path.name == "iris_fnn-03" and run.summary["resumed"] == 0
    shutil.rmtree(first)
    assert go_on().path.name == "iris_fnn-04"  # nothing to go on with: a new one


# ---------------------------------------------------------------- signals and other processes


def stopped_by(number, moment, error):
    """Send a signal to a training at a moment; return what it raised."""
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    Stop.at, Stop.action = moment, lambda: os.kill(os.getpid(), number)
    with pytest.raises(error) as caught:
        go("cut")
    assert caught.type is error
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert Path("cut", "journal").exists()
    if moment[0]:
        for name in ("best.keras", "last.keras"):
            keras.saving.load_model(Path("cut", name))
    return caught.value


def test_after_sigint_the_step_is_finished_and_the_journal_written(whole, monkeypatch):
    stopped_by(signal.SIGINT, (0, 2), KeyboardInterrupt)
    caught = stopped_by(signal.SIGINT, (1, 4), kzoo.Interrupted)
    assert_mentions(str(caught), "cut", "same")
    run = caught.run
    assert run.summary["interrupted"] and run.summary["epochs"] == 1 and run.summary["resumed"] == 1
    assert kzoo.predict(run, np.array([[5.1, 3.5, 1.4, 0.2]])).labels[0] in run.class_names
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ipykernel", os)
        Stop.at = (2, 2)
        run = go("cut")  # in a notebook the partial run comes back
        assert run.summary["interrupted"] and run.summary["epochs"] == 2
    run = go("cut")
    assert not run.summary["interrupted"] and run.summary["resumed"] == 3
    assert_same_run(whole, run)


def test_after_sigterm_the_step_is_finished_and_the_journal_written(whole):
    for moment in ((0, 2), (1, 4)):
        assert stopped_by(signal.SIGTERM, moment, SystemExit).code == 143
    assert_same_run(whole, go("cut"))


def test_training_in_a_thread_changes_no_signal_handlers():
    runs = []
    thread = threading.Thread(target=lambda: runs.append(go("run", epochs=1)))
    thread.start()
    thread.join()
    assert runs[0].finished


def test_a_second_process_in_the_folder_is_refused(power_cut):
    folder = power_cut()
    reading, writing = os.pipe()
    other = os.fork()
    if other == 0:  # nothing but the lock is touched in here: TensorFlow would not stand a fork
        try:
            with locked(folder):
                os.write(writing, b"in")
                signal.pause()
        finally:
            os._exit(1)
    try:
        os.close(writing)  # else a child that failed would leave this waiting
        assert os.read(reading, 2) == b"in"
        with refuses("cut", "another process"):
            go("cut")
    finally:
        os.kill(other, signal.SIGKILL)  # its lock goes with it
        os.waitpid(other, 0)
    assert go("cut").finished


def test_files_of_a_killed_write_are_removed(power_cut):
    folder = power_cut()
    code = (
        "import os, sys; from kzoo.utils.files import whole_file\n"
        "with whole_file(sys.argv[1]) as file: file.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    )
    for name in ("journal.next", "best.keras", "history.csv"):
        subprocess.run([sys.executable, "-c", code, folder.resolve() / name])
    assert len(list(folder.glob(".*"))) == 3
    assert not list(go("cut").path.glob(".*"))


def test_a_run_killed_in_its_first_write_begins_again(tmp_path):
    folder = tmp_path / "run"
    (folder / ".before").mkdir(parents=True)
    (folder / ".preprocessing-ab12cd34.json").write_text("{")
    run = go(folder, epochs=1)
    assert run.finished and not list(folder.glob(".*-*"))


class Look(keras.callbacks.Callback):
    """Copy a run's folder as it is in the middle of an epoch: what is left there when the process is killed."""

    def __init__(self, folder, copy):
        super().__init__()
        self.folder, self.copy = str(folder), str(copy)

    def on_train_batch_end(self, batch, logs=None):
        if batch == 4 and not os.path.exists(self.copy):
            shutil.copytree(self.folder, self.copy)


def test_files_of_an_earlier_run_are_removed_after_a_kill(tmp_path):
    """Files of an earlier run are moved to `.before`, and removed when the new run resumes."""

    def train(out, **options):
        small = SMALL | dict(epochs=1)
        return kzoo.train(
            "iris_fnn",
            "iris",
            out=out,
            callbacks=[Look(out, f"{out}-killed")],
            **QUICK | small | options,
        )

    train(tmp_path / "first")
    killed = tmp_path / "first-killed"
    assert (killed / "journal").exists() and not (killed / ".before").exists()
    train(tmp_path / "first", seed=1, overwrite=True)
    shutil.rmtree(killed)
    train(tmp_path / "first", seed=2, overwrite=True)
    assert (killed / ".before" / "best.keras").is_file() and (killed / "journal").exists()
    assert train(killed, seed=2).finished and not (killed / ".before").exists()
    assert not (tmp_path / "first" / ".before").exists()


def test_a_lock_is_released_after_an_error():
    Path("here").mkdir()
    with pytest.raises(ZeroDivisionError), locked("here"):
        with refuses("here", "another process"), locked("here"):
            pass
        raise ZeroDivisionError
    with locked("here"):
        pass


def test_a_full_disk_leaves_the_old_journal_and_models_complete(whole, monkeypatch):
    fsync = os.fsync

    def fill():
        monkeypatch.setattr(
            os,
            "fsync",
            lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )

    stopped("cut", (1, 3), error=OSError, action=fill)
    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("best.keras", "last.keras"):
        keras.saving.load_model(Path("cut", name))
    assert_same_run(whole, go("cut"))


# ---------------------------------------------------------------- NaN


def spoil():
    model = Stop.model_at_hand
    model.set_weights([w * np.nan for w in model.get_weights()])


class Spoiler(Stop):
    def on_train_batch_end(self, batch, logs=None):
        Stop.model_at_hand = self.model
        super().on_train_batch_end(batch, logs)


def spoiled(at, **options):
    """Train, with NaN in the weights at a moment."""
    Stop.at, Stop.action = at, spoil
    small = dict(units=(6,), batch_size=24)
    return kzoo.train(
        "iris_fnn", "iris", out="run", callbacks=[Spoiler()], **QUICK | small | options
    )


def test_nan_in_the_weights_rolls_back_at_half_the_rate(capsys):
    run = spoiled(
        (1, 4), epochs=3, on_nan="rollback", schedule="constant", warmup=0.0, learning_rate=0.01
    )
    assert (run.summary["rollbacks"], run.summary["epochs"]) == (1, 3)
    rates = run.history["learning_rate"]
    assert rates[0] == pytest.approx(0.01) and rates[1:] == pytest.approx([0.005, 0.005])
    assert_mentions(capsys.readouterr().err, "nan", "epoch 2", "step 3", "half")
    assert all(np.isfinite(w).all() for w in run.model.get_weights())


def test_nan_before_the_first_journal_rolls_back_to_the_start():
    run = spoiled(
        (0, 2), epochs=2, on_nan="rollback", schedule="cosine", warmup=0.1, journal_steps=None
    )
    assert (run.summary["rollbacks"], run.summary["epochs"]) == (1, 2)


def spoiled_again(times, preset, **options):
    """Train, with NaN in the weights as often as that, always at the same step of the first epoch."""
    left = [times]

    def again():
        spoil()
        left[0] -= 1
        Stop.at = (0, 2) if left[0] else None

    Stop.at = (0, 2)
    Stop.action = again
    options = (
        dict(out="run", callbacks=[Spoiler()], on_nan="rollback", epochs=2, baselines=False)
        | options
    )
    return kzoo.train(preset, "iris", **QUICK | dict(batch_size=24, journal_steps=None) | options)


def test_the_third_rollback_is_the_last_at_an_eighth_of_the_learning_rate():
    """The count must not come from a journal alone: none may have been written since the last rollback."""
    small = dict(units=(6,), schedule="constant", warmup=0.0, learning_rate=0.08)
    run = spoiled_again(3, "iris_fnn", **small)
    assert run.summary["rollbacks"] == 3 and run.history["learning_rate"] == pytest.approx(
        [0.01, 0.01]
    )
    with refuses("loss", "nan", "epoch 1", "learning_rate"):
        spoiled_again(4, "iris_fnn", out="never", **small)


@pytest.mark.parametrize(
    "built", [False, True], ids=["Keras model", "of kzoo.build, compiled anew"]
)
def test_a_compiled_model_rolls_back_with_its_optimizer(built):
    model = kzoo.build("iris_fnn", units=(6,)) if built else small_network()
    model.compile(keras.optimizers.SGD(0.08, momentum=0.5), "sparse_categorical_crossentropy")
    run = spoiled_again(2, model)
    assert run.summary["rollbacks"] == 2 and run.history["learning_rate"] == pytest.approx(
        [0.02, 0.02]
    )
    assert model.optimizer.momentum == 0.5
    falling = keras.optimizers.schedules.ExponentialDecay(0.08, 5, 0.5)
    model.compile(keras.optimizers.SGD(falling), "sparse_categorical_crossentropy")
    with refuses("on_nan='rollback'", repr(model.name), "schedule"):
        spoiled_again(1, model, out="scheduled")
    assert not Path("scheduled").exists()


def small_network(units=6, name="net"):
    dense = keras.layers.Dense
    return keras.Sequential(
        [keras.Input((4,)), dense(units, "relu"), dense(3, "softmax")], name=name
    )


def test_nan_stops_and_keeps_the_last_good_state():
    run = spoiled((2, 1), epochs=5, journal_steps=1)
    assert run.summary["rollbacks"] == 0 and run.summary["epochs"] == 3
    for name in ("best.keras", "last.keras"):
        weights = keras.saving.load_model(run.path / name, compile=False).get_weights()
        assert all(np.isfinite(w).all() for w in weights)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_journal_steps_out_of_range_are_refused(value):
    with refuses(f"journal_steps={value!r}"):
        kzoo.train("iris_fnn", "iris", journal_steps=value)


@pytest.mark.parametrize("value", [-1, float("nan"), "soon"])
def test_journal_seconds_out_of_range_are_refused(value):
    with refuses(f"journal_seconds={value!r}"):
        kzoo.train("iris_fnn", "iris", journal_seconds=value)


def test_resume_on_the_command_line_is_checked(capsys):
    assert main(["train", "iris_fnn", "--out", "run", "--resume", "must"]) == 2
    assert_mentions(capsys.readouterr().err, "--resume", "must", "run", "journal", "--resume auto")
    assert main(["train", "iris_fnn", "--out", "run", "--resume", "perhaps"]) == 2
    assert_mentions(capsys.readouterr().err, "--resume", "perhaps", "auto, must, never")


def test_a_journal_with_former_names_of_callbacks_is_restored():
    teacher = kzoo.callbacks.teaching()[-1]
    order = _EpochOrder(SimpleNamespace())
    restore_callbacks(
        [order, teacher], [("_Order", {}), ("Teacher", {"known": 0.5, "said_gap": True, "bad": 2})]
    )
    assert (teacher.previous_best, teacher.gap_printed, teacher.gap_epochs) == (0.5, True, 2)
    with refuses("Other", "Teacher", "resume='never'"):
        restore_callbacks([teacher], [("Other", {})])
