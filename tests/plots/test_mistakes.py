"""The worst mistakes: which images, in which order, with which titles."""

import numpy as np
import pytest
from messages import assert_mentions, refuses

from kzoo.plots import worst_mistakes

IMAGES = np.arange(4)[:, None, None] * np.ones((4, 5, 5)) / 4
P = np.array([[0.9, 0.1], [0.97, 0.03], [0.2, 0.8], [0.4, 0.6]])
TRUE = [0, 1, 0, 0]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_the_least_probable_truth_comes_first_and_right_answers_are_left_out():
    figure = worst_mistakes(IMAGES, TRUE, P, ("dog", "cat"))
    for title, parts in zip(
        titles(figure), (("dog 97 %", "cat"), ("cat 80 %", "dog"), ("cat 60 %", "dog")), strict=True
    ):
        assert_mentions(title, *parts)
    assert [axes.images[0].get_array()[0, 0] for axes in figure.axes] == [0.25, 0.5, 0.75]
    assert_mentions(figure.get_suptitle(), "3 mistakes")
    two = worst_mistakes(IMAGES, TRUE, P, ("dog", "cat"), count=2)
    assert titles(two) == titles(figure)[:2]
    assert_mentions(two.get_suptitle(), "2 of 3")


def test_a_model_without_mistakes_shows_its_least_certain_answers():
    figure = worst_mistakes(IMAGES, P.argmax(1), P, ("dog", "cat"), count=1)
    (title,) = titles(figure)
    assert_mentions(title, "cat 60 %")
    assert_mentions(figure.get_suptitle(), "no mistakes")


@pytest.mark.parametrize(
    ("arguments", "options", "parts"),
    [
        ((IMAGES[:3], TRUE, P), {}, ("images: 3", "true: 4")),
        ((IMAGES, TRUE, P * np.nan), {}, ("probabilities", "8", "NaN")),
        ((IMAGES, [0, 1, 0, 2], P), {}, ("true label", "2", "0..1")),
        ((IMAGES, TRUE, P), {"count": 0}, ("count=0",)),
        (([], [], np.zeros((0, 2))), {}, ("true labels", "(0,)")),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, options, parts):
    with refuses(*parts):
        worst_mistakes(*arguments, **options)
