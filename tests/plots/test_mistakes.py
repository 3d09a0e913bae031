"""The worst mistakes: which, in what order, and what stands above them."""

import numpy as np
import pytest

import kzoo
from kzoo.plots import worst_mistakes

IMAGES = np.arange(4)[:, None, None] * np.ones((4, 5, 5)) / 4
P = np.array([[0.9, 0.1], [0.97, 0.03], [0.2, 0.8], [0.4, 0.6]])
TRUE = [0, 1, 0, 0]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_the_least_probable_truth_comes_first_and_right_answers_stay_out():
    figure = worst_mistakes(IMAGES, TRUE, P, ("dog", "cat"))
    assert titles(figure) == ["dog 97 %\nis cat", "cat 80 %\nis dog", "cat 60 %\nis dog"]
    assert [axes.images[0].get_array()[0, 0] for axes in figure.axes] == [0.25, 0.5, 0.75]
    assert figure.get_suptitle() == "3 mistakes, the worst first"
    two = worst_mistakes(IMAGES, TRUE, P, ("dog", "cat"), count=2)
    assert titles(two) == titles(figure)[:2] and two.get_suptitle() == "The worst 2 of 3 mistakes"


def test_a_model_without_mistakes_shows_what_it_was_least_sure_of():
    figure = worst_mistakes(IMAGES, P.argmax(1), P, ("dog", "cat"), count=1)
    assert titles(figure) == ["cat 60 %"] and "No mistakes" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((IMAGES[:3], TRUE, P), {}, "3 images for 4 labels"),
        ((IMAGES, TRUE, P * np.nan), {}, "not numbers"),
        ((IMAGES, [0, 1, 0, 2], P), {}, "true label 2"),
        ((IMAGES, TRUE, P), {"count": 0}, "count=0"),
        (([], [], np.zeros((0, 2))), {}, "shape"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, options, message):
    with pytest.raises(kzoo.KzooError, match=message):
        worst_mistakes(*arguments, **options)
