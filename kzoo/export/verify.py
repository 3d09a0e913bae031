"""`python -m kzoo.export.verify BUNDLE KEY...`: a fresh process loads exported files by their own runtime and compares.

TensorFlow and Keras are imported only for their own formats.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

from kzoo.export.formats import FORMATS, split_key
from kzoo.export.processes import run_steps, serve_steps
from kzoo.export.timing import latencies
from kzoo.files import read_json

TOLERANCE = {None: 1e-4, "float16": 1e-2}


def verify(folder, keys, *, timeout, sample=None, begin=lambda key: None):
    """Check exported files, each runtime in a process of its own; yield (key, outcome).

    Args:
        folder: the bundle's; its `kzoo.json` may still be missing, `work.json` in its place.
    """
    words = [folder, sample or "-"]
    runtimes = {}
    for key in keys:
        name = FORMATS[split_key(key)[0]].runtime
        runtimes.setdefault("tensorflow" if name == "keras" else name, []).append(key)
    for group in runtimes.values():
        yield from run_steps("kzoo.export.verify", words, group, timeout=timeout, begin=begin)


def difference(y, reference) -> float:
    """Return the largest difference, absolute or relative to the largest answer in its column, whichever is smaller.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    if y.shape != reference.shape:
        raise ValueError(f"answers of shape {y.shape} instead of {reference.shape}")
    if not np.isfinite(y).all():
        raise ValueError("answers that are NaN or infinite")
    size = np.abs(reference).reshape(-1, reference.shape[-1]).max(axis=0)
    return float((np.abs(y - reference) / np.maximum(size, 1.0)).max())


def check(folder, entry, sample) -> dict:
    """Load one exported file and compare it with the golden answers."""
    with np.load(folder / "golden.npz") as arrays:
        rows = dict(arrays)
    answers = import_module(FORMATS[entry["format"]].module).Answers(folder / entry["file"], entry)
    worst = max(difference(answers(rows[f"x_{n}"]), rows[f"y_{n}"]) for n in (1, 7))
    return dict(
        runtime=answers.runtime,
        difference=worst,
        latency_ms=latencies(answers, rows["x_7"], fixed_batch=entry["batch"]),
    )


def main(folder, sample, *keys):
    folder = Path(folder)
    file = folder / "kzoo.json"
    exports = read_json(file)["exports"]
    if any(exports[key]["format"] in ("keras", "saved_model") for key in keys):
        import_module("keras").utils.disable_interactive_logging()
    serve_steps(keys, lambda key: check(folder, exports[key], None if sample == "-" else sample))


if __name__ == "__main__":
    main(*sys.argv[1:])
