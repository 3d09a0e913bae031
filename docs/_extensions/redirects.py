"""Sphinx extension: pages at former addresses, which lead on to those in `redirects` of conf.py.

`redirects` maps the name of a former page to a dict, anchor -> page and anchor of today; "" is the page itself.
"""

import html
import json
from pathlib import Path

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Moved</title>
<meta name="robots" content="noindex">
<link rel="canonical" href="{target}">
<script>
const pages = {pages};
location.replace(pages[location.hash.slice(1)] || pages[""]);
</script>
<noscript><meta http-equiv="refresh" content="0; url={target}"></noscript>
<p>This page has moved to <a href="{target}">{target}</a>.</p>
</html>
"""


def setup(app):
    app.add_config_value("redirects", {}, "")
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True}


def _write(app, exception):
    if exception is None and app.builder.name == "html":
        for name, targets in app.config.redirects.items():
            (Path(app.outdir) / f"{name}.html").write_text(page(targets), encoding="utf-8")


def page(targets):
    """Return the text of a page that leads on."""
    pages = {anchor: address(target) for anchor, target in targets.items()}
    # no "</script>" can end the script early
    script = json.dumps(pages, indent=1).replace("<", "\\u003c")
    return PAGE.format(target=html.escape(pages[""]), pages=script)


def address(target):
    """Return the address of a page of today, relative to the root of the site."""
    name, _, anchor = target.partition("#")
    return f"{name}.html" + (f"#{anchor}" if anchor else "")
