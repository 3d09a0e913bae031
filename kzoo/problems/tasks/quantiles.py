"""Quantiles: several levels of each of the values of a row, or of each future step."""

from kzoo.problems.tasks import Problem, Score, Task
from kzoo.problems.tasks.values import TASK as VALUES

DEFAULT_LEVELS = (0.1, 0.5, 0.9)
TASK = Task(
    name="quantiles",
    room=__name__,
    facts=frozenset({"values", "kept", "quantiles"}),
    problems=(
        Problem(name="tabular_quantiles", kind="rows", hub="tabular-regression"),
        Problem(name="image_quantiles", kind="image", hub="image-regression"),
        Problem(name="text_quantiles", kind="tokens", hub="text-regression"),
        Problem(
            name="quantile_forecasting",
            kind="series",
            facts=frozenset({"ordered"}),
            hub="time-series-forecasting",
        ),
        Problem(name="sequence_quantiles", kind="series", hub="time-series-forecasting"),
    ),
    words=("quantiles",),
    option="quantiles",
    head="linear",
    losses=("pinball",),
    median_losses=("pinball",),
    metrics=(),
    objective="pinball",
    scores={
        "pinball": Score(
            best="min",
            label="pinball loss",
            short="pinball",
            ratio=True,
            own_unit=True,
            standardised="pinball_standardised",
        ),
        "pinball_standardised": Score(
            best="min",
            label="pinball loss (standardised targets)",
            short="pinball (standardised)",
            ratio=True,
        ),
        "wql": Score(best="min", label="WQL (weighted quantile loss)", short="WQL", form="digits"),
        **{name: VALUES.scores[name] for name in ("mase", "rmsse", "wape")},
        "bias": Score(
            label="bias (mean error / mean value)",
            short="bias",
            form="percent",
            objective_instead="pinball",
        ),
        "bias_interval": Score(label="95 % interval of the bias", form="interval"),
        "coverage": Score(
            label="truth within the outer quantiles",
            short="coverage",
            form="percent",
            objective_instead="pinball",
        ),
        "coverage_interval": Score(label="95 % interval of the coverage", form="interval"),
        "band_width": Score(
            best="min",
            label="mean distance of the outer quantiles",
            short="width",
            ratio=True,
            own_unit=True,
            objective_instead="pinball",
        ),
    },
    says=("pinball", "coverage", "examples"),
)
