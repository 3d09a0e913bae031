"""JAX's compiled programs are stored for later processes, and results do not depend on them.

The class of faults: programs are compiled again in each process; or their folder is full, broken or of another user,
and training fails for that.
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
    """Return the weights of a run that another process trains, and the stderr of that process."""
    train = [
        sys.executable,
        "-m",
        "kzoo",
        "train",
        "iris_fnn",
        "--epochs",
        "2",
        "--quiet",
        "--out",
        name,
    ]
    done = subprocess.run(
        train, cwd=folder, env=ENV | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return read(folder / name / "best.keras"), done.stderr


def read(file):
    import zipfile

    import h5py

    arrays = []
    with zipfile.ZipFile(file) as archive, h5py.File(archive.open("model.weights.h5")) as stored:
        stored.visititems(
            lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None
        )
    return arrays


def programs(folder):
    return sorted(file for file in Path(folder).rglob("*") if file.is_file())


@pytest.mark.slow
def test_programs_are_stored_and_results_do_not_depend_on_them(tmp_path):
    pytest.importorskip("jax")
    cache = tmp_path / "cache"
    truth, _ = weights(tmp_path, "first", KZOO_CACHE=str(cache))
    compiled = programs(cache)
    assert compiled
    again, err = weights(tmp_path, "second", KZOO_CACHE=str(cache))
    assert programs(cache) == compiled and err == ""
    # as a process leaves them that is killed, or a disk that is full
    for number, file in enumerate(compiled):
        file.write_bytes(file.read_bytes()[: [0, 20, -1][number % 3]])
    broken, err = weights(tmp_path, "third", KZOO_CACHE=str(cache))
    assert err == ""
    (tmp_path / "file").write_text("no folder")
    without, err = weights(tmp_path, "fourth", KZOO_CACHE=str(tmp_path / "file"))
    assert err == ""
    folder = tmp_path / "users"
    users, _ = weights(
        tmp_path,
        "fifth",
        KZOO_CACHE=str(tmp_path / "unused"),
        JAX_COMPILATION_CACHE_DIR=str(folder),
    )
    assert not (tmp_path / "unused" / "jax").exists()
    for other in (again, broken, without, users):
        assert len(other) == len(truth) and all(map(np.array_equal, truth, other))


def test_the_folder_is_bounded_in_size(tmp_path, monkeypatch):
    monkeypatch.setattr(jax_cache, "_MAX_BYTES", 250)
    for age in range(5):
        file = tmp_path / "machine" / f"{age}-cache"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - age))
    jax_cache._limit_size(tmp_path)
    assert [file.name for file in programs(tmp_path)] == ["0-cache", "1-cache"]


def test_the_path_of_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    monkeypatch.delenv("KZOO_CACHE", raising=False)
    assert cache_folder() == tmp_path / "users" / "kzoo"
    monkeypatch.setenv("KZOO_CACHE", "here")
    assert cache_folder() == Path.cwd() / "here"
    monkeypatch.setenv("KZOO_CACHE", "~/there")
    assert cache_folder() == Path.home() / "there"
