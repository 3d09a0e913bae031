"""Presets in TOML files: by Python, by the command line, written and read back."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import kzoo
from kzoo.cli import main
from kzoo.registry import FAMILIES
from kzoo.registry.preset_files import read_presets
from kzoo.utils.errors import KzooWarning

MINE = """
[churn_fnn]
base = "tabular_fnn"
summary = "Who leaves next month."
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


def test_presets_of_a_file_are_presets_as_any_other():
    assert kzoo.load_presets(write(MINE)) == ["churn_fnn", "plain_fnn"]
    assert {"churn_fnn", "plain_fnn"} <= set(kzoo.list_presets())
    churn, base = kzoo.get_preset("churn_fnn"), kzoo.get_preset("tabular_fnn")
    assert churn.config == base.config | {"units": (16, 8), "norm": None}
    assert churn.training == base.training | {"epochs": 3, "min_steps": 0}
    assert (churn.params, churn.task, churn.summary) == (None, base.task, "Who leaves next month.")
    assert kzoo.build("plain_fnn", compile=False).count_params() == 4 * 5 + 5 + 5 * 3 + 3
    assert kzoo.space("plain_fnn", "quick").overrides({}) == {}


def test_what_a_preset_says_in_vain_is_said_once():
    Path("vain.toml").write_text('[vain_gru]\nbase = "text_gru"\nconfig = { dense_dropout = 0.5, dropout = 0.1 }\n')
    with pytest.warns(KzooWarning, match="'vain_gru' has no use for dense_dropout: it needs dense_units") as found:
        kzoo.load_presets("vain.toml")
        kzoo.get_preset("vain.toml")
    assert len(found) == 1


def test_the_path_of_a_file_is_the_name_of_its_preset():
    path = write(MINE)
    assert kzoo.get_preset("mine.toml:plain_fnn").name == "plain_fnn"
    assert kzoo.list_presets(path) == ["churn_fnn", "plain_fnn"]
    assert kzoo.list_presets([path, "iris_fnn"], family="fnn") == ["churn_fnn", "iris_fnn", "plain_fnn"]
    one = write(MINE[MINE.index("[plain_fnn]") :].replace("plain_fnn", "only_fnn"), "one.toml")
    assert kzoo.get_preset(one).name == kzoo.get_preset(str(Path(one).resolve())).name == "only_fnn"


def test_on_the_command_line(capsys):
    path = write(MINE)
    assert main(["list", path, "--json"]) == 0
    assert [p["name"] for p in json.loads(capsys.readouterr().out)] == ["churn_fnn", "plain_fnn"]
    assert main(["show", f"{path}:plain_fnn"]) == 0
    assert "Train it: kzoo train mine.toml:plain_fnn" in capsys.readouterr().out
    assert main(["train", f"{path}:plain_fnn", "--quiet"]) == 0
    run = kzoo.Run("runs/plain_fnn-01")
    assert run.config["spec"]["preset"] == "plain_fnn" and run.config["command"] == "kzoo train mine.toml:plain_fnn"
    assert main(["check", f"{path}:plain_fnn", "--quick"]) == 0
    assert main(["show", path]) == 2
    assert "has 2 presets. Name one: mine.toml:churn_fnn, mine.toml:plain_fnn." in capsys.readouterr().err


def test_a_file_that_was_changed_is_loaded_again_and_another_owner_is_named():
    kzoo.load_presets(write(MINE))
    kzoo.load_presets(write(MINE.replace("epochs = 3", "epochs = 4")))
    assert kzoo.get_preset("churn_fnn").training["epochs"] == 4
    with pytest.raises(kzoo.KzooError, match=r"'churn_fnn' of .*other.toml is already registered by .*mine.toml"):
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
        name="acme.odd", family="mine", task="forecasting", summary='Says "ä\n\\ \x7f😀".',
        config={"a": (None, 1, 2.0), "with blank": {"x": None, "y.z": (True, ())}, "b": 1e-05, "c": -3, "d": "é"},
        training={"weight_decay": 1e-5, "metrics": (), "clipnorm": None},
    )  # fmt: skip
    (again,) = read_presets(write(kzoo.preset_to_toml(odd)), kzoo.get_preset)
    assert again == odd
    assert [type(v) for v in again.config["a"]] == [type(None), int, float]
    with pytest.raises(kzoo.KzooError, match="'none' cannot be written"):
        kzoo.preset_to_toml(replace(odd, config={"a": "none"}))
    assert set(tomllib.loads(kzoo.preset_to_toml(odd))) == {"acme.odd"}


START = '[x]\nfamily = "fnn"\ntask = "tabular_classification"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no preset"),
        ("x = 3", "'x' stands outside of a preset"),
        ("[x", "is no TOML: "),
        ("[x]\nfamly = 'fnn'", "Did you mean 'family'?"),
        ("[x]\nfamily = 'fnn'", "[x] says no task: add it, or base"),
        ("[x]\nbase = 'iris_fn'", "Unknown preset 'iris_fn'. Did you mean 'iris_fnn'?"),
        ("[x]\nbase = 'iris_fnn'\nfamily = 'cnn'", "family is that of its base iris_fnn"),
        ("[x]\nbase = 'iris_fnn'\nconfig = 3", "[x] config must be a table"),
        (START + "[x.config]\nunitz = [3]", "Unknown setting 'unitz' in config. Did you mean 'units'?"),
        (START + "[x.config]\nepochs = 3", "Unknown setting 'epochs' in config. It belongs to training."),
        (START + "[x.training]\nepoch = 3", "Unknown setting 'epoch' in training. Did you mean 'epochs'?"),
        (START + "[x.training]\nepochs = 0", "epochs=0 is out of range"),
        (START.replace('"fnn"', '"fnnn"'), "Unknown family 'fnnn'"),
        ('["a b"]\nbase = "iris_fnn"', "Preset name 'a b' must consist of letters"),
    ],
)
def test_a_bad_file_is_one_line_with_its_name(text, words):
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.load_presets(write(text))
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.toml") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("nowhere.toml", "nowhere.toml: no such file."),
        (".toml", "Unknown preset '.toml'"),
        ("mine.toml:chrn_fnn", "has no preset 'chrn_fnn'. Did you mean 'churn_fnn'?"),
    ],
)
def test_a_word_that_means_no_preset(word, words, capsys):
    write(MINE)
    assert main(["train", word]) == 2
    assert words in capsys.readouterr().err


def test_what_a_family_does_not_take_or_must_have_is_said_before_it_is_built():
    write(START + "[x.config]\ninput_shape = [3]\nnum_heads = 2\noutputs = 2\n")
    with pytest.raises(kzoo.KzooError, match="Cannot build 'x': its family takes no 'num_heads'"):
        kzoo.build("mine.toml")
    write(START + "[x.config]\noutputs = 2\n")
    with pytest.raises(kzoo.KzooError, match="Cannot build 'x': its config says no 'input_shape'"):
        kzoo.build("mine.toml")
