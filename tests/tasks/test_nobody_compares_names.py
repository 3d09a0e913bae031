"""Outside the packages of tasks no code distinguishes tasks by name: neither by a comparison, nor by a table, nor by an
attribute of a single task (names of classes, a score)."""

import ast
from pathlib import Path

import pytest

import kzoo
from kzoo.problems.tasks import problems, tasks

PACKAGE = Path(kzoo.__file__).parent
# What a task consists of; and presets, which name their task and compare nothing.
OF_TASKS = (
    "data/targets/detection.py",
    "data/targets/quantiles.py",
    "inference/tasks/",
    "problems/costs.py",
    "problems/objectives.py",
    "problems/tasks/",
    "training/scores/",
    "zoo/losses/",
    "zoo/presets/",
)
FILES = [
    p
    for p in sorted(PACKAGE.rglob("*.py"))
    if not p.relative_to(PACKAGE).as_posix().startswith(OF_TASKS)
]
NAMES = set(problems())
# Keras reports it of any network
SCORES = {name for task in tasks().values() for name in task.scores} - {"loss"}
PARTS = {"classification", "regression", "tabular", "modeling"}


def strings(node):
    """Return the string constants of an expression, those of a tuple, list, set or dict's keys among them."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return set().union(*map(strings, node.elts))
    return set()


def compares_a_part(call):
    """Return whether a call is `x.startswith("tabular")` or similar."""
    arguments = set().union(*map(strings, call.args))
    compares = getattr(call.func, "attr", "") in ("startswith", "endswith")
    return compares and any(part in text for text in arguments for part in PARTS)


def offences(tree):
    """Yield (line, mistake) of a file's syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = set().union(*(strings(side) for side in (node.left, *node.comparators)))
            if names := sides & NAMES:
                yield node.lineno, f"compares with {min(names)!r}"
            membership = any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)
            if membership and (names := strings(node.left) & SCORES):
                yield node.lineno, f"looks for the score {min(names)!r}"
        elif isinstance(node, ast.Dict | ast.MatchValue):
            keys = (
                [node.value]
                if isinstance(node, ast.MatchValue)
                else [key for key in node.keys if key is not None]
            )
            if names := set().union(*map(strings, keys)) & NAMES:
                yield keys[0].lineno, f"has a table or a case with {min(names)!r}"
        elif isinstance(node, ast.Call) and compares_a_part(node):
            yield node.lineno, "compares a part of a name"
        tests = [node.test] if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert) else []
        tests += node.values if isinstance(node, ast.BoolOp) else []
        tests += (
            [node.operand] if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else []
        )
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "bool"
        ):
            tests += node.args
        for test in tests:
            named = isinstance(test, ast.Name | ast.Attribute | ast.Subscript)
            if named and ast.unparse(test).endswith(("class_names", "class_names']")):
                yield test.lineno, "tests names of classes for truth"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_other_files_do_not_compare_names_of_tasks(path):
    assert list(offences(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "if data.task == 'forecasting': pass",
        "x = task in ('language_modeling', 'other')",
        "TABLE = {'tabular_regression': 'r2'}",
        "x = task.endswith('classification')",
        "x = preset.task.startswith('tabular')",
        "x = 'bits_per_token' in scores",
        "if run.class_names: pass",
        "x = 1 if data['class_names'] else 2",
        "x = not described.class_names",
        "x = bool(config['data']['class_names'])",
        "x = data.class_names or task",
        "match task:\n    case 'forecasting': pass",
    ],
)
def test_each_comparison_of_names_is_detected(code):
    assert len(list(offences(ast.parse(code)))) == 1


def test_facts_and_names_are_allowed():
    assert not list(
        offences(ast.parse("if 'classes' in data.problem.facts: names = run.class_names[0]"))
    )
    assert not list(
        offences(
            ast.parse("load(task='forecasting', loss='mse')\nx = len(data.class_names) or None")
        )
    )
