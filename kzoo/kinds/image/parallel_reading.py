"""Image files read whole, by this process and by some beside it, from both sides: `Reader` asks, `main` answers.

Over small files threads hand Python's lock to and fro five times an image, so that two read no more than one.
"""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from kzoo.kinds.image.decode import decode, fault
from kzoo.utils import child_process as child
from kzoo.utils.errors import KzooError
from kzoo.utils.files import open_regular

_PIECE = 2**16  # bytes that are read at once
_WORTH = 5_000  # images for which another process is worth its start, .15 s
_MOST = 8  # processes, of some 45 MB each: a container may show more processors than it has


def read(folder, names, taken, pixels):
    """Decode files into `pixels`, uint8 (N, H, W, C).

    Args:
        folder: the names start from, with its slash.
        names: of N files.
        taken: N truths: of which file the content is told.

    Returns:
        (sizes, contents, errors): N numbers of bytes, and by place the sha256 of a content and why a file cannot be
        read.
    """
    sizes, contents, errors = [0] * len(names), {}, {}
    for place, name in enumerate(names):
        try:
            data = _bytes_of(folder + name)
            sizes[place] = len(data)
            pixels[place] = decode(data, pixels.shape[1:])
        except (KzooError, OSError) as error:
            errors[place] = str(error)
            continue
        if taken[place]:
            contents[place] = hashlib.sha256(data).hexdigest()
    return sizes, contents, errors


def check_files(folder, names, taken, pixels=None):
    """Look at files from outside (`fault`); give and return what `read` does, but for pixels."""
    sizes, contents, errors = [0] * len(names), {}, {}
    for place, name in enumerate(names):
        try:
            data = _bytes_of(folder + name) if taken[place] else None
            sizes[place], wrong = fault(folder + name)
        except (KzooError, OSError) as error:
            wrong = str(error)
        if wrong:
            errors[place] = wrong
        elif data is not None:
            contents[place] = hashlib.sha256(data).hexdigest()
    return sizes, contents, errors


def _bytes_of(path):
    """Return a whole file: half the calls of the system that `open` makes, which small files by the thousand notice."""
    file, parts = open_regular(path), []
    try:
        while part := os.read(file, _PIECE):
            parts.append(part)
    finally:
        os.close(file)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def readers(count, most):
    """Start the processes that are worth it beside this one for so many images, at most `most`; return their readers.

    There are none where this Python is part of another program, which cannot be started as one.
    """
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").stem.startswith(("python", "pypy")):
        return []
    found = []
    with suppress(OSError):
        for _ in range(min(most, count // _WORTH, _MOST)):
            found.append(Reader())
    return found


class Reader:
    """A process that reads as `read` does. It may die: then this one does its work."""

    def __init__(self):
        self._process = child.start(__name__, stderr=subprocess.DEVNULL)

    def read(self, folder, names, taken, pixels):
        """Do what `read` does.

        What the other process cannot read without a word is read here, with the settings of Pillow and of warnings that
        a user may have made.
        """
        try:
            sizes, contents, again = self._ask(folder, names, taken, pixels)
        except (OSError, EOFError, ValueError):
            return read(folder, names, taken, pixels)
        contents, its_pixels = {int(place): content for place, content in contents.items()}, pixels[again]
        its_sizes, known, errors = read(folder, [names[place] for place in again], taken[again], its_pixels)
        pixels[again] = its_pixels
        for place, size in zip(again, its_sizes, strict=True):
            sizes[place] = size
        contents |= {again[place]: content for place, content in known.items()}
        errors = {again[place]: said for place, said in errors.items()}
        return sizes, contents, errors

    def _ask(self, folder, names, taken, pixels):
        to, answers = self._process.stdin, self._process.stdout
        to.write(json.dumps([folder, names, taken.tolist(), pixels.shape[1:]]).encode() + b"\n")
        to.flush()
        answer = json.loads(answers.readline())
        if answers.readinto(memoryview(pixels).cast("B")) != pixels.nbytes:
            raise EOFError
        return answer

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()


def main():
    """Answer until nobody asks any more."""
    for kind in (UserWarning, RuntimeWarning):  # all that Pillow has; our parent says what it is
        warnings.simplefilter("error", kind)
    for line in sys.stdin.buffer:
        folder, names, taken, shape = json.loads(line)
        pixels = np.zeros((len(names), *shape), "uint8")
        try:
            sizes, contents, errors = read(folder, names, taken, pixels)
        except Warning:
            sizes, contents, errors = [0] * len(names), {}, range(len(names))
        sys.stdout.buffer.write(json.dumps([sizes, contents, list(errors)]).encode() + b"\n" + pixels.data)
        sys.stdout.buffer.flush()
