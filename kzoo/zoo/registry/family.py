"""The families: the module that builds each one, and the settings of its builder. Standard library only.

The file of a family is parsed, not imported, because that would import Keras. It is the single source of the family's
settings: the keywords of `build`, their defaults, and their meanings under `Args:`. A file in `kzoo/zoo/families/`
with a function `build` is a family of the file's name, or the families that a literal `FAMILIES = {name: {keyword:
value}}` in it names, with the keywords that each fixes. A literal `NEEDS` says which keywords have an effect only
with some values of others, as `kzoo.zoo.registry.arguments` does for all families. With `CLOSED_FORM = True`, its
networks are not trained by gradients, but fitted by ridge regression. With `LONG_WINDOWS = True`, windows of many
steps cost it little, and by default they can have the days of a year.

A family of another package is added by its module: `FAMILIES["mine"] = ("my_package.my_module", {})`.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

_HEAD = re.compile(
    r'^def build\(.*?\)(?: -> [^\n]+)?:[ \t]*(?:#[^\n]*)?\n(?:    """.*?"""\n)?',
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Builder:
    """The signature of a function `build`, read without importing it.

    Args:
        takes: the names of its keywords, in their order.
        defaults: name -> default, of the optional ones.
        meanings: name -> short description.
        needs: name -> other names -> the values with which it has an effect in this family (see `arguments.Argument`).
        closed_form: whether its networks are fitted in closed form, not by gradients.
        long_windows: whether windows of many steps cost it little.
    """

    takes: tuple[str, ...]
    defaults: dict[str, Any]
    meanings: dict[str, str]
    needs: dict[str, Any]
    closed_form: bool = False
    long_windows: bool = False


def _list_families() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return family -> the module that builds it, and its fixed keywords."""
    families: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in sorted(Path(__file__).parents[1].joinpath("families").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "\ndef build(" in source:
            names = _literal("FAMILIES", source) or {path.stem: {}}
            families |= {
                name: (f"kzoo.zoo.families.{path.stem}", fixed) for name, fixed in names.items()
            }
    return families


def _literal(name: str, source: str) -> JsonObject:
    """Return the literal dict that a module assigns to a name; {} without such a name.

    Raises:
        ValueError: it is not a literal.
    """
    # Parsing this statement alone takes a third of the time of parsing the file.
    statement = re.search(
        rf"^{name}\b[^\n]*=.*?(?=^[^\s#}})\]]|\Z)", source, re.DOTALL | re.MULTILINE
    )
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


FAMILIES = _list_families()


def is_recurrent(family: str) -> bool:
    """Return whether a family reads its inputs step by step, with a state."""
    return "recurrent_dropout" in builder_of(family).takes


def builder_of(family: str) -> Builder:
    """Return the signature of a family's builder, without `name` and the keywords that the family fixes.

    Raises:
        KzooError: the family's file cannot be found, or a default in it is not a plain value.
    """
    module, fixed = FAMILIES[family]
    return _parse_builder(module, frozenset(fixed))


@cache
def _parse_builder(module: str, fixed: frozenset[str]) -> Builder:
    """Return the `Builder` of a family from the source of its module, without the keywords that the family fixes."""
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
        raise KzooError(
            f"{module}: NEEDS must be written as a plain dict of names, as in kzoo.zoo.families.fnn."
        ) from None
    return Builder(
        takes=tuple(name for name, _ in keywords),
        defaults=defaults,
        meanings=_meanings(build),
        needs=needs,
        closed_form="\nCLOSED_FORM = True" in source,
        long_windows="\nLONG_WINDOWS = True" in source,
    )


def _source(module: str) -> str:
    try:
        spec: Any = find_spec(module)
        source = spec.loader.get_source(module)
    except (
        ImportError,
        AttributeError,
        ValueError,
    ):  # no such package or module, or a module without a file
        source = None
    if source is None:
        raise KzooError(f"Module {module!r} of a family was not found, or is not a Python file.")
    return source


def _function(module: str, source: str) -> ast.FunctionDef:
    """Return the syntax tree of a module's `build`, parsing only signature and docstring where possible."""
    head = _HEAD.search(source)
    try:
        statements = ast.parse(head[0] + "    ...\n").body if head else []
    except SyntaxError:  # the pattern does not match this signature
        statements = []
    for node in statements or ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            return node
    raise KzooError(f"Module {module!r} of a family has no function 'build'.")


def _meanings(build: ast.FunctionDef) -> dict[str, str]:
    """Return argument -> the first sentence on it in a builder's docstring; `a, b: text` describes both."""
    text = ast.get_docstring(build) or ""
    arguments = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
    meanings: dict[str, str] = {}
    # An entry is a line with an indent of 4, and all following lines with a larger one.
    for lines in re.findall(
        r"^    (\S.*(?:\n     .*)*)", arguments[1] if arguments else "", re.MULTILINE
    ):
        names, _, description = " ".join(lines.split()).partition(": ")
        first = re.split(r"\.(?: |$)", description, maxsplit=1)[0].replace("`", "")
        meanings |= {name: first for name in names.split(", ")}
    return meanings
