"""`kzoo.check`, `kzoo check` and the checks that `kzoo.train` runs by itself."""

import json
import re
import shlex
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses
from small_models import IRIS, dense

import kzoo
from kzoo.checks import CHECKS, Finding
from kzoo.cli import main
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

X, Y = IRIS
QUICK = dict(callbacks="quick", epochs=1)


@pytest.fixture
def call(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def leaky(tmp_path):
    """A table with a column that gives the class away, unequal classes, an empty text and a constant."""
    random = np.random.default_rng(0)
    target = np.where(np.arange(600) < 40, "sick", "well")
    frame = pd.DataFrame(
        {
            "age": random.normal(50, 9, 600),
            "weight": random.normal(70, 9, 600),
            "ward": np.where(target == "sick", 3, 0),
            "state": target,
        }
    )
    frame.to_csv(tmp_path / "leaky.csv", index=False)
    return tmp_path / "leaky.csv"


def test_findings_are_a_list_of_frozen_objects(capsys):
    findings = kzoo.check(dense(), (X, Y + 1), deep=False)
    assert capsys.readouterr() == ("", "")
    assert (
        isinstance(findings, list)
        and isinstance(findings[0], Finding)
        and findings[0].check == "labels_outside"
    )
    assert [f.level for f in findings] == sorted(f.level for f in findings)
    with pytest.raises(AttributeError):
        findings[0].what = "nothing"


def test_every_check_has_a_docstring():
    kzoo.check("iris_fnn", deep=False)
    for check in CHECKS.values():
        assert check.function.__doc__ and check.name == check.function.__name__


def assert_quiet(out, count=1):
    """Fail unless the output ends with the number of checks, `count` or more, and names none of them."""
    last = out.strip().splitlines()[-1]
    assert_mentions(last, "checks")
    assert int(re.search(r"\d+", last)[0]) >= count
    assert not [name for name in CHECKS if name in out]


def lines_like(lines, *parts):
    """Return the lines that begin with the first word of the only line that mentions `parts`."""
    (line,) = (line for line in lines if not missing_from(line, parts))
    return [other for other in lines if other.split()[:1] == line.split()[:1]]


def test_no_findings_on_the_command_line(call):
    code, out, _ = call("check", "iris_fnn", "--quick")
    assert code == 0
    assert_quiet(out, 15)


def test_findings_on_the_command_line(call, leaky):
    code, out, _ = call("check", "tabular_fnn", "--data", leaky, "--target", "state", "--quick")
    assert code == 0
    assert_mentions(
        out, "warnings", "column_gives_class_away", "'ward'", "--drop", "imbalance", "403", "29"
    )
    code, out, _ = call(
        "check", "tabular_fnn", "--data", leaky, "--target", "state", "--quick", "--json"
    )
    document = json.loads(out)
    assert {f["check"] for f in document["findings"]} == {"column_gives_class_away", "imbalance"}
    assert set(document["findings"][0]) == {"check", "level", "what", "where", "why", "fix"}
    assert document["exit_code"] == 0 and len(document["checks"]) >= 15
    code, out, _ = call(
        "check",
        "tabular_fnn",
        "--data",
        leaky,
        "--target",
        "state",
        "--quick",
        "--set",
        "class_weight=balanced",
        "--drop",
        "ward",
    )
    assert code == 0
    assert_quiet(out, 15)


def test_exit_codes(call, tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    run = kzoo.train(
        "iris_fnn", str(tmp_path / "data.npz"), out=tmp_path / "run", progress=False, **QUICK
    )
    np.savez(tmp_path / "other.npz", x=X, y=Y + 1)
    code, out, _ = call("check", run.path, "--data", tmp_path / "other.npz")
    assert code == 1
    assert_mentions(out, "errors", "classes_unknown", "'3'", "'0', '1', '2'")
    assert call("check", run.path, "--data", tmp_path / "data.npz")[0] == 0
    for arguments in (
        ["iris_fn"],
        ["iris_fnn", "--data", "nowhere.csv"],
        ["iris_fnn", "--set", "lr=1"],
        ["no/run"],
    ):
        code, out, err = call("check", *arguments)
        assert (code, out) == (2, "") and err.count("\n") == 1, arguments
        assert_mentions(err, arguments[-1].removesuffix("=1"))


def test_an_error_stops_training_unless_check_is_false(tmp_path):
    data = kzoo.load_data("iris", preset="iris_fnn")
    model = dense(metrics=["accuracy"])
    with refuses("monitor='val_acc'", "val_loss, val_accuracy", "check=False") as caught:
        kzoo.train(model, data, out=tmp_path / "run", monitor="val_acc", progress=False, **QUICK)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    end = dense(end=None)
    with refuses("sparse_categorical_crossentropy", "linear", "from_logits=True", "check=False"):
        kzoo.train(end, data, out=tmp_path / "run", progress=False, **QUICK)
    assert kzoo.train(
        end, data, out=tmp_path / "run", check=False, progress=False, **QUICK
    ).finished


def test_training_prints_each_warning_on_a_single_line(leaky, capsys, tmp_path):
    kzoo.train(
        "tabular_fnn", str(leaky), target="state", out=tmp_path / "run", batch_size=1000, **QUICK
    )
    lines = lines_like(capsys.readouterr().err.splitlines(), "'ward'", "drop=", "group=")
    assert len(lines) == 3
    for parts in (
        ("1000", "432", "batch_size", "43"),
        ("'well'", "403", "'sick'", "29", "class_weight='balanced'"),
    ):
        assert sum(not missing_from(line, parts) for line in lines) == 1


def test_training_prints_a_few_warnings_and_the_command_for_the_rest(
    leaky, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(import_module("kzoo.checks.runner"), "_SHOWN", 1)
    frame = pd.read_csv(leaky)
    for name in ("a", "b", "c"):
        frame[name] = frame["ward"] * 2
    frame.to_csv(leaky, index=False)
    kzoo.train("tabular_fnn", str(leaky), target="state", out=tmp_path / "run", **QUICK)
    lines = lines_like(capsys.readouterr().err.splitlines(), "'well'", "403", "'sick'", "29")
    assert len(lines) == 2
    assert_mentions(lines[-1], "1", "kzoo check tabular_fnn --data leaky.csv --target state")


def test_the_command_for_the_rest_of_the_warnings_runs(call, leaky, monkeypatch):
    monkeypatch.setattr(import_module("kzoo.checks.runner"), "_SHOWN", 0)
    monkeypatch.chdir(leaky.parent)
    words = ["train", "tabular_fnn", "--data", leaky.name, "--target", "state", "--out", "run"]
    err = call(*words, "--callbacks", "quick", "--set", "epochs=1", "units=8")[2]
    command = re.search(r"listed by kzoo (.*)", err)[1]
    assert command.endswith(" --set units=8 epochs=1 callbacks=quick")
    code, out, err = call(*shlex.split(command))
    assert (code, err) == (0, "")
    assert_mentions(out, "'ward'", "leaky.csv")


def test_no_check_on_the_command_line(call, leaky, tmp_path):
    command = [
        "train",
        "tabular_fnn",
        "--data",
        leaky,
        "--target",
        "state",
        "--epochs",
        1,
        "--callbacks",
        "quick",
        "--set",
        "batch_size=240",
        "units=8",
    ]
    assert_mentions(call(*command, "--out", tmp_path / "a")[2], "'ward'", "--drop")
    assert "ward" not in call(*command, "--out", tmp_path / "b", "--no-check")[2]


def test_quiet_trainings_warn_of_a_leak_and_show_nothing_else(call, leaky, tmp_path):
    words = ["train", "tabular_fnn", "--data", leaky, "--target", "state", "--epochs", 1, "--quiet"]
    code, _, err = call(*words, "--out", tmp_path / "a")
    assert code == 0
    leaks = [line for line in err.splitlines() if not missing_from(line, ["'ward'", "--drop"])]
    assert len(leaks) == 1 and leaks[0].startswith("kzoo: warning: ")
    assert all(line.startswith("kzoo: warning: ") for line in err.splitlines())
    assert "ward" not in call(*words, "--out", tmp_path / "b", "--no-check")[2]
    with pytest.warns(KzooWarning, match="'ward'"):
        kzoo.train(
            "tabular_fnn", str(leaky), target="state", out=tmp_path / "c", progress=False, **QUICK
        )
    with pytest.warns(KzooWarning, match="'ward'") as caught:
        kzoo.cross_validate(
            "tabular_fnn",
            str(leaky),
            target="state",
            folds=2,
            out=tmp_path / "d",
            progress=False,
            **QUICK,
        )
    assert sum("'ward'" in str(each.message) for each in caught) == 1  # not for each fold


@pytest.mark.usefixtures("traced")
def test_checks_do_not_change_the_training(tmp_path):
    options = dict(dropout=0.3, units=(6,), progress=False, epochs=2, callbacks="quick")
    checked, unchecked = (
        kzoo.train("iris_fnn", "iris", out=tmp_path / name, check=check, **options)
        for name, check in (("a", True), ("b", False))
    )
    pairs = zip(checked.model.get_weights(), unchecked.model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.usefixtures("traced")  # for the many steps of the slow checks
def test_a_run_is_checked_with_its_training_data(tmp_path):
    run = kzoo.train("iris_fnn", "iris", out=tmp_path / "run", progress=False, **QUICK)
    assert kzoo.check(run, deep=False) == kzoo.check(str(run.path), deep=False) == []
    custom = kzoo.train(dense(), "iris", out=tmp_path / "custom", progress=False, **QUICK)
    assert kzoo.check(custom) == []
