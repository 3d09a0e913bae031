"""Helpers for recipe scripts: a command line, trainings of variants, tables and figures of results.

    args = kzoo.recipes.arguments("digits_cnn", __doc__, data="digits")
    ...
    kzoo.recipes.finish(args, [kzoo.recipes.run_row(run, scores, "accuracy")], figure, folder=run.path)

This module does not import Keras: `arguments` does, as soon as it knows the backend of the script.
"""

from kzoo.recipes.rows import run_row, search_rows, variant_rows
from kzoo.recipes.script import arguments, finish
from kzoo.recipes.variants import mean_history, train_variants

__all__ = [
    "arguments",
    "finish",
    "mean_history",
    "run_row",
    "search_rows",
    "train_variants",
    "variant_rows",
]
