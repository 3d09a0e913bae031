"""`kzoo tune auto` measured: its clock and lead on a data set, and small tables beside CatBoost and a linear model.

python tests/benchmarks/auto.py row --out auto.json --minutes 10 -- --data churn.csv --target churned
python tests/benchmarks/auto.py small churn.csv spam.csv --rows 200 1000 --draws 5 --seconds 60 --out small.json
python tests/benchmarks/auto.py ranks small.json
python tests/benchmarks/auto.py statements small.json    differences on some test rows, checked on the other rows
python tests/benchmarks/auto.py regret searches/auto-01 --data churn.csv --out regret.json
python tests/benchmarks/auto.py few texts.csv --target label --labels 50 100 300 --draws 5 --out few.json
python tests/benchmarks/auto.py fresh FOLDER --seconds 120 --out fresh.json    FOLDER/NAME/train.csv and test.csv
python tests/benchmarks/auto.py beside fresh.json    mean differences to CatBoost and LightGBM, with and without them

Results are appended to the file as they come; a command that is repeated leaves out what the file has. CatBoost is
compared where it is installed.
"""

import argparse
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t
from sklearn.metrics import log_loss, r2_score, roc_auc_score

import kzoo
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.data.options import DataOptions
from kzoo.problems.stored_types import Description
from kzoo.utils.optional import is_installed
from kzoo.zoo.results import value_of

RIVALS = "catboost", "linear", "auto"
RIVALS_OF_FRESH = "catboost", "lightgbm"
TEST_ROWS = 4_000
FRESH_LEAD = 0.02  # a lead that should be stated
TEXT_PRESETS = "text_pretrained", "text_ngrams"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    row = commands.add_parser("row")
    row.add_argument("--minutes", type=float, default=10)
    row.add_argument("words", nargs="+")
    row.set_defaults(run=measure_row)
    small = commands.add_parser("small")
    small.add_argument("tables", nargs="+", type=Path)
    small.add_argument("--rows", nargs="+", type=int, default=[200, 1000])
    small.add_argument("--draws", type=int, default=5)
    small.add_argument("--seconds", type=float, default=60)
    small.set_defaults(run=measure_small)
    few = commands.add_parser("few")
    few.add_argument("texts", nargs="+", type=Path)
    few.add_argument("--target", default="label")
    few.add_argument("--labels", nargs="+", type=int, default=[50, 100, 300])
    few.add_argument("--draws", type=int, default=5)
    few.add_argument("--seconds", type=float, default=60)
    few.set_defaults(run=measure_few)
    fresh = commands.add_parser("fresh")
    fresh.add_argument("folder", type=Path)
    fresh.add_argument("--names", nargs="*")
    fresh.add_argument("--seconds", type=float, default=120)
    fresh.set_defaults(run=measure_fresh)
    regret = commands.add_parser("regret")
    regret.add_argument("search", type=Path)
    regret.add_argument("--data", required=True)
    regret.add_argument("--test")
    regret.set_defaults(run=measure_regret)
    for command in (row, small, few, fresh, regret):
        command.add_argument("--out", type=Path, required=True)
    for name, run in (
        ("ranks", print_ranks),
        ("statements", print_statements),
        ("beside", print_beside),
    ):
        command = commands.add_parser(name)
        command.add_argument("out", type=Path)
        command.set_defaults(run=run)
    args = parser.parse_args()
    args.run(args)


def stored(path):
    return json.loads(path.read_text()) if path.is_file() else []


def append(path, row):
    path.write_text(json.dumps([*stored(path), row], indent=1) + "\n")


