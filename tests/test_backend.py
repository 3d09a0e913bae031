"""Keras starts on its default backend unless the user chooses another; a resumed run or search stays on its backend.

The class of faults: a backend that changes by itself. A stopped run or search is then not recognised and starts again,
and a variable or a package that is not installed ends in a traceback from Keras.
"""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import keras
import pytest
from made_search import make_search
from messages import assert_mentions
from shortcuts import undrawn, untraced

import kzoo
from kzoo.cli import main
from kzoo.utils.files import read_json, write_json
from kzoo.zoo import results
from kzoo.zoo.results import speed
from kzoo.zoo.results.speed import faster_than, fastest

ROOT = Path(kzoo.__file__).parents[1]
# of every row and every call here: macOS and Windows do not report theirs
PROCESSOR = ["avx", "avx2", "fma"]
ROW = {
    "preset": "iris_fnn",
    "samples_per_second": {"tensorflow": 100.0, "jax": 310.0, "torch": 120.0},
    "machine": "Linux x86_64, 2 cores",
    "processor": PROCESSOR,
    "versions": {"keras": "3"},
    "date": "2026-01-01",
}

# A single process for all calls. It reports the backend of Keras, and stops where Keras would start.
CALLS = """
import contextlib, importlib.abc, io, json, os, sys

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "keras":
            raise RuntimeError("Keras starts")

from kzoo.zoo import results
from kzoo.cli import main
from kzoo.zoo.results import speed
speed.instruction_sets = lambda: ("avx", "avx2", "fma")
read = results._read
for words, backend, table, missing in json.loads(sys.stdin.read()):
    os.environ.pop("KERAS_BACKEND", None)
    os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    os.environ.update({"KERAS_BACKEND": backend} if backend else {})
    results._read = lambda name: table if name == "speed.json" else read(name)
    sys.modules.update(dict.fromkeys(missing))  # Python treats these as not installed
    sys.meta_path.insert(0, Refusing())
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        code = main(words.split())
    del sys.meta_path[0]
    for name in missing:
        del sys.modules[name]
    chosen = [os.environ.get(name) for name in ("KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS")]
    print(json.dumps(["Keras starts" in err.getvalue(), code, chosen[0], err.getvalue(), chosen[1]]))
"""


class Stop(keras.callbacks.Callback):
    """Stop in the second epoch, as Ctrl-C does."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt


def call(words, *, environment=None, table=(), missing=()):
    return [words, environment, list(table), list(missing)]


def run_calls(calls):
    """Return (whether Keras starts, exit code, KERAS_BACKEND, stderr, TF_ENABLE_ONEDNN_OPTS) of each call."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
        | {"PYTHONPATH": str(ROOT)},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(calls), done.stderr
    return lines


def backends(*calls):
    """Return the backend that each call would start Keras with: None for the default."""
    answers = run_calls(calls)
    assert [starts for starts, *_ in answers] == [True] * len(calls), answers
    return [backend for _, _, backend, *_ in answers]


def stopped(folder, **options):
    """Stop a run of the iris in its second epoch."""
    with untraced(), undrawn(), pytest.raises(kzoo.Interrupted):
        kzoo.train(
            "iris_fnn",
            "iris",
            out=folder,
            callbacks=[Stop()],
            progress=False,
            check=False,
            **options,
        )
    return Path(folder)


@pytest.fixture(scope="module")
def run_on_jax(tmp_path_factory):
    """A stopped run whose config names JAX as its backend. The slow test has a real run on JAX."""
    folder = stopped(
        tmp_path_factory.mktemp("stopped") / "runs" / "iris_fnn-01", units=(8,), epochs=3
    )
    config = read_json(folder / "config.json")
    config |= {"backend": "jax", "command": config["command"] + " --backend jax", "callbacks": []}
    write_json(folder / "config.json", config)
    return folder


