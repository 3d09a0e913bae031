"""Cross-validation of forecasts by expanding cuts, and the comparison of two runs by pairs of windows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from scipy import stats
from shortcuts import undrawn, untraced

import kzoo
from kzoo.cli import main
from kzoo.data.splits import Fold
from kzoo.evaluation.comparison import compare_runs
from kzoo.zoo.registry import get_preset

PANEL = dict(target="sales", series_id="shop", time="day")
SIZES = dict(horizon=3, input_shape=6)
FAST = dict(SIZES, epochs=1, batch_size=32, baselines=False, progress=False)


def shops(seed=0):
    random = np.random.default_rng(seed)
    frames = []
    for level, (shop, days) in enumerate((("a", 80), ("b", 70), ("c", 60)), start=1):
        sales = level * (10 + np.arange(days) % 7 + random.normal(0, 1, days))
        dates = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
        frames.append(pd.DataFrame(dict(shop=shop, day=dates, sales=sales)))
    return pd.concat(frames, ignore_index=True)


def single():
    frame = shops()
    return frame[frame["shop"] == "a"].drop(columns="shop").reset_index(drop=True)


def load(frame, fold, **options):
    preset = get_preset("series_linear")
    preset = replace(preset, config={**preset.config, "horizon": 3, "input_shape": (6, 1)})
    return kzoo.load_data(frame, preset=preset, test=fold, time="day", target="sales", **options)


def moments(split):
    """Return the number of the first and of the last step that each window forecasts."""
    y = split.y
    numbers = np.arange(len(y.values)) if y.series is None else y.series.numbers
    return numbers[y.starts], numbers[y.starts + y.length - 1]


@pytest.mark.parametrize(
    "frame, options", [(shops(), dict(series_id="shop")), (single(), {})], ids=["many", "one"]
)
def test_each_fold_is_trained_on_the_steps_before_it(frame, options):
    parts = [load(frame, Fold(i, 3), **options) for i in range(3)]
    ends = []
    for data in parts:
        (_, train_end), (val_start, val_end), (test_start, test_end) = (
            moments(split) for split in (data.train, data.validation, data.test)
        )
        assert train_end.max() < val_start.min() and val_end.max() < test_start.min()
        ends.append((test_start.min(), test_end.max()))
    assert ends[0][1] < ends[1][0] and ends[1][1] < ends[2][0]  # no step is tested twice
    whole = load(frame, 0.2, **options)
    assert ends[2][1] == moments(whole.test)[1].max()  # the last fold ends with the series
    assert len(parts[0].train) < len(parts[1].train) < len(parts[2].train)
    assert_mentions(" ".join(parts[0].notes), "Fold 1 of 3", "later ones are not used")
    assert f"to {frame.day.max():%Y-%m-%d}" in " ".join(parts[2].notes)


@pytest.mark.parametrize(
    "frame, options", [(shops(), dict(series_id="shop")), (single(), {})], ids=["many", "one"]
)
def test_what_comes_after_a_fold_changes_nothing_in_it(frame, options):
    data = load(frame, Fold(0, 3), **options)
    note = next(note for note in data.notes if note.startswith("Fold 1"))
    end = pd.Timestamp(note.split(" to ")[1][:10])
    assert end < frame.day.max() - pd.Timedelta(days=20)
    changed = load(
        frame.assign(sales=frame.sales.where(frame.day <= end, frame.sales * 7 + 100)),
        Fold(0, 3),
        **options,
    )
    for name in ("train", "validation", "test"):
        ours, theirs = getattr(data, name), getattr(changed, name)
        assert np.array_equal(ours.x[:], theirs.x[:]) and np.array_equal(ours.y[:], theirs.y[:])
    learned = ("scale", "offset", "target_scale", "target_offset")
    assert all(data.config[name] == changed.config[name] for name in learned)


def test_the_scores_of_the_folds_have_a_mean_and_a_spread(tmp_path):
    with untraced(), undrawn():
        scores = kzoo.cross_validate(
            "series_linear",
            shops(),
            folds=3,
            out=tmp_path / "folds",
            **PANEL,
            **FAST,
        )
    maes = [fold["mae"] for fold in scores["folds"]]
    assert scores["mean"]["mae"] == pytest.approx(np.mean(maes))
    assert scores["std"]["mae"] == pytest.approx(np.std(maes, ddof=1))
    outside = scores["out_of_fold"]
    for number, mae in enumerate(maes, 1):
        rows = outside["fold"] == number
        assert np.abs(outside["answers"][rows] - outside["truth"][rows]).mean() == pytest.approx(
            mae, rel=1e-4
        )
    assert set(outside["series"]) == {"a", "b", "c"}
    first, second = (set(outside["moments"][outside["fold"] == number]) for number in (1, 2))
    assert max(first) < min(second)


def test_the_command_line_has_folds_of_forecasts(tmp_path, capsys):
    shops().to_csv(tmp_path / "shops.csv", index=False)
    words = [
        "--data",
        tmp_path / "shops.csv",
        "--target",
        "sales",
        "--series-id",
        "shop",
        "--time",
        "day",
    ]
    words += [
        "--set",
        "horizon=3",
        "--set",
        "input_shape=6",
        "--epochs",
        "1",
        "--folds",
        "2",
        "--no-baselines",
    ]
    with untraced(), undrawn():
        code = main([*map(str, ["train", "series_linear", *words, "--out", tmp_path / "folds"])])
    assert code in (0, None)
    assert_mentions(capsys.readouterr().out, "2 folds", "deviation", "rows before it")
    assert not (tmp_path / "folds" / "ensemble").exists()


def test_folds_that_cannot_be_cut_are_refused(tmp_path):
    with refuses("folds=9", "at least 10 rows"):
        load(single().head(8), Fold(0, 9))
    (tmp_path / "verses.txt").write_text("so long lives this, and this gives life to thee\n" * 60)
    with refuses("long text", "kzoo.train"):
        kzoo.cross_validate(
            "char_gru", tmp_path / "verses.txt", folds=3, out=tmp_path / "folds", epochs=1
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("pairs")
    with untraced(), undrawn():
        return [
            kzoo.train(
                "series_linear",
                shops(),
                out=home / f"run-{epochs}",
                **PANEL,
                **FAST | dict(epochs=epochs),
            )
            for epochs in (4, 1)
        ]


def test_runs_are_compared_by_pairs_of_windows(runs):
    held_out = shops(seed=1)
    compared = compare_runs(*runs, held_out, metric="mae")
    test = compared["test"]
    assert test["difference"] == pytest.approx(compared["difference"], rel=1e-4)
    # The same from the windows of each shop, by hand.
    errors, first = [], []
    for run in runs:
        own = []
        for _, rows in held_out.groupby("shop"):
            rows = rows.reset_index(drop=True)
            for start in range(6, len(rows) - 2):
                answers = kzoo.predict(run, rows.iloc[max(0, start - 30) : start]).values[0, :, 0]
                own.append(np.abs(answers - rows.sales[start : start + 3].to_numpy()).mean())
                first += (
                    [(rows.day[start] - pd.Timestamp("2024-01-01")).days] if run is runs[0] else []
                )
        errors.append(np.array(own))
    first = np.array(first)
    inside = first >= first.min()
    clusters = (first - first.min()) // 3
    difference = (errors[0] - errors[1])[inside]
    means = [
        (difference[clusters == c] - difference.mean()).sum() / len(difference)
        for c in np.unique(clusters)
    ]
    count = len(means)
    half = stats.t.ppf(0.975, count - 1) * np.sqrt(count / (count - 1) * np.square(means).sum())
    assert test["moments"] == pytest.approx(count, abs=1)
    width = test["interval"][1] - test["interval"][0]
    # short windows at the start of a series differ
    assert width == pytest.approx(2 * half, rel=0.1)
    assert test["interval"][0] < test["difference"] < test["interval"][1]


def test_windows_of_the_same_steps_count_once():
    from kzoo.data.store.windows import SeriesOfWindows, Windows
    from kzoo.evaluation.comparison import _over_moments

    def interval(copies):
        numbers = np.tile(np.arange(30), copies)
        starts = np.concatenate([np.arange(5, 28) + 30 * i for i in range(copies)])
        codes = np.repeat(np.arange(copies), 23)
        series = SeriesOfWindows(
            codes, 30 * np.arange(copies), tuple(map(str, range(copies))), numbers
        )
        values = np.tile(np.random.default_rng(0).normal(size=23), copies)
        return _over_moments(values, "mae", Windows(np.zeros((30 * copies, 1)), starts, 3, series))

    one, many = interval(1), interval(50)
    assert one["moments"] == many["moments"] == 8
    # copies of a series are no more evidence
    assert many["interval"] == pytest.approx(one["interval"])
    assert _over_moments(np.zeros(4), "mae", np.zeros((4, 3, 1))) is None
