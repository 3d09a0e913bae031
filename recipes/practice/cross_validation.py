"""Cross-validation: how much the score depends on the split, and how much less the mean of five folds does.

Twenty train/test splits are compared with four cross-validations of five folds: the same number of trainings. In each
cross-validation every row is tested once, by a network and preprocessing that were fitted without it.

python recipes/practice/cross_validation.py            wines and digits, 20 splits and 4 x 5 folds each
python recipes/practice/cross_validation.py --smoke    a quick test of a few seconds

Measured: 1375 s in total; the results are in recipes/README.md.
"""

# %% Two data sets, a small one and a larger one
from pathlib import Path

import numpy as np

import kzoo
from kzoo.plots.colors import FAINT, INK

args = kzoo.recipes.arguments("practice/cross_validation", __doc__)
out = Path(args.out or "runs/practice-cross_validation")
cases = {
    "wine": ("wine_fnn", {}),
    "digits": ("mnist_fnn", dict(units=(64, 32), batch_size=32, epochs=15)),
}
splits, folds, repeats = 20, 5, 4
if args.smoke:
    cases = {"wine": ("wine_fnn", dict(epochs=1))}
    splits = 2
    folds = 2
    repeats = 2

# %% One split, drawn twenty times
scores = {}
rows = []
for data, (preset, settings) in cases.items():
    variants = {f"split-{i}": dict(data_seed=i) | settings for i in range(splits)}
    runs = kzoo.recipes.train_variants(preset, data, variants, out=out / data)
    scores[data] = {"one split": [run.summary["test"]["accuracy"] for (run,) in runs.values()]}

# %% Five folds, divided four times: `folds` has a dict of scores per fold, `out_of_fold` a prediction per row
for data, (preset, settings) in cases.items():
    options = (
        dict(folds=folds, repeats=repeats, callbacks="quick", out=out / f"{data}-folds") | settings
    )
    result = kzoo.cross_validate(preset, data, **options)
    accuracies = np.reshape([fold["accuracy"] for fold in result["folds"]], (repeats, folds))
    scores[data] |= {
        "one fold": accuracies.ravel().tolist(),
        f"mean of {folds} folds": accuracies.mean(axis=1).tolist(),
    }
    right = result["out_of_fold"]["answers"].argmax(axis=1) == result["out_of_fold"]["truth"]
    print(
        f"{data}: {result['mean']['accuracy']:.3f} +- {result['std']['accuracy']:.3f} over folds; "
        f"{(~right).sum()} of {len(right)} out-of-fold predictions are wrong"
    )

# %% Plot
figure, panels = kzoo.plots.panels(*(f"Test accuracy on {data}" for data in cases))
for axes, (data, groups) in zip(panels, scores.items(), strict=True):
    for i, (group, values) in enumerate(groups.items()):
        mean = float(np.mean(values))
        sd = float(np.std(values, ddof=1))
        axes.fill_between([i - 0.3, i + 0.3], mean - sd, mean + sd, color=FAINT, lw=0)
        axes.hlines(mean, i - 0.3, i + 0.3, color=INK, lw=2)
        axes.plot(i + np.linspace(-0.22, 0.22, len(values)), values, "o", ms=5, alpha=0.8)
        low, high = min(values), max(values)
        rows.append(
            dict(
                data=data, what=group, count=len(values), mean=mean, sd=sd, lowest=low, highest=high
            )
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlabel("line: mean; band: standard deviation")
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.005))
    axes.grid(axis="x", visible=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
