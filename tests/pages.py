"""The pages that people read, cut into their blocks of code: README in both languages, and docs/.

A page can say in comments above its title what the test that runs it needs to know:

<!-- assumes: train tabular_fnn --data churn.csv --target churned -->   a command of kzoo that is run before the page
<!-- run by: tests/serve/test_docs.py -->                               the test that runs the page instead
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
DOCS = sorted(
    page
    for page in (ROOT / "docs").rglob("*.md")
    if not any(part.startswith("_") for part in page.relative_to(ROOT).parts)
)
PAGES = [README, *DOCS]  # the Chinese page has the same blocks as README: a test checks it
_FENCE = re.compile(r"^```({?\w*}?)\n(.*?)^```$", re.M | re.S)
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


def comments(page, key) -> list[str]:
    """Return what the comments of a page say for a key, `assumes` or `run by`, in order."""
    return re.findall(rf"^<!-- {key}: (.*) -->$", page.read_text(encoding="utf-8"), re.M)


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
    return [link.partition("#")[0] for link in targets(page) if not link.startswith("#")]


def targets(page) -> list[str]:
    """Return the links of a page to files of the repository and to headings, as it names them."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def reachable(start) -> set[Path]:
    """Return the pages of docs/ to which links and tables of contents lead from a page."""
    seen, ahead = {start}, [start]
    while ahead:
        page = ahead.pop()
        text = page.read_text(encoding="utf-8")
        linked = {(page.parent / link).resolve() for link in links(page)}
        for entries in re.findall(r"^```{toctree}\n(.*?)^```$", text, re.M | re.S):
            for entry in re.findall(r"^[\w*/]+$", entries, re.M):
                linked |= {path.resolve() for path in page.parent.glob(f"{entry}.md")}
        new = {path for path in linked if path in DOCS} - seen
        seen |= new
        ahead += new
    return seen
