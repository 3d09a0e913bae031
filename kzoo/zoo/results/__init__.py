"""Measured scores, as data in the package: `kzoo show`, docs/ and recipes read them. Standard library only.

`measured.json` is written by `recipes/tables.py` from run folders, never by hand. `beside.json` has scores to compare
them with, each with its source: published ones, and those of other scripts on the same data. `networks.json` has the
layers of every preset, `speed.json` (see `speed.py`) the training speed of each Keras backend.
"""

import json
import re
import statistics
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.inference.tasks.target_scores import mixes_units
from kzoo.problems import objectives, tasks
from kzoo.problems.objectives import Objective
from kzoo.problems.stored_types import Scores, TrainingSettings
from kzoo.utils.files import Json, JsonObject

if TYPE_CHECKING:
    from kzoo.zoo.run import Run


_SEEDS = re.compile(r" --(data-)?seed[ =]\d+|, (data_)?seed=\d+")


@cache
def _read(name: str) -> Json:
    file = Path(__file__).with_name(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def rows() -> list[JsonObject]:
    """Return every row: preset, data, metric, score (mean), sd, over, seconds, machine, versions, date, command."""
    return list(_read("measured.json"))


def of(preset: str) -> list[JsonObject]:
    """Return the rows of a preset: on its own data first, then the longest training first."""
    measured = [row for row in rows() if row["preset"] == preset]
    return sorted(
        measured, key=lambda row: (not row["own_data"], row["over"] == "1 run", -row["epochs"])
    )


def network_of(preset: str) -> JsonObject | None:
    """Return the table of a preset's network (see `kzoo.zoo.network`), where it is stored."""
    return dict(_read("networks.json")).get(preset)


def speed_of(preset: str, processor: Sequence[str]) -> JsonObject | None:
    """Return the training speed of a preset: samples_per_second of each backend, machine, processor, versions, date.

    Args:
        preset: its name.
        processor: instruction sets of the processor. The fastest backend differs between kinds of processors; there is
            no row for an unknown one.
    """
    rows = (row for row in _read("speed.json") if row["preset"] == preset and row["processor"])
    return next((row for row in rows if row["processor"] == list(processor)), None)


def light_key(row: JsonObject) -> tuple[str, str, int]:
    """Return the key of the network of a row: a preset may have another one for each data set."""
    return row["preset"], set_of(row["data"]), row["parameters"]


def light_of(row: JsonObject) -> JsonObject | None:
    """Return size and latency of the network of a row in the light runtime, or None where they were not measured.

    `flops` of a forward pass, `bytes` in ONNX, `ms` of a prediction of one example, threads, machine, versions, date.
    """
    return next(
        (light for light in _read("light.json") if light_key(light) == light_key(row)), None
    )


def set_of(data: str) -> str:
    """Return the name of a data set without the slash that ends the name of a folder."""
    return data.rstrip("/")


def published_scores(row: JsonObject) -> list[JsonObject]:
    """Return published and other scores for the same data and metric: what, score, source."""
    key = set_of(row["data"]), row["metric"]
    same = [b for b in _read("beside.json") if (set_of(b["data"]), b["metric"]) == key]
    return [b for b in same if row["preset"] in b.get("presets", [row["preset"]])]


def number(value: float, metric: str) -> str:
    """Format a score: a percentage, or two to three significant digits."""
    score_type = tasks.score_named(metric)  # None for a function of the user
    if score_type is not None and score_type.form == "percent":
        return f"{value:.1%}"
    return (
        f"{value:.2g}"
        if abs(value) < 0.1
        else f"{value:.3f}"
        if abs(value) < 1000
        else f"{value:,.0f}"
    )


def metric_label(metric: str) -> str:
    """Return the short name of a score, such as for the heading of a column; of a function of the user its name."""
    score_type = tasks.score_named(metric)
    return metric if score_type is None else score_type.short or score_type.label


def score(row: JsonObject) -> str:
    """Format the score of a row with its standard deviation and name: `99.4% ± 0.1`, `MSE 0.381 ± 0.002`."""
    score_type: Any = tasks.score_named(row["metric"])
    text = number(row["score"], row["metric"])
    percent = score_type.form == "percent"
    if row["sd"] is not None:
        text += f" ± {100 * row['sd']:.1f}" if percent else f" ± {row['sd']:.1g}"
    return text if percent else f"{score_type.short} {text}"


def sortable_score(row: JsonObject) -> float:
    """Return the score of a row with the sign that makes larger better."""
    score_type: Any = tasks.score_named(row["metric"])
    return -row["score"] if score_type.best == "min" else row["score"]


def sentence(row: JsonObject) -> str:
    """Return one line about a row: preset, data, score, repetitions, epochs, seconds, date."""
    score_type: Any = tasks.score_named(row["metric"])
    label = f"{score_type.label} " if score_type.form == "percent" else ""
    return (
        f"{row['preset']} on {row['data']}: {label}{score(row)}, {row['over']}, {row['epochs']:g} epochs, "
        f"{row['seconds']:.0f} s a run ({row['date']})."
    )


def baseline_rows(measured: list[JsonObject]) -> list[JsonObject]:
    """Return the baselines on the data of some rows, a row each: `baseline` (its name), `metric`, `score`, `over`.

    Args:
        measured: rows of the same data. The score of a baseline comes from the row with the most repetitions, and of
            several such rows from the best, because a baseline reads texts as the preset of its row does.
    """
    best: dict[tuple, tuple] = {}
    for row in measured:
        for label, score in (row.get("baselines") or {}).items():
            baseline = dict(
                baseline=label, metric=row["metric"], score=score, sd=None, over=row["over"]
            )
            ranked = (len(row["scores"]), sortable_score(baseline)), baseline
            key = row["metric"], label
            best[key] = max(best.get(key, ranked), ranked, key=lambda pair: pair[0])
    return [baseline for _, baseline in best.values()]


def key_of(row: JsonObject) -> tuple[str, str, str | None]:
    """Return the key of a row, which a new measurement of the same preset, data and settings replaces."""
    return row["preset"], row["data"], without_seeds(row["command"])


def without_seeds(command: str | None) -> str | None:
    """Return a command line without its seeds, the same for all repetitions."""
    return command if command is None else _SEEDS.sub("", command)


def group_of(run: "Run") -> tuple[str, str, bool, str]:
    """Return the key of runs that differ only in seed, split or fold.

    Settings that kzoo adapts to the data may differ between two splits of it: the loss (heavy tails), the epochs (from
    `min_steps`), the length of the texts. They do not make another group unless the command sets them.
    """
    spec, data = run.config["spec"], run.config["data"]
    settings = spec["training"] | {
        name: spec["config"].get(name) for name in ("input_shape", "horizon")
    }
    if command := without_seeds(run.config.get("command")):
        by_data = {"loss", "input_shape"} | (
            {"epochs", "patience"} if settings.get("min_steps") else set()
        )
        settings = {name: value for name, value in settings.items() if name not in by_data}
    return spec["preset"], data["name"], of_fold(run), json.dumps([command, settings])


def draw_of(run: "Run") -> tuple[int, int, str]:
    """Return what distinguishes a run within its group: the seeds of network and split, and the fold."""
    data = run.config["data"]
    return run.config["spec"]["seed"], data["data_seed"], json.dumps(data["options"].get("test"))


def of_fold(run: "Run") -> bool:
    """Return whether a run is one fold of a cross-validation."""
    return isinstance(run.config["data"]["options"].get("test"), dict)


def row_of(runs: "Sequence[Run]") -> JsonObject:
    """Return the row of measured scores for the finished runs of one group (see `group_of`)."""
    # The run with the lowest seeds stands for all where they do not differ.
    first = min(runs, key=lambda r: (r.config["data"]["data_seed"], r.config["spec"]["seed"]))
    spec, data = first.config["spec"], first.config["data"]
    problem = tasks.problem(data["task"])
    tests = [r.summary["test"] for r in runs]
    metric = displayed_metric(problem.headline, tests[0], problem.task)
    scores: list[Any] = [value_of(t, metric) for t in tests]
    means_of = {
        k: [t[k] for t in tests]
        for k in tests[0]
        if all(isinstance(t.get(k), float) for t in tests)
    }
    return {
        "preset": spec["preset"],
        "data": data["name"],
        "task": data["task"],
        "metric": metric,
        "score": round(statistics.mean(scores), 5),
        "sd": round(statistics.stdev(scores), 5) if len(scores) > 1 else None,
        "scores": [round(s, 5) for s in scores],
        "over": _over(runs),
        "others": {k: round(statistics.mean(v), 5) for k, v in means_of.items() if k != metric},
        "baselines": _baselines(runs, metric),
        "train": data["train"],
        "examples": tests[0].get("examples", tests[0].get("tokens")),
        "parameters": first.summary["parameters"],
        "epochs": round(statistics.mean(r.summary["epochs"] for r in runs), 1),
        "seconds": round(statistics.mean(r.summary["seconds"] for r in runs), 1),
        "samples_per_second": round(
            statistics.median(r.summary["samples_per_second"] for r in runs), 1
        ),
        "machine": first.config["machine"],
        "versions": first.config["versions"],
        "date": max(r.config["created"] for r in runs)[:10],
        "command": first.config["command"],
    }


def _baselines(runs: "Sequence[Run]", metric: str) -> dict[str, float]:
    """Return label -> mean test score of the baselines that all runs have, best first."""
    scores = [
        {
            baseline["label"]: value_of(baseline["scores"] or {}, metric)
            for baseline in run.summary.get("baselines") or ()
            if baseline["split"] == "test"
        }
        for run in runs
    ]
    return mean_of_each(scores, metric)


def mean_of_each(scores: list[JsonObject], metric: str) -> dict[str, float]:
    """Return label -> mean score, best first, of the labels that all of the dicts have."""
    shared = [label for label in scores[0] if all(run.get(label) is not None for run in scores)]
    means = {label: round(statistics.mean(run[label] for run in scores), 5) for label in shared}
    score_type: Any = tasks.score_named(metric)
    return dict(sorted(means.items(), key=lambda pair: pair[1], reverse=score_type.best == "max"))


def value_of(scores: Scores, metric: str) -> float | None:
    """Return a score by name, also one that is the square of another (MSE from RMSE); None if it is not a number."""
    score_type, score = tasks.score_named(metric), scores.get(metric)
    if score is None and score_type is not None and scores.get(score_type.square_of) is not None:
        score = scores[score_type.square_of] ** 2
    return score if isinstance(score, int | float) else None


def deciding_score(
    settings: TrainingSettings,
    scores: Scores,
    problem: tasks.Problem,
    *,
    headline: str | None = None,
) -> Objective:
    """Return the score by which a model is compared with others, with its direction.

    It is the objective of its training; else the expected cost, if mistakes have costs; else the score that its
    decision is for; else the primary score of the task (see `displayed_metric`), as where the others are missing.

    Args:
        settings: its training settings, also stored ones.
        scores: its scores of a split.
        problem: the problem.
        headline: the primary score, if it is not that of the problem.
    """
    for score in objectives.deciding(settings):
        if value_of(scores, score) is not None:
            return score
    name = displayed_metric(headline or problem.headline, scores, problem.task)
    score_type: Any = tasks.score_named(name)
    return Objective(name, best="max" if score_type is None else score_type.best)


def displayed_metric(metric: str, scores: Scores, task: tasks.Task) -> str:
    """Return the name of the score to show for a metric: the metric, or another that replaces it.

    A mean over targets with different units is replaced by the standardised score. On data for which a score with
    `counts_instead_of` this metric is computed (average precision, for a rare class), that score replaces it. If the
    metric has no value (R² of a constant), the task's first score of the model that has one is shown.
    """
    metric = standardised_score(metric) if mixes_units(metric, scores) else metric
    replacements = (
        name for name, score_type in task.scores.items() if score_type.counts_instead_of == metric
    )
    metric = next((name for name in replacements if value_of(scores, name) is not None), metric)
    names = [metric, *(name for name, score_type in task.scores.items() if not score_type.baseline)]
    return next(
        (n for n in names if value_of(scores, n) is not None and not mixes_units(n, scores)), metric
    )


def standardised_score(metric: str) -> str:
    """Return the name of the score of standardised targets that replaces a score in the targets' own units."""
    score_type = tasks.score_named(metric)
    return metric if score_type is None else score_type.standardised or metric


def _over(runs: "Sequence[Run]") -> str:
    if len(runs) == 1:
        return "1 run"
    if of_fold(runs[0]):
        return f"{len(runs)} folds"
    splits = {r.config["data"]["data_seed"] for r in runs}
    return f"{len(runs)} {'splits' if len(splits) > 1 else 'seeds'}"
