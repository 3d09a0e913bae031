"""`explain`: why a run predicts as it does, for all rows or for single inputs."""

import os
from collections.abc import Sequence
from functools import partial
from importlib import import_module

import keras
import numpy as np
from matplotlib.figure import Figure

from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.named import NAMES
from kzoo.data.sample import sample_split
from kzoo.data.tables.frame import as_table
from kzoo.evaluation.evaluate import data_to_score
from kzoo.inference.encode import Inputs, encode_named, local_inputs, predictions_of
from kzoo.inference.explanations.association import RELATED, related_groups
from kzoo.inference.explanations.dependence import partial_dependence
from kzoo.inference.explanations.explanation import Explanation, Reasons
from kzoo.inference.explanations.inputs import (
    NOT_THE_WORLD,
    TYPICAL,
    Subject,
    explain_ids,
    explain_rows,
    explain_texts,
    first_inputs,
    scale_of,
)
from kzoo.inference.explanations.outputs import explained_outputs, named_numbers
from kzoo.inference.explanations.permutation import permutation_importance
from kzoo.inference.postprocessors.decision import scoring_arguments
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.predictions import Predictions
from kzoo.inference.sources.arrays import all_finite
from kzoo.inference.tasks.weighted import score_weighted
from kzoo.problems.kinds import Kind, kind_of
from kzoo.problems.tasks import Score, score_named
from kzoo.training.score import forward, run_gives_logits
from kzoo.utils.argument_checks import checked_arguments, checked_count, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.utils.table_path import check_sheet, with_sheet
from kzoo.zoo.results import displayed_metric, value_of
from kzoo.zoo.results import number as score_text
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import as_run

_BATCH = 1024  # encoded inputs: the rows of a table are small
_MOST_SCORED = 5_000  # rows that columns are permuted in
_MOST_RELATED = 2_000  # rows that related columns are looked for in
_MOST_MEANS = 300  # rows whose mean is a point of a partial dependence
_REPEATS = 10
_BACKGROUND = 100  # rows that single rows are compared with
_IN_REPORT = 3  # examples
_COLUMNS = 6  # with a partial dependence
_PERMUTED_TOGETHER = (
    f"Columns related by {RELATED:g} or more (rank correlation, Cramer's V) are permuted together; less related ones "
    "share their importance."
)
_TESTED = "A group is no better than noise unless its importance is above 0 at 5 %, for all groups together."
_RARE_ROWS = (
    "Mean predictions also count rows that never occur, where columns depend on each other."
)
_GROUPED = "Rows of the same group are not independent, so that the intervals are too narrow."
_BLOCKS_TOGETHER = "Columns and steps that contain the same information share their importance."
_OF_HEAT = "Grad-CAM shows where evidence is, not what it is; its colours cannot be compared between images."


