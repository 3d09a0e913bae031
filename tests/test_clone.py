"""`git clone` makes a folder with the package's name, and users have blanks and other letters in their paths.

Tests that read paths run in such a folder, too.
"""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import kzoo

ROOT = Path(kzoo.__file__).parents[1]
READ_PATHS = ("test_callers.py", "test_deprecation.py", "test_except.py")


def linked(file, copy):
    """Link a file under a second name, or copy it to another file system."""
    with suppress(OSError):
        return os.link(file, copy)
    return shutil.copy2(file, copy)


@pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="kzoo is installed, and this is no checkout"
)
def test_tests_that_read_paths_pass_in_a_clone_with_the_name_of_the_package(
    tmp_path, warm_children
):
    clone = tmp_path / "ö x" / "kzoo"
    for name in ("kzoo", "tests"):
        shutil.copytree(
            ROOT / name,
            clone / name,
            copy_function=linked,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("pyproject.toml", "setup.cfg"):
        linked(ROOT / name, clone / name)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"tests/{name}" for name in READ_PATHS),
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    done = subprocess.run(
        words,
        cwd=clone,
        env=environment | {"PYTHONPATH": str(clone)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
