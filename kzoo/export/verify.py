"""Exported files compared with Keras: each is opened by its own runtime, in a fresh process, and timed.

`python -m kzoo.export.verify FOLDER SAMPLE KEY...` is that process; TensorFlow and Keras are imported for their own
formats only.
"""

import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.export.format import in_batches
from kzoo.export.formats import formats, split_key
from kzoo.export.processes import run_steps, serve_steps
from kzoo.export.sandbox import check_cost
from kzoo.exported import Manifest
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import check_installed

_BATCH = 32
AGREEMENT = 0.98  # of int8
TOLERANCE = {None: 1e-4, "float16": 1e-2, "int8": 0.2}
_SECONDS, _FEWEST, _MOST = 0.3, 5, 200  # of the calls that are timed


def verify(folder, keys, *, timeout, sample=None, begin=lambda key: None):
    """Check exported files, each runtime in a process of its own; yield (key, outcome).

    Args:
        folder: the exported one, with its `kzoo.json`.
        keys: which of its exports.
        timeout: seconds for each.
        sample: an `.npz` of inputs `x`, Keras' answers `y`, and the `truth` where it is known.
        begin: called with each key before its check.

    Yields:
        The outcome is what changes in the export's `Entry`, or `{"error": one line}`.
    """
    words = [folder, sample or "-"]
    runtimes: dict[str, Any] = {}
    for key in keys:
        runtimes.setdefault(formats()[split_key(key)[0]].packages[-1], []).append(key)
    for group in runtimes.values():
        yield from run_steps("kzoo.export.verify", words, group, timeout=timeout, begin=begin)


def recheck(exported, *, timeout, begin) -> dict:
    """Make the comparison of the export once more, anywhere: see `ExportedModel.check`.

    Raises:
        KzooError: nothing of it can be checked: golden answers that were altered, or no runtime at all.
    """
    damage = exported.damage()
    for line in damage:
        if line.startswith("golden.npz"):
            raise KzooError(f"{exported.path}: {line}. Nothing can be compared; get the folder again.")
    there = {key: entry for key, entry in exported.manifest.exports.items() if entry.file is not None}
    entries = {key: _before(entry, exported.manifest.files, damage) for key, entry in there.items()}
    for key, entry in entries.items():
        if entry.status == "ok" and (error := _costly(exported, entry)):
            entries[key] = replace(entry, status="failed", error=error)
    ready = [key for key, entry in entries.items() if entry.status == "ok"]
    if entries and all(entry.status == "unchecked" for entry in entries.values()):
        raise KzooError(next(iter(entries.values())).note)
    for key, outcome in verify(exported.path, ready, timeout=timeout, begin=begin):
        entry = replace(entries[key], **outcome)
        wrong = entry.error or too_different(entry)
        entries[key] = replace(entry, error=wrong, status="failed" if wrong else "ok")
    return {key: entry.json() for key, entry in entries.items()}


def _before(entry, files, damage):
    """Return an entry that is "ok" if its file can be loaded: not when it was altered, nor without its runtime."""
    entry = replace(entry, status="ok", difference=None, latency_ms=None, runtime=None)
    of = (f"{entry.file}:", f"{entry.file}/")
    if not any(f"{name}:".startswith(of) for name in files):
        damage = [f"{entry.file}: not in kzoo.json"]
    if altered := [line for line in damage if line.startswith(of)]:
        return replace(entry, status="failed", error=altered[0])
    format = formats().get(entry.format)
    if format is None:
        return replace(entry, status="unchecked", note=f"this kzoo does not have the format {entry.format!r}")
    try:
        for package in format.packages:
            check_installed(package, extra=format.extra)
    except KzooError as error:
        return replace(entry, status="unchecked", note=str(error))
    return entry


def _costly(exported, entry) -> str | None:
    """Say why a file is not opened at all: it takes too much memory or time for its size."""
    if not formats()[entry.format].light:
        return None
    (given,) = exported.manifest.inputs
    content = (exported.path / entry.file).read_bytes()
    try:
        check_cost(content, entry.format, name=entry.file, shape=given["shape"][1:], dtype=given["dtype"])
    except KzooError as error:
        return str(error)
    return None


def too_different(entry) -> str | None:
    """Say by how much a file differs from Keras, if that is more than its tolerance."""
    if entry.difference <= entry.tolerance:
        return None
    return f"it differs from Keras by {entry.difference:.2g}, more than {entry.tolerance:g}"


