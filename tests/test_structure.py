"""The shape of the house: imports point one way, light modules stay light, layers are Keras' own."""

import ast
import sys
from pathlib import Path

import pytest

import kzoo

PACKAGE = Path(kzoo.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom, by first name below kzoo. What is everybody's: see `EVERYBODYS`.
MAY_IMPORT = {
    "arguments": set(),
    "errors": set(),
    "family": set(),
    "files": set(),
    "listing": set(),
    "tasks": {"data", "predictions"},
    "preset": {"arguments", "family"},
    "plugins": {"preset"},
    "catalogue": {"family", "plugins", "preset", "preset_files"},
    "preset_files": {"arguments", "family", "preset"},
    "optional": set(),
    "words": set(),
    "registry": {"arguments", "catalogue", "family", "preset"},
    "presets": {"registry"},
    "results": set(),
    "ranking": {"results", "run", "tuning"},
    "run": {"registry"},
    "exported": set(),
    "nouns": set(),
    "contract": set(),
    "families": set(),
    "flops": set(),
    "gradients": set(),
    "callbacks": set(),
    "loading": {"arguments", "exported", "preset", "registry", "run"},
    "plots": {"gradients"},
    "data": {"arguments", "registry"},
    "predictions": set(),
    "runtime": {"data", "export", "exported", "predictions"},
    "checks": {"data", "gradients", "plots"},
    "export": {"data", "exported", "loading", "registry", "run"},
    "evaluation": {"checks", "data", "predictions", "ranking", "registry", "results", "run", "training"},
    "training": {
        "arguments", "callbacks", "checks", "contract", "data", "loading", "plots", "predictions", "registry", "run",
    },
    "source": {"contract"},
    "tuning": {
        "arguments", "callbacks", "catalogue", "contract", "data", "optional", "plots", "preset_files", "registry",
        "training",
    },
    "reports": {"data", "evaluation", "plots", "registry", "run", "tuning"},
    "__main__": {"cli"},
    "recipes": {"cli", "run", "training"},
    "cli": {
        "arguments", "data", "evaluation", "export", "exported", "flops", "plots", "ranking", "registry", "reports",
        "results",
        "run", "runtime", "source", "training", "tuning",
    },
}  # fmt: skip
EVERYBODYS = {"__version__", "errors", "files", "listing", "nouns", "optional", "tasks", "words"}
STANDARD_LIBRARY_ONLY = (
    "arguments", "catalogue", "errors", "exported", "family", "files", "nouns", "optional", "plugins", "preset",
    "preset_files", "presets", "ranking", "registry", "results", "run", "words",
)  # fmt: skip


def nodes_of(path):
    """Return all nodes of a file but those below `if TYPE_CHECKING:`, which are never run."""
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        yield node
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        waiting += node.orelse if typing else ast.iter_child_nodes(node)


def imports_of(path):
    """Return (module, line) for each import anywhere in a file, but for those that only a type checker reads."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "kzoo":
                yield from ((f"kzoo.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def part_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def wrong_imports(path, part):
    allowed = MAY_IMPORT[part] | EVERYBODYS | {part}
    return [
        f"{path.relative_to(PACKAGE)}:{line} imports {module}"
        for module, line in imports_of(path)
        if module.split(".")[0] == "kzoo" and [*module.split("."), ""][1] not in allowed
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        assert [m for m, _ in imports_of(path) if m.startswith("kzoo")] == []
        return
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what kzoo/{part} may import"
    assert wrong_imports(path, part) == []


def test_imports_for_a_type_checker_do_not_count_and_others_do(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "if TYPE_CHECKING:\n    import keras\nelse:\n    import json\nif not TYPE_CHECKING:\n    import re\n"
    )
    assert {module for module, _ in imports_of(file)} == {"json", "re"}


def test_the_direction_guard_sees_a_wrong_import(tmp_path):
    bad = PACKAGE / "registry.py"
    assert wrong_imports(bad, "errors") != []  # registry's imports are not allowed to `errors`


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) in STANDARD_LIBRARY_ONLY], ids=lambda p: p.name)
def test_light_modules_import_the_standard_library_only(path):
    foreign = {m.split(".")[0] for m, _ in imports_of(path)} - sys.stdlib_module_names - {"kzoo"}
    assert foreign == set()


# What an exported model's process may import; what is imported by name when needed is in tests/runtime/.
LIGHT = sys.stdlib_module_names | {"numpy"}
WHEN_ASKED = {"kzoo/predictions.py": {"pandas"}}  # for the DataFrame that a caller wants


def reached_from(module):
    """Return the files that importing a module of kzoo runs, the packages that it lies in among them."""
    found, waiting = set(), [module]
    while waiting:
        words = waiting.pop().split(".")
        for depth in range(1, len(words) + 1):
            place = PACKAGE.parent.joinpath(*words[:depth])
            for path in (place / "__init__.py", place.with_suffix(".py")):
                if path.is_file() and path not in found:
                    found.add(path)
                    for node in nodes_of(path):
                        if isinstance(node, ast.ImportFrom) and node.module.startswith("kzoo"):
                            waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def heavy_imports(module):
    return {
        f"{path.relative_to(PACKAGE.parent).as_posix()} imports {name}"
        for path in reached_from(module)
        for name in {m.split(".")[0] for m, _ in imports_of(path)} - LIGHT - {"kzoo"}
        if name not in WHEN_ASKED.get(path.relative_to(PACKAGE.parent).as_posix(), ())
    }


@pytest.mark.parametrize("module", ["runtime", "cli.predict", *(
    f"{folder}.{path.stem}" for folder, names in (("data", "encode*.py"), ("export/formats", "*.py"))
    for path in sorted((PACKAGE / folder).glob(names)) if path.stem != "__init__"
)])  # fmt: skip
def test_an_exported_model_runs_on_numpy_and_the_standard_library(module):
    module = f"kzoo.{module.replace('/', '.')}"
    assert len(reached_from(module)) > 3
    assert heavy_imports(module) == set()


def test_the_guard_of_the_runtime_sees_what_is_far_away():
    assert "kzoo/data/table.py imports pandas" in heavy_imports("kzoo.data.reload")  # four imports deep


def classes_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name, [ast.unparse(base) for base in node.bases]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_layer_loss_or_metric_of_our_own(path):
    """A saved model must open where kzoo is not installed."""
    for name, bases in classes_of(path):
        bases = [base for base in bases if base != "keras_tuner.HyperModel"]  # no model, and saved in none
        assert not any(base.endswith(("Layer", "Loss", "Metric", "Model", "LearningRateSchedule")) for base in bases), (
            name
        )


@pytest.mark.parametrize("path", sorted((PACKAGE / "families").glob("*.py")), ids=lambda p: p.name)
def test_builders_have_keyword_arguments_only_and_no_catch_all(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            assert not node.args.args
            assert node.args.kwarg is None
            assert node.args.vararg is None


def test_every_public_name_can_be_had():
    for name in kzoo._PUBLIC:
        assert getattr(kzoo, name) is not None
