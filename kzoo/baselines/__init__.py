"""The simplest things that work: what any network on the same data has to beat. NumPy and scikit-learn, in seconds.

    data = kzoo.load_data("churn.csv", target="churned")
    for one in kzoo.baselines.score(data):
        print(one.name, one.value)

A baseline is a function with `@baseline`, found by listing this folder: it says which facts of kind and task it needs,
what it is after, and how long it takes. It learns from training rows alone and chooses on validation rows alone.
"""

from kzoo.baselines.baseline import Baseline, Result, list_baselines
from kzoo.baselines.score import score

__all__ = ["Baseline", "Result", "list_baselines", "score"]
