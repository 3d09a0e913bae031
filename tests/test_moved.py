"""Modules by their former names: the same objects, with a deprecation."""

import subprocess
import sys
from pathlib import Path

import pytest

import kzoo
from kzoo.utils.deprecation import KzooDeprecationWarning

FORMER = Path(__file__).with_name("former_modules.txt").read_text(encoding="utf-8").splitlines()
# The last state in which they had these names wrote them down: former name, new name.
CHILD = """
import sys, warnings
from importlib import import_module
import kzoo

warnings.simplefilter("ignore")
for line in sys.stdin.read().splitlines():
    former, new = line.split()
    module, same = import_module(former), import_module(new)
    is_package = hasattr(module, "__path__")
    assert is_package or module is same, former
    assert same.__spec__.name == same.__name__ == new, (new, same.__spec__)
    for name in vars(same) if is_package else ():
        if not name.startswith("__"):
            assert getattr(module, name) is getattr(same, name), (former, name)
print("all")
"""


def test_every_module_is_imported_by_its_former_name():
    assert len(FORMER) > 200
    folders = [path.parent for path in Path(kzoo.__file__).parent.rglob("__pycache__")]
    left = [str(folder) for folder in folders if not any(folder.glob("*.py"))]
    assert left == [], "folders of a former state: git clean -fdX kzoo"
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join(FORMER),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr[-2000:]


def test_a_former_name_warns_with_the_new_one():
    sys.modules.pop("kzoo.dataset.options", None)
    with pytest.warns(
        KzooDeprecationWarning, match="kzoo.dataset.options .* kzoo.data.options"
    ) as caught:
        from kzoo.dataset.options import DataOptions
    assert caught[0].filename == __file__
    assert DataOptions is kzoo.data.options.DataOptions


def test_a_name_that_never_was_is_not_found():
    for name in ("kzoo.nothing", "kzoo.sources.nothing", "kzoo.tasks.nothing"):
        with pytest.raises(ModuleNotFoundError, match=name):
            __import__(name)


def test_the_function_that_encodes_stays_the_attribute_of_its_package():
    from kzoo.data.encode import encode

    assert kzoo.data.encode is encode
