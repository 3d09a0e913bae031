"""Checks of data, settings and network before the first epoch: one function per check, each with `@check`."""

from kzoo.checks.finding import CHECKS, Finding, Findings
from kzoo.checks.runner import FINDING, check_before_training, run_checks

__all__ = ["CHECKS", "FINDING", "Finding", "Findings", "check_before_training", "run_checks"]
