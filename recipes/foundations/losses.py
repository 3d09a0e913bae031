"""Five losses: formula against Keras, and what each makes of one answer.

The tutorial's hinge formula silently needs labels -1 and 1; Keras takes 0 and 1 as well, and turns them into those.
KL divergence is cross-entropy less the entropy of the truth: training on either gives the same gradients.

python recipes/foundations/losses.py            all of them, on 1000 answers
python recipes/foundations/losses.py --smoke    the same: it takes a second

Measured: 2 s for all of it; its table is in recipes/README.md.
"""

# %% The formulas, on random answers
import numpy as np

import kzoo

args = kzoo.recipes.arguments("foundations/losses", __doc__)
import keras

random = np.random.default_rng(42)
values, guesses = random.normal(size=(2, 1000, 1))
truth, answers = random.dirichlet(np.ones(4), size=(2, 1000))  # two distributions over 4 classes, for each example
onehot = np.eye(4)[truth.argmax(axis=1)]
label, chance = random.integers(2, size=(1000, 1)), random.uniform(0.01, 0.99, (1000, 1))
sign = 2 * label - 1


def cross_entropy(p, q):
    return -(p * np.log(q)).sum(axis=-1).mean()


kl = (truth * np.log(truth / answers)).sum(axis=-1).mean()
binary = -(label * np.log(chance) + (1 - label) * np.log(1 - chance)).mean()
hinge = np.maximum(0, 1 - sign * guesses).mean()
losses = keras.losses
table = {
    "mean squared error": (((values - guesses) ** 2).mean(), losses.MeanSquaredError(), values, guesses),
    "cross-entropy": (cross_entropy(onehot, answers), losses.CategoricalCrossentropy(), onehot, answers),
    "binary cross-entropy": (binary, losses.BinaryCrossentropy(), label, chance),
    "hinge, labels -1 and 1": (hinge, losses.Hinge(), sign, guesses),
    "hinge, labels 0 and 1": (hinge, losses.Hinge(), label, guesses),
    "KL divergence": (kl, losses.KLDivergence(), truth, answers),
}

# %% Check them against Keras
rows = []
for name, (formula, loss, true, predicted) in table.items():
    in_keras = float(loss(true.astype("float32"), predicted.astype("float32")))
    rows.append(dict(loss=name, formula=float(formula), keras=in_keras, difference=abs(formula - in_keras)))
    assert rows[-1]["difference"] < 1e-5, f"{name}: formula {formula}, Keras {in_keras}"
assert np.isclose(kl, cross_entropy(truth, answers) - cross_entropy(truth, truth))

# %% Look
p, score = np.linspace(0.001, 0.999, 500), np.linspace(-2.5, 2.5, 500)
pictures = [  # title, axis, and a curve for each label
    ("Mean squared error", "prediction, truth 0", score, {"": score**2}),
    ("Cross-entropy", "probability of the true class", p, {"": -np.log(p)}),
    ("Binary cross-entropy", "predicted probability", p, {"label 1": -np.log(p), "label 0": -np.log(1 - p)}),
    ("Hinge", "score", score, {"label 1": np.maximum(0, 1 - score), "label -1": np.maximum(0, 1 + score)}),
    ("KL divergence", "predicted probability", p,
     {f"truth {t}": t * np.log(t / p) + (1 - t) * np.log((1 - t) / (1 - p)) for t in (0.3, 0.8)}),
]  # fmt: skip
figure, panels = kzoo.plots.panels(*(title for title, *_ in pictures), width=2.6, height=3)
for axes, (_, axis, x, curves) in zip(panels, pictures, strict=True):
    for name, y in curves.items():
        axes.plot(x, y, lw=2, label=name)
    axes.set(xlabel=axis, ylim=(0, 4))
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9, loc="upper center")
kzoo.recipes.finish(args, rows, figure)
