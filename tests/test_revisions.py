"""Revisions: the name of a preset means its newest revision, and released presets do not change."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.zoo.registry import catalogue
from kzoo.zoo.registry.family import builder_of

RELEASED = Path(__file__).with_name("released.json")
SMALL = dict(
    config=dict(inputs="rows", input_shape=(4,), outputs=3), training=dict(epochs=1, min_steps=0)
)


def preset(name, units, **more):
    settings = SMALL | dict(config=SMALL["config"] | dict(units=units))
    return kzoo.Preset(
        name=name,
        family="fnn",
        task="tabular_classification",
        summary="Of a test.",
        dataset="iris",
        **settings | more,
    )


@pytest.fixture
def better(monkeypatch):
    """A preset with two revisions: its name means the second."""
    kzoo.list_presets()  # which reads the catalogue
    monkeypatch.setattr(catalogue, "_presets", dict(catalogue._presets))
    monkeypatch.setattr(catalogue, "_owners", dict(catalogue._owners))
    kzoo.register(preset("flower_fnn", (8,), revision=2))
    kzoo.register(preset("flower_fnn@1", (4,)))


def train(name, out, **more):
    return kzoo.train(name, out=out, callbacks="quick", progress=False, baselines=False, **more)


def test_a_name_means_its_newest_revision_and_earlier_revisions_stay_available(better):
    assert [
        kzoo.get_preset(name).revision for name in ("flower_fnn", "flower_fnn@2", "flower_fnn@1")
    ] == [2, 2, 1]
    assert kzoo.get_preset("flower_fnn@2") is kzoo.get_preset("flower_fnn")
    models = [kzoo.build(name) for name in ("flower_fnn", "flower_fnn@1")]
    assert [model.get_layer("hidden1_dense").units for model in models] == [8, 4]
    assert [model.name for model in models] == ["flower_fnn"] * 2
    assert [kzoo.spec_of(model)["revision"] for model in models] == [2, 1]
    assert kzoo.list_presets("flower_*") == ["flower_fnn"] and kzoo.list_presets("flower_*@*") == [
        "flower_fnn@1"
    ]
    assert kzoo.get_preset("tabular_fnn@1") is kzoo.get_preset("tabular_fnn")


def test_an_unknown_revision_is_refused_and_the_existing_revisions_are_listed(better, capsys):
    for name, parts in (
        ("flower_fnn@3", ("'flower_fnn'", "revision", "'3'", "1, 2")),
        ("tabular_fnn@new", ("'tabular_fnn'", "revision", "'new'", "1")),
        ("flower_fnm@1", ("preset", "'flower_fnm'", "'flower_fnn'")),
    ):
        with refuses(*parts):
            kzoo.build(name)
    assert main(["show", "tabular_fnn@7"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert_mentions(line, "kzoo", "'tabular_fnn'", "revision", "'7'", "1")
    with refuses("'flower_fnn'", "revision=0", "1"):
        preset("flower_fnn", (8,), revision=0)


def test_a_run_records_the_revision_of_its_preset(better, tmp_path, capsys):
    run = train("flower_fnn@1", tmp_path / "run")
    assert run.config["spec"]["preset"] == "flower_fnn@1" and kzoo.spec_of(run)["revision"] == 1
    assert run.config["command"].startswith("kzoo train flower_fnn@1")
    assert run.model.get_layer("hidden1_dense").units == 4 and run.model.name == "flower_fnn"
    assert_mentions(kzoo.report(run).read_text(), "flower_fnn@1", "revision 1")
    # the network of the weights
    assert kzoo.build("flower_fnn", weights=run).get_layer("hidden1_dense").units == 4


def test_a_run_of_an_earlier_revision_opens_and_is_not_resumed_with_the_newer_revision(
    better, tmp_path
):
    names = dict(catalogue._presets)
    catalogue._presets["flower_fnn"] = preset("flower_fnn", (4,))
    run = train("flower_fnn", tmp_path / "run")
    catalogue._presets.update(names)
    assert kzoo.Run(run.path).model.get_layer("hidden1_dense").units == 4
    with refuses("spec.revision") as caught:
        train("flower_fnn", run.path)
    assert_mentions(str(caught.value).partition("spec.revision")[2], "1", "2")
    del catalogue._presets["flower_fnn"]  # a run opens without its preset too
    assert kzoo.predict(kzoo.Run(run.path), np.array([[5.0, 3.0, 1.5, 0.2]])).labels


def test_a_run_without_a_revision_opens_as_before(tmp_path):
    run = train("iris_fnn", tmp_path / "run", epochs=1)
    config = json.loads((run.path / "config.json").read_text())
    assert config["spec"].pop("revision") == 1
    (run.path / "config.json").write_text(json.dumps(config))
    old = kzoo.Run(run.path)
    assert old.spec.revision is None and old.model.count_params() == run.model.count_params()
    assert train("iris_fnn", run.path, epochs=1).path == run.path  # the same run, which is finished
    assert "revision" not in old.config["spec"] and kzoo.report(old).is_file()


def test_a_preset_file_can_set_a_revision_and_a_preset_with_a_base_begins_with_revision_1(
    better, tmp_path
):
    again = tmp_path / "again.toml"
    text = kzoo.preset_to_toml(kzoo.get_preset("flower_fnn"))
    assert "revision = 2" in text
    again.write_text(
        text.replace("flower_fnn", "other_fnn") + '\n[mine_fnn]\nbase = "flower_fnn@1"\n'
    )
    kzoo.load_presets(again)
    assert kzoo.get_preset("other_fnn").revision == 2
    assert (kzoo.get_preset("mine_fnn").revision, kzoo.get_preset("mine_fnn").config["units"]) == (
        1,
        (4,),
    )


# ---------------------------------------------------------------- released presets


def settings_now():
    """Return `NAME@REVISION` -> family, task, and all settings of each preset of the catalogue."""
    settings = {}
    for name in kzoo.list_presets(["*", "*@*"]):
        it = kzoo.get_preset(name)
        if catalogue._owners[it.name].startswith("kzoo."):
            parts = dict(family=it.family, task=it.task, config=it.config, training=it.training)
            settings[f"{name.partition('@')[0]}@{it.revision}"] = json.loads(json.dumps(parts))
    return settings


def broken_promises(released, now):
    """Return a line for each preset that has changed since its release. A new setting must have its default value."""
    lines = []
    for name, was in released.items():
        if name not in now:
            lines.append(f"{name} is gone: released revisions must stay available.")
            continue
        changed = [part for part in ("family", "task") if was[part] != now[name][part]]
        changed += [
            k
            for part in ("config", "training")
            for k, v in was[part].items()
            if now[name][part].get(k, v) != v
        ]
        defaults = builder_of(was["family"]).defaults
        for k in set(now[name]["config"]) - set(was["config"]):
            changed += (
                [k] if json.loads(json.dumps(now[name]["config"][k] != defaults.get(k))) else []
            )
        if changed:
            words = ", ".join(sorted(changed))
            lines.append(
                f"{name} was released, and {words} changed: make it revision {int(name.split('@')[1]) + 1}."
            )
    return lines


def test_no_released_preset_has_changed_without_a_new_revision():
    assert broken_promises(json.loads(RELEASED.read_text()), settings_now()) == []


def test_a_changed_and_a_removed_preset_are_noticed(better):
    now = settings_now()
    assert "tabular_fnn@1" in now and broken_promises(now, now) == []
    changed = json.loads(json.dumps(now))
    changed["tabular_fnn@1"]["training"]["epochs"] += 1
    del changed["iris_fnn@1"]
    assert [line.split(":")[0] for line in broken_promises(now, changed)] == [
        "iris_fnn@1 is gone",
        "tabular_fnn@1 was released, and epochs changed",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Write the settings of all presets into released.json."
    )
    parser.add_argument("--release", action="store_true", required=True)
    parser.parse_args()
    RELEASED.write_text(
        json.dumps(json.loads(RELEASED.read_text()) | settings_now(), indent=1, sort_keys=True)
        + "\n"
    )
