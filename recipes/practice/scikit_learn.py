"""scikit-learn: a preset in a Pipeline, with cross_val_score and GridSearchCV, through keras.wrappers.

The wrapper takes a function that builds a compiled network from X and one-hot y. Note three points. All settings are
one dict, `model_kwargs`, so a grid is a list of dicts. clone() drops `fit_kwargs`, so pass epochs to `fit`. There is no
predict_proba, so score by labels. For folds with early stopping, use kzoo.cross_validate. For tables, the estimators of
kzoo.sklearn have none of these limits (docs/how_to/scikit_learn.md); the wrapper takes presets for photos and texts.

python recipes/practice/scikit_learn.py            3 x 4 settings, 3 folds each, on wines
python recipes/practice/scikit_learn.py --smoke    a quick test of a few seconds

Measured: 317 s in total; the results are in recipes/README.md.
"""

# %% A preset as an estimator
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import kzoo

args = kzoo.recipes.arguments("practice/scikit_learn", __doc__)
import keras

# otherwise each predict of the wrapper prints a progress bar
keras.utils.disable_interactive_logging()


def network(X, y, **settings):
    return kzoo.build(
        "wine_fnn", input_shape=X.shape[1:], outputs=y.shape[1], labels="onehot", seed=0, **settings
    )


wine = load_wine()
labels = wine.target_names[wine.target]  # strings are allowed: the wrapper encodes them
X, X_test, y, y_test = train_test_split(
    wine.data, labels, test_size=0.3, stratify=labels, random_state=0
)
pipeline = Pipeline(
    [("scale", StandardScaler()), ("net", keras.wrappers.SKLearnClassifier(network))]
)

# %% Cross-validation: the scaler is also fitted in each fold
folds = StratifiedKFold(2 if args.smoke else 3, shuffle=True, random_state=0)
fit = {"net__epochs": 1 if args.smoke else 15, "net__batch_size": 16, "net__verbose": 0}
scores = cross_val_score(pipeline, X, y, cv=folds, params=fit)
print(
    f"the preset with its defaults: {scores.mean():.3f} +- {scores.std(ddof=1):.3f} over {len(scores)} folds"
)

# %% Grid search, then one evaluation on the test rows
rates, dropouts = (
    ((1e-3, 1e-2), (0.2,)) if args.smoke else ((1e-4, 1e-3, 1e-2, 1e-1), (0.0, 0.2, 0.5))
)
grid = {
    "net__model_kwargs": [
        dict(learning_rate=rate, dropout=dropout) for dropout in dropouts for rate in rates
    ]
}
search = GridSearchCV(pipeline, grid, cv=folds).fit(X, y, **fit)
test_accuracy = search.score(X_test, y_test)
print(
    f"best: {search.best_params_['net__model_kwargs']}, {test_accuracy:.3f} on the {len(y_test)} test rows"
)
results = zip(
    *(search.cv_results_[k] for k in ("params", "mean_test_score", "std_test_score")), strict=True
)
rows = [
    p["net__model_kwargs"] | dict(accuracy=float(mean), sd=float(sd)) for p, mean, sd in results
]

# %% Plot
table = np.reshape([row["accuracy"] for row in rows], (len(dropouts), len(rates)))
figure, (axes,) = kzoo.plots.panels(f"Accuracy over {folds.n_splits} folds of {len(y)} wines")
axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for (i, j), value in np.ndenumerate(table):
    axes.text(
        j, i, f"{value:.3f}", ha="center", va="center", color="white" if value > 0.6 else "black"
    )
axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
axes.set_yticks(range(len(dropouts)), dropouts)
axes.set(xlabel="learning rate", ylabel="dropout")
axes.grid(visible=False)
kzoo.recipes.finish(args, rows, figure)
