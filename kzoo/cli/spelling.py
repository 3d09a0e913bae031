"""Errors are written once, as Python spells what it takes; here they get the spelling of the command line."""

import re
from collections.abc import Iterable

from kzoo.arguments import ARGUMENTS, SYNONYMS

_GIVEN = re.compile(
    r"""(?P<advice>\b(?:[Uu]se|[Aa]dd|[Pp]ass)\ )?(?<![\w.])(?P<name>[a-z]\w*)=
    (?P<value>'[^']*'|"[^"]*"|\([^()]*\)|\[[^\[\]]*\]|[-+\w.]*\w|)""",
    re.VERBOSE,
)


def respell(text, options: Iterable[str]) -> str:
    """Return an error's text in the words of a command that takes these options.

    `target=` becomes `--target`, `seed=-1` becomes `--seed -1`, `overwrite=True` becomes `--overwrite`, `check=False`
    becomes `--no-check`, `folds=None` becomes `no --folds`; what to do about a setting gets its `--set`.

    Args:
        text: as a `KzooError` has it.
        options: the command's own, such as `--target`.
    """
    options = set(options)

    def replace(found):
        advice, name, value = found["advice"] or "", found["name"], found["value"]
        option = f"--{name.replace('_', '-')}"
        if value == "False" and f"--no-{option[2:]}" in options:
            return f"{advice}--no-{option[2:]}"
        if option in options:
            if value == "None":
                return f"{advice}no {option}"
            return f"{advice}{option}" if value in ("", "True") else f"{advice}{option} {value}"
        if advice and value and name in ARGUMENTS and "--set" in options:
            return f"{advice}--set {name}={value}"
        return found[0]

    return _GIVEN.sub(replace, text)


def setting_meant(word, argv) -> str | None:
    """Return how `--set` says what an unknown option such as `--lr` means, with its value; None where it means none."""
    option, equals, value = word.partition("=")
    name = option.lstrip("-").replace("-", "_").lower()
    name = SYNONYMS.get(name, name)
    if not word.startswith("--") or name not in ARGUMENTS:
        return None
    after = argv[argv.index(word) + 1 :]
    if not equals and after and not after[0].startswith("--"):
        value = after[0]
    return f"--set {name}={value or 'VALUE'}"