def measure_row(args):
    """Run the command with some data; store seconds, winner, verdict and the test scores of the baselines."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "search"
        started = time.monotonic()
        words = ["tune", "auto", *args.words, "--max-time", f"{args.minutes}m", "--out", str(out)]
        subprocess.run([sys.executable, "-m", "kzoo", *words], check=True)
        seconds = time.monotonic() - started
        search = kzoo.Search(out)
        result = json.loads((out / "auto.json").read_text())
        summary = search.winner.summary
        append(
            args.out,
            dict(
                words=args.words,
                minutes=args.minutes,
                seconds=round(seconds, 1),
                label=result["label"],
                verdict=result["verdict"],
                difference=result["difference"],
                test=value_of(summary["test"], result["metric"]),
                metric=result["metric"],
            ),
        )


def measure_small(args):
    """Run `auto` on some rows of each table, and store the test scores of it, of CatBoost and of a linear model."""
    done = {(row["table"], row["rows"], row["draw"]) for row in stored(args.out)}
    for draw, rows, path in itertools.product(range(args.draws), args.rows, args.tables):
        if (path.stem, rows, draw) not in done:
            append(args.out, small_row(path, rows, draw, args.seconds))


def searched(train, test, target, seconds, folder):
    """Return the search of `auto` on a table with test rows of their own."""
    return kzoo.tune(
        "auto",
        train,
        target=target,
        test=str(test),
        max_time=seconds,
        out=Path(folder) / "search",
        progress=False,
    )


def small_row(path, rows, draw, seconds):
    frame = pd.read_csv(path)
    target = frame.columns[-1]
    frame = frame.sample(frac=1, random_state=100 + draw)
    with tempfile.TemporaryDirectory() as folder:
        train, test = (Path(folder) / f"{name}.csv" for name in ("train", "test"))
        frame.iloc[:rows].to_csv(train, index=False)
        frame.iloc[rows : rows + TEST_ROWS].to_csv(test, index=False)
        started = time.monotonic()
        search = searched(train, test, target, seconds, folder)
        wall = time.monotonic() - started
        winner = search.winner
        data = kzoo.load_data(train, target=target, test=str(test))
        score = PrimaryScore(data, search.objective.name)
        names = {baseline.name for baseline in kzoo.baselines.list_baselines(data.problem)}
        linear = "logistic" if "classes" in data.problem.facts else "ridge"
        outputs = {"auto": winner.answers["answers"]}
        for label, name in (("catboost", "catboost"), ("linear", linear)):
            if name in names:
                outputs[label], _ = kzoo.baselines.fit(data, name).predict(data.test)
        truth = winner.answers["truth"]
        answers = {
            name: Answers(outputs=o, truth=truth, rows=np.arange(len(truth)))
            for name, o in outputs.items()
        }
        return dict(
            table=path.stem,
            rows=rows,
            draw=draw,
            seconds=round(wall, 1),
            limit=seconds,
            metric=score.metric,
            winner=json.loads((search.path / "auto.json").read_text())["label"],
            scores={name: score.value(each) for name, each in answers.items()},
            right=right_rows(score, answers),
        )


def measure_fresh(args):
    """Run `auto` on tables with test rows of their own, the target last; where they are installed also its rivals.

    CatBoost and LightGBM have their defaults, and stop by a fifth of the training rows.
    """
    boosters = is_installed("catboost") and is_installed("lightgbm")
    done = {(row["table"], row["seconds"], row["model"]) for row in stored(args.out)}
    for name in args.names or sorted(path.name for path in args.folder.iterdir()):
        train, test = (args.folder / name / f"{part}.csv" for part in ("train", "test"))
        model = "auto with boosters" if boosters else "auto"
        if (name, args.seconds, model) not in done:
            append(
                args.out,
                dict(table=name, seconds=args.seconds, model=model)
                | of_auto(train, test, args.seconds),
            )
        for rival in RIVALS_OF_FRESH if boosters else ():
            if (name, args.seconds, rival) not in done:
                append(
                    args.out,
                    dict(table=name, seconds=args.seconds, model=rival)
                    | of_rival(rival, train, test),
                )


def of_auto(train, test, seconds):
    """Return the test scores, the seconds and the verdict of `auto`."""
    target = pd.read_csv(train, nrows=1).columns[-1]
    with tempfile.TemporaryDirectory() as folder:
        started, used = time.monotonic(), os.times()
        search = searched(train, test, target, seconds, folder)
        wall, after = time.monotonic() - started, os.times()
        result = json.loads((search.path / "auto.json").read_text())
        scores = search.winner.summary["test"]
        return dict(
            wall=round(wall, 1),
            processor=round(sum(after[:4]) - sum(used[:4]), 1),
            label=result["label"],
            verdict=result["verdict"],
            scores={score: value_of(scores, score) for score in ("auc", "loss", "accuracy", "r2")},
        )


def of_rival(rival, train, test):
    """Return the test scores and the seconds of CatBoost or LightGBM, with categories as it reads them."""
    train, test = (pd.read_csv(path) for path in (train, test))
    target = train.columns[-1]
    kinds = {column: train[column].dtype for column in train.columns[:-1]}
    categories = [
        column for column, kind in kinds.items() if not pd.api.types.is_numeric_dtype(kind)
    ]
    y, truth = train.pop(target), test.pop(target)
    binary = y.nunique() == 2
    if binary:
        positive = sorted(y.unique())[1]
        y, truth = (y == positive).astype(int), (truth == positive).astype(int)
    for column in categories:
        known = sorted(train[column].fillna("missing").astype(str).unique())
        for part in (train, test):
            part[column] = part[column].fillna("missing").astype(str)
            if rival == "lightgbm":
                part[column] = pd.Categorical(part[column], categories=known)
    held = np.random.default_rng(0).random(len(y)) < 0.2
    started = time.monotonic()
    library = importlib.import_module(rival)
    if rival == "catboost":
        kind = library.CatBoostClassifier if binary else library.CatBoostRegressor
        model = kind(thread_count=1, verbose=False, allow_writing_files=False, random_seed=0)
        model.fit(
            train[~held],
            y[~held],
            cat_features=categories,
            eval_set=(train[held], y[held]),
            early_stopping_rounds=50,
        )
    else:
        kind = library.LGBMClassifier if binary else library.LGBMRegressor
        model = kind(n_estimators=1_000, n_jobs=1, verbose=-1, random_state=0)
        stop = library.early_stopping(50, verbose=False)
        model.fit(train[~held], y[~held], eval_set=[(train[held], y[held])], callbacks=[stop])
    if binary:
        p = model.predict_proba(test)
        scores = dict(auc=roc_auc_score(truth, p[:, 1]), loss=log_loss(truth, p))
        scores["accuracy"] = float((p.argmax(1) == truth).mean())
    else:
        scores = dict(r2=r2_score(truth, model.predict(test)))
    return dict(wall=round(time.monotonic() - started, 1), scores=scores)


def print_beside(args):
    """Print the scores, and the mean difference of `auto` to each rival with its 95 % interval (Student's t)."""
    rows = stored(args.out)
    tables = {}
    for row in rows:
        value = row["scores"].get("auc") or row["scores"]["r2"]
        tables.setdefault(row["table"], {})[row["model"]] = 100 * value
    models = list(dict.fromkeys(row["model"] for row in rows))
    print("| table | " + " | ".join(models) + " |")
    for table, scores in tables.items():
        print(
            f"| {table} | "
            + " | ".join(f"{scores[m]:.2f}" if m in scores else "" for m in models)
            + " |"
        )
    for ours, rival in itertools.product((m for m in models if m.startswith("auto")), models):
        pairs = [s[ours] - s[rival] for s in tables.values() if {ours, rival} <= s.keys()]
        if ours != rival and len(pairs) > 1:
            half = t.ppf(0.975, len(pairs) - 1) * np.std(pairs, ddof=1) / np.sqrt(len(pairs))
            mean = np.mean(pairs)
            print(
                f"{ours} - {rival}: {mean:.2f} points ({mean - half:.2f} to {mean + half:.2f}), {len(pairs)} tables"
            )


def measure_few(args):
    """Run `auto` and each of two presets on a few texts, and store their test scores."""
    done = {(row["texts"], row["labels"], row["draw"]) for row in stored(args.out)}
    for draw, labels, path in itertools.product(range(args.draws), args.labels, args.texts):
        if (path.stem, labels, draw) in done:
            continue
        frame = pd.read_csv(path).sample(frac=1, random_state=100 + draw)
        if (
            frame[:labels][args.target]
            .value_counts()
            .reindex(frame[args.target].unique())
            .fillna(0)
            .min()
            < 2
        ):
            frame = frame.loc[[*frame.groupby(args.target).head(2).index, *frame.index]]
            frame = frame[~frame.index.duplicated()]  # two texts of each class come first
        with tempfile.TemporaryDirectory() as folder:
            train, test = (Path(folder) / f"{name}.csv" for name in ("train", "test"))
            frame.iloc[:labels].to_csv(train, index=False)
            frame.iloc[labels : labels + TEST_ROWS].to_csv(test, index=False)
            options = dict(target=args.target, test=str(test), progress=False)
            started = time.monotonic()
            search = kzoo.tune(
                "auto", train, max_time=args.seconds, out=Path(folder) / "search", **options
            )
            wall = time.monotonic() - started
            runs = {"auto": search.winner} | {
                name: kzoo.train(name, train, out=Path(folder) / name, baselines=False, **options)
                for name in TEXT_PRESETS
            }
            scores = {name: run.summary["test"]["accuracy"] for name, run in runs.items()}
            label = json.loads((search.path / "auto.json").read_text())["label"]
        append(
            args.out,
            dict(
                texts=path.stem,
                labels=labels,
                draw=draw,
                seconds=round(wall, 1),
                winner=label,
                scores=scores,
            ),
        )


def measure_regret(args, halves=200):
    """Store how far the winner of a search is behind its best candidate, chosen on a half of the test rows.

    Each baseline, each preset and the best other settings are trained once on the training split; both models are
    scored on the other half. Numbers are means over random halves.
    """
    search = kzoo.Search(args.search)
    rng = np.random.default_rng(0)
    described = search.request.data
    options = replace(
        DataOptions.of(Description.read(described)), **({"test": args.test} if args.test else {})
    )
    of_training = options.given()
    of_data = {
        "seed" if name == "data_seed" else name: value for name, value in of_training.items()
    }
    presets = kzoo.list_presets()
    reader = next(
        trial.hyperparameters["model"]
        for trial in search.trials
        if trial.hyperparameters["model"] in presets
    )
    data = kzoo.load_data(args.data, preset=reader, **of_data)
    score = PrimaryScore(data, search.objective.name)
    stored_winner = search.winner.answers
    rows, truth = stored_winner["rows"], stored_winner["truth"]
    outputs = {"winner": stored_winner["answers"]}
    for trial in best_trials(search, score.sign):
        name = trial.hyperparameters["model"]
        label = " ".join([name, *(f"{key}={value}" for key, value in trial.overrides.items())])
        with tempfile.TemporaryDirectory() as folder:
            if name in presets:
                run = kzoo.train(
                    name,
                    args.data,
                    out=Path(folder) / "run",
                    progress=False,
                    baselines=False,
                    check=False,
                    **of_training,
                    **trial.overrides,
                )
                outputs[label] = run.answers["answers"]
                assert np.array_equal(run.answers["rows"], rows)
            else:
                outputs[label] = kzoo.baselines.fit(data, name).predict(data.test)[0][rows]
    answers = {name: Answers(outputs=o, truth=truth, rows=rows) for name, o in outputs.items()}
    regrets = []
    for _ in range(halves):
        order = rng.permutation(len(rows))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        best = max(answers, key=lambda name: score.sign * score.value(answers[name].select(first)))
        values = [score.value(answers[name].select(second)) for name in (best, "winner")]
        regrets.append(score.sign * (values[0] - values[1]))
    append(
        args.out,
        dict(
            search=args.search.name,
            metric=score.metric,
            regret=float(np.mean(regrets)),
            scores={name: score.value(each) for name, each in answers.items()},
        ),
    )
    print(
        f"{args.search.name}: regret {np.mean(regrets):.4f} {score.metric}, {len(answers)} models"
    )


def best_trials(search, sign):
    """Return the trial of each baseline, and the two best of each preset: its own settings or others."""
    by_name = {}
    scored = [trial for trial in search.trials if trial.score is not None]
    for trial in sorted(scored, key=lambda trial: -sign * trial.score):
        by_name.setdefault(trial.hyperparameters["model"], []).append(trial)
    return [trial for trials in by_name.values() for trial in trials[:2]]


def right_rows(score, answers):
    """Return name -> digits of whether each test row is right, for accuracy; empty for other scores."""
    if score.metric != "accuracy":
        return {}
    return {
        name: "".join("01"[int(right)] for right in each.outputs.argmax(-1) == each.truth)
        for name, each in answers.items()
    }


def print_ranks(args):
    """Print the mean rank of each rival, and its mean distance to the best of them."""
    complete = [row["scores"] for row in stored(args.out) if set(RIVALS) <= row["scores"].keys()]
    scores = np.array([[row[name] for name in RIVALS] for row in complete])
    ranks = np.array([rankdata(-row) for row in scores])
    for i, name in enumerate(RIVALS):
        behind = 100 * (scores.max(axis=1) - scores[:, i])
        print(
            f"{name:9s} mean rank {ranks[:, i].mean():.2f}, {behind.mean():.2f} points behind the best of the three"
        )
    print(f"{len(scores)} tables and draws")


def print_statements(args, parts=20, sizes=(500, 1_000, 1_409, 2_000)):
    """Print how often "no difference" on some test rows holds on the others, and how often a true lead is stated."""
    rng = np.random.default_rng(0)
    pairs = [
        np.array(
            [
                int(a) - int(b)
                for a, b in zip(row["right"][first], row["right"][second], strict=True)
            ]
        )
        for row in stored(args.out)
        for first, second in itertools.permutations(row["right"], 2)
    ]
    for size in sizes:
        no_difference = 0
        holds = 0
        leads = 0
        said = 0
        for gains, _ in itertools.product(pairs, range(parts)):
            order = rng.permutation(len(gains))
            test = gains[order[:size]]
            fresh = gains[order[size:]]
            half = 1.96 * test.std(ddof=1) / np.sqrt(size)
            fresh_half = 1.96 * fresh.std(ddof=1) / np.sqrt(len(fresh))
            if abs(test.mean()) <= half:
                no_difference += 1
                holds += abs(fresh.mean() - test.mean()) <= half + fresh_half
            if fresh.mean() >= FRESH_LEAD:
                leads += 1
                said += test.mean() - half > 0
        print(
            f"{size} test rows: no difference in {no_difference} statements, right on fresh rows in "
            f"{holds / max(no_difference, 1):.1%}; leads of 2 points stated in {said / max(leads, 1):.1%} of {leads}"
        )


if __name__ == "__main__":
    main()
