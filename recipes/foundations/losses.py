"""Five loss functions: formulas checked against Keras, and their values for one prediction.

The tutorial's hinge formula needs labels -1 and 1, without saying so. Keras also accepts 0 and 1, and converts them. KL
divergence is cross-entropy minus the entropy of the labels, so training with either gives the same gradients.

python recipes/foundations/losses.py            all losses, on 1000 predictions
python recipes/foundations/losses.py --smoke    the same; it takes a second

Measured: 2 s in total; the results are in recipes/README.md.
"""

# %% The formulas, on random predictions
import numpy as np

import kzoo

args = kzoo.recipes.arguments("foundations/losses", __doc__)
import keras

random = np.random.default_rng(42)
values, scores = random.normal(size=(2, 1000, 1))
# two distributions over 4 classes, for each example
truth, predictions = random.dirichlet(np.ones(4), size=(2, 1000))
onehot = np.eye(4)[truth.argmax(axis=1)]
label = random.integers(2, size=(1000, 1))
probability = random.uniform(0.01, 0.99, (1000, 1))
sign = 2 * label - 1


def cross_entropy(p, q):
    return -(p * np.log(q)).sum(axis=-1).mean()


kl = (truth * np.log(truth / predictions)).sum(axis=-1).mean()
binary = -(label * np.log(probability) + (1 - label) * np.log(1 - probability)).mean()
hinge = np.maximum(0, 1 - sign * scores).mean()
losses = keras.losses
table = {
    "mean squared error": (
        ((values - scores) ** 2).mean(),
        losses.MeanSquaredError(),
        values,
        scores,
    ),
    "cross-entropy": (
        cross_entropy(onehot, predictions),
        losses.CategoricalCrossentropy(),
        onehot,
        predictions,
    ),
    "binary cross-entropy": (binary, losses.BinaryCrossentropy(), label, probability),
    "hinge, labels -1 and 1": (hinge, losses.Hinge(), sign, scores),
    "hinge, labels 0 and 1": (hinge, losses.Hinge(), label, scores),
    "KL divergence": (kl, losses.KLDivergence(), truth, predictions),
}

# %% Check them against Keras
rows = []
for name, (formula, loss, true, predicted) in table.items():
    in_keras = float(loss(true.astype("float32"), predicted.astype("float32")))
    rows.append(
        dict(loss=name, formula=float(formula), keras=in_keras, difference=abs(formula - in_keras))
    )
    assert rows[-1]["difference"] < 1e-5, f"{name}: formula {formula}, Keras {in_keras}"
assert np.isclose(kl, cross_entropy(truth, predictions) - cross_entropy(truth, truth))

# %% Plot
p = np.linspace(0.001, 0.999, 500)
score = np.linspace(-2.5, 2.5, 500)
pictures = [  # title, axis, and a curve for each label
    ("Mean squared error", "prediction, truth 0", score, {"": score**2}),
    ("Cross-entropy", "probability of the true class", p, {"": -np.log(p)}),
    (
        "Binary cross-entropy",
        "predicted probability",
        p,
        {"label 1": -np.log(p), "label 0": -np.log(1 - p)},
    ),
    (
        "Hinge",
        "score",
        score,
        {"label 1": np.maximum(0, 1 - score), "label -1": np.maximum(0, 1 + score)},
    ),
    (
        "KL divergence",
        "predicted probability",
        p,
        {f"truth {t}": t * np.log(t / p) + (1 - t) * np.log((1 - t) / (1 - p)) for t in (0.3, 0.8)},
    ),
]
figure, panels = kzoo.plots.panels(*(title for title, *_ in pictures), width=2.6, height=3)
for axes, (_, axis, x, curves) in zip(panels, pictures, strict=True):
    for name, y in curves.items():
        axes.plot(x, y, lw=2, label=name)
    axes.set(xlabel=axis, ylim=(0, 4))
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9, loc="upper center")
kzoo.recipes.finish(args, rows, figure)
