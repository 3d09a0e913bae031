"""Seconds and score of `tabular_tabm` on a table, compared with TabM_D and RealMLP_TD of pytabkit on the same split.

python tests/benchmarks/tabm.py adult.csv income_status --seeds 0 1 2
python tests/benchmarks/tabm.py adult.csv income_status --models TabM_D RealMLP_TD --limit 600    needs pytabkit

Prints a JSON row per seed, each from a separate process. Seconds are training time: the epochs of kzoo, and `fit` of
pytabkit with its defaults and kzoo's validation split. A `fit` that takes longer than `--limit` is stopped, and has no
score. The score is accuracy or R2 on the test split and on the validation split.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OURS = "tabular_tabm"
THEIRS = ("TabM_D", "RealMLP_TD")


def of_kzoo(table, target, seed):
    """Return seconds, epochs and the scores on both splits."""
    import kzoo

    with tempfile.TemporaryDirectory() as folder:
        run = kzoo.train(
            OURS,
            table,
            target=target,
            seed=seed,
            out=f"{folder}/run",
            baselines=False,
            check=False,
            progress=False,
        )
        history, summary = run.history, run.summary
    name = "accuracy" if "accuracy" in summary["test"] else "r2"
    return dict(
        seconds=sum(history["seconds"]),
        epochs=len(history["seconds"]),
        best_epoch=summary["best_epoch"],
        validation=summary["validation"][name],
        test=summary["test"][name],
    )


def of_pytabkit(model, table, target, seed):
    """Return the same for a pytabkit model with its defaults, on the splits of kzoo."""
    import os

    os.environ["KERAS_BACKEND"] = "torch"  # which loads the data, and computes nothing
    import pandas as pd
    import pytabkit
    from sklearn.metrics import accuracy_score, r2_score

    import kzoo

    data = kzoo.load_data(table, target=target, preset=OURS)
    numbers = data.train.x.shape[1] - len(data.config.get("categories", ()))
    classes = "classes" in data.problem.facts

    def frame(split):
        x = pd.DataFrame(np.asarray(split.x), columns=[f"x{i}" for i in range(split.x.shape[1])])
        categories = x.columns[numbers:]
        return x.astype({name: int for name in categories}).astype(
            {name: "category" for name in categories}
        )

    fitted = getattr(pytabkit, f"{model}_{'Classifier' if classes else 'Regressor'}")(
        device="cpu", random_state=seed, n_threads=os.cpu_count()
    )
    y = {name: np.ravel(getattr(data, name).y) for name in ("train", "validation", "test")}
    began = time.perf_counter()
    fitted.fit(
        frame(data.train),
        y["train"],
        frame(data.validation),
        y["validation"],
        cat_col_names=[f"x{i}" for i in range(numbers, data.train.x.shape[1])],
    )
    seconds = time.perf_counter() - began
    score = accuracy_score if classes else r2_score
    scores = {
        name: score(y[name], fitted.predict(frame(getattr(data, name))))
        for name in ("validation", "test")
    }
    return dict(seconds=seconds, **scores)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("target")
    parser.add_argument(
        "--models", nargs="+", choices=(OURS, *THEIRS), default=[OURS], metavar="MODEL"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--limit", type=float, default=600, help="seconds of a process")
    # in a process of its own
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        model, seed = args.models[0], args.seeds[0]
        of = (args.table, args.target, seed)
        return print(json.dumps(of_kzoo(*of) if model == OURS else of_pytabkit(model, *of)))
    for seed in args.seeds:
        for model in args.models:
            words = ["--models", model, "--seeds", str(seed), "--measure"]
            line = [sys.executable, __file__, args.table, args.target, *words]
            row = dict(model=model, data=args.table.name, seed=seed)
            try:
                done = subprocess.run(line, capture_output=True, text=True, timeout=args.limit)
            except subprocess.TimeoutExpired:
                row |= dict(seconds=None, stopped_after=args.limit)
            else:
                if done.returncode:
                    sys.exit(f"{model}: {done.stderr.strip().splitlines()[-1]}")
                row |= json.loads(done.stdout.splitlines()[-1])
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
