"""`train_baseline`: fit a baseline, and write it as a run whose network computes the same."""

import os
import time
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.baselines.baseline import list_baselines
from kzoo.baselines.data import BaselineData
from kzoo.baselines.fitted import Fitted, checked_fit, fit_checked, refit
from kzoo.data import Dataset, load_data
from kzoo.data.dataset import Loadable, Split
from kzoo.data.load import load
from kzoo.data.options import DataOptions
from kzoo.data.statistics import statistics
from kzoo.inference.postprocessors import quantile_widths
from kzoo.inference.postprocessors.decision import SETTINGS
from kzoo.inference.postprocessors.postprocessor import Postprocessor, learn
from kzoo.inference.predictions import ANSWERS
from kzoo.problems.stored_types import BASELINE, DATA_PRESET, Request, Spec, TrainingSettings
from kzoo.training.baselines import score_baselines
from kzoo.training.decision import adapt_decision, adapt_objective
from kzoo.training.folder import claimed, run_set_aside
from kzoo.training.provenance import provenance
from kzoo.training.score import forward, learned_postprocessor
from kzoo.training.stored_predictions import score_and_store
from kzoo.training.suggestions import preset_with_window
from kzoo.training.target_range import with_target_range
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, finite, whole_file, write_json
from kzoo.utils.formatting import hint
from kzoo.utils.version import __version__
from kzoo.zoo.network import table_of
from kzoo.zoo.registry import Preset, general_first, get_preset, list_presets
from kzoo.zoo.registry.arguments import plain_settings
from kzoo.zoo.run import POSTPROCESSING, Run

_DECIDING = ("objective", *SETTINGS)
_COMPARED = 256  # rows on which network and baseline must agree
_TOLERANCE = 1e-4  # of the largest output: float32 has seven digits


def train_baseline(
    name: str,
    data: Loadable,
    *,
    out: str | os.PathLike[str] | None,
    overwrite: bool,
    seconds: float | None,
    seed: int,
    baselines: bool,
    horizon: int | None = None,
    out_of_fold: tuple[np.ndarray, np.ndarray, np.ndarray | None] | None = None,
    judged: Split | None = None,
    **more: Any,
) -> Run:
    """Fit a baseline and write a run; see `kzoo.baselines.train`. `more` has its settings and options of the data.

    With `out_of_fold`, (outputs, truth, weight or None) of rows that it was not fitted to, it is fitted again to the
    training and validation rows after its choices; postprocessing steps are then learned on these outputs. If they are
    of windows of a series, these are `judged`.
    """
    settings = {name: more.pop(name) for name in _DECIDING if name in more}
    preset = more.get("preset")
    is_dataset = isinstance(data, Dataset)
    legal = {"preset", *(() if is_dataset else ("data_seed", *signature(load_data).parameters))} - {
        "seed",
        "source",
    }
    if wrong := next((name for name in more if name not in legal), None):
        whose = " for a Dataset" if is_dataset else ""
        raise KzooError(
            f"Unknown argument {wrong!r}{whose}. {hint(wrong, [*_DECIDING, *legal])}Leave it out.",
            argument=wrong,
            value=more[wrong],
            complete=True,
        )
    if horizon is not None:
        if is_dataset:
            raise KzooError(
                "is for data that is not loaded yet: a Dataset has its own. Leave it out.",
                argument="horizon",
                value=horizon,
            )
        preset = preset or general_first(list_presets(task="forecasting"))[0]
        more["preset"] = preset_with_window(preset, {"horizon": horizon})
    if not isinstance(data, Dataset):
        data = load_data(data, seed=more.pop("data_seed", 0), **more)
        if (longer := _preset_with_steps(data, name)) is not None and data.origin is not None:
            data, preset = load(data.origin.source, longer, data.origin.options), longer
    if preset is not None:
        name_of_preset = get_preset(preset).name
        # others cannot be found again
        preset = name_of_preset if name_of_preset in list_presets() else None
    candidate, seed, rows = checked_fit(data, name, seconds=seconds, seed=seed)
    training = _adapted_settings(settings, data, candidate.logits)
    training |= {} if out_of_fold is None else {"all_rows": True}
    spec = Spec(
        preset=candidate.name,
        family=None,
        task=data.task,
        config={"inputs": data.inputs, **data.config}
        | ({} if preset is None else {DATA_PRESET: preset}),
        training=training | ({} if seconds is None else {"seconds": float(seconds)}),
        seed=seed,
        method=BASELINE,
        kzoo=__version__,
    )
    request = Request(data=DataOptions().describe(data), spec=spec, backend=keras.backend.backend())
    with claimed(out, request, overwrite=overwrite, resume="never") as claim:
        if claim.done is not None:
            return claim.done
        start = time.perf_counter()
        fitted = fit_checked(candidate, data, rows, seed, settings=training)
        if out_of_fold is not None:
            fitted = refit(candidate, fitted, data, seed)
        model = fitted.network()
        _check_agreement(fitted, model)
        with run_set_aside(claim.folder):
            _write(
                claim.folder,
                request,
                fitted,
                model,
                data,
                start,
                baselines=baselines,
                out_of_fold=out_of_fold,
                judged=judged,
            )
        return Run(claim.folder)


