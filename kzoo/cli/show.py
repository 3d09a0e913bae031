"""Show a preset or a run in full: layers, what goes in and out, every setting."""

import shlex
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from kzoo.cli import common, keras_import, tables
from kzoo.cli.train import scores_line
from kzoo.kinds import kind
from kzoo.network import table_of
from kzoo.registry import (
    build,
    get_preset,
    meaning_of,
    names_a_preset,
    preset_of,
    resolve,
    settings_of,
    spec_of,
)
from kzoo.registry.arguments import ARGUMENTS
from kzoo.registry.family import builder_of
from kzoo.results import baselines, network_of
from kzoo.run import Run
from kzoo.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.weights import entries

EXAMPLES = """\
examples:
  kzoo show cifar_cnn
  kzoo show cifar_cnn --plot net.png           draw the network; .svg, .pdf too
  kzoo show cifar_cnn --set filters=32,64 outputs=100
  kzoo show cifar_cnn --code > model.py        Keras code that needs no kzoo
  kzoo show imdb_lstm --json
  kzoo show runs/digits_cnn-01                 what was trained, and how well
"""


def add_arguments(parser):
    parser.add_argument("preset", metavar="PRESET|RUN", help="a name from `kzoo list`, a file of yours, or a run")
    parser.add_argument("--plot", metavar="FILE", help="draw the network into a .png, .svg or .pdf file")
    parser.add_argument("--code", action="store_true", help="print Keras code that builds it without kzoo")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="show it with these settings",
    )


def run(args):
    folder = Path(args.preset)
    if not names_a_preset(args.preset) and (folder / "config.json").is_file():
        return _run(Run(folder), args)
    if (folder / "kzoo.json").is_file():
        raise KzooError(
            f"{args.preset} is an exported model; show takes presets and runs. Its README.md says what it is."
        )
    preset = get_preset(args.preset)
    overrides = common.parse_settings(args.set)
    config, training = resolve(preset, overrides)  # a wrong name is refused before Keras is imported
    plot = None if args.plot is None else _picture(args.plot)
    stored = None if overrides or args.code or plot else network_of(preset.name)
    if stored is not None:
        config = builder_of(preset.family).defaults | config
        return describe(preset, stored, config, training) | _known(preset)
    keras_import.import_quietly("keras")
    model = build(preset, compile=False, **overrides)
    document = describe(preset, table_of(model), spec_of(model)["config"], training)
    document |= _known(preset)
    if args.code:
        document["code"] = _code(preset, model, document, args)
    return document | _drawn(model, plot)


def _known(preset):
    """Return what was measured of a preset, and its weights in the package."""
    return dict(results=results(preset.name), weights=[_entry(one) for one in entries(preset.name)])


def _entry(one):
    left_out = ("preset", "file", "sample", "unrounded")
    return {name: value for name, value in asdict(one).items() if name not in left_out} | dict(score=one.score)


def _run(run, args):
    """Show the network of a run, and what was trained on what."""
    if args.set or args.code:
        raise KzooError(f"--set and --code are for presets: {args.preset} is a run, which is what it is.")
    plot = None if args.plot is None else _picture(args.plot)
    network, spec = run.config.get("network"), run.spec
    model = None
    if network is None or plot is not None:  # a run of an older kzoo has none
        keras_import.import_quietly("keras")
        model = run.model
        network = network or table_of(model)
    preset = None if spec.family is None else preset_of(spec.json())
    document = describe(preset, network, spec.config, spec.training) | dict(name=spec.preset, task=run.data.task)
    summary = run.summary if run.finished else {}
    scores = summary.get("test") or summary.get("validation") or {}
    said = dict(run=str(run.path), summary="", dataset=run.data.name, scores=scores, beside=baselines.line(summary))
    return document | said | (_drawn(model, plot) if plot is not None else {})


def _drawn(model, plot):
    """Draw a network into a file, if one is named."""
    if plot is None:
        return {}
    with import_module("kzoo.utils.files").whole_file(plot, sync=False) as temporary:
        import_module("kzoo.plots").network(model).savefig(temporary)
    return dict(plot=str(plot))


