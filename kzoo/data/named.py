"""Data sets by name: what each is, known before anything is loaded. `sets.py` makes them."""

from importlib import import_module
from os.path import abspath
from pathlib import Path
from typing import Any

from kzoo.tasks import detection, problem
from kzoo.utils.errors import KzooError

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
_UCI, _NONE = "https://archive.ics.uci.edu/dataset/", "none stated by its makers"
_MADE = ("kzoo itself makes it", "Apache-2.0")
# Name -> where the data comes from, and its licence as its makers state it: what a model card says.
ORIGINS = {
    "iris": (f"{_UCI}53", "CC BY 4.0"),
    "wine": (f"{_UCI}109", "CC BY 4.0"),
    "breast_cancer": (f"{_UCI}17", "CC BY 4.0"),
    "diabetes": ("https://doi.org/10.1214/009053604000000067", _NONE),
    "line": _MADE,
    "california_housing": ("https://doi.org/10.1016/S0167-7152(96)00140-X", _NONE),
    "digits": (f"{_UCI}80", "CC BY 4.0"),
    "shapes": _MADE,
    "adding": _MADE,
    "sine": _MADE,
    "pydocs": ("the documentation of the Python that trained it", "PSF-2.0"),
    "opinions": _MADE,
    "mnist": ("https://doi.org/10.1109/5.726791", "CC BY-SA 3.0"),
    "fashion_mnist": ("https://github.com/zalandoresearch/fashion-mnist", "MIT"),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar.html", _NONE),
    "cifar100": ("https://www.cs.toronto.edu/~kriz/cifar.html", _NONE),
    "imdb": ("https://ai.stanford.edu/~amaas/data/sentiment/", _NONE),
    "reuters": (f"{_UCI}137", "research purposes, as its makers state"),
}
NAMES = dict.fromkeys(_TABLES, "rows") | {name: problem(task).kind for name, (task, *_) in _OTHERS.items()}


def name_of(source: str | Path) -> str:
    """Return the name that a run keeps of a set of `NAMES`, a file or a folder.

    Where a folder is called as a set is, its name has a slash after it: it is never loaded as that set, nor are its
    scores taken for scores on that.
    """
    if isinstance(source, str) and source in NAMES:
        return source
    name = Path(abspath(source)).name
    return f"{name}/" if name in NAMES else name


def check_options(name, *, target=None, drop=(), group=None, task=None):
    """Raise `KzooError` for columns that are named of a set that has none, and for another task than it is for."""
    if name in _TABLES:
        return
    if target is not None or group is not None or len(drop):
        raise KzooError(f"target=, drop= and group= name columns, and {name!r} is not a table.")
    own = problem(_OTHERS[name][0])
    order = "ordered" if "ordered" in own.facts else "unordered"
    if task is not None and detection.requested_problem(own.kind, task, order) is not own:
        raise KzooError(f"task={task!r}: {name!r} is data for {own.name}.")


def load_named(name, *, preset=None, target=None, validation=0.1, test=None, drop=(), group=None, task=None, seed=0):
    """Load a data set of `NAMES` (see `kzoo.load_data`)."""
    check_options(name, target=target, drop=drop, group=group, task=task)
    sets = import_module("kzoo.data.named_loaders")
    options = {"name": name, "preset": preset, "validation": validation, "test": test, "seed": seed}
    if name in _TABLES:
        make, *given = _TABLES[name]
        frame = getattr(sets, make)(*given)
        columns = dict(target=frame.columns[-1] if target is None else target, drop=drop, group=group, task=task)
        return import_module("kzoo.kinds.rows.fitting").load_table(frame, **options, **columns)
    _, make, *given = _OTHERS[name]
    return getattr(sets, make)(options, *given)
