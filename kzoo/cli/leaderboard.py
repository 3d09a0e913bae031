"""The leaderboard of a search: the output of `kzoo compare SEARCH`."""

from collections.abc import Sequence
from pathlib import Path

from kzoo.cli import shared, tables
from kzoo.tuning.records import leaderboard as leaderboard_rows
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.entry import format_value
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, whole_file


def leaderboard(folder: str, *, csv: str | None = None, plot: str | None = None) -> JsonObject:
    """Return the document of the trials of a search, best first.

    Args:
        folder: the folder of the search.
        csv: a file for the table, "-" to print it, or None.
        plot: a file for the curves of the trials, or None.

    Raises:
        KzooError: the folder is not a search, or it has no trial yet.
    """
    search = Search(folder)
    trials = search.trials
    if not trials:
        raise KzooError(
            f"{folder} has no trials yet. Repeat the call of kzoo.tune to continue the search."
        )
    name, direction = search.objective
    document = dict(
        search=str(folder),
        preset=search.request.spec["preset"],
        data=search.request.data["name"],
        objective=name,
        direction=direction,
        planned=search.request.trials,
        start=search.request.start,
        finished=search.finished,
        auto=search.request.is_auto,
        verdict=search.verdict if search.request.is_auto and search.finished else None,
        defaults={p.name: p.default for p in search.parameters},
        rows=[row.to_json() for row in leaderboard_rows(trials, search.objective)],
    )
    if csv not in (None, "-"):
        with whole_file(csv) as temporary:
            temporary.write_text(_table(search), encoding="utf-8-sig", newline="")
        document["csv"] = csv
    if plot is not None:
        figure = search.plot("curves")
        with whole_file(plot, sync=False) as temporary:
            figure.savefig(temporary, dpi=120)
        document["plot"] = plot
    return document


def _table(search: Search) -> str:
    return search.leaderboard().to_csv(index=False, lineterminator="\n")


def render(document: JsonObject, csv: str | None) -> str:
    """Return the document as text, or as CSV if `csv` is "-"."""
    if csv == "-":
        return _table(Search(document["search"])).rstrip("\n")
    rows = document["rows"]
    better = "higher" if document["direction"] == "max" else "lower"
    title = (
        f"{document['preset']} on {document['data']}, {document['objective']}; {better} is better"
    )
    headings = [
        "rank",
        "trial",
        "status",
        "score",
        "gain",
        "epoch",
        "seconds",
        "parameters",
        f"changed from {document['start']}",
    ]
    cells = [
        [
            row["rank"],
            row["trial"],
            row["status"],
            tables.cell(row["score"], ".4f"),
            tables.cell(row["gain"], "+.4f"),
            f"{row['best_epoch'] or '-'}/{row['epochs']}",
            f"{row['seconds']:.0f}",
            tables.cell(row["parameters"], ","),
            _changes_or_error(row, document["defaults"], document["start"]),
        ]
        for row in rows
    ]
    if shared.terminal_width() < 100:  # too narrow for all columns
        for name in ("seconds", "parameters"):
            index = headings.index(name)
            headings.pop(index)
            for row in cells:
                row.pop(index)
    lines = [
        shared.bold(title),
        *tables.columns([headings, *cells], align=">><" + ">" * (len(headings) - 4) + "<"),
    ]
    if not document["finished"]:
        lines.append(
            f"Not finished: {len(rows)} of {document['planned']} trials. Repeat the call to continue."
        )
    if document["verdict"]:
        lines += [
            document["verdict"],
            f"The chosen model is the run {Path(document['search']) / 'winner'}.",
        ]
    elif not document["auto"]:
        lines.append("Trials are ranked on validation data: retrain the winner for a test score.")
    return "\n".join(
        lines + [f"Written to {document[key]}" for key in ("csv", "plot") if key in document]
    )


def _changes_or_error(row: JsonObject, defaults: JsonObject, start: str) -> str:
    """Return the error of a trial that failed, else its hyperparameters that differ from the defaults."""
    if row["error"]:
        model = row["hyperparameters"].get("model")
        return row["error"] if model is None else f"{model}: {row['error']}"
    values = row["hyperparameters"].items()
    differs = [
        f"{name}={format_value(value)}" for name, value in values if value != defaults.get(name)
    ]
    return ", ".join(differs) or start


def is_single_search(paths: Sequence[str]) -> bool:
    """Return whether the paths of a command line are a single search."""
    return len(paths) == 1 and (Path(paths[0]) / "search.json").is_file()
