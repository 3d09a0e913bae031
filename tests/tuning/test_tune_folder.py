"""A search's folder: whose it is, what may change, what failures leave, and what stays on disk."""

import json

import pytest
from stand_in import StandIn

import kzoo
from kzoo.cli import main
from kzoo.training.folder import locked
from kzoo.tuning import folder
from kzoo.tuning.records import Outcome
from kzoo.utils.errors import KzooError


def test_4_one_process_at_a_time(search, tmp_path):
    search()
    with locked(tmp_path / "search"), pytest.raises(KzooError, match="Another process"):
        search(trials=20)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(space="standard"), "space.size: quick there, standard now"),
        (dict(epochs=10), "epochs: 9 there, 10 now"),
        (dict(units=(4,)), r"spec.config.units: \[64, 32\] there, \[4\] now"),
        (dict(data="wine"), "data.name: iris there, wine now"),
        (dict(preset="iris_fnn_wide"), "preset: iris_fnn there, iris_fnn_wide now"),
        (dict(engine="bayesian"), "engine: random there, bayesian now"),
        (dict(seed=1), "seed: 0 there, 1 now"),
        (dict(objective="val_loss"), "objective.name"),
        (dict(data_seed=1), "data.data_seed"),
    ],
)
def test_5_another_search_is_refused_with_the_difference(search, change, says):
    search(engine="random", trials=3)
    before = StandIn.asked
    with pytest.raises(KzooError, match=says):
        search(**dict(engine="random", trials=3) | change)
    assert StandIn.asked == before


def test_resume_must_and_never(search):
    with pytest.raises(KzooError, match="no search to go on"):
        search(resume="must")
    search(trials=3)
    search(trials=3, epochs=4, resume="never")
    assert [r["epochs"] for r in search(trials=3, epochs=4, resume="must").trials] == [4, 4, 4]


def test_without_out_the_newest_that_is_not_done_goes_on(search, tmp_path):
    one = search(None, trials=3)
    two = search(None, trials=3)
    assert (one.path.name, two.path.name) == ("iris_fnn-01", "iris_fnn-02")
    assert not list(tmp_path.glob("searches/*/.*"))


