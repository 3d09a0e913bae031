"""What a page, or anybody, has to know of a model: what it takes, what it answers, how good it is. NumPy only."""

from typing import Any

from kzoo import kinds
from kzoo.exported import Manifest
from kzoo.results import baselines, displayed_metric, value_of
from kzoo.serve.model_repository import ServedModel, Version
from kzoo.tasks import problem, score_named
from kzoo.utils.files import finite, read_arrays


def list_entry(shelved: ServedModel) -> dict[str, Any]:
    """Return a line of the list of models."""
    version = shelved.current
    return {
        "name": shelved.name,
        "version": str(version),
        "versions": [str(number) for number in sorted(shelved.versions)],
        "task": version.manifest.spec.get("task"),
        "input": version.manifest.inputs[0]["name"],
    }


def model_facts(shelved: ServedModel, version: Version) -> dict[str, Any]:
    """Return all that is to be said of a version of a model."""
    manifest = version.manifest
    (given,), (gives,) = manifest.inputs, manifest.outputs
    kind = kinds.kind(given["name"])
    return list_entry(shelved) | {
        "version": str(version),
        "preset": manifest.name,
        "created": manifest.created,
        "parameters": manifest.parameters,
        "input": given | {"facts": sorted(kind.facts), "raw": _takes_raw(manifest), **_form(manifest, kind)},
        "answer": {
            "kind": gives["kind"],
            "classes": manifest.labels,
            "targets": manifest.targets,
            "horizon": (manifest.spec.get("config") or {}).get("horizon"),
        },
        "trained_on": _trained_on(manifest),
        "score": _score(manifest),
        "example": _example(version, kind),
        "files": {key: {"format": e.format, "bytes": e.bytes} for key, e in manifest.exports.items() if e.file},
    }


def _takes_raw(manifest: Manifest) -> bool:
    return manifest.preprocessing is not None and not kinds.takes_ready_arrays(manifest.preprocessing)


def _form(manifest: Manifest, kind: Any) -> dict[str, Any]:
    if not _takes_raw(manifest) or not hasattr(kind.inference, "form"):
        return {}
    return {"form": kind.inference.form(manifest.preprocessing)}


def _trained_on(manifest: Manifest) -> dict[str, Any] | None:
    if not manifest.data:
        return None
    return {name: manifest.data.get(name) for name in ("name", "train", "validation", "test")}


def _score(manifest: Manifest) -> dict[str, Any] | None:
    """Return the score that counts, its interval, and the best of what needs no network beside it."""
    task = manifest.spec.get("task")
    split = next((name for name in ("test", "validation") if manifest.metrics.get(name)), None)
    if task is None or split is None:
        return None
    scores = manifest.metrics[split]
    name = displayed_metric(problem(task).headline, scores, problem(task).task)
    value = value_of(scores, name)
    if value is None and name not in scores:
        return None
    known, task = score_named(name), problem(task).task
    form = known.form if known else "number"
    beside = {
        score.label: scores[one]
        for one, score in task.scores.items()
        if score.baseline and score.form == form and one in scores  # a share is no baseline of bits
    }
    kept = {split: scores, "baselines": manifest.baselines}
    beside |= baselines.values(kept)
    return finite(
        {
            "split": split, "name": name, "label": known.label if known else name,
            "best": known.best if known else "max", "form": form, "value": value,
            "interval": scores.get(f"{name}_interval"), "examples": scores.get("examples"),
            "beside": [{"label": label, "value": value} for label, value in beside.items()],
            "warning": baselines.beaten(kept),
        }
    )  # fmt: skip


def _example(version: Version, kind: Any) -> Any:
    """Return an input to begin with, as `answer` takes it; None where there is none."""
    manifest = version.manifest
    try:
        x = read_arrays(version.folder / "golden.npz")["x_1"][0]
    except (OSError, ValueError, KeyError, IndexError):
        x = None
    if _takes_raw(manifest) and hasattr(kind.inference, "example"):
        return kind.inference.example(manifest.preprocessing, x)
    return None if x is None else x.tolist()
