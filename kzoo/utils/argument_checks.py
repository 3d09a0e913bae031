"""What public functions ask of their arguments, by their names: types alone, in one table.

Ranges, choices and what must fit together are said where they are known; this is so that nothing travels there that has
not even the type. Standard library only.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import wraps
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import expand_user, path_of
from kzoo.utils.formatting import HUGE, MOST, as_python, shown

_P = ParamSpec("_P")
_R = TypeVar("_R")
AUTO = "auto"
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class Form(NamedTuple):
    """What an argument may be: a test, and how a message says it."""

    fits: Callable[[Any], bool]
    words: str


def _is_flag(value: Any) -> bool:
    # NumPy's own truth values, bool_ by name, are neither bool nor int.
    return (isinstance(value, int) and value in (0, 1)) or type(value).__name__ in ("bool", "bool_")


def _is_whole(value: Any) -> bool:
    # NumPy's whole numbers, and nothing else of it, have what Python's have for indexing and no length; so has `int`.
    whole = isinstance(value, int) or (hasattr(value, "__index__") and not hasattr(value, "__len__"))
    return whole and not isinstance(value, type) and not type(value).__name__.startswith("bool")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _is_layers(value: Any) -> bool:
    return value is None or isinstance(value, bool | str) or _is_list(value)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_names(value: Any) -> bool:
    """Names of columns may be numbers: a DataFrame has what it has."""
    each = value if isinstance(value, list | tuple) else [value]
    return value is None or all(isinstance(one, str | int | float) or _is_whole(one) for one in each)


def _is_place(value: Any) -> bool:
    return value is None or isinstance(value, str) or hasattr(value, "__fspath__")


_FLAG = Form(_is_flag, "True or False")
_TEXT = Form(_is_text, "a text, or None")
_NAMES = Form(_is_names, "a name, a list of names, or None")
_PLACE = Form(_is_place, "a path, or None")
_MAPPING = Form(lambda value: value is None or isinstance(value, Mapping), "a dict, or None")
FORMS = {
    **dict.fromkeys(
        (
            "baseline", "baselines", "check", "clip", "compile", "deep", "deterministic", "dry_run", "histograms",
            "normalize", "overwrite", "progress", "reduce_on_plateau", "stateful", "stratified", "tensorboard",
            "verify",
        ),
        _FLAG,
    ),
    **dict.fromkeys(
        (
            "dataset", "engine", "expected_sha256", "family", "method", "metric", "mode", "monitor", "precision",
            "prune", "resume", "split", "task", "time", "tta",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("drop", "exclude", "formats", "quantize", "target"), _NAMES),
    **dict.fromkeys(("out", "run_dir"), _PLACE),
    "columns": _MAPPING,
    "freeze": Form(_is_layers, "True, or names of layers"),
    "class_names": Form(_is_list, "a list of names"),
    "best_epoch": Form(lambda value: value is None or _is_whole(value), "a whole number, or None"),
    "stop_early": Form(lambda value: value is None or _is_flag(value), "True, False or None"),
}  # fmt: skip
# Arguments that may be many things, a path among them.
_PLACES = ("data", "model_or_run", "out", "path", "run", "run_dir", "run_or_model", "source", "test", "weights")


def checked_seed(name: str, value: Any) -> int:
    """Return a seed that every generator of random numbers takes.

    Raises:
        KzooError: it is none.
    """
    if not _is_whole(value) or not 0 <= value < 2**32:
        raise KzooError(f"{name}={shown(value)} must be a whole number from 0 to 4294967295.")
    return int(value)


def checked_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return a number of things.

    Raises:
        KzooError: it is none, or too small.
    """
    if not _is_whole(value) or value < least:
        raise KzooError(f"{name}={shown(value)} must be a whole number of at least {least}.")
    if value > MOST:
        raise KzooError(f"{name}={shown(value)} must be a whole number of at most {MOST:,}.")
    return int(value)


def checked_steps_per_call(value: Any) -> int | str:
    """Return how many steps a call may make, "auto" or a number.

    Raises:
        KzooError: neither.
    """
    if isinstance(value, str) and value == AUTO:
        return AUTO
    if not _is_whole(value) or not 1 <= value <= MOST:
        raise KzooError(f"steps_per_call={shown(value)} must be 'auto' or a whole number of steps, at least 1.")
    return int(value)


def checked_seconds(name: str, value: Any) -> float:
    """Return seconds: of a number of them, or of a text such as "90s", "30m", "2h" or "1h30m".

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
        raise KzooError(f"{name}={value!r} must be a number of seconds above 0, or a text such as '30m' or '1h30m'.")
    return seconds


def _told(name: str | None, value: Any) -> Any:
    """Return an argument as a function takes it."""
    value = as_python(value)
    if name in FORMS and len(getattr(value, "shape", ())) == 1 and hasattr(value, "tolist"):  # an array of names
        value = value.tolist()
    return expand_user(value) if name in _PLACES else value


def checked_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a public function refuse, by name, arguments of a type that it has no use for.

    Numbers of NumPy's reach it as Python's own, and paths with the user's folder for `~`.

    Raises:
        KzooError: in place of what would be raised further in.
    """
    code: Any = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @short_errors
    @wraps(function)
    def checked(*arguments: _P.args, **options: _P.kwargs) -> _R:
        given: Any = tuple(_told(name, value) for name, value in zip_longest(names[: len(arguments)], arguments))
        chosen: Any = {name: _told(name, value) for name, value in options.items()}
        for name, value in (*zip(names, given, strict=False), *chosen.items()):
            form = FORMS.get(name)
            if form is not None and not form.fits(value):
                raise KzooError(f"{name}={shown(value)} must be {form.words}.")
            if name in names and isinstance(value, int) and abs(value) >= HUGE:  # settings have ranges of their own
                raise KzooError(f"{name}={shown(value)} is too large for any use that it could have.")
            if name in _PLACES and isinstance(value, str | Path):
                path_of(value, f"what {name}= takes")
        return function(*given, **chosen)

    return checked
