"""`kzoo check RUN --retrain`: the recorded command gives the same weights, or what differs is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import library
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.evaluation import retrain as module
from kzoo.export.card import card
from kzoo.inference.exported import Manifest
from kzoo.zoo import retrained

OPTIONS = dict(target="open", units=(8,), epochs=3, callbacks="quick", baselines=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on shops.csv. Those of the library are trained without graphs, which round differently."""
    folder = tmp_path_factory.mktemp("trained") / "table"
    data = library.folder("data") / "shops.csv"
    return kzoo.train("tabular_fnn", data, out=folder, progress=False, **OPTIONS)


@pytest.fixture
def table(trained, tmp_path, monkeypatch):
    """A copy of that run, from a folder that has its data."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(library.folder("data") / "shops.csv", tmp_path / "shops.csv")
    return Path(shutil.copytree(trained, tmp_path / "runs" / "table"))


def rewrite(folder, **changed):
    """Change what a run records."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changed), encoding="utf-8")


def checked(capsys, *words):
    """Return the exit code of `kzoo check ... --retrain`, and its document or its line of error."""
    code = main(["check", *map(str, words), "--retrain", "--quiet", "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else captured.err


def test_the_command_of_a_run_gives_its_weights_again(table, capsys):
    before = {path: path.read_bytes() for path in table.iterdir() if path.is_file()}
    code, document = checked(capsys, table)
    result = document["retraining"]
    assert (code, result["result"], result["differences"]) == (0, "equal", [])
    assert_mentions(document["text"], "weights equal", f"{result['weights']['arrays']} arrays")
    weights = kzoo.Run(table).model.weights
    assert len(result["weights"]["sha256"]) == result["weights"]["arrays"] == len(weights)
    # only the result is added
    assert {path: path.read_bytes() for path in before} == before
    run = kzoo.Run(table)
    assert retrained.statement(run) == result["statement"]
    assert_mentions(result["statement"], "Retrained on", run.config["machine"], "weights equal")
    page = kzoo.report(run).read_text("utf-8")
    assert_mentions(page, result["statement"])
    manifest = Manifest(
        **{name: {} for name in ("metrics", "versions", "exports", "files")},
        predict_ms={"1": 1.0, "32": 2.0},
        name="table",
        created="2026-12-02",
        spec=run.config["spec"],
        parameters=1,
        inputs=[dict(name="rows", shape=[None, 2], dtype="float32", meaning="")],
        outputs=[dict(name="probabilities", shape=[None, 2], kind="probabilities")],
        labels=["no", "yes"],
        targets=["open"],
        preprocessing=None,
        data=run.config["data"],
        retrained=retrained.statement(run),
    )
    assert_mentions(card(manifest), "Retrained on", "weights equal")
    # other weights: the statement is void
    shutil.copy(table / "best.keras", table / "kept.keras")
    (table / "best.keras").write_bytes((table / "last.keras").read_bytes() + b" ")
    assert retrained.statement(kzoo.Run(table)) == ""
    os.replace(table / "kept.keras", table / "best.keras")
    (table / "retrained.json").write_text("{")
    assert retrained.statement(kzoo.Run(table)) == ""


def test_data_that_changed_are_named_before_anything_is_trained(table, tmp_path, capsys):
    rows = pd.read_csv("shops.csv")
    rows.loc[0, "size"] += 1
    (tmp_path / "elsewhere").mkdir()
    rows.to_csv("elsewhere/shops.csv", index=False)
    os.remove("shops.csv")
    code, line = checked(capsys, table)
    assert code == 2
    assert_mentions(line, "'shops.csv'", "--data")
    kept = tmp_path / "again"
    code, document = checked(capsys, table, "--data", "elsewhere/shops.csv", "--out", kept)
    result = document["retraining"]
    assert (code, result["result"]) == (1, "data")
    ((name, text),) = result["differences"]
    assert name == "data"
    assert_mentions(text, kzoo.Run(table).data.fingerprint, "recorded", "here")
    assert_mentions(document["text"], "Nothing was trained")
    assert not kept.exists() and not (table / "retrained.json").exists()


def test_what_differs_is_named_in_order_and_the_layer_with_other_weights(table, tmp_path):
    run = kzoo.Run(table)
    rewrite(
        table,
        command=f"{run.config['command']} batch_size=32",
        versions=run.config["versions"] | {"numpy": "1.0"},
        processor=["avx"],
        threads=77,
    )
    # moved and renamed: only the content counts
    shutil.move("shops.csv", tmp_path / "moved.csv")
    findings = kzoo.check(table, "moved.csv", retrain=True, out=tmp_path / "again", progress=False)
    result = findings.retraining
    assert [name for name, _ in result.differences] == [
        "version",
        "setting",
        "processor",
        "threads",
    ]
    texts = dict(result.differences)
    assert_mentions(texts["version"], "numpy 1.0 recorded")
    assert_mentions(texts["setting"], "batch_size 64 recorded", "32 here")
    assert_mentions(texts["processor"], "avx recorded")
    assert_mentions(texts["threads"], "77 recorded")
    again = kzoo.Run(tmp_path / "again")
    first = next(
        name
        for name, a, b in zip(
            result.weights["sha256"],
            run.model.get_weights(),
            again.model.get_weights(),
            strict=True,
        )
        if (a != b).any()
    )
    assert first == f"{result.weights['layer']}/{result.weights['array']}"
    assert result.weights["difference"] > 0
    gap = abs(again.summary["test"]["accuracy"] - run.summary["test"]["accuracy"])
    assert result.result == ("within" if gap <= result.score["tolerance"] else "differs")
    assert_mentions(repr(findings), f"layer {result.weights['layer']}", "weights differ")
    assert bool(findings) == result.failed


def test_runs_that_cannot_be_repeated_say_why(table, tmp_path, capsys):
    config = kzoo.Run(table).config
    for changed, *parts in (
        ({"command": None}, "records no command", "Python", "kzoo compare"),
        ({"callbacks": ["Mine"]}, "callbacks", "Mine"),
        ({"command": "kzoo.cross_validate('tabular_fnn', 'shops.csv', target='open')"}, "fold"),
        ({"command": "rm -r shops.csv"}, "not `kzoo train`"),
        ({"command": "kzoo train 'tabular_fnn"}, "not `kzoo train`"),
        ({"command": "kzoo train tabular_fnn --data shops.csv --test may.csv"}, "may.csv"),
        ({"command": "kzoo train iris_fnn"}, "--data", "iris_fnn's own", "Omit"),
    ):
        rewrite(table, **config | changed)
        code, line = checked(capsys, table, "--data", "shops.csv")
        assert code == 2 and len(line.splitlines()) == 1, line
        if "iris_fnn's own" not in parts:
            assert_mentions(line, *parts)
    rewrite(table, **config)
    summary = json.loads((table / "summary.json").read_text())
    (table / "summary.json").write_text(json.dumps(summary | {"interrupted": True}))
    with refuses("not finished", "Resume"):
        kzoo.check(table, retrain=True)
    (table / "summary.json").write_text(json.dumps(summary))
    with refuses("seed=1", "retrain=", "Omit"):
        kzoo.check(table, retrain=True, seed=1)
    with refuses("out=", "not empty"):
        kzoo.check(table, retrain=True, out=tmp_path)
    with refuses("'iris_fnn'", "not a run"):
        kzoo.check("iris_fnn", retrain=True)
    for words, *parts in (
        ((table, "--seed", 1), "--seed", "--retrain"),
        (("iris_fnn",), "iris_fnn", "not a run"),
        ((), "--retrain", "needs a run"),
    ):
        code, line = checked(capsys, *words)
        assert code == 2
        assert_mentions(line, *parts)
    assert not (table / "retrained.json").exists()


def test_runs_of_python_and_ensembles_are_refused(tmp_path):
    frame = pd.read_csv(library.folder("data") / "shops.csv")
    options = OPTIONS | dict(epochs=1, progress=False)
    run = kzoo.train("tabular_fnn", frame, out=tmp_path / "frame", **options)
    with refuses("frame", "records no command", "data or settings came from Python code"):
        kzoo.check(run, retrain=True)
    other = kzoo.train("tabular_fnn", frame, seed=1, out=tmp_path / "other", **options)
    ensemble = kzoo.ensemble([run, other], out=tmp_path / "ensemble")
    with refuses("ensemble of 2 runs", "frame, other"):
        kzoo.check(ensemble, retrain=True)
    baseline = kzoo.baselines.train("logistic", frame, target="open", out=tmp_path / "logistic")
    with refuses("logistic", "baseline", "kzoo.baselines.train"):
        kzoo.check(baseline, retrain=True)
    run.model.save(tmp_path / "plain.keras")
    with refuses("not a run"):
        kzoo.check(kzoo.load_model(tmp_path / "plain.keras"), retrain=True)


def test_a_command_that_fails_is_one_line(table):
    rewrite(table, command="kzoo train no_such_preset --data shops.csv --target open")
    with refuses("cannot be trained again", "no_such_preset"):
        kzoo.check(table, retrain=True, progress=False)


def test_files_are_found_beside_the_data_and_runs_beside_the_run(table, tmp_path):
    run = kzoo.Run(table)
    (tmp_path / "data").mkdir()
    for name in ("shops.csv", "may.csv"):
        shutil.copy("shops.csv", tmp_path / "data" / name)
    library.copied(library.folder("iris"), table.parent / "iris")
    run.config["command"] = (
        "kzoo train tabular_fnn --data shops.csv --test may.csv --validation 0.2 --weights iris"
    )
    words = module.command_words(run, tmp_path / "data" / "shops.csv")
    assert words == [
        "tabular_fnn",
        "--data",
        str(tmp_path / "data" / "shops.csv"),
        "--test",
        str(tmp_path / "data" / "may.csv"),
        "--validation",
        "0.2",
        "--weights",
        str(table.parent / "iris"),
    ]


@pytest.mark.slow
def test_a_run_that_was_stopped_and_resumed_is_repeated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "digits_cnn", "--epochs", "4", "--no-baselines", "--out", "run"]
    command = [sys.executable, "-m", "kzoo", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "epoch" in line and "1/4" in line:
                process.send_signal(signal.SIGINT)
                break
        process.stderr.read()
    assert process.returncode == 130
    with refuses("not finished", "Resume"):
        kzoo.check("run", retrain=True)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert kzoo.Run("run").summary["resumed"] == 1
    assert kzoo.check("run", retrain=True, progress=False).retraining.result == "equal"


@pytest.mark.slow
def test_runs_on_weights_of_another_are_repeated_and_those_of_a_search_refused(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(library.folder("data") / "shops.csv", "shops.csv")
    options = OPTIONS | dict(progress=False)
    run = kzoo.train("tabular_fnn", "shops.csv", out="runs/first", **options)
    assert kzoo.check(run, retrain=True, progress=False).retraining.result == "equal"
    moved = kzoo.train(
        "tabular_fnn", "shops.csv", weights=run, out="runs/second", seed=1, **options
    )
    assert kzoo.check(moved, retrain=True, progress=False).retraining.result == "equal"
    single = kzoo.train("tabular_fnn", "shops.csv", out="runs/single", steps_per_call=1, **options)
    assert "--steps-per-call 1" in single.config["command"]
    assert kzoo.check(single, retrain=True, progress=False).retraining.result == "equal"
    search = kzoo.tune(
        "tabular_fnn", "shops.csv", target="open", trials=2, epochs=1, out="search", progress=False
    )
    winner = search.retrain(out="runs/winner", progress=False)
    with refuses("winner", "records no command", "search"):
        kzoo.check(winner, retrain=True)
