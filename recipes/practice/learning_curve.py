"""Learning curve: test accuracy by number of training examples shows whether more data would help.

Only the training split is reduced; validation and test are always the same. Every size gets about the same number of
training steps, up to 150 epochs. The best epoch is chosen by validation accuracy: with twenty examples a network soon
becomes overconfident, and validation loss would choose an epoch in which it has hardly learned anything.

Up to a hundred examples a linear model is as good; above that the network is better. Both curves still rise at the
end, so more digits would help.

python recipes/practice/learning_curve.py            six sizes, two models, three seeds and samples
python recipes/practice/learning_curve.py --smoke    a quick test of a few seconds

Measured: 1030 s in total; the results are in recipes/README.md.
"""

# %% Subsets of the training split, each part of the next larger one
import math
from dataclasses import replace

import numpy as np

import kzoo
from kzoo.plots.colors import GREY

args = kzoo.recipes.arguments("practice/learning_curve", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
sizes = [200] if args.smoke else [20, 50, 100, 250, 600, len(data.train)]
steps = 20 if args.smoke else 600
same = dict(
    norm=None, dropout=0.0, optimizer="adam", schedule="constant", warmup=0.0, batch_size=32
)
same |= dict(patience=1000, monitor="val_accuracy")
models = {
    "network": dict(units=(64, 32), learning_rate=3e-3, **same),
    "linear": dict(units=(), learning_rate=1e-2, **same),
}

# %% Train: a new sample of examples for each seed
runs = {f"{name}, {size}": [] for name in models for size in sizes}
for seed in [0] if args.smoke else [0, 1, 2]:
    order = np.random.default_rng(seed).permutation(len(data.train))
    variants = {}
    for size in sizes:
        part = replace(data.train, x=data.train.x[order[:size]], y=data.train.y[order[:size]])
        overrides = dict(
            data=replace(data, train=part), epochs=min(150, math.ceil(steps / math.ceil(size / 32)))
        )
        variants |= {f"{name}, {size}": settings | overrides for name, settings in models.items()}
    out = args.out or "runs/practice-learning_curve"
    for name, group in kzoo.recipes.train_variants(
        "mnist_fnn", data, variants, out=out, seeds=[seed]
    ).items():
        runs[name] += group
rows = kzoo.recipes.variant_rows(runs)

# %% Plot
figure, (axes,) = kzoo.plots.panels("Test accuracy over training examples", width=7, height=4.2)
for name in models:
    curve = [row for row in rows if row["variant"].startswith(name)]
    axes.errorbar(
        sizes,
        [r["accuracy"] for r in curve],
        [r["sd"] or 0 for r in curve],
        fmt="o-",
        capsize=3,
        label=name,
    )
majority = next(iter(runs.values()))[0].summary["test"]["majority"]
axes.axhline(majority, color=GREY, ls=":", label="always the most frequent class")
axes.set(xscale="log", xlabel="training examples", ylim=(0, 1.02))
axes.set_xticks(sizes, sizes, minor=False)
axes.minorticks_off()
axes.legend(frameon=False, fontsize=9, loc="center right")
kzoo.recipes.finish(args, rows, figure)
