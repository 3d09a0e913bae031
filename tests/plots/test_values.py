"""Forecasts and regressions: lines and points, the scores by hand, and arguments that are refused."""

import io

import numpy as np
import pytest
from messages import assert_mentions, refuses

from kzoo.plots import forecast, predicted_against_true

TRUTH = np.arange(10 * 6 * 2, dtype=float).reshape(10, 6, 2)


def lines(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def test_windows_are_evenly_spaced_and_the_history_ends_where_the_forecast_begins():
    history = np.random.default_rng(0).normal(size=(10, 40, 3))
    figure = forecast(TRUTH, TRUTH + 1, history=history, names=("load", "heat"))
    panels = np.array(figure.axes[:8]).reshape(2, 4)
    assert [axes.get_title(loc="left") for axes in panels[0]] == [
        "window 1",
        "window 4",
        "window 7",
        "window 10",
    ]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == ["load", "heat"]
    assert_mentions(panels[1, 0].get_xlabel(), "steps")
    drawn = lines(panels[1, 2])
    np.testing.assert_array_equal(drawn["truth"].get_ydata(), TRUTH[6, :, 1])
    np.testing.assert_array_equal(drawn["forecast"].get_ydata(), TRUTH[6, :, 1] + 1)
    np.testing.assert_array_equal(drawn["history"].get_ydata(), history[6, -24:, 1])
    assert (
        list(drawn["truth"].get_xdata()) == [1, 2, 3, 4, 5, 6]
        and drawn["history"].get_xdata()[-1] == 0
    )
    figure.savefig(io.BytesIO())


def test_a_single_step_and_many_targets_can_be_drawn():
    single = forecast(TRUTH[:1, :1, :1], TRUTH[:1, :1, :1])
    assert len(single.axes) == 1 and lines(single.axes[0])["truth"].get_marker() == "o"
    many = forecast(np.zeros((3, 4, 20)), np.zeros((3, 4, 20)), count=2)
    assert len(many.axes) == 18
    assert_mentions(many.get_supxlabel(), "9 of 20")


def test_scores_are_in_the_title():
    true, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0])
    figure = predicted_against_true(true, predicted, ["price"])
    axes = figure.axes[0]
    # |errors| 0, 0, 2; R2 = 1 - 4 / 2.
    name, scores = axes.get_title(loc="left").split("\n")
    assert_mentions(scores, "0.6667", "R² -1.000")
    assert name == "price" and axes.get_xlim() == axes.get_ylim()
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([true, predicted], 1))


def test_every_target_has_a_panel_and_all_steps_of_a_horizon_are_its_points():
    figure = predicted_against_true(TRUTH, TRUTH)
    assert [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes] == [
        "target 1",
        "target 2",
    ]
    assert len(figure.axes[0].collections[0].get_offsets()) == 60
    many = predicted_against_true(np.arange(20000.0), np.arange(20000.0))
    assert len(many.axes[0].collections[0].get_offsets()) == 5000
    same = predicted_against_true([3.0, 3.0], [1.0, 2.0])
    assert "R²" not in same.axes[0].get_title(loc="left")
    same.savefig(io.BytesIO())


@pytest.mark.parametrize(
    ("draw", "arguments", "options", "parts"),
    [
        (
            forecast,
            (TRUTH, TRUTH[:, :5]),
            {},
            ("truth", "(10, 6, 2)", "predicted", "(10, 5, 2)", "(windows, horizon, targets)"),
        ),
        (forecast, (TRUTH[0], TRUTH[0]), {}, ("truth", "(6, 2)", "(windows, horizon, targets)")),
        (forecast, (TRUTH[:0], TRUTH[:0]), {}, ("truth",)),
        (
            forecast,
            (TRUTH, TRUTH),
            {"history": np.zeros((9, 5, 2))},
            ("history", "(9, 5, 2)", "10"),
        ),
        (
            forecast,
            (TRUTH, TRUTH),
            {"history": np.zeros((10, 5, 1))},
            ("history", "(10, 5, 1)", "2"),
        ),
        (forecast, (TRUTH, TRUTH), {"names": ["a"]}, ("names: 1", "targets: 2")),
        (forecast, (TRUTH, TRUTH), {"count": 0}, ("count=0",)),
        (forecast, (TRUTH, TRUTH * np.nan), {}, ("predicted", "120", "NaN")),
        (predicted_against_true, ([1.0, 2.0], [1.0]), {}, ("true", "(2,)", "predicted", "(1,)")),
        (predicted_against_true, ([1.0, np.inf], [1.0, 2.0]), {}, ("true", "1", "inf")),
        (predicted_against_true, ([], []), {}, ("true",)),
    ],
)
def test_arguments_that_do_not_fit_are_refused(draw, arguments, options, parts):
    with refuses(*parts):
        draw(*arguments, **options)
