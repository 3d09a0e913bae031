"""The target side is the same whatever the inputs are: one column in tables of rows, of texts and of image files."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kzoo
from kzoo.data import load_data
from kzoo.data.splits import Fold

COUNT, SECOND = 60, 20
TARGET_CONFIG = ("outputs", "target_scale", "target_offset", "loss", "output_bias")
PARTS = ("train", "validation", "calibration", "test")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Return kind -> (a source, a second source of the same form)."""
    folder = tmp_path_factory.mktemp("sources")
    return dict(
        zip(
            ("rows", "tokens", "image"),
            zip(
                _sources(folder / "first", COUNT, 0),
                _sources(folder / "second", SECOND, 1),
                strict=True,
            ),
            strict=True,
        )
    )


def _sources(folder, count, seed):
    """Return a table of numbers, one of texts, and a folder of images, with the same target columns."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    words = ["plum", "fig", "pear", "lime", "kiwi", "date"]
    table = pd.DataFrame(
        {
            "kind": random.choice(["oak", "elm", "fir"], count),
            "size": random.normal(5, 2, count).round(2),
            "births": random.poisson(3, count),
            "site": [f"s{number}" for number in random.integers(0, 12, count)],
            "tags": [
                ";".join(
                    sorted(random.choice(["a", "b", "c"], random.integers(1, 4), replace=False))
                )
                for _ in range(count)
            ],
        }
    )
    rows = table.assign(width=random.normal(size=count), height=random.normal(size=count))
    texts = table.assign(text=[" ".join(random.choice(words, 40)) for _ in range(count)])
    names = [f"{number}.png" for number in range(count)]
    for name in names:
        pixels = random.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    table.assign(file=names).to_csv(folder / "labels.csv", index=False)
    return rows, texts, folder


def loaded(kind, source, target, **options):
    preset = kzoo.list_presets(task="text_classification")[0] if kind == "tokens" else None
    used = {"kind", "size", "births", "site", "tags"} - {*target.split(","), options.get("group")}
    return load_data(source, preset=preset, target=target, drop=sorted(used), **options)


TARGETS = {
    "kind": {},
    "size": {"task": "regression"},
    "births": {"task": "count"},
    "size,births": {"task": "regression"},
    "tags": {"task": "labels"},
}
OPTIONS = [
    {},
    {"group": "site"},
    {"test": Fold(1, 3, seed=2)},
    {"calibration": 0.2},
    {"validation": 0.3, "test": 0.1, "seed": 4},
]


@pytest.mark.parametrize(
    "target, options",
    [
        pytest.param(target, options, id=f"{target}-{' '.join(options) or 'default'}")
        for target in TARGETS
        for options in OPTIONS
        if target != "tags" or "calibration" not in options  # of labels there are no sets
    ],
)
def test_kinds_split_and_encode_the_same_targets_alike(target, options, sources):
    _assert_alike(
        [
            loaded(kind, source, target, **TARGETS[target], **options)
            for kind, (source, _) in sources.items()
        ]
    )


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("target", TARGETS)
def test_kinds_read_a_second_source_alike(target, part, sources):
    datasets = [
        loaded(kind, source, target, **TARGETS[target], **{part: other})
        for kind, (source, other) in sources.items()
    ]
    _assert_alike(datasets)
    assert all(len(getattr(data, part)) == SECOND for data in datasets)


def _assert_alike(datasets):
    first = datasets[0]
    for data in datasets:
        assert data.class_names == first.class_names
        assert data.target_names == first.target_names
        for name in TARGET_CONFIG:
            assert np.array_equal(data.config.get(name), first.config.get(name))
        for part in PARTS:
            mine, others = getattr(data, part), getattr(first, part)
            assert (mine is None) == (others is None), part
            if mine is not None:
                assert np.array_equal(mine.y, others.y), part


@pytest.mark.parametrize("target", ["kind", "size"])
def test_rows_and_texts_weight_rows_alike(target, sources):
    random = np.random.default_rng(5)
    weights = [random.choice([0, 1, 2.5], count) for count in (COUNT, SECOND)]
    datasets = []
    for kind in ("rows", "tokens"):
        source, other = (
            table.assign(weight=weight)
            for table, weight in zip(sources[kind], weights, strict=True)
        )
        datasets.append(
            loaded(
                kind,
                source,
                target,
                task=TARGETS[target].get("task"),
                sample_weight="weight",
                test=other,
                validation=other.drop(columns="weight"),
            )
        )
    _assert_alike(datasets)
    rows, texts = datasets
    for part in ("train", "test"):
        assert np.array_equal(getattr(rows, part).weight, getattr(texts, part).weight)
    assert rows.validation.weight is None and texts.validation.weight is None
    assert (rows.train.weight > 0).all() and rows.train.weight.mean() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["rows", "tokens", "image"])
def test_a_class_of_a_single_row_is_accepted_if_no_test_rows_are_drawn(kind, sources, tmp_path):
    source, other = sources[kind]
    if kind == "image":
        table = pd.read_csv(source / "labels.csv")
        table.loc[0, "kind"] = "yew"
        for file in source.glob("*.png"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        table.to_csv(tmp_path / "labels.csv", index=False)
        source = tmp_path
    else:
        source = source.assign(kind=source["kind"].where(source.index > 0, "yew"))
    data = loaded(kind, source, "kind", test=other)
    assert "yew" in data.class_names and data.class_names.index("yew") in data.train.y
    with pytest.raises(kzoo.KzooError, match="yew"):
        loaded(kind, source, "kind")


@pytest.mark.parametrize("kind", ["rows", "tokens", "image"])
def test_labels_that_a_second_source_lacks_are_named(kind, sources, tmp_path):
    source, other = sources[kind]
    if kind == "image":
        table = pd.read_csv(other / "labels.csv").assign(tags="a;b")
        for file in other.glob("*.png"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        table.to_csv(tmp_path / "labels.csv", index=False)
        other = tmp_path
    else:
        other = other.assign(tags="a;b")
    notes = loaded(kind, source, "tags", test=other, **TARGETS["tags"]).notes
    assert any("No test row" in note and "'c'" in note for note in notes)
