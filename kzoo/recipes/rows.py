"""Rows of the table of a recipe: of a run, a search, or variants. Standard library only."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    from kzoo.data.dataset import Loadable
    from kzoo.problems.stored_types import Scores
    from kzoo.tuning.search import Search


def run_row(run: Run, scores: "Scores", *names: str) -> JsonObject:
    """Return the row of a run: preset, data, the named scores, parameters, epochs, seconds.

    Args:
        run: a finished run.
        scores: the result of `kzoo.evaluate`.
        names: of the scores that the row has.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> list(kzoo.recipes.run_row(run, kzoo.evaluate(run), "accuracy"))
        ['preset', 'data', 'accuracy', 'examples', 'parameters', 'epochs', 'seconds']
    """
    row = dict(preset=run.spec.preset, data=run.data.name)
    row |= {name: scores[name] for name in (*names, "examples")}
    return row | {name: run.summary[name] for name in ("parameters", "epochs", "seconds")}


def search_rows(
    search: "Search", data: "Loadable | None", metric: str, *, folder: str | os.PathLike[str]
) -> list[dict[str, Any]]:
    """Retrain the preset and the winner of a search, score both on the test split, and return a row for each.

    Args:
        search: a finished `Search` whose trial 0 is the preset.
        data: the data of the search.
        metric: a score, such as "accuracy".
        folder: the folder of the runs `preset` and `winner`.

    Examples:
        >>> search = kzoo.Search("searches/iris")
        >>> rows = kzoo.recipes.search_rows(search, "iris", "accuracy", folder="runs/retrained")
        >>> rows[0]["settings"], list(rows[0])[:4]
        ('preset', ['settings', 'trial', 'validation', 'test_accuracy'])
    """
    rows = []
    best = search.best_trial()
    for label, trial in (("preset", search.trials[0]), ("winner", best)):
        if label == "winner" and best.baseline:
            continue  # the preset is the winner
        run = search.retrain(data, trial=trial.number, out=Path(folder) / label, progress=False)
        scores = run.summary["test"]
        low, high = scores.get(f"{metric}_interval") or (None, None)
        row = dict(settings=label, trial=trial.number, validation=trial.score) | {
            f"test_{metric}": scores[metric]
        }
        row |= dict(
            low=low, high=high, parameters=run.summary["parameters"], epochs=run.summary["epochs"]
        )
        rows.append(row | dict(seconds_of_search=round(sum(t.seconds for t in search.trials), 1)))
    return rows


def variant_rows(
    runs: Mapping[str, Sequence[Run]], metric: str = "accuracy"
) -> list[dict[str, Any]]:
    """Return a row for each variant: mean and standard deviation of a test score over the seeds, epochs, seconds.

    Args:
        runs: the result of `train_variants`.
        metric: a score of `kzoo.evaluate`.

    Raises:
        KzooError: the runs do not have this score.

    Examples:
        >>> variants = {"narrow": {"units": (8,)}, "wide": {"units": (64,)}}
        >>> runs = kzoo.recipes.train_variants("iris_fnn", "iris", variants, out="runs/variants", epochs=2)
        >>> rows = kzoo.recipes.variant_rows(runs)
        >>> [row["variant"] for row in rows], list(rows[0])
        (['narrow', 'wide'], ['variant', 'accuracy', 'sd', 'seeds', 'epochs', 'seconds'])
    """
    rows = []
    for name, group in runs.items():
        scores = [run.summary["test"] for run in group]
        if metric not in scores[0]:
            raise KzooError(
                f"is not a score of these runs. Use one of: {', '.join(scores[0])}.",
                argument="metric",
                value=metric,
            )
        metric_values = [score[metric] for score in scores]
        row = {
            "variant": name,
            metric: mean(metric_values),
            "sd": stdev(metric_values) if len(metric_values) > 1 else None,
        }
        row |= {"seeds": len(group), "epochs": mean(run.summary["epochs"] for run in group)}
        rows.append(row | {"seconds": round(mean(run.summary["seconds"] for run in group), 2)})
    return rows
