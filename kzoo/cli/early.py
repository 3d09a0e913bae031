"""What is wrong with a command's arguments, by a cheap look, before the seconds that Keras takes to import.

It goes by what arguments are called, so that it looks at those of every command: names, the folder of a run, paths, the
header of a table, the names in a folder. Settings are checked by the commands, and what only the data itself shows.
"""

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from kzoo.cli import common
from kzoo.cli.values import CLOSED, VALUES
from kzoo.doors import checked_count, checked_seconds, checked_seed
from kzoo.errors import KzooError
from kzoo.files import check_place
from kzoo.registry import get_preset, names_a_preset, preset_of, resolve, with_settings
from kzoo.run import Run
from kzoo.weights import DOWNLOADED, check_downloaded, check_freeze, check_linear_probe, check_weights
from kzoo.words import hint

_AS_TRAINED = ("export",)  # commands whose --data is what a run was trained on, and not new
_TRAINING = ("train", "tune")  # commands that take nothing but a preset before their options


def look(args):
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
    if given.get("weights") is not None and "preset" in given:
        word = given["preset"]
        check_weights(given["weights"], get_preset(word).name if word and names_a_preset(word) else word)
    _check_settings(given)
    if "preset" in given:
        _preset(args)
    elif given.get("data") is not None and "run" in given:
        for word in given["run"] if isinstance(given["run"], list) else [given["run"]]:
            _run(Path(word), args)


def _preset(args):
    word, given = args.preset, vars(args)
    alone = args.command == "check" and not (word and names_a_preset(word)) and given.get("data") is None
    if word is None or (alone and _sight().is_data(word)):
        if (source := given.get("data") if word is None else word) is not None:
            _source(source, None, args)
        return
    if args.command in _TRAINING and os.path.exists(word) and not names_a_preset(word) and _sight().is_data(word):
        data = common.quote(word)
        raise KzooError(
            f"{word!r} is data, and no preset. Name one before it: kzoo {args.command} PRESET --data {data}. "
            f"kzoo check --data {data} names some to try."
        )
    if not names_a_preset(word) and (Path(word).is_dir() or os.sep in word):  # a run, or an export
        if given.get("data") is not None:
            _run(Path(word), args)
        return
    preset = get_preset(word)
    if "data" not in given:
        return
    with suppress(KzooError):  # a wrong setting is refused by the command
        preset = with_settings(preset, *resolve(preset, common.parse_settings(args.set)))
    if given.get("out") is not None:
        check_place(Path(args.out), args.out)
    source = preset.dataset if args.data is None else args.data
    if source is not None:
        _source(source, preset, args)


def _check_settings(given):
    """Refuse what settings and --weights say against one another."""
    if not {"preset", "set", "weights"} <= set(given):
        return
    try:
        preset, asked = get_preset(given["preset"]), common.parse_settings(given["set"])
        config, training = resolve(preset, asked)
    except KzooError:  # a wrong name or setting is refused by the command
        return
    if given["weights"] == DOWNLOADED:
        check_downloaded(preset.name, config)
    check_linear_probe("linear_probe" in asked and training["linear_probe"], given["weights"])


def _source(source, preset, args):
    options = common.data_options(args)
    options["seed"] = options.pop("data_seed")
    _sight().glance(source, preset, _options()(**options))


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
        _sight().glance(args.data, preset, _options().of(run.data))
    elif "preset" not in vars(args):
        target, own = getattr(args, "target", None), list(run.data.target_names)
        names = own if not target else [target] if len(own) < 2 else _columns().as_names(target)
        _sight().glance_new(reader, args.data, names)
    elif "vocabulary" not in reader and not _sight().is_data(args.data):  # `check` says itself what new data lacks
        _sight().existing(args.data)  # a text may be data, too: of a run that reads words nothing is asked


def _sight():
    return import_module("kzoo.data.detection")  # with NumPy: what has no data does without


def _columns():
    return import_module("kzoo.sources.tables.raw")


def _options():
    return import_module("kzoo.dataset.options").DataOptions
