"""Simple recurrent networks: the baseline that LSTM and GRU improve on."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="imdb_rnn", family="rnn", task="text_classification", dataset="imdb",
    summary="The tutorial's text classifier: two simple recurrent layers of 64 and 32.",
    reference="https://doi.org/10.1207/s15516709cog1402_1", params=1_295_489,
    config=dict(inputs="tokens", input_shape=(200,), outputs=1, vocabulary_size=10_000, embedding_dim=128,
                units=(64, 32), pooling="last", output_activation="sigmoid"),
    training=dict(optimizer="adam", learning_rate=5e-4, schedule="constant", global_clipnorm=1.0, batch_size=64,
                  epochs=10, metrics=("accuracy", "auc"), patience=3),
))

register(Preset(
    name="text_rnn", family="rnn", task="text_classification", dataset="pydocs",
    summary="Sentence classifier with the simplest recurrent layer; averaging over the words helps it remember.",
    reference="https://doi.org/10.1207/s15516709cog1402_1", params=1_288_386,
    config=dict(inputs="tokens", input_shape=(64,), outputs=2, vocabulary_size=20_000, embedding_dim=64,
                embedding_dropout=0.3, units=(64,), dropout=0.3, pooling="mean", output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="constant", global_clipnorm=1.0, batch_size=64,
                  epochs=10, metrics=("accuracy",), patience=3, min_steps=1500),
))

register(Preset(
    name="series_rnn", family="rnn", task="forecasting", dataset="sine",
    summary="Forecasting with a simple recurrent layer.",
    reference="https://doi.org/10.1207/s15516709cog1402_1", params=5_784,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, units=(64,), pooling="last",
                output_activation=None, reversible_norm=True),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=20, loss="mse", metrics=("mae",), patience=5),
))

register(Preset(
    name="adding_rnn", family="rnn", task="sequence_regression", dataset="adding",
    summary="The adding problem over 100 steps, where a simple recurrent network lags behind LSTM and GRU.",
    reference="https://arxiv.org/abs/1504.00941", params=4_353,
    config=dict(inputs="series", input_shape=(100, 2), outputs=1, units=(64,), pooling="last", output_activation=None,
                rescale=False),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="constant", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=20, loss="mse", metrics=("mae",), patience=20),
))
