"""Check the built site: `python docs/_extensions/check_output.py SITE` prints what is wrong, and exits with code 1.

Links lead to pages and anchors that exist, pictures have a text for people who cannot see them, nothing is loaded from
another host, and a page has at most 300 kB.
"""

import posixpath
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGEST = 300_000  # bytes of a page, without pictures and scripts
# Attributes from which a browser loads.
LOADED = {
    "img": "src",
    "script": "src",
    "link": "href",
    "source": "src",
    "iframe": "src",
    "video": "src",
}
# Relations of <link> that load nothing.
NOT_LOADED = ("canonical", "alternate", "index", "search", "next", "prev", "author", "copyright")


class Page(HTMLParser):
    """The links, anchors and pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors = {"", "top"}
        self.without_text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href") is not None:
            self.links.append(values["href"])
        target = values.get(LOADED.get(tag, ""))
        if target and values.get("rel") not in NOT_LOADED:
            self.loaded.append(target)
        if tag == "img" and "alt" not in values:
            self.without_text.append(values.get("src", ""))
        if (
            tag == "svg"
            and "network" in (values.get("class") or "")
            and not values.get("aria-label")
        ):
            self.without_text.append("svg")


def problems(site: Path, largest: int = LARGEST) -> list[str]:
    """Return what is wrong with a site, a line each."""
    folders = {path.parent for path in site.glob("*/pages.json")}  # other versions
    files = [
        path
        for path in sorted(site.rglob("*.html"))
        if not folders & set(path.parents) and "_static" not in path.parts
    ]
    page_of = cache(lambda path: Page(path.read_text(encoding="utf-8")))
    lines = []
    for path in files:
        page, name = page_of(path), path.relative_to(site).as_posix()
        # the source of a module is as long as the module
        if path.stat().st_size > largest and not name.startswith("_modules/"):
            lines.append(f"{name}: {path.stat().st_size:,} bytes")
        lines += [f"{name}: {picture} has no text" for picture in page.without_text]
        for target in page.loaded:
            if urlsplit(target).netloc:
                lines.append(f"{name}: loads {target}")
            elif not target.startswith("data:") and not _file(path, target).is_file():
                lines.append(f"{name}: loads {target}, which does not exist")
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = _file(path, parts.path) if parts.path else path
            if not file.exists():
                lines.append(f"{name}: {target} does not exist")
            elif file.suffix == ".html" and unquote(parts.fragment) not in page_of(file).anchors:
                lines.append(f"{name}: {target} has no such anchor")
    return lines


def _file(page, target):
    return Path(posixpath.normpath(page.parent / unquote(urlsplit(target).path)))


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
