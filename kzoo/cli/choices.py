"""The values of options that take one of a few words: for shell completion, and to refuse other words early."""

from collections.abc import Collection, Sequence
from importlib import import_module

from kzoo.problems.data_arguments import OPTIONS
from kzoo.problems.tasks import problems, tasks
from kzoo.zoo.registry.arguments import BACKENDS, BUNDLES, PRECISIONS, RESUME, TTA
from kzoo.zoo.registry.family import FAMILIES


def _formats() -> tuple[str, ...]:
    return tuple(import_module("kzoo.export.formats").formats())


def _tasks() -> tuple[str, ...]:
    return (*problems(), *dict.fromkeys(word for task in tasks().values() for word in task.words))


# Name of an option, without its dashes -> a function that returns its values.
OPTION_VALUES = {
    "backend": lambda: BACKENDS,
    "callbacks": lambda: BUNDLES,
    "engine": lambda: import_module("kzoo.tuning.engines").ENGINES,
    "family": lambda: tuple(FAMILIES),
    "format": _formats,
    "formats": _formats,
    "precision": lambda: PRECISIONS,
    "quantize": lambda: import_module("kzoo.export.format").QUANTIZED,
    "resume": lambda: RESUME,
    "space": lambda: import_module("kzoo.tuning.spaces.entry").SIZES,
    "split": lambda: ("train", "validation", "test"),
    "task": _tasks,
    "tta": lambda: TTA,
}
# The same for options that mean something else in the commands that draw splits, which have --data-seed.
_OF_DRAWN_SPLITS = {"split": lambda: OPTIONS["split"].choices}
# Options that accept nothing but these values, in every command.
CHECKED_OPTIONS = ("backend", "callbacks", "engine", "precision", "resume", "space", "split", "tta")


def values_of(name: str, options: Collection[str]) -> Sequence[str]:
    """Return the values of an option of a command.

    Args:
        name: of the option, without its dashes.
        options: names of all options of the command.
    """
    return (
        _OF_DRAWN_SPLITS.get(name, OPTION_VALUES[name])
        if "data_seed" in options
        else OPTION_VALUES[name]
    )()
