"""A persistent cache of JAX's compiled programs, since compiling takes most of the time of a small training.

JAX itself writes and reads it. JAX's limit of the size is not used: it needs the package filelock, and fails on files
that a killed process left. Standard library only, until the cache is enabled.
"""

import hashlib
import os
import platform
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from kzoo.utils.files import cache_folder

_MAX_BYTES = 1 << 30  # size of the cache; the least recently used files are deleted


def keep_programs() -> None:
    """Enable the cache if Keras runs on JAX, the user has not configured one, and the folder is writable.

    The folder is `$KZOO_CACHE/jax`, by default `~/.cache/kzoo/jax`. `JAX_COMPILATION_CACHE_DIR` sets another one, and
    `JAX_ENABLE_COMPILATION_CACHE=0` disables the cache.
    """
    if import_module("keras").backend.backend() != "jax":
        return
    config = import_module("jax").config
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return
    folder = cache_folder() / "jax" / _processor_id()
    try:
        # private: files in it are code that JAX runs
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _limit_size(folder.parent)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        # A program that cannot be read or written is compiled without the cache.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        # also cache Keras' many small programs
        config.update("jax_persistent_cache_min_compile_time_secs", 0)
        config.update("jax_compilation_cache_dir", str(folder))


def _processor_id() -> str:
    """Return a name of the type of processor: programs compiled for another may have illegal instructions."""
    features = platform.processor() or platform.machine()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        features = next((line for line in file if line.startswith(("flags", "Features"))), features)
    return hashlib.sha256(features.encode()).hexdigest()[:12]


def _limit_size(folder: Path) -> None:
    """Delete the least recently used files of the compilation cache until it is small enough."""
    files = []
    for file in folder.rglob("*"):
        with suppress(OSError):  # another process may have deleted it
            stat = file.stat()
            if not file.is_dir():
                files.append((max(stat.st_atime, stat.st_mtime), stat.st_size, file))
    total = sum(size for _, size, _ in files)
    for _, size, file in sorted(files):
        if total <= _MAX_BYTES:
            break
        with suppress(OSError):
            file.unlink()
        total -= size
