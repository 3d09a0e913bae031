"""Regularisation: dropout and an L2 penalty on a network that is far too large for its 319 examples.

Without regularisation the network memorises the training examples and the validation error rises again; dropout and L2
both prevent this. The test scores differ little, within the noise, because the best epoch is kept in every case: early
stopping is a regulariser too. (With dropout, training errors are measured while it is active, so they are a little too
high.) The setting for an L1 penalty is `l1`.

python recipes/practice/regularization.py            four variants, three seeds
python recipes/practice/regularization.py --smoke    a quick test of a few seconds

Measured: 119 s in total; the results are in recipes/README.md.
"""

# %% Too many parameters for few, noisy examples
import statistics

import kzoo
from kzoo.plots.colors import LINES

args = kzoo.recipes.arguments("practice/regularization", __doc__)
data = kzoo.load_data("diabetes", preset="diabetes_fnn")
same = dict(units=(256, 256), patience=1000)
penalties = {
    "none": dict(dropout=0.0, l2=0.0),
    "dropout 0.5": dict(dropout=0.5, l2=0.0),
    "L2 0.05": dict(dropout=0.0, l2=0.05),
    "both": dict(dropout=0.5, l2=0.05),
}
variants = {name: same | settings for name, settings in penalties.items()}
if args.smoke:
    variants = {"both": variants["both"]}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (60, [0, 1, 2])
out = args.out or "runs/practice-regularization"
runs = kzoo.recipes.train_variants(
    "diabetes_fnn", data, variants, out=out, seeds=seeds, epochs=epochs
)
# of the best epoch: early stopping is a regulariser too
rows = kzoo.recipes.variant_rows(runs, "mae")
for row in rows:  # in standard deviations of the target, as in training; without the L2 penalty
    histories = [run.history for run in runs[row["variant"]]]
    row["last_training"] = statistics.mean(history["mae"][-1] for history in histories)
    row["last_validation"] = statistics.mean(history["val_mae"][-1] for history in histories)

# %% Plot: mean of the seeds
figure, (left, right) = kzoo.plots.panels("Mean absolute error, training", "The same, validation")
for (name, group), color in zip(runs.items(), LINES, strict=False):
    history = kzoo.recipes.mean_history(group)
    left.plot(history["epoch"], history["mae"], color=color, lw=1.8, label=name)
    right.plot(history["epoch"], history["val_mae"], color=color, lw=1.8)
for axes in (left, right):
    axes.set(xlabel="epoch", ylim=(0, 1))
left.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, rows, figure)
