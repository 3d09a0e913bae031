"""No loop by hand: preset iris_fnn by kzoo.train, which is Keras' `fit`, to set beside the loops in this folder.

It does more in an epoch than they do: it scores the validation split, keeps the best weights and writes the history.

python recipes/frameworks/kzoo_train.py                  ten seeds on TensorFlow
python recipes/frameworks/kzoo_train.py --backend jax    on JAX; or torch for PyTorch
python recipes/frameworks/kzoo_train.py --smoke          seconds, to see that it runs

Measured: 96 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
from pathlib import Path

import numpy as np

import kzoo

backends = ("tensorflow", "jax", "torch")
args = kzoo.recipes.arguments("frameworks/kzoo_train", __doc__, backend=backends, seeds=10, epochs=100)
seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)

# %% Ten seeds, every one to the last epoch; a seed draws the split as well as the weights
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
    ms_per_epoch=1000 * np.median([run.history["seconds"] for run in runs]),  # the median leaves the compilation out
    right=(30 * accuracies).round().astype(int).tolist(),  # of 30 test flowers, seed by seed
)

# %% Look
kzoo.recipes.finish(args, [row], kzoo.plots.curves({"loss": losses.mean(axis=0)}))
