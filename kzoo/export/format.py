"""What an export format is; each file of `kzoo/export/formats/` describes one. NumPy and the standard library only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

QUANTIZED = ("float16", "int8")


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of exported files.

    A *network* is a `kzoo.export.worker.Network`. A *session* is a file that is open: called with a batch it gives the
    answers; `batch` is the one batch size it takes, or None; `runtime` says what runs it, with its version; where the
    file also takes strings, `of_strings` answers a list of them.

    Args:
        name: what `formats=` calls it.
        order: where it stands among the others; of those that can run without Keras, the first is preferred.
        file: where it goes in the exported folder; "{version}" is the number of the export.
        packages: what must be installed to run it, as they are imported.
        write: function of (network, file, quantize) that writes the file and returns what `kzoo.json` says of it
            beyond the common entries: plain data. "batch" is the one batch size that the file takes, "note" a sentence.
        open: function of (source, name=, threads=) that returns a session. The source is the file's bytes where the
            format is `light`, else its path; errors call it `name`; `threads` is None for as many as there are.
        needs: packages that writing takes beside TensorFlow.
        extra: the extra of kzoo that installs all of these.
        quantize: what it can be written as beside float32, out of `QUANTIZED`.
        light: whether `kzoo.runtime` can run it: `open` needs neither Keras nor TensorFlow.
        refuses: function of a specification that says why it cannot become this format, or None.
    """

    name: str
    order: int
    file: str
    packages: tuple[str, ...]
    write: Callable
    open: Callable
    needs: tuple[str, ...] = ()
    extra: str = ""
    quantize: tuple[str, ...] = ()
    light: bool = False
    refuses: Callable = lambda spec: None


def refuses_votes(spec):
    """Refuse an ensemble that votes: a `refuses` for runtimes without operations on bits."""
    if spec.get("method") != "vote":
        return None
    return (
        "a vote takes the largest answer, for which Keras uses operations on bits that it does not have. Export keras "
        "or saved_model, or combine with method='mean'"
    )


def in_batches(session, x, size):
    """Answer any number of rows; where a file takes one batch size only, the last batch is filled up."""
    size = session.batch or size
    if len(x) <= size:
        return _filled(session, x)
    return np.concatenate([_filled(session, x[i : i + size]) for i in range(0, len(x), size)])


def _filled(session, x):
    rows, size = len(x), session.batch or len(x)
    if rows < size:
        x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
    return session(x)[:rows]
