"""`py.typed` means something: every public name has a full signature, and mypy reads them as a user would."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import kzoo
import kzoo.runtime


def for_a_type_checker(module):
    """Return name -> module of what a package imports below `if TYPE_CHECKING:`."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {alias.asname: node.module for block in blocks for node in block.body for alias in node.names}


def test_a_type_checker_sees_the_public_names():
    seen = for_a_type_checker(kzoo)
    assert sorted(seen) == sorted(kzoo._PUBLIC)
    for name, module in seen.items():
        there = import_module(f"kzoo.{name}" if module == "kzoo" else module)
        assert getattr(kzoo, name) in (there, getattr(there, name, None))  # kzoo.export is both


def test_a_type_checker_sees_the_pictures():
    assert for_a_type_checker(kzoo.plots) == kzoo.plots._LATER


def public_callables():
    """Yield (name, function) of everything in the public API that can be called, methods of classes included."""
    doors = {name: getattr(kzoo, name) for name in kzoo._PUBLIC}
    for module in (kzoo.callbacks, kzoo.plots, kzoo.recipes, kzoo.runtime):
        doors |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    doors |= {"Split": import_module("kzoo.data").Split, "Space": type(kzoo.space("iris_fnn"))}
    doors["export"] = import_module("kzoo.export").export
    for name, thing in doors.items():
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for called, member in vars(thing).items():
                member = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
                member = getattr(member, "func", member)  # cached_property
                if inspect.isfunction(member) and (not called.startswith("_") or called == "__init__"):
                    yield f"{name}.{called}", member


def missing_annotations(function):
    signature = inspect.signature(function)
    names = [
        name for name, p in signature.parameters.items() if p.annotation is p.empty and name not in ("self", "cls")
    ]
    return names + (["return"] if signature.return_annotation is signature.empty else [])


def test_every_public_function_and_method_has_a_full_signature():
    found = dict(public_callables())
    assert len(found) > 120
    assert {name: missing for name, function in found.items() if (missing := missing_annotations(function))} == {}
