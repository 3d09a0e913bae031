"""Values: one or several numbers with a unit for each row, or for each future step."""

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Problem, Score, Task


def _outputs_text(config: Config, training: TrainingSettings) -> str:
    """Return what the outputs of a network are (see `Task.outputs_text`)."""
    targets = "the target" if config["outputs"] == 1 else f"{config['outputs']} targets"
    steps = f", {config['horizon']} steps ahead" if config.get("horizon") else ""
    return f"{targets}{steps}, in the unit of the training data"


TASK = Task(
    name="values",
    room=__name__,
    facts=frozenset({"values", "kept"}),
    problems=(
        Problem(name="tabular_regression", kind="rows", headline="r2"),
        Problem(
            name="forecasting",
            kind="series",
            headline="mse_standardised",
            facts=frozenset({"ordered"}),
            hub="time-series-forecasting",
        ),
        Problem(name="sequence_regression", kind="series", headline="mse"),
        Problem(name="image_regression", kind="image", headline="r2"),
        Problem(name="text_regression", kind="tokens", headline="r2"),
    ),
    words=("regression",),
    head="linear",
    loss_heads={"log_mse": "exponential", "gamma": "exponential"},
    log_losses={"log_mse": True, "gamma": False},
    median_losses=("mae", "huber"),
    loss_choices={"mse_or_log": ("mse", "log_mse")},
    losses=("mse", "mae", "huber", "log_mse", "gamma", "mse_or_log"),
    metrics=("mae", "rmse"),
    scores={
        "mae": Score(
            best="min", label="MAE", short="MAE", own_unit=True, standardised="mse_standardised"
        ),
        "rmse": Score(
            best="min",
            label="RMSE",
            short="RMSE",
            ratio=True,
            own_unit=True,
            standardised="mse_standardised",
        ),
        "mse": Score(
            best="min",
            label="MSE",
            short="MSE",
            square_of="rmse",
            own_unit=True,
            standardised="mse_standardised",
        ),
        "relative_mae": Score(
            best="min",
            label="MAE / MAE of the best baseline",
            short="relative MAE",
            objective_instead="mae",
        ),
        "r2": Score(label="R²", short="R2", form="digits"),
        "mse_standardised": Score(
            best="min", label="MSE (standardised targets)", short="MSE (standardised)"
        ),
        "mae_standardised": Score(
            best="min", label="MAE (standardised targets)", short="MAE (standardised)"
        ),
        "mase": Score(
            best="min", label="MASE (error / seasonal difference in training)", short="MASE"
        ),
        "rmsse": Score(best="min", label="RMSSE", short="RMSSE"),
        "wape": Score(
            best="min", label="WAPE (sum of errors / sum of values)", short="WAPE", form="percent"
        ),
        "bias": Score(
            label="bias (mean error / mean value)",
            short="bias",
            form="percent",
            objective_instead="mae",
        ),
        "bias_interval": Score(label="95 % interval of the bias", form="interval"),
    },
    says=("mae", "rmse", "r2", "examples"),
    predicts="numbers",
    limits=(
        "Predictions outside the range of the training data are extrapolations and may be far off.",
    ),
    limits_of_forecasts=(
        "Forecasts continue patterns of the past: changes without precedent are not predicted.",
    ),
    outputs_text=_outputs_text,
)
