"""`evaluate`: scores on data, of a run or a model on any data."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import keras
import numpy as np

from kzoo.data import Dataset, load_data
from kzoo.data.named import NAMES
from kzoo.data.reload import check_encoded, check_target, holds_arrays, reload
from kzoo.dataset.dataset import Loadable
from kzoo.evaluation.generate import score_stateful
from kzoo.kinds import kind, takes_ready_arrays
from kzoo.postprocessors.postprocessor import Postprocessor
from kzoo.registry import preset_of, spec_of
from kzoo.run import Run
from kzoo.training.custom_model import as_learned
from kzoo.training.score import run_gives_logits, score_split, views_of
from kzoo.untracked import as_run
from kzoo.utils.argument_checks import checked_arguments, checked_count
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed

_OF_TRAINING = ("target_offset", "target_scale")


@checked_arguments
def evaluate(
    run_or_model: Run | str | os.PathLike[str] | keras.Model,
    data: "Loadable | None" = None,
    *,
    split: Literal["train", "validation", "test"] = "test",
    target: str | Sequence[str] | None = None,
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
        data: anything `kzoo.load_data` takes. The default is the run's own named data set. What the run was trained on
            is split as it was then, and gives `split`, as a named set and a `Dataset` do. Any other file, folder or
            arrays are taken whole and encoded as the run's training data was; a model that knows nothing of its data
            gets them as `kzoo.load_data` reads them.
        split: "train", "validation" or "test" of the run's own data, or of a named set or a `Dataset`.
        target: the column of a table with the answers, as many as the run has, where they have other names.
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
    run = as_run(run_or_model, weights)
    if not run.tracked and takes_ready_arrays(run.preprocessing) and not holds_arrays(data):
        model, loaded = _for_model(run, data, target)
    else:
        model, loaded = _for_run(run, data, target)
    part = getattr(loaded, split)
    if split != "test" and loaded.train is loaded.test:
        raise KzooError(f"split={split!r} is for a run's own data, a named set or a Dataset; this is scored whole.")
    if part is None:
        raise KzooError(f"{loaded.name} has no {split} split.")
    if stateful:
        views_of(kind(loaded.inputs), tta)  # which no text has
        return score_stateful(model, part, loaded, logits=run_gives_logits(run))
    size = checked_count("batch_size", batch_size)
    steps = Postprocessor.read(run.postprocessing)
    scored = score_split(
        model, part, loaded, logits=run_gives_logits(run), postprocessor=steps, batch_size=size, tta=tta
    )
    scores = scored.scores
    return scores if tta is None else scores | {"tta": tta}


def _for_run(run: Run, data: Any, target: str | Sequence[str] | None) -> tuple[keras.Model, Dataset]:
    if isinstance(data, Dataset):
        check_target(run, data, target)
    else:
        data = reload(run, data, target=target)
    check_encoded(run, data)
    if data.fingerprint in ("", run.data.fingerprint):
        return run.model, data
    # Of other data neither the scale nor what is frequent is that of the training.
    known = {name: value for name, value in run.target.config.items() if name in _OF_TRAINING}
    return run.model, replace(data, config=data.config | known, seen=data.seen | {"common": run.target.common})


def _for_model(run: Run, data: Any, target: str | Sequence[str] | None) -> tuple[keras.Model, Dataset]:
    model = run.model
    if data is None:
        raise KzooError("Say what to evaluate on: data= takes a named set, a file, a folder or arrays.")
    try:
        preset = preset_of(spec_of(model))
    except KzooError:
        preset = None
    named = isinstance(data, Dataset) or (isinstance(data, str) and data in NAMES)
    whole: dict[str, Any] = dict(preset=preset, target=target) | ({} if named else dict(validation=0, test=0))
    loaded = load_data(data, **whole)
    if run.learns is not None:
        again = None if named else lambda task: load_data(data, **whole, task=task)
        loaded = as_learned(run.learns, loaded, again, whose=f"The loss of {run!r}")
    loaded = _numbered(run.class_names, loaded, quiet=named)
    if named:
        return model, loaded
    # What these rows have most often, their mean and their scale are not those of what the model was trained on.
    config = {name: value for name, value in loaded.config.items() if name not in _OF_TRAINING}
    config |= {name: value for name, value in run.spec.config.items() if name in _OF_TRAINING}
    seen = loaded.seen | {"common": run.target.common}
    return model, replace(loaded, config=config, validation=None, test=loaded.train, seen=seen)


def _numbered(names: list[str], data: Dataset, *, quiet: bool) -> Dataset:
    """Return data with its classes numbered as a model numbers them, be some of these missing.

    Args:
        names: of the model's classes.
        data: whose classes may have other names.
        quiet: whether the numbers of its classes are known to whoever gave it, as of a set by name.

    Raises:
        KzooError: classes that the model has no numbers for, and not as many as it tells apart.
    """
    found = list(data.class_names)
    if "classes" not in data.problem.facts or not names or found == names:
        return data
    if set(found) <= set(names):
        places = np.array([names.index(name) for name in found])
        parts = {name: part for name in ("train", "validation", "test") if (part := getattr(data, name)) is not None}
        numbered: Any = {name: replace(part, y=places[part.y[:]]) for name, part in parts.items()}
        return replace(data, class_names=tuple(names), config=data.config | {"outputs": len(names)}, **numbered)
    if len(found) != len(names):
        raise KzooError(
            f"{data.name} has {len(found)} classes ({listed(found, 5)}), and the model tells {len(names)} apart: which "
            f"these are, nothing says. Give their numbers, 0 to {len(names) - 1}."
        )
    if quiet:
        return data
    warn(f"{data.name}: the model has numbers for its classes, which are taken in this order: {listed(found, 10)}.")
    return data
