"""Every option of data is declared once, in `DataOptions`: each function that takes it has its name and its default."""

import inspect
from dataclasses import fields

import pytest
from messages import refuses

import kzoo
from kzoo.cli import make_parser
from kzoo.data.options import DataOptions
from kzoo.problems.data_arguments import FLAGS, NAMES

OPTIONS = {f.name: f.default for f in fields(DataOptions)}
SEED = {"seed": "data_seed"}  # its name in functions that have another seed
# The options that a function lacks, and why.
WITHOUT = {
    "load_data": set(),
    "train": {"clip"},  # for `load_data` alone
    "fit_arguments": {"clip"},
    "check": {"clip"},
    "tune": {"clip"},
    # folds are the test split; rows have no order
    "cross_validate": {"clip", "test", "split", "data_seed"},
}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_function_takes_the_options_of_data_by_their_names_and_defaults(name):
    parameters = inspect.signature(getattr(kzoo, name)).parameters
    names = {
        option: option if name == "load_data" else SEED.get(option, option) for option in OPTIONS
    }
    assert set(names.values()) - set(parameters) == WITHOUT[name]
    for option, called in names.items():
        if called in parameters:
            assert parameters[called].default == OPTIONS[option], called
            assert parameters[called].kind is inspect.Parameter.KEYWORD_ONLY, called
            assert f"\n    {called}: " in getattr(kzoo, name).__doc__, called


def test_a_wrong_name_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'date_ordr'.*'date_order'"):
        kzoo.load_data("iris", date_ordr="day-first")
    with refuses("'date_ordr'", "'date_order'"):
        kzoo.train("iris_fnn", "iris", date_ordr="day-first")


def test_no_other_function_has_options_of_data():
    public = {name: getattr(kzoo, name) for name in kzoo._PUBLIC}
    parameters = {
        n: set(inspect.signature(f).parameters) for n, f in public.items() if inspect.isfunction(f)
    }
    takes = {
        name
        for name, names in parameters.items()
        if len({"drop", "group", "validation"} & names) > 1
    }
    assert takes == set(WITHOUT)


@pytest.mark.parametrize("command", ["train", "tune", "check"])
def test_a_command_has_an_option_for_each(command):
    (commands,) = (action for action in make_parser([command])._actions if action.dest == "command")
    options = {action.dest: action.default for action in commands.choices[command]._actions}
    assert {*NAMES.values(), "clip"} == set(OPTIONS)
    for name in FLAGS:
        assert name in options, name
        default = OPTIONS[NAMES[name]]
        # an empty list for an empty tuple
        assert options[name] == default or not (options[name] or default), name
