"""Scores of each task."""
