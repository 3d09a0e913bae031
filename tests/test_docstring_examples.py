"""Docstrings of public names: each is complete, and its example runs and shows what it says.

Examples run in one folder, with the files of the pages (`write_files`); a run, export or search that one of them makes
is there for the others. Of the names in them, `kzoo` and `np` need no import.
"""

import ast
import doctest
import inspect
import re
import sys
import textwrap
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import keras
import numpy as np
import pytest
from numpy.typing import ArrayLike
from shortcuts import in_this_process, untraced
from test_pages_run import write_files

import kzoo

ROOT = Path(__file__).parents[1]
# Module -> its public names, those of the reference; CONTRIBUTING.md has the modules.
PUBLIC = run_path(str(ROOT / "docs" / "_extensions" / "api_pages.py"))["public_names"]()
NAMES = [f"{module}.{name}" for module, names in PUBLIC.items() for name in names]
# Their examples train more than a dozen times.
SLOW = ("kzoo.plots.importance", "kzoo.plots.learning_curve")
# Their examples make the run, the export and the search that other examples name.
MAKERS = ("kzoo.train", "kzoo.export", "kzoo.tune")
# Examples that need an extra -> the module that it brings.
EXTRAS = {"exports/iris": "onnxruntime"}
# Names that implement the method of a paper, or a format that somebody else defines: their docstrings link to it.
OF_A_SOURCE = {
    "kzoo": (
        "check cross_validate ensemble evaluate explain export generate learning_rate_range load_data load_presets "
        "predict preset_to_toml tune"
    ),
    "kzoo.callbacks": "long",
    "kzoo.plots": (
        "accuracy_over_coverage attention_map column_importance grad_cam importance learning_curve reasons reliability"
    ),
}
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Warns", "Examples")
UNITS = {
    name: unit
    for names, unit in (
        ("seconds timeout every max_time journal_seconds", "second"),
        ("width height", "inch"),
    )
    for name in names.split()
}
ARRAY = re.compile(r"ArrayLike|ndarray|_array_like")
SHAPE = re.compile(
    r"\((N|B|H|M|Q|1|2|steps|horizon|paths|length),( (\w+|\*\w+|\.\.\.))?(, (\w+|\.\.\.))*( or \w+)?\)"
)
OUR_ERRORS = ("KzooError", "UnsafeModelError", "Interrupted")


def found(name):
    """Return the public object of a full name."""
    module, _, last = name.rpartition(".")
    value = getattr(import_module(module), last)
    return getattr(value, last) if inspect.ismodule(value) else value  # kzoo.export is both


def members(value):
    """Yield (name, function or property) of the public members that a class of kzoo defines itself."""
    for name, member in vars(value).items():
        member = getattr(member, "__func__", member)  # class methods
        inherited = any(name in vars(base) for base in value.__mro__[1:])
        if name.startswith("_") or inherited:
            continue
        if inspect.isfunction(member) or isinstance(member, property | cached_property):
            yield name, member


def sections(docstring):
    """Return section -> its text; "" is what precedes them."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):$", docstring, flags=re.M)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(text):
    """Return name -> description of the entries of a section; `a, b: text` describes both."""
    result = {}
    for entry in re.split(r"\n(?=    \S)", text.rstrip()):
        names, _, description = entry.strip().partition(": ")
        result |= {name.strip(): description for name in names.split(",")}
    return result


def raised(function, seen=()):
    """Return the names of kzoo's errors that a function raises, itself or by functions and methods beside it."""
    function = inspect.unwrap(function)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # made by a decorator
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            names |= {ast.unparse(node.exc.func).rpartition(".")[2]} & set(OUR_ERRORS)
        called = isinstance(node, ast.Call) and beside(function, node.func)
        if called and called not in seen:
            names |= raised(called, (*seen, called))
    return names


def beside(function, called):
    """Return the function of the same module, or the method of the same class, that an expression names; else None."""
    module = sys.modules[function.__module__]
    if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "self":
        owner = getattr(module, function.__qualname__.partition(".")[0], None)
        value = vars(owner).get(called.attr) if inspect.isclass(owner) else None
    else:
        value = getattr(module, ast.unparse(called), None)
        if getattr(value, "__module__", "") != module.__name__:
            return None
    return value if inspect.isfunction(value) else None


