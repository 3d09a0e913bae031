"""`Finding`, and the registry of checks that `@check` fills."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural, spelled

# Kinds of checks, in the order in which they run. The network is not run on data in which a check has found an error.
# an attribute of a subject; None where the data or the network lacks it: checks that need it are not called then
Needed: TypeAlias = Any
Function = TypeVar("Function", bound=Callable[..., Iterable["Finding"]])

KINDS = ("settings", "data", "network", "steps", "new")

CHECKS: dict[str, "Check"] = {}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem that a check has found.

    Args:
        level: "error" (training would be useless) or "warning".
        what: the problem, in one line.
        where: split, row, column, layer or setting. Rows of a split and of new data are numbered from 0, those of the
            whole table from 1, as in other messages.
        why: why it matters.
        fix: what to do about it.
        check: name of the check.

    Examples:
        >>> y = np.arange(100) % 2
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> x[:, 2] = y  # a column that gives the class away
        >>> finding = kzoo.check("tabular_fnn", (x, y), deep=False)[0]
        >>> finding.level, finding.check, finding.where
        ('warning', 'column_gives_class_away', "train, column 'column 2'")
    """

    level: str
    what: str
    where: str
    why: str
    fix: str
    check: str = ""

    def __repr__(self) -> str:
        return f"<{self.level}: {self.what} ({self.where})>"

    def _repr_html_(self) -> str:
        return Findings([self])._repr_html_()


class Findings(list[Finding]):
    """The result of `kzoo.check`: a list of findings, errors first.

    Args:
        findings: the list.
        overview: summary of how the data was read, as plain data (see `kzoo.data.summary`); None for new data, which
            is only compared.

    Attributes:
        baselines: for data alone: the scored baselines, best first (see `kzoo.baselines.Result`); else None.
        suggested_baseline: for series to forecast alone: a baseline to try before any preset, with name, why and call
            (`kzoo.training.suggested_baseline.SuggestedBaseline`); None without one.
        presets: for data alone: suggested presets in order, dicts (see `kzoo.zoo.results.suggest.Suggestion`); else
        None.
        suspects: of a search for wrong labels: its result, a `kzoo.evaluation.wrong_labels.WrongLabels`; else None.
        learning_curve: of a learning curve: a `kzoo.evaluation.learning_curve.LearningCurve`; else None.
        retraining: of a repeated training: a `kzoo.evaluation.retrain.Retraining`; else None.

    Examples:
        >>> findings = kzoo.check("churn.csv", target="churned")
        >>> [finding.what for finding in findings if finding.level == "error"]
        []
        >>> "logistic" in [result.name for result in findings.baselines]
        True
        >>> findings.presets[0]["preset"]
        'tabular_tabm'
    """

    baselines: Any = None
    suggested_baseline: Any = None
    presets: list[dict[str, Any]] | None = None
    suspects: Any = None
    learning_curve: Any = None
    retraining: Any = None

    def __init__(
        self, findings: Iterable[Finding] = (), overview: JsonObject | None = None
    ) -> None:
        super().__init__(findings)
        self.overview = overview

    def __repr__(self) -> str:
        """Return two lines per finding, and for data alone the baselines and the suggested presets."""
        lines = [plural(len(self), "finding") if self else "No problems found."]
        for finding in self:
            lines += [
                f"  {finding.level}: {finding.what} ({finding.where}). {finding.why}",
                f"    fix: {finding.fix}",
            ]
        scored = [result for result in self.baselines or () if result.value is not None]
        if scored:
            scores = (
                f"{result.label} {' / '.join(f'{value:.4g}' for value in result.values if value is not None)}"
                for result in scored
            )
            names = " / ".join(scored[0].shown)
            lines.append(f"  baselines: {', '.join(scores)} ({names}, {scored[0].split})")
        if self.suggested_baseline is not None:
            lines.append(f"  {self.suggested_baseline}")
        if self.presets:
            lines.append(f"  presets to try: {listed(result['preset'] for result in self.presets)}")
        lines += [
            f"  {result}"
            for result in (self.suspects, self.learning_curve, self.retraining)
            if result is not None
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the findings, and for data alone the baselines and the suggested presets, for a notebook."""
        from kzoo.utils import notebook

        findings = notebook.table(
            ("level", "problem", "where", "why", "fix"),
            [[spelled(part) for part in (f.level, f.what, f.where, f.why, f.fix)] for f in self],
        )
        results = list(self.baselines or ())
        baselines = notebook.table(
            (
                "baseline",
                *(name for result in results[:1] for name in result.shown),
                "seconds",
                "remarks",
            ),
            [
                (result.label, *result.values, round(result.seconds, 1), "; ".join(result.notes))
                for result in results
            ],
        )
        names = ("preset", "score", "data", "seconds", "beside")
        presets = notebook.table(
            ("preset", "measured score", "on", "seconds", "best baseline there"),
            [[preset[name] for name in names] for preset in self.presets or ()],
        )
        split = f"Baselines on the {results[0].split} split" if results else "Baselines"
        return notebook.card(
            plural(len(self), "finding") if self else "No problems found",
            findings,
            notebook.folded(split, baselines, is_open=True),
            notebook.paragraph(self.suggested_baseline),
            notebook.folded("Presets to try", presets),
        )


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check: a function that yields findings.

    Args:
        name: of the function.
        function: takes a `Subject` (kind "new": a `NewData`) and yields findings.
        kind: one of `KINDS`.
        needs: attributes of the subject that must not be None; otherwise the check is skipped.
    """

    name: str
    function: Callable[..., Iterable[Finding]]
    kind: str
    needs: tuple[str, ...]


def check(kind: str, *needs: str) -> Callable[[Function], Function]:
    """Return a decorator that registers a function as a check.

    Args:
        kind: one of `KINDS`: "settings" reads no data, "data" no network, "network" runs the network forward on a few
            rows, "steps" computes gradients; "new" compares new data with the data that a run was trained on.
        needs: attributes of the subject that must not be None; otherwise the check is skipped.
    """
    assert kind in KINDS, kind

    def register(function: Function) -> Function:
        assert function.__name__ not in CHECKS, f"duplicate check {function.__name__}"
        CHECKS[function.__name__] = Check(
            name=function.__name__, function=function, kind=kind, needs=needs
        )
        return function

    return register


def error(what: str, *, where: str, why: str, fix: str) -> "Finding":
    """Return a finding that stops training."""
    return Finding(level="error", what=what, where=where, why=why, fix=fix)


def warning(what: str, *, where: str, why: str, fix: str) -> "Finding":
    """Return a finding that does not stop training."""
    return Finding(level="warning", what=what, where=where, why=why, fix=fix)