SAME = "train iris_fnn --data iris --epochs 3 --set units=8"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="whose run becomes one on JAX")
def test_a_stopped_run_keeps_its_backend(run_on_jax, monkeypatch):
    monkeypatch.chdir(run_on_jax.parents[1])
    path = str(run_on_jax)
    calls = {
        SAME: "jax",
        "train iris_fnn --data iris --set units=8 epochs=3": "jax",
        f"{SAME} --backend auto": "jax",
        f"{SAME} --backend torch": "torch",
        f"{SAME} --resume never": None,
        f"{SAME} --seed 1": None,
        "train iris_fnn --data iris": None,
        # `kzoo.train` checks whether it is the same run
        f"train iris_fnn --data iris --out {path}": "jax",
        f"train iris_fnn --data iris --out {path} --resume never": "jax",
        f"train iris_fnn --data iris --out {path} --overwrite": None,
        f"train iris_fnn --data iris --out {path}-else": None,
    }
    table = [ROW | {"samples_per_second": {"torch": 9.0, "tensorflow": 1.0}}]
    chosen = backends(
        *(call(words, table=table) for words in calls),
        call(SAME, environment="torch"),
    )
    assert dict(zip(calls, chosen, strict=False)) == calls
    assert chosen[-1] == "torch"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="whose run becomes one on JAX")
def test_a_stopped_run_names_its_backend_when_that_is_not_installed(run_on_jax, monkeypatch):
    monkeypatch.chdir(run_on_jax.parents[1])
    new, named = run_calls(
        [call(SAME, missing=["jax"]), call(f"{SAME} --out {run_on_jax}", missing=["jax"])]
    )
    assert (new[0], new[2]) == (True, None)
    assert_mentions(new[3], "runs/iris_fnn-01", "jax", 'pip install "kzoo[jax]"')
    assert named[:3] == [False, 2, None]
    assert_mentions(named[3], str(run_on_jax), "jax", 'pip install "kzoo[jax]"')


def test_a_backend_that_contradicts_the_run_is_refused_by_name(run_on_jax, capsys):
    assert (
        main([*SAME.split(), "--out", str(run_on_jax), "--backend", keras.backend.backend()]) == 2
    )
    assert_mentions(
        capsys.readouterr().err,
        str(run_on_jax),
        "backend",
        "jax",
        keras.backend.backend(),
        "--overwrite",
    )


def test_a_stopped_run_and_a_search_keep_their_setting_of_onednn(tmp_path):
    run = stopped(tmp_path / "run", units=(8,), epochs=3)
    write_json(
        run / "config.json",
        read_json(run / "config.json") | {"backend": "tensorflow", "onednn": False},
    )
    make_search(tmp_path / "search", planned=50, backend="tensorflow", onednn=False)
    resumed = [f"{SAME} --out {run}", f"tune iris_fnn --out {tmp_path / 'search'}"]
    calls = {
        **dict.fromkeys(resumed, "0"),
        f"{resumed[0]} --backend tensorflow": "0",
        **{f"{words} --resume never": None for words in resumed},
        f"{SAME} --out {run}-else": None,
    }
    answers = run_calls([*map(call, calls), call(resumed[0], environment="tensorflow")])
    assert [starts for starts, *_ in answers] == [True] * len(answers), answers
    assert dict(zip(calls, (setting for *_, setting in answers), strict=False)) == calls
    assert answers[-1][-1] == "0"


def test_a_search_keeps_its_backend():
    epochs = kzoo.get_preset("iris_fnn").training["epochs"]
    make_search("searches/iris_fnn-01", planned=50, backend="jax", epochs=epochs)
    make_search("searches/iris_fnn-02", backend="torch", epochs=epochs)  # with nothing left to do
    calls = {
        "tune iris_fnn": "jax",
        "tune iris_fnn --trials 60 --backend auto": "jax",
        "tune iris_fnn --set optimizer=adam": "jax",
        "tune iris_fnn --backend tensorflow": "tensorflow",
        "tune iris_fnn --epochs 7": None,
        "tune iris_fnn --set units=5": None,
        "tune iris_fnn --seed 1": None,
        "tune iris_fnn --folds 3": None,
        "tune iris_fnn --no-baseline": None,
        "tune iris_fnn --resume never": None,
        "tune iris_fnn --data wine": None,
        "tune iris_fnn --out searches/iris_fnn-02": "torch",
        "tune iris_fnn --out searches/iris_fnn-02 --resume never": None,
    }
    assert dict(zip(calls, backends(*map(call, calls)), strict=True)) == calls


