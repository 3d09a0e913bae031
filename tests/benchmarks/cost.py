"""What reading, training and scoring cost by the number of rows: the numbers of docs/explanation/scale.md.

    python tests/benchmarks/cost.py FOLDER --rows 10_000 100_000 1_000_000 10_000_000 --workers 1 2 4

A table has 20 columns (`memory.py` has the same) in ten Parquet files, and up to a million rows also in one CSV file.
Each row of output is a line of JSON: wall seconds, CPU seconds and peak memory of one process that does it with its
defaults, and rows a second. Tables stay in FOLDER.

* Reading: `kzoo.load_data`, in memory; from ten million rows also from disk, with KZOO_MEMORY=1GiB.
* Training: `tabular_fnn` after reading. The rate is that of a run of 6,300 steps; the seconds are those of 300 steps,
  nearly all of which a training takes beside its steps.
* Scoring: `kzoo predict EXPORTED FOLDER --out FOLDER --workers N`, the whole command, best of the rounds.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from memory import ROOT, table

PARTS = 10

READ = """
import json, sys, time
import kzoo
start, cpu = time.perf_counter(), time.process_time()
data = kzoo.load_data(sys.argv[1], target="y", preset="tabular_fnn")
print(json.dumps(dict(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu,
                      in_pieces=any("does not fit into memory" in note for note in data.notes))))
"""
TRAIN = """
import json, sys, time
import kzoo
data = kzoo.load_data(sys.argv[1], target="y", preset="tabular_fnn")
times = []
for steps in map(int, sys.argv[3:]):
    start, cpu = time.perf_counter(), time.process_time()
    run = kzoo.train("tabular_fnn", data, max_steps=steps, out=f"{sys.argv[2]}-{steps}", progress=False,
                     baselines=False, overwrite=True)
    times.append((time.perf_counter() - start, time.process_time() - cpu))
numbers = dict(seconds=times[0][0], cpu=times[0][1])
if len(times) == 2:
    numbers["rate"] = run.summary["samples_per_second"]
print(json.dumps(numbers))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--rows", nargs="+", type=int, default=[10_000, 100_000, 1_000_000, 10_000_000]
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3, help="of scoring, the best counts")
    parser.add_argument("--steps", nargs="+", default=["read", "train", "score"])
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    model = None
    for rows in args.rows:
        sources = {"parquet": written(args.folder, rows)}
        if rows <= 1_000_000:
            sources["csv"] = as_csv(sources["parquet"])
        run = args.folder / f"run-{rows}"
        if "read" in args.steps:
            for form, source in sources.items():
                report("read", form, rows, python(args.folder, READ, source))
            if rows >= 10_000_000:  # larger than the memory that is set
                source = sources["parquet"]
                numbers = python(args.folder, READ, source, KZOO_MEMORY="1GiB")
                report("read from disk", "parquet", rows, numbers)
        if "train" in args.steps:
            numbers = python(args.folder, TRAIN, sources["parquet"], run, 300, 6_300)
            report("train", "parquet", rows, numbers)
        model = model or exported(args.folder, sources["parquet"])
        if "score" in args.steps:
            for workers in args.workers:
                best = min(
                    (
                        scored(args.folder, model, sources["parquet"], workers)
                        for _ in range(args.rounds)
                    ),
                    key=lambda numbers: numbers["seconds"],
                )
                report("score", "parquet", rows, best, workers=workers)


def written(folder, rows):
    """Return a folder of Parquet files, written unless it exists."""
    import pyarrow as pa
    import pyarrow.parquet

    target = folder / f"{rows}.parts"
    if target.exists():
        return target
    partial = folder / f"{rows}.partial"
    partial.mkdir()
    rng = np.random.default_rng(rows)
    for part in range(PARTS):
        blocks = []
        missing = rows // PARTS
        while missing > 0:
            blocks.append(table(rng).slice(0, missing))
            missing -= len(blocks[-1])
        pyarrow.parquet.write_table(pa.concat_tables(blocks), partial / f"part-{part}.parquet")
    partial.rename(target)
    return target


def as_csv(parquet):
    """Return the same rows as one CSV file, written unless it exists."""
    import pyarrow.csv
    import pyarrow.parquet

    target = parquet.with_suffix(".csv")
    if not target.exists():
        pyarrow.csv.write_csv(pyarrow.parquet.read_table(parquet), target)
    return target


def exported(folder, source):
    """Return a model of 300 steps as ONNX."""
    target = folder / "exported"
    if not target.exists():
        run = folder / "exported_run"
        python(folder, TRAIN, source, run, 300)
        command(folder, "export", f"{run}-300", "--formats", "onnx", "--out", target)
    return target


def scored(folder, model, source, workers):
    """Return the seconds of a command that scores a folder, without what it wrote before."""
    out = folder / "scores"
    shutil.rmtree(out, ignore_errors=True)
    numbers = command(folder, "predict", model, source, "--out", out, "--workers", workers)
    assert len(list(out.rglob("*.parquet"))) == PARTS
    return numbers


def python(folder, program, *words, **variables):
    """Run a program in a process of its own, with an empty cache of encoded tables; return what it printed."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    words = [sys.executable, "-c", program, *map(str, words)]
    output, _ = run_process(folder, words, **variables)
    return json.loads(output.splitlines()[-1]) | {"peak_mib": peak_of_last(folder)}


def command(folder, *words):
    """Run a command of kzoo; return its seconds, with those of its children."""
    _, numbers = run_process(folder, [sys.executable, "-m", "kzoo", *map(str, words)])
    return numbers


def run_process(folder, words, **variables):
    environment = (
        os.environ
        | variables
        | {
            "KZOO_CACHE": str(folder / "cache"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(ROOT),
        }
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WRAPPER, str(folder / "peak"), *words],
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-3000:]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, {"seconds": seconds, "cpu": cpu}


# the peak of one process: that of all children together would be the largest so far
WRAPPER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10))
sys.exit(code)
"""


def peak_of_last(folder):
    return int((folder / "peak").read_text())


def report(step, form, rows, numbers, **more):
    numbers = {name: round(v, 2) if isinstance(v, float) else v for name, v in numbers.items()}
    rate = round(numbers.pop("rate", rows / numbers["seconds"]))
    print(
        json.dumps(dict(step=step, form=form, rows=rows, **more, **numbers, rate=rate)), flush=True
    )


if __name__ == "__main__":
    main()
