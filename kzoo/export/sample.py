"""Rows for int8: some to find its scales with, some to see what it costs. None of them is exported."""

import numpy as np

from kzoo.data.named import NAMES
from kzoo.data.reload import load_again
from kzoo.dataset.sample import with_samples
from kzoo.export.golden_inputs import draw
from kzoo.utils.errors import KzooError

_CALIBRATION, _TEST = 512, 500  # of 128 rows, the extremes are often not those of others


def write_sample(subject, data, file) -> str:
    """Write training rows (`calibration`) and test rows (`x`, and `truth` where it is known); say what they are.

    Raises:
        KzooError: data that is not what the run was trained on.
    """
    random = np.random.default_rng(0)
    if data is not None and (subject.run is None or subject.run.path is None):
        x, truth = data if isinstance(data, tuple) else (data, None)
        x = _rows(x, range(len(x)), subject)
        arrays = {"calibration": x[:_CALIBRATION], "x": x[-_TEST:]}
        if truth is not None:
            arrays["truth"] = np.asarray(truth)[-_TEST:]
        np.savez(file, **arrays)
        return f"int8 is calibrated on {len(arrays['calibration'])} of the given rows"
    found, why = _data_of(subject.run, data) if subject.run else (None, "it was not trained by kzoo")
    if found is None:
        given = subject.given
        np.savez(file, calibration=draw(given, _CALIBRATION, seed=2), x=draw(given, _TEST, seed=3))
        return f"int8 is calibrated and compared on drawn inputs: {why}"
    found = with_samples(found)
    part = found.test or found.validation or found.train
    rows = random.permutation(len(part))[:_TEST]
    np.savez(
        file,
        calibration=_rows(found.train.x, random.permutation(len(found.train))[:_CALIBRATION], subject),
        x=_rows(part.x, rows, subject),
        truth=np.asarray(part.y[rows]),
    )
    return f"int8 is calibrated on training rows of {found.name}, and scored on {len(rows)} others"


def _rows(x, rows, subject):
    return np.ascontiguousarray(x[np.asarray(rows)], dtype=subject.given["dtype"])


def _data_of(run, source):
    """Return the run's data, or None and the reason."""
    if source is None and run.data.name not in NAMES:
        return None, f"{run.data.name} is not a named set, and data= was not given"
    try:
        return load_again(run.spec, run.data, source, what=f"what {run.path} was trained on"), ""
    except KzooError as error:
        if source is not None:
            raise
        return None, str(error)
