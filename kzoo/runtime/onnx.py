"""ONNX files, run by ONNX Runtime."""

import numpy as np

from kzoo.errors import KzooError
from kzoo.optional import require
from kzoo.runtime.external import has_external_data
from kzoo.words import first_line

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int32)": np.int32,
          "tensor(int64)": np.int64}  # fmt: skip


class Session:
    """An ONNX model that is open; called with an array it gives an array.

    Args:
        content: the bytes of the file.
        name: what errors call it.

    Raises:
        KzooError: it wants other files, or ONNX Runtime does not take it.
    """

    def __init__(self, content, name):
        self._name = name
        try:
            external = has_external_data(content)
        except ValueError:
            raise KzooError(f"{name} is no ONNX file.") from None
        if external:
            raise KzooError(f"{name} reads its weights from other files, which kzoo never writes; it is not opened.")
        runtime = require("onnxruntime", extra="onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised too
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            given, gives = self._session.get_inputs()[0], self._session.get_outputs()[0]
            self._input, self._output, self._type = given.name, gives.name, _TYPES[given.type]
        except Exception as error:  # its exceptions have no common class
            raise KzooError(f"ONNX Runtime cannot open {name}: {first_line(error)}") from None
        size = given.shape[0] if given.shape else None
        self.batch = size if isinstance(size, int) else None

    def __call__(self, x):
        try:
            return self._session.run([self._output], {self._input: x.astype(self._type)})[0]
        except Exception as error:
            raise KzooError(f"{self._name} does not take inputs {x.shape}: {first_line(error)}") from None
