"""`report`: write a self-contained HTML report of a run or a search."""

import os
from pathlib import Path

import keras
from jinja2 import Environment, PackageLoader, StrictUndefined

from kzoo.data.dataset import Loadable
from kzoo.data.named import name_of
from kzoo.evaluation import evaluate
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.tasks.target_scores import subgroup_table, target_table
from kzoo.problems.stored_types import BASELINE
from kzoo.reports.examples import examples_of
from kzoo.reports.explanations import explanation_sections
from kzoo.reports.figures import curve_figures, prediction_figures
from kzoo.reports.scores import baseline_rows, primary_score, run_warnings, score_rows, series_table
from kzoo.reports.search import search_page
from kzoo.reports.setting_format import format_shape, settings_of, summary_of
from kzoo.tuning.search import Search, is_search
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, write_text
from kzoo.utils.formatting import duration, number, plural, printable
from kzoo.utils.table_path import check_sheet
from kzoo.zoo import retrained
from kzoo.zoo.results.coverage import (
    DRIFT,
    coverage_note,
    coverage_table,
    totals_note,
    totals_table,
)
from kzoo.zoo.results.repairs import gain_line
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import as_run

_NO_SCORES_NOTE = (
    "The data of this model is unknown, so there is no score."
    " Pass data= to score it in a separate section."
)


@checked_arguments
def report(
    run: Run | Search | str | os.PathLike[str] | keras.Model,
    *,
    out: str | os.PathLike[str] | None = None,
    data: "Loadable | None" = None,
    by: str | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
    explain: bool = False,
) -> Path:
    """Write a self-contained `report.html`: what was trained on which data, its scores, and its mistakes.

    The report of a search has its trials, the importance of hyperparameters, and the winner's settings next to the
    preset's. The page loads nothing from the network, and the same run gives the same page.

    Args:
        run: a finished run, a search, or the path of one; or a `keras.Model` or the folder of a callback bundle, whose
            reports are shorter.
        out: the file to write, or a folder for it; the default is `report.html` in the folder of the run.
        data: labelled data on which the run is scored again, in a separate section; see `kzoo.evaluate`.
        by: column of `data`, or an input of a run on a named data set, by whose values subgroups are scored in the same
            section.
        sheet, header_row: where the table is in an `.xlsx` workbook, as in `kzoo.evaluate`.
        explain: explain the run in a section of its own, as `kzoo.explain` does: its columns, on the validation rows of
            `data`, which must be what the run was trained on unless that is a named data set, or on other labelled
            rows; and three of the stored examples.

    Returns:
        The path of the page.

    Raises:
        KzooError: the run is not finished, the file cannot be written, or `data` does not fit the run.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> kzoo.report(run).name
        'report.html'
    """
    if is_search(run):
        for name, value in (
            ("by", by),
            ("sheet", sheet),
            ("header_row", header_row),
            ("explain", explain or None),
        ):
            if value is not None:
                raise KzooError(
                    "is for runs, but this is a search. Remove it.", argument=name, value=value
                )
        if data is not None:
            raise KzooError(
                "is for runs, but this is a search. Use retrain() to train a run with the settings of "
                "the best trial.",
                argument="data",
            )
        search = run if isinstance(run, Search) else Search(run)
        return _write_page(_output_path(search, out), "search.html.j2", search_page(search))
    check_sheet(data, sheet, header_row)
    run = as_run(run, stored=False)
    if not run.finished:
        raise KzooError(
            f"{run.path} is not finished, so there are no scores to report. Resume its training first."
        )
    path = _output_path(run, out)
    context = dict(
        title=_title(run),
        untracked=not run.tracked,
        **_facts(run),
        **_scores(run),
        new_data=None
        if data is None and by is None
        else _new_data_scores(run, data, by, sheet, header_row),
        curves=curve_figures(run),
        sections=prediction_figures(run),
        examples=examples_of(run),
        explanations=explanation_sections(run, data, sheet, header_row) if explain else [],
        layers=_layers(run.model),
        settings=settings_of(run.config["spec"]),
        **_provenance(run),
    )
    return _write_page(path, "report.html.j2", context)


def _title(run: Run) -> str:
    name = run.config["spec"]["preset"]
    return f"{name} on {run.config['data']['name']}" if run.tracked else name


def _write_page(path: Path, template: str, context: JsonObject) -> Path:
    loader = PackageLoader("kzoo", "reports")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda rendered: printable(rendered) if type(rendered) is str else rendered,
    )
    write_text(path, environment.get_template(template).render(context), sync=False)
    return path


def _output_path(run: Run | Search, out: str | os.PathLike[str] | None) -> Path:
    if out is None and run.path is None:
        raise KzooError("A model in memory has no folder for its report. Add out='report.html'.")
    if out is None and (address := getattr(run.path, "address", None)) is not None:
        raise KzooError(
            f"{address} is an address, to which no report is written. Add out='report.html'."
        )
    path = run.path / "report.html" if out is None else Path(out)
    if path.is_dir():
        path /= "report.html"
    if not path.parent.is_dir():
        raise KzooError(
            f": the folder {str(path.parent)!r} does not exist.", argument="out", value=str(out)
        )
    return path


