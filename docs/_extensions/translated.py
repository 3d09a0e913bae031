"""Pages of the site in other languages, from the gettext catalogues in docs/locale/.

A message is a heading, a paragraph, an item of a list or a cell of a table, as Markdown in one line. Code, outputs and
links stay as they are, and a message without a translation is shown in English. `.ci/translations.py` updates the
catalogues; `staging.py` writes the translated sources, whose links to all other pages lead to the English site.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LOCALE = DOCS / "locale"
LANGUAGES = {"zh": "zh_CN"}  # folder of the site and of the catalogues -> Sphinx' name
DOMAINS = ("index", "tutorials", "gallery")

_BLOCK = re.compile(
    r"\A---\n.*?^---$|^(`{3,}).*?^\1\s*$|^<!--.*?-->$|^\{#.*?#\}$", re.M | re.S
)  # front matter, fences, comments
_ITEM = re.compile(r"(#+ |[*-] |\d+\. )(.*)", re.S)
_CELL = re.compile(r"(?<!\\)\|")
_LINK = re.compile(
    r"(?<!!)\[((?:[^\[\]]|!?\[[^\]]*\](?:\([^)]*\))?)*)\]\(([^)\s#]+\.md)((?:#[^)\s]*)?)\)"
)


def setup(app):
    """Give each page a link to the same page in the other language, or to its home."""
    app.connect("html-page-context", _with_link)
    return {"parallel_read_safe": True}


def _with_link(app, page, template, context, doctree):
    english = app.config.language == "en"
    there = page if not english or is_translated(f"{page}.md") else "index"
    context["other_language"] = {
        "code": "zh" if english else "en",
        "name": "中文" if english else "English",
        "page": f"{'zh' if english else '..'}/{there}.html",
    }


def is_translated(page: str) -> bool:
    """Return whether a page, such as `tutorials/table.md`, has a translation."""
    return page in ("index.md", "gallery/index.md") or page.startswith("tutorials/")


def domain_of(page: str) -> str:
    """Return the catalogue of a page."""
    return page.partition("/")[0].removesuffix(".md")


def messages(text: str) -> list[str]:
    """Return the messages of a page, in order."""
    found: list[str] = []
    translated(text, lambda message: found.append(message) or message)
    return found


def translated(text: str, translate: Callable[[str], str]) -> str:
    """Return a page with each of its messages replaced."""
    result, position = [], 0
    for block in _BLOCK.finditer(text):
        result += [_prose(text[position : block.start()], translate), block[0]]
        position = block.end()
    return "".join([*result, _prose(text[position:], translate)])


def _prose(text, translate):
    return "".join(
        part if not part.strip() else _paragraph(part, translate)
        for part in re.split(r"(\n\s*\n)", text)
    )


def _paragraph(text, translate):
    """Return a paragraph, list or table with its messages replaced, and the line breaks around it."""
    before, after = text[: len(text) - len(text.lstrip("\n"))], text[len(text.rstrip("\n")) :]
    lines = [
        _row(part, translate) if part.startswith("|") else _item(part, translate)
        for part in _parts(text.strip("\n"))
    ]
    return before + "\n".join(lines) + after


def _parts(text) -> Iterator[str]:
    """Yield the items and rows of a paragraph, each with the lines that continue it."""
    part: list[str] = []
    for line in text.splitlines():
        if part and (line.startswith("|") or re.match(r"[*-] |\d+\. |#+ ", line)):
            yield "\n".join(part)
            part = []
        part.append(line)
    yield "\n".join(part)


def _item(text, translate):
    match = _ITEM.fullmatch(text)
    mark, content = (match[1], match[2]) if match else ("", text)
    return mark + translate(re.sub(r"\s*\n\s*", " ", content))


def _row(text, translate):
    if not re.search(r"\w", text):  # the line below the head
        return text
    return "|".join(
        f" {translate(cell.strip())} " if cell.strip() else cell for cell in _CELL.split(text)
    )


def catalogue(language: str, domain: str) -> dict[str, str]:
    """Return message -> translation of a catalogue, without those that wait for a translator."""
    from babel.messages import pofile

    path = LOCALE / language / "LC_MESSAGES" / f"{domain}.po"
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        entries = pofile.read_po(file, locale=language)
    return {
        entry.id: entry.string for entry in entries if entry.id and entry.string and not entry.fuzzy
    }


def sources() -> dict[str, list[str]]:
    """Return the messages of each catalogue, in the order of the pages."""
    import gallery_pages

    paths = [DOCS / "index.md", DOCS / "tutorials" / "index.md"]
    paths += [path for path in sorted((DOCS / "tutorials").glob("*.md")) if path not in paths]
    result: dict[str, list[str]] = {domain: [] for domain in DOMAINS}
    for path in paths:
        page = path.relative_to(DOCS).as_posix()
        result[domain_of(page)] += messages(path.read_text(encoding="utf-8"))
    result["gallery"] = gallery_pages.messages()
    return {domain: list(dict.fromkeys(each)) for domain, each in result.items()}


def with_english_links(text: str, page: str, pages: set[str]) -> str:
    """Return a page whose links to pages that are not in `pages` lead to those of the English site, a folder higher."""

    def replaced(match):
        if "://" in match[2]:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), match[2]))
        if target in pages:
            return match[0]
        address = posixpath.relpath(
            f"../{target.removesuffix('.md')}.html", posixpath.dirname(page) or "."
        )
        return f'<a href="{address}{match[3]}">{match[1]}</a>'

    result, position = [], 0
    for block in _BLOCK.finditer(text):
        result += [_LINK.sub(replaced, text[position : block.start()])]
        result += [_listed(block[0], page, pages)]
        position = block.end()
    return "".join([*result, _LINK.sub(replaced, text[position:])])


def _listed(block, page, pages):
    """Return a `toctree` without the pages that have no translation; any other block as it is."""
    if not block.startswith("```{toctree}"):
        return block
    folder = posixpath.dirname(page)
    lines = [
        line
        for line in block.splitlines()
        if not re.fullmatch(r"[\w./*-]+", line)
        or posixpath.normpath(posixpath.join(folder, f"{line}.md")) in pages
    ]
    return "\n".join(lines)
