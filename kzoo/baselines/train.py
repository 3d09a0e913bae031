"""`train`: a baseline as a run."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kzoo.utils.argument_checks import checked_arguments

if TYPE_CHECKING:
    from kzoo.data.dataset import Loadable
    from kzoo.zoo.run import Run


@checked_arguments
def train(
    name: str,
    data: "Loadable",
    *,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    seconds: float | None = None,
    seed: int = 0,
    baselines: bool = True,
    horizon: int | None = None,
    **settings: Any,
) -> "Run":
    """Fit a baseline, and return it as a run.

    The run has the network that `Fitted.network` returns, in a `.keras` file of built-in layers: it is not pickled. It
    predicts, scores, exports, explains and is served like other runs, and may be a member of an ensemble. It has no
    preset, is not trained by gradients, and gives no initial weights.

    Args:
        name: of the baseline (see `kzoo.baselines.list_baselines`).
        data: a `Dataset`, or anything that `kzoo.load_data` takes.
        out: the run's folder; the default is `runs/NAME-NN`. If it holds the same run, that is returned.
        overwrite: replace a different run in `out`.
        seconds, seed: see `kzoo.baselines.fit`.
        baselines: also score the other baselines on the same split.
        horizon: of forecasts: steps to forecast; None for that of the preset. A `Dataset` has its own.
        settings: `objective`, `decision`, `cost` and `positive`, as `kzoo.train` takes them; `preset`, the name of the
            preset for which the data is read, or was read if it is a `Dataset`; and, unless it is, `data_seed` and
            other options of `kzoo.load_data` such as `target`.

    Raises:
        KzooError: an unknown baseline, one that cannot be fitted or has no network form, or anything that
            `kzoo.load_data` refuses.

    Examples:
        >>> run = kzoo.baselines.train("trees", "churn.csv", target="churned", out="runs/trees")
        >>> kzoo.predict(run, [{"age": 70, "income": 30_000, "plan": "basic"}]).labels
        ['yes']
    """
    train_baseline = import_module("kzoo.training.baseline_run").train_baseline
    return train_baseline(
        name,
        data,
        out=out,
        overwrite=overwrite,
        seconds=seconds,
        seed=seed,
        baselines=baselines,
        horizon=horizon,
        **settings,
    )
