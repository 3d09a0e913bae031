"""Rank runs, or a search's trials, from their files; or score two on new data."""

import csv
import io
import os
from importlib import import_module

from kzoo.cli import common, keras_import, leaderboard, tables
from kzoo.ranking import compare, find_runs, lower_is_better
from kzoo.results import number, value_of
from kzoo.tasks import score_named
from kzoo.utils.errors import KzooError
from kzoo.utils.files import whole_file
from kzoo.utils.formatting import csv_cell

EXAMPLES = """\
examples:
  kzoo compare runs                               every run below a folder
  kzoo compare runs/text_* --plot curves.png      some, and their curves
  kzoo compare runs --metric f1 --csv table.csv
  kzoo compare searches/digits_cnn-01             a search's trials
  kzoo compare searches                           searches, by their best trials
  kzoo compare runs/new runs/old --data may.csv   on data that neither has seen
  kzoo compare runs/new runs/old --data may.csv --fail-if-worse && ./deploy
exit code with --fail-if-worse:
  0  the new run is at least as good   1  it is worse   2  it cannot be said
"""

# Columns that a narrow terminal goes without, in this order.
_EXPENDABLE = (
    "samples/s", "date", "seconds", "parameters", "best epoch", "validation", "MAE of each target", "preset",
)  # fmt: skip


def add_arguments(parser):
    add = parser.add_argument
    add("run", metavar="RUN", nargs="+", help="folders of runs or searches, or folders that hold some")
    add("--metric", metavar="NAME", help="score to rank by, such as f1 or mae; default: the task's")
    add("--no-baselines", action="store_true", help="runs alone, without what needs no network")
    add("--csv", metavar="FILE", nargs="?", const="-", help="write the table as CSV; without FILE, print it")
    add("--plot", metavar="FILE", help="draw the training curves of all runs into one picture (.png, .svg, .pdf)")
    add("--data", metavar="HOLDOUT", help="two runs, NEW and OLD: score both on this data")
    add("--target", metavar="COLUMN", help="column of --data with the answers")
    add("--tolerance", type=float, default=0.0, metavar="T", help="how much worse NEW may be (default 0)")
    add("--fail-if-worse", action="store_true", help="exit code 1 where NEW is worse on --data than OLD")


def run(args):
    if args.tolerance < 0 or args.tolerance != args.tolerance:
        raise KzooError(f"--tolerance {args.tolerance} must be at least 0.")
    if args.data is not None:
        return _versus(args)
    for option in ("fail_if_worse", "target", "tolerance"):
        if getattr(args, option):
            raise KzooError(f"--{option.replace('_', '-')} needs --data, which neither run was trained on.")
    for option, endings in (("csv", (".csv",)), ("plot", common.PICTURES)):
        common.check_file(option, getattr(args, option), endings)
    if leaderboard.is_search_alone(args.run):
        if args.metric is not None:
            raise KzooError("--metric ranks runs: a search's trials are ranked by its objective.")
        return leaderboard.leaderboard(args.run[0], csv=args.csv, plot=args.plot)
    runs, left_out = _gather(args.run)
    rows = compare(runs, metric=args.metric, baselines=not args.no_baselines)
    document = dict(rows=rows, notes=[f"{path} is not a run: left out" for path in left_out])
    if args.plot is not None:
        document["notes"] += _plot(runs, rows, args.metric, args.plot)
        document["plot"] = args.plot
    if args.csv not in (None, "-"):
        with whole_file(args.csv) as temporary:
            # With a BOM, without which spreadsheets read UTF-8 as something else.
            temporary.write_text(_as_csv(rows), encoding="utf-8-sig", newline="")
        document["csv"] = args.csv
    return document


def _gather(words):
    """Return the runs, and the words that name none: `runs/*` takes in whatever else lies there."""
    runs, left_out, first = [], [], None
    for word in words:
        try:
            runs += find_runs(word, searches=True)
        except KzooError as error:
            if not os.path.exists(word):
                raise
            left_out.append(word)
            first = first or error
    runs = find_runs(runs, searches=True) if runs else []
    if first is not None and len(runs) < 2:
        raise first
    return runs, left_out


