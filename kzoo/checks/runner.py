"""Run the checks: all that mean something for what is looked at."""

import pkgutil
from dataclasses import replace
from importlib import import_module

from kzoo import checks
from kzoo.checks.finding import CHECKS, KINDS, Finding
from kzoo.checks.subject import Subject
from kzoo.utils.discovery import installed
from kzoo.utils.errors import KzooError

_SHOWN = 3  # warnings that training prints


def run_checks(subject, kinds) -> tuple:
    """Run the checks of these kinds.

    Args:
        subject: a `Subject`; for the kind "new" a `NewData`.
        kinds: out of `KINDS`.

    Returns:
        (findings, names): errors first, and the names of the checks that were run.
    """
    for module in pkgutil.iter_modules(checks.__path__):  # each puts its checks into the table
        import_module(f"kzoo.checks.{module.name}")
    installed("kzoo.checks")  # so do modules of installed packages, which are imported here
    findings: list[Finding] = []
    names: list[str] = []
    for one in sorted(CHECKS.values(), key=lambda c: KINDS.index(c.kind)):
        broken = any(f.level == "error" for f in findings)
        if one.kind not in kinds or (one.kind in ("network", "steps") and broken):
            continue
        if all(getattr(subject, name) is not None for name in one.needs):
            names.append(one.name)
            findings += [replace(found, check=one.name) for found in one.function(subject)]
    return sorted(findings, key=lambda f: f.level), names


def check_before_training(job, *, command) -> list:
    """Run the checks that need no gradient step.

    Args:
        job: what is about to be trained, a network ready to fit.
        command: the `kzoo train` command of this run, or None.

    Returns:
        A line for each warning, at most three of them and one more that counts the rest.

    Raises:
        KzooError: a check found an error.
    """
    findings, _ = run_checks(Subject.of(job), ("settings", "data", "network"))
    everything = "kzoo.check(...)" if command is None else command.replace("kzoo train", "kzoo check", 1)
    errors = [found for found in findings if found.level == "error"]
    if errors:
        more = f"{len(errors) - 1} more errors; " if errors[1:] else ""
        raise KzooError(
            f"{errors[0].what} ({errors[0].where}). {errors[0].fix} {more}{everything} shows all; check=False trains "
            "all the same."
        )
    lines = [f"Check: {found.what} ({found.where}). {found.fix}" for found in findings[:_SHOWN]]
    rest = len(findings) - _SHOWN
    return lines + ([f"Check: and {rest} more: {everything}"] if rest > 0 else [])
