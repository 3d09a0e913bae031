"""The presets by name: of the catalogue, of files, and of installed packages. Standard library only."""

import os
import pkgutil
import sys
from collections.abc import Container, Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

from kzoo.problems.tasks import problem, problems
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError, short_errors, warn
from kzoo.utils.formatting import hint, plural, shown
from kzoo.zoo.registry import plugins
from kzoo.zoo.registry.family import FAMILIES
from kzoo.zoo.registry.preset import AUTO, Preset, choose, unused_settings
from kzoo.zoo.registry.preset_files import is_file_word, parts_of_word, read_presets

_presets: dict[str, Preset] = {}
_owners: dict[str, str] = {}
_plugins: set[str] = set()  # namespaces of packages that were loaded or failed to load
_warned: set[str] = set()  # warnings
_catalogue = "unread"
# presets for any data of their kind of input
_GENERAL_PREFIXES = ("tabular_", "text_", "series_", "image_")


def _read_catalogue() -> None:
    global _catalogue
    if _catalogue != "unread":
        return
    _catalogue = "being read"
    package = import_module("kzoo.zoo.presets")
    for module in pkgutil.iter_modules(package.__path__):
        name = f"kzoo.zoo.presets.{module.name}"
        try:
            import_module(name)
        except (
            BaseException
        ):  # so that the next call fails again instead of listing half of the presets
            for preset in [preset for preset, owner in _owners.items() if owner == name]:
                del _presets[preset], _owners[preset]
            _catalogue = "unread"
            raise
    _catalogue = "read"


def _read_plugins() -> None:
    """Register the presets of every installed package; a broken package is reported once and skipped."""
    for namespace in plugins.namespaces():
        if namespace not in _plugins:
            try:
                _read_plugin(namespace)
            except KzooError as error:
                print(f"kzoo: {error}. These presets are skipped.", file=sys.stderr)


def _read_plugin(namespace: str) -> None:
    _plugins.add(namespace)
    register_from(plugins.owner_of(namespace), plugins.presets_of(namespace))


def register(preset: Preset) -> Preset:
    """Add a preset to the zoo and return it.

    Args:
        preset: a `Preset`; a package's is named `<package>.<name>`.

    Raises:
        KzooError: the name is taken; the message names both owners.

    Examples:
        >>> from dataclasses import replace
        >>> iris = kzoo.get_preset("iris_fnn")
        >>> preset = kzoo.register(replace(iris, name="iris_long", training={**iris.training, "epochs": 500}))
        >>> kzoo.get_preset("iris_long").training["epochs"]
        500
    """
    _read_catalogue()
    _check_free(preset, sys._getframe(1).f_globals.get("__name__", "?"), _presets)
    if _catalogue == "read":
        _warn_unused_settings(preset)
    _presets[preset.name] = preset
    _owners[preset.name] = sys._getframe(1).f_globals.get("__name__", "?")
    return preset


def register_from(owner: str, presets: Iterable[Preset]) -> None:
    """Add all presets of a file or package, or none; those that it registered before are replaced.

    Raises:
        KzooError: a name is taken; the message names both owners.
    """
    _read_catalogue()
    other_presets = {name for name in _presets if _owners[name] != owner}
    for preset in presets:
        _check_free(preset, owner, other_presets)
    for preset in presets:
        _warn_unused_settings(preset)
        _presets[preset.name] = preset
        _owners[preset.name] = owner


@short_errors
def load_presets(path: str | os.PathLike[str]) -> list[str]:
    """Register the presets of a TOML file and return their names. A changed file may be loaded again.

    Args:
        path: a TOML file (https://toml.io) with a table for each preset, as `preset_to_toml` writes it.

    Raises:
        KzooError: the file is missing or not TOML, a preset is invalid, or a name is taken; then none is registered.

    Examples:
        >>> from pathlib import Path
        >>> text = kzoo.preset_to_toml(kzoo.get_preset("iris_fnn"))
        >>> _ = Path("mine.toml").write_text(text.replace("iris_fnn", "iris_mine"), encoding="utf-8")
        >>> kzoo.load_presets("mine.toml")
        ['iris_mine']
        >>> kzoo.build("iris_mine").output_shape
        (None, 3)
    """
    presets = read_presets(path, get_preset)
    register_from(str(Path(path).resolve()), presets)
    return [preset.name for preset in presets]


