"""Long short-term memory networks."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="imdb_lstm", family="lstm", task="text_classification", dataset="imdb",
    summary="The tutorial's sentiment model: LSTM layers of 128 and 64 with dropout.",
    reference="https://doi.org/10.1162/neco.1997.9.8.1735", params=1_463_105,
    config=dict(inputs="tokens", input_shape=(200,), outputs=1, vocabulary_size=10_000, embedding_dim=128,
                units=(128, 64), dropout=0.2, pooling="last", dense_units=(32,), output_activation="sigmoid"),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="constant", global_clipnorm=1.0,
                  precision="mixed_bfloat16", batch_size=64, epochs=10, metrics=("accuracy", "auc"), patience=3),
))

register(Preset(
    name="text_lstm", family="lstm", task="text_classification", dataset="pydocs",
    summary="Sentence classifier: one LSTM layer, averaged over its steps.",
    reference="https://doi.org/10.1162/neco.1997.9.8.1735", params=1_313_154,
    config=dict(inputs="tokens", input_shape=(64,), outputs=2, vocabulary_size=20_000, embedding_dim=64,
                embedding_dropout=0.3, units=(64,), dropout=0.3, pooling="mean", output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="constant", global_clipnorm=1.0, ema=0.99,
                  batch_size=64, epochs=10, metrics=("accuracy",), patience=3, min_steps=1500),
))

register(Preset(
    name="text_bilstm", family="lstm", task="text_classification", dataset="pydocs",
    summary="Sentence classifier that reads in both directions.",
    reference="https://doi.org/10.1016/j.neunet.2005.06.042", params=1_346_306,
    config=dict(inputs="tokens", input_shape=(64,), outputs=2, vocabulary_size=20_000, embedding_dim=64,
                embedding_dropout=0.3, units=(64,), bidirectional=True, dropout=0.3, pooling="max",
                output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="constant", global_clipnorm=1.0, batch_size=64,
                  epochs=10, metrics=("accuracy",), patience=3, min_steps=1500),
))

register(Preset(
    name="series_lstm", family="lstm", task="forecasting", dataset="sine",
    summary="Forecasting with an LSTM layer.",
    reference="https://doi.org/10.1162/neco.1997.9.8.1735", params=18_456,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, units=(64,), pooling="last",
                output_activation=None, reversible_norm=True),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=20, loss="mse", metrics=("mae",), patience=5),
))

register(Preset(
    name="adding_lstm", family="lstm", task="sequence_regression", dataset="adding",
    summary="The adding problem: remembering two numbers over 100 steps.",
    reference="https://doi.org/10.1162/neco.1997.9.8.1735", params=17_217,
    config=dict(inputs="series", input_shape=(100, 2), outputs=1, units=(64,), pooling="last", output_activation=None,
                rescale=False),
    training=dict(optimizer="adam", learning_rate=3e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=30, loss="mse", metrics=("mae",), patience=30),
))
