"""Compiled programs of JAX, kept in the user's cache folder: they take most of the time of a small training there.

JAX itself keeps and finds them. Its bound for their size is not used: it needs the package filelock, and stumbles over
what a killed process has left. Standard library only, until there is something to set.
"""

import hashlib
import os
import platform
import warnings
from contextlib import suppress
from importlib import import_module

from kzoo.utils.files import cache_folder

_MOST = 1 << 30  # bytes that are kept from one process to the next, those that were used last


def keep_programs() -> None:
    """Let JAX keep what it compiles, where Keras runs on it, the user has not said how, and the folder can be written.

    The folder is `$KZOO_CACHE/jax`, by default `~/.cache/kzoo/jax`. `JAX_COMPILATION_CACHE_DIR` names another one, and
    `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing.
    """
    if import_module("keras").backend.backend() != "jax":
        return
    config = import_module("jax").config
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return
    folder = cache_folder() / "jax" / _machine()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # who can write there can have us run it
        _bound(folder.parent)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        # A program that cannot be read or written is compiled as if there were no folder.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        config.update("jax_persistent_cache_min_compile_time_secs", 0)  # Keras' small ones are many
        config.update("jax_compilation_cache_dir", str(folder))


def _machine():
    """Return a name for processors of one kind: what is compiled for one may be an illegal instruction on another."""
    said = platform.processor() or platform.machine()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        said = next((line for line in file if line.startswith(("flags", "Features"))), said)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _bound(folder):
    """Delete the files that were not used for longest, where all together are too large."""
    files = []
    for file in folder.rglob("*"):
        with suppress(OSError):  # another process was faster
            stat = file.stat()
            if not file.is_dir():
                files.append((max(stat.st_atime, stat.st_mtime), stat.st_size, file))
    total = sum(size for _, size, _ in files)
    for _, size, file in sorted(files):
        if total <= _MOST:
            break
        with suppress(OSError):
            file.unlink()
        total -= size
