"""Column options: the argument `columns=`, checked against the columns of a table. Does not import pandas."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kzoo.inference.tables.numbers import DECIMALS, THOUSANDS
from kzoo.inference.tables.raw import Rows, require
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint

if TYPE_CHECKING:
    from pandas import DataFrame

KINDS = ("number", "category", "date", "text")
_MOST_SEPARATOR = 4  # characters
_NUMBER_FORMAT = ("decimal", "thousands")


def named_columns(columns: object) -> list[str]:
    """Return the names of columns that have options. Their cells are read from a file as text."""
    return list(columns) if isinstance(columns, Mapping) else []


def column_options(
    columns: Mapping[str, str | Mapping[str, str]] | None, table: "Rows | DataFrame"
) -> dict[str, dict[str, str]]:
    """Return the checked column options: name -> {"kind": ..., "decimal": ..., "thousands": ...}, all keys optional.

    The target may also have `separator`, between the labels of a cell.

    Args:
        columns: name -> one of `KINDS`, or a dict of options; None for none.
        table: `Rows` or a DataFrame.

    Raises:
        KzooError: unknown column, or an invalid option.
    """
    if not isinstance(columns or {}, Mapping):
        raise KzooError(
            "must be a dict such as {'zip': 'category'}.", argument="columns", value=columns
        )
    options = {}
    for name, option in (columns or {}).items():
        require(table, [name], "the table")
        option = {"kind": option} if isinstance(option, str) else option
        if isinstance(option, Mapping) and "separator" in option:
            options[name] = _separated(name, option)
            continue
        if not isinstance(option, Mapping) or set(option) - {"kind", *_NUMBER_FORMAT}:
            raise KzooError(
                f"columns: {name!r} is {option!r}; use one of {', '.join(KINDS)}, or a dict such as {{'decimal': ','}}."
            )
        kind = option.get("kind", "number")
        if kind not in KINDS:
            raise KzooError(
                f"columns: {name!r} is {kind!r}. {hint(kind, KINDS)}Use one of: {', '.join(KINDS)}."
            )
        signs = {sign: option[sign] for sign in _NUMBER_FORMAT if sign in option}
        if signs and kind != "number":
            raise KzooError(
                f"columns: {name!r} is a {kind}; {' and '.join(signs)} can be set for numbers only."
            )
        for sign, allowed in (("decimal", DECIMALS), ("thousands", THOUSANDS)):
            if sign in signs and signs[sign] not in allowed:
                raise KzooError(
                    f"columns: {name!r} has {sign}={signs[sign]!r}; it must be one of {' '.join(map(repr, allowed))}."
                )
        if len(set(signs.values())) < len(signs):
            raise KzooError(
                f"columns: {name!r} cannot use {signs['decimal']!r} as both the decimal and the thousands separator."
            )
        options[name] = {"kind": kind, **signs}
    return options


def _separated(name: str, option: Mapping[str, str]) -> dict[str, str]:
    """Return the checked options of a column whose cells have several labels."""
    separator = option["separator"]
    if set(option) - {"kind", "separator"} or option.get("kind", "category") != "category":
        raise KzooError(
            f"columns: {name!r} is {dict(option)!r}; separator= is for a target of labels, a category."
        )
    if (
        not isinstance(separator, str)
        or not 0 < len(separator) <= _MOST_SEPARATOR
        or separator.isalnum()
    ):
        raise KzooError(f"columns: {name!r} has separator={separator!r}; use a sign such as ';'.")
    return {"kind": "category", "separator": separator}


def check_target_options(
    options: Mapping[str, Mapping[str, str]], targets: Sequence[str], noun: str = ""
) -> None:
    """Raise `KzooError` for a separator of another column than the only target.

    Args:
        options: see `column_options`.
        targets: names of the target columns.
        noun: of inputs whose tables have no other columns to read, such as "texts": then options of other columns, and
            other types than a category, are refused too.
    """
    for name, option in options.items():
        if "separator" in option and list(targets) != [name]:
            raise KzooError(
                f"columns: {name!r} has a separator, but only a single target can have one. Remove it."
            )
    for name, option in options.items() if noun else ():
        if name not in targets or option.get("kind") != "category":
            raise KzooError(
                f"of {noun} can only make the target a category, or set the separator of labels; remove "
                f"{name!r}.",
                argument="columns",
            )
