"""Explanations of predictions: which columns a model uses, and why it predicts a number for a row or a text.

The calculations take a function from encoded inputs to predictions, and NumPy only, so that runs, exported models and
the server share them. `kzoo.evaluation.explain` explains runs, `kzoo.runtime` exported models.

    permutation.py      importance of columns, with intervals over rows and repeats
    association.py      columns that contain the same information, which are permuted together
    dependence.py       mean prediction by the value of a column
    shapley.py          what each column adds to the prediction of a row
    words.py            what each word adds to the prediction of a text
    background.py       rows that a row is compared with
    outputs.py          the numbers that are explained
    explanation.py      `Explanation`: fields, text, HTML, plots
"""

from kzoo.inference.explanations.explanation import (
    Dependence,
    Explanation,
    Importance,
    Reason,
    Reasons,
)

__all__ = ["Dependence", "Explanation", "Importance", "Reason", "Reasons"]
