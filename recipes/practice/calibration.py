"""Calibration: probabilities that are as often right as they say, and sets of classes with a promise.

A network that is trained for long without regularisation is too sure of itself: its training rows are nearly all right,
others are not. One number, the temperature, learned on validation rows, corrects the probabilities without changing a
label. Sets of classes need no calibrated probabilities: with rows of their own (`calibration=`), which no other part of
training has seen, they contain the true class as often as was asked for.

python recipes/practice/calibration.py            five splits of 6,000 rows with three classes
python recipes/practice/calibration.py --smoke    a quick test of a few seconds

Measured: 18 s in total; the results are in recipes/README.md.
"""

# %% Three classes that overlap
import numpy as np
import pandas as pd
from sklearn import datasets

import kzoo
from kzoo.plots.colors import BLUE, GREY, ORANGE

args = kzoo.recipes.arguments("practice/calibration", __doc__)
x, y = datasets.make_classification(
    6000, 16, n_informative=8, n_classes=3, flip_y=0.01, class_sep=0.6, random_state=0
)
frame = pd.DataFrame(x).add_prefix("x").assign(kind=np.array(["a", "b", "c"])[y])

# %% Train: the same network on five splits
splits = [0] if args.smoke else [0, 1, 2, 3, 4]
same = dict(target="kind", calibration=0.15, dropout=0.0, monitor="val_accuracy", patience=1000)
same |= dict(batch_size=1000 if args.smoke else 128)
variants = {f"split-{split}": dict(data_seed=split) | same for split in splits}
out = args.out or "runs/practice-calibration"
epochs = 1 if args.smoke else 40
runs = kzoo.recipes.train_variants("tabular_fnn", frame, variants, out=out, epochs=epochs)

# %% Evaluate: the test rows before and after the temperature, and the sets of classes at three levels
scores = []
curves = {"before": [], "after": []}
for (run,) in runs.values():
    calibration = run.summary["calibration"]
    for name in ("before", "after"):
        test = calibration["test"][name]
        temperature = calibration["temperature"] if name == "after" else 1.0
        curves[name].append(np.array(test["bins"]))
        scores.append(
            dict(
                what=f"{name} calibration",
                temperature=temperature,
                log_loss=test["log_loss"],
                ece=test["ece"],
            )
        )
    for row in run.summary["conformal"]:
        scores.append(
            dict(
                what=f"sets at {row['confidence']:.0%}",
                coverage=row["coverage"],
                classes=row["size"],
            )
        )
groups = pd.DataFrame(scores).groupby("what", sort=False)
table = groups.mean().assign(
    coverage_sd=groups.coverage.std(), ece_sd=groups.ece.std(), splits=groups.size()
)
table = table.astype(float).round(4).reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot: the share that is right over the probability, and the coverage over the level
figure, (left, right) = kzoo.plots.panels("Reliability, test", "Sets of classes, test", height=4)
for name, color in (("before", GREY), ("after", BLUE)):
    for bins in curves[name]:
        left.plot(bins[:, 0], bins[:, 1], color=color, lw=1, alpha=0.6)
    left.plot([], [], color=color, label=f"{name} calibration")
left.plot([0.3, 1], [0.3, 1], color=GREY, ls=":")
left.set(
    xlabel="mean probability of a bin", ylabel="share that is right", xlim=(0.3, 1), ylim=(0.3, 1)
)
left.legend(loc="upper left", frameon=False, fontsize=9)
for (run,) in runs.values():
    levels, coverage = zip(
        *((row["confidence"], row["coverage"]) for row in run.summary["conformal"]), strict=True
    )
    right.plot(levels, coverage, "o", color=ORANGE, mec="white", ms=7)
right.plot([0.75, 1], [0.75, 1], color=GREY, ls=":")
right.set(
    xlabel="level", ylabel="share of sets with the true class", xlim=(0.75, 1), ylim=(0.75, 1)
)
kzoo.recipes.finish(args, rows, figure)
