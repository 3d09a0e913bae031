"""`FinalFit`: the run of the chosen model, fitted to all rows where it can be."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.auto.candidates import reader_of_baselines
from kzoo.auto.contender import Contender
from kzoo.auto.distillation import (
    describe_student,
    footprint,
    gain_over_members,
    with_soft_targets,
)
from kzoo.auto.model import Model
from kzoo.auto.schedule import Schedule, groups_of
from kzoo.auto.scoring import Answers
from kzoo.auto.statement import lead_over, test_answers
from kzoo.auto.trainer import part_folder
from kzoo.auto.winner import write_mean
from kzoo.baselines.data import as_asked
from kzoo.baselines.score import select
from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.load import load_longer
from kzoo.data.options import DataOptions
from kzoo.data.store.pooled import with_all_rows
from kzoo.training import train
from kzoo.training.baseline_run import train_baseline
from kzoo.training.max_time import counted_from
from kzoo.tuning.records import trial_folder
from kzoo.utils.errors import TimeTooShort
from kzoo.zoo.run import Run

WINNER = "winner"  # folder of the chosen model's run
TEACHER = "mean"  # of the run of a mean from which the winner is distilled


class FinalFit:
    """Fits the chosen model and writes its run.

    Args:
        schedule: the `Schedule`, which has ended.
        source, options: the data, as `kzoo.load_data` takes it.
        end: time (`time.monotonic()`) at which the search has to end.
    """

    def __init__(
        self, schedule: Schedule, source: "Loadable | None", options: DataOptions, end: float
    ) -> None:
        self.schedule, self.source, self.options, self.end = schedule, source, options, end
        self.score, self.data = schedule.score, schedule.data
        self.folder = schedule.folder

    def write(self, model: Model, name: str = WINNER) -> Run:
        """Write the run of the winner to a folder of the search, and return it."""
        folder = self.folder / name
        data = self._data_of(model)
        shutil.rmtree(folder, ignore_errors=True)  # of a search that is extended
        if model.is_baseline:
            return self.fit_baseline(
                model.contenders[0], data, folder, list(model.answers.values())
            )
        if self.schedule.parts.folds > 1 or len(model.contenders) > 1:
            members, weights = self._members(model, data)
            return write_mean(
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
        return self._train(model.contenders[0], data, folder, self.end - time.monotonic())

    def is_one_network(self, model: Model) -> bool:
        """Return whether the run of a model is a single network."""
        if len(model.contenders) > 1:
            return False
        return (
            model.is_baseline
            or model.contenders[0].in_closed_form
            or self.schedule.parts.folds == 1
        )

    def write_one_network(self, model: Model) -> tuple[Answers | None, str, str]:
        """Distil a mean into the best preset that was fitted on the same parts; see `kzoo.auto.distillation`.

        Returns:
            The answers for the test rows (None without these), the label of the network, and the end of the verdict.
        """
        folds = self.schedule.parts.folds
        parts = sorted(model.answers)
        networks = [
            contender
            for contender in self.schedule.members(
                self.schedule.complete(parts[:folds]), parts[:folds]
            )
            if not contender.candidate.is_baseline and not contender.in_closed_form
        ]
        if not networks:
            answers = test_answers(self.write(model))
            why = "no preset that learns from answers was fitted on all folds"
            return answers, model.label, f" It is not one network: {why}."
        best = networks[0]
        data = self._data_of(Model([best], np.ones(1), {}))
        folder = self.folder / WINNER
        shutil.rmtree(folder, ignore_errors=True)
        if folds == 1:
            run = self._train(best, data, folder, self.end - time.monotonic())
            why = f"{model.label} has no answers for training rows"
            text = f" It is one network, which learned from the labels alone, as {why}."
            return test_answers(run), best.candidate.text, text
        teacher = self.write(model, TEACHER)
        judged = Answers.together([model.answers[part] for part in parts[:folds]])
        soft = with_soft_targets(data, judged)
        run = self._train(best, data if soft is None else soft, folder, self.end - time.monotonic())
        label, learned = best.candidate.text, "from the labels, as only classes are distilled"
        if soft is not None:
            run = describe_student(run, teacher, data)
            label, learned = f"{label}, distilled", f"the answers of {model.label}"
        sizes = f"{footprint(run, data)} in place of {footprint(teacher, data)} of the mean"
        text = f" It is one network, which learned {learned} ({sizes})"
        answers = test_answers(run)
        of_teacher = test_answers(teacher)
        if answers is None or of_teacher is None:
            return None, label, f"{text}; without test rows, its own score is not known."
        groups = groups_of(self.data.test, answers.rows)
        path = trial_folder(self.folder, best.trial.number)
        members = [Run(part_folder(path, part) / "run") for part in range(folds)]
        over_single = gain_over_members(answers, members, data, self.score, groups)
        over_mean = self.score.difference([answers], [of_teacher], groups)
        return (
            answers,
            label,
            f"{text}: {lead_over('the mean', self.score, over_mean)} on the test rows, and "
            f"{lead_over('the networks of the folds', self.score, over_single)} each of which learned from labels.",
        )

    def fit_baseline(
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
                    self.fit_baseline(
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
