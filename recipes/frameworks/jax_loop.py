"""A training loop by hand, in JAX, around the Keras network of preset iris_fnn.

JAX compiles pure functions: weights, optimizer and random keys go in and come out. `stateless_call` and
`stateless_apply` are Keras' side of that. The tutorial's loop calls `jax.tree_map` and
`jax.nn.softmax_cross_entropy_with_logits`, neither of which JAX has, and shuffles every epoch with the same key, which
is the same order every time: a key is used once, and `jax.random.split` makes the next.

python recipes/frameworks/jax_loop.py              ten seeds
python recipes/frameworks/jax_loop.py --seeds 3    three
python recipes/frameworks/jax_loop.py --smoke      seconds, to see that it runs

Measured: 48 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
import time

import numpy as np

import kzoo

args = kzoo.recipes.arguments("frameworks/jax_loop", __doc__, backend="jax", seeds=10, epochs=100)
import jax
import keras

seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)

settings = kzoo.get_preset("iris_fnn").training


# %% The loop
def train(seed):
    """Return how many test flowers it gets right, and the training loss and the seconds of every epoch."""
    data = kzoo.load_data("iris", preset="iris_fnn", seed=seed)  # the seed draws the split as well as the weights
    scaling = dict(scale=data.config["scale"], offset=data.config["offset"])  # learned on the training split
    model = kzoo.build("iris_fnn", compile=False, seed=seed, output_activation=None, **scaling)  # logits
    optimizer = keras.optimizers.Adam(settings["learning_rate"])
    optimizer.build(model.trainable_variables)

    def loss_of(weights, others, x, y):
        logits, others, penalties = model.stateless_call(weights, others, x, training=True, return_losses=True)
        likelihood = (jax.nn.log_softmax(logits) * jax.nn.one_hot(y, data.outputs)).sum(axis=1)
        return sum(penalties) - likelihood.mean(), others  # `others`: variables that a call changes, such as seeds

    @jax.jit  # a pure function: model and optimizer only say how, the numbers go in and come out
    def step(weights, others, memory, x, y, rows):
        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, others, x[rows], y[rows])
        weights, memory = optimizer.stateless_apply(memory, gradients, weights)
        return weights, others, memory, loss

    state = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    weights, others, memory = ([variable.value for variable in part] for part in state)
    x, y, key = jax.numpy.array(data.train.x), jax.numpy.array(data.train.y), jax.random.key(seed)

    losses, seconds = [], []
    for _ in range(epochs):
        began, total = time.perf_counter(), []
        key, order_key = jax.random.split(key)
        order = np.asarray(jax.random.permutation(order_key, len(x)))
        for start in range(0, len(x), settings["batch_size"]):
            rows = order[start : start + settings["batch_size"]]
            weights, others, memory, loss = step(weights, others, memory, x, y, rows)
            total.append(loss)
        losses.append(float(np.mean(total)))  # waits for the device
        seconds.append(time.perf_counter() - began)
    logits, _ = model.stateless_call(weights, others, data.test.x, training=False)
    return np.sum(np.asarray(logits).argmax(axis=1) == data.test.y), losses, seconds


# %% Ten seeds
right, losses, seconds = (np.array(part) for part in zip(*map(train, range(seeds)), strict=True))
accuracies = right / 30
row = dict(
    framework="JAX loop",
    seeds=seeds,
    epochs=epochs,
    accuracy=accuracies.mean(),
    sd=accuracies.std(ddof=1) if seeds > 1 else None,
    loss=losses[:, -1].mean(),
    ms_per_epoch=1000 * np.median(seconds),  # the median leaves the compilation out
    right=right.tolist(),  # of 30 test flowers, seed by seed
)

# %% Look
kzoo.recipes.finish(args, [row], kzoo.plots.curves({"loss": losses.mean(axis=0)}))
