"""`compare`: rank runs and searches, read from their small text files. Standard library only, but for the DataFrame."""

import os
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kzoo.inference.tasks.target_scores import mixes_units
from kzoo.problems.objectives import Objective, deciding
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import problem, score_named
from kzoo.tuning.records import best_of
from kzoo.tuning.search import Search, is_search
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint
from kzoo.zoo.results import deciding_score, displayed_metric, value_of
from kzoo.zoo.run import Run, run_of_search

if TYPE_CHECKING:
    import pandas as pd


RunOrSearch: TypeAlias = Run | Search | str | os.PathLike[str]
Runs: TypeAlias = RunOrSearch | Sequence[RunOrSearch]


@checked_arguments
def compare(
    runs: Runs,
    *,
    metric: str | None = None,
    baselines: bool = True,
) -> "pd.DataFrame":
    """Rank runs by their test scores, without Keras.

    Runs are ranked in groups with the same data, split and task; each group has a number. Searches are ranked among
    themselves, by the validation score that chose their best trial.

    Args:
        runs: run folders, `Run`s, `Search`es and their folders, folders that contain some, patterns such as `"runs/*"`,
            or one of these.
        metric: a score in `summary.json`, by the name that `objective=` takes. The default is the objective that all
            runs of a group were trained for, their expected cost, or the score of their decision; else the primary
            score of the task: accuracy, R2, standardised MSE for forecasts, bits per token for language models; another
            if it cannot be computed (R2 of a constant).
        baselines: whether to rank the baselines in the summaries as well, a row for each in a group.

    Returns:
        A `pandas.DataFrame` with a row for each run, the largest group first, the best run of each first, unfinished
        runs last. Columns: `run`, `preset`, `data`, `metric`, `score`, `interval` (95 %), `validation`, `parameters`,
        `seconds`, `group`, `path`, `task`, `split`, `rmse` (of values in one unit), `relative_mae` (relative to the
        baseline), `targets` (a dict, name -> its MAE), `mae` and `wape` (of forecasts of one target, in its unit and as
        a share of the total), `best_epoch`, `epochs`, `trials` (of a search), `samples_per_second`, `date`, `finished`,
        `interrupted`, `baseline` (True for a baseline, which has a name and scores only), and `differs` (a dict of the
        settings that differ between the runs of the group that have them). Missing values are NaN or None.

    Raises:
        KzooError: fewer than two runs, a path that is not a run, or a metric that was not measured.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> wide = kzoo.train("iris_fnn_wide", "iris", epochs=20, out="runs/wide")
        >>> table = kzoo.compare([run, wide], baselines=False)
        >>> sorted(table["run"]), table["metric"].unique().tolist()
        (['iris', 'wide'], ['accuracy'])
    """
    from pandas import DataFrame  # here, as `kzoo compare` works without pandas

    rows = ranked(runs, metric=metric, baselines=baselines)
    return DataFrame(
        rows, columns=[*_FIRST_COLUMNS, *(name for name in rows[0] if name not in _FIRST_COLUMNS)]
    )


def ranked(runs: Runs, *, metric: str | None = None, baselines: bool = True) -> list[JsonObject]:
    """Return the rows of `compare`, which see, as dicts. Standard library only."""
    metric = None if metric is None else metric.removeprefix("val_")
    ranked_runs = find_runs_and_searches(runs)
    if len(ranked_runs) < 2:
        noun, hint = (
            ("search", " Its leaderboard() ranks its trials.")
            if is_search(ranked_runs[0])
            else ("run", "")
        )
        raise KzooError(
            f"compare needs two or more runs, got one {noun} ({ranked_runs[0].path}).{hint}"
        )
    groups: dict[Any, list[tuple[Run | Search, str]]] = {}
    for run, name in zip(ranked_runs, _short_names(ranked_runs), strict=True):
        groups.setdefault(_group(run), []).append((run, name))
    all_rows = []
    for number_of_group, group in enumerate(sorted(groups.values(), key=len, reverse=True), 1):
        settings = _differing([_settings(run) for run, _ in group])
        shared = _shared_objective(group, metric) or metric or _shared_metric(group)
        rows = [
            dict(group=number_of_group) | _row(run, name, shared) | dict(differs=differs)
            for (run, name), differs in zip(group, settings, strict=True)
        ]
        rows += _baselines(group, rows) if baselines else []
        all_rows += sorted(rows, key=_sort_key)
    return sorted(all_rows, key=lambda row: not row["finished"])


