"""`ensemble`: several runs become one model, which answers with all of them."""

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

from kzoo import __version__
from kzoo.data.named import NAMES
from kzoo.data.pipeline import Batches
from kzoo.data.reload import load_again
from kzoo.dataset.dataset import Loadable
from kzoo.kinds import encoding
from kzoo.ranking import advantage, find_runs
from kzoo.results import displayed_metric, of_fold, value_of
from kzoo.run import Run
from kzoo.stored_types import FOLDS, Member, Request, Spec
from kzoo.tasks import problem
from kzoo.training.folder import claimed, replaced
from kzoo.training.provenance import provenance
from kzoo.training.score import forward, run_gives_logits
from kzoo.training.stored_predictions import score_and_store
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import finite, whole_file, write_json

METHODS = ("mean", "vote", "weighted")
_TIE = 1e-3  # share of the mean probability in a vote: less than one vote among 999 members, enough to break ties


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

    The saved network has one input that feeds every member, and nothing but Keras' own layers: it predicts, scores
    and exports as any other run's. It is scored on the members' test split, which chose nothing here.

    Args:
        runs: two or more finished runs, or what `kzoo.compare` takes: folders, patterns.
        method: "mean" averages probabilities or values. "vote" gives each class its share of the members' votes, the
            mean probability breaking ties. "weighted" is an average with weights >= 0 that sum to 1: the ones of the
            least loss (or squared error) on the validation split (doi:10.1007/BF00117832); a member of weight 0 is
            left out of the network.
        data: the data that the members were trained on, as `kzoo.train` took it; named sets are found without.
            Only "weighted" needs it; without it the scores come from the members' stored answers, where they have all
            of these.
        out: the folder; the default is `runs/ensemble-NN`. A folder that holds the same ensemble is returned as it is.
        overwrite: replace a different run in `out`.

    Raises:
        KzooError: members that differ in task, data, split, preprocessing or classes, data that is not theirs, or a
            method that does not fit. Folds of a cross-validation are taken where their preprocessing is the same,
            without scores: what one has not seen, the others were trained on.
    """
    members = find_runs(runs)
    folds = _check(members, method)
    first = members[0]
    if folds and data is not None:
        raise KzooError(
            "data= has no use here: these are folds, and what one of them has not seen, the others were trained on. "
            "Score the ensemble with kzoo.evaluate, on data that is new to all."
        )
    if folds or (data is None and first.data.name not in NAMES):
        data = None
    else:
        data = load_again(first.spec, first.data, data, what="what the members were trained on")
    if method == "weighted" and (data is None or data.validation is None):
        why = "folds have none in common" if folds else "say data=" if data is None else f"{data.name} has none"
        raise KzooError(f"method='weighted' chooses the weights on validation data: {why}. Or use method='mean'.")
    described = first.data
    if folds:  # no name to load it by: any split of it has been trained on
        described = replace(described, name=f"{described.name}{FOLDS}", fingerprint=None, test=0, validation=0)
    request = Request(data=described, spec=_spec_of(members, method))
    with claimed(out, request, overwrite=overwrite, resume="never") as claim:
        if claim.done is None:
            _make(claim.folder, request, members, method, data, folds)
        return Run(claim.folder)


def _make(folder: Path, request: Request, members: Sequence[Run], method: str, data: Any, folds: bool) -> None:
    """Join the members and write the run."""
    began, described = time.perf_counter(), request.data
    classes = "probabilities" in problem(described.task).facts
    inputs, answers = _join(members, classes)
    weights = _weigh(inputs, answers, data, classes) if method == "weighted" else None
    model = keras.Model(inputs, _combine(answers, method, weights, classes), name="ensemble")
    with replaced(folder):
        write_json(folder / "preprocessing.json", members[0].preprocessing)
        known = {} if folds else {"statistics": members[0].config.get("statistics")}  # folds differ in theirs
        write_json(folder / "config.json", request.json() | {"command": None} | known | provenance())
        if data is None:
            scores = {} if folds else _score_stored(members, method, classes)
            if not (scores or folds):
                warn("The members have not kept all of their answers, so the ensemble has no scores: data= scores it.")
        else:
            scores = score_and_store(model, data, folder, logits=False)
        with whole_file(folder / "best.keras") as temporary:
            model.save(temporary)
        summary = dict(
            **scores,
            ensemble=_gain(members, method, weights, scores, described.task),
            seconds=round(time.perf_counter() - began, 2),
            parameters=model.count_params(),
        )
        if scores and (beside := members[0].summary.get("baselines")):  # on the same split, which they were scored on
            summary["baselines"] = beside
        write_json(folder / "summary.json", finite(summary))


def _check(members: Sequence[Run], method: str) -> bool:
    """Refuse members that do not belong together; say whether they are folds of a cross-validation."""
    if method not in METHODS:
        raise KzooError(f"method={method!r} must be one of: {', '.join(METHODS)}.")
    if len(members) < 2:
        raise KzooError(f"An ensemble needs two members or more, and this is one: {members[0].path}.")
    for run in members:
        if not run.finished:
            raise KzooError(f"{run.path} is not finished: train it to its end, or leave it out.")
        if run.spec.members:
            raise KzooError(f"{run.path} is an ensemble itself: give its members.")
        if run.postprocessing:
            steps = ",".join(step["name"] for step in run.postprocessing)
            raise KzooError(
                f"{run.path} has postprocess={steps}, and an ensemble joins what networks give, without such steps: "
                "train its members without."
            )
    described = [run.data for run in members]
    if method == "vote" and "classes" not in members[0].problem.facts:
        raise KzooError(f"method='vote' is for classes, and this is {described[0].task}: use 'mean'.")
    folds = all(map(of_fold, members)) and len({d.fingerprint for d in described}) > 1
    for part in ("task", "name", "class_names", "target_names", *(() if folds else ("data_seed", "options"))):
        _same(members, part.replace("_", " "), [getattr(d, part) for d in described])
    if folds:  # whose splits differ, but not what was divided
        _same(members, "options", [{**d.options, "test": None} for d in described])
        _same(members, "number of rows", [d.train + d.validation + d.test for d in described])
    why = " (each fold learns its own from its training rows)" if folds else ""
    _same(members, f"preprocessing{why}", [encoding(run.preprocessing) for run in members])
    if not folds:
        _same(members, "data fingerprint", [d.fingerprint for d in described])
    return folds


def _same(members: Sequence[Run], what: str, values: Sequence[Any]) -> None:
    for run, value in zip(members, values, strict=True):
        if value != values[0]:
            shown = [str(v) for v in (values[0], value)]
            said = f" ({shown[0]}, {shown[1]})" if max(map(len, shown)) < 40 else ""
            raise KzooError(
                f"{members[0].path} and {run.path} differ in their {what}{said}: members of an ensemble are trained "
                "on the same data, split in the same way."
            )


def _spec_of(members: Sequence[Run], method: str) -> Spec:
    """Describe the ensemble; its settings are those that all members share."""
    known = tuple(Member(spec=run.spec, run=run.path.name, created=run.config["created"]) for run in members)
    return Spec(
        preset="ensemble", family=None, task=known[0].spec.task, config=_shared([m.spec.config for m in known]),
        training=_shared([m.spec.training for m in known]), method=method, members=known, kzoo=__version__,
    )  # fmt: skip


def _shared(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {k: v for k, v in settings[0].items() if all(k in s and s[k] == v for s in settings)}


def _join(members: Sequence[Run], classes: bool) -> tuple[Any, list[Any]]:
    """Return one input, and the answers of each member to it: probabilities of the same form, or values."""
    models = [run.model for run in members]
    for run, model in zip(members, models, strict=True):
        if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
            raise KzooError(f"The model of {run.path} has not one input and one output.")
    shapes = [model.inputs[0].shape[1:] for model in models]
    _same(members, "input shape", shapes)
    inputs = keras.Input(shapes[0], dtype=models[0].inputs[0].dtype, name="inputs")
    wide = max(model.outputs[0].shape[-1] for model in models)
    answers = []
    for i, (run, model) in enumerate(zip(members, models, strict=True), 1):
        # The same layers and weights, under a name of their own.
        y = keras.Model(model.inputs[0], model.outputs[0], name=f"member_{i}")(inputs)
        answers.append(_probabilities(y, run_gives_logits(run), wide, run, i) if classes else y)
    return inputs, answers


def _probabilities(y: Any, logits: bool | None, wide: int, run: Run, i: int) -> Any:
    if logits is None:
        raise KzooError(
            f"{run.path}: its model answers with scores that are no probabilities (hinge, tanh) or cannot be seen to "
            "be any, and an ensemble joins probabilities. Train it with loss='crossentropy', ending in softmax, "
            "sigmoid or linear."
        )
    one = y.shape[-1] == 1
    if logits:
        y = layers.Activation("sigmoid" if one else "softmax", name=f"probabilities_{i}")(y)
    if one and wide == 2:
        y = layers.Concatenate(name=f"columns_{i}")([1 - y, y])
    return y


def _combine(answers: Sequence[Any], method: str, weights: Any, probabilities: bool) -> Any:
    """Return the ensemble's answers.

    Args:
        answers: of each member: (N, ..., classes or 1) probabilities or (N, ...) values.
        weights: one per member, for "weighted".
        probabilities: whether the answers are; rounding must not lift one over 1.
    """
    if method == "weighted":
        y = _sum([(w, a) for w, a in zip(weights, answers, strict=True) if w > 0])
    elif method == "vote":
        y = _sum([(1 - _TIE, layers.Average()([_vote(a) for a in answers])), (_TIE, layers.Average()(answers))])
    else:
        y = layers.Average()(answers)
    return keras.ops.minimum(y, 1.0) if probabilities else y


def _sum(parts: Sequence[tuple[float, Any]]) -> Any:
    scaled = [layers.Rescaling(float(weight))(a) for weight, a in parts]
    return layers.Add()(scaled) if len(scaled) > 1 else scaled[0]


def _vote(p: Any) -> Any:
    if p.shape[-1] == 1:
        return keras.ops.cast(p > 0.5, "float32")
    return keras.ops.one_hot(keras.ops.argmax(p, axis=-1), p.shape[-1])


def _weigh(inputs: Any, answers: Sequence[Any], data: Any, classes: bool) -> list[float]:
    """Return the weights with the least loss on the validation split."""
    together = keras.Model(inputs, keras.ops.stack(answers, axis=-1))
    batches, size = Batches(data.validation, batch_size=128), min(128, len(data.validation))
    of_truth, products = [], 0.0
    for step in range(len(batches)):
        x, y = batches.batch(0, step)
        a, y = forward(together, x, size), np.asarray(y)
        if classes:
            of_truth.append(_of_truth(a, y.reshape(-1)))
        else:
            spread = np.asarray(data.config.get("target_scale", np.ones(y.shape[-1])))
            errors = (a.reshape(*y.shape, -1) - y[..., None]) / spread[:, None]
            errors = errors.reshape(-1, len(answers)).astype("float64")
            products = products + errors.T @ errors
    loss = _log_loss(np.concatenate(of_truth)) if classes else _squared_error(products / np.trace(products))
    count = len(answers)
    found = optimize.minimize(
        loss, np.full(count, 1 / count), jac=True, method="SLSQP", bounds=[(0, 1)] * count,
        constraints=dict(type="eq", fun=lambda w: w.sum() - 1, jac=np.ones_like), options=dict(ftol=1e-10),
    )  # fmt: skip
    weights = np.clip(found.x, 0, 1).round(4)
    return [float(w) for w in weights / weights.sum()]


def _of_truth(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the probability (N, members) that each member gives the true class."""
    if answers.shape[-2] == 1:
        answers = np.concatenate([1 - answers, answers], axis=-2)
    return answers.reshape(len(truth), *answers.shape[-2:])[np.arange(len(truth)), truth].astype("float64")


