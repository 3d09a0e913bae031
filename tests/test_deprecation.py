"""What is deprecated says what to use and when it goes, and is gone by then."""

import ast
import re
import warnings
from pathlib import Path

import pytest

import kzoo
from kzoo.utils.deprecation import KzooDeprecationWarning, deprecated

PACKAGE = Path(kzoo.__file__).parent


def old_name(x):
    deprecated("old_name()", use="new_name()", goes="99.0")
    return x + 1


def test_it_works_and_its_caller_is_told_what_to_use_and_when_it_goes():
    with pytest.warns(KzooDeprecationWarning) as caught:
        assert old_name(1) == 2
    assert [str(one.message) for one in caught] == ["old_name() goes in kzoo 99.0: use new_name()."]
    assert caught[0].filename == __file__


def test_users_see_it_without_asking():
    """Python hides DeprecationWarning from whoever is not a test."""
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
    """Return what in a source should be gone in a version, or does not say when it goes."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "deprecated":
            goes = next((word.value for word in node.keywords if word.arg == "goes"), None)
            said = goes.value if isinstance(goes, ast.Constant) and isinstance(goes.value, str) else ""
            if not re.fullmatch(r"\d+\.\d+", said):
                found.append(f"line {node.lineno} does not say in which version it goes, as goes='0.4'")
            elif numbers(version) >= numbers(said):
                found.append(f"line {node.lineno} should be gone since {said}")
    return found


def test_nothing_stays_longer_than_was_said():
    late = {
        str(path.relative_to(PACKAGE)): overdue(path.read_text(), kzoo.__version__) for path in PACKAGE.rglob("*.py")
    }
    assert {path: lines for path, lines in late.items() if lines} == {}


def test_what_is_late_is_seen():
    source = 'deprecated("a", use="b", goes="0.4")\nerrors.deprecated("a", use="b", goes=when)\n'
    assert overdue(source, "0.3.9") == ["line 2 does not say in which version it goes, as goes='0.4'"]
    for version in ("0.4.0", "0.4.0.dev1", "0.10.0", "1.0"):
        assert overdue(source, version)[0] == "line 1 should be gone since 0.4"
