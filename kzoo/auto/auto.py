"""`auto`: choose a model for some data within a time limit, and state its lead over the best baseline."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo import __version__, baselines
from kzoo.auto.candidates import Candidate
from kzoo.auto.choice import Difference, choose
from kzoo.auto.mean import cross_fitted, fitted_weights
from kzoo.auto.parts import Parts
from kzoo.auto.previous import answers_of, options_of
from kzoo.auto.schedule import Entry, Schedule, groups_of
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.auto.trainer import part_folder
from kzoo.auto.winner import write_mean
from kzoo.baselines.data import BaselineData, metric_of
from kzoo.baselines.fitted import fit
from kzoo.data.load import load
from kzoo.dataset.dataset import Dataset, Loadable
from kzoo.dataset.options import DataOptions
from kzoo.dataset.summary import summary_line
from kzoo.registry import AUTO, Preset, get_preset
from kzoo.run import Run
from kzoo.sources.tables.frame import as_table
from kzoo.stored_types import Spec, plain
from kzoo.suggestions import is_installed, suggestions
from kzoo.training import train
from kzoo.training.folder import check_resume
from kzoo.training.resume import Signals
from kzoo.tuning.folder import claimed, clear_search
from kzoo.tuning.plan import AutoPlan
from kzoo.tuning.records import End, Objective, Request, trial_folder
from kzoo.tuning.search import Search
from kzoo.utils import notebook
from kzoo.utils.argument_checks import checked_count, checked_seconds, checked_seed
from kzoo.utils.errors import Interrupted, KzooError
from kzoo.utils.files import read_json, write_json
from kzoo.utils.formatting import duration, plural, printable, spelled
from kzoo.workers.pool import NullProgress, checked_threads, worker_pool
from kzoo.workers.worker import Worker, can_be_sent

WINNER = "winner"  # folder of the chosen model's run
RESULT = "auto.json"
_DEFAULT_TIME = "10m"
_FEWEST_SECONDS = 20.0
_FOLDS, _FOLDS_OF_SHORT, _SHORT = 5, 3, 150.0  # number of folds, that of short searches, and what is short in seconds
_FINISH_SHARE, _FINISH_SECONDS, _FINISH_MOST = 0.1, 6.0, 60.0  # of the time: for the winner and its test scores
_REFIT_SHARE = 0.3  # of the time, for training the winner where candidates are judged on the validation split
_PRESETS_EACH_MINUTE, _FEWEST_PRESETS = 1.0, 2
_MEMBERS = 2  # of each sort, baselines and networks, in a mean
_LEVEL = 0.95  # of intervals that are stated


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
    source: "Loadable | None", options: DataOptions, *, max_time: float | str | None, objective: str | None,
    folds: int | None, previous: Run | str | os.PathLike[str] | None, parallel: int, threads: int | None,
    executor: Any, seed: int, out: str | os.PathLike[str] | None, resume: str, dry_run: bool, progress: bool,
) -> "Search | AutoPlan":  # fmt: skip
    """Choose a model; see `kzoo.tune`, whose arguments these are."""
    # 1. Check the arguments, and read the data.
    started = time.monotonic()
    seed = checked_seed("seed", seed)
    check_resume(resume)
    seconds = checked_seconds("max_time", _DEFAULT_TIME if max_time is None else max_time)
    if seconds < _FEWEST_SECONDS:
        raise KzooError(f"max_time={max_time!r} is too short for 'auto': use {_FEWEST_SECONDS:.0f} seconds or more.")
    if source is None:
        raise KzooError("'auto' needs data: pass a file, a folder, a DataFrame or anything that kzoo.load_data takes.")
    threads = checked_threads(parallel, threads, executor)
    source = as_table(source)
    old_run = None if previous is None else previous if isinstance(previous, Run) else Run(previous)
    if old_run is not None:
        options = options_of(old_run, options)
    if not (isinstance(source, str | os.PathLike) or can_be_sent(source)):
        raise KzooError("'auto' fits models in other processes, which cannot receive this data. Pass a file instead.")
    presets = _presets(source, options, seconds)
    reader = _reader_of_baselines(presets)
    data = source if isinstance(source, Dataset) else load(source, reader, options)
    if "kept" not in data.problem.facts:
        raise KzooError(f"'auto' compares predictions, which are not stored for {data.task}. Choose a preset.")
    old_answers = None if old_run is None else answers_of(old_run, source, options, data)
    usual = _FOLDS if seconds > _SHORT else _FOLDS_OF_SHORT
    count = usual if folds is None else checked_count("folds", folds, least=2)
    parts, candidates = Parts.of(data, count, seed), _baselines(data)
    score = _primary_score(data, objective, candidates[0].name)
    judged = f"{parts.folds} folds" if parts.folds > 1 else f"the validation split ({parts.reason})"
    plan = AutoPlan(
        data=summary_line(data.overview), metric=score.metric, parts=f"judged on {judged}",
        baselines=[candidate.label for candidate in candidates], presets=[candidate.label for candidate in presets],
        seconds=seconds,
    )  # fmt: skip
    if dry_run:
        _print([str(plan)], progress)
        return plan
    # 2. Claim the folder, and fit candidates in workers, which never get the test rows.
    direction = "max" if score.sign > 0 else "min"

    request = Request(
        data=options.describe(data).json(),
        spec=Spec(preset=AUTO, family=None, task=data.task, config={}, training={}).json(),
        space=dict(parameters=[], candidates=[candidate.name for candidate in (*candidates, *presets)]), engine=AUTO,
        objective=Objective(score.metric, direction), epochs=0, prune=None,
        folds=parts.folds if parts.folds > 1 else None, baseline=True, seed=seed, backend=keras.backend.backend(),
        trials=len(candidates) + len(presets), max_time=seconds, parallel=parallel, threads=threads,
    )  # fmt: skip
    with claimed(out, request, resume=resume) as (folder, earlier):
        if earlier is not None and earlier.finished and (earlier.request.max_time or 0) >= seconds:
            _print([f"{folder} is finished: {result_of(folder)['verdict']}"], progress)
            return Search(earlier, data)
        used = 0.0 if earlier is None else _seconds_used(folder)
        if earlier is None:
            clear_search(folder)
        _print([plan.data, *data.notes, str(plan)], progress)
        write_json(folder / "preprocessing.json", plain(data.preprocessing))
        _with_provenance(request).write(folder)
        end = started + seconds - used
        finish = min(max(_FINISH_SHARE * seconds, _FINISH_SECONDS), _FINISH_MOST)
        finish += 0.0 if parts.folds > 1 else _REFIT_SHARE * seconds
        signals = Signals()
        setup: dict[str, Any] = dict(
            trainer="kzoo.auto.trainer:Trainer", threads=threads, preset=reader,
            source=source if not isinstance(source, Dataset) else replace(source, test=None), options=options,
            parts=parts, seed=seed,
        )  # fmt: skip
        with (
            signals.watched(),
            Worker(folder / "worker.log", **setup) as worker,
            worker_pool(worker, NullProgress(), parallel, executor) as pool,
        ):

            def report(line: str) -> None:
                write_json(folder / RESULT, {"seconds_used": used + time.monotonic() - started}, sync=False)
                _print([f"[{duration(round(used + time.monotonic() - started))}] {line}"], progress)

            schedule = Schedule(
                folder, data=data, parts=parts, score=score, baselines=candidates, presets=presets, pool=pool,
                signals=signals, deadline=end - finish, report=report, seed=seed, objective=request.objective,
            )  # fmt: skip
            schedule.run()
        if signals.caught == signal.SIGTERM:
            print(f"{folder}: stopped by SIGTERM. Repeat the same call to continue.", file=sys.stderr)
            raise SystemExit(128 + signal.SIGTERM)
        if signals.caught:
            if "ipykernel" in sys.modules:
                return Search(folder, data)
            raise Interrupted(Search(folder, data))
        # 3. Choose, write the winner, and look at the test rows once.
        result = _Conclusion(schedule, source, options, end).result()
        if old_run is not None and old_answers is not None:
            result |= _update(old_run, old_answers, folder / WINNER, schedule)
        result["seconds_used"] = round(used + time.monotonic() - started, 1)
        write_json(folder / RESULT, result)
        End(because="complete", complete=True, trials=request.trials).write(folder)
        if _prints_verdict.get():
            lines = [*result["lines"], result["verdict"], *([result["update"]] if "update" in result else [])]
            _print([*lines, f"The model is the run {folder / WINNER}."], progress)
    return Search(folder, data)


def _update(old: Run, old_answers: Answers, winner: Path, schedule: Schedule) -> dict[str, Any]:
    """Return the comparison of the winner with the previous model on the same test rows, for `auto.json`."""
    stored = Run(winner).answers
    assert stored is not None
    new = _answers_of(stored)
    old_answers, score = old_answers.select(new.rows), schedule.score
    difference = score.difference([new], [old_answers], groups_of(schedule.data.test, new.rows))
    low, high = difference.interval(_LEVEL)
    advice = "change to the new model" if low > 0 else "keep the previous model"
    if low <= 0 <= high:
        advice += ", as there is no clear difference"
    values = [f"{score.value(answers):.4f}" for answers in (old_answers, new)]
    lead, rows = points(score, difference, _LEVEL), plural(len(new.truth), "test row")
    return dict(
        update=f"Previous model {old.path}: {score.metric.replace('_', ' ')} {values[0]}; new model: {values[1]}, "
        f"{lead} ahead on the same {rows}. Advice: {advice}.",
        change=bool(low > 0), previous=dict(run=old.path.name, mean=difference.mean, low=low, high=high),
    )  # fmt: skip


def _answers_of(stored: Mapping[str, Any]) -> Answers:
    """Return the answers that a run has stored."""
    return Answers(
        outputs=stored["answers"], truth=stored["truth"], rows=stored["rows"], weight=stored.get("weight")
    )  # fmt: skip


def points(score: PrimaryScore, difference: Difference, level: float) -> str:
    """Return a difference with its interval as text, such as "1.8 points (0.9 to 2.7)"."""
    factor, unit = (100.0, " points") if score.is_share else (1.0, f" {score.metric.replace('_', ' ')}")
    digits = "{:.1f}" if score.is_share else "{:.3g}"
    mean, low, high = (digits.format(factor * value) for value in (difference.mean, *difference.interval(level)))
    return f"{mean}{unit} ({low} to {high})" if np.isfinite(difference.error) else f"{mean}{unit}"


def result_of(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of `auto.json`: `winner`, `label`, `verdict`, `difference`, `lines`, `seconds_used`."""
    return dict(read_json(Path(folder) / RESULT))


