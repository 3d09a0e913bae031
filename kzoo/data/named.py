"""Named data sets: what each is, known before anything is loaded. `named_loaders.py` creates them."""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.data.targets import detection
from kzoo.problems.data_arguments import DataArguments
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.table_path import locate

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset
    from kzoo.data.options import LoadRequest

# Name -> the function in `named_loaders.py`, and its arguments.
_TABLES = {
    "iris": ("sklearn_table", "iris"),
    "wine": ("sklearn_table", "wine"),
    "breast_cancer": ("sklearn_table", "breast_cancer"),
    "diabetes": ("sklearn_table", "diabetes"),
    "line": ("line",),
    "california_housing": ("california",),
}
# Name -> the task, the function, and its arguments after the options.
_OTHER_DATASETS: dict[str, tuple[Any, ...]] = {
    "digits": ("image_classification", "digits"),
    "shapes": ("image_classification", "drawn_shapes"),
    "adding": ("sequence_regression", "adding"),
    "sine": ("forecasting", "sine"),
    "cbf": ("series_classification", "cbf"),
    "pydocs": ("text_classification", "pydocs"),
    "opinions": ("text_classification", "written_opinions"),
    "mnist": ("image_classification", "mnist"),
    "fashion_mnist": ("image_classification", "fashion"),
    "cifar10": ("image_classification", "cifar", 10),
    "cifar100": ("image_classification", "cifar", 100),
    "imdb": ("text_classification", "word_ids", "imdb", ("negative", "positive")),
    "reuters": ("text_classification", "word_ids", "reuters"),
}
_UCI = "https://archive.ics.uci.edu/dataset/"
_NONE = "none stated by its makers"
_GENERATED = ("kzoo itself makes it", "Apache-2.0")
# Name -> origin of the data, and its licence as stated by its authors, for model cards.
ORIGINS = {
    "iris": (f"{_UCI}53", "CC BY 4.0"),
    "wine": (f"{_UCI}109", "CC BY 4.0"),
    "breast_cancer": (f"{_UCI}17", "CC BY 4.0"),
    "diabetes": ("https://doi.org/10.1214/009053604000000067", _NONE),
    "line": _GENERATED,
    "california_housing": ("https://doi.org/10.1016/S0167-7152(96)00140-X", _NONE),
    "digits": (f"{_UCI}80", "CC BY 4.0"),
    "shapes": _GENERATED,
    "adding": _GENERATED,
    "sine": _GENERATED,
    "cbf": _GENERATED,
    "pydocs": ("the documentation of the Python that trained it", "PSF-2.0"),
    "opinions": _GENERATED,
    "mnist": ("https://doi.org/10.1109/5.726791", "CC BY-SA 3.0"),
    "fashion_mnist": ("https://github.com/zalandoresearch/fashion-mnist", "MIT"),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar.html", _NONE),
    "cifar100": ("https://www.cs.toronto.edu/~kriz/cifar.html", _NONE),
    "imdb": ("https://ai.stanford.edu/~amaas/data/sentiment/", _NONE),
    "reuters": (f"{_UCI}137", "research purposes, as its makers state"),
}
NAMES = dict.fromkeys(_TABLES, "rows") | {
    name: problem(task).kind for name, (task, *_) in _OTHER_DATASETS.items()
}


def name_of(source: str | os.PathLike[str]) -> str:
    """Return the name that a run stores for a named data set, a file or a folder.

    If a folder has the name of a named set, a slash is appended: it is never loaded as that set, and its scores are not
    taken for scores on that set.
    """
    if isinstance(source, str) and source in NAMES:
        return source
    source = locate(source)
    name = getattr(source, "label", None) or Path(os.path.abspath(source)).name
    return f"{name}/" if name in NAMES else name


def check_options(name: str, options: DataArguments) -> None:
    """Raise `KzooError` for column options of a set without columns, and for a task that does not match the set."""
    if name in _TABLES:
        return
    if options.target is not None or options.group is not None or len(options.drop):
        raise KzooError(
            f", drop= and group= are names of columns, but {name!r} is not a table. Remove them.",
            argument="target",
        )
    if options.sample_weight is not None:
        raise KzooError(
            f"is the name of a column, but {name!r} is not a table. Remove it.",
            argument="sample_weight",
        )
    expected = problem(_OTHER_DATASETS[name][0])
    order = "ordered" if "ordered" in expected.facts else "unordered"
    task = options.task
    if task is not None and detection.requested_problem(expected.kind, task, order) is not expected:
        raise KzooError(
            f"does not match {name!r}, which is data for {expected.name}. Remove it.",
            argument="task",
            value=task,
        )


def load_named(request: "LoadRequest") -> "Dataset":
    """Load a data set of `NAMES`, whose name is the source of the request."""
    name = request.source
    loaders = import_module("kzoo.data.named_loaders")
    if name in _TABLES:
        make, *arguments = _TABLES[name]
        data = loaders.load_frame(request, getattr(loaders, make)(*arguments))
    else:
        _, make, *arguments = _OTHER_DATASETS[name]
        data = getattr(loaders, make)(request, *arguments)
    if Path(name).exists():
        data.notes.append(
            f"{name} is the named data set. To load the local file or folder, use ./{name}."
        )
    return data
