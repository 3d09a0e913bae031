"""Losses and metrics of each task, with Keras."""
