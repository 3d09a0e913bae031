"""A table with dates that is split at random, although later rows differ: the finding names the option."""

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.checks import run_checks
from kzoo.checks.subject import Subject

pytestmark = pytest.mark.usefixtures("untraced")

N = 600


def table(*, target_moves=0.0, input_moves=0.0, classes=False, seed=0):
    draw = np.random.default_rng(seed)
    days = draw.integers(0, 500, N)
    late = days > 350
    frame = pd.DataFrame({"when": (np.datetime64("2021-01-01") + days).astype(str)})
    frame["a"] = draw.normal(size=N) + input_moves * late
    frame["b"] = draw.normal(size=N)
    value = frame["b"] + draw.normal(size=N) + target_moves * late
    frame["y"] = np.where(value > 0.5, "yes", "no") if classes else value
    return frame


def found(frame, **options):
    findings, _ = run_checks(Subject(kzoo.load_data(frame, target="y", **options)), ("data",))
    return [finding for finding in findings if finding.check == "rows_change_in_time"]


@pytest.mark.parametrize(
    ("moves", "parts"),
    [
        (dict(target_moves=1.5), ("the mean of 'y'",)),
        (dict(target_moves=2.0, classes=True), ("class 'yes'", "84%", "39%")),
        (dict(input_moves=3.0), ("'a'", "AUC")),
    ],
)
def test_a_change_is_found_and_the_option_is_named(moves, parts):
    (finding,) = found(table(**moves))
    assert finding.level == "warning" and all(
        part in finding.what for part in ("'when'", *parts)
    ), finding
    assert "split='time'" in finding.fix and "time='when'" in finding.fix


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("classes", [True, False])
def test_rows_that_do_not_change_are_quiet(seed, classes):
    assert not found(table(seed=seed, classes=classes))


def test_what_is_asked_for_is_quiet():
    frame = table(target_moves=1.5)
    assert found(frame)
    assert not found(frame, time="when", split="time")
    assert not found(frame, test=frame[:100])
    assert not found(frame.drop(columns="when"))


def test_training_says_it(tmp_path, capsys):
    kzoo.train(
        "tabular_fnn",
        table(target_moves=1.5),
        target="y",
        out=tmp_path / "run",
        epochs=1,
        baselines=False,
    )
    assert "Set split='time' and time='when'" in capsys.readouterr().err
