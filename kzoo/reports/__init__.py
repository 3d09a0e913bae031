"""HTML reports of runs and searches."""

from kzoo.reports.page import report

__all__ = ["report"]
