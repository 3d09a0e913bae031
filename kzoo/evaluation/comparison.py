"""`compare_runs`: compare two runs on the same held-out data, with a test of paired predictions."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.reload import reload
from kzoo.data.sample import sample_split
from kzoo.data.store.windows import Windows
from kzoo.inference.postprocessors.decision import scoring_arguments
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.problems.objectives import deciding
from kzoo.problems.tasks import Judged
from kzoo.training.score import run_gives_logits, score_split
from kzoo.tuning.ranking import advantage
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed
from kzoo.zoo.results import value_of
from kzoo.zoo.run import Run


def compare_runs(
    new: Run | str | os.PathLike[str],
    old: Run | str | os.PathLike[str],
    data: "Loadable | None",
    *,
    target: str | Sequence[str] | None = None,
    metric: str | None = None,
) -> JsonObject:
    """Score two runs on the same data and test the difference.

    Args:
        new, old: runs or their paths.
        data: held-out data that neither run was trained on: anything that `kzoo.evaluate` takes for both.
        target: the target column of a table.
        metric: a score; the default is the one that decides for both runs (see `kzoo.compare`), else the task's primary
            score.

    Returns:
        `metric`; `new` and `old`, the scores, in which standardised errors are divided by the standard deviations of
        the old run's training targets; `difference` (new - old); `advantage` (the same, but positive if new is better);
        `test`. For classes, `test` is McNemar's exact test of the examples that only one run predicts correctly
        (doi:10.1007/BF02295996). For values, it is the 95 % bootstrap interval of the difference of the mean error per
        row. For forecasts, it is an interval over pairs of windows: those that begin within one horizon, of all series,
        count as one observation, since they forecast the same steps (`moments` is the number of these). For labels, it
        is the bootstrap interval of the difference of the mean F1. It is None for language models, and for forecasts
        from a single moment.

    Raises:
        KzooError: data that does not fit one of the runs, runs with different tasks, targets or horizons, or an unknown
            metric.
    """
    # 1. Load the same data for both runs.
    runs = [run if isinstance(run, Run) else Run(run) for run in (new, old)]
    tasks = [run.data.task for run in runs]
    if tasks[0] != tasks[1]:
        raise KzooError(
            f"Cannot compare runs of different tasks ({runs[0].path}: {tasks[0]}, {runs[1].path}: {tasks[1]})."
        )
    levels = [run.spec.config.get("quantiles") for run in runs]
    if levels[0] != levels[1]:
        raise KzooError(
            f"Cannot compare runs of different quantiles ({runs[0].path}: {levels[0]}, {runs[1].path}: {levels[1]})."
        )
    decides = [deciding(run.spec.training)[:1] for run in runs]
    metric = metric or (
        decides[0][0] if decides[0] and decides[0] == decides[1] else runs[0].problem.headline
    )
    loaded = [reload(run, data, target=target) for run in runs]
    if loaded[0].fingerprint != loaded[1].fingerprint:
        raise KzooError(
            f"{runs[0].path} and {runs[1].path} split {loaded[0].name} differently, so one may have been trained on "
            "test rows of the other: pass data that neither has seen, as a file or folder."
        )
    names = [part.target_names for part in loaded]
    if target is None and names[0] != names[1]:
        raise KzooError(
            f"Cannot compare runs with different targets ({runs[0].path}: {listed(names[0])}, {runs[1].path}: "
            f"{listed(names[1])})."
        )
    # 2. Score. Standardise the errors of both runs by the same scale, that of the old run's training targets.
    old_scale = {
        name: scale
        for name, scale in loaded[1].config.items()
        if name in ("target_scale", "target_offset")
    }
    loaded[0] = replace(loaded[0], config=loaded[0].config | old_scale)
    (scores, errors, pair), (old_scores, old_errors, old_pair) = (
        score_run(run, part, metric) for run, part in zip(runs, loaded, strict=True)
    )
    truth, old_truth = pair[0], old_pair[0]
    primary: list[Any] = [value_of(run_scores, metric) for run_scores in (scores, old_scores)]
    if None in primary:
        available = ", ".join(name for name, number in scores.items() if isinstance(number, float))
        raise KzooError(
            f"is not available for this data. Use one of: {available}.",
            argument="metric",
            value=metric,
        )
    for unit in ("examples", "tokens"):
        if scores.get(unit) != old_scores.get(unit):
            raise KzooError(
                f"The runs read different numbers of {unit} from this data, so their scores are not comparable "
                f"({runs[0].path}: {scores[unit]}, {runs[1].path}: {old_scores[unit]})."
            )
    if errors is not None and errors.right is None and not np.array_equal(truth, old_truth):
        shapes = [" x ".join(map(str, np.shape(array))) for array in (truth, old_truth)]
        raise KzooError(
            "The runs predict different values of this data, so their scores are not comparable (shapes: "
            f"{runs[0].path}: {shapes[0]}, {runs[1].path}: {shapes[1]})."
        )
    # 3. Test the difference.
    scored = sample_split(loaded[0].test)
    assert scored is not None
    weight = scored.weight
    paired = getattr(runs[0].problem.task.scoring, "paired", None)
    if paired is not None:
        test = paired(truth, pair[1:], old_pair[1:], metric)
    elif errors is None:
        test = None
    elif weight is not None:
        test = _weighted_bootstrap(errors, old_errors, weight.astype("float64"))
    elif errors.right is not None:
        test = mcnemar(errors.right, old_errors.right)
    elif runs[0].problem.ordered:
        test = _over_moments(errors.error - old_errors.error, errors.of, scored.y)
    else:
        test = _bootstrap(errors.error - old_errors.error, errors.of)
    return dict(
        metric=metric,
        new=scores,
        old=old_scores,
        difference=primary[0] - primary[1],
        advantage=advantage(primary[0], primary[1], metric),
        test=test,
    )


def score_run(run: Run, loaded: Dataset, metric: str) -> tuple[dict[str, Any], Any, Any]:
    """Return (scores, per-example errors, (truth, predictions, target)).

    The errors, truth and predictions are None for tasks whose predictions are not kept.
    """
    if loaded.test is None:
        raise KzooError(f"{loaded.name} has no test split.")
    steps = Postprocessor.read(run.postprocessing)
    settings = run.spec.training
    scored = score_split(
        run.model,
        loaded.test,
        loaded,
        logits=run_gives_logits(run),
        postprocessor=steps,
        settings=settings,
    )
    if scored.answers is None:
        return scored.scores, None, (None, None, None)
    target, options = scoring_arguments(settings, loaded, steps)
    errors = loaded.problem.task.scoring.judge(
        scored.truth, scored.answers, target, metric=metric, **options
    )
    return scored.scores, errors, (scored.truth, scored.answers, target)


def mcnemar(new_correct: np.ndarray, old_correct: np.ndarray) -> JsonObject:
    """Return McNemar's exact test of paired predictions.

    Args:
        new_correct, old_correct: (N,) booleans: whether the new and the old run predict each row correctly.
    """
    only_new = int((new_correct & ~old_correct).sum())
    only_old = int((old_correct & ~new_correct).sum())
    p = stats.binomtest(only_new, only_new + only_old).pvalue if only_new + only_old else 1.0
    return dict(
        name="McNemar's exact test",
        only_new_right=only_new,
        only_old_right=only_old,
        p_value=float(p),
    )


def _weighted_bootstrap(errors: Judged, old_errors: Judged, weight: np.ndarray) -> JsonObject:
    """Return the paired bootstrap of weighted errors; of classes, of the share of wrong predictions."""
    if errors.right is None:
        differences = errors.error - old_errors.error
        name = errors.of
    else:
        differences = old_errors.right.astype("float64") - errors.right
        name = "error rate"
    return _bootstrap(differences * (weight / weight.mean()), name)


def clustered_mean(values: np.ndarray, groups: np.ndarray) -> tuple[float, float, int]:
    """Return the mean of values, its standard error for groups of dependent values, and the number of groups.

    The error is that of a ratio of sums over groups; it is infinite for a single group.

    Args:
        values: (N,).
        groups: (N,) the group of each value.
    """
    _, members = np.unique(groups, return_inverse=True)
    mean = float(values.mean())
    count = int(members.max()) + 1
    if count < 2:
        return mean, float("inf"), count
    sums = np.bincount(members.reshape(-1), values - mean) / len(values)
    return mean, float(np.sqrt(count / (count - 1) * (sums**2).sum())), count


def _over_moments(differences: np.ndarray, error_name: str, windows: object) -> JsonObject | None:
    """Return the paired interval of the differences (N,) of forecasts, whose windows overlap; None with one moment.

    Windows that begin within one horizon are a cluster. The interval is that of Student (see `clustered_mean`).

    Args:
        differences: new - old error of each window.
        error_name: of the error.
        windows: the targets, `Windows`; None is returned for other arrays.
    """
    if not isinstance(windows, Windows):
        return None
    mean, error, count = clustered_mean(
        differences, (windows.moments - windows.moments.min()) // windows.length
    )
    if count < 2:
        return None
    half = float(stats.t.ppf(0.975, count - 1)) * error
    return dict(
        name=f"pairs of windows from {count} moments, a horizon apart",
        of=error_name,
        difference=mean,
        interval=[mean - half, mean + half],
        moments=count,
    )


def _bootstrap(differences: np.ndarray, error_name: str) -> JsonObject:
    interval = [float(differences[0])] * 2
    if len(differences) > 1:
        bootstrap = stats.bootstrap(
            (differences,),
            np.mean,
            batch=100,
            method="percentile",
            random_state=np.random.default_rng(0),
        )
        interval = [float(bound) for bound in bootstrap.confidence_interval]
    return dict(
        name="paired bootstrap",
        of=error_name,
        difference=float(differences.mean()),
        interval=interval,
    )
