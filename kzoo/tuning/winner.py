"""What to do with a search's best trial: retrain it as a run, or save it as a preset in a TOML file."""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from kzoo.callbacks.monitor import reported_metrics
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.named import NAMES
from kzoo.data.reload import load_again
from kzoo.data.store.pooled import with_all_rows
from kzoo.problems.objectives import is_score
from kzoo.problems.stored_types import Description, Spec
from kzoo.problems.tasks import problem
from kzoo.training import train
from kzoo.training.identity import weights_hash
from kzoo.tuning.records import Trial
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.function_space import TUNED, Build, FunctionSpace, checked_build, code_of
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, write_text
from kzoo.utils.formatting import as_python, first_line
from kzoo.zoo.contract import metrics_for, needs_onehot, stops_early
from kzoo.zoo.loading import load_model
from kzoo.zoo.registry import preset_of, rebuild
from kzoo.zoo.registry.catalogue import list_presets
from kzoo.zoo.registry.preset_files import preset_to_toml
from kzoo.zoo.run import Run
from kzoo.zoo.weights import check_weights


def retrain(
    search: Search,
    data: "Loadable | None",
    *,
    trial: int | None,
    on: str | None,
    epochs: int | str,
    out: str | os.PathLike[str] | None,
    seed: int | None,
    build: Build | keras_tuner.HyperModel | None,
    options: JsonObject,
) -> Run:
    """Train a trial of a search again, and return the run: see `Search.retrain`."""
    if on not in (None, "train", "train+validation"):
        raise KzooError(f"Unknown on={on!r}. Use one of: train, train+validation.", value=on)
    chosen = search.best_trial() if trial is None else _trial(search, trial)
    spec = search.spec_of(chosen)
    epochs = as_python(epochs)
    if on is None:
        learned = (
            {"postprocess": problem(spec["task"]).task.postprocess} | spec["training"] | options
        )
        learns = learned["postprocess"] or learned.get("decision") is not None
        on = "train" if learns and search.request.data["validation"] else "train+validation"
    if epochs == "best":
        # A schedule needs all its epochs: shortened to the best epoch, it would be a different one.
        training = spec["training"]
        epochs = (
            best_epoch(chosen, search.objective.name)
            if stops_early(training)
            else training["epochs"]
        )
    elif isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise KzooError(
            "must be 'best' or an integer of at least 1.", argument="epochs", value=epochs
        )
    if (
        on == "train+validation"
        and spec["training"].get("decision") is not None
        and not ("decision" in options and options["decision"] is None)
    ):
        raise KzooError(
            "is learned on validation rows, which on='train+validation' "
            "trains on: pass on='train'.",
            argument="decision",
            value=spec["training"]["decision"],
        )
    dataset = _data(search, data)
    monitor = search.objective.name
    seed = chosen.seed if seed is None else seed
    if search.request.has_custom_models:
        model = build_model(search, search.build if build is None else build, chosen, seed)
        options = _trial_settings(search, chosen) | options
    else:
        model = preset_of(spec)
        options = _with_initial_weights(search, options)
        metric = monitor.removeprefix("val_")
        metrics = tuple(spec["training"]["metrics"])
        is_reported = metric in ("loss", *metrics_for(spec["task"], spec["config"]))
        if not is_reported:
            options = ({"objective": metric, "monitor": None} if on == "train" else {}) | options
        elif metric != "loss" and metric not in metrics:
            options = {"metrics": (*metrics, metric)} | options
        # that of the trial, whatever callbacks= implies
        options = {"ema": spec["training"]["ema"]} | options
    if on == "train+validation":
        dataset = with_all_rows(dataset)
        monitor = "loss"
    elif search.request.has_custom_models:
        names = reported_metrics(model)
        metric = monitor.removeprefix("val_")
        if names is not None and metric not in names and is_score(metric):
            options = {"objective": metric, "monitor": None} | options
        else:
            options = {"mode": search.objective.direction} | options
    return train(
        model, dataset, out=out, epochs=epochs, **{"monitor": monitor, "seed": seed} | options
    )


def build_model(
    search: Search, build: Build | keras_tuner.HyperModel | None, trial: Trial, seed: int
) -> keras.Model:
    """Return the compiled model of a trial of a build function, its weights drawn from a seed.

    Raises:
        KzooError: the function is missing, or is not the one of the search.
    """
    if build is None:
        raise KzooError(
            f"{search.path} was tuned with a build function. Pass it as build={_build_name(search)}."
        )
    space = checked_build(FunctionSpace(build=build, policy=keras.config.dtype_policy().name))
    stored = search.request.space.get("code")
    code = code_of(build)
    if space.name != _build_name(search) or (None not in (stored, code) and stored != code):
        reason = (
            "its code has changed"
            if space.name == _build_name(search)
            else f"the function was {_build_name(search)}"
        )
        raise KzooError(
            f"build={space.name} is not the function that {search.path} was tuned with: {reason}.",
            argument="build",
            value=space.name,
            complete=True,
        )
    return space.model(trial.hyperparameters, seed)


