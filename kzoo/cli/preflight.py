"""What is wrong with a command's arguments, by a cheap look, before the seconds that Keras takes to import.

It goes by what arguments are called, so that it looks at those of every command: names, the folder of a run, paths, the
header of a table, the names in a folder. Settings are checked by the commands, and what only the data itself shows.
"""

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from kzoo.cli import common
from kzoo.cli.choices import CLOSED, VALUES
from kzoo.registry import Preset, get_preset, names_a_preset, preset_of, resolve, with_settings
from kzoo.run import Run
from kzoo.utils.argument_checks import checked_count, checked_seconds, checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_writable
from kzoo.utils.formatting import hint
from kzoo.weights import DOWNLOADED, check_downloaded, check_freeze, check_linear_probe, check_weights

_AS_TRAINED = ("export",)  # commands whose --data is what a run was trained on, and not new
_TRAINING = ("train", "tune")  # commands that take nothing but a preset before their options


def preflight(args):
    """Refuse what a look at the arguments of a command shows to be wrong.

    Args:
        args: as argparse has read them.

    Raises:
        KzooError: as the function behind the command would say it.
    """
    given = vars(args)
    for name in CLOSED:
        word = given.get(name)
        if word is not None and word not in (values := VALUES[name]()):
            raise KzooError(f"{name}={word!r} is unknown. {hint(word, values)}Use one of: {', '.join(values)}.")
    for name in ("seed", "data_seed"):
        if name in given:
            checked_seed(name, given[name])
    for name, least in (("trials", 1), ("folds", 2), ("parallel", 1), ("threads", 1), ("devices", 1)):
        if given.get(name) is not None:
            checked_count(name, given[name], least=least)
    if given.get("max_time") is not None:
        checked_seconds("max_time", given["max_time"])
    check_freeze(given.get("freeze"), given.get("weights"))
    args.resolved = _resolved(args)
    if given.get("weights") is not None and "preset" in given:
        check_weights(given["weights"], given["preset"] if args.resolved is None else args.resolved.preset.name)
    if args.resolved is not None and args.resolved.settings is not None and "weights" in given:
        _check_weights(args.resolved, given["weights"])
    if "preset" in given:
        _preset(args)
    elif given.get("data") is not None and "run" in given:
        for word in given["run"] if isinstance(given["run"], list) else [given["run"]]:
            _run(Path(word), args)


class Resolved(NamedTuple):
    """A preset and its settings, resolved once for all that looks at them before Keras starts.

    Args:
        preset: the preset.
        overrides: what --set and its like say.
        settings: (config, training); None where the overrides are wrong, which the command says.
    """

    preset: Preset
    overrides: dict
    settings: tuple[dict, dict] | None


def _resolved(args) -> Resolved | None:
    """Return the preset of a command with its settings; None without one, or where the command refuses it."""
    if not getattr(args, "preset", None):
        return None
    with suppress(KzooError):
        preset, overrides = get_preset(args.preset), common.settings_of(args) if "set" in args else {}
        with suppress(KzooError):
            return Resolved(preset, overrides, resolve(preset, overrides))
        return Resolved(preset, overrides, None)
    return None


def _preset(args):
    word, given, resolved = args.preset, vars(args), args.resolved
    named = resolved is not None or (bool(word) and names_a_preset(word))
    alone = args.command == "check" and not named and given.get("data") is None
    if word is None or (alone and _detection().is_data(word)):
        if (source := given.get("data") if word is None else word) is not None:
            _source(source, None, args)
        return
    if args.command in _TRAINING and os.path.exists(word) and not named and _detection().is_data(word):
        data = common.quote(word)
        raise KzooError(
            f"{word!r} is data, and no preset. Name one before it: kzoo {args.command} PRESET --data {data}. "
            f"kzoo check --data {data} names some to try."
        )
    if not named and (Path(word).is_dir() or os.sep in word):  # a run, or an export
        if given.get("data") is not None:
            _run(Path(word), args)
        return
    preset = get_preset(word) if resolved is None else resolved.preset
    if "data" not in given:
        return
    if resolved is not None and resolved.settings is not None and resolved.overrides:
        preset = with_settings(preset, *resolved.settings)
    if given.get("out") is not None:
        check_writable(Path(args.out), args.out)
    source = preset.dataset if args.data is None else args.data
    if source is not None:
        _source(source, preset, args)


def _check_weights(resolved, weights):
    """Refuse what settings and --weights say against one another."""
    config, training = resolved.settings
    if weights == DOWNLOADED:
        check_downloaded(resolved.preset.name, config)
    check_linear_probe("linear_probe" in resolved.overrides and training["linear_probe"], weights)


def _source(source, preset, args):
    _detection().check_source(source, preset, common.requested_data_options(args))


def _run(path, args):
    """Look at data that is given beside a run, if it is one."""
    if not (path / "config.json").is_file():
        return
    run = Run(path)
    try:
        reader = run.preprocessing
    except KzooError:  # the command says what is wrong with the run, once it has looked at its other arguments
        return
    if args.command in _AS_TRAINED:
        spec = run.spec.of_data
        preset = None if spec.family is None else preset_of(spec.json())
        _detection().check_source(args.data, preset, import_module("kzoo.dataset.options").DataOptions.of(run.data))
    elif "preset" not in vars(args):
        target, own = getattr(args, "target", None), list(run.data.target_names)
        names = own if not target else [target] if len(own) < 2 else _columns().as_names(target)
        _detection().check_new_source(reader, args.data, names)
    elif "vocabulary" not in reader and not _detection().is_data(args.data):  # `check` says itself what new data lacks
        _detection().existing(args.data)  # a text may be data, too: of a run that reads words nothing is asked


def _detection():
    return import_module("kzoo.data.detection")  # with NumPy: what has no data does without


def _columns():
    return import_module("kzoo.sources.tables.raw")
