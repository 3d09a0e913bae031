"""Trials that start from trained weights: frozen layers, the searched settings, resuming and retraining."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses
from shortcuts import in_this_process

import kzoo
from kzoo.cli import main

pytestmark = pytest.mark.usefixtures("trials_in_this_process")
QUICK = dict(trials=2, epochs=1, max_steps=4, engine="random", progress=False)
BEGUN = dict(weights="digits", freeze="block1*")
SHAPE = "filters_scale, stages, depth, kernel_size, activation, norm"  # settings that weights fix


@pytest.fixture(scope="module")
def trials_in_this_process(untraced_module):
    with in_this_process():
        yield


@pytest.fixture(scope="module")
def begun(tmp_path_factory, trials_in_this_process):
    """A search whose trials start from weights of the package."""
    return kzoo.tune(
        "digits_cnn", out=tmp_path_factory.mktemp("begun") / "search", **QUICK, **BEGUN
    )


@pytest.fixture(scope="module")
def digits_run(begun):
    return begun.retrain(on="train", epochs=1, out=begun.path.parent / "run", progress=False)


def kernel(model):
    return model.get_layer("block1_conv1").get_weights()[0]


def test_every_trial_starts_from_the_weights_and_frozen_layers_stay_the_same(begun):
    stored = kernel(kzoo.build("digits_cnn", weights="digits"))
    for trial in begun.trials:
        assert trial.history["val_accuracy"][0] > 0.9, (
            "a fresh network reaches about 0.5 after an epoch"
        )
        model = kzoo.load_model(begun.path / "trials" / f"{trial.number:04d}" / "best.keras")
        np.testing.assert_array_equal(kernel(model), stored)


def test_settings_of_the_training_are_searched_and_those_of_the_network_are_not(begun):
    names = {parameter.name for parameter in begun.parameters}
    assert {"optimizer", "batch_size", "units_dropout"} <= names
    assert not {"filters_scale", "stages", "depth", "kernel_size", "activation", "norm"} & names
    assert all(trial.params == begun.trials[0].params for trial in begun.trials)


def test_notes_list_the_excluded_settings_and_warn_of_another_split(digits_run, tmp_path, capsys):
    kzoo.tune("digits_cnn", weights="digits", dry_run=True, **QUICK | dict(progress=True))
    lines = capsys.readouterr().err.splitlines()
    assert_mentions(" ".join(lines), "weights='digits'")
    assert any(not missing_from(line, ("network", SHAPE)) for line in lines)
    assert all(missing_from(line, ("digits", "split")) for line in lines)  # no warning of seen rows
    kzoo.tune(
        "digits_cnn", weights=digits_run, data_seed=1, dry_run=True, **QUICK | dict(progress=True)
    )
    lines = capsys.readouterr().err.splitlines()
    assert any(
        not missing_from(line, ("weights='run'", "digits", "split", "validation")) for line in lines
    )


def test_only_the_same_weights_resume_a_search(begun):
    options = dict(out=begun.path, **QUICK)
    assert len(kzoo.tune("digits_cnn", **options, **BEGUN).trials) == 2
    with refuses(str(begun.path), "weights", "digits", "None", "resume='never'"):
        kzoo.tune("digits_cnn", **options)
    with refuses(str(begun.path), "freeze", "block1*", "block2*", "resume='never'"):
        kzoo.tune("digits_cnn", weights="digits", freeze="block2*", **options)


def test_the_retrained_winner_starts_from_the_weights(begun, digits_run):
    assert digits_run.config["weights"] == "digits" and digits_run.config["freeze"] == "block1*"
    again = kzoo.Search(begun.path).retrain(
        on="train", epochs=1, out=begun.path.parent / "again", progress=False
    )
    assert again.config["weights"] == "digits"  # the package has weights of this name
    np.testing.assert_array_equal(kernel(again.model), kernel(digits_run.model))


def test_retraining_an_opened_search_needs_the_weights_of_its_run(digits_run, tmp_path):
    search = kzoo.tune(
        "digits_cnn", weights=digits_run.path, out=tmp_path / "search", **QUICK | dict(trials=1)
    )
    assert search.config["weights"] == "run" and str(tmp_path) not in (
        search.path / "search.json"
    ).read_text("utf-8")
    assert (
        search.retrain(epochs=1, out=tmp_path / "first", progress=False).config["weights"] == "run"
    )
    opened = kzoo.Search(search.path)
    with refuses(str(search.path), "'run'", "weights="):
        opened.retrain(epochs=1, out=tmp_path / "second", progress=False)
    with refuses("weights='digits'", str(search.path), "weights"):
        opened.retrain(epochs=1, out=tmp_path / "second", progress=False, weights="digits")
    with refuses(f"weights={str(tmp_path / 'nowhere')!r}", ".keras", ".weights.h5"):
        opened.retrain(
            epochs=1, out=tmp_path / "second", progress=False, weights=tmp_path / "nowhere"
        )
    page = kzoo.report(opened, out=tmp_path / "page.html").read_text("utf-8")
    assert "search.retrain(weights=weights)" in page
    assert any(not missing_from(name, ("weights",)) for name in re.findall("<th>(.*?)</th>", page))


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(freeze=True), ("freeze=", "weights=")),
        (
            dict(weights="nowhere"),
            ("weights='nowhere'", ".keras", ".weights.h5", "digits_cnn", "digits"),
        ),
        (
            dict(weights="imagenet"),
            ("weights='imagenet'", "backbone", "image_pretrained", "digits_cnn"),
        ),
        (dict(weights=np.ones(3)), ("weights=array([1., 1., 1.])", "trial", "folder", "file")),
        (
            dict(weights="digits", freeze="nothing*"),
            ("freeze='nothing*'", "block1_conv1, block1_norm1"),
        ),
        (
            dict(weights="digits", space=kzoo.space("digits_cnn").only("depth", "norm")),
            ("weights=", "space", "search"),
        ),
    ],
)
def test_weights_that_no_trial_can_start_from_are_refused(options, parts, tmp_path):
    with refuses(*parts):
        kzoo.tune("digits_cnn", out=tmp_path / "search", **QUICK, **options)
    assert not (tmp_path / "search").exists()


def test_local_weights_are_refused_with_an_executor(digits_run, tmp_path):
    with refuses("weights='run'", "machine", "executor="):
        kzoo.tune(
            "digits_cnn",
            weights=digits_run.path,
            executor=ThreadPoolExecutor(1),
            out=tmp_path / "search",
            **QUICK,
        )


def test_weights_are_refused_for_a_function(tmp_path):
    with refuses("weights=", "freeze=", "presets", "function"):
        kzoo.tune(lambda hp: None, "iris", weights="digits", out=tmp_path / "search", **QUICK)


def test_the_command_line_uses_and_prints_the_weights(tmp_path, capsys):
    command = [
        "tune",
        "digits_cnn",
        "--weights",
        "digits",
        "--freeze",
        "block1*",
        "--trials",
        "1",
        "--epochs",
        "1",
        "--set",
        "max_steps=4",
    ]
    folder = str(tmp_path / "search")
    assert main([*command, "--engine", "random", "--no-baseline", "--out", folder, "--quiet"]) == 0
    assert_mentions(
        capsys.readouterr().out, "kzoo train digits_cnn --weights digits --freeze 'block1*' --set"
    )
    assert kzoo.Search(folder).config["weights"] == "digits"
    assert main(["tune", "digits_cnn", "--weights", "nowhere"]) == 2
    assert_mentions(capsys.readouterr().err, "--weights 'nowhere'", ".keras", ".weights.h5")
