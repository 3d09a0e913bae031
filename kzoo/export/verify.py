"""Verification of exported files: each is run in a child process, compared with Keras and timed.

The child process is `python -m kzoo.export.verify FOLDER SAMPLE KEY...`. It imports TensorFlow and Keras only for their
own formats.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.format import in_batches
from kzoo.export.formats import formats, split_key
from kzoo.export.processes import run_steps, serve_steps
from kzoo.export.sandbox import check_cost
from kzoo.inference.exported import Manifest
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.optional import check_installed

if TYPE_CHECKING:
    from kzoo.export.format import Session
    from kzoo.inference.exported import Entry, ExportedModel


_BATCH = 32
AGREEMENT = 0.98  # minimum share of int8 outputs that agree with Keras
# Largest relative difference from Keras, by quantized type.
TOLERANCE = {None: 1e-4, "float16": 1e-2, "int8": 0.2}
_SECONDS = 0.3  # duration and number of the timed calls
_MIN_CALLS = 5
_MAX_CALLS = 200


def verify(
    folder: Path,
    keys: Iterable[str],
    *,
    timeout: float,
    sample: Path | None = None,
    begin: Callable[[str], object] = lambda key: None,
) -> Iterator[tuple[str, JsonObject]]:
    """Verify exported files, with one child process per runtime; yield (key, outcome).

    Args:
        folder: the exported folder, with its `kzoo.json`.
        keys: the exports to check.
        timeout: seconds per check.
        sample: path of an `.npz` file with inputs `x`, the outputs `y` of Keras and, if known, the `truth`.
        begin: called with each key before its check.

    Yields:
        (key, outcome); the outcome is a dict of the fields to replace in the export's `Entry`, or
        `{"error": one line}`.
    """
    arguments = [folder, sample or "-"]
    keys_by_runtime: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        runtime = formats()[split_key(key)[0]].packages[-1:]
        keys_by_runtime.setdefault(runtime, []).append(key)
    for group in keys_by_runtime.values():
        yield from run_steps("kzoo.export.verify", arguments, group, timeout=timeout, begin=begin)


def recheck(
    exported: "ExportedModel", *, timeout: float, begin: Callable[[str], object]
) -> dict[str, JsonObject]:
    """Repeat the comparison with Keras on this machine; see `ExportedModel.check`.

    Raises:
        KzooError: nothing can be checked: the golden outputs were altered, or no runtime is installed.
    """
    damage = exported.damage()
    for line in damage:
        if line.startswith("golden.npz"):
            raise KzooError(
                f"{exported.path}: {line}. The exported files cannot be checked. Copy the folder again."
            )
    with_files = {
        key: entry for key, entry in exported.manifest.exports.items() if entry.file is not None
    }
    entries = {
        key: _loadable_entry(entry, exported.manifest.files, damage)
        for key, entry in with_files.items()
    }
    for key, entry in entries.items():
        if entry.status == "ok" and (error := _cost_error(exported, entry)):
            entries[key] = replace(entry, status="failed", error=error)
    ready = [key for key, entry in entries.items() if entry.status == "ok"]
    if entries and all(entry.status == "unchecked" for entry in entries.values()):
        # The format whose runtime is installed soonest: without Keras, ONNX Runtime.
        first = min(entries.values(), key=lambda entry: not _is_light(entry))
        raise KzooError(first.note or "")
    for key, outcome in verify(exported.path, ready, timeout=timeout, begin=begin):
        entry = replace(entries[key], **outcome)
        error = entry.error or tolerance_error(entry)
        entries[key] = replace(entry, error=error, status="failed" if error else "ok")
    return {key: entry.json() for key, entry in entries.items()}


def _is_light(entry: "Entry") -> bool:
    format = formats().get(entry.format)
    return format is not None and format.light


def _loadable_entry(entry: "Entry", files: Iterable[str], damage: list[str]) -> "Entry":
    """Return an entry with the status "ok" if its file can be loaded.

    The status is "failed" if the file was altered, and "unchecked" if its runtime is not installed.
    """
    entry = replace(entry, status="ok", difference=None, latency_ms=None, runtime=None)
    prefixes = (f"{entry.file}:", f"{entry.file}/")
    if not any(f"{name}:".startswith(prefixes) for name in files):
        damage = [f"{entry.file}: not in kzoo.json"]
    if altered := [line for line in damage if line.startswith(prefixes)]:
        return replace(entry, status="failed", error=altered[0])
    format = formats().get(entry.format)
    if format is None:
        return replace(
            entry, status="unchecked", note=f"the format {entry.format!r} is unknown to this kzoo"
        )
    if format.is_code:
        note = f"the code in {entry.file} is run when it is exported, and not again: it may come from others"
        return replace(entry, status="unchecked", note=note)
    try:
        for package in format.packages:
            check_installed(package, extra=format.extra)
    except KzooError as error:
        return replace(entry, status="unchecked", note=str(error))
    return entry


def _cost_error(exported: "ExportedModel", entry: "Entry") -> str | None:
    """Return an error if a file needs too much memory or time for its size, else None."""
    if entry.file is None or not formats()[entry.format].light:
        return None
    (input_spec,) = exported.manifest.inputs
    content = (exported.path / entry.file).read_bytes()
    try:
        check_cost(
            content,
            entry.format,
            name=entry.file,
            shape=input_spec["shape"][1:],
            dtype=input_spec["dtype"],
        )
    except KzooError as error:
        return str(error)
    return None


def tolerance_error(entry: "Entry") -> str | None:
    """Return an error if the outputs of a file differ from Keras by more than its tolerance, else None."""
    assert entry.difference is not None and entry.tolerance is not None  # measured
    if entry.difference <= entry.tolerance:
        return None
    return f"its outputs differ from Keras by {entry.difference:.2g}, the tolerance is {entry.tolerance:g}"


def check(folder: Path, manifest: Manifest, key: str, sample: str | None) -> JsonObject:
    """Return the outcome of running one exported file: runtime, difference from the golden outputs, latency, scores."""
    with np.load(folder / "golden.npz") as arrays:
        rows = dict(arrays)
    kind = manifest.outputs[0]["kind"]
    classes = kind != "values"
    entry = manifest.exports[key]
    format = formats()[entry.format]
    assert entry.file is not None  # failed entries are not checked
    file = folder / entry.file
    session = format.open(file.read_bytes() if format.light else file, name=key, threads=1)
    y = np.concatenate([in_batches(session, rows[name], 7) for name in ("x_1", "x_7")])
    largest = difference(y, np.concatenate([rows["y_1"], rows["y_7"]]), classes)
    if hasattr(session, "of_strings") and manifest.preprocessing:
        largest = max(largest, _string_difference(session, manifest.preprocessing))
    return dict(
        runtime=session.runtime,
        difference=largest,
        **(sample_scores(session, sample, kind) if sample else {}),
        latency_ms=latencies(session, rows["x_7"], fixed_batch=session.batch),
    )


def difference(y: np.ndarray, reference: np.ndarray, classes: bool) -> float:
    """Return the largest difference of outputs, relative to the largest reference output.

    The reference is the largest of all probabilities if `classes`, else the largest value of each column. An absolute
    difference would not do: with ten thousand words, probabilities are so small that any difference would pass.

    Raises:
        ValueError: the shapes differ, or outputs are not finite.
    """
    if y.shape != reference.shape:
        raise ValueError(f"outputs of shape {y.shape} instead of {reference.shape}")
    if not np.isfinite(y).all():
        raise ValueError("outputs are NaN or infinite")
    scale = np.abs(reference).reshape(-1, reference.shape[-1]).max(axis=0)
    scale = scale.max() if classes else np.maximum(scale, 1e-3 * scale.max())
    return float((np.abs(y - reference) / np.maximum(scale, 1e-30)).max())


def _string_difference(session: Any, preprocessing: JsonObject) -> float:
    """Return the difference between outputs for strings and outputs for their ids from the Python tokenizer."""
    texts = import_module("kzoo.export.tf_tokenizer").sentences(preprocessing)
    ids = import_module("kzoo.data").encode(preprocessing, texts)
    return difference(session.of_strings(texts), session(ids), True)


def sample_scores(
    session: "Session", sample: str | os.PathLike[str], kind: str
) -> dict[str, float]:
    """Return the agreement of a file with Keras on sample rows, and both scores if the truth is known.

    Returns:
        dict of `agreement`: the share of rows with the same class, or R2 with the values of Keras as reference; and
        `score`, `score_keras`: accuracy, or R2, of the file and of Keras.
    """
    with np.load(sample) as arrays:
        rows = dict(arrays)
    y = in_batches(session, rows["x"], _BATCH)
    reference = rows["y"]
    truth = rows.get("truth")
    compare = _explained_variance if kind == "values" else _accuracy
    if kind != "values":
        y, reference = predicted_classes(y, kind), predicted_classes(reference, kind)
    scores = {"agreement": compare(y, reference)}
    if truth is not None:
        scores |= {"score": compare(y, truth), "score_keras": compare(reference, truth)}
    return scores


def predicted_classes(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Return the class indices of outputs (..., classes or 1) of a kind: probabilities, logits or scores."""
    threshold = 0.5 if kind == "probabilities" else 0.0
    return (
        (outputs[..., 0] > threshold).astype(int)
        if outputs.shape[-1] == 1
        else outputs.argmax(axis=-1)
    )


