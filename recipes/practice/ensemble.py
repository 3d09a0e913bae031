"""Five networks as an ensemble: the mean, a vote, and weights chosen on validation data.

The same small network is trained from five seeds on each of five splits of the digits, and combined on each split. The
members make different errors, so their average is more accurate than a member: about as accurate as the member with the
best test score, which cannot be known in advance. Weights can overfit too: weights chosen on 144 validation digits are
no better than equal ones.

python recipes/practice/ensemble.py            25 runs, 15 ensembles
python recipes/practice/ensemble.py --smoke    a quick test of a few seconds

Measured: 221 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

import kzoo
from kzoo.plots.colors import BLUE, FAINT, GREEN, GREY, ORANGE

args = kzoo.recipes.arguments("practice/ensemble", __doc__, seeds=5, splits=5, epochs=20)
seeds, splits, epochs = (2, 2, 1) if args.smoke else (args.seeds, args.splits, args.epochs)
out = Path(args.out or "runs/ensemble")
methods = ("mean", "vote", "weighted")

# %% Train the members, and combine them on each split
options = dict(units=(32,), batch_size=512 if args.smoke else 32, learning_rate=1e-2, epochs=epochs)
options |= dict(callbacks="quick", progress=False)
members = []
scores = {method: [] for method in methods}
for split in range(splits):
    runs = [
        kzoo.train(
            "mnist_fnn",
            "digits",
            out=out / f"{split}/{seed}",
            seed=seed,
            data_seed=split,
            **options,
        )
        for seed in range(seeds)
    ]
    members.append([run.summary["test"]["accuracy"] for run in runs])
    for method in methods:
        run = kzoo.ensemble(runs, method=method, out=out / f"{split}/{method}")
        scores[method].append(run.summary["test"]["accuracy"])

# %% Compare: the gain over one member, with the 95 % interval of its mean over the splits (Student's t)
members = np.array(members)
rows = []
single, best = members.mean(axis=1), members.max(axis=1)
ensembles = {f"ensemble, {method}": np.array(scores[method]) for method in methods}
for name, accuracy in (
    {"a member": single, "the best member of each test split": best} | ensembles
).items():
    gain = accuracy - single
    margin = stats.t.ppf(0.975, splits - 1) * stats.sem(gain)
    numbers = dict(
        accuracy=accuracy.mean(),
        gain=gain.mean(),
        low=gain.mean() - margin,
        high=gain.mean() + margin,
    )
    rows.append(
        dict(what=name) | {column: round(float(number), 5) for column, number in numbers.items()}
    )

# %% Plot
figure = Figure(figsize=(8, 4.4), layout="constrained")
FigureCanvasAgg(figure)
axes = figure.add_subplot()
x = np.arange(splits)
axes.plot(
    np.repeat(x, seeds), 100 * members.ravel(), "o", color=GREY, ms=6, alpha=0.7, label="members"
)
for method, color, shift in zip(methods, (BLUE, ORANGE, GREEN), (-0.18, 0, 0.18), strict=True):
    axes.hlines(
        100 * np.array(scores[method]),
        x + shift - 0.09,
        x + shift + 0.09,
        color,
        lw=4,
        label=method,
    )
axes.set_xticks(x, [f"split {split}" for split in x])
axes.set(ylabel="test accuracy, %", title=f"{seeds} seeds of one network, single and combined")
axes.set_xlim(-0.5, splits - 0.5)
axes.grid(axis="y", color=FAINT)
axes.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside right center", frameon=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
