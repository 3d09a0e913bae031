"""Checks of data, settings and network before the first epoch: one function per check, each with `@check`."""

from kzoo.checks.finding import CHECKS, Finding, Findings
from kzoo.checks.look import before_training, look

__all__ = ["CHECKS", "Finding", "Findings", "before_training", "look"]