def describe(preset, network, config, training) -> dict:
    """Return all there is to say about a preset, or about a run of one, as plain data.

    Args:
        preset: the preset; None for a model of one's own.
        network: its table (see `kzoo.network.table_of`).
        config, training: the settings.
    """
    settable = () if preset is None else settings_of(preset, config, training)
    family = None if preset is None else preset.family
    read, answer = config.get("inputs"), network["comes_out"]["shape"]
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
        goes_in=dict(kind=read) | network["goes_in"] | dict(meaning=kind(read).meaning if read else ""),
        comes_out=dict(shape=answer, meaning="" if preset is None else describe_outputs(preset.task, config, training)),
        layers=[
            dict(name=name, type=type, output_shape=shape, parameters=parameters)
            for name, type, shape, parameters in network["layers"]
        ],
        network=[_setting(name, config[name], family) for name in settable if name in config],
        training=[_setting(name, training[name], family) for name in settable if name in training],
        results=[],
        weights=[],
    )


def describe_outputs(task, config, training) -> str:
    """Say in words what comes out of a network."""
    n, activation = config["outputs"], config.get("output_activation")
    facts = problem(task).facts
    if "continues" in facts:
        what = "probabilities" if activation == "softmax" else "logits"
        where = "after every step" if config.get("pooling") is None else "after the window"
        return f"{what} of the next token among {n:,}, {where}"
    if "classes" in facts:
        if n == 1:
            words = {"sigmoid": "probability", "hard_sigmoid": "probability", None: "logit", "linear": "logit"}
            return f"{words.get(activation, f'{activation} score')} of the second class"
        what = {"softmax": "probabilities", None: "logits"}.get(activation, f"{activation} values")
        labels = "one-hot labels" if training.get("labels") == "onehot" else f"integer labels 0..{n - 1}"
        return f"{what} of {n} classes; train with {labels}"
    values = "the target" if n == 1 else f"{n} targets"
    steps = f", {config['horizon']} steps ahead" if config.get("horizon") else ""
    return f"{values}{steps}, in the unit of the training data"


def results(name) -> list:
    """Return the measured scores of a preset, where there are any."""
    try:
        return list(import_module("kzoo.results").of(name))
    except (ImportError, AttributeError, KeyError):
        return []


def _setting(name, value, family):
    legal = ARGUMENTS[name].legal() if name in ARGUMENTS else ""
    return dict(name=name, value=value, meaning=meaning_of(name, family), legal=legal)


def _picture(file):
    path = Path(file)
    if path.suffix.lower() not in common.PICTURES:
        raise KzooError(f"--plot {file!r} must end in {', '.join(common.PICTURES)}.")
    if not path.parent.is_dir():
        raise KzooError(f"--plot {file!r}: there is no folder {str(path.parent)!r}.")
    return path


def _code(preset, model, document, args):
    into, out = document["goes_in"], document["comes_out"]
    settings = shlex.join(["--set", *args.set]) if args.set else ""
    return import_module("kzoo.codegen").source_of(
        preset,
        model,
        spec_of(model),
        command=f"kzoo show {args.preset} {settings} --code".replace("  ", " "),
        goes_in=f"{_shape(into['shape'])} {into['dtype']}: {into['meaning']}",
        comes_out=f"{_shape(out['shape'])}: {out['meaning']}",
    )


def _shape(size):
    if size is None:
        return "not known"
    return "x".join("?" if s is None else str(s) for s in size) or "1"


