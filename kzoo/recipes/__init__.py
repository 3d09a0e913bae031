"""What recipe scripts share: a command line, trainings side by side, rows of a table, a picture that is kept.

    args = kzoo.recipes.arguments("digits_cnn", __doc__, data="digits")
    ...
    kzoo.recipes.finish(args, [kzoo.recipes.run_row(run, scores, "accuracy")], figure, folder=run.path)

Importing this imports no Keras: `arguments` does, once it knows which backend the script is for.
"""

from kzoo.recipes.rows import run_row, search_rows, variant_rows
from kzoo.recipes.script import arguments, finish
from kzoo.recipes.variants import mean_history, train_variants

__all__ = ["arguments", "finish", "mean_history", "run_row", "search_rows", "train_variants", "variant_rows"]
