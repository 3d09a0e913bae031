"""All options of data, and the window of series, are taken wherever data is read to train or to check."""

import inspect

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import COMMANDS, main, make_parser
from kzoo.problems.data_arguments import FLAGS, NAMES, OPTIONS, flag_names

MONTHS = pd.date_range("2022-01-01", periods=22, freq="MS")
FUNCTIONS = (kzoo.train, kzoo.tune, kzoo.check, kzoo.cross_validate)
# Options that a function refuses: the folds are the test data, and `seed` draws them.
REFUSED = {"cross_validate": {"test": 0.2, "split": "time", "data_seed": 1}}
DATA = ["--target", "sales", "--series-id", "shop", "--time", "month", "--quantiles", "0.1,0.5,0.9"]
COLUMNS = ["--known", "promo", "--static", "size", "--drop", "extra"]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_take_all_options(function):
    parameters = inspect.signature(function).parameters
    refused = REFUSED.get(function.__name__, {})
    assert {name for name in NAMES if name not in parameters} == set(refused)
    for name, value in refused.items():
        with refuses(name):
            function("iris_fnn", **{name: value})


@pytest.mark.parametrize("command", ["train", "tune", "check"])
def test_commands_take_all_options(command):
    parser = make_parser(COMMANDS)._subparsers._group_actions[0].choices[command]
    for name in FLAGS:
        assert set(flag_names(name)) <= set(parser.options()), (command, name)
    assert set(FLAGS) == {OPTIONS[name].name or name for name in OPTIONS if OPTIONS[name].flag}


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """A table of series that are too short for the default horizon."""
    monkeypatch.chdir(tmp_path)
    frames = []
    for number in range(1, 5):
        promo = np.arange(22) % 3 == 0
        sales = number * (10 + np.arange(22) % 4 + 3 * promo)
        columns = dict(shop=f"s{number}", month=MONTHS.strftime("%d.%m.%Y"), sales=sales)
        frames.append(pd.DataFrame(columns | dict(promo=promo.astype(int), size=number, extra=0)))
    frame = pd.concat(frames)
    frame.to_csv("panel.csv", index=False)
    return frame


def test_check_reads_the_window_and_repeats_it(panel, capsys):
    options = ["--data", "panel.csv", *DATA, *COLUMNS]
    assert main(["check", *options, "--quick"]) == 2  # 24 steps do not fit
    assert_mentions(capsys.readouterr().err, "horizon=24")
    code = main(["check", *options, "--quick", "--set", "horizon=2", "input_shape=6"])
    out = capsys.readouterr().out
    assert code in (0, 1)
    command = next(line for line in out.splitlines() if line.strip().startswith("kzoo train"))
    assert_mentions(command, "--set horizon=2 input_shape=6", "--series-id shop")
    words = command.split()[2:]
    assert (
        main(["train", *words, "--out", "run", "--no-baselines", "--epochs", "1", "--quiet"]) == 0
    )
    config = kzoo.Run("run").spec.config
    assert config["horizon"] == 2 and config["input_shape"][0] == 6


def test_auto_reads_the_window(panel, capsys):
    options = ["auto", "--data", "panel.csv", *DATA, *COLUMNS, "--set", "horizon=2"]
    quick = ["epochs=1", "--out", "run", "--no-baselines", "--quiet"]
    assert main(["train", *options, "input_shape=6", *quick]) == 0
    run = kzoo.Run("run")
    assert run.spec.config["horizon"] == 2 and run.spec.config["quantiles"] == [0.1, 0.5, 0.9]
    assert main(["tune", *options, "input_shape=6", "--dry-run"]) == 0
    assert_mentions(capsys.readouterr().out, "series_linear", "pinball")
    keywords = dict(
        target="sales", series_id="shop", time="month", known_covariates="promo", horizon=2
    )
    plan = kzoo.tune("auto", panel, **keywords, input_shape=6, dry_run=True, progress=False)
    assert "ahead 2" in plan.data and "steps in 6" in plan.data
    with refuses("epochs"):
        kzoo.tune("auto", panel, **keywords, epochs=2, dry_run=True)


def test_a_window_of_other_data_is_refused(tmp_path):
    table = pd.DataFrame(dict(a=np.arange(60.0), b=np.arange(60) % 2))
    for call in (
        lambda: kzoo.check(table, target="b", input_shape=3),
        lambda: kzoo.tune("auto", table, target="b", input_shape=3, dry_run=True),
    ):
        with pytest.raises(kzoo.KzooError):
            call()
