"""Run an exported model without Keras: ONNX Runtime or LiteRT, NumPy, and nothing else that is large.

    import kzoo.runtime

    model = kzoo.runtime.load("exports/cifar")
    model.predict("photo.jpg").labels

Neither TensorFlow, Keras, pandas, scikit-learn nor matplotlib is imported; Pillow is when an image file is decoded.
"""

from kzoo.predictions import Predictions
from kzoo.runtime.model import Model, chosen, load

__all__ = ["Model", "Predictions", "chosen", "load"]
