"""A deprecated name warns of its replacement and of the version that removes it, and is removed by then."""

import ast
import re
import warnings
from pathlib import Path

from messages import warns

import kzoo
from kzoo.utils.deprecation import KzooDeprecationWarning, deprecated

PACKAGE = Path(kzoo.__file__).parent


def old_name(x):
    deprecated("old_name()", use="new_name()", goes="99.0")
    return x + 1


def test_a_deprecated_function_works_and_names_its_replacement_and_the_version():
    with warns("old_name()", "99.0", "new_name()", category=KzooDeprecationWarning) as caught:
        assert old_name(1) == 2
    assert len(caught) == 1 and caught[0].filename == __file__


def test_users_see_the_warning_by_default():
    """Python shows a DeprecationWarning to tests only."""
    assert issubclass(KzooDeprecationWarning, FutureWarning) and not issubclass(
        KzooDeprecationWarning, DeprecationWarning
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("default")
        old_name(1)
    assert len(caught) == 1


def numbers(version):
    return tuple(map(int, re.findall(r"\d+", re.match(r"[\d.]+", version)[0])))


def overdue(source, version):
    """Return the calls in a source that should be removed by a version, or that name no version."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "deprecated":
            goes = next((word.value for word in node.keywords if word.arg == "goes"), None)
            last = (
                goes.value if isinstance(goes, ast.Constant) and isinstance(goes.value, str) else ""
            )
            if not re.fullmatch(r"\d+\.\d+", last):
                lines.append(f"line {node.lineno} names no version, as goes='0.4' does")
            elif numbers(version) >= numbers(last):
                lines.append(f"line {node.lineno} should be removed since {last}")
    return lines


def test_no_deprecated_name_stays_longer_than_announced():
    late = {
        str(path.relative_to(PACKAGE)): overdue(path.read_text(), kzoo.__version__)
        for path in PACKAGE.rglob("*.py")
    }
    assert {path: lines for path, lines in late.items() if lines} == {}


def test_overdue_names_are_reported():
    source = 'deprecated("a", use="b", goes="0.4")\nerrors.deprecated("a", use="b", goes=when)\n'
    assert overdue(source, "0.3.9") == ["line 2 names no version, as goes='0.4' does"]
    for version in ("0.4.0", "0.4.0.dev1", "0.10.0", "1.0"):
        assert overdue(source, version)[0] == "line 1 should be removed since 0.4"
