"""Confusion matrix, per-class bars, ROC and precision-recall: their numbers by hand, and refusals."""

import io

import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses
from sklearn.metrics import auc

from kzoo.plots import confusion_matrix, per_class, roc_and_precision_recall

TRUE = [0, 0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 0, 1, 1, 0, 2]
NAMES = ("cat", "dog", "bird")


def texts(axes):
    return [t.get_text() for t in axes.texts]


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()


def cells(figure):
    """Return the shares in the two layers of the matrix together; NaN where both are empty."""
    right, wrong = (
        mesh.get_array().astype(float).filled(np.nan) for mesh in figure.axes[0].collections
    )
    return np.where(np.isnan(right), wrong, right)


def test_the_matrix_counts_and_colours_the_share_of_the_true_class():
    figure = confusion_matrix(TRUE, PREDICTED, NAMES)
    expected = [[3 / 4, 1 / 4, np.nan], [1 / 2, 1 / 2, np.nan], [np.nan, np.nan, 1]]
    np.testing.assert_allclose(cells(figure), expected)
    axes = figure.axes[0]
    assert {(t.get_position()[::-1], t.get_text()) for t in axes.texts} == {
        ((0, 0), "3"),
        ((0, 1), "1"),
        ((1, 0), "1"),
        ((1, 1), "1"),
        ((2, 2), "1"),
    }
    assert_mentions(axes.get_title(loc="left"), "5 of 7", "71.4%")
    assert [t.get_text() for t in axes.get_xticklabels()] == list(NAMES)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_the_matrix_can_colour_counts_and_reads_names():
    named = confusion_matrix(
        [NAMES[c] for c in TRUE], np.array(NAMES)[PREDICTED], NAMES, normalize=False
    )
    np.testing.assert_array_equal(
        cells(named), [[3, 1, np.nan], [1, 1, np.nan], [np.nan, np.nan, 1]]
    )


def test_a_class_without_examples_is_an_empty_row():
    figure = confusion_matrix([0, 1], [0, 1], NAMES)
    assert np.isnan(cells(figure)[2, :2]).all() and cells(figure)[2, 2] == 0
    png(figure)


def test_a_hundred_classes_have_no_numbers_and_few_names():
    figure = confusion_matrix(range(100), range(100), [f"class {i}" for i in range(100)])
    axes = figure.axes[0]
    assert not axes.texts and 20 <= len(axes.get_xticks()) <= 40
    assert axes.get_xticklabels()[1].get_text() == "class 3" and axes.get_xticks()[1] == 3
    assert len(texts(confusion_matrix(range(20), range(20)).axes[0])) == 20
    png(figure)


def test_bars_are_precision_and_recall_in_the_order_of_the_classes_with_their_support():
    figure = per_class(TRUE, PREDICTED, (*NAMES, "fish"))
    axes = figure.axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths[:4], [3 / 4, 1 / 2, 1, 0])  # precision
    np.testing.assert_allclose(widths[4:], [3 / 4, 1 / 2, 1, 0])  # recall
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "cat  (4)",
        "dog  (2)",
        "bird  (1)",
        "fish  (0)",
    ]
    undefined = [text for text in texts(axes) if not text[0].isdigit()]
    assert len(undefined) == 2  # precision and recall of fish
    assert_mentions(axes.get_title(loc="left"), "precision 0.750", "recall 0.750")
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first class on top
    png(figure)


def curve(axes, part):
    return next(line for line in axes.get_lines() if not missing_from(line.get_label(), [part]))


def test_two_classes_give_one_curve_each():
    # By hand: of the four pairs (negative, positive), three are in order.
    p = np.array([0.1, 0.4, 0.35, 0.8])
    figure = roc_and_precision_recall([0, 0, 1, 1], p, ("no", "yes"))
    left, right = figure.axes
    roc = curve(left, "yes")
    assert_mentions(roc.get_label(), "yes", "0.750")
    np.testing.assert_allclose(roc.get_xdata(), [0, 0, 0.5, 0.5, 1])
    np.testing.assert_allclose(roc.get_ydata(), [0, 0.5, 0.5, 1, 1])
    # Found in the order yes, no, yes, no: precision 1 at recall 1/2, 2/3 at recall 1.
    pr = curve(right, "yes")
    assert_mentions(pr.get_label(), "yes", "0.833")
    at = dict(zip(pr.get_xdata(), pr.get_ydata(), strict=True))
    assert at[1.0] == pytest.approx(2 / 3) and pr.get_drawstyle() == "steps-pre"
    both = roc_and_precision_recall([0, 0, 1, 1], np.stack([1 - p, p], 1), ("no", "yes"))
    np.testing.assert_array_equal(curve(both.axes[0], "yes").get_ydata(), roc.get_ydata())