_FIRST_COLUMNS = (
    "run",
    "preset",
    "data",
    "metric",
    "score",
    "interval",
    "validation",
    "parameters",
    "seconds",
)
# Columns of a row that a baseline does not have.
_OF_A_RUN = (
    "path",
    "validation",
    "relative_mae",
    "parameters",
    "best_epoch",
    "epochs",
    "trials",
    "seconds",
    "samples_per_second",
)


def _baselines(
    group: Sequence[tuple[Run | Search, str]], rows: Sequence[JsonObject]
) -> list[JsonObject]:
    """Return a row for each baseline in the summaries of a group; on the same data they are the same in all runs."""
    baseline_rows: dict[str, dict[str, Any]] = {}
    for (run, _), row in zip(group, rows, strict=True):
        for baseline in (
            isinstance(run, Run) and run.finished and run.summary.get("baselines")
        ) or ():
            scores = _score_columns(baseline["scores"] or {}, row["metric"])
            if scores["score"] is not None and baseline["split"] == row["split"]:
                name = dict(
                    run=baseline["label"],
                    preset="",
                    date="",
                    interrupted=False,
                    baseline=True,
                    differs={},
                )
                baseline_rows.setdefault(
                    baseline["name"], dict(row) | dict.fromkeys(_OF_A_RUN) | scores | name
                )
    return list(baseline_rows.values())


def _score_columns(scores: Scores, metric: str) -> JsonObject:
    return dict(
        score=value_of(dict(scores), metric),
        interval=scores.get(f"{metric}_interval"),
        rmse=None if mixes_units("rmse", scores) else scores.get("rmse"),
        targets={
            target: error
            for target, errors in (scores.get("targets") or {}).items()
            if (error := errors.get("mae")) is not None
        },
        **_in_units(scores),
    )


def _in_units(scores: Scores) -> JsonObject:
    """Return `mae` and `wape` of forecasts of one target (see `kzoo.training.scores.forecasts`); else None."""
    own = (scores.get("simple_forecasts") or {}).get("forecast") or {}
    return dict(mae=own.get("mae"), wape=own.get("wape"))


def _group(run: Run | Search) -> tuple[Any, ...]:
    """Return the key of the group of a run: data, task and quantiles; of a search also its objective and folds."""
    if isinstance(run, Search):
        data = run.request.data
        levels = data.get("options", {}).get("quantiles")
        return (
            data["fingerprint"],
            data["task"],
            tuple(levels or ()),
            run.objective,
            run.request.folds,
        )
    levels = run.config["spec"]["config"].get("quantiles")
    return run.config["data"]["fingerprint"], run.config["data"]["task"], tuple(levels or ())


def find_runs(paths: Runs) -> list[Run]:
    """Return the runs that paths, folders of runs and patterns name, each once.

    Args:
        paths: a path, a `Run`, or several.

    Raises:
        KzooError: a path without a run, or a search.
    """
    runs = []
    for run in find_runs_and_searches(paths):
        if isinstance(run, Search):
            raise KzooError(f"{run.path} is a search, not a run: {run_of_search(run.path)}.")
        runs.append(run)
    return runs


def find_runs_and_searches(paths: Runs) -> list[Run | Search]:
    """Return the same with searches."""
    runs: dict[str, Run | Search] = {}
    for path in paths if isinstance(paths, list | tuple | set) else [paths]:
        for run in [path] if isinstance(path, Run | Search) else _runs_at(path):  # type: ignore[arg-type]  # a path
            runs.setdefault(os.path.abspath(run.path), run)
    if not runs:
        raise KzooError("No runs to compare. kzoo.train writes a run.")
    return list(runs.values())


