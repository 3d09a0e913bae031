"""Baselines: simple models that any network on the same data should beat. NumPy and scikit-learn, in seconds.

    data = kzoo.load_data("churn.csv", target="churned")
    for result in kzoo.baselines.score(data):
        print(result.name, result.value)

    fitted = kzoo.baselines.fit(data, "trees")             # fitted.predict(data.test), fitted.network()
    run = kzoo.baselines.train("trees", data)              # a run, whose network computes the same

A baseline is a function with `@baseline`, found by listing this folder. The decorator states the facts of kind and task
that it needs, its label, a reference, and its estimated time. It learns from training rows only and makes its choices
on validation rows only.
"""

from kzoo.baselines.baseline import Baseline, Result, list_baselines
from kzoo.baselines.fitted import Fitted, fit
from kzoo.baselines.score import score
from kzoo.baselines.train import train
from kzoo.problems.tasks import Problem
from kzoo.utils.deprecation import deprecated

__all__ = ["Baseline", "Fitted", "Result", "fit", "list_baselines", "score", "train"]


def listed(problem: Problem | None = None) -> list[Baseline]:
    """Deprecated name of `list_baselines`."""
    deprecated("kzoo.baselines.listed()", use="kzoo.baselines.list_baselines()", goes="0.4")
    return list_baselines(problem)
