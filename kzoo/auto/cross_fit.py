"""Answers of a choice for rows that it was not made on, so that its score is not that of the best of many by chance."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kzoo.auto.scoring import Answers

Judged = Mapping[int, Answers]  # part -> answers of a model


def answers_of_choice(
    models: Sequence[Judged], folds: int, choose: Callable[[Sequence[Judged]], int]
) -> dict[int, Answers]:
    """Return for each part the answers of the model that the other parts of its division into folds choose.

    A single part is divided into two halves of its rows, each for the other one.

    Args:
        models: for each model, its answers for the same parts.
        folds: number of parts of a division.
        choose: function of the models, with the answers that they are chosen by, that returns the number of one. Their
            parts are numbered as those of a first division.
    """
    parts = sorted(models[0])
    if len(parts) == 1:
        return {parts[0]: _of_halves([model[parts[0]] for model in models], choose)}
    chosen = {}
    for part in parts:
        others = [other for other in parts if other != part and other // folds == part // folds]
        number = choose([{other % folds: model[other] for other in others} for model in models])
        chosen[part] = models[number][part]
    return chosen


def _of_halves(answers: Sequence[Answers], choose: Callable[[Sequence[Judged]], int]) -> Answers:
    order = np.argsort(answers[0].rows, kind="stable")
    if len(order) < 2:
        return answers[choose([{0: model} for model in answers])]
    first, second = np.array_split(order, 2)
    parts = []
    for judged, others in ((first, second), (second, first)):
        number = choose([{0: model.select(others)} for model in answers])
        parts.append(answers[number].select(judged))
    return Answers.together(parts)
