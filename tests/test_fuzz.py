"""Unexpected arguments: every public function and command accepts them, or refuses them in one clear line.

The class of faults: an argument of a wrong type, empty, huge, not finite, or with letters that no file has, causes an
error in another library. Half of the calls are valid but for one argument. Nothing is trained: a call that
reaches `fit`, a worker or a conversion has accepted its arguments.
"""

import functools
import itertools
import sys
import traceback
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

import kzoo
from kzoo.cli import main, shared
from kzoo.runtime import load as load_runtime

GOLDEN = Path(__file__).parent / "golden"
SERIES = Path(__file__).parent / "weights" / "series_linear-sine.csv"
pytestmark = pytest.mark.usefixtures("registry_as_it_was")


QUIET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


class Reached(BaseException):
    """The arguments were accepted; training would follow."""


class Hostile:
    """An object that answers every question with an error."""

    def __array__(self, *arguments, **options):
        raise RuntimeError("no array")

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no items")


# None of them is a valid value for every argument of the functions below.
ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63,
    10**30,
    -(10**30),
    0.0,
    -0.0,
    0.5,
    1e-300,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
    1 + 2j,
    "",
    " ",
    "a",
    "None",
    "nan",
    "0",
    "-1",
    "1e400",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "ÿ\u202e",
    "好",
    "é" * 300,
    "x" * 5000,
    "../..",
    "/",
    ".",
    "a/b",
    "*",
    "[",
    "{",
    "=1+1",
    "price=number:decimal=,",
    b"",
    b"\xff",
    [],
    [[]],
    [None],
    ["a", "a"],
    [1, "a"],
    [[1], [2, 3]],
    (),
    (1,),
    (None, None),
    {},
    {"a": 1},
    {1: "a"},
    {"": None},
    set(),
    frozenset({"a"}),
    range(3),
    Path("nowhere"),
    Path("\x00"),
    object(),
    Hostile(),
    int,
    len,
    keras.losses.Loss,
    np.float32("nan"),
    np.int64(-5),
    np.array(3),
    np.array([]),
    np.zeros((0, 4)),
    np.full((2, 4), np.nan),
    np.array(["a", None], object),
    np.array([{}], object),
    np.zeros((2, 3, 4, 5, 6)),
    np.array(["2020-01-01"], "datetime64[D]"),
    np.ones((3, 4), complex),
    np.array([True]),
    pd.DataFrame(),
    pd.DataFrame({"a": [1, 2]}),
    pd.Series([1.0]),
    pd.NaT,
    pd.DataFrame([[1, 2]], columns=["a", "a"]),
    pd.DataFrame({1: ["\ud800"]}, dtype=object),
    (np.zeros((3, 4)), np.zeros(2)),
    (np.zeros((3, 4)), ["a", "b", "c"]),
    ("iris", "iris"),
    (lambda: None),
    iter([1]),
    NotImplemented,
    Ellipsis,
    10**3000,
    "好 " * 2000,
    list(range(5000)),
    dict.fromkeys(map(str, range(5000)), 1),
    np.arange(900.0),
    np.array(["a" * 20] * 900),
    b"a" * 5000,
    (np.ones((700, 4)), np.arange(700) % 3),
]
LONGEST = 900  # letters of a message
LETTERS = st.characters(codec=None, categories=None)
ANYTHING = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from(ODD),
    st.text(LETTERS, max_size=8),
    st.integers(),
    st.floats(),
    st.lists(st.one_of(st.integers(), st.text(LETTERS, max_size=3), st.floats()), max_size=3),
    st.dictionaries(st.text(LETTERS, max_size=3), st.integers(), max_size=2),
)


@functools.cache
def stored():
    """Return the folders of stored runs, of exports and of a search."""
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="kzoo-fuzz-"))
    for kind in ("table", "values", "text", "series", "language", "images", "search"):
        with zipfile.ZipFile(GOLDEN / kind / "made.zip") as archive:
            archive.extractall(home / kind)
    runs = {path.parent.parent.name: path.parent for path in sorted(home.glob("*/run/config.json"))}
    exports = sorted(path.parent for path in home.glob("table/*/kzoo.json"))
    searches = sorted(path.parent for path in home.glob("*/*/search.json"))
    return dict(runs=runs, exports=exports, search=searches[0])