def _plot(runs, rows, metric, file):
    rows = [row for row in rows if not row["baseline"]]
    # Losses of unlike tasks have nothing in common: the largest group's task is drawn.
    labels = {row["path"]: row["run"] for row in rows if row["task"] == rows[0]["task"]}
    others = [row["run"] for row in rows if row["path"] not in labels]
    runs = [run for run in runs if str(run.path) in labels]
    histories = {labels[str(run.path)]: run.history for run in runs if (run.path / "history.csv").is_file()}
    histories = {label: history for label, history in histories.items() if history}
    drawn = all(metric in h or f"val_{metric}" in h for h in histories.values())  # not every score is a curve
    figure = import_module("kzoo.plots").overlay(histories, metric=metric if drawn else None)
    with whole_file(file, sync=False) as temporary:
        figure.savefig(temporary, dpi=120)
    left_out = [label for label in labels.values() if label not in histories]
    notes = [f"{', '.join(left_out)}: no training curves to draw"] if left_out else []
    if others:
        notes.append(f"{', '.join(others)}: not drawn beside runs for another task; compare them by themselves")
    return notes


def _as_csv(rows):
    """Write the rows with a column for each target's error, `mae.NAME`, and each setting that differs, `set.NAME`."""
    settings = dict.fromkeys(name for row in rows for name in row["differs"])
    targets = dict.fromkeys(name for row in rows for name in row["targets"])
    names = [name for name in rows[0] if name not in ("differs", "interval", "targets")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*names, "interval_low", "interval_high", *(f"mae.{t}" for t in targets), *(f"set.{s}" for s in settings)]
    )
    for row in rows:
        values = [row[name] for name in names] + list(row["interval"] or (None, None))
        differs = [common.show_value(row["differs"][s]) if s in row["differs"] else "" for s in settings]
        each = [row["targets"].get(target) for target in targets]
        writer.writerow([csv_cell("" if v is None else v) for v in [*values, *each, *differs]])
    return text.getvalue()


def _versus(args):
    for option in ("csv", "plot"):
        if getattr(args, option) is not None:
            raise KzooError(f"--{option} is for the table of many runs: leave out --data.")
    if len(args.run) != 2:
        raise KzooError(f"--data compares two runs, NEW and OLD, and {len(args.run)} are given.")
    runs = [found for word in args.run for found in find_runs(word)]
    if len(runs) != 2:
        raise KzooError(f"--data compares two runs, NEW and OLD, and {' '.join(args.run)} holds {len(runs)}.")
    document = keras_import.import_quietly("kzoo.evaluation").compare_runs(
        *runs, args.data, target=args.target, metric=args.metric
    )
    # 0.9 - 0.91 is a little less than -0.01 to a computer.
    rounding = 1e-9 * max(abs(value_of(document[which], document["metric"])) for which in ("new", "old"))
    worse = document["advantage"] < -args.tolerance - rounding
    head = dict(new_run=args.run[0], old_run=args.run[1], data=args.data, tolerance=args.tolerance)
    return head | document | dict(worse=worse, exit_code=int(worse and args.fail_if_worse))


def render(document, args):
    if "search" in document:
        return leaderboard.render(document, args.csv)
    if "worse" in document:
        return _render_versus(document)
    if args.csv == "-":
        return _as_csv(document["rows"]).rstrip("\n")
    rows = document["rows"]
    finished = [row for row in rows if row["finished"]]
    groups = [[r for r in finished if r["group"] == g] for g in dict.fromkeys(r["group"] for r in finished)]
    lines = []
    for group in (g for g in groups if len(g) > 1):
        presets = {row["preset"] for row in group if not row["baseline"]}
        what = f"{min(presets)} on {group[0]['data']}" if len(presets) == 1 else group[0]["data"]
        better = "lower" if lower_is_better(group[0]["metric"]) else "higher"
        lines.append(common.bold(f"{what}, {_split(group[0])}; {better} is better"))
        lines += [*_table(group, ["preset"] if len(presets) > 1 else []), ""]
    alone = [row for group in groups if len(group) == 1 for row in group]
    if alone:
        lines += [common.bold("alone on their data, split or task"), *_table(alone, ["preset", "data"]), ""]
    unfinished = [(row["run"], row["preset"], _so_far(row)) for row in rows if not row["finished"]]
    if unfinished:
        lines += [common.bold("unfinished"), *tables.columns(unfinished), ""]
    if len({row["group"] for row in rows}) > 1:
        lines.append("Runs on other data, other splits or for other tasks are not ranked together.")
    lines += document["notes"] + [f"Written to {document[what]}" for what in ("csv", "plot") if what in document]
    return "\n".join(lines).rstrip("\n")


def _split(row):
    if row["trials"] is None:
        return f"{row['split']} split"
    return f"best trials on {row['split']}{'' if 'folds' in row['split'] else ' data'}"


