"""Rows a second of `kzoo predict EXPORTED FOLDER --out FOLDER` on local Parquet: one and two workers, killed workers, a
re-run.

Writes rows like those of the adult data (6 numbers, 8 categories, an id) in partitions, trains and exports
`tabular_fnn`, and scores them: by a loop written by hand with pyarrow and ONNX Runtime, with one worker and with two,
one thread each. Kills workers five times, and runs the command again. Prints JSON rows; a time is that of the whole
command, and of several rounds the median. `python tests/benchmarks/scoring.py --rows 20000000 --rounds 3`
"""

import argparse
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CATEGORIES = (9, 16, 7, 15, 6, 5, 2, 42)
KILLED = 5
LOOP = """
import json, sys
from pathlib import Path
import numpy as np, onnxruntime, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

pa.set_cpu_count(1)
pa.set_io_thread_count(1)
source, exported, out = map(Path, sys.argv[1:])
manifest = json.loads((exported / "kzoo.json").read_text())
columns = manifest["preprocessing"]["columns"]
labels = pa.array(manifest["labels"])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
file = str(exported / manifest["exports"]["onnx"]["file"])
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
values = {c["name"]: pa.array(list(c["values"])) for c in columns if c["kind"] == "category"}


def encode(batch):
    features = []
    for column in columns:
        cells = batch.column(column["name"])
        if column["kind"] == "category":
            codes = pc.fill_null(pc.index_in(cells, values[column["name"]]), -1)
            features.append(codes.to_numpy(zero_copy_only=False).astype(np.float32) + 1)
            continue
        numbers = cells.to_numpy(zero_copy_only=False)
        missing = np.isnan(numbers)
        numbers = np.where(missing, column["median"], numbers)
        if "low" in column:
            numbers = np.clip(numbers, column["low"], column["high"])
        features.append(numbers.astype(np.float32))
        if column["missing"]:
            features.append(missing.astype(np.float32))
    return np.stack(features, axis=1)


for path in sorted(source.glob("*.parquet")):
    writer, first = None, 0
    for batch in pq.ParquetFile(path).iter_batches(16384, use_threads=False):
        p = session.run(None, {name: encode(batch)})[0]
        p = np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p
        label = labels.take(pa.array(p.argmax(axis=1)))
        table = {"input": np.arange(first, first + len(p)), "id": batch.column("id"), "label": label}
        table |= {f"p_{name}": p[:, i] for i, name in enumerate(manifest["labels"])}
        table = pa.table(table)
        first += len(p)
        writer = writer or pq.ParquetWriter(out / path.name, table.schema)
        writer.write_table(table)
    writer.close()
"""


def write_rows(folder, rows, partitions):
    """Write partitions of random rows, and a smaller table to train on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)

    def table(count, first):
        columns = {f"n{i}": draw.normal(40, 10, count).round(1) for i in range(6)}
        columns["n0"] = pa.array(
            np.where(draw.random(count) < 0.02, np.nan, columns["n0"]), from_pandas=True
        )
        for i, size in enumerate(CATEGORIES):
            names = pa.array([f"value-{i}-{k}" for k in range(size)])
            columns[f"c{i}"] = names.take(pa.array(draw.integers(0, size, count)))
        columns["id"] = np.arange(first, first + count)
        return pa.table(columns)

    (folder / "in").mkdir()
    size = rows // partitions
    for i in range(partitions):
        pq.write_table(table(size, i * size), folder / "in" / f"part-{i:04}.parquet")
    train = table(4000, 0)
    sums = np.nan_to_num(train["n0"].to_numpy(), nan=40) + train["n1"].to_numpy()
    target = pa.array(np.where(sums > 80, "yes", "no"))
    pq.write_table(train.append_column("target", target).drop(["id"]), folder / "train.parquet")
    return size * partitions


def kzoo(*words):
    return [sys.executable, "-m", "kzoo", *map(str, words)]


def timed(command):
    """Return the seconds of a command, those of processors, and its output."""
    began, before = time.perf_counter(), processor_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, processor_seconds() - before, done.stdout.strip()


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def children_of(parent):
    """Return the processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except (OSError, ValueError):
            continue
    return found


def scored_while_killed(command, seconds):
    """Run a command, kill a worker five times in about the seconds that it takes, and return how often that was."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    killed = 0
    while process.poll() is None:
        time.sleep(seconds / (KILLED + 2))
        workers = children_of(process.pid)
        if workers and killed < KILLED and process.poll() is None:
            os.kill(random.choice(workers), signal.SIGKILL)
            killed += 1
    assert process.returncode == 0, process.returncode
    return killed


def same_predictions(folder, other):
    """Return whether two folders have the same files of predictions, with the same rows."""
    import pyarrow.parquet as pq

    names = sorted(path.name for path in folder.glob("*.parquet"))
    return names == sorted(path.name for path in other.glob("*.parquet")) and all(
        pq.read_table(folder / name).equals(pq.read_table(other / name)) for name in names
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--partitions", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="an empty folder for the data; by default a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        measure(Path(name), args)


def measure(folder, args):
    rows = write_rows(folder, args.rows, args.partitions)
    run, exported = folder / "run", folder / "exported"
    train = kzoo("train", "tabular_fnn", "--data", folder / "train.parquet", "--target", "target")
    timed([*train, "--set", "epochs=2", "--out", run])
    timed(kzoo("export", run, "--formats", "onnx", "--out", exported))
    seconds = {"loop": [], "1": [], "2": []}
    processor = {name: [] for name in seconds}
    for turn in range(args.rounds):
        loop = folder / f"loop-{turn}"
        loop.mkdir()
        source = folder / "in"
        taken, used, _ = timed([sys.executable, "-c", LOOP, source, exported, loop])
        seconds["loop"].append(taken)
        processor["loop"].append(used)
        for workers in ("1", "2"):
            out = folder / f"out-{workers}-{turn}"
            words = (
                "predict",
                exported,
                source,
                "--out",
                out,
                "--keep",
                "id",
                "--workers",
                workers,
            )
            taken, used, line = timed(kzoo(*words))
            seconds[workers].append(taken)
            processor[workers].append(used)
            print(line, file=sys.stderr)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        speed = rows / median[name]
        facts = dict(rows=rows, seconds=times, rows_per_second=round(speed))
        print(json.dumps(dict(what=name, **facts, processor_seconds=processor[name])))
    print(json.dumps(dict(what="one worker / loop", ratio=round(median["loop"] / median["1"], 2))))
    efficiency = median["1"] / median["2"] / 2
    print(json.dumps(dict(what="efficiency of two workers", ratio=round(efficiency, 2))))
    out = folder / "killed"
    words = kzoo("predict", exported, folder / "in", "--out", out, "--keep", "id", "--workers", 2)
    killed = scored_while_killed(words, median["2"])
    same = same_predictions(out, folder / "out-1-0")
    print(json.dumps(dict(what="killed", workers=killed, same_predictions=same)))
    taken, _, line = timed(words)
    print(json.dumps(dict(what="again", seconds=taken, says=line)))
    parts = sorted(out.glob("*.parquet"))
    for part in parts[:2]:
        part.unlink()
    taken, _, line = timed(words)
    same = same_predictions(out, folder / "out-1-0")
    print(
        json.dumps(dict(what="two were missing", seconds=taken, says=line, same_predictions=same))
    )


if __name__ == "__main__":
    main()
