"""`kzoo.tune("auto")` and `kzoo tune auto`: the winner is a run, and its lead is stated."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from in_process import auto_in_process
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score

import kzoo
from kzoo.cli import main
from kzoo.cli.option_names import with_option_names
from kzoo.tuning.records import read_trials

pytestmark = pytest.mark.usefixtures("untraced_module")

OPTIONS = dict(max_time="10m", folds=3, test=0.3, progress=False)


def wine(path, rows=slice(None), seed=0):
    frame = load_wine(as_frame=True).frame.sample(frac=1, random_state=seed).iloc[rows]
    frame.assign(target=frame.target.map({0: "a", 1: "b", 2: "c"})).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("auto")


@pytest.fixture(scope="module")
def previous(folder):
    return kzoo.baselines.train(
        "logistic", wine(folder / "old.csv", slice(0, 80)), target="target", out=folder / "old"
    )


@pytest.fixture(scope="module")
def search(folder, previous):
    data = wine(folder / "newer.csv", slice(80, None))
    with auto_in_process("tabular_fnn"):
        return kzoo.tune("auto", data, previous=previous, out=folder / "search", **OPTIONS)


def test_the_winner_is_a_run_with_the_answers_it_states(search, folder):
    winner, request = search.winner, search.request
    assert search.finished and request.is_auto and request.folds == 3
    answers = winner.answers
    accuracy = accuracy_score(answers["truth"], answers["answers"].argmax(1))
    assert (
        winner.summary["test"]["accuracy"] == pytest.approx(accuracy) and answers["split"] == "test"
    )
    evaluated = kzoo.evaluate(winner, folder / "newer.csv")
    assert evaluated["accuracy"] == pytest.approx(accuracy) and evaluated["examples"] == len(
        answers["truth"]
    )
    assert kzoo.predict(winner, folder / "newer.csv").labels[0] in ("a", "b", "c")
    assert search.verdict and str(winner.path) not in search.verdict


def test_without_test_rows_the_lead_is_that_of_what_other_parts_choose(folder):
    x = np.random.default_rng(0).normal(size=(90, 2)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    options = OPTIONS | {"test": 0.0, "objective": "accuracy"}
    with auto_in_process("tabular_fnn", epochs=40):
        search = kzoo.tune("auto", (x, y), out=folder / "no-test", **options)
    stated = json.loads((folder / "no-test" / "auto.json").read_text())
    assert "judged rows" in search.verdict
    if "No network" not in search.verdict:
        assert "each part is judged by the choice of the others" in search.verdict
    assert stated["difference"]["low"] <= stated["difference"]["mean"]
    assert ("partly from other data" in search.verdict) <= (len(stated["label"].split(" and ")) > 1)


def test_the_scores_of_a_winner_have_the_best_baseline_beside_them(folder):
    """So that its report, its card and its page compare it."""
    x = np.random.default_rng(0).normal(size=(300, 2)).astype("float32")
    y = (np.abs(x[:, 0]) > np.abs(x[:, 1])).astype(int)  # diagonal borders: hard for trees
    options = OPTIONS | {"test": 0.3, "objective": "accuracy", "prefer": "score"}
    with auto_in_process("tabular_fnn", epochs=60):
        search = kzoo.tune("auto", (x, y), out=folder / "beside", **options)
    assert "No network" not in search.verdict
    (baseline,) = search.winner.summary["baselines"]
    assert baseline["label"] in search.verdict
    assert baseline["split"] == "test" and baseline["metric"] == "accuracy"
    lead = search.winner.summary["test"]["accuracy"] - baseline["scores"]["accuracy"]
    assert json.loads((search.path / "auto.json").read_text())["difference"]["mean"] == (
        pytest.approx(lead, abs=1e-6)
    )


def test_each_candidate_is_judged_on_rows_that_it_was_not_fitted_to(search):
    trials = {
        trial.hyperparameters["model"]: trial for trial in search.trials if not trial.overrides
    }
    assert {"majority", "logistic", "trees"} <= trials.keys()
    logistic = trials["logistic"]
    answers = [
        np.load(file)
        for file in sorted(search.path.glob(f"trials/{logistic.number:04d}/part-*/answers.npz"))
    ]
    rows = np.concatenate([part["rows"] for part in answers[:3]])
    assert sorted(rows) == list(range(len(rows)))  # each development row once
    scores = [accuracy_score(part["truth"], part["answers"].argmax(1)) for part in answers]
    assert logistic.folds == pytest.approx(scores) and logistic.score == pytest.approx(
        np.mean(scores)
    )
    # The leaderboard states gains over the best baseline.
    board = search.leaderboard()
    assert (
        board[board.baseline].gain.tolist() == [0.0] and logistic.score >= trials["majority"].score
    )


def test_the_previous_model_is_compared_on_the_same_test_rows(search, previous, folder):
    result = json.loads((search.path / "auto.json").read_text())
    data = kzoo.load_data(folder / "newer.csv", target="target", test=0.3)
    frame = pd.read_csv(folder / "newer.csv").iloc[np.asarray(data.test.rows)]
    old = accuracy_score(frame.target, kzoo.predict(previous, frame.drop(columns="target")).labels)
    new = search.winner.summary["test"]["accuracy"]
    assert f"accuracy {old:.4f}; new model: {new:.4f}" in result["update"]
    assert result["previous"]["mean"] == pytest.approx(new - old) and result["change"] is (
        result["previous"]["low"] > 0
    )


def test_the_same_call_returns_the_finished_search_and_another_is_refused(
    search, folder, previous, capsys
):
    options = OPTIONS | dict(out=search.path, previous=previous, progress=True)
    with auto_in_process("tabular_fnn"):
        again = kzoo.tune("auto", folder / "newer.csv", **options)
        assert again.path == search.path and search.verdict in capsys.readouterr().err
        with pytest.raises(kzoo.KzooError, match="contains a different search"):
            kzoo.tune("auto", folder / "newer.csv", seed=1, **options)
        with pytest.raises(kzoo.KzooError, match=r"contains a different search.*prefer"):
            kzoo.tune("auto", folder / "newer.csv", prefer="score", **options)


def test_report_and_compare_read_the_search(search, folder):
    page = kzoo.report(search, out=folder / "report.html").read_text(encoding="utf-8")
    assert search.verdict.split(":")[0] in page and "tabular" in page and ".winner" in page
    table = kzoo.compare([search, search.winner])
    assert len(table) >= 2 and "auto" in set(table.preset)
    for name in ("best_config", "best_model", "retrain"):
        with pytest.raises(kzoo.KzooError, match="use its `winner`"):
            getattr(search, name)()


def test_the_command_states_the_plan_and_refuses_what_it_cannot_do(folder, capsys):
    data = str(wine(folder / "all.csv"))
    assert main(["tune", "auto", "--data", data, "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "5 folds, 10 min\n" in plan and "logistic regression" in plan and "tabular_" in plan
    preferences = ["--prefer", "score", "--one-network"]
    assert main(["tune", "auto", "--data", data, "--dry-run", *preferences]) == 0
    assert "10 min, the highest score wins, as one network\n" in capsys.readouterr().out
    cases = {
        "needs data": ["tune", "auto"],
        "--trials is not available for 'auto'": ["tune", "auto", "--data", data, "--trials", "3"],
        "units= is not available for 'auto'": ["tune", "auto", "--data", data, "--set", "units=8"],
        "too short for 'auto'": ["tune", "auto", "--data", data, "--max-time", "5s"],
        "--objective 'nope' is not available": [
            "tune",
            "auto",
            "--data",
            data,
            "--objective",
            "nope",
        ],
        "is not a run": ["tune", "auto", "--data", data, "--from", str(folder / "nothing")],
        "--folds 1 must be": ["tune", "auto", "--data", data, "--folds", "1"],
        "is for 'auto'": ["tune", "wine_fnn", "--from", str(folder / "old")],
        "--prefer is for 'auto'": ["tune", "wine_fnn", "--prefer", "score"],
        "--one-network is for 'auto'": ["tune", "wine_fnn", "--one-network"],
        "--prefer 'best' is unknown": ["tune", "auto", "--data", data, "--prefer", "best"],
        "no.csv": ["tune", "auto", "--data", str(folder / "no.csv")],
    }
    wrong = {}
    for message, words in cases.items():
        code = main(words)
        err = capsys.readouterr().err
        if code != 2 or message not in err or len(err.strip().splitlines()) != 1:
            wrong[" ".join(words)] = (code, err)
    assert wrong == {}, "\n".join(map(str, wrong.items()))


def test_labels_of_test_rows_do_not_change_the_choice(folder, tmp_path):
    rows = pd.read_csv(wine(folder / "both.csv"))
    rows[:120].to_csv(tmp_path / "train.csv", index=False)
    searches = []
    for name, seed in (("as they are", None), ("shuffled", 0), ("turned", 1)):
        test = rows[120:].reset_index(drop=True)
        if seed is not None:
            test["target"] = test.target.sample(frac=1, random_state=seed).to_numpy()
        test.to_csv(tmp_path / f"{name}.csv", index=False)
        options = OPTIONS | dict(
            test=tmp_path / f"{name}.csv", target="target", folds=2, out=tmp_path / name
        )
        with auto_in_process("tabular_fnn"):
            searches.append(kzoo.tune("auto", tmp_path / "train.csv", **options))
    boards = [search.leaderboard().drop(columns="seconds") for search in searches]
    results = [json.loads((search.path / "auto.json").read_text()) for search in searches]
    for board, result in zip(boards[1:], results[1:], strict=True):
        pd.testing.assert_frame_equal(board, boards[0], check_exact=False, rtol=1e-4)
        assert result["label"] == results[0]["label"]
        chosen = [
            [line for line in each["lines"] if "test rows: " not in line]
            for each in (result, results[0])
        ]
        assert chosen[0] == chosen[1]
    scores = {search.winner.summary["test"]["accuracy"] for search in searches}
    assert len(scores) > 1  # the test rows are scored by the labels that they have


def test_long_texts_are_read_as_far_as_most_of_them_reach(tmp_path):
    random = np.random.default_rng(0)
    words = [f"word{number}" for number in range(30)]
    rows = [
        (" ".join([*random.choice(words, 80), *[mood] * 20]), mood) for mood in ["good", "bad"] * 60
    ]
    file = tmp_path / "texts.csv"
    pd.DataFrame(rows, columns=["text", "mood"]).to_csv(file, index=False)
    length = kzoo.get_preset("text_cnn").config["input_shape"][0]
    data = kzoo.load_data(file, target="mood", preset="text_cnn")
    assert data.input_shape == (length,) and data.seen["longer"] == 2 * length
    (note,) = (note for note in data.notes if "truncated" in note)
    assert note.endswith(f"Use input_shape={2 * length} to read more of them.")
    assert f"Use --set input_shape={2 * length} to" in with_option_names(note, ["--set"])
    with auto_in_process("text_cnn"):
        search = kzoo.tune(
            "auto", file, target="mood", out=tmp_path / "search", **OPTIONS | dict(folds=2)
        )
    winner = search.winner
    assert winner.model.input_shape == (None, 2 * length)
    assert winner.summary["test"]["accuracy"] > 0.9  # by the last words
    assert kzoo.evaluate(winner, file)["accuracy"] == pytest.approx(
        winner.summary["test"]["accuracy"]
    )


@pytest.mark.slow
def test_a_killed_search_goes_on_with_what_was_fitted(folder, tmp_path):
    data = wine(folder / "killed.csv")
    out = tmp_path / "search"
    command = [
        sys.executable,
        "-m",
        "kzoo",
        "tune",
        "auto",
        "--data",
        str(data),
        "--target",
        "target",
        "--max-time",
        "60s",
        "--out",
        str(out),
    ]
    process = subprocess.Popen(
        command, env=os.environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and len(list(out.glob("trials/*/part-*/fitted.json"))) < 8:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {file: file.stat().st_mtime_ns for file in out.glob("trials/*/part-*/fitted.json")}
    answers = {file: file.with_name("answers.npz").stat().st_mtime_ns for file in before}
    assert len(before) >= 8 and not kzoo.Search(out).finished
    with pytest.raises(kzoo.KzooError, match="is not finished"):
        assert kzoo.Search(out).winner
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-1000:]
    assert {file: file.with_name("answers.npz").stat().st_mtime_ns for file in before} == answers
    assert kzoo.Search(out).finished and kzoo.Search(out).winner.summary["test"]
    assert all(trial.status != "running" for trial in read_trials(out))
