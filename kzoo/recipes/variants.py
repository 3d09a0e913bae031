"""`train_variants`: train variants of a preset over several seeds; `mean_history`: the mean of their histories."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kzoo.cli import keras_import
from kzoo.utils.errors import KzooError
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    from kzoo.data.dataset import Loadable
    from kzoo.zoo.registry.preset import Preset


def train_variants(
    preset: "str | Preset",
    data: "Loadable | None" = None,
    variants: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    out: str | os.PathLike[str],
    seeds: Iterable[int] = (0,),
    epochs: int | None = None,
    progress: bool = False,
) -> dict[str, list[Run]]:
    """Train every variant with every seed, each run in `out/NAME-sSEED`. Finished runs are not trained again.

    Args:
        preset: the name of a preset, or a `Preset`.
        data: any source of `kzoo.load_data`; None is the preset's own data set.
        variants: name -> arguments of `kzoo.train` that differ: settings of the preset, or `data`, `epochs`,
            `callbacks` (the name of a bundle; "quick" by default) and so on. An empty dict is the preset unchanged.
        out: the folder of all runs.
        seeds: seeds of weights, order, dropout and augmentation, the same for all variants.
        epochs: epochs of every variant that does not override them.
        progress: whether to print a progress bar for each run.

    Returns:
        Name of the variant -> its runs, in the order of the seeds.

    Raises:
        KzooError: `kzoo.train` refuses a variant, or its name cannot be the name of a folder.
        KeyboardInterrupt: Ctrl-C; the interrupted run is resumed by the next call.

    Examples:
        >>> variants = {"narrow": {"units": (8,)}, "wide": {"units": (64,)}}
        >>> runs = kzoo.recipes.train_variants("iris_fnn", "iris", variants, out="runs/variants", epochs=2)
        >>> {name: [run.path.name for run in group] for name, group in runs.items()}
        {'narrow': ['narrow-s0'], 'wide': ['wide-s0']}
    """
    if not isinstance(variants, Mapping) or not variants:
        raise KzooError(
            "must be a dict of dicts, such as {'small': {'units': (8,)}, 'large': {'units': (64,)}}.",
            argument="variants",
        )
    seeds = list(seeds)
    if not seeds:
        raise KzooError("is empty. Pass at least one seed, such as (0, 1, 2).", argument="seeds")
    for name, changes in variants.items():
        _check(name, changes)
    train = keras_import.import_quietly("kzoo.training").train
    clear_session = keras_import.import_quietly("keras").utils.clear_session
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    # Seeds in the outer loop: after an interruption, all variants have about the same number of seeds.
    for seed in seeds:
        for name, changes in variants.items():
            folder = Path(out) / f"{name}-s{seed}"
            settings: dict[str, Any] = dict(
                data=data, epochs=epochs, callbacks="quick", baselines=False
            )
            settings |= changes
            run = train(preset, out=folder, seed=seed, progress=progress, **settings)
            if run.summary["interrupted"]:
                raise KeyboardInterrupt
            clear_session()  # frees the graphs of finished runs
            runs[name].append(run)
    return runs


def _check(name: object, changes: object) -> None:
    if not isinstance(name, str) or not name or name != Path(name).name:
        raise KzooError(
            f"Variant name {name!r} must be a string without slashes: it is the name of a folder."
        )
    if not isinstance(changes, Mapping):
        raise KzooError(f"Variant {name!r} must be a dict of settings, not {changes!r}.")
    if reserved := {"preset_or_model", "out", "seed", "progress", "overwrite"} & set(changes):
        raise KzooError(
            f"Variant {name!r} sets {min(reserved)!r}, which must be the same for all variants. Remove it."
        )


def mean_history(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Return the mean history of several runs, up to the last epoch that all of them have.

    Args:
        runs: runs that differ only in their seeds.

    Examples:
        >>> variants = {"narrow": {"units": (8,)}, "wide": {"units": (64,)}}
        >>> runs = kzoo.recipes.train_variants("iris_fnn", "iris", variants, out="runs/variants", epochs=2)
        >>> history = kzoo.recipes.mean_history(runs["narrow"] + runs["wide"])
        >>> history["epoch"], len(history["val_loss"])
        ([1.0, 2.0], 2)
    """
    histories = [run.history for run in runs]
    return {
        name: [
            mean(values) for values in zip(*(history[name] for history in histories), strict=False)
        ]
        for name in histories[0]
    }
