"""Cross-validation: how lucky is one split, and how much of the luck does the mean of five folds take away?

Twenty splits into training and test data against four cross-validations of five folds: the same number of trainings.
In each cross-validation every row is tested once, by a network that has seen nothing of it, preprocessing included.

python recipes/practice/cross_validation.py            wines and digits, 20 splits and 4 x 5 folds each
python recipes/practice/cross_validation.py --smoke    seconds, to see that it runs

Measured: 1375 s for all of it; its table is in recipes/README.md.
"""

# %% Two data sets, a small one and a larger one
from pathlib import Path

import numpy as np

import kzoo
from kzoo.plots.colors import FAINT, INK

args = kzoo.recipes.arguments("practice/cross_validation", __doc__)
out = Path(args.out or "runs/practice-cross_validation")
cases = {"wine": ("wine_fnn", {}), "digits": ("mnist_fnn", dict(units=(64, 32), batch_size=32, epochs=15))}
splits, folds, repeats = 20, 5, 4
if args.smoke:
    cases, splits, folds, repeats = {"wine": ("wine_fnn", dict(epochs=1))}, 2, 2, 2

# %% One split, drawn twenty times
scores, rows = {}, []
for data, (preset, settings) in cases.items():
    variants = {f"split-{i}": dict(data_seed=i) | settings for i in range(splits)}
    runs = kzoo.recipes.train_variants(preset, data, variants, out=out / data)
    scores[data] = {"one split": [run.summary["test"]["accuracy"] for (run,) in runs.values()]}

# %% Five folds, divided four times: `folds` has a dict of scores for each, `out_of_fold` an answer for each row
for data, (preset, settings) in cases.items():
    options = dict(folds=folds, repeats=repeats, callbacks="quick", out=out / f"{data}-folds") | settings
    found = kzoo.cross_validate(preset, data, **options)
    each = np.reshape([fold["accuracy"] for fold in found["folds"]], (repeats, folds))
    scores[data] |= {"one fold": each.ravel().tolist(), f"mean of {folds} folds": each.mean(axis=1).tolist()}
    right = found["out_of_fold"]["answers"].argmax(axis=1) == found["out_of_fold"]["truth"]
    print(f"{data}: {found['mean']['accuracy']:.3f} +- {found['std']['accuracy']:.3f} over folds; "
          f"{(~right).sum()} of {len(right)} rows wrong when nothing of them was known")  # fmt: skip

# %% Look
figure, panels = kzoo.plots.panels(*(f"Test accuracy on {data}" for data in cases))
for axes, (data, kinds) in zip(panels, scores.items(), strict=True):
    for place, (kind, values) in enumerate(kinds.items()):
        mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
        axes.fill_between([place - 0.3, place + 0.3], mean - sd, mean + sd, color=FAINT, lw=0)
        axes.hlines(mean, place - 0.3, place + 0.3, color=INK, lw=2)
        axes.plot(place + np.linspace(-0.22, 0.22, len(values)), values, "o", ms=5, alpha=0.8)
        low, high = min(values), max(values)
        rows.append(dict(data=data, what=kind, count=len(values), mean=mean, sd=sd, lowest=low, highest=high))
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set_xlabel("line: mean; band: standard deviation")
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.005))
    axes.grid(axis="x", visible=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
