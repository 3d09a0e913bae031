"""The reference of Python: a page for every public name."""

import inspect
import re
from importlib import import_module

from numpy.typing import ArrayLike

# The modules whose names are public, with a sentence for the list; CONTRIBUTING.md promises their compatibility.
MODULES = {
    "kzoo": "Train, tune, check, predict, export: every function and type at the top level.",
    "kzoo.callbacks": "Bundles of callbacks for `fit`, and the callbacks in them.",
    "kzoo.baselines": "Simple models that any network on the same data should beat.",
    "kzoo.plots": "Functions that return a matplotlib `Figure`.",
    "kzoo.sklearn": "Presets of tables as scikit-learn estimators.",
    "kzoo.runtime": "Exported models without Keras.",
    "kzoo.recipes": "Helpers of the scripts in the gallery.",
}

# Types that public functions take or return, module -> names.
TYPES = {
    "kzoo.data": ["Split"],
    "kzoo.data.splits": ["Fold"],
    "kzoo.checks": ["Findings", "Finding"],
    "kzoo.inference.explanations": ["Explanation"],
    "kzoo.tuning.spaces.space": ["Space"],
}

_OBJECT = re.compile(r"<(?:[^<>]|<lambda>)*>")


def public_names() -> dict[str, list[str]]:
    """Return module -> its names in the reference, without modules; `kzoo.export` is both a module and a function."""
    names = {}
    for name in MODULES:
        module = import_module(name)
        public = module._PUBLIC if name == "kzoo" else module.__all__
        values = ((each, getattr(module, each)) for each in public)
        names[name] = [
            each for each, value in values if callable(value) or not inspect.ismodule(value)
        ]
    return names | TYPES


def summary(value: object) -> str:
    """Return the first sentence of a docstring."""
    text = " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())
    return text.replace("|", "\\|")


def pages() -> dict[str, str]:
    """Return the path of each page -> its text."""
    names = public_names()
    full_names = [f"{module}.{name}" for module in names for name in names[module]]
    result = {
        f"reference/api/{full_name}.md": _page(full_name, value_of(full_name))
        for full_name in full_names
    }
    lists = []
    for module_name, sentence in MODULES.items():
        rows = {name: f"{module_name}.{name}" for name in names[module_name]}
        lists += _list(module_name, sentence, rows)
    types = {f"{module}.{name}": f"{module}.{name}" for module in TYPES for name in TYPES[module]}
    lists += _list("Other types", "Public functions take or return them.", types)
    toctree = ["```{toctree}", ":hidden:", ":glob:", "", "kzoo*", "```", ""]
    introduction = (
        "Every public name of kzoo. Each is imported from the module under which it is listed here. Examples assume "
        "`import kzoo` and `import numpy as np`, and files such as `churn.csv` in the folder; tests run them."
    )
    result["reference/api/index.md"] = "\n".join(
        ["# Python", "", introduction, "", *lists, *toctree]
    )
    return result


def value_of(full_name: str) -> object:
    """Return a public object; of a module that can be called, such as `kzoo.export`, its function."""
    module, _, name = full_name.rpartition(".")
    value = getattr(import_module(module), name)
    return value.__call__ if inspect.ismodule(value) and callable(value) else value


def _list(title, sentence, rows):
    """Return the lines of a section with a table of names; `rows` is the text of a link -> the full name."""
    head = [f"## {title}", "", sentence, "", "| name | what it does |", "|---|---|"]
    table = [
        f"| [`{text}`]({full_name}.md) | {summary(value_of(full_name))} |"
        for text, full_name in rows.items()
    ]
    return [*head, *table, ""]


def _page(full_name, value):
    if inspect.isclass(value):
        directive = "autoexception" if issubclass(value, BaseException) else "autoclass"
        options = [":members:", ":member-order: bysource"]
    elif callable(value):
        directive, options = "autofunction", []
    else:
        directive, options = "autodata", [":no-value:"]
    lines = [f"# {full_name}", "", "```{eval-rst}", f".. {directive}:: {full_name}"]
    return "\n".join([*lines, *(f"   {option}" for option in options), "```", ""])


def _shortened(signature):
    """Return a signature that names `ArrayLike`, in place of the types that NumPy defines it by."""
    for written in (repr(ArrayLike), inspect.formatannotation(ArrayLike)):
        optional = written.removesuffix("]") + ", NoneType]"
        signature = signature.replace(optional, "ArrayLike | None").replace(written, "ArrayLike")
    return without_objects(signature)


def without_objects(signature: str) -> str:
    """Return a signature with `...` for defaults that have no literal, such as functions."""
    return _OBJECT.sub("...", signature)


def twin(full_name: str) -> str:
    """Return the page of a public name as plain Markdown: its signature and its docstring, which is Markdown."""
    name, value = full_name.rpartition(".")[2], value_of(full_name)
    lines = [f"# {full_name}", ""]
    members = [(name, value)]
    if inspect.isclass(value):
        members += [
            (f"{name}.{key}", member)
            for key, member in vars(value).items()
            if not key.startswith("_")
            and inspect.getdoc(getattr(member, "__func__", member))
            and (callable(member) or isinstance(member, property | classmethod | staticmethod))
        ]
    for title, member in members:
        member = getattr(member, "__func__", member)
        if member is not value:
            lines += [f"## {title}", ""]
        try:
            signature = _shortened(str(inspect.signature(member)))
        except (TypeError, ValueError):
            signature = ""
        lines += ["```python", f"{title}{signature}", "```", "", inspect.getdoc(member) or "", ""]
    return "\n".join(lines)