def _so_far(row):
    if row["trials"] is None:
        return f"{row['epochs']} epochs"
    best = "" if row["score"] is None else f", the best {number(row['score'], row['metric'])}"
    return f"{row['trials']} trials{best}"


def _table(rows, more):
    """Lay rows out as far as the terminal is wide."""
    cells, metrics = [_cells(row) for row in rows], list(dict.fromkeys(row["metric"] for row in rows))
    heads = {name: name for name in ("run", *more, *(n for n in cells[0] if n not in ("run", "preset", "data")))}
    if len(metrics) == 1:
        del heads["metric"]
        heads["score"] = _head(metrics[0])
    heads = {name: head for name, head in heads.items() if any(c[name] for c in cells)}
    for expendable in _EXPENDABLE:
        widths = {n: max(len(h), *(len(c[n]) for c in cells)) for n, h in heads.items()}
        widths["differs"] = min(widths.get("differs", 0), 20)  # the last column can be wrapped
        if sum(widths.values()) + 2 * len(heads) <= common.width():
            break
        heads.pop(expendable, None)
    align = "".join("<" if n in ("run", "preset", "data", "metric", "score", "95 %", "differs") else ">" for n in heads)
    return tables.columns([heads.values(), *([c[n] for n in heads] for c in cells)], align=align)


def _cells(row):
    """Write a row's values as people read them."""
    metric = row["metric"]
    score, validation, rmse = (
        "" if value is None else number(value, name)
        for value, name in ((row["score"], metric), (row["validation"], metric), (row["rmse"], "rmse"))
    )
    epochs = f"{row['best_epoch']}/{row['epochs']}" if row["best_epoch"] else ""
    differs = ", ".join(f"{name}={common.show_value(value)}" for name, value in row["differs"].items())
    named = _head(metric)
    return {
        "run": row["run"] + (" (interrupted)" if row["interrupted"] else " (baseline)" if row["baseline"] else ""),
        "preset": row["preset"],
        "data": row["data"],
        "metric": named,
        "score": score,
        "95 %": " to ".join(number(bound, metric) for bound in row["interval"] or ()),
        "validation": validation,
        "RMSE": "" if metric == "rmse" else rmse,
        "relative MAE": "" if row["relative_mae"] is None else f"{row['relative_mae']:.3f}",
        "MAE of each target": ", ".join(f"{name} {value:.4g}" for name, value in row["targets"].items()),
        "parameters": "" if row["parameters"] is None else f"{row['parameters']:,}",
        "best epoch": epochs,
        "trials": "" if row["trials"] is None else str(row["trials"]),
        "seconds": "" if row["seconds"] is None else f"{row['seconds']:.0f}",
        "samples/s": "" if row["samples_per_second"] is None else f"{row['samples_per_second']:,.0f}",
        "date": row["date"],
        "differs": differs,
    }


def _render_versus(document):
    metric, test = document["metric"], document["test"]
    rows = [["", _head(metric), "95 %" if f"{metric}_interval" in document["new"] else ""]]
    for name in ("new", "old"):
        scores = document[name]
        interval = scores.get(f"{metric}_interval") or ()
        score = number(value_of(scores, metric), metric)
        rows.append([document[f"{name}_run"], score, " to ".join(number(bound, metric) for bound in interval)])
    difference = document["difference"]
    rows.append(["difference", f"{100 * difference:+.1f} points" if metric == "accuracy" else f"{difference:+.4g}", ""])
    size = document["new"].get("examples", document["new"].get("tokens"))
    lines = [common.bold(f"{document['data']}, {size:,} {'examples' if 'examples' in document['new'] else 'tokens'}")]
    lines += tables.columns(rows)
    if test and "p_value" in test:
        lines.append(
            f"{test['name']}: {test['only_new_right']} answers only the new run has right, {test['only_old_right']} "
            f"only the old one; p = {test['p_value']:.2g}"
        )
    elif test:
        low, high = test["interval"]
        lines.append(f"{test['name']}: difference of the {_head(test['of'])} "
                     f"{test['difference']:+.4g} (95 %: {low:+.4g} to {high:+.4g})")  # fmt: skip
    allowed = f" by more than {document['tolerance']:g}" if document["tolerance"] else ""
    lines.append(f"The new run is worse{allowed}." if document["worse"] else f"The new run is not worse{allowed}.")
    return "\n".join(lines)


def _head(metric):
    """Return what stands over a column of these scores."""
    known = score_named(metric)
    return metric if known is None else known.short or known.label
