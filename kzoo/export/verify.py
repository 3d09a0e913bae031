"""`python -m kzoo.export.verify FOLDER SAMPLE KEY...`: a fresh process loads exported files and compares.

Each is opened by its own runtime; TensorFlow and Keras are imported only for their own formats.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

from kzoo.export.formats import FORMATS, split_key
from kzoo.export.processes import run_steps, serve_steps
from kzoo.export.timing import latencies
from kzoo.files import read_json

_BATCH = 32
AGREEMENT = 0.98  # of int8
TOLERANCE = {None: 1e-4, "float16": 1e-2, "int8": 0.2}


def verify(folder, keys, *, timeout, sample=None, begin=lambda key: None):
    """Check exported files, each runtime in a process of its own; yield (key, outcome).

    Args:
        folder: the exported one; its `kzoo.json` may still be missing, `work.json` in its place.
    """
    words = [folder, sample or "-"]
    runtimes = {}
    for key in keys:
        name = FORMATS[split_key(key)[0]].runtime
        runtimes.setdefault("tensorflow" if name == "keras" else name, []).append(key)
    for group in runtimes.values():
        yield from run_steps("kzoo.export.verify", words, group, timeout=timeout, begin=begin)


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


def check(folder, entry, sample) -> dict:
    """Load one exported file and compare it with the golden answers."""
    with np.load(folder / "golden.npz") as arrays:
        rows = dict(arrays)
    config = read_json(folder / "kzoo.json")
    classes = config["outputs"][0]["kind"] != "values"
    answers = import_module(FORMATS[entry["format"]].module).Answers(folder / entry["file"], entry)
    y, reference = (
        np.concatenate(pair) for pair in ([answers(rows["x_1"]), answers(rows["x_7"])], [rows["y_1"], rows["y_7"]])
    )
    worst = difference(y, reference, classes)
    if "serve_strings" in entry.get("signatures", ()):
        worst = max(worst, _of_strings(answers, config["preprocessing"]))
    return dict(
        runtime=answers.runtime,
        difference=worst,
        **(compared(answers, sample, classes) if sample else {}),
        latency_ms=latencies(answers, rows["x_7"], fixed_batch=entry["batch"]),
    )


def _of_strings(answers, preprocessing):
    """Return by how much the answers to strings differ from those to the ids that Python makes of them."""
    texts = import_module("kzoo.export.strings").sentences(preprocessing)
    ids = import_module("kzoo.data.encode_text").encode_text(preprocessing, texts)
    return difference(answers.of_strings(texts), answers(ids), True)


def compared(answers, sample, classes) -> dict:
    """Return how often a file answers as Keras does, and how well it answers where the truth is known.

    Returns:
        `agreement`: the share of rows with the same class, or of the variance of Keras' values that is explained.
        `score`, `score_keras`: accuracy, or the share of the variance of the truth (R2).
    """
    with np.load(sample) as arrays:
        rows = dict(arrays)
    x, reference, truth = rows["x"], rows["y"], rows.get("truth")
    y = np.concatenate([answers(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])
    compare = _same_class if classes else _explained
    if classes:
        y, reference = class_of(y), class_of(reference)
    found = {"agreement": compare(y, reference)}
    if truth is not None:
        found |= {"score": compare(y, truth), "score_keras": compare(reference, truth)}
    return found


def class_of(p):
    """Return the class that probabilities (..., classes or 1) name."""
    return (p[..., 0] > 0.5).astype(int) if p.shape[-1] == 1 else p.argmax(axis=-1)


def _same_class(y, truth):
    return float((y == truth).mean())


def _explained(y, truth):
    error = ((y.reshape(truth.shape) - truth) ** 2).sum(dtype="float64")
    return float(1 - error / max(((truth - truth.mean(axis=0)) ** 2).sum(dtype="float64"), 1e-12))


def main(folder, sample, *keys):
    folder = Path(folder)
    file = folder / "kzoo.json"
    exports = read_json(file)["exports"]
    if any(exports[key]["format"] in ("keras", "saved_model") for key in keys):
        import_module("keras").utils.disable_interactive_logging()
    serve_steps(keys, lambda key: check(folder, exports[key], None if sample == "-" else sample))


if __name__ == "__main__":
    main(*sys.argv[1:])
