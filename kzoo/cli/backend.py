"""The backend that Keras starts with: by default Keras' own. A resumed run or search keeps its backend and its oneDNN
setting.

Keras reads `KERAS_BACKEND` once, when it is imported. Its `keras.json` is ignored here: Keras writes this file itself,
so it does not show that the user chose a backend.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kzoo.cli import shared
from kzoo.utils import onednn
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import check_installed, is_installed, missing
from kzoo.zoo.results.speed import fastest

_EXTRAS = {"jax": "jax", "torch": "torch"}  # TensorFlow comes with kzoo


class Resumable(NamedTuple):
    """A stopped run or search: its folder, its backend, and whether it uses oneDNN (None: unknown)."""

    folder: Path
    backend: str
    onednn: bool | None


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add --backend to the parser of a command whose result can be resumed."""
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="tensorflow, jax or torch; auto: the fastest one for the preset, if its speed was measured; "
        "default: the one that Keras is configured for",
    )


def choose_backend(args: argparse.Namespace, preset: str, resumable: Iterable[Resumable]) -> None:
    """Set `KERAS_BACKEND` for this command. Call it after all other checks, and before Keras is imported.

    --backend comes first, then `KERAS_BACKEND`, then the backend of what is resumed. `auto` also keeps the backend of
    what is resumed.

    Args:
        args: the arguments of the command, with `backend`, `out` and `resume`.
        preset: the name of the preset.
        resumable: the runs or searches that this command may resume, newest first.

    Raises:
        KzooError: the backend is not installed, or Keras was already imported with another backend.
    """
    requested = args.backend
    # Keras reads KERAS_BACKEND at import only: once imported, its backend cannot change.
    if "keras" in sys.modules:
        running = sys.modules["keras"].backend.backend()
        if requested not in (None, "auto", running):
            raise KzooError(
                f"is not possible: Keras already runs on {running} in this process. "
                f"Set KERAS_BACKEND={requested} before Keras is imported.",
                argument="backend",
                value=requested,
            )
        return
    resumed = next(iter(resumable), None)
    if resumed is not None and args.resume != "never":
        # oneDNN changes results by rounding: a resumed training keeps its setting.
        onednn.keep(resumed.onednn)
    if requested is None and os.environ.get("KERAS_BACKEND"):
        return
    if requested in (None, "auto"):
        chosen = _resumed_backend(resumed, explicit_folder=args.out is not None) or (
            fastest(preset) if requested == "auto" else None
        )
    else:
        check_installed(requested, extra=_EXTRAS.get(requested, ""))
        chosen = requested
    if chosen is not None:
        os.environ["KERAS_BACKEND"] = chosen


def _resumed_backend(resumed: Resumable | None, *, explicit_folder: bool) -> str | None:
    """Return the backend of what is resumed, or None. If it is no longer installed, print a note and return None.

    Raises:
        KzooError: the backend is not installed and the user named the folder (`explicit_folder`).
    """
    if resumed is None:
        return None
    folder, backend, _ = resumed
    if is_installed(backend):
        return backend
    extra = _EXTRAS.get(backend, "")
    if explicit_folder:
        raise KzooError(f"{folder} can only be resumed with {backend}. {missing(backend, extra)}")
    shared.print_note(f"{folder} is not resumed: this needs {backend}. {missing(backend, extra)}")
    return None
