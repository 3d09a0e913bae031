"""Data sets by name: what each is, known before anything is loaded. `sets.py` makes them."""

from importlib import import_module
from typing import Any

from kzoo.errors import KzooError
from kzoo.tasks import choose, problem

# Name -> the function in `sets.py`, and what it is given.
_TABLES = {
    "iris": ("sklearn_table", "iris"),
    "wine": ("sklearn_table", "wine"),
    "breast_cancer": ("sklearn_table", "breast_cancer"),
    "diabetes": ("sklearn_table", "diabetes"),
    "line": ("line",),
    "california_housing": ("california",),
}
# Name -> what it is for, the function, and what it is given after the options.
_OTHERS: dict[str, tuple[Any, ...]] = {
    "digits": ("image_classification", "digits"),
    "shapes": ("image_classification", "drawn_shapes"),
    "adding": ("sequence_regression", "adding"),
    "sine": ("forecasting", "sine"),
    "pydocs": ("text_classification", "pydocs"),
    "opinions": ("text_classification", "written_opinions"),
    "mnist": ("image_classification", "mnist"),
    "fashion_mnist": ("image_classification", "fashion"),
    "cifar10": ("image_classification", "cifar", 10),
    "cifar100": ("image_classification", "cifar", 100),
    "imdb": ("text_classification", "word_ids", "imdb", ("negative", "positive")),
    "reuters": ("text_classification", "word_ids", "reuters"),
}
NAMES = dict.fromkeys(_TABLES, "rows") | {name: problem(task).kind for name, (task, *_) in _OTHERS.items()}


def check_options(name, *, target=None, drop=(), group=None, task=None):
    """Raise `KzooError` for columns that are named of a set that has none, and for another task than it is for."""
    if name in _TABLES:
        return
    if target is not None or group is not None or len(drop):
        raise KzooError(f"target=, drop= and group= name columns, and {name!r} is not a table.")
    own = problem(_OTHERS[name][0])
    order = "ordered" if "ordered" in own.facts else "unordered"
    if task is not None and choose.asked_for(own.kind, task, order) is not own:
        raise KzooError(f"task={task!r}: {name!r} is data for {own.name}.")


def load_named(name, *, preset=None, target=None, validation=0.1, test=None, drop=(), group=None, task=None, seed=0):
    """Load a data set of `NAMES` (see `kzoo.load_data`)."""
    check_options(name, target=target, drop=drop, group=group, task=task)
    sets = import_module("kzoo.data.sets")
    options = {"name": name, "preset": preset, "validation": validation, "test": test, "seed": seed}
    if name in _TABLES:
        make, *given = _TABLES[name]
        frame = getattr(sets, make)(*given)
        columns = dict(target=frame.columns[-1] if target is None else target, drop=drop, group=group, task=task)
        return import_module("kzoo.kinds.rows.learn").load_table(frame, **options, **columns)
    _, make, *given = _OTHERS[name]
    return getattr(sets, make)(options, *given)
