"""How a search goes: a live table on a terminal or in a notebook, a plain line for each trial elsewhere. On stderr."""

import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kzoo.tuning.records import FINISHED, Trial, best_of
from kzoo.tuning.spaces.entry import shown
from kzoo.utils.formatting import duration, plural, spelled

_ROWS = 12  # of the live table


@dataclass(frozen=True)
class _Running:
    """The trial that is being trained: since when (`time.monotonic()`), its last epoch and the value there."""

    trial: Trial
    began: float
    epoch: int = 0
    value: float | None = None


class Progress:
    """Show trials, the best so far and the time left.

    Args:
        plan: a `Plan`.
        deadline: time (`time.time()`) at which the budget ends, or None.
        silent: show nothing.
        stream: where to write; the default is stderr.
    """

    def __init__(self, plan, *, deadline=None, silent=False, stream=None):
        self.plan, self.deadline, self.silent = plan, deadline, silent
        self.console = Console(file=stream or sys.stderr, highlight=False)
        drawn = self.console.is_terminal or (self.console.is_jupyter and find_spec("ipywidgets") is not None)
        self.live = None
        if drawn and not silent:
            self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.trials: list[Trial] = []
        self.running: dict[int, _Running] = {}

    def __enter__(self):
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_):
        if self.live is not None:
            self.live.stop()
            self.console.print(self._table(30))

    def say(self, line):
        """Print a line."""
        if not self.silent:
            (self.live.console if self.live is not None else self.console).print(
                spelled(line), soft_wrap=True, markup=False
            )

    def known(self, trials):
        """Say which trials there are already."""
        self.trials = list(trials)
        self.draw()

    def begin(self, trial):
        """Say that a trial begins."""
        self.running = self.running | {trial.number: _Running(trial, time.monotonic())}
        self.draw()

    def epoch(self, number, epoch, value):
        """Say that an epoch of a trial has ended."""
        if (now := self.running.get(number)) is not None:
            self.running = self.running | {number: replace(now, epoch=epoch, value=value)}
            self.draw()

    def end(self, trial):
        """Say how it ended."""
        self.trials = [*(t for t in self.trials if t.number != trial.number), trial]
        self.running = {number: now for number, now in self.running.items() if number != trial.number}
        if self.live is None:
            self.say(self._line(trial))
        self.draw()

    def draw(self):
        """Draw the table again."""
        if self.live is not None:
            self.live.update(Group(self._table(_ROWS), Text(self._foot())), refresh=True)

    def _line(self, trial):
        score = "-" if trial.score is None else f"{trial.score:.4f}"
        epoch = "" if trial.best_epoch is None else f" ({_when(trial)})"
        which = f"[{trial.number + 1} of {self.plan.trials}] trial {trial.number} {trial.status}"
        what = f"{which}: {self.plan.objective.name} {score}{epoch}"
        if trial.error:
            return f"{what}: {trial.error}"
        return f"{what}, {trial.seconds:.1f} s; {self._foot()}; {self._values(trial)}"

    def _foot(self):
        best, parts = best_of(self.trials, self.plan.objective), []
        if best is not None:
            parts.append(f"best {best.score:.4f} (trial {best.number})")
        if (left := self._left()) is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts) or "training the first trial"

    def _left(self):
        """Return the seconds left: by what a trial took so far, and no more than the budget."""
        done = sum(trial.status in FINISHED for trial in self.trials)
        mean = sum(trial.seconds for trial in self.trials) / len(self.trials) if self.trials else None
        left = None if mean is None else mean * max(self.plan.trials - done, 0) / self.plan.parallel
        budget = None if self.deadline is None else max(self.deadline - time.time(), 0.0)
        return min(left, budget) if None not in (left, budget) else budget if left is None else left

    def _table(self, rows):
        table = Table(box=None, pad_edge=False)
        for name in ("trial", "status", self.plan.objective.name, "best epoch", "seconds", "hyperparameters"):
            table.add_column(name, overflow="ellipsis", no_wrap=True)
        best = best_of(self.trials, self.plan.objective)
        for trial in sorted(self.trials, key=lambda t: t.number)[-rows:]:
            score = "" if trial.score is None else f"{trial.score:.4f}"
            style = "bold" if best is not None and trial.number == best.number else None
            table.add_row(
                str(trial.number), trial.status, score, str(trial.best_epoch or ""), f"{trial.seconds:.1f}",
                trial.error or self._values(trial), style=style,
            )  # fmt: skip
        for now in self.running.values():
            value = "" if now.value is None else f"{now.value:.4f}"
            seconds = f"{time.monotonic() - now.began:.1f}"
            table.add_row(
                str(now.trial.number),
                "running",
                value,
                f"epoch {now.epoch}",
                seconds,
                self._values(now.trial),
                style="dim",
            )
        return table

    def _values(self, trial):
        if trial.baseline:
            return self.plan.start
        return ", ".join(f"{k}={shown(v)}" for k, v in trial.hyperparameters.items())


def _when(trial):
    """Return at which epoch the score was reached."""
    if trial.folds is not None:
        how = "estimated from" if trial.status == "pruned" else "mean of"
        return f"{how} {plural(len(trial.folds), 'fold')}, epoch {trial.best_epoch} on average"
    return f"epoch {trial.best_epoch} of {trial.epochs}"
