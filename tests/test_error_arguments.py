"""The argument and the value of an error: for programs, in its message, and as the command line shows them."""

import pickle
from inspect import signature

import library
import pytest
from shortcuts import tune_here

import kzoo
from kzoo.cli.option_names import with_option_names
from kzoo.data.targets.detection import WrongPreset
from kzoo.problems.data_arguments import NAMES, OPTIONS
from kzoo.utils.errors import ExportError, KzooError, TimeTooShort
from kzoo.utils.formatting import listed

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


@pytest.mark.parametrize(
    "text",
    [
        "Column 'seed=3' is not in the table.",
        'Column "the user\'s seed=3" is not in the table.',
        "/data/seed=3/rows.csv has no rows.",
        "data/my seed=3/rows.csv has no rows.",
        "seed=3.csv has no rows.",
        f"The classes are: {listed(['seed=3', 'epochs=2', 'target='])}.",
        "The classes are 'seed=3' and 'Use seed=3'.",
        "x.seed=3, --cost seed=3:no=5 and metrics=('seed=3', 'b')",
    ],
)
def test_what_users_wrote_stays_as_it_is_in_sentences(text):
    assert with_option_names(text, _OPTIONS) == text
    error = KzooError(f"{text} Use seed=3.", argument="target", value="seed=3")
    assert with_option_names(error, _OPTIONS) == f"--target 'seed=3' {text} Use --seed 3."


# Public functions

_WRONG_OPTIONS = {
    "target": "no_such",
    "validation": 1.5,
    "test": "no_such.csv",
    "drop": ["no_such"],
    "group": "no_such",
    "task": "no_such",
    "time": "no_such",
    "columns": {"no_such": "date"},
    "sample_weight": "no_such",
    "split": "no_such",
    "sheet": "no_such",
    "header_row": 0,
    "drop_rare": 1,
    "calibration": "no_such.csv",
    "repairs": "no_such.csv",
    "series_id": "no_such",
    "segment": -1,
    "stride": -1,
    "known_covariates": "no_such",
    "static_covariates": "no_such",
    "date_order": "no_such",
    "clip": "no_such",
    "quantiles": (0.9, 0.1),
    "order": ("low", "low"),
    "seed": -1,
}
_WRONG_TRAINING = {
    "preset_or_model": "no_such",
    "data": "no_such.csv",
    "out": 3,
    "epochs": -1,
    "max_time": "no_such",
    "seed": -1,
    "callbacks": "no_such",
    "weights": "no_such",
    "freeze": "no_such",
    "precision": "no_such",
    "deterministic": "no_such",
    "devices": -1,
    "overwrite": "no_such",
    "resume": "no_such",
    "journal_seconds": -1,
    "journal_steps": 0,
    "steps_per_call": 0,
    "check": "no_such",
    "baselines": "no_such",
    "progress": "no_such",
}
_WRONG_SETTINGS = {"dropout": 2, "learning_rate": -1, "optimizer": "no_such", "no_such": 1}
_WRONG_TUNING = {
    "preset_or_build": "no_such",
    "data": "no_such.csv",
    "engine": "no_such",
    "trials": 0,
    "epochs": -1,
    "max_time": "no_such",
    "space": "no_such",
    "objective": "no_such",
    "baseline": "no_such",
    "prune": "no_such",
    "folds": 1,
    "parallel": 0,
    "threads": 0,
    "executor": "no_such",
    "weights": "no_such",
    "freeze": "no_such",
    "seed": -1,
    "out": 3,
    "resume": "no_such",
    "dry_run": "no_such",
    "previous": "no_such",
    "progress": "no_such",
    "prefer": "no_such",
    "one_network": "no_such",
}
_WRONG_PREDICTION = {
    "run": "no_such",
    "inputs": "no_such.csv",
    "weights": "no_such",
    "batch_size": 0,
    "tta": "no_such",
    "keep": "no_such",
    "sheet": "no_such",
    "header_row": 0,
    "confidence": 2,
    "conformal": "no_such",
    "min_probability": 2,
    "accuracy_when_answered": 2,
    "samples": 0,
    "total": "no_such",
    "seed": -1,
}
_WRONG_EXPORT = {
    "model_or_run": "no_such",
    "path": __file__,
    "formats": "no_such",
    "weights": "no_such",
    "quantize": "no_such",
    "verify": "no_such",
    "data": "no_such.csv",
    "overwrite": "no_such",
    "author": "two\nlines",
    "sign": "no_such",
    "timeout": -1,
    "progress": "no_such",
}


def _cases(*tables):
    return [(name, value) for table in tables for name, value in table.items()]


def _refuses(function, name, value, **arguments):
    """Call a function with one wrong argument: its error has the name and the value."""
    with pytest.raises(KzooError) as caught:
        function(**arguments | {name: value})
    error = caught.value
    parts = value if isinstance(value, list | tuple | dict) else [value]
    assert error.argument == name, f"{error.argument}: {error}"
    assert error.value == value or error.value in parts, error.value


@pytest.fixture(scope="module")
def shops():
    return library.folder("data") / "shops.csv"


def test_the_lists_of_wrong_arguments_are_complete():
    names = set(OPTIONS) | {"source", "preset"}
    assert (
        set(signature(kzoo.load_data).parameters)
        == names
        == {*_WRONG_OPTIONS} | {"source", "preset"}
    )
    options = {*NAMES, "overrides"}
    for function, table in (
        (kzoo.train, _WRONG_TRAINING),
        (kzoo.tune, _WRONG_TUNING),
        (kzoo.predict, _WRONG_PREDICTION),
        (kzoo.export.export, _WRONG_EXPORT),
    ):
        assert {*signature(function).parameters} - options == {*table} - options, function


@pytest.mark.parametrize(
    ("name", "value"), _cases(_WRONG_OPTIONS, {"source": "no_such.csv", "preset": "no_such"})
)
def test_load_data_names_the_wrong_argument(name, value, shops):
    _refuses(kzoo.load_data, name, value, source=shops, target="open")


@pytest.mark.parametrize(
    ("name", "value"),
    _cases(
        {name: _WRONG_OPTIONS[option] for name, option in NAMES.items()},
        _WRONG_TRAINING,
        _WRONG_SETTINGS,
    ),
)
def test_train_names_the_wrong_argument(name, value, shops):
    arguments = dict(preset_or_model="tabular_fnn", data=shops, target="open", epochs=1)
    _refuses(kzoo.train, name, value, **arguments)


@pytest.mark.parametrize(("name", "value"), _cases(_WRONG_TUNING))
def test_tune_names_the_wrong_argument(name, value, shops):
    arguments = dict(preset_or_build="tabular_fnn", data=shops, target="open", trials=2, epochs=1)
    _refuses(tune_here, name, value, **arguments)


@pytest.mark.parametrize(("name", "value"), _cases(_WRONG_PREDICTION))
def test_predict_names_the_wrong_argument(name, value, shops):
    arguments = dict(run=library.folder("table"), inputs=shops)
    _refuses(kzoo.predict, name, value, **arguments)


@pytest.mark.parametrize(("name", "value"), _cases(_WRONG_EXPORT))
def test_export_names_the_wrong_argument(name, value):
    arguments = dict(model_or_run=library.folder("table"), path="exported")
    _refuses(kzoo.export, name, value, **arguments)
