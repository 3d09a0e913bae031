"""Calibration rows: a fourth kind of rows, cut by the rules of the others, which leaves the test split as it is."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.data.splits import Fold


def table(n=300, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 2)).round(3)
    frame = pd.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "kind": np.where(x[:, 0] > 0.8, "rare", "common")}
    )
    return frame.assign(group=np.arange(n) // 5, day=np.arange(n)[::-1])


def load(**options):
    return kzoo.load_data(table(), target="kind", **options)


def rows(data):
    return {
        name: set(getattr(data, name).rows.tolist())
        for name in ("train", "validation", "calibration", "test")
    }


def test_a_fraction_leaves_the_test_rows_and_everything_else_without_it():
    plain = load()
    data = load(calibration=0.2)
    parts = rows(data)
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 300
    assert parts["test"] == set(plain.test.rows.tolist()) and len(parts["validation"]) == len(
        plain.validation
    )
    assert len(parts["calibration"]) == 48  # of 240 rows outside the test split
    assert data.fingerprint != plain.fingerprint and data.loaded["options"]["calibration"] == 0.2
    assert "calibration" not in plain.loaded["options"] and plain.calibration is None
    assert data.overview["splits"] == {
        "train": 168,
        "validation": 24,
        "calibration": 48,
        "test": 60,
    }
    again = load(calibration=0.2)
    assert again.fingerprint == data.fingerprint and rows(again) == parts
    shares = [np.mean(np.asarray(getattr(data, part).y)) for part in ("calibration", "test")]
    assert shares[0] == pytest.approx(shares[1], abs=0.05)  # stratified


def test_groups_and_time_order_hold_for_them():
    parts = rows(load(group="group", calibration=0.2))
    groups = {name: {row // 5 for row in numbers} for name, numbers in parts.items()}
    assert sum(map(len, groups.values())) == 60
    parts = rows(load(time="day", split="time", drop="day", calibration=0.2))
    # later days have lower rows
    first = [min(parts[name]) for name in ("train", "validation", "calibration", "test")]
    assert first == sorted(first, reverse=True)
    assert (
        max(parts["test"])
        < min(parts["calibration"])
        <= max(parts["calibration"])
        < min(parts["validation"])
    )


def test_all_kinds_of_sources(tmp_path, monkeypatch):
    frame = table()
    assert len(load(calibration=table(40, seed=1)).calibration) == 40
    x = frame[["a", "b"]].to_numpy()
    y = (frame.kind == "rare").to_numpy().astype(int)
    assert len(kzoo.load_data((x, y), calibration=0.1).calibration) == 24
    assert len(kzoo.load_data((x, y), calibration=(x[:30], y[:30])).calibration) == 30
    assert [len(load(calibration=0.2, test=Fold(i, 3)).calibration) for i in range(3)] == [40] * 3
    assert len(load(calibration=0.2, validation=0).calibration) == 48
    series = pd.DataFrame({"y": np.sin(np.arange(4_000) / 5)})
    data = kzoo.load_data(series, preset="series_linear", calibration=0.1)
    first = [getattr(data, part).y.starts.min() for part in ("validation", "calibration", "test")]
    assert first == [2_400, 2_800, 3_200]
    texts = pd.DataFrame({"text": ["good one", "bad two"] * 40, "label": ["p", "n"] * 40})
    assert len(kzoo.load_data(texts, preset="text_ngrams", calibration=0.25).calibration) == 16
    frame.to_csv(tmp_path / "all.csv", index=False)
    monkeypatch.setenv("KZOO_MEMORY", "1000")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    options = dict(target="kind", drop=["group", "day"])
    large, plain = (
        kzoo.load_data(tmp_path / "all.csv", **options, **more)
        for more in (dict(calibration=0.2), {})
    )
    assert len(large.test) == len(plain.test) and large.calibration is not None
    assert sum(large.overview["splits"].values()) == 300 and 25 < len(large.calibration) < 75


def panel(days=(200, 200, 190)):
    frames = [
        pd.DataFrame(
            {
                "id": f"s{number}",
                "day": pd.date_range(end="2024-06-30", periods=count, freq="D"),
                "y": 10.0**number + np.sin(np.arange(count)),
            }
        )
        for number, count in enumerate(days)
    ]
    return pd.concat(frames)


OF_PANEL = dict(preset="series_linear", series_id="id", time="day", target="y")


def test_calibration_forecasts_of_panels_are_later_than_validation():
    data = kzoo.load_data(panel(), **OF_PANEL, validation=0.2, calibration=0.2)
    horizon = data.config["horizon"]
    ends = None
    for name in ("train", "validation", "calibration", "test"):
        part = getattr(data, name)
        starts = part.y.moments
        if ends is not None:  # no step is forecast in two splits
            assert starts.min() > ends
        ends = starts.max() + horizon - 1
        assert len(set(part.y.series.codes.tolist())) == 3
    assert len(np.unique(data.calibration.y.moments)) >= 4
    plain = kzoo.load_data(panel(), **OF_PANEL, validation=0.4)
    assert plain.calibration is None and len(plain.test) == len(data.test)
    assert_mentions(" ".join(data.notes), "Calibration rows are later")
    with refuses("calibration=0.02", "horizon="):
        kzoo.load_data(panel(), **OF_PANEL, validation=0.02, calibration=0.02)


def test_folders_with_validation_rows_of_their_own_give_a_share_of_them():
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1)).astype("float32")
    y = np.arange(60) % 2
    data = kzoo.load_data((x, y), validation=(x[:20], y[:20]), calibration=(x[20:30], y[20:30]))
    assert (len(data.validation), len(data.calibration)) == (20, 10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(calibration=0), ("calibration=0", "above 0")),
        (dict(calibration=True), ("calibration=True",)),
        (dict(calibration=0.95), ("calibration=0.95", "validation=0.1", "below 1")),
        (dict(calibration="nope.csv"), ("calibration='nope.csv'", "no such file or folder")),
        (dict(calibration=0.1, validation=table(20)), ("calibration=0.1", "source of its own")),
        (dict(calibration=table(20).drop(columns="a")), ("calibration=", "'a'")),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with refuses(*words):
        load(**options)


def test_tasks_without_sets_refuse_them():
    with refuses("calibration=0.1", "language_modeling"):
        kzoo.load_data("pydocs", preset="char_gru", calibration=0.1)
    with refuses("calibration=0.1", "fit"):
        kzoo.fit_arguments(
            kzoo.build("tabular_fnn", input_shape=(2,), outputs=2), table(), calibration=0.1
        )


def test_rows_in_training_and_calibration_are_found():
    frame = table(200)
    findings = kzoo.check("tabular_fnn", frame, target="kind", calibration=frame[:50])
    assert_mentions("\n".join(map(str, findings)), "calibration")
