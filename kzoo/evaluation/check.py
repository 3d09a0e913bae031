"""`check`: what is wrong with data, settings or network, before the first epoch; what is new in new data."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
from numpy.typing import ArrayLike

from kzoo.checks import run_checks
from kzoo.checks.finding import Findings
from kzoo.checks.losses import loss_info
from kzoo.checks.new_data import NewData
from kzoo.checks.subject import Subject
from kzoo.data.detection import is_data
from kzoo.data.load import load, with_overview
from kzoo.data.reload import preset_for, reload
from kzoo.dataset.dataset import Dataset, Loadable, Split
from kzoo.dataset.options import DataOptions
from kzoo.dataset.splits import Fold
from kzoo.evaluation.check_data import check_data
from kzoo.kinds import of_axes
from kzoo.registry import Preset, names_a_preset
from kzoo.run import Run
from kzoo.sources.arrays import with_rows
from kzoo.tasks import pair
from kzoo.training.custom_model import check_custom_model, check_shape
from kzoo.training.plan import plan_training, settings_for
from kzoo.untracked import as_run, run_or_none
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

_QUICK = ("settings", "data", "network")


@checked_arguments
def check(
    preset_or_model_or_run: "str | os.PathLike[str] | Preset | keras.Model | Run | Loadable | None" = None,
    data: "Loadable | None" = None,
    *,
    deep: bool = True,
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | Fold | Loadable | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    seed: int = 0,
    data_seed: int = 0,
    weights: Run | str | os.PathLike[str] | keras.Model | None = None,
    freeze: str | Sequence[str] | bool | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto",
    epochs: int | None = None,
    **overrides: Any,
) -> Findings:
    """Look for what is wrong before training, or for what new data has that a run has not seen.

    Of data alone, `kzoo.check("churn.csv", target="churned")`, what needs no network is scored as well, and presets to
    try are named.

    Args:
        preset_or_model_or_run: what `kzoo.train` takes: a preset's name, a `Preset` or a compiled model of your own;
            or a run, or its path; or the folder that a callback bundle wrote, of which data and network are looked at.
        data: what `kzoo.train` takes. A pair of arrays for a model of your own is looked at as `model.fit` would get
            it. With a run, new data, labelled or not, which is compared with what the run was trained on; without
            it the run's own data and settings are looked at.
        deep: also the checks that take gradient steps, some seconds; `kzoo.train` runs all others by itself.
        target, validation, test, drop, group, task, time, columns: see `kzoo.load_data`.
        seed, data_seed, weights, freeze, precision, epochs, overrides: see `kzoo.train`.

    Returns:
        A list of findings (`kzoo.checks.Finding`), errors first: check, level, what, where, why, fix. Empty is good.
        Its attribute `overview` says how the data was read, column by column, as plain data. Of data alone `baselines`
        has what needs no network, scored on the validation split, so that the test split stays unseen, and `presets`
        those to try, by what they got on measured data of this kind.

    Raises:
        KzooError: what `kzoo.train` or `kzoo.evaluate` refuses on sight.
    """
    if epochs is not None:
        overrides["epochs"] = epochs
    options = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time,
        columns=columns, seed=data_seed,
    )  # fmt: skip
    return examine(
        preset_or_model_or_run, data, options, overrides, deep=deep, seed=seed, weights=weights, freeze=freeze,
        precision=precision,
    )[0]  # fmt: skip


def examine(
    what: Any,
    data: Any,
    options: DataOptions,
    overrides: dict[str, Any],
    *,
    deep: bool,
    seed: int,
    weights: Any,
    freeze: Any,
    precision: str,
) -> tuple[Findings, list[str]]:
    """Do what `check` says; return (findings, names of the checks that were run)."""
    freeze = None if freeze is False else freeze
    of_training = overrides | dict(weights=weights, freeze=freeze, precision=None if precision == "auto" else precision)
    if what is None or (data is None and not isinstance(what, Preset) and not _names(what) and is_data(what)):
        source = data if what is None else what
        if source is None:
            raise KzooError("Say what to check: a preset, a run, or data=.")
        _refuse_settings(of_training)
        return check_data(source, options, deep=deep, seed=seed)
    run = as_run(what) if isinstance(what, keras.Model) and not what.compiled else run_or_none(what)
    if run is not None and not run.tracked:
        _refuse_beside(run, of_training)
        kinds = tuple(kind for kind in _QUICK if kind != "settings")
        return _looked_at(Subject(_data_of(run, data, options), run.model), kinds)
    if run is not None and data is not None:
        _refuse_beside(run, of_training | {name: value for name, value in options.given().items() if name != "target"})
        findings, names = run_checks(NewData(run, data, target=options.target), ("new",))
        return Findings(findings), names
    check_custom_model(what, weights=weights, freeze=freeze, precision=precision)
    kinds = (*_QUICK, "steps") if deep else _QUICK
    if run is not None:
        loaded = reload(run)
        preset = preset_for(run.spec)
        if preset is None:
            _refuse_beside(run, of_training)
            options.check_loaded(loaded)
            return _looked_at(Subject(loaded, None, run.spec.training), _QUICK)
        what, data = preset, loaded
    if _are_arrays(data):
        _, own, _, training = settings_for(what, overrides)
        if own is not None:
            _refuse_options(options, ("test", "validation"), "arrays are looked at as model.fit would get them")
            loss = loss_info(own)
            given = _as_given(own, data, options.test, classes=loss is not None and loss.labels != "values")
            return _looked_at(Subject(given, own, training), kinds)
    assigned = plan_training(what, data, options, overrides, seed=seed).freezing(freeze)
    job = assigned.ready(assigned.policy(precision), weights=weights, freeze=freeze, look=True)
    return _looked_at(Subject.of(job), kinds)


def _names(what: Any) -> bool:
    return isinstance(what, str) and names_a_preset(what)


def _refuse_settings(given: dict[str, Any]) -> None:
    """Refuse settings of a network where there is none."""
    for name, value in given.items():
        if value is not None:
            raise KzooError(
                f"{name}={shown(value)} is for a network, and there is data alone: name a preset before it."
            )


def _refuse_options(options: DataOptions, but: Sequence[str], why: str) -> None:
    """Refuse what says how data is read where something else does."""
    for name, value in options.given().items():
        if name not in but:
            raise KzooError(f"{name}={shown(value)} has no effect here: {why}. Leave it out.")


def _refuse_beside(run: Run, given: Mapping[str, Any]) -> None:
    """Refuse what says how to train, or how to read data to train on, beside what has been trained."""
    for name, value in given.items():
        if value is not None:
            raise KzooError(
                f"{name}= is for a training, and {run!r} is trained: new data is read as its own was. Leave it out."
            )


def _looked_at(subject: Subject, kinds: Sequence[str]) -> tuple[Findings, list[str]]:
    findings, names = run_checks(subject, kinds)
    return Findings(findings, subject.data.overview), names


def _data_of(run: Run, data: Any, options: DataOptions) -> Dataset:
    """Return what a model that is not compiled is to be looked at with."""
    if data is None:
        raise KzooError(f"{run!r} is a model, and nothing says what it was trained on: say data=.")
    options.check_loaded(data)
    loaded = (
        _as_given(run.model, data, options.test, classes="classes" in run.problem.facts)
        if _are_arrays(data)
        else load(data, None, options)
    )
    check_shape(run.model, loaded)
    return loaded


def _are_arrays(data: object) -> bool:
    return isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], str) and hasattr(
        data[0], "shape"
    ) and not hasattr(data[0], "columns")  # fmt: skip


def _as_given(model: keras.Model, arrays: Any, test: Any, *, classes: bool) -> Dataset:
    """Return arrays as a `Dataset` in which nothing is changed, moved or refused."""
    parts: Any = {"train": Split(x=with_rows(arrays[0], "x"), y=with_rows(arrays[1], "y"))}
    if _are_arrays(test):
        parts["test"] = Split(x=with_rows(test[0], "test x"), y=with_rows(test[1], "test y"))
    for name, part in parts.items():
        if part.x.dtype.kind not in "biuf" or part.y.dtype.kind not in "biuf":
            raise KzooError(f"{name} holds {part.x.dtype} and {part.y.dtype}: a model takes numbers.")
        if len(part.x) != len(part.y):
            raise KzooError(f"{name} x has {len(part.x)} rows and y has {len(part.y)}; they must be as many.")
    x = parts["train"].x
    reads = any(isinstance(layer, keras.layers.Embedding) for layer in model.layers) and x.ndim == 2
    inputs = of_axes(x.ndim, whole=reads).name
    made = Dataset(
        name="arrays",
        task=pair(inputs, "classes" if classes else "values").name,
        inputs=inputs,
        **parts,
        config={"input_shape": x.shape[1:]},
    )
    check_shape(model, made)
    return with_overview(made)
