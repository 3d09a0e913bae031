"""The pages that people read, cut into their blocks of code: README in both languages, and docs/."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
DOCS = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if not any(part.startswith("_") for part in path.parts)  # what the site is built with
)
PAGES = [README, *DOCS]  # the Chinese page has the same blocks as README: a test checks it
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_ENDS = ("|", "||", "&", "&&", ";", ">", ">>", "<")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" for none), its text, its first line, and its output where the page shows it."""

    language: str
    text: str
    line: int
    output: str | None = None


def blocks(page) -> list[Block]:
    """Return a page's blocks in order. A block of `text` directly below another is the output of the other."""
    text = page.read_text(encoding="utf-8")
    result = []
    before = 0
    for match in _FENCE.finditer(text):
        block = Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        if block.language == "text" and result and not text[before : match.start()].strip():
            result[-1] = Block(result[-1].language, result[-1].text, result[-1].line, block.text)
        else:
            result.append(block)
        before = match.end()
    return result


def lines(block) -> list[str]:
    """Return the commands of a shell block, without comments."""
    return [line for line in (without_comment(line) for line in block.text.splitlines()) if line]


def without_comment(line) -> str:
    """Return a line of shell, Python or TOML without its comment."""
    return re.sub(r"(^|\s+)#.*", "", line).rstrip()


def calls(line) -> list[list[str]]:
    """Return the words behind each `kzoo` of a shell line."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    result, command = [], []
    for word in [*words, ";"]:
        if word not in _ENDS:
            command.append(word)
            continue
        if command and Path(command[0]).name == "kzoo":
            result.append(command[1:])
        command = []
    return result


def links(page) -> list[str]:
    """Return the files that a page links to, as it names them."""
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in targets if not link.startswith("http")]
