"""What an exported model says to people: `README.md` (a model card), `requirements.txt` and `labels.json`."""

from kzoo.export.formats import formats
from kzoo.results import baselines
from kzoo.tasks import problem
from kzoo.tasks.target_scores import mixes_units, target_table
from kzoo.utils.files import write_json, write_text
from kzoo.utils.formatting import number

_SHOWN = 20
_FEW = 100  # test examples, below which another sample may say something else
_HELD_OUT = (("validation", "validation"), ("test", "the test"))


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
    made += f", revision {spec['revision']} of its preset" if spec.get("revision") else ""
    parts = [
        f"---\nlibrary_name: keras\ntags:\n- kzoo\n- {tag}\n---\n",
        f"# {manifest.name}\n",
        f"A network for {task.replace('-', ' ')}, built {made}, with {manifest.parameters:,} parameters. Exported on "
        f"{manifest.created}.\n",
        "## What goes in, what comes out\n",
        f"* `{given['name']}`: {given['dtype']} {_shape(given['shape'])}, {given['meaning']}.",
        f"* `{answer['name']}`: float32 {_shape(answer['shape'])}, {_meaning(manifest, answer)}.\n",
        *_data(manifest),
        *_baselines(manifest),
        *_limits(manifest),
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
        "preprocessing, checksums.\n",
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
    data, origin = manifest.data, manifest.origin
    if not data:
        return [
            "## Data\n",
            "kzoo knows nothing of it: say here what the network was trained on, and by whose leave.\n",
        ]
    held = [f"{number(data[split])} for {what}" for split, what in _HELD_OUT if data.get(split)]
    rest = f"; {' and '.join(held)} were held out" if held else ""
    lines = ["## Data and scores\n", f"Trained on {number(data['train'])} examples of {data['name']}{rest}.\n"]
    if origin:
        lines.append(f"* Source of the data set of this name: {origin['source']}")
        lines.append(f"* Licence of that data: {origin['licence']}")
    else:
        lines.append("* Licence of the data: kzoo does not know it. Say it here before you give the model away.")
    for split, scores in manifest.metrics.items():
        numbers = {n: v for n, v in scores.items() if isinstance(v, float) and not mixes_units(n, scores)}
        shown = [f"{name.replace('_', ' ')} {number(value)}" for name, value in numbers.items()]
        lines.append(f"* {split}: {', '.join(shown)}")
        heads, *rows = target_table(scores) or [[]]
        for name, *cells in rows:
            said = [f"{head} {cell}" for head, cell in zip(heads[1:], cells, strict=True)]
            beside = f"; mean absolute error without a network: {', '.join(said[3:])}" if said[3:] else ""
            lines.append(f"* {split}, {name}: {', '.join(said[:3])}{beside}")
    return [*lines, ""]


def _baselines(manifest):
    """Return what needs no network, on the same examples, and whether the network is worth having."""
    summary = manifest.metrics | {"baselines": manifest.baselines}
    if not baselines.values(summary):
        return []
    said = f"Learned from the same training data and scored on the same examples: {baselines.line(summary)}."
    return ["## Without a network\n", said + (f" {beaten}" if (beaten := baselines.beaten(summary)) else ""), ""]


def _limits(manifest):
    """Return what to keep in mind: what follows from the task, and what was not looked at."""
    facts = problem(manifest.spec["task"]).facts if manifest.spec["task"] else frozenset()
    lines = ["Scores hold for data like that of the training; of other data nothing is known."]
    if manifest.data and manifest.metrics and "test" not in manifest.metrics:
        lines.append("There was no test data, so what the scores above are worth is open.")
    elif (few := manifest.metrics.get("test", {}).get("examples", _FEW)) < _FEW:
        lines.append(f"It was tested on {number(few)} examples: another sample could give rather different scores.")
    if "classes" in facts:
        lines.append(f"Whatever it is given, it names one of its {len(manifest.labels)} classes, be it none of them.")
    if "values" in facts:
        lines.append("Beyond the range of the training data its values are guesses.")
    if facts >= {"values", "ordered"}:
        lines.append("It goes on with what it has seen: it foresees no change of a kind that is not in its past.")
    if "continues" in facts:
        lines.append("It writes what is likely after its training text, which need not be true, or fit to be said.")
    lines += [
        "Nothing was measured for groups of people, or against those who mean to deceive it.",
        "`kzoo.json` holds names out of the training data: of classes, columns and categories, or words.",
    ]
    return ["## Limits\n", *(f"* {line}" for line in lines), ""]


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
