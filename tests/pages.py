"""The pages that people read, cut into their blocks of code: README in both languages, and docs/."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, *DOCS]  # the Chinese page has the same blocks as README: a test says so
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_ENDS = ("|", "||", "&", "&&", ";", ">", ">>", "<")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" for none), its text, the line where it begins; what it prints, where shown."""

    language: str
    text: str
    line: int
    output: str | None = None


def blocks(page) -> list[Block]:
    """Return a page's blocks in order. A block of `text` directly below another is what that one prints."""
    text = page.read_text(encoding="utf-8")
    found, before = [], 0
    for match in _FENCE.finditer(text):
        block = Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        if block.language == "text" and found and not text[before : match.start()].strip():
            found[-1] = Block(found[-1].language, found[-1].text, found[-1].line, block.text)
        else:
            found.append(block)
        before = match.end()
    return found


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
    found, here = [], []
    for word in [*words, ";"]:
        if word not in _ENDS:
            here.append(word)
            continue
        if here and Path(here[0]).name == "kzoo":
            found.append(here[1:])
        here = []
    return found


def links(page) -> list[str]:
    """Return the files that a page links to, as it names them."""
    found = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if not link.startswith("http")]
