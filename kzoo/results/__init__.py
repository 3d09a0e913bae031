"""Measured scores, as data in the package: `kzoo show`, docs/presets.md and recipes read them. Standard library only.

`measured.json` is written by `recipes/tables.py` from run folders, never by hand. `beside.json` has figures to stand
beside them, each with its source: published ones, and what other scripts measured on the same data. `networks.json`
has the layers of every preset, `speed.json` (see `speed.py`) how fast each Keras backend trains it.
"""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kzoo import tasks
from kzoo.tasks.target_scores import mixes_units

_SEEDS = re.compile(r" --(data-)?seed[ =]\d+|, (data_)?seed=\d+")


@cache
def _read(name):
    file = Path(__file__).with_name(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def rows() -> list[dict]:
    """Return every row: preset, data, metric, score (mean), sd, over, seconds, machine, versions, date, command."""
    return list(_read("measured.json"))


def of(preset: str) -> list[dict]:
    """Return what was measured for a preset, on its own data first, the longest training first."""
    found = [row for row in rows() if row["preset"] == preset]
    return sorted(found, key=lambda row: (not row["own_data"], row["over"] == "1 run", -row["epochs"]))


def network_of(preset: str) -> dict | None:
    """Return the table of a preset's network (see `kzoo.network`), where it is stored."""
    return dict(_read("networks.json")).get(preset)


def speed_of(preset: str, processor: Sequence[str]) -> dict | None:
    """Return how fast a preset was trained: samples_per_second (of each backend), machine, processor, versions, date.

    Args:
        preset: its name.
        processor: the instruction sets of the processor that it was measured on. On another kind another backend may
            be the fastest; on one that is not known, without any, nothing was measured.
    """
    rows = (row for row in _read("speed.json") if row["preset"] == preset and row["processor"])
    return next((row for row in rows if row["processor"] == list(processor)), None)


def set_of(data: str) -> str:
    """Return the set that a row's data is, or has the name of, where a folder has a slash after it."""
    return data.rstrip("/")


def published_scores(row: dict) -> list[dict]:
    """Return published and other figures for the same data and metric: what, score, source."""
    here = set_of(row["data"]), row["metric"]
    same = [b for b in _read("beside.json") if (set_of(b["data"]), b["metric"]) == here]
    return [b for b in same if row["preset"] in b.get("presets", [row["preset"]])]


def number(value: float, metric: str) -> str:
    """Write a score as people read it."""
    known: Any = tasks.score_named(metric)
    if known.form == "percent":
        return f"{value:.1%}"
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.3f}"


def score(row: dict) -> str:
    """Write a row's score with its deviation and its name, such as `99.4% ± 0.1` or `MSE 0.381 ± 0.002`."""
    known: Any = tasks.score_named(row["metric"])
    text = number(row["score"], row["metric"])
    percent = known.form == "percent"
    if row["sd"] is not None:
        text += f" ± {100 * row['sd']:.1f}" if percent else f" ± {row['sd']:.1g}"
    return text if percent else f"{known.short} {text}"


def sortable_score(row: dict) -> float:
    """Return a row's score as a number of which more is better."""
    known: Any = tasks.score_named(row["metric"])
    return -row["score"] if known.best == "min" else row["score"]


def sentence(row: dict) -> str:
    """Say in a line what was measured."""
    known: Any = tasks.score_named(row["metric"])
    what = f"{row['preset']} on {row['data']}: {f'{known.label} ' if known.form == 'percent' else ''}{score(row)}"
    return f"{what}, {row['over']}, {row['epochs']:g} epochs, {row['seconds']:.0f} s a run ({row['date']})."


def baseline_rows(measured: list[dict]) -> list[dict]:
    """Return what needs no network on the data of some rows, a row each: its name as `baseline`, `metric`, `score`.

    Args:
        measured: rows of the same data. A score is that beside the row with most repetitions, which `over` says; of
            several such rows the best, for a baseline reads texts as the preset beside it does.
    """
    found: dict[tuple, tuple] = {}
    for row in measured:
        for label, score in (row.get("baselines") or {}).items():
            one = dict(baseline=label, metric=row["metric"], score=score, sd=None, over=row["over"])
            ranked = (len(row["scores"]), sortable_score(one)), one
            key = row["metric"], label
            found[key] = max(found.get(key, ranked), ranked, key=lambda pair: pair[0])
    return [one for _, one in found.values()]


def key_of(row: dict) -> tuple:
    """Return what a new measurement replaces: the same preset, data and settings, over any repetitions."""
    return row["preset"], row["data"], without_seeds(row["command"])


def without_seeds(command: str | None) -> str | None:
    """Return a command without its seeds: what runs were asked for that differ in nothing else."""
    return command if command is None else _SEEDS.sub("", command)


