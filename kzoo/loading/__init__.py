"""Opening models from anywhere: what a file may name, and the looks inside before Keras opens it."""

from kzoo.loading.door import load_model, load_run, load_weights_file
from kzoo.loading.foreign import inspect_keras_file, load_keras_file, loss_named_in, registered_in
from kzoo.loading.stored import arrays_of, load_stored

__all__ = [
    "arrays_of", "inspect_keras_file", "load_keras_file", "load_model", "load_run", "load_stored", "load_weights_file",
    "loss_named_in", "registered_in",
]  # fmt: skip
