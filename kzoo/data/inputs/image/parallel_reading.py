"""Parallel reading of image files by several processes: `Reader` sends requests to `main` in another process.

For small files, threads exchange Python's lock five times per image, so two threads are no faster than one.
"""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.inference.kinds.image.decode import decode, find_fault
from kzoo.inference.sources.shards import read_member
from kzoo.utils import child_process as child
from kzoo.utils.errors import KzooError
from kzoo.utils.files import open_regular

_PIECE = 2**16  # bytes read at a time
_MIN_IMAGES = 5_000  # images that justify starting another process, .15 s
# processes of about 45 MB each: a container may show more processors than it may use
_MAX_PROCESSES = 8


def read(
    folder: str, names: Sequence[str], hashed: np.ndarray, pixels: np.ndarray
) -> tuple[list[int], dict[int, str], dict[int, str]]:
    """Decode files into `pixels`, uint8 (N, H, W, C).

    Args:
        folder: to which the names are relative, ending with a slash.
        names: of N files.
        hashed: N booleans: whether to hash the content of the file.

    Returns:
        (sizes, contents, errors): N sizes in bytes, index -> sha256 of the content, index -> why a file cannot be read.
    """
    sizes = [0] * len(names)
    contents = {}
    errors = {}
    for index, name in enumerate(names):
        try:
            data = _read_file(folder + name)
            sizes[index] = len(data)
            pixels[index] = decode(data, pixels.shape[1:])
        except (KzooError, OSError) as error:
            errors[index] = str(error)
            continue
        if hashed[index]:
            contents[index] = hashlib.sha256(data).hexdigest()
    return sizes, contents, errors


def check_files(
    folder: str, names: Sequence[str], hashed: np.ndarray, pixels: np.ndarray | None = None
) -> tuple[list[int], dict[int, str], dict[int, str]]:
    """Check files without decoding them (`fault`). Arguments and results are those of `read`, without pixels."""
    sizes = [0] * len(names)
    contents = {}
    errors = {}
    for index, name in enumerate(names):
        try:
            data = _read_file(folder + name) if hashed[index] else None
            sizes[index], reason = find_fault(folder + name)
        except (KzooError, OSError) as error:
            reason = str(error)
        if reason:
            errors[index] = reason
        elif data is not None:
            contents[index] = hashlib.sha256(data).hexdigest()
    return sizes, contents, errors


def _read_file(path: str) -> bytes:
    """Return a whole file with half the system calls of `open`, which matters for thousands of small files."""
    if (content := read_member(path)) is not None:
        return content
    file = open_regular(path)
    parts = []
    try:
        while part := os.read(file, _PIECE):
            parts.append(part)
    finally:
        os.close(file)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def readers(count: int, most: int) -> "list[Reader]":
    """Start as many processes as `count` images justify, at most `most`, and return their readers.

    There are none if Python is embedded in another program, which cannot be started as an interpreter.
    """
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").stem.startswith(
        ("python", "pypy")
    ):
        return []
    started = []
    with suppress(OSError):
        for _ in range(min(most, count // _MIN_IMAGES, _MAX_PROCESSES)):
            started.append(Reader())
    return started


class Reader:
    """A process that reads files as `read` does. If it dies, this process reads them."""

    def __init__(self) -> None:
        self._process: Any = child.start(__name__, stderr=subprocess.DEVNULL)

    def read(
        self, folder: str, names: Sequence[str], hashed: np.ndarray, pixels: np.ndarray
    ) -> tuple[list[int], dict[int, str], dict[int, str]]:
        """Do the same as `read`.

        Files for which the other process gets an error or a warning are read here, with the user's settings of Pillow
        and of warnings.
        """
        try:
            sizes, contents, retry = self._request(folder, names, hashed, pixels)
        except (OSError, EOFError, ValueError):
            return read(folder, names, hashed, pixels)
        contents = {int(index): content for index, content in contents.items()}
        retry_pixels = pixels[retry]
        retry_sizes, retry_contents, errors = read(
            folder, [names[index] for index in retry], hashed[retry], retry_pixels
        )
        pixels[retry] = retry_pixels
        for index, size in zip(retry, retry_sizes, strict=True):
            sizes[index] = size
        contents |= {retry[index]: content for index, content in retry_contents.items()}
        errors = {retry[index]: error for index, error in errors.items()}
        return sizes, contents, errors

    def _request(
        self, folder: str, names: Sequence[str], hashed: np.ndarray, pixels: np.ndarray
    ) -> tuple[list[int], dict[Any, str], list[int]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        stdin.write(json.dumps([folder, names, hashed.tolist(), pixels.shape[1:]]).encode() + b"\n")
        stdin.flush()
        response = json.loads(stdout.readline())
        if stdout.readinto(memoryview(pixels).cast("B")) != pixels.nbytes:  # type: ignore[arg-type]  # an array is a buffer
            raise EOFError
        return response

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()


def main() -> None:
    """Answer requests until the input ends."""
    # all of Pillow's; the parent reads the file again and warns
    for category in (UserWarning, RuntimeWarning):
        warnings.simplefilter("error", category)
    for line in sys.stdin.buffer:
        folder, names, hashed, shape = json.loads(line)
        pixels = np.zeros((len(names), *shape), "uint8")
        try:
            sizes, contents, errors = read(folder, names, hashed, pixels)
        except Warning:
            sizes = [0] * len(names)
            contents = {}
            errors = range(len(names))  # type: ignore[assignment]  # only the rows are sent
        sys.stdout.buffer.write(
            json.dumps([sizes, contents, list(errors)]).encode() + b"\n" + pixels.data
        )
        sys.stdout.buffer.flush()
