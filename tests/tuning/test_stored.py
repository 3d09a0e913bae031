"""Searches whose records have no number of a format yet: they open as ever, and what is newer than kzoo is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

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
def test_it_opens_with_all_that_it_holds(stored, name, count, capsys):
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
    assert main(["compare", str(search.path)]) == 0 and "the preset" in capsys.readouterr().out


def test_its_winner_becomes_a_network_a_preset_and_a_run(stored, tmp_path, registry_as_it_was):
    search = stored("random")
    best = search.best_trial()
    assert search.best_model().count_params() == best.params
    assert kzoo.build("iris_fnn", **search.best_config()).count_params() == best.params
    assert kzoo.load_presets(search.save_preset("stored_iris")) == ["stored_iris"]
    assert search.retrain(epochs=np.int64(1), out=tmp_path / "run", progress=False).summary["parameters"] == best.params


def test_it_goes_on(stored, stand_in):
    """Trial by trial the proposals of today are those of then."""
    before = stored("random")
    after = kzoo.tune(
        "iris_fnn", engine="random", trials=6, epochs=3, units=(8,), out=before.path, progress=False, resume="must"
    )
    assert len(after.trials) == 6 and len(stand_in.asked) == 2
    assert after.trials[:4] == before.trials[:4]


@pytest.mark.parametrize(
    ("file", "entry", "says"),
    [
        ("search.json", {"format_version": 2}, "has the format 2, and this kzoo reads 1"),
        ("search.json", {"colour": "red"}, "has an entry 'colour', which this kzoo does not know"),
        ("trials/0002/trial.json", {"format_version": 2}, "has the format 2, and this kzoo reads 1"),
        ("trials/0002/trial.json", {"colour": "red"}, "has an entry 'colour', which this kzoo does not know"),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(stored, file, entry, says):
    search = stored("random")
    path = search.path / file
    path.write_text(json.dumps(json.loads(path.read_text()) | entry))
    with pytest.raises(kzoo.KzooError, match=says) as caught:
        search.leaderboard()
    assert "\n" not in str(caught.value) and file in str(caught.value)


def test_what_lacks_entries_is_damaged(stored):
    search = stored("random")
    path = search.path / "search.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in whole.items() if name != "engine"}))
    with pytest.raises(kzoo.KzooError, match="lacks entries"):
        search.leaderboard()
    path = search.path / "trials/0002/trial.json"
    path.write_text(json.dumps({"trial": 2, "status": "completed"}))
    assert [trial.number for trial in search.trials] == [0, 1, 3]
