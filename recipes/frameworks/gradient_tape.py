"""A manual training loop in TensorFlow: GradientTape with the network of preset iris_fnn.

The loop does what `fit` does for you: shuffling in each epoch, gradients, optimizer steps, and the L2 penalty. Keras
only collects penalties in `model.losses`; a loop that does not add them trains a different network.

python recipes/frameworks/gradient_tape.py              ten seeds
python recipes/frameworks/gradient_tape.py --seeds 3    three seeds
python recipes/frameworks/gradient_tape.py --smoke      a quick test of a few seconds

Measured: 40 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
import time

import numpy as np

import kzoo

args = kzoo.recipes.arguments(
    "frameworks/gradient_tape", __doc__, backend="tensorflow", seeds=10, epochs=100
)
import keras
import tensorflow as tf

seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)

settings = kzoo.get_preset("iris_fnn").training


# %% The loop
def train(seed):
    """Return the number of correct test flowers, and the training loss and seconds of each epoch."""
    # the seed determines split and weights
    data = kzoo.load_data("iris", preset="iris_fnn", seed=seed)
    # learned on the training split
    scaling = dict(scale=data.config["scale"], offset=data.config["offset"])
    # logits
    model = kzoo.build("iris_fnn", compile=False, seed=seed, output_activation=None, **scaling)
    optimizer = keras.optimizers.Adam(settings["learning_rate"])
    optimizer.build(model.trainable_variables)
    batches = tf.data.Dataset.from_tensor_slices((data.train.x, data.train.y))
    # a new order in each epoch
    batches = batches.shuffle(len(data.train), seed=seed).batch(settings["batch_size"])

    @tf.function(reduce_retracing=True)  # compiled at the first call
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)) + sum(
                model.losses
            )
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    losses, seconds = [], []
    for _ in range(epochs):
        began = time.perf_counter()
        losses.append(float(np.mean([step(x, y) for x, y in batches])))
        seconds.append(time.perf_counter() - began)
    predictions = tf.argmax(model(data.test.x, training=False), axis=1).numpy()
    return np.sum(predictions == data.test.y), losses, seconds


# %% Train ten seeds
right, losses, seconds = (np.array(part) for part in zip(*map(train, range(seeds)), strict=True))
accuracies = right / 30
row = dict(
    framework="GradientTape",
    seeds=seeds,
    epochs=epochs,
    accuracy=accuracies.mean(),
    sd=accuracies.std(ddof=1) if seeds > 1 else None,
    loss=losses[:, -1].mean(),
    ms_per_epoch=1000 * np.median(seconds),  # the median ignores compilation
    right=right.tolist(),  # of 30 test flowers, per seed
)

# %% Plot
kzoo.recipes.finish(args, [row], kzoo.plots.curves({"loss": losses.mean(axis=0)}))
