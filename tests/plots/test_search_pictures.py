"""Pictures of a search: every trial is in them, the best is named, and trials without a score are shown."""

import io
import re
from dataclasses import replace

import pytest
from messages import assert_mentions, missing_from, refuses

from kzoo.plots import importance, search_curves, search_history
from kzoo.plots.colors import RED
from kzoo.tuning.importance import HyperparameterImportance, Importance
from kzoo.tuning.records import Trial

ACCURACY, LOSS = ("val_accuracy", "max"), ("val_loss", "min")


def trial(number, score, status="completed", **more):
    curve = [score / 2, score] if score is not None else [0.5, None]
    return Trial(
        number=number,
        score=score,
        status=status,
        best_epoch=None if score is None else 2,
        baseline=number == 0,
        history={"val_accuracy": curve, "val_loss": curve},
        hyperparameters={},
        overrides={},
        seed=0,
        **more,
    )


SIX = [
    trial(0, 0.8),
    trial(1, 0.7, "pruned"),
    trial(2, 0.9),
    trial(3, None, "diverged"),
    trial(4, None, "failed"),
    trial(5, 0.6),
]


def texts(figure):
    figure.savefig(io.BytesIO())
    return [t.get_text() for legend in figure.legends for t in legend.get_texts()]


def assert_texts(figure, *entries):
    """The legend has these entries in this order, each with its parts."""
    for text, parts in zip(texts(figure), entries, strict=True):
        assert_mentions(text, *parts)


def points(figure, part):
    """Return the points of the line whose label has a part; of several lines the longest."""
    lines = [
        line for line in figure.axes[0].get_lines() if not missing_from(line.get_label(), [part])
    ]
    line = max(lines, key=lambda line: len(line.get_xdata()))
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_the_history_has_every_trial_the_best_so_far_and_the_preset():
    figure = search_history(SIX, ACCURACY)
    entries = [
        ("completed", "3"),
        ("pruned", "1"),
        ("diverged", "1"),
        ("failed", "1"),
        ("best", "trial 2", "0.9"),
        ("preset", "0.8"),
    ]
    legend = texts(figure)
    for parts in entries:
        assert sum(not missing_from(text, parts) for text in legend) == 1, (parts, legend)
    assert len(legend) == len(entries) + 1  # and the best so far
    assert points(figure, "completed") == [(0, 0.8), (2, 0.9), (5, 0.6)] and points(
        figure, "pruned"
    ) == [(1, 0.7)]
    assert points(figure, "best") == [(0, 0.8), (1, 0.8), (2, 0.9), (3, 0.9), (4, 0.9), (5, 0.9)]
    assert points(figure, "diverged")[0][0] == 3 and points(figure, "failed")[0][0] == 4
    assert points(figure, "preset")[0][1] == 0.8
    assert_mentions(figure.axes[0].get_title(loc="left"), "accuracy", "validation", "6 trials")


def test_of_a_loss_the_smallest_is_best():
    figure = search_history(SIX, LOSS)
    assert points(figure, "best")[-1] == (5, 0.6)
    assert any(not missing_from(text, ["best", "trial 5", "0.6"]) for text in texts(figure))
    assert_mentions(figure.axes[0].get_ylabel(), "lower")


def test_one_bad_loss_does_not_flatten_the_picture():
    trials = [trial(i, 0.1 + i / 100) for i in range(12)] + [trial(12, 900.0), trial(13, 40.0)]
    figure = search_history(trials, LOSS)
    assert figure.axes[0].get_ylim()[1] < 1
    (outside,) = [line for line in figure.axes[0].get_lines() if list(line.get_xdata()) == [12, 13]]
    assert_mentions(outside.get_label(), "2")
    assert outside.get_label() in texts(figure)
    assert search_curves(trials, LOSS).axes[0].get_ylim()[1] < 1


