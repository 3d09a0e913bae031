"""No legend covers a line, and no text is cut off at the edge of a figure."""

import io

import numpy as np
import pytest

from kzoo import plots

RANDOM = np.random.default_rng(0)
EPOCHS = list(range(1, 31))
FALLING = [1 / epoch for epoch in EPOCHS]
HISTORY = dict(
    epoch=EPOCHS, loss=FALLING, val_loss=FALLING, accuracy=FALLING[::-1], learning_rate=FALLING
)
STEPS = RANDOM.normal(size=(3, 12, 2)).cumsum(1)


def classes(count):
    """Return true classes, probabilities and long names."""
    true = np.arange(200) % count
    p = RANDOM.dirichlet(np.ones(count), 200) + np.eye(count)[true]
    return (
        true,
        p / p.sum(1, keepdims=True),
        [f"a class with a long name {number}" for number in range(count)],
    )


def forecast(windows, *, band=False):
    bounds = (STEPS[:windows] - 1, STEPS[:windows] + 1) if band else None
    return plots.forecast(
        STEPS[:windows], STEPS[:windows], history=STEPS[:windows], names=["a", "b"], band=bounds
    )


def band():
    truth = RANDOM.normal(size=100)
    return plots.band(truth, truth[:, None] + [-1, 0, 0.5], [0.1, 0.5, 0.9], ["rent"])


def per_class():
    true, p, names = classes(3)
    return plots.per_class(true, p.argmax(1), names)


FIGURES = {
    "curves": lambda: plots.curves(HISTORY, monitor="val_loss"),
    "curve of one metric": lambda: plots.curves(
        {"loss": FALLING, "val_loss": FALLING}, monitor="val_loss"
    ),
    "overlay": lambda: plots.overlay({f"run {number}": HISTORY for number in range(9)}),
    "roc 2": lambda: plots.roc(*classes(2)),
    "roc 3": lambda: plots.roc(*classes(3)),
    "roc 10": lambda: plots.roc(*classes(10)),
    "roc 12": lambda: plots.roc(*classes(12)),
    "precision and recall 2": lambda: plots.precision_recall(*classes(2)),
    "precision and recall 4": lambda: plots.precision_recall(*classes(4)),
    "both 2": lambda: plots.roc_and_precision_recall(*classes(2)),
    "both 10": lambda: plots.roc_and_precision_recall(*classes(10)),
    "threshold": lambda: plots.threshold_curve(*classes(2), score="accuracy", threshold=0.3),
    "per class": per_class,
    "band": band,
    "forecast 1": lambda: forecast(1),
    "forecast 3": lambda: forecast(3),
    "forecast 1 with band": lambda: forecast(1, band=True),
    "forecast 3 with band": lambda: forecast(3, band=True),
    "predicted": lambda: plots.predicted_against_true(
        STEPS, STEPS + 1000.123, ["a target with a long name", "b"]
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_legend_covers_a_line_and_no_text_is_cut_off(name):
    figure = FIGURES[name]()
    figure.savefig(io.BytesIO(), dpi=figure.dpi)
    renderer = figure.canvas.get_renderer()
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()] + figure.legends
    boxes = [legend.get_window_extent(renderer) for legend in legends]
    for axes in figure.axes:
        area = axes.get_window_extent(renderer).padded(-1)
        assert not any(area.overlaps(box) for box in boxes)
        boxes += [
            text.get_window_extent(renderer)
            for text in (axes._left_title, axes.xaxis.label, axes.yaxis.label)
        ]
    width, height = figure.canvas.get_width_height()
    for box in boxes:
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, box