def table():
    return pd.read_csv(GOLDEN / "table" / "data.csv")


def data_options(**more):
    return dict(
        target="plan",
        validation=0.1,
        test=0.2,
        drop=(),
        group=None,
        task=None,
        time=None,
        columns=None,
        **more,
    )


def calls():
    """Return name -> (function, valid arguments); each argument is replaced by odd values in the tests."""
    run = stored()["runs"]["table"]
    iris = kzoo.load_data("iris", preset="iris_fnn")
    model = kzoo.build("iris_fnn", data=iris, units=(3,))
    overrides = dict(
        units=(4,),
        dropout=0.1,
        activation="relu",
        optimizer="adam",
        learning_rate=0.1,
        schedule="constant",
        batch_size=16,
        metrics=("accuracy",),
        monitor="val_loss",
        patience=3,
        l2=0.0,
    )
    history = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.5, 0.7]}
    truth = np.array([0, 1, 1, 0])
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    answering = load_runtime(stored()["exports"][0])
    bundle = dict(
        run_dir="runs/fuzz", monitor=None, mode=None, patience=3, stop_early=None, histograms=False
    )
    return {
        "list_presets": (
            kzoo.list_presets,
            dict(pattern="*", family=None, task=None, dataset=None, max_params=None, exclude=()),
        ),
        "get_preset": (kzoo.get_preset, dict(name="iris_fnn")),
        "load_presets": (kzoo.load_presets, dict(path=GOLDEN / "table" / "preset.toml")),
        "preset_to_toml": (kzoo.preset_to_toml, dict(preset=kzoo.get_preset("iris_fnn"))),
        "Preset": (
            kzoo.Preset,
            dict(
                name="mine",
                summary="One.",
                family="fnn",
                task="tabular_classification",
                config={},
                training={},
            ),
        ),
        "build": (
            kzoo.build,
            dict(name="iris_fnn", compile=True, seed=0, steps=10, data=None) | overrides,
        ),
        "build_with_weights": (
            kzoo.build,
            dict(name="digits_cnn", weights="digits", compile=True, seed=0),
        ),
        "spec_of": (kzoo.spec_of, dict(thing=run)),
        "load_data": (
            kzoo.load_data,
            dict(source=table(), preset="tabular_fnn", seed=0, clip=False) | data_options(),
        ),
        "load_arrays": (
            kzoo.load_data,
            dict(source=(iris.train.x, iris.train.y), preset="iris_fnn", validation=0.1),
        ),
        "train": (
            kzoo.train,
            dict(
                preset_or_model="tabular_fnn",
                data=table(),
                out="runs/fuzz",
                epochs=1,
                seed=0,
                data_seed=0,
                callbacks="quick",
                weights=None,
                freeze=None,
                precision="auto",
                overwrite=True,
                resume="never",
                journal_seconds=30.0,
                journal_steps=None,
                check=True,
                baselines=True,
                progress=False,
            )
            | data_options()
            | dict(units=(3,), dropout=0.1),
        ),
        "fit_arguments": (
            kzoo.fit_arguments,
            dict(
                model=model,
                data=iris,
                out=None,
                epochs=1,
                seed=0,
                data_seed=0,
                callbacks="quick",
                progress=False,
            ),
        ),
        "check": (
            kzoo.check,
            dict(preset_or_model_or_run="tabular_fnn", data=table(), deep=False, seed=0)
            | data_options(),
        ),
        "check_model_of_none": (
            kzoo.check,
            dict(preset_or_model_or_run=None, data=table(), deep=False, seed=0, units=None)
            | data_options(),
        ),
        "baselines.score": (
            kzoo.baselines.score,
            dict(
                data=table(), names=["majority"], split="test", seconds=9.0, seed=0, target="plan"
            ),
        ),
        "evaluate": (
            kzoo.evaluate,
            dict(
                run_or_model=run,
                data=table(),
                split="test",
                target="plan",
                batch_size=64,
                by="plan",
            ),
        ),
        "evaluate_model": (
            kzoo.evaluate,
            dict(run_or_model=model, data=iris, split="test", batch_size=64),
        ),
        "predict": (kzoo.predict, dict(run=run, inputs=table().head(3), batch_size=2, keep="plan")),
        "predict_weights": (
            kzoo.predict,
            dict(run="series_linear", inputs=SERIES, weights="sine", batch_size=2),
        ),
        "predict_model": (kzoo.predict, dict(run=model, inputs=iris.test.x[:3], batch_size=2)),
        "runtime.load": (load_runtime, dict(exported=stored()["exports"][0], format="onnx")),
        "runtime.predict": (answering.predict, dict(inputs=table().head(3), batch_size=2)),
        "explain": (
            kzoo.explain,
            dict(
                run=run,
                rows=None,
                data=table(),
                of=None,
                target="plan",
                repeats=2,
                seed=0,
                sheet=None,
            ),
        ),
        "explain_rows": (
            kzoo.explain,
            dict(run=run, rows=table().head(2), data=table(), of=None, seed=0),
        ),
        "report": (
            kzoo.report,
            dict(run=run, out="report.html", data=None, by=None, explain=False),
        ),
        "compare": (
            kzoo.compare,
            dict(runs=[run, run.parent / "run_2"], metric=None, baselines=True),
        ),
        "cross_validate": (
            kzoo.cross_validate,
            dict(
                preset="iris_fnn",
                data="iris",
                folds=3,
                stratified=True,
                repeats=1,
                seed=0,
                out="cv",
                epochs=1,
                callbacks=None,
                validation=0.1,
                overwrite=False,
                progress=False,
            ),
        ),
        "ensemble": (
            kzoo.ensemble,
            dict(runs=[run, stored()["runs"]["values"]], method="mean", data=None, out="e"),
        ),
        "generate": (
            kzoo.generate,
            dict(
                run=stored()["runs"]["language"],
                prompt="the ",
                length=2,
                temperature=1.0,
                top_k=None,
                top_p=0.9,
            ),
        ),
        "objective": (
            kzoo.objective,
            dict(score_func=accuracy_score, best="max", response_method="predict", name="right"),
        ),
        "learning_rate_range": (
            kzoo.learning_rate_range,
            dict(preset="iris_fnn", data="iris", low=1e-4, high=1e-1),
        ),
        "export": (
            kzoo.export,
            dict(
                model_or_run=run,
                path="exported",
                formats=["keras"],
                quantize=(),
                verify=False,
                data=None,
                overwrite=True,
                timeout=10,
                progress=False,
            ),
        ),
        "load_model": (
            kzoo.load_model,
            dict(path=run / "best.keras", trusted=(), expected_sha256=None),
        ),
        "Run": (kzoo.Run, dict(path=run, trusted=())),
        "ExportedModel": (
            lambda path: kzoo.ExportedModel(path).exports,
            dict(path=stored()["exports"][0]),
        ),
        "Search": (lambda path: kzoo.Search(path).trials, dict(path=stored()["search"])),
        "tune": (
            kzoo.tune,
            dict(
                preset_or_build="tabular_fnn",
                data=table(),
                engine="random",
                trials=3,
                epochs=1,
                max_time=None,
                space="quick",
                objective="val_loss",
                baseline=True,
                prune="median",
                folds=None,
                seed=0,
                out="searches/fuzz",
                resume="never",
                data_seed=0,
                progress=False,
            )
            | data_options(),
        ),
        "space": (kzoo.space, dict(preset="iris_fnn", size="standard")),
        "hypermodel": (kzoo.hypermodel, dict(preset="iris_fnn", space="quick", dropout=0.1)),
        "callbacks.standard": (kzoo.callbacks.standard, bundle),
        "callbacks.long": (kzoo.callbacks.long, bundle | dict(keep=2, every=None)),
        "plots.curves": (
            kzoo.plots.curves,
            dict(history=history, monitor="val_loss", best_epoch=2),
        ),
        "plots.confusion_matrix": (
            kzoo.plots.confusion_matrix,
            dict(true=truth, predicted=p.argmax(1), class_names=("a", "b"), normalize=True),
        ),
    }


