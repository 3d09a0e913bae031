"""One network, the same splits, six ways to train it: kzoo.train on three backends, and three manual loops.

The framework does not change the accuracy, only the time. The largest difference between two means is printed with its
standard error, from the ten splits that both were trained on. With fifteen pairs of equal methods, the largest
difference is often two or three standard errors.

python recipes/frameworks/compare.py            ten seeds each, minutes; skips frameworks that are not installed
python recipes/frameworks/compare.py --smoke    a quick test: TensorFlow only, one seed

Measured: 539 s in total; the results are in recipes/README.md.
"""

# %% Setup
import importlib.util
import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

import kzoo

args = kzoo.recipes.arguments("frameworks/compare", __doc__, seeds=10, epochs=100)
seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)
loops = {"tensorflow": "gradient_tape", "jax": "jax_loop", "torch": "torch_loop"}
methods = [(backend, script) for backend in loops for script in ("kzoo_train", loops[backend])]
if args.smoke:
    methods = methods[:2]

# %% Run each method in its own process: Keras has one backend per process
script_folder = Path(globals().get("__file__", "compare.py")).resolve().parent
out = Path(args.out or "runs/frameworks-compare")
rows = []
for backend, script in methods:
    if importlib.util.find_spec(backend) is None:
        no_scores = dict.fromkeys(("seeds", "epochs", "accuracy", "sd", "loss", "ms_per_epoch"))
        rows.append(dict(framework=f"{script}, {backend}: not installed", **no_scores))
        continue
    folder = out / f"{script}-{backend}"
    words = ["--seeds", str(seeds), "--epochs", str(epochs), "--out", str(folder)]
    words += ["--backend", backend] if script == "kzoo_train" else []
    # more threads slow down steps as small as these
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, script_folder / f"{script}.py", *words], check=True, env=one_thread
    )
    rows += json.loads((folder / f"{script}.json").read_text(encoding="utf-8"))["rows"]

# %% Compare the accuracies
right = {row["framework"]: np.array(row.pop("right")) for row in rows if "right" in row}
first, second = max(
    combinations(right, 2), key=lambda pair: abs(right[pair[0]].mean() - right[pair[1]].mean())
)
differences = (right[first] - right[second]) / 30  # one value per split
difference = abs(differences.mean())
standard_error = differences.std(ddof=1) / seeds**0.5 if seeds > 1 else float("nan")
print(
    f"largest difference: {difference:.4f}, standard error {standard_error:.4f}: {first} and {second}"
)

# %% Plot
ran = [row for row in rows if row["accuracy"] is not None]
names = [row["framework"] for row in ran]
figure, (scores, times) = kzoo.plots.panels(
    f"Test accuracy, {seeds} seeds", "Time per epoch", width=5, height=3.2
)
scores.errorbar(
    [row["accuracy"] for row in ran],
    names,
    xerr=[row["sd"] or 0 for row in ran],
    fmt="o",
    capsize=4,
)
scores.set(xlabel="mean and standard deviation")
bars = times.barh(names, [row["ms_per_epoch"] for row in ran], height=0.6)
times.bar_label(bars, fmt="%.0f", padding=3)
times.set(xlabel="milliseconds, training split of 108 flowers")
times.margins(x=0.15)
times.tick_params(labelleft=False)
for axes in (scores, times):
    axes.set_ylim(len(ran) - 0.5, -0.5)
kzoo.recipes.finish(args, rows, figure, folder=out)
