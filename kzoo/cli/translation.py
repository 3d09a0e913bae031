"""Translate the help of a finished parser.

Commands, options and metavars stay as they are: users type the same words in every language.
"""

import argparse
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial

_WIDTH = 78  # columns of paragraphs, which argparse does not wrap
_CJK = "[\u2e80-\uffef]"  # characters between which a line may break
_NO_LINE_START = "，。、；：！？）」』》"  # punctuation that must not start a line
_NO_LINE_END = "（「『《"  # punctuation that must not end a line


def translate(parser: argparse.ArgumentParser, gettext: Callable[[str], str]) -> None:
    """Translate the help of a parser and of its subparsers in place.

    Args:
        parser: an `argparse.ArgumentParser`.
        gettext: called with each message: a paragraph, a heading, the comment of an example, the help of an argument.
    """
    parser.description = _translate_text(parser.description, gettext)
    parser.epilog = _translate_text(parser.epilog, gettext)
    parser.formatter_class = partial(_Formatter, usage=gettext("usage: "))
    for group in parser._action_groups:
        if group._group_actions:  # argparse does not print empty groups
            group.title = group.title and gettext(group.title)
    for action in parser._actions:
        # the second: the summary of each command
        for target in (action, *getattr(action, "_choices_actions", ())):
            target.help = target.help and gettext(target.help)
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                translate(subparser, gettext)


def _translate_text(text: str | None, gettext: Callable[[str], str]) -> str | None:
    """Return a description or an epilog, translated paragraph by paragraph."""
    if text is None:
        return None
    return (
        "\n\n".join(_translate_paragraph(part, gettext) for part in text.strip("\n").split("\n\n"))
        + "\n"
    )


def _translate_paragraph(text: str, gettext: Callable[[str], str]) -> str:
    lines = text.split("\n")
    if not any(line.startswith("  ") for line in lines):
        return "\n".join(wrapped(gettext(" ".join(lines)), _WIDTH))
    return "\n".join(_translate_example(line, gettext) for line in lines)


def _translate_example(line: str, gettext: Callable[[str], str]) -> str:
    """Return a line of the examples with its heading, or the comment after its command, translated."""
    command = re.match(r"  (?:\S+ )*?(?:kzoo|curl) .*?(?:  +|$)", line)
    if command is None:
        heading = line.strip()
        return line.replace(heading, gettext(heading)) if heading else line
    comment = line[command.end() :]
    return command[0] + (gettext(comment) if comment and "://" not in comment else comment)


def columns(text: str) -> int:
    """Return the number of terminal columns of a text; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(text: str, width: int) -> list[str]:
    """Wrap a text, which may break between any two Chinese characters, but only at spaces between Latin words."""
    units = re.findall(rf"[{_NO_LINE_END}]*(?:{_CJK}|[^\s{_CJK[1:]}+)[{_NO_LINE_START}]*\s*", text)
    lines = [""]
    for unit in units:
        if lines[-1] and columns(lines[-1] + unit.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += unit
    return [*lines[:-1], lines[-1].rstrip()]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A help formatter that measures text in terminal columns instead of characters."""

    def __init__(self, prog: str, *, usage: str, **kwargs: int):
        super().__init__(prog, **kwargs)
        self._usage_word = usage
        # argparse counts the characters of "usage: ", not its columns
        self._width -= columns(usage) - len(usage)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, self._usage_word if prefix is None else prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)
