"""Loading of models from untrusted sources: files are inspected before Keras opens them."""

from kzoo.zoo.loading.keras_file import (
    custom_objects_of,
    inspect_keras_file,
    load_keras_file,
    stored_loss_name,
)
from kzoo.zoo.loading.load import load_exported, load_model, load_run, load_weights_file
from kzoo.zoo.loading.packaged_weights import load_packaged, weights_by_name

__all__ = [
    "custom_objects_of",
    "inspect_keras_file",
    "load_exported",
    "load_keras_file",
    "load_model",
    "load_packaged",
    "load_run",
    "load_weights_file",
    "stored_loss_name",
    "weights_by_name",
]
