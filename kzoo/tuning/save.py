"""The winner of a search as a preset in a TOML file."""

from dataclasses import replace
from pathlib import Path

from kzoo.catalogue import list_presets
from kzoo.contract import needs_onehot
from kzoo.data.named import NAMES
from kzoo.errors import KzooError
from kzoo.files import write_text
from kzoo.preset_files import preset_to_toml
from kzoo.registry import preset_of, rebuild


def onehot(spec):
    """Return the setting without which `kzoo.build` refuses a specification, if it needs one."""
    return {"labels": "onehot"} if needs_onehot(spec["task"], spec["config"], spec["training"]) else {}


def save_preset(search, name, path):
    """Do what `Search.save_preset` says."""
    spec, best, data = search.best_spec(), search.best_trial(), search.config["data"]["name"]
    scored = f"{search.objective[0]} {best['score']:.4g}, the best of {len(search.trials)} trials"
    summary = f"{spec['preset']} tuned on {data}: {scored}."
    training = spec["training"] | onehot(spec)
    preset = preset_of(spec | {"preset": name, "training": training})  # says what is wrong with the name
    if name in list_presets():
        raise KzooError(f"A preset {name!r} is there already. Choose another name.")
    file = search.path / f"{name}.toml" if path is None else Path(path)
    if file.suffix != ".toml":
        raise KzooError(f"path={str(path)!r} must end in .toml: that is what kzoo.load_presets reads.")
    if not file.parent.is_dir():
        raise KzooError(f"path={str(path)!r}: there is no folder {str(file.parent)!r}.")
    if file.exists():
        raise KzooError(f"{file} is there already. Choose another name, or another path=.")
    params = rebuild(spec | {"seed": None}, compile=False).count_params()
    preset = replace(preset, summary=summary, dataset=data if data in NAMES else None, params=params)
    write_text(file, preset_to_toml(preset))
    return file
