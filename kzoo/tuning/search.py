"""`Search`: the folder that `tune` writes, its results, and how to use them."""

import os
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kzoo.problems.stored_types import Config
from kzoo.tuning.records import (
    FINISHED,
    End,
    Objective,
    Request,
    Trial,
    best_of,
    differing,
    leaderboard,
    read_trials,
    table_of,
    trial_folder,
)
from kzoo.tuning.spaces.entry import Parameter
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import JsonObject, path_of, read_json
from kzoo.utils.formatting import first_line, hint
from kzoo.zoo.registry import Preset, get_preset, preset_of, rebuild, resolve, unused_names
from kzoo.zoo.registry.arguments import TRAINING
from kzoo.zoo.registry.budget import resolve_budget
from kzoo.zoo.registry.family import FAMILIES
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    import keras
    import keras_tuner
    import pandas as pd
    from matplotlib.figure import Figure

    from kzoo.data.dataset import Dataset, Loadable
    from kzoo.tuning.spaces.function_space import Build

_PLOTS = ("history", "curves", "importance")


class Search:
    """A hyperparameter search, opened from its folder.

    The folder contains `search.json` (the settings), `trials/0000/trial.json` for each trial, `leaderboard.csv` and
    `.json`, checkpoints of the best trials, KerasTuner's files in `engine/` and TensorBoard's in `tensorboard/`. It
    contains no absolute path.

    Args:
        path: the folder.
        data: the `Dataset` of the search, if loaded: `retrain` need not load it again.
        build: the function or HyperModel that builds the models, if the search is not of a preset.
        weights: the initial weights of the trials, if they cannot be loaded by name.

    Raises:
        KzooError: the folder is not a search.

    Examples:
        >>> search = kzoo.Search("searches/iris")
        >>> search.objective.name, search.finished
        ('val_accuracy', True)
        >>> search.leaderboard()["rank"].tolist()
        [1, 2, 3, 4]
        >>> search.best_trial().score >= search.trials[0].score  # the preset's
        True
        >>> figure = search.plot("history")
        >>> search.best_model().output_shape
        (None, 3)
        >>> search.save_preset("iris_best").name
        'iris_best.toml'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        data: "Dataset | None" = None,
        build: "Build | keras_tuner.HyperModel | None" = None,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = path_of(path, "a search")
        self.data = data
        self.build = build
        self.weights = weights
        if not (self.path / "search.json").is_file():
            problem = "is a file" if self.path.is_file() else "does not exist"
            problem = "has no search.json" if self.path.is_dir() else problem
            raise KzooError(
                f"{self.path} is not a search folder: it {problem}. kzoo.tune creates one."
            )

    def __repr__(self) -> str:
        return f"<Search {self.path}: {self.request.spec['preset']} on {self.request.data['name']}>"

    def _repr_html_(self) -> str:
        """Return the leaderboard for a notebook."""
        from kzoo.utils import notebook

        rows = leaderboard(self.trials, self.objective)
        request = self.request
        names = list(dict.fromkeys(name for row in rows for name in row.trial.hyperparameters))
        has_errors = any(row.trial.error for row in rows)
        cells = [
            [
                row.rank,
                row.trial.number,
                row.trial.status,
                row.trial.score,
                row.gain,
                row.trial.best_epoch,
                round(row.trial.seconds, 1),
                row.trial.params,
                *(row.trial.hyperparameters.get(name) for name in names),
                *([row.trial.error or ""] if has_errors else []),
            ]
            for row in rows
        ]
        heads = [
            "rank",
            "trial",
            "status",
            self.objective.name,
            "gain",
            "best epoch",
            "seconds",
            "parameters",
            *names,
            *(["error"] if has_errors else []),
        ]
        best = best_of(self.trials, self.objective)
        facts = [
            ("best", "" if best is None else f"{best.score:.4g} (trial {best.number})"),
            ("trials", f"{len(rows)} of {request.trials}"),
            ("engine", request.engine),
            ("state", "" if self.finished else "not finished: the same call continues it"),
        ]
        return notebook.card(
            f"Search {self.path}",
            notebook.table(heads, cells),
            facts=facts,
            note=f"{request.spec['preset']} on {request.data['name']}; gain is over {request.start}",
        )

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @cached_property
    def request(self) -> Request:
        """The settings of the search."""
        return Request.read(self.path)

    @property
    def config(self) -> JsonObject:
        """The settings as plain data: the content of `search.json`."""
        return self.request.stored()

    @property
    def objective(self) -> Objective:
        """The optimised metric and its direction, "max" or "min"."""
        return self.request.objective

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The hyperparameters that are searched."""
        return tuple(map(Parameter.from_json, self.request.space["parameters"]))

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return read_trials(self.path)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train: all trials are done, or the space is exhausted."""
        end = End.read(self.path)
        if end is None or not end.complete or end.trials < self.request.trials:
            return False
        return all(trial.status in FINISHED for trial in self.trials)

    @short_errors
    def leaderboard(self) -> "pd.DataFrame":
        """Return a DataFrame of the trials, best first.

        Columns: rank, trial, status, score, gain (over the preset; positive is better), best_epoch (from 1), epochs,
        seconds, parameters, baseline, `hp.NAME` for each hyperparameter (empty where it is inactive), error.
        """
        pandas = import_module("pandas")
        return pandas.DataFrame(table_of(leaderboard(self.trials, self.objective)))

    @short_errors
    def best_trial(self) -> Trial:
        """Return the trial with the best score; of equal scores the earliest, so the preset wins ties.

        Raises:
            KzooError: no trial has a score.
        """
        best = best_of(self.trials, self.objective)
        if best is None:
            raise KzooError(
                f"{self.path} has no trial with a score yet. Repeat the same call of kzoo.tune to continue it."
            )
        return best

    @property
    def winner(self) -> Run:
        """The run of the model that `kzoo.tune("auto")` chose.

        Raises:
            KzooError: the search is not one of "auto", or it is not finished.
        """
        if not self.request.is_auto:
            raise KzooError(
                f"{self.path} searched settings of one preset: retrain() trains its best trial."
            )
        if not (self.path / "winner" / "summary.json").is_file():
            raise KzooError(
                f"{self.path} is not finished. Repeat the same call of kzoo.tune to continue it."
            )
        return import_module("kzoo.zoo.run").Run(self.path / "winner")

    @property
    def verdict(self) -> str:
        """How far the winner of "auto" is ahead of the best baseline, in a sentence."""
        folder = self.winner.path.parent  # raises if there is no winner
        return str(read_json(folder / "auto.json")["verdict"])

    def _refuse_auto(self, name: str) -> None:
        if self.request.is_auto:
            raise KzooError(
                f"{name} is for searches of one preset. {self.path} compared several: use its `winner`."
            )

    @short_errors
    def best_config(self) -> JsonObject:
        """Return the overrides that turn the preset into the best trial, for `kzoo.build` and `kzoo.train`.

        They include what was adapted to the data (classes, columns, scaling), so `kzoo.build` returns the same network.
        For models of a function, these are the hyperparameters: `hp.values` of the best trial.

        Raises:
            KzooError: no trial has a score, or the search is one of "auto".
        """
        self._refuse_auto("best_config()")
        if self.request.has_custom_models:
            return dict(self.best_trial().hyperparameters)
        spec, preset = self.best_spec(), self._registered_preset()
        settings = (
            spec["config"] | spec["training"] | import_module("kzoo.tuning.winner").onehot(spec)
        )
        preset_settings = preset.config | preset.training
        overrides = {
            name: setting
            for name, setting in settings.items()
            if name in preset_settings and setting != _as_tuples(preset_settings[name])
        }
        if "epochs" in overrides:
            overrides.pop("min_steps", None)  # epochs overrides min_steps
        unused = unused_names(overrides, preset.family, spec["task"], spec["config"])
        return {name: setting for name, setting in overrides.items() if name not in unused}

    def best_spec(self) -> JsonObject:
        """Return the specification of the best trial's network: family and resolved settings.

        Raises:
            KzooError: no trial has a score, or the search is one of "auto".
        """
        self._refuse_auto("best_spec()")
        return self.spec_of(self.best_trial())

    def spec_of(self, trial: Trial) -> JsonObject:
        """Return the specification of the network of a trial in `trials`.

        Args:
            trial: one of `trials`.
        """
        spec = self.request.spec
        config, training = (
            {k: _as_tuples(v) for k, v in spec[part].items()} for part in ("config", "training")
        )
        for name, value in self._changed_settings(trial).items():
            (training if name in TRAINING and name not in config else config)[name] = _as_tuples(
                value
            )
        return spec | dict(config=config, training=training, seed=trial.seed)

    def _changed_settings(self, trial: Trial) -> Config:
        """Return the settings in which a trial's specification differs from the search's."""
        spec = self.request.spec
        if trial.settled is not None:
            return trial.settled
        # models of a function, or of a package that is not installed
        if spec["family"] not in FAMILIES:
            return {
                name: setting
                for name, setting in trial.overrides.items()
                if name in spec["config"] or name in spec["training"]
            }
        # trials of older versions store only their overrides, not what follows from them
        preset = preset_of(spec)
        # Older versions did not remove overrides that have no effect with the others.
        unused = unused_names(
            trial.overrides, preset.family, preset.task, {**preset.config, **trial.overrides}
        )
        config, training = resolve(
            preset,
            {name: setting for name, setting in trial.overrides.items() if name not in unused},
        )
        resolve_budget(training, trial.overrides, self.request.data["train"])
        return differing(preset.config | preset.training, config | training)

    @short_errors
    def best_model(self) -> "keras.Model":
        """Return the best trial's network with the weights of its best epoch, not compiled.

        A model of a user's function is built by it, and compiled, if the function is available. Otherwise it is loaded
        from the file as by `kzoo.load_model`.

        Raises:
            KzooError: the trial has no checkpoint, as with folds.
        """
        self._refuse_auto("best_model()")
        best = self.best_trial()
        file = trial_folder(self.path, best.number) / "best.keras"
        if not file.is_file():
            reason = "it was scored with folds" if self.request.folds else "the file was removed"
            raise KzooError(
                f"Trial {best.number} of {self.path} has no checkpoint because {reason}. Use retrain()."
            )
        if self.request.has_custom_models:
            return import_module("kzoo.tuning.winner").function_model(self, best, file)
        model = rebuild(self.best_spec() | {"seed": None}, compile=False)
        try:
            model.load_weights(file)
        except Exception as error:
            raise KzooError(f"{file} cannot be read: {first_line(error)}") from error
        return model

    @short_errors
    def retrain(
        self,
        data: "Loadable | None" = None,
        *,
        trial: int | None = None,
        on: Literal["train+validation", "train"] | None = None,
        epochs: int | Literal["best"] = "best",
        out: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        build: "Build | keras_tuner.HyperModel | None" = None,
        **options: Any,
    ) -> Run:
        """Train the settings of the best trial again and return the run, which is scored on the test split.

        Args:
            data: the data of the search; required unless it is a named data set or this `Search` was returned by
                `tune`.
            trial: the number of another trial; 0 is the preset, for comparison with the winner.
            on: "train+validation" uses all rows except the test split and keeps the epoch with the lowest training
                loss; "train" keeps the validation split, which selects the epoch as in the search. The default is
                "train" if a threshold is learned on validation rows (labels, `decision=`), else "train+validation".
            epochs: a number, or "best": with a constant learning rate or `ReduceLROnPlateau`, up to the trial's best
                epoch (of equal ones that with the lowest validation loss); with any other schedule, all epochs.
            out: the run's folder; see `kzoo.train`.
            seed: the default is the trial's seed.
            build: the function or HyperModel that builds the models; required for a search of a function in another
                process.
            options: of `kzoo.train`, such as `progress` and `precision`. `weights` defaults to those of the search, and
                is required if these cannot be loaded by name and this `Search` was opened from a folder.

        Raises:
            KzooError: the data is not that of the search, or `kzoo.train` raises it.
        """
        self._refuse_auto("retrain()")
        return import_module("kzoo.tuning.winner").retrain(
            self,
            data,
            trial=trial,
            on=on,
            epochs=epochs,
            out=out,
            seed=seed,
            build=build,
            options=options,
        )

    @short_errors
    def save_preset(self, name: str, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the best trial as a new preset and return the TOML file, which `kzoo.load_presets` registers.

        Args:
            name: of the preset.
            path: the file; the default is `NAME.toml` in the search's folder.

        Raises:
            KzooError: the name is taken or invalid, the file exists, or the models are built by a function.
        """
        self._refuse_auto("save_preset()")
        return import_module("kzoo.tuning.winner").save_preset(self, name, path)

    @short_errors
    def plot(self, kind: Literal["history", "curves", "importance"] = "history") -> "Figure":
        """Return a matplotlib `Figure`; save it with `figure.savefig("history.png")`.

        Args:
            kind: "history" (score per trial, best so far, the preset), "curves" (the objective per epoch, the best
                trial highlighted), or "importance" (how much each hyperparameter matters for the rank of the trials in
                which it was active: its permutation importance in a random forest).

        Raises:
            KzooError: no trial has ended; for importance, fewer than 15 trials with a score.
        """
        if kind not in _PLOTS:
            raise KzooError(
                f"Unknown plot {kind!r}. {hint(kind, _PLOTS)}Use one of: {', '.join(_PLOTS)}.",
                value=kind,
            )
        plots = import_module("kzoo.plots")
        trials = self.trials
        if kind == "importance":
            importance_of = import_module("kzoo.tuning.importance").importance_of
            return plots.importance(importance_of(trials, self.objective, self.parameters))
        draw = {"history": plots.search_history, "curves": plots.search_curves}[kind]
        return draw(trials, self.objective, start=self.request.start)

    def _registered_preset(self) -> Preset:
        """Return the preset as registered, or the searched one if it is not registered."""
        spec = self.request.spec
        try:
            return get_preset(spec["preset"])
        except KzooError:
            return Preset(
                name=spec["preset"],
                family=spec["family"],
                task=spec["task"],
                summary="",
                config=spec["config"],
                training=spec["training"],
            )


def is_search(source: object) -> bool:
    """Return True for a `Search` or the path of one."""
    return isinstance(source, Search) or (
        isinstance(source, str | os.PathLike)
        and (path_of(source, "a search") / "search.json").is_file()
    )


def _as_tuples(value: object) -> object:
    return (
        tuple(_as_tuples(element) for element in value)
        if isinstance(value, list | tuple)
        else value
    )
