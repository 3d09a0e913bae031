"""`score`: every baseline that has a meaning for some data, on the very same split as a network."""

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from threadpoolctl import threadpool_limits

from kzoo.baselines.baseline import Baseline, Result, Unfit, list_baselines
from kzoo.baselines.data import BaselineData, metric_of
from kzoo.data.load import load_data
from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.sample import with_samples
from kzoo.tasks import score_named
from kzoo.utils.argument_checks import checked_arguments, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import duration, hint, shown

if TYPE_CHECKING:
    from kzoo.dataset.dataset import Loadable

_LONGEST = 30.0  # seconds of one baseline where nobody says how long: it takes as many training rows as that allows
_FEWEST = 1_000  # training rows, with fewer of which it would say nothing of the data


@checked_arguments
def score(
    data: "Loadable",
    *,
    names: str | Sequence[str] | None = None,
    split: Literal["validation", "test"] | None = None,
    seconds: float | None = None,
    seed: int = 0,
    **options: Any,
) -> list[Result]:
    """Score the simplest things that work on data.

    Each learns from the training split, makes its choices on the validation split, and answers one split once, which
    the task's own scoring scores. The same seed gives the same scores.

    Args:
        data: a `Dataset`, or anything that `kzoo.load_data` takes.
        names: of the baselines (see `kzoo.baselines.list_baselines`); all that have a meaning for the data by default.
        split: "validation" or "test"; the default is the test split, or the validation split where there is no other.
        seconds: about how long each of them may take, by an estimate; half a minute by default. One that would take
            longer learns from fewer rows, and its notes say from how many; one that takes longer even with a thousand
            of them is left out.
        seed: of what they draw.
        options: `target`, `preset`, `test` and so on, as `kzoo.load_data` takes them.

    Returns:
        A `Result` each, the best first by the score that counts for the task; then those that were not computed, whose
        `notes` say why.

    Raises:
        KzooError: no such baseline or split, or what `kzoo.load_data` refuses.
    """
    seed = checked_seed("seed", seed)
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0):
        raise KzooError(f"seconds={shown(seconds)} must be a number of at least 0, or None.")
    if isinstance(data, Dataset) and options:
        raise KzooError(f"{next(iter(options))}= says how data is loaded, and this is a Dataset: give it to load_data.")
    data = with_samples(data if isinstance(data, Dataset) else load_data(data, **options))
    chosen, part = _chosen(data, names), _part(data, split)
    costs = {one.name: one.seconds(BaselineData(data)) for one in chosen}
    allowed, results = _LONGEST if seconds is None else seconds, []
    shared: dict[Any, Any] = {}
    for one in sorted(chosen, key=lambda one: costs[one.name]):
        most = _most_rows(one, data, costs[one.name], allowed)
        if most is None:
            why = f"left out: it takes about {duration(costs[one.name])}"
            results.append(_result(one, data, part, notes=(why,)))
            continue
        results.append(
            _scored(one, data, part, BaselineData(data, seed=seed, most=most, logits=one.logits, shared=shared))
        )
    return sorted(results, key=_place)


def _most_rows(one: Baseline, data: Dataset, cost: float, allowed: float) -> int | None:
    """Return from how many training rows a baseline learns in the time allowed; None where there is too little for any.

    Args:
        cost: seconds that it takes with all of them; what some of them take lies on a straight line between.
    """
    count = len(data.train)
    if cost <= allowed:
        return count
    least = cost if count <= _FEWEST else one.seconds(BaselineData(data, most=_FEWEST))
    if not least <= allowed:
        return None
    return int(_FEWEST + (count - _FEWEST) * (allowed - least) / (cost - least))


def _chosen(data: Dataset, names: str | Sequence[str] | None) -> list[Baseline]:
    known = {one.name: one for one in list_baselines(data.problem)}
    if names is None:
        return list(known.values())
    if not isinstance(names, str | list | tuple):
        raise KzooError(f"names={shown(names)} must be a name, a list of names, or None.")
    names = [names] if isinstance(names, str) else list(dict.fromkeys(map(str, names)))
    for name in names:
        if name not in known:
            raise KzooError(f"No baseline {name!r} for {data.task}. {hint(name, known)}Use: {', '.join(known)}.")
    return [known[name] for name in names]


def _part(data: Dataset, split: str | None) -> str:
    if split is not None and split not in ("validation", "test"):
        raise KzooError(f"split={split!r} must be validation or test.")
    there = [name for name in ("test", "validation") if getattr(data, name) is not None and len(getattr(data, name))]
    if split is not None and split not in there:
        raise KzooError(f"{data.name} has no {split} split.")
    if not there:
        raise KzooError(f"{data.name} has neither a test nor a validation split to score anything on.")
    return split or there[0]


def _scored(one: Baseline, data: Dataset, name: str, given: BaselineData) -> Result:
    began = time.perf_counter()
    part: Split = getattr(data, name)
    try:
        # On one core, as it was estimated: where others are at work, threads wait for each other longer than they help.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not converged is one that its note need not excuse
            scores = given.scores(one.function(given), part)
    except Unfit as why:
        return _result(one, data, name, notes=(f"left out: {why}",))
    seconds = round(time.perf_counter() - began, 3)
    rows = len(given.train) if len(given.train) < len(data.train) else None
    return _result(one, data, name, scores=scores, seconds=seconds, notes=tuple(given.notes), rows=rows)


def _result(
    one: Baseline, data: Dataset, split: str, *, scores: Any = None, seconds: float = 0.0, notes: tuple[str, ...] = (),
    rows: int | None = None,
) -> Result:  # fmt: skip
    return Result(
        name=one.name, label=one.label, reference=one.reference, split=split,
        metric=metric_of(data, scores or {}), scores=scores or {}, seconds=seconds, notes=notes, rows=rows,
    )  # fmt: skip


def _place(result: Result) -> tuple[bool, float]:
    known, value = score_named(result.metric), result.value
    if value is None:
        return True, 0.0
    return False, value if known is not None and known.best == "min" else -value
