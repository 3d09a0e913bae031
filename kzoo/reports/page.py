"""`report`: a run or a search becomes one self-contained HTML file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from jinja2 import Environment, PackageLoader, StrictUndefined

from kzoo.data.named import name_of
from kzoo.dataset.dataset import Loadable
from kzoo.evaluation import evaluate
from kzoo.registry import get_preset, meaning_of
from kzoo.reports.examples import examples_of
from kzoo.reports.figures import curves_of, pictures_of
from kzoo.reports.scores import baseline_rows, primary_score, score_rows, warnings_of
from kzoo.reports.search import page_of
from kzoo.reports.setting_format import shape_words, value_words
from kzoo.run import Run
from kzoo.tasks.target_scores import target_table
from kzoo.tuning.search import Search, is_search
from kzoo.untracked import as_run
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import write_text
from kzoo.utils.formatting import duration, number, plural, printable

_UNSCORED = "Nothing is known of its data, so no score stands here: data= scores it in a section of its own."


@checked_arguments
def report(
    run: Run | Search | str | os.PathLike[str] | keras.Model,
    *,
    out: str | os.PathLike[str] | None = None,
    data: "Loadable | None" = None,
) -> Path:
    """Write one self-contained `report.html`: what was trained on what, how good it is, where it errs.

    Of a search: its trials, what mattered in them, and the winner's settings beside the preset's. The page loads
    nothing from anywhere, and the same run gives the same page.

    Args:
        run: a finished run, a search, or the path of one; or a `keras.Model`, or the folder that a callback bundle
            wrote, of which there is less to say.
        out: the file to write, or a folder for it; the default is `report.html` in the run's folder.
        data: labelled data to score the run on again, in a section of its own; see `kzoo.evaluate`.

    Raises:
        KzooError: the run is not finished, the file cannot be written there, or `data` does not fit the run.
    """
    if is_search(run):
        if data is not None:
            raise KzooError("data= scores a run, and this is a search: retrain() makes a run of its winner.")
        search = run if isinstance(run, Search) else Search(run)
        return _write(_place(search, out), "search.html.j2", page_of(search))
    run = as_run(run, stored=False)
    if not run.finished:
        raise KzooError(f"{run.path} is not finished: there are no scores to report. Train it again to its end.")
    file = _place(run, out)
    page = dict(
        title=_title(run),
        bare=not run.tracked,
        **_what(run),
        **_scores(run),
        anew=None if data is None else _anew(run, data),
        curves=curves_of(run),
        pictures=pictures_of(run),
        examples=examples_of(run),
        layers=_layers(run.model),
        settings=_settings(run.config["spec"]),
        **_provenance(run),
    )
    return _write(file, "report.html.j2", page)


def _title(run: Run) -> str:
    name = run.config["spec"]["preset"]
    return f"{name} on {run.config['data']['name']}" if run.tracked else name


def _write(file: Path, template: str, page: Mapping[str, Any]) -> Path:
    loader = PackageLoader("kzoo", "reports")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )  # fmt: skip
    write_text(file, environment.get_template(template).render(page), sync=False)
    return file


def _place(run: Run | Search, out: str | os.PathLike[str] | None) -> Path:
    if out is None and run.path is None:
        raise KzooError("Say where to write the report of a model in memory: out='report.html'.")
    file = run.path / "report.html" if out is None else Path(out)
    if file.is_dir():
        file /= "report.html"
    if not file.parent.is_dir():
        raise KzooError(f"out={str(out)!r}: there is no folder {str(file.parent)!r}.")
    return file


def _what(run: Run) -> dict[str, Any]:
    spec, data, summary = run.config["spec"], run.config["data"], run.summary
    classes = run.class_names
    facts = [("Task", data["task"].replace("_", " "))]
    facts += [] if not run.tracked else [
        ("Data", data["name"]),
        ("Training", plural(data["train"], "example")),
        ("Validation", plural(data["validation"], "example") if data["validation"] else "none"),
        ("Test", plural(data["test"], "example") if data["test"] else "none"),
    ]  # fmt: skip
    if summary.get("parameters") is not None:
        facts.append(("Parameters", number(summary["parameters"])))
    if summary.get("epochs"):
        facts.append(("Epochs", f"{summary['epochs']}, best: {summary['best_epoch']}"))
        facts.append(("Time", duration(summary["seconds"])))
    if "classes" in run.problem.facts:
        facts.append(("Classes", f"{len(classes)}: {', '.join(classes)}" if len(classes) <= 20 else len(classes)))
    elif data["target_names"]:
        facts.append(("Target", ", ".join(data["target_names"])))
    return dict(about=_about(spec), facts=facts)


def _about(spec: Mapping[str, Any]) -> str:
    if spec["family"] is None:  # a model of the user's own, or an ensemble, whatever its name
        return ""
    try:
        return get_preset(spec["preset"]).summary
    except KzooError:  # a preset of a module that is not imported
        return ""


def _scores(run: Run) -> dict[str, Any]:
    summary = run.summary
    scores = {name: summary[name] for name in ("test", "validation") if summary.get(name)}
    split = next(iter(scores), None)
    return dict(
        split=split,
        head=primary_score(scores[split], run, f"{split} ") if split else None,
        score_rows=score_rows(run, scores),
        targets=target_table(scores[split]) if split else [],
        baselines=baseline_rows(summary),
        warnings=warnings_of(run, split) if run.tracked else [_UNSCORED],
        ensemble=_ensemble(summary.get("ensemble")),
    )


def _ensemble(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a run says of its members, where it is an ensemble."""
    if told is None:
        return None
    rows = [[m["run"], m["preset"], m["seed"], number(m["validation"]), number(m["test"])] for m in told["members"]]
    gain = None if told["gain"] is None else f"{told['gain']:+.4f}"
    return dict(told, gain=gain, rows=rows)


def _anew(run: Run, data: Any) -> dict[str, Any]:
    scores = evaluate(run, data)
    name = name_of(data) if isinstance(data, str | Path) else "new data"
    return dict(name=name, head=primary_score(scores, run, "", own=False), score_rows=score_rows(run, {name: scores}),
                targets=target_table(scores))  # fmt: skip


def _layers(model: keras.Model) -> list[dict[str, Any]]:
    return [
        dict(
            name=layer.name,
            type=type(layer).__name__,
            shape=shape_words(_output(layer)),
            parameters=number(layer.count_params()),
        )
        for layer in model.layers
    ]


def _output(layer: keras.layers.Layer) -> tuple[int | None, ...] | None:
    try:
        return layer.output.shape[1:]
    except (AttributeError, ValueError):  # a layer that has several outputs, or was called inside another model
        return None


def _settings(spec: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    family = spec.get("family")
    return [
        (title, [(n, value_words(value), meaning_of(n, family)) for n, value in spec.get(part, {}).items()])
        for title, part in (("Network", "config"), ("Training", "training"))
        if spec.get(part)
    ]


def _seeds(config: Mapping[str, Any]) -> str:
    return f"{config['spec'].get('seed')} (weights, order), {config['data'].get('data_seed')} (splits)"


def _provenance(run: Run) -> dict[str, Any]:
    config = run.config
    created = config.get("created", "")
    versions = ", ".join(f"{name} {version}" for name, version in config.get("versions", {}).items())
    spec = config["spec"]
    preset = "" if spec.get("revision") is None else f"{spec['preset']}, revision {spec['revision']}"
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
        ("Postprocessing", ", ".join(f"{step['name']} (learned on {step['rows']})" for step in run.postprocessing)),
    ]
    return dict(command=config.get("command"), provenance=[(name, text) for name, text in rows if text])