def test_many_classes_are_each_compared_with_the_rest_and_averaged():
    rng = np.random.default_rng(0)
    true = np.arange(600) % 4
    p = rng.random((600, 4)) + 0.5 * np.eye(4)[true]
    figure = roc_and_precision_recall(true, p / p.sum(1, keepdims=True), ("a", "b", "c", "d"))
    for axes in figure.axes:
        single = [float(curve(axes, c).get_label().split()[-1]) for c in "abcd"]
        mean = curve(axes, "mean")
        assert_mentions(mean.get_label(), "4")
        assert float(mean.get_label().split()[-1]) == pytest.approx(np.mean(single), abs=1e-3)
        # The area under the line is the number in its label.
        assert auc(mean.get_xdata(), mean.get_ydata()) == pytest.approx(np.mean(single), abs=4e-3)
    # The area under a ROC curve is the share of pairs in order.
    q = (p / p.sum(1, keepdims=True))[:, 0]
    pairs = (q[true == 0][:, None] > q[true != 0]).mean()
    assert float(curve(figure.axes[0], "a").get_label().split()[-1]) == pytest.approx(
        pairs, abs=6e-4
    )
    png(figure)


def test_more_than_ten_classes_show_their_mean_alone():
    true = np.arange(120) % 12
    figure = roc_and_precision_recall(true, np.eye(12)[true])
    assert len(figure.axes[0].get_lines()) == 2
    assert_mentions(curve(figure.axes[0], "mean").get_label(), "12", "1.000")


@pytest.mark.parametrize(
    ("draw", "arguments", "parts"),
    [
        (confusion_matrix, ([0, 0], [0, 0]), ("one class", "'0'")),
        (per_class, ([0, 0], [0, 0], ("cat",)), ("one class", "'cat'")),
        (confusion_matrix, ([0, 1], [0]), ("true: 2", "predicted: 1")),
        (confusion_matrix, ([], []), ("true labels", "(0,)")),
        (confusion_matrix, ([0, 3], [0, 1], NAMES), ("true label", "3", "0..2")),
        (confusion_matrix, ([0, 1], [0, -1], NAMES), ("predicted label", "-1", "0..2")),
        (per_class, ([0, np.nan], [0, 1]), ("true label", "nan")),
        (per_class, ([0, 1], [[0.1, 0.9], [0.2, 0.8]]), ("predicted labels", "(2, 2)")),
        (
            per_class,
            (["cat", "cow"], ["cat", "dog"], NAMES),
            ("'cow'", "class_names", "cat, dog, bird"),
        ),
        (per_class, (["cat", "dog"], ["cat", "dog"]), ("'cat'", "class_names")),
        (roc_and_precision_recall, ([1, 1], [0.2, 0.7], ("no", "yes")), ("2", "'yes'")),
        (roc_and_precision_recall, ([0, 1], [0.2, np.nan]), ("probabilities", "1", "NaN")),
        (roc_and_precision_recall, ([0, 1, 1], [0.2, 0.7]), ("true: 3", "probabilities: 2")),
        (roc_and_precision_recall, ([0, 2], [0.2, 0.7]), ("true label", "2", "0..1")),
        (roc_and_precision_recall, ([0, 1], np.eye(2), NAMES), ("columns: 2", "class names: 3")),
        (
            roc_and_precision_recall,
            ([0, 1], np.zeros((2, 2, 2))),
            ("probabilities", "(2, 2, 2)", "(examples, classes)"),
        ),
    ],
)
def test_labels_that_cannot_be_drawn_are_refused(draw, arguments, parts):
    with refuses(*parts):
        draw(*arguments)
