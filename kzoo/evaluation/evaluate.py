"""`evaluate`: scores on data, of a run or a model on any data."""

import json
import os
from dataclasses import replace
from typing import Any, Literal

import keras

from kzoo.bare import BareModel, opened
from kzoo.data import Dataset, load_data
from kzoo.data.dataset import Loadable
from kzoo.data.named import NAMES
from kzoo.data.reload import check_target, holds_arrays, reload
from kzoo.doors import checked_count, door
from kzoo.errors import KzooError
from kzoo.evaluation.generate import score_stateful
from kzoo.kinds import encoding, kind, takes_ready_arrays
from kzoo.registry import preset_of, spec_of
from kzoo.run import Run
from kzoo.training.score import run_gives_logits, score_split, views_of

_OF_TRAINING = ("target_offset", "target_scale")


@door
def evaluate(
    run_or_model: Run | str | os.PathLike[str] | keras.Model,
    data: "Loadable | None" = None,
    *,
    split: Literal["train", "validation", "test"] = "test",
    target: str | None = None,
    weights: str | None = None,
    batch_size: int = 128,
    stateful: bool = False,
    tta: Literal["mirror", "shift"] | None = None,
) -> dict[str, Any]:
    """Score a run or a model.

    Args:
        run_or_model: a run, its path, the name of a preset that has weights in the package, or a model with the head
            that the data needs, also the folder that a callback bundle wrote. A model that knows nothing of its data
            takes labels for the numbers of its classes.
        data: anything `kzoo.load_data` takes. The default is the run's own named data set. A file or folder
            is taken whole, not split, and encoded as the run's training data was; a model that knows nothing of its
            data gets it as `kzoo.load_data` reads it. A named set or a `Dataset` gives `split`.
        split: "train", "validation" or "test" of the run's own set, or of a named set or a `Dataset`.
        target: the target column of a table.
        weights: which ones, where a preset has several.
        batch_size: examples in a step.
        stateful: read the whole split as one text, without forgetting at the start of each window, which is what
            published bits per character are about. The window of a causal Transformer moves on by half its length.
        tta: test-time augmentation of images: the mean of the answers to several views of each. "mirror": as it is and
            mirrored; "shift": both also moved by a pixel, six views (arXiv:2404.00498). Scores say so under "tta".

    Returns:
        Classification: accuracy, f1 (macro), auc, loss, examples and the 95 % interval of the accuracy; the loss is
            None where the answers are no probabilities (hinge, tanh).
        Regression and forecasting, in the target's own unit: mae, rmse, r2 (None where all targets are the same),
            and mse of the targets, standardised as in training (None of a model that does not say how). Of several
            targets, and of forecasts, `targets` too: for each of them mae, rmse, r2 and `beside`, the mae on the same
            examples of what needs no network, and how many times that the model's is (`ratio`). That is the mean of
            the training data; of a series also its last value and the same season before (the same hour yesterday,
            the same month last year, as the step of the times has it), which may look further back than the model
            does. `relative_mae` is the mean over the targets of the largest ratio.
        Language models: loss in nats per token, bits per token, perplexity, accuracy; of answers that are no
            probabilities, the accuracy alone.

    Raises:
        KzooError: the run has no such split, the data does not fit the model, the model has no state to carry, or its
            inputs have no views.
    """
    if split not in ("train", "validation", "test"):
        raise KzooError(f"split={split!r} must be train, validation or test.")
    run = opened(run_or_model, weights)
    bare = isinstance(run, BareModel) and takes_ready_arrays(run.preprocessing) and not holds_arrays(data)
    model, loaded = _for_model(run, data, target) if bare else _for_run(run, data, target)
    part = getattr(loaded, split)
    if part is None:
        raise KzooError(f"{loaded.name} has no {split} split.")
    if stateful:
        views_of(kind(loaded.inputs), tta)  # which no text has
        return score_stateful(model, part, loaded, logits=run_gives_logits(run))
    size = checked_count("batch_size", batch_size)
    scores = score_split(model, part, loaded, logits=run_gives_logits(run), batch_size=size, tta=tta).scores
    return scores if tta is None else scores | {"tta": tta}


def _for_run(run: Run, data: Any, target: str | None) -> tuple[keras.Model, Dataset]:
    if isinstance(data, Dataset):
        check_target(run, data, target)
    else:
        data = reload(run, data, target=target)
    if list(data.class_names) != run.class_names or _written(data.preprocessing) != _written(run.preprocessing):
        raise KzooError(
            f"{data.name} is encoded differently from the data of {run.path} (classes, columns or vocabulary): "
            "pass the file, folder or arrays themselves, with the columns and classes of the run."
        )
    return run.model, data


def _written(preprocessing: dict[str, Any]) -> str:
    return json.dumps(encoding(preprocessing), sort_keys=True)


def _for_model(run: Run, data: Any, target: str | None) -> tuple[keras.Model, Dataset]:
    model = run.model
    if data is None:
        raise KzooError("Say what to evaluate on: data= takes a named set, a file, a folder or arrays.")
    try:
        preset = preset_of(spec_of(model))
    except KzooError:
        preset = None
    if isinstance(data, Dataset) or (isinstance(data, str) and data in NAMES):
        return model, load_data(data, preset=preset, target=target)
    loaded = load_data(data, preset=preset, target=target, validation=0, test=0)
    # What these rows have most often, their mean and their scale are not those of what the model was trained on.
    config = {name: value for name, value in loaded.config.items() if name not in _OF_TRAINING}
    config |= {name: value for name, value in run.spec.config.items() if name in _OF_TRAINING}
    seen = loaded.seen | {"common": run.target.common}
    return model, replace(loaded, config=config, validation=None, test=loaded.train, seen=seen)
