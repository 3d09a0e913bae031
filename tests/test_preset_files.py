"""Presets in TOML files: used from Python, used from the command line, written and read back."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from messages import assert_mentions, refuses, warns

import kzoo
from kzoo.cli import main
from kzoo.zoo.registry import FAMILIES
from kzoo.zoo.registry.preset_files import read_presets

MINE = """
[churn_fnn]
base = "tabular_fnn"
summary = "Which customers leave next month."
config = { units = [16, 8], norm = "none" }
training = { epochs = 3 }

[plain_fnn]
family = "fnn"
task = "tabular_classification"
dataset = "iris"
[plain_fnn.config]
inputs = "rows"
input_shape = [4]
outputs = 3
units = [5]
[plain_fnn.training]
optimizer = "adam"
learning_rate = 0.01
schedule = "constant"
batch_size = 16
epochs = 1
patience = 1
callbacks = "standard"
monitor = "val_loss"
metrics = ["accuracy"]
"""


pytestmark = pytest.mark.usefixtures("registry_as_it_was")


def write(text, name="mine.toml"):
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_presets_of_a_file_are_registered_and_built_like_any_other():
    assert kzoo.load_presets(write(MINE)) == ["churn_fnn", "plain_fnn"]
    assert {"churn_fnn", "plain_fnn"} <= set(kzoo.list_presets())
    churn, base = kzoo.get_preset("churn_fnn"), kzoo.get_preset("tabular_fnn")
    assert churn.config == base.config | {"units": (16, 8), "norm": None}
    assert churn.training == base.training | {"epochs": 3, "min_steps": 0}
    assert (churn.params, churn.task, churn.summary) == (
        None,
        base.task,
        "Which customers leave next month.",
    )
    assert kzoo.build("plain_fnn", compile=False).count_params() == 4 * 5 + 5 + 5 * 3 + 3
    assert kzoo.space("plain_fnn", "quick").overrides({}) == {}


def test_a_setting_without_effect_is_warned_of_once():
    Path("vain.toml").write_text(
        '[vain_gru]\nbase = "text_gru"\nconfig = { dense_dropout = 0.5, dropout = 0.1 }\n'
    )
    with warns("'vain_gru'", "dense_dropout", "dense_units") as caught:
        kzoo.load_presets("vain.toml")
        kzoo.get_preset("vain.toml")
    assert len(caught) == 1


def test_the_path_of_a_file_stands_for_its_preset():
    path = write(MINE)
    assert kzoo.get_preset("mine.toml:plain_fnn").name == "plain_fnn"
    assert kzoo.list_presets(path) == ["churn_fnn", "plain_fnn"]
    assert kzoo.list_presets([path, "iris_fnn"], family="fnn") == [
        "churn_fnn",
        "iris_fnn",
        "plain_fnn",
    ]
    path = write(MINE[MINE.index("[plain_fnn]") :].replace("plain_fnn", "only_fnn"), "only.toml")
    assert (
        kzoo.get_preset(path).name == kzoo.get_preset(str(Path(path).resolve())).name == "only_fnn"
    )


def test_commands_take_presets_of_a_file(capsys):
    path = write(MINE)
    assert main(["list", path, "--json"]) == 0
    assert [p["name"] for p in json.loads(capsys.readouterr().out)] == ["churn_fnn", "plain_fnn"]
    assert main(["show", f"{path}:plain_fnn"]) == 0
    assert_mentions(capsys.readouterr().out, "kzoo train mine.toml:plain_fnn")
    assert main(["train", f"{path}:plain_fnn", "--quiet"]) == 0
    run = kzoo.Run("runs/plain_fnn-01")
    assert (
        run.config["spec"]["preset"] == "plain_fnn"
        and run.config["command"] == "kzoo train mine.toml:plain_fnn"
    )
    assert main(["check", f"{path}:plain_fnn", "--quick"]) == 0
    assert main(["show", path]) == 2
    assert_mentions(
        capsys.readouterr().err, "2 presets", "mine.toml:churn_fnn, mine.toml:plain_fnn"
    )


def test_a_changed_file_is_loaded_again_and_a_name_of_another_file_is_refused():
    kzoo.load_presets(write(MINE))
    kzoo.load_presets(write(MINE.replace("epochs = 3", "epochs = 4")))
    assert kzoo.get_preset("churn_fnn").training["epochs"] == 4
    with refuses("'churn_fnn'", "other.toml", "mine.toml"):
        kzoo.load_presets(write(MINE.replace("plain_fnn", "new_fnn"), "other.toml"))
    assert "new_fnn" not in kzoo.list_presets()  # all of a file, or nothing


@pytest.mark.parametrize("name", kzoo.list_presets())
def test_every_preset_is_written_and_read_back_equal(name):
    preset = kzoo.get_preset(name)
    path = write(kzoo.preset_to_toml(preset))
    assert read_presets(path, kzoo.get_preset) == [preset]


def test_values_of_every_kind_are_written_and_read_back_equal(monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", ("my_family", {}))
    monkeypatch.syspath_prepend(".")
    Path("my_family.py").write_text("def build(*, name, a):\n    pass\n")
    odd = kzoo.Preset(
        name="acme.odd",
        family="mine",
        task="forecasting",
        summary='Has "ä\n\\ \x7f😀".',
        config={
            "a": (None, 1, 2.0),
            "with blank": {"x": None, "y.z": (True, ())},
            "b": 1e-05,
            "c": -3,
            "d": "é",
        },
        training={"weight_decay": 1e-5, "metrics": (), "clipnorm": None},
    )
    (again,) = read_presets(write(kzoo.preset_to_toml(odd)), kzoo.get_preset)
    assert again == odd
    assert [type(v) for v in again.config["a"]] == [type(None), int, float]
    with refuses("'none'", "preset file"):
        kzoo.preset_to_toml(replace(odd, config={"a": "none"}))
    assert set(tomllib.loads(kzoo.preset_to_toml(odd))) == {"acme.odd"}


START = '[x]\nfamily = "fnn"\ntask = "tabular_classification"\n'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("[churn_fnn]",)),
        ("x = 3", ("'x'", "preset", "[churn_fnn]")),
        ("[x", ("Expected ']'",)),  # of Python's parser
        ("[x]\nfamly = 'fnn'", ("[x]", "'famly'", "'family'")),
        ("[x]\nfamily = 'fnn'", ("[x]", "task", "base =")),
        ("[x]\nbase = 'iris_fn'", ("preset", "'iris_fn'", "'iris_fnn'")),
        ("[x]\nbase = 'iris_fnn'\nfamily = 'cnn'", ("[x]", "family", "base", "iris_fnn", "'fnn'")),
        ("[x]\nbase = 'iris_fnn'\nconfig = 3", ("[x]", "config", "table", "[x.config]")),
        (START + "[x.config]\nunitz = [3]", ("[x]", "'unitz'", "config", "'units'")),
        (START + "[x.config]\nepochs = 3", ("[x]", "'epochs'", "config", "training")),
        (START + "[x.training]\nepoch = 3", ("[x]", "'epoch'", "training", "'epochs'")),
        (START + "[x.training]\nepochs = 0", ("epochs=0", "1")),
        (START.replace('"fnn"', '"fnnn"'), ("family", "'fnnn'", "'fnn'")),
        ('["a b"]\nbase = "iris_fnn"', ("'a b'", "letters", "digits", "underscores")),
    ],
)
def test_a_bad_file_is_refused_in_a_line_with_its_name(text, parts):
    with refuses("mine.toml", *parts) as caught:
        kzoo.load_presets(write(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("nowhere.toml", ("nowhere.toml", "kzoo.preset_to_toml")),
        (".toml", ("preset", "'.toml'", "kzoo list")),
        ("mine.toml:chrn_fnn", ("mine.toml", "'chrn_fnn'", "'churn_fnn'", "churn_fnn, plain_fnn")),
    ],
)
def test_a_wrong_file_or_preset_on_the_command_line_is_refused(argument, parts, capsys):
    write(MINE)
    assert main(["train", argument]) == 2
    assert_mentions(capsys.readouterr().err, *parts)


def test_unknown_and_missing_settings_of_a_family_are_refused_by_build():
    write(START + "[x.config]\ninput_shape = [3]\nnum_heads = 2\noutputs = 2\n")
    with refuses("'x'", "family", "'num_heads'"):
        kzoo.build("mine.toml")
    write(START + "[x.config]\noutputs = 2\n")
    with refuses("'x'", "config", "'input_shape'"):
        kzoo.build("mine.toml")