def group_of(run) -> tuple:
    """Return the key of runs that differ in nothing but seed, split or fold.

    Two splits of the same data may bring up other settings: a loss for heavy tails, as many epochs as make so many
    steps, the length of the texts. That is no other group where nobody asked for it.
    """
    spec, data = run.config["spec"], run.config["data"]
    settings = spec["training"] | {name: spec["config"].get(name) for name in ("input_shape", "horizon")}
    if command := without_seeds(run.config.get("command")):
        by_data = {"loss", "input_shape"} | ({"epochs", "patience"} if settings.get("min_steps") else set())
        settings = {name: value for name, value in settings.items() if name not in by_data}
    return spec["preset"], data["name"], of_fold(run), json.dumps([command, settings])


def draw_of(run) -> tuple:
    """Return what tells a run from others of its group: the seeds of network and split, and the fold."""
    data = run.config["data"]
    return run.config["spec"]["seed"], data["data_seed"], json.dumps(data["options"].get("test"))


def of_fold(run) -> bool:
    """Say whether a run is one fold of a cross-validation."""
    return isinstance(run.config["data"]["options"].get("test"), dict)


def row_of(runs: list) -> dict:
    """Make one row of finished runs of the same group."""
    first = min(runs, key=lambda r: (r.config["data"]["data_seed"], r.config["spec"]["seed"]))
    spec, data = first.config["spec"], first.config["data"]
    answered, tests = tasks.problem(data["task"]), [r.summary["test"] for r in runs]
    metric = displayed_metric(answered.headline, tests[0], answered.task)
    scores: list[Any] = [value_of(t, metric) for t in tests]
    own_metrics = {k: [t[k] for t in tests] for k in tests[0] if all(isinstance(t.get(k), float) for t in tests)}
    return {
        "preset": spec["preset"],
        "data": data["name"],
        "task": data["task"],
        "metric": metric,
        "score": round(statistics.mean(scores), 5),
        "sd": round(statistics.stdev(scores), 5) if len(scores) > 1 else None,
        "scores": [round(s, 5) for s in scores],
        "over": _over(runs),
        "others": {k: round(statistics.mean(v), 5) for k, v in own_metrics.items() if k != metric},
        "baselines": _baselines(runs, metric),
        "train": data["train"],
        "examples": tests[0].get("examples", tests[0].get("tokens")),
        "parameters": first.summary["parameters"],
        "epochs": round(statistics.mean(r.summary["epochs"] for r in runs), 1),
        "seconds": round(statistics.mean(r.summary["seconds"] for r in runs), 1),
        "samples_per_second": round(statistics.median(r.summary["samples_per_second"] for r in runs), 1),
        "machine": first.config["machine"],
        "versions": first.config["versions"],
        "date": max(r.config["created"] for r in runs)[:10],
        "command": first.config["command"],
    }


def _baselines(runs, metric):
    """Return label -> mean score of the baselines that all runs have beside theirs on the test split, best first."""
    kept = [[one for one in run.summary.get("baselines") or () if one["split"] == "test"] for run in runs]
    return mean_of_each(
        [{one["label"]: value_of(one["scores"] or {}, metric) for one in of_run} for of_run in kept], metric
    )


def mean_of_each(scores: list[dict], metric: str) -> dict[str, float]:
    """Return label -> mean of the scores that all of several dicts have, best first."""
    shared = [label for label in scores[0] if all(one.get(label) is not None for one in scores)]
    means = {label: round(statistics.mean(one[label] for one in scores), 5) for label in shared}
    known: Any = tasks.score_named(metric)
    return dict(sorted(means.items(), key=lambda item: item[1], reverse=known.best == "max"))


def value_of(scores: Mapping[str, Any], metric: str) -> float | None:
    """Return a score by name, also one that is the square of another."""
    known, value = tasks.score_named(metric), scores.get(metric)
    if value is None and known is not None and scores.get(known.square_of) is not None:
        value = scores[known.square_of] ** 2
    return value if isinstance(value, int | float) else None


def displayed_metric(metric: str, scores: Mapping[str, Any], task: tasks.Task) -> str:
    """Return the name of a score, or of another in its place: of a mean of several units the standardised one.

    One that counts instead of it where it is computed (average precision, of a rare class) takes its place. Where
    scores have no value for it (the R² of a constant), it is the first of the task that they have.
    """
    metric = "mse_standardised" if mixes_units(metric, scores) else metric
    instead = (name for name, known in task.scores.items() if known.counts_instead_of == metric)
    metric = next((name for name in instead if value_of(scores, name) is not None), metric)
    names = [metric, *(name for name, known in task.scores.items() if not known.baseline)]
    return next((n for n in names if value_of(scores, n) is not None and not mixes_units(n, scores)), metric)


def _over(runs):
    if len(runs) == 1:
        return "1 run"
    if of_fold(runs[0]):
        return f"{len(runs)} folds"
    splits = {r.config["data"]["data_seed"] for r in runs}
    return f"{len(runs)} {'splits' if len(splits) > 1 else 'seeds'}"
