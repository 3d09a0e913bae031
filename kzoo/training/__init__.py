"""Training: `train` makes a `Run`, a folder that can be zipped, sent and reopened."""

from kzoo.training.keras_fit import fit_arguments
from kzoo.training.train import train

__all__ = ["fit_arguments", "train"]
