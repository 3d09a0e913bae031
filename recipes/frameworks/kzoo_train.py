"""Preset iris_fnn with kzoo.train, which uses Keras' `fit`, for comparison with the manual loops in this folder.

It does more per epoch than the loops: it scores the validation split, keeps the best weights and writes the history.

python recipes/frameworks/kzoo_train.py                  ten seeds on TensorFlow
python recipes/frameworks/kzoo_train.py --backend jax    on JAX; torch for PyTorch
python recipes/frameworks/kzoo_train.py --smoke          a quick test of a few seconds

Measured: 96 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np

import kzoo

backends = ("tensorflow", "jax", "torch")
args = kzoo.recipes.arguments(
    "frameworks/kzoo_train", __doc__, backend=backends, seeds=10, epochs=100
)
seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)

# %% Train ten seeds without early stopping; a seed determines split and weights
out = Path(args.out or "runs/frameworks-kzoo_train") / f"{args.backend}-{epochs}-epochs"
options = dict(epochs=epochs, patience=epochs, callbacks="quick", progress=False)
runs = [
    kzoo.train("iris_fnn", "iris", out=out / f"seed-{seed}", seed=seed, data_seed=seed, **options)
    for seed in range(seeds)
]
accuracies = np.array([run.summary["test"]["accuracy"] for run in runs])
losses = np.array([run.history["loss"] for run in runs])
row = dict(
    framework=f"kzoo.train, {runs[0].config['backend']}",
    seeds=seeds,
    epochs=epochs,
    accuracy=accuracies.mean(),
    sd=accuracies.std(ddof=1) if seeds > 1 else None,
    loss=losses[:, -1].mean(),
    # the median ignores compilation
    ms_per_epoch=1000 * np.median([run.history["seconds"] for run in runs]),
    right=(30 * accuracies).round().astype(int).tolist(),  # of 30 test flowers, per seed
)

# %% Plot
kzoo.recipes.finish(args, [row], kzoo.plots.curves({"loss": losses.mean(axis=0)}))
