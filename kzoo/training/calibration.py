"""Calibration of a trained network: temperature scaling, and the choice of a further step, on validation rows.

The temperature is folded into the last layer where that gives the same outputs, so that the model, every export and
any server of raw tensors return calibrated probabilities. Elsewhere, as in models that the user has compiled, it
becomes a postprocessing step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.data.pipeline import Batches
from kzoo.data.sample import even_sample, sample_split
from kzoo.inference.postprocessors import calibration, temperature_scaling
from kzoo.inference.postprocessors.postprocessor import Postprocessor, stage_of
from kzoo.training.mean_correction import save_model
from kzoo.training.members import Members
from kzoo.training.score import forward
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent, plural
from kzoo.zoo.families.protocol import LOG_RATIOS, MEMBERS, OUTPUT_BIAS, OUTPUTS, layer_with

if TYPE_CHECKING:
    from kzoo.data.dataset import Split
    from kzoo.training.setup import TrainingSetup


FEWEST = 20  # validation rows
_MOST = 20_000  # validation rows, evenly spaced
# numbers of a language model's outputs, which has one for each word at each step
_TOKENS = 4_000_000
_CHECKED = 64  # rows whose outputs are compared after folding
_TOLERANCE = 1e-4  # of a probability or a logit


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was learned about the probabilities of a network.

    Args:
        temperature: which logits are divided by.
        folded: whether the last layer has it, or it is 1.
        rows: number of validation rows.
        step: the postprocessing step that is to be learned: the temperature, or one that inner folds chose; or None.
    """

    temperature: float
    folded: bool
    rows: int
    step: str | None = None

    def json(self) -> JsonObject:
        """Return it as plain data, as a summary stores it."""
        stored = dict(temperature=self.temperature, folded=self.folded, rows=self.rows)
        return stored | ({"step": self.step} if self.step else {})

    def notes(self, comparison: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
        """Return a line about the temperature and what it changes.

        Args:
            comparison: name of a split -> `before_and_after`.
        """
        line = f"Calibrated on {plural(self.rows, 'validation row')}: temperature {self.temperature:.3g}"
        if not comparison:
            return [f"{line}."]
        before, after = (comparison["validation"][name] for name in ("before", "after"))
        return [
            f"{line}; log loss {number(before['log_loss'])} to {number(after['log_loss'])}, expected calibration error "
            f"{percent(before['ece'])} to {percent(after['ece'])}."
        ]


def calibrate(setup: "TrainingSetup", folder: Path, *, batch_size: int) -> Calibration | None:
    """Calibrate the network in memory, which has the best weights, and the `best.keras` of a run.

    Args:
        setup: the `TrainingSetup`, after training.
        folder: the run's folder.
        batch_size: examples per step.

    Returns:
        None without probabilities, with `calibrate="off"`, with fewer than 20 validation rows, or for ridge regression,
        which has its own temperature.
    """
    logits = setup.gives_logits
    method = setup.training.get("calibrate") or "auto"
    rows = setup.data.validation
    if not setup.data.problem.gives_probabilities or logits is None or method == "off":
        return None
    if setup.closed_form:  # leave-one-out scores of the training rows have set the temperature
        return None
    if rows is None or len(rows) < FEWEST:
        return None
    labels = setup.data.problem.separate_probabilities
    if any(
        stage_of(name) == temperature_scaling.STAGE
        for name in setup.training.get("postprocess", ())
    ):
        # the user's step calibrates
        return Calibration(temperature=1.0, folded=True, rows=len(rows))
    outputs, members, truth, weight = _validation_outputs(setup, rows, logits, batch_size)
    if not np.isfinite(outputs).all():  # scoring raises the error
        return None
    if members is not None:
        z = calibration.logits_from(members, logits=False, labels=labels)
        value = temperature_scaling.best_temperature(z, truth, labels=labels, weight=weight)
    else:
        learned = temperature_scaling.learn(
            outputs, truth, target=setup.data.target, logits=logits, weight=weight
        )
        value = learned["temperature"]
    scaling = {"temperature": value, "labels": labels}
    folded = value == 1.0
    if not folded and not setup.as_given:
        folded = _fold(setup, rows, scaling, logits=logits)
        if folded:
            save_model(setup, folder / "best.keras")
    step = None if folded else "temperature_scaling"
    if (
        folded
        and method == "auto"
        and setup.data.problem.keeps_predictions
        and setup.data.fold is None
    ):
        after = temperature_scaling.apply(
            scaling, outputs if members is None else members, logits=logits
        )
        after = after if members is None else after.mean(axis=1)
        step = calibration.choose(
            after, truth, target=setup.data.target, logits=logits, labels=labels, weight=weight
        )
    return Calibration(temperature=value, folded=folded, rows=len(truth), step=step)


def before_and_after(
    setup: "TrainingSetup",
    calibrated: Calibration,
    split: "Split",
    outputs: np.ndarray,
    truth: np.ndarray,
    postprocessor: Postprocessor | None,
    *,
    batch_size: int,
) -> dict[str, dict[str, float]]:
    """Return the scores of the probabilities of a split before and after calibration.

    Args:
        setup: the `TrainingSetup`, after `calibrate`.
        calibrated: the result of `calibrate`.
        split: the `Split`, in memory or sampled.
        outputs: of the calibrated network, (N, classes), (N, 1) or (N, labels).
        truth: class numbers (N,), or labels (N, labels).
        postprocessor: the run's `Postprocessor`, or None.
        batch_size: examples per step.

    Returns:
        `before` and `after`, see `kzoo.inference.postprocessors.calibration.calibration_scores`.
    """
    logits = bool(setup.gives_logits)
    labels = setup.data.problem.separate_probabilities
    after = outputs if postprocessor is None else postprocessor.outputs(outputs, logits=logits)
    before = outputs
    if calibrated.folded:
        undo = {"temperature": 1 / calibrated.temperature, "labels": labels}
        members = _member_network(setup, setup.saved_weights(), logits)
        if members is not None:
            before, _ = _forward_all([members], split, batch_size)
        before = temperature_scaling.apply(undo, before, logits=logits)
        before = before if members is None else before.mean(axis=1)
    scores = {}
    for name, values in (("before", before), ("after", after)):
        z = calibration.logits_from(values, logits=logits, labels=labels)
        p = calibration.probabilities_from(z, labels=labels)
        scores[name] = calibration.calibration_scores(p, truth, labels=labels, weight=split.weight)
    return scores


def _validation_outputs(
    setup: "TrainingSetup", rows: "Split", logits: bool, batch_size: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Return outputs, those of each member or None, truth and weights of a sample of the validation rows.

    Networks behind frozen layers are evaluated on the stored features.
    """
    features = None if setup.features is None else setup.features[1]
    model, split = (setup.saved_weights(), rows) if features is None else (setup.core, features)
    most = (
        _MOST
        if setup.data.problem.keeps_predictions
        else max(1, _TOKENS // int(np.prod(model.output_shape[1:])))
    )
    split = even_sample(sample_split(split), most)
    members = _member_network(setup, model, logits)
    outputs, *more, truth = _forward_all(
        [model] if members is None else [model, members], split, batch_size
    )
    return outputs, more[0] if more else None, truth, split.weight


def _member_network(
    setup: "TrainingSetup", model: keras.Model, logits: bool | None
) -> keras.Model | None:
    """Return the network whose outputs are those of each member, whose mean is a probability; None without members."""
    if not isinstance(setup.core, Members) or logits:
        return None
    return keras.Model(model.inputs, layer_with(model, MEMBERS).input)


def _forward_all(
    models: Sequence[keras.Model], split: "Split", batch_size: int
) -> list[np.ndarray]:
    """Return the outputs of some models on a split, and the truth."""
    batches = Batches(split, batch_size=batch_size)
    collected: list[list[Any]] = [[] for _ in range(len(models) + 1)]
    for step in range(len(batches)):
        x, y = batches.batch(0, step)[:2]
        outputs = (forward(model, x, min(batch_size, len(split))) for model in models)
        for part, values in zip(collected, (*outputs, np.asarray(y)), strict=True):
            part.append(values)
    return [np.concatenate(part) for part in collected]


def last_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers whose weights, divided by a temperature, divide the logits of a network by it."""
    names = (OUTPUTS,) if layer_with(model, OUTPUTS) is not None else (LOG_RATIOS, OUTPUT_BIAS)
    return [layer for name in names if (layer := layer_with(model, name)) is not None]


def _fold(setup: "TrainingSetup", rows: "Split", scaling: JsonObject, *, logits: bool) -> bool:
    """Divide the weights of the last layer by the temperature of a step, and return whether the outputs follow.

    Weights are restored if they do not: a network of another package may end in other layers. Frozen layers stay as
    they are.
    """
    layers = last_layers(setup.model)
    if not layers or not all(layer.trainable for layer in layers):  # none, or frozen by the user
        return False
    split = rows.select(np.arange(min(_CHECKED, len(rows))))
    x = Batches(split, batch_size=len(split)).batch(0, 0)[0]
    model = setup.saved_weights()
    ends_in = layer_with(model, MEMBERS)
    inspected = model if ends_in is None else keras.Model(model.inputs, ends_in.input)
    before = forward(inspected, x, len(split))
    weights = [layer.get_weights() for layer in layers]
    for layer, arrays in zip(layers, weights, strict=True):
        layer.set_weights([array / np.float32(scaling["temperature"]) for array in arrays])
    setup.saved_weights()
    expected = temperature_scaling.apply(scaling, before, logits=logits)
    if np.allclose(forward(inspected, x, len(split)), expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        return True
    for layer, arrays in zip(layers, weights, strict=True):
        layer.set_weights(arrays)
    setup.saved_weights()
    return False
