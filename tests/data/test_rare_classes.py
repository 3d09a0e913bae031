"""Classes of a table with very few rows: `drop_rare` leaves them out of all splits, and a note counts them."""

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.cli import main
from tests.messages import assert_mentions, refuses

COUNTS = {"common": 40, "usual": 30, "rare": 3, "single": 1}


def table(counts=COUNTS, seed=0):
    draw = np.random.default_rng(seed)
    labels = [name for name, count in counts.items() for _ in range(count)]
    frame = pd.DataFrame(
        {"a": draw.normal(size=len(labels)), "b": draw.normal(size=len(labels)), "kind": labels}
    )
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


def texts(counts=COUNTS):
    frame = table(counts)
    return pd.DataFrame(
        {
            "text": [f"a {name} thing of number {i}" for i, name in enumerate(frame.kind)],
            "kind": frame.kind,
        }
    )


def test_a_single_row_of_a_class_is_refused_with_the_option():
    with refuses("'single'", "drop_rare=2"):
        kzoo.load_data(table(), target="kind")


@pytest.mark.parametrize("make", [table, texts])
def test_rows_of_small_classes_are_left_out_of_all_splits(make):
    data = kzoo.load_data(
        make(), target="kind", drop_rare=5, preset="text_ngrams" if make is texts else None
    )
    assert data.class_names == ("common", "usual")
    assert sum(map(len, (data.train, data.validation, data.test))) == 70
    assert_mentions(
        "\n".join(data.notes), "drop_rare=5", "4 rows", "2 classes", "'single'", "'rare'"
    )
    expected = make()[lambda frame: frame.kind.isin(["common", "usual"])].reset_index(drop=True)
    assert (
        data.fingerprint
        == kzoo.load_data(
            expected, target="kind", preset="text_ngrams" if make is texts else None
        ).fingerprint
    )


def test_second_sources_lose_the_same_classes():
    data = kzoo.load_data(
        table(), target="kind", drop_rare=4, test=table({"common": 5, "rare": 6}, seed=1)
    )
    assert len(data.test) == 5 and data.class_names == ("common", "usual")
    assert_mentions("\n".join(data.notes), "4 rows", "6 test rows", "drop_rare=4")


def test_without_small_classes_nothing_changes(tmp_path):
    frame = table({"common": 40, "usual": 30})
    data = kzoo.load_data(frame, target="kind", drop_rare=2)
    plain = kzoo.load_data(frame, target="kind")
    assert data.fingerprint == plain.fingerprint and data.notes == plain.notes
    assert data.loaded["options"] == plain.loaded["options"] | {"drop_rare": 2}


def test_what_it_cannot_do_is_refused(tmp_path, monkeypatch):
    with refuses("drop_rare=50", "'common'", "40"):
        kzoo.load_data(table(), target="kind", drop_rare=50)
    with refuses("drop_rare=2", "regression"):
        kzoo.load_data(table(), target="a", drop_rare=2)
    with refuses("drop_rare=2", "2 targets"):
        kzoo.load_data(table(), target=["a", "b"], drop_rare=2)
    with refuses("drop_rare=1", "at least 2"):
        kzoo.load_data(table(), target="kind", drop_rare=1)
    with refuses("drop_rare=2", "iris"):
        kzoo.load_data("iris", drop_rare=2)
    with refuses("drop_rare=2", "arrays"):
        kzoo.load_data((np.zeros((9, 2)), np.arange(9) % 3), drop_rare=2)
    table().to_csv(tmp_path / "large.csv", index=False)
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    with refuses("drop_rare=2", "large.csv", "memory"):
        kzoo.load_data(tmp_path / "large.csv", target="kind", drop_rare=2)


def test_a_run_is_trained_and_scored_without_them(tmp_path, capsys):
    table().to_csv(tmp_path / "table.csv", index=False)
    words = [
        "--epochs",
        "1",
        "--set",
        "units=4",
        "--no-check",
        "--no-baselines",
        "--out",
        str(tmp_path / "run"),
    ]
    source = ["--data", str(tmp_path / "table.csv"), "--target", "kind", "--drop-rare", "2"]
    assert main(["train", "tabular_fnn", *source, *words]) == 0
    run = kzoo.Run(tmp_path / "run")
    assert (
        run.class_names == ["common", "rare", "usual"] and "--drop-rare 2" in run.config["command"]
    )
    assert kzoo.evaluate(run, tmp_path / "table.csv")["examples"] == run.data.test
