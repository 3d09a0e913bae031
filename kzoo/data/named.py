"""Data sets by name: what each is, known before anything is loaded. `sets.py` makes them."""

from importlib import import_module

from kzoo.errors import KzooError

# Name -> the function in `sets.py`, and what it is given.
_TABLES = {
    "iris": ("sklearn_table", "iris"),
    "wine": ("sklearn_table", "wine"),
    "breast_cancer": ("sklearn_table", "breast_cancer"),
    "diabetes": ("sklearn_table", "diabetes"),
    "line": ("line",),
    "california_housing": ("california",),
}
# Name -> what it puts into a network, the function, and what it is given after the options.
_OTHERS = {
    "digits": ("image", "digits"),
    "shapes": ("image", "drawn_shapes"),
    "adding": ("series", "adding"),
    "sine": ("series", "sine"),
    "pydocs": ("tokens", "pydocs"),
    "opinions": ("tokens", "written_opinions"),
    "mnist": ("image", "mnist"),
    "fashion_mnist": ("image", "fashion"),
    "cifar10": ("image", "cifar", 10),
    "cifar100": ("image", "cifar", 100),
    "imdb": ("tokens", "word_ids", "imdb", ("negative", "positive")),
    "reuters": ("tokens", "word_ids", "reuters"),
}
NAMES = dict.fromkeys(_TABLES, "rows") | {name: inputs for name, (inputs, *_) in _OTHERS.items()}


def check_options(name, *, target=None, drop=(), group=None, **others):
    """Raise `KzooError` for columns that are named of a set that has none."""
    if name not in _TABLES and (target is not None or group is not None or len(drop)):
        raise KzooError(f"target=, drop= and group= name columns, and {name!r} is not a table.")


def load_named(name, *, preset=None, target=None, validation=0.1, test=None, drop=(), group=None, task=None, seed=0):
    """Load a data set of `NAMES` (see `kzoo.load_data`)."""
    check_options(name, target=target, drop=drop, group=group)
    sets = import_module("kzoo.data.sets")
    options = {"name": name, "preset": preset, "validation": validation, "test": test, "seed": seed}
    if name in _TABLES:
        make, *given = _TABLES[name]
        frame = getattr(sets, make)(*given)
        columns = dict(target=frame.columns[-1] if target is None else target, drop=drop, group=group, task=task)
        return import_module("kzoo.kinds.rows.learn").load_table(frame, **options, **columns)
    _, make, *given = _OTHERS[name]
    return getattr(sets, make)(options, *given)
