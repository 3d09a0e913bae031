"""The report: one page that says of a run what a careful person would ask."""

from kzoo.reports.page import report

__all__ = ["report"]
