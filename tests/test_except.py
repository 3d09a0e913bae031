"""`except ValueError` also catches `KzooError`, and would replace its message.

If a `try` calls what raises `KzooError`, such a handler names it, or a handler before it does.
"""

import ast
from functools import cache
from pathlib import Path

import kzoo

PACKAGE = Path(kzoo.__file__).parent
ERRORS = {"KzooError", "UnsafeModelError", "DownloadError", "ExportError"}
CATCH_ALL = {"ValueError", "KzooError", "Exception", "BaseException", None}


def dotted(node):
    """Return `a.b.c` for a name or an attribute of one; None for anything else."""
    if isinstance(node, ast.Attribute):
        return (base := dotted(node.value)) and f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def caught(handler):
    """Return the last parts of the names of the errors of a handler; None for all errors."""
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {(dotted(error) or "").rpartition(".")[2] if error else None for error in types}


def uncaught(nodes):
    """Yield the nodes of a block, without those whose errors are caught inside of it."""
    for node in nodes:
        if isinstance(node, ast.Try) and any(
            caught(handler) & CATCH_ALL for handler in node.handlers
        ):
            yield from uncaught([*node.handlers, *node.orelse, *node.finalbody])
        else:
            yield node
            yield from uncaught(ast.iter_child_nodes(node))


def read(sources):
    """Return the imports of each module, and name -> (module, class or None, body) of all functions and methods.

    Args:
        sources: name of a module -> its code.
    """
    imports, functions = {}, {}
    for module, code in sources.items():
        tree = ast.parse(code)
        imports[module] = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                functions[f"{module}.{node.name}"] = module, None, node.body
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef):
                    functions[f"{module}.{node.name}.{method.name}"] = (
                        module,
                        node.name,
                        method.body,
                    )
    return imports, functions


def handlers_without_kzoo_error(sources):
    """Return `module:line` of the handlers of ValueError that catch a KzooError without naming it."""
    imports, functions = read(sources)

    @cache
    def function(module, owner, name):
        """Return the full name of the function that a name in a module means; None if it is not one of these."""
        head, _, rest = name.partition(".")
        if head in ("self", "cls") and owner:
            name = f"{module}.{owner}.{rest}"
        elif head in imports[module]:
            name = ".".join(filter(None, [imports[module][head], rest]))
        else:
            name = f"{module}.{name}"
        if name in functions or f"{name}.__init__" in functions:
            return name if name in functions else f"{name}.__init__"
        package, _, last = name.rpartition(".")
        return function(package, None, last) if last in imports.get(package, ()) else None

    def calls(module, owner, body):
        names = (dotted(node.func) for node in uncaught(body) if isinstance(node, ast.Call))
        return {function(module, owner, name) for name in names if name}

    def raises(body):
        errors = (node.exc for node in uncaught(body) if isinstance(node, ast.Raise) and node.exc)
        return any((dotted(getattr(error, "func", error)) or "") in ERRORS for error in errors)

    raising = {name for name, (_, _, body) in functions.items() if raises(body)}
    called = {name: calls(*place) for name, place in functions.items()}
    while more := {
        name for name, others in called.items() if name not in raising and others & raising
    }:
        raising |= more
    wrong = []
    for module, owner, body in functions.values():
        for block in (
            node for part in body for node in ast.walk(part) if isinstance(node, ast.Try)
        ):
            if not (raises(block.body) or calls(module, owner, block.body) & raising):
                continue
            for handler in block.handlers:
                if "KzooError" in (names := caught(handler)):
                    break
                if "ValueError" in names:
                    wrong.append(f"{module}:{handler.lineno}")
    return sorted(set(wrong))


def test_who_catches_value_errors_names_kzoo_errors():
    sources = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("kzoo", *path.relative_to(PACKAGE).with_suffix("").parts)
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(
            encoding="utf-8"
        )
    assert handlers_without_kzoo_error(sources) == []


def test_the_test_sees_calls_through_modules_and_methods():
    helpers = (
        "from errors import KzooError\ndef far():\n    raise KzooError('wrong')\ndef caught():\n"
        + ("    try:\n        far()\n    except KzooError:\n        pass\n")
    )
    handled = "class A:\n    def near(self):\n        far()\n    def f(self):\n        try:\n            {}\n{}"
    wrong = "        except ValueError:\n            pass\n"
    right = "        except KzooError:\n            raise\n"
    for call, handlers, found in (
        ("self.near()", wrong, 1),
        ("far()", wrong, 1),
        ("caught()", wrong, 0),
        ("far()", right + wrong, 0),
    ):
        code = "from helpers import far, caught\n" + handled.format(call, handlers)
        assert len(handlers_without_kzoo_error({"helpers": helpers, "user": code})) == found, call
