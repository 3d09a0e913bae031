"""Gradient clipping: a simple recurrent network with exploding gradients, with and without a limit on their norm.

The kzoo setting is `global_clipnorm`, one limit for all gradients together. Keras also has `clipnorm` (a limit per
variable) and `clipvalue` (per value); these two change the direction of the step, as the first cell shows. At a high
learning rate, training without a limit ends in NaN; at a lower one it learns slowly. A limit can also be too low: at
0.1 nearly every step is clipped.

python recipes/practice/clipping.py            three limits, three seeds
python recipes/practice/clipping.py --smoke    a quick test of a few seconds

Measured: 182 s in total; the results are in recipes/README.md.
"""

# %% Three ways to clip, and which of them keeps the direction
import numpy as np

import kzoo
from kzoo.plots.colors import GREY, LINES

args = kzoo.recipes.arguments("practice/clipping", __doc__)
import keras

random = np.random.default_rng(0)
# of two variables; the first explodes
gradients = [random.normal(0, 10, 50), random.normal(0, 1, 50)]
cosine = {}
for method in ("global_clipnorm", "clipnorm", "clipvalue"):
    variables = [keras.Variable(np.zeros(50)) for _ in gradients]
    keras.optimizers.SGD(1.0, **{method: 1.0}).apply(
        [keras.ops.convert_to_tensor(g, "float32") for g in gradients], variables
    )
    step = -np.concatenate([keras.ops.convert_to_numpy(v) for v in variables])
    gradient = np.concatenate(gradients)
    cosine[method] = float(step @ gradient / np.linalg.norm(step) / np.linalg.norm(gradient))
print(
    "cosine between step and gradient:",
    ", ".join(f"{method} {value:.3f}" for method, value in cosine.items()),
)

# %% At a high rate, the loss without a limit becomes NaN
same = dict(
    input_shape=(30, 2),
    units=(32,),
    optimizer="momentum",
    schedule="constant",
    warmup=0.0,
    patience=1000,
)
same |= dict(batch_size=2000, input_shape=(8, 2)) if args.smoke else dict(batch_size=100)
out = args.out or "runs/practice-clipping"
rate = 1000.0 if args.smoke else 0.1  # a smoke run has ten steps, too few to explode at 0.1
try:
    settings = same | dict(learning_rate=rate, global_clipnorm=None)
    kzoo.recipes.train_variants(
        "adding_rnn", "adding", {f"no limit, rate {rate:g}": settings}, out=out, epochs=1
    )
    outcome = "the loss stayed finite this time"
except kzoo.KzooError as error:
    outcome = str(error)
print(f"rate {rate:g}, no limit: {outcome}")

# %% At a fifth of that rate: three limits
limits = [None, 1.0] if args.smoke else [None, 1.0, 0.1]
variants = {
    f"limit {limit}" if limit else "no limit": dict(
        learning_rate=0.02, global_clipnorm=limit, **same
    )
    for limit in limits
}
epochs, seeds = (1, [0]) if args.smoke else (8, [0, 1, 2])
runs = kzoo.recipes.train_variants(
    "adding_rnn", "adding", variants, out=out, seeds=seeds, epochs=epochs
)

# %% Plot: one line per seed
figure, (axes,) = kzoo.plots.panels(
    "Validation loss: adding problem of 30 steps, simple RNN", width=8, height=4.2
)
for (name, group), color in zip(runs.items(), LINES, strict=False):
    for i, run in enumerate(group):
        axes.plot(
            run.history["epoch"],
            run.history["val_loss"],
            color=color,
            lw=1.6,
            label=None if i else name,
        )
axes.axhline(1 / 6, color=GREY, ls=":", label="always 1")
axes.set(xlabel="epoch", ylim=(0, 0.25))
axes.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs, "rmse"), figure)