def _warn_unused_settings(preset: Preset) -> None:
    """Warn of settings without effect. They are no error, since a preset of an earlier kzoo may have them."""
    for name, reason in unused_settings(preset).items():
        line = f"Preset {preset.name!r}: {name} has no effect: {reason}."
        if line not in _warned:  # a file is read again each time it is named
            _warned.add(line)
            warn(line)


def _check_free(preset: Preset, owner: str, taken: Container[str]) -> None:
    if preset.name in taken:
        raise KzooError(
            f"Preset {preset.name!r} of {owner} is already registered by {_owners[preset.name]}. Choose another name."
        )


@short_errors
def get_preset(name: str | Preset) -> Preset:
    """Return a preset by name.

    Args:
        name: a name in the catalogue, of a package (`package.name`), or in a file (`mine.toml`, `mine.toml:name`), or
            an earlier revision: `tabular_fnn@1`.

    Raises:
        KzooError: unknown name, with the nearest one; a file or package that cannot be read.

    Examples:
        >>> preset = kzoo.get_preset("digits_cnn")
        >>> preset.family, preset.task, preset.dataset
        ('cnn', 'image_classification', 'digits')
        >>> preset.config["outputs"]
        10
    """
    _read_catalogue()
    if isinstance(name, Preset):
        return name
    if not isinstance(name, str | os.PathLike):
        raise KzooError(
            f"{shown(name)} is not a preset. Give a name, see kzoo.list_presets(), or a kzoo.Preset.",
            value=name,
        )
    name = os.fspath(name)
    if name in _presets:
        return _presets[name]
    if name == AUTO:
        raise KzooError(
            f"{AUTO!r} is not a preset: it lets kzoo.train choose one. Name one. See kzoo.list_presets().",
            value=name,
        )
    if "@" in name:
        return _revision(name)
    if is_file_word(name):
        return _preset_in_file(name)
    namespace, dot, _ = str(name).partition(".")
    if dot and namespace in plugins.namespaces():
        _read_plugin(namespace)
        if name in _presets:
            return _presets[name]
    raise KzooError(
        f"Unknown preset {shown(name)}. {hint(name, _presets)}See kzoo.list_presets().", value=name
    )


def _revision(reference: str) -> Preset:
    """Return the preset `NAME@REVISION`: an earlier revision, or the current one.

    Raises:
        KzooError: no preset has that name, or it has no such revision.
    """
    name, _, revision = reference.partition("@")
    current = get_preset(name)
    if revision == str(current.revision):
        return current
    earlier = sorted(
        p.revision
        for p in _presets.values()
        if p.name.partition("@")[0] == name and p is not current
    )
    revisions = ", ".join(map(str, [*earlier, current.revision]))
    raise KzooError(
        f"Preset {name!r} has no revision {revision!r}. It has: {revisions}.", value=reference
    )


def _preset_in_file(word: str) -> Preset:
    path, name = parts_of_word(word)
    names = load_presets(path)
    if name is None and len(names) > 1:
        raise KzooError(
            f"{path} has {len(names)} presets. Name one: "
            + ", ".join(f"{path}:{n}" for n in names)
            + ".",
            value=word,
        )
    if name is not None and name not in names:
        raise KzooError(
            f"{path} has no preset {name!r}. {hint(name, names)}It has: {', '.join(names)}.",
            value=word,
        )
    return _presets[name or names[0]]


def names_a_preset(word: str) -> bool:
    """Return whether a string names a preset: of the catalogue, of a package, or in a file."""
    try:
        return is_file_word(word) or get_preset(word) is not None
    except KzooError:
        return False


def globs_of(name: str, patterns: str | Iterable[str]) -> list[str]:
    """Return one glob or several as a list.

    Raises:
        KzooError: anything else; `name` is the name of the argument.
    """
    is_many = isinstance(patterns, Iterable) and not isinstance(patterns, str)
    globs: list
    try:
        globs = list(patterns) if is_many else [patterns]
    except Exception:  # a custom object that fails while it is iterated
        globs = [patterns]
    if invalid := [glob for glob in globs if not isinstance(glob, str)]:
        raise KzooError(
            f"{name} contains {shown(invalid[0])}. It must be a glob such as 'cifar_*', or several."
        )
    return globs


