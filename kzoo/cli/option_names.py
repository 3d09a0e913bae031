"""Errors are written once, as Python spells what it takes; here they get the spelling of the command line."""

import ast
import re
import shlex
from collections.abc import Iterable
from importlib import import_module

from kzoo.registry.arguments import ARGUMENTS, SYNONYMS

_GIVEN = re.compile(
    r"""(?P<advice>(?<![\w-])(?:[Uu]se|[Aa]dd|[Pp]ass|[Ss]ay|[Ss]et)\ )?(?<![\w.])(?P<name>[a-z]\w*)=
    (?P<value>'[^']*'|"[^"]*"|\([^()]*\)|\[[^\[\]]*\]|[-+\w.]*\w|)""",
    re.VERBOSE,
)
# Several settings in a row: use input_shape=24, horizon=12
_PAIR = r"[a-z]\w*=[-+\w.]*\w"
_SEVERAL = re.compile(rf"(?P<advice>\b(?:[Uu]se|[Aa]dd|[Pp]ass) )(?P<pairs>{_PAIR}(?:, {_PAIR})+)")

# How a column is read: columns={'zip': 'category'}, columns={'price': {'decimal': ','}}
_TEXT = r"'[^']*'|\"[^\"]*\""
_COLUMN = re.compile(
    rf"columns=\{{(?P<name>{_TEXT}): (?:(?P<kind>{_TEXT})|\{{(?P<key>{_TEXT}): (?P<value>{_TEXT})\}})\}}"
)


def with_option_names(text, options: Iterable[str]) -> str:
    """Return an error's text in the words of a command that takes these options.

    `target=` becomes `--target`, `seed=-1` becomes `--seed -1`, `overwrite=True` becomes `--overwrite`, `check=False`
    becomes `--no-check`, `folds=None` becomes `no --folds`, `columns={'zip': 'category'}` becomes `--column
    zip=category`, `columns=` becomes `--column`, and `kzoo.list_presets()` is `kzoo list`; what to do about a setting
    gets its `--set`.

    Args:
        text: as a `KzooError` has it.
        options: the command's own, such as `--target`.
    """
    options = set(options)

    def pairs(found):
        given = dict(pair.split("=", 1) for pair in found["pairs"].split(", "))
        if "--set" not in options or not given.keys() <= ARGUMENTS.keys():
            return found[0]
        return f"{found['advice']}--set {found['pairs'].replace(', ', ' ')}"

    def replace(found):
        advice, name, value = found["advice"] or "", found["name"], found["value"]
        option = "--column" if name == "columns" and not value else f"--{name.replace('_', '-')}"
        if value == "False" and f"--no-{option[2:]}" in options:
            return f"{advice}--no-{option[2:]}"
        if option in options:
            if value == "None":
                return f"{advice}no {option}"
            if advice and value[:1] in ("'", '"'):
                value = shlex.quote(value[1:-1])
            return f"{advice}{option}" if value in ("", "True") else f"{advice}{option} {value}"
        if advice and value and name in ARGUMENTS and "--set" in options:
            advice = f"{'Use' if advice[0] == 'S' else 'use'} " if advice.lower() == "set " else advice
            return f"{advice}--set {name}={value}"
        return found[0]

    def column(found):
        said = {name: ast.literal_eval(text) for name, text in found.groupdict().items() if text}
        kind = said.get("kind") or f"number:{said['key']}={said['value']}"
        return f"--column {shlex.quote(said['name'] + '=' + kind)}" if "--column" in options else found[0]

    text = text.replace("See kzoo.list_presets().", "See: kzoo list")
    text = f"--column: {text[9:]}" if text.startswith("columns: ") and "--column" in options else text
    return _GIVEN.sub(replace, _SEVERAL.sub(pairs, _COLUMN.sub(column, text)))


def suggestion(word, argv, options: Iterable[str]) -> str | None:
    """Return what an unknown word of a command line was meant to be: an option, or a setting as `--set` says it.

    Args:
        word: such as `--lr`, `--lr=0.1`, `-lr` or `lr=0.1`.
        argv: all words, for the value that follows it.
        options: the command's own; settings are meant only where `--set` is one of them.
    """
    option, equals, value = word.partition("=")
    name = option.lstrip("-").replace("-", "_").lower()
    if not (word.startswith("-") or equals) or not name:
        return None
    own = {known.lstrip("-").replace("-", "_"): known for known in options if known.startswith("--")}
    settings = {one: one for one in ARGUMENTS} | SYNONYMS if "set" in own else {}
    near = import_module("difflib").get_close_matches(name, [*own, *settings], n=1, cutoff=0.7)
    found = name if name in settings else next(iter(near), None)
    if found is None or (found in own and name not in settings):
        return own.get(found or "")
    after = argv[argv.index(word) + 1 :]
    if not equals and after and not after[0].startswith("--"):
        value = after[0]
    return f"--set {settings[found]}={value or 'VALUE'}"
