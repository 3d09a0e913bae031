"""A search's place among others, by its best trial. Standard library only."""

from kzoo.errors import KzooError
from kzoo.tuning.records import best_of


def group_of(search):
    """Return what searches have in common that are ranked together: data, task, objective and how it is scored."""
    data = search.request.data
    return data["fingerprint"], data["task"], search.objective, search.request.folds


def row_of(search, name, metric) -> dict:
    """Return the row that `compare` gives a search.

    Raises:
        KzooError: a metric that it was not about.
    """
    request, objective = search.request, search.objective.name.removeprefix("val_")
    if metric not in (None, objective, search.objective.name):
        raise KzooError(f"{search.path} is a search for {objective!r}, and has no {metric!r}. Retrain its winner.")
    trials = search.trials
    best = best_of(trials, search.objective)
    return dict(
        run=name,
        path=str(search.path),
        preset=request.spec["preset"],
        data=request.data["name"],
        task=request.data["task"],
        metric=objective,
        split=f"{request.folds} folds" if request.folds else "validation",
        score=best and best.score,
        interval=None,
        validation=None,
        rmse=None,
        parameters=best and best.params,
        best_epoch=best and best.best_epoch,
        epochs=best and best.epochs,
        trials=len(trials),
        seconds=sum(trial.seconds for trial in trials),
        samples_per_second=None,
        date=request.created[:10],
        finished=search.finished,
        interrupted=False,
    )


def settings_of(search) -> dict:
    """Return how it was searched, and the settings of the best trial."""
    request = search.request
    how = dict(engine=request.engine, space=request.space["size"], search_seed=request.seed)
    best = best_of(search.trials, search.objective)
    if best is None:
        return how
    spec = search.spec_of(best)
    return how | spec["config"] | spec["training"] | dict(seed=spec["seed"])
