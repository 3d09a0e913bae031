"""Presets of tables as scikit-learn estimators: `Classifier` and `Regressor`.

    search = GridSearchCV(kzoo.sklearn.Classifier("tabular_fnn"), {"learning_rate": [1e-3, 1e-2]}).fit(X, y)

They work in pipelines, searches, calibration and inspection, with `clone`, `pickle` and joblib. A fitted estimator
holds the files of a run in memory. No object of Keras is pickled: the network is rebuilt from its specification, with
the checks of `kzoo.load_model`. Keras is imported by the first `fit` or prediction.
"""

import json
import os
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kzoo.inference.postprocessors import STEP
from kzoo.problems.kinds import kind, preprocessor_mismatch, takes_ready_arrays
from kzoo.problems.stored_types import Config
from kzoo.problems.tasks import problem_for
from kzoo.utils.errors import Interrupted, KzooError, short_errors
from kzoo.utils.files import Json, JsonObject, check_writable, path_of, whole_file
from kzoo.utils.formatting import hint, listed, plural
from kzoo.utils.optional import of_pandas
from kzoo.utils.optional import pandas as pd
from kzoo.utils.schema import misfit
from kzoo.zoo.registry import Preset, get_preset, list_presets
from kzoo.zoo.registry.arguments import ARGUMENTS
from kzoo.zoo.registry.family import builder_of
from kzoo.zoo.run import POSTPROCESSING, Run

if TYPE_CHECKING:
    from typing import Self

    import keras
    from sklearn.utils import Tags

    from kzoo.data.dataset import Dataset
    from kzoo.inference.predictions import Predictions

__all__ = ["Classifier", "Regressor"]

_MIN_ROWS = 10  # as in every training of kzoo
_LARGEST_SEED = 10**9  # of kzoo; scikit-learn takes larger ones
# rows of each step of a prediction, filled up: results must not depend on the number of rows
_BATCH = 128
# The files of a run that an estimator keeps. The last model, curves and logs are left out.
_REQUIRED = ("config.json", "preprocessing.json", "summary.json", "best.keras")
_FILES = (*_REQUIRED, POSTPROCESSING, "history.csv", "answers.npz")

# (N, features): what NumPy takes, or a DataFrame of pandas or of a library with `to_pandas`
Features: TypeAlias = Any
Targets: TypeAlias = Any  # (N,) or (N, targets): the same, or a Series
Frame: TypeAlias = Any  # a DataFrame of pandas


