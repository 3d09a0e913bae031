"""What a search's folder says of its trials: one record each, and a table of them all. Standard library only."""

import csv
import io
import re
import shutil
from pathlib import Path

from kzoo.files import read_json, remove_leftovers, write_json, write_text

FINISHED = ("completed", "pruned", "diverged", "failed")
KEPT = 3  # checkpoints of so many best trials stay
_STATE = ("journal.next", "journal", "journal.previous")


def place_of(folder, number) -> Path:
    """Return the folder of a trial."""
    return Path(folder) / "trials" / f"{number:04d}"


def write_trial(folder, record):
    """Write a trial's record, whole or not at all."""
    place = place_of(folder, record["trial"])
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "trial.json", record)


def read_trials(folder) -> list[dict]:
    """Return the records of a search, in the order of their numbers; one that is damaged is as one that never was."""
    found = []
    for place in sorted(Path(folder).glob("trials/*"), key=lambda p: (len(p.name), p.name)):
        if not re.fullmatch(r"\d{4,}", place.name):
            continue
        try:
            record = read_json(place / "trial.json")
            if isinstance(record, dict) and record["trial"] == int(place.name) and record["status"]:
                found.append(record)
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda record: record["trial"])


def ranked(records, direction) -> list[dict]:
    """Return records from the best to the worst, those without a score last; of equals the earlier one is better."""
    sign = -1 if direction == "max" else 1
    return sorted(records, key=lambda r: (r["score"] is None, sign * (r["score"] or 0), r["trial"]))


def rows_of(records, direction) -> list[dict]:
    """Return the rows of the leaderboard, best first; `gain` is over the preset, and more is better."""
    preset = next((r["score"] for r in records if r["baseline"]), None)
    sign = 1 if direction == "max" else -1
    rows = []
    for rank, r in enumerate(ranked(records, direction), 1):
        gain = None if preset is None or r["score"] is None else sign * (r["score"] - preset)
        rows.append(
            dict(
                rank=rank, trial=r["trial"], status=r["status"], score=r["score"], gain=gain,
                best_epoch=r["best_epoch"], epochs=r["epochs"], seconds=r["seconds"], parameters=r["params"],
                baseline=r["baseline"], hyperparameters=r["hyperparameters"], error=r["error"],
            )
        )  # fmt: skip
    return rows


def flat(rows) -> list[dict]:
    """Return rows with a column `hp.NAME` for each hyperparameter, empty (None) where it does not count."""
    names = list(dict.fromkeys(name for row in rows for name in row["hyperparameters"]))
    flattened = []
    for row in rows:
        error = row["error"]
        values = {f"hp.{name}": row["hyperparameters"].get(name) for name in names}
        rest = {k: v for k, v in row.items() if k not in ("hyperparameters", "error")}
        flattened.append(rest | values | {"error": error})
    return flattened


def write_leaderboard(folder, records, direction):
    """Write `leaderboard.csv` and `leaderboard.json`."""
    rows = rows_of(records, direction)
    write_json(Path(folder) / "leaderboard.json", rows, sync=False)
    out = io.StringIO()
    table = flat(rows)
    writer = csv.DictWriter(out, list(table[0]) if table else ["rank"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_text(Path(folder) / "leaderboard.csv", out.getvalue(), sync=False)


def sweep(folder, records, direction, *, states=True):
    """Remove the checkpoints of all but the best trials, and the training states that nothing will go on from.

    Args:
        states: whether those of finished trials may go; Hyperband's trials go on from one another.
    """
    best = {r["trial"] for r in ranked(records, direction)[:KEPT] if r["score"] is not None}
    for record in records:
        place = place_of(folder, record["trial"])
        if record["status"] not in FINISHED:
            continue
        if record["trial"] not in best:
            (place / "best.keras").unlink(missing_ok=True)
        if states:
            for name in _STATE:
                (place / name).unlink(missing_ok=True)


def tidy(folder):
    """Remove what killed writes left."""
    remove_leftovers(folder)
    for place in Path(folder).glob("trials/*"):
        remove_leftovers(place)


def remove_trials(folder):
    """Remove everything that a search has found."""
    for name in ("trials", "engine", "tensorboard"):
        shutil.rmtree(Path(folder) / name, ignore_errors=True)
    for name in ("leaderboard.csv", "leaderboard.json", "end.json"):
        (Path(folder) / name).unlink(missing_ok=True)
