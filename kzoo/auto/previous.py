"""The previous model on the test rows of newer data, beside the model that is chosen there."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kzoo.auto.schedule import Schedule, groups_of
from kzoo.auto.scoring import Answers
from kzoo.auto.statement import LEVEL, points, stored_answers
from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.options import DataOptions
from kzoo.data.reload import reload
from kzoo.data.splits import is_source
from kzoo.data.statistics import rows_in_training
from kzoo.data.store.windows import Windows
from kzoo.evaluation.comparison import score_run
from kzoo.problems.data_arguments import NAMES
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError, KzooWarning
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.zoo.run import Run

_FEWEST = 3  # training rows of the previous model among test rows that are reported
_SHARE = 0.01


@dataclass(frozen=True)
class Previous:
    """The previous model with its answers for the test rows of newer data.

    Args:
        run: the previous model.
        answers: its answers.
        target: its target with the thresholds of labels that it has learned; None for other tasks.
        trained: about how many of the test rows it was trained on.
    """

    run: Run
    answers: Answers
    target: Target | None
    trained: int

    def compared_with(self, winner: Run, schedule: Schedule) -> JsonObject:
        """Return the comparison of the winner with the previous model on the same test rows, for `auto.json`."""
        stored, score = winner.answers, schedule.score
        assert stored is not None
        new = stored_answers(stored)
        old = self.answers.select(new.rows)
        groups = groups_of(schedule.data.test, new.rows)
        targets = None if self.target is None else (winner.target, self.target)
        difference = score.difference([new], [old], groups, targets=targets)
        low, high = difference.interval(LEVEL)
        seen = self.trained >= max(_FEWEST, _SHARE * len(self.answers.rows))
        advice = "change to the new model" if low > 0 else "keep the previous model"
        if low <= 0 and seen:
            advice = "none; compare on newer rows alone, with test="
        elif low <= 0 <= high:
            advice += ", as there is no clear difference"
        after, before = (
            f"{score.value(answers, target):.4f}"
            for answers, target in zip((new, old), targets or (None, None), strict=True)
        )
        lead = points(score, difference)
        rows = plural(len(new.truth), "test row")
        optimistic = (
            f" The previous model was trained on about {self.trained} of these rows,"
            " so its score is too optimistic."
        )
        return dict(
            update=f"Previous model {self.run.path}: {score.metric.replace('_', ' ')} {before}; new model: {after}, "
            f"difference {lead} on the same {rows}.{optimistic if seen else ''} Advice: {advice}.",
            change=bool(low > 0),
            previous=dict(run=self.run.path.name, mean=difference.mean, low=low, high=high),
        )


def options_of(run: Run, options: DataOptions) -> DataOptions:
    """Return the options with which a run's data was read, with those that the user has set for newer data."""
    changed = {NAMES.get(name, name): value for name, value in options.given().items()}
    return replace(DataOptions.of(run.data), **changed)


def previous_of(
    run: Run, source: "Loadable | None", options: DataOptions, data: Dataset
) -> Previous:
    """Return the previous model with its answers for the test rows of newer data.

    Args:
        run: the previous model.
        source, options: the newer data and how it is read.
        data: the same, loaded and split.

    Raises:
        KzooError: another task, no test rows, or data that the model cannot read, such as a new class.
    """
    if data.task != run.data.task:
        raise KzooError(
            f"{run.path} is for {run.data.task}, and the newer data for {data.task}. Set task= or target=."
        )
    if data.test is None:
        raise KzooError(
            f"{data.name} has no test rows on which to compare {run.path} with a new model. Set test=."
        )
    # of training rows in the whole source; those among the test rows are stated
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* too optimistic", KzooWarning)
        loaded = reload(run, options.test if is_source(options.test) else source)
    assert loaded.test is not None
    # its own training data
    if loaded.test.rows is not None and not np.array_equal(loaded.test.rows, data.test.rows):
        raise KzooError(
            f"{run.path} was trained on this data, split in another way. Pass newer data."
        )
    test = loaded.test.select(_matching_rows(loaded.test, data.test))
    trained = rows_in_training(run.config.get("statistics"), test.x)
    _, _, (truth, outputs, target) = score_run(
        run, replace(loaded, test=test), data.problem.headline
    )
    if tuple(loaded.class_names) != tuple(data.class_names):
        truth, outputs = _in_order_of(data.class_names, loaded.class_names, truth, outputs)
    answers = Answers(
        outputs=outputs, truth=truth, rows=np.arange(len(truth)), weight=data.test.weight
    )
    expected = np.asarray(data.test.y[:])
    if expected.shape[:1] != truth.shape[:1] or not np.allclose(
        expected.reshape(len(expected), -1).astype(float),
        truth.reshape(len(truth), -1).astype(float),
        equal_nan=True,
    ):
        raise KzooError(
            f"{run.path} reads other rows or targets of {data.name} than a new model, so they cannot be compared."
        )
    return Previous(run, answers, target if data.problem.task.postprocess else None, trained)


def _matching_rows(old: Split, new: Split) -> np.ndarray:
    """Return the rows of a split of all rows that are the test rows of newer data."""
    if len(old) == len(new):
        return np.arange(len(old))
    if hasattr(new.y, "moments") and hasattr(old.y, "moments"):
        numbers = {key: number for number, key in enumerate(_keys(old.y))}
        try:
            return np.array([numbers[key] for key in _keys(new.y)])
        except KeyError:
            raise KzooError(
                "The previous model needs longer windows than the test rows have before them."
            ) from None
    if new.rows is None:
        raise KzooError("The rows of this data are not numbered. Pass test= as a file of its own.")
    return np.asarray(new.rows)


def _keys(windows: Windows) -> list[tuple[str, int]]:
    """Return the series and the moment of each window."""
    series = windows.series
    names = [""] * len(windows) if series is None else [series.names[code] for code in series.codes]
    return list(zip(names, map(int, windows.moments), strict=True))


def _in_order_of(
    names: Sequence[str], old_names: Sequence[str], truth: np.ndarray, outputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and probabilities in the order of the classes of newer data; a new class has probability 0."""
    numbers = {name: number for number, name in enumerate(names)}
    renamed = np.array([numbers.get(name, -1) for name in old_names])
    reordered = np.zeros((len(outputs), len(names)), outputs.dtype)
    for old, new in enumerate(renamed):
        if new >= 0:
            reordered[:, new] = outputs[:, old]
    return renamed[truth], reordered
