"""Rank runs or the trials of a search, or compare two runs on new data."""

import argparse
import csv
import io
import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from kzoo.cli import keras_import, leaderboard, shared, tables
from kzoo.problems.tasks import score_named
from kzoo.tuning.ranking import find_runs, find_runs_and_searches, lower_is_better, ranked
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, whole_file
from kzoo.utils.formatting import csv_cell, percent
from kzoo.zoo.results import metric_label, number, value_of
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    from kzoo.tuning.search import Search


_LONGEST_SETTING = 40  # characters
EXAMPLES = """\
examples:
  kzoo compare runs                               all runs in a folder
  kzoo compare runs/text_* --plot curves.png      some runs, and their curves
  kzoo compare runs --metric f1 --csv table.csv
  kzoo compare searches/digits_cnn-01             the trials of a search
  kzoo compare searches                           searches, by their best trial
  kzoo compare runs/new runs/old --data may.csv   on data that is new to both
  kzoo compare runs/new runs/old --data may.csv --fail-if-worse && ./deploy
exit code with --fail-if-worse:
  0  the new run is at least as good   1  it is worse   2  invalid input
"""

# Columns that are dropped on a narrow terminal, in this order.
_DROPPABLE_COLUMNS = (
    "samples/s",
    "date",
    "seconds",
    "parameters",
    "best epoch",
    "validation",
    "MAE of each target",
    "preset",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "run",
        metavar="RUN",
        nargs="+",
        help="folders of runs or searches, or folders that contain them",
    )
    add(
        "--metric",
        metavar="NAME",
        help="score to rank by, such as f1 or mae; default: the primary score of the task",
    )
    add("--no-baselines", action="store_true", help="do not list baselines")
    add(
        "--csv",
        metavar="FILE",
        nargs="?",
        const="-",
        help="write the table as CSV; without FILE, print it",
    )
    add(
        "--plot",
        metavar="FILE",
        help="plot the training curves of all runs in one figure (.png, .svg, .pdf)",
    )
    add(
        "--data", metavar="HOLDOUT", help="score two runs, given in the order NEW OLD, on this data"
    )
    add("--target", metavar="COLUMN", help="target column in --data")
    add(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="T",
        help="how much worse than OLD the score of NEW may be (default 0)",
    )
    add(
        "--fail-if-worse",
        action="store_true",
        help="exit code 1 if NEW is worse than OLD on --data",
    )


def run(args: argparse.Namespace) -> JsonObject:
    if args.tolerance < 0 or args.tolerance != args.tolerance:
        raise KzooError(f"--tolerance {args.tolerance} must be at least 0.")
    if args.data is not None:
        return _compare_on_data(args)
    for option in ("fail_if_worse", "target", "tolerance"):
        if getattr(args, option):
            raise KzooError(
                f"--{option.replace('_', '-')} needs --data: a data set that neither run was trained on."
            )
    for option, suffixes in (("csv", (".csv",)), ("plot", shared.PICTURES)):
        shared.check_output_file(option, getattr(args, option), suffixes)
    if leaderboard.is_single_search(args.run):
        if args.metric is not None:
            raise KzooError(
                "--metric is for runs. Remove it: the trials of a search are ranked by its objective."
            )
        return leaderboard.leaderboard(args.run[0], csv=args.csv, plot=args.plot)
    runs, skipped = _find_runs(args.run)
    rows = ranked(runs, metric=args.metric, baselines=not args.no_baselines)
    document: JsonObject = dict(
        rows=rows, notes=[f"{path} is not a run: skipped" for path in skipped]
    )
    if args.plot is not None:
        document["notes"] += _save_plot(runs, rows, args.metric, args.plot)
        document["plot"] = args.plot
    if args.csv not in (None, "-"):
        with whole_file(args.csv) as temporary:
            # Spreadsheets recognize UTF-8 by the BOM.
            temporary.write_text(_as_csv(rows), encoding="utf-8-sig", newline="")
        document["csv"] = args.csv
    return document


