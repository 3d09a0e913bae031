"""Train every preset once and say by how much it beats the majority class or the mean.

    python tests/benchmarks/first_runs.py                                # all presets whose data can be had
    python tests/benchmarks/first_runs.py cifar_cnn --source cifar10=FOLDER --epochs 10 --write
    python tests/benchmarks/first_runs.py "imdb_*" --standin imdb=REVIEWS

`--write` puts what was measured on a preset's own data into `kzoo/results/measured.json`. Stand-in data only shows that
a preset learns; it is never written there.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import kzoo
from kzoo.files import write_json

RESULTS = Path(kzoo.__file__).parent / "results" / "measured.json"


def margin(scores):
    """Return (metric, score, baseline): the baseline is what a constant answer gets."""
    if "r2" in scores:
        return "r2", scores["r2"], 0.0
    return "accuracy", scores["accuracy"], scores["majority"]


def row_of(run, own):
    config, summary = run.config, run.summary
    metric, score, baseline = margin(summary["test"])
    extra = {k: summary["test"][k] for k in ("bits_per_token", "mse_standardised", "auc") if k in summary["test"]}
    return {
        "preset": config["spec"]["preset"],
        "data": config["data"]["name"],
        "own_data": own,
        "metric": metric,
        "score": round(score, 4),
        "baseline": round(baseline, 4),
        **{k: None if v is None else round(v, 4) for k, v in extra.items()},
        "seeds": [config["spec"]["seed"]],
        "epochs": summary["epochs"],
        "seconds": summary["seconds"],
        "samples_per_second": summary["samples_per_second"],
        "parameters": summary["parameters"],
        "machine": config["machine"],
        "versions": config["versions"],
        "date": config["created"][:10],
        "command": config["command"],
    }


def pairs(words):
    return dict(word.split("=", 1) for word in words)


def write(rows):
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    new = {(r["preset"], r["data"]) for r in rows}
    kept = [r for r in kept if (r["preset"], r["data"]) not in new]
    write_json(RESULTS, sorted(kept + rows, key=lambda r: (r["preset"], r["data"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["*"], help="presets or globs")
    parser.add_argument("--source", nargs="+", action="extend", default=[], metavar="DATASET=PATH")
    parser.add_argument("--standin", nargs="+", action="extend", default=[], metavar="DATASET=PATH")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", default=None, help="folder for the runs; existing ones are used again")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    folder, sources, standins = Path(args.out or tempfile.mkdtemp()), pairs(args.source), pairs(args.standin)
    rows = []
    for name in kzoo.list_presets(args.names):
        dataset = kzoo.get_preset(name).dataset
        data = sources.get(dataset) or standins.get(dataset) or dataset
        began = time.perf_counter()
        try:
            run = kzoo.train(name, data, out=folder / name, epochs=args.epochs, progress=False)
        except kzoo.KzooError as error:
            print(json.dumps({"preset": name, "error": str(error)}), flush=True)
            continue
        row = row_of(run, own=dataset not in standins)
        rows += [row] if row["own_data"] else []
        shown = {k: row[k] for k in ("preset", "data", "own_data", "metric", "score", "baseline", "epochs")}
        print(json.dumps(shown | {"seconds": round(time.perf_counter() - began, 1)}), flush=True)
        keras.utils.clear_session(free_memory=True)
    if args.write:
        write(rows)


if __name__ == "__main__":
    main()
