"""The winner of a search, trained once more as a run."""

from kzoo.data.reload import load_again
from kzoo.errors import KzooError
from kzoo.nouns import Description, Spec
from kzoo.registry import preset_of
from kzoo.training import train
from kzoo.tuning.folds import with_all_rows


def retrain(search, data, *, trial, on, epochs, out, seed, options):
    """Do what `Search.retrain` says."""
    if on not in ("train", "train+validation"):
        raise KzooError(f"on={on!r} is unknown. Use one of: train, train+validation.")
    best = search.best_trial() if trial is None else _trial(search, trial)
    spec = search.spec_of(best)
    if epochs == "best":
        # A schedule needs its full length: squeezed into the epochs up to the best one it would be another.
        stops_early = spec["training"].get("schedule", "constant") in ("constant", "plateau")
        epochs = best_epoch(best, search.objective[0]) if stops_early else spec["training"]["epochs"]
    elif isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise KzooError(f"epochs={epochs!r} must be 'best' or a whole number of at least 1.")
    loaded = _data(search, data)
    name, _ = search.objective
    watched = name
    if on == "train+validation":
        loaded, watched = with_all_rows(loaded), "loss"
    preset = preset_of(spec)
    return train(
        preset, loaded, out=out, epochs=epochs, seed=best["seed"] if seed is None else seed,
        **{"monitor": watched} | _metrics(spec, name) | options,
    )  # fmt: skip


def best_epoch(trial, objective) -> int:
    """Return a trial's best epoch; of several with the same score, which few validation rows often give, the one with
    the lowest validation loss: the first of them may have been lucky, long before the training was done."""
    scores, losses = (trial.get("history", {}).get(name) for name in (objective, "val_loss"))
    if trial.get("folds") or not scores or not losses:  # over folds: a mean, which evens luck out
        return trial["best_epoch"]
    reached = scores[trial["best_epoch"] - 1]
    equal = [i for i, score in enumerate(scores) if score == reached and losses[i] is not None]
    return min(equal, key=lambda i: losses[i], default=trial["best_epoch"] - 1) + 1


def _trial(search, number):
    """Return a trial that was trained, by its number."""
    scored = {t["trial"]: t for t in search.trials if t["score"] is not None}
    if isinstance(number, bool) or number not in scored:
        legal = ", ".join(map(str, scored)) or "none"
        raise KzooError(f"trial={number!r} is no trial of {search.path} that has a score. Those are: {legal}.")
    return scored[number]


def _metrics(spec, objective):
    metric, known = objective.removeprefix("val_"), tuple(spec["training"]["metrics"])
    return {} if metric == "loss" or metric in known else {"metrics": (*known, metric)}


def _data(search, source):
    """Return the data of the search again.

    Raises:
        KzooError: it is not there, or it is other data.
    """
    if source is None and search._data is not None:
        return search._data
    spec, described = Spec.read(search.config["spec"]), Description.read(search.config["data"])
    return load_again(spec, described, source, what=f"the data that {search.path} was tuned on")
