"""A preset with its defaults compared with the winner of a search, on few and many examples; prints JSON rows.

python tests/benchmarks/defaults.py tabular_fnn --data adult.csv --target income_status --examples 500 5000 all
python tests/benchmarks/defaults.py "text_*" --data reviews/ --examples 500
python tests/benchmarks/defaults.py mnist_cnn --data digits.npz --out searches/defaults    resumes a stopped search
python tests/benchmarks/defaults.py image_pretrained --data photos.npz --weights imagenet

A fifth of the data, at most 5,000 examples, is the test split. `--examples` of the rest are used, a tenth of them for
validation. On this split the preset is trained with its defaults and tuned with `kzoo.tune`, which selects the winner
on validation data. Both are scored once on the test split, together with the baselines.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import kzoo
from kzoo.cli.shared import parse_settings
from kzoo.data.inputs.text.fitting import read_folder
from kzoo.data.tables.frame import as_frame
from kzoo.problems.tasks import problem

TEST = 5_000  # examples at the most


def loaded(preset, args, examples):
    """Return the data. The test split is the same for each number of examples."""
    path = Path(args.data)
    options = {}
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            x, y = arrays["x"], arrays["y"]
        count = len(y)

        def take(rows):
            return x[rows], y[rows]

    else:
        frame = table(args.data)
        count = len(frame)
        take = frame.iloc.__getitem__
        options = dict(target=args.target or "label")
    order = np.random.default_rng(0).permutation(count)
    test, rest = np.split(order, [min(TEST, count // 5)])
    return kzoo.load_data(take(rest[:examples]), test=take(test), preset=preset, **options)


def table(source):
    """Return a table, or the texts of a folder as a table."""
    if not Path(source).is_dir():
        return as_frame(source)
    texts, labels, _ = read_folder(Path(source), most=0.0)
    return pd.DataFrame(dict(text=texts, label=labels))


def row_of(preset, args, examples, folder):
    """Train and tune, and return both scores."""
    data = loaded(preset, args, examples)
    began = time.perf_counter()
    options = dict(weights=args.weights, progress=False) | parse_settings(args.set)
    run = kzoo.train(preset, data, out=folder / "default", **options)
    between = time.perf_counter()
    search = kzoo.tune(
        preset, data, trials=args.trials, out=folder / "search", parallel=args.parallel, **options
    )
    ended = time.perf_counter()
    metric = problem(data.task).headline
    found = kzoo.evaluate(search.best_model(), data)
    simple = kzoo.baselines.score(data, seconds=900)  # of all rows, as the network
    return dict(
        preset=preset,
        data=Path(args.data).name,
        examples=len(data.train) + len(data.validation),
        test=len(data.test),
        metric=metric,
        default=run.summary["test"][metric],
        searched=found[metric],
        trial=search.best_trial().number,
        trained=sum(trial.status == "completed" for trial in search.trials),
        seconds=round(between - began),
        search_seconds=round(ended - between),
        baselines={one.label: one.value for one in simple if one.value is not None},
    )


def main():
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="+", help="presets or globs")
    parser.add_argument("--data", required=True)
    parser.add_argument("--target")
    parser.add_argument("--examples", nargs="+", default=["500", "5000", "all"])
    parser.add_argument("--weights", help="that both begin with")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of both"
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--out", default="searches/defaults")
    args = parser.parse_args()
    for examples in args.examples:
        for preset in kzoo.list_presets(args.presets):
            folder = Path(args.out) / f"{preset}-{Path(args.data).name}-{examples}"
            count = None if examples == "all" else int(examples)
            print(json.dumps(row_of(preset, args, count, folder)), flush=True)


if __name__ == "__main__":
    main()