class _RunInMemory(Run):
    """A run whose files are in memory.

    Args:
        files: name -> content.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.path = Path("estimator")
        self.trusted = ()

    def __getstate__(self) -> JsonObject:
        """Return the files, without what was read or built from them."""
        return {name: self.__dict__[name] for name in ("files", "path", "trusted")}

    @property
    def folder(self) -> None:
        return None

    def _read(self, name: str, form: Any) -> Json:
        try:
            stored = json.loads(self.files[name])
        except (KeyError, ValueError, RecursionError):
            raise KzooError(
                f"The estimator is damaged: its {name} is not valid JSON. Fit it again."
            ) from None
        if wrong := misfit(stored, form):
            raise KzooError(f"The estimator is damaged: its {name} {wrong}. Fit it again.")
        return stored

    @cached_property
    def reader(self) -> JsonObject:
        """The preprocessor, read once."""
        return self._read(
            "preprocessing.json",
            lambda reader, where: preprocessor_mismatch(reader, self.spec.config),
        )

    @property
    def preprocessing(self) -> JsonObject:
        return self.reader

    @cached_property
    def _steps(self) -> list[dict[str, Any]]:
        return self._read(POSTPROCESSING, [STEP]) if POSTPROCESSING in self.files else []

    @property
    def postprocessing(self) -> list[dict[str, Any]]:
        return self._steps

    @cached_property
    def model(self) -> "keras.Model":
        load = import_module("kzoo.zoo.loading.load")
        with _random_state_kept():
            return load.load_weights_of(self.config["spec"], self.files["best.keras"])


class _Estimator(BaseEstimator):
    """What both estimators share: parameters, input, training, and the run."""

    _fact = ""  # of the tasks that it learns
    _task = ""  # as `task=` of `kzoo.load_data`

    def __init__(
        self,
        preset: str | Preset = "tabular_tabm",
        *,
        random_state: "int | np.random.RandomState | None" = None,
        validation_fraction: float = 0.1,
        columns: Mapping[str, object] | None = None,
        verbose: bool = False,
        **settings: Any,
    ) -> None:
        self.preset = preset
        self.random_state = random_state
        self.validation_fraction = validation_fraction
        self.columns = columns
        self.verbose = verbose
        self._settings = settings

    # Parameters: the arguments of `__init__`, and the settings of the preset.

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("_settings", {})
        if name in settings:
            return settings[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        settings = self.__dict__.get("_settings", {})
        if name in settings or name in ARGUMENTS:
            super().__setattr__("_settings", settings | {name: value})
        else:
            super().__setattr__(name, value)

    def get_params(self, deep: bool = True) -> JsonObject:
        """Return the parameters, with the settings that were set in place of the preset's.

        Args:
            deep: has no effect, because no parameter is an estimator.
        """
        return super().get_params(deep=deep) | self._settings

    @short_errors
    def set_params(self, **params: Any) -> "Self":
        """Set parameters or settings of the preset, and return the estimator.

        Raises:
            KzooError: a name that is neither.
        """
        legal = {
            *self.get_params(deep=False),
            *ARGUMENTS,
            *self._taken(params.get("preset", self.preset)),
        }
        for name in params:
            if name not in legal:
                raise KzooError(
                    f"{type(self).__name__} has no parameter {name!r}. {hint(name, sorted(legal))}Settings of a preset "
                    "are listed by `kzoo show PRESET`."
                )
        for name, value in params.items():
            if name in self._get_param_names():
                setattr(self, name, value)
            else:
                self._settings = self._settings | {name: value}
        return self

    @staticmethod
    def _taken(preset: str | Preset) -> Sequence[str]:
        """Return the settings of the family of a preset, which may be of another package; none if it is unknown."""
        try:
            return tuple(builder_of(get_preset(preset).family).takes)
        except (KzooError, TypeError):
            return ()

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "_run" in self.__dict__

    # Training

    def _checked_preset(self) -> Preset:
        """Return the preset.

        Raises:
            KzooError: an unknown one, or one that does not take tables.
        """
        if not isinstance(self.preset, str | Preset):
            raise KzooError(
                "must be the name of a preset, such as 'tabular_tabm'.",
                argument="preset",
                value=self.preset,
            )
        preset = get_preset(self.preset)
        if not kind(preset.config["inputs"]).is_table:
            names = [name for name in list_presets("tabular_*")]
            raise KzooError(
                f"is for {preset.task.replace('_', ' ')}, and {type(self).__name__} takes "
                f"tables. Use one of: {listed(names, 8)}.",
                argument="preset",
                value=preset.name,
            )
        return preset

    def _fitted(self, X: Features, y: Targets, sample_weight: ArrayLike | None) -> "Self":
        """Train, and return the estimator.

        Raises:
            KzooError: parameters or data that cannot be used.
        """
        # 1. Check the parameters and the data.
        preset = self._checked_preset()
        fraction = self.validation_fraction
        if (
            isinstance(fraction, bool)
            or not isinstance(fraction, int | float | np.number)
            or not 0 <= fraction < 1
        ):
            raise KzooError(
                "must be at least 0 and below 1.", argument="validation_fraction", value=fraction
            )
        if not isinstance(self.columns, Mapping | None):
            raise KzooError(
                "must be a dict such as {'zip': 'category'}.",
                argument="columns",
                value=self.columns,
            )
        state: Any = self.random_state
        with _one_line():
            generator = check_random_state(state)
        is_seed = isinstance(state, int | np.integer) and state <= _LARGEST_SEED
        seed = int(state if is_seed else generator.randint(_LARGEST_SEED))
        # if the data is refused, the names of its columns are not those of the old run
        self.__dict__.pop("_run", None)
        frame = self._frame(X, reset=True)
        if y is None:
            raise KzooError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        names, targets, classes = self._targets(y)
        if len(targets) != len(frame):
            raise KzooError(
                f"X and y must have the same number of rows (X: {len(frame)}, y: {len(targets)})."
            )
        frame, targets, weight = _weighted(frame, targets, sample_weight, classes)
        # 2. Read them as kzoo reads a table, with the types that the columns have.
        columns = {name: kind for name in frame if (kind := _kind_of_column(frame[name]))} | dict(
            self.columns or {}
        )
        names = _unused_names(names, frame.columns)
        table = frame.assign(**dict(zip(names, targets.reshape(len(frame), -1).T, strict=True)))
        plan = import_module("kzoo.training.plan")
        options = import_module("kzoo.data.options")
        reading = options.DataOptions(
            target=names,
            validation=float(fraction),
            test=0.0,
            task=self._task,
            columns=columns,
            sample_weight=weight,
            seed=seed,
        )
        with _random_state_kept():
            _, _, config, training = plan.settings_for(preset, self._settings)
            data = plan.load_for(table, preset, config, training, reading)
            if classes is not None:  # it was read as class numbers
                class_names = tuple(map(_class_name, classes.tolist()))
                reader = data.preprocessing | {"classes": list(class_names)}
                data = replace(data, class_names=class_names, preprocessing=reader)
            # 3. Train.
            self._run = self._trained(preset, data, seed)
        self._learned(classes)
        return self

    def _trained(self, preset: Preset, data: "Dataset", seed: int) -> _RunInMemory:
        """Return the run of a training, whose folder is removed."""
        training = import_module("kzoo.training.train")
        with tempfile.TemporaryDirectory(prefix="kzoo-") as folder, training.without_curves():
            try:
                run = training.train(
                    preset,
                    data,
                    out=Path(folder) / "run",
                    seed=seed,
                    check=False,
                    baselines=False,
                    resume="never",
                    progress=bool(self.verbose),
                    **self._settings,
                )
            except Interrupted:
                raise KeyboardInterrupt(
                    "fit was interrupted, and the estimator is not fitted"
                ) from None
            return _RunInMemory(_files_of(run))

    def _targets(self, y: Targets) -> tuple[list[str], np.ndarray, np.ndarray | None]:
        """Return the names of the targets, class numbers (N,) or targets (N,) or (N, targets), and the classes."""
        raise NotImplementedError  # `Classifier` and `Regressor` define it

    def _learned(self, classes: np.ndarray | None) -> None:
        """Set the attributes that follow from the run."""
        self.n_iter_ = int(self._run.summary.get("epochs") or 0)

    # Input

    def _frame(self, X: Features, *, reset: bool) -> Frame:
        """Return inputs as a DataFrame with kzoo's names of the columns.

        Args:
            X: (N, features) numbers, a DataFrame, or rows of numbers and texts.
            reset: whether to learn the number and the names of the columns; else they are checked.

        Raises:
            KzooError: sparse or complex data, infinity, other axes, or other columns than in `fit`.
        """
        if hasattr(X, "toarray"):
            raise KzooError(
                f"X is a sparse matrix of shape {X.shape}, and {type(self).__name__} takes dense data. Pass "
                "X.toarray(), or set sparse_output=False of OneHotEncoder and sparse_threshold=0 of ColumnTransformer."
            )
        smallest = _MIN_ROWS if reset else 1
        frame = X.to_pandas() if hasattr(X, "to_pandas") else X
        with _one_line():
            if of_pandas(frame, "DataFrame"):
                validate_data(self, X, reset=reset, skip_check_array=True)
                _check_frame(frame, smallest)
                names = [str(name).strip() for name in frame.columns]
                if reset and (
                    twice := next((name for name in names if names.count(name) > 1), None)
                ):
                    raise KzooError(
                        f"Two columns of X are named {twice!r}. Give each column a unique name."
                    )
            else:
                frame = _frame_of_array(X, smallest)
                validate_data(self, _Shaped(frame), reset=reset, skip_check_array=True)
                names = [f"x{number}" for number in range(frame.shape[1])]
        frame = frame.reset_index(drop=True)
        if reset:
            self._names = names
        elif set(names) == set(
            self._names
        ):  # in the order of `fit`, which scikit-learn has checked
            return frame.set_axis(names, axis=1)
        return frame.set_axis(self._names, axis=1)

    def _predictions(self, X: Features) -> "Predictions":
        """Return the predictions of the run, computed in steps of equal size.

        Raises:
            KzooError: inputs that do not fit.
            NotFittedError: the estimator is not fitted.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        run = self._run
        encode = import_module("kzoo.inference.encode")
        predict = import_module("kzoo.evaluation.predict")
        inputs: Any = frame
        if takes_ready_arrays(run.preprocessing):
            inputs = frame.to_numpy("float32")
        encoded = encode.encode_named(run.preprocessing, inputs)
        return predict.predict_encoded(run, encoded, batch_size=_BATCH, fill=True)

    # Runs

    @short_errors
    def to_run(self, path: str | os.PathLike[str]) -> Run:
        """Write the run of the fitted estimator to a new folder, and return it; it gives the same predictions.

        The run has its scores on the validation rows, and neither a test split nor baselines.

        Raises:
            KzooError: the folder has files, or cannot be written.
            NotFittedError: the estimator is not fitted.
        """
        check_is_fitted(self)
        folder = path_of(path, "a folder for the run")
        check_writable(folder, path)
        if folder.exists() and any(folder.iterdir()):
            raise KzooError(f"{folder} has files already. Pass a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._run.files.items():
            with whole_file(folder / name) as temporary:
                Path(temporary).write_bytes(content)
        return Run(folder)

    @classmethod
    @short_errors
    def from_run(cls, run: Run | str | os.PathLike[str]) -> "Self":
        """Return a fitted estimator with the network of a run of a preset on a table.

        Its parameters are the preset, the settings, the seed, the fraction of validation rows and `columns` of the run;
        another `fit` divides the rows at random. Classes that are written as whole numbers, or as True and False,
        become those.

        Args:
            run: a run, or its folder.

        Raises:
            KzooError: an unfinished run, a custom model, an ensemble, or a run for another task.
        """
        run = run if isinstance(run, Run) else Run(run)
        spec, described = run.spec, run.data
        if spec.family is None:
            raise KzooError(
                f"{run.path} is of {spec.preset!r}, which is no preset: kzoo.predict takes it."
            )
        expected = problem_for(described.inputs, cls._fact)
        if not kind(described.inputs).is_table or expected is None or spec.task != expected.name:
            raise KzooError(
                f"{run.path} is for {spec.task.replace('_', ' ')}, and {cls.__name__} learns {cls._task} of tables: "
                "kzoo.predict takes it."
            )
        run.summary, run.model_file  # noqa: B018 (a run without them did not finish)
        estimator = cls(
            spec.preset,
            random_state=spec.seed,
            validation_fraction=_fraction_of(described.options),
            columns=described.options.get("columns"),
            **run.config.get("overrides") or {},
        )
        estimator._run = _RunInMemory(_files_of(run))
        estimator._names = _columns_of(run)
        estimator.n_features_in_ = len(estimator._names)
        if estimator._names != [f"x{number}" for number in range(len(estimator._names))]:
            estimator.feature_names_in_ = np.array(estimator._names, dtype=object)
        estimator._learned(None)
        return estimator


class Classifier(ClassifierMixin, _Estimator):
    """A preset of a table as a scikit-learn classifier.

    Columns of numbers and of the dtype "category" are read as they are; other columns of a DataFrame as
    `kzoo.load_data` reads them: categories, dates, texts. Missing values are allowed. A part of the rows is set aside
    to choose the best epoch and to stop early.

    Args:
        preset: name of a preset that takes tables, or a `Preset`.
        random_state: seed of the validation rows, the weights, the order and dropout. None draws it from NumPy's
            global generator.
        validation_fraction: fraction of the rows that choose the best epoch, stratified by class; 0 trains all epochs
            on all rows.
        columns: types of columns, see `kzoo.load_data`; those of an array are named "x0", "x1", ...
        verbose: whether to print the notes and the progress of `kzoo.train`.
        settings: settings in place of the preset's, such as `epochs=20` or `units=(64,)`: `kzoo show PRESET` lists
            them. They are parameters of the estimator, also those that are not set yet.

    Attributes:
        classes_: (classes,) the classes in order.
        n_features_in_: number of columns.
        feature_names_in_: (n_features_in_,) their names, if all are strings.
        n_iter_: number of epochs trained.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import GridSearchCV
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = kzoo.sklearn.Classifier("tabular_fnn", epochs=2, random_state=0)
        >>> classifier = classifier.fit(X, y)
        >>> classifier.predict(X).shape, classifier.predict_proba(X).shape
        ((150,), (150, 3))
        >>> search = GridSearchCV(classifier, {"units": [(16,), (32,)]}, cv=2).fit(X, y)
        >>> sorted(search.best_params_)
        ['units']
    """

    _fact, _task = "classes", "classification"

    @short_errors
    def fit(self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None) -> "Self":
        """Train on a table, and return the estimator.

        Args:
            X: (N, features) numbers or a DataFrame, at least 10 rows.
            y: (N,) classes, at least two different ones.
            sample_weight: (N,) how much each row counts, 0 or more; rows of weight 0 are left out.

        Raises:
            KzooError: parameters or data that cannot be used.
        """
        return self._fitted(X, y, sample_weight)

    @short_errors
    def predict(self, X: Features) -> np.ndarray:
        """Return the class of each row (N,): the most probable one, unless the settings have another decision.

        Args:
            X: (N, features) numbers or a DataFrame, with the columns of `fit`.

        Raises:
            KzooError: inputs that do not fit.
        """
        predictions = self._predictions(X)
        number_of = {name: number for number, name in enumerate(predictions.class_names)}
        numbers = np.array([number_of[label] for label in predictions.labels])
        return self.classes_[np.argsort(self._order)[numbers]]

    @short_errors
    def predict_proba(self, X: Features) -> np.ndarray:
        """Return the probabilities (N, classes), in the order of `classes_`.

        Args:
            X: (N, features) numbers or a DataFrame, with the columns of `fit`.

        Raises:
            KzooError: inputs that do not fit, or a loss without probabilities.
        """
        probabilities = self._predictions(X).probabilities
        if probabilities is None:
            raise KzooError(
                "trains scores, not probabilities. Leave loss= out.",
                argument="loss",
                value=self._run.spec.training.get("loss"),
            )
        return probabilities[:, self._order]

    def _targets(self, y: Targets) -> tuple[list[str], np.ndarray, np.ndarray | None]:
        name = _name_of(y, "target")
        with _one_line():
            values = column_or_1d(y, warn=True)
            if (missing := pd.isna(values)).any():
                raise KzooError(
                    f"y contains NaN or None in {plural(int(missing.sum()), 'row')}, the first in row "
                    f"{int(missing.argmax()) + 1}. Leave these rows out."
                )
            try:
                check_classification_targets(values)
                classes, numbers = np.unique(values, return_inverse=True)
            except TypeError:
                types = sorted({type(value).__name__ for value in values})
                raise KzooError(
                    f"y has classes of several types: {listed(types)}. Convert them to one type."
                ) from None
        if len(classes) < 2:
            raise KzooError(
                f"All rows have the class {classes.tolist()[0]!r}: a classifier needs at least two."
            )
        return [name], numbers, classes

    def _learned(self, classes: np.ndarray | None) -> None:
        super()._learned(classes)
        if classes is None:  # of a stored run, whose classes may have another order
            classes = _classes_of(self._run.class_names)
        self._order = np.argsort(classes, kind="stable")
        self.classes_ = classes[self._order]


class Regressor(RegressorMixin, _Estimator):
    """A preset of a table as a scikit-learn regressor, for one target or several.

    Columns of numbers and of the dtype "category" are read as they are; other columns of a DataFrame as
    `kzoo.load_data` reads them: categories, dates, texts. Missing values are allowed. A part of the rows is set aside
    to choose the best epoch and to stop early.

    Args:
        preset: name of a preset that takes tables, or a `Preset`.
        random_state: seed of the validation rows, the weights, the order and dropout. None draws it from NumPy's
            global generator.
        validation_fraction: fraction of the rows that choose the best epoch; 0 trains all epochs on all rows.
        columns: types of columns, see `kzoo.load_data`; those of an array are named "x0", "x1", ...
        verbose: whether to print the notes and the progress of `kzoo.train`.
        settings: settings in place of the preset's, such as `epochs=20` or `loss="mae"`: `kzoo show PRESET` lists
            them. They are parameters of the estimator, also those that are not set yet.

    Attributes:
        n_features_in_: number of columns.
        feature_names_in_: (n_features_in_,) their names, if all are strings.
        n_iter_: number of epochs trained.

    Examples:
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> X, y = load_diabetes(return_X_y=True)
        >>> regressor = kzoo.sklearn.Regressor("tabular_fnn", epochs=2, random_state=0)
        >>> make_pipeline(StandardScaler(), regressor).fit(X, y).predict(X).shape
        (442,)
    """

    _fact, _task = "values", "regression"

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @short_errors
    def fit(self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None) -> "Self":
        """Train on a table, and return the estimator.

        Args:
            X: (N, features) numbers or a DataFrame, at least 10 rows.
            y: (N,) or (N, targets) numbers.
            sample_weight: (N,) how much each row counts, 0 or more; rows of weight 0 are left out.

        Raises:
            KzooError: parameters or data that cannot be used.
        """
        return self._fitted(X, y, sample_weight)

    @short_errors
    def predict(self, X: Features) -> np.ndarray:
        """Return the values of each row in the unit of the target, (N,) or (N, targets) as in `fit`.

        Args:
            X: (N, features) numbers or a DataFrame, with the columns of `fit`.

        Raises:
            KzooError: inputs that do not fit.
        """
        values: Any = self._predictions(X).values
        values = values.astype(np.float64)
        return values[:, 0] if self._single else values

    def _targets(self, y: Targets) -> tuple[list[str], np.ndarray, np.ndarray | None]:
        with _one_line():
            values = check_array(
                y, ensure_2d=False, dtype=np.float64, input_name="y", ensure_min_samples=0
            )
        self._single = values.ndim == 1
        if of_pandas(y, "DataFrame"):
            return [str(name).strip() for name in y.columns], values, None
        if self._single or values.shape[1] == 1:
            return [_name_of(y, "target")], values, None
        return [f"y{number + 1}" for number in range(values.shape[1])], values, None

    def _learned(self, classes: np.ndarray | None) -> None:
        super()._learned(classes)
        if "_single" not in self.__dict__:
            self._single = len(self._run.data.target_names) == 1


class _Shaped:
    """An array as scikit-learn's checks of the number of columns take it, without names of columns."""

    def __init__(self, frame: Frame) -> None:
        self.shape = frame.shape

    def __len__(self) -> int:
        return self.shape[0]


@contextmanager
def _one_line() -> Iterator[None]:
    """Convert errors of scikit-learn in the block to those of kzoo, which are one line."""
    try:
        yield
    except KzooError:
        raise
    except ValueError as error:
        raise KzooError(str(error)) from None


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Restore the global generators of Python and NumPy after the block: Keras seeds them, or draws from them."""
    python = random.getstate()
    numpy = np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _frame_of_array(X: Features, smallest: int) -> Frame:
    """Return (N, features) numbers, or rows of numbers and texts, as a DataFrame.

    Args:
        X: anything that NumPy takes.
        smallest: minimum number of rows.

    Raises:
        ValueError: other axes, too few rows, complex numbers or infinity.
        TypeError: a cell that is neither a number nor a text.
    """
    options: dict[str, Any] = dict(
        ensure_min_samples=smallest, ensure_all_finite="allow-nan", input_name="X"
    )
    try:
        values = check_array(X, dtype="numeric", **options)
    except ValueError as error:
        if "could not convert string" not in str(error) and "bytes/strings" not in str(error):
            raise
        check_array(X, dtype=None, **options | {"ensure_all_finite": False})
        return pd.DataFrame(X if isinstance(X, list) else np.asarray(X)).infer_objects()
    return pd.DataFrame(values.astype(np.float64) if values.dtype.kind == "b" else values)


def _check_frame(frame: Frame, smallest: int) -> None:
    """Raise `KzooError` for a DataFrame without enough rows or columns, or with complex numbers or infinity."""
    for axis, name, least in ((1, "feature", 1), (0, "sample", smallest)):
        if frame.shape[axis] < least:
            raise KzooError(
                f"Found array with {frame.shape[axis]} {name}(s) (shape={frame.shape}) while a minimum of {least} is "
                "required."
            )
    for label, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            continue
        if pd.api.types.is_complex_dtype(column):
            raise KzooError(f"Complex data not supported: column {label!r} of X.")
        infinite = np.isinf(column.to_numpy(np.float64, na_value=np.nan))
        if infinite.any():
            raise KzooError(
                f"Column {label!r} of X contains infinity in row {int(infinite.argmax()) + 1}. Replace it by a number, "
                "or by NaN if it is missing."
            )


def _kind_of_column(column: Frame) -> str:
    """Return how to read a column by its dtype, as an option of `kzoo.load_data`; empty if its cells decide."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    types = pd.api.types
    return (
        "number"
        if types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)
        else ""
    )


