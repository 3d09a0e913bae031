"""`Schedule`: what is fitted next, within the time limit, and what the candidates scored."""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.auto.candidates import Candidate
from kzoo.auto.choice import Difference
from kzoo.auto.contender import Contender
from kzoo.auto.mean import mean_of
from kzoo.auto.parts import Parts
from kzoo.auto.rounds import SLOWER, Rounds
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.auto.trainer import NO_TIME, TIMED_OUT, Fitted, part_folder
from kzoo.data.dataset import Dataset, Split
from kzoo.problems.layout import Preprocessor
from kzoo.problems.stored_types import plain
from kzoo.training.resume import Signals
from kzoo.training.workers.pool import ExecutorWorkers, LocalWorkers, SingleWorker
from kzoo.training.workers.worker import TrialFailed
from kzoo.tuning.folder import write_leaderboard
from kzoo.tuning.records import Objective, Outcome, Trial, trial_folder
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, read_json, write_json
from kzoo.utils.formatting import plural
from kzoo.zoo.run import Run

_BASELINE_SHARE = 0.2  # of the time, for baselines
_SLOW_SHARE = 0.35  # of the time that is left then, for those for which that was too short
# of the time that is left then, for the first part of networks in closed form
_CLOSED_FORM_SHARE = 0.6
_SCREENING_SHARE = 0.5  # of the time that is left then, for the first part of each preset
_LEAST_SECONDS = 6.0  # for a network on a part: starting and compiling take some of them
_ALONE_SHARE = 0.8  # of the time that is left, for a preset where shares were too short
_LONGER_SHARE = 0.35  # of the time that is left, for a candidate that was stopped by its time
_MOST_KEPT = 3  # presets that are fitted on all parts
_MOST_BAGGED = 2  # divisions into folds whose networks are averaged
_MOST_AVERAGED = 25  # contenders from which the members of a mean are selected
_SCREENING_LEVEL = 0.9  # of the interval by which a preset cannot win


