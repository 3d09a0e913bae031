"""Print the measured results in results/ as a Markdown table, beside those of the last release.

python .ci/benchmarks.py

Nothing is measured here: recipes/README.md says how, and each row of results/*.csv has its date and command. The last
release is the newest tag vX.Y.Z that this commit descends from.
"""

import csv
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEYS = ("model", "kind", "sd", "interval_low", "interval_high", "over", "parameters", "flops")
KEYS += ("onnx_bytes", "onnx_ms", "threads", "epochs", "seconds", "date", "source")


def git(*words, root=ROOT):
    done = subprocess.run(["git", "-C", root, *words], capture_output=True, encoding="utf-8")
    return done.stdout if done.returncode == 0 else None


def last_release(version, root=ROOT):
    """Return the newest tag of an earlier version, or None."""
    tags = (git("tag", "--merged", "HEAD", "--sort=-v:refname", root=root) or "").split()
    released = [tag for tag in tags if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    return next((tag for tag in released if tag != f"v{version}"), None)


def rows(text):
    """Return {(model, metric): row} of the presets and baselines in a file of results."""
    found = {}
    for row in csv.DictReader(text.splitlines()):
        for metric in (name for name in row if name not in KEYS):
            if row["kind"] != "published" and row[metric]:
                found[row["model"], metric] = row | {"score": row[metric]}
    return found


def cell(row, name):
    return row[name] if row and row.get(name) else "-"


def table(version, root=ROOT):
    last = last_release(version, root)
    lines = [f"# Measured results of kzoo {version}", ""]
    lines += [
        f"Beside those of {last}. A dash: not measured."
        if last
        else "There is no earlier release to compare with. A dash: not measured.",
        "Scores, seconds of a training, and milliseconds of a prediction in ONNX Runtime, as in results/*.csv, which",
        "have intervals, dates and commands. Times are of the machines that recipes/measured.json names.",
        "",
        "| data | model | metric | score | last | seconds | last | ms | last |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for path in sorted((root / "results").glob("results-*.csv")):
        now = rows(path.read_text(encoding="utf-8"))
        before = git("show", f"{last}:results/{path.name}", root=root) if last else None
        before = rows(before) if before else {}
        for key in [*now, *(key for key in before if key not in now)]:
            pair = [now.get(key), before.get(key)]
            cells = [cell(row, name) for name in ("score", "seconds", "onnx_ms") for row in pair]
            data = path.stem.removeprefix("results-")
            lines.append(
                "| " + " | ".join([data, key[0].replace("|", "\\|"), key[1], *cells]) + " |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from changes import version

    sys.stdout.write(table(version()))