def _preset_with_steps(data: Dataset, name: str) -> Preset | None:
    """Return a preset whose windows are as long as a baseline should have; None if they are, or have a set length."""
    baseline = next((each for each in list_baselines(data.problem) if each.name == name), None)
    if baseline is None or baseline.steps is None or data.origin is None:
        return None
    names = list_presets(task="forecasting")  # those of quantiles and counts, too
    preset = data.origin.preset or get_preset(general_first(names)[0])
    shape = preset.config["input_shape"]
    steps = baseline.steps(BaselineData(data))
    if shape[0] is not None or steps <= data.train.x.shape[1]:
        return None
    settings = {"input_shape": (steps, *shape[1:]), "horizon": data.config["horizon"]}
    return replace(preset, config={**preset.config, **settings})


def _adapted_settings(settings: TrainingSettings, data: Dataset, logits: bool | None) -> JsonObject:
    """Return the settings of objective and decision, complete, with the names of the postprocessing steps."""
    training = (
        dict(settings) | plain_settings(settings) | {"postprocess": data.problem.task.postprocess}
    )
    adapt_decision(training, frozenset(settings), data, logits=logits)
    adapt_objective(training, frozenset(settings), data, ())
    kept = {name: training[name] for name in _DECIDING if training.get(name) is not None}
    return kept | ({"postprocess": training["postprocess"]} if training["postprocess"] else {})


def _check_agreement(fitted: Fitted, model: keras.Model) -> None:
    """Raise `KzooError` if the network does not return what the baseline predicts, on some rows."""
    data = fitted.data
    part = next(
        part for part in (data.test, data.validation, data.train) if part is not None and len(part)
    )
    rows: Split = part.select(np.arange(min(len(part), _COMPARED)))
    expected, _ = fitted.predict(rows)
    outputs = forward(model, np.asarray(rows.x[:]), len(rows))
    if fitted.widths is not None:
        outputs = quantile_widths.apply(fitted.widths.learned, outputs, logits=None)
    outputs = outputs.reshape(expected.shape)
    difference = float(np.abs(outputs - expected).max())
    if not difference <= _TOLERANCE * max(float(np.abs(expected).max()), 1e-30):
        raise KzooError(
            f"{fitted.label} on {data.name} cannot be written as a network: its predictions differ by up to "
            f"{difference:.3g}, for inputs that float32 does not separate."
        )


def _write(
    folder: Path,
    request: Request,
    fitted: Fitted,
    model: keras.Model,
    data: Dataset,
    start: float,
    *,
    baselines: bool,
    out_of_fold: tuple[np.ndarray, np.ndarray, np.ndarray | None] | None,
    judged: Split | None,
) -> None:
    """Write the files of the run; last the summary, which completes it."""
    settings = request.spec.training
    network = table_of(model) | {"flops": None}  # look-ups and comparisons are not counted
    config = request.json() | {
        "command": None,
        "statistics": statistics(fitted.data),
        "network": network,
    }
    if data.problem.gives_probabilities:
        config["answers"] = next(
            name for name, logits in ANSWERS.items() if logits is fitted.logits
        )
    write_json(folder / "preprocessing.json", data.preprocessing)
    write_json(folder / "config.json", config | provenance())
    options: dict[str, Any] = dict(logits=fitted.logits, settings=settings)
    steps = tuple(settings.get("postprocess", ()))
    if out_of_fold is not None:
        outputs, truth, weight = out_of_fold
        learned: dict[str, Any] = dict(target=data.target, rows="out of fold", weight=weight)
        options["postprocessor"] = (
            learn(steps, outputs, truth, **options, **learned) if steps else None
        )
        options |= {"out_of_fold": (outputs, truth), "judged": judged}
    elif steps and data.validation is not None:
        options["postprocessor"] = learned_postprocessor(model, data, steps, **options)
    postprocessor = options.get("postprocessor")
    if fitted.widths is not None:
        postprocessor = (postprocessor or Postprocessor()).with_step(fitted.widths)
    options["postprocessor"] = with_target_range(postprocessor, data)
    if options["postprocessor"] is not None:
        write_json(folder / POSTPROCESSING, options["postprocessor"].json())
    # it was fitted to the validation rows
    scored = data if out_of_fold is None else replace(data, validation=None)
    summary = dict(
        **score_and_store(model, scored, folder, **options),
        baseline=dict(
            name=fitted.name,
            label=fitted.label,
            reference=fitted.reference,
            notes=list(fitted.notes),
        ),
        seconds=round(time.perf_counter() - start, 2),
        parameters=model.count_params(),
    )
    if baselines and (data.test is not None or data.validation is not None):
        others = score_baselines(data, fitted.seconds, settings)
        summary["baselines"] = [result for result in others if result["name"] != fitted.name]
    with whole_file(folder / "best.keras") as temporary:
        model.save(temporary)
    write_json(folder / "summary.json", finite(summary))
