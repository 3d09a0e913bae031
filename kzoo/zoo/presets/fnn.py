"""Feed-forward networks: tables, a line, and flattened digits.

Classification presets with `target_scale=None` also support regression.
"""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="iris_fnn", family="fnn", task="tabular_classification", dataset="iris",
    summary="The tutorial's iris classifier: two hidden layers of 64 and 32.",
    reference="https://doi.org/10.1111/j.1469-1809.1936.tb02137.x", params=2_499,
    config=dict(inputs="rows", input_shape=(4,), outputs=3, units=(64, 32), activation="relu",
                output_activation="softmax", l2=1e-2),
    training=dict(optimizer="adam", learning_rate=3e-3, schedule="constant", batch_size=16, epochs=100,
                  metrics=("accuracy",), patience=30),
))

register(Preset(
    name="iris_fnn_wide", family="fnn", task="tabular_classification", dataset="iris",
    summary="The tutorial's wider classifier: 128, 64 and 32 with dropout.",
    reference="https://jmlr.org/papers/v15/srivastava14a.html", params=11_075,
    config=dict(inputs="rows", input_shape=(4,), outputs=3, units=(128, 64, 32), activation="relu",
                output_activation="softmax", dropout=(0.2, 0.2, 0.0), l2=3e-3),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="constant", batch_size=16, epochs=100,
                  metrics=("accuracy",), patience=20),
))

register(Preset(
    name="wine_fnn", family="fnn", task="tabular_classification", dataset="wine",
    summary="Cultivar of a wine from 13 chemical measurements.",
    reference="https://archive.ics.uci.edu/dataset/109/wine", params=3_075,
    config=dict(inputs="rows", input_shape=(13,), outputs=3, units=(64, 32), activation="relu",
                output_activation="softmax", dropout=0.2, l2=1e-4),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="constant", batch_size=16, epochs=60,
                  metrics=("accuracy",), patience=15),
))

register(Preset(
    name="cancer_fnn", family="fnn", task="tabular_classification", dataset="breast_cancer",
    summary="Benign or malignant from 30 measurements: one sigmoid output.",
    reference="https://doi.org/10.1117/12.148698", params=4_097,
    config=dict(inputs="rows", input_shape=(30,), outputs=1, units=(64, 32), activation="relu",
                output_activation="sigmoid", dropout=0.3, l2=1e-4),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="constant", batch_size=32, epochs=60,
                  class_weight="balanced", metrics=("accuracy", "auc"), patience=15),
))

register(Preset(
    name="diabetes_fnn", family="fnn", task="tabular_regression", dataset="diabetes",
    summary="Disease progression after a year from ten measurements: regression in the target's own unit.",
    reference="https://doi.org/10.1214/009053604000000067", params=1_237,
    config=dict(inputs="rows", input_shape=(10,), outputs=1, units=(32, 26), activation="relu", output_activation=None,
                dropout=0.1, l2=1e-3),
    training=dict(optimizer="adam", learning_rate=2e-3, schedule="constant", batch_size=32, epochs=100,
                  metrics=("mae",), patience=15),
))

register(Preset(
    name="line_fnn", family="fnn", task="tabular_regression", dataset="line",
    summary="The tutorial's 1-10-1 network on y = 4 + 3x plus noise.",
    reference="https://doi.org/10.1038/323533a0", params=31,
    config=dict(inputs="rows", input_shape=(1,), outputs=1, units=(10,), activation="relu", output_activation=None),
    training=dict(optimizer="sgd", learning_rate=0.1, schedule="constant", batch_size=32, epochs=100,
                  metrics=("mae",), patience=30),
))

register(Preset(
    name="mnist_fnn", family="fnn", task="image_classification", dataset="mnist",
    summary="Handwritten digits without convolutions: pixels flattened into two wide layers.",
    reference="https://doi.org/10.1109/5.726791", params=538_890,
    config=dict(inputs="image", input_shape=(28, 28, 1), outputs=10, units=(512, 256), activation="relu",
                output_activation="softmax", dropout=0.3, norm="batch"),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="cosine", warmup=0.05, batch_size=128, epochs=20,
                  min_steps=500, metrics=("accuracy",), patience=5),
))

register(Preset(
    name="tabular_fnn", family="fnn", task="tabular_classification", dataset="breast_cancer",
    summary="Any table with numbers and categories, for classification or regression; the width adapts to the data.",
    reference="https://arxiv.org/abs/2106.11189", params=21_762,
    config=dict(inputs="rows", input_shape=(30,), outputs=2, units=(128, 128), activation="relu",
                output_activation="softmax", dropout=0.2, norm="batch", target_scale=None, target_offset=None),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.05, weight_decay=1e-3,
                  batch_size=64, epochs=50, min_steps=2000, metrics=("accuracy",), patience=10),
))

register(Preset(
    name="tabular_resnet", family="fnn", task="tabular_classification", dataset="breast_cancer",
    summary="Residual blocks for larger tables.",
    reference="https://arxiv.org/abs/2106.11959", params=105_346,
    config=dict(inputs="rows", input_shape=(30,), outputs=2, units=(128, 128, 128), activation="relu",
                output_activation="softmax", dropout=0.2, norm="batch", residual=True, target_scale=None,
                target_offset=None),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.05, weight_decay=1e-3,
                  batch_size=64, epochs=50, min_steps=2000, metrics=("accuracy",), patience=10),
))

register(Preset(
    name="tabular_tabm", family="fnn", task="tabular_classification", dataset="breast_cancer",
    summary="Any table: 8 networks with shared weights on binned numbers; the prediction is their mean.",
    reference="https://arxiv.org/abs/2410.24210", params=147_440,
    config=dict(inputs="rows", input_shape=(30,), outputs=2, units=(256, 256), activation="relu",
                output_activation="softmax", dropout=0.1, bins=24, bins_dim=8, members=8, target_scale=None,
                target_offset=None),
    training=dict(optimizer="adamw", learning_rate=1e-2, schedule="constant", ema=0.97, weight_decay=3e-4,
                  global_clipnorm=1.0, batch_size=256, epochs=18, min_steps=2000, metrics=("accuracy",), patience=3),
))

register(Preset(
    name="text_ngrams", family="fnn", task="text_classification", dataset="pydocs",
    summary="Bag of words and word pairs: a linear model initialized as naive Bayes, trained in seconds.",
    reference="https://arxiv.org/abs/1607.01759", params=400_000,
    config=dict(inputs="tokens", input_shape=(512,), outputs=2, vocabulary_size=200_000, units=(), log_ratios=True,
                output_activation="softmax"),
    training=dict(optimizer="sgd", learning_rate=10.0, schedule="cosine", batch_size=64, epochs=20,
                  metrics=("accuracy",), patience=5, ngrams=2),
))
