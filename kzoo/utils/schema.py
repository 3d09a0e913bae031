"""A schema language for plain data from files, and its check, `misfit`. Standard library only.

A form (schema) is a type (`float` accepts whole numbers, `int` no booleans), None, `Words` or `Some`; alternatives,
joined by `|` or in a tuple; a list with the form of all its entries; `Each` with the form of all values of a dict; a
dict of name -> form, where a name that ends in "?" is optional and other names are ignored; a `TypedDict`, whose
annotations are forms (`Annotated[..., form]` where the form says more than the type); or a function of a value and its
location that returns an error message or None.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

LARGEST = 1 << 62  # exclusive limit of whole numbers


@dataclass(frozen=True)
class Each:
    """The form of every value of a dict; `names` are the allowed names, if not empty."""

    form: Any
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Some:
    """A list of `count` entries of one form."""

    form: Any
    count: int


@dataclass(frozen=True)
class Words:
    """One of these strings."""

    words: tuple[str, ...]


def misfit(value: object, form: object, where: str = "it") -> str | None:
    """Return the first mismatch of plain data and a form, such as "columns[3].median is 'x'"; None if it fits."""
    if is_typeddict(form):
        form = _form_of_class(form)
    if isinstance(form, dict):
        return _misfit_mapping(value, form, where)
    if isinstance(form, Each):
        if not isinstance(value, Mapping):
            return _mismatch(where, value)
        if unknown := next((name for name in value if form.names and name not in form.names), None):
            return _mismatch(f"a name in {where}", unknown)
        return _first_misfit((inner, form.form, f"{where}.{name}") for name, inner in value.items())
    if isinstance(form, Some):
        return misfit(value, [form.form], where) or (
            None
            if isinstance(value, list | tuple) and len(value) == form.count
            else _mismatch(where, value)
        )
    if isinstance(form, list):
        if not isinstance(value, list | tuple):
            return _mismatch(where, value)
        return _first_misfit(
            (inner, form[0], f"{where}[{index}]") for index, inner in enumerate(value)
        )
    if isinstance(form, tuple | UnionType):
        mismatches = [
            misfit(value, option, where)
            for option in (form if isinstance(form, tuple) else get_args(form))
        ]
        return None if None in mismatches else max(mismatches, key=lambda text: len(text or ""))
    if get_origin(form) is tuple:  # annotation of a dataclass field: tuple[str, ...]
        return misfit(value, [get_args(form)[0]], where)
    if not isinstance(form, type) and callable(form):
        return form(value, where)
    return None if _fits(value, form) else _mismatch(where, value)


@cache
def _form_of_class(typed_dict: Any) -> dict[str, Any]:
    return {
        f"{name}?" if name in typed_dict.__optional_keys__ else name: _form_of(annotation)
        for name, annotation in get_type_hints(typed_dict, include_extras=True).items()
    }


def _form_of(annotation: Any) -> Any:
    """Return the form that an annotation of a `TypedDict` states."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return arguments[1]
    if origin is NotRequired:
        return _form_of(arguments[0])
    if origin is Literal:
        return Words(arguments)
    if origin is list:
        return [_form_of(arguments[0])]
    if origin is dict:
        return Each(_form_of(arguments[1]))
    if origin in (Union, UnionType):
        return tuple(map(_form_of, arguments))
    return annotation


def _misfit_mapping(value: object, form: Mapping[str, object], where: str) -> str | None:
    if not isinstance(value, Mapping):
        return _mismatch(where, value)
    for name in form:
        if not name.endswith("?") and name not in value:
            return f"{where} has no {name!r}"
    prefix = "" if where == "it" else f"{where}."
    names = {name.removesuffix("?"): inner for name, inner in form.items()}
    return _first_misfit(
        (value[name], inner, prefix + name) for name, inner in names.items() if name in value
    )


def _first_misfit(parts: Iterable[tuple[object, object, str]]) -> str | None:
    return next(filter(None, (misfit(*part) for part in parts)), None)


def _fits(value: object, form: object) -> bool:
    if form in (None, type(None)):
        return value is None
    if isinstance(form, Words):
        return isinstance(value, str) and value in form.words
    if form is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    if form is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
    if form is str:
        return isinstance(value, str) and not any(
            "\ud800" <= letter <= "\udfff" for letter in value
        )
    return isinstance(value, form) if isinstance(form, type) else True


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _mismatch(where: str, value: object) -> str:
    text = ascii(value)
    return f"{where} is {text if len(text) <= 60 else text[:60] + '...'}"
