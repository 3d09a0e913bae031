"""Hyperparameter search: the spaces of the presets, and what is searched in them."""
