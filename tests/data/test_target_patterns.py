"""Patterns and ranges of target columns: `label_*` and `q1:q9` mean the same columns by every door."""

import numpy as np
import pandas as pd
import pytest
from messages import refuses

import kzoo
from kzoo.cli import main

random = np.random.default_rng(0)
FRAME = pd.DataFrame(random.normal(size=(80, 2)), columns=["a", "b"]).assign(
    **{f"label_{number}": random.integers(0, 2, 80) for number in range(4)},
    c=random.normal(size=80),
)
LABELS = tuple(f"label_{number}" for number in range(4))


def sources(folder):
    """Return the frame in memory and in files: with a header that is read alone, and without one."""
    FRAME.to_csv(folder / "t.csv", index=False)
    FRAME.to_json(folder / "t.jsonl", orient="records", lines=True)
    return (
        FRAME,
        FRAME.to_dict("records"),
        FRAME.to_dict("list"),
        folder / "t.csv",
        str(folder / "t.jsonl"),
    )


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("label_*", LABELS),
        ("label_?", LABELS),
        ("label_1:label_3", LABELS[1:]),
        (["label_3", "label_*"], (LABELS[3], *LABELS[:3])),
        ("label_0:label_1,label_3", (*LABELS[:2], LABELS[3])),
    ],
    ids=str,
)
def test_patterns_and_ranges_name_columns(target, names, tmp_path):
    for source in sources(tmp_path):
        data = kzoo.load_data(source, target=target)
        assert data.target.names == names and data.input_shape == (7 - len(names),)


def test_a_column_with_literally_this_name_wins():
    frame = FRAME[["a", "b"]].assign(**{"a*": FRAME.label_0, "a:b": FRAME.label_1})
    for name in ("a*", "a:b"):
        assert kzoo.load_data(frame, target=name).target.names == (name,)


def test_columns_of_a_series_are_named_likewise():
    frame = pd.DataFrame(random.normal(size=(700, 3)), columns=["a", "b", "c"])
    frame = frame.assign(time=pd.date_range("2024-01-01", periods=700, freq="h"))
    data = kzoo.load_data(frame, target="a:b", time="time", preset="series_linear")
    assert data.target.names == ("a", "b")


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("lable_*", ("target='lable_*'", "matches no column", "Did you mean")),
        ("label_0,x_*", ("target='x_*'", "matches no column", "Columns: a, b")),
        ("label_3:label_1", ("label_3:label_1", "matches no column")),
        ("label_1:label_9", ("label_1:label_9", "Columns: a, b")),
    ],
)
def test_a_pattern_without_columns_is_refused_in_a_line(target, parts, tmp_path, capsys):
    for source in sources(tmp_path):
        with refuses(*parts):
            kzoo.load_data(source, target=target)
    assert (
        main(["train", "tabular_fnn", "--data", str(tmp_path / "t.csv"), "--target", target]) == 2
    )
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_command_line_trains_and_resumes_with_a_pattern(tmp_path, capsys):
    sources(tmp_path)
    words = [
        "train",
        "tabular_fnn",
        "--data",
        str(tmp_path / "t.csv"),
        "--target",
        "label_*",
        "--epochs",
        "1",
    ]
    words += ["--set", "units=4", "--out", str(tmp_path / "run"), "--no-baselines"]
    assert main(words) == 0 and main(words) == 0
    run = kzoo.Run(tmp_path / "run")
    assert run.target.names == LABELS
    assert main(["evaluate", str(run.path), "--data", str(tmp_path / "t.csv")]) == 0


def test_folders_of_images_with_a_table_of_labels(tmp_path):
    from PIL import Image

    for number in range(40):
        Image.fromarray(random.integers(0, 255, (8, 8, 3)).astype("uint8")).save(
            tmp_path / f"{number}.png"
        )
    table = pd.DataFrame({"file": [f"{number}.png" for number in range(40)]})
    table.assign(**{f"has_{name}": random.integers(0, 2, 40) for name in "xy"}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    assert kzoo.load_data(tmp_path, target="has_*").target.names == ("has_x", "has_y")
