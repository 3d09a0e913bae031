"""The conclusion of `auto`: the choice among candidates and means of them, the run of the winner, and its lead."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.auto.candidates import reader_of_baselines
from kzoo.auto.choice import Difference, choose
from kzoo.auto.contender import Contender
from kzoo.auto.cross_fit import Judged, answers_of_choice
from kzoo.auto.mean import cross_fitted, fitted_weights, mean_of
from kzoo.auto.measured_leads import CLOSED_FORM, MEANS, MeasuredLead, lead_of
from kzoo.auto.schedule import Schedule, groups_of
from kzoo.auto.scoring import Answers, PrimaryScore, baseline_answers
from kzoo.auto.trainer import part_folder
from kzoo.auto.winner import write_mean
from kzoo.baselines.data import as_asked
from kzoo.baselines.fitted import fit
from kzoo.baselines.score import select
from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.load import load_longer
from kzoo.data.options import DataOptions
from kzoo.data.store.pooled import with_all_rows
from kzoo.training import train
from kzoo.training.baseline_run import train_baseline
from kzoo.training.max_time import counted_from
from kzoo.tuning.folder import write_leaderboard
from kzoo.tuning.records import trial_folder
from kzoo.utils.errors import KzooError, TimeTooShort
from kzoo.utils.files import JsonObject, finite
from kzoo.utils.formatting import plural
from kzoo.zoo.run import Run

WINNER = "winner"  # folder of the chosen model's run
_MOST_AVERAGED = 3  # forecasts that tie, in a mean
LEVEL = 0.95  # of intervals that are stated
_AHEAD_ELSEWHERE = -1  # degree of complexity of models that win ties


@dataclass
class Model:
    """A model among which the choice is made: a contender, or a mean of contenders.

    Args:
        contenders: its members; one for a single candidate.
        weights: (members,).
        answers: part -> `Answers`.
    """

    contenders: Sequence[Contender]
    weights: np.ndarray
    answers: dict[int, Answers]

    @property
    def label(self) -> str:
        return " and ".join(contender.candidate.text for contender in self.contenders)

    @property
    def is_baseline(self) -> bool:
        return (
            all(contender.candidate.is_baseline for contender in self.contenders)
            and len(self.contenders) == 1
        )

    @property
    def complexity(self) -> int:
        """Its degree: 0 for baselines and networks in closed form, 1 for other networks, 2 for a mean."""
        if self.sort is not None:
            return 2 if self.sort == MEANS else 0
        return 0 if self.is_baseline else 1

    @property
    def sort(self) -> str | None:
        """Of those whose leads were measured on other data (see `kzoo.auto.measured_leads`)."""
        if len(self.contenders) > 1:
            return MEANS
        return CLOSED_FORM if self.contenders[0].in_closed_form else None


class Conclusion:
    """The choice among the candidates of a schedule, and its statement on the test rows.

    Args:
        schedule: the `Schedule`, which has ended.
        source, options: the data, as `kzoo.load_data` takes it.
        end: time (`time.monotonic()`) at which the search has to end.
        more_time: a longer `max_time`, as the user would write it, for advice.
    """

    def __init__(
        self,
        schedule: Schedule,
        source: "Loadable | None",
        options: DataOptions,
        end: float,
        more_time: str = "",
    ) -> None:
        self.schedule = schedule
        self.source = source
        self.options = options
        self.end = end
        self.more_time = more_time
        self.score, self.data = schedule.score, schedule.data
        self.folder = schedule.folder
        self.beside: list[tuple[Model, Answers]] = []  # on the test rows

    def result(self) -> JsonObject:
        """Choose, write the run of the winner, and return what `auto.json` stores.

        Raises:
            KzooError: no candidate could be fitted.
        """
        models = self._models()
        if not models:
            causes = "; ".join(
                f"{contender.candidate.text}: {contender.trial.error}"
                for contender in self.schedule.contenders
            )
            raise KzooError(
                f"No model could be fitted within the time. {causes}. Use max_time={self.more_time} or more."
            )
        scores = self._scores(models)
        storable = [n for n, model in enumerate(models) if model.contenders[0].has_network]
        if not storable:
            raise KzooError(
                f"Only baselines that cannot be stored as a run were fitted. Use max_time={self.more_time} or more."
            )
        degrees = self._degrees(models)
        number, best = self.choice(models, storable, degrees)
        winner = models[number]
        own = {n: model.complexity for n, model in enumerate(models)}
        from_other_data = (
            not self._averages_ties and number != self.choice(models, storable, own)[0]
        )
        lines = []
        networks = [
            number
            for number in scores
            if not models[number].is_baseline and len(models[number].contenders) == 1
        ]
        rival = max(networks, key=scores.__getitem__, default=None)
        if (
            best not in (number, rival)
            and (ahead := self._difference(models[best], winner)).mean > 0
        ):
            lines.append(
                f"{models[best].label} scored {points(self.score, ahead)} more than {winner.label} on the "
                f"judged rows, which is no clear lead: {winner.label} is simpler."
            )
        baselines = [n for n, model in enumerate(models) if model.is_baseline]
        baseline = max(baselines, key=scores.__getitem__, default=None)
        if (
            baseline is not None
            and not winner.is_baseline
            and self._difference(winner, models[baseline]).is_tie()
        ):
            lines.append(
                f"The lead over {models[baseline].label} on the judged rows alone is not clear"
                f"{self._reason(winner, from_other_data=from_other_data)}."
            )
        self._mark_start(None if baseline is None else models[baseline])
        test_answers = self._write(winner)
        self.beside = [] if test_answers is None else [(winner, test_answers)]
        lead: Difference | None = None
        by_score = dict.fromkeys(scores, 0)
        result = dict(winner=WINNER, label=winner.label, metric=self.score.metric, lines=lines)
        if winner.is_baseline and rival is not None:
            lead = self._difference(
                *(self._cross_fitted(models, n, by_score) for n in (networks, baselines))
            )
            verdict = (
                f"No network was clearly better than {winner.label}: the lead of {models[rival].label} is "
                f"{points(self.score, lead)} on the judged rows."
            )
        elif baseline is None or winner.is_baseline:
            verdict = f"{winner.label} is the only kind of model that was fitted."
        elif test_answers is None:
            lead = self._difference(
                self._cross_fitted(models, storable, degrees),
                self._cross_fitted(models, baselines, by_score),
            )
            verdict = (
                f"{winner.label}: {lead_over(models[baseline].label, self.score, lead)} on the judged rows, where "
                "each part is judged by the choice of the others; there are no test rows."
            )
        else:
            verdict, lead = self._lead(winner, models[baseline], test_answers)
        if from_other_data:
            verdict += f" The choice is partly from other data: {self._measured_lead}."
        verdict += self._shortages()
        lines += self._scores_side_by_side()
        stored = None
        if lead is not None:
            low, high = lead.interval(LEVEL)
            # no interval of forecasts from a single origin
            stored = finite(dict(mean=lead.mean, low=low, high=high))
        return result | dict(verdict=verdict, difference=stored)

    def _reason(self, winner: Model, *, from_other_data: bool) -> str:
        """Return why a model is the winner although its lead is not clear, as the end of a sentence."""
        if self._averages_ties:
            averaged = "; models that are as good within one standard error are averaged"
            return averaged if len(winner.contenders) > 1 else ""
        if from_other_data:
            return "; it decided together with other data"
        return "; a network in closed form is as simple"

    def _shortages(self) -> str:
        """Return a sentence with the networks that had too little time, after a blank; empty without any."""
        folds = self.schedule.parts.folds
        short = [
            f"{contender.candidate.text} ({shortage})"
            for contender in self.schedule.contenders
            if (shortage := contender.shortage(folds))
        ]
        return (
            f" More time may change the choice, as it was short for {', '.join(short)}."
            if short
            else ""
        )

    def _scores_side_by_side(self) -> list[str]:
        """Return a line with several scores on the test rows, where the task has such; else none."""
        if not self.beside or not self.data.problem.task.side_by_side:
            return []
        texts = (
            f"{model.label} {self.score.side_by_side(answers)}" for model, answers in self.beside
        )
        return [f"On {plural(len(self.beside[0][1].truth), 'test row')}: {'; '.join(texts)}."]

    # Models

    def choice(
        self, models: Sequence[Model], numbers: Sequence[int], degrees: Mapping[int, int]
    ) -> tuple[int, int]:
        """Return the number of the model that is chosen among some, and that of the highest score.

        Args:
            models: all models.
            numbers: of those that may be chosen.
            degrees: number -> degree of complexity.
        """
        scores = self._scores(models)
        return choose(
            {n: scores[n] for n in numbers},
            {n: degrees[n] for n in numbers},
            lambda first, second: self._difference(models[first], models[second]),
        )

    def _degrees(self, models: Sequence[Model]) -> dict[int, int]:
        """Return number -> degree of complexity, by which ties are decided; the smallest with a measured lead.

        Of forecasts that tie, the mean is among the models, and the highest score wins.
        """
        lead = self._measured_lead
        return {
            n: 0
            if self._averages_ties
            else _AHEAD_ELSEWHERE
            if lead is not None and model.sort == lead.models
            else model.complexity
            for n, model in enumerate(models)
        }

    @cached_property
    def _measured_lead(self) -> MeasuredLead | None:
        return lead_of(self.data, self.schedule.parts.rows, self.score.metric)

    def _cross_fitted(
        self, models: Sequence[Model], numbers: Sequence[int], degrees: Mapping[int, int]
    ) -> Model:
        """Return a choice as a model: its answers for each part are those of the model that other parts choose."""

        def chosen(judged: Sequence[Judged]) -> int:
            others = [
                replace(models[n], answers=dict(answers))
                for n, answers in zip(numbers, judged, strict=True)
            ]
            of_others = {i: degrees[n] for i, n in enumerate(numbers)}
            return self.choice(others, range(len(others)), of_others)[0]

        shared = self._shared_parts(models)
        judged = [{part: models[n].answers[part] for part in shared} for n in numbers]
        answers = answers_of_choice(judged, self.schedule.parts.folds, chosen)
        return replace(models[numbers[0]], answers=answers)

    def _models(self) -> list[Model]:
        """Return the contenders that were judged on the same parts, and the mean of the best of them.

        These are the parts of all repeats on which both a baseline and a network were judged. If no network has all
        folds, they are the parts that the best of them has.
        """
        folds = self.schedule.parts.folds
        fitted = [each for each in self.schedule.contenders if each.answers]
        kinds = [
            [len(each.answers) for each in fitted if each.candidate.is_baseline is kind]
            for kind in (True, False)
        ]
        count = min((max(counts) for counts in kinds if counts), default=folds)
        count -= count % folds if count > folds else 0  # whole divisions
        contenders = self.schedule.complete(range(min(count, folds)))
        wanted = range(count if self.schedule.complete(range(count)) else folds)
        models = [
            Model([contender], np.ones(1), self.schedule.answers_of(contender, wanted))
            for contender in contenders
        ]
        if not models:
            return []
        if self._averages_ties:
            return [*models, *self._means_of_ties(models)]
        return [*models, *([] if (mean := self._mean(models)) is None else [mean])]

    @property
    def _averages_ties(self) -> bool:
        """Whether the mean of the models that tie with the best one is a candidate: for forecasts.

        Few origins tell which models are among the best, but neither which is the best one nor any weights.
        """
        return self.data.problem.ordered

    def _means_of_ties(self, models: Sequence[Model]) -> list[Model]:
        """Return the means, with equal weights, of the best two and three models that tie with the best one.

        Of a preset with several settings, the best one may be a member. Outputs are averaged, of quantiles those of
        each level.
        """
        shared = self._shared_parts(models)
        by_score = sorted(
            (model for model in models if model.contenders[0].has_network),
            key=lambda model: self.score.sign * self._score(model, shared),
            reverse=True,
        )
        best: dict[str, Contender] = {}
        for model in by_score:
            contender = model.contenders[0]
            if model is by_score[0] or self._difference(by_score[0], model).is_tie():
                best.setdefault(contender.candidate.name, contender)
        ties = self.schedule.members(list(best.values()), shared)
        means = []
        for count in range(2, min(len(ties), _MOST_AVERAGED) + 1):
            members, weights = ties[:count], np.full(count, 1 / count)
            answers = {
                part: mean_of([contender.answers[part] for contender in members], weights)
                for part in shared
            }
            means.append(Model(members, weights, answers))
        return means

    def _mean(self, models: Sequence[Model]) -> Model | None:
        """Return the mean of the candidates that reads one sort of inputs; None if a single one has all weight."""
        shared = self._shared_parts(models)
        by_contender = {id(model.contenders[0]): model for model in models}
        members = self.schedule.members([model.contenders[0] for model in models], shared)
        if len(members) < 2 or all(contender.candidate.is_baseline for contender in members):
            return None
        answers = [
            [by_contender[id(contender)].answers[part] for part in shared] for contender in members
        ]
        weights = fitted_weights(answers, self.data)
        used = [i for i, weight in enumerate(weights) if weight > 0]
        if len(used) < 2:
            return None
        mean: dict[int, Answers] = {}
        folds = self.schedule.parts.folds
        for division in sorted({part // folds for part in shared}):
            places = [i for i, part in enumerate(shared) if part // folds == division]
            of_division = cross_fitted([[each[i] for i in places] for each in answers], self.data)
            mean |= {shared[i]: part for i, part in zip(places, of_division, strict=True)}
        return Model([members[i] for i in used], weights[used], mean)

    def _shared_parts(self, models: Sequence[Model]) -> list[int]:
        return sorted(set.intersection(*(set(model.answers) for model in models))) if models else []

    def _score(self, model: Model, parts: Sequence[int]) -> float:
        """Return the score of a model on all rows of some parts, the mean over repeats."""
        folds = self.schedule.parts.folds
        repeats = sorted({part // folds for part in parts})
        return float(
            np.mean(
                [
                    self.score.pooled([model.answers[p] for p in parts if p // folds == repeat])
                    for repeat in repeats
                ]
            )
        )

    def _scores(self, models: Sequence[Model]) -> dict[int, float]:
        """Return number of a model -> its score on the parts that all have; larger is better."""
        shared = self._shared_parts(models)
        return {n: self.score.sign * self._score(model, shared) for n, model in enumerate(models)}

    def _difference(self, first: Model, second: Model) -> Difference:
        return self.schedule.difference(first.answers, second.answers)

    def _mark_start(self, baseline: Model | None) -> None:
        """Mark the best baseline as the start of the search, over which the leaderboard states gains."""
        for contender in self.schedule.contenders:
            is_start = baseline is not None and contender is baseline.contenders[0]
            if contender.trial.baseline != is_start:
                contender.trial = replace(contender.trial, baseline=is_start)
                contender.trial.write(self.folder)
        write_leaderboard(
            self.folder,
            [contender.trial for contender in self.schedule.contenders],
            self.schedule.objective,
        )

    # The winner

    def _write(self, model: Model) -> Answers | None:
        """Write the run of the winner, and return its answers for the test rows; None without these."""
        folder = self.folder / WINNER
        data = self._data_of(model)
        shutil.rmtree(folder, ignore_errors=True)  # of a search that is extended
        if model.is_baseline:
            run = self._train_baseline(
                model.contenders[0], data, folder, list(model.answers.values())
            )
        elif self.schedule.parts.folds > 1 or len(model.contenders) > 1:
            members, weights = self._members(model, data)
            run = write_mean(
                folder,
                data,
                members,
                weights,
                list(model.answers.values()),
                description=self.options.describe(data),
                backend=keras.backend.backend(),
                judged=self._judged(data, Answers.together(list(model.answers.values())).once()),
                settings=self.score.settings,
            )
        else:
            run = self._train(model.contenders[0], data, folder, self.end - time.monotonic())
        answers = run.answers
        if answers is None or answers["split"] != "test":
            return None
        return stored_answers(answers)

    def _train_baseline(
        self, contender: Contender, data: Dataset, folder: Path, answers: Sequence[Answers]
    ) -> Run:
        """Fit a baseline to all development rows, with its choices for the training split."""
        judged = Answers.together(answers).once()
        (baseline,) = select(data, [contender.candidate.name])
        data = as_asked(baseline, data)
        return train_baseline(
            baseline.name,
            data,
            out=folder,
            overwrite=True,
            seconds=None,
            seed=self.schedule.seed,
            baselines=True,
            **self.score.settings,
            preset=reader_of_baselines(self.schedule.presets),
            out_of_fold=(judged.of_network, judged.truth, judged.weight),
            judged=self._judged(data, judged),
        )

    def _judged(self, data: Dataset, answers: Answers) -> Split | None:
        """Return the windows of a series that answers are for; None of other data, and of folds.

        Args:
            data: the `Dataset` that the winner is fitted to.
            answers: for judged rows, once for each, ordered by row.
        """
        judged = self.schedule.parts.judged(data) if data.problem.ordered else None
        if judged is None:
            return None
        return judged.select(answers.rows)

    def _train(self, contender: Contender, data: Dataset, folder: Path, seconds: float) -> Run:
        """Train the winner on the training split; it stops on the validation split, on which it was chosen.

        Where the time is too short, its training has the length that it had when it was judged.
        """
        options: dict[str, Any] = dict(
            out=folder, seed=self.schedule.seed, progress=False, check=False, overwrite=True
        )
        preset, overrides = contender.candidate.preset, contender.candidate.overrides
        if not contender.in_closed_form:
            try:
                with counted_from(time.monotonic()):
                    return train(
                        preset,
                        data,
                        max_time=round(max(seconds - 2.0, 5.0), 1),
                        **options,
                        **overrides,
                    )
            except TimeTooShort:
                pass
        return train(preset, data, **options, **{**overrides, **(contender.length or {})})

    def _refit(self, contender: Contender, data: Dataset, folder: Path) -> Run:
        """Fit a network in closed form to all development rows; it is not scored, the winner is."""
        return train(
            contender.candidate.preset,
            with_all_rows(replace(data, test=None)),
            out=folder,
            seed=self.schedule.seed,
            progress=False,
            check=False,
            baselines=False,
            overwrite=True,
            **contender.candidate.overrides,
        )

    def _data_of(self, model: Model) -> Dataset:
        networks = [
            contender for contender in model.contenders if not contender.candidate.is_baseline
        ]
        if not networks or isinstance(self.source, Dataset):
            return self.data
        return load_longer(self.source, networks[0].candidate.preset, self.options)

    def _members(self, model: Model, data: Dataset) -> tuple[list[Run], list[float]]:
        """Return the runs whose mean is the winner, and their weights.

        A network has a run for each fold, on whose other rows it stopped. One in closed form needs no such rows: it is
        fitted once to all.
        """
        members: list[Run] = []
        weights: list[float] = []
        networks = sum(not contender.candidate.is_baseline for contender in model.contenders)
        for contender, weight in zip(model.contenders, model.weights, strict=True):
            path = trial_folder(self.folder, contender.trial.number)
            if contender.candidate.is_baseline:
                runs = [
                    self._train_baseline(
                        contender, data, path / "run", list(contender.answers.values())
                    )
                ]
            elif self.schedule.parts.folds == 1:
                seconds = (self.end - time.monotonic()) / networks
                networks -= 1
                runs = [self._train(contender, data, path / "run", seconds)]
            elif contender.in_closed_form and self.end - time.monotonic() > contender.refit_seconds:
                runs = [self._refit(contender, data, path / "run")]
            else:
                count = self.schedule.parts.folds * self.schedule.bagged(contender)
                runs = [
                    Run(part_folder(path, part) / "run")
                    for part in sorted(contender.answers)
                    if part < count
                ]
            members += runs
            weights += [float(weight) / len(runs)] * len(runs)
        return members, weights

    def _lead(self, winner: Model, baseline: Model, answers: Answers) -> tuple[str, Difference]:
        """Return the sentence about the winner's lead over the best baseline on test rows, and the difference."""
        assert self.data.test is not None
        fitted = fit(
            self.data,
            baseline.contenders[0].candidate.name,
            seed=self.schedule.seed,
            all_rows=True,
            settings={"objective": self.score.metric},
        )
        other = baseline_answers(fitted, self.data.test).select(answers.rows)
        if not np.array_equal(
            other.truth, answers.truth, equal_nan=answers.truth.dtype.kind == "f"
        ):
            raise KzooError(f"{winner.label} and {baseline.label} read different test rows.")
        self.beside.append((baseline, other))
        groups = groups_of(self.data.test, answers.rows)
        targets = None
        if self.score.learns:
            of_winner, of_baseline = (
                self.score.learned(list(model.answers.values())) for model in (winner, baseline)
            )
            targets = of_winner, of_baseline
        difference = self.score.difference([answers], [other], groups, targets=targets)
        text = lead_over(baseline.label, self.score, difference)
        return f"{winner.label}: {text} on {plural(len(answers.truth), 'test row')}.", difference


