"""Searches stored without a format version still open; records that are newer than kzoo are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main

STORED = Path(__file__).with_name("stored")


@pytest.fixture
def stored(tmp_path):
    """Return a function that copies a stored search: "random", "hyperband" or "folds"."""

    def copy(name):
        return kzoo.Search(shutil.copytree(STORED / name, tmp_path / name))

    return copy


@pytest.mark.parametrize(("name", "count"), [("random", 4), ("hyperband", 11), ("folds", 3)])
def test_a_stored_search_opens_with_all_its_records(stored, name, count, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # lines are not broken
    search = stored(name)
    assert search.finished and len(search.trials) == count
    for trial in search.trials:
        written = json.loads((STORED / name / f"trials/{trial.number:04d}/trial.json").read_text())
        assert {key: trial[key] for key in written} == written
        assert set(trial) - set(written) == {"format_version"}
    rows = json.loads((STORED / name / "leaderboard.json").read_text())
    assert list(search.leaderboard()["trial"]) == [row["trial"] for row in rows]
    assert search.best_trial()["trial"] == rows[0]["trial"]
    assert search.config == json.loads((STORED / name / "search.json").read_text())
    assert search.plot("history") is not None and search.plot("curves") is not None
    assert kzoo.report(search).stat().st_size > 5000
    assert main(["compare", str(search.path)]) == 0
    rows = capsys.readouterr().out.splitlines()[2 : 2 + count]
    (baseline,) = (row for row in rows if row.split()[1] == "0")
    assert_mentions(baseline, "completed", "+0.0000", "preset")


def test_the_winner_of_a_stored_search_can_be_built_saved_and_retrained(
    stored, tmp_path, registry_as_it_was
):
    search = stored("random")
    best = search.best_trial()
    assert search.best_model().count_params() == best.params
    assert kzoo.build("iris_fnn", **search.best_config()).count_params() == best.params
    assert kzoo.load_presets(search.save_preset("stored_iris")) == ["stored_iris"]
    assert (
        search.retrain(epochs=np.int64(1), out=tmp_path / "run", progress=False).summary[
            "parameters"
        ]
        == best.params
    )


def test_a_stored_search_can_be_resumed(stored, stand_in):
    """The proposals are the same as in the version that stored the search."""
    before = stored("random")
    after = kzoo.tune(
        "iris_fnn",
        engine="random",
        trials=6,
        epochs=3,
        units=(8,),
        out=before.path,
        progress=False,
        resume="must",
    )
    assert len(after.trials) == 6 and len(stand_in.trained) == 2
    assert after.trials[:4] == before.trials[:4]


@pytest.mark.parametrize(
    ("file", "entry", "parts"),
    [
        ("search.json", {"format_version": 2}, ("format", "2", "1")),
        ("search.json", {"colour": "red"}, ("'colour'",)),
        ("trials/0002/trial.json", {"format_version": 2}, ("format", "2", "1")),
        ("trials/0002/trial.json", {"colour": "red"}, ("'colour'",)),
    ],
)
def test_records_newer_than_kzoo_are_refused_on_a_single_line(stored, file, entry, parts):
    search = stored("random")
    path = search.path / file
    path.write_text(json.dumps(json.loads(path.read_text()) | entry))
    with refuses(str(path), *parts, "kzoo") as caught:
        search.leaderboard()
    assert "\n" not in str(caught.value)


def test_records_that_lack_entries_are_refused(stored):
    search = stored("random")
    path = search.path / "search.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in whole.items() if name != "engine"}))
    with refuses(str(path), "kzoo.tune", "entries"):
        search.leaderboard()
    path = search.path / "trials/0002/trial.json"
    path.write_text(json.dumps({"trial": 2, "status": "completed"}))
    assert [trial.number for trial in search.trials] == [0, 1, 3]
