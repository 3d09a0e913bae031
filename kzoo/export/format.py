"""`Format`, the description of an export format. Imports NumPy and the standard library only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kzoo.utils.files import JsonObject

QUANTIZED = ("float16", "int8")


class Session(Protocol):
    """An open file."""

    batch: int | None
    runtime: str

    def __call__(self, x: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of exported files.

    A *network* is a `kzoo.export.worker.Network`. A *session* is an open file: calling it with a batch returns the
    outputs. Its attributes: `batch`, the only batch size it takes, or None; `runtime`, name and version of the runtime;
    `of_strings`, a function from a list of strings to outputs, only if the file takes strings.

    Args:
        name: the name in `formats=`.
        order: sort key; the first format that runs without Keras is preferred.
        file: path in the exported folder; "{version}" is replaced by the version number of the export.
        beside: paths of further files that are written with it.
        packages: import names of the packages that run the file.
        write: function (network, file, quantize) that writes the file and returns additional facts for `kzoo.json`, as
            plain data. "batch" is the only batch size that the file takes, "note" a sentence.
        open: function (source, name=, threads=) that returns a session. The source is the bytes of the file if the
            format is `light`, else its path; `name` is for error messages; `threads` None uses all cores.
        needs: packages needed to write the file, in addition to TensorFlow.
        extra: the extra of kzoo that installs these packages.
        quantize: quantized types that can be written in addition to float32, from `QUANTIZED`.
        cannot_run: function that returns why this machine cannot run such files, or None.
        is_code: whether running the file runs code that is in it: only files that were just written are run.
        light: True if `kzoo.runtime` can run it: `open` needs neither Keras nor TensorFlow.
        refuses: function of a specification that returns why it cannot be exported to this format, or None.
    """

    name: str
    order: int
    file: str
    packages: tuple[str, ...]
    write: Callable[..., JsonObject]
    open: Callable[..., Session]
    beside: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    quantize: tuple[str, ...] = ()
    light: bool = False
    cannot_run: Callable[[], str | None] = lambda: None
    is_code: bool = False
    refuses: Callable[[JsonObject], str | None] = lambda spec: None


def refuses_votes(spec: JsonObject) -> str | None:
    """Return why a voting ensemble cannot be exported, or None: `refuses` of runtimes without bitwise operations."""
    if spec.get("method") != "vote":
        return None
    return (
        "voting uses bitwise operations of Keras, which this format does not have. Export to keras or saved_model, or "
        "combine with method='mean'"
    )


def in_batches(session: Session, x: np.ndarray, size: int) -> np.ndarray:
    """Return the outputs of a session for any number of rows, in batches of at most `size`.

    If the file takes one batch size only, the last batch is padded.
    """
    size = session.batch or size
    if len(x) <= size:
        return _run_padded(session, x)
    return np.concatenate([_run_padded(session, x[i : i + size]) for i in range(0, len(x), size)])


def _run_padded(session: Session, x: np.ndarray) -> np.ndarray:
    rows = len(x)
    size = session.batch or len(x)
    if rows < size:
        x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
    return session(x)[:rows]
