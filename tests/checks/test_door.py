"""`kzoo.check`, `kzoo check` and the checks that `kzoo.train` runs by itself."""

import json
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from small_models import IRIS, dense

import kzoo
from kzoo.checks import CHECKS, Finding
from kzoo.cli import main

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

X, Y = IRIS
QUICK = dict(callbacks="quick", epochs=1)


@pytest.fixture
def call(capsys):
    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def leaky(tmp_path):
    """A table with a column that gives the class away, unequal classes, an empty text and a constant."""
    random = np.random.default_rng(0)
    target = np.where(np.arange(600) < 40, "sick", "well")
    frame = pd.DataFrame({"age": random.normal(50, 9, 600), "weight": random.normal(70, 9, 600),
                          "ward": np.where(target == "sick", 3, 0), "state": target})  # fmt: skip
    frame.to_csv(tmp_path / "leaky.csv", index=False)
    return tmp_path / "leaky.csv"


def test_findings_are_plain_and_frozen(capsys):
    found = kzoo.check(dense(), (X, Y + 1), deep=False)
    assert capsys.readouterr() == ("", "")
    assert isinstance(found, list) and isinstance(found[0], Finding) and found[0].check == "labels_outside"
    assert [f.level for f in found] == sorted(f.level for f in found)
    with pytest.raises(AttributeError):
        found[0].what = "nothing"


def test_every_check_says_what_it_is_for():
    kzoo.check("iris_fnn", deep=False)
    for one in CHECKS.values():
        assert one.function.__doc__ and one.name == one.function.__name__


def test_quiet_on_the_command_line(call):
    code, out, _ = call("check", "iris_fnn", "--quick")
    assert code == 0 and out.strip().endswith("checks, all quiet")
    assert int(out.splitlines()[-1].split()[0]) >= 15


def test_findings_on_the_command_line(call, leaky):
    code, out, _ = call("check", "tabular_fnn", "--data", leaky, "--target", "state", "--quick")
    assert code == 0 and "warnings" in out and "column_gives_class_away" in out and "imbalance" in out
    code, out, _ = call("check", "tabular_fnn", "--data", leaky, "--target", "state", "--quick", "--json")
    document = json.loads(out)
    assert {f["check"] for f in document["findings"]} == {"column_gives_class_away", "imbalance"}
    assert set(document["findings"][0]) == {"check", "level", "what", "where", "why", "fix"}
    assert document["exit_code"] == 0 and len(document["checks"]) >= 15
    code, out, _ = call("check", "tabular_fnn", "--data", leaky, "--target", "state", "--quick", "--set",
                        "class_weight=balanced", "--drop", "ward")  # fmt: skip
    assert code == 0 and "all quiet" in out


def test_exit_codes(call, tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    run = kzoo.train("iris_fnn", str(tmp_path / "data.npz"), out=tmp_path / "run", progress=False, **QUICK)
    np.savez(tmp_path / "other.npz", x=X, y=Y + 1)
    code, out, _ = call("check", run.path, "--data", tmp_path / "other.npz")
    assert code == 1 and "errors" in out and "classes_unknown" in out
    assert call("check", run.path, "--data", tmp_path / "data.npz")[0] == 0
    for words in (["iris_fn"], ["iris_fnn", "--data", "nowhere.csv"], ["iris_fnn", "--set", "lr=1"], ["no/run"]):
        code, out, err = call("check", *words)
        assert (code, out) == (2, "") and err.count("\n") == 1, words


def test_training_stops_at_an_error_and_check_false_goes_on(tmp_path):
    data = kzoo.load_data("iris", preset="iris_fnn")
    model = dense(metrics=["accuracy"])
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.train(model, data, out=tmp_path / "run", monitor="val_acc", progress=False, **QUICK)
    assert str(caught.value).count("\n") == 0 and "val_acc" in str(caught.value) and "check=False" in str(caught.value)
    assert not (tmp_path / "run").exists()
    end = dense(end=None)
    with pytest.raises(kzoo.KzooError, match="expects probabilities"):
        kzoo.train(end, data, out=tmp_path / "run", progress=False, **QUICK)
    assert kzoo.train(end, data, out=tmp_path / "run", check=False, progress=False, **QUICK).finished


def test_training_prints_warnings_one_line_each(leaky, capsys, tmp_path):
    kzoo.train("tabular_fnn", str(leaky), target="state", out=tmp_path / "run", batch_size=1000, **QUICK)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Check: ")]
    assert len(lines) == 3
    assert "ward" in " ".join(lines) and "batch of 1000" in " ".join(lines)


def test_a_few_warnings_and_the_command_for_the_rest(leaky, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("kzoo.checks.look"), "_SHOWN", 1)
    frame = pd.read_csv(leaky)
    for name in ("a", "b", "c"):
        frame[name] = frame["ward"] * 2
    frame.to_csv(leaky, index=False)
    kzoo.train("tabular_fnn", str(leaky), target="state", out=tmp_path / "run", **QUICK)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Check: ")]
    assert len(lines) == 2
    assert "and 1 more: kzoo check tabular_fnn --data leaky.csv --target state" in lines[-1]


def test_no_check_on_the_command_line(call, leaky, tmp_path):
    words = ["train", "tabular_fnn", "--data", leaky, "--target", "state", "--epochs", 1, "--callbacks", "quick",
             "--set", "batch_size=240", "units=8"]  # fmt: skip
    assert "Check: " in call(*words, "--out", tmp_path / "a")[2]
    assert "Check: " not in call(*words, "--out", tmp_path / "b", "--no-check")[2]


@pytest.mark.usefixtures("traced")
def test_looking_changes_no_bit_of_the_training(tmp_path):
    options = dict(dropout=0.3, units=(6,), progress=False, epochs=2, callbacks="quick")
    looked, blind = (
        kzoo.train("iris_fnn", "iris", out=tmp_path / name, check=check, **options)
        for name, check in (("a", True), ("b", False))
    )
    pairs = zip(looked.model.get_weights(), blind.model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.usefixtures("traced")  # for the many steps of the slow checks
def test_a_run_without_data_is_looked_at_again(tmp_path):
    run = kzoo.train("iris_fnn", "iris", out=tmp_path / "run", progress=False, **QUICK)
    assert kzoo.check(run, deep=False) == kzoo.check(str(run.path), deep=False) == []
    own = kzoo.train(dense(), "iris", out=tmp_path / "own", progress=False, **QUICK)
    assert kzoo.check(own) == []
