"""Commands print options as they are typed, such as `--time`, and never arguments of Python, such as `time=`.

This holds for errors, notes, warnings and findings.
"""

import re

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions

import kzoo
from kzoo.cli import main
from kzoo.problems.data_arguments import FLAGS

ROWS = 240
PYTHON = re.compile(
    rf"(?<![\w-])(?:{'|'.join(FLAGS)}|data|out|seed|folds|resume|freeze|weights|objective|quantize|formats)="
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Files for which a line with an argument is printed."""
    folder = tmp_path_factory.mktemp("spelling")
    random = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    frame = pd.DataFrame(
        {"when": hours, "a": random.normal(size=ROWS), "b": random.normal(size=ROWS)}
    )
    values = random.normal(size=ROWS)
    classes = random.choice(["yes", "no"], ROWS)
    frame.assign(y=values).to_csv(folder / "hours.csv", index=False)
    frame.assign(y=classes).to_csv(folder / "classes.csv", index=False)
    two_ways = [f"{number}.{number % 7 * 100:03} €" for number in range(1, ROWS + 1)]
    frame.assign(price=two_ways, y=classes).to_csv(folder / "two ways.csv", index=False)
    frame.assign(leak=values * 2 + 1, y=values).drop(columns="when").to_csv(
        folder / "leak.csv", index=False
    )
    twice = pd.concat([frame.assign(y=classes).drop(columns="when")] * 2)
    twice.to_csv(folder / "twice.csv", index=False)
    frame.assign(y=np.where(np.arange(ROWS) < 12, "yes", "no")).to_csv(
        folder / "rare.csv", index=False
    )
    shops = pd.concat([frame.assign(shop=shop) for shop in "xyz"])
    shops.to_csv(folder / "shops.csv", index=False)
    np.savez(folder / "windows.npz", x=random.normal(size=(90, 24, 2)), y=np.arange(90) % 3)
    np.savez(folder / "labels.npz", x=random.normal(size=(90, 4)), y=random.integers(0, 2, (90, 3)))
    return folder


COMMANDS_TO_TRY = [
    ("check", "hours.csv", "--target", "y", "--quick"),
    ("check", "hours.csv", "--target", "nothing", "--quick"),
    ("check", "hours.csv", "--target", "y", "--time", "nothing", "--quick"),
    ("check", "hours.csv", "--quick"),
    ("check", "classes.csv", "--target", "y", "--quick"),
    ("check", "classes.csv", "--target", "y", "--task", "nonsense", "--quick"),
    ("check", "classes.csv", "--target", "y", "--time", "when", "--quick"),
    ("check", "classes.csv", "--target", "y", "--column", "a=nonsense", "--quick"),
    ("check", "two ways.csv", "--target", "y", "--quick"),
    ("check", "leak.csv", "--target", "y", "--quick"),
    ("check", "twice.csv", "--target", "y", "--quick"),
    ("check", "rare.csv", "--target", "y", "--quick"),
    ("check", "shops.csv", "--time", "when", "--quick"),
    ("check", "windows.npz", "--quick"),
    ("check", "labels.npz", "--quick"),
    ("check", "tabular_fnn"),
    ("check", "tabular_fnn", "--data", "two ways.csv", "--target", "y"),
    ("check", "tabular_fnn", "--data", "hours.csv", "--target", "y", "--time", "when"),
    ("check", "series_gru", "--data", "hours.csv", "--target", "y", "--validation", "0.9"),
    (
        "train",
        "tabular_fnn",
        "--data",
        "two ways.csv",
        "--target",
        "y",
        "--epochs",
        "1",
        "--out",
        "run",
    ),
    (
        "train",
        "tabular_fnn",
        "--data",
        "classes.csv",
        "--target",
        "y",
        "--epochs",
        "1",
        "--out",
        "run",
    ),
    ("train", "series_gru", "--data", "hours.csv", "--group", "a"),
    ("train", "series_gru", "--data", "hours.csv", "--set", "input_shape=400"),
    (
        "train",
        "tabular_fnn",
        "--data",
        "classes.csv",
        "--target",
        "y",
        "--resume",
        "must",
        "--out",
        "nothing",
    ),
    (
        "train",
        "tabular_fnn",
        "--data",
        "classes.csv",
        "--target",
        "y",
        "--freeze",
        "--out",
        "nothing",
    ),
    ("train", "tabular_fnn", "--data", "classes.csv", "--target", "y", "--test", "0.999"),
    ("evaluate", "run"),
    ("evaluate", "run", "--data", "hours.csv"),
    ("evaluate", "run", "--data", "hours.csv", "--target", "nothing"),
    ("evaluate", "run", "--data", "classes.csv", "--target", "a"),
    ("predict", "run", "leak.csv"),
    ("report", "run", "--data", "hours.csv"),
    ("export", "run", "--out", "exported", "--formats", "nonsense"),
    ("export", "run", "--out", "exported", "--formats", "onnx", "--quantize", "nonsense"),
    (
        "tune",
        "tabular_fnn",
        "--data",
        "classes.csv",
        "--target",
        "y",
        "--objective",
        "nonsense",
        "--dry-run",
    ),
    ("tune", "series_gru", "--data", "hours.csv", "--folds", "5", "--dry-run"),
    (
        "tune",
        "tabular_fnn",
        "--data",
        "classes.csv",
        "--target",
        "y",
        "--folds",
        "5000",
        "--dry-run",
    ),
]


def test_commands_name_options_and_never_arguments_of_python(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    printed = {}
    for words in COMMANDS_TO_TRY:
        capsys.readouterr()
        assert main([str(word) for word in words]) in (0, 1, 2)
        printed[words] = "".join(capsys.readouterr())
        # the option that an internal error of kzoo names
        assert "--debug" not in printed[words], words
    printed = {
        words: re.sub(r"DataFrame\.pivot\(.*?\)", "", text) for words, text in printed.items()
    }  # of pandas
    wrong = {
        words: [line for line in text.splitlines() if PYTHON.search(line)]
        for words, text in printed.items()
    }
    assert not {words: lines for words, lines in wrong.items() if lines}
    assert_mentions(
        " ".join(printed.values()),
        "--time when",
        "--column price=number:decimal=,",
        "--task",
        "--drop",
        "--group",
        "--target",
        "--task regression",
    )


def test_only_a_table_that_can_be_read_as_a_series_gets_the_advice_to_do_so(home):
    def advised(file, target):
        return any(
            "time='when'" in note
            for note in kzoo.check(home / file, target=target).overview["notes"]
        )

    assert advised("hours.csv", "y")
    assert not advised("classes.csv", "y") and not advised("shops.csv", "b")
