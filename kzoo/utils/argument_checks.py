"""Type checks of the arguments of public functions, by argument name, in one table. Standard library only.

Ranges, choices and combinations are checked where they are used; these checks only reject wrong types early.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeGuard, TypeVar

from kzoo.utils.address import (
    check_copies,
    local,
    local_data,
    local_model_or_data,
    local_weights,
    refuse_remote_output,
)
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import expand_user, path_of
from kzoo.utils.formatting import HUGE, MOST, as_python
from kzoo.utils.table_path import as_written

_P = ParamSpec("_P")
_R = TypeVar("_R")
AUTO = "auto"
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class ArgumentType(NamedTuple):
    """The type of an argument: a predicate, and its description in messages."""

    is_valid: Callable[[Any], bool]
    description: str


def _is_flag(value: object) -> bool:
    # NumPy's booleans are neither bool nor int; their class is called bool or bool_.
    return (isinstance(value, int) and value in (0, 1)) or type(value).__name__ in ("bool", "bool_")


def _is_whole(value: object) -> TypeGuard[int]:
    # NumPy integers have `__index__` and no length; other NumPy objects do not. The class `int` itself has both, too.
    is_index = isinstance(value, int) or (
        hasattr(value, "__index__") and not hasattr(value, "__len__")
    )
    return is_index and not isinstance(value, type) and not type(value).__name__.startswith("bool")


def _is_string_list(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_layer_selection(value: object) -> bool:
    return value is None or isinstance(value, bool | str) or _is_string_list(value)


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_names(value: object) -> bool:
    """Return whether a value is a name or several; columns of a DataFrame may be numbers."""
    names = value if isinstance(value, list | tuple) else [value]
    return value is None or all(
        isinstance(name, str | int | float) or _is_whole(name) for name in names
    )


def _is_path(value: object) -> bool:
    return value is None or isinstance(value, str) or hasattr(value, "__fspath__")


FLAG = ArgumentType(_is_flag, "True or False")
TEXT = ArgumentType(_is_text, "a string, or None")
NAMES = ArgumentType(_is_names, "a name, a list of names, or None")
_PATH = ArgumentType(_is_path, "a path, or None")
MAPPING = ArgumentType(lambda value: value is None or isinstance(value, Mapping), "a dict, or None")
# Those of the options of data are added by their table (`kzoo/problems/data_arguments.py`).
ARGUMENT_TYPES = {
    **dict.fromkeys(
        (
            "baseline",
            "baselines",
            "check",
            "compile",
            "deep",
            "deterministic",
            "dry_run",
            "histograms",
            "normalize",
            "overwrite",
            "progress",
            "reduce_on_plateau",
            "stateful",
            "stratified",
            "tensorboard",
            "verify",
        ),
        FLAG,
    ),
    **dict.fromkeys(
        (
            "dataset",
            "engine",
            "expected_sha256",
            "family",
            "method",
            "metric",
            "mode",
            "monitor",
            "precision",
            "prune",
            "resume",
            "tta",
        ),
        TEXT,
    ),
    **dict.fromkeys(("exclude", "formats", "quantize"), NAMES),
    **dict.fromkeys(("out", "run_dir"), _PATH),
    "freeze": ArgumentType(_is_layer_selection, "True, or names of layers"),
    "class_names": ArgumentType(_is_string_list, "a list of names"),
    "best_epoch": ArgumentType(
        lambda value: value is None or _is_whole(value), "a whole number, or None"
    ),
    "stop_early": ArgumentType(
        lambda value: value is None or _is_flag(value), "True, False or None"
    ),
}
# Arguments that accept paths, among other types.
# arguments that name a model, which may be on a hub
_MODEL_NAMES = ("exported", "model_or_run", "run", "run_or_model", "weights")
_OUTPUTS = ("out", "run_dir")  # arguments that name what is written
# arguments that name data, which may be at an address
_DATA_NAMES = ("calibration", "data", "repairs", "source", "test", "validation")
_DATA_OR_MODEL_NAMES = ("preset_or_model_or_run",)
_PATH_NAMES = (
    "calibration",
    "data",
    "model_or_run",
    "out",
    "path",
    "run",
    "run_dir",
    "run_or_model",
    "source",
    "test",
    "validation",
    "weights",
)


def whole_number(least: int, most: int, description: str) -> ArgumentType:
    """Return the type of a whole number in a range, or None."""
    return ArgumentType(
        lambda value: value is None or (_is_whole(value) and least <= value <= most), description
    )


def checked_seed(name: str, value: object) -> int:
    """Return a seed that every random number generator accepts.

    Raises:
        KzooError: it is not a whole number from 0 to 2**32 - 1.
    """
    if not _is_whole(value) or not 0 <= value < 2**32:
        raise KzooError("must be a whole number from 0 to 4294967295.", argument=name, value=value)
    return int(value)


def checked_count(name: str, value: object, *, least: int = 1) -> int:
    """Return a count.

    Raises:
        KzooError: it is not a whole number, too small or too large.
    """
    if not _is_whole(value) or value < least:
        raise KzooError(f"must be a whole number of at least {least}.", argument=name, value=value)
    if value > MOST:
        raise KzooError(f"must be a whole number of at most {MOST:,}.", argument=name, value=value)
    return int(value)


def checked_steps_per_call(value: object) -> int | str:
    """Return the number of steps per call, or "auto".

    Raises:
        KzooError: neither.
    """
    if isinstance(value, str) and value == AUTO:
        return AUTO
    if not _is_whole(value) or not 1 <= value <= MOST:
        raise KzooError(
            "must be 'auto' or a whole number of steps, at least 1.",
            argument="steps_per_call",
            value=value,
        )
    return int(value)


def checked_seconds(name: str, value: object) -> float:
    """Return seconds, from a number or a string such as "90s", "30m", "2h" or "1h30m".

    Raises:
        KzooError: neither.
    """
    seconds = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        text = value.strip().lower().replace(" ", "")
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        elif re.fullmatch(r"(\d+(\.\d+)?(s|min|m|h|d))+", text):
            parts = re.findall(r"(\d+(?:\.\d+)?)(s|min|m|h|d)", text)
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        raise KzooError(
            "must be a number of seconds above 0, or a string such as '30m' or '1h30m'.",
            argument=name,
            value=value,
        )
    return seconds


def seconds_like(seconds: float, example: object) -> str:
    """Return seconds, rounded up, as an argument in the unit of another value: 42, or '1m' beside '5m'.

    Args:
        seconds: the seconds.
        example: a valid argument of `checked_seconds`.
    """
    unit = re.search(r"[a-z]+$", str(example).strip().lower())
    if unit is None:
        number = math.ceil(seconds)
        return repr(str(number)) if isinstance(example, str) else str(number)
    return repr(f"{math.ceil(seconds / _UNITS[unit[0]])}{unit[0]}")


def _normalized(name: str | None, value: object) -> Any:
    """Return an argument with NumPy types and `~` converted."""
    value = as_python(value)
    # An array of names, such as the columns of a DataFrame.
    if (
        name in ARGUMENT_TYPES
        and len(getattr(value, "shape", ())) == 1
        and hasattr(value, "tolist")
    ):
        value = value.tolist()
    if name in _MODEL_NAMES:
        value = local_weights(value) if name == "weights" else local(value)
    if name in _DATA_OR_MODEL_NAMES:
        value = local_model_or_data(value)
    if name in (*_DATA_NAMES, *_DATA_OR_MODEL_NAMES):
        value = local_data(value)
    return expand_user(value) if name in _PATH_NAMES else value


def checked_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a public function to check the types of its arguments by name.

    NumPy numbers are converted to Python's, and `~` in paths to the user's folder.

    Raises:
        KzooError: an argument has the wrong type.
    """
    names = [*signature(function).parameters]
    uploaded = getattr(function, "takes_addresses", ())

    @short_errors
    @wraps(function)
    def checked(*arguments: _P.args, **options: _P.kwargs) -> _R:
        checked_positional: Any = tuple(
            _normalized(name, value)
            for name, value in zip_longest(names[: len(arguments)], arguments)
        )
        checked_options: Any = {name: _normalized(name, value) for name, value in options.items()}
        values = (*zip(names, checked_positional, strict=False), *checked_options.items())
        check_copies(value for _, value in values)
        for name, value in values:
            argument_type = ARGUMENT_TYPES.get(name)
            if argument_type is not None and not argument_type.is_valid(value):
                raise KzooError(f"must be {argument_type.description}.", argument=name, value=value)
            # settings have their own ranges
            if name in names and isinstance(value, int) and abs(value) >= HUGE:
                raise KzooError("is too large.", argument=name, value=value)
            if name in _OUTPUTS and name not in uploaded:
                refuse_remote_output(name, value)
            if name in _PATH_NAMES and isinstance(value, str | Path):
                path_of(value, f"what {name}= takes")
        try:
            return function(*checked_positional, **checked_options)
        except KzooError as error:
            error.complete_from(values)
            error.rewrite(as_written)
            raise

    return checked
