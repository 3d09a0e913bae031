"""`auto`: choose a model for some data within a time limit, and state its lead over the best baseline."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from kzoo.auto.candidates import Candidate, reader_of_baselines
from kzoo.auto.conclusion import Conclusion
from kzoo.auto.final_fit import WINNER
from kzoo.auto.parts import Parts
from kzoo.auto.previous import options_of, previous_of
from kzoo.auto.schedule import Schedule
from kzoo.auto.scoring import PrimaryScore, baseline_answers
from kzoo.baselines.boosters import missing_boosters
from kzoo.baselines.data import BaselineData, comparison_objective, metric_of
from kzoo.baselines.fitted import fit
from kzoo.baselines.score import select
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.load import load_longer
from kzoo.data.options import DataOptions
from kzoo.data.summary import summary_line
from kzoo.data.tables.frame import as_table
from kzoo.problems.objectives import deciding
from kzoo.problems.stored_types import Spec, plain
from kzoo.training.folder import check_resume
from kzoo.training.max_time import Clock
from kzoo.training.resume import Signals
from kzoo.training.suggestions import is_usable, missing_encoder, suggestions, suggestions_of
from kzoo.training.train import print_notes
from kzoo.training.workers.pool import NullProgress, checked_threads, worker_pool
from kzoo.training.workers.worker import Worker, can_be_sent
from kzoo.tuning.folder import claimed, clear_search, stored_objective, with_provenance
from kzoo.tuning.plan import AutoPlan
from kzoo.tuning.records import End, Objective, Request
from kzoo.tuning.search import Search
from kzoo.utils.argument_checks import checked_count, checked_seed, seconds_like
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import JsonObject, read_json, write_json
from kzoo.utils.formatting import duration
from kzoo.zoo.registry import AUTO
from kzoo.zoo.results import value_of
from kzoo.zoo.run import Run

RESULT = "auto.json"
_DEFAULT_TIME = "10m"
_FEWEST_SECONDS = 20.0
# number of folds, that of short searches, and what is short in seconds
_FOLDS = 5
_FOLDS_OF_SHORT = 3
_SHORT = 150.0
# of the time: for the winner and its test scores
_FINISH_SHARE, _FINISH_SECONDS, _FINISH_MOST = 0.1, 6.0, 60.0
# of the time, for training the winner: where candidates are judged on the validation split, or for one network
_REFIT_SHARE = 0.3
_PRESETS_EACH_MINUTE = 1.0
_FEWEST_PRESETS = 2
# in the plan, behind the score
_WHY_AUC = "of two classes; --objective sets another score"


_prints_verdict: ContextVar[bool] = ContextVar("prints_verdict", default=True)


@contextmanager
def without_verdict() -> Iterator[None]:
    """Let `auto` in the block not print its result: the command line prints it to standard output."""
    token = _prints_verdict.set(False)
    try:
        yield
    finally:
        _prints_verdict.reset(token)


def auto(
    source: "Loadable | None",
    options: DataOptions,
    *,
    max_time: float | str | None,
    objective: str | None,
    folds: int | None,
    previous: Run | str | os.PathLike[str] | None,
    prefer: str,
    one_network: bool,
    parallel: int,
    threads: int | None,
    executor: Executor | None,
    seed: int,
    out: str | os.PathLike[str] | None,
    resume: str,
    dry_run: bool,
    progress: bool,
    window: Mapping[str, Any] = MappingProxyType({}),
) -> "Search | AutoPlan":
    """Choose a model; see `kzoo.tune`, whose arguments these are."""
    # 1. Check the arguments, and read the data.
    seed = checked_seed("seed", seed)
    check_resume(resume)
    clock = Clock(_DEFAULT_TIME if max_time is None else max_time)
    started, seconds = clock.started, clock.seconds
    if seconds < _FEWEST_SECONDS:
        least = seconds_like(_FEWEST_SECONDS, max_time)
        raise KzooError(
            f"is too short for 'auto'. Use max_time={least} or more.",
            argument="max_time",
            value=max_time,
        )
    if source is None:
        raise KzooError(
            "'auto' needs data: pass a file, a folder, a DataFrame or anything that kzoo.load_data takes."
        )
    threads = checked_threads(parallel, threads, executor)
    source = as_table(source)
    old_run = None if previous is None else previous if isinstance(previous, Run) else Run(previous)
    if old_run is not None:
        options = options_of(old_run, options)
    if not (isinstance(source, str | os.PathLike) or can_be_sent(source)):
        raise KzooError(
            "'auto' fits models in other processes, which cannot receive this data. Pass a file instead."
        )
    suggested = _presets(source, options, window)
    # the time limits their number
    presets = suggested[: max(int(seconds / 60 * _PRESETS_EACH_MINUTE), _FEWEST_PRESETS)]
    reader = reader_of_baselines(presets)
    data = source if isinstance(source, Dataset) else load_longer(source, reader, options)
    if not data.problem.keeps_predictions:
        raise KzooError(
            f"'auto' compares predictions, which are not stored for {data.task}. Choose a preset."
        )
    previous_model = None if old_run is None else previous_of(old_run, source, options, data)
    usual = _FOLDS if seconds > _SHORT else _FOLDS_OF_SHORT
    count = usual if folds is None else checked_count("folds", folds, least=2)
    parts = Parts.of(data, count, seed)
    candidates = _baselines(data)
    decides = None if old_run is None else next(iter(deciding(old_run.spec.training)), None)
    score = _primary_score(data, objective, candidates[0].name, decides)
    missing = [missing_encoder(suggestions_of(data)), missing_boosters(data)]
    notes = [*data.notes, *parts.notes(data), *filter(None, missing)]
    if decides is not None and objective is None and decides != score.metric:
        notes.append(
            f"The previous model was trained for {decides}, which 'auto' does not compute: models are compared by "
            f"{score.metric}."
        )
    request = Request(
        data=options.describe(data).json(),
        spec=Spec(
            preset=AUTO, family=None, task=data.task, config=dict(window), training={}
        ).json(),
        space=dict(
            parameters=[], candidates=[candidate.name for candidate in (*candidates, *presets)]
        ),
        engine=AUTO,
        objective=_stored_form(score),
        epochs=0,
        prune=None,
        folds=parts.folds if parts.folds > 1 else None,
        baseline=True,
        seed=seed,
        backend=keras.backend.backend(),
        trials=len(candidates) + len(presets),
        max_time=seconds,
        parallel=parallel,
        threads=threads,
        prefer=prefer,
        one_network=one_network,
    )
    earlier_objective = stored_objective(out, request, resume=resume)
    if objective is None and earlier_objective is not None:  # a search of before keeps its own
        score = PrimaryScore(data, earlier_objective.name)
        request = replace(request, objective=earlier_objective)
    by_default = (
        objective is None and decides is None and score.metric == comparison_objective(data)
    )
    judged = f"{parts.folds} folds" if parts.folds > 1 else f"the validation split ({parts.reason})"
    plan = AutoPlan(
        data=summary_line(data.overview),
        metric=score.metric,
        why=_WHY_AUC if by_default else "",
        parts=f"judged on {judged}",
        baselines=[candidate.label for candidate in candidates],
        presets=[candidate.label for candidate in presets],
        seconds=seconds,
        prefer=prefer,
        one_network=one_network,
    )
    if dry_run:
        print_notes([*notes[len(data.notes) :], str(plan)], progress)
        return plan
    # 2. Claim the folder, and fit candidates in workers, which never get the test rows.
    with claimed(out, request, resume=resume) as (folder, earlier):
        if earlier is not None and earlier.finished and (earlier.request.max_time or 0) >= seconds:
            print_notes([f"{folder} is finished: {result_of(folder)['verdict']}"], progress)
            return Search(earlier, data)
        used = 0.0 if earlier is None else _seconds_used(folder)
        if earlier is None:
            clear_search(folder)
        print_notes([plan.data, *notes, str(plan)], progress)
        write_json(folder / "preprocessing.json", plain(data.preprocessing))
        with_provenance(request).write(folder)
        end = started + seconds - used
        finish = min(max(_FINISH_SHARE * seconds, _FINISH_SECONDS), _FINISH_MOST)
        finish += _REFIT_SHARE * seconds if parts.folds == 1 or one_network else 0.0
        signals = Signals()
        setup: dict[str, Any] = dict(
            trainer="kzoo.auto.trainer:Trainer",
            threads=threads,
            preset=reader,
            source=source if not isinstance(source, Dataset) else replace(source, test=None),
            options=options,
            parts=parts,
            seed=seed,
            objective=score.metric,
        )
        with (
            signals.watched(),
            Worker(folder / "worker.log", **setup) as worker,
            worker_pool(worker, NullProgress(), parallel, executor) as pool,
        ):

            def report(line: str) -> None:
                write_json(
                    folder / RESULT, {"seconds_used": used + time.monotonic() - started}, sync=False
                )
                print_notes(
                    [f"[{duration(round(used + time.monotonic() - started))}] {line}"], progress
                )

            schedule = Schedule(
                folder,
                data=data,
                parts=parts,
                score=score,
                baselines=candidates,
                presets=presets,
                later=suggested[len(presets) :],
                pool=pool,
                signals=signals,
                deadline=end - finish,
                report=report,
                seed=seed,
                objective=request.objective,
            )
            schedule.run()
        if signals.caught == signal.SIGTERM:
            print(
                f"{folder}: stopped by SIGTERM. Repeat the same call to continue.", file=sys.stderr
            )
            raise SystemExit(128 + signal.SIGTERM)
        if signals.caught:
            if "ipykernel" in sys.modules:
                return Search(folder, data)
            raise Interrupted(Search(folder, data))
        # 3. Choose, write the winner, and look at the test rows once.
        result = Conclusion(
            schedule,
            source,
            options,
            end,
            seconds_like(2 * seconds, clock.max_time),
            prefer=prefer,
            one_network=one_network,
        ).result()
        if previous_model is not None:
            result |= previous_model.compared_with(Run(folder / WINNER), schedule)
        result["seconds_used"] = round(used + time.monotonic() - started, 1)
        write_json(folder / RESULT, result)
        End(because="complete", complete=True, trials=request.trials).write(folder)
        if _prints_verdict.get():
            lines = [
                *result["lines"],
                result["verdict"],
                *([result["update"]] if "update" in result else []),
            ]
            print_notes([*lines, f"The model is the run {folder / WINNER}."], progress)
    return Search(folder, data)


def result_of(folder: str | os.PathLike[str]) -> JsonObject:
    """Return the content of `auto.json`: `winner`, `label`, `verdict`, `difference`, `lines`, `seconds_used`."""
    return dict(read_json(Path(folder) / RESULT))


def _presets(
    source: "Loadable | None", options: DataOptions, window: Mapping[str, Any]
) -> list[Candidate]:
    """Return the suggested presets, best first.

    Raises:
        KzooError: no preset takes such data.
    """
    suggested = [each for each in suggestions(source, options, window) if is_usable(each)]
    if not suggested:
        raise KzooError(
            "'auto' has no preset for this data. kzoo.list_presets() shows the task of each preset."
        )
    return [Candidate(name=each.preset, label=each.preset, window=window) for each in suggested]


def _primary_score(
    data: Dataset, objective: str | None, baseline: str, decides: str | None = None
) -> PrimaryScore:
    """Return the score by which candidates are compared; a baseline shows whether it can be computed on this data.

    Without an objective, it is the one that the previous model was trained for (`decides`), else that of
    `comparison_objective`, else the primary score.

    Raises:
        KzooError: the objective is not among the scores of the task.
    """
    split = data.train if data.validation is None else data.validation
    answers = baseline_answers(fit(data, baseline), split)
    score = PrimaryScore(data, objective)
    if objective is None:
        scores = dict(score.scores(answers))
        preferred = [decides, comparison_objective(data)]
        known = [
            name for name in preferred if name is not None and value_of(scores, name) is not None
        ]
        score = PrimaryScore(data, str((*known, metric_of(data, scores))[0]))
    score.value(answers)  # raises if it is not available
    return score


def _stored_form(score: PrimaryScore) -> Objective:
    return Objective(score.metric, "max" if score.sign > 0 else "min")


def _baselines(data: Dataset) -> list[Candidate]:
    """Return the baselines for some data, the quickest first."""
    subset = BaselineData(data)
    return [
        Candidate(name=baseline.name, label=baseline.label, is_baseline=True)
        for baseline in sorted(select(data, None), key=lambda baseline: baseline.seconds(subset))
    ]


def _seconds_used(folder: Path) -> float:
    """Return the seconds that a search has used; 0 if it has nothing to go on with, so that it may try again."""
    if not any(folder.glob("trials/*/part-*/fitted.json")):
        return 0.0
    try:
        return float(result_of(folder).get("seconds_used", 0.0))
    except (KzooError, OSError, ValueError, TypeError):
        return 0.0
