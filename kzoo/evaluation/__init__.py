"""Scores and predictions of trained models."""

from kzoo.evaluation.check import check
from kzoo.evaluation.comparison import compare_runs
from kzoo.evaluation.cross_validate import cross_validate
from kzoo.evaluation.ensemble import ensemble
from kzoo.evaluation.evaluate import evaluate
from kzoo.evaluation.explain import explain
from kzoo.evaluation.generate import generate
from kzoo.evaluation.learning_rate import learning_rate_range
from kzoo.evaluation.predict import predict
from kzoo.inference.predictions import Predictions

__all__ = [
    "Predictions",
    "check",
    "compare_runs",
    "cross_validate",
    "ensemble",
    "evaluate",
    "explain",
    "generate",
    "learning_rate_range",
    "predict",
]