def missing(value):
    """Return what the docstring of a function, a class, or a property lacks, other than an example."""
    docstring = inspect.getdoc(value)
    if not docstring:
        return ["a docstring"]
    if docstring.startswith("Deprecated name of "):
        return []
    lacks = []
    parts = sections(docstring)
    described = entries(parts.get("Args", ""))
    if re.search(r"\b(arXiv|doi):\S", docstring):
        lacks.append("an address that begins with https:// in place of arXiv: or doi:")
    if isinstance(value, property | cached_property):
        function = getattr(value, "fget", None) or value.func
        return [*lacks, *unnamed(raised(function), parts)]
    errors = set()
    function = value
    if inspect.isclass(value):
        function = vars(value).get("__init__")
        if hasattr(value, "__post_init__"):
            errors |= raised(value.__post_init__)
    if function is None:  # the arguments are those of another class
        return lacks
    errors |= raised(function)
    signature = inspect.signature(value)
    for name, parameter in signature.parameters.items():
        if name in ("self", "cls"):
            continue
        if name not in described:
            lacks.append(f"Args: {name}")
            continue
        description = described[name]
        if ARRAY.search(str(parameter.annotation)) and not SHAPE.search(description):
            lacks.append(f"the shape of {name}")
        if UNITS.get(name, "") not in description and "see `" not in description:
            lacks.append(f"the unit of {name}")
    if inspect.isfunction(value) and signature.return_annotation not in (None, "None"):
        says = parts.get("Returns", "") + parts.get("Yields", "")
        intro = parts[""] if re.search(r"\breturn", parts[""], re.I) else ""
        if not says and not intro:
            lacks.append("Returns")
        elif ARRAY.search(str(signature.return_annotation)) and not SHAPE.search(says + intro):
            lacks.append("the shape of what is returned")
    return [*lacks, *unnamed(errors, parts)]


def unnamed(errors, parts):
    """Return an entry for each error that the section `Raises` does not name."""
    return [f"Raises: {error}" for error in sorted(errors) if error not in parts.get("Raises", "")]


def all_missing(name, value):
    """Return what the docstring of a public name lacks, with those of its members."""
    lacks = [f"{name}: {each}" for each in missing(value)]
    docstring = inspect.getdoc(value) or ""
    if ">>> " not in sections(docstring).get("Examples", ""):
        lacks.append(f"{name}: Examples")
    module, _, last = name.rpartition(".")
    if last in OF_A_SOURCE.get(module, "").split() and "https://" not in docstring:
        lacks.append(f"{name}: a link to its source")
    if inspect.isclass(value):
        for called, member in members(value):
            lacks += [f"{name}.{called}: {each}" for each in missing(member)]
    return lacks


def run_example(name, docstring, names=None):
    """Run an example; return what differs from what it shows."""
    report = []
    parsed = doctest.DocTestParser().get_doctest(
        docstring, {"np": np, "kzoo": kzoo} | (names or {}), name, name, 0
    )
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(verbose=False, optionflags=flags).run(parsed, out=report.append)
    return "".join(report)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which examples run, with the files that they name; and the reports of `MAKERS`."""
    path = tmp_path_factory.mktemp("examples")
    write_files(path)
    with pytest.MonkeyPatch.context() as patch, untraced(), in_this_process():
        patch.chdir(path)
        patch.setenv("KZOO_LANG", "en")
        docstrings = {name: inspect.getdoc(found(name)) for name in MAKERS}
        yield (
            path,
            {
                name: run_example(name, text)
                for name, text in docstrings.items()
                if not needed_extras(text)
            },
        )


def needed_extras(docstring):
    """Return the modules that are not installed and that an example needs."""
    return [
        module for word, module in EXTRAS.items() if word in docstring and not find_spec(module)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_is_complete(name):
    lacks = all_missing(name, found(name))
    assert not lacks, "\n".join(lacks)


def test_names_with_a_source_are_public():
    named = {f"{module}.{name}" for module, names in OF_A_SOURCE.items() for name in names.split()}
    assert named <= set(NAMES)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the examples are of the default backend"
)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES]
)
def test_an_example_runs(name, folder, registry_as_it_was, monkeypatch):
    path, reports = folder
    docstring = inspect.getdoc(found(name))
    for module in needed_extras(docstring):
        pytest.skip(f"needs {module}")
    monkeypatch.chdir(path)
    monkeypatch.setattr(sys, "argv", ["example.py"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # `kzoo.recipes.arguments` sets it
    report = reports[name] if name in reports else run_example(name, docstring)
    assert not report, report


def halved(values: ArrayLike, *, timeout: float = 1.0) -> np.ndarray:
    """Halve numbers (arXiv:1706.03762).

    Args:
        values: numbers.

    Examples:
        >>> 3 / 2
        2
    """
    if timeout < 0:
        raise kzoo.KzooError("must be at least 0.", argument="timeout", value=timeout)
    return np.asarray(values) / 2


def test_what_is_missing_is_found():
    assert missing(halved) == [
        "an address that begins with https:// in place of arXiv: or doi:",
        "the shape of values",
        "Args: timeout",
        "Returns",
        "Raises: KzooError",
    ]
    assert all_missing("kzoo.tune", missing)[-2:] == [
        "kzoo.tune: Examples",
        "kzoo.tune: a link to its source",
    ]


def test_a_wrong_output_is_found():
    report = run_example("halved", inspect.getdoc(halved))
    assert "Expected:\n    2\nGot:\n    1.5" in report
    assert not run_example("halved", inspect.getdoc(halved).replace("    2", "    1.5"))
