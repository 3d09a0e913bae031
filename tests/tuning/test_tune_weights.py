"""Trials that begin with trained weights: what they keep, what is searched then, and what a search remembers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kzoo
from kzoo.cli import main
from kzoo.utils.errors import KzooError

pytestmark = pytest.mark.usefixtures("warm_children_of_the_module")
QUICK = dict(trials=2, epochs=1, engine="random", progress=False)
BEGUN = dict(weights="digits", freeze="block1*")


@pytest.fixture(scope="module")
def begun(tmp_path_factory, warm_children_of_the_module):
    """A search whose trials begin with what is in the package."""
    return kzoo.tune("digits_cnn", out=tmp_path_factory.mktemp("begun") / "search", **QUICK, **BEGUN)


@pytest.fixture(scope="module")
def digits_run(begun):
    return begun.retrain(on="train", epochs=1, out=begun.path.parent / "run", progress=False)


def kernel(model):
    return model.get_layer("block1_conv1").get_weights()[0]


def test_every_trial_begins_with_them_and_keeps_what_is_frozen(begun):
    stored = kernel(kzoo.build("digits_cnn", weights="digits"))
    for trial in begun.trials:
        assert trial.history["val_accuracy"][0] > 0.9, "one epoch of a fresh network comes to a half"
        kept = kzoo.load_model(begun.path / "trials" / f"{trial.number:04d}" / "best.keras")
        np.testing.assert_array_equal(kernel(kept), stored)


def test_the_network_is_not_searched_but_how_it_learns_is(begun):
    names = {parameter.name for parameter in begun.parameters}
    assert {"optimizer", "batch_size", "units_dropout"} <= names
    assert not {"filters_scale", "stages", "depth", "kernel_size", "activation", "norm"} & names
    assert all(trial.params == begun.trials[0].params for trial in begun.trials)


def test_what_is_left_out_and_known_before_is_said(digits_run, tmp_path, capsys):
    kzoo.tune("digits_cnn", weights="digits", dry_run=True, **QUICK | dict(progress=True))
    said = capsys.readouterr().err
    assert "Trials begin with weights='digits'." in said and "another split" not in said
    assert "not searched are filters_scale, stages, depth, kernel_size, activation, norm." in said
    kzoo.tune("digits_cnn", weights=digits_run, data_seed=1, dry_run=True, **QUICK | dict(progress=True))
    assert "were trained on another split of digits" in capsys.readouterr().err


def test_the_same_search_goes_on_and_another_is_refused(begun):
    asked = dict(out=begun.path, **QUICK)
    assert len(kzoo.tune("digits_cnn", **asked, **BEGUN).trials) == 2
    with pytest.raises(KzooError, match="weights: digits there, None now"):
        kzoo.tune("digits_cnn", **asked)
    with pytest.raises(KzooError, match=r"freeze: block1\* there, block2\* now"):
        kzoo.tune("digits_cnn", weights="digits", freeze="block2*", **asked)


def test_the_winner_begins_with_them_too(begun, digits_run):
    assert digits_run.config["weights"] == "digits" and digits_run.config["freeze"] == "block1*"
    again = kzoo.Search(begun.path).retrain(on="train", epochs=1, out=begun.path.parent / "again", progress=False)
    assert again.config["weights"] == "digits"  # a word is at hand wherever the package is
    np.testing.assert_array_equal(kernel(again.model), kernel(digits_run.model))


def test_a_run_s_weights_are_asked_for_where_they_are_not_at_hand(digits_run, tmp_path):
    search = kzoo.tune("digits_cnn", weights=digits_run.path, out=tmp_path / "search", **QUICK | dict(trials=1))
    assert search.config["weights"] == "run" and str(tmp_path) not in (search.path / "search.json").read_text("utf-8")
    assert search.retrain(epochs=1, out=tmp_path / "one", progress=False).config["weights"] == "run"
    opened = kzoo.Search(search.path)
    with pytest.raises(KzooError, match="began with 'run': give it, with weights="):
        opened.retrain(epochs=1, out=tmp_path / "two", progress=False)
    with pytest.raises(KzooError, match="it holds other weights"):
        opened.retrain(epochs=1, out=tmp_path / "two", progress=False, weights="digits")
    with pytest.raises(KzooError, match="does not exist"):
        opened.retrain(epochs=1, out=tmp_path / "two", progress=False, weights=tmp_path / "nowhere")
    page = kzoo.report(opened, out=tmp_path / "page.html").read_text("utf-8")
    assert "search.retrain(weights=weights)" in page and "<th>Weights</th>" in page


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(freeze=True), "freeze= needs weights="),
        (dict(weights="nowhere"), "weights='nowhere' does not exist"),
        (dict(weights="imagenet"), "is for networks with a backbone"),
        (dict(weights=np.ones(3)), "each trial opens them anew"),
        (dict(weights="digits", freeze="nothing*"), "matches no layer"),
        (dict(weights="digits", space=kzoo.space("digits_cnn").only("depth", "norm")), "nothing else to search"),
    ],
)
def test_weights_that_no_trial_could_begin_with(options, says, tmp_path):
    with pytest.raises(KzooError, match=says):
        kzoo.tune("digits_cnn", out=tmp_path / "search", **QUICK, **options)
    assert not (tmp_path / "search").exists()


def test_files_of_this_machine_are_not_for_others(digits_run, tmp_path):
    with pytest.raises(KzooError, match="lies on this machine, and executor= trains on others"):
        kzoo.tune(
            "digits_cnn", weights=digits_run.path, executor=ThreadPoolExecutor(1), out=tmp_path / "search", **QUICK
        )


def test_a_function_begins_with_weights_of_its_own(tmp_path):
    with pytest.raises(KzooError, match="weights= and freeze= are for presets"):
        kzoo.tune(lambda hp: None, "iris", weights="digits", out=tmp_path / "search", **QUICK)


def test_the_command_begins_with_them_and_names_them(tmp_path, capsys):
    words = ["tune", "digits_cnn", "--weights", "digits", "--freeze", "block1*", "--trials", "1", "--epochs", "1"]
    folder = str(tmp_path / "search")
    assert main([*words, "--engine", "random", "--no-baseline", "--out", folder, "--quiet"]) == 0
    assert "kzoo train digits_cnn --weights digits --freeze 'block1*' --set" in capsys.readouterr().out
    assert kzoo.Search(folder).config["weights"] == "digits"
    assert main(["tune", "digits_cnn", "--weights", "nowhere"]) == 2
    assert "--weights 'nowhere' does not exist" in capsys.readouterr().err
