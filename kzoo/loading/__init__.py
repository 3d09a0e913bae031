"""Loading of models from untrusted sources: files are inspected before Keras opens them."""

from kzoo.loading.keras_file import inspect_keras_file, load_keras_file, loss_named_in, registered_in
from kzoo.loading.load import load_model, load_run, load_weights_file
from kzoo.loading.packaged_weights import arrays_of, load_packaged

__all__ = [
    "arrays_of", "inspect_keras_file", "load_keras_file", "load_model", "load_packaged", "load_run",
    "load_weights_file", "loss_named_in", "registered_in",
]  # fmt: skip