@checked_arguments
def explain(
    run: Run | str | os.PathLike[str] | keras.Model,
    rows: "Inputs | None" = None,
    *,
    data: "Loadable | None" = None,
    of: str | None = None,
    target: str | Sequence[str] | None = None,
    weights: str | None = None,
    repeats: int | None = None,
    seed: int = 0,
    sheet: str | None = None,
    header_row: int | None = None,
) -> Explanation:
    """Explain a run: which columns it uses, or why it predicts a number for some inputs.

    Without `rows`, columns of tables and series are ranked by permutation importance: by how much the primary score of
    validation rows is worse when the values of the column are exchanged between rows
    (https://arxiv.org/abs/1801.01489). Columns that are closely related are permuted together. For the most important
    columns of tables there is also the mean prediction by their value (partial dependence).

    With `rows`, each one is explained. Of tables and series, by Shapley values (https://arxiv.org/abs/1705.07874): what
    each column adds to the mean prediction of 100 training rows; exact up to 12 columns, else by sampling. Of texts, by
    the weights of the tokens in linear models (`text_ngrams`), else by leaving out each word. Of images, by Grad-CAM
    (see `kzoo.plots.grad_cam`), which `Explanation.plot` draws.

    Args:
        run: a run or its path, the name of a preset with pretrained weights in the package, or a model.
        rows: inputs to explain, as `kzoo.predict` takes them, at most 10; None explains the model.
        data: what the run was trained on, of which it takes validation and training rows; for a named set it is
            optional. Also other labelled data, all of whose rows are used. Without it, rows of a table are compared
            with a single row of medians and most frequent categories.
        of: the class, label, target or quantile (such as "price 0.9") to explain for each input; the default is the
            predicted class, the most probable label, or each target.
        target: the target columns of `data`, if their names differ from the run's.
        weights: which pretrained weights, if a preset has several.
        repeats: number of permutations of each column, by default 10.
        seed: of permutations and samples.
        sheet, header_row: where the tables are in `.xlsx` workbooks, see `kzoo.load_data`; the default is as in
            training.

    Returns:
        An `Explanation`: `importances` and `dependences` of columns, or `rows`, the reasons of each input; it is
        printed as text, and `plot()` draws it.

    Raises:
        KzooError: a task or kind of input that cannot be explained, data or inputs that do not fit, or no validation
            rows.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> explanation = kzoo.explain(run, seed=0)
        >>> explanation.method, len(explanation.importances)
        ('permutation importance', 2)
        >>> figure = explanation.plot()

        Why it predicts what it does for two flowers:

        >>> flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])
        >>> explanation = kzoo.explain(run, flowers, data="iris")
        >>> [reasons.output for reasons in explanation.rows]
        ['setosa', 'virginica']
    """
    run = as_run(run, weights)
    seed = checked_seed("seed", seed)
    repeats = None if repeats is None else checked_count("repeats", repeats)
    kind = kind_of(run.preprocessing)
    if run.problem.continues_inputs:
        raise KzooError(
            f"{run!r} is a language model, whose predictions kzoo.explain does not explain."
        )
    options = run.data.options if run.tracked else None
    data = with_sheet(as_table(data), sheet, header_row, options)
    check_sheet(data, sheet if rows is None else None, header_row if rows is None else None)
    if rows is None:
        if not hasattr(kind.inference, "parts"):
            raise KzooError(
                f"{run!r} takes {kind.name}: pass some inputs to explain. Only columns are ranked for all."
            )
        if of is not None:
            raise KzooError(
                "is for single inputs, and importances are those of the score. Remove it.",
                argument="of",
                value=of,
            )
        return _explain_model(run, data, target, repeats or _REPEATS, seed)
    if repeats is not None:
        raise KzooError(
            "is for importances of columns, not for single inputs. Remove it.",
            argument="repeats",
            value=repeats,
        )
    inputs = with_sheet(local_inputs(kind, rows), sheet, header_row, options)
    check_sheet(inputs, sheet, header_row)
    subject = _subject(run)
    if data is not None and not subject.parts():
        raise KzooError(
            "is for tables and series, whose rows are compared with it. Remove it.", argument="data"
        )
    if target is not None and data is None:
        raise KzooError(
            "is the target column of data=, which was not passed. Remove it.",
            argument="target",
            value=target,
        )
    if "pixels" in kind.facts:
        return _explain_images(run, inputs, of)
    if hasattr(kind.inference, "texts_of") and "vocabulary" in run.preprocessing:
        texts = kind.inference.texts_of(run.preprocessing, inputs)
        return explain_texts(subject, texts[: first_inputs(len(texts))], of=of)
    if not subject.parts():
        raise KzooError(f"{run!r} takes {kind.name}, which kzoo.explain does not explain.")
    encoded = encode_named(run.preprocessing, inputs)
    count = first_inputs(len(encoded.x))
    names = encoded.names if len(encoded.names) == len(encoded.x) else range(len(encoded.x))
    return _explain_rows(
        run, encoded.x[:count], list(names)[:count], data, target, of=of, seed=seed
    )


def explain_for_report(
    run: Run, data: "Loadable | None", sheet: str | None, header_row: int | None
) -> list[Explanation]:
    """Return the explanation of a run for its report, and of some of the examples that it stores.

    Args:
        run: the run.
        data, sheet, header_row: see `explain`.

    Raises:
        KzooError: see `explain`.
    """
    kind = kind_of(run.preprocessing)
    explanations = []
    loaded = None
    if hasattr(kind.inference, "parts"):
        data = with_sheet(
            as_table(data), sheet, header_row, run.data.options if run.tracked else None
        )
        loaded = data_to_score(run, data, None)[1]
        explanations.append(explain(run, data=loaded))
    x = np.empty(0) if run.answers is None else run.answers["inputs"][:_IN_REPORT]
    names = [f"example {number + 1}" for number in range(len(x))]
    if not len(x):
        pass  # a language model, or a run of an earlier version
    elif "pixels" in kind.facts:
        explanations += [_images(run, x, names, None)] if "classes" in run.problem.facts else []
    elif "vocabulary" in run.preprocessing:
        explanation = explain_ids(_subject(run), x, names)
        explanations += [] if explanation is None else [explanation]
    elif loaded is not None:
        explanations.append(_explain_rows(run, x, names, loaded, None, of=None, seed=0))
    if not explanations:
        raise KzooError(
            f": {run!r} cannot be explained in its report. Remove it, or use kzoo.explain.",
            argument="explain",
            value=True,
        )
    return explanations