def function_model(search: Search, trial: Trial, file: Path) -> keras.Model:
    """Return the saved model of a trial of a build function: see `Search.best_model`.

    Raises:
        KzooError: the function is not the one of the search, or the file cannot be read.
    """
    if search.build is None:
        return load_model(file)
    model = build_model(search, search.build, trial, trial.seed)
    if not model.built and search.data is not None:
        model(np.asarray(search.data.train.x[np.arange(1)]))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            model.load_weights(file)
    except Exception as error:
        raise KzooError(f"{file} cannot be read: {first_line(error)}") from error
    return model


def _trial_settings(search: Search, trial: Trial) -> JsonObject:
    """Return the training settings of a trial of a build function, without epochs and monitor."""
    settings = {
        name: setting
        for name, setting in search.request.space["settings"].items()
        if name not in ("epochs", "monitor", "mode")
    }
    return settings | {
        name: setting for name, setting in trial.hyperparameters.items() if name in TUNED
    }


def _with_initial_weights(search: Search, options: JsonObject) -> JsonObject:
    """Return the training options with the initial weights of the search's trials added.

    Raises:
        KzooError: they are missing, or are not those of the search.
    """
    request = search.request
    preset = search.request.spec["preset"]
    if request.weights is None:
        return options
    weights = options.get("weights", search.weights) or (
        request.weights if request.can_reload_weights else None
    )
    if weights is None:
        raise KzooError(
            f"The trials of {search.path} started from {request.weights!r}. Pass these weights with weights=."
        )
    if isinstance(weights, str | os.PathLike):
        check_weights(weights, preset)
    if request.weights_sha256 not in (None, weights_hash(weights, preset)):
        raise KzooError(
            f"does not contain the weights that {search.path} was tuned with.",
            argument="weights",
            value=weights,
        )
    return {"freeze": request.freeze} | options | {"weights": weights}


def _build_name(search: Search) -> str:
    return search.request.spec["preset"]


def best_epoch(trial: Trial, objective: str) -> int:
    """Return a trial's best epoch; of several with the same score, the one with the lowest validation loss.

    Few validation rows often give equal scores, and the first of them may be luck, long before training was done.
    """
    best = trial.best_epoch
    assert best is not None  # a trial with a score has one
    scores, losses = (trial.history.get(name) for name in (objective, "val_loss"))
    if trial.folds or not scores or not losses:  # with folds it is a mean, which averages luck out
        return best
    best_score = scores[best - 1]
    ties = [i for i, score in enumerate(scores) if score == best_score and losses[i] is not None]
    return min(ties, key=lambda i: losses[i], default=best - 1) + 1


def _trial(search: Search, number: int) -> Trial:
    """Return a trial with a score by its number."""
    scored = {trial.number: trial for trial in search.trials if trial.score is not None}
    if isinstance(number, bool) or number not in scored:
        legal = ", ".join(map(str, scored)) or "none"
        raise KzooError(
            f"is not a trial of {search.path} with a score. Use one of: {legal}.",
            argument="trial",
            value=number,
        )
    return scored[number]


def _data(search: Search, source: "Loadable | None") -> Dataset:
    """Return the data of the search, loaded again if needed.

    Raises:
        KzooError: it is missing, or is different data.
    """
    if source is None and search.data is not None:
        return search.data
    spec = Spec.read(search.request.spec)
    description = Description.read(search.request.data)
    return load_again(spec, description, source, what=f"the data that {search.path} was tuned on")


def onehot(spec: JsonObject) -> dict[str, str]:
    """Return {"labels": "onehot"} if `kzoo.build` requires it for a specification, otherwise {}."""
    return (
        {"labels": "onehot"} if needs_onehot(spec["task"], spec["config"], spec["training"]) else {}
    )


def save_preset(search: Search, name: str, path: str | os.PathLike[str] | None) -> Path:
    """Write the best trial as a new preset and return the file: see `Search.save_preset`."""
    if search.request.has_custom_models:
        raise KzooError(
            f"A preset cannot store models of a build function ({_build_name(search)}). Use best_config() or retrain()."
        )
    spec = search.best_spec()
    best = search.best_trial()
    data = search.request.data["name"]
    score_text = (
        f"{search.objective.name} {best.score:.4g}, the best of {len(search.trials)} trials"
    )
    summary = f"{spec['preset']} tuned on {data}: {score_text}."
    training = spec["training"] | onehot(spec)
    # validates the name
    preset = preset_of(spec | {"preset": name, "revision": 1, "training": training})
    if name in list_presets():
        raise KzooError(f"A preset {name!r} already exists. Choose another name.")
    file = search.path / f"{name}.toml" if path is None else Path(path)
    if file.suffix != ".toml":
        raise KzooError(
            "must end in .toml, the format that kzoo.load_presets reads.",
            argument="path",
            value=str(path),
        )
    if not file.parent.is_dir():
        raise KzooError(
            f": the folder {str(file.parent)!r} does not exist.", argument="path", value=str(path)
        )
    if file.exists():
        raise KzooError(f"{file} already exists. Choose another name or path=.")
    params = rebuild(spec | {"seed": None}, compile=False).count_params()
    preset = replace(
        preset, summary=summary, dataset=data if data in NAMES else None, params=params
    )
    write_text(file, preset_to_toml(preset))
    return file
