"""Pictures of a search: every trial is in them, the best is named, and what has no score is not hidden."""

import io

import pytest

import kzoo
from kzoo.plots import importance, search_curves, search_history
from kzoo.tuning.importance import Importance, Mattered
from kzoo.tuning.records import Trial

ACCURACY, LOSS = ("val_accuracy", "max"), ("val_loss", "min")


def trial(number, score, status="completed", **more):
    curve = [score / 2, score] if score is not None else [0.5, None]
    return Trial(
        number=number, score=score, status=status, best_epoch=None if score is None else 2, baseline=number == 0,
        history={"val_accuracy": curve, "val_loss": curve}, hyperparameters={}, overrides={}, seed=0, **more,
    )  # fmt: skip


SIX = [
    trial(0, 0.8), trial(1, 0.7, "pruned"), trial(2, 0.9), trial(3, None, "diverged"), trial(4, None, "failed"),
    trial(5, 0.6),
]  # fmt: skip


def texts(figure):
    figure.savefig(io.BytesIO())
    return [t.get_text() for legend in figure.legends for t in legend.get_texts()]


def points(figure, label):
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_label().startswith(label)]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_the_history_has_every_trial_the_best_so_far_and_the_preset():
    figure = search_history(SIX, ACCURACY)
    assert set(texts(figure)) == {
        "completed: 3", "pruned: 1", "diverged: 1", "failed: 1", "best so far", "best: trial 2, 0.9", "the preset: 0.8",
    }  # fmt: skip
    assert points(figure, "completed") == [(0, 0.8), (2, 0.9), (5, 0.6)] and points(figure, "pruned") == [(1, 0.7)]
    assert points(figure, "best so far") == [(0, 0.8), (1, 0.8), (2, 0.9), (3, 0.9), (4, 0.9), (5, 0.9)]
    assert points(figure, "diverged")[0][0] == 3 and points(figure, "failed")[0][0] == 4
    assert points(figure, "the preset")[0][1] == 0.8
    assert figure.axes[0].get_title(loc="left") == "Accuracy, validation: 6 trials"


def test_of_a_loss_the_smallest_is_best():
    figure = search_history(SIX, LOSS)
    assert points(figure, "best so far")[-1] == (5, 0.6) and "best: trial 5, 0.6" in texts(figure)
    assert figure.axes[0].get_ylabel() == "lower is better"


def test_one_bad_loss_does_not_flatten_the_picture():
    trials = [trial(i, 0.1 + i / 100) for i in range(12)] + [trial(12, 900.0), trial(13, 40.0)]
    figure = search_history(trials, LOSS)
    assert figure.axes[0].get_ylim()[1] < 1 and "far behind: 2" in texts(figure)
    assert [x for x, _ in points(figure, "far behind")] == [12, 13]
    assert search_curves(trials, LOSS).axes[0].get_ylim()[1] < 1


def test_the_preset_is_always_inside():
    trials = [trial(0, 0.1), *(trial(i, 0.9 + i / 1000) for i in range(1, 30))]
    low, _ = search_history(trials, ACCURACY).axes[0].get_ylim()
    assert low < 0.1


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
def test_one_trial_and_none_with_a_score_are_drawn_too(objective):
    assert "best: trial 0, 0.8" in texts(search_history(SIX[:1], objective))
    figure = search_history(SIX[3:5], objective)
    assert texts(figure) == ["diverged: 1", "failed: 1"]
    assert "no trial has a score" in [t.get_text() for t in figure.axes[0].texts]
    assert texts(search_curves(SIX[:1], objective)) == ["trial 0, the preset: 0.8, epoch 2"]
    assert texts(search_curves(SIX[3:5], objective)) == ["the other trials"]


def test_the_best_three_curves_and_the_preset_are_named():
    trials = [trial(0, 0.5), *(trial(i, i / 10) for i in range(1, 10))]
    figure = search_curves(trials, ACCURACY)
    assert texts(figure) == [
        "trial 9: 0.9, epoch 2", "trial 8: 0.8, epoch 2", "trial 7: 0.7, epoch 2", "the other trials",
        "trial 0, the preset: 0.5, epoch 2",
    ]  # fmt: skip
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2]
    assert len(drawn) == 10
    assert texts(search_curves(trials, LOSS))[0] == "trial 1: 0.1, epoch 2"


def test_over_folds_the_score_is_no_point_of_the_mean_curve():
    one, folds = (search_curves([trial(0, 0.5, **more)], ACCURACY).axes[0] for more in ({}, dict(folds=[0.5, 0.6])))
    assert sorted(len(line.get_xdata()) for line in one.get_lines()) == [1, 2]
    assert [len(line.get_xdata()) for line in folds.get_lines()] == [2]
    assert "mean of the folds" in folds.get_title(loc="left")


@pytest.mark.parametrize("draw", [search_history, search_curves])
def test_nothing_to_draw_is_said(draw):
    for trials in ([], [trial(0, None, "running")]):
        with pytest.raises(kzoo.KzooError, match="No trial of the search has ended"):
            draw(trials, ACCURACY)
    with pytest.raises(kzoo.KzooError, match="No trial has an epoch with a val_auc"):
        search_curves(SIX, ("val_auc", "max"))


def found(r2, name="x"):
    own = Mattered(name=name, mean=0.4, sd=0.1, trials=20, r2=r2)
    other = Mattered(name="y", mean=0.1, sd=0.1, trials=16, r2=-0.1)
    return Importance(
        objective="val_accuracy", rows=(own, other), trials=20, r2=r2, r2_sd=0.1, repeats=10,
        left_out=(("momentum", "counted in 7 trials"),),
    )  # fmt: skip


def said(figure):
    figure.savefig(io.BytesIO())
    return figure._supxlabel.get_text()


def test_importance_says_what_the_forest_knows_and_what_is_left_out():
    figure = importance(found(0.6))
    assert "has not seen with R² 0.60 ± 0.10." in said(figure)
    assert (
        "Pale: " in said(figure)
        and "momentum (counted in 7 trials)" in said(figure)
        and "20 trials" in figure.axes[0].get_title(loc="left")
    )
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["x", "y (in 16)"]
    bars = figure.axes[0].patches
    assert bars[0].get_width() == 0.4 and bars[0].get_facecolor() != bars[1].get_facecolor()


def test_a_forest_that_knows_nothing_is_said_to():
    figure = importance(found(-0.2))
    assert "this picture says nothing" in said(figure)
    assert len({bar.get_facecolor() for bar in figure.axes[0].patches}) == 1
    assert "says nothing" in said(importance(found(0.05))) and "says nothing" not in said(importance(found(0.6)))


def test_long_names_leave_room_for_the_picture():
    figure = importance(found(0.6, name="a_hyperparameter_" * 6))
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_position().width > 0.5
