"""A table of all presets, and a page for each: network, scores beside baselines, settings, code, command.

Networks are built, with random weights, for their graph and their code; nothing is trained. The learning curve of a
run is not stored in the repository, so no page has one.
"""

import argparse
import html
import re
import sys
from pathlib import Path

import kzoo
from kzoo.cli import show
from kzoo.problems.kinds import kind
from kzoo.problems.tasks import problem, score_named
from kzoo.zoo import results
from kzoo.zoo.graph import sources_of
from kzoo.zoo.network import table_of
from kzoo.zoo.registry import build, get_preset, is_general, resolve, spec_of

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))
from tables import interval_of

KINDS = {"rows": "table", "image": "image", "tokens": "text", "series": "series"}
OWN_DATA = {
    "rows": "--data FILE.csv --target COLUMN",
    "image": "--data FOLDER",
    "tokens": "--data FOLDER",
    "series": "--data FILE.csv --target COLUMN",
}


def pages() -> dict[str, str]:
    """Return the path of each page -> its text."""
    result = {f"presets/{name}.md": _page(name) for name in kzoo.list_presets()}
    result["presets/index.md"] = "\n".join(
        [
            "# Presets",
            "",
            _INTRODUCTION,
            "",
            "```{raw} html",
            _html_table(),
            "```",
            "",
            *_NOTES,
            *_toctree(),
        ]
    )
    return result


def twins() -> dict[str, str]:
    """Return pages whose plain text is not their source: the table."""
    heads = [title for title, *_ in _COLUMNS]
    rows = [
        [f"[{name}]({name}.md)", *(text for text, _ in cells)]
        for name, cells in ((name, _cells(name)) for name in kzoo.list_presets())
    ]
    table = [" | ".join(["", *line, ""]).strip() for line in (heads, ["---"] * len(heads), *rows)]
    return {
        "presets/index.md": "\n".join(["# Presets", "", _INTRODUCTION, "", *table, "", *_NOTES])
    }


# === The table ===

_INTRODUCTION = (
    "Every preset with one measured score. A click on a heading sorts; scores of different data sets cannot be "
    "compared with one another."
)
_NOTES = [
    "Score: test score on the named data set, with its 95 % interval where it is known: over splits, folds or seeds by "
    "Student's t, of one run by Wilson's interval of an accuracy. Baseline: the best simple model on the same split. "
    "Size: the ONNX file. Latency: median of a prediction of one example in the light runtime, ONNX Runtime on one "
    "thread. Training: per run, on two CPU cores that also did other work, so it is an upper bound. The page of a "
    "preset has the command, "
    "date and versions of each score. A dash: not measured, for scores because the data must be downloaded.",
    "",
]
# Title, whether it is a number.
_COLUMNS = (
    ("preset", False),
    ("kind", False),
    ("task", False),
    ("data", False),
    ("score", True),
    ("best baseline", True),
    ("parameters", True),
    ("size", True),
    ("latency", True),
    ("training", True),
)


def _row_of(name):
    """Return the measured row that the table shows."""
    rows = results.of(name)
    return rows[0] if rows else None


def _cells(name):
    """Return (text, value to sort by) of each column after the name."""
    preset, row = get_preset(name), _row_of(name)
    light = results.light_of(row) if row else None
    cells = [
        (KINDS[preset.config["inputs"]], None),
        (preset.task.replace("_", " "), None),
        (row["data"].rstrip("/") if row else preset.dataset or "", None),
        (_score(row), row["score"]) if row else ("-", None),
        _best_baseline(row),
    ]
    parameters = row["parameters"] if row else preset.params
    cells.append((f"{parameters:,}", parameters))
    cells.append((_bytes(light["bytes"]), light["bytes"]) if light else ("-", None))
    cells.append((f"{light['ms']:.3g} ms", light["ms"]) if light else ("-", None))
    cells.append((_seconds(row["seconds"]), row["seconds"]) if row else ("-", None))
    return cells


def _score(row):
    interval = interval_of(row)
    text = results.number(row["score"], row["metric"])
    if score_named(row["metric"]).form != "percent":
        text = f"{results.metric_label(row['metric'])} {text}"
    if interval is None:
        return text
    low, high = (results.number(value, row["metric"]).removesuffix("%") for value in interval)
    return f"{text} ({low} to {high})"


def _best_baseline(row):
    scores = (row or {}).get("baselines") or {}
    if not scores:
        return "-", None
    best = (max if score_named(row["metric"]).best == "max" else min)(scores, key=scores.get)
    return f"{results.number(scores[best], row['metric'])} {best}", scores[best]


def _bytes(count):
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.2g} MB" if count < 1e7 else f"{count / 1e6:,.0f} MB"


