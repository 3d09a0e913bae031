"""A new kind of input is a single folder, and a new type of table file a single file: no other file is edited."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.checks.subject import Subject
from kzoo.data import load_data
from kzoo.data.statistics import statistics
from kzoo.data.summary import summary_line
from kzoo.export.golden_inputs import golden_batches
from kzoo.inference.encode import encode
from kzoo.inference.tables import files
from kzoo.problems import kinds
from kzoo.utils import discovery as listing

LINES = """\
\"\"\"A JSON document a line.\"\"\"

import json
from importlib import import_module
from pathlib import Path

SUFFIXES = (".jsonl",)


def frame(path, text=()):
    return import_module("pandas").DataFrame(_records(path))


def rows(path):
    return import_module("kzoo.inference.tables.raw").rows_of(_records(path))


def _records(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
"""

POINTS = """\
from kzoo.problems.kinds import Kind

KIND = Kind(
    name="points",
    room=__name__,
    dtype="float32",
    axes=("points", "dimensions"),
    meaning="points in space, float32",
    facts=frozenset({"columns", "points"}),
    readers={"cloud": {"count": int}},
    sources=(),
    example="POINTS.ply",
)
"""
POINTS_LIGHT = """\
import numpy as np


def read(reader, raw):
    return np.stack([np.loadtxt(path, ndmin=2)[: reader["count"]] for path in raw]).astype("float32"), raw


def draw(given, random, shape):
    return random.standard_normal(shape)


def edges(given, rows):
    return np.concatenate([np.zeros_like(rows[:3]), rows])
"""
POINTS_LEARN = """\
from kzoo.data.arrays import checked
from kzoo.data.inputs.rows.fitting import describe


def take(x, preset):
    return checked(x, "points").astype("float32")


def fit(x, train, **more):
    return x, {}, {"kind": "cloud", "count": x.shape[1]}


def overview(data):
    return {"noun": "clouds", "about": {"points": data.train.x.shape[1]}}
"""


# As packages of earlier versions have it: the options of the source as single arguments.
POINTS_FILE = """
from kzoo.data import Dataset, Split


def load(source, form, *, problem, name, preset, validation, test, seed, drop):
    x = np.loadtxt(source, ndmin=2)[:, None].astype("float32")
    return Dataset(
        name=name,
        task=problem.name,
        inputs="clouds",
        train=Split(x=x, y=np.arange(len(x)) % 2),
        config={"input_shape": x.shape[1:], "outputs": 2},
        class_names=("a", "b"),
        preprocessing={"kind": "cloud", "count": 1},
        seen={"arguments": [form, preset, validation, test, seed, drop]},
    )
"""


@pytest.fixture
def listed_anew():
    """List kinds and types of files again, in the test and after it."""

    def clear():
        for cached in (listing.list_modules, kinds._kinds, files._built_in_readers, files.suffixes):
            cached.cache_clear()

    clear()
    yield
    clear()


def test_a_new_type_of_table_file_needs_a_single_file(tmp_path, monkeypatch, listed_anew):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "lines.py").write_text(LINES)
    monkeypatch.setattr(files, "__path__", [*files.__path__, str(tmp_path / "code")])
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": random.random(80).round(3), "hue": random.choice(["red", "blue"], 80)}
    )
    frame["kind"] = np.where(frame["size"] > 0.5, "large", "small")
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    lines, csv = (
        load_data(tmp_path / f"rows.{suffix}", target="kind") for suffix in ("jsonl", "csv")
    )
    assert lines.preprocessing == csv.preprocessing and lines.fingerprint == csv.fingerprint
    assert (
        encode(lines.preprocessing, tmp_path / "rows.jsonl") == encode(csv.preprocessing, frame)
    ).all()
    assert kinds.kind("tokens").inference.gather([str(tmp_path / "rows.jsonl")]) == str(
        tmp_path / "rows.jsonl"
    )
    with refuses("'lines.py'", ".csv", ".jsonl"):
        load_data(tmp_path / "code" / "lines.py")


def test_a_new_kind_of_input_needs_a_single_folder(tmp_path, monkeypatch, listed_anew):
    room = tmp_path / "points"
    room.mkdir()
    for name, text in (("__init__", POINTS), ("light", POINTS_LIGHT), ("learn", POINTS_LEARN)):
        (room / f"{name}.py").write_text(text)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    points = kinds.kind("points")
    assert "points" in kinds.NAMES and "points" in points.facts
    preset = kzoo.Preset(
        name="points_net",
        family="fnn",
        task="tabular_classification",
        summary="Points.",
        training={},
        config=dict(inputs="points", input_shape=(5, 2), outputs=2),
    )
    with refuses("points", "shape", "(N, P, D)", "(5, 2)"):
        points.fitting.take(np.zeros((5, 2)), preset)
    data = load_data(
        (np.random.default_rng(0).random((40, 5, 2)), np.arange(40) % 2), preset=preset
    )
    x = data.train.x
    reader = data.preprocessing
    assert data.task == "points:classes" and reader == {"kind": "cloud", "count": 5}
    assert data.overview["about"] == {"points": 5}
    assert_mentions(summary_line(data.overview), "40 clouds")
    assert [feature["name"] for feature in statistics(data)["features"]] == ["column 0", "column 1"]
    assert Subject(data).batch[0].shape == (len(x), 5, 2) and Subject(data).columns is None
    np.savetxt(tmp_path / "one.txt", x[0])
    assert encode(reader, [tmp_path / "one.txt"]) == pytest.approx(x[:1])
    first, seven = golden_batches(dict(kind="points", shape=[None, 5, 2], dtype="float32"))
    assert first.shape == (1, 5, 2) and seven.shape == (7, 5, 2)


def test_a_kind_of_a_package_may_load_by_single_arguments(tmp_path, monkeypatch, listed_anew):
    room = tmp_path / "clouds"
    room.mkdir()
    source = (
        'Source(name="a file of points", form="file", suffixes=(".ply",), order="unordered", '
        'usual="classification", options=("drop",))'
    )
    described = POINTS.replace("sources=()", f"sources=({source},)")
    described = described.replace("import Kind", "import Kind, Source")
    described = described.replace('"points",', '"clouds",', 1)
    learned = f"import numpy as np\n{POINTS_LEARN}{POINTS_FILE}"
    for name, text in (("__init__", described), ("inference", POINTS_LIGHT), ("fitting", learned)):
        (room / f"{name}.py").write_text(text)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    np.savetxt(tmp_path / "cloud.ply", np.random.default_rng(0).random((40, 2)))
    data = load_data(tmp_path / "cloud.ply", validation=0.2, seed=3, drop=["z"])
    assert (data.name, data.task, len(data.train)) == ("cloud.ply", "clouds:classes", 40)
    assert data.seen["arguments"] == ["file", None, 0.2, None, 3, ["z"]]
    with refuses("group='z'", "cloud.ply"):
        load_data(tmp_path / "cloud.ply", group="z")