class Schedule:
    """Fits candidates until the time is up or nothing is left to try.

    Args:
        folder: of the search.
        data: the `Dataset`, for the targets and the task.
        parts: the `Parts`.
        score: the `PrimaryScore`.
        baselines, presets: the candidates, in the order in which they are tried.
        later: presets that are tried once the others gain no more, if there is time.
        pool: the workers (see `kzoo.training.workers.pool`).
        signals: the `Signals` to watch.
        deadline: time (`time.monotonic()`) at which fitting has to end.
        report: function of a line, called for each result.
        seed: of the fits and of the settings that are drawn.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Dataset,
        parts: Parts,
        score: PrimaryScore,
        baselines: Sequence[Candidate],
        presets: Sequence[Candidate],
        later: Sequence[Candidate] = (),
        pool: SingleWorker | LocalWorkers | ExecutorWorkers,
        signals: Signals,
        deadline: float,
        report: Callable[[str], None],
        seed: int,
        objective: Objective,
    ) -> None:
        self.folder = folder
        self.data = data
        self.parts = parts
        self.score = score
        self.pool = pool
        self.baselines = baselines
        self.presets = presets
        self.later = [*later]
        self.signals = signals
        self.deadline = deadline
        self.report, self.seed, self.objective = report, seed, objective
        self.contenders: list[Contender] = []
        self.truths: dict[int, np.ndarray] = {}
        self.fits = 0

    @property
    def left(self) -> float:
        """Seconds until fitting has to end."""
        return self.deadline - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C or SIGTERM was caught."""
        return bool(self.signals.caught)

    @property
    def not_begun(self) -> list[Candidate]:
        """Presets of which nothing was fitted, as there was no time; a search of before may have fitted some."""
        begun = {contender.candidate.name for contender in self.contenders}
        return [candidate for candidate in self.later if candidate.name not in begun]

    def run(self) -> None:
        """Fit candidates: baselines, presets on the first part, the best presets on all parts, and so on."""
        first = range(self.parts.folds)
        # 1. Baselines, on all parts, the quickest first: what they do not need is left for the others.
        baselines = [self.contender(candidate) for candidate in self.baselines]
        jobs = [(contender, part) for contender in baselines for part in first]
        end = self.left * (1 - _BASELINE_SHARE)

        def seconds_of_baseline(contender: Contender) -> float:
            waiting = sum(part not in contender.answers for part in first)
            return max((self.left - end) / max(waiting, 1) * self.pool.slots, 1.0)

        self.fit(jobs, seconds_of_baseline)
        self._fit_slow(baselines, first)
        # 2. Networks in closed form, on all parts: they take what a fit takes, mostly that of reading inputs once.
        contenders = [self.contender(candidate) for candidate in self.presets]
        in_closed_form = [contender for contender in contenders if contender.in_closed_form]
        self._screen(in_closed_form, _CLOSED_FORM_SHARE, fits=1)
        for contender in in_closed_form:
            if contender.answers:
                self.fit([(contender, part) for part in first[1:2]], lambda each: each.limit)
                self.finish(contender, first, always=True)
        if self.parts.folds > 1:  # the winner is fitted to all rows after the deadline
            self.deadline -= max((each.refit_seconds for each in in_closed_form), default=0.0)
        # 3. Other presets, on the first part.
        others = [contender for contender in contenders if not contender.in_closed_form]
        self._screen(others, _SCREENING_SHARE, fits=self.parts.folds + 1)
        for contender in contenders:
            # the shares were too short: most of the time for one
            if not any(each.answers for each in contenders):
                contender.trial = replace(contender.trial, status="running", error="")
                contender.limit = 0.0
                self.fit([(contender, 0)], lambda _: _ALONE_SHARE * self.left)
        # 4. The best of them on all parts, as far as they can win; where there is one part, longer.
        survivors = self._survivors(contenders)
        if self.parts.folds > 1:
            for contender in survivors:
                self.finish(contender, first, always=contender is survivors[0])
        else:
            for contender in survivors[:2]:
                self._longer(contender)
        # 5. Other settings of the best presets, and the best once more, in rounds, as long as these gain; then the next
        # preset, and rounds with it.
        if survivors:
            self._restore_variants()
            Rounds(self, self.seed).run()
            while self._fit_another(first):
                Rounds(self, self.seed).run()
        if not self.stopped:
            self.contenders = [
                each
                for each in self.contenders
                if each.answers or each.failed or not each.candidate.is_variant
            ]
            for contender in self.contenders:
                if contender.trial.status == "running":
                    contender.trial = replace(
                        contender.trial, status="failed", error=f"{NO_TIME}: none was left"
                    )
                    self._write(contender)

    def _fit_another(self, parts: Sequence[int]) -> bool:
        """Fit the next preset for which there seemed to be no time, and return whether there was."""
        fits = len(parts) + 1
        if not self.later or self.stopped or self.left < fits * _LEAST_SECONDS:
            return False
        contender = self.contender(self.later.pop(0))
        self._screen([contender], share=1.0, fits=fits)
        if contender.answers and not self._can_win(contender):
            self.stop(contender)
        elif contender.answers:
            self.finish(contender, parts)
        return True

    def _screen(self, contenders: Sequence[Contender], share: float, *, fits: int) -> None:
        """Fit presets on the first part.

        Args:
            contenders: the presets.
            share: of the time that is left, for all of them.
            fits: of how many like it there must be time for at the most; one has at most that part of the time.
        """
        screened: list[Contender] = []
        end = self.left * (1 - share)

        def seconds_of(contender: Contender) -> float:
            waiting = len(contenders) - len(screened)
            seconds = (self.left - end) / max(waiting, 1) * self.pool.slots
            return contender.limit or max(min(seconds, self.left / fits), _LEAST_SECONDS)

        def jobs() -> Iterable[tuple[Contender, int]]:
            for contender in contenders:
                yield contender, 0
                screened.append(contender)

        self.fit(jobs(), seconds_of)

    def _fit_slow(self, baselines: Sequence[Contender], parts: Sequence[int]) -> None:
        """Fit baselines once more whose share of the time was too short, with more of what is left."""
        slow = [
            contender
            for contender in baselines
            if contender.trial.error.startswith(NO_TIME) and len(contender.answers) < len(parts)
        ]
        waiting = sum(part not in contender.answers for contender in slow for part in parts)
        seconds = _SLOW_SHARE * self.left / max(waiting, 1) * self.pool.slots
        for contender in slow:
            contender.trial = replace(contender.trial, status="running", error="")
            contender.limit = 0.0
        self.fit(((contender, part) for contender in slow for part in parts), lambda _: seconds)

    def contender(self, candidate: Candidate, number: int | None = None) -> Contender:
        """Return the contender of a candidate: an earlier one of a resumed search, or a new one.

        Args:
            candidate: the candidate.
            number: of its trial, the next one by default.
        """
        for contender in self.contenders:
            if contender.candidate.hyperparameters == candidate.hyperparameters:
                return contender
        if number is None:
            number = max((each.trial.number for each in self.contenders), default=-1) + 1
        trial = Trial(
            number=number,
            status="running",
            hyperparameters=candidate.hyperparameters,
            overrides=dict(candidate.overrides),
            baseline=False,
            seed=self.seed + candidate.seed,
        )
        contender = Contender(candidate, trial)
        stored = _stored_trial(self.folder, number)
        path = trial_folder(self.folder, number)
        if stored is not None and stored.hyperparameters == plain(candidate.hyperparameters):
            # it may have been a matter of time
            contender.trial = stored if stored.status != "failed" else trial
            for file in sorted(path.glob("part-*/fitted.json")):
                self._restore(contender, int(file.parent.name[-2:]) - 1, read_json(file))
        else:
            shutil.rmtree(path, ignore_errors=True)
        self.contenders.append(contender)
        return contender

    def _restore_variants(self) -> None:
        """Restore other settings and seeds of presets that were fitted before the search was stopped."""
        presets = {candidate.name: candidate for candidate in (*self.presets, *self.later)}
        first = len(self.contenders)
        for path in sorted(trial_folder(self.folder, first).parent.glob("[0-9]*")):
            number = int(path.name)
            trial = _stored_trial(self.folder, number) if number >= first else None
            if trial is not None and (
                preset := presets.get(trial.hyperparameters.get("model", ""))
            ):
                overrides = {
                    name: tuple(value) if isinstance(value, list) else value
                    for name, value in trial.overrides.items()
                }
                seed = trial.seed - self.seed
                self.contender(replace(preset, overrides=overrides, seed=seed), number)

    def complete(self, parts: Iterable[int]) -> list[Contender]:
        """Return the contenders that have answers on all of some parts."""
        wanted = set(parts)
        return [contender for contender in self.contenders if wanted <= contender.answers.keys()]

    def _restore(self, contender: Contender, part: int, fitted: JsonObject) -> None:
        contender.answers[part] = Answers.read(
            part_folder(trial_folder(self.folder, contender.trial.number), part)
        )
        contender.seconds[part], contender.limit = fitted["seconds"], fitted["limit"]
        contender.complete = contender.complete and fitted["complete"]
        contender.has_network = contender.has_network and fitted["has_network"]
        if part == 0:
            contender.length, contender.cut = fitted["length"], fitted.get("cut", "")
        self.truths.setdefault(part, contender.answers[part].truth)

    # Fitting

    def fit(
        self, jobs: Iterable[tuple[Contender, int]], seconds_of: Callable[[Contender], float]
    ) -> None:
        """Fit candidates on parts, as many at once as the pool has workers, until no job or no time is left."""
        pending: dict[Future, tuple[Contender, int, float]] = {}
        for contender, part in jobs:
            if contender.failed or part in contender.answers:
                continue
            while len(pending) >= self.pool.slots:
                self._collect(pending)
            if self.stopped or self.left < (
                1.0 if contender.candidate.is_baseline else _LEAST_SECONDS
            ):
                break
            if contender.failed:
                continue
            seconds = min(seconds_of(contender), self.left)
            contender.limit = contender.limit or seconds
            future = self._submit(contender, part, seconds)
            pending[future] = contender, part, seconds
        while pending:
            self._collect(pending)

    def _submit(self, contender: Contender, part: int, seconds: float) -> Future:
        candidate = contender.candidate
        folder = trial_folder(self.folder, contender.trial.number)
        contender.trial.write(self.folder)
        return self.pool.submit(
            contender.trial.number,
            signals=self.signals,
            deadline=None,
            folder=str(folder),
            part=part,
            seconds=seconds,
            preset=None if candidate.is_baseline else candidate.preset,
            baseline=candidate.name if candidate.is_baseline else None,
            overrides=dict(candidate.overrides),
            length=contender.length if part > 0 else None,
            seed=contender.trial.seed,
        )

    def _collect(self, pending: dict[Future, tuple[Contender, int, float]]) -> None:
        """Wait for one fit, and store its result."""
        done, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        if self.stopped:
            self.pool.cancel()
        for future in done:
            contender, part, seconds = pending.pop(future)
            try:
                fitted = future.result()
            except TrialFailed as error:
                if not self.stopped:
                    self._fail(contender, part, _cause(str(error), seconds))
                continue
            self._store(contender, part, fitted)

    def _store(self, contender: Contender, part: int, fitted: Fitted) -> None:
        folder = part_folder(trial_folder(self.folder, contender.trial.number), part)
        answers = Answers.read(folder)
        truth = self.truths.setdefault(part, answers.truth)
        if truth.shape != answers.truth.shape or not np.array_equal(
            truth, answers.truth, equal_nan=truth.dtype.kind == "f"
        ):
            return self._fail(contender, part, "it reads other rows than the other candidates")
        write_json(
            folder / "fitted.json",
            dict(
                seconds=fitted.seconds,
                limit=contender.limit,
                complete=fitted.complete,
                has_network=fitted.has_network,
                cut=fitted.cut,
                length=fitted.length,
            ),
            sync=False,
        )
        contender.answers[part], contender.seconds[part] = answers, fitted.seconds
        self.fits += 1
        contender.complete = contender.complete and fitted.complete
        contender.has_network = contender.has_network and fitted.has_network
        if part == 0:
            contender.length, contender.cut = fitted.length, fitted.cut
        parts = sorted(contender.answers)
        try:
            scores = self.score.of_parts([contender.answers[p] for p in parts])
        except KzooError as error:  # the objective needs probabilities
            contender.answers.clear()
            return self._fail(contender, part, str(error))
        total = sum(contender.seconds.values())
        contender.trial = contender.trial.ended(
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
        self._write(contender)
        name = self.score.metric.replace("_", " ")
        count = len(parts)
        of_parts = f", mean of {count} folds" if count > 1 else ""
        if part + 1 == self.parts.folds or not contender.candidate.is_baseline:
            self.report(
                f"{contender.candidate.text}: {name} {np.mean(scores):.4f}{of_parts}, {fitted.seconds:.1f} s"
            )

    def _fail(self, contender: Contender, part: int, cause: str) -> None:
        status = "completed" if contender.answers else "failed"  # parts that were fitted count
        contender.trial = replace(contender.trial, status=status, error=cause)
        if status == "completed":
            contender.complete = False
        self._write(contender)
        self.report(f"{contender.candidate.text}: {cause}")

    def _write(self, contender: Contender) -> None:
        contender.trial.write(self.folder)
        write_leaderboard(
            self.folder, [contender.trial for contender in self.contenders], self.objective
        )

    # What is worth fitting

    def mean_score(self, contender: Contender, parts: Iterable[int]) -> float:
        """Return the mean score of a candidate on some parts; larger is better."""
        parts = list(parts)
        if not set(parts) <= contender.answers.keys():
            return -np.inf
        return self.score.sign * float(
            np.mean(self.score.of_parts([contender.answers[part] for part in parts]))
        )

    def difference(self, first: Mapping[int, Answers], second: Mapping[int, Answers]) -> Difference:
        """Return how much better some answers are than others on the parts that both have.

        Args:
            first, second: part -> `Answers`.
        """
        repeats: dict[int, list[int]] = {}
        for part in sorted(first.keys() & second.keys()):
            repeats.setdefault(part // self.parts.folds, []).append(part)
        # other repeats are not complete
        whole = [parts for parts in repeats.values() if len(parts) == len(repeats[0])]
        both = [
            [Answers.together([side[part] for part in parts]) for parts in whole]
            for side in (first, second)
        ]
        difference = self.score.difference(both[0], both[1], self.groups(both[0][0]))
        judged = self.truths[whole[0][0]]
        return difference.corrected(
            len(whole[0]), len(judged) / max(self.parts.rows - len(judged), 1)
        )

    def groups(self, answers: Answers) -> np.ndarray:
        """Return the group of each judged row (see `groups_of`)."""
        return groups_of(self._judged, answers.rows)

    @cached_property
    def _judged(self) -> Split | None:
        return self.parts.judged(self.data)

    def _survivors(self, contenders: Sequence[Contender]) -> list[Contender]:
        """Return the presets that may still win, best first; the best of them at least, for a mean of models."""
        fitted = sorted(
            (contender for contender in contenders if 0 in contender.answers),
            key=lambda contender: self.mean_score(contender, [0]),
            reverse=True,
        )
        if not fitted:
            return []
        survivors = [contender for contender in fitted[1:] if self._can_win(contender)]
        for contender in fitted[1:]:
            if contender not in survivors:
                self.stop(contender)
        return [fitted[0], *survivors[: _MOST_KEPT - 1]]

    def _can_win(self, contender: Contender) -> bool:
        """Return whether a candidate is not clearly behind the best one on the parts that it was judged on."""
        parts = sorted(contender.answers)
        leader = max(self.complete(parts), key=lambda each: self.mean_score(each, parts))
        difference = self.difference(
            contender.answers, {part: leader.answers[part] for part in parts}
        )
        return difference.interval(_SCREENING_LEVEL)[1] >= 0

    def stop(self, contender: Contender) -> None:
        contender.trial = replace(contender.trial, status="pruned")
        self._write(contender)

    def finish(self, contender: Contender, parts: Iterable[int], *, always: bool = False) -> None:
        """Fit a candidate on the other parts, if there is time for all of them; it is stopped once it cannot win.

        Args:
            contender: the candidate.
            parts: all parts.
            always: do not stop it: the best preset is also a member of means.
        """
        missing = [part for part in parts if part not in contender.answers]
        if not missing or contender.failed:
            return
        typical = contender.part_seconds
        if typical * len(missing) / self.pool.slots > self.left:
            self.report(
                f"{contender.candidate.text}: no time for {plural(len(missing), 'more fold')}"
            )
            return

        def jobs() -> Iterable[tuple[Contender, int]]:
            for part in missing:
                if not always and not self._can_win(contender):
                    return self.stop(contender)
                yield contender, part

        self.fit(jobs(), lambda contender: max(contender.limit, SLOWER * typical))

    def _longer(self, contender: Contender) -> None:
        """Fit a candidate again that was stopped by its time, with more time."""
        seconds = _LONGER_SHARE * self.left
        if seconds < 1.5 * contender.limit or contender.complete:
            return
        before = contender.answers.pop(0), contender.seconds.pop(0)
        contender.limit = seconds
        contender.complete = True
        self.fit([(contender, 0)], lambda _: seconds)
        if 0 not in contender.answers:  # no time, or it failed
            contender.answers[0], contender.seconds[0] = before

    def members(self, contenders: Sequence[Contender], parts: Iterable[int]) -> list[Contender]:
        """Return the contenders of which a mean may consist, best first.

        Their inputs are those of the best network, they can be stored as a run, and their time was not too short.
        """
        parts = list(parts)
        storable = sorted(
            (each for each in contenders if each.has_network),
            key=lambda each: self.mean_score(each, parts),
            reverse=True,
        )
        storable = [each for each in storable if not each.cut] or storable
        networks = [each for each in storable if not each.candidate.is_baseline]
        if not networks:
            return storable
        wanted = self._preprocessing(networks[0])
        return [each for each in storable if self._preprocessing(each) == wanted][:_MOST_AVERAGED]

    def _preprocessing(self, contender: Contender) -> Preprocessor:
        if contender.candidate.is_baseline:
            return plain(self.data.preprocessing)
        folder = trial_folder(self.folder, contender.trial.number)
        return Run(part_folder(folder, min(contender.answers)) / "run").preprocessing

    def bagged(self, contender: Contender) -> int:
        """Return of how many divisions into folds the winner averages the networks of a contender.

        Those that are fitted once to all rows, baselines and networks in closed form, have one.
        """
        if contender.candidate.is_baseline or contender.in_closed_form:
            return 1
        return max(min(contender.divisions(self.parts.folds), _MOST_BAGGED), 1)

    def answers_of(self, contender: Contender, parts: Iterable[int]) -> dict[int, Answers]:
        """Return the answers of a contender on some parts, as its run would give them; part -> `Answers`.

        The rows of a part are predicted by the networks of its division into folds that were not trained on them,
        averaged with those of the following divisions, the first after the last, if the run has them. A contender that
        was fitted on fewer divisions answers with those that it has.
        """
        folds = self.parts.folds
        divisions = contender.divisions(folds)
        if divisions < 1 or folds == 1:
            return {part: contender.answers[part] for part in parts}
        of_all_rows = [
            Answers.together([contender.answers[division * folds + fold] for fold in range(folds)])
            for division in range(divisions)
        ]
        size = self.bagged(contender)
        answers = {}
        for part in parts:
            rows = next(each.answers[part].rows for each in self.contenders if part in each.answers)
            averaged = [of_all_rows[(part // folds + number) % divisions] for number in range(size)]
            answers[part] = mean_of(
                [each.select(np.searchsorted(each.rows, rows)) for each in averaged],
                np.full(size, 1 / size),
            )
        return answers


def _stored_trial(folder: Path, number: int) -> Trial | None:
    try:
        return Trial.read(trial_folder(folder, number) / "trial.json")
    except (OSError, ValueError, KzooError):
        return None


def groups_of(split: Split | None, rows: np.ndarray) -> np.ndarray:
    """Return the group (N,) of some rows of a split: forecasts that begin within a horizon belong together."""
    y: Any = None if split is None else split.y
    if not hasattr(y, "moments"):
        return np.arange(len(rows))
    moments = np.asarray(y.moments)[rows]
    return (moments - moments.min()) // y.length


def _cause(error: str, seconds: float) -> str:
    return (
        f"{NO_TIME}: a fit takes longer than {seconds:.0f} s"
        if f"code {TIMED_OUT}" in error
        else error
    )
