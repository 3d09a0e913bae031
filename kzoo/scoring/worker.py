"""A process that scores partitions: `main` replies to the requests of its parent, and ends with it.

The functions for the workers of a Dask cluster are here too. Imports no Keras, TensorFlow or pandas.
"""

import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from kzoo.cloud.storage import StoredObject
from kzoo.runtime.model import Model, load
from kzoo.scoring.partition import Outcome, ScoringJob, score
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.version import __version__


def main() -> None:
    """Score the partitions that the parent sends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of libraries must not get between the replies

    def send(*message: object) -> None:
        pickle.dump(message, replies)
        replies.flush()

    requests = sys.stdin.buffer
    try:
        job, model = pickle.load(requests)
        prepare_process()
        while True:
            partition = pickle.load(requests)
            try:
                outcome = score(model, job, partition, lambda rows: send("rows", rows))
            except Exception as error:
                outcome = _failed(partition, error)
            send("done", outcome)
    except (EOFError, OSError):
        return  # the parent is gone
    except KzooError as error:  # the export was changed
        send("refused", str(error))


def prepare_process() -> None:
    """Make Arrow use one thread, and no pandas: it asks once whether pandas can be imported, which takes a while."""
    pa = import_module("pyarrow")
    without_pandas = _WithoutPandas()
    sys.meta_path.insert(0, without_pandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(without_pandas)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


class _WithoutPandas:
    """A finder of modules for which pandas is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ImportError(name)


def _failed(partition: StoredObject, error: Exception) -> Outcome:
    return Outcome(name=partition.name, error=f"{type(error).__name__}: {first_line(error)}")


# On the workers of a cluster


_models: dict[str, Model] = {}  # checksum and format -> the opened model; at most one
_lock = threading.Lock()


def version_and_packages() -> tuple[str, list[str]]:
    """Return the version of kzoo, and the packages that are missing for scoring."""
    util = import_module("importlib.util")
    needed = ("pyarrow", "onnxruntime", "numpy")
    return __version__, [name for name in needed if util.find_spec(name) is None]


def score_remotely(
    key: str,
    files: Mapping[str, bytes] | None,
    format: str,
    job: ScoringJob,
    partition: StoredObject,
) -> Outcome | None:
    """Score a partition with one thread; None if this process does not have the model, and no files are passed.

    Args:
        key: of model and format.
        files: relative path -> content of the export; None if this process has received it before.
        format: of the model.
        job: what to write.
        partition: its name, size and version.
    """
    if job.version != __version__:
        return Outcome(
            name=partition.name,
            error=f"a worker has kzoo {__version__}, but the command has kzoo {job.version}",
        )
    with _lock:
        if key not in _models:
            if files is None:
                return None
            _models.clear()
            _models[key] = _opened(files, format)
    try:
        return score(_models[key], job, partition)
    except Exception as error:
        return _failed(partition, error)


def _opened(files: Mapping[str, bytes], format: str) -> Model:
    with tempfile.TemporaryDirectory(prefix="kzoo-") as folder:
        for name, content in files.items():
            path = Path(folder, "model", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return load(Path(folder, "model"), format, threads=1)
