"""Transformer encoders: text, image patches, series patches and table columns.

Classification presets with `target_scale=None` also support regression.
"""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="imdb_transformer", family="transformer", task="text_classification", dataset="imdb",
    summary="The tutorial's encoder in its original size, corrected: positions, masks, heads that share the width.",
    reference="https://arxiv.org/abs/1706.03762", params=1_357_513,
    config=dict(inputs="tokens", input_shape=(200,), outputs=1, vocabulary_size=10_000, width=128, depth=1, num_heads=4,
                intermediate_dim=32, activation="relu", norm_position="post", dropout=0.1, positions="sinusoidal",
                pooling="mean", dense_units=(20,), dense_dropout=0.1, output_activation="sigmoid"),
    training=dict(optimizer="adam", learning_rate=5e-4, schedule="constant", global_clipnorm=1.0, batch_size=64,
                  epochs=10, metrics=("accuracy", "auc"), patience=3),
))

register(Preset(
    name="text_transformer", family="transformer", task="text_classification", dataset="pydocs",
    summary="Sentences: a small post-norm encoder, in which rarely trained words have little influence.",
    reference="https://arxiv.org/abs/1706.03762", params=1_317_698,
    config=dict(inputs="tokens", input_shape=(64,), outputs=2, vocabulary_size=20_000, width=64, depth=1, num_heads=4,
                intermediate_dim=128, activation="gelu", norm_position="post", dropout=0.3, positions="learned",
                pooling="mean", dense_dropout=0.3, output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=3e-3, schedule="cosine", warmup=0.1, weight_decay=0.01,
                  global_clipnorm=1.0, label_smoothing=0.1, labels="onehot", batch_size=64, epochs=4, min_steps=600,
                  metrics=("accuracy",), monitor="val_accuracy", patience=3),
))

register(Preset(
    name="cifar_vit", family="transformer", task="image_classification", dataset="cifar10",
    summary="A small vision transformer over 4x4 patches: with as many images and epochs, convolutional "
            "networks learn more.",
    reference="https://arxiv.org/abs/2010.11929", params=811_146,
    config=dict(inputs="image", input_shape=(32, 32, 3), outputs=10, patch_size=4, width=128, depth=6, num_heads=4,
                intermediate_dim=256, activation="gelu", norm_position="pre", dropout=0.1, positions="learned",
                pooling="cls", output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.1, weight_decay=0.05,
                  global_clipnorm=1.0, batch_size=128, epochs=100, min_steps=1000, metrics=("accuracy",), patience=15,
                  augment=("flip", "shift")),
))

register(Preset(
    name="series_transformer", family="transformer", task="forecasting", dataset="sine",
    summary="PatchTST: patches of each column separately, instance norm, and the paper's sizes for small data sets.",
    reference="https://arxiv.org/abs/2211.14730", params=21_064,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, patch_size=16, patch_stride=8,
                width=16, depth=3, num_heads=4, intermediate_dim=128, activation="gelu", norm="batch",
                norm_position="post", dropout=0.3, positions="learned", pooling="flatten", output_activation=None,
                reversible_norm=True),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=20, loss="mse", metrics=("mae",), patience=5),
))

register(Preset(
    name="tabular_transformer", family="transformer", task="tabular_classification", dataset="breast_cancer",
    summary="FT-Transformer: every column becomes a token.",
    reference="https://arxiv.org/abs/2106.11959", params=19_170,
    config=dict(inputs="rows", input_shape=(30,), outputs=2, width=32, depth=2, num_heads=4, intermediate_dim=64,
                activation="gelu", norm_position="pre", dropout=0.1, positions=None, pooling="cls",
                output_activation="softmax", target_scale=None, target_offset=None),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.05, weight_decay=0.0001,
                  global_clipnorm=1.0, batch_size=64, epochs=50, min_steps=2000, metrics=("accuracy",), patience=10),
))

register(Preset(
    name="char_transformer", family="transformer", task="language_modeling", dataset="pydocs",
    summary="Causal character language model: every step sees only what came before.",
    reference="https://arxiv.org/abs/1706.03762", params=572_260,
    config=dict(inputs="tokens", input_shape=(128,), outputs=100, vocabulary_size=100, width=128, depth=4, num_heads=4,
                intermediate_dim=256, activation="gelu", norm_position="pre", dropout=0.1, positions="learned",
                pooling=None, causal=True, output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.05, weight_decay=0.01,
                  global_clipnorm=1.0, batch_size=32, epochs=15, metrics=("accuracy",), patience=3,
                  tokenizer="characters"),
))

register(Preset(
    name="char_gpt", family="transformer", task="language_modeling", dataset="pydocs",
    summary="Causal character language model with a current design: rotary positions, RMS norms, Muon.",
    reference="https://arxiv.org/abs/2104.09864", params=1_813_924,
    config=dict(inputs="tokens", input_shape=(128,), outputs=100, vocabulary_size=100, width=192, depth=4, num_heads=4,
                intermediate_dim=768, activation="gelu", norm="rms", norm_position="pre", dropout=0.2,
                positions="rotary", pooling=None, causal=True, output_activation="softmax"),
    training=dict(optimizer="muon", learning_rate=3e-3, schedule="cosine", warmup=0.05, weight_decay=0.05,
                  global_clipnorm=1.0, batch_size=32, epochs=12, metrics=("accuracy",), patience=3,
                  tokenizer="characters"),
))
