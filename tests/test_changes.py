"""Release notes: fragments in changes/ are joined by kind and area, and mistakes in them are refused in one line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from messages import assert_mentions

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "changes.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="kzoo is installed, no checkout")

CHANGELOG = """# Changelog

## 0.9.0 (not released yet)

About this version.

### Added

#### Data

- A file type
  of two lines.

## 0.8.0 (2026-01-31)

- Older.
"""


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "kzoo" / "utils").mkdir(parents=True)
    (tmp_path / "kzoo" / "utils" / "version.py").write_text('__version__ = "0.9.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "changes").mkdir()
    shutil.copy(ROOT / "changes" / "README.md", tmp_path / "changes")
    return tmp_path


def script(root, *words):
    words = [sys.executable, SCRIPT, "--root", root, *words]
    return subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60)


def add(root, name, text):
    (root / "changes" / name).write_text(text, encoding="utf-8")


def test_the_fragments_and_the_changelog_of_this_checkout_have_no_mistake():
    done = script(ROOT, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_fragments_are_sorted_by_kind_and_area(checkout):
    add(checkout, "serve-limits.fixed.md", "A body\nof two lines.\n")
    add(checkout, "tidy.added.md", "- First.\n- Second.\n")
    add(checkout, "data-zip.added.md", "Zip files.\n\nAnd more.\n")
    add(checkout, "data-again.added.md", "Zip files.\n")
    notes = script(checkout).stdout
    assert notes == (
        "About this version.\n\n### Added\n\n#### Data\n\n- A file type\n  of two lines.\n- Zip files.\n- And more.\n\n"
        "#### Other\n\n- First.\n- Second.\n\n### Fixed\n\n#### Server\n\n- A body\n  of two lines.\n"
    )
    assert script(checkout, "--write", "2026-02-28").returncode == 0
    changelog = (checkout / "CHANGELOG.md").read_text()
    assert f"\n## 0.9.0 (2026-02-28)\n\n{notes}\n## 0.8.0 (2026-01-31)\n\n- Older.\n" in changelog
    assert [path.name for path in (checkout / "changes").iterdir()] == ["README.md"]
    assert script(checkout).stdout == notes
    add(checkout, "late.added.md", "After the release.\n")
    refused(script(checkout, "--check"), "0.9.0", "2026-02-28", "kzoo/utils/version.py")


def refused(done, *words):
    (line,) = done.stderr.splitlines()
    assert_mentions(line, *words)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("no_kind.md", "Text.", ("no_kind.md", "NAME.KIND.md", "added")),
        ("data-zip.new.md", "Text.", ("data-zip.new.md", "added", "security")),
        ("Data.added.md", "Text.", ("Data.added.md", "lower-case")),
        ("data-zip.added.txt", "Text.", ("data-zip.added.txt",)),
        ("data-zip.added.md", " \n- \n", ("data-zip.added.md", "empty")),
        ("data-zip.added.md", "# Title\n", ("data-zip.added.md", "heading")),
    ],
)
def test_a_malformed_or_empty_fragment_is_refused(checkout, name, text, words):
    add(checkout, name, text)
    before = (checkout / "CHANGELOG.md").read_text()
    for options in ((), ("--check",), ("--write", "2026-02-28")):
        refused(script(checkout, *options), *words)
    assert (checkout / "CHANGELOG.md").read_text() == before


def test_lines_that_are_not_released_and_versions_without_notes_are_refused(checkout):
    path = checkout / "CHANGELOG.md"
    path.write_text(CHANGELOG.replace("## 0.9.0", "## Unreleased\n\n- A line.\n\n## 0.9.0"))
    refused(script(checkout, "--check"), "CHANGELOG.md:3", "Unreleased", "changes/NAME.KIND.md")
    path.write_text(re.sub("## 0.9.0.*(?=## 0.8.0)", "", CHANGELOG, flags=re.S))
    refused(script(checkout), "0.9.0", "CHANGELOG.md")
    path.write_text(CHANGELOG.replace("#### Data", "#### Date"))
    refused(script(checkout), "Date")
