"""Export a run or a model to a self-contained folder, checked in the runtime of each format.

Only the standard library is imported until `export` is called.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from kzoo.inference.exported import MANIFEST, ExportedModel
from kzoo.utils.address import is_remote_address
from kzoo.utils.argument_checks import checked_arguments
from kzoo.zoo.untracked import as_run

if TYPE_CHECKING:
    import keras

    from kzoo.data.dataset import Loadable
    from kzoo.zoo.run import Run


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
    author: str | None = None,
    sign: str | os.PathLike[str] | None = None,
    timeout: float = 600,
    progress: bool = True,
) -> ExportedModel:
    """Export a run or a model to a folder that depends neither on this machine nor on the training data.

    Each format is converted in a separate process, loaded in a fresh process by its own runtime, and compared with
    Keras on golden inputs: batches of 1 and 7 rows, including edge cases. Formats that fail are reported in
    `ExportedModel.exports`, and their files are removed. The folder is written completely or not at all.

    Args:
        model_or_run: a run or its path, the name of a preset with pretrained weights in the package, a model built by
            `kzoo.build`, or a custom Keras model with one input and one output.
        path: the folder to write; or an address such as "s3://bucket/models/1", to which it is uploaded whole.
        formats: one or several of "keras", "saved_model" (https://www.tensorflow.org/guide/saved_model), "onnx"
            (https://onnx.ai), "litert" (https://ai.google.dev/edge/litert), "c", "html" and "html_folder" (one module
            each in `kzoo/export/formats/`).
        weights: name of the pretrained weights, if a preset has several.
        quantize: "float16", "int8" or both: additional quantized files for onnx and litert.
        verify: False skips the comparison with Keras, so the files are not known to work.
        data: the training data of the run, to calibrate and score int8; not needed for named data sets. Without data,
            random inputs that resemble the training data are used.
        overwrite: replace an export of another model. An export of the same model gets the new formats added.
        author: a name, and an address if you like, for the model card and the page. By default that of the export to
            which formats are added, if it has one.
        sign: path of a private SSH key, or of a public one whose private key the SSH agent has, by which `ssh-keygen`
            signs the manifest, and with it every file (`ExportedModel.signature` verifies it).
        timeout: seconds that one conversion or one check may take.
        progress: False prints nothing.

    Returns:
        An `ExportedModel`.

    Raises:
        KzooError: invalid input, a missing package, or a model that a format does not support. Nothing is written.
        ExportError: all formats failed. Nothing is written.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> exported = kzoo.export(run, "exports/iris", formats=["onnx"])
        >>> exported.exports["onnx"]["status"]
        'ok'
        >>> kzoo.runtime.load("exports/iris").predict(np.array([[5.1, 3.5, 1.4, 0.2]])).labels
        ['setosa']
    """
    if weights is not None:
        model_or_run = as_run(model_or_run, weights)
    if is_remote_address(path):
        uploads = import_module("kzoo.cloud.uploads")
        with uploads.uploaded(path, MANIFEST, is_complete=_is_exported, resumes=False) as target:
            export(
                model_or_run,
                target.folder,
                formats,
                quantize=quantize,
                verify=verify,
                data=data,
                overwrite=overwrite,
                author=author,
                sign=sign,
                timeout=timeout,
                progress=progress,
            )
        return ExportedModel(target.result)
    return import_module("kzoo.export.make").export_model(
        model_or_run,
        path,
        formats,
        quantize=quantize,
        check=verify,
        data=data,
        overwrite=overwrite,
        author=author,
        sign=sign,
        timeout=timeout,
        progress=progress,
    )


def _is_exported(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


class _CallableModule(ModuleType):
    """A module that can be called: `kzoo.export` is both this package and the public function."""

    __call__ = staticmethod(export)


module = sys.modules[__name__]
module.__class__ = _CallableModule
module.__doc__ = export.__doc__  # help(kzoo.export) and kzoo.export? are about the function
module.__signature__ = signature(export)  # type: ignore[attr-defined]
