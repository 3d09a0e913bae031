"""The folder of a search: which search may use it, resuming, failed trials, and the files on disk."""

import json
import re

import pytest
from messages import assert_mentions, refuses
from stand_in import StandIn

import kzoo
from kzoo.cli import main
from kzoo.training.folder import locked
from kzoo.tuning import folder
from kzoo.tuning.records import Outcome


def test_4_a_second_process_is_refused(search, tmp_path):
    search()
    with locked(tmp_path / "search"), refuses("process", "search", "folder"):
        search(trials=20)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (dict(space="standard"), ("space.size", "quick", "standard")),
        (dict(epochs=10), ("epochs", "9", "10")),
        (dict(units=(4,)), ("spec.config.units", "[64, 32]", "[4]")),
        (dict(data="wine"), ("data.name", "iris", "wine")),
        (dict(preset="iris_fnn_wide"), ("preset", "iris_fnn", "iris_fnn_wide")),
        (dict(engine="bayesian"), ("engine", "random", "bayesian")),
        (dict(seed=1), ("seed", "0", "1")),
        (dict(objective="val_loss"), ("objective.name", "val_accuracy", "val_loss")),
        (dict(data_seed=1), ("data.data_seed", "0", "1")),
    ],
)
def test_5_a_different_search_is_refused_with_the_difference(search, change, parts):
    search(engine="random", trials=3)
    before = StandIn.trained
    with refuses("search", *parts, "resume='never'"):
        search(**dict(engine="random", trials=3) | change)
    assert StandIn.trained == before


def test_resume_must_and_never(search):
    with refuses("resume='must'", "search", "resume='auto'"):
        search(resume="must")
    search(trials=3)
    search(trials=3, epochs=4, resume="never")
    assert [r["epochs"] for r in search(trials=3, epochs=4, resume="must").trials] == [4, 4, 4]


def test_without_out_a_second_search_gets_a_new_folder(search, tmp_path):
    first = search(None, trials=3)
    second = search(None, trials=3)
    assert (first.path.name, second.path.name) == ("iris_fnn-01", "iris_fnn-02")
    assert not list(tmp_path.glob("searches/*/.*"))


