"""Optimizers: SGD, momentum, RMSprop, Adam and AdamW on the same network, each at a learning rate of its own.

One shared rate would be unfair: Adam divides each step by the size of the gradient, so the rates at which it and SGD
do well are far apart. Each optimizer gets the rate that its own range test suggests (practice/learning_rate.py).
What differs is mostly the speed of the first epochs, where Adam and AdamW lead; in the end the test scores lie close
together, and momentum, at a rate that was bold for it, is restless.

python recipes/practice/optimizers.py            five optimizers, three seeds
python recipes/practice/optimizers.py --smoke    seconds, to see that it runs

Measured: 148 s for all of it; its table is in recipes/README.md.
"""

# %% A learning rate for each
import kzoo

args = kzoo.recipes.arguments("practice/optimizers", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(units=(64, 32), norm=None, dropout=0.0, schedule="constant", warmup=0.0, batch_size=32)
optimizers = {"sgd": {}, "momentum": {}, "rmsprop": {}, "adam": {}, "adamw": dict(weight_decay=0.01)}
if args.smoke:
    optimizers = {"adam": {}}
variants = {}
for name, more in optimizers.items():
    settings = same | more | dict(optimizer=name)
    rate = kzoo.learning_rate_range("mnist_fnn", data, low=1e-5, high=3.0, **settings)["suggested"]
    variants[f"{name} at {rate:.2g}"] = settings | dict(learning_rate=rate, patience=1000)

# %% Train: three seeds of each
epochs, seeds = (1, [0]) if args.smoke else (20, [0, 1, 2])
out = args.out or "runs/practice-optimizers"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Look: mean of the seeds
figure = kzoo.plots.overlay({name: kzoo.recipes.mean_history(group) for name, group in runs.items()}, metric="val_loss")
figure.axes[0].set_yscale("log")
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
