"""A manual training loop in JAX with the Keras network of preset iris_fnn.

JAX compiles pure functions: weights, optimizer state and random keys are arguments and results. Keras provides
`stateless_call` and `stateless_apply` for this. The tutorial's loop calls `jax.tree_map` and
`jax.nn.softmax_cross_entropy_with_logits`, which JAX does not have, and shuffles every epoch with the same key, so the
order is always the same. Use each key once, and make the next one with `jax.random.split`.

python recipes/frameworks/jax_loop.py              ten seeds
python recipes/frameworks/jax_loop.py --seeds 3    three seeds
python recipes/frameworks/jax_loop.py --smoke      a quick test of a few seconds

Measured: 48 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
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
    """Return the number of correct test flowers, and the training loss and seconds of each epoch."""
    # the seed determines split and weights
    data = kzoo.load_data("iris", preset="iris_fnn", seed=seed)
    # learned on the training split
    scaling = dict(scale=data.config["scale"], offset=data.config["offset"])
    # logits
    model = kzoo.build("iris_fnn", compile=False, seed=seed, output_activation=None, **scaling)
    optimizer = keras.optimizers.Adam(settings["learning_rate"])
    optimizer.build(model.trainable_variables)

    def loss_of(weights, state, x, y):
        logits, state, penalties = model.stateless_call(
            weights, state, x, training=True, return_losses=True
        )
        likelihood = (jax.nn.log_softmax(logits) * jax.nn.one_hot(y, data.outputs)).sum(axis=1)
        # `state`: variables that a call updates, such as seeds
        return sum(penalties) - likelihood.mean(), state

    # a pure function: model and optimizer have no state here; all values are arguments and results
    @jax.jit
    def step(weights, state, optimizer_state, x, y, rows):
        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            weights, state, x[rows], y[rows]
        )
        weights, optimizer_state = optimizer.stateless_apply(optimizer_state, gradients, weights)
        return weights, state, optimizer_state, loss

    variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    weights, state, optimizer_state = (
        [variable.value for variable in group] for group in variables
    )
    x, y, key = jax.numpy.array(data.train.x), jax.numpy.array(data.train.y), jax.random.key(seed)

    losses, seconds = [], []
    for _ in range(epochs):
        began = time.perf_counter()
        batch_losses = []
        key, order_key = jax.random.split(key)
        order = np.asarray(jax.random.permutation(order_key, len(x)))
        for start in range(0, len(x), settings["batch_size"]):
            rows = order[start : start + settings["batch_size"]]
            weights, state, optimizer_state, loss = step(
                weights, state, optimizer_state, x, y, rows
            )
            batch_losses.append(loss)
        losses.append(float(np.mean(batch_losses)))  # waits for the device
        seconds.append(time.perf_counter() - began)
    logits, _ = model.stateless_call(weights, state, data.test.x, training=False)
    return np.sum(np.asarray(logits).argmax(axis=1) == data.test.y), losses, seconds


# %% Train ten seeds
right, losses, seconds = (np.array(part) for part in zip(*map(train, range(seeds)), strict=True))
accuracies = right / 30
row = dict(
    framework="JAX loop",
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
