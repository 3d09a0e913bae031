"""Learning on a logarithmic scale: the choice of the loss, and the correction that makes predictions means.

A network that is trained on the squared error of logarithms predicts the median of a right-skewed target, not its mean.
After training, the bias of its last layer is shifted so that the mean of the predictions on validation rows is that of
the truth. On training rows, the residuals of a network that overfits are too small for it. The mean ratio of truth and
prediction, the smearing estimate (Duan, 1983, https://doi.org/10.1080/01621459.1983.10478017), is too large on
validation rows, because the errors of the network increase it as the noise does.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines.baseline import Unfit
from kzoo.baselines.data import BaselineData
from kzoo.baselines.rows import ridge
from kzoo.data.pipeline import Batches
from kzoo.data.sample import even_sample, sample_dataset, sample_split
from kzoo.problems.kinds import kind
from kzoo.problems.tasks import Pairs
from kzoo.training.score import forward
from kzoo.utils.errors import KzooError
from kzoo.utils.files import whole_file
from kzoo.utils.formatting import number
from kzoo.zoo.families.protocol import OUTPUTS, layer_with

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset, Split
    from kzoo.training.setup import TrainingSetup


_MOST_ROWS = 50_000  # rows from which the choice and the correction are learned
_FEWEST_ROWS = 50  # validation rows; fewer are too noisy to correct by, and training rows are used
_BLOCK = 1_000_000  # target values read at once


def check_loss(loss: str, data: "Dataset") -> None:
    """Check that a target can be learned on a logarithmic scale.

    Args:
        loss: one of the task's losses that need positive targets.
        data: the `Dataset`.

    Raises:
        KzooError: the data is not a table, a target is 0 or negative, or there is no validation data to choose on.
    """
    if not kind(data.inputs).is_table:
        raise KzooError(
            f"is for tables, and {data.name} has {data.inputs} as inputs. Use loss='mse'.",
            argument="loss",
            value=loss,
        )
    for name in ("train", "validation", "test"):
        part = getattr(data, name)
        count = 0 if part is None else len(part)
        for start in range(0, count, _BLOCK):
            y = np.asarray(part.y[start : min(start + _BLOCK, count)])
            if len(y) and y.min() <= 0:
                raise KzooError(
                    f"needs targets above 0, but {data.name} has {y.min():g}. Use loss='mse'; or "
                    "task='count' for whole numbers, 0 or more.",
                    argument="loss",
                    value=loss,
                )


def choose_loss(data: "Dataset", *, names: Sequence[str] = ("mse", "log_mse")) -> tuple[str, str]:
    """Return the loss for predicting means: squared error, or squared error of logarithms; and a note about it.

    Ridge regression is fitted on both scales, that of logarithms with the smearing estimate. The scale is chosen by the
    gamma deviance on validation data: its optimum is the mean, as that of the squared error, which a few large targets
    would decide.

    Args:
        data: a `Dataset` with a validation split and positive targets.
        names: of the two losses.

    Raises:
        KzooError: there is no validation data.
    """
    if data.validation is None or not len(data.validation):
        plain, log = names
        raise KzooError(
            f"The choice of the loss is made on validation data, and there is none. Set validation=0.1, or choose one: "
            f"loss={plain!r} or loss={log!r}."
        )
    data = sample_dataset(data)
    deviances = {name: _validation_deviance(data, name == names[1]) for name in names}
    chosen = min(deviances, key=deviances.__getitem__)
    texts = [f"{number(deviances[name])} with loss={name!r}" for name in names]
    return chosen, (
        f"loss={chosen!r}, chosen on validation data: ridge regression has a gamma deviance of {' and '.join(texts)}."
    )


def _validation_deviance(data: "Dataset", logarithms: bool) -> float:
    """Return the mean gamma deviance of ridge regression on validation data.

    Predictions below the smallest training target, which may be negative, count as that.
    """
    assert data.validation is not None
    truth = np.asarray(data.validation.y[:], "float64")
    if logarithms:
        parts = {name: getattr(data, name) for name in ("train", "validation")}
        logs = {
            name: replace(part, y=np.log(np.asarray(part.y[:], "float64")))
            for name, part in parts.items()
        }
        learned = replace(data, **logs)
        predict = _ridge(learned)
        (residuals, weight), limit = _residuals(predict, learned.train), 50.0
        factor = np.average(np.exp(np.clip(residuals, -limit, limit)), axis=0, weights=weight)
        means = np.exp(np.clip(_outputs(predict, logs["validation"]), -limit, limit)) * factor
    else:
        means = _outputs(_ridge(data), data.validation)
    ratio = truth / np.maximum(means.reshape(truth.shape), np.min(data.train.y[:], axis=0))
    return float(
        np.average(2 * (ratio - np.log(ratio) - 1).mean(axis=-1), weights=data.validation.weight)
    )


def _ridge(data: "Dataset") -> "Callable[[Split], Pairs]":
    try:
        return ridge(BaselineData(data, most=_MOST_ROWS))
    except Unfit as reason:  # pragma: no cover
        raise KzooError(
            f"The loss cannot be chosen: {reason}. Set loss='mse' or loss='log_mse'."
        ) from None


def _outputs(predict: "Callable[[Split], Pairs]", part: "Split") -> np.ndarray:
    return np.concatenate([outputs for outputs, _ in predict(part)]).astype("float64")


def _residuals(
    predict: "Callable[[Split], Pairs]", part: "Split"
) -> tuple[np.ndarray, np.ndarray | None]:
    pairs = list(predict(part))
    outputs, truth = (
        np.concatenate(column).astype("float64") for column in zip(*pairs, strict=True)
    )
    return (truth - outputs.reshape(truth.shape)), part.weight


def correct_files(setup: "TrainingSetup", folder: Path, *, batch_size: int) -> list[float]:
    """Correct the network in memory, which has the best weights, and the files of a run; return the factors.

    Args:
        setup: the `TrainingSetup`, after training.
        folder: the run's folder.
        batch_size: examples per step.
    """
    factors = correct(setup, batch_size=batch_size)
    save_model(setup, folder / "best.keras")
    if (last := folder / "last.keras").is_file():
        best = setup.model.get_weights()
        setup.model.load_weights(last)
        correct(setup, batch_size=batch_size)
        save_model(setup, last)
        setup.model.set_weights(best)
    return factors


def save_model(setup: "TrainingSetup", file: Path) -> None:
    """Write the model that is saved, with its current weights, to a file of a run, whole or not at all."""
    with whole_file(file) as temporary:
        setup.save(temporary)


def correct(setup: "TrainingSetup", *, batch_size: int) -> list[float]:
    """Shift the bias of the last layer so that the mean prediction is the mean of the truth; return the factors.

    The means are those of validation rows, or of training rows if there are too few.

    Args:
        setup: the `TrainingSetup`.
        batch_size: examples per step.
    """
    part = even_sample(_correction_rows(setup.data), _MOST_ROWS)
    model = setup.saved_weights()
    batches = Batches(part, batch_size=batch_size)
    pairs = []
    for step in range(len(batches)):
        x, y = batches.batch(0, step)[:2]
        predicted = forward(model, x, min(batch_size, len(part))).astype("float64")
        pairs.append((np.asarray(y, "float64"), predicted.reshape(np.shape(y))))
    truth, means = (
        np.average(np.concatenate(column), axis=0, weights=part.weight)
        for column in zip(*pairs, strict=True)
    )
    factors = truth / means  # (targets,)
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise KzooError(
            "The model's outputs are not finite: its weights became NaN or infinite in training."
        )
    layer = layer_with(setup.model, OUTPUTS)
    *weights, bias = layer.get_weights()
    layer.set_weights([*weights, bias + np.log(factors).astype(bias.dtype)])
    return factors.tolist()


def _correction_rows(data: "Dataset") -> "Split":
    """Return the split from which the correction is learned."""
    validation = sample_split(data.validation)
    if validation is not None and len(validation) >= _FEWEST_ROWS:
        return validation
    return sample_split(data.train)