def _weighted(
    frame: Frame, targets: np.ndarray, sample_weight: ArrayLike | None, classes: np.ndarray | None
) -> tuple[Frame, np.ndarray, np.ndarray | None]:
    """Return the rows with a weight, their targets, and their weights; all rows and None without weights.

    Raises:
        KzooError: weights that are not one number of at least 0 for each row, or too few rows with a weight.
    """
    if sample_weight is None:
        return frame, targets, None
    with _one_line():
        weight = check_array(
            sample_weight,
            ensure_2d=False,
            dtype=np.float64,
            input_name="sample_weight",
            ensure_min_samples=0,
        )
    if weight.shape != (len(frame),):
        raise KzooError(
            f"sample_weight must have one number for each of the {len(frame)} rows, not the shape {weight.shape}."
        )
    if (negative := weight < 0).any():
        row = int(negative.argmax())
        raise KzooError(
            f"sample_weight must be 0 or more, but is {weight[row]:g} in row {row + 1}."
        )
    rows = np.flatnonzero(weight)
    if not rows.size:
        raise KzooError(
            "sample_weight is zero in all rows. At least one must have a positive weight."
        )
    if classes is not None:
        lost = np.setdiff1d(np.arange(len(classes)), targets[rows])
        if lost.size:
            raise KzooError(
                f"All rows of class {classes.tolist()[lost[0]]!r} have sample_weight 0. Give one of them a positive "
                "weight, or leave the class out."
            )
    if len(rows) < _MIN_ROWS:
        raise KzooError(
            f"Rows with a positive sample_weight: {len(rows)}. At least {_MIN_ROWS} are needed."
        )
    if len(rows) == len(frame):
        return frame, targets, weight
    return frame.iloc[rows].reset_index(drop=True), targets[rows], weight[rows]


