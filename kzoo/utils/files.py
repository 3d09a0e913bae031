"""Files that are written whole or not at all. Standard library only."""

import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from kzoo.utils.address import HubPath, refuse_path_of_address, refuse_remote_output
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown
from kzoo.utils.table_path import Source, TablePath, locate

if TYPE_CHECKING:
    import numpy as np

Json: TypeAlias = Any  # a value of a JSON document
JsonObject = dict[str, Any]  # an object of a JSON document

# bytes of an array, above which compression by more than 200 is refused
_SMALL = 64 << 20
_MOST_PACKED = 200


def expand_user(word: Source) -> Source:
    """Return a path given as text with a leading `~` expanded; anything else unchanged.

    Shells do not expand `~` in `--out=~/runs`, and Python never does. A `Path` is unchanged, because `Path("./~")`, a
    folder called `~`, equals `Path("~")`.
    """
    is_home_path = isinstance(word, str) and (word == "~" or word.startswith(("~/", f"~{os.sep}")))
    return os.path.expanduser(word) if is_home_path else word


def expand_home(paths: Source) -> Source:
    """Return a text, or a list of texts, with `~` expanded if that path exists; anything else unchanged."""
    if type(paths) in (list, tuple):
        return type(paths)(expand_home(path) if isinstance(path, str) else path for path in paths)
    path = expand_user(paths)
    return path if path is not paths and os.path.exists(path) else paths


def path_of(word: object, what: str) -> Path:
    """Return a user's argument as a path that the system accepts.

    Args:
        word: a text or a path.
        what: noun of the expected object, with its article: "a run".

    Raises:
        KzooError: not a text or path, a path that the system refuses (a NUL, too long), or one that is neither a file
            nor a folder.
    """
    if not isinstance(word, str | os.PathLike):
        raise KzooError(f"{shown(word)} is not {what} or the path of one.")
    path = locate(word)
    path = path if isinstance(path, TablePath | HubPath) else Path(expand_user(word))
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        if not isinstance(error, PermissionError | NotADirectoryError):
            reason = getattr(error, "strerror", None) or error
            raise KzooError(
                f"{shown(str(word))} is not the path of {what}: {str(reason).lower()}."
            ) from None
    else:
        check_regular(path)
    return path


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise `KzooError` for a pipe, a device or a socket, which may never end; a missing path is accepted."""
    try:
        mode = os.stat(path).st_mode
    except KzooError:  # of a part of a table at an address
        raise
    except (OSError, ValueError):
        return  # opening it raises the error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        kind = (
            "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        )
        raise KzooError(
            f"{str(path)!r} is {kind}, not a file or a folder. Write its content to a file first."
        )


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a file for reading and return its descriptor, as `os.open` does.

    Raises:
        OSError: it cannot be opened.
        KzooError: it is a pipe, a device or a socket.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        check_regular(path)
        raise KzooError(f"{str(path)!r} is not a file.")
    return file


def check_writable(folder: Path, out: object) -> None:
    """Raise `KzooError` unless a folder can be created, or is writable."""
    refuse_remote_output("out", out)
    refuse_path_of_address(folder)
    shown = str(folder if out is None else out)
    path_of(folder, "a folder")
    try:
        os.fsencode(folder).decode("utf-8")
    except UnicodeDecodeError:  # TensorBoard's files and JSON need UTF-8
        raise KzooError(
            "is not valid UTF-8. Choose another folder.", argument="out", value=shown
        ) from None
    if folder.exists() and not folder.is_dir():
        raise KzooError("is a file. Name a folder.", argument="out", value=shown)
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        reason = "is not writable" if parent.is_dir() else "is a file"
        raise KzooError(
            f"cannot be created: {str(parent)!r} {reason}. Choose another folder.",
            argument="out",
            value=shown,
        )


def cache_folder() -> Path:
    """Return the folder for files that kzoo can recreate: `$KZOO_CACHE`, else `kzoo` in the user's cache folder."""
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(
        expand_user(os.environ.get("KZOO_CACHE")) or Path(expand_user(user_cache)) / "kzoo"
    ).absolute()


@contextmanager
def whole_file(path: str | os.PathLike[str], *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` if the block does not raise.

    Args:
        path: the file to write; an existing one is unchanged if the block raises.
        sync: wait until the bytes are on the disk before the old file is replaced.

    Raises:
        OSError: no space or no permission; an existing file is unchanged.
    """
    path = Path(path)
    try:
        handle, temporary = import_module("tempfile").mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
    except OSError as error:
        error.filename = str(path)  # a message names the file to write, not a hidden one
        raise
    os.close(handle)
    try:
        yield Path(temporary)
        if sync:
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if (
            isinstance(error, OSError)
            and error.errno
            and (error.filename is None or str(error.filename) == temporary)
        ):
            error.filename = str(path)  # also of a write, whose error names no file
        raise


def leftovers(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the temporary files of `whole_file` that are in a folder."""
    return [path for path in Path(folder).glob(".*-????????*") if path.is_file()]


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files that a killed process left; no other process may be writing there."""
    for path in leftovers(folder):
        path.unlink()


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's entries to the disk; without effect on Windows and on file systems that refuse it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: str | os.PathLike[str], text: str, *, sync: bool = True) -> None:
    """Write a UTF-8 text file, whole or not at all.

    Raises:
        KzooError: the text contains a lone surrogate, as in the name of a file from an old archive.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        # The text between the quotes around it, for JSON.
        name = text[: error.start].rpartition('"')[2] + text[error.start :].partition('"')[0]
        raise KzooError(
            f"{name[:80]!a} is not valid UTF-8. Rename the file, the folder or the column."
        ) from None
    with whole_file(path, sync=sync) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | os.PathLike[str], data: object, *, sync: bool = True) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(
        path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n", sync=sync
    )


def read_json(path: str | os.PathLike[str]) -> Json:
    """Read a JSON file."""
    check_regular(path)
    return json.loads(Path(path).read_text(encoding="utf-8"))


def described(file: str | os.PathLike[str]) -> JsonObject:
    """Return a file's sha256 and size, as in the manifest of an exported model."""
    with open(file, "rb") as stream:
        return {
            "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
            "bytes": os.path.getsize(file),
        }


def read_arrays(file: str | os.PathLike[str] | BinaryIO) -> "dict[str, np.ndarray]":
    """Return the arrays of an `.npz` file; none may be much larger in memory than in the archive.

    Args:
        file: its path, or a binary file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not an archive of plain arrays.
    """
    # slow to import, and rarely needed
    npy_format, zipfile = map(import_module, ("numpy.lib.format", "zipfile"))
    arrays = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.file_size > max(_SMALL, _MOST_PACKED * info.compress_size):
                    raise ValueError(
                        f"{info.compress_size:,} bytes of {info.filename} become {info.file_size:,}"
                    )
                content = io.BytesIO(archive.read(info))
                is_version_1 = npy_format.read_magic(content) == (1, 0)
                shape, _, dtype = (
                    npy_format.read_array_header_1_0
                    if is_version_1
                    else npy_format.read_array_header_2_0
                )(content)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize > info.file_size:
                    raise ValueError(f"{info.filename} is not an array of numbers or texts")
                content.seek(0)
                arrays[info.filename.removesuffix(".npy")] = npy_format.read_array(
                    content, allow_pickle=False
                )
    except OSError:
        raise
    except Exception as error:  # zipfile, its decompressors and NumPy raise many types
        raise ValueError(str(error) or type(error).__name__) from None
    return arrays


def finite(value: object) -> Json:
    """Return a value with NaN and infinities, which JSON lacks, replaced by None."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