def _explain_rows(
    run: Run,
    x: np.ndarray,
    names: Sequence[object],
    data: "Loadable | None",
    target: str | Sequence[str] | None,
    *,
    of: str | None,
    seed: int,
) -> Explanation:
    background, rows = _background(run, kind_of(run.preprocessing), data, target, seed)
    return explain_rows(_subject(run), x, names, background, of=of, rows=rows, seed=seed)


def _subject(run: Run) -> Subject:
    return Subject(
        name=str(run.path or run.data.name),
        reader=run.preprocessing,
        config=run.spec.config,
        feature_names=run.data.feature_names,
        predictions=partial(_predictions, run),
    )


def _predictions(run: Run, x: np.ndarray) -> Predictions:
    return predictions_of(
        run.problem,
        run.target,
        _outputs(run, x),
        run.preprocessing,
        Postprocessor.read(run.postprocessing),
        logits=run_gives_logits(run),
    )


def _outputs(run: Run, x: np.ndarray) -> np.ndarray:
    """Return the outputs (N, ...) of the network of a run."""
    size = min(_BATCH, 1 << (len(x) - 1).bit_length())  # few sizes, because each one is traced
    outputs = np.concatenate(
        [forward(run.model, x[i : i + size], size) for i in range(0, len(x), size)]
    )
    if not all_finite(outputs):
        raise KzooError(
            f"{run!r} predicts NaN or infinity for some rows, so it cannot be explained."
        )
    return outputs


def _explain_model(
    run: Run, source: "Loadable | None", target: str | Sequence[str] | None, repeats: int, seed: int
) -> Explanation:
    """Return the importance of columns, and the partial dependence of the most important ones."""
    _, data = data_to_score(run, source, target)
    is_own = data.train is not data.test
    part = data.validation if is_own else data.test
    if part is None:
        raise KzooError(
            f"{data.name} has no validation split, on which importances are measured. Pass other labelled data."
        )
    total = len(part)
    ordered = data.problem.ordered
    part = _sample(part, _MOST_SCORED, seed)
    x, y, weight = np.asarray(part.x[:]), np.asarray(part.y[:]), part.weight
    subject = _subject(run)
    parts = subject.parts()
    related = _sample(data.train, _MOST_RELATED, seed) if is_own else part
    groups = related_groups(np.asarray(related.x[:]).reshape(len(related), -1), parts)
    named = [
        ([parts[i].name for i in group], np.concatenate([parts[i].features for i in group]))
        for group in groups
    ]
    steps, logits = Postprocessor.read(run.postprocessing), run_gives_logits(run)
    learned, options = scoring_arguments(run.spec.training, data, steps)
    task = run.problem.task

    def outputs_of(x: np.ndarray) -> np.ndarray:
        return steps.outputs(_outputs(run, x), logits=logits)

    def scores_of(outputs: np.ndarray, rows: np.ndarray) -> JsonObject:
        rows_weight = None if weight is None else np.asarray(weight)[rows]
        return score_weighted(
            task.scoring.score,
            [(outputs, y[rows])],
            learned,
            logits=logits,
            weight=rows_weight,
            **options,
        ).scores

    metric = displayed_metric(
        run.problem.headline, scores_of(outputs_of(x), np.arange(len(x))), task
    )
    score: Score | None = score_named(metric)
    sign = -1 if score is not None and score.best == "min" else 1

    def quality(outputs: np.ndarray, rows: np.ndarray) -> float | None:
        value = value_of(scores_of(outputs, rows), metric)
        return None if value is None else sign * value

    # Windows of a series overlap, so that only blocks that are longer than a window are independent.
    blocks = total // (x.shape[1] + (run.spec.config.get("horizon") or 0)) if ordered else None
    importances, base = permutation_importance(
        x, named, outputs_of, quality, repeats=repeats, seed=seed, blocks=blocks
    )
    rows = (
        f"{plural(len(x), 'validation row')}"
        if is_own
        else f"{plural(len(x), 'row')} of {data.name}"
    )
    label = metric.replace("_", " ") if score is None else score.label
    about = (
        f"By how much the {label} of {rows}, {score_text(sign * base, metric)}, is worse when the values of columns "
        f"are exchanged between rows ({plural(repeats, 'time')})."
    )
    columns = [
        name
        for importance in importances
        if importance.noise is False
        for name in importance.columns
    ]
    by_name = {part.name: part for part in parts}
    sample = x[np.sort(np.random.default_rng(seed).permutation(len(x))[:_MOST_MEANS])]
    outputs = named_numbers(subject.predictions(sample[:1]))[0]
    shares = "classes" in run.problem.facts and logits is not None
    dependences = [
        partial_dependence(sample, by_name[name], subject.numbers, outputs, shares=shares)
        for name in columns[:_COLUMNS]
    ]
    shown = tuple(dependence for dependence in dependences if dependence is not None)
    limits = [
        NOT_THE_WORLD,
        _BLOCKS_TOGETHER if parts[0].type == "steps" else _PERMUTED_TOGETHER,
        _TESTED,
    ]
    limits += [_RARE_ROWS] if shown else []
    limits += [_GROUPED] if data.seen.get("grouped") else []
    return Explanation(
        model=subject.name,
        method="permutation importance",
        about=about,
        importances=tuple(importances),
        dependences=shown,
        score=metric,
        limits=tuple(limits),
    )