def _find_runs(paths: Iterable[str]) -> "tuple[list[Run | Search], list[str]]":
    """Return the runs below some paths, and the paths that hold none: `runs/*` matches other files too.

    Raises:
        KzooError: a path does not exist; or a path holds no run, and the others hold fewer than two.
    """
    runs = []
    skipped = []
    first_error = None
    for path in paths:
        try:
            runs += find_runs_and_searches(path)
        except KzooError as error:
            if not os.path.exists(path):
                raise
            skipped.append(path)
            first_error = first_error or error
    runs = find_runs_and_searches(runs) if runs else []
    if first_error is not None and len(runs) < 2:
        raise first_error
    return runs, skipped


def _save_plot(
    runs: "Sequence[Run | Search]", rows: Sequence[JsonObject], metric: str | None, path: str
) -> list[str]:
    rows = [row for row in rows if not row["baseline"]]
    # Losses of different tasks are not comparable: only runs for the task of the largest group are drawn.
    labels = {row["path"]: row["run"] for row in rows if row["task"] == rows[0]["task"]}
    not_drawn = [row["run"] for row in rows if row["path"] not in labels]
    runs = [run for run in runs if str(run.path) in labels]
    histories = {
        labels[str(run.path)]: run.history
        for run in runs
        if isinstance(run, Run) and (run.path / "history.csv").is_file()
    }
    histories = {label: history for label, history in histories.items() if history}
    # Not every score is recorded per epoch.
    is_curve = all(
        metric in history or f"val_{metric}" in history for history in histories.values()
    )
    figure = import_module("kzoo.plots").overlay(histories, metric=metric if is_curve else None)
    with whole_file(path, sync=False) as temporary:
        figure.savefig(temporary, dpi=120)
    without_curves = [label for label in labels.values() if label not in histories]
    notes = [f"{', '.join(without_curves)}: no training curves recorded"] if without_curves else []
    if not_drawn:
        notes.append(
            f"{', '.join(not_drawn)}: not drawn, because they are for another task; compare them separately"
        )
    return notes


def _as_csv(rows: Sequence[JsonObject]) -> str:
    """Return the rows as CSV.

    Targets have columns of their errors, `mae.NAME`, and changed settings have columns `set.NAME`.
    """
    settings = dict.fromkeys(name for row in rows for name in row["differs"])
    targets = dict.fromkeys(name for row in rows for name in row["targets"])
    names = [name for name in rows[0] if name not in ("differs", "interval", "targets")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *names,
            "interval_low",
            "interval_high",
            *(f"mae.{target}" for target in targets),
            *(f"set.{setting}" for setting in settings),
        ]
    )
    for row in rows:
        values = [row[name] for name in names] + list(row["interval"] or (None, None))
        differs = [
            shared.show_value(row["differs"][setting]) if setting in row["differs"] else ""
            for setting in settings
        ]
        target_errors = [row["targets"].get(target) for target in targets]
        writer.writerow(
            [csv_cell("" if cell is None else cell) for cell in [*values, *target_errors, *differs]]
        )
    return text.getvalue()