def test_folders_with_other_files_are_refused(search, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/text.txt").write_text("mine")
    with refuses("out='thesis'", "files", "search", "folder"):
        search("thesis")
    with refuses("out='thesis/text.txt'", "file", "folder"):
        search("thesis/text.txt")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["text.txt"]


def test_2_a_search_killed_in_its_first_write_starts_again(search, tmp_path):
    (tmp_path / "search").mkdir()
    for name in (".preprocessing-a1b2c3d4.json", "worker.log"):
        (tmp_path / "search" / name).write_text("{")
    assert len(search(trials=2).trials) == 2
    assert not list((tmp_path / "search").glob(".*"))


def test_7_failed_trials_do_not_end_a_search(search):
    StandIn.fail = staticmethod(
        lambda overrides, seed: "out of memory" if seed in (1, 2, 3, 4) else None
    )
    tuned = search(engine="random")
    assert [r["status"] for r in tuned.trials] == ["completed", *["failed"] * 4, *["completed"] * 7]
    board = tuned.leaderboard()
    assert list(board.error[-4:]) == ["out of memory"] * 4 and board.score[-4:].isna().all()


@pytest.mark.parametrize("engine", ["bayesian", "hyperband", "optuna", "grid"])
def test_7_engines_continue_after_failed_trials(search, engine):
    if engine == "optuna":
        pytest.importorskip("optuna")
    StandIn.fail = staticmethod(lambda overrides, seed: "no" if seed % 3 == 1 else None)
    tuned = search(engine=engine, trials=12)
    assert len(tuned.trials) >= 12 and any(r["status"] == "failed" for r in tuned.trials)
    assert tuned.best_trial()["score"] > 0


def test_7_when_all_trials_fail_the_causes_are_listed(search):
    StandIn.fail = staticmethod(lambda overrides, seed: "no memory" if seed % 2 else "no disk")
    with refuses("no disk", "no memory", "5", "search") as caught:
        search(engine="random", trials=30)  # it gives up after ten of them
    assert re.findall(r"\d+", str(caught.value)).count("5") == 2  # for each cause
    with refuses("1", "no disk", "other"):
        search("other", engine="random", trials=1)


def test_leaderboard_on_disk_and_in_memory(search):
    tuned = search(engine="random", trials=5)
    board = tuned.leaderboard()
    assert list(board["rank"]) == [1, 2, 3, 4, 5] and list(board.score) == sorted(
        board.score, reverse=True
    )
    baseline = board[board.baseline].score.item()
    assert (board.gain - (board.score - baseline)).abs().max() < 1e-12
    rows = json.loads((tuned.path / "leaderboard.json").read_text())
    assert [r["trial"] for r in rows] == list(board.trial) and rows[0]["hyperparameters"]
    assert (tuned.path / "leaderboard.csv").read_text().count("\n") == 6
    assert {"hp.dropout", "hp.learning_rate", "parameters", "seconds", "best_epoch"} <= set(board)


def test_the_preset_wins_a_tie(search, monkeypatch):
    same = Outcome(status="completed", score=0.5, best_epoch=1, epochs=1, seconds=0.1, params=1)
    monkeypatch.setattr(StandIn, "train", lambda self, **_: same)
    assert search().best_trial()["trial"] == 0


def test_1_a_search_works_without_tensorboard(search, monkeypatch):
    monkeypatch.setattr(folder, "find_spec", lambda name: None)
    tuned = search(trials=2)
    assert len(tuned.trials) == 2 and not (tuned.path / "tensorboard").exists()


def test_12_tensorboard_has_each_trial_with_its_hyperparameters(search):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    tuned = search(trials=3)
    for record in tuned.trials:
        events = EventAccumulator(str(tuned.path / f"tensorboard/{record['trial']:04d}"))
        events.Reload()
        assert events.Scalars("score")[0].value == pytest.approx(record["score"])
        assert len(events.Scalars("val_accuracy")) == record["epochs"]
        content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
        stored = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        assert set(stored) == set(record["hyperparameters"])
        assert stored["dropout"].number_value == pytest.approx(record["hyperparameters"]["dropout"])


def test_an_override_is_fixed_and_not_searched(search):
    tuned = search(engine="random", space="standard", optimizer="adamw", dropout=0.1, trials=8)
    for record in tuned.trials:
        assert not {"optimizer", "dropout"} & set(record["hyperparameters"])
        fixed = dict(optimizer="adamw", dropout=0.1)
        assert {n: record["overrides"].get(n, v) for n, v in fixed.items()} == fixed
    assert tuned.config["spec"]["training"]["optimizer"] == "adamw"


def test_a_plan_states_its_cost_and_writes_nothing(search, tmp_path):
    plan = search(engine="bayesian", trials=20, dry_run=True)
    assert (plan.trials, plan.epochs, plan.random) == (20, 180, 4)
    assert_mentions(str(plan), "20 trials", "180 epochs", "4", "20%")
    assert list(tmp_path.iterdir()) == [] and StandIn.trained == ()


def test_the_command_line(search, capsys, tmp_path):
    command = [
        "tune",
        "iris_fnn",
        "--trials",
        "4",
        "--epochs",
        "3",
        "--space",
        "quick",
        "--out",
        "cli",
        "--quiet",
    ]
    assert main(command) == 0
    assert_mentions(
        capsys.readouterr().out, "4 trials", "val_accuracy", "leaderboard", "leaderboard.csv"
    )
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["trials"] == 4 and document["search"] == "cli"
    assert main([*command, "--epochs", "5"]) == 2
    assert_mentions(capsys.readouterr().err, "cli", "epochs", "3", "5", "--resume 'never'")
    assert main([*command, "--dry-run"]) == 0
    assert_mentions(capsys.readouterr().out, "4 trials", "12 epochs")


def test_a_search_can_be_opened_again(search):
    tuned = kzoo.Search(search(trials=3).path)
    assert tuned.objective == ("val_accuracy", "max") and tuned.finished and len(tuned.trials) == 3
    with refuses("nowhere", "search", "kzoo.tune"):
        kzoo.Search("nowhere")


@pytest.mark.parametrize(("preset", "standardised"), [("diabetes_fnn", True), ("iris_fnn", False)])
def test_only_scores_of_regression_are_in_standardised_units(search, capsys, preset, standardised):
    search(preset=preset, trials=2, progress=True)
    assert ("standardised" in capsys.readouterr().err) == standardised