def test_the_preset_is_always_inside():
    trials = [trial(0, 0.1), *(trial(i, 0.9 + i / 1000) for i in range(1, 30))]
    low, _ = search_history(trials, ACCURACY).axes[0].get_ylim()
    assert low < 0.1


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
def test_one_trial_and_none_with_a_score_are_drawn_too(objective):
    legend = texts(search_history(SIX[:1], objective))
    assert any(not missing_from(text, ["best", "trial 0", "0.8"]) for text in legend), legend
    figure = search_history(SIX[3:5], objective)
    assert_texts(figure, ("diverged", "1"), ("failed", "1"))
    (text,) = figure.axes[0].texts
    assert_mentions(text.get_text(), "score")
    assert_texts(search_curves(SIX[:1], objective), ("trial 0", "preset", "0.8", "epoch 2"))
    assert_texts(search_curves(SIX[3:5], objective), ("trials",))


def test_the_best_three_curves_and_the_preset_are_named():
    trials = [trial(0, 0.5), *(trial(i, i / 10) for i in range(1, 10))]
    figure = search_curves(trials, ACCURACY)
    assert_texts(
        figure,
        ("trial 9", "0.9", "epoch 2"),
        ("trial 8", "0.8", "epoch 2"),
        ("trial 7", "0.7", "epoch 2"),
        ("trials",),
        ("trial 0", "preset", "0.5", "epoch 2"),
    )
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2]
    assert len(drawn) == 10
    assert_mentions(texts(search_curves(trials, LOSS))[0], "trial 1", "0.1", "epoch 2")


def test_over_folds_the_score_is_no_point_of_the_mean_curve():
    single, folds = (
        search_curves([trial(0, 0.5, **more)], ACCURACY).axes[0]
        for more in ({}, dict(folds=[0.5, 0.6]))
    )
    assert sorted(len(line.get_xdata()) for line in single.get_lines()) == [1, 2]
    assert [len(line.get_xdata()) for line in folds.get_lines()] == [2]
    assert_mentions(folds.get_title(loc="left"), "mean", "folds")


@pytest.mark.parametrize("draw", [search_history, search_curves])
def test_nothing_to_draw_is_refused(draw):
    for trials in ([], [trial(0, None, "running")]):
        with refuses("trial"):
            draw(trials, ACCURACY)
    with refuses("trial", "epoch", "val_auc"):
        search_curves(SIX, ("val_auc", "max"))


def importance_with(r2, name="x"):
    first = HyperparameterImportance(name=name, mean=0.4, sd=0.1, trials=20, r2=r2)
    second = HyperparameterImportance(name="y", mean=0.1, sd=0.1, trials=16, r2=-0.1)
    return Importance(
        objective="val_accuracy",
        rows=(first, second),
        trials=20,
        r2=r2,
        r2_sd=0.1,
        repeats=10,
        left_out=(("momentum", "counted in 7 trials"),),
    )


def note(figure):
    figure.savefig(io.BytesIO())
    return figure._supxlabel.get_text()


def test_importance_names_the_score_of_the_forest_and_hyperparameters_left_out():
    figure = importance(importance_with(0.6))
    assert_mentions(note(figure), "R² 0.60", "0.10", "10", "momentum", "7 trials")
    assert_mentions(figure.axes[0].get_title(loc="left"), "val_accuracy", "20 trials")
    first, second = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert first == "x"
    assert_mentions(second, "y", "16")
    bars = figure.axes[0].patches
    assert bars[0].get_width() == 0.4 and bars[0].get_facecolor() != bars[1].get_facecolor()
    strong = importance_with(0.6)
    all_strong = importance(replace(strong, rows=strong.rows[:1]))
    # the paler colour is explained where it is used
    assert len(note(all_strong)) < len(note(figure))


def test_a_forest_no_better_than_chance_has_a_warning():
    figure = importance(importance_with(-0.2))
    assert_mentions(note(figure), "-0.20", "chance")
    assert len({bar.get_facecolor() for bar in figure.axes[0].patches}) == 1
    weak, strong = (importance(replace(importance_with(r2), rows=())) for r2 in (0.05, 0.6))
    assert_mentions(note(weak), "0.05", "chance")
    assert_mentions(note(strong), "0.60")
    assert weak._supxlabel.get_color() == RED != strong._supxlabel.get_color()
    assert re.sub(r"[\d.]+", "", note(weak)) != re.sub(r"[\d.]+", "", note(strong))


def test_long_names_leave_room_for_the_picture():
    figure = importance(importance_with(0.6, name="a_hyperparameter_" * 6))
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_position().width > 0.5
