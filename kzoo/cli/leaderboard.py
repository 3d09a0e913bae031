"""A search's trials, best first: what `kzoo compare SEARCH` prints."""

from pathlib import Path

from kzoo.cli import common, tables
from kzoo.tuning.records import leaderboard as leaderboard_of
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.entry import shown
from kzoo.utils.errors import KzooError
from kzoo.utils.files import whole_file


def leaderboard(folder, *, csv=None, plot=None) -> dict:
    """Return the document of a search's trials.

    Args:
        folder: the search's.
        csv: a file for the table, "-" to print it, or None.
        plot: a file for the curves of the trials, or None.
    """
    search = Search(folder)
    trials = search.trials
    if not trials:
        raise KzooError(f"{folder} has no trial yet. The same call of kzoo.tune continues it.")
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
        defaults={p.name: p.default for p in search.parameters},
        rows=[row.to_json() for row in leaderboard_of(trials, search.objective)],
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


def _table(search):
    return search.leaderboard().to_csv(index=False, lineterminator="\n")


def render(document, csv) -> str:
    """Put the document in words, or in CSV where `csv` is "-"."""
    if csv == "-":
        return _table(Search(document["search"])).rstrip("\n")
    rows, better = document["rows"], "higher" if document["direction"] == "max" else "lower"
    title = f"{document['preset']} on {document['data']}, {document['objective']}; {better} is better"
    heads = [
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
            row["rank"], row["trial"], row["status"], _number(row["score"], "{:.4f}"),
            _number(row["gain"], "{:+.4f}"), f"{row['best_epoch'] or '-'}/{row['epochs']}", f"{row['seconds']:.0f}",
            _number(row["parameters"], "{:,}"), _what(row, document["defaults"], document["start"]),
        ]
        for row in rows
    ]  # fmt: skip
    if common.width() < 100:  # what a narrow terminal goes without
        for name in ("seconds", "parameters"):
            place = heads.index(name)
            heads.pop(place)
            for row in cells:
                row.pop(place)
    lines = [common.bold(title), *tables.columns([heads, *cells], align=">><" + ">" * (len(heads) - 4) + "<")]
    if not document["finished"]:
        lines.append(f"Not finished: {len(rows)} of {document['planned']} trials. The same call goes on.")
    lines.append("Validation data chose the best: retrain the winner for a test score.")
    return "\n".join(lines + [f"Written to {document[what]}" for what in ("csv", "plot") if what in document])


def _number(value, form):
    return "-" if value is None else form.format(value)


def _what(row, defaults, start):
    """Say why a trial has no score, else what it changed from the first one."""
    if row["error"]:
        return row["error"]
    values = row["hyperparameters"].items()
    differs = [f"{name}={shown(value)}" for name, value in values if value != defaults.get(name)]
    return ", ".join(differs) or start


def is_search_alone(words) -> bool:
    """Say whether the words of a command line are one search alone."""
    return len(words) == 1 and (Path(words[0]) / "search.json").is_file()
