"""The library of trained runs: an entry is made once, whole, and a test that alters one does not stay unnoticed."""

import os
import shutil
import stat
from multiprocessing.pool import ThreadPool

import library
import pytest


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An empty library with the entries `plain`, and `broken`, which fails at first; return what was made."""
    made = []

    def plain(path):
        (path / "sub").mkdir()
        (path / "sub" / "file").write_text("whole")
        made.append("plain")

    def broken(path):
        (path / "half").touch()
        made.append("broken")
        if made.count("broken") == 1:
            raise ZeroDivisionError

    monkeypatch.setattr(library, "HOME", tmp_path / "library")
    monkeypatch.setattr(library, "builds", dict(plain=plain, broken=broken))
    monkeypatch.setattr(library, "_opened", {})
    library.shelf.cache_clear()
    yield made
    library.shelf.cache_clear()


def in_another_process(monkeypatch):
    monkeypatch.setattr(library, "_opened", {})


def test_an_entry_is_made_once_and_is_read_only(made, monkeypatch):
    path = library.folder("plain")
    in_another_process(monkeypatch)
    assert library.folder("plain") == path and made == ["plain"]
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    assert not any(file.stat().st_mode & writable for file in (path, *path.rglob("*")))
    if os.name != "nt" and os.geteuid():
        with pytest.raises(PermissionError):
            (path / "new").touch()
        with pytest.raises(PermissionError):
            (path / "sub" / "file").write_text("other")


ALTERATIONS = {
    "a new file": lambda path: (path / "report.html").touch(),
    "a file in a folder": lambda path: (path / "sub" / "new").touch(),
    "a removed file": lambda path: (path / "sub" / "file").unlink(),
    "a removed entry": shutil.rmtree,
    "other bytes of the same length": lambda path: (path / "sub" / "file").write_text("WHOLE"),
    "another mode": lambda path: (path / "sub" / "file").chmod(0o755),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_entry_is_named_and_made_again(name, made, monkeypatch):
    path = library.folder("plain")
    assert library.changed() == []
    library._set_writable(path, True)
    ALTERATIONS[name](path)
    assert library.changed() == ["plain"]
    assert library.changed() == []  # a later file of tests is not blamed
    assert (library.folder("plain") / "sub" / "file").read_text() == "whole"
    assert made == ["plain", "plain"] and sorted(path.rglob("*")) == [
        path / "sub",
        path / "sub" / "file",
    ]


def test_an_entry_altered_between_two_sessions_is_made_again(made, monkeypatch):
    path = library.folder("plain")
    in_another_process(monkeypatch)
    library._set_writable(path, True)
    (path / "new").touch()
    assert sorted(file.name for file in library.folder("plain").iterdir()) == ["sub"]
    assert made == ["plain", "plain"]


def test_half_an_entry_is_not_used(made):
    with pytest.raises(ZeroDivisionError):
        library.folder("broken")
    assert not library.is_whole(library.shelf() / "broken")
    assert library.is_whole(library.folder("broken")) and made == ["broken", "broken"]


def test_others_wait_for_who_makes_an_entry(made, monkeypatch):
    class Nothing(dict):
        """What a process has opened before it opened anything."""

        def __contains__(self, path):
            return False

    monkeypatch.setattr(library, "_opened", Nothing())
    paths = ThreadPool(4).map(library.folder, ["plain"] * 4)
    assert len(set(paths)) == 1 and made == ["plain"]


def test_a_copy_can_be_written(made, tmp_path):
    copy = library.copied(library.folder("plain"), tmp_path / "copy")
    (copy / "sub" / "file").write_text("other")
    (copy / "new").touch()
    assert library.changed() == []


def test_versions_that_nobody_used_for_days_are_removed(made, monkeypatch):
    old = library.folder("plain").parent
    days_ago = old.stat().st_mtime - (library.DAYS + 1) * 86400
    monkeypatch.setattr(library, "key", lambda: "later")
    library.shelf.cache_clear()
    library.shelf()
    assert old.is_dir()
    os.utime(old, (days_ago, days_ago))
    library.shelf.cache_clear()
    assert library.shelf().is_dir() and not old.exists()


def test_a_change_of_the_package_or_its_tests_helpers_makes_another_library(
    made, monkeypatch, tmp_path
):
    for name in ("kzoo", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("a = 1")
    monkeypatch.setattr(library, "ROOT", tmp_path)
    keys = [library.key()]
    for name in ("kzoo", "tests"):
        (tmp_path / name / "a.py").write_text("a = 2")
        keys.append(library.key())
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keys.append(library.key())
    (tmp_path / "tests" / "test_b.py").touch()
    assert len({*keys}) == len(keys) and library.key() == keys[-1]
