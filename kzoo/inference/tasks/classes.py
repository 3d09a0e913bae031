"""Classes: learn them from labels, encode labels, and turn outputs into predicted classes. NumPy only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.predictions import Predictions, probabilities, scores_of
from kzoo.inference.tables.values import Texts, category_word, plain
from kzoo.problems.layout import Preprocessor, RawLabels
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import percent

if TYPE_CHECKING:
    from kzoo.inference.postprocessors.threshold import Decision


_LEAST_SOFT = 0.01  # probability of a class in mixed targets


def learn(
    values: RawLabels, names: Sequence[str] = (), *, known: Sequence[str] | None = None
) -> Target:
    """Learn the classes of training labels.

    Args:
        values: (N,) labels of any type, none missing; or a DataFrame with one column.
        names: of the column.
        known: names of the classes in order; the default order is numeric for numbers, else alphabetical.

    Raises:
        KzooError: a single class, or a class with a single example.
    """
    label_names, numbers = _names_and_numbers(values)
    classes = tuple(known or label_names)
    check_classes(_class_numbers(label_names, numbers, classes), classes)
    return Target(names=tuple(names), classes=classes, config={"outputs": len(classes)})


def encode(target: Target, values: RawLabels) -> np.ndarray:
    """Return labels as class numbers, int32 (N,).

    Raises:
        KzooError: a label that is not one of the classes.
    """
    names, numbers = _names_and_numbers(values)
    return _class_numbers(names, numbers, target.classes)


def _class_numbers(names: Sequence[str], numbers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return the class number of each label; the labels are `names[number]` for each of `numbers`."""
    number_of = {category_word(name): number for number, name in enumerate(classes)}
    number_of |= {name: number for number, name in enumerate(classes)}
    if unknown := [name for name in names if name not in number_of]:
        raise KzooError(
            f"The test data has a class {unknown[0]!r} that is not in the training data."
        )
    return np.array([number_of[name] for name in names], np.int32)[numbers]


def answer(
    target: Target,
    outputs: np.ndarray,
    *,
    inputs: Sequence[Any],
    reader: Preprocessor | None = None,
    logits: bool | None = None,
) -> Predictions:
    """Return the likeliest class of each row, with the probabilities of all classes, or else the scores.

    Args:
        outputs: (N, classes), or (N, 1) for two classes.
        inputs: the raw input of each row.
        reader: the preprocessor that turned raw inputs into rows; not used here.
        logits: True if outputs are logits, False if they are probabilities, None if they are other scores (tanh,
            hinge).
    """
    likelihoods = scores_of(outputs) if logits is None else probabilities(outputs, logits)
    labels = [target.classes[index] for index in choose(likelihoods).tolist()]
    p, scores = (None, likelihoods) if logits is None else (likelihoods, None)
    return Predictions(
        labels=labels, probabilities=p, scores=scores, class_names=target.classes, inputs=inputs
    )


def choose(p: np.ndarray) -> np.ndarray:
    """Return the most probable class of each row (N,), as a number (see `Problem.choose`)."""
    return p.argmax(axis=-1)


def true_probabilities(truth: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the probabilities of the true classes (see `Problem.true_probabilities`)."""
    if p.shape[-2] == 1:
        p = np.concatenate([1 - p, p], axis=-2)
    truth = truth.reshape(-1).astype(int)
    return p.reshape(len(truth), *p.shape[-2:])[np.arange(len(truth)), truth]


def soft_targets(
    truth: np.ndarray, outputs: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each row with each class that is likely, weighted with its probability (see `Problem.soft_targets`).

    The cross-entropy of these is that of the mixed distributions.
    """
    p = outputs.astype("float64")
    if p.shape[1] == 1:
        p = np.concatenate([1 - p, p], axis=1)
    p = share * p + (1 - share) * (np.arange(p.shape[1]) == truth[:, None])
    p = np.where(p < _LEAST_SOFT, 0, p)
    rows, classes = np.nonzero(p)
    weight = (p / p.sum(axis=1, keepdims=True))[rows, classes]
    return rows, classes.astype(truth.dtype), weight.astype(np.float32)


def _names_and_numbers(values: RawLabels) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the distinct names of labels, in numeric order for numbers, else alphabetical; and each label's index."""
    values = plain(values.iloc[:, 0]) if hasattr(values, "columns") else np.asarray(values)
    if isinstance(values, Texts):
        labels = values.seen  # `different` may have more: texts of other rows
        distinct, codes = np.unique(
            np.array([category_word(text) for text in labels]), return_inverse=True
        )
        number_of = dict(zip(labels, codes.tolist(), strict=True))
        per_text = [number_of.get(text, 0) for text in values.different]
        return tuple(map(str, distinct)), values.each(per_text, 0, np.int32)
    if values.dtype == object:
        values = np.array(values.tolist())
    if values.dtype.kind not in "biuf":
        values = np.char.replace(np.char.strip(values.astype(str)), "\r\n", "\n")
    distinct, numbers = np.unique(values, return_inverse=True)
    if distinct.dtype.kind == "f" and not np.isfinite(distinct).all():
        bad = distinct[~np.isfinite(distinct)][0]
        raise KzooError(
            f"The label {bad:g} is not a class name: remove such rows, or name the class."
        )
    names = [str(int(v)) if values.dtype.kind == "f" and v == int(v) else str(v) for v in distinct]
    return tuple(names), numbers.reshape(-1).astype(np.int32)


def check_classes(numbers: np.ndarray, classes: Sequence[str]) -> None:
    """Raise `KzooError` if there is a single class, or a class with a single example."""
    if len(classes) < 2:
        raise KzooError(f"All labels are {classes[0]!r}: a classifier needs at least two classes.")
    counts = np.bincount(numbers, minlength=len(classes))
    if (counts < 2).any():
        few = [name for name, count in zip(classes, counts, strict=True) if count < 2]
        raise KzooError(
            f"{len(few)} of {len(classes)} classes have a single example (first: {few[0]!r}); "
            "each needs at least two, one to train on and one to test. Add examples, or leave such classes out "
            "(drop_rare=2 in a table of rows)."
        )


def example(
    truth: np.ndarray,
    answer: np.ndarray,
    target: Target,
    *,
    scores: bool,
    decision: "Decision | None",
) -> JsonObject:
    """Return the cells of an example (see `Problem.example`)."""
    predicted = int((choose if decision is None else decision.numbers)(answer[None])[0])
    return dict(
        truth=target.classes[int(truth)],
        predicted=target.classes[predicted],
        right=predicted == int(truth),
        confidence=f"score {answer[predicted]:.3g}" if scores else percent(answer[predicted]),
    )