def _compare_on_data(args: argparse.Namespace) -> JsonObject:
    for option in ("csv", "plot"):
        if getattr(args, option) is not None:
            raise KzooError(
                f"--{option} is for the table of runs and does not work with --data. Remove one of them."
            )
    if len(args.run) != 2:
        raise KzooError(f"--data needs exactly two runs, NEW and OLD (given: {len(args.run)}).")
    runs = [run for path in args.run for run in find_runs(path)]
    if len(runs) != 2:
        raise KzooError(
            f"--data needs exactly two runs, NEW and OLD: {' '.join(args.run)} holds {len(runs)}."
        )
    document = keras_import.import_quietly("kzoo.evaluation").compare_runs(
        *runs, args.data, target=args.target, metric=args.metric
    )
    # In floating point 0.9 - 0.91 is slightly less than -0.01: allow for rounding.
    rounding = 1e-9 * max(
        abs(value_of(document[name], document["metric"]) or 0) for name in ("new", "old")
    )
    worse = document["advantage"] < -args.tolerance - rounding
    header = dict(
        new_run=args.run[0], old_run=args.run[1], data=args.data, tolerance=args.tolerance
    )
    in_units = {
        name: run.problem.task.in_units(document[name], run.target)
        for name, run in zip(("new", "old"), runs, strict=True)
    }
    exit_code = int(worse and args.fail_if_worse)
    return header | document | dict(in_units=in_units, worse=worse, exit_code=exit_code)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    if "search" in document:
        return leaderboard.render(document, args.csv)
    if "worse" in document:
        return _render_comparison(document)
    if args.csv == "-":
        return _as_csv(document["rows"]).rstrip("\n")
    rows = document["rows"]
    finished = [row for row in rows if row["finished"]]
    groups = [
        [r for r in finished if r["group"] == g]
        for g in dict.fromkeys(r["group"] for r in finished)
    ]
    lines = []
    for group in (g for g in groups if len(g) > 1):
        presets = {row["preset"] for row in group if not row["baseline"]}
        title = f"{min(presets)} on {group[0]['data']}" if len(presets) == 1 else group[0]["data"]
        better = "lower" if lower_is_better(group[0]["metric"]) else "higher"
        lines.append(shared.bold(f"{title}, {_split_label(group[0])}; {better} is better"))
        lines += [*_table(group, ["preset"] if len(presets) > 1 else []), ""]
    single = [row for group in groups if len(group) == 1 for row in group]
    if single:
        lines += [
            shared.bold("only run on their data, split or task"),
            *_table(single, ["preset", "data"]),
            "",
        ]
    unfinished = [
        (row["run"], row["preset"], _progress(row)) for row in rows if not row["finished"]
    ]
    if unfinished:
        lines += [shared.bold("unfinished"), *tables.columns(unfinished), ""]
    if len({row["group"] for row in rows}) > 1:
        lines.append("Runs on different data, splits or tasks are ranked separately.")
    lines += document["notes"] + [
        f"Written to {document[key]}" for key in ("csv", "plot") if key in document
    ]
    return "\n".join(lines).rstrip("\n")


def _split_label(row: JsonObject) -> str:
    if row["trials"] is None:
        return f"{row['split']} split"
    return f"best trials on {row['split']}{'' if 'folds' in row['split'] else ' data'}"


def _progress(row: JsonObject) -> str:
    if row["trials"] is None:
        return f"{row['epochs']} epochs"
    best = "" if row["score"] is None else f", the best {number(row['score'], row['metric'])}"
    return f"{row['trials']} trials{best}"


def _table(rows: Sequence[JsonObject], extra_columns: Sequence[str]) -> list[str]:
    """Return the table of a group of runs; on a narrow terminal some columns are dropped.

    Args:
        rows: rows of `kzoo.compare`.
        extra_columns: names of columns to add after the run's name.
    """
    cells = [_cells(row) for row in rows]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    headings = {
        name: name
        for name in (
            "run",
            *extra_columns,
            *(n for n in cells[0] if n not in ("run", "preset", "data")),
        )
    }
    if len(metrics) == 1:
        del headings["metric"]
        headings["score"] = metric_label(metrics[0])
        headings["95 %"] = _level(metrics[0])
    headings = {name: heading for name, heading in headings.items() if any(c[name] for c in cells)}
    for column in _DROPPABLE_COLUMNS:
        widths = {n: max(len(h), *(len(c[n]) for c in cells)) for n, h in headings.items()}
        widths["differs"] = min(widths.get("differs", 0), 20)  # the last column can be wrapped
        if sum(widths.values()) + 2 * len(headings) <= shared.terminal_width():
            break
        headings.pop(column, None)
    align = "".join(
        "<" if n in ("run", "preset", "data", "metric", "score", "95 %", "differs") else ">"
        for n in headings
    )
    return tables.columns(
        [headings.values(), *([c[n] for n in headings] for c in cells)], align=align
    )


def _level(metric: str) -> str:
    """Return the level of the interval of a score as text."""
    score = score_named(metric)
    return f"{95 if score is None else score.interval} %"