def _runs_at(path: str | os.PathLike[str]) -> list[Run | Search]:
    if isinstance(path, str) and has_magic(path) and not os.path.exists(path):
        runs = [run for match in sorted(glob(path)) for run in _runs_below(Path(match))]
    elif (
        isinstance(path, str | os.PathLike)
        and os.path.isdir(path)
        and not (Path(path) / "config.json").is_file()
    ):
        runs = [Search(path)] if is_search(path) else _runs_below(Path(path))
    else:
        runs = [Run(path)]
        assert runs[0].config  # raises KzooError for a damaged run
    if not runs:
        raise KzooError(f"{path} contains no run. kzoo.train writes a run.")
    return runs


def _runs_below(folder: Path) -> list[Run | Search]:
    """Return the readable runs in and below a folder; other files are ignored."""
    if is_search(folder):
        return [Search(folder)]
    runs: list[Run | Search] = []
    for path, _, files in os.walk(folder):  # os.walk skips folders that cannot be read
        for name in ("config.json", "search.json"):
            if name in files and not os.path.basename(path).startswith("."):
                runs.append((Run if name == "config.json" else Search)(path))
    runs.sort(key=lambda run: run.path)
    return [run for run in runs if _is_readable(run)]


def _is_readable(run: Run | Search) -> bool:
    try:
        return bool(run.config)
    except KzooError:
        return False


def _short_names(runs: Sequence[Run | Search]) -> list[str]:
    """Return the paths relative to their common folder; of runs at an address, the address."""
    addresses = [getattr(run.path, "address", None) for run in runs]
    paths = [Path(os.path.abspath(run.path)) for run in runs]
    local = [path for path, address in zip(paths, addresses, strict=True) if address is None]
    base = os.path.commonpath([path.parent for path in local]) if local else ""
    return [
        path.relative_to(base).as_posix() if address is None else str(address)
        for path, address in zip(paths, addresses, strict=True)
    ]


def _shared_objective(
    group: Sequence[tuple[Run | Search, str]], metric: str | None = None
) -> Objective | None:
    """Return the score that decides for all runs and that all have, with its direction; None without one.

    Args:
        group: pairs (run, name).
        metric: its name, if the user has chosen it.
    """
    runs = [run for run, _ in group if isinstance(run, Run)]
    scores = [
        run.summary.get("test") or run.summary.get("validation") or {}
        for run in runs
        if run.finished
    ]
    candidates = [deciding(run.config["spec"]["training"]) for run in runs]
    if metric is not None:
        return next((score for each in candidates for score in each if score == metric), None)
    first = candidates[0][0] if candidates and candidates[0] else None
    is_shared = len(runs) == len(group) and all(each[:1] == [first] for each in candidates)
    return (
        first
        if first and is_shared and all(value_of(split, first) is not None for split in scores)
        else None
    )


def _shared_metric(group: Sequence[tuple[Run | Search, str]]) -> str | None:
    """Return the primary score of the task if not all runs have the score that replaces it, as in older versions."""
    runs = [run for run, _ in group if isinstance(run, Run) and run.finished]
    scored = [
        scores
        for run in runs
        if (scores := run.summary.get("test") or run.summary.get("validation"))
    ]
    if not scored:
        return None
    shared = problem(runs[0].config["data"]["task"])
    metrics = {displayed_metric(shared.headline, scores, shared.task) for scores in scored}
    return shared.headline if len(metrics) > 1 else None


