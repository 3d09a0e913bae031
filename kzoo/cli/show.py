"""Show a preset or a run in full: layers, inputs, outputs and all settings."""

import argparse
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.cli import keras_import, shared, tables
from kzoo.cli.train import scores_line
from kzoo.inference.tasks.weighted import by_weighting
from kzoo.problems.kinds import kind as get_kind
from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo import results
from kzoo.zoo.network import table_of
from kzoo.zoo.registry import (
    Preset,
    build,
    get_preset,
    meaning_of,
    names_a_preset,
    preset_of,
    resolve,
    settings_of,
    spec_of,
)
from kzoo.zoo.registry.arguments import ARGUMENTS
from kzoo.zoo.registry.family import builder_of
from kzoo.zoo.results import baselines, network_of
from kzoo.zoo.run import Run
from kzoo.zoo.weights import Entry, entries

if TYPE_CHECKING:
    import keras


EXAMPLES = """\
examples:
  kzoo show cifar_cnn
  kzoo show cifar_cnn --plot net.png           draw the network (or .svg, .pdf)
  kzoo show cifar_cnn --set filters=32,64 outputs=100
  kzoo show cifar_cnn --code > model.py        Keras code without kzoo
  kzoo show imdb_lstm --json
  kzoo show runs/digits_cnn-01                 settings and scores of a run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "preset",
        metavar="PRESET|RUN",
        help="a name from `kzoo list`, a preset file, or the folder of a run",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw the network to a .png, .svg or .pdf file"
    )
    parser.add_argument(
        "--code", action="store_true", help="print Keras code that builds the network without kzoo"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="change settings of the preset",
    )


def run(args: argparse.Namespace) -> JsonObject:
    folder = Path(args.preset)
    if not names_a_preset(args.preset) and (folder / "config.json").is_file():
        return _show_run(Run(folder), args)
    if (folder / "kzoo.json").is_file():
        raise KzooError(
            f"{args.preset} is an exported model, and kzoo show takes presets and runs. See its README.md."
        )
    preset = get_preset(args.preset)
    overrides = shared.parse_settings(args.set)
    config, training = resolve(preset, overrides)  # refuses wrong names before Keras is imported
    plot_path = None if args.plot is None else _check_plot_path(args.plot)
    # The layers of packaged presets are stored as tables: showing these does not import Keras.
    packaged_table = None if overrides or args.code or plot_path else network_of(preset.name)
    if packaged_table is not None:
        config = builder_of(preset.family).defaults | config
        return describe(preset, packaged_table, config, training) | _results_and_weights(preset)
    keras_import.import_quietly("keras")
    model = build(preset, compile=False, **overrides)
    document = describe(preset, table_of(model), spec_of(model)["config"], training)
    document |= _results_and_weights(preset)
    if args.code:
        document["code"] = _code(preset, model, document, args)
    return document | _draw(model, plot_path)


def _results_and_weights(preset: Preset) -> JsonObject:
    """Return the measured results of a preset and its packaged weights."""
    return dict(
        results=results.of(preset.name),
        weights=[_weights_fields(weights) for weights in entries(preset.name)],
    )


def _weights_fields(weights: Entry) -> JsonObject:
    excluded = ("preset", "file", "sample", "unrounded")
    return {name: value for name, value in asdict(weights).items() if name not in excluded} | dict(
        score=weights.score
    )


def _show_run(run: Run, args: argparse.Namespace) -> JsonObject:
    """Return the document of a run: its network, settings, data and scores."""
    if args.set or args.code:
        raise KzooError(
            f"--set and --code are for presets, and {args.preset} is a run. Remove them."
        )
    plot_path = None if args.plot is None else _check_plot_path(args.plot)
    network = run.config.get("network")
    spec = run.spec
    model = None
    if network is None or plot_path is not None:  # runs of older versions of kzoo do not store it
        keras_import.import_quietly("keras")
        model = run.model
        network = network or table_of(model)
    preset = None if spec.family is None else preset_of(spec.json())
    document = describe(preset, network, spec.config, spec.training) | dict(
        name=spec.preset, task=run.data.task
    )
    summary = run.summary if run.finished else {}
    scores = summary.get("test") or summary.get("validation") or {}
    fields = dict(
        run=shared.path_text(run.path),
        summary="",
        dataset=run.data.name,
        scores=scores,
        beside=baselines.line(summary),
    )
    return document | fields | (_draw(model, plot_path) if plot_path is not None else {})


def _draw(model: "keras.Model", path: Path | None) -> dict[str, str | bool]:
    """Draw a network to a file, if there is a path: its graph if Graphviz is installed, else a table of its layers."""
    if path is None:
        return {}
    is_graph = find_spec("pydot") is not None and shutil.which("dot") is not None
    with import_module("kzoo.utils.files").whole_file(path, sync=False) as temporary:
        if is_graph:
            plot_model = import_module("keras").utils.plot_model
            plot_model(model, temporary, show_shapes=True, show_layer_names=True)
        else:
            import_module("kzoo.plots").network(model).savefig(temporary)
    return dict(plot=str(path), graph=is_graph)


def describe(
    preset: Preset | None, network: JsonObject, config: Config, training: TrainingSettings
) -> JsonObject:
    """Return the description of a preset, or of a run, as plain data.

    Args:
        preset: the preset; None for a custom model.
        network: the table of its layers (see `kzoo.zoo.network.table_of`).
        config, training: the settings.
    """
    settable = () if preset is None else settings_of(preset, config, training)
    family = None if preset is None else preset.family
    kind = config.get("inputs")
    output_shape = network["comes_out"]["shape"]
    return dict(
        name=getattr(preset, "name", ""),
        revision=getattr(preset, "revision", None),
        family=family,
        task=getattr(preset, "task", ""),
        summary=getattr(preset, "summary", ""),
        reference=getattr(preset, "reference", ""),
        dataset=getattr(preset, "dataset", None),
        parameters=network["parameters"],
        flops=network["flops"],
        goes_in=dict(kind=kind)
        | network["goes_in"]
        | dict(meaning=get_kind(kind).meaning if kind else ""),
        comes_out=dict(
            shape=output_shape,
            meaning="" if preset is None else problem(preset.task).outputs_text(config, training),
        ),
        layers=[
            dict(name=name, type=type, output_shape=shape, parameters=parameters)
            for name, type, shape, parameters in network["layers"]
        ],
        network=[_setting(name, config[name], family) for name in settable if name in config],
        training=[
            _setting(name, training.get(name), family) for name in settable if name not in config
        ],
        results=[],
        weights=[],
    )


def _setting(name: str, value: object, family: str | None) -> JsonObject:
    legal = ARGUMENTS[name].legal() if name in ARGUMENTS else ""
    return dict(name=name, value=value, meaning=meaning_of(name, family), legal=legal)


def _check_plot_path(file: str) -> Path:
    path = Path(file)
    if path.suffix.lower() not in shared.PICTURES:
        raise KzooError(f"--plot {file!r} must end in {', '.join(shared.PICTURES)}.")
    if not path.parent.is_dir():
        raise KzooError(f"--plot {file!r}: the folder {str(path.parent)!r} does not exist.")
    return path


def _code(
    preset: Preset, model: "keras.Model", document: JsonObject, args: argparse.Namespace
) -> str:
    inputs, outputs = document["goes_in"], document["comes_out"]
    set_option = shlex.join(["--set", *args.set]) if args.set else ""
    return import_module("kzoo.zoo.codegen").source_of(
        preset,
        model,
        spec_of(model),
        command=f"kzoo show {args.preset} {set_option} --code".replace("  ", " "),
        goes_in=f"{_format_shape(inputs['shape'])} {inputs['dtype']}: {inputs['meaning']}",
        comes_out=f"{_format_shape(outputs['shape'])}: {outputs['meaning']}",
    )


def _format_shape(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "unknown"
    return "x".join("?" if size is None else str(size) for size in shape) or "1"


def render(document: JsonObject, args: argparse.Namespace) -> str:
    if args.code:
        return document["code"].rstrip("\n")
    inputs, outputs = document["goes_in"], document["comes_out"]
    family = f" ({document['family']})" if document["family"] else ""
    flops = (
        "unknown"
        if document["flops"] is None
        else f"{shared.format_count(document['flops'])} FLOPs for one example"
    )
    facts = [
        ("task", f"{document['task'].replace('_', ' ')}{family}"),
        (
            "inputs",
            f"{_format_shape(inputs['shape'])} {inputs['dtype'] or ''}: {inputs['meaning']}".removesuffix(
                ": "
            ),
        ),
        ("outputs", f"{_format_shape(outputs['shape'])}: {outputs['meaning']}".removesuffix(": ")),
        ("parameters", f"{document['parameters']:,}"),
        ("forward pass", f"{flops} (a multiply-add counts as two)" if document["flops"] else flops),
    ]
    if "run" in document:
        facts += [("trained on", document["dataset"]), ("run", document["run"])]
    else:
        facts += [
            ("default data", document["dataset"] or "none: pass --data"),
            ("reference", document["reference"] or "none"),
        ]
    table = [("layer", "type", "output shape", "parameters")] + [
        (
            shared.fit_terminal(layer["name"], 30),
            shared.fit_terminal(layer["type"], 22),
            _format_shape(layer["output_shape"]),
            f"{layer['parameters']:,}",
        )
        for layer in document["layers"]
    ]
    lines = [
        shared.bold(document["name"]),
        *tables.columns([("", document["summary"])] if document["summary"] else [], indent=0),
        "",
    ]
    lines += tables.columns(facts)
    lines += ["", shared.bold("Layers"), *tables.columns(table, align="<<>>")]
    change = "" if "run" in document else ": change with --set NAME=VALUE"
    for title, key in (("Network", "network"), ("Training", "training")):
        rows = [
            (
                setting["name"],
                shared.fit_terminal(shared.show_value(setting["value"]), 18),
                setting["meaning"],
            )
            for setting in document[key]
        ]
        lines += ["", shared.bold(title + change), *tables.columns(rows)] if rows else []
    if "run" in document:
        score_lines = {
            weighting: scores_line(scores)
            for weighting, scores in by_weighting(document["scores"]).items()
        }
        score_lines = score_lines if any(score_lines.values()) else {"": "not finished"}
        lines += ["", shared.bold("Scores"), *tables.columns(list(score_lines.items()), indent=0)]
        lines += tables.columns([("baselines", document["beside"])]) if document["beside"] else []
    else:
        lines += ["", shared.bold("Measured results")]
        lines += tables.columns([row for r in document["results"] for row in _result_rows(r)]) or [
            "  not measured yet"
        ]
        if document["weights"]:
            lines += [
                "",
                shared.bold("Packaged weights"),
                *tables.columns(_weights_rows(document["weights"])),
            ]
            _, command = shared.usage_example(
                args.preset, document["task"], inputs["kind"], _weights_option(document)
            )
            lines += ["", f"Use the weights: {command}"]
        lines += ["", f"Train the preset: kzoo train {args.preset}"]
    if "plot" in document:
        without = "" if document["graph"] else " as a table. Graphs need pydot and Graphviz"
        lines.append(f"Written to {document['plot']}{without}")
    return "\n".join(lines)


def _weights_rows(rows: Sequence[JsonObject]) -> Iterator[tuple[str, str]]:
    """Yield the rows that describe packaged weights: training data, scores, licence, size and origin."""
    for weights in rows:
        yield (
            weights["name"],
            f"{weights['examples']:,} examples of {weights['data']}; test split: {weights['score']}",
        )
        if weights["elsewhere"]:
            yield "", weights["elsewhere"]
        yield "", f"data: {weights['source']}, licence: {weights['licence']}"
        yield "", f"{weights['bytes'] / 1e6:.2f} MB, {weights['created']}: {weights['command']}"


def _weights_option(document: JsonObject) -> str:
    """Return the --weights option for the first weights of a preset if it has several, else an empty string."""
    return f"--weights {document['weights'][0]['name']}" if len(document["weights"]) > 1 else ""


def _result_rows(result: JsonObject) -> list[tuple[str, str]]:
    """Return the rows of a measured result: score, baselines, published figures, training command and machine."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    other_scores = ", ".join(f"{name} {value:.4g}" for name, value in result["others"].items())
    score = f"{'accuracy ' if result['metric'] == 'accuracy' else ''}{results.score(result)}, {result['over']}"
    baseline_scores = ", ".join(
        f"{name} {results.number(value, result['metric'])}"
        for name, value in (result.get("baselines") or {}).items()
    )
    published = [
        f"{figure['what']} {results.number(figure['score'], result['metric'])} ({figure['source']})"
        for figure in results.published_scores(result)
    ]
    return [
        (result["data"], f"{score} ({other_scores})" if other_scores else score),
        *([("", f"baselines: {baseline_scores}")] if baseline_scores else []),
        *(("", f"for comparison: {figure}") for figure in published),
        (
            "",
            f"{result['epochs']:g} epochs, {result['seconds']:.0f} s per run: {result['command']}",
        ),
        ("", f"{result['date']}, {result['machine']}, {versions}"),
    ]
