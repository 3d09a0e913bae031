"""Several labels per row: thresholds, each label by itself, and what a probability of a half misses.

A row has any number of labels, also none. The network has a probability for each of them. From which probability on a
label is predicted is learned on validation rows: a rare label hardly ever reaches a half. A table has a column of 0 and
1 for each label, or one column such as `rain;wind`; an empty cell among the columns is unknown, which is not "no".

python recipes/tabular_labels.py                                         generated rows with eight labels
python recipes/tabular_labels.py --data my.csv --target "red,green,blue"  your own table, with a column for each label
python recipes/tabular_labels.py --data my.csv --target tags              your own table, with cells such as a;b
python recipes/tabular_labels.py --smoke                                 a quick test of a few seconds

The sets of labels in papers, such as yeast and emotions: `sklearn.datasets.fetch_openml("yeast", version=4)`.

Measured: 212 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import make_multilabel_classification

import kzoo
from kzoo.inference.tables.files import read_table
from kzoo.plots.colors import BLUE, GREY
from kzoo.plots.figure import new_figure, style_axes

args = kzoo.recipes.arguments("tabular_labels", __doc__, data="generated", target="")
out = Path(args.out or "runs/tabular_labels")
if args.data == "generated":
    x, y = make_multilabel_classification(
        400 if args.smoke else 3000,
        n_features=30,
        n_classes=8,
        n_labels=2,
        length=40,
        random_state=0,
    )
    names = [f"label {k + 1}" for k in range(8)]
    frame = pd.DataFrame(x, columns=[f"count {k + 1}" for k in range(30)]).assign(
        **dict(zip(names, y.T, strict=True))
    )
    args.target = names
else:
    frame = read_table(args.data)
splits = [0] if args.smoke else [0, 1, 2]
data = {
    split: kzoo.load_data(
        frame, preset="tabular_tabm", target=args.target or None, task="labels", seed=split
    )
    for split in splits
}

# %% Train
small = dict(epochs=2, members=4, units=(16,)) if args.smoke else {}
runs = {
    split: kzoo.train(
        "tabular_tabm", data[split], out=out / f"split-{split}", seed=split, progress=False, **small
    )
    for split in splits
}

# %% Evaluate
scores, of_labels = [], []
for split, run in runs.items():
    by_threshold = kzoo.evaluate(run, data[split])  # on the test split, which training does not use
    at_half = run.problem.task.scoring.score(
        [(run.answers["answers"], run.answers["truth"])],
        replace(run.target, thresholds=()),
        logits=False,
    ).scores
    candidates = {"network, thresholds from validation": by_threshold, "network, a half": at_half}
    candidates |= {row["label"]: row["scores"] for row in run.summary["baselines"] if row["scores"]}
    for model, numbers in candidates.items():
        scores.append(
            dict(model=model)
            | {key: numbers[key] for key in ("f1_macro", "f1_micro", "exact_match")}
        )
    for name, row in by_threshold["labels"].items():
        of_labels.append(dict(label=name, rows=row["support"], learned=row["f1"] or 0, half=0.0))
        of_labels[-1]["half"] = at_half["labels"][name]["f1"] or 0
groups = pd.DataFrame(scores).groupby("model", sort=False)
table = (
    groups.mean()
    .assign(f1_macro_sd=groups.f1_macro.std(), splits=groups.size())
    .astype(float)
    .round(4)
)
table = table.reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot
labels = pd.DataFrame(of_labels).groupby("label", sort=False).mean()
figure = new_figure(6, 1.2 + 0.4 * len(labels))
axes = figure.add_subplot()
places = np.arange(len(labels))
for offset, column, color, name in (
    (-0.2, "half", GREY, "a half"),
    (0.2, "learned", BLUE, "its threshold"),
):
    axes.barh(places + offset, labels[column], 0.36, color=color, label=name)
axes.set_yticks(
    places, [f"{name} ({count:.0f})" for name, count in labels["rows"].items()], parse_math=False
)
axes.invert_yaxis()
style_axes(axes, "F1 of each label by its threshold, mean of the splits", grid="x")
figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize=9)
kzoo.recipes.finish(args, rows, figure, folder=out)
