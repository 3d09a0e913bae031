"""Rewrite error messages, which name Python arguments, for the command line, which has options."""

import ast
import re
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module

from kzoo.problems.data_arguments import FLAGS, flag_names, levels
from kzoo.zoo.registry.arguments import ARGUMENTS, SYNONYMS

_ARGUMENT = re.compile(
    r"""(?P<advice>(?<![\w-])(?:[Uu]se|[Aa]dd|[Pp]ass|[Ss]ay|[Ss]et)\ )?(?<![\w.@])(?P<name>[a-z]\w*)=
    (?P<value>'[^']*'|"[^"]*"|\([^()]*\)|\[[^\[\]]*\]|[-+\w.]*\w|)""",
    re.VERBOSE,
)
# Several assignments in a row, such as: use input_shape=24, horizon=12
_ASSIGNMENT = r"[a-z]\w*=[-+\w.]*\w"
_ASSIGNMENTS = re.compile(
    rf"(?P<advice>\b(?:[Uu]se|[Aa]dd|[Pp]ass) )(?P<pairs>{_ASSIGNMENT}(?:, {_ASSIGNMENT})+)"
)

# Column types: columns={'zip': 'category'}, columns={'price': {'decimal': ','}}
_QUOTED = r"'[^']*'|\"[^\"]*\""
_COLUMN_ARGUMENT = re.compile(
    rf"columns=\{{(?P<name>{_QUOTED}): (?:(?P<kind>{_QUOTED})|\{{(?P<key>{_QUOTED}): (?P<value>{_QUOTED})\}})\}}"
)


def with_option_names(text: str, options: Iterable[str]) -> str:
    """Return an error message with the options of a command instead of Python arguments.

    `target=` becomes `--target`, `seed=-1` becomes `--seed -1`, `overwrite=True` becomes `--overwrite`, `check=False`
    becomes `--no-check`, `folds=None` becomes `no --folds`, `columns={'zip': 'category'}` becomes `--column
    zip=category`, `columns=` becomes `--column`, and `kzoo.list_presets()` becomes `kzoo list`. Advice about a setting
    ("Use units=8") becomes `--set`.

    Args:
        text: the message of a `KzooError`.
        options: the options of the command, such as `--target`, and those of the data, which `kzoo train` has.
    """
    options = set(options)

    def replace_assignments(match: re.Match[str]) -> str:
        assignments = dict(pair.split("=", 1) for pair in match["pairs"].split(", "))
        if "--set" not in options or not assignments.keys() <= ARGUMENTS.keys():
            return match[0]
        return f"{match['advice']}--set {match['pairs'].replace(', ', ' ')}"

    def replace_argument(match: re.Match[str]) -> str:
        advice = match["advice"] or ""
        name = match["name"]
        value = match["value"]
        flag = FLAGS.get(name)
        option = f"--{name.replace('_', '-')}" if flag is None else flag_names(name)[-1]
        if value == "False" and f"--no-{option[2:]}" in options:
            return f"{advice}--no-{option[2:]}"
        if option in options:
            if value == "None":
                return f"{advice}no {option}"
            if advice and value[:1] in ("'", '"'):
                value = shlex.quote(value[1:-1])
            if value[:1] == "(" and flag is not None and flag.type is levels:
                value = value[1:-1].strip().removesuffix(",").replace(", ", ",")
            if value[:1] == "[" and flag is not None and flag.several == "words":
                with suppress(ValueError, SyntaxError):  # no list of names
                    value = shlex.join(ast.literal_eval(value))
            return f"{advice}{option}" if value in ("", "True") else f"{advice}{option} {value}"
        if advice and value and name in ARGUMENTS and "--set" in options:
            advice = (
                f"{'Use' if advice[0] == 'S' else 'use'} " if advice.lower() == "set " else advice
            )
            return f"{advice}--set {name}={value}"
        return match[0]

    def replace_column(match: re.Match[str]) -> str:
        groups = {name: ast.literal_eval(text) for name, text in match.groupdict().items() if text}
        base = "category" if groups.get("key") == "separator" else "number"
        kind = groups.get("kind") or f"{base}:{groups['key']}={groups['value']}"
        return (
            f"--column {shlex.quote(groups['name'] + '=' + kind)}"
            if "--column" in options
            else match[0]
        )

    text = text.replace("See kzoo.list_presets().", "See: kzoo list")
    text = (
        f"--column: {text[9:]}" if text.startswith("columns: ") and "--column" in options else text
    )
    # The most specific pattern first: the general one would match parts of the others.
    return _ARGUMENT.sub(
        replace_argument,
        _ASSIGNMENTS.sub(replace_assignments, _COLUMN_ARGUMENT.sub(replace_column, text)),
    )


def suggestion(word: str, argv: Sequence[str], options: Iterable[str]) -> str | None:
    """Return the option or the setting (as `--set NAME=VALUE`) closest to an unknown word, or None.

    Args:
        word: such as `--lr`, `--lr=0.1`, `-lr` or `lr=0.1`.
        argv: all words of the command line; the word after `word` may be its value.
        options: the options of the command. Settings are suggested only if `--set` is one of them.
    """
    option, equals, value = word.partition("=")
    name = option.lstrip("-").replace("-", "_").lower()
    if not (word.startswith("-") or equals) or not name:
        return None
    option_names = {
        full_name.lstrip("-").replace("-", "_"): full_name
        for full_name in options
        if full_name.startswith("--")
    }
    settings = (
        {setting: setting for setting in ARGUMENTS} | SYNONYMS if "set" in option_names else {}
    )
    close_matches = import_module("difflib").get_close_matches(
        name, [*option_names, *settings], n=1, cutoff=0.7
    )
    match = name if name in settings else next(iter(close_matches), None)
    if match is None or (match in option_names and name not in settings):
        return option_names.get(match or "")
    next_words = argv[argv.index(word) + 1 :]
    if not equals and next_words and not next_words[0].startswith("--"):
        value = next_words[0]
    return f"--set {settings[match]}={value or 'VALUE'}"
