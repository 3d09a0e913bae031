"""`Schedule`: what is fitted next, within the time limit, and what the candidates scored."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.auto.candidates import Candidate
from kzoo.auto.choice import Difference
from kzoo.auto.parts import Parts
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.auto.trainer import TIMED_OUT, part_folder
from kzoo.dataset.dataset import Dataset
from kzoo.registry import Preset, get_preset
from kzoo.tuning.engines.base import random_points
from kzoo.tuning.folder import write_leaderboard
from kzoo.tuning.records import Outcome, Trial, trial_folder
from kzoo.tuning.spaces.space import space
from kzoo.utils.errors import KzooError
from kzoo.utils.files import read_json, write_json
from kzoo.workers.worker import TrialFailed

BASELINE_SHARE = 0.2  # of the time, for baselines
_SCREENING_SHARE = 0.5  # of the time that is left then, for the first part of each preset
_LEAST_SECONDS = 6.0  # for a network on a part: starting and compiling take some of them
_ALONE_SHARE = 0.8  # of the time that is left, for a preset where shares were too short
_LONGER_SHARE = 0.35  # of the time that is left, for a candidate that was stopped by its time
_MOST_KEPT = 3  # presets that are fitted on all parts
_MOST_VARIANTS = 6  # other settings of the best preset
_MOST_REPEATS = 3  # divisions into folds
_MOST_REPEATED_ROWS = 3_000  # development rows up to which folds are repeated
_SLOWER = 1.2  # how much longer than the first part another part may take
_SCREENING_LEVEL = 0.9  # of the interval by which a preset cannot win


@dataclass
class Entry:
    """A candidate with its trial and its answers.

    Attributes:
        answers: part -> `Answers`.
        seconds: part -> seconds of its fit.
        limit: seconds that a part may take.
        complete: whether no training was stopped by its time.
        has_network: whether it can be stored as a run; a few baselines cannot.
        length: settings of the length that the training had on the first part, which other parts get too.
    """

    candidate: Candidate
    trial: Trial
    answers: dict[int, Answers] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    limit: float = 0.0
    complete: bool = True
    has_network: bool = True
    length: Mapping[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether it could not be fitted."""
        return self.trial.status == "failed"


