"""`ensemble`: combine several runs into one model."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from scipy import optimize

from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.inputs.rows.merged import Selection
from kzoo.data.named import NAMES
from kzoo.data.pipeline import Batches
from kzoo.data.reload import load_again
from kzoo.data.sample import sample_split
from kzoo.inference.postprocessors import AUTOMATIC, quantile_widths, temperature_scaling
from kzoo.inference.postprocessors.decision import STEP, settings_of
from kzoo.inference.postprocessors.postprocessor import (
    Postprocessor,
    combined,
    learn,
    with_range_of_members,
)
from kzoo.inference.tasks.central import central
from kzoo.inference.tasks.weighted import score_weighted
from kzoo.problems.kinds import encoding_settings, kind
from kzoo.problems.layout import Preprocessor
from kzoo.problems.stored_types import (
    FOLDS,
    Config,
    Member,
    Request,
    Scores,
    Spec,
    TrainingSettings,
)
from kzoo.problems.tasks import problem
from kzoo.training.folder import claimed, run_set_aside
from kzoo.training.provenance import provenance
from kzoo.training.score import forward, learned_postprocessor, run_gives_logits
from kzoo.training.stored_predictions import score_and_store
from kzoo.tuning.ranking import advantage, find_runs
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject, finite, whole_file, write_json
from kzoo.utils.version import __version__
from kzoo.zoo.results import deciding_score, of_fold, value_of
from kzoo.zoo.run import POSTPROCESSING, Run

METHODS = ("mean", "vote", "weighted")
_INPUT_SIZES = ("input_shape", "categories", "text_buckets", "text_lengths")
# weight of the mean probability in a vote: less than one of 999 votes, but enough to break ties
_TIE = 1e-3


@checked_arguments
def ensemble(
    runs: Run | str | os.PathLike[str] | Sequence[Run | str | os.PathLike[str]],
    *,
    method: Literal["mean", "vote", "weighted"] = "mean",
    data: "Loadable | None" = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Run:
    """Combine runs on the same data into one model, and save it as a run.

    The saved network has one input that feeds every member and only built-in Keras layers: it predicts, scores and
    exports like any other run. It is scored on the members' test split, which is not used to choose anything.

    Args:
        runs: two or more finished runs, or what `kzoo.compare` takes: folders, patterns. Their decision, if they have
            one (`decision=`, `cost=`), and the thresholds of labels are learned again for the ensemble: on the
            validation split, of folds on the rows that each has not seen. Without data=, labels get the means of the
            members' thresholds.
        method: "mean" averages probabilities or values. "vote" gives each class its share of the members' votes; the
            mean probability breaks ties. "weighted" averages with weights >= 0 that sum to 1, which minimise the loss
            (or squared error) on the validation split (https://doi.org/10.1007/BF00117832); members of weight 0 are not
            part of the network.
        data: the members' training data, as `kzoo.train` took it; not needed for named sets. Only "weighted" requires
            it; without it, scores are computed from the members' stored predictions if all of them are stored.
        out: the folder; the default is `runs/ensemble-NN`. If it holds the same ensemble, that is returned.
        overwrite: replace a different run in `out`.

    Returns:
        The `Run` of the ensemble.

    Raises:
        KzooError: members that differ in task, data, split, preprocessing or classes, data that is not the members', or
            a method that does not fit. Folds of a cross-validation are accepted if their preprocessing is the same, but
            get no scores: the test rows of one are training rows of the others.

    Examples:
        >>> first = kzoo.train("iris_fnn", "iris", seed=1, epochs=20, out="runs/iris-1")
        >>> second = kzoo.train("iris_fnn", "iris", seed=2, epochs=20, out="runs/iris-2")
        >>> run = kzoo.ensemble([first, second], out="runs/iris-ensemble")
        >>> kzoo.predict(run, np.array([[5.1, 3.5, 1.4, 0.2]])).labels
        ['setosa']
    """
    members = find_runs(runs)
    folds = _check(members, method)
    preprocessing, selections = _shared_preprocessing(members)
    first = members[0]
    if folds and data is not None:
        raise KzooError(
            "has no effect for folds of a cross-validation: each row was used to train some of them. Score the "
            "ensemble with kzoo.evaluate, on data that is new to all.",
            argument="data",
        )
    if folds or (data is None and first.data.name not in NAMES):
        data = None
    else:
        data = load_again(first.spec, first.data, data, what="the members' training data")
    if method == "weighted" and (data is None or data.validation is None):
        why = (
            "folds do not share it"
            if folds
            else "pass data="
            if data is None
            else f"{data.name} has none"
        )
        raise KzooError(
            f"needs validation data to choose the weights: {why}. Or use method='mean'.",
            argument="method",
            value="weighted",
        )
    decides = any(step["name"] == STEP for step in first.postprocessing)
    if decides and not folds and (data is None or data.validation is None):
        why = "pass data=" if data is None else f"{data.name} has none"
        raise KzooError(
            f"The ensemble needs validation data to learn the decision of its members: {why}."
        )
    described = first.data
    if folds:  # must not be loaded by name: all of its rows were trained on
        described = replace(
            described, name=f"{described.name}{FOLDS}", fingerprint=None, test=0, validation=0
        )
    request = Request(data=described, spec=ensemble_spec(members, method, merged=any(selections)))
    with claimed(out, request, overwrite=overwrite, resume="never") as claim:
        if claim.done is None:
            _write_ensemble(
                claim.folder, request, members, method, data, folds, preprocessing, selections
            )
        return Run(claim.folder)


def _write_ensemble(
    folder: Path,
    request: Request,
    members: Sequence[Run],
    method: str,
    data: Dataset | None,
    folds: bool,
    preprocessing: Preprocessor,
    selections: Sequence[Selection | None],
) -> None:
    """Build the ensemble and write its run; for the last two arguments, see `_shared_preprocessing`."""
    started = time.perf_counter()
    task = request.data.task
    settings = request.spec.training
    classes = problem(task).gives_probabilities
    inputs, outputs = member_outputs(members, classes, selections)
    weights = (
        _fit_weights(inputs, outputs, data, classes)
        if method == "weighted" and data is not None
        else None
    )
    model = keras.Model(inputs, combine(outputs, method, weights, classes), name="ensemble")
    with run_set_aside(folder):
        steps = with_range_of_members(
            _learned_steps(members, model, data, folds, settings, method),
            [run.postprocessing for run in members],
        )

        def scores() -> JsonObject:
            if folds:
                return {}
            if data is not None:
                return score_and_store(
                    model, data, folder, logits=False, postprocessor=steps, settings=settings
                )
            if not (stored := _score_stored(members, method, classes, steps)):
                warn(
                    "Not all predictions of the members are stored, so the ensemble has no scores: pass data= to get "
                    "them."
                )
            return stored

        write_run(
            folder,
            request,
            model,
            # those of folds differ
            config={} if folds else {"statistics": members[0].config.get("statistics")},
            preprocessing=preprocessing,
            steps=steps,
            score=scores,
            describe=lambda scores: _describe_gain(members, method, weights, scores, task),
            baselines=members[0].summary.get("baselines"),
            started=started,
        )


def write_run(
    folder: Path,
    request: Request,
    model: keras.Model,
    *,
    config: Config,
    preprocessing: Preprocessor,
    steps: Postprocessor | None,
    score: Callable[[], JsonObject],
    describe: Callable[[Scores], JsonObject],
    baselines: Sequence[JsonObject] | None = None,
    started: float,
) -> Run:
    """Write the run of an ensemble: the summary last, because a run that has one is finished.

    Args:
        folder: of the run.
        request: the data and the specification of the ensemble.
        model: the network.
        config: further entries of `config.json`.
        preprocessing: the preprocessor that its members share.
        steps: its postprocessing, None without any.
        score: returns the scores; called when all other files are written, because it may add predictions and steps.
        describe: from the scores to the description of the members.
        baselines: their scores on the same split, None without any.
        started: the time at which work on the ensemble began (`time.perf_counter`).
    """
    write_json(folder / "preprocessing.json", preprocessing)
    if steps is not None:
        write_json(folder / POSTPROCESSING, steps.json())
    write_json(
        folder / "config.json", {**request.json(), "command": None, **config, **provenance()}
    )
    with whole_file(folder / "best.keras") as temporary:
        model.save(temporary)
    scores = score()
    summary = dict(
        **scores,
        ensemble=describe(scores),
        seconds=round(time.perf_counter() - started, 2),
        parameters=model.count_params(),
    )
    if scores and baselines:
        summary["baselines"] = baselines
    write_json(folder / "summary.json", finite(summary))
    return Run(folder)


def _learned_steps(
    members: Sequence[Run],
    model: keras.Model,
    data: Dataset | None,
    folds: bool,
    settings: TrainingSettings,
    method: str,
) -> Postprocessor | None:
    """Return the postprocessing of an ensemble; None if its members have none.

    It is learned again: of folds, on the rows that each member has not seen, else on validation rows. Without these, it
    is the mean of that of the members. Members are calibrated, but their mean is not: it gets a temperature, if there
    are validation rows.

    Raises:
        KzooError: a fold has not stored all of its predictions, from which its decision would be learned.
    """
    first = members[0]
    own = (
        step["name"]
        for step in first.postprocessing
        if step["name"] not in AUTOMATIC and step["stage"] != temperature_scaling.STAGE
    )
    names = tuple(dict.fromkeys([*first.problem.task.postprocess, *own]))
    if (
        data is not None
        and data.validation is not None
        and method != "vote"
        and members[0].problem.gives_probabilities
        and members[0].problem.keeps_predictions
        and any(run.summary.get("calibration") for run in members)
    ):
        names = ("temperature_scaling", *names)
    if not names:
        return None
    stored: list[Any] = [run.answers for run in members]
    if folds and None not in stored:
        outputs, truth = (
            np.concatenate([part[name] for part in stored]) for name in ("answers", "truth")
        )
        weight = (
            np.concatenate([part["weight"] for part in stored]) if "weight" in stored[0] else None
        )
        return learn(
            names,
            outputs,
            truth,
            target=first.target,
            logits=False,
            rows="out of fold",
            settings=settings,
            weight=weight,
        )
    if not folds and data is not None and data.validation is not None:
        return learned_postprocessor(model, data, names, logits=False, settings=settings)
    if STEP in names:
        raise KzooError(
            "Not all predictions of the folds are stored, so their decision cannot be learned."
        )
    steps = [[step for step in run.postprocessing if step["name"] in names] for run in members]
    return combined(steps) if all(steps) else None


def _check(members: Sequence[Run], method: str) -> bool:
    """Return whether the members are folds of a cross-validation.

    Raises:
        KzooError: members that cannot be combined.
    """
    if method not in METHODS:
        raise KzooError(f"must be one of: {', '.join(METHODS)}.", argument="method", value=method)
    if len(members) < 2:
        raise KzooError(f"An ensemble needs at least two members, got one: {members[0].path}.")
    for run in members:
        if not run.finished:
            raise KzooError(f"{run.path} is not finished: continue its training, or omit it.")
        if run.spec.members:
            raise KzooError(f"{run.path} is itself an ensemble: pass its members instead.")
        if others := [
            step["name"]
            for step in run.postprocessing
            if step["name"] not in (STEP, *AUTOMATIC, *run.problem.task.postprocess)
            and step["stage"] != temperature_scaling.STAGE
        ]:
            steps = ",".join(others)
            raise KzooError(
                f"{run.path} has postprocess={steps}, but ensembles combine network outputs without postprocessing: "
                "train the members without postprocess=."
            )
    _check_same(members, "decision", [settings_of(run.spec.training) for run in members])
    described = [run.data for run in members]
    if method == "vote" and "classes" not in members[0].problem.facts:
        raise KzooError(
            f"needs classes, but the task is {described[0].task}: use 'mean'.",
            argument="method",
            value="vote",
        )
    if method == "weighted" and members[0].spec.config.get("quantiles"):
        raise KzooError(
            "chooses weights by the squared error, which quantiles do not have: use 'mean'.",
            argument="method",
            value="weighted",
        )
    folds = all(map(of_fold, members)) and len({d.fingerprint for d in described}) > 1
    for field in (
        "task",
        "name",
        "class_names",
        "target_names",
        *(() if folds else ("data_seed", "options")),
    ):
        _check_same(members, field.replace("_", " "), [getattr(d, field) for d in described])
    if folds:  # their splits differ, but the data that was divided must be the same
        _check_same(members, "options", [{**d.options, "test": None} for d in described])
        _check_same(members, "number of rows", [d.train + d.validation + d.test for d in described])
    if not folds:
        _check_same(
            members, "preprocessing", [encoding_settings(run.preprocessing) for run in members]
        )
        _check_same(members, "data fingerprint", [d.fingerprint for d in described])
    return folds


def _shared_preprocessing(members: Sequence[Run]) -> tuple[Mapping[str, Any], list[Any]]:
    """Return one preprocessor for all members, and what each reads of its `x`; None for all of it.

    Folds learn columns and categories from their own training rows.

    Raises:
        KzooError: folds whose preprocessors cannot be merged.
    """
    readers = [run.preprocessing for run in members]
    if all(encoding_settings(reader) == encoding_settings(readers[0]) for reader in readers):
        return readers[0], [None] * len(readers)
    merge = getattr(kind(members[0].data.inputs).fitting, "merge_preprocessors", None)
    if merge is None or any("columns" not in reader for reader in readers):
        why = " (learned separately on the training rows of each fold)"
        _check_same(
            members, f"preprocessing{why}", [encoding_settings(reader) for reader in readers]
        )
    assert merge is not None  # else the check has failed
    return merge(readers)


def _check_same(members: Sequence[Run], label: str, values: Sequence[Any]) -> None:
    for run, value in zip(members, values, strict=True):
        if value != values[0]:
            shown = [str(v) for v in (values[0], value)]
            details = f" ({shown[0]}, {shown[1]})" if max(map(len, shown)) < 40 else ""
            raise KzooError(
                f"{members[0].path} and {run.path} differ in their {label}{details}: members of an ensemble must be "
                "trained on the same data, split in the same way."
            )


def ensemble_spec(members: Sequence[Run], method: str, *, merged: bool = False) -> Spec:
    """Return the specification of the ensemble, with the settings that all members share.

    Sizes of the inputs are not stored if the preprocessors were merged (`merged`): no member has those of the merged.
    """
    member_specs = tuple(
        Member(spec=run.spec, run=run.path.name, created=run.config["created"]) for run in members
    )
    config = _shared_settings([member.spec.config for member in member_specs])
    return Spec(
        preset="ensemble",
        family=None,
        task=member_specs[0].spec.task,
        config={
            name: value for name, value in config.items() if not (merged and name in _INPUT_SIZES)
        },
        training=_shared_settings([member.spec.training for member in member_specs]),
        method=method,
        members=member_specs,
        kzoo=__version__,
    )


def _shared_settings(settings: Sequence[TrainingSettings]) -> JsonObject:
    return {
        name: value
        for name, value in settings[0].items()
        if all(name in member and member[name] == value for member in settings)
    }


def member_outputs(
    members: Sequence[Run],
    classes: bool,
    selections: Sequence[Selection | None],
    *,
    last_steps: bool = False,
) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
    """Return (the common input of an ensemble, the outputs of each member).

    Outputs of classes become probabilities, of as many classes for each member; quantiles of forecasts get the widths
    that each member has learned; other outputs of values stay as they are.

    Args:
        members: the runs.
        classes: whether the outputs are those of classes.
        selections: which features of the common input each member reads; None for all.
        last_steps: whether inputs are windows, of which a member with shorter ones reads the last steps.
    """
    models = [run.model for run in members]
    for run, model in zip(members, models, strict=True):
        if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
            raise KzooError(f"The model of {run.path} must have exactly one input and one output.")
    shapes = [model.inputs[0].shape[1:] for model in models]
    if last_steps:
        shapes.sort(key=lambda shape: -shape[0])
    elif all(selection is None for selection in selections):
        _check_same(members, "input shape", shapes)
    else:  # each merged feature is read by some member
        read = zip(shapes, selections, strict=True)
        shapes = [
            (
                max(
                    shape[0] if selection is None else max(selection.sources) + 1
                    for shape, selection in read
                ),
            )
        ]
    inputs = keras.Input(shapes[0], dtype=models[0].inputs[0].dtype, name="inputs")
    width = max(model.outputs[0].shape[-1] for model in models)
    outputs = []
    for i, (run, model, selection) in enumerate(zip(members, models, selections, strict=True), 1):
        x = inputs if selection is None else _select(inputs, selection, i)
        if last_steps and model.inputs[0].shape[1] < inputs.shape[1]:
            x = x[:, -model.inputs[0].shape[1] :]
        # The same layers and weights, with a unique name.
        y = keras.Model(model.inputs[0], model.outputs[0], name=f"member_{i}")(x)
        if (step := Postprocessor.read(run.postprocessing).step(quantile_widths.NAME)) is not None:
            y = _with_widths(y, step.learned)
        outputs.append(_probabilities(y, run_gives_logits(run), width, run, i) if classes else y)
    return inputs, outputs


def _with_widths(y: keras.KerasTensor, learned: Mapping[str, Any]) -> keras.KerasTensor:
    """Return ascending quantiles (B, ..., targets * levels) as the step "quantile_widths" corrects them."""
    levels, factors = learned["levels"], np.asarray(learned["factors"])
    if y.shape[-1] != factors.size:  # of a custom model
        return y
    quantiles = layers.Reshape((*y.shape[1:-1], *factors.shape))(y)
    of_level = [quantiles[..., number] for number in range(len(levels))]
    weights = central(np.eye(len(levels)), levels)
    assert weights is not None  # else nothing was learned
    median = _sum([(weight, of_level[i]) for i, weight in enumerate(weights.tolist()) if weight])
    above = int(np.searchsorted(levels, 0.5))
    corrected = [median] * len(levels)
    for numbers, farther in (
        (range(above)[::-1], keras.ops.minimum),
        (range(above, len(levels)), keras.ops.maximum),
    ):
        distance = None
        for number in numbers:
            own = layers.Rescaling(factors[:, number].tolist())(of_level[number] - median)
            distance = own if distance is None else farther(distance, own)
            corrected[number] = median + distance
    return layers.Reshape(y.shape[1:])(keras.ops.stack(corrected, axis=-1))


def _select(inputs: keras.KerasTensor, selection: Selection, member: int) -> keras.KerasTensor:
    """Return the features (B, F) that a member reads of rows of the merged preprocessor."""
    x = keras.ops.take(inputs, list(selection.sources), axis=-1)
    parts = []
    start = 0
    for feature, codes in sorted(selection.codes.items()):
        lookup = layers.Embedding(len(codes), 1, trainable=False, name=f"codes_{member}_{feature}")
        known = lookup(keras.ops.cast(x[:, feature], "int32"))  # (B, 1)
        lookup.set_weights([np.array(codes, np.float32)[:, None]])
        parts += [*([x[:, start:feature]] if feature > start else []), known]
        start = feature + 1
    if start < len(selection.sources):
        parts.append(x[:, start:])
    return parts[0] if len(parts) == 1 else keras.ops.concatenate(parts, axis=-1)


def _probabilities(
    y: keras.KerasTensor, logits: bool | None, width: int, run: Run, i: int
) -> keras.KerasTensor:
    if logits is None:
        raise KzooError(
            f"{run.path}: the outputs of its model are not known to be probabilities (hinge or tanh outputs are not), "
            "which an ensemble needs. Train it with loss='crossentropy' and a softmax, sigmoid or linear output."
        )
    single = y.shape[-1] == 1
    if logits:
        y = layers.Activation(run.problem.task.head_of(y.shape[-1]), name=f"probabilities_{i}")(y)
    if single and width == 2:
        y = layers.Concatenate(name=f"columns_{i}")([1 - y, y])
    return y


def combine(
    answers: Sequence[keras.KerasTensor],
    method: str,
    weights: Sequence[float] | None,
    probabilities: bool,
) -> keras.KerasTensor:
    """Return the outputs of the ensemble.

    Args:
        answers: outputs of each member: (N, ..., classes or 1) probabilities or (N, ...) values.
        weights: one per member, for "weighted".
        probabilities: whether the outputs are probabilities, which rounding must not lift above 1.
    """
    if method == "weighted":
        assert weights is not None
        y = _sum([(w, a) for w, a in zip(weights, answers, strict=True) if w > 0])
    elif method == "vote":
        y = _sum(
            [
                (1 - _TIE, layers.Average()([_vote(a) for a in answers])),
                (_TIE, layers.Average()(answers)),
            ]
        )
    else:
        y = layers.Average()(answers)
    return keras.ops.minimum(y, 1.0) if probabilities else y


def _sum(parts: Sequence[tuple[float, keras.KerasTensor]]) -> keras.KerasTensor:
    scaled = [layers.Rescaling(float(weight))(a) for weight, a in parts]
    return layers.Add()(scaled) if len(scaled) > 1 else scaled[0]


def _vote(p: keras.KerasTensor) -> keras.KerasTensor:
    if p.shape[-1] == 1:
        return keras.ops.cast(p > 0.5, "float32")
    return keras.ops.one_hot(keras.ops.argmax(p, axis=-1), p.shape[-1])


def _fit_weights(
    inputs: keras.KerasTensor, outputs: Sequence[keras.KerasTensor], data: Dataset, classes: bool
) -> list[float]:
    """Return the weights that minimise the loss on the validation split."""
    stacked = keras.Model(inputs, keras.ops.stack(outputs, axis=-1))
    validation = sample_split(data.validation)
    assert validation is not None  # `method="weighted"` needs it
    batches = Batches(validation, batch_size=128)
    size = min(128, len(validation))
    row_weight = None if validation.weight is None else validation.weight.astype("float64")
    true_probabilities = []
    products = 0.0
    for step in range(len(batches)):
        x, y = batches.batch(0, step)
        predicted = forward(stacked, x, size)
        y = np.asarray(y)
        if classes:
            p = data.problem.true_probabilities(y, predicted)
            true_probabilities.append(p[~np.isnan(p[..., 0])].astype("float64"))
        else:
            spread = np.asarray(data.config.get("target_scale", np.ones(y.shape[-1])))
            errors = (predicted.reshape(*y.shape, -1) - y[..., None]) / spread[:, None]
            if row_weight is not None:
                of_batch = row_weight[step * 128 : step * 128 + len(y)]
                errors = errors * np.sqrt(of_batch).reshape(-1, *[1] * (errors.ndim - 1))
            errors = errors.reshape(-1, len(outputs)).astype("float64")
            products = products + errors.T @ errors
    if classes:
        loss = _log_loss(np.concatenate(true_probabilities), row_weight)
    else:
        loss = _squared_error(products / np.trace(products))
    count = len(outputs)
    optimum = optimize.minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=dict(type="eq", fun=lambda w: w.sum() - 1, jac=np.ones_like),
        options=dict(ftol=1e-10),
    )
    weights = np.clip(optimum.x, 0, 1).round(4)
    return [float(weight) for weight in weights / weights.sum()]


def _log_loss(
    true_probabilities: np.ndarray, row_weight: np.ndarray | None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        p = np.clip(true_probabilities @ weights, 1e-9, None)
        return (
            -np.average(np.log(p), weights=row_weight),
            -np.average(true_probabilities / p[:, None], axis=0, weights=row_weight),
        )

    return loss


def _squared_error(products: np.ndarray) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    # If the weights sum to 1, the error of the average is the average of the errors.
    return lambda weights: (weights @ products @ weights, 2 * products @ weights)


def _score_stored(
    members: Sequence[Run], method: str, probabilities: bool, steps: Postprocessor | None
) -> JsonObject:
    """Return scores from the members' stored predictions on their test split; empty if not all are stored."""
    first = members[0]
    stored: list[Any] = [run.answers for run in members]
    if any(
        step["stage"] == temperature_scaling.STAGE and step["name"] != quantile_widths.NAME
        for run in members
        for step in run.postprocessing
    ):
        # stored predictions are calibrated, and the outputs that the ensemble averages are not
        return {}
    if None in stored or len(stored[0]["rows"]) < getattr(first.data, stored[0]["split"]):
        return {}
    y = combine([predictions["answers"] for predictions in stored], method, None, probabilities)
    batches = [(keras.ops.convert_to_numpy(y), stored[0]["truth"])]
    split = stored[0]["split"]
    scoring = first.problem.task.scoring
    target = first.target if steps is None else steps.target(first.target)
    weight = stored[0].get("weight")
    scores = score_weighted(scoring.score, batches, target, logits=False, weight=weight).scores
    if baseline_targets := (first.summary.get(split) or {}).get("targets"):
        scores = scoring.carried(scores, baseline_targets)
    return {split: scores}


def _describe_gain(
    members: Sequence[Run],
    method: str,
    weights: Sequence[float] | None,
    scores: Scores,
    task: str,
) -> JsonObject:
    """Return the description of the members in `summary.json`, and the ensemble's advantage over the best member."""
    split = "test" if scores.get("test") else "validation"
    metric = deciding_score(members[0].spec.training, scores.get(split) or {}, problem(task))
    rows: list[dict[str, Any]] = [
        dict(
            run=run.path.name,
            preset=run.spec.preset,
            seed=run.spec.seed,
            **{
                split: value_of(run.summary.get(split) or {}, metric)
                for split in ("validation", "test")
            },
        )
        for run in members
    ]
    best = gain = None
    if scores.get(split):
        best = max(rows, key=lambda row: advantage(row[split], 0, metric))
        score: Any = value_of(scores[split], metric)
        gain = advantage(score, best[split], metric)
    return dict(
        method=method,
        metric=metric,
        members=rows,
        weights=weights,
        split=split,
        best_member=best and best["run"],
        gain=gain,
    )