def refuse_to_work(monkeypatch):
    """Stop calls where training, a worker or a conversion would start."""

    def reached(*arguments, **options):
        raise Reached

    monkeypatch.setattr(keras.Model, "fit", reached)
    monkeypatch.setattr(keras.Model, "train_on_batch", reached)
    monkeypatch.setattr(sys.modules["kzoo.tuning.tune"], "Worker", reached)
    monkeypatch.setattr(sys.modules["kzoo.export.make"], "run_steps", reached)


def foreign(function, *arguments, **options):
    """Call, and return the traceback of an error that is no clear line of kzoo; None for a result or such a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*arguments, **options)
        except kzoo.KzooError as error:
            lines = str(error).splitlines()
            if len(lines) != 1 or not str(error).strip() or len(str(error)) > LONGEST:
                return f"{len(lines)} lines, {len(str(error))} letters: {error!r}"
        except Reached:
            pass
        except Exception:
            return traceback.format_exc()
    return None


@pytest.fixture(scope="module")
def made():
    for module in ("kzoo.tuning.tune", "kzoo.export.make", "kzoo.training.train"):
        __import__(module)
    return calls()


NAMES = [
    "list_presets",
    "get_preset",
    "load_presets",
    "preset_to_toml",
    "Preset",
    "build",
    "build_with_weights",
    "spec_of",
    "load_data",
    "load_arrays",
    "train",
    "fit_arguments",
    "check",
    "check_model_of_none",
    "baselines.score",
    "evaluate",
    "evaluate_model",
    "predict",
    "predict_model",
    "predict_weights",
    "runtime.load",
    "runtime.predict",
    "explain",
    "explain_rows",
    "report",
    "compare",
    "cross_validate",
    "ensemble",
    "generate",
    "learning_rate_range",
    "objective",
    "export",
    "load_model",
    "Run",
    "ExportedModel",
    "Search",
    "tune",
    "space",
    "hypermodel",
    "callbacks.standard",
    "callbacks.long",
    "plots.curves",
    "plots.confusion_matrix",
]
# All public functions are among them, or named here with the reason.
ELSEWHERE = {
    "Interrupted",
    "KzooError",
    "UnsafeModelError",  # raised, not called
    # made by load_data; modules; as `Preset` is
    "Dataset",
    "baselines",
    "callbacks",
    "plots",
    "recipes",
    "register",
    "sklearn",  # a module, tests/test_sklearn.py
}


def test_every_public_function_is_called(made):
    assert sorted(made) == sorted(NAMES)
    assert set(kzoo._PUBLIC) <= {name.split("_model")[0] for name in NAMES} | set(NAMES) | ELSEWHERE


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
@pytest.mark.parametrize("name", NAMES)
def test_the_valid_call_is_valid(name, made, monkeypatch, tmp_path):
    """Else the tests below would only reach the first refusal."""
    refuse_to_work(monkeypatch)
    function, valid = made[name]
    if name == "ensemble":  # its two runs differ, which is refused
        with pytest.raises(kzoo.KzooError):
            function(**valid)
        return
    with suppress(Reached):
        function(**valid)


def fuzz(name, made, examples):
    function, valid = made[name]
    failures = []

    @settings(QUIET, max_examples=examples)
    @given(st.data())
    def call(data):
        names = list(valid)
        single = data.draw(st.booleans())
        changed = (
            [data.draw(st.sampled_from(names))]
            if single
            else data.draw(st.lists(st.sampled_from(names), min_size=1))
        )
        options = valid | {name: data.draw(ANYTHING) for name in changed}
        if error := foreign(function, **options):
            failures.append(({name: repr(options[name])[:200] for name in changed}, error))

    call()
    assert not failures, f"{len(failures)} of {examples}: {failures[0][0]}\n{failures[0][1]}"


@pytest.mark.parametrize("name", NAMES)
def test_odd_arguments_are_accepted_or_refused_in_one_line(name, made, monkeypatch):
    refuse_to_work(monkeypatch)
    fuzz(name, made, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_odd_arguments(name, made, monkeypatch):
    refuse_to_work(monkeypatch)
    fuzz(name, made, 80)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_odd_value_for_every_argument(name, made, monkeypatch):
    """The draws above miss most of them."""
    refuse_to_work(monkeypatch)
    function, valid = made[name]
    failures = {}
    for argument, (number, odd) in itertools.product(valid, enumerate(ODD)):
        if error := foreign(function, **valid | {argument: odd}):
            failures[argument, number, repr(odd)[:80]] = error
    assert not failures, f"{len(failures)}: {list(failures)}\n{next(iter(failures.values()))}"


WORDS = [
    "",
    " ",
    "-",
    "--",
    "-1",
    "0",
    "1e400",
    "nan",
    "None",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "好",
    "x" * 5000,
    "../..",
    ".",
    "*",
    "[",
    "a=b",
    "=",
    "dropout=",
    "dropout=0.1",
    "dropout=nan",
    "units=-1",
    "units=4,4",
    "epochs=0",
    "nowhere.csv",
    "nowhere/",
    "iris",
    "digits",
    "iris_fnn",
    "accuracy",
    "target",
    "zip=category",
    "zip=",
    "zip=number:decimal=x",
    "onnx",
    "mean",
    "teaching",
    "must",
    "0.5",
    "2",
    "99999999999999999999",
    "a b",
    "'",
    '"',
    "\\",
    "\n",
]
COMMANDS = {
    "list": (["list"], ["--task"]),
    "show": (["show", "iris_fnn"], ["--set", "--plot"]),
    "check": (
        ["check", "iris_fnn", "--quick"],
        ["--data", "--target", "--set", "--test", "--column", "--validation"],
    ),
    "train": (
        ["train", "iris_fnn", "--quiet", "--out", "runs/fuzz", "--resume", "never", "--overwrite"],
        [
            "--data",
            "--target",
            "--set",
            "--test",
            "--column",
            "--validation",
            "--epochs",
            "--seed",
            "--weights",
            "--freeze",
            "--callbacks",
            "--precision",
            "--task",
            "--time",
            "--group",
            "--drop",
            "--data-seed",
            "--lr",
        ],
    ),
    "tune": (
        ["tune", "iris_fnn", "--quiet", "--out", "searches/fuzz", "--resume", "never"],
        [
            "--trials",
            "--max-time",
            "--engine",
            "--space",
            "--objective",
            "--epochs",
            "--folds",
            "--max-params",
            "--set",
        ],
    ),
    "evaluate": (["evaluate", "RUN"], ["--data", "--split", "--target", "--weights"]),
    "predict": (["predict", "RUN"], ["", "--top", "--out", "--format"]),
    "predict_weights": (
        ["predict", "digits_cnn", "--weights", "digits"],
        ["", "--top", "--weights"],
    ),
    "explain": (
        ["explain", "RUN"],
        ["", "--data", "--of", "--target", "--repeats", "--seed", "--out", "--plot"],
    ),
    "report": (["report", "RUN"], ["--out", "--data"]),
    "export": (
        ["export", "RUN", "--out", "exported"],
        ["--formats", "--quantize", "--data", "--timeout"],
    ),
    "compare": (["compare", "RUN"], ["", "--csv", "--plot"]),
}


def fuzz_command(name, examples, capsys, monkeypatch):
    begin, options = COMMANDS[name]
    begin = [str(stored()["runs"]["table"]) if word == "RUN" else word for word in begin]
    word = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(LETTERS, max_size=6))
    failures = []
    exit_code_and_line = shared.exit_code_and_line

    def refuse_faults(error):
        """Raise an error that the command would report as a fault of kzoo."""
        code, line = exit_code_and_line(error)
        if code == 1:
            raise error
        return code, line

    monkeypatch.setattr(shared, "exit_code_and_line", refuse_faults)

    @settings(QUIET, max_examples=examples)
    @given(st.data())
    def call(data):
        argv = list(begin)
        for _ in range(1 if data.draw(st.booleans()) else 2):
            option = data.draw(st.sampled_from(options))
            argv += [option, data.draw(word)] if option else [data.draw(word)]
        error = foreign(main, argv)
        printed = capsys.readouterr().err
        if error or "Traceback" in printed:
            failures.append((argv, error or printed[-1500:]))

    call()
    assert not failures, f"{len(failures)} of {examples}: {failures[0][0]}\n{failures[0][1]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_odd_words_after_every_command(name, made, monkeypatch, capsys):
    refuse_to_work(monkeypatch)
    fuzz_command(name, 8, capsys, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_many_odd_words(name, made, monkeypatch, capsys):
    refuse_to_work(monkeypatch)
    fuzz_command(name, 60, capsys, monkeypatch)
