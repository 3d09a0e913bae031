"""Targets: labels, values, weights, repairs."""
