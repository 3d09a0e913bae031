"""`compare`: runs and searches side by side, from their small text files alone. Standard library only."""

import os
from collections.abc import Mapping, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from kzoo.results import displayed_metric, number, value_of
from kzoo.run import Run
from kzoo.tasks import problem, score_named
from kzoo.tasks.target_scores import mixes_units
from kzoo.tuning.records import best_of
from kzoo.tuning.search import Search, is_search
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import aligned


@checked_arguments
def compare(
    runs: Run | Search | str | os.PathLike[str] | Sequence[Run | Search | str | os.PathLike[str]],
    *,
    metric: str | None = None,
    baselines: bool = True,
) -> list[dict[str, Any]]:
    """Rank runs by their test scores, without Keras.

    Runs on other data, another split of it or another task are not ranked together: each such group has a number.
    Searches are ranked among themselves, by the score of their best trial on the validation data that chose it.

    Args:
        runs: run folders, `Run`s, `Search`es and their folders, folders that hold some, patterns such as `"runs/*"`, or
            one of these.
        metric: a score in `summary.json`; the default is the task's: accuracy, R2, standardised MSE for forecasts,
            bits per token for language models; another where that cannot be computed (the R2 of a constant).
        baselines: rank what the runs kept of baselines among them: a row for each on the data of a group.

    Returns:
        A list, printed as a table, with a dict for each run, the largest group first, the best run of each first,
        unfinished runs last: `group`, `run`,
        `path`, `preset`, `data`, `task`, `metric`, `split`, `score`, `interval` (95 %), `validation`, `rmse` (of values
        in one unit), `relative_mae` (beside what needs no network), `targets` (name -> its MAE), `parameters`,
        `best_epoch`, `epochs`, `trials` (of a search), `seconds`, `samples_per_second`, `date`, `finished`,
        `interrupted`, `baseline` (it is none of the runs, but needs no network: it has a name and scores alone), and
        `differs`: the settings that are not the same in all runs of the group that have them.

    Raises:
        KzooError: fewer than two runs, something that is not a run, or a metric that was not measured.
    """
    runs = find_runs(runs, searches=True)
    if len(runs) < 2:
        what, hint = ("search", " Its leaderboard() compares its trials.") if is_search(runs[0]) else ("run", "")
        raise KzooError(f"There is one {what} only ({runs[0].path}): give two or more to compare.{hint}")
    groups: dict[Any, list[tuple[Run | Search, str]]] = {}
    for run, name in zip(runs, _short_names(runs), strict=True):
        groups.setdefault(_group(run), []).append((run, name))
    ranked = []
    for place, group in enumerate(sorted(groups.values(), key=len, reverse=True), 1):
        settings = _differing([_settings(run) for run, _ in group])
        shared = metric or _shared_metric(group)
        rows = [
            dict(group=place) | _row(run, name, shared) | dict(differs=differs)
            for (run, name), differs in zip(group, settings, strict=True)
        ]
        rows += _baselines(group, rows) if baselines else []
        ranked += sorted(rows, key=_place)
    return Comparison(sorted(ranked, key=lambda row: not row["finished"]))


class Comparison(list[dict[str, Any]]):
    """What `kzoo.compare` returns: a list of dicts, which is printed as a table."""

    def __repr__(self) -> str:
        """A line for each run and baseline."""
        groups = len({row["group"] for row in self}) > 1
        head = [*(["group"] if groups else []), "run", "preset", "data", "metric", "score", "parameters", "seconds"]
        rows = [head]
        for row in self:
            texts = dict(row) | dict(
                run=row["run"] + (" (no network)" if row["baseline"] else "" if row["finished"] else " (unfinished)"),
                score="-" if row["score"] is None else number(row["score"], row["metric"]),
                parameters="" if row["parameters"] is None else f"{row['parameters']:,}",
                seconds="" if row["seconds"] is None else f"{row['seconds']:.0f}",
            )
            rows.append([str(texts[name]) for name in head])
        return "\n".join(aligned(rows, right=[head.index(name) for name in ("score", "parameters", "seconds")]))


# What a row says of a run and has no meaning for what needs no network.
_OF_A_RUN = (
    "path", "validation", "relative_mae", "parameters", "best_epoch", "epochs", "trials", "seconds",
    "samples_per_second",
)  # fmt: skip