def _log_loss(of_truth: np.ndarray) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        p = np.clip(of_truth @ weights, 1e-9, None)
        return -np.log(p).mean(), -(of_truth / p[:, None]).mean(axis=0)

    return loss


def _squared_error(products: np.ndarray) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    # Where the weights sum to 1, the error of the average is the average of the errors.
    return lambda weights: (weights @ products @ weights, 2 * products @ weights)


def _score_stored(members: Sequence[Run], method: str, probabilities: bool) -> dict[str, Any]:
    """Score what the members have answered on their test split, where all of it was kept."""
    first = members[0]
    kept: list[Any] = [run.answers for run in members]
    if None in kept or len(kept[0]["rows"]) < getattr(first.data, kept[0]["split"]):
        return {}
    y = _combine([k["answers"] for k in kept], method, None, probabilities)
    answered = [(keras.ops.convert_to_numpy(y), kept[0]["truth"])]
    split, scoring = kept[0]["split"], first.problem.task.scoring
    scores = scoring.score(answered, first.target, logits=False).scores
    if known := (first.summary.get(split) or {}).get("targets"):
        scores = scoring.carried(scores, known)
    return {split: scores}


def _gain(
    members: Sequence[Run], method: str, weights: Sequence[float] | None, scores: Mapping[str, Any], task: str
) -> dict[str, Any]:
    """Return what `summary.json` says of the members, and by how much the ensemble is better than the best of them."""
    split = "test" if scores.get("test") else "validation"
    metric = displayed_metric(problem(task).headline, scores.get(split) or {}, problem(task).task)
    rows: list[dict[str, Any]] = [
        dict(
            run=run.path.name,
            preset=run.spec.preset,
            seed=run.spec.seed,
            **{split: value_of(run.summary.get(split) or {}, metric) for split in ("validation", "test")},
        )
        for run in members
    ]
    best = gain = None
    if scores.get(split):
        best = max(rows, key=lambda row: advantage(row[split], 0, metric))
        own: Any = value_of(scores[split], metric)
        gain = advantage(own, best[split], metric)
    return dict(method=method, metric=metric, members=rows, weights=weights, split=split,
                best_member=best and best["run"], gain=gain)  # fmt: skip
