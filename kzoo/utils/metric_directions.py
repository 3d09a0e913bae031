"""The direction of metrics (larger or smaller is better), by their names."""

import re
from typing import Literal

# Keras guesses "min" for F1, R2, IoU and every other name it does not know; kzoo does not guess.
_LARGER_IS_BETTER = {
    "accuracy",
    "acc",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "balanced_accuracy",
    "top5",
    "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "auc",
    "roc_auc",
    "pr_auc",
    "average_precision",
    "precision",
    "recall",
    "sensitivity",
    "specificity",
    "precision_at_recall",
    "recall_at_precision",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "f1",
    "f1_score",
    "fbeta_score",
    "f_beta_score",
    "true_positives",
    "true_negatives",
    "iou",
    "binary_iou",
    "mean_iou",
    "one_hot_iou",
    "one_hot_mean_iou",
    "io_u",
    "binary_io_u",
    "mean_io_u",
    "one_hot_io_u",
    "one_hot_mean_io_u",
    "dice",
    "r2",
    "r2_score",
    "cosine_similarity",
    "pearson_correlation",
    "concordance_correlation",
    "matthews_correlation",
}
_SMALLER_IS_BETTER = {
    "loss",
    "crossentropy",
    "ce",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "kl_divergence",
    "poisson",
    "perplexity",
    "mae",
    "mse",
    "rmse",
    "mape",
    "msle",
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "log_cosh",
    "log_cosh_error",
    "logcosh",
    "huber",
    "false_positives",
    "false_negatives",
}


def direction_by_name(monitor: str) -> tuple[Literal["max", "min"] | None, str]:
    """Return the direction (None if unknown), and the prefix before the metric's name, such as the name of an output.

    Args:
        monitor: the name of a metric, with or without `val_` and the name of one of several outputs.
    """
    # Keras calls a second Precision() in a program precision_1, and metrics=["MSE"] MSE.
    # With several outputs Keras puts the output's name in front: val_cls_accuracy.
    words = re.sub(r"_\d+$", "", monitor.removeprefix("val_")).lower().split("_")
    for start in range(len(words)):
        name = "_".join(words[start:])
        output = "_".join(words[:start])
        if name in _LARGER_IS_BETTER:
            return "max", output
        if name in _SMALLER_IS_BETTER:
            return "min", output
    return None, ""
