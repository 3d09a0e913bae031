"""The families: which builder makes a network, and what it takes. Standard library only.

The file of a family is read, not imported, because that would import Keras. What a family takes is said once, in it:
the keywords of `build` are the names that can be set, their defaults are the defaults, and the lines under `Args:` say
what they mean. So a file in `kzoo/families/` with a function `build` is a family: the one of the file's name, or those
that a literal `FAMILIES = {name: {keyword: value}}` in it names, with what is fixed for each. A literal `NEEDS` says
which keywords have a use only beside some values of others there, as `kzoo.registry.arguments` does for all families.

A family that lives elsewhere is named by its module: `FAMILIES["mine"] = ("my_package.my_module", {})`.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kzoo.utils.errors import KzooError

_HEAD = re.compile(
    r'^def build\(.*?\)(?: -> [^\n]+)?:[ \t]*(?:#[^\n]*)?\n(?:    """.*?"""\n)?', re.DOTALL | re.MULTILINE
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Builder:
    """What there is to know about a function `build` without importing it.

    Args:
        takes: the names of its keywords, in their order.
        defaults: those that need not be given.
        meanings: what each means, in a few words.
        needs: name -> other names -> the values beside which it has a use in this family (see `arguments.Argument`).
    """

    takes: tuple[str, ...]
    defaults: dict[str, Any]
    meanings: dict[str, str]
    needs: dict[str, Any]


def _found() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return family -> the module that builds it, and what it is told besides the config."""
    families: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in sorted(Path(__file__).parents[1].joinpath("families").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "\ndef build(" in source:
            names = _literal("FAMILIES", source) or {path.stem: {}}
            families |= {name: (f"kzoo.families.{path.stem}", fixed) for name, fixed in names.items()}
    return families


def _literal(name: str, source: str) -> dict[str, Any]:
    """Return the literal dict that a module gives a name; {} where there is no such name.

    Raises:
        ValueError: it is no literal.
    """
    # The statement alone, up to the next one, is parsed in a third of the time of the file.
    statement = re.search(rf"^{name}\b[^\n]*=.*?(?=^[^\s#}})\]]|\Z)", source, re.DOTALL | re.MULTILINE)
    if statement is None:
        return {}
    try:
        body = ast.parse(statement[0]).body
    except SyntaxError:
        body = ast.parse(source).body
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]  # an assignment
    return {}


FAMILIES = _found()


def is_recurrent(family: str) -> bool:
    """Say whether a family reads its inputs step by step, with a state."""
    return "recurrent_dropout" in builder_of(family).takes


def builder_of(family: str) -> Builder:
    """Return what a family's builder takes, without what the family fixes and without `name`.

    Raises:
        KzooError: the family's file cannot be found, or a default in it is not a plain value.
    """
    module, fixed = FAMILIES[family]
    return _read(module, frozenset(fixed))


@cache
def _read(module, fixed):
    source = _source(module)
    build = _function(module, source)
    keywords = [
        (keyword.arg, default)
        for keyword, default in zip(build.args.kwonlyargs, build.args.kw_defaults, strict=True)
        if keyword.arg not in fixed | {"name"}
    ]
    defaults = {}
    for name, default in keywords:
        if default is not None:
            try:
                defaults[name] = ast.literal_eval(default)
            except ValueError:
                raise KzooError(
                    f"{module}: the default of build's {name!r} must be written as a plain value, such as (64, 32), "
                    f"not {ast.unparse(default)}."
                ) from None
    try:
        needs = _literal("NEEDS", source)
    except (ValueError, SyntaxError):
        raise KzooError(f"{module}: NEEDS must be written as a plain dict of names, as in kzoo.families.fnn.") from None
    return Builder(
        takes=tuple(name for name, _ in keywords), defaults=defaults, meanings=_meanings(build), needs=needs
    )  # fmt: skip


def _source(module):
    try:
        spec: Any = find_spec(module)
        source = spec.loader.get_source(module)
    except (ImportError, AttributeError, ValueError):  # no such package, no such module, none with a file
        source = None
    if source is None:
        raise KzooError(f"A family's builder is looked for in {module!r}, and there is no such Python file.")
    return source


def _function(module, source):
    """Return the syntax tree of a module's `build`: of signature and docstring alone where that can be read."""
    head = _HEAD.search(source)
    try:
        found = ast.parse(head[0] + "    ...\n").body if head else []
    except SyntaxError:  # a signature of a form that the pattern does not know
        found = []
    for node in found or ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            return node
    raise KzooError(f"A family's builder is looked for in {module!r}, which has no function 'build'.")


def _meanings(build):
    """Return name -> the first sentence of its lines in the docstring; `a, b: text` is about both."""
    text = ast.get_docstring(build) or ""
    arguments = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
    found: dict[str, str] = {}
    for entry in re.findall(r"^    (\S.*(?:\n     .*)*)", arguments[1] if arguments else "", re.MULTILINE):
        names, _, said = " ".join(entry.split()).partition(": ")
        first = re.split(r"\.(?: |$)", said, maxsplit=1)[0].replace("`", "")
        found |= {name: first for name in names.split(", ")}
    return found
