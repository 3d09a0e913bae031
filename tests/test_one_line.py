"""Arguments of a wrong type, empty, huge, or with broken characters, to every public function.

Each is refused at once, in a single line that names the value and the fix. Errors of Python, NumPy or the operating
system must not reach the user instead.
"""

import os
import re

import numpy as np
import pandas as pd
import pytest
from messages import refuses
from scipy import sparse
from shortcuts import undrawn, untraced

import kzoo
from kzoo.utils.formatting import shown

N = 60
FRAME = pd.DataFrame(
    {"a": np.arange(N) / 2, "b": np.arange(N) % 3, "y": np.where(np.arange(N) % 2, "u", "v")}
)
LONG = "x" * 5000
NUL = "a\0b"
HALF = "a\ud800"
ODD = "a\udcff"


class Broken:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array today")


def columns(**changed):
    frame = FRAME.copy()
    for name, values in changed.items():
        frame[name] = values
    return frame


def cells(values):
    """Return values that stay Python's: others, of pyarrow where that is installed, cannot hold half of a character."""
    return pd.Index(values, dtype=object)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_line") / "run"
    with undrawn(), untraced():
        return kzoo.train(
            "tabular_fnn",
            FRAME,
            target="y",
            epochs=1,
            progress=False,
            out=folder,
            callbacks="quick",
        )


def train(*arguments, **options):
    return kzoo.train(*arguments, **{"epochs": 1, "progress": False} | options)


