"""`image_frozen` beside the baselines of images where photos are few: leads, and the regret of deciding ties by them.

python tests/benchmarks/few_photos.py measure photos/bees photos/masks ... --out few.json    a folder for each data set
python tests/benchmarks/few_photos.py leads few.json

Near-duplicates, by the signs of brightness differences between neighbours of a 9x8 image, are left out first. The file
gets, for each data set, number of photos a class and draw, accuracies on other photos and which photos of five folds
were right; a command that is repeated leaves out what the file has.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import kzoo
from kzoo.baselines.fitted import fit
from kzoo.training.features import frozen_below, with_features
from kzoo.training.ridge import ridge_of_unit_vectors

BASELINES = "colors", "pixels"
NETWORK = "image_frozen"
DRAWS = {5: 3, 20: 3, 100: 2}  # photos a class -> draws
FOLDS = 5
TEST_ROWS = 400


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    measure = commands.add_parser("measure")
    measure.add_argument("folders", nargs="+", type=Path)
    measure.add_argument("--out", type=Path, required=True)
    measure.set_defaults(
        run=lambda args: [measure_set(folder, args.out) for folder in args.folders]
    )
    leads = commands.add_parser("leads")
    leads.add_argument("out", type=Path)
    leads.set_defaults(run=lambda args: print_leads(json.loads(args.out.read_text())))
    args = parser.parse_args()
    args.run(args)


def unique(x):
    """Return the indices of images that differ from those before them."""
    seen = {}
    for i, image in enumerate(x):
        grey = Image.fromarray(image.astype("uint8")).convert("L").resize((9, 8))
        signs = np.diff(np.asarray(grey, int), axis=1) > 0
        seen.setdefault(signs.tobytes(), i)
    return np.array(sorted(seen.values()))


def measure_set(folder, out):
    data = kzoo.load_data(folder, preset=NETWORK, validation=0, test=0)
    x, y = np.asarray(data.train.x[:]), np.asarray(data.train.y[:])
    kept = unique(x)
    data = replace(data, train=replace(data.train.select(kept), x=x[kept]))
    y = y[kept]
    few = data.train.select(np.unique(y, return_index=True)[1])
    twice = replace(few, x=np.repeat(few.x[:], 2, axis=0), y=np.repeat(few.y[:], 2))
    with TemporaryDirectory() as path:
        run = kzoo.train(
            NETWORK,
            replace(data, train=twice),
            out=Path(path) / "run",
            progress=False,
            check=False,
            baselines=False,
        )
        frozen = frozen_below(run.model)
    features = np.asarray(with_features(frozen, data.train, batch_size=32).x)
    stored = json.loads(out.read_text()) if out.is_file() else {}
    for count, draws in DRAWS.items():
        if np.median(np.bincount(y)) < 1.5 * count:
            continue
        for draw in range(draws):
            key = f"{folder.name}|{count}|{draw}"
            if key not in stored:
                stored[key] = measured_cell(data, features, y, count, draw)
                out.write_text(json.dumps(stored))
                print(key, {name: score for name, score in stored[key].items() if name != "right"})


def measured_cell(data, features, y, count, draw):
    """Return the accuracies on test photos, and which training photos were right in folds."""
    rng = np.random.default_rng(100 * count + draw)
    classes = y.max() + 1
    train, test = [], []
    for number in range(classes):
        rows = rng.permutation(np.flatnonzero(y == number))
        most = min(count, len(rows) // 2)
        train += [*rows[:most]]
        test += [*rows[most : most + max(TEST_ROWS // classes, 10)]]
    train, test = np.array(train), np.array(test)
    fold = np.empty(len(train), int)
    for number in range(classes):
        rows = np.flatnonzero(y[train] == number)
        fold[rng.permutation(rows)] = (np.arange(len(rows)) + rng.integers(FOLDS)) % FOLDS

    def predicted(name, rows, others):
        if name == NETWORK:
            targets = np.where(np.arange(classes) == y[rows][:, None], 1.0, -1.0)
            ridge = ridge_of_unit_vectors(features[rows], targets, None)
            return (features[others] @ ridge.kernel + ridge.bias).argmax(axis=1)
        shuffled = np.random.default_rng(0).permutation(rows)
        held = max(len(rows) // 6, 1)  # on which a baseline chooses its strength
        parts = dict(validation=shuffled[:held], train=shuffled[held:], test=others)
        splits = {name: data.train.select(np.sort(part)) for name, part in parts.items()}
        outputs, _ = fit(replace(data, **splits), name, all_rows=True).predict(splits["test"])
        return outputs.argmax(axis=1)[np.argsort(np.argsort(others))]

    cell = {"rows": len(train), "right": {}}
    for name in (NETWORK, *BASELINES):
        cell[name] = float((predicted(name, train, test) == y[test]).mean())
        right = np.empty(len(train))
        for number in np.unique(fold):
            others = train[fold == number]
            right[fold == number] = predicted(name, train[fold != number], others) == y[others]
        cell["right"][name] = right.tolist()
    return cell


def print_leads(cells):
    """Print the lead of each set, the mean, and the regret of deciding ties for a baseline and for the network."""
    leads, regrets = defaultdict(lambda: defaultdict(list)), defaultdict(list)
    for key, cell in cells.items():
        folder, count, _ = key.split("|")
        best = max(BASELINES, key=lambda name: np.mean(cell["right"][name]))
        leads[folder][count].append(cell[NETWORK] - max(cell[name] for name in BASELINES))
        gains = np.subtract(cell["right"][NETWORK], cell["right"][best])
        # folds share training rows: Nadeau and Bengio 2003
        error = gains.std(ddof=1) * np.sqrt((1 + FOLDS / (FOLDS - 1)) / len(gains))
        chosen = [NETWORK if gains.mean() > limit else best for limit in (error, -error)]
        highest = max(cell[NETWORK], cell[best])
        regrets[folder].append([highest - cell[name] for name in chosen])
    means = {
        folder: np.mean([np.mean(draws) for draws in counts.values()])
        for folder, counts in leads.items()
    }
    for folder, lead in means.items():
        simpler, network = 100 * np.mean(regrets[folder], axis=0)
        print(f"{folder}: lead {100 * lead:.1f}, regret {simpler:.1f} and {network:.1f} points")
    values = [*means.values()]
    simpler, network = 100 * np.mean([np.mean(each, axis=0) for each in regrets.values()], axis=0)
    print(
        f"{len(values)} sets: lead {100 * np.mean(values):.1f}, deviation {100 * np.std(values, ddof=1):.1f}, "
        f"regret {simpler:.1f} and {network:.1f} points"
    )


if __name__ == "__main__":
    main()
