"""JAX's compiled programs are kept from one process to the next, and nothing depends on whether they were.

The class of faults: what has been compiled is compiled again in each process; or the folder that saves it is full,
broken or somebody else's, and takes the training with it.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kzoo.utils import jax_cache
from kzoo.utils.files import cache_folder

ENV = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
ENV |= {"PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "jax"}


def weights(folder, name, **environment):
    """Return the weights of a run that a process of its own trains, and what it said on stderr."""
    train = [sys.executable, "-m", "kzoo", "train", "iris_fnn", "--epochs", "2", "--quiet", "--out", name]
    done = subprocess.run(train, cwd=folder, env=ENV | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return read(folder / name / "best.keras"), done.stderr


def read(file):
    import zipfile

    import h5py

    found = []
    with zipfile.ZipFile(file) as archive, h5py.File(archive.open("model.weights.h5")) as stored:
        stored.visititems(lambda _, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def programs(folder):
    return sorted(file for file in Path(folder).rglob("*") if file.is_file())


@pytest.mark.slow
def test_programs_are_kept_and_nothing_depends_on_them(tmp_path):
    pytest.importorskip("jax")
    kept = tmp_path / "kept"
    truth, _ = weights(tmp_path, "first", KZOO_CACHE=str(kept))
    compiled = programs(kept)
    assert compiled
    again, said = weights(tmp_path, "second", KZOO_CACHE=str(kept))
    assert programs(kept) == compiled and said == ""
    for number, file in enumerate(compiled):  # as a process leaves them that is killed, or a disk that is full
        file.write_bytes(file.read_bytes()[: [0, 20, -1][number % 3]])
    broken, said_of_broken = weights(tmp_path, "third", KZOO_CACHE=str(kept))
    assert said_of_broken == ""
    (tmp_path / "file").write_text("no folder")
    without, said = weights(tmp_path, "fourth", KZOO_CACHE=str(tmp_path / "file"))
    assert said == ""
    own = tmp_path / "own"
    theirs, _ = weights(tmp_path, "fifth", KZOO_CACHE=str(tmp_path / "unused"), JAX_COMPILATION_CACHE_DIR=str(own))
    assert not (tmp_path / "unused" / "jax").exists()
    for other in (again, broken, without, theirs):
        assert len(other) == len(truth) and all(map(np.array_equal, truth, other))


def test_no_more_is_kept_than_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(jax_cache, "_MOST", 250)
    for age in range(5):
        file = tmp_path / "machine" / f"{age}-cache"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - age))
    jax_cache._bound(tmp_path)
    assert [file.name for file in programs(tmp_path)] == ["0-cache", "1-cache"]


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    monkeypatch.delenv("KZOO_CACHE", raising=False)
    assert cache_folder() == tmp_path / "users" / "kzoo"
    monkeypatch.setenv("KZOO_CACHE", "here")
    assert cache_folder() == Path.cwd() / "here"
    monkeypatch.setenv("KZOO_CACHE", "~/there")
    assert cache_folder() == Path.home() / "there"
