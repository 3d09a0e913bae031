"""`Search`: the folder that `tune` writes; what came out, and what to do with it."""

import os
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kzoo.registry import Preset, get_preset, preset_of, rebuild, resolve, unused_names
from kzoo.registry.arguments import TRAINING
from kzoo.registry.budget import resolve_budget
from kzoo.registry.family import FAMILIES
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
from kzoo.utils.files import path_of
from kzoo.utils.formatting import first_line, hint

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.figure import Figure

    from kzoo.dataset.dataset import Dataset, Loadable
    from kzoo.run import Run

_PLOTS = ("history", "curves", "importance")


class Search:
    """A search for hyperparameters, opened from its folder.

    The folder holds `search.json` (what was asked), `trials/0000/trial.json` for each trial, `leaderboard.csv` and
    `.json`, the checkpoints of the best few trials, KerasTuner's own files in `engine/` and TensorBoard's in
    `tensorboard/`. It contains no absolute path.

    Args:
        path: the folder.
        data: the `Dataset` that it was on, where it is at hand: `retrain` need not load it again.
        build: the function or HyperModel that makes its models, where it is no preset's and at hand.
        weights: what its trials began with, where that has no word and is at hand.

    Raises:
        KzooError: it is not a search.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        data: "Dataset | None" = None,
        build: Any = None,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path, self.data, self.build, self.weights = path_of(path, "a search"), data, build, weights
        if not (self.path / "search.json").is_file():
            problem = "is a file" if self.path.is_file() else "does not exist"
            problem = "has no search.json" if self.path.is_dir() else problem
            raise KzooError(f"{self.path} is not a search: it {problem}. kzoo.tune writes one.")

    def __repr__(self) -> str:
        return f"<Search {self.path}: {self.request.spec['preset']} on {self.request.data['name']}>"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @cached_property
    def request(self) -> Request:
        """What was asked."""
        return Request.read(self.path)

    @property
    def config(self) -> dict[str, Any]:
        """What was asked, as plain data: the content of `search.json`."""
        return self.request.stored()

    @property
    def objective(self) -> Objective:
        """The name of what was searched for, and "max" or "min"."""
        return self.request.objective

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The hyperparameters that are searched."""
        return tuple(map(Parameter.from_json, self.request.space["parameters"]))

    @property
    def trials(self) -> list[Trial]:
        """The records of all trials, in the order of their numbers."""
        return read_trials(self.path)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train: all trials are done, or the space is used up."""
        end = End.read(self.path)
        if end is None or not end.complete or end.trials < self.request.trials:
            return False
        return all(trial.status in FINISHED for trial in self.trials)

    @short_errors
    def leaderboard(self) -> "pd.DataFrame":
        """Return a DataFrame of the trials, best first.

        Columns: rank, trial, status, score, gain (over the preset; more is better), best_epoch (from 1), epochs,
        seconds, parameters, baseline, `hp.NAME` for each hyperparameter (empty where it did not count), error.
        """
        pandas = import_module("pandas")
        return pandas.DataFrame(table_of(leaderboard(self.trials, self.objective)))

    @short_errors
    def best_trial(self) -> Trial:
        """Return the record of the trial with the best score; of equals the earliest, so the preset before others.

        Raises:
            KzooError: no trial has a score.
        """
        best = best_of(self.trials, self.objective)
        if best is None:
            raise KzooError(f"{self.path} has no trial with a score yet. The same call of kzoo.tune continues it.")
        return best

    @short_errors
    def best_config(self) -> dict[str, Any]:
        """Return what the best trial differs in from the preset: overrides for `kzoo.build` and `kzoo.train`.

        What the data decided (classes, columns, scaling) is among them, so that `kzoo.build` gives the same network.
        Where a function builds the models, these are its hyperparameters: what `hp.values` is for the best of them.
        """
        if self.request.own:
            return dict(self.best_trial().hyperparameters)
        spec, preset = self.best_spec(), self._registered_preset()
        settings = spec["config"] | spec["training"] | import_module("kzoo.tuning.winner").onehot(spec)
        preset_settings = preset.config | preset.training
        overrides = {
            name: value
            for name, value in settings.items()
            if name in preset_settings and value != _as_tuples(preset_settings[name])
        }
        if "epochs" in overrides:
            overrides.pop("min_steps", None)  # of the two, epochs have the last word
        unused = unused_names(overrides, preset.family, spec["task"], spec["config"])
        return {name: value for name, value in overrides.items() if name not in unused}

    def best_spec(self) -> dict[str, Any]:
        """Return the specification of the best trial's network: family and resolved settings."""
        return self.spec_of(self.best_trial())

    def spec_of(self, trial: Trial) -> dict[str, Any]:
        """Return the specification of a trial's network; `trial` is one of `trials`."""
        spec = self.request.spec
        config, training = ({k: _as_tuples(v) for k, v in spec[part].items()} for part in ("config", "training"))
        for name, value in self._changed_settings(trial).items():
            (training if name in TRAINING and name not in config else config)[name] = _as_tuples(value)
        return spec | dict(config=config, training=training, seed=trial.seed)

    def _changed_settings(self, trial: Trial) -> Mapping[str, Any]:
        """Return the settings of a trial that its specification differs in from the search's."""
        spec = self.request.spec
        if trial.settled is not None:
            return trial.settled
        if spec["family"] not in FAMILIES:  # a function's models, or those of a package that is not here
            return {
                name: value
                for name, value in trial.overrides.items()
                if name in spec["config"] or name in spec["training"]
            }
        preset = preset_of(spec)  # an earlier trial says what it overrides, and not what followed from that
        # Those of a search from before it was known that some have no effect beside the others.
        unused = unused_names(trial.overrides, preset.family, preset.task, {**preset.config, **trial.overrides})
        config, training = resolve(
            preset, {name: value for name, value in trial.overrides.items() if name not in unused}
        )
        resolve_budget(training, trial.overrides, self.request.data["train"])
        return differing(preset.config | preset.training, config | training)

    @short_errors
    def best_model(self) -> "keras.Model":
        """Return the network of the best trial with the weights of its best epoch, not compiled.

        One of a function's is built by it, where it is at hand, and is compiled; else it is loaded from the file, as
        `kzoo.load_model` does it.

        Raises:
            KzooError: it has no checkpoint: folds leave none.
        """
        best = self.best_trial()
        file = trial_folder(self.path, best.number) / "best.keras"
        if not file.is_file():
            reason = "it was scored over folds" if self.request.folds else "it is not there any more"
            raise KzooError(f"Trial {best.number} of {self.path} has no checkpoint: {reason}. Use retrain().")
        if self.request.own:
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
        on: Literal["train+validation", "train"] = "train+validation",
        epochs: int | Literal["best"] = "best",
        out: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        build: Any = None,
        **options: Any,
    ) -> "Run":
        """Train the best trial's settings once more and return the run, which is scored on the test split.

        Args:
            data: what the search was on; needed where it was no named set and this `Search` was opened from a folder.
            trial: the number of another trial: 0 is the preset, to stand beside the winner.
            on: "train+validation" uses all rows but the test split's, and keeps the epoch with the best training loss;
                "train" keeps the validation split, which then decides as in the search.
            epochs: a number, or "best": with a constant learning rate, or one that falls on plateaus, up to the trial's
                best epoch (of equals the one with the lowest validation loss); with any other schedule all its epochs.
            out: the run's folder; see `kzoo.train`.
            seed: the default is the trial's.
            build: the function or HyperModel that makes the models, where the search was of one and another process
                made it.
            options: of `kzoo.train`, such as `progress` and `precision`; `weights` are those of the search, and needed
                where they have no word and this `Search` was opened from a folder.

        Raises:
            KzooError: no such data, or anything that `kzoo.train` refuses.
        """
        return import_module("kzoo.tuning.winner").retrain(
            self, data, trial=trial, on=on, epochs=epochs, out=out, seed=seed, build=build, options=options
        )

    @short_errors
    def save_preset(self, name: str, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the best trial as a preset of its own, and return the TOML file, which `kzoo.load_presets` registers.

        Args:
            name: of the preset.
            path: the file; the default is `NAME.toml` in the search's folder.

        Raises:
            KzooError: a name that is taken or cannot be one, a file that is there already, or models of a function.
        """
        return import_module("kzoo.tuning.winner").save_preset(self, name, path)

    @short_errors
    def plot(self, kind: Literal["history", "curves", "importance"] = "history") -> "Figure":
        """Return a matplotlib `Figure`, to be shown by a notebook or written with `figure.savefig("history.png")`.

        Args:
            kind: "history" (score per trial, best so far, the preset), "curves" (the objective per epoch, the best
                highlighted), or "importance" (what decided the rank of a trial: a random forest's permutation
                importance, each hyperparameter among the trials in which it counted).

        Raises:
            KzooError: no trial has ended; for importance, fewer than 15 trials with a score.
        """
        if kind not in _PLOTS:
            raise KzooError(f"plot({kind!r}) is unknown. {hint(kind, _PLOTS)}Use one of: {', '.join(_PLOTS)}.")
        plots, trials = import_module("kzoo.plots"), self.trials
        if kind == "importance":
            importance_of = import_module("kzoo.tuning.importance").importance_of
            return plots.importance(importance_of(trials, self.objective, self.parameters))
        draw = {"history": plots.search_history, "curves": plots.search_curves}[kind]
        return draw(trials, self.objective, start=self.request.start)

    def _registered_preset(self) -> Preset:
        """The preset as it is registered; the one that was searched, where it is not."""
        spec = self.request.spec
        try:
            return get_preset(spec["preset"])
        except KzooError:
            return Preset(name=spec["preset"], family=spec["family"], task=spec["task"], summary="",
                          config=spec["config"], training=spec["training"])  # fmt: skip


def is_search(source: object) -> bool:
    """Say whether something is a search, or the path of one."""
    return isinstance(source, Search) or (
        isinstance(source, str | os.PathLike) and (path_of(source, "a search") / "search.json").is_file()
    )


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(element) for element in value) if isinstance(value, list | tuple) else value
