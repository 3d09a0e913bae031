"""Wrong labels: confident learning beside loops, neighbours beside scikit-learn, and the search through its doors."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.neighbors import NearestNeighbors

import kzoo
from kzoo.cli import main
from kzoo.evaluation import confident_learning, wrong_labels
from tests.messages import assert_mentions, refuses

pytestmark = pytest.mark.usefixtures("untraced_module")

SMALL = dict(epochs=6, learning_rate=0.03, batch_size=64, units=16)
NAMES = {0: "red", 1: "rose", 2: "white"}


def noisy_probabilities(rows=300, classes=4, seed=0):
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, rows)
    labels = np.where(draw.random(rows) < 0.2, draw.integers(0, classes, rows), truth)
    logits = draw.normal(size=(rows, classes))
    logits[np.arange(rows), truth] += 2.5
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), labels


def pruned_by_loops(p, labels):
    """The same by loops, from the paper: thresholds, confident joint, calibration, prune by class and by noise rate."""
    rows, classes = p.shape
    thresholds = [np.mean([p[i, c] for i in range(rows) if labels[i] == c]) for c in range(classes)]
    joint = np.zeros((classes, classes))
    for i in range(rows):
        confident = [c for c in range(classes) if p[i, c] >= thresholds[c]]
        if confident:
            joint[labels[i], max(confident, key=lambda c: p[i, c])] += 1
    counts = np.array(
        [
            [joint[i, j] / joint[i].sum() * (labels == i).sum() for j in range(classes)]
            for i in range(classes)
        ]
    )
    by_class, by_rate = set(), set()
    for i in range(classes):
        of_label = [row for row in range(rows) if labels[row] == i]
        wrong = sum(counts[i, j] for j in range(classes) if j != i)
        by_class |= set(sorted(of_label, key=lambda row: p[row, i])[: round(wrong)])
        for j in range(classes):
            if j != i and round(counts[i, j]) > 0:
                by_rate |= set(
                    sorted(of_label, key=lambda row: p[row, i] - p[row, j])[: round(counts[i, j])]
                )
    return counts, {row for row in by_class & by_rate if p[row].argmax() != labels[row]}


@pytest.mark.parametrize("seed", range(3))
def test_confident_learning_is_that_of_the_paper(seed):
    p, labels = noisy_probabilities(seed=seed)
    counts, suspects = pruned_by_loops(p, labels)
    np.testing.assert_allclose(confident_learning.noise_counts(p, labels), counts)
    assert set(np.flatnonzero(confident_learning.suspected(p, labels))) == suspects and suspects


def test_a_class_without_rows_or_confident_rows_breaks_nothing():
    p, labels = noisy_probabilities(classes=3)
    wider = np.c_[p, np.full(len(p), 0.01)]  # a class that no row has
    np.testing.assert_array_equal(
        confident_learning.suspected(wider, labels), confident_learning.suspected(p, labels)
    )
    flat = np.full((20, 3), 1 / 3)
    assert not confident_learning.suspected(flat, np.arange(20) % 3).any()


def test_neighbours_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 5))
    labels = draw.integers(0, 3, 120)
    centred = x - x.mean(axis=0)
    nearest = (
        NearestNeighbors(n_neighbors=8, metric="cosine")
        .fit(centred)
        .kneighbors(return_distance=False)
    )
    expected = np.array([[np.mean(labels[row] == c) for c in range(3)] for row in nearest])
    np.testing.assert_allclose(confident_learning.neighbour_shares(x, labels, 3, k=7 + 1), expected)


def test_neighbours_that_say_nothing_get_no_weight():
    p, labels = noisy_probabilities()
    draw = np.random.default_rng(1)
    noise = confident_learning.neighbour_shares(draw.normal(size=(len(p), 4)), labels, 4)
    assert confident_learning.fit_opinions(p, noise, labels)[1] <= 0.1
    right = confident_learning.neighbour_shares(
        np.eye(4)[p.argmax(axis=1)] + draw.normal(size=p.shape) / 9, labels, 4
    )
    assert confident_learning.fit_opinions(np.full_like(p, 0.25), right, labels)[1] >= 0.5


@pytest.fixture(scope="module")
def flipped():
    frame = load_wine(as_frame=True).frame
    frame["target"] = frame.target.map(NAMES)
    rows = np.random.default_rng(0).choice(len(frame), 18, replace=False)
    following = dict(zip(NAMES.values(), [*list(NAMES.values())[1:], "red"], strict=True))
    frame.loc[rows, "target"] = frame.target[rows].map(following)
    return frame, rows


@pytest.fixture(scope="module")
def searched(flipped, tmp_path_factory):
    """The flipped table, its folder, and a search on the command line."""
    frame, _ = flipped
    root = tmp_path_factory.mktemp("wrong")
    frame.to_csv(root / "wine.csv", index=False)
    words = [
        "tabular_fnn",
        "--data",
        str(root / "wine.csv"),
        "--target",
        "target",
        *("--folds", "3", "--epochs", str(SMALL["epochs"])),
        *("--set", *(f"{name}={value}" for name, value in SMALL.items() if name != "epochs")),
    ]
    return root, words


def test_flipped_labels_are_suspected_and_repaired(searched, flipped, capsys):
    (root, words), (_, wrong) = searched, flipped
    out = root / "search"
    assert main(["check", *words, "--wrong-labels", "--out", str(out), "--quiet", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    with open(out / "suspects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = [int(row["row"]) - 1 for row in rows]
    assert (
        len(set(numbers) & set(wrong)) >= 0.6 * len(wrong) and np.isin(numbers, wrong).mean() >= 0.8
    )
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, len(rows) + 1)]
    assert "sure" not in rows[0]  # not a probability: the share of wrong labels in it was far lower
    assert all(row["accept"] == "" and row["label"] != row["suggestion"] for row in rows)
    assert_mentions(rows[0]["why"], rows[0]["label"], rows[0]["suggestion"])
    assert_mentions(rows[0]["input"], "alcohol=")
    assert (
        document["wrong_labels"]["rows"] == 178
        and document["findings"][0]["check"] == "wrong_labels"
    )
    assert_mentions(document["command"], "--repairs", str(out / "suspects.csv"))
    page = (out / "suspects.html").read_text()
    assert all(f"<td>{row['row']}</td>" in page for row in rows)
    # A second call trains nothing, and shows the same.
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/fold-*/best.keras")}
    assert main(["check", *words, "--wrong-labels", "--out", str(out), "--quiet"]) == 0
    assert_mentions(capsys.readouterr().out, f"{len(rows)} labels of 178 rows", "suspects.html")
    assert before and before == {
        path: path.stat().st_mtime_ns for path in out.glob("*/fold-*/best.keras")
    }
    # A person accepts, and training says what it brings.
    for row in rows:
        row["accept"] = "yes"
    with open(root / "accepted.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    train = [word for word in words if word not in ("--folds", "3")]
    run = str(root / "run")
    assert (
        main(
            [
                "train",
                *train,
                "--repairs",
                str(root / "accepted.csv"),
                "--out",
                run,
                "--quiet",
                "--no-baselines",
            ]
        )
        == 0
    )
    assert_mentions(capsys.readouterr().out, "Repairs", "before", "36 test rows", "points")
    assert_mentions(kzoo.report(run).read_text(), "Repairs", "36 test rows")


def test_each_row_is_judged_by_a_network_that_did_not_learn_its_label(searched):
    root, _ = searched
    seen = []
    for number in ("1", "2"):
        for path in sorted((root / "search" / f"round-{number}").glob("fold-*")):
            run = kzoo.Run(path)
            seen += run.answers["source_rows"].tolist()
            assert run.data.train + run.data.validation + run.data.test == 178
    assert sorted(seen) == sorted([*range(178)] * 2)


def test_several_labels_a_row_are_searched_one_by_one(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(160, 4)).astype("float32")
    y = (x[:, :3] > 0).astype(int)
    wrong = draw.choice(160, 8, replace=False)
    y[wrong, 1] = 1 - y[wrong, 1]
    found = kzoo.check(
        "tabular_fnn",
        (x, y),
        wrong_labels=True,
        out=tmp_path,
        folds=3,
        progress=False,
        **SMALL,
    ).suspects
    of_label = [s.row - 1 for s in found.suspects if s.label.startswith("1=")]
    assert len(set(of_label) & set(wrong)) >= 4
    assert all(
        s.suggestion[:-1] == s.label[:-1] and s.suggestion != s.label for s in found.suspects
    )


def test_what_has_no_wrong_labels_is_refused(tmp_path):
    x = np.zeros((40, 2), "float32")
    y = np.linspace(0, 1, 40)
    with refuses("wrong_labels=", "tabular_regression"):
        kzoo.check("tabular_fnn", (x, y), wrong_labels=True, out=tmp_path)
    with refuses("wrong_labels=", "forecasting"):
        kzoo.check("series_linear", "sine", wrong_labels=True, out=tmp_path)
    with refuses("test=0.3", "no effect"):
        kzoo.check("iris_fnn", wrong_labels=True, test=0.3, out=tmp_path)
    with refuses("wrong_labels=", "preset"):
        kzoo.check(data="iris", wrong_labels=True, out=tmp_path)
    with refuses("folds=3", "wrong_labels="):
        kzoo.check("iris_fnn", folds=3)
    with refuses("wrong_labels=", "learning_curve="):
        kzoo.check("iris_fnn", wrong_labels=True, learning_curve=True, out=tmp_path)
    assert main(["check", "iris_fnn", "--wrong-labels", "--quick"]) == 2
    assert not list(tmp_path.iterdir())


def test_a_text_is_shown_as_it_was_written(tmp_path):
    """Not as its tokens, which repeat the characters of a text and leave out those that are rare."""
    texts = [
        f"四星饭店,  房间{n}很干净。" if n % 2 else f"Das Hotel {n} war laut!" for n in range(60)
    ]
    frame = pd.DataFrame({"text": texts, "label": ["good" if n % 2 else "bad" for n in range(60)]})
    data = kzoo.load_data(frame, preset="text_ngrams", target="label")
    for split in (data.train, data.validation, data.test, data.train.select([3, 1])):
        for position, row in enumerate(split.rows[:5]):
            cells, text = wrong_labels._shown_row(data, split, position)
            assert cells == [text] == [" ".join(texts[row].split())]