def _presets(source: Any, options: DataOptions, seconds: float) -> list[Candidate]:
    """Return the presets to try, in the order in which they are suggested: as many as the time allows.

    Raises:
        KzooError: no preset takes such data.
    """
    suggested = [each for each in suggestions(source, options) if not each.weights and is_installed(each.preset)]
    if not suggested:
        raise KzooError("'auto' has no preset for this data. kzoo.list_presets() shows the task of each preset.")
    most = max(int(seconds / 60 * _PRESETS_EACH_MINUTE), _FEWEST_PRESETS)
    return [Candidate(name=each.preset, label=each.preset, why=each.why) for each in suggested[:most]]


def _reader_of_baselines(presets: Sequence[Candidate]) -> Preset:
    """Return the preset for which the data of baselines is read: that of texts as words, as pieces make them worse."""
    all_presets = [get_preset(each.name) for each in presets]
    return next((each for each in all_presets if each.training.get("tokenizer") != "pieces"), all_presets[0])


def _primary_score(data: Dataset, objective: str | None, baseline: str) -> PrimaryScore:
    """Return the score by which candidates are compared; a baseline shows whether it can be computed on this data.

    Raises:
        KzooError: the objective is not among the scores of the task.
    """
    split = data.train if data.validation is None else data.validation
    outputs, truth = fit(data, baseline).predict(split)
    answers = Answers(outputs=outputs, truth=truth, rows=np.arange(len(truth)), weight=split.weight)
    score = PrimaryScore(data, objective)
    if objective is None:
        score = PrimaryScore(data, metric_of(data, dict(score.scores(answers))))
    score.value(answers)  # raises if it is not available
    return score