class Schedule:
    """Fits candidates until the time is up or nothing is left to try.

    Args:
        folder: of the search.
        data: the `Dataset`, for the targets and the task.
        parts: the `Parts`.
        score: the `PrimaryScore`.
        baselines, presets: the candidates, in the order in which they are tried.
        pool: the workers (see `kzoo.workers.pool`).
        signals: the `Signals` to watch.
        deadline: time (`time.monotonic()`) at which fitting has to end.
        report: function of a line, called for each result.
        seed: of the fits and of the settings that are drawn.
    """

    def __init__(
        self, folder: Path, *, data: Dataset, parts: Parts, score: PrimaryScore, baselines: Sequence[Candidate],
        presets: Sequence[Candidate], pool: Any, signals: Any, deadline: float, report: Callable[[str], None],
        seed: int, objective: Any,
    ) -> None:  # fmt: skip
        self.folder, self.data, self.parts, self.score, self.pool = folder, data, parts, score, pool
        self.baselines, self.presets, self.signals, self.deadline = baselines, presets, signals, deadline
        self.report, self.seed, self.objective = report, seed, objective
        self.entries: list[Entry] = []
        self.truths: dict[int, np.ndarray] = {}

    @property
    def left(self) -> float:
        """Seconds until fitting has to end."""
        return self.deadline - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C or SIGTERM was caught."""
        return bool(self.signals.caught)

    def run(self) -> None:
        """Fit candidates: baselines, presets on the first part, the best presets on all parts, and so on."""
        first = range(self.parts.folds)
        # 1. Baselines, on all parts, the quickest first: what they do not need is left for the others.
        baselines = [self.entry(candidate) for candidate in self.baselines]
        jobs = [(entry, part) for entry in baselines for part in first]
        end = self.left * (1 - BASELINE_SHARE)

        def seconds_of_baseline(entry: Entry) -> float:
            waiting = sum(part not in entry.answers for part in first)
            return max((self.left - end) / max(waiting, 1) * self.pool.slots, 1.0)

        self._fit(jobs, seconds_of_baseline)
        # 2. Presets, on the first part.
        screened: list[Entry] = []
        entries = [self.entry(candidate) for candidate in self.presets]
        screening_end = self.left * (1 - _SCREENING_SHARE)

        def seconds_of_screening(entry: Entry) -> float:
            waiting = len(entries) - len(screened)
            share = (self.left - screening_end) / max(waiting, 1) * self.pool.slots
            return entry.limit or max(min(share, self.left / (self.parts.folds + 1)), _LEAST_SECONDS)

        def screening() -> Iterable[tuple[Entry, int]]:
            for entry in entries:
                yield entry, 0
                screened.append(entry)

        self._fit(screening(), seconds_of_screening)
        if not any(entry.answers for entry in entries):  # their shares were too short: all of the time for one of them
            for entry in entries:
                if not any(other.answers for other in entries):
                    entry.trial, entry.limit = replace(entry.trial, status="running", error=""), 0.0
                    self._fit([(entry, 0)], lambda _: _ALONE_SHARE * self.left)
        # 3. The best of them on all parts, as far as they can win; where there is one part, longer.
        kept = self._survivors(entries)
        if self.parts.folds > 1:
            for entry in kept:
                self._finish(entry, first)
        else:
            for entry in kept[:2]:
                self._longer(entry)
        # 4. Other settings of the best preset.
        if kept:
            self._search_around(max(kept, key=lambda entry: self._mean(entry, [0])), first)
        # 5. Folds again, where rows are few.
        if self.parts.folds > 1 and self.parts.rows <= _MOST_REPEATED_ROWS:
            self._repeat()
        if not self.stopped:
            for entry in self.entries:
                if entry.trial.status == "running":
                    entry.trial = replace(entry.trial, status="failed", error="no time was left for it")
                    self._write(entry)

    def entry(self, candidate: Candidate) -> Entry:
        """Return the entry of a candidate: an earlier one of a resumed search, or a new one."""
        for entry in self.entries:
            if entry.candidate.hyperparameters == candidate.hyperparameters:
                return entry
        number = len(self.entries)
        trial = Trial(
            number=number, status="running", hyperparameters=candidate.hyperparameters,
            overrides=dict(candidate.overrides), baseline=False, seed=self.seed,
        )  # fmt: skip
        entry = Entry(candidate, trial)
        path = trial_folder(self.folder, number)
        try:
            stored = Trial.read(path / "trial.json")
        except (OSError, ValueError, KzooError):
            stored = None
        if stored is not None and stored.hyperparameters == candidate.hyperparameters:
            entry.trial = stored
            for file in sorted(path.glob("part-*/fitted.json")):
                self._restore(entry, int(file.parent.name[-2:]) - 1, read_json(file))
        self.entries.append(entry)
        return entry

    def complete(self, parts: Iterable[int]) -> list[Entry]:
        """Return the entries that have answers on all of some parts."""
        wanted = set(parts)
        return [entry for entry in self.entries if wanted <= entry.answers.keys()]

    def _restore(self, entry: Entry, part: int, fitted: Any) -> None:
        entry.answers[part] = Answers.read(part_folder(trial_folder(self.folder, entry.trial.number), part))
        entry.seconds[part], entry.limit = fitted["seconds"], fitted["limit"]
        entry.complete = entry.complete and fitted["complete"]
        entry.has_network = entry.has_network and fitted["has_network"]
        entry.length = fitted["length"] if part == 0 else entry.length
        self.truths.setdefault(part, entry.answers[part].truth)

    # Fitting

    def _fit(self, jobs: Iterable[tuple[Entry, int]], seconds_of: Callable[[Entry], float]) -> None:
        """Fit candidates on parts, as many at once as the pool has workers, until no job or no time is left."""
        pending: dict[Future, tuple[Entry, int, float]] = {}
        for entry, part in jobs:
            if entry.failed or part in entry.answers:
                continue
            while len(pending) >= self.pool.slots:
                self._collect(pending)
            if self.stopped or self.left < (1.0 if entry.candidate.is_baseline else _LEAST_SECONDS):
                break
            if entry.failed:
                continue
            seconds = min(seconds_of(entry), self.left)
            entry.limit = entry.limit or seconds
            future = self._submit(entry, part, seconds)
            pending[future] = entry, part, seconds
        while pending:
            self._collect(pending)

    def _submit(self, entry: Entry, part: int, seconds: float) -> Future:
        candidate, folder = entry.candidate, trial_folder(self.folder, entry.trial.number)
        entry.trial.write(self.folder)
        return self.pool.submit(
            entry.trial.number, signals=self.signals, deadline=None, folder=str(folder), part=part, seconds=seconds,
            preset=None if candidate.is_baseline else _preset(candidate.name),
            baseline=candidate.name if candidate.is_baseline else None, overrides=dict(candidate.overrides),
            length=entry.length if part > 0 else None,
        )  # fmt: skip

    def _collect(self, pending: dict[Future, tuple[Entry, int, float]]) -> None:
        """Wait for one fit, and store its result."""
        done, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        if self.stopped:
            self.pool.cancel()
        for future in done:
            entry, part, seconds = pending.pop(future)
            try:
                fitted = future.result()
            except TrialFailed as error:
                if not self.stopped:
                    self._fail(entry, part, _cause(str(error), seconds))
                continue
            self._store(entry, part, fitted, seconds)

    def _store(self, entry: Entry, part: int, fitted: Any, limit: float) -> None:
        folder = part_folder(trial_folder(self.folder, entry.trial.number), part)
        answers = Answers.read(folder)
        truth = self.truths.setdefault(part, answers.truth)
        if truth.shape != answers.truth.shape or not np.array_equal(
            truth, answers.truth, equal_nan=truth.dtype.kind == "f"
        ):
            return self._fail(entry, part, "it reads other rows than the other candidates")
        write_json(
            folder / "fitted.json",
            dict(
                seconds=fitted.seconds,
                limit=entry.limit,
                complete=fitted.complete,
                has_network=fitted.has_network,
                length=fitted.length,
            ),
            sync=False,
        )
        entry.answers[part], entry.seconds[part] = answers, fitted.seconds
        entry.complete = entry.complete and fitted.complete
        entry.has_network = entry.has_network and fitted.has_network
        entry.length = fitted.length if part == 0 else entry.length
        parts = sorted(entry.answers)
        scores = self.score.of_parts([entry.answers[p] for p in parts])
        total = sum(entry.seconds.values())
        entry.trial = entry.trial.ended(
            Outcome(
                status="completed",
                score=float(np.mean(scores)),
                best_epoch=fitted.best_epoch,
                epochs=fitted.epochs,
                seconds=round(total, 3),
                params=fitted.params,
                folds=[float(value) for value in scores],
            )
        )
        self._write(entry)
        name, count = self.score.metric.replace("_", " "), len(parts)
        of_parts = f", mean of {count} folds" if count > 1 else ""
        if part + 1 == self.parts.folds or not entry.candidate.is_baseline:
            self.report(f"{entry.candidate.text}: {name} {np.mean(scores):.4f}{of_parts}, {fitted.seconds:.1f} s")

    def _fail(self, entry: Entry, part: int, cause: str) -> None:
        status = "completed" if entry.answers else "failed"  # parts that were fitted count
        entry.trial = replace(entry.trial, status=status, error=cause)
        if status == "completed":
            entry.complete = False
        self._write(entry)
        self.report(f"{entry.candidate.text}: {cause}")

    def _write(self, entry: Entry) -> None:
        entry.trial.write(self.folder)
        write_leaderboard(self.folder, [entry.trial for entry in self.entries], self.objective)

    # What is worth fitting

    def _mean(self, entry: Entry, parts: Iterable[int]) -> float:
        """Return the mean score of a candidate on some parts; larger is better."""
        parts = list(parts)
        if not set(parts) <= entry.answers.keys():
            return -np.inf
        return self.score.sign * float(np.mean(self.score.of_parts([entry.answers[part] for part in parts])))

    def difference(self, first: Mapping[int, Answers], second: Mapping[int, Answers]) -> Difference:
        """Return how much better some answers are than others on the parts that both have.

        Args:
            first, second: part -> `Answers`.
        """
        repeats: dict[int, list[int]] = {}
        for part in sorted(first.keys() & second.keys()):
            repeats.setdefault(part // self.parts.folds, []).append(part)
        whole = [parts for parts in repeats.values() if len(parts) == len(repeats[0])]  # other repeats are not complete
        both = [[Answers.together([side[part] for part in parts]) for parts in whole] for side in (first, second)]
        difference = self.score.difference(both[0], both[1], self.groups(both[0][0]))
        judged = self.truths[whole[0][0]]
        return difference.corrected(len(whole[0]), len(judged) / max(self.parts.rows - len(judged), 1))

    def groups(self, answers: Answers) -> np.ndarray:
        """Return the group of each judged row (see `groups_of`)."""
        return groups_of(None if self.parts.folds > 1 else self.data.validation, answers.rows)

    def _survivors(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the presets that may still win, best first; the best of them at least, for a mean of models."""
        fitted = sorted(
            (entry for entry in entries if 0 in entry.answers), key=lambda entry: self._mean(entry, [0]), reverse=True
        )
        if not fitted:
            return []
        leader = max((entry for entry in self.entries if 0 in entry.answers), key=lambda entry: self._mean(entry, [0]))
        kept = [entry for entry in fitted[1:] if self._on_first(entry, leader).interval(_SCREENING_LEVEL)[1] >= 0]
        for entry in fitted[1:]:
            if entry not in kept:
                self._stop(entry)
        return [fitted[0], *kept[: _MOST_KEPT - 1]]

    def _on_first(self, entry: Entry, leader: Entry) -> Difference:
        return self.difference({0: entry.answers[0]}, {0: leader.answers[0]})

    def _stop(self, entry: Entry) -> None:
        entry.trial = replace(entry.trial, status="pruned")
        self._write(entry)

    def _finish(self, entry: Entry, parts: Iterable[int]) -> None:
        """Fit a candidate on the other parts, if there is time for all of them; it is stopped once it cannot win."""
        missing = [part for part in parts if part not in entry.answers]
        if not missing or entry.failed:
            return
        typical = max(entry.seconds.values())
        if typical * len(missing) / self.pool.slots > self.left:
            self.report(f"{entry.candidate.text}: no time for {len(missing)} more folds")
            return
        self._fit(((entry, part) for part in missing), lambda entry: max(entry.limit, _SLOWER * typical))

    def _longer(self, entry: Entry) -> None:
        """Fit a candidate again that was stopped by its time, with more time."""
        seconds = _LONGER_SHARE * self.left
        if seconds < 1.5 * entry.limit or entry.complete:
            return
        before = entry.answers.pop(0), entry.seconds.pop(0)
        entry.limit, entry.complete = seconds, True
        self._fit([(entry, 0)], lambda _: seconds)
        if 0 not in entry.answers:  # no time, or it failed
            entry.answers[0], entry.seconds[0] = before

    def _search_around(self, best: Entry, parts: Sequence[int]) -> None:
        """Fit other settings of a preset while there is time, on all parts if they are better on the first."""
        cost = best.seconds.get(0, 0.0)
        for overrides in _points(best.candidate, self.seed):
            if self.stopped or self.left < 1.5 * cost * len(parts):
                break
            entry = self.entry(replace(best.candidate, overrides=overrides))
            self._fit([(entry, 0)], lambda _: best.limit)
            if self._mean(entry, [0]) > self._mean(best, [0]):
                self._finish(entry, parts)
            elif entry.answers:
                self._stop(entry)

    def _repeat(self) -> None:
        """Divide the rows into folds again, for the best candidates."""
        for repeat in range(1, _MOST_REPEATS):
            done = self.complete(range(repeat * self.parts.folds))
            ranked = sorted(done, key=lambda entry: self._mean(entry, entry.answers), reverse=True)
            networks = [entry for entry in ranked if not entry.candidate.is_baseline][:2]
            chosen = [*[entry for entry in ranked if entry.candidate.is_baseline][:2], *networks]
            new = range(repeat * self.parts.folds, (repeat + 1) * self.parts.folds)
            seconds = sum(max(entry.seconds.values()) for entry in chosen) * len(new) / self.pool.slots
            if self.stopped or not networks or _SLOWER * seconds > self.left:
                return
            self._fit(
                ((entry, part) for entry in chosen for part in new),
                lambda entry: _SLOWER * max(entry.seconds.values()) + 1.0,
            )


def groups_of(split: Any, rows: np.ndarray) -> np.ndarray:
    """Return the group (N,) of some rows of a split: forecasts that begin within a horizon belong together."""
    y: Any = None if split is None else split.y
    if not hasattr(y, "moments"):
        return np.arange(len(rows))
    moments = np.asarray(y.moments)[rows]
    return (moments - moments.min()) // y.length


def _preset(name: str) -> Preset:
    return get_preset(name)


def _cause(error: str, seconds: float) -> str:
    return f"it took longer than {seconds:.0f} s" if f"code {TIMED_OUT}" in error else error


def _points(candidate: Candidate, seed: int) -> list[dict[str, Any]]:
    """Return settings near those of a preset, drawn from its quick search space."""
    try:
        drawn_from = space(_preset(candidate.name), "quick")
    except KzooError:
        return []
    overrides = [drawn_from.overrides(values) for values in random_points(drawn_from, seed, _MOST_VARIANTS)]
    return [changed for changed in overrides if changed]
