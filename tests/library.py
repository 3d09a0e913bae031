"""A library of small trained runs on disk: each is made once, for all tests, processes and sessions.

`trained.py` defines the entries. `run("iris")` opens a run, `folder("data")` returns the folder of an entry, and
`copied(folder, path)` copies one for a test that writes. An entry is made on its first use, under a lock; other
processes wait. Entries are read-only, and `changed` names those that a test has altered all the same (root may write
everywhere): `conftest.py` asks after each file of tests.

The library is in `$KZOO_TESTS_LIBRARY`, by default `~/.cache/kzoo-tests`, under a key of everything that may change
an entry. Delete it at any time.
"""

import hashlib
import json
import os
import platform
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import kzoo

ROOT = Path(__file__).parents[1]
HOME = Path(
    os.environ.get("KZOO_TESTS_LIBRARY")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kzoo-tests"
).absolute()
PACKAGES = ("keras", "tensorflow", "numpy", "pandas", "scikit-learn", "jax", "torch")
DAYS = 2  # after which a library that nobody used is removed

Build = Callable[[Path], None]
Listing = dict[str, list[int]]

builds: dict[str, Build] = {}
_opened: dict[Path, Listing] = {}  # what this process has used, and its files as they must stay


def entry(build: Build) -> Build:
    """Add an entry with the name of a function, which fills an empty folder: the one of a run, an export or of data."""
    builds[build.__name__] = build
    return build


def run(name: str) -> kzoo.Run:
    """Open the run of an entry."""
    return kzoo.Run(folder(name))


def copied(source: Path, path: Path) -> Path:
    """Copy a folder of the library to `path`, writable, and return `path`."""
    shutil.copytree(source, path, dirs_exist_ok=True)
    _set_writable(path, True)
    return path


def folder(name: str) -> Path:
    """Return the folder of an entry, after making it if nobody has."""
    import trained  # noqa: F401  its entries

    path = shelf() / name
    if path not in _opened:
        with _locked(shelf() / f".{name}"):
            if not is_whole(path):
                _remove(path)
                path.mkdir()
                builds[name](path)
                _set_writable(path, False)
                # written last: without it, the entry is made again
                _index(path).write_text(json.dumps(listing(path)))
            _opened[path] = json.loads(_index(path).read_text())
    return path


def changed() -> list[str]:
    """Return the names of entries that were altered since this process first used them, and forget these entries."""
    altered = [path for path, files in _opened.items() if listing(path) != files]
    for path in altered:
        _index(path).unlink(missing_ok=True)
        del _opened[path]
    return [path.name for path in altered]


def is_whole(path: Path) -> bool:
    """Return whether an entry is as it was made."""
    try:
        return listing(path) == json.loads(_index(path).read_text())
    except (OSError, ValueError):
        return False


def listing(path: Path) -> Listing:
    """Return the mode, the size and the time of change of each file and folder; nothing of a folder that is gone."""
    entries = {}
    for file in (path, *path.rglob("*")) if path.exists() else ():
        status = file.stat()
        entries[file.relative_to(path).as_posix()] = [
            status.st_mode,
            status.st_size,
            status.st_mtime_ns,
        ]
    return entries


@cache
def shelf() -> Path:
    """Return the folder of this version's entries, and remove those of versions that nobody used for days."""
    path = HOME / key()
    path.mkdir(parents=True, exist_ok=True)
    os.utime(path)
    for other in HOME.iterdir():
        with suppress(OSError):
            if other.stat().st_mtime < time.time() - DAYS * 86400:
                _remove(other)
    return path


def key() -> str:
    """Return a key of kzoo's files, the tests' helpers, the versions of packages and the backend."""
    digest = hashlib.sha256()
    helpers = [file for file in ROOT.glob("tests/*.py") if not file.name.startswith("test_")]
    for file in sorted([*ROOT.glob("kzoo/**/*"), *helpers]):
        if file.suffix != ".pyc" and file.is_file():
            digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            digest.update(f"{package} {metadata.version(package)}\0".encode())
    digest.update(platform.python_version().encode())
    digest.update(os.environ.get("KERAS_BACKEND", "tensorflow").encode())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process has the lock, which is a folder without files."""
    from kzoo.training.folder import locked
    from kzoo.utils.errors import KzooError

    path.mkdir(exist_ok=True)
    while True:
        held = locked(path)
        try:
            held.__enter__()
            break
        except KzooError:
            time.sleep(0.1)
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def _index(path: Path) -> Path:
    return path.parent / f".{path.name}.json"


def _set_writable(path: Path, writable: bool) -> None:
    write = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    for file in (path, *path.rglob("*")):
        mode = file.stat().st_mode
        file.chmod(mode | stat.S_IWUSR if writable else mode & ~write)


def _remove(path: Path) -> None:
    if path.is_dir():
        _set_writable(path, True)
        shutil.rmtree(path)
