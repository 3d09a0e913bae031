"""Show a preset in full: layers, what goes in and comes out, every setting."""

import shlex
from importlib import import_module
from pathlib import Path

from kzoo.arguments import ARGUMENTS
from kzoo.cli import common, quiet, tables
from kzoo.errors import KzooError
from kzoo.kinds import kind
from kzoo.registry import build, get_preset, meaning_of, resolve, settings_of, spec_of
from kzoo.tasks import problem

EXAMPLES = """\
examples:
  kzoo show cifar_cnn
  kzoo show cifar_cnn --plot net.png           draw the network; .svg, .pdf too
  kzoo show cifar_cnn --set filters=32,64 outputs=100
  kzoo show cifar_cnn --code > model.py        Keras code that needs no kzoo
  kzoo show imdb_lstm --json
"""

PICTURES = (".png", ".svg", ".pdf")


def add_arguments(parser):
    parser.add_argument("preset", metavar="PRESET", help="a name from `kzoo list`, or a file of yours: mine.toml")
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
    preset = get_preset(args.preset)
    overrides = common.parse_settings(args.set)
    resolve(preset, overrides)  # a wrong name is refused before Keras is imported
    plot = None if args.plot is None else _picture(args.plot)
    quiet.load("keras")
    model = build(preset, compile=False, **overrides)
    document = describe(preset, model, spec_of(model))
    if args.code:
        document["code"] = _code(preset, model, document, args)
    if plot is not None:
        with import_module("kzoo.files").whole_file(plot, sync=False) as temporary:
            import_module("kzoo.plots").network(model).savefig(temporary)
        document["plot"] = str(plot)
    return document


def describe(preset, model, spec) -> dict:
    """Return all there is to say about a preset, as plain data.

    Args:
        preset: the preset.
        model: its network, with any overrides.
        spec: the specification of the model.
    """
    config, training = spec["config"], spec["training"]
    settable = settings_of(preset, config, training)
    return dict(
        name=preset.name,
        family=preset.family,
        task=preset.task,
        summary=preset.summary,
        reference=preset.reference,
        dataset=preset.dataset,
        parameters=model.count_params(),
        flops=import_module("kzoo.flops").forward_flops(model),
        goes_in=dict(
            kind=config.get("inputs"),
            shape=list(model.input_shape[1:]),
            dtype=str(model.inputs[0].dtype),
            meaning=kind(config["inputs"]).meaning if "inputs" in config else "",
        ),
        comes_out=dict(shape=list(model.output_shape[1:]), meaning=answers(preset.task, config)),
        layers=[
            dict(
                name=layer.name,
                type=type(layer).__name__,
                output_shape=list(layer.output.shape[1:]),
                parameters=layer.count_params(),
            )
            for layer in model.layers
        ],
        network=[_setting(name, config[name], preset.family) for name in settable if name in config],
        training=[_setting(name, training[name], preset.family) for name in settable if name in training],
        results=results(preset.name),
    )


def answers(task, config) -> str:
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
        return f"{what} of {n} classes; train with integer labels 0..{n - 1}"
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
    if path.suffix.lower() not in PICTURES:
        raise KzooError(f"--plot {file!r} must end in {', '.join(PICTURES)}.")
    if not path.parent.is_dir():
        raise KzooError(f"--plot {file!r}: there is no folder {str(path.parent)!r}.")
    return path


def _code(preset, model, document, args):
    into, out = document["goes_in"], document["comes_out"]
    settings = shlex.join(["--set", *args.set]) if args.set else ""
    return import_module("kzoo.source").source_of(
        preset,
        model,
        spec_of(model),
        command=f"kzoo show {args.preset} {settings} --code".replace("  ", " "),
        goes_in=f"{_shape(into['shape'])} {into['dtype']}: {into['meaning']}",
        comes_out=f"{_shape(out['shape'])}: {out['meaning']}",
    )


def _shape(size):
    return "x".join("?" if s is None else str(s) for s in size) or "1"


def render(document, args):
    if args.code:
        return document["code"].rstrip("\n")
    d, into, out = document, document["goes_in"], document["comes_out"]
    facts = [
        ("task", f"{d['task'].replace('_', ' ')} ({d['family']})"),
        ("goes in", f"{_shape(into['shape'])} {into['dtype']}: {into['meaning']}"),
        ("comes out", f"{_shape(out['shape'])}: {out['meaning']}"),
        ("parameters", f"{d['parameters']:,}"),
        ("forward pass", f"{common.count(d['flops'])} FLOPs for one example (a multiply-add is two)"),
        ("own data", d["dataset"] or "none: pass --data"),
        ("reference", d["reference"] or "none"),
    ]
    table = [("layer", "type", "output", "parameters")] + [
        (
            common.fitted(layer["name"], 30),
            common.fitted(layer["type"], 22),
            _shape(layer["output_shape"]),
            f"{layer['parameters']:,}",
        )
        for layer in d["layers"]
    ]
    lines = [
        common.bold(d["name"]),
        *tables.columns([("", d["summary"])], indent=0),
        "",
        *tables.columns(facts),
    ]
    lines += ["", common.bold("Layers"), *tables.columns(table, align="<<>>")]
    for title, part in (("Network", "network"), ("Training", "training")):
        lines += ["", common.bold(f"{title}: change with --set NAME=VALUE")]
        shown = [(s["name"], common.fitted(common.show_value(s["value"]), 18), s["meaning"]) for s in d[part]]
        lines += tables.columns(shown)
    lines += ["", common.bold("Measured results")]
    lines += tables.columns([row for r in d["results"] for row in _result(r)]) or ["  not measured yet"]
    lines += ["", f"Train it: kzoo train {args.preset}"]
    if "plot" in d:
        lines.append(f"Drawn in {d['plot']}")
    return "\n".join(lines)


def _result(r):
    """Say what was measured, how, and where, in three rows."""
    versions = ", ".join(f"{name} {number}" for name, number in r["versions"].items())
    said = import_module("kzoo.results")
    others = ", ".join(f"{name} {value:.4g}" for name, value in r["others"].items())
    figures = [f"{b['what']} {said.number(b['score'], r['metric'])} ({b['source']})" for b in said.beside(r)]
    return [
        (r["data"], f"{'accuracy ' if r['metric'] == 'accuracy' else ''}{said.score(r)}, {r['over']} ({others})"),
        *(("", f"beside it: {figure}") for figure in figures),
        ("", f"{r['epochs']:g} epochs, {r['seconds']:.0f} s a run: {r['command']}"),
        ("", f"{r['date']}, {r['machine']}, {versions}"),
    ]
