"""The conclusion of `auto`: the choice among candidates and means of them, and the lead of the winner."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from kzoo.auto.choice import Difference, choose
from kzoo.auto.contender import Contender
from kzoo.auto.cross_fit import Judged, answers_of_choice
from kzoo.auto.final_fit import WINNER, FinalFit
from kzoo.auto.mean import cross_fitted, fitted_weights, mean_of
from kzoo.auto.measured_leads import MeasuredLead, lead_of
from kzoo.auto.model import Model
from kzoo.auto.schedule import Schedule, groups_of
from kzoo.auto.scoring import Answers, baseline_answers
from kzoo.auto.statement import LEVEL, lead_over, points, test_answers
from kzoo.baselines.baseline import Result
from kzoo.baselines.data import metric_of
from kzoo.baselines.fitted import Fitted, fit
from kzoo.data.dataset import Loadable
from kzoo.data.options import DataOptions
from kzoo.problems.stored_types import Scores
from kzoo.training.baselines import summary_of
from kzoo.tuning.folder import write_leaderboard
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, finite, read_json, write_json
from kzoo.utils.formatting import plural

_MOST_AVERAGED = 3  # forecasts that tie, in a mean
_AHEAD_ELSEWHERE = -1  # degree of complexity of models that win ties


class Conclusion:
    """The choice among the candidates of a schedule, and its statement on the test rows.

    Args:
        schedule: the `Schedule`, which has ended.
        source, options: the data, as `kzoo.load_data` takes it.
        end: time (`time.monotonic()`) at which the search has to end.
        more_time: a longer `max_time`, as the user would write it, for advice.
        prefer: "simple" or "score", see `kzoo.tune`.
        one_network: whether a mean is distilled into one network.
    """

    def __init__(
        self,
        schedule: Schedule,
        source: "Loadable | None",
        options: DataOptions,
        end: float,
        more_time: str = "",
        *,
        prefer: str = "simple",
        one_network: bool = False,
    ) -> None:
        self.schedule = schedule
        self.more_time = more_time
        self.prefer, self.one_network = prefer, one_network
        self.score, self.data = schedule.score, schedule.data
        self.folder = schedule.folder
        self.final_fit = FinalFit(schedule, source, options, end)
        self.beside: list[tuple[str, Answers]] = []  # labels and answers for the test rows

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
            self.prefer != "score"
            and not self._averages_ties
            and number != self.choice(models, storable, own)[0]
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
            and winner.complexity < models[best].complexity
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
        label, network = winner.label, ""
        if self.one_network and not self.final_fit.is_one_network(winner):
            tested, label, network = self.final_fit.write_one_network(winner)
        else:
            tested = test_answers(self.final_fit.write(winner))
        self.beside = [] if tested is None else [(label, tested)]
        lead: Difference | None = None
        by_score = dict.fromkeys(scores, 0)
        result = dict(winner=WINNER, label=label, metric=self.score.metric, lines=lines)
        if winner.is_baseline and rival is not None:
            lead = self._difference(
                *(self._cross_fitted(models, n, by_score) for n in (networks, baselines))
            )
            better = "better" if self.prefer == "score" else "clearly better"
            verdict = (
                f"No network was {better} than {winner.label}: the lead of {models[rival].label} is "
                f"{points(self.score, lead)} on the judged rows."
            )
        elif baseline is None or winner.is_baseline:
            verdict = f"{winner.label} is the only kind of model that was fitted."
        elif tested is None:
            lead = self._difference(
                self._cross_fitted(models, storable, degrees),
                self._cross_fitted(models, baselines, by_score),
            )
            verdict = (
                f"{winner.label}: {lead_over(models[baseline].label, self.score, lead)} on the judged rows, where "
                "each part is judged by the choice of the others; there are no test rows."
            )
        else:
            verdict, lead = self._lead(winner, models[baseline], tested, label)
        if from_other_data:
            verdict += f" The choice is partly from other data: {self._measured_lead}."
        verdict += network + self._shortages()
        lines += self._scores_side_by_side()
        stored = None
        if lead is not None:
            low, high = lead.interval(LEVEL)
            # no interval of forecasts from a single origin
            stored = finite(dict(mean=lead.mean, low=low, high=high))
        return result | dict(verdict=verdict, difference=stored)

    def _reason(self, winner: Model, *, from_other_data: bool) -> str:
        """Return why a model is the winner although its lead is not clear, as the end of a sentence."""
        if self.prefer == "score":
            return "; as asked for, the highest score wins"
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
        ] + [f"{candidate.label} (not begun)" for candidate in self.schedule.not_begun]
        return (
            f" More time may change the choice, as it was short for {', '.join(short)}."
            if short
            else ""
        )

    def _scores_side_by_side(self) -> list[str]:
        """Return a line with several scores on the test rows, where the task has such; else none."""
        if not self.beside or not self.data.problem.task.side_by_side:
            return []
        texts = (f"{label} {self.score.side_by_side(answers)}" for label, answers in self.beside)
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

        Of forecasts that tie, the mean is among the models, and the highest score wins, as where it is preferred.
        """
        lead = self._measured_lead
        return {
            n: 0
            if self._averages_ties or self.prefer == "score"
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

    def _store_baseline(self, fitted: Fitted, scores: Scores) -> None:
        """Store the scores of the best baseline on the test rows with a winner that has no baselines of its own."""
        file = self.folder / WINNER / "summary.json"
        summary = read_json(file)
        if summary.get("baselines"):
            return
        result = Result(
            name=fitted.name,
            label=fitted.label,
            reference=fitted.reference,
            split="test",
            metric=metric_of(self.data, scores),
            scores=scores,
            seconds=fitted.seconds,
            notes=fitted.notes,
            rows=fitted.rows,
        )
        write_json(file, summary | {"baselines": [finite(summary_of(result))]})

    def _lead(
        self, winner: Model, baseline: Model, answers: Answers, label: str
    ) -> tuple[str, Difference]:
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
            raise KzooError(f"{label} and {baseline.label} read different test rows.")
        self.beside.append((baseline.label, other))
        groups = groups_of(self.data.test, answers.rows)
        targets = None
        if self.score.learns:
            of_winner, of_baseline = (
                self.score.learned(list(model.answers.values())) for model in (winner, baseline)
            )
            targets = of_winner, of_baseline
        self._store_baseline(fitted, self.score.scores(other, targets and targets[1]))
        difference = self.score.difference([answers], [other], groups, targets=targets)
        text = lead_over(baseline.label, self.score, difference)
        return f"{label}: {text} on {plural(len(answers.truth), 'test row')}.", difference
