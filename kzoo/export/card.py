"""Files of an exported model for people: `README.md` (model card), `requirements.txt` and `labels.json`."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.data.inputs.image import photo_encoder
from kzoo.data.inputs.text import sentence_encoder
from kzoo.export.formats import formats
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.tasks.target_scores import mixes_units, target_table
from kzoo.inference.tasks.weighted import by_weighting
from kzoo.problems.tasks import Target, problem
from kzoo.utils.files import JsonObject, write_json, write_text
from kzoo.utils.formatting import number, shown
from kzoo.utils.i18n import gettext_noop, translator
from kzoo.zoo.results import baselines
from kzoo.zoo.results.coverage import DRIFT

if TYPE_CHECKING:
    from kzoo.inference.exported import Entry, Manifest


_SHOWN = 20
_FEW = 100  # with fewer test examples, the card warns that scores are uncertain
_OTHER_DATA = gettext_noop(
    "The scores hold for data like the training data; performance on other data is unknown."
)
_NO_TEST = gettext_noop("There was no test data: the scores above may be optimistic.")
_SMALL_TEST = gettext_noop(
    "It was tested on {examples} examples only: scores on another sample may differ."
)
_NOT_EVALUATED = gettext_noop(
    "Fairness across groups of people and robustness to adversarial inputs were not evaluated."
)
_HELD_OUT = (("validation", "validation"), ("test", "the test"))


def write(folder: Path, manifest: "Manifest") -> None:
    """Write `README.md`, `requirements.txt` and, for a classifier, `labels.json` of a manifest to a folder."""
    if manifest.labels:
        write_json(folder / "labels.json", manifest.labels, sync=False)
    write_text(folder / "requirements.txt", requirements(manifest), sync=False)
    write_text(folder / "README.md", card(manifest), sync=False)


def requirements(manifest: "Manifest") -> str:
    """Return the packages that run the exported files, with the versions used for export and checks as minimum."""
    pins = {name: f"{name}>={version}" for name, version in manifest.versions.items()}
    lines = [pins["numpy"]]
    for entry in manifest.exports.values():
        runtime, _, version = (entry.runtime or "").rpartition(" ")
        format = formats().get(entry.format)  # None for a format of another kzoo version
        for package in format.packages if format else ():
            package = package.replace("_", "-")
            lines.append(
                pins.get(package) or (f"{package}>={version}" if package == runtime else package)
            )
    return "\n".join(dict.fromkeys(lines)) + "\n"


def card(manifest: "Manifest") -> str:
    """Return the model card in Markdown, with the front matter for model hubs."""
    spec, (input_spec,), (output_spec,) = manifest.spec, manifest.inputs, manifest.outputs
    task = (spec["task"] or "unknown").replace("_", "-")
    tag = problem(spec["task"]).hub if spec["task"] else task
    origin = f"by kzoo, family `{spec['family']}`" if spec["family"] else "outside kzoo"
    origin += f", revision {spec['revision']} of its preset" if spec.get("revision") else ""
    decision = Postprocessor.read(manifest.postprocessing).describe()
    parts = [
        _front_matter(manifest, tag),
        f"# {_plain(manifest.name)}\n",
        f"A network for {task.replace('-', ' ')} with {manifest.parameters:,} parameters, built {origin}. Exported on "
        f"{manifest.created}{f' by {_plain(manifest.author)}' if manifest.author else ''}.\n",
        "## Input and output\n",
        f"* `{input_spec['name']}`: {input_spec['dtype']} {_shape(input_spec['shape'])}, {input_spec['meaning']}.",
        f"* `{output_spec['name']}`: float32 {_shape(output_spec['shape'])}, {_meaning(manifest, output_spec)}.\n",
        *(
            f"* Labels: {_plain(line)} `kzoo.runtime` does this; other runtimes return the outputs only.\n"
            for line in decision
        ),
        *(
            [f"{sentence_encoder.WHEEL.licence}\n"]
            if "charsmap" in (manifest.preprocessing or {})
            else []
        ),
        *([f"{photo_encoder.WHEEL.licence}\n"] if spec["family"] == "frozen_backbone" else []),
        *_data(manifest),
        *_baselines(manifest),
        *_coverage(manifest),
        *_limits(manifest),
        "## Files\n",
        "Files with status ok were loaded by their own runtime in a fresh process and compared with Keras on "
        "`golden.npz`. Latency is in milliseconds for 1 and 32 inputs on one thread; `predict()` of Keras took "
        f"{_pair(manifest.predict_ms)} for comparison.\n",
        "| file | status | difference | agreement | bytes | ms |",
        "|---|---|---|---|---|---|",
        *(_row(key, entry) for key, entry in manifest.exports.items()),
        "",
        "## Use\n",
        "```python\nimport kzoo\n",
        "kzoo.load_model('.')  # the Keras model",
        "kzoo.ExportedModel('.').check()  # repeat the comparison on this machine\n```\n",
        "`requirements.txt` lists the packages that run the files without kzoo. `kzoo.json` holds settings, "
        "preprocessing and checksums.\n",
    ]
    return "\n".join(parts)


def _front_matter(manifest: "Manifest", tag: str) -> str:
    """Return the YAML that model hubs read (https://huggingface.co/docs/hub/model-cards): task, data, scores.

    The licence of the model is its owner's choice, which kzoo does not know.
    """
    lines = ["library_name: kzoo", f"pipeline_tag: {tag}", "license: unknown"]
    lines += ["tags:", "- kzoo", "- keras", f"- {tag}"]
    name = (manifest.data or {}).get("name")
    if name and manifest.origin:  # a data set that others know by this name
        lines += ["datasets:", f"- {_yaml(name)}"]
    split = "test" if "test" in manifest.metrics else "validation"
    scores = {
        metric: value
        for metric, value in manifest.metrics.get(split, {}).items()
        if isinstance(value, float) and math.isfinite(value)
    }
    if scores and name:
        lines += ["metrics:", *(f"- {metric}" for metric in scores)]
        lines += ["model-index:", f"- name: {_yaml(manifest.name)}", "  results:"]
        lines += ["  - task:", f"      type: {tag}"]
        lines += ["    dataset:", f"      name: {_yaml(name)}", f"      type: {_yaml(name)}"]
        lines += [f"      split: {split}", "    metrics:"]
        for metric, value in scores.items():
            lines += [f"    - type: {metric}", f"      value: {value!r}"]
    return "\n".join(["---", *lines, "---\n"])


def _yaml(text: str) -> str:
    """Return a text in double quotes of YAML, whose other characters are escaped: some pages show it as Markdown."""
    escaped = (c if c.isalnum() or c in " .,_()/+-" else f"\\U{ord(c):08x}" for c in str(text))
    return f'"{"".join(escaped)}"'


def _coverage(manifest: "Manifest") -> list[str]:
    """Return the part on sets and intervals, of a model that promises any."""
    if Postprocessor.read(manifest.postprocessing).step("conformal") is None:
        return []
    text = "`kzoo.runtime` adds prediction sets or intervals with `confidence=0.9`; other runtimes return outputs only."
    return ["## Sets and intervals\n", f"{text} {DRIFT}\n"]


def _plain(text: object) -> str:
    """Return a name from data as Markdown that shows it: on one line, without markup, HTML or links."""
    line = shown(str(text))[1:-1] if not str(text).isprintable() else str(text)
    return re.sub(r"[\\`*_\[\]<>|&~$@]|(?<=\w):(?=/)|(?<=\bwww)\.", r"\\\g<0>", line, flags=re.I)


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"


def _meaning(manifest: "Manifest", output_spec: JsonObject) -> str:
    labels = list(map(_plain, manifest.labels))
    if output_spec["kind"] == "values":
        return "values in the unit of the target" + (
            f": {', '.join(map(_plain, manifest.targets))}" if manifest.targets else ""
        )
    if not labels:
        return output_spec["kind"]
    shown_labels = ", ".join(labels[:_SHOWN]) + (
        ", ... (labels.json)" if len(labels) > _SHOWN else ""
    )
    if output_spec["shape"][-1] == 1 and len(labels) == 2:
        if output_spec["kind"] == "scores":
            return f"a score, not a probability: {labels[1]} if it is above 0, else {labels[0]}"
        return f"the probability of {labels[1]} (else {labels[0]})"
    return f"{output_spec['kind']} of {shown_labels}"


def _data(manifest: "Manifest") -> list[str]:
    data, origin = manifest.data, manifest.origin
    if not data:
        return [
            "## Data\n",
            "kzoo does not know what the model was trained on. Describe the data here, with its licence.\n",
        ]
    held_out = [
        f"{number(data[split])} for {label}" for split, label in _HELD_OUT if data.get(split)
    ]
    held_out_text = f"; {' and '.join(held_out)} were held out" if held_out else ""
    lines = [
        "## Data and scores\n",
        f"Trained on {number(data['train'])} examples of {_plain(data['name'])}{held_out_text}.\n",
    ]
    if origin:
        lines.append(f"* Source of the data set with this name: {origin['source']}")
        lines.append(f"* Licence of that data: {origin['licence']}")
    else:
        lines.append(
            "* Licence of the data: unknown to kzoo. State it here before you share the model."
        )
    if manifest.retrained:
        lines.append(f"* {_plain(manifest.retrained)}")
    for split, scores in manifest.metrics.items():
        target = Target(names=tuple(manifest.targets))
        if in_units := problem(manifest.spec["task"]).task.in_units(scores, target):
            # a no-break space is not printable
            lines.append(f"* {split}: {_plain(in_units.replace(chr(160), ' '))}")
        for weighting, values in by_weighting(scores).items():
            numbers = {
                n: v
                for n, v in values.items()
                if isinstance(v, float) and not mixes_units(n, values)
            }
            shown = [f"{name.replace('_', ' ')} {number(value)}" for name, value in numbers.items()]
            lines.append(f"* {', '.join(filter(None, (split, weighting)))}: {', '.join(shown)}")
        headers, *rows = target_table(scores) or [[]]
        if "labels" in scores:
            lines += [
                f"* {split}, {_plain(name)}: "
                + ", ".join(f"{h} {cell}" for h, cell in zip(headers[1:], cells, strict=True))
                for name, *cells in rows[:_SHOWN]
            ]
            continue
        for name, *cells in rows:
            score_texts = [
                f"{header} {cell}" for header, cell in zip(headers[1:], cells, strict=True)
            ]
            baseline_text = (
                f"; mean absolute error of baselines: {', '.join(score_texts[3:])}"
                if score_texts[3:]
                else ""
            )
            lines.append(f"* {split}, {_plain(name)}: {', '.join(score_texts[:3])}{baseline_text}")
    return [*lines, ""]


def _baselines(manifest: "Manifest") -> list[str]:
    """Return the section on baselines: their scores on the same examples, and a warning if one beats the network."""
    summary = manifest.metrics | {"baselines": manifest.baselines}
    if not baselines.values(summary):
        return []
    scored = f"Trained on the same data and scored on the same examples: {baselines.line(summary)}."
    return [
        "## Baselines\n",
        scored + (f" {beaten}" if (beaten := baselines.beaten(summary)) else ""),
        "",
    ]


def limits(
    spec: JsonObject,
    data: JsonObject | None,
    metrics: Mapping[str, JsonObject],
    labels: Sequence[str],
    into: str = "en",
) -> list[str]:
    """Return sentences on what was not evaluated, and on limits that follow from the task.

    Args:
        spec: the specification of the model.
        data: its data set, or None.
        metrics: split -> scores.
        labels: names of the classes.
        into: language, one of `kzoo.utils.i18n.LANGUAGES`.
    """
    examples = metrics.get("test", {}).get("examples", _FEW)
    lines = [_OTHER_DATA]
    if data and metrics and "test" not in metrics:
        lines.append(_NO_TEST)
    elif examples < _FEW:
        lines.append(_SMALL_TEST)
    if spec["task"]:
        lines += problem(spec["task"]).limits()
    translated = map(translator("limits", into), [*lines, _NOT_EVALUATED])
    return [line.format(count=len(labels), examples=number(examples)) for line in translated]


def _limits(manifest: "Manifest") -> list[str]:
    """Return the section on limits."""
    lines = [
        *limits(manifest.spec, manifest.data, manifest.metrics, manifest.labels),
        "`kzoo.json` contains names from the training data: classes, columns and categories, or words.",
    ]
    return ["## Limits\n", *(f"* {line}" for line in lines), ""]


def _pair(ms: Mapping[str, float | None]) -> str:
    return " and ".join("-" if ms[size] is None else f"{ms[size]:.3g}" for size in ("1", "32"))


def _row(key: str, entry: "Entry") -> str:
    if entry.status == "failed":
        return f"| {key} | failed: {_plain(entry.error)} | | | | |"
    difference, agreement, ms = entry.difference, entry.agreement, entry.latency_ms
    cells = [
        f"`{entry.file}`",
        entry.status + (f", batch {entry.batch} only" if entry.batch else ""),
        "" if difference is None else f"{difference:.1e}",
        "" if agreement is None else f"{agreement:.1%}",
        f"{entry.bytes:,}",
        "" if ms is None else _pair(ms),
    ]
    return f"| {' | '.join(cells)} |"
