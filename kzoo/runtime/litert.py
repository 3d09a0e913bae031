"""LiteRT files, run by ai-edge-litert."""

import numpy as np

from kzoo.errors import KzooError
from kzoo.optional import require
from kzoo.words import first_line


class Session:
    """A LiteRT model that is open; called with an array it gives an array.

    Args:
        content: the bytes of the file.
        name: what errors call it.

    Raises:
        KzooError: LiteRT does not take it.
    """

    def __init__(self, content, name):
        self._name = name
        require("ai_edge_litert", extra="litert")
        runtime = require("ai_edge_litert.interpreter", extra="litert")
        try:
            self._model = runtime.Interpreter(model_content=content)
            self._model.allocate_tensors()
            given, gives = self._model.get_input_details()[0], self._model.get_output_details()[0]
        except (ValueError, RuntimeError, IndexError) as error:
            raise KzooError(f"LiteRT cannot open {name}: {first_line(error)}") from None
        self._input, self._output, self._type = given["index"], gives["index"], given["dtype"]
        self._shape = tuple(given["shape"])
        size = int(given["shape_signature"][0])
        self.batch = None if size < 0 else size  # recurrent layers: the one batch size of the export

    def __call__(self, x):
        try:
            if x.shape != self._shape:
                self._model.resize_tensor_input(self._input, x.shape)
                self._model.allocate_tensors()
                self._shape = x.shape
            self._model.set_tensor(self._input, np.ascontiguousarray(x, self._type))
            self._model.invoke()
            return self._model.get_tensor(self._output)
        except (ValueError, RuntimeError) as error:
            raise KzooError(f"{self._name} does not take inputs {x.shape}: {first_line(error)}") from None
