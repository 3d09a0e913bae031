"""The time of a training step of `kzoo.build(p)` relative to the same layers written by hand in Keras."""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers as L
from keras import ops

import kzoo


def cifar_by_hand(rescale=True, momentum=0.9):
    model = [keras.Input((32, 32, 3)), *([L.Rescaling(1 / 255)] if rescale else [])]
    for filters, rate in ((32, 0.2), (64, 0.3), (128, 0.4)):
        for _ in range(2):
            model += [
                L.Conv2D(filters, 3, padding="same", activation="relu"),
                L.BatchNormalization(momentum=momentum),
            ]
        model += [L.MaxPooling2D(), L.Dropout(rate)]
    model += [
        L.Flatten(),
        L.Dense(128, activation="relu"),
        L.BatchNormalization(momentum=momentum),
        L.Dropout(0.5),
    ]
    return keras.Sequential([*model, L.Dense(10, activation="softmax")])


def lstm_by_hand():
    return keras.Sequential(
        [
            keras.Input((200,), dtype="int32"),
            L.Embedding(10_000, 128),
            L.LSTM(128, return_sequences=True),
            L.Dropout(0.2),
            L.LSTM(64),
            L.Dropout(0.2),
            L.Dense(32, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def transformer_by_hand():
    """The tutorial's encoder, corrected: sinusoidal positions, padding mask, heads that share the width."""
    ids = keras.Input((200,), dtype="int32")
    mask = ops.not_equal(ids, 0)
    position = ops.cast(ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1, "float32")
    rates = np.exp(-np.log(10_000.0) * np.arange(64) / 64).astype("float32")
    angle = ops.expand_dims(position, -1) * rates
    x = L.Embedding(10_000, 128)(ids) + ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)
    x = L.Dropout(0.1)(x)
    attended = L.MultiHeadAttention(4, 32)(x, x, attention_mask=ops.expand_dims(mask, 1))
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dropout(0.1)(attended))
    inner = L.Dense(128)(L.Dense(32, activation="relu")(x))
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dropout(0.1)(inner))
    weight = ops.expand_dims(ops.cast(mask, "float32"), -1)
    x = ops.sum(x * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)
    x = L.Dropout(0.1)(L.Dense(20, activation="relu")(L.Dropout(0.1)(x)))
    return keras.Model(ids, L.Dense(1, activation="sigmoid")(x))


BY_HAND = {
    "cifar_cnn": cifar_by_hand,
    "imdb_lstm": lstm_by_hand,
    "imdb_transformer": transformer_by_hand,
}


def compile_by_hand(model, preset):
    training = kzoo.get_preset(preset).training
    kind = keras.optimizers.AdamW if training["optimizer"] == "adamw" else keras.optimizers.Adam
    decay = training["weight_decay"] or None
    optimizer = kind(
        training["learning_rate"], weight_decay=decay, global_clipnorm=training["global_clipnorm"]
    )
    binary = model.output_shape[-1] == 1
    metrics = ["accuracy", keras.metrics.AUC()] if "auc" in training["metrics"] else ["accuracy"]
    model.compile(
        optimizer,
        "binary_crossentropy" if binary else "sparse_categorical_crossentropy",
        metrics=metrics,
    )
    return model


def data_for(preset, rng):
    if preset == "cifar_cnn":
        return rng.integers(0, 256, (64, 32, 32, 3)).astype("float32"), rng.integers(0, 10, 64)
    rows = rng.integers(2, 10_000, (64, 200)).astype("int32")
    rows[::2, 150:] = 0
    return rows, rng.integers(0, 2, 64)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=list(BY_HAND))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    for preset in args.presets:
        x, y = data_for(preset, np.random.default_rng(0))
        models = {
            "kzoo": kzoo.build(preset, seed=0),
            "by hand": compile_by_hand(BY_HAND[preset](), preset),
        }
        best = dict.fromkeys(models, np.inf)
        for round_ in range(args.rounds):
            for name, model in models.items():
                for _ in range(args.steps):
                    began = time.perf_counter()
                    model.train_on_batch(x, y)
                    if round_:
                        best[name] = min(best[name], time.perf_counter() - began)
        print(
            json.dumps(
                {
                    "what": f"step of {preset} over the same by hand",
                    "ratio": round(best["kzoo"] / best["by hand"], 3),
                    "bar": 1.03,
                    "ms": {k: round(1e3 * v, 2) for k, v in best.items()},
                    "parameters": [m.count_params() for m in models.values()],
                }
            )
        )


if __name__ == "__main__":
    main()
