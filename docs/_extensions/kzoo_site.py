"""The Sphinx extension of the site."""

import json
import posixpath
import re
import shutil
from pathlib import Path

import api_pages
import docstrings
import search_index
import sphinx.search
from docutils import nodes
from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

import kzoo

_BACKLINK = re.compile(r"(reference/api/([\w.]+)\.html)#([\w.]+)")


def setup(app):
    for name in api_pages.public_names()["kzoo"]:  # autodoc would take `kzoo.export` for the module
        setattr(kzoo, name, api_pages.value_of(f"kzoo.{name}"))
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _docstring, priority=100)  # before napoleon
    app.connect("doctree-resolved", _link_names)
    app.connect("builder-inited", _without_sphinx_search)
    app.connect("html-collect-pages", _search_page)
    app.connect("html-page-context", _page_context)
    app.connect("build-finished", _write_search)
    app.connect("build-finished", _write_pages)
    return {"parallel_read_safe": True}


def _signature(app, what, name, value, options, signature, returned):
    """Return a signature that names `ArrayLike`, in place of the types that NumPy defines it by."""
    array_like = stringify_annotation(ArrayLike, "smart")
    signature = signature and signature.replace(array_like, "~numpy.typing.ArrayLike")
    return signature and api_pages.without_objects(signature), returned


def _skip(app, what, name, value, skip, options):
    """Skip what scikit-learn adds to its estimators, and methods that only a framework calls."""
    added = re.fullmatch(r"set_\w+_request", name)
    return True if added or (name.startswith("on_") and not value.__doc__) else None


def _docstring(app, what, name, value, options, lines):
    lines[:] = docstrings.rst(lines)
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # else napoleon takes the words before a colon for a type


# === Links of names ===

_LINKED = ("how_to/", "tutorials/", "explanation/", "index")


def _link_names(app, doctree, page):
    """Link `kzoo.train`, `kzoo train` and names of presets in the text of pages to their page."""
    if not page.startswith(_LINKED):
        return
    for literal in [*doctree.findall(nodes.literal)]:
        target = _page_of(literal.astext(), app.env.found_docs)
        if target is None or isinstance(literal.parent, nodes.reference | nodes.title):
            continue
        uri = app.builder.get_relative_uri(page, target)
        literal.replace_self(nodes.reference("", "", literal.deepcopy(), refuri=uri, internal=True))


def _page_of(text, pages):
    """Return the page of a name, or None."""
    command = re.fullmatch(r"kzoo (\w+)", text)
    name = text.removesuffix("()")
    names = (
        f"reference/command_line/{command[1]}" if command else "",
        f"reference/api/{name}",
        f"presets/{name}" if name != "index" else "",
    )
    return next((each for each in names if each in pages), None)


# === Search ===


def _without_sphinx_search(app):
    """Sphinx's own search wants every word of a question in a page; another index replaces it."""
    app.builder.search = False


def _search_page(app):
    return [("search", {}, "search.html")]


def _write_search(app, exception):
    if exception is not None:
        return
    pages = {}
    for name in sorted(app.env.found_docs):
        doctree = app.env.get_doctree(name)
        keywords = app.env.metadata[name].get("keywords", "") or _keywords(doctree)
        pages[name] = search_index.fields_of(doctree, keywords)
    static = Path(app.outdir) / "_static"
    (static / "search_index.js").write_text(search_index.script(pages), encoding="utf-8")
    stemmers = Path(sphinx.search.__file__).parent / "minified-js"
    for name in ("base-stemmer.js", "porter-stemmer.js"):
        shutil.copyfile(stemmers / name, static / name)


def _keywords(doctree):
    return " ".join(
        node.get("content", "")
        for node in doctree.findall(nodes.meta)
        if node.get("name") == "keywords"
    )


# === Plain pages, versions ===


def _page_context(app, page, template, context, doctree):
    if page.startswith("_modules/") and "body" in context:
        context["body"] = _BACKLINK.sub(_with_full_name, context["body"])
    depth = page.count("/") + (app.config.version != "dev") + (app.config.language != "en")
    context["versions_root"] = "../" * depth
    if doctree is not None and app.config.language == "en":
        context["plain_page"] = f"{posixpath.basename(page)}.md"
        context["metatags"] = (
            context.get("metatags", "")
            + f'<link rel="alternate" type="text/markdown" href="{context["plain_page"]}">\n'
        )


def _with_full_name(link):
    """Return a link from the source back to the reference: viewcode knows one public module for each source."""
    page, name = link[2], link[3]
    last = page.rpartition(".")[2]
    return f"{link[1]}#{page}{name.partition(last)[2]}"


def _write_pages(app, exception):
    if exception is not None:
        return
    out = Path(app.outdir)
    # a template of the theme, which is no page
    (out / "_static" / "webpack-macros.html").unlink(missing_ok=True)
    if app.config.language != "en":
        return
    shutil.copytree(Path(app.srcdir).parent / "plain", out, dirs_exist_ok=True)
    names = sorted(app.env.found_docs)
    (out / "pages.json").write_text(json.dumps(names), encoding="utf-8")
