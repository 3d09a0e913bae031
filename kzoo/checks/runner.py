"""Run all checks that apply to a subject."""

import pkgutil
from collections.abc import Collection
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from kzoo import checks
from kzoo.checks.finding import CHECKS, KINDS, Finding
from kzoo.checks.subject import Subject
from kzoo.utils.discovery import installed
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural

if TYPE_CHECKING:
    from kzoo.checks.new_data import NewData
    from kzoo.training.setup import TrainingSetup


FINDING = "Check: "  # begins the line of a warning that training prints
_SHOWN = 3  # number of warnings that training prints


def run_checks(
    subject: "Subject | NewData", kinds: Collection[str]
) -> tuple[list[Finding], list[str]]:
    """Run the checks of some kinds.

    Args:
        subject: a `Subject`; for the kind "new" a `NewData`.
        kinds: a selection of `KINDS`.

    Returns:
        (findings, names): the findings, errors first, and the names of the checks that were run.
    """
    for module in pkgutil.iter_modules(checks.__path__):  # importing a module registers its checks
        import_module(f"kzoo.checks.{module.name}")
    installed("kzoo.checks")  # imports and registers those of installed packages
    findings: list[Finding] = []
    names: list[str] = []
    for candidate in sorted(CHECKS.values(), key=lambda candidate: KINDS.index(candidate.kind)):
        broken = any(finding.level == "error" for finding in findings)
        if candidate.kind not in kinds or (candidate.kind in ("network", "steps") and broken):
            continue
        if all(getattr(subject, name) is not None for name in candidate.needs):
            names.append(candidate.name)
            findings += [
                replace(finding, check=candidate.name) for finding in candidate.function(subject)
            ]
    return sorted(findings, key=lambda finding: finding.level), names


def check_before_training(setup: "TrainingSetup", *, command: str | None) -> list[str]:
    """Run the checks that need no gradient step.

    Args:
        setup: the `TrainingSetup` that is about to be trained.
        command: the `kzoo train` command of this run, or None.

    Returns:
        A line per warning, at most three, and a line with the number of further warnings.

    Raises:
        KzooError: a check found an error.
    """
    findings, _ = run_checks(Subject.of(setup), ("settings", "data", "network"))
    full_check = (
        "kzoo.check(...)" if command is None else command.replace("kzoo train", "kzoo check", 1)
    )
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        more = f"{plural(len(errors) - 1, 'more error')}; " if errors[1:] else ""
        raise KzooError(
            f"{errors[0].what} ({errors[0].where}). {errors[0].fix} {more}{full_check} lists all; check=False trains "
            "anyway."
        )
    lines = [
        f"{FINDING}{finding.what} ({finding.where}). {finding.fix}" for finding in findings[:_SHOWN]
    ]
    hidden = len(findings) - _SHOWN
    return lines + ([f"{FINDING}{hidden} more, listed by {full_check}"] if hidden > 0 else [])
