"""A search's place among others, by its best trial. Standard library only."""

from kzoo.errors import KzooError


def group_of(search):
    """Return what searches have in common that are ranked together: data, task, objective and how it is scored."""
    data = search.config["data"]
    return data["fingerprint"], data["task"], search.objective, search.config["folds"]


def row_of(search, name, metric) -> dict:
    """Return the row that `compare` gives a search.

    Raises:
        KzooError: a metric that it was not about.
    """
    config, objective = search.config, search.objective[0].removeprefix("val_")
    if metric not in (None, objective, search.objective[0]):
        raise KzooError(f"{search.path} is a search for {objective!r}, and knows no {metric!r}. Retrain its winner.")
    trials, best = search.trials, best_of(search)
    return dict(
        run=name,
        path=str(search.path),
        preset=config["spec"]["preset"],
        data=config["data"]["name"],
        task=config["data"]["task"],
        metric=objective,
        split=f"{config['folds']} folds" if config["folds"] else "validation",
        score=best.get("score"),
        interval=None,
        validation=None,
        rmse=None,
        parameters=best.get("params"),
        best_epoch=best.get("best_epoch"),
        epochs=best.get("epochs"),
        trials=len(trials),
        seconds=sum(t["seconds"] or 0 for t in trials),
        samples_per_second=None,
        date=config.get("created", "")[:10],
        finished=search.finished,
        interrupted=False,
    )


def best_of(search) -> dict:
    """Return the best trial; an empty one where none has a score."""
    try:
        return search.best_trial()
    except KzooError:
        return {}


def settings_of(search) -> dict:
    """Return how it was searched, and the settings of the best trial."""
    config = search.config
    how = dict(engine=config["engine"], space=config["space"]["size"], search_seed=config["seed"])
    if not best_of(search):
        return how
    spec = search.best_spec()
    return how | spec["config"] | spec["training"] | dict(seed=spec["seed"])