def _baselines(data: Dataset) -> list[Candidate]:
    """Return the baselines for some data, the quickest first."""
    subset = BaselineData(data)
    fitting = [
        candidate
        for candidate in baselines.list_baselines(data.problem)
        if not candidate.setting or data.config.get(candidate.setting)
    ]
    return [
        Candidate(name=candidate.name, label=candidate.label, is_baseline=True)
        for candidate in sorted(fitting, key=lambda candidate: candidate.seconds(subset))
    ]


def _seconds_used(folder: Path) -> float:
    try:
        return float(result_of(folder).get("seconds_used", 0.0))
    except (OSError, ValueError, TypeError):
        return 0.0


def _with_provenance(request: Request) -> Request:
    from kzoo.training.provenance import provenance

    recorded = provenance()
    fields = {name: recorded[name] for name in ("versions", "machine", "onednn", "created")}
    return replace(request, spec=dict(request.spec) | {"kzoo": __version__}, **fields)


def _print(lines: Sequence[str], progress: bool) -> None:
    if progress:
        notebook.print_lines([printable(spelled(line)) for line in lines])


@dataclass
class _Model:
    """A model among which the choice is made: an entry, or a mean of entries.

    Args:
        entries: its members; one for a single candidate.
        weights: (members,).
        answers: part -> `Answers`.
    """

    entries: Sequence[Entry]
    weights: np.ndarray
    answers: dict[int, Answers]

    @property
    def label(self) -> str:
        return " and ".join(entry.candidate.text for entry in self.entries)

    @property
    def is_baseline(self) -> bool:
        return all(entry.candidate.is_baseline for entry in self.entries) and len(self.entries) == 1

    @property
    def complexity(self) -> int:
        """Its degree: 0 for baselines, 1 for a network, 2 for a mean."""
        return 0 if self.is_baseline else min(len(self.entries), 2)


