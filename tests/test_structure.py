"""The structure of kzoo: the direction of imports, the imports of light modules, and no layers but those of Keras."""

import ast
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import kzoo
from kzoo.problems.kinds import READY, kinds

PACKAGE = Path(kzoo.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Package or module of kzoo -> those that it may import, from the ground up. All may import those in `SHARED`.
MAY_IMPORT = {
    "utils": set(),
    "problems": set(),
    "inference": set(),
    "zoo": {"cloud", "inference"},
    "data": {"inference", "zoo"},
    "callbacks": set(),
    "plots": {"inference", "zoo"},
    "baselines": {"data", "inference", "zoo"},
    "checks": {"data", "inference", "zoo"},
    "training": {"baselines", "callbacks", "checks", "data", "inference", "plots", "zoo"},
    "tuning": {"callbacks", "data", "inference", "training", "zoo"},
    "evaluation": {
        "baselines",
        "checks",
        "data",
        "inference",
        "plots",
        "training",
        "tuning",
        "zoo",
    },
    "auto": {"baselines", "data", "evaluation", "inference", "training", "tuning", "zoo"},
    "export": {"data", "inference", "zoo"},
    "hub": {"export", "inference"},
    "cloud": set(),
    "runtime": {"export", "inference"},
    "scoring": {"cloud", "inference", "runtime"},
    "serve": {"inference", "runtime", "zoo"},
    "reports": {"data", "evaluation", "inference", "plots", "tuning", "zoo"},
    "sklearn": {"inference", "zoo"},
    "cli": {"data", "export", "hub", "inference", "tuning", "zoo"},
    "recipes": {"cli", "zoo"},
    "__main__": {"cli"},
}
# Those that it may also name in a string, to import them when they are needed: light modules open heavy modules so.
BY_NAME = {
    "baselines": {"training"},
    "cli": {
        "auto",
        "cloud",
        "evaluation",
        "plots",
        "reports",
        "runtime",
        "scoring",
        "serve",
        "training",
    },
    "cloud": {"inference"},  # which files are the parts of one table
    "export": {"cloud"},
    "inference": {"data", "export", "plots"},
    "problems": {"inference", "zoo"},
    "recipes": {"training"},
    "sklearn": {"data", "evaluation", "training"},
    "tuning": {"auto", "plots"},
    "utils": {"cloud", "hub"},
    "zoo": {"training"},
}
SHARED = {"problems", "utils"}
STANDARD_LIBRARY_ONLY = (
    "cloud",
    "hub",
    "tuning/ranking.py",
    "inference/exported.py",
    "inference/signature.py",
    "problems",
    "utils",
    "zoo/network.py",
    "zoo/presets",
    "zoo/registry",
    "zoo/results",
    "zoo/retrained.py",
    "zoo/run.py",
    "zoo/untracked.py",
    "zoo/uploaded.py",
    "zoo/weights",
)


def nodes_of(path):
    """Return all nodes of a file but those below `if TYPE_CHECKING:`, which are never run."""
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        yield node
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        waiting += node.orelse if typing else ast.iter_child_nodes(node)


@cache
def imports_of(path):
    """Return (module, line) for each import anywhere in a file, but for those that only a type checker reads."""
    return [*_imports_in(path)]


def _imports_in(path):
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "kzoo":
                yield from ((f"kzoo.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno
                if node.module == "kzoo.utils.optional" and any(
                    alias.name == "pandas" for alias in node.names
                ):
                    yield "pandas", node.lineno  # a late import of pandas


def names_of(path):
    """Return (module, line) for each module of kzoo that a string in a file names, be it to import it later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
        text = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
        words = text.partition(":")[0].rstrip(".").split(".")
        module = PACKAGE.parent.joinpath(*words)
        if (
            words[0] == "kzoo"
            and words[1:]
            and (module.is_dir() or module.with_suffix(".py").is_file())
        ):
            yield ".".join(words), node.lineno


def part_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def is_in(path, names):
    """Return whether a file is one of some files and folders of the package."""
    name = path.relative_to(PACKAGE).as_posix()
    return any(name == each or name.startswith(f"{each}/") for each in names)


def wrong_imports(path, part):
    if is_in(path, ["utils/moved.py"]):  # the table of former names
        return []
    allowed = MAY_IMPORT[part] | SHARED | {part}
    named = allowed | BY_NAME.get(part, set())
    return [
        f"{path.relative_to(PACKAGE)}:{line} {verb} {module}"
        for verb, modules, legal in (
            ("imports", imports_of(path), allowed),
            ("names", names_of(path), named),
        )
        for module, line in modules
        if module.split(".")[0] == "kzoo" and [*module.split("."), ""][1] not in legal
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_in_a_single_direction(path):
    part = part_of(path)
    if part == "__init__":
        # Nothing else, so that TensorFlow is imported after it.
        assert {m for m, _ in imports_of(path) if m.startswith("kzoo")} == {
            "kzoo.utils",
            "kzoo.utils.version",
        }
        return
    assert part in MAY_IMPORT, f"add kzoo/{part} to MAY_IMPORT"
    assert wrong_imports(path, part) == []


def circles_in(graph):
    """Return the packages of `graph` (name -> names that it imports) that import each other, also indirectly."""
    reached = {name: set(others) for name, others in graph.items()}
    grown = True
    while grown:
        grown = False
        for others in reached.values():
            further = set().union(*(reached.get(other, ()) for other in others)) - others
            if further:
                others |= further
                grown = True
    return sorted(name for name, others in reached.items() if name in others)


def test_no_package_imports_itself_through_another():
    graph = {part_of(path): set() for path in FILES}
    for path in FILES:
        modules = (module.split(".") for module, _ in imports_of(path))
        graph[part_of(path)] |= {
            words[1] for words in modules if words[0] == "kzoo" and words[1:]
        } - {part_of(path)}
    assert len(graph) > 20
    assert circles_in(graph) == []


def test_circular_imports_are_noticed():
    assert circles_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_only_the_warn_function_of_errors_gives_warnings():
    """It names the line of the user's code."""
    calls = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        if path.name != "errors.py"
        for node in nodes_of(path)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("warnings.warn", "warnings.warn_explicit")
    ]
    assert calls == []


def test_only_imports_for_a_type_checker_are_ignored(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "if TYPE_CHECKING:\n    import keras\nelse:\n    import json\nif not TYPE_CHECKING:\n    import re\n"
    )
    assert {module for module, _ in imports_of(file)} == {"json", "re"}


def test_a_wrong_import_is_noticed_and_a_wrong_name_too():
    wrong = wrong_imports(
        PACKAGE / "zoo" / "registry" / "__init__.py", "utils"
    )  # registry's imports are not allowed to `utils`
    assert any("imports kzoo.zoo.registry.catalogue" in line for line in wrong)
    assert any("names kzoo.zoo.contract" in line for line in wrong)


# Imported by functions that return a DataFrame.
WHEN_NEEDED = {
    "kzoo/tuning/ranking.py": {"pandas"},
    "kzoo/inference/predictions.py": {"pandas"},
}


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if is_in(path, STANDARD_LIBRARY_ONLY)],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_light_modules_import_the_standard_library_only(path):
    foreign = {m.split(".")[0] for m, _ in imports_of(path)} - sys.stdlib_module_names - {"kzoo"}
    assert foreign <= WHEN_NEEDED.get(path.relative_to(PACKAGE.parent).as_posix(), set())


def test_every_light_module_exists():
    assert [name for name in STANDARD_LIBRARY_ONLY if not (PACKAGE / name).exists()] == []


# The process of an exported model may import these; late imports by name are tested in tests/runtime/.
LIGHT = sys.stdlib_module_names | {"numpy"}
DECODERS = (
    "inference/kinds/image/decode.py",
    "inference/kinds/image/jpeg.py",
)  # by Pillow, imported by name
INFERENCE = [
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in FILES
    if is_in(path, ["inference"]) and not is_in(path, DECODERS)
]


def reached_from(module):
    """Return the files that run when a module of kzoo is imported, with the packages that contain it."""
    files = set()
    waiting = [module]
    while waiting:
        words = waiting.pop().split(".")
        for depth in range(1, len(words) + 1):
            name = PACKAGE.parent.joinpath(*words[:depth])
            for path in (name / "__init__.py", name.with_suffix(".py")):
                if path not in files and path.is_file():
                    files.add(path)
                    waiting += modules_named_in(path)
    return files


@cache
def modules_named_in(path):
    """Return the modules of kzoo that a file imports, and those that may be among the names it imports."""
    froms = [node for node in nodes_of(path) if isinstance(node, ast.ImportFrom)]
    return [
        module
        for node in froms
        if node.module.startswith("kzoo")
        for module in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    ]


def heavy_imports(module):
    return {
        f"{path.relative_to(PACKAGE.parent).as_posix()} imports {name}"
        for path in reached_from(module)
        for name in {m.split(".")[0] for m, _ in imports_of(path)} - LIGHT - {"kzoo"}
        if name not in WHEN_NEEDED.get(path.relative_to(PACKAGE.parent).as_posix(), ())
    }


@pytest.mark.parametrize(
    "module",
    [
        "runtime",
        "cli.predict",
        *(name.removesuffix(".__init__") for name in INFERENCE),
        *(
            f"export.formats.{path.stem}"
            for path in sorted((PACKAGE / "export" / "formats").glob("*.py"))
            if path.stem != "__init__"
        ),
    ],
)
def test_an_exported_model_runs_on_numpy_and_the_standard_library(module):
    module = f"kzoo.{module}"
    assert len(reached_from(module)) > 3
    assert heavy_imports(module) == set()


def test_a_heavy_import_of_an_imported_module_is_noticed():
    # three imports deep
    assert "kzoo/data/tables/frame.py imports pandas" in heavy_imports("kzoo.data.reload")


NAMES_OF_KINDS = frozenset(kinds())
NAMES_OF_READERS = frozenset({READY, *(name for kind in kinds().values() for name in kind.readers)})


def compared(tree, names):
    """Return the lines that compare a value with any of these names, or choose by them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            # `"tokens" in scores` is a look-up
            member = isinstance(node.ops[0], ast.In | ast.NotIn)
            sides = node.comparators if member else [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Dict) and len(node.keys) > 1:
            sides = node.keys
            if len({side.value for side in sides if isinstance(side, ast.Constant)} & names) < 2:
                continue  # a single name may be a plain word
        else:
            continue
        words = [part for side in sides if side is not None for part in _parts(side)]
        if any(isinstance(word, ast.Constant) and word.value in names for word in words):
            yield node.lineno if hasattr(node, "lineno") else node.value.lineno


def _parts(side):
    return side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]


def compared_in(path):
    return [
        f"{path.relative_to(PACKAGE)}:{line}"
        for line in compared(
            ast.parse(path.read_text(encoding="utf-8")), NAMES_OF_KINDS | NAMES_OF_READERS
        )
    ]


# Builders have `inputs` as a setting.
OUTSIDE = [
    path
    for path in FILES
    if not is_in(
        path, ("problems", "inference/kinds", "data/inputs", "data/targets", "zoo/families")
    )
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_kinds_of_input_are_distinguished_in_their_packages_only(path):
    """Other modules use the attributes and functions of a kind."""
    assert compared_in(path) == []


def test_every_way_to_distinguish_kinds_is_noticed():
    for line in (
        'x == "rows"',
        '"tokens" != x',
        'x in ("image", "rows")',
        'x not in {"series"}',
        '{"rows": 1, "image": 2}[x]',
        'match x:\n    case "tokens":\n        pass',
        'match x:\n    case "a" | "series":\n        pass',
    ):
        assert len(list(compared(ast.parse(line), NAMES_OF_KINDS))) == 1, line


def classes_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name, [ast.unparse(base) for base in node.bases]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_kzoo_defines_no_layer_loss_or_metric(path):
    """A saved model must open where kzoo is not installed."""
    for name, bases in classes_of(path):
        bases = [base for base in bases if base != "keras_tuner.HyperModel"]  # it is never saved
        # they train the layers of another model, which is saved
        if name in ("Members", "_KnownLabels"):
            continue
        assert not any(
            base.endswith(("Layer", "Loss", "Metric", "Model", "LearningRateSchedule"))
            for base in bases
        ), name


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "zoo" / "families").glob("*.py")), ids=lambda p: p.name
)
def test_builders_have_keyword_arguments_only_and_no_catch_all(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            assert not node.args.args
            assert node.args.kwarg is None
            assert node.args.vararg is None


def test_the_table_of_packages_is_that_of_their_docstrings():
    spec = spec_from_file_location("packages", PACKAGE.parent / ".ci" / "packages.py")
    packages = module_from_spec(spec)
    spec.loader.exec_module(packages)
    page = packages.README.read_text(encoding="utf-8")
    assert packages.updated(page) == page, "run python .ci/packages.py"


def test_no_two_test_modules_have_the_same_name():
    """pytest imports test modules by their file name alone, so that the second one cannot be collected."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_test_imports_a_conftest():
    """Several folders have one: which of them `conftest` means depends on what was collected before."""
    importing = [
        path.name
        for path in Path(__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == "conftest")
        or (isinstance(node, ast.Import) and "conftest" in {alias.name for alias in node.names})
    ]
    assert not importing


def test_every_public_name_exists():
    for name in kzoo._PUBLIC:
        assert getattr(kzoo, name) is not None


# Methods of scikit-learn's estimators; those of KerasTuner's oracles are called in one file only.
OF_LIBRARIES = {"_get_param_names"}


def private_calls_without_a_method(sources):
    """Return private methods that are called on `self` or `cls`, and that no source defines or sets.

    mypy does not see them in classes whose base it does not know, such as callbacks of Keras.
    """
    defined, called = set(OF_LIBRARIES), set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.attr if isinstance(node, ast.Attribute) else node.id)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                of_class = ast.unparse(node.func.value) in ("self", "cls")
                if of_class and name.startswith("_") and not name.startswith("__"):
                    called.add(name)
    return called - defined


def test_private_methods_that_are_called_exist():
    files = [path for path in FILES if path.name != "keras_tuner_private.py"]
    assert not private_calls_without_a_method(path.read_text(encoding="utf-8") for path in files)


def test_a_call_of_a_private_method_that_was_removed_is_noticed():
    source = (
        "class A(keras.callbacks.Callback):\n    def on_epoch_end(self):\n        self._write()\n"
    )
    assert private_calls_without_a_method([source]) == {"_write"}
    assert not private_calls_without_a_method([source, "def _write(): ..."])