def _facts(run: Run) -> JsonObject:
    spec = run.config["spec"]
    data = run.config["data"]
    summary = run.summary
    class_names = run.class_names
    facts = [("Task", data["task"].replace("_", " "))]
    facts += (
        []
        if not run.tracked
        else [
            ("Data", data["name"]),
            ("Training", plural(data["train"], "example")),
            ("Validation", plural(data["validation"], "example") if data["validation"] else "none"),
            *(
                [("Calibration", plural(data["calibration"], "example"))]
                if data.get("calibration")
                else []
            ),
            ("Test", plural(data["test"], "example") if data["test"] else "none"),
        ]
    )
    if summary.get("parameters") is not None:
        facts.append(("Parameters", number(summary["parameters"])))
    if summary.get("epochs"):
        facts.append(("Epochs", f"{summary['epochs']}, best: {summary['best_epoch']}"))
        facts.append(("Time", duration(summary["seconds"])))
    if run.problem.categorical:
        facts.append(
            (
                run.problem.predicts.capitalize(),
                f"{len(class_names)}: {', '.join(class_names)}"
                if len(class_names) <= 20
                else len(class_names),
            )
        )
    elif data["target_names"]:
        facts.append(("Target", ", ".join(data["target_names"])))
    facts += [("Repairs", line)] if (line := gain_line(summary)) else []
    facts += [("Decision", line) for line in Postprocessor.read(run.postprocessing).describe()]
    return dict(about=summary_of(spec), facts=facts)


def _scores(run: Run) -> JsonObject:
    summary = run.summary
    scores = {name: summary[name] for name in ("test", "validation") if summary.get(name)}
    split = next(iter(scores), None)
    return dict(
        split=split,
        head=primary_score(scores[split], run, f"{split} ") if split else None,
        score_rows=score_rows(run, scores),
        targets=target_table(scores[split]) if split else [],
        series=series_table(scores[split]) if split else [],
        baselines=baseline_rows(summary),
        coverage=coverage_table(coverage) if (coverage := summary.get("conformal")) else [],
        coverage_note=f"{coverage_note(coverage)} {DRIFT}" if coverage else "",
        totals=totals_table(totals) if (totals := summary.get("totals")) else [],
        totals_note=totals_note(totals) if totals else "",
        warnings=run_warnings(run, split) if run.tracked else [_NO_SCORES_NOTE],
        ensemble=_ensemble(summary.get("ensemble")),
    )


def _ensemble(ensemble: JsonObject | None) -> JsonObject | None:
    """Return the part of the page about an ensemble's members, or None."""
    if ensemble is None:
        return None
    rows = [
        [
            member["run"],
            member["preset"],
            member["seed"],
            *(number(member.get(name)) for name in ("validation", "test")),
        ]
        for member in ensemble["members"]
    ]
    gain = None if ensemble["gain"] is None else f"{ensemble['gain']:+.4f}"
    return dict(ensemble, gain=gain, rows=rows)


def _new_data_scores(
    run: Run, data: "Loadable | None", by: str | None, sheet: str | None, header_row: int | None
) -> JsonObject:
    """Return the part of the page about the scores of a run on new data, or of subgroups."""
    scores = evaluate(run, data, by=by, sheet=sheet, header_row=header_row)
    source = run.data.name if data is None else data
    name = name_of(source) if isinstance(source, str | Path) else "new data"
    heading, subgroups = subgroup_table(scores)
    return dict(
        name=name,
        head=primary_score(scores, run, split="", stored_predictions=False),
        score_rows=score_rows(run, {name: scores}),
        targets=target_table(scores),
        series=series_table(scores),
        subgroups=subgroups,
        subgroup_heading=heading,
    )


def _layers(model: keras.Model) -> list[JsonObject]:
    return [
        dict(
            name=layer.name,
            type=type(layer).__name__,
            shape=format_shape(_output_shape(layer)),
            parameters=number(layer.count_params()),
        )
        for layer in model.layers
    ]


def _output_shape(layer: keras.layers.Layer) -> tuple[int | None, ...] | None:
    try:
        return layer.output.shape[1:]
    except (
        AttributeError,
        ValueError,
    ):  # a layer with several outputs, or called inside another model
        return None


def _seeds(config: JsonObject) -> str:
    return (
        f"{config['spec'].get('seed')} (weights, order), {config['data'].get('data_seed')} (splits)"
    )


def _provenance(run: Run) -> JsonObject:
    config = run.config
    created = config.get("created", "")
    versions = ", ".join(
        f"{name} {version}" for name, version in config.get("versions", {}).items()
    )
    spec = config["spec"]
    preset = (
        "" if spec.get("revision") is None else f"{spec['preset']}, revision {spec['revision']}"
    )
    rows = [
        ("Preset", preset),
        ("Date", f"{created[:10]} {created[11:16]} {created[19:]}".strip()),
        ("Machine", config.get("machine", "")),
        ("Backend", config.get("backend", "")),
        ("Versions", versions),
        ("Precision", config.get("precision", "")),
        ("Seed", _seeds(config) if run.tracked else ""),
        ("Data fingerprint", (config["data"].get("fingerprint") or "")[:16]),
        ("Weights", config.get("weights") or ""),
        ("Retraining", retrained.statement(run) if run.tracked else ""),
        (
            "Postprocessing",
            ", ".join(f"{step['name']} (learned on {step['rows']})" for step in run.postprocessing),
        ),
    ]
    command = config.get("command")
    # else it is part of a search
    if spec.get("method") == BASELINE and "all_rows" not in spec["training"]:
        command = f"kzoo.baselines.train({spec['preset']!r}, data, seed={spec['seed']})  # Python"
    return dict(command=command, provenance=[(name, text) for name, text in rows if text])
