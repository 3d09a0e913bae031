"""The same instants in another time zone than the training's: the same features, or a line with the reason."""

import warnings

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses

from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.inference.tables.zones import minutes_in, on_clock, zone_notes, zone_of
from kzoo.problems.kinds import kind

ROWS = 160
# a year: clocks change on the way
WHEN = pd.date_range("2023-01-05 22:31", periods=ROWS, freq="53h41min", tz="UTC")
FAR = "Asia/Tokyo"


def table(when):
    return pd.DataFrame(
        {
            "size": np.arange(ROWS) % 7.5,
            "when": when,
            "late": np.where(WHEN.hour >= 12, "yes", "no"),
        }
    )


def doors(frame, folder, name):
    """Return the same rows in each form that a table can have."""
    pa = pytest.importorskip("pyarrow")
    frame.to_csv(folder / f"{name}.csv", index=False)
    frame.to_parquet(folder / f"{name}.parquet")
    return {
        "frame": frame,
        "csv": folder / f"{name}.csv",
        "parquet": folder / f"{name}.parquet",
        "arrow": pa.Table.from_pandas(frame),
        "arrow types": frame.astype(
            {"when": pd.ArrowDtype(pa.timestamp("us", str(frame["when"].dt.tz)))}
        ),
        "dicts": frame.to_dict("records"),
        "lists": frame.to_dict("list"),
        "series": {"when": frame["when"], "size": frame["size"].to_numpy()},
        "index": {"when": pd.DatetimeIndex(frame["when"]), "size": frame["size"].to_numpy()},
    }


