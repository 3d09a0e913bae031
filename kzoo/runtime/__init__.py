"""Run an exported model without Keras, with NumPy and either ONNX Runtime or LiteRT.

    import kzoo.runtime

    model = kzoo.runtime.load("exports/cifar")
    model.predict("photo.jpg").labels

TensorFlow, Keras, pandas, scikit-learn and matplotlib are not imported. Pillow is imported to decode image files.
"""

from kzoo.inference.predictions import Predictions
from kzoo.runtime.model import Model, chosen, load

__all__ = ["Model", "Predictions", "chosen", "load"]
