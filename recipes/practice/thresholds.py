"""Thresholds: what is trained, which epoch is kept, and from which probability on a rare "yes" is predicted.

Three settings that are often confused. The loss is what the optimizer minimises. `objective` decides which epoch is
kept, here by average precision, which has no threshold. `decision` and `cost` choose the threshold on validation rows:
for F1, or for the least cost if a missed "yes" costs ten times as much as a false alarm. The network is the same, and
the two thresholds are far apart. The best threshold of the test rows is known too late; what another one loses against
it is its regret, which is smaller for a learned threshold than for 0.5.

python recipes/practice/thresholds.py            thresholds for F1 and for a cost, five splits
python recipes/practice/thresholds.py --smoke    a quick test of a few seconds

Measured: 76 s in total; the results are in recipes/README.md.
"""

# %% Five positives in a hundred
import numpy as np
import pandas as pd
from sklearn import datasets, metrics

import kzoo
from kzoo.plots.colors import BLUE, GREY, ORANGE

args = kzoo.recipes.arguments("practice/thresholds", __doc__)
x, y = datasets.make_classification(
    8000, 12, n_informative=6, weights=[0.95], class_sep=0.8, random_state=0
)
frame = pd.DataFrame(x).add_prefix("x").assign(churned=np.where(y, "yes", "no"))
missed, false_alarm = 10, 1
goals = {
    "F1": dict(decision="f1"),
    "cost": dict(
        decision="expected_cost", cost={("yes", "no"): missed, ("no", "yes"): false_alarm}
    ),
}

# %% Train: in each split two runs, which differ only in their decision
splits = [0] if args.smoke else [0, 1, 2, 3, 4]
same = dict(objective="average_precision", positive="yes", class_weight=None, target="churned")
same |= dict(batch_size=1000 if args.smoke else 128)
variants = {
    f"{goal}-{split}": dict(data_seed=split, validation=0.25) | same | decision
    for split in splits
    for goal, decision in goals.items()
}
out = args.out or "runs/practice-thresholds"
epochs = 1 if args.smoke else 40
runs = kzoo.recipes.train_variants("cancer_fnn", frame, variants, out=out, epochs=epochs)


# %% Evaluate: 0.5, the learned threshold, and the best one of the test rows
def score(goal, truth, predicted):
    """Return F1, or the cost of 1,000 rows."""
    if goal == "F1":
        return metrics.f1_score(truth, predicted, zero_division=0)
    return 1000 * np.mean(missed * (truth & ~predicted) + false_alarm * (~truth & predicted))


grid = np.linspace(0.005, 0.995, 199)
scores = []
curves = {}
for goal in goals:
    for split in splits:
        (run,) = runs[f"{goal}-{split}"]
        learned = next(
            step["learned"]["threshold"]
            for step in run.postprocessing
            if step["name"] == "threshold"
        )
        p = run.answers["answers"][:, 1]
        truth = run.answers["truth"] == 1
        curve = np.array([score(goal, truth, p >= threshold) for threshold in grid])
        best = curve.argmax() if goal == "F1" else curve.argmin()
        curves[goal, split] = curve, learned
        for name, threshold in (("0.5", 0.5), ("learned", learned), ("best on test", grid[best])):
            value = score(goal, truth, p >= threshold)
            regret = abs(value - curve[best])
            scores.append(
                dict(goal=goal, threshold=name, value=threshold, score=value, regret=regret)
            )
groups = pd.DataFrame(scores).groupby(["goal", "threshold"], sort=False)
table = groups.mean().assign(
    score_sd=groups.score.std(), regret_sd=groups.regret.std(), splits=groups.size()
)
table = table.astype(float).round(4).reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot: all splits
figure, panels = kzoo.plots.panels(
    "F1 over the threshold, test", "Cost of 1,000 rows, test", height=4
)
for goal, axes in zip(goals, panels, strict=True):
    for split in splits:
        curve, learned = curves[goal, split]
        axes.plot(grid, curve, color=BLUE, lw=1, alpha=0.6)
        axes.plot(learned, np.interp(learned, grid, curve), "o", color=ORANGE, mec="white", ms=8)
    axes.axvline(0.5, color=GREY, ls=":", label="0.5")
    axes.plot([], [], "o", color=ORANGE, label="learned on validation rows")
    axes.set(xlabel="threshold of the probability of yes", xlim=(0, 1), ylim=(0, None))
figure.legend(
    *axes.get_legend_handles_labels(),
    loc="outside lower center",
    ncols=2,
    frameon=False,
    fontsize=9,
)
kzoo.recipes.finish(args, rows, figure)
