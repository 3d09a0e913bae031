"""Optimizers: SGD, momentum, RMSprop, Adam and AdamW on the same network, each at its own learning rate.

A shared rate would be unfair: Adam divides each step by the size of the gradient, so it needs a very different rate
from SGD. Each optimizer gets the rate that its own range test suggests (practice/learning_rate.py). They differ mostly
in the first epochs, where Adam and AdamW are the fastest. At the end the test scores are close, and momentum is
unstable, because its rate is high.

python recipes/practice/optimizers.py            five optimizers, three seeds
python recipes/practice/optimizers.py --smoke    a quick test of a few seconds

Measured: 148 s in total; the results are in recipes/README.md.
"""

# %% A learning rate for each optimizer
import kzoo

args = kzoo.recipes.arguments("practice/optimizers", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(units=(64, 32), norm=None, dropout=0.0, schedule="constant", warmup=0.0, batch_size=32)
optimizers = {
    "sgd": {},
    "momentum": {},
    "rmsprop": {},
    "adam": {},
    "adamw": dict(weight_decay=0.01),
}
if args.smoke:
    optimizers = {"adam": {}}
variants = {}
for name, overrides in optimizers.items():
    settings = same | overrides | dict(optimizer=name)
    rate = kzoo.learning_rate_range("mnist_fnn", data, low=1e-5, high=3.0, **settings)["suggested"]
    variants[f"{name} at {rate:.2g}"] = settings | dict(learning_rate=rate, patience=1000)

# %% Train: three seeds of each
epochs, seeds = (1, [0]) if args.smoke else (20, [0, 1, 2])
out = args.out or "runs/practice-optimizers"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Plot: mean of the seeds
figure = kzoo.plots.overlay(
    {name: kzoo.recipes.mean_history(group) for name, group in runs.items()}, metric="val_loss"
)
figure.axes[0].set_yscale("log")
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
