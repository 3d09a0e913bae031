"""Forecasts of many series: a panel for each, its band, its own times, and a line for those that are not drawn."""

import dataclasses
import datetime
import io

import numpy as np
from messages import assert_mentions, refuses

import kzoo.plots
from kzoo.inference.predictions import Predictions


def predictions(series=12, targets=1, quantiles=True, **more):
    random = np.random.default_rng(0)
    start = datetime.datetime(2024, 5, 1)
    days = [start + datetime.timedelta(days=i) for i in range(9)]
    values = np.sort(random.normal(size=(series, 3, targets, 3)), axis=-1)
    return Predictions(
        **(
            dict(quantiles=values, levels=(0.1, 0.5, 0.9))
            if quantiles
            else dict(values=values[..., 1])
        ),
        history=random.normal(size=(series, 6, targets)),
        inputs=tuple(f"shop {i}" for i in range(series)),
        target_names=("sales", "visits")[:targets],
        time_name="day",
        times=[days[6:]] * series,
        history_times=[days[:6], [days[3]] * 4 + days[4:6]] * (series // 2)
        + [days[:6]] * (series % 2),
        **more,
    )


def lines(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def test_each_series_has_its_history_forecast_and_band():
    given = predictions(9)
    figure = kzoo.plots.forecasts(given)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"shop {i}" for i in range(9)]
    more = kzoo.plots.forecasts(predictions()).get_supxlabel()
    assert_mentions(more, "9 of 12 series", "3 are not drawn", "widest", "median")
    for i in (0, 4):
        drawn, (band,) = lines(figure.axes[i]), figure.axes[i].collections
        np.testing.assert_array_equal(drawn["forecast"].get_ydata(), given.quantiles[i, :, 0, 1])
        np.testing.assert_array_equal(drawn["history"].get_ydata(), given.history[i, :, 0])
        assert list(drawn["forecast"].get_xdata()) == given.times[i]
        heights = band.get_paths()[0].vertices[:, 1]
        assert {*given.quantiles[i, :, 0, [0, 2]].ravel()} <= {*heights}
    short = lines(figure.axes[1])["history"]  # without the repeated first row
    assert list(short.get_xdata()) == given.history_times[1][3:]
    figure.savefig(io.BytesIO())


def test_intervals_and_several_targets_are_drawn():
    given = predictions(2, 2, quantiles=False)
    assert not kzoo.plots.forecasts(given).axes[0].collections
    given.lower = given.values - 1
    given.upper = given.values + 2
    figure = kzoo.plots.forecasts(given, most=3)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["shop 0, sales", "shop 0, visits", "shop 1, sales"]
    assert_mentions(figure.get_supxlabel(), "3 of 4", "targets", "1 are")
    assert {*given.upper[0, :, 1]} <= {*figure.axes[1].collections[0].get_paths()[0].vertices[:, 1]}


def test_a_single_series_is_drawn_as_before_and_others_are_refused():
    assert [axes.get_ylabel() for axes in kzoo.plots.forecasts(predictions(1)).axes] == ["sales"]
    with refuses("not forecasts"):
        kzoo.plots.forecasts(
            Predictions(labels=["a"], probabilities=np.ones((1, 1)), class_names=["a"])
        )
    with refuses("most=0", "at least 1"):
        kzoo.plots.forecasts(predictions(), most=0)


def test_titles_tell_series_apart():
    city = ("Sydney", "Newcastle and the Hunter Valley")
    ids = dict(
        state=["New South Wales"] * 6,
        city=[city[i % 2] for i in range(6)],
        purpose=[f"Visiting friends and relatives {i}" for i in range(6)],
    )
    figure = kzoo.plots.forecasts(predictions(6, ids=ids))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(set(titles)) == 6 and max(map(len, titles)) <= 34
    assert all(title.endswith(f"relatives {i}") for i, title in enumerate(titles))
    assert titles[0].startswith("Sydney") and titles[1].startswith("Newcastle")  # not the state
    short = kzoo.plots.forecasts(predictions(4, ids=dict(state=["NSW"] * 4, city=list("abcd"))))
    assert [axes.get_title(loc="left") for axes in short.axes] == [f"NSW, {c}" for c in "abcd"]
    # names that differ only in the middle are as long as it takes
    names = [f"{'a' * 40}{i}{'b' * 40}" for i in range(4)]
    long = kzoo.plots.forecasts(predictions(4, ids=dict(name=names)))
    assert len({axes.get_title(loc="left") for axes in long.axes}) == 4


def test_the_total_the_widest_and_the_median_band_come_first():
    shown = predictions()
    shown.quantiles[5, ..., 2] += 100  # the widest band
    width = (shown.quantiles[..., -1] - shown.quantiles[..., 0]).mean(axis=(1, 2))
    size = np.abs(shown.history).mean(axis=(1, 2))
    median = int(np.argsort(-width / size, kind="stable")[6])
    titles = [axes.get_title(loc="left") for axes in kzoo.plots.forecasts(shown).axes]
    assert titles[:2] == ["shop 5", f"shop {median}"]
    assert titles[2:] == [f"shop {i}" for i in range(12) if i not in (5, median)][:7]
    same = dict(history_times=[shown.history_times[0]] * 12)
    mean = shown.quantiles[..., 1] + 0.5
    paths = np.random.default_rng(1).normal(size=(200, 12, 3, 1))
    given = dataclasses.replace(shown, mean=mean, samples=paths, **same)
    total = kzoo.plots.forecasts(given).axes[0]
    assert "total of 12" in total.get_title(loc="left")
    drawn, (band,) = lines(total), total.collections
    np.testing.assert_allclose(drawn["forecast"].get_ydata(), mean.sum(axis=0)[:, 0])
    np.testing.assert_allclose(drawn["history"].get_ydata(), given.history.sum(axis=0)[:, 0])
    low = np.quantile(paths.sum(axis=1)[..., 0], 0.1, axis=0)
    assert {*low.round(9)} <= {*band.get_paths()[0].vertices[:, 1].round(9)}
    # series with other times have no total
    apart = kzoo.plots.forecasts(dataclasses.replace(shown, mean=mean)).axes[0]
    assert "total" not in apart.get_title(loc="left")