def read(reader, rows):
    """Return the features of new rows, and the lines about them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        x = encode(reader, rows)
    return x, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("zone", ["UTC", "+05:30", "Europe/Berlin"])
def test_the_same_instants_are_the_same_features_through_every_door(zone, tmp_path):
    trained, new = table(WHEN.tz_convert(zone)), table(WHEN.tz_convert(FAR))
    expected = encode(load_data(trained, target="late").preprocessing, trained)
    learned = {
        door: load_data(source, target="late", validation=0).preprocessing
        for door, source in doors(trained, tmp_path, "trained").items()
        if not isinstance(source, dict | list)
    }
    for door, reader in learned.items():
        for source in (
            *doors(trained, tmp_path, "trained").values(),
            *doors(new, tmp_path, "new").values(),
        ):
            x, lines = read(reader, source)
            if door == "csv" and zone == "Europe/Berlin" and lines:  # a file of texts names no city
                assert_mentions(lines[0], "'when'", "+09:00", "training", "+01:00", "+02:00")
                continue
            np.testing.assert_array_equal(x, expected)
            assert len(lines) <= (zone == "+05:30")
            for line in lines:
                assert_mentions(line, "'when'", "+09:00", "training", "+05:30")


def test_a_test_table_in_another_zone_has_the_features_of_the_training(tmp_path, monkeypatch):
    trained = table(WHEN.tz_convert("Europe/Berlin"))
    new = table(WHEN.tz_convert(FAR))
    expected = encode(load_data(trained, target="late").preprocessing, trained)
    tests = [
        source
        for source in doors(new, tmp_path, "new").values()
        if not isinstance(source, dict | list)
    ]
    for test in tests:
        np.testing.assert_array_equal(load_data(trained, target="late", test=test).test.x, expected)
    doors(trained, tmp_path, "trained")
    monkeypatch.setenv("KZOO_MEMORY", "1KB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    data = load_data(tmp_path / "trained.parquet", target="late", test=tmp_path / "new.parquet")
    assert data.preprocessing["zones"] == {"when": "Europe/Berlin"}
    features = np.asarray(data.test.x[:])
    np.testing.assert_array_equal(
        features[np.lexsort(features.T)], expected[np.lexsort(expected.T)]
    )
    data = load_data(tmp_path / "trained.csv", target="late", test=tmp_path / "new.csv")
    assert any(
        not missing_from(note, ["'when'", "+09:00", "training", "+01:00", "+02:00"])
        for note in data.notes
    )


CASES = (
    ("none", FAR, ("+09:00", "training", "zone")),
    ("UTC", "none", ("zone", "training", "UTC", "2024-01-31T10:00+02:00")),
    ("Europe/Berlin", "none", ("zone", "training", "Europe/Berlin", "2024-01-31T10:00+02:00")),
    ("none", "none", None),
    ("Europe/Berlin", "Europe/Berlin", None),
    ("Europe/Berlin", FAR, None),
)


@pytest.mark.parametrize(("trained", "new", "parts"), CASES)
def test_where_a_zone_is_unclear_a_line_names_the_column(trained, new, parts, tmp_path):
    def zoned(zone):
        return WHEN.tz_localize(None) if zone == "none" else WHEN.tz_convert(zone)

    reader = load_data(table(zoned(trained)), target="late").preprocessing
    for source in (table(zoned(new)), table(zoned(new)).to_dict("records")):
        x, lines = read(reader, source)
        assert len(lines) == (parts is not None)
        for line in lines:
            assert_mentions(line, "'when'", *parts)
        wall = zoned(trained) if new != "none" and trained != "none" else zoned(new)
        np.testing.assert_array_equal(x[:, -1], wall.hour)
    data = load_data(table(zoned(trained)), target="late", test=table(zoned(new)))
    notes = [note for note in data.notes if "'when'" in note]
    assert len(notes) == (parts is not None)
    for note in notes:
        assert_mentions(note, "test", *parts)


def test_local_time_of_a_clock_that_is_changed_is_read_as_written():
    reader = load_data(
        table(WHEN.tz_convert("Europe/Berlin").astype(str)), target="late"
    ).preprocessing
    assert reader["zones"] == {"when": "+01:00,+02:00"}
    assert read(reader, {"when": "2024-07-01T10:00:00+02:00", "size": 1})[0][0, -1] == 10
    assert not read(reader, {"when": "2024-07-01T10:00:00+02:00", "size": 1})[1]


def test_an_older_run_without_zones_reads_times_as_written():
    reader = load_data(table(WHEN), target="late").preprocessing
    new = table(WHEN.tz_convert(FAR))
    del reader["zones"]
    x, lines = read(reader, new)
    np.testing.assert_array_equal(x[:, -1], new["when"].dt.hour)
    assert not lines


@pytest.mark.parametrize(("zone", "offset"), [("UTC", "Z"), ("+05:30", "+05:30"), (None, "")])
def test_the_example_of_a_served_table_has_the_offset(zone, offset):
    when = WHEN.tz_localize(None) if zone is None else WHEN.tz_convert(zone)
    reader = load_data(table(when), target="late").preprocessing
    row = kind("rows").inference.example(reader, None)
    assert row["when"].endswith(f":00{offset}")
    assert not read(reader, [row])[1]


def test_files_of_one_table_are_converted_to_the_zone_of_the_first(tmp_path):
    pytest.importorskip("pyarrow")
    parts = table(WHEN)[:80], table(WHEN.tz_convert(FAR))[80:]
    for number, part in enumerate(parts):
        part.to_parquet(tmp_path / f"{number}.parquet")
    data = load_data(tmp_path, target="late")
    np.testing.assert_array_equal(read(data.preprocessing, tmp_path)[0][:, -1], WHEN.hour)
    table(WHEN.tz_localize(None)).to_parquet(tmp_path / "1.parquet")
    with refuses("'when'", "'1.parquet'", "timestamp[us]", "'0.parquet'", "timestamp[us, tz=UTC]"):
        load_data(tmp_path, target="late")


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
)
def test_clocks_are_those_of_pandas(zone):
    when = pd.date_range("1999-10-30", periods=4000, freq="17h7min", tz="UTC")
    local = when.tz_convert(zone).tz_localize(None).to_numpy().astype("M8[us]")
    there = when.tz_convert(FAR)
    wall = there.tz_localize(None).to_numpy().astype("M8[us]")
    np.testing.assert_array_equal(on_clock(wall, minutes_in(there.astype(str)), zone), local)


def test_the_zones_of_cells():
    texts = [
        "2024-01-01T10:00Z",
        "2024-01-01 10:00:00+0530",
        "2024-01-01 10:00",
        "2024-01-01",
        None,
        "x",
        "7 PM EST",
        "2024-01-01 10:00-03",
        "1/2/2024 10:00 GMT",
    ]
    np.testing.assert_array_equal(minutes_in(texts), [0, 330, *[np.nan] * 5, -180, 0])
    assert zone_of(minutes_in(texts)) == "-03:00,UTC,+05:30,none"
    assert zone_of(np.full(3, np.nan)) == "" and zone_of(np.empty(0)) == ""
    assert not zone_notes("when", None, np.array([60.0])) and not zone_notes(
        "when", "UTC", np.empty(0)
    )
