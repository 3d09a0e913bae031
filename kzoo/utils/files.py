"""Files that are written whole or not at all. Standard library only."""

import io
import json
import math
import os
import stat
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

_SMALL, _MOST_PACKED = 64 << 20, 200  # bytes of an array, above which it may not be packed to less than a 200th


def expand_user(word):
    """Return a text with the user's folder for a `~` that it begins with, as in a path; whatever else, as it is.

    A shell does so between two blanks only, not in `--out=~/runs`, and Python not at all. A folder called `~` is `./~`,
    which a `Path` no longer tells from `~`: it is taken as it is.
    """
    home = isinstance(word, str) and (word == "~" or word.startswith(("~/", f"~{os.sep}")))
    return os.path.expanduser(word) if home else word


def expand_home(given):
    """Return a text that names what lies in the user's folder by `~` as its path, also in a list; else as it is."""
    if type(given) in (list, tuple):
        return type(given)(expand_home(one) if isinstance(one, str) else one for one in given)
    path = expand_user(given)
    return path if path is not given and os.path.exists(path) else given


def path_of(word, what) -> Path:
    """Return what a user gave as a path, which the system can look at.

    Args:
        word: a text or a path.
        what: what it should be, with its article: "a run".

    Raises:
        KzooError: anything else, a NUL in it, a name that the system refuses, such as one too long, or one that is
            neither a file nor a folder.
    """
    if not isinstance(word, str | os.PathLike):
        raise KzooError(f"{shown(word)} is not {what}, nor the path of one.")
    path = Path(expand_user(word))
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        if not isinstance(error, PermissionError | NotADirectoryError):
            why = getattr(error, "strerror", None) or error
            raise KzooError(f"{shown(str(word))} is not the path of {what}: {str(why).lower()}.") from None
    else:
        check_regular(path)
    return path


def check_regular(path):
    """Refuse a pipe, a device or a socket, which may give nothing, or bytes without end; not what is not there.

    Raises:
        KzooError: it is one.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # whoever opens it says why
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        what = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise KzooError(f"{str(path)!r} is {what}, not a file or a folder: write its content to a file first.")


def open_regular(path) -> int:
    """Open a file to read and return its descriptor, as `os.open` does.

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


def check_writable(folder, out):
    """Raise `KzooError` unless a folder can be made, or written in."""
    shown = str(folder if out is None else out)
    path_of(folder, "a folder")
    try:
        os.fsencode(folder).decode("utf-8")
    except UnicodeDecodeError:  # TensorBoard's files, and JSON, would not take it
        raise KzooError(f"out={shown!r} is not a name in UTF-8. Choose another folder.") from None
    if folder.exists() and not folder.is_dir():
        raise KzooError(f"out={shown!r} is a file. Name a folder.")
    above = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "may not be written" if above.is_dir() else "is a file"
        raise KzooError(f"out={shown!r} cannot be made: {str(above)!r} {why}. Choose another folder.")


def cache_folder() -> Path:
    """Return the folder for what kzoo can make again: `$KZOO_CACHE`, else kzoo's in the user's cache folder."""
    users = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(expand_user(os.environ.get("KZOO_CACHE")) or Path(expand_user(users)) / "kzoo").absolute()


@contextmanager
def whole_file(path, *, sync=True):
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    Args:
        path: the file to write; an earlier one stays as it was if the block raises.
        sync: wait until the bytes are on the disk before the old file is replaced.

    Raises:
        OSError: no space, no permission; the earlier file is untouched.
    """
    path = Path(path)
    handle, temporary = import_module("tempfile").mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
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
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def leftovers(folder) -> list[Path]:
    """Return the temporary files of `whole_file` that are in a folder."""
    return [path for path in Path(folder).glob(".*-????????*") if path.is_file()]


def remove_leftovers(folder):
    """Remove the temporary files that a killed process left; nobody else may be writing there."""
    for path in leftovers(folder):
        path.unlink()


def sync_folder(folder):
    """Make the new name last through a power cut; Windows has no such call, and some file systems refuse it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path, text, *, sync=True):
    """Write a UTF-8 text file, whole or not at all.

    Raises:
        KzooError: half of a character, as in the name of a file that an old archive held.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        name = text[: error.start].rpartition('"')[2] + text[error.start :].partition('"')[0]
        raise KzooError(f"{name[:80]!a} is not a name in UTF-8: rename the file, the folder or the column.") from None
    with whole_file(path, sync=sync) as temporary:
        temporary.write_bytes(content)


def write_json(path, data, *, sync=True):
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n", sync=sync)


def read_json(path):
    """Read a JSON file."""
    check_regular(path)
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_arrays(file) -> dict:
    """Read the arrays of an `.npz` file, each of which takes as much memory as the archive has bytes of it.

    Args:
        file: its path, or a binary file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no archive of plain arrays.
    """
    form, zipfile = map(import_module, ("numpy.lib.format", "zipfile"))  # heavy, and seldom wanted
    arrays = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.file_size > max(_SMALL, _MOST_PACKED * info.compress_size):
                    raise ValueError(f"{info.compress_size:,} bytes of {info.filename} become {info.file_size:,}")
                content = io.BytesIO(archive.read(info))
                old = form.read_magic(content) == (1, 0)
                shape, _, dtype = (form.read_array_header_1_0 if old else form.read_array_header_2_0)(content)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize > info.file_size:
                    raise ValueError(f"{info.filename} is no array of numbers or texts")
                content.seek(0)
                arrays[info.filename.removesuffix(".npy")] = form.read_array(content, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # whatever zipfile, its unpackers, and NumPy's reading of a header raise
        raise ValueError(str(error) or type(error).__name__) from None
    return arrays


def finite(value):
    """Return a value with None for each number that JSON lacks: NaN, infinity."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
