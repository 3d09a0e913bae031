"""What a search makes large or small: its name, and which of the two."""

from kzoo.callbacks import direction
from kzoo.contract import metrics_for
from kzoo.errors import KzooError
from kzoo.registry import hint


def settle_objective(objective, config, training, data, *, folds=None):
    """Return (name, direction) of what is searched for.

    Args:
        objective: a name such as "val_accuracy", a pair (name, "max" or "min"), an object with `name` and `direction`
            (KerasTuner's), or None for the first of the preset's metrics. The loss is not the default, because it
            means something else with another `label_smoothing`, `l2` or `class_weight`.
        config, training: the preset's settings as they are for the data.
        data: a `Dataset`.
        folds: how many parts are cross-validated over, or None.

    Raises:
        KzooError: a value that is not reported, the wrong direction, or no validation data to take it from.
    """
    legal = ["val_loss", *(f"val_{name}" for name in metrics_for(data.task, config))]
    if objective is None:
        metrics = training.get("metrics") or ("loss",)
        objective = f"val_{metrics[0]}"
    if hasattr(objective, "name") and hasattr(objective, "direction"):
        objective = objective.name, objective.direction
    pair = isinstance(objective, tuple | list) and len(objective) == 2
    name, asked = objective if pair else (objective, None)
    if not isinstance(name, str) or asked not in (None, "max", "min"):
        raise KzooError(f"objective={objective!r} must be a name, or a pair such as ('val_accuracy', 'max').")
    if f"val_{name}" in legal:
        raise KzooError(f"objective={name!r} is of the training data, which any network can learn. Use 'val_{name}'.")
    if name not in legal:
        raise KzooError(f"objective={name!r} is not reported. {hint(name, legal)}Use one of: {', '.join(legal)}.")
    known = direction(name)
    if asked not in (None, known):
        raise KzooError(f"objective={name!r} has the direction {known!r}, not {asked!r}. Leave the direction out.")
    if data.validation is None and folds is None:
        raise KzooError(f"objective={name!r} needs validation data. Set validation=0.1, or folds=5.")
    return name, known
