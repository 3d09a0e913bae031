"""`evaluate`: score a run or a model on any data."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import keras
import numpy as np

from kzoo.data import Dataset, load_data
from kzoo.data.dataset import Loadable, Split
from kzoo.data.named import NAMES
from kzoo.data.reload import check_encoded, check_target, holds_arrays, reload, targets_of
from kzoo.data.sample import sample_split
from kzoo.data.tables.frame import as_table
from kzoo.data.targets.weights import weights_of, weights_to_score
from kzoo.evaluation.backtest import backtest
from kzoo.evaluation.generate import score_stateful
from kzoo.evaluation.subgroups import subgroup_names, subgroup_scores
from kzoo.inference.postprocessors.decision import scoring_arguments
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.problems.kinds import kind, takes_ready_arrays
from kzoo.problems.tasks import Scored
from kzoo.training.conformal import moments_of, predicted
from kzoo.training.custom_model import read_labels_as
from kzoo.training.error_vectors import scores_of_means
from kzoo.training.score import run_gives_logits, score_split, tta_views
from kzoo.utils.argument_checks import checked_arguments, checked_count
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed
from kzoo.utils.table_path import check_sheet, with_sheet
from kzoo.zoo.registry import preset_of, spec_of
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import as_run

_SCALE_SETTINGS = ("target_offset", "target_scale")


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
    by: str | None = None,
    confidence: float | Sequence[float] | None = None,
    n_windows: int | None = None,
    step_size: int | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
) -> JsonObject:
    """Score a run or a model.

    Args:
        run_or_model: a run, its path, the name of a preset with pretrained weights in the package, or a model with the
            head that the data needs; also the folder that a callback bundle wrote. For a model that does not record its
            data, labels are the indices of its classes.
        data: anything `kzoo.load_data` takes. The default is the run's own named data set. The data that the run was
            trained on is split as it was then, and `split` selects a part of it, as of a named set or a `Dataset`. Any
            other file, folder or arrays are scored as a whole, and preprocessed as the run's training data was; for a
            model that does not record its data, they are read as `kzoo.load_data` reads them.
        split: "train", "validation" or "test" of the run's own data, of a named set or of a `Dataset`.
        target: the target columns of a table, if their names differ from the run's; the number must be the same.
        weights: which pretrained weights, if a preset has several.
        batch_size: examples per step.
        stateful: read the whole split as one text, keeping the state between windows, as published bits per character
            do. The window of a causal Transformer moves by half its length.
        tta: test-time augmentation of images: average the predictions of several views of each. "mirror": the image and
            its mirror image; "shift": both also moved by a pixel, six views (https://arxiv.org/abs/2404.00498). The
            scores report it under "tta".
        by: also score each subgroup: the rows with equal values in this column of the table, or in the same quarter of
            its numbers or times. It need not be an input of the model.
        confidence: also measure the coverage of sets or intervals at this level, or at several, on these rows. Of
            forecasts of one series, also that of a band that follows the errors of the forecasts before, as far as they
            are known at the time of each forecast (adaptive conformal inference, https://arxiv.org/abs/2106.00170).
        n_windows: of forecasts: also score those that begin at the last `n_windows` moments, each for itself.
        step_size: steps between two of these moments; the default is the horizon.
        sheet, header_row: where the table is in an `.xlsx` workbook, see `kzoo.load_data`; the default is as in
            training.

    Returns:
        Classification: accuracy, f1 (macro), auc, loss, examples and the 95 % interval of the accuracy; the loss is
            None if the outputs are not probabilities (hinge, tanh). Of a run with an objective, a decision, costs or a
            positive class also balanced_accuracy; f1_positive, precision and recall of the positive class; the
            expected_cost per 1,000 rows with its 90 % interval; and beside a decision, the scores without it, such as
            f1_default.
        Labels: f1_macro, f1_micro, average_precision_macro, exact_match, loss, examples; `always_all`, the F1 of
            predicting every label; and `labels`: support, precision, recall, f1, average_precision and threshold of
            each label.
        Regression and forecasting, in the target's own unit: mae, rmse, r2 (None if the target is constant), and mse of
            the targets standardised as in training (None for a model that does not record the scale). For several
            targets and for forecasts, also `targets`: mae, rmse, r2 and `beside` for each target; `beside` has the mae
            of each baseline on the same examples, and `ratio`, the model's mae divided by it. The baselines are the
            mean of the training data, and for series also the last value and the same season before (the same hour
            yesterday, the same month last year, depending on the time step), which may reach further back than the
            model's window. `relative_mae` is the mean over the targets of the largest ratio.
        With `confidence`, also `conformal`, a dict for each level and method: see
            `kzoo.inference.postprocessors.conformal.coverage`; "adaptive" is the method of the band that follows.
            For forecasts also `totals`, the coverage of the bands of sums over series and steps: see
            `kzoo.inference.postprocessors.sample_paths.coverage`.
        With `n_windows`, also `windows` and `spread`: see `kzoo.evaluation.backtest.backtest`.
        With `by`, also `by`: see `kzoo.evaluation.subgroups.subgroup_scores`.
        Language models: loss in nats per token, bits per token, perplexity, accuracy; only the accuracy if the outputs
            are not probabilities.

    Raises:
        KzooError: a split that the run does not have, data that does not fit the model, stateful=True for a model
            without state, tta= for inputs that have no views, by= without such a column, or a level of confidence that
            the run cannot promise.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> scores = kzoo.evaluate(run)
        >>> scores["examples"], scores["accuracy"] > 0.5
        (30, True)
        >>> kzoo.evaluate(run, split="validation")["examples"]
        12
    """
    if split not in ("train", "validation", "test"):
        raise KzooError("must be train, validation or test.", argument="split", value=split)
    if by is not None and not isinstance(by, str):
        raise KzooError("must be the name of a column.", argument="by", value=by)
    for name, value in (("n_windows", n_windows), ("step_size", step_size)):
        if value is not None:
            checked_count(name, value)
    if step_size is not None and n_windows is None:
        raise KzooError(
            "needs n_windows=, the number of moments to forecast from.",
            argument="step_size",
            value=step_size,
        )
    run = as_run(run_or_model, weights)
    levels = _checked_levels(run, confidence, stateful, tta)
    data = with_sheet(as_table(data), sheet, header_row, run.data.options if run.tracked else None)
    check_sheet(data, sheet, header_row)
    model, loaded = data_to_score(run, data, target)
    part = getattr(loaded, split)
    if split != "test" and loaded.train is loaded.test:
        raise KzooError(
            "applies to a run's own data, a named set or a Dataset; other data is scored as a whole.",
            argument="split",
            value=split,
        )
    if part is None:
        raise KzooError(f"{loaded.name} has no {split} split.")
    if stateful:
        tta_views(kind(loaded.inputs), tta)  # refuses tta= for texts
        if by is not None:
            raise KzooError(
                "cannot be combined with stateful=True. Remove one of them.",
                argument="by",
                value=by,
            )
        return score_stateful(model, part, loaded, logits=run_gives_logits(run))
    size = checked_count("batch_size", batch_size)
    steps = Postprocessor.read(run.postprocessing)
    kept = list[Any]()
    score = partial(
        score_split,
        model,
        data=loaded,
        logits=run_gives_logits(run),
        batch_size=size,
        tta=tta,
        postprocessor=steps,
        settings=run.spec.training,
    )
    scored = score(part, kept=kept if levels else None)
    scores: dict[str, Any] = scored.scores
    if levels:
        rows = sample_split(part)
        predictions, truth = predicted(kept, loaded, steps, logits=run_gives_logits(run), part=rows)
        starts = np.asarray(getattr(rows.y, "starts", range(len(truth))))
        # one after the other, the series of a panel are not in order of time
        in_order = getattr(rows.y, "series", None) is None
        moments = moments_of(rows) if run.problem.ordered else None
        coverage = steps.coverage(
            predictions, truth, levels, run.problem, starts if in_order else None, moments
        )
        scores = scores | {"conformal": coverage}
        of_means = partial(scores_of_means, kept, rows, loaded, steps, logits=run_gives_logits(run))
        totals = [
            entry for level in levels for entry in of_means(confidence=level).get("totals", [])
        ]
        scores = scores | ({"totals": totals} if totals else {})
    if by is not None:
        scores = scores | {
            "by": _subgroups(run, data, loaded, sample_split(part), target, by, score, scored)
        }
    if n_windows is not None:
        if not loaded.problem.ordered:
            raise KzooError(
                f"is for forecasts, and this is a {loaded.problem.name}. Leave it out.",
                argument="n_windows",
                value=n_windows,
            )
        metrics = loaded.problem.task.scores
        scores = scores | backtest(
            score, part, n_windows=n_windows, step_size=step_size, metrics=metrics
        )
    return scores if tta is None else scores | {"tta": tta}


def _checked_levels(
    run: Run, confidence: float | Sequence[float] | None, stateful: bool, tta: str | None
) -> tuple[float, ...]:
    """Return the levels of confidence whose coverage is measured; empty without any.

    Raises:
        KzooError: an invalid level, or one that the run cannot promise.
    """
    if confidence is None:
        return ()
    levels = (
        tuple(confidence) if isinstance(confidence, list | tuple | np.ndarray) else (confidence,)
    )
    if stateful or tta is not None:
        other = "stateful=True" if stateful else f"tta={tta!r}"
        raise KzooError(
            f"cannot be combined with {other}. Remove one of them.",
            argument="confidence",
            value=confidence,
        )
    for level in levels:
        Postprocessor.read(run.postprocessing).check(
            PredictionOptions(confidence=level), run.problem
        )
    return levels


def _subgroups(
    run: Run,
    source: "Loadable | None",
    loaded: Dataset,
    part: Split,
    target: str | Sequence[str] | None,
    by: str,
    score: Callable[[Split], Scored],
    scored: Scored,
) -> JsonObject:
    """Return the scores of the subgroups of a split (see `kzoo.evaluation.subgroups`)."""
    if isinstance(source, Dataset) or not loaded.problem.keeps_predictions:
        reason = (
            "a Dataset, whose table is not known"
            if isinstance(source, Dataset)
            else f"a {loaded.problem.name}"
        )
        raise KzooError(
            f"is for the rows of a table, and this is {reason}. Pass the table itself.",
            argument="by",
            value=by,
        )
    metric = loaded.problem.headline
    scoring = loaded.problem.task.scoring
    names = subgroup_names(
        run,
        source,
        part,
        by,
        targets=targets_of(run, target),
        own_data=loaded.train is not loaded.test,
    )
    several = len(loaded.target_names) > 1  # whose units may differ
    steps = Postprocessor.read(run.postprocessing)
    decided_target, options = scoring_arguments(run.spec.training, loaded, steps)
    judged = scoring.judge(
        scored.truth,
        scored.answers,
        decided_target,
        metric="mae_standardised" if several else "mae",
        **options,
    )
    return subgroup_scores(
        score, judged, part, names, metric=metric, task=loaded.problem.task, by=by
    )


def data_to_score(
    run: Run, data: "Loadable | None", target: str | Sequence[str] | None
) -> tuple[keras.Model, Dataset]:
    """Return the model of a run, and data to score it on: its own, split as in training, or other data as a whole.

    Raises:
        KzooError: the data does not fit, or there is none.
    """
    if not run.tracked and takes_ready_arrays(run.preprocessing) and not holds_arrays(data):
        return _for_model(run, data, target)
    return _for_run(run, data, target)


def _for_run(
    run: Run, data: "Loadable | None", target: str | Sequence[str] | None
) -> tuple[keras.Model, Dataset]:
    if isinstance(data, Dataset):
        check_target(run, data, target)
    else:
        data = reload(run, data, target=target)
    check_encoded(run, data)
    if data.fingerprint in ("", run.data.fingerprint):
        return run.model, data
    # New data has a different scale and a different most frequent class: use those of the training data.
    scale = {name: value for name, value in run.target.config.items() if name in _SCALE_SETTINGS}
    return run.model, replace(
        data, config=data.config | scale, seen=data.seen | {"common": run.target.common}
    )


def _for_model(
    run: Run, data: "Loadable | None", target: str | Sequence[str] | None
) -> tuple[keras.Model, Dataset]:
    model = run.model
    if data is None:
        raise KzooError(
            "No data to evaluate on: pass data=, a named set, a file, a folder or arrays."
        )
    try:
        preset = preset_of(spec_of(model))
    except KzooError:
        preset = None
    weight = None
    if isinstance(data, tuple | list) and len(data) == 3 and not hasattr(data[0], "columns"):
        # `load_data` leaves out training rows of weight 0, but these rows are only scored
        *data, weight = data
    named = isinstance(data, Dataset) or (isinstance(data, str) and data in NAMES)
    options: dict[str, Any] = dict(preset=preset, target=target) | (
        {} if named else dict(validation=0, test=0)
    )
    loaded = load_data(data, **options)
    if run.learns is not None:
        reload_as = None if named else lambda task: load_data(data, **options, task=task)
        loaded = read_labels_as(run.learns, loaded, reload_as, whose=f"The loss of {run!r}")
    loaded = _renumbered(run.class_names, loaded, quiet=named)
    if named:
        return model, loaded
    # The most frequent class, the mean and the scale must be those of the model's training data, not of these rows.
    config = {name: value for name, value in loaded.config.items() if name not in _SCALE_SETTINGS}
    config |= {name: value for name, value in run.spec.config.items() if name in _SCALE_SETTINGS}
    observations = loaded.seen | {"common": run.target.common}
    scored = loaded.train
    if weight is not None:
        scored = replace(scored, weight=weights_to_score(weights_of(weight, len(scored), "weight")))
    return model, replace(
        loaded, config=config, validation=None, train=scored, test=scored, seen=observations
    )


def _renumbered(names: list[str], data: Dataset, *, quiet: bool) -> Dataset:
    """Return data with its classes numbered as the model numbers them, even if some of them are missing.

    Args:
        names: of the model's classes.
        data: its classes may have other names.
        quiet: do not warn: the numbering is known, as for a named set.

    Raises:
        KzooError: the classes differ from those of the model in names and in number.
    """
    data_names = list(data.class_names)
    if data.problem.classes_of(names) is None or not names or data_names == names:
        return data
    if set(data_names) <= set(names):
        indices = np.array([names.index(name) for name in data_names])
        names_of_splits = ("train", "validation", "calibration", "test")
        parts = {
            name: part for name in names_of_splits if (part := getattr(data, name)) is not None
        }
        renumbered_parts: Any = {
            name: replace(part, y=indices[part.y[:]]) for name, part in parts.items()
        }
        return replace(
            data,
            class_names=tuple(names),
            config=data.config | {"outputs": len(names)},
            **renumbered_parts,
        )
    if len(data_names) != len(names):
        raise KzooError(
            f"{data.name} has {len(data_names)} classes ({listed(data_names, 5)}), but the model has {len(names)} "
            f"classes whose names are unknown. Use class numbers as labels, 0 to {len(names) - 1}."
        )
    if quiet:
        return data
    warn(
        f"{data.name}: the names of the model's classes are unknown; they are assumed to be, in this order: "
        f"{listed(data_names, 10)}."
    )
    return data
