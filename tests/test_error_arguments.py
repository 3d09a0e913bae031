"""The argument and the value of an error: for programs, in its message, and as the command line shows them."""

import pickle

import pytest

from kzoo.cli.option_names import with_option_names
from kzoo.data.targets.detection import WrongPreset
from kzoo.utils.errors import ExportError, KzooError, TimeTooShort

_OPTIONS = (
    "--epochs",
    "--seed",
    "--data-seed",
    "--target",
    "--no-check",
    "--quantiles",
    "--drop",
    "--out",
    "--set",
)


def test_an_error_has_its_argument_and_its_value():
    error = KzooError("must be at least 1. Use epochs=1.", argument="epochs", value=0)
    assert str(error) == "epochs=0 must be at least 1. Use epochs=1."
    assert (error.argument, error.value) == ("epochs", 0)
    assert str(KzooError("is missing.", argument="target")) == "target= is missing."
    assert (
        str(KzooError(": no such file.", argument="out", value="a/b")) == "out='a/b': no such file."
    )
    whole = KzooError("Unknown preset 'x'.", argument="preset", value="x", complete=True)
    assert (str(whole), whole.argument, whole.value) == ("Unknown preset 'x'.", "preset", "x")
    other = KzooError("Nothing to do.")
    assert (str(other), other.argument, other.value) == ("Nothing to do.", None, None)


def test_values_are_shown_on_one_line_and_cut():
    assert str(KzooError("is wrong.", argument="x", value=[0] * 999)).count("0") < 20
    path = "folder/" * 20
    assert repr(path) in str(KzooError("is wrong.", argument="out", value=path))
    long = KzooError("is wrong. Use another.", argument="target", value="x" * 10_000)
    assert len(str(long)) < 300 and str(long).endswith("… is wrong. Use another.")
    assert long.value == "x" * 10_000


@pytest.mark.parametrize(
    "error",
    [
        KzooError("must be at least 1.", argument="epochs", value=0),
        KzooError("is wrong.", argument="x", value=lambda: 0),
        KzooError("must be at least 1.", argument="epochs", value=0).within("fold 2: "),
        TimeTooShort("too short", 3.0),
        WrongPreset("no", "use {}"),
        ExportError("none", {"onnx": None}),
    ],
)
def test_errors_travel_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error)
    assert copy.argument == error.argument
    assert with_option_names(copy, _OPTIONS) == with_option_names(error, _OPTIONS)
    assert callable(error.value) or copy.value == error.value
    assert getattr(copy, "needed", None) == getattr(error, "needed", None)


def test_a_context_keeps_the_argument():
    error = KzooError("must be a number.", argument="data_seed", value="x").within("row 2: ")
    assert str(error.within("a.csv: ")) == "a.csv: row 2: data_seed='x' must be a number."
    assert (error.argument, error.value) == ("data_seed", "x")
    assert with_option_names(error, _OPTIONS) == "row 2: --data-seed 'x' must be a number."


@pytest.mark.parametrize(
    ("argument", "value", "shown"),
    [
        ("epochs", 0, "--epochs 0"),
        ("data_seed", -1, "--data-seed -1"),
        ("check", False, "--no-check"),
        ("target", None, "no --target"),
        ("quantiles", (0.5, 0.5), "--quantiles 0.5,0.5"),
        ("drop", ["a", "my b"], "--drop a 'my b'"),
        ("dropout", 2, "dropout=2"),
        ("target", "seed=3", "--target 'seed=3'"),
        ("out", "runs/seed=3/epochs=2", "--out 'runs/seed=3/epochs=2'"),
        ("dropout", "Use seed=3", "dropout='Use seed=3'"),
    ],
)
def test_the_command_line_shows_the_option_and_the_value_as_it_is(argument, value, shown):
    error = KzooError("is wrong. Use seed=3.", argument=argument, value=value)
    assert with_option_names(error, _OPTIONS) == f"{shown} is wrong. Use --seed 3."
