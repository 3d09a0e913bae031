"""A real search: its leaderboard, its report, and its winner as a preset and as a retrained run."""

import contextlib
import io
import json
import re
import shutil
from dataclasses import replace

import pytest
from messages import assert_mentions, missing_from, refuses
from shortcuts import tune_here, untraced

import kzoo
from kzoo.cli import main
from kzoo.tuning.records import Outcome
from kzoo.tuning.winner import best_epoch

pytestmark = pytest.mark.usefixtures("untraced", "undrawn")


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "search"
    with untraced():
        return tune_here(
            "iris_fnn", trials=3, epochs=2, space="quick", batch_size=64, out=folder, progress=False
        )


@pytest.fixture(scope="module")
def over_folds(tmp_path_factory):
    """A search whose scores are means over folds, and its output."""
    folder = tmp_path_factory.mktemp("folds") / "search"
    output = io.StringIO()
    with contextlib.redirect_stderr(output), untraced():
        search = tune_here(
            "iris_fnn",
            "iris",
            trials=2,
            epochs=1,
            space="quick",
            folds=2,
            batch_size=64,
            out=folder,
        )
    return search, output.getvalue()


def test_a_search_can_be_plotted_and_reported(search, tmp_path):
    for kind in ("history", "curves"):
        search.plot(kind).savefig(tmp_path / f"{kind}.png")
        assert (tmp_path / f"{kind}.png").stat().st_size > 5000
    page = kzoo.report(search).read_text(encoding="utf-8")
    assert_mentions(re.search("<title>(.*?)</title>", page)[1], "iris_fnn", "iris")
    assert_mentions(page, "3 of 3", "3 completed")
    assert page.count("<svg") == 2  # none of importance
    assert_mentions(re.search(r">([^<>]*trials=30[^<>]*)<", page)[1], "importance", "15", "3")