def _baselines(group: Sequence[tuple[Run | Search, str]], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each baseline that runs of a group kept: on the same data all of them have the same."""
    found: dict[str, dict[str, Any]] = {}
    for (run, _), row in zip(group, rows, strict=True):
        for one in (isinstance(run, Run) and run.finished and run.summary.get("baselines")) or ():
            said = _of_scores(one["scores"] or {}, row["metric"])
            if said["score"] is not None and one["split"] == row["split"]:
                name = dict(run=one["label"], preset="", date="", interrupted=False, baseline=True, differs={})
                found.setdefault(one["name"], dict(row) | dict.fromkeys(_OF_A_RUN) | said | name)
    return list(found.values())


def _of_scores(scores: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return dict(
        score=value_of(dict(scores), metric),
        interval=scores.get(f"{metric}_interval"),
        rmse=None if mixes_units("rmse", scores) else scores.get("rmse"),
        targets={target: one["mae"] for target, one in (scores.get("targets") or {}).items()},
    )


def _group(run: Run | Search) -> tuple[Any, ...]:
    """Return what runs have in common that are ranked together; of searches also what they searched for, and how."""
    if isinstance(run, Search):
        data = run.request.data
        return data["fingerprint"], data["task"], run.objective, run.request.folds
    return run.config["data"]["fingerprint"], run.config["data"]["task"]


def find_runs(places: Any, *, searches: bool = False) -> list[Any]:
    """Return the runs that paths, folders of runs and patterns name, each once.

    Args:
        places: a path, a `Run`, or several.
        searches: whether a `Search` will do too.

    Raises:
        KzooError: a place that holds none.
    """
    places = places if isinstance(places, list | tuple | set) else [places]
    found: dict[str, Run | Search] = {}
    for place in places:
        for run in [place] if isinstance(place, Run | Search) else _runs_at(place):
            if isinstance(run, Search) and not searches:
                raise KzooError(f"{run.path} is a search, and no run: Search({str(run.path)!r}).retrain() makes one.")
            found.setdefault(os.path.abspath(run.path), run)
    if not found:
        raise KzooError("No runs were given. kzoo.train writes one.")
    return list(found.values())


def _runs_at(place: Any) -> list[Run | Search]:
    if isinstance(place, str) and has_magic(place) and not os.path.exists(place):
        runs = [run for match in sorted(glob(place)) for run in _runs_below(Path(match))]
    elif isinstance(place, str | os.PathLike) and os.path.isdir(place) and not (Path(place) / "config.json").is_file():
        runs = [Search(place)] if is_search(place) else _runs_below(Path(place))
    else:
        runs = [Run(place)]
        assert runs[0].config  # says what is wrong with it
    if not runs:
        raise KzooError(f"{place} holds no run. kzoo.train writes one.")
    return runs


def _runs_below(folder: Path) -> list[Run | Search]:
    """Return the runs in a folder; what lies beside them is left alone."""
    if is_search(folder):
        return [Search(folder)]
    found: list[Run | Search] = []
    for place, _, files in os.walk(folder):  # which passes over folders that may not be read, or are gone
        for name in ("config.json", "search.json"):
            if name in files and not os.path.basename(place).startswith("."):
                found.append((Run if name == "config.json" else Search)(place))
    found.sort(key=lambda run: run.path)
    return [run for run in found if _readable(run)]


def _readable(run: Run | Search) -> bool:
    try:
        return bool(run.config)
    except KzooError:
        return False


def _short_names(runs: Sequence[Run | Search]) -> list[str]:
    """Return what distinguishes the paths."""
    paths = [Path(os.path.abspath(run.path)) for run in runs]
    base = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(base).as_posix() for path in paths]


def _shared_metric(group: Sequence[tuple[Run | Search, str]]) -> str | None:
    """Return the task's own metric where not all runs have the one that counts instead, as those of older versions."""
    runs = [run for run, _ in group if isinstance(run, Run) and run.finished]
    scored = [scores for run in runs if (scores := run.summary.get("test") or run.summary.get("validation"))]
    if not scored:
        return None
    of = problem(runs[0].config["data"]["task"])
    return of.headline if len({displayed_metric(of.headline, scores, of.task) for scores in scored}) > 1 else None


def _row(run: Run | Search, name: str, metric: str | None) -> dict[str, Any]:
    if isinstance(run, Search):
        return _row_of_search(run, name, metric)
    config, summary = run.config, run.summary if run.finished else {}
    task = config["data"]["task"]
    split = next((s for s in ("test", "validation") if summary.get(s)), None)
    scores = summary[split] if split else {}
    if metric is None:
        metric = displayed_metric(problem(task).headline, scores, problem(task).task)
    if scores and value_of(scores, metric) is None and metric not in scores:
        raise KzooError(f"{run.path} ({task}) has no {metric!r} score. It has: {', '.join(_numbers(scores))}.")
    return dict(
        run=name,
        path=str(run.path),
        preset=config["spec"]["preset"],
        data=config["data"]["name"],
        task=task,
        metric=metric,
        split=split,
        **_of_scores(scores, metric),
        validation=value_of(summary.get("validation") or {}, metric),
        relative_mae=scores.get("relative_mae"),
        parameters=summary.get("parameters"),
        best_epoch=summary.get("best_epoch"),
        epochs=summary.get("epochs") if run.finished else _epochs_so_far(run),
        trials=None,
        seconds=summary.get("seconds"),
        samples_per_second=summary.get("samples_per_second"),
        date=config.get("created", "")[:10],
        finished=run.finished,
        interrupted=bool(summary.get("interrupted")),
        baseline=False,
    )


def _epochs_so_far(run: Run) -> int:
    try:
        return len(next(iter(run.history.values()), ()))
    except KzooError:
        return 0


def _row_of_search(search: Search, name: str, metric: str | None) -> dict[str, Any]:
    request, objective = search.request, search.objective.name.removeprefix("val_")
    if metric not in (None, objective, search.objective.name):
        raise KzooError(f"{search.path} is a search for {objective!r}, not {metric!r}. Retrain its winner.")
    trials = search.trials
    best = best_of(trials, search.objective)
    return dict(
        run=name,
        path=str(search.path),
        preset=request.spec["preset"],
        data=request.data["name"],
        task=request.data["task"],
        metric=objective,
        split=f"{request.folds} folds" if request.folds else "validation",
        score=best and best.score,
        interval=None,
        validation=None,
        rmse=None,
        relative_mae=None,
        targets={},
        parameters=best and best.params,
        best_epoch=best and best.best_epoch,
        epochs=best and best.epochs,
        trials=len(trials),
        seconds=sum(trial.seconds for trial in trials),
        samples_per_second=None,
        date=request.created[:10],
        finished=search.finished,
        interrupted=False,
        baseline=False,
    )


def _numbers(scores: Mapping[str, Any]) -> list[str]:
    return [name for name, value in scores.items() if isinstance(value, float)]


def advantage(new: float, old: float, metric: str) -> float:
    """Return by how much `new` is better than `old`; below 0 it is worse."""
    return old - new if lower_is_better(metric) else new - old


def lower_is_better(metric: str) -> bool:
    """Say whether a small score is a good one."""
    known = score_named(metric)
    return known is not None and known.best == "min"


def _place(row: Mapping[str, Any]) -> tuple[bool, float]:
    return row["score"] is None, -advantage(row["score"] or 0, 0, row["metric"])


def _settings(run: Run | Search) -> dict[str, Any]:
    if isinstance(run, Search):
        return _settings_of_search(run)
    spec = run.config["spec"]
    more = {name: run.config.get(name) for name in ("weights", "freeze", "precision", "backend", "devices")}
    seeds = {} if spec.get("seed") is None else {"seed": spec["seed"]}
    return spec["config"] | spec["training"] | more | seeds


def _settings_of_search(search: Search) -> dict[str, Any]:
    """Return how it was searched, and the settings of the best trial."""
    request = search.request
    how = dict(engine=request.engine, space=request.space.get("size"), search_seed=request.seed)
    best = best_of(search.trials, search.objective)
    if best is None:
        return how
    spec = search.spec_of(best)
    own = best.hyperparameters if request.own else {}
    return how | spec["config"] | spec["training"] | own | dict(seed=spec["seed"])


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each run's settings those that another one of the runs has with another value."""
    names = dict.fromkeys(name for each in settings for name in each)
    differ = [n for n in names if len({repr(each[n]) for each in settings if n in each}) > 1]
    return [{n: each[n] for n in differ if n in each} for each in settings]
