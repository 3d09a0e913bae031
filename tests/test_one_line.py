"""Arguments of a wrong type, empty, huge, or no text at all, to every public function.

The class of faults: what Python, NumPy or the system says of an argument reaches the user, late and in its own words.
"""

import os

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from shortcuts import undrawn, untraced

import kzoo

N = 60
FRAME = pd.DataFrame({"a": np.arange(N) / 2, "b": np.arange(N) % 3, "y": np.where(np.arange(N) % 2, "u", "v")})
LONG, NUL, HALF, ODD = "x" * 5000, "a\0b", "a\ud800", "a\udcff"


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
        return kzoo.train("tabular_fnn", FRAME, target="y", epochs=1, progress=False, out=folder, callbacks="quick")


def train(*given, **options):
    return kzoo.train(*given, **{"epochs": 1, "progress": False} | options)


RUN = {
    "no batch": (lambda run: kzoo.predict(run, FRAME, batch_size=0), "batch_size=0"),
    "a word for a batch": (lambda run: kzoo.evaluate(run, FRAME, batch_size="a"), "batch_size='a'"),
    "texts": (lambda run: kzoo.predict(run, np.array([["a", "b"]])), "texts"),
    "objects": (lambda run: kzoo.predict(run, np.array([[1, None]], object)), "objects"),
    "a sparse matrix": (lambda run: kzoo.predict(run, sparse.eye(3).tocsr()), "toarray"),
    "lists": (lambda run: kzoo.predict(run, [[1], [1, 2]]), "dicts of column names"),
    "no array": (lambda run: kzoo.predict(run, Broken()), "dicts of column names"),
    "a single answer": (lambda run: kzoo.evaluate(run, (FRAME[["a", "b"]].to_numpy(), np.array("u"))), "single value"),
    "a number": (lambda run: kzoo.predict(run, 5), "dicts of column names"),
    "nothing": (lambda run: kzoo.predict(run, None), "dicts of column names"),
    "a code that is none": (lambda run: kzoo.predict(run, np.array([[0.5, 1e9, 1.0]])), "columns"),
}
OTHERS = {
    "training on a sparse matrix": (
        lambda: train("tabular_fnn", (sparse.eye(30).tocsr(), np.arange(30) % 2)),
        "toarray",
    ),
    "a target twice": (lambda: kzoo.load_data(FRAME, target=["a", "a"]), "'a' twice"),
    "a target by number": (lambda: kzoo.load_data(FRAME, target=3), "'3' is not in the table"),
    "no target": (lambda: kzoo.load_data(FRAME, target=[]), "Say which column"),
    "a column of lists": (lambda: kzoo.load_data(columns(a=[[1]] * N), target="y"), r"Row 1 holds \[1\]"),
    "half of a character in a cell": (
        lambda: train("tabular_fnn", columns(a=cells([HALF] * N)), target="y"),
        "Row 1 .* half",
    ),
    "half of a character in a class": (
        lambda: train("tabular_fnn", columns(y=cells(["v", HALF] * 30)), target="y"),
        "Row 2",
    ),
    "half of a character in a name": (
        lambda: train("tabular_fnn", FRAME.set_axis(cells([HALF, *FRAME.columns[1:]]), axis=1), target="y"),
        "name",
    ),
    "a list for a preset": (lambda: kzoo.build(["x"]), "is no preset"),
    "nothing for a preset": (lambda: kzoo.build(None), "is no preset"),
    "a list for a preset's name": (lambda: kzoo.get_preset(["x"]), "is no preset"),
    "a number for a glob": (lambda: kzoo.list_presets(5), "is a glob"),
    "a number for a file": (lambda: kzoo.load_presets(5), "5 is not a preset file"),
    "nothing for a file": (lambda: kzoo.load_presets(None), "is not a preset file"),
    "a file nested deeply": (lambda: kzoo.load_presets("deep.toml"), "nested too deeply"),
    "a long preset": (lambda: kzoo.build(LONG), "Unknown preset 'xxx"),
    "a long model": (lambda: kzoo.load_model(LONG), "too long"),
    "a long run": (lambda: kzoo.Run(LONG), "too long"),
    "a long source": (lambda: train("iris_fnn", LONG), "too long"),
    "a NUL in a source": (lambda: train("iris_fnn", NUL), "null"),
    "a NUL in out": (lambda: train("iris_fnn", out=NUL), "null"),
    "an out that is no UTF-8": (lambda: train("iris_fnn", out=ODD), "UTF-8"),
    "an infinite rate": (lambda: kzoo.build("iris_fnn", learning_rate=1e400), "learning_rate=inf is out of range"),
    "a huge rate": (lambda: kzoo.build("iris_fnn", learning_rate=10**400), "learning_rate=inf is out of range"),
    "huge widths": (lambda: kzoo.build("iris_fnn", units=(4, 10**5000)), "units=.* is out of range"),
    "a huge number of rows": (lambda: kzoo.baselines.score("iris", seconds=10**400), "seconds=10+… is too large"),
    "a layer of numbers": (lambda: kzoo.build("iris_fnn", units=2**40), "memory has no room for its weights"),
    "arrays for a fraction": (
        lambda: kzoo.load_data((np.ones((700, 4)), np.arange(700)), validation=(np.ones((700, 4)), np.arange(700))),
        "^validation=.*… must be a fraction",
    ),
    "numbers for a choice": (
        lambda: train("iris_fnn", weights=list(range(5000))),
        "^weights=.*… has none. Give a run's folder",
    ),
    "a table of nothing": (lambda: kzoo.load_data(pd.DataFrame()), "no columns"),
    "a number of layers": (lambda: train("digits_cnn", weights="digits", freeze=3), "freeze=3 must be True, or names"),
    "a type for a number": (lambda: kzoo.build("iris_fnn", seed=int), "seed=<class 'int'> must be a whole number"),
    "an array for a word": (lambda: kzoo.predict("digits_cnn", FRAME, weights=np.arange(9)), "weights=.* is unknown"),
    "numbers for names": (
        lambda: kzoo.plots.confusion_matrix([0, 1], [0, 1], class_names=np.arange(2.0)),
        "class_names=.* must be a list of names",
    ),
    **{
        f"a label that is {value}": (
            lambda value=value: kzoo.load_data(columns(y=np.where(FRAME["y"] == "u", value, 1.0)), target="y"),
            "is -?inf",
        )
        for value in (np.inf, -np.inf)
    },
    "infinity in an array of labels": (
        lambda: kzoo.load_data((np.ones((N, 2)), np.where(np.arange(N) % 2, np.inf, 1.0)), task="classification"),
        "y holds 30 NaN or infinite values",
    ),
    "infinity among classes of a file": (lambda: kzoo.load_data("infinite.csv", target="y"), "label is inf"),
    "a target of 400 digits": (
        lambda: kzoo.load_data(columns(y=cells([10**400, 1] * (N // 2))), target="y"),
        "holds 10+… *, larger than any float",
    ),
    "labels of 400 digits": (
        lambda: kzoo.load_data((np.ones((N, 2)), cells([10**400, 1] * (N // 2)).to_numpy())),
        "neither a label nor a number",
    ),
    "epochs of 20 digits": (lambda: train("iris_fnn", epochs=10**20), "epochs=1.* at most 1,000,000,000"),
    "a batch of 20 digits": (lambda: train("iris_fnn", batch_size=10**20), "batch_size=1.* at most 1,000,000,000"),
    "trials of 20 digits": (lambda: kzoo.tune("iris_fnn", "iris", trials=10**20), "trials=1.* at most 1,000,000,000"),
    "an input of 20 digits": (lambda: kzoo.build("iris_fnn", input_shape=10**20), r"input_shape=1.* below 2\*\*53"),
    **{
        f"a single value for {what}": (call, "single value|neither rows|has shape|must be|one value for each row")
        for what, call in {
            "x": lambda: kzoo.load_data((np.array(1.0), np.arange(N))),
            "y": lambda: kzoo.load_data((np.ones((N, 2)), np.array(1.0))),
            "test y": lambda: kzoo.load_data((np.ones((N, 2)), np.arange(N)), test=(np.ones((N, 2)), np.array(1.0))),
            "x of a model of one's own": lambda: kzoo.check(kzoo.build("iris_fnn"), (np.array(1.0), np.array(1.0))),
            "y of a model of one's own": lambda: kzoo.check(kzoo.build("iris_fnn"), (np.ones((9, 4)), np.array(1.0))),
            "y beside groups": lambda: kzoo.load_data((np.ones((N, 2)), np.array(1.0)), group=np.arange(N)),
            "a group": lambda: kzoo.load_data((np.ones((N, 2)), np.arange(N)), group=np.array(1.0)),
            "probabilities": lambda: kzoo.plots.roc(np.array("a"), np.array("a")),
        }.items()
    },
    "a number for columns": (lambda: kzoo.load_data(FRAME, target="y", drop=5), "'5'"),
}


def one_line(call, says):
    with pytest.raises(kzoo.KzooError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    str(caught.value).encode()  # it can be printed anywhere


def test_a_long_message_keeps_which_value_and_what_to_do():
    with pytest.raises(kzoo.KzooError, match=r"^Unknown family 'x+ … x*'.* rnn, lstm, gru, transformer.$") as caught:
        kzoo.list_presets(family=LONG)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("name", RUN)
def test_of_a_run(name, run):
    call, says = RUN[name]
    one_line(lambda: call(run), says)


@pytest.mark.parametrize("name", OTHERS)
def test_without_one(name):
    call, says = OTHERS[name]
    with open("deep.toml", "w", encoding="utf-8") as file:
        file.write(f"a = {'[' * 3000}{']' * 3000}")
    with open("infinite.csv", "w", encoding="utf-8") as file:
        file.write("a,y\n" + "".join(f"{row},{('inf', 1, 2)[row % 3]}\n" for row in range(N)))
    one_line(call, says)
    assert sorted(os.listdir()) == ["deep.toml", "infinite.csv"]  # nothing was begun
