"""The form of plain data that comes from a file: which types stand where, said once and checked in one place.

A form is a type (`float` takes whole numbers too, `int` no truth values), None, `Words`, `Some`, several of these
joined by `|` or in a tuple; a list of the form of all its entries; `Each` of that of all values of a dict; a dict of
name -> form, where a name that ends in "?" may be left out and what has no name here is not looked at; or a function of
a value and where it is, that says what is wrong. Standard library only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, get_args, get_origin

LARGEST = 1 << 62  # of a whole number


@dataclass(frozen=True)
class Each:
    """The form of every value of a dict, whatever its names are, or out of some names."""

    form: Any
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Some:
    """A list of so many entries of one form."""

    form: Any
    count: int


@dataclass(frozen=True)
class Words:
    """One of some words."""

    words: tuple[str, ...]


def misfit(value: Any, form: Any, where: str = "it") -> str | None:
    """Return what in plain data is not of a form, as the end of a sentence: "columns[3].median is 'x'"; else None."""
    if isinstance(form, dict):
        return _of_names(value, form, where)
    if isinstance(form, Each):
        if not isinstance(value, Mapping):
            return _said(where, value)
        if unknown := next((name for name in value if form.names and name not in form.names), None):
            return _said(f"a name in {where}", unknown)
        return _first((inner, form.form, f"{where}.{name}") for name, inner in value.items())
    if isinstance(form, Some):
        return misfit(value, [form.form], where) or (None if len(value) == form.count else _said(where, value))
    if isinstance(form, list):
        if not isinstance(value, list | tuple):
            return _said(where, value)
        return _first((inner, form[0], f"{where}[{place}]") for place, inner in enumerate(value))
    if isinstance(form, tuple | UnionType):
        found = [misfit(value, one, where) for one in (form if isinstance(form, tuple) else get_args(form))]
        return None if None in found else max(found, key=lambda text: len(text or ""))
    if get_origin(form) is tuple:  # as fields of dataclasses say it: tuple[str, ...]
        return misfit(value, [get_args(form)[0]], where)
    if not isinstance(form, type) and callable(form):
        return form(value, where)
    return None if _fits(value, form) else _said(where, value)


def _of_names(value, form, where):
    if not isinstance(value, Mapping):
        return _said(where, value)
    for name in form:
        if not name.endswith("?") and name not in value:
            return f"{where} has no {name!r}"
    prefix = "" if where == "it" else f"{where}."
    names = {name.removesuffix("?"): inner for name, inner in form.items()}
    return _first((value[name], inner, prefix + name) for name, inner in names.items() if name in value)


def _first(parts):
    return next(filter(None, (misfit(*part) for part in parts)), None)


def _fits(value, form):
    if form in (None, type(None)):
        return value is None
    if isinstance(form, Words):
        return isinstance(value, str) and value in form.words
    if form is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    if form is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
    if form is str:
        return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return isinstance(value, form) if isinstance(form, type) else True


def _is_finite(value):
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _said(where, value):
    text = ascii(value)
    return f"{where} is {text if len(text) <= 60 else text[:60] + '...'}"
