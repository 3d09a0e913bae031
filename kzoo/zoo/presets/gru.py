"""Gated recurrent units: classification, forecasting and language models."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="text_gru", family="gru", task="text_classification", dataset="pydocs",
    summary="Sentence classifier: one GRU layer, averaged over its steps.",
    reference="https://arxiv.org/abs/1406.1078", params=1_305_090,
    config=dict(inputs="tokens", input_shape=(64,), outputs=2, vocabulary_size=20_000, embedding_dim=64,
                embedding_dropout=0.3, units=(64,), dropout=0.3, pooling="mean", output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="constant", global_clipnorm=1.0, ema=0.99,
                  batch_size=64, epochs=10, metrics=("accuracy",), patience=3, min_steps=1500),
))

register(Preset(
    name="language_gru", family="gru", task="language_modeling", dataset="pydocs",
    summary="The tutorial's language model, unchanged: three GRU layers that predict one next word per window.",
    reference="https://arxiv.org/abs/1406.1078", params=2_411_920,
    config=dict(inputs="tokens", input_shape=(50,), outputs=10000, vocabulary_size=10_000, embedding_dim=128,
                units=(256, 128, 64), dropout=0.2, pooling="last", output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="constant", global_clipnorm=1.0, batch_size=64,
                  epochs=10, metrics=("accuracy",), patience=3),
))

register(Preset(
    name="char_gru", family="gru", task="language_modeling", dataset="pydocs",
    summary="Character language model that predicts the next character at every step; a stateful copy generates text.",
    reference="https://karpathy.github.io/2015/05/21/rnn-effectiveness/", params=279_396,
    config=dict(inputs="tokens", input_shape=(100,), outputs=100, vocabulary_size=100, embedding_dim=64, units=(256,),
                dropout=0.2, pooling=None, output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=3e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=32, epochs=15, metrics=("accuracy",), patience=3, tokenizer="characters"),
))

register(Preset(
    name="char_gru_deep", family="gru", task="language_modeling", dataset="pydocs",
    summary="Character language model with two wide layers: trains on a one-megabyte book in half an hour, on JAX.",
    reference="https://arxiv.org/abs/1409.2329", params=1_451_876,
    config=dict(inputs="tokens", input_shape=(128,), outputs=100, vocabulary_size=100, embedding_dim=64,
                units=(384, 384), dropout=0.3, layer_norm=True, pooling=None, output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=32, epochs=20, metrics=("accuracy",), patience=3, tokenizer="characters"),
))

register(Preset(
    name="series_gru", family="gru", task="forecasting", dataset="sine",
    summary="Forecasting with a GRU layer.",
    reference="https://arxiv.org/abs/1406.1078", params=14_424,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, units=(64,), pooling="last",
                output_activation=None, reversible_norm=True),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=20, loss="mse", metrics=("mae",), patience=5),
))

register(Preset(
    name="adding_gru", family="gru", task="sequence_regression", dataset="adding",
    summary="The adding problem, with fewer weights than an LSTM.",
    reference="https://arxiv.org/abs/1406.1078", params=13_121,
    config=dict(inputs="series", input_shape=(100, 2), outputs=1, units=(64,), pooling="last", output_activation=None,
                rescale=False),
    training=dict(optimizer="adam", learning_rate=3e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=30, loss="mse", metrics=("mae",), patience=30),
))