TABLE_ROWS = ("column names", "DataFrame", "array of numbers")
# Name -> the call, and the parts of its message.
WITH_A_RUN = {
    "no batch": (lambda run: kzoo.predict(run, FRAME, batch_size=0), ("batch_size=0",)),
    "a word for a batch": (
        lambda run: kzoo.evaluate(run, FRAME, batch_size="a"),
        ("batch_size='a'",),
    ),
    "texts": (lambda run: kzoo.predict(run, np.array([["a", "b"]])), ("numbers",)),
    "objects": (
        lambda run: kzoo.predict(run, np.array([[1, None]], object)),
        ("numbers", "objects"),
    ),
    "a sparse matrix": (
        lambda run: kzoo.predict(run, sparse.eye(3).tocsr()),
        ("(3, 3)", "toarray()"),
    ),
    "lists": (lambda run: kzoo.predict(run, [[1], [1, 2]]), TABLE_ROWS),
    "no array": (lambda run: kzoo.predict(run, Broken()), TABLE_ROWS),
    "a single label": (
        lambda run: kzoo.evaluate(run, (FRAME[["a", "b"]].to_numpy(), np.array("u"))),
        ("y", "'u'", "array"),
    ),
    "a number": (lambda run: kzoo.predict(run, 5), TABLE_ROWS),
    "nothing": (lambda run: kzoo.predict(run, None), TABLE_ROWS),
    "three columns for two": (
        lambda run: kzoo.predict(run, np.array([[0.5, 1e9, 1.0]])),
        ("3", "2", "a, b"),
    ),
}
LIMIT = "1,000,000,000"
CALLS = {
    "training on a sparse matrix": (
        lambda: train("tabular_fnn", (sparse.eye(30).tocsr(), np.arange(30) % 2)),
        ("x", "(30, 30)", "toarray()"),
    ),
    "a target twice": (lambda: kzoo.load_data(FRAME, target=["a", "a"]), ("target=", "'a'")),
    "a target by number": (lambda: kzoo.load_data(FRAME, target=3), ("'3'", "a, b, y")),
    "no target": (lambda: kzoo.load_data(FRAME, target=[]), ("target=", "a, b, y")),
    "a column of lists": (
        lambda: kzoo.load_data(columns(a=[[1]] * N), target="y"),
        ("row 1", "[1]", "'a'"),
    ),
    "half of a character in a cell": (
        lambda: train("tabular_fnn", columns(a=cells([HALF] * N)), target="y"),
        ("row 1", repr(HALF), "'a'"),
    ),
    "half of a character in a class": (
        lambda: train("tabular_fnn", columns(y=cells(["v", HALF] * 30)), target="y"),
        ("row 2", repr(HALF), "'y'"),
    ),
    "half of a character in a name": (
        lambda: train(
            "tabular_fnn", FRAME.set_axis(cells([HALF, *FRAME.columns[1:]]), axis=1), target="y"
        ),
        (repr(HALF), "column", "rename"),
    ),
    "a list for a preset": (
        lambda: kzoo.build(["x"]),
        ("['x']", "kzoo.list_presets()", "kzoo.Preset"),
    ),
    "nothing for a preset": (
        lambda: kzoo.build(None),
        ("None", "kzoo.list_presets()", "kzoo.Preset"),
    ),
    "a list for a preset's name": (
        lambda: kzoo.get_preset(["x"]),
        ("['x']", "kzoo.list_presets()", "kzoo.Preset"),
    ),
    "a number for a glob": (lambda: kzoo.list_presets(5), ("pattern", "5", "'cifar_*'")),
    "a number for a file": (lambda: kzoo.load_presets(5), ("5", "preset file")),
    "nothing for a file": (lambda: kzoo.load_presets(None), ("None", "preset file")),
    "a file nested deeply": (lambda: kzoo.load_presets("deep.toml"), ("deep.toml", "nested")),
    "a long preset": (lambda: kzoo.build(LONG), (shown(LONG), "kzoo.list_presets()")),
    "a long model": (lambda: kzoo.load_model(LONG), (shown(LONG), "path=", "too long")),
    "a long run": (lambda: kzoo.Run(LONG), (shown(LONG), "run", "too long")),
    "a long source": (lambda: train("iris_fnn", LONG), (shown(LONG), "data=", "too long")),
    "a NUL in a source": (lambda: train("iris_fnn", NUL), (repr(NUL), "data=", "null")),
    "a NUL in out": (lambda: train("iris_fnn", out=NUL), (repr(NUL), "out=", "null")),
    "an out that is no UTF-8": (lambda: train("iris_fnn", out=ODD), (f"out={ODD!r}", "UTF-8")),
    "an infinite rate": (
        lambda: kzoo.build("iris_fnn", learning_rate=1e400),
        ("learning_rate=inf", "0"),
    ),
    "a huge rate": (
        lambda: kzoo.build("iris_fnn", learning_rate=10**400),
        ("learning_rate=inf", "0"),
    ),
    "huge widths": (lambda: kzoo.build("iris_fnn", units=(4, 10**5000)), ("units=", "1", "2**53")),
    "a huge number of rows": (
        lambda: kzoo.baselines.score("iris", seconds=10**400),
        (f"seconds={shown(10**400)}",),
    ),
    "a layer of numbers": (lambda: kzoo.build("iris_fnn", units=2**40), ("'iris_fnn'", "memory")),
    "an array for a fraction": (
        lambda: kzoo.load_data((np.ones((700, 4)), np.arange(700)), validation=np.ones((700, 4))),
        ("validation=array([[1., ", "…", "fraction"),
    ),
    "numbers for a choice": (
        lambda: train("iris_fnn", weights=list(range(5000))),
        ("weights=[0, 1, 2, ", "…", "run", ".keras"),
    ),
    "an empty table": (lambda: kzoo.load_data(pd.DataFrame()), ("table", "no columns")),
    "a number of layers": (
        lambda: train("digits_cnn", weights="digits", freeze=3),
        ("freeze=3", "True", "names", "layers"),
    ),
    "a type for a number": (
        lambda: kzoo.build("iris_fnn", seed=int),
        ("seed=<class 'int'>", "0", f"{2**32 - 1}"),
    ),
    "an array for a word": (
        lambda: kzoo.predict("digits_cnn", FRAME, weights=np.arange(9)),
        ("weights=array([0, 1, ", "digits_cnn", "digits"),
    ),
    "numbers for names": (
        lambda: kzoo.plots.confusion_matrix([0, 1], [0, 1], class_names=np.arange(2.0)),
        ("class_names=[0.0, 1.0]", "list"),
    ),
    **{
        f"a label that is {value}": (
            lambda value=value: kzoo.load_data(
                columns(y=np.where(FRAME["y"] == "u", value, 1.0)), target="y"
            ),
            ("label", f"{value}", "class"),
        )
        for value in (np.inf, -np.inf)
    },
    "infinity in an array of labels": (
        lambda: kzoo.load_data(
            (np.ones((N, 2)), np.where(np.arange(N) % 2, np.inf, 1.0)), task="classification"
        ),
        ("y", "30", "NaN", "infinite", "row 1"),
    ),
    "infinity among classes of a file": (
        lambda: kzoo.load_data("infinite.csv", target="y"),
        ("label", "inf", "class"),
    ),
    "a target of 400 digits": (
        lambda: kzoo.load_data(columns(y=cells([10**400, 1] * (N // 2))), target="y"),
        ("target", shown(10**400), "float", "scale"),
    ),
    "labels of 400 digits": (
        lambda: kzoo.load_data((np.ones((N, 2)), cells([10**400, 1] * (N // 2)).to_numpy())),
        ("y", "label", "number"),
    ),
    "epochs of 20 digits": (lambda: train("iris_fnn", epochs=10**20), (f"epochs={10**20}", LIMIT)),
    "a batch of 20 digits": (
        lambda: train("iris_fnn", batch_size=10**20),
        (f"batch_size={10**20}", LIMIT),
    ),
    "trials of 20 digits": (
        lambda: kzoo.tune("iris_fnn", "iris", trials=10**20),
        (f"trials={10**20}", LIMIT),
    ),
    "an input of 20 digits": (
        lambda: kzoo.build("iris_fnn", input_shape=10**20),
        (f"input_shape={10**20}", "2**53"),
    ),
    "a single value for x": (
        lambda: kzoo.load_data((np.array(1.0), np.arange(N))),
        ("x", "()", "preset="),
    ),
    "a single value for y": (
        lambda: kzoo.load_data((np.ones((N, 2)), np.array(1.0))),
        ("y", "1.0", "array"),
    ),
    "a single value for test y": (
        lambda: kzoo.load_data(
            (np.ones((N, 2)), np.arange(N)), test=(np.ones((N, 2)), np.array(1.0))
        ),
        ("test y", "1.0", "array"),
    ),
    "a single value for x of a user's model": (
        lambda: kzoo.check(kzoo.build("iris_fnn"), (np.array(1.0), np.array(1.0))),
        ("x", "1.0", "array"),
    ),
    "a single value for y of a user's model": (
        lambda: kzoo.check(kzoo.build("iris_fnn"), (np.ones((9, 4)), np.array(1.0))),
        ("y", "1.0", "array"),
    ),
    "a single value for y with groups": (
        lambda: kzoo.load_data((np.ones((N, 2)), np.array(1.0)), group=np.arange(N)),
        ("y", "1.0", "array"),
    ),
    "a single value for a group": (
        lambda: kzoo.load_data((np.ones((N, 2)), np.arange(N)), group=np.array(1.0)),
        ("group=", "array"),
    ),
    "a single value for probabilities": (
        lambda: kzoo.plots.roc(np.array("a"), np.array("a")),
        ("probabilities='a'", "array"),
    ),
    "a number for columns": (lambda: kzoo.load_data(FRAME, target="y", drop=5), ("'5'", "a, b, y")),
}


def message_of(call, parts):
    """Return the message by which a call is refused, after a check that it is a short line that can be printed."""
    with refuses(*parts) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    message.encode()  # it can be printed anywhere
    return message


def test_a_long_message_keeps_its_beginning_and_its_end():
    with refuses("family", "rnn, lstm, gru, rocket, sentence_encoder, transformer") as caught:
        kzoo.list_presets(family=LONG)
    message = str(caught.value)
    assert re.search("'x+ … x*'", message) and len(message) < 900


@pytest.mark.parametrize("name", WITH_A_RUN)
def test_bad_arguments_with_a_run_are_refused_in_a_line(name, run):
    call, parts = WITH_A_RUN[name]
    message = message_of(lambda: call(run), parts)
    # Only a value that is no array gets the message that lists all types of rows.
    if parts is not TABLE_ROWS:
        assert "DataFrame" not in message


@pytest.mark.parametrize("name", CALLS)
def test_bad_arguments_are_refused_in_a_line_before_a_file_is_written(name):
    call, parts = CALLS[name]
    with open("deep.toml", "w", encoding="utf-8") as file:
        file.write(f"a = {'[' * 3000}{']' * 3000}")
    with open("infinite.csv", "w", encoding="utf-8") as file:
        file.write("a,y\n" + "".join(f"{row},{('inf', 1, 2)[row % 3]}\n" for row in range(N)))
    message_of(call, parts)
    assert sorted(os.listdir()) == ["deep.toml", "infinite.csv"]
