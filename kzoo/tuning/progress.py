"""Progress of a search on stderr: a live table in a terminal or a notebook, otherwise one line per trial."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kzoo.tuning.records import FINISHED, Trial, best_of
from kzoo.tuning.spaces.entry import format_value
from kzoo.utils import notebook
from kzoo.utils.formatting import duration, plural, spelled

if TYPE_CHECKING:
    from kzoo.tuning.plan import Plan


_ROWS = 12  # rows of the live table
_LAST_ROWS = 30  # rows of the table that remains
_DRAW_INTERVAL = 0.2  # seconds between two drawings in a notebook


@dataclass(frozen=True)
class _Running:
    """A running trial: its start (`time.monotonic()`), its last epoch and the objective there."""

    trial: Trial
    started: float
    epoch: int = 0
    value: float | None = None


class Progress:
    """Show trials, the best score so far and the time left.

    Args:
        plan: a `Plan`.
        deadline: time (`time.time()`) at which the budget ends, or None.
        silent: show nothing.
        stream: where to write; the default is stderr.
    """

    def __init__(
        self,
        plan: "Plan",
        *,
        deadline: float | None = None,
        silent: bool = False,
        stream: TextIO | None = None,
    ):
        self.plan, self.deadline, self.silent = plan, deadline, silent
        self.console = Console(file=stream or sys.stderr, highlight=False)
        self.live = self.display = None
        self.last_drawn = 0.0
        if self.console.is_jupyter and stream is None:
            self.display = None if silent else notebook.Display()
        elif self.console.is_terminal and not silent:
            self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.trials: list[Trial] = []
        self.running: dict[int, _Running] = {}

    def __enter__(self) -> "Progress":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()
            self.console.print(self._table(_LAST_ROWS))
        if self.display is not None and self.trials:
            self._show(self.display, _LAST_ROWS)

    def write(self, line: str) -> None:
        """Print a line."""
        if self.display is not None:
            notebook.print_lines([spelled(line)])
        elif not self.silent:
            (self.live.console if self.live is not None else self.console).print(
                spelled(line), soft_wrap=True, markup=False
            )

    def restore(self, trials: Iterable[Trial]) -> None:
        """Show the trials of a resumed search."""
        self.trials = list(trials)
        self.draw()

    def start_trial(self, trial: Trial) -> None:
        """Show that a trial starts."""
        self.running = self.running | {trial.number: _Running(trial, time.monotonic())}
        self.draw()

    def epoch(self, number: int, epoch: int, value: float) -> None:
        """Show the value that the objective had after an epoch of a trial."""
        if (running := self.running.get(number)) is not None:
            self.running = self.running | {number: replace(running, epoch=epoch, value=value)}
            self.draw()

    def end_trial(self, trial: Trial) -> None:
        """Show the outcome of a trial."""
        self.trials = [*(t for t in self.trials if t.number != trial.number), trial]
        self.running = {
            number: running for number, running in self.running.items() if number != trial.number
        }
        if self.live is None and self.display is None:
            self.write(self._line(trial))
        self.draw()

    def draw(self) -> None:
        """Redraw the table."""
        if self.live is not None:
            self.live.update(Group(self._table(_ROWS), Text(self._footer())), refresh=True)
        if self.display is not None and time.monotonic() - self.last_drawn > _DRAW_INTERVAL:
            self.last_drawn = time.monotonic()
            self._show(self.display, _ROWS)

    def _show(self, display: notebook.Display, rows: int) -> None:
        """Draw the table in a notebook."""
        done = f"{len(self.trials)} of {self.plan.trials} trials"
        table = notebook.table(self._heads(), [cells for cells, _ in self._rows(rows)])
        display.show(notebook.card(done, table, note=self._footer()), f"{done}, {self._footer()}")

    def _line(self, trial: Trial) -> str:
        score = "-" if trial.score is None else f"{trial.score:.4f}"
        epoch = "" if trial.best_epoch is None else f" ({_epoch_text(trial)})"
        prefix = f"[{trial.number + 1} of {self.plan.trials}] trial {trial.number} {trial.status}"
        line = f"{prefix}: {self.plan.objective.name} {score}{epoch}"
        if trial.error:
            return f"{line}: {trial.error}"
        return f"{line}, {trial.seconds:.1f} s; {self._footer()}; {self._point_text(trial)}"

    def _footer(self) -> str:
        best = best_of(self.trials, self.plan.objective)
        texts = []
        if best is not None:
            texts.append(f"best {best.score:.4f} (trial {best.number})")
        if remaining := self._seconds_left():
            texts.append(f"about {duration(remaining)} left")
        return ", ".join(texts) or "training the first trial"

    def _seconds_left(self) -> float | None:
        """Return the estimated seconds left by the mean time of a trial, at most the budget; None if unknown."""
        finished = sum(trial.status in FINISHED for trial in self.trials)
        mean = (
            sum(trial.seconds for trial in self.trials) / len(self.trials) if self.trials else None
        )
        remaining = (
            None
            if mean is None
            else mean * max(self.plan.trials - finished, 0) / self.plan.parallel
        )
        budget = None if self.deadline is None else max(self.deadline - time.time(), 0.0)
        return min(
            (seconds for seconds in (remaining, budget) if seconds is not None), default=None
        )

    def _heads(self) -> tuple[str, ...]:
        return (
            "trial",
            "status",
            self.plan.objective.name,
            "best epoch",
            "seconds",
            "hyperparameters",
        )

    def _rows(self, most: int) -> list[tuple[tuple[str, ...], str | None]]:
        """Return (cells, style) of the last trials and of those that are running."""
        best = best_of(self.trials, self.plan.objective)
        rows: list[tuple[tuple[str, ...], str | None]] = []
        for trial in sorted(self.trials, key=lambda t: t.number)[-most:]:
            cells = (
                str(trial.number),
                trial.status,
                "" if trial.score is None else f"{trial.score:.4f}",
                str(trial.best_epoch or ""),
                f"{trial.seconds:.1f}",
                trial.error or self._point_text(trial),
            )
            rows.append(
                (cells, "bold" if best is not None and trial.number == best.number else None)
            )
        for running in self.running.values():
            cells = (
                str(running.trial.number),
                "running",
                "" if running.value is None else f"{running.value:.4f}",
                f"epoch {running.epoch}",
                f"{time.monotonic() - running.started:.1f}",
                self._point_text(running.trial),
            )
            rows.append((cells, "dim"))
        return rows

    def _table(self, most: int) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in self._heads():
            table.add_column(name, overflow="ellipsis", no_wrap=True)
        for cells, style in self._rows(most):
            table.add_row(*cells, style=style)
        return table

    def _point_text(self, trial: Trial) -> str:
        if trial.baseline:
            return self.plan.start
        return ", ".join(
            f"{name}={format_value(value)}" for name, value in trial.hyperparameters.items()
        )


def _epoch_text(trial: Trial) -> str:
    """Return the epoch of the score as text."""
    if trial.folds is not None:
        source = "estimated from" if trial.status == "pruned" else "mean of"
        return f"{source} {plural(len(trial.folds), 'fold')}, epoch {trial.best_epoch} on average"
    return f"epoch {trial.best_epoch} of {trial.epochs}"
