"""Export: a run or a model becomes a folder that works where it lands, checked in each format's own runtime.

Light: only the standard library is imported until something is exported.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from kzoo.exported import ExportedModel
from kzoo.untracked import as_run
from kzoo.utils.argument_checks import checked_arguments

if TYPE_CHECKING:
    import keras

    from kzoo.dataset.dataset import Loadable
    from kzoo.run import Run


@checked_arguments
def export(
    model_or_run: "Run | str | os.PathLike[str] | keras.Model",
    path: str | os.PathLike[str],
    formats: str | Sequence[str] = "saved_model",
    *,
    weights: str | None = None,
    quantize: str | Sequence[str] | None = None,
    verify: bool = True,
    data: "Loadable | None" = None,
    overwrite: bool = False,
    timeout: float = 600,
    progress: bool = True,
) -> ExportedModel:
    """Export a run or a model: write a folder that needs neither this machine nor the training data.

    Every format is converted in a process of its own, loaded again in a fresh one by its own runtime, and compared
    with Keras on golden inputs: 1 and 7 rows, edge cases among them. What fails is reported in
    `ExportedModel.exports`, and no file of it is kept. The folder is written whole or not at all.

    Args:
        model_or_run: a run or its path, the name of a preset that has weights in the package, a model that `kzoo.build`
            made, or a Keras model of your own with one input and one output.
        path: the folder to write.
        formats: "keras", "saved_model", "onnx", "litert" (a file of `kzoo/export/formats/` each), or several.
        weights: which ones, where a preset has several.
        quantize: also write "float16" or "int8" files, or both, beside those of onnx and litert.
        verify: False skips the comparison: nothing then says that a file works.
        data: what the run was trained on, to calibrate int8 and score it; named sets need not be given. Without data,
            inputs are drawn that look like those of the training.
        overwrite: replace an export of another model. To an export of the same model, formats are added.
        timeout: seconds that one conversion or one check may take.
        progress: False for silence.

    Returns:
        An `ExportedModel`.

    Raises:
        KzooError: bad input, a missing package, or what a format cannot do; nothing has been written.
        ExportError: every format failed; nothing has been written.
    """
    if weights is not None:
        model_or_run = as_run(model_or_run, weights)
    return import_module("kzoo.export.make").export_model(
        model_or_run, path, formats, quantize=quantize, check=verify, data=data, overwrite=overwrite,
        timeout=timeout, progress=progress,
    )  # fmt: skip


class _Door(ModuleType):
    """The package is also the function, for `kzoo.export(...)` is both names."""

    __call__ = staticmethod(export)


sys.modules[__name__].__class__ = _Door
