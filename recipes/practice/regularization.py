"""Regularisation: dropout and an L2 penalty on a network that is far too large for its 319 examples.

Left alone, it learns the training examples by heart and the validation error rises again; dropout and L2 each stop
that. On the test split the difference is small and within the noise, for the best epoch is kept in every case, and
stopping early is a regulariser too. (Training errors with dropout are measured while it drops: a little too high.)
An L1 penalty is the setting `l1`.

python recipes/practice/regularization.py            four ways, three seeds
python recipes/practice/regularization.py --smoke    seconds, to see that it runs

Measured: 119 s for all of it; its table is in recipes/README.md.
"""

# %% Too many parameters for too few and noisy examples
import statistics

import kzoo
from kzoo.plots.colors import LINES

args = kzoo.recipes.arguments("practice/regularization", __doc__)
data = kzoo.load_data("diabetes", preset="diabetes_fnn")
same = dict(units=(256, 256), patience=1000)
ways = {
    "none": dict(dropout=0.0, l2=0.0),
    "dropout 0.5": dict(dropout=0.5, l2=0.0),
    "L2 0.05": dict(dropout=0.0, l2=0.05),
    "both": dict(dropout=0.5, l2=0.05),
}
variants = {name: same | settings for name, settings in ways.items()}
if args.smoke:
    variants = {"both": variants["both"]}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (60, [0, 1, 2])
out = args.out or "runs/practice-regularization"
runs = kzoo.recipes.train_variants("diabetes_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)
rows = kzoo.recipes.variant_rows(runs, "mae")  # of the best epoch: stopping early is a regulariser too
for row in rows:  # in standard deviations of the target, as training sees it; L2 is not in it
    last = [run.history for run in runs[row["variant"]]]
    row["last_training"] = statistics.mean(history["mae"][-1] for history in last)
    row["last_validation"] = statistics.mean(history["val_mae"][-1] for history in last)

# %% Look: mean of the seeds
figure, (left, right) = kzoo.plots.panels("Mean absolute error, training", "The same, validation")
for (name, group), color in zip(runs.items(), LINES, strict=False):
    history = kzoo.recipes.mean_history(group)
    left.plot(history["epoch"], history["mae"], color=color, lw=1.8, label=name)
    right.plot(history["epoch"], history["val_mae"], color=color, lw=1.8)
for axes in (left, right):
    axes.set(xlabel="epoch", ylim=(0, 1))
left.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, rows, figure)
