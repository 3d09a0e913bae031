"""Functions that build a small network, as tutorials of KerasTuner write them: a module that a process can import."""

import keras
import keras_tuner as kt


def compiled(layers, rate=0.01):
    model = keras.Sequential(
        [keras.layers.Input((4,)), *layers, keras.layers.Dense(3, activation="softmax")]
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def build_dense(hp):
    layers = []
    for i in range(hp.Int("layers", 1, 2)):
        layers.append(keras.layers.Dense(hp.Int(f"units_{i}", 4, 12, step=4), activation="tanh"))
        if hp.Boolean(f"drop_{i}"):
            layers.append(keras.layers.Dropout(hp.Float(f"share_{i}", 0.1, 0.3, step=0.1)))
    return compiled(layers, hp.Float("rate", 1e-3, 1e-1, sampling="log", default=0.03))


class Dense(kt.HyperModel):
    def __init__(self, activation):
        super().__init__(name="dense")
        self.activation = activation

    def build(self, hp):
        return compiled(
            [keras.layers.Dense(hp.Choice("units", [4, 8]), activation=self.activation)]
        )


class WithFit(Dense):
    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [8, 16]), **kwargs)
