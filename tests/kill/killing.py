"""Kill trainings at random moments, start them again, and compare their end with that of an undisturbed training.

python tests/kill/killing.py --kills 8            every job, kzoo and BackupAndRestore; prints the table of README.md
python tests/kill/killing.py --jobs fnn lstm --backend jax --kills 4
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

JOB = Path(__file__).with_name("job.py")


def words_for(name, folder, *, stock=False, moment=None, options=()):
    """Return the command of a job; `options` are added to it."""
    words = [
        sys.executable,
        str(JOB),
        name,
        str(folder),
        *(["--stock"] if stock else []),
        *map(str, options),
    ]
    return words + ([] if moment is None else ["--kill", *map(str, moment)])


def start(name, folder, *, backend, stock=False, moment=None, options=()):
    """Run a job to its end or its death; return whether it was killed."""
    words = words_for(name, folder, stock=stock, moment=moment, options=options)
    done = subprocess.run(
        words, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2000:]
    return done.returncode != 0


def undisturbed(name, folder, *, backend, stock=False, options=()):
    """Run a job without killing it; return its end."""
    start(name, folder, backend=backend, stock=stock, options=options)
    return ended(folder)


def ended(folder):
    """Return what a finished job wrote."""
    return json.loads((folder / "end.json").read_text())


def moments(kills, seconds, seed):
    """Yield when to kill a job that takes so many seconds: each third of them is inside a write or a validation.

    The others come at any time. The last two come shortly after a step that the journal knows: in the same epoch.
    """
    draw = random.Random(seed)
    for i in range(kills):
        if i >= kills - 2:
            yield "step", draw.randint(4, 5)
        elif i % 3 == 1:
            yield "save", draw.randint(1, 12)
        elif i % 3 == 2:
            yield "validation", 1
        else:
            # Little enough that the training is not over before it has been killed often enough.
            yield "time", round(draw.uniform(0.02, 1.6 * seconds / kills), 3)


def disturbed(name, folder, *, kills, whole, backend, stock=False, seed=0, look=None, options=()):
    """Kill a job `kills` times and let it end. One that is over before it was killed begins anew, and dies sooner.

    Args:
        whole: what `undisturbed` returned, with the seconds that a training takes.
        look: called with the folder after each kill.
        options: more words of the job's command.

    Returns:
        (its end, list of the phases in which it was killed).
    """
    killed_in = []
    for kind, at in moments(kills, whole["seconds"], f"{name} {seed}"):
        while not (
            dead := start(
                name, folder, backend=backend, stock=stock, moment=(kind, at), options=options
            )
        ):
            if killed_in or kind != "time":
                break
            shutil.rmtree(folder)  # `whole` had still to compile, or had the machine to share
            at /= 2
        if not dead:
            break
        killed_in.append((folder / "killed_in").read_text())
        if look is not None:
            look(folder)
    start(name, folder, backend=backend, stock=stock, options=options)
    return ended(folder), killed_in


def counts(killed_in):
    """Count the kills in each phase (save, validation, step, ...), and those in the same epoch as an earlier kill."""
    result = Counter(
        "save" if text.startswith("save;") else text.split("; ")[-1].split(",")[0]
        for text in killed_in
    )
    epochs = [text.rpartition("epoch ")[2] for text in killed_in if "epoch " in text]
    result["again in the same epoch"] = len(epochs) - len(set(epochs))
    return result


def same(result, whole):
    """Return whether weights, optimizer and history of every epoch, and the end, are the same to the bit."""
    return (result["epochs"], result["end"]) == (whole["epochs"], whole["end"])


def loadable(folder):
    """Load the best and the last model, which exist if the history has an epoch."""
    import keras

    run = folder / "run"
    if (run / "history.csv").exists():
        for name in ("best.keras", "last.keras"):
            keras.saving.load_model(run / name, compile=False)


def row(name, *, backend, kills, seed, out, kinds=("kzoo", "BackupAndRestore")):
    """Return a row of the table: kzoo, and plain fit with BackupAndRestore."""
    cells = {"job": name, "backend": backend}
    for kind in kinds:
        stock = kind != "kzoo"
        folder = Path(out) / f"{name}-{backend}-{kind}"
        whole = undisturbed(name, folder / "whole", backend=backend, stock=stock)
        options = dict(kills=kills, whole=whole, backend=backend, stock=stock, seed=seed)
        began = time.monotonic()
        try:
            result, killed = disturbed(
                name, folder / "killed", look=None if stock else loadable, **options
            )
            verdict = "same bits" if same(result, whole) else _difference(result, whole)
        except AssertionError as error:  # BackupAndRestore may not start again at all
            killed = []
            verdict = f"did not start again: {str(error).strip().splitlines()[-1][:60]}"
        cells[f"{kind}: kills"] = len(killed)
        cells[f"{kind}: in"] = ", ".join(
            f"{n} {phase}" for phase, n in sorted(counts(killed).items())
        )
        cells[kind] = verdict
        print(json.dumps(cells | {"seconds": round(time.monotonic() - began)}), flush=True)
    return cells


def _difference(result, whole):
    if len(result["epochs"]) != len(whole["epochs"]):
        return f"{len(result['epochs'])} epochs in the last process, not {len(whole['epochs'])}"
    return f"final loss {result['epochs'][-1][1]['loss']:.4f}, not {whole['epochs'][-1][1]['loss']:.4f}"


def table(rows):
    """Return the rows as a Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in ([*rows[0]], ["---"] * len(rows[0]))]
    return "\n".join(
        lines + ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    )


def main():
    from job import JOBS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", nargs="+", default=list(JOBS))
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=["kzoo", "BackupAndRestore"])
    parser.add_argument("--out", type=Path, help="folder to keep; the default is a temporary one")
    args = parser.parse_args()
    out = args.out or Path(tempfile.mkdtemp())
    options = dict(
        backend=args.backend, kills=args.kills, seed=args.seed, out=out, kinds=args.kinds
    )
    rows = [row(name, **options) for name in args.jobs]
    print(table(rows))
    if args.out is None:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
