"""What an exported model says to people: `README.md` (a model card), `requirements.txt` and `labels.json`."""

from kzoo.export.formats import formats
from kzoo.files import write_json, write_text
from kzoo.tasks import problem
from kzoo.tasks.targets import mixes_units, table_of
from kzoo.words import number

_SHOWN = 20


def write(folder, manifest):
    """Write them from what the manifest says."""
    if manifest.labels:
        write_json(folder / "labels.json", manifest.labels, sync=False)
    write_text(folder / "requirements.txt", requirements(manifest), sync=False)
    write_text(folder / "README.md", card(manifest), sync=False)


def requirements(manifest) -> str:
    """Return what runs each export, no older than what it was made and checked with."""
    known = {name: f"{name}>={version}" for name, version in manifest.versions.items()}
    lines = [known["numpy"]]
    for entry in manifest.exports.values():
        runtime, _, version = (entry.runtime or "").rpartition(" ")
        format = formats().get(entry.format)  # an earlier export may have one that this kzoo does not know
        for package in format.packages if format else ():
            package = package.replace("_", "-")
            lines.append(known.get(package) or (f"{package}>={version}" if package == runtime else package))
    return "\n".join(dict.fromkeys(lines)) + "\n"


def card(manifest) -> str:
    """Return the model card, with the front matter that model hubs read."""
    spec, (given,), (answer,) = manifest.spec, manifest.inputs, manifest.outputs
    task = (spec["task"] or "unknown").replace("_", "-")
    tag = problem(spec["task"]).hub if spec["task"] else task
    made = f"by kzoo, family `{spec['family']}`" if spec["family"] else "outside kzoo"
    parts = [
        f"---\nlibrary_name: keras\ntags:\n- kzoo\n- {tag}\n---\n",
        f"# {manifest.name}\n",
        f"A network for {task.replace('-', ' ')}, built {made}, with {manifest.parameters:,} parameters. Exported on "
        f"{manifest.created}.\n",
        "## What goes in, what comes out\n",
        f"* `{given['name']}`: {given['dtype']} {_shape(given['shape'])}, {given['meaning']}.",
        f"* `{answer['name']}`: float32 {_shape(answer['shape'])}, {_meaning(manifest, answer)}.\n",
        *_data(manifest),
        "## The files\n",
        "What is ok was loaded by its own runtime in a fresh process and compared with Keras on `golden.npz`. Latency "
        "is in milliseconds for 1 and for 32 inputs, on one thread; Keras' `predict()` took "
        f"{_pair(manifest.predict_ms)} there.\n",
        "| file | status | difference | same answers | bytes | ms |",
        "|---|---|---|---|---|---|",
        *(_row(key, entry) for key, entry in manifest.exports.items()),
        "",
        "## Use\n",
        "```python\nimport kzoo\n",
        "kzoo.load_model('.')  # the network, in Keras",
        "kzoo.ExportedModel('.').check()  # compare again, here\n```\n",
        "`requirements.txt` has what the files need without kzoo. `kzoo.json` has everything else: settings, "
        "preprocessing, checksums. Scores hold for data like that of the training; nothing is known about others.\n",
    ]
    return "\n".join(parts)


def _shape(shape):
    return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"


def _meaning(manifest, answer):
    labels = manifest.labels
    if answer["kind"] == "values":
        return "values in the target's own unit" + (f": {', '.join(manifest.targets)}" if manifest.targets else "")
    if not labels:
        return answer["kind"]
    named = ", ".join(labels[:_SHOWN]) + (", ... (labels.json)" if len(labels) > _SHOWN else "")
    if answer["shape"][-1] == 1 and len(labels) == 2:
        if answer["kind"] == "scores":
            return f"a score, no probability: above 0 it is {labels[1]}, else {labels[0]}"
        return f"the probability of {labels[1]} (else {labels[0]})"
    return f"{answer['kind']} of {named}"


def _data(manifest):
    if not manifest.data:
        return []
    lines = ["## Data and scores\n", f"Trained on {manifest.data['name']}.\n"]
    for split, scores in manifest.metrics.items():
        numbers = {n: v for n, v in scores.items() if isinstance(v, float) and not mixes_units(n, scores)}
        shown = [f"{name.replace('_', ' ')} {number(value)}" for name, value in numbers.items()]
        lines.append(f"* {split}: {', '.join(shown)}")
        heads, *rows = table_of(scores) or [[]]
        for name, *cells in rows:
            said = [f"{head} {cell}" for head, cell in zip(heads[1:], cells, strict=True)]
            beside = f"; mean absolute error without a network: {', '.join(said[3:])}" if said[3:] else ""
            lines.append(f"* {split}, {name}: {', '.join(said[:3])}{beside}")
    return [*lines, ""]


def _pair(ms):
    return " and ".join("-" if ms[size] is None else f"{ms[size]:.3g}" for size in ("1", "32"))


def _row(key, entry):
    if entry.status == "failed":
        return f"| {key} | failed: {entry.error} | | | | |"
    difference, same, ms = entry.difference, entry.agreement, entry.latency_ms
    cells = [
        f"`{entry.file}`",
        entry.status + (f", batch {entry.batch} only" if entry.batch else ""),
        "" if difference is None else f"{difference:.1e}",
        "" if same is None else f"{same:.1%}",
        f"{entry.bytes:,}",
        "" if ms is None else _pair(ms),
    ]
    return f"| {' | '.join(cells)} |"