def _sample(part: Split, most: int, seed: int) -> Split:
    """Return at most `most` rows of a split."""
    part = sample_split(part, most)
    if len(part) <= most:
        return part
    return part.select(np.sort(np.random.default_rng(seed).permutation(len(part))[:most]))


def _background(
    run: Run, kind: Kind, source: "Loadable | None", target: str | Sequence[str] | None, seed: int
) -> tuple[np.ndarray, str]:
    """Return the rows (B, ...) that rows are compared with, and what they are called."""
    if source is not None or (run.tracked and run.data.name in NAMES):
        data: Dataset = data_to_score(run, source, target)[1]
        part = _sample(data.train, _BACKGROUND, seed)
        is_own = data.train is not data.test
        described = (
            plural(len(part), "training row")
            if is_own
            else f"{plural(len(part), 'row')} of {data.name}"
        )
        return np.asarray(part.x[:]), described
    typical = None
    if hasattr(kind.inference, "typical"):
        typical = kind.inference.typical(run.preprocessing, run.config.get("statistics") or {})
    if typical is None:
        raise KzooError(
            f"{run!r} does not store what to compare with. Pass data=, what the run was trained on."
        )
    return typical[None], TYPICAL


def _explain_images(run: Run, inputs: "Inputs", of: str | None) -> Explanation:
    """Return the predicted classes of images, and their pictures by Grad-CAM."""
    if "classes" not in run.problem.facts:
        raise KzooError(
            f"{run!r} predicts no classes, and images are explained by Grad-CAM, which needs them."
        )
    encoded = encode_named(run.preprocessing, inputs)
    count = first_inputs(len(encoded.x))
    read = [name for index, name in enumerate(encoded.names) if index not in encoded.unread]
    names = [f"image {name + 1}" if isinstance(name, int) else str(name) for name in read[:count]]
    return _images(run, encoded.x[:count], names, of)


def _images(run: Run, x: np.ndarray, names: Sequence[str], of: str | None) -> Explanation:
    """Return the predicted classes of encoded images, and their pictures by Grad-CAM."""
    predictions = _predictions(run, x)
    outputs, numbers = named_numbers(predictions)
    chosen = [indices[0] for indices in explained_outputs(outputs, predictions, of)]
    rows = tuple(
        Reasons(
            input=name,
            output=outputs[index],
            scale=scale_of(predictions),
            prediction=float(p[index]),
            base=None,
            reasons=(),
        )
        for name, index, p in zip(names, chosen, numbers, strict=True)
    )

    def picture(row: int) -> Figure:
        return import_module("kzoo.plots").grad_cam(
            run.model, x[row], class_index=chosen[row], class_names=run.class_names
        )

    return Explanation(
        model=str(run.path or run.data.name),
        method="Grad-CAM",
        limits=(NOT_THE_WORLD, _OF_HEAT),
        rows=rows,
        about="Where in an image the evidence for a class is: plot() draws it over the image.",
        picture=picture,
    )
