"""A recipe as a command: its table has the line that repeats it, without folders of the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import kzoo

RECIPE = Path(__file__).parents[2] / "recipes" / "foundations" / "neuron.py"


def test_a_recipe_stores_its_command(tmp_path, warm_children):
    words = [sys.executable, str(RECIPE), "--out", str(tmp_path / "deep" / "out"), "--smoke"]
    subprocess.run(words, check=True, capture_output=True, env=os.environ)
    (file,) = (tmp_path / "deep").rglob("neuron.json")
    assert json.loads(file.read_text())["command"] == "python recipes/foundations/neuron.py --smoke"


def test_a_tilde_in_out_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["mine.py", "--out=~/made"])
    assert kzoo.recipes.arguments("mine", "").out == str(tmp_path / "made")


def test_files_are_named_without_their_folder():
    from kzoo.recipes.script import _command

    words = ["--data", "/home/me/my photos/ETTh1.csv", "--out=/tmp/x", "--horizon", "96"]
    assert (
        _command("series_forecast", words)
        == "python recipes/series_forecast.py --data ETTh1.csv --horizon 96"
    )
    assert (
        _command("iris_fnn", ["--out", "/tmp/deep/out", "--smoke"])
        == "python recipes/iris_fnn.py --smoke"
    )


def test_a_folder_named_like_a_data_set_has_a_slash_in_the_command(tmp_path):
    from kzoo.recipes.script import _command

    folder = tmp_path / "cifar10"
    folder.mkdir()
    for word in (str(folder), f"{folder}/"):
        assert (
            _command("cifar_speed", ["--data", word])
            == "python recipes/cifar_speed.py --data cifar10/"
        )
    assert (
        _command("cifar_speed", ["--data", "cifar10"])
        == "python recipes/cifar_speed.py --data cifar10"
    )
