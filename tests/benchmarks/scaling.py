"""CPU seconds and memory of `kzoo.load_data` on 1, 10 and 100 times as much data: both must grow linearly.

python tests/benchmarks/scaling.py                       all kinds, each size in its own process
python tests/benchmarks/scaling.py tables --plot a.png   only tables, with a plot

The last row of each kind is the ratio of the largest size to ten times the middle size: 1 is linear.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROUNDS = 3


class Case(NamedTuple):
    """The data to load.

    Args:
        unit: the unit of the size.
        smallest: the smallest size; 10 and 100 times as much follow.
        make: `make(folder, count)` writes the data, which is not measured, and returns arguments of `load_data`.
    """

    unit: str
    smallest: int
    make: object


def table(folder, rows, classes=2):
    """Twenty numeric columns, three columns of words, and a target."""
    import pandas as pd

    random = np.random.default_rng(0)
    columns = {f"number {i}": random.normal(0, 10 ** (i % 4), rows).round(4) for i in range(20)}
    columns |= {
        f"word {n}": [f"word{i}" for i in random.integers(0, n, rows)] for n in (5, 40, 300)
    }
    columns["target"] = [f"class{i}" for i in random.permutation(np.arange(rows) % classes)]
    pd.DataFrame(columns).to_csv(folder / "table.csv", index=False)
    return {"source": str(folder / "table.csv"), "target": "target"}


def classes(folder, count):
    return table(folder, 50_000, count)


def sentences(count):
    random = np.random.default_rng(0)
    words = np.array(
        ["".join(map(chr, random.integers(97, 123, n))) for n in random.integers(2, 10, 20_000)],
        object,
    )
    often = 1 / np.arange(1, len(words) + 1)
    lengths = random.integers(5, 25, count)
    drawn = words[random.choice(len(words), lengths.sum(), p=often / often.sum())]
    ends = np.cumsum(lengths)
    return [
        " ".join(drawn[end - n : end]).capitalize() + "."
        for n, end in zip(lengths, ends, strict=True)
    ]


def texts(folder, count):
    """Sentences of three classes."""
    import pandas as pd

    labels = np.random.default_rng(1).choice(["a", "b", "c"], count)
    pd.DataFrame({"text": sentences(count), "label": labels}).to_csv(
        folder / "texts.csv", index=False
    )
    return {"source": str(folder / "texts.csv"), "target": "label", "preset": "text_gru"}


def characters(folder, count):
    """One long text for a language model of characters."""
    some = "\n".join(sentences(5_000))
    (folder / "book.txt").write_text((some * (count // len(some) + 1))[:count])
    return {"source": str(folder / "book.txt"), "preset": "char_gru"}


def series(folder, steps):
    """Hourly steps of three columns."""
    import pandas as pd

    walks = np.random.default_rng(0).normal(size=(steps, 3)).cumsum(axis=0).round(4)
    frame = pd.DataFrame(walks, columns=["a", "b", "c"])
    frame.insert(0, "time", pd.date_range("1990", periods=steps, freq="h"))
    frame.to_csv(folder / "series.csv", index=False)
    return {"source": str(folder / "series.csv"), "target": "a", "preset": "series_gru"}


CASES = {
    "tables": Case("rows", 10_000, table),
    "texts": Case("sentences", 5_000, texts),
    "characters": Case("characters", 500_000, characters),
    "series": Case("steps", 2_000, series),
    "classes": Case("classes", 10, classes),
}


def spent():
    """Return (CPU seconds, peak memory in MiB) of this process."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    # The kernel's own figure of this program: that of `getrusage` may be the parent's, from before it was begun.
    status = Path("/proc/self/status").read_text().splitlines()
    return used.ru_utime + used.ru_stime, int(
        next(line.split()[1] for line in status if line.startswith("VmHWM"))
    ) / 1024


def load(arguments):
    """Load little data, then much, and print the additional cost of the second."""
    import kzoo

    little, much = arguments
    kzoo.load_data(little.pop("source"), **little)
    seconds, memory = spent()
    kzoo.load_data(much.pop("source"), **much)
    after = spent()
    print(json.dumps({"cpu_s": after[0] - seconds, "mib": after[1] - memory}))


def measured(case, count):
    """Return the minimum CPU seconds and memory of several processes."""
    with tempfile.TemporaryDirectory() as folder:
        (little := Path(folder, "little")).mkdir()
        arguments = json.dumps(
            [case.make(little, case.smallest // 5), case.make(Path(folder), count)]
        )
        command = [sys.executable, __file__, "--load", arguments]
        found = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for _ in range(ROUNDS)
        ]
    return {what: min(one[what] for one in found) for what in ("cpu_s", "mib")}


def plot(rows, file):
    """Plot seconds and memory over size, with a linear reference."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, (what, label) in zip(
        figure.subplots(1, 2), (("cpu_s", "CPU seconds"), ("mib", "MiB")), strict=True
    ):
        for name in dict.fromkeys(row["what"] for row in rows):
            points = [(row["times"], max(row[what], 1e-3)) for row in rows if row["what"] == name]
            (line,) = axes.loglog(
                *zip(*points, strict=True), "o-", label=f"{name} ({CASES[name].unit})"
            )
            times, value = points[-1]
            axes.loglog(
                [1, times], [value / times, value], ":", color=line.get_color(), linewidth=1
            )
        axes.set(xlabel="times as much data", ylabel=label)
        axes.set_xticks([1, 10, 100], ["1x", "10x", "100x"])
    axes.legend(title="dotted: linear")
    figure.savefig(file, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--plot", metavar="FILE", help="draw the picture")
    # a process that measures
    parser.add_argument("--load", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        return load(given.load)
    rows = []
    for name in given.kinds or CASES:
        case = CASES[name]
        for times in (1, 10, 100):
            count = times * case.smallest
            rows.append({"what": name, case.unit: count, "times": times, **measured(case, count)})
            print(
                json.dumps(
                    {key: round(v, 3) if isinstance(v, float) else v for key, v in rows[-1].items()}
                ),
                flush=True,
            )
        middle, most = rows[-2:]
        grew = {
            f"{what} over linear": round(most[what] / middle[what] / 10, 2)
            for what in ("cpu_s", "mib")
        }
        print(json.dumps({"what": f"{name}, 100x over 10x", **grew, "bar": 1.2}), flush=True)
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
