"""Cheap checks of a command's arguments, made before the seconds that importing Keras takes.

Arguments are recognized by their names, so that one function serves every command. Checked are names, paths, the folder
of a run, the header of a table and the names of files in a folder. Settings and the data itself are checked by
commands.
"""

import argparse
import os
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from kzoo.cli import shared
from kzoo.cli.choices import CHECKED_OPTIONS, values_of
from kzoo.utils.address import is_remote_address
from kzoo.utils.argument_checks import checked_count, checked_seconds, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_writable
from kzoo.utils.formatting import hint
from kzoo.utils.table_path import with_sheet
from kzoo.zoo.registry import (
    AUTO,
    Preset,
    get_preset,
    names_a_preset,
    preset_of,
    resolve,
    with_settings,
)
from kzoo.zoo.run import Run
from kzoo.zoo.weights import (
    INSTALLED,
    check_freeze,
    check_linear_probe,
    check_named,
    check_weights,
)

# commands whose --data is the training data of a run, not new data
_USES_TRAINING_DATA = ("export",)
_TRAINING_COMMANDS = ("train", "tune")  # commands whose only positional argument is a preset


def preflight(args: argparse.Namespace) -> None:
    """Check the arguments of a command without importing Keras; set `args.resolved`.

    Args:
        args: the arguments as argparse returns them.

    Raises:
        KzooError: an argument is wrong; the message is the one of the function that the command calls.
    """
    options = vars(args)
    for name in CHECKED_OPTIONS:
        word = options.get(name)
        if word is not None and word not in (values := values_of(name, options)):
            raise KzooError(
                f"is unknown. {hint(word, values)}Use one of: {', '.join(values)}.",
                argument=name,
                value=word,
            )
    for name in ("seed", "data_seed"):
        if options.get(name) is not None:
            checked_seed(name, options[name])
    for name, minimum in (
        ("trials", 1),
        ("folds", 2),
        ("parallel", 1),
        ("threads", 1),
        ("devices", 1),
    ):
        if options.get(name) is not None:
            checked_count(name, options[name], least=minimum)
    if options.get("max_time") is not None:
        checked_seconds("max_time", options["max_time"])
    if args.command == "train" and args.preset == AUTO:
        args.started = time.monotonic()  # inspecting the data counts towards --max-time
        args.preset = _chosen_preset(args)
    args.resolved = _resolve(args)
    weights = _initial_weights(args)
    check_freeze(options.get("freeze"), weights)
    # `kzoo.train` does not read them if it resumes a run
    is_unread = args.command == "train" and getattr(options.get("weights"), "unread", None)
    if options.get("weights") is not None and "preset" in options and not is_unread:
        check_weights(
            options["weights"],
            options["preset"] if args.resolved is None else args.resolved.preset.name,
        )
    if args.resolved is not None and "weights" in options:
        _check_weights_settings(args.resolved, weights)
    if "preset" in options:
        _check_preset(args)
    elif options.get("data") is not None and "run" in options:
        for word in options["run"] if isinstance(options["run"], list) else [options["run"]]:
            _check_data_of_run(Path(word), args)


def _chosen_preset(args: argparse.Namespace) -> str:
    """Return the preset that `auto` takes for the data of a command; the reason is printed unless --quiet."""
    module = import_module("kzoo.training.suggestions")
    options = shared.requested_data_options(args)
    window = module.window_of(shared.settings_of(args), options)
    chosen, reason = module.suggested_preset(
        args.data, options, weights=args.weights is not None, window=window
    )
    if not args.quiet:
        shared.print_note(reason)
    return chosen


class Resolved(NamedTuple):
    """A preset and its settings, resolved once for all checks before Keras is imported.

    Args:
        preset: the preset.
        overrides: the settings that the user changes, by --set and by options such as --epochs.
        settings: (config, training); None if the overrides are wrong, which the command reports.
    """

    preset: Preset
    overrides: dict
    settings: tuple[dict, dict] | None


def _resolve(args: argparse.Namespace) -> Resolved | None:
    """Return the preset of a command with its settings; None without a preset, or if it is not valid."""
    if not getattr(args, "preset", None):
        return None
    with suppress(KzooError):
        preset = get_preset(args.preset)
        overrides = shared.settings_of(args) if "set" in args else {}
        with suppress(KzooError):  # with wrong settings, the preset can still be checked
            return Resolved(preset, overrides, resolve(preset, overrides))
        return Resolved(preset, overrides, None)
    return None


