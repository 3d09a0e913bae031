"""`train_variants`: the same training with one thing changed, over seeds; `mean_history` of what it gave."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kzoo.cli import keras_import
from kzoo.run import Run
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.dataset.dataset import Loadable
    from kzoo.registry.preset import Preset


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
    """Train every variant with every seed, each run in `out/NAME-sSEED`; finished runs are not trained again.

    Args:
        preset: a preset's name or a `Preset`.
        data: anything `kzoo.load_data` takes; None is the preset's own data set.
        variants: name -> what differs, as arguments of `kzoo.train`: settings of the preset, or `data`, `epochs`,
            `callbacks` (a bundle's name; without it "quick") and so on. An empty dict is the preset as it is.
        out: the folder of all runs.
        seeds: of weights, order, dropout and augmentation. All variants see the same seeds.
        epochs: of every variant that does not say otherwise.
        progress: True prints a progress bar for each run.

    Returns:
        Name of the variant -> its runs, in the order of the seeds.

    Raises:
        KzooError: a variant that `kzoo.train` refuses, or a name that a folder cannot have.
        KeyboardInterrupt: Ctrl-C; the run it stopped goes on next time.
    """
    if not isinstance(variants, Mapping) or not variants:
        raise KzooError("variants= is a dict of dicts, such as {'small': {'units': (8,)}, 'large': {'units': (64,)}}.")
    seeds = list(seeds)
    if not seeds:
        raise KzooError("seeds= is empty: give at least one, such as (0, 1, 2).")
    for name, changes in variants.items():
        _check(name, changes)
    train, clear_session = (
        keras_import.import_quietly("kzoo.training").train,
        keras_import.import_quietly("keras").utils.clear_session,
    )
    found: dict[str, list[Run]] = {name: [] for name in variants}
    for seed in seeds:
        for name, changes in variants.items():
            folder = Path(out) / f"{name}-s{seed}"
            settings: dict[str, Any] = dict(data=data, epochs=epochs, callbacks="quick", baselines=False)
            settings |= changes
            run = train(preset, out=folder, seed=seed, progress=progress, **settings)
            if run.summary["interrupted"]:
                raise KeyboardInterrupt
            clear_session()  # or the graphs of all runs stay in memory
            found[name].append(run)
    return found


def _check(name: object, changes: object) -> None:
    if not isinstance(name, str) or not name or name != Path(name).name:
        raise KzooError(f"Variant {name!r} names a folder: give it a text without slashes.")
    if not isinstance(changes, Mapping):
        raise KzooError(f"Variant {name!r} must be a dict of settings, not {changes!r}.")
    if taken := {"preset_or_model", "out", "seed", "progress", "overwrite"} & set(changes):
        raise KzooError(f"Variant {name!r} sets {min(taken)!r}, which is the same for all: leave it out.")


def mean_history(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Return the mean of some runs' histories, up to the last epoch that all of them have.

    Args:
        runs: runs that differ in their seed only.
    """
    histories = [run.history for run in runs]
    return {
        name: [mean(values) for values in zip(*(h[name] for h in histories), strict=False)] for name in histories[0]
    }