def test_the_command_line_prints_its_leaderboard(search, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # a narrow terminal shows fewer columns
    assert main(["compare", str(search.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 5
    assert_mentions(
        lines[1],
        "rank",
        "trial",
        "status",
        "score",
        "gain",
        "epoch",
        "seconds",
        "parameters",
        "preset",
    )
    (baseline,) = (line for line in lines[2:5] if line.split()[1] == "0")
    assert_mentions(baseline, "completed", "+0.0000", "2,499", "preset")


def test_opening_a_search_as_a_run_suggests_retrain(search):
    with refuses("search", "run", f"kzoo.Search({str(search.path)!r}).retrain()"):
        kzoo.Run(search.path)


def test_retrained_preset_and_winner_can_be_compared(search, tmp_path):
    number = search.leaderboard()["trial"][1]
    runs = {
        n: search.retrain(trial=int(n), out=tmp_path / f"{n}", progress=False) for n in (0, number)
    }
    preset = kzoo.get_preset("iris_fnn")
    assert runs[0].config["spec"]["config"]["units"] == list(preset.config["units"])
    for n, run in runs.items():
        spec = search.spec_of(search.trials[n])
        assert run.config["spec"]["training"]["learning_rate"] == spec["training"]["learning_rate"]
        assert run.summary["parameters"] == search.trials[n]["params"]
    rows = kzoo.compare([tmp_path, search]).to_dict("records")
    assert {row["split"] for row in rows} == {"test", "validation"}
    assert len({row["group"] for row in rows}) == 2


def test_of_epochs_with_equal_scores_the_lowest_loss_is_best():
    """On few validation rows the first may be lucky: retrained for 6 instead of 17 epochs, a winner lost 11 points."""
    history = {"val_accuracy": [0.5, 1.0, 0.9, 1.0, 1.0], "val_loss": [2.0, 1.5, 0.1, 0.7, None]}
    trial = Outcome(status="completed", best_epoch=2, score=1.0, history=history)
    assert best_epoch(trial, "val_accuracy") == 4
    assert best_epoch(replace(trial, best_epoch=3), "val_loss") == 3
    assert (
        best_epoch(
            replace(trial, history={"val_accuracy": history["val_accuracy"]}), "val_accuracy"
        )
        == 2
    )


def test_a_winner_with_a_schedule_is_retrained_for_all_epochs(tmp_path):
    options = dict(
        trials=1, epochs=3, schedule="cosine", learning_rate=1e-6, batch_size=64, progress=False
    )
    search = tune_here("iris_fnn", "iris", space="quick", out=tmp_path / "search", **options)
    record = search.path / "trials" / "0000" / "trial.json"
    record.write_text(
        record.read_text().replace(
            f'"best_epoch": {search.trials[0]["best_epoch"]}', '"best_epoch": 1'
        )
    )
    assert search.retrain(out=tmp_path / "run", progress=False).summary["epochs"] == 3


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A search whose points imply further settings: a warm-up, epochs, patience."""
    original = kzoo.get_preset("iris_fnn")
    preset = replace(
        original,
        training=original.training | dict(epochs=2, patience=2, min_steps=8, optimizer="sgd"),
    )
    space = kzoo.space(preset, "full").only("schedule", "batch_size")
    space = space.narrow(schedule=["constant", "onecycle"], batch_size=[32, 64])
    folder = tmp_path_factory.mktemp("followed") / "search"
    with untraced():
        return tune_here(
            preset,
            "iris",
            space=space,
            engine="grid",
            trials=4,
            prune=None,
            out=folder,
            progress=False,
        )


def test_retraining_repeats_a_trial_exactly(followed, tmp_path):
    """The fault to prevent: a setting that follows from an override is lost after the trial.

    The schedule "onecycle" implies a warm-up, and a batch size implies as many epochs as the least steps need."""
    lengths = set()
    for trial in followed.trials:
        out = tmp_path / str(trial.number)
        run = followed.retrain(
            trial=trial.number, on="train", out=out, progress=False, baselines=False
        )
        length = len(run.history["loss"])
        if followed.spec_of(trial)["training"]["schedule"] != "constant":
            assert length == trial.epochs
            lengths.add(length)
        assert {name: values[:length] for name, values in trial.history.items()} == {
            name: values for name, values in run.history.items() if name in trial.history
        }
    assert len(lengths) == 2, "batch sizes that need other numbers of epochs"


def test_a_trial_does_not_change_settings_of_the_caller(tmp_path, capsys):
    """Also a value equal to that of the preset: a batch of 64 needs twice the epochs, but patience stays the same."""
    original = kzoo.get_preset("iris_fnn")
    preset = replace(
        original,
        training=original.training | dict(epochs=1, patience=1, min_steps=4, batch_size=32),
    )
    space = kzoo.space(preset, "quick").only("batch_size").narrow(batch_size=[32, 64])
    search = tune_here(
        preset,
        "iris",
        space=space,
        engine="grid",
        trials=2,
        prune=None,
        patience=1,
        callbacks="long",
        ema=0.0,
        out=tmp_path / "search",
    )
    settled = [search.spec_of(trial)["training"] for trial in search.trials]
    assert [(s["epochs"], s["patience"], s["ema"]) for s in settled] == [(1, 1, 0.0), (2, 1, 0.0)]
    lines = capsys.readouterr().err.splitlines()
    assert any(not missing_from(line, ("callbacks='long'", "retrain()")) for line in lines)
    assert (
        search.retrain(out=tmp_path / "run", progress=False, baselines=False).spec.training["ema"]
        == 0.0
    )


def test_implied_settings_are_derived_for_old_records(followed, tmp_path):
    """Records of earlier versions do not contain them."""
    search = kzoo.Search(shutil.copytree(followed.path, tmp_path / "search"))
    for trial in followed.trials:
        record = search.path / "trials" / f"{trial.number:04d}" / "trial.json"
        stored = json.loads(record.read_text())
        assert stored.pop("settled").items() >= trial.overrides.items()
        record.write_text(json.dumps(stored))
        assert search.spec_of(search.trials[trial.number]) == followed.spec_of(trial)


def test_implied_settings_stay_in_the_preset_and_config_of_the_winner(
    followed, tmp_path, registry_as_it_was
):
    search = kzoo.Search(shutil.copytree(followed.path, tmp_path / "search"))
    number = next(
        t.number for t in search.trials if t.overrides == {"schedule": "onecycle", "batch_size": 64}
    )
    record = search.path / "trials" / f"{number:04d}" / "trial.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"score": 2.0}))
    spec = search.best_spec()["training"]
    assert spec["warmup"] == 0.3 and spec["epochs"] > followed.request.spec["training"]["epochs"]
    names = kzoo.load_presets(search.save_preset("followed_iris"))
    options = dict(check=False, baselines=False, progress=False)
    saved = kzoo.train(names[0], "iris", out=tmp_path / "saved", **options)
    again = kzoo.train(
        "iris_fnn", "iris", out=tmp_path / "again", **options, **search.best_config()
    )
    for run in (saved, again):
        trained = run.spec.training
        assert {
            n: trained[n] for n in ("schedule", "warmup", "epochs", "patience", "batch_size")
        } == {n: spec[n] for n in ("schedule", "warmup", "epochs", "patience", "batch_size")}


def test_the_best_model_has_bins_learned_from_the_data(tmp_path):
    """Another number of bins has other edges, which are learned from the training rows."""
    space = kzoo.space("tabular_tabm", "full").only("bins").narrow(bins=[12, 24])
    options = dict(
        trials=2, epochs=1, units=(4,), members=2, batch_size=256, prune=None, progress=False
    )
    search = tune_here(
        "tabular_tabm", "breast_cancer", space=space, out=tmp_path / "search", **options
    )
    record = search.path / "trials" / "0001" / "trial.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"score": 2.0}))
    assert search.best_trial().overrides["bins"] == 12
    assert search.best_model().count_params() == search.best_trial().params
    assert (
        kzoo.build("tabular_tabm", compile=False, **search.best_config()).count_params()
        == search.best_trial().params
    )


def test_a_search_over_folds_prints_that_scores_are_means(over_folds):
    parts = ("val_accuracy", "mean", "2 folds", "epoch 1", "average")
    assert sum(not missing_from(line, parts) for line in over_folds[1].splitlines()) == 2


def test_folds_that_stop_early_at_different_epochs_are_retrained_for_their_mean(
    over_folds, tmp_path
):
    """The history over folds is as long as the shortest of them, and the mean of their best epochs may lie after it."""
    search = kzoo.Search(shutil.copytree(over_folds[0].path, tmp_path / "search"))
    record = search.path / "trials" / "0000" / "trial.json"
    record.write_text(
        record.read_text().replace(
            f'"best_epoch": {search.trials[0]["best_epoch"]}', '"best_epoch": 3'
        )
    )
    assert search.retrain(trial=0, out=tmp_path / "run", progress=False).summary["epochs"] == 3


@pytest.mark.parametrize("trial", [3, -1, True, "0"])
def test_retrain_refuses_an_unknown_trial(search, trial):
    with refuses(f"trial={trial!r}", str(search.path), "0, 1, 2"):
        search.retrain(trial=trial)


def test_the_winner_can_be_trained_as_a_preset(search, tmp_path, registry_as_it_was):
    names = kzoo.load_presets(search.save_preset("real_iris", tmp_path / "real.toml"))
    run = kzoo.train(names[0], "iris", epochs=1, out=tmp_path / "run", progress=False)
    assert (
        run.summary["parameters"]
        == search.best_trial()["params"]
        == kzoo.get_preset(names[0]).params
    )