def test_keras_starts_on_its_default_backend_unless_the_user_chooses_another():
    slow = ROW | {"samples_per_second": {"tensorflow": 3.0, "torch": 2.0}}
    default, chosen, option, variable, unmeasured, fastest_of_all, fastest_installed, first = (
        backends(
            call("train iris_fnn"),
            call("train iris_fnn --backend torch", table=[ROW]),
            call("tune iris_fnn --backend jax", environment="torch"),
            call("train iris_fnn", environment="torch", table=[ROW]),
            call("train iris_fnn --backend auto", environment="torch"),  # nothing is measured
            call("tune iris_fnn --backend auto", environment="torch", table=[ROW]),
            call("train iris_fnn --backend auto", table=[ROW], missing=["jax"]),
            call("train iris_fnn --backend auto", table=[slow]),
        )
    )
    assert (default, chosen, option, variable, unmeasured) == (
        None,
        "torch",
        "jax",
        "torch",
        "torch",
    )
    assert (fastest_of_all, fastest_installed, first) == ("jax", "torch", "tensorflow")


def test_bad_backends_are_refused_before_keras_starts_and_set_no_variable():
    missing, unknown, wrong, twice = run_calls(
        [
            call("train iris_fnn --backend torch", missing=["torch"]),
            call("tune iris_fnn --backend jaxx"),
            call("train iris_fnn --backend jax --set dropuot=0.1"),
            call("train iris_fnn --set backend=jax"),
        ]
    )
    assert [answer[:3] for answer in (missing, unknown, wrong, twice)] == [[False, 2, None]] * 4
    assert_mentions(missing[3], "torch", 'pip install "kzoo[torch]"')
    assert_mentions(unknown[3], "--backend 'jaxx'", "'jax'", "auto, tensorflow, jax, torch")
    assert_mentions(wrong[3], "'dropuot'", "'dropout'")
    assert_mentions(twice[3], "'backend'", "--backend", "--set")
    assert all(err.count("\n") == 1 for *_, err, _ in (missing, unknown, wrong, twice))


def test_keras_that_has_started_is_not_started_again_on_another_backend(capsys):
    running = keras.backend.backend()
    other = "jax" if running != "jax" else "torch"
    before = os.environ.get("KERAS_BACKEND")
    assert main(["train", "iris_fnn", "--backend", other]) == 2
    err = capsys.readouterr().err
    assert_mentions(err, f"--backend {other!r}", running, f"KERAS_BACKEND={other}")
    assert err.count("\n") == 1
    assert os.environ.get("KERAS_BACKEND") == before


@pytest.fixture
def measured(monkeypatch):
    """A table in which another backend that is installed here is 3.1 times as fast."""
    now = keras.backend.backend()
    other = "torch" if now != "torch" else "tensorflow"
    if find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    rates = {now: 1.0, other: 3.1, "no_such_backend": 1e9}
    monkeypatch.setattr(results, "_read", lambda name: [ROW | {"samples_per_second": rates}])
    monkeypatch.setattr(speed, "instruction_sets", lambda: tuple(PROCESSOR))
    return rates, now, other


