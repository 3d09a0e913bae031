"""Scores and predictions of trained models."""

from kzoo.evaluation.evaluate import evaluate
from kzoo.evaluation.predict import Predictions, predict

__all__ = ["Predictions", "evaluate", "predict"]