def stored_answers(stored: Mapping[str, np.ndarray]) -> Answers:
    """Return the answers that a run has stored."""
    return Answers(
        outputs=stored["answers"],
        truth=stored["truth"],
        rows=stored["rows"],
        weight=stored.get("weight"),
    )


def lead_over(label: str, score: PrimaryScore, difference: Difference) -> str:
    """Return the lead over a model as text, such as "1.8 points (0.9 to 2.7) ahead of logistic regression"."""
    low, high = difference.interval(LEVEL)
    if low > 0:
        return f"{points(score, difference)} ahead of {label}"
    if high < 0:
        return f"{points(score, replace(difference, mean=-difference.mean))} behind {label}"
    return f"no clear lead over {label}, {points(score, difference)},"


def points(score: PrimaryScore, difference: Difference) -> str:
    """Return a difference with its 95 % interval as text, such as "1.8 points (0.9 to 2.7)"."""
    factor, unit = (
        (100.0, " points") if score.is_share else (1.0, f" {score.metric.replace('_', ' ')}")
    )
    digits = "{:.1f}" if score.is_share else "{:.3g}"
    numbers = (
        digits.format(factor * value) for value in (difference.mean, *difference.interval(LEVEL))
    )
    mean, low, high = (text.removeprefix("-") if float(text) == 0 else text for text in numbers)
    return f"{mean}{unit} ({low} to {high})" if np.isfinite(difference.error) else f"{mean}{unit}"