def render(document, args):
    if args.code:
        return document["code"].rstrip("\n")
    d, into, out = document, document["goes_in"], document["comes_out"]
    family = f" ({d['family']})" if d["family"] else ""
    flops = "not known" if d["flops"] is None else f"{common.count(d['flops'])} FLOPs for one example"
    facts = [
        ("task", f"{d['task'].replace('_', ' ')}{family}"),
        ("goes in", f"{_shape(into['shape'])} {into['dtype'] or ''}: {into['meaning']}".removesuffix(": ")),
        ("comes out", f"{_shape(out['shape'])}: {out['meaning']}".removesuffix(": ")),
        ("parameters", f"{d['parameters']:,}"),
        ("forward pass", f"{flops} (a multiply-add is two)" if d["flops"] else flops),
    ]
    if "run" in d:
        facts += [("trained on", d["dataset"]), ("run", d["run"])]
    else:
        facts += [("own data", d["dataset"] or "none: pass --data"), ("reference", d["reference"] or "none")]
    table = [("layer", "type", "output", "parameters")] + [
        (
            common.fitted(layer["name"], 30),
            common.fitted(layer["type"], 22),
            _shape(layer["output_shape"]),
            f"{layer['parameters']:,}",
        )
        for layer in d["layers"]
    ]
    lines = [common.bold(d["name"]), *tables.columns([("", d["summary"])] if d["summary"] else [], indent=0), ""]
    lines += tables.columns(facts)
    lines += ["", common.bold("Layers"), *tables.columns(table, align="<<>>")]
    change = "" if "run" in d else ": change with --set NAME=VALUE"
    for title, part in (("Network", "network"), ("Training", "training")):
        shown = [(s["name"], common.fitted(common.show_value(s["value"]), 18), s["meaning"]) for s in d[part]]
        lines += ["", common.bold(title + change), *tables.columns(shown)] if shown else []
    if "run" in d:
        scores = scores_line(d["scores"]) or "not finished"
        lines += ["", common.bold("Scores"), *tables.columns([("", scores)], indent=0)]
        lines += tables.columns([("without a network", d["beside"])]) if d["beside"] else []
    else:
        lines += ["", common.bold("Measured results")]
        lines += tables.columns([row for r in d["results"] for row in _result(r)]) or ["  not measured yet"]
        if d["weights"]:
            lines += ["", common.bold("Weights in the package"), *tables.columns(_weights(d["weights"]))]
            lines += ["", f"Use them: {common.use_of(args.preset, d['task'], into['kind'], _named(d))[1]}"]
        lines += ["", f"Train it: kzoo train {args.preset}"]
    if "plot" in d:
        lines.append(f"Drawn in {d['plot']}")
    return "\n".join(lines)


def _weights(rows):
    """Say of each which data, how good there and elsewhere, and under which licence the data is, in a few rows."""
    for one in rows:
        yield one["name"], f"{one['examples']:,} examples of {one['data']}; test split: {one['score']}"
        if one["elsewhere"]:
            yield "", one["elsewhere"]
        yield "", f"data: {one['source']}, licence: {one['licence']}"
        yield "", f"{one['bytes'] / 1e6:.2f} MB, {one['created']}: {one['command']}"


def _named(document):
    """Return the option that says which weights, where there are several."""
    return f"--weights {document['weights'][0]['name']}" if len(document["weights"]) > 1 else ""


def _result(r):
    """Say what was measured, how, and where, in three rows."""
    versions = ", ".join(f"{name} {number}" for name, number in r["versions"].items())
    said = import_module("kzoo.results")
    others = ", ".join(f"{name} {value:.4g}" for name, value in r["others"].items())
    score = f"{'accuracy ' if r['metric'] == 'accuracy' else ''}{said.score(r)}, {r['over']}"
    simple = ", ".join(
        f"{name} {said.number(value, r['metric'])}" for name, value in (r.get("baselines") or {}).items()
    )
    figures = [f"{b['what']} {said.number(b['score'], r['metric'])} ({b['source']})" for b in said.published_scores(r)]
    return [
        (r["data"], f"{score} ({others})" if others else score),
        *([("", f"without a network: {simple}")] if simple else []),
        *(("", f"beside it: {figure}") for figure in figures),
        ("", f"{r['epochs']:g} epochs, {r['seconds']:.0f} s a run: {r['command']}"),
        ("", f"{r['date']}, {r['machine']}, {versions}"),
    ]
