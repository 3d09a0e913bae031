"""Convolutional networks: images in two dimensions, text and series in one."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="digits_cnn", family="cnn", task="image_classification", dataset="digits",
    summary="8x8 handwritten digits in seconds: the first model to train.",
    reference="https://archive.ics.uci.edu/dataset/80", params=100_458,
    config=dict(inputs="image", input_shape=(8, 8, 1), outputs=10, block="plain", filters=(32, 64), depth=2,
                kernel_size=3, norm="batch", dropout=0.2, pooling="flatten", units=(128,), units_norm="batch",
                units_dropout=0.5, activation="relu", output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=2e-3, schedule="cosine", warmup=0.05, weight_decay=1e-4,
                  batch_size=32, epochs=30, min_steps=1000, metrics=("accuracy",), patience=10),
))

register(Preset(
    name="mnist_cnn", family="cnn", task="image_classification", dataset="mnist",
    summary="The tutorial's 28x28 network: three valid convolutions and a dense layer.",
    reference="https://doi.org/10.1109/5.726791", params=93_322,
    config=dict(inputs="image", input_shape=(28, 28, 1), outputs=10, block="plain", filters=(32, 64, 64), depth=1,
                kernel_size=3, padding="valid", pool_size=(2, 2, 1), pooling="flatten", units=(64,), units_dropout=0.5,
                activation="relu", output_activation="softmax"),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="cosine", warmup=0.05, batch_size=64, epochs=15,
                  min_steps=1000, metrics=("accuracy",), patience=5),
))

register(Preset(
    name="fashion_cnn", family="cnn", task="image_classification", dataset="fashion_mnist",
    summary="Clothes, digits and other small grey images: whitened patches, normalisation, and pooling after "
            "the first convolutions.",
    reference="https://arxiv.org/abs/1708.07747", params=290_674,
    config=dict(inputs="image", input_shape=(28, 28, 1), outputs=10, whitening=2, block="pooled", dirac=True,
                filters=(32, 64, 128), depth=2, kernel_size=3, norm="batch", dropout=0.1, pooling="max",
                activation="gelu", output_activation="softmax", output_scale=1 / 9),
    training=dict(optimizer="adamw", learning_rate=4e-3, schedule="cosine", warmup=0.1, weight_decay=1e-2,
                  batch_size=128, epochs=15, min_steps=1000, metrics=("accuracy",), patience=5,
                  augment=("flip", "shift")),
))

register(Preset(
    name="cifar_cnn", family="cnn", task="image_classification", dataset="cifar10",
    summary="The tutorial's CIFAR-10 network: VGG-style with batch norm and increasing dropout.",
    reference="https://arxiv.org/abs/1409.1556", params=552_874,
    config=dict(inputs="image", input_shape=(32, 32, 3), outputs=10, block="plain", filters=(32, 64, 128), depth=2,
                kernel_size=3, norm="batch", dropout=(0.2, 0.3, 0.4), pooling="flatten", units=(128,),
                units_norm="batch", units_dropout=0.5, activation="relu", output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=2e-3, schedule="cosine", warmup=0.05, weight_decay=1e-2,
                  precision="mixed_bfloat16", batch_size=64, epochs=60, min_steps=1000, metrics=("accuracy",),
                  patience=10, augment=("flip", "shift")),
))

register(Preset(
    name="cifar_resnet", family="cnn", task="image_classification", dataset="cifar10",
    summary="ResNet-20 for 32x32 images, as in the paper.",
    reference="https://arxiv.org/abs/1512.03385", params=271_098,
    config=dict(inputs="image", input_shape=(32, 32, 3), outputs=10, block="residual", filters=(16, 32, 64), depth=3,
                kernel_size=3, norm="batch", pooling="mean", activation="relu", output_activation="softmax"),
    # The paper's decay of 1e-4 is part of the gradient, so momentum multiplies it by 1 / (1 - 0.9); Keras' is
    # decoupled.
    training=dict(optimizer="momentum", learning_rate=0.1, schedule="cosine", warmup=0.05, weight_decay=1e-3,
                  precision="mixed_bfloat16", batch_size=128, epochs=160, min_steps=1000, metrics=("accuracy",),
                  patience=20, augment=("flip", "shift")),
))

register(Preset(
    name="cifar_speed", family="cnn", task="image_classification", dataset="cifar10",
    summary="Ten epochs, modelled on airbench94: whitened patches, convolutions initialized as the identity.",
    reference="https://arxiv.org/abs/2404.00498", params=1_973_944,
    config=dict(inputs="image", input_shape=(32, 32, 3), outputs=10, whitening=2, block="pooled", dirac=True,
                filters=(64, 256, 256), depth=2, kernel_size=3, norm="batch", norm_momentum=0.6, pooling="max",
                activation="gelu", output_activation="softmax", output_bias=False, output_scale=1 / 9),
    # The paper's numbers converted to Keras: its 11.5 is per 1024 examples, times 1 + 1 / (1 - 0.85) for momentum.
    training=dict(optimizer="momentum", momentum=0.85, learning_rate=1.5, norm_bias_rate=64, schedule="cosine",
                  warmup=0.23, weight_decay=0.01, label_smoothing=0.2, labels="onehot",
                  precision="mixed_bfloat16", batch_size=1024, epochs=10, min_steps=440, metrics=("accuracy",),
                  augment=("alternate", "nudge")),
))

register(Preset(
    name="cifar_mobile", family="cnn", task="image_classification", dataset="cifar10",
    summary="Depthwise-separable stages: small and fast on a phone.",
    reference="https://arxiv.org/abs/1704.04861", params=148_042,
    config=dict(inputs="image", input_shape=(32, 32, 3), outputs=10, block="separable", filters=(32, 64, 128, 256),
                depth=2, kernel_size=3, norm="batch", pooling="mean", units_dropout=0.2, activation="relu6",
                output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=2e-3, schedule="cosine", warmup=0.05, weight_decay=1e-2,
                  batch_size=64, epochs=60, min_steps=1000, metrics=("accuracy",), patience=10,
                  augment=("flip", "shift")),
))

register(Preset(
    name="image_cnn", family="cnn", task="image_classification", dataset="digits",
    summary="Your own photos: residual stages, any size and any number of classes.",
    reference="https://arxiv.org/abs/1512.03385", params=1_190_890,
    config=dict(inputs="image", input_shape=(96, 96, 3), outputs=10, block="residual", filters=(32, 64, 128, 256),
                depth=1, kernel_size=3, norm="batch", pooling="mean", units_dropout=0.2, activation="relu",
                output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.05, weight_decay=1e-2,
                  batch_size=32, epochs=40, min_steps=1000, metrics=("accuracy",), patience=10,
                  augment=("flip", "shift", "zoom")),
))

register(Preset(
    name="text_cnn", family="cnn", task="text_classification", dataset="pydocs",
    summary="Kim's sentence classifier: parallel convolutions over words, max over time.",
    reference="https://arxiv.org/abs/1408.5882", params=2_714_502,
    config=dict(inputs="tokens", input_shape=(64,), outputs=2, vocabulary_size=20_000, embedding_dim=128,
                embedding_dropout=0.2, block="parallel", filters=(100,), kernel_size=(3, 4, 5), pooling="max",
                units_dropout=0.5, activation="relu", output_activation="softmax"),
    training=dict(optimizer="adamw", learning_rate=1e-3, schedule="cosine", warmup=0.05, weight_decay=1e-2,
                  batch_size=50, epochs=8, metrics=("accuracy",), patience=3, min_steps=1500),
))

register(Preset(
    name="series_tcn", family="cnn", task="forecasting", dataset="sine",
    summary="Dilated causal convolutions with residuals for forecasting.",
    reference="https://arxiv.org/abs/1803.01271", params=47_544,
    config=dict(inputs="series", input_shape=(None, 1), outputs=1, horizon=24, block="dilated",
                filters=(32, 32, 32, 32, 32, 32, 32, 32), depth=2, kernel_size=3, dropout=0.1, pooling="last",
                activation="relu", output_activation=None, reversible_norm=True),
    training=dict(optimizer="adam", learning_rate=1e-3, schedule="cosine", warmup=0.05, global_clipnorm=1.0,
                  batch_size=64, epochs=20, loss="mse", metrics=("mae",), patience=5),
))