def _row(run: Run | Search, name: str, metric: str | None) -> JsonObject:
    if isinstance(run, Search):
        return _row_of_search(run, name, metric)
    config = run.config
    summary = run.summary if run.finished else {}
    task = config["data"]["task"]
    split = next((s for s in ("test", "validation") if summary.get(s)), None)
    scores = summary[split] if split else {}
    if metric is None:
        metric = deciding_score({}, scores, problem(task))
    if scores and value_of(scores, metric) is None and metric not in scores:
        raise KzooError(
            f"{run.path} ({task}) has no {metric!r} score. {hint(metric, _numbers(scores))}Its scores are: "
            f"{', '.join(_numbers(scores))}."
        )
    return dict(
        run=name,
        path=str(run.path),
        preset=config["spec"]["preset"],
        data=config["data"]["name"],
        task=task,
        metric=metric,
        split=split,
        **_score_columns(scores, metric),
        validation=value_of(summary.get("validation") or {}, metric),
        relative_mae=scores.get("relative_mae"),
        parameters=summary.get("parameters"),
        best_epoch=summary.get("best_epoch"),
        epochs=summary.get("epochs") if run.finished else _epochs_done(run),
        trials=None,
        seconds=summary.get("seconds"),
        samples_per_second=summary.get("samples_per_second"),
        date=config.get("created", "")[:10],
        finished=run.finished,
        interrupted=bool(summary.get("interrupted")),
        baseline=False,
    )


def _epochs_done(run: Run) -> int:
    try:
        return len(next(iter(run.history.values()), ()))
    except KzooError:
        return 0


def _row_of_search(search: Search, name: str, metric: str | None) -> JsonObject:
    request = search.request
    objective = search.objective.name.removeprefix("val_")
    if metric not in (None, objective, search.objective.name):
        raise KzooError(
            f"{search.path} is a search for {objective!r}, not {metric!r}. Retrain its winner."
        )
    trials = search.trials
    best = best_of(trials, search.objective)
    return dict(
        run=name,
        path=str(search.path),
        preset=request.spec["preset"],
        data=request.data["name"],
        task=request.data["task"],
        metric=Objective(objective, best="max" if search.objective.sign > 0 else "min"),
        split=f"{request.folds} folds" if request.folds else "validation",
        score=best and best.score,
        interval=None,
        validation=None,
        rmse=None,
        relative_mae=None,
        targets={},
        **_in_units({}),
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


def _numbers(scores: Scores) -> list[str]:
    return [name for name, value in scores.items() if isinstance(value, float)]


def advantage(new: float, old: float, metric: str) -> float:
    """Return the difference of two scores, above 0 if `new` is better than `old`."""
    return old - new if lower_is_better(metric) else new - old


def lower_is_better(metric: str) -> bool:
    """Return whether smaller scores are better: of an `Objective`, or of a name."""
    score_type = metric if isinstance(metric, Objective) else score_named(metric)
    return score_type is not None and score_type.best == "min"


def _sort_key(row: JsonObject) -> tuple[bool, float]:
    return row["score"] is None, -advantage(row["score"] or 0, 0, row["metric"])


def _settings(run: Run | Search) -> JsonObject:
    if isinstance(run, Search):
        return _settings_of_search(run)
    spec = run.config["spec"]
    of_training = {
        name: run.config.get(name)
        for name in ("weights", "freeze", "precision", "backend", "devices")
    }
    seeds = {} if spec.get("seed") is None else {"seed": spec["seed"]}
    return spec["config"] | spec["training"] | of_training | seeds


def _settings_of_search(search: Search) -> JsonObject:
    """Return the settings of a search and of its best trial."""
    request = search.request
    search_settings = dict(
        engine=request.engine, space=request.space.get("size"), search_seed=request.seed
    )
    best = best_of(search.trials, search.objective)
    if best is None:
        return search_settings
    spec = search.spec_of(best)
    hyperparameters = (
        best.hyperparameters if request.has_custom_models else {}
    )  # of a user's function: its settings have no others
    return (
        search_settings
        | spec["config"]
        | spec["training"]
        | hyperparameters
        | dict(seed=spec["seed"])
    )


def _differing(settings: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the settings of each run that differ between the runs that have them."""
    names = dict.fromkeys(name for of_run in settings for name in of_run)
    differ = [
        name
        for name in names
        if len({repr(of_run[name]) for of_run in settings if name in of_run}) > 1
    ]
    return [{name: of_run[name] for name in differ if name in of_run} for of_run in settings]
