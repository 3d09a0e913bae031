"""Runs that are trained here and uploaded to an address."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kzoo.cloud.copies import CONFIG
from kzoo.cloud.uploads import TakenOver, Target, uploaded
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import printable
from kzoo.zoo.run import Run, observed_journals

_INTERVAL = 60.0  # seconds between two uploads of the state, at least
_SHARE = 0.05  # of the time that uploads take, at most


@contextmanager
def uploaded_run(word: str, *, overwrite: bool = False) -> Iterator[Target]:
    """Yield the `Target` of a run; what is trained into its folder is uploaded.

    While it is trained, its state is uploaded after a journal was written, at most once a minute and for about five
    percent of the time.

    Args:
        word: the address of the run.
        overwrite: whether another run there is replaced.

    Raises:
        KzooError: see `uploaded`.
    """
    with (
        uploaded(word, CONFIG, is_complete=is_complete, overwrite=overwrite) as target,
        observed_journals(_StateUploads(target)),
    ):
        yield target


def is_complete(folder: Path) -> bool:
    """Return whether a folder has a run that was trained to its end."""
    try:
        return not Run(folder).summary["interrupted"]
    except KzooError:
        return False


class _StateUploads:
    """Uploads the state of a run when its journal was written, unless the last upload was too recent."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._next = time.monotonic() + _INTERVAL

    def __call__(self, folder: Path) -> None:
        start = time.monotonic()
        if folder != self._target.folder or start < self._next:
            return
        try:
            self._target.upload_state()
        except TakenOver:
            raise
        except KzooError as error:
            line = f"kzoo: {str(error).rstrip('.')}. The training goes on; the next state is uploaded later."
            print(printable(line), file=sys.stderr)
        end = time.monotonic()
        self._next = end + max(_INTERVAL, (end - start) * (1 / _SHARE - 1))
