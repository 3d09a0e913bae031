"""The Sphinx extension of the site."""

import docstrings


def setup(app):
    app.connect("autodoc-process-docstring", _docstring, priority=100)  # before napoleon
    return {"parallel_read_safe": True}


def _docstring(app, what, name, value, options, lines):
    lines[:] = docstrings.rst(lines)