def _accuracy(y: np.ndarray, truth: np.ndarray) -> float:
    return float((y == truth).mean())


def _explained_variance(y: np.ndarray, truth: np.ndarray) -> float:
    """Return R2: the share of the variance of `truth` that `y` explains."""
    error = ((y.reshape(truth.shape) - truth) ** 2).sum(dtype="float64")
    return float(1 - error / max(((truth - truth.mean(axis=0)) ** 2).sum(dtype="float64"), 1e-12))


def latencies(
    run: Callable[[np.ndarray], object], x_7: np.ndarray, *, fixed_batch: int | None = None
) -> dict[str, float | None]:
    """Return the milliseconds that batches of 1 and of 32 rows take, by their number as a string.

    The fastest of many calls is used, since other programs on the machine affect it least.

    Args:
        run: a function of a batch.
        x_7: rows to repeat.
        fixed_batch: the only batch size that the file takes, or None.
    """
    batches = {"1": x_7[-1:], "32": np.resize(x_7, (32, *x_7.shape[1:]))}
    return {
        size: None if fixed_batch and int(size) != fixed_batch else _fastest(run, x)
        for size, x in batches.items()
    }


def _fastest(run: Callable[[np.ndarray], object], x: np.ndarray) -> float:
    run(x), run(x)  # the first call may compile
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _MIN_CALLS or (time.perf_counter() < end and len(times) < _MAX_CALLS):
        start = time.perf_counter()
        run(x)
        times.append(time.perf_counter() - start)
    return round(min(times) * 1000, 4)


def main(folder: str, sample: str, *keys: str) -> None:
    path, manifest = Path(folder), Manifest.open(folder)
    serve_steps(keys, lambda key: check(path, manifest, key, None if sample == "-" else sample))


if __name__ == "__main__":
    main(*sys.argv[1:])
