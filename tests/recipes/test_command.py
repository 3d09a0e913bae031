"""The line that a recipe's table keeps repeats it, and names no folder of the machine."""

import json


def test_a_recipe_keeps_its_command(smoke):
    (file,) = smoke("foundations/neuron").folder.rglob("neuron.json")
    assert json.loads(file.read_text())["command"] == "python recipes/foundations/neuron.py --smoke"


def test_files_are_named_without_their_folder():
    from kzoo.recipes.script import _command

    words = ["--data", "/home/me/my photos/ETTh1.csv", "--out=/tmp/x", "--horizon", "96"]
    assert _command("series_forecast", words) == "python recipes/series_forecast.py --data ETTh1.csv --horizon 96"
    assert _command("iris_fnn", ["--out", "/tmp/deep/out", "--smoke"]) == "python recipes/iris_fnn.py --smoke"