def _shortened(setting: str) -> str:
    """Return a setting for the table; `--json` and .csv files have long ones, such as edges of bins, whole."""
    return setting if len(setting) <= _LONGEST_SETTING else f"{setting[: _LONGEST_SETTING - 1]}…"


def _cells(row: JsonObject) -> dict[str, str]:
    """Return the cells of a row as text, by column name."""
    metric = row["metric"]
    score, validation, rmse = (
        "" if value is None else number(value, name)
        for value, name in (
            (row["score"], metric),
            (row["validation"], metric),
            (row["rmse"], "rmse"),
        )
    )
    epochs = f"{row['best_epoch']}/{row['epochs']}" if row["best_epoch"] else ""
    differs = ", ".join(
        f"{name}={_shortened(shared.show_value(value))}" for name, value in row["differs"].items()
    )
    label = metric_label(metric)
    return {
        "run": row["run"]
        + (" (interrupted)" if row["interrupted"] else " (baseline)" if row["baseline"] else ""),
        "preset": row["preset"],
        "data": row["data"],
        "metric": label,
        "score": score,
        "95 %": " to ".join(number(bound, metric) for bound in row["interval"] or ()),
        "validation": validation,
        "RMSE": "" if metric == "rmse" else rmse,
        "relative MAE": "" if row["relative_mae"] is None else f"{row['relative_mae']:.3f}",
        "MAE of each target": ", ".join(
            f"{name} {value:.4g}" for name, value in row["targets"].items() if row["mae"] is None
        ),
        "MAE": "" if row["mae"] is None else number(row["mae"], "mae"),
        "of the total": "" if row["wape"] is None else percent(row["wape"]),
        "parameters": "" if row["parameters"] is None else f"{row['parameters']:,}",
        "best epoch": epochs,
        "trials": "" if row["trials"] is None else str(row["trials"]),
        "seconds": "" if row["seconds"] is None else f"{row['seconds']:.0f}",
        "samples/s": ""
        if row["samples_per_second"] is None
        else f"{row['samples_per_second']:,.0f}",
        "date": row["date"],
        "differs": differs,
    }


def _render_comparison(document: JsonObject) -> str:
    metric, test = document["metric"], document["test"]
    rows = [
        [
            "",
            metric_label(metric),
            _level(metric) if f"{metric}_interval" in document["new"] else "",
        ]
    ]
    for name in ("new", "old"):
        scores = document[name]
        interval = scores.get(f"{metric}_interval") or ()
        value = value_of(scores, metric)
        rows.append(
            [
                document[f"{name}_run"],
                "-" if value is None else number(value, metric),
                " to ".join(number(bound, metric) for bound in interval),
            ]
        )
    difference = document["difference"]
    rows.append(
        [
            "difference",
            f"{100 * difference:+.1f} points" if metric == "accuracy" else f"{difference:+.4g}",
            "",
        ]
    )
    size = document["new"].get("examples", document["new"].get("tokens"))
    lines = [
        shared.bold(
            f"{document['data']}, {size:,} {'examples' if 'examples' in document['new'] else 'tokens'}"
        )
    ]
    lines += tables.columns(rows)
    for name, sentence in document["in_units"].items():
        if sentence:
            lines += shared.hanging_indent(f"{document[f'{name}_run']}: ", sentence)
    if test and "p_value" in test:
        lines.append(
            f"{test['name']}: {test['only_new_right']} examples only the new run predicts correctly, "
            f"{test['only_old_right']} only the old one; p = {test['p_value']:.2g}"
        )
    elif test:
        low, high = test["interval"]
        lines.append(
            f"{test['name']}: difference of the {metric_label(test['of'])} "
            f"{test['difference']:+.4g} (95 %: {low:+.4g} to {high:+.4g})"
        )
    allowed = f" by more than {document['tolerance']:g}" if document["tolerance"] else ""
    lines.append(
        f"The new run is worse{allowed}."
        if document["worse"]
        else f"The new run is not worse{allowed}."
    )
    return "\n".join(lines)