def _initial_weights(args: argparse.Namespace) -> str | None:
    """Return the initial weights of a training: those of --weights, else the installed ones, if the preset has some."""
    weights: str | None = vars(args).get("weights")
    resolved = args.resolved
    if "weights" not in args or resolved is None or "backbone" not in resolved.preset.config:
        return weights
    module = import_module("kzoo.data.inputs.image.photo_encoder")
    default: str | None = module.with_installed_weights(
        resolved.preset, weights, resolved.overrides
    )[0]
    return default


def _check_preset(args: argparse.Namespace) -> None:
    word = args.preset
    options = vars(args)
    resolved = args.resolved
    if word == AUTO and args.command == "tune":
        if options.get("out") is not None:
            check_writable(Path(args.out), args.out)
        # otherwise the previous run has the other options
        if args.data is not None and args.previous is None:
            _check_source(args.data, None, args)
        return
    is_preset = resolved is not None or (bool(word) and names_a_preset(word))
    is_data_only = args.command == "check" and not is_preset and options.get("data") is None
    if word is None or (is_data_only and _detection().is_data(word)):
        if (source := options.get("data") if word is None else word) is not None:
            _check_source(source, None, args)
        return
    if (
        args.command in _TRAINING_COMMANDS
        and os.path.exists(word)
        and not is_preset
        and _detection().is_data(word)
    ):
        data = shared.quote(word)
        raise KzooError(
            f"{word!r} is data, not a preset. Name a preset first: kzoo {args.command} PRESET --data {data}. "
            f"kzoo check --data {data} lists presets to try."
        )
    if not is_preset and (Path(word).is_dir() or os.sep in word):  # a run, or an exported model
        if options.get("data") is not None:
            _check_data_of_run(Path(word), args)
        return
    preset = get_preset(word) if resolved is None else resolved.preset
    if "data" not in options:
        return
    if resolved is not None and resolved.settings is not None and resolved.overrides:
        preset = with_settings(preset, *resolved.settings)
    if options.get("out") is not None and not is_remote_address(args.out):
        check_writable(Path(args.out), args.out)
    source = preset.dataset if args.data is None else args.data
    if source is not None:
        _check_source(source, preset, args)


def _check_weights_settings(resolved: Resolved, weights: str | None) -> None:
    """Raise KzooError if settings of the preset contradict --weights."""
    if resolved.settings is None:
        return
    config, training = resolved.settings
    if weights != INSTALLED or "backbone" in resolved.overrides or "backbone" not in config:
        check_named(weights, resolved.preset.name, config)
    check_linear_probe("linear_probe" in resolved.overrides and training["linear_probe"], weights)


def _check_source(source: str, preset: Preset | None, args: argparse.Namespace) -> None:
    _detection().check_source(source, preset, shared.requested_data_options(args))


def _check_data_of_run(path: Path, args: argparse.Namespace) -> None:
    """Check the data that is passed together with a run; do nothing if the path is not a run."""
    if not (path / "config.json").is_file():
        return
    run = Run(path)
    try:
        preprocessing = run.preprocessing
    except KzooError:  # the command itself reports a damaged run, after its other arguments
        return
    if args.command in _USES_TRAINING_DATA:
        spec = run.spec.of_data
        preset = None if spec.family is None else preset_of(spec.json())
        _detection().check_source(
            args.data, preset, import_module("kzoo.data.options").DataOptions.of(run.data)
        )
    elif "preset" not in vars(args):
        target = getattr(args, "target", None)
        run_targets = list(run.data.target_names)
        targets = (
            run_targets
            if not target
            else [target]
            if len(run_targets) < 2
            else _raw_columns().as_names(target)
        )
        source = with_sheet(
            args.data,
            getattr(args, "sheet", None),
            getattr(args, "header_row", None),
            run.data.options,
        )
        _detection().check_new_source(preprocessing, source, targets)
    elif "vocabulary" not in preprocessing and not _detection().is_data(
        args.data
    ):  # `check` reports itself what is missing in new data
        _detection().existing_path(args.data)  # for a run that reads texts, any word may be a text


def _detection() -> ModuleType:
    # imports NumPy, which commands without data do not need
    return import_module("kzoo.data.source_detection")


def _raw_columns() -> ModuleType:
    return import_module("kzoo.inference.tables.raw")
