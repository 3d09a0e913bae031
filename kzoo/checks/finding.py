"""`Finding`, and the table of checks that `@check` fills."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kzoo.utils.formatting import listed, plural

# What a check looks at, in the order in which they run. A check of a later kind has no meaning on empty data, and
# the network is not run on data that a check has found to be wrong.
KINDS = ("settings", "data", "network", "steps", "new")

CHECKS: dict[str, "Check"] = {}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check has to say.

    Args:
        level: "error" (training would be worth nothing) or "warning".
        what: one plain line.
        where: split, row, column, layer or setting; rows of a split and of new data count from 0, those of the whole
            table from 1, as in other messages.
        why: why it matters.
        fix: what to do.
        check: name of the check.
    """

    level: str
    what: str
    where: str
    why: str
    fix: str
    check: str = ""

    def __repr__(self) -> str:
        return f"<{self.level}: {self.what} ({self.where})>"


class Findings(list[Finding]):
    """What `kzoo.check` found: a list, errors first.

    Args:
        overview: how the data was read, as plain data (see `kzoo.dataset.summary`); None for new data, which is only
            compared.

    Attributes:
        baselines: of data alone: what needs no network, best first (see `kzoo.baselines.Result`); else None.
        presets: of data alone: those to try, as plain data (see `kzoo.results.suggest.ranked`); else None.
    """

    baselines: Any = None
    presets: list[dict[str, Any]] | None = None

    def __init__(self, findings: Iterable[Finding] = (), overview: dict[str, Any] | None = None) -> None:
        super().__init__(findings)
        self.overview = overview

    def __repr__(self) -> str:
        """A line for each finding, and one for what to do; of data alone also the baselines and the presets to try."""
        lines = [plural(len(self), "finding") if self else "No findings."]
        for found in self:
            lines += [f"  {found.level}: {found.what} ({found.where}). {found.why}", f"    fix: {found.fix}"]
        scored = [one for one in self.baselines or () if one.value is not None]
        if scored:
            said = (f"{one.label} {one.value:.4g}" for one in scored)
            lines.append(f"  without a network: {', '.join(said)} ({scored[0].metric}, {scored[0].split})")
        if self.presets:
            lines.append(f"  presets to try: {listed(one['preset'] for one in self.presets)}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check: a function of what it looks at that yields findings.

    Args:
        name: the function's.
        function: takes a `Subject` (kind "new": a `NewData`) and yields findings.
        kind: one of `KINDS`.
        needs: attributes that must not be None for the check to have a meaning.
    """

    name: str
    function: Callable
    kind: str
    needs: tuple


def check(kind, *needs):
    """Put a function into the table of checks.

    Args:
        kind: one of `KINDS`: "settings" reads no data, "data" no network, "network" runs it forward on a few
            rows, "steps" takes gradients; "new" compares new data with what a run was trained on.
        needs: attributes of what it looks at without which the check is left out.
    """
    assert kind in KINDS, kind

    def register(function):
        assert function.__name__ not in CHECKS, f"two checks are called {function.__name__}"
        CHECKS[function.__name__] = Check(name=function.__name__, function=function, kind=kind, needs=needs)
        return function

    return register


def error(what, *, where, why, fix):
    """Return a finding that stops training."""
    return Finding(level="error", what=what, where=where, why=why, fix=fix)


def warning(what, *, where, why, fix):
    """Return a finding that does not stop training."""
    return Finding(level="warning", what=what, where=where, why=why, fix=fix)
