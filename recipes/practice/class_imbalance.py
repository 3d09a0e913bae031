"""Class imbalance: with one positive in twenty-five, accuracy is misleading; F1 and average precision are not.

Always predicting "no" is right in 96 of 100 cases. Class weights shift the threshold, and do not improve the network:
they find more positives and raise more false alarms, but AUC and average precision do not improve here. A threshold
chosen on validation data does as much for F1, with noise: with few positives every score is uncertain.

python recipes/practice/class_imbalance.py            class weights and thresholds, three seeds
python recipes/practice/class_imbalance.py --smoke    a quick test of a few seconds

Measured: 139 s in total; the results are in recipes/README.md.
"""

# %% Four positives in a hundred
import numpy as np
import pandas as pd
from sklearn import datasets, metrics

import kzoo
from kzoo.plots.colors import BLUE, GREY, LINES

args = kzoo.recipes.arguments("practice/class_imbalance", __doc__)
x, y = datasets.make_classification(
    4000, 12, n_informative=6, weights=[0.96], flip_y=0.01, class_sep=0.8, random_state=0
)
frame = pd.DataFrame(x).add_prefix("x").assign(alarm=np.where(y, "yes", "no"))
data = kzoo.load_data(frame, preset="cancer_fnn", target="alarm", validation=0.25)
truth = data.test.y

# %% Train with and without class weights
epochs, seeds = (1, [0]) if args.smoke else (30, [0, 1, 2])
variants = {"plain": dict(class_weight=None), "class weights": dict(class_weight="balanced")}
out = args.out or "runs/practice-class_imbalance"
if args.smoke:
    variants = {name: settings | dict(batch_size=1000) for name, settings in variants.items()}
runs = kzoo.recipes.train_variants(
    "cancer_fnn", data, variants, out=out, seeds=seeds, epochs=epochs
)

# %% Evaluate: threshold 0.5, and the threshold with the best F1 on validation data
scores = []
for name, group in runs.items():
    for run in group:
        p = run.answers["answers"][:, 1]
        validation = kzoo.predict(run, data.validation.x).probabilities[:, 1]
        precision, recall, thresholds = metrics.precision_recall_curve(
            data.validation.y, validation
        )
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        for label, threshold in {"0.5": 0.5, "chosen": thresholds[f1[:-1].argmax()]}.items():
            predicted = p >= threshold
            score = dict(
                variant=f"{name}, {label}",
                threshold=threshold,
                accuracy=metrics.accuracy_score(truth, predicted),
            )
            score |= dict(precision=metrics.precision_score(truth, predicted, zero_division=0))
            score |= dict(
                recall=metrics.recall_score(truth, predicted), f1=metrics.f1_score(truth, predicted)
            )
            score |= dict(
                auc=metrics.roc_auc_score(truth, p),
                average_precision=metrics.average_precision_score(truth, p),
            )
            scores.append(score)
dummy = dict(
    variant="always no",
    threshold=1.0,
    accuracy=1 - truth.mean(),
    precision=0.0,
    recall=0.0,
    f1=0.0,
    auc=0.5,
)
scores = pd.DataFrame([dummy | dict(average_precision=truth.mean()), *scores]).groupby(
    "variant", sort=False
)
table = scores.mean().assign(f1_sd=scores["f1"].std()).astype(float).round(4)
rows = table.reset_index().astype(object).where(lambda t: t.notna(), None).to_dict("records")

# %% Plot: accuracy and F1; precision and recall at each threshold, for the first seed
figure, (left, right) = kzoo.plots.panels(
    "Accuracy and F1", "Precision and recall at every threshold", height=4
)
positions = np.arange(len(table))
left.barh(positions - 0.2, table["accuracy"], 0.38, color=GREY, label="accuracy")
left.barh(positions + 0.2, table["f1"], 0.38, color=BLUE, xerr=table["f1_sd"].fillna(0), label="F1")
left.set_yticks(positions, table.index)
left.invert_yaxis()
left.set(xlim=(0, 1))
left.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
for (name, group), color in zip(runs.items(), LINES, strict=False):
    p = group[0].answers["answers"][:, 1]
    precision, recall, thresholds = metrics.precision_recall_curve(truth, p)
    right.plot(recall, precision, color=color, lw=1.8, label=name)
    index = np.searchsorted(thresholds, 0.5)
    right.plot(
        recall[index],
        precision[index],
        "o",
        color=color,
        ms=9,
        mec="white",
        label=f"{name}: threshold 0.5",
    )
right.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
right.legend(frameon=False, fontsize=9, loc="lower left")
kzoo.recipes.finish(args, rows, figure)
