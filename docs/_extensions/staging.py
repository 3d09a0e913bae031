"""Write the sources of the site to a folder: the pages of docs/, other pages of the repository, and generated ones.

    python docs/_extensions/staging.py FOLDER

Links to files of the repository lead to their page on the site, or else to the repository. Nothing is executed that
a page shows. A file is written only if its text has changed, so that Sphinx reads only changed pages again.
"""

import os
import posixpath
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

import translated

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / ".ci"))
import addresses

# The files of the release that the site documents, or of the development version.
_VERSION = os.environ.get("KZOO_SITE_VERSION", "dev")
SOURCE = f"{addresses.source(ROOT)}/blob/{'main' if _VERSION == 'dev' else f'v{_VERSION}'}/"
# Files of the repository that are pages of the site, too.
PAGES = {
    "CONTRIBUTING.md": "development/contributing.md",
    "kzoo/README.md": "development/code.md",
    "kzoo/export/README.md": "reference/export_formats.md",
    "SECURITY.md": "development/security.md",
    "SUPPORT.md": "development/support.md",
    "CODE_OF_CONDUCT.md": "development/code_of_conduct.md",
    "CHANGELOG.md": "development/changelog.md",
}
# Files that lead to another page of the site.
ALIASES = {
    "README.md": "index.md",
    "README.zh.md": "index.md",
    "recipes/README.md": "gallery/index.md",
}
_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$", re.M | re.S)
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def hand_written() -> dict[str, str]:
    """Return path -> text of the pages in docs/, and of those of the repository that belong to the site."""
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(DOCS.rglob("*.md"))
        if not any(part.startswith("_") for part in path.relative_to(DOCS).parts)
    }
    return texts | {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}


def generators() -> list:
    """Return the modules that make pages: `pages`, and perhaps `twins` and `files`."""
    return [
        import_module(name)
        for name in ("api_pages", "reference_pages", "preset_pages", "gallery_pages")
    ]


def generated() -> dict[str, str]:
    """Return path below docs/ -> text of the pages that are made of the package."""
    return {name: text for module in generators() for name, text in module.pages().items()}


def staged(folder: Path) -> dict[str, str]:
    """Return path -> text of all pages, with links for the site; pictures are copied to the folder."""
    made = generated()
    pages = {name: (f"docs/{name}", text) for name, text in made.items()}
    for origin, text in hand_written().items():
        pages[PAGES.get(origin) or origin.removeprefix("docs/")] = (origin, text)
    names = set(pages)
    result = {}
    for name, (origin, text) in pages.items():
        if "/" not in name and name != "index.md":  # pages that are not in a section yet
            text = _with_orphan(text)
        if posixpath.basename(name) == "index.md" and not _siblings(name, names):
            text = _FENCE.sub(lambda match: "" if "{toctree}" in match[0] else match[0], text)
        result[name] = _linked(text, origin, name, names, folder)
    return result


def _siblings(name, names):
    folder = posixpath.dirname(name)
    return [
        other
        for other in names
        if other != name and other.startswith(f"{folder}/" if folder else "")
    ]


def _with_orphan(text):
    if text.startswith("---\n"):
        return text.replace("---\n", "---\norphan: true\n", 1)
    return f"---\norphan: true\n---\n{text}"


def _linked(text, origin, name, names, folder):
    """Return a text whose links lead to pages of the site, to copied pictures, or to the repository."""

    def replaced(match):
        before, target, after = match[1], match[2], match[3]
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        recipe = re.fullmatch(r"recipes/(.+)\.py", path)
        page = f"gallery/{recipe[1].replace('/', '-')}.md" if recipe else ""
        page = page if page in names else PAGES.get(path) or path.removeprefix("docs/")
        if path in ALIASES and not after.startswith("#") and ALIASES[path] != name:
            page = ALIASES[path]
        if page in names:
            return before + _relative(page, name) + after
        if before.startswith("!") and (ROOT / path).is_file():
            picture = "_pictures/" + path.removeprefix("docs/").replace("/", "-")
            _copy(ROOT / path, folder / picture)
            return before + _relative(picture, name) + after
        if (ROOT / path).exists():
            return before + SOURCE + path + after
        return match[0]

    parts, position = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(replaced, text[position : fence.start()]), fence[0]]
        position = fence.end()
    return "".join([*parts, _LINK.sub(replaced, text[position:])])


def _relative(target, name):
    return posixpath.relpath(target, posixpath.dirname(name) or ".")


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)


def write(folder: Path) -> None:
    """Write all sources, and remove those that are no longer made."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = staged(folder)
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    _write_plain(pages, folder.parent / "plain")
    for module in generators():
        for name, content in getattr(module, "files", dict)().items():
            path = folder / name
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()


def write_translated(folder: Path, language: str) -> None:
    """Write the pages of another language, with links to the English site for those that have no translation."""
    names = set(generated()) | {PAGES.get(o) or o.removeprefix("docs/") for o in hand_written()}
    known = {name for name in names if translated.is_translated(name)}
    catalogues = {name: translated.catalogue(language, name) for name in translated.DOMAINS}
    shutil.rmtree(folder, ignore_errors=True)
    for name in known:
        catalogue = catalogues[translated.domain_of(name)]

        def translate(message, catalogue=catalogue):
            return catalogue.get(message, message)

        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "gallery/index.md":
            text = import_module("gallery_pages").list_of_recipes(translate, "../..")
        else:
            text = translated.translated((DOCS / name).read_text(encoding="utf-8"), translate)
            text = _linked(text, f"docs/{name}", name, names, folder)
            text = translated.with_english_links(text, name, known)
        path.write_text(text, encoding="utf-8")


def _write_plain(pages, folder):
    """Write the pages as plain Markdown, and their list."""
    import plain_pages

    shutil.rmtree(folder, ignore_errors=True)
    others = {
        name: text
        for module in generators()
        for name, text in getattr(module, "twins", dict)().items()
    }
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(others.get(name) or plain_pages.plain(name, text, pages), encoding="utf-8")
    (folder / "llms.txt").write_text(plain_pages.list_for_models(pages), encoding="utf-8")


if __name__ == "__main__":
    os.environ["KZOO_LANG"] = "en"
    sys.path.insert(0, str(ROOT))
    if stale := import_module("stored_outputs").problems():
        sys.exit("\n".join(stale))
    write(Path(sys.argv[1]))
    for language in translated.LANGUAGES:
        write_translated(Path(sys.argv[1]).parent / language / "source", language)