def test_other_files_are_left_alone(search, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/text.txt").write_text("mine")
    with pytest.raises(KzooError, match="other files and no search"):
        search("thesis")
    with pytest.raises(KzooError, match="is a file"):
        search("thesis/text.txt")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["text.txt"]


def test_2_a_search_killed_in_its_very_first_write_begins_again(search, tmp_path):
    (tmp_path / "search").mkdir()
    for name in (".preprocessing-a1b2c3d4.json", "worker.log"):
        (tmp_path / "search" / name).write_text("{")
    assert len(search(trials=2).trials) == 2
    assert not list((tmp_path / "search").glob(".*"))


def test_7_bad_trials_do_not_end_a_search(search):
    StandIn.fail = staticmethod(lambda overrides, seed: "out of memory" if seed in (1, 2, 3, 4) else None)
    found = search(engine="random")
    assert [r["status"] for r in found.trials] == ["completed", *["failed"] * 4, *["completed"] * 7]
    board = found.leaderboard()
    assert list(board.error[-4:]) == ["out of memory"] * 4 and board.score[-4:].isna().all()


@pytest.mark.parametrize("engine", ["bayesian", "hyperband", "optuna", "grid"])
def test_7_engines_stand_failures(search, engine):
    if engine == "optuna":
        pytest.importorskip("optuna")
    StandIn.fail = staticmethod(lambda overrides, seed: "no" if seed % 3 == 1 else None)
    found = search(engine=engine, trials=12)
    assert len(found.trials) >= 12 and any(r["status"] == "failed" for r in found.trials)
    assert found.best_trial()["score"] > 0


def test_7_when_all_fail_the_causes_are_said(search):
    StandIn.fail = staticmethod(lambda overrides, seed: "no memory" if seed % 2 else "no disk")
    with pytest.raises(KzooError, match="No trial succeeded: 5 x no disk; 5 x no memory"):
        search(engine="random", trials=30)  # it gives up after ten of them
    with pytest.raises(KzooError, match="1 x no disk"):
        search("two", engine="random", trials=1)


def test_leaderboard_on_disk_and_in_memory(search):
    found = search(engine="random", trials=5)
    board = found.leaderboard()
    assert list(board["rank"]) == [1, 2, 3, 4, 5] and list(board.score) == sorted(board.score, reverse=True)
    own = board[board.baseline].score.item()
    assert (board.gain - (board.score - own)).abs().max() < 1e-12
    rows = json.loads((found.path / "leaderboard.json").read_text())
    assert [r["trial"] for r in rows] == list(board.trial) and rows[0]["hyperparameters"]
    assert (found.path / "leaderboard.csv").read_text().count("\n") == 6
    assert {"hp.dropout", "hp.learning_rate", "parameters", "seconds", "best_epoch"} <= set(board)


def test_the_preset_wins_a_tie(search, monkeypatch):
    same = Outcome(status="completed", score=0.5, best_epoch=1, epochs=1, seconds=0.1, params=1)
    monkeypatch.setattr(StandIn, "train", lambda self, **_: same)
    assert search().best_trial()["trial"] == 0


def test_1_without_tensorboard_it_works(search, monkeypatch):
    monkeypatch.setattr(folder, "find_spec", lambda name: None)
    found = search(trials=2)
    assert len(found.trials) == 2 and not (found.path / "tensorboard").exists()


def test_12_tensorboard_has_each_trial_with_its_hyperparameters(search):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    found = search(trials=3)
    for record in found.trials:
        events = EventAccumulator(str(found.path / f"tensorboard/{record['trial']:04d}"))
        events.Reload()
        assert events.Scalars("score")[0].value == pytest.approx(record["score"])
        assert len(events.Scalars("val_accuracy")) == record["epochs"]
        content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
        stored = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        assert set(stored) == set(record["hyperparameters"])
        assert stored["dropout"].number_value == pytest.approx(record["hyperparameters"]["dropout"])


def test_an_override_is_fixed_and_not_searched(search):
    found = search(engine="random", space="standard", optimizer="adamw", dropout=0.1, trials=8)
    for record in found.trials:
        assert not {"optimizer", "dropout"} & set(record["hyperparameters"])
        fixed = dict(optimizer="adamw", dropout=0.1)
        assert {n: record["overrides"].get(n, v) for n, v in fixed.items()} == fixed
    assert found.config["spec"]["training"]["optimizer"] == "adamw"


def test_a_plan_says_what_it_costs_and_writes_nothing(search, tmp_path):
    plan = search(engine="bayesian", trials=20, dry_run=True)
    assert (plan.trials, plan.epochs, plan.random) == (20, 180, 4)
    assert "20 trials, at most 180 epochs; 4 of them drawn around the preset (20%)" in str(plan)
    assert list(tmp_path.iterdir()) == [] and StandIn.asked == ()


def test_the_command_line(search, capsys, tmp_path):
    words = ["tune", "iris_fnn", "--trials", "4", "--epochs", "3", "--space", "quick", "--out", "cli", "--quiet"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "best of 4 trials" in said and "leaderboard" in said
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["trials"] == 4 and document["search"] == "cli"
    assert main([*words, "--epochs", "5"]) == 2
    assert "epochs: 3 there, 5 now" in capsys.readouterr().err
    assert main([*words, "--dry-run"]) == 0
    assert "4 trials, at most 12 epochs" in capsys.readouterr().out


def test_a_search_can_be_opened_again(search):
    found = kzoo.Search(search(trials=3).path)
    assert found.objective == ("val_accuracy", "max") and found.finished and len(found.trials) == 3
    with pytest.raises(KzooError, match="is not a search"):
        kzoo.Search("nowhere")


@pytest.mark.parametrize(("preset", "said"), [("diabetes_fnn", True), ("iris_fnn", False)])
def test_whose_unit_the_scores_are_in(search, capsys, preset, said):
    search(preset=preset, trials=2, progress=True)
    assert ("of standardised targets" in capsys.readouterr().err) == said
