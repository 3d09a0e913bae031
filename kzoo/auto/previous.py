"""The previous model on the test rows of newer data, beside the model that is chosen there."""

from dataclasses import replace
from typing import Any

import numpy as np

from kzoo.auto.scoring import Answers
from kzoo.data.reload import reload
from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.options import DataOptions
from kzoo.dataset.splits import is_source
from kzoo.evaluation.comparison import score_run
from kzoo.run import Run
from kzoo.utils.errors import KzooError


def options_of(run: Run, options: DataOptions) -> DataOptions:
    """Return the options with which a run's data was read, with those that the user has set for newer data."""
    changed = options.given()
    if "data_seed" in changed:
        changed["seed"] = changed.pop("data_seed")
    return replace(DataOptions.of(run.data), **changed)


def answers_of(run: Run, source: Any, options: DataOptions, data: Dataset) -> Answers:
    """Return the answers of the previous model for the test rows of newer data.

    Args:
        run: the previous model.
        source, options: the newer data and how it is read.
        data: the same, loaded and split.

    Raises:
        KzooError: another task, no test rows, or data that the model cannot read, such as a new class.
    """
    if data.task != run.data.task:
        raise KzooError(f"{run.path} is for {run.data.task}, and the newer data for {data.task}. Set task= or target=.")
    if data.test is None:
        raise KzooError(f"{data.name} has no test rows on which to compare {run.path} with a new model. Set test=.")
    loaded = reload(run, options.test if is_source(options.test) else source)
    assert loaded.test is not None
    same_rows = replace(loaded, test=loaded.test.select(_matching_rows(loaded.test, data.test)))
    _, _, (truth, outputs, _) = score_run(run, same_rows, data.problem.headline)
    if tuple(loaded.class_names) != tuple(data.class_names):
        truth, outputs = _in_order_of(data.class_names, loaded.class_names, truth, outputs)
    answers = Answers(outputs=outputs, truth=truth, rows=np.arange(len(truth)), weight=data.test.weight)
    expected = np.asarray(data.test.y[:])
    if expected.shape[:1] != truth.shape[:1] or not np.allclose(
        expected.reshape(len(expected), -1).astype(float), truth.reshape(len(truth), -1).astype(float), equal_nan=True
    ):
        raise KzooError(
            f"{run.path} reads other rows or targets of {data.name} than a new model, so they cannot be compared."
        )
    return answers


def _matching_rows(old: Split, new: Split) -> np.ndarray:
    """Return the rows of a split of all rows that are the test rows of newer data."""
    if len(old) == len(new):
        return np.arange(len(old))
    if hasattr(new.y, "moments") and hasattr(old.y, "moments"):
        numbers = {key: number for number, key in enumerate(_keys(old.y))}
        try:
            return np.array([numbers[key] for key in _keys(new.y)])
        except KeyError:
            raise KzooError("The previous model needs longer windows than the test rows have before them.") from None
    if new.rows is None:
        raise KzooError("The rows of this data are not numbered. Pass test= as a file of its own.")
    return np.asarray(new.rows)


def _keys(windows: Any) -> list[tuple[str, int]]:
    """Return the series and the moment of each window."""
    series = windows.series
    names = [""] * len(windows) if series is None else [series.names[code] for code in series.codes]
    return list(zip(names, map(int, windows.moments), strict=True))


def _in_order_of(names: Any, old_names: Any, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and probabilities in the order of the classes of newer data; a new class has probability 0."""
    numbers = {name: number for number, name in enumerate(names)}
    renamed = np.array([numbers.get(name, -1) for name in old_names])
    reordered = np.zeros((len(outputs), len(names)), outputs.dtype)
    for old, new in enumerate(renamed):
        if new >= 0:
            reordered[:, new] = outputs[:, old]
    return renamed[truth], reordered
