"""Several labels per row: thresholds, each label by itself, and what a probability of a half misses.

A row has any number of labels, also none. The network has a probability for each of them. From which probability on a
label is predicted is learned on validation rows: a rare label hardly ever reaches a half. A table has a column of 0 and
1 for each label, or one column such as `rain;wind`; an empty cell among the columns is unknown, which is not "no".

python recipes/tabular_labels.py                                         generated rows with eight labels
python recipes/tabular_labels.py --data my.csv --target "red,green,blue"  your own table, with a column for each label
python recipes/tabular_labels.py --data my.csv --target tags              your own table, with cells such as a;b
python recipes/tabular_labels.py --smoke                                 a quick test of a few seconds

The sets of labels in papers, such as yeast and emotions: `sklearn.datasets.fetch_openml("yeast", version=4)`.
"""

# %% Data and settings
from dataclasses import replace
from pathlib import Path

import pandas as pd
from sklearn.datasets import make_multilabel_classification

import kzoo
from kzoo.plots.colors import BLUE, GREY
from kzoo.plots.figure import new_figure, style_axes
from kzoo.sources.tables.files import read_table

args = kzoo.recipes.arguments("tabular_labels", __doc__, data="generated", target="")
out = Path(args.out or "runs/tabular_labels")
if args.data == "generated":
    x, y = make_multilabel_classification(
        400 if args.smoke else 3000, n_features=30, n_classes=8, n_labels=2, length=40, random_state=0
    )
    names = [f"label {k + 1}" for k in range(8)]
    frame = pd.DataFrame(x, columns=[f"count {k + 1}" for k in range(30)]).assign(**dict(zip(names, y.T, strict=True)))
    args.target = names
else:
    frame = read_table(args.data)
data = kzoo.load_data(frame, preset="tabular_tabm", target=args.target or None, task="labels")

# %% Train
small = dict(epochs=2, members=4, units=(16,), baselines=True) if args.smoke else {}
run = kzoo.train("tabular_tabm", data, out=out / "run", **small)

# %% Evaluate
scores = kzoo.evaluate(run, data)  # on the test split, which training does not use
predictions = kzoo.predict(run, data.test.x)
at_half = run.problem.task.scoring.score(
    [(predictions.probabilities, data.test.y)], replace(run.target, thresholds=()), logits=False
).scores
rows = [
    dict(model=model, **{name: numbers.get(name) for name in ("f1_macro", "f1_micro", "exact_match")})
    for model, numbers in [
        ("network, thresholds from validation", scores),
        ("network, a half", at_half),
        *((row["label"], row["scores"]) for row in run.summary["baselines"] if row["scores"]),
    ]
]

# %% Plot
labels, figure = scores["labels"], new_figure(6, 1.2 + 0.4 * len(scores["labels"]))
axes = figure.add_subplot()
for offset, numbers, color, name in ((-0.2, at_half, GREY, "a half"), (0.2, scores, BLUE, "its threshold")):
    bars = [row["f1"] or 0 for row in numbers["labels"].values()]
    axes.barh([i + offset for i in range(len(labels))], bars, 0.36, color=color, label=name)
axes.set_yticks(range(len(labels)), [f"{name} ({row['support']})" for name, row in labels.items()], parse_math=False)
axes.invert_yaxis()
style_axes(axes, "F1 of each label by its threshold", grid="x")
figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize=9)
kzoo.recipes.finish(args, rows, figure, folder=out)
