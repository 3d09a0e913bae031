"""Curves of many runs: which metric, which is best, and that no two lines look alike."""

import io
import math

import pytest
from messages import assert_mentions, refuses

from kzoo.plots import overlay

A = {
    "epoch": [1, 2, 3],
    "loss": [3.0, 2.0, 1.0],
    "val_loss": [3.0, 1.5, 2.0],
    "val_accuracy": [0.2, 0.9, 0.8],
}
B = {"epoch": [1, 2], "loss": [3.0, 2.0], "val_loss": [1.0, None], "val_accuracy": [0.95, None]}
ONLY_LOSS = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.0]}


def legend(figure):
    return [t.get_text() for t in figure.legends[0].get_texts()]


def assert_legend(figure, *entries):
    """The legend has these entries in this order, each with its parts."""
    for text, parts in zip(legend(figure), entries, strict=True):
        assert_mentions(text, *parts)


def title(figure):
    return figure.axes[0].get_title(loc="left")


def test_the_best_run_comes_first_and_its_best_epoch_is_marked():
    figure = overlay({"a": A, "b": B})
    assert_mentions(title(figure), "accuracy", "validation")
    assert_legend(figure, ("b", "0.9500", "epoch 1"), ("a", "0.9000", "epoch 2"))
    marks = {
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in figure.axes[0].get_lines()
        if len(line.get_xdata()) == 1
    }
    assert marks == {(1, 0.95), (2, 0.9)}
    lower = overlay({"a": A, "b": B}, metric="loss")
    assert_mentions(title(lower), "loss", "validation")
    assert_legend(lower, ("b", "1.000", "epoch 1"), ("a", "1.500", "epoch 2"))


def test_no_epoch_is_the_best_of_an_unknown_metric():
    histories = {"b": {"val_mine": [1.0, 0.5]}, "a": {"val_mine": [0.2, 0.9]}}
    assert legend(overlay(histories)) == ["b", "a"]
    named = {
        "low": {"val_binary_accuracy": [0.4, 0.5]},
        "high": {"val_binary_accuracy": [0.5, 0.9]},
    }
    assert_legend(overlay(named), ("high", "0.9000", "epoch 2"), ("low", "0.5000", "epoch 2"))


def test_without_a_metric_that_all_have_the_losses_are_drawn():
    assert_mentions(title(overlay({"a": A, "only": ONLY_LOSS})), "loss", "validation")
    assert_mentions(title(overlay({"a": A, "train": {"loss": [1.0]}})), "loss", "training")


def test_a_run_that_never_had_a_number_comes_last():
    broken = {"val_accuracy": [math.nan, None, math.nan]}
    first, last = legend(overlay({"broken": broken, "a": A}))
    assert_mentions(first, "a", "0.9000")
    assert_mentions(last, "broken")
    assert not any(character.isdigit() for character in last)


def test_twelve_runs_have_twelve_styles_and_all_are_named():
    figure = overlay({f"runs/{i}": A for i in range(12)})
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 1]
    assert (
        len(
            {
                (line.get_color(), str(line.get_linestyle()), str(line._dash_pattern))
                for line in lines
            }
        )
        == 12
    )
    assert len(legend(figure)) == 12
    figure.savefig(io.BytesIO())


@pytest.mark.parametrize(
    ("histories", "metric", "parts"),
    [
        ({}, None, ("histories",)),
        ({"a": {}}, None, ("history", "empty")),
        ({"a": A, "only": ONLY_LOSS}, "accuracy", ("'accuracy'", "only", "loss", "val_loss")),
        ({"a": {"mae": [1.0]}, "b": {"loss": [1.0]}}, None, ("a, b", "loss", "metric")),
    ],
)
def test_histories_that_cannot_be_compared_are_refused(histories, metric, parts):
    with refuses(*parts):
        overlay(histories, metric=metric)
