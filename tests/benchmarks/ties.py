"""Which rule decides ties among models of few labelled texts: answers are stored once, and rules compared on them.

python tests/benchmarks/ties.py fit texts/*.csv --labels 50 100 300 --draws 5 --out ties
python tests/benchmarks/ties.py rules ties

Tables have the columns `text` and `label`. Of each, 2,000 texts (at most two thirds) are test rows; training rows are
drawn from the others. `fit` embeds each text once, and stores for each draw the classes that baselines and networks in
closed form predict out of fold (baselines on one division, networks on ten) and for the test rows; a command that is
repeated goes on. `rules` prints test scores, and the regret of each rule: how far its choice is behind the best
candidate on the test rows. The lead of networks that a rule knows is learned from the other data sets.
"""

import argparse
import itertools
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import kzoo
from kzoo.auto.parts import Parts
from kzoo.baselines.fitted import checked_fit, fit_checked, refit
from kzoo.data.dataset import Split
from kzoo.data.inputs.text.sentence_encoder import load_tokenizer
from kzoo.data.store.pooled import pooled
from kzoo.training.features import frozen_below, with_features
from kzoo.training.gram_ridge import Grams, gram_ridge
from kzoo.training.ridge import ridge_of_unit_vectors

TEST, TEST_SHARE = 2_000, 0.66
LENGTH, SHORT = 512, 64  # pieces
FOLDS, DIVISIONS, DIVISIONS_OF_BASELINES = 5, 10, 1
BASELINES = "tfidf", "nbsvm"
NETWORKS = "text_pretrained", "text_pretrained_ngrams"
BUCKETS = 65_536


def fit(args):
    args.out.mkdir(exist_ok=True)
    for path in args.tables:
        texts = Texts(path, max(args.labels), args.draws)
        for draw, labels in itertools.product(range(args.draws), args.labels):
            file = args.out / f"{path.stem}-{labels}-{draw}.npz"
            if not file.is_file():
                np.savez_compressed(file, **answers(texts, labels, draw))
                print(file.name, flush=True)


class Texts:
    """A table, divided into a pool and test rows, with the ids and embeddings of all texts that are needed."""

    def __init__(self, path, labels, draws):
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame = frame.drop_duplicates("text").sample(frac=1, random_state=7, ignore_index=True)
        count = min(TEST, int(TEST_SHARE * len(frame)))
        self.test, self.pool = frame[:count], frame[count:]
        drawn = [self.draw(labels, number).index for number in range(draws)]
        rows = np.unique(np.concatenate([self.test.index, *drawn]))
        self.place = {row: place for place, row in enumerate(rows)}
        self.ids = load_tokenizer().encode(frame.text[rows].tolist(), LENGTH)
        self.embedded = {length: embedded(self.ids, length) for length in (SHORT, LENGTH)}

    def draw(self, labels, number):
        """Return training rows; the first ones are two of each class where a draw has fewer."""
        frame = self.pool.sample(frac=1, random_state=100 + number)
        counts = frame[:labels].label.value_counts().reindex(frame.label.unique()).fillna(0)
        if counts.min() < 2:
            frame = frame.loc[[*frame.groupby("label").head(2).index, *frame.index]]
            frame = frame[~frame.index.duplicated()]
        return frame[:labels]

    def of(self, rows):
        return np.array([self.place[row] for row in rows])


def embedded(ids, length):
    """Return the embeddings (N, 512) of texts, of which the first pieces are read."""
    preset = kzoo.get_preset("text_pretrained")
    preset = replace(preset, config={**preset.config, "input_shape": (length,)})
    words = pd.DataFrame({"text": ["good", "bad"] * 10, "label": ["a", "b"] * 10})
    data = kzoo.load_data(words, preset=preset, target="label")
    model = frozen_below(kzoo.build(preset, data=data))
    split = Split(x=np.ascontiguousarray(ids[:, :length]), y=np.zeros(len(ids)))
    return with_features(model, split, batch_size=32).x


def answers(texts, labels, draw):
    """Return the classes that each candidate predicts: out of fold (divisions, N), and for the test rows."""
    frame = texts.draw(labels, draw)
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test.csv"
        texts.test.to_csv(test, index=False)
        data = kzoo.load_data(frame, preset="text_ngrams", target="label", test=str(test))
    parts = Parts.of(data, FOLDS, 0)
    assert parts.folds == FOLDS
    # training and validation rows, in the order in which parts number them
    order = np.concatenate([split.rows for split in (data.train, data.validation)])
    place = texts.of(frame.index[order])
    test_place = texts.of(texts.test.index)
    y = np.asarray(pooled(data).y[:])
    out = {"y": y, "test_y": np.asarray(data.test.y)}
    outputs = defaultdict(lambda: np.full((DIVISIONS, len(y)), -1, np.int8))
    for number in range(DIVISIONS * FOLDS):
        division, part = number // FOLDS, parts.part(data, number)
        judged = part.test.rows
        trained = np.setdiff1d(np.arange(len(y)), judged)
        if division < DIVISIONS_OF_BASELINES:
            for name in BASELINES:
                for label, fitted in baseline(part, name):
                    outputs[label][division, judged] = classes(fitted.predict(part.test)[0])
        for name, predicted in networks(texts, y, place, trained, place[judged]):
            outputs[name][division, judged] = predicted
    out |= {f"out_of_fold/{name}": values for name, values in outputs.items()}
    for name, predicted in networks(texts, y, place, np.arange(len(y)), test_place):
        out[f"test/{name}"] = predicted
    for name in BASELINES:
        *_, (_, fitted) = baseline(data, name)
        out[f"test/{name}"] = classes(fitted.predict(data.test)[0])
    return out


