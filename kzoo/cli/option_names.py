"""Rewrite error messages, which name Python arguments, for the command line, which has options."""

import ast
import re
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module

from kzoo.problems.data_arguments import FLAGS, Flag, flag_names
from kzoo.utils.errors import KzooError
from kzoo.zoo.registry.arguments import ARGUMENTS, SYNONYMS

_QUOTED = r"'[^']*'|\"[^\"]*\""
_PAIR = r"[a-z]\w*=[-+\w.]*\w"
# What users wrote stays as it is: quoted texts and paths. So do the settings of a command (--set). A bare word is a
# value in advice only ("Use units=8").
_ARGUMENT = re.compile(
    rf"""columns=\{{(?P<column>{_QUOTED}):\ (?:(?P<kind>{_QUOTED})|\{{(?P<key>{_QUOTED}):\ (?P<sign>{_QUOTED})\}})\}}
    |(?P<verb>\b(?:[Uu]se|[Aa]dd|[Pp]ass)\ )(?P<pairs>{_PAIR}(?:,\ {_PAIR})+)
    |(?P<advice>(?<![\w-])(?:[Uu]se|[Aa]dd|[Pp]ass|[Ss]ay|[Ss]et)\ )?(?<![\w.@/\\-])(?P<name>[a-z]\w*)=
     (?P<value>{_QUOTED}|\([^()]*\)|\[[^\[\]]*\]|-?\d+(?:\.\d+)?(?:e-?\d+)?|True|False|None|(?(advice)[-+\w.]*\w|)|)
     (?![.:]?[\w/\\{{])
    |--set(?:\ (?:{_QUOTED}|[a-z]\w*=[^\s'"]*[^\s'",;.]))+
    |(?<!\w)(?:{_QUOTED})""",
    re.VERBOSE,
)


def with_option_names(message: object, options: Iterable[str]) -> str:
    """Return a message with the options of a command instead of Python arguments.

    The argument of a `KzooError` is shown as its option, and its value as it is. In sentences:

    `target=` becomes `--target`, `seed=-1` becomes `--seed -1`, `overwrite=True` becomes `--overwrite`, `check=False`
    becomes `--no-check`, `folds=None` becomes `no --folds`, `columns={'zip': 'category'}` becomes `--column
    zip=category`, `columns=` becomes `--column`, and `kzoo.list_presets()` becomes `kzoo list`. Advice about a setting
    ("Use units=8") becomes `--set`.

    Args:
        message: a `KzooError`, or a sentence.
        options: the options of the command, such as `--target`, and those of the data, which `kzoo train` has.
    """
    names = set(options)
    if not isinstance(message, KzooError):
        return _rewritten(str(message), names)
    return message.text(partial(_assignment, names), lambda text: _rewritten(text, names))


def option_of(name: str) -> str:
    """Return the option of an argument: `--data-seed`, or as the table of data options has it."""
    return flag_names(name)[-1] if name in FLAGS else f"--{name.replace('_', '-')}"


def _assignment(options: set[str], name: str, value: object, text: str) -> str:
    """Return an argument and the text of its value as they are typed on the command line."""
    option = option_of(name)
    if value is False and f"--no-{option[2:]}" in options:
        return f"--no-{option[2:]}"
    if option not in options:
        return f"{name}={text}"
    if value is None and text:
        return f"no {option}"
    flag = FLAGS.get(name)
    if flag is not None and isinstance(value, list | tuple) and (words := _typed(flag, value)):
        text = words
    return option if value is True or not text else f"{option} {text}"


def _typed(flag: Flag, value: Sequence[object]) -> str:
    """Return several values of an option as they are typed; empty if the option takes a single one."""
    if flag.several == "words":
        return shlex.join(map(str, value))
    return shlex.quote(",".join(map(str, value))) if flag.write is not None else ""


def _rewritten(text: str, options: set[str]) -> str:
    """Return a sentence with options in place of arguments."""
    text = text.replace("See kzoo.list_presets().", "See: kzoo list")
    if text.startswith("columns: ") and "--column" in options:
        text = f"--column: {text[9:]}"
    return _ARGUMENT.sub(partial(_replacement, options=options), text)


def _replacement(match: re.Match[str], options: set[str]) -> str:
    if match["column"]:
        return _column_option(match) if "--column" in options else match[0]
    if match["pairs"]:  # several in a row, such as: use input_shape=24, horizon=12
        pairs = match["pairs"].split(", ")
        if "--set" in options and all(pair.partition("=")[0] in ARGUMENTS for pair in pairs):
            return f"{match['verb']}--set {' '.join(pairs)}"
        return ", ".join(
            _rewritten(words, options) for words in (match["verb"] + pairs[0], *pairs[1:])
        )
    if not match["name"]:
        return match[0]
    advice, name, value = match["advice"] or "", match["name"], match["value"]
    option, flag = option_of(name), FLAGS.get(name)
    if value == "False" and f"--no-{option[2:]}" in options:
        return f"{advice}--no-{option[2:]}"
    if option in options:
        if value == "None":
            return f"{advice}no {option}"
        if advice and value[:1] in ("'", '"'):
            value = shlex.quote(value[1:-1])
        if value[:1] in ("(", "[") and flag is not None:
            with suppress(ValueError, SyntaxError):  # no list of plain values
                value = _typed(flag, ast.literal_eval(value)) or value
        return f"{advice}{option}" if value in ("", "True") else f"{advice}{option} {value}"
    if advice and value and name in ARGUMENTS and "--set" in options:
        verb = advice.replace("Set", "Use").replace("set", "use")
        return f"{verb}--set {name}={value}"
    return match[0]


def _column_option(match: re.Match[str]) -> str:
    """Return the option of `columns={'zip': 'category'}`: `--column zip=category`."""
    name, kind, key, sign = (
        text and ast.literal_eval(text) for text in match.group("column", "kind", "key", "sign")
    )
    base = "category" if key == "separator" else "number"
    description = kind or f"{base}:{key}={sign}"
    return f"--column {shlex.quote(f'{name}={description}')}"


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
