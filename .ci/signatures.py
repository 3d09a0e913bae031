"""Write `kzoo/signatures.pyi`: `python .ci/signatures.py`.

Functions that take the options of data take them by `**`, so that each is declared once, in `DataArguments`. At run
time their signatures and docstrings list them (`with_data_options`). Type checkers and editors read this file instead.
"""

import ast
import inspect
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import kzoo
from kzoo.problems import data_arguments

STUB = Path(kzoo.__file__).with_name("signatures.pyi")
FUNCTIONS = {
    "load_data": "kzoo.data.load",
    "train": "kzoo.training.train",
    "fit_arguments": "kzoo.training.keras_fit",
    "tune": "kzoo.tuning.tune",
    "check": "kzoo.evaluation.check",
    "cross_validate": "kzoo.evaluation.cross_validate",
}
_TABLE = ast.parse(inspect.getsource(data_arguments))


class _Unquoted(ast.NodeTransformer):
    """Annotations without quotes, which a stub does not need; the words of a `Literal` stay."""

    def visit_Subscript(self, node):
        return node if ast.unparse(node.value) == "Literal" else self.generic_visit(node)

    def visit_Constant(self, node):
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node


def _imports(module, tree):
    """Return name -> the statement that imports it from a module or from where that has it."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name] = (
                    f"from {node.module} import {alias.name}"
                    if isinstance(node, ast.ImportFrom)
                    else f"import {alias.name}"
                )
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            names[ast.unparse(node.target)] = f"from {module} import {ast.unparse(node.target)}"
        elif isinstance(node, ast.ClassDef):
            names[node.name] = f"from {module} import {node.name}"
    return names


def _options():
    """Return option -> (annotation, default), as the table writes them."""
    (table,) = (node for node in _TABLE.body if getattr(node, "name", "") == "DataArguments")
    return {
        node.target.id: (node.annotation, node.value.keywords[0].value)
        for node in table.body
        if isinstance(node, ast.AnnAssign)
    }


def _with_options(definition, function):
    """Return a definition with the options of its signature, without its code."""
    options, written = _options(), definition.args
    parameters = inspect.signature(function).parameters
    own = {argument.arg for argument in (*written.args, *written.kwonlyargs)}
    for name in parameters:
        option = data_arguments.NAMES.get(name, name)
        if name not in own and option in options:
            annotation, default = options[option]
            written.kwonlyargs.append(ast.arg(name, annotation))
            written.kw_defaults.append(default)
    if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
        written.kwarg = None
    definition.decorator_list = [
        node for node in definition.decorator_list if ast.unparse(node) == "overload"
    ]
    definition.body = [ast.Expr(ast.Constant(...))]
    for argument in (*written.args, *written.kwonlyargs):
        argument.annotation = _Unquoted().visit(argument.annotation)
    definition.returns = _Unquoted().visit(definition.returns)
    return definition


def stub() -> str:
    """Return the content of the file, not yet formatted."""
    imports, definitions = {}, []
    for name, module in FUNCTIONS.items():
        tree = ast.parse(Path(import_module(module).__file__).read_text(encoding="utf-8"))
        written = [node for node in tree.body if getattr(node, "name", "") == name]
        for definition in written[:-1] or written:  # without the code of overloads
            definitions.append(_with_options(definition, getattr(kzoo, name)))
        docstring = textwrap.indent(f"{getattr(kzoo, name).__doc__}\n", "    ").strip() + "\n    "
        definitions[-1].body.insert(0, ast.Expr(ast.Constant(docstring)))
        known = _imports(module, tree) | _imports(data_arguments.__name__, _TABLE)
        used = {
            node.id
            for definition in definitions
            for node in ast.walk(definition)
            if isinstance(node, ast.Name)
        }
        imports |= {name: known[name] for name in used & known.keys()}
    text = "\n\n".join(ast.unparse(definition) for definition in definitions)
    head = '"""The functions that take options of data, for type checkers: written by `python .ci/signatures.py`."""'
    return "\n".join([head, *sorted(imports.values()), text]) + "\n"


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    for command in (("check", "--fix", "--select=I"), ("format",)):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", STUB], check=True)