def test_a_backend_is_recommended_only_if_it_is_more_than_half_as_fast_again(measured):
    rates, now, other = measured
    (line,) = faster_than(now, "iris_fnn")
    assert_mentions(line, other, "iris_fnn", "3.1", now, "Linux x86_64, 2 cores")
    assert_mentions(line, f"--backend {other}", f"KERAS_BACKEND={other}")
    assert faster_than(now, "iris_fnn", samples=60) == [line]
    # 27 seconds saved: to compile may take as long
    assert faster_than(now, "iris_fnn", samples=40) == []
    assert fastest("iris_fnn") == other
    assert (
        faster_than(other, "iris_fnn")
        == faster_than(now, "wine_fnn")
        == faster_than("mxnet", "iris_fnn")
        == []
    )
    rates[other] = 1.5
    assert faster_than(now, "iris_fnn") == []
    assert fastest("wine_fnn") is None


def test_no_backend_is_recommended_from_another_kind_of_processor(measured, monkeypatch):
    rates, now, _ = measured
    for sets in PROCESSOR[:2], [*PROCESSOR, "amx_bf16"], []:
        row = ROW | {"samples_per_second": rates, "processor": sets}
        monkeypatch.setattr(results, "_read", lambda name, row=row: [row])
        assert fastest("iris_fnn") is None and faster_than(now, "iris_fnn") == []
    both = [row, ROW | {"samples_per_second": {now: 1.0}}]
    monkeypatch.setattr(results, "_read", lambda name: both)
    assert fastest("iris_fnn") == now


def test_training_recommends_a_faster_backend_once(measured, untraced, undrawn, capsys):
    _, _, other = measured

    def recommendations(**options):
        with pytest.raises(kzoo.Interrupted):
            kzoo.train(
                "iris_fnn", "iris", epochs=2, out="run", callbacks=[Stop()], check=False, **options
            )
        return [
            line for line in capsys.readouterr().err.splitlines() if f"--backend {other}" in line
        ]

    assert len(recommendations()) == 1
    assert recommendations() == []  # the run is resumed
    assert recommendations(overwrite=True, progress=False) == []


def test_a_users_model_gets_no_recommendation_of_a_preset_with_its_name(
    measured, untraced, undrawn, capsys
):
    _, _, other = measured
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, "softmax")], name="iris_fnn"
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    kzoo.train(model, "iris", epochs=1, out="run")
    assert f"--backend {other}" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "row",
    results._read("speed.json"),
    ids=lambda row: "-".join([row["preset"], *row.get("processor", ())]),
)
def test_a_measured_speed_names_a_preset_and_its_backends(row):
    assert set(row) == {"preset", "samples_per_second", "machine", "processor", "versions", "date"}
    kzoo.get_preset(row["preset"])
    assert set(row["samples_per_second"]) <= {"tensorflow", "jax", "torch"} <= set(row["versions"])
    assert min(row["samples_per_second"].values()) > 0


@pytest.mark.slow
def test_a_run_and_a_search_on_jax_are_resumed_on_jax():
    pytest.importorskip("jax")
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | {
        "PYTHONPATH": str(ROOT)
    }

    def begun(words):
        command = [sys.executable, "-m", "kzoo", *words.split()]
        return subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    words = "train iris_fnn --epochs 400 --set patience=400"
    process = begun(f"{words} --backend jax")
    while not Path("runs/iris_fnn-01/journal").is_file() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert (process.wait(), "SIGTERM" in process.stderr.read()) == (143, True)
    config = kzoo.Run("runs/iris_fnn-01").config
    assert (config["backend"], config["command"].split()[3:5]) == ("jax", ["--backend", "jax"])
    _, err = begun(words).communicate()
    assert_mentions(err, "runs/iris_fnn-01")
    assert [path.name for path in Path("runs").iterdir()] == ["iris_fnn-01"]
    assert kzoo.Run("runs/iris_fnn-01").summary["resumed"] == 1
    assert begun("tune iris_fnn --trials 1 --epochs 2 --backend jax").wait() == 0
    assert begun("tune iris_fnn --trials 2 --epochs 2 --out searches/iris_fnn-01").wait() == 0
    search = kzoo.Search("searches/iris_fnn-01")
    assert (search.request.backend, len(search.trials)) == ("jax", 2)