def check(folder, manifest, key, sample) -> dict:
    """Load one exported file and compare it with the golden answers."""
    with np.load(folder / "golden.npz") as arrays:
        rows = dict(arrays)
    kind = manifest.outputs[0]["kind"]
    classes = kind != "values"
    entry = manifest.exports[key]
    format, file = formats()[entry.format], folder / entry.file
    session = format.open(file.read_bytes() if format.light else file, name=key, threads=1)
    y = np.concatenate([in_batches(session, rows[name], 7) for name in ("x_1", "x_7")])
    worst = difference(y, np.concatenate([rows["y_1"], rows["y_7"]]), classes)
    if hasattr(session, "of_strings"):
        worst = max(worst, _of_strings(session, manifest.preprocessing))
    return dict(
        runtime=session.runtime,
        difference=worst,
        **(compared(session, sample, kind) if sample else {}),
        latency_ms=latencies(session, rows["x_7"], fixed_batch=session.batch),
    )


def difference(y, reference, classes) -> float:
    """Return the largest difference, relative to the largest answer: of all probabilities, or of each column of values.

    The probabilities of ten thousand words are so small that any absolute difference would pass.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    if y.shape != reference.shape:
        raise ValueError(f"answers of shape {y.shape} instead of {reference.shape}")
    if not np.isfinite(y).all():
        raise ValueError("answers that are NaN or infinite")
    size = np.abs(reference).reshape(-1, reference.shape[-1]).max(axis=0)
    size = size.max() if classes else np.maximum(size, 1e-3 * size.max())
    return float((np.abs(y - reference) / np.maximum(size, 1e-30)).max())


def _of_strings(session, preprocessing):
    """Return by how much the answers to strings differ from those to the ids that Python makes of them."""
    texts = import_module("kzoo.export.tf_tokenizer").sentences(preprocessing)
    ids = import_module("kzoo.data").encode(preprocessing, texts)
    return difference(session.of_strings(texts), session(ids), True)


def compared(session, sample, kind) -> dict:
    """Return how often a file answers as Keras does, and how well it answers where the truth is known.

    Returns:
        `agreement`: the share of rows with the same class, or of the variance of Keras' values that is explained.
        `score`, `score_keras`: accuracy, or the share of the variance of the truth (R2).
    """
    with np.load(sample) as arrays:
        rows = dict(arrays)
    y, reference, truth = in_batches(session, rows["x"], _BATCH), rows["y"], rows.get("truth")
    compare = _explained if kind == "values" else _same_class
    if kind != "values":
        y, reference = class_of(y, kind), class_of(reference, kind)
    found = {"agreement": compare(y, reference)}
    if truth is not None:
        found |= {"score": compare(y, truth), "score_keras": compare(reference, truth)}
    return found


def class_of(answers, kind):
    """Return the class that answers (..., classes or 1) of this kind name."""
    middle = 0.5 if kind == "probabilities" else 0.0
    return (answers[..., 0] > middle).astype(int) if answers.shape[-1] == 1 else answers.argmax(axis=-1)


def _same_class(y, truth):
    return float((y == truth).mean())


def _explained(y, truth):
    error = ((y.reshape(truth.shape) - truth) ** 2).sum(dtype="float64")
    return float(1 - error / max(((truth - truth.mean(axis=0)) ** 2).sum(dtype="float64"), 1e-12))


def latencies(answer, x_7, *, fixed_batch=None) -> dict:
    """Return the milliseconds that a batch of 1 and of 32 takes: the fastest of many calls, which other programs
    on the machine disturb least.

    Args:
        answer: a function of a batch.
        x_7: rows to repeat.
        fixed_batch: the only batch size there is, or None.
    """
    batches = {"1": x_7[-1:], "32": np.resize(x_7, (32, *x_7.shape[1:]))}
    return {
        size: None if fixed_batch and int(size) != fixed_batch else _fastest(answer, x) for size, x in batches.items()
    }


def _fastest(answer, x):
    answer(x), answer(x)  # the first call may compile
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _FEWEST or (time.perf_counter() < end and len(times) < _MOST):
        begin = time.perf_counter()
        answer(x)
        times.append(time.perf_counter() - begin)
    return round(min(times) * 1000, 4)


def main(folder, sample, *keys):
    folder, manifest = Path(folder), Manifest.open(folder)
    serve_steps(keys, lambda key: check(folder, manifest, key, None if sample == "-" else sample))


if __name__ == "__main__":
    main(*sys.argv[1:])
