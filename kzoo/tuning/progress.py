"""How a search goes: a live table on a terminal or in a notebook, a plain line for each trial elsewhere. On stderr."""

import sys
import time
from importlib.util import find_spec

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kzoo.tuning.plan import duration
from kzoo.tuning.records import ranked

_ROWS = 12  # of the live table


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
        self.records, self.current, self.trained = [], None, 0.0

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
            (self.live.console if self.live is not None else self.console).print(line, soft_wrap=True, markup=False)

    def known(self, records):
        """Say which trials there are already."""
        self.records = list(records)
        self.draw()

    def begin(self, record):
        """Say that a trial begins."""
        self.current = dict(record=record, epoch=0, value=None, began=time.monotonic())
        self.draw()

    def epoch(self, epoch, value):
        """Say that an epoch of it has ended."""
        self.current |= dict(epoch=epoch, value=value)
        self.draw()

    def end(self, record):
        """Say how it ended."""
        self.trained += time.monotonic() - self.current["began"]
        self.records = [*(r for r in self.records if r["trial"] != record["trial"]), record]
        self.current = None
        if self.live is None:
            self.say(self._line(record))
        self.draw()

    def draw(self):
        """Draw the table anew."""
        if self.live is not None:
            self.live.update(Group(self._table(_ROWS), Text(self._foot())), refresh=True)

    def _best(self):
        best = next(iter(ranked(self.records, self.plan.objective[1])), None)
        return best if best is not None and best["score"] is not None else None

    def _line(self, record):
        score = "-" if record["score"] is None else f"{record['score']:.4f}"
        epoch = "" if record["best_epoch"] is None else f" ({_when(record)})"
        which = f"[{record['trial'] + 1} of {self.plan.trials}] trial {record['trial']} {record['status']}"
        what = f"{which}: {self.plan.objective[0]} {score}{epoch}"
        if record["error"]:
            return f"{what}: {record['error']}"
        return f"{what}, {record['seconds']:.1f} s; {self._foot()}; {_values(record)}"

    def _foot(self):
        best, parts = self._best(), []
        if best is not None:
            parts.append(f"best {best['score']:.4f} (trial {best['trial']})")
        if (left := self._left()) is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts) or "training the first trial"

    def _left(self):
        """Return the seconds left: by what a trial took so far, and no more than the budget."""
        done = len([r for r in self.records if r["status"] not in ("running", "interrupted")])
        mean = sum(r["seconds"] for r in self.records) / len(self.records) if self.records else None
        left = None if mean is None else mean * max(self.plan.trials - done, 0)
        budget = None if self.deadline is None else max(self.deadline - time.time(), 0.0)
        return min(left, budget) if None not in (left, budget) else budget if left is None else left

    def _table(self, rows):
        table = Table(box=None, pad_edge=False)
        for name in ("trial", "status", self.plan.objective[0], "best epoch", "seconds", "hyperparameters"):
            table.add_column(name, overflow="ellipsis", no_wrap=True)
        best = self._best()
        for record in sorted(self.records, key=lambda r: r["trial"])[-rows:]:
            score = "" if record["score"] is None else f"{record['score']:.4f}"
            cells = (
                record["trial"],
                record["status"],
                score,
                record["best_epoch"] or "",
                f"{record['seconds']:.1f}",
            )
            style = "bold" if best is not None and record["trial"] == best["trial"] else None
            table.add_row(*map(str, cells), record["error"] or _values(record), style=style)
        if self.current is not None:
            now = self.current
            value = "" if now["value"] is None else f"{now['value']:.4f}"
            seconds = f"{time.monotonic() - now['began']:.1f}"
            table.add_row(
                str(now["record"]["trial"]), "running", value, f"epoch {now['epoch']}", seconds,
                _values(now["record"]), style="dim",
            )  # fmt: skip
        return table


def _when(record):
    """Return at which epoch the score was reached."""
    if (folds := record.get("folds")) is not None:
        count = f"{len(folds)} fold{'s' * (len(folds) > 1)}"
        how = "estimated from" if record["status"] == "pruned" else "mean of"
        return f"{how} {count}, epoch {record['best_epoch']} on average"
    return f"epoch {record['best_epoch']} of {record['epochs']}"


def _values(record):
    if record["baseline"]:
        return "the preset"
    return ", ".join(f"{k}={_short(v)}" for k, v in record["hyperparameters"].items())


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)
