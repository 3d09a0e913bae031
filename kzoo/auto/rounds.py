"""`Rounds`: what is fitted after the first choice, as long as it gains."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.auto.candidates import Candidate
from kzoo.auto.choice import mean_difference
from kzoo.auto.contender import Contender
from kzoo.auto.mean import cross_fitted, losses_of_rows
from kzoo.auto.scoring import Answers
from kzoo.tuning.engines.base import random_points
from kzoo.tuning.spaces.space import space
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.auto.schedule import Schedule

SLOWER = 1.2  # how much longer than the first part another part may take
_MOST_SEARCHED = 2  # presets of which other settings are fitted
_MOST_VARIANTS = 24  # other settings of a preset
_VARIANTS_EACH_ROUND = 2
_MOST_REPEATS = 5  # divisions into folds; seeds of a network where there are no folds
_MOST_REPEATS_OF_CLOSED_FORM = 10  # divisions into folds of networks that are fitted in moments
_SHARE_OF_CLOSED_FORM = 0.5  # of the time that is left, for these
_FEW_ROWS = 3_000  # up to which one division hardly tells them apart


class Rounds:
    """Rounds of fits after the first choice: other settings of the best presets, and the best once more.

    Args:
        schedule: the `Schedule`, whose candidates are fitted and judged.
        seed: of the settings that are drawn.
    """

    def __init__(self, schedule: "Schedule", seed: int) -> None:
        self.schedule = schedule
        self.seed = seed

    def run(self) -> None:
        """Fit rounds of two sorts in turn: other settings of the best two presets, and the best once more.

        The gain of a round is that of the mean of all contenders (of forecasts, of the best contender): the mean
        difference of its losses on the same judged rows, before and after. The rounds end when the last one of each
        sort gained no more than one standard error of that difference, when the time is up, or when nothing is left to
        fit.
        """
        has_folds = self.schedule.parts.folds > 1
        if has_folds:
            self._divide_for_closed_form()
        again = self._further_divisions() if has_folds else self._further_seeds()
        sorts = [self._other_settings(), again]
        without_gain = 0
        losses, groups = self._losses()
        while sorts and without_gain < len(sorts):
            current = sorts.pop(0)
            is_new = next(current, None)
            if is_new is None or self.schedule.stopped:  # nothing is left of this sort
                continue
            sorts.append(current)
            if is_new:  # not fitted before the search was stopped
                before, (losses, _) = losses, self._losses()
                gain = mean_difference(before - losses, groups)
                without_gain = 0 if gain.mean > gain.error else without_gain + 1

    def _losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses (N,) of the mean of all contenders, of forecasts of the best, and the rows' groups (N,)."""
        parts = self._judged_parts
        contenders = self.schedule.members(self.schedule.complete(parts), parts)
        if self.schedule.data.problem.ordered:
            contenders = contenders[:1]
        answers = [self.schedule.answers_of(contender, parts) for contender in contenders]
        together = Answers.together(
            cross_fitted([[each[part] for part in parts] for each in answers], self.schedule.data)
        )
        losses = losses_of_rows(self.schedule.data, together.truth)(together.outputs)
        return losses.reshape(len(losses), -1).mean(axis=1), self.schedule.groups(together)

    @property
    def _judged_parts(self) -> Sequence[int]:
        """The first division into folds, or the first part if no network has all of its folds."""
        first = range(self.schedule.parts.folds)
        networks = [
            each for each in self.schedule.complete(first) if not each.candidate.is_baseline
        ]
        return first if networks else [0]

    def _best_networks(self, parts: Iterable[int]) -> list[Contender]:
        """Return the best setting of each of the best two presets that were judged on some parts, best first."""
        parts = list(parts)
        ranked = sorted(
            self.schedule.complete(parts),
            key=lambda each: self.schedule.mean_score(each, parts),
            reverse=True,
        )
        best: dict[str, Contender] = {}
        for contender in ranked:
            if not contender.candidate.is_baseline:
                best.setdefault(contender.candidate.name, contender)
        return [*best.values()][:_MOST_SEARCHED]

    def _other_settings(self) -> Iterator[bool]:
        """Fit other settings of the best two presets, on all parts if they are better on the first.

        Yields:
            After each round, whether anything was fitted in it; it ends when no time or no setting is left.
        """
        schedule = self.schedule
        waiting: dict[str, list[dict[str, Any]]] = {}
        while not schedule.stopped:
            variants: list[tuple[Contender, Contender]] = []  # with the best setting of the preset
            for best in self._best_networks(self._judged_parts):
                preset = replace(best.candidate, overrides={}, seed=0)
                settings = waiting.setdefault(preset.name, _points(preset, self.seed))
                for overrides in settings[:_VARIANTS_EACH_ROUND]:
                    variant = schedule.contender(replace(preset, overrides=overrides))
                    variant.limit = variant.limit or best.limit
                    variants.append((variant, best))
                del settings[:_VARIANTS_EACH_ROUND]
            new = [best.seconds[0] for variant, best in variants if 0 not in variant.answers]
            if not variants or (new and SLOWER * max(new) > schedule.left):
                return
            before = schedule.fits
            schedule.fit([(variant, 0) for variant, _ in variants], lambda each: each.limit)
            for variant, best in variants:
                if schedule.mean_score(variant, [0]) > schedule.mean_score(best, [0]):
                    schedule.finish(variant, range(schedule.parts.folds))
                elif variant.answers and variant.trial.status != "pruned":
                    schedule.stop(variant)
            yield schedule.fits > before

    def _divide_for_closed_form(self) -> None:
        """Judge the best networks in closed form, and the best baselines, on ten divisions, as half of the time allows.

        Each costs little, and where rows are few, one division hardly tells them apart.
        """
        networks = self._best_networks(self._judged_parts)
        few = self.schedule.parts.rows <= _FEW_ROWS
        if few and networks and networks[0].in_closed_form:
            least = (1 - _SHARE_OF_CLOSED_FORM) * self.schedule.left
            for _ in self._further_divisions(_MOST_REPEATS_OF_CLOSED_FORM, least):
                pass

    def _further_divisions(
        self, most: int = _MOST_REPEATS, least: float | None = None
    ) -> Iterator[bool]:
        """Judge the best baselines and networks on further divisions into folds, each with its own seed.

        Args:
            most: number of divisions, with the first.
            least: seconds that networks in closed form, which alone are judged then, have to leave; None for all
                networks.

        Yields:
            After each division, whether anything was fitted; it ends when there is no time for a whole division.
        """
        schedule, folds = self.schedule, self.schedule.parts.folds
        for number in range(1, most):
            judged = range(number * folds)
            baselines = sorted(
                (each for each in schedule.complete(judged) if each.candidate.is_baseline),
                key=lambda each: schedule.mean_score(each, each.answers),
                reverse=True,
            )
            networks = self._best_networks(judged)
            if least is not None:
                networks = [each for each in networks if each.in_closed_form]
            new = range(number * folds, (number + 1) * folds)
            while networks:  # both of them, or the best, as the time allows
                jobs = [(each, part) for each in [*baselines[:2], *networks] for part in new]
                fits = [(each, part) for each, part in jobs if part not in each.answers]
                needed = SLOWER * sum(each.part_seconds for each, _ in fits)
                if needed / schedule.pool.slots <= schedule.left - (least or 0.0):
                    break
                networks = networks[:-1]
            if schedule.stopped or not networks:
                return
            before = schedule.fits
            schedule.fit(jobs, lambda each: SLOWER * each.part_seconds + 1.0)
            yield schedule.fits > before

    def _further_seeds(self) -> Iterator[bool]:
        """Fit the best networks with another seed, where all candidates are judged on one split.

        A mean of forecasts has each preset once, so that these have no further seeds.

        Yields:
            After each seed, whether anything was fitted; it ends when there is no time for another one.
        """
        schedule = self.schedule
        for number in range(1, 1 if schedule.data.problem.ordered else _MOST_REPEATS):
            again: list[Contender] = []
            needed = 0.0
            for best in self._best_networks(self._judged_parts):
                if not best.in_closed_form:
                    contender = schedule.contender(replace(best.candidate, seed=number))
                    contender.limit = contender.limit or best.limit
                    needed += 0.0 if contender.answers else best.seconds[0]
                    again.append(contender)
            if (
                schedule.stopped
                or not again
                or SLOWER * needed / schedule.pool.slots > schedule.left
            ):
                return
            before = schedule.fits
            schedule.fit([(contender, 0) for contender in again], lambda each: each.limit)
            yield schedule.fits > before


def _points(candidate: Candidate, seed: int) -> list[dict[str, Any]]:
    """Return settings near those of a preset, drawn from its quick search space."""
    try:
        drawn_from = space(candidate.preset, "quick")
    except KzooError:
        return []
    overrides = [
        drawn_from.overrides(values) for values in random_points(drawn_from, seed, _MOST_VARIANTS)
    ]
    return [changed for changed in overrides if changed]