def baseline(data, name):
    """Yield a baseline that was fitted to the training split, and to all rows with the same choices."""
    candidate, seed, rows = checked_fit(data, name, seconds=None, seed=0)
    fitted = fit_checked(candidate, data, rows, seed)
    yield f"{name} of training rows", fitted
    yield name, refit(candidate, fitted, data, seed)


def classes(outputs):
    outputs = np.asarray(outputs).reshape(len(outputs), -1)
    return outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(axis=1)


def networks(texts, y, place, trained, judged):
    """Yield the classes that networks in closed form predict for some texts."""
    targets = np.where(np.arange(y.max() + 1) == y[trained][:, None], 1.0, -1.0)
    grams = Grams(texts.ids[place[trained]], BUCKETS)
    of_trained, of_judged = grams(texts.ids[place[trained]]), grams(texts.ids[judged])
    for length, embedding in texts.embedded.items():
        first, second = embedding[place[trained]], embedding[judged]
        fitted = ridge_of_unit_vectors(first, targets)
        name = NETWORKS[0] if length == LENGTH else f"{NETWORKS[0]}, {length} pieces"
        yield name, (second @ fitted.kernel + fitted.bias).argmax(axis=1)
        if length == LENGTH:
            fitted = gram_ridge(first, of_trained, targets)
            width = first.shape[1]
            scores = second @ fitted.kernel[:width] + of_judged @ fitted.kernel[width:]
            yield NETWORKS[1], (scores + fitted.bias).argmax(axis=1)


# The rules


class Case:
    """The stored answers for a draw of training rows."""

    def __init__(self, path):
        self.texts, self.labels, self.draw = path.stem.rsplit("-", 2)
        with np.load(path) as stored:
            self.stored = dict(stored)

    def test_score(self, name):
        return np.mean(self.stored[f"test/{name}"] == self.stored["test_y"])

    def right(self, name):
        """Return whether each row is right (divisions, N), in the divisions that the candidate was judged on."""
        predicted = self.stored[f"out_of_fold/{name}"]
        return predicted[(predicted >= 0).all(axis=1)] == self.stored["y"]

    def best(self, names):
        """Return the candidate with the highest score on the first division."""
        return max(names, key=lambda name: self.right(name)[0].mean())

    def ties(self, first, second):
        """Return whether a difference is within one standard error, corrected for the training rows of folds."""
        gains = self.right(first)[0].astype(float) - self.right(second)[0]
        error = stats.sem(gains) * np.sqrt(1 + FOLDS / (FOLDS - 1))
        return abs(gains.mean()) <= stats.norm.ppf(0.84) * error


def choice(case, rule, lead):
    network, other = case.best(NETWORKS), case.best(BASELINES)
    if rule == "higher score":
        return case.best([other, network])
    if not case.ties(network, other):
        return case.best([other, network])
    if rule == "ties to the baseline":
        return other
    error = np.std(lead, ddof=1) * np.sqrt(1 + 1 / len(lead))
    return network if stats.t.cdf(np.mean(lead) / error, len(lead) - 1) > 0.5 else other


def print_rules(args):
    cases = [Case(path) for path in sorted(args.folder.glob("*.npz"))]
    names = [*BASELINES, *NETWORKS, f"{NETWORKS[0]}, {SHORT} pieces"]
    groups = defaultdict(list)
    for case in cases:
        groups[case.texts, int(case.labels)].append(case)
    print("texts | labels | draws |", " | ".join(names))
    for (texts, labels), group in sorted(groups.items()):
        scores = [f"{100 * np.mean([c.test_score(name) for c in group]):.1f}" for name in names]
        print(texts, "|", labels, "|", len(group), "|", " | ".join(scores))
    leads = defaultdict(list)
    for case in cases:
        network, other = case.best(NETWORKS), case.best(BASELINES)
        leads[case.texts].append(case.test_score(network) - case.test_score(other))
    of_sets = {texts: np.mean(each) for texts, each in leads.items()}
    values = list(of_sets.values())
    print(f"lead {np.mean(values):.3f}, deviation {np.std(values, ddof=1):.3f}, {len(values)} sets")
    rules = "ties to the baseline", "higher score", "ties by the measured lead"
    regrets = defaultdict(list)
    for texts in of_sets:
        others = [value for name, value in of_sets.items() if name != texts]
        for rule in rules:
            behind = [
                max(map(case.test_score, [*BASELINES, *NETWORKS]))
                - case.test_score(choice(case, rule, others))
                for case in cases
                if case.texts == texts
            ]
            regrets[rule].append(100 * np.mean(behind))
    for rule, of_rule in regrets.items():
        of_texts = ", ".join(f"{n} {r:.2f}" for n, r in zip(of_sets, of_rule, strict=True))
        print(f"{rule}: regret {np.mean(of_rule):.2f}, at most {max(of_rule):.2f} ({of_texts})")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("fit")
    command.add_argument("tables", nargs="+", type=Path)
    command.add_argument("--labels", nargs="+", type=int, default=[50, 100, 300])
    command.add_argument("--draws", type=int, default=5)
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=fit)
    command = commands.add_parser("rules")
    command.add_argument("folder", type=Path)
    command.set_defaults(run=print_rules)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
