"""`score`: the scores of all baselines that suit some data, on the same split as a network."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from threadpoolctl import threadpool_limits

from kzoo.baselines.baseline import Baseline, Result, Unfit, list_baselines
from kzoo.baselines.data import BaselineData, as_asked, metric_of, scores_side_by_side
from kzoo.data.dataset import Dataset, Split
from kzoo.data.load import load_data
from kzoo.data.sample import sample_dataset
from kzoo.problems.objectives import Objective
from kzoo.problems.stored_types import Scores, TrainingSettings
from kzoo.utils.argument_checks import checked_arguments, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import duration, hint

if TYPE_CHECKING:
    from kzoo.data.dataset import Loadable

LONGEST = 30.0  # default seconds of one baseline, which uses as many training rows as this allows
_FEWEST = 1_000  # training rows below which a score would not be meaningful


@checked_arguments
def score(
    data: "Loadable",
    *,
    names: str | Sequence[str] | None = None,
    split: Literal["validation", "test"] | None = None,
    seconds: float | None = None,
    seed: int = 0,
    settings: TrainingSettings | None = None,
    **options: Any,
) -> list[Result]:
    """Score baselines on data.

    Each baseline learns from the training split, makes its choices on the validation split, and predicts the scored
    split once. The scores are those of the task. The same seed gives the same scores.

    Args:
        data: a `Dataset`, or anything that `kzoo.load_data` takes.
        names: of the baselines (see `kzoo.baselines.list_baselines`); the default is all that suit the data.
        split: "validation" or "test"; the default is the test split, or the validation split if there is no test split.
        seconds: the estimated seconds that each baseline may take; the default is half a minute. One that would take
            longer learns from fewer rows, and its notes state how many; one that takes longer even with a thousand rows
            is skipped.
        seed: of random draws.
        settings: training settings (`Run.spec.training`): their objective, decision and costs are scored too and say
            which baseline is best; each baseline learns a threshold of its own.
        options: `target`, `preset`, `test` and so on, as `kzoo.load_data` takes them.

    Returns:
        A `Result` for each baseline, best score first (the primary score, unless `settings` decide); then those that
        were not computed, with the reason in `notes`.

    Raises:
        KzooError: an unknown baseline or split, or anything that `kzoo.load_data` refuses.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> results = kzoo.baselines.score(data, names=["majority", "trees"])
        >>> [(result.name, result.value > 0.5) for result in results]
        [('trees', True), ('majority', True)]
    """
    seed = checked_seed("seed", seed)
    checked_seconds(seconds)
    if isinstance(data, Dataset) and options:
        raise KzooError(
            f"{next(iter(options))}= is an option of load_data, but a Dataset is already loaded: pass it to load_data."
        )
    data = sample_dataset(data if isinstance(data, Dataset) else load_data(data, **options))
    selected, scored_split = select(data, names), _scored_split(data, split)
    read = {candidate.name: as_asked(candidate, data) for candidate in selected}
    costs = {
        candidate.name: candidate.seconds(BaselineData(read[candidate.name]))
        for candidate in selected
    }
    allowed = LONGEST if seconds is None else seconds
    results = []
    shared: dict[Any, Any] = {}
    for candidate in sorted(selected, key=lambda candidate: costs[candidate.name]):
        own = read[candidate.name]
        rows = most_rows(candidate, own, costs[candidate.name], allowed)
        if rows is None:
            note = f"left out: it takes about {duration(costs[candidate.name])}"
            results.append(_result(candidate, data, scored_split, notes=(note,)))
            continue
        results.append(
            _score_baseline(
                candidate,
                own,
                scored_split,
                BaselineData(
                    own,
                    seed=seed,
                    most=rows,
                    logits=candidate.logits,
                    shared=shared if own is data else {},
                    settings=settings,
                ),
            )
        )
    return _ranked(results, data, settings)


def checked_seconds(seconds: float | None) -> None:
    """Raise `KzooError` unless it is a number >= 0 or None."""
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0
    ):
        raise KzooError("must be a number >= 0, or None.", argument="seconds", value=seconds)


def most_rows(candidate: Baseline, data: Dataset, cost: float, allowed: float) -> int | None:
    """Return the number of training rows that a baseline can learn from in the time allowed; None if too few.

    Args:
        cost: seconds that it takes with all rows; the time for fewer rows is interpolated linearly.
    """
    count = len(data.train)
    if cost <= allowed:
        return count
    least = cost if count <= _FEWEST else candidate.seconds(BaselineData(data, most=_FEWEST))
    if not least <= allowed:
        return None
    return int(_FEWEST + (count - _FEWEST) * (allowed - least) / (cost - least))


def select(data: Dataset, names: str | Sequence[str] | None) -> list[Baseline]:
    """Return the baselines with these names, or all that suit the data.

    Raises:
        KzooError: an unknown name, or one that does not suit the data.
    """
    available = {
        candidate.name: candidate
        for candidate in list_baselines(data.problem)
        if not candidate.setting or data.config.get(candidate.setting)
    }
    if names is None:
        return list(available.values())
    if not isinstance(names, str | list | tuple):
        raise KzooError("must be a name, a list of names, or None.", argument="names", value=names)
    names = [names] if isinstance(names, str) else list(dict.fromkeys(map(str, names)))
    for name in names:
        if name not in available:
            raise KzooError(
                f"Unknown baseline {name!r} for {data.task}. {hint(name, available)}"
                f"Use one of: {', '.join(available)}.",
                value=name,
            )
    return [available[name] for name in names]


def _scored_split(data: Dataset, split: str | None) -> str:
    if split is not None and split not in ("validation", "test"):
        raise KzooError("must be validation or test.", argument="split", value=split)
    available = [
        name
        for name in ("test", "validation")
        if getattr(data, name) is not None and len(getattr(data, name))
    ]
    if split is not None and split not in available:
        raise KzooError(f"{data.name} has no {split} split.")
    if not available:
        raise KzooError(
            f"{data.name} has neither a test nor a validation split to score baselines on."
        )
    return split or available[0]


def _score_baseline(candidate: Baseline, data: Dataset, split: str, subset: BaselineData) -> Result:
    start = time.perf_counter()
    part: Split = getattr(data, split)
    try:
        # On one core, as estimated: on a busy machine, waiting for other threads costs more than they save.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not converged is still a baseline
            predictor = candidate.predictor(subset)
            scores = subset.final_scores(predictor, part)
    except Unfit as reason:
        return _result(candidate, data, split, notes=(f"left out: {reason}",))
    seconds = round(time.perf_counter() - start, 3)
    rows = len(subset.train) if len(subset.train) < len(data.train) else None
    return _result(
        candidate, data, split, scores=scores, seconds=seconds, notes=tuple(subset.notes), rows=rows
    )


def _result(
    candidate: Baseline,
    data: Dataset,
    split: str,
    *,
    scores: Scores | None = None,
    seconds: float = 0.0,
    notes: tuple[str, ...] = (),
    rows: int | None = None,
) -> Result:
    return Result(
        name=candidate.name,
        label=candidate.label,
        reference=candidate.reference,
        split=split,
        metric=Objective(""),
        scores=scores or {},
        seconds=seconds,
        notes=notes,
        rows=rows,
    )


def _ranked(
    results: Sequence[Result], data: Dataset, settings: TrainingSettings | None
) -> list[Result]:
    """Return results with the score that decides, best first; those that lack it last, with a note."""
    computed = {
        name: value for each in results for name, value in each.scores.items() if value is not None
    }
    metric = metric_of(data, computed, settings)
    missing = f"no {metric.replace('_', ' ')}: its outputs are not probabilities"
    shown = scores_side_by_side(data, metric)
    ranked = [replace(each, metric=metric, shown=shown) for each in results]
    ranked = [
        replace(each, notes=(missing, *each.notes)) if each.scores and each.value is None else each
        for each in ranked
    ]
    sign = 1 if metric.best == "min" else -1
    return sorted(
        ranked, key=lambda each: (True, 0.0) if each.value is None else (False, sign * each.value)
    )