def _seconds(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _html_table():
    names = kzoo.list_presets()
    cells = {name: _cells(name) for name in names}
    heads = "".join(
        f'<th scope="col"{" class=number" if number else ""}><button type="button">{title}</button></th>'
        for title, number in _COLUMNS
    )
    lines = []
    for name in names:
        row = "".join(
            f"<td{f' class=number data-value={value}' if number else ''}>{html.escape(text)}</td>"
            for (text, value), (_, number) in zip(cells[name], _COLUMNS[1:], strict=True)
        ).replace("data-value=None", "")
        lines.append(f'<tr><th scope="row"><a href="{name}.html">{name}</a></th>{row}</tr>')
    options = {
        column: "".join(
            f"<option>{html.escape(text)}</option>"
            for text in sorted({cells[n][number][0] for n in names})
        )
        for number, column in enumerate(("kind", "task"))
    }
    return f"""<div class="presets">
<form role="search" aria-label="presets">
<label>Name or data <input type="search" name="words"></label>
<label>Kind <select name="kind"><option value="">all</option>{options["kind"]}</select></label>
<label>Task <select name="task"><option value="">all</option>{options["task"]}</select></label>
<output aria-live="polite"></output>
</form>
<div class="presets-table" tabindex="0" role="region" aria-label="table of presets">
<table class="table"><thead><tr>{heads}</tr></thead>
<tbody>
{chr(10).join(lines)}
</tbody></table></div></div>
<script defer src="../_static/presets.js"></script>"""


def _toctree():
    return ["```{toctree}", ":hidden:", "", *kzoo.list_presets(), "```", ""]


# === A page ===


def _page(name):
    preset = get_preset(name)
    config, training = resolve(preset, {})
    model = build(preset, compile=False)
    document = show.describe(preset, table_of(model), spec_of(model)["config"], training)
    document |= show._results_and_weights(preset)
    call = argparse.Namespace(preset=name, set=[])
    code = show._code(preset, model, document, call)
    inputs = config["inputs"]
    own = f" {OWN_DATA[inputs]}" if is_general(name) else ""
    lines = [
        "---",
        "myst:",
        "  html_meta:",
        f'    keywords: "{KINDS[inputs]}, {preset.task.replace("_", " ")}, {preset.family}"',
        "---",
        "",
        f"# {name}",
        "",
        preset.summary,
        "",
        "```sh",
        *([f"kzoo train {name}"] if preset.dataset else []),
        *([f"kzoo train {name}{own}"] if own else []),
        "```",
        "",
        *_facts(preset, document),
        "## Measured scores",
        "",
        *_scores(document["results"]),
        *_weights(document["weights"]),
        "## Network",
        "",
        "```{raw} html",
        drawing(name, document["layers"], sources_of(model)),
        "```",
        "",
        *_folded("All layers", _layers(document["layers"])),
        "## Code",
        "",
        f"`kzoo show {name} --code` prints the network as Keras code that does not need kzoo:",
        "",
        *_folded("Show the code", ["```python", code.rstrip(), "```"]),
        "## Settings",
        "",
        "Change them with `--set NAME=VALUE`, or by keyword in Python.",
        "",
        *_table(
            ("setting", "value", "meaning"),
            [
                (f"`{s['name']}`", f"`{_text(s['value'])}`", _text(s["meaning"]))
                for s in (*document["network"], *document["training"])
            ],
        ),
    ]
    return "\n".join(lines)


def _text(value):
    return str(value).replace("|", "\\|").replace("<", "&lt;")


def _table(heads, rows):
    return [
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _facts(preset, document):
    inputs, outputs = document["goes_in"], document["comes_out"]
    rows = [
        ("task", preset.task.replace("_", " ")),
        ("family", f"`{preset.family}`"),
        (
            "inputs",
            f"{show._format_shape(inputs['shape'])}: {kind(preset.config['inputs']).meaning}",
        ),
        ("outputs", f"{show._format_shape(outputs['shape'])}: {outputs['meaning']}"),
        ("parameters", f"{document['parameters']:,}"),
        (
            "forward pass",
            f"{document['flops']:,} FLOPs for one example" if document["flops"] else "unknown",
        ),
        ("default data", f"`{preset.dataset}`" if preset.dataset else "none: pass `--data`"),
        ("reference", f"<{preset.reference}>" if preset.reference else "none"),
    ]
    if problem(preset.task).task.name and preset.revision > 1:
        rows.append(("revision", str(preset.revision)))
    return [*(f"* {name}: {value}" for name, value in rows), ""]


def _scores(rows):
    if not rows:
        return ["Not measured yet: the data must be downloaded.", ""]
    lines = []
    for row in rows:
        light = results.light_of(row)
        baselines = ", ".join(
            f"{name} {results.number(value, row['metric'])}"
            for name, value in (row.get("baselines") or {}).items()
        )
        published = "; ".join(
            f"[{figure['what']}]({figure['source']}) {results.number(figure['score'], row['metric'])}"
            for figure in results.published_scores(row)
        )
        lines.append(
            (
                row["data"].rstrip("/"),
                f"{_score(row)}, {row['over']}",
                _text(baselines or "-") + (f"; published: {published}" if published else ""),
                f"{_bytes(light['bytes'])}, {light['ms']:.3g} ms" if light else "-",
                f"{row['epochs']:g} epochs, {_seconds(row['seconds'])}",
            )
        )
    versions = ", ".join(f"{name} {number}" for name, number in rows[0]["versions"].items())
    heads = ("data", "test score", "baselines", "size, latency", "training")
    commands = [
        f"* {row['data'].rstrip('/')}: `{_text(row['command'])}`, {row['date']}" for row in rows
    ]
    machine = f"Measured by the following commands, the first one on {rows[0]['machine']} with {versions}:"
    return [*_table(heads, lines), machine, "", *commands, ""]


def _weights(rows):
    if not rows:
        return []
    lines = [
        f"* `{row['name']}`: {row['examples']:,} examples of {row['data']}; test split: {row['score']}; "
        f"{row['bytes'] / 1e6:.2f} MB. Data: {row['source']}, licence: {row['licence']}. "
        f"`{row['command']}`, {row['created']}"
        for row in rows
    ]
    return ["## Weights in the package", "", *lines, ""]


def _layers(layers):
    rows = [("layer", "type", "output", "parameters")] + [
        (
            layer["name"],
            layer["type"],
            show._format_shape(layer["output_shape"]),
            f"{layer['parameters']:,}",
        )
        for layer in layers
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return ["```text", *lines, "```"]


def _folded(title, lines):
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


# === The drawing ===

_WIDTH, _HEIGHT, _GAP, _LEFT = 520, 44, 18, 10
_STEP = 22  # between two lines beside the boxes


def drawing(name: str, layers: list, sources: dict[str, list[str]]) -> str:
    """Return an SVG of the blocks of a network, from top to bottom; connections that skip blocks are drawn beside.

    Args:
        name: of the preset.
        layers: their names, types, shapes and parameters.
        sources: layer -> the layers that feed it.
    """
    blocks = _blocks(layers)
    place = {layer: number for number, (_, members) in enumerate(blocks) for layer in members}
    edges = sorted(
        {
            (place[source], place[layer["name"]])
            for layer in layers
            for source in sources.get(layer["name"], ())
            if place[source] != place[layer["name"]]
        }
    )
    skips = [(start, end) for start, end in edges if end != start + 1]
    by_name = {layer["name"]: layer for layer in layers}
    parts = []
    for number, (title, members) in enumerate(blocks):
        top = number * (_HEIGHT + _GAP)
        rows = [by_name[member] for member in members]
        parameters = sum(row["parameters"] for row in rows)
        types = _counted([row["type"] for row in rows])
        shape = show._format_shape(rows[-1]["output_shape"])
        parts.append(
            f'<rect x="{_LEFT}" y="{top + 1}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
            f'<text x="{_LEFT + 10}" y="{top + 18}" class="name">{html.escape(title)}</text>'
            f'<text x="{_LEFT + _WIDTH - 10}" y="{top + 18}" class="right">{html.escape(shape)}</text>'
            f'<text x="{_LEFT + 10}" y="{top + 35}">{html.escape(types)}</text>'
            f'<text x="{_LEFT + _WIDTH - 10}" y="{top + 35}" class="right">'
            f"{f'{parameters:,}' if parameters else ''}</text>"
        )
    for start, end in edges:
        if end == start + 1:
            x, y = _LEFT + _WIDTH / 2, start * (_HEIGHT + _GAP) + _HEIGHT + 1
            parts.append(f'<path d="M{x} {y}V{y + _GAP - 4}" marker-end="url(#arrow)"/>')
    lanes: list[int] = []  # the last block of each line beside the boxes
    for start, end in sorted(skips):
        lane = next((i for i, last in enumerate(lanes) if last <= start), len(lanes))
        lanes[lane : lane + 1] = [end]
        x, right = _LEFT + _WIDTH, _LEFT + _WIDTH + _STEP * (lane + 1)
        top, bottom = (
            block * (_HEIGHT + _GAP) + 1 + _HEIGHT * share
            for block, share in ((start, 0.75), (end, 0.25))
        )
        parts.append(f'<path d="M{x} {top}H{right}V{bottom}H{x + 4}" marker-end="url(#arrow)"/>')
    height = len(blocks) * (_HEIGHT + _GAP) - _GAP + 2
    width = _LEFT + _WIDTH + _STEP * len(lanes) + 10
    titles = ", ".join(title for title, _ in blocks)
    label = f"The network of {name}: {titles}, with {len(skips)} connections that skip blocks"
    return (
        f'<svg class="network" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{html.escape(label)}">'
        '<defs><marker id="arrow" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L6 3L0 6z" class="head"/></marker></defs>' + "".join(parts) + "</svg>"
    )


def _blocks(layers):
    """Return (title, names of its layers) of each block: neighbours whose names have the same first word."""
    blocks = []
    for layer in layers:
        title = re.split(r"_", layer["name"])[0]
        if not blocks or blocks[-1][0] != title:
            blocks.append((title, []))
        blocks[-1][1].append(layer["name"])
    return blocks


def _counted(types):
    counts = {each: types.count(each) for each in dict.fromkeys(types)}
    parts = [f"{count} × {each}" if count > 1 else each for each, count in counts.items()]
    text = ", ".join(parts)
    return text if len(text) <= 62 else text[:60].rpartition(",")[0] + ", ..."
