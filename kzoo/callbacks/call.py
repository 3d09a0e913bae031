"""What `fit` was called with."""

import sys

import keras


def arguments_of_fit(model):
    """Return the `validation_data` and the list of `callbacks` of the `fit` that is running, or {} if it is not seen.

    Keras 3 tells a callback neither before the first epoch ends. Both are variables of the `fit` that calls us, on
    every backend; should that change, the checks that need them come at the end of the first epoch instead.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "fit":
            seen = frame.f_locals
            if seen.get("self") is model and isinstance(seen.get("callbacks"), keras.callbacks.CallbackList):
                return dict(validation_data=seen.get("validation_data"), callbacks=list(seen["callbacks"].callbacks))
        frame = frame.f_back
    return {}