def general_first(names: Iterable[str]) -> list[str]:
    """Return names in the order of suggestions: presets for any data of their kind come first."""
    return sorted(names, key=_rank)


def is_general(name: str) -> bool:
    """Return whether a preset is for any data of its kind of input."""
    return name.startswith(_GENERAL_PREFIXES)


def _rank(name: str) -> int:
    return next(
        (rank for rank, prefix in enumerate(_GENERAL_PREFIXES) if name.startswith(prefix)),
        len(_GENERAL_PREFIXES),
    )


@checked_arguments
def list_presets(
    pattern: str | Iterable[str] = "*",
    *,
    family: str | None = None,
    task: str | None = None,
    dataset: str | None = None,
    max_params: float | None = None,
    exclude: str | Iterable[str] = (),
) -> list[str]:
    """Return the sorted names of presets that match.

    Args:
        pattern: a glob such as `"cifar_*"`, the path of a TOML file, or several. Earlier revisions only match
            globs with an `@`: `"*@*"`.
        family, task, dataset: keep only presets of this family, task or default data set; for a task of values, also
            the presets for classes that predict values.
        max_params: keep presets of at most this many parameters.
        exclude: a glob, or several, of presets to leave out.

    Raises:
        KzooError: a filter value that no preset can have, with the legal ones.

    Examples:
        >>> kzoo.list_presets("digits_*")
        ['digits_cnn']
        >>> "tabular_fnn" in kzoo.list_presets(task="tabular_classification", family="fnn")
        True
    """
    _read_catalogue()
    _read_plugins()
    included, excluded = (
        globs_of(name, patterns) for name, patterns in (("pattern", pattern), ("exclude", exclude))
    )
    if family is not None:
        choose("family", family, FAMILIES)
    if task is not None:
        choose("task", task, problems())
    if dataset is not None:
        choose("dataset", dataset, sorted({p.dataset for p in _presets.values() if p.dataset}))
    if max_params is not None and (
        isinstance(max_params, bool) or not isinstance(max_params, int | float)
    ):
        raise KzooError("must be a number of parameters.", argument="max_params", value=max_params)
    for word in filter(is_file_word, list(included)):
        included.remove(word)
        included += load_presets(word)
    for glob in included:
        if not set("*?[") & set(glob) and glob not in _presets:
            get_preset(glob)  # an unknown plain name: the error suggests the nearest
    names = sorted(
        p.name
        for p in _presets.values()
        if any(fnmatchcase(p.name, glob) for glob in included if "@" in glob or "@" not in p.name)
        and not any(fnmatchcase(p.name, glob) for glob in excluded)
        and family in (None, p.family)
        and (task in (None, p.task) or _also_for(p, task))
        and dataset in (None, p.dataset)
        and (max_params is None or (p.params is not None and p.params <= max_params))
    )
    return PresetNames(names)


class PresetNames(list[str]):
    """The list that `list_presets` returns; a notebook shows it as a table."""

    def _repr_html_(self) -> str:
        from kzoo.utils import notebook

        presets = [_presets[name] for name in self if name in _presets]
        heads = ("preset", "task", "family", "parameters", "data set", "summary")
        rows = [(p.name, p.task, p.family, p.params, p.dataset, p.summary) for p in presets]
        return notebook.card(plural(len(self), "preset"), notebook.table(heads, rows))


def _also_for(preset: Preset, task: str | None) -> bool:
    """Return whether a preset for classes also predicts the values of a task: of images, of texts."""
    if task is None or not preset.takes_values:
        return False
    requested = problem(task)
    default = problem(preset.task)
    return requested.kind == default.kind and requested.facts >= {"values", "unordered"}


def word_for(preset: Preset) -> str:
    """Return the reference to a preset on a command line: its name, or `mine.toml:name` for a file's."""
    owner = _owners.get(preset.name, "")
    return f"{Path(owner).name}:{preset.name}" if owner.endswith(".toml") else preset.name
