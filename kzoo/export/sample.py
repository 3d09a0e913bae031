"""Sample rows for int8: to calibrate its scales and to score it. They are not part of the export."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from kzoo.data.named import NAMES
from kzoo.data.reload import load_again
from kzoo.data.sample import sample_dataset
from kzoo.export.golden_inputs import draw
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset
    from kzoo.export.export_source import ExportSource
    from kzoo.zoo.run import Run


_CALIBRATION, _TEST = 512, 500  # rows; 128 calibration rows often miss the extreme values


def write_sample(subject: "ExportSource", data: object, file: Path) -> str:
    """Write calibration rows and test rows to an `.npz` file; return a sentence that describes them.

    The arrays are `calibration` (training rows), `x` (test rows) and, if known, `truth` (their targets).

    Raises:
        KzooError: the data is not the training data of the run.
    """
    random = np.random.default_rng(0)
    if data is not None and (subject.run is None or subject.run.path is None):
        x, truth = data if isinstance(data, tuple) else (data, None)
        x = _rows(x, range(len(x)), subject)
        arrays: dict[str, Any] = {"calibration": x[:_CALIBRATION], "x": x[-_TEST:]}
        if truth is not None:
            arrays["truth"] = np.asarray(truth)[-_TEST:]
        np.savez(file, **arrays)
        return f"int8 is calibrated on {len(arrays['calibration'])} rows of data="
    dataset, reason = (
        _data_of(subject.run, data) if subject.run else (None, "the model was not trained by kzoo")
    )
    if dataset is None:
        input_spec = subject.input_spec
        np.savez(
            file,
            calibration=draw(input_spec, _CALIBRATION, seed=2),
            x=draw(input_spec, _TEST, seed=3),
        )
        return f"int8 is calibrated and compared on random inputs: {reason}"
    dataset = sample_dataset(dataset)
    split = dataset.test or dataset.validation or dataset.train
    rows = random.permutation(len(split))[:_TEST]
    np.savez(
        file,
        calibration=_rows(
            dataset.train.x, random.permutation(len(dataset.train))[:_CALIBRATION], subject
        ),
        x=_rows(split.x, rows, subject),
        truth=np.asarray(split.y[rows]),
    )
    return f"int8 is calibrated on training rows of {dataset.name} and scored on {len(rows)} other rows"


def _rows(x: np.ndarray, rows: ArrayLike, subject: "ExportSource") -> np.ndarray:
    return np.ascontiguousarray(x[np.asarray(rows)], dtype=subject.input_spec["dtype"])


def _data_of(run: "Run", source: object) -> "tuple[Dataset | None, str]":
    """Return (data set of the run, ""), or (None, the reason why it is not available)."""
    if source is None and run.data.name not in NAMES:
        return None, f"{run.data.name} is not a named data set and data= was not passed"
    try:
        return load_again(run.spec, run.data, source, what=f"what {run.path} was trained on"), ""
    except KzooError as error:
        if source is not None:
            raise
        return None, str(error)
