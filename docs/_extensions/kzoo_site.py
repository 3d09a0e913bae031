"""The Sphinx extension of the site."""

import docstrings
from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation


def setup(app):
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _docstring, priority=100)  # before napoleon
    return {"parallel_read_safe": True}


def _signature(app, what, name, value, options, signature, returned):
    """Return a signature that names `ArrayLike`, in place of the types that NumPy defines it by."""
    array_like = stringify_annotation(ArrayLike, "smart")
    return signature and signature.replace(array_like, "~numpy.typing.ArrayLike"), returned


def _docstring(app, what, name, value, options, lines):
    lines[:] = docstrings.rst(lines)
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")  # else napoleon takes the words before a colon for a type
