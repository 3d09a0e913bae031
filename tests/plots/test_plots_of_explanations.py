"""Plots of explanations: bars with intervals, and panels of mean predictions."""

import numpy as np
import pytest

from kzoo import plots
from kzoo.inference.explanations import Dependence, Explanation, Importance, Reason, Reasons

FACTS = dict(
    model="runs/a", method="permutation importance", about="About it.", limits=("A limit.",)
)


def explanation(*dependences):
    importances = (
        Importance(columns=("true", "copy"), mean=0.3, interval=(0.2, 0.4), noise=False),
        Importance(columns=("other",), mean=-0.01, interval=(-0.05, 0.03), noise=True),
        Importance(columns=("few",), mean=0.1, interval=None, noise=None),
    )
    return Explanation(importances=importances, dependences=dependences, score="accuracy", **FACTS)


def test_bars_end_at_the_importance_and_whiskers_at_the_interval():
    figure = plots.column_importance(explanation())
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0, 0.1]
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["true, copy", "other", "few"]
    whiskers = axes.collections[0].get_segments()[0]
    assert np.allclose(whiskers[:, 0], [0.2, 0.4])


@pytest.mark.parametrize(
    ("outputs", "means", "shares", "panels"),
    [
        (("no", "yes"), ((0.9, 0.1), (0.2, 0.8)), True, [["yes"]]),
        (("a", "b", "c"), ((0.5, 0.3, 0.2), (0.1, 0.2, 0.7)), True, [["a", "b", "c"]]),
        (("rent", "size"), ((900.0, 50.0), (1500.0, 90.0)), False, [["rent"], ["size"]]),
        (
            ("rent 0.1", "rent 0.9"),
            ((900.0, 1000.0), (1500.0, 1800.0)),
            False,
            [["rent 0.1", "rent 0.9"]],
        ),
    ],
)
def test_only_outputs_of_one_unit_share_a_panel(outputs, means, shares, panels):
    dependence = Dependence(
        column="age", type="number", values=(1.0, 2.0), outputs=outputs, means=means, shares=shares
    )
    axes = plots.column_importance(explanation(dependence)).axes[1:]
    assert [[line.get_label() for line in each.lines] for each in axes] == panels
    first = axes[0].lines[0]
    assert first.get_ydata() == pytest.approx([row[outputs.index(panels[0][0])] for row in means])


def test_reasons_are_bars_to_both_sides_and_the_rest_is_one_bar():
    amounts = [0.5 - 0.05 * number for number in range(25)]
    reasons = tuple(
        Reason(name=f"c{n}", value="1", amount=amount) for n, amount in enumerate(amounts)
    )
    row = Reasons(
        input="row 1", output="yes", scale="probability", prediction=0.9, base=0.4, reasons=reasons
    )
    figure = plots.reasons(row, Explanation(rows=(row,), **FACTS))
    (axes,) = figure.axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths[:20] == amounts[:20] and widths[20] == pytest.approx(sum(amounts[20:]))
    assert axes.get_yticklabels()[-1].get_text() == "5 more"
    assert axes.get_title(loc="left") == "row 1: probability of yes 0.9, from 0.4"
