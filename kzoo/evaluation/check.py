"""`check`: find problems in data, settings or network before training, and differences between new and old data."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

import keras

from kzoo.checks import run_checks
from kzoo.checks.finding import Finding, Findings
from kzoo.checks.new_data import NewData
from kzoo.checks.subject import Subject
from kzoo.data.dataset import Dataset, Loadable, Split
from kzoo.data.inputs.image.photo_encoder import with_installed_weights
from kzoo.data.load import load, with_overview
from kzoo.data.named import NAMES
from kzoo.data.options import DataOptions
from kzoo.data.reload import load_again, preset_for, reload
from kzoo.data.source_detection import is_data
from kzoo.data.tables.frame import as_table
from kzoo.evaluation.check_data import check_data
from kzoo.inference.sources.arrays import array_of_rows
from kzoo.problems.data_arguments import with_data_options
from kzoo.problems.kinds import kind_of_array
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import problem_for
from kzoo.training.custom_model import check_custom_model, check_shape
from kzoo.training.plan import plan_training, settings_for
from kzoo.training.suggestions import window_of
from kzoo.utils.address import local_model_or_data
from kzoo.utils.argument_checks import checked_arguments, checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.utils.table_path import check_sheet, with_sheet
from kzoo.zoo.loss_info import loss_info
from kzoo.zoo.registry import Preset, get_preset, names_a_preset
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import as_run, run_or_none
from kzoo.zoo.weights import Weights, stored_freeze

if TYPE_CHECKING:
    from kzoo.evaluation.wrong_labels import WrongLabels


_QUICK_KINDS = ("settings", "data", "network")

# what is checked, by the name of a preset or a path too
Checked: TypeAlias = "str | os.PathLike[str] | Preset | keras.Model | Run | Loadable | None"


@checked_arguments
@with_data_options()
def check(
    preset_or_model_or_run: "str | os.PathLike[str] | Preset | keras.Model | Run | Loadable | None" = None,
    data: "Loadable | None" = None,
    *,
    deep: bool = True,
    seed: int = 0,
    weights: Run | str | os.PathLike[str] | keras.Model | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto",
    epochs: int | None = None,
    wrong_labels: bool = False,
    learning_curve: bool = False,
    retrain: bool = False,
    folds: int = 5,
    out: str | os.PathLike[str] | None = None,
    parallel: int = 1,
    progress: bool = True,
    **overrides: Any,
) -> Findings:
    """Find problems before training, or find how new data differs from a run's training data.

    For data alone, as in `kzoo.check("churn.csv", target="churned")`, baselines are scored as well, and suitable
    presets are suggested.

    Args:
        preset_or_model_or_run: what `kzoo.train` takes: the name of a preset, a `Preset` or your own compiled model. Or
            a run or its path. Or the folder that a callback bundle wrote: then its data and network are checked.
        data: what `kzoo.train` takes. A pair of arrays for your own model is checked as `model.fit` would get it. With
            a run: new data, labelled or not, which is compared with the run's training data; without it, the run's own
            data and settings are checked.
        deep: also run the checks that take gradient steps, which need some seconds; `kzoo.train` runs all others.
        {data_options}
        seed, weights, freeze, precision, epochs, overrides: see `kzoo.train`.
        wrong_labels: instead of the other checks, train the preset on `folds` folds and list the labels that they and
            the neighbours of a row contradict (confident learning, https://doi.org/10.1613/jair.1.12125). Write
            `suspects.csv` and `suspects.html` into `out`. With a run, pass the data that it was trained on, unless that
            is a named data set.
        learning_curve: instead of the other checks, train the preset three times on each of six numbers of training
            rows, and forecast its score with up to four times today's rows by a power law
            (https://arxiv.org/abs/1712.00409). Write the result of each training and `learning_curve.png` into `out`.
        retrain: instead of the other checks, repeat the training of a run by its recorded command in a fresh process,
            and compare the weights bit by bit. `data` is then the path of the run's data, if it is not where the
            command names it. The result is stored in the run's folder.
        folds: number of folds of `wrong_labels`.
        out: the folder of these two; the default is `runs/wrong-labels-PRESET` or `runs/learning-curve-PRESET`. The
            same call continues where it was stopped. With `retrain`, a new folder to keep the repeated run in.
        parallel: number of their trainings at once, in processes of their own.
        progress: print a line for each of their trainings.

    Returns:
        A list of findings (`kzoo.checks.Finding`), errors first, with the fields check, level, what, where, why and
        fix. It is empty if nothing was found. The attribute `overview` summarises how each column was read, as plain
        data. For data alone, `baselines` has the baselines scored on the validation split (the test split is not used),
        `suggested_baseline` one to try before any preset (of forecasts; None without one), and `presets` the suggested
        presets in the order to try them (see `kzoo.zoo.results.suggest.order`). `suspects`
        and `learning_curve` are the results of the two searches (`kzoo.evaluation.wrong_labels.WrongLabels` and
        `kzoo.evaluation.learning_curve.LearningCurve`), and `retraining` that of a repeated training
        (`kzoo.evaluation.retrain.Retraining`).

    Raises:
        KzooError: arguments or data that `kzoo.train` or `kzoo.evaluate` refuses.

    Examples:
        >>> findings = kzoo.check("churn.csv", target="churned")
        >>> [(finding.level, finding.check) for finding in findings]
        []
        >>> findings.presets[0]["preset"]
        'tabular_tabm'
        >>> kzoo.check("iris_fnn", "iris")
        No problems found.
    """
    if epochs is not None:
        overrides["epochs"] = epochs
    options = DataOptions.popped(overrides)
    if retrain:
        changed = overrides | options.given() | dict(weights=weights, freeze=freeze)
        changed |= dict(seed=seed or None, precision=None if precision == "auto" else precision)
        changed |= dict(wrong_labels=wrong_labels or None, learning_curve=learning_curve or None)
        return repeat(preset_or_model_or_run, data, changed, out=out, progress=progress)
    if wrong_labels or learning_curve:
        return search(
            preset_or_model_or_run,
            data,
            options,
            overrides,
            wrong_labels=wrong_labels,
            learning_curve=learning_curve,
            folds=folds,
            seed=seed,
            weights=weights,
            freeze=freeze,
            precision=precision,
            out=out,
            parallel=parallel,
            progress=progress,
        )
    refuse_search_options(folds=folds, out=out, parallel=parallel)
    return examine(
        preset_or_model_or_run,
        data,
        options,
        overrides,
        deep=deep,
        seed=seed,
        weights=weights,
        freeze=freeze,
        precision=precision,
    )[0]


def examine(
    model_or_run: Checked,
    data: "Loadable | None",
    options: DataOptions,
    overrides: JsonObject,
    *,
    deep: bool,
    seed: int,
    weights: "Weights | None",
    freeze: str | Sequence[str] | bool | None,
    precision: str,
) -> tuple[Findings, list[str]]:
    """Run what `check` describes; return (findings, names of the checks that were run)."""
    freeze = stored_freeze(freeze)
    data = as_table(data, dicts=False)
    training_settings = overrides | dict(
        weights=weights, freeze=freeze, precision=None if precision == "auto" else precision
    )
    model_or_run = local_model_or_data(model_or_run)
    # 1. Data alone.
    if model_or_run is None or (
        data is None
        and not isinstance(model_or_run, Preset)
        and not _is_preset_name(model_or_run)
        and is_data(model_or_run)
    ):
        source = data if model_or_run is None else model_or_run
        if source is None:
            raise KzooError("Nothing to check: pass a preset, a run, or data=.")
        window = window_of(training_settings, options)
        _refuse_set(
            {name: value for name, value in training_settings.items() if name not in window},
            "is a setting of a network, but only data was given: pass a preset first.",
        )
        return check_data(
            as_table(source),
            options,
            deep=deep,
            seed=seed,
            window=window,
        )
    # 2. A model that does not record its training data: check the given data and the network.
    run = (
        as_run(model_or_run)
        if isinstance(model_or_run, keras.Model) and not model_or_run.compiled
        else run_or_none(model_or_run)
    )
    if run is not None and not run.tracked:
        _refuse_if_trained(run, training_settings)
        kinds = tuple(kind for kind in _QUICK_KINDS if kind != "settings")
        return _checked(Subject(_data_for_model(run, data, options), run.model), kinds)
    # 3. A run and new data: compare it with the training data.
    if run is not None and data is not None:
        check_sheet(data, options.sheet, options.header_row)
        data = with_sheet(data, options.sheet, options.header_row)
        options = replace(options, sheet=None, header_row=None)
        _refuse_if_trained(
            run,
            training_settings
            | {name: value for name, value in options.given().items() if name != "target"},
        )
        findings, names = run_checks(NewData(run, data, target=options.target), ("new",))
        return Findings(findings), names
    # 4. Otherwise check what training would use; for a run, its own data and settings.
    if run is None:
        weights, overrides = with_installed_weights(model_or_run, weights, overrides)
    check_custom_model(model_or_run, weights=weights, freeze=freeze, precision=precision)
    kinds = (*_QUICK_KINDS, "steps") if deep else _QUICK_KINDS
    if run is not None:
        loaded = reload(run)
        preset = preset_for(run.spec)
        if preset is None:
            _refuse_if_trained(run, training_settings)
            options.check_loaded(loaded)
            return _checked(Subject(loaded, None, run.spec.training), _QUICK_KINDS)
        model_or_run, data = preset, loaded
    if _are_arrays(data):
        _, custom_model, _, training = settings_for(model_or_run, overrides)
        if custom_model is not None:
            _refuse_options(
                options, ("test", "validation"), "arrays are checked as model.fit would get them"
            )
            loss = loss_info(custom_model)
            arrays = _arrays_as_dataset(
                custom_model, data, options, classes=loss is not None and loss.labels != "values"
            )
            return _checked(Subject(arrays, custom_model, training), kinds)
    plan = plan_training(model_or_run, data, options, overrides, seed=seed).with_freeze(freeze)
    setup = plan.ready(plan.policy(precision), weights=weights, freeze=freeze, for_checks=True)
    return _checked(Subject.of(setup), kinds)


def repeat(
    run: Checked,
    data: "Loadable | None",
    changed: JsonObject,
    *,
    out: str | os.PathLike[str] | None,
    progress: bool,
) -> Findings:
    """Repeat the training of a run, as `check` describes.

    Raises:
        KzooError: no run, a run that cannot be repeated, or an option that its command fixes.
    """
    _refuse_set(changed, "has no effect with retrain=: the recorded command is repeated. Omit it.")
    result = import_module("kzoo.evaluation.retrain").retrain(run, data, out=out, progress=progress)
    findings = Findings(result.findings())
    findings.retraining = result
    return findings


def refuse_search_options(**options: Any) -> None:
    """Raise KzooError for options of searches that have no effect on the other checks."""
    defaults = dict(folds=5, out=None, parallel=1)
    for name, value in options.items():
        if value != defaults[name]:
            raise KzooError(
                "has no effect without wrong_labels= or learning_curve=. Omit it.",
                argument=name,
                value=value,
            )


def search(
    model_or_run: Checked,
    data: "Loadable | None",
    options: DataOptions,
    overrides: JsonObject,
    *,
    wrong_labels: bool,
    learning_curve: bool,
    folds: int,
    seed: int,
    weights: "Weights | None",
    freeze: str | Sequence[str] | bool | None,
    precision: str,
    out: str | os.PathLike[str] | None,
    parallel: int,
    progress: bool,
) -> Findings:
    """Find wrong labels, or measure the learning curve, as `check` describes.

    Raises:
        KzooError: both, no preset, or data that the search refuses.
    """
    name = "wrong_labels" if wrong_labels else "learning_curve"
    if wrong_labels and learning_curve:
        raise KzooError(
            "and learning_curve= are two searches: call kzoo.check once for each.",
            argument="wrong_labels",
        )
    checked_count("parallel", parallel)
    if learning_curve and folds != 5:
        raise KzooError("has no effect on learning_curve=. Omit it.", argument="folds", value=folds)
    settings = overrides | {
        setting: value
        for setting, value in dict(weights=weights, freeze=freeze, precision=precision).items()
        if value not in (None, "auto", False)
    }
    run = (
        None
        if isinstance(model_or_run, Preset) or _is_preset_name(model_or_run)
        else run_or_none(model_or_run)
    )
    if run is not None:
        preset = preset_for(run.spec) if run.tracked and not run.spec.members else None
        if preset is None:
            raise KzooError(
                f"trains a preset on parts of the data, and {run!r} has none. Pass a preset.",
                argument=name,
            )
        given = options.given()
        if given:
            raise KzooError(
                f"{next(iter(given))}= applies to training, but {run!r} is already trained: its data is read as then. "
                "Omit it."
            )
        if data is None and run.data.name not in NAMES:
            raise KzooError(
                f"trains on parts of the data of {run!r}: pass it as data=.", argument=name
            )
        check_same_data(run, data)
        options = _options_of(run, name)
        seed = run.spec.seed or 0
        data = run.data.name if data is None else data
    elif isinstance(model_or_run, Preset) or _is_preset_name(model_or_run):
        preset = get_preset(model_or_run)
    else:
        raise KzooError(
            f"needs a preset to train, such as kzoo.check('tabular_fnn', data, {name}=True).",
            argument=name,
        )
    if data is None and preset.dataset is None:
        raise KzooError(f"{preset.name} has no data set of its own. Pass data=.")
    module = import_module(f"kzoo.evaluation.{name}")
    chosen: dict[str, Any] = dict(seed=seed, out=out, parallel=parallel, progress=progress)
    findings = Findings()
    if wrong_labels:
        findings.suspects = module.find_wrong_labels(
            preset, data, options, settings, folds=folds, **chosen
        )
        findings += _label_findings(findings.suspects)
    else:
        findings.learning_curve = module.measure_learning_curve(
            preset, data, options, settings, **chosen
        )
    return findings


def check_same_data(run: Run, data: "Loadable | None") -> None:
    """Raise KzooError if data is not what a run was trained on."""
    if data is not None and not isinstance(data, Dataset):
        load_again(run.spec, run.data, as_table(data))


def _options_of(run: Run, name: str) -> DataOptions:
    """Return how the data of a run was read; for wrong labels, without its split, which folds replace."""
    options = DataOptions.of(run.data)
    return (
        replace(options, test=None, seed=0, calibration=None, repairs=None)
        if name == "wrong_labels"
        else options
    )


def _label_findings(result: "WrongLabels") -> list[Finding]:
    """Return a warning about the labels that look wrong, if there are any."""
    if not result.suspects:
        return []
    first = result.suspects[0]
    return [
        Finding(
            level="warning",
            check="wrong_labels",
            what=f"{plural(len(result.suspects), 'label')} of {result.rows:,} rows look wrong",
            where=f"row {first.row} and others: {result.path}",
            why="a network learns wrong labels, and a score on wrong labels is too low",
            fix=f"Look at {result.page}, write yes into the column accept of {result.path.name} where the suggestion "
            "is right, and train with repairs=.",
        )
    ]


def _is_preset_name(preset: object) -> TypeGuard[str]:
    return isinstance(preset, str) and names_a_preset(preset)


def _refuse_set(arguments: Mapping[str, object], problem: str) -> None:
    """Raise KzooError with the problem for the first argument that is not None."""
    for name, value in arguments.items():
        if value is not None:
            raise KzooError(problem, argument=name, value=value)


def _refuse_options(options: DataOptions, allowed: Sequence[str], reason: str) -> None:
    """Raise KzooError for data options that have no effect, except those named in `allowed`."""
    for name, value in options.given().items():
        if name not in allowed:
            raise KzooError(f"has no effect: {reason}. Omit it.", argument=name, value=value)


def _refuse_if_trained(run: Run, settings: TrainingSettings) -> None:
    """Raise KzooError for training settings or data options if the model is already trained."""
    for name, value in settings.items():
        if value is not None:
            raise KzooError(
                f"applies to training, but {run!r} is already trained; new data is read as its training data "
                "was. Omit it.",
                argument=name,
            )


def _checked(subject: Subject, kinds: Sequence[str]) -> tuple[Findings, list[str]]:
    findings, names = run_checks(subject, kinds)
    return Findings(findings, subject.data.overview), names


def _data_for_model(run: Run, data: "Loadable | None", options: DataOptions) -> Dataset:
    """Return the data with which an untracked model is checked."""
    if data is None:
        raise KzooError(f"{run!r} is a model that does not record its training data: pass data=.")
    options.check_loaded(data)
    loaded = (
        _arrays_as_dataset(run.model, data, options, classes="classes" in run.problem.facts)
        if _are_arrays(data)
        else load(data, None, options)
    )
    check_shape(run.model, loaded)
    return loaded


def _are_arrays(data: object) -> TypeGuard[tuple[Any, Any]]:
    return (
        isinstance(data, tuple | list)
        and len(data) == 2
        and not isinstance(data[0], str)
        and hasattr(data[0], "shape")
        and not hasattr(data[0], "columns")
    )


def _arrays_as_dataset(
    model: keras.Model, arrays: tuple[Any, Any], options: DataOptions, *, classes: bool
) -> Dataset:
    """Return arrays as a `Dataset`, unchanged; the options may have others for validation and test.

    Raises:
        KzooError: arrays that are not numeric, or whose numbers of rows differ.
    """
    parts: Any = {"train": Split(x=array_of_rows(arrays[0], "x"), y=array_of_rows(arrays[1], "y"))}
    for name, other in options.pick("validation", "test").items():
        if _are_arrays(other):
            parts[name] = Split(
                x=array_of_rows(other[0], f"{name} x"), y=array_of_rows(other[1], f"{name} y")
            )
    for name, part in parts.items():
        if part.x.dtype.kind not in "biuf" or part.y.dtype.kind not in "biuf":
            raise KzooError(f"{name} must hold numbers (x: {part.x.dtype}, y: {part.y.dtype}).")
        if len(part.x) != len(part.y):
            raise KzooError(
                f"{name}: x and y must have the same number of rows (x: {len(part.x)}, y: {len(part.y)})."
            )
    x = parts["train"].x
    reads_token_ids = (
        any(isinstance(layer, keras.layers.Embedding) for layer in model.layers) and x.ndim == 2
    )
    kind = kind_of_array(x.ndim, whole=reads_token_ids).name
    dataset = Dataset(
        name="arrays",
        task=problem_for(kind, "classes" if classes else "values").name,
        inputs=kind,
        **parts,
        config={"input_shape": x.shape[1:]},
    )
    check_shape(model, dataset)
    return with_overview(dataset)
