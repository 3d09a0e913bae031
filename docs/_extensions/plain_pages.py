"""Every page as plain Markdown beside its HTML, and `llms.txt`, which lists them."""

import posixpath
import re

import api_pages

SECTIONS = {
    "tutorials/": "Tutorials",
    "how_to/": "How-to",
    "explanation/": "Explanation",
    "presets/": "Presets",
    "gallery/": "Gallery",
    "reference/": "Reference",
    "development/": "Development",
}
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)
_DIRECTIVE = re.compile(r"^```\{([\w-]+)\}([^\n]*)\n(.*?)^```\n?", re.M | re.S)
_PICTURE = re.compile(r"\((?:\.\./)*_pictures/([^)]+)\)")
_DOWNLOAD = re.compile(r"\{download\}`([^<`]+) <[^>]*/([^>/]+)>`")


def plain(name: str, text: str, names: dict[str, str]) -> str:
    """Return a page as Markdown without directives.

    Args:
        name: its path, such as `how_to/gpu.md`.
        text: its source.
        names: the sources of all pages, for lists of pages.
    """
    match = re.fullmatch(r"reference/api/(kzoo\..+)\.md", name)
    if match:
        return api_pages.twin(match[1]) + "\n"
    text = _FRONT_MATTER.sub("", text)
    text = re.sub(r"^</?details>.*\n|^<details><summary>.*\n", "", text, flags=re.M)

    def directive(found):
        kind, argument, body = found[1], found[2].strip(), found[3]
        if kind == "option":
            return f"* `{argument}`: {body}"
        if kind == "toctree":
            return _pages(name, body, names)
        return "" if kind in ("raw", "program", "eval-rst") else body

    text = _DIRECTIVE.sub(directive, text)
    folder = posixpath.dirname(name)
    text = _PICTURE.sub(
        lambda found: f"({posixpath.relpath(f'_images/{found[1]}', folder or '.')})", text
    )
    text = _DOWNLOAD.sub(r"\1 (`\2`)", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _pages(name, body, names):
    """Return the pages of a `toctree` as a list; nothing if the page lists them itself."""
    if ":hidden:" in body:
        return ""
    folder = posixpath.dirname(name)
    entries = [line for line in body.splitlines() if line and not line.startswith(":")]
    if "*" in entries:
        listed = [
            each for each in sorted(names) if posixpath.dirname(each) == folder and each != name
        ]
    else:
        listed = [posixpath.normpath(posixpath.join(folder, f"{entry}.md")) for entry in entries]
    return (
        "\n".join(f"* [{title(names[each])}]({posixpath.relpath(each, folder)})" for each in listed)
        + "\n"
    )


def title(text: str) -> str:
    """Return the title of a page."""
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1].replace("`", "") if found else ""


def first_sentence(text: str) -> str:
    """Return the first paragraph below the title, on one line."""
    body = _DIRECTIVE.sub("", _FRONT_MATTER.sub("", text)).partition("\n# ")[2] or text
    for paragraph in body.split("\n\n")[1:]:
        line = " ".join(paragraph.split())
        if line and line[0] not in "#|`!<*-":
            return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", line)[:200]
    return ""


def list_for_models(pages: dict[str, str]) -> str:
    """Return `llms.txt`: the name, what it is, and every page by section, with its first paragraph."""
    lines = ["# kzoo", "", f"> {first_sentence(pages['index.md'])}", ""]
    for start, heading in SECTIONS.items():
        names = sorted(
            name for name in pages if name.startswith(start) and not name.endswith("index.md")
        )
        lines += [f"## {heading}", ""]
        lines += [
            f"- [{title(pages[name])}]({name})"
            + (f": {sentence}" if (sentence := first_sentence(pages[name])) else "")
            for name in names
        ]
        lines.append("")
    return "\n".join(lines)
