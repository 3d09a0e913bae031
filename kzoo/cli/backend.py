"""Which backend Keras starts with: Keras' own, unless somebody chooses; what is resumed keeps the one it has, and
TensorFlow's setting of oneDNN.

Keras reads `KERAS_BACKEND` once, when it is imported. Its `keras.json` says nothing of anybody's choice: Keras itself
writes it.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kzoo.cli import common
from kzoo.results.speed import fastest
from kzoo.utils import onednn
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import check_installed, is_installed, missing

_EXTRAS = {"jax": "jax", "torch": "torch"}  # TensorFlow comes with kzoo


class Earlier(NamedTuple):
    """A stopped run or search: its folder, its backend, and whether it computes with oneDNN (None: not known)."""

    folder: Path
    backend: str
    onednn: bool | None


def add_option(parser):
    """Add --backend, for a command that begins what can be resumed."""
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="tensorflow, jax or torch; auto: the fastest where it was measured; default: Keras' own",
    )


def choose_backend(args, preset: str, earlier: Iterable[Earlier]):
    """Choose the backend. To be called when all else is checked, and before Keras is imported.

    --backend comes first, then `KERAS_BACKEND`, then what is resumed; auto, too, keeps the backend of what is resumed.

    Args:
        args: of the command, with `backend`, `out` and `resume`.
        preset: its name.
        earlier: what this command may resume, the newest first.

    Raises:
        KzooError: a backend that is not installed, or another than this process has begun with.
    """
    asked = args.backend
    if "keras" in sys.modules:
        running = sys.modules["keras"].backend.backend()
        if asked not in (None, "auto", running):
            raise KzooError(
                f"backend={asked!r}: in this process Keras has started on {running} already. Set KERAS_BACKEND={asked} "
                f"before Keras is imported."
            )
        return
    resumed = next(iter(earlier), None)
    if resumed is not None and args.resume != "never":
        onednn.keep(resumed.onednn)
    if asked is None and os.environ.get("KERAS_BACKEND"):
        return
    if asked in (None, "auto"):
        chosen = _kept(resumed, given=args.out is not None) or (fastest(preset) if asked == "auto" else None)
    else:
        check_installed(asked, extra=_EXTRAS.get(asked, ""))
        chosen = asked
    if chosen is not None:
        os.environ["KERAS_BACKEND"] = chosen


def _kept(resumed, *, given):
    """Return the backend of what is resumed, or None; where it is not installed any more, a line says so.

    Raises:
        KzooError: it is not installed, and the folder was named.
    """
    if resumed is None:
        return None
    folder, backend, _ = resumed
    if is_installed(backend):
        return backend
    extra = _EXTRAS.get(backend, "")
    if given:
        raise KzooError(f"{folder} goes on with {backend} only. {missing(backend, extra)}")
    common.print_note(f"{folder} is left as it is: it goes on with {backend} only. {missing(backend, extra)}")
    return None
