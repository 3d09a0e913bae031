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


def translate(parser, words):
    """Put everything that a parser and those below it say in the words of a catalogue; what it lacks stays English."""

    def put(english):
        return words.get(english, english)

    parser.description = prose(parser.description, put)
    parser.epilog = prose(parser.epilog, put)
    parser.formatter_class = partial(_Formatter, usage=put("usage: "))
    for group in parser._action_groups:
        group.title = put(group.title)
    for action in parser._actions:
        for described in (action, *getattr(action, "_choices_actions", ())):  # a command's own line is one
            described.help = put(described.help)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                translate(below, words)


def prose(text, put):
    """Put a description or an epilog in other words: sentences by the paragraph, examples by their comments."""
    if text is None:
        return None
    return "\n\n".join(_paragraph(part, put) for part in text.strip("\n").split("\n\n")) + "\n"


def _paragraph(text, put):
    lines = text.split("\n")
    if not any(line.startswith("  ") for line in lines):
        return "\n".join(wrapped(put(" ".join(lines)), _WIDTH))
    return "\n".join(_example(line, put) for line in lines)


def _example(line, put):
    """Put a heading, or what stands behind a command, in other words."""
    command = re.match(r"  (?:\S+ )*?(?:kzoo|curl) .*?(?:  +|$)", line)
    if command is None:
        said = line.strip()
        return line.replace(said, put(said)) if said else line
    comment = line[command.end() :]
    return command[0] + (put(comment) if comment and "://" not in comment else comment)


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