def _name_of(y: Targets, default: str) -> str:
    """Return the name of a Series or of the single column of a DataFrame, else a default."""
    name = y.columns[0] if of_pandas(y, "DataFrame") else getattr(y, "name", None)
    return name.strip() or default if isinstance(name, str) else default


def _unused_names(names: Sequence[str], used: Sequence[str]) -> list[str]:
    """Return names for the targets, with underscores appended to those that a column of X has."""
    unused: list[str] = []
    for name in names:
        while name in used or name in unused:
            name += "_"
        unused.append(name)
    return unused


def _class_name(value: object) -> str:
    """Return the name of a class in a run: that of a whole number has no decimals."""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _classes_of(names: Sequence[str]) -> np.ndarray:
    """Return classes as whole numbers or as booleans if their names are written so, else as strings."""
    if set(names) <= {"True", "False"}:
        return np.array([name == "True" for name in names])
    try:
        numbers = [int(name) for name in names]
    except ValueError:
        return np.array(names)
    return np.array(numbers if list(map(str, numbers)) == list(names) else names)


def _files_of(run: Run) -> dict[str, bytes]:
    """Return name -> content of the files of a run that an estimator keeps."""
    if isinstance(run, _RunInMemory):
        return run.files
    return {name: (run.path / name).read_bytes() for name in _FILES if (run.path / name).is_file()}


def _fraction_of(options: Config) -> float:
    """Return the fraction of validation rows of a run, the default if these were of a second source."""
    fraction = options.get("validation")
    return fraction if isinstance(fraction, int | float) else 0.1


def _columns_of(run: Run) -> list[str]:
    """Return the names of the columns of a run's table that are no target, weight or group and were not dropped."""
    reader = run.preprocessing
    options = run.data.options
    if takes_ready_arrays(reader):
        return [f"x{number}" for number in range(reader["shape"][0])]
    names = (run.config.get("statistics") or {}).get("columns") or [
        column["name"] for column in reader["columns"]
    ]
    drop = options.get("drop") or ()
    excluded = {*run.data.target_names, *(drop.split(",") if isinstance(drop, str) else drop)}
    excluded |= {name for name in (options.get("group"), options.get("sample_weight")) if name}
    return [name for name in names if name not in excluded]
