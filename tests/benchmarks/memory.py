"""Peak memory of training by data size, with a plot; and identical weights after kill -9 at the largest size.

    python tests/benchmarks/memory.py FOLDER --kinds parquet csv text --sizes 200_000 2_000_000 20_000_000
    python tests/benchmarks/memory.py FOLDER --kinds parquet --sizes 20_000_000 --kill

Sizes are rows of 20 columns, or hundreds of characters. Each training is `kzoo.train` with its defaults in a separate
process, with a memory limit that leaves data on disk (`KZOO_MEMORY=64MiB`). The peak is VmHWM, including all libraries
and TensorFlow. Prints lines of JSON and plots FOLDER/memory.png. Generated data stays in FOLDER.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
BLOCK = 200_000
PRESETS = {"parquet": "tabular_fnn", "csv": "tabular_fnn", "text": "char_gru"}
TOWNS, COLOURS, SIGNS = (
    np.array([f"{name} {i}" for i in range(n)]) for name, n in zip("abc", (5, 40, 300), strict=True)
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kinds", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[200_000, 2_000_000, 20_000_000])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument(
        "--kill", action="store_true", help="kill the largest in its training, and go on"
    )
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    peaks = {kind: [] for kind in args.kinds}
    for kind in args.kinds:
        for size in args.sizes:
            file = generated(
                args.folder / f"{size}.{'txt' if kind == 'text' else kind}", kind, size
            )
            said = trained(file, kind, args.steps, args.folder / f"run-{kind}-{size}")
            peaks[kind].append(said["peak_mib"])
            print(
                json.dumps(dict(kind=kind, size=size, file_mib=file.stat().st_size >> 20, **said)),
                flush=True,
            )
            if args.kill and size == max(args.sizes):
                again = killed(file, kind, args.steps, args.folder / f"killed-{kind}-{size}")
                print(
                    json.dumps(dict(kind=kind, size=size, after_a_kill=True, **again)), flush=True
                )
                assert again["weights"] == said["weights"], "other bits after a kill"
    draw(args.sizes, peaks, args.folder / "memory.png")


def generated(file, kind, size):
    """Return a file of this many rows, or hundreds of characters. It is written if it does not exist."""
    if file.exists():
        return file
    part = file.with_name(f"{file.name}.part")
    rng = np.random.default_rng(0)
    if kind == "text":
        words = np.array(
            ["".join(rng.choice(list("etaoinshrdlu"), rng.integers(2, 9))) for _ in range(5000)]
        )
        with part.open("w", encoding="utf-8") as out:
            for _ in range(-(-size * 100 // 1_000_000)):
                out.write(
                    "\n".join(map(" ".join, words[rng.zipf(1.3, (14_000, 12)) % len(words)]))[
                        :999_999
                    ]
                    + "\n"
                )
    else:
        import pyarrow.csv
        import pyarrow.parquet

        new = pyarrow.parquet.ParquetWriter if kind == "parquet" else pyarrow.csv.CSVWriter
        block = table(rng)
        with new(part, block.schema) as out:
            for _ in range(-(-size // BLOCK)):
                out.write_table(block)
                block = table(rng)
    part.rename(file)
    return file


def table(rng):
    """Return a block of rows: 15 numbers, three categories, a date, and a target that depends on them."""
    import pyarrow as pa

    numbers = rng.standard_normal((BLOCK, 15)).astype("float32")
    town, colour, sign = (rng.integers(0, len(words), BLOCK) for words in (TOWNS, COLOURS, SIGNS))
    days = rng.integers(0, 3650, BLOCK)
    score = (
        numbers[:, 0] * numbers[:, 1]
        + np.sin(2 * numbers[:, 2])
        + (town - 2) / 2
        + (days % 365 < 90)
    )
    return pa.table(
        {f"x{i}": numbers[:, i] for i in range(15)}
        | {"town": TOWNS[town], "colour": COLOURS[colour], "sign": SIGNS[sign]}
        | {
            "day": pa.array(np.datetime64("2015-01-01") + days),
            "y": np.where(score > 0.2, "yes", "no"),
        }
    )


CHILD = """
import hashlib, json, sys, time
import numpy as np
import kzoo

file, preset, steps, out = sys.argv[1:]
options = dict(validation=0.001, test=0.001) if preset.startswith("char") else dict(target="y")
options |= dict(progress=False, baselines=False, journal_steps=20)
run = kzoo.train(preset, file, max_steps=int(steps), out=out, **options)
digest = hashlib.sha256()
for weight in run.model.get_weights():
    digest.update(np.ascontiguousarray(weight).tobytes())
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(dict(peak_mib=peak >> 10, cpu_s=round(time.process_time(), 1), weights=digest.hexdigest()[:16],
                      test=run.summary["test"])))
"""


def trained(file, kind, steps, out):
    """Train, and return the output of the process."""
    said, errors = started(file, kind, steps, out).communicate()
    assert said, errors[-3000:]
    return json.loads(said.splitlines()[-1])


def killed(file, kind, steps, out):
    """Train, kill the process one second after its first journal, and train again."""
    process = started(file, kind, steps, out)
    while process.poll() is None and not list(out.glob("journal*")):
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it had ended by itself: ask for more --steps"
    return trained(file, kind, steps, out)


def started(file, kind, steps, out):
    environment = os.environ | {
        "KZOO_MEMORY": "64MiB",
        "KZOO_CACHE": str(file.parent / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(ROOT),
    }
    words = [sys.executable, "-c", CHILD, file, PRESETS[kind], str(steps), out]
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def draw(sizes, peaks, file):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for kind, values in peaks.items():
        axes.plot(sizes, values, marker="o", label=f"{kind}, {PRESETS[kind]}")
    axes.axhline(2048, color="grey", ls="--", lw=1)
    axes.text(sizes[0], 2060, "2 GiB", color="grey", va="bottom")
    axes.set(
        xscale="log",
        ylim=(0, 2300),
        xlabel="rows of 20 columns; hundreds of characters",
        ylabel="peak memory, MiB",
    )
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