class _Conclusion:
    """The choice among the candidates of a schedule, and its statement on the test rows."""

    def __init__(self, schedule: Schedule, source: Any, options: DataOptions, end: float) -> None:
        self.schedule, self.source, self.options, self.end = schedule, source, options, end
        self.score, self.data = schedule.score, schedule.data
        self.folder = schedule.folder

    def result(self) -> dict[str, Any]:
        """Choose, write the run of the winner, and return what `auto.json` stores.

        Raises:
            KzooError: no candidate could be fitted.
        """
        models = self._models()
        if not models:
            causes = "; ".join(f"{entry.candidate.text}: {entry.trial.error}" for entry in self.schedule.entries)
            raise KzooError(f"No model could be fitted within the time. {causes}")
        common = self._common(models)
        scores = {number: self.score.sign * self._score(model, common) for number, model in enumerate(models)}
        storable = {number: score for number, score in scores.items() if models[number].entries[0].has_network}
        if not storable:
            raise KzooError(
                "Only baselines that cannot be stored as a run were fitted. Allow more time with max_time=."
            )
        number, best = choose(
            storable, {number: model.complexity for number, model in enumerate(models)},
            lambda first, second: self._difference(models[first], models[second]),
        )  # fmt: skip
        winner, lines = models[number], []
        networks = [number for number in scores if not models[number].is_baseline and len(models[number].entries) == 1]
        rival = max(networks, key=scores.__getitem__, default=None)
        if best not in (number, rival):
            ahead = points(self.score, self._difference(models[best], winner), _LEVEL)
            lines.append(
                f"{models[best].label} scored {ahead} more than {winner.label} on the judged rows, which is no clear "
                f"lead: {winner.label} is simpler."
            )
        baseline = max(
            (number for number, model in enumerate(models) if model.is_baseline), key=scores.__getitem__, default=None
        )
        self._mark_start(None if baseline is None else models[baseline])
        test_answers = self._write(winner)[1]
        lead: Difference | None = None
        result = dict(winner=WINNER, label=winner.label, metric=self.score.metric, lines=lines)
        if winner.is_baseline and rival is not None:
            lead = self._difference(models[rival], winner)
            verdict = (
                f"No network was clearly better than {winner.label}: the lead of {models[rival].label} is "
                f"{points(self.score, lead, _LEVEL)} on the judged rows."
            )
        elif baseline is None or winner.is_baseline:
            verdict = f"{winner.label} is the only kind of model that was fitted."
        else:
            verdict, lead = self._lead(winner, models[baseline], test_answers)
        stored = None
        if lead is not None:
            low, high = lead.interval(_LEVEL)
            stored = dict(mean=lead.mean, low=low, high=high)
        return result | dict(verdict=verdict, difference=stored)

    # Models

    def _models(self) -> list[_Model]:
        """Return the candidates with answers on all first parts (or on the most), and means of the best of them."""
        folds = range(self.schedule.parts.folds)
        entries = self.schedule.complete(folds)
        if not any(not entry.candidate.is_baseline for entry in entries):
            most = max((len(entry.answers) for entry in self.schedule.entries), default=0)
            networks = [e for e in self.schedule.entries if e.answers and not e.candidate.is_baseline]
            if networks:
                most = max(len(entry.answers) for entry in networks)
                entries = [entry for entry in self.schedule.entries if len(entry.answers) >= most]
        models = [_Model([entry], np.ones(1), entry.answers) for entry in entries]
        if (mean := self._mean(models)) is not None:
            models.append(mean)
        return models

    def _mean(self, models: Sequence[_Model]) -> _Model | None:
        """Return the mean of the best candidates that read the same inputs; None if a single one has all weight."""
        common = self._common(models)
        by_score = sorted(models, key=lambda model: self.score.sign * self._score(model, common), reverse=True)
        members = [model.entries[0] for model in by_score if model.is_baseline and model.entries[0].has_network][
            :_MEMBERS
        ]
        members += [model.entries[0] for model in by_score if not model.is_baseline][:_MEMBERS]
        members = self._of_same_inputs(members)
        if len(members) < 2 or all(entry.candidate.is_baseline for entry in members):
            return None
        answers = [[entry.answers[part] for part in common] for entry in members]
        weights = fitted_weights(answers, self.data)
        used = [i for i, weight in enumerate(weights) if weight > 0]
        if len(used) < 2:
            return None
        mean = cross_fitted([answers[i] for i in used], self.data)
        return _Model([members[i] for i in used], weights[used], dict(zip(common, mean, strict=True)))

    def _of_same_inputs(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries whose networks read the same inputs as the best network, which is the last resort."""
        networks = [entry for entry in entries if not entry.candidate.is_baseline]
        if not networks:
            return []
        wanted = self._preprocessing(networks[0])
        return [entry for entry in entries if self._preprocessing(entry) == wanted]

    def _preprocessing(self, entry: Entry) -> Any:
        if entry.candidate.is_baseline:
            return plain(self.data.preprocessing)
        path = part_folder(trial_folder(self.folder, entry.trial.number), min(entry.answers)) / "run"
        return Run(path).preprocessing

    def _common(self, models: Sequence[_Model]) -> list[int]:
        return sorted(set.intersection(*(set(model.answers) for model in models))) if models else []

    def _score(self, model: _Model, parts: Sequence[int]) -> float:
        """Return the score of a model on all rows of some parts, the mean over repeats."""
        folds = self.schedule.parts.folds
        repeats = sorted({part // folds for part in parts})
        return float(
            np.mean(
                [self.score.pooled([model.answers[p] for p in parts if p // folds == repeat]) for repeat in repeats]
            )
        )

    def _difference(self, first: _Model, second: _Model) -> Difference:
        return self.schedule.difference(first.answers, second.answers)

    def _mark_start(self, baseline: _Model | None) -> None:
        """Mark the best baseline as the start of the search, over which the leaderboard states gains."""
        from kzoo.tuning.folder import write_leaderboard

        for entry in self.schedule.entries:
            is_start = baseline is not None and entry is baseline.entries[0]
            if entry.trial.baseline != is_start:
                entry.trial = replace(entry.trial, baseline=is_start)
                entry.trial.write(self.folder)
        write_leaderboard(self.folder, [entry.trial for entry in self.schedule.entries], self.schedule.objective)

    # The winner

    def _write(self, model: _Model) -> tuple[Run, Answers | None]:
        """Write the run of the winner, and return it with its answers for the test rows."""
        folder, data = self.folder / WINNER, self._data_of(model)
        if model.is_baseline:
            run = self._train_baseline(model.entries[0], data, folder)
        elif self.schedule.parts.folds > 1 or len(model.entries) > 1:
            members, weights = self._members(model, data)
            run = write_mean(
                folder, data, members, weights, list(model.answers.values()), description=self.options.describe(data),
                backend=keras.backend.backend(),
            )  # fmt: skip
        else:
            run = self._train(model.entries[0], data, folder, self.end - time.monotonic())
        answers = run.answers
        if answers is None or answers["split"] != "test":
            return run, None
        return run, _answers_of(answers)

    def _train_baseline(self, entry: Entry, data: Dataset, folder: Path) -> Run:
        preset = _reader_of_baselines(self.schedule.presets)
        return baselines.train(
            entry.candidate.name, data, out=folder, overwrite=True, seed=self.schedule.seed, preset=preset
        )

    def _train(self, entry: Entry, data: Dataset, folder: Path, seconds: float) -> Run:
        """Train the winner on the training split; it stops on the validation split, on which it was chosen."""
        return train(
            get_preset(entry.candidate.name), data, out=folder, seed=self.schedule.seed, progress=False, check=False,
            max_time=max(seconds - 2.0, 5.0), overwrite=True, **entry.candidate.overrides,
        )  # fmt: skip

    def _data_of(self, model: _Model) -> Dataset:
        networks = [entry for entry in model.entries if not entry.candidate.is_baseline]
        if not networks or isinstance(self.source, Dataset):
            return self.data
        return load(self.source, get_preset(networks[0].candidate.name), self.options)

    def _members(self, model: _Model, data: Dataset) -> tuple[list[Run], list[float]]:
        """Return the runs whose mean is the winner, and their weights: a network for each fold."""
        members: list[Run] = []
        weights: list[float] = []
        networks = sum(not entry.candidate.is_baseline for entry in model.entries)
        for entry, weight in zip(model.entries, model.weights, strict=True):
            path = trial_folder(self.folder, entry.trial.number)
            if entry.candidate.is_baseline:
                runs = [self._train_baseline(entry, data, path / "run")]
            elif self.schedule.parts.folds == 1:
                seconds = (self.end - time.monotonic()) / networks
                networks -= 1
                runs = [self._train(entry, data, path / "run", seconds)]
            else:
                first = [part for part in sorted(entry.answers) if part < self.schedule.parts.folds]
                runs = [Run(part_folder(path, part) / "run") for part in first]
            members += runs
            weights += [float(weight) / len(runs)] * len(runs)
        return members, weights

    def _lead(self, winner: _Model, baseline: _Model, answers: Answers | None) -> tuple[str, Difference]:
        """Return the sentence about the winner's lead over the best baseline on test rows, and the difference."""
        if answers is None or self.data.test is None:
            difference = self._difference(winner, baseline)
            text = f"{points(self.score, difference, _LEVEL)} ahead of {baseline.label}"
            return f"{winner.label}: {text} on the judged rows; there are no test rows.", difference
        fitted = fit(self.data, baseline.entries[0].candidate.name, seed=self.schedule.seed)
        outputs, truth = fitted.predict(self.data.test)
        other = replace(answers, outputs=outputs[answers.rows], truth=truth[answers.rows])
        if not np.array_equal(other.truth, answers.truth, equal_nan=answers.truth.dtype.kind == "f"):
            raise KzooError(f"{winner.label} and {baseline.label} read different test rows.")
        groups = groups_of(self.data.test, answers.rows)
        targets = None
        if self.score.learns:
            of_winner, of_baseline = (self.score.learned(list(model.answers.values())) for model in (winner, baseline))
            targets = of_winner, of_baseline
        difference = self.score.difference([answers], [other], groups, targets=targets)
        text = f"{points(self.score, difference, _LEVEL)} ahead of {baseline.label}"
        return f"{winner.label}: {text} on {plural(len(answers.truth), 'test row')}.", difference
