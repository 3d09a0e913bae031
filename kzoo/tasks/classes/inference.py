"""Classes: what is learned of labels, and what outputs say to people. NumPy only."""

import numpy as np

from kzoo.predictions import Predictions, probabilities, scores_of
from kzoo.sources.tables.values import Texts, plain, word_of
from kzoo.tasks import Target
from kzoo.utils.errors import KzooError


def learn(values, names=(), *, known=None) -> Target:
    """Learn the classes of training labels.

    Args:
        values: (N,) labels of any kind, none missing; or a DataFrame of one column.
        names: of the column.
        known: names of the classes in their order, where it is neither that of numbers nor the alphabet's.

    Raises:
        KzooError: a single class, or a class with a single example.
    """
    found = _numbered(values)
    classes = tuple(known or found[0])
    check_classes(_places(found, classes), classes)
    return Target(names=tuple(names), classes=classes, config={"outputs": len(classes)})


def encode(target, values) -> np.ndarray:
    """Return labels as the numbers of their classes, int32 (N,).

    Raises:
        KzooError: a label that is none of them.
    """
    return _places(_numbered(values), target.classes)


def _places(numbered, classes):
    found, numbers = numbered
    places = {word_of(name): place for place, name in enumerate(classes)}
    places |= {name: place for place, name in enumerate(classes)}
    if unknown := [name for name in found if name not in places]:
        raise KzooError(f"The test data has a class {unknown[0]!r} that the training data lacks.")
    return np.array([places[name] for name in found], np.int32)[numbers]


def answer(target, outputs, *, inputs, reader=None, logits=None) -> Predictions:
    """Turn outputs into the likeliest class of each row, with the probabilities of all, or else the scores.

    Args:
        outputs: (N, classes), or (N, 1) for two.
        inputs: what each row was made from.
        reader: what turned raw inputs into rows; not needed here.
        logits: whether outputs are logits, or else probabilities; None: neither, as of tanh and hinge.
    """
    given = scores_of(outputs) if logits is None else probabilities(outputs, logits)
    labels = [target.classes[place] for place in given.argmax(-1).tolist()]
    p, scores = (None, given) if logits is None else (given, None)
    return Predictions(labels=labels, probabilities=p, scores=scores, class_names=target.classes, inputs=inputs)


def _numbered(values):
    """Return names and numbers of labels: numbers are in numeric order, else alphabetical."""
    values = plain(values.iloc[:, 0]) if hasattr(values, "columns") else np.asarray(values)
    if isinstance(values, Texts):
        seen = values.seen
        distinct, places = np.unique(np.array([word_of(text) for text in seen]), return_inverse=True)
        place_of = dict(zip(seen, places.tolist(), strict=True))
        return tuple(map(str, distinct)), values.each([place_of.get(text, 0) for text in values.different], 0, np.int32)
    if values.dtype == object:
        values = np.array(values.tolist())
    if values.dtype.kind not in "biuf":
        values = np.char.replace(np.char.strip(values.astype(str)), "\r\n", "\n")
    distinct, numbers = np.unique(values, return_inverse=True)
    if distinct.dtype.kind == "f" and not np.isfinite(distinct).all():
        bad = distinct[~np.isfinite(distinct)][0]
        raise KzooError(f"A label is {bad:g}, which names no class: leave such rows out, or give the class a name.")
    names = [str(int(v)) if values.dtype.kind == "f" and v == int(v) else str(v) for v in distinct]
    return tuple(names), numbers.reshape(-1).astype(np.int32)


def check_classes(numbers, classes):
    """Raise `KzooError` for a single class, or a class with a single example."""
    if len(classes) < 2:
        raise KzooError(f"All labels are {classes[0]!r}: a classifier needs at least two classes.")
    counts = np.bincount(numbers, minlength=len(classes))
    if (counts < 2).any():
        few = [name for name, count in zip(classes, counts, strict=True) if count < 2]
        raise KzooError(
            f"{len(few)} of {len(classes)} classes have a single example (first: {few[0]!r}); "
            "each needs at least two, one to train on and one to test."
        )
