"""`versus`: two runs on the same held-out data, answer by answer."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from kzoo.data.reload import reload
from kzoo.dataset.dataset import Dataset, Loadable
from kzoo.postprocessors.postprocessor import Postprocessor
from kzoo.ranking import advantage
from kzoo.results import value_of
from kzoo.run import Run
from kzoo.training.score import run_gives_logits, score_split
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed


def compare_runs(
    new: Run | str | os.PathLike[str],
    old: Run | str | os.PathLike[str],
    data: "Loadable | None",
    *,
    target: str | Sequence[str] | None = None,
    metric: str | None = None,
) -> dict[str, Any]:
    """Score two runs on the same data and test the difference.

    Args:
        new, old: runs or their paths.
        data: held-out data that neither was trained on: anything that `kzoo.evaluate` takes for both.
        target: the target column of a table.
        metric: a score; the default is the task's (see `kzoo.compare`).

    Returns:
        `metric`; `new` and `old`, the scores, of which those that are standardised are so by the spread of the old
        run's training; `difference` (new - old), `advantage` (the same, positive where new is better) and `test`.
        Classes: McNemar's exact test of the answers that only one of them has right (doi:10.1007/BF02295996). Values:
        the 95 % bootstrap interval of the difference of the mean error per row; rows of forecasts overlap, which makes
        it too narrow. None for language models.

    Raises:
        KzooError: data that does not fit one of them, runs of two tasks, targets or horizons, or a metric that does not
            exist.
    """
    runs = [run if isinstance(run, Run) else Run(run) for run in (new, old)]
    tasks = [run.data.task for run in runs]
    if tasks[0] != tasks[1]:
        raise KzooError(f"{runs[0].path} is for {tasks[0]} and {runs[1].path} for {tasks[1]}: not comparable.")
    metric = metric or runs[0].problem.headline
    loaded = [reload(run, data, target=target) for run in runs]
    if loaded[0].fingerprint != loaded[1].fingerprint:
        raise KzooError(
            f"{runs[0].path} and {runs[1].path} split {loaded[0].name} differently, so one may have been trained on "
            "what tests the other: give data that neither has seen, as a file or folder."
        )
    names = [part.target_names for part in loaded]
    if target is None and names[0] != names[1]:
        raise KzooError(
            f"{runs[0].path} answers {listed(names[0])} and {runs[1].path} {listed(names[1])}: not comparable."
        )
    # One yardstick: what is standardised is so by the spread that the old run's training had.
    yard = {name: value for name, value in loaded[1].config.items() if name in ("target_scale", "target_offset")}
    loaded[0] = replace(loaded[0], config=loaded[0].config | yard)
    (scores, judged, truth), (old_scores, old_judged, old_truth) = (
        _answered(run, part, metric) for run, part in zip(runs, loaded, strict=True)
    )
    values: list[Any] = [value_of(s, metric) for s in (scores, old_scores)]
    if None in values:
        known = ", ".join(name for name, value in scores.items() if isinstance(value, float))
        raise KzooError(f"metric={metric!r} was not measured on this data. Use one of: {known}.")
    for unit in ("examples", "tokens"):
        if scores.get(unit) != old_scores.get(unit):
            raise KzooError(
                f"{runs[0].path} reads {scores[unit]} {unit} in this data and {runs[1].path} {old_scores[unit]}: "
                "their scores are not comparable."
            )
    if judged is not None and judged.right is None and not np.array_equal(truth, old_truth):
        shapes = [" x ".join(map(str, np.shape(each))) for each in (truth, old_truth)]
        raise KzooError(
            f"{runs[0].path} answers {shapes[0]} values of this data and {runs[1].path} {shapes[1]}, which are not the "
            "same: their scores are not comparable."
        )
    if judged is None:
        test = None
    elif judged.right is not None:
        test = mcnemar(judged.right, old_judged.right)
    else:
        test = _bootstrap(judged.error - old_judged.error, judged.of)
    return dict(
        metric=metric,
        new=scores,
        old=old_scores,
        difference=values[0] - values[1],
        advantage=advantage(values[0], values[1], metric),
        test=test,
    )


def _answered(run: Run, loaded: Dataset, metric: str) -> tuple[dict[str, Any], Any, Any]:
    """Return the scores, what is to be said of each answer, and what is true; None where answers are not kept."""
    if loaded.test is None:
        raise KzooError(f"{loaded.name} has no test split.")
    steps = Postprocessor.read(run.postprocessing)
    scored = score_split(run.model, loaded.test, loaded, logits=run_gives_logits(run), postprocessor=steps)
    if scored.answers is None:
        return scored.scores, None, None
    judged = loaded.problem.task.scoring.judge(scored.truth, scored.answers, loaded.target, metric=metric)
    return scored.scores, judged, scored.truth


def mcnemar(right: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Return McNemar's exact test of paired answers.

    Args:
        right, other: (N,) booleans: whether the first and the second has answered a row rightly.
    """
    only, only_other = int((right & ~other).sum()), int((other & ~right).sum())
    p = stats.binomtest(only, only + only_other).pvalue if only + only_other else 1.0
    return dict(name="McNemar's exact test", only_new_right=only, only_old_right=only_other, p_value=float(p))


def _bootstrap(differences: np.ndarray, of: str) -> dict[str, Any]:
    interval = [float(differences[0])] * 2
    if len(differences) > 1:
        found = stats.bootstrap(
            (differences,), np.mean, batch=100, method="percentile", random_state=np.random.default_rng(0)
        )
        interval = [float(bound) for bound in found.confidence_interval]
    return dict(name="paired bootstrap", of=of, difference=float(differences.mean()), interval=interval)
