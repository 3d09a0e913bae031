"""The command line's help in another language: a finished parser gets its sentences anew.

Commands, options and metavars stay as they are: what is typed is the same in every language.
"""

import argparse
import re
import unicodedata
from functools import partial

_WIDTH = 78  # columns of sentences that argparse does not wrap
_HAN = "[\u2e80-\uffef]"  # characters between which a line may break
_CLOSING = "，。、；：！？）」』》"  # no line begins with one of these
_OPENING = "（「『《"  # and none ends with one of these


def translate(parser, gettext):
    """Translate the help of a parser and of its subparsers in place.

    `gettext` is called with each message: a paragraph, a heading, the comment of an example, the help of an argument.
    """
    parser.description = _translate_text(parser.description, gettext)
    parser.epilog = _translate_text(parser.epilog, gettext)
    parser.formatter_class = partial(_Formatter, usage=gettext("usage: "))
    for group in parser._action_groups:
        if group._group_actions:  # argparse leaves the others out
            group.title = gettext(group.title)
    for action in parser._actions:
        for described in (action, *getattr(action, "_choices_actions", ())):  # the second: the line of each command
            described.help = described.help and gettext(described.help)
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                translate(subparser, gettext)


def _translate_text(text, gettext):
    """Return a description or an epilog, translated paragraph by paragraph."""
    if text is None:
        return None
    return "\n\n".join(_translate_paragraph(part, gettext) for part in text.strip("\n").split("\n\n")) + "\n"


def _translate_paragraph(text, gettext):
    lines = text.split("\n")
    if not any(line.startswith("  ") for line in lines):
        return "\n".join(wrapped(gettext(" ".join(lines)), _WIDTH))
    return "\n".join(_translate_example(line, gettext) for line in lines)


def _translate_example(line, gettext):
    """Return a line of examples with its heading, or the comment behind its command, translated."""
    command = re.match(r"  (?:\S+ )*?(?:kzoo|curl) .*?(?:  +|$)", line)
    if command is None:
        heading = line.strip()
        return line.replace(heading, gettext(heading)) if heading else line
    comment = line[command.end() :]
    return command[0] + (gettext(comment) if comment and "://" not in comment else comment)


def columns(text) -> int:
    """Return how many columns of a terminal a text fills: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(text, width) -> list[str]:
    """Wrap a text that may break between any two Chinese characters, and at blanks only in what is Latin."""
    units = re.findall(rf"[{_OPENING}]*(?:{_HAN}|[^\s{_HAN[1:]}+)[{_CLOSING}]*\s*", text)
    lines = [""]
    for unit in units:
        if lines[-1] and columns(lines[-1] + unit.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += unit
    return [*lines[:-1], lines[-1].rstrip()]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's, that counts columns as a terminal does."""

    def __init__(self, prog, *, usage, **more):
        super().__init__(prog, **more)
        self._usage_word = usage
        self._width -= columns(usage) - len(usage)  # argparse counts the characters of this word

    def add_usage(self, usage, actions, groups, prefix=None):
        super().add_usage(usage, actions, groups, self._usage_word if prefix is None else prefix)

    def _split_lines(self, text, width):
        return wrapped(text, width)
